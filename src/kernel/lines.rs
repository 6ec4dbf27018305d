//! Rows of any layout, a group at a time as slices.

use super::across::{from_lanes, gather, make_room, scatter};
use super::epilogue::{Epilogue, Nothing, Shares, SharesAndLabels};
use super::operation::Row;
use crate::simd::strided::{Strided, StridedMut};
use crate::simd::{LANES, Simd};

/// Rows that are read. Those whose classes do not follow each other are copied.
pub(crate) struct Lines<'a> {
    from: Strided<'a, f32>,
    copies: Vec<f32>,
    /// The first row of the group.
    first: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(from: Strided<'a, f32>) -> Self {
        Self { from, copies: Vec::new(), first: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.from.layout().rows
    }

    pub(crate) fn classes(&self) -> usize {
        self.from.layout().classes
    }

    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        self.from.layout().seam(near)
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        (Self::new(self.from.part(0, row)), Self::new(self.from.part(row, self.rows() - row)))
    }

    /// Takes the memory for copies, or gives it back.
    pub(crate) fn exchange(&mut self, copies: &mut Vec<f32>) {
        core::mem::swap(&mut self.copies, copies);
    }

    fn are_slices(&self) -> bool {
        self.from.layout().class_stride == 1
    }

    /// Makes a group of rows that can be read, the first of which is not before `first`.
    #[inline(always)]
    pub(crate) fn load<S: Simd>(&mut self, simd: S, first: usize, rows: &[Row]) {
        let Some(last) = rows.last() else { return };
        if self.are_slices() {
            return;
        }
        self.first = first;
        let classes = self.classes();
        make_room(&mut self.copies, (last.index - first + 1) * classes);
        simd.outline(
            #[inline(always)]
            || gather(simd, &self.from, first, rows, &mut self.copies),
        );
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        if self.are_slices() {
            return self.from.row(row);
        }
        &self.copies[(row - self.first) * self.classes()..][..self.classes()]
    }
}

/// Rows that results are written to. Those whose classes do not follow each other are written elsewhere first.
pub(crate) struct LinesMut<'a> {
    to: StridedMut<'a>,
    copies: Vec<f32>,
    /// The first row of the group.
    first: usize,
}

impl<'a> LinesMut<'a> {
    pub(crate) fn new(to: StridedMut<'a>) -> Self {
        Self { to, copies: Vec::new(), first: 0 }
    }

    pub(crate) fn seam(&self, near: usize) -> Option<usize> {
        self.to.layout().seam(near)
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.to.split_at(row);
        (Self::new(first), Self::new(rest))
    }

    /// Takes the memory for copies, or gives it back.
    pub(crate) fn exchange(&mut self, copies: &mut Vec<f32>) {
        core::mem::swap(&mut self.copies, copies);
    }

    pub(crate) fn values(&self) -> Strided<'_, f32> {
        self.to.share()
    }

    pub(crate) fn are_slices(&self) -> bool {
        self.to.layout().class_stride == 1
    }

    /// Makes room for a group of rows, none of which is before `first`.
    #[inline(always)]
    pub(crate) fn load(&mut self, first: usize, rows: &[Row]) {
        let Some(last) = rows.last() else { return };
        self.first = first;
        if !self.are_slices() {
            make_room(&mut self.copies, (last.index - first + 1) * self.to.layout().classes);
        }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        let classes = self.to.layout().classes;
        if self.are_slices() {
            let start = self.to.share();
            return start.row(row);
        }
        &self.copies[(row - self.first) * classes..][..classes]
    }

    #[inline(always)]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let classes = self.to.layout().classes;
        if self.are_slices() {
            return self.to.row_mut(row);
        }
        &mut self.copies[(row - self.first) * classes..][..classes]
    }

    /// Writes part of a row, as [`StridedMut::write`] does.
    #[inline(always)]
    pub(crate) fn write<S: Simd>(
        &mut self,
        simd: S,
        row: usize,
        start: usize,
        following: usize,
        values: &[f32; LANES],
    ) {
        if self.are_slices() {
            return self.to.write(simd, row, start, following, values);
        }
        let results = &mut self.row_mut(row)[start..];
        let len = results.len().min(LANES);
        results[..len].copy_from_slice(&values[..len]);
    }

    /// Fills a row, whether it is one of the group or not.
    pub(crate) fn fill(&mut self, row: usize, value: f32) {
        if self.are_slices() {
            return self.to.row_mut(row).fill(value);
        }
        for class in 0..self.to.layout().classes {
            self.to.set(row, class, value);
        }
    }

    /// Writes a group of rows where they belong.
    #[inline(always)]
    pub(crate) fn store<S: Simd>(&mut self, simd: S, rows: &[Row]) {
        if self.are_slices() {
            return;
        }
        simd.outline(
            #[inline(always)]
            || scatter(simd, &self.copies, self.first, rows, &mut self.to),
        );
    }

    /// Writes a group of rows that are in the lanes.
    #[inline(always)]
    pub(crate) fn store_lanes<S: Simd>(&mut self, simd: S, from: &[[f32; LANES]], rows: &[Row]) {
        simd.outline(
            #[inline(always)]
            || from_lanes(simd, from, &mut self.to, rows, 0),
        );
    }
}

/// Whether there are results, and where.
pub(crate) trait Results<'a>: Send + Sized {
    const WRITES: bool;
    type Shares: Epilogue;
    type SharesAndLabels: Epilogue;

    fn split_at(self, row: usize) -> (Self, Self);
    fn lines(&self) -> Option<&LinesMut<'a>>;
    fn lines_mut(&mut self) -> Option<&mut LinesMut<'a>>;
}

/// No results.
pub(crate) struct Nowhere;

impl<'a> Results<'a> for Nowhere {
    const WRITES: bool = false;
    type Shares = Nothing;
    type SharesAndLabels = Nothing;

    fn split_at(self, _row: usize) -> (Self, Self) {
        (Self, Self)
    }

    #[inline(always)]
    fn lines(&self) -> Option<&LinesMut<'a>> {
        None
    }

    #[inline(always)]
    fn lines_mut(&mut self) -> Option<&mut LinesMut<'a>> {
        None
    }
}

impl<'a> Results<'a> for LinesMut<'a> {
    const WRITES: bool = true;
    type Shares = Shares;
    type SharesAndLabels = SharesAndLabels;

    fn split_at(self, row: usize) -> (Self, Self) {
        Self::split_at(self, row)
    }

    #[inline(always)]
    fn lines(&self) -> Option<&LinesMut<'a>> {
        Some(self)
    }

    #[inline(always)]
    fn lines_mut(&mut self) -> Option<&mut LinesMut<'a>> {
        Some(self)
    }
}
