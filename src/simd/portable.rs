//! The lanes of the `wide` crate: SSE2, NEON, wasm or whatever the *compiler* was told to use.
//!
//! `wide` chooses its instructions when the crate is built, so this backend is what runs where no
//! instruction set was detected, and is never entered from an AVX2 or AVX-512 root. Only its lanes
//! are used; its `exp` is another algorithm.

use core::ops::{Add, Mul, Sub};

use bytemuck::cast;
use wide::{f32x8, f64x4, u32x8};

use super::{Kernel, LANES, Lanes, Simd, Wide};

/// Whether `wide` has vector instructions on this build's target.
pub(crate) const VECTORISED: bool =
    cfg!(any(target_feature = "sse2", target_feature = "neon", target_feature = "simd128"));

#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[derive(Clone, Copy)]
pub(crate) struct F32s([f32x8; 2]);

#[derive(Clone, Copy)]
pub(crate) struct F64s([f64x4; 4]);

impl Simd for Portable {
    type Lanes = F32s;
    type Wide = F64s;

    const FUSED: bool =
        cfg!(any(target_feature = "fma", all(target_arch = "aarch64", target_feature = "neon")));

    #[inline(always)]
    fn splat(self, value: f32) -> F32s {
        F32s([f32x8::splat(value); 2])
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F32s {
        F32s(cast(*from))
    }

    #[inline(always)]
    fn load_partial(self, from: &[f32], pad: f32) -> F32s {
        let all: [f32; LANES] = core::array::from_fn(|i| from.get(i).copied().unwrap_or(pad));
        self.load(&all)
    }

    #[inline(always)]
    fn wide_zero(self) -> F64s {
        F64s([f64x4::ZERO; 4])
    }

    #[inline(never)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}

impl F32s {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32x8, f32x8) -> f32x8) -> Self {
        Self([f(self.0[0], other.0[0]), f(self.0[1], other.0[1])])
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

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self([self.0[0].mul_add(factor.0[0], addend.0[0]), self.0[1].mul_add(factor.0[1], addend.0[1])])
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        Self([
            self.0[0].mul_sub(factor.0[0], subtrahend.0[0]),
            self.0[1].mul_sub(factor.0[1], subtrahend.0[1]),
        ])
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if cfg!(target_arch = "x86_64") {
            // `maxps` is `a > b ? a : b`.
            self.zip(other, f32x8::fast_max)
        } else {
            self.zip(other, |a, b| a.simd_gt(b).bitselect(a, b))
        }
    }

    #[inline(always)]
    fn low_bits_to_exponent(self) -> Self {
        let shift = |a: f32x8| -> f32x8 { cast(cast::<f32x8, u32x8>(a) << 23_i32) };
        Self([shift(self.0[0]), shift(self.0[1])])
    }

    #[inline(always)]
    fn zero_below(self, limit: Self) -> Self {
        self.zip(limit, |a, l| a.simd_lt(l).bitselect(f32x8::ZERO, a))
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        self.zip(other, |a, b| b.simd_eq(f32x8::ZERO).bitselect(f32x8::ZERO, a))
    }

    #[inline(always)]
    fn where_equal(self, other: Self, equal: Self, unequal: Self) -> Self {
        let half = |i: usize| self.0[i].simd_eq(other.0[i]).bitselect(equal.0[i], unequal.0[i]);
        Self([half(0), half(1)])
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        let all: [f32; LANES] = cast(self.0);
        F64s(core::array::from_fn(|q| f64x4::new(core::array::from_fn(|i| f64::from(all[4 * q + i])))))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = cast(self.0);
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
        cast(self.0)
    }
}
