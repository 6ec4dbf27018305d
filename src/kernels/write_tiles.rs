//! From tiles of terms, or logits, to results: sixteen rows in the lanes, turned back as they are written.

use super::Kernel;
use super::factors::{LogFactors, RowFactors};
use super::gather::{ahead_of, store_column};
use super::group::{Group, NO_LABEL};
use super::map::times_slope;
use super::tiles::{LINE, TILES};
use super::write::Formula;
use crate::simd::half::narrow;
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
        // Where rows are neighbours in memory results are made as they are written, if they can be.
        let columns = results.layout().class_step != 1;
        let made = !columns || !slopes.is_empty() || formula == Formula::LessLabels;
        if made {
            for (number, (group, tile)) in groups.iter().zip(tiles.chunks_exact_mut(classes)).enumerate() {
                let labels = labels.get(number * classes..).unwrap_or_default();
                make(simd, group, tile, formula, labels, slopes.get(number * classes..).unwrap_or_default());
                // All tiles before the first is loaded: what has just been stored in parts cannot be as a whole.
                put_labels(group, tile);
            }
        }
        if columns {
            write_columns(simd, groups, tiles, (!made).then_some(formula), &mut results);
        } else {
            for (group, tile) in groups.iter().zip(tiles.chunks_exact(classes)) {
                write_rows(simd, group, tile, lines, &mut results);
            }
        }
        if !made {
            for group in groups {
                for i in (0..group.len).filter(|i| group.labels[*i] != NO_LABEL) {
                    results.set(group.rows[i], group.labels[i], group.at_label[i]);
                }
            }
        }
    }
}

/// Sets the results at the labels of a tile.
#[inline(always)]
fn put_labels(group: &Group, tile: &mut [[f32; LANES]]) {
    for lane in 0..LANES {
        if let Some(class) = tile.get_mut(group.labels[lane]) {
            class[lane] = group.at_label[lane];
        }
    }
}

/// Makes the results of a tile in its place.
#[inline(always)]
fn make<S: Simd>(
    simd: S,
    group: &Group,
    tile: &mut [[f32; LANES]],
    formula: Formula,
    labels: &[[f32; LANES]],
    slopes: &[[f64; LANES]],
) {
    for part in simd.parts() {
        if formula == Formula::LessLabels {
            let factors = RowFactors::lanes(simd, &group.factors, part);
            let minus = simd.splat(0.0) - simd.load(&group.subtract, part);
            for (class, label) in tile.iter_mut().zip(labels) {
                let share = factors.apply(simd.load(class, part));
                simd.load(label, part).mul_add(minus, share).store(class, part);
            }
        } else {
            let result = Results::lanes(simd, group, formula, part);
            for class in &mut *tile {
                result.of(simd.load(class, part)).store(class, part);
            }
        }
    }
    for (class, slopes) in tile.iter_mut().zip(slopes) {
        for (result, slope) in class.iter_mut().zip(slopes) {
            *result = times_slope(*result, *slope);
        }
    }
}

/// Writes the results of a tile to rows whose classes follow each other.
#[inline(always)]
fn write_rows<S: Simd>(
    simd: S,
    group: &Group,
    tile: &[[f32; LANES]],
    lines: &mut [f32],
    results: &mut StridedMut<'_>,
) {
    let classes = tile.len();
    if let Some(mut rows) = results.tile_mut(&group.rows) {
        return simd.turn_out(tile, &mut rows);
    }
    if let Some((half, to)) = results.half_tile_mut(&group.rows) {
        simd.turn_out(tile, &mut TileRowsMut::of_lines(lines, classes, 0, classes));
        return narrow(simd, half, &lines[..to.len()], to);
    }
    simd.turn_out(tile, &mut TileRowsMut::of_lines(lines, LINE, 0, classes));
    for (row, line) in group.rows[..group.len].iter().zip(lines.chunks(LINE)) {
        if let Some((half, to)) = results.half_row_mut(*row) {
            narrow(simd, half, &line[..classes], to);
            continue;
        }
        let to = results.row_mut(*row).chunks_mut(LANES);
        for (from, to) in line.as_chunks().0.iter().zip(to) {
            for part in simd.parts() {
                simd.load(from, part).store_tail(to, part);
            }
        }
    }
}

/// Writes tiles to rows whose classes do not follow each other, class after class, as
/// [`LoadTiles`](super::tiles::LoadTiles) reads them; with a formula, the results that it makes of them.
#[inline(always)]
fn write_columns<S: Simd>(
    simd: S,
    groups: &[Group],
    tiles: &[[f32; LANES]],
    formula: Option<Formula>,
    results: &mut StridedMut<'_>,
) {
    let classes = results.layout().classes;
    let mut neighbours = [false; TILES];
    for (neighbours, group) in neighbours.iter_mut().zip(groups) {
        *neighbours = results.has_columns(&group.rows, group.len);
    }
    for class in 0..classes {
        let ahead = ahead_of(class, (classes, results.layout().class_step), groups.len());
        for (number, group) in groups.iter().enumerate() {
            let mut of = tiles[number * classes + class];
            if let Some(formula) = formula {
                for part in simd.parts() {
                    let result = Results::lanes(simd, group, formula, part);
                    result.of(simd.load(&of, part)).store(&mut of, part);
                }
            }
            if neighbours[number] {
                store_column(simd, &of, results, group.rows[0], class, ahead);
            } else {
                for (row, value) in group.rows[..group.len].iter().zip(of) {
                    results.set(*row, class, value);
                }
            }
        }
    }
}

/// What makes results of terms, or of logits, in lanes.
enum Results<S: Simd> {
    Scaled(RowFactors<S>),
    Logs(LogFactors<S>),
}

impl<S: Simd> Results<S> {
    #[inline(always)]
    fn lanes(simd: S, group: &Group, formula: Formula, part: usize) -> Self {
        if formula == Formula::Logs {
            Self::Logs(LogFactors::lanes(simd, group, part))
        } else {
            Self::Scaled(RowFactors::lanes(simd, &group.factors, part))
        }
    }

    #[inline(always)]
    fn of(&self, x: S::Lanes) -> S::Lanes {
        match self {
            Self::Scaled(factors) => factors.apply(x),
            Self::Logs(factors) => factors.apply(x),
        }
    }
}
