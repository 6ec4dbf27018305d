//! The ends of sixteen rows: what their sums say of their labels, their logarithms and their results.
//!
//! Everything here is f64 arithmetic on a few numbers per row, four rows at a time: of sixteen rows as many fours as there
//! are rows for. Nothing is fused, so that all backends give the same bits.

use core::f64::consts::LN_2;

use super::exp::{Exp, LaneReference, Reference, TERM_OF_ONE};
use super::math::INTEGER;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Sixteen rows, one in each lane, between their reading and their writing.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Ends {
    /// The reference of each, which the sums are relative to.
    pub(crate) pivot: [f32; LANES],
    pub(crate) exponent: [f32; LANES],
    /// The logit of the label; -inf where there is none.
    pub(crate) logit: [f32; LANES],
    /// The sum of the terms of all classes but the label.
    pub(crate) rest: [f64; LANES],
    /// The label's term, in f64, and what its logit is below the lowest that has one.
    pub(crate) term: [f64; LANES],
    pub(crate) below: [f64; LANES],
    /// The sum of all terms.
    pub(crate) sum: [f64; LANES],
}

impl Ends {
    /// Of no rows.
    pub(crate) const EMPTY: Self = Self {
        pivot: [0.0; LANES],
        exponent: [0.0; LANES],
        logit: [f32::NEG_INFINITY; LANES],
        rest: [1.0; LANES],
        term: [0.0; LANES],
        below: [0.0; LANES],
        sum: [1.0; LANES],
    };

    /// Whether all sums are finite.
    #[expect(clippy::needless_bitwise_bool, reason = "without an early exit it is a vector loop")]
    pub(crate) fn are_finite(&self) -> bool {
        self.sum.iter().fold(true, |all, sum| all & (*sum < f64::INFINITY))
    }

    /// Takes up the references that the rows were read against.
    pub(crate) fn refer_to(&mut self, references: &[Reference; LANES]) {
        let to = self.pivot.iter_mut().zip(&mut self.exponent);
        for ((pivot, exponent), reference) in to.zip(references) {
            (*pivot, *exponent) = (reference.pivot, reference.exponent);
        }
    }

    /// Adds the labels' terms, `power (1 + q)` without its last rounding.
    #[inline(always)]
    pub(crate) fn add_labels<S: Simd>(&mut self, simd: S, rows: usize) {
        let (exp, mut labels) = (Exp::new(simd), LabelParts::EMPTY);
        for part in 0..(rows * S::PARTS).div_ceil(LANES) {
            let pivot = simd.load(&self.pivot, part);
            let reference = LaneReference::new(simd, pivot, simd.load(&self.exponent, part));
            labels.set(&exp, part, simd.load(&self.logit, part) - pivot, &reference);
        }
        for part in 0..(rows * S::WIDE_PARTS).div_ceil(LANES) {
            let ends = labels.ends(simd, part, simd.load_wide(&self.rest, part));
            ends.term.store(&mut self.term, part);
            ends.below.store(&mut self.below, part);
            ends.sum.store(&mut self.sum, part);
        }
    }

    /// Takes the sums as they are, where there are no labels.
    #[inline(always)]
    pub(crate) fn without_labels(&mut self) {
        self.sum = self.rest;
        self.term = [0.0; LANES];
    }

    /// Those of a part of the rows.
    #[inline(always)]
    pub(crate) fn lanes<S: Simd>(&self, simd: S, part: usize) -> LaneEnds<S> {
        let [rest, term, below, sum] = [&self.rest, &self.term, &self.below, &self.sum].map(
            #[inline(always)]
            |values| simd.load_wide(values, part),
        );
        LaneEnds { rest, term, below, sum }
    }

    /// `ln(sum e^(x - pivot))`.
    #[inline(always)]
    pub(crate) fn logs<S: Simd>(&self, simd: S, part: usize) -> S::Wide {
        let sum = simd.load_wide(&self.sum, part);
        // What 1 is relative to the reference.
        let exponent = simd.widen(&self.exponent, part);
        let unit =
            (simd.splat_wide(INTEGER + 1023.0) - exponent).shift_left::<52>() * simd.splat_wide(TERM_OF_ONE);
        let (k, scaled) = scale(simd, sum, unit);
        k * simd.splat_wide(LN_2) + log_near(simd, sum - scaled, sum + scaled)
    }
}

/// The ends of rows, one in each lane.
pub(crate) struct LaneEnds<S: Simd> {
    pub(crate) rest: S::Wide,
    term: S::Wide,
    below: S::Wide,
    pub(crate) sum: S::Wide,
}

impl<S: Simd> LaneEnds<S> {
    /// Those of one row, in all lanes.
    #[inline(always)]
    pub(crate) fn of_row(simd: S, exp: &Exp<S>, rest: f64, logit: f32, reference: Reference) -> Self {
        let (mut label, lanes) = (LabelParts::EMPTY, LaneReference::splat(simd, reference));
        label.set(exp, 0, simd.splat(logit) - lanes.pivot, &lanes);
        label.ends(simd, 0, simd.splat_wide(rest))
    }

    /// Those of one row without a label.
    #[inline(always)]
    pub(crate) fn without_label(simd: S, rest: f64) -> Self {
        let (rest, zero) = (simd.splat_wide(rest), simd.splat_wide(0.0));
        Self { rest, term: zero, below: zero, sum: rest }
    }

    /// The losses of the labels, `ln(sum / term)`.
    ///
    /// Where the sum is next to the term, the term is what the sum is compared with, and their difference is the rest:
    /// nothing cancels.
    #[inline(always)]
    pub(crate) fn losses(&self, simd: S) -> S::Wide {
        let Self { rest, term, below, sum } = *self;
        let (k, scaled) = scale(simd, sum, term);
        let log = log_near(simd, rest - (scaled - term), sum + scaled);
        k * simd.splat_wide(LN_2) + log + below
    }
}

/// What the terms of labels are made of, on its way to f64.
struct LabelParts {
    power: [f32; LANES],
    q: [f32; LANES],
    difference: [f32; LANES],
    floor: [f32; LANES],
}

impl LabelParts {
    const EMPTY: Self =
        Self { power: [0.0; LANES], q: [0.0; LANES], difference: [0.0; LANES], floor: [0.0; LANES] };

    /// Sets a part, given what logits are above the pivots.
    #[inline(always)]
    fn set<S: Simd>(
        &mut self,
        exp: &Exp<S>,
        part: usize,
        difference: S::Lanes,
        reference: &LaneReference<S>,
    ) {
        let parts = exp.parts([difference], &[*reference]);
        parts.power[0].store(&mut self.power, part);
        parts.q[0].store(&mut self.q, part);
        difference.store(&mut self.difference, part);
        reference.floor.store(&mut self.floor, part);
    }

    /// The ends of a part, given the sums of the terms of all other classes.
    #[inline(always)]
    fn ends<S: Simd>(&self, simd: S, part: usize, rest: S::Wide) -> LaneEnds<S> {
        let power = simd.widen(&self.power, part);
        let term = power + power * simd.widen(&self.q, part);
        let below = simd.widen(&self.floor, part) - simd.widen(&self.difference, part);
        LaneEnds { rest, term, below: below.max(simd.splat_wide(0.0)), sum: rest + term }
    }
}

/// `k` and `term 2^k` within a factor of 1.5 of the sum.
#[inline(always)]
fn scale<S: Simd>(simd: S, sum: S::Wide, term: S::Wide) -> (S::Wide, S::Wide) {
    const EXPONENT: u64 = 0xfff << 52;
    let bits = |bits| simd.splat_wide(f64::from_bits(bits));
    let k = sum.sub_bits(term).add_bits(bits(1 << 51)).and(bits(EXPONENT));
    // As a float through its bits: there is no vector instruction for it everywhere. With a bias of 2048, so that it is
    // not negative.
    let biased = k.add_bits(bits(1 << 63)).shift_right::<52>();
    let n = biased.or(simd.splat_wide(INTEGER)) - simd.splat_wide(INTEGER + 2048.0);
    (n, term.add_bits(k))
}

/// The logarithm of the ratio of two numbers that are within a factor of 1.5, from their difference and their sum. Good
/// to 2^-35 of itself.
///
/// Identity: `ln(a / b) = 2 artanh(s)` for `s = (a - b) / (a + b)`.
#[inline(always)]
fn log_near<S: Simd>(simd: S, difference: S::Wide, sum: S::Wide) -> S::Wide {
    /// `(2 artanh(s) / s - 2) / s^2` in powers of `s^2`, which is at most 0.041: relative error of the logarithm 2.6e-11.
    const C: [f64; 4] = [
        0.666_666_627_332_181_5,
        0.400_009_264_400_225_7,
        0.285_038_501_118_205_17,
        0.241_468_533_030_228_55,
    ];
    let s = difference / sum;
    let z = s * s;
    let mut p = simd.splat_wide(C[3]);
    for c in [C[2], C[1], C[0]] {
        p = p * z + simd.splat_wide(c);
    }
    (s + s) + (s * z) * p
}
