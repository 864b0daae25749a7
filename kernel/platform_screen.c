/*
 * platform_screen.c - vm/platform.h's display and clipboard on the bare
 * machine. The desktop's first picture ends the boot log on the screen.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/display.h"
#include "kernel/clock.h"
#include "kernel/klog.h"
#include "kernel/log_view.h"
#include "kernel/platform_metal.h"
#include "kernel/pmm.h"
#include "vm/platform.h"
#include "vm/vm.h"

enum { FRAME_USECS = 16000 };
/* A machine without a screen still answers a size: images divide by it. */
enum { NO_SCREEN_WIDTH = 1024, NO_SCREEN_HEIGHT = 768 };

static bool desktop_shown, pointer_placed;

void plat_display_info(struct plat_display *d)
{
    struct display *s = display_primary();

    d->width = s ? s->width : NO_SCREEN_WIDTH;
    d->height = s ? s->height : NO_SCREEN_HEIGHT;
}

uint32_t plat_display_scale(void)
{
    struct display *s = display_primary();
    struct plat_display d;

    plat_display_info(&d);
    return modes_scale(s ? &s->edid : NULL, (struct mode){ d.width, d.height });
}

bool plat_display_mode(unsigned index, uint32_t *width, uint32_t *height)
{
    struct display *s = display_primary();
    struct mode modes[MODES_MAX];

    if (!s || index >= display_modes(s, modes))
        return false;
    *width = modes[index].width;
    *height = modes[index].height;
    return true;
}

int plat_display_set(uint32_t width, uint32_t height)
{
    struct display *s = display_primary();

    return s && !display_set_mode(s, (struct mode){ width, height }) ? 0 : -1;
}

void plat_display_want(uint32_t width, uint32_t height) {}

/* --- the desktop behind something else --- */

static uint32_t *covered; /* what the desktop would show; NULL: it does */
static uint32_t covered_width, covered_height;

bool platform_cover_screen(void)
{
    struct display *s = display_primary();

    if (!s || !desktop_shown)
        return false;
    covered = malloc((size_t)s->width * s->height * sizeof *covered);
    if (!covered)
        return false;
    covered_width = s->width;
    covered_height = s->height;
    memcpy(covered, s->shadow,
           (size_t)s->width * s->height * sizeof *covered);
    return true;
}

void platform_uncover_screen(void)
{
    struct display *s = display_primary();

    if (!covered)
        return;
    display_draw(s, covered, covered_width, 0, 0, (int)covered_width,
                 (int)covered_height);
    free(covered);
    covered = NULL;
}

/* The desktop draws all of itself after a change of the size. */
static void resize_cover(const struct display *s)
{
    uint32_t *larger = calloc((size_t)s->width * s->height, sizeof *larger);

    free(covered);
    covered = larger;
    covered_width = s->width;
    covered_height = s->height;
}

/* The image is told as if it had a window. */
static void screen_changed(void)
{
    struct plat_display d;
    struct vm_event e = { VM_EVENT_WINDOW, { VM_WINDOW_RESIZED } };

    if (covered)
        resize_cover(display_primary());
    plat_display_info(&d);
    e.arg[3] = (int32_t)d.width;
    e.arg[4] = (int32_t)d.height;
    platform_keep_pointer();
    log_view_resized();
    vm_post_event(&e);
}

static void draw_covered(const uint32_t *pixels, uint32_t pitch,
                         int32_t left, int32_t top, int32_t right,
                         int32_t bottom)
{
    if (right > (int32_t)covered_width)
        right = (int32_t)covered_width;
    if (bottom > (int32_t)covered_height)
        bottom = (int32_t)covered_height;
    for (int32_t y = top; y < bottom && left < right; y++)
        memcpy(covered + (size_t)y * covered_width + left,
               pixels + (size_t)y * (pitch / 4) + left,
               (size_t)(right - left) * sizeof *covered);
}

void plat_display_show(const uint32_t *pixels, uint32_t pitch, int32_t left,
                       int32_t top, int32_t right, int32_t bottom)
{
    struct display *s = display_primary();

    if (!s)
        return;
    if (!desktop_shown) {
        desktop_shown = true;
        klog_screen_off();
        display_on_change(screen_changed);
        klog("desktop: %llu ms after the kernel's entry, "
             "%llu MiB of memory in use\n",
             (unsigned long long)(clock_usecs() / 1000),
             (unsigned long long)((pmm_total_bytes() - pmm_free_bytes()) >>
                                  20));
        display_fill(s, 0, 0, (int)s->width, (int)s->height, 0);
    }
    if (covered) {
        draw_covered(pixels, pitch, left, top, right, bottom);
        return;
    }
    display_draw(s, pixels + (size_t)top * (pitch / 4) + left, pitch / 4,
                 left, top, right - left, bottom - top);
}

void platform_flush_screen(bool now)
{
    static uint64_t next_frame;
    struct display *s = display_primary();
    uint64_t time;

    if (!s || !s->dirty_count)
        return;
    time = clock_usecs();
    if (!now && time < next_frame)
        return;
    next_frame = time + FRAME_USECS;
    display_flush(s);
}

void plat_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y)
{
    struct display *s = display_primary();

    if (!s)
        return;
    display_set_cursor(s, argb, w, h, hot_x, hot_y);
    if (!pointer_placed)
        platform_move_pointer((int)s->width / 2, (int)s->height / 2);
}

void platform_move_pointer(int x, int y)
{
    struct display *s = display_primary();

    pointer_placed = true;
    if (s && !covered)
        display_move_cursor(s, x, y);
}

/* --- clipboard: the machine has nobody to share it with --- */

static char *clipboard;
static size_t clipboard_bytes;

const char *plat_clipboard_get(size_t *n)
{
    *n = clipboard_bytes;
    return clipboard ? clipboard : "";
}

void plat_clipboard_set(const char *utf8, size_t n)
{
    char *copy = malloc(n + 1);

    if (!copy)
        return; /* the old contents stay */
    memcpy(copy, utf8, n);
    copy[n] = 0;
    free(clipboard);
    clipboard = copy;
    clipboard_bytes = n;
}
