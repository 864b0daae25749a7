/*
 * boot.c - from start.S to kmain: picks the protocol's reader.
 */
#include "boot/boot_info.h"

enum {
    MULTIBOOT2_MAGIC = 0x36d76289,
    PVH_PROTOCOL = 0x336ec578, /* start.S */
};

static struct boot_info info_block;

void boot_copy_string(char *to, const char *from, size_t size)
{
    size_t i = 0;

    while (from && i + 1 < size && from[i]) {
        to[i] = from[i];
        i++;
    }
    to[i] = 0;
}

void boot_add_range(struct boot_info *b, uint64_t start, uint64_t bytes,
                    uint32_t type)
{
    if (!bytes || b->range_count == BOOT_RANGES)
        return;
    if (type < BOOT_RAM || type > BOOT_BAD)
        type = BOOT_RESERVED;
    b->ranges[b->range_count++] =
        (struct boot_range){ start, bytes, (enum boot_memory)type };
}

void boot_add_module(struct boot_info *b, uint64_t start, uint64_t bytes,
                     const char *name)
{
    struct boot_module *m;

    if (b->module_count == BOOT_MODULES)
        return;
    m = &b->modules[b->module_count++];
    m->start = start;
    m->bytes = bytes;
    boot_copy_string(m->name, name, sizeof m->name);
}

void boot_main(uint32_t protocol, uint64_t info)
{
    struct boot_info *b = &info_block;

    b->protocol = "an unknown loader";
    if (protocol == MULTIBOOT2_MAGIC)
        boot_from_multiboot2(b, info);
    else if (protocol == PVH_PROTOCOL)
        boot_from_pvh(b, info);
    kmain(b);
}
