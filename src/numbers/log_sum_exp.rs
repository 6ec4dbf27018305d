//! The sum of a row as it is saved, and how sums of parts of a row are put together.

use core::f64::consts::LN_2;

use super::exp::{Reference, TERM_OF_ONE};
use super::math::{exp, ln, ln_1p, power_of_two};

/// What is known of a row once it has been read: `sum e^x` over its classes, kept as it is so that nothing has been rounded
/// away, with the logit of its label apart.
///
/// One value of 32 bytes per row is all that a later backward pass needs
/// ([`CrossEntropy::backward`](crate::CrossEntropy::backward)), and two values of disjoint classes
/// [merge](LogSumExp::merge) into that of both: of shards of a vocabulary, say.
///
/// ```
/// let (first, rest) = (xent::LogSumExp::of(&[1.0, 2.0])?, xent::LogSumExp::of(&[3.0])?);
/// assert_eq!(first.merge(rest).value(), 3.407_606); // ln(e + e^2 + e^3)
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct LogSumExp {
    /// The sum without the label, relative to `e^pivot 2^exponent / TERM_OF_ONE`.
    pub(crate) rest: f64,
    pub(crate) pivot: f32,
    pub(crate) exponent: f32,
    /// The logit whose term is not in the sum, and whose that is: see [`Apart`].
    pub(crate) logit: f32,
    pub(crate) apart: u32,
    /// The largest logit, and its class.
    pub(crate) max: f32,
    pub(crate) argmax: u32,
}

/// Whose term is not in a sum that is saved.
pub(crate) struct Apart;

impl Apart {
    pub(crate) const NOBODY: u32 = 0;
    pub(crate) const LABEL: u32 = 1;
    /// The largest logit, of a row that was read without a label.
    pub(crate) const LARGEST: u32 = 2;
}

impl LogSumExp {
    /// The sum over no logits.
    pub const EMPTY: Self = Self {
        rest: 0.0,
        pivot: 0.0,
        exponent: 0.0,
        logit: f32::NEG_INFINITY,
        apart: Apart::NOBODY,
        max: f32::NEG_INFINITY,
        argmax: u32::MAX,
    };

    /// The log-sum-exp in f32: NaN if a logit is NaN, `+inf` if one is `+inf`, `-inf` if all are.
    ///
    /// It is made of the sum that is saved. Next to 0 it can be off by 6e-8 where a label that is not the largest logit
    /// was read, or a distribution of more than 63 classes; the operation [`log_sum_exp`](crate::log_sum_exp()) is not,
    /// but needs the logits.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the result is f32")]
    pub fn value(self) -> f32 {
        self.to_f64() as f32
    }

    /// The log-sum-exp in f64.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        if self.max == f32::INFINITY {
            return f64::INFINITY;
        }
        let term = self.term();
        #[expect(clippy::float_cmp, reason = "the same logit or not")]
        if self.logit == self.max && self.rest < term {
            return f64::from(self.max) + ln_1p(self.rest / term);
        }
        // The quotient is next to 1 where the logarithm is next to 0, and not rounded any more than the sum.
        f64::from(self.pivot) + ln(self.sum() / TERM_OF_ONE * power_of_two(self.exponent.into()))
    }

    /// The loss of the row, `lse - x_y`, without cancellation: what it was read with, or the merged parts of it, had a
    /// label.
    #[must_use]
    pub fn loss(self) -> Option<f64> {
        (self.apart == Apart::LABEL).then(|| {
            let term = self.term();
            let log = if self.rest < term { ln_1p(self.rest / term) } else { f64::NAN };
            if log.is_nan() { self.to_f64() - f64::from(self.logit) } else { log }
        })
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
        z_loss(scale, self.to_f64()) as f32
    }

    /// Whether there is no logit but -inf.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.max == f32::NEG_INFINITY
    }

    /// Whether there is no logit at all.
    pub(crate) fn is_of_nothing(self) -> bool {
        self.is_empty() && self.argmax == u32::MAX
    }

    /// The term that is not in the sum, 0 where there is none.
    fn term(self) -> f64 {
        if self.apart == Apart::NOBODY {
            return 0.0;
        }
        self.reference().term(f64::from(self.logit) - f64::from(self.pivot))
    }

    /// The sum of all terms.
    pub(crate) fn sum(self) -> f64 {
        self.rest + self.term()
    }

    /// The sum of all terms but the one of a label with this logit, which is at least what is given: that of the classes
    /// that are here. Without cancellation where the row was read with this label.
    pub(crate) fn beside(self, logit: f32, at_least: f64) -> f64 {
        if self.apart != Apart::NOBODY && self.logit.to_bits() == logit.to_bits() {
            return self.rest;
        }
        let rest = self.sum() - Self { logit, apart: Apart::LABEL, ..self }.term();
        if rest < at_least { at_least } else { rest }
    }

    /// The reference, which the sum is in units of.
    pub(crate) fn reference(self) -> Reference {
        Reference { pivot: self.pivot, exponent: self.exponent }
    }

    /// What one unit of another reference is in units of this one's: exact where the pivots are equal, as they are for
    /// logits within 264 of zero.
    #[expect(clippy::float_cmp, reason = "pivots are the same number or not")]
    pub(crate) fn scale_of(self, other: Reference) -> f64 {
        let exponents = f64::from(other.exponent) - f64::from(self.exponent);
        if other.pivot == self.pivot {
            power_of_two(exponents)
        } else {
            exp(f64::from(other.pivot) - f64::from(self.pivot) + exponents * LN_2)
        }
    }

    /// That of both runs of classes. The order matters to the last bit of the f64 sum. Of two labels the first is kept.
    ///
    /// The class of the largest logit counts from where `self` counts; `other` begins at its own 0.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if other.is_of_nothing() {
            return self;
        }
        if self.is_of_nothing() {
            return other;
        }
        // Where there are only -inf, nothing is known of the reference that the other logits need.
        let other_is_larger =
            !other.is_empty() && (self.is_empty() || self.scale_of(other.reference()) > 1.0);
        let (large, small) = if other_is_larger { (other, self) } else { (self, other) };
        let scaled =
            |sum: f64, from: Self| if sum == 0.0 { 0.0 } else { sum * large.scale_of(from.reference()) };
        // A NaN is above all.
        let above = other.max > self.max || (other.max.is_nan() && !self.max.is_nan());
        let top = if above { other } else { self };
        // A label stays apart, of both parts' or of one; else the largest logit does.
        let of = |apart: u32| match (self.apart == apart, other.apart == apart) {
            (true, true) if apart == Apart::LARGEST => Some((top, if above { self } else { other })),
            (true, _) => Some((self, other)),
            (false, true) => Some((other, self)),
            (false, false) => None,
        };
        let (kept, second) = of(Apart::LABEL).or_else(|| of(Apart::LARGEST)).unwrap_or((self, other));
        Self {
            rest: large.rest + scaled(small.rest, small) + scaled(second.term(), second),
            pivot: large.pivot,
            exponent: large.exponent,
            logit: kept.logit,
            apart: kept.apart,
            max: top.max,
            argmax: top.argmax,
        }
    }
}

/// `scale lse^2`; 0 for no sum at all, and for a scale of 0 unless the log-sum-exp is NaN.
pub(crate) fn z_loss(scale: f64, log_sum_exp: f64) -> f64 {
    if log_sum_exp == f64::NEG_INFINITY { 0.0 } else { weighed(scale, log_sum_exp * log_sum_exp) }
}

/// `weight * value`; 0 for a weight of 0, also where the value is infinite. NaN stays NaN.
#[inline(always)]
pub(crate) fn weighed(weight: f64, value: f64) -> f64 {
    if weight == 0.0 && !value.is_nan() { 0.0 } else { weight * value }
}

/// A value that another program saved. Gradients from it are as good as an f32 holds a log-sum-exp:
/// relative errors of about `6e-8 * |value|`.
impl From<f32> for LogSumExp {
    fn from(value: f32) -> Self {
        if value == f32::NEG_INFINITY {
            return Self::EMPTY;
        }
        Self { pivot: value, rest: TERM_OF_ONE, max: value, ..Self::EMPTY }
    }
}
