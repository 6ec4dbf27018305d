//! Rows of many classes: classes in the lanes, row after row.
//!
//! Formula: `sum e^(x_j - m)` over all classes but the label.
//!
//! Identity: the terms of all rows whose logits are ordinary can be taken against one reference, `2^-64`: whether they
//! can is seen from their bits and from the sum, so that no row is searched for its largest logit first.
//!
//! Trick: a row is added in steps of four vectors (`adder.rs`), whose loop has no branch that depends on a logit.

use super::Kernel;
use super::classes::STEP;
use super::logits::Logits;
use super::pass::Pass;
use crate::numbers::exp::Reference;
use crate::simd::half::{Line, LineRows};
use crate::simd::{LANES, Simd};

/// Logits of a block: those whose low parts are summed together.
pub(crate) const BLOCK: usize = 512;

/// Logits of a part: what one thread takes of a long row, and what one f32 sum holds.
pub(crate) const PART: usize = 16384;

/// A step that stands for none.
pub(super) static NOTHING: [[f32; LANES]; 4] = [[0.0; LANES]; 4];

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
    /// Where terms are kept, rows `stride` apart, in whole steps, the last of which may be written over the row behind; empty if they
    /// are not.
    pub(crate) terms: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) sums: &'a mut [RowSum],
    /// The bits of the depths of all terms: they tell whether the sums are what they should be.
    pub(crate) seen: &'a mut [f32; LANES],
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
        let Self { rows, labels, references, terms, stride, sums, seen, ahead, .. } = self;
        let mut ahead = ahead.iter();
        for (i, ((&label, reference), sum)) in labels.iter().zip(references).zip(&mut *sums).enumerate() {
            let logits = rows.line(i);
            let ahead = match logits {
                Line::F32(_) => ahead.next().copied().unwrap_or_default(),
                Line::Half(..) => 0,
            };
            *sum = RowSum::EMPTY;
            let mut pass = Pass::new(simd, *reference, seen);
            pass.ahead = ahead;
            let mut row = Row { simd, logits, label, sum, pass };
            let terms = if terms.is_empty() { &mut [] } else { &mut terms[i * stride..] };
            // Few rows: a loop for those whose terms are not kept would hardly run.
            row.read(terms);
        }
        close_all(simd, sums);
    }
}

/// Adds what the lanes hold to the totals: of all rows afterwards, so that none waits for what it has just stored.
#[inline(always)]
pub(super) fn close_all<S: Simd>(simd: S, sums: &mut [RowSum]) {
    for sum in sums {
        // What the lanes hold stays at hand.
        sum.total += simd.sum_lanes(&sum.high, &sum.low);
    }
}

impl RowSum {
    /// Adds what the lanes hold to the total.
    #[inline(always)]
    pub(super) fn close<S: Simd>(&mut self, simd: S) {
        self.total += simd.sum_lanes(&self.high, &self.low);
        (self.high, self.low) = ([0.0; LANES], [0.0; LANES]);
    }

    /// What the lanes hold once one is replaced.
    #[inline(always)]
    pub(super) fn with_lane<S: Simd>(mut self, simd: S, lane: usize, high: f32, low: f32) -> f64 {
        (self.high[lane], self.low[lane]) = (high, low);
        simd.sum_lanes(&self.high, &self.low)
    }
}

/// How many logits are a pass: where a vector has fewer than sixteen lanes each part of so many is one by itself, and they stay in
/// the nearest cache.
pub(super) const fn pass_len<S: Simd>() -> usize {
    if S::PARTS == 1 { PART } else { 4 * BLOCK }
}

/// One row, or a part of it, read with care.
pub(super) struct Row<'a, S: Simd> {
    pub(super) simd: S,
    pub(super) logits: Line<'a>,
    pub(super) label: usize,
    pub(super) sum: &'a mut RowSum,
    pub(super) pass: Pass<'a, S>,
}

impl<S: Simd> Row<'_, S> {
    #[inline(always)]
    fn read(&mut self, terms: &mut [f32]) {
        let Self { simd, logits, label, .. } = *self;
        if logits.len() <= BLOCK {
            if label < logits.len() {
                return self.read_labelled::<true>(terms);
            }
            return self.read_unlabelled(terms);
        }
        let mut copy = [[0.0; LANES]; 4];
        // In place of the label's logit there is -inf: its step is read from a copy.
        if label < logits.len() {
            copy = logits.step_at(simd, label / STEP * STEP);
            self.pass.see::<true>(&copy);
            copy.as_flattened_mut()[label % STEP] = f32::NEG_INFINITY;
        }
        for start in (0..logits.len()).step_by(pass_len::<S>()) {
            let block = logits.part(start, pass_len::<S>());
            if start > 0 && start.is_multiple_of(PART) {
                self.sum.close(simd);
            }
            // Empty where they are not kept.
            let terms =
                terms.get_mut(start..(start + block.len()).next_multiple_of(STEP)).unwrap_or_default();
            self.pass.label = (label / STEP).wrapping_sub(start / STEP);
            self.pass.add::<_, true, true, true, false, false>(block, &copy, terms, self.sum);
        }
    }

    /// Reads a row of one block, or the one that is there, with a label that is one of the classes. It would wait for a copy: the
    /// label's term is taken out where it is.
    #[inline(always)]
    pub(super) fn read_labelled<const KEEP: bool>(&mut self, terms: &mut [f32]) {
        self.pass.label = self.label;
        self.pass.add::<_, true, true, KEEP, true, false>(self.logits, &NOTHING, terms, self.sum);
    }

    /// Reads a row of one block, or the one that is there, with all classes.
    #[inline(always)]
    fn read_unlabelled(&mut self, terms: &mut [f32]) {
        self.pass.label = usize::MAX;
        self.pass.add::<_, true, true, true, false, false>(self.logits, &NOTHING, terms, self.sum);
    }
}
