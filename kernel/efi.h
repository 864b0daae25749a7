/*
 * efi.h - variables of the UEFI firmware, those that every system shares:
 * what is started, and in which order (UEFI 2.10, section 3.3).
 *
 * Only firmware of 64 bits can be asked. A call keeps interrupts off until
 * the firmware comes back, some milliseconds when it writes. If it faults, it
 * is never asked again.
 */
#pragma once

#include <stdint.h>

struct boot_info;

enum { EFI_NAME = 32 }; /* of a variable, with the zero */

/* Says what there is. */
void efi_init(const struct boot_info *boot);
/* Why no variable can be asked for, or NULL: they can be. */
const char *efi_missing(void);
/* The value of a variable into *n bytes, then *n are its bytes. 0; -ENOENT:
 * there is none; another: *why. */
int efi_get(const char *name, void *bytes, uint64_t *n, const char **why);
/* Stays over restarts; no bytes: there is none any more. 0, or *why. */
int efi_set(const char *name, const void *bytes, uint64_t n,
            const char **why);
