/*
 * bitblt_blend.c - 32-bit pixels blended into Forms of 8 and 16 bits, rules
 * 34 and 41: each destination pixel becomes 32 bits, is blended, and goes
 * back dithered (16 bits) or through the colour map (8 bits).
 */
#include "vm/graphics/bitblt.h"

bool blt_is_blend(const struct blt *b)
{
    if (b->no_source || b->same_form || b->source.depth != 32)
        return false;
    if (b->rule != RULE_ALPHA_SCALED && b->rule != RULE_COMPONENT_ALPHA)
        return false;
    return b->dest.depth == 16 || (b->dest.depth == 8 && b->map.present);
}

static uint32_t blend(const struct blt *b, uint32_t s, uint32_t d)
{
    return b->rule == RULE_ALPHA_SCALED ? blt_alpha_scaled(s, d)
                                        : blt_component_alpha(b, s, d);
}

static void put_pixel(const struct form *f, int x, int y, uint32_t p)
{
    uint32_t *word = form_word(f, x, y);
    unsigned shift = form_shift(f, x);
    uint32_t mask = form_mask(f->depth);

    *word = (*word & ~(mask << shift)) | (p & mask) << shift;
}

/* --- 16 bits, with a 4 by 4 dither --- */

static unsigned dither_channel(uint32_t v, unsigned threshold)
{
    static const uint8_t step[8] = { 0, 2, 4, 6, 8, 12, 14, 16 };
    unsigned high = v >> 3, base = high ? high - 1 : 0;

    return threshold < step[v & 7] ? base + 1 : base;
}

static uint32_t dither(uint32_t p, unsigned threshold)
{
    uint32_t r = dither_channel(p >> 16 & 255, threshold) << 10 |
                 dither_channel(p >> 8 & 255, threshold) << 5 |
                 dither_channel(p & 255, threshold);

    return r ? r : 1; /* 0 would be transparent */
}

static uint32_t widen(uint32_t p)
{
    return 0xff000000 | (p & 0x7c00) << 9 | (p & 0x3e0) << 6 |
           (p & 0x1f) << 3;
}

static void blend_row_16(const struct blt *b, int row)
{
    static const uint8_t matrix[16] = { 0, 8,  2, 10, 12, 4, 14, 6,
                                        3, 11, 1, 9,  15, 7, 13, 5 };
    const uint32_t *s = form_row(&b->source, b->sy + row) + b->sx;
    int y = b->dy + row;

    for (int i = 0; i < b->w; i++) {
        unsigned t = matrix[(y & 3) * 4 + ((b->sx + i) & 3)];
        uint32_t p = s[i];
        int x = b->dx + i;

        if (!(b->rule == RULE_ALPHA_SCALED ? p >> 24 : p & 0xffffff))
            continue;
        if (b->rule != RULE_ALPHA_SCALED || p >> 24 != 255)
            p = blend(b, p, widen(form_pixel(&b->dest, x, y)));
        put_pixel(&b->dest, x, y, dither(p, t));
    }
}

/* --- 8 bits: in a checkerboard, channels are rounded up --- */

enum { ALMOST_CLEAR = 31, ALMOST_OPAQUE = 224 };

static uint32_t widen_indexed(uint32_t p)
{
    uint32_t c = form_indexed_colour(p);

    if (p == 0)
        return 0;
    return 0xff000000 | (c ? c : 1);
}

static uint32_t coverage(const struct blt *b, uint32_t p)
{
    if (b->rule == RULE_ALPHA_SCALED)
        return p >> 24;
    return ((p >> 16 & 255) + (p >> 8 & 255) + (p & 255)) / 3;
}

static uint32_t blend_8(const struct blt *b, uint32_t p, uint32_t cover,
                        uint32_t d)
{
    if (b->rule == RULE_ALPHA_SCALED)
        return cover < ALMOST_OPAQUE ? blend(b, p, widen_indexed(d)) : p;
    return blend(b, cover > ALMOST_OPAQUE ? 0xffffffff : p, widen_indexed(d));
}

static void blend_row_8(const struct blt *b, int row)
{
    const uint32_t *s = form_row(&b->source, b->sy + row) + b->sx;
    int y = b->dy + row;

    for (int i = 0; i < b->w; i++) {
        int odd = (b->dx + b->dy + row * (b->w + 1) + i) & 1;
        uint32_t up = odd ? 0x1f1f1f1f : 0;
        uint32_t p = (s[i] & ~up) + up, cover = coverage(b, p);
        int x = b->dx + i;

        if (cover > ALMOST_CLEAR)
            put_pixel(&b->dest, x, y,
                      colour_map_pixel(&b->map,
                                       blend_8(b, p, cover,
                                               form_pixel(&b->dest, x, y))));
    }
}

void blt_blend(struct blt *b)
{
    for (int row = 0; row < b->h; row++) {
        if (b->dest.depth == 16)
            blend_row_16(b, row);
        else
            blend_row_8(b, row);
    }
}
