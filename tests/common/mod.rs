//! What the tests share: the oracle, distances in ULP, random rows, and every path to a result.

#![allow(dead_code, unused_imports, reason = "each test crate uses its part")]
#![allow(unreachable_pub, reason = "a module of test crates, seen by no other crate")]

pub mod buffer;
pub mod comparison;
pub mod composite;
pub mod drawn;
pub mod example;
pub mod integer_rows;
pub mod npy_bytes;
pub mod paths;
pub mod property;
pub mod race;
pub mod reference;
pub mod statistics;
pub mod strategies;
pub mod ulp;
pub mod writers;

use std::io::Write as _;
use std::sync::Once;

use xent::Backend;

/// That evaluated sums are what `log_sum_exp` gives: next to zero, where a sum of 1 and a little has not the precision of
/// the little, to a unit of 1. Elsewhere the label's term, which is apart, makes a unit of difference at most.
pub fn assert_evaluated(sums: &[xent::LogSumExp], expected: &[f32]) {
    assert_eq!(sums.len(), expected.len());
    for (sum, &expected) in sums.iter().zip(expected) {
        let value = sum.value();
        let near = (value - expected).abs() <= f32::EPSILON * expected.abs().max(1.0);
        assert!(near || same_bits(value, expected), "{sum:?} is {value:e}, log_sum_exp {expected:e}");
    }
}

/// The backends that this CPU can run. Says once which they are, and which are not tested.
///
/// # Panics
///
/// Where `XENT_EXPECT_BACKENDS` is set and names others: a machine that lost an instruction set must not
/// pass by testing less.
pub fn backends() -> Vec<Backend> {
    static REPORT: Once = Once::new();
    let available: Vec<_> = Backend::available().collect();
    let names: Vec<_> = available.iter().map(|backend| backend.name()).collect();
    REPORT.call_once(|| {
        report(&format!("backends: {}", names.join(" ")));
        for missing in Backend::ALL.iter().filter(|backend| !available.contains(backend)) {
            report(&format!("backend {missing} is not available on this CPU: not tested"));
        }
    });
    if let Ok(expected) = std::env::var("XENT_EXPECT_BACKENDS") {
        let expected: Vec<_> = expected.split_whitespace().collect();
        assert_eq!(names, expected, "the backends available here are not XENT_EXPECT_BACKENDS");
    }
    available
}

/// A line that is seen also where the test passes: `println!` would be captured.
pub fn report(line: &str) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The bounds of the numeric contract in ULP, on backends that fuse multiply-add.
pub mod contract {
    /// Losses, sparse and dense.
    pub const LOSS: f64 = 2.0;
    /// Log-sum-exp: of the larger of it and the row's maximum.
    pub const LOG_SUM_EXP: f64 = 2.0;
    /// The same where both are below 1, as `docs/NUMERICS.md` has it: the search in `accuracy/` finds 2.3.
    pub const LOG_SUM_EXP_NEAR_ZERO: f64 = 3.0;
    /// Softmax.
    pub const SOFTMAX: f64 = 3.0;
    /// Log-softmax, also next to zero.
    pub const LOG_SOFTMAX: f64 = 2.0;
    /// Gradients: those that are a difference, of its larger part.
    pub const GRADIENT: f64 = 3.0;
    /// The gradient for dense labels, of its larger part: the softmax's bound, and the two roundings of the
    /// difference.
    pub const DENSE_GRADIENT: f64 = 3.0;
    /// The gradient with respect to dense labels: a log-softmax, and its product with a factor.
    pub const LABEL_GRADIENT: f64 = 3.0;
    /// The sparse gradient at the label.
    pub const AT_LABEL: f64 = 3.0;
    /// How much wider all of them are without fused multiply-add.
    pub const UNFUSED: f64 = 2.0;
}

/// A bound of the numeric contract on a backend.
pub fn bound(backend: Backend, ulps: f64) -> f64 {
    if backend.is_fused() { ulps } else { ulps + contract::UNFUSED }
}

/// Whether two results are the same: the same bits, or NaN both.
pub fn same_bits(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Asserts that two results are the same, value by value.
#[track_caller]
pub fn assert_same_bits(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}: lengths differ");
    for (i, (&a, &b)) in a.iter().zip(b).enumerate() {
        assert!(same_bits(a, b), "{what}, value {i}: {a:e} is not {b:e}");
    }
}
