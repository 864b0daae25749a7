/*
 * pvh.c - reads QEMU's start info block (Xen's hvm_start_info, version 1).
 * Gives no framebuffer.
 */
#include "boot/boot_info.h"

#include <string.h>

struct hvm_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map; /* from version 1 */
    uint32_t memory_map_entries, reserved;
};
struct hvm_module {
    uint64_t start, bytes, command_line, reserved;
};
struct hvm_memory_entry {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

static const void *low(uint64_t address)
{
    return (const void *)(uintptr_t)address;
}

void boot_from_pvh(struct boot_info *b, uint64_t info)
{
    const struct hvm_start_info *s = low(info);
    const struct hvm_module *m = low(s->modules);
    const struct hvm_memory_entry *e = low(s->memory_map);

    b->protocol = "PVH";
    if (s->command_line)
        boot_copy_string(b->command_line, low(s->command_line), BOOT_LINE);
    for (uint32_t i = 0; i < s->module_count; i++)
        boot_add_module(b, m[i].start, m[i].bytes,
                        m[i].command_line ? low(m[i].command_line) : "");
    if (s->version >= 1)
        for (uint32_t i = 0; i < s->memory_map_entries; i++)
            boot_add_range(b, e[i].start, e[i].bytes, e[i].type);
    if (s->rsdp) {
        memcpy(b->rsdp, low(s->rsdp), BOOT_RSDP);
        b->rsdp_bytes = BOOT_RSDP;
    }
}
