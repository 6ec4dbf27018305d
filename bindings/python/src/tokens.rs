//! Log-probabilities of tokens and of sequences.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use xent::{TokenLogProbs, TokenOutputs};

use crate::array::{Array, Copied};
use crate::error::to_py;
use crate::options::values;
use crate::output::Output;
use crate::threads::run;

/// Options: a temperature is one for all, or an array of one per row.
fn options<'a>(
    temperature: Option<&'a [f32]>,
    uniform: f64,
    soft_cap: Option<f64>,
    ignore_index: Option<i64>,
) -> Result<TokenLogProbs<'a>, xent::Error> {
    let mut options = TokenLogProbs::new();
    if let Some(token) = ignore_index {
        options = options.ignore_index(token);
    }
    if let Some(cap) = soft_cap {
        options = options.soft_cap(cap)?;
    }
    match temperature {
        Some(rows) => options.row_temperatures(rows),
        #[expect(clippy::float_cmp, reason = "the number that changes nothing")]
        None if uniform == 1.0 => Ok(options),
        None => options.temperature(uniform),
    }
}

type Token<'py> = Option<Bound<'py, PyAny>>;

#[pyfunction]
#[pyo3(signature = (logits, tokens, top_k, token_ids, entropy, temperature, soft_cap, ignore_index))]
#[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(crate) fn token_logprobs<'py>(
    logits: &Bound<'py, PyAny>,
    tokens: Option<&Bound<'py, PyAny>>,
    top_k: usize,
    token_ids: Option<&Bound<'py, PyAny>>,
    entropy: bool,
    temperature: &Bound<'py, PyAny>,
    soft_cap: Option<f64>,
    ignore_index: Option<i64>,
) -> PyResult<(Token<'py>, Token<'py>, Token<'py>, Token<'py>, Token<'py>, Token<'py>, Token<'py>)> {
    let py = logits.py();
    let logits = Array::new("logits", logits)?;
    let axis = logits.axis(-1)?;
    let shape = logits.row_shape(axis);
    let tokens = Array::option("tokens", tokens)?;
    let names = Array::option("token ids", token_ids)?;
    let uniform = temperature.extract::<f64>();
    let temperatures = match uniform {
        Ok(_) => None,
        Err(_) => Some(Array::new("temperature", temperature)?),
    };
    for per_row in tokens.iter().chain(&temperatures) {
        per_row.expect_shape(&shape)?;
    }
    let (mut copied, mut copied_tokens, mut copied_temperatures, mut copied_names) =
        (Copied::default(), Copied::default(), Copied::default(), Copied::default());
    let view = logits.rows(axis, &mut copied)?;
    let tokens = tokens.as_ref().map(|tokens| tokens.labels(&mut copied_tokens)).transpose()?;
    let temperatures = temperatures.as_ref().map(|t| t.floats(&mut copied_temperatures)).transpose()?;
    let named = match &names {
        None => None,
        Some(names) => {
            let (is_shared, count) = match names.shape() {
                [count] => (true, *count),
                [rows @ .., count] if rows == shape => (false, *count),
                given => {
                    let expected = [&shape[..], &[0]].concat();
                    return Err(PyValueError::new_err(format!(
                        "the token ids have shape {given:?}; expected one axis, or {expected:?} with any number at the end"
                    )));
                }
            };
            let labels = names.labels(&mut copied_names)?;
            let ids = (0..labels.len()).map(|index| {
                let token = labels.get(index).unwrap_or(-1);
                // What is no u32 is no class: it is refused by its own number.
                u32::try_from(token).map_err(|_| {
                    PyValueError::new_err(format!(
                        "the named token {token} at {index} is out of range; expected 0 to {}",
                        view.classes().saturating_sub(1)
                    ))
                })
            });
            Some((ids.collect::<PyResult<Vec<u32>>>()?, is_shared, count))
        }
    };
    let options = options(temperatures, uniform.unwrap_or(1.0), soft_cap, ignore_index).map_err(to_py)?;

    let with = |count: usize| [&shape[..], &[count]].concat();
    let wanted =
        |is: bool, shape: &[usize]| is.then(|| Output::zeros::<f32>(py, "output", shape)).transpose();
    let counts =
        |is: bool, shape: &[usize]| is.then(|| Output::zeros::<u32>(py, "output", shape)).transpose();
    let mut chosen = wanted(tokens.is_some(), &shape)?;
    let (mut above, mut equal) = (counts(tokens.is_some(), &shape)?, counts(tokens.is_some(), &shape)?);
    let mut top_ids = counts(top_k > 0, &with(top_k))?;
    let mut top = wanted(top_k > 0, &with(top_k))?;
    let mut of_named = match &named {
        Some((_, _, count)) => wanted(true, &with(*count))?,
        None => None,
    };
    let mut entropies = wanted(entropy, &shape)?;

    let mut outputs = TokenOutputs::new();
    if let (Some(tokens), Some(chosen), Some(above), Some(equal)) =
        (tokens, &mut chosen, &mut above, &mut equal)
    {
        outputs = outputs.chosen(tokens, chosen.array.values_mut()?);
        outputs = outputs.rank(above.array.values_mut()?, equal.array.values_mut()?);
    }
    if let (Some(ids), Some(top)) = (&mut top_ids, &mut top) {
        outputs = outputs.top(top_k, ids.array.values_mut()?, top.array.values_mut()?);
    }
    if let (Some((ids, is_shared, count)), Some(to)) = (&named, &mut of_named) {
        let to = to.array.values_mut()?;
        outputs = if *is_shared { outputs.named(ids, to) } else { outputs.named_per_row(*count, ids, to) };
    }
    if let Some(entropies) = &mut entropies {
        outputs = outputs.entropy(entropies.array.values_mut()?);
    }
    run(py, values(&view), || options.read_into(view, outputs))?;
    let object = |output: Option<Output<'py>>| output.map(|output| output.object);
    Ok((
        object(chosen),
        object(above),
        object(equal),
        object(top_ids),
        object(top),
        object(of_named),
        object(entropies),
    ))
}

#[pyfunction]
#[pyo3(signature = (logits, tokens, offsets, next_token, temperature, soft_cap, ignore_index))]
pub(crate) fn sequence_logprobs<'py>(
    logits: &Bound<'py, PyAny>,
    tokens: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    next_token: bool,
    temperature: f64,
    soft_cap: Option<f64>,
    ignore_index: Option<i64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = logits.py();
    let logits = Array::new("logits", logits)?;
    let axis = logits.axis(-1)?;
    let (tokens, offsets) = (Array::new("tokens", tokens)?, Array::new("offsets", offsets)?);
    tokens.expect_shape(&logits.row_shape(axis))?;
    if offsets.shape().len() != 1 {
        return Err(PyValueError::new_err(format!(
            "the offsets have shape {:?}; expected one axis",
            offsets.shape()
        )));
    }
    let (mut copied, mut copied_tokens, mut copied_offsets) =
        (Copied::default(), Copied::default(), Copied::default());
    let view = logits.rows(axis, &mut copied)?;
    let tokens = tokens.labels(&mut copied_tokens)?;
    let offsets = offsets.labels(&mut copied_offsets)?;
    // A negative one is above every number of rows, and refused.
    let offsets: Vec<usize> = (0..offsets.len())
        .map(|i| offsets.get(i).and_then(|i| i.try_into().ok()).unwrap_or(usize::MAX))
        .collect();
    let options = options(None, temperature, soft_cap, ignore_index).map_err(to_py)?;
    let scores = run(py, values(&view), || {
        if next_token {
            options.next_token_log_probs(tokens, view, &offsets)
        } else {
            options.sequence_log_probs(tokens, view, &offsets)
        }
    })?;
    let mut sums = Output::zeros::<f64>(py, "sums", &[scores.len()])?;
    let mut counts = Output::zeros::<i64>(py, "counts", &[scores.len()])?;
    let mut greedy = Output::zeros::<u8>(py, "flags", &[scores.len()])?;
    let (to_sums, to_counts) = (sums.array.values_mut::<f64>()?, counts.array.values_mut::<i64>()?);
    for (i, (score, to)) in scores.iter().zip(greedy.array.values_mut::<u8>()?).enumerate() {
        (to_sums[i], to_counts[i], *to) = (score.sum, score.tokens as i64, score.is_greedy.into());
    }
    let greedy = greedy.object.call_method1("view", ("bool",))?;
    Ok((sums.object, counts.object, greedy))
}
