//! Log-softmax: `x_i - ln sum_j e^(x_j)`, times a factor per row.

use core::f64::consts::LN_2;

use super::flow::{Flow, Read};
use super::partial::Partial;
use super::place::{Place, Source};
use super::row::{Top, scan};
use super::scale::Scale;
use super::share::{map, narrow, split};
use super::{Job, Scratch};
use crate::simd::Simd;

pub(crate) struct LogSoftmax<'a, P> {
    pub(crate) place: P,
    /// What each row is multiplied by.
    pub(crate) scale: Scale<'a>,
}

impl<P: Place> Job for LogSoftmax<'_, P> {
    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, rest) = self.place.split_at(row);
        let (scale, other) = self.scale.split_at(row);
        (Self { place, scale }, Self { place: rest, scale: other })
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, _scratch: &mut Scratch) {
        for row in 0..self.place.rows() {
            let scale = self.scale.of(row);
            let logits = self.place.logits(row);
            let mut top = Top::NONE;
            let total = scan(simd, Read(logits), &mut top).finite_or_nan();
            // Only the largest logit can hold most of the sum.
            let confident = total.loss_of(top.max) < LN_2;
            let (of_max, _) = top.rest().loss(simd, Source::Logits(logits), total);
            if scale == 0.0 {
                // Also where the logarithm is -inf.
                self.place.results(row).fill(0.0);
                continue;
            }
            subtract(simd, self.place.flow(row), total, scale);
            if confident {
                self.place.results(row)[top.index] = narrow(-of_max * scale);
            }
        }
    }
}

/// Writes `scale (x - ln sum)`.
///
/// Identity: `x - ln sum = (x - c) - ln(sum e^(x_j - c))` with the sum's pivot `c`, for which the first
/// difference is exact; the logarithm is taken off as a high and a low f32.
#[inline(always)]
fn subtract<S: Simd, F: Flow>(simd: S, row: F, total: Partial, scale: f64) {
    let (high, low) = split(total.log_relative());
    let (high, low) = (simd.splat(high), simd.splat(low));
    let (pivot, scale) = (simd.splat(total.pivot()), simd.splat(narrow(scale)));
    map(
        simd,
        row,
        #[inline(always)]
        |x| (((x - pivot) - high) - low) * scale,
    );
}
