//! The loss and its gradients.

use super::reduction::{Totals, summarise};
use super::run::Buffers;
use super::{CrossEntropy, Loss, Summary};
use crate::engine::call::{Call, Inputs, Source, Work};
use crate::engine::options::{Outputs, Sums};
use crate::engine::parallel;
use crate::engine::total::Total;
use crate::ops::{allocate, allocated};
use crate::{Error, IntoTargets, LogSumExp, Rows, RowsMut};

impl CrossEntropy<'_> {
    /// The loss of each row, and what they add up to.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], [`Error::RowCount`], [`Error::LabelOutOfRange`],
    /// [`Error::UpstreamPerRow`], [`Error::UnknownBackend`], [`Error::UnavailableBackend`] and
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{CrossEntropy, Reduction, Rows};
    ///
    /// let logits = Rows::new(&[20.0, 0.0], 1, 2)?;
    /// let loss = CrossEntropy::new().reduction(Reduction::Sum).loss(&[0_u8], logits)?;
    /// assert_eq!(loss.summary.value, 2.061_153_7e-9);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn loss<'t>(&self, targets: impl IntoTargets<'t>, logits: Rows<'_>) -> Result<Loss, Error> {
        let mut rows = allocate(0.0, logits.rows())?;
        let summary = self.loss_into(targets, logits, &mut rows)?;
        Ok(Loss { rows, summary })
    }

    /// As [`loss`](Self::loss), into a slice of one loss per row.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn loss_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into_targets(), Buffers::Read(logits), losses, Sums::Discard)
    }

    /// The loss, and its gradient with respect to the logits, in their shape, rows after each other.
    ///
    /// Formula: `u (softmax_i - [i == y])` for class indices, `u (softmax_i sum(t) - t_i)` for
    /// distributions; `u` is the upstream gradient, over the number of used rows for a mean.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let logits = Rows::new(&[20.0, 0.0], 1, 2)?;
    /// let (_, gradient) = CrossEntropy::new().loss_and_gradient(&[0_u8], logits)?;
    /// assert_eq!(gradient, [-2.061_153_7e-9, 2.061_153_7e-9]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn loss_and_gradient<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
    ) -> Result<(Loss, Vec<f32>), Error> {
        let mut rows = allocate(0.0, logits.rows())?;
        let mut summary = None;
        let gradient = allocated(logits, |gradient| {
            summary = Some(self.loss_and_gradient_into(targets, logits, &mut rows, gradient)?);
            Ok(())
        })?;
        let summary = summary.unwrap_or_else(|| summarise(Total::default(), &[], Totals::default(), self));
        Ok((Loss { rows, summary }, gradient))
    }

    /// As [`loss_and_gradient`](Self::loss_and_gradient), into a slice of one loss per row and a buffer of
    /// the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn loss_and_gradient_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
        losses: &mut [f32],
        gradient: RowsMut<'_>,
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into_targets(), Buffers::Apart(logits, gradient), losses, Sums::Discard)
    }

    /// As [`loss_and_gradient`](Self::loss_and_gradient), with the gradient over the logits.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn loss_and_gradient_in_place<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: RowsMut<'_>,
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into_targets(), Buffers::Over(logits), losses, Sums::Discard)
    }

    /// The loss, and the log-sum-exp of each row for a later [`backward`](Self::backward).
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let (labels, logits) = (&[1_u8], Rows::new(&[1.0, 2.0, 3.0], 1, 3)?);
    /// let loss = CrossEntropy::new();
    /// let (_, sums) = loss.forward(labels, logits)?;
    /// let gradient = loss.backward(labels, logits, &sums)?;
    /// assert_eq!(gradient, loss.loss_and_gradient(labels, logits)?.1); // the same bits
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn forward<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
    ) -> Result<(Loss, Vec<LogSumExp>), Error> {
        let mut rows = allocate(0.0, logits.rows())?;
        let mut sums = allocate(LogSumExp::EMPTY, logits.rows())?;
        let summary = self.forward_into(targets, logits, &mut rows, &mut sums)?;
        Ok((Loss { rows, summary }, sums))
    }

    /// As [`forward`](Self::forward), into slices of one value per row.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn forward_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
        losses: &mut [f32],
        sums: &mut [LogSumExp],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into_targets(), Buffers::Read(logits), losses, Sums::Save(sums))
    }

    /// The gradient with respect to the logits alone, from what [`forward`](Self::forward) saved: the bits
    /// of [`loss_and_gradient`](Self::loss_and_gradient).
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss), and [`Error::EmptySum`] where a row that counts has a sum over nothing.
    pub fn backward<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
        sums: &[LogSumExp],
    ) -> Result<Vec<f32>, Error> {
        allocated(logits, |gradient| self.backward_into(targets, logits, sums, gradient))
    }

    /// As [`backward`](Self::backward), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`backward`](Self::backward).
    pub fn backward_into<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: Rows<'_>,
        sums: &[LogSumExp],
        gradient: RowsMut<'_>,
    ) -> Result<(), Error> {
        self.run_saved(targets.into_targets(), Buffers::Apart(logits, gradient), sums)
    }

    /// As [`backward`](Self::backward), with the gradient over the logits.
    ///
    /// # Errors
    ///
    /// As [`backward`](Self::backward).
    pub fn backward_in_place<'t>(
        &self,
        targets: impl IntoTargets<'t>,
        logits: RowsMut<'_>,
        sums: &[LogSumExp],
    ) -> Result<(), Error> {
        self.run_saved(targets.into_targets(), Buffers::Over(logits), sums)
    }

    /// The gradient with respect to dense labels: `u (ln sum_j e^(x_j) - x_i)`, the negative log-softmax
    /// times the upstream gradient. It does not depend on the labels.
    ///
    /// # Errors
    ///
    /// [`Error::RowCount`], [`Error::UpstreamPerRow`], [`Error::UnknownBackend`],
    /// [`Error::UnavailableBackend`] and [`Error::OutOfMemory`].
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows};
    ///
    /// let gradient = CrossEntropy::new().label_gradient(Rows::new(&[20.0, 0.0], 1, 2)?)?;
    /// assert_eq!(gradient, [2.061_153_7e-9, 20.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn label_gradient(&self, logits: Rows<'_>) -> Result<Vec<f32>, Error> {
        allocated(logits, |gradient| self.label_gradient_into(logits, gradient))
    }

    /// As [`label_gradient`](Self::label_gradient), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`label_gradient`](Self::label_gradient), and [`Error::ShapeMismatch`].
    pub fn label_gradient_into(&self, logits: Rows<'_>, gradient: RowsMut<'_>) -> Result<(), Error> {
        gradient.expect_shape("gradient", (logits.rows(), logits.classes()))?;
        self.expect_lengths(logits.rows(), logits.classes())?;
        let scale = self.scale(self.dense_totals(logits.rows()))?.times(-1.0);
        let mut inputs = Inputs::new(Work::LabelGradient(self.smoothing), Source::Shared(logits.values()));
        (inputs.map, inputs.weights, inputs.scale) = (self.map, self.weights, scale);
        inputs.empty_is_zero = self.zero_for_empty_rows();
        let call = Call::new(inputs, Some(gradient.into_values()), Outputs::default());
        parallel::run(call, logits.execution()).map(drop)
    }
}
