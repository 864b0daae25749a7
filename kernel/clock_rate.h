/*
 * clock_rate.h - how fast a counter runs. Pure; tests/unit/test_acpi_tables.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FEMTOSECONDS 1000000000000000ull

/* Ticks a second, if `ticks` took so many femtoseconds; 0: no time passed. */
static inline uint64_t clock_rate(uint64_t ticks, uint64_t femtoseconds)
{
    if (!femtoseconds)
        return 0;
    return (uint64_t)((unsigned __int128)ticks * FEMTOSECONDS /
                      femtoseconds);
}

/* By more than a reading can be wrong (two in a thousand), and not so much
 * that one must have been nonsense. */
static inline bool clock_rate_differs(uint64_t hz, uint64_t known)
{
    uint64_t off = hz > known ? hz - known : known - hz;

    return off > known / 500 && hz > known / 16 && hz < known * 16;
}
