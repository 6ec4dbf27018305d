//! Rows of few classes, sixteen in the lanes, some tiles at a time; one or two rows by themselves.

use super::call::{Call, Work};
use super::options::{Sums, set};
use super::rows::{ENOUGH, FEW};
use super::scratch::Scratch;
use super::settle::{mark_not_a_number, mark_special, saved};
use super::total::Total;
use crate::kernels::few::SumFew;
use crate::kernels::finish::Finish;
use crate::kernels::group::{Group, LossSum, NO_LABEL, Special};
use crate::kernels::rows::STEP;
use crate::kernels::tile_ends::{
    FinishDense, FinishLogs, FinishSmoothed, FinishSquared, LabelAll, LargestOfTiles, TileMass, WeighTiles,
};
use crate::kernels::tiles::{LoadTiles, SumTiles, TILES};
use crate::kernels::write::{Formula, WriteRows};
use crate::kernels::write_tiles::WriteTiles;
use crate::numbers::exp::Reference;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::numbers::log_sum_exp::{Apart, LogSumExp};
use crate::simd::strided::{Strided, StridedMut};
use crate::simd::{LANES, Token};

/// Class vectors that are on their way at once: these stay in the nearest cache.
const NEAR: usize = 256;

/// Arrays that the terms of the rows take that are summed by themselves.
const LONE: usize = (ENOUGH - 1) * STEP / LANES;

/// A sum beside which no term is seen, whose inverse is a number.
const MOST: f64 = 1e300;

/// Whether a call is done here: everything that it asks for follows from the sums of rows, and from what their labels
/// weigh.
pub(super) fn suits(call: &Call<'_>) -> bool {
    if call.inputs.classes() > FEW || !call.inputs.map.is_none() {
        return false;
    }
    let (outputs, weights) = (&call.outputs, call.inputs.weights.classes.unwrap_or_default());
    let of_sums = match call.inputs.work {
        Work::Loss(loss) => {
            // What is saved is read from the logits once more.
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
    /// Whether rows are summed by themselves.
    lone: bool,
    saves: bool,
    writes: bool,
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
    let (rows, classes, work) = (call.inputs.rows(), call.inputs.classes(), call.inputs.work);
    let dense = call.inputs.dense.is_some();
    let left_out = match (call.inputs.labels.is_some(), work) {
        (true, _) => LeftOut::Label,
        (false, Work::Softmax) => LeftOut::Nothing,
        (false, _) => LeftOut::Largest,
    };
    let weighs = dense || call.inputs.loss().smoothing.mass > 0.0;
    let writes = call.writes();
    let slices = || {
        call.inputs.logits.share().layout().class_stride == 1 && (!writes || call.destination_stride() == 1)
    };
    let saves = matches!(call.outputs.sums, Sums::Save(_));
    let alone = !weighs
        && call.inputs.loss().z_loss == 0.0
        && left_out != LeftOut::Largest
        && matches!(call.outputs.sums, Sums::Discard);
    let lone = rows < ENOUGH && alone && slices();
    let losses = LossSum::EMPTY;
    let mut few = Few { token, classes, work, left_out, weighs, lone, saves, writes, losses };
    let at_once = ((NEAR / classes).clamp(2, TILES) & !1).min(rows.div_ceil(LANES));
    let room = at_once * classes.max(if lone { LONE } else { 0 });
    scratch.tiles.resize(scratch.tiles.len().max(room), [0.0; LANES]);
    if weighs {
        scratch.label_tiles.resize(scratch.label_tiles.len().max(room), [0.0; LANES]);
        scratch.tile_masses.resize_with(TILES, || TileMass::EMPTY);
    }
    if left_out == LeftOut::Largest || saves {
        scratch.largest.resize_with(TILES, || [NO_LABEL; LANES]);
    }
    let mut groups = core::mem::take(&mut scratch.groups);
    groups.resize_with(groups.len().max(at_once), || Group::EMPTY);
    for group in &mut groups {
        group.len = 0;
    }
    let mut first = 0;
    while first < rows {
        let mut used = 0;
        while first < rows && used < at_once {
            first = call.collect(first, &mut groups[used], LANES);
            used += usize::from(groups[used].len > 0);
        }
        if used > 0 {
            few.batch(call, &mut groups[..used], scratch);
        }
    }
    scratch.groups = groups;
    if matches!(work, Work::Loss(_)) { Total::of(&few.losses) } else { Total::default() }
}

impl Few {
    /// Reads, settles and writes some groups.
    fn batch(&mut self, call: &mut Call<'_>, groups: &mut [Group], scratch: &mut Scratch) {
        let Scratch { tiles, label_tiles, tile_masses: masses, largest, terms, .. } = scratch;
        let (token, classes) = (self.token, self.classes);
        let (logits, used) = (call.inputs.logits.share(), groups.len() * classes);
        if self.lone {
            sum_lone(token, logits, groups, tiles, self.writes);
        } else {
            let tiles = &mut tiles[..used];
            token.run(LoadTiles { from: logits, groups, tiles });
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
                    Some(from) => token.run(LoadTiles { from, groups, tiles: labels }),
                    None => token.run(LabelAll { tiles, labels }),
                }
                token.run(WeighTiles { groups, tiles, labels, classes, masses });
            }
            let keep = self.writes && self.work != Work::LogSoftmax;
            token.run(SumTiles { groups, tiles, classes, labels: self.left_out != LeftOut::Nothing, keep });
        }
        if let Sums::Saved(sums) = &call.outputs.sums {
            take_sums(groups, sums);
        }
        let empty = groups.iter().any(Group::has_empty_rows);
        if empty {
            settle_empty(call.inputs.empty_is_zero, groups, masses);
        }
        self.finish(call, groups, masses);
        if self.saves {
            let apart = if self.left_out == LeftOut::Label { Apart::LABEL } else { Apart::LARGEST };
            save(call, groups, largest, apart);
        }
        if self.writes {
            self.write(call, groups, [&mut tiles[..], &mut label_tiles[..]], terms, empty);
        }
        if empty || self.weighs || call.inputs.loss().z_loss != 0.0 {
            // What is multiplied is made anew.
            for group in groups {
                group.len = 0;
            }
        }
    }

    /// Turns sums into losses, and into the coefficients of results.
    fn finish(&mut self, call: &mut Call<'_>, groups: &mut [Group], masses: &[TileMass]) {
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
                let logits = call.inputs.logits.share();
                for group in &*groups {
                    for i in 0..group.len {
                        let value = log_sum_exp(group, i, logits);
                        set(call.outputs.log_sum_exp, group.rows[i], value);
                    }
                }
            }
            Work::Softmax | Work::LabelGradient(_) | Work::Entropy => {}
        }
    }

    /// Writes results.
    fn write(
        &self,
        call: &mut Call<'_>,
        groups: &mut [Group],
        [tiles, labels]: [&mut [[f32; LANES]]; 2],
        terms: &mut Vec<f32>,
        empty: bool,
    ) {
        let ordinary = |group: &Group| group.ends.are_finite() && group.scales_are_ordinary();
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
        if self.lone {
            let from = tiles.as_flattened();
            for group in &*groups {
                self.token.run(WriteRows { group, from, stride: STEP, results: results.reborrow() });
            }
        } else {
            let formula = match self.work {
                Work::LogSoftmax => Formula::Logs,
                _ if self.weighs => Formula::LessLabels,
                _ => Formula::Scaled,
            };
            let to = results.reborrow();
            self.token.run(WriteTiles { groups, tiles, formula, labels, results: to });
        }
        if special {
            for (number, group) in groups.iter().enumerate() {
                let tile = number * self.classes;
                write_special(
                    group,
                    &terms.as_chunks().0[tile..],
                    if self.weighs { &labels[tile..] } else { &[] },
                    &mut results,
                );
            }
        }
    }
}

/// Sums the terms of the rows of a group by themselves: fewer than a tile is worth.
fn sum_lone(token: Token, logits: Strided<'_>, groups: &mut [Group], tiles: &mut [[f32; LANES]], keep: bool) {
    for group in groups {
        let mut rows: [&[f32]; ENOUGH - 1] = [&[]; ENOUGH - 1];
        for (i, row) in rows[..group.len].iter_mut().enumerate() {
            *row = logits.row(group.rows[i]);
            group.ends.logit[i] = row.get(group.labels[i]).copied().unwrap_or(f32::NEG_INFINITY);
        }
        let mut references = [Reference::TAME; LANES];
        token.run(SumFew {
            rows: &rows[..group.len],
            labels: &group.labels,
            terms: if keep { tiles.as_flattened_mut().as_chunks_mut().0 } else { &mut [] },
            rest: &mut group.ends.rest,
            max: &mut group.max,
            references: &mut references,
        });
        group.ends.refer_to(&references);
    }
}

/// Takes sums that were saved in place of those of the logits at hand: of more classes, perhaps.
fn take_sums(groups: &mut [Group], sums: &[LogSumExp]) {
    for group in groups {
        for i in 0..group.len {
            let (saved, ends) = (&sums[group.rows[i]], &mut group.ends);
            let own = Reference { pivot: ends.pivot[i], exponent: ends.exponent[i] };
            let unit = saved.scale_of(own);
            let rest = saved.beside(ends.logit[i], ends.rest[i] * unit);
            // Logits so far below the others that their unit vanishes have no part in anything.
            ends.rest[i] = if rest < f64::INFINITY && rest > MOST * unit { MOST } else { rest / unit };
            group.max[i] = saved.max;
        }
    }
}

/// Rows without any logit but -inf have a loss of NaN, or of 0.
fn settle_empty(is_zero: bool, groups: &mut [Group], masses: &mut [TileMass]) {
    for (number, group) in groups.iter_mut().enumerate() {
        mark_not_a_number(group);
        for i in 0..group.len {
            if group.max[i] != f32::NEG_INFINITY {
                continue;
            }
            if is_zero {
                (group.ends.rest[i], group.ends.logit[i], group.weight[i]) = (1.0, 0.0, 0.0);
            } else {
                group.ends.rest[i] = f64::NAN;
            }
            if let Some(mass) = masses.get_mut(number) {
                mass.distance[i] = 0.0;
            }
        }
    }
}

/// The log-sum-exp of a row whose largest logit was its label: `m + L`.
fn log_sum_exp(group: &Group, i: usize, logits: Strided<'_>) -> f32 {
    if group.ends.sum[i] < f64::INFINITY {
        return narrow(f64::from(group.ends.logit[i]) + group.loss[i]);
    }
    let any =
        |is: fn(f32) -> bool| (0..logits.layout().classes).any(|class| is(logits.get(group.rows[i], class)));
    if any(f32::is_nan) {
        f32::NAN
    } else if any(|x| x == f32::INFINITY) {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    }
}

/// Saves the sums of rows.
fn save(call: &mut Call<'_>, groups: &[Group], largest: &[[usize; LANES]], apart: u32) {
    let logits = call.inputs.logits.share();
    let Sums::Save(sums) = &mut call.outputs.sums else { return };
    for (group, largest) in groups.iter().zip(largest) {
        for (i, largest) in largest.iter().enumerate().take(group.len) {
            let row = group.rows[i];
            let is_nan = |class: &usize| logits.get(row, *class).is_nan();
            let finite = group.ends.sum[i] < f64::INFINITY;
            let nan = if finite { None } else { (0..logits.layout().classes).find(is_nan) };
            let class = nan.unwrap_or(*largest);
            sums[row] = saved(group, i, (class, logits.get(row, class)));
            sums[row].apart = apart;
            // A row without any logit has been given one.
            if group.max[i] == f32::NEG_INFINITY {
                sums[row].logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// Writes the rows whose results are not what the formula makes of terms.
fn write_special(
    group: &Group,
    terms: &[[f32; LANES]],
    labels: &[[f32; LANES]],
    results: &mut StridedMut<'_>,
) {
    for i in 0..group.len {
        let factor = group.scale[i] / group.ends.sum[i];
        for (class, term) in terms.iter().enumerate().take(results.layout().classes) {
            let value = match group.special[i] {
                Special::No => break,
                Special::NotANumber => f32::NAN,
                Special::Zero => 0.0,
                Special::Large if class == group.labels[i] => group.at_label[i],
                Special::Large => {
                    let label = labels.get(class).map_or(0.0, |label| f64::from(label[i]));
                    let label = f64::from(group.subtract[i]) * label;
                    narrow_normal(factor * f64::from(term[i]) - label)
                }
            };
            results.set(group.rows[i], class, value);
        }
    }
}
