//! What a loss takes and keeps per row: upstream factors, saved sums.

use super::ends::Ends;
use super::operation::Row;
use crate::{LogSumExp, Upstream};

/// A factor per row: an upstream gradient times a constant.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) upstream: Upstream<'a>,
    pub(crate) constant: f64,
}

impl Scale<'_> {
    pub(crate) const ONE: Self = Self { upstream: Upstream::Uniform(1.0), constant: 1.0 };

    /// The factors times a number.
    pub(crate) fn times(self, number: f64) -> Self {
        Self { constant: self.constant * number, ..self }
    }

    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> f64 {
        self.constant * f64::from(self.upstream.of(row))
    }

    /// The factors of up to `N` rows.
    #[inline(always)]
    pub(crate) fn of_all<const N: usize>(&self, rows: &[Row]) -> [f64; N] {
        let mut all = [1.0; N];
        for (to, row) in all.iter_mut().zip(rows) {
            *to = self.of(row.index);
        }
        all
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

    /// Keeps the sums of rows, or takes those that are known in their place.
    #[inline(always)]
    pub(crate) fn exchange<const N: usize>(&mut self, rows: &[Row], ends: &mut Ends<N>) {
        match self {
            Self::Discard => {}
            Self::Save(sums) => {
                for (i, row) in rows.iter().enumerate() {
                    sums[row.index] = ends.partial(i);
                }
            }
            Self::Saved(sums) => {
                for (i, row) in rows.iter().enumerate() {
                    ends.set_sum(i, sums[row.index]);
                }
            }
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

/// Writes what there is one of for a row that takes no part: a loss of 0, and no sum.
pub(super) fn leave_out(losses: &mut [f32], sums: &mut Sums<'_>, row: usize) {
    if let Some(to) = losses.get_mut(row) {
        *to = 0.0;
    }
    sums.save(row, LogSumExp::EMPTY);
}
