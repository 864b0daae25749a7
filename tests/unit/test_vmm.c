/*
 * test_vmm.c - page tables in a small RAM of our own. Includes the code, with
 * that RAM where the kernel has all of it, and no privileged instruction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define phys_to_virt kernel_phys_to_virt
#define invlpg kernel_invlpg
#include "kernel/cpu.h"
#include "kernel/vmm.h"
#undef phys_to_virt
#undef invlpg

static void *phys_to_virt(uint64_t phys);
static void invlpg(uint64_t virt);

#include "kernel/vmm.c"

enum { PAGES = 64, AT = 0x40000000 };

static uint8_t ram[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned next, freed; /* pages are given once */
static uint64_t claimed;     /* that there are, but not to be had */

char __kernel_start[1], __kernel_end[1], __text_start[1], __text_end[1],
    __rodata_end[1], __data_end[1];

static void *phys_to_virt(uint64_t phys)
{
    assert_true(phys < sizeof ram);
    return ram + phys;
}

static void invlpg(uint64_t virt) {}
uint64_t pmm_alloc(void)
{
    return next < PAGES ? next++ * PAGE_SIZE : NO_PAGE;
}
void pmm_free(uint64_t page) { freed++; }
uint64_t pmm_free_bytes(void) { return (PAGES - next) * PAGE_SIZE + claimed; }
uint64_t pmm_top(void) { return sizeof ram; }
uint64_t pmm_alloc_run(uint64_t pages, uint64_t limit) { return NO_PAGE; }
void pmm_prefer_high(void) {}
bool cpu_has_no_execute(void) { return true; }
bool cpu_has_pat(void) { return true; }
void refuse(const char *format, ...) { abort(); }

static int fresh(void **state)
{
    memset(ram, 0xaa, sizeof ram);
    next = freed = 0;
    claimed = 0;
    root = phys_to_virt(pmm_alloc());
    memset(root, 0, PAGE_SIZE);
    return 0;
}

static uint64_t behind(uint64_t virt)
{
    uint64_t phys;

    return vmm_translate(virt, &phys) ? phys : NO_PAGE;
}

static void fills_only_the_holes(void **state)
{
    uint64_t mine = pmm_alloc();

    assert_int_equal(vmm_map(AT + PAGE_SIZE, mine, PAGE_WRITE), 0);
    assert_int_equal(vmm_commit(AT, 3 * PAGE_SIZE, PAGE_WRITE), 0);
    assert_int_equal(behind(AT + PAGE_SIZE + 5), mine + 5);
    assert_int_equal(ram[mine], 0xaa);
    assert_true(behind(AT) != NO_PAGE && behind(AT) != mine);
    assert_int_equal(ram[behind(AT)], 0);
    assert_int_equal(ram[behind(AT + 3 * PAGE_SIZE - 1)], 0);
    assert_int_equal(behind(AT + 3 * PAGE_SIZE), NO_PAGE);
}

static void stale_pages_are_not_cleared(void **state)
{
    assert_int_equal(vmm_commit(AT, PAGE_SIZE, PAGE_WRITE | PAGE_STALE), 0);
    assert_int_equal(ram[behind(AT)], 0xaa);
}

/* SDM 3, 11.12: the attribute is the entry of the PAT that the three bits
 * count. */
static unsigned memory_type(unsigned flags)
{
    uint64_t e;

    assert_int_equal(vmm_map(AT, PAGE_SIZE, flags), 0);
    e = *entry_at(AT, 0, false);
    return PAT_VALUE >> 8 * ((e & PTE_PAT ? 4 : 0) |
                             (e & PTE_NO_CACHE ? 2 : 0) |
                             (e & PTE_WRITE_THROUGH ? 1 : 0)) & 7;
}

static void attributes_are_what_they_say(void **state)
{
    enum { UNCACHEABLE = 0, WRITE_COMBINING = 1, WRITE_BACK = 6, WEAK = 7 };

    has_pat = true;
    assert_int_equal(memory_type(PAGE_WRITE), WRITE_BACK);
    assert_int_equal(memory_type(PAGE_WRITE | PAGE_UNCACHED), UNCACHEABLE);
    assert_int_equal(memory_type(PAGE_WRITE | PAGE_COMBINE),
                     WRITE_COMBINING);
    has_pat = false; /* then the MTRRs may make it combining */
    assert_int_equal(memory_type(PAGE_WRITE | PAGE_COMBINE), WEAK);
}

static void too_much_maps_nothing(void **state)
{
    assert_int_equal(vmm_commit(AT, PAGES * PAGE_SIZE, PAGE_WRITE), -ENOMEM);
    assert_int_equal(behind(AT), NO_PAGE);
    assert_int_equal(next, 1); /* not even tables */
}

/* Less is to be had than was claimed. */
static void failing_half_way_keeps_what_was_there(void **state)
{
    uint64_t edge = AT + LARGE_PAGE, mine = pmm_alloc();

    assert_int_equal(vmm_map(edge - 2 * PAGE_SIZE, mine, PAGE_WRITE), 0);
    next = PAGES;
    claimed = 100 * PAGE_SIZE;
    assert_int_equal(vmm_commit(edge - 2 * PAGE_SIZE, 4 * PAGE_SIZE,
                                PAGE_WRITE), -ENOMEM);
    assert_int_equal(behind(edge - 2 * PAGE_SIZE), mine);
    assert_int_equal(behind(edge - PAGE_SIZE), NO_PAGE);
    assert_int_equal(behind(edge), NO_PAGE);
    assert_int_equal(freed, 0);
}

/* Enough by the first look; the tables take what the pages need. */
static void tables_count(void **state)
{
    uint64_t mine = pmm_alloc();

    assert_int_equal(vmm_map(AT, mine, PAGE_WRITE), 0);
    next = PAGES - 10;
    claimed = 0;
    assert_int_equal(vmm_commit(AT, 2 * PAGE_SIZE, PAGE_WRITE), -ENOMEM);
    next = PAGES - 11;
    assert_int_equal(vmm_commit(AT, 2 * PAGE_SIZE, PAGE_WRITE), 0);
    assert_int_equal(behind(AT), mine);
}

static void release_gives_back_what_is_there(void **state)
{
    assert_int_equal(vmm_commit(AT, 2 * PAGE_SIZE, PAGE_WRITE), 0);
    vmm_release(AT - LARGE_PAGE, 3 * LARGE_PAGE);
    assert_int_equal(freed, 2);
    assert_int_equal(behind(AT), NO_PAGE);
    assert_int_equal(behind(AT + PAGE_SIZE), NO_PAGE);
}

static void check_run(uint64_t virt, uint64_t bytes, uint64_t wanted,
                      uint64_t wanted_phys)
{
    uint64_t phys = NO_PAGE;

    assert_int_equal(vmm_run(virt, bytes, &phys), wanted);
    if (wanted)
        assert_int_equal(phys, wanted_phys);
}

static void a_run_ends_where_pages_do_not_follow(void **state)
{
    static const uint64_t at[] = { 40, 41, 42, 44, 43 };
    uint64_t edge = AT + LARGE_PAGE;

    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(vmm_map(AT + i * PAGE_SIZE, at[i] * PAGE_SIZE, 0),
                         0);
    check_run(AT, 100 * PAGE_SIZE, 3 * PAGE_SIZE, 40 * PAGE_SIZE);
    check_run(AT + 8, 100 * PAGE_SIZE, 3 * PAGE_SIZE - 8, 40 * PAGE_SIZE + 8);
    check_run(AT + 8, PAGE_SIZE, PAGE_SIZE, 40 * PAGE_SIZE + 8);
    check_run(AT + PAGE_SIZE - 1, 1, 1, 41 * PAGE_SIZE - 1);
    check_run(AT + 4 * PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 43 * PAGE_SIZE);
    check_run(AT + 5 * PAGE_SIZE, 1, 0, 0);
    assert_int_equal(vmm_map(edge - PAGE_SIZE, 50 * PAGE_SIZE, 0), 0);
    check_run(edge - PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 50 * PAGE_SIZE);
    *entry_at(edge, 1, true) = 3 * LARGE_PAGE | PTE_PRESENT | PTE_LARGE;
    check_run(edge + 9, 2 * PAGE_SIZE, PAGE_SIZE - 9, 3 * LARGE_PAGE + 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fills_only_the_holes, fresh),
        cmocka_unit_test_setup(stale_pages_are_not_cleared, fresh),
        cmocka_unit_test_setup(attributes_are_what_they_say, fresh),
        cmocka_unit_test_setup(too_much_maps_nothing, fresh),
        cmocka_unit_test_setup(failing_half_way_keeps_what_was_there, fresh),
        cmocka_unit_test_setup(tables_count, fresh),
        cmocka_unit_test_setup(release_gives_back_what_is_there, fresh),
        cmocka_unit_test_setup(a_run_ends_where_pages_do_not_follow, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
