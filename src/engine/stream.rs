//! Rows of many classes whose results go elsewhere, beyond the caches: the results of one row and the terms of the next in
//! turns of a block, so that the processor computes while results drain to memory.

use super::call::{Call, Source, Work};
use super::rows::{Care, Groups, Lines, NEAR};
use super::scratch::Scratch;
use super::settle;
use super::total::Total;
use crate::kernels::group::{Group, NO_LABEL, Special};
use crate::kernels::rows::RowSum;
use crate::kernels::turns::SumAndWrite;
use crate::kernels::write::{Fence, Formula};
use crate::numbers::exp::{NO_DEPTH, Reference, all_depths, are_out_of_range, are_shallow};
use crate::simd::LANES;
use crate::simd::Token;

/// Results of fewer values, and as many logits, stay in the last cache, where plain stores are quicker: with 32 MB of it 8 x 262,144
/// results took half as long. So do shorter rows than these, wherever they are.
const BEYOND_CACHE: usize = 4 << 20;

/// Whether a call is done in turns: not on a backend whose code is to be small.
pub(super) fn suits(token: Token, call: &Call<'_>) -> bool {
    let classes = call.inputs.classes();
    let (Source::Shared(logits), Some(results)) = (&call.inputs.logits, &call.results) else { return false };
    let logarithms = call.inputs.work == Work::LogSoftmax;
    classes > NEAR
        && !token.is_small()
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
    // Logarithms are made of logits, which are read again.
    let of_logits = call.inputs.work == Work::LogSoftmax;
    let (mut first, mut group, mut before) = (0, Group::EMPTY, None);
    let terms = groups.room_for_terms(call, &group, &mut scratch.terms);
    while first < rows {
        first = call.collect(first, &mut group, 1);
        if group.len == 0 {
            continue;
        }
        let row = group.rows[0];
        let Source::Shared(source) = call.inputs.logits else { break };
        let logits = source.row(row);
        let label = group.labels[0];
        group.ends.logit[0] = logits.get(label).copied().unwrap_or(f32::NEG_INFINITY);
        let (mut sum, mut seen) = (RowSum::EMPTY, [NO_DEPTH; LANES]);
        step(&groups, call, before.as_ref(), terms, (logits, label), &mut sum, &mut seen);
        group.ends.rest[0] = sum.total;
        group.max[0] = 0.0;
        let mut references = [Reference::TAME; LANES];
        let lines = Lines { logits: &[logits], ..Lines::EMPTY };
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
    let (mut sum, mut seen) = (RowSum::EMPTY, [NO_DEPTH; LANES]);
    step(&groups, call, before.as_ref(), terms, (&[], NO_LABEL), &mut sum, &mut seen);
    token.run(Fence);
    groups.give_back(scratch)
}

/// Sums a row, if there is one, and writes the results of the one before, if there is one.
fn step(
    groups: &Groups,
    call: &mut Call<'_>,
    before: Option<&Before>,
    terms: &mut [f32],
    (logits, label): (&[f32], usize),
    sum: &mut RowSum,
    seen: &mut [f32; LANES],
) {
    let logarithms = call.inputs.work == Work::LogSoftmax;
    let (Source::Shared(source), Some(results)) = (&call.inputs.logits, &mut call.results) else { return };
    let mut to = before.map_or(&mut [][..], |before| results.row_mut(before.row));
    let from = logarithms.then(|| before.map_or(&[][..], |before| source.row(before.row)));
    let none = Group::EMPTY;
    let group = before.map_or(&none, |before| &before.group);
    if group.special[0] != Special::No {
        let formula = if logarithms { Formula::Logs } else { Formula::Scaled };
        settle::write_special(formula, group, 0, Some(from.unwrap_or(&terms[..to.len()])), &[], to);
        to = &mut [];
    }
    let careful = groups.tame.care != Care::None;
    groups.token.run(SumAndWrite { logits, label, careful, sum, seen, terms, before: from, group, to });
    if let Some(before) = before {
        finish(before, results.row_mut(before.row));
    }
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
