//! AVX2: rows of few classes to vectors with a row in each lane, and back.

use core::arch::x86_64::*;

use super::avx2::{Avx2, Pair};
use super::lanes::{Factor, Lanes};

/// Transposes 4 x 4 values within each half of the registers.
#[inline(always)]
unsafe fn halves(z: [__m256; 4]) -> [__m256; 4] {
    let pair = |x| _mm256_castps_pd(x);
    let low = [pair(_mm256_unpacklo_ps(z[0], z[1])), pair(_mm256_unpacklo_ps(z[2], z[3]))];
    let high = [pair(_mm256_unpackhi_ps(z[0], z[1])), pair(_mm256_unpackhi_ps(z[2], z[3]))];
    [
        _mm256_castpd_ps(_mm256_unpacklo_pd(low[0], low[1])),
        _mm256_castpd_ps(_mm256_unpackhi_pd(low[0], low[1])),
        _mm256_castpd_ps(_mm256_unpacklo_pd(high[0], high[1])),
        _mm256_castpd_ps(_mm256_unpackhi_pd(high[0], high[1])),
    ]
}

/// Pieces of four classes that cover a row; the last one may overlap that before. A row of less than four classes
/// is one piece.
macro_rules! each_four {
    ($classes:expr, |$at:ident| $body:expr) => {{
        let mut $at = 0;
        loop {
            $body;
            $at += 4;
            if $at >= $classes {
                break;
            }
            $at = $at.min($classes - 4);
        }
    }};
}

#[inline(always)]
pub unsafe fn rows_to_lanes(x: *const f32, stride: usize, classes: usize, to: *mut f32) {
    each_four!(classes, |at| {
        for half in 0..2 {
            let x = x.add(8 * half * stride + at);
            // Rows i and i + 4 in one register.
            macro_rules! rows {
                ($i:expr) => {{
                    let row = |i: usize| _mm_loadu_ps(x.add(i * stride));
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(row($i)), row($i + 4))
                }};
            }
            let columns = halves([rows!(0), rows!(1), rows!(2), rows!(3)]);
            for k in 0..4 {
                _mm256_storeu_ps(to.add(16 * (at + k) + 8 * half), columns[k]);
            }
        }
    });
}

#[inline(always)]
pub unsafe fn lanes_to_rows(
    from: *const f32,
    classes: usize,
    out: *mut f32,
    stride: usize,
    by: &Factor<Avx2>,
) {
    each_four!(classes, |at| {
        let mut columns = [Avx2::splat(0.0); 4];
        for k in 0..4 {
            columns[k] = by.apply(Avx2::load(from.add(16 * (at + k))));
        }
        let [a, b, c, d] = columns;
        let above = halves([a.0, b.0, c.0, d.0]);
        let below = halves([a.1, b.1, c.1, d.1]);
        let row = |i: usize| out.add(i * stride + at);
        for i in 0..4 {
            _mm_storeu_ps(row(i), _mm256_castps256_ps128(above[i]));
        }
        for i in 0..4 {
            _mm_storeu_ps(row(4 + i), _mm256_extractf128_ps::<1>(above[i]));
        }
        for i in 0..4 {
            _mm_storeu_ps(row(8 + i), _mm256_castps256_ps128(below[i]));
        }
        for i in 0..4 {
            _mm_storeu_ps(row(12 + i), _mm256_extractf128_ps::<1>(below[i]));
        }
    });
}

/// Rows of two classes to two vectors.
#[inline(always)]
pub unsafe fn split(x: *const f32, to: *mut f32) {
    for half in 0..2 {
        let (a, b) = (_mm256_loadu_ps(x.add(16 * half)), _mm256_loadu_ps(x.add(16 * half + 8)));
        let ordered = |v| _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(v)));
        _mm256_storeu_ps(to.add(8 * half), ordered(_mm256_shuffle_ps::<0x88>(a, b)));
        _mm256_storeu_ps(to.add(16 + 8 * half), ordered(_mm256_shuffle_ps::<0xdd>(a, b)));
    }
}

/// Two vectors, multiplied, to rows of two classes.
#[inline(always)]
pub unsafe fn join(from: *const f32, out: *mut f32, by: &Factor<Avx2>) {
    let (a, b) = (by.apply(Avx2::load(from)), by.apply(Avx2::load(from.add(16))));
    let one = |a, b| {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        Pair(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
    };
    Avx2::store(out, one(a.0, b.0));
    Avx2::store(out.add(16), one(a.1, b.1));
}

/// Eight vectors of sixteen lanes to one register, by the tree of [`Avx512`](super::avx512::Avx512).
macro_rules! reduce_each {
    ($v:expr, $op:ident) => {{
        let v = $v;
        let mut eight = [_mm256_setzero_ps(); 8];
        for i in 0..8 {
            eight[i] = $op(_mm256_loadu_ps(v.add(16 * i)), _mm256_loadu_ps(v.add(16 * i + 8)));
        }
        let mut four = [_mm256_setzero_ps(); 4];
        for i in 0..4 {
            let (a, b) = (eight[i], eight[i + 4]);
            four[i] = $op(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
        }
        let mut two = [_mm256_setzero_ps(); 2];
        for i in 0..2 {
            let (a, b) = (_mm256_castps_pd(four[i]), _mm256_castps_pd(four[i + 2]));
            let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
            two[i] = $op(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
        }
        let (low, high) =
            (_mm256_shuffle_ps::<0x88>(two[0], two[1]), _mm256_shuffle_ps::<0xdd>(two[0], two[1]));
        _mm256_permutevar8x32_ps($op(low, high), _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7))
    }};
}
pub(super) use reduce_each;
