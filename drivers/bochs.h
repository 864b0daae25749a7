/*
 * bochs.h - mode setting on QEMU's and Bochs' display adapters.
 */
#pragma once

#include <stdint.h>

/* The mode to program when the boot loader set none. */
void bochs_want_mode(uint32_t width, uint32_t height);
