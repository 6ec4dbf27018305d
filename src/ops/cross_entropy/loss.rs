//! The loss and its gradients.

use super::reduction::{Totals, count, summarise};
use super::{CrossEntropy, DenseGradient, Loss, Reduction, Summary, Upstream};
use crate::kernel::dense::Dense;
use crate::kernel::epilogue::ScaledDifferences;
use crate::kernel::loaded::{After, Loaded};
use crate::kernel::log_softmax::LogSoftmax;
use crate::kernel::map::{Map, Mask};
use crate::kernel::mixed::{Group, Mixed, RowTargets, Spread};
use crate::kernel::place::{InPlace, Place, ReadOnly};
use crate::kernel::rowwise::Rowwise;
use crate::kernel::scale::{Scale, Sums};
use crate::kernel::sparse::Sparse;
use crate::labels::RowLabels;
use crate::ops::{allocate, allocated, expect_rows, out_of_place};
use crate::{Backend, Error, LogSumExp, Rows, RowsMut, Targets, parallel};

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
    pub fn loss<'t>(&self, targets: impl Into<Targets<'t>>, logits: Rows<'_>) -> Result<Loss, Error> {
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
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into(), Buffers::Read(logits), losses, Sums::Discard)
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
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
    ) -> Result<(Loss, Vec<f32>), Error> {
        let mut rows = allocate(0.0, logits.rows())?;
        let mut summary = None;
        let gradient = allocated(logits, |gradient| {
            summary = Some(self.loss_and_gradient_into(targets, logits, &mut rows, gradient)?);
            Ok(())
        })?;
        let summary = summary.unwrap_or_else(|| summarise(&[], Totals::default(), self));
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
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
        losses: &mut [f32],
        gradient: RowsMut<'_>,
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into(), Buffers::Apart(logits, gradient), losses, Sums::Discard)
    }

    /// As [`loss_and_gradient`](Self::loss_and_gradient), with the gradient over the logits.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn loss_and_gradient_in_place<'t>(
        &self,
        targets: impl Into<Targets<'t>>,
        logits: RowsMut<'_>,
        losses: &mut [f32],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into(), Buffers::Over(logits), losses, Sums::Discard)
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
        targets: impl Into<Targets<'t>>,
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
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
        losses: &mut [f32],
        sums: &mut [LogSumExp],
    ) -> Result<Summary, Error> {
        self.run_losses(targets.into(), Buffers::Read(logits), losses, Sums::Save(sums))
    }

    /// The gradient with respect to the logits alone, from what [`forward`](Self::forward) saved: the bits
    /// of [`loss_and_gradient`](Self::loss_and_gradient).
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn backward<'t>(
        &self,
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
        sums: &[LogSumExp],
    ) -> Result<Vec<f32>, Error> {
        allocated(logits, |gradient| self.backward_into(targets, logits, sums, gradient))
    }

    /// As [`backward`](Self::backward), into a buffer of the logits' shape.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn backward_into<'t>(
        &self,
        targets: impl Into<Targets<'t>>,
        logits: Rows<'_>,
        sums: &[LogSumExp],
        gradient: RowsMut<'_>,
    ) -> Result<(), Error> {
        self.run(targets.into(), Buffers::Apart(logits, gradient), &mut [], Sums::Saved(sums)).map(drop)
    }

    /// As [`backward`](Self::backward), with the gradient over the logits.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn backward_in_place<'t>(
        &self,
        targets: impl Into<Targets<'t>>,
        logits: RowsMut<'_>,
        sums: &[LogSumExp],
    ) -> Result<(), Error> {
        self.run(targets.into(), Buffers::Over(logits), &mut [], Sums::Saved(sums)).map(drop)
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
        let place = out_of_place("gradient", logits, gradient)?;
        self.expect_lengths(logits.rows(), logits.classes())?;
        let scale = self.scale(self.dense_totals(logits.rows()))?.times(-1.0);
        if self.smoothing == Spread::default() && self.weights.is_none() && self.map == Map::default() {
            let job = LogSoftmax::<_, ScaledDifferences>::new(place, scale);
            return parallel::run(Rowwise(job), logits.backend());
        }
        let place = Loaded::new(place, self.map, After::Labels(self.weights, self.smoothing));
        parallel::run(Rowwise(LogSoftmax::<_, ScaledDifferences>::new(place, scale)), logits.backend())
    }

    /// Runs a call that gives losses, and adds them up.
    fn run_losses(
        &self,
        targets: Targets<'_>,
        buffers: Buffers<'_>,
        losses: &mut [f32],
        sums: Sums<'_>,
    ) -> Result<Summary, Error> {
        expect_rows("losses", losses.len(), buffers.rows())?;
        let totals = self.run(targets, buffers, losses, sums)?;
        Ok(summarise(losses, totals, self))
    }

    /// Runs a call, and gives what its rows count for.
    fn run(
        &self,
        targets: Targets<'_>,
        buffers: Buffers<'_>,
        losses: &mut [f32],
        sums: Sums<'_>,
    ) -> Result<Totals, Error> {
        if let Some(given) = sums.len() {
            expect_rows("log-sum-exps", given, buffers.rows())?;
        }
        match buffers {
            Buffers::Read(logits) => self.run_in(targets, ReadOnly(logits), logits.backend(), losses, sums),
            Buffers::Apart(logits, gradient) => {
                let place = out_of_place("gradient", logits, gradient)?;
                self.run_in(targets, place, logits.backend(), losses, sums)
            }
            Buffers::Over(logits) => {
                let backend = logits.backend();
                self.run_in(targets, InPlace(logits), backend, losses, sums)
            }
        }
    }

    /// Validates what all calls share, and runs.
    fn run_in<P: Place>(
        &self,
        targets: Targets<'_>,
        place: P,
        backend: Option<Backend>,
        losses: &mut [f32],
        sums: Sums<'_>,
    ) -> Result<Totals, Error> {
        let (rows, classes) = (place.rows(), place.classes());
        self.expect_lengths(rows, classes)?;
        let plain = self.smoothing == Spread::default() && self.z_loss == 0.0 && self.map == Map::default();
        let (weights, unit_mass) = (self.weights, self.unit_mass());
        let (targets, totals) = match targets {
            Targets::Sparse(labels) => {
                let labels = RowLabels::new(labels, rows, classes, self.ignored)?;
                let totals = self.totals(rows, &labels);
                let scale = self.scale(totals)?;
                if plain && !unit_mass {
                    let job = Sparse { place, labels, weights, scale, losses, sums };
                    return parallel::run(Rowwise(job), backend).map(|()| totals);
                }
                (RowTargets::Sparse(labels), totals)
            }
            Targets::Dense(labels) => {
                labels.expect_shape("labels", (rows, classes))?;
                let totals = self.dense_totals(rows);
                let scale = self.scale(totals)?;
                if plain && weights.classes.is_none() {
                    let job = Dense { place, labels, weights, scale, unit_mass, losses, sums };
                    return parallel::run(Rowwise(job), backend).map(|()| totals);
                }
                (RowTargets::Dense(labels), totals)
            }
        };
        let after = if P::WRITES && self.map.cap.is_some() { After::Slope } else { After::Nothing };
        let job = Mixed {
            place: Loaded::new(place, self.map, after),
            targets,
            weights,
            smoothing: self.smoothing,
            z_loss: self.z_loss,
            unit_mass,
            scale: self.scale(totals)?.times(self.map.scale),
            losses,
            sums,
            group: Group::default(),
        };
        parallel::run(Rowwise(job), backend).map(|()| totals)
    }

    fn unit_mass(&self) -> bool {
        self.dense_gradient == DenseGradient::ProbabilitiesMinusLabels
    }

    /// An error unless all options have the lengths that the logits need.
    pub(in crate::ops) fn expect_lengths(&self, rows: usize, classes: usize) -> Result<(), Error> {
        if rows == 0 {
            return Ok(());
        }
        let (mask, masked) = match self.map.mask {
            Mask::None => (0, 0),
            Mask::Shared(mask) => (mask.len(), classes),
            Mask::PerRow(masks) => (masks.len(), rows * classes),
        };
        let (per_class, weighted) = self.weights.classes.map_or((0, 0), |weights| (weights.len(), classes));
        for (what, given, expected) in [("class mask", mask, masked), ("class weights", per_class, weighted)]
        {
            if given != expected {
                return Err(Error::OptionLength { what, given, expected });
            }
        }
        self.weights.rows.map_or(Ok(()), |weights| expect_rows("row weights", weights.len(), rows))
    }

    /// What rows with labels count for.
    pub(in crate::ops) fn totals(&self, rows: usize, labels: &RowLabels<'_>) -> Totals {
        let used_rows = labels.used();
        let weight_sum = if self.weights.is_none() {
            count(used_rows)
        } else {
            labels.used_rows().fold(0.0, |sum, (row, class)| sum + self.weights.of(row, class))
        };
        Totals { rows, used_rows, weight_sum }
    }

    /// What rows with distributions count for.
    pub(in crate::ops) fn dense_totals(&self, rows: usize) -> Totals {
        let weight_sum = (0..rows).fold(0.0, |sum, row| sum + self.weights.of_row(row));
        Totals { rows, used_rows: rows, weight_sum }
    }

    /// What the gradient of each row is multiplied by.
    pub(in crate::ops) fn scale(&self, totals: Totals) -> Result<Scale<'_>, Error> {
        if let Upstream::PerRow(values) = self.upstream {
            expect_rows("upstream gradients", values.len(), totals.rows)?;
            if self.reduction != Reduction::None {
                return Err(Error::UpstreamPerRow { given: values.len() });
            }
        }
        let constant = match self.reduction {
            Reduction::None | Reduction::Sum => 1.0,
            Reduction::Mean => match self.denominator.of(totals) {
                // There is nothing to have a gradient.
                0.0 => 0.0,
                denominator => 1.0 / denominator,
            },
        };
        Ok(Scale { upstream: self.upstream, constant })
    }
}

/// The buffers of a call.
enum Buffers<'a> {
    /// Logits alone.
    Read(Rows<'a>),
    /// Logits, and their gradient elsewhere.
    Apart(Rows<'a>, RowsMut<'a>),
    /// Logits, and their gradient over them.
    Over(RowsMut<'a>),
}

impl Buffers<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Read(logits) | Self::Apart(logits, _) => logits.rows(),
            Self::Over(logits) => logits.rows(),
        }
    }
}
