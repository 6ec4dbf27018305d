//! From a call with its options to data: validation, totals, and what becomes of each row.

use super::reduction::{Totals, count, summarise};
use super::{CrossEntropy, Denominator, DenseGradient, EmptyRows, Reduction, Summary, Upstream};
use crate::engine::call::{Call, Inputs, LossWork, Source, Work};
use crate::engine::options::{Outputs, Scale, Sums};
use crate::engine::parallel;
use crate::engine::total::Total;
use crate::kernels::map::Mask;
use crate::ops::expect_rows;
use crate::simd::strided::Strided;
use crate::views::labels::RowLabels;
use crate::views::rows::Execution;
use crate::{Error, LogSumExp, Rows, RowsMut, Targets};

impl CrossEntropy<'_> {
    /// Runs a call that gives losses, and adds them up.
    pub(super) fn run_losses(
        &self,
        targets: Targets<'_>,
        buffers: Buffers<'_>,
        losses: &mut [f32],
        sums: Sums<'_>,
    ) -> Result<Summary, Error> {
        expect_rows("losses", losses.len(), buffers.shape().0)?;
        let outputs = Outputs { losses: &mut *losses, sums, ..Outputs::default() };
        let (totals, total) = self.run(Some(targets), buffers, outputs)?;
        Ok(summarise(total, losses, totals, self))
    }

    /// Runs a call whose sums are known.
    pub(super) fn run_saved(
        &self,
        targets: Targets<'_>,
        buffers: Buffers<'_>,
        sums: &[LogSumExp],
    ) -> Result<(), Error> {
        let outputs = Outputs { sums: Sums::Saved(sums), ..Outputs::default() };
        self.run(Some(targets), buffers, outputs).map(drop)
    }

    /// Validates a call completely, runs it, and gives what its rows count for and the sum of their losses.
    #[inline(always)]
    pub(super) fn run(
        &self,
        targets: Option<Targets<'_>>,
        buffers: Buffers<'_>,
        outputs: Outputs<'_>,
    ) -> Result<(Totals, Total), Error> {
        let (rows, classes) = buffers.shape();
        if let Some(given) = outputs.sums.len() {
            expect_rows("log-sum-exps", given, rows)?;
        }
        if let Buffers::Apart(_, gradient) = &buffers {
            gradient.expect_shape("gradient", (rows, classes))?;
        }
        let saved = if let Sums::Saved(sums) = &outputs.sums { Some(*sums) } else { None };
        let mut valid = Valid::default();
        self.validate_into(targets, rows, classes, saved, &mut valid)?;
        let (execution, totals) = (buffers.execution(), valid.totals);
        let token = parallel::token(execution.backend)?;
        let call = match buffers {
            Buffers::Read(logits) => {
                Call::new(self.inputs(Source::Shared(logits.values()), &valid), None, outputs)
            }
            Buffers::Apart(logits, gradient) => Call::new(
                self.inputs(Source::Shared(logits.values()), &valid),
                Some(gradient.into_values()),
                outputs,
            ),
            Buffers::Over(logits) => {
                Call::new(self.inputs(Source::Over(logits.into_values()), &valid), None, outputs)
            }
        };
        Ok((totals, parallel::run_on(token, call, execution.serial)))
    }

    /// Validates all that a call reads beside its logits, and what was saved of them.
    #[cfg(feature = "linear")]
    pub(in crate::ops) fn validate<'t>(
        &'t self,
        targets: Option<Targets<'t>>,
        rows: usize,
        classes: usize,
        saved: Option<&[LogSumExp]>,
    ) -> Result<Valid<'t>, Error> {
        let mut valid = Valid::default();
        self.validate_into(targets, rows, classes, saved, &mut valid)?;
        Ok(valid)
    }

    /// As [`validate`](Self::validate), where the caller has room for the answer: moving it takes longer than a short row.
    fn validate_into<'t>(
        &'t self,
        targets: Option<Targets<'t>>,
        rows: usize,
        classes: usize,
        saved: Option<&[LogSumExp]>,
        valid: &mut Valid<'t>,
    ) -> Result<(), Error> {
        self.expect_lengths(rows, classes)?;
        match targets {
            Some(Targets::Sparse(labels)) => {
                let labels = valid.labels.insert(RowLabels::new(labels, rows, classes, self.ignored)?);
                valid.totals = self.totals(rows, labels);
            }
            Some(Targets::Dense(labels)) => {
                labels.expect_shape("labels", (rows, classes))?;
                (valid.dense, valid.totals) = (Some(labels.values()), self.dense_totals(rows));
            }
            None => valid.totals = self.dense_totals(rows),
        }
        if let Some(sums) = saved {
            self.expect_sums(sums, valid.labels.as_ref())?;
        }
        valid.scale = self.scale(valid.totals)?.times(self.map.scale);
        Ok(())
    }

    /// What a call reads.
    pub(in crate::ops) fn inputs<'t>(&'t self, logits: Source<'t>, valid: &Valid<'t>) -> Inputs<'t> {
        let work = Work::Loss(LossWork {
            smoothing: self.smoothing,
            z_loss: self.z_loss,
            unit_mass: self.dense_gradient == DenseGradient::ProbabilitiesMinusLabels,
        });
        let Valid { labels, dense, scale, .. } = *valid;
        let (map, weights, empty_is_zero) = (self.map, self.weights, self.zero_for_empty_rows());
        Inputs { work, logits, dense, labels, map, weights, scale, empty_is_zero }
    }

    pub(in crate::ops) fn zero_for_empty_rows(&self) -> bool {
        self.empty_rows == EmptyRows::Zero
    }

    /// An error unless each row that counts has a sum over something.
    fn expect_sums(&self, sums: &[LogSumExp], labels: Option<&RowLabels<'_>>) -> Result<(), Error> {
        let counts = |row: &usize| {
            self.weights.rows.is_none_or(|weights| weights[*row] != 0.0)
                && labels.is_none_or(|labels| labels.is_used(*row))
        };
        let empty = sums.iter().enumerate().filter(|(_, sum)| sum.is_of_nothing());
        match empty.map(|(row, _)| row).find(counts) {
            Some(row) => Err(Error::EmptySum { row }),
            None => Ok(()),
        }
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
        let weight_sum = match self.weights.rows {
            None => count(rows),
            Some(weights) => weights.iter().fold(0.0, |sum, &weight| sum + f64::from(weight)),
        };
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
                negative if negative < 0.0 && self.denominator == Denominator::Weights => {
                    let (what, given) = ("sum of weights", negative.to_string());
                    let expected = "a positive number, for a mean by weights";
                    return Err(Error::Option { what, index: None, given, expected });
                }
                denominator => 1.0 / denominator,
            },
        };
        Ok(Scale { upstream: self.upstream, constant })
    }
}

/// What a call reads beside its logits, once it has been validated.
#[derive(Clone, Copy, Default)]
pub(in crate::ops) struct Valid<'a> {
    /// Class indices,
    pub(in crate::ops) labels: Option<RowLabels<'a>>,
    /// or distributions.
    pub(in crate::ops) dense: Option<Strided<'a>>,
    pub(in crate::ops) totals: Totals,
    /// What the gradient of each row is multiplied by.
    pub(in crate::ops) scale: Scale<'a>,
}

/// The buffers of a call.
pub(super) enum Buffers<'a> {
    /// Logits alone.
    Read(Rows<'a>),
    /// Logits, and their gradient elsewhere.
    Apart(Rows<'a>, RowsMut<'a>),
    /// Logits, and their gradient over them.
    Over(RowsMut<'a>),
}

impl Buffers<'_> {
    /// Rows and classes.
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Read(logits) | Self::Apart(logits, _) => (logits.rows(), logits.classes()),
            Self::Over(logits) => (logits.rows(), logits.classes()),
        }
    }

    fn execution(&self) -> Execution {
        match self {
            Self::Read(logits) | Self::Apart(logits, _) => logits.execution(),
            Self::Over(logits) => logits.execution(),
        }
    }
}
