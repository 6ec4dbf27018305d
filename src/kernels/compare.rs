//! Two rows of logits compared: how far the distribution of one is from that of the other.
//!
//! Formulas, for `p = softmax(s a)`, `q = softmax(s b)` and `d_i = ln(p_i / q_i)`: `KL(p||q) = sum p_i d_i`, `KL(q||p) =
//! -sum q_i d_i`, `JS = (KL(p||m) + KL(q||m)) / 2` for `m = (p + q) / 2`, and the gradient of the first with respect to `b`,
//! which is `s (q - p)`.
//!
//! Identity: `KL(p||q) = sum p_i (e^(-d_i) - 1 + d_i)`, because `sum q_i = sum p_i`. No part of this is negative, and an error
//! that all `d_i` share changes it by half the square of that error: next to 0 nothing cancels. With `t_i = (p_i - q_i) / (p_i +
//! q_i)` the parts of JS are `(p_i + q_i) / 4` times `(1 + t) ln(1 + t) + (1 - t) ln(1 - t)`, which are not negative either.
//!
//! All of it is f64 arithmetic, sixteen classes at a time and without branches on their values: loops that the compiler makes
//! vectors of. A row is read from memory once; what follows finds it in the caches.

use core::f64::consts::LN_2;

use super::Kernel;
use super::gradient::sum_of;
use super::group::Group;
use super::group_rows::{GroupRows, GroupRowsMut, row_if_any, row_mut_if_any};
use super::map::Mask;
use crate::numbers::factor::narrow_normal;
use crate::numbers::math::{excesses, exp_of_negative, ln, ln_1p, twice_relative_entropy};
use crate::simd::{LANES, Simd};

/// Compares the rows of a group, and writes gradients.
pub(crate) struct Compare<'a> {
    /// With the factor of each row's gradient.
    pub(crate) group: &'a Group,
    pub(crate) classes: usize,
    /// What logits are multiplied by.
    pub(crate) scale: f64,
    pub(crate) mask: Mask<'a>,
    /// The logits of `p`.
    pub(crate) first: GroupRows<'a>,
    /// Those of `q`, unless gradients are written over them.
    pub(crate) second: Option<GroupRows<'a>>,
    pub(crate) gradient: Option<GroupRowsMut<'a>>,
    pub(crate) entropies: bool,
    pub(crate) results: &'a mut [Compared; LANES],
}

/// What two rows differ in.
#[derive(Clone, Copy, Default)]
pub(crate) struct Compared {
    /// `KL(p||q)`, `KL(q||p)`, and JS if it is wanted.
    pub(crate) forward: f64,
    pub(crate) reverse: f64,
    pub(crate) jensen_shannon: f64,
    /// Whether the largest logits are of the same class.
    pub(crate) same: bool,
    /// `ln q_y - ln p_y` for the label, if there is one.
    pub(crate) change: f64,
}

impl Kernel for Compare<'_> {
    type Output = ();
    const VECTORS: bool = false;

    #[inline(always)]
    fn eval<S: Simd>(self, _simd: S) {
        let Self { group, classes, scale, mask, first, second, mut gradient, entropies, results } = self;
        for (i, result) in results.iter_mut().enumerate().take(group.len) {
            let to = row_mut_if_any(gradient.as_mut(), group, i, classes);
            let row = Pair {
                scale,
                mask: mask.row(group.rows[i], classes),
                first: first.row(group, i, classes),
                second: row_if_any(second.as_ref(), group, i, classes),
            };
            *result = row.compare(to, group.labels[i], scale * group.scale[i], entropies);
        }
    }
}

/// Sixteen classes of a row.
type Sixteen = [f64; LANES];

/// Two rows.
#[derive(Clone, Copy)]
struct Pair<'a> {
    scale: f64,
    mask: Option<&'a [bool]>,
    first: &'a [f32],
    second: Option<&'a [f32]>,
}

/// The largest logit of a row, and the sum of all terms, in units of its own.
#[derive(Clone, Copy)]
struct Total {
    max: f64,
    sum: f64,
}

impl Pair<'_> {
    #[inline(always)]
    fn compare(self, mut to: Option<&mut [f32]>, label: usize, factor: f64, entropies: bool) -> Compared {
        let over = to.as_deref().unwrap_or_default();
        let second = self.second.unwrap_or(over);
        let (a, b) = (self.total(self.first), self.total(second));
        // What all differences of logits have in common.
        let common = self.scale * (a.max - b.max) + (ln(a.sum) - ln(b.sum));
        // 0, or NaN where there is no distribution.
        let nothing = 0.0 * (a.sum * b.sum);
        let mut result = Compared {
            same: self.argmax(self.first, a) == self.argmax(second, b),
            change: f64::NAN,
            ..Compared::default()
        };
        if label < self.first.len() && self.mask.is_none_or(|mask| mask[label]) {
            let difference = f64::from(second[label]) - f64::from(self.first[label]);
            result.change = (self.scale * difference + common) + nothing;
        }
        let (share, other_share) = (1.0 / a.sum, 1.0 / b.sum);
        let [mut forward, mut reverse, mut shannon] = [[0.0; LANES]; 3];
        for start in (0..self.first.len()).step_by(LANES) {
            let (x, y) = (
                self.load(self.first, start),
                self.load(self.second.or(to.as_deref()).unwrap_or_default(), start),
            );
            let [mut p, mut q, mut d, mut slopes] = [[0.0; LANES]; 4];
            for i in 0..LANES {
                p[i] = exp_of_negative(self.scale * (x[i] - a.max)) * share;
                q[i] = exp_of_negative(self.scale * (y[i] - b.max)) * other_share;
                let difference = self.scale * (x[i] - y[i]) - common;
                // Of two logits of -inf: they take no part.
                let absent = x[i] == f64::NEG_INFINITY && y[i] == f64::NEG_INFINITY;
                d[i] = if absent { nothing } else { difference };
            }
            for i in 0..LANES {
                let (behind, ahead) = excesses(d[i]);
                // Next to 0; elsewhere what makes the part positive is not small, and infinite where only one takes part.
                let near = d[i].abs() < 0.25;
                let far = if d[i] < f64::INFINITY { q[i] - p[i] + product(p[i], d[i]) } else { d[i] };
                forward[i] += if near { p[i] * ahead } else { far };
                let far =
                    if d[i] > f64::NEG_INFINITY { p[i] - q[i] - product(q[i], d[i]) } else { 0.0 - d[i] };
                reverse[i] += if near { q[i] * behind } else { far };
                slopes[i] = if near { p[i] * (ahead - d[i]) } else { q[i] - p[i] };
            }
            if entropies {
                for i in 0..LANES {
                    shannon[i] += both_to_middle(p[i], q[i], d[i], slopes[i]);
                }
            }
            if let Some(to) = &mut to {
                for (to, slope) in to[start..].iter_mut().zip(slopes) {
                    *to = narrow_normal(factor * slope);
                }
            }
        }
        result.forward = sum_of(forward) + nothing;
        result.reverse = sum_of(reverse) + nothing;
        result.jensen_shannon = 0.5 * sum_of(shannon) + nothing;
        result
    }

    /// Up to sixteen logits; -inf behind them, and for classes that take no part.
    #[inline(always)]
    fn load(self, row: &[f32], start: usize) -> Sixteen {
        let mut values = [f64::NEG_INFINITY; LANES];
        if let Some(row) = row[start..].first_chunk::<LANES>() {
            for (to, x) in values.iter_mut().zip(row) {
                *to = f64::from(*x);
            }
        } else {
            for (to, x) in values.iter_mut().zip(&row[start..]) {
                *to = f64::from(*x);
            }
        }
        if let Some(mask) = self.mask {
            for (to, keep) in values.iter_mut().zip(&mask[start..]) {
                *to = if *keep { *to } else { f64::NEG_INFINITY };
            }
        }
        values
    }

    /// NaN, or an infinite sum, where a row has no distribution.
    #[inline(always)]
    fn total(self, row: &[f32]) -> Total {
        let (mut maxima, mut sums) = ([f64::NEG_INFINITY; LANES], [0.0; LANES]);
        for start in (0..row.len()).step_by(LANES) {
            for (max, x) in maxima.iter_mut().zip(self.load(row, start)) {
                *max = if x > *max { x } else { *max };
            }
        }
        let max = maxima.into_iter().fold(f64::NEG_INFINITY, |max, x| if x > max { x } else { max });
        for start in (0..row.len()).step_by(LANES) {
            for (sum, x) in sums.iter_mut().zip(self.load(row, start)) {
                *sum += exp_of_negative(self.scale * (x - max));
            }
        }
        Total { max, sum: sum_of(sums) }
    }

    /// The class of the first NaN, or else of the first largest logit.
    #[inline(always)]
    fn argmax(self, row: &[f32], total: Total) -> Option<usize> {
        let takes_part = |class: usize| self.mask.is_none_or(|mask| mask[class]);
        let nan = || row.iter().enumerate().position(|(class, x)| x.is_nan() && takes_part(class));
        let first =
            || row.iter().enumerate().position(|(class, x)| f64::from(*x) >= total.max && takes_part(class));
        if total.sum.is_nan() { nan().or_else(first) } else { first() }
    }
}

/// A probability times a logarithm: 0 for one of 0.
#[inline(always)]
fn product(p: f64, log: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * log }
}

/// `p ln(p / m) + q ln(q / m)` for `m = (p + q) / 2` and `d = ln(p / q)`, given `q - p`.
#[inline(always)]
fn both_to_middle(p: f64, q: f64, d: f64, difference: f64) -> f64 {
    let sum = p + q;
    let t = difference / sum;
    let near = 0.5 * sum * twice_relative_entropy(t * t);
    let (large, small) = if q > p { (q, p) } else { (p, q) };
    let far = sum * (LN_2 - ln_1p(small / large)) - product(small, d.abs());
    let value = if d.abs() < 0.25 { near } else { far };
    // Of nothing there is nothing; NaN stays.
    if sum == 0.0 { 0.0 } else { value }
}
