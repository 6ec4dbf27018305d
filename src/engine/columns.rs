//! Rows that are neighbours in memory, with another axis of classes than the last: read and written as they lie, sixteen
//! in the lanes, some groups at a time.

use super::call::{Call, Work};
use super::rows::{BEYOND_NEAR, Care, FEW, Groups, Lines};
use super::scratch::Scratch;
use super::settle;
use super::total::Total;
use crate::kernels::columns::{ColumnSums, SumColumns};
use crate::kernels::group::Group;
use crate::kernels::tile_ends::MaxOfTile;
use crate::kernels::tiles::LoadTiles;
use crate::kernels::write_tiles::WriteTiles;
use crate::numbers::exp::Reference;
use crate::simd::strided::Ahead;
use crate::simd::{LANES, Token};

/// Groups that are worked off at once where logits come from afar, class after class: an even number, so that memory is asked for runs
/// that are not too short, while their logits and results find room in the next cache.
const AT_ONCE: usize = 4;

/// Of more classes they do not.
const MOST: usize = 8192;

/// Of fewer rows most lanes would repeat one: they are copied, and read one by one.
const ENOUGH: usize = LANES / 2;

/// Whether the rows of a call may be read as columns: of ordinary rows all that it asks for follows from their sums.
pub(super) fn suits(call: &Call<'_>) -> bool {
    let (logits, classes) = (call.inputs.logits.share(), call.inputs.classes());
    let logarithms =
        matches!(call.inputs.work, Work::LogSoftmax | Work::LogSumExp) && call.inputs.map.is_none();
    classes > FEW
        && call.inputs.rows() >= ENOUGH
        && logits.layout().stride == 1
        && logits.layout().class_step != 1
        && (!call.writes() || call.destination_step() != 1)
        && (call.is_simple() || logarithms)
}

/// Runs such a call.
pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Total {
    let mut groups = Groups::new(token, call, None, scratch);
    let (rows, classes) = (call.inputs.rows(), groups.classes);
    let far = call.all_rows.saturating_mul(classes) >= BEYOND_NEAR;
    let asks = far && classes <= MOST;
    let at_once = if asks { AT_ONCE } else { 1 };
    let mut batch = core::mem::take(&mut scratch.groups);
    batch.resize_with(batch.len().max(at_once), || Group::EMPTY);
    scratch.column_sums.resize_with(scratch.column_sums.len().max(at_once), || ColumnSums::EMPTY);
    for group in &mut batch {
        group.len = 0;
    }
    let mut first = 0;
    while first < rows {
        let used;
        (first, used) = call.collect_groups(first, &mut batch[..at_once]);
        let ahead = if asks { call.ahead(batch[0].rows[0], first, at_once) } else { [Ahead::NOTHING; 2] };
        groups.columns(call, &mut batch[..used], ahead, scratch);
    }
    scratch.groups = batch;
    groups.give_back(scratch)
}

impl Groups {
    /// Reads, settles and writes some groups; in the way of all other rows where not all are ordinary.
    fn columns(
        &mut self,
        call: &mut Call<'_>,
        batch: &mut [Group],
        ahead: [Ahead; 2],
        scratch: &mut Scratch,
    ) {
        if self.tame.care == Care::Refer || !self.read_columns(call, batch, ahead, scratch) {
            for group in batch {
                self.group(call, group, scratch);
            }
            return;
        }
        for (i, group) in batch.iter_mut().enumerate() {
            group.ends.refer_to(&[Reference::TAME; LANES]);
            let tile = scratch.tiles.get(i * self.classes..(i + 1) * self.classes).unwrap_or_default();
            let lines = Lines { columns: Some((tile, &scratch.column_sums[i])), ..Lines::EMPTY };
            settle::settle(self, &call.inputs, &mut call.outputs, group, &lines, &[]);
        }
        let formula = settle::formula(&call.inputs, false);
        if let Some(results) = call.destination() {
            let (groups, tiles, results) = (&*batch, &mut scratch.tiles[..], results.reborrow());
            let lines = &mut scratch.lines;
            self.token.run(WriteTiles { groups, tiles, formula, labels: &[], slopes: &[], lines, results });
        }
    }

    /// Sums the terms of some groups, and keeps what results are made of; `false` where they are not ordinary.
    fn read_columns(
        &self,
        call: &Call<'_>,
        batch: &mut [Group],
        mut ahead: [Ahead; 2],
        scratch: &mut Scratch,
    ) -> bool {
        let Scratch { tiles, lines, column_sums: sums, .. } = scratch;
        let (token, classes, logits) = (self.token, self.classes, call.inputs.logits.share());
        if !batch.iter().all(Group::scales_are_ordinary) {
            return false;
        }
        let neighbours = |group: &Group| logits.has_columns(&group.rows, group.len);
        let logarithms = call.inputs.work == Work::LogSoftmax;
        // Rows with gaps between them, and fewer than sixteen, are copied one value at a time.
        let copied = logarithms || !logits.is_of_f32() || !batch.iter().all(neighbours);
        if copied || self.writes {
            tiles.resize(tiles.len().max(batch.len() * classes), [0.0; LANES]);
        }
        if copied {
            token.run(LoadTiles { from: logits, groups: batch, tiles, lines });
        }
        for (i, group) in batch.iter_mut().enumerate() {
            for (i, logit) in group.ends.logit.iter_mut().enumerate() {
                let label = group.labels[i];
                *logit = if label < classes { logits.get(group.rows[i], label) } else { f32::NEG_INFINITY };
            }
            let from = if copied { None } else { logits.columns(&group.rows, group.len) };
            let tile = tiles.get_mut(i * classes..(i + 1) * classes).unwrap_or_default();
            let keep = self.writes && !logarithms;
            group.max = [0.0; LANES];
            if logarithms {
                token.run(MaxOfTile { tile, to: &mut group.max });
            }
            let sums = &mut sums[i];
            let tame = token.run(SumColumns { from, classes, group, tile, keep, sums, ahead: &mut ahead });
            if !tame || !(0..LANES).all(|i| self.tame.holds(group.ends.rest[i], group.ends.logit[i])) {
                return false;
            }
        }
        true
    }
}
