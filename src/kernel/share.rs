//! From the terms of a block to their shares of the row's sum.

use super::exp::NEGLIGIBLE;
use super::flow::{Flow, Read, Slots};
use super::math::{INTEGER, power_of_two};
use crate::simd::{Lanes, Simd};

/// Multiplies terms by an f64 factor.
///
/// Formula: `y = t f`. Identity: `f = high + low`, two f32, so `y = t high + t low` rounds once: one
/// class gives exactly 1.
/// Trick: the product is taken `2^shift` too large and scaled back by an exact power of two, so that
/// `t low` is a normal number wherever `y` is; terms whose `y` would be subnormal are made 0 first.
/// No subnormal number arises anywhere, which would cost a hundred cycles each.
#[derive(Clone, Copy)]
pub(crate) struct Factor<S: Simd> {
    limit: S::Lanes,
    high: S::Lanes,
    low: S::Lanes,
    pub(crate) unscale: S::Lanes,
}

/// Binary exponent of the largest product before it is scaled back.
const LARGEST: i32 = 96;

/// Binary exponent above every term.
const LARGEST_TERM: i32 = 65;

/// The numbers of a [`Factor`]: limit, high, low, unscale.
#[inline(always)]
pub(crate) fn factor_parts(factor: f64) -> [f32; 4] {
    // The scale back is a normal f32.
    let shift = f64::from(LARGEST - LARGEST_TERM) - exponent(factor);
    let shift = if shift < -126.0 { -126.0 } else { shift };
    let shift = if shift > 126.0 { 126.0 } else { shift };
    let (high, low) = split(factor * power_of_two(shift));
    // The smallest term with a normal product; a little above it, for the rounding of the product.
    let limit = narrow(f64::from(f32::MIN_POSITIVE) / factor.abs() * (1.0 + 2.4e-7));
    let limit = if limit > NEGLIGIBLE { limit } else { NEGLIGIBLE };
    [limit, high, low, narrow(power_of_two(-shift))]
}

impl<S: Simd> Factor<S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, factor: f64) -> Self {
        // Not by `map`, which is not always inlined.
        let [limit, high, low, unscale] = factor_parts(factor);
        Self::of([simd.splat(limit), simd.splat(high), simd.splat(low), simd.splat(unscale)])
    }

    /// Of [`factor_parts`] in lanes.
    #[inline(always)]
    pub(crate) fn of([limit, high, low, unscale]: [S::Lanes; 4]) -> Self {
        Self { limit, high, low, unscale }
    }

    /// The products, `1 / self.unscale` times too large.
    #[inline(always)]
    pub(crate) fn scaled(&self, term: S::Lanes) -> S::Lanes {
        let term = term.zero_below(self.limit);
        term.mul_add(self.high, term * self.low)
    }

    /// The products.
    #[inline(always)]
    pub(crate) fn apply(&self, term: S::Lanes) -> S::Lanes {
        self.scaled(term) * self.unscale
    }
}

/// The binary exponent of a number; any, for 0 and what is not finite.
#[inline(always)]
fn exponent(value: f64) -> f64 {
    f64::from_bits(INTEGER.to_bits() | (value.to_bits() >> 52 & 0x7ff)) - (INTEGER + 1023.0)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// Two f32 whose sum is the value to 48 bits.
#[inline(always)]
pub(crate) fn split(value: f64) -> (f32, f32) {
    let high = narrow(value);
    let low = if high.is_finite() { narrow(value - f64::from(high)) } else { 0.0 };
    (high, low)
}

/// Replaces every value of a flow by what `f` makes of its lanes.
#[inline(always)]
pub(crate) fn map<S: Simd, F: Flow>(simd: S, flow: F, f: impl Fn(S::Lanes) -> S::Lanes) {
    let (quads, mut tail) = flow.quads();
    for mut quad in quads {
        for v in 0..4 {
            quad.store(v, f(quad.load(simd, v)));
        }
    }
    for v in 0..tail.vectors() {
        tail.store(v, f(tail.load(simd, v)));
    }
}

/// Replaces every value of a flow by what `f` makes of it and of the value of `a` in the same place.
#[inline(always)]
pub(crate) fn map_with<S: Simd, F: Flow>(
    simd: S,
    a: &[f32],
    flow: F,
    f: impl Fn(S::Lanes, S::Lanes) -> S::Lanes,
) {
    let (a_quads, a_tail) = Read(a).quads();
    let (quads, mut tail) = flow.quads();
    for (a, mut quad) in a_quads.zip(quads) {
        for v in 0..4 {
            quad.store(v, f(a.load(simd, v), quad.load(simd, v)));
        }
    }
    for v in 0..tail.vectors() {
        tail.store(v, f(a_tail.load_padded(simd, v, 0.0), tail.load(simd, v)));
    }
}
