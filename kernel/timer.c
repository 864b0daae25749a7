/*
 * timer.c - ticks from the local APIC, or from the 8254 where there is no
 * APIC. The APIC's rate is measured against the clock.
 */
#include "kernel/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/trap.h"

enum { TIMER_LINE = 0, CALIBRATION_USECS = 2000 };
enum { PIT_HZ = 1193182, PIT_CHANNEL0 = 0x40, PIT_COMMAND = 0x43,
       PIT_RATE = 0x34 };

static uint64_t ticks_per_second; /* of the APIC timer; 0: 8254 */
static bool by_deadline; /* it waits for a time of the TSC */
static void (*hook)(void);

void timer_set_hook(void (*h)(void)) { hook = h; }

static void tick(void *unused)
{
    timer_start(TIMER_TICK_USECS);
    if (hook)
        hook();
}

void timer_start(uint64_t usecs)
{
    uint64_t ticks;

    if (!ticks_per_second)
        return;
    if (usecs > 1000000)
        usecs = 1000000;
    ticks = ticks_per_second * usecs / 1000000;
    if (by_deadline) {
        apic_deadline_start(IRQ_TIMER_VECTOR, rdtsc() + ticks);
        return;
    }
    apic_timer_start(IRQ_TIMER_VECTOR, ticks ? (uint32_t)ticks : 1);
}

static void start_pit(void)
{
    unsigned divisor = PIT_HZ / 1000;

    outb(PIT_COMMAND, PIT_RATE);
    outb(PIT_CHANNEL0, (uint8_t)divisor);
    outb(PIT_CHANNEL0, (uint8_t)(divisor >> 8));
    if (irq_attach(TIMER_LINE, false, tick, NULL))
        klog("timer: no interrupt line\n");
}

/* The vector's handler is not there yet, and interrupts may be on: count
 * from the top so that it cannot fire. */
static uint64_t measure_apic(void)
{
    uint64_t start = clock_usecs(), passed;

    apic_timer_start(IRQ_TIMER_VECTOR, UINT32_MAX);
    do
        passed = clock_usecs() - start;
    while (passed < CALIBRATION_USECS);
    return (UINT32_MAX - apic_timer_left()) * 1000000ull / passed;
}

/* Tried before it is believed: interrupts are off, one must be waiting. */
static bool deadline_works(void)
{
    if (!clock_is_invariant() || !cpu_feature(1, 2, 24))
        return false;
    apic_deadline_start(IRQ_TIMER_VECTOR, rdtsc() + clock_tsc_hz() / 10000);
    clock_delay(1000);
    return apic_requested(IRQ_TIMER_VECTOR);
}

void timer_init(void)
{
    irq_set_owner("timer");
    if (!irq_attach_timer(tick)) {
        by_deadline = deadline_works();
        ticks_per_second = by_deadline ? clock_tsc_hz() : measure_apic();
        timer_start(TIMER_TICK_USECS);
    } else {
        start_pit();
    }
}

const char *timer_description(void)
{
    static char line[64];

    if (!ticks_per_second)
        return "8254, a thousand times a second";
    if (by_deadline)
        return "local APIC, at times of the time stamp counter";
    snprintf(line, sizeof line, "local APIC, %llu.%03llu MHz",
             (unsigned long long)(ticks_per_second / 1000000),
             (unsigned long long)(ticks_per_second / 1000 % 1000));
    return line;
}
