/*
 * memory_test.c - `memtest` on the command line, an entry of the boot menu.
 *
 * Tests what is free when the drivers have started, of which keyboards need
 * some: all memory but theirs, the kernel, its page tables, the first megabyte
 * and what the boot loader brought along. Each pattern is written everywhere
 * before it is read back, so caches do not answer for the memory. Work that
 * drivers leave (kernel/work.h) is not done: what is free stays the same.
 */
#include "kernel/memory_test.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "drivers/input.h"
#include "drivers/keymap.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/klog.h"
#include "kernel/pmm.h"
#include "kernel/power.h"
#include "kernel/test_pattern.h"
#include "kernel/vmm.h"

enum { STEP = 4 << 20, REFRESH_USECS = 200000, SHOWN = 8, BAR = 50 };

static const char *const names[TEST_PATTERNS / 2] = {
    "addresses", "alternating bits", "noise",
};

static struct {
    unsigned pass, kind;
    bool reading;
    uint64_t done, all, wrong, next_draw;
    unsigned shown;
    struct {
        uint64_t where, bits;
    } errors[SHOWN];
} test;

static uint64_t seed(void) { return test.pass * 0x10001ull; }

static void obey(void)
{
    struct input_event e;

    while (input_next(&e))
        if (e.type == INPUT_POWER) {
            klog("memory test: switched off\n");
            power_off();
        } else if (e.type == INPUT_KEY && e.key.down &&
                   e.key.usage == KEY_ESCAPE) {
            klog("memory test: starts again\n");
            power_reboot();
        }
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[160];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        console_write(line, strlen(line));
}

static void draw(void)
{
    unsigned percent = (unsigned)(test.done * 100 / test.all);
    char bar[BAR + 1];

    test.next_draw = clock_usecs() + REFRESH_USECS;
    if (!console_init())
        return;
    for (unsigned i = 0; i < BAR; i++)
        bar[i] = i < percent * BAR / 100 ? '#' : '.';
    bar[BAR] = 0;
    console_page();
    say("Test of %llu MiB of memory, until you end it; no disk is touched.\n\n",
        (unsigned long long)(test.all >> 20));
    say("Esc starts the machine again, the power button switches it off.\n\n");
    say("Pass %u, %s%s, %s\n", test.pass, names[test.kind / 2],
        test.kind % 2 ? " inverted" : "",
        test.reading ? "reading" : "writing");
    say("%s %u %%\n\n", bar, percent);
    say(test.wrong ? "%llu words were wrong.\n" : "No errors so far.\n",
        (unsigned long long)test.wrong);
    for (unsigned i = 0; i < test.shown; i++)
        say("at %012llx, bits %016llx\n",
            (unsigned long long)test.errors[i].where,
            (unsigned long long)test.errors[i].bits);
    console_flush();
}

static void found(uint64_t wrong, uint64_t where, uint64_t bits)
{
    test.wrong += wrong;
    if (test.shown == SHOWN)
        return;
    test.errors[test.shown].where = where;
    test.errors[test.shown++].bits = bits;
    klog("memory test: wrong at %llx, bits %llx\n",
         (unsigned long long)where, (unsigned long long)bits);
}

static void do_range(uint64_t address, uint64_t bytes)
{
    volatile uint64_t *at = phys_to_virt(address);
    uint64_t where, bits, wrong;

    if (!test.reading) {
        test_pattern_write(at, bytes / 8, address, test.kind, seed());
        return;
    }
    wrong = test_pattern_check(at, bytes / 8, address, test.kind, seed(),
                               &where, &bits);
    if (wrong)
        found(wrong, where, bits);
}

static void do_everything(void)
{
    uint64_t bytes, from = pmm_free_from(0, &bytes);

    test.done = 0;
    while (bytes) {
        uint64_t part = bytes < STEP ? bytes : STEP;

        do_range(from, part);
        test.done += part;
        obey();
        if (clock_usecs() >= test.next_draw)
            draw();
        from = pmm_free_from(from + part, &bytes);
    }
}

void memory_test(void)
{
    klog_screen_off();
    test.all = pmm_free_bytes();
    for (;;) {
        test.pass++;
        for (test.kind = 0; test.kind < TEST_PATTERNS; test.kind++) {
            test.reading = false;
            do_everything();
            test.reading = true;
            do_everything();
        }
        klog("memory test: pass %u, %llu words wrong\n", test.pass,
             (unsigned long long)test.wrong);
    }
}
