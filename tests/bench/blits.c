/*
 * blits.c - our BitBlt beside pixman: the same work on pictures of the same
 * size, in alternation. Ours is the whole primitive, from a BitBlt object on.
 * What both have drawn is compared: equal, or nearly where they round in
 * different ways. A row says nanoseconds of each, how many times as fast ours
 * is, and the least and the greatest of the rounds.
 *
 * blits [LEVEL]: LEVEL is one of blt_choose_loops's names.
 */
#include "tests/unit/prim_test.h"
#include "vm/graphics/bitblt.h"
#include "vm/graphics/bitblt_loops.h"

#include <pixman.h>
#include <time.h>

enum { ROUNDS = 15, BATCH_NS = 3000000, MAX_W = 1920, MAX_H = 1080 };
enum { BB_DEST, BB_SOURCE, BB_HALFTONE, BB_RULE, BB_DEST_X, BB_DEST_Y,
       BB_WIDTH, BB_HEIGHT, BB_SOURCE_X, BB_SOURCE_Y, BB_CLIP_X, BB_CLIP_Y,
       BB_CLIP_WIDTH, BB_CLIP_HEIGHT, BB_MAP, BB_WARP };

static const struct size {
    int w, h;
} sizes[] = { { 16, 16 }, { 640, 16 }, { MAX_W, MAX_H } };

enum { TEXT_COLOUR = 0xff204060, FILL_COLOUR = 0xff336699 };

static struct size size;
/* Ours; all 32 bits deep but the coverage, which has 8. */
static oop blt, dest, source, opaque, cover, halftone, map;
/* Pixman's of the same pixels. */
static pixman_image_t *p_dest, *p_source, *p_opaque, *p_cover, *p_colour;

/* --- pictures --- */

static oop new_words(uint64_t n)
{
    return heap_new_old(h, TINY_WORDS, FMT_32 + (n & 1), (n + 1) / 2);
}

static uint32_t *bits(oop form)
{
    return (uint32_t *)bytes(slot(form, FORM_BITS));
}

static oop new_form(int depth)
{
    oop f = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 5);

    heap_store(h, f, FORM_BITS,
               new_words((uint64_t)(size.w * depth + 31) / 32 *
                         (uint64_t)size.h));
    slots(f)[FORM_WIDTH] = int_oop(size.w);
    slots(f)[FORM_HEIGHT] = int_oop(size.h);
    slots(f)[FORM_DEPTH] = int_oop(depth);
    return f;
}

static pixman_image_t *like(oop form, pixman_format_code_t format)
{
    pixman_image_t *p = pixman_image_create_bits(format, size.w, size.h,
                                                 NULL, 0);

    if (form)
        memcpy(pixman_image_get_data(p), bits(form),
               (size_t)size.w * (size_t)size.h * 4);
    return p;
}

/* Coverage like that of letters: rings of soft edges, mostly nothing. */
static unsigned coverage(int x, int y)
{
    int dx = x % 10 * 2 - 9, dy = y % 16 * 2 - 15;
    int off = abs(dx * dx * 2 + dy * dy - 90);

    return off < 24 ? 255 : off < 56 ? (unsigned)(56 - off) * 8 - 1 : 0;
}

static uint32_t premultiplied(uint32_t p, uint32_t alpha)
{
    uint32_t r = alpha << 24;

    for (int i = 0; i < 24; i += 8)
        r |= ((p >> i & 255) * alpha + 127) / 255 << i;
    return r;
}

/* A third of the pixels are clear, a third solid, in runs. */
static uint32_t translucent(int x)
{
    int third = x / 8 % 3;

    return premultiplied((uint32_t)random64(),
                         third == 0 ? 0 : third == 1 ? 255 : below(256));
}

static void draw_pictures(void)
{
    uint8_t *p = (uint8_t *)pixman_image_get_data(p_cover);

    for (int y = 0; y < size.h; y++)
        for (int x = 0; x < size.w; x++) {
            int at = y * size.w + x;

            bits(source)[at] = translucent(x);
            bits(opaque)[at] = (uint32_t)random64() | 0xff000000;
            bits(dest)[at] = (uint32_t)random64() | 0xff000000;
            p[y * pixman_image_get_stride(p_cover) + x] =
                (uint8_t)coverage(x, y);
            ((uint8_t *)bits(cover))[at ^ 3] = (uint8_t)coverage(x, y);
        }
}

static pixman_image_t *solid(uint32_t argb)
{
    const pixman_color_t c = {
        .red = (uint16_t)((argb >> 16 & 255) * 257),
        .green = (uint16_t)((argb >> 8 & 255) * 257),
        .blue = (uint16_t)((argb & 255) * 257), .alpha = 0xffff,
    };

    return pixman_image_create_solid_fill(&c);
}

static void make_pictures(void)
{
    dest = new_form(32);
    source = new_form(32);
    opaque = new_form(32);
    cover = new_form(8);
    p_cover = like(0, PIXMAN_a8);
    draw_pictures();
    p_dest = like(dest, PIXMAN_a8r8g8b8);
    p_source = like(source, PIXMAN_a8r8g8b8);
    p_opaque = like(opaque, PIXMAN_a8r8g8b8);
    p_colour = solid(TEXT_COLOUR);
    halftone = new_words(1);
    *(uint32_t *)bytes(halftone) = FILL_COLOUR;
    map = new_words(256);
    for (uint32_t i = 0; i < 256; i++)
        ((uint32_t *)bytes(map))[i] = premultiplied(TEXT_COLOUR, i);
}

static void drop_pictures(void)
{
    pixman_image_unref(p_dest);
    pixman_image_unref(p_source);
    pixman_image_unref(p_opaque);
    pixman_image_unref(p_cover);
    pixman_image_unref(p_colour);
}

/* --- the work: what ours is told beforehand, what theirs does --- */

struct rectangle {
    int x, y, w, h, from_x, from_y;
};

static void tell(oop from, int rule, const struct rectangle *r)
{
    const int numbers[] = { r->x, r->y, r->w, r->h, r->from_x, r->from_y,
                            0, 0, size.w, size.h };

    heap_store(h, blt, BB_DEST, dest);
    heap_store(h, blt, BB_SOURCE, from);
    heap_store(h, blt, BB_HALFTONE, h->nil);
    heap_store(h, blt, BB_MAP, h->nil);
    slots(blt)[BB_RULE] = int_oop(rule);
    for (unsigned i = 0; i < 10; i++)
        slots(blt)[BB_DEST_X + i] = int_oop(numbers[i]);
}

static void tell_all(oop from, int rule)
{
    tell(from, rule, &(struct rectangle){ 0, 0, size.w, size.h, 0, 0 });
}

static int stride(pixman_image_t *p)
{
    return pixman_image_get_stride(p) / 4;
}

static void move(pixman_image_t *from, const struct rectangle *r)
{
    pixman_blt(pixman_image_get_data(from), pixman_image_get_data(p_dest),
               stride(from), stride(p_dest), 32, 32, r->from_x, r->from_y,
               r->x, r->y, r->w, r->h);
}

static void composite(pixman_op_t op, pixman_image_t *from,
                      pixman_image_t *mask)
{
    pixman_image_composite32(op, from, mask, p_dest, 0, 0, 0, 0, 0, 0,
                             size.w, size.h);
}

static void tell_fill(void)
{
    tell_all(h->nil, 3);
    heap_store(h, blt, BB_HALFTONE, halftone);
}
static void their_fill(void)
{
    pixman_fill(pixman_image_get_data(p_dest), stride(p_dest), 32, 0, 0,
                size.w, size.h, FILL_COLOUR);
}

static void tell_copy(void)
{
    tell_all(opaque, 3);
}
static void their_copy(void)
{
    move(p_opaque, &(struct rectangle){ 0, 0, size.w, size.h, 0, 0 });
}

enum { SCROLL = 5 };

static struct rectangle moved(int dx, int dy)
{
    return (struct rectangle){
        dx > 0 ? dx : 0, dy > 0 ? dy : 0, size.w - abs(dx),
        size.h - abs(dy), dx < 0 ? -dx : 0, dy < 0 ? -dy : 0,
    };
}

static void tell_scroll(int dx, int dy)
{
    const struct rectangle r = moved(dx, dy);

    tell(dest, 3, &r);
}

static void tell_up(void) { tell_scroll(0, -SCROLL); }
static void tell_down(void) { tell_scroll(0, SCROLL); }
static void tell_left(void) { tell_scroll(-SCROLL, 0); }
static void tell_right(void) { tell_scroll(SCROLL, 0); }

static void their_up(void)
{
    const struct rectangle r = moved(0, -SCROLL);

    move(p_dest, &r);
}
/* Pixman goes down: whoever scrolls that way gives it strips that do not
 * overlap, the last one first. */
static void their_down(void)
{
    struct rectangle r = moved(0, SCROLL);

    for (int left = r.h; left > 0; left -= SCROLL) {
        r.h = left < SCROLL ? left : SCROLL;
        r.from_y = left - r.h;
        r.y = r.from_y + SCROLL;
        move(p_dest, &r);
    }
}
static void their_left(void)
{
    const struct rectangle r = moved(-SCROLL, 0);

    move(p_dest, &r);
}
/* And for this it needs a second picture. */
static void their_right(void)
{
    static uint32_t *row;
    uint32_t *pixels = pixman_image_get_data(p_dest);
    int n = stride(p_dest), w = size.w - SCROLL;

    if (!row)
        row = malloc(MAX_W * sizeof *row);
    for (int y = 0; y < size.h; y++) {
        pixman_blt(pixels, row, n, n, 32, 32, 0, y, 0, 0, w, 1);
        pixman_blt(row, pixels, n, n, 32, 32, 0, 0, SCROLL, y, w, 1);
    }
}

static void tell_blend(void)
{
    tell_all(source, 34);
}
static void their_blend(void)
{
    composite(PIXMAN_OP_OVER, p_source, NULL);
}

static void tell_glyphs(void)
{
    tell_all(cover, 34);
    heap_store(h, blt, BB_MAP, map);
}
static void their_glyphs(void)
{
    composite(PIXMAN_OP_OVER, p_colour, p_cover);
}

/* The left upper three quarters fill the whole. */
static void tell_warp(void)
{
    const int right = size.w * 3 / 4 - 1, bottom = size.h * 3 / 4 - 1;
    const int corner[4][2] = { { 0, 0 }, { 0, bottom }, { right, bottom },
                               { right, 0 } };

    tell_all(opaque, 3);
    for (unsigned i = 0; i < 4; i++) {
        slots(blt)[BB_WARP + 3 * i] = int_oop(corner[i][0] << 14);
        slots(blt)[BB_WARP + 1 + 3 * i] = int_oop(corner[i][1] << 14);
    }
}
static void their_warp(void)
{
    composite(PIXMAN_OP_SRC, p_opaque, NULL);
}

static int our_copy_bits(void)
{
    vm->sp = stack + 40;
    vm->sp[0] = blt;
    return prim_copy_bits(vm, 0);
}
static int our_warp(void)
{
    vm->sp = stack + 40;
    vm->sp[0] = blt;
    return prim_warp_bits(vm, 0);
}
static int our_smooth_warp(void)
{
    vm->sp = stack + 40;
    vm->sp[2] = blt;
    vm->sp[1] = int_oop(2);
    vm->sp[0] = h->nil;
    return prim_warp_bits(vm, 2);
}

static const struct work {
    const char *name;
    void (*tell)(void);
    int (*ours)(void);
    void (*theirs)(void);
    int tolerance; /* of a channel; -1: not comparable */
} works[] = {
    { "fill", tell_fill, our_copy_bits, their_fill, 0 },
    { "copy", tell_copy, our_copy_bits, their_copy, 0 },
    { "scroll up", tell_up, our_copy_bits, their_up, 0 },
    { "scroll down", tell_down, our_copy_bits, their_down, 0 },
    { "scroll left", tell_left, our_copy_bits, their_left, 0 },
    { "scroll right", tell_right, our_copy_bits, their_right, 0 },
    { "blend", tell_blend, our_copy_bits, their_blend, 2 },
    { "glyphs", tell_glyphs, our_copy_bits, their_glyphs, 2 },
    { "warp", tell_warp, our_warp, their_warp, -1 },
    { "warp, smooth", tell_warp, our_smooth_warp, their_warp, -1 },
};
enum { SMOOTH = sizeof works / sizeof *works - 1 };

static void prepare_theirs(const struct work *w)
{
    pixman_transform_t t;
    bool warps = w->theirs == their_warp;
    bool smooth = w == &works[SMOOTH];

    pixman_transform_init_scale(&t,
                                pixman_double_to_fixed(warps ? 0.75 : 1),
                                pixman_double_to_fixed(warps ? 0.75 : 1));
    pixman_image_set_transform(p_opaque, &t);
    pixman_image_set_filter(p_opaque, smooth ? PIXMAN_FILTER_BILINEAR
                                             : PIXMAN_FILTER_NEAREST, NULL,
                            0);
}

/* --- comparing, measuring --- */

static bool alike(uint32_t a, uint32_t b, int tolerance)
{
    for (int i = 0; i < 32; i += 8)
        if (abs((int)(a >> i & 255) - (int)(b >> i & 255)) > tolerance)
            return false;
    return true;
}

static void verify(const struct work *w)
{
    const uint32_t *ours = bits(dest), *theirs;

    memcpy(pixman_image_get_data(p_dest), bits(dest),
           (size_t)size.w * (size_t)size.h * 4);
    theirs = pixman_image_get_data(p_dest);
    if (w->ours()) {
        fprintf(stderr, "blits: %s failed\n", w->name);
        exit(1);
    }
    w->theirs();
    for (int i = 0; w->tolerance >= 0 && i < size.w * size.h; i++)
        if (!alike(ours[i], theirs[i], w->tolerance)) {
            fprintf(stderr, "blits: %s, pixel %d: %x, pixman's %x\n",
                    w->name, i, ours[i], theirs[i]);
            exit(1);
        }
}

/* Of the processor, for us: others may run meanwhile. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one, ours or theirs, done n times. */
static double time_of(const struct work *w, bool ours, int n)
{
    double began = now();

    for (int i = 0; i < n; i++)
        if (ours)
            w->ours();
        else
            w->theirs();
    return (now() - began) / n;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const struct work *w)
{
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS], guess;
    int n;

    w->tell();
    prepare_theirs(w);
    verify(w);
    guess = time_of(w, true, 2);
    n = 1 + (int)(BATCH_NS / guess);
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = time_of(w, true, n);
        theirs[i] = time_of(w, false, n);
        ratio[i] = theirs[i] / ours[i];
    }
    qsort(ours, ROUNDS, sizeof *ours, by_size);
    qsort(theirs, ROUNDS, sizeof *theirs, by_size);
    qsort(ratio, ROUNDS, sizeof *ratio, by_size);
    printf("%-14s %4dx%-5d %12.0f %12.0f %8.2f (%.2f-%.2f)\n", w->name,
           size.w, size.h, ours[ROUNDS / 2], theirs[ROUNDS / 2],
           ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1]);
}

int main(int argc, char **argv)
{
    if (!blt_choose_loops(argc > 1 ? argv[1] : NULL)) {
        fprintf(stderr, "blits: there is no %s here\n", argv[1]);
        return 2;
    }
    printf("%-14s %10s %12s %12s %8s\n", "blits", blt_loops->name,
           "ours, ns", "pixman, ns", "ratio");
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (set_up(NULL))
            return 1;
        size = sizes[i];
        blt = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, BB_WARP + 12);
        make_pictures();
        for (unsigned k = 0; k <= SMOOTH; k++)
            measure(&works[k]);
        drop_pictures();
        tear_down(NULL);
    }
    return 0;
}
