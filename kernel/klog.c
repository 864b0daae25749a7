/*
 * klog.c - the log: formats, remembers, passes on.
 *
 * The memory is for the screen, which comes up late: when it does, it is
 * shown what was said so far. It lies where no loader clears it, so that a
 * machine that was started anew can tell what the last one said.
 */
#include "kernel/klog.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernel/console.h"
#include "kernel/layout.h"
#include "kernel/log_text.h"
#include "kernel/serial.h"

enum { LINE = 1024 };

_Static_assert(sizeof(struct log_text) <= KEPT_LOG_BYTES, "kept log");

static struct log_text early, last;
static struct log_text *text; /* NULL: `early`, still to be cleared */
static uint64_t counted; /* bytes, since the start */
static bool on_screen;

static struct log_text *memory(void)
{
    if (!text) {
        text = &early;
        log_text_clear(text);
    }
    return text;
}

void klog_keep_in(void *place)
{
    struct log_text *kept = place;

    if (log_text_valid(kept))
        memcpy(&last, kept, sizeof last);
    memcpy(kept, memory(), sizeof *kept);
    text = kept;
}

static size_t copy(const struct log_text *from, char *to, size_t n)
{
    size_t left_out = from->used > n ? from->used - n : 0;

    memcpy(to, from->bytes + left_out, from->used - left_out);
    return from->used - left_out;
}

size_t klog_copy(char *to, size_t n) { return copy(memory(), to, n); }

size_t klog_copy_last(char *to, size_t n)
{
    return log_text_valid(&last) ? copy(&last, to, n) : 0;
}

void klog_last_was(const char *bytes, size_t n)
{
    log_text_clear(&last);
    log_text_add(&last, bytes, n);
}

void klog_bytes(const char *bytes, size_t n)
{
    serial_write(bytes, n);
    log_text_add(memory(), bytes, n);
    counted += n;
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
    console_write(memory()->bytes, memory()->used);
    console_flush();
}

void klog_screen_off(void) { on_screen = false; }

void klog_screen_alarm(void)
{
    on_screen = console_init();
    if (on_screen) {
        console_alarm();
        console_keep_corner();
    }
}

void klog_large(bool large)
{
    if (on_screen)
        console_large(large);
}

uint64_t klog_count(void) { return counted; }

void klog_screen_qr(const struct qr *q)
{
    if (on_screen)
        console_qr(q);
}

void klog_screen_flush(void)
{
    if (on_screen)
        console_flush();
}
