/*
 * image_file.h - the header of a 64-bit Spur image file, little-endian.
 * Source: OpenSmalltalk. Shared by image_load.c and image_save.c.
 */
#pragma once

#include <stdint.h>

struct image_header {
    uint32_t version;       /* 68021, or 68533: several bytecode sets */
    uint32_t header_size;
    uint64_t data_size;     /* sum of the segments, bridges included */
    uint64_t base;          /* address of nil when saved */
    uint64_t special;       /* oop of the special objects array */
    uint64_t hash_seed;
    uint64_t screen_size;
    uint64_t flags;
    uint32_t extra_bytes;
    uint16_t stack_pages;
    uint16_t code_kb;
    uint32_t eden_bytes;
    uint16_t ext_sems;
    uint16_t image_version;
    uint64_t first_segment; /* size, bridge included */
    uint64_t free_bytes;    /* a hint */
    uint64_t unused[5];
};

_Static_assert(sizeof(struct image_header) == 128, "header layout");

enum { IMAGE_HEADER_MIN = 88, IMAGE_BRIDGE = 16 };

#define IMAGE_FLAG_FLOATS_LITTLE 2ull
/* Word 1 of the last bridge: an empty pinned, marked object of index 3. */
#define IMAGE_LAST_BRIDGE 0x0080000049000003ull
