/*
 * serial.h - the first serial port (16550 at 3f8h, 115200 8N1): the log
 * and the second front door.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Finds and sets up the port; without one everything below does nothing. */
void serial_init(void);
/* Hangs reception on IRQ 4, once interrupts work. */
void serial_enable_irq(void);
/* Writes, '\n' as CR LF. */
void serial_write(const char *bytes, size_t n);
/* True while serial_read has something. */
bool serial_waiting(void);
/* One received byte, or -1. */
int serial_read(void);
