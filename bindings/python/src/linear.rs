//! The loss of a linear classifier, from features and weights.

use pyo3::prelude::*;
use pyo3::types::PyFloat;
use xent::{CrossEntropy, Linear, LinearCrossEntropy, LinearGradients, LinearResults, Targets};

use crate::array::{Array, Copied};
use crate::loss::{Saved, sums, upstream_of};
use crate::options::{Compared, ComparedCopies, Options};
use crate::output::Output;
use crate::threads::run;

/// What makes the logits, and what the loss compares them with.
struct Head<'py> {
    x: Array<'py>,
    weights: Array<'py>,
    bias: Option<Array<'py>>,
    compared: Compared<'py>,
}

/// Copies, where arrays cannot be viewed.
#[derive(Default)]
struct Copies {
    x: Copied<f32>,
    weights: Copied<f32>,
    bias: Copied<f32>,
    compared: ComparedCopies,
}

impl<'py> Head<'py> {
    fn new(
        x: Array<'py>,
        weights: Array<'py>,
        bias: Option<Array<'py>>,
        labels: Array<'py>,
        weight: Option<Array<'py>>,
    ) -> PyResult<Self> {
        let last = x.axis(-1)?;
        weights.expect_shape(&[weights.shape().first().copied().unwrap_or(0), x.shape()[last]])?;
        let classes = weights.shape()[0];
        if let Some(bias) = &bias {
            bias.expect_shape(&[classes])?;
        }
        let mut logits = x.shape().to_vec();
        logits[last] = classes;
        let compared = Compared::new(labels, weight, &logits, last)?;
        Ok(Self { x, weights, bias, compared })
    }

    fn views<'a>(
        &'a self,
        options: &Options<'_>,
        copies: &'a mut Copies,
    ) -> PyResult<(CrossEntropy<'a>, Targets<'a>, Linear<'a>)> {
        let axis = self.x.axis(-1)?;
        let (targets, weight) = self.compared.views(axis, &mut copies.compared)?;
        let x = self.x.rows(axis, &mut copies.x)?;
        let weights = self.weights.rows(1, &mut copies.weights)?;
        let mut linear = Linear::new(x, weights).map_err(crate::error::to_py)?;
        if let Some(bias) = &self.bias {
            linear = linear.bias(bias.floats(&mut copies.bias)?).map_err(crate::error::to_py)?;
        }
        Ok((options.loss(weight)?, targets, linear))
    }

    /// Products that the logits are made of: all of them count for what is done in parallel.
    fn work(&self) -> usize {
        self.x.len().saturating_mul(self.weights.shape()[0])
    }
}

/// Where gradients go that are wanted: of the features, the weights, and the bias.
struct Gradients<'py> {
    arrays: [Option<Array<'py>>; 3],
}

impl<'py> Gradients<'py> {
    fn views(&mut self) -> PyResult<LinearGradients<'_>> {
        let mut gradients = LinearGradients::new();
        let [x, weights, bias] = &mut self.arrays;
        if let Some(x) = x {
            let axis = x.axis(-1)?;
            gradients = gradients.x(x.rows_mut(axis)?);
        }
        if let Some(weights) = weights {
            gradients = gradients.weights(weights.rows_mut(1)?);
        }
        if let Some(bias) = bias {
            gradients = gradients.bias(bias.values_mut()?);
        }
        Ok(gradients)
    }
}

#[pyfunction]
#[pyo3(signature = (x, weights, labels, *, bias=None, weight=None, ignore_index=-100, label_smoothing=0.0,
    reduction="mean", z_loss=0.0, soft_cap=None, temperature=1.0, gradients=false, workspace=67_108_864),
    text_signature = "(x, weights, labels, *, bias=None, weight=None, ignore_index=-100, label_smoothing=0.0, \
    reduction='mean', z_loss=0.0, soft_cap=None, temperature=1.0, gradients=False, workspace=67108864)")]
#[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
#[expect(clippy::type_complexity, reason = "the loss, and its three gradients")]
pub(crate) fn linear_cross_entropy<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    weights: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    bias: Option<&Bound<'py, PyAny>>,
    weight: Option<&Bound<'py, PyAny>>,
    ignore_index: i64,
    label_smoothing: f64,
    reduction: &str,
    z_loss: f64,
    soft_cap: Option<f64>,
    temperature: f64,
    gradients: bool,
    workspace: usize,
) -> PyResult<(Bound<'py, PyAny>, [Option<Bound<'py, PyAny>>; 3])> {
    let options = Options { reduction, ignore_index, label_smoothing, z_loss, soft_cap, temperature };
    let head = Head::new(
        Array::new("features", x)?,
        Array::new("weights", weights)?,
        Array::option("bias", bias)?,
        Array::new("labels", labels)?,
        Array::option("class weights", weight)?,
    )?;
    let mut copies = Copies::default();
    let (loss, targets, linear) = head.views(&options, &mut copies)?;
    let loss = LinearCrossEntropy::new(loss).workspace(workspace);
    let mut losses = match options.is_reduced() {
        true => None,
        false => Some(Output::zeros::<f32>(py, "losses", &head.x.row_shape(head.x.axis(-1)?))?),
    };
    let mut results = LinearResults::new();
    if let Some(losses) = &mut losses {
        results = results.losses(losses.array.values_mut()?);
    }
    let (summary, objects) = if gradients {
        let new = |shape: &[usize]| Output::zeros::<f32>(py, "gradient", shape);
        let x = new(head.x.shape())?;
        let weights = new(head.weights.shape())?;
        let bias = head.bias.as_ref().map(|bias| new(bias.shape())).transpose()?;
        let (bias, bias_object) = bias.map(|bias| (bias.array, bias.object)).unzip();
        let mut gradients = Gradients { arrays: [Some(x.array), Some(weights.array), bias] };
        let to = gradients.views()?;
        let summary = run(py, head.work(), || loss.loss_and_gradients_into(targets, linear, results, to))?;
        (summary, [Some(x.object), Some(weights.object), bias_object])
    } else {
        (run(py, head.work(), || loss.forward_into(targets, linear, results))?, [None, None, None])
    };
    let value =
        losses.map_or_else(|| PyFloat::new(py, summary.value.into()).into_any(), |losses| losses.object);
    Ok((value, objects))
}

/// Tensors of both passes of an autograd function.
#[derive(FromPyObject)]
pub(crate) struct Tensors<'py>(
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Option<Bound<'py, PyAny>>,
    Bound<'py, PyAny>,
    Option<Bound<'py, PyAny>>,
);

impl<'py> Tensors<'py> {
    fn head(&self) -> PyResult<Head<'py>> {
        let Self(x, weights, bias, labels, weight) = self;
        let option = |what, tensor: &Option<Bound<'py, PyAny>>| {
            tensor.as_ref().map(|tensor| Array::of_dlpack(what, tensor)).transpose()
        };
        Head::new(
            Array::of_dlpack("features", x)?,
            Array::of_dlpack("weights", weights)?,
            option("bias", bias)?,
            Array::of_dlpack("labels", labels)?,
            option("class weights", weight)?,
        )
    }
}

/// The forward pass of an autograd function: writes the loss, one number or one per row, and gives what is saved.
#[pyfunction]
pub(crate) fn linear_forward<'py>(
    py: Python<'py>,
    tensors: Tensors<'py>,
    ignore_index: i64,
    reduction: &str,
    label_smoothing: f64,
    out: &Bound<'py, PyAny>,
) -> PyResult<Saved> {
    let head = tensors.head()?;
    let mut out = Array::of_dlpack("out", out)?;
    let options = Options { reduction, ignore_index, label_smoothing, ..Options::default() };
    let mut copies = Copies::default();
    let (loss, targets, linear) = head.views(&options, &mut copies)?;
    let mut saved = sums(head.x.row_shape(head.x.axis(-1)?).iter().product())?;
    let out = out.values_mut::<f32>()?;
    let mut results = LinearResults::new().saved(&mut saved);
    if !options.is_reduced() {
        results = results.losses(&mut *out);
    }
    let summary =
        run(py, head.work(), || LinearCrossEntropy::new(loss).forward_into(targets, linear, results))?;
    if options.is_reduced() {
        out.fill(summary.value);
    }
    Ok(Saved(saved))
}

/// The backward pass: writes the gradients that are wanted.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are those of PyTorch's function")]
pub(crate) fn linear_backward<'py>(
    py: Python<'py>,
    tensors: Tensors<'py>,
    ignore_index: i64,
    reduction: &str,
    label_smoothing: f64,
    saved: &Bound<'py, Saved>,
    upstream: &Bound<'py, PyAny>,
    out: [Option<Bound<'py, PyAny>>; 3],
) -> PyResult<()> {
    let head = tensors.head()?;
    let upstream = Array::of_dlpack("upstream gradient", upstream)?;
    let options = Options { reduction, ignore_index, label_smoothing, ..Options::default() };
    let (mut copies, mut copied) = (Copies::default(), Copied::default());
    let (loss, targets, linear) = head.views(&options, &mut copies)?;
    let loss = LinearCrossEntropy::new(loss.upstream(upstream_of(&options, &upstream, &mut copied)?));
    let [x, weights, bias] = out.map(|out| out.map(|out| Array::of_dlpack("gradient", &out)).transpose());
    let mut gradients = Gradients { arrays: [x?, weights?, bias?] };
    let (to, sums) = (gradients.views()?, &saved.get().0);
    run(py, head.work(), || loss.backward_into(targets, linear, sums, to))
}
