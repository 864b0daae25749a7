/*
 * grow.h - a stick is bigger than the image that was written to it: at the
 * first boot the store may take what is behind it, after asking.
 *
 * The question is open while the GPT's backup is not at the disk's end. Yes
 * and no both put it there, so either answer is for good; no answer leaves
 * everything as it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;

struct growth {
    struct block_device *disk, *store;
    uint64_t last;         /* the store's last sector on the disk, grown */
    uint64_t before, after; /* bytes of the store */
};

/* Whether the mounted store is the last partition of a disk that is laid out
 * as ours are, with room behind its table. */
bool grow_find(struct growth *g);
/* The table goes to the disk's end; the store grows with it, if `yes`. Cut
 * off anywhere, the disk is as it was or done. 0 or a negative errno. */
int grow_settle(const struct growth *g, bool yes);
/* Asks on screen and serial line if there is anything to ask, and does what
 * is answered. */
void grow_offer(void);
