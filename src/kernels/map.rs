//! From the logits that a caller has to those that a softmax is taken of.
//!
//! Formula: `z = s cap tanh(x / cap)`, and `-inf` for classes that a mask takes out. Where there is no cap,
//! `z = s x`. Each is computed in f64 and rounded once, to the f32 that the kernels read; its derivative stays f64.

use super::Kernel;
use super::group::Group;
use crate::numbers::factor::narrow;
use crate::numbers::tanh::{NEAR, far_tanh, near_tanh};
use crate::simd::{LANES, Lanes, Simd, Wide};

/// What becomes of each logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Map<'a> {
    pub(crate) scale: f64,
    pub(crate) cap: Option<f64>,
    pub(crate) mask: Mask<'a>,
}

impl Default for Map<'_> {
    fn default() -> Self {
        Self { scale: 1.0, cap: None, mask: Mask::None }
    }
}

/// Which classes take part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mask<'a> {
    /// All.
    #[default]
    None,
    /// The same ones for every row.
    Shared(&'a [bool]),
    /// Rows × classes.
    PerRow(&'a [bool]),
}

impl<'a> Mask<'a> {
    /// That of a row.
    #[inline(always)]
    pub(crate) fn row(self, row: usize, classes: usize) -> Option<&'a [bool]> {
        match self {
            Self::None => None,
            Self::Shared(mask) => Some(mask),
            Self::PerRow(mask) => Some(&mask[row * classes..][..classes]),
        }
    }

    /// Gives the classes that take no part a value.
    #[inline(always)]
    pub(crate) fn fill<T: Copy>(self, row: usize, values: &mut [T], value: T) {
        if let Some(mask) = self.row(row, values.len()) {
            take_out(mask, values, value);
        }
    }

    /// Whether a class takes part.
    #[inline(always)]
    pub(crate) fn keeps(self, row: usize, class: usize, classes: usize) -> bool {
        self.row(row, classes).is_none_or(|mask| mask[class])
    }

    pub(crate) fn split_at(self, row: usize, classes: usize) -> (Self, Self) {
        match self {
            Self::PerRow(mask) => {
                let (first, rest) = mask.split_at(row * classes);
                (Self::PerRow(first), Self::PerRow(rest))
            }
            other => (other, other),
        }
    }
}

impl Map<'_> {
    pub(crate) fn split_at(self, row: usize, classes: usize) -> (Self, Self) {
        let (first, rest) = self.mask.split_at(row, classes);
        (Self { mask: first, ..self }, Self { mask: rest, ..self })
    }

    #[expect(clippy::float_cmp, reason = "1 is what changes nothing")]
    fn is_scaled(&self) -> bool {
        self.scale != 1.0
    }

    /// Whether different logits may become the same.
    pub(crate) fn makes_ties(&self) -> bool {
        self.cap.is_some() || self.is_scaled()
    }

    /// Whether logits stay what they are.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Caps and scales logits whose mask is applied, in whole vectors; `slopes`, if there are any, become the derivatives but for
/// the scale.
pub(crate) struct MapLogits<'a> {
    pub(crate) map: Map<'a>,
    /// A row from elsewhere; empty if logits are where they become others.
    pub(crate) from: &'a [f32],
    pub(crate) logits: &'a mut [[f32; LANES]],
    pub(crate) slopes: &'a mut [[f64; LANES]],
}

impl Kernel for MapLogits<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Self { map, from, logits, slopes } = self;
        let mut slopes = slopes.iter_mut();
        let (whole, rest) = from.as_chunks();
        let (first, others) = logits.split_at_mut(whole.len());
        for (from, line) in whole.iter().zip(first) {
            map_lanes(simd, map, from, line, slopes.next());
        }
        for line in others {
            let mut own = *line;
            own[..rest.len()].copy_from_slice(rest);
            map_lanes(simd, map, &own, line, slopes.next());
        }
    }
}

/// Copies logits; those of classes that a mask takes out become -inf. (In place a compiler makes stores of it that leave out
/// lanes, and whoever loads such a vector again waits.)
#[inline(always)]
pub(super) fn copy_kept(from: &[f32], mask: &[bool], to: &mut [f32]) {
    for ((from, keep), to) in from.iter().zip(mask).zip(to) {
        *to = if *keep { *from } else { f32::NEG_INFINITY };
    }
}

/// Gives the classes that a mask takes out a value.
#[inline(always)]
fn take_out<T: Copy>(mask: &[bool], values: &mut [T], value: T) {
    for (to, keep) in values.iter_mut().zip(mask) {
        *to = if *keep { *to } else { value };
    }
}

/// Caps and scales sixteen logits.
#[inline(always)]
fn map_lanes<S: Simd>(
    simd: S,
    map: Map<'_>,
    x: &[f32; LANES],
    to: &mut [f32; LANES],
    slopes: Option<&mut [f64; LANES]>,
) {
    let Some(cap) = map.cap else {
        let scale = simd.splat_wide(map.scale);
        for part in simd.wide_parts() {
            (scale * simd.widen(x, part)).narrow(to, part);
        }
        return;
    };
    let mut unwanted = [0.0; LANES];
    let slopes = slopes.unwrap_or(&mut unwanted);
    let cap = Cap::new(simd, map.scale, cap);
    let beyond = beyond(simd, x, cap.limit);
    match (beyond, S::WIDE_PARTS) {
        (0, 2) => cap.near::<2>(simd, x, to, slopes),
        (0, _) if !S::SMALL => cap.near::<4>(simd, x, to, slopes),
        _ => cap.any(simd, (x, beyond), to, slopes),
    }
}

/// The bits of the logits that are beyond a limit. Those of masked classes are not.
#[inline(always)]
fn beyond<S: Simd>(simd: S, x: &[f32; LANES], limit: f32) -> u32 {
    let (zero, least, limit) = (simd.splat(0.0), simd.splat(f32::MIN), simd.splat(limit));
    let mut beyond = 0;
    for part in simd.parts() {
        let x = simd.load(x, part);
        beyond |= (zero - x).zero_below(x, least).max(x).above(limit) << (part * (LANES / S::PARTS));
    }
    beyond
}

/// A soft cap, and what its results are multiplied by.
#[derive(Clone, Copy)]
struct Cap<S: Simd> {
    scale: f64,
    bound: f64,
    /// The largest logit whose hyperbolic tangent is a [`near_tanh`].
    limit: f32,
    /// The least such logit.
    least: S::Wide,
    inverse: S::Wide,
    factor: S::Wide,
}

impl<S: Simd> Cap<S> {
    #[inline(always)]
    fn new(simd: S, scale: f64, cap: f64) -> Self {
        let limit = narrow(cap * NEAR).min(f32::MAX);
        Self {
            scale,
            bound: cap,
            limit,
            least: simd.splat_wide(f64::from(-limit)),
            // Of the smallest cap, and of the largest, one would be infinite, and NaN times 0.
            inverse: simd.splat_wide((1.0 / cap).min(f64::MAX)),
            factor: simd.splat_wide((scale * cap).min(f64::MAX)),
        }
    }

    /// Caps logits up to the limit, all parts in step.
    #[inline(always)]
    fn near<const PARTS: usize>(
        &self,
        simd: S,
        x: &[f32; LANES],
        to: &mut [f32; LANES],
        slopes: &mut [f64; LANES],
    ) {
        let mut parts = [self.factor; PARTS];
        for (part, of) in parts.iter_mut().enumerate() {
            *of = self.least.max(simd.widen(x, part)) * self.inverse;
        }
        let (tanh, slope) = near_tanh(simd, S::Wide::in_step(parts));
        for part in 0..PARTS {
            let (capped, slope) = self.of_near(simd, simd.widen(x, part), tanh[part], slope[part]);
            capped.narrow(to, part);
            slope.store(slopes, part);
        }
    }

    /// The capped logits, and the slopes, of hyperbolic tangents and their derivatives.
    #[inline(always)]
    fn of_near(&self, simd: S, logit: S::Wide, tanh: S::Wide, slope: S::Wide) -> (S::Wide, S::Wide) {
        // 0, or of a masked class, which stays one, -inf.
        let masked = logit - self.least.max(logit);
        (self.factor * tanh + masked, simd.splat_wide(0.0).max(slope + masked))
    }

    /// Caps logits, some of them beyond the limit: each becomes the same whatever lies beside it.
    #[inline(always)]
    fn any(
        &self,
        simd: S,
        (x, beyond): (&[f32; LANES], u32),
        to: &mut [f32; LANES],
        slopes: &mut [f64; LANES],
    ) {
        let (zero, sign) = (simd.splat_wide(0.0), simd.splat_wide(-0.0));
        let (scale, cap) = (simd.splat_wide(self.scale), simd.splat_wide(self.bound));
        // That of the smallest cap would be infinite, and NaN times 0.
        let factor = simd.splat_wide((-2.0 / self.bound).max(f64::MIN));
        let largest = simd.splat_wide(f64::from(f32::MAX));
        let lanes = LANES / S::WIDE_PARTS;
        for part in simd.wide_parts() {
            let logit = simd.widen(x, part);
            let ([tanh], [slope]) = near_tanh(simd, [self.least.max(logit) * self.inverse]);
            let (mut capped, mut slope) = self.of_near(simd, logit, tanh, slope);
            if beyond >> (part * lanes) & ((1 << lanes) - 1) != 0 {
                let magnitude = logit.max(zero - logit);
                let (tanh, of_far) = far_tanh(simd, magnitude * factor);
                // A masked class stays one, and +inf what it is. Scale times cap may be more than any number.
                let far = (scale * (cap * tanh)).max(magnitude - largest).or(logit.and(sign));
                // All bits where the logit is beyond the limit.
                let is_far = zero.sub_bits((zero - self.least - magnitude).shift_right::<63>());
                capped = capped.xor(capped.xor(far).and(is_far));
                slope = slope.xor(slope.xor(of_far).and(is_far));
            }
            capped.narrow(to, part);
            slope.store(slopes, part);
        }
    }
}

/// Gives the classes that a mask takes out of tiles the logit -inf.
pub(crate) fn mask_tiles(mask: Mask<'_>, groups: &[Group], tiles: &mut [[f32; LANES]], classes: usize) {
    for (group, tile) in groups.iter().zip(tiles.chunks_exact_mut(classes)) {
        if let Mask::Shared(mask) = mask {
            take_out(mask, tile, [f32::NEG_INFINITY; LANES]);
        } else {
            for (lane, row) in group.rows.into_iter().enumerate() {
                for (class, keep) in tile.iter_mut().zip(mask.row(row, classes).unwrap_or_default()) {
                    class[lane] = if *keep { class[lane] } else { f32::NEG_INFINITY };
                }
            }
        }
    }
}

/// Multiplies results by slopes.
pub(crate) struct Multiply<'a> {
    pub(crate) results: &'a mut [f32],
    pub(crate) slopes: &'a [f64],
}

impl Kernel for Multiply<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        for (result, slope) in self.results.iter_mut().zip(self.slopes) {
            *result = times_slope(*result, *slope);
        }
    }
}

/// A result times the slope of its class.
#[inline(always)]
pub(crate) fn times_slope(result: f32, slope: f64) -> f32 {
    // A class that is masked has no part in anything, also where its result is infinite.
    if slope == 0.0 && !result.is_nan() { 0.0 } else { narrow(f64::from(result) * slope) }
}
