//! What a loss takes and keeps per row: upstream factors, saved sums.

use crate::{LogSumExp, Upstream};

/// A factor per row: an upstream gradient times a constant.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) upstream: Upstream<'a>,
    pub(crate) constant: f64,
}

impl Scale<'_> {
    pub(crate) const ONE: Self = Self { upstream: Upstream::Uniform(1.0), constant: 1.0 };

    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> f64 {
        self.constant * f64::from(self.upstream.of(row))
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.upstream.split_at(row);
        (Self { upstream: first, ..self }, Self { upstream: rest, ..self })
    }
}

/// The log-sum-exp of each row: not wanted, wanted, or known.
pub(crate) enum Sums<'a> {
    Discard,
    Save(&'a mut [LogSumExp]),
    Saved(&'a [LogSumExp]),
}

impl Sums<'_> {
    /// How many there are, if any are wanted or known.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Discard => None,
            Self::Save(sums) => Some(sums.len()),
            Self::Saved(sums) => Some(sums.len()),
        }
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Discard => (Self::Discard, Self::Discard),
            Self::Save(sums) => {
                let (first, rest) = sums.split_at_mut(row);
                (Self::Save(first), Self::Save(rest))
            }
            Self::Saved(sums) => {
                let (first, rest) = sums.split_at(row);
                (Self::Saved(first), Self::Saved(rest))
            }
        }
    }

    /// The sum of a row, if it is known.
    #[inline(always)]
    pub(crate) fn saved(&self, row: usize) -> Option<LogSumExp> {
        match self {
            Self::Saved(sums) => Some(sums[row]),
            Self::Discard | Self::Save(_) => None,
        }
    }

    /// Keeps the sum of a row, if it is wanted.
    #[inline(always)]
    pub(crate) fn save(&mut self, row: usize, sum: LogSumExp) {
        if let Self::Save(sums) = self {
            sums[row] = sum;
        }
    }
}
