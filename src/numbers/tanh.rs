//! The hyperbolic tangent and its derivative, in f64: what a soft cap makes of logits.
//!
//! Formula: with `e = e^y` for `y = -2|x|`, `tanh |x| = (1 - e) / (1 + e)`, and the derivative is `4 e / (1 + e)^2`.
//!
//! Identity: for `e = 2^n e^r` the numerator is `-(2^n (e^r - 1) + (2^n - 1))`. Next to 0, where `n` is 0, nothing cancels;
//! elsewhere `2^n - 1` is at most `-1/2`.
//!
//! Trick: one exponential and one division for both, and no branch.

use core::f64::consts::{LN_2, LOG2_E};

use super::math::{ROUNDER, TAYLOR};
use crate::simd::{Simd, Wide};

/// Below this an exponential is 0: the power of two is `2^-1023`, of which no bits are left.
const LOWEST: f64 = -709.0;

/// Terms of the series of `e^r`, after the first two, which leave `2^-44` of `e^r - 1` for `|r| <= ln(2) / 2`.
const TERMS: usize = 10;

/// `tanh |x|` and its derivative, for `y = -2|x|`: both good to 2^-38, far more than an f32 shows. NaN gives NaN.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, y: S::Wide) -> (S::Wide, S::Wide) {
    let one = simd.splat_wide(1.0);
    let y = simd.splat_wide(LOWEST).max(y);
    let n = (y * simd.splat_wide(LOG2_E) + simd.splat_wide(ROUNDER)) - simd.splat_wide(ROUNDER);
    let power = (n + simd.splat_wide(ROUNDER + 1023.0)).shift_left::<52>();
    let r = y - n * simd.splat_wide(LN_2);
    let square = r * r;
    // The even and the odd terms in chains of their own.
    let (mut even, mut odd) = (simd.splat_wide(TAYLOR[TERMS - 2]), simd.splat_wide(TAYLOR[TERMS - 1]));
    for i in (0..TERMS - 2).step_by(2).rev() {
        even = even * square + simd.splat_wide(TAYLOR[i]);
        odd = odd * square + simd.splat_wide(TAYLOR[i + 1]);
    }
    let rest = power * (r + square * (even + odd * r));
    let exponential = power + rest;
    let inverse = one / (one + exponential);
    let tanh = ((one - power) - rest) * inverse;
    (tanh, (simd.splat_wide(4.0) * exponential) * (inverse * inverse))
}
