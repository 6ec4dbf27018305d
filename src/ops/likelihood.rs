//! Cross-entropy from probabilities, or log-probabilities, that are given.

use super::cross_entropy::summarise;
use super::row_calls::row_calls;
use super::{
    CrossEntropy, Denominator, Loss, Reduction, Smoothing, Summary, Upstream, allocate, expect_rows,
};
pub use crate::kernel::likelihood::Normalise;
use crate::kernel::likelihood::{Inputs, Likelihood};
use crate::kernel::lines::{Lines, LinesMut};
use crate::kernel::row_loss::RowLoss;
use crate::labels::RowLabels;
use crate::{Error, Rows, RowsMut, Targets, parallel};

/// The negative log-likelihood of each row: `-w_y ln p_y` for class indices, `-sum_i w_i t_i ln p_i` for distributions.
///
/// Inputs are rows × classes. From logits, [`CrossEntropy`] is as quick and exact where probabilities have been rounded
/// away. A class without mass contributes exactly 0, also where its probability is 0.
///
/// Formula: `PyTorch`'s `NLLLoss` for log-probabilities; Keras' cross-entropies with `from_logits=False` for
/// probabilities.
///
/// ```
/// use xent::{NegativeLogLikelihood, Normalise, Rows};
///
/// // As Keras' `categorical_crossentropy` has it.
/// let keras = NegativeLogLikelihood::of_probabilities(1e-7, Normalise::BeforeClipping)?;
/// let labels = Rows::new(&[1.0, 0.0, 0.0, 1.0], 2, 2)?;
/// let loss = keras.loss(labels, Rows::new(&[2.0, 2.0, 1.0, 0.0], 2, 2)?)?;
/// assert_eq!(loss.rows, [core::f32::consts::LN_2, 16.118_095]); // -ln 1e-7
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NegativeLogLikelihood<'a> {
    given: Inputs,
    /// What rows have in common with those of the other loss.
    rows: CrossEntropy<'a>,
}

impl NegativeLogLikelihood<'_> {
    /// Of log-probabilities, such as [`log_softmax`](crate::log_softmax) gives. They are taken as they are.
    #[must_use]
    pub fn of_log_probabilities() -> Self {
        Self { given: Inputs::LogProbabilities, rows: CrossEntropy::new() }
    }

    /// Of probabilities: clipped to `clip` from 0 and from 1, and divided by their sum where `normalise` says so.
    /// What is clipped has gradient 0.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `clip` is from 0 to a half.
    pub fn of_probabilities(clip: f64, normalise: Normalise) -> Result<Self, Error> {
        if (0.0..=0.5).contains(&clip) {
            return Ok(Self { given: Inputs::Probabilities { clip, normalise }, rows: CrossEntropy::new() });
        }
        Err(Error::Option { what: "clip", index: None, given: clip.to_string(), expected: "0 to 0.5" })
    }

    /// As Keras' `categorical_crossentropy` and `sparse_categorical_crossentropy` with `from_logits=False`, which
    /// `sparse` says: probabilities are clipped by 1e-7 and divided by their sum, with class indices in this order, with
    /// distributions the other way round.
    #[must_use]
    pub fn keras(sparse: bool) -> Self {
        let normalise = if sparse { Normalise::AfterClipping } else { Normalise::BeforeClipping };
        Self { given: Inputs::Probabilities { clip: 1e-7, normalise }, rows: CrossEntropy::keras() }
    }

    /// What a mean divides by, as [`CrossEntropy::denominator`].
    ///
    /// # Errors
    ///
    /// As [`CrossEntropy::denominator`].
    pub fn denominator(self, denominator: Denominator) -> Result<Self, Error> {
        Ok(Self { rows: self.rows.denominator(denominator)?, ..self })
    }

    /// Moves a part of each label's mass to other classes, as [`CrossEntropy::label_smoothing`]; of all there are.
    ///
    /// # Errors
    ///
    /// As [`CrossEntropy::label_smoothing`].
    pub fn label_smoothing(self, epsilon: f64, smoothing: Smoothing) -> Result<Self, Error> {
        Ok(Self { rows: self.rows.label_smoothing(epsilon, smoothing)?, ..self })
    }
}

row_calls!(NegativeLogLikelihood, Targets, "inputs");

impl NegativeLogLikelihood<'_> {
    fn run(
        &self,
        targets: Targets<'_>,
        inputs: Rows<'_>,
        losses: &mut [f32],
        gradient: Option<RowsMut<'_>>,
    ) -> Result<Summary, Error> {
        let (rows, classes) = (inputs.rows(), inputs.classes());
        expect_rows("losses", losses.len(), rows)?;
        self.rows.expect_lengths(rows, classes)?;
        let ((labels, dense), totals) = match targets {
            Targets::Sparse(labels) => {
                let labels = RowLabels::new(labels, rows, classes, self.rows.ignored)?;
                let totals = self.rows.totals(rows, &labels);
                ((Some(labels), None), totals)
            }
            Targets::Dense(labels) => {
                labels.expect_shape("labels", (rows, classes))?;
                ((None, Some(Lines::new(labels.values()))), self.rows.dense_totals(rows))
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "2^53 probabilities do not fit in memory")]
        let shares = self.rows.smoothing.shares_of(classes as f64);
        let job = RowLoss {
            formula: Likelihood { given: self.given, shares },
            inputs: Lines::new(inputs.values()),
            labels,
            dense,
            weights: self.rows.weights,
            scale: self.rows.scale(totals)?,
            losses: &mut *losses,
            gradient: gradient.map(|rows| LinesMut::new(rows.into_values())),
        };
        parallel::run(job, inputs.backend())?;
        Ok(summarise(losses, totals, &self.rows))
    }
}
