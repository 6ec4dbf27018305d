//! Rows of few classes, sixteen in the lanes, some tiles at a time; one or two rows by themselves.

mod lone;
mod rows;

use self::rows::{log_sum_exp, map_labels, save, settle_empty, take_sums, write_special};
use super::call::{Call, Work};
use super::options::{Sums, set};
use super::rows::{BEYOND_NEAR, FEW, make_room};
use super::scratch::Scratch;
use super::settle::mark_special;
use super::total::Total;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum, NO_LABEL};
use crate::kernels::map::{Map, MapLogits, Mask, mask_tiles};
use crate::kernels::tile_ends::{
    FinishDense, FinishLogs, FinishSmoothed, FinishSquared, LabelAll, LargestOfTiles, TileMass, WeighTiles,
};
use crate::kernels::tiles::{LINES, LoadTiles, SumTiles, Sums as TileSums, TILES};
use crate::kernels::write::Formula;
use crate::kernels::write_tiles::WriteTiles;
use crate::numbers::log_sum_exp::Apart;
use crate::simd::strided::Ahead;
use crate::simd::{LANES, Token};

/// Class vectors that are on their way at once: these stay in the nearest cache.
const NEAR: usize = 256;

/// Whether a call is done here: everything that it asks for follows from the sums of rows, and from what their labels
/// weigh.
pub(super) fn suits(call: &Call<'_>) -> bool {
    if call.inputs.classes() > FEW || matches!(call.outputs.sums, Sums::Merged(_)) {
        return false;
    }
    let (outputs, weights) = (&call.outputs, call.inputs.weights.classes.unwrap_or_default());
    // Labels are not masked here.
    if call.inputs.map.mask != Mask::None && call.inputs.dense.is_some() {
        return false;
    }
    let of_sums = match call.inputs.work {
        Work::Loss(loss) => {
            // What is saved is read from tiles, where terms would have taken the places of logits.
            let saves = matches!(outputs.sums, Sums::Save(_)) && call.writes();
            // What is small of a label that keeps next to nothing is not made of differences.
            let smoothes = loss.smoothing.mass > 0.0;
            let keeps = !smoothes || (loss.smoothing.mass <= 0.99 && call.inputs.labels.is_some());
            // A loss that counts 0 times may be infinite, a z-loss is not weighted, and distributions are, class by class.
            let of_index = call.inputs.labels.is_some() && !smoothes;
            let weighted = weights.is_empty() || (of_index && loss.z_loss == 0.0 && !weights.contains(&0.0));
            keeps && weighted && (loss.z_loss == 0.0 || of_index) && outputs.have_no_statistics() && !saves
        }
        Work::Softmax | Work::LogSoftmax | Work::LogSumExp => true,
        Work::LabelGradient(_) | Work::Entropy => false,
    };
    of_sums && !(call.writes() && call.inputs.may_be_large())
}

/// What a call does with each batch of tiles.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct Few {
    token: Token,
    classes: usize,
    work: Work,
    left_out: LeftOut,
    /// Whether rows are weighed by distributions, or by smoothed labels.
    weighs: bool,
    /// Whether results are multiplied by the slopes of a soft cap.
    slopes: bool,
    saves: bool,
    writes: bool,
    /// Where a batch's results go, and where the next one comes from, if that is far.
    ahead: [Ahead; 2],
    losses: LossSum,
}

/// Whose terms are left out of the sums of rows.
#[derive(Clone, Copy, PartialEq)]
enum LeftOut {
    Nothing,
    Label,
    /// The largest logit, where there is no label.
    Largest,
}

/// Runs such a call.
pub(super) fn run(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Total {
    if lone::suits(call)
        && let Some(total) = lone::run(token, call, scratch)
    {
        return total;
    }
    run_tiles(token, call, scratch)
}

/// As [`run`], of rows in the lanes.
#[inline(never)]
fn run_tiles(token: Token, call: &mut Call<'_>, scratch: &mut Scratch) -> Total {
    let (rows, classes, work) = (call.inputs.rows(), call.inputs.classes(), call.inputs.work);
    let dense = call.inputs.dense.is_some();
    let left_out = match (call.inputs.labels.is_some(), work) {
        (true, _) => LeftOut::Label,
        (false, Work::Softmax) => LeftOut::Nothing,
        (false, _) => LeftOut::Largest,
    };
    let weighs = dense || call.inputs.loss().smoothing.mass > 0.0;
    let writes = call.writes();
    let saves = matches!(call.outputs.sums, Sums::Save(_));
    let (losses, slopes) = (LossSum::EMPTY, writes && call.has_slopes());
    let ahead = [Ahead::NOTHING; 2];
    let mut few = Few { token, classes, work, left_out, weighs, slopes, saves, writes, ahead, losses };
    let at_once = ((NEAR / classes).clamp(2, TILES) & !1).min(rows.div_ceil(LANES));
    let far = call.all_rows.saturating_mul(classes) >= BEYOND_NEAR;
    let room = at_once * classes;
    scratch.tiles.resize(scratch.tiles.len().max(room), [0.0; LANES]);
    if weighs {
        scratch.label_tiles.resize(scratch.label_tiles.len().max(room), [0.0; LANES]);
        scratch.tile_masses.resize_with(TILES, || TileMass::EMPTY);
    }
    if left_out == LeftOut::Largest || saves {
        scratch.largest.resize_with(TILES, || [NO_LABEL; LANES]);
    }
    scratch.tile_sums.resize_with(TILES, || TileSums::EMPTY);
    make_room(&mut scratch.lines, LINES);
    let mut groups = core::mem::take(&mut scratch.groups);
    groups.resize_with(groups.len().max(at_once), || Group::EMPTY);
    for group in &mut groups {
        group.len = 0;
    }
    let mut first = 0;
    while first < rows {
        let used;
        (first, used) = call.collect_groups(first, &mut groups[..at_once]);
        if far {
            few.ahead = call.ahead(groups[0].rows[0], first, at_once);
        }
        if used > 0 {
            few.batch(call, &mut groups[..used], scratch);
        }
    }
    scratch.groups = groups;
    if matches!(work, Work::Loss(_)) { Total::of(&few.losses, rows) } else { Total::default() }
}

impl Few {
    /// Reads, settles and writes some groups.
    fn batch(&mut self, call: &mut Call<'_>, groups: &mut [Group], scratch: &mut Scratch) {
        let Scratch { tiles, label_tiles, tile_masses: masses, tile_sums, largest, slopes, lines, .. } =
            &mut *scratch;
        let (token, classes) = (self.token, self.classes);
        let (logits, used) = (call.inputs.logits.share(), groups.len() * classes);
        let tiles = &mut tiles[..used];
        token.run(LoadTiles { from: logits, groups, tiles, lines });
        if !call.inputs.map.is_none() {
            self.map(call.inputs.map, groups, tiles, slopes);
        }
        let by_largest = self.left_out == LeftOut::Largest;
        if by_largest || self.saves {
            token.run(LargestOfTiles { tiles, classes, to: largest });
        }
        if by_largest {
            for (group, largest) in groups.iter_mut().zip(&*largest) {
                group.labels = *largest;
            }
        }
        if self.weighs {
            let labels = &mut label_tiles[..used];
            match call.inputs.dense {
                Some(from) => token.run(LoadTiles { from, groups, tiles: labels, lines }),
                None => token.run(LabelAll { tiles, labels }),
            }
            token.run(WeighTiles { groups, tiles, labels, classes, masses });
        }
        let keep = self.writes && self.work != Work::LogSoftmax;
        let (labels, ahead) = (self.left_out != LeftOut::Nothing, self.ahead);
        token.run(SumTiles { groups, tiles, classes, labels, keep, sums: tile_sums, ahead });
        if let Sums::Saved(sums) = &call.outputs.sums {
            take_sums(groups, sums);
        }
        let empty = groups.iter().any(Group::has_empty_rows);
        if empty {
            settle_empty(call.inputs.empty_is_zero, groups, masses);
        }
        self.finish(call, groups, tiles, masses);
        if self.saves {
            let apart = if self.left_out == LeftOut::Label { Apart::LABEL } else { Apart::LARGEST };
            save(call, groups, tiles, largest, apart);
        }
        if self.writes {
            self.write(call, groups, scratch, empty);
        }
        if empty || self.weighs || call.inputs.loss().z_loss != 0.0 {
            // What is multiplied is made anew.
            for group in groups {
                group.len = 0;
            }
        }
    }

    /// Maps the logits of tiles.
    fn map(
        &self,
        map: Map<'_>,
        groups: &[Group],
        tiles: &mut [[f32; LANES]],
        slopes: &mut Vec<[f64; LANES]>,
    ) {
        if map.mask != Mask::None {
            mask_tiles(map.mask, groups, tiles, self.classes);
        }
        if self.slopes {
            slopes.resize(slopes.len().max(tiles.len()), [0.0; LANES]);
        }
        let slopes = if self.slopes { &mut slopes[..tiles.len()] } else { &mut [] };
        if map.makes_ties() {
            self.token.run(MapLogits { map, from: &[], logits: tiles, slopes });
        }
    }

    /// Turns sums into losses, and into the coefficients of results.
    fn finish(
        &mut self,
        call: &mut Call<'_>,
        groups: &mut [Group],
        tiles: &[[f32; LANES]],
        masses: &[TileMass],
    ) {
        let (token, writes) = (self.token, self.writes);
        let (labels, plain) =
            (self.left_out != LeftOut::Nothing, self.left_out != LeftOut::Largest && !self.weighs);
        let z_loss = call.inputs.loss().z_loss;
        let plain = plain && z_loss == 0.0;
        let logs = self.left_out == LeftOut::Label && !plain;
        let mut unused = LossSum::EMPTY;
        let sum = if plain { &mut self.losses } else { &mut unused };
        let (losses, factors) = (labels.then_some(sum), writes && plain);
        token.run(Finish { groups, labels, losses, logs, factors });
        match call.inputs.work {
            Work::Loss(loss) => {
                let (losses, factors) = (&mut self.losses, writes);
                if self.left_out == LeftOut::Largest && self.weighs {
                    let unit_mass = loss.unit_mass;
                    token.run(FinishDense { groups, masses, losses, factors, unit_mass });
                } else if self.weighs {
                    let smoothing = loss.smoothing;
                    token.run(FinishSmoothed { groups, masses, losses, factors, smoothing });
                } else if z_loss != 0.0 {
                    token.run(FinishSquared { groups, losses, factors, z_loss });
                }
                for group in &*groups {
                    call.outputs.put_losses(group);
                }
            }
            Work::LogSoftmax => token.run(FinishLogs { groups }),
            Work::LogSumExp => {
                for (group, tile) in groups.iter().zip(tiles.chunks_exact(self.classes)) {
                    for i in 0..group.len {
                        let value = log_sum_exp(group, i, tile);
                        set(call.outputs.log_sum_exp, group.rows[i], value);
                    }
                }
            }
            Work::Softmax | Work::LabelGradient(_) | Work::Entropy => {}
        }
    }

    /// Writes results.
    fn write(&self, call: &mut Call<'_>, groups: &mut [Group], scratch: &mut Scratch, empty: bool) {
        let Scratch { tiles, label_tiles: labels, slopes, terms, lines, .. } = scratch;
        let (classes, used, map) = (self.classes, groups.len() * self.classes, call.inputs.map);
        let slopes = if self.slopes { &slopes[..used] } else { &[] };
        if !map.is_none() {
            map_labels(map.mask, groups, slopes, classes);
        }
        // Scales that are given have been looked at.
        let made = self.weighs || call.inputs.loss().z_loss != 0.0;
        let ordinary = |group: &Group| group.ends.are_finite() && (!made || group.scales_are_ordinary());
        let special = empty || !groups.iter().all(ordinary);
        if special {
            for group in &mut *groups {
                mark_special(&call.inputs, group, true);
            }
            // Results are made in the places of terms.
            terms.clear();
            terms.extend_from_slice(tiles.as_flattened());
        }
        let Some(results) = call.destination() else { return };
        let mut results = results.reborrow();
        let formula = match self.work {
            Work::LogSoftmax => Formula::Logs,
            _ if self.weighs => Formula::LessLabels,
            _ => Formula::Scaled,
        };
        let to = results.reborrow();
        self.token.run(WriteTiles { groups, tiles, formula, labels, slopes, lines, results: to });
        if special {
            for (number, group) in groups.iter().enumerate() {
                let tile = number * self.classes;
                write_special(
                    group,
                    &terms.as_chunks().0[tile..],
                    if self.weighs { &labels[tile..] } else { &[] },
                    slopes.get(tile..).unwrap_or_default(),
                    &mut results,
                );
            }
        }
    }
}
