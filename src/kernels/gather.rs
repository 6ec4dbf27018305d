//! Rows whose classes do not follow each other, to and from rows whose do.

use super::Kernel;
use super::group::Group;
use crate::simd::half::{Line, narrow, narrow_lanes, widen, widen_lanes};
use crate::simd::strided::{Strided, StridedMut};
use crate::simd::tile::{TileRows, TileRowsMut};
use crate::simd::{LANES, Simd};

/// Asks for what follows a column of sixteen rows: the next sixteen will want it, and each column lies in a page of its
/// own, where no processor looks ahead.
#[inline(always)]
pub(super) fn ask_for_next<S: Simd, T>(simd: S, column: &[T; LANES]) {
    simd.prefetch(column.as_ptr().wrapping_add(LANES));
}

/// Copies the rows of a group to lines that are `stride` apart.
pub(crate) struct Gather<'a> {
    pub(crate) from: Strided<'a>,
    pub(crate) group: &'a Group,
    pub(crate) to: &'a mut [f32],
    pub(crate) stride: usize,
}

/// Copies a row, as f32.
pub(crate) struct Copy<'a> {
    pub(crate) line: Line<'a>,
    pub(crate) to: &'a mut [f32],
}

impl Kernel for Copy<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        match self.line {
            Line::F32(values) => self.to.copy_from_slice(values),
            Line::Half(half, bits) => widen(simd, half, bits, self.to),
        }
    }
}

/// Classes that are turned at once.
const TURN: usize = 64;

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { from, group, to, stride } = self;
        let classes = from.layout().classes;
        if from.are_slices() {
            for (row, to) in group.rows[..group.len].iter().zip(to.chunks_mut(stride)) {
                to[..classes].copy_from_slice(from.row(*row));
            }
        } else if from.half_slices().is_some() {
            for (row, to) in group.rows[..group.len].iter().zip(to.chunks_mut(stride)) {
                from.line(*row).block(simd, 0, classes, to);
            }
        } else if let Some((half, mut columns)) = from.half_columns(&group.rows, group.len) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                for (to, column) in tile[..len].iter_mut().zip(&mut columns) {
                    widen_lanes(simd, half, column, to);
                    ask_for_next(simd, column);
                }
                simd.turn_out(&tile[..len], &mut TileRowsMut::of_lines(to, stride, start, len));
            }
        } else if let Some(mut columns) = from.columns(&group.rows, group.len) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                for (to, column) in tile[..len].iter_mut().zip(&mut columns) {
                    *to = *column;
                    ask_for_next(simd, column);
                }
                simd.turn_out(&tile[..len], &mut TileRowsMut::of_lines(to, stride, start, len));
            }
        } else {
            for (row, to) in group.rows[..group.len].iter().zip(to.chunks_mut(stride)) {
                for (class, to) in to[..classes].iter_mut().enumerate() {
                    *to = from.get(*row, class);
                }
            }
        }
    }
}

/// Copies lines back to the rows of a group.
pub(crate) struct Scatter<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) group: &'a Group,
    pub(crate) to: StridedMut<'a>,
}

impl Kernel for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { from, stride, group, mut to } = self;
        let classes = to.layout().classes;
        let lines = from.chunks(stride);
        if to.are_slices() {
            for (row, from) in group.rows[..group.len].iter().zip(lines) {
                to.row_mut(*row).copy_from_slice(&from[..classes]);
            }
        } else if to.half_slices().is_some() {
            for (row, from) in group.rows[..group.len].iter().zip(lines) {
                if let Some((half, to)) = to.half_row_mut(*row) {
                    narrow(simd, half, &from[..classes], to);
                }
            }
        } else if let Some((half, mut columns)) = to.half_columns_mut(&group.rows, group.len) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                simd.turn_in(&TileRows::of_lines(from, stride, start, len), &mut tile[..len]);
                for (from, column) in tile[..len].iter().zip(&mut columns) {
                    narrow_lanes(simd, half, from, column);
                    ask_for_next(simd, column);
                }
            }
        } else if let Some(mut columns) = to.columns_mut(&group.rows, group.len) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                simd.turn_in(&TileRows::of_lines(from, stride, start, len), &mut tile[..len]);
                for (from, column) in tile[..len].iter().zip(&mut columns) {
                    *column = *from;
                    ask_for_next(simd, column);
                }
            }
        } else {
            for (row, from) in group.rows[..group.len].iter().zip(lines) {
                for (class, from) in from[..classes].iter().enumerate() {
                    to.set(*row, class, *from);
                }
            }
        }
    }
}
