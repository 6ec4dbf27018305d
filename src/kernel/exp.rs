//! The exponential of a block of logits, against a power of two.
//!
//! Formula: `e^(x - m)` for the block's maximum `m`. The difference rounds, and the exponential
//! magnifies that: 80 below the maximum, a term would be off by up to 64 ULP.
//!
//! Identity: with a pivot `c` for which `x' = x - c` is exact, `n = round(x' log2 e)` and
//! `r = x' - n ln 2`, the term is `2^n e^r`; and `2^N` with `N = round((m - c) log2 e)` serves as well
//! as `e^m` to keep terms in range.
//!
//! Trick: the magic number that rounds `x' log2 e` to an integer also holds `127 - N` and the
//! [`HEADROOM`], so that its low bits are the exponent of the scale `2^(n - N + HEADROOM)`: one shift.

use super::math;
use crate::simd::{Lanes, Simd};

/// Terms are scaled up by `2^HEADROOM`, so that all that can matter to a result stays a normal
/// number: no term is ever subnormal, which would cost a hundred cycles.
pub(crate) const HEADROOM: i32 = 64;

/// Up to this magnitude of the block's maximum the pivot is 0. Beyond, with the pivot at the maximum,
/// `x` down to [`SPAN`] `ln 2` = 131 below it is within a factor of two of it, so that the difference
/// is exact (Sterbenz's lemma).
const PIVOT_FREE: f32 = 264.0;

/// The binary exponent of the largest term: it is `2^HEADROOM` times a number from 0.7 to 1.42.
pub(crate) const LARGEST_TERM: i32 = HEADROOM;

/// Binary orders of magnitude below the reference at which terms stop falling: what is left,
/// `2^-189`, vanishes in every sum beside the maximum's term and flushes to +0 in every result.
const SPAN: i32 = 189;

/// Terms below this are what is left of a logit beyond [`SPAN`] (or of -inf): no result sees them.
pub(crate) const NEGLIGIBLE: f32 = 1.5 * f32::from_bits(2 << 23);

/// 1.5 * 2^23: adding it to a small number rounds that to an integer, in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0;

/// The exponent bias of f32.
const BIAS: f32 = 127.0;

/// What lies [`SPAN`] below a block's largest term is so far from the block's exponent.
#[expect(clippy::cast_precision_loss, reason = "a small integer")]
const LOWEST: f32 = (HEADROOM - SPAN) as f32;

#[expect(clippy::cast_precision_loss, reason = "a small integer")]
const HEADROOM_F32: f32 = HEADROOM as f32;

// Derived by scripts/derive_constants.py. The high part of ln 2 has 14 bits, so that its product with
// |n| <= 571 (381 for the reference, 190 below it) is exact, fused or not.
const LN_2_HIGH: f32 = 11_356.0 / 16_384.0;
const LN_2_LOW: f32 = 3.194_618_3e-5;
const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// `e^r = 1 + r + c2 r^2 + ... + c6 r^6` on `|r| <= ln(2) / 2`, relative error 3.2e-9 (0.03 ULP).
const C: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_255, 0.008_368_663, 0.001_382_146_8];

/// What the terms of a block are relative to: `e^pivot * 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) pivot: f32,
    pub(crate) exponent: i32,
}

impl Reference {
    /// The reference of a block whose largest logit is `max`.
    #[inline(always)]
    pub(crate) fn for_max(max: f32) -> Self {
        let (pivot, exponent) = reference_for(max);
        #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 445")]
        let exponent = exponent as i32;
        Self { pivot, exponent }
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "an integer of at most 445")]
    pub(crate) fn exponent_f32(self) -> f32 {
        self.exponent as f32
    }

    /// The reference as a number.
    #[inline(always)]
    pub(crate) fn to_f64(self) -> f64 {
        math::exp(f64::from(self.pivot)) * math::power_of_two(self.exponent.into())
    }
}

/// The pivot and the exponent for a largest logit, both floats and without a branch: a loop over rows becomes
/// vectors.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "no branches")]
pub(crate) fn reference_for(max: f32) -> (f32, f32) {
    let pivot_free = max.abs() <= PIVOT_FREE;
    // An integer of at most 381.
    let n = (max * LOG2_E + ROUNDER) - ROUNDER;
    let n = if pivot_free { n } else { 0.0 };
    // Where there is no logit at all any finite pivot will do.
    let pivot = if pivot_free | (max == f32::NEG_INFINITY) { 0.0 } else { max };
    (pivot, n - HEADROOM_F32)
}

/// The exponential of one block, its constants in lanes.
#[derive(Clone, Copy)]
pub(crate) struct Exp<S: Simd> {
    pivot: S::Lanes,
    floor: S::Lanes,
    rounder: S::Lanes,
    log2_e: S::Lanes,
    minus_ln_2_high: S::Lanes,
    minus_ln_2_low: S::Lanes,
    one: S::Lanes,
    c: [S::Lanes; 5],
}

impl<S: Simd> Exp<S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, reference: Reference) -> Self {
        Self::per_lane(simd, simd.splat(reference.pivot), simd.splat(reference.exponent_f32()))
    }

    /// With a reference for each lane.
    #[inline(always)]
    pub(crate) fn per_lane(simd: S, pivot: S::Lanes, exponent: S::Lanes) -> Self {
        // Exponents are at most 445 in magnitude, so all sums are exact. The floor is a quarter above an
        // integer, so that the clamped term is 2^(1/4) times a power of two and its product with the scale
        // normal.
        Self {
            pivot,
            floor: (exponent + simd.splat(LOWEST + 0.25)) * simd.splat(core::f32::consts::LN_2),
            rounder: simd.splat(ROUNDER + BIAS) - exponent,
            log2_e: simd.splat(LOG2_E),
            minus_ln_2_high: simd.splat(-LN_2_HIGH),
            minus_ln_2_low: simd.splat(-LN_2_LOW),
            one: simd.splat(1.0),
            // Not by `map`, which is not always inlined.
            c: [simd.splat(C[0]), simd.splat(C[1]), simd.splat(C[2]), simd.splat(C[3]), simd.splat(C[4])],
        }
    }

    /// `(e^r, scale)` of each logit, with `scale` a power of two: their product, which is exact, is the
    /// term. NaN stays NaN in the first. For a pivot of 0.
    ///
    /// Several vectors go through it in step, so that the latencies of one are filled by the others.
    #[inline(always)]
    pub(crate) fn split<const N: usize>(&self, x: [S::Lanes; N]) -> ([S::Lanes; N], [S::Lanes; N]) {
        let [c2, c3, c4, c5, c6] = self.c;
        let x = in_step(
            x,
            #[inline(always)]
            |_, x| self.floor.max(x),
        );
        let shifted = in_step(
            x,
            #[inline(always)]
            |_, x| x.mul_add(self.log2_e, self.rounder),
        );
        let n = in_step(
            shifted,
            #[inline(always)]
            |_, shifted| shifted - self.rounder,
        );
        let r = in_step(
            n,
            #[inline(always)]
            |i, n| n.mul_add(self.minus_ln_2_high, x[i]),
        );
        let r = in_step(
            r,
            #[inline(always)]
            |i, r| n[i].mul_add(self.minus_ln_2_low, r),
        );
        let mut p = in_step(
            r,
            #[inline(always)]
            |_, r| c6.mul_add(r, c5),
        );
        for c in [c4, c3, c2, self.one, self.one] {
            p = in_step(
                p,
                #[inline(always)]
                |i, p| p.mul_add(r[i], c),
            );
        }
        let scale = in_step(
            shifted,
            #[inline(always)]
            |_, shifted| shifted.low_bits_to_exponent(),
        );
        (p, scale)
    }

    /// As [`split`](Self::split), for any pivot.
    #[inline(always)]
    pub(crate) fn split_from_pivot<const N: usize>(
        &self,
        x: [S::Lanes; N],
    ) -> ([S::Lanes; N], [S::Lanes; N]) {
        self.split(in_step(
            x,
            #[inline(always)]
            |_, x| x - self.pivot,
        ))
    }

    /// The terms: `e^(x - pivot) / 2^exponent`.
    #[inline(always)]
    pub(crate) fn term(&self, x: S::Lanes) -> S::Lanes {
        let ([p], [scale]) = self.split_from_pivot([x]);
        p * scale
    }
}

/// One step for some vectors, before the next is begun with any of them.
#[inline(always)]
fn in_step<L: Lanes, const N: usize>(mut vectors: [L; N], step: impl Fn(usize, L) -> L) -> [L; N] {
    for (i, vector) in vectors.iter_mut().enumerate() {
        *vector = step(i, *vector);
    }
    L::in_step(vectors)
}
