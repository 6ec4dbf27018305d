//! Probabilities and log-probabilities of the distribution that the loss is taken of.

use super::CrossEntropy;
use crate::engine::call::{Call, Inputs, Source, Work};
use crate::engine::options::Outputs;
use crate::engine::parallel;
use crate::ops::allocated;
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
