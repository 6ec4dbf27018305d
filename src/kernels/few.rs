//! Rows of few classes that do not fill a tile: each by itself, with the sums of a tile.
//!
//! Terms are computed with classes in the lanes and added one after the other, in the order and by the steps of
//! [`SumTiles`](super::tiles::SumTiles): the bits are the same.

use super::Kernel;
use super::classes::{NUMBERS, STEP, class_bits, leave_out};
use super::maximum::largest_lane;
use super::tiles::bias;
use crate::numbers::exp::{Exp, LaneReference, Reference};
use crate::simd::{LANES, Lanes, Simd};

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
            let to = terms.next().unwrap_or(&mut own);
            let own = simd.splat(class_bits(label));
            let mut x = [[f32::NEG_INFINITY; LANES]; STEP / LANES];
            let mut largest = [f32::NEG_INFINITY; LANES];
            for ((from, to), numbers) in row.chunks(LANES).zip(&mut x).zip(&NUMBERS) {
                for part in 0..S::PARTS {
                    let others = simd.load_tail(from, part, f32::NEG_INFINITY);
                    let others = leave_out(simd, others, simd.load(numbers, part), own);
                    others.max(simd.load(&largest, part)).store(&mut largest, part);
                    others.store(to, part);
                }
            }
            let others = largest_lane(largest);
            // A NaN at the label is no largest logit either.
            let logit =
                row.get(label).copied().filter(|x| *x > f32::NEG_INFINITY).unwrap_or(f32::NEG_INFINITY);
            let max = if others > logit { others } else { logit };
            let reference = Reference::for_max(max);
            let lanes = [LaneReference::splat(simd, reference); 1];
            for (x, to) in x.iter().zip(to.as_chunks_mut().0).take(row.len().div_ceil(LANES)) {
                for part in 0..S::PARTS {
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
            self.rest[i] = f64::from(high - start) + f64::from(low);
            self.max[i] = max;
            self.references[i] = reference;
        }
    }
}
