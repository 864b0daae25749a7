/*
 * panic_digest.h - a panic's text, shortened for a QR code. Pure;
 * tests/unit/test_log_text.c.
 */
#pragma once

#include <stddef.h>

/* Leaves out registers that are rarely asked for, addresses of functions that
 * have a name, leading zeros and spaces, empty lines; then cuts, at the end of
 * a line if there is one. Answers how many of the `size` bytes at `to` are in
 * use. */
size_t panic_digest(const char *said, size_t n, char *to, size_t size);
