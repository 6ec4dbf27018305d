//! AVX2: sixteen lanes are two registers of f32, and four of f64.

use core::arch::asm;
use core::arch::x86_64::*;

use super::lanes::{Factor, Lanes};
use super::turn256;

#[derive(Clone, Copy)]
pub struct Avx2;

/// Sixteen f32.
#[derive(Clone, Copy)]
pub struct Pair(pub __m256, pub __m256);

/// Sixteen f64.
#[derive(Clone, Copy)]
pub struct Four([__m256d; 4]);

macro_rules! pairs {
    ($($name:ident($($x:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($x: Pair),*) -> Pair {
            Pair($intrinsic($($x.0),*), $intrinsic($($x.1),*))
        }
    )*};
}

macro_rules! pairs_of_bits {
    ($($name:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name(a: Pair, b: Pair) -> Pair {
            Pair(
                _mm256_castsi256_ps($intrinsic(_mm256_castps_si256(a.0), _mm256_castps_si256(b.0))),
                _mm256_castsi256_ps($intrinsic(_mm256_castps_si256(a.1), _mm256_castps_si256(b.1))),
            )
        }
    )*};
}

macro_rules! fours {
    ($($name:ident($($x:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($x: Four),*) -> Four {
            Four([
                $intrinsic($($x.0[0]),*),
                $intrinsic($($x.0[1]),*),
                $intrinsic($($x.0[2]),*),
                $intrinsic($($x.0[3]),*),
            ])
        }
    )*};
}

/// Integer additions of f64 lanes, as functions of one register.
#[inline(always)]
unsafe fn add_i64(a: __m256d, b: __m256d) -> __m256d {
    _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_castpd_si256(b)))
}

#[inline(always)]
unsafe fn sub_i64(a: __m256d, b: __m256d) -> __m256d {
    _mm256_castsi256_pd(_mm256_sub_epi64(_mm256_castpd_si256(a), _mm256_castpd_si256(b)))
}

#[inline(always)]
unsafe fn exponent_bits(a: __m256d) -> __m256d {
    _mm256_castsi256_pd(_mm256_srli_epi64::<52>(_mm256_castpd_si256(a)))
}

#[inline(always)]
unsafe fn differ(a: __m256, b: __m256) -> __m256 {
    let same = _mm256_cmpeq_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
    _mm256_castsi256_ps(_mm256_xor_si256(_mm256_set1_epi32(-1), same))
}

/// Masks of the first lanes are eight values in a row of these.
static FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The first `n` lanes of a register, or all of them.
#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    _mm256_loadu_si256(FIRST.as_ptr().add(8 - n.min(8)).cast())
}

impl Lanes for Avx2 {
    type F = Pair;
    type D = Four;
    type Mask = Pair;
    type Register = __m256;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Pair {
        Pair(_mm256_set1_ps(x), _mm256_set1_ps(x))
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Pair {
        Pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8)))
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, x: Pair) {
        _mm256_storeu_ps(p, x.0);
        _mm256_storeu_ps(p.add(8), x.1);
    }

    #[inline(always)]
    unsafe fn stream(p: *mut f32, x: Pair) {
        _mm256_stream_ps(p, x.0);
        _mm256_stream_ps(p.add(8), x.1);
    }

    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Pair {
        Pair(
            _mm256_maskload_ps(p, first(n)),
            _mm256_maskload_ps(p.wrapping_add(8), first(n.saturating_sub(8))),
        )
    }

    #[inline(always)]
    unsafe fn store_part(p: *mut f32, n: usize, x: Pair) {
        _mm256_maskstore_ps(p, first(n), x.0);
        _mm256_maskstore_ps(p.wrapping_add(8), first(n.saturating_sub(8)), x.1);
    }

    #[inline(always)]
    unsafe fn keep_part(n: usize, x: Pair) -> Pair {
        let (low, high) = (first(n), first(n.saturating_sub(8)));
        Self::keep(Pair(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)), x)
    }

    pairs! {
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        mul_add(a, b, c) = _mm256_fmadd_ps;
        max(a, b) = _mm256_max_ps;
        keep(mask, a) = _mm256_and_ps;
    }

    pairs_of_bits! {
        add_bits = _mm256_add_epi32;
        sub_bits = _mm256_sub_epi32;
    }

    #[inline(always)]
    unsafe fn shift_left<const BITS: u32>(a: Pair) -> Pair {
        let shift = _mm_cvtsi32_si128(BITS.cast_signed());
        Pair(
            _mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(a.0), shift)),
            _mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(a.1), shift)),
        )
    }

    #[inline(always)]
    unsafe fn look_up(table: Pair, i: Pair) -> Pair {
        Pair(
            _mm256_permutevar8x32_ps(table.0, _mm256_castps_si256(i.0)),
            _mm256_permutevar8x32_ps(table.0, _mm256_castps_si256(i.1)),
        )
    }

    #[inline(always)]
    unsafe fn not_less(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_cmp_ps::<_CMP_NLT_UQ>(a.0, b.0), _mm256_cmp_ps::<_CMP_NLT_UQ>(a.1, b.1))
    }

    #[inline(always)]
    unsafe fn differ(a: Pair, b: Pair) -> Pair {
        Pair(differ(a.0, b.0), differ(a.1, b.1))
    }

    #[inline(always)]
    unsafe fn select(mask: Pair, a: Pair, or: Pair) -> Pair {
        Pair(_mm256_blendv_ps(or.0, a.0, mask.0), _mm256_blendv_ps(or.1, a.1, mask.1))
    }

    #[inline(always)]
    unsafe fn max_where(mask: Pair, x: Pair, m: Pair) -> Pair {
        Self::max(Self::select(mask, x, Self::splat(f32::NEG_INFINITY)), m)
    }

    #[inline(always)]
    unsafe fn all(mask: Pair) -> bool {
        _mm256_movemask_ps(_mm256_and_ps(mask.0, mask.1)) == 0xff
    }

    #[inline(always)]
    unsafe fn splat_f64(x: f64) -> Four {
        Four([_mm256_set1_pd(x); 4])
    }

    #[inline(always)]
    unsafe fn widen(a: Pair) -> Four {
        Four([
            _mm256_cvtps_pd(_mm256_castps256_ps128(a.0)),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a.0)),
            _mm256_cvtps_pd(_mm256_castps256_ps128(a.1)),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a.1)),
        ])
    }

    #[inline(always)]
    unsafe fn narrow(a: Four) -> Pair {
        let [b, c, d, e] = a.0;
        Pair(
            _mm256_set_m128(_mm256_cvtpd_ps(c), _mm256_cvtpd_ps(b)),
            _mm256_set_m128(_mm256_cvtpd_ps(e), _mm256_cvtpd_ps(d)),
        )
    }

    fours! {
        add_f64(a, b) = _mm256_add_pd;
        sub_f64(a, b) = _mm256_sub_pd;
        mul_f64(a, b) = _mm256_mul_pd;
        div_f64(a, b) = _mm256_div_pd;
        mul_add_f64(a, b, c) = _mm256_fmadd_pd;
        add_i64(a, b) = add_i64;
        sub_i64(a, b) = sub_i64;
        and(a, b) = _mm256_and_pd;
        or(a, b) = _mm256_or_pd;
        exponent_bits(a) = exponent_bits;
    }

    #[inline(always)]
    unsafe fn zero_register() -> __m256 {
        _mm256_setzero_ps()
    }

    #[inline(always)]
    unsafe fn add_register(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub_register(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn folded<const N: usize>(v: [Pair; N]) -> __m256 {
        let [first, second] = [_mm256_add_ps(v[0].0, v[0].1), _mm256_add_ps(v[N - 1].0, v[N - 1].1)];
        _mm256_add_ps(first, second)
    }

    #[inline(always)]
    unsafe fn or_all<const N: usize>(a: __m256, v: [Pair; N]) -> __m256 {
        let mut all = a;
        for v in v {
            all = _mm256_or_ps(_mm256_or_ps(all, v.0), v.1);
        }
        all
    }

    #[inline(always)]
    unsafe fn sum(a: __m256) -> f64 {
        let (low, high) = (_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let four = _mm256_add_pd(_mm256_cvtps_pd(low), _mm256_cvtps_pd(high));
        let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
        _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
    }

    #[inline(always)]
    unsafe fn or_lanes(a: __m256) -> u32 {
        let mut lanes = [0_u32; 8];
        _mm256_storeu_ps(lanes.as_mut_ptr().cast(), a);
        lanes.iter().fold(0, |all, x| all | x)
    }

    #[inline(always)]
    unsafe fn sum_each(v: *const f32) -> Pair {
        Pair(turn256::reduce_each!(v, _mm256_add_ps), turn256::reduce_each!(v.add(128), _mm256_add_ps))
    }

    #[inline(always)]
    unsafe fn max_each(v: *const f32) -> Pair {
        Pair(turn256::reduce_each!(v, _mm256_max_ps), turn256::reduce_each!(v.add(128), _mm256_max_ps))
    }

    #[inline(always)]
    unsafe fn in_step<const N: usize>(v: [Pair; N]) -> [Pair; N] {
        let mut v = v;
        if N == 2 {
            [v[0], v[N - 1]] = together(v[0], v[N - 1]);
        }
        v
    }

    #[inline(always)]
    fn permutes(classes: usize) -> bool {
        classes == 2
    }

    #[inline(always)]
    unsafe fn to_lanes(x: *const f32, stride: usize, classes: usize, to: *mut f32) {
        if classes == 2 && stride == 2 {
            turn256::split(x, to);
        } else {
            turn256::rows_to_lanes(x, stride, classes, to);
        }
    }

    #[inline(always)]
    unsafe fn from_lanes(from: *const f32, classes: usize, out: *mut f32, stride: usize, by: &Factor<Self>) {
        if classes == 2 && stride == 2 {
            turn256::join(from, out, by);
        } else {
            turn256::lanes_to_rows(from, classes, out, stride, by);
        }
    }
}

/// See [`Lanes::in_step`].
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn together(v: Pair, w: Pair) -> [Pair; 2] {
    let (Pair(mut a, mut b), Pair(mut c, mut d)) = (v, w);
    asm!(
        "/* {0} {1} {2} {3} */",
        inout(ymm_reg) a,
        inout(ymm_reg) b,
        inout(ymm_reg) c,
        inout(ymm_reg) d,
        options(pure, nomem, nostack, preserves_flags)
    );
    [Pair(a, b), Pair(c, d)]
}
