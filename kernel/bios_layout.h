/*
 * bios_layout.h - low memory while the BIOS is called, for C and assembler:
 * a page of code, one that is the stack, one for its answers.
 */
#pragma once

#define BIOS_AT 0x7000
#define BIOS_STACK 0x9000
#define BIOS_BUFFER 0x9000
#define BIOS_END 0xa000

#ifndef __ASSEMBLER__
#include <stdint.h>

/* bios.S: code to be copied to BIOS_AT, and the registers in it. */
extern const uint8_t bios_code[], bios_code_end[], bios_regs[];
#endif
