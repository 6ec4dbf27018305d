//! Where an operation reads its logits and writes its results, for a block of rows.

use super::flow::{Flow, Move, Read, Update};
use crate::element::Element;
use crate::{Rows, RowsMut};

/// The logits of some rows, with the place of their results.
pub(crate) trait Place: Send + Sized {
    type Element: Element;
    type Flow<'a>: Flow<Element = Self::Element>
    where
        Self: 'a;

    /// Whether results are written at all.
    const WRITES: bool;

    fn rows(&self) -> usize;
    fn classes(&self) -> usize;
    fn split_at(self, row: usize) -> (Self, Self);
    fn flow(&mut self, row: usize) -> Self::Flow<'_>;
    fn logits(&self, row: usize) -> &[Self::Element];
    /// The results of a row; empty where none are written.
    fn results(&mut self, row: usize) -> &mut [f32];
    /// What is left of the row once its terms have been written.
    fn source(&self, row: usize) -> Source<'_, Self::Element>;
}

/// What a sum can be taken from again.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a, E> {
    Logits(&'a [E]),
    Terms(&'a [f32]),
}

impl<E: Element> Source<'_, E> {
    #[inline(always)]
    pub(crate) fn classes(self) -> usize {
        match self {
            Self::Logits(row) => row.len(),
            Self::Terms(row) => row.len(),
        }
    }
}

/// Logits alone.
pub(crate) struct ReadOnly<'a, E: Element>(pub(crate) Rows<'a, E>);

/// Logits, and results of the same shape elsewhere.
pub(crate) struct OutOfPlace<'a, E: Element> {
    pub(crate) logits: Rows<'a, E>,
    pub(crate) results: RowsMut<'a>,
}

/// Logits that the results overwrite.
pub(crate) struct InPlace<'a>(pub(crate) RowsMut<'a>);

impl<E: Element> Place for ReadOnly<'_, E> {
    type Element = E;
    type Flow<'b>
        = Read<'b, E>
    where
        Self: 'b;

    const WRITES: bool = false;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn flow(&mut self, row: usize) -> Read<'_, E> {
        Read(self.0.row_at(row))
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[E] {
        self.0.row_at(row)
    }

    #[inline(always)]
    fn results(&mut self, _row: usize) -> &mut [f32] {
        &mut []
    }

    #[inline(always)]
    fn source(&self, row: usize) -> Source<'_, E> {
        Source::Logits(self.0.row_at(row))
    }
}

impl<E: Element> Place for OutOfPlace<'_, E> {
    type Element = E;
    type Flow<'b>
        = Move<'b, E>
    where
        Self: 'b;

    const WRITES: bool = true;

    fn rows(&self) -> usize {
        self.logits.rows()
    }

    fn classes(&self) -> usize {
        self.logits.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, rest) = self.logits.split_at(row);
        let (results, other) = self.results.split_at(row);
        (Self { logits, results }, Self { logits: rest, results: other })
    }

    #[inline(always)]
    fn flow(&mut self, row: usize) -> Move<'_, E> {
        Move(self.logits.row_at(row), self.results.row_at_mut(row))
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[E] {
        self.logits.row_at(row)
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        self.results.row_at_mut(row)
    }

    #[inline(always)]
    fn source(&self, row: usize) -> Source<'_, E> {
        Source::Logits(self.logits.row_at(row))
    }
}

impl Place for InPlace<'_> {
    type Element = f32;
    type Flow<'b>
        = Update<'b>
    where
        Self: 'b;

    const WRITES: bool = true;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn flow(&mut self, row: usize) -> Update<'_> {
        Update(self.0.row_at_mut(row))
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[f32] {
        self.0.row_at(row)
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        self.0.row_at_mut(row)
    }

    #[inline(always)]
    fn source(&self, row: usize) -> Source<'_, f32> {
        Source::Terms(self.0.row_at(row))
    }
}
