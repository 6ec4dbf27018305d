//! Negative log-likelihood of probabilities, or log-probabilities, that are given.
//!
//! Formula: `-sum_i q_i (ln c_i - ln n)` for masses `q`, with `a = p`, or `p / sum p`; `c` clipped from `a`; and `n = 1`,
//! or `sum c`. What is clipped has no derivative. Of log-probabilities `-sum_i q_i x_i`.
//!
//! Trick: logarithms are taken of sixteen classes at a time, and only where one of them has mass: of a row with a class
//! index mostly once.

use super::gradient::sum_of;
use super::row_losses::Row;
use crate::numbers::factor::narrow;
use crate::numbers::log_sum_exp::weighed;
use crate::numbers::math::ln;
use crate::simd::LANES;

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

/// What a likelihood is of.
#[derive(Clone, Copy)]
pub(crate) struct Likelihood {
    pub(crate) given: Given,
    /// How much of a label it keeps, and how much every class gets.
    pub(crate) shares: (f64, f64),
}

/// A row's probabilities on the way to those whose logarithm is taken.
#[derive(Clone, Copy)]
struct Chain {
    clip: f64,
    /// What probabilities are divided by before they are clipped, and after.
    before: f64,
    after: f64,
}

impl Chain {
    #[inline(always)]
    fn new(row: &[f32], clip: f64, normalise: Normalise) -> Self {
        let mut chain = Self { clip, before: 1.0, after: 1.0 };
        match normalise {
            Normalise::Never => {}
            Normalise::BeforeClipping => chain.before = sum(row, f64::from),
            Normalise::AfterClipping => chain.after = sum(row, |p| chain.clipped(p)),
        }
        chain
    }

    /// A probability before it is clipped.
    #[inline(always)]
    fn share(self, p: f32) -> f64 {
        f64::from(p) / self.before
    }

    #[inline(always)]
    fn clipped(self, p: f32) -> f64 {
        let share = self.share(p);
        // NaN stays NaN.
        let share = if share < self.clip { self.clip } else { share };
        if share > 1.0 - self.clip { 1.0 - self.clip } else { share }
    }

    #[inline(always)]
    fn is_clipped(self, p: f32) -> bool {
        let share = self.share(p);
        self.clip > 0.0 && (share < self.clip || share > 1.0 - self.clip)
    }
}

/// The sum of what `f` makes of values, in sixteen lanes.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    for values in values.chunks(LANES) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += f(*value);
        }
    }
    sum_of(sums)
}

impl Likelihood {
    #[inline(always)]
    pub(super) fn row(self, row: Row<'_>, gradient: Option<&mut [f32]>) -> f64 {
        let inputs = row.inputs;
        let (clip, normalise) = match self.given {
            Given::LogProbabilities => (0.0, Normalise::Never),
            Given::Probabilities { clip, normalise } => (clip, normalise),
        };
        let chain = Chain::new(inputs, clip, normalise);
        let log_after = ln(chain.after);
        let (mut losses, mut masses) = ([0.0; LANES], [0.0; LANES]);
        for (start, x) in (0..).step_by(LANES).zip(inputs.chunks(LANES)) {
            let mass = self.masses(row, start);
            // 1 beyond the end of the row, where there is no mass.
            let mut values = [1.0; LANES];
            for (to, x) in values.iter_mut().zip(x) {
                *to = f64::from(*x);
            }
            let mut logs = values;
            let any = mass.iter().any(|mass| *mass != 0.0);
            if any && self.given != Given::LogProbabilities {
                for (log, x) in logs.iter_mut().zip(x) {
                    *log = chain.clipped(*x);
                }
                for log in &mut logs {
                    *log = ln(*log) - log_after;
                }
            }
            for i in 0..LANES {
                // No mass, no part; NaN is NaN, whether its logarithm was taken or not.
                losses[i] -= if mass[i] == 0.0 && !values[i].is_nan() { 0.0 } else { mass[i] * logs[i] };
                masses[i] += mass[i];
            }
        }
        if let Some(gradient) = gradient {
            self.write(row, chain, sum_of(masses), gradient);
        }
        // Not -0.
        weighed(row.weight, sum_of(losses) + 0.0)
    }

    /// The target masses of sixteen classes; 0 beyond the last.
    #[inline(always)]
    fn masses(self, row: Row<'_>, start: usize) -> [f64; LANES] {
        let len = (row.inputs.len() - start).min(LANES);
        let mut masses = [0.0; LANES];
        if let Some(labels) = row.dense {
            for (to, mass) in masses.iter_mut().zip(&labels[start..][..len]) {
                *to = f64::from(*mass);
            }
        } else if let Some(to) = masses.get_mut(row.label.wrapping_sub(start)) {
            *to = 1.0;
        }
        let (kept, share) = self.shares;
        for (i, mass) in masses[..len].iter_mut().enumerate() {
            *mass = (kept * *mass + share) * row.class_weight(start + i);
        }
        masses
    }

    /// The derivative with respect to a probability that may be clipped.
    #[inline(always)]
    fn slope(self, chain: Chain, mass: f64, total: f64, x: f32) -> f64 {
        match self.given {
            Given::LogProbabilities => -mass,
            Given::Probabilities { .. } if chain.is_clipped(x) => 0.0,
            Given::Probabilities { normalise: Normalise::AfterClipping, .. } => {
                total / chain.after - ratio(mass, chain.clipped(x))
            }
            Given::Probabilities { .. } => -ratio(mass, chain.clipped(x)),
        }
    }

    /// Writes the gradient of a row, given the sum of its masses.
    #[inline(always)]
    fn write(self, row: Row<'_>, chain: Chain, total: f64, gradient: &mut [f32]) {
        let normalises =
            matches!(self.given, Given::Probabilities { normalise: Normalise::BeforeClipping, .. });
        let mut pulls = [0.0; LANES];
        if normalises {
            for (start, x) in (0..).step_by(LANES).zip(row.inputs.chunks(LANES)) {
                let masses = self.masses(row, start);
                for ((pull, x), mass) in pulls.iter_mut().zip(x).zip(masses) {
                    *pull += self.slope(chain, mass, total, *x) * chain.share(*x);
                }
            }
        }
        let pull = sum_of(pulls);
        let chunks = row.inputs.chunks(LANES).zip(gradient.chunks_mut(LANES));
        for (start, (x, to)) in (0..).step_by(LANES).zip(chunks) {
            let masses = self.masses(row, start);
            for ((to, x), mass) in to.iter_mut().zip(x).zip(masses) {
                *to = narrow(row.scale * ((self.slope(chain, mass, total, *x) - pull) / chain.before));
            }
        }
    }
}

/// `mass / p`, 0 for no mass.
#[inline(always)]
fn ratio(mass: f64, p: f64) -> f64 {
    if mass == 0.0 && !p.is_nan() { 0.0 } else { mass / p }
}
