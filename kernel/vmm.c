/*
 * vmm.c - four levels of page tables. Intel SDM volume 3, chapter 4.
 *
 * Owns the only address space there is. Everything is no-execute unless
 * asked for, and write protection holds in ring 0 too (CR0.WP).
 */
#include "kernel/vmm.h"

#include <errno.h>
#include <string.h>

#include "kernel/cpu.h"
#include "kernel/layout.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_WRITE_THROUGH (1ull << 3)
#define PTE_NO_CACHE (1ull << 4)
#define PTE_LARGE (1ull << 7)
#define PTE_PAT (1ull << 7) /* in the last level */
#define PTE_GLOBAL (1ull << 8)
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define LARGE_PAGE 0x200000ull
#define FOUR_GIB 0x100000000ull
#define MSR_EFER 0xc0000080u
#define EFER_NXE (1ull << 11)
#define MSR_PAT 0x277u
/* Reset value but for entry 4, which becomes write-combining. */
#define PAT_VALUE 0x0007040100070406ull
#define CR0_WP (1ull << 16)
#define CR4_PGE (1ull << 7)

static uint64_t *root;
/* PTE_NX where the processor has it: without it we get as far as saying so
 * (kmain.c). */
static uint64_t no_execute;
static bool has_pat;
static uint64_t next_device = DEVICE_BASE, next_stack = STACK_BASE;

static unsigned level_index(uint64_t virt, unsigned level)
{
    return virt >> (12 + 9 * level) & 511;
}

/* The entry for `virt` at `level` (0: page, 1: 2 MiB); NULL if tables are
 * missing and `make` is not set, or memory is out. */
static uint64_t *entry_at(uint64_t virt, unsigned level, bool make)
{
    uint64_t *table = root;

    for (unsigned l = 3; l > level; l--) {
        uint64_t *e = &table[level_index(virt, l)];

        if (!(*e & PTE_PRESENT)) {
            uint64_t page = make ? pmm_alloc() : NO_PAGE;

            if (page == NO_PAGE)
                return NULL;
            memset(phys_to_virt(page), 0, PAGE_SIZE);
            *e = page | PTE_PRESENT | PTE_WRITE;
        } else if (*e & PTE_LARGE) {
            return NULL;
        }
        table = phys_to_virt(*e & PTE_ADDRESS);
    }
    return &table[level_index(virt, level)];
}

static uint64_t pte_bits(unsigned flags)
{
    uint64_t bits = PTE_PRESENT | PTE_GLOBAL;

    if (flags & PAGE_WRITE)
        bits |= PTE_WRITE;
    if (!(flags & PAGE_EXEC))
        bits |= no_execute;
    if (flags & PAGE_UNCACHED)
        bits |= PTE_NO_CACHE | PTE_WRITE_THROUGH;
    if (flags & PAGE_COMBINE) /* else entry 2: the MTRRs decide */
        bits |= has_pat ? PTE_PAT : PTE_NO_CACHE;
    return bits;
}

int vmm_map(uint64_t virt, uint64_t phys, unsigned flags)
{
    uint64_t *e = entry_at(virt, 0, true);
    bool was_present;

    if (!e)
        return -ENOMEM;
    was_present = *e & PTE_PRESENT;
    *e = phys | pte_bits(flags);
    if (was_present) /* what is absent is never cached (SDM 3, 4.10.2) */
        invlpg(virt);
    return 0;
}

uint64_t vmm_unmap(uint64_t virt)
{
    uint64_t *e = entry_at(virt, 0, false), was;

    if (!e || !(*e & PTE_PRESENT))
        return 0;
    was = *e & PTE_ADDRESS;
    *e = 0;
    invlpg(virt);
    return was;
}

bool vmm_translate(uint64_t virt, uint64_t *phys)
{
    uint64_t *table = root;

    if (!root || (int64_t)(virt << 16) >> 16 != (int64_t)virt)
        return false;
    for (unsigned l = 3;; l--) {
        uint64_t e = table[level_index(virt, l)];
        uint64_t in_page = virt & ((1ull << (12 + 9 * l)) - 1);

        if (!(e & PTE_PRESENT))
            return false;
        if (l == 0 || (e & PTE_LARGE)) {
            *phys = (e & PTE_ADDRESS & ~((1ull << (12 + 9 * l)) - 1)) +
                    in_page;
            return true;
        }
        table = phys_to_virt(e & PTE_ADDRESS);
    }
}

uint64_t vmm_run(uint64_t virt, uint64_t bytes, uint64_t *phys)
{
    uint64_t got = PAGE_SIZE - virt % PAGE_SIZE, *e;

    if (!vmm_translate(virt, phys))
        return 0;
    e = entry_at(virt, 0, false); /* NULL: a large page */
    while (e && got < bytes && level_index(virt + got, 0)) {
        e++;
        if (!(*e & PTE_PRESENT) || (*e & PTE_ADDRESS) != *phys + got)
            break;
        got += PAGE_SIZE;
    }
    return got < bytes ? got : bytes;
}

/* --- the kernel's own map --- */

static void map_or_refuse(uint64_t virt, uint64_t phys, unsigned flags)
{
    if (vmm_map(virt, phys, flags))
        refuse("There is not enough memory to start.");
}

static void map_section(const char *start, const char *end, unsigned flags)
{
    for (const char *p = start; p < end; p += PAGE_SIZE) {
        uint64_t virt = (uint64_t)(uintptr_t)p;

        map_or_refuse(virt, virt - KERNEL_BASE, flags);
    }
}

static bool is_protected(uint64_t phys)
{
    uint64_t virt = phys + KERNEL_BASE;

    return virt >= (uint64_t)(uintptr_t)__text_start &&
           virt < (uint64_t)(uintptr_t)__rodata_end;
}

/* The large pages with the kernel in them become small ones: its code and
 * constants are read-only under this address, too. */
static void split_kernel(void)
{
    uint64_t at = layout_kernel_start() / LARGE_PAGE * LARGE_PAGE;
    uint64_t end = (layout_kernel_end() + LARGE_PAGE - 1) / LARGE_PAGE *
                   LARGE_PAGE;

    for (uint64_t virt = DIRECT_BASE + at; virt < DIRECT_BASE + end;
         virt += LARGE_PAGE)
        *entry_at(virt, 1, false) = 0;
    for (; at < end; at += PAGE_SIZE)
        map_or_refuse(DIRECT_BASE + at, at,
                      is_protected(at) ? 0 : PAGE_WRITE);
}

static void map_all_ram(void)
{
    uint64_t end = pmm_top() > FOUR_GIB ? pmm_top() : FOUR_GIB;

    for (uint64_t at = 0; at < end; at += LARGE_PAGE) {
        uint64_t *e = entry_at(DIRECT_BASE + at, 1, true);

        if (!e)
            refuse("There is not enough memory to start.");
        *e = at | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_GLOBAL |
             no_execute;
    }
}

void vmm_init(void)
{
    uint64_t page = pmm_alloc();

    if (page == NO_PAGE)
        refuse("There is not enough memory to start.");
    root = phys_to_virt(page);
    memset(root, 0, PAGE_SIZE);
    if (cpu_has_no_execute()) {
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
        no_execute = PTE_NX;
    }
    has_pat = cpu_has_pat();
    if (has_pat)
        wrmsr(MSR_PAT, PAT_VALUE);
    map_all_ram();
    split_kernel();
    map_section(__text_start, __text_end, PAGE_EXEC);
    map_section(__text_end, __rodata_end, 0);
    map_section(__rodata_end, __data_end, PAGE_WRITE);
    write_cr3(page);
    write_cr0(read_cr0() | CR0_WP);
    write_cr4(read_cr4() | CR4_PGE);
    pmm_prefer_high();
}

/* --- the other address space --- */

enum { TABLE_ENTRIES = 512, KERNEL_HALF = TABLE_ENTRIES / 2 };

static uint64_t *space; /* its top table; NULL: nothing is mapped there */

static bool make_space(void)
{
    uint64_t page = space ? NO_PAGE : pmm_alloc();

    if (page != NO_PAGE) {
        space = phys_to_virt(page);
        memset(space, 0, PAGE_SIZE);
    }
    return space != NULL;
}

int vmm_space_map(uint64_t phys, uint64_t pages)
{
    uint64_t *kernel = root;
    int error = make_space() ? 0 : -ENOMEM;

    root = space;
    for (uint64_t i = 0; i < pages && !error; i++)
        error = vmm_map(phys + i * PAGE_SIZE, phys + i * PAGE_SIZE,
                        PAGE_WRITE | PAGE_EXEC);
    root = kernel;
    return error;
}

/* Pages of the lower half are global, too: with CR4.PGE off none is
 * remembered from one space in the other (SDM 3, 4.10.4.1). */
static void switch_to(const uint64_t *table)
{
    write_cr4(read_cr4() & ~CR4_PGE);
    write_cr3((uint64_t)(uintptr_t)table - DIRECT_BASE);
}

void vmm_space_enter(void)
{
    memcpy(space + KERNEL_HALF, root + KERNEL_HALF,
           (TABLE_ENTRIES - KERNEL_HALF) * sizeof *root);
    switch_to(space);
}

void vmm_space_leave(void)
{
    switch_to(root);
    write_cr4(read_cr4() | CR4_PGE);
}

/* --- ranges --- */

/* Makes the page tables of the range and counts what is not mapped there.
 * False: no memory for tables. */
static bool prepare(uint64_t virt, uint64_t bytes, uint64_t *missing)
{
    *missing = 0;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
        uint64_t *e = entry_at(virt + at, 0, true);

        if (!e)
            return false;
        *missing += !(*e & PTE_PRESENT);
    }
    return true;
}

/* What can fail comes before the first page is mapped: the range may hold
 * pages of others, and nothing has to be told from them afterwards. */
int vmm_commit(uint64_t virt, uint64_t bytes, unsigned flags)
{
    uint64_t tables = bytes / 512 + 8 * PAGE_SIZE, missing;

    if (bytes + tables > pmm_free_bytes() ||
        !prepare(virt, bytes, &missing) ||
        missing * PAGE_SIZE > pmm_free_bytes())
        return -ENOMEM;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
        uint64_t *e = entry_at(virt + at, 0, false), page;

        if (*e & PTE_PRESENT)
            continue;
        page = pmm_alloc();
        *e = page | pte_bits(flags);
        if (!(flags & PAGE_STALE))
            memset(phys_to_virt(page), 0, PAGE_SIZE);
    }
    return 0;
}

/* Reserved ranges may be huge and empty: absent tables are passed over 2 MiB
 * at a time. */
void vmm_release(uint64_t virt, uint64_t bytes)
{
    uint64_t end = virt + bytes, page;

    while (virt < end) {
        if (!entry_at(virt, 0, false)) {
            virt = (virt / LARGE_PAGE + 1) * LARGE_PAGE;
            continue;
        }
        page = vmm_unmap(virt);
        if (page)
            pmm_free(page);
        virt += PAGE_SIZE;
    }
}

volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags)
{
    uint64_t offset = phys % PAGE_SIZE, base = next_device;
    uint64_t pages = (offset + bytes + PAGE_SIZE - 1) / PAGE_SIZE;

    for (uint64_t i = 0; i < pages; i++)
        if (vmm_map(base + i * PAGE_SIZE, phys - offset + i * PAGE_SIZE,
                    flags | PAGE_WRITE))
            return NULL;
    next_device += (pages + 1) * PAGE_SIZE;
    return (volatile void *)(uintptr_t)(base + offset);
}

void *vmm_new_stack(uint64_t bytes)
{
    uint64_t base = next_stack + PAGE_SIZE; /* the guard stays unmapped */

    if (vmm_commit(base, bytes, PAGE_WRITE))
        return NULL;
    next_stack = base + bytes;
    return (void *)(uintptr_t)next_stack;
}

void *dma_alloc(uint64_t bytes, uint64_t *phys)
{
    uint64_t pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;

    *phys = pmm_alloc_run(pages, FOUR_GIB);
    if (*phys == NO_PAGE)
        return NULL;
    memset(phys_to_virt(*phys), 0, pages * PAGE_SIZE);
    return phys_to_virt(*phys);
}
