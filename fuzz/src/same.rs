//! Results that must be the same: from every call, on every backend that fuses multiply-add, in every pool.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use xent::{Backend, Error, Rows, RowsMut};

use super::logits::Layout;
use super::ulp;

/// What is in outputs before a call, and between rows; no result has these bits.
pub const UNTOUCHED: f32 = f32::from_bits(0x7fc0_0bad);

/// Of a call that must not be refused.
pub const VALID: &str = "nothing is wrong with the call";

/// Asserts equal bits, or NaN for NaN.
pub fn assert_same(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}: lengths differ");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        assert!(same, "{what}, value {i}: {a:e} is not {b:e}");
    }
}

pub fn untouched(value: f32) -> bool {
    value.to_bits() == UNTOUCHED.to_bits()
}

/// The results of the first backend that fuses multiply-add: those of all the others must have their bits.
#[derive(Default)]
pub struct Fused(Vec<(&'static str, Vec<f32>)>);

impl Fused {
    /// Asserts that this backend's results, which are called `what`, are those of the others.
    pub fn assert(&mut self, backend: Backend, what: &'static str, values: &[f32]) {
        if !backend.is_fused() {
            return;
        }
        match self.0.iter().find(|(name, _)| *name == what) {
            Some((_, first)) => assert_same(&format!("{what} on {backend}"), values, first),
            None => self.0.push((what, values.to_vec())),
        }
    }
}

/// Runs a call in a pool of one thread, and in one of three.
pub fn in_pools<T: Send>(work: impl Fn() -> T + Sync) -> [T; 2] {
    static POOLS: OnceLock<[ThreadPool; 2]> = OnceLock::new();
    let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("a few threads");
    POOLS.get_or_init(|| [pool(1), pool(3)]).each_ref().map(|pool| pool.install(&work))
}

/// The result of an operation with one value per logit, rows after each other: the same from each of its
/// three forms, which write nothing between rows.
pub fn every_form(
    layout: Layout,
    backend: Backend,
    rows: &[Vec<f32>],
    allocating: impl Fn(Rows<'_>) -> Result<Vec<f32>, Error>,
    into: impl Fn(Rows<'_>, RowsMut<'_>) -> Result<(), Error>,
    in_place: impl Fn(RowsMut<'_>) -> Result<(), Error>,
) -> Vec<f32> {
    let mut input = layout.buffer(UNTOUCHED, rows);
    let mut output = layout.buffer(UNTOUCHED, &[]);
    let view = layout.view(&input).expect(VALID).with_backend(backend);
    let result = allocating(view).expect(VALID);
    into(view, layout.view_mut(&mut output).expect(VALID)).expect(VALID);
    in_place(layout.view_mut(&mut input).expect(VALID).with_backend(backend)).expect(VALID);
    for (what, buffer) in [("into a buffer", &output), ("in place", &input)] {
        assert_same(what, &layout.values(buffer), &result);
        assert!(layout.between(buffer).copied().all(untouched), "{what}: written between the rows");
    }
    result
}

/// Asserts that a value is the sum of losses as their reduction has it: of the losses before they were rounded to f32.
pub fn assert_reduced(what: &str, losses: &[f32], denominator: f64, value: f32) {
    let sum = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss)) / denominator;
    if losses.iter().any(|loss| loss.is_nan()) {
        return assert_same(what, &[value], &[f32::NAN]);
    }
    // Those that are too large for an f32 may have a mean that is not.
    if !sum.is_finite() {
        return;
    }
    // Half a unit of each loss and of the result, and what is too small to be a normal number.
    let magnitude = losses.iter().fold(0.0, |sum, &loss| sum + f64::from(loss.abs())) / denominator;
    let lost = ulp::count(losses.len()) * f64::from(f32::MIN_POSITIVE) / denominator;
    let slack = magnitude * f64::from(f32::EPSILON) + lost + f64::from(f32::MIN_POSITIVE);
    // Losses of both signs, over next to nothing: what is left of them can be any number, or infinite.
    if slack > f64::from(f32::MAX) {
        return;
    }
    assert!(
        (f64::from(value) - sum).abs() <= slack || value.is_infinite() && ulp::round(sum).is_infinite(),
        "{what}: {value:e}, not {sum:e} to {slack:e}"
    );
}
