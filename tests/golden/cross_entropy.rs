//! Cases of softmax cross-entropy.

use xent::{Backend, CrossEntropy, Denominator, DenseGradient, Error, Reduction, Smoothing, Targets};

use super::case::Case;
use super::layout::Layout;

/// The inputs of a case.
struct Inputs {
    layout: Layout,
    logits: Vec<f32>,
    labels: Vec<i64>,
    dense: Option<Vec<f32>>,
    weights: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    mask: Option<Vec<bool>>,
    upstream: Option<Vec<f32>>,
}

impl Inputs {
    fn of(case: &Case) -> Self {
        let layout = Layout::of(case);
        let tensor = |name| case.f32s(name).map(|values| layout.arranged(values));
        #[expect(clippy::cast_possible_truncation, reason = "they were integers")]
        let labels =
            case.tensor("labels").map(|labels| labels.values.iter().map(|&label| label as i64).collect());
        Self {
            logits: tensor("input").expect("every case has an input"),
            labels: labels.unwrap_or_default(),
            dense: tensor("dense_labels"),
            weights: case.f32s("weight"),
            row_weights: case.f32s("row_weight"),
            mask: case
                .f32s("class_mask")
                .map(|mask| layout.rows_of(&mask).iter().map(|&keep| keep != 0.0).collect()),
            upstream: case.f32s("grad_out"),
            layout,
        }
    }

    fn targets(&self, backend: Backend) -> Result<Targets<'_>, Error> {
        Ok(match &self.dense {
            Some(labels) => self.layout.view(labels, backend)?.into(),
            None => (&self.labels).into(),
        })
    }

    /// The options of a case.
    fn options(&self, case: &Case) -> Result<CrossEntropy<'_>, Error> {
        let mut options = CrossEntropy::new();
        let (reduction, denominator) = match case.text("reduction") {
            Some("none") => (Reduction::None, Denominator::UsedRows),
            Some("sum") => (Reduction::Sum, Denominator::UsedRows),
            Some("mean") if self.dense.is_some() => (Reduction::Mean, Denominator::AllRows),
            Some("mean" | "mean_row_weight") => (Reduction::Mean, Denominator::Weights),
            Some("mean_rows") => (Reduction::Mean, Denominator::AllRows),
            other => panic!("{}: reduction {other:?}", case.name),
        };
        options = options.reduction(reduction).denominator(denominator)?;
        if let Some(label) = case.integer("ignore_index") {
            options = options.ignore_index(label);
        }
        if let Some(weights) = &self.weights {
            options = options.class_weights(weights)?;
        }
        if let Some(weights) = &self.row_weights {
            options = options.row_weights(weights)?;
        }
        if let Some(mask) = &self.mask {
            options = options.row_class_masks(mask);
        }
        if let Some(epsilon) = case.number("label_smoothing") {
            options = options.label_smoothing(epsilon, Smoothing::Uniform)?;
        }
        options = match case.text("grad_mode") {
            None | Some("derivative") => options.dense_gradient(DenseGradient::Derivative),
            Some("p_minus_y") => options.dense_gradient(DenseGradient::ProbabilitiesMinusLabels),
            other => panic!("{}: gradient {other:?}", case.name),
        };
        Ok(match self.upstream.as_deref() {
            None => options,
            Some([one]) if reduction != Reduction::None => options.upstream(*one),
            Some(all) => options.upstream(all),
        })
    }
}

/// Runs a case on a backend.
pub(crate) fn run(case: &Case, backend: Backend) -> Result<(), Error> {
    let inputs = Inputs::of(case);
    let logits = inputs.layout.view(&inputs.logits, backend)?;
    let options = inputs.options(case)?;
    if case.text("expect_error").is_some() {
        let result = options.loss(inputs.targets(backend)?, logits);
        assert!(matches!(result, Err(Error::LabelOutOfRange { .. })), "{}: {result:?}", case.name);
        return Ok(());
    }
    let (loss, gradient) = options.loss_and_gradient(inputs.targets(backend)?, logits)?;
    for output in &case.outputs {
        match output.as_str() {
            "loss" if case.text("reduction") == Some("none") => case.expect("loss", &loss.rows),
            "loss" => case.expect("loss", &[loss.summary.value]),
            "grad_input" => case.expect("grad_input", &inputs.layout.tensor_of(&gradient)),
            "grad_labels" => {
                let gradient = options.label_gradient(logits)?;
                case.expect("grad_labels", &inputs.layout.tensor_of(&gradient));
            }
            "log_prob" => case.expect("log_prob", &inputs.layout.tensor_of(&xent::log_softmax(logits)?)),
            other => panic!("{}: output {other}", case.name),
        }
    }
    Ok(())
}
