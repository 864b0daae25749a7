/*
 * display.h - a screen: 32-bit XRGB pixels in a shadow copy in RAM, from
 * which changed rectangles go out to the device. The device's memory is
 * never read. The pointer is drawn over the shadow copy on its way out.
 *
 * Everything here is called from the machine's one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/edid.h"
#include "drivers/modes.h"

struct rect {
    int left, top, right, bottom; /* right and bottom exclusive */
};

struct display;

struct display_ops {
    /* Shows `count` pixels of row y from column x on. */
    void (*row)(struct display *d, int x, int y, const uint32_t *pixels,
                int count);
    /* After the last row of a rectangle; NULL: nothing to do. */
    void (*done)(struct display *d, struct rect r);
};

enum { DISPLAY_DIRTY_MAX = 16, CURSOR_MAX = 128 };

struct display {
    const char *name;
    const struct display_ops *ops;
    uint32_t width, height;
    struct edid edid; /* the monitor; all 0: unknown */
    /* Sets a mode within `limits`: 0 or a negative errno, and the old one
     * stays. Called by display_set_mode; NULL: there is only one mode. */
    int (*set_mode)(struct display *d, struct mode m);
    struct mode_limits limits;
    /* the rest belongs to display.c */
    uint32_t *shadow, *line; /* line: one row, while composing */
    struct rect dirty[DISPLAY_DIRTY_MAX];
    unsigned dirty_count;
    struct {
        uint32_t *pixels; /* premultiplied ARGB */
        int width, height, hot_x, hot_y, x, y;
        bool shown;
    } cursor;
};

/* Takes a device with all that is the driver's set. 0 or -ENOMEM. */
int display_register(struct display *d);
/* The same for a device that drives the primary screen better than who
 * registered it. */
int display_take_over(struct display *d);
/* The screen in use: the first that registered, unless it was taken over;
 * NULL: none. */
struct display *display_primary(void);
/* `changed` is called when the primary screen is another one or has another
 * size; in the place of who was told before. */
void display_on_change(void (*changed)(void));

/* The mode that the user named, which drivers start with if they can. */
void display_name_mode(struct mode m);
struct mode display_named_mode(void);
/* Sizes that display_set_mode knows; answers how many. None if the screen
 * has only the one. */
unsigned display_modes(const struct display *d, struct mode list[MODES_MAX]);
/* The picture stays at its place as far as there is room. 0, -EINVAL: beyond
 * the limits, -ENOTSUP, -ENOMEM or the driver's error; then the old mode
 * stays. */
int display_set_mode(struct display *d, struct mode m);

/* Into the shadow copy, clipped; shown at the next flush. */
void display_fill(struct display *d, int x, int y, int w, int h,
                  uint32_t colour);
/* `pitch` in pixels. */
void display_draw(struct display *d, const uint32_t *pixels, uint32_t pitch,
                  int x, int y, int w, int h);
/* Moves everything up, the new rows in `colour`. */
void display_scroll(struct display *d, int lines, uint32_t colour);
/* Sends what changed to the device. */
void display_flush(struct display *d);

/* A new pointer shape, at most CURSOR_MAX each way; copied. */
void display_set_cursor(struct display *d, const uint32_t *argb, int w, int h,
                        int hot_x, int hot_y);
void display_move_cursor(struct display *d, int x, int y);
void display_hide_cursor(struct display *d);
