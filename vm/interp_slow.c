/*
 * interp_slow.c - what the bytecode loop calls when a bytecode is not simple:
 * floats, quotients, blocks and arrays to make, super sends, and what at:
 * does with a kind of object. Knows the stack, but no bytecode.
 */
#include "vm/interp_slow.h"
#include "vm/frame.h"
#include "vm/primitives/prim.h"

/* --- numbers --- */

bool slow_is_number(oop o)
{
    return is_int(o) || is_small_float(o) ||
           (is_pointer(o) && class_index_of(o) == CLS_BOXED_FLOAT);
}

static bool both_floats(oop a, oop b, double *x, double *y)
{
    const int64_t exact = 1ll << 53; /* integers that a double holds */

    if (is_small_float(a))
        *x = small_float_value(a);
    else if (is_int(a) && int_value(a) <= exact && int_value(a) >= -exact)
        *x = (double)int_value(a);
    else if (!heap_float_value(a, x))
        return false;
    if (is_small_float(b))
        *y = small_float_value(b);
    else if (is_int(b) && int_value(b) <= exact && int_value(b) >= -exact)
        *y = (double)int_value(b);
    else if (!heap_float_value(b, y))
        return false;
    return !(is_int(a) && is_int(b));
}

static oop float_result(struct heap *h, double x)
{
    return float_is_small(x) ? small_float_oop(x) : heap_float(h, x);
}

/* Results of float operations, or 0: send. */
#define FLOAT_OPERATION(name, refused, value)                              \
    oop name(struct heap *h, oop a, oop b)                                 \
    {                                                                      \
        double x, y;                                                       \
                                                                           \
        if (!both_floats(a, b, &x, &y) || (refused))                       \
            return 0;                                                      \
        return (value);                                                    \
    }
FLOAT_OPERATION(slow_float_add, false, float_result(h, x + y))
FLOAT_OPERATION(slow_float_subtract, false, float_result(h, x - y))
FLOAT_OPERATION(slow_float_multiply, false, float_result(h, x * y))
FLOAT_OPERATION(slow_float_divide, y == 0.0, float_result(h, x / y))
FLOAT_OPERATION(slow_float_less, false, x < y ? h->true_ : h->false_)
FLOAT_OPERATION(slow_float_greater, false, x > y ? h->true_ : h->false_)
FLOAT_OPERATION(slow_float_less_equal, false, x <= y ? h->true_ : h->false_)
FLOAT_OPERATION(slow_float_greater_equal, false, x >= y ? h->true_ : h->false_)
FLOAT_OPERATION(slow_float_equal, false, x == y ? h->true_ : h->false_)
FLOAT_OPERATION(slow_float_not_equal, false, x != y ? h->true_ : h->false_)

oop slow_quotient(oop a, oop b) /* exact, or 0 */
{
    int64_t x = int_value(a), y = int_value(b);

    if (y == 0 || x % y != 0 || !int_fits(x / y))
        return 0;
    return int_oop(x / y);
}

oop slow_floored_quotient(oop a, oop b)
{
    int64_t x = int_value(a), y = int_value(b), q;

    if (y == 0)
        return 0;
    q = x / y;
    if (x % y != 0 && (x < 0) != (y < 0))
        q--;
    return int_fits(q) ? int_oop(q) : 0;
}

oop slow_floored_modulo(oop a, oop b)
{
    int64_t x = int_value(a), y = int_value(b), r;

    if (y == 0)
        return 0;
    r = x % y;
    if (r != 0 && (r < 0) != (y < 0))
        r += y;
    return int_oop(r);
}

oop slow_shift(oop a, oop b) /* a SmallInteger, or 0 */
{
    int64_t x = int_value(a), n = int_value(b);

    if (n <= 0)
        return int_oop(n < -60 ? x >> 63 : x >> -n);
    if (n > 60 || !int_fits((int64_t)((uint64_t)x << n)) ||
        (int64_t)((uint64_t)x << n) >> n != x)
        return 0;
    return int_oop((int64_t)((uint64_t)x << n));
}

/* --- classes --- */

/* The class whose method runs: a super send looks above it. */
oop slow_super_class(struct vm *vm, oop method)
{
    oop binding = followed(
        code_literal(method, code_num_literals(method) - 1));
    oop class, nil = vm->heap.nil;

    if (!is_pointer(binding) || slot_count(binding) <= ASSOC_VALUE ||
        !format_is_pointers(format_of(binding)))
        return nil;
    class = followed(slot(binding, ASSOC_VALUE));
    if (!is_pointer(class) || class == nil)
        return nil;
    return followed(slot(class, CLASS_SUPERCLASS));
}
/* --- objects made of the stack --- */

/* Like heap_new, but the slots of a young object are not filled. */
static oop new_unfilled(struct heap *h, uint32_t class_index, unsigned format,
                        uint64_t n)
{
    oop o = heap_new_young(h, class_index, format, n);

    return o ? o : heap_new(h, class_index, format, n);
}

/* A block whose body follows; the copied values are still on the stack. */
oop slow_new_block(struct vm *vm, unsigned args, unsigned copied,
                     uint8_t *body)
{
    struct heap *h = &vm->heap;
    oop outer = frame_context(vm, vm->fp), o = 0;
    unsigned i;

    if (outer)
        o = new_unfilled(h, CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                         CLOSURE_COPIED + copied);
    if (!o)
        return 0;
    heap_store(h, o, CLOSURE_OUTER, outer);
    slots(o)[CLOSURE_PC_OR_METHOD] =
        int_oop(body - bytes(vm->fp[FRAME_METHOD]) + 1);
    slots(o)[CLOSURE_NUM_ARGS] = int_oop(args);
    for (i = 0; i < copied; i++)
        heap_store(h, o, CLOSURE_COPIED + i, vm->sp[copied - 1 - i]);
    return o;
}

oop slow_new_full_block(struct vm *vm, uint64_t literal, unsigned flags)
{
    struct heap *h = &vm->heap;
    oop *fp = vm->fp;
    oop block = followed(code_literal(fp[FRAME_METHOD], (unsigned)literal));
    unsigned i, copied = flags & 63;
    oop outer = h->nil, o = 0;

    if (!(flags & 64))
        outer = frame_context(vm, fp);
    if (outer)
        o = new_unfilled(h, CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                         FULL_CLOSURE_COPIED + copied);
    if (!o)
        return 0;
    heap_store(h, o, CLOSURE_OUTER, outer);
    heap_store(h, o, CLOSURE_PC_OR_METHOD, block);
    slots(o)[CLOSURE_NUM_ARGS] =
        int_oop(is_code(block) ? code_num_args(block) : 0);
    heap_store(h, o, FULL_CLOSURE_RECEIVER,
               flags & 128 ? vm->sp[copied] : fp[FRAME_RECEIVER]);
    for (i = 0; i < copied; i++)
        heap_store(h, o, FULL_CLOSURE_COPIED + i, vm->sp[copied - 1 - i]);
    return o;
}

/* A new array of n nils, or of the n values on the stack. */
oop slow_new_array(struct vm *vm, unsigned n, bool filled)
{
    oop o = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, n);
    unsigned i;

    for (i = 0; o && filled && i < n; i++)
        heap_store(&vm->heap, o, i, vm->sp[n - 1 - i]);
    return o;
}

void slow_attempt_to_assign(struct vm *vm, oop o, oop value, uint64_t index)
{
    *--vm->sp = o;
    *--vm->sp = value;
    *--vm->sp = int_oop((int64_t)index + 1);
    vm_send(vm, heap_special(&vm->heap, SPL_SEL_ATTEMPT_TO_ASSIGN), 2);
}

/* --- at: and at:put: --- */

static uint8_t at_kind(cached_primitive p, unsigned format, prim_fn *elements,
                       prim_fn *characters)
{
    if (p == elements && format == FMT_ARRAY)
        return AT_SLOTS;
    if (p == elements && format_is_bytes(format))
        return AT_BYTES;
    if (p == characters && format_is_bytes(format))
        return AT_CHARACTERS;
    return AT_SEND;
}

/* What primitive o's method for a special selector has. */
static cached_primitive special_primitive(struct vm *vm, oop o, unsigned i)
{
    oop selectors = heap_special(&vm->heap, SPL_SPECIAL_SELECTORS);
    const struct cache_entry *e = vm_lookup_for(vm, slot(selectors, 2 * i), o);

    return e && is_code(e->method) ? e->primitive : NULL;
}

const struct at_entry *slow_learn_at(struct vm *vm, oop o)
{
    uint32_t shape = shape_of(o);
    struct at_entry *e = &vm->at_cache[at_hash(shape)];

    e->shape = shape;
    e->at = at_kind(special_primitive(vm, o, 16), format_of(o), prim_at,
                    prim_string_at);
    e->at_put = at_kind(special_primitive(vm, o, 17), format_of(o),
                        prim_at_put, prim_string_at_put);
    if (is_immutable(o))
        e->at_put = AT_SEND;
    return e;
}
