//! AVX2 with FMA and F16C: two registers of eight lanes.
#![allow(unsafe_code, reason = "intrinsics; each use is behind the token")]

use core::arch::x86_64::*;
use core::ops::{Add, Mul, Sub};

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
pub(crate) struct F32s([__m256; 2]);

#[derive(Clone, Copy)]
pub(crate) struct F64s([__m256d; 4]);

/// Runs a value intrinsic.
macro_rules! proven {
    ($body:expr) => {
        // SAFETY: an `Avx2`, or a vector made with one, exists only where detection found the features.
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

binary!(F32s, Add, add, _mm256_add_ps);
binary!(F32s, Sub, sub, _mm256_sub_ps);
binary!(F32s, Mul, mul, _mm256_mul_ps);
binary!(F64s, Add, add, _mm256_add_pd);
binary!(F64s, Sub, sub, _mm256_sub_pd);
binary!(F64s, Mul, mul, _mm256_mul_pd);

/// All ones in the lanes of a half that `len` values reach, `skip` lanes into the vector.
#[inline(always)]
fn half_mask(len: usize, skip: usize) -> __m256i {
    // At most 16 values are used, so the number fits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    let count = len.min(LANES) as i32 - skip as i32;
    proven!(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))
}

/// Eight rows of eight as columns: pairs, then quarters, then halves change places.
#[inline(always)]
fn turn_eight(row: impl Fn(usize) -> __m256) -> [__m256; 8] {
    /// The first two of four values of each operand, and the last two.
    const FIRST: i32 = 0b01_00_01_00;
    const LAST: i32 = 0b11_10_11_10;
    let [a, b, c, d, e, f, g, h] = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
    proven!({
        let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ef_low, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
        let (gh_low, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
        let a = _mm256_shuffle_ps::<FIRST>(ab_low, cd_low);
        let b = _mm256_shuffle_ps::<LAST>(ab_low, cd_low);
        let c = _mm256_shuffle_ps::<FIRST>(ab_high, cd_high);
        let d = _mm256_shuffle_ps::<LAST>(ab_high, cd_high);
        let e = _mm256_shuffle_ps::<FIRST>(ef_low, gh_low);
        let f = _mm256_shuffle_ps::<LAST>(ef_low, gh_low);
        let g = _mm256_shuffle_ps::<FIRST>(ef_high, gh_high);
        let h = _mm256_shuffle_ps::<LAST>(ef_high, gh_high);
        [
            _mm256_permute2f128_ps::<0x20>(a, e),
            _mm256_permute2f128_ps::<0x20>(b, f),
            _mm256_permute2f128_ps::<0x20>(c, g),
            _mm256_permute2f128_ps::<0x20>(d, h),
            _mm256_permute2f128_ps::<0x31>(a, e),
            _mm256_permute2f128_ps::<0x31>(b, f),
            _mm256_permute2f128_ps::<0x31>(c, g),
            _mm256_permute2f128_ps::<0x31>(d, h),
        ]
    })
}

/// No instruction, but to the compiler one that needs all four registers and makes them anew. With sixteen
/// registers it would rather work off one chain of operations after the other, which leaves the processor waiting: four
/// chains side by side were measured to take 0.7 of the time.
#[target_feature(enable = "avx")]
#[inline]
fn together(F32s([mut a, mut b]): F32s, F32s([mut c, mut d]): F32s) -> (F32s, F32s) {
    // SAFETY: a comment does nothing.
    unsafe {
        core::arch::asm!(
            "/* {} {} {} {} */",
            inout(ymm_reg) a,
            inout(ymm_reg) b,
            inout(ymm_reg) c,
            inout(ymm_reg) d,
            options(nomem, nostack, preserves_flags),
        );
    }
    (F32s([a, b]), F32s([c, d]))
}

/// Turns rows into columns. To be inlined where AVX is known to be here.
#[inline(always)]
pub(super) fn turn(from: &[[f32; LANES]; LANES], to: &mut [[f32; LANES]; LANES]) {
    quarter::<0, 0>(from, to);
    quarter::<0, 8>(from, to);
    quarter::<8, 0>(from, to);
    quarter::<8, 8>(from, to);
}

/// Turns the eight by eight values from a row and a column on.
#[inline(always)]
fn quarter<const ROW: usize, const COLUMN: usize>(
    from: &[[f32; LANES]; LANES],
    to: &mut [[f32; LANES]; LANES],
) {
    let turned = turn_eight(
        #[inline(always)]
        |i| {
            // SAFETY: the features are here; eight values follow the start of either half of a row.
            unsafe { _mm256_loadu_ps(from[ROW + i].as_ptr().add(COLUMN)) }
        },
    );
    for (i, part) in turned.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to[COLUMN + i].as_mut_ptr().add(ROW), part) };
    }
}

impl Simd for Avx2 {
    type Lanes = F32s;
    type Wide = F64s;

    const FUSED: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> F32s {
        proven!(F32s([_mm256_set1_ps(value); 2]))
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F32s {
        let at = from.as_ptr();
        // SAFETY: the features are here; the array covers both halves.
        unsafe { F32s([_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))]) }
    }

    #[inline(always)]
    fn load_partial(self, from: &[f32], pad: f32) -> F32s {
        let pad = proven!(_mm256_set1_ps(pad));
        F32s::halves(
            #[inline(always)]
            |i| {
                let mask = half_mask(from.len(), 8 * i);
                // SAFETY: the features are here; lanes outside the slice are masked, which does not read them.
                let read = unsafe { _mm256_maskload_ps(from.as_ptr().wrapping_add(8 * i), mask) };
                proven!(_mm256_blendv_ps(pad, read, _mm256_castsi256_ps(mask)))
            },
        )
    }

    #[inline(always)]
    fn wide_zero(self) -> F64s {
        proven!(F64s([_mm256_setzero_pd(); 4]))
    }

    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: the features are here; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn transpose(self, from: &[[f32; LANES]; LANES], to: &mut [[f32; LANES]; LANES]) {
        turn(from, to);
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

impl F32s {
    /// The vector of both halves.
    #[inline(always)]
    fn halves(half: impl Fn(usize) -> __m256) -> Self {
        Self([half(0), half(1)])
    }
}

impl Lanes for F32s {
    type Wide = F64s;

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| proven!(_mm256_fmadd_ps(self.0[i], factor.0[i], addend.0[i])),
        )
    }

    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| proven!(_mm256_fmsub_ps(self.0[i], factor.0[i], subtrahend.0[i])),
        )
    }

    #[inline(always)]
    fn reduce_max(self) -> f32 {
        // Order does not matter to a maximum of numbers, so the quickest one.
        proven!({
            let half = _mm256_max_ps(self.0[0], self.0[1]);
            let four = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| proven!(_mm256_max_ps(self.0[i], other.0[i])),
        )
    }

    #[inline(always)]
    fn low_bits_to_exponent(self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| proven!(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(self.0[i])))),
        )
    }

    #[inline(always)]
    fn zero_below(self, limit: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| proven!(_mm256_and_ps(self.0[i], _mm256_cmp_ps::<_CMP_NLT_UQ>(self.0[i], limit.0[i]))),
        )
    }

    #[inline(always)]
    fn zero_where_zero(self, other: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| {
                let keep = proven!(_mm256_cmp_ps::<_CMP_NEQ_UQ>(other.0[i], _mm256_setzero_ps()));
                proven!(_mm256_and_ps(self.0[i], keep))
            },
        )
    }

    #[inline(always)]
    fn where_equal(self, other: Self, equal: Self, unequal: Self) -> Self {
        Self::halves(
            #[inline(always)]
            |i| {
                let mask = proven!(_mm256_cmp_ps::<_CMP_EQ_OQ>(self.0[i], other.0[i]));
                proven!(_mm256_blendv_ps(unequal.0[i], equal.0[i], mask))
            },
        )
    }

    #[inline(always)]
    fn in_step<const N: usize>(mut vectors: [Self; N]) -> [Self; N] {
        if let [a, b] = vectors.as_mut_slice() {
            (*a, *b) = proven!(together(*a, *b));
        }
        vectors
    }

    #[inline(always)]
    fn widen(self) -> F64s {
        proven!(F64s([
            _mm256_cvtps_pd(_mm256_castps256_ps128(self.0[0])),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0[0])),
            _mm256_cvtps_pd(_mm256_castps256_ps128(self.0[1])),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0[1])),
        ]))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        let at = to.as_mut_ptr();
        // SAFETY: the features are here; the array covers both halves.
        unsafe {
            _mm256_storeu_ps(at, self.0[0]);
            _mm256_storeu_ps(at.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn store_partial(self, to: &mut [f32]) {
        for (i, skip) in [(0, 0), (1, 8)] {
            let mask = half_mask(to.len(), skip);
            // SAFETY: the features are here; lanes outside the slice are masked, which does not write them.
            unsafe { _mm256_maskstore_ps(to.as_mut_ptr().wrapping_add(skip), mask, self.0[i]) };
        }
    }
}

impl Wide for F64s {
    #[inline(always)]
    fn reduce_add(self) -> f64 {
        let [a, b, c, d] = self.0;
        proven!({
            let four = _mm256_add_pd(_mm256_add_pd(a, c), _mm256_add_pd(b, d));
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        })
    }

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut all = [0.0; LANES];
        for (chunk, part) in all.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: the features are here; the chunk covers the register.
            unsafe { _mm256_storeu_pd(chunk.as_mut_ptr(), part) };
        }
        all
    }
}
