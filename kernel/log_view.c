/*
 * log_view.c - pages of the log, of this run or of the last one.
 */
#include "kernel/log_view.h"

#include <stddef.h>
#include <string.h>

#include "kernel/console.h"
#include "kernel/klog.h"
#include "kernel/log_text.h"
#include "kernel/platform_metal.h"

enum {
    USAGE_ESCAPE = 0x29, USAGE_TAB = 0x2b, USAGE_F12 = 0x45,
    USAGE_PAGE_UP = 0x4b, USAGE_PAGE_DOWN = 0x4e, USAGE_DOWN = 0x51,
    USAGE_UP = 0x52,
};
enum { HEAD_ROWS = 3 };

static char text[LOG_TEXT_BYTES];
static size_t used;
static bool shown, last;
static unsigned back; /* rows above the end */

/* The console draws only printable characters; a row is as long as it looks.
 */
static void read_log(void)
{
    size_t n = last ? klog_copy_last(text, sizeof text)
                    : klog_copy(text, sizeof text);

    used = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'))
            text[used++] = text[i];
        else if (text[i] == '\t')
            text[used++] = ' ';
}

/* End of the row that begins at `at`: a line's, or where it is broken. */
static size_t row_end(size_t at)
{
    size_t end = at, columns = console_columns();

    while (end < used && text[end] != '\n' && end - at < columns)
        end++;
    return end;
}

static size_t next_row(size_t at)
{
    size_t end = row_end(at);

    return end < used && text[end] == '\n' ? end + 1 : end;
}

static unsigned count_rows(void)
{
    unsigned rows = 0;

    for (size_t at = 0; at < used; at = next_row(at))
        rows++;
    return rows;
}

static void say(const char *line)
{
    console_write(line, strlen(line));
    console_write("\n", 1);
}

static void draw(void)
{
    unsigned room, rows, first, row = 0;

    console_page();
    room = console_rows() - HEAD_ROWS;
    rows = count_rows();
    if (back + room > rows)
        back = rows > room ? rows - room : 0;
    first = rows > room ? rows - room - back : 0;
    say(last ? "The log of the last run, before a warm start."
                        : "The log of this run.");
    say("F12: back to the desktop. Tab: this run, the last run. "
                   "Page up, page down.\n");
    for (size_t at = 0; at < used && row < first + room;
         at = next_row(at), row++) {
        if (row < first)
            continue;
        console_write(text + at, row_end(at) - at);
        console_write("\n", 1);
    }
    if (!used)
        say("Nothing is known of it.");
    console_flush();
}

static void show(bool of_last)
{
    last = of_last;
    back = 0;
    read_log();
    draw();
}

static void scroll(int rows)
{
    back = rows < 0 && back < (unsigned)-rows ? 0 : back + (unsigned)rows;
    draw();
}

bool log_view_shown(void) { return shown; }

void log_view_resized(void)
{
    if (shown && console_init())
        draw();
}

bool log_view_key(uint8_t usage)
{
    int page;

    if (!shown && (usage != USAGE_F12 || !console_init()))
        return false;
    page = (int)console_rows() - HEAD_ROWS - 1;
    switch (usage) {
    case USAGE_F12:
    case USAGE_ESCAPE:
        shown = !shown && platform_cover_screen();
        if (shown)
            show(false);
        else
            platform_uncover_screen();
        break;
    case USAGE_TAB:
        show(!last);
        break;
    case USAGE_PAGE_UP:
        scroll(page);
        break;
    case USAGE_PAGE_DOWN:
        scroll(-page);
        break;
    case USAGE_UP:
        scroll(1);
        break;
    case USAGE_DOWN:
        scroll(-1);
        break;
    }
    return true;
}
