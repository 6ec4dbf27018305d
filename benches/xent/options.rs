//! Options of the loss beside the bare one, statistics, and the losses beside cross-entropy: on one shape that is in
//! cache and has enough classes for its rows to be read one after the other, and one of few classes.

use criterion::Criterion;
use xent::{
    BinaryCrossEntropy, CrossEntropy, Error, Hinge, KlDivergence, NegativeLogLikelihood, Normalise, Rows,
    RowsMut, Smoothing, SquaredError, Statistics,
};

use crate::common::operations::Buffers;
use crate::plan::Case;

/// What every class, or row, counts for.
struct Given {
    weights: Vec<f32>,
    mask: Vec<bool>,
}

/// A name, and the loss with its gradient.
type Named<'a> = (&'static str, Box<dyn Fn() -> Result<CrossEntropy<'a>, Error> + Sync + 'a>);

fn options(given: &Given) -> Vec<Named<'_>> {
    vec![
        ("none", Box::new(|| Ok(CrossEntropy::new()))),
        ("class_weights", Box::new(|| CrossEntropy::new().class_weights(&given.weights))),
        ("label_smoothing", Box::new(|| CrossEntropy::new().label_smoothing(0.1, Smoothing::Uniform))),
        ("z_loss", Box::new(|| CrossEntropy::new().z_loss(1e-4))),
        ("class_mask", Box::new(|| Ok(CrossEntropy::new().class_mask(&given.mask)))),
        ("temperature", Box::new(|| CrossEntropy::new().temperature(2.0))),
        ("soft_cap", Box::new(|| CrossEntropy::new().soft_cap(30.0))),
    ]
}

pub fn bench(criterion: &mut Criterion, case: &mut Case) {
    let classes = case.shape.classes;
    let given = Given {
        weights: (0..classes).map(|class| if class % 2 == 0 { 1.5 } else { 0.5 }).collect(),
        mask: (0..classes).map(|class| class % 8 != 7).collect(),
    };
    for (name, option) in options(&given) {
        let loss = option().expect("the option is valid");
        case.measure(
            criterion,
            ("options", name),
            2,
            |_| {},
            |buffers| {
                with_views(buffers, |labels, _, logits, losses, gradient| {
                    loss.loss_and_gradient_into(labels, logits, losses, gradient).map(drop)
                });
            },
        );
    }
    statistics(criterion, case);
    family(criterion, case);
}

/// Runs a call with the buffers as views: labels, distributions, logits, a value for each row, a gradient.
fn with_views(
    buffers: &mut Buffers,
    call: impl FnOnce(&[u32], Rows<'_>, Rows<'_>, &mut [f32], RowsMut<'_>) -> Result<(), Error>,
) {
    let (rows, classes) = (buffers.shape.rows, buffers.shape.classes);
    let run = || {
        let distributions = Rows::new(&buffers.distributions, rows, classes)?;
        let logits = Rows::new(&buffers.logits, rows, classes)?;
        let gradient = RowsMut::new(&mut buffers.results, rows, classes)?;
        call(&buffers.labels, distributions, logits, &mut buffers.row_results, gradient)
    };
    run().expect("the inputs are valid");
}

fn statistics(criterion: &mut Criterion, case: &mut Case) {
    for (name, all) in [("log_probability", false), ("argmax_and_entropy", true)] {
        case.measure(
            criterion,
            ("statistics", name),
            1,
            |_| {},
            |buffers| {
                let Buffers { row_indices, results, .. } = buffers;
                let (mut indices, mut entropy) = (core::mem::take(row_indices), core::mem::take(results));
                let rows = buffers.shape.rows;
                let logits = Rows::new(&buffers.logits, rows, buffers.shape.classes).expect("a matrix");
                let mut wanted = Statistics::new().log_probability(&mut buffers.row_results);
                if all {
                    wanted = wanted.argmax(&mut indices).entropy(&mut entropy[..rows]);
                }
                let done = CrossEntropy::new().statistics_into(&buffers.labels, logits, wanted);
                done.expect("the inputs are valid");
                (buffers.row_indices, buffers.results) = (indices, entropy);
            },
        );
    }
}

/// Losses of rows with their gradients, and of elements.
fn family(criterion: &mut Criterion, case: &mut Case) {
    let mut measure = |name, run: &(dyn Fn(&mut Buffers) + Sync)| {
        case.measure(criterion, ("family", name), 3, |_| {}, run);
    };
    measure("hinge", &|buffers| {
        with_views(buffers, |labels, _, logits, losses, gradient| {
            Hinge::new().loss_and_gradient_into(labels, logits, losses, gradient).map(drop)
        });
    });
    measure("negative_log_likelihood", &|buffers| {
        with_views(buffers, |labels, distributions, _, losses, gradient| {
            NegativeLogLikelihood::of_probabilities(1e-7, Normalise::Never)?
                .loss_and_gradient_into(labels, distributions, losses, gradient)
                .map(drop)
        });
    });
    // Of elements, without the gradient: there is one buffer.
    macro_rules! elements {
        ($name:literal, $loss:expr) => {
            measure($name, &|buffers| {
                with_views(buffers, |_, targets, inputs, _, losses| {
                    $loss.loss_into(targets, inputs, losses).map(drop)
                });
            });
        };
    }
    elements!("binary_cross_entropy", BinaryCrossEntropy::new());
    elements!("kl_divergence", KlDivergence::new());
    elements!("squared_error", SquaredError::new());
}
