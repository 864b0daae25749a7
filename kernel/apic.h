/*
 * apic.h - the local APIC (timer, end of interrupt) and the IO-APICs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Turns the local APIC on; false: the firmware says nothing about it. */
bool apic_init(void);
void apic_end_of_interrupt(void);
uint32_t apic_id(void);

/* Raw timer: counts `ticks` down once, then interrupts at `vector`. */
void apic_timer_start(uint8_t vector, uint32_t ticks);
uint32_t apic_timer_left(void);

/* Connects an IO-APIC line to `vector`; false: no such line. */
bool apic_route(uint32_t line, uint8_t vector, bool level, bool active_low);
/* Keeps a line's interrupts away, or lets them come. */
void apic_mask(uint32_t line, bool masked);
