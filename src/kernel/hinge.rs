//! Multiclass hinge: `sum over j != y of max(0, d - x_y + x_j)^p` for a margin `d`, times the row's weight, and its
//! gradient `p max(0, d - x_y + x_j)^(p-1)`, at the label minus the sum of the others.

use super::operation::IGNORED;
use super::scale::Scale;
use super::share::narrow;
use super::weights::{Weights, weighed};
use super::{Job, Join, Scratch};
use crate::labels::RowLabels;
use crate::simd::{LANES, Simd};
use crate::{Rows, RowsMut};

/// The loss of each row, and its gradient where one is wanted.
pub(crate) struct Hinge<'a> {
    pub(crate) logits: Rows<'a>,
    pub(crate) labels: RowLabels<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) margin: f64,
    /// Whether the power is 2, not 1.
    pub(crate) squared: bool,
    /// What every loss is multiplied by.
    pub(crate) share: f64,
    pub(crate) scale: Scale<'a>,
    /// One per row.
    pub(crate) losses: &'a mut [f32],
    pub(crate) gradient: Option<RowsMut<'a>>,
}

impl Job for Hinge<'_> {
    fn rows(&self) -> usize {
        self.logits.rows()
    }

    fn classes(&self) -> usize {
        self.logits.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, other_logits) = self.logits.split_at(row);
        let (labels, other_labels) = self.labels.split_at(row);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row);
        let (gradient, other_gradient) = self.gradient.map(|rows| rows.split_at(row)).unzip();
        (
            Self { logits, labels, weights, scale, losses, gradient, ..self },
            Self {
                logits: other_logits,
                labels: other_labels,
                weights: other_weights,
                scale: other_scale,
                losses: other_losses,
                gradient: other_gradient,
                ..self
            },
        )
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, _: S, _: &mut Scratch, _: Option<Join>) {
        for row in 0..self.logits.rows() {
            let mut label = [0];
            self.labels.classes(row, &mut label);
            self.weights.ignore_weightless(row, &mut label);
            if label[0] == IGNORED {
                self.losses[row] = 0.0;
                if let Some(gradient) = &mut self.gradient {
                    gradient.row_at_mut(row).fill(0.0);
                }
            } else {
                self.row(row, label[0]);
            }
        }
    }
}

impl Hinge<'_> {
    #[inline(always)]
    fn row(&mut self, row: usize, label: usize) {
        let logits = self.logits.row_at(row);
        let weight = self.share * self.weights.of(row, label);
        let scale = self.scale.of(row) * weight;
        let distance = self.margin - f64::from(logits[label]);
        let (mut sums, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        for start in (0..logits.len()).step_by(LANES) {
            // What is not there, and the label, is far from every margin.
            let mut x = [f64::NEG_INFINITY; LANES];
            for (to, logit) in x.iter_mut().zip(&logits[start..]) {
                *to = f64::from(*logit);
            }
            if let Some(x) = label.checked_sub(start).and_then(|lane| x.get_mut(lane)) {
                *x = f64::NEG_INFINITY;
            }
            let mut gradient = [0.0; LANES];
            for i in 0..LANES {
                // A class of -inf takes no part, whatever the label's logit. NaN does.
                let over = if x[i] == f64::NEG_INFINITY { 0.0 } else { distance + x[i] };
                let over = if over < 0.0 { 0.0 } else { over };
                let step = if over > 0.0 { 1.0 } else { over };
                sums[i] += if self.squared { over * over } else { over };
                let slope = if self.squared { 2.0 * over } else { step };
                slopes[i] += slope;
                gradient[i] = narrow(scale * slope);
            }
            if let Some(to) = &mut self.gradient {
                let to = &mut to.row_at_mut(row)[start..];
                let len = to.len().min(LANES);
                to[..len].copy_from_slice(&gradient[..len]);
            }
        }
        let sum = if distance.is_nan() { distance } else { sums.iter().sum() };
        self.losses[row] = narrow(weighed(weight, sum));
        if let Some(to) = &mut self.gradient {
            to.row_at_mut(row)[label] = narrow(0.0 - scale * slopes.iter().sum::<f64>());
        }
    }
}
