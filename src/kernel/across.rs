//! Rows whose classes do not follow each other: from memory to slices, or to lanes, and back.
//!
//! Where rows are neighbours in memory, sixteen of them are one vector for each class, which is how a tile has them; as
//! slices they are squares of sixteen classes turned around. Other rows are taken apart value by value.

use super::operation::{GROUP, Row};
use crate::Rows;
use crate::simd::strided::{Strided, StridedMut};
use crate::simd::{LANES, Lanes, Simd};

/// How far ahead of the rows at hand memory is asked for. Every class is in another part of it, and there can be more of
/// them than the processor follows by itself.
const AHEAD: usize = 4 * LANES;

/// Where the lanes of some rows are among sixteen neighbours.
struct Among {
    /// The first of the neighbours.
    first: usize,
    /// For each lane; that of the first row for lanes without one.
    lanes: [usize; LANES],
    /// Whether each lane is where it belongs.
    in_order: bool,
}

/// Sixteen neighbours that `rows` are among, if there are so many rows.
#[inline(always)]
fn among(rows: &[Row], of: usize) -> Option<Among> {
    let (start, last) = (rows.first()?.index, rows.last()?.index);
    let first = start.min(of.checked_sub(LANES)?);
    if last - first >= LANES {
        return None;
    }
    let mut lanes = [start - first; LANES];
    for (lane, row) in lanes.iter_mut().zip(rows) {
        *lane = row.index - first;
    }
    Some(Among { first, lanes, in_order: rows.len() == LANES && last - start == LANES - 1 })
}

/// Puts some classes of up to sixteen rows into lanes, from a class on. Lanes without a row take after the first.
#[inline(always)]
pub(super) fn to_lanes<S: Simd>(
    simd: S,
    from: &Strided<'_, f32>,
    rows: &[Row],
    class: usize,
    to: &mut [[f32; LANES]],
) {
    let layout = from.layout();
    let among = among(rows, layout.rows);
    if let Some(Among { first, lanes, in_order }) = among
        && let Some(columns) = from.columns(first, class)
    {
        for (to, column) in to.iter_mut().zip(columns) {
            simd.prefetch(column.as_ptr().wrapping_add(AHEAD));
            if in_order {
                simd.load(column).store(to);
            } else {
                for (to, lane) in to.iter_mut().zip(lanes) {
                    *to = column[lane % LANES];
                }
            }
        }
        return;
    }
    for (i, to) in (class..layout.classes).zip(to) {
        *to = [from.get(rows[0].index, i); LANES];
        for (to, row) in to.iter_mut().zip(rows) {
            *to = from.get(row.index, i);
        }
    }
}

/// Writes some classes of up to sixteen rows from lanes, from a class on.
#[inline(always)]
pub(super) fn from_lanes<S: Simd>(
    simd: S,
    from: &[[f32; LANES]],
    to: &mut StridedMut<'_>,
    rows: &[Row],
    class: usize,
) {
    let classes = to.layout().classes;
    let among = among(rows, to.layout().rows);
    if let Some(Among { first, lanes, in_order }) = among
        && let Some(columns) = to.columns_mut(first, class)
    {
        for (from, column) in from.iter().zip(columns) {
            if in_order {
                simd.load(from).store(column);
            } else {
                for ((value, lane), _) in from.iter().zip(lanes).zip(rows) {
                    column[lane % LANES] = *value;
                }
            }
        }
        return;
    }
    for (i, from) in (class..classes).zip(from) {
        for (value, row) in from.iter().zip(rows) {
            to.set(row.index, i, *value);
        }
    }
}

/// Copies rows of any layout to where they follow each other, the first of a group at the beginning.
#[inline(always)]
pub(super) fn gather<S: Simd>(simd: S, from: &Strided<'_, f32>, first: usize, rows: &[Row], to: &mut [f32]) {
    let classes = from.layout().classes;
    let start = |row: &Row| (row.index - first) * classes;
    if from.layout().class_stride == 1 {
        for row in rows {
            to[start(row)..][..classes].copy_from_slice(from.row(row.index));
        }
        return;
    }
    for rows in rows.chunks(GROUP) {
        let (mut square, mut turned) = ([[0.0; LANES]; LANES], [[0.0; LANES]; LANES]);
        for class in (0..classes).step_by(LANES) {
            to_lanes(simd, from, rows, class, &mut square);
            simd.transpose(&square, &mut turned);
            let len = LANES.min(classes - class);
            for (row, values) in rows.iter().zip(&turned) {
                to[start(row) + class..][..len].copy_from_slice(&values[..len]);
            }
        }
    }
}

/// The way back from [`gather`].
#[inline(always)]
pub(super) fn scatter<S: Simd>(simd: S, from: &[f32], first: usize, rows: &[Row], to: &mut StridedMut<'_>) {
    let classes = to.layout().classes;
    for rows in rows.chunks(GROUP) {
        let (mut square, mut turned) = ([[0.0; LANES]; LANES], [[0.0; LANES]; LANES]);
        for class in (0..classes).step_by(LANES) {
            let len = LANES.min(classes - class);
            for (row, values) in rows.iter().zip(&mut square) {
                values[..len].copy_from_slice(&from[(row.index - first) * classes + class..][..len]);
            }
            simd.transpose(&square, &mut turned);
            from_lanes(simd, &turned[..len], to, rows, class);
        }
    }
}

/// As [`gather`], of labels, with room for them.
#[inline(always)]
pub(super) fn gather_labels<S: Simd>(
    simd: S,
    from: &Rows<'_>,
    first: usize,
    rows: &[Row],
    to: &mut Vec<f32>,
) {
    let Some(last) = rows.last() else { return };
    make_room(to, (last.index - first + 1) * from.classes());
    simd.outline(
        #[inline(always)]
        || gather(simd, &from.values(), first, rows, to),
    );
}

/// Makes a buffer at least so long.
#[inline(always)]
pub(super) fn make_room<T: Clone + Default>(values: &mut Vec<T>, len: usize) {
    if values.len() < len {
        values.resize(len, T::default());
    }
}
