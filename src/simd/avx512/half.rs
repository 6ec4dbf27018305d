//! Numbers of 16 bits, sixteen at a time.

#![cfg_attr(not(feature = "half"), expect(unused, reason = "there are none"))]

use core::arch::x86_64::*;

use crate::simd::half::Half;
use crate::simd::x86::proven;

#[inline(always)]
pub(super) fn widen(half: Half, bits: __m256i) -> __m512 {
    match half {
        #[cfg(feature = "half")]
        Half::Bf16 => proven!(_mm512_castsi512_ps(upper_halves(bits))),
        #[cfg(feature = "half")]
        Half::F16 => proven!(_mm512_cvtph_ps(bits)),
    }
}

/// The nearest numbers, of two as near the even one. As with AVX2.
#[inline(always)]
pub(super) fn narrow(half: Half, values: __m512) -> __m256i {
    match half {
        #[cfg(feature = "half")]
        Half::Bf16 => proven!({
            let bits = _mm512_castps_si512(values);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let nearest = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, up));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
            _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(nearest, nan, _mm512_set1_epi32(0x7fc0)))
        }),
        #[cfg(feature = "half")]
        Half::F16 => proven!(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values)),
    }
}

/// Sixteen words as the upper halves of lanes, by one shuffle. The compiler would make two instructions of it, which extend and
/// shift, and which take twice as much of the units that terms are made on.
#[cfg(feature = "half")]
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn upper_halves(words: __m256i) -> __m512i {
    let order = _mm512_cvtepu8_epi16(_mm256_setr_epi8(
        0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15,
    ));
    let lanes: __m512i;
    // SAFETY: a shuffle of registers, which the features have.
    unsafe {
        core::arch::asm!(
            "vpermw {lanes} {{{odd}}} {{z}}, {order}, {words}",
            lanes = lateout(zmm_reg) lanes,
            odd = in(kreg) 0xaaaa_aaaa_u32,
            order = in(zmm_reg) order,
            words = in(zmm_reg) _mm512_castsi256_si512(words),
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    lanes
}
