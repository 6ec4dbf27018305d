//! Four f64 for backends without vectors of them.

use core::ops::{Add, Div, Mul, Sub};

use super::{LANES, Wide};

#[derive(Clone, Copy)]
pub(crate) struct Doubles([f64; 4]);

impl Doubles {
    #[inline(always)]
    pub(super) const fn splat(value: f64) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    pub(super) fn load(from: &[f64; LANES], part: usize) -> Self {
        Self(from.as_chunks().0[part])
    }

    #[inline(always)]
    pub(super) fn widen(from: &[f32; LANES], part: usize) -> Self {
        Self(from.as_chunks::<4>().0[part].map(f64::from))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn zip_bits(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        self.zip(other, |a, b| f64::from_bits(f(a.to_bits(), b.to_bits())))
    }
}

impl Add for Doubles {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Doubles {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Doubles {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Div for Doubles {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

impl Wide for Doubles {
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self.zip_bits(other, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.zip_bits(other, |a, b| a | b)
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self.zip_bits(other, |a, b| a ^ b)
    }

    #[inline(always)]
    fn mul_low(self, other: Self) -> Self {
        const LOW: u64 = 0xffff_ffff;
        self.zip_bits(other, |a, b| (a & LOW) * (b & LOW))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        self.zip_bits(other, u64::wrapping_add)
    }

    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        self.zip_bits(other, u64::wrapping_sub)
    }

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Self(self.0.map(|a| f64::from_bits(a.to_bits() << N)))
    }

    #[inline(always)]
    fn shift_right<const N: i32>(self) -> Self {
        Self(self.0.map(|a| f64::from_bits(a.to_bits() >> N)))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES], part: usize) {
        to.as_chunks_mut().0[part] = self.0;
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    fn store_low(self, to: &mut [f32; LANES], part: usize) {
        to.as_chunks_mut::<4>().0[part] = self.0.map(|a| f32::from_bits(a.to_bits() as u32));
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
    fn narrow(self, to: &mut [f32; LANES], part: usize) {
        to.as_chunks_mut::<4>().0[part] = self.0.map(|a| a as f32);
    }
}
