/*
 * timer.h - the one interrupt that comes by itself.
 */
#pragma once

#include <stdint.h>

enum { TIMER_TICK_USECS = 1000 };

/* Starts ticking; needs clock and interrupts. */
void timer_init(void);
/* The next tick comes in `usecs`; those after it every TIMER_TICK_USECS. */
void timer_start(uint64_t usecs);
/* Called at every tick, with interrupts off. */
void timer_set_hook(void (*hook)(void));
/* What the ticks come from, in words. */
const char *timer_description(void);
