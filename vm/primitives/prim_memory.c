/*
 * prim_memory.c - primitives on the heap as a whole: collection, enumeration,
 * classes and formats, read-only and pinned objects, mourners.
 */
#include "vm/frame.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

enum { MAX_LOW_SPACE = 8 << 20 };

static int answer_bytes(struct vm *vm, int argc, uint64_t n)
{
    return prim_answer_new(vm, argc, heap_uint64(&vm->heap, n));
}

/* --- collection --- */

int prim_full_gc(struct vm *vm, int argc)
{
    return answer_bytes(vm, argc, vm_full_gc(vm));
}

int prim_incremental_gc(struct vm *vm, int argc)
{
    vm_scavenge(vm);
    return answer_bytes(vm, argc, heap_bytes_free(&vm->heap));
}

int prim_bytes_left(struct vm *vm, int argc)
{
    return answer_bytes(vm, argc, heap_bytes_free(&vm->heap));
}

int prim_grow_memory(struct vm *vm, int argc)
{
    oop n = vm->sp[0];

    if (argc != 1 || !is_int(n) || int_value(n) < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    if (heap_grow(&vm->heap, (uint64_t)int_value(n)) < 0)
        return PRIM_ERR_NO_C_MEMORY;
    return prim_answer(vm, argc, n);
}

/* Semaphore or nil in a special object. */
static int set_semaphore(struct vm *vm, int argc, enum special_object s)
{
    oop o = vm->sp[0];

    if (argc != 1 || !is_pointer(o))
        return PRIM_ERR_BAD_ARGUMENT;
    if (o != vm->heap.nil &&
        (!format_is_pointers(format_of(o)) || slot_count(o) <= SEM_EXCESS))
        return PRIM_ERR_BAD_ARGUMENT;
    heap_store(&vm->heap, vm->heap.special, s, o);
    return prim_answer_self(vm, argc);
}

int prim_low_space_semaphore(struct vm *vm, int argc)
{
    return set_semaphore(vm, argc, SPL_LOW_SPACE_SEMAPHORE);
}

/* Images ask for some hundred KB, from times of small heaps; their debuggers
 * need more than that to tell the user. */
static uint64_t ample(struct heap *h, uint64_t wanted)
{
    uint64_t least = heap_bytes_free(h) / 16;

    if (least > MAX_LOW_SPACE)
        least = MAX_LOW_SPACE;
    return wanted && wanted < least ? least : wanted;
}

int prim_signal_at_bytes_left(struct vm *vm, int argc)
{
    oop n = vm->sp[0];

    if (argc != 1 || !is_int(n) || int_value(n) < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    vm->heap.low_space_threshold =
        ample(&vm->heap, (uint64_t)int_value(n));
    return prim_answer_self(vm, argc);
}

int prim_fetch_mourner(struct vm *vm, int argc)
{
    oop o = heap_fetch_mourner(&vm->heap);

    return o ? prim_answer(vm, argc, o) : PRIM_ERR_NOT_FOUND;
}

/* --- enumeration --- */

static oop next_instance(struct vm *vm, oop o, oop class)
{
    struct heap *h = &vm->heap;

    while (o && heap_class_of(h, o) != class)
        o = heap_next_object(h, o);
    return o;
}

int prim_some_instance(struct vm *vm, int argc)
{
    oop o = next_instance(vm, heap_first_object(&vm->heap), vm->sp[0]);

    return o ? prim_answer(vm, argc, o) : PRIM_ERR_NOT_FOUND;
}

int prim_next_instance(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop o = vm->sp[0];

    if (is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    o = next_instance(vm, heap_next_object(h, o), heap_class_of(h, o));
    return o ? prim_answer(vm, argc, o) : PRIM_ERR_NOT_FOUND;
}

int prim_some_object(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, heap_first_object(&vm->heap));
}

int prim_next_object(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    o = heap_next_object(&vm->heap, o);
    return prim_answer(vm, argc, o ? o : int_oop(0));
}

int prim_all_instances(struct vm *vm, int argc)
{
    if (is_immediate(vm->sp[0]))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer_new(vm, argc,
                           heap_all_instances(&vm->heap, vm->sp[0]));
}

int prim_all_objects(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc, heap_all_objects(&vm->heap));
}

/* Slots of o that hold references. */
static uint64_t pointer_slots(struct vm *vm, oop o)
{
    if (vm_is_context(vm, o))
        return CTX_TEMPS + vm_context_stackp(vm, o);
    if (is_code(o))
        return code_num_literals(o) + 1;
    return format_is_pointers(format_of(o)) ? slot_count(o) : 0;
}

int prim_points_to(struct vm *vm, int argc)
{
    oop o = vm->sp[1], to = vm->sp[0];
    uint64_t i, n;

    if (argc < 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (is_immediate(o))
        return prim_answer_bool(vm, argc, false);
    n = pointer_slots(vm, o);
    for (i = 0; i < n; i++)
        if (vm_same(vm, vm_slot(vm, o, i), to))
            return prim_answer_bool(vm, argc, true);
    return prim_answer_bool(vm, argc, false);
}

int prim_special_objects(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, vm->heap.special);
}

/* --- classes --- */

static uint64_t class_format(oop class)
{
    oop f = slot(class, CLASS_FORMAT);

    return is_int(f) ? (uint64_t)int_value(f) : 0;
}

static bool is_class(oop o)
{
    return is_pointer(o) && format_is_pointers(format_of(o)) &&
           slot_count(o) > CLASS_FORMAT && is_int(slot(o, CLASS_FORMAT));
}

/* Format that o would have as an instance of `class`; 0: it cannot be one. */
static unsigned adopted_format(oop o, oop class)
{
    unsigned spec = (class_format(class) >> 16) & 31, f = format_of(o);
    uint64_t fixed = class_format(class) & 0xffff, n = slot_count(o), used;
    unsigned width;

    if (format_is_pointers(f)) {
        if (!format_is_pointers(spec) || n < fixed)
            return 0;
        if ((spec == FMT_FIXED || spec == FMT_EPHEMERON) && n != fixed)
            return 0;
        return spec == FMT_EMPTY ? 0 : spec;
    }
    if (format_is_code(f) || format_is_code(spec))
        return format_is_code(f) && format_is_code(spec) ? f : 0;
    used = n * 8 - format_unused(f) * format_width(f);
    switch (spec) {
    case FMT_64:
    case FMT_32:
    case FMT_16:
    case FMT_BYTES:
        width = format_width(spec);
        return used % width ? 0 : spec + (unsigned)((n * 8 - used) / width);
    default:
        return 0;
    }
}

static int change_class(struct vm *vm, oop o, oop class)
{
    unsigned f;
    uint32_t index;

    if (!is_pointer(o) || !is_class(class))
        return PRIM_ERR_BAD_ARGUMENT;
    if (header(o) & HDR_IMMUTABLE)
        return PRIM_ERR_NO_MODIFICATION;
    if (vm_is_context(vm, o) || class_index_of(o) < CLS_LARGE_NEGATIVE)
        return PRIM_ERR_INAPPROPRIATE;
    f = adopted_format(o, class);
    index = heap_class_hash(&vm->heap, class);
    if (!f || !index || index == CLS_CONTEXT)
        return PRIM_ERR_INAPPROPRIATE;
    set_format(o, f);
    set_class_index(o, index);
    heap_keep(&vm->heap, class);
    vm_flush_caches(vm); /* o may be a class or a method itself */
    return PRIM_OK;
}

int prim_change_class(struct vm *vm, int argc)
{
    int error;

    if (argc != 1 || is_immediate(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    error = change_class(vm, vm->sp[1],
                         heap_class_of(&vm->heap, vm->sp[0]));
    return error ? error : prim_answer_self(vm, argc);
}

int prim_adopt_instance(struct vm *vm, int argc)
{
    int error;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    error = change_class(vm, vm->sp[0], vm->sp[1]);
    return error ? error : prim_answer_self(vm, argc);
}

int prim_behavior_hash(struct vm *vm, int argc)
{
    uint32_t hash;

    if (!is_class(vm->sp[0]))
        return PRIM_ERR_BAD_RECEIVER;
    hash = heap_class_hash(&vm->heap, vm->sp[0]);
    return hash ? prim_answer(vm, argc, int_oop(hash)) : PRIM_ERR_NO_MEMORY;
}

int prim_max_identity_hash(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(HASH_MAX));
}

/* Bytes of an instance of a class with n indexed elements. */
int prim_byte_size_of_instance(struct vm *vm, int argc)
{
    oop class = vm->sp[argc], n = argc ? vm->sp[0] : int_oop(0);
    unsigned spec;
    uint64_t size;

    if (argc > 1 || !is_class(class))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(n) || int_value(n) < 0 || int_value(n) > 1ll << 40)
        return PRIM_ERR_BAD_ARGUMENT;
    spec = (class_format(class) >> 16) & 31;
    size = (uint64_t)int_value(n) * format_width(spec) + 7;
    return answer_bytes(vm, argc,
                        bytes_for_slots((class_format(class) & 0xffff) +
                                        size / 8));
}

int prim_byte_size(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    return answer_bytes(vm, argc, is_immediate(o)
                                      ? 0
                                      : bytes_for_slots(slot_count(o)));
}

/* --- methods --- */

/* newMethod: byteCount header: aSmallInteger */
int prim_new_method(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop class = vm->sp[2], n = vm->sp[1], head = vm->sp[0], m;
    uint64_t literals, i, size;

    if (argc != 2 || !is_class(class) ||
        ((class_format(class) >> 16) & 31) != FMT_CODE)
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(n) || !is_int(head) || int_value(n) < 0 ||
        int_value(n) > 1 << 28)
        return PRIM_ERR_BAD_ARGUMENT;
    literals = (uint64_t)int_value(head) & 0x7fff;
    size = (literals + 1) * 8 + (uint64_t)int_value(n);
    m = heap_new(h, heap_class_hash(h, class), FMT_CODE + (-size & 7),
                 (size + 7) / 8);
    if (!m)
        return PRIM_ERR_NO_MEMORY;
    slots(m)[0] = head;
    for (i = 1; i <= literals; i++)
        slots(m)[i] = h->nil;
    return prim_answer(vm, argc, m);
}

/* --- read-only and pinned --- */

int prim_is_read_only(struct vm *vm, int argc)
{
    return prim_answer_bool(vm, argc, is_immutable(vm->sp[0]));
}

/* Things that the VM writes to, whatever the image thinks of it. */
static bool must_be_writable(struct vm *vm, oop o)
{
    struct heap *h = &vm->heap;
    unsigned f = format_of(o);
    oop class = heap_class_of(h, o);

    return f == FMT_WEAK || f == FMT_EPHEMERON || f == FMT_FORWARDER ||
           vm_is_context(vm, o) ||
           class == heap_special(h, SPL_CLASS_SEMAPHORE) ||
           class == heap_class_of(h, vm_active_process(vm));
}

int prim_set_read_only(struct vm *vm, int argc)
{
    oop o = vm->sp[1], flag = vm->sp[0];
    bool was;

    if (argc < 1 || is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    if (flag != vm->heap.true_ && flag != vm->heap.false_)
        return PRIM_ERR_BAD_ARGUMENT;
    if (flag == vm->heap.true_ && must_be_writable(vm, o))
        return PRIM_ERR_INAPPROPRIATE;
    was = header(o) & HDR_IMMUTABLE;
    if (flag == vm->heap.true_)
        *header_ptr(o) |= HDR_IMMUTABLE;
    else
        *header_ptr(o) &= ~HDR_IMMUTABLE;
    return prim_answer_bool(vm, argc, was);
}

int prim_is_pinned(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer_bool(vm, argc, header(o) & HDR_PINNED);
}

int prim_pin(struct vm *vm, int argc)
{
    oop o = vm->sp[1], flag = vm->sp[0], moved = 0;
    bool was;
    int error;

    if (argc < 1 || is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    if (flag != vm->heap.true_ && flag != vm->heap.false_)
        return PRIM_ERR_BAD_ARGUMENT;
    was = header(o) & HDR_PINNED;
    error = heap_pin(&vm->heap, o, flag == vm->heap.true_, &moved);
    if (error)
        return error;
    if (moved && moved != o)
        vm_follow_forwarders(vm);
    return prim_answer_bool(vm, argc, was);
}
