/*
 * boot_info.h - what the boot loader told us, in one neutral shape.
 *
 * boot/ fills it from Multiboot2 or PVH and calls kmain; nobody else knows
 * either protocol. Everything but the modules' bytes is copied here, so the
 * loader's own memory is free for use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BOOT_RANGES = 256, BOOT_MODULES = 8, BOOT_LINE = 1024, BOOT_NAME = 64,
    BOOT_RSDP = 36, BOOT_EFI_REGIONS = 128,
};

enum boot_memory {
    BOOT_RAM = 1, BOOT_RESERVED = 2, BOOT_ACPI_TABLES = 3, BOOT_ACPI_NVS = 4,
    BOOT_BAD = 5,
};

struct boot_range {
    uint64_t start, bytes;
    enum boot_memory type;
};

struct boot_module {
    uint64_t start, bytes; /* physical */
    char name[BOOT_NAME];  /* its command line, cut */
};

struct boot_framebuffer {
    uint64_t address; /* physical; 0: none that we can draw on */
    uint32_t width, height, pitch;
    uint8_t bits; /* of a pixel */
    /* Lowest bit and number of bits of red, green and blue; 0 bits of each:
     * the loader does not tell. */
    struct {
        uint8_t at, bits;
    } red, green, blue;
};

/* UEFI's services that go on after its boot services have ended, and the
 * memory that they need under its physical addresses. */
struct boot_efi {
    uint64_t system_table; /* physical; 0: none */
    unsigned bits;         /* of the firmware: 32 or 64; 0: no UEFI */
    unsigned region_count;
    struct {
        uint64_t start, pages; /* of 4096 bytes */
    } regions[BOOT_EFI_REGIONS];
    bool cut; /* there are more regions */
};

struct boot_info {
    const char *protocol;
    bool bios; /* a BIOS started it, no UEFI */
    char command_line[BOOT_LINE];
    struct boot_range ranges[BOOT_RANGES];
    unsigned range_count;
    struct boot_module modules[BOOT_MODULES];
    unsigned module_count;
    struct boot_framebuffer framebuffer;
    uint8_t rsdp[BOOT_RSDP]; /* ACPI root pointer, as found */
    unsigned rsdp_bytes;     /* 0: the loader gave none */
    struct boot_efi efi;
};

/* Reached from start.S in long mode, first 4 GiB mapped at 0. */
_Noreturn void boot_main(uint32_t protocol, uint64_t info);
/* Each fills *b from the loader's block. */
void boot_from_multiboot2(struct boot_info *b, uint64_t info);
void boot_from_pvh(struct boot_info *b, uint64_t info);
void boot_add_range(struct boot_info *b, uint64_t start, uint64_t bytes,
                    uint32_t type);
void boot_add_module(struct boot_info *b, uint64_t start, uint64_t bytes,
                     const char *name);
void boot_copy_string(char *to, const char *from, size_t size);

/* The kernel's door (kernel/kmain.c). */
_Noreturn void kmain(const struct boot_info *boot);
