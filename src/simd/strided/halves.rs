//! What there is of a view that may be of 16 bits.

use super::{Columns, Strided, StridedMut, first_of_tile};
use crate::simd::LANES;
use crate::simd::half::{Element, Half, Line};

impl<'a> Strided<'a> {
    /// The type of the values, where rows are slices of such.
    #[inline(always)]
    pub(crate) fn half_slices(&self) -> Option<Half> {
        match self.element {
            Element::Half(half) if self.layout.class_step == 1 => Some(half),
            _ => None,
        }
    }

    /// A row of any type whose classes follow each other.
    #[inline(always)]
    pub(crate) fn line(&self, row: usize) -> Line<'a> {
        let Element::Half(half) = self.element else { return Line::F32(self.row(row)) };
        assert!(row < self.layout.rows && self.layout.class_step == 1, "no row of the view");
        // SAFETY: the row exists; all of it is the view's, and of a type that has the bits of this one.
        Line::Half(half, unsafe { core::slice::from_raw_parts(self.at(row, 0), self.layout.classes) })
    }

    /// Sixteen rows of halves that follow each other without a gap, as their bits; `None` where they do not.
    #[inline(always)]
    pub(crate) fn half_tile(&self, rows: &[usize; LANES]) -> Option<(Half, &'a [u16])> {
        let (half, len) = (self.half_slices()?, LANES * self.layout.classes);
        first_of_tile(&self.layout, rows).filter(|_| self.layout.stride == self.layout.classes)?;
        // SAFETY: all of these rows are the view's, and have 16 bits each, any of which are a number.
        Some((half, unsafe { core::slice::from_raw_parts(self.at(rows[0], 0), len) }))
    }

    /// As [`columns`](Self::columns), of halves.
    #[inline(always)]
    pub(crate) fn half_columns(&self, rows: &[usize; LANES], len: usize) -> Option<(Half, Columns<'a, u16>)> {
        let Element::Half(half) = self.element else { return None };
        // SAFETY: these have 16 bits, any of which are a number.
        Some((half, unsafe { self.columns_of(rows, len) }?))
    }
}

impl StridedMut<'_> {
    /// As [`Strided::half_slices`], to be written.
    #[inline(always)]
    pub(crate) fn half_slices(&self) -> Option<Half> {
        self.share().half_slices()
    }

    /// A row of halves whose classes follow each other, as their bits.
    #[inline(always)]
    pub(crate) fn half_row_mut(&mut self, row: usize) -> Option<(Half, &mut [u16])> {
        let half = self.half_slices()?;
        // SAFETY: all of the row is the view's, has 16 bits each, any of which are a number, and is nobody else's while
        // `self` is borrowed.
        Some((half, unsafe { core::slice::from_raw_parts_mut(self.at(row, 0), self.layout.classes) }))
    }

    /// As [`Strided::half_tile`].
    #[inline(always)]
    pub(crate) fn half_tile_mut(&mut self, rows: &[usize; LANES]) -> Option<(Half, &mut [u16])> {
        let (half, len) = (self.half_slices()?, LANES * self.layout.classes);
        first_of_tile(&self.layout, rows).filter(|_| self.layout.stride == self.layout.classes)?;
        // SAFETY: as there, and nobody else's while `self` is borrowed.
        Some((half, unsafe { core::slice::from_raw_parts_mut(self.at(rows[0], 0), len) }))
    }

    /// As [`column_mut`](Self::column_mut), of halves.
    #[inline(always)]
    pub(crate) fn half_column_mut(&mut self, row: usize, class: usize) -> Option<(Half, &mut [u16; LANES])> {
        let Element::Half(half) = self.element else { return None };
        // SAFETY: these have 16 bits, any of which are a number.
        Some((half, unsafe { self.column_of(row, class) }))
    }
}
