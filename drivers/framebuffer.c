/*
 * framebuffer.c - a screen that is just memory: what GRUB left (VBE, GOP)
 * or what bochs.c programmed. Mapped write-combining, never read.
 * QEMU: -vga std, or any display under OVMF
 */
#include "drivers/framebuffer.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/display.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { MAX_SIDE = 16384 };

static struct {
    struct display display;
    volatile void *memory;
    uint32_t pitch;
} fb;

static void row(struct display *d, int x, int y, const uint32_t *pixels,
                int count)
{
    char *to = (char *)(uintptr_t)fb.memory + (size_t)y * fb.pitch;

    memcpy(to + (size_t)x * 4, pixels, (size_t)count * 4);
}

int framebuffer_register(const char *name, uint64_t address, uint32_t width,
                         uint32_t height, uint32_t pitch)
{
    static const struct display_ops ops = { .row = row };

    if (fb.memory)
        return -EBUSY;
    if (!width || !height || width > MAX_SIDE || height > MAX_SIDE ||
        pitch < width * 4)
        return -EINVAL;
    fb.memory = vmm_map_device(address, (uint64_t)pitch * height,
                               PAGE_COMBINE);
    if (!fb.memory)
        return -ENOMEM;
    fb.pitch = pitch;
    fb.display.name = name;
    fb.display.ops = &ops;
    fb.display.width = width;
    fb.display.height = height;
    klog("screen: %s, %u x %u\n", name, width, height);
    return display_register(&fb.display);
}
