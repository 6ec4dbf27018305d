//! What becomes of a row once its sum is known: results from its terms, from its logits, or none.
//!
//! An epilogue is a formula on lanes. Its constants are those of one row in all lanes, or of sixteen rows,
//! one in each.

use super::share::{Factor, factor_parts, narrow, split};
use crate::simd::{Lanes, Simd};

/// What an epilogue's results are made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// There are no results.
    Nothing,
    /// The terms, which are written while the row is read.
    Terms,
    /// The logits, once more.
    Logits,
}

/// Numbers of a row that its epilogue needs.
pub(crate) const CONSTANTS: usize = 6;

/// A formula for the results of a row.
pub(crate) trait Epilogue {
    const READS: Values;
    /// Whether the formula has dense labels.
    const LABELS: bool = false;

    /// The row's constants: `by` is the factor of its terms or the logarithm of its sum, `scale` a factor of
    /// the labels or of the result, `pivot` that of the sum.
    fn constants(by: f64, scale: f64, pivot: f64) -> [f32; CONSTANTS];

    /// The results of some values, and of the labels in the same place.
    fn apply<S: Simd>(
        simd: S,
        constants: &[S::Lanes; CONSTANTS],
        value: S::Lanes,
        label: S::Lanes,
    ) -> S::Lanes;
}

/// The constants of some rows, an array of each constant; the arguments as for [`Epilogue::constants`].
#[inline(always)]
pub(crate) fn constants_of<S: Simd, E: Epilogue, const N: usize>(
    simd: S,
    by: &[f64; N],
    scale: &[f64; N],
    pivot: &[f64; N],
) -> [[f32; N]; CONSTANTS] {
    simd.outline(
        #[inline(always)]
        || {
            let mut constants = [[0.0; N]; CONSTANTS];
            for i in 0..N {
                let row = E::constants(by[i], scale[i], pivot[i]);
                for c in 0..CONSTANTS {
                    constants[c][i] = row[c];
                }
            }
            constants
        },
    )
}

/// Those of one of the rows.
#[inline(always)]
pub(crate) fn constants_at<const N: usize>(constants: &[[f32; N]; CONSTANTS], i: usize) -> [f32; CONSTANTS] {
    let [a, b, c, d, e, f] = constants;
    [a[i], b[i], c[i], d[i], e[i], f[i]]
}

/// No results.
pub(crate) enum Nothing {}

/// `by t`: shares of the sum.
pub(crate) enum Shares {}

/// `by t + scale label`: shares less dense labels.
pub(crate) enum SharesAndLabels {}

/// `x - ln sum`.
pub(crate) enum Differences {}

/// `scale (x - ln sum)`.
pub(crate) enum ScaledDifferences {}

impl Epilogue for Nothing {
    const READS: Values = Values::Nothing;

    #[inline(always)]
    fn constants(_by: f64, _scale: f64, _pivot: f64) -> [f32; CONSTANTS] {
        [0.0; CONSTANTS]
    }

    #[inline(always)]
    fn apply<S: Simd>(_: S, _: &[S::Lanes; CONSTANTS], value: S::Lanes, _: S::Lanes) -> S::Lanes {
        value
    }
}

impl Epilogue for Shares {
    const READS: Values = Values::Terms;

    #[inline(always)]
    fn constants(by: f64, _scale: f64, _pivot: f64) -> [f32; CONSTANTS] {
        let [limit, high, low, unscale] = factor_parts(by);
        [limit, high, low, unscale, 0.0, 0.0]
    }

    #[inline(always)]
    fn apply<S: Simd>(_: S, c: &[S::Lanes; CONSTANTS], term: S::Lanes, _: S::Lanes) -> S::Lanes {
        Factor::<S>::of([c[0], c[1], c[2], c[3]]).apply(term)
    }
}

impl Epilogue for SharesAndLabels {
    const READS: Values = Values::Terms;
    const LABELS: bool = true;

    #[inline(always)]
    fn constants(by: f64, scale: f64, _pivot: f64) -> [f32; CONSTANTS] {
        let [limit, high, low, unscale] = factor_parts(by);
        let (scale_high, scale_low) = split(scale);
        [limit, high, low, unscale, scale_high, scale_low]
    }

    #[inline(always)]
    fn apply<S: Simd>(_: S, c: &[S::Lanes; CONSTANTS], term: S::Lanes, label: S::Lanes) -> S::Lanes {
        let share = Factor::<S>::of([c[0], c[1], c[2], c[3]]).apply(term);
        label.mul_add(c[4], label.mul_add(c[5], share))
    }
}

/// Identity: `x - ln sum = (x - c) - ln(sum e^(x_j - c))` for the sum's pivot `c`, which makes the first
/// difference exact. The logarithm is taken off as a high and a low f32.
impl Epilogue for Differences {
    const READS: Values = Values::Logits;

    #[inline(always)]
    fn constants(log: f64, _scale: f64, pivot: f64) -> [f32; CONSTANTS] {
        let (high, low) = split(log);
        [narrow(pivot), high, low, 0.0, 0.0, 0.0]
    }

    #[inline(always)]
    fn apply<S: Simd>(_: S, c: &[S::Lanes; CONSTANTS], logit: S::Lanes, _: S::Lanes) -> S::Lanes {
        ((logit - c[0]) - c[1]) - c[2]
    }
}

impl Epilogue for ScaledDifferences {
    const READS: Values = Values::Logits;

    #[inline(always)]
    fn constants(log: f64, scale: f64, pivot: f64) -> [f32; CONSTANTS] {
        let [pivot, high, low, ..] = Differences::constants(log, 1.0, pivot);
        let (scale_high, scale_low) = split(scale);
        // Where the factor is 0 so is the result, also where the logarithm is -inf.
        let lowest = if scale == 0.0 { f32::MIN } else { f32::NEG_INFINITY };
        [pivot, high, low, scale_high, scale_low, lowest]
    }

    #[inline(always)]
    fn apply<S: Simd>(simd: S, c: &[S::Lanes; CONSTANTS], logit: S::Lanes, label: S::Lanes) -> S::Lanes {
        let z = Differences::apply(simd, c, logit, label);
        // -inf takes no part in the low product, whose factor may be 0.
        z.zero_below(c[5]).mul_add(c[3], z.zero_below(simd.splat(f32::MIN)) * c[4])
    }
}
