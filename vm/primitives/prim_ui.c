/*
 * prim_ui.c - display, cursor, events: numbers 90 to 134, 231, 233.
 */
#include "vm/graphics/bitblt.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"
#include "vm/ui.h"

enum { EVENT_SLOTS = 8, CURSOR_MAX = 256, CURSOR_SIDE = 16 };

/* --- display --- */

int prim_be_display(struct vm *vm, int argc)
{
    oop form = prim_operand(vm, argc, 0);

    if (!is_pointer(form) || !format_is_pointers(format_of(form)) ||
        slot_count(form) < 4)
        return PRIM_ERR_BAD_RECEIVER;
    heap_store(&vm->heap, vm->heap.special, SPL_DISPLAY, form);
    return prim_answer_self(vm, argc);
}

int prim_screen_size(struct vm *vm, int argc)
{
    struct plat_display d;

    plat_display_info(&d);
    return prim_answer_new(vm, argc,
                           heap_point(&vm->heap, int_oop(d.width),
                                      int_oop(d.height)));
}

/* Mode `index`, from 1, as a Point; nil past the end. */
int prim_screen_mode(struct vm *vm, int argc)
{
    uint32_t width, height;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[0]) || int_value(vm->sp[0]) < 1 ||
        int_value(vm->sp[0]) > INT32_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    if (!plat_display_mode((unsigned)int_value(vm->sp[0]) - 1, &width,
                           &height))
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc, heap_point(&vm->heap, int_oop(width),
                                                int_oop(height)));
}

int prim_set_screen_mode(struct vm *vm, int argc)
{
    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    for (int i = 0; i < 2; i++)
        if (!is_int(vm->sp[i]) || int_value(vm->sp[i]) < 1 ||
            int_value(vm->sp[i]) > INT32_MAX)
            return PRIM_ERR_BAD_ARGUMENT;
    if (plat_display_set((uint32_t)int_value(vm->sp[1]),
                         (uint32_t)int_value(vm->sp[0])))
        return PRIM_ERR_OPERATION_FAILED;
    return prim_answer_self(vm, argc);
}

/* Images that may choose a depth choose the native one. */
int prim_test_display_depth(struct vm *vm, int argc)
{
    return prim_answer_bool(vm, argc, vm->sp[0] == int_oop(32));
}

int prim_set_display_mode(struct vm *vm, int argc)
{
    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[2]) || !is_int(vm->sp[1]))
        return PRIM_ERR_BAD_ARGUMENT;
    plat_display_want((uint32_t)int_value(vm->sp[2]),
                      (uint32_t)int_value(vm->sp[1]));
    return prim_answer_bool(vm, argc, vm->sp[3] == int_oop(32));
}

int prim_defer_updates(struct vm *vm, int argc)
{
    oop b = vm->sp[0];

    if (b != vm->heap.true_ && b != vm->heap.false_)
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer_bool(vm, argc, ui_defer(vm, b == vm->heap.true_));
}

static bool coordinate(oop o, int *v)
{
    double d;

    if (is_int(o) && int_value(o) >= INT32_MIN && int_value(o) <= INT32_MAX) {
        *v = (int)int_value(o);
        return true;
    }
    if (!heap_float_value(o, &d) || !(d > INT32_MIN && d < INT32_MAX))
        return false;
    *v = (int)d;
    return true;
}

int prim_show_display_rect(struct vm *vm, int argc)
{
    int l, r, t, b;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!coordinate(vm->sp[3], &l) || !coordinate(vm->sp[2], &r) ||
        !coordinate(vm->sp[1], &t) || !coordinate(vm->sp[0], &b))
        return PRIM_ERR_BAD_ARGUMENT;
    ui_show_now(vm, l, t, r, b);
    return prim_answer_self(vm, argc);
}

/* What was shown reaches the glass at the next poll anyway. */
int prim_force_display_update(struct vm *vm, int argc)
{
    return prim_answer_self(vm, argc);
}

/* There is one screen, and its size is the window system's affair. */
int prim_full_screen(struct vm *vm, int argc)
{
    return prim_answer_self(vm, argc);
}

int prim_screen_depth(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(32));
}

int prim_screen_scale_factor(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc,
                           heap_float(&vm->heap, plat_display_scale() / 100.0));
}

/* --- cursor --- */

/* Hot spot from a cursor form's offset: a Point of 0..-side each. */
static int hot_spot(oop form, int which, int side)
{
    oop offset = slot_count(form) > FORM_OFFSET ? slot(form, FORM_OFFSET) : 0;
    int64_t v = 0;

    if (is_pointer(offset) && offset && format_of(offset) == FMT_FIXED &&
        slot_count(offset) >= 2 && is_int(slot(offset, which)))
        v = -int_value(slot(offset, which));
    return v < 0 ? 0 : v >= side ? side - 1 : (int)v;
}

/* Picture and mask of one bit: black, white where only the mask is set. */
static void show_small_cursor(oop o, const struct form *f,
                              const struct form *mask)
{
    uint32_t argb[CURSOR_SIDE * CURSOR_SIDE];

    for (int y = 0; y < CURSOR_SIDE; y++)
        for (int x = 0; x < CURSOR_SIDE; x++)
            argb[y * CURSOR_SIDE + x] = form_pixel(f, x, y)      ? 0xff000000
                                        : form_pixel(mask, x, y) ? 0xffffffff
                                                                 : 0;
    plat_cursor(argb, CURSOR_SIDE, CURSOR_SIDE,
                hot_spot(o, POINT_X, CURSOR_SIDE),
                hot_spot(o, POINT_Y, CURSOR_SIDE));
}

static bool is_small_cursor(const struct form *f)
{
    return f->depth == 1 && f->width == CURSOR_SIDE &&
           f->height == CURSOR_SIDE;
}

int prim_be_cursor(struct vm *vm, int argc)
{
    oop o = prim_operand(vm, argc, 0);
    struct form f, mask;

    if (argc > 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!form_load(&f, o))
        return PRIM_ERR_BAD_RECEIVER;
    if (f.depth == 32 && f.width <= CURSOR_MAX && f.height <= CURSOR_MAX) {
        plat_cursor(f.bits, f.width, f.height,
                    hot_spot(o, POINT_X, f.width),
                    hot_spot(o, POINT_Y, f.height));
        return prim_answer_self(vm, argc);
    }
    if (!is_small_cursor(&f))
        return PRIM_ERR_BAD_RECEIVER;
    mask = f;
    if (argc == 1 &&
        (!form_load(&mask, vm->sp[0]) || !is_small_cursor(&mask)))
        return PRIM_ERR_BAD_ARGUMENT;
    show_small_cursor(o, &f, &mask);
    return prim_answer_self(vm, argc);
}

/* --- events --- */

int prim_input_semaphore(struct vm *vm, int argc)
{
    oop index = vm->sp[0];

    if (!is_int(index) || int_value(index) < 1 || int_value(index) > INT32_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    vm->input_semaphore = (int)int_value(index);
    return prim_answer_self(vm, argc);
}

int prim_next_event(struct vm *vm, int argc)
{
    struct ui_event e = { .type = 0 };
    oop record = vm->sp[0];

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_pointer(record) || format_of(record) != FMT_ARRAY ||
        slot_count(record) != EVENT_SLOTS)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(record))
        return PRIM_ERR_NO_MODIFICATION;
    ui_next_event(vm, &e);
    slots(record)[0] = int_oop(e.type);
    slots(record)[1] = int_oop(e.milliseconds);
    for (int i = 0; i < 5; i++)
        slots(record)[2 + i] = int_oop(e.arg[i]);
    slots(record)[7] = int_oop(0);
    return prim_answer_self(vm, argc);
}

int prim_mouse_point(struct vm *vm, int argc)
{
    struct ui_pointer p = ui_pointer(vm);

    return prim_answer_new(vm, argc,
                           heap_point(&vm->heap, int_oop(p.x), int_oop(p.y)));
}

int prim_mouse_buttons(struct vm *vm, int argc)
{
    struct ui_pointer p = ui_pointer(vm);

    plat_poll();
    return prim_answer(vm, argc, int_oop(p.buttons | p.modifiers << 3));
}

static int answer_key(struct vm *vm, int argc, bool take)
{
    int key = ui_key(vm, take);

    return prim_answer(vm, argc, key < 0 ? vm->heap.nil : int_oop(key));
}

int prim_keyboard_next(struct vm *vm, int argc)
{
    return answer_key(vm, argc, true);
}

int prim_keyboard_peek(struct vm *vm, int argc)
{
    return answer_key(vm, argc, false);
}

int prim_set_interrupt_key(struct vm *vm, int argc)
{
    oop key = vm->sp[0];

    if (!is_int(key) || int_value(key) < 0 || int_value(key) > INT32_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    vm->interrupt_key = (uint32_t)int_value(key);
    return prim_answer_self(vm, argc);
}

int prim_interrupt_semaphore(struct vm *vm, int argc)
{
    oop s = vm->sp[0];

    if (s != vm->heap.nil &&
        heap_class_of(&vm->heap, s) !=
            heap_special(&vm->heap, SPL_CLASS_SEMAPHORE))
        return PRIM_ERR_BAD_ARGUMENT;
    heap_store(&vm->heap, vm->heap.special, SPL_INTERRUPT_SEMAPHORE, s);
    return prim_answer_self(vm, argc);
}
