/*
 * bitblt.h - Forms and the transfer of pixels between them.
 *
 * form.c knows how pixels lie in a Form's words; bitblt_load.c reads a
 * BitBlt's fields; bitblt_rules.c has the combination rules, a word at a
 * time; bitblt.c copies, with the loops of bitblt_loops.h; bitblt_blend.c
 * blends 32-bit pixels into shallower Forms; warp.c copies through a
 * quadrilateral; plugin_bitblt.c has the primitives.
 */
#pragma once

#include "vm/interp.h"

/* --- forms --- */

struct form {
    uint32_t *bits;
    int width, height;
    unsigned depth;  /* 1 2 4 8 16 32 */
    unsigned word_shift; /* log2 of the pixels in a word */
    bool msb_first;  /* leftmost pixel in a word's high bits (depth > 0) */
    uint32_t words;  /* of a row */
    bool immutable;
};

/* False: o is no Form, or its bits are too few. */
bool form_load(struct form *f, oop o);
/* Squeak's palette: the colour of an 8-bit pixel, XRGB with alpha 0. */
uint32_t form_indexed_colour(unsigned pixel);

/* Bits of its word before pixel x, counted from the left. */
static inline unsigned form_bit(const struct form *f, int x)
{
    return ((unsigned)x & ((1u << f->word_shift) - 1)) * f->depth;
}
static inline unsigned form_shift(const struct form *f, int x)
{
    unsigned in_word = form_bit(f, x);

    return f->msb_first ? 32 - f->depth - in_word : in_word;
}
static inline uint32_t form_mask(unsigned depth)
{
    return 0xffffffffu >> (32 - depth);
}
static inline uint32_t *form_row(const struct form *f, int y)
{
    return f->bits + (size_t)f->words * (unsigned)y;
}
static inline uint32_t *form_word(const struct form *f, int x, int y)
{
    return form_row(f, y) + ((unsigned)x >> f->word_shift);
}
/* A pixel inside the form, not converted. */
static inline uint32_t form_pixel(const struct form *f, int x, int y)
{
    return *form_word(f, x, y) >> form_shift(f, x) & form_mask(f->depth);
}

/* --- colour maps --- */

struct colour_map {
    bool present, new_style;
    bool fixed;       /* shift and mask first; RGBA order */
    int shift[4];
    uint32_t mask[4];
    uint32_t *table;  /* then look up, if not NULL */
    uint32_t table_mask;
    int bits_per_colour; /* 3, 4, 5 by the table's size, else 0 */
};

/* Mapping by truncating or widening each colour to `to` bits. */
void colour_map_convert(struct colour_map *m, int from, int to);

static inline uint32_t colour_map_pixel(const struct colour_map *m,
                                        uint32_t p)
{
    if (m->fixed) {
        uint32_t v = 0;

        for (int i = 0; i < 4; i++) {
            uint32_t c = p & m->mask[i];

            v |= m->shift[i] < 0 ? c >> -m->shift[i] : c << m->shift[i];
        }
        p = v || !p ? v : 1; /* 0 would mean transparent */
    }
    return m->table ? m->table[p & m->table_mask] : p;
}

/* --- a transfer --- */

enum {
    RULES_OF_BITS = 16, /* they come first, and know of no pixels */
    RULE_STORE = 3,
    RULE_OLD_DIFFERENCE = 22,
    RULE_ALPHA_BLEND = 24,
    RULE_PAINT = 25,
    RULE_BLEND_CONST = 30,
    RULE_PAINT_CONST = 31,
    RULE_DIFFERENCE = 32,
    RULE_TALLY = 33,
    RULE_ALPHA_SCALED = 34,
    RULE_COMPONENT_ALPHA = 41,
};

struct blt;
typedef uint32_t merge_fn(struct blt *b, uint32_t source, uint32_t dest);

struct rect {
    int left, top, right, bottom;
};

struct blt {
    struct form dest, source;
    oop dest_form;
    bool no_source, same_form;
    unsigned rule;
    merge_fn *merge;
    uint32_t bits[4]; /* of a rule of bits: bitblt_loops.h */
    const uint32_t *halftone; /* NULL: none */
    uint32_t halftone_height;
    struct colour_map map;
    /* as asked for */
    int64_t dest_x, dest_y, width, height, source_x, source_y;
    int64_t clip_x, clip_y, clip_width, clip_height;
    /* after clipping */
    int sx, sy, dx, dy, w, h;
    /* of rules 30, 31 and 41 */
    uint32_t alpha, colour;
    const uint8_t *gamma, *ungamma;
    /* while copying */
    uint32_t mask;  /* pixels of the word that count */
    uint64_t count; /* of rules 22 and 32 */
    struct rect affected;
};

/* 0, or a primitive error. Operands of rules 30, 31, 41 are not read. */
int blt_load(struct vm *vm, struct blt *b, oop bitblt);
/* Number in slot i, truncated; nil gives `otherwise`. False: neither. */
bool blt_number(struct vm *vm, oop o, unsigned i, int64_t otherwise,
                int64_t *v);
/* Sets the rectangle to copy; false: it is empty. */
bool blt_clip(struct blt *b, bool to_source);
/* Copies after clipping. 0, or a primitive error. */
int blt_copy(struct blt *b);
/* Copies the source's 32-bit pixels by rule 34 or 41 into 8 or 16 bits. */
bool blt_is_blend(const struct blt *b);
void blt_blend(struct blt *b);
/* Merges a row of words, as they lie in dest's row, at dest y. */
void blt_merge_row(struct blt *b, const uint32_t *words, int y);
/* Words for one row of the destination, NULL: no memory. */
uint32_t *blt_row_buffer(const struct blt *b);
/* WarpBlt; `source_map` may be NULL if smoothing is 1. */
int blt_warp(struct vm *vm, struct blt *b, oop warp, int smoothing,
             const uint32_t *source_map);

merge_fn *blt_rule(unsigned rule); /* NULL: there is no such rule */
uint32_t blt_component_alpha(const struct blt *b, uint32_t source,
                             uint32_t dest);

/* --- four channels at once: each in 16 bits of a 64-bit word --- */

#define LANES 0x00ff00ff00ff00ffull
#define LANE_ONES 0x0001000100010001ull

static inline uint64_t to_lanes(uint32_t p)
{
    return (uint64_t)(p & 0xff00ff00) << 24 | (p & 0xff00ff);
}
static inline uint32_t from_lanes(uint64_t v) /* each below 256 */
{
    return (uint32_t)(v >> 24 & 0xff00ff00) | (uint32_t)(v & 0xff00ff);
}

/* Source and destination in proportion, rounded up. */
static inline uint32_t blt_mix(uint32_t s, uint32_t d, uint32_t alpha)
{
    uint64_t n = to_lanes(s) * alpha + to_lanes(d) * (255 - alpha) +
                 255 * LANE_ONES;

    n += (n - LANE_ONES) >> 8 & LANES; /* now n / 255 is n >> 8 */
    return from_lanes(n >> 8 & LANES);
}

/* Rule 24. */
static inline uint32_t blt_alpha_blend(uint32_t s, uint32_t d)
{
    uint32_t alpha = s >> 24;

    if (alpha == 0)
        return d;
    return alpha == 255 ? s : blt_mix(s | 0xff000000, d, alpha);
}

/* Rule 34: the source's channels are multiplied with its alpha already. A
 * source of 0 leaves the destination as it is. */
static inline uint32_t blt_alpha_scaled(uint32_t s, uint32_t d)
{
    uint64_t n;

    if (s == 0)
        return d;
    n = (to_lanes(d) * (255 - (s >> 24)) >> 8 & LANES) + to_lanes(s);
    n |= (n >> 8 & LANE_ONES) * 255; /* a carry makes it 255 */
    return from_lanes(n & LANES);
}
