//! A row that is shared by threads: parts of 32 blocks, always the same ones, whose sums are added in their order. The bits
//! are those of a row that one thread reads, which adds the same parts.

use super::parallel::Join;
use super::rows::{Care, Groups, Lines};
use crate::kernels::group::Group;
use crate::kernels::rows::{PART, RowSum, SumRows};
use crate::kernels::write::{Formula, WriteRow};
use crate::numbers::exp::{NO_DEPTH, Reference, all_depths, are_shallow};
use crate::simd::half::Line;
use crate::simd::{LANES, Token};

/// One read of a part of a row.
struct Part<'a> {
    token: Token,
    join: Join,
    reference: Reference,
    careful: bool,
    logits: Line<'a>,
    label: usize,
    terms: &'a mut [f32],
    sums: &'a mut [RowSum],
}

impl Part<'_> {
    /// Reads the part, or its halves on two threads. Returns the bits of all depths.
    fn read(self) -> u32 {
        let Self { token, join, reference, careful, logits, label, terms, sums } = self;
        let keep = !terms.is_empty();
        if sums.len() == 1 {
            let mut seen = [NO_DEPTH; LANES];
            let stride = if keep { terms.len() } else { 0 };
            token.run(SumRows {
                rows: logits.rows(),
                labels: &[label],
                references: &[reference],
                careful,
                terms,
                stride,
                sums,
                seen: &mut seen,
                ahead: &[],
            });
            return all_depths(&seen);
        }
        let half = sums.len() / 2;
        let (logits, other_logits) = logits.split_at(half * PART);
        let (terms, other_terms) = terms.split_at_mut(if keep { half * PART } else { 0 });
        let (sums, other_sums) = sums.split_at_mut(half);
        let other_label = label.wrapping_sub(half * PART);
        let first = Part { token, join, reference, careful, logits, label, terms, sums };
        let (logits, label, terms, sums) = (other_logits, other_label, other_terms, other_sums);
        let rest = Part { token, join, reference, careful, logits, label, terms, sums };
        let (mut a, mut b) = (0, 0);
        both(join, || a = first.read(), || b = rest.read());
        a | b
    }
}

/// Sums the terms of the one row of a group.
pub(super) fn read(
    groups: &mut Groups,
    join: Join,
    group: &mut Group,
    lines: &Lines<'_>,
    terms: &mut [f32],
    references: &mut [Reference; LANES],
    sums: &mut Vec<RowSum>,
) {
    let (logits, token) = (lines.line(0), groups.token);
    let mut sum = |group: &mut Group, terms: &mut [f32], reference, careful| {
        sums.clear();
        sums.resize(logits.len().div_ceil(PART), RowSum::EMPTY);
        let label = group.labels[0];
        let depths = Part { token, join, reference, careful, logits, label, terms, sums }.read();
        group.ends.rest[0] = sums.iter().fold(0.0, |total, sum| total + sum.total);
        group.shallow = are_shallow(depths);
        depths
    };
    group.max[0] = 0.0;
    let mut tame = groups.tame;
    let right = tame.care != Care::Refer
        && tame.read(|tame, careful| {
            let depths = sum(group, terms, Reference::TAME, careful);
            tame.holds(group.ends.rest[0], group.ends.logit[0]).then_some(depths)
        });
    groups.tame = tame;
    if right {
        return;
    }
    let was_read = tame.care != Care::Refer;
    groups.refer(group, lines, references);
    if references[0] != Reference::TAME || !was_read {
        sum(group, terms, references[0], true);
    }
}

/// Writes the results of the one row of a group; of what is there, where they are made of nothing else.
pub(super) fn write(
    token: Token,
    join: Join,
    group: &Group,
    formula: Formula,
    from: Option<&[f32]>,
    labels: &[f32],
    to: &mut [f32],
) {
    let half = to.len().div_ceil(PART) / 2 * PART;
    if half == 0 {
        return token.run(WriteRow { group, row: 0, formula, from, labels, to });
    }
    let (from, other_from) = from.map(|from| from.split_at(half)).unzip();
    let (labels, other_labels) = labels.split_at(half.min(labels.len()));
    let (to, other_to) = to.split_at_mut(half);
    both(
        join,
        || write(token, join, group, formula, from, labels, to),
        || write(token, join, group, formula, other_from, other_labels, other_to),
    );
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
