//! Cross-entropy, its reductions and its gradients against the f64 reference, within the bounds of the
//! numeric contract, on every backend and by every path.

use crate::common::paths::{Evaluated, Strided, every_loss_path, every_row_path};
use crate::common::property::{Errors, Want, for_all};
use crate::common::strategies::{Logits, Matrix, Options, all_logits, distributions, labels, options};
use crate::common::{assert_same_bits, backends, bound, contract, reference, same_bits, ulp};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use xent::{
    Backend, CrossEntropy, Labels, Reduction, Rows, Targets, softmax_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_into, sparse_softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits_into,
};

/// The label of ignored rows.
const IGNORED: i64 = -100;

/// Logits with one class for each row, or none, where the row is ignored.
fn sparse() -> impl Strategy<Value = (Logits, Vec<i64>, Options)> {
    all_logits().prop_flat_map(|logits| {
        let rows = logits.matrix.rows;
        let used = prop::collection::vec(prop::bool::weighted(0.9), rows);
        let labels = (labels(&logits.matrix), used).prop_map(|(labels, used)| {
            let label = |(label, used)| if used { i64::try_from(label).expect("a class") } else { IGNORED };
            labels.into_iter().zip(used).map(label).collect()
        });
        (Just(logits), labels, options(rows))
    })
}

/// Logits with a distribution for each row.
fn dense() -> impl Strategy<Value = (Logits, Matrix, Options)> {
    all_logits().prop_flat_map(|logits| {
        let (labels, options) = (distributions(&logits.matrix), options(logits.matrix.rows));
        (Just(logits), labels, options)
    })
}

/// A loss: within its bound, and never -0.
#[track_caller]
fn check_loss(errors: &Errors, what: &'static str, backend: Backend, loss: f32, want: f64) {
    errors.within(contract::LOSS, what, backend, loss, want);
    assert!(loss != 0.0 || loss.is_sign_positive(), "{what} on {backend}: -0");
}

/// The reduced loss: that of the row losses before they are rounded, of each of which that is half a unit.
fn check_summary(options: &Options, evaluated: &Evaluated, used: usize) {
    let sum = evaluated.losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss));
    let value = if options.reduction == Reduction::Mean { sum / ulp::count(used) } else { sum };
    let got = f64::from(evaluated.summary.value);
    // What would be subnormal is 0.
    let near = (got - value).abs() <= value.abs() * f64::from(f32::EPSILON) + f64::from(f32::MIN_POSITIVE);
    assert!(
        near || same_bits(evaluated.summary.value, ulp::round(value)),
        "the reduced loss: {got:e}, not {value:e}"
    );
    assert_eq!(evaluated.summary.used_rows, used);
}

#[test]
fn sparse_loss_and_gradient_are_within_their_bounds() {
    for_all(
        "sparse cross-entropy",
        sparse(),
        |(Logits { matrix, layout, .. }, labels, options), backend, errors| {
            let loss = options.loss().ignore_index(IGNORED);
            let targets = Targets::Sparse(Labels::from(labels));
            let evaluated = every_loss_path(loss, targets, matrix, *layout, backend);
            let used = labels.iter().filter(|&&label| label != IGNORED).count();
            check_summary(options, &evaluated, used);
            let gradients = evaluated.gradient.chunks(matrix.classes);
            for (row, (logits, gradient)) in matrix.iter().zip(gradients).enumerate() {
                let Ok(label) = usize::try_from(labels[row]) else {
                    // Ignored: never read, whatever it holds.
                    assert_same_bits("an ignored loss", &[evaluated.losses[row]], &[0.0]);
                    assert_same_bits("an ignored gradient", gradient, &vec![0.0; matrix.classes]);
                    continue;
                };
                check_loss(
                    errors,
                    "sparse loss",
                    backend,
                    evaluated.losses[row],
                    reference::sparse_loss(label, logits),
                );
                let factor = options.factor(row, used);
                for (i, (&got, want)) in
                    gradient.iter().zip(reference::sparse_gradient(label, logits)).enumerate()
                {
                    if i == label {
                        errors.within(
                            contract::AT_LABEL,
                            "sparse gradient at the label",
                            backend,
                            got,
                            want * factor,
                        );
                    } else {
                        errors.within(contract::GRADIENT, "sparse gradient", backend, got, want * factor);
                    }
                }
            }
        },
    );
}

#[test]
fn dense_loss_is_within_its_bound_and_its_gradient_of_its_larger_part() {
    for_all(
        "dense cross-entropy",
        dense(),
        |(Logits { matrix, layout, .. }, labels, options), backend, errors| {
            let strided = Strided::of(labels, *layout);
            let targets = Targets::Dense(strided.view(backend));
            let evaluated = every_loss_path(options.loss(), targets, matrix, *layout, backend);
            check_summary(options, &evaluated, matrix.rows);
            let gradients = evaluated.gradient.chunks(matrix.classes);
            for (row, ((logits, labels), gradient)) in
                matrix.iter().zip(labels.iter()).zip(gradients).enumerate()
            {
                check_loss(
                    errors,
                    "dense loss",
                    backend,
                    evaluated.losses[row],
                    reference::dense_loss(labels, logits),
                );
                let factor = options.factor(row, matrix.rows);
                let shares =
                    reference::softmax(logits).into_iter().map(|p| p * reference::mass(labels) * factor);
                let parts = shares.zip(labels.iter().map(|&t| f64::from(t) * factor));
                let want =
                    reference::dense_gradient(labels, logits).into_iter().zip(parts).map(|(want, (p, t))| {
                        let want = Want::from(want * factor).in_ulp_of(p.abs().max(t.abs()));
                        want.give_or_take(ulp::flushed(p))
                    });
                errors.all_within(contract::DENSE_GRADIENT, "dense gradient", backend, gradient, want);
            }
        },
    );
}

#[test]
fn label_gradient_is_within_its_bound() {
    let cases = all_logits().prop_flat_map(|logits| {
        let options = options(logits.matrix.rows);
        (Just(logits), options)
    });
    for_all("label gradient", cases, |(Logits { matrix, layout, .. }, options), backend, errors| {
        let logits = Strided::of(matrix, *layout);
        let loss = options.loss();
        let gradient = loss.label_gradient(logits.view(backend)).expect("a valid call");
        let mut into = Strided::unwritten(matrix.rows, matrix.classes, *layout);
        loss.label_gradient_into(logits.view(backend), into.view_mut(backend)).expect("a valid call");
        assert_same_bits("into a buffer", &into.into_values(), &gradient);
        for (row, (logits, gradient)) in matrix.iter().zip(gradient.chunks(matrix.classes)).enumerate() {
            let factor = options.factor(row, matrix.rows);
            // An upstream gradient of 0 makes 0 also of the infinite loss of a masked class.
            let times = |loss: f64| if factor == 0.0 && !loss.is_nan() { 0.0 } else { loss * factor };
            let want = reference::losses(logits).into_iter().map(times);
            errors.all_within(contract::LABEL_GRADIENT, "label gradient", backend, gradient, want);
        }
    });
}

#[test]
fn reduced_losses_are_as_good_as_their_rows() {
    for_all("reductions", sparse(), |(Logits { matrix, layout, .. }, labels, options), backend, errors| {
        let logits = Strided::of(matrix, *layout);
        let loss =
            options.loss().ignore_index(IGNORED).loss(labels, logits.view(backend)).expect("a valid call");
        let losses: Vec<_> = (matrix.iter().zip(labels))
            .filter_map(|(logits, &label)| Some(reference::sparse_loss(usize::try_from(label).ok()?, logits)))
            .collect();
        let by = if options.reduction == Reduction::Mean { ulp::count(losses.len()) } else { 1.0 };
        let want = losses.iter().sum::<f64>() / by;
        // No loss is negative: the error of the sum is at most that of all rows, each at its bound, and half
        // an ULP for the rounding of the result.
        let rows: f64 = losses.iter().filter(|loss| loss.is_finite()).map(|&loss| ulp::size(loss)).sum();
        let want = Want::from(want).give_or_take(bound(backend, contract::LOSS) * rows / by);
        errors.within(0.5, "reduced loss, beyond its rows'", backend, loss.summary.value, want);
    });
}

#[test]
fn the_two_functions_give_the_losses_of_cross_entropy() {
    let cases = all_logits().prop_flat_map(|logits| {
        let targets = (labels(&logits.matrix), distributions(&logits.matrix));
        (Just(logits), targets)
    });
    for_all("functions", cases, |(Logits { matrix, layout, .. }, (classes, distributions)), backend, _| {
        let logits = Strided::of(matrix, *layout);
        let loss = CrossEntropy::new();
        let sparse = every_row_path(
            matrix,
            *layout,
            backend,
            same_bits,
            |logits| sparse_softmax_cross_entropy_with_logits(classes, logits),
            |logits, losses| sparse_softmax_cross_entropy_with_logits_into(classes, logits, losses),
        );
        let same = loss.loss(classes, logits.view(backend)).expect("a valid call").rows;
        assert_same_bits("sparse losses", &sparse, &same);
        let strided = Strided::of(distributions, *layout);
        let labels = strided.view(backend);
        let dense = every_row_path(
            matrix,
            *layout,
            backend,
            same_bits,
            |logits| softmax_cross_entropy_with_logits(labels, logits),
            |logits, losses| softmax_cross_entropy_with_logits_into(labels, logits, losses),
        );
        let same = loss.loss(labels, logits.view(backend)).expect("a valid call").rows;
        assert_same_bits("dense losses", &dense, &same);
    });
}

#[test]
fn tiny_losses_of_a_row_that_threads_share_are_as_accurate() {
    // Wherever the label is: its block is added up again without it, and no other.
    const CLASSES: usize = 200_001;
    let pool = ThreadPoolBuilder::new().num_threads(4).build().expect("threads");
    let errors = Errors::default();
    for label in [0, 511, 16_384, 40_000, 120_000, CLASSES - 1] {
        let mut row: Vec<f32> = (0_u16..101).map(|i| f32::from(i) / -64.0).cycle().take(CLASSES).collect();
        row[label] = 40.0;
        let want = reference::sparse_loss(label, &row);
        for backend in backends() {
            let logits = Rows::new(&row, 1, CLASSES).expect("a row").with_backend(backend);
            let loss = pool.install(|| sparse_softmax_cross_entropy_with_logits(&[label], logits));
            check_loss(&errors, "a long row's loss", backend, loss.expect("a valid call")[0], want);
        }
    }
    errors.report("long rows");
}
