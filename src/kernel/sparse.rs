//! Cross-entropy with one class index per row: `ln sum_j e^(x_j) - x_y`, and its gradient
//! `softmax_i - [i == y]`, times the row's upstream factor.
//!
//! Identity: `ln(1 + R / e^(x_y))`, with `R` the sum over the other classes, has no cancellation; nor
//! has `-R / (R + e^(x_y))`, the gradient at the label.

use super::place::Place;
use super::row::{Row, scan};
use super::scale::{Scale, Sums};
use super::share::narrow;
use super::softmax::share_out;
use super::{Job, Scratch};
use crate::LogSumExp;
use crate::element::Lanewise;
use crate::labels::RowLabels;
use crate::simd::Simd;

/// The loss of each row, and, where the place writes, its gradient.
pub(crate) struct Sparse<'a, P> {
    pub(crate) place: P,
    pub(crate) labels: RowLabels<'a>,
    pub(crate) scale: Scale<'a>,
    /// One per row, or empty.
    pub(crate) losses: &'a mut [f32],
    pub(crate) sums: Sums<'a>,
}

impl<P: Place> Job for Sparse<'_, P> {
    fn rows(&self) -> usize {
        self.place.rows()
    }

    fn classes(&self) -> usize {
        self.place.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, other_place) = self.place.split_at(row);
        let (labels, other_labels) = self.labels.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row.min(self.losses.len()));
        let (sums, other_sums) = self.sums.split_at(row);
        (
            Self { place, labels, scale, losses, sums },
            Self {
                place: other_place,
                labels: other_labels,
                scale: other_scale,
                losses: other_losses,
                sums: other_sums,
            },
        )
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch) {
        for row in 0..self.place.rows() {
            let (loss, sum) = if let Some(label) = self.labels.class(row) {
                self.row(simd, row, label, scratch)
            } else {
                self.place.results(row).fill(0.0);
                (0.0, LogSumExp::EMPTY)
            };
            if let Some(to) = self.losses.get_mut(row) {
                *to = narrow(loss);
            }
            self.sums.save(row, sum);
        }
    }
}

impl<P: Place> Sparse<'_, P> {
    /// The loss of a row; its gradient goes to the place.
    #[inline(always)]
    fn row<S: Simd>(&mut self, simd: S, row: usize, label: usize, scratch: &mut Scratch) -> (f64, LogSumExp) {
        let place = &mut self.place;
        let logit = place.logits(row)[label].to_f32();
        let scan = scan(simd, place.flow(row), &mut (), scratch);
        let found = Row::settle(simd, scan, scratch, place.source(row));
        let found = self.sums.saved(row).map_or(found, |sum| found.with_sum(sum));
        let loss = found.loss(label, logit);
        if P::WRITES {
            let scale = self.scale.of(row);
            let gradient = place.results(row);
            share_out(simd, gradient, scratch, &found, scale);
            gradient[label] = narrow(0.0 - scale * found.complement(label, loss));
        }
        (loss, found.sum)
    }
}
