/*
 * pmm.c - feeds the frame bitmap from the boot loader's memory map.
 *
 * The first megabyte stays out: firmware data and real-mode structures live
 * there, and 640 KiB are not worth the risk.
 */
#include "kernel/pmm.h"

#include <stdbool.h>

#include "boot/boot_info.h"
#include "kernel/cpu.h"
#include "kernel/frames.h"
#include "kernel/layout.h"
#include "kernel/panic.h"
#include "kernel/vmm.h"

#define LOW_MEMORY 0x100000ull
#define FOUR_GIB 0x100000000ull
enum { REACHED_BITS = 46 }; /* DIRECT_BASE to DEVICE_BASE (vmm.h) */

static struct frames frames;
static uint64_t total, top;

/* What of a range of RAM can be reached; maps have been seen to lie. */
static uint64_t ram_end(const struct boot_range *r)
{
    unsigned bits = cpu_address_bits();
    uint64_t limit = bits < REACHED_BITS ? 1ull << bits
                                         : 1ull << REACHED_BITS;
    uint64_t end = r->start + r->bytes;

    return end < r->start || end > limit ? limit : end;
}

static uint64_t page_up(uint64_t a) { return (a + PAGE_SIZE - 1) / PAGE_SIZE; }

static bool overlaps(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
    return a < b_end && b < a_end;
}

/* End of whatever keeps [start, end) from being used, or 0. */
static uint64_t taken_until(const struct boot_info *boot, uint64_t start,
                            uint64_t end)
{
    uint64_t kernel_end = layout_kernel_end();

    if (overlaps(start, end, layout_kernel_start(), kernel_end))
        return kernel_end;
    if (overlaps(start, end, KEPT_LOG, KEPT_LOG + KEPT_LOG_BYTES))
        return KEPT_LOG + KEPT_LOG_BYTES;
    for (unsigned i = 0; i < boot->module_count; i++) {
        const struct boot_module *m = &boot->modules[i];

        if (overlaps(start, end, m->start, m->start + m->bytes))
            return m->start + m->bytes;
    }
    return 0;
}

/* A free stretch of RAM below 4 GiB (mapped already) for the bitmap. */
static uint64_t place_bitmap(const struct boot_info *boot, uint64_t bytes)
{
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];
        uint64_t at = r->start < LOW_MEMORY ? LOW_MEMORY : r->start;
        uint64_t end = r->start + r->bytes, until;

        if (r->type != BOOT_RAM)
            continue;
        at = page_up(at) * PAGE_SIZE;
        while (at + bytes <= end && at + bytes <= FOUR_GIB) {
            until = taken_until(boot, at, at + bytes);
            if (!until)
                return at;
            at = page_up(until) * PAGE_SIZE;
        }
    }
    refuse("There is not enough memory to start.");
}

static void measure(const struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];

        if (r->type != BOOT_RAM)
            continue;
        if (ram_end(r) <= r->start)
            continue;
        total += ram_end(r) - r->start;
        if (ram_end(r) > top)
            top = ram_end(r);
    }
}

/* Ranges of other kinds win where the firmware's map overlaps itself. */
static void release_ram(const struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];

        if (r->type == BOOT_RAM)
            pmm_free_range(r->start, r->bytes);
    }
    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];

        if (r->type != BOOT_RAM)
            frames_reserve(&frames, r->start / PAGE_SIZE,
                           page_up(r->start % PAGE_SIZE + r->bytes));
    }
}

static void reserve_bytes(uint64_t start, uint64_t bytes)
{
    frames_reserve(&frames, start / PAGE_SIZE,
                   page_up(start % PAGE_SIZE + bytes));
}

/* Pretends that RAM ends early: takes frames away from the top. */
static void apply_limit(uint64_t limit)
{
    uint64_t keep = limit / PAGE_SIZE, frame = frames.count;

    while (frames.free > keep && frame > 0)
        frames_reserve(&frames, --frame, 1);
}

void pmm_init(const struct boot_info *boot, uint64_t limit)
{
    uint64_t bytes, at;

    measure(boot);
    bytes = frames_bitmap_bytes(top / PAGE_SIZE);
    at = place_bitmap(boot, bytes);
    frames_init(&frames, phys_to_virt(at), top / PAGE_SIZE);
    release_ram(boot);
    frames_reserve(&frames, 0, LOW_MEMORY / PAGE_SIZE);
    reserve_bytes(layout_kernel_start(),
                  layout_kernel_end() - layout_kernel_start());
    reserve_bytes(at, bytes);
    reserve_bytes(KEPT_LOG, KEPT_LOG_BYTES);
    for (unsigned i = 0; i < boot->module_count; i++)
        reserve_bytes(boot->modules[i].start, boot->modules[i].bytes);
    if (limit)
        apply_limit(limit);
}

uint64_t pmm_alloc(void)
{
    uint64_t frame = frames_alloc(&frames);

    return frame == NO_FRAME ? NO_PAGE : frame * PAGE_SIZE;
}

void pmm_free(uint64_t page) { frames_release(&frames, page / PAGE_SIZE, 1); }

uint64_t pmm_alloc_run(uint64_t pages, uint64_t limit)
{
    uint64_t frame = frames_alloc_run(&frames, pages, 1, limit / PAGE_SIZE);

    return frame == NO_FRAME ? NO_PAGE : frame * PAGE_SIZE;
}

void pmm_free_range(uint64_t start, uint64_t bytes)
{
    uint64_t first = page_up(start), end = (start + bytes) / PAGE_SIZE;

    if (end > first)
        frames_release(&frames, first, end - first);
}

uint64_t pmm_free_from(uint64_t from, uint64_t *bytes)
{
    uint64_t n, frame = frames_free_from(&frames, page_up(from), &n);

    *bytes = n * PAGE_SIZE;
    return frame * PAGE_SIZE;
}

void pmm_prefer_high(void)
{
    if (frames.count > FOUR_GIB / PAGE_SIZE)
        frames.next = FOUR_GIB / PAGE_SIZE / 64;
}

uint64_t pmm_free_bytes(void) { return frames.free * PAGE_SIZE; }
uint64_t pmm_total_bytes(void) { return total; }
uint64_t pmm_top(void) { return top; }
