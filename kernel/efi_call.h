/*
 * efi_call.h - the door between efi.c and efi.S.
 */
#pragma once

#include <stdint.h>

enum { EFI_ARGS = 5 };
#define EFI_FAULTED 0x7fffffffffffffffull

/* Calls `entry` as Microsoft's compilers do. EFI_FAULTED: it did not come
 * back, but went on at efi_escape, with efi_stack. */
uint64_t efi_call(uint64_t entry, const uint64_t args[EFI_ARGS]);
extern char efi_escape[];
extern uint64_t efi_stack;
