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
/* Big letters from the next character on, or the usual ones again; call it at
 * the start of a line. */
void console_large(bool large);
/* Lines end before the corner at the lower right, where a QR code will be. */
struct qr;
void console_keep_corner(void);
void console_qr(const struct qr *q);
/* A fresh page, of which no line moves away again; how much it holds. */
void console_page(void);
unsigned console_rows(void);
unsigned console_columns(void);
void console_write(const char *bytes, size_t n);
void console_flush(void);
