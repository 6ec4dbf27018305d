//! What most operations are: a read of each row, its end, and an epilogue; for rows one after the other, or
//! for sixteen short ones in the lanes.

use super::block::BLOCK;
use super::ends::{Ends, Scan};
use super::epilogue::{CONSTANTS, Epilogue, Values, constants_at, constants_of};
use super::flow::{Flow, Read, Update};
use super::operation::{Finish, GROUP, IGNORED, Operation, Row, Seen};
use super::partial::Partial;
use super::place::{LabelRows, Place};
use super::row::{Source, Watch, first_max, scan};
use super::share::{map, map_with, narrow};
use super::tile::{self, Tile};
use super::{Job, Join, Scratch, long};
use crate::simd::{LANES, Simd};

/// An operation as a job.
pub(crate) struct Rowwise<O>(pub(crate) O);

/// Logits of a group of rows that results are made of, at most: what stays in L1 beside what is written.
const GROUP_LOGITS: usize = 8192;

impl<O: Operation> Job for Rowwise<O> {
    fn rows(&self) -> usize {
        self.0.place().rows()
    }

    fn classes(&self) -> usize {
        self.0.place().classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = self.0.split_at(row);
        (Self(first), Self(rest))
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.0.seam(near)
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S, scratch: &mut Scratch, join: Option<Join>) {
        let (rows, classes) = (self.rows(), self.classes());
        if rows == 0 {
            return;
        }
        let operation = &mut self.0;
        let direct = operation.place().is_direct() && !O::LOOKS_BACK;
        // Rows that would be copied first are quicker in the lanes, however few.
        let min_rows = if O::Place::LOADS && direct { 1 } else { tile::MIN_ROWS };
        let tiled = classes <= tile::MAX_CLASSES && rows >= min_rows;
        operation.place_mut().exchange(&mut scratch.loaded);
        let limit = match O::Epilogue::READS {
            Values::Nothing if !O::Place::LOADS => GROUP,
            _ if tiled => GROUP,
            _ => (GROUP_LOGITS / classes).clamp(operation.place().group(), GROUP),
        };
        for first in (0..rows).step_by(limit) {
            let mut labels = [0; GROUP];
            let labels = &mut labels[..limit.min(rows - first)];
            operation.labels(first, labels);
            let mut group = [Row { index: 0, label: 0 }; GROUP];
            let mut len = 0;
            for (i, &label) in labels.iter().enumerate() {
                group[len] = Row { index: first + i, label };
                if label == IGNORED {
                    operation.ignore(first + i);
                } else {
                    len += 1;
                }
            }
            let group = &group[..len];
            let tiled = tiled && len >= min_rows;
            operation.load(simd, first, group, &mut scratch.loaded.labels, tiled && direct);
            if let Some(join) = join {
                for &row in group {
                    long::run(simd, operation, row, scratch, join);
                }
            } else if tiled {
                run_tile(simd, operation, group, scratch);
            } else if len > 1 || (len == 1 && O::Place::LOADS) {
                // One row alone has code of its own only where calls are to be quick.
                run_rows::<S, O, GROUP>(simd, operation, group, scratch);
            } else if len == 1 {
                run_rows::<S, O, 1>(simd, operation, group, scratch);
            }
            operation.place_mut().finish(simd, group, tiled);
        }
        operation.place_mut().exchange(&mut scratch.loaded);
    }
}

/// Reads rows one after the other, takes their ends together, and writes their results.
#[inline(always)]
fn run_rows<S: Simd, O: Operation, const N: usize>(
    simd: S,
    operation: &mut O,
    rows: &[Row],
    scratch: &mut Scratch,
) {
    let Scratch { blocks, loaded, .. } = scratch;
    let labels = operation.dense(&loaded.labels);
    let per_row = operation.place().classes().div_ceil(BLOCK);
    blocks.resize(rows.len() * per_row, Partial::EMPTY);
    let mut scans = [Scan::EMPTY; N];
    let mut seen = [Seen::NOTHING; N];
    let mut max = first_max(simd, operation.place().logits(rows[0].index));
    for (i, &row) in rows.iter().enumerate() {
        let mut watch = O::watch(labels_of(labels, row));
        let blocks = &mut blocks[i * per_row..][..per_row];
        let logit = operation.logit(row);
        let next = rows.get(i + 1).map(|next| next.index);
        (scans[i], max) = if O::Epilogue::READS == Values::Terms {
            let (flow, next) = operation.place_mut().flow_before(row.index, next);
            scan(simd, flow, max, next, &mut watch, blocks)
        } else {
            let place = operation.place();
            let next = match next {
                Some(next) => place.logits(next),
                None => &[],
            };
            scan(simd, Read(place.logits(row.index)), max, next, &mut watch, blocks)
        };
        seen[i] = Seen { logit, ..watch.seen() };
    }
    // The lanes without a row of their own take after the first.
    let (first, rest) = scans.split_at_mut(rows.len());
    rest.fill(first[0]);
    let mut ends = Ends::new(
        simd,
        &scans,
        #[inline(always)]
        |i| match rows.get(i) {
            Some(&row) => {
                let blocks = &blocks[i * per_row..][..per_row];
                source(operation, row.index).sum_without_max(simd, &scans[i], blocks)
            }
            None => 0.0,
        },
    );
    let finish = operation.end(simd, rows, &mut ends, &seen);
    if O::Epilogue::READS == Values::Nothing {
        return;
    }
    let constants = constants_of::<S, O::Epilogue, N>(simd, &finish.by, &finish.scale, &ends.pivot);
    for (i, &row) in rows.iter().enumerate() {
        let dominant = if ends.dominated(i) {
            Some(source(operation, row.index).dominant(simd, &scans[i]))
        } else {
            None
        };
        let blocks = &blocks[i * per_row..][..per_row];
        write_row(simd, operation, row, i, labels, &ends, &finish, &constants, blocks);
        correct(operation, row, dominant, labels, i, &finish, &seen[i]);
    }
}

/// The dense labels of a row.
#[inline(always)]
pub(super) fn labels_of(labels: Option<LabelRows<'_>>, row: Row) -> Option<&[f32]> {
    match labels {
        Some(labels) => Some(labels.row_at(row.index)),
        None => None,
    }
}

/// The dense label of a class of a row.
#[inline(always)]
fn label_of(labels: Option<LabelRows<'_>>, row: Row, class: usize) -> f64 {
    match labels {
        Some(labels) => labels.row_at(row.index)[class].into(),
        None => 0.0,
    }
}

/// What a row's sum can be taken from once it has been read.
#[inline(always)]
pub(super) fn source<O: Operation>(operation: &O, row: usize) -> Source<'_, <O::Place as Place>::Element> {
    if O::Epilogue::READS == Values::Terms {
        Source::Terms(operation.place().written(row))
    } else {
        Source::Logits(operation.place().logits(row))
    }
}

/// Writes the results of a row by its epilogue.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a piece of one loop")]
fn write_row<S: Simd, O: Operation, const N: usize>(
    simd: S,
    operation: &mut O,
    row: Row,
    i: usize,
    labels: Option<LabelRows<'_>>,
    ends: &Ends<N>,
    finish: &Finish<N>,
    constants: &[[f32; N]; CONSTANTS],
    blocks: &[Partial],
) {
    let place = operation.place_mut();
    let constants = constants_at(constants, i);
    let labels = if O::Epilogue::LABELS { labels_of(labels, row) } else { None };
    let row = row.index;
    if O::Epilogue::READS == Values::Logits {
        write::<S, O::Epilogue, _>(simd, constants, place.flow(row), None);
    } else if blocks.len() == 1 {
        // The row's reference is that of its only block.
        write::<S, O::Epilogue, _>(simd, constants, Update(place.results(row)), labels);
    } else {
        let arguments = [finish.by[i], finish.scale[i], ends.pivot[i]];
        write_blocks::<S, O::Epilogue, N>(simd, place.results(row), labels, blocks, ends, i, arguments);
    }
}

/// Writes results over the terms of some blocks of a row.
#[inline(always)]
pub(super) fn write_blocks<S: Simd, E: Epilogue, const N: usize>(
    simd: S,
    terms: &mut [f32],
    labels: Option<&[f32]>,
    blocks: &[Partial],
    ends: &Ends<N>,
    i: usize,
    [by, scale, pivot]: [f64; 3],
) {
    for (b, (terms, sum)) in terms.chunks_mut(BLOCK).zip(blocks).enumerate() {
        let by = by * ends.unit_of(i, *sum);
        let constants = constants_of::<S, E, 1>(simd, &[by], &[scale], &[pivot]);
        let labels = labels.map(|labels| &labels[b * BLOCK..][..terms.len()]);
        write::<S, E, _>(simd, constants_at(&constants, 0), Update(terms), labels);
    }
}

/// Writes results over terms, or from logits, by an epilogue with these constants.
#[inline(always)]
pub(super) fn write<S: Simd, E: Epilogue, F: Flow>(
    simd: S,
    constants: [f32; CONSTANTS],
    flow: F,
    labels: Option<&[f32]>,
) {
    simd.outline(
        #[inline(always)]
        || {
            // Not by `map`, which is not always inlined.
            let [a, b, c, d, e, f] = constants;
            let constants =
                [simd.splat(a), simd.splat(b), simd.splat(c), simd.splat(d), simd.splat(e), simd.splat(f)];
            match labels {
                Some(labels) if E::LABELS => map_with(
                    simd,
                    labels,
                    flow,
                    #[inline(always)]
                    |label, term| E::apply(simd, &constants, term, label),
                ),
                _ => map(
                    simd,
                    flow,
                    #[inline(always)]
                    |value| E::apply(simd, &constants, value, value),
                ),
            }
        },
    );
}

/// Writes the results that the epilogue's formula is not good enough for.
#[inline(always)]
pub(super) fn correct<O: Operation, const N: usize>(
    operation: &mut O,
    row: Row,
    dominant: Option<usize>,
    labels: Option<LabelRows<'_>>,
    i: usize,
    finish: &Finish<N>,
    seen: &Seen,
) {
    if let Some(class) = dominant {
        let label = label_of(labels, row, class);
        let value = operation.dominant(row, label, finish.of_dominant[i], finish.scale[i], seen);
        operation.place_mut().results(row.index)[class] = value;
    }
    if O::AT_LABEL {
        operation.place_mut().results(row.index)[row.label] = narrow(finish.at_label[i]);
    }
}

/// Up to sixteen short rows in the lanes.
#[inline(always)]
fn run_tile<S: Simd, O: Operation>(simd: S, operation: &mut O, rows: &[Row], scratch: &mut Scratch) {
    let Scratch { tile, loaded, .. } = scratch;
    let labels = operation.dense(&loaded.labels);
    let place = operation.place();
    let mut tile = Tile::new(simd, place.classes(), tile);
    tile.load_logits(place, rows);
    let max = tile.max();
    let mut seen = [Seen::NOTHING; LANES];
    if let Some(labels) = labels {
        tile.load_labels(labels, rows);
        tile.weigh(max, &mut seen);
    } else if O::Epilogue::LABELS {
        tile.clear_labels();
    }
    let mut ends = tile.ends(max);
    if O::AT_LABEL {
        for (i, (seen, row)) in seen.iter_mut().zip(rows).enumerate() {
            seen.logit = tile.logit(row.label, i);
        }
    }
    let finish = operation.end(simd, rows, &mut ends, &seen);
    if O::Epilogue::READS == Values::Nothing {
        return;
    }
    let dominant = if ends.any_dominated() { Some(tile.class_of(max)) } else { None };
    let constants = constants_of::<S, O::Epilogue, LANES>(simd, &finish.by, &finish.scale, &ends.pivot);
    tile.apply::<O::Epilogue>(&constants);
    if let Some(classes) = dominant {
        for (i, &row) in rows.iter().enumerate() {
            let class = classes[i];
            let label = if O::Epilogue::LABELS { tile.label(class, i) } else { 0.0 };
            let value = operation.dominant(row, label, finish.of_dominant[i], finish.scale[i], &seen[i]);
            // Without a branch, which would be taken in every other row: there is room behind the classes.
            tile.set_result(if ends.dominated(i) { class } else { tile.classes() }, i, value);
        }
    }
    if O::AT_LABEL {
        for (i, row) in rows.iter().enumerate() {
            tile.set_result(row.label, i, narrow(finish.at_label[i]));
        }
    }
    tile.store(operation.place_mut(), rows);
}
