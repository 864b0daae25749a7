/*
 * prim_bits.c - objects of bits: copying runs of elements, filling,
 * comparing, and views of them as shorts, words and floats.
 */
#include "vm/primitives/prim.h"

/* Bytes of an element; 0 for pointer formats and forwarders. */
static unsigned element_bytes(oop o)
{
    return format_of(o) >= FMT_64 ? format_width(format_of(o)) : 0;
}

/* Bytes in use of an object of bits that is no method; false otherwise. */
static bool plain_bits(oop o, uint64_t *n)
{
    unsigned width;

    if (!is_pointer(o) || is_code(o))
        return false;
    width = element_bytes(o);
    if (!width)
        return false;
    *n = slot_count(o) * 8 - format_unused(format_of(o)) * width;
    return true;
}

/* --- replaceFrom:to:with:startingAt: --- */

struct run {
    oop from, to;
    uint64_t at, n, from_at; /* elements, from 0 */
};

/* Elements are copied in ascending order, also when they overlap: what the
 * image's own loop does. */
static void copy_bits(const struct run *r, unsigned width)
{
    const uint8_t *from = bytes(r->from) + r->from_at * width;
    uint8_t *to = bytes(r->to) + r->at * width;

    if (r->from != r->to || r->at <= r->from_at ||
        r->at >= r->from_at + r->n) {
        memmove(to, from, r->n * width);
        return;
    }
    for (uint64_t i = 0; i < r->n; i++)
        memcpy(to + i * width, from + i * width, width);
}

static void copy_oops(struct vm *vm, const struct run *r)
{
    for (uint64_t i = 0; i < r->n; i++)
        heap_store(&vm->heap, r->to, r->at + i, slot(r->from, r->from_at + i));
}

static bool is_indexed_pointers(oop o)
{
    unsigned f = format_of(o);

    return f >= FMT_ARRAY && f <= FMT_WEAK;
}

static int copy_run(struct vm *vm, struct run *r)
{
    unsigned width = element_bytes(r->to);

    if (is_immutable(r->to))
        return PRIM_ERR_NO_MODIFICATION;
    if (width) {
        if (width != element_bytes(r->from))
            return PRIM_ERR_INAPPROPRIATE;
        if (is_code(r->to) && r->at < code_first_pc(r->to))
            return PRIM_ERR_BAD_INDEX;
        copy_bits(r, width);
        return PRIM_OK;
    }
    if (!is_indexed_pointers(r->to) || !is_indexed_pointers(r->from) ||
        vm_is_context(vm, r->to) || vm_is_context(vm, r->from))
        return PRIM_ERR_INAPPROPRIATE;
    r->at += heap_fixed_fields(&vm->heap, r->to);
    r->from_at += heap_fixed_fields(&vm->heap, r->from);
    copy_oops(vm, r);
    return PRIM_OK;
}

int prim_replace_from_to(struct vm *vm, int argc)
{
    struct run r = { .to = vm->sp[4], .from = vm->sp[1] };
    int64_t start, stop, from_start;
    uint64_t size, from_size;
    int error;

    if (!is_int(vm->sp[3]) || !is_int(vm->sp[2]) || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    if (!is_pointer(r.to) || is_forwarder(r.to))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_pointer(r.from) || is_forwarder(r.from))
        return PRIM_ERR_BAD_ARGUMENT;
    start = int_value(vm->sp[3]);
    stop = int_value(vm->sp[2]);
    from_start = int_value(vm->sp[0]);
    size = heap_indexed_size(&vm->heap, r.to);
    from_size = heap_indexed_size(&vm->heap, r.from);
    if (start < 1 || from_start < 1 || start - 1 > stop ||
        stop > (int64_t)size ||
        from_start + (stop - start) > (int64_t)from_size)
        return PRIM_ERR_BAD_INDEX;
    r.at = (uint64_t)start - 1;
    r.n = (uint64_t)(stop - start + 1);
    r.from_at = (uint64_t)from_start - 1;
    error = copy_run(vm, &r);
    return error ? error : prim_answer_self(vm, argc);
}

/* --- comparing bytes --- */

static int two_byte_objects(struct vm *vm, oop *a, oop *b)
{
    *a = vm->sp[1];
    *b = vm->sp[0];
    if (!is_bytes(*a))
        return PRIM_ERR_BAD_RECEIVER;
    return is_bytes(*b) ? PRIM_OK : PRIM_ERR_BAD_ARGUMENT;
}

int prim_compare_bytes(struct vm *vm, int argc)
{
    oop a, b;
    int error = two_byte_objects(vm, &a, &b);

    if (error)
        return error;
    return prim_answer_bool(vm, argc,
                            byte_count(a) == byte_count(b) &&
                                !memcmp(bytes(a), bytes(b), byte_count(a)));
}

/* Negative, zero or positive: bytes in order, then the sizes. */
int prim_compare_with(struct vm *vm, int argc)
{
    uint64_t na, nb, n;
    oop a, b;
    int r, error = two_byte_objects(vm, &a, &b);

    if (error)
        return error;
    na = byte_count(a);
    nb = byte_count(b);
    n = na < nb ? na : nb;
    for (uint64_t i = 0; i < n; i++) {
        r = bytes(a)[i] - bytes(b)[i];
        if (r)
            return prim_answer(vm, argc, int_oop(r));
    }
    return prim_answer(vm, argc, int_oop((int64_t)na - (int64_t)nb));
}

/* --- fill --- */

static void fill(oop o, uint64_t n, unsigned width, uint64_t v)
{
    if (width == 1) {
        memset(bytes(o), (int)v, n);
        return;
    }
    for (uint64_t i = 0; i < n; i += width)
        memcpy(bytes(o) + i, &v, width); /* little-endian */
}

int prim_constant_fill(struct vm *vm, int argc)
{
    oop o = vm->sp[1];
    uint64_t n, v;
    unsigned width;

    if (!plain_bits(o, &n))
        return PRIM_ERR_BAD_RECEIVER;
    width = element_bytes(o);
    if (!heap_uint64_value(vm->sp[0], &v) || (width < 8 && v >> 8 * width))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(o))
        return PRIM_ERR_NO_MODIFICATION;
    fill(o, n, width, v);
    return prim_answer_self(vm, argc);
}

/* --- views --- */

/* Where element `at` of `width` bytes is, in any object of bits. */
static int view(oop o, oop at, unsigned width, uint8_t **p)
{
    uint64_t n;

    if (!plain_bits(o, &n))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(at))
        return PRIM_ERR_BAD_ARGUMENT;
    if (int_value(at) < 1 || (uint64_t)int_value(at) > n / width)
        return PRIM_ERR_BAD_INDEX;
    *p = bytes(o) + ((uint64_t)int_value(at) - 1) * width;
    return PRIM_OK;
}

static int signed_at(struct vm *vm, int argc, unsigned width)
{
    uint8_t *p;
    int error = view(vm->sp[1], vm->sp[0], width, &p);
    int64_t v = 0;

    if (error)
        return error;
    memcpy(&v, p, width);
    v = (int64_t)((uint64_t)v << (64 - 8 * width)) >> (64 - 8 * width);
    return prim_answer_new(vm, argc, heap_int64(&vm->heap, v));
}

static int signed_at_put(struct vm *vm, int argc, unsigned width)
{
    uint8_t *p;
    int64_t v;
    int error = view(vm->sp[2], vm->sp[1], width, &p);

    if (error)
        return error;
    if (!heap_int64_value(vm->sp[0], &v) ||
        (width < 8 && (v >> (8 * width - 1)) != (v < 0 ? -1 : 0)))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[2]))
        return PRIM_ERR_NO_MODIFICATION;
    memcpy(p, &v, width);
    return prim_answer(vm, argc, vm->sp[0]);
}

int prim_short_at(struct vm *vm, int argc)
{
    return signed_at(vm, argc, 2);
}

int prim_short_at_put(struct vm *vm, int argc)
{
    return signed_at_put(vm, argc, 2);
}

/* integerAt: sees the elements that the receiver has, as signed numbers. */
static unsigned integer_width(oop o)
{
    uint64_t n;

    return plain_bits(o, &n) ? element_bytes(o) : 4;
}

int prim_integer_at(struct vm *vm, int argc)
{
    return signed_at(vm, argc, integer_width(vm->sp[1]));
}

int prim_integer_at_put(struct vm *vm, int argc)
{
    return signed_at_put(vm, argc, integer_width(vm->sp[2]));
}

static int float_view(oop o, oop at, unsigned *width, uint8_t **p)
{
    uint64_t n;

    if (!plain_bits(o, &n))
        return PRIM_ERR_BAD_RECEIVER;
    *width = element_bytes(o);
    if (*width < 4)
        return PRIM_ERR_BAD_RECEIVER;
    return view(o, at, *width, p);
}

int prim_float_element_at(struct vm *vm, int argc)
{
    unsigned width;
    uint8_t *p;
    float f;
    double d;
    int error = float_view(vm->sp[1], vm->sp[0], &width, &p);

    if (error)
        return error;
    if (width == 4) {
        memcpy(&f, p, sizeof f);
        d = f;
    } else {
        memcpy(&d, p, sizeof d);
    }
    return prim_answer_new(vm, argc, heap_float(&vm->heap, d));
}

int prim_float_element_at_put(struct vm *vm, int argc)
{
    unsigned width;
    uint8_t *p;
    double d;
    float f;
    int error = float_view(vm->sp[2], vm->sp[1], &width, &p);

    if (error)
        return error;
    if (is_int(vm->sp[0]))
        d = (double)int_value(vm->sp[0]);
    else if (!heap_float_value(vm->sp[0], &d))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[2]))
        return PRIM_ERR_NO_MODIFICATION;
    f = (float)d;
    memcpy(p, width == 4 ? (void *)&f : (void *)&d, width);
    return prim_answer(vm, argc, vm->sp[0]);
}
