/*
 * console.c - a text console on the primary display.
 */
#include "kernel/console.h"

#include <stdint.h>

#include "drivers/display.h"
#include "kernel/console_font.h"
#include "kernel/qr.h"

enum { MARGIN = 12, TAB = 8, MAX_ZOOM = 4, QUIET = 4 };
enum colour {
    PAPER = 0x10161f, INK = 0xd7dee8, ALARM_PAPER = 0x7a1f1f,
    ALARM_INK = 0xffffff,
};

static struct display *screen;
static uint32_t screen_width, screen_height; /* that it had */
static uint32_t paper = PAPER, ink = INK;
/* Where the next character goes, in pixels; lines end at `right`, or beside
 * the QR code's corner before it. */
static unsigned x, y, right, bottom, zoom = 1;
static bool corner_kept;
static bool first_page_only, full;

static void clear(void)
{
    display_fill(screen, 0, 0, (int)screen->width, (int)screen->height,
                 paper);
    x = y = MARGIN;
    full = false;
}

static void measure(void)
{
    right = screen->width - MARGIN;
    bottom = screen->height - MARGIN;
    clear();
}

bool console_init(void)
{
    struct display *now = display_primary();

    if (!now)
        return false;
    if (now != screen || now->width != screen_width ||
        now->height != screen_height) {
        screen = now;
        screen_width = now->width;
        screen_height = now->height;
        measure();
    }
    return true;
}

void console_page(void)
{
    first_page_only = true;
    measure();
}

unsigned console_rows(void) { return (bottom - MARGIN) / FONT_HEIGHT; }
unsigned console_columns(void) { return (right - MARGIN) / FONT_WIDTH; }

/* Letters of twice their size where the screen is large. */
static unsigned base_zoom(void) { return screen->height >= 1400 ? 2 : 1; }

void console_alarm(void)
{
    paper = ALARM_PAPER;
    ink = ALARM_INK;
    zoom = base_zoom();
    console_page();
    display_hide_cursor(screen);
}

void console_large(bool large)
{
    zoom = base_zoom() * (large ? 2 : 1);
}

void console_keep_corner(void) { corner_kept = true; }

/* A square at the lower right. */
static unsigned corner(void)
{
    unsigned high = screen->height * 5 / 8, wide = screen->width * 2 / 5;

    return high < wide ? high : wide;
}

static unsigned line_end(void)
{
    bool beside = corner_kept &&
                  y + FONT_HEIGHT * zoom + MARGIN + corner() > bottom;

    return beside ? right - MARGIN - corner() : right;
}

void console_qr(const struct qr *q)
{
    unsigned modules = q->side + 2 * QUIET;
    unsigned size = corner() / modules;
    int left = (int)(screen->width - MARGIN - modules * size);
    int top = (int)(screen->height - MARGIN - modules * size);

    if (!size)
        return;
    display_fill(screen, left, top, (int)(modules * size),
                 (int)(modules * size), 0xffffff);
    for (unsigned row = 0; row < q->side; row++)
        for (unsigned column = 0; column < q->side; column++)
            if (q->dark[row][column] & 1)
                display_fill(screen, left + (int)((QUIET + column) * size),
                             top + (int)((QUIET + row) * size), (int)size,
                             (int)size, 0);
}

static uint32_t mix(uint32_t a, uint32_t b, unsigned alpha)
{
    uint32_t result = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        uint32_t from = a >> shift & 255, to = b >> shift & 255;

        result |= (from * (255 - alpha) + to * alpha) / 255 << shift;
    }
    return result;
}

static void draw(unsigned char c)
{
    uint32_t pixels[FONT_HEIGHT * MAX_ZOOM * FONT_WIDTH * MAX_ZOOM];
    unsigned width = FONT_WIDTH * zoom, height = FONT_HEIGHT * zoom;

    for (unsigned row = 0; row < height; row++)
        for (unsigned column = 0; column < width; column++)
            pixels[row * width + column] =
                mix(paper, ink,
                    console_font[c - FONT_FIRST][row / zoom][column / zoom]);
    display_draw(screen, pixels, width, (int)x, (int)y, (int)width,
                 (int)height);
}

static void new_line(void)
{
    unsigned height = FONT_HEIGHT * zoom;

    x = MARGIN;
    if (y + 2 * height <= bottom)
        y += height;
    else if (first_page_only)
        full = true;
    else
        display_scroll(screen, (int)height, paper);
}

static size_t word_length(const char *bytes, size_t n)
{
    size_t i = 0;

    while (i < n && bytes[i] > ' ')
        i++;
    return i;
}

/* So many characters that belong together go to the next line if this one has
 * no room for them, and that one has. */
static void make_room(size_t n)
{
    size_t wide = n * FONT_WIDTH * zoom;

    if (x + wide > line_end() && x > MARGIN && MARGIN + wide <= line_end())
        new_line();
}

static void put(unsigned char c)
{
    unsigned width = FONT_WIDTH * zoom;

    if (x + width > line_end()) {
        new_line();
        if (c == ' ')
            return;
    }
    if (full)
        return;
    draw(c);
    x += width;
}

void console_write(const char *bytes, size_t n)
{
    static bool in_word; /* the one before may have ended with half of it */
    unsigned tab = TAB * FONT_WIDTH * zoom;

    for (size_t i = 0; i < n && !full; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c > ' ' && !in_word)
            make_room(word_length(bytes + i, n - i));
        in_word = c > ' ';
        if (c == '\n')
            new_line();
        else if (c == '\t')
            x += tab - (x - MARGIN) % tab;
        else if (c >= FONT_FIRST && c <= FONT_LAST)
            put(c);
    }
}

void console_flush(void) { display_flush(screen); }
