//! The exponential of logits, against a power of two.
//!
//! Formula: `e^(x - m)` for some reference `m` near the largest logit. The difference rounds, and the exponential
//! magnifies that: 80 below the reference, a term would be off by up to 64 ULP.
//!
//! Identity: with a pivot `c` for which `x' = x - c` is exact, `k = round(8 x' log2 e)` and `r = x' - k ln(2) / 8`, the
//! term is `2^(k / 8) e^r`; and `2^E` serves as well as `e^m` to keep terms in range.
//!
//! Trick: `k = 8 n + j`. The magic number that rounds `-8 x' log2 e` to an integer also holds `8 E`, so that the integer, the
//! term's *depth* `TOP - (k - 8 E)`, is in the low bits of the sum: three of them choose `2^(j / 8)` from a table in a register,
//! and the sum shifted by 20 is `E - n` in the place of an exponent. The table holds the bits of `2^(j / 8)`, and what the
//! depth has beside `E - n`: one subtraction of integers puts the exponent in. Rounding would cost the table half an ULP; but all
//! terms may be some other number of times too large, since sums and terms are only ever compared, and there is one that leaves
//! the table next to exact ([`TERM_OF_ONE`]).
//!
//! A depth of eleven bits is that of a term that an f32 has: the bits of all depths of a row, put together, tell whether all its
//! terms are as they should be, and one bit more whether none of them is so small that a result might be subnormal.
//!
//! Over every f32 of the domain a term is at most 0.644 ULP off where multiply-add is fused. Where it is not, that is
//! 0.885 ULP, next to the floor: there the product of a power and what is added to it is subnormal. (Measured by
//! `accuracy/src/sweep/terms.rs`.)

use core::f64::consts::LN_2;

use super::math::exp;
use crate::simd::{LANES, Lanes, Simd};

/// Terms are scaled up by `2^HEADROOM`, so that all that can matter to a result stays a normal number: no term is ever
/// subnormal, which would cost a hundred cycles.
pub(crate) const HEADROOM: f32 = 64.0;

/// Logits above this are too large for the common reference: of as many terms as a lane may add, the sum would not be an f32.
pub(crate) const HIGH: f32 = 36.0;

/// A sum below this is of no logit above [`HIGH`].
pub(crate) const HIGH_SUM: f64 = power_of_two_of(115);

/// Up to this magnitude of the largest logit the pivot is 0. Beyond, with the pivot at the largest logit, `x` down to
/// 131 below it is within a factor of two of it, so that the difference is exact (Sterbenz's lemma).
const PIVOT_FREE: f32 = 264.0;

/// Terms below this are what is left of a logit far below the reference (or of -inf): no result sees them.
pub(crate) const NEGLIGIBLE: f32 = 1.5 * f32::from_bits(2 << 23);

/// `2^n`.
const fn power_of_two_of(n: u64) -> f64 {
    f64::from_bits((1023 + n) << 52)
}

/// 1.5 * 2^23: adding it to a small number rounds that to an integer, in the low bits of the sum.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// The unit of the integers that depths are, so that the number that holds one is 2 or a little more: of the floats up to 4 the
/// exponent has no bit but the highest, and of these no other bit of the mantissa is set. Any other number shows in its bits.
const UNIT: f32 = 1.0 / 4_194_304.0;

/// No depth, in the number that holds depths.
pub(crate) const NO_DEPTH: f32 = 2.0;

/// `k - 8 E` of the largest term that an f32 has, `2^(127 + 7 / 8)`.
const TOP: u16 = 1023;

/// The bits of depths whose terms an f32 has, or which make NaN.
const DEPTHS: u32 = 0x7ff;

/// The bits of depths whose terms are at least [`LEAST_SHALLOW`].
const SHALLOW: u32 = 0x3ff;

/// The least term whose depth has ten bits, but for what all are larger.
pub(crate) const LEAST_SHALLOW: f32 = 1.0;

/// The binary exponent of the lowest term, but for what all are larger.
const LOWEST: f32 = -125.0;

/// A little more than the power of the lowest term, of so few bits that a million of them add up exactly.
const LOWEST_POWER: f32 = 1.375 * f32::from_bits(2 << 23);

// Derived by scripts/derive_constants.py. The high part of ln(2) / 8 has 11 bits, so that its product with |k| <= 4600
// is exact, fused or not.
const LN_2_8_HIGH: f32 = 1_420.0 / 16_384.0;
const LN_2_8_LOW: f32 = -2.652_430_5e-5;
const LOG2_E_8: f32 = 8.0 * core::f32::consts::LOG2_E;

/// The lowest logit that has a term of its own against the common reference. No sum sees it.
pub(crate) const DEEPEST: f32 = (-HEADROOM + LOWEST + 0.25) * core::f32::consts::LN_2;

/// `e^r = 1 + r + c2 r^2 + c3 r^3 + c4 r^4` on `|r| <= ln(2) / 16`, relative error 1.8e-10 (0.003 ULP).
const C: [f32; 3] = [0.5, 0.166_680_47, 0.041_673_403];

/// What stands for 1: all terms, and all sums of them, are so many times larger than the formula says. Of all numbers it is
/// the one whose multiples by `2^(j / 8)` are nearest to numbers that an f32 has: they need no correction.
pub(crate) const TERM_OF_ONE: f64 = f32::from_bits(POWERS[0]) as f64;

/// `TERM_OF_ONE 2^(j / 8)`, rounded: at most 4.6e-9 of it is lost (0.076 of half an ULP).
const POWERS: [u32; 8] =
    [0x3f8b_3a3e, 0x3f97_d424, 0x3fa5_9202, 0x3fb4_8e45, 0x3fc4_e5be, 0x3fd6_b7da, 0x3fea_26de, 0x3fff_5829];

/// The bits of [`POWERS`], each in the place that a depth's low bits choose, and what the depth has beside the exponent.
const fn table() -> [f32; 8] {
    let mut table = [0.0; 8];
    let mut j = 0;
    while j < 8 {
        let depth = TOP as u32 - j;
        table[(depth % 8) as usize] = f32::from_bits(POWERS[j as usize].wrapping_add(depth << 20));
        j += 1;
    }
    table
}

/// What the terms of a row are relative to: `e^pivot * 2^exponent / TERM_OF_ONE`. The exponent is an integer of at most 445.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) pivot: f32,
    pub(crate) exponent: f32,
}

impl Reference {
    /// That of all rows whose logits are ordinary.
    pub(crate) const TAME: Self = Self { pivot: 0.0, exponent: -HEADROOM };

    /// The term of a logit that is so far from the pivot, in f64.
    pub(crate) fn term(self, difference: f64) -> f64 {
        TERM_OF_ONE * exp(difference - f64::from(self.exponent) * LN_2)
    }

    /// The reference of a row whose largest logit is `max`.
    #[inline(always)]
    pub(crate) fn for_max(max: f32) -> Self {
        let pivot_free = max.abs() <= PIVOT_FREE;
        // An integer of at most 381.
        let n = (max * core::f32::consts::LOG2_E + ROUNDER) - ROUNDER;
        let n = if pivot_free { n } else { 0.0 };
        // Where there is no logit at all any finite pivot will do.
        let pivot = if pivot_free || max == f32::NEG_INFINITY { 0.0 } else { max };
        Self { pivot, exponent: n - HEADROOM }
    }
}

/// [`Reference::for_max`] in lanes: the pivots and the exponents.
#[inline(always)]
pub(crate) fn lane_reference<S: Simd>(simd: S, max: S::Lanes) -> (S::Lanes, S::Lanes) {
    let magnitude = max.max(simd.splat(0.0) - max);
    let n = (max * simd.splat(core::f32::consts::LOG2_E) + simd.splat(ROUNDER)) - simd.splat(ROUNDER);
    let n = n.zero_below(simd.splat(PIVOT_FREE), magnitude);
    let pivot = max.zero_below(magnitude, simd.splat(PIVOT_FREE.next_up()));
    (pivot.zero_below(max, simd.splat(f32::MIN)), n - simd.splat(HEADROOM))
}

/// A reference in lanes.
#[derive(Clone, Copy)]
pub(crate) struct LaneReference<S: Simd> {
    pub(crate) pivot: S::Lanes,
    /// The lowest difference from the pivot whose term is told from others below it.
    pub(crate) floor: S::Lanes,
    rounder: S::Lanes,
}

impl<S: Simd> LaneReference<S> {
    #[inline(always)]
    pub(crate) fn splat(simd: S, reference: Reference) -> Self {
        Self::new(simd, simd.splat(reference.pivot), simd.splat(reference.exponent))
    }

    /// With a reference for each lane.
    #[inline(always)]
    pub(crate) fn new(simd: S, pivot: S::Lanes, exponent: S::Lanes) -> Self {
        // All sums are exact. The floor is a quarter above an integer, so that the lowest term is 2^(1/4) times a power
        // of two and normal.
        Self {
            pivot,
            floor: (exponent + simd.splat(LOWEST + 0.25)) * simd.splat(core::f32::consts::LN_2),
            rounder: exponent * simd.splat(8.0 * UNIT) + simd.splat(NO_DEPTH + f32::from(TOP) * UNIT),
        }
    }
}

/// The exponential, its constants in lanes.
#[derive(Clone, Copy)]
pub(crate) struct Exp<S: Simd> {
    simd: S,
    minus_log2_e_8: S::Lanes,
    minus_high: S::Lanes,
    minus_low: S::Lanes,
    one: S::Lanes,
    c: [S::Lanes; 3],
    table: S::Table,
}

/// Terms on their way: each is `power (1 + q)`.
pub(crate) struct Parts<S: Simd, const N: usize> {
    /// The differences from the pivot, down to the floor.
    pub(crate) x: [S::Lanes; N],
    pub(crate) power: [S::Lanes; N],
    pub(crate) q: [S::Lanes; N],
    /// For [`are_out_of_range`] and [`are_shallow`].
    pub(crate) depth: [S::Lanes; N],
}

impl<S: Simd> Exp<S> {
    #[inline(always)]
    pub(crate) fn new(simd: S) -> Self {
        const TABLE: [f32; 8] = table();
        Self {
            simd,
            minus_log2_e_8: simd.splat(-LOG2_E_8 * UNIT),
            minus_high: simd.splat(-LN_2_8_HIGH / UNIT),
            minus_low: simd.splat(-LN_2_8_LOW / UNIT),
            one: simd.splat(1.0),
            c: [simd.splat(C[0]), simd.splat(C[1]), simd.splat(C[2])],
            table: simd.table(&TABLE),
        }
    }

    /// [`Parts::depth`] alone, of a logit that is not below the floor.
    #[inline(always)]
    pub(crate) fn depth(&self, x: S::Lanes, reference: &LaneReference<S>) -> S::Lanes {
        x.mul_add(self.minus_log2_e_8, reference.rounder)
    }

    /// The parts of terms, given `x - pivot`. NaN gives NaN.
    #[inline(always)]
    pub(crate) fn parts<const N: usize>(
        &self,
        mut x: [S::Lanes; N],
        reference: &[LaneReference<S>; N],
    ) -> Parts<S, N> {
        for i in 0..N {
            x[i] = reference[i].floor.max(x[i]);
        }
        self.parts_above_floor(x, reference)
    }

    /// As [`parts`](Self::parts), but the power of a logit at the floor is one of few bits: where a lane has no others, as where a
    /// mask leaves few classes, nothing of its sum is rounded away. It would be subnormal, for which an Intel processor takes
    /// 50 ns.
    #[inline(always)]
    pub(crate) fn parts_to_add<const N: usize>(
        &self,
        x: [S::Lanes; N],
        reference: &[LaneReference<S>; N],
    ) -> Parts<S, N> {
        let mut parts = self.parts(x, reference);
        let lowest = self.simd.splat(LOWEST_POWER);
        for power in &mut parts.power {
            *power = lowest.max(*power);
        }
        parts
    }

    /// As [`parts`](Self::parts), of logits none of which is below the floor: if one is, the bits of depths tell. Several
    /// vectors go through it in step, so that the latencies of one are filled by the others.
    #[inline(always)]
    pub(crate) fn parts_above_floor<const N: usize>(
        &self,
        x: [S::Lanes; N],
        reference: &[LaneReference<S>; N],
    ) -> Parts<S, N> {
        let [c2, c3, c4] = self.c;
        let mut depth = x;
        for i in 0..N {
            depth[i] = self.depth(x[i], &reference[i]);
        }
        let depth = S::Lanes::in_step(depth);
        let mut k = depth;
        for i in 0..N {
            k[i] = reference[i].rounder - depth[i];
        }
        let mut r = x;
        for i in 0..N {
            r[i] = k[i].mul_add(self.minus_high, x[i]);
        }
        let mut r = S::Lanes::in_step(r);
        for i in 0..N {
            r[i] = k[i].mul_add(self.minus_low, r[i]);
        }
        let r = S::Lanes::in_step(r);
        let mut q = r;
        for i in 0..N {
            q[i] = c4.mul_add(r[i], c3);
        }
        for c in [c2, self.one] {
            q = S::Lanes::in_step(q);
            for i in 0..N {
                q[i] = q[i].mul_add(r[i], c);
            }
        }
        let mut q = S::Lanes::in_step(q);
        for i in 0..N {
            q[i] = q[i] * r[i];
        }
        let q = S::Lanes::in_step(q);
        let mut power = q;
        for i in 0..N {
            power[i] = self.simd.pick(self.table, depth[i]).sub_bits(depth[i].shift_left::<20>());
        }
        Parts { x, power, q, depth }
    }

    /// The terms, `e^(x - pivot) / 2^exponent`, and their depths. With `PIVOT` the pivot is subtracted; without it is 0.
    #[inline(always)]
    pub(crate) fn terms<const N: usize, const PIVOT: bool>(
        &self,
        mut x: [S::Lanes; N],
        reference: &[LaneReference<S>; N],
    ) -> ([S::Lanes; N], [S::Lanes; N]) {
        if PIVOT {
            for i in 0..N {
                x[i] = x[i] - reference[i].pivot;
            }
        }
        let Parts { power, q, depth, .. } = self.parts(x, reference);
        let mut terms = q;
        for i in 0..N {
            terms[i] = power[i].mul_add(q[i], power[i]);
        }
        (S::Lanes::in_step(terms), depth)
    }
}

/// The bits of all depths.
#[inline(always)]
pub(crate) fn all_depths(depths: &[f32; LANES]) -> u32 {
    depths.iter().fold(0, |all, depth| all | depth.to_bits())
}

/// Whether, of the terms whose depths these are the bits of, one was not what it should be: too large for an f32, NaN, or of a
/// logit below a floor that was not heeded. (Of the last some are NaN, and only their sum tells.)
#[inline(always)]
pub(crate) fn are_out_of_range(depths: u32) -> bool {
    depths & !DEPTHS != NO_DEPTH.to_bits()
}

/// Whether none of the terms whose depths these are the bits of is below [`LEAST_SHALLOW`], nor [out of range](are_out_of_range).
#[inline(always)]
pub(crate) fn are_shallow(depths: u32) -> bool {
    depths & !SHALLOW == NO_DEPTH.to_bits()
}
