//! Sixteen rows turned into lanes, and back.

use core::arch::x86_64::*;

use super::super::LANES;
use super::super::tile::{TileRows, TileRowsMut, for_fours};
use crate::simd::x86::proven;

/// Four by four values turned in each half of four registers.
#[inline(always)]
fn turn_four([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    proven!({
        let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let pair = |x| _mm256_castps_pd(x);
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(pair(ab_low), pair(cd_low))),
            _mm256_castpd_ps(_mm256_unpackhi_pd(pair(ab_low), pair(cd_low))),
            _mm256_castpd_ps(_mm256_unpacklo_pd(pair(ab_high), pair(cd_high))),
            _mm256_castpd_ps(_mm256_unpackhi_pd(pair(ab_high), pair(cd_high))),
        ]
    })
}

/// Rows into the lanes, four classes at a time. To be inlined where AVX2 is known to be here.
#[inline(always)]
pub(in crate::simd) fn turn_in(rows: &TileRows<'_>, to: &mut [[f32; LANES]]) {
    if rows.classes() < 4 {
        return rows.turn_in(to);
    }
    assert!(to.len() == rows.classes(), "one array per class");
    for_fours(
        rows.classes(),
        #[inline(always)]
        |class| {
            for half in [0, 8] {
                let row = |row: usize| {
                    let (low, high) = (half + row, half + row + 4);
                    // SAFETY: AVX2 is here, and all rows have these four classes.
                    unsafe {
                        let low = _mm_loadu_ps(rows.chunk(low, class, 4));
                        let high = _mm_loadu_ps(rows.chunk(high, class, 4));
                        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
                    }
                };
                let turned = turn_four([row(0), row(1), row(2), row(3)]);
                for (to, part) in to[class..class + 4].iter_mut().zip(turned) {
                    // SAFETY: AVX2 is here, and eight lanes follow the first of either half.
                    unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(half), part) };
                }
            }
        },
    );
}

/// The lanes back to rows, as [`turn_in`].
#[inline(always)]
pub(in crate::simd) fn turn_out(from: &[[f32; LANES]], rows: &mut TileRowsMut<'_>) {
    if rows.classes() < 4 {
        return rows.turn_out(from);
    }
    assert!(from.len() == rows.classes(), "one array per class");
    for_fours(
        rows.classes(),
        #[inline(always)]
        |class| {
            let from = &from[class..class + 4];
            for half in [0, 8] {
                // SAFETY: AVX2 is here, and eight lanes follow the first of either half.
                let part = |i: usize| unsafe { _mm256_loadu_ps(from[i].as_ptr().add(half)) };
                let turned = turn_four([part(0), part(1), part(2), part(3)]);
                for (row, four) in turned.into_iter().enumerate() {
                    // SAFETY: AVX2 is here, and all rows have these four classes.
                    unsafe { _mm_storeu_ps(rows.chunk(half + row, class, 4), _mm256_castps256_ps128(four)) };
                }
                for (row, four) in turned.into_iter().enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        _mm_storeu_ps(rows.chunk(half + row + 4, class, 4), _mm256_extractf128_ps::<1>(four));
                    }
                }
            }
        },
    );
}
