/*
 * bitblt_loops.h - the inner loops of what is drawn most, in the versions of
 * this processor: plain C, SSE2, AVX2. Every version gives the same pixels.
 *
 * A loop knows of words and of pixels of 32 bits, not of Forms or rules: the
 * clipping, the masks at the edges and every other rule are its callers'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of words; pitches are in words, negative if the last row is first. */
struct blt_area {
    uint32_t *to;
    const uint32_t *from;
    ptrdiff_t to_pitch, from_pitch;
    size_t w, h;
};

/* Bytes that a table has a pixel for. A row begins with byte x of `from`. */
struct blt_text {
    unsigned x;
    bool msb_first;
    const uint32_t *table; /* of 256 */
};

/* A row of words through a rule; each source word is masked with h first. */
typedef void blt_run_fn(uint32_t *to, const uint32_t *s, size_t n,
                        uint32_t h);

struct blt_loops {
    const char *name;
    void (*fill)(const struct blt_area *a, uint32_t word);
    /* Rows may overlap themselves, not the rows that follow. */
    void (*move)(const struct blt_area *a);
    /* Rule 34 with a source that is the same everywhere, and not 0. */
    void (*tint)(const struct blt_area *a, uint32_t s);
    /* Rule 34; a source whose alpha is 0 leaves what is there. */
    void (*scaled)(const struct blt_area *a);
    /* Rules 34, 24, 25 as they are. */
    blt_run_fn *scaled_run, *blend_run, *paint_run;
    /* A rule of bits: d = c[0] ^ c[1] & s ^ c[2] & d ^ c[3] & s & d. */
    void (*bits_run)(uint32_t *to, const uint32_t *s, size_t n, uint32_t h,
                     const uint32_t c[4]);
    /* The same with s taken in: d = a & d ^ b. */
    void (*bits_fill)(uint32_t *to, size_t n, uint32_t a, uint32_t b);
    /* Rule 34 with a source that is looked up. */
    void (*glyphs)(const struct blt_area *a, const struct blt_text *t);
    /* Pixels of a row of `room` at x, 14-bit fixed point, x going on by step.
     * All of them lie in it. */
    void (*pick)(uint32_t *to, size_t n, const uint32_t *from, size_t room,
                 int64_t x, int64_t step);
    /* Of each pixel of two rows, the sums of its channels, 16 bits each. */
    void (*sum_rows)(uint64_t *to, const uint32_t *a, const uint32_t *b,
                     size_t n);
    /* Quarters of sums at x and x + across, 14-bit fixed point, x going on
     * by step. */
    void (*quarter_sums)(uint32_t *to, size_t n, const uint64_t *sums,
                         int64_t x, int64_t step, int64_t across);
};

/* Those in use: plain ones before blt_choose_loops. */
extern const struct blt_loops *blt_loops;

/* Takes those of that name, "plain", "sse2" or "avx2", or if it is NULL the
 * fastest. False: there are none of that name, or not on this processor. */
bool blt_choose_loops(const char *name);

extern const struct blt_loops blt_loops_sse2, blt_loops_avx2;

/* blt_loops.pick, four at a time: as fast as it goes one by one. */
static inline void blt_pick(uint32_t *to, size_t n, const uint32_t *from,
                            int64_t x, int64_t step)
{
    int64_t a = x, b = x + step, c = x + 2 * step, d = x + 3 * step;
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        to[i] = from[a >> 14];
        to[i + 1] = from[b >> 14];
        to[i + 2] = from[c >> 14];
        to[i + 3] = from[d >> 14];
        a += 4 * step;
        b += 4 * step;
        c += 4 * step;
        d += 4 * step;
    }
    for (; i < n; i++, a += step)
        to[i] = from[a >> 14];
}

/* Byte x of a row. */
static inline uint32_t blt_byte(const struct blt_text *t,
                                const uint32_t *row, size_t x)
{
    return ((const uint8_t *)row)[x ^ (t->msb_first ? 3 : 0)];
}
