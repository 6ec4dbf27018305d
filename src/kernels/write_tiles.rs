//! From tiles of terms, or logits, to results: sixteen rows in the lanes, turned back as they are written.

use super::Kernel;
use super::gather::ask_for_next;
use super::group::{Group, NO_LABEL};
use super::map::times_slope;
use super::tiles::LINE;
use super::write::{Formula, LogFactors, RowFactors};
use crate::simd::half::{narrow, narrow_lanes};
use crate::simd::strided::StridedMut;
use crate::simd::tile::TileRowsMut;
use crate::simd::{LANES, Lanes, Simd};

/// Writes the results of tiles, of terms or, for logarithms, of logits.
pub(crate) struct WriteTiles<'a> {
    pub(crate) groups: &'a [Group],
    pub(crate) tiles: &'a mut [[f32; LANES]],
    pub(crate) formula: Formula,
    /// The labels of [`Formula::LessLabels`].
    pub(crate) labels: &'a [[f32; LANES]],
    /// What results are multiplied by; empty if by nothing.
    pub(crate) slopes: &'a [[f64; LANES]],
    /// As those of [`LoadTiles`](super::tiles::LoadTiles).
    pub(crate) lines: &'a mut [f32],
    pub(crate) results: StridedMut<'a>,
}

impl Kernel for WriteTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { groups, tiles, formula, labels, slopes, lines, mut results } = self;
        let classes = results.layout().classes;
        for (number, (group, tile)) in groups.iter().zip(tiles.chunks_exact_mut(classes)).enumerate() {
            for part in 0..S::PARTS {
                if formula == Formula::Logs {
                    let logs = LogFactors::lanes(simd, group, part);
                    for class in &mut *tile {
                        logs.apply(simd.load(class, part)).store(class, part);
                    }
                } else if formula == Formula::LessLabels {
                    let factors = RowFactors::lanes(simd, &group.factors, part);
                    let minus = simd.splat(0.0) - simd.load(&group.subtract, part);
                    for (class, label) in tile.iter_mut().zip(&labels[number * classes..]) {
                        let share = factors.apply(simd.load(class, part));
                        simd.load(label, part).mul_add(minus, share).store(class, part);
                    }
                } else {
                    let factors = RowFactors::lanes(simd, &group.factors, part);
                    for class in &mut *tile {
                        factors.apply(simd.load(class, part)).store(class, part);
                    }
                }
            }
            for (class, slopes) in tile.iter_mut().zip(slopes.get(number * classes..).unwrap_or_default()) {
                for (result, slope) in class.iter_mut().zip(slopes) {
                    *result = times_slope(*result, *slope);
                }
            }
            if let Some((half, to)) = results.half_tile_mut(&group.rows) {
                simd.turn_out(tile, &mut TileRowsMut::of_lines(lines, classes, 0, classes));
                narrow(simd, half, &lines[..to.len()], to);
            } else if results.layout().class_step == 1 {
                let mut copied = false;
                let mut rows = if let Some(rows) = results.tile_mut(&group.rows) {
                    rows
                } else {
                    copied = true;
                    TileRowsMut::of_lines(lines, LINE, 0, classes)
                };
                simd.turn_out(tile, &mut rows);
                if copied {
                    for (row, line) in group.rows[..group.len].iter().zip(lines.chunks(LINE)) {
                        if let Some((half, to)) = results.half_row_mut(*row) {
                            narrow(simd, half, &line[..classes], to);
                            continue;
                        }
                        let to = results.row_mut(*row).chunks_mut(LANES);
                        for (from, to) in line.as_chunks().0.iter().zip(to) {
                            for part in 0..S::PARTS {
                                simd.load(from, part).store_tail(to, part);
                            }
                        }
                    }
                }
            } else if let Some((half, columns)) = results.half_columns_mut(&group.rows, group.len) {
                for (from, column) in tile.iter().zip(columns) {
                    narrow_lanes(simd, half, from, column);
                    ask_for_next(simd, column);
                }
            } else if let Some(columns) = results.columns_mut(&group.rows, group.len) {
                for (from, column) in tile.iter().zip(columns) {
                    *column = *from;
                    ask_for_next(simd, column);
                }
            } else {
                for (class, from) in tile.iter().enumerate() {
                    for (row, from) in group.rows[..group.len].iter().zip(from) {
                        results.set(*row, class, *from);
                    }
                }
            }
        }
        for group in groups {
            for i in 0..group.len {
                if group.labels[i] != NO_LABEL {
                    results.set(group.rows[i], group.labels[i], group.at_label[i]);
                }
            }
        }
    }
}
