/*
 * fuzz_boot.c - damaged Multiboot2 blocks, and the command line in them. The
 * input is the block; its size, which the loader alone knows, is put right.
 */
#include "boot/boot_info.h"
#include "kernel/cmdline.h"
#include "tests/fuzz/fuzz.h"

void kmain(const struct boot_info *boot) { abort(); }

static void mend(uint8_t *data, size_t size)
{
    uint32_t n = (uint32_t)size;

    if (size >= 8)
        memcpy(data, &n, 4);
}

static bool ended(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static void check_line(const char *line)
{
    static struct cmdline c;
    uint64_t bytes = 0;

    cmdline_parse(&c, line);
    if (c.count > CMDLINE_WORDS || c.image_arg_count > CMDLINE_WORDS ||
        c.image_args[c.image_arg_count])
        abort();
    cmdline_size(cmdline_get(&c, "mem"), &bytes);
    for (unsigned i = 0; i < c.count + c.image_arg_count; i++) {
        const char *word = i < c.count ? c.words[i]
                                       : c.image_args[i - c.count];

        if (word < c.text || word >= c.text + sizeof c.text ||
            !ended(word, (size_t)(c.text + sizeof c.text - word)))
            abort();
    }
}

static bool run(uint8_t *data, size_t size)
{
    static struct boot_info b;

    if (size < 8)
        return false;
    mend(data, size);
    memset(&b, 0, sizeof b);
    boot_from_multiboot2(&b, (uint64_t)(uintptr_t)data);
    if (b.range_count > BOOT_RANGES || b.module_count > BOOT_MODULES ||
        b.rsdp_bytes > BOOT_RSDP || !ended(b.command_line, BOOT_LINE) ||
        b.efi.region_count > BOOT_EFI_REGIONS)
        abort();
    for (unsigned i = 0; i < b.range_count; i++)
        if (b.ranges[i].type < BOOT_RAM || b.ranges[i].type > BOOT_BAD)
            abort();
    for (unsigned i = 0; i < b.module_count; i++)
        if (!ended(b.modules[i].name, BOOT_NAME))
            abort();
    check_line(b.command_line);
    return b.range_count && b.module_count;
}

/* --- a block as GRUB makes it --- */

static uint8_t *add_tag(uint8_t *at, uint32_t type, const void *bytes,
                        uint32_t n)
{
    uint32_t head[2] = { type, n + 8 };

    memcpy(at, head, 8);
    memcpy(at + 8, bytes, n);
    return at + ((n + 8 + 7) & ~7u);
}

static size_t seed(unsigned i, uint8_t *to)
{
    static const char line[] = "exit=isa mem=64M \"tz=6 0\" fresh "
                               "image.args=eval \"3 + 4\" poweroff";
    static const struct {
        uint32_t start, end;
        char name[16];
    } module = { 0x200000, 0x800000, "aerostat.image" };
    static const struct {
        uint32_t entry_size, version;
        struct {
            uint64_t start, bytes;
            uint32_t type, zero;
        } entries[4];
    } map = { 24, 0, { { 0, 0x9fc00, 1, 0 }, { 0x9fc00, 0x400, 2, 0 },
                       { 0x100000, 0xff00000, 1, 0 },
                       { 0xffff0000, 0x10000, 7, 0 } } };
    static const uint32_t screen[] = { 0xfd000000, 0, 4096, 1024, 768,
                                       0x0120 };
    static const uint64_t efi = 0x7f000000;
    static const struct {
        uint32_t entry_size, version;
        struct {
            uint64_t type, start, virtual, pages, attributes, more;
        } entries[3];
    } efi_map = { 48, 1, { { 7, 0x100000, 0, 500, 15, 0 },
                           { 5, 0x7e000000, 0, 16, 1ull << 63, 0 },
                           { 11, 0xffc00000, 0, 4, 1ull << 63, 0 } } };
    static const char rsdp[36] = "RSD PTR ";
    uint8_t *at = to + 8;

    if (i)
        return 0;
    at = add_tag(at, 1, line, sizeof line);
    at = add_tag(at, 3, &module, sizeof module);
    at = add_tag(at, 6, &map, sizeof map);
    at = add_tag(at, 8, screen, sizeof screen);
    at = add_tag(at, 12, &efi, sizeof efi);
    at = add_tag(at, 17, &efi_map, sizeof efi_map);
    at = add_tag(at, 14, rsdp, 20);
    at = add_tag(at, 15, rsdp, 36);
    at = add_tag(at, 0, "", 0);
    mend(to, (size_t)(at - to));
    return (size_t)(at - to);
}

static const struct fuzz_target target = { seed, mend, run, 0 };
