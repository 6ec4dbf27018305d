//! What one read of each row tells of its prediction.

use super::reduction::{Totals, summarise};
use super::run::Given;
use super::{CrossEntropy, Summary};
use crate::kernel::inspect::{Inspect, Wanted};
use crate::kernel::loaded::Loaded;
use crate::kernel::map::Map;
use crate::kernel::mixed::RowTargets;
use crate::kernel::place::ReadOnly;
use crate::kernel::rowwise::Rowwise;
use crate::kernel::scale::Sums;
use crate::kernel::sparse::Sparse;
use crate::ops::expect_rows;
use crate::{Error, Labels, Rows, Targets, parallel};

/// Where the statistics of rows go: a slice of one value per row for each that is wanted.
///
/// Those of an ignored row are `-inf`, 0, 0, `usize::MAX`, `false` and 0.
#[derive(Debug, Default)]
pub struct Statistics<'a> {
    /// `ln sum_j e^(x_j)`, in nats.
    pub log_sum_exp: Option<&'a mut [f32]>,
    /// The log-probability of the label: the negative loss, without weights and smoothing.
    pub log_probability: Option<&'a mut [f32]>,
    /// The z-loss: `k lse^2`, without weights, as [`LogSumExp::z_loss`](crate::LogSumExp::z_loss) has it.
    pub z_loss: Option<&'a mut [f32]>,
    /// The class of the largest logit, the first of equal ones; of the first NaN where there is one.
    pub argmax: Option<&'a mut [usize]>,
    /// Whether that is the label.
    pub correct: Option<&'a mut [bool]>,
    /// The entropy of the prediction, `-sum p_i ln p_i`, in nats.
    pub entropy: Option<&'a mut [f32]>,
}

impl CrossEntropy<'_> {
    /// Statistics of the prediction of each row: those that are asked for, from one pass over the rows; argmax and
    /// entropy look at each row again while it is in the cache.
    ///
    /// Of the options, ignored labels, masks, scale, soft cap and the factor of the z-loss count: they are statistics of the distribution that the
    /// loss is taken of.
    ///
    /// # Errors
    ///
    /// [`Error::RowCount`], [`Error::LabelOutOfRange`], [`Error::OptionLength`], [`Error::UnknownBackend`] and
    /// [`Error::UnavailableBackend`].
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows, Statistics};
    ///
    /// let (mut correct, mut entropy) = ([false; 2], [0.0; 2]);
    /// let wanted = Statistics { correct: Some(&mut correct), entropy: Some(&mut entropy), ..Statistics::default() };
    /// let logits = Rows::new(&[0.0, 0.0, 9.0, -9.0], 2, 2)?;
    /// CrossEntropy::new().statistics_into(&[1_u8, 0], logits, wanted)?;
    /// assert_eq!(correct, [false, true]);
    /// assert!((entropy[0] - core::f32::consts::LN_2).abs() < 1e-7 && (entropy[1] - 2.8937e-7).abs() < 1e-11);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn statistics_into<'t>(
        &self,
        labels: impl Into<Labels<'t>>,
        logits: Rows<'_>,
        statistics: Statistics<'_>,
    ) -> Result<(), Error> {
        // What is computed from them, and how rows count, is not asked for.
        let bare =
            CrossEntropy { map: self.map, ignored: self.ignored, z_loss: self.z_loss, ..CrossEntropy::new() };
        bare.run_statistics(labels.into(), logits, &mut [], statistics).map(drop)
    }

    /// The loss of each row, and statistics of its prediction from the same read: as
    /// [`loss_into`](Self::loss_into) and [`statistics_into`](Self::statistics_into). All options count. A row that
    /// does not, because its weight is 0, has the statistics of an ignored one.
    ///
    /// # Errors
    ///
    /// As [`statistics_into`](Self::statistics_into).
    ///
    /// ```
    /// use xent::{CrossEntropy, Reduction, Rows, Statistics};
    ///
    /// let (mut losses, mut z_loss, mut correct) = ([0.0; 2], [0.0; 2], [false; 2]);
    /// let wanted =
    ///     Statistics { z_loss: Some(&mut z_loss), correct: Some(&mut correct), ..Statistics::default() };
    /// let loss = CrossEntropy::new().z_loss(1e-4)?.reduction(Reduction::Mean);
    /// let logits = Rows::new(&[0.0, 0.0, 9.0, -9.0], 2, 2)?;
    /// let summary = loss.loss_and_statistics_into(&[1_u8, 0], logits, &mut losses, wanted)?;
    /// assert_eq!((correct, z_loss[1]), ([false, true], 8.1e-3));
    /// assert_eq!(summary.value, (losses[0] + losses[1]) / 2.0);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn loss_and_statistics_into<'t>(
        &self,
        labels: impl Into<Labels<'t>>,
        logits: Rows<'_>,
        losses: &mut [f32],
        statistics: Statistics<'_>,
    ) -> Result<Summary, Error> {
        expect_rows("losses", losses.len(), logits.rows())?;
        let totals = self.run_statistics(labels.into(), logits, losses, statistics)?;
        Ok(summarise(losses, totals, self))
    }

    fn run_statistics(
        &self,
        labels: Labels<'_>,
        logits: Rows<'_>,
        losses: &mut [f32],
        statistics: Statistics<'_>,
    ) -> Result<Totals, Error> {
        let rows = logits.rows();
        let Statistics { log_sum_exp, log_probability, z_loss, argmax, correct, entropy } = statistics;
        let wanted = Wanted {
            log_sum_exp: checked("log-sum-exps", log_sum_exp, rows)?,
            log_probability: checked("log-probabilities", log_probability, rows)?,
            z_loss: checked("z-losses", z_loss, rows)?,
            argmax: checked("argmax", argmax, rows)?,
            correct: checked("correct", correct, rows)?,
            entropy: checked("entropies", entropy, rows)?,
        };
        self.expect_lengths(rows, logits.classes())?;
        let (targets, totals) = self.known(Targets::Sparse(labels), rows, logits.classes())?;
        let given = Given { scale: self.scale(totals)?, targets, losses, sums: Sums::Discard };
        let (z_loss, backend) = (self.z_loss, logits.backend());
        match given.targets {
            // The z-loss is part of a loss that is not asked for.
            RowTargets::Sparse(labels)
                if logits.is_plain()
                    && (self.is_plain() || given.losses.is_empty())
                    && self.map == Map::default() =>
            {
                let Given { scale, losses, sums, .. } = given;
                let inner =
                    Sparse { place: ReadOnly(logits), labels, weights: self.weights, scale, losses, sums };
                parallel::run(Rowwise(Inspect { inner, z_loss, wanted }), backend)?;
            }
            _ => {
                let inner = self.mixed(Loaded::read_only(logits), given);
                parallel::run(Rowwise(Inspect { inner, z_loss, wanted }), backend)?;
            }
        }
        Ok(totals)
    }
}

/// A slice of one value per row, or an empty one where it is not wanted.
fn checked<'a, T>(what: &'static str, slice: Option<&'a mut [T]>, rows: usize) -> Result<&'a mut [T], Error> {
    let Some(slice) = slice else { return Ok(&mut []) };
    expect_rows(what, slice.len(), rows)?;
    Ok(slice)
}
