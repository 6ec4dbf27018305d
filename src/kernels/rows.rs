//! Rows of many classes: classes in the lanes, row after row.
//!
//! Formula: `sum e^(x_j - m)` over all classes but the label.
//!
//! Identity: the terms of all rows whose logits are ordinary can be taken against one reference, `2^-64`: whether they
//! can is seen from their bits and from the sum, so that no row is searched for its largest logit first.
//!
//! Trick: a row is added in steps of four vectors (`adder.rs`), whose loop has no branch that depends on a logit.

use core::hint::black_box;

use super::Kernel;
use super::adder::{Adder, Pending};
use super::classes::STEP;
use super::logits::prefetch;
use super::maximum::largest_lane;
use crate::numbers::exp::{Exp, LaneReference, Reference};
use crate::simd::half::{Line, LineRows};
use crate::simd::{LANES, Lanes, Simd};

/// Logits of a block: those whose low parts are summed together.
pub(crate) const BLOCK: usize = 512;

/// Logits of a part: what one thread takes of a long row, and what one f32 sum holds.
pub(crate) const PART: usize = 16384;

/// A step that stands for none.
static NOTHING: [[f32; LANES]; 4] = [[0.0; LANES]; 4];

/// The sum of a row: of the parts before in f64, of the open one lane by lane, in two f32.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct RowSum {
    pub(super) high: [f32; LANES],
    pub(super) low: [f32; LANES],
    pub(crate) total: f64,
}

impl RowSum {
    pub(crate) const EMPTY: Self = Self { high: [0.0; LANES], low: [0.0; LANES], total: 0.0 };
}

/// Adds the terms of rows, or of one part of each, to their sums.
pub(crate) struct SumRows<'a> {
    pub(crate) rows: LineRows<'a>,
    /// The classes that are left out, counted from the first that is given.
    pub(crate) labels: &'a [usize],
    pub(crate) references: &'a [Reference],
    /// Whether there may be other references than the common one, or logits below its floor.
    pub(crate) careful: bool,
    /// Where terms are kept, rows `stride` apart, with room for whole steps; empty if they are not.
    pub(crate) terms: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) sums: &'a mut [RowSum],
    /// Whether the rows begin here.
    pub(crate) open: bool,
    /// The bits of the depths of all terms: they tell whether the sums are what they should be.
    pub(crate) seen: &'a mut [f32; LANES],
    /// Whether the rows, or their parts, end here.
    pub(crate) close: bool,
    /// How many values after each logit there is one that is asked for before it is needed: a logit that is read next, or the
    /// place of a result. 0 where nothing is. Of rows of f32 alone.
    pub(crate) ahead: &'a [usize],
}

impl Kernel for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let keeps_of_halves = matches!(self.rows, LineRows::Half(..)) && !self.terms.is_empty();
        if !self.careful && !S::SMALL && !keeps_of_halves && !self.labels.is_empty() {
            return self.add_tame(simd);
        }
        let Self { rows, labels, references, terms, stride, sums, open, seen, close, ahead, .. } = self;
        let mut lines = terms.chunks_mut(stride.max(1));
        let mut ahead = ahead.iter();
        for (i, ((&label, reference), sum)) in labels.iter().zip(references).zip(&mut *sums).enumerate() {
            let logits = rows.line(i);
            let ahead = match logits {
                Line::F32(_) => ahead.next().copied().unwrap_or_default(),
                Line::Half(..) => 0,
            };
            if open {
                *sum = RowSum::EMPTY;
            }
            let mut row = Row {
                simd,
                logits,
                label,
                reference: *reference,
                sum,
                seen,
                ahead,
                from: 0.0,
                distances: [0.0; LANES],
            };
            let terms = lines.next().unwrap_or_default();
            // Few rows: a loop for those whose terms are not kept would hardly run.
            row.read(terms);
        }
        if close {
            close_all(simd, sums, open);
        }
    }
}

/// Adds what the lanes hold to the totals: of all rows afterwards, so that none waits for what it has just stored.
#[inline(always)]
pub(super) fn close_all<S: Simd>(simd: S, sums: &mut [RowSum], open: bool) {
    for sum in sums {
        if open {
            // What the lanes hold stays at hand.
            sum.total += simd.sum_lanes(&sum.high, &sum.low);
        } else {
            sum.close(simd);
        }
    }
}

impl RowSum {
    /// Adds what the lanes hold to the total.
    #[inline(always)]
    pub(super) fn close<S: Simd>(&mut self, simd: S) {
        self.total += simd.sum_lanes(&self.high, &self.low);
        (self.high, self.low) = ([0.0; LANES], [0.0; LANES]);
    }

    /// The largest sum of a lane, but for what is in low parts.
    pub(crate) fn largest_lane(&self) -> f32 {
        largest_lane(self.high)
    }

    /// What the lanes hold once one is replaced.
    #[inline(always)]
    pub(super) fn with_lane<S: Simd>(mut self, simd: S, lane: usize, high: f32, low: f32) -> f64 {
        (self.high[lane], self.low[lane]) = (high, low);
        simd.sum_lanes(&self.high, &self.low)
    }
}

/// One row, or a part of it.
pub(super) struct Row<'a, S> {
    pub(super) simd: S,
    pub(super) logits: Line<'a>,
    pub(super) label: usize,
    pub(super) reference: Reference,
    pub(super) sum: &'a mut RowSum,
    pub(super) seen: &'a mut [f32; LANES],
    pub(super) ahead: usize,
    /// A logit that is at least as large as all that are read, and what all are below it, times their terms.
    pub(super) from: f32,
    pub(super) distances: [f32; LANES],
}

impl<S: Simd> Row<'_, S> {
    /// Where a vector has fewer than sixteen lanes each part of so many logits is a pass over them: they stay in the nearest
    /// cache.
    const PASS: usize = if S::PARTS == 1 { PART } else { 4 * BLOCK };

    #[inline(always)]
    fn read(&mut self, terms: &mut [f32]) {
        if self.logits.len() <= BLOCK {
            return self.read_block(terms);
        }
        let mut copy;
        // In place of the label's logit there is one whose term is next to nothing: its step is read from a copy.
        if self.label < self.logits.len() {
            copy = self.step_of_label();
            self.see(&copy);
            copy.as_flattened_mut()[self.label % STEP] = f32::NEG_INFINITY;
        } else {
            copy = NOTHING;
        }
        for start in (0..self.logits.len()).step_by(Self::PASS) {
            let block = self.logits.part(start, Self::PASS);
            if start > 0 && start.is_multiple_of(PART) {
                self.sum.close(self.simd);
            }
            // Empty where they are not kept.
            let terms =
                terms.get_mut(start..(start + block.len()).next_multiple_of(STEP)).unwrap_or_default();
            let label = (self.label / STEP).wrapping_sub(start / STEP);
            self.block::<true, true, false, false>(block, label, &copy, terms);
        }
    }

    /// Reads a row of one block, or the one that is there. It would wait for the copy: its label's term is taken out where
    /// it is.
    #[inline(always)]
    fn read_block(&mut self, terms: &mut [f32]) {
        if self.label < self.logits.len() {
            self.read_labelled::<true, true>(terms);
        } else {
            self.read_unlabelled::<true, true, false>(terms);
        }
    }

    /// As [`read_block`](Self::read_block), with a label that is one of the classes.
    #[inline(always)]
    pub(super) fn read_labelled<const PIVOT: bool, const KEEP: bool>(&mut self, terms: &mut [f32]) {
        self.block::<PIVOT, KEEP, true, false>(self.logits, self.label, &NOTHING, terms);
    }

    /// As [`read_block`](Self::read_block), with all classes.
    #[inline(always)]
    pub(super) fn read_unlabelled<const PIVOT: bool, const KEEP: bool, const DISTANCES: bool>(
        &mut self,
        terms: &mut [f32],
    ) {
        self.block::<PIVOT, KEEP, false, DISTANCES>(self.logits, usize::MAX, &NOTHING, terms);
    }

    /// The step that the label is in.
    #[inline(always)]
    fn step_of_label(&self) -> [[f32; LANES]; 4] {
        let start = self.label / STEP * STEP;
        if let Line::F32(logits) = self.logits
            && let Some(step) = logits[start..].as_chunks().0.first_chunk()
        {
            return *step;
        }
        let mut copy = [[self.pad(); LANES]; 4];
        match self.logits {
            Line::F32(logits) => {
                copy.as_flattened_mut()[..logits.len() - start].copy_from_slice(&logits[start..]);
            }
            Line::Half(..) => {
                self.logits.block(self.simd, start, STEP, copy.as_flattened_mut());
            }
        }
        copy
    }

    /// What stands for logits past the end of the row: its term is not added, and its depth is no reason to read the row again.
    #[inline(always)]
    fn pad(&self) -> f32 {
        if self.reference == Reference::TAME { 0.0 } else { f32::NEG_INFINITY }
    }

    /// Notes the depths of the step that the label is in.
    #[inline(always)]
    fn see(&mut self, step: &[[f32; LANES]; 4]) {
        let simd = self.simd;
        let exp = Exp::new(simd);
        let reference = LaneReference::splat(simd, self.reference);
        for part in 0..S::PARTS {
            let mut seen = simd.load(self.seen, part);
            for x in simd.load_step(step, part) {
                let x = reference.floor.max(x - reference.pivot);
                seen = seen.or(exp.depth(x, &reference));
            }
            seen.store(self.seen, part);
        }
    }

    /// Adds the terms of a block. The step with the label is that of the copy; or, with `MASK`, the label is a class, and
    /// its term is not added.
    #[inline(always)]
    fn block<const PIVOT: bool, const KEEP: bool, const MASK: bool, const DISTANCES: bool>(
        &mut self,
        block: Line<'_>,
        label: usize,
        copy: &[[f32; LANES]; 4],
        terms: &mut [f32],
    ) {
        let simd = self.simd;
        let exp = Exp::new(simd);
        let reference = LaneReference::splat(simd, self.reference);
        let whole = block.len() / STEP;
        let tail = block.part(whole * STEP, STEP);
        // Either are there.
        let (steps, half_steps) = (block.steps(), block.half_steps());
        for part in 0..S::PARTS {
            let mut add = Adder::<S, PIVOT, true, MASK, DISTANCES> {
                label,
                simd,
                exp,
                reference,
                part,
                high: simd.load(&self.sum.high, part),
                low: simd.splat(0.0),
                lows: simd.load(&self.sum.low, part),
                seen: simd.load(self.seen, part),
                from: simd.splat(self.from) - reference.pivot,
                distance: simd.splat(0.0),
            };
            let zero = simd.splat(0.0);
            let mut pending = Pending { power: [zero; 4], beyond: zero };
            let lines = terms.as_chunks_mut().0.as_chunks_mut().0;
            // The first pass asks for whole cache lines.
            let ahead = if part == 0 { self.ahead } else { 0 };
            for i in 0..whole {
                // The type is a branch that is always foreseen: the sums are compiled once for all.
                let x = if let Some(step) = steps.get(i) {
                    if ahead != 0 {
                        prefetch(simd, step, ahead);
                    }
                    // Chosen without a branch, which would be foreseen for one row and not for the next.
                    simd.load_step(
                        if MASK { step } else { simd.chosen(if i == label { copy } else { step }) },
                        part,
                    )
                } else if let (Some((half, steps)), true) = (half_steps, MASK || i != label) {
                    simd.widen_step(half, &steps[i], part)
                } else {
                    simd.load_step(copy, part)
                };
                let to = if KEEP { lines.get_mut(i) } else { None };
                // However many logits this pass has, blocks end where they do in all other ways to read the row.
                if !i.is_multiple_of(BLOCK / STEP) {
                    add.add(&pending);
                } else if i > 0 {
                    add.add(&pending);
                    add.fold();
                }
                pending = add.step(x, i, None, None, to);
            }
            if whole > 0 {
                add.add(&pending);
            }
            if tail.len() > 0 {
                // What a tail alone needs must not be computed for rows without one, as a compiler would.
                let tail = black_box(tail);
                if whole.is_multiple_of(BLOCK / STEP) {
                    add.fold();
                }
                let mut room;
                let tail = match tail {
                    _ if !MASK && whole == label => &copy.as_flattened()[..tail.len()],
                    Line::F32(tail) => tail,
                    Line::Half(..) => {
                        room = [0.0; STEP];
                        tail.block(simd, 0, STEP, &mut room)
                    }
                };
                let to = if KEEP { lines.get_mut(whole) } else { None };
                let len = Some(tail.len());
                // Half a step where that is enough, of ordinary rows: what a whole one adds beyond it is nothing.
                if tail.len() <= STEP / 2 && !PIVOT {
                    let last = add.step::<2>(load_tail(simd, tail, part, self.pad()), whole, len, None, to);
                    add.add(&last);
                } else {
                    let last = add.step::<4>(load_tail(simd, tail, part, self.pad()), whole, len, None, to);
                    add.add(&last);
                }
            }
            add.fold();
            add.high.store(&mut self.sum.high, part);
            add.lows.store(&mut self.sum.low, part);
            add.seen.store(self.seen, part);
            if DISTANCES {
                add.distance.store(&mut self.distances, part);
            }
        }
    }
}

/// Loads what is left of a row after its last whole step.
#[inline(always)]
fn load_tail<S: Simd, const N: usize>(simd: S, tail: &[f32], part: usize, pad: f32) -> [S::Lanes; N] {
    let mut x = [simd.splat(pad); N];
    for (x, from) in x.iter_mut().zip(tail.chunks(LANES)) {
        *x = simd.load_tail(from, part, pad);
    }
    x
}
