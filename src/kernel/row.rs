//! One read of a row: its blocks in order.

use super::block::{BLOCK, block_max, block_terms, stored_sum_without, sum_without, term};
use super::ends::Scan;
use super::flow::Flow;
use super::maximum::first_index;
use super::operation::Seen;
use super::partial::{Fold, Partial};
use crate::element::Element;
use crate::simd::Simd;

/// Looks on while a row is read: called before the terms of a block are written, with the index of its
/// first logit, and its largest logit.
pub(crate) trait Watch<E> {
    fn block<S: Simd>(&mut self, simd: S, start: usize, logits: &[E], max: f32);

    /// What was seen once the row has been read.
    fn seen(&self) -> Seen;
}

/// Nothing but the sum is wanted.
impl<E> Watch<E> for () {
    #[inline(always)]
    fn block<S: Simd>(&mut self, _simd: S, _start: usize, _logits: &[E], _max: f32) {}

    #[inline(always)]
    fn seen(&self) -> Seen {
        Seen::NOTHING
    }
}

/// The largest logit of a row's first block, with which its read begins.
#[inline(always)]
pub(crate) fn first_max<S: Simd, E: Element>(simd: S, row: &[E]) -> f32 {
    block_max(simd, first_block(row))
}

#[inline(always)]
fn first_block<E>(row: &[E]) -> &[E] {
    &row[..row.len().min(BLOCK)]
}

/// Reads a row once and writes its terms where the flow puts them. The sums of its blocks go to `sums`.
///
/// Starts from the row's [`first_max`], and gives that of the row that is read next.
#[inline(always)]
pub(crate) fn scan<S: Simd, F: Flow>(
    simd: S,
    row: F,
    first_max: f32,
    next_row: &[F::Element],
    watch: &mut impl Watch<F::Element>,
    sums: &mut [Partial],
) -> (Scan, f32) {
    simd.outline(
        #[inline(always)]
        || scan_blocks(simd, row, first_max, next_row, watch, sums),
    )
}

#[inline(always)]
fn scan_blocks<S: Simd, F: Flow>(
    simd: S,
    row: F,
    first_max: f32,
    next_row: &[F::Element],
    watch: &mut impl Watch<F::Element>,
    sums: &mut [Partial],
) -> (Scan, f32) {
    let mut fold = Fold::EMPTY;
    let (mut max, mut max_block) = (f32::NEG_INFINITY, 0);
    let mut blocks = row.blocks(BLOCK);
    let (mut this, mut this_max) = (blocks.next(), first_max);
    let mut index = 0;
    while let Some(block) = this {
        let next = blocks.next();
        watch.block(simd, index * BLOCK, block.logits(), this_max);
        if this_max > max {
            (max, max_block) = (this_max, index);
        }
        let ahead = match &next {
            Some(next) => next.logits(),
            None => first_block(next_row),
        };
        let (sum, next_max) = block_terms(simd, block, this_max, ahead);
        sums[index] = sum;
        if index == 0 && next.is_none() {
            // One block: there is nothing to fold.
            return (Scan { max, block: 0, reference: sum.reference(), sum }, next_max);
        }
        fold.add(sum);
        (this, this_max) = (next, next_max);
        index += 1;
    }
    let reference = sums[max_block].reference();
    (Scan { max, block: max_block, reference, sum: fold.total() }, this_max)
}

/// What a row's sum can be taken from again.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a, E> {
    Logits(&'a [E]),
    Terms(&'a [f32]),
}

impl<E: Element> Source<'_, E> {
    #[inline(always)]
    fn classes(self) -> usize {
        match self {
            Self::Logits(row) => row.len(),
            Self::Terms(row) => row.len(),
        }
    }

    /// The index of the largest logit of a row that it dominates.
    #[inline(always)]
    pub(crate) fn dominant<S: Simd>(self, simd: S, scan: &Scan) -> usize {
        let start = scan.block * BLOCK;
        let end = self.classes().min(start + BLOCK);
        start
            + match self {
                Self::Logits(row) => first_index(&row[start..end], scan.max),
                Self::Terms(row) => first_index(&row[start..end], term(simd, scan.max, scan.reference)),
            }
    }

    /// The sum of a row without the largest logit, which dominates, in units of that logit's block. `blocks`
    /// are the sums of its blocks.
    #[inline(always)]
    pub(crate) fn sum_without_max<S: Simd>(self, simd: S, scan: &Scan, blocks: &[Partial]) -> f64 {
        simd.outline(
            #[inline(always)]
            || self.sum_without(simd, scan, blocks),
        )
    }

    #[inline(always)]
    fn sum_without<S: Simd>(self, simd: S, scan: &Scan, blocks: &[Partial]) -> f64 {
        let index = self.dominant(simd, scan);
        let start = scan.block * BLOCK;
        let end = self.classes().min(start + BLOCK);
        let rest = match self {
            Self::Logits(row) => sum_without(simd, &row[start..end], index - start, scan.reference),
            Self::Terms(row) => stored_sum_without(simd, &row[start..end], index - start),
        };
        let mut fold = Fold::EMPTY;
        for (i, &block) in blocks.iter().enumerate() {
            fold.add(if i == scan.block { Partial::new(scan.reference, rest) } else { block });
        }
        fold.total().relative_to(scan.reference)
    }
}
