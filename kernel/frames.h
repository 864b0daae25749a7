/*
 * frames.h - a bitmap of page frames. Pure: touches nothing but its bits,
 * so it is tested on the host (tests/unit/test_frames.c).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NO_FRAME UINT64_MAX

struct frames {
    uint64_t *bits;  /* 1: in use or absent */
    uint64_t count;  /* frames covered, a multiple of 64 */
    uint64_t free;
    uint64_t next;   /* word where the last search ended */
};

/* Bytes of bitmap that `count` frames need. */
size_t frames_bitmap_bytes(uint64_t count);
/* Every frame starts out in use. */
void frames_init(struct frames *f, uint64_t *bits, uint64_t count);
/* Frames [first, first+n), cut to what is covered; doing it twice is
 * harmless. */
void frames_release(struct frames *f, uint64_t first, uint64_t n);
void frames_reserve(struct frames *f, uint64_t first, uint64_t n);
/* The first free frame from `from` on, and how many neighbours are free, too;
 * *n is 0: there is none. */
uint64_t frames_free_from(const struct frames *f, uint64_t from, uint64_t *n);
/* Any free frame, or NO_FRAME. */
uint64_t frames_alloc(struct frames *f);
/* `n` neighbours whose first is a multiple of `align` and whose last is
 * below `limit`; NO_FRAME: none. */
uint64_t frames_alloc_run(struct frames *f, uint64_t n, uint64_t align,
                          uint64_t limit);
