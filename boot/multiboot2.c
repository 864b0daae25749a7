/*
 * multiboot2.c - reads GRUB's information block. Multiboot2 specification
 * 2.0, section 3.6.
 */
#include "boot/boot_info.h"

#include <string.h>

enum mb2_tag_type {
    TAG_END = 0, TAG_COMMAND_LINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6,
    TAG_FRAMEBUFFER = 8, TAG_RSDP_OLD = 14, TAG_RSDP_NEW = 15,
};
enum { FRAMEBUFFER_RGB = 1 };

struct mb2_tag {
    uint32_t type, size;
};
struct mb2_string {
    struct mb2_tag tag;
    char text[];
};
struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char name[];
};
struct mb2_memory_map {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
};
struct mb2_memory_entry {
    uint64_t start, bytes;
    uint32_t type, zero;
};
struct mb2_framebuffer {
    struct mb2_tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bpp, type;
};

static void read_memory_map(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_memory_map *m = (const void *)t;
    const char *p = (const char *)(m + 1), *end = (const char *)t + t->size;

    if (m->entry_size < sizeof(struct mb2_memory_entry))
        return;
    for (; p + m->entry_size <= end; p += m->entry_size) {
        const struct mb2_memory_entry *e = (const void *)p;

        boot_add_range(b, e->start, e->bytes, e->type);
    }
}

/* GRUB answers type 1 with address 0 for adapters without linear memory:
 * painting there would overwrite page 0. */
static void read_framebuffer(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_framebuffer *f = (const void *)t;

    if (f->type != FRAMEBUFFER_RGB || f->bpp != 32 || !f->address)
        return;
    b->framebuffer = (struct boot_framebuffer){
        f->address, f->width, f->height, f->pitch,
    };
}

static void read_rsdp(struct boot_info *b, const struct mb2_tag *t)
{
    unsigned n = t->size - sizeof *t;

    if (n > BOOT_RSDP)
        n = BOOT_RSDP;
    if (n < b->rsdp_bytes)
        return; /* the newer form is already here */
    memcpy(b->rsdp, t + 1, n);
    b->rsdp_bytes = n;
}

static void read_tag(struct boot_info *b, const struct mb2_tag *t)
{
    switch (t->type) {
    case TAG_COMMAND_LINE:
        boot_copy_string(b->command_line,
                         ((const struct mb2_string *)t)->text, BOOT_LINE);
        break;
    case TAG_MODULE: {
        const struct mb2_module *m = (const void *)t;

        boot_add_module(b, m->start, m->end - m->start, m->name);
        break;
    }
    case TAG_MEMORY_MAP:
        read_memory_map(b, t);
        break;
    case TAG_FRAMEBUFFER:
        read_framebuffer(b, t);
        break;
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        read_rsdp(b, t);
        break;
    }
}

void boot_from_multiboot2(struct boot_info *b, uint64_t info)
{
    const char *p = (const char *)(uintptr_t)info;
    const char *end = p + *(const uint32_t *)(const void *)p;

    b->protocol = "Multiboot2";
    for (p += 8; p + sizeof(struct mb2_tag) <= end;) {
        const struct mb2_tag *t = (const void *)p;

        if (t->type == TAG_END || t->size < sizeof *t)
            break;
        read_tag(b, t);
        p += (t->size + 7) & ~7u;
    }
}
