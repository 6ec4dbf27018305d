//! Rows of many classes whose results go elsewhere, within reach of the caches: terms where the results go, which are then made
//! of them in place. Terms anywhere else would push the others out of the nearer caches.

use super::call::{Call, Inputs, Source};
use super::long;
use super::options::Sums;
use super::parallel::Join;
use super::rows::{BEYOND_NEAR, Care, Groups, Lines, NEAR, NEAR_LOGITS, make_room, take_saved};
use super::scratch::Scratch;
use super::settle::{self, Masses};
use super::total::Total;
use crate::kernels::classes::STEP;
use crate::kernels::group::{Group, Special};
use crate::kernels::map::{Mask, Multiply};
use crate::kernels::write::{Formula, LINED, WriteFrom, WriteRows};
use crate::numbers::exp::Reference;
use crate::simd::{LANES, Token};

/// Rows before one that is left out, at least, for which the others of their group wait.
const WORTHWHILE: usize = 4;

/// Whether a call is done in this way.
pub(super) fn suits(call: &Call<'_>) -> bool {
    let (Source::Shared(logits), Some(results)) = (&call.inputs.logits, &call.results) else { return false };
    let Inputs { map, weights, .. } = &call.inputs;
    let may_differ = map.mask != Mask::None || weights.classes.is_some();
    call.inputs.classes() >= LINED
        && call.follows_from_made_sums()
        && !(call.inputs.makes_labels() && may_differ)
        && matches!(call.outputs.sums, Sums::Discard | Sums::Saved(_))
        && logits.are_slices()
        && results.are_packed()
}

pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch, join: Option<Join>) -> Total {
    let mut groups = Groups::new(token, call, join, scratch);
    let mut group = Group::EMPTY;
    let (rows, classes) = (call.inputs.rows(), groups.classes);
    // Slopes are twice as large as logits, which are copied then.
    let at_once = (if groups.slopes { NEAR } else { NEAR_LOGITS } / classes).clamp(1, LANES);
    if call.all_rows.saturating_mul(classes) >= BEYOND_NEAR {
        groups.ask_for_logits();
    }
    let (mut first, mut uniform) = (0, true);
    while first < rows {
        first = call.collect(first, &mut group, at_once);
        let run = group.rows[..group.len].windows(2).take_while(|pair| pair[1] == pair[0] + 1).count() + 1;
        if run < group.len && run >= WORTHWHILE {
            // What is behind a row that is left out comes next.
            first = group.rows[run];
            group.shorten(run);
        }
        if group.len > 0 && !(uniform && into(&mut groups, call, &mut group, first, scratch, &mut uniform)) {
            groups.group(call, &mut group, scratch);
        }
    }
    groups.give_back(scratch)
}

/// Works off a group of ordinary rows that follow each other; tells whether it was one. The `next` row has not been looked at. Where
/// masses of smoothed labels are not the same for all classes, rows go another way.
fn into(
    groups: &mut Groups,
    call: &mut Call<'_>,
    group: &mut Group,
    next: usize,
    scratch: &mut Scratch,
    uniform: &mut bool,
) -> bool {
    let (len, rows, join) = (group.len, group.rows, groups.join);
    // Into a row that comes next the last step may reach: it is written later.
    let reaches = join.is_none() && next < call.inputs.rows() && next == rows[len - 1] + 1;
    let whole = reaches || groups.classes.is_multiple_of(STEP);
    // Rows that are shared are read with any care where they lie.
    let ordinary = join.is_some() || groups.tame.care != Care::Refer;
    let follow = rows[len - 1] - rows[0] == len - 1;
    let makes_labels = call.inputs.makes_labels();
    let shares_made = (groups.copies || makes_labels) && join.is_some();
    if !(ordinary && follow && group.scales_are_ordinary()) || (len == 1 && !whole) || shares_made {
        return false;
    }
    let Scratch { terms, lines, labels, masses, slopes, parts, .. } = scratch;
    if groups.copies {
        make_room(lines, LANES * groups.stride);
        groups.copy(&call.inputs, group, lines, slopes);
    }
    let mut logits: [&[f32]; LANES] = [&[]; LANES];
    groups.set_lines(&call.inputs, group, lines, &mut logits);
    if makes_labels {
        make_room(labels, LANES * groups.stride);
        masses.resize(LANES, Masses::default());
        *uniform = settle::make_labels(groups, call, group, &logits, labels, masses);
        if !*uniform {
            return false;
        }
    }
    let Some(results) = &mut call.results else { return false };
    let lines = Lines { logits: &logits, ..Lines::EMPTY };
    if let Some(join) = join {
        let to = results.row_mut(rows[0]);
        groups.read(&call.outputs.sums, group, &lines, to, parts);
        settle::settle(groups, &call.inputs, &mut call.outputs, group, &lines, &[]);
        write_long(groups.token, join, group, to);
        return true;
    }
    let last: &mut [f32] = if whole {
        &mut []
    } else {
        make_room(terms, groups.stride);
        &mut terms[..groups.stride]
    };
    let to = results.rows_mut(rows[0], len + usize::from(reaches));
    if !groups.read_into(&call.outputs.sums, group, &lines, to, last) {
        return false;
    }
    settle::settle(groups, &call.inputs, &mut call.outputs, group, &lines, masses);
    let formula = settle::formula(&call.inputs, true);
    let from = WriteFrom::Place(last, formula);
    groups.token.run(WriteRows { group, from, results: results.reborrow(), next: &[0; LANES] });
    if groups.slopes {
        for (i, slopes) in slopes.chunks(groups.stride / LANES).take(len).enumerate() {
            groups.token.run(Multiply { results: results.row_mut(rows[i]), slopes: slopes.as_flattened() });
        }
    }
    true
}

impl Groups {
    /// Sums the terms of a group's ordinary rows, and keeps them where results go; those of the last row, where whole steps of them do
    /// not end with it, apart. Tells whether all rows were ordinary.
    fn read_into(
        &mut self,
        sums: &Sums<'_>,
        group: &mut Group,
        lines: &Lines<'_>,
        results: &mut [f32],
        last_terms: &mut [f32],
    ) -> bool {
        let other =
            |row: &usize| matches!(sums, Sums::Saved(sums) if sums[*row].reference() != Reference::TAME);
        if group.rows[..group.len].iter().any(other) {
            return false;
        }
        self.begin(group, lines);
        group.max = [0.0; LANES];
        let padded = core::mem::replace(&mut self.stride, self.classes);
        let right = self.sum_common(group, lines, results, last_terms);
        self.stride = padded;
        group.ends.refer_to(&[Reference::TAME; LANES]);
        if let Sums::Saved(sums) = sums {
            take_saved(group, sums);
        }
        let mut ends = group.ends.rest.iter().zip(&group.max).take(group.len);
        right && ends.all(|(rest, max)| *rest > 0.0 && *rest < f64::INFINITY && *max > f32::NEG_INFINITY)
    }
}

/// Makes the results of a row that threads share of its terms.
fn write_long(token: Token, join: Join, group: &Group, to: &mut [f32]) {
    let formula = Formula::Scaled;
    if group.special[0] != Special::No {
        // Of no terms: nothing that results are multiplied by is large in a call like this.
        return settle::write_special(formula, group, 0, None, &[], to);
    }
    long::write(token, join, group, formula, None, &[], to);
    if let Some(to) = to.get_mut(group.labels[0]) {
        *to = group.at_label[0];
    }
}
