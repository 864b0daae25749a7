/*
 * bitblt_load.c - a BitBlt object's fields, checked: after blt_load nothing
 * that copies needs to look at an oop again.
 */
#include "vm/graphics/bitblt.h"
#include "vm/primitives/prim.h"

/* Fields of a BitBlt. */
enum {
    BB_DEST, BB_SOURCE, BB_HALFTONE, BB_RULE, BB_DEST_X, BB_DEST_Y, BB_WIDTH,
    BB_HEIGHT, BB_SOURCE_X, BB_SOURCE_Y, BB_CLIP_X, BB_CLIP_Y, BB_CLIP_WIDTH,
    BB_CLIP_HEIGHT, BB_COLOUR_MAP, BB_SLOTS,
};

/* Coordinates beyond this are the same as this: far outside of any form. */
#define FAR_AWAY (1ll << 40)

bool blt_number(struct vm *vm, oop o, unsigned i, int64_t otherwise,
                int64_t *v)
{
    oop n = slot(o, i);
    double d;

    if (n == vm->heap.nil) {
        *v = otherwise;
        return true;
    }
    if (is_int(n)) {
        *v = int_value(n);
        *v = *v > FAR_AWAY ? FAR_AWAY : *v < -FAR_AWAY ? -FAR_AWAY : *v;
        return true;
    }
    if (!heap_float_value(n, &d) || !(d > -2147483648.0 && d < 2147483648.0))
        return false;
    *v = (int64_t)d;
    return true;
}

/* The same for slots that have SmallIntegers nearly always. */
static inline bool number(struct vm *vm, oop o, unsigned i, int64_t otherwise,
                          int64_t *v)
{
    oop n = slot(o, i);

    if (!is_int(n))
        return blt_number(vm, o, i, otherwise, v);
    *v = int_value(n);
    return (*v <= FAR_AWAY && *v >= -FAR_AWAY) ||
           blt_number(vm, o, i, otherwise, v);
}

/* --- colour map --- */

void colour_map_convert(struct colour_map *m, int from, int to)
{
    int by = to - from;
    uint32_t field;

    if (by == 0)
        return;
    /* the bits of a channel that stay, at blue's place */
    field = by < 0 ? ((1u << to) - 1) << -by : (1u << from) - 1;
    for (int i = 0; i < 3; i++) { /* red, green, blue */
        m->mask[i] = field << ((2 - i) * from);
        m->shift[i] = by * (3 - i);
    }
    m->mask[3] = 0;
    m->shift[3] = 0;
    m->present = m->fixed = true;
}

static int bits_per_channel(unsigned depth)
{
    return depth == 16 ? 5 : 8;
}

/* An old map has only a table; pixels with colours are made to fit it. */
static void implied_conversion(struct blt *b)
{
    int to = b->map.bits_per_colour;

    if (b->source.depth <= 8 || (!to && b->dest.depth <= 8))
        return;
    colour_map_convert(&b->map, bits_per_channel(b->source.depth),
                       to ? to : bits_per_channel(b->dest.depth));
}

static bool load_table(struct colour_map *m, oop o)
{
    uint64_t n;

    if (!is_words(o))
        return false;
    n = word_count(o);
    if ((n & (n - 1)) || n > 1u << 30)
        return false;
    m->table = n ? words(o) : NULL;
    m->table_mask = (uint32_t)n - 1;
    m->bits_per_colour = n == 512 ? 3 : n == 4096 ? 4 : n == 32768 ? 5 : 0;
    return true;
}

/* Both or neither of shifts and masks, four words each. */
static bool load_fixed_part(struct vm *vm, struct colour_map *m, oop shifts,
                            oop masks)
{
    static const uint32_t plain[4] = { 0xff0000, 0xff00, 0xff, 0xff000000 };

    if (shifts == vm->heap.nil || masks == vm->heap.nil)
        return true;
    if (!is_words(shifts) || !is_words(masks) || word_count(shifts) != 4 ||
        word_count(masks) != 4)
        return false;
    for (int i = 0; i < 4; i++) {
        m->shift[i] = (int32_t)words(shifts)[i];
        m->mask[i] = words(masks)[i];
        if (m->shift[i] < -31 || m->shift[i] > 31)
            return false;
        m->fixed |= m->shift[i] || m->mask[i] != plain[i];
    }
    return true;
}

static bool load_colour_map(struct vm *vm, struct blt *b, oop o)
{
    struct colour_map *m = &b->map;

    if (o == vm->heap.nil)
        return true;
    if (!is_pointer(o))
        return false;
    m->present = true;
    if (!format_is_pointers(format_of(o))) {
        if (!load_table(m, o))
            return false;
        implied_conversion(b);
        return true;
    }
    m->new_style = true;
    return slot_count(o) >= 3 &&
           load_fixed_part(vm, m, slot(o, 0), slot(o, 1)) &&
           (slot(o, 2) == vm->heap.nil || load_table(m, slot(o, 2)));
}

/* --- halftone: words, or a Form of depth 32 with words as rows --- */

static bool load_halftone(struct vm *vm, struct blt *b, oop o)
{
    uint64_t n;

    b->halftone = NULL;
    if (o == vm->heap.nil)
        return true;
    if (is_pointer(o) && format_is_pointers(format_of(o))) {
        if (slot_count(o) < 4)
            return false;
        o = slot(o, FORM_BITS);
        if (!is_words(o))
            return true; /* ignored, as ever */
    } else if (!is_words(o)) {
        return false;
    }
    n = word_count(o);
    if (n == 0 || n > UINT32_MAX)
        return false;
    b->halftone = words(o);
    b->halftone_height = (uint32_t)n;
    return true;
}

/* --- the whole --- */

/* A rule of bits is d = c0 ^ (c1 & s) ^ (c2 & d) ^ (c3 & s & d). Its number
 * says what becomes of each pair of bits; but 15 keeps d, as 5 does. */
static void learn_bits(struct blt *b)
{
    unsigned rule = b->rule == 15 ? 5 : b->rule;
    uint32_t none = -(rule >> 3 & 1), s = -(rule >> 1 & 1);
    uint32_t d = -(rule >> 2 & 1), both = -(rule & 1);

    b->bits[0] = none;
    b->bits[1] = none ^ s;
    b->bits[2] = none ^ d;
    b->bits[3] = none ^ s ^ d ^ both;
}

static bool ignores_source(unsigned rule)
{
    return rule == 0 || rule == 5 || rule == 10 || rule == 15;
}

static bool load_source(struct vm *vm, struct blt *b, oop bb)
{
    oop o = slot(bb, BB_SOURCE);

    b->no_source = o == vm->heap.nil || ignores_source(b->rule);
    b->same_form = !b->no_source && o == b->dest_form;
    if (b->no_source)
        return true;
    if (b->same_form)
        b->source = b->dest;
    else if (!form_load(&b->source, o))
        return false;
    return number(vm, bb, BB_SOURCE_X, 0, &b->source_x) &&
           number(vm, bb, BB_SOURCE_Y, 0, &b->source_y) &&
           load_colour_map(vm, b, slot(bb, BB_COLOUR_MAP));
}

/* The clip rectangle, kept within the destination. */
static void clip_to_dest(struct blt *b)
{
    if (b->clip_x < 0) {
        b->clip_width += b->clip_x;
        b->clip_x = 0;
    }
    if (b->clip_y < 0) {
        b->clip_height += b->clip_y;
        b->clip_y = 0;
    }
    if (b->clip_x + b->clip_width > b->dest.width)
        b->clip_width = b->dest.width - b->clip_x;
    if (b->clip_y + b->clip_height > b->dest.height)
        b->clip_height = b->dest.height - b->clip_y;
}

static bool load_rectangles(struct vm *vm, struct blt *b, oop bb)
{
    int64_t w = b->dest.width, h = b->dest.height;

    return number(vm, bb, BB_DEST_X, 0, &b->dest_x) &&
           number(vm, bb, BB_DEST_Y, 0, &b->dest_y) &&
           number(vm, bb, BB_WIDTH, w, &b->width) &&
           number(vm, bb, BB_HEIGHT, h, &b->height) &&
           number(vm, bb, BB_CLIP_X, 0, &b->clip_x) &&
           number(vm, bb, BB_CLIP_Y, 0, &b->clip_y) &&
           number(vm, bb, BB_CLIP_WIDTH, w, &b->clip_width) &&
           number(vm, bb, BB_CLIP_HEIGHT, h, &b->clip_height);
}

/* What need not be there; the rest is always set before it is used. Clearing
 * it all would take longer than copying a letter. */
static void clear(struct blt *b)
{
    b->mask = 0xffffffff;
    b->alpha = b->colour = 0xff;
    b->gamma = b->ungamma = NULL;
    b->count = 0;
    b->source_x = b->source_y = 0;
    b->map.present = b->map.new_style = b->map.fixed = false;
    b->map.table = NULL;
    b->map.bits_per_colour = 0;
}

int blt_load(struct vm *vm, struct blt *b, oop bb)
{
    oop rule, halftone;

    clear(b);
    if (!is_pointer(bb) || !format_is_pointers(format_of(bb)) ||
        slot_count(bb) < BB_SLOTS)
        return PRIM_ERR_BAD_RECEIVER;
    rule = slot(bb, BB_RULE);
    if (!is_int(rule) || int_value(rule) < 0 || int_value(rule) > 63)
        return PRIM_ERR_BAD_RECEIVER;
    b->rule = (unsigned)int_value(rule);
    b->merge = blt_rule(b->rule);
    if (!b->merge)
        return PRIM_ERR_UNSUPPORTED;
    b->dest_form = slot(bb, BB_DEST);
    halftone = ignores_source(b->rule) ? vm->heap.nil : slot(bb, BB_HALFTONE);
    if (!form_load(&b->dest, b->dest_form) || !load_source(vm, b, bb) ||
        !load_rectangles(vm, b, bb) || !load_halftone(vm, b, halftone))
        return PRIM_ERR_BAD_RECEIVER;
    if (b->dest.immutable || (b->rule == RULE_TALLY && b->map.table &&
                              is_immutable(slot(bb, BB_COLOUR_MAP))))
        return PRIM_ERR_NO_MODIFICATION;
    if (b->rule < RULES_OF_BITS)
        learn_bits(b);
    clip_to_dest(b);
    return PRIM_OK;
}

/* --- clipping --- */

/* One dimension: dest position, source position and length, cut first to
 * the clip range, then to the source. */
static bool clip(int64_t dest, int64_t source, int64_t length, int64_t low,
                 int64_t high, int64_t source_size, int *d, int *s, int *n)
{
    if (dest < low) {
        source += low - dest;
        length -= low - dest;
        dest = low;
    }
    if (dest + length > high)
        length = high - dest;
    if (source_size >= 0) {
        if (source < 0) {
            dest -= source;
            length += source;
            source = 0;
        }
        if (source + length > source_size)
            length = source_size - source;
    }
    if (length <= 0)
        return false;
    *d = (int)dest;
    *s = (int)source;
    *n = (int)length;
    return true;
}

bool blt_clip(struct blt *b, bool to_source)
{
    b->affected = (struct rect){ 0, 0, 0, 0 };
    if (!clip(b->dest_x, b->source_x, b->width, b->clip_x,
              b->clip_x + b->clip_width, to_source ? b->source.width : -1,
              &b->dx, &b->sx, &b->w) ||
        !clip(b->dest_y, b->source_y, b->height, b->clip_y,
              b->clip_y + b->clip_height, to_source ? b->source.height : -1,
              &b->dy, &b->sy, &b->h))
        return false;
    b->affected = (struct rect){ b->dx, b->dy, b->dx + b->w, b->dy + b->h };
    return true;
}
