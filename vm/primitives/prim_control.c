/*
 * prim_control.c - primitives that run code: perform, closures, execution of
 * methods and primitives; identity, class and cache flushing.
 */
#include "vm/frame.h"
#include "vm/primitives/prim.h"

/* A spread argument list must fit into any frame's operands. */
enum { MAX_SPREAD = 56, MAX_BLOCK_ARGS = 15, MAX_COPIED = 64 };

static bool is_array(oop o)
{
    return is_pointer(o) && format_of(o) == FMT_ARRAY;
}

/* --- perform --- */

/* The operands are replaced by receiver and arguments by now. */
static int execute_found(struct vm *vm, struct cache_entry *e, oop selector,
                         oop class, int argc)
{
    if (!e || !is_code(e->method))
        e = vm_find_method(vm, selector, class, &argc);
    vm->method = e->method;
    vm->next_primitive = e->primitive;
    vm->argc = argc;
    return PRIM_EXECUTE;
}

static bool takes(const struct cache_entry *e, uint64_t argc)
{
    return !e || !is_code(e->method) || code_num_args(e->method) == argc;
}

int prim_perform(struct vm *vm, int argc)
{
    oop selector;
    struct cache_entry *e;
    int i;

    if (argc < 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    selector = followed(vm->sp[argc - 1]);
    e = vm_lookup_for(vm, selector, vm->sp[argc]);
    if (!takes(e, (uint64_t)argc - 1))
        return PRIM_ERR_BAD_NUM_ARGS;
    for (i = argc - 1; i > 0; i--)
        vm->sp[i] = vm->sp[i - 1];
    vm->sp++;
    return execute_found(vm, e, selector,
                         heap_class_of(&vm->heap, vm->sp[argc - 1]), argc - 1);
}

/* Replaces argc operands and the receiver. */
static void spread(struct vm *vm, int argc, oop receiver, oop args)
{
    uint64_t i, n = slot_count(args);

    vm->sp += argc;
    *vm->sp = receiver;
    for (i = 0; i < n; i++)
        *--vm->sp = slot(args, i);
}

static int perform_with(struct vm *vm, int argc, oop receiver, oop selector,
                        oop args, oop class)
{
    struct cache_entry *e;
    int n;

    if (!is_array(args))
        return PRIM_ERR_INAPPROPRIATE;
    if (slot_count(args) > MAX_SPREAD)
        return PRIM_ERR_BAD_NUM_ARGS;
    n = (int)slot_count(args);
    e = vm_lookup(vm, followed(selector), class);
    if (!takes(e, (uint64_t)n))
        return PRIM_ERR_BAD_NUM_ARGS;
    spread(vm, argc, receiver, args);
    return execute_found(vm, e, selector, class, n);
}

int prim_perform_with_arguments(struct vm *vm, int argc)
{
    if (argc != 2 && argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    return perform_with(vm, argc, vm->sp[2], vm->sp[1], vm->sp[0],
                        heap_class_of(&vm->heap, vm->sp[2]));
}

int prim_perform_in_superclass(struct vm *vm, int argc)
{
    oop start = vm->sp[0], class, nil = vm->heap.nil;

    if (argc != 3 && argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    class = heap_class_of(&vm->heap, vm->sp[3]);
    while (class != nil && class != start)
        class = heap_follow(slot(class, CLASS_SUPERCLASS));
    if (class == nil)
        return PRIM_ERR_BAD_ARGUMENT;
    return perform_with(vm, argc, vm->sp[3], vm->sp[2], vm->sp[1], class);
}

/* --- methods run directly --- */

int prim_execute_with_args(struct vm *vm, int argc)
{
    oop method = vm->sp[0], args = vm->sp[1];

    if (argc != 2 && argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_code(method) || !is_array(args))
        return PRIM_ERR_BAD_ARGUMENT;
    if (slot_count(args) != code_num_args(method))
        return PRIM_ERR_BAD_NUM_ARGS;
    spread(vm, argc, vm->sp[2], args);
    vm->method = method;
    vm->next_primitive = vm_primitive_of(method);
    vm->argc = (int)code_num_args(method);
    return PRIM_EXECUTE;
}

int prim_execute(struct vm *vm, int argc)
{
    oop method = vm->sp[0];

    if (argc < 1 || !is_code(method))
        return PRIM_ERR_BAD_ARGUMENT;
    if ((int)code_num_args(method) != argc - 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    vm->sp++;
    vm->method = method;
    vm->next_primitive = vm_primitive_of(method);
    vm->argc = argc - 1;
    return PRIM_EXECUTE;
}

/* Runs a primitive in the place of this one. Its failure is reported as a
 * negative code, and the operands are put back. */
static int try_primitive(struct vm *vm, int argc, prim_fn *fn, oop receiver,
                         oop args)
{
    oop saved[4], *sp = vm->sp;
    int r;

    if (!is_array(args) || slot_count(args) > MAX_SPREAD)
        return PRIM_ERR_BAD_ARGUMENT;
    memcpy(saved, sp, (size_t)(argc + 1) * sizeof *sp);
    spread(vm, argc, receiver, args);
    r = fn(vm, (int)slot_count(args));
    if (r <= 0)
        return r;
    vm->sp = sp;
    memcpy(sp, saved, (size_t)(argc + 1) * sizeof *sp);
    return r == PRIM_ERR_NO_MEMORY ? r : PRIM_TRY_FAILED + r;
}

int prim_try_primitive(struct vm *vm, int argc)
{
    prim_fn *fn;
    int64_t n;

    if (argc != 2 && argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    n = is_int(vm->sp[1]) ? int_value(vm->sp[1]) : -1;
    fn = n > 0 && n < 1000 ? prim_numbered((unsigned)n) : NULL;
    if (!fn)
        return PRIM_TRY_FAILED + PRIM_ERR_UNSUPPORTED;
    return try_primitive(vm, argc, fn, vm->sp[2], vm->sp[0]);
}

int prim_try_named_primitive(struct vm *vm, int argc)
{
    oop method = vm->sp[2];
    prim_fn *fn;

    if (argc != 3 || !is_array(vm->sp[0]))
        return PRIM_TRY_FAILED + 2;
    if (!is_code(method) || code_primitive(method) != 117)
        return PRIM_TRY_FAILED + 3;
    fn = vm_primitive_of(method);
    return try_primitive(vm, argc, fn, vm->sp[1], vm->sp[0]);
}

/* --- closures --- */

static bool is_block(oop o)
{
    oop outer;

    if (!is_pointer(o) || class_index_of(o) != CLS_BLOCK_CLOSURE ||
        slot_count(o) < CLOSURE_COPIED ||
        slot_count(o) > CLOSURE_COPIED + MAX_COPIED)
        return false;
    outer = heap_follow(slot(o, CLOSURE_OUTER));
    return is_context(outer) && is_code(heap_follow(slot(outer, CTX_METHOD)))
           && is_int(slot(o, CLOSURE_PC_OR_METHOD));
}

static bool is_full_block(oop o)
{
    if (!is_pointer(o) || class_index_of(o) != CLS_FULL_BLOCK_CLOSURE ||
        slot_count(o) < FULL_CLOSURE_COPIED ||
        slot_count(o) > FULL_CLOSURE_COPIED + MAX_COPIED)
        return false;
    return is_code(heap_follow(slot(o, CLOSURE_PC_OR_METHOD)));
}

static bool block_takes(oop closure, int64_t argc)
{
    return slot(closure, CLOSURE_NUM_ARGS) == int_oop(argc) &&
           argc <= MAX_BLOCK_ARGS;
}

/* The two kinds of closures: which it is, and how it is activated. */
struct block_kind {
    bool (*is_one)(oop o);
    void (*push)(struct vm *vm, oop closure, int argc);
};
static const struct block_kind embedded = { is_block, frame_push_block };
static const struct block_kind full = { is_full_block, frame_push_full_block };

static int block_value(struct vm *vm, int argc, const struct block_kind *kind,
                       int activated)
{
    oop closure = vm->sp[argc];

    if (!kind->is_one(closure))
        return PRIM_ERR_BAD_RECEIVER;
    if (!block_takes(closure, argc))
        return PRIM_ERR_BAD_NUM_ARGS;
    kind->push(vm, closure, argc);
    return activated;
}

static int block_value_with_arguments(struct vm *vm, int argc,
                                      const struct block_kind *kind)
{
    oop closure = vm->sp[1], args = vm->sp[0];

    if (argc != 1 || !kind->is_one(closure))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_array(args))
        return PRIM_ERR_BAD_ARGUMENT;
    if (!block_takes(closure, (int64_t)slot_count(args)))
        return PRIM_ERR_BAD_NUM_ARGS;
    spread(vm, argc, closure, args);
    kind->push(vm, closure, (int)slot_count(args));
    return PRIM_ACTIVATED;
}

int prim_block_value(struct vm *vm, int argc)
{
    return block_value(vm, argc, &embedded, PRIM_ACTIVATED);
}

int prim_block_value_no_switch(struct vm *vm, int argc)
{
    return block_value(vm, argc, &embedded, PRIM_NO_SWITCH);
}

int prim_block_value_with_arguments(struct vm *vm, int argc)
{
    return block_value_with_arguments(vm, argc, &embedded);
}

int prim_full_block_value(struct vm *vm, int argc)
{
    return block_value(vm, argc, &full, PRIM_ACTIVATED);
}

int prim_full_block_value_no_switch(struct vm *vm, int argc)
{
    return block_value(vm, argc, &full, PRIM_NO_SWITCH);
}

int prim_full_block_value_with_arguments(struct vm *vm, int argc)
{
    return block_value_with_arguments(vm, argc, &full);
}

/* --- identity and class: the operands are the topmost --- */

int prim_identical(struct vm *vm, int argc)
{
    return prim_answer_bool(vm, argc, vm_same(vm, vm->sp[1], vm->sp[0]));
}

int prim_not_identical(struct vm *vm, int argc)
{
    return prim_answer_bool(vm, argc, !vm_same(vm, vm->sp[1], vm->sp[0]));
}

int prim_class(struct vm *vm, int argc)
{
    return prim_answer(vm, argc,
                       heap_class_of(&vm->heap, heap_follow(vm->sp[0])));
}

/* --- caches --- */

int prim_flush_cache(struct vm *vm, int argc)
{
    vm_flush_caches(vm);
    return prim_answer_self(vm, argc);
}

int prim_flush_method(struct vm *vm, int argc)
{
    vm_flush_method(vm, vm->sp[argc]);
    return prim_answer_self(vm, argc);
}

int prim_flush_selector(struct vm *vm, int argc)
{
    vm_flush_selector(vm, vm->sp[argc]);
    return prim_answer_self(vm, argc);
}

/* Marks a method for the VM to find (19, 123, 198, 199); never succeeds. */
int prim_marker(struct vm *vm, int argc)
{
    return PRIM_ERR_GENERIC;
}
