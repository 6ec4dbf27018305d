//! Labels that were validated, with those that stand for no class.

use super::{IGNORED, Ignored, Labels};
use crate::Error;
use crate::simd::LANES;

/// Labels that have been validated, and those that mark a row as ignored.
#[derive(Clone, Copy)]
pub(crate) struct RowLabels<'a> {
    labels: Labels<'a>,
    ignored: Ignored<'a>,
    /// How many rows of all are not ignored.
    used: usize,
    /// The classes at hand: the first, and the one after the last.
    at_hand: (usize, usize),
}

/// Added to classes that are not at hand: far from any that is, and from what stands for none.
pub(crate) const ELSEWHERE: usize = usize::MAX - usize::MAX / 2;

impl<'a> RowLabels<'a> {
    #[inline]
    pub(crate) fn new(
        labels: Labels<'a>,
        rows: usize,
        classes: usize,
        ignored: Ignored<'a>,
    ) -> Result<Self, Error> {
        labels.validate(rows, classes, ignored)?;
        // Where no label is one that would be ignored, as is usual, rows need not be chosen one by one.
        let used = labels.used(ignored);
        let ignored = if used == labels.len() { Ignored::None } else { ignored };
        Ok(Self { labels, ignored, used, at_hand: (0, usize::MAX) })
    }

    /// The same labels, where only the classes from `first` to `end` are at hand.
    pub(crate) fn of_shard(self, first: usize, end: usize) -> Self {
        Self { at_hand: (first, end), ..self }
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.labels.split_at(row);
        (Self { labels: first, ..self }, Self { labels: rest, ..self })
    }

    /// The classes of rows from `first` on, counted from the first at hand; `IGNORED` for rows that are, and those that are not
    /// at hand with [`ELSEWHERE`] added.
    #[inline(always)]
    pub(crate) fn classes(&self, first: usize, to: &mut [usize]) {
        self.labels.classes(first, self.ignored, to);
        let (start, end) = self.at_hand;
        if (start, end) != (0, usize::MAX) {
            for class in to.iter_mut().filter(|class| **class != IGNORED) {
                *class = if (start..end).contains(class) { *class - start } else { *class + ELSEWHERE };
            }
        }
    }

    /// Whether rows can be ignored because of their labels.
    pub(crate) fn may_ignore(&self) -> bool {
        self.ignored != Ignored::None
    }

    /// The number of rows of the whole call that are not ignored.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Whether a row is not ignored.
    pub(crate) fn is_used(&self, row: usize) -> bool {
        self.labels.get(row).is_some_and(|label| !self.ignored.holds(label))
    }

    /// The rows that are not ignored, with their classes.
    pub(crate) fn used_rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.labels.len();
        (0..rows).step_by(LANES).flat_map(move |first| {
            let mut classes = [IGNORED; LANES];
            self.labels.classes(first, self.ignored, &mut classes[..LANES.min(rows - first)]);
            (first..).zip(classes).filter(|(_, class)| *class != IGNORED)
        })
    }
}
