/*
 * context.c - contexts and frames as one thing: resuming, returning, walking
 * sender chains, reading and writing contexts that may be frames.
 */
#include "vm/frame.h"
#include "vm/jit/deopt.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <string.h>

/* --- resuming --- */

static void base_frame_linkage(struct vm *vm, oop ctx, oop *temps, oop closure)
{
    oop *fp = vm->sp - 2;

    fp[FRAME_PC] = followed(slot(ctx, CTX_SENDER));
    fp[FRAME_CALLER] = 0;
    fp[FRAME_TEMPS] = (oop)(uintptr_t)temps;
    fp[FRAME_METHOD] = followed(slot(ctx, CTX_METHOD));
    fp[FRAME_CLOSURE] = closure;
    fp[FRAME_CONTEXT] = ctx;
    fp[FRAME_RECEIVER] = followed(slot(ctx, CTX_RECEIVER));
    vm->fp = fp;
    vm->sp = fp + FRAME_RECEIVER;
    vm->page->fp = fp;
}

static uint64_t raw_stackp(oop ctx)
{
    oop p = slot(ctx, CTX_STACKP);
    uint64_t room = slot_count(ctx) - CTX_TEMPS;

    if (!is_int(p) || int_value(p) < 0)
        return 0;
    return (uint64_t)int_value(p) < room ? (uint64_t)int_value(p) : room;
}

/* Rebuilds a context's frame, alone on a new page. */
static void context_to_frame(struct vm *vm, oop ctx)
{
    struct heap *h = &vm->heap;
    oop closure = followed(slot(ctx, CTX_CLOSURE));
    oop method = followed(slot(ctx, CTX_METHOD));
    uint64_t i = 0, n = raw_stackp(ctx), temps = code_num_temps(method);
    bool embedded = closure != h->nil &&
                    class_index_of(closure) == CLS_BLOCK_CLOSURE;
    int64_t pc = int_value(slot(ctx, CTX_PC));
    oop *result;

    page_take(vm);
    vm->sp = result = vm->page->high - 1;
    *result = closure != h->nil ? closure : slot(ctx, CTX_RECEIVER);
    if (!embedded)
        for (i = 0; i < temps; i++)
            *--vm->sp = i < n ? slot(ctx, CTX_TEMPS + i) : h->nil;
    base_frame_linkage(vm, ctx,
                       embedded ? result - 2 + FRAME_OPERANDS : result - 1,
                       closure == h->nil ? 0 : closure);
    for (; i < n; i++)
        *--vm->sp = slot(ctx, CTX_TEMPS + i);
    vm->pc = bytes(vm->fp[FRAME_METHOD]) + pc - 1;
    slots(ctx)[CTX_SENDER] = (oop)(uintptr_t)vm->fp | TAG_INTEGER;
    /* the context itself keeps no more alive than a freshly married one */
    if (embedded)
        n = 0;
    else if (n > code_num_args(method))
        n = code_num_args(method);
    slots(ctx)[CTX_STACKP] = int_oop((int64_t)n);
    vm->reload = true;
}

static bool is_resumable(struct vm *vm, oop ctx)
{
    if (!is_context(ctx))
        return false;
    return context_is_married(ctx) ||
           (is_int(slot(ctx, CTX_PC)) &&
            is_code(followed(slot(ctx, CTX_METHOD))));
}

/* Has it the top frame of a page that rests? */
static bool has_top_frame(const struct vm *vm, oop ctx)
{
    struct stack_page *page;

    if (!is_context(ctx) || !context_is_married(ctx))
        return false;
    page = page_of(vm, context_frame(ctx));
    return page != vm->page && page->fp == context_frame(ctx);
}

__attribute__((noinline)) static bool rebuild(struct vm *vm, oop ctx)
{
    if (!is_resumable(vm, ctx))
        return false;
    if (context_is_married(ctx) && /* frames above are someone else's */
        !page_divorce(vm, page_of(vm, context_frame(ctx))))
        plat_panic("no memory to resume a context");
    context_to_frame(vm, followed(ctx)); /* it may have grown */
    return true;
}

bool vm_resume(struct vm *vm, oop ctx)
{
    ctx = followed(ctx);
    if (!has_top_frame(vm, ctx))
        return rebuild(vm, ctx);
    frame_run(vm, page_of(vm, context_frame(ctx)));
    return true;
}

oop vm_unmarry_all(struct vm *vm)
{
    if (!frame_divorce_others(vm))
        return 0;
    return page_divorce(vm, vm->page);
}

/* --- walking --- */

struct walk walk_from(struct vm *vm, oop ctx)
{
    ctx = followed(ctx);
    if (!is_context(ctx))
        return (struct walk){ NULL, vm->heap.nil };
    if (context_is_married(ctx))
        return (struct walk){ context_frame(ctx), ctx };
    return (struct walk){ NULL, ctx };
}

struct walk walk_sender(struct vm *vm, struct walk w)
{
    oop *caller;

    if (!w.fp)
        return walk_from(vm, slot(w.context, CTX_SENDER));
    caller = frame_caller(w.fp);
    if (!caller)
        return walk_from(vm, w.fp[FRAME_PC]);
    return (struct walk){ caller, caller[FRAME_CONTEXT] };
}

bool walk_is(struct walk w, oop ctx)
{
    if (w.fp)
        return !frame_is_optimised(w.fp) && w.fp[FRAME_CONTEXT] == ctx;
    return w.context == ctx;
}

oop walk_context(struct vm *vm, struct walk w)
{
    return w.fp ? frame_context(vm, w.fp) : w.context;
}

bool walk_is_marked(struct vm *vm, struct walk w, unsigned primitive)
{
    oop method, closure;

    if (w.fp)
        return !w.fp[FRAME_CLOSURE] &&
               code_primitive(w.fp[FRAME_METHOD]) == primitive;
    method = followed(slot(w.context, CTX_METHOD));
    closure = slot(w.context, CTX_CLOSURE);
    return closure == vm->heap.nil && is_code(method) &&
           code_primitive(method) == primitive;
}

/* Context that `fp`'s activation returns to; nil: none; 0: no memory. An
 * optimised frame there ends as one: registers in the vm may change. */
static oop frame_sender(struct vm *vm, oop *fp)
{
    oop *caller = frame_caller(fp), ctx;

    if (!caller)
        return fp[FRAME_PC];
    if (!frame_is_optimised(caller))
        return frame_context(vm, caller);
    ctx = frame_context(vm, fp);
    if (!ctx || !page_deoptimise(vm, page_of(vm, fp)))
        return 0;
    ctx = followed(ctx);
    return context_is_married(ctx) ? context_frame(ctx)[FRAME_PC]
                                   : slot(ctx, CTX_SENDER);
}

/* --- returning --- */

/* Sends an error about the running activation to its context. `scratch[1]`
 * and up are the arguments: they survive the collection this may need. */
static void send_to_context(struct vm *vm, enum special_object selector,
                            int argc)
{
    int i;
    oop ctx;

    while (!(ctx = frame_context(vm, vm->fp)))
        if (!vm_collect(vm))
            plat_panic("no memory for the context of a return");
    *--vm->sp = ctx;
    for (i = 1; i <= argc; i++) {
        *--vm->sp = vm->scratch[i];
        vm->scratch[i] = 0;
    }
    vm_send(vm, heap_special(&vm->heap, selector), argc);
}

static void cannot_return(struct vm *vm, oop v)
{
    vm->scratch[1] = v;
    send_to_context(vm, SPL_SEL_CANNOT_RETURN, 1);
}

/* Goes on in `ctx` with the answer v. Image code that jumps into a context
 * pops its last value to have it returned again; when that was the last temp,
 * it is one still. */
static void resume_with(struct vm *vm, oop ctx, oop v)
{
    uint64_t n = context_is_married(ctx) ? UINT64_MAX : raw_stackp(ctx);

    vm_resume(vm, ctx);
    if (n < frame_num_temps(vm->fp))
        *frame_value(vm->fp, n) = v;
    *--vm->sp = v;
}

static void return_from_base(struct vm *vm, oop v)
{
    oop sender = followed(vm->fp[FRAME_PC]);

    if (!is_resumable(vm, sender)) {
        cannot_return(vm, v);
        return;
    }
    frame_widow(vm, vm->fp);
    page_free(vm, vm->page);
    resume_with(vm, followed(sender), v);
}

void vm_local_return(struct vm *vm, oop v)
{
    oop *fp = vm->fp;

    if (!frame_caller(fp)) {
        return_from_base(vm, v);
        return;
    }
    frame_widow(vm, fp);
    frame_leave(vm);
    *--vm->sp = v;
}

/* Context that a "^" in `closure` returns from; 0: there is none. */
static oop home_of(struct vm *vm, oop closure)
{
    oop ctx;

    while (closure && closure != vm->heap.nil) {
        ctx = followed(slot(closure, CLOSURE_OUTER));
        if (!is_context(ctx))
            return 0;
        closure = followed(slot(ctx, CTX_CLOSURE));
        if (closure == vm->heap.nil)
            return ctx;
    }
    return 0;
}

/* Home is a frame of the running page: leave the frames above it. */
static void drop_frames_to(struct vm *vm, oop *home)
{
    while (vm->fp != home) {
        frame_widow(vm, vm->fp);
        frame_leave(vm);
    }
}

/* Home lies on another page or in the heap. Everything becomes contexts, and
 * the chain is cut there; what is resumed starts on a fresh page, so this
 * does not recur for the next one. */
static void return_through_contexts(struct vm *vm, oop home, oop v)
{
    oop ctx, sender, nil = vm->heap.nil;

    vm->scratch[0] = home;
    vm->scratch[1] = v;
    while (!(ctx = vm_unmarry_all(vm)))
        if (!vm_collect(vm))
            plat_panic("no memory to return through a deep stack");
    home = followed(vm->scratch[0]); /* it may have grown */
    v = vm->scratch[1];
    vm->scratch[0] = vm->scratch[1] = 0;
    sender = slot(home, CTX_SENDER);
    if (!is_resumable(vm, followed(sender))) {
        vm_resume(vm, ctx);
        cannot_return(vm, v);
        return;
    }
    for (;;) {
        oop next = slot(ctx, CTX_SENDER);

        slots(ctx)[CTX_SENDER] = slots(ctx)[CTX_PC] = nil;
        if (ctx == home)
            break;
        ctx = followed(next);
    }
    resume_with(vm, followed(sender), v);
}

static void non_local_return(struct vm *vm, oop v)
{
    oop home = home_of(vm, vm->fp[FRAME_CLOSURE]);
    struct walk w = { vm->fp, vm->fp[FRAME_CONTEXT] }, unwind = { 0 };
    bool found = false, marked = false;

    while (home && !found) {
        w = walk_sender(vm, w);
        if (walk_at_end(vm, w))
            break;
        found = walk_is(w, home);
        if (!marked && walk_is_marked(vm, w, 198)) {
            marked = true;
            unwind = w;
        }
    }
    if (!found) {
        cannot_return(vm, v);
    } else if (marked) {
        vm->scratch[1] = v;
        while (!(vm->scratch[2] = walk_context(vm, unwind)))
            if (!vm_collect(vm))
                plat_panic("no memory for an unwind context");
        send_to_context(vm, SPL_SEL_ABOUT_TO_RETURN, 2);
    } else if (w.fp && frame_runs(vm, w.fp)) {
        drop_frames_to(vm, w.fp);
        vm_local_return(vm, v);
    } else {
        return_through_contexts(vm, home, v);
    }
}

void vm_return(struct vm *vm, oop v)
{
    if (vm->fp[FRAME_CLOSURE])
        non_local_return(vm, v);
    else
        vm_local_return(vm, v);
}

/* --- slots of contexts, live or not --- */

bool vm_is_context(struct vm *vm, oop o)
{
    return is_context(o);
}

uint64_t vm_context_stackp(struct vm *vm, oop ctx)
{
    oop *end;

    if (!context_is_married(ctx))
        return raw_stackp(ctx);
    frame_pc_of(vm, context_frame(ctx), &end);
    return frame_num_values(context_frame(ctx), end);
}

bool vm_context_has(struct vm *vm, oop ctx, uint64_t n)
{
    if (context_is_married(ctx) && n <= frame_num_temps(context_frame(ctx)))
        return true;
    return n <= vm_context_stackp(vm, ctx);
}

/* Where pc and stack end is known after a walk through the page: only for
 * what needs it. */
static oop frame_slot(struct vm *vm, oop ctx, uint64_t i)
{
    oop *fp = context_frame(ctx), *end, sender;

    switch (i) {
    case CTX_SENDER:
        sender = frame_sender(vm, fp);
        if (!sender)
            plat_panic("no memory for a sender");
        return sender;
    case CTX_PC:
        return int_oop(frame_pc_of(vm, fp, &end) - bytes(fp[FRAME_METHOD]) +
                       1);
    case CTX_STACKP:
        return int_oop((int64_t)vm_context_stackp(vm, ctx));
    case CTX_METHOD:
        return fp[FRAME_METHOD];
    case CTX_CLOSURE:
        return slot(ctx, i);
    case CTX_RECEIVER:
        return fp[FRAME_RECEIVER];
    default:
        i -= CTX_TEMPS;
        return vm_context_has(vm, ctx, i + 1) ? *frame_value(fp, i)
                                              : vm->heap.nil;
    }
}

oop vm_slot(struct vm *vm, oop o, uint64_t i)
{
    if (is_context(o) && context_is_married(o))
        return frame_slot(vm, o, i);
    return slot(o, i);
}

/* Slots that a higher stackp exposes hold what was there long ago. */
static void store(struct vm *vm, oop o, uint64_t i, oop value)
{
    uint64_t n = 0, old = 0;

    if (i == CTX_STACKP && is_context(o)) {
        old = raw_stackp(o);
        slots(o)[CTX_STACKP] = value;
        n = raw_stackp(o);
    }
    for (; old < n; old++)
        slots(o)[CTX_TEMPS + old] = vm->heap.nil;
    heap_store(&vm->heap, o, i, value);
}

/* Writes a slot that no frame has room for: the frame becomes a context
 * first, and what ran goes on. A pc that cannot run is not taken for it. */
static void divorce_and_store(struct vm *vm, oop ctx, uint64_t i, oop value)
{
    oop top = frame_divorce(vm, context_frame(ctx)), old;

    if (!top)
        plat_panic("no memory to divorce a context");
    ctx = followed(ctx); /* it may have grown */
    old = slot(ctx, i);
    store(vm, ctx, i, value);
    if (!vm->page && !vm_resume(vm, top)) {
        heap_store(&vm->heap, ctx, i, old);
        vm_resume(vm, top);
    }
}

void vm_set_slot(struct vm *vm, oop o, uint64_t i, oop value)
{
    /* an integer would pass for a frame's address: nobody is the sender */
    if (i == CTX_SENDER && is_context(o) && !is_pointer(value))
        value = vm->heap.nil;
    if (!is_context(o) || !context_is_married(o))
        store(vm, o, i, value);
    else if (i >= CTX_TEMPS && vm_context_has(vm, o, i - CTX_TEMPS + 1))
        *frame_value(context_frame(o), i - CTX_TEMPS) = value;
    else
        divorce_and_store(vm, o, i, value);
}
