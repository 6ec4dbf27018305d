//! Softmax: `e^(x_i) / sum_j e^(x_j)`.
//!
//! The terms of each block are written where the result goes, and scaled there once the row's sum is
//! known.

use super::block::BLOCK;
use super::flow::Update;
use super::place::Place;
use super::row::{Row, scan};
use super::share::{Factor, map, narrow};
use super::{Job, Scratch};
use crate::simd::Simd;

pub(crate) struct Softmax<P>(pub(crate) P);

impl<P: Place> Job for Softmax<P> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch) {
        for row in 0..self.0.rows() {
            let scan = scan(simd, self.0.flow(row), &mut (), scratch);
            let found = Row::settle(simd, scan, scratch, self.0.source(row));
            share_out(simd, self.0.results(row), scratch, &found, 1.0);
        }
    }
}

/// Makes of a row's terms `scale` times their shares of its sum.
#[inline(always)]
pub(crate) fn share_out<S: Simd>(simd: S, terms: &mut [f32], scratch: &Scratch, found: &Row, scale: f64) {
    for (block, sum) in terms.chunks_mut(BLOCK).zip(&scratch.blocks) {
        let factor = Factor::new(simd, scale * found.sum.share_of(*sum));
        map(
            simd,
            Update(block),
            #[inline(always)]
            |term| factor.apply(term),
        );
    }
    if let Some((index, complement)) = found.dominant_complement() {
        // Not by its term, which is rounded while the sum is not: never above 1.
        terms[index] = narrow(scale * (1.0 - complement));
    }
}
