//! From the logits that a caller has to those that a softmax is taken of.
//!
//! Formula: `z = s cap tanh(x / cap)`, and `-inf` for classes that a mask takes out. Where there is no cap,
//! `z = s x`. Each is computed in f64 and rounded once, to the f32 that the kernels read; its derivative stays f64.

use super::Kernel;
use crate::numbers::factor::narrow;
use crate::numbers::math::exp;
use crate::simd::Simd;

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
            for (to, keep) in values.iter_mut().zip(mask) {
                *to = if *keep { *to } else { value };
            }
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

/// Maps a row, in place; `slopes`, if there are any, become the derivatives but for the scale.
pub(crate) struct MapRow<'a> {
    pub(crate) map: Map<'a>,
    /// Which row of the call it is.
    pub(crate) row: usize,
    pub(crate) logits: &'a mut [f32],
    pub(crate) slopes: &'a mut [f64],
}

impl Kernel for MapRow<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        let Self { map, row, logits, slopes } = self;
        if let Some(cap) = map.cap {
            for (slope, x) in slopes.iter_mut().zip(&*logits) {
                *slope = slope_of(f64::from(*x) / cap);
            }
            for x in &mut *logits {
                // A masked class stays one, and +inf what it is. Scale times cap may be more than any number.
                let capped = narrow(map.scale * (cap * tanh(f64::from(*x) / cap)));
                *x = if x.is_infinite() { *x } else { capped };
            }
        } else if map.is_scaled() {
            for x in &mut *logits {
                *x = narrow(map.scale * f64::from(*x));
            }
        }
        map.mask.fill(row, logits, f32::NEG_INFINITY);
    }
}

/// `tanh x`, good to 2^-38: far more than an f32 shows.
///
/// Formula: `(1 - e^(-2|x|)) / (1 + e^(-2|x|))`; next to 0, where the numerator cancels, `x - x^3 / 3`.
#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    const SMALL: f64 = 1.0 / 4096.0;
    let e = exp(-2.0 * x.abs());
    let large = ((1.0 - e) / (1.0 + e)).copysign(x);
    let small = x - x * x * x / 3.0;
    // NaN is not small.
    if x.abs() < SMALL { small } else { large }
}

/// The derivative of [`tanh`]: `4 e^(-2|x|) / (1 + e^(-2|x|))^2`, without cancellation. Good to 2^-50.
#[inline(always)]
pub(crate) fn slope_of(x: f64) -> f64 {
    let e = exp(-2.0 * x.abs());
    let d = 1.0 + e;
    4.0 * e / (d * d)
}
