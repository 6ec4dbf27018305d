//! Cross-entropy with one class index per row: `ln sum_j e^(x_j) - x_y`, and its gradient
//! `softmax_i - [i == y]`, times the row's upstream factor.
//!
//! Identity: `ln(1 + R / e^(x_y))`, with `R` the sum over the other classes, has no cancellation; nor
//! has `-R / (R + e^(x_y))`, the gradient at the label.

use super::ends::Ends;
use super::operation::{Finish, Operation, Row, Seen};
use super::place::Place;
use super::scale::{Scale, Sums, leave_out};
use super::share::narrow;
use super::weights::Weights;
use crate::element::Lanewise;
use crate::labels::RowLabels;
use crate::simd::Simd;

/// The loss of each row, and, where the place writes, its gradient.
pub(crate) struct Sparse<'a, P> {
    pub(crate) place: P,
    pub(crate) labels: RowLabels<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    /// One per row, or empty.
    pub(crate) losses: &'a mut [f32],
    pub(crate) sums: Sums<'a>,
}

impl<P: Place> Operation for Sparse<'_, P> {
    type Place = P;
    type Epilogue = P::Shares;
    type Watch<'b> = ();
    const AT_LABEL: bool = true;

    fn place(&self) -> &P {
        &self.place
    }

    fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (place, other_place) = self.place.split_at(row);
        let (labels, other_labels) = self.labels.split_at(row);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row.min(self.losses.len()));
        let (sums, other_sums) = self.sums.split_at(row);
        (
            Self { place, labels, weights, scale, losses, sums },
            Self {
                place: other_place,
                labels: other_labels,
                weights: other_weights,
                scale: other_scale,
                losses: other_losses,
                sums: other_sums,
            },
        )
    }

    #[inline(always)]
    fn labels(&self, first: usize, labels: &mut [usize]) {
        self.labels.classes(first, labels);
        self.weights.ignore_weightless(first, labels);
    }

    #[inline(always)]
    fn ignore(&mut self, row: usize) {
        self.place.clear(row);
        leave_out(self.losses, &mut self.sums, row);
    }

    #[inline(always)]
    fn watch(_labels: Option<&[f32]>) {}

    #[inline(always)]
    fn logit(&self, row: Row) -> f64 {
        self.place.logits(row.index)[row.label].to_f32().into()
    }

    #[inline(always)]
    fn end<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        rows: &[Row],
        ends: &mut Ends<N>,
        seen: &[Seen; N],
    ) -> Finish<N> {
        let mut logits = [0.0; N];
        for (to, seen) in logits.iter_mut().zip(seen) {
            *to = seen.logit;
        }
        self.sums.exchange(rows, ends);
        let losses = ends.losses(simd, &logits);
        if !self.losses.is_empty() {
            let mut weighed = losses;
            self.weights.weigh(rows, &mut weighed);
            for (row, loss) in rows.iter().zip(weighed) {
                self.losses[row.index] = narrow(loss);
            }
        }
        if !P::WRITES {
            return Finish::NOTHING;
        }
        let mut scale = self.scale.of_all(rows);
        self.weights.weigh(rows, &mut scale);
        let complements = ends.complements(simd, &logits, &losses);
        let mut at_label = [0.0; N];
        for i in 0..N {
            at_label[i] = 0.0 - scale[i] * complements[i];
        }
        Finish {
            by: ends.factors(simd, &scale),
            scale,
            at_label,
            of_dominant: ends.dominant_complements(simd),
        }
    }

    #[inline(always)]
    fn dominant(&self, _row: Row, _label: f64, complement: f64, scale: f64, _seen: &Seen) -> f32 {
        narrow(scale * (1.0 - complement))
    }
}
