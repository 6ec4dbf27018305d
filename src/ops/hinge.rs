//! Multiclass hinge: the loss of support vector machines.

use super::cross_entropy::summarise;
use super::row_calls::row_calls;
use super::{CrossEntropy, Loss, Reduction, Summary, Upstream, allocate, expect_rows};
use crate::engine::call::Source;
use crate::engine::parallel;
use crate::engine::row_call::{RowCall, RowWork};
use crate::kernels::row_losses::{Hinge as Formula, RowFormula};
use crate::views::labels::RowLabels;
use crate::{Error, Labels, Rows, RowsMut};

/// The power of a hinge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HingePower {
    /// 1.
    #[default]
    Linear,
    /// 2.
    Squared,
}

/// The multiclass hinge loss of each row: `w_y sum over j != y of max(0, d - x_y + x_j)^p` for a margin `d`.
///
/// Logits are rows × classes, labels one class index per row. A logit of `-inf` is a masked class. At the kink the
/// derivative is 0.
///
/// Formula: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines" (2001), as a sum over
/// the classes (Weston and Watkins, 1999). [`new`](Self::new) is that of the course `CS231n`: a margin of 1, a plain sum.
/// `PyTorch`'s `MultiMarginLoss` is [`per_class`](Self::per_class).
///
/// ```
/// use xent::{Hinge, Rows};
///
/// let logits = Rows::new(&[3.2, 5.1, -1.7], 1, 3)?;
/// let (loss, gradient) = Hinge::new().loss_and_gradient(&[0_u8], logits)?;
/// assert!((loss.rows[0] - 2.9).abs() < 1e-6); // max(0, 5.1 - 3.2 + 1) + max(0, -1.7 - 3.2 + 1)
/// assert_eq!(gradient, [-1.0, 1.0, 0.0]);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hinge<'a> {
    margin: f32,
    power: HingePower,
    per_class: bool,
    /// What rows have in common with those of the other loss.
    rows: CrossEntropy<'a>,
}

impl Default for Hinge<'_> {
    fn default() -> Self {
        Self { margin: 1.0, power: HingePower::Linear, per_class: false, rows: CrossEntropy::new() }
    }
}

impl Hinge<'_> {
    /// A margin of 1, a power of 1, one loss per row.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How far the label's logit must be above the others.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a margin that is not finite.
    pub fn margin(self, margin: f32) -> Result<Self, Error> {
        if margin.is_finite() {
            return Ok(Self { margin, ..self });
        }
        let given = margin.to_string();
        Err(Error::Option { what: "margin", index: None, given, expected: "a finite number" })
    }

    /// The power `p`.
    #[must_use]
    pub const fn power(self, power: HingePower) -> Self {
        Self { power, ..self }
    }

    /// Whether the sum is divided by the number of classes.
    #[must_use]
    pub const fn per_class(self, per_class: bool) -> Self {
        Self { per_class, ..self }
    }
}

row_calls!(Hinge, Labels, "logits");

impl Hinge<'_> {
    fn run(
        &self,
        labels: Labels<'_>,
        logits: Rows<'_>,
        losses: &mut [f32],
        gradient: Option<RowsMut<'_>>,
    ) -> Result<Summary, Error> {
        let (rows, classes) = (logits.rows(), logits.classes());
        expect_rows("losses", losses.len(), rows)?;
        self.rows.expect_lengths(rows, classes)?;
        let labels = RowLabels::new(labels, rows, classes, self.rows.ignored)?;
        let totals = self.rows.totals(rows, &labels);
        #[expect(clippy::cast_precision_loss, reason = "2^53 logits do not fit in memory")]
        let share = if self.per_class { 1.0 / classes as f64 } else { 1.0 };
        let squared = self.power == HingePower::Squared;
        let formula = RowFormula::Hinge(Formula { margin: self.margin.into(), squared, share });
        let call = RowCall {
            labels: Some(labels),
            weights: self.rows.weights,
            scale: self.rows.scale(totals)?,
            losses: &mut *losses,
            results: gradient.map(RowsMut::into_values),
            ..RowCall::new(RowWork::Loss(formula), Source::Shared(logits.values()))
        };
        let total = parallel::run(call, logits.execution())?;
        Ok(summarise(total, losses, totals, &self.rows))
    }
}
