//! From a call with its options to a job: validation, totals, and which operation it is.

use super::reduction::{Totals, count, summarise};
use super::{CrossEntropy, DenseGradient, Reduction, Summary, Upstream};
use crate::kernel::dense::Dense;
use crate::kernel::lines::Results;
use crate::kernel::loaded::{After, Loaded};
use crate::kernel::map::{Map, Mask};
use crate::kernel::mixed::{Group, Mixed, RowTargets, Spread};
use crate::kernel::place::Place;
use crate::kernel::rowwise::Rowwise;
use crate::kernel::scale::{Scale, Sums};
use crate::kernel::sparse::Sparse;
use crate::labels::RowLabels;
use crate::ops::expect_rows;
use crate::ops::places::in_place_of;
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
        if let Buffers::Apart(logits, gradient) = &buffers {
            gradient.expect_shape("gradient", (logits.rows(), logits.classes()))?;
        }
        let backend = buffers.backend();
        let (rows, classes) = buffers.shape();
        self.expect_lengths(rows, classes)?;
        let (known, totals) = self.known(targets, rows, classes)?;
        let scale = self.scale(totals)?;
        let simple = self.is_plain()
            && match known {
                RowTargets::Sparse(_) => !self.unit_mass(),
                RowTargets::Dense(_) => self.weights.classes.is_none(),
            };
        let given = Given { targets: known, scale, losses, sums };
        match buffers {
            Buffers::Read(logits) if simple => {
                in_place_of!(place = read_only(logits) => self.run_simple(place, given, backend))
            }
            Buffers::Apart(logits, gradient) if simple => {
                in_place_of!(place = out_of_place("gradient", logits, gradient) => self.run_simple(place, given, backend))
            }
            Buffers::Over(logits) if simple => {
                in_place_of!(place = in_place(logits) => self.run_simple(place, given, backend))
            }
            Buffers::Read(logits) => self.run_mixed(Loaded::read_only(logits), given, backend),
            Buffers::Apart(logits, gradient) => {
                self.run_mixed(Loaded::out_of_place(logits, gradient), given, backend)
            }
            Buffers::Over(logits) => self.run_mixed(Loaded::in_place(logits), given, backend),
        }
        .map(|()| totals)
    }

    /// Whether all options are arithmetic at the ends of rows.
    pub(super) fn is_plain(&self) -> bool {
        self.smoothing == Spread::default() && self.z_loss == 0.0 && self.map == Map::default()
    }

    /// Validates targets, and adds up what they count for.
    pub(super) fn known<'t>(
        &'t self,
        targets: Targets<'t>,
        rows: usize,
        classes: usize,
    ) -> Result<(RowTargets<'t>, Totals), Error> {
        match targets {
            Targets::Sparse(labels) => {
                let labels = RowLabels::new(labels, rows, classes, self.ignored)?;
                let totals = self.totals(rows, &labels);
                Ok((RowTargets::Sparse(labels), totals))
            }
            Targets::Dense(labels) => {
                labels.expect_shape("labels", (rows, classes))?;
                Ok((RowTargets::Dense(labels), self.dense_totals(rows)))
            }
        }
    }

    /// Runs a call whose options are arithmetic at the ends of rows.
    fn run_simple<P: Place>(
        &self,
        place: P,
        given: Given<'_>,
        backend: Option<Backend>,
    ) -> Result<(), Error> {
        let Given { targets, scale, losses, sums } = given;
        let weights = self.weights;
        match targets {
            RowTargets::Sparse(labels) => {
                parallel::run(Rowwise(Sparse { place, labels, weights, scale, losses, sums }), backend)
            }
            RowTargets::Dense(labels) => {
                let unit_mass = self.unit_mass();
                let job = Dense { place, labels, weights, scale, unit_mass, losses, sums, first: 0 };
                parallel::run(Rowwise(job), backend)
            }
        }
    }

    /// Runs a call with any options.
    fn run_mixed<'a, R: Results<'a>>(
        &'a self,
        place: Loaded<'a, R>,
        given: Given<'a>,
        backend: Option<Backend>,
    ) -> Result<(), Error> {
        parallel::run(Rowwise(self.mixed(place, given)), backend)
    }

    /// The loss with any options.
    pub(super) fn mixed<'a, R: Results<'a>>(
        &'a self,
        place: Loaded<'a, R>,
        given: Given<'a>,
    ) -> Mixed<'a, R> {
        let Given { targets, scale, losses, sums } = given;
        let after = if R::WRITES && self.map.cap.is_some() { After::Slope } else { After::Nothing };
        Mixed {
            place: place.mapped(self.map, after),
            targets,
            weights: self.weights,
            smoothing: self.smoothing,
            z_loss: self.z_loss,
            unit_mass: self.unit_mass(),
            scale: scale.times(self.map.scale),
            losses,
            sums,
            group: Group::default(),
        }
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

/// What a call is given beside its buffers.
pub(super) struct Given<'a> {
    pub(super) targets: RowTargets<'a>,
    pub(super) scale: Scale<'a>,
    pub(super) losses: &'a mut [f32],
    pub(super) sums: Sums<'a>,
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

    fn rows(&self) -> usize {
        self.shape().0
    }

    fn backend(&self) -> Option<Backend> {
        match self {
            Self::Read(logits) | Self::Apart(logits, _) => logits.backend(),
            Self::Over(logits) => logits.backend(),
        }
    }
}
