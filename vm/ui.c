/*
 * ui.c - display and event queue.
 *
 * Owns the way from a Form's words to the platform's XRGB rows, and the ring
 * of events between the platform and primitive 94. The interrupt key is
 * noticed here, as it is typed, so that it works whatever the image is doing.
 */
#include "vm/ui.h"
#include "vm/graphics/bitblt.h"
#include "vm/platform.h"

#include <stdlib.h>

enum { QUEUE_SIZE = 512, KEYS_SIZE = 32 }; /* powers of two */
enum { HEADER_FLAG_WHEEL = 128, CLOCK_MASK = 0x1fffffff };
enum { KEY_UP_ARROW = 30, KEY_DOWN_ARROW = 31, WHEEL_NOTCH = 120 };

struct ui {
    struct ui_event queue[QUEUE_SIZE];
    unsigned first, count;
    uint16_t keys[KEYS_SIZE];
    unsigned first_key, key_count;
    struct ui_pointer pointer;
    int wheel_rest; /* of a notch, for images that get arrow keys instead */
    bool deferred;
    uint32_t *row; /* one converted row */
    uint32_t row_size;
    struct ui_bar bar;
};

/* The machine that events go to: the platform knows of one only. */
static struct vm *the_vm;

int ui_init(struct vm *vm)
{
    vm->ui = calloc(1, sizeof *vm->ui);
    if (!vm->ui)
        return -1;
    the_vm = vm;
    if (vm->heap.image_screen_size)
        plat_display_want(vm->heap.image_screen_size >> 16 & 0xffff,
                          vm->heap.image_screen_size & 0xffff);
    return 0;
}

void ui_destroy(struct vm *vm)
{
    if (the_vm == vm)
        the_vm = NULL;
    if (vm->ui)
        free(vm->ui->row);
    free(vm->ui);
    vm->ui = NULL;
}

/* --- display --- */

static uint32_t rgb_of_16(unsigned p)
{
    unsigned r = p >> 10 & 31, g = p >> 5 & 31, b = p & 31;

    return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | (b << 3 | b >> 2);
}

/* Pixels left..right-1 of row y, to ui->row. */
static void convert_row(struct ui *ui, const struct form *f, int y, int left,
                        int right)
{
    for (int x = left; x < right; x++) {
        uint32_t p = form_pixel(f, x, y);

        ui->row[x] = f->depth == 16 ? rgb_of_16(p) : form_indexed_colour(p);
    }
}

static bool have_row(struct ui *ui, uint32_t width)
{
    uint32_t *row;

    if (ui->row_size >= width)
        return true;
    row = realloc(ui->row, (size_t)width * sizeof *row);
    if (!row)
        return false;
    ui->row = row;
    ui->row_size = width;
    return true;
}

static void show_converted(struct ui *ui, const struct form *f, int left,
                           int top, int right, int bottom)
{
    if (!have_row(ui, (uint32_t)f->width))
        return;
    for (int y = top; y < bottom; y++) {
        convert_row(ui, f, y, left, right);
        /* every row of a picture with pitch 0 is this one */
        plat_display_show(ui->row, 0, left, y, right, y + 1);
    }
}

void ui_show_now(struct vm *vm, int left, int top, int right, int bottom)
{
    struct form f;

    if (!vm->ui ||
        !form_load(&f, heap_special(&vm->heap, SPL_DISPLAY)))
        return;
    left = left < 0 ? 0 : left;
    top = top < 0 ? 0 : top;
    right = right > f.width ? f.width : right;
    bottom = bottom > f.height ? f.height : bottom;
    if (left >= right || top >= bottom)
        return;
    if (f.depth == 32)
        plat_display_show(f.bits, (uint32_t)f.width * 4, left, top, right,
                          bottom);
    else
        show_converted(vm->ui, &f, left, top, right, bottom);
}

/* --- the bar of a save: on the glass only, the Display is being written --- */

void ui_set_bar(struct vm *vm, struct ui_bar bar)
{
    if (vm->ui)
        vm->ui->bar = bar;
}

void ui_fill_bar(struct vm *vm, uint64_t done, uint64_t total)
{
    const struct ui_bar *b = vm->ui ? &vm->ui->bar : NULL;
    int32_t right;

    if (!b || b->left >= b->right || b->top >= b->bottom || !total)
        return;
    right = b->left + (int32_t)((b->right - b->left) * done / total);
    if (right == b->left || !have_row(vm->ui, (uint32_t)right))
        return;
    for (int32_t x = b->left; x < right; x++)
        vm->ui->row[x] = b->colour;
    plat_display_show(vm->ui->row, 0, b->left, b->top, right, b->bottom);
    plat_poll();
}

void ui_show(struct vm *vm, oop form, int left, int top, int right,
             int bottom)
{
    if (vm->ui && !vm->ui->deferred &&
        form == heap_special(&vm->heap, SPL_DISPLAY))
        ui_show_now(vm, left, top, right, bottom);
}

bool ui_defer(struct vm *vm, bool deferred)
{
    bool before = vm->ui->deferred;

    vm->ui->deferred = deferred;
    return before;
}

/* --- events --- */

bool vm_event_waits(void)
{
    return the_vm && the_vm->ui && the_vm->ui->count;
}

static void enqueue(struct vm *vm, int type, const int32_t *arg)
{
    struct ui *ui = vm->ui;
    struct ui_event *e;

    if (ui->count == QUEUE_SIZE) {
        ui->first = (ui->first + 1) % QUEUE_SIZE;
        ui->count--;
    }
    e = &ui->queue[(ui->first + ui->count++) % QUEUE_SIZE];
    e->type = type;
    memcpy(e->arg, arg, sizeof e->arg);
    e->milliseconds = (uint32_t)(plat_usecs() / 1000) & CLOCK_MASK;
    if (vm->input_semaphore)
        vm_signal_semaphore(vm->input_semaphore);
}

bool ui_next_event(struct vm *vm, struct ui_event *e)
{
    struct ui *ui = vm->ui;

    if (!ui->count)
        plat_poll();
    if (!ui->count)
        return false;
    *e = ui->queue[ui->first];
    ui->first = (ui->first + 1) % QUEUE_SIZE;
    ui->count--;
    return true;
}

static void remember_key(struct ui *ui, int code, int modifiers)
{
    if (ui->key_count == KEYS_SIZE) {
        ui->first_key = (ui->first_key + 1) % KEYS_SIZE;
        ui->key_count--;
    }
    ui->keys[(ui->first_key + ui->key_count++) % KEYS_SIZE] =
        (uint16_t)((code & 0xff) | (modifiers & 15) << 8);
}

int ui_key(struct vm *vm, bool take)
{
    struct ui *ui = vm->ui;
    int key;

    if (!ui->key_count)
        return -1;
    key = ui->keys[ui->first_key];
    if (take) {
        ui->first_key = (ui->first_key + 1) % KEYS_SIZE;
        ui->key_count--;
    }
    return key;
}

struct ui_pointer ui_pointer(struct vm *vm)
{
    return vm->ui->pointer;
}

static bool is_interrupt(struct vm *vm, const struct vm_event *e)
{
    int key = vm->interrupt_key ? (int)(vm->interrupt_key & 0xff) : '.';

    return e->arg[0] == key &&
           (e->arg[2] & (VM_MOD_CTRL | VM_MOD_ALT | VM_MOD_CMD));
}

/* Somebody waits for the interrupt semaphore: an image may have one left from
 * long ago and watch the events instead. */
static bool interrupt_is_awaited(struct vm *vm)
{
    oop s = heap_follow(heap_special(&vm->heap, SPL_INTERRUPT_SEMAPHORE));

    return is_pointer(s) && format_is_pointers(format_of(s)) &&
           slot_count(s) > LIST_FIRST &&
           heap_follow(slot(s, LIST_FIRST)) != vm->heap.nil;
}

/* The interrupt key goes to the interrupt semaphore and nowhere else: images
 * look for it among the events too, and would interrupt twice. Those that
 * only look for it there compare the modifiers that they asked for. */
static void key_event(struct vm *vm, struct vm_event *e)
{
    if (e->arg[1] == VM_KEY_CHAR && is_interrupt(vm, e)) {
        if (interrupt_is_awaited(vm)) {
            vm->interrupt_pending = true;
            vm_force_check();
            return;
        }
        if (vm->interrupt_key >> 8)
            e->arg[2] = vm->interrupt_key >> 8 & 15;
    }
    if (e->arg[1] == VM_KEY_CHAR)
        remember_key(vm->ui, e->arg[0], e->arg[2]);
    enqueue(vm, e->type, e->arg);
}

/* Images that know no wheel events get an arrow key with Ctrl per notch. */
static void wheel_event(struct vm *vm, const struct vm_event *e)
{
    struct ui *ui = vm->ui;
    int32_t key[5] = { 0, 0, VM_MOD_CTRL, 0, 0 };
    static const int press[] = { VM_KEY_DOWN, VM_KEY_CHAR, VM_KEY_UP };

    if (vm->heap.image_flags & HEADER_FLAG_WHEEL) {
        enqueue(vm, e->type, e->arg);
        return;
    }
    ui->wheel_rest += e->arg[1];
    while (ui->wheel_rest >= WHEEL_NOTCH || ui->wheel_rest <= -WHEEL_NOTCH) {
        key[0] = ui->wheel_rest > 0 ? KEY_UP_ARROW : KEY_DOWN_ARROW;
        key[3] = key[0];
        ui->wheel_rest += ui->wheel_rest > 0 ? -WHEEL_NOTCH : WHEEL_NOTCH;
        for (int i = 0; i < 3; i++) {
            key[1] = press[i];
            enqueue(vm, VM_EVENT_KEY, key);
        }
    }
}

/* Smalltalks call the Alt key of a PC command; both bits say so. */
static int with_command(int modifiers)
{
    return modifiers & VM_MOD_ALT ? modifiers | VM_MOD_CMD : modifiers;
}

void vm_post_event(const struct vm_event *posted)
{
    struct vm_event e = *posted;
    struct vm *vm = the_vm;

    if (!vm || !vm->ui)
        return;
    switch (e.type) {
    case VM_EVENT_MOUSE:
        e.arg[3] = with_command(e.arg[3]);
        vm->ui->pointer = (struct ui_pointer){ e.arg[0], e.arg[1], e.arg[2],
                                               e.arg[3] };
        enqueue(vm, e.type, e.arg);
        break;
    case VM_EVENT_KEY:
        e.arg[2] = with_command(e.arg[2]);
        key_event(vm, &e);
        break;
    case VM_EVENT_WHEEL:
        e.arg[2] = with_command(e.arg[2]);
        wheel_event(vm, &e);
        break;
    default:
        enqueue(vm, e.type, e.arg);
        break;
    }
}
