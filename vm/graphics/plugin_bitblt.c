/*
 * plugin_bitblt.c - module BitBltPlugin: the primitives. What changes on the
 * Display is shown at once, unless the image defers that.
 */
#include "vm/graphics/bitblt.h"
#include "vm/primitives/prim.h"
#include "vm/ui.h"

#include <stdlib.h>

enum { BB_DEST_X = 4, BB_DEST_Y = 5 };
enum { MAX_SMOOTHING = 16 };

static void show(struct vm *vm, const struct blt *b, const struct rect *r)
{
    if (r->left < r->right && r->top < r->bottom)
        ui_show(vm, b->dest_form, r->left, r->top, r->right, r->bottom);
}

/* --- copyBits --- */

static bool byte_operand(oop o, uint32_t *v)
{
    if (!is_int(o) || int_value(o) < 0 || int_value(o) > 255)
        return false;
    *v = (uint32_t)int_value(o);
    return true;
}

static const uint8_t *table_operand(oop o)
{
    return is_bytes(o) && byte_count(o) >= 256 ? bytes(o) : NULL;
}

/* Arguments of rule 41: colour; or colour, alpha; or with two tables. */
static int component_operands(struct vm *vm, int argc, struct blt *b)
{
    uint64_t colour;

    if (argc != 1 && argc != 2 && argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!heap_uint64_value(prim_operand(vm, argc, 1), &colour))
        return PRIM_ERR_BAD_ARGUMENT;
    b->colour = (uint32_t)colour;
    if (argc > 1 && !byte_operand(prim_operand(vm, argc, 2), &b->alpha))
        return PRIM_ERR_BAD_ARGUMENT;
    if (argc == 4) {
        b->gamma = table_operand(vm->sp[1]);
        b->ungamma = table_operand(vm->sp[0]);
    }
    return PRIM_OK;
}

/* These rules take operands that only copyBits has. */
static bool rule_has_operands(const struct blt *b)
{
    return b->rule == RULE_BLEND_CONST || b->rule == RULE_PAINT_CONST ||
           b->rule == RULE_COMPONENT_ALPHA;
}

static int rule_operands(struct vm *vm, int argc, struct blt *b)
{
    switch (b->rule) {
    case RULE_BLEND_CONST:
    case RULE_PAINT_CONST:
        if (argc != 1)
            return PRIM_ERR_BAD_NUM_ARGS;
        return byte_operand(vm->sp[0], &b->alpha) ? PRIM_OK
                                                  : PRIM_ERR_BAD_ARGUMENT;
    case RULE_COMPONENT_ALPHA:
        return component_operands(vm, argc, b);
    default:
        return PRIM_OK;
    }
}

int prim_copy_bits(struct vm *vm, int argc)
{
    struct blt b;
    int error = blt_load(vm, &b, prim_operand(vm, argc, 0));

    if (!error)
        error = rule_operands(vm, argc, &b);
    if (!error && blt_clip(&b, !b.no_source))
        error = blt_copy(&b);
    if (error)
        return error;
    if (b.rule == RULE_DIFFERENCE || b.rule == RULE_OLD_DIFFERENCE)
        return prim_answer(vm, argc, int_oop((int64_t)b.count));
    show(vm, &b, &b.affected);
    return prim_answer_self(vm, argc);
}

/* --- warpBits --- */

static int warp_operands(struct vm *vm, int argc, const struct blt *b,
                         int *smoothing, const uint32_t **source_map)
{
    oop n, map;

    *smoothing = 1;
    *source_map = NULL;
    if (argc < 2)
        return PRIM_OK;
    n = vm->sp[argc - 1];
    map = vm->sp[argc - 2];
    if (!is_int(n) || int_value(n) < 1 || int_value(n) > MAX_SMOOTHING)
        return PRIM_ERR_BAD_ARGUMENT;
    *smoothing = (int)int_value(n);
    if (*smoothing == 1 || b->no_source || b->source.depth >= 16)
        return PRIM_OK;
    if (!is_words(map) || word_count(map) < 1ull << b->source.depth)
        return PRIM_ERR_BAD_ARGUMENT;
    *source_map = words(map);
    return PRIM_OK;
}

int prim_warp_bits(struct vm *vm, int argc)
{
    struct blt b;
    const uint32_t *source_map;
    int smoothing;
    oop warp = prim_operand(vm, argc, 0);
    int error = blt_load(vm, &b, warp);

    if (!error)
        error = warp_operands(vm, argc, &b, &smoothing, &source_map);
    if (!error && !b.no_source && blt_clip(&b, false))
        error = blt_warp(vm, &b, warp, smoothing, source_map);
    if (error)
        return error;
    show(vm, &b, &b.affected);
    return prim_answer_self(vm, argc);
}

/* --- several copies, shown at once --- */

static const struct rect nothing = { INT32_MAX, INT32_MAX, 0, 0 };

/* One copy of several; `all` grows by what it affected. */
static int copy_one(struct blt *b, struct rect *all)
{
    const struct rect *r = &b->affected;

    if (!blt_clip(b, !b->no_source))
        return PRIM_OK;
    all->left = r->left < all->left ? r->left : all->left;
    all->top = r->top < all->top ? r->top : all->top;
    all->right = r->right > all->right ? r->right : all->right;
    all->bottom = r->bottom > all->bottom ? r->bottom : all->bottom;
    return blt_copy(b);
}

/* --- drawLoop: copies at each point of a line but its ends --- */

struct line {
    int64_t *along, *across; /* the coordinates that change most, least */
    int64_t along_step, across_step, length, rise;
};

static int64_t sign(int64_t v)
{
    return (v > 0) - (v < 0);
}

static int draw_line(struct vm *vm, struct blt *b, const struct line *l)
{
    struct rect all = nothing;
    int64_t rest = l->length / 2;
    int error = PRIM_OK;

    for (int64_t i = 1; !error && i <= l->length; i++) {
        *l->along += l->along_step;
        rest -= l->rise;
        if (rest < 0) {
            *l->across += l->across_step;
            rest += l->length;
        }
        if (i < l->length)
            error = copy_one(b, &all);
    }
    show(vm, b, &all);
    return error;
}

int prim_draw_loop(struct vm *vm, int argc)
{
    struct blt b;
    struct line l;
    int64_t x, y;
    oop bb;
    int error;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[1]) || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    bb = vm->sp[2];
    x = int_value(vm->sp[1]);
    y = int_value(vm->sp[0]);
    if (llabs(x) > INT32_MAX || llabs(y) > INT32_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    error = blt_load(vm, &b, bb);
    if (error)
        return error;
    if (rule_has_operands(&b))
        return PRIM_ERR_BAD_NUM_ARGS;
    if (llabs(x) > llabs(y))
        l = (struct line){ &b.dest_x, &b.dest_y, sign(x), sign(y), llabs(x),
                           llabs(y) };
    else
        l = (struct line){ &b.dest_y, &b.dest_x, sign(y), sign(x), llabs(y),
                           llabs(x) };
    error = draw_line(vm, &b, &l);
    if (error)
        return error;
    heap_store(&vm->heap, bb, BB_DEST_X, int_oop(b.dest_x));
    heap_store(&vm->heap, bb, BB_DEST_Y, int_oop(b.dest_y));
    return prim_answer_self(vm, argc);
}

/* --- displayString --- */

struct text {
    const uint8_t *chars;
    int64_t start, stop; /* from 1 */
    oop glyph_map, x_table;
    int64_t kern;
};

static bool is_array(oop o)
{
    return is_pointer(o) && format_of(o) == FMT_ARRAY;
}

/* Columns of a character in the strip of glyphs; false: there are none. */
static bool glyph_columns(const struct text *t, uint8_t c, int64_t *x,
                          int64_t *width)
{
    oop g = slot(t->glyph_map, c), left, right;

    if (!is_int(g) || int_value(g) < 0 ||
        int_value(g) + 2 > (int64_t)slot_count(t->x_table))
        return false;
    left = slot(t->x_table, (uint64_t)int_value(g));
    right = slot(t->x_table, (uint64_t)int_value(g) + 1);
    if (!is_int(left) || !is_int(right))
        return false;
    *x = int_value(left);
    *width = int_value(right) - *x;
    return llabs(*x) < INT32_MAX && llabs(*width) < INT32_MAX;
}

/* All glyphs exist: drawing cannot fail half way. */
static bool text_is_drawable(const struct text *t)
{
    int64_t x, width;

    for (int64_t i = t->start; i <= t->stop; i++)
        if (!glyph_columns(t, t->chars[i - 1], &x, &width))
            return false;
    return true;
}

static int draw_text(struct vm *vm, struct blt *b, const struct text *t)
{
    struct rect all = nothing;
    int error = PRIM_OK;

    for (int64_t i = t->start; !error && i <= t->stop; i++) {
        glyph_columns(t, t->chars[i - 1], &b->source_x, &b->width);
        error = copy_one(b, &all);
        b->dest_x += b->width + t->kern;
    }
    show(vm, b, &all);
    return error;
}

/* Operands: string, start, stop, glyph map, x table, kern. */
static int text_operands(struct vm *vm, struct text *t)
{
    oop s = vm->sp[5];

    if (!is_int(vm->sp[0]) || !is_array(vm->sp[1]) || !is_array(vm->sp[2]) ||
        slot_count(vm->sp[2]) != 256 || !is_int(vm->sp[3]) ||
        !is_int(vm->sp[4]) || !is_bytes(s))
        return PRIM_ERR_BAD_ARGUMENT;
    t->chars = bytes(s);
    t->kern = int_value(vm->sp[0]);
    t->x_table = vm->sp[1];
    t->glyph_map = vm->sp[2];
    t->stop = int_value(vm->sp[3]);
    t->start = int_value(vm->sp[4]);
    if (t->start < 1 || t->stop < 0 || t->stop > (int64_t)byte_count(s) ||
        llabs(t->kern) > INT32_MAX)
        return PRIM_ERR_BAD_INDEX;
    return text_is_drawable(t) ? PRIM_OK : PRIM_ERR_BAD_ARGUMENT;
}

int prim_display_string(struct vm *vm, int argc)
{
    struct blt b;
    struct text t;
    oop bb = vm->sp[6];
    int error;

    if (argc != 6)
        return PRIM_ERR_BAD_NUM_ARGS;
    error = text_operands(vm, &t);
    if (!error)
        error = blt_load(vm, &b, bb);
    if (error)
        return error;
    if (rule_has_operands(&b))
        return PRIM_ERR_UNSUPPORTED;
    error = draw_text(vm, &b, &t);
    if (error)
        return error;
    heap_store(&vm->heap, bb, BB_DEST_X, int_oop(b.dest_x));
    return prim_answer_self(vm, argc);
}

/* --- pixelValueAt --- */

int prim_pixel_value_at(struct vm *vm, int argc)
{
    struct form f;
    int64_t x, y;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[1]) || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    if (!form_load(&f, vm->sp[2]) || !f.msb_first)
        return PRIM_ERR_BAD_RECEIVER;
    x = int_value(vm->sp[1]);
    y = int_value(vm->sp[0]);
    if (x < 0 || y < 0 || x >= f.width || y >= f.height)
        return prim_answer(vm, argc, int_oop(0));
    return prim_answer(vm, argc, int_oop(form_pixel(&f, (int)x, (int)y)));
}
