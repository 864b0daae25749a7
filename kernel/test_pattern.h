/*
 * test_pattern.h - what a memory test writes and expects to find. Pure;
 * tests/unit/test_frames.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Kinds come in pairs, the second the complement of the first: addresses,
 * alternating bits, noise. */
enum { TEST_PATTERNS = 6 };

/* The words of physical memory from `address` on, seen at `at`. */
void test_pattern_write(volatile uint64_t *at, uint64_t words,
                        uint64_t address, unsigned kind, uint64_t seed);
/* Answers how many words are wrong; of the first one, where and which bits. */
uint64_t test_pattern_check(const volatile uint64_t *at, uint64_t words,
                            uint64_t address, unsigned kind, uint64_t seed,
                            uint64_t *where, uint64_t *bits);
