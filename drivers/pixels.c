/*
 * pixels.c - pixels in every order that VBE and GOP know.
 */
#include "drivers/pixels.h"

#include <string.h>

const struct pixel_format pixels_native = {
    32, { 16, 8 }, { 8, 8 }, { 0, 8 },
};

struct pixel_format pixels_usual(unsigned bits)
{
    struct pixel_format f = pixels_native;

    f.bits = (uint8_t)bits;
    if (bits == 16)
        return (struct pixel_format){ 16, { 11, 5 }, { 5, 6 }, { 0, 5 } };
    if (bits == 15)
        return (struct pixel_format){ 15, { 10, 5 }, { 5, 5 }, { 0, 5 } };
    if (bits != 24 && bits != 32)
        f.bits = 0;
    return f;
}

unsigned pixels_bytes(const struct pixel_format *f)
{
    return (f->bits + 7u) / 8;
}

static bool is_inside(const struct pixel_format *f, struct pixel_field c)
{
    return c.bits >= 1 && c.bits <= 16 && c.at + c.bits <= f->bits;
}

bool pixels_valid(const struct pixel_format *f)
{
    return f->bits >= 15 && f->bits <= 32 && is_inside(f, f->red) &&
           is_inside(f, f->green) && is_inside(f, f->blue);
}

/* Eight bits of a colour to as many as the field has: what is not there
 * repeats the highest ones, so that white stays white. */
static uint32_t place(struct pixel_field c, uint32_t pixel, unsigned shift)
{
    uint32_t v = (pixel >> shift & 255) * 0x101;

    return v >> (16 - c.bits) << c.at;
}

static uint32_t packed(const struct pixel_format *f, uint32_t pixel)
{
    return place(f->red, pixel, 16) | place(f->green, pixel, 8) |
           place(f->blue, pixel, 0);
}

static void pack16(const struct pixel_format *f, uint16_t *to,
                   const uint32_t *pixels, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = (uint16_t)packed(f, pixels[i]);
}

static void pack24(const struct pixel_format *f, uint8_t *to,
                   const uint32_t *pixels, int count)
{
    for (int i = 0; i < count; i++, to += 3) {
        uint32_t v = packed(f, pixels[i]);

        to[0] = (uint8_t)v;
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)(v >> 16);
    }
}

static void pack32(const struct pixel_format *f, uint32_t *to,
                   const uint32_t *pixels, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = packed(f, pixels[i]);
}

void pixels_pack(const struct pixel_format *f, void *to,
                 const uint32_t *pixels, int count)
{
    switch (pixels_bytes(f)) {
    case 2:
        pack16(f, to, pixels, count);
        break;
    case 3:
        pack24(f, to, pixels, count);
        break;
    case 4:
        if (memcmp(f, &pixels_native, sizeof *f) == 0)
            memcpy(to, pixels, (size_t)count * 4);
        else
            pack32(f, to, pixels, count);
        break;
    }
}
