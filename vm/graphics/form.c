/*
 * form.c - how pixels lie in a Form's words. Rows are whole 32-bit words.
 */
#include "vm/graphics/bitblt.h"

enum { MAX_SIDE = 1 << 24 };

static bool load_side(oop o, int *side)
{
    if (!is_int(o) || int_value(o) < 0 || int_value(o) > MAX_SIDE)
        return false;
    *side = (int)int_value(o);
    return true;
}

static bool load_depth(struct form *f, oop o)
{
    int64_t d;

    if (!is_int(o))
        return false;
    d = int_value(o);
    f->msb_first = d > 0;
    d = d < 0 ? -d : d;
    if (d < 1 || d > 32 || (d & (d - 1)))
        return false;
    f->depth = (unsigned)d;
    f->word_shift = 5 - (unsigned)__builtin_ctz(f->depth);
    return true;
}

bool form_load(struct form *f, oop o)
{
    oop bits;

    if (!is_pointer(o) || !format_is_pointers(format_of(o)) ||
        slot_count(o) < 4 || !load_side(slot(o, FORM_WIDTH), &f->width) ||
        !load_side(slot(o, FORM_HEIGHT), &f->height) ||
        !load_depth(f, slot(o, FORM_DEPTH)))
        return false;
    bits = slot(o, FORM_BITS);
    if (!is_pointer(bits) || format_of(bits) < FMT_64 || is_code(bits))
        return false;
    f->words = (uint32_t)(((uint64_t)f->width * f->depth + 31) / 32);
    if ((uint64_t)f->words * (unsigned)f->height * 4 > slot_count(bits) * 8)
        return false;
    f->bits = (uint32_t *)bytes(bits);
    f->immutable = is_immutable(bits);
    return true;
}

/* 10 named colours, 30 greys, then a cube of 6 steps each: green changes
 * fastest, then blue, then red. */
uint32_t form_indexed_colour(unsigned i)
{
    static const uint32_t named[10] = {
        0xffffff, 0x000000, 0xffffff, 0x808080, 0xff0000,
        0x00ff00, 0x0000ff, 0x00ffff, 0xffff00, 0xff00ff,
    };
    static const uint8_t greys[30] = {
        0x20, 0x40, 0x60, 0x9f, 0xbf, 0xdf, 0x08, 0x10, 0x18, 0x28,
        0x30, 0x38, 0x48, 0x50, 0x58, 0x68, 0x70, 0x78, 0x87, 0x8f,
        0x97, 0xa7, 0xaf, 0xb7, 0xc7, 0xcf, 0xd7, 0xe7, 0xef, 0xf7,
    };

    if (i < 10)
        return named[i];
    if (i < 40)
        return greys[i - 10] * 0x010101u;
    i -= 40;
    return i / 36 * 51 << 16 | i % 6 * 51 << 8 | i / 6 % 6 * 51;
}
