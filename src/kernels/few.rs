//! Rows of few classes that do not fill a tile: each by itself, with the sums of a tile.
//!
//! Terms are computed with classes in the lanes and added one after the other, in the order and by the steps of
//! [`SumTiles`](super::tiles::SumTiles): the bits are the same.

use super::Kernel;
use super::classes::{NUMBERS, STEP, class_bits, leave_out};
use super::finish::coefficients;
use super::group::Group;
use super::maximum::largest_lane;
use super::tiles::bias;
use crate::numbers::ends::LaneEnds;
use crate::numbers::exp::{Exp, LaneReference, Reference};
use crate::numbers::factor::narrow_normal;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Sums the terms of rows of at most 63 classes.
pub(crate) struct SumFew<'a> {
    pub(crate) rows: &'a [&'a [f32]],
    /// The classes that are left out.
    pub(crate) labels: &'a [usize],
    /// Where terms are kept, a step for each row; empty if they are not.
    pub(crate) terms: &'a mut [[f32; STEP]],
    pub(crate) rest: &'a mut [f64],
    pub(crate) max: &'a mut [f32],
    pub(crate) references: &'a mut [Reference],
}

impl Kernel for SumFew<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let exp = Exp::new(simd);
        let mut terms = self.terms.iter_mut();
        for (i, (row, &label)) in self.rows.iter().zip(self.labels).enumerate() {
            let mut own = [0.0; STEP];
            let sum = sum(simd, &exp, row, label, terms.next().unwrap_or(&mut own));
            (self.rest[i], self.max[i], self.references[i]) = (sum.rest, sum.max, sum.reference);
        }
    }
}

/// Sums the terms of rows of at most 63 classes, and settles them, each in a group of its own.
pub(crate) struct SettleFew<'a> {
    pub(crate) rows: &'a [&'a [f32]],
    pub(crate) groups: &'a mut [Group],
    /// Where terms are kept.
    pub(crate) terms: &'a mut [[f32; STEP]],
    /// Whether there are labels, and losses of them.
    pub(crate) losses: bool,
    /// Whether factors and results at labels are wanted.
    pub(crate) factors: bool,
}

impl Kernel for SettleFew<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let exp = Exp::new(simd);
        for ((row, group), terms) in self.rows.iter().zip(self.groups).zip(self.terms) {
            let Summed { rest, max, logit, reference } = sum(simd, &exp, row, group.labels[0], terms);
            (group.max[0], group.ends.logit[0], group.ends.pivot[0]) = (max, logit, reference.pivot);
            let ends = if self.losses {
                LaneEnds::of_row(simd, &exp, rest, logit, reference)
            } else {
                LaneEnds::without_label(simd, rest)
            };
            ends.sum.store(&mut group.ends.sum, 0);
            if self.losses {
                ends.losses(simd).store(&mut group.loss, 0);
                group.results[0] = narrow_normal(group.loss[0] * group.weight[0]);
            }
            if self.factors {
                let scale = [group.scale[0], group.inverse_scale[0]].map(
                    #[inline(always)]
                    |number| simd.splat_wide(number),
                );
                coefficients(simd, 0, group, scale, ends.sum, ends.rest);
                group.at_label[0] = narrow_normal(group.at_label[0].into());
            }
        }
    }
}

/// What is read of a row.
struct Summed {
    /// The sum of the terms of all classes but the label.
    rest: f64,
    max: f32,
    /// That of the label; -inf where there is none.
    logit: f32,
    reference: Reference,
}

/// Sums the terms of a row, and leaves them in `to`.
#[inline(always)]
fn sum<S: Simd>(simd: S, exp: &Exp<S>, row: &[f32], label: usize, to: &mut [f32; STEP]) -> Summed {
    let own = simd.splat(class_bits(label));
    let mut x = [[f32::NEG_INFINITY; LANES]; STEP / LANES];
    let (mut largest, mut rest) = (simd.splat(f32::NEG_INFINITY), row);
    for (to, numbers) in x.iter_mut().zip(&NUMBERS) {
        let (from, after) = rest.split_at(rest.len().min(LANES));
        for part in simd.parts() {
            let others = simd.load_tail(from, part, f32::NEG_INFINITY);
            let others = leave_out(simd, others, simd.load(numbers, part), own);
            largest = others.max(largest);
            others.store(to, part);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    largest.store(&mut lanes, 0);
    let others = largest_lane(lanes);
    let logit = row.get(label).copied().unwrap_or(f32::NEG_INFINITY);
    // A NaN at the label is no largest logit either.
    let known = if logit > f32::NEG_INFINITY { logit } else { f32::NEG_INFINITY };
    let max = if others > known { others } else { known };
    let reference = Reference::for_max(max);
    let lanes = [LaneReference::splat(simd, reference); 1];
    for (x, to) in x.iter().zip(to.as_chunks_mut().0).take(row.len().div_ceil(LANES)) {
        for part in simd.parts() {
            exp.terms::<1, true>([simd.load(x, part)], &lanes).0[0].store(to, part);
        }
    }
    let start = bias(others - reference.pivot, reference.exponent, row.len());
    let (mut high, mut low) = (start, 0.0_f32);
    for &term in &to[..row.len()] {
        let sum = high + term;
        low += term - (sum - high);
        high = sum;
    }
    Summed { rest: f64::from(high - start) + f64::from(low), max, logit, reference }
}
