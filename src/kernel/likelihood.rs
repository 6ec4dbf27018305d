//! Negative log-likelihood of probabilities, or log-probabilities, that are given.
//!
//! Formula: `-sum_i q_i (ln c_i - ln n)` for masses `q`, with `a = p`, or `p / sum p`; `c` clipped from `a`; and `n = 1`,
//! or `sum c`. What is clipped has no derivative. Of log-probabilities `-sum_i q_i x_i`.

use super::math::ln;
use super::row_loss::{Given, RowFormula};
use super::share::narrow;
use super::weights::weighed;

/// What the inputs are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Inputs {
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

#[derive(Clone, Copy)]
pub(crate) struct Likelihood {
    pub(crate) given: Inputs,
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

impl Likelihood {
    /// The target mass of a class.
    fn mass(&self, row: &Given<'_>, class: usize) -> f64 {
        let mass = match row.dense {
            None => f64::from(u8::from(class == row.label)),
            Some(labels) => labels[class].into(),
        };
        let (kept, share) = self.shares;
        (kept * mass + share) * row.weights.of_class(class)
    }
}

impl RowFormula for Likelihood {
    fn row(&self, row: &Given<'_>, gradient: Option<&mut [f32]>) -> f32 {
        let inputs = row.inputs;
        let (clip, normalise) = match self.given {
            Inputs::LogProbabilities => (0.0, Normalise::Never),
            Inputs::Probabilities { clip, normalise } => (clip, normalise),
        };
        let chain = Chain::new(inputs, clip, normalise);
        let log_after = ln(chain.after);
        let (mut loss, mut total) = (0.0, 0.0);
        for (class, &x) in inputs.iter().enumerate() {
            let mass = self.mass(row, class);
            let log = match self.given {
                Inputs::LogProbabilities => f64::from(x),
                Inputs::Probabilities { .. } => ln(chain.clipped(x)) - log_after,
            };
            // No mass, no part.
            loss -= if mass == 0.0 && !x.is_nan() { 0.0 } else { mass * log };
            total += mass;
        }
        // With respect to what is clipped.
        let slope = |class: usize, x: f32| {
            let mass = self.mass(row, class);
            match self.given {
                Inputs::LogProbabilities => -mass,
                Inputs::Probabilities { .. } if chain.is_clipped(x) => 0.0,
                Inputs::Probabilities { normalise: Normalise::AfterClipping, .. } => {
                    total / chain.after - ratio(mass, chain.clipped(x))
                }
                Inputs::Probabilities { .. } => -ratio(mass, chain.clipped(x)),
            }
        };
        if let Some(gradient) = gradient {
            let pull = match chain.normalise {
                Normalise::BeforeClipping => {
                    inputs.iter().enumerate().map(|(class, &x)| slope(class, x) * chain.share(x)).sum()
                }
                _ => 0.0,
            };
            for (class, (&x, to)) in inputs.iter().zip(gradient).enumerate() {
                *to = narrow(row.scale * ((slope(class, x) - pull) / chain.before));
            }
        }
        // Not -0.
        narrow(weighed(row.weight, loss + 0.0))
    }
}

/// `mass / p`, 0 for no mass.
fn ratio(mass: f64, p: f64) -> f64 {
    if mass == 0.0 && !p.is_nan() { 0.0 } else { mass / p }
}
