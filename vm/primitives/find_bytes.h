/*
 * find_bytes.h - bytes among bytes.
 *
 * Indices count from 0; -1: found nowhere. Nothing outside of `size` bytes is
 * read.
 */
#pragma once

#include <stdint.h>

/* The first place, from `i` on, where the key's `n` bytes are, n > 0. Bytes
 * for which `order`, of 256, has the same are equal. */
int64_t find_bytes(const uint8_t *key, uint64_t n, const uint8_t *body,
                   uint64_t size, uint64_t i, const uint8_t *order);
int64_t find_byte(uint8_t byte, const uint8_t *body, uint64_t size,
                  uint64_t i);
