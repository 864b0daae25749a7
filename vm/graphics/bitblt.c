/*
 * bitblt.c - copying a clipped rectangle, row by row.
 *
 * A row of the source is first laid out as the destination's row has it
 * (depth, pixel order, alignment, colours), then merged by the rule. Since a
 * row has been read before any of it is stored, only the order of the rows
 * matters when source and destination are the same Form. The rules of bits and
 * the commonest ones on 32 bits have loops of their own (bitblt_loops.h), which
 * answer the same.
 */
#include "vm/graphics/bitblt.h"
#include "vm/graphics/bitblt_loops.h"
#include "vm/primitives/prim.h"

#include <stdlib.h>

/* --- the row buffer: kept, since most transfers are small --- */

static uint32_t *row_buffer;
static size_t row_buffer_words;

static size_t dest_words(const struct blt *b)
{
    unsigned shift = b->dest.word_shift; /* small blits feel a division */
    unsigned first = (unsigned)b->dx >> shift;
    unsigned last = (unsigned)(b->dx + b->w - 1) >> shift;

    return last - first + 1;
}

uint32_t *blt_row_buffer(const struct blt *b)
{
    size_t n = dest_words(b);

    if (n > row_buffer_words) {
        uint32_t *p = realloc(row_buffer, n * sizeof *p);

        if (!p)
            return NULL;
        row_buffer = p;
        row_buffer_words = n;
    }
    return row_buffer;
}

/* --- laying out a row of the source --- */

static bool needs_mapping(const struct blt *b)
{
    return b->map.present || b->source.depth != b->dest.depth ||
           b->source.msb_first != b->dest.msb_first;
}

/* Same pixels, perhaps at other places in their words. */
static const uint32_t *align_row(const struct blt *b, int y, uint32_t *row)
{
    const uint32_t *from = form_row(&b->source, y);
    int64_t first = b->sx >> b->source.word_shift;
    int64_t last = (b->sx + b->w - 1) >> b->source.word_shift;
    int64_t bit = (int64_t)form_bit(&b->source, b->sx) -
                  (int64_t)form_bit(&b->dest, b->dx);
    unsigned shift = (unsigned)bit & 31;
    int64_t i = first + (bit >> 5);
    size_t n = dest_words(b);
    uint32_t word, next;

    if (shift == 0 && !b->same_form)
        return from + i;
    word = i >= first && i <= last ? from[i] : 0;
    for (size_t k = 0; k < n; k++, word = next) {
        i++;
        next = i >= first && i <= last ? from[i] : 0;
        row[k] = shift == 0             ? word
                 : b->dest.msb_first ? word << shift | next >> (32 - shift)
                                     : word >> shift | next << (32 - shift);
    }
    return row;
}

/* Bytes through a table to 32 bits: text. */
static void map_bytes(const struct blt *b, int y, uint32_t *row)
{
    const uint8_t *from = (const uint8_t *)form_row(&b->source, y);
    unsigned flip = b->source.msb_first ? 3 : 0;

    for (unsigned x = (unsigned)b->sx, end = x + (unsigned)b->w; x < end; x++)
        *row++ = b->map.table[from[x ^ flip] & b->map.table_mask];
}

static void map_words(const struct blt *b, int y, uint32_t *row)
{
    const uint32_t *from = form_row(&b->source, y) + b->sx;

    for (int x = 0; x < b->w; x++)
        row[x] = colour_map_pixel(&b->map, from[x]);
}

/* Any depth to any depth, a pixel at a time. */
static void map_pixels(const struct blt *b, int y, uint32_t *row)
{
    uint32_t mask = form_mask(b->dest.depth);
    unsigned shift = b->dest.word_shift, first = (unsigned)b->dx >> shift;

    memset(row, 0, dest_words(b) * sizeof *row);
    for (int i = 0; i < b->w; i++) {
        uint32_t p = colour_map_pixel(&b->map,
                                      form_pixel(&b->source, b->sx + i, y));
        int x = b->dx + i;

        row[((unsigned)x >> shift) - first] |= (p & mask)
                                               << form_shift(&b->dest, x);
    }
}

static const uint32_t *source_row(const struct blt *b, int y, uint32_t *row)
{
    if (!needs_mapping(b))
        return align_row(b, y, row);
    if (b->dest.depth == 32 && b->source.depth == 8 && b->map.table &&
        !b->map.fixed)
        map_bytes(b, y, row);
    else if (b->dest.depth == 32 && b->source.depth == 32)
        map_words(b, y, row);
    else
        map_pixels(b, y, row);
    return row;
}

/* --- merging a row --- */

static uint32_t halftone_word(const struct blt *b, int y)
{
    return b->halftone ? b->halftone[(unsigned)y % b->halftone_height]
                       : 0xffffffff;
}

static void merge_word(struct blt *b, uint32_t *to, uint32_t s, uint32_t mask)
{
    b->mask = mask;
    *to = (*to & ~mask) | (b->merge(b, s, *to) & mask);
}

/* Whole words; those loops that know of no pixels but of 32 bits. */
static bool merge_fast(struct blt *b, uint32_t *to, const uint32_t *s,
                       size_t n, uint32_t h)
{
    if (b->rule < RULES_OF_BITS) {
        blt_loops->bits_run(to, s, n, h, b->bits);
        return true;
    }
    if (b->dest.depth != 32)
        return false;
    switch (b->rule) {
    case RULE_ALPHA_SCALED: blt_loops->scaled_run(to, s, n, h); return true;
    case RULE_ALPHA_BLEND: blt_loops->blend_run(to, s, n, h); return true;
    case RULE_PAINT: blt_loops->paint_run(to, s, n, h); return true;
    default: return false;
    }
}

static void merge_run(struct blt *b, uint32_t *to, const uint32_t *s,
                      size_t n, uint32_t h)
{
    if (merge_fast(b, to, s, n, h))
        return;
    b->mask = 0xffffffff;
    for (size_t i = 0; i < n; i++)
        to[i] = b->merge(b, s[i] & h, to[i]);
}

/* Pixels of the word from x on, and up to x, in a row. */
static uint32_t mask_from(const struct form *f, int x)
{
    unsigned skip = form_bit(f, x);

    return f->msb_first ? 0xffffffffu >> skip : 0xffffffffu << skip;
}

static uint32_t mask_up_to(const struct form *f, int x)
{
    unsigned keep = form_bit(f, x) + f->depth;

    return f->msb_first ? 0xffffffffu << (32 - keep)
                        : 0xffffffffu >> (32 - keep);
}

void blt_merge_row(struct blt *b, const uint32_t *words, int y)
{
    uint32_t *to = form_word(&b->dest, b->dx, y), h = halftone_word(b, y);
    uint32_t first = mask_from(&b->dest, b->dx);
    uint32_t last = mask_up_to(&b->dest, b->dx + b->w - 1);
    size_t n = dest_words(b), i = 0;

    if (n == 1)
        first &= last;
    if (n == 1 || first != 0xffffffff) {
        merge_word(b, to, words[0] & h, first);
        i = 1;
    }
    if (n > 1 && last != 0xffffffff)
        n--;
    else
        last = 0;
    if (i < n)
        merge_run(b, to + i, words + i, n - i, h);
    if (last)
        merge_word(b, to + n, words[n] & h, last);
}

/* --- without a source --- */

static bool is_even(const struct blt *b)
{
    return !b->halftone || b->halftone_height == 1;
}

/* Rows of the destination from y on. */
static struct blt_area dest_area(const struct blt *b, int y, int rows)
{
    return (struct blt_area){
        .to = form_word(&b->dest, b->dx, y), .to_pitch = b->dest.words,
        .w = dest_words(b), .h = (size_t)rows,
    };
}

static void tint(struct blt *b)
{
    int rows = is_even(b) ? b->h : 1;

    for (int y = b->dy; y < b->dy + b->h; y += rows) {
        const struct blt_area a = dest_area(b, y, rows);
        uint32_t s = halftone_word(b, y);

        if (s)
            blt_loops->tint(&a, s);
    }
}

/* What a rule of bits makes of a destination word, its source being s. */
struct bits {
    uint32_t keep, flip; /* (d & keep) ^ flip */
};

static struct bits bits_with(const struct blt *b, uint32_t s)
{
    return (struct bits){ b->bits[2] ^ (b->bits[3] & s),
                          b->bits[0] ^ (b->bits[1] & s) };
}

static void fill_word(uint32_t *to, struct bits v, uint32_t mask)
{
    *to = (*to & (v.keep | ~mask)) ^ (v.flip & mask);
}

static void fill_row(const struct blt *b, int y)
{
    struct bits v = bits_with(b, halftone_word(b, y));
    uint32_t *to = form_word(&b->dest, b->dx, y);
    uint32_t first = mask_from(&b->dest, b->dx);
    uint32_t last = mask_up_to(&b->dest, b->dx + b->w - 1);
    size_t n = dest_words(b);

    if (n == 1) {
        fill_word(to, v, first & last);
        return;
    }
    fill_word(to, v, first);
    fill_word(to + n - 1, v, last);
    blt_loops->bits_fill(to + 1, n - 2, v.keep, v.flip);
}

static void fill_bits(const struct blt *b)
{
    struct bits v = bits_with(b, halftone_word(b, 0));

    if (b->dest.depth == 32 && is_even(b) && !v.keep) {
        const struct blt_area a = dest_area(b, b->dy, b->h);

        blt_loops->fill(&a, v.flip);
        return;
    }
    for (int y = b->dy; y < b->dy + b->h; y++)
        fill_row(b, y);
}

static void copy_without_source(struct blt *b, uint32_t *row)
{
    memset(row, 0xff, dest_words(b) * sizeof *row);
    for (int y = b->dy; y < b->dy + b->h; y++)
        blt_merge_row(b, row, y);
}

/* False: nothing was drawn, this needs a row of source pixels. */
static bool fill(struct blt *b)
{
    if (b->rule < RULES_OF_BITS)
        fill_bits(b);
    else if (b->rule == RULE_ALPHA_SCALED && b->dest.depth == 32)
        tint(b);
    else
        return false;
    return true;
}

/* --- a rectangle of 32 bits at once --- */

static struct blt_area both_areas(const struct blt *b, bool upwards)
{
    struct blt_area a = dest_area(b, b->dy, b->h);

    a.from = form_word(&b->source, b->sx, b->sy);
    a.from_pitch = b->source.words;
    if (upwards) {
        a.to += a.to_pitch * (b->h - 1);
        a.from += a.from_pitch * (b->h - 1);
        a.to_pitch = -a.to_pitch;
        a.from_pitch = -a.from_pitch;
    }
    return a;
}

/* Rows of words that follow one another without a gap are one. */
static struct blt_area as_one_row(struct blt_area a)
{
    if (a.to_pitch == (ptrdiff_t)a.w && a.from_pitch == a.to_pitch) {
        a.w *= a.h;
        a.h = 1;
    }
    return a;
}

/* Bytes through a table that has one for each: text. */
static bool is_text(const struct blt *b)
{
    return b->source.depth == 8 && b->map.table && !b->map.fixed &&
           b->map.table_mask >= 255;
}

/* False: nothing was drawn, it is to be done row by row. */
static bool copy_at_once(const struct blt *b, bool upwards)
{
    const struct blt_area a = both_areas(b, upwards), row = as_one_row(a);
    const struct blt_text t = { .x = (unsigned)b->sx % 4,
                                .msb_first = b->source.msb_first,
                                .table = b->map.table };

    if (b->dest.depth != 32 || b->halftone)
        return false;
    if (b->rule == RULE_STORE && !needs_mapping(b))
        blt_loops->move(&row);
    else if (b->rule != RULE_ALPHA_SCALED || b->same_form)
        return false;
    else if (b->source.depth == 32 && !b->map.present)
        blt_loops->scaled(&a);
    else if (is_text(b))
        blt_loops->glyphs(&a, &t);
    else
        return false;
    return true;
}

/* --- the whole --- */

static void copy_rows(struct blt *b, uint32_t *row, bool upwards)
{
    int step = upwards ? -1 : 1;

    for (int n = b->h, y = upwards ? n - 1 : 0; n--; y += step)
        blt_merge_row(b, source_row(b, b->sy + y, row), b->dy + y);
}

int blt_copy(struct blt *b)
{
    bool upwards = b->same_form && b->dy > b->sy;
    uint32_t *row;

    if (blt_is_blend(b)) {
        blt_blend(b);
        return PRIM_OK;
    }
    if (b->rule == RULE_COMPONENT_ALPHA && b->dest.depth != 32)
        return PRIM_ERR_UNSUPPORTED;
    if (b->no_source ? fill(b) : copy_at_once(b, upwards))
        return PRIM_OK;
    row = blt_row_buffer(b);
    if (!row)
        return PRIM_ERR_NO_C_MEMORY;
    if (b->no_source)
        copy_without_source(b, row);
    else
        copy_rows(b, row, upwards);
    return PRIM_OK;
}
