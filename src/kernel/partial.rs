//! The sum of a run of terms, and how runs are put together.

use super::exp::Reference;
use super::math::{exp, ln, power_of_two};
use super::weights::weighed;
use core::f64::consts::LN_2;

/// `sum e^x` over a run of logits, as `sum * 2^exponent * e^pivot`: a log-sum-exp that has not been
/// evaluated, so that nothing has been rounded away.
///
/// One value of 16 bytes per row is all that a later backward pass needs
/// ([`CrossEntropy::backward`](crate::CrossEntropy::backward)), and two values of disjoint runs of
/// classes [merge](LogSumExp::merge) into that of both.
///
/// ```
/// let (first, rest) = (xent::LogSumExp::of(&[1.0, 2.0])?, xent::LogSumExp::of(&[3.0])?);
/// assert_eq!(first.merge(rest).value(), 3.407_606); // ln(e + e^2 + e^3)
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp {
    pivot: f32,
    exponent: i32,
    sum: f64,
}

pub(crate) type Partial = LogSumExp;

impl LogSumExp {
    /// The sum over no logits.
    pub const EMPTY: Self = Self { pivot: 0.0, exponent: 0, sum: 0.0 };

    #[inline(always)]
    pub(crate) fn new(reference: Reference, sum: f64) -> Self {
        Self { pivot: reference.pivot, exponent: reference.exponent, sum }
    }

    /// The log-sum-exp in f32: NaN if a logit is NaN, `+inf` if one is `+inf`, `-inf` if all are.
    ///
    /// The bits of [`log_sum_exp`](crate::log_sum_exp), but for values closer to 0 than 2^-10: these are
    /// good to 2^-52 here, and to 2 ULP of the value or of the largest logit there.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
    pub fn value(self) -> f32 {
        self.to_f64() as f32
    }

    /// The log-sum-exp in f64.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        f64::from(self.pivot) + self.log_relative()
    }

    /// The z-loss of the row, `scale lse^2`, by itself; 0 for a row that is ignored, or without any logit but `-inf`,
    /// and for a scale of 0 unless the log-sum-exp is NaN.
    ///
    /// ```
    /// let sum = xent::LogSumExp::of(&[0.0, 0.0])?;
    /// assert_eq!(sum.z_loss(0.5), 0.240_226_5); // ln(2)^2 / 2
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
    pub fn z_loss(self, scale: f64) -> f32 {
        self.z_loss_from(scale, self.to_f64()) as f32
    }

    /// The z-loss, given the log-sum-exp.
    #[inline(always)]
    pub(crate) fn z_loss_from(self, scale: f64, log_sum_exp: f64) -> f64 {
        if self.is_empty() { 0.0 } else { weighed(scale, log_sum_exp * log_sum_exp) }
    }

    /// `ln(sum e^(x - pivot))`.
    #[inline(always)]
    pub(crate) fn log_relative(self) -> f64 {
        // The product is exact, and next to 1 where the logarithm is next to 0.
        ln(self.sum * power_of_two(self.exponent.into()))
    }

    /// Whether there is no logit but -inf.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.sum == 0.0
    }

    /// `ln` of the ratio of the two references.
    #[inline(always)]
    fn log_ratio(self, reference: Reference) -> f64 {
        f64::from(reference.pivot) - f64::from(self.pivot)
            + f64::from(reference.exponent - self.exponent) * LN_2
    }

    #[inline(always)]
    pub(crate) fn reference(self) -> Reference {
        Reference { pivot: self.pivot, exponent: self.exponent }
    }

    /// The term `e^pivot 2^exponent` of another reference, in units of this one's: exact where the
    /// pivots are equal, as they are for logits within 264 of zero.
    #[inline(always)]
    #[expect(clippy::float_cmp, reason = "pivots are the same number or not")]
    pub(crate) fn scale_of(self, reference: Reference) -> f64 {
        if reference.pivot == self.pivot {
            power_of_two(f64::from(reference.exponent) - f64::from(self.exponent))
        } else {
            exp(self.log_ratio(reference))
        }
    }

    /// The log-sum-exp of both runs. The order matters to the last bit of the f64 sum.
    #[must_use]
    #[inline(always)]
    pub fn merge(self, other: Self) -> Self {
        if other.is_empty() {
            self
        } else if self.is_empty() {
            other
        } else if self.log_ratio(other.reference()) > 0.0 {
            Self { sum: self.sum * other.scale_of(self.reference()) + other.sum, ..other }
        } else {
            Self { sum: self.sum + other.sum * self.scale_of(other.reference()), ..self }
        }
    }

    /// The sum in units of another reference.
    #[inline(always)]
    pub(crate) fn relative_to(self, reference: Reference) -> f64 {
        if self.is_empty() || self.reference() == reference {
            self.sum
        } else {
            self.sum * Self::new(reference, 0.0).scale_of(self.reference())
        }
    }
}

/// A value that another program saved. Gradients from it are as good as an f32 holds a log-sum-exp:
/// relative errors of about `6e-8 * |value|`.
impl From<f32> for LogSumExp {
    fn from(value: f32) -> Self {
        if value == f32::NEG_INFINITY { Self::EMPTY } else { Self { pivot: value, exponent: 0, sum: 1.0 } }
    }
}

/// Blocks that are merged before their result is merged into the row: what one thread takes of a long
/// row, so that the order of additions does not depend on the threads.
pub(crate) const SPLIT_BLOCKS: usize = 32;

/// The partials of a row's blocks, put together in their order on two levels.
#[derive(Clone, Copy)]
pub(crate) struct Fold {
    done: Partial,
    open: Partial,
    blocks: usize,
}

impl Fold {
    pub(crate) const EMPTY: Self = Self { done: Partial::EMPTY, open: Partial::EMPTY, blocks: 0 };

    /// Adds the next block.
    #[inline(always)]
    pub(crate) fn add(&mut self, block: Partial) {
        self.open = self.open.merge(block);
        self.blocks += 1;
        if self.blocks == SPLIT_BLOCKS {
            *self = Self { done: self.total(), ..Self::EMPTY };
        }
    }

    #[inline(always)]
    pub(crate) fn total(self) -> Partial {
        self.done.merge(self.open)
    }
}
