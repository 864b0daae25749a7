/*
 * input.h - keys and pointers, whatever device they come from.
 *
 * Drivers report from their interrupt handlers; the platform fetches from
 * the machine's thread. Keys are USB HID usages of page 7, so that every
 * keyboard speaks one language and keymap.h turns it into characters.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/work.h"

enum input_type { INPUT_KEY, INPUT_POINTER, INPUT_POWER /* its button */ };

enum {
    INPUT_LEFT = 1, INPUT_RIGHT = 2, INPUT_MIDDLE = 4, INPUT_BACK = 8,
    INPUT_FORWARD = 16,
};

struct input_event {
    enum input_type type;
    union {
        struct {
            uint8_t usage;
            bool down; /* repeated while held, as the device repeats */
        } key;
        struct {
            bool absolute;    /* x, y from 0 to 65535 across the screen */
            int32_t x, y;     /* else steps, y downwards */
            int32_t wheel, wheel_x; /* notches, up and right positive */
            uint8_t buttons;  /* INPUT_LEFT ... held now */
        } pointer;
    };
};

enum { INPUT_LED_NUM = 1, INPUT_LED_CAPS = 2, INPUT_LED_SCROLL = 4 };

/* From a driver; any context. A full queue drops the newest. */
void input_report(const struct input_event *e);
/* A key of a keyboard that does not repeat by itself: the one pressed last
 * repeats until it is let go. One struct, all zero at first, a keyboard. */
struct input_repeat {
    struct work work;
    uint8_t usage; /* 0: none */
};
void input_key(struct input_repeat *r, uint8_t usage, bool down);
/* The oldest event; false: none waiting. */
bool input_next(struct input_event *e);
bool input_waiting(void);

/* The lamps of all keyboards, INPUT_LED_NUM ... */
void input_set_leds(unsigned leds);
unsigned input_leds(void);
/* `w` is posted whenever they change (kernel/work.h); saying so twice is
 * harmless. */
void input_on_leds(struct work *w);
