/*
 * symbols.h - names for code addresses. kernel/room.mk links twice: the
 * first result's names become the table of the second.
 */
#pragma once

#include <stdint.h>

/* build/metal/symbols.S defines these; in the first pass of the link they
 * are missing, and the table is empty. */
struct symbol {
    uint32_t offset; /* from __text_start */
    uint32_t name;   /* in symbol_names */
};
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

/* Name of the function around `address` and the distance into it; NULL if
 * it lies outside the kernel's text. */
const char *symbol_at(uint64_t address, uint64_t *offset);
