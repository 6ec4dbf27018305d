//! Rows whose classes do not follow each other, to and from rows whose do.

use super::Kernel;
use super::group::Group;
use super::map::{Mask, copy_kept};
use crate::simd::half::{Half, Line, narrow, narrow_lanes, widen, widen_lanes};
use crate::simd::strided::{Columns, Strided, StridedMut};
use crate::simd::tile::{TileRows, TileRowsMut};
use crate::simd::{LANES, Simd};

/// Sixteen rows that are neighbours in memory, of any type.
pub(super) enum AnyColumns<'a> {
    F32(Columns<'a, f32>),
    Half(Half, Columns<'a, u16>),
}

impl<'a> AnyColumns<'a> {
    /// The rows of a group, if they are neighbours.
    #[inline(always)]
    pub(super) fn of(from: &Strided<'a>, group: &Group) -> Option<Self> {
        if let Some(columns) = from.columns(&group.rows, group.len) {
            return Some(Self::F32(columns));
        }
        from.half_columns(&group.rows, group.len).map(|(half, columns)| Self::Half(half, columns))
    }

    /// One class, as f32; asks for what lies so many values further.
    #[inline(always)]
    pub(super) fn load<S: Simd>(&self, simd: S, class: usize, to: &mut [f32; LANES], ahead: usize) {
        match self {
            Self::F32(columns) => {
                let column = columns.at(class);
                simd.prefetch(column.as_ptr().wrapping_add(ahead));
                *to = *column;
            }
            Self::Half(half, columns) => {
                let column = columns.at(class);
                simd.prefetch(column.as_ptr().wrapping_add(ahead));
                widen_lanes(simd, *half, column, to);
            }
        }
    }
}

/// How far the end of what is read, or written, lies from a class of some tiles at a time that are neighbours. Each class lies in a page of
/// its own, where no processor looks ahead, and often as far in it as all others, so that few of them find room in a cache.
#[inline(always)]
pub(super) fn ahead_of(class: usize, (classes, class_step): (usize, usize), tiles: usize) -> usize {
    /// Classes that are asked for before they are wanted.
    const AHEAD: usize = 16;
    let next = if class + AHEAD < classes {
        AHEAD * class_step
    } else {
        // Those of the tiles after these.
        (tiles * LANES).wrapping_sub(classes.wrapping_sub(AHEAD).wrapping_mul(class_step))
    };
    // What lies in two lines of the cache brought its first one with the tile before.
    next.wrapping_add(LANES - 1)
}

/// Writes one class of sixteen rows that are neighbours, from `row` on; asks for what lies so many values further.
#[inline(always)]
pub(super) fn store_column<S: Simd>(
    simd: S,
    from: &[f32; LANES],
    to: &mut StridedMut<'_>,
    row: usize,
    class: usize,
    ahead: usize,
) {
    if let Some(column) = to.column_mut(row, class) {
        simd.prefetch(column.as_ptr().wrapping_add(ahead));
        *column = *from;
    } else if let Some((half, column)) = to.half_column_mut(row, class) {
        simd.prefetch(column.as_ptr().wrapping_add(ahead));
        narrow_lanes(simd, half, from, column);
    }
}

/// Copies the rows of a group to lines that are `stride` apart; classes that take no part become -inf.
pub(crate) struct Gather<'a> {
    pub(crate) from: Strided<'a>,
    pub(crate) mask: Mask<'a>,
    pub(crate) group: &'a Group,
    pub(crate) to: &'a mut [f32],
    pub(crate) stride: usize,
}

/// Copies a row, as f32; classes that take no part become -inf.
pub(crate) struct Copy<'a> {
    pub(crate) line: Line<'a>,
    pub(crate) mask: Option<&'a [bool]>,
    pub(crate) to: &'a mut [f32],
}

impl Kernel for Copy<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        copy_line(simd, self.line, self.mask, self.to);
    }
}

#[inline(always)]
fn copy_line<S: Simd>(simd: S, line: Line<'_>, mask: Option<&[bool]>, to: &mut [f32]) {
    match (line, mask) {
        (Line::F32(values), None) => to.copy_from_slice(values),
        (Line::F32(values), Some(mask)) => copy_kept(values, mask, to),
        (Line::Half(half, bits), None) => widen(simd, half, bits, to),
        (Line::Half(half, bits), Some(mask)) => {
            let lines = bits.chunks(LANES).zip(mask.chunks(LANES)).zip(to.chunks_mut(LANES));
            for ((bits, mask), to) in lines {
                let mut values = [0.0; LANES];
                widen(simd, half, bits, &mut values[..bits.len()]);
                copy_kept(&values, mask, to);
            }
        }
    }
}

/// Classes that are turned at once.
const TURN: usize = 64;

impl Kernel for Gather<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { from, mask, group, to, stride } = self;
        let classes = from.layout().classes;
        let rows = &group.rows[..group.len];
        if from.are_slices() || from.half_slices().is_some() {
            for (row, to) in rows.iter().zip(to.chunks_mut(stride)) {
                copy_line(simd, from.line(*row), mask.row(*row, classes), &mut to[..classes]);
            }
            return;
        }
        if let Some(columns) = AnyColumns::of(&from, group) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                for (i, to) in tile[..len].iter_mut().enumerate() {
                    let ahead = ahead_of(start + i, (classes, from.layout().class_step), 1);
                    columns.load(simd, start + i, to, ahead);
                }
                simd.turn_out(&tile[..len], &mut TileRowsMut::of_lines(to, stride, start, len));
            }
        } else {
            each_value(
                (group.len, classes),
                from.layout().class_step,
                #[inline(always)]
                |i, class| to[i * stride + class] = from.get(group.rows[i], class),
            );
        }
        for (row, to) in rows.iter().zip(to.chunks_mut(stride)) {
            mask.fill(*row, &mut to[..classes], f32::NEG_INFINITY);
        }
    }
}

/// Goes through all values of some rows: row by row; or, where each class has a cache line of its own, which few rows among others
/// would bring as often as there are rows, class by class.
#[inline(always)]
fn each_value((rows, classes): (usize, usize), class_step: usize, mut copy: impl FnMut(usize, usize)) {
    let by_class = class_step >= LANES;
    let (outer, inner) = if by_class { (classes, rows) } else { (rows, classes) };
    for a in 0..outer {
        for b in 0..inner {
            let (row, class) = if by_class { (b, a) } else { (a, b) };
            copy(row, class);
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
    const VECTORS: bool = false;

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
        } else if to.has_columns(&group.rows, group.len) {
            let mut tile = [[0.0; LANES]; TURN];
            for start in (0..classes).step_by(TURN) {
                let len = (classes - start).min(TURN);
                simd.turn_in(&TileRows::of_lines(from, stride, start, len), &mut tile[..len]);
                for (i, from) in tile[..len].iter().enumerate() {
                    let ahead = ahead_of(start + i, (classes, to.layout().class_step), 1);
                    store_column(simd, from, &mut to, group.rows[0], start + i, ahead);
                }
            }
        } else {
            let class_step = to.layout().class_step;
            each_value(
                (group.len, classes),
                class_step,
                #[inline(always)]
                |i, class| to.set(group.rows[i], class, from[i * stride + class]),
            );
        }
    }
}
