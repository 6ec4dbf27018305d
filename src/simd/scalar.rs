//! One lane at a time: no vector instructions asked for, always there, the reference for the others.

use core::ops::{Add, Mul, Sub};

use super::doubles::Doubles;
use super::half::Half;
use super::{Kernel, LANES, Lanes, Simd};

#[derive(Clone, Copy)]
pub(crate) struct Scalar;

#[derive(Clone, Copy)]
pub(crate) struct One(f32);

impl Simd for Scalar {
    type Lanes = One;
    type Wide = Doubles;
    type Table = [f32; 8];

    const FUSED: bool = true;
    const SMALL: bool = true;
    const PARTS: usize = LANES;
    const WIDE_PARTS: usize = LANES / 4;

    #[inline(always)]
    fn splat(self, value: f32) -> One {
        One(value)
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES], part: usize) -> One {
        // Not `from[part]`, from which the compiler learns how often it can come here: see `Simd::parts`.
        One(from.get(part).copied().unwrap_or_default())
    }

    #[inline(always)]
    fn load_tail(self, from: &[f32], part: usize, pad: f32) -> One {
        One(from.get(part).copied().unwrap_or(pad))
    }

    #[inline(always)]
    fn splat_wide(self, value: f64) -> Doubles {
        Doubles::splat(value)
    }

    #[inline(always)]
    fn load_wide(self, from: &[f64; LANES], part: usize) -> Doubles {
        Doubles::load(from, part)
    }

    #[inline(always)]
    fn widen(self, from: &[f32; LANES], part: usize) -> Doubles {
        Doubles::widen(from, part)
    }

    #[inline(always)]
    fn widen_half(self, half: Half, from: &[u16; LANES], part: usize) -> One {
        One(half.widen(from[part]))
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 8]) -> [f32; 8] {
        *entries
    }

    #[inline(always)]
    fn pick(self, table: [f32; 8], index: One) -> One {
        One(table[index.0.to_bits() as usize % 8])
    }

    #[inline(never)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}

impl Add for One {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for One {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for One {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Lanes for One {
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // One rounding whatever the CPU: without the instruction this is a library call, so that
        // this backend is slow but has the bits of the fast ones.
        Self(self.0.mul_add(factor.0, addend.0))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self.0 > other.0 { self } else { other }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self.0 < other.0 { self } else { other }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(f32::from_bits(self.0.to_bits() & other.0.to_bits()))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(f32::from_bits(self.0.to_bits() | other.0.to_bits()))
    }

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Self(f32::from_bits(self.0.to_bits() << N))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        Self(f32::from_bits(self.0.to_bits().wrapping_add(other.0.to_bits())))
    }

    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        Self(f32::from_bits(self.0.to_bits().wrapping_sub(other.0.to_bits())))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, limit: Self) -> Self {
        if other.0 < limit.0 { Self(0.0) } else { self }
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        if other.0 == 0.0 { Self(0.0) } else { self }
    }

    #[inline(always)]
    fn count_above(self, other: Self, limit: Self) -> Self {
        Self(f32::from_bits(self.0.to_bits().wrapping_add(u32::from(other.0 > limit.0))))
    }

    #[inline(always)]
    fn above(self, limit: Self) -> u32 {
        u32::from(self.0 > limit.0)
    }

    #[inline(always)]
    fn zero_where_same(self, a: Self, b: Self) -> Self {
        if a.0.to_bits() == b.0.to_bits() { Self(0.0) } else { self }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], part: usize) {
        self.store_tail(to, part);
    }

    #[inline(always)]
    fn store_half(self, half: Half, to: &mut [u16; LANES], part: usize) {
        if let Some(to) = to.get_mut(part) {
            *to = half.narrow(self.0);
        }
    }

    #[inline(always)]
    fn store_tail(self, to: &mut [f32], part: usize) {
        if let Some(to) = to.get_mut(part) {
            *to = self.0;
        }
    }
}
