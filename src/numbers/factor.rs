//! From terms to results: the coefficients of a row, made from f64 numbers.
//!
//! Formula: `y = t f` for a term `t`. Identity: `f = high + low`, two f32, so `y = t high + t low` rounds once: one class
//! gives exactly 1.
//!
//! Trick: the product is taken `2^shift` too large, so that `t low` is a normal number wherever `y` is. An addition to
//! the exponent puts it right: of integers, and masked, so that what would be subnormal becomes 0. No subnormal number
//! arises anywhere, which would cost a hundred cycles each.

use super::exp::{LEAST_SHALLOW, NEGLIGIBLE};
use super::math::{INTEGER, ROUNDER};
use crate::simd::{LANES, Simd, Wide};

/// The coefficients of sixteen rows.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Factors {
    pub(crate) high: [f32; LANES],
    pub(crate) low: [f32; LANES],
    /// Terms below this give 0.
    pub(crate) limit: [f32; LANES],
    /// The bits that put the exponent right.
    pub(crate) unscale: [f32; LANES],
}

/// What a row's results are made of where none of them, nor anything on the way to them, can be subnormal.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) high: f32,
    pub(crate) low: f32,
}

/// Binary exponent of the product of the largest term and its factor, where that is from 1 to 2.
const UP: f64 = 124.0;

/// `2^UP`.
const TWO_UP: f64 = 21_267_647_932_558_653_966_460_912_964_485_513_216.0;

/// Of a number from which results may be too large for additions to their exponents: these are left to f64.
pub(crate) const TOO_LARGE: f64 = 1.0e38;

impl Factors {
    pub(crate) const ZERO: Self =
        Self { high: [0.0; LANES], low: [0.0; LANES], limit: [0.0; LANES], unscale: [0.0; LANES] };

    /// The factors of a row whose terms are at least [`LEAST_SHALLOW`], with their exponents put right, if all products are normal
    /// numbers then: the results have the same bits.
    #[inline(always)]
    pub(crate) fn plain(&self, row: usize) -> Option<Plain> {
        /// The least magnitude of a factor, and the largest: the largest term is 2^128.
        const LEAST: u32 = (f32::MIN_POSITIVE / LEAST_SHALLOW).to_bits();
        const LARGEST: u32 = 0.25_f32.to_bits();
        let put_right = |factor: f32| factor.to_bits().wrapping_add(self.unscale[row].to_bits());
        let (high, low) = (put_right(self.high[row]), put_right(self.low[row]));
        // Not of a factor that was 0, or whose exponent wrapped.
        let is_normal = |bits: u32| (bits << 1 >> 1).wrapping_sub(LEAST) <= LARGEST - LEAST;
        let fits = is_normal(high)
            && is_normal(low)
            && self.limit[row] <= LEAST_SHALLOW
            && self.low[row].to_bits() << 1 != 0;
        let (high, low) = (f32::from_bits(high), f32::from_bits(low));
        fits.then_some(Plain { high, low })
    }

    /// Those of four rows, `scale / sum`, given the inverses of both.
    ///
    /// Sums are positive and finite and the magnitude of the scale is between 2^-126 and 2^126, or 0: other rows are not
    /// written by them.
    #[inline(always)]
    pub(crate) fn set<S: Simd>(
        &mut self,
        simd: S,
        part: usize,
        [scale, inverse_scale]: [S::Wide; 2],
        sum: S::Wide,
        share: S::Wide,
    ) {
        const EXPONENT: u64 = 0x7ff << 52;
        // The scale's mantissa is what the product is made of; its exponent is added afterwards.
        let exponent = scale.and(simd.splat_wide(f64::from_bits(EXPONENT)));
        let mantissa = scale.sub_bits(exponent).add_bits(simd.splat_wide(TWO_UP));
        let factor = mantissa * share;
        // Cut off and not rounded, so that `t high` is not above what it stands for: then its own rounding, where it has one,
        // and the addition of `t low` still give 1 for one class.
        factor.and(simd.splat_wide(f64::from_bits(!0 << 29))).narrow(&mut self.high, part);
        (factor - simd.widen(&self.high, part)).narrow(&mut self.low, part);
        // The smallest term with a normal product; a little above it, for the rounding of the product.
        let limit = simd.splat_wide(f64::from(f32::MIN_POSITIVE) * (1.0 + 2.4e-7)) * (sum * inverse_scale);
        limit.max(simd.splat_wide(f64::from(NEGLIGIBLE))).narrow(&mut self.limit, part);
        // An integer in the low bits of a number, and from there to the exponent of an f32.
        let n = exponent.shift_right::<52>().or(simd.splat_wide(INTEGER))
            - simd.splat_wide(INTEGER + 1023.0 + UP);
        let bits = (n + simd.splat_wide(ROUNDER)).shift_left::<23>();
        bits.store_low(&mut self.unscale, part);
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// As [`narrow`], with +0 for what would be subnormal.
#[inline(always)]
pub(crate) fn narrow_normal(value: f64) -> f32 {
    let narrow = narrow(value);
    if narrow.abs() < f32::MIN_POSITIVE { 0.0 } else { narrow }
}
