//! Gradients through softmax and log-softmax, from their outputs and the upstream gradient.

use super::block::{BLOCK, block_max};
use super::exp::{Exp, Reference};
use super::place::Place;
use super::share::{Factor, map_with, split};
use super::{Job, Join, Scratch};
use crate::Rows;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Softmax: `y_i (g_i - sum_j y_j g_j)`. The place holds the upstream gradient `g`.
///
/// A class of probability 0 has gradient 0, whatever its upstream gradient is.
pub(crate) struct SoftmaxGradient<'a, P> {
    /// The output of the forward pass, `y`.
    pub(crate) output: Rows<'a>,
    pub(crate) place: P,
}

/// Log-softmax: `g_i - e^(z_i) sum_j g_j`. The place holds the upstream gradient `g`.
pub(crate) struct LogSoftmaxGradient<'a, P> {
    /// The output of the forward pass, `z`.
    pub(crate) output: Rows<'a>,
    pub(crate) place: P,
}

impl<P: Place<Element = f32>> Job for SoftmaxGradient<'_, P> {
    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (output, rest) = self.output.split_at(row);
        let (place, other) = self.place.split_at(row);
        (Self { output, place }, Self { output: rest, place: other })
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, _: &mut Scratch, _: Option<Join>) {
        for row in 0..self.place.rows() {
            let y = self.output.row_at(row);
            // Products of f32 are exact in f64, so that the sum is as good as its terms.
            let dot = sum_pairs(
                simd,
                y,
                self.place.logits(row),
                #[inline(always)]
                |y, g| y.widen() * g.zero_where_zero(y).widen(),
            );
            let (high, low) = split(dot);
            let (high, low) = (simd.splat(high), simd.splat(low));
            map_with(
                simd,
                y,
                self.place.flow(row),
                #[inline(always)]
                |y, g| {
                    // A class of probability 0 takes no part, as in the sum.
                    (((g.zero_where_zero(y) - high) - low) * y).zero_where_zero(y)
                },
            );
        }
    }
}

impl<P: Place<Element = f32>> Job for LogSoftmaxGradient<'_, P> {
    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (output, rest) = self.output.split_at(row);
        let (place, other) = self.place.split_at(row);
        (Self { output, place }, Self { output: rest, place: other })
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, _: &mut Scratch, _: Option<Join>) {
        for row in 0..self.place.rows() {
            let z = self.output.row_at(row);
            let sum = sum_pairs(
                simd,
                z,
                self.place.logits(row),
                #[inline(always)]
                |_, g| g.widen(),
            );
            let reference = z
                .chunks(BLOCK)
                .map(
                    #[inline(always)]
                    |block| block_max(simd, block),
                )
                .fold(f32::NEG_INFINITY, |max, block| if block > max { block } else { max });
            let reference = Reference::for_max(reference);
            let exp = Exp::new(simd, reference);
            let factor = Factor::new(simd, -sum * reference.to_f64());
            map_with(
                simd,
                z,
                self.place.flow(row),
                #[inline(always)]
                |z, g| factor.scaled(exp.term(z)).mul_add(factor.unscale, g),
            );
        }
    }
}

/// The sum of `f(a, b)` over a row, lane by lane in f64.
#[inline(always)]
fn sum_pairs<S: Simd>(simd: S, a: &[f32], b: &[f32], f: impl Fn(S::Lanes, S::Lanes) -> S::Wide) -> f64 {
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    let mut sum = simd.wide_zero();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        sum = sum + f(simd.load(a), simd.load(b));
    }
    if !a_tail.is_empty() {
        sum = sum + f(simd.load_partial(a_tail, 0.0), simd.load_partial(b_tail, 0.0));
    }
    sum.reduce_add()
}
