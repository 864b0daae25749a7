/*
 * modes.h - which sizes a screen offers, which it starts with, and how large
 * things should be drawn on it. Pure; tests/unit/test_modes.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct edid;

struct mode {
    uint32_t width, height; /* 0: none */
};

/* What a driver can set. */
struct mode_limits {
    uint32_t width, height; /* at most */
    uint64_t pixels;        /* at most */
    uint32_t step;          /* widths are multiples of this */
};

enum { MODES_MAX = 24 };

/* "1280x800"; false: no such thing. */
bool mode_parse(const char *text, struct mode *m);
bool mode_same(struct mode a, struct mode b);
bool mode_fits(const struct mode_limits *l, struct mode m);
/* What to start with: the size that the user named, the monitor's own, a
 * usual one, whichever is the first that fits. None if nothing does. */
struct mode modes_choose(const struct mode_limits *l, struct mode named,
                         struct mode own);
/* Fills `list` with what can be set, the smallest first; answers how many.
 * `own` and `now` are among them if they fit. */
unsigned modes_offer(const struct mode_limits *l, struct mode own,
                     struct mode now, struct mode list[MODES_MAX]);
/* A UI scale in percent, 100 to 300, for the monitor (NULL: unknown) with
 * that picture on it. */
uint32_t modes_scale(const struct edid *e, struct mode now);
