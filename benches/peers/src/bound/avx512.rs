//! AVX-512: sixteen lanes are one register.

use core::arch::asm;
use core::arch::x86_64::*;

use super::avx2::{Avx2, Pair};
use super::lanes::{Factor, Lanes};
use super::turn512;

#[derive(Clone, Copy)]
pub struct Avx512;

/// Sixteen f64.
#[derive(Clone, Copy)]
pub struct Double(__m512d, __m512d);

/// Functions of one intrinsic.
macro_rules! same {
    ($($name:ident($($x:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name($($x: __m512),*) -> __m512 {
            $intrinsic($($x),*)
        }
    )*};
}

/// Functions of an intrinsic for integers.
macro_rules! same_bits {
    ($($name:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name(a: __m512, b: __m512) -> __m512 {
            _mm512_castsi512_ps($intrinsic(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        }
    )*};
}

macro_rules! both {
    ($($name:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name(a: Double, b: Double) -> Double {
            Double($intrinsic(a.0, b.0), $intrinsic(a.1, b.1))
        }
    )*};
}

macro_rules! both_bits {
    ($($name:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        unsafe fn $name(a: Double, b: Double) -> Double {
            Double(
                _mm512_castsi512_pd($intrinsic(_mm512_castpd_si512(a.0), _mm512_castpd_si512(b.0))),
                _mm512_castsi512_pd($intrinsic(_mm512_castpd_si512(a.1), _mm512_castpd_si512(b.1))),
            )
        }
    )*};
}

/// Sixteen vectors to one, as the tree l + (l + 8), l + (l + 4), ...: in each step two vectors become one
/// whose halves, quarters, ... belong to one of both.
macro_rules! reduce_each {
    ($v:ident, $op:ident) => {{
        let mut eight = [_mm512_setzero_ps(); 8];
        for i in 0..8 {
            let (a, b) = (_mm512_loadu_ps($v.add(16 * i)), _mm512_loadu_ps($v.add(16 * (i + 8))));
            eight[i] = $op(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
        }
        let mut four = [_mm512_setzero_ps(); 4];
        for i in 0..4 {
            let (a, b) = (eight[i], eight[i + 4]);
            four[i] = $op(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        }
        let mut two = [_mm512_setzero_ps(); 2];
        for i in 0..2 {
            let (a, b) = (_mm512_castps_pd(four[i]), _mm512_castps_pd(four[i + 2]));
            let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
            two[i] = $op(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
        }
        let (low, high) =
            (_mm512_shuffle_ps::<0x88>(two[0], two[1]), _mm512_shuffle_ps::<0xdd>(two[0], two[1]));
        // Where the steps left the sixteen.
        let order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
        _mm512_permutexvar_ps(order, $op(low, high))
    }};
}

/// The first `n` lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1_u32 << n) - 1) as __mmask16
}

impl Lanes for Avx512 {
    type F = __m512;
    type D = Double;
    type Mask = __mmask16;
    type Register = __m512;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, x: __m512) {
        _mm512_storeu_ps(p, x);
    }

    #[inline(always)]
    unsafe fn stream(p: *mut f32, x: __m512) {
        _mm512_stream_ps(p, x);
    }

    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> __m512 {
        _mm512_maskz_loadu_ps(first(n), p)
    }

    #[inline(always)]
    unsafe fn store_part(p: *mut f32, n: usize, x: __m512) {
        _mm512_mask_storeu_ps(p, first(n), x);
    }

    #[inline(always)]
    unsafe fn keep_part(n: usize, x: __m512) -> __m512 {
        _mm512_maskz_mov_ps(first(n), x)
    }

    same! {
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        mul_add(a, b, c) = _mm512_fmadd_ps;
        max(a, b) = _mm512_max_ps;
    }

    same_bits! {
        add_bits = _mm512_add_epi32;
        sub_bits = _mm512_sub_epi32;
    }

    #[inline(always)]
    unsafe fn shift_left<const BITS: u32>(a: __m512) -> __m512 {
        _mm512_castsi512_ps(_mm512_slli_epi32::<BITS>(_mm512_castps_si512(a)))
    }

    #[inline(always)]
    unsafe fn look_up(table: __m512, i: __m512) -> __m512 {
        _mm512_permutexvar_ps(_mm512_castps_si512(i), table)
    }

    #[inline(always)]
    unsafe fn not_less(a: __m512, b: __m512) -> __mmask16 {
        _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(a, b)
    }

    #[inline(always)]
    unsafe fn differ(a: __m512, b: __m512) -> __mmask16 {
        _mm512_cmpneq_epi32_mask(_mm512_castps_si512(a), _mm512_castps_si512(b))
    }

    #[inline(always)]
    unsafe fn keep(mask: __mmask16, a: __m512) -> __m512 {
        _mm512_maskz_mov_ps(mask, a)
    }

    #[inline(always)]
    unsafe fn select(mask: __mmask16, a: __m512, or: __m512) -> __m512 {
        _mm512_mask_blend_ps(mask, or, a)
    }

    #[inline(always)]
    unsafe fn max_where(mask: __mmask16, x: __m512, m: __m512) -> __m512 {
        _mm512_mask_max_ps(m, mask, x, m)
    }

    #[inline(always)]
    unsafe fn all(mask: __mmask16) -> bool {
        mask == !0
    }

    #[inline(always)]
    unsafe fn splat_f64(x: f64) -> Double {
        Double(_mm512_set1_pd(x), _mm512_set1_pd(x))
    }

    #[inline(always)]
    unsafe fn widen(a: __m512) -> Double {
        let Pair(low, high) = halves(a);
        Double(_mm512_cvtps_pd(low), _mm512_cvtps_pd(high))
    }

    #[inline(always)]
    unsafe fn narrow(a: Double) -> __m512 {
        let low = _mm512_castps256_ps512(_mm512_cvtpd_ps(a.0));
        _mm512_insertf32x8::<1>(low, _mm512_cvtpd_ps(a.1))
    }

    both! {
        add_f64 = _mm512_add_pd;
        sub_f64 = _mm512_sub_pd;
        mul_f64 = _mm512_mul_pd;
        div_f64 = _mm512_div_pd;
    }

    #[inline(always)]
    unsafe fn mul_add_f64(a: Double, b: Double, c: Double) -> Double {
        Double(_mm512_fmadd_pd(a.0, b.0, c.0), _mm512_fmadd_pd(a.1, b.1, c.1))
    }

    both_bits! {
        add_i64 = _mm512_add_epi64;
        sub_i64 = _mm512_sub_epi64;
        and = _mm512_and_si512;
        or = _mm512_or_si512;
    }

    #[inline(always)]
    unsafe fn exponent_bits(a: Double) -> Double {
        let (low, high) = (_mm512_castpd_si512(a.0), _mm512_castpd_si512(a.1));
        Double(
            _mm512_castsi512_pd(_mm512_srli_epi64::<52>(low)),
            _mm512_castsi512_pd(_mm512_srli_epi64::<52>(high)),
        )
    }

    #[inline(always)]
    unsafe fn zero_register() -> __m512 {
        _mm512_setzero_ps()
    }

    same! {
        add_register(a, b) = _mm512_add_ps;
        sub_register(a, b) = _mm512_sub_ps;
    }

    #[inline(always)]
    unsafe fn folded<const N: usize>(v: [__m512; N]) -> __m512 {
        let two = [_mm512_add_ps(v[0], v[1]), _mm512_add_ps(v[N - 2], v[N - 1])];
        if N == 4 { _mm512_add_ps(two[0], two[1]) } else { two[0] }
    }

    #[inline(always)]
    unsafe fn or_all<const N: usize>(a: __m512, v: [__m512; N]) -> __m512 {
        let mut all = _mm512_castps_si512(a);
        for v in v {
            all = _mm512_or_si512(all, _mm512_castps_si512(v));
        }
        _mm512_castsi512_ps(all)
    }

    #[inline(always)]
    unsafe fn sum(a: __m512) -> f64 {
        let Double(low, high) = Self::widen(a);
        _mm512_reduce_add_pd(_mm512_add_pd(low, high))
    }

    #[inline(always)]
    unsafe fn or_lanes(a: __m512) -> u32 {
        _mm512_reduce_or_epi32(_mm512_castps_si512(a)).cast_unsigned()
    }

    #[inline(always)]
    unsafe fn sum_each(v: *const f32) -> __m512 {
        reduce_each!(v, _mm512_add_ps)
    }

    #[inline(always)]
    unsafe fn max_each(v: *const f32) -> __m512 {
        reduce_each!(v, _mm512_max_ps)
    }

    #[inline(always)]
    unsafe fn in_step<const N: usize>(v: [__m512; N]) -> [__m512; N] {
        let mut v = v;
        // Four of them fill the processor as they are.
        if N == 2 {
            [v[0], v[N - 1]] = together(v[0], v[N - 1]);
        }
        v
    }

    #[inline(always)]
    fn permutes(classes: usize) -> bool {
        matches!(classes, 2 | 3)
    }

    #[inline(always)]
    unsafe fn to_lanes(x: *const f32, stride: usize, classes: usize, to: *mut f32) {
        match classes {
            2 if stride == 2 => turn512::split::<2>(x, to),
            3 if stride == 3 => turn512::split::<3>(x, to),
            _ => turn512::rows_to_lanes(x, stride, classes, to),
        }
    }

    #[inline(always)]
    unsafe fn from_lanes(from: *const f32, classes: usize, out: *mut f32, stride: usize, by: &Factor<Self>) {
        match classes {
            2 if stride == 2 => turn512::join::<2>(from, out, by),
            3 if stride == 3 => turn512::join::<3>(from, out, by),
            _ if classes.is_multiple_of(16) => turn512::lanes_to_rows(from, classes, out, stride, by),
            // Pieces of four classes cover any other number better.
            _ => Avx2::from_lanes(from, classes, out, stride, &by.with::<Avx2>(|v| halves(v))),
        }
    }
}

/// See [`Lanes::in_step`].
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn together(mut a: __m512, mut b: __m512) -> [__m512; 2] {
    asm!(
        "/* {0} {1} */",
        inout(zmm_reg) a,
        inout(zmm_reg) b,
        options(pure, nomem, nostack, preserves_flags)
    );
    [a, b]
}

/// Two registers of AVX2.
#[inline(always)]
unsafe fn halves(a: __m512) -> Pair {
    Pair(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a))
}
