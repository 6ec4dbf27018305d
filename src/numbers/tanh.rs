//! The hyperbolic tangent and its derivative, in f64: what a soft cap makes of logits.
//!
//! Formula: with `e = e^y` for `y = -2|x|`, `tanh |x| = (1 - e) / (1 + e)`, and the derivative is `4 e / (1 + e)^2`.
//!
//! Identity: for `e = 2^n e^r` the numerator is `-(2^n (e^r - 1) + (2^n - 1))`. Next to 0, where `n` is 0, nothing cancels;
//! elsewhere `2^n - 1` is at most `-1/2`.
//!
//! Trick: one exponential and one division for both, and no branch. Up to [`NEAR`], which is more than most logits are of their
//! cap, a polynomial is a third of that: `tanh x = x (1 + x^2 P(x^2))`, and the derivative is `1 - tanh^2 x`.

use core::f64::consts::{LN_2, LOG2_E};

use super::math::{ROUNDER, TAYLOR};
use crate::simd::{Simd, Wide};

/// Below this an exponential is 0: the power of two is `2^-1023`, of which no bits are left.
const LOWEST: f64 = -709.0;

/// Terms of the series of `e^r`, after the first two, which leave `2^-44` of `e^r - 1` for `|r| <= ln(2) / 2`.
const TERMS: usize = 10;

/// Up to this magnitude [`near_tanh`] serves.
pub(crate) const NEAR: f64 = 0.5625;

// Derived by scripts/derive_constants.py.
/// `P(w)`, which leaves `2^-39.6` of `tanh x`.
const ODD: [f64; 7] = [
    -0.333_333_333_027_057_3,
    0.133_333_308_453_011_4,
    -0.053_967_567_385_742_11,
    0.021_860_448_741_533_37,
    -0.008_798_900_246_307_344,
    0.003_335_209_800_521_523_6,
    -0.000_896_590_148_897_221_3,
];

/// `tanh x` and its derivative, for `|x| <= NEAR`: as good as [`far_tanh`]. NaN gives NaN. Several vectors go through it in step.
#[inline(always)]
pub(crate) fn near_tanh<S: Simd, const N: usize>(simd: S, x: [S::Wide; N]) -> ([S::Wide; N], [S::Wide; N]) {
    let one = simd.splat_wide(1.0);
    let (mut square, mut fourth) = (x, x);
    for i in 0..N {
        square[i] = x[i] * x[i];
    }
    square = S::Wide::in_step(square);
    for i in 0..N {
        fourth[i] = square[i] * square[i];
    }
    fourth = S::Wide::in_step(fourth);
    // The even and the odd terms in chains of their own.
    let (mut even, mut odd) = ([simd.splat_wide(ODD[6]); N], [simd.splat_wide(ODD[5]); N]);
    for k in [4, 2, 0] {
        let c = simd.splat_wide(ODD[k]);
        for i in 0..N {
            even[i] = even[i] * fourth[i] + c;
        }
        even = S::Wide::in_step(even);
    }
    for k in [3, 1] {
        let c = simd.splat_wide(ODD[k]);
        for i in 0..N {
            odd[i] = odd[i] * fourth[i] + c;
        }
        odd = S::Wide::in_step(odd);
    }
    let (mut tanh, mut slope) = (x, x);
    for i in 0..N {
        tanh[i] = x[i] + (x[i] * square[i]) * (even[i] + odd[i] * square[i]);
    }
    tanh = S::Wide::in_step(tanh);
    for i in 0..N {
        slope[i] = one - tanh[i] * tanh[i];
    }
    (tanh, slope)
}

/// `tanh |x|` and its derivative, for `y = -2|x|`: both good to 2^-38, far more than an f32 shows. NaN gives NaN.
#[inline(always)]
pub(crate) fn far_tanh<S: Simd>(simd: S, y: S::Wide) -> (S::Wide, S::Wide) {
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
