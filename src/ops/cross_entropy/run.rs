//! From a call with its options to a job: validation, totals, and which operation it is.

use super::reduction::{Totals, count, summarise};
use super::{CrossEntropy, DenseGradient, Reduction, Summary, Upstream};
use crate::kernel::dense::Dense;
use crate::kernel::loaded::{After, Loaded};
use crate::kernel::map::{Map, Mask};
use crate::kernel::mixed::{Group, Mixed, RowTargets, Spread};
use crate::kernel::place::{InPlace, Place, ReadOnly};
use crate::kernel::rowwise::Rowwise;
use crate::kernel::scale::{Scale, Sums};
use crate::kernel::sparse::Sparse;
use crate::labels::RowLabels;
use crate::ops::{expect_rows, out_of_place};
use crate::{Backend, Error, Rows, RowsMut, Targets, parallel};

impl CrossEntropy<'_> {
    /// Runs a call that gives losses, and adds them up.
    pub(super) fn run_losses(
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
    pub(super) fn run(
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
pub(super) enum Buffers<'a> {
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
