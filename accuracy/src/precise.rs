//! `e^x`, `ln x` and `ln(1 + x)` to 2^-75: what an f32 result is measured with, and an f64 one too.
//!
//! A value is a [`Pair`], an unevaluated sum of two f64. What is transcendental comes from tables that a
//! correctly rounding library fills; what is done here is to come near a point of a table exactly, and a
//! few terms of a Taylor series for what is left.

use std::ops::{Add, Div, Mul, Neg, Sub};

use astro_float::{BigFloat, Consts, RoundingMode};

/// `hi + lo`, with `|lo|` at most half an ULP of `hi`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    pub hi: f64,
    pub lo: f64,
}

impl Pair {
    pub const ZERO: Self = Self { hi: 0.0, lo: 0.0 };
    pub const ONE: Self = Self { hi: 1.0, lo: 0.0 };

    /// `a + b` exactly (Knuth).
    #[inline]
    pub fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let of_b = hi - a;
        Self { hi, lo: (a - (hi - of_b)) + (b - of_b) }
    }

    /// `a + b` exactly, where `a` is the larger (Dekker).
    #[inline]
    fn ordered_sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        Self { hi, lo: b - (hi - a) }
    }

    /// `a b` exactly, if nothing underflows.
    #[inline]
    pub fn product(a: f64, b: f64) -> Self {
        let hi = a * b;
        Self { hi, lo: a.mul_add(b, -hi) }
    }

    /// The nearest f64.
    #[inline]
    pub fn value(self) -> f64 {
        self.hi + self.lo
    }

    /// Times a power of two.
    #[inline]
    #[must_use]
    pub fn scaled(self, power: f64) -> Self {
        Self { hi: self.hi * power, lo: self.lo * power }
    }

    /// How much a value is more than this. Where the two are near each other no digit is lost.
    #[inline]
    pub fn excess_of(self, value: f64) -> f64 {
        (value - self.hi) - self.lo
    }
}

impl From<f64> for Pair {
    #[inline]
    fn from(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }
}

impl Add for Pair {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        let (high, low) = (Self::sum(self.hi, other.hi), Self::sum(self.lo, other.lo));
        let sum = Self::ordered_sum(high.hi, high.lo + low.hi);
        Self::ordered_sum(sum.hi, sum.lo + low.lo)
    }
}

impl Neg for Pair {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

impl Sub for Pair {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Pair {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        let product = Self::product(self.hi, other.hi);
        Self::ordered_sum(product.hi, product.lo + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl Div for Pair {
    type Output = Self;
    #[inline]
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self - other * first.into();
        Self::ordered_sum(first, rest.hi / other.hi)
    }
}

/// The tables.
pub struct Precise {
    /// `e^(i/8)`, from `i = -LAST_EIGHTH`: as a number from 1/2 to 1 and its binary exponent.
    eighths: Vec<(Pair, i32)>,
    /// `e^(i/4096)`, from `i = -LAST_FINE`.
    fine: Vec<Pair>,
    /// `ln(i/4096)`, from `i = FIRST_LOG`.
    logs: Vec<Pair>,
    ln_2: Pair,
}

/// The exponential is that of numbers up to 750.
const LAST_EIGHTH: i32 = 6000;
/// Half an eighth.
const LAST_FINE: i32 = 256;
/// The points of the logarithm's table: from a little below `sqrt(1/2)` to a little above `sqrt(2)`.
const FIRST_LOG: i32 = 2_895;
const LAST_LOG: i32 = 5_794;

/// 1.5 * 2^52: adding it rounds to an integer.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The nearest integer, as a number and for an index.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits hold the integer")]
fn nearest(x: f64) -> (f64, i32) {
    let shifted = x + ROUNDER;
    (shifted - ROUNDER, shifted.to_bits() as i32)
}

/// `2^n` for a normal result.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "the exponent of a normal number")]
pub const fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

/// The entry of a table that begins at `first`.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "an index of the table, or the program ends")]
fn entry<T: Copy>(table: &[T], first: i32, index: i32) -> T {
    table[(index - first) as usize]
}

impl Precise {
    #[expect(clippy::new_without_default, reason = "most of a second is no default")]
    pub fn new() -> Self {
        let mut library = Library::new();
        let of = |first: i32, last, per: f64| (first..=last).map(move |i| f64::from(i) / per);
        Self {
            eighths: of(-LAST_EIGHTH, LAST_EIGHTH, 8.0).map(|x| library.split_exp(x)).collect(),
            fine: of(-LAST_FINE, LAST_FINE, 4096.0).map(|x| library.exp(x)).collect(),
            logs: of(FIRST_LOG, LAST_LOG, 4096.0).map(|x| library.ln(x)).collect(),
            ln_2: library.ln(2.0),
        }
    }

    /// `(p, k)` with `e^x = p 2^k` and `p` from 0.46 to 1.07, for `|x| <= 750`.
    ///
    /// Identity: `e^(i/8) e^(j/4096) e^t` with `|t| <= 2^-13`. Both subtractions are exact, because all that
    /// is left is a multiple of the last place of `x`.
    #[inline]
    pub fn split_exp(&self, x: f64) -> (Pair, i32) {
        const TINY: f64 = 1.0 / (1_u64 << 40) as f64;
        if x.abs() < TINY {
            return (Pair { hi: 1.0, lo: x }, 0);
        }
        let (i, eighth) = nearest(x * 8.0);
        let rest = x - i / 8.0;
        let (j, fine) = nearest(rest * 4096.0);
        let t = rest - j / 4096.0;
        let (coarse, exponent) = entry(&self.eighths, -LAST_EIGHTH, eighth);
        let p = coarse * entry(&self.fine, -LAST_FINE, fine);
        // e^t - 1 - t.
        let q = t * t * (0.5 + t * (1.0 / 6.0 + t * (1.0 / 24.0 + t * (1.0 / 120.0 + t * (1.0 / 720.0)))));
        let first = Pair::product(p.hi, t);
        let sum = Pair::ordered_sum(p.hi, first.hi);
        let low = sum.lo + (first.lo + (p.hi * q + (p.lo + p.lo * t)));
        (Pair::ordered_sum(sum.hi, low), exponent)
    }

    /// `e^x`; 0 where it is far below what an f64 holds two of.
    #[inline]
    pub fn exp(&self, x: f64) -> Pair {
        if x < -660.0 {
            return Pair::ZERO;
        }
        let (p, exponent) = self.split_exp(x);
        p.scaled(power_of_two(exponent))
    }

    /// `ln x` for a positive normal number.
    ///
    /// Identity: `k ln 2 + ln a + 2 artanh(s)` with `s = (m - a) / (m + a)` for `x = m 2^k` and the nearest point `a`
    /// of the table.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an exponent")]
    pub fn ln(&self, x: f64) -> Pair {
        const HALF_ROOT: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
        const ONE: u64 = 1.0_f64.to_bits();
        let above = x.to_bits().wrapping_sub(HALF_ROOT).cast_signed() >> 52;
        let m = f64::from_bits(x.to_bits().wrapping_sub((above << 52).cast_unsigned()));
        debug_assert!((HALF_ROOT..ONE + (1 << 52)).contains(&m.to_bits()));
        let (i, index) = nearest(m * 4096.0);
        let a = i / 4096.0;
        let (distance, sum) = (m - a, Pair::sum(m, a));
        let s = distance / sum.hi;
        let product = Pair::product(s, sum.hi);
        let rest = ((distance - product.hi) - product.lo - s * sum.lo) / sum.hi;
        let square = s * s;
        let cube = s * square * (2.0 / 3.0 + square * (2.0 / 5.0 + square * (2.0 / 7.0)));
        let log = Pair::ordered_sum(2.0 * s, 2.0 * rest + cube);
        let k = f64::from(above as i32);
        let of_exponent = Pair::product(k, self.ln_2.hi);
        let of_exponent = Pair::ordered_sum(of_exponent.hi, of_exponent.lo + k * self.ln_2.lo);
        of_exponent + (entry(&self.logs, FIRST_LOG, index) + log)
    }

    /// `ln` of a pair: what its second part adds is `ln(1 + lo/hi)`.
    #[inline]
    pub fn ln_of(&self, x: Pair) -> Pair {
        self.ln(x.hi) + (x.lo / x.hi).into()
    }

    /// `ln(1 + x)` for `x >= 0`.
    #[inline]
    pub fn ln_1p(&self, x: Pair) -> Pair {
        const SMALL: f64 = 1.0 / 65_536.0;
        if x.hi < SMALL {
            let square = Pair::product(x.hi, x.hi).scaled(-0.5);
            let cube = x.hi * x.hi * x.hi;
            let rest = cube * (1.0 / 3.0 - x.hi * (0.25 - x.hi * 0.2)) - x.hi * x.lo;
            return x + Pair::ordered_sum(square.hi, square.lo + rest);
        }
        self.ln_of(Pair::ONE + x)
    }
}

/// The library that fills the tables, and decides where they cannot.
pub struct Library(Consts);

/// Bits of its results.
const BITS: usize = 128;
const ROUNDING: RoundingMode = RoundingMode::ToEven;

impl Library {
    #[expect(clippy::new_without_default, reason = "beside `Precise`")]
    pub fn new() -> Self {
        Self(Consts::new().expect("memory for constants"))
    }

    fn split_exp(&mut self, x: f64) -> (Pair, i32) {
        split(&BigFloat::from_f64(x, BITS).exp(BITS, ROUNDING, &mut self.0))
    }

    pub fn exp(&mut self, x: f64) -> Pair {
        let (p, exponent) = self.split_exp(x);
        p.scaled(power_of_two(exponent))
    }

    pub fn ln(&mut self, x: f64) -> Pair {
        whole(&BigFloat::from_f64(x, BITS).ln(BITS, ROUNDING, &mut self.0))
    }

    pub fn ln_1p(&mut self, x: f64) -> Pair {
        // Room for all digits of the sum.
        let bits = 10 * BITS;
        let sum = BigFloat::from_f64(x, bits).add(&BigFloat::from_f64(1.0, bits), bits, ROUNDING);
        whole(&sum.ln(BITS, ROUNDING, &mut self.0))
    }

    pub fn tanh(&mut self, x: f64) -> Pair {
        whole(&BigFloat::from_f64(x, BITS).tanh(BITS, ROUNDING, &mut self.0))
    }
}

fn whole(value: &BigFloat) -> Pair {
    let (p, exponent) = split(value);
    p.scaled(power_of_two(exponent))
}

/// The first 117 bits of a number, as one from 1/2 to 1, and its binary exponent.
#[expect(clippy::cast_precision_loss, reason = "the second part is rounded")]
fn split(value: &BigFloat) -> (Pair, i32) {
    let (words, _, sign, exponent, _) = value.as_raw_parts().expect("a number");
    if value.is_zero() {
        return (Pair::ZERO, 0);
    }
    let [.., second, first] = words else { panic!("{BITS} bits are two words") };
    let high = (first >> 11) as f64 * power_of_two(-53);
    let low = (first & 0x7ff) as f64 * power_of_two(-64) + *second as f64 * power_of_two(-128);
    let pair = Pair::ordered_sum(high, low);
    (if sign.is_negative() { -pair } else { pair }, exponent)
}
