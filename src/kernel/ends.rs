//! The ends of rows: what a row's sum says of its largest logit, of its loss and of its shares.
//!
//! Everything here is f64 arithmetic on a few numbers per row, written as loops over `N` rows without
//! branches: for one row alone (`N = 1`), or for sixteen at once, where the loops become vectors.

#![expect(
    clippy::needless_range_loop,
    clippy::needless_bitwise_bool,
    reason = "loops over several arrays, and conditions without branches, are what becomes vectors"
)]

use super::exp::{Exp, HEADROOM, Reference};
use super::math::{exp, exp_near_zero, ln, ln_1p, ln_or_ln_1p, power_of_two};
use super::partial::Partial;
use super::share::narrow;
use crate::simd::{LANES, Lanes, Simd, Wide};
use core::f64::consts::LN_2;

/// What one read of a row finds.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) max: f32,
    /// The index of the first block that holds it.
    pub(crate) block: usize,
    /// The reference of that block.
    pub(crate) reference: Reference,
    pub(crate) sum: Partial,
}

impl Scan {
    pub(crate) const EMPTY: Self = Self {
        max: f32::NEG_INFINITY,
        block: 0,
        reference: Reference { pivot: 0.0, exponent: 0 },
        sum: Partial::EMPTY,
    };
}

/// What is known of `N` rows, up to sixteen, once they have been read. All numbers are f64, so that loops over them are
/// vectors of one kind.
pub(crate) struct Ends<const N: usize> {
    pub(crate) max: [f64; N],
    /// The reference of the block with the maximum, `e^pivot 2^exponent`: the unit of what follows.
    pub(crate) pivot: [f64; N],
    pub(crate) exponent: [f64; N],
    /// The row's sum.
    pub(crate) sum: [f64; N],
    /// The term of the maximum.
    pub(crate) top: [f64; N],
    /// The sum without the maximum, where that dominates; negative elsewhere.
    pub(crate) rest: [f64; N],
}

/// The rows whose sum without the largest logit does not come from a difference.
pub(crate) struct Unsure<const N: usize> {
    /// 1 or 0.
    rows: [f64; N],
    any: bool,
}

/// Below this share of the sum, what is left of it without the largest term is added up again; above,
/// the difference is good to 2^-26, as the sum is to 2^-33.
const DIFFERENCE: f64 = 1.0 / 128.0;

/// A sum below this many times its largest term is dominated by it. A little less than two, so that of two
/// equal logits neither is singled out.
const DOMINATED: f64 = 1.9;

/// In a sum below this, 8 times the reference, the error of the largest term counts: it is taken out and put
/// back in f64. A sum that is dominated is below it, because the largest term is below `2^0.51` times the
/// reference.
const SHARP: f64 = 8.0 * ONE;

/// The reference in its own units.
const ONE: f64 = 18_446_744_073_709_551_616.0;
const _: () = assert!(HEADROOM == 64, "the power of two above");

/// Where the maximum does not dominate.
const NOT_DOMINATED: f64 = -1.0;

impl<const N: usize> Unsure<N> {
    pub(crate) const NONE: Self = Self { rows: [0.0; N], any: false };
}

impl<const N: usize> Ends<N> {
    /// Of no rows.
    pub(crate) const EMPTY: Self = Self {
        max: [0.0; N],
        pivot: [0.0; N],
        exponent: [0.0; N],
        sum: [0.0; N],
        top: [0.0; N],
        rest: [NOT_DOMINATED; N],
    };

    /// Of rows that have been read. `without_max` adds up a row without its largest logit, as
    /// [`Scan::reference`] has it.
    #[inline(always)]
    pub(crate) fn new<S: Simd>(simd: S, scans: &[Scan; N], without_max: impl FnMut(usize) -> f64) -> Self {
        let (mut ends, unsure) = Self::settled(simd, scans);
        ends.resolve(&unsure, without_max);
        ends
    }

    /// All but what must be summed again. Apart from [`Ends::new`], whose closure would make it another function for
    /// each caller.
    #[inline(always)]
    fn settled<S: Simd>(simd: S, scans: &[Scan; N]) -> (Self, Unsure<N>) {
        let mut unsure = Unsure::NONE;
        let mut ends = Self::EMPTY;
        simd.outline(
            #[inline(always)]
            || {
                for (i, scan) in scans.iter().enumerate() {
                    ends.max[i] = scan.max.into();
                    ends.pivot[i] = scan.reference.pivot.into();
                    ends.exponent[i] = scan.reference.exponent.into();
                    ends.sum[i] = scan.sum.relative_to(scan.reference);
                }
                let mut tops = [0.0; N];
                tops.copy_from_slice(&top_terms(simd, scans)[..N]);
                ends.settle(&tops, &mut unsure);
            },
        );
        (ends, unsure)
    }

    /// Finds where the largest logit dominates, and puts its term into the sum as f64 has it, given the terms
    /// as they were added. Says for which rows the sum without it must be taken again.
    #[inline(always)]
    pub(crate) fn settle(&mut self, tops: &[f64; N], unsure: &mut Unsure<N>) {
        for i in 0..N {
            // Both differences are small, or the row has no finite maximum and is not sharp.
            let distance = (self.max[i] - self.pivot[i]) - (self.exponent[i] + f64::from(HEADROOM)) * LN_2;
            self.top[i] = ONE * exp_near_zero(distance);
            let sum = self.sum[i];
            // False for NaN and infinite sums.
            let sharp = (sum < SHARP) & (sum > 0.0);
            let dominated = sharp & (sum < DOMINATED * self.top[i]);
            let difference = sum - tops[i];
            let sure = difference > DIFFERENCE * sum;
            self.rest[i] = if dominated { difference } else { NOT_DOMINATED };
            self.sum[i] = if sharp { difference + self.top[i] } else { sum };
            unsure.rows[i] = if dominated & !sure { 1.0 } else { 0.0 };
        }
        unsure.any = unsure.rows.iter().fold(0.0, |any, row| any + row) > 0.0;
    }

    /// Takes the sum without the largest logit again where that must be.
    #[inline(always)]
    pub(crate) fn resolve(&mut self, unsure: &Unsure<N>, mut without_max: impl FnMut(usize) -> f64) {
        if !unsure.any {
            return;
        }
        for i in 0..N {
            if unsure.rows[i] > 0.0 {
                self.rest[i] = without_max(i);
                self.sum[i] = self.rest[i] + self.top[i];
            }
        }
    }

    /// Whether the largest logit of a row holds more than `1 / DOMINATED` of its sum: no other logit then
    /// has its value, or its term.
    #[inline(always)]
    pub(crate) fn dominated(&self, i: usize) -> bool {
        self.rest[i] >= 0.0
    }

    /// Whether [`dominated`](Self::dominated) holds for any row.
    #[inline(always)]
    pub(crate) fn any_dominated(&self) -> bool {
        self.rest.iter().fold(false, |any, &rest| any | (rest >= 0.0))
    }

    /// The sums, as values that can be saved.
    #[inline(always)]
    pub(crate) fn partial(&self, i: usize) -> Partial {
        #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 445")]
        let exponent = self.exponent[i] as i32;
        Partial::new(Reference { pivot: narrow(self.pivot[i]), exponent }, self.sum[i])
    }

    /// Takes a sum that was found before in place of a row's own.
    #[inline(always)]
    pub(crate) fn set_sum(&mut self, i: usize, sum: Partial) {
        self.sum[i] = sum.relative_to(self.partial(i).reference());
    }

    /// `ln(sum e^(x - pivot))`, NaN for an infinite sum.
    #[inline(always)]
    pub(crate) fn log_relative<S: Simd>(&self, simd: S) -> [f64; N] {
        simd.outline(
            #[inline(always)]
            || {
                let mut logs = [0.0; N];
                for i in 0..N {
                    logs[i] = ln(self.finite_sum(i) * power_of_two(self.exponent[i]));
                }
                logs
            },
        )
    }

    /// The sum; NaN for an infinite one, as a loss and a gradient are where a logit is +inf.
    #[inline(always)]
    fn finite_sum(&self, i: usize) -> f64 {
        self.sum[i] + 0.0 * self.sum[i]
    }

    /// The losses of one logit of each row, `-ln p`, without cancellation.
    ///
    /// Formula: `-ln(e^x / (e^x + R)) = ln(1 + R / e^x)`, with `R` the sum of the others.
    #[inline(always)]
    pub(crate) fn losses<S: Simd>(&self, simd: S, logits: &[f64; N]) -> [f64; N] {
        simd.outline(
            #[inline(always)]
            || {
                let mut losses = [0.0; N];
                for i in 0..N {
                    let dominant = self.is_dominant(i, logits[i]);
                    let whole = self.finite_sum(i) * power_of_two(self.exponent[i]);
                    let log =
                        ln_or_ln_1p(if dominant { self.rest[i] / self.top[i] } else { whole }, dominant);
                    losses[i] = if dominant { log } else { (self.pivot[i] - logits[i]) + log };
                }
                losses
            },
        )
    }

    /// What the shares of these logits leave, `1 - p`, without cancellation, given their losses.
    #[inline(always)]
    pub(crate) fn complements<S: Simd>(&self, simd: S, logits: &[f64; N], losses: &[f64; N]) -> [f64; N] {
        simd.outline(
            #[inline(always)]
            || {
                let mut complements = [0.0; N];
                for i in 0..N {
                    let dominant = self.is_dominant(i, logits[i]);
                    complements[i] =
                        if dominant { self.rest[i] / self.sum[i] } else { 1.0 - exp(-losses[i]) };
                }
                complements
            },
        )
    }

    #[inline(always)]
    #[expect(clippy::float_cmp, reason = "the maximum is one of the logits")]
    fn is_dominant(&self, i: usize, logit: f64) -> bool {
        (self.rest[i] >= 0.0) & (logit == self.max[i])
    }

    /// The losses of dominant logits; any for other rows.
    #[inline(always)]
    pub(crate) fn dominant_losses<S: Simd>(&self, simd: S) -> [f64; N] {
        self.of_dominant(
            simd,
            #[inline(always)]
            |i| ln_1p(self.rest[i] / self.top[i]),
        )
    }

    /// What dominant logits leave of the sums, `1 - p`; any for other rows.
    #[inline(always)]
    pub(crate) fn dominant_complements<S: Simd>(&self, simd: S) -> [f64; N] {
        self.of_dominant(
            simd,
            #[inline(always)]
            |i| self.rest[i] / self.sum[i],
        )
    }

    #[inline(always)]
    fn of_dominant<S: Simd>(&self, simd: S, value: impl Fn(usize) -> f64) -> [f64; N] {
        if !self.any_dominated() {
            return [0.0; N];
        }
        simd.outline(
            #[inline(always)]
            || {
                let mut values = [0.0; N];
                for i in 0..N {
                    values[i] = value(i);
                }
                values
            },
        )
    }

    /// The log-sum-exps.
    ///
    /// Identity: `m + ln(1 + R / e^m)`: next to 0 the sum itself, next to 1, would have no digits left.
    #[inline(always)]
    pub(crate) fn log_sum_exp<S: Simd>(&self, simd: S) -> [f32; N] {
        simd.outline(
            #[inline(always)]
            || {
                const NEAR_ZERO: f32 = 1.0 / 1024.0;
                let mut values = [0.0; N];
                for i in 0..N {
                    values[i] = narrow(self.pivot[i] + ln(self.sum[i] * power_of_two(self.exponent[i])));
                }
                let mut any = false;
                for i in 0..N {
                    any |= (self.rest[i] >= 0.0) & (values[i].abs() < NEAR_ZERO);
                }
                if !any {
                    return values;
                }
                let losses = self.dominant_losses(simd);
                for i in 0..N {
                    if self.dominated(i) && values[i].abs() < NEAR_ZERO {
                        values[i] = narrow(self.max[i] + losses[i]);
                    }
                }
                values
            },
        )
    }

    /// The factors by which terms in the rows' units become `scale` times their shares; NaN where there is
    /// nothing to share, or an infinity.
    #[inline(always)]
    pub(crate) fn factors<S: Simd>(&self, simd: S, scale: &[f64; N]) -> [f64; N] {
        simd.outline(
            #[inline(always)]
            || {
                let mut factors = [0.0; N];
                for i in 0..N {
                    let sum = self.sum[i];
                    // Added, so that the division has no branch around it.
                    let poison = if sum > 0.0 { sum * 0.0 } else { f64::NAN };
                    factors[i] = scale[i] / sum + poison;
                }
                factors
            },
        )
    }

    /// The units of a block in those of its row; 0 for a block without a sum, whose reference means nothing.
    #[inline(always)]
    pub(crate) fn unit_of(&self, i: usize, block: Partial) -> f64 {
        if block.is_empty() { 0.0 } else { self.partial(i).scale_of(block.reference()) }
    }
}

/// The terms of the maxima of up to sixteen rows.
#[inline(always)]
fn top_terms<S: Simd>(simd: S, scans: &[Scan]) -> [f64; LANES] {
    let [mut max, mut pivot, mut exponent] = [[0.0; LANES]; 3];
    for (i, scan) in scans.iter().take(LANES).enumerate() {
        max[i] = scan.max;
        pivot[i] = scan.reference.pivot;
        exponent[i] = scan.reference.exponent_f32();
    }
    Exp::per_lane(simd, simd.load(&pivot), simd.load(&exponent)).term(simd.load(&max)).widen().to_array()
}
