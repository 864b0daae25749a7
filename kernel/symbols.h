/*
 * symbols.h - names for code addresses. kernel/room.mk links twice: the
 * first result's names become the table of the second.
 */
#pragma once

#include <stdint.h>

/* Name of the function around `address` and the distance into it; NULL if
 * it lies outside the kernel's text. */
const char *symbol_at(uint64_t address, uint64_t *offset);
