/*
 * test_apic.c - the local APIC in x2APIC mode and its TSC-deadline timer,
 * which Debian 12's QEMU does not emulate: what is written to which register,
 * in which order. Includes the driver; model-specific registers are an array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cpu.h"

/* cpu.h's own are kept from the driver. */
#define rdmsr fake_rdmsr
#define wrmsr fake_wrmsr

enum { WRITES = 64 };
static struct {
    uint64_t base; /* IA32_APIC_BASE */
    uint64_t id, requests;
    struct {
        uint32_t msr;
        uint64_t value;
    } writes[WRITES];
    unsigned count;
} cpu;
static uint32_t io_apic[16], local[1024];

static uint64_t fake_rdmsr(uint32_t msr)
{
    switch (msr) {
    case 0x1b: return cpu.base;
    case 0x802: return cpu.id;
    case 0x827: return cpu.requests; /* vectors 224 to 255 */
    default: return 0;
    }
}

static void fake_wrmsr(uint32_t msr, uint64_t v)
{
    cpu.writes[cpu.count].msr = msr;
    cpu.writes[cpu.count++ % WRITES].value = v;
}

#include "kernel/apic.c"

#include <cmocka.h>

static bool has_x2;

bool cpu_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
    return leaf == 1 && reg == 2 && bit == 21 && has_x2;
}

static struct acpi facts;

const struct acpi *acpi(void) { return &facts; }

volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags)
{
    return phys == 0xfee00000 ? (volatile void *)local
                              : (volatile void *)io_apic;
}

static void start(uint64_t base, uint32_t id)
{
    memset(&cpu, 0, sizeof cpu);
    memset(local, 0, sizeof local);
    cpu.base = base;
    cpu.id = id;
    facts = (struct acpi){
        .local_apic = 0xfee00000,
        .io_apic = { { 0xfec00000, 0 } }, .io_apic_count = 1,
        .cores = { 0, 2, 300, 5 }, .core_count = 4,
    };
    io_apic_count = 0;
    assert_true(apic_init());
}

static uint64_t written(uint32_t msr)
{
    for (unsigned i = cpu.count; i-- > 0;)
        if (cpu.writes[i].msr == msr)
            return cpu.writes[i].value;
    return UINT64_MAX;
}

static void left_in_x2_mode_it_is_reached_by_msr(void **state)
{
    start(BASE_ENABLED | BASE_X2APIC, 2);
    assert_true(apic_is_x2());
    assert_int_equal(apic_id(), 2); /* all 32 bits, not the top 8 */
    assert_int_equal(written(0x80f), 0x1ff); /* on, spurious vector 255 */
    assert_int_equal(written(0x808), 0);
    assert_int_equal(written(0x835), LVT_MASKED);
    assert_int_equal(written(0x1b), UINT64_MAX); /* the mode stays */
    apic_end_of_interrupt();
    assert_int_equal(cpu.writes[cpu.count - 1].msr, 0x80b);
    assert_int_equal(cpu.writes[cpu.count - 1].value, 0); /* else it traps */
    apic_timer_start(240, 1000);
    assert_int_equal(written(0x832), 240);
    assert_int_equal(written(0x838), 1000);
}

static void wanted_it_is_changed_to_where_the_processor_can(void **state)
{
    apic_want_x2();
    has_x2 = false;
    start(BASE_ENABLED, 2);
    assert_false(apic_is_x2());
    has_x2 = true;
    start(BASE_ENABLED, 2);
    assert_true(apic_is_x2());
    assert_int_equal(written(0x1b), BASE_ENABLED | BASE_X2APIC);
    assert_int_equal(apic_id(), 2);
    x2apic_wanted = has_x2 = false;
}

static void others_are_parked_by_one_write_each(void **state)
{
    unsigned before;

    start(BASE_ENABLED | BASE_X2APIC, 2);
    before = cpu.count;
    assert_int_equal(apic_park_others(), 3);
    assert_int_equal(cpu.count - before, 3);
    for (unsigned i = before; i < cpu.count; i++)
        assert_int_equal(cpu.writes[i].msr, 0x830);
    assert_int_equal(cpu.writes[before].value, 0x4500); /* INIT, to 0 */
    assert_int_equal(cpu.writes[before + 1].value, 300ull << 32 | 0x4500);
    assert_int_equal(cpu.writes[before + 2].value, 5ull << 32 | 0x4500);
}

/* Through memory ids have eight bits: 300 cannot be told anything. */
static void parked_through_memory(void **state)
{
    start(BASE_ENABLED, 0);
    local[LAPIC_ID / 4] = 2u << 24;
    assert_false(apic_is_x2());
    assert_int_equal(apic_id(), 2);
    assert_int_equal(apic_park_others(), 2);
    assert_int_equal(local[LAPIC_COMMAND_HIGH / 4], 5u << 24);
    assert_int_equal(local[LAPIC_COMMAND / 4], 0x4500);
}

static void deadline_after_its_mode(void **state)
{
    start(BASE_ENABLED | BASE_X2APIC, 0);
    apic_deadline_start(240, 0x123456789abcull);
    assert_int_equal(cpu.writes[cpu.count - 2].msr, 0x832);
    assert_int_equal(cpu.writes[cpu.count - 2].value, 240 | 2 << 17);
    assert_int_equal(cpu.writes[cpu.count - 1].msr, 0x6e0);
    assert_int_equal(cpu.writes[cpu.count - 1].value, 0x123456789abcull);
    assert_false(apic_requested(240));
    cpu.requests = 1 << 16;
    assert_true(apic_requested(240));
    assert_false(apic_requested(241));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_in_x2_mode_it_is_reached_by_msr),
        cmocka_unit_test(wanted_it_is_changed_to_where_the_processor_can),
        cmocka_unit_test(others_are_parked_by_one_write_each),
        cmocka_unit_test(parked_through_memory),
        cmocka_unit_test(deadline_after_its_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
