//! The ends of tiles that take more than their sums: log-probabilities, and losses of distributions and of smoothed labels.
//!
//! Formula: `lse = m + L` for the largest logit `m` and its own loss `L = ln(sum / term)`, which is small where one class
//! leads and never negative.
//!
//! Identity: `sum_i t_i (lse - x_i) = L sum_i t_i + sum_i t_i (m - x_i)`: of masses that are not negative no part is, so
//! that nothing cancels, however small the loss.

use super::Kernel;
use super::finish::{add_lone_losses, add_losses, factors, flush};
use super::group::{Group, LossSum};
use super::tiles::largest;
use crate::numbers::factor::narrow;
use crate::numbers::smoothing::Spread;
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Below this log-probabilities of the largest logits are their losses, which have not been rounded with the logit.
const NEAR_ZERO: f64 = 0.5;

/// What labels of a tile weigh: their sums, and the distances of their logits from the largest.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct TileMass {
    total: [f64; LANES],
    pub(crate) distance: [f64; LANES],
    /// The largest logits.
    max: [f32; LANES],
    /// The labels of the classes that the groups have.
    at_label: [f32; LANES],
}

impl TileMass {
    pub(crate) const EMPTY: Self =
        Self { total: [0.0; LANES], distance: [0.0; LANES], max: [0.0; LANES], at_label: [0.0; LANES] };
}

/// Finds the classes of the largest logits, of equal ones the first.
pub(crate) struct LargestOfTiles<'a> {
    pub(crate) tiles: &'a [[f32; LANES]],
    pub(crate) classes: usize,
    pub(crate) to: &'a mut [[usize; LANES]],
}

impl Kernel for LargestOfTiles<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        for (to, tile) in self.to.iter_mut().zip(self.tiles.chunks_exact(self.classes)) {
            *to = largest(tile);
        }
    }
}

/// The largest logits of a tile's rows, of those that are not NaN.
pub(crate) struct MaxOfTile<'a> {
    pub(crate) tile: &'a [[f32; LANES]],
    pub(crate) to: &'a mut [f32; LANES],
}

impl Kernel for MaxOfTile<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for part in simd.parts() {
            let mut max = simd.splat(f32::NEG_INFINITY);
            for class in self.tile {
                max = simd.load(class, part).max(max);
            }
            max.store(self.to, part);
        }
    }
}

/// Makes labels of 1 for the classes that take part: all but those of -inf.
pub(crate) struct LabelAll<'a> {
    pub(crate) tiles: &'a [[f32; LANES]],
    pub(crate) labels: &'a mut [[f32; LANES]],
}

impl Kernel for LabelAll<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let (one, least) = (simd.splat(1.0), simd.splat(f32::MIN));
        for (x, to) in self.tiles.iter().zip(self.labels) {
            for part in simd.parts() {
                one.zero_below(simd.load(x, part), least).store(to, part);
            }
        }
    }
}

/// Weighs the logits of tiles by labels, class after class.
pub(crate) struct WeighTiles<'a> {
    pub(crate) groups: &'a [Group],
    pub(crate) tiles: &'a [[f32; LANES]],
    pub(crate) labels: &'a [[f32; LANES]],
    pub(crate) classes: usize,
    pub(crate) masses: &'a mut [TileMass],
}

impl Kernel for WeighTiles<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let labels = self.labels.chunks_exact(self.classes);
        let tiles = self.tiles.chunks_exact(self.classes).zip(labels);
        for ((group, (tile, labels)), mass) in self.groups.iter().zip(tiles).zip(self.masses) {
            *mass = TileMass { max: [f32::NEG_INFINITY; LANES], ..TileMass::EMPTY };
            for (lane, &class) in group.labels.iter().enumerate() {
                mass.at_label[lane] = labels[class][lane];
            }
            for part in simd.parts() {
                let mut max = simd.load(&mass.max, part);
                for x in tile {
                    max = simd.load(x, part).max(max);
                }
                max.store(&mut mass.max, part);
            }
            for (x, t) in tile.iter().zip(labels) {
                // A label of 0 contributes 0, whatever the logit.
                let mut weighed = [0.0; LANES];
                for part in simd.parts() {
                    simd.load(x, part).zero_where_zero(simd.load(t, part)).store(&mut weighed, part);
                }
                for part in simd.wide_parts() {
                    let label = simd.widen(t, part);
                    let below = simd.widen(&mass.max, part) - simd.widen(&weighed, part);
                    (simd.load_wide(&mass.total, part) + label).store(&mut mass.total, part);
                    (simd.load_wide(&mass.distance, part) + label * below).store(&mut mass.distance, part);
                }
            }
        }
    }
}

/// Turns the losses of the largest logits into those of distributions, and sets the coefficients of their gradients.
pub(crate) struct FinishDense<'a> {
    pub(crate) groups: &'a mut [Group],
    pub(crate) masses: &'a [TileMass],
    pub(crate) losses: &'a mut LossSum,
    /// Whether gradients are wanted.
    pub(crate) factors: bool,
    /// Whether gradients take the masses to add up to 1.
    pub(crate) unit_mass: bool,
}

impl Kernel for FinishDense<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { groups, masses, losses, factors, unit_mass } = self;
        let zero = simd.splat_wide(0.0);
        for (group, mass) in groups.iter_mut().zip(masses) {
            for part in 0..(group.len * S::WIDE_PARTS).div_ceil(LANES) {
                let total = simd.load_wide(&mass.total, part);
                let loss = total * simd.load_wide(&group.loss, part) + simd.load_wide(&mass.distance, part);
                // Not -0.
                (loss + zero).store(&mut group.loss, part);
                add_losses(simd, part, group, losses);
                if factors {
                    coefficients(simd, part, group, mass, unit_mass);
                }
            }
            add_lone_losses(group, losses);
        }
        flush(simd, groups);
    }
}

/// What terms and labels are multiplied by, and the gradients of the largest logits, `scale (mass p - t)`: with the rest of
/// the row in place of `p`, so that there is nothing to cancel where a label is 1.
#[inline(always)]
fn coefficients<S: Simd>(simd: S, part: usize, group: &mut Group, mass: &TileMass, unit_mass: bool) {
    let (one, zero) = (simd.splat_wide(1.0), simd.splat_wide(0.0));
    let scale = simd.load_wide(&group.scale, part);
    scale.narrow(&mut group.subtract, part);
    let total = if unit_mass { one } else { simd.load_wide(&mass.total, part) };
    let rest = simd.load_wide(&group.ends.rest, part) / simd.load_wide(&group.ends.sum, part);
    let at_label = scale * ((total - simd.widen(&mass.at_label, part)) - total * rest);
    let scale = scale * total;
    scale.store(&mut group.scale, part);
    (one / scale.max(zero - scale)).store(&mut group.inverse_scale, part);
    factors(simd, part, group);
    at_label.narrow(&mut group.at_label, part);
}

/// Turns the losses of labels into those of smoothed labels, and sets the coefficients of their gradients. All other
/// classes that take part have a label of 1.
///
/// Formula: `a L + s sum_j (lse - x_j)` over the other classes, for masses `a` at the label and `s` of each other, with
/// `lse - x_j = (lse - m) + (m - x_j)`. What cancels there is next to nothing beside `a L`.
pub(crate) struct FinishSmoothed<'a> {
    pub(crate) groups: &'a mut [Group],
    pub(crate) masses: &'a [TileMass],
    pub(crate) losses: &'a mut LossSum,
    /// Whether gradients are wanted.
    pub(crate) factors: bool,
    pub(crate) smoothing: Spread,
}

impl Kernel for FinishSmoothed<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { groups, masses, losses, factors: wanted, smoothing } = self;
        for (group, mass) in groups.iter_mut().zip(masses) {
            for lane in 0..LANES {
                let (logit, takes_part) = (group.ends.logit[lane], mass.at_label[lane] != 0.0);
                let (at_label, share) = smoothing.shares(mass.total[lane], takes_part);
                let max = if mass.max[lane] > f32::NEG_INFINITY { mass.max[lane] } else { 0.0 };
                let own = if takes_part { f64::from(max) - f64::from(logit) } else { 0.0 };
                let others = if takes_part { mass.total[lane] - 1.0 } else { mass.total[lane] };
                let from_max = (f64::from(group.ends.pivot[lane]) - f64::from(max)) + group.log[lane];
                let of_others = others * from_max + (mass.distance[lane] - own);
                group.loss[lane] = at_label * group.loss[lane] + share * of_others;
                let (scale, total) = (group.scale[lane], at_label + share * others);
                let rest = group.ends.rest[lane] / group.ends.sum[lane];
                let gradient = scale * ((total - at_label) - total * rest);
                (group.subtract[lane], group.at_label[lane]) = (narrow(scale * share), narrow(gradient));
                group.scale[lane] = scale * total;
                group.inverse_scale[lane] = 1.0 / group.scale[lane].abs();
            }
            finish_group(simd, group, losses, wanted);
        }
        flush(simd, groups);
    }
}

/// Adds `z lse^2` to the losses of labels, and sets the coefficients of their gradients: `2 z lse p` beside those of losses.
pub(crate) struct FinishSquared<'a> {
    pub(crate) groups: &'a mut [Group],
    pub(crate) losses: &'a mut LossSum,
    /// Whether gradients are wanted.
    pub(crate) factors: bool,
    pub(crate) z_loss: f64,
}

impl Kernel for FinishSquared<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { groups, losses, factors: wanted, z_loss } = self;
        for group in groups.iter_mut() {
            for lane in 0..LANES {
                let lse = f64::from(group.ends.pivot[lane]) + group.log[lane];
                group.loss[lane] += z_loss * (lse * lse);
                let (scale, slope) = (group.scale[lane], 2.0 * z_loss * lse);
                let rest = group.ends.rest[lane] / group.ends.sum[lane];
                group.at_label[lane] = narrow(scale * (slope - (1.0 + slope) * rest));
                group.scale[lane] = scale * (1.0 + slope);
                group.inverse_scale[lane] = 1.0 / group.scale[lane].abs();
            }
            finish_group(simd, group, losses, wanted);
        }
        flush(simd, groups);
    }
}

/// Adds the losses of a group, and sets its factors, where results at labels are known.
#[inline(always)]
fn finish_group<S: Simd>(simd: S, group: &mut Group, losses: &mut LossSum, wanted: bool) {
    let at_label = group.at_label;
    for part in 0..(group.len * S::WIDE_PARTS).div_ceil(LANES) {
        add_losses(simd, part, group, losses);
        if wanted {
            factors(simd, part, group);
        }
    }
    group.at_label = at_label;
    add_lone_losses(group, losses);
}

/// Turns the losses of the largest logits into the coefficients of log-probabilities.
pub(crate) struct FinishLogs<'a> {
    pub(crate) groups: &'a mut [Group],
}

impl Kernel for FinishLogs<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        for group in self.groups {
            let parts = (group.len * S::WIDE_PARTS).div_ceil(LANES);
            let mut logs = [0.0; LANES];
            for part in 0..parts {
                let logit = simd.widen(&group.ends.logit, part);
                let log = (logit - simd.widen(&group.ends.pivot, part)) + simd.load_wide(&group.loss, part);
                log.narrow(&mut group.factors.high, part);
                log.store(&mut logs, part);
            }
            for part in 0..parts {
                let low = simd.load_wide(&logs, part) - simd.widen(&group.factors.high, part);
                low.narrow(&mut group.factors.low, part);
            }
            for lane in 0..LANES {
                let loss = group.loss[lane];
                let (pivot, factors) = (group.ends.pivot[lane], &group.factors);
                let log = group.ends.logit[lane] - pivot - factors.high[lane] - factors.low[lane];
                group.at_label[lane] = if loss < NEAR_ZERO { 0.0 - group.results[lane] } else { log };
            }
        }
    }
}
