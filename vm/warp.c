/*
 * warp.c - WarpBlt: the destination rectangle is filled from a quadrilateral
 * of the source, whose corners are in 14-bit fixed point. p1 is its top left,
 * p2 bottom left, p3 bottom right, p4 top right corner.
 */
#include "vm/bitblt.h"
#include "vm/prim.h"

enum { WARP_BASE = 15, WARP_SLOTS = WARP_BASE + 12 };
enum { POINT_BITS = 14, ONE = 1 << POINT_BITS, RULE_PAINT = 25 };

struct place {
    int64_t x, y;
};

struct warp {
    struct blt *b;
    struct place left, right; /* ends of the source line for a row */
    struct place left_step, right_step; /* per row */
    struct place step;        /* per pixel of the row */
    int smoothing;
    const uint32_t *source_map;
    struct colour_map map;
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
    struct place across = { w->step.x / n, w->step.y / n };
    struct place down = { w->left_step.x / n, w->left_step.y / n };
    bool paint = w->b->rule == RULE_PAINT;
    struct place row = *at, p;
    struct sum s = { 0, 0 };

    for (int j = 0; j < n; j++, advance(&row, &down, 1)) {
        p = row;
        for (int k = 0; k < n; k++, advance(&p, &across, 1)) {
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

static void warp_rows(struct warp *w, uint32_t *row)
{
    struct blt *b = w->b;
    int64_t n = b->width > 1 ? b->width - 1 : 1;
    struct place at;

    if (b->dest_y < b->clip_y) {
        advance(&w->left, &w->left_step, b->clip_y - b->dest_y);
        advance(&w->right, &w->right_step, b->clip_y - b->dest_y);
    }
    for (int y = b->dy; y < b->dy + b->h; y++) {
        load_side(&at, &w->step, w->left, w->right, n);
        if (b->dest_x < b->clip_x)
            advance(&at, &w->step, b->clip_x - b->dest_x);
        warp_row(w, at, row);
        blt_merge_row(b, row, y);
        advance(&w->left, &w->left_step, 1);
        advance(&w->right, &w->right_step, 1);
    }
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
    warp_rows(&w, row);
    return PRIM_OK;
}
