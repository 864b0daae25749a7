/*
 * console.c - a text console on the primary display.
 */
#include "kernel/console.h"

#include <stdint.h>

#include "drivers/display.h"
#include "kernel/console_font.h"

enum { MARGIN = 12, TAB = 8 };
enum colour {
    PAPER = 0x10161f, INK = 0xd7dee8, ALARM_PAPER = 0x7a1f1f,
    ALARM_INK = 0xffffff,
};

static struct display *screen;
static uint32_t paper = PAPER, ink = INK;
static unsigned columns, rows, column, row;
static bool first_page_only, full;

static void clear(void)
{
    display_fill(screen, 0, 0, (int)screen->width, (int)screen->height,
                 paper);
    column = row = 0;
}

bool console_init(void)
{
    if (!screen) {
        screen = display_primary();
        if (!screen)
            return false;
        columns = (screen->width - 2 * MARGIN) / FONT_WIDTH;
        rows = (screen->height - 2 * MARGIN) / FONT_HEIGHT;
        clear();
    }
    return true;
}

void console_alarm(void)
{
    paper = ALARM_PAPER;
    ink = ALARM_INK;
    first_page_only = true;
    display_hide_cursor(screen);
    clear();
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

static void draw(unsigned at_column, unsigned at_row, unsigned char c)
{
    uint32_t pixels[FONT_HEIGHT * FONT_WIDTH];

    for (int y = 0; y < FONT_HEIGHT; y++)
        for (int x = 0; x < FONT_WIDTH; x++)
            pixels[y * FONT_WIDTH + x] =
                mix(paper, ink, console_font[c - FONT_FIRST][y][x]);
    display_draw(screen, pixels, FONT_WIDTH,
                 (int)(MARGIN + at_column * FONT_WIDTH),
                 (int)(MARGIN + at_row * FONT_HEIGHT), FONT_WIDTH,
                 FONT_HEIGHT);
}

static void new_line(void)
{
    column = 0;
    if (row + 1 < rows) {
        row++;
        return;
    }
    if (first_page_only) {
        full = true;
        return;
    }
    display_scroll(screen, FONT_HEIGHT, paper);
}

void console_write(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && !full; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\n') {
            new_line();
        } else if (c == '\t') {
            column += TAB - column % TAB;
        } else if (c >= FONT_FIRST && c <= FONT_LAST) {
            if (column >= columns)
                new_line();
            draw(column++, row, c);
        }
    }
}

void console_flush(void) { display_flush(screen); }
