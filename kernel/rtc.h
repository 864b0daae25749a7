/*
 * rtc.h - the battery clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970-01-01, taking the clock to run in UTC. `century` is
 * the register that holds it, 0: none. */
int64_t rtc_read(uint8_t century);
/* Waits for the next second; false: the clock stands still. */
bool rtc_wait_second(void);
/* Days since 1970-01-01 of a Gregorian date; month and day from 1. Pure. */
int64_t rtc_days(int year, int month, int day);
