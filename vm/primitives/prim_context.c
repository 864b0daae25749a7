/*
 * prim_context.c - primitives on contexts: unwinding, handlers, and their
 * stack as if it were indexed slots.
 */
#include "vm/frame.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

static int answer_walk(struct vm *vm, int argc, struct walk w)
{
    return walk_at_end(vm, w) ? prim_answer(vm, argc, vm->heap.nil)
                              : prim_answer_new(vm, argc, walk_context(vm, w));
}

/* findNextUnwindContextUpTo: the first ensure: below the receiver. */
int prim_find_unwind(struct vm *vm, int argc)
{
    struct walk w;
    oop stop = vm->sp[0];

    if (argc != 1 || !is_context(vm->sp[1]))
        return PRIM_ERR_BAD_RECEIVER;
    w = walk_sender(vm, walk_from(vm, vm->sp[1]));
    while (!walk_at_end(vm, w) && !walk_is(w, stop) &&
           !walk_is_marked(vm, w, 198))
        w = walk_sender(vm, w);
    if (walk_is(w, stop))
        return prim_answer(vm, argc, vm->heap.nil);
    return answer_walk(vm, argc, w);
}

/* findNextHandlerContextStarting: the first on:do: from the receiver on. */
int prim_find_handler(struct vm *vm, int argc)
{
    struct walk w;

    if (argc != 0 || !is_context(vm->sp[0]))
        return PRIM_ERR_BAD_RECEIVER;
    w = walk_from(vm, vm->sp[0]);
    while (!walk_at_end(vm, w) && !walk_is_marked(vm, w, 199))
        w = walk_sender(vm, w);
    return answer_walk(vm, argc, w);
}

static bool reaches(struct vm *vm, oop from, oop to)
{
    struct walk w = walk_sender(vm, walk_from(vm, from));

    while (!walk_at_end(vm, w) && !walk_is(w, to))
        w = walk_sender(vm, w);
    return !walk_at_end(vm, w);
}

/* Everything from `from` to `to` leaves the stack. *top is set to the running
 * context if that had to leave too. False: no memory. */
static bool unmarry_range(struct vm *vm, oop from, oop to, oop *top)
{
    struct walk w = walk_from(vm, from);

    while (!walk_at_end(vm, w)) {
        if (w.fp) {
            struct stack_page *page = page_of(vm, w.fp);
            bool running = page == vm->page;
            oop ctx = walk_context(vm, w), t;

            if (!ctx || !(t = page_divorce(vm, page)))
                return false;
            if (running)
                *top = t;
            w = walk_from(vm, ctx);
        }
        if (w.context == to)
            break;
        w = walk_sender(vm, w);
    }
    return true;
}

/* The running activation ends those between it and `to`, near by: no frame
 * has to become a context for that. */
static bool cut_frames(struct vm *vm, oop from, oop to)
{
    return from == vm->fp[FRAME_CONTEXT] && to != vm->heap.nil &&
           context_is_married(to) && frame_runs(vm, context_frame(to)) &&
           frame_cut(vm, context_frame(to));
}

int prim_terminate_to(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop from = vm->sp[1], to = vm->sp[0], ctx, next, top = 0;
    bool done;

    if (argc != 1 || !is_context(from))
        return PRIM_ERR_BAD_RECEIVER;
    if (from == to || (to != h->nil && !is_context(to)))
        return PRIM_ERR_BAD_ARGUMENT;
    if (cut_frames(vm, from, to))
        return prim_answer_self(vm, argc);
    done = unmarry_range(vm, from, to, &top);
    from = followed(from); /* they may have grown */
    to = followed(to);
    if (done && (to == h->nil || reaches(vm, from, to))) {
        ctx = heap_follow(slot(from, CTX_SENDER));
        for (; ctx != to && is_context(ctx); ctx = heap_follow(next)) {
            next = slot(ctx, CTX_SENDER);
            slots(ctx)[CTX_SENDER] = slots(ctx)[CTX_PC] = h->nil;
        }
    }
    if (done)
        heap_store(h, from, CTX_SENDER, to);
    if (top)
        vm_resume(vm, top);
    return done ? prim_answer_self(vm, argc) : PRIM_ERR_NO_MEMORY;
}

/* --- the variable part --- */

static int context_index(struct vm *vm, oop ctx, oop index, uint64_t *i)
{
    if (!is_context(ctx))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(index) || int_value(index) < 1 ||
        !vm_context_has(vm, ctx, (uint64_t)int_value(index)))
        return PRIM_ERR_BAD_INDEX;
    *i = CTX_TEMPS + (uint64_t)int_value(index) - 1;
    return PRIM_OK;
}

int prim_context_at(struct vm *vm, int argc)
{
    uint64_t i;
    int error = context_index(vm, vm->sp[1], vm->sp[0], &i);

    if (error)
        return error;
    return prim_answer(vm, argc, vm_slot(vm, vm->sp[1], i));
}

int prim_context_at_put(struct vm *vm, int argc)
{
    uint64_t i;
    oop value = vm->sp[0];
    int error = context_index(vm, vm->sp[2], vm->sp[1], &i);

    if (error)
        return error;
    vm_set_slot(vm, vm->sp[2], i, value);
    return prim_answer(vm, argc, value);
}

int prim_context_size(struct vm *vm, int argc)
{
    if (!is_context(vm->sp[0]))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc,
                       int_oop((int64_t)vm_context_stackp(vm, vm->sp[0])));
}

/* Bit 0: it was married once; bit 1: it is to a frame that lives. Ours are
 * divorced when the frame ends. */
int prim_context_xray(struct vm *vm, int argc)
{
    if (!is_context(vm->sp[0]))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc,
                       int_oop(context_is_married(vm->sp[0]) ? 3 : 0));
}

int prim_context_set_stackp(struct vm *vm, int argc)
{
    oop ctx = vm->sp[1], n = vm->sp[0];

    if (argc != 1 || !is_context(ctx))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(n) || int_value(n) < 0 ||
        (uint64_t)int_value(n) > slot_count(ctx) - CTX_TEMPS)
        return PRIM_ERR_BAD_ARGUMENT;
    if (context_is_married(ctx) && context_frame(ctx) == vm->fp)
        return PRIM_ERR_INAPPROPRIATE;
    vm_set_slot(vm, ctx, CTX_STACKP, n);
    return prim_answer_self(vm, argc);
}

/* closureCopy:copiedValues: makes the block of an old compiler: its code
 * follows a jump of two bytes, which is what the context does next. */
int prim_closure_copy(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop ctx = vm->sp[2], n = vm->sp[1], copied = vm->sp[0], pc, closure;
    uint64_t i;

    if (argc != 2 || !is_context(ctx) ||
        !is_int(pc = vm_slot(vm, ctx, CTX_PC)))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(n) || int_value(n) < 0 || int_value(n) > 15 ||
        !is_pointer(copied) || format_of(copied) != FMT_ARRAY)
        return PRIM_ERR_BAD_ARGUMENT;
    closure = heap_new(h, CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                       CLOSURE_COPIED + slot_count(copied));
    if (!closure)
        return PRIM_ERR_NO_MEMORY;
    heap_store(h, closure, CLOSURE_OUTER, ctx);
    heap_store(h, closure, CLOSURE_PC_OR_METHOD, int_oop(int_value(pc) + 2));
    heap_store(h, closure, CLOSURE_NUM_ARGS, n);
    for (i = 0; i < slot_count(copied); i++)
        heap_store(h, closure, CLOSURE_COPIED + i, slot(copied, i));
    return prim_answer(vm, argc, closure);
}

/* --- VM state --- */

int prim_void_state(struct vm *vm, int argc)
{
    oop top = vm_unmarry_all(vm);

    if (!top)
        return PRIM_ERR_NO_MEMORY;
    vm_resume(vm, top);
    vm_flush_caches(vm);
    return prim_answer_self(vm, argc);
}
