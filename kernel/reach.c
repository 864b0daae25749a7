/*
 * reach.c - says no wherever RAM or the kernel's own devices are.
 *
 * What the map calls reserved may be registers or the firmware's RAM; the
 * kernel, the VM and the heap live in neither. Below the video memory
 * nothing is allowed, whatever the map says.
 */
#include "kernel/reach.h"

#include "boot/boot_info.h"
#include "kernel/acpi.h"

#define VIDEO_MEMORY 0xa0000ull
#define APIC_BYTES 0x1000ull
#define BUS_BYTES 0x100000ull

struct stretch {
    uint64_t start, end;
};

/* Ranges that would wrap around end with the address space. */
static bool meets(struct stretch s, uint64_t start, uint64_t bytes)
{
    uint64_t end = bytes > UINT64_MAX - start ? UINT64_MAX : start + bytes;

    return start < s.end && s.start < end;
}

static bool meets_memory(const struct boot_info *boot, struct stretch s)
{
    for (unsigned i = 0; i < boot->range_count; i++)
        if (boot->ranges[i].type != BOOT_RESERVED &&
            meets(s, boot->ranges[i].start, boot->ranges[i].bytes))
            return true;
    return meets(s, 0, VIDEO_MEMORY);
}

static bool meets_kernel_devices(const struct acpi *a, struct stretch s)
{
    if (a->local_apic && meets(s, a->local_apic & ~(APIC_BYTES - 1),
                               APIC_BYTES))
        return true;
    for (unsigned i = 0; i < a->io_apic_count; i++)
        if (meets(s, a->io_apic[i].address & ~(APIC_BYTES - 1), APIC_BYTES))
            return true;
    for (unsigned i = 0; i < a->mcfg_count; i++)
        if (meets(s, a->mcfg[i].address + a->mcfg[i].first_bus * BUS_BYTES,
                  (a->mcfg[i].last_bus - a->mcfg[i].first_bus + 1u) *
                      BUS_BYTES))
            return true;
    return false;
}

bool reach_allowed(const struct boot_info *boot, const struct acpi *a,
                   unsigned address_bits, uint64_t start, uint64_t bytes)
{
    uint64_t limit = address_bits < 64 ? 1ull << address_bits : UINT64_MAX;
    uint64_t page = APIC_BYTES - 1;
    struct stretch s;

    if (!bytes || start >= limit || bytes > limit - start)
        return false;
    /* what is mapped are whole pages */
    s = (struct stretch){ start & ~page, (start + bytes + page) & ~page };
    return s.end && !meets_memory(boot, s) && !meets_kernel_devices(a, s);
}
