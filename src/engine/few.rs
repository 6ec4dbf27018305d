//! Rows of few classes, sixteen in the lanes, some tiles at a time.

use super::call::{Call, Work};
use super::scratch::Scratch;
use super::settle::{mark_not_a_number, mark_special};
use super::total::Total;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum, Special};
use crate::kernels::tiles::{LoadTiles, SumTiles, TILES};
use crate::kernels::write::{Formula, WriteTiles};
use crate::simd::strided::StridedMut;
use crate::simd::{LANES, Token};

/// Class vectors that are on their way at once: these stay in the nearest cache.
const NEAR: usize = 256;

/// Runs a call of which everything follows from the sums of rows.
pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Total {
    let (rows, classes) = (call.inputs.rows(), call.inputs.classes());
    let at_once = (NEAR / classes).clamp(2, TILES) & !1;
    let Scratch { tiles, groups, .. } = scratch;
    tiles.resize(at_once * classes, [0.0; LANES]);
    groups.resize(at_once.max(groups.len()), Group::EMPTY);
    let groups = &mut groups[..at_once.min(rows.div_ceil(LANES))];
    for group in &mut *groups {
        group.len = 0;
    }
    let labels = matches!(call.inputs.work, Work::Loss(_));
    let writes = call.writes();
    let mut losses = LossSum::EMPTY;
    let mut first = 0;
    while first < rows {
        let mut used = 0;
        while first < rows && used < groups.len() {
            first = call.collect(first, &mut groups[used], LANES);
            used += usize::from(groups[used].len > 0);
        }
        let groups = &mut groups[..used];
        let tiles = &mut tiles[..used * classes];
        token.run(LoadTiles { from: call.inputs.logits.share(), groups, tiles });
        token.run(SumTiles { groups, tiles, classes, labels, keep: writes });
        let empty = groups.iter().any(|group| group.max.contains(&f32::NEG_INFINITY));
        if empty {
            settle_empty(call.inputs.empty_is_zero, groups);
        }
        let losses = labels.then_some(&mut losses);
        token.run(Finish { groups, labels, losses, logs: false, factors: writes });
        for group in &mut *groups {
            if labels {
                call.outputs.put_losses(group);
            }
            mark_special(&call.inputs, group, writes);
        }
        if let Some(results) = call.destination() {
            let mut results = results.reborrow();
            token.run(WriteTiles { groups, tiles, formula: Formula::Scaled, results: results.reborrow() });
            for group in &*groups {
                write_special(group, &mut results);
            }
        }
        if empty {
            // Their weights are made anew.
            for group in groups {
                group.len = 0;
            }
        }
    }
    Total::of(&losses)
}

/// Rows without any logit but -inf have a loss of NaN, or of 0.
fn settle_empty(is_zero: bool, groups: &mut [Group]) {
    for group in groups {
        mark_not_a_number(group);
        for i in 0..group.len {
            if group.max[i] == f32::NEG_INFINITY && is_zero {
                (group.ends.rest[i], group.ends.logit[i], group.weight[i]) = (1.0, 0.0, 0.0);
            } else if group.max[i] == f32::NEG_INFINITY {
                group.ends.rest[i] = f64::NAN;
            }
        }
    }
}

/// Writes the rows that have no shares.
fn write_special(group: &Group, results: &mut StridedMut<'_>) {
    for i in 0..group.len {
        let value = match group.special[i] {
            Special::No | Special::Large => continue,
            Special::NotANumber => f32::NAN,
            Special::Zero => 0.0,
        };
        for class in 0..results.layout().classes {
            results.set(group.rows[i], class, value);
        }
    }
}
