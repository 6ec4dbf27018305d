//! The lanes of the `wide` crate: SSE2, NEON, wasm or whatever the *compiler* was told to use.
//!
//! `wide` chooses its instructions when the crate is built, so this backend is what runs where no
//! instruction set was detected, and is never entered from an AVX2 or AVX-512 root. Only its lanes
//! are used; its `exp` is another algorithm. It has no permutation of eight entries that is one
//! instruction everywhere, so they are looked up lane by lane.

use core::ops::{Add, Mul, Sub};

use bytemuck::cast;
use wide::{f32x4, i32x4, u32x4};

use super::doubles::Doubles;
use super::half::Half;
use super::{Kernel, LANES, Lanes, Simd};

/// Whether `wide` has vector instructions on this build's target.
pub(crate) const VECTORISED: bool =
    cfg!(any(target_feature = "sse2", target_feature = "neon", target_feature = "simd128"));

/// Lanes of a vector.
const WIDTH: usize = 4;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[derive(Clone, Copy)]
pub(crate) struct Four(f32x4);

impl Simd for Portable {
    type Lanes = Four;
    type Wide = Doubles;
    type Table = [f32; 8];

    const FUSED: bool =
        cfg!(any(target_feature = "fma", all(target_arch = "aarch64", target_feature = "neon")));
    // Processors of x86 that are still in use have another backend.
    const SMALL: bool = cfg!(target_arch = "x86_64");
    const PARTS: usize = LANES / WIDTH;
    const WIDE_PARTS: usize = LANES / 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Four {
        Four(f32x4::splat(value))
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES], part: usize) -> Four {
        Four(cast(from.as_chunks::<WIDTH>().0[part]))
    }

    #[inline(always)]
    fn load_tail(self, from: &[f32], part: usize, pad: f32) -> Four {
        let all: [f32; WIDTH] = core::array::from_fn(|i| from.get(part * WIDTH + i).copied().unwrap_or(pad));
        Four(cast(all))
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
    fn widen_half(self, half: Half, from: &[u16; LANES], part: usize) -> Four {
        Four(cast(half.widen_four(from.as_chunks::<WIDTH>().0[part])))
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 8]) -> [f32; 8] {
        *entries
    }

    #[inline(always)]
    fn pick(self, table: [f32; 8], index: Four) -> Four {
        let index: [u32; WIDTH] = cast(index.0);
        Four(cast(index.map(|i| table[i as usize % 8])))
    }

    #[inline(never)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}

impl Four {
    #[inline(always)]
    fn integers(self) -> i32x4 {
        cast(self.0)
    }
}

impl Add for Four {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Four {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Four {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Lanes for Four {
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(self.0.mul_add(factor.0, addend.0))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if cfg!(target_arch = "x86_64") {
            // `maxps` is `a > b ? a : b`.
            Self(self.0.fast_max(other.0))
        } else {
            Self(self.0.simd_gt(other.0).bitselect(self.0, other.0))
        }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if cfg!(target_arch = "x86_64") {
            // `minps` is `a < b ? a : b`.
            Self(self.0.fast_min(other.0))
        } else {
            Self(self.0.simd_lt(other.0).bitselect(self.0, other.0))
        }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Self(cast(cast::<f32x4, u32x4>(self.0) << N))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        Self(cast(self.integers() + other.integers()))
    }

    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        Self(cast(self.integers() - other.integers()))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, limit: Self) -> Self {
        Self(other.0.simd_lt(limit.0).bitselect(f32x4::ZERO, self.0))
    }

    #[inline(always)]
    fn count_above(self, other: Self, limit: Self) -> Self {
        let one = f32x4::splat(f32::from_bits(1));
        self.add_bits(Self(other.0.simd_gt(limit.0).bitselect(one, f32x4::ZERO)))
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        Self(other.0.simd_eq(f32x4::ZERO).bitselect(f32x4::ZERO, self.0))
    }

    #[inline(always)]
    fn above(self, limit: Self) -> u32 {
        self.0.simd_gt(limit.0).to_bitmask()
    }

    #[inline(always)]
    fn zero_where_same(self, a: Self, b: Self) -> Self {
        let same: f32x4 = cast(a.integers().simd_eq(b.integers()));
        Self(same.bitselect(f32x4::ZERO, self.0))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], part: usize) {
        to.as_chunks_mut::<WIDTH>().0[part] = cast(self.0);
    }

    #[inline(always)]
    fn store_half(self, half: Half, to: &mut [u16; LANES], part: usize) {
        to.as_chunks_mut::<WIDTH>().0[part] = half.narrow_four(cast(self.0));
    }

    #[inline(always)]
    fn store_tail(self, to: &mut [f32], part: usize) {
        let all: [f32; WIDTH] = cast(self.0);
        for (to, value) in to.iter_mut().skip(part * WIDTH).zip(all) {
            *to = value;
        }
    }
}
