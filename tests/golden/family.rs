//! Cases of the losses beside cross-entropy.

use xent::{
    Backend, BinaryCrossEntropy, Denominator, ElementReduction, Error, Hinge, HingePower, KlDivergence,
    NegativeLogLikelihood, Normalise, Reduction, Rows, Smoothing, Targets,
};

use super::case::Case;
use super::layout::Layout;

/// A tensor that broadcasts to the shape of a matrix.
fn broadcast(case: &Case, name: &str, rows: usize, classes: usize) -> Option<Vec<f32>> {
    let values = case.f32s(name)?;
    let shape = &case.tensor(name)?.shape;
    let per_row = shape.len() > 1 && shape[shape.len() - 1] == 1;
    let value = |i: usize| match values.len() {
        1 => values[0],
        len if len == rows * classes => values[i],
        _ if per_row => values[i / classes],
        _ => values[i % classes],
    };
    Some((0..rows * classes).map(value).collect())
}

/// Runs a case of a loss of elements.
pub(crate) fn run_elements(case: &Case, backend: Backend) -> Result<(), Error> {
    let shape = &case.tensor("input").expect("every case has an input").shape;
    let classes = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / classes;
    let input = case.f32s("input").expect("every case has an input");
    let target = case.f32s("target").expect("a target");
    // Sums over rows are those of one row each.
    let (rows, calls) = if case.text("reduction") == Some("row_sum") { (1, rows) } else { (rows, 1) };
    let reduction = match case.text("reduction") {
        Some("none") => ElementReduction::None,
        Some("sum" | "row_sum") => ElementReduction::Sum,
        Some("mean") => ElementReduction::Mean,
        Some("batchmean") => ElementReduction::BatchMean,
        other => panic!("{}: reduction {other:?}", case.name),
    };
    let matrix = |name| broadcast(case, name, rows, classes);
    let (weights, positive) = (matrix("weight"), matrix("pos_weight"));
    let grad_out = case.f32s("grad_out");
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for call in 0..calls {
        let part = |values: &[f32]| values[call * rows * classes..][..rows * classes].to_vec();
        let (input, target) = (part(&input), part(&target));
        let view = |values| Rows::new(values, rows, classes);
        let inputs = Rows::new(&input, rows, classes)?.with_backend(backend);
        let upstream = grad_out.clone().filter(|upstream| upstream.len() == rows * classes && calls == 1);
        macro_rules! run {
            ($loss:expr) => {{
                let mut loss = $loss.reduction(reduction);
                if let Some(weights) = &weights {
                    loss = loss.weights(view(weights)?);
                }
                if let Some(upstream) = &upstream {
                    loss = loss.upstream_elements(view(upstream)?);
                } else if let Some(upstream) = &grad_out {
                    loss = loss.upstream(upstream[call]);
                }
                loss.loss_and_gradient(view(&target)?, inputs)?
            }};
        }
        let (loss, slope) = if case.op == "kl_div" {
            run!(KlDivergence::new().log_targets(case.flag("log_target")))
        } else if let Some(positive) = &positive {
            run!(BinaryCrossEntropy::new().pos_weight(view(positive)?))
        } else {
            run!(BinaryCrossEntropy::new())
        };
        if reduction == ElementReduction::None {
            losses.extend(loss.values);
        } else {
            losses.push(loss.value);
        }
        gradient.extend(slope);
    }
    case.expect("loss", &losses);
    case.expect("grad_input", &gradient);
    Ok(())
}

/// Runs a case of a loss of rows.
pub(crate) fn run_rows(case: &Case, backend: Backend) -> Result<(), Error> {
    let layout = Layout::of(case);
    let tensor = |name| case.f32s(name).map(|values| layout.arranged(values));
    let input = tensor("input").expect("every case has an input");
    #[expect(clippy::cast_possible_truncation, reason = "they were integers")]
    let labels: Option<Vec<i64>> =
        case.tensor("labels").map(|labels| labels.values.iter().map(|&label| label as i64).collect());
    let (dense, weights, upstream) = (tensor("dense_labels"), case.f32s("weight"), case.f32s("grad_out"));
    let inputs = layout.view(&input, backend)?;
    let reduction = match case.text("reduction") {
        Some("none") => Reduction::None,
        Some("sum") => Reduction::Sum,
        Some("mean") => Reduction::Mean,
        other => panic!("{}: reduction {other:?}", case.name),
    };
    let targets: Targets<'_> = match (&labels, &dense) {
        (Some(labels), _) => labels.into(),
        (None, Some(dense)) => layout.view(dense, backend)?.into(),
        (None, None) => panic!("{}: no labels", case.name),
    };
    macro_rules! run {
        ($loss:expr, $targets:expr) => {{
            let mut loss = $loss.reduction(reduction);
            if let Some(weights) = &weights {
                loss = loss.class_weights(weights)?;
            }
            if let Some(label) = case.integer("ignore_index") {
                loss = loss.ignore_index(label);
            }
            if let Some(upstream) = &upstream {
                loss = loss.upstream(upstream);
            }
            loss.loss_and_gradient($targets, inputs)?
        }};
    }
    let (loss, gradient) = match case.op.as_str() {
        "multi_margin" | "svm_hinge" => {
            #[expect(clippy::cast_possible_truncation, reason = "margins were f32")]
            let margin = case.number("margin").unwrap_or(1.0) as f32;
            let power = if case.integer("p") == Some(2) { HingePower::Squared } else { HingePower::Linear };
            let hinge = Hinge::new().margin(margin)?.power(power).per_class(case.op == "multi_margin");
            run!(hinge, labels.as_ref().expect("hinges have labels"))
        }
        "nll_loss" => {
            run!(NegativeLogLikelihood::of_log_probabilities().denominator(Denominator::Weights)?, targets)
        }
        _ => {
            let normalise = match case.text("normalise") {
                Some("before_clip") => Normalise::BeforeClipping,
                Some("after_clip") => Normalise::AfterClipping,
                other => panic!("{}: normalise {other:?}", case.name),
            };
            let clip = case.number("clip").unwrap_or(0.0);
            let epsilon = case.number("label_smoothing").unwrap_or(0.0);
            let loss = NegativeLogLikelihood::of_probabilities(clip, normalise)?;
            run!(loss.label_smoothing(epsilon, Smoothing::Uniform)?, targets)
        }
    };
    for output in &case.outputs {
        match output.as_str() {
            "loss" if reduction == Reduction::None => case.expect("loss", &loss.rows),
            "loss" => case.expect("loss", &[loss.summary.value]),
            "grad_input" => case.expect("grad_input", &layout.tensor_of(&gradient)),
            other => panic!("{}: output {other}", case.name),
        }
    }
    Ok(())
}
