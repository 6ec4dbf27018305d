//! Rows of which only some classes are here: what there is to be known of them is written, so that others can merge it.
//!
//! A row is read in the parts that a whole row is read in, against the same reference, so that sums of parts have the bits of a
//! row that has all classes; they are merged in their order, as they are added there.

use super::parallel::{Cut, Join};
use super::rows::{Care, Tame, make_room};
use super::scratch::Scratch;
use super::total::Total;
use crate::PartialRow;
use crate::kernels::gather::Gather;
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::map::{Map, MapLogits};
use crate::kernels::masses::Uniform;
use crate::kernels::maximum::{Argmax, Largest};
pub(crate) use crate::kernels::rows::PART;
use crate::kernels::rows::{RowSum, SumRows};
use crate::numbers::exp::{NO_DEPTH, Reference, all_depths};
use crate::numbers::log_sum_exp::{Apart, LogSumExp};
use crate::simd::half::LineRows;
use crate::simd::strided::Strided;
use crate::simd::{LANES, Token};
use crate::views::labels::RowLabels;

/// One call, or some of its rows.
pub(crate) struct ShardCall<'a> {
    pub(crate) logits: Strided<'a>,
    pub(crate) labels: RowLabels<'a>,
    pub(crate) map: Map<'a>,
    /// Of rows; those of weight 0 are not read.
    pub(crate) weights: Option<&'a [f32]>,
    /// Which of all classes the first one is, and how many there are.
    pub(crate) first: usize,
    pub(crate) total: usize,
    /// Whether it is counted which classes take part.
    pub(crate) counts: bool,
    /// One value per row: of the first part, or of all.
    pub(crate) to: &'a mut [PartialRow],
    /// The same of one part each, in the last one of all that are left.
    pub(crate) others: Vec<&'a mut [PartialRow]>,
}

impl Cut for ShardCall<'_> {
    const CUTS_WITHIN_ROWS: bool = false;

    fn shape(&self) -> (usize, usize) {
        (self.logits.layout().rows, self.logits.layout().classes)
    }

    fn seam(&self, near: usize) -> Option<usize> {
        self.logits.layout().seam(near)
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (rows, classes) = self.shape();
        let Self { logits, labels, map, weights, first, total, counts, to, others } = self;
        let (logits, other_logits) = (logits.part(0, row), logits.part(row, rows - row));
        let (labels, other_labels) = labels.split_at(row);
        let (map, other_map) = map.split_at(row, classes);
        let (weights, other_weights) = weights.map(|weights| weights.split_at(row)).unzip();
        let (to, other_to) = to.split_at_mut(row);
        let (others, other_others) = others.into_iter().map(|to| to.split_at_mut(row)).unzip();
        (
            Self { logits, labels, map, weights, first, total, counts, to, others },
            Self {
                logits: other_logits,
                labels: other_labels,
                map: other_map,
                weights: other_weights,
                first,
                total,
                counts,
                to: other_to,
                others: other_others,
            },
        )
    }

    fn run(&mut self, token: Token, scratch: &mut Scratch, _join: Option<Join>) -> Total {
        let (rows, classes) = self.shape();
        let stride = classes.next_multiple_of(LANES);
        let columns = self.logits.layout().class_step != 1;
        let copies = !self.logits.are_slices() || !self.map.is_none();
        // Neighbours in memory are copied sixteen at a time.
        let at_once = if copies && !columns { 1 } else { LANES };
        for first in (0..rows).step_by(at_once) {
            let mut group = Group { len: (rows - first).min(at_once), ..Group::EMPTY };
            for (i, row) in group.rows.iter_mut().enumerate() {
                *row = first + if i < group.len { i } else { 0 };
            }
            self.labels.classes(first, &mut group.labels[..group.len]);
            if copies {
                make_room(&mut scratch.lines, at_once * stride);
                let to = &mut scratch.lines[..];
                token.run(Gather { from: self.logits, mask: self.map.mask, group: &group, to, stride });
            }
            for i in 0..group.len {
                let (row, label) = (first + i, group.labels[i]);
                if label == NO_LABEL || self.weights.is_some_and(|weights| weights[row] == 0.0) {
                    self.clear(row);
                    continue;
                }
                let logits = if copies {
                    let line = &mut scratch.lines[i * stride..][..stride];
                    if self.map.makes_ties() {
                        let (map, logits) = (self.map, line.as_chunks_mut().0);
                        token.run(MapLogits { map, from: &[], logits, slopes: &mut [] });
                    }
                    &line[..classes]
                } else {
                    self.logits.row(row)
                };
                self.row(token, row, label, logits, (&mut scratch.parts, &mut scratch.care));
            }
        }
        Total::default()
    }
}

impl ShardCall<'_> {
    /// Writes that nothing is known of a row.
    fn clear(&mut self, row: usize) {
        self.to[row] = PartialRow::EMPTY;
        self.others.iter_mut().for_each(|to| to[row] = PartialRow::EMPTY);
    }

    /// Reads a row, and writes what is known of its parts.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of classes")]
    fn row(
        &mut self,
        token: Token,
        row: usize,
        label: usize,
        logits: &[f32],
        (parts, care): (&mut Vec<RowSum>, &mut Care),
    ) {
        let logit = logits.get(label).copied();
        let mut tame = Tame::new(self.total, *care);
        let mut reference = Reference::TAME;
        let is_tame = tame.read(|tame, careful| {
            let depths = sum(token, logits, label, (reference, careful), parts);
            let rest = parts.iter().fold(0.0, |total, sum| total + sum.total);
            tame.holds(rest, logit.unwrap_or(f32::NEG_INFINITY)).then_some(depths)
        });
        *care = tame.care;
        if !is_tame {
            let (mut max, mut references) = ([0.0], [reference]);
            let low = tame.low;
            let rows = LineRows::F32(&[logits]);
            token.run(Largest { rows, low, max: &mut max, references: &mut references });
            [reference] = references;
            if reference != Reference::TAME {
                sum(token, logits, label, (reference, true), parts);
            }
        }
        // The reference goes by the largest logit of all parts, so that each of them has that one.
        let class = token.run(Argmax { row: logits });
        let max = logits[class];
        let argmax = u32::try_from(self.first + class).unwrap_or(u32::MAX);
        self.clear(row);
        for (i, (sum, part)) in parts.iter().zip(logits.chunks(PART)).enumerate() {
            let inside = label.wrapping_sub(i * PART) < part.len();
            let sum = LogSumExp {
                rest: if max == f32::NEG_INFINITY { 0.0 } else { sum.total },
                pivot: reference.pivot,
                exponent: reference.exponent,
                logit: logit.filter(|_| inside).unwrap_or(f32::NEG_INFINITY),
                apart: if inside { Apart::LABEL } else { Apart::NOBODY },
                max,
                argmax,
            };
            let (mut count, mut distance) = (0, 0.0);
            if self.counts {
                let origin = f64::from(if max.is_finite() { max } else { 0.0 });
                let all = token.run(Uniform { logits: part, origin });
                (count, distance) = (all.total as u32, all.distance);
            }
            let of_part = i.min(self.others.len());
            let to = if of_part == 0 { &mut self.to[row] } else { &mut self.others[of_part - 1][row] };
            *to = to.merge(PartialRow::new(sum, count, distance));
        }
    }
}

/// Sums the terms of a row's parts, all but the label's, and returns the bits of all depths.
fn sum(
    token: Token,
    logits: &[f32],
    label: usize,
    (reference, careful): (Reference, bool),
    parts: &mut Vec<RowSum>,
) -> u32 {
    let mut seen = [NO_DEPTH; LANES];
    parts.clear();
    parts.resize(logits.len().div_ceil(PART), RowSum::EMPTY);
    for (i, (part, sum)) in logits.chunks(PART).zip(parts).enumerate() {
        token.run(SumRows {
            rows: LineRows::F32(&[part]),
            labels: &[label.wrapping_sub(i * PART)],
            references: &[reference],
            careful,
            terms: &mut [],
            stride: 0,
            sums: core::slice::from_mut(sum),
            seen: &mut seen,
            ahead: &[],
        });
    }
    all_depths(&seen)
}
