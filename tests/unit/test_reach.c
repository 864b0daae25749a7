/*
 * test_reach.c - which addresses drivers in Smalltalk may touch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "boot/boot_info.h"
#include "kernel/acpi.h"
#include "kernel/reach.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* A PC of 5 GiB: RAM below 3 GiB, a hole for devices, RAM above 4 GiB. */
static const struct boot_info pc = {
    .ranges = {
        { 0, 0x9fc00, BOOT_RAM },
        { 0x9fc00, 0x400, BOOT_RESERVED },
        { 0xf0000, 0x10000, BOOT_RESERVED },
        { MIB, 3 * GIB - 2 * MIB, BOOT_RAM },
        { 3 * GIB - MIB, MIB / 2, BOOT_ACPI_TABLES },
        { 3 * GIB - MIB / 2, MIB / 2, BOOT_ACPI_NVS },
        { 0xfffc0000, 0x40000, BOOT_RESERVED },
        { 4 * GIB, 2 * GIB, BOOT_RAM },
    },
    .range_count = 8,
};
static const struct acpi facts = {
    .local_apic = 0xfee00000,
    .io_apic = { { 0xfec00000, 0 } },
    .io_apic_count = 1,
    .mcfg = { { 0xe0000000, 0, 255 } },
    .mcfg_count = 1,
};

static bool ok(uint64_t start, uint64_t bytes)
{
    return reach_allowed(&pc, &facts, 40, start, bytes);
}

static void device_ranges_are_allowed(void **state)
{
    assert_true(ok(0xfd000000, 16 * MIB));
    assert_true(ok(0xa0000, 0x20000));
    assert_true(ok(0xf0000, 0x10000));
    assert_true(ok(0xfed00000, 1024)); /* HPET */
    assert_true(ok(6 * GIB, 64 * GIB));
    assert_true(ok(0xfed00004, 4));
}

static void memory_is_refused(void **state)
{
    assert_false(ok(MIB, 4));
    assert_false(ok(0, 4));
    assert_false(ok(0x9fc00, 16)); /* low, though called reserved */
    assert_false(ok(3 * GIB - MIB - 4, 8));
    assert_false(ok(3 * GIB - MIB, 4)); /* tables */
    assert_false(ok(3 * GIB - 4, 4));   /* what sleep needs */
    assert_false(ok(5 * GIB, 4096));
    assert_false(ok(4 * GIB - 0x40000, 0x40001)); /* into RAM above */
    assert_false(ok(0xc0000000 - 1, 2));
}

/* A page with RAM in it is mapped whole. */
static void neighbours_in_the_page_count(void **state)
{
    struct boot_info odd = { .ranges = { { 8 * MIB + 100, 8, BOOT_RAM } },
                             .range_count = 1 };

    assert_false(reach_allowed(&odd, &facts, 40, 8 * MIB + 2048, 4));
    assert_true(reach_allowed(&odd, &facts, 40, 8 * MIB + 4096, 4));
}

static void what_the_kernel_drives_is_refused(void **state)
{
    assert_false(ok(0xfee00000, 4));
    assert_false(ok(0xfee00ff0, 4));
    assert_false(ok(0xfec00000, 0x20));
    assert_false(ok(0xe0000000, 4096));
    assert_false(ok(0xefffffff, 1));
    assert_true(ok(0xf0000000, 4096));
}

static void senseless_ranges_are_refused(void **state)
{
    assert_false(ok(0xfd000000, 0));
    assert_false(ok(1ull << 40, 4));
    assert_false(ok((1ull << 40) - 4, 8));
    assert_false(ok(UINT64_MAX - 3, 4));
    assert_false(ok(UINT64_MAX, 1));
    assert_false(ok(0xfd000000, UINT64_MAX));
    assert_false(reach_allowed(&pc, &facts, 64, UINT64_MAX - 100, 100));
}

/* A map whose range wraps around hides nothing below it. */
static void a_lying_map_refuses_more_not_less(void **state)
{
    struct boot_info lying = {
        .ranges = { { GIB, UINT64_MAX, BOOT_RAM } }, .range_count = 1,
    };

    assert_false(reach_allowed(&lying, &facts, 40, 2 * GIB, 4));
    assert_false(reach_allowed(&lying, &facts, 40, 500 * GIB, 4));
    assert_true(reach_allowed(&lying, &facts, 40, GIB / 2, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_ranges_are_allowed),
        cmocka_unit_test(memory_is_refused),
        cmocka_unit_test(neighbours_in_the_page_count),
        cmocka_unit_test(what_the_kernel_drives_is_refused),
        cmocka_unit_test(senseless_ranges_are_refused),
        cmocka_unit_test(a_lying_map_refuses_more_not_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
