/*
 * bitblt_loops.c - the inner loops in plain C, and which version is in use.
 */
#include "vm/graphics/bitblt_loops.h"
#include "vm/graphics/bitblt.h"

#include <cpuid.h>
#include <string.h>

static void fill(const struct blt_area *a, uint32_t word)
{
    uint32_t *to = a->to;

    for (size_t y = 0; y < a->h; y++, to += a->to_pitch)
        for (size_t x = 0; x < a->w; x++)
            to[x] = word;
}

static void move(const struct blt_area *a)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        memmove(to, from, a->w * sizeof *to);
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

static void tint(const struct blt_area *a, uint32_t s)
{
    uint32_t *to = a->to;

    for (size_t y = 0; y < a->h; y++, to += a->to_pitch)
        for (size_t x = 0; x < a->w; x++)
            to[x] = blt_alpha_scaled(s, to[x]);
}

static void scaled(const struct blt_area *a)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        for (size_t x = 0; x < a->w; x++)
            if (from[x] >> 24)
                to[x] = blt_alpha_scaled(from[x], to[x]);
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

static void scaled_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    for (size_t i = 0; i < n; i++)
        to[i] = blt_alpha_scaled(s[i] & h, to[i]);
}

static void blend_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    for (size_t i = 0; i < n; i++)
        to[i] = blt_alpha_blend(s[i] & h, to[i]);
}

static void paint_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] & h)
            to[i] = s[i] & h;
}

static void bits_run(uint32_t *to, const uint32_t *s, size_t n, uint32_t h,
                     const uint32_t c[4])
{
    for (size_t i = 0; i < n; i++) {
        uint32_t p = s[i] & h;

        to[i] = c[0] ^ (c[1] & p) ^ (to[i] & (c[2] ^ (c[3] & p)));
    }
}

static void bits_fill(uint32_t *to, size_t n, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (to[i] & a) ^ b;
}

static void glyphs(const struct blt_area *a, const struct blt_text *t)
{
    uint32_t *to = a->to;
    const uint32_t *from = a->from;

    for (size_t y = 0; y < a->h; y++) {
        for (size_t x = 0; x < a->w; x++)
            to[x] = blt_alpha_scaled(t->table[blt_byte(t, from, t->x + x)],
                                     to[x]);
        to += a->to_pitch;
        from += a->from_pitch;
    }
}

static void pick(uint32_t *to, size_t n, const uint32_t *from, size_t room,
                 int64_t x, int64_t step)
{
    (void)room;
    blt_pick(to, n, from, x, step);
}

static void sum_rows(uint64_t *to, const uint32_t *a, const uint32_t *b,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = to_lanes(a[i]) + to_lanes(b[i]);
}

static void quarter_sums(uint32_t *to, size_t n, const uint64_t *sums,
                         int64_t x, int64_t step, int64_t across)
{
    for (size_t i = 0; i < n; i++, x += step) {
        uint64_t v = sums[x >> 14] + sums[(x + across) >> 14];

        to[i] = from_lanes(v >> 2 & LANES);
    }
}

static const struct blt_loops plain = {
    .name = "plain", .fill = fill, .move = move, .tint = tint,
    .scaled = scaled, .scaled_run = scaled_run, .blend_run = blend_run,
    .paint_run = paint_run, .bits_run = bits_run, .bits_fill = bits_fill,
    .glyphs = glyphs, .pick = pick, .sum_rows = sum_rows,
    .quarter_sums = quarter_sums,
};

const struct blt_loops *blt_loops = &plain;

/* AVX2 is there, and whoever runs the processor keeps its registers: XCR0
 * has the bits of SSE and AVX. Intel SDM volume 1, 14.3 and 14.7.1. */
static bool has_avx2(void)
{
    unsigned a, b, c, d, low, high;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) ||
        !(c & bit_AVX))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & bit_AVX2);
}

bool blt_choose_loops(const char *name)
{
    const struct blt_loops *const all[] = {
        has_avx2() ? &blt_loops_avx2 : NULL, &blt_loops_sse2, &plain,
    };

    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] && (!name || !strcmp(name, all[i]->name))) {
            blt_loops = all[i];
            return true;
        }
    return false;
}
