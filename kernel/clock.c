/*
 * clock.c - the time stamp counter, told its rate by HPET (IA-PC HPET 1.0a)
 * or by channel 2 of the 8254.
 */
#include "kernel/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "kernel/acpi.h"
#include "kernel/clock_rate.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/rtc.h"
#include "kernel/vmm.h"
#include "kernel/work.h"

enum { WATCH_USECS = 1000000, CALIBRATION_USECS = 10000, PAIRS = 8,
       PIT_RUNS = 3, PM_HZ = 3579545, PM_BITS = 0xffffff };
#define LEAST_HZ 50000000ull /* below it, something was no clock */
enum { PIT_HZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43,
       PIT_ONE_SHOT2 = 0xb0, SPEAKER_PORT = 0x61, SPEAKER_GATE = 1,
       SPEAKER_ON = 2, SPEAKER_OUT = 0x20 };
enum { HPET_PERIOD = 0x04, HPET_CONFIG = 0x10, HPET_COUNTER = 0xf0 };
#define HPET_MAX_PERIOD 100000000u

static uint64_t tsc_hz = 1000000000, tsc_start;
static uint64_t usecs_start; /* at tsc_start, which moves if the rate does */
static const char *source; /* of what is known of the rate */
static bool invariant; /* the same in every sleep and at every speed */
static int64_t utc_start; /* microseconds since 1970 at tsc_start */

/* The counter and the TSC at the same moment: of a few pairs the one read
 * closest together, since a host may stop us between the two. The low half
 * of the counter does for milliseconds, and no access tears it. */
static uint32_t read_pair(volatile uint32_t *h, uint64_t *tsc)
{
    uint64_t best = UINT64_MAX;
    uint32_t result = 0;

    *tsc = 0;
    for (int i = 0; i < PAIRS; i++) {
        uint64_t before = rdtsc();
        uint32_t count = h[HPET_COUNTER / 4];
        uint64_t gap = rdtsc() - before;

        if (gap < best) {
            best = gap;
            result = count;
            *tsc = before + gap / 2;
        }
    }
    return result;
}

static volatile uint32_t *hpet; /* NULL: none, or it stands still */

static uint64_t measure_hpet(uint64_t address)
{
    volatile uint32_t *h = vmm_map_device(address, 1024, PAGE_UNCACHED);
    uint32_t period, first, passed, wanted;
    uint64_t start, end;

    if (!h)
        return 0;
    period = h[HPET_PERIOD / 4]; /* femtoseconds a tick */
    if (!period || period > HPET_MAX_PERIOD)
        return 0;
    h[HPET_CONFIG / 4] |= 1; /* let it run */
    wanted = (uint32_t)(FEMTOSECONDS / 1000000 * CALIBRATION_USECS / period);
    first = read_pair(h, &start);
    for (uint64_t guard = 0; h[HPET_COUNTER / 4] - first < wanted;)
        if (++guard > 100000000)
            return 0; /* it stands still */
    passed = read_pair(h, &end) - first;
    hpet = h;
    return clock_rate(end - start, (uint64_t)passed * period);
}

/* TSC ticks that channel 2 takes to count down. */
static uint64_t time_pit(unsigned count)
{
    uint64_t start;

    outb(PIT_COMMAND, PIT_ONE_SHOT2);
    outb(PIT_CHANNEL2, (uint8_t)count);
    outb(PIT_CHANNEL2, (uint8_t)(count >> 8));
    start = rdtsc();
    for (uint32_t guard = 0; !(inb(SPEAKER_PORT) & SPEAKER_OUT);)
        if (++guard > 10000000)
            break;
    return rdtsc() - start;
}

/* The end can only be seen late, never early: the shortest run is right. */
static uint64_t measure_pit(void)
{
    unsigned count = PIT_HZ / (1000000 / CALIBRATION_USECS);
    uint8_t speaker = inb(SPEAKER_PORT);
    uint64_t best = UINT64_MAX;

    outb(SPEAKER_PORT, (speaker & ~SPEAKER_ON) | SPEAKER_GATE);
    for (int i = 0; i < PIT_RUNS; i++) {
        uint64_t ticks = time_pit(count);

        if (ticks < best)
            best = ticks;
    }
    outb(SPEAKER_PORT, speaker);
    return best * PIT_HZ / count;
}

/* ACPI's timer, of 24 bits at least (ACPI 6.4, section 4.8.3.3). */
static uint64_t measure_pm(uint16_t port)
{
    uint32_t wanted = PM_HZ / (1000000 / CALIBRATION_USECS), passed;
    uint32_t first = inl(port);
    uint64_t start = rdtsc(), end;

    for (uint32_t guard = 0;; guard++) {
        passed = (inl(port) - first) & PM_BITS;
        end = rdtsc();
        if (passed >= wanted)
            return (end - start) * PM_HZ / passed;
        if (guard > 1000000)
            return 0;
    }
}

/* From one second to the next of the battery clock. */
static uint64_t measure_rtc(void)
{
    uint64_t start;

    if (!rtc_wait_second())
        return 0;
    start = rdtsc();
    return rtc_wait_second() ? rdtsc() - start : 0;
}

static uint64_t measure(void)
{
    const struct acpi *a = acpi();
    uint64_t hz = a->hpet ? measure_hpet(a->hpet) : 0;

    source = "HPET";
    if (hz < LEAST_HZ && a->pm_timer) {
        source = "ACPI's timer";
        hz = measure_pm((uint16_t)a->pm_timer);
    }
    if (hz < LEAST_HZ) {
        source = "PIT";
        hz = measure_pit();
    }
    if (hz < LEAST_HZ) {
        source = "the battery clock";
        hz = measure_rtc();
    }
    if (hz < LEAST_HZ) {
        source = "a guess";
        hz = 1000000000;
    }
    return hz;
}

void clock_start(void) { tsc_start = rdtsc(); }

void clock_init(void)
{
    tsc_hz = measure();
    utc_start = rtc_read(acpi()->century_register) * 1000000 -
                (int64_t)clock_usecs();
    invariant = cpu_feature(0x80000007, 3, 8);
    klog("clock: %s\n", clock_description());
}

/* Interrupt handlers read the clock, too: `watch` changes it with interrupts
 * off. */
uint64_t clock_usecs(void)
{
    uint64_t ticks = rdtsc() - tsc_start;

    return usecs_start + ticks / tsc_hz * 1000000 +
           ticks % tsc_hz * 1000000 / tsc_hz;
}

/* --- a time stamp counter that follows the processor's speed --- */

static uint32_t last_count;
static uint64_t last_tsc;

static void set_rate(uint64_t hz)
{
    bool on = irq_save();
    uint64_t now = clock_usecs();

    tsc_start = rdtsc();
    usecs_start = now;
    tsc_hz = hz;
    irq_restore(on);
}

/* Two readings within a second or so: HPET's low half has not gone round. */
static void watch(struct work *w)
{
    static bool said;
    uint64_t tsc, passed, hz;
    uint32_t count = read_pair(hpet, &tsc);

    passed = (uint64_t)(count - last_count) * hpet[HPET_PERIOD / 4];
    hz = clock_rate(tsc - last_tsc, passed);
    last_count = count;
    last_tsc = tsc;
    if (clock_rate_differs(hz, tsc_hz)) {
        set_rate(hz);
        if (!said)
            klog("clock: the time stamp counter changes its rate, HPET "
                 "keeps it right\n");
        said = true;
    }
    work_post(w, WATCH_USECS);
}

void clock_watch(void)
{
    static struct work work = { .run = watch };

    if (invariant)
        return;
    if (!hpet) {
        klog("clock: the time stamp counter may change its rate, and nothing "
             "is there to tell\n");
        return;
    }
    last_count = read_pair(hpet, &last_tsc);
    work_post(&work, WATCH_USECS);
}

int64_t clock_utc_usecs(void) { return utc_start + (int64_t)clock_usecs(); }

void clock_delay(uint32_t usecs)
{
    uint64_t until = clock_usecs() + usecs;

    while (clock_usecs() < until)
        cpu_pause();
}

uint64_t clock_tsc_hz(void) { return tsc_hz; }

const char *clock_description(void)
{
    static char line[80];

    snprintf(line, sizeof line, "time stamp counter, %llu.%03llu MHz by %s%s",
             (unsigned long long)(tsc_hz / 1000000),
             (unsigned long long)(tsc_hz / 1000 % 1000), source,
             invariant ? ", invariant" : hpet ? ", watched by HPET" : "");
    return line;
}

bool clock_is_invariant(void) { return invariant; }
