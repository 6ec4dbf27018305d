//! Probabilities, log-probabilities and entropies of the distribution that the loss is taken of.

use super::CrossEntropy;
use crate::engine::call::{Call, Inputs, Source, Work};
use crate::engine::options::Outputs;
use crate::engine::parallel;
use crate::ops::{allocate, allocated, expect_rows};
use crate::{Error, Rows, RowsMut};

impl CrossEntropy<'_> {
    /// The softmax of each row after scale, soft cap and masks: as [`softmax`](crate::softmax) of such logits.
    ///
    /// # Errors
    ///
    /// [`Error::OptionLength`], [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let sampling = CrossEntropy::new().temperature(0.5)?.class_mask(&[true, true, false]);
    /// let p = sampling.probabilities(Rows::new(&[0.0, 0.0, 9.0], 1, 3)?)?;
    /// assert_eq!(p, [0.5, 0.5, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn probabilities(&self, logits: Rows<'_>) -> Result<Vec<f32>, Error> {
        allocated(logits, |results| self.probabilities_into(logits, results))
    }

    /// As [`probabilities`](Self::probabilities), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`probabilities`](Self::probabilities), and [`Error::ShapeMismatch`].
    pub fn probabilities_into(&self, logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
        self.run_predictions(Work::Softmax, logits, results)
    }

    /// The log-softmax of each row after scale, soft cap and masks.
    ///
    /// # Errors
    ///
    /// As [`probabilities`](Self::probabilities).
    pub fn log_probabilities(&self, logits: Rows<'_>) -> Result<Vec<f32>, Error> {
        allocated(logits, |results| self.log_probabilities_into(logits, results))
    }

    /// As [`log_probabilities`](Self::log_probabilities), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`probabilities_into`](Self::probabilities_into).
    pub fn log_probabilities_into(&self, logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
        self.run_predictions(Work::LogSoftmax, logits, results)
    }

    /// The entropy `H = -sum p_i ln p_i` of each row's distribution after scale, soft cap and masks, in nats, and its
    /// gradient with respect to the logits, `-p_i (ln p_i + H)`, times the upstream gradient: what an entropy bonus is made
    /// of. As that of a loss, the gradient is one of the sum of entropies, or of their mean, as the reduction says. A masked
    /// class has no part in either; weights of classes and smoothing have none.
    ///
    /// Beside what `f32` holds of `lse - H` and of the logit, a gradient is within 3 ULP; it is a difference, and next to 0
    /// for a uniform distribution.
    ///
    /// # Errors
    ///
    /// As [`probabilities`](Self::probabilities), and [`Error::RowCount`] and [`Error::UpstreamPerRow`] for an
    /// upstream gradient that does not suit.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let logits = Rows::new(&[0.0, 0.0, f32::NEG_INFINITY], 1, 3)?;
    /// let (entropy, gradient) = CrossEntropy::new().entropy_and_gradient(logits)?;
    /// assert_eq!((entropy[0], gradient), (2.0_f32.ln(), vec![0.0, 0.0, 0.0]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn entropy_and_gradient(&self, logits: Rows<'_>) -> Result<(Vec<f32>, Vec<f32>), Error> {
        let mut entropies = allocate(0.0, logits.rows())?;
        let gradient =
            allocated(logits, |gradient| self.entropy_and_gradient_into(logits, &mut entropies, gradient))?;
        Ok((entropies, gradient))
    }

    /// As [`entropy_and_gradient`](Self::entropy_and_gradient), into buffers: one value per row, and one per logit.
    ///
    /// # Errors
    ///
    /// As [`entropy_and_gradient`](Self::entropy_and_gradient), [`Error::RowCount`] and [`Error::ShapeMismatch`].
    pub fn entropy_and_gradient_into(
        &self,
        logits: Rows<'_>,
        entropies: &mut [f32],
        gradient: RowsMut<'_>,
    ) -> Result<(), Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        expect_rows("entropies", entropies.len(), rows)?;
        gradient.expect_shape("gradient", (rows, classes))?;
        self.expect_lengths(rows, classes)?;
        let scale = self.scale(self.dense_totals(rows))?.times(self.map.scale);
        let mut inputs = Inputs::new(Work::Entropy, Source::Shared(logits.values()));
        (inputs.map, inputs.empty_is_zero) = (self.map, self.zero_for_empty_rows());
        inputs.scale = scale;
        let outputs = Outputs { entropy: entropies, ..Outputs::default() };
        let call = Call::new(inputs, Some(gradient.into_values()), outputs);
        parallel::run(call, logits.execution()).map(drop)
    }

    fn run_predictions(&self, work: Work, logits: Rows<'_>, results: RowsMut<'_>) -> Result<(), Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        results.expect_shape("output", (rows, classes))?;
        self.expect_lengths(rows, classes)?;
        let mut inputs = Inputs::new(work, Source::Shared(logits.values()));
        (inputs.map, inputs.empty_is_zero) = (self.map, self.zero_for_empty_rows());
        let call = Call::new(inputs, Some(results.into_values()), Outputs::default());
        parallel::run(call, logits.execution()).map(drop)
    }
}
