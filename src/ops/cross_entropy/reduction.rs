//! From row losses to one number, and from one upstream gradient to the rows'.

use super::CrossEntropy;
use crate::engine::total::Total;
use crate::numbers::factor::narrow_normal;

/// How the losses of the rows become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reduction {
    /// They do not: one loss per row.
    #[default]
    None,
    /// Their sum.
    Sum,
    /// Their sum over a [`Denominator`].
    Mean,
}

/// What [`Reduction::Mean`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Denominator {
    /// The number of rows that are not ignored.
    #[default]
    UsedRows,
    /// The sum of the weights of the rows that are not ignored: of their classes, times their own. With dense
    /// labels classes have no part in it. The mean of `PyTorch` and ONNX for class indices.
    Weights,
    /// The number of rows, ignored or not: Caffe's `FULL`, and what `tf.reduce_mean` does.
    AllRows,
    /// A positive number: that of the rows of a whole step in gradient accumulation, or of several machines.
    Given(f64),
}

/// What the mean over no rows is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmptyMean {
    /// NaN, as in `PyTorch`, JAX and `TensorFlow`.
    #[default]
    Nan,
    /// 0, which does not poison a training run.
    Zero,
}

/// What rows have that hold nothing but `-inf`, or whose classes are all masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmptyRows {
    /// A loss, a gradient and probabilities of NaN, as in `PyTorch` and JAX.
    #[default]
    Nan,
    /// 0 everywhere: for padded batches, and for attention over nothing.
    Zero,
}

/// The gradient of what the caller computes from the loss, with respect to the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Upstream<'a> {
    /// One value for all rows.
    Uniform(f32),
    /// One value per row; only where losses are not reduced.
    PerRow(&'a [f32]),
}

impl Default for Upstream<'_> {
    fn default() -> Self {
        Self::Uniform(1.0)
    }
}

impl From<f32> for Upstream<'_> {
    fn from(value: f32) -> Self {
        Self::Uniform(value)
    }
}

impl<'a> From<&'a [f32]> for Upstream<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::PerRow(values)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Upstream<'a> {
    fn from(values: &'a [f32; N]) -> Self {
        Self::PerRow(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Upstream<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::PerRow(values)
    }
}

impl Upstream<'_> {
    pub(crate) fn of(&self, row: usize) -> f32 {
        match self {
            Self::Uniform(value) => *value,
            Self::PerRow(values) => values[row],
        }
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Uniform(_) => (self, self),
            Self::PerRow(values) => {
                let (first, rest) = values.split_at(row);
                (Self::PerRow(first), Self::PerRow(rest))
            }
        }
    }
}

/// A loss, with one value per row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// The loss of each row, in nats; 0 for an ignored row.
    pub rows: Vec<f32>,
    /// What they add up to.
    pub summary: Summary,
}

/// What the losses of the rows add up to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The reduced loss. With [`Reduction::None`] the sum: the number of which a gradient with an upstream
    /// gradient of 1 is the gradient.
    pub value: f32,
    /// The number of rows that are not ignored.
    pub used_rows: usize,
    /// The sum of their weights, as [`Denominator::Weights`] takes it: the number of them where there are no
    /// weights.
    pub weight_sum: f64,
    /// The number of rows whose loss is infinite or NaN.
    pub non_finite_rows: usize,
}

/// What the rows of a call count for.
#[derive(Clone, Copy, Default)]
pub(in crate::ops) struct Totals {
    pub(super) rows: usize,
    pub(super) used_rows: usize,
    pub(super) weight_sum: f64,
}

impl Denominator {
    /// As a number.
    pub(super) const fn of(self, totals: Totals) -> f64 {
        match self {
            Self::UsedRows => count(totals.used_rows),
            Self::Weights => totals.weight_sum,
            Self::AllRows => count(totals.rows),
            Self::Given(number) => number,
        }
    }
}

/// What the losses of rows add up to, given their sum.
pub(in crate::ops) fn summarise(
    total: Total,
    losses: &[f32],
    totals: Totals,
    options: &CrossEntropy<'_>,
) -> Summary {
    let sum = total.value();
    let value = match (options.reduction, options.empty_mean) {
        (Reduction::None | Reduction::Sum, _) => sum,
        (Reduction::Mean, empty) => match (options.denominator.of(totals), empty) {
            (0.0, EmptyMean::Zero) => 0.0,
            (0.0, EmptyMean::Nan) => f64::NAN,
            (denominator, _) => sum / denominator,
        },
    };
    let value = narrow_normal(value);
    // Losses of both signs cancel in a sum, so that it does not tell.
    let in_some = |some: &[f32]| some.iter().fold(0_u32, |n, loss| n + u32::from(!loss.is_finite()));
    let non_finite_rows = losses.chunks(1 << 20).map(|some| in_some(some) as usize).sum();
    let Totals { used_rows, weight_sum, .. } = totals;
    Summary { value, used_rows, weight_sum, non_finite_rows }
}

/// The number of rows as a divisor.
#[expect(clippy::cast_precision_loss, reason = "2^53 losses do not fit in memory")]
pub(super) const fn count(rows: usize) -> f64 {
    rows as f64
}
