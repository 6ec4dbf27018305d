//! Where an operation reads its logits and writes its results, for a block of rows.

use super::epilogue::{Epilogue, Nothing, Shares, SharesAndLabels};
use super::flow::{Flow, Move, Read, Update};
use super::loaded::Buffers;
use super::operation::Row;
use super::tile::turn;
use crate::element::Element;
use crate::simd::{LANES, Simd};
use crate::{Rows, RowsMut};

/// The logits of some rows, with the place of their results.
pub(crate) trait Place: Send + Sized {
    type Element: Element;
    type Flow<'a>: Flow<Element = Self::Element>
    where
        Self: 'a;

    /// Whether results are written at all.
    const WRITES: bool;
    /// Whether rows must be [`load`](Self::load)ed before they are read.
    const LOADS: bool = false;
    /// What becomes of terms: their shares, or nothing.
    type Shares: Epilogue;
    type SharesAndLabels: Epilogue;

    fn rows(&self) -> usize;
    fn classes(&self) -> usize;
    /// How far apart rows of logits are.
    fn stride(&self) -> usize;
    fn split_at(self, row: usize) -> (Self, Self);
    /// Takes the memory for rows that are loaded, or gives it back.
    fn exchange(&mut self, _buffers: &mut Buffers) {}
    /// A row close to `near` where rows must be cut so that all lie at one stride.
    fn seam(&self, near: usize) -> Option<usize>;
    /// Whether a tile needs no rows to be [`load`](Self::load)ed.
    #[inline(always)]
    fn is_direct(&self) -> bool {
        !Self::LOADS
    }
    /// How many rows should be loaded at once.
    #[inline(always)]
    fn group(&self) -> usize {
        1
    }
    /// Makes a group of rows that can be read, the first of which is not before `first`.
    #[inline(always)]
    fn load<S: Simd>(&mut self, _simd: S, _first: usize, _rows: &[Row]) {}
    /// Does what must be done to the results of a group of rows, which have been a tile or not.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, _simd: S, _rows: &[Row], _tiled: bool) {}
    /// Makes all results of a row 0, whether it is one of a group or not.
    fn clear(&mut self, row: usize) {
        self.results(row).fill(0.0);
    }
    /// Puts the logits of up to sixteen rows into the lanes of one vector for each class.
    #[inline(always)]
    fn to_lanes<S: Simd>(
        &self,
        simd: S,
        rows: &[Row],
        squares: &mut [[f32; LANES]],
        to: &mut [[f32; LANES]],
    ) {
        turn(simd, self.classes(), rows, self.logits_from(rows[0].index), self.stride(), squares, to);
    }
    /// Writes results from such lanes, where no rows need be made of them.
    #[inline(always)]
    fn store_lanes<S: Simd>(&mut self, _simd: S, _from: &[[f32; LANES]], _rows: &[Row]) -> bool {
        false
    }
    #[inline(always)]
    fn flow(&mut self, row: usize) -> Self::Flow<'_> {
        self.flow_before(row, None).0
    }
    /// A row, and the logits of another one.
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Self::Flow<'_>, &[Self::Element]);
    fn logits(&self, row: usize) -> &[Self::Element];
    /// The memory from a row on, of which only rows of the place mean anything.
    fn logits_from(&self, row: usize) -> &[Self::Element];
    /// Writes part of a row, as [`RowsMut::write`] does.
    fn write<S: Simd>(&mut self, simd: S, row: usize, start: usize, following: usize, values: &[f32; LANES]);
    /// The results of a row; empty where none are written.
    fn results(&mut self, row: usize) -> &mut [f32];
    /// The results of a row, shared.
    fn written(&self, row: usize) -> &[f32];
}

/// Dense labels of some rows.
#[derive(Clone, Copy)]
pub(crate) struct LabelRows<'a> {
    data: &'a [f32],
    stride: usize,
    classes: usize,
    /// The first of the rows.
    first: usize,
}

impl<'a> LabelRows<'a> {
    /// Of rows from `first` on, one after the other.
    #[inline(always)]
    pub(crate) fn new(data: &'a [f32], classes: usize, first: usize) -> Self {
        Self { data, stride: classes, classes, first }
    }

    /// All of a view, which has rows.
    #[inline(always)]
    pub(crate) fn of(rows: &Rows<'a>) -> Self {
        Self { data: rows.tail_at(0), stride: rows.stride(), classes: rows.classes(), first: 0 }
    }

    #[inline(always)]
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    pub(crate) fn row_at(&self, row: usize) -> &'a [f32] {
        &self.tail_at(row)[..self.classes]
    }

    /// The memory from a row on.
    #[inline(always)]
    pub(crate) fn tail_at(&self, row: usize) -> &'a [f32] {
        &self.data[(row - self.first) * self.stride..]
    }
}

/// A row's logits, none for no row.
#[inline(always)]
fn logits_of<'a, E: Element>(rows: &Rows<'a, E>, row: Option<usize>) -> &'a [E] {
    match row {
        Some(row) => rows.row_at(row),
        None => &[],
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

    type Shares = Nothing;
    type SharesAndLabels = Nothing;

    const WRITES: bool = false;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn stride(&self) -> usize {
        self.0.stride()
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.0.seam(near)
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Read<'_, E>, &[E]) {
        (Read(self.0.row_at(row)), logits_of(&self.0, other))
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[E] {
        self.0.row_at(row)
    }

    #[inline(always)]
    fn logits_from(&self, row: usize) -> &[E] {
        self.0.tail_at(row)
    }

    #[inline(always)]
    fn write<S: Simd>(
        &mut self,
        _simd: S,
        _row: usize,
        _start: usize,
        _following: usize,
        _values: &[f32; LANES],
    ) {
    }

    #[inline(always)]
    fn results(&mut self, _row: usize) -> &mut [f32] {
        &mut []
    }

    #[inline(always)]
    fn written(&self, _row: usize) -> &[f32] {
        &[]
    }
}

impl<E: Element> Place for OutOfPlace<'_, E> {
    type Element = E;
    type Flow<'b>
        = Move<'b, E>
    where
        Self: 'b;

    type Shares = Shares;
    type SharesAndLabels = SharesAndLabels;

    const WRITES: bool = true;

    fn rows(&self) -> usize {
        self.logits.rows()
    }

    fn classes(&self) -> usize {
        self.logits.classes()
    }

    fn stride(&self) -> usize {
        self.logits.stride()
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.logits.seam(near).or_else(|| self.results.seam(near))
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (logits, rest) = self.logits.split_at(row);
        let (results, other) = self.results.split_at(row);
        (Self { logits, results }, Self { logits: rest, results: other })
    }

    #[inline(always)]
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Move<'_, E>, &[E]) {
        (Move(self.logits.row_at(row), self.results.row_at_mut(row)), logits_of(&self.logits, other))
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[E] {
        self.logits.row_at(row)
    }

    #[inline(always)]
    fn logits_from(&self, row: usize) -> &[E] {
        self.logits.tail_at(row)
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, row: usize, start: usize, following: usize, values: &[f32; LANES]) {
        self.results.write(simd, row, start, following, values);
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        self.results.row_at_mut(row)
    }

    #[inline(always)]
    fn written(&self, row: usize) -> &[f32] {
        self.results.row_at(row)
    }
}

impl Place for InPlace<'_> {
    type Element = f32;
    type Flow<'b>
        = Update<'b>
    where
        Self: 'b;

    type Shares = Shares;
    type SharesAndLabels = SharesAndLabels;

    const WRITES: bool = true;

    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn stride(&self) -> usize {
        self.0.stride()
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.0.seam(near)
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    #[inline(always)]
    fn flow_before(&mut self, row: usize, other: Option<usize>) -> (Update<'_>, &[f32]) {
        let (row, other) = self.0.two_rows(row, other);
        (Update(row), other)
    }

    #[inline(always)]
    fn logits(&self, row: usize) -> &[f32] {
        self.0.row_at(row)
    }

    #[inline(always)]
    fn logits_from(&self, row: usize) -> &[f32] {
        self.0.tail_at(row)
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, row: usize, start: usize, following: usize, values: &[f32; LANES]) {
        self.0.write(simd, row, start, following, values);
    }

    #[inline(always)]
    fn results(&mut self, row: usize) -> &mut [f32] {
        self.0.row_at_mut(row)
    }

    #[inline(always)]
    fn written(&self, row: usize) -> &[f32] {
        self.0.row_at(row)
    }
}
