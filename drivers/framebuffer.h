/*
 * framebuffer.h - a linear frame buffer that somebody else has set up.
 */
#pragma once

#include <stdint.h>

/* 32 bits a pixel at a physical address, `pitch` bytes a row. Registers a
 * display. 0 or a negative errno. */
int framebuffer_register(const char *name, uint64_t address, uint32_t width,
                         uint32_t height, uint32_t pitch);
