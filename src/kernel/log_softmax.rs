//! Log-softmax: `x_i - ln sum_j e^(x_j)`, times a factor per row.

use super::flow::Flow;
use super::partial::Partial;
use super::place::Place;
use super::row::read_row;
use super::scale::Scale;
use super::share::{map, narrow, split};
use super::{Job, Scratch};
use crate::simd::{Lanes, Simd};

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
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch) {
        for row in 0..self.place.rows() {
            let scale = self.scale.of(row);
            let found = read_row(simd, self.place.logits(row), scratch);
            if scale == 0.0 {
                // 0 also where the logarithm is -inf, but NaN where the row has none.
                self.place.results(row).fill(narrow(scale * found.max_loss()));
                continue;
            }
            subtract(simd, self.place.flow(row), found.sum.finite_or_nan(), scale);
            if let Some((index, loss)) = found.dominant_loss() {
                // Next to 0, where the difference cancels; never -0.
                self.place.results(row)[index] = narrow(0.0 - loss * scale);
            }
        }
    }
}

/// Writes `scale (x - ln sum)`.
///
/// Identity: `x - ln sum = (x - c) - ln(sum e^(x_j - c))` for the sum's pivot `c`, which makes the first
/// difference exact. The logarithm is taken off as a high and a low f32, and so is the factor applied.
#[inline(always)]
#[expect(clippy::float_cmp, reason = "the factor is 1 or it is not")]
fn subtract<S: Simd, F: Flow>(simd: S, row: F, sum: Partial, scale: f64) {
    let (high, low) = split(sum.log_relative());
    let (pivot, high, low) = (simd.splat(sum.pivot()), simd.splat(high), simd.splat(low));
    if scale == 1.0 {
        map(
            simd,
            row,
            #[inline(always)]
            |x| ((x - pivot) - high) - low,
        );
        return;
    }
    let (scale_high, scale_low) = split(scale);
    let (scale_high, scale_low) = (simd.splat(scale_high), simd.splat(scale_low));
    let lowest = simd.splat(f32::MIN);
    map(
        simd,
        row,
        #[inline(always)]
        |x| {
            let z = ((x - pivot) - high) - low;
            // -inf takes no part in the low product, whose factor may be 0.
            z.mul_add(scale_high, z.zero_below(lowest) * scale_low)
        },
    );
}
