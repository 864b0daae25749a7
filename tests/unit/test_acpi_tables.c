/*
 * test_acpi_tables.c - what MADT, MCFG and FADT say, honest and not. Includes
 * the reader, to hand it single tables; damaged ones in all ways are
 * fuzz_acpi.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "kernel/acpi.c"

#include <cmocka.h>

#include "kernel/clock_rate.h"

bool vmm_translate(uint64_t virt, uint64_t *phys) { return false; }
volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags)
{
    return NULL;
}
void klog(const char *format, ...) {}

static int begin(void **state)
{
    memset(&facts, 0, sizeof facts);
    return 0;
}

/* A table of a header, `fixed` further bytes of zeros, and entries; a block of
 * its own, so that ASan sees what is read behind it. */
static struct table *make(size_t fixed, const void *entries, size_t n)
{
    struct table *t = calloc(1, sizeof *t + fixed + n);

    t->length = (uint32_t)(sizeof *t + fixed + n);
    memcpy((char *)(t + 1) + fixed, entries, n);
    return t;
}

static void madt(const void *entries, size_t n)
{
    struct table *t = make(8, entries, n);

    read_madt(t);
    free(t);
}

static void cores_that_work_are_counted_once(void **state)
{
    static const uint8_t entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,  0, 8, 1, 2, 1, 0, 0, 0,
        0, 8, 2, 4, 0, 0, 0, 0,  /* not there */
        0, 8, 3, 6, 2, 0, 0, 0,  /* could be plugged in */
        9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, /* known */
        9, 16, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, /* number 1024 */
    };

    madt(entries, sizeof entries);
    assert_int_equal(facts.core_count, 3);
    assert_int_equal(facts.cores[0], 0);
    assert_int_equal(facts.cores[1], 2);
    assert_int_equal(facts.cores[2], 1024);
}

static void more_cores_than_there_is_room_for(void **state)
{
    static uint8_t entries[16 * 400];

    for (unsigned i = 0; i < 400; i++) {
        uint8_t *e = entries + 16 * i;

        e[0] = 9;
        e[1] = 16;
        e[4] = (uint8_t)i;
        e[5] = (uint8_t)(i >> 8);
        e[8] = 1;
    }
    madt(entries, sizeof entries);
    assert_int_equal(facts.core_count, ACPI_CORES);
}

static void entries_that_lie_about_their_length(void **state)
{
    static const uint8_t none[] = { 0, 0, 1, 1, 1, 0, 0, 0 };
    static const uint8_t small[] = { 0, 4, 1, 1,  9, 8, 0, 0, 0, 0, 0, 0,
                                     1, 4, 0, 0,  2, 4, 0, 0, 5, 4, 0, 0 };
    static const uint8_t beyond[] = { 0, 8, 0, 0, 1, 0, 0 };

    madt(none, sizeof none);
    madt(small, sizeof small);
    madt(beyond, sizeof beyond);
    madt("", 0);
    madt("\5", 1);
    assert_int_equal(facts.core_count, 0);
    assert_int_equal(facts.io_apic_count, 0);
    assert_int_equal(facts.override_count, 0);
}

static void mcfg(const struct mcfg_entry *e, size_t n)
{
    struct table *t = make(8, e, n * sizeof *e);

    read_mcfg(t);
    free(t);
}

static void configuration_space_of_segment_0(void **state)
{
    const struct mcfg_entry e[] = {
        { .address = 0xc0000000, .segment = 1, .last_bus = 255 },
        { .address = 0xe0000000, .first_bus = 0, .last_bus = 63 },
        { .address = 0xf0000000, .first_bus = 64, .last_bus = 127 },
    };

    mcfg(e, 3);
    assert_int_equal(facts.mcfg_count, 2);
    assert_int_equal(facts.mcfg[0].address, 0xe0000000);
    assert_int_equal(facts.mcfg[1].first_bus, 64);
    assert_int_equal(facts.mcfg[1].last_bus, 127);
}

static void configuration_space_that_makes_no_sense(void **state)
{
    const struct mcfg_entry e[] = {
        { .address = 0, .last_bus = 255 },
        { .address = 0xe0000000, .first_bus = 9, .last_bus = 8 },
        { .address = 0xe0001000, .last_bus = 255 },
    };
    struct mcfg_entry many[20];
    struct table *t = make(8, "short", 5);

    mcfg(e, 3);
    mcfg(e, 0);
    read_mcfg(t);
    free(t);
    assert_int_equal(facts.mcfg_count, 0);
    for (int i = 0; i < 20; i++)
        many[i] = (struct mcfg_entry){ .address = 0xe0000000 };
    mcfg(many, 20);
    assert_int_equal(facts.mcfg_count, ACPI_MCFG);
}

static void every_length_of_fadt(void **state)
{
    struct fadt whole = { .sci_line = 9, .pm1a_event = 0x600,
                          .pm1_event_bytes = 4, .gpe0 = 0x620,
                          .gpe0_bytes = 16, .flags = FADT_RESET_SUPPORTED,
                          .reset = { .space = 1, .at = 0xcf9 },
                          .reset_value = 15 };

    for (uint32_t n = sizeof(struct table); n <= sizeof whole; n++) {
        struct fadt *f = malloc(n);

        memset(&facts, 0, sizeof facts);
        whole.header.length = n;
        memcpy(f, &whole, n);
        read_fadt((void *)f);
        assert_int_equal(facts.pm1_event_bytes, n > 88 ? 4 : 0);
        assert_int_equal(facts.reset_value, n > 128 ? 15 : 0);
        free(f);
    }
    assert_int_equal(facts.sci_line, 9);
    assert_int_equal(facts.pm1a_event, 0x600);
    assert_int_equal(facts.gpe0, 0x620);
    assert_int_equal(facts.gpe0_bytes, 16);
    assert_true(facts.reset_by_port && facts.reset_address == 0xcf9);
    assert_true(facts.power_button);
    whole.flags |= FADT_NO_FIXED_BUTTON;
    read_fadt((void *)&whole);
    assert_false(facts.power_button);
}

static void rates_of_counters(void **state)
{
    assert_int_equal(clock_rate(2400000000, FEMTOSECONDS), 2400000000);
    assert_int_equal(clock_rate(24000000, FEMTOSECONDS / 100), 2400000000);
    assert_int_equal(clock_rate(UINT64_MAX / 2, FEMTOSECONDS), INT64_MAX);
    assert_int_equal(clock_rate(5, 0), 0);
    assert_false(clock_rate_differs(2400000000, 2400000000));
    assert_false(clock_rate_differs(2401000000, 2400000000));
    assert_true(clock_rate_differs(2410000000, 2400000000));
    assert_true(clock_rate_differs(1200000000, 2400000000));
    assert_false(clock_rate_differs(0, 2400000000)); /* nonsense */
    assert_false(clock_rate_differs(1, 2400000000));
    assert_false(clock_rate_differs(240000000000, 2400000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cores_that_work_are_counted_once, begin),
        cmocka_unit_test_setup(more_cores_than_there_is_room_for, begin),
        cmocka_unit_test_setup(entries_that_lie_about_their_length, begin),
        cmocka_unit_test_setup(configuration_space_of_segment_0, begin),
        cmocka_unit_test_setup(configuration_space_that_makes_no_sense,
                               begin),
        cmocka_unit_test_setup(every_length_of_fadt, begin),
        cmocka_unit_test(rates_of_counters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
