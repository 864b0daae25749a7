/*
 * keymap.h - from keys (HID usages) to characters.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum key_modifier {
    KEY_SHIFT = 1, KEY_CTRL = 2, KEY_ALT = 4, KEY_GUI = 8, KEY_ALT_GR = 16,
    KEY_CAPS_LOCK = 32, KEY_NUM_LOCK = 64,
};

/* HID usages that the platform asks for by name. */
enum key_usage {
    KEY_ENTER = 0x28, KEY_ESCAPE = 0x29, KEY_BACKSPACE = 0x2a, KEY_TAB = 0x2b,
    KEY_CAPS = 0x39, KEY_F1 = 0x3a, KEY_F12 = 0x45, KEY_INSERT = 0x49,
    KEY_HOME = 0x4a, KEY_PAGE_UP = 0x4b, KEY_DELETE = 0x4c, KEY_END = 0x4d,
    KEY_PAGE_DOWN = 0x4e, KEY_RIGHT = 0x4f, KEY_LEFT = 0x50, KEY_DOWN = 0x51,
    KEY_UP = 0x52, KEY_NUM = 0x53, KEY_PAD_SLASH = 0x54, KEY_PAD_ENTER = 0x58,
    KEY_PAD_1 = 0x59, KEY_PAD_DOT = 0x63, KEY_LEFT_CTRL = 0xe0,
    KEY_LEFT_SHIFT = 0xe1, KEY_LEFT_ALT = 0xe2, KEY_LEFT_GUI = 0xe3,
    KEY_RIGHT_CTRL = 0xe4, KEY_RIGHT_SHIFT = 0xe5, KEY_RIGHT_ALT = 0xe6,
    KEY_RIGHT_GUI = 0xe7,
};

struct keymap_row {
    uint8_t usage;
    uint32_t plain, shifted, alt_gr, shifted_alt_gr; /* code points, or 0 */
};

struct keymap {
    const char *name; /* "us" */
    const struct keymap_row *rows; /* ends with usage 0 */
};

/* Chooses the map for keymap_character; false: no such name. */
bool keymap_select(const char *name);
/* Code point that the key types, or one of Squeak's codes for keys without
 * a character (home 1, end 4, insert 5, page up 11, page down 12, left 28,
 * right 29, up 30, down 31); 0: types nothing. Ctrl is not applied. */
uint32_t keymap_character(uint8_t usage, unsigned modifiers);
/* The modifier bit of a key, or 0. */
unsigned keymap_modifier(uint8_t usage);
/* The key with a scan code of set 1 without a prefix, as a HID usage; 0: none
 * has it. */
uint8_t keymap_usage(unsigned scan_code);
