//! One read of a row: its blocks in order, whatever is wanted of them.

use super::Scratch;
use super::block::{BLOCK, block_max, block_terms};
use super::exp::Reference;
use super::flow::Flow;
use super::maximum::first_index;
use super::partial::{Fold, Partial};
use super::place::Source;
use crate::element::Element;
use crate::simd::Simd;

/// Looks on while a row is read.
pub(crate) trait Watch<E> {
    /// Called before the terms of a block are written, with its largest logit.
    #[inline(always)]
    fn before<S: Simd>(&mut self, _simd: S, _start: usize, _logits: &[E], _max: f32) {}

    /// Called with the block's sum.
    #[inline(always)]
    fn after(&mut self, _start: usize, _max: f32, _sum: Partial) {}
}

/// Nothing but the sum is wanted.
impl<E> Watch<E> for () {}

impl<E, A: Watch<E>, B: Watch<E>> Watch<E> for (&mut A, &mut B) {
    #[inline(always)]
    fn before<S: Simd>(&mut self, simd: S, start: usize, logits: &[E], max: f32) {
        self.0.before(simd, start, logits, max);
        self.1.before(simd, start, logits, max);
    }

    #[inline(always)]
    fn after(&mut self, start: usize, max: f32, sum: Partial) {
        self.0.after(start, max, sum);
        self.1.after(start, max, sum);
    }
}

/// The references of the blocks, for a second sweep over their terms.
impl<E> Watch<E> for Scratch {
    #[inline(always)]
    fn after(&mut self, start: usize, _max: f32, sum: Partial) {
        if start == 0 {
            self.references.clear();
        }
        self.references.push(sum.reference());
    }
}

/// Reads a row once, writes its terms where the flow puts them, and gives their sum.
#[inline(always)]
pub(crate) fn scan<S: Simd, F: Flow>(simd: S, row: F, watch: &mut impl Watch<F::Element>) -> Partial {
    let mut total = Fold::EMPTY;
    for (index, block) in row.blocks(BLOCK).enumerate() {
        let start = index * BLOCK;
        let max = block_max(simd, block.logits());
        watch.before(simd, start, block.logits(), max);
        let sum = block_terms(simd, block, max);
        watch.after(start, max, sum);
        total.add(sum);
    }
    total.total()
}

/// One logit kept out of the sum: where it holds most of it, the rest must not come from a difference.
pub(crate) struct Rest {
    /// The logit's index in the row.
    index: usize,
    logit: f32,
    /// The blocks without it.
    others: Fold,
    /// The reference of the block with it.
    reference: Reference,
}

impl Rest {
    /// Keeps out the logit at `index`.
    #[inline(always)]
    pub(crate) fn without(index: usize, logit: f32) -> Self {
        Self { index, logit, others: Fold::EMPTY, reference: Reference::for_max(0.0) }
    }

    /// The loss of this logit, `-ln p`, and `1 - p`, both without cancellation.
    ///
    /// Formula: `-ln(e^x / (e^x + R)) = ln(1 + R / e^x)`, with `R` the sum of the others.
    /// `R` costs another look at one block, and is only asked for where `p > 1/2`.
    #[inline(always)]
    pub(crate) fn loss<S: Simd, E: Element>(
        &self,
        simd: S,
        source: Source<'_, E>,
        total: Partial,
    ) -> (f64, f64) {
        let total = total.finite_or_nan();
        let loss = total.loss_of(self.logit);
        if loss < core::f64::consts::LN_2 {
            let start = self.index / BLOCK * BLOCK;
            let block = start..source.classes().min(start + BLOCK);
            let sum = source.sum_without(simd, block, self.index, self.reference);
            let rest = self.others.total().merge(Partial::new(self.reference, sum));
            (libm::log1p(rest.ratio_to_logit(self.logit)), rest.ratio(total))
        } else {
            (loss, 1.0 - libm::exp(-loss))
        }
    }
}

impl<E> Watch<E> for Rest {
    #[inline(always)]
    fn after(&mut self, start: usize, _max: f32, sum: Partial) {
        if self.index / BLOCK * BLOCK == start {
            self.reference = sum.reference();
            self.others.add(Partial::EMPTY);
        } else {
            self.others.add(sum);
        }
    }
}

/// The largest logit of a row, and the sum of the blocks without its first occurrence.
pub(crate) struct Top {
    pub(crate) max: f32,
    /// The index of its first occurrence.
    pub(crate) index: usize,
    others: Fold,
    all: Fold,
    reference: Reference,
}

impl Top {
    pub(crate) const NONE: Self = Self {
        max: f32::NEG_INFINITY,
        index: 0,
        others: Fold::EMPTY,
        all: Fold::EMPTY,
        reference: Reference { pivot: 0.0, exponent: 0 },
    };

    /// The largest logit as the one that is kept out.
    #[inline(always)]
    pub(crate) fn rest(&self) -> Rest {
        Rest { index: self.index, logit: self.max, others: self.others, reference: self.reference }
    }
}

impl<E: Element> Watch<E> for Top {
    #[inline(always)]
    fn before<S: Simd>(&mut self, _simd: S, start: usize, logits: &[E], max: f32) {
        if start == 0 || max > self.max {
            self.max = max;
            // Now, because the terms may be written over the logits.
            self.index = start + first_index(logits, max);
        }
    }

    #[inline(always)]
    fn after(&mut self, start: usize, _max: f32, sum: Partial) {
        if self.index >= start {
            self.reference = sum.reference();
            self.others = self.all;
            self.others.add(Partial::EMPTY);
        } else {
            self.others.add(sum);
        }
        self.all.add(sum);
    }
}
