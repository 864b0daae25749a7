/*
 * bitblt_sse2.c - the inner loops with SSE2, which every x86-64 processor has.
 */
#include <emmintrin.h>

#define LEVEL(name) name##_sse2
#define LEVEL_NAME "sse2"
#define TARGET
#define VECTOR __m128i
#define V(op) _mm_##op
#define S(op) _mm_##op##_si128
#define LOOK_UP(t, p) \
    _mm_setr_epi32((int)t[p & 255], (int)t[p >> 8 & 255], \
                   (int)t[p >> 16 & 255], (int)t[p >> 24 & 255])
#include "vm/graphics/bitblt_simd.h"
