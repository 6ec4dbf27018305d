//! Rows of which each shard has some classes: what is known of them, and how that is put together.
//!
//! The reference of a sum is not kept: it is the one that ordinary rows share, or the one of the largest logit.

use super::exp::Reference;
use super::log_sum_exp::{Apart, LogSumExp};
use crate::simd::PartialRow;

/// Whether the reference is the one that ordinary rows share.
const TAME: u32 = 1 << 30;
/// Whether the label is here.
const LABEL: u32 = 1 << 31;
/// The bits of the number of classes that take part.
const COUNT: u32 = TAME - 1;

impl PartialRow {
    /// The most classes that all shards can have together: about a thousand million.
    pub const MAX_CLASSES: usize = COUNT as usize;

    /// Of no classes: what a rank without any sends, and what an ignored row has. It changes nothing that it is merged with.
    pub const EMPTY: Self = Self {
        rest: 0.0,
        distance: 0.0,
        logit: f32::NEG_INFINITY,
        max: f32::NEG_INFINITY,
        argmax: u32::MAX,
        flags: TAME,
    };

    /// That of classes that have been read, and of which so many take part, `distance` below the largest logit.
    pub(crate) fn new(sum: LogSumExp, taking_part: u32, distance: f64) -> Self {
        let LogSumExp { rest, logit, max, argmax, apart, .. } = sum;
        let tame = if sum.reference() == Reference::TAME { TAME } else { 0 };
        let label = if apart == Apart::LABEL { LABEL } else { 0 };
        Self { rest, distance, logit, max, argmax, flags: tame | label | taking_part.min(COUNT) }
    }

    /// That of both runs of classes, `other` following: the label's logit is that of the first that has one.
    ///
    /// Merge the parts of a row in the order of their classes, which is that of ranks: on each machine the same additions then
    /// give the same bits.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if other.is_of_nothing() {
            return self;
        }
        if self.is_of_nothing() {
            return other;
        }
        // As almost all parts are: against the common reference, and with one label at most.
        let merged = if self.flags & other.flags & TAME != 0 && self.flags & other.flags & LABEL == 0 {
            self.plus(other)
        } else {
            Self::new(self.log_sum_exp().merge(other.log_sum_exp()), 0, 0.0)
        };
        let counts = [self.flags & COUNT, other.flags & COUNT];
        if counts == [0, 0] {
            return merged;
        }
        let of = |part: Self| match part.taking_part() {
            0.0 => 0.0,
            count => part.distance + count * (f64::from(merged.max) - f64::from(part.max)),
        };
        let flags = merged.flags | (counts[0] + counts[1]).min(COUNT);
        Self { flags, distance: of(self) + of(other), ..merged }
    }

    /// [`LogSumExp::merge`] of parts of one reference, without what is counted.
    fn plus(self, other: Self) -> Self {
        // A NaN is above all.
        let above = other.max > self.max || (other.max.is_nan() && !self.max.is_nan());
        let (top, label) = (if above { other } else { self }, if other.has_label() { other } else { self });
        let flags = (self.flags | other.flags) & !COUNT;
        let rest = self.rest + other.rest;
        Self { rest, distance: 0.0, logit: label.logit, max: top.max, argmax: top.argmax, flags }
    }

    /// The log-sum-exp of the classes that are merged.
    #[must_use]
    pub fn log_sum_exp(self) -> LogSumExp {
        let Self { rest, logit, max, argmax, .. } = self;
        let Reference { pivot, exponent } = self.reference();
        let apart = if self.has_label() { Apart::LABEL } else { Apart::NOBODY };
        LogSumExp { rest, pivot, exponent, logit, apart, max, argmax }
    }

    /// The largest logit and its class, counted from the first class of the first shard: the prediction. `None` where there is
    /// no class. A NaN counts as the largest; a scale, a soft cap and masks have been applied.
    #[must_use]
    pub const fn largest(self) -> Option<(f32, usize)> {
        if self.argmax == u32::MAX { None } else { Some((self.max, self.argmax as usize)) }
    }

    /// Whether the label is one of these classes.
    #[must_use]
    pub const fn has_label(self) -> bool {
        self.flags & LABEL != 0
    }

    /// Whether there is no class.
    pub(crate) const fn is_of_nothing(self) -> bool {
        self.argmax == u32::MAX && self.max == f32::NEG_INFINITY
    }

    /// How many classes take part, where labels are smoothed.
    pub(crate) fn taking_part(self) -> f64 {
        f64::from(self.flags & COUNT)
    }

    pub(crate) fn reference(self) -> Reference {
        if self.flags & TAME != 0 { Reference::TAME } else { Reference::for_max(self.max) }
    }
}
