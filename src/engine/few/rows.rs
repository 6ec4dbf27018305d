//! What tiles leave to be done row by row: saved sums, rows without any logit, results that no formula makes.

use super::super::call::Call;
use super::super::options::Sums;
use super::super::settle::{first_of_largest, mark_not_a_number, saved};
use crate::kernels::group::{Group, Special};
use crate::kernels::map::{Mask, times_slope};
use crate::kernels::tile_ends::TileMass;
use crate::numbers::exp::Reference;
use crate::numbers::factor::{narrow, narrow_normal};
use crate::numbers::log_sum_exp::LogSumExp;
use crate::simd::LANES;
use crate::simd::strided::StridedMut;

/// A sum beside which no term is seen, whose inverse is a number.
const MOST: f64 = 1e300;

/// Takes sums that were saved in place of those of the logits at hand: of more classes, perhaps.
pub(super) fn take_sums(groups: &mut [Group], sums: &[LogSumExp]) {
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
pub(super) fn settle_empty(is_zero: bool, groups: &mut [Group], masses: &mut [TileMass]) {
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
pub(super) fn log_sum_exp(group: &Group, i: usize, tile: &[[f32; LANES]]) -> f32 {
    if group.ends.sum[i] < f64::INFINITY {
        return narrow(f64::from(group.ends.logit[i]) + group.loss[i]);
    }
    let any = |is: fn(f32) -> bool| (0..tile.len()).any(|class| is(logit(group, i, tile, class)));
    if any(f32::is_nan) {
        f32::NAN
    } else if any(|x| x == f32::INFINITY) {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    }
}

/// A logit of a tile, from which that of the group's label has been taken.
fn logit(group: &Group, i: usize, tile: &[[f32; LANES]], class: usize) -> f32 {
    // A row without any logit has been given one.
    if group.max[i] == f32::NEG_INFINITY {
        f32::NEG_INFINITY
    } else if class == group.labels[i] {
        group.ends.logit[i]
    } else {
        tile[class][i]
    }
}

/// Saves the sums of rows.
pub(super) fn save(
    call: &mut Call<'_>,
    groups: &[Group],
    tiles: &[[f32; LANES]],
    largest: &[[usize; LANES]],
    apart: u32,
) {
    let (inputs, classes) = (&call.inputs, call.inputs.classes());
    let Sums::Save(sums) = &mut call.outputs.sums else { return };
    for ((group, largest), tile) in groups.iter().zip(largest).zip(tiles.chunks_exact(classes)) {
        for (i, largest) in largest.iter().enumerate().take(group.len) {
            let row = group.rows[i];
            let logit = |class: usize| logit(group, i, tile, class);
            let finite = group.ends.sum[i] < f64::INFINITY;
            let nan = if finite { None } else { (0..classes).find(|class| logit(*class).is_nan()) };
            let class = nan.unwrap_or(*largest);
            let first = first_of_largest(inputs, row, classes, logit, class);
            sums[row] = saved(group, i, (first, logit(class)));
            sums[row].apart = apart;
            if group.max[i] == f32::NEG_INFINITY {
                sums[row].logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// Multiplies results at labels by their slopes; those of masked labels are 0.
pub(super) fn map_labels(mask: Mask<'_>, groups: &mut [Group], slopes: &[[f64; LANES]], classes: usize) {
    for (number, group) in groups.iter_mut().enumerate() {
        for i in 0..group.len {
            let (label, result) = (group.labels[i], &mut group.at_label[i]);
            if label < classes {
                *result = slopes
                    .get(number * classes + label)
                    .map_or(*result, |slopes| times_slope(*result, slopes[i]));
                let masked = !mask.keeps(group.rows[i], label, classes) && !result.is_nan();
                *result = if masked { 0.0 } else { *result };
            }
        }
    }
}

/// Writes the rows whose results are not what the formula makes of terms.
pub(super) fn write_special(
    group: &Group,
    terms: &[[f32; LANES]],
    labels: &[[f32; LANES]],
    slopes: &[[f64; LANES]],
    results: &mut StridedMut<'_>,
) {
    for i in 0..group.len {
        let factor = group.scale[i] / group.ends.sum[i];
        for (class, term) in terms.iter().enumerate().take(results.layout().classes) {
            let value = match group.special[i] {
                Special::No => break,
                Special::NotANumber => f32::NAN,
                Special::Zero => 0.0,
                // Its slope is in it.
                Special::Large if class == group.labels[i] => {
                    results.set(group.rows[i], class, group.at_label[i]);
                    continue;
                }
                Special::Large => {
                    let label = labels.get(class).map_or(0.0, |label| f64::from(label[i]));
                    let label = f64::from(group.subtract[i]) * label;
                    narrow_normal(factor * f64::from(term[i]) - label)
                }
            };
            let value = slopes.get(class).map_or(value, |slopes| times_slope(value, slopes[i]));
            results.set(group.rows[i], class, value);
        }
    }
}
