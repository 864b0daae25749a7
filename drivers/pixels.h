/*
 * pixels.h - how a frame buffer keeps its pixels, and turning ours into it.
 * Pure; tests/unit/test_pixels.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pixel_field {
    uint8_t at, bits; /* the lowest bit, how many */
};

struct pixel_format {
    uint8_t bits; /* of a pixel: 15 to 32 */
    struct pixel_field red, green, blue;
};

/* 32 bits a pixel, XRGB: our own. */
extern const struct pixel_format pixels_native;

/* The usual order for as many bits; bits are 0 if there is none. */
struct pixel_format pixels_usual(unsigned bits);
/* All three colours lie within the pixel. */
bool pixels_valid(const struct pixel_format *f);
/* 2 to 4. */
unsigned pixels_bytes(const struct pixel_format *f);
/* Writes `count` pixels XRGB as the format wants them. */
void pixels_pack(const struct pixel_format *f, void *to,
                 const uint32_t *pixels, int count);
