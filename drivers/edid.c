/*
 * edid.c - VESA Enhanced EDID 1.4, sections 3.1 to 3.10: the first block.
 * The extensions' timings (CTA-861-H, 7.5; DisplayID 1.3, 4.4, and 2.0, 4.3)
 * count where the first block has none, as of screens too large for it.
 */
#include "drivers/edid.h"

#include <string.h>

enum {
    SIZE_CM = 21, DESCRIPTORS = 54, DESCRIPTOR_BYTES = 18,
    DESCRIPTOR_COUNT = 4, KIND_NAME = 0xfc, SIDE_MIN = 320,
};
enum { /* first byte of an extension */
    EXT_CTA = 0x02, CTA_TIMINGS = 2, CTA_HEAD = 4,
    EXT_DISPLAY_ID = 0x70, ID_LENGTH = 2, ID_BLOCKS = 5, ID_BLOCK_HEAD = 3,
    ID_TIMING_1 = 0x03, ID_TIMING_7 = 0x22, ID_TIMING_BYTES = 20,
    ID_PREFERRED = 0x80, ID_INTERLACED = 0x10,
};

static bool sum_is_right(const uint8_t *block)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < EDID_BYTES; i++)
        sum = (uint8_t)(sum + block[i]);
    return sum == 0;
}

static bool is_whole(const uint8_t *bytes)
{
    static const uint8_t head[8] = { 0, 255, 255, 255, 255, 255, 255, 0 };

    return memcmp(bytes, head, sizeof head) == 0 && sum_is_right(bytes);
}

static void take_pixels(struct edid *e, uint32_t width, uint32_t height,
                        bool interlaced)
{
    e->width = width;
    e->height = interlaced ? height * 2 : height;
}

/* A detailed timing: the first is the monitor's own. Its size in millimetres
 * is finer than the header's in centimetres. */
static void read_timing(struct edid *e, const uint8_t *d)
{
    uint32_t width = d[2] | (d[4] & 0xf0u) << 4;
    uint32_t height = d[5] | (d[7] & 0xf0u) << 4;

    if (e->width || width < SIDE_MIN || height < SIDE_MIN / 2)
        return;
    take_pixels(e, width, height, d[17] & 0x80);
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

static void read_cta(struct edid *e, const uint8_t *b)
{
    unsigned at = b[CTA_TIMINGS];

    while (at >= CTA_HEAD && at + DESCRIPTOR_BYTES < EDID_BYTES &&
           (b[at] || b[at + 1])) {
        read_timing(e, b + at);
        at += DESCRIPTOR_BYTES;
    }
}

/* Types I and VII differ in the clock's unit only. */
static void read_long_timing(struct edid *e, const uint8_t *t)
{
    uint32_t width = (t[4] | (uint32_t)t[5] << 8) + 1;
    uint32_t height = (t[12] | (uint32_t)t[13] << 8) + 1;

    if (!e->width && width >= SIDE_MIN && height >= SIDE_MIN / 2)
        take_pixels(e, width, height, t[3] & ID_INTERLACED);
}

/* Those that are `preferred`, or any. */
static void read_display_id(struct edid *e, const uint8_t *b, bool preferred)
{
    unsigned end = ID_BLOCKS + b[ID_LENGTH];

    if (end > EDID_BYTES - 1)
        end = EDID_BYTES - 1;
    for (unsigned at = ID_BLOCKS, next; at + ID_BLOCK_HEAD <= end; at = next) {
        next = at + ID_BLOCK_HEAD + b[at + 2];
        if (next > end || (b[at] != ID_TIMING_1 && b[at] != ID_TIMING_7))
            continue;
        for (unsigned i = at + ID_BLOCK_HEAD; i + ID_TIMING_BYTES <= next;
             i += ID_TIMING_BYTES)
            if (!preferred || (b[i + 3] & ID_PREFERRED))
                read_long_timing(e, b + i);
    }
}

static void read_extension(struct edid *e, const uint8_t *b)
{
    if (!sum_is_right(b))
        return;
    if (b[0] == EXT_CTA)
        read_cta(e, b);
    if (b[0] == EXT_DISPLAY_ID) {
        read_display_id(e, b, true);
        read_display_id(e, b, false);
    }
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
    for (unsigned i = 1;
         i <= bytes[EDID_EXTENSIONS] && (i + 1) * EDID_BYTES <= n; i++)
        read_extension(e, bytes + i * EDID_BYTES);
    doubt_size(e, bytes);
    return true;
}
