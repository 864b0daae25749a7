/*
 * console_font.h - glyphs of the kernel's console; the table is made by
 * kernel/mkfont.c at build time from JetBrains Mono.
 */
#pragma once

#include <stdint.h>

enum {
    FONT_WIDTH = 9, FONT_HEIGHT = 18, FONT_FIRST = 32, FONT_LAST = 126,
};

extern const uint8_t console_font[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT]
                                 [FONT_WIDTH]; /* coverage, 0 to 255 */
