//! Rows of many classes whose results go elsewhere, within reach of the caches: terms where the results go, which are then made
//! of them in place. A row of terms more would push the others out of the nearer caches.

use super::call::{Call, Source};
use super::long;
use super::parallel::Join;
use super::rows::{BEYOND_NEAR, Groups, Lines, NEAR};
use super::scratch::Scratch;
use super::settle;
use super::total::Total;
use crate::kernels::classes::STEP;
use crate::kernels::group::{Group, Special};
use crate::kernels::write::{Formula, WriteRow};
use crate::simd::Token;

/// Whether a call is done in this way. Terms are written in whole steps.
pub(super) fn suits(call: &Call<'_>) -> bool {
    let classes = call.inputs.classes();
    let (Source::Shared(logits), Some(results)) = (&call.inputs.logits, &call.results) else { return false };
    classes > NEAR
        && classes.is_multiple_of(STEP)
        && call.is_simple()
        && logits.are_slices()
        && results.are_slices()
}

pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch, join: Option<Join>) -> Total {
    let mut groups = Groups::new(token, call, join, scratch);
    let mut group = Group::EMPTY;
    if call.all_rows.saturating_mul(groups.classes) >= BEYOND_NEAR {
        groups.ask_for_logits();
    }
    let mut first = 0;
    while first < call.inputs.rows() {
        first = call.collect(first, &mut group, 1);
        let (Source::Shared(source), Some(results)) = (&call.inputs.logits, &mut call.results) else { break };
        if group.len == 0 {
            continue;
        }
        let row = group.rows[0];
        let lines = Lines { logits: &[source.row(row)], ..Lines::EMPTY };
        let to = results.row_mut(row);
        groups.read(&call.outputs.sums, &mut group, &lines, to, &mut scratch.parts);
        settle::settle(&mut groups, &call.inputs, &mut call.outputs, &mut group, &lines, &[]);
        write(token, join, &group, to);
    }
    groups.give_back(scratch)
}

/// Makes the results of a row of its terms.
fn write(token: Token, join: Option<Join>, group: &Group, to: &mut [f32]) {
    let formula = Formula::Scaled;
    if group.special[0] != Special::No {
        // Of no terms: nothing that results are multiplied by is large in a call like this.
        return settle::write_special(formula, group, 0, None, &[], to);
    }
    if let Some(join) = join {
        long::write(token, join, group, formula, None, &[], to);
    } else {
        token.run(WriteRow { group, row: 0, formula, from: None, labels: &[], to });
    }
    if let Some(to) = to.get_mut(group.labels[0]) {
        *to = group.at_label[0];
    }
}
