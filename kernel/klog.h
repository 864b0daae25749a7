/*
 * klog.h - what the kernel has to say: to the serial line at once, to the
 * screen until the desktop takes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Formats like printf (newlib's, no floats needed). Not for interrupt
 * handlers. */
__attribute__((format(printf, 1, 2))) void klog(const char *format, ...);
/* Raw bytes to serial line and screen console. */
void klog_bytes(const char *bytes, size_t n);
/* From now on the log is remembered at `place`, a struct log_text that the
 * last run of the machine may have left there. */
void klog_keep_in(void *place);
/* The end of the log, or of the last run's (0: unknown), at most `n` bytes;
 * answers how many. */
size_t klog_copy(char *to, size_t n);
size_t klog_copy_last(char *to, size_t n);
/* What the last run's was, of somebody who knows better than memory. */
void klog_last_was(const char *bytes, size_t n);
/* From now on the screen shows the log too, from its beginning. */
void klog_screen_on(void);
/* The screen belongs to the desktop. */
void klog_screen_off(void);
/* A panic: the screen shows the log again, from a fresh page. */
void klog_screen_alarm(void);
/* On the screen of an alarm: big letters, for a line or so; a QR code. */
void klog_large(bool large);
struct qr;
void klog_screen_qr(const struct qr *q);
/* How many bytes were logged so far. */
uint64_t klog_count(void);
/* What was logged reaches the glass. */
void klog_screen_flush(void);
