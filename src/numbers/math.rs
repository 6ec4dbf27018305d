//! `e^x`, `ln x` and `ln(1 + x)` in f64, for the end of each row.
//!
//! Multiplications and additions are not fused and no library is called, so that every platform gives
//! the same bits; there are no branches, so that loops over rows can become vectors.

use core::f64::consts::{LOG2_E, SQRT_2};

/// ln 2 in two parts. The first has 32 bits, so that its product with an exponent is exact.
const LN_2_HIGH: f64 = 2_977_044_471.0 / 4_294_967_296.0;
const LN_2_LOW: f64 = 1.908_214_929_270_587_8e-10;

/// 1.5 * 2^52: adding it to a small number rounds that to an integer, in the low bits of the sum.
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// 2^52: an integer in the low bits of a number of this size is its value above it.
pub(crate) const INTEGER: f64 = 4_503_599_627_370_496.0;

/// The Taylor series of `(e^x - 1 - x) / x^2`.
pub(super) const TAYLOR: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

const TWO_TO_54: f64 = 18_014_398_509_481_984.0;

/// `2^n` for an integer `n`, 0 below the normal range, +inf above.
///
/// The integer is a float because there is no vector instruction that converts one everywhere; adding
/// [`ROUNDER`] puts it into the low bits.
#[inline(always)]
pub(crate) fn power_of_two(n: f64) -> f64 {
    let n = if n < -1023.0 { -1023.0 } else { n };
    let n = if n > 1024.0 { 1024.0 } else { n };
    f64::from_bits((n + (1023.0 + ROUNDER)).to_bits() << 52)
}

/// `e^x`, about 1 ULP off; 0 where it is below the normal range.
///
/// Identity: `2^n e^r` with `|r| <= ln(2) / 2`. The Taylor series of `e^r` to degree 13 leaves 2e-17.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // Beyond these the result is 0 or +inf. NaN stays, comparisons with it being false.
    let x = if x < -800.0 { -800.0 } else { x };
    let x = if x > 800.0 { 800.0 } else { x };
    let shifted = x * LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let p = polynomial(TAYLOR, r);
    let p = 1.0 + (r + r * r * p);
    // In two steps, because p * 2^n is finite for n = 1024 and p < 1.
    let half = (n * 0.5 + ROUNDER) - ROUNDER;
    p * power_of_two(half) * power_of_two(n - half)
}

/// `e^x` for `x <= 0`, to 2^-36 of it; 0 below the normal range, and NaN for NaN.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f64) -> f64 {
    // Its power of two is 2^-1023, of which no bits are left.
    let x = if x < -709.0 { -709.0 } else { x };
    let n = (x * LOG2_E + ROUNDER) - ROUNDER;
    let r = x - n * core::f64::consts::LN_2;
    let p = polynomial::<8>(core::array::from_fn(|i| TAYLOR[i]), r);
    (1.0 + (r + r * r * p)) * f64::from_bits((n + (1023.0 + ROUNDER)).to_bits() << 52)
}

/// `e^x - 1 - x` and `e^-x - 1 + x`, which are not negative, to 2^-36 of them for `|x|` up to 1/4.
#[inline(always)]
pub(crate) fn excesses(x: f64) -> (f64, f64) {
    let square = x * x;
    let even = square * polynomial([TAYLOR[0], TAYLOR[2], TAYLOR[4], TAYLOR[6]], square);
    let odd = x * square * polynomial([TAYLOR[1], TAYLOR[3], TAYLOR[5], TAYLOR[7]], square);
    (even + odd, even - odd)
}

/// `(1 + t) ln(1 + t) + (1 - t) ln(1 - t)` for the square of `t`, up to 1/64. The series `sum z^k / (k (2k - 1))` leaves 1e-12 of
/// it.
#[inline(always)]
pub(crate) fn twice_relative_entropy(square: f64) -> f64 {
    const C: [f64; 6] = [1.0, 1.0 / 6.0, 1.0 / 15.0, 1.0 / 28.0, 1.0 / 45.0, 1.0 / 66.0];
    square * polynomial(C, square)
}

/// `ln x` for `x >= 0`: -inf at 0, +inf at +inf, NaN for NaN. About 1 ULP off.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    ln_or_ln_1p(x, false)
}

/// `ln(1 + x)` for `x >= 0`, about 1 ULP off down to 0.
#[inline(always)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    ln_or_ln_1p(x, true)
}

/// [`ln_1p`] if `one_plus`, else [`ln`]: rows of both kinds go through the same instructions.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "no branches")]
pub(crate) fn ln_or_ln_1p(x: f64, one_plus: bool) -> f64 {
    let sum = if one_plus { 1.0 + x } else { x };
    // Subnormal numbers are made normal first.
    let subnormal = sum < f64::MIN_POSITIVE;
    let (scaled, offset) = if subnormal { (sum * TWO_TO_54, 54.0) } else { (sum, 0.0) };
    let (k, m) = exponent_and_mantissa(scaled);
    // What the addition of 1 rounded away matters only where the sum is next to 1.
    let f = if one_plus & (k == 0.0) { x } else { m - 1.0 };
    let result = ln_of(k - offset, f);
    let result = if sum == 0.0 { f64::NEG_INFINITY } else { result };
    if x < f64::INFINITY { result } else { x }
}

/// `k ln 2 + ln(1 + f)` for `1 + f` from `sqrt(1/2)` to `sqrt(2)`.
///
/// Identity: `ln(1 + f) = 2 artanh(s)` with `s = f / (2 + f)`, an odd series in `|s| < 0.172`.
#[inline(always)]
fn ln_of(k: f64, f: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let p = polynomial(
        [
            2.0 / 3.0,
            2.0 / 5.0,
            2.0 / 7.0,
            2.0 / 9.0,
            2.0 / 11.0,
            2.0 / 13.0,
            2.0 / 15.0,
            2.0 / 17.0,
            2.0 / 19.0,
            2.0 / 21.0,
        ],
        z,
    );
    // 2 s = f - s f exactly, and f is exact: so the first term carries no error of its own.
    let tail = s * (z * p - f) + k * LN_2_LOW;
    k * LN_2_HIGH + (f + tail)
}

/// `c[0] + c[1] x + c[2] x^2 + ...`, its even and its odd terms in chains of their own, so that half as many
/// operations wait for each other.
#[inline(always)]
fn polynomial<const N: usize>(c: [f64; N], x: f64) -> f64 {
    const { assert!(N >= 2 && N.is_multiple_of(2), "pairs of terms") };
    let square = x * x;
    let (mut even, mut odd) = (c[N - 2], c[N - 1]);
    for i in (0..N - 2).step_by(2).rev() {
        even = even * square + c[i];
        odd = odd * square + c[i + 1];
    }
    even + odd * x
}

/// `(k, m)` with `x = m 2^k` and `m` from `sqrt(1/2)` to `sqrt(2)`, for a positive normal number.
#[inline(always)]
fn exponent_and_mantissa(x: f64) -> (f64, f64) {
    const HALF_ROOT: u64 = (SQRT_2 / 2.0).to_bits();
    const BIAS: u64 = 1023 << 52;
    let bits = x.to_bits();
    // With the bias, so that it is not negative: there is no arithmetic shift of vectors everywhere.
    let biased = bits.wrapping_add(BIAS - HALF_ROOT) >> 52;
    let m = f64::from_bits(bits.wrapping_add(BIAS).wrapping_sub(biased << 52));
    // As a float through its bits: there is no vector instruction for it everywhere.
    let k = f64::from_bits(INTEGER.to_bits() | biased & 0xfff) - (INTEGER + 1023.0);
    (k, m)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal numbers, infinities among them, have no distance")]
mod tests {
    use super::*;

    /// The distance to the standard library's value, in ULP of that.
    fn error(got: f64, want: f64) -> f64 {
        if got == want || (got.is_nan() && want.is_nan()) {
            return 0.0;
        }
        (got - want).abs() / (f64::from_bits(want.abs().to_bits() + 1) - want.abs())
    }

    /// Numbers of every binary order of magnitude up to `limit`, three of each.
    fn numbers(limit: f64) -> impl Iterator<Item = f64> {
        (-1021_i32..1024)
            .flat_map(|n| [1.0, 1.234_567_890_123, 1.987_654_321].map(|m| m * power_of_two(n.into())))
            .filter(move |x| *x <= limit)
    }

    #[test]
    fn exp_is_that_of_the_standard_library_within_2_ulp() {
        for x in numbers(700.0).flat_map(|x| [x, -x]).chain((-7000..7000).map(|i| f64::from(i) * 0.1)) {
            assert!(error(exp(x), x.exp()) <= 2.0, "exp({x}) = {}, not {}", exp(x), x.exp());
        }
        assert_eq!((exp(f64::NEG_INFINITY), exp(f64::INFINITY), exp(0.0)), (0.0, f64::INFINITY, 1.0));
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn logarithms_are_those_of_the_standard_library_within_2_ulp() {
        let near_one = (-1000..1000).map(|i| 1.0 + f64::from(i) * 1e-4);
        for x in numbers(f64::MAX).chain(near_one) {
            assert!(error(ln(x), x.ln()) <= 2.0, "ln({x}) = {}, not {}", ln(x), x.ln());
            assert!(error(ln_1p(x), x.ln_1p()) <= 2.0, "ln_1p({x}) = {}, not {}", ln_1p(x), x.ln_1p());
        }
        assert_eq!((ln(0.0), ln(1.0), ln_1p(0.0)), (f64::NEG_INFINITY, 0.0, 0.0));
        assert_eq!((ln(f64::INFINITY), ln_1p(f64::INFINITY)), (f64::INFINITY, f64::INFINITY));
        assert!(ln(f64::NAN).is_nan() && ln_1p(f64::NAN).is_nan());
        assert!(error(ln(5e-324), 5e-324_f64.ln()) <= 2.0);
    }
}
