/*
 * frame.c - stack pages and the frames on them (layout: frame.h).
 *
 * Owns the pages, building frames, marrying them to Contexts, turning whole
 * pages into heap contexts, and showing frames to the collector. Knows
 * nothing of bytecodes or of returning.
 */
#include "vm/frame.h"
#include "vm/jit/deopt.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"

#include <stdlib.h>

int frame_init(struct vm *vm, unsigned num_pages)
{
    unsigned i;

    vm->num_pages = num_pages;
    vm->stack = malloc((size_t)num_pages * PAGE_WORDS * sizeof *vm->stack);
    vm->pages = calloc(num_pages, sizeof *vm->pages);
    if (!vm->stack || !vm->pages)
        return -1;
    for (i = num_pages; i-- > 0;) {
        struct stack_page *p = &vm->pages[i];

        p->high = vm->stack + (size_t)(i + 1) * PAGE_WORDS;
        p->limit = p->high - PAGE_WORDS + PAGE_HEADROOM;
        page_free(vm, p);
    }
    return 0;
}

void frame_destroy(struct vm *vm)
{
    free(vm->stack);
    free(vm->pages);
}

/* --- pages --- */

void page_free(struct vm *vm, struct stack_page *page)
{
    page->fp = NULL;
    page->next_free = vm->free_page;
    vm->free_page = page;
    vm->num_free_pages++;
    if (page == vm->page)
        vm->page = NULL;
}

static struct stack_page *least_recent_page(struct vm *vm)
{
    struct stack_page *best = NULL;
    unsigned i;

    for (i = 0; i < vm->num_pages; i++) {
        struct stack_page *p = &vm->pages[i];

        if (p->fp && p != vm->page && (!best || p->used < best->used))
            best = p;
    }
    return best;
}

static bool evict_one(struct vm *vm)
{
    struct stack_page *p = least_recent_page(vm);

    if (!p || !page_divorce(vm, p))
        return false;
    vm->stats.pages_evicted++;
    return true;
}

bool frame_reserve_pages(struct vm *vm)
{
    while (vm->num_free_pages < PAGES_RESERVE)
        if (!evict_one(vm))
            return false;
    return true;
}

struct stack_page *page_take(struct vm *vm)
{
    struct stack_page *p;

    if (!vm->free_page && !evict_one(vm))
        plat_panic("no memory for the contexts of a full stack");
    p = vm->free_page;
    vm->free_page = p->next_free;
    vm->num_free_pages--;
    if (vm->num_free_pages < PAGES_RESERVE)
        vm->check_wanted = 1; /* the safepoint makes room, with collection */
    p->used = ++vm->page_clock;
    vm->page = p;
    vm_set_limit(vm);
    return p;
}

void frame_rest(struct vm *vm)
{
    if (!vm->page)
        return;
    vm->page->fp = vm->fp;
    vm->page->sp = vm->sp;
    vm->page->pc = vm->pc;
}

void frame_run(struct vm *vm, struct stack_page *page)
{
    page->used = ++vm->page_clock;
    vm->page = page;
    vm->fp = page->fp;
    vm->sp = page->sp;
    vm->pc = page->pc;
    vm->reload = true;
    vm_set_limit(vm);
}

void vm_set_limit(struct vm *vm)
{
    vm->stack_limit = vm->page->limit;
    if (vm->check_wanted || vm->options.stress_gc || vm->options.stress_deopt)
        vm->stack_limit = (oop *)UINTPTR_MAX; /* after: signals may race */
}

/* --- building frames --- */

/* Pushes the linkage below sp; `result` is where the answer will go. */
static void push_linkage(struct vm *vm, oop *temps, oop method, oop closure,
                         oop receiver)
{
    oop *fp = vm->sp - 2;

    fp[FRAME_PC] = (oop)(uintptr_t)vm->pc;
    fp[FRAME_CALLER] = (oop)(uintptr_t)vm->fp;
    fp[FRAME_TEMPS] = (oop)(uintptr_t)temps;
    fp[FRAME_METHOD] = method;
    fp[FRAME_CLOSURE] = closure;
    fp[FRAME_CONTEXT] = 0;
    fp[FRAME_RECEIVER] = receiver;
    vm->fp = fp;
    vm->sp = fp + FRAME_RECEIVER;
    vm->page->fp = fp; /* marks the page as used */
}

void frame_push_method(struct vm *vm, oop method, int argc)
{
    oop *result = vm->sp + argc;
    int n;

    for (n = (int)code_num_temps(method) - argc; n > 0; n--)
        *--vm->sp = vm->heap.nil;
    push_linkage(vm, result - 1, method, 0, *result);
    vm->pc = frame_first_bytecode(method);
}

void frame_push_full_block(struct vm *vm, oop closure, int argc)
{
    oop *result = vm->sp + argc;
    oop block = followed(slot(closure, CLOSURE_PC_OR_METHOD));
    uint64_t i, n = slot_count(closure);
    int nils;

    for (i = FULL_CLOSURE_COPIED; i < n; i++)
        *--vm->sp = slot(closure, i);
    nils = (int)code_num_temps(block) - argc - (int)(n - FULL_CLOSURE_COPIED);
    for (; nils > 0; nils--)
        *--vm->sp = vm->heap.nil;
    push_linkage(vm, result - 1, block, closure,
                 followed(slot(closure, FULL_CLOSURE_RECEIVER)));
    vm->pc = frame_first_bytecode(block);
}

/* The arguments move below the linkage, so that pushed temps follow them. */
void frame_push_block(struct vm *vm, oop closure, int argc)
{
    oop outer = followed(slot(closure, CLOSURE_OUTER));
    oop method = followed(slot(outer, CTX_METHOD));
    oop receiver = followed(slot(outer, CTX_RECEIVER));
    oop args[16];
    uint64_t i, n = slot_count(closure);

    memcpy(args, vm->sp, (size_t)argc * sizeof *args);
    vm->sp += argc;
    push_linkage(vm, vm->sp - 2 + FRAME_OPERANDS, method, closure, receiver);
    vm->sp -= argc;
    memcpy(vm->sp, args, (size_t)argc * sizeof *args);
    for (i = CLOSURE_COPIED; i < n; i++)
        *--vm->sp = slot(closure, i);
    vm->pc = bytes(method) + int_value(slot(closure, CLOSURE_PC_OR_METHOD)) - 1;
}

/* The pc at which a frame's caller goes on; *end, its lowest value, is moved
 * past the pc if that lies on the stack (vm/jit/jit.h). */
static uint8_t *caller_pc(const struct vm *vm, const oop *fp, oop **end)
{
    uint8_t *pc = (uint8_t *)(uintptr_t)fp[FRAME_PC];

    if (frame_caller(fp) && pc == vm->return_to_interpreter)
        pc = bytes(frame_caller(fp)[FRAME_METHOD]) + int_value(*(*end)++);
    return pc;
}

void frame_leave(struct vm *vm)
{
    oop *fp = vm->fp;

    vm->sp = frame_result(fp) + 1;
    vm->pc = caller_pc(vm, fp, &vm->sp);
    vm->fp = frame_caller(fp);
}

/* What was at fp is so many words further up now. */
static void frame_moved(oop *fp, int64_t by)
{
    fp += by;
    fp[FRAME_TEMPS] = (oop)(uintptr_t)(frame_temps(fp) + by);
    if (fp[FRAME_CONTEXT])
        slots(fp[FRAME_CONTEXT])[CTX_SENDER] =
            (oop)(uintptr_t)fp | TAG_INTEGER;
}

/* The running page's lowest words, up to `end`, move by so many. */
static void move_words(struct vm *vm, const oop *end, int64_t by)
{
    memmove(vm->sp + by, vm->sp, (size_t)((char *)end - (char *)vm->sp));
    vm->sp += by;
    vm->fp += by;
}

/* The top frame, up to `end` past its result slot, moves by so many words. */
static void move_top_frame(struct vm *vm, const oop *end, int64_t by)
{
    oop *fp = vm->fp;

    move_words(vm, end, by);
    frame_moved(fp, by);
}

bool frame_cut(struct vm *vm, oop *to)
{
    oop *fp = vm->fp, *last = fp, *w;

    while (frame_caller(last) != to)
        last = frame_caller(last);
    /* machine code returns to machine code only */
    if (jit_owns(vm, vm->pc) &&
        !jit_owns(vm, (void *)(uintptr_t)last[FRAME_PC]))
        return false;
    for (w = frame_caller(fp); w != to; w = frame_caller(w))
        frame_widow(vm, w);
    fp[FRAME_PC] = last[FRAME_PC];
    fp[FRAME_CALLER] = (oop)(uintptr_t)to;
    move_top_frame(vm, frame_result(fp) + 1,
                   frame_result(last) - frame_result(fp));
    vm->page->fp = vm->fp;
    vm->reload = true;
    return true;
}

void frame_move_to_new_page(struct vm *vm)
{
    oop *fp, *caller, *end;
    struct stack_page *old = vm->page, *page;
    oop context;

    if (!frame_caller(vm->fp))
        return;
    vm->stats.overflows++;
    if (!deopt_for_move(vm)) { /* no room: each has a page of its own then */
        while (!page_deoptimise(vm, vm->page))
            if (!vm_collect(vm))
                plat_panic("no memory for the contexts of a deep stack");
        return;
    }
    fp = vm->fp;
    caller = frame_caller(fp);
    while (!(context = frame_context(vm, caller)) || !frame_context(vm, fp))
        if (!vm_collect(vm))
            plat_panic("no memory for the context of a deep stack");
    end = frame_result(fp) + 1;
    old->fp = caller;
    old->sp = end;
    old->pc = caller_pc(vm, fp, &old->sp);
    vm->scratch[0] = context;
    page = page_take(vm); /* `old` was the running one: not evicted */
    move_top_frame(vm, end, page->high - end);
    fp = vm->fp;
    fp[FRAME_CALLER] = 0;
    fp[FRAME_PC] = vm->scratch[0];
    vm->scratch[0] = 0;
    page->fp = fp;
}

/* --- marriage --- */

oop frame_new_context(struct vm *vm, bool large)
{
    uint64_t i, n = large ? CTX_LARGE_SLOTS : CTX_SMALL_SLOTS;
    oop ctx = heap_new_young(&vm->heap, CLS_CONTEXT, FMT_FIXED_AND_INDEXED, n);
    oop nil = vm->heap.nil;

    if (!ctx)
        return heap_new(&vm->heap, CLS_CONTEXT, FMT_FIXED_AND_INDEXED, n);
    for (i = 0; i < CTX_TEMPS; i++) /* the rest is above stackp */
        slots(ctx)[i] = nil;
    return ctx;
}

oop frame_context(struct vm *vm, oop *fp)
{
    oop ctx = fp[FRAME_CONTEXT];

    assert(!frame_is_optimised(fp));
    if (ctx)
        return ctx;
    ctx = frame_new_context(vm, code_large_frame(fp[FRAME_METHOD]));
    if (ctx)
        frame_marry(vm, fp, ctx);
    return ctx;
}

void frame_marry(struct vm *vm, oop *fp, oop ctx)
{
    struct heap *h = &vm->heap;
    oop *s = slots(ctx);
    int i;

    vm->stats.frames_married++;
    s[CTX_SENDER] = (oop)(uintptr_t)fp | TAG_INTEGER;
    s[CTX_STACKP] = int_oop(0);
    s[CTX_METHOD] = fp[FRAME_METHOD];
    s[CTX_CLOSURE] = fp[FRAME_CLOSURE] ? fp[FRAME_CLOSURE] : h->nil;
    s[CTX_RECEIVER] = fp[FRAME_RECEIVER];
    if (!heap_is_young(h, ctx))
        for (i = CTX_METHOD; i <= CTX_RECEIVER; i++)
            heap_store(h, ctx, (uint64_t)i, s[i]);
    fp[FRAME_CONTEXT] = ctx;
}

/* The collector leaves a married context's values alone, so what is there is
 * stale: the arguments are kept, to be read after the return. */
void frame_widow(struct vm *vm, oop *fp)
{
    oop ctx = fp[FRAME_CONTEXT];
    uint64_t i, n;

    if (!ctx || frame_is_optimised(fp))
        return;
    n = frame_is_embedded(fp) ? 0 : code_num_args(fp[FRAME_METHOD]);
    slots(ctx)[CTX_SENDER] = vm->heap.nil;
    slots(ctx)[CTX_PC] = vm->heap.nil;
    slots(ctx)[CTX_STACKP] = int_oop((int64_t)n);
    for (i = 0; i < n; i++)
        heap_store(&vm->heap, ctx, CTX_TEMPS + i, *frame_value(fp, i));
}

/* Frame by frame from the top of a page. */
struct frame_walk {
    oop *fp, *end; /* end: lowest value */
    uint8_t *pc;
};

static struct frame_walk page_top(const struct vm *vm,
                                  const struct stack_page *p)
{
    if (p == vm->page)
        return (struct frame_walk){ vm->fp, vm->sp, vm->pc };
    return (struct frame_walk){ p->fp, p->sp, p->pc };
}

static void frame_next(const struct vm *vm, struct frame_walk *w)
{
    w->end = frame_result(w->fp) + 1;
    w->pc = caller_pc(vm, w->fp, &w->end);
    w->fp = frame_caller(w->fp);
}

uint8_t *frame_pc_of(const struct vm *vm, const oop *fp, oop **end)
{
    struct frame_walk w = page_top(vm, page_of(vm, fp));

    while (w.fp != fp)
        frame_next(vm, &w);
    *end = w.end;
    return jit_bytecode_pc(vm, fp, w.pc);
}

/* Some compilers understate the depth a method needs: such a frame gets a
 * large context, the small one it may have forwards to it. */
static bool context_fits(struct vm *vm, const struct frame_walk *w)
{
    oop old = w->fp[FRAME_CONTEXT], ctx;
    uint64_t n = CTX_TEMPS + frame_num_values(w->fp, w->end);

    if (n <= slot_count(old))
        return true;
    if (n > CTX_LARGE_SLOTS)
        plat_panic("an activation is deeper than any context");
    w->fp[FRAME_CONTEXT] = 0;
    ctx = frame_new_context(vm, true);
    if (!ctx) {
        w->fp[FRAME_CONTEXT] = old;
        return false;
    }
    memcpy(slots(ctx), slots(old), 8 * slot_count(old));
    for (n = 0; n < slot_count(old); n++)
        heap_store(&vm->heap, ctx, n, slot(old, n));
    w->fp[FRAME_CONTEXT] = ctx;
    set_class_index(old, CLS_FORWARDER);
    set_format(old, FMT_FORWARDER);
    heap_store(&vm->heap, old, 0, ctx);
    vm->forwarders = vm->new_forwarders = true;
    return true;
}

/* All but the sender. */
static void write_context(struct vm *vm, const struct frame_walk *w)
{
    struct heap *h = &vm->heap;
    oop *fp = w->fp, ctx = fp[FRAME_CONTEXT];
    uint64_t i, n = frame_num_values(fp, w->end);

    slots(ctx)[CTX_PC] =
        int_oop(jit_bytecode_pc(vm, fp, w->pc) - bytes(fp[FRAME_METHOD]) + 1);
    slots(ctx)[CTX_STACKP] = int_oop((int64_t)n);
    heap_store(h, ctx, CTX_METHOD, fp[FRAME_METHOD]);
    heap_store(h, ctx, CTX_RECEIVER, fp[FRAME_RECEIVER]);
    for (i = 0; i < n; i++)
        heap_store(h, ctx, CTX_TEMPS + i, *frame_value(fp, i));
}

/* The contexts that a frame becomes: of an optimised one there may be more
 * than one, linked from the innermost to the outermost. */
struct divorced {
    oop innermost, outermost;
};

static bool contexts_of(struct vm *vm, const struct frame_walk *w,
                        struct divorced *d)
{
    if (frame_is_optimised(w->fp)) {
        d->outermost =
            deopt_contexts(vm, w->fp, w->pc, w->end, &d->innermost);
        return d->outermost != 0;
    }
    if (!frame_context(vm, w->fp) || !context_fits(vm, w))
        return false;
    d->innermost = d->outermost = w->fp[FRAME_CONTEXT];
    return true;
}

/* `w` is its top from now on; nothing runs then if the page did. */
static void page_leave_resting(struct vm *vm, struct stack_page *page,
                               const struct frame_walk *w)
{
    page->fp = w->fp;
    page->sp = w->end;
    page->pc = w->pc;
    if (page == vm->page)
        vm->page = NULL;
}

/* The page's frames from its top down to `last` become contexts. What calls
 * them stays, at rest, if there is anything. */
static oop divorce_down_to(struct vm *vm, struct stack_page *page, oop *last)
{
    struct divorced all[PAGE_WORDS / FRAME_WORDS + 1];
    oop *rest = frame_caller(last), sender = last[FRAME_PC];
    struct frame_walk w;
    unsigned n = 0, i = 0;

    if (rest && !(sender = frame_context(vm, rest)))
        return 0;
    for (w = page_top(vm, page); w.fp != rest; frame_next(vm, &w))
        if (!contexts_of(vm, &w, &all[n++]))
            return 0;
    for (w = page_top(vm, page); w.fp != rest; frame_next(vm, &w), i++) {
        if (!frame_is_optimised(w.fp))
            write_context(vm, &w);
        heap_store(&vm->heap, all[i].outermost, CTX_SENDER,
                   i + 1 < n ? all[i + 1].innermost : sender);
    }
    if (rest)
        page_leave_resting(vm, page, &w);
    else
        page_free(vm, page);
    return all[0].innermost;
}

oop page_divorce(struct vm *vm, struct stack_page *page)
{
    oop *last = page_top(vm, page).fp;

    while (frame_caller(last))
        last = frame_caller(last);
    return divorce_down_to(vm, page, last);
}

/* What the running page has above `fp` moves to a page of its own; fp, whose
 * frame has a context, is the top of the old one then. False: nothing is
 * above, or it cannot move. */
static bool move_callees(struct vm *vm, oop *fp)
{
    struct stack_page *old = vm->page;
    oop *w, *base = NULL, *end;
    int64_t by;

    for (w = vm->fp; w != fp; w = frame_caller(base = w))
        if (frame_is_optimised(w))
            return false;
    if (!base || !frame_context(vm, base))
        return false;
    end = frame_result(base) + 1;
    old->fp = fp;
    old->sp = end;
    old->pc = caller_pc(vm, base, &old->sp);
    by = page_take(vm)->high - end; /* `old` was the running one: it stays */
    w = vm->fp;
    move_words(vm, end, by);
    for (; w != base; w = frame_caller(w)) {
        w[by + FRAME_CALLER] = (oop)(uintptr_t)(frame_caller(w) + by);
        frame_moved(w, by);
    }
    frame_moved(base, by);
    base[by + FRAME_CALLER] = 0;
    base[by + FRAME_PC] = fp[FRAME_CONTEXT];
    vm->page->fp = vm->fp;
    vm->reload = true;
    return true;
}

oop frame_divorce(struct vm *vm, oop *fp)
{
    struct stack_page *page = page_of(vm, fp);
    oop *caller = frame_caller(fp);

    if (page == vm->page)
        move_callees(vm, fp);
    if (!caller || frame_is_optimised(caller))
        return page_divorce(vm, page);
    return divorce_down_to(vm, page, fp);
}

static bool has_optimised(const struct vm *vm, const struct stack_page *page)
{
    struct frame_walk w;

    for (w = page_top(vm, page); w.fp; w.fp = frame_caller(w.fp))
        if (frame_is_optimised(w.fp))
            return true;
    return false;
}

bool page_deoptimise(struct vm *vm, struct stack_page *page)
{
    bool running = page == vm->page;
    oop top;

    if (!has_optimised(vm, page))
        return true;
    top = page_divorce(vm, page);
    if (!top)
        return false;
    if (running)
        vm_resume(vm, top);
    return true;
}

bool frame_divorce_others(struct vm *vm)
{
    unsigned i;

    for (i = 0; i < vm->num_pages; i++)
        if (vm->pages[i].fp && &vm->pages[i] != vm->page &&
            !page_divorce(vm, &vm->pages[i]))
            return false;
    return true;
}

/* --- the collector's view --- */

static void visit_run(struct vm *vm, oop *from, oop *to, heap_visitor visit)
{
    for (; from <= to; from++)
        *from = visit(&vm->heap, *from);
}

/* `pc` is where the frame's pc is kept: it moves with the method. */
static void visit_frame(struct vm *vm, oop *fp, oop *end, uint8_t **pc,
                        heap_visitor visit)
{
    oop method = fp[FRAME_METHOD], *first = fp + FRAME_OPERANDS;

    if (frame_is_optimised(fp))
        first -= frame_raw_slots(fp);
    visit_run(vm, end, first, visit);
    fp[FRAME_RECEIVER] = visit(&vm->heap, fp[FRAME_RECEIVER]);
    visit_run(vm, fp + 2, frame_result(fp), visit);
    if (fp[FRAME_CONTEXT] && !frame_is_optimised(fp))
        fp[FRAME_CONTEXT] = visit(&vm->heap, fp[FRAME_CONTEXT]);
    if (fp[FRAME_CLOSURE])
        fp[FRAME_CLOSURE] = visit(&vm->heap, fp[FRAME_CLOSURE]);
    fp[FRAME_METHOD] = visit(&vm->heap, method);
    if (!jit_owns(vm, *pc))
        *pc += fp[FRAME_METHOD] - method;
}

static void visit_page(struct vm *vm, struct stack_page *p, heap_visitor visit)
{
    bool running = p == vm->page;
    uint8_t **pc = running ? &vm->pc : &p->pc;
    struct frame_walk w = page_top(vm, p);

    for (; w.fp; frame_next(vm, &w)) {
        visit_frame(vm, w.fp, w.end, pc, visit);
        if (!frame_caller(w.fp))
            w.fp[FRAME_PC] = visit(&vm->heap, w.fp[FRAME_PC]);
        pc = (uint8_t **)(void *)&w.fp[FRAME_PC];
    }
}

void frame_visit_roots(struct vm *vm, heap_visitor visit)
{
    unsigned i;

    for (i = 0; i < vm->num_pages; i++)
        if (vm->pages[i].fp)
            visit_page(vm, &vm->pages[i], visit);
}

static void visit_page_pcs(struct vm *vm, struct stack_page *p,
                           void (*visit)(struct vm *vm, oop *fp,
                                         uint8_t **pc))
{
    uint8_t **pc = p == vm->page ? &vm->pc : &p->pc;
    oop *fp = p == vm->page ? vm->fp : p->fp;

    for (; fp; fp = frame_caller(fp)) {
        visit(vm, fp, pc);
        pc = (uint8_t **)(void *)&fp[FRAME_PC];
    }
}

void frame_visit_pcs(struct vm *vm,
                     void (*visit)(struct vm *vm, oop *fp, uint8_t **pc))
{
    unsigned i;

    for (i = 0; i < vm->num_pages; i++)
        if (vm->pages[i].fp)
            visit_page_pcs(vm, &vm->pages[i], visit);
}

/* --- checking --- */

static bool frame_is_sound(const struct vm *vm, const struct frame_walk *w)
{
    oop method = w->fp[FRAME_METHOD], ctx = w->fp[FRAME_CONTEXT];
    const uint8_t *pc;

    if (frame_is_optimised(w->fp))
        return deopt_is_sound(vm, w->fp, w->pc);
    pc = jit_bytecode_pc(vm, w->fp, w->pc);
    if (!is_code(method) || pc < bytes(method) + code_first_pc(method) ||
        pc > bytes(method) + byte_count(method))
        return false;
    if (ctx && (!is_context(ctx) || !context_is_married(ctx) ||
                context_frame(ctx) != w->fp))
        return false;
    return ctx || frame_caller(w->fp);
}

bool frame_check(const struct vm *vm)
{
    unsigned i;
    struct frame_walk w;

    for (i = 0; i < vm->num_pages; i++) {
        if (!vm->pages[i].fp)
            continue;
        for (w = page_top(vm, &vm->pages[i]); w.fp;
             frame_next(vm, &w))
            if (!frame_is_sound(vm, &w))
                return false;
    }
    return true;
}
