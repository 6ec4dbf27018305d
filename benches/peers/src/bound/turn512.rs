//! AVX-512: rows of few classes to vectors with a row in each lane, and back.

use core::arch::x86_64::*;

use super::avx512::Avx512;
use super::lanes::{Factor, Lanes};

/// Indices for `C` vectors of `C` classes by turns: vector after vector is permuted into the result.
struct Permutations<const C: usize> {
    split: [[[i32; 16]; C]; C],
    join: [[[i32; 16]; C]; C],
}

impl<const C: usize> Permutations<C> {
    const ALL: Self = Self::new();

    const fn new() -> Self {
        let mut all = Self { split: [[[0; 16]; C]; C], join: [[[0; 16]; C]; C] };
        let mut result = 0;
        while result < C {
            let mut source = 1;
            while source < C {
                let mut lane = 0;
                while lane < 16 {
                    // Lane l of class k is value l C + k of the rows.
                    let value = lane * C + result;
                    all.split[result][source][lane] = index(value / 16, value % 16, source, lane);
                    // Value v of the rows is lane v / C of class v % C.
                    let value = result * 16 + lane;
                    all.join[result][source][lane] = index(value % C, value / C, source, lane);
                    lane += 1;
                }
                source += 1;
            }
            result += 1;
        }
        all
    }
}

/// The index of a lane in the step that takes in vector `source`: the new one's, or what is there. The first step
/// has vector 0 there.
const fn index(vector: usize, lane: usize, source: usize, stay: usize) -> i32 {
    (if vector == source {
        16 + lane
    } else if source == 1 {
        lane
    } else {
        stay
    }) as i32
}

#[inline(always)]
unsafe fn permuted<const C: usize>(v: [__m512; C], indices: &[[i32; 16]; C]) -> __m512 {
    let mut all = v[0];
    for source in 1..C {
        all = _mm512_permutex2var_ps(all, _mm512_loadu_si512(indices[source].as_ptr().cast()), v[source]);
    }
    all
}

/// Rows of `C` classes to `C` vectors.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
pub unsafe fn split<const C: usize>(x: *const f32, to: *mut f32) {
    let mut v = [_mm512_setzero_ps(); C];
    for k in 0..C {
        v[k] = _mm512_loadu_ps(x.add(16 * k));
    }
    for k in 0..C {
        _mm512_storeu_ps(to.add(16 * k), permuted(v, &const { Permutations::ALL.split }[k]));
    }
}

/// `C` vectors, multiplied, to rows of `C` classes.
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
pub unsafe fn join<const C: usize>(from: *const f32, out: *mut f32, by: &Factor<Avx512>) {
    let mut v = [_mm512_setzero_ps(); C];
    for k in 0..C {
        v[k] = by.apply(_mm512_loadu_ps(from.add(16 * k)));
    }
    for k in 0..C {
        _mm512_storeu_ps(out.add(16 * k), permuted(v, &const { Permutations::ALL.join }[k]));
    }
}

/// Pieces of 16, 8 and 4 classes that cover a row; the last ones may overlap those before. A row of less
/// than four classes is one piece of four.
macro_rules! pieces {
    ($classes:expr, $sixteen:expr, $eight:expr, $four:expr) => {{
        let classes: usize = $classes;
        let mut at = 0;
        while at + 16 <= classes {
            $sixteen(at);
            at += 16;
        }
        match classes - at {
            0 => {}
            1..=4 => $four(classes.max(4) - 4),
            5..=8 if classes >= 8 => $eight(classes - 8),
            5..=8 => {
                $four(0);
                $four(classes - 4);
            }
            9..=12 => {
                $eight(at);
                $four(classes - 4);
            }
            _ if classes >= 16 => $sixteen(classes - 16),
            _ => {
                $eight(0);
                $eight(classes - 8);
            }
        }
    }};
}

#[inline(always)]
pub unsafe fn rows_to_lanes(x: *const f32, stride: usize, classes: usize, to: *mut f32) {
    pieces!(
        classes,
        |at| sixteen_in(x.add(at), stride, to.add(16 * at)),
        |at| eight_in(x.add(at), stride, to.add(16 * at)),
        |at| four_in(x.add(at), stride, to.add(16 * at))
    );
}

/// For multiples of 16 classes.
#[inline(always)]
pub unsafe fn lanes_to_rows(
    from: *const f32,
    classes: usize,
    out: *mut f32,
    stride: usize,
    by: &Factor<Avx512>,
) {
    for at in (0..classes).step_by(16) {
        sixteen_out(from.add(16 * at), out.add(at), stride, by);
    }
}

/// Transposes 4 x 4 values within each quarter of the registers.
#[inline(always)]
unsafe fn quarters(z: [__m512; 4]) -> [__m512; 4] {
    let pair = |x| _mm512_castps_pd(x);
    let low = [pair(_mm512_unpacklo_ps(z[0], z[1])), pair(_mm512_unpacklo_ps(z[2], z[3]))];
    let high = [pair(_mm512_unpackhi_ps(z[0], z[1])), pair(_mm512_unpackhi_ps(z[2], z[3]))];
    [
        _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1])),
        _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1])),
        _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1])),
        _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1])),
    ]
}

/// Transposes 16 x 16 values.
#[inline(always)]
unsafe fn transposed(z: [__m512; 16]) -> [__m512; 16] {
    let quads = [
        quarters([z[0], z[1], z[2], z[3]]),
        quarters([z[4], z[5], z[6], z[7]]),
        quarters([z[8], z[9], z[10], z[11]]),
        quarters([z[12], z[13], z[14], z[15]]),
    ];
    let mut columns = [_mm512_setzero_ps(); 16];
    for j in 0..4 {
        let [a, b, c, d] = [quads[0][j], quads[1][j], quads[2][j], quads[3][j]];
        // The quarters 0 and 2 of both, and 1 and 3.
        let (even, even_below) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
        let (odd, odd_below) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
        columns[j] = _mm512_shuffle_f32x4::<0x88>(even, even_below);
        columns[4 + j] = _mm512_shuffle_f32x4::<0x88>(odd, odd_below);
        columns[8 + j] = _mm512_shuffle_f32x4::<0xdd>(even, even_below);
        columns[12 + j] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_below);
    }
    columns
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
unsafe fn sixteen_in(x: *const f32, stride: usize, to: *mut f32) {
    let mut rows = [_mm512_setzero_ps(); 16];
    for i in 0..16 {
        rows[i] = _mm512_loadu_ps(x.add(i * stride));
    }
    let columns = transposed(rows);
    for k in 0..16 {
        _mm512_storeu_ps(to.add(16 * k), columns[k]);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
unsafe fn eight_in(x: *const f32, stride: usize, to: *mut f32) {
    // Rows i and i + 4 in one register.
    macro_rules! rows {
        ($i:expr) => {{
            let low = _mm512_castps256_ps512(_mm256_loadu_ps(x.add($i * stride)));
            _mm512_insertf32x8::<1>(low, _mm256_loadu_ps(x.add(($i + 4) * stride)))
        }};
    }
    let above = quarters([rows!(0), rows!(1), rows!(2), rows!(3)]);
    let below = quarters([rows!(8), rows!(9), rows!(10), rows!(11)]);
    for k in 0..4 {
        let (a, b) = (above[k], below[k]);
        _mm512_storeu_ps(to.add(16 * k), _mm512_shuffle_f32x4::<0x88>(a, b));
        _mm512_storeu_ps(to.add(16 * (4 + k)), _mm512_shuffle_f32x4::<0xdd>(a, b));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
unsafe fn four_in(x: *const f32, stride: usize, to: *mut f32) {
    // Rows i, i + 4, i + 8 and i + 12 in one register.
    macro_rules! rows {
        ($i:expr) => {{
            let row = |i: usize| _mm_loadu_ps(x.add(i * stride));
            let all = _mm512_castps128_ps512(row($i));
            let all = _mm512_insertf32x4::<1>(all, row($i + 4));
            let all = _mm512_insertf32x4::<2>(all, row($i + 8));
            _mm512_insertf32x4::<3>(all, row($i + 12))
        }};
    }
    let columns = quarters([rows!(0), rows!(1), rows!(2), rows!(3)]);
    for k in 0..4 {
        _mm512_storeu_ps(to.add(16 * k), columns[k]);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
#[inline]
unsafe fn sixteen_out(from: *const f32, out: *mut f32, stride: usize, by: &Factor<Avx512>) {
    let mut columns = [_mm512_setzero_ps(); 16];
    for k in 0..16 {
        columns[k] = by.apply(Avx512::load(from.add(16 * k)));
    }
    let rows = transposed(columns);
    for i in 0..16 {
        _mm512_storeu_ps(out.add(i * stride), rows[i]);
    }
}
