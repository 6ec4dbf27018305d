//! Losses of rows that need no exponentials: one row after the other, in f64.

use super::lines::{Lines, LinesMut};
use super::operation::{GROUP, IGNORED, Row};
use super::scale::Scale;
use super::weights::Weights;
use super::{Job, Join, Scratch};
use crate::labels::RowLabels;
use crate::simd::Simd;

/// The loss of a row, and its gradient.
pub(crate) trait RowFormula: Copy + Send {
    /// Gives the loss, and writes the gradient where one is wanted.
    fn row(&self, given: &Given<'_>, gradient: Option<&mut [f32]>) -> f32;
}

/// What is known of a row.
pub(crate) struct Given<'a> {
    pub(crate) inputs: &'a [f32],
    pub(crate) label: usize,
    /// The dense labels, in place of the label.
    pub(crate) dense: Option<&'a [f32]>,
    /// What the loss of the row is multiplied by.
    pub(crate) weight: f64,
    /// What its gradient is multiplied by beside that.
    pub(crate) scale: f64,
    pub(crate) weights: Weights<'a>,
}

/// The loss of each row, and its gradient where one is wanted.
pub(crate) struct RowLoss<'a, F> {
    pub(crate) formula: F,
    pub(crate) inputs: Lines<'a>,
    pub(crate) labels: Option<RowLabels<'a>>,
    /// In place of labels.
    pub(crate) dense: Option<Lines<'a>>,
    pub(crate) weights: Weights<'a>,
    pub(crate) scale: Scale<'a>,
    /// One per row.
    pub(crate) losses: &'a mut [f32],
    pub(crate) gradient: Option<LinesMut<'a>>,
}

impl<F: RowFormula> Job for RowLoss<'_, F> {
    fn rows(&self) -> usize {
        self.inputs.rows()
    }

    fn classes(&self) -> usize {
        self.inputs.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (inputs, other_inputs) = self.inputs.split_at(row);
        let (labels, other_labels) = self.labels.map(|labels| labels.split_at(row)).unzip();
        let (dense, other_dense) = self.dense.map(|dense| dense.split_at(row)).unzip();
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row);
        let (gradient, other_gradient) = self.gradient.map(|rows| rows.split_at(row)).unzip();
        (
            Self { inputs, labels, dense, weights, scale, losses, gradient, ..self },
            Self {
                inputs: other_inputs,
                labels: other_labels,
                dense: other_dense,
                weights: other_weights,
                scale: other_scale,
                losses: other_losses,
                gradient: other_gradient,
                ..self
            },
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        let of_dense = || self.dense.as_ref().and_then(|dense| dense.seam(near));
        let of_gradient = || self.gradient.as_ref().and_then(|gradient| gradient.seam(near));
        self.inputs.seam(near).or_else(of_dense).or_else(of_gradient)
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch, _: Option<Join>) {
        self.exchange(scratch);
        for first in (0..self.rows()).step_by(GROUP) {
            let mut labels = [0; GROUP];
            let labels = &mut labels[..GROUP.min(self.inputs.rows() - first)];
            if let Some(all) = &self.labels {
                all.classes(first, labels);
            }
            self.weights.ignore_weightless(first, labels);
            let (mut group, mut len) = ([Row { index: 0, label: 0 }; GROUP], 0);
            for (index, &label) in (first..).zip(&*labels) {
                if label == IGNORED {
                    self.losses[index] = 0.0;
                    if let Some(gradient) = &mut self.gradient {
                        gradient.fill(index, 0.0);
                    }
                } else {
                    group[len] = Row { index, label };
                    len += 1;
                }
            }
            self.group(simd, first, &group[..len]);
        }
        self.exchange(scratch);
    }
}

impl<F: RowFormula> RowLoss<'_, F> {
    fn exchange(&mut self, scratch: &mut Scratch) {
        self.inputs.exchange(&mut scratch.loaded.logits);
        if let Some(dense) = &mut self.dense {
            dense.exchange(&mut scratch.loaded.labels);
        }
        if let Some(gradient) = &mut self.gradient {
            gradient.exchange(&mut scratch.loaded.results);
        }
    }

    #[inline(always)]
    fn group<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row]) {
        self.inputs.load(simd, first, rows);
        if let Some(dense) = &mut self.dense {
            dense.load(simd, first, rows);
        }
        if let Some(gradient) = &mut self.gradient {
            gradient.load(first, rows);
        }
        for &Row { index, label } in rows {
            let weight = self.weights.of_row(index);
            let given = Given {
                inputs: self.inputs.row(index),
                label,
                dense: self.dense.as_ref().map(|dense| dense.row(index)),
                weight,
                scale: self.scale.of(index) * weight,
                weights: self.weights,
            };
            let gradient = self.gradient.as_mut().map(|gradient| gradient.row_mut(index));
            self.losses[index] = self.formula.row(&given, gradient);
        }
        if let Some(gradient) = &mut self.gradient {
            gradient.store(simd, rows);
        }
    }
}
