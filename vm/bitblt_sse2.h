/*
 * bitblt_sse2.h - rule 34 for four pixels at a time. Every x86-64 processor
 * has SSE2, so nothing is asked first; the answers are those of
 * blt_alpha_scaled, pixel for pixel.
 */
#pragma once

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Premultiplied s over d; where `keep` has all bits set, d stays. */
static inline __m128i blt_scaled4(__m128i s, __m128i d, __m128i keep)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i left = _mm_sub_epi32(_mm_set1_epi32(255), _mm_srli_epi32(s, 24));
    __m128i low, high, sum;

    left = _mm_or_si128(left, _mm_slli_epi32(left, 16));
    low = _mm_mullo_epi16(_mm_unpacklo_epi8(d, zero),
                          _mm_unpacklo_epi32(left, left));
    high = _mm_mullo_epi16(_mm_unpackhi_epi8(d, zero),
                           _mm_unpackhi_epi32(left, left));
    sum = _mm_adds_epu8(s, _mm_packus_epi16(_mm_srli_epi16(low, 8),
                                            _mm_srli_epi16(high, 8)));
    return _mm_or_si128(_mm_and_si128(keep, d), _mm_andnot_si128(keep, sum));
}

/* As much of a run as makes whole fours, s being masked with h; a source of 0
 * leaves what is there. Answers how many pixels that was. */
static inline size_t blt_scaled_fours(uint32_t *to, const uint32_t *s,
                                      size_t n, uint32_t h)
{
    const __m128i mask = _mm_set1_epi32((int32_t)h);
    size_t i;

    for (i = 0; i + 4 <= n; i += 4) {
        __m128i p = _mm_and_si128(
            _mm_loadu_si128((const __m128i *)(const void *)(s + i)), mask);
        __m128i keep = _mm_cmpeq_epi32(p, _mm_setzero_si128());
        __m128i *at = (__m128i *)(void *)(to + i);

        if (_mm_movemask_epi8(keep) != 0xffff)
            _mm_storeu_si128(at, blt_scaled4(p, _mm_loadu_si128(at), keep));
    }
    return i;
}

/* The same; here a source whose alpha is 0 leaves what is there. */
static inline size_t blt_blend_fours(uint32_t *to, const uint32_t *s,
                                     size_t n)
{
    size_t i;

    for (i = 0; i + 4 <= n; i += 4) {
        __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i keep = _mm_cmpeq_epi32(_mm_srli_epi32(p, 24),
                                       _mm_setzero_si128());
        __m128i *at = (__m128i *)(void *)(to + i);

        _mm_storeu_si128(at, blt_scaled4(p, _mm_loadu_si128(at), keep));
    }
    return i;
}
