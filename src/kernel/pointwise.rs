//! Losses that are sums over elements, which do not see each other: each of its own logit and target.
//!
//! All arithmetic is in f64, sixteen elements at a time and without branches: loops that the compiler makes
//! vectors of. Results are rounded once.

use core::marker::PhantomData;

use super::math::{exp, ln, ln_1p};
use super::share::narrow;
use super::{Job, Join, Scratch};
use crate::simd::{LANES, Simd};
use crate::{Rows, RowsMut};

/// The loss of an element and its derivative.
pub(crate) trait Formula: Copy + Send {
    /// For the input `x`, the target `t` and the weight `w` of positive targets.
    fn of(x: f64, t: f64, w: f64) -> (f64, f64);
}

/// `w t softplus(-x) + (1 - t) softplus(x)`, with `softplus(x) = ln(1 + e^x) = max(x, 0) + ln(1 + e^(-|x|))`.
#[derive(Clone, Copy)]
pub(crate) struct Binary;

/// `(x - t)^2`.
#[derive(Clone, Copy)]
pub(crate) struct Squared;

/// `t (ln t - x)` for log-probabilities `x`.
#[derive(Clone, Copy)]
pub(crate) struct Divergence;

/// `e^t (t - x)` for log-probabilities `x` and `t`.
#[derive(Clone, Copy)]
pub(crate) struct LogDivergence;

impl Formula for Binary {
    #[inline(always)]
    fn of(x: f64, t: f64, w: f64) -> (f64, f64) {
        let e = exp(-x.abs());
        let rest = ln_1p(e);
        let (above, below) = if x > 0.0 { (x, 0.0) } else { (0.0, -x) };
        // A part of no mass takes no part, also where it is infinite.
        let (positive, negative) = (w * t, 1.0 - t);
        let of_positive = if positive == 0.0 && !x.is_nan() { 0.0 } else { positive * (below + rest) };
        let of_negative = if negative == 0.0 && !x.is_nan() { 0.0 } else { negative * (above + rest) };
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (p, q) = if x > 0.0 { (large, small) } else { (small, large) };
        (of_positive + of_negative, negative * p - positive * q)
    }
}

impl Formula for Squared {
    #[inline(always)]
    fn of(x: f64, t: f64, _w: f64) -> (f64, f64) {
        let difference = x - t;
        (difference * difference, 2.0 * difference)
    }
}

impl Formula for Divergence {
    #[inline(always)]
    fn of(x: f64, t: f64, _w: f64) -> (f64, f64) {
        let value = t * (ln(t) - x);
        // No target, no part.
        (if t == 0.0 && !x.is_nan() { 0.0 } else { value }, 0.0 - t + nan_of(x))
    }
}

impl Formula for LogDivergence {
    #[inline(always)]
    fn of(x: f64, t: f64, _w: f64) -> (f64, f64) {
        let p = exp(t);
        (if p == 0.0 && !x.is_nan() { 0.0 } else { p * (t - x) }, 0.0 - p + nan_of(x))
    }
}

/// NaN for NaN, else 0.
#[inline(always)]
fn nan_of(x: f64) -> f64 {
    if x.is_nan() { x } else { 0.0 }
}

/// The losses of elements, their gradient, or both.
pub(crate) struct Pointwise<'a, F> {
    pub(crate) formula: PhantomData<F>,
    pub(crate) inputs: Rows<'a>,
    pub(crate) targets: Rows<'a>,
    /// What each element is multiplied by.
    pub(crate) weights: Option<Rows<'a>>,
    /// What positive targets are multiplied by.
    pub(crate) positive: Option<Rows<'a>>,
    /// What each gradient is multiplied by.
    pub(crate) upstream: Option<Rows<'a>>,
    pub(crate) constant: f64,
    pub(crate) losses: Option<RowsMut<'a>>,
    pub(crate) gradient: Option<RowsMut<'a>>,
}

impl<F: Formula> Job for Pointwise<'_, F> {
    fn rows(&self) -> usize {
        self.inputs.rows()
    }

    fn classes(&self) -> usize {
        self.inputs.classes()
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (inputs, other_inputs) = self.inputs.split_at(row);
        let (targets, other_targets) = self.targets.split_at(row);
        let (weights, other_weights) = split(self.weights, row);
        let (positive, other_positive) = split(self.positive, row);
        let (upstream, other_upstream) = split(self.upstream, row);
        let (losses, other_losses) = self.losses.map(|rows| rows.split_at(row)).unzip();
        let (gradient, other_gradient) = self.gradient.map(|rows| rows.split_at(row)).unzip();
        (
            Self { inputs, targets, weights, positive, upstream, losses, gradient, ..self },
            Self {
                inputs: other_inputs,
                targets: other_targets,
                weights: other_weights,
                positive: other_positive,
                upstream: other_upstream,
                losses: other_losses,
                gradient: other_gradient,
                ..self
            },
        )
    }

    fn seam(&self, near: usize) -> Option<usize> {
        let read = [Some(self.inputs), Some(self.targets), self.weights, self.positive, self.upstream];
        let written = [&self.losses, &self.gradient];
        let of_read = || read.iter().flatten().find_map(|rows| rows.seam(near));
        of_read().or_else(|| written.into_iter().flatten().find_map(|rows| rows.seam(near)))
    }

    #[inline(always)]
    fn eval<S: Simd>(mut self, _: S, _: &mut Scratch, _: Option<Join>) {
        for row in 0..self.inputs.rows() {
            for start in (0..self.inputs.classes()).step_by(LANES) {
                self.sixteen(row, start);
            }
        }
    }
}

fn split(rows: Option<Rows<'_>>, row: usize) -> (Option<Rows<'_>>, Option<Rows<'_>>) {
    rows.map(|rows| rows.split_at(row)).unzip()
}

/// Up to sixteen values of a row, 1 where there are none.
#[inline(always)]
fn load(rows: Option<Rows<'_>>, row: usize, start: usize) -> [f64; LANES] {
    let mut values = [1.0; LANES];
    let Some(rows) = rows else { return values };
    if rows.class_stride() == 1 {
        for (to, x) in values.iter_mut().zip(&rows.row_at(row)[start..]) {
            *to = f64::from(*x);
        }
    } else {
        for (to, class) in values.iter_mut().zip(start..rows.classes()) {
            *to = f64::from(rows.values().get(row, class));
        }
    }
    values
}

impl<F: Formula> Pointwise<'_, F> {
    #[inline(always)]
    fn sixteen(&mut self, row: usize, start: usize) {
        let x = load(Some(self.inputs), row, start);
        let t = load(Some(self.targets), row, start);
        let weights = load(self.weights, row, start);
        let positive = load(self.positive, row, start);
        let upstream = load(self.upstream, row, start);
        let (mut losses, mut gradient) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let (loss, slope) = F::of(x[i], t[i], positive[i]);
            let weight = weights[i];
            // A weight of 0 takes out also what is infinite.
            losses[i] = narrow(if weight == 0.0 && !loss.is_nan() { 0.0 } else { weight * loss });
            gradient[i] = narrow(self.constant * upstream[i] * (weight * slope));
        }
        for (to, values) in [(&mut self.losses, losses), (&mut self.gradient, gradient)] {
            if let Some(to) = to {
                to.write_all(row, start, &values);
            }
        }
    }
}
