//! A row that is shared by threads: parts of 32 blocks, always the same ones, whose sums merge in their order.
//! The bits are those of a row that one thread reads, which merges in the same two steps.

use super::block::BLOCK;
use super::ends::{Ends, Scan};
use super::epilogue::{CONSTANTS, Epilogue, Values, constants_at, constants_of};
use super::flow::{Flow, Read};
use super::operation::{Operation, Row, Seen};
use super::partial::{Partial, SPLIT_BLOCKS};
use super::place::Place;
use super::row::{Watch, first_max, scan};
use super::rowwise::{correct, labels_of, source, write, write_blocks};
use super::{Join, Scratch};
use crate::simd::Simd;

/// Logits of a part.
const PART: usize = SPLIT_BLOCKS * BLOCK;

/// What one read of a part finds.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    scan: Scan,
    seen: Seen,
}

impl Part {
    const EMPTY: Self = Self { scan: Scan::EMPTY, seen: Seen::NOTHING };

    /// Of this part and the next one, whose first block is `block` of the row.
    #[inline(always)]
    fn merge(self, next: Self, block: usize) -> Self {
        let seen = self.seen.merge(self.scan.max, next.seen, next.scan.max);
        let sum = self.scan.sum.merge(next.scan.sum);
        let scan = if next.scan.max > self.scan.max {
            Scan { block: block + next.scan.block, sum, ..next.scan }
        } else {
            Scan { sum, ..self.scan }
        };
        Self { scan, seen }
    }
}

/// Runs an operation on one row.
#[inline(always)]
pub(super) fn run<S: Simd, O: Operation>(
    simd: S,
    operation: &mut O,
    row: Row,
    scratch: &mut Scratch,
    join: Join,
) {
    let classes = operation.place().classes();
    let Scratch { blocks, parts, loaded, .. } = scratch;
    let dense = operation.dense(&loaded.labels);
    let labels = labels_of(dense, row);
    blocks.resize(classes.div_ceil(BLOCK), Partial::EMPTY);
    parts.resize(classes.div_ceil(PART), Part::EMPTY);
    let logit = operation.logit(row);
    if O::Epilogue::READS == Values::Terms {
        let flow = operation.place_mut().flow(row.index);
        read::<S, O, _>(simd, join, flow, labels, blocks, parts);
    } else {
        let flow = Read(operation.place().logits(row.index));
        read::<S, O, _>(simd, join, flow, labels, blocks, parts);
    }
    let mut whole = parts[0];
    for (i, part) in parts.iter().enumerate().skip(1) {
        whole = whole.merge(*part, i * SPLIT_BLOCKS);
    }
    let (scan, seen) = (whole.scan, Seen { logit, ..whole.seen });
    let mut ends = Ends::new(
        simd,
        &[scan],
        #[inline(always)]
        |_| source(operation, row.index).sum_without_max(simd, &scan, blocks),
    );
    let finish = operation.end(simd, &[row], &mut ends, &[seen]);
    if O::Epilogue::READS == Values::Nothing {
        return;
    }
    let dominant =
        if ends.dominated(0) { Some(source(operation, row.index).dominant(simd, &scan)) } else { None };
    let place = operation.place_mut();
    let arguments = [finish.by[0], finish.scale[0], ends.pivot[0]];
    if O::Epilogue::READS == Values::Logits {
        let constants = constants_of::<S, O::Epilogue, 1>(simd, &finish.by, &finish.scale, &ends.pivot);
        let flow = place.flow(row.index);
        write_logits::<S, O::Epilogue, _>(simd, join, flow, constants_at(&constants, 0));
    } else {
        let labels = labels.filter(|_| O::Epilogue::LABELS);
        write_terms::<S, O::Epilogue>(simd, join, place.results(row.index), labels, blocks, &ends, arguments);
    }
    correct(operation, row, dominant, dense, 0, &finish, &seen);
}

/// Runs two closures that are called once.
fn both(join: Join, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    let (mut a, mut b) = (Some(a), Some(b));
    join(
        &mut || {
            if let Some(a) = a.take() {
                a();
            }
        },
        &mut || {
            if let Some(b) = b.take() {
                b();
            }
        },
    );
}

/// The first `at` labels and the others.
fn split_labels(labels: Option<&[f32]>, at: usize) -> (Option<&[f32]>, Option<&[f32]>) {
    let (first, rest) = labels.map(|labels| labels.split_at(at)).unzip();
    (first, rest)
}

/// Reads a row, or some parts of it.
fn read<S: Simd, O: Operation, F: Flow<Element = <O::Place as Place>::Element>>(
    simd: S,
    join: Join,
    flow: F,
    labels: Option<&[f32]>,
    blocks: &mut [Partial],
    parts: &mut [Part],
) {
    if let [part] = parts {
        let mut watch = O::watch(labels);
        let max = simd.outline(
            #[inline(always)]
            || first_max(simd, flow.logits()),
        );
        part.scan = scan(simd, flow, max, &[], &mut watch, blocks).0;
        part.seen = watch.seen();
        return;
    }
    let half = parts.len() / 2;
    let (flow, other_flow) = flow.split_at(half * PART);
    let (labels, other_labels) = split_labels(labels, half * PART);
    let (blocks, other_blocks) = blocks.split_at_mut(half * SPLIT_BLOCKS);
    let (parts, other_parts) = parts.split_at_mut(half);
    both(
        join,
        || read::<S, O, F>(simd, join, flow, labels, blocks, parts),
        || read::<S, O, F>(simd, join, other_flow, other_labels, other_blocks, other_parts),
    );
}

/// Writes the results of a row over its terms.
fn write_terms<S: Simd, E: Epilogue>(
    simd: S,
    join: Join,
    terms: &mut [f32],
    labels: Option<&[f32]>,
    blocks: &[Partial],
    ends: &Ends<1>,
    arguments: [f64; 3],
) {
    let half = terms.len().div_ceil(PART) / 2 * PART;
    if half == 0 {
        return write_blocks::<S, E, 1>(simd, terms, labels, blocks, ends, 0, arguments);
    }
    let (terms, other_terms) = terms.split_at_mut(half);
    let (labels, other_labels) = split_labels(labels, half);
    let (blocks, other_blocks) = blocks.split_at(half / BLOCK);
    both(
        join,
        || write_terms::<S, E>(simd, join, terms, labels, blocks, ends, arguments),
        || write_terms::<S, E>(simd, join, other_terms, other_labels, other_blocks, ends, arguments),
    );
}

/// Writes the results of a row from its logits.
fn write_logits<S: Simd, E: Epilogue, F: Flow>(simd: S, join: Join, flow: F, constants: [f32; CONSTANTS]) {
    let half = flow.logits().len().div_ceil(PART) / 2 * PART;
    if half == 0 {
        return write::<S, E, _>(simd, constants, flow, None);
    }
    let (flow, other_flow) = flow.split_at(half);
    both(
        join,
        || write_logits::<S, E, _>(simd, join, flow, constants),
        || write_logits::<S, E, _>(simd, join, other_flow, constants),
    );
}
