//! Rows of many classes whose results go elsewhere, beyond the caches: the results of one row and the terms of the next in
//! turns of a block, so that the processor computes while results drain to memory.

use super::call::{Call, Source, Work};
use super::rows::{Care, Groups, Lines, make_room};
use super::scratch::Scratch;
use super::settle;
use super::total::Total;
use crate::kernels::group::{Group, NO_LABEL, Special};
use crate::kernels::rows::{BLOCK, PART, RowSum, SumRows};
use crate::kernels::write::{Fence, Formula, WriteRow};
use crate::numbers::exp::{NO_DEPTH, Reference, all_depths, are_out_of_range, are_shallow};
use crate::simd::LANES;
use crate::simd::Token;
use crate::simd::half::LineRows;

/// Results of fewer values stay in the last cache, where plain stores are quicker.
const BEYOND_CACHE: usize = 2 << 20;

/// Whether a call is done in turns.
pub(super) fn suits(call: &Call<'_>) -> bool {
    let classes = call.inputs.classes();
    let (Source::Shared(logits), Some(results)) = (&call.inputs.logits, &call.results) else { return false };
    let logarithms = call.inputs.work == Work::LogSoftmax;
    classes >= 2 * BLOCK
        && call.all_rows.saturating_mul(classes) >= BEYOND_CACHE
        && (call.is_simple() || logarithms)
        && logits.are_slices()
        && results.are_slices()
}

/// A row whose results are still to be written.
struct Before {
    row: usize,
    group: Group,
}

pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Total {
    let mut groups = Groups::new(token, call, None, scratch);
    groups.sums_are_whole = false;
    let rows = call.inputs.rows();
    let stride = groups.stride;
    // Logarithms are made of logits, which are read again.
    let of_logits = call.inputs.work == Work::LogSoftmax;
    make_room(&mut scratch.terms, stride + LANES);
    let terms = &mut scratch.terms[..stride];
    let mut before: Option<Before> = None;
    let mut first = 0;
    let mut group = Group::EMPTY;
    while first < rows {
        first = call.collect(first, &mut group, 1);
        if group.len == 0 {
            continue;
        }
        let row = group.rows[0];
        let Source::Shared(source) = call.inputs.logits else { break };
        let logits = source.row(row);
        group.ends.logit[0] = logits.get(group.labels[0]).copied().unwrap_or(f32::NEG_INFINITY);
        let (mut sum, mut seen) = (RowSum::EMPTY, [NO_DEPTH; LANES]);
        let mut written = 0;
        for start in (0..groups.classes).step_by(BLOCK) {
            let end = (start + BLOCK).min(groups.classes);
            let block = &logits[start..end];
            if let (Some(before), Some(results)) = (&before, &mut call.results) {
                let from = if of_logits { source.row(before.row) } else { &*terms };
                let to = results.row_mut(before.row);
                // Up to the next whole line of the results.
                let odd = if end == groups.classes { 0 } else { to[end..].as_ptr().align_offset(64) % LANES };
                let until = (end + odd).min(groups.classes);
                write(&groups, before, &from[written..until], &mut to[written..until], block, of_logits);
                written = until;
            }
            groups.token.run(SumRows {
                rows: LineRows::F32(&[block]),
                labels: &[group.labels[0].wrapping_sub(start)],
                references: &[Reference::TAME],
                careful: groups.tame.care != Care::None,
                terms: if of_logits { &mut [] } else { &mut terms[start..] },
                stride: if of_logits { 0 } else { stride - start },
                sums: core::slice::from_mut(&mut sum),
                open: start == 0,
                seen: &mut seen,
                close: end == groups.classes || end.is_multiple_of(PART),
                ahead: &[BLOCK],
            });
        }
        if let (Some(before), Some(results)) = (&before, &mut call.results) {
            finish(before, results.row_mut(before.row));
        }
        group.ends.rest[0] = sum.total;
        group.max[0] = 0.0;
        let mut references = [Reference::TAME; LANES];
        let mut lines = Lines::EMPTY;
        lines.logits[0] = logits;
        let depths = all_depths(&seen);
        group.shallow = are_shallow(depths);
        if !are_out_of_range(depths) && groups.tame.holds(sum.total, group.ends.logit[0]) {
            groups.tame.relax(group.shallow);
        } else {
            let kept = if of_logits { &mut [] } else { &mut *terms };
            groups.read_again(&mut group, &lines, kept, &mut references);
        }
        group.ends.refer_to(&references);
        settle::settle(&mut groups, &call.inputs, &mut call.outputs, &mut group, &lines, &[]);
        before = Some(Before { row, group: group.clone() });
    }
    if let (Some(before), Some(results), Source::Shared(source)) =
        (&before, &mut call.results, &call.inputs.logits)
    {
        let from = if of_logits { source.row(before.row) } else { &terms[..groups.classes] };
        let to = results.row_mut(before.row);
        write(&groups, before, from, to, &[], of_logits);
        finish(before, to);
    }
    token.run(Fence);
    groups.give_back(scratch)
}

/// Writes some of the results of a row.
fn write(groups: &Groups, before: &Before, from: &[f32], to: &mut [f32], next: &[f32], of_logits: bool) {
    let formula = if of_logits { Formula::Logs } else { Formula::Scaled };
    let group = &before.group;
    if group.special[0] != Special::No {
        return settle::write_special(formula, group, 0, Some(from), &[], to);
    }
    let (from, stream) = (Some(from), Some(next));
    groups.token.run(WriteRow { group, row: 0, formula, from, labels: &[], to, stream });
}

/// Writes the result at the label.
fn finish(before: &Before, to: &mut [f32]) {
    let label = before.group.labels[0];
    let plain = matches!(before.group.special[0], Special::No | Special::Large);
    if plain
        && label != NO_LABEL
        && let Some(to) = to.get_mut(label)
    {
        *to = before.group.at_label[0];
    }
}
