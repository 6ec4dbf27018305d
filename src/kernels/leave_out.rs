//! Sums of rows with one class left out, once their whole sums are known.
//!
//! Formula: `sum e^(x_j - m)` over all classes but one of the row's own.
//!
//! Identity: whole sums are kept lane by lane, and only the lane that holds the class is another one without it.
//!
//! Trick: that lane has every sixteenth class of the row. So sixteen rows are summed at once, each in a lane of this kernel, at
//! the cost of one row; the order of additions is that of [`rows`](super::rows), and so are the bits.

use super::Kernel;
use super::adder::{add, beyond};
use super::classes::STEP;
use super::columns::ColumnSums;
use super::group::NO_LABEL;
use super::maximum::largest_lane;
use super::rows::{BLOCK, RowSum};
use crate::numbers::exp::{Exp, LaneReference, Parts};
use crate::simd::{LANES, Lanes, Simd};

/// Whole sums of rows of at most [`PART`](super::rows::PART) classes, and their logits.
pub(crate) enum Summed<'a> {
    Rows(&'a [&'a [f32]], &'a [RowSum]),
    Columns(&'a [[f32; LANES]], &'a ColumnSums),
}

/// Classes of which a lane has one vector for each of four steps.
const CHUNK: usize = 4 * STEP;

impl Summed<'_> {
    /// Every sixteenth logit of a row.
    #[inline(always)]
    fn lane(&self, row: usize, first: usize, to: &mut [[f32; LANES]; CHUNK / LANES]) {
        match self {
            Self::Rows(rows, _) => {
                let from = rows[row].get(first..).unwrap_or_default();
                for (x, to) in from.iter().step_by(LANES).zip(to) {
                    to[row] = *x;
                }
            }
            Self::Columns(tile, _) => {
                let from = tile.get(first..).unwrap_or_default();
                for (class, to) in from.iter().step_by(LANES).zip(to) {
                    to[row] = class[row];
                }
            }
        }
    }
}

/// Sums the terms of rows without a class of each.
pub(crate) struct LeaveOut<'a> {
    pub(crate) summed: Summed<'a>,
    pub(crate) classes: usize,
    /// The classes that are left out; `NO_LABEL` for rows that are not summed.
    pub(crate) labels: &'a [usize; LANES],
    /// The references of the rows.
    pub(crate) pivot: &'a [f32; LANES],
    pub(crate) exponent: &'a [f32; LANES],
    pub(crate) rest: &'a mut [f64; LANES],
}

impl Kernel for LeaveOut<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { summed, classes, labels, pivot, exponent, rest } = self;
        let exp = Exp::new(simd);
        let (mut high, mut low, mut lows) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for start in (0..classes).step_by(CHUNK) {
            if start.is_multiple_of(BLOCK) {
                fold(&mut lows, &mut low);
            }
            let mut x = [[f32::NEG_INFINITY; LANES]; CHUNK / LANES];
            let mut kept = [[f32::from_bits(u32::MAX); LANES]; CHUNK / LANES];
            for (row, label) in labels.iter().enumerate().filter(|(_, label)| **label != NO_LABEL) {
                summed.lane(row, start + label % LANES, &mut x);
                // As in whole rows, a class is taken out of the powers where a row is of one block; of more, out of the logits.
                let own = label.wrapping_sub(start) / LANES;
                if let (Some(x), Some(kept)) = (x.get_mut(own), kept.get_mut(own)) {
                    (x[row], kept[row]) =
                        if classes <= BLOCK { (x[row], 0.0) } else { (f32::NEG_INFINITY, kept[row]) };
                }
            }
            let steps = (classes - start).div_ceil(STEP);
            let (x, kept) = (x.as_chunks::<4>().0, kept.as_chunks::<4>().0);
            for part in simd.parts() {
                let pivot = simd.load(pivot, part);
                let reference = LaneReference::new(simd, pivot, simd.load(exponent, part));
                let (mut a, mut b) = (simd.load(&high, part), simd.load(&low, part));
                for (x, kept) in x.iter().zip(kept).take(steps) {
                    let mut own = [pivot; 4];
                    for (own, x) in own.iter_mut().zip(x) {
                        *own = simd.load(x, part) - pivot;
                    }
                    let Parts { mut power, q, .. } = exp.parts_to_add(own, &[reference; 4]);
                    for (power, kept) in power.iter_mut().zip(kept) {
                        *power = power.and(simd.load(kept, part));
                    }
                    add(&mut a, &mut b, power, beyond(simd, &power, &q));
                }
                a.store(&mut high, part);
                b.store(&mut low, part);
            }
        }
        fold(&mut lows, &mut low);
        match summed {
            Summed::Rows(_, sums) => {
                for (i, sum) in sums.iter().enumerate().filter(|(i, _)| labels[*i] != NO_LABEL) {
                    rest[i] = sum.with_lane(simd, labels[i] % LANES, high[i], lows[i]);
                }
            }
            Summed::Columns(_, sums) => {
                let mut sums = sums.of_lanes();
                for i in (0..LANES).filter(|i| labels[*i] != NO_LABEL) {
                    sums.set(labels[i] % LANES, i, high[i], lows[i]);
                }
                *rest = sums.total(simd);
            }
        }
    }
}

/// A class that leads, `e^-0.5` of its row's sum or more, is more than this share of it in the sum of its lane's powers, which are
/// up to a twenty-third smaller than terms.
const LEAD: f64 = 0.58;

/// Tells of which rows one class may be the most, from their sums, lane by lane and whole.
pub(crate) struct MayLead<'a> {
    pub(crate) sums: &'a [RowSum],
    pub(crate) totals: &'a [f64; LANES],
    pub(crate) to: &'a mut [bool; LANES],
}

impl Kernel for MayLead<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        for ((sum, total), to) in self.sums.iter().zip(self.totals).zip(self.to) {
            *to = f64::from(largest_lane(sum.high)) >= LEAD * total;
        }
    }
}

/// Ends a block.
#[inline(always)]
fn fold(lows: &mut [f32; LANES], low: &mut [f32; LANES]) {
    for (lows, low) in lows.iter_mut().zip(low) {
        *lows += *low;
        *low = 0.0;
    }
}
