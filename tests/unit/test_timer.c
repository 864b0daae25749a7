/*
 * test_timer.c - which timer ticks: the TSC's deadline where it is believed,
 * else the local APIC's counter, measured, else the 8254. Includes the code;
 * the processor and its APIC are made of software.
 */
#include "kernel/cpu.h"

static unsigned long long fake_tsc;

static unsigned long long fake_rdtsc(void) { return fake_tsc; }
static void fake_outb(unsigned short port, unsigned char v);

#define rdtsc fake_rdtsc
#define outb fake_outb

#include "tests/unit/kernel_fake.h"

#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/timer.c"

enum { MHZ = 2000, APIC_MHZ = 100 };

static struct {
    bool apic, feature, invariant, works; /* what there is */
    uint64_t deadline; /* asked for; 0: none */
    uint32_t count;
    uint64_t counted_from; /* in usecs */
    unsigned char pit[3];
    unsigned pit_bytes;
} machine;

static void fake_outb(unsigned short port, unsigned char v)
{
    assert_in_range(port, PIT_CHANNEL0, PIT_COMMAND);
    machine.pit[machine.pit_bytes++ % 3] = v;
}

bool clock_is_invariant(void) { return machine.invariant; }
uint64_t clock_tsc_hz(void) { return MHZ * 1000000ull; }
int irq_attach_timer(irq_handler h) { return machine.apic ? 0 : -1; }
void irq_set_owner(const char *name) {}

bool cpu_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
    return leaf == 1 && reg == 2 && bit == 24 && machine.feature;
}

int irq_attach(uint32_t line, bool level, irq_handler h, void *arg)
{
    assert_int_equal(line, 0);
    return 0;
}

void apic_deadline_start(uint8_t vector, uint64_t tsc)
{
    assert_int_equal(vector, IRQ_TIMER_VECTOR);
    machine.deadline = tsc;
}

bool apic_requested(uint8_t vector)
{
    return machine.works && fake_now * MHZ >= machine.deadline;
}

void apic_timer_start(uint8_t vector, uint32_t ticks)
{
    machine.count = ticks;
    machine.counted_from = fake_now;
}

uint32_t apic_timer_left(void)
{
    return machine.count -
           (uint32_t)((fake_now - machine.counted_from) * APIC_MHZ);
}

static void start(bool feature, bool invariant, bool works)
{
    memset(&machine, 0, sizeof machine);
    machine.apic = true;
    machine.feature = feature;
    machine.invariant = invariant;
    machine.works = works;
    by_deadline = false;
    ticks_per_second = 0;
    fake_tsc = fake_now * MHZ;
    timer_init();
}

static void the_deadline_is_tried_and_used(void **state)
{
    start(true, true, true);
    assert_non_null(strstr(timer_description(), "time stamp counter"));
    assert_int_equal(machine.deadline, fake_tsc + MHZ * TIMER_TICK_USECS);
    fake_tsc = 77000000;
    timer_start(250);
    assert_int_equal(machine.deadline, 77000000 + 250 * MHZ);
    timer_start(UINT64_MAX); /* a second at most */
    assert_int_equal(machine.deadline, 77000000 + 1000000ull * MHZ);
    assert_int_equal(machine.count, 0);
}

static void assert_counts(void)
{
    assert_null(strstr(timer_description(), "time stamp"));
    assert_in_range(ticks_per_second, APIC_MHZ * 990000ull,
                    APIC_MHZ * 1010000ull);
    timer_start(250);
    assert_in_range(machine.count, 250 * APIC_MHZ - 300,
                    250 * APIC_MHZ + 300);
    timer_start(0); /* zero would stop it */
    assert_int_equal(machine.count, 1);
}

static void a_deadline_that_does_not_come_is_not_believed(void **state)
{
    start(true, true, false);
    assert_int_not_equal(machine.deadline, 0);
    assert_counts();
}

static void without_it_the_apic_counts(void **state)
{
    start(false, true, true);
    assert_int_equal(machine.deadline, 0);
    assert_counts();
    start(true, false, true); /* the TSC may change its rate */
    assert_int_equal(machine.deadline, 0);
    assert_counts();
}

static void without_an_apic_the_8254_ticks(void **state)
{
    memset(&machine, 0, sizeof machine);
    by_deadline = false;
    ticks_per_second = 0;
    timer_init();
    assert_int_equal(machine.pit_bytes, 3);
    assert_int_equal(machine.pit[1] | machine.pit[2] << 8, 1193);
    timer_start(5); /* it ticks by itself */
    assert_int_equal(machine.pit_bytes, 3);
    assert_non_null(strstr(timer_description(), "8254"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deadline_is_tried_and_used),
        cmocka_unit_test(a_deadline_that_does_not_come_is_not_believed),
        cmocka_unit_test(without_it_the_apic_counts),
        cmocka_unit_test(without_an_apic_the_8254_ticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
