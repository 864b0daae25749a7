/*
 * bitblt_rules.c - the combination rules: from a word of source pixels and a
 * word of destination pixels to the word that is stored.
 *
 * A rule sees whole 32-bit words of packed pixels. Only those rules that
 * count (22, 23, 32, 33) look at blt->mask; the caller masks what is stored.
 */
#include "vm/graphics/bitblt.h"

#define RULE(name, expression)                                                \
    static uint32_t name(struct blt *b, uint32_t s, uint32_t d)               \
    {                                                                         \
        (void)b;                                                              \
        (void)s;                                                              \
        (void)d;                                                              \
        return (uint32_t)(expression);                                        \
    }

/* --- bits --- */

RULE(clear, 0)
RULE(and, s & d)
RULE(and_not, s & ~d)
RULE(store, s)
RULE(not_and, ~s & d)
RULE(keep, d)
RULE(xor, s ^ d)
RULE(or, s | d)
RULE(nor, ~s & ~d)
RULE(not_xor, ~s ^ d)
RULE(not_dest, ~d)
RULE(or_not, s | ~d)
RULE(not_source, ~s)
RULE(not_or, ~s | d)
RULE(nand, ~s | ~d)
RULE(add_word, s + d)
RULE(subtract_word, s - d)

/* --- channel by channel --- */

typedef uint32_t channel_fn(uint32_t s, uint32_t d, uint32_t max);

static uint32_t add(uint32_t s, uint32_t d, uint32_t max)
{
    return s + d > max ? max : s + d;
}
static uint32_t difference(uint32_t s, uint32_t d, uint32_t max)
{
    (void)max;
    return s < d ? d - s : s - d;
}
static uint32_t larger(uint32_t s, uint32_t d, uint32_t max)
{
    (void)max;
    return s > d ? s : d;
}
static uint32_t smaller(uint32_t s, uint32_t d, uint32_t max)
{
    (void)max;
    return s < d ? s : d;
}
/* The product of fractions of max, without a division. */
static uint32_t product(uint32_t s, uint32_t d, uint32_t max)
{
    return ((s + 1) * (d + 1) - 1) / (max + 1);
}

static inline uint32_t fields(uint32_t s, uint32_t d, unsigned bits,
                              unsigned from, unsigned count, channel_fn *f)
{
    uint32_t max = (1u << bits) - 1, r = 0;

    for (unsigned i = from; count--; i += bits)
        r |= f(s >> i & max, d >> i & max, max) << i;
    return r;
}

/* Pixels of up to 8 bits are one channel each; 16 bits are two times three
 * of 5, the top bit of each being 0; 32 bits are four of 8. */
static inline uint32_t channels(const struct blt *b, uint32_t s, uint32_t d,
                                channel_fn *f)
{
    switch (b->dest.depth) {
    case 32:
        return fields(s, d, 8, 0, 4, f);
    case 16:
        return fields(s, d, 5, 0, 3, f) | fields(s, d, 5, 16, 3, f);
    default:
        return fields(s, d, b->dest.depth, 0, 32 / b->dest.depth, f);
    }
}

RULE(rgb_add, channels(b, s, d, add))
RULE(rgb_subtract, channels(b, s, d, difference))
RULE(rgb_max, channels(b, s, d, larger))
RULE(rgb_min, channels(b, s, d, smaller))
RULE(rgb_min_invert, channels(b, ~s, d, smaller))
RULE(rgb_multiply, channels(b, s, d, product))

/* --- pixel by pixel --- */

typedef uint32_t pixel_fn(struct blt *b, uint32_t s, uint32_t d);

static inline uint32_t pixels(struct blt *b, uint32_t s, uint32_t d,
                              pixel_fn *f)
{
    uint32_t mask = form_mask(b->dest.depth), r = 0;

    for (unsigned i = 0; i < 32; i += b->dest.depth)
        r |= (f(b, s >> i & mask, d >> i & mask) & mask) << i;
    return r;
}

static uint32_t paint_pixel(struct blt *b, uint32_t s, uint32_t d)
{
    (void)b;
    return s ? s : d;
}
static uint32_t mask_pixel(struct blt *b, uint32_t s, uint32_t d)
{
    (void)b;
    return s ? 0 : d;
}
static uint32_t clear_pixel(struct blt *b, uint32_t s, uint32_t d)
{
    (void)b;
    return s == d ? 0 : d;
}

RULE(pixel_paint, s ? pixels(b, s, d, paint_pixel) : d)
RULE(pixel_mask, s ? pixels(b, s, d, mask_pixel) : d)
RULE(pixel_clear, pixels(b, s, d, clear_pixel))

/* Turns the order of the destination's pixels round, in each word. */
static uint32_t pixel_swap(struct blt *b, uint32_t s, uint32_t d)
{
    unsigned depth = b->dest.depth;
    uint32_t mask = form_mask(depth), r = 0;

    (void)s;
    for (unsigned i = 0; i < 32; i += depth)
        r |= (d >> i & mask) << (32 - depth - i);
    return r;
}

static uint32_t fix_alpha(struct blt *b, uint32_t s, uint32_t d)
{
    if (b->dest.depth != 32 || !d || d & 0xff000000)
        return d;
    return d | (s & 0xff000000);
}

/* --- blending --- */

RULE(alpha_blend, blt_alpha_blend(s, d))
RULE(alpha_scaled, blt_alpha_scaled(s, d))

static uint32_t mix_16(struct blt *b, uint32_t s, uint32_t d)
{
    uint32_t r = 0;

    for (unsigned i = 0; i < 15; i += 5)
        r |= ((s >> i & 31) * b->alpha + (d >> i & 31) * (255 - b->alpha) +
              254) /
             255 << i;
    return r;
}

static uint32_t paint_mix_16(struct blt *b, uint32_t s, uint32_t d)
{
    return s ? mix_16(b, s, d) : d;
}

static uint32_t alpha_blend_const(struct blt *b, uint32_t s, uint32_t d)
{
    switch (b->dest.depth) {
    case 32: return blt_mix(s, d, b->alpha);
    case 16: return pixels(b, s, d, mix_16);
    default: return d;
    }
}

static uint32_t alpha_paint_const(struct blt *b, uint32_t s, uint32_t d)
{
    if (s == 0)
        return d;
    switch (b->dest.depth) {
    case 32: return blt_mix(s, d, b->alpha);
    case 16: return pixels(b, s, d, paint_mix_16);
    default: return d;
    }
}

/* --- coverage for each colour: text on screens with stripes --- */

static uint32_t component(const struct blt *b, uint32_t cover, uint32_t s,
                          uint32_t d)
{
    uint32_t v;

    if (b->ungamma) {
        s = b->ungamma[s];
        d = b->ungamma[d];
    }
    v = (d * (255 - cover) >> 8) + (s * cover >> 8);
    v = v > 255 ? 255 : v;
    return b->gamma ? b->gamma[v] : v;
}

/* s holds the coverage of each channel of blt->colour. */
uint32_t blt_component_alpha(const struct blt *b, uint32_t s, uint32_t d)
{
    uint32_t cover[4], r = 0, a;

    if (s == 0)
        return d;
    for (int i = 0; i < 4; i++) {
        cover[i] = s >> (8 * i) & 255;
        if (b->alpha != 255)
            cover[i] = cover[i] * b->alpha >> 8;
    }
    for (int i = 0; i < 3; i++)
        r |= component(b, cover[i], b->colour >> (8 * i) & 255,
                       d >> (8 * i) & 255)
             << (8 * i);
    a = ((d >> 24) * (255 - cover[3]) >> 8) + cover[3];
    return r | (a > 255 ? 255 : a) << 24;
}

RULE(component_alpha, blt_component_alpha(b, s, d))

/* --- counting; the destination stays --- */

static uint32_t channel_sum(uint32_t v, unsigned bits)
{
    uint32_t max = (1u << bits) - 1;

    return (v & max) + (v >> bits & max) + (v >> 2 * bits & max);
}

static uint32_t pixel_difference(struct blt *b, uint32_t s, uint32_t d)
{
    unsigned bits = b->dest.depth == 16 ? 5 : 8;

    if (b->dest.depth < 16)
        return s != d;
    return channel_sum(fields(s, d, bits, 0, 3, difference), bits);
}

static uint32_t rgb_difference(struct blt *b, uint32_t s, uint32_t d)
{
    uint32_t mask = form_mask(b->dest.depth);

    for (unsigned i = 0; i < 32; i += b->dest.depth)
        if (b->mask >> i & mask)
            b->count += pixel_difference(b, s >> i & mask, d >> i & mask);
    return d;
}

/* A colour of `from` bits a channel as an index with `to` bits. */
static uint32_t tally_index(uint32_t p, int from, int to)
{
    struct colour_map m = { 0 };

    if (from == to)
        return p & ((1u << 3 * from) - 1);
    colour_map_convert(&m, from, to);
    return colour_map_pixel(&m, p);
}

static uint32_t tally(struct blt *b, uint32_t s, uint32_t d)
{
    uint32_t mask = form_mask(b->dest.depth);

    (void)s;
    if (!b->map.table)
        return d;
    for (unsigned i = 0; i < 32; i += b->dest.depth) {
        uint32_t p = d >> i & mask;

        if (!(b->mask >> i & mask))
            continue;
        if (b->dest.depth >= 16)
            p = tally_index(p, b->dest.depth == 16 ? 5 : 8,
                            b->map.bits_per_colour);
        b->map.table[p & b->map.table_mask]++;
    }
    return d;
}

merge_fn *blt_rule(unsigned rule)
{
    static merge_fn *const table[] = {
        clear,        and,          and_not,       store,
        not_and,      keep,         xor,           or,
        nor,          not_xor,      not_dest,      or_not,
        not_source,   not_or,       nand,          keep,
        NULL,         NULL,         add_word,      subtract_word,
        rgb_add,      rgb_subtract, rgb_difference, tally,
        alpha_blend,  pixel_paint,  pixel_mask,    rgb_max,
        rgb_min,      rgb_min_invert, alpha_blend_const, alpha_paint_const,
        rgb_difference, tally,      alpha_scaled,  alpha_scaled,
        alpha_scaled, rgb_multiply, pixel_swap,    pixel_clear,
        fix_alpha,    component_alpha,
    };

    return rule < sizeof table / sizeof *table ? table[rule] : NULL;
}
