//! Gradients against central differences of the f64 loss, against the textbook's closed form, and in sum.
//!
//! Rows are short, so that every logit of every row can be moved.

use crate::common::paths::Strided;
use crate::common::property::for_all;
use crate::common::strategies::{
    Base, Logits, Matrix, Options, Recipe, distributions, labels, logits_of, options, recipe,
    upstream_of_results,
};
use crate::common::{bound, contract, reference, ulp};
use proptest::prelude::*;
use xent::{Backend, Rows, Targets, log_softmax, log_softmax_gradient, softmax, softmax_gradient};

/// How far a value is moved to either side.
const STEP: f64 = 1e-4;

/// What a central difference of `ln sum e^x` misses: `STEP^2 / 6` times the third derivative,
/// `p (1 - p) (1 - 2 p)`, which is below 0.1. That of a softmax and the sum of all in one row is below 0.3.
const TRUNCATION: f64 = STEP * STEP / 6.0;

/// What a difference over two steps makes of the rounding errors of an f64 sum over the classes.
fn rounding(classes: usize, size: f64) -> f64 {
    (ulp::count(classes) + 8.0) * f64::EPSILON * (1.0 + size.abs()) / STEP
}

/// The derivative of `of` with respect to each value of a row; 0 for -inf, which cannot be moved.
fn differences(row: &[f32], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
    let moved = |i: usize, x: f64| {
        let mut row = row.clone();
        row[i] = x;
        of(&row)
    };
    let derivative = |(i, &x): (usize, &f64)| {
        let (above, below) = (x + STEP, x - STEP);
        if x.is_infinite() { 0.0 } else { (moved(i, above) - moved(i, below)) / (above - below) }
    };
    row.iter().enumerate().map(derivative).collect()
}

/// `p_i sum(t) - t_i` as in the textbook.
fn textbook(labels: &[f32], row: &[f32]) -> Vec<f64> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = row.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).collect();
    let (sum, mass) = (exponentials.iter().sum::<f64>(), reference::mass(labels));
    exponentials.iter().zip(labels).map(|(e, &t)| e / sum * mass - f64::from(t)).collect()
}

/// Short rows of logits of a common size: differences over a step tell nothing of logits that are far larger.
fn short(masked: bool) -> impl Strategy<Value = Logits> {
    let common = move |(recipe, deviation): (Recipe, f32)| Recipe {
        base: Base::Normal(deviation),
        offset: 0.0,
        masked: if masked { recipe.masked } else { 0.0 },
        ..recipe
    };
    let recipe = (recipe(), 1.0_f32..10.0).prop_map(common).boxed();
    (1_usize..=67).prop_flat_map(move |classes| logits_of(classes, recipe.clone()))
}

/// The distribution that is all on one class.
fn one_hot(label: usize, classes: usize) -> Vec<f32> {
    (0..classes).map(|i| f32::from(i == label)).collect()
}

/// Logits, one class and one distribution per row.
fn targets() -> impl Strategy<Value = (Logits, Vec<usize>, Matrix, Options)> {
    short(true).prop_flat_map(|logits| {
        let (labels, distributions) = (labels(&logits.matrix), distributions(&logits.matrix));
        let options = options(logits.matrix.rows);
        (Just(logits), labels, distributions, options)
    })
}

/// The gradient with respect to the logits, row after row.
fn gradient(logits: &Logits, options: &Options, targets: Targets<'_>, backend: Backend) -> Vec<f32> {
    let strided = Strided::of(&logits.matrix, logits.layout);
    options.loss().loss_and_gradient(targets, strided.view(backend)).expect("a valid call").1
}

/// The sparse labels as distributions, with their gradient, and the dense ones with theirs: rows of
/// (logits, distribution, gradient, upstream factor).
fn for_each_row(
    (logits, labels, distributions, options): &(Logits, Vec<usize>, Matrix, Options),
    backend: Backend,
    mut check: impl FnMut(&[f32], &[f32], &[f32], f64),
) {
    let Matrix { rows, classes, .. } = logits.matrix;
    let one_hot: Vec<f32> = labels.iter().flat_map(|&label| one_hot(label, classes)).collect();
    let sparse = gradient(logits, options, labels.into(), backend);
    let view = Rows::new(&distributions.values, rows, classes).expect("a valid shape");
    let dense = gradient(logits, options, view.into(), backend);
    for (labels, gradient) in [(&one_hot, &sparse), (&distributions.values, &dense)] {
        let results = labels.chunks(classes).zip(gradient.chunks(classes));
        for (row, (logits, (labels, gradient))) in logits.matrix.iter().zip(results).enumerate() {
            check(logits, labels, gradient, options.factor(row, rows));
        }
    }
}

/// The contract's bound on a gradient in absolute terms, given its larger part.
fn of_contract(backend: Backend, larger: f64) -> f64 {
    // Results and shares below the smallest normal number flush to 0.
    bound(backend, contract::AT_LABEL) * ulp::size(larger) + f64::from(f32::MIN_POSITIVE)
}

#[track_caller]
fn assert_near(what: &str, backend: Backend, got: f32, want: f64, tolerance: f64) {
    let error = (f64::from(got) - want).abs();
    assert!(error <= tolerance, "{what} on {backend}: {got:e} for {want:e}, at most {tolerance:e} apart");
}

#[test]
fn loss_gradients_are_central_differences_and_the_closed_form() {
    for_all("gradients of the loss", targets(), |case, backend, _| {
        for_each_row(case, backend, |logits, labels, gradient, factor| {
            let loss = reference::dense_loss(labels, logits);
            let mass = reference::mass(labels);
            let differences = differences(logits, |row| reference::dense_loss(labels, row));
            let shares = reference::softmax(logits).into_iter().map(|p| p * mass);
            let closed = textbook(labels, logits);
            for (i, share) in shares.enumerate() {
                let larger = share.max(f64::from(labels[i])) * factor;
                let tolerance = of_contract(backend, larger);
                assert_near("closed form", backend, gradient[i], closed[i] * factor, tolerance);
                // A label on a masked class has an infinite loss, without differences.
                if loss.is_finite() {
                    let missed = (0.1 * TRUNCATION * mass + rounding(logits.len(), loss)) * factor.abs();
                    let want = differences[i] * factor;
                    assert_near("difference", backend, gradient[i], want, tolerance + missed);
                }
            }
        });
    });
}

#[test]
fn loss_gradients_of_a_row_sum_to_zero() {
    for_all("sums of gradients", targets(), |case, backend, _| {
        for_each_row(case, backend, |logits, labels, gradient, factor| {
            let mass = reference::mass(labels);
            // Exactly 0 for exact gradients, as shares sum to 1; so at most the sum of their errors. What
            // the f64 sums of the test itself lose is less than the smallest of them.
            let parts = reference::softmax(logits).into_iter().zip(labels);
            let larger = parts.map(|(p, &t)| (p * mass).max(f64::from(t)) * factor);
            let tolerance: f64 = larger.map(|larger| of_contract(backend, larger)).sum();
            let sum: f64 = gradient.iter().map(|&g| f64::from(g)).sum();
            assert_near("sum", backend, 0.0, sum, tolerance);
        });
    });
}

#[test]
fn confident_sparse_gradients_sum_to_zero_in_their_own_size() {
    let cases = short(false).prop_map(|mut logits| {
        // Everything but the label lies 20 below it or more: all gradients are below 1e-6.
        let classes = logits.matrix.classes;
        for row in logits.matrix.values.chunks_mut(classes) {
            let (label, max) = (reference::argmax(row), ulp::round(reference::row_max(row)));
            row[label] = max + 20.0;
        }
        logits
    });
    for_all("sums of confident gradients", cases, |logits, backend, _| {
        let labels: Vec<usize> = logits.matrix.iter().map(reference::argmax).collect();
        let options = Options { reduction: xent::Reduction::None, upstream: vec![1.0] };
        let gradient = gradient(logits, &options, (&labels).into(), backend);
        for (logits, (gradient, label)) in
            logits.matrix.iter().zip(gradient.chunks(logits.matrix.classes).zip(labels))
        {
            let want = reference::sparse_gradient(label, logits);
            let tolerance: f64 = want.iter().map(|&g| of_contract(backend, g)).sum();
            let sum: f64 = gradient.iter().map(|&g| f64::from(g)).sum();
            assert_near("sum", backend, 0.0, sum, tolerance);
        }
    });
}

#[test]
fn label_gradients_are_differences() {
    for_all("label gradients", targets(), |(logits, _, labels, options), backend, _| {
        let used = labels.rows;
        let strided = Strided::of(&logits.matrix, logits.layout);
        let gradient = options.loss().label_gradient(strided.view(backend)).expect("a valid call");
        let gradients = gradient.chunks(labels.classes);
        let rows = logits.matrix.iter().zip(labels.iter()).zip(gradients).enumerate();
        for (row, ((logits, labels), gradient)) in rows {
            let loss = reference::dense_loss(labels, logits);
            let factor = options.factor(row, used);
            let differences = differences(labels, |labels| reference::dense_loss(labels, logits));
            for ((&got, want), x) in gradient.iter().zip(differences).zip(logits) {
                // The loss has no differences where a masked class has a label, or would get one.
                if loss.is_finite() && x.is_finite() {
                    let tolerance =
                        of_contract(backend, want * factor) + rounding(logits.len(), loss) * factor.abs();
                    assert_near("label gradient", backend, got, want * factor, tolerance);
                }
            }
        }
    });
}

/// Logits, and an upstream gradient for everything that is made of them.
fn with_upstream(masked: bool) -> impl Strategy<Value = (Logits, Matrix)> {
    short(masked).prop_flat_map(|logits| {
        let upstream = upstream_of_results(logits.matrix.rows, logits.matrix.classes);
        (Just(logits), upstream)
    })
}

/// Compares the gradient through an operation with the differences of `sum g_i of(x)_i`. `output_error` is
/// what the error of the f32 output, at its bound, makes of the gradient of a class of probability `p`.
fn check_through(
    (logits, upstream): &(Logits, Matrix),
    backend: Backend,
    gradient: impl Fn(Rows<'_>, Rows<'_>) -> Vec<f32>,
    of: impl Fn(&[f64]) -> Vec<f64>,
    output_error: impl Fn(f64, &[f32]) -> f64,
) {
    let x = Strided::of(&logits.matrix, logits.layout);
    let g = Strided::of(upstream, logits.layout);
    let dx = gradient(x.view(backend), g.view(backend));
    let results = upstream.iter().zip(dx.chunks(upstream.classes));
    for (x, (g, dx)) in logits.matrix.iter().zip(results) {
        let want = differences(x, |x| of(x).iter().zip(g).map(|(y, &g)| y * f64::from(g)).sum());
        let pull = g.iter().fold(0.0, |max, &g| f64::from(g).abs().max(max));
        let sum = reference::mass(g).abs();
        // Outputs are at most this far from 0.
        let size = reference::losses(x).into_iter().filter(|z| z.is_finite()).sum::<f64>();
        let missed = 0.3 * TRUNCATION * pull.max(sum) + rounding(x.len(), size) * pull;
        for (i, (p, &want)) in reference::softmax(x).into_iter().zip(&want).enumerate() {
            let larger = want.abs().max(f64::from(g[i]).abs()).max(p * sum);
            let tolerance = of_contract(backend, larger) + output_error(p, g) + missed;
            assert_near("gradient", backend, dx[i], want, tolerance);
        }
    }
}

#[test]
fn softmax_gradients_are_central_differences() {
    for_all("gradients of softmax", with_upstream(true), |case, backend, _| {
        let gradient = |x: Rows<'_>, g: Rows<'_>| {
            let y = softmax(x).expect("a valid call");
            let y = Rows::new(&y, x.rows(), x.classes()).expect("a valid shape");
            softmax_gradient(y.with_backend(backend), g).expect("a valid call")
        };
        // y_i (g_i - sum y_j g_j): once in y_i, which two values up to the largest g are multiplied by, and
        // once in the sum.
        let relative = bound(backend, contract::SOFTMAX) * f64::from(f32::EPSILON);
        let output_error = |p: f64, g: &[f32]| {
            3.0 * relative * p * g.iter().fold(0.0, |max, &g| f64::from(g).abs().max(max))
        };
        check_through(case, backend, gradient, reference::softmax, output_error);
    });
}

#[test]
fn log_softmax_gradients_are_central_differences() {
    // Without masked classes: -inf times their upstream gradient has no differences.
    for_all("gradients of log-softmax", with_upstream(false), |case, backend, _| {
        let gradient = |x: Rows<'_>, g: Rows<'_>| {
            let z = log_softmax(x).expect("a valid call");
            let z = Rows::new(&z, x.rows(), x.classes()).expect("a valid shape");
            log_softmax_gradient(z.with_backend(backend), g).expect("a valid call")
        };
        // e^z sum(g), with z = ln p off by so many units of its own size.
        let relative = bound(backend, contract::LOG_SOFTMAX) * f64::from(f32::EPSILON);
        let output_error = |p: f64, g: &[f32]| {
            let z = p.max(f64::MIN_POSITIVE).ln();
            relative * p * z.abs() * reference::mass(g).abs()
        };
        check_through(case, backend, gradient, reference::log_softmax, output_error);
    });
}
