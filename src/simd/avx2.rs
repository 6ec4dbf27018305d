//! AVX2 with FMA and F16C: one vector is a register of eight lanes.
#![allow(unsafe_code, reason = "intrinsics; each use is behind the token")]

use core::arch::x86_64::*;

use super::half::Half;
use super::tile::{TileRows, TileRowsMut};
use super::x86::{bit_operations, bits, chosen, operations, operators, proven};
use super::{Kernel, LANES, Lanes, Simd, Wide};

/// Proof that AVX2, FMA and F16C are here.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Self(()))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Eight(__m256);

/// Lanes of a vector.
const WIDTH: usize = 8;

/// All ones in the lanes of a part that `len` values reach.
#[inline(always)]
fn mask(len: usize, part: usize) -> __m256i {
    // At most 16 values are used, so the number fits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    let count = len.min(LANES) as i32 - (part * WIDTH) as i32;
    proven!(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))
}

/// Where a part of sixteen values begins.
#[inline(always)]
fn start(part: usize) -> usize {
    assert!(part < Avx2::PARTS, "a part of sixteen lanes");
    part * WIDTH
}

/// No instruction, but to the compiler one that needs all four registers and makes them anew. With sixteen
/// registers it would rather work off one chain of operations after the other, which leaves the processor waiting: four
/// chains side by side were measured to take 0.7 of the time.
macro_rules! together {
    ($name:ident $vector:ident) => {
        #[target_feature(enable = "avx")]
        #[inline]
        fn $name([mut a, mut b, mut c, mut d]: [$vector; 4]) -> [$vector; 4] {
            // SAFETY: a comment does nothing.
            unsafe {
                core::arch::asm!(
                    "/* {} {} {} {} */",
                    inout(ymm_reg) a,
                    inout(ymm_reg) b,
                    inout(ymm_reg) c,
                    inout(ymm_reg) d,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            [a, b, c, d]
        }
    };
}
together!(together __m256);
together!(together_wide __m256d);

mod half;
pub(super) mod turn;

impl Simd for Avx2 {
    type Lanes = Eight;
    type Wide = FourWide;
    type Table = __m256;

    const FUSED: bool = true;
    const PARTS: usize = LANES / WIDTH;
    const WIDE_PARTS: usize = LANES / 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Eight {
        proven!(Eight(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES], part: usize) -> Eight {
        // SAFETY: the features are here; the array covers the part.
        unsafe { Eight(_mm256_loadu_ps(from.as_ptr().add(start(part)))) }
    }

    #[inline(always)]
    fn chosen<T>(self, one: &T) -> &T {
        chosen(one)
    }

    #[inline(always)]
    fn load_tail(self, from: &[f32], part: usize, pad: f32) -> Eight {
        let mask = mask(from.len(), part);
        // SAFETY: the features are here; lanes outside the slice are masked, which does not read them.
        let read = unsafe { _mm256_maskload_ps(from.as_ptr().wrapping_add(start(part)), mask) };
        proven!(Eight(_mm256_blendv_ps(_mm256_set1_ps(pad), read, _mm256_castsi256_ps(mask))))
    }

    #[inline(always)]
    fn splat_wide(self, value: f64) -> FourWide {
        proven!(FourWide(_mm256_set1_pd(value)))
    }

    #[inline(always)]
    fn load_wide(self, from: &[f64; LANES], part: usize) -> FourWide {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { FourWide(_mm256_loadu_pd(from.as_chunks::<4>().0[part].as_ptr())) }
    }

    #[inline(always)]
    fn widen(self, from: &[f32; LANES], part: usize) -> FourWide {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { FourWide(_mm256_cvtps_pd(_mm_loadu_ps(from.as_chunks::<4>().0[part].as_ptr()))) }
    }

    #[inline(always)]
    fn widen_half(self, half: Half, from: &[u16; LANES], part: usize) -> Eight {
        // SAFETY: the features are here; the chunk covers the register.
        let bits = unsafe { _mm_loadu_si128(from.as_chunks::<WIDTH>().0[part].as_ptr().cast()) };
        Eight(half::widen(half, bits))
    }

    #[inline(always)]
    fn table(self, entries: &[f32; 8]) -> __m256 {
        // SAFETY: the features are here; the array covers the register.
        unsafe { _mm256_loadu_ps(entries.as_ptr()) }
    }

    #[inline(always)]
    fn pick(self, table: __m256, index: Eight) -> Eight {
        proven!(Eight(_mm256_permutevar8x32_ps(table, _mm256_castps_si256(index.0))))
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
        let [a, b] = [quarter_sum(high, low, 0), quarter_sum(high, low, 4)];
        let [c, d] = [quarter_sum(high, low, 8), quarter_sum(high, low, 12)];
        proven!({
            let four = _mm256_add_pd(_mm256_add_pd(a, c), _mm256_add_pd(b, d));
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
        turn::turn_out(from, rows);
    }

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline(never)]
        fn root<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.eval(simd)
        }
        proven!(root(self, kernel))
    }
}

/// Four f64. To be used where AVX2 is known to be here.
#[derive(Clone, Copy)]
pub(crate) struct FourWide(pub(super) __m256d);

operators!(Eight Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps);
operators!(FourWide Add add _mm256_add_pd, Sub sub _mm256_sub_pd, Mul mul _mm256_mul_pd, Div div _mm256_div_pd);
bits!(Eight as __m256i by _mm256_castps_si256 and _mm256_castsi256_ps);
bits!(FourWide as __m256i by _mm256_castpd_si256 and _mm256_castsi256_pd);

impl Wide for FourWide {
    operations!(max _mm256_max_pd, and _mm256_and_pd, or _mm256_or_pd, xor _mm256_xor_pd);
    bit_operations!(mul_low _mm256_mul_epu32, add_bits _mm256_add_epi64, sub_bits _mm256_sub_epi64);

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        Self::of(proven!(_mm256_slli_epi64::<N>(self.integers())))
    }

    #[inline(always)]
    fn shift_right<const N: i32>(self) -> Self {
        Self::of(proven!(_mm256_srli_epi64::<N>(self.integers())))
    }

    #[inline(always)]
    fn in_step<const N: usize>(mut vectors: [Self; N]) -> [Self; N] {
        if let [a, b, c, d] = vectors.as_mut_slice() {
            [a.0, b.0, c.0, d.0] = proven!(together_wide([a.0, b.0, c.0, d.0]));
        }
        vectors
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES], part: usize) {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm256_storeu_pd(to.as_chunks_mut::<4>().0[part].as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn store_low(self, to: &mut [f32; LANES], part: usize) {
        let low = proven!(_mm256_permutevar8x32_ps(
            _mm256_castpd_ps(self.0),
            _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)
        ));
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm_storeu_ps(to.as_chunks_mut::<4>().0[part].as_mut_ptr(), _mm256_castps256_ps128(low)) };
    }

    #[inline(always)]
    fn narrow(self, to: &mut [f32; LANES], part: usize) {
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm_storeu_ps(to.as_chunks_mut::<4>().0[part].as_mut_ptr(), _mm256_cvtpd_ps(self.0)) };
    }
}

impl Lanes for Eight {
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        proven!(Self(_mm256_fmadd_ps(self.0, factor.0, addend.0)))
    }

    operations!(max _mm256_max_ps, min _mm256_min_ps, and _mm256_and_ps, or _mm256_or_ps);
    bit_operations!(add_bits _mm256_add_epi32, sub_bits _mm256_sub_epi32);

    #[inline(always)]
    fn shift_left<const N: i32>(self) -> Self {
        proven!(Self(_mm256_castsi256_ps(_mm256_slli_epi32::<N>(self.integers()))))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, limit: Self) -> Self {
        proven!(Self(_mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(other.0, limit.0), self.0)))
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        proven!(Self(_mm256_and_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(other.0, _mm256_setzero_ps()), self.0)))
    }

    #[inline(always)]
    fn count_above(self, other: Self, limit: Self) -> Self {
        // All ones are -1.
        proven!({
            let above = _mm256_cmp_ps::<_CMP_GT_OQ>(other.0, limit.0);
            Self::of(_mm256_sub_epi32(self.integers(), _mm256_castps_si256(above)))
        })
    }

    #[inline(always)]
    fn above(self, limit: Self) -> u32 {
        // Eight bits.
        proven!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, limit.0))).cast_unsigned()
    }

    #[inline(always)]
    fn zero_where_same(self, a: Self, b: Self) -> Self {
        proven!(Self(_mm256_andnot_ps(
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(a.integers(), b.integers())),
            self.0
        )))
    }

    #[inline(always)]
    fn in_step<const N: usize>(mut vectors: [Self; N]) -> [Self; N] {
        if let [a, b, c, d] = vectors.as_mut_slice() {
            [a.0, b.0, c.0, d.0] = proven!(together([a.0, b.0, c.0, d.0]));
        }
        vectors
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], part: usize) {
        // SAFETY: the features are here; the array covers the part.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(start(part)), self.0) };
    }

    #[inline(always)]
    fn store_half(self, half: Half, to: &mut [u16; LANES], part: usize) {
        let to = to.as_chunks_mut::<WIDTH>().0[part].as_mut_ptr().cast();
        // SAFETY: the features are here; the chunk covers the register.
        unsafe { _mm_storeu_si128(to, half::narrow(half, self.0)) };
    }

    #[inline(always)]
    fn store_tail(self, to: &mut [f32], part: usize) {
        let mask = mask(to.len(), part);
        // SAFETY: the features are here; lanes outside the slice are masked, which does not write them.
        unsafe { _mm256_maskstore_ps(to.as_mut_ptr().wrapping_add(start(part)), mask, self.0) };
    }

    #[inline(always)]
    fn stream(self, to: &mut [f32; LANES], part: usize) {
        let at = to.as_mut_ptr().wrapping_add(start(part));
        if at.has_alignment(32) {
            // SAFETY: the features are here; the array covers the part, which is aligned.
            unsafe { _mm256_stream_ps(at, self.0) };
        } else {
            self.store(to, part);
        }
    }
}

/// Whether a pointer is a multiple of some bytes.
pub(super) trait Aligned {
    fn has_alignment(self, bytes: usize) -> bool;
}

impl Aligned for *mut f32 {
    #[inline(always)]
    fn has_alignment(self, bytes: usize) -> bool {
        self.addr().is_multiple_of(bytes)
    }
}

/// The sums of four values and their low parts. (A closure would not be inlined everywhere.)
#[inline(always)]
fn quarter_sum(high: &[f32; LANES], low: &[f32; LANES], at: usize) -> __m256d {
    let (high, low) = (high[at..at + 4].as_ptr(), low[at..at + 4].as_ptr());
    // SAFETY: the features are here; four values follow both places.
    unsafe { _mm256_add_pd(_mm256_cvtps_pd(_mm_loadu_ps(high)), _mm256_cvtps_pd(_mm_loadu_ps(low))) }
}
