/*
 * display.c - shadow copy, dirty rectangles and the software pointer of
 * every screen.
 */
#include "drivers/display.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static struct display *primary;
static void (*on_change)(void);
static struct mode named;

static void tell(void)
{
    if (on_change)
        on_change();
}

void display_on_change(void (*changed)(void)) { on_change = changed; }
void display_name_mode(struct mode m) { named = m; }
struct mode display_named_mode(void) { return named; }
struct display *display_primary(void) { return primary; }

int display_register(struct display *d)
{
    d->shadow = calloc((size_t)d->width * d->height, sizeof *d->shadow);
    d->line = calloc(d->width, sizeof *d->line);
    d->cursor.pixels = calloc(CURSOR_MAX * CURSOR_MAX, sizeof *d->shadow);
    if (!d->shadow || !d->line || !d->cursor.pixels)
        return -ENOMEM;
    if (!primary) {
        primary = d;
        tell();
    }
    return 0;
}

int display_take_over(struct display *d)
{
    struct display *old = primary;
    int error = display_register(d);

    if (!error && old) {
        primary = d;
        tell();
    }
    return error;
}

/* --- rectangles --- */

static bool is_empty(struct rect r)
{
    return r.left >= r.right || r.top >= r.bottom;
}

static struct rect intersection(struct rect a, struct rect b)
{
    return (struct rect){
        a.left > b.left ? a.left : b.left,
        a.top > b.top ? a.top : b.top,
        a.right < b.right ? a.right : b.right,
        a.bottom < b.bottom ? a.bottom : b.bottom,
    };
}

static struct rect merge(struct rect a, struct rect b)
{
    return (struct rect){
        a.left < b.left ? a.left : b.left,
        a.top < b.top ? a.top : b.top,
        a.right > b.right ? a.right : b.right,
        a.bottom > b.bottom ? a.bottom : b.bottom,
    };
}

static int64_t area(struct rect r)
{
    return (int64_t)(r.right - r.left) * (r.bottom - r.top);
}

static struct rect clip(const struct display *d, int x, int y, int w, int h)
{
    return intersection((struct rect){ x, y, x + w, y + h },
                        (struct rect){ 0, 0, (int)d->width,
                                       (int)d->height });
}

/* Merges where the common hull costs little more than the two apart, or
 * when the list is full. */
static void mark_dirty(struct display *d, struct rect r)
{
    if (is_empty(r))
        return;
    for (unsigned i = 0; i < d->dirty_count; i++) {
        struct rect hull = merge(d->dirty[i], r);

        if (area(hull) <= area(d->dirty[i]) + area(r)) {
            d->dirty[i] = hull;
            return;
        }
    }
    if (d->dirty_count < DISPLAY_DIRTY_MAX)
        d->dirty[d->dirty_count++] = r;
    else
        d->dirty[0] = merge(d->dirty[0], r);
}

/* --- drawing into the shadow --- */

static uint32_t *shadow_at(struct display *d, int x, int y)
{
    return d->shadow + (size_t)y * d->width + x;
}

void display_fill(struct display *d, int x, int y, int w, int h,
                  uint32_t colour)
{
    struct rect r = clip(d, x, y, w, h);

    for (int row = r.top; row < r.bottom; row++) {
        uint32_t *p = shadow_at(d, 0, row);

        for (int column = r.left; column < r.right; column++)
            p[column] = colour;
    }
    mark_dirty(d, r);
}

void display_draw(struct display *d, const uint32_t *pixels, uint32_t pitch,
                  int x, int y, int w, int h)
{
    struct rect r = clip(d, x, y, w, h);

    if (is_empty(r))
        return;
    for (int row = r.top; row < r.bottom; row++)
        memcpy(shadow_at(d, r.left, row),
               pixels + (size_t)(row - y) * pitch + (r.left - x),
               (size_t)(r.right - r.left) * sizeof *pixels);
    mark_dirty(d, r);
}

void display_scroll(struct display *d, int lines, uint32_t colour)
{
    int kept = (int)d->height - lines;

    memmove(d->shadow, shadow_at(d, 0, lines),
            (size_t)kept * d->width * sizeof *d->shadow);
    display_fill(d, 0, kept, (int)d->width, lines, colour);
    mark_dirty(d, clip(d, 0, 0, (int)d->width, (int)d->height));
}

/* --- out to the device --- */

static struct rect cursor_rect(const struct display *d)
{
    int x = d->cursor.x - d->cursor.hot_x, y = d->cursor.y - d->cursor.hot_y;

    if (!d->cursor.shown)
        return (struct rect){ 0, 0, 0, 0 };
    return clip(d, x, y, d->cursor.width, d->cursor.height);
}

/* Premultiplied source over an opaque pixel. */
static uint32_t over(uint32_t source, uint32_t under)
{
    uint32_t left = 255 - (source >> 24), result = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        uint32_t v = (source >> shift & 255) +
                     ((under >> shift & 255) * left + 127) / 255;

        result |= (v > 255 ? 255 : v) << shift;
    }
    return result;
}

/* One row of the shadow with the pointer on it; valid from r.left on. */
static const uint32_t *compose(struct display *d, struct rect r, int y)
{
    struct rect c = intersection(cursor_rect(d), r);
    int top = d->cursor.y - d->cursor.hot_y;
    int left = d->cursor.x - d->cursor.hot_x;

    if (y < c.top || y >= c.bottom || c.left >= c.right)
        return shadow_at(d, r.left, y);
    memcpy(d->line + r.left, shadow_at(d, r.left, y),
           (size_t)(r.right - r.left) * sizeof *d->line);
    for (int x = c.left; x < c.right; x++)
        d->line[x] = over(d->cursor.pixels[(y - top) * d->cursor.width +
                                           (x - left)],
                          d->line[x]);
    return d->line + r.left;
}

void display_flush(struct display *d)
{
    for (unsigned i = 0; i < d->dirty_count; i++) {
        struct rect r = d->dirty[i];

        for (int y = r.top; y < r.bottom; y++)
            d->ops->row(d, r.left, y, compose(d, r, y), r.right - r.left);
        if (d->ops->done)
            d->ops->done(d, r);
    }
    d->dirty_count = 0;
}

/* --- modes --- */

unsigned display_modes(const struct display *d, struct mode list[MODES_MAX])
{
    if (!d->set_mode)
        return 0;
    return modes_offer(&d->limits,
                       (struct mode){ d->edid.width, d->edid.height },
                       (struct mode){ d->width, d->height }, list);
}

/* The part of the picture that both sizes have. */
static void keep_picture(const struct display *d, struct mode m,
                         uint32_t *to)
{
    uint32_t width = m.width < d->width ? m.width : d->width;
    uint32_t height = m.height < d->height ? m.height : d->height;

    for (uint32_t y = 0; y < height; y++)
        memcpy(to + (size_t)y * m.width, d->shadow + (size_t)y * d->width,
               width * sizeof *to);
}

static void adopt(struct display *d, struct mode m, uint32_t *shadow,
                  uint32_t *line)
{
    keep_picture(d, m, shadow);
    free(d->shadow);
    free(d->line);
    d->shadow = shadow;
    d->line = line;
    d->width = m.width;
    d->height = m.height;
    d->dirty_count = 0;
    mark_dirty(d, clip(d, 0, 0, (int)m.width, (int)m.height));
}

int display_set_mode(struct display *d, struct mode m)
{
    uint32_t *shadow, *line;
    int error = -ENOMEM;

    if (!d->set_mode)
        return -ENOTSUP;
    if (!mode_fits(&d->limits, m))
        return -EINVAL;
    if (mode_same(m, (struct mode){ d->width, d->height }))
        return 0;
    shadow = calloc((size_t)m.width * m.height, sizeof *shadow);
    line = calloc(m.width, sizeof *line);
    if (shadow && line)
        error = d->set_mode(d, m);
    if (error) {
        free(shadow);
        free(line);
        return error;
    }
    adopt(d, m, shadow, line);
    if (d == primary)
        tell();
    return 0;
}

/* --- pointer --- */

void display_set_cursor(struct display *d, const uint32_t *argb, int w, int h,
                        int hot_x, int hot_y)
{
    if (w <= 0 || h <= 0 || w > CURSOR_MAX || h > CURSOR_MAX)
        return;
    mark_dirty(d, cursor_rect(d));
    memcpy(d->cursor.pixels, argb, (size_t)w * (size_t)h * sizeof *argb);
    d->cursor.width = w;
    d->cursor.height = h;
    d->cursor.hot_x = hot_x;
    d->cursor.hot_y = hot_y;
    d->cursor.shown = true;
    mark_dirty(d, cursor_rect(d));
}

void display_move_cursor(struct display *d, int x, int y)
{
    if (x == d->cursor.x && y == d->cursor.y)
        return;
    mark_dirty(d, cursor_rect(d));
    d->cursor.x = x;
    d->cursor.y = y;
    mark_dirty(d, cursor_rect(d));
}

void display_hide_cursor(struct display *d)
{
    mark_dirty(d, cursor_rect(d));
    d->cursor.shown = false;
}
