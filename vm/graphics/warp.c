/*
 * warp.c - WarpBlt: the destination rectangle is filled from a quadrilateral
 * of the source, whose corners are in 14-bit fixed point. p1 is its top left,
 * p2 bottom left, p3 bottom right, p4 top right corner.
 */
#include "vm/graphics/bitblt.h"
#include "vm/graphics/bitblt_loops.h"
#include "vm/primitives/prim.h"

#include <stdlib.h>

enum { WARP_BASE = 15, WARP_SLOTS = WARP_BASE + 12 };
enum { POINT_BITS = 14, ONE = 1 << POINT_BITS };

struct place {
    int64_t x, y;
};

struct warp {
    struct blt *b;
    struct place left, right; /* ends of the source line for a row */
    struct place left_step, right_step; /* per row */
    struct place step;        /* per pixel of the row */
    struct place span;        /* from left to right; step follows from it */
    struct place across, down; /* between the points that a pixel averages */
    int smoothing;
    const uint32_t *source_map;
    struct colour_map map;
    bool direct; /* pixels of 32 bits that are neither mapped nor chosen */
};

/* From a to b in n steps: never short of b. */
static int64_t step(int64_t a, int64_t b, int64_t n)
{
    if (a == b)
        return 0;
    return b > a ? (b - a + ONE) / (n + 1) + 1
                 : -((a - b + ONE) / (n + 1) + 1);
}

/* Where to start so that going backwards ends at b. */
static int64_t start(int64_t a, int64_t b, int64_t by, int64_t n)
{
    return by < 0 ? b - n * by : a;
}

static bool load_place(struct vm *vm, oop warp, unsigned corner,
                       struct place *p)
{
    unsigned i = WARP_BASE + corner * 3;

    return slot(warp, i) != vm->heap.nil &&
           slot(warp, i + 1) != vm->heap.nil &&
           blt_number(vm, warp, i, 0, &p->x) &&
           blt_number(vm, warp, i + 1, 0, &p->y);
}

/* One side of the quadrilateral, walked from a to b over the rows. */
static void load_side(struct place *at, struct place *by, struct place a,
                      struct place b, int64_t n)
{
    by->x = step(a.x, b.x, n);
    by->y = step(a.y, b.y, n);
    at->x = start(a.x, b.x, by->x, n);
    at->y = start(a.y, b.y, by->y, n);
}

static void advance(struct place *p, const struct place *by, int64_t n)
{
    p->x += by->x * n;
    p->y += by->y * n;
}

/* --- picking pixels --- */

/* 0 outside of the source. */
static uint32_t pick(const struct warp *w, int64_t x, int64_t y)
{
    const struct form *f = &w->b->source;

    if (x < 0 || y < 0 || x >> POINT_BITS >= f->width ||
        y >> POINT_BITS >= f->height)
        return 0;
    return form_pixel(f, (int)(x >> POINT_BITS), (int)(y >> POINT_BITS));
}

static uint32_t to_argb(const struct warp *w, uint32_t p)
{
    switch (w->b->source.depth) {
    case 32: return p;
    case 16:
        return (p & 0x1f) << 3 | (p & 0x3e0) << 6 | (p & 0x7c00) << 9;
    default: return w->source_map[p];
    }
}

/* Sums of channels: 16 bits are enough for MAX_SMOOTHING squared pixels. */
struct sum {
    uint64_t lanes;
    uint32_t pixels;
};

static uint32_t average(const struct sum *s)
{
    uint64_t lanes = 0;

    if (s->pixels == 4)
        return from_lanes(s->lanes >> 2 & LANES);
    for (int i = 0; i < 64; i += 16)
        lanes |= (s->lanes >> i & 0xffff) / s->pixels << i;
    return from_lanes(lanes);
}

/* n by n points of the source that a destination pixel covers. Painting
 * leaves transparent ones out, and the pixel if most are. */
static uint32_t smooth(const struct warp *w, const struct place *at)
{
    int n = w->smoothing;
    bool paint = w->b->rule == RULE_PAINT;
    struct place row = *at, p;
    struct sum s = { 0, 0 };

    for (int j = 0; j < n; j++, advance(&row, &w->down, 1)) {
        p = row;
        for (int k = 0; k < n; k++, advance(&p, &w->across, 1)) {
            uint32_t v = pick(w, p.x, p.y);

            if (!paint || v) {
                s.lanes += to_lanes(to_argb(w, v));
                s.pixels++;
            }
        }
    }
    if (!s.pixels || (paint && s.pixels < (unsigned)(n * n) / 2))
        return 0;
    return colour_map_pixel(&w->map, average(&s));
}

/* --- rows of 32-bit pixels that lie in the source with all their points,
 * and are taken as they are --- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Whether from + a + b + c, each of them taken or not, is within size. */
static bool is_within(int64_t from, int64_t a, int64_t b, int64_t c, int size)
{
    int64_t low = from + least(a, 0) + least(b, 0) + least(c, 0);
    int64_t high = from - least(-a, 0) - least(-b, 0) - least(-c, 0);

    return low >= 0 && high >> POINT_BITS < size;
}

/* From the first point to the last that a pixel covers. */
static struct place reach(const struct warp *w, struct place by)
{
    int n = w->smoothing - 1;

    return (struct place){ by.x * n, by.y * n };
}

static bool row_is_within(const struct warp *w, const struct place *at)
{
    const struct form *f = &w->b->source;
    struct place across = reach(w, w->across), down = reach(w, w->down);
    int64_t n = w->b->w - 1;

    return is_within(at->x, w->step.x * n, across.x, down.x, f->width) &&
           is_within(at->y, w->step.y * n, across.y, down.y, f->height);
}

static const uint32_t *source_row(const struct warp *w, int64_t y)
{
    return form_row(&w->b->source, (int)(y >> POINT_BITS));
}

static void pick_row(const struct warp *w, struct place at, uint32_t *to)
{
    const uint32_t *from = source_row(w, at.y);
    const struct place by = w->step;
    int n = w->b->w;

    if (by.y == 0) {
        blt_loops->pick(to, (size_t)n, from, (size_t)w->b->source.width,
                        at.x, by.x);
        return;
    }
    for (int i = 0; i < n; i++, advance(&at, &by, 1))
        to[i] = source_row(w, at.y)[at.x >> POINT_BITS];
}

static uint32_t smooth_within(const struct warp *w, struct place row)
{
    int n = w->smoothing;
    struct sum s = { 0, (uint32_t)(n * n) };

    for (int j = 0; j < n; j++, advance(&row, &w->down, 1)) {
        struct place p = row;

        for (int k = 0; k < n; k++, advance(&p, &w->across, 1))
            s.lanes += to_lanes(source_row(w, p.y)[p.x >> POINT_BITS]);
    }
    return average(&s);
}

/* Sums of two rows of the source, from column `first` on; kept, since a
 * picture that grows takes them again. */
struct sums {
    uint64_t *sums;
    size_t room;
    const uint32_t *a, *b; /* the rows they are of */
    int64_t first;
};

static bool sum_columns(struct sums *s, const uint32_t *a, const uint32_t *b,
                        int64_t first, size_t n)
{
    if (n > s->room) {
        uint64_t *p = realloc(s->sums, n * sizeof *p);

        if (!p)
            return false;
        s->sums = p;
        s->room = n;
        s->a = NULL;
    }
    if (s->a == a && s->b == b && s->first == first)
        return true;
    blt_loops->sum_rows(s->sums, a + first, b + first, n);
    s->a = a;
    s->b = b;
    s->first = first;
    return true;
}

/* Two by two points along two rows of the source. False: no memory. */
static bool halve_row(const struct warp *w, struct sums *s, struct place at,
                      uint32_t *to)
{
    int64_t across = w->across.x, n = w->b->w, way = w->step.x * (n - 1);
    int64_t first = at.x + least(way, 0) + least(across, 0);
    int64_t last = at.x - least(-way, 0) - least(-across, 0);

    first >>= POINT_BITS;
    last >>= POINT_BITS;
    if (!sum_columns(s, source_row(w, at.y),
                     source_row(w, at.y + w->down.y), first,
                     (size_t)(last - first + 1)))
        return false;
    blt_loops->quarter_sums(to, (size_t)n, s->sums,
                            at.x - first * ONE, w->step.x, across);
    return true;
}

static void direct_row(const struct warp *w, struct sums *s, struct place at,
                       uint32_t *to)
{
    if (w->smoothing == 1) {
        pick_row(w, at, to);
        return;
    }
    if (w->smoothing == 2 && w->step.y == 0 && w->left_step.x == 0 &&
        halve_row(w, s, at, to))
        return;
    for (int i = 0; i < w->b->w; i++, advance(&at, &w->step, 1))
        to[i] = smooth_within(w, at);
}

/* --- rows --- */

static void warp_row(const struct warp *w, struct place at, uint32_t *row)
{
    const struct blt *b = w->b;
    uint32_t mask = form_mask(b->dest.depth);
    unsigned per_word = 32 / b->dest.depth;
    unsigned first = (unsigned)b->dx / per_word;

    for (int x = b->dx; x < b->dx + b->w; x++) {
        unsigned word = (unsigned)x / per_word - first;
        uint32_t p = w->smoothing > 1
                         ? smooth(w, &at)
                         : colour_map_pixel(&w->map, pick(w, at.x, at.y));

        if (x == b->dx || (unsigned)x % per_word == 0)
            row[word] = 0;
        row[word] |= (p & mask) << form_shift(&b->dest, x);
        advance(&at, &w->step, 1);
    }
}

static struct place part(const struct warp *w, struct place by)
{
    if (w->smoothing == 1)
        return by;
    return (struct place){ by.x / w->smoothing, by.y / w->smoothing };
}

/* Where the line of the source for a row begins; its steps go to w->step,
 * divided anew only if its length changes. */
static struct place begin_row(struct warp *w)
{
    int64_t n = w->b->width > 1 ? w->b->width - 1 : 1;
    struct place span = { w->right.x - w->left.x, w->right.y - w->left.y };
    struct place at;

    if (span.x != w->span.x || span.y != w->span.y) {
        w->span = span;
        w->step.x = step(w->left.x, w->right.x, n);
        w->step.y = step(w->left.y, w->right.y, n);
        w->across = part(w, w->step);
    }
    at.x = start(w->left.x, w->right.x, w->step.x, n);
    at.y = start(w->left.y, w->right.y, w->step.y, n);
    if (w->b->dest_x < w->b->clip_x)
        advance(&at, &w->step, w->b->clip_x - w->b->dest_x);
    return at;
}

static void warp_rows(struct warp *w, uint32_t *row)
{
    struct blt *b = w->b;
    struct sums sums = { 0 };
    bool store = b->rule == RULE_STORE && !b->halftone && w->direct &&
                 b->dest.bits != b->source.bits;

    w->down = part(w, w->left_step);
    if (b->dest_y < b->clip_y) {
        advance(&w->left, &w->left_step, b->clip_y - b->dest_y);
        advance(&w->right, &w->right_step, b->clip_y - b->dest_y);
    }
    for (int y = b->dy; y < b->dy + b->h; y++) {
        uint32_t *to = store ? form_row(&b->dest, y) + b->dx : row;
        struct place at = begin_row(w);

        if (w->direct && row_is_within(w, &at))
            direct_row(w, &sums, at, to);
        else
            warp_row(w, at, to);
        if (!store)
            blt_merge_row(b, row, y);
        advance(&w->left, &w->left_step, 1);
        advance(&w->right, &w->right_step, 1);
    }
    free(sums.sums);
}

static bool is_direct(const struct warp *w)
{
    return w->b->source.depth == 32 && w->b->dest.depth == 32 &&
           !w->map.fixed && !w->map.table &&
           (w->smoothing == 1 || w->b->rule != RULE_PAINT);
}

/* Averages are 32-bit pixels: an old map must take these. */
static void map_averages(struct warp *w)
{
    if (w->smoothing == 1 || w->map.new_style)
        return;
    w->map.fixed = false;
    if (!w->map.table) {
        if (w->b->dest.depth == 16)
            colour_map_convert(&w->map, 8, 5);
    } else if (w->map.bits_per_colour) {
        colour_map_convert(&w->map, 8, w->map.bits_per_colour);
    }
}

int blt_warp(struct vm *vm, struct blt *b, oop warp, int smoothing,
             const uint32_t *source_map)
{
    struct warp w = { .b = b, .smoothing = smoothing,
                      .source_map = source_map, .map = b->map };
    int64_t n = b->height > 1 ? b->height - 1 : 1;
    struct place p[4];
    uint32_t *row;

    if (slot_count(warp) < WARP_SLOTS)
        return PRIM_ERR_BAD_RECEIVER;
    for (unsigned i = 0; i < 4; i++)
        if (!load_place(vm, warp, i, &p[i]))
            return PRIM_ERR_BAD_RECEIVER;
    row = blt_row_buffer(b);
    if (!row)
        return PRIM_ERR_NO_C_MEMORY;
    load_side(&w.left, &w.left_step, p[0], p[1], n);
    load_side(&w.right, &w.right_step, p[3], p[2], n);
    map_averages(&w);
    w.direct = is_direct(&w);
    warp_rows(&w, row);
    return PRIM_OK;
}
