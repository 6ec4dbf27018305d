//! Sums of the terms of a group's rows, against the reference that all ordinary rows share, or their own.

use super::{Care, FEW, Groups, Lines};
use crate::engine::long;
use crate::engine::options::Sums;
use crate::kernels::few::SumFew;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum, NO_LABEL};
use crate::kernels::maximum::{Argmax, Largest};
use crate::kernels::rows::{RowSum, SumRows};
use crate::kernels::tiles::SumLines;
use crate::numbers::exp::{NO_DEPTH, Reference, all_depths, are_shallow};
use crate::simd::LANES;

/// From so many rows on a tile costs less than its rows one by one; the bits are the same.
pub(in crate::engine) const ENOUGH: usize = 3;

impl Groups {
    /// Notes the labels' logits, and that nothing is known of terms.
    pub(in crate::engine) fn begin(&self, group: &mut Group, lines: &Lines<'_>) {
        group.shallow = self.classes > FEW;
        if group.labels == [NO_LABEL; LANES] {
            group.ends.logit = [f32::NEG_INFINITY; LANES];
        } else {
            for i in 0..group.len {
                group.ends.logit[i] = lines.line(i).get(group.labels[i]).unwrap_or(f32::NEG_INFINITY);
            }
        }
    }

    /// Sums the terms of a group's rows, all but the labels', and finds their references.
    pub(in crate::engine) fn read(
        &mut self,
        sums: &Sums<'_>,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        parts: &mut Vec<RowSum>,
    ) {
        self.begin(group, lines);
        if let Sums::Saved(sums) = sums {
            return self.known(group, lines, terms, sums);
        }
        if let Sums::Merged(rows) = sums {
            return self.merged(group, lines, terms, rows);
        }
        let mut references = [Reference::TAME; LANES];
        if self.classes <= FEW {
            self.sum_few(group, lines, terms, &mut references);
        } else if let (Some(join), 1) = (self.join, group.len) {
            long::read(self, join, group, lines, terms, &mut references, parts);
        } else {
            self.sum_many(group, lines, terms, &mut references);
        }
        group.ends.refer_to(&references);
    }

    fn sum_few(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        references: &mut [Reference; LANES],
    ) {
        let len = group.len;
        if len < ENOUGH || (1..LANES * self.stride).contains(&terms.len()) {
            return self.token.run(SumFew {
                rows: &lines.logits[..len],
                labels: &group.labels[..len],
                terms: terms.as_chunks_mut().0,
                rest: &mut group.ends.rest,
                max: &mut group.max,
                references,
            });
        }
        self.sum_tile(group, lines, false, terms);
        for (i, reference) in references.iter_mut().enumerate() {
            *reference = Reference { pivot: group.ends.pivot[i], exponent: group.ends.exponent[i] };
        }
    }

    /// Against the common reference first, unless the rows before had others; then, where that was not right, against
    /// their own.
    fn sum_many(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        references: &mut [Reference; LANES],
    ) {
        group.max = [0.0; LANES];
        if self.tame.care == Care::Refer {
            self.refer(group, lines, references);
            self.sum(group, lines, terms, 0..group.len, references, true);
            return;
        }
        if !self.sum_common(group, lines, terms, &mut []) {
            self.refer_again(group, lines, terms, references);
        }
    }

    /// Against the common reference; tells whether that was right. The terms of the last row may have a place of their own.
    pub(in crate::engine) fn sum_common(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        last_terms: &mut [f32],
    ) -> bool {
        let (all, mut tame) = (0..group.len, self.tame);
        let apart = if last_terms.is_empty() { group.len } else { group.len - 1 };
        let right = tame.read(|tame, careful| {
            let mut depths = 0;
            for (rows, terms) in [(0..apart, &mut *terms), (apart..group.len, &mut *last_terms)] {
                if !rows.is_empty() {
                    depths |= self.sum(group, lines, terms, rows, &[Reference::TAME; LANES], careful);
                }
            }
            all.clone().all(|i| tame.holds(group.ends.rest[i], group.ends.logit[i])).then_some(depths)
        });
        self.tame = tame;
        right
    }

    /// Sums the terms of a group whose rows were read against the common reference, where that was not right: with more
    /// care first.
    pub(in crate::engine) fn read_again(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        references: &mut [Reference; LANES],
    ) {
        if self.tame.care == Care::None {
            self.tame.care = Care::Clamp;
            if self.sum_common(group, lines, terms, &mut []) {
                return;
            }
        }
        self.refer_again(group, lines, terms, references);
    }

    /// Sums the terms of those rows of a group that have references of their own.
    fn refer_again(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        references: &mut [Reference; LANES],
    ) {
        self.refer(group, lines, references);
        for i in 0..group.len {
            if references[i] != Reference::TAME {
                let terms = if terms.is_empty() { &mut [] } else { &mut terms[i * self.stride..] };
                self.sum(group, lines, terms, i..i + 1, references, true);
            }
        }
    }

    /// Against references that are known.
    fn sum_known(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        references: &[Reference; LANES],
    ) {
        let (all, mut tame) = (0..group.len, self.tame);
        if references[all.clone()].iter().any(|reference| *reference != Reference::TAME) {
            self.sum(group, lines, terms, all, references, true);
            return;
        }
        // Where it is not right with care either, the sums are what they are.
        tame.read(|_, careful| {
            let depths = self.sum(group, lines, terms, all.clone(), references, careful);
            group.ends.rest[all.clone()].iter().all(|rest| rest.is_finite()).then_some(depths)
        });
        self.tame = tame;
    }

    /// Finds the largest logits, and the references that they ask for.
    pub(in crate::engine) fn refer(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        references: &mut [Reference; LANES],
    ) {
        let len = group.len;
        let (rows, low) = (lines.rows(0..len), self.tame.low);
        self.token.run(Largest { rows, low, max: &mut group.max, references });
        let own = references[..len].iter().any(|reference| *reference != Reference::TAME);
        self.tame.care = if own { Care::Refer } else { Care::Clamp };
    }

    /// Sums the terms of some rows of a group, and keeps them from the first of these rows on; returns the bits of all depths.
    fn sum(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        rows: core::ops::Range<usize>,
        references: &[Reference; LANES],
        careful: bool,
    ) -> u32 {
        let mut seen = [NO_DEPTH; LANES];
        let keep = !terms.is_empty();
        let sums = &mut self.sums[rows.clone()];
        self.token.run(SumRows {
            rows: lines.rows(rows.clone()),
            labels: &group.labels[rows.clone()],
            references: &references[rows.clone()],
            careful,
            terms,
            stride: if keep { self.stride } else { 0 },
            sums: &mut *sums,
            seen: &mut seen,
            ahead: &self.ahead[rows.clone()],
        });
        for (i, sum) in rows.zip(sums) {
            group.ends.rest[i] = sum.total;
        }
        let depths = all_depths(&seen);
        group.shallow &= are_shallow(depths);
        depths
    }

    /// Takes sums that were saved, and makes the terms that results are made of.
    fn known(&mut self, group: &mut Group, lines: &Lines<'_>, terms: &mut [f32], sums: &[crate::LogSumExp]) {
        let mut references = [Reference::TAME; LANES];
        for i in 0..group.len {
            references[i] = sums[group.rows[i]].reference();
        }
        if self.classes <= FEW {
            let mut own = references;
            self.sum_few(group, lines, terms, &mut own);
            let len = group.len;
            if own[..len] != references[..len] {
                // A sum over more classes than there are here: against its reference.
                self.sum_known(group, lines, terms, &references);
            }
        } else {
            self.sum_known(group, lines, terms, &references);
        }
        group.ends.refer_to(&references);
        take_saved(group, sums);
    }

    /// Takes what is known of whole rows, and makes the terms of the classes at hand.
    fn merged(
        &mut self,
        group: &mut Group,
        lines: &Lines<'_>,
        terms: &mut [f32],
        rows: &[crate::PartialRow],
    ) {
        let mut references = [Reference::TAME; LANES];
        for i in 0..group.len {
            references[i] = rows[group.rows[i]].reference();
        }
        if !terms.is_empty() {
            self.sum_known(group, lines, terms, &references);
        }
        group.ends.refer_to(&references);
        for i in 0..group.len {
            let row = &rows[group.rows[i]];
            (group.ends.rest[i], group.ends.logit[i], group.max[i]) = (row.rest, row.logit, row.max);
        }
    }

    /// Sums a group's rows by a tile; lanes without a row repeat the first.
    fn sum_tile(&mut self, group: &mut Group, lines: &Lines<'_>, by_largest: bool, terms: &mut [f32]) {
        let mut rows = [lines.logits[0]; LANES];
        rows[..group.len].copy_from_slice(&lines.logits[..group.len]);
        let (tile, stride) = (&mut self.tile[..], self.stride);
        self.token.run(SumLines { group, rows: &rows, tile, by_largest, terms, stride });
    }

    /// As [`of_largest`](Self::of_largest), of all rows of a group, in its labels and losses: of few classes, where a tile
    /// costs less than rows one by one.
    pub(in crate::engine) fn all_of_largest(&mut self, group: &Group, lines: &Lines<'_>) -> Option<Group> {
        if self.classes > FEW || group.len < ENOUGH {
            return None;
        }
        let mut top = Group { len: group.len, ..Group::EMPTY };
        self.sum_tile(&mut top, lines, true, &mut []);
        let mut sum = LossSum::EMPTY;
        let groups = core::slice::from_mut(&mut top);
        self.token.run(Finish { groups, labels: true, losses: Some(&mut sum), logs: false, factors: false });
        Some(top)
    }

    /// The class of a row's largest logit, the loss that a row with this label would have, and the sum of all terms.
    pub(in crate::engine) fn of_largest(
        &mut self,
        logits: &[f32],
        reference: Reference,
    ) -> (usize, f64, f64) {
        let class = self.token.run(Argmax { row: logits });
        let mut sum = LossSum::EMPTY;
        let group = self.alone(logits, class, reference, Some(&mut sum));
        (class, group.loss[0], group.ends.sum[0])
    }

    /// Reads a row as a group of its own, with a label or with none, whose loss is wanted, or the logarithm of its sum.
    fn alone(
        &mut self,
        logits: &[f32],
        label: usize,
        reference: Reference,
        losses: Option<&mut LossSum>,
    ) -> &Group {
        let mut spare = core::mem::take(&mut self.spare);
        spare.resize_with(1, || Group::EMPTY);
        let group = &mut spare[0];
        group.len = 1;
        group.labels[0] = label;
        group.ends.logit[0] = logits.get(label).copied().unwrap_or(f32::NEG_INFINITY);
        let lines = Lines { logits: &[logits], ..Lines::EMPTY };
        let mut references = [reference; LANES];
        if self.classes <= FEW {
            self.sum_few(group, &lines, &mut [], &mut references);
        } else {
            self.sum(group, &lines, &mut [], 0..1, &references, true);
        }
        group.ends.refer_to(&references);
        let (labels, logs) = (losses.is_some(), losses.is_none());
        self.token.run(Finish { groups: &mut spare, labels, losses, logs, factors: false });
        self.spare = spare;
        &self.spare[0]
    }

    /// The sum of all terms of one row.
    pub(in crate::engine) fn whole(&mut self, logits: &[f32], reference: Reference) -> Group {
        self.alone(logits, NO_LABEL, reference, None).clone()
    }
}

/// Takes sums that were saved in place of those of the logits at hand.
pub(in crate::engine) fn take_saved(group: &mut Group, sums: &[crate::LogSumExp]) {
    for i in 0..group.len {
        let (saved, ends) = (&sums[group.rows[i]], &mut group.ends);
        group.max[i] = saved.max;
        ends.rest[i] =
            if group.labels[i] == NO_LABEL { saved.sum() } else { saved.beside(ends.logit[i], ends.rest[i]) };
    }
}
