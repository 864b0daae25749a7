/*
 * clock.c - the time stamp counter, told its rate by HPET (IA-PC HPET 1.0a)
 * or by channel 2 of the 8254.
 */
#include "kernel/clock.h"

#include <stddef.h>

#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/rtc.h"
#include "kernel/vmm.h"

enum { CALIBRATION_USECS = 10000 };
enum { PIT_HZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43,
       PIT_ONE_SHOT2 = 0xb0, SPEAKER_PORT = 0x61, SPEAKER_GATE = 1,
       SPEAKER_ON = 2, SPEAKER_OUT = 0x20 };
enum { HPET_PERIOD = 0x04, HPET_CONFIG = 0x10, HPET_COUNTER = 0xf0 };
#define FEMTOSECONDS 1000000000000000ull
#define HPET_MAX_PERIOD 100000000u

static uint64_t tsc_hz = 1000000000, tsc_start;
static int64_t utc_start; /* microseconds since 1970 at tsc_start */

/* Registers as 64-bit words would tear on 32-bit HPETs; the low half of the
 * counter is enough for milliseconds. */
static uint64_t measure_hpet(uint64_t address)
{
    volatile uint32_t *h = vmm_map_device(address, 1024, PAGE_UNCACHED);
    uint32_t period, first, passed, wanted;
    uint64_t tsc;

    if (!h)
        return 0;
    period = h[HPET_PERIOD / 4]; /* femtoseconds a tick */
    if (!period || period > HPET_MAX_PERIOD)
        return 0;
    h[HPET_CONFIG / 4] |= 1; /* let it run */
    wanted = (uint32_t)(FEMTOSECONDS / 1000000 * CALIBRATION_USECS / period);
    first = h[HPET_COUNTER / 4];
    tsc = rdtsc();
    for (uint64_t guard = 0; (passed = h[HPET_COUNTER / 4] - first) < wanted;)
        if (++guard > 100000000)
            return 0; /* it stands still */
    tsc = rdtsc() - tsc;
    return (uint64_t)((unsigned __int128)tsc * FEMTOSECONDS /
                      ((uint64_t)passed * period));
}

static uint64_t measure_pit(void)
{
    unsigned count = PIT_HZ / (1000000 / CALIBRATION_USECS);
    uint8_t speaker = inb(SPEAKER_PORT);
    uint64_t tsc;

    outb(SPEAKER_PORT, (speaker & ~SPEAKER_ON) | SPEAKER_GATE);
    outb(PIT_COMMAND, PIT_ONE_SHOT2);
    outb(PIT_CHANNEL2, (uint8_t)count);
    outb(PIT_CHANNEL2, (uint8_t)(count >> 8));
    tsc = rdtsc();
    for (uint32_t guard = 0; !(inb(SPEAKER_PORT) & SPEAKER_OUT);)
        if (++guard > 10000000)
            break;
    tsc = rdtsc() - tsc;
    outb(SPEAKER_PORT, speaker);
    return tsc * PIT_HZ / count;
}

void clock_init(void)
{
    const char *source = "HPET";
    uint64_t hz = acpi()->hpet ? measure_hpet(acpi()->hpet) : 0;

    if (!hz) {
        source = "PIT";
        hz = measure_pit();
    }
    tsc_hz = hz;
    tsc_start = rdtsc();
    utc_start = rtc_read(acpi()->century_register) * 1000000;
    klog("clock: %llu MHz by %s\n", (unsigned long long)(hz / 1000000),
         source);
}

uint64_t clock_usecs(void)
{
    uint64_t ticks = rdtsc() - tsc_start;

    return ticks / tsc_hz * 1000000 + ticks % tsc_hz * 1000000 / tsc_hz;
}

int64_t clock_utc_usecs(void) { return utc_start + (int64_t)clock_usecs(); }

void clock_delay(uint32_t usecs)
{
    uint64_t until = clock_usecs() + usecs;

    while (clock_usecs() < until)
        cpu_pause();
}

uint64_t clock_tsc_hz(void) { return tsc_hz; }
