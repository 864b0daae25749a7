/*
 * multiboot2.c - reads GRUB's information block. Multiboot2 specification
 * 2.0, section 3.6. Reads nothing beyond a tag, whatever the tag says.
 */
#include "boot/boot_info.h"

#include <string.h>

enum mb2_tag_type {
    TAG_END = 0, TAG_COMMAND_LINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6,
    TAG_FRAMEBUFFER = 8, TAG_EFI32 = 11, TAG_EFI64 = 12, TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15, TAG_EFI_MAP = 17,
};
enum { FRAMEBUFFER_RGB = 1 };
#define EFI_RUNTIME (1ull << 63) /* UEFI 2.10, section 7.2.3 */

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
    uint16_t reserved;
    uint8_t fields[6]; /* of red, green, blue: lowest bit, bits */
};
struct mb2_efi64 {
    struct mb2_tag tag;
    uint64_t system_table;
};
struct mb2_efi_map {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
};
struct mb2_efi_entry { /* UEFI's own */
    uint32_t type, zero;
    uint64_t start, virtual, pages, attributes;
};

static void read_memory_map(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_memory_map *m = (const void *)t;
    const char *p = (const char *)(m + 1), *end = (const char *)t + t->size;

    if (m->entry_size < sizeof(struct mb2_memory_entry))
        return;
    for (; end - p >= m->entry_size; p += m->entry_size) {
        struct mb2_memory_entry e;

        memcpy(&e, p, sizeof e);
        boot_add_range(b, e.start, e.bytes, e.type);
    }
}

/* GRUB answers type 1 with address 0 for adapters without linear memory:
 * painting there would overwrite page 0. */
static void read_framebuffer(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_framebuffer *f = (const void *)t;

    if (f->type != FRAMEBUFFER_RGB || !f->address)
        return;
    b->framebuffer = (struct boot_framebuffer){
        f->address, f->width, f->height, f->pitch, f->bpp,
        { 0 }, { 0 }, { 0 },
    };
    if (t->size < offsetof(struct mb2_framebuffer, fields) +
                      sizeof f->fields)
        return;
    memcpy(&b->framebuffer.red, f->fields, 2);
    memcpy(&b->framebuffer.green, f->fields + 2, 2);
    memcpy(&b->framebuffer.blue, f->fields + 4, 2);
}

static void read_efi32(struct boot_info *b, const struct mb2_tag *t)
{
    b->bios = false;
    b->efi.bits = 32;
}

static void read_efi64(struct boot_info *b, const struct mb2_tag *t)
{
    b->bios = false;
    b->efi.bits = 64;
    b->efi.system_table = ((const struct mb2_efi64 *)(const void *)t)
                              ->system_table;
}

static void add_efi_region(struct boot_efi *efi, const struct mb2_efi_entry *e)
{
    if (!(e->attributes & EFI_RUNTIME) || !e->pages)
        return;
    if (efi->region_count == BOOT_EFI_REGIONS) {
        efi->cut = true;
        return;
    }
    efi->regions[efi->region_count].start = e->start;
    efi->regions[efi->region_count++].pages = e->pages;
}

/* There only when GRUB has ended the firmware's boot services. */
static void read_efi_map(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_efi_map *m = (const void *)t;
    const char *p = (const char *)(m + 1), *end = (const char *)t + t->size;

    b->bios = false;
    if (m->entry_size < sizeof(struct mb2_efi_entry))
        return;
    for (; end - p >= m->entry_size; p += m->entry_size) {
        struct mb2_efi_entry e;

        memcpy(&e, p, sizeof e);
        add_efi_region(&b->efi, &e);
    }
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

/* How much of a text at `from` in the tag a buffer of `size` may take. */
static size_t text_limit(const struct mb2_tag *t, const char *from,
                         size_t size)
{
    size_t n = t->size - (size_t)(from - (const char *)t) + 1;

    return n < size ? n : size;
}

static void read_command_line(struct boot_info *b, const struct mb2_tag *t)
{
    const char *text = ((const struct mb2_string *)t)->text;

    boot_copy_string(b->command_line, text, text_limit(t, text, BOOT_LINE));
}

static void read_module(struct boot_info *b, const struct mb2_tag *t)
{
    const struct mb2_module *m = (const void *)t;
    char name[BOOT_NAME];

    if (m->end <= m->start)
        return;
    boot_copy_string(name, m->name, text_limit(t, m->name, sizeof name));
    boot_add_module(b, m->start, m->end - m->start, name);
}

static const struct {
    enum mb2_tag_type type;
    uint32_t least; /* bytes, or it is not read */
    void (*read)(struct boot_info *b, const struct mb2_tag *t);
} readers[] = {
    { TAG_COMMAND_LINE, sizeof(struct mb2_string), read_command_line },
    { TAG_MODULE, sizeof(struct mb2_module), read_module },
    { TAG_MEMORY_MAP, sizeof(struct mb2_memory_map), read_memory_map },
    { TAG_FRAMEBUFFER, offsetof(struct mb2_framebuffer, type) + 1,
      read_framebuffer },
    { TAG_EFI32, sizeof(struct mb2_tag), read_efi32 },
    { TAG_EFI64, sizeof(struct mb2_efi64), read_efi64 },
    { TAG_EFI_MAP, sizeof(struct mb2_efi_map), read_efi_map },
    { TAG_RSDP_OLD, sizeof(struct mb2_tag), read_rsdp },
    { TAG_RSDP_NEW, sizeof(struct mb2_tag), read_rsdp },
};

static void read_tag(struct boot_info *b, const struct mb2_tag *t)
{
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i].type == t->type && t->size >= readers[i].least)
            readers[i].read(b, t);
}

void boot_from_multiboot2(struct boot_info *b, uint64_t info)
{
    const char *p = (const char *)(uintptr_t)info;
    const char *end = p + *(const uint32_t *)(const void *)p;

    b->protocol = "Multiboot2";
    b->bios = true;
    for (p += 8; end - p >= (ptrdiff_t)sizeof(struct mb2_tag);) {
        const struct mb2_tag *t = (const void *)p;

        if (t->type == TAG_END || t->size < sizeof *t || t->size > end - p)
            break;
        read_tag(b, t);
        p += (t->size + 7ull) & ~7ull;
    }
}
