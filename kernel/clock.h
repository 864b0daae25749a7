/*
 * clock.h - time that passes (TSC) and time of day (RTC).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The kernel's entry: time is counted from here. */
void clock_start(void);
/* Calibrates the TSC against HPET or PIT and reads the RTC. */
void clock_init(void);
/* Where the TSC may change its rate, looks after it from now on. */
void clock_watch(void);
/* It does not. */
bool clock_is_invariant(void);
/* Microseconds since clock_start, never going back; right only after
 * clock_init. Any context. */
uint64_t clock_usecs(void);
/* Microseconds since 1970-01-01 UTC. */
int64_t clock_utc_usecs(void);
/* Busy waiting, for devices that want to be left alone. */
void clock_delay(uint32_t usecs);
/* TSC ticks in a second. */
uint64_t clock_tsc_hz(void);
/* What time is taken from, in words. */
const char *clock_description(void);
