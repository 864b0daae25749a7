/*
 * describe.h - what the kernel knows of the machine, in words.
 */
#pragma once

#include <stddef.h>

struct boot_info;

/* Keeps the pointer. */
void describe_init(const struct boot_info *boot);
/* As plat_describe (vm/platform.h). */
size_t describe(const char *topic, char *text, size_t n);
