/*
 * prim_object.c - objects seen from outside: at:, at:put:, size, instance
 * variables, new, copies, identity, characters.
 *
 * Operands are taken from the top of the stack, so that the forms with an
 * extra argument in the receiver's place (mirrors) work by themselves.
 * Contexts are reached through vm_slot and vm_set_slot, since their fields
 * may live in a frame. A forwarder has a format that nothing here accepts,
 * which makes the interpreter follow it and try again.
 */
#include "vm/jit/jit.h"
#include "vm/primitives/prim.h"

enum { MAX_CHARACTER = (1 << 30) - 1 };

/* --- elements of any object --- */

static uint64_t context_size(struct vm *vm, oop context)
{
    return CTX_TEMPS + vm_context_stackp(vm, context);
}

/* Elements that at: may reach; false: none by its format. */
static bool indexed_size(struct vm *vm, oop o, uint64_t *n)
{
    unsigned f;

    if (!is_pointer(o))
        return false;
    f = format_of(o);
    if (f == FMT_EMPTY || f == FMT_FIXED || f == FMT_EPHEMERON ||
        (f > FMT_EPHEMERON && f < FMT_64))
        return false;
    *n = vm_is_context(vm, o) ? vm_context_stackp(vm, o)
                              : heap_indexed_size(&vm->heap, o);
    return true;
}

/* Element i, from 0, of an object that is not pointers; 0: no memory. */
static oop bits_get(struct vm *vm, oop o, uint64_t i)
{
    unsigned f = format_of(o);

    if (f >= FMT_BYTES)
        return int_oop(bytes(o)[i]);
    if (f >= FMT_16)
        return int_oop(((uint16_t *)bytes(o))[i]);
    if (f >= FMT_32)
        return int_oop(((uint32_t *)bytes(o))[i]);
    return heap_uint64(&vm->heap, slot(o, i));
}

static int bits_put(oop o, uint64_t i, uint64_t v)
{
    unsigned f = format_of(o);

    if (f >= FMT_BYTES) {
        if (v > 0xff)
            return PRIM_ERR_BAD_ARGUMENT;
        bytes(o)[i] = (uint8_t)v;
    } else if (f >= FMT_16) {
        if (v > 0xffff)
            return PRIM_ERR_BAD_ARGUMENT;
        ((uint16_t *)bytes(o))[i] = (uint16_t)v;
    } else if (f >= FMT_32) {
        if (v > 0xffffffff)
            return PRIM_ERR_BAD_ARGUMENT;
        ((uint32_t *)bytes(o))[i] = (uint32_t)v;
    } else {
        slots(o)[i] = v;
    }
    return PRIM_OK;
}

/* The literals of code are oops: bytes may be stored after them only. */
static bool may_put_byte(oop o, uint64_t i)
{
    return !is_code(o) || i >= code_first_pc(o);
}

/* An index operand within 1..n, made to start at 0. */
static int index_operand(oop o, uint64_t n, uint64_t *i)
{
    if (!is_int(o))
        return PRIM_ERR_BAD_ARGUMENT;
    if (int_value(o) < 1 || (uint64_t)int_value(o) > n)
        return PRIM_ERR_BAD_INDEX;
    *i = (uint64_t)int_value(o) - 1;
    return PRIM_OK;
}

static oop pointer_get(struct vm *vm, oop o, uint64_t i)
{
    return vm_is_context(vm, o) ? vm_slot(vm, o, i) : slot(o, i);
}

static void pointer_put(struct vm *vm, oop o, uint64_t i, oop value)
{
    if (vm_is_context(vm, o))
        vm_set_slot(vm, o, i, value);
    else
        heap_store(&vm->heap, o, i, value);
}

/* Answers element i (from 0) of the slots, or of the bits. */
static int answer_element(struct vm *vm, int argc, oop o, uint64_t i)
{
    if (format_is_pointers(format_of(o)))
        return prim_answer(vm, argc, pointer_get(vm, o, i));
    return prim_answer_new(vm, argc, bits_get(vm, o, i));
}

static int put_element(struct vm *vm, int argc, oop o, uint64_t i, oop value)
{
    uint64_t v;
    int error;

    if (is_immutable(o))
        return PRIM_ERR_NO_MODIFICATION;
    if (format_is_pointers(format_of(o))) {
        pointer_put(vm, o, i, value);
        return prim_answer(vm, argc, value);
    }
    if (!heap_uint64_value(value, &v))
        return PRIM_ERR_BAD_ARGUMENT;
    if (!may_put_byte(o, i))
        return PRIM_ERR_BAD_INDEX;
    error = bits_put(o, i, v);
    return error ? error : prim_answer(vm, argc, value);
}

/* --- at:, at:put:, size --- */

/* Index operand `at` counts the indexed part of o; *i counts all slots. */
static int indexed_position(struct vm *vm, oop o, oop at, uint64_t *i)
{
    uint64_t n;
    int error;

    if (is_immediate(o))
        return PRIM_ERR_INAPPROPRIATE;
    if (!indexed_size(vm, o, &n))
        return PRIM_ERR_BAD_RECEIVER;
    error = index_operand(at, n, i);
    if (!error && format_is_pointers(format_of(o)))
        *i += heap_fixed_fields(&vm->heap, o);
    return error;
}

int prim_at(struct vm *vm, int argc)
{
    oop o = vm->sp[1];
    uint64_t i;
    int error = indexed_position(vm, o, vm->sp[0], &i);

    return error ? error : answer_element(vm, argc, o, i);
}

int prim_at_put(struct vm *vm, int argc)
{
    oop o = vm->sp[2];
    uint64_t i;
    int error = indexed_position(vm, o, vm->sp[1], &i);

    return error ? error : put_element(vm, argc, o, i, vm->sp[0]);
}

int prim_size(struct vm *vm, int argc)
{
    uint64_t n;

    if (!indexed_size(vm, vm->sp[0], &n))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc, int_oop((int64_t)n));
}

/* --- strings: elements are Characters --- */

static int string_position(struct vm *vm, oop o, oop at, uint64_t *i)
{
    if (is_immediate(o))
        return PRIM_ERR_INAPPROPRIATE;
    if (format_of(o) < FMT_32 || is_code(o))
        return PRIM_ERR_BAD_RECEIVER;
    return index_operand(at, heap_indexed_size(&vm->heap, o), i);
}

int prim_string_at(struct vm *vm, int argc)
{
    oop o = vm->sp[1], c;
    uint64_t i;
    int error = string_position(vm, o, vm->sp[0], &i);

    if (error)
        return error;
    c = bits_get(vm, o, i);
    if (int_value(c) > MAX_CHARACTER)
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc, char_oop((uint32_t)int_value(c)));
}

int prim_string_at_put(struct vm *vm, int argc)
{
    oop o = vm->sp[2], c = vm->sp[0];
    uint64_t i;
    int error = string_position(vm, o, vm->sp[1], &i);

    if (error)
        return error;
    if (!is_char(c))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(o))
        return PRIM_ERR_NO_MODIFICATION;
    error = bits_put(o, i, char_value(c));
    return error ? error : prim_answer(vm, argc, c);
}

/* --- methods: 1 is the header, then the literals --- */

int prim_object_at(struct vm *vm, int argc)
{
    oop m = vm->sp[1];
    uint64_t i;
    int error;

    if (!is_code(m))
        return PRIM_ERR_BAD_RECEIVER;
    error = index_operand(vm->sp[0], code_num_literals(m) + 1u, &i);
    return error ? error : prim_answer(vm, argc, slot(m, i));
}

/* A header must describe the code as it is: the same number of literals. */
static bool header_suits(oop m, oop new_header)
{
    return is_int(new_header) &&
           ((uint64_t)int_value(new_header) & 0x7fff) == code_num_literals(m);
}

int prim_object_at_put(struct vm *vm, int argc)
{
    oop m = vm->sp[2], value = vm->sp[0];
    uint64_t i;
    int error;

    if (!is_code(m))
        return PRIM_ERR_BAD_RECEIVER;
    error = index_operand(vm->sp[1], code_num_literals(m) + 1u, &i);
    if (error)
        return error;
    if (is_immutable(m))
        return PRIM_ERR_NO_MODIFICATION;
    if (i == 0 && !header_suits(m, value))
        return PRIM_ERR_BAD_ARGUMENT;
    heap_store(&vm->heap, m, i, value);
    jit_changed(vm, m);
    vm_flush_method(vm, m);
    return prim_answer(vm, argc, value);
}

/* --- instance variables: fixed fields first, then the indexed part --- */

static int slot_position(struct vm *vm, oop o, oop at, uint64_t *i)
{
    uint64_t n;
    unsigned f;

    if (is_immediate(o))
        return PRIM_ERR_INAPPROPRIATE;
    f = format_of(o);
    if (f > FMT_EPHEMERON && f < FMT_64)
        return PRIM_ERR_BAD_RECEIVER;
    if (vm_is_context(vm, o))
        n = context_size(vm, o);
    else
        n = format_is_pointers(f) ? slot_count(o)
                                  : heap_indexed_size(&vm->heap, o);
    return index_operand(at, n, i);
}

int prim_slot_at(struct vm *vm, int argc)
{
    oop o = vm->sp[1];
    uint64_t i;
    int error = slot_position(vm, o, vm->sp[0], &i);

    return error ? error : answer_element(vm, argc, o, i);
}

int prim_slot_at_put(struct vm *vm, int argc)
{
    oop o = vm->sp[2];
    uint64_t i;
    int error = slot_position(vm, o, vm->sp[1], &i);

    return error ? error : put_element(vm, argc, o, i, vm->sp[0]);
}

/* --- birth and copies --- */

/* A small instance with fixed fields or a small array, in eden, of a class
 * that is in the table: the common case. 0: not so simple. */
static oop new_small(struct heap *h, oop class, uint64_t indexed)
{
    uint32_t index = raw_hash(class);
    uint64_t word, n, i;
    unsigned spec;
    oop o;

    if (!index || index >> 10 >= h->class_pages ||
        heap_class_at(h, index) != class)
        return 0;
    word = (uint64_t)int_value(slot(class, CLASS_FORMAT));
    n = word & 0xffff;
    spec = word >> 16 & 31;
    if (spec == FMT_ARRAY && !n)
        n = indexed;
    else if (spec != FMT_FIXED || indexed)
        return 0;
    if (n > 64)
        return 0;
    o = heap_new_young(h, index, spec, n);
    for (i = 0; o && i < n; i++)
        slots(o)[i] = h->nil;
    return o;
}

int prim_new(struct vm *vm, int argc)
{
    int error = PRIM_ERR_BAD_RECEIVER;
    oop o = 0;

    if (is_pointer(vm->sp[0]) && (o = new_small(&vm->heap, vm->sp[0], 0)))
        return prim_answer(vm, argc, o);
    if (is_pointer(vm->sp[0]))
        o = heap_instantiate(&vm->heap, vm->sp[0], 0, &error);
    return o ? prim_answer(vm, argc, o) : error;
}

typedef oop instantiation(struct heap *h, oop class, uint64_t indexed,
                          int *error);

static int new_with(struct vm *vm, int argc, oop class, oop n,
                    instantiation *instantiate)
{
    int error = PRIM_ERR_BAD_RECEIVER;
    oop o = 0;

    if (!is_int(n) || int_value(n) < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_pointer(class))
        o = instantiate(&vm->heap, class, (uint64_t)int_value(n), &error);
    return o ? prim_answer(vm, argc, o) : error;
}

int prim_new_with(struct vm *vm, int argc)
{
    oop class = vm->sp[1], n = vm->sp[0], o;

    if (is_int(n) && is_pointer(class) &&
        (o = new_small(&vm->heap, class, (uint64_t)int_value(n))))
        return prim_answer(vm, argc, o);
    return new_with(vm, argc, class, n, heap_instantiate);
}

int prim_new_pinned(struct vm *vm, int argc)
{
    return new_with(vm, argc, vm->sp[0], int_oop(0), heap_instantiate_pinned);
}

int prim_new_pinned_with(struct vm *vm, int argc)
{
    return new_with(vm, argc, vm->sp[1], vm->sp[0], heap_instantiate_pinned);
}

/* A context's copy has what its frame has: fields and live stack. */
static oop clone_context(struct vm *vm, oop context)
{
    uint64_t live = context_size(vm, context), n = slot_count(context);
    oop copy = heap_new(&vm->heap, class_index_of(context),
                        format_of(context), n);

    if (!copy)
        return 0;
    for (uint64_t i = 0; i < n; i++)
        heap_store(&vm->heap, copy, i,
                   i < live ? vm_slot(vm, context, i) : vm->heap.nil);
    return copy;
}

int prim_clone(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (is_immediate(o))
        return prim_answer(vm, argc, o);
    if (is_forwarder(o))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer_new(vm, argc,
                           vm_is_context(vm, o) ? clone_context(vm, o)
                                                : heap_clone(&vm->heap, o));
}

/* --- identity --- */

int prim_identity_hash(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (is_immediate(o) || is_forwarder(o))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc, int_oop(heap_identity_hash(&vm->heap, o)));
}

/* Whether it was asked for its hash. The form that sets it would lose objects
 * in dictionaries, and the class table: no. */
int prim_has_identity_hash(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (argc)
        return PRIM_ERR_UNSUPPORTED;
    return prim_answer_bool(vm, argc, is_pointer(o) && raw_hash(o));
}

static int become(struct vm *vm, int argc, oop to, bool two_way, bool hash)
{
    int error = vm_become(vm, prim_operand(vm, argc, 0), to, two_way, hash);

    return error ? error : prim_answer_self(vm, argc);
}

int prim_become(struct vm *vm, int argc)
{
    return become(vm, argc, vm->sp[0], true, false);
}

int prim_become_forward(struct vm *vm, int argc)
{
    return become(vm, argc, vm->sp[0], false, true);
}

int prim_become_forward_keep_hash(struct vm *vm, int argc)
{
    return become(vm, argc, vm->sp[0], false, false);
}

int prim_become_forward_copy_hash(struct vm *vm, int argc)
{
    oop copy = vm->sp[0];

    if (copy != vm->heap.true_ && copy != vm->heap.false_)
        return PRIM_ERR_BAD_ARGUMENT;
    return become(vm, argc, vm->sp[1], false, copy == vm->heap.true_);
}

/* --- immediates --- */

int prim_as_character(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (!is_int(o) || int_value(o) < 0 || int_value(o) > MAX_CHARACTER)
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer(vm, argc, char_oop((uint32_t)int_value(o)));
}

/* A SmallFloat64 gives its bits without the tag, as a signed number. */
int prim_immediate_as_integer(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (is_int(o))
        return prim_answer(vm, argc, o);
    if (is_char(o))
        return prim_answer(vm, argc, int_oop(char_value(o)));
    if (!is_small_float(o))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc,
                       int_oop((int64_t)(o >> 4) - (o & 8 ? 1ll << 60 : 0)));
}
