//! One pass over the logits of a row, or of a part of it: the loop that adds terms.

use super::adder::{Adder, Pending};
use super::classes::STEP;
use super::logits::{Logits, Step};
use super::rows::{BLOCK, RowSum};
use crate::numbers::exp::{Exp, LaneReference, Reference};
use crate::simd::half::Line;
use crate::simd::{LANES, Lanes, Simd};

/// What is noted of the depths of a step: nothing, or all.
static NONE: [f32; LANES] = [0.0; LANES];
static ALL: [f32; LANES] = [f32::from_bits(u32::MAX); LANES];

/// What a pass needs to know.
pub(super) struct Pass<'a, S: Simd> {
    simd: S,
    exp: Exp<S>,
    reference: LaneReference<S>,
    /// What stands for logits past the end of the row: its depth is no reason to read the row again, and its term is not added.
    pub(super) pad: f32,
    /// With `MASK` the class that is left out, else the step that it is in.
    pub(super) label: usize,
    /// Whether sums begin here.
    pub(super) open: bool,
    /// How many values after each logit there is one to be asked for; 0 where there is none.
    pub(super) ahead: usize,
    /// The bits of depths.
    pub(super) seen: &'a mut [f32; LANES],
    /// A logit that is at least as large as all that are read, and what all are below it, times their terms.
    pub(super) from: f32,
    pub(super) distances: [f64; LANES],
    /// What is searched meanwhile, and the largest, in each lane, of each block of it.
    pub(super) next: Line<'a>,
    pub(super) found: &'a mut [[f32; LANES]],
}

impl<'a, S: Simd> Pass<'a, S> {
    #[inline(always)]
    pub(super) fn new(simd: S, reference: Reference, seen: &'a mut [f32; LANES]) -> Self {
        Self {
            simd,
            exp: Exp::new(simd),
            reference: LaneReference::splat(simd, reference),
            pad: if reference == Reference::TAME { 0.0 } else { f32::NEG_INFINITY },
            label: usize::MAX,
            open: false,
            ahead: 0,
            seen,
            from: 0.0,
            distances: [0.0; LANES],
            next: Line::F32(&[]),
            found: &mut [],
        }
    }

    /// Notes the depths of the step that a label is in: what stands for it in the loop has another one.
    #[inline(always)]
    pub(super) fn see<const CLAMP: bool>(&mut self, step: &Step) {
        let simd = self.simd;
        for part in simd.parts() {
            let mut seen = simd.load(self.seen, part);
            for x in simd.load_step(step, part) {
                let mut x = x - self.reference.pivot;
                if CLAMP {
                    x = self.reference.floor.max(x);
                }
                seen = seen.or(self.exp.depth(x, &self.reference));
            }
            seen.store(self.seen, part);
        }
    }

    /// Adds the terms of logits. With `MASK` the label is taken out of the powers of its step; without it its step is the copy.
    /// Without `PIVOT` the pivot is 0, without `CLAMP` no logit is below the floor. With `KEEP` terms are kept, in whole steps.
    #[inline(always)]
    pub(super) fn add<
        L: Logits<S>,
        const PIVOT: bool,
        const CLAMP: bool,
        const KEEP: bool,
        const MASK: bool,
        const DISTANCES: bool,
    >(
        &mut self,
        logits: L,
        copy: &Step,
        terms: &mut [f32],
        sum: &mut RowSum,
    ) {
        let (simd, whole) = (self.simd, logits.count() / STEP);
        let lines: &mut [Step] = terms.as_chunks_mut().0.as_chunks_mut().0;
        // The careful loops are compiled once, whether terms are kept or not.
        let kept = if CLAMP { whole.min(lines.len()) } else { whole };
        let (lines, last_line) = if KEEP { lines.split_at_mut(kept) } else { (lines, &mut [][..]) };
        let mut room = [[0.0; LANES]; 4];
        let tail = logits.tail(simd, &mut room);
        // Of the last step, which need not be whole, something else may be in the place of the label.
        let tail = if !MASK && self.label == whole { &copy.as_flattened()[..tail.len()] } else { tail };
        let zero = simd.splat(0.0);
        for part in simd.parts() {
            let (high, lows) = if self.open {
                (zero, zero)
            } else {
                (simd.load(&sum.high, part), simd.load(&sum.low, part))
            };
            let mut add = Adder::<S, PIVOT, CLAMP, MASK, DISTANCES> {
                label: self.label,
                simd,
                exp: self.exp,
                reference: self.reference,
                part,
                high,
                low: zero,
                lows,
                seen: simd.load(self.seen, part),
                from: simd.splat(self.from) - self.reference.pivot,
                distance: zero,
            };
            let mut largest = zero;
            let mut pending = Pending { power: [zero; 4], beyond: zero };
            // The first pass asks for whole cache lines.
            let ahead = if part == 0 { self.ahead } else { 0 };
            for i in 0..whole {
                let is_label = !MASK && i == self.label;
                let x = logits.step(simd, i, part, if MASK { None } else { Some((is_label, copy)) }, ahead);
                // However many logits this pass has, blocks end where they do in all other ways to read the row.
                if !i.is_multiple_of(BLOCK / STEP) {
                    add.add(&pending);
                } else if i > 0 {
                    add.add(&pending);
                    add.fold(&mut self.distances);
                }
                if L::SEARCHES && (i + 1) * STEP <= self.next.len() {
                    let [a, b, c, d] = self.next.step(simd, i, part, None, 0);
                    let of_step = a.max(b).max(c.max(d));
                    largest = if i.is_multiple_of(BLOCK / STEP) { of_step } else { of_step.max(largest) };
                    if let Some(found) = self.found.get_mut(i / (BLOCK / STEP)) {
                        largest.store(found, part);
                    }
                }
                let to = if KEEP { lines.get_mut(i) } else { None };
                pending = add.step(x, i, None, self.noted::<KEEP, MASK, CLAMP>(is_label, part), to);
            }
            if whole > 0 {
                add.add(&pending);
            }
            if !tail.is_empty() {
                if whole.is_multiple_of(BLOCK / STEP) {
                    add.fold(&mut self.distances);
                }
                let noted = self.noted::<KEEP, MASK, CLAMP>(!MASK && self.label == whole, part);
                let to = if KEEP { last_line.first_mut() } else { None };
                let tail = (tail, self.pad);
                // As many vectors as there are logits for in this part: the bits are those of a step with nothing in the others.
                let own = tail.0.len().saturating_sub(part * (LANES / S::PARTS));
                match own.div_ceil(LANES) {
                    0 => {}
                    1 if !S::SMALL => add.tail::<1>(tail, whole, noted, to),
                    2 if !S::SMALL => add.tail::<2>(tail, whole, noted, to),
                    3 if !S::SMALL => add.tail::<3>(tail, whole, noted, to),
                    _ => add.tail::<4>(tail, whole, noted, to),
                }
            }
            add.fold(&mut self.distances);
            add.high.store(&mut sum.high, part);
            add.lows.store(&mut sum.low, part);
            add.seen.store(self.seen, part);
        }
    }

    /// What is noted of a step's depths: nothing where something else stands for the label. (Where terms are not kept, or were
    /// read with care, nobody asks how low logits are.)
    #[inline(always)]
    fn noted<const KEEP: bool, const MASK: bool, const CLAMP: bool>(
        &self,
        is_label: bool,
        part: usize,
    ) -> Option<S::Lanes> {
        if !KEEP || MASK || CLAMP {
            return None;
        }
        let noted = self.simd.chosen(if is_label { &NONE } else { &ALL });
        Some(self.simd.load(noted, part))
    }
}
