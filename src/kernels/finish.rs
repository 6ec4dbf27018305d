//! Between reading and writing: the ends of sixteen rows, in vectors.

use super::Kernel;
use super::group::{Group, LossSum};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// Turns the sums of groups into what is asked for.
pub(crate) struct Finish<'a> {
    pub(crate) groups: &'a mut [Group],
    /// Whether rows have labels.
    pub(crate) labels: bool,
    /// Whether their losses are wanted, and added up.
    pub(crate) losses: Option<&'a mut LossSum>,
    /// Whether logarithms of sums are wanted.
    pub(crate) logs: bool,
    /// Whether factors and results at labels are wanted.
    pub(crate) factors: bool,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        for group in &mut *self.groups {
            let parts = (group.len * S::WIDE_PARTS).div_ceil(LANES);
            if self.labels {
                group.ends.add_labels(simd, group.len);
            } else {
                group.ends.without_labels();
            }
            for part in 0..parts {
                if let Some(sum) = &mut self.losses {
                    let loss = group.ends.lanes(simd, part).losses(simd);
                    loss.store(&mut group.loss, part);
                    add_losses(simd, part, group, sum);
                }
                if self.logs {
                    group.ends.logs(simd, part).store(&mut group.log, part);
                }
                if self.factors {
                    factors(simd, part, group);
                }
            }
            if let Some(sum) = &mut self.losses {
                add_lone_losses(group, sum);
            }
        }
        flush(simd, self.groups);
    }
}

/// Weighs the losses of a part of a group, rounds them, and, of a full group, adds them up.
#[inline(always)]
pub(super) fn add_losses<S: Simd>(simd: S, part: usize, group: &mut Group, sum: &mut LossSum) {
    let loss = simd.load_wide(&group.loss, part) * simd.load_wide(&group.weight, part);
    loss.narrow(&mut group.results, part);
    if group.len == LANES {
        sum.add(simd, part, loss);
    }
}

/// Adds up the losses of a group that is not full: lanes without a row have losses, too.
#[inline(always)]
pub(super) fn add_lone_losses(group: &Group, sum: &mut LossSum) {
    if group.len < LANES {
        for i in 0..group.len {
            sum.add_one(i, group.loss[i] * group.weight[i]);
        }
    }
}

/// Makes +0 of losses and results at labels that are subnormal: of all groups afterwards, since what has just been stored
/// in halves cannot be loaded as a whole at once.
#[inline(always)]
pub(super) fn flush<S: Simd>(simd: S, groups: &mut [Group]) {
    for group in groups {
        for values in [&mut group.results, &mut group.at_label] {
            for part in simd.parts() {
                let value = simd.load(values, part);
                let magnitude = value.max(simd.splat(0.0) - value);
                value.zero_below(magnitude, simd.splat(f32::MIN_POSITIVE)).store(values, part);
            }
        }
    }
}

/// What terms are multiplied by, and `-rest / sum` at the labels.
#[inline(always)]
pub(super) fn factors<S: Simd>(simd: S, part: usize, group: &mut Group) {
    let [sum, rest, scale, inverse_scale] =
        [&group.ends.sum, &group.ends.rest, &group.scale, &group.inverse_scale].map(
            #[inline(always)]
            |values| simd.load_wide(values, part),
        );
    coefficients(simd, part, group, [scale, inverse_scale], sum, rest);
}

/// As [`factors`], given the numbers that they are made of.
#[inline(always)]
pub(super) fn coefficients<S: Simd>(
    simd: S,
    part: usize,
    group: &mut Group,
    [scale, inverse_scale]: [S::Wide; 2],
    sum: S::Wide,
    rest: S::Wide,
) {
    let share = simd.splat_wide(1.0) / sum;
    group.factors.set(simd, part, [scale, inverse_scale], sum, share);
    ((simd.splat_wide(0.0) - scale) * (rest * share)).narrow(&mut group.at_label, part);
}

impl LossSum {
    pub(crate) const EMPTY: Self = Self { high: [0.0; LANES], low: [0.0; LANES] };

    /// Adds a value in one lane.
    pub(crate) fn add_one(&mut self, lane: usize, value: f64) {
        let sum = self.high[lane] + value;
        let added = sum - self.high[lane];
        self.low[lane] += (self.high[lane] - (sum - added)) + (value - added);
        self.high[lane] = sum;
    }

    /// Adds values, with what each addition rounds away (Knuth's two-sum).
    #[inline(always)]
    pub(crate) fn add<S: Simd>(&mut self, simd: S, part: usize, values: S::Wide) {
        let (high, low) = (simd.load_wide(&self.high, part), simd.load_wide(&self.low, part));
        let sum = high + values;
        let added = sum - high;
        (low + ((high - (sum - added)) + (values - added))).store(&mut self.low, part);
        sum.store(&mut self.high, part);
    }
}

/// Sets the factors of a group whose scales are known.
pub(crate) struct SetFactors<'a> {
    pub(crate) group: &'a mut Group,
}

impl Kernel for SetFactors<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let group = self.group;
        for part in 0..(group.len * S::WIDE_PARTS).div_ceil(LANES) {
            let sum = simd.load_wide(&group.ends.sum, part);
            let scale = simd.load_wide(&group.scale, part);
            let inverse = simd.load_wide(&group.inverse_scale, part);
            group.factors.set(simd, part, [scale, inverse], sum, simd.splat_wide(1.0) / sum);
        }
    }
}

/// Splits the logarithms of sums into what logits are taken off, in two parts, and narrows what results are multiplied by.
pub(crate) struct SplitLogs<'a> {
    pub(crate) group: &'a mut Group,
}

impl Kernel for SplitLogs<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Group { log, factors, scale, subtract, len, .. } = self.group;
        let parts = (*len * S::WIDE_PARTS).div_ceil(LANES);
        for part in 0..parts {
            simd.load_wide(log, part).narrow(&mut factors.high, part);
            simd.load_wide(scale, part).narrow(subtract, part);
        }
        for part in 0..parts {
            (simd.load_wide(log, part) - simd.widen(&factors.high, part)).narrow(&mut factors.low, part);
        }
    }
}
