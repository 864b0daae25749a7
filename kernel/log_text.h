/*
 * log_text.h - the log's memory, in a form that tells whether it survived a
 * restart. Pure; tests/unit/test_log_text.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_TEXT_BYTES = 0x8000 - 24 };

struct log_text {
    uint64_t magic, hash;
    uint32_t used, unused;
    char bytes[LOG_TEXT_BYTES];
};

void log_text_clear(struct log_text *t);
/* A full one forgets its older half. */
void log_text_add(struct log_text *t, const char *bytes, size_t n);
/* False: this is something else, or damaged. */
bool log_text_valid(const struct log_text *t);
