/*
 * power.h - switching off and starting over.
 */
#pragma once

#include <stdbool.h>

/* Command line `exit=isa`: leaving goes through QEMU's isa-debug-exit. */
void power_use_exit_device(void);
/* With the exit device in use, ends QEMU with status 33 for code 0 and
 * 2 * (code + 64) + 1 for others; else does nothing. */
void power_exit(int code);
/* The power button becomes an input event (drivers/input.h). */
void power_watch_button(void);
/* ACPI soft off; halts where that is impossible. */
_Noreturn void power_off(void);
/* Starts the machine anew, by every means there is. */
_Noreturn void power_reboot(void);
/* The same once a key is pressed: without interrupts, on a PS/2 keyboard by
 * itself, on others if `drivers` may be trusted to look at them. */
_Noreturn void power_reboot_on_key(bool drivers);
