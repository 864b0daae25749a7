/*
 * edid.h - what a monitor says of itself. Pure; tests/unit/test_edid.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edid {
    uint32_t width, height;       /* its own size; 0: it does not say */
    uint32_t width_mm, height_mm; /* of the picture; 0: it does not say */
    char name[14];                /* "" if it has none */
};

/* A block's; drivers that can read more than one read this many. */
enum { EDID_BYTES = 128, EDID_BLOCKS = 3 };
/* Where the first block says how many extensions follow. */
enum { EDID_EXTENSIONS = 126 };

/* Reads the first block, and the extensions that it announces as far as they
 * are within `n`; false: it is none, or damaged. */
bool edid_parse(struct edid *e, const uint8_t *bytes, size_t n);
