/*
 * klog.c - the log: formats, remembers, passes on.
 *
 * The memory is for the screen, which comes up late: when it does, it is
 * shown what was said so far.
 */
#include "kernel/klog.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "kernel/console.h"
#include "kernel/serial.h"

enum { REMEMBERED = 16384, LINE = 1024 };

static char remembered[REMEMBERED];
static size_t used;
static bool on_screen;

void klog_bytes(const char *bytes, size_t n)
{
    serial_write(bytes, n);
    for (size_t i = 0; i < n && used < REMEMBERED; i++)
        remembered[used++] = bytes[i];
    if (on_screen)
        console_write(bytes, n);
}

void klog(const char *format, ...)
{
    char line[LINE];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        klog_bytes(line, (size_t)n < sizeof line ? (size_t)n
                                                 : sizeof line - 1);
    if (on_screen)
        console_flush();
}

void klog_screen_on(void)
{
    if (!console_init())
        return;
    on_screen = true;
    console_write(remembered, used);
    console_flush();
}

void klog_screen_off(void) { on_screen = false; }

void klog_screen_alarm(void)
{
    on_screen = console_init();
    if (on_screen)
        console_alarm();
}

void klog_screen_flush(void)
{
    if (on_screen)
        console_flush();
}
