/*
 * console.h - text on the display: the log before the desktop, a panic
 * after it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* False: there is no display. May be called again. */
bool console_init(void);
/* Colours of an emergency, cursor home, screen cleared; what does not fit on
 * this page is not shown, since the beginning matters most. */
void console_alarm(void);
void console_write(const char *bytes, size_t n);
void console_flush(void);
