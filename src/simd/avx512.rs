//! AVX-512, the Ice Lake set: one register of sixteen lanes, masks for tails.
#![allow(unsafe_code, reason = "intrinsics; each use is behind the token")]

use core::arch::x86_64::*;
use core::ops::{Add, Mul, Sub};

use super::{Kernel, LANES, Lanes, Simd, Wide};

/// Proof that the AVX-512 of Ice Lake and later is here, and FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Ice Lake's extensions are asked for although few are used: parts without them lower
    /// their clock so much under 512-bit code that AVX2 serves them better.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Self(()))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct F32s([__m512; 1]);

#[derive(Clone, Copy)]
pub(crate) struct F64s([__m512d; 2]);

/// Runs a value intrinsic.
macro_rules! proven {
    ($body:expr) => {
        // SAFETY: an `Avx512`, or a vector made with one, exists only where detection found the features.
        unsafe { $body }
    };
}

/// A lane-by-lane operation of two vectors.
macro_rules! binary {
    ($vector:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut out = self;
                for (a, b) in out.0.iter_mut().zip(other.0) {
                    *a = proven!($intrinsic(*a, b));
                }
                out
            }
        }
    };
}

binary!(F32s, Add, add, _mm512_add_ps);
binary!(F32s, Sub, sub, _mm512_sub_ps);
binary!(F32s, Mul, mul, _mm512_mul_ps);
binary!(F64s, Add, add, _mm512_add_pd);
binary!(F64s, Sub, sub, _mm512_sub_pd);
binary!(F64s, Mul, mul, _mm512_mul_pd);

/// The lanes that `len` values reach.
#[inline(always)]
fn mask(len: usize) -> __mmask16 {
    // At most sixteen ones, so they fit.
    #[expect(clippy::cast_possible_truncation)]
    let ones = ((1_u32 << len.min(LANES)) - 1) as __mmask16;
    ones
}

impl Simd for Avx512 {
    type Lanes = F32s;
    type Wide = F64s;

    const FUSED: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> F32s {
        proven!(F32s([_mm512_set1_ps(value)]))
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F32s {
        // SAFETY: the features are here; the array covers the register.
        unsafe { F32s([_mm512_loadu_ps(from.as_ptr())]) }
    }

    #[inline(always)]
    fn load_partial(self, from: &[f32], pad: f32) -> F32s {
        // SAFETY: the features are here; lanes outside the slice are masked, which does not read them.
        unsafe { F32s([_mm512_mask_loadu_ps(_mm512_set1_ps(pad), mask(from.len()), from.as_ptr())]) }
    }

    #[inline(always)]
    fn wide_zero(self) -> F64s {
        proven!(F64s([_mm512_setzero_pd(); 2]))
    }

    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: the features are here; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn transpose(self, from: &[[f32; LANES]; LANES], to: &mut [[f32; LANES]; LANES]) {
        // AVX is among the features.
        super::avx2::turn(from, to);
    }

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,fma,f16c")]
        #[inline(never)]
        fn root<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.eval(simd)
        }
        proven!(root(self, kernel))
    }
}

impl Lanes for F32s {
    type Wide = F64s;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        proven!(Self([_mm512_fmadd_ps(self.0[0], factor.0[0], addend.0[0])]))
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        proven!(Self([_mm512_fmsub_ps(self.0[0], factor.0[0], subtrahend.0[0])]))
    }

    #[inline(always)]
    fn reduce_max(self) -> f32 {
        // Order does not matter to a maximum of numbers.
        proven!(_mm512_reduce_max_ps(self.0[0]))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        proven!(Self([_mm512_max_ps(self.0[0], other.0[0])]))
    }

    #[inline(always)]
    fn low_bits_to_exponent(self) -> Self {
        proven!(Self([_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0[0])))]))
    }

    #[inline(always)]
    fn zero_below(self, limit: Self) -> Self {
        proven!(Self([_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0[0], limit.0[0]),
            self.0[0]
        )]))
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        proven!(Self([_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(other.0[0], _mm512_setzero_ps()),
            self.0[0]
        )]))
    }

    #[inline(always)]
    fn where_equal(self, other: Self, equal: Self, unequal: Self) -> Self {
        proven!(Self([_mm512_mask_mov_ps(
            unequal.0[0],
            _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0[0], other.0[0]),
            equal.0[0]
        )]))
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        proven!(F64s([
            _mm512_cvtps_pd(_mm512_castps512_ps256(self.0[0])),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(self.0[0])),
        ]))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: the features are here; the array covers the register.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0[0]) };
    }

    #[inline(always)]
    fn store_partial(self, to: &mut [f32]) {
        // SAFETY: the features are here; lanes outside the slice are masked, which does not write them.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), mask(to.len()), self.0[0]) };
    }
}

impl Wide for F64s {
    #[inline(always)]
    fn reduce_add(self) -> f64 {
        proven!({
            let eight = _mm512_add_pd(self.0[0], self.0[1]);
            let four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight));
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        })
    }

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut all = [0.0; LANES];
        for (chunk, part) in all.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            // SAFETY: the features are here; the chunk covers the register.
            unsafe { _mm512_storeu_pd(chunk.as_mut_ptr(), part) };
        }
        all
    }
}
