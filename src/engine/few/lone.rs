//! One row of few classes, or two, each by itself: what a tile would cost is more than all the rest.

use super::super::call::{Call, Work};
use super::super::options::{Sums, set};
use super::super::rows::ENOUGH;
use super::super::scratch::Scratch;
use super::super::total::Total;
use crate::kernels::classes::STEP;
use crate::kernels::few::SettleFew;
use crate::kernels::group::{Group, NO_LABEL};
use crate::kernels::tile_ends::FinishLogs;
use crate::kernels::write::{WriteFrom, WriteRows};
use crate::numbers::factor::narrow;
use crate::simd::{LANES, Token};

/// The most rows that are done here.
const LONE: usize = ENOUGH - 1;

/// Whether a call of few classes is done here: of rows as they are given, with labels as they are given, or none.
pub(super) fn suits(call: &Call<'_>) -> bool {
    let (inputs, loss) = (&call.inputs, call.inputs.loss());
    inputs.rows() <= LONE
        && inputs.dense.is_none()
        && loss.smoothing.mass == 0.0
        && loss.z_loss == 0.0
        && inputs.map.is_none()
        && matches!(call.outputs.sums, Sums::Discard)
        && inputs.logits.share().are_slices()
        && (!call.writes() || call.writes_slices())
}

/// Runs such a call; `None` where a row is none that formulas are for. Nothing of such a row has been written then.
pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Option<Total> {
    let (work, writes) = (call.inputs.work, call.writes());
    let logs = matches!(work, Work::LogSoftmax | Work::LogSumExp);
    if scratch.groups.len() < LONE {
        scratch.groups.resize_with(LONE, || Group::EMPTY);
    }
    scratch.tiles.resize(scratch.tiles.len().max(LONE * STEP / LANES), [0.0; LANES]);
    let used = collect(call, &mut scratch.groups);
    let (groups, mut rows) = (&mut scratch.groups[..used], [&[][..]; LONE]);
    let terms = &mut scratch.tiles.as_flattened_mut().as_chunks_mut().0[..LONE];
    for (row, group) in rows.iter_mut().zip(&mut *groups) {
        *row = call.inputs.logits.share().row(group.rows[0]);
        if logs {
            group.labels[0] = largest(row);
        }
    }
    let (losses, factors) = (call.inputs.labels.is_some() || logs, writes && !logs);
    token.run(SettleFew { rows: &rows[..used], groups, terms, losses, factors });
    let is_ordinary = |group: &Group| group.max[0] > f32::NEG_INFINITY && group.ends.sum[0] < f64::INFINITY;
    if !groups.iter().all(is_ordinary) {
        return None;
    }
    if logs {
        // What log-probabilities are made of.
        for (row, terms) in rows[..used].iter().zip(&mut *terms) {
            terms[..row.len()].copy_from_slice(row);
        }
    }
    let mut total = Total::default();
    for (group, terms) in groups.iter_mut().zip(&*terms) {
        match work {
            Work::Loss(_) => {
                total = total.plus(group.loss[0] * group.weight[0]);
                set(call.outputs.losses, group.rows[0], group.results[0]);
            }
            Work::LogSumExp => {
                let value = narrow(f64::from(group.ends.logit[0]) + group.loss[0]);
                set(call.outputs.log_sum_exp, group.rows[0], value);
            }
            _ => {}
        }
        let Some(results) = call.destination() else { continue };
        let mut lines: [&[f32]; LANES] = [&[]; LANES];
        let from = if logs {
            token.run(FinishLogs { groups: core::slice::from_mut(group) });
            lines[0] = terms;
            WriteFrom::Logits(&lines)
        } else {
            WriteFrom::Terms(terms, STEP)
        };
        token.run(WriteRows { group, from, results: results.reborrow(), next: &[0; LANES] });
    }
    Some(total)
}

/// Makes groups of the rows that are not ignored, writes what the others have, and tells how many groups there are.
fn collect(call: &mut Call<'_>, groups: &mut [Group]) -> usize {
    let (rows, mut used) = (call.inputs.rows(), 0);
    let mut classes = [NO_LABEL; LONE];
    let labelled =
        call.inputs.labels.as_ref().map(|labels| labels.classes(0, &mut classes[..rows])).is_some();
    for (row, &class) in classes[..rows].iter().enumerate() {
        let (weights, group) = (call.inputs.weights, &mut groups[used]);
        if labelled && class == NO_LABEL || weights.of_row(row) == 0.0 {
            call.ignore(row);
            continue;
        }
        let weight = weights.of(row, class);
        let scale = call.inputs.scale.of(row) * weight;
        (group.len, group.rows[0], group.labels[0], group.shallow) = (1, row, class, false);
        (group.weight[0], group.scale[0], group.inverse_scale[0]) = (weight, scale, 1.0 / scale.abs());
        used += 1;
    }
    used
}

/// The class of the largest logit, of equal ones the first.
fn largest(row: &[f32]) -> usize {
    let mut at = 0;
    for (class, x) in row.iter().enumerate() {
        at = if *x > row[at] { class } else { at };
    }
    at
}
