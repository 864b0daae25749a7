/*
 * keymap.c - keyboard layouts as tables. A new one is a table of rows and a
 * line in `maps`.
 */
#include "drivers/keymap.h"

#include <stddef.h>
#include <string.h>

static const struct keymap_row us_rows[] = {
    { 0x04, 'a', 'A', 0, 0 }, { 0x05, 'b', 'B', 0, 0 },
    { 0x06, 'c', 'C', 0, 0 }, { 0x07, 'd', 'D', 0, 0 },
    { 0x08, 'e', 'E', 0, 0 }, { 0x09, 'f', 'F', 0, 0 },
    { 0x0a, 'g', 'G', 0, 0 }, { 0x0b, 'h', 'H', 0, 0 },
    { 0x0c, 'i', 'I', 0, 0 }, { 0x0d, 'j', 'J', 0, 0 },
    { 0x0e, 'k', 'K', 0, 0 }, { 0x0f, 'l', 'L', 0, 0 },
    { 0x10, 'm', 'M', 0, 0 }, { 0x11, 'n', 'N', 0, 0 },
    { 0x12, 'o', 'O', 0, 0 }, { 0x13, 'p', 'P', 0, 0 },
    { 0x14, 'q', 'Q', 0, 0 }, { 0x15, 'r', 'R', 0, 0 },
    { 0x16, 's', 'S', 0, 0 }, { 0x17, 't', 'T', 0, 0 },
    { 0x18, 'u', 'U', 0, 0 }, { 0x19, 'v', 'V', 0, 0 },
    { 0x1a, 'w', 'W', 0, 0 }, { 0x1b, 'x', 'X', 0, 0 },
    { 0x1c, 'y', 'Y', 0, 0 }, { 0x1d, 'z', 'Z', 0, 0 },
    { 0x1e, '1', '!', 0, 0 }, { 0x1f, '2', '@', 0, 0 },
    { 0x20, '3', '#', 0, 0 }, { 0x21, '4', '$', 0, 0 },
    { 0x22, '5', '%', 0, 0 }, { 0x23, '6', '^', 0, 0 },
    { 0x24, '7', '&', 0, 0 }, { 0x25, '8', '*', 0, 0 },
    { 0x26, '9', '(', 0, 0 }, { 0x27, '0', ')', 0, 0 },
    { 0x2c, ' ', ' ', 0, 0 }, { 0x2d, '-', '_', 0, 0 },
    { 0x2e, '=', '+', 0, 0 }, { 0x2f, '[', '{', 0, 0 },
    { 0x30, ']', '}', 0, 0 }, { 0x31, '\\', '|', 0, 0 },
    { 0x33, ';', ':', 0, 0 }, { 0x34, '\'', '"', 0, 0 },
    { 0x35, '`', '~', 0, 0 }, { 0x36, ',', '<', 0, 0 },
    { 0x37, '.', '>', 0, 0 }, { 0x38, '/', '?', 0, 0 },
    { 0x64, '\\', '|', 0, 0 }, { 0 },
};

static const struct keymap maps[] = {
    { "us", us_rows },
};

/* Keys whose meaning no layout changes; codes as Squeak's virtual machine
 * reports them. */
static const struct {
    uint8_t usage, code;
} fixed_keys[] = {
    { KEY_ENTER, 13 }, { KEY_ESCAPE, 27 }, { KEY_BACKSPACE, 8 },
    { KEY_TAB, 9 }, { KEY_INSERT, 5 }, { KEY_HOME, 1 }, { KEY_PAGE_UP, 11 },
    { KEY_DELETE, 127 }, { KEY_END, 4 }, { KEY_PAGE_DOWN, 12 },
    { KEY_RIGHT, 29 }, { KEY_LEFT, 28 }, { KEY_DOWN, 31 }, { KEY_UP, 30 },
};

/* The keypad from slash to dot, without and with Num Lock. */
static const uint8_t pad_plain[] = {
    '/', '*', '-', '+', 13, 4, 31, 12, 28, 0, 29, 1, 30, 11, 5, 127,
};
static const uint8_t pad_numbers[] = {
    '/', '*', '-', '+', 13, '1', '2', '3', '4', '5', '6', '7', '8', '9', '0',
    '.',
};

static const struct keymap *current = maps;

bool keymap_select(const char *name)
{
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        if (strcmp(maps[i].name, name) == 0) {
            current = &maps[i];
            return true;
        }
    }
    return false;
}

static uint32_t fixed_key(uint8_t usage, unsigned modifiers)
{
    if (usage >= KEY_PAD_SLASH && usage <= KEY_PAD_DOT)
        return modifiers & KEY_NUM_LOCK ? pad_numbers[usage - KEY_PAD_SLASH]
                                        : pad_plain[usage - KEY_PAD_SLASH];
    for (size_t i = 0; i < sizeof fixed_keys / sizeof *fixed_keys; i++)
        if (fixed_keys[i].usage == usage)
            return fixed_keys[i].code;
    return 0;
}

/* Caps Lock exchanges the two cases of letters and nothing else. */
static bool has_cases(const struct keymap_row *row)
{
    return row->plain >= 'a' && row->shifted + 32 == row->plain;
}

uint32_t keymap_character(uint8_t usage, unsigned modifiers)
{
    const struct keymap_row *row = current->rows;
    bool shift = modifiers & KEY_SHIFT;

    while (row->usage && row->usage != usage)
        row++;
    if (!row->usage)
        return fixed_key(usage, modifiers);
    if ((modifiers & KEY_CAPS_LOCK) && has_cases(row))
        shift = !shift;
    if ((modifiers & KEY_ALT_GR) && row->alt_gr)
        return shift ? row->shifted_alt_gr : row->alt_gr;
    return shift ? row->shifted : row->plain;
}

unsigned keymap_modifier(uint8_t usage)
{
    static const uint8_t bits[] = {
        KEY_CTRL, KEY_SHIFT, KEY_ALT, KEY_GUI,
        KEY_CTRL, KEY_SHIFT, KEY_ALT_GR, KEY_GUI,
    };

    return usage >= KEY_LEFT_CTRL && usage <= KEY_RIGHT_GUI
               ? bits[usage - KEY_LEFT_CTRL]
               : 0;
}

uint8_t keymap_usage(unsigned scan_code)
{
    static const uint8_t usages[0x59] = {
        0,    0x29, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, /* 00 */
        0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e, 0x2a, 0x2b, /* 08 */
        0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c, /* 10 */
        0x12, 0x13, 0x2f, 0x30, 0x28, 0xe0, 0x04, 0x16, /* 18 */
        0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33, /* 20 */
        0x34, 0x35, 0xe1, 0x31, 0x1d, 0x1b, 0x06, 0x19, /* 28 */
        0x05, 0x11, 0x10, 0x36, 0x37, 0x38, 0xe5, 0x55, /* 30 */
        0xe2, 0x2c, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, /* 38 */
        0x3f, 0x40, 0x41, 0x42, 0x43, 0x53, 0x47, 0x5f, /* 40 */
        0x60, 0x61, 0x56, 0x5c, 0x5d, 0x5e, 0x57, 0x59, /* 48 */
        0x5a, 0x5b, 0x62, 0x63, 0x46, 0,    0x64, 0x44, /* 50 */
        0x45,                                           /* 58 */
    };

    return scan_code < sizeof usages ? usages[scan_code] : 0;
}
