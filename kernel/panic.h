/*
 * panic.h - the two ways the kernel stops.
 */
#pragma once

#include <stdint.h>

struct trap_frame;

/* A broken invariant: message, registers, C backtrace with names, whatever
 * the hook adds (the Smalltalk stack), on screen and serial line. */
__attribute__((format(printf, 1, 2))) _Noreturn void panic(const char *format,
                                                           ...);
/* The same for a processor exception. */
_Noreturn void panic_trap(const struct trap_frame *frame,
                          const char *message);
/* The machine cannot run here, and it is nobody's bug: one clear line on
 * screen and serial line, until a key starts it anew. */
__attribute__((format(printf, 1, 2))) _Noreturn void refuse(const char *format,
                                                            ...);
/* Called in a panic after the backtrace; trusts nothing. */
void panic_set_hook(void (*hook)(void));
