/*
 * prim_text.c - measuring text with a strike font: number 103.
 */
#include "vm/primitives/prim.h"

/* Slots of the receiver, a character scanner. */
enum { SCAN_DEST_X, SCAN_LAST_INDEX, SCAN_X_TABLE, SCAN_MAP, SCAN_SLOTS };
/* Entries of the stop conditions behind those of the 256 characters. */
enum { STOP_END_OF_RUN = 256, STOP_CROSSED_X, STOPS };

struct run {
    const uint8_t *chars;
    int64_t start, stop; /* from 1 */
    int64_t right, kern, x;
    oop stops, x_table, map;
};

static bool is_array(oop o)
{
    return is_pointer(o) && format_of(o) == FMT_ARRAY;
}

static int load_scanner(oop scanner, struct run *r)
{
    if (!is_pointer(scanner) || !format_is_pointers(format_of(scanner)) ||
        slot_count(scanner) < SCAN_SLOTS ||
        !is_int(slot(scanner, SCAN_DEST_X)))
        return PRIM_ERR_BAD_RECEIVER;
    if (is_immutable(scanner))
        return PRIM_ERR_NO_MODIFICATION;
    r->x = int_value(slot(scanner, SCAN_DEST_X));
    r->x_table = heap_follow(slot(scanner, SCAN_X_TABLE));
    r->map = heap_follow(slot(scanner, SCAN_MAP));
    return is_array(r->x_table) && is_array(r->map) &&
                   slot_count(r->map) >= 256
               ? PRIM_OK
               : PRIM_ERR_BAD_RECEIVER;
}

static int load_run(struct vm *vm, struct run *r)
{
    oop s = vm->sp[3];

    r->stops = vm->sp[1];
    if (!is_int(vm->sp[5]) || !is_int(vm->sp[4]) || !is_bytes(s) ||
        !is_int(vm->sp[2]) || !is_array(r->stops) ||
        slot_count(r->stops) < STOPS || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    r->start = int_value(vm->sp[5]);
    r->stop = int_value(vm->sp[4]);
    r->chars = bytes(s);
    r->right = int_value(vm->sp[2]);
    r->kern = int_value(vm->sp[0]);
    if (r->start < 1 || r->stop < 0 || r->stop > (int64_t)byte_count(s))
        return PRIM_ERR_BAD_INDEX;
    return load_scanner(vm->sp[6], r);
}

static bool width_of(const struct run *r, uint8_t c, int64_t *width)
{
    oop glyph = slot(r->map, c), x, next;

    if (!is_int(glyph) || int_value(glyph) < 0 ||
        (uint64_t)int_value(glyph) + 1 >= slot_count(r->x_table))
        return false;
    x = slot(r->x_table, (uint64_t)int_value(glyph));
    next = slot(r->x_table, (uint64_t)int_value(glyph) + 1);
    if (!is_int(x) || !is_int(next))
        return false;
    *width = int_value(next) - int_value(x);
    return true;
}

/* Goes on until a character has a stop condition, the next one would cross
 * the right margin, or the run ends. The index of the stop, or -1: it cannot
 * be told. *at is the last character looked at. */
static int scan(const struct vm *vm, struct run *r, int64_t *at)
{
    int64_t width;

    for (*at = r->start; *at <= r->stop; ++*at) {
        uint8_t c = r->chars[*at - 1];

        if (heap_follow(slot(r->stops, c)) != vm->heap.nil)
            return c;
        if (!width_of(r, c, &width))
            return -1;
        if (r->x + width > r->right)
            return STOP_CROSSED_X;
        r->x += width + r->kern;
    }
    *at = r->stop;
    return STOP_END_OF_RUN;
}

/* start, stop, string, right margin, stop conditions, kern */
int prim_scan_characters(struct vm *vm, int argc)
{
    oop scanner;
    struct run r;
    int64_t at;
    int error, stop;

    if (argc != 6)
        return PRIM_ERR_BAD_NUM_ARGS;
    error = load_run(vm, &r);
    if (error)
        return error;
    scanner = vm->sp[6];
    stop = scan(vm, &r, &at);
    if (stop < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    heap_store(&vm->heap, scanner, SCAN_DEST_X, int_oop(r.x));
    heap_store(&vm->heap, scanner, SCAN_LAST_INDEX, int_oop(at));
    return prim_answer(vm, argc,
                       heap_follow(slot(r.stops, (uint64_t)stop)));
}
