//! Numbers of 16 bits, eight at a time.

#![cfg_attr(not(feature = "half"), expect(unused, reason = "there are none"))]

use core::arch::x86_64::*;

use crate::simd::half::Half;
use crate::simd::x86::proven;

#[inline(always)]
pub(super) fn widen(half: Half, bits: __m128i) -> __m256 {
    match half {
        // One shuffle on a unit that has little else to do; a shift would be done by one that multiplies.
        #[cfg(feature = "half")]
        Half::Bf16 => proven!({
            let to = _mm256_setr_epi8(
                -1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1, -1, 8, 9, -1, -1, 10, 11, -1, -1,
                12, 13, -1, -1, 14, 15,
            );
            _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bits), to))
        }),
        #[cfg(feature = "half")]
        Half::F16 => proven!(_mm256_cvtph_ps(bits)),
    }
}

/// The nearest numbers, of two as near the even one.
#[inline(always)]
pub(super) fn narrow(half: Half, values: __m256) -> __m128i {
    match half {
        #[cfg(feature = "half")]
        Half::Bf16 => proven!({
            let bits = _mm256_castps_si256(values);
            // Half of a unit, and a little less where the number below is even.
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let nearest = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, up));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(values, values));
            let nearest = _mm256_blendv_epi8(nearest, _mm256_set1_epi32(0x7fc0), nan);
            _mm_packus_epi32(_mm256_castsi256_si128(nearest), _mm256_extracti128_si256::<1>(nearest))
        }),
        #[cfg(feature = "half")]
        Half::F16 => proven!(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values)),
    }
}
