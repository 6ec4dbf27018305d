//! Negative log-likelihood of probabilities, or log-probabilities, that are given.
//!
//! Formula: `-sum_i q_i (ln c_i - ln n)` for masses `q`, with `a = p`, or `p / sum p`; `c` clipped from `a`; and `n = 1`,
//! or `sum c`. What is clipped has no derivative. Of log-probabilities `-sum_i q_i x_i`.

use super::math::ln;
use super::mixed::RowTargets;
use super::operation::IGNORED;
use super::scale::Scale;
use super::share::narrow;
use super::weights::{Weights, weighed};
use super::{Job, Join, Scratch};
use crate::simd::Simd;
use crate::{Rows, RowsMut};

/// What the inputs are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Given {
    LogProbabilities,
    /// With how much of them is clipped at either end.
    Probabilities {
        clip: f64,
        normalise: Normalise,
    },
}

/// When probabilities are divided by their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Normalise {
    /// Never: they are what they are.
    #[default]
    Never,
    /// Before they are clipped: Keras' `categorical_crossentropy`.
    BeforeClipping,
    /// After: Keras' `sparse_categorical_crossentropy`.
    AfterClipping,
}

/// The loss of each row, and its gradient where one is wanted.
pub(crate) struct Likelihood<'a> {
    pub(crate) inputs: Rows<'a>,
    pub(crate) targets: RowTargets<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) given: Given,
    /// How much of a label it keeps, and how much every class gets.
    pub(crate) shares: (f64, f64),
    pub(crate) scale: Scale<'a>,
    /// One per row.
    pub(crate) losses: &'a mut [f32],
    pub(crate) gradient: Option<RowsMut<'a>>,
}

impl Job for Likelihood<'_> {
    fn rows(&self) -> usize {
        self.inputs.rows()
    }

    fn classes(&self) -> usize {
        self.inputs.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (inputs, other_inputs) = self.inputs.split_at(row);
        let (targets, other_targets) = self.targets.split_at(row);
        let (weights, other_weights) = self.weights.split_at(row);
        let (scale, other_scale) = self.scale.split_at(row);
        let (losses, other_losses) = self.losses.split_at_mut(row);
        let (gradient, other_gradient) = self.gradient.map(|rows| rows.split_at(row)).unzip();
        (
            Self { inputs, targets, weights, scale, losses, gradient, ..self },
            Self {
                inputs: other_inputs,
                targets: other_targets,
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
        for row in 0..self.inputs.rows() {
            let mut label = [0];
            if let RowTargets::Sparse(labels) = self.targets {
                labels.classes(row, &mut label);
            }
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

/// A row's probabilities on the way to those whose logarithm is taken.
#[derive(Clone, Copy)]
struct Chain {
    clip: f64,
    /// What probabilities are divided by before they are clipped, and after.
    before: f64,
    after: f64,
    normalise: Normalise,
}

impl Chain {
    fn new(row: &[f32], clip: f64, normalise: Normalise) -> Self {
        let mut chain = Self { clip, before: 1.0, after: 1.0, normalise };
        match normalise {
            Normalise::Never => {}
            Normalise::BeforeClipping => chain.before = row.iter().map(|&p| f64::from(p)).sum(),
            Normalise::AfterClipping => chain.after = row.iter().map(|&p| chain.clipped(p)).sum(),
        }
        chain
    }

    /// A probability before it is clipped.
    fn share(self, p: f32) -> f64 {
        f64::from(p) / self.before
    }

    fn clipped(self, p: f32) -> f64 {
        let share = self.share(p);
        // NaN stays NaN.
        let share = if share < self.clip { self.clip } else { share };
        if share > 1.0 - self.clip { 1.0 - self.clip } else { share }
    }

    fn is_clipped(self, p: f32) -> bool {
        let share = self.share(p);
        self.clip > 0.0 && (share < self.clip || share > 1.0 - self.clip)
    }
}

impl Likelihood<'_> {
    /// The target mass of a class, in a row with this label.
    fn mass(&self, row: usize, label: usize, class: usize) -> f64 {
        let mass = match self.targets {
            RowTargets::Sparse(_) => f64::from(u8::from(class == label)),
            RowTargets::Dense(labels) => labels.row_at(row)[class].into(),
        };
        let (kept, share) = self.shares;
        (kept * mass + share) * self.weights.of_class(class)
    }

    fn row(&mut self, row: usize, label: usize) {
        let inputs = self.inputs.row_at(row);
        let weight = self.weights.of_row(row);
        let scale = self.scale.of(row) * weight;
        let (clip, normalise) = match self.given {
            Given::LogProbabilities => (0.0, Normalise::Never),
            Given::Probabilities { clip, normalise } => (clip, normalise),
        };
        let chain = Chain::new(inputs, clip, normalise);
        let log_after = ln(chain.after);
        let (mut loss, mut total) = (0.0, 0.0);
        for (class, &x) in inputs.iter().enumerate() {
            let mass = self.mass(row, label, class);
            let log = match self.given {
                Given::LogProbabilities => f64::from(x),
                Given::Probabilities { .. } => ln(chain.clipped(x)) - log_after,
            };
            // No mass, no part.
            loss -= if mass == 0.0 && !x.is_nan() { 0.0 } else { mass * log };
            total += mass;
        }
        // Not -0.
        self.losses[row] = narrow(weighed(weight, loss + 0.0));
        // Taken out, because the masses are borrowed from what is left.
        let Some(mut gradient) = self.gradient.take() else { return };
        // With respect to what is clipped.
        let slope = |class: usize, x: f32| {
            let mass = self.mass(row, label, class);
            match self.given {
                Given::LogProbabilities => -mass,
                Given::Probabilities { .. } if chain.is_clipped(x) => 0.0,
                Given::Probabilities { normalise: Normalise::AfterClipping, .. } => {
                    total / chain.after - ratio(mass, chain.clipped(x))
                }
                Given::Probabilities { .. } => -ratio(mass, chain.clipped(x)),
            }
        };
        let pull = match chain.normalise {
            Normalise::BeforeClipping => {
                inputs.iter().enumerate().map(|(class, &x)| slope(class, x) * chain.share(x)).sum()
            }
            _ => 0.0,
        };
        for (class, (&x, to)) in inputs.iter().zip(gradient.row_at_mut(row)).enumerate() {
            *to = narrow(scale * ((slope(class, x) - pull) / chain.before));
        }
        self.gradient = Some(gradient);
    }
}

/// `mass / p`, 0 for no mass.
fn ratio(mass: f64, p: f64) -> f64 {
    if mass == 0.0 && !p.is_nan() { 0.0 } else { mass / p }
}
