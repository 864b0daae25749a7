/*
 * bitblt_avx2.c - the inner loops with AVX2, eight pixels at a time. Only
 * these functions are compiled for it; blt_choose_loops asks before they are
 * called.
 */
#include <immintrin.h>

#define LEVEL(name) name##_avx2
#define LEVEL_NAME "avx2"
#define TARGET __attribute__((target("avx2")))
#define VECTOR __m256i
#define V(op) _mm256_##op
#define S(op) _mm256_##op##_si256
#define PERMUTE _mm256_permutevar8x32_epi32
#define LOOK_UP(t, p) \
    _mm256_setr_epi32((int)t[p & 255], (int)t[p >> 8 & 255], \
                      (int)t[p >> 16 & 255], (int)t[p >> 24 & 255], \
                      (int)t[p >> 32 & 255], (int)t[p >> 40 & 255], \
                      (int)t[p >> 48 & 255], (int)t[p >> 56])
#include "vm/graphics/bitblt_simd.h"
