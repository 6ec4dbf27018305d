//! Ordinary rows of many classes: against the reference that all such rows share, with no logit below its floor.
//!
//! Formula, identity and order of additions are those of [`rows`](super::rows), which reads all others.
//!
//! Trick: nearly all data runs through here, and of a hundred classes half of the time would go to what is around the loop. So
//! nothing is asked for each row that is the same for all: where the last whole step ends, what is beyond it, whether there are
//! labels.

use super::adder::{Adder, Pending};
use super::classes::STEP;
use super::logits::{Logits, Step};
use super::rows::{BLOCK, PART, RowSum, SumRows, close_all};
use crate::numbers::exp::{DEEPEST, Exp, LaneReference, Reference};
use crate::simd::half::{Half, LineRows};
use crate::simd::{LANES, Lanes, Simd};

/// What is noted of the depths of a step: nothing, or all.
static NONE: [f32; LANES] = [0.0; LANES];
static ALL: [f32; LANES] = [f32::from_bits(u32::MAX); LANES];

impl SumRows<'_> {
    /// Adds the terms of such rows; of halves no terms are kept.
    #[inline(always)]
    pub(super) fn add_tame<S: Simd>(self, simd: S) {
        let classes = self.rows.line(0).len();
        let masks = classes <= BLOCK && self.labels.iter().any(|label| *label < classes);
        match (self.rows, self.terms.is_empty(), masks) {
            (LineRows::F32(rows), true, false) => self.add_rows::<S, _, false, false>(simd, classes, rows),
            (LineRows::F32(rows), true, true) => self.add_rows::<S, _, false, true>(simd, classes, rows),
            (LineRows::F32(rows), false, false) => self.add_rows::<S, _, true, false>(simd, classes, rows),
            (LineRows::F32(rows), false, true) => self.add_rows::<S, _, true, true>(simd, classes, rows),
            (LineRows::Half(half, rows), _, false) => {
                self.add_rows::<S, _, false, false>(simd, classes, (half, rows));
            }
            (LineRows::Half(half, rows), _, true) => {
                self.add_rows::<S, _, false, true>(simd, classes, (half, rows));
            }
        }
    }

    /// With `MASK` labels are taken out of the powers of a step; without it their step is read from a copy, in which a logit
    /// stands in their place whose term is next to nothing. (A row of one block would wait for its copy.)
    #[inline(always)]
    fn add_rows<S: Simd, R: Rows<S>, const KEEP: bool, const MASK: bool>(
        self,
        simd: S,
        classes: usize,
        rows: R,
    ) {
        let Self { labels, terms, stride, sums, open, seen, close, ahead, .. } = self;
        // Where a vector has fewer than sixteen lanes each part of so many logits is a pass over them: they stay in the
        // nearest cache.
        let pass = if S::PARTS == 1 { PART } else { 4 * BLOCK };
        let mut copy = [[0.0; LANES]; 4];
        let mut row = Row::<S, KEEP, MASK> {
            simd,
            exp: Exp::new(simd),
            reference: LaneReference::splat(simd, Reference::TAME),
            label: 0,
            seen,
        };
        for (i, (label, sum)) in labels.iter().zip(&mut *sums).enumerate() {
            let logits = rows.row(i).part(0, classes);
            row.label = if MASK { *label } else { *label / STEP };
            if !MASK && *label < classes {
                copy = logits.step_at(simd, *label / STEP * STEP);
                row.see(&copy);
                copy.as_flattened_mut()[*label % STEP] = DEEPEST;
            }
            let ahead = ahead.get(i).copied().unwrap_or_default();
            let terms = if KEEP { &mut terms[i * stride..] } else { &mut [] };
            if open {
                sum.total = 0.0;
            }
            if classes <= BLOCK {
                row.add(logits, &copy, terms, sum, open, ahead);
                continue;
            }
            for start in (0..classes).step_by(pass) {
                let end = classes.min(start + pass);
                if start > 0 && start.is_multiple_of(PART) {
                    sum.close(simd);
                }
                let terms = if KEEP { &mut terms[start..] } else { &mut [] };
                row.label = (*label / STEP).wrapping_sub(start / STEP);
                row.add(logits.part(start, end), &copy, terms, sum, open && start == 0, ahead);
            }
        }
        if close {
            close_all(simd, sums, open);
        }
    }
}

/// Rows of logits.
trait Rows<S: Simd>: Copy {
    type Row: Logits<S>;

    fn row(self, row: usize) -> Self::Row;
}

impl<'a, S: Simd> Rows<S> for &'a [&'a [f32]] {
    type Row = &'a [f32];

    #[inline(always)]
    fn row(self, row: usize) -> &'a [f32] {
        self[row]
    }
}

impl<'a, S: Simd> Rows<S> for (Half, &'a [&'a [u16]]) {
    type Row = (Half, &'a [u16]);

    #[inline(always)]
    fn row(self, row: usize) -> Self::Row {
        (self.0, self.1[row])
    }
}

/// One row on its way, or a part of it.
struct Row<'a, S: Simd, const KEEP: bool, const MASK: bool> {
    simd: S,
    exp: Exp<S>,
    reference: LaneReference<S>,
    /// The label, or the step that it is in.
    label: usize,
    seen: &'a mut [f32; LANES],
}

impl<S: Simd, const KEEP: bool, const MASK: bool> Row<'_, S, KEEP, MASK> {
    /// Notes the depths of the step that a label is in: what stands for it has another one.
    #[inline(always)]
    fn see(&mut self, step: &Step) {
        let simd = self.simd;
        for part in 0..S::PARTS {
            let mut seen = simd.load(self.seen, part);
            for x in simd.load_step(step, part) {
                seen = seen.or(self.exp.depth(x, &self.reference));
            }
            seen.store(self.seen, part);
        }
    }

    /// Adds the terms of a row, or of a pass over it.
    #[inline(always)]
    fn add<L: Logits<S>>(
        &mut self,
        logits: L,
        copy: &Step,
        terms: &mut [f32],
        sum: &mut RowSum,
        open: bool,
        ahead: usize,
    ) {
        let simd = self.simd;
        let whole = logits.len() / STEP;
        let lines: &mut [Step] = terms.as_chunks_mut().0.as_chunks_mut().0;
        let (lines, last_line) = if KEEP { lines.split_at_mut(whole) } else { (lines, &mut [][..]) };
        let mut room = [[0.0; LANES]; 4];
        let tail = logits.tail(simd, &mut room);
        // Of the last step, which need not be whole, something else may be in the place of the label.
        let tail = if !MASK && self.label == whole { &copy.as_flattened()[..tail.len()] } else { tail };
        let zero = simd.splat(0.0);
        for part in 0..S::PARTS {
            let (high, lows) =
                if open { (zero, zero) } else { (simd.load(&sum.high, part), simd.load(&sum.low, part)) };
            let mut add = Adder::<S, false, false, MASK, false> {
                label: self.label,
                simd,
                exp: self.exp,
                reference: self.reference,
                part,
                high,
                low: zero,
                lows,
                seen: simd.load(self.seen, part),
                from: zero,
                distance: zero,
            };
            let mut pending = Pending { power: [zero; 4], beyond: zero };
            // The first pass asks for whole cache lines.
            let ahead = if part == 0 { ahead } else { 0 };
            for i in 0..whole {
                let is_label = !MASK && i == self.label;
                let x = logits.step(simd, i, part, if MASK { None } else { Some((is_label, copy)) }, ahead);
                if !i.is_multiple_of(BLOCK / STEP) {
                    add.add(&pending);
                } else if i > 0 {
                    add.add(&pending);
                    add.fold();
                }
                let to = if KEEP { lines.get_mut(i) } else { None };
                pending = add.step(x, i, None, self.noted(is_label, part), to);
            }
            if whole > 0 {
                add.add(&pending);
            }
            if !tail.is_empty() {
                if whole.is_multiple_of(BLOCK / STEP) {
                    add.fold();
                }
                let noted = self.noted(!MASK && self.label == whole, part);
                let to = if KEEP { last_line.first_mut() } else { None };
                // As many vectors as there are logits for: the bits are those of a step with nothing in the others.
                match (tail.len() - 1) / LANES {
                    0 => add_tail::<S, MASK, 1>(&mut add, tail, whole, noted, to),
                    1 => add_tail::<S, MASK, 2>(&mut add, tail, whole, noted, to),
                    2 => add_tail::<S, MASK, 3>(&mut add, tail, whole, noted, to),
                    _ => add_tail::<S, MASK, 4>(&mut add, tail, whole, noted, to),
                }
            }
            add.fold();
            add.high.store(&mut sum.high, part);
            add.lows.store(&mut sum.low, part);
            add.seen.store(self.seen, part);
        }
    }

    /// What is noted of a step's depths: nothing where something else stands for the label. (Where terms are not kept, nobody
    /// asks how low logits are.)
    #[inline(always)]
    fn noted(&self, is_label: bool, part: usize) -> Option<S::Lanes> {
        if !KEEP || MASK {
            return None;
        }
        let noted = self.simd.chosen(if is_label { &NONE } else { &ALL });
        Some(self.simd.load(noted, part))
    }
}

/// Adds the terms of the `N` vectors after the last whole step.
#[inline(always)]
fn add_tail<S: Simd, const MASK: bool, const N: usize>(
    add: &mut Adder<S, false, false, MASK, false>,
    tail: &[f32],
    step: usize,
    noted: Option<S::Lanes>,
    to: Option<&mut Step>,
) {
    let (lines, last) = tail.split_at((N - 1) * LANES);
    // 0 past the end of the row: its depth is no reason to read the row again, and its power is not added.
    let mut x = [add.simd.load_tail(last, add.part, 0.0); N];
    for (x, line) in x.iter_mut().zip(lines.as_chunks().0) {
        *x = add.simd.load(line, add.part);
    }
    let pending = add.step(x, step, Some(tail.len()), noted, to);
    add.add(&pending);
}
