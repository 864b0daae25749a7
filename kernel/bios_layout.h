/*
 * bios_layout.h - low memory while the BIOS is called, for C and assembler:
 * a page of code, one that is the stack, one for its answers.
 */
#pragma once

#define BIOS_AT 0x7000
#define BIOS_STACK 0x9000
#define BIOS_BUFFER 0x9000
#define BIOS_END 0xa000
