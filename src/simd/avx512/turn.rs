//! Sixteen rows turned into lanes, and back.

use core::arch::x86_64::*;

use super::super::LANES;
use super::super::tile::{TileRows, TileRowsMut};
use crate::simd::x86::proven;

/// Four by four values turned in each quarter of four registers.
#[inline(always)]
fn turn_four([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    proven!({
        let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        let pair = |x| _mm512_castps_pd(x);
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(pair(ab_low), pair(cd_low))),
            _mm512_castpd_ps(_mm512_unpackhi_pd(pair(ab_low), pair(cd_low))),
            _mm512_castpd_ps(_mm512_unpacklo_pd(pair(ab_high), pair(cd_high))),
            _mm512_castpd_ps(_mm512_unpackhi_pd(pair(ab_high), pair(cd_high))),
        ]
    })
}

/// Sixteen by sixteen values turned: quarters, then their places.
#[inline(always)]
fn turn_sixteen(z: [__m512; LANES]) -> [__m512; LANES] {
    /// The even, and the odd, of the quarters of two registers.
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    let quads = [
        turn_four([z[0], z[1], z[2], z[3]]),
        turn_four([z[4], z[5], z[6], z[7]]),
        turn_four([z[8], z[9], z[10], z[11]]),
        turn_four([z[12], z[13], z[14], z[15]]),
    ];
    let mut turned = z;
    for j in 0..4 {
        let [a, b, c, d] = [quads[0][j], quads[1][j], quads[2][j], quads[3][j]];
        proven!({
            let (even_low, even_high) =
                (_mm512_shuffle_f32x4::<EVEN>(a, b), _mm512_shuffle_f32x4::<EVEN>(c, d));
            let (odd_low, odd_high) = (_mm512_shuffle_f32x4::<ODD>(a, b), _mm512_shuffle_f32x4::<ODD>(c, d));
            turned[j] = _mm512_shuffle_f32x4::<EVEN>(even_low, even_high);
            turned[4 + j] = _mm512_shuffle_f32x4::<EVEN>(odd_low, odd_high);
            turned[8 + j] = _mm512_shuffle_f32x4::<ODD>(even_low, even_high);
            turned[12 + j] = _mm512_shuffle_f32x4::<ODD>(odd_low, odd_high);
        });
    }
    turned
}

/// Rows into the lanes: sixteen, eight or four classes at a time, the last of which may overlap those before.
#[inline(always)]
pub(super) fn turn_in(rows: &TileRows<'_>, to: &mut [[f32; LANES]]) {
    let classes = rows.classes();
    if classes < 4 {
        return rows.turn_in(to);
    }
    assert!(to.len() == classes, "one array per class");
    let mut at = 0;
    while at + 16 <= classes {
        sixteen_in(rows, at, to);
        at += 16;
    }
    match classes - at {
        0 => {}
        1..=4 => four_in(rows, classes - 4, to),
        5..=8 if classes >= 8 => eight_in(rows, classes - 8, to),
        5..=8 => {
            four_in(rows, 0, to);
            four_in(rows, classes - 4, to);
        }
        9..=12 => {
            eight_in(rows, at, to);
            four_in(rows, classes - 4, to);
        }
        _ if classes >= 16 => sixteen_in(rows, classes - 16, to),
        _ => {
            eight_in(rows, 0, to);
            eight_in(rows, classes - 8, to);
        }
    }
}

#[inline(always)]
fn sixteen_in(rows: &TileRows<'_>, class: usize, to: &mut [[f32; LANES]]) {
    let mut z = [proven!(_mm512_setzero_ps()); LANES];
    for (row, z) in z.iter_mut().enumerate() {
        // SAFETY: AVX-512 is here, and all rows have these sixteen classes.
        *z = unsafe { _mm512_loadu_ps(rows.chunk(row, class, 16)) };
    }
    put(to, class, turn_sixteen(z));
}

/// Eight classes of two rows that are four apart. (A closure would not be inlined everywhere.)
#[inline(always)]
fn two(rows: &TileRows<'_>, row: usize, class: usize) -> __m512 {
    // SAFETY: AVX-512 is here, and all rows have these eight classes.
    unsafe {
        let low = _mm512_castps256_ps512(_mm256_loadu_ps(rows.chunk(row, class, 8)));
        _mm512_insertf32x8::<1>(low, _mm256_loadu_ps(rows.chunk(row + 4, class, 8)))
    }
}

#[inline(always)]
fn eight_in(rows: &TileRows<'_>, class: usize, to: &mut [[f32; LANES]]) {
    let a = turn_four([two(rows, 0, class), two(rows, 1, class), two(rows, 2, class), two(rows, 3, class)]);
    let b = turn_four([two(rows, 8, class), two(rows, 9, class), two(rows, 10, class), two(rows, 11, class)]);
    let mut turned = [a[0]; 8];
    for j in 0..4 {
        proven!({
            turned[j] = _mm512_shuffle_f32x4::<0x88>(a[j], b[j]);
            turned[4 + j] = _mm512_shuffle_f32x4::<0xdd>(a[j], b[j]);
        });
    }
    put(to, class, turned);
}

/// Four classes of four rows that are four apart each.
#[inline(always)]
fn four(rows: &TileRows<'_>, row: usize, class: usize) -> __m512 {
    // SAFETY: AVX-512 is here, and all rows have these four classes.
    unsafe {
        let z = _mm512_castps128_ps512(_mm_loadu_ps(rows.chunk(row, class, 4)));
        let z = _mm512_insertf32x4::<1>(z, _mm_loadu_ps(rows.chunk(row + 4, class, 4)));
        let z = _mm512_insertf32x4::<2>(z, _mm_loadu_ps(rows.chunk(row + 8, class, 4)));
        _mm512_insertf32x4::<3>(z, _mm_loadu_ps(rows.chunk(row + 12, class, 4)))
    }
}

#[inline(always)]
fn four_in(rows: &TileRows<'_>, class: usize, to: &mut [[f32; LANES]]) {
    let turned = [four(rows, 0, class), four(rows, 1, class), four(rows, 2, class), four(rows, 3, class)];
    put(to, class, turn_four(turned));
}

#[inline(always)]
fn put<const N: usize>(to: &mut [[f32; LANES]], class: usize, turned: [__m512; N]) {
    for (to, z) in to[class..class + N].iter_mut().zip(turned) {
        // SAFETY: AVX-512 is here; the array covers the register.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), z) };
    }
}

/// The lanes back to rows, sixteen classes at a time.
#[inline(always)]
pub(super) fn turn_out(from: &[[f32; LANES]], rows: &mut TileRowsMut<'_>) {
    assert!(from.len() == rows.classes(), "one array per class");
    for (i, classes) in from.as_chunks::<LANES>().0.iter().enumerate() {
        let mut z = [proven!(_mm512_setzero_ps()); LANES];
        for (z, class) in z.iter_mut().zip(classes) {
            // SAFETY: AVX-512 is here; the array covers the register.
            *z = unsafe { _mm512_loadu_ps(class.as_ptr()) };
        }
        for (row, z) in turn_sixteen(z).into_iter().enumerate() {
            // SAFETY: AVX-512 is here, and all rows have these sixteen classes.
            unsafe { _mm512_storeu_ps(rows.chunk(row, LANES * i, LANES), z) };
        }
    }
}
