//! What one read of each row tells of its prediction.

use super::CrossEntropy;
use crate::kernel::inspect::{Inspect, Wanted};
use crate::kernel::loaded::{After, Loaded};
use crate::kernel::map::Map;
use crate::kernel::place::ReadOnly;
use crate::kernel::rowwise::Rowwise;
use crate::labels::RowLabels;
use crate::ops::expect_rows;
use crate::{Error, Labels, Rows, parallel};

/// Where the statistics of rows go: a slice of one value per row for each that is wanted.
///
/// Those of an ignored row are `-inf`, 0, `usize::MAX`, `false` and 0.
#[derive(Debug, Default)]
pub struct Statistics<'a> {
    /// `ln sum_j e^(x_j)`, in nats.
    pub log_sum_exp: Option<&'a mut [f32]>,
    /// The log-probability of the label: the negative loss, without weights and smoothing.
    pub log_probability: Option<&'a mut [f32]>,
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
    /// Of the options, ignored labels, masks, scale and soft cap count: they are statistics of the distribution that the
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
        self.run_statistics(labels.into(), logits, statistics)
    }

    fn run_statistics(
        &self,
        labels: Labels<'_>,
        logits: Rows<'_>,
        statistics: Statistics<'_>,
    ) -> Result<(), Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        let Statistics { log_sum_exp, log_probability, argmax, correct, entropy } = statistics;
        let wanted = Wanted {
            log_sum_exp: checked("log-sum-exps", log_sum_exp, rows)?,
            log_probability: checked("log-probabilities", log_probability, rows)?,
            argmax: checked("argmax", argmax, rows)?,
            correct: checked("correct", correct, rows)?,
            entropy: checked("entropies", entropy, rows)?,
        };
        self.expect_lengths(rows, classes)?;
        let labels = RowLabels::new(labels, rows, classes, self.ignored)?;
        if self.map == Map::default() && logits.is_plain() {
            let place = ReadOnly(logits);
            parallel::run(Rowwise(Inspect { place, labels, wanted }), logits.backend())
        } else {
            let place = Loaded::read_only(logits).mapped(self.map, After::Nothing);
            parallel::run(Rowwise(Inspect { place, labels, wanted }), logits.backend())
        }
    }
}

/// A slice of one value per row, or an empty one where it is not wanted.
fn checked<'a, T>(what: &'static str, slice: Option<&'a mut [T]>, rows: usize) -> Result<&'a mut [T], Error> {
    let Some(slice) = slice else { return Ok(&mut []) };
    expect_rows(what, slice.len(), rows)?;
    Ok(slice)
}
