/*
 * framebuffer.h - a linear frame buffer that somebody else has set up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/pixels.h"

struct display;

struct framebuffer {
    uint64_t address; /* physical */
    uint32_t width, height, pitch; /* pitch: bytes a row */
    struct pixel_format format;
};

/* Registers a display; there is room for one. 0, or -EBUSY, -EINVAL: it
 * cannot be as told, -ENOMEM. */
int framebuffer_register(const char *name, const struct framebuffer *f);
/* The display whose memory begins within the range, if there is one: the
 * driver of the adapter gives it modes. NULL: it is another adapter's. */
struct display *framebuffer_within(uint64_t first, uint64_t bytes);
/* The adapter shows `f` from now on; errors as for framebuffer_register, and
 * nothing has changed then. To be called by the display's set_mode. */
int framebuffer_change(const struct framebuffer *f);
