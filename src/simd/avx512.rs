//! AVX-512, the Ice Lake set: one register of sixteen lanes, masks for tails.
#![allow(unsafe_code, reason = "intrinsics; each use is behind the token")]

use core::arch::x86_64::*;

use super::avx2::Aligned;
use super::half::Half;
use super::tile::{TileRows, TileRowsMut};
use super::x86::{bit_operations, bits, chosen, operations, operators, proven};
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
pub(crate) struct Sixteen(__m512);

/// The lanes that `len` values reach.
#[inline(always)]
fn mask(len: usize) -> __mmask16 {
    // At most sixteen ones, so they fit.
    #[expect(clippy::cast_possible_truncation)]
    let ones = ((1_u32 << len.min(LANES)) - 1) as __mmask16;
    ones
}

/// As AVX2's, for two registers: one chain alone leaves the processor waiting.
#[target_feature(enable = "avx512f")]
#[inline]
fn together([mut a, mut b]: [__m512; 2]) -> [__m512; 2] {
    // SAFETY: a comment does nothing.
    unsafe {
        core::arch::asm!(
            "/* {} {} */",
            inout(zmm_reg) a,
            inout(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [a, b]
}

mod half;
mod turn;

impl Simd for Avx512 {
    type Lanes = Sixteen;
    type Wide = EightWide;
    type Table = __m512;

    const FUSED: bool = true;
    const PARTS: usize = 1;
    const WIDE_PARTS: usize = LANES / 8;

    #[inline(always)]
    fn splat(self, value: f32) -> Sixteen {
        proven!(Sixteen(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES], _part: usize) -> Sixteen {
        // SAFETY: the features are here; the array covers the register.
        unsafe { Sixteen(_mm512_loadu_ps(from.as_ptr())) }
    }

    #[inline(always)]
    fn chosen<T>(self, one: &T) -> &T {
        chosen(one)
    }

    #[inline(always)]
    fn load_tail(self, from: &[f32], _part: usize, pad: f32) -> Sixteen {
        // SAFETY: the features are here; lanes outside the slice are masked, which does not read them.
        unsafe { Sixteen(_mm512_mask_loadu_ps(_mm512_set1_ps(pad), mask(from.len()), from.as_ptr())) }
    }

    #[inline(always)]
    fn splat_wide(self, value: f64) -> EightWide {
        proven!(EightWide(_mm512_set1_pd(value)))
    }

    #[inline(always)]
    fn load_wide(self, from: &[f64; LANES], part: usize) -> EightWide {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { EightWide(_mm512_loadu_pd(from.as_chunks::<8>().0[part].as_ptr())) }
    }

    #[inline(always)]
    fn widen(self, from: &[f32; LANES], part: usize) -> EightWide {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { EightWide(_mm512_cvtps_pd(_mm256_loadu_ps(from.as_chunks::<8>().0[part].as_ptr()))) }
    }

    #[inline(always)]
    fn widen_half(self, half: Half, from: &[u16; LANES], _part: usize) -> Sixteen {
        // SAFETY: the features are here; the array covers the register.
        let bits = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
        Sixteen(half::widen(half, bits))
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 8]) -> __m512 {
        // SAFETY: the features are here; the array covers half the register.
        unsafe {
            _mm512_castpd_ps(_mm512_broadcast_f64x4(_mm256_castps_pd(_mm256_loadu_ps(entries.as_ptr()))))
        }
    }

    #[inline(always)]
    fn pick(self, table: __m512, index: Sixteen) -> Sixteen {
        // Both halves of the table are the same, so that the fourth bit does not matter.
        proven!(Sixteen(_mm512_permutexvar_ps(_mm512_castps_si512(index.0), table)))
    }

    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: the features are here; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn prefetch_near<T>(self, at: *const T) {
        // SAFETY: the features are here; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
    }

    #[inline(always)]
    fn fence(self) {
        proven!(_mm_sfence());
    }

    #[inline(always)]
    fn sum_lanes(self, high: &[f32; LANES], low: &[f32; LANES]) -> f64 {
        let [a, b] = [half_sum(high, low, 0), half_sum(high, low, 8)];
        proven!({
            let eight = _mm512_add_pd(a, b);
            let four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight));
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        })
    }

    #[inline(always)]
    fn turn_in(self, rows: &TileRows<'_>, to: &mut [[f32; LANES]]) {
        turn::turn_in(rows, to);
    }

    #[inline(always)]
    fn turn_out(self, from: &[[f32; LANES]], rows: &mut TileRowsMut<'_>) {
        if rows.classes().is_multiple_of(LANES) {
            turn::turn_out(from, rows);
        } else {
            // AVX2 is among the features, and its stores of four classes are measured to be faster than wider ones.
            super::avx2::turn::turn_out(from, rows);
        }
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

#[derive(Clone, Copy)]
pub(crate) struct EightWide(__m512d);

operators!(Sixteen Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps);
operators!(EightWide Add add _mm512_add_pd, Sub sub _mm512_sub_pd, Mul mul _mm512_mul_pd, Div div _mm512_div_pd);
bits!(Sixteen as __m512i by _mm512_castps_si512 and _mm512_castsi512_ps);
bits!(EightWide as __m512i by _mm512_castpd_si512 and _mm512_castsi512_pd);

impl Wide for EightWide {
    operations!(max _mm512_max_pd, and _mm512_and_pd, or _mm512_or_pd, xor _mm512_xor_pd);
    bit_operations!(mul_low _mm512_mul_epu32, add_bits _mm512_add_epi64, sub_bits _mm512_sub_epi64);

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Self::of(proven!(_mm512_sll_epi64(self.integers(), _mm_cvtsi32_si128(N))))
    }

    #[inline(always)]
    fn shift_right<const N: i32>(self) -> Self {
        Self::of(proven!(_mm512_srl_epi64(self.integers(), _mm_cvtsi32_si128(N))))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES], part: usize) {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm512_storeu_pd(to.as_chunks_mut::<8>().0[part].as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn store_low(self, to: &mut [f32; LANES], part: usize) {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe {
            _mm256_storeu_si256(
                to.as_chunks_mut::<8>().0[part].as_mut_ptr().cast(),
                _mm512_cvtepi64_epi32(self.integers()),
            );
        }
    }

    #[inline(always)]
    fn narrow(self, to: &mut [f32; LANES], part: usize) {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm256_storeu_ps(to.as_chunks_mut::<8>().0[part].as_mut_ptr(), _mm512_cvtpd_ps(self.0)) };
    }
}

impl Lanes for Sixteen {
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        proven!(Self(_mm512_fmadd_ps(self.0, factor.0, addend.0)))
    }

    operations!(max _mm512_max_ps, min _mm512_min_ps);
    bit_operations!(and _mm512_and_si512, or _mm512_or_si512);
    bit_operations!(add_bits _mm512_add_epi32, sub_bits _mm512_sub_epi32);

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        // The shift that takes a count of 32 bits: the other one's is unsigned.
        proven!(Self(_mm512_castsi512_ps(_mm512_sll_epi32(self.integers(), _mm_cvtsi32_si128(N)))))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, limit: Self) -> Self {
        proven!(Self(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(other.0, limit.0), self.0)))
    }

    #[inline(always)]
    fn add_bits_or_zero(self, bits: Self, other: Self, limit: Self) -> Self {
        proven!(Self(_mm512_castsi512_ps(_mm512_maskz_add_epi32(
            _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(other.0, limit.0),
            self.integers(),
            bits.integers()
        ))))
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        proven!(Self(_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(other.0, _mm512_setzero_ps()),
            self.0
        )))
    }

    #[inline(always)]
    fn count_above(self, other: Self, limit: Self) -> Self {
        proven!({
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(other.0, limit.0);
            Self::of(_mm512_mask_add_epi32(self.integers(), above, self.integers(), _mm512_set1_epi32(1)))
        })
    }

    #[inline(always)]
    fn above(self, limit: Self) -> u32 {
        u32::from(proven!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, limit.0)))
    }

    #[inline(always)]
    fn zero_where_same(self, a: Self, b: Self) -> Self {
        proven!(Self(_mm512_maskz_mov_ps(_mm512_cmpneq_epi32_mask(a.integers(), b.integers()), self.0)))
    }

    #[inline(always)]
    fn in_step<const N: usize>(mut vectors: [Self; N]) -> [Self; N] {
        if let [a, b] = vectors.as_mut_slice() {
            [a.0, b.0] = proven!(together([a.0, b.0]));
        }
        vectors
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], _part: usize) {
        // SAFETY: the features are here; the array covers the register.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn store_half(self, half: Half, to: &mut [u16; LANES], _part: usize) {
        // SAFETY: the features are here; the array covers the register.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), half::narrow(half, self.0)) };
    }

    #[inline(always)]
    fn store_tail(self, to: &mut [f32], _part: usize) {
        // SAFETY: the features are here; lanes outside the slice are masked, which does not write them.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), mask(to.len()), self.0) };
    }

    #[inline(always)]
    fn stream(self, to: &mut [f32; LANES], part: usize) {
        let at = to.as_mut_ptr();
        if at.has_alignment(64) {
            // SAFETY: the features are here; the array covers the register and is aligned.
            unsafe { _mm512_stream_ps(at, self.0) };
        } else {
            self.store(to, part);
        }
    }
}

/// The sums of eight values and their low parts. (A closure would not be inlined everywhere.)
#[inline(always)]
fn half_sum(high: &[f32; LANES], low: &[f32; LANES], at: usize) -> __m512d {
    let (high, low) = (high[at..at + 8].as_ptr(), low[at..at + 8].as_ptr());
    // SAFETY: the features are here; eight values follow both places.
    unsafe { _mm512_add_pd(_mm512_cvtps_pd(_mm256_loadu_ps(high)), _mm512_cvtps_pd(_mm256_loadu_ps(low))) }
}
