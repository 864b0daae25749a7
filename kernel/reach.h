/*
 * reach.h - which physical addresses a driver in Smalltalk may touch. Pure;
 * tests/unit/test_reach.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct acpi;
struct boot_info;

/* Nothing but devices lies in [start, start+bytes): no RAM that the
 * firmware's map knows, no tables of the firmware, not the interrupt
 * controllers and the configuration space that the kernel drives, and not
 * past the processor's `address_bits`. */
bool reach_allowed(const struct boot_info *boot, const struct acpi *a,
                   unsigned address_bits, uint64_t start, uint64_t bytes);
