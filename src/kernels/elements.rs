//! Losses that are sums over elements, which do not see each other: each of its own input and target.
//!
//! All arithmetic is in f64, sixteen elements at a time and without branches: loops that the compiler makes vectors of.
//! Results are rounded once, and sums are those of losses before they are rounded.

use super::Kernel;
use super::gradient::sum_of;
use super::group::Group;
use super::group_rows::{GroupRows, GroupRowsMut, row_if_any, row_mut_if_any};
use crate::numbers::factor::narrow;
use crate::numbers::math::{exp, ln, ln_1p};
use crate::simd::{LANES, Simd};

/// The loss of an element with the input `x` and the target `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    /// `c t softplus(-x) + (1 - t) softplus(x)`, with `softplus(x) = ln(1 + e^x) = max(x, 0) + ln(1 + e^(-|x|))` and the
    /// weight `c` of positive targets.
    Binary,
    /// `(x - t)^2`.
    Squared,
    /// `t (ln t - x)` for log-probabilities `x`.
    Divergence,
    /// `e^t (t - x)` for log-probabilities `x` and `t`.
    LogDivergence,
}

/// Writes the losses of a group of rows, their gradients, and what the losses of each row add up to.
pub(crate) struct Elements<'a> {
    pub(crate) formula: Formula,
    pub(crate) group: &'a Group,
    pub(crate) classes: usize,
    pub(crate) inputs: GroupRows<'a>,
    pub(crate) targets: GroupRows<'a>,
    /// What each loss is multiplied by.
    pub(crate) weights: Option<GroupRows<'a>>,
    /// What positive targets are multiplied by.
    pub(crate) positive: Option<GroupRows<'a>>,
    /// What each gradient is multiplied by, beside a constant.
    pub(crate) upstream: Option<GroupRows<'a>>,
    pub(crate) constant: f64,
    pub(crate) losses: Option<GroupRowsMut<'a>>,
    pub(crate) gradient: Option<GroupRowsMut<'a>>,
    pub(crate) sums: &'a mut [f64; LANES],
}

impl Kernel for Elements<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        let Self { formula, group, classes, constant, .. } = self;
        let (mut to_losses, mut to_gradient) = (self.losses, self.gradient);
        for i in 0..group.len {
            let (inputs, targets) = (self.inputs.row(group, i, classes), self.targets.row(group, i, classes));
            let [weights, positive, upstream] = [self.weights, self.positive, self.upstream].map(
                #[inline(always)]
                |rows| row_if_any(rows.as_ref(), group, i, classes),
            );
            let mut losses = row_mut_if_any(to_losses.as_mut(), group, i, classes);
            let mut gradient = row_mut_if_any(to_gradient.as_mut(), group, i, classes);
            let mut sums = [0.0; LANES];
            for start in (0..classes).step_by(LANES) {
                let len = (classes - start).min(LANES);
                let x = load(Some(inputs), start, len);
                let t = load(Some(targets), start, len);
                // 0 beyond the end of the row, which takes part in no sum.
                let w = load(weights, start, len);
                let c = load(positive, start, len);
                let u = load(upstream, start, len);
                let (mut of_losses, mut of_gradient) = ([0.0; LANES], [0.0; LANES]);
                let [of_elements, slopes] = formula.of(&x, &t, &c);
                for lane in 0..LANES {
                    let (loss, slope) = (of_elements[lane], slopes[lane]);
                    // A weight of 0 takes an element out, whatever it holds.
                    let loss = if w[lane] == 0.0 { 0.0 } else { w[lane] * loss };
                    let slope = if w[lane] == 0.0 { 0.0 } else { constant * u[lane] * (w[lane] * slope) };
                    sums[lane] += loss;
                    of_losses[lane] = narrow(loss);
                    of_gradient[lane] = narrow(slope);
                }
                store(&of_losses, losses.as_deref_mut(), start, len);
                store(&of_gradient, gradient.as_deref_mut(), start, len);
            }
            self.sums[i] = sum_of(sums);
        }
    }
}

impl Formula {
    /// The losses of sixteen elements and their derivatives, of inputs, targets and the weights of positive ones.
    #[inline(always)]
    fn of(self, x: &[f64; LANES], t: &[f64; LANES], c: &[f64; LANES]) -> [[f64; LANES]; 2] {
        match self {
            Self::Binary => sixteen(x, t, c, binary),
            Self::Squared => sixteen(x, t, c, squared),
            Self::Divergence => sixteen(x, t, c, divergence),
            Self::LogDivergence => sixteen(x, t, c, log_divergence),
        }
    }
}

#[inline(always)]
fn sixteen(
    x: &[f64; LANES],
    t: &[f64; LANES],
    c: &[f64; LANES],
    formula: impl Fn(f64, f64, f64) -> (f64, f64),
) -> [[f64; LANES]; 2] {
    let [mut losses, mut slopes] = [[0.0; LANES]; 2];
    for lane in 0..LANES {
        (losses[lane], slopes[lane]) = formula(x[lane], t[lane], c[lane]);
    }
    [losses, slopes]
}

#[inline(always)]
fn binary(x: f64, t: f64, c: f64) -> (f64, f64) {
    let e = exp(-x.abs());
    let rest = ln_1p(e);
    let (above, below) = if x > 0.0 { (x, 0.0) } else { (0.0, -x) };
    // A part of no mass takes no part, also where it is infinite.
    let (positive, negative) = (c * t, 1.0 - t);
    let of_positive = if positive == 0.0 && !x.is_nan() { 0.0 } else { positive * (below + rest) };
    let of_negative = if negative == 0.0 && !x.is_nan() { 0.0 } else { negative * (above + rest) };
    let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
    let (p, q) = if x > 0.0 { (large, small) } else { (small, large) };
    (of_positive + of_negative, negative * p - positive * q)
}

#[inline(always)]
fn squared(x: f64, t: f64, _c: f64) -> (f64, f64) {
    let difference = x - t;
    (difference * difference, 2.0 * difference)
}

#[inline(always)]
fn divergence(x: f64, t: f64, _c: f64) -> (f64, f64) {
    let value = t * (ln(t) - x);
    // No target, no part.
    (if t == 0.0 && !x.is_nan() { 0.0 } else { value }, 0.0 - t + nan_of(x))
}

#[inline(always)]
fn log_divergence(x: f64, t: f64, _c: f64) -> (f64, f64) {
    let p = exp(t);
    (if p == 0.0 && !x.is_nan() { 0.0 } else { p * (t - x) }, 0.0 - p + nan_of(x))
}

/// NaN for NaN, else 0.
#[inline(always)]
fn nan_of(x: f64) -> f64 {
    if x.is_nan() { x } else { 0.0 }
}

/// Up to sixteen values of a row, or as many ones; 0 behind them.
#[inline(always)]
fn load(row: Option<&[f32]>, start: usize, len: usize) -> [f64; LANES] {
    let mut values = [0.0; LANES];
    let Some(row) = row else {
        for (lane, to) in values.iter_mut().enumerate() {
            *to = if lane < len { 1.0 } else { 0.0 };
        }
        return values;
    };
    let row = &row[start..][..len];
    if let Some(row) = row.first_chunk::<LANES>() {
        for (to, x) in values.iter_mut().zip(row) {
            *to = f64::from(*x);
        }
    } else {
        for (to, x) in values.iter_mut().zip(row) {
            *to = f64::from(*x);
        }
    }
    values
}

/// Writes up to sixteen values of a row, where they are wanted.
#[inline(always)]
fn store(values: &[f32; LANES], row: Option<&mut [f32]>, start: usize, len: usize) {
    let Some(row) = row else { return };
    let row = &mut row[start..][..len];
    if let Some(row) = row.first_chunk_mut::<LANES>() {
        *row = *values;
    } else {
        row.copy_from_slice(&values[..len]);
    }
}
