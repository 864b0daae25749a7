/*
 * edid.c - VESA Enhanced EDID 1.4, sections 3.1 to 3.10: the first block.
 * Extensions only add to what is of interest here.
 */
#include "drivers/edid.h"

#include <string.h>

enum {
    SIZE_CM = 21, DESCRIPTORS = 54, DESCRIPTOR_BYTES = 18,
    DESCRIPTOR_COUNT = 4, KIND_NAME = 0xfc, SIDE_MIN = 320,
};

static bool is_whole(const uint8_t *bytes)
{
    static const uint8_t head[8] = { 0, 255, 255, 255, 255, 255, 255, 0 };
    uint8_t sum = 0;

    for (unsigned i = 0; i < EDID_BYTES; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return memcmp(bytes, head, sizeof head) == 0 && sum == 0;
}

/* A detailed timing: the first is the monitor's own. Its size in millimetres
 * is finer than the header's in centimetres. */
static void read_timing(struct edid *e, const uint8_t *d)
{
    uint32_t width = d[2] | (d[4] & 0xf0u) << 4;
    uint32_t height = d[5] | (d[7] & 0xf0u) << 4;
    bool interlaced = d[17] & 0x80;

    if (e->width || width < SIDE_MIN || height < SIDE_MIN / 2)
        return;
    e->width = width;
    e->height = interlaced ? height * 2 : height;
    e->width_mm = d[12] | (d[14] & 0xf0u) << 4;
    e->height_mm = d[13] | (d[14] & 0x0fu) << 8;
}

static void read_name(struct edid *e, const uint8_t *d)
{
    unsigned n = 0;

    while (n < sizeof e->name - 1 && d[5 + n] >= ' ' && d[5 + n] <= '~') {
        e->name[n] = (char)d[5 + n];
        n++;
    }
    while (n && e->name[n - 1] == ' ')
        n--;
    e->name[n] = 0;
}

/* Some give the shape of the picture, 16 by 9 "millimetres"; others one that
 * does not fit the pixels. Neither is a size. */
static void doubt_size(struct edid *e, const uint8_t *bytes)
{
    uint32_t w, h;

    if (e->width_mm < 50 || e->height_mm < 30) {
        e->width_mm = bytes[SIZE_CM] * 10u;
        e->height_mm = bytes[SIZE_CM + 1] * 10u;
    }
    w = e->width_mm;
    h = e->height_mm;
    if (w < 50 || h < 30 || !e->width || /* pixels more than 4:3 oblong */
        3ull * w * e->height > 4ull * h * e->width ||
        3ull * h * e->width > 4ull * w * e->height)
        e->width_mm = e->height_mm = 0;
}

bool edid_parse(struct edid *e, const uint8_t *bytes, size_t n)
{
    memset(e, 0, sizeof *e);
    if (n < EDID_BYTES || !is_whole(bytes))
        return false;
    for (unsigned i = 0; i < DESCRIPTOR_COUNT; i++) {
        const uint8_t *d = bytes + DESCRIPTORS + i * DESCRIPTOR_BYTES;

        if (d[0] || d[1])
            read_timing(e, d);
        else if (d[3] == KIND_NAME)
            read_name(e, d);
    }
    doubt_size(e, bytes);
    return true;
}
