//! One read of a row: its blocks in order, and what their sum says of the largest logit.

use super::Scratch;
use super::block::{BLOCK, block_max, block_terms, stored_sum_without, sum_without, term};
use super::exp::LARGEST_TERM;
use super::flow::{Flow, Read};
use super::math::{exp, ln_1p};
use super::maximum::first_index;
use super::partial::{Fold, Partial};
use super::place::Source;
use super::share::narrow;
use crate::element::Element;
use crate::simd::Simd;

/// Looks on while a row is read: called before the terms of a block are written, with the index of its
/// first logit, and its largest logit.
pub(crate) trait Watch<E> {
    fn block<S: Simd>(&mut self, simd: S, start: usize, logits: &[E], max: f32);
}

/// Nothing but the sum is wanted.
impl<E> Watch<E> for () {
    #[inline(always)]
    fn block<S: Simd>(&mut self, _simd: S, _start: usize, _logits: &[E], _max: f32) {}
}

/// What one read of a row finds.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) max: f32,
    /// The index of the first block that holds it.
    block: usize,
    sum: Partial,
}

/// Reads a row once and writes its terms where the flow puts them. The sums of its blocks stay in the
/// scratch.
#[inline(always)]
pub(crate) fn scan<S: Simd, F: Flow>(
    simd: S,
    row: F,
    watch: &mut impl Watch<F::Element>,
    scratch: &mut Scratch,
) -> Scan {
    scratch.blocks.clear();
    let mut fold = Fold::EMPTY;
    let (mut max, mut max_block) = (f32::NEG_INFINITY, 0);
    let mut blocks = row.blocks(BLOCK);
    let mut this = blocks.next();
    let mut this_max = match &this {
        Some(block) => block_max(simd, block.logits()),
        None => f32::NEG_INFINITY,
    };
    let mut index = 0;
    while let Some(block) = this {
        let next = blocks.next();
        watch.block(simd, index * BLOCK, block.logits(), this_max);
        if this_max > max {
            (max, max_block) = (this_max, index);
        }
        let ahead = match &next {
            Some(next) => next.logits(),
            None => &[],
        };
        let (sum, next_max) = block_terms(simd, block, this_max, ahead);
        scratch.blocks.push(sum);
        fold.add(sum);
        (this, this_max) = (next, next_max);
        index += 1;
    }
    Scan { max, block: max_block, sum: fold.total() }
}

/// The sum of a row, and the sum without the largest logit where that dominates: there it must not come
/// from a difference.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) sum: Partial,
    max: f32,
    dominant: Option<Dominant>,
}

/// A logit that holds more than `1 / DOMINATED` of its row's sum: there is only one, and no other logit
/// has its term.
#[derive(Clone, Copy)]
struct Dominant {
    index: usize,
    rest: Partial,
}

/// Below this share of the block, what is left of it without the largest term is added up again; above,
/// the difference is good to 2^-26, as the block's sum is to 2^-33.
const DIFFERENCE: f64 = 1.0 / 128.0;

/// A sum below this many times its largest term is dominated by it. A little less than two, so that of two
/// equal logits neither is singled out.
const DOMINATED: f64 = 1.9;

/// In a sum below this, 8 times the reference, the error of the largest term counts: it is taken out and put
/// back in f64. A sum that is dominated is below it, because the largest term is below `2^0.51` times the
/// reference.
const SHARP: f64 = 8.0 * 18_446_744_073_709_551_616.0;
const _: () = assert!(LARGEST_TERM == 64, "the power of two above");

impl Row {
    /// Of a row that has been scanned.
    #[inline(always)]
    pub(crate) fn settle<S: Simd, E: Element>(
        simd: S,
        scan: Scan,
        scratch: &Scratch,
        source: Source<'_, E>,
    ) -> Self {
        let Scan { max, block, sum } = scan;
        // False for NaN and infinite sums.
        let sharp = sum.sum() < SHARP && !sum.is_empty();
        if !sharp {
            return Self { sum, max, dominant: None };
        }
        let reference = scratch.blocks[block].reference();
        let top = f64::from(term(simd, max, reference));
        let dominant = (sum.ratio_to_logit(max) < DOMINATED).then(
            #[inline(always)]
            || Dominant::new(simd, scan, top, scratch, source),
        );
        let rest = match dominant {
            Some(dominant) => dominant.rest,
            None => sum.minus(Partial::new(reference, top)),
        };
        Self { sum: rest.plus_logit(max, reference), max, dominant }
    }

    /// The same row with a sum that was found before.
    #[inline(always)]
    pub(crate) fn with_sum(self, sum: Partial) -> Self {
        Self { sum, ..self }
    }

    /// The index of the dominant logit, if there is one, and its loss.
    #[inline(always)]
    pub(crate) fn dominant_loss(&self) -> Option<(usize, f64)> {
        self.dominant.map(|dominant| (dominant.index, ln_1p(dominant.rest.ratio_to_logit(self.max))))
    }

    /// The index of the dominant logit, if there is one, and the share `1 - p` that it leaves.
    #[inline(always)]
    pub(crate) fn dominant_complement(&self) -> Option<(usize, f64)> {
        self.dominant.map(|dominant| (dominant.index, dominant.rest.ratio(self.sum)))
    }

    /// The loss of the largest logit.
    #[inline(always)]
    pub(crate) fn max_loss(&self) -> f64 {
        match self.dominant_loss() {
            Some((_, loss)) => loss,
            None => self.sum.finite_or_nan().loss_of(self.max),
        }
    }

    /// The log-sum-exp.
    ///
    /// Identity: `m + ln(1 + R / e^m)`: next to 0 the sum itself, next to 1, would have no digits left.
    #[inline(always)]
    pub(crate) fn log_sum_exp(&self) -> f32 {
        const NEAR_ZERO: f32 = 1.0 / 1024.0;
        let value = self.sum.value();
        match self.dominant_loss() {
            Some((_, loss)) if value.abs() < NEAR_ZERO => narrow(f64::from(self.max) + loss),
            _ => value,
        }
    }

    /// The loss of a logit, `-ln p`, without cancellation.
    ///
    /// Formula: `-ln(e^x / (e^x + R)) = ln(1 + R / e^x)`, with `R` the sum of the others.
    #[inline(always)]
    pub(crate) fn loss(&self, index: usize, logit: f32) -> f64 {
        match self.dominant {
            Some(Dominant { index: dominant, rest }) if dominant == index => {
                ln_1p(rest.ratio_to_logit(logit))
            }
            _ => self.sum.finite_or_nan().loss_of(logit),
        }
    }

    /// What the share of a logit leaves, `1 - p`, without cancellation, given its loss.
    #[inline(always)]
    pub(crate) fn complement(&self, index: usize, loss: f64) -> f64 {
        match self.dominant {
            Some(Dominant { index: dominant, rest }) if dominant == index => rest.ratio(self.sum),
            _ => 1.0 - exp(-loss),
        }
    }
}

impl Dominant {
    /// The largest logit of a row that it dominates.
    #[inline(always)]
    fn new<S: Simd, E: Element>(
        simd: S,
        scan: Scan,
        top: f64,
        scratch: &Scratch,
        source: Source<'_, E>,
    ) -> Self {
        let sum = scratch.blocks[scan.block];
        let reference = sum.reference();
        let start = scan.block * BLOCK;
        let end = source.classes().min(start + BLOCK);
        let index = match source {
            Source::Logits(row) => first_index(&row[start..end], scan.max),
            Source::Terms(row) => first_index(&row[start..end], narrow(top)),
        };
        let difference = sum.sum() - top;
        let rest = if difference > DIFFERENCE * sum.sum() {
            difference
        } else {
            match source {
                Source::Logits(row) => sum_without(simd, &row[start..end], index, reference),
                Source::Terms(row) => stored_sum_without(simd, &row[start..end], index),
            }
        };
        let mut fold = Fold::EMPTY;
        for (i, &block) in scratch.blocks.iter().enumerate() {
            fold.add(if i == scan.block { Partial::new(reference, rest) } else { block });
        }
        Self { index: start + index, rest: fold.total() }
    }
}

/// The sum of a row of logits, for operations that write nothing.
#[inline(always)]
pub(crate) fn read_row<S: Simd, E: Element>(simd: S, logits: &[E], scratch: &mut Scratch) -> Row {
    let scan = scan(simd, Read(logits), &mut (), scratch);
    Row::settle(simd, scan, scratch, Source::Logits(logits))
}
