/*
 * bitblt_simd.h - the inner loops for vectors of any width: included once for
 * each, with VECTOR, V (operations on elements), S (on all bits), TARGET,
 * LOOK_UP, the entries of a table for the low bytes of a 64-bit word, and
 * PERMUTE where elements can be taken from any places.
 *
 * The answers are those of bitblt_loops.c, bit for bit. What is left of a row
 * when no whole vector fits any more goes through one that is filled up with
 * zeros, but for the plainest loops.
 */
#include "vm/graphics/bitblt.h"
#include "vm/graphics/bitblt_loops.h"

#include <string.h>

#define LOOP static TARGET
#define PART static inline TARGET __attribute__((always_inline))

enum { WIDTH = sizeof(VECTOR) / 4 }; /* in pixels */

PART VECTOR load(const void *p) { return S(loadu)(p); }
PART void store(void *p, VECTOR v) { S(storeu)(p, v); }
PART VECTOR all(uint32_t v) { return V(set1_epi32)((int)v); }

/* Less than a vector: 0 where there is nothing. */
PART VECTOR load_some(const uint32_t *p, size_t n)
{
    uint32_t v[WIDTH] = { 0 };

    for (size_t i = 0; i < n; i++)
        v[i] = p[i];
    return load(v);
}

PART void store_some(uint32_t *p, VECTOR x, size_t n)
{
    uint32_t v[WIDTH];

    store(v, x);
    for (size_t i = 0; i < n; i++)
        p[i] = v[i];
}

PART bool is_all_ones(VECTOR v)
{
    return V(movemask_epi8)(v) == (WIDTH == 4 ? 0xffff : -1);
}

PART VECTOR is_zero(VECTOR v)
{
    return V(cmpeq_epi32)(v, S(setzero)());
}

PART VECTOR choose(VECTOR mask, VECTOR yes, VECTOR no)
{
    return S(or)(S(and)(mask, yes), S(andnot)(mask, no));
}

/* A channel of each pixel, in its low byte, to all 16-bit lanes of it. */
struct lanes {
    VECTOR low, high;
};

PART struct lanes spread(VECTOR alpha)
{
    VECTOR v = S(or)(alpha, V(slli_epi32)(alpha, 16));

    return (struct lanes){ V(unpacklo_epi32)(v, v), V(unpackhi_epi32)(v, v) };
}

/* d * left / 256: the destination stands in the high bytes of its lanes, so
 * that the high half of the product is it. */
PART VECTOR fade(VECTOR d, struct lanes left)
{
    const VECTOR zero = S(setzero)();

    return V(packus_epi16)(
        V(mulhi_epu16)(V(unpacklo_epi8)(zero, d), left.low),
        V(mulhi_epu16)(V(unpackhi_epi8)(zero, d), left.high));
}

/* Rule 34 for a source that is not 0. */
PART VECTOR over(VECTOR s, VECTOR d)
{
    VECTOR left = V(srli_epi32)(S(xor)(s, all(0xffffffff)), 24);

    return V(adds_epu8)(s, fade(d, spread(left)));
}

/* Rule 24, before the sum is divided by 255. */
PART VECTOR blend_lanes(VECTOR s, VECTOR d, VECTOR alpha)
{
    const VECTOR one = V(set1_epi16)(1), max = V(set1_epi16)(255);
    VECTOR n = V(add_epi16)(V(mullo_epi16)(s, alpha),
                            V(mullo_epi16)(d, S(xor)(alpha, max)));

    n = V(add_epi16)(n, max);
    n = V(add_epi16)(n, V(srli_epi16)(V(sub_epi16)(n, one), 8));
    return V(srli_epi16)(n, 8);
}

PART VECTOR blend(VECTOR s, VECTOR d)
{
    const VECTOR zero = S(setzero)();
    VECTOR alpha = V(srli_epi32)(s, 24);
    VECTOR opaque = S(or)(s, all(0xff000000));
    struct lanes a = spread(alpha);
    VECTOR low = blend_lanes(V(unpacklo_epi8)(opaque, zero),
                             V(unpacklo_epi8)(d, zero), a.low);
    VECTOR high = blend_lanes(V(unpackhi_epi8)(opaque, zero),
                              V(unpackhi_epi8)(d, zero), a.high);

    return choose(is_zero(alpha), d, V(packus_epi16)(low, high));
}

/* --- rows alike --- */

/* Fills at least a vector. */
PART void fill_row(uint32_t *to, size_t n, VECTOR v)
{
    uint32_t *last = to + n - WIDTH;

    store(to, v);
    to += WIDTH - (uintptr_t)to / 4 % WIDTH;
    for (; to + 3 * WIDTH < last; to += 4 * WIDTH) {
        store(to, v);
        store(to + WIDTH, v);
        store(to + 2 * WIDTH, v);
        store(to + 3 * WIDTH, v);
    }
    for (; to < last; to += WIDTH)
        store(to, v);
    store(last, v);
}

LOOP void fill(const struct blt_area *a, uint32_t word)
{
    uint32_t *to = a->to;

    for (size_t y = 0; y < a->h; y++, to += a->to_pitch)
        if (a->w >= WIDTH)
            fill_row(to, a->w, all(word));
        else
            for (size_t x = 0; x < a->w; x++)
                to[x] = word;
}

/* One or two vectors' worth, or four: all is read before any is stored. */
PART void move_short(uint32_t *to, const uint32_t *from, size_t n)
{
    VECTOR begin = load(from), end = load(from + n - WIDTH);

    if (n > 2 * WIDTH) {
        VECTOR second = load(from + WIDTH);
        VECTOR third = load(from + n - 2 * WIDTH);

        store(to + WIDTH, second);
        store(to + n - 2 * WIDTH, third);
    }
    store(to, begin);
    store(to + n - WIDTH, end);
}

/* Asks for lines of the cache that four vectors will be stored to soon: reads
 * foresee themselves, stores wait for theirs. */
PART void foresee(uint32_t *to)
{
    enum { LINE = 16, AHEAD = 8 * LINE }; /* in words */

    for (size_t i = 0; i < 4 * WIDTH; i += LINE)
        __builtin_prefetch(to + AHEAD + i, 1);
}

/* Towards lower addresses, or apart. The end is read before anything is
 * stored that could lie there. */
PART void move_row_down(uint32_t *to, const uint32_t *from, size_t n)
{
    VECTOR end = load(from + n - WIDTH);
    size_t i = 0;

    for (; (uintptr_t)(to + i) % sizeof(VECTOR); i++)
        to[i] = from[i];
    for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
        VECTOR v = load(from + i), w = load(from + i + WIDTH);
        VECTOR x = load(from + i + 2 * WIDTH);
        VECTOR y = load(from + i + 3 * WIDTH);

        foresee(to + i);
        store(to + i, v);
        store(to + i + WIDTH, w);
        store(to + i + 2 * WIDTH, x);
        store(to + i + 3 * WIDTH, y);
    }
    for (; i + WIDTH <= n; i += WIDTH)
        store(to + i, load(from + i));
    store(to + n - WIDTH, end);
}

PART void move_row_up(uint32_t *to, const uint32_t *from, size_t n)
{
    VECTOR begin = load(from);

    for (; (uintptr_t)(to + n) % sizeof(VECTOR); n--)
        to[n - 1] = from[n - 1];
    for (; n >= 4 * WIDTH; n -= 4 * WIDTH) {
        VECTOR v = load(from + n - WIDTH), w = load(from + n - 2 * WIDTH);
        VECTOR x = load(from + n - 3 * WIDTH);
        VECTOR y = load(from + n - 4 * WIDTH);

        store(to + n - WIDTH, v);
        store(to + n - 2 * WIDTH, w);
        store(to + n - 3 * WIDTH, x);
        store(to + n - 4 * WIDTH, y);
    }
    for (; n >= WIDTH; n -= WIDTH)
        store(to + n - WIDTH, load(from + n - WIDTH));
    store(to, begin);
}

LOOP void move(const struct blt_area *a)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        if (a->w < WIDTH)
            store_some(to, load_some(from, a->w), a->w);
        else if (a->w <= 4 * WIDTH)
            move_short(to, from, a->w);
        else if ((uintptr_t)to - (uintptr_t)from >= a->w * sizeof *to)
            move_row_down(to, from, a->w);
        else
            move_row_up(to, from, a->w);
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

LOOP void tint(const struct blt_area *a, uint32_t s)
{
    const VECTOR source = all(s);
    const struct lanes left = spread(all(255 - (s >> 24)));
    uint32_t *to = a->to;

    for (size_t y = 0; y < a->h; y++, to += a->to_pitch) {
        size_t x = 0, rest;

        for (; x + WIDTH <= a->w; x += WIDTH)
            store(to + x, V(adds_epu8)(source, fade(load(to + x), left)));
        rest = a->w - x;
        if (rest)
            store_some(to + x,
                       V(adds_epu8)(source,
                                    fade(load_some(to + x, rest), left)),
                       rest);
    }
}

/* --- rule 34; `keep` says where the destination stays --- */

PART void scaled_vector(uint32_t *to, VECTOR s, VECTOR keep)
{
    VECTOR d;

    if (is_all_ones(keep))
        return;
    if (is_all_ones(V(cmpeq_epi8)(S(or)(s, all(0x00ffffff)),
                                  all(0xffffffff)))) {
        store(to, s);
        return;
    }
    d = load(to);
    store(to, choose(keep, d, over(s, d)));
}

PART void scaled_some(uint32_t *to, VECTOR s, VECTOR keep, size_t n)
{
    VECTOR d;

    if (is_all_ones(keep))
        return;
    d = load_some(to, n);
    store_some(to, choose(keep, d, over(s, d)), n);
}

LOOP void scaled(const struct blt_area *a)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        size_t x = 0;

        for (; x + WIDTH <= a->w; x += WIDTH) {
            VECTOR s = load(from + x);

            scaled_vector(to + x, s, is_zero(V(srli_epi32)(s, 24)));
        }
        if (x < a->w) {
            VECTOR s = load_some(from + x, a->w - x);

            scaled_some(to + x, s, is_zero(V(srli_epi32)(s, 24)), a->w - x);
        }
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

LOOP void scaled_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        VECTOR p = S(and)(load(s + i), all(h));

        scaled_vector(to + i, p, is_zero(p));
    }
    if (i < n) {
        VECTOR p = S(and)(load_some(s + i, n - i), all(h));

        scaled_some(to + i, p, is_zero(p), n - i);
    }
}

/* --- the other rules --- */

LOOP void blend_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        store(to + i, blend(S(and)(load(s + i), all(h)), load(to + i)));
    for (; i < n; i++)
        to[i] = blt_alpha_blend(s[i] & h, to[i]);
}

LOOP void paint_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        VECTOR p = S(and)(load(s + i), all(h));

        store(to + i, choose(is_zero(p), load(to + i), p));
    }
    for (; i < n; i++)
        if (s[i] & h)
            to[i] = s[i] & h;
}

LOOP void bits_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h,
                   const uint32_t c[4])
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        VECTOR p = S(and)(load(s + i), all(h));
        VECTOR d = S(and)(load(to + i),
                          S(xor)(all(c[2]), S(and)(all(c[3]), p)));

        store(to + i, S(xor)(S(xor)(all(c[0]), S(and)(all(c[1]), p)), d));
    }
    for (; i < n; i++) {
        uint32_t p = s[i] & h;

        to[i] = c[0] ^ (c[1] & p) ^ (to[i] & (c[2] ^ (c[3] & p)));
    }
}

LOOP void bits_fill(uint32_t *to, size_t n, uint32_t a, uint32_t b)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        store(to + i, S(xor)(S(and)(load(to + i), all(a)), all(b)));
    for (; i < n; i++)
        to[i] = (to[i] & a) ^ b;
}

/* --- text --- */

/* Eight bytes from byte x on, the leftmost lowest; they lie in two words or
 * in three. */
PART uint64_t eight_bytes(const uint32_t *row, size_t x, bool msb_first)
{
    unsigned shift = (x & 3) * 8;
    uint64_t p;
    uint32_t next;

    row += x >> 2;
    memcpy(&p, row, sizeof p);
    if (msb_first) {
        p = __builtin_bswap64(p);
        p = p << 32 | p >> 32;
    }
    if (!shift)
        return p;
    next = msb_first ? __builtin_bswap32(row[2]) : row[2];
    return p >> shift | (uint64_t)next << (64 - shift);
}

PART void glyphs_vector(uint32_t *to, VECTOR s)
{
    VECTOR d = load(to);

    store(to, choose(is_zero(s), d, over(s, d)));
}

PART void glyphs_row(uint32_t *to, const uint32_t *from, size_t n,
                     struct blt_text t)
{
    const uint32_t *const table = t.table;
    const uint64_t solid = UINT64_MAX >> (64 - 8 * WIDTH);
    const bool skip = table[0] == 0, plain = table[255] >> 24 == 255;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t p = eight_bytes(from, t.x + i, t.msb_first);

        for (size_t k = i; k < i + 8; k += WIDTH, p >>= 4 * 8)
            if ((p & solid) == 0 && skip)
                continue;
            else if ((p & solid) == solid && plain)
                store(to + k, all(table[255]));
            else
                glyphs_vector(to + k, LOOK_UP(table, p));
    }
    for (; i < n; i++)
        to[i] = blt_alpha_scaled(table[blt_byte(&t, from, t.x + i)], to[i]);
}

LOOP void glyphs(const struct blt_area *a, const struct blt_text *t)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        glyphs_row(to, from, a->w, *t);
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

/* --- warping --- */

/* Where the source is enlarged, a vector of it has all that the next vector
 * of the destination wants. */
LOOP void pick(uint32_t *to, size_t n, const uint32_t *from, size_t room,
               int64_t x, int64_t step)
{
    size_t i = 0;

#ifdef PERMUTE
    uint32_t ahead[WIDTH];
    VECTOR steps;

    for (unsigned k = 0; k < WIDTH; k++)
        ahead[k] = k * (uint32_t)step;
    steps = load(ahead);
    if (step >= 0 && step <= 1 << 14)
        for (; i + WIDTH <= n && (size_t)(x >> 14) + WIDTH <= room;
             i += WIDTH, x += WIDTH * step) {
            VECTOR at = V(add_epi32)(all(x & 0x3fff), steps);

            store(to + i, PERMUTE(load(from + (x >> 14)),
                                  V(srli_epi32)(at, 14)));
        }
#endif
    (void)room;
    blt_pick(to + i, n - i, from, x, step);
}

LOOP void sum_rows(uint64_t *to, const uint32_t *a, const uint32_t *b,
                   size_t n)
{
    const __m128i zero = _mm_setzero_si128();
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        __m128i v = _mm_loadu_si128((const void *)(a + i));
        __m128i w = _mm_loadu_si128((const void *)(b + i));

        _mm_storeu_si128((void *)(to + i),
                         _mm_add_epi16(_mm_unpacklo_epi8(v, zero),
                                       _mm_unpacklo_epi8(w, zero)));
        _mm_storeu_si128((void *)(to + i + 2),
                         _mm_add_epi16(_mm_unpackhi_epi8(v, zero),
                                       _mm_unpackhi_epi8(w, zero)));
    }
    for (; i < n; i++) {
        __m128i v = _mm_cvtsi32_si128((int)a[i]);
        __m128i w = _mm_cvtsi32_si128((int)b[i]);

        _mm_storel_epi64((void *)(to + i),
                         _mm_add_epi16(_mm_unpacklo_epi8(v, zero),
                                       _mm_unpacklo_epi8(w, zero)));
    }
}

/* Two sums, side by side. */
PART __m128i two_sums(const uint64_t *sums, int64_t x, int64_t y)
{
    return _mm_unpacklo_epi64(
        _mm_loadl_epi64((const void *)(sums + (x >> 14))),
        _mm_loadl_epi64((const void *)(sums + (y >> 14))));
}

LOOP void quarter_sums(uint32_t *to, size_t n, const uint64_t *sums,
                       int64_t x, int64_t step, int64_t across)
{
    size_t i = 0;

    for (; i + 2 <= n; i += 2, x += 2 * step) {
        __m128i v = _mm_add_epi16(two_sums(sums, x, x + step),
                                  two_sums(sums, x + across,
                                           x + across + step));

        v = _mm_srli_epi16(v, 2);
        _mm_storel_epi64((void *)(to + i), _mm_packus_epi16(v, v));
    }
    if (i < n) {
        __m128i v = _mm_add_epi16(two_sums(sums, x, x),
                                  two_sums(sums, x + across, x + across));

        v = _mm_srli_epi16(v, 2);
        to[i] = (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(v, v));
    }
}

const struct blt_loops LEVEL(blt_loops) = {
    .name = LEVEL_NAME, .fill = fill, .move = move, .tint = tint,
    .scaled = scaled, .scaled_run = scaled_run, .blend_run = blend_run,
    .paint_run = paint_run, .bits_run = bits_run, .bits_fill = bits_fill,
    .glyphs = glyphs, .pick = pick, .sum_rows = sum_rows,
    .quarter_sums = quarter_sums,
};
