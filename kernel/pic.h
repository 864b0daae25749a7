/*
 * pic.h - the pair of 8259 interrupt controllers: silenced where there are
 * APICs, in charge where there are none. Intel 8259A data sheet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Moves the 16 lines to `vector` on, all masked. */
void pic_init(uint8_t vector);
/* Any context with interrupts off. */
void pic_mask(unsigned line, bool masked);
void pic_end_of_interrupt(unsigned line);
