/*
 * hosted.h - doors between the files of the Linux world. The VM itself sees
 * none of this, only vm/platform.h.
 *
 * screen.c keeps the picture that the VM has shown; window_sdl.c puts it on
 * a window, if there is one; platform_linux.c has time, memory, console;
 * files_linux.c has files and the image; disks_linux.c files that are disks;
 * events.c plays pointer and keys from a file; main.c the command line.
 */
#pragma once

#include "vm/platform.h"

struct screen {
    uint32_t *pixels; /* width * height, XRGB; the last one shown */
    uint32_t width, height;
    int32_t left, top, right, bottom; /* not yet on the window */
    bool ever_shown;
};

/* --- platform_linux.c --- */

/* Starts what makes the VM reach safepoints: before it runs. */
void clock_start(void);
/* Memory for what the VM is going to need of malloc: first of all. */
void prepare_malloc(void);

/* --- disks_linux.c --- */

/* The image sees this file as a disk. False: it cannot be opened, or there
 * are too many. */
bool disks_add(const char *path, uint32_t sector_size);

/* --- screen.c --- */

extern struct screen screen;

/* The picture gets another size; what was there stays where it was. */
void screen_resize(uint32_t width, uint32_t height);
/* The same for good: the image's own wish does not count. */
void screen_fix_size(uint32_t width, uint32_t height);
/* No window, ever: before the VM runs. */
void screen_headless(void);
/* Where screen_save writes a PPM picture: at exit and on SIGUSR1. */
void screen_save_to(const char *file);
void screen_save(void);
void screen_save_as(const char *file);
/* At exit and regularly: puts what changed on the window. */
void screen_flush(void);

/* --- files_linux.c --- */

/* The image may write, delete and save only below that directory. */
void files_write_below(const char *directory);

/* --- events.c --- */

/* Pointer and keys come from there, too. Exits when it cannot be read. */
void events_from(const char *file);
/* There may be more of them. */
bool events_wanted(void);
/* Posts the next one, if its time has come. */
void events_poll(void);

/* --- window_sdl.c: most of it is called only when there is a window --- */

/* Opens it, at the screen's size. False: there is no display to open it on. */
bool window_open(void);
bool window_is_open(void);
void window_resize(uint32_t width, uint32_t height);
/* Shows the rectangle of `screen` that changed. */
void window_show(void);
/* Moves waiting events to the VM's queue. */
void window_poll(void);
/* Sleeps up to `usecs`, or until an event is there. */
void window_wait(uint64_t usecs);
void window_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y);
/* The UI scale for the display that it is on, or will be. */
uint32_t window_scale_percent(void);
/* No larger than its display, if that was asked for already. */
void window_limit(uint32_t *width, uint32_t *height);
const char *window_clipboard_get(size_t *n);
void window_clipboard_set(const char *utf8, size_t n);
