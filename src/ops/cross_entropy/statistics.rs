//! What one read of each row tells of its prediction.

use super::reduction::{Totals, summarise};
use super::run::Buffers;
use super::{CrossEntropy, Summary};
use crate::engine::options::Outputs;
use crate::engine::total::Total;
use crate::ops::{checked, expect_rows};
use crate::{Error, IntoLabels, Labels, Rows, Targets};

/// Where the statistics of rows go: a slice of one value per row for each that is wanted.
///
/// Those of an ignored row are `-inf`, 0, 0, `usize::MAX`, `false` and 0.
///
/// ```
/// use xent::{CrossEntropy, Rows, Statistics};
///
/// let (mut argmax, mut entropy) = ([0; 2], [0.0; 2]);
/// let wanted = Statistics::new().argmax(&mut argmax).entropy(&mut entropy);
/// CrossEntropy::new().predictions_into(Rows::new(&[0.0, 0.0, -9.0, 9.0], 2, 2)?, wanted)?;
/// assert_eq!(argmax, [0, 1]);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Statistics<'a> {
    log_sum_exp: Option<&'a mut [f32]>,
    log_probability: Option<&'a mut [f32]>,
    z_loss: Option<&'a mut [f32]>,
    argmax: Option<&'a mut [usize]>,
    correct: Option<&'a mut [bool]>,
    entropy: Option<&'a mut [f32]>,
}

impl<'a> Statistics<'a> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// `ln sum_j e^(x_j)`, in nats.
    pub fn log_sum_exp(self, to: &'a mut [f32]) -> Self {
        Self { log_sum_exp: Some(to), ..self }
    }

    /// The log-probability of the label: the negative loss, without weights and smoothing.
    pub fn log_probability(self, to: &'a mut [f32]) -> Self {
        Self { log_probability: Some(to), ..self }
    }

    /// The z-loss: `k lse^2`, without weights, as [`LogSumExp::z_loss`](crate::LogSumExp::z_loss) has it.
    pub fn z_loss(self, to: &'a mut [f32]) -> Self {
        Self { z_loss: Some(to), ..self }
    }

    /// The class of the largest logit, the first of equal ones; of the first NaN where there is one. A scale and a soft cap
    /// do not change it.
    pub fn argmax(self, to: &'a mut [usize]) -> Self {
        Self { argmax: Some(to), ..self }
    }

    /// Whether that is the label.
    pub fn correct(self, to: &'a mut [bool]) -> Self {
        Self { correct: Some(to), ..self }
    }

    /// The entropy of the prediction, `-sum p_i ln p_i`, in nats.
    pub fn entropy(self, to: &'a mut [f32]) -> Self {
        Self { entropy: Some(to), ..self }
    }
}

impl CrossEntropy<'_> {
    /// Statistics of the prediction of each row: those that are asked for, from one pass over the rows; argmax and
    /// entropy look at each row again while it is in the cache.
    ///
    /// Of the options, ignored labels, masks, scale, soft cap, empty rows and the factor of the z-loss count: they are statistics of
    /// the distribution that the loss is taken of.
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
    /// let wanted = Statistics::new().correct(&mut correct).entropy(&mut entropy);
    /// let logits = Rows::new(&[0.0, 0.0, 9.0, -9.0], 2, 2)?;
    /// CrossEntropy::new().statistics_into(&[1_u8, 0], logits, wanted)?;
    /// assert_eq!(correct, [false, true]);
    /// assert!((entropy[0] - core::f32::consts::LN_2).abs() < 1e-7 && (entropy[1] - 2.8937e-7).abs() < 1e-11);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn statistics_into<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
        statistics: Statistics<'_>,
    ) -> Result<(), Error> {
        self.bare().run_statistics(Some(labels.into_labels()), logits, &mut [], statistics).map(drop)
    }

    /// As [`statistics_into`](Self::statistics_into), of rows that have no labels: log-sum-exp, z-loss, argmax and entropy.
    ///
    /// # Errors
    ///
    /// As [`statistics_into`](Self::statistics_into), and [`Error::NeedsLabels`] where log-probabilities, or whether
    /// predictions are correct, are asked for.
    ///
    /// ```
    /// use xent::{CrossEntropy, Rows, Statistics};
    ///
    /// let mut log_sum_exp = [0.0];
    /// let wanted = Statistics::new().log_sum_exp(&mut log_sum_exp);
    /// CrossEntropy::new().predictions_into(Rows::new(&[1.0, 1.0], 1, 2)?, wanted)?;
    /// assert_eq!(log_sum_exp, [1.0 + core::f32::consts::LN_2]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn predictions_into(&self, logits: Rows<'_>, statistics: Statistics<'_>) -> Result<(), Error> {
        self.bare().run_statistics(None, logits, &mut [], statistics).map(drop)
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
    /// let wanted = Statistics::new().z_loss(&mut z_loss).correct(&mut correct);
    /// let loss = CrossEntropy::new().z_loss(1e-4)?.reduction(Reduction::Mean);
    /// let logits = Rows::new(&[0.0, 0.0, 9.0, -9.0], 2, 2)?;
    /// let summary = loss.loss_and_statistics_into(&[1_u8, 0], logits, &mut losses, wanted)?;
    /// assert_eq!((correct, z_loss[1]), ([false, true], 8.1e-3));
    /// assert_eq!(summary.value, (losses[0] + losses[1]) / 2.0);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn loss_and_statistics_into<'t>(
        &self,
        labels: impl IntoLabels<'t>,
        logits: Rows<'_>,
        losses: &mut [f32],
        statistics: Statistics<'_>,
    ) -> Result<Summary, Error> {
        expect_rows("losses", losses.len(), logits.rows())?;
        let (totals, total) = self.run_statistics(Some(labels.into_labels()), logits, losses, statistics)?;
        Ok(summarise(total, losses, totals, self))
    }

    /// The options that count where no loss is asked for.
    fn bare(&self) -> Self {
        let Self { map, ignored, z_loss, empty_rows, .. } = *self;
        CrossEntropy { ignored, z_loss, map, empty_rows, ..CrossEntropy::new() }
    }

    fn run_statistics(
        &self,
        labels: Option<Labels<'_>>,
        logits: Rows<'_>,
        losses: &mut [f32],
        statistics: Statistics<'_>,
    ) -> Result<(Totals, Total), Error> {
        let rows = logits.rows();
        let Statistics { log_sum_exp, log_probability, z_loss, argmax, correct, entropy } = statistics;
        if labels.is_none() {
            for (what, wanted) in
                [("log-probabilities", log_probability.is_some()), ("correct", correct.is_some())]
            {
                if wanted {
                    return Err(Error::NeedsLabels { what });
                }
            }
        }
        let outputs = Outputs {
            losses,
            log_sum_exp: checked("log-sum-exps", log_sum_exp, rows)?,
            log_probability: checked("log-probabilities", log_probability, rows)?,
            z_loss: checked("z-losses", z_loss, rows)?,
            argmax: checked("argmax", argmax, rows)?,
            correct: checked("correct", correct, rows)?,
            entropy: checked("entropies", entropy, rows)?,
            ..Outputs::default()
        };
        self.run(labels.map(Targets::Sparse), Buffers::Read(logits), outputs)
    }
}
