//! Softmax, log-softmax, log-sum-exp, maxima and the gradients through them against the f64 reference,
//! within the bounds of the numeric contract, on every backend and by every path.

use crate::common::paths::{Strided, every_path, every_row_path};
use crate::common::property::{Want, for_all};
use crate::common::strategies::{Logits, Matrix, all_logits, upstream_of_results};
use crate::common::{assert_same_bits, contract, reference, same_bits, ulp};
use proptest::prelude::*;
use xent::{
    argmax, argmax_into, log_softmax, log_softmax_gradient, log_softmax_gradient_in_place,
    log_softmax_gradient_into, log_softmax_in_place, log_softmax_into, log_sum_exp, log_sum_exp_into,
    row_max, row_max_into, softmax, softmax_gradient, softmax_gradient_in_place, softmax_gradient_into,
    softmax_in_place, softmax_into,
};

#[test]
fn softmax_is_within_its_bound() {
    for_all("softmax", all_logits(), |Logits { matrix, layout, .. }, backend, errors| {
        let p = every_path(matrix, *layout, backend, softmax, softmax_into, softmax_in_place);
        for (logits, p) in matrix.iter().zip(p.chunks(matrix.classes)) {
            errors.all_within(contract::SOFTMAX, "softmax", backend, p, reference::softmax(logits));
            assert!(p.iter().all(|p| p.is_nan() || p.is_sign_positive()), "a negative zero");
        }
    });
}

#[test]
fn log_softmax_is_within_its_bound_also_next_to_zero() {
    for_all("log-softmax", all_logits(), |Logits { matrix, layout, .. }, backend, errors| {
        let z = every_path(matrix, *layout, backend, log_softmax, log_softmax_into, log_softmax_in_place);
        for (logits, z) in matrix.iter().zip(z.chunks(matrix.classes)) {
            errors.all_within(
                contract::LOG_SOFTMAX,
                "log-softmax",
                backend,
                z,
                reference::log_softmax(logits),
            );
        }
    });
}

#[test]
fn log_sum_exp_is_within_its_bound_of_the_larger_of_it_and_the_maximum() {
    for_all("log-sum-exp", all_logits(), |Logits { matrix, layout, .. }, backend, errors| {
        let sums = every_row_path(matrix, *layout, backend, same_bits, log_sum_exp, log_sum_exp_into);
        for (logits, sum) in matrix.iter().zip(sums) {
            let (want, max) = (reference::log_sum_exp(logits), reference::row_max(logits));
            errors.within(
                contract::LOG_SUM_EXP,
                "log-sum-exp",
                backend,
                sum,
                Want::from(want).in_ulp_of(max),
            );
        }
    });
}

#[test]
fn row_max_and_argmax_are_exact() {
    for_all("row maximum", all_logits(), |Logits { matrix, layout, .. }, backend, _| {
        let maxima = every_row_path(matrix, *layout, backend, same_bits, row_max, row_max_into);
        let indices = every_row_path(matrix, *layout, backend, |a, b| a == b, argmax, argmax_into);
        let want: Vec<_> = matrix.iter().map(|logits| ulp::round(reference::row_max(logits))).collect();
        assert_same_bits("row maxima", &maxima, &want);
        assert_eq!(indices, matrix.iter().map(reference::argmax).collect::<Vec<_>>(), "{backend}");
    });
}

/// What a sum of products in f64 may have lost, relative to the sum of their magnitudes: 2^14 terms of
/// 2^-53 at worst, and 2^-48 where the sum becomes two f32. Nothing beside an ULP of f32 (2^-24), but for
/// differences that cancel to less.
const OF_SUM: f64 = 8192.0 * f64::EPSILON;

/// Logits, and a gradient with respect to what becomes of them.
fn with_upstream() -> impl Strategy<Value = (Logits, Matrix)> {
    all_logits().prop_flat_map(|logits| {
        let upstream = upstream_of_results(logits.matrix.rows, logits.matrix.classes);
        (Just(logits), upstream)
    })
}

/// Outputs of an operation as the reference has them, rounded to f32.
fn outputs(logits: &Matrix, of: impl Fn(&[f32]) -> Vec<f64>) -> Matrix {
    Matrix { values: logits.iter().flat_map(of).map(ulp::round).collect(), ..*logits }
}

#[test]
fn softmax_gradient_is_within_its_bound() {
    for_all("softmax gradient", with_upstream(), |(logits, upstream), backend, errors| {
        let output = outputs(&logits.matrix, reference::softmax);
        let strided = Strided::of(&output, logits.layout);
        let y = strided.view(backend);
        let gradient = every_path(
            upstream,
            logits.layout,
            backend,
            |g| softmax_gradient(y, g),
            |g, results| softmax_gradient_into(y, g, results),
            |g| softmax_gradient_in_place(y, g),
        );
        for ((y, g), dx) in output.iter().zip(upstream.iter()).zip(gradient.chunks(output.classes)) {
            let magnitude: f64 = y.iter().zip(g).map(|(&y, &g)| f64::from(y * g).abs()).sum();
            let want = reference::softmax_gradient(y, g);
            let want = want
                .iter()
                .zip(y)
                .map(|(&want, &y)| Want::from(want).give_or_take(OF_SUM * magnitude * f64::from(y)));
            errors.all_within(contract::GRADIENT, "softmax gradient", backend, dx, want);
        }
    });
}

#[test]
fn log_softmax_gradient_is_within_its_bound_of_its_larger_part() {
    for_all("log-softmax gradient", with_upstream(), |(logits, upstream), backend, errors| {
        let output = outputs(&logits.matrix, reference::log_softmax);
        let strided = Strided::of(&output, logits.layout);
        let z = strided.view(backend);
        let gradient = every_path(
            upstream,
            logits.layout,
            backend,
            |g| log_softmax_gradient(z, g),
            |g, results| log_softmax_gradient_into(z, g, results),
            |g| log_softmax_gradient_in_place(z, g),
        );
        for ((z, g), dx) in output.iter().zip(upstream.iter()).zip(gradient.chunks(output.classes)) {
            let magnitude: f64 = g.iter().map(|&g| f64::from(g).abs()).sum();
            let sum = reference::mass(g);
            let want = reference::log_softmax_gradient(z, g);
            let want = want.iter().zip(z).zip(g).map(|((&want, &z), &g)| {
                let p = f64::from(z).exp();
                Want::from(want)
                    .in_ulp_of((p * sum).abs().max(f64::from(g).abs()))
                    .give_or_take(OF_SUM * magnitude * p + ulp::flushed_share(p, sum))
            });
            errors.all_within(contract::GRADIENT, "log-softmax gradient", backend, dx, want);
        }
    });
}
