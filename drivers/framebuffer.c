/*
 * framebuffer.c - a screen that is just memory: what GRUB left (VBE, GOP)
 * or what bochs.c programmed. Any pitch and order of 15 to 32 bits a pixel.
 * Mapped write-combining, never read.
 * QEMU: -vga std, or any display under OVMF
 */
#include "drivers/framebuffer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/display.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { MAX_SIDE = 16384, MAX_PITCH = MAX_SIDE * 16 };

static struct {
    struct display display;
    struct framebuffer shown;
    volatile void *memory;
    uint64_t mapped; /* bytes, from `address` on */
    uint64_t address;
    void *packed; /* one row, in other formats than ours */
} fb;

static void row(struct display *d, int x, int y, const uint32_t *pixels,
                int count)
{
    size_t bytes = pixels_bytes(&fb.shown.format);
    char *to = (char *)(uintptr_t)fb.memory + (size_t)y * fb.shown.pitch +
               (size_t)x * bytes;

    if (fb.packed) {
        pixels_pack(&fb.shown.format, fb.packed, pixels, count);
        pixels = fb.packed;
    }
    memcpy(to, pixels, (size_t)count * bytes);
}

static bool can_be(const struct framebuffer *f)
{
    return f->address && f->width && f->height && f->width <= MAX_SIDE &&
           f->height <= MAX_SIDE && pixels_valid(&f->format) &&
           f->pitch >= f->width * pixels_bytes(&f->format) &&
           f->pitch <= MAX_PITCH;
}

/* What was mapped for a smaller picture stays so: nobody unmaps devices. */
static int map(uint64_t address, uint64_t bytes)
{
    volatile void *memory;

    if (address == fb.address && bytes <= fb.mapped)
        return 0;
    memory = vmm_map_device(address, bytes, PAGE_COMBINE);
    if (!memory)
        return -ENOMEM;
    fb.memory = memory;
    fb.address = address;
    fb.mapped = bytes;
    return 0;
}

int framebuffer_change(const struct framebuffer *f)
{
    void *packed = NULL;
    int error;

    if (!can_be(f))
        return -EINVAL;
    if (memcmp(&f->format, &pixels_native, sizeof f->format) != 0) {
        packed = malloc((size_t)f->width * 4);
        if (!packed)
            return -ENOMEM;
    }
    error = map(f->address, (uint64_t)f->pitch * f->height);
    if (error) {
        free(packed);
        return error;
    }
    free(fb.packed);
    fb.packed = packed;
    fb.shown = *f;
    return 0;
}

int framebuffer_register(const char *name, const struct framebuffer *f)
{
    static const struct display_ops ops = { .row = row };
    int error;

    if (fb.memory)
        return -EBUSY;
    error = framebuffer_change(f);
    if (error)
        return error;
    fb.display.name = name;
    fb.display.ops = &ops;
    fb.display.width = f->width;
    fb.display.height = f->height;
    klog("screen: %s, %u x %u, %u bits\n", name, f->width, f->height,
         f->format.bits);
    return display_register(&fb.display);
}

struct display *framebuffer_within(uint64_t first, uint64_t bytes)
{
    return fb.memory && fb.shown.address >= first &&
                   fb.shown.address - first < bytes
               ? &fb.display : NULL;
}
