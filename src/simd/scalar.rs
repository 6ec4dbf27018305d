//! Plain arrays: no vector instructions asked for, always there, the reference for the others.

use core::ops::{Add, Mul, Sub};

use super::{Kernel, LANES, Lanes, Simd, Wide};

#[derive(Clone, Copy)]
pub(crate) struct Scalar;

#[derive(Clone, Copy)]
pub(crate) struct F32s([f32; LANES]);

#[derive(Clone, Copy)]
pub(crate) struct F64s([f64; LANES]);

impl F32s {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Simd for Scalar {
    type Lanes = F32s;
    type Wide = F64s;

    const FUSED: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> F32s {
        F32s([value; LANES])
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F32s {
        F32s(*from)
    }

    #[inline(always)]
    fn load_partial(self, from: &[f32], pad: f32) -> F32s {
        F32s(core::array::from_fn(|i| from.get(i).copied().unwrap_or(pad)))
    }

    #[inline(always)]
    fn wide_zero(self) -> F64s {
        F64s([0.0; LANES])
    }

    #[inline(never)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}

impl Add for F32s {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for F32s {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for F32s {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Lanes for F32s {
    type Wide = F64s;

    // Sixteen calls in each of its places would be a third of this backend's code.
    #[inline(never)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // One rounding whatever the CPU: without the instruction this is a library call, so that
        // this backend is slow but has the bits of the fast ones.
        Self(core::array::from_fn(|i| self.0[i].mul_add(factor.0[i], addend.0[i])))
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        self.mul_add(factor, subtrahend.map(|a| -a))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn low_bits_to_exponent(self) -> Self {
        self.map(|a| f32::from_bits(a.to_bits() << 23))
    }

    #[inline(always)]
    fn zero_below(self, limit: Self) -> Self {
        self.zip(limit, |a, l| if a < l { 0.0 } else { a })
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        self.zip(other, |a, b| if b == 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    #[expect(clippy::float_cmp, reason = "equality is what is asked for")]
    fn where_equal(self, other: Self, equal: Self, unequal: Self) -> Self {
        Self(core::array::from_fn(|i| if self.0[i] == other.0[i] { equal.0[i] } else { unequal.0[i] }))
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        F64s(self.0.map(f64::from))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }
}

impl Add for F64s {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl Sub for F64s {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Mul for F64s {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] * other.0[i]))
    }
}

impl Wide for F64s {
    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        self.0
    }
}
