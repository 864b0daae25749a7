/*
 * screen.c - the picture that the VM has shown, window or not.
 *
 * The window opens when something is first shown, so that an image that only
 * computes never opens one. Without a window the picture is still kept: a
 * screenshot is what headless tests look at.
 */
#include "vm/hosted/hosted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_WIDTH = 1280, DEFAULT_HEIGHT = 800 };

struct screen screen;

static bool headless;
static bool size_is_fixed; /* the command line gave it */
static const char *save_name;

void screen_headless(void)
{
    headless = true;
}

static void copy_rows(uint32_t *to, uint32_t to_width, const uint32_t *from,
                      uint32_t from_width, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        memcpy(to + (size_t)y * to_width, from + (size_t)y * from_width,
               width * sizeof *to);
}

void screen_resize(uint32_t width, uint32_t height)
{
    uint32_t *p = calloc((size_t)width * height, sizeof *p);

    if (!p)
        plat_panic("no memory for the screen");
    if (screen.pixels)
        copy_rows(p, width, screen.pixels, screen.width,
                  width < screen.width ? width : screen.width,
                  height < screen.height ? height : screen.height);
    free(screen.pixels);
    screen.pixels = p;
    screen.width = width;
    screen.height = height;
    screen.left = screen.top = 0;
    screen.right = (int32_t)width;
    screen.bottom = (int32_t)height;
}

void screen_fix_size(uint32_t width, uint32_t height)
{
    size_is_fixed = true;
    screen_resize(width, height);
}

static void ensure_screen(void)
{
    if (!screen.pixels)
        screen_resize(DEFAULT_WIDTH, DEFAULT_HEIGHT);
}

void plat_display_info(struct plat_display *d)
{
    ensure_screen();
    d->width = screen.width;
    d->height = screen.height;
}

uint32_t plat_display_scale(void)
{
    return headless ? 100 : window_scale_percent();
}

void plat_display_want(uint32_t width, uint32_t height)
{
    if (size_is_fixed || width < 64 || height < 64 || width > 16384 ||
        height > 16384)
        return;
    window_limit(&width, &height);
    screen_resize(width, height);
    if (window_is_open())
        window_resize(width, height);
}

/* A window has whatever size it is pulled to. */
bool plat_display_mode(unsigned index, uint32_t *width, uint32_t *height)
{
    return false;
}

int plat_display_set(uint32_t width, uint32_t height) { return -1; }

static void enlarge_dirty(int32_t l, int32_t t, int32_t r, int32_t b)
{
    if (screen.left >= screen.right) {
        screen.left = l;
        screen.top = t;
        screen.right = r;
        screen.bottom = b;
        return;
    }
    screen.left = l < screen.left ? l : screen.left;
    screen.top = t < screen.top ? t : screen.top;
    screen.right = r > screen.right ? r : screen.right;
    screen.bottom = b > screen.bottom ? b : screen.bottom;
}

void plat_display_show(const uint32_t *pixels, uint32_t pitch, int32_t left,
                       int32_t top, int32_t right, int32_t bottom)
{
    ensure_screen();
    left = left < 0 ? 0 : left;
    top = top < 0 ? 0 : top;
    if (right > (int32_t)screen.width)
        right = (int32_t)screen.width;
    if (bottom > (int32_t)screen.height)
        bottom = (int32_t)screen.height;
    if (left >= right || top >= bottom)
        return;
    for (int32_t y = top; y < bottom; y++)
        memcpy(screen.pixels + (size_t)y * screen.width + left,
               (const char *)pixels + (size_t)y * pitch + left * 4l,
               (size_t)(right - left) * 4);
    enlarge_dirty(left, top, right, bottom);
    if (!screen.ever_shown) {
        screen.ever_shown = true;
        if (!headless && !window_open())
            headless = true;
    }
}

void screen_flush(void)
{
    if (screen.left >= screen.right || !window_is_open())
        return;
    window_show();
    screen.left = screen.right = 0;
}

void plat_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y)
{
    if (!headless)
        window_cursor(argb, w, h, hot_x, hot_y);
}

/* --- screenshots --- */

void screen_save_to(const char *file)
{
    save_name = file;
}

static void write_ppm(FILE *f)
{
    size_t n = (size_t)screen.width * screen.height;

    fprintf(f, "P6\n%u %u\n255\n", screen.width, screen.height);
    for (size_t i = 0; i < n; i++) {
        uint32_t p = screen.pixels[i];
        uint8_t rgb[3] = { p >> 16 & 255, p >> 8 & 255, p & 255 };

        fwrite(rgb, 1, 3, f);
    }
}

void screen_save_as(const char *file)
{
    FILE *f;

    ensure_screen();
    f = fopen(file, "wb");
    if (!f) {
        fprintf(stderr, "aerostat: cannot write %s\n", file);
        return;
    }
    write_ppm(f);
    if (fclose(f))
        fprintf(stderr, "aerostat: cannot write %s\n", file);
}

void screen_save(void)
{
    if (save_name)
        screen_save_as(save_name);
}

/* --- clipboard: the window system's, or our own --- */

static char *own_text;
static size_t own_size;

const char *plat_clipboard_get(size_t *n)
{
    if (window_is_open())
        return window_clipboard_get(n);
    *n = own_size;
    return own_text ? own_text : "";
}

void plat_clipboard_set(const char *utf8, size_t n)
{
    char *copy;

    if (window_is_open()) {
        window_clipboard_set(utf8, n);
        return;
    }
    copy = malloc(n + 1);
    if (!copy)
        return;
    memcpy(copy, utf8, n);
    free(own_text);
    own_text = copy;
    own_size = n;
}
