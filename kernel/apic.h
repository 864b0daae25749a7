/*
 * apic.h - the local APIC (timer, end of interrupt) and the IO-APICs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Before apic_init(): x2APIC mode, where the processor has it. */
void apic_want_x2(void);
/* Turns the local APIC on; false: the firmware says nothing about it. */
bool apic_init(void);
void apic_end_of_interrupt(void);
uint32_t apic_id(void);

/* Raw timer: counts `ticks` down once, then interrupts at `vector`. */
void apic_timer_start(uint8_t vector, uint32_t ticks);
uint32_t apic_timer_left(void);

/* The same at a moment of the time stamp counter, where the processor can
 * (CPUID 1, ecx bit 24); in the past: at once. */
void apic_deadline_start(uint8_t vector, uint64_t tsc);
/* That interrupt has come and waits for interrupts to be on. */
bool apic_requested(uint8_t vector);
/* Puts the other processors of MADT where they wait for a start message, in
 * no memory of ours; answers how many. */
unsigned apic_park_others(void);
/* Reached through MSRs: x2APIC mode. */
bool apic_is_x2(void);

/* Connects an IO-APIC line to `vector`; false: no such line. */
bool apic_route(uint32_t line, uint8_t vector, bool level, bool active_low);
/* Keeps a line's interrupts away, or lets them come. */
void apic_mask(uint32_t line, bool masked);
