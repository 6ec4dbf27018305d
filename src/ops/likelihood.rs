//! Cross-entropy from probabilities, or log-probabilities, that are given.

use super::cross_entropy::summarise;
use super::row_calls::row_calls;
use super::{
    CrossEntropy, Denominator, Loss, Reduction, Smoothing, Summary, Upstream, allocate, expect_rows,
};
use crate::engine::call::Source;
use crate::engine::parallel;
use crate::engine::row_call::{RowCall, RowWork};
pub use crate::kernels::likelihood::Normalise;
use crate::kernels::likelihood::{Given, Likelihood};
use crate::kernels::row_losses::RowFormula;
use crate::views::labels::RowLabels;
use crate::{Error, Rows, RowsMut, Targets};

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
    given: Given,
    /// What rows have in common with those of the other loss.
    rows: CrossEntropy<'a>,
}

impl NegativeLogLikelihood<'_> {
    /// Of log-probabilities, such as [`log_softmax`](crate::log_softmax) gives. They are taken as they are.
    #[must_use]
    pub fn of_log_probabilities() -> Self {
        Self { given: Given::LogProbabilities, rows: CrossEntropy::new() }
    }

    /// Of probabilities: clipped to `clip` from 0 and from 1, and divided by their sum where `normalise` says so.
    /// What is clipped has gradient 0.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless `clip` is from 0 to a half.
    pub fn of_probabilities(clip: f64, normalise: Normalise) -> Result<Self, Error> {
        if (0.0..=0.5).contains(&clip) {
            return Ok(Self { given: Given::Probabilities { clip, normalise }, rows: CrossEntropy::new() });
        }
        Err(Error::Option { what: "clip", index: None, given: clip.to_string(), expected: "0 to 0.5" })
    }

    /// As Keras' `categorical_crossentropy` and `sparse_categorical_crossentropy` with `from_logits=False`, which
    /// `sparse` says: probabilities are clipped by 1e-7 and divided by their sum, with class indices in this order, with
    /// distributions the other way round.
    #[must_use]
    pub fn keras(sparse: bool) -> Self {
        let normalise = if sparse { Normalise::AfterClipping } else { Normalise::BeforeClipping };
        Self { given: Given::Probabilities { clip: 1e-7, normalise }, rows: CrossEntropy::keras() }
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
                ((None, Some(labels.values())), self.rows.dense_totals(rows))
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "2^53 probabilities do not fit in memory")]
        let shares = self.rows.smoothing.dense_shares(classes as f64);
        let formula = RowFormula::Likelihood(Likelihood { given: self.given, shares });
        let call = RowCall {
            labels,
            second: dense,
            weights: self.rows.weights,
            scale: self.rows.scale(totals)?,
            losses: &mut *losses,
            results: gradient.map(RowsMut::into_values),
            ..RowCall::new(RowWork::Loss(formula), Source::Shared(inputs.values()))
        };
        let total = parallel::run(call, inputs.execution())?;
        Ok(summarise(total, losses, totals, &self.rows))
    }
}
