//! How far from the exact result: terms, sums, losses, gradients, tiny losses.

use core::f32::consts::LN_2;

use fastrand::Rng;
use xent::{Backend, CrossEntropy, LogSumExp, log_softmax, log_sum_exp, softmax};

use crate::common::property::{Errors, Want};
use crate::common::strategies::{Base, Recipe, normal};
use crate::common::{assert_same_bits, backends, bound, contract, reference, ulp};
use crate::{dense, is_plus_zero, one_hot, rows, sparse};

/// Two classes, 0 and `x` below it: the softmax is the term, over 1 and the term.
fn probabilities_beside_zero(xs: &[f32], backend: Backend) -> Vec<f32> {
    let pairs: Vec<f32> = xs.iter().flat_map(|&x| [0.0, x]).collect();
    softmax(rows(&pairs, 2, backend)).unwrap().into_iter().skip(1).step_by(2).collect()
}

/// `e^x / (1 + e^x)`, for `x` at most 0.
fn logistic(x: f32) -> f64 {
    let term = f64::from(x).exp();
    term / (1.0 + term)
}

#[test]
fn terms_are_accurate_at_any_distance() {
    // Every 997th f32 (a prime, so that no bit pattern is favoured) of -87.3 .. -2^-24, where the result
    // is a normal number; nearer to 0 it is 1/2.
    let bits = (2.0_f32.powi(-24).to_bits()..87.3_f32.to_bits()).step_by(997);
    let xs: Vec<f32> = bits.map(|bits| -f32::from_bits(bits)).collect();
    let errors = Errors::default();
    for backend in backends() {
        let got = probabilities_beside_zero(&xs, backend);
        let want = xs.iter().map(|&x| logistic(x));
        errors.all_within(contract::SOFTMAX, "softmax of [0, x]", backend, &got, want);
    }
    errors.report("terms");
}

#[test]
fn terms_below_the_smallest_normal_flush_to_plus_zero() {
    // ln of the smallest normal number is -87.336; every 10007th f32 below it (a prime).
    let xs: Vec<f32> =
        (0..f32::INFINITY.to_bits()).step_by(10_007).map(|bits| -87.337 - f32::from_bits(bits)).collect();
    let and_far = [-1e3, -1e10, -1e38, f32::MIN, f32::NEG_INFINITY];
    for backend in backends() {
        for (x, p) in
            xs.iter().chain(&and_far).zip(probabilities_beside_zero(&[&xs[..], &and_far].concat(), backend))
        {
            assert!(is_plus_zero(p), "{backend}: {p:e} at {x}");
        }
    }
}

#[test]
fn a_term_of_nan_is_nan_and_of_minus_infinity_is_zero() {
    for backend in backends() {
        let p = softmax(rows(&[0.0, f32::NEG_INFINITY, 0.0, f32::NAN], 2, backend)).unwrap();
        assert!(p[0].to_bits() == 1.0_f32.to_bits() && is_plus_zero(p[1]), "{backend}: {p:?}");
        assert!(p[2].is_nan() && p[3].is_nan(), "{backend}: {p:?}");
    }
}

#[test]
fn errors_do_not_grow_with_the_number_of_classes() {
    let errors = Errors::default();
    for classes in [10, 1_000, 100_000, 1_000_000] {
        let mut rng = Rng::with_seed(5);
        let flat = vec![0.3; classes];
        let random: Vec<f32> = (0..classes).map(|_| normal(&mut rng) * 3.0).collect();
        for (row, what) in [(flat, "flat rows"), (random, "random rows")] {
            let (want, p) = (reference::log_sum_exp(&row), reference::softmax(&row));
            let loss = reference::sparse_loss(7, &row);
            for backend in backends() {
                let logits = rows(&row, classes, backend);
                let sum = log_sum_exp(logits).unwrap()[0];
                errors.within(contract::LOG_SUM_EXP, what, backend, sum, want);
                // A sum in f32 alone would be off by hundreds of ULP.
                errors.all_within(
                    contract::SOFTMAX,
                    what,
                    backend,
                    &softmax(logits).unwrap(),
                    p.iter().copied(),
                );
                errors.within(contract::LOSS, what, backend, sparse(&row, 7, backend).0, loss);
                let uniform = vec![1.0 / 4096.0; classes];
                let loss = reference::dense_loss(&uniform, &row);
                errors.within(contract::LOSS, what, backend, dense(&row, &uniform, backend).0, loss);
            }
        }
    }
    errors.report("10 to 1 000 000 classes");
}

/// Holds a log-sum-exp to its bound, in units of the larger of it and the row's largest logit.
fn log_sum_exp_is_within(errors: &Errors, row: &[f32], backend: Backend) {
    let want = Want::from(reference::log_sum_exp(row)).in_ulp_of(reference::row_max(row));
    let got = log_sum_exp(rows(row, row.len(), backend)).unwrap()[0];
    errors.within(contract::LOG_SUM_EXP, "log-sum-exp", backend, got, want);
}

/// Rows whose classes repeat a few logits, so that what each addition to a lane's sum rounds away is the same every time:
/// errors that are as often positive as negative elsewhere add up here.
#[test]
fn errors_do_not_add_up_in_rows_that_repeat_themselves() {
    let errors = Errors::default();
    let mut rng = Rng::with_seed(6);
    let lengths = [64, 100, 257, 512, 1000, 5000, 16_384, 32_768, 40_000];
    for (i, classes) in lengths.into_iter().cycle().take(36 * lengths.len()).enumerate() {
        let period = [1, 2, 16, 32, 64][i % 5];
        let (top, spread) = (20.0 * rng.f32() - 10.0, [0.0, 5.0, 12.0, 17.0][i % 4]);
        let few: Vec<f32> = (0..period).map(|_| top - spread * rng.f32()).collect();
        let row: Vec<f32> = few.iter().copied().cycle().take(classes).collect();
        let p = reference::softmax(&row);
        for backend in backends() {
            let got = softmax(rows(&row, classes, backend)).unwrap();
            let want = p[..period].iter().copied();
            errors.all_within(contract::SOFTMAX, "probabilities", backend, &got[..period], want);
            log_sum_exp_is_within(&errors, &row, backend);
        }
    }
    errors.report("rows that repeat themselves");
}

/// Ordinary rows at the lengths of models: the bounds of the table's two lines, each result once.
#[test]
fn log_sum_exp_losses_softmax_and_gradients_are_within_their_bounds() {
    let errors = Errors::default();
    for (seed, classes) in (0..).zip([10, 64, 1000, 32_000]) {
        let base = Base::Normal(4.0);
        let recipe = Recipe { base, confident: None, ties: false, offset: 0.0, masked: 0.0, seed };
        let row = recipe.cook(classes);
        let label = classes / 3;
        for backend in backends() {
            let logits = rows(&row, classes, backend);
            log_sum_exp_is_within(&errors, &row, backend);
            let (loss, mut gradient) = sparse(&row, label, backend);
            errors.within(contract::LOSS, "loss", backend, loss, reference::sparse_loss(label, &row));
            let mut want = reference::sparse_gradient(label, &row);
            errors.within(contract::AT_LABEL, "gradient at the label", backend, gradient[label], want[label]);
            gradient.swap_remove(label);
            want.swap_remove(label);
            errors.all_within(contract::GRADIENT, "gradient", backend, &gradient, want);
            let p = softmax(logits).unwrap();
            errors.all_within(contract::SOFTMAX, "softmax", backend, &p, reference::softmax(&row));
            let z = log_softmax(logits).unwrap();
            errors.all_within(
                contract::LOG_SOFTMAX,
                "log-softmax",
                backend,
                &z,
                reference::log_softmax(&row),
            );
        }
    }
    errors.report("ordinary rows");
}

#[test]
fn log_sum_exp_near_zero_is_within_its_bound_of_the_larger_of_it_and_the_row_maximum() {
    let errors = Errors::default();
    for top in [0.0, 1e-30, 1e-12, -1e-12, 3e-9, -4e-6, 0.01, -0.3] {
        for gap in [0.5, 5.0, 10.0, 20.0, 30.0, 40.0, 80.0] {
            for row in [vec![top], vec![top, top - gap], vec![top - gap, -1e3, top]] {
                let want = Want::from(reference::log_sum_exp(&row)).in_ulp_of(reference::row_max(&row));
                for backend in backends() {
                    let sum = log_sum_exp(rows(&row, row.len(), backend)).unwrap()[0];
                    errors.within(contract::LOG_SUM_EXP, "log-sum-exp near 0", backend, sum, want);
                }
            }
        }
    }
}

/// A label this far above the others, in a row of this many classes: the loss is about
/// `(classes - 1) e^-gap`. The label stands in the first, a middle or the last block.
fn confident_rows() -> impl Iterator<Item = (Vec<f32>, usize)> {
    let gaps = (1..175_u8).map(|half| f32::from(half) / 2.0);
    let shapes = gaps.zip([2, 3, 17, 64, 511, 513, 1500].into_iter().cycle());
    shapes.chain([(87.3, 2), (87.33, 2)]).flat_map(|(gap, classes)| {
        [0, classes / 2, classes - 1].map(|label| {
            let mut row = vec![1.25; classes];
            row[label] += gap;
            (row, label)
        })
    })
}

#[test]
fn tiny_losses_are_accurate_down_to_the_smallest_normal() {
    let errors = Errors::default();
    let mut smallest = f64::INFINITY;
    for (row, label) in confident_rows() {
        let want = reference::sparse_loss(label, &row);
        smallest = smallest.min(want);
        for backend in backends() {
            let (loss, gradient) = sparse(&row, label, backend);
            errors.within(contract::LOSS, "sparse loss", backend, loss, want);
            let others = reference::sparse_gradient(label, &row)[label];
            errors.within(contract::AT_LABEL, "gradient at the label", backend, gradient[label], others);
            let (loss, _) = dense(&row, &one_hot(label, row.len()), backend);
            errors.within(contract::LOSS, "dense loss", backend, loss, want);
            let z = log_softmax(rows(&row, row.len(), backend)).unwrap();
            errors.within(contract::LOG_SOFTMAX, "log-softmax", backend, z[label], -want);
        }
    }
    assert!(smallest < 1.01 * f64::from(f32::MIN_POSITIVE), "the rows end at a loss of {smallest:e}");
    errors.report("tiny losses");
}

#[test]
fn losses_below_the_smallest_normal_are_tiny_or_zero_and_never_negative() {
    for backend in backends() {
        for gap in [87.5, 95.0, 103.0, 104.5, 120.0, 150.0, 200.0, 400.0, 1e5, 1e30] {
            for row in [[gap, 0.0], [0.0, -gap], [1e3, 1e3 - gap]] {
                for loss in [sparse(&row, 0, backend).0, dense(&row, &[1.0, 0.0], backend).0] {
                    assert!(
                        loss.is_sign_positive() && loss <= f32::MIN_POSITIVE,
                        "{backend}: {loss:e} at {row:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn log_sum_exps_of_rows_next_to_each_other_are_those_of_the_rows_alone() {
    // Next to 0 with one class that has nearly all and with two that share it, and far from 0.
    let each = [[0.0, -30.0], [-LN_2, -LN_2], [1e-12, -20.0], [-LN_2, -0.6934], [5.0, -20.0]];
    let batch: Vec<f32> = each.iter().cycle().take(37).flatten().copied().collect();
    let errors = Errors::default();
    for backend in backends() {
        let got = log_sum_exp(rows(&batch, 2, backend)).unwrap();
        for (row, sum) in batch.chunks(2).zip(got) {
            let alone = log_sum_exp(rows(row, 2, backend)).unwrap();
            assert_same_bits("a log-sum-exp", &[sum], &alone);
            let want = Want::from(reference::log_sum_exp(row)).in_ulp_of(reference::row_max(row));
            errors.within(contract::LOG_SUM_EXP, "log-sum-exp next to others", backend, sum, want);
        }
    }
}

#[test]
fn a_probability_next_to_the_smallest_normal_is_normal_or_0() {
    // Rows whose last class has the probability nearest to it that an f32 logit gives: up to 4e-6 of itself off.
    let mut random = Rng::with_seed(5);
    let smallest = f64::from(f32::MIN_POSITIVE);
    let logits: Vec<f32> = (0..8000)
        .flat_map(|_| {
            let y = -16.0 * random.f32();
            let x = smallest.ln() + f64::from(y).exp().ln_1p();
            #[expect(clippy::cast_possible_truncation, reason = "a logit")]
            [0.0, y, x as f32]
        })
        .collect();
    for backend in backends() {
        let got = softmax(rows(&logits, 3, backend)).unwrap();
        let labels = vec![0_u8; got.len() / 3];
        let (_, gradient) =
            CrossEntropy::new().loss_and_gradient(&labels, rows(&logits, 3, backend)).expect("classes");
        for (row, (p, g)) in logits.chunks(3).zip(got.chunks(3).zip(gradient.chunks(3))) {
            let want = reference::softmax(row)[2];
            for got in [p[2], g[2]] {
                assert!(is_plus_zero(got) || got.is_normal(), "{backend}: {got:e} for {want:e}");
                assert!(!is_plus_zero(got) || want < smallest * (1.0 + 4e-7), "{backend}: 0 for {want:e}");
            }
        }
    }
}

/// The value of a saved sum keeps more than f32 can say.
#[test]
fn a_log_sum_exp_in_f64_is_accurate_beyond_f32() {
    let mut rng = Rng::with_seed(9);
    for classes in [3, 100, 10_000] {
        let row: Vec<f32> = (0..classes).map(|_| normal(&mut rng) * 3.0).collect();
        let error = (LogSumExp::of(&row).unwrap().to_f64() - reference::log_sum_exp(&row)).abs();
        // An ULP of the largest term, which holds at least 1/classes of the sum, as a logarithm.
        assert!(error < f64::from(f32::EPSILON), "off by {error:e}");
    }
}

/// The bounds of this file bite: an f32 evaluation of the textbook's formula is outside of them.
#[test]
fn the_textbook_in_f32_is_outside_of_the_bounds() {
    let x = [80.1_f32, 0.3];
    let term = (x[1] - x[0]).exp();
    assert!(
        ulp::error(term / (1.0 + term), reference::softmax(&x)[1])
            > bound(Backend::Portable, contract::SOFTMAX)
    );
    let x = [20.0_f32, 0.0];
    assert!(ulp::error((1.0 + (x[1] - x[0]).exp()).ln(), reference::sparse_loss(0, &x)) > 1e6);
}
