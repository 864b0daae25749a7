/*
 * frame.h - activations on stack pages.
 *
 * The stack is cut into pages; each page holds a run of frames, the caller of
 * a page's first frame being a Context. Stacks grow down. A frame:
 *
 *   higher addresses
 *     ...                      operands of the caller
 *     receiver or closure      <- result slot: the answer replaces it
 *     argument 1               <- temps: temp i is temps[-i]
 *     ...
 *     last temp
 *     caller's pc              fp[FRAME_PC]; base frame: sender Context or nil
 *     caller's fp              fp[FRAME_CALLER]; base frame: 0
 *     temps                    fp[FRAME_TEMPS]
 *     method                   fp[FRAME_METHOD]
 *     closure, 0 in a method   fp[FRAME_CLOSURE]
 *     context, 0 if none yet   fp[FRAME_CONTEXT]; a base frame has one
 *     receiver                 fp[FRAME_RECEIVER]
 *     operand 0                fp[FRAME_OPERANDS]
 *     ...                      <- sp
 *   lower addresses
 *
 * An embedded BlockClosure's temps have no number known beforehand (they are
 * pushed as operands), so its frame has the linkage right below the result
 * slot and all its values in one run below: temps == fp + FRAME_OPERANDS.
 *
 * A Context is married to a frame when its sender slot holds the frame's
 * address tagged as a SmallInteger; the frame then has it in FRAME_CONTEXT.
 * Returning from a frame widows its context at once (sender and pc nil).
 */
#pragma once

#include "vm/interp.h"

enum {
    PAGE_WORDS = 2048,
    PAGE_HEADROOM = 384, /* a frame's operands and one more frame, or what the
                            two topmost grow to, deoptimised */
    PAGES_DEFAULT = 64,
    PAGES_RESERVE = 4,   /* kept free at safepoints */
};

enum {
    FRAME_PC = 1, FRAME_CALLER = 0, FRAME_TEMPS = -1, FRAME_METHOD = -2,
    FRAME_CLOSURE = -3, FRAME_CONTEXT = -4, FRAME_RECEIVER = -5,
    FRAME_OPERANDS = -6,
    FRAME_WORDS = 7, /* linkage alone */
};

struct stack_page {
    oop *high;  /* first word past the page */
    oop *limit; /* sp below it: move on to another page */
    oop *fp;    /* registers of the top frame while the page rests; */
    oop *sp;    /* fp is NULL in a free page */
    uint8_t *pc;
    uint64_t used; /* page_clock of the last activation */
    struct stack_page *next_free;
};

static inline oop *frame_caller(const oop *fp)
{
    return (oop *)(uintptr_t)fp[FRAME_CALLER];
}
static inline oop *frame_temps(const oop *fp)
{
    return (oop *)(uintptr_t)fp[FRAME_TEMPS];
}
static inline bool frame_is_embedded(const oop *fp)
{
    return frame_temps(fp) < fp;
}
/* Where the answer goes; the caller's stack continues above it. */
static inline oop *frame_result(const oop *fp)
{
    return frame_is_embedded(fp) ? (oop *)fp + 2 : frame_temps(fp) + 1;
}
/* Values of temps that lie above the linkage. */
static inline uint64_t frame_num_temps(const oop *fp)
{
    return frame_is_embedded(fp) ? 0 : (uint64_t)(frame_temps(fp) - fp - 1);
}
/* Address of value i of a context's variable part. */
static inline oop *frame_value(const oop *fp, uint64_t i)
{
    uint64_t n = frame_num_temps(fp);

    return i < n ? frame_temps(fp) - i
                 : (oop *)fp + FRAME_OPERANDS - (int64_t)(i - n);
}
/* Values in use, given the lowest one's address. */
static inline uint64_t frame_num_values(const oop *fp, const oop *end)
{
    return frame_num_temps(fp) + (uint64_t)(fp + FRAME_RECEIVER - end);
}
static inline bool context_is_married(oop ctx)
{
    return is_int(slot(ctx, CTX_SENDER));
}
static inline oop *context_frame(oop ctx)
{
    return (oop *)(uintptr_t)(slot(ctx, CTX_SENDER) - TAG_INTEGER);
}
/* Where a method starts, behind the call of its primitive. */
static inline uint8_t *frame_first_bytecode(oop method)
{
    return bytes(method) + code_first_pc(method) +
           (code_has_primitive(method) ? 3 : 0);
}
static inline struct stack_page *page_of(const struct vm *vm, const oop *fp)
{
    return &vm->pages[(fp - vm->stack) / PAGE_WORDS];
}
static inline bool is_context(oop o)
{
    return is_pointer(o) && class_index_of(o) == CLS_CONTEXT;
}

/* --- frame.c --- */

int frame_init(struct vm *vm, unsigned num_pages);
void frame_destroy(struct vm *vm);
/* Puts the registers away in their page, before another page runs. */
void frame_rest(struct vm *vm);
/* Loads the registers from a resting page. */
void frame_run(struct vm *vm, struct stack_page *page);
/* A free page becomes the running one; the caller builds a frame there. */
struct stack_page *page_take(struct vm *vm);
/* The page becomes free; its frames are forgotten. */
void page_free(struct vm *vm, struct stack_page *page);
/* Activations of what lies on the stack; no safepoint. */
void frame_push_method(struct vm *vm, oop method, int argc);
void frame_push_block(struct vm *vm, oop closure, int argc);
void frame_push_full_block(struct vm *vm, oop closure, int argc);
/* Moves the top frame to a page of its own. May collect. */
void frame_move_to_new_page(struct vm *vm);
/* The top frame becomes the callee of `to`, a caller of its on the same page;
 * what is in between is left. False: it cannot be, nothing changed. */
bool frame_cut(struct vm *vm, oop *to);
/* Frees pages until PAGES_RESERVE are. False: no memory for contexts. */
bool frame_reserve_pages(struct vm *vm);
/* Context of a frame that is not optimised, married if need be; 0: no
 * memory. */
oop frame_context(struct vm *vm, oop *fp);
/* Turns a page's frames into contexts and frees it; answers the top one, or
 * 0 for lack of memory, nothing changed. The running page too: the caller
 * then has to resume something. */
oop page_divorce(struct vm *vm, struct stack_page *page);
/* Turns a frame that has a context into one, and as few others of its page as
 * can be; answers as page_divorce does. If nothing runs then (vm->page), the
 * caller has to resume something. */
oop frame_divorce(struct vm *vm, oop *fp);
bool frame_divorce_others(struct vm *vm); /* all pages but the running one */
void frame_visit_roots(struct vm *vm, heap_visitor visit);
/* Shows a function every pc that is kept, native ones too. */
void frame_visit_pcs(struct vm *vm,
                     void (*visit)(struct vm *vm, oop *fp, uint8_t **pc));
/* Leaves the top frame, not a page's first; sp is then above its result. */
void frame_leave(struct vm *vm);
/* The bytecode where frame fp goes on, and its lowest value. */
uint8_t *frame_pc_of(const struct vm *vm, const oop *fp, oop **end);
/* Verifies every frame's invariants. */
bool frame_check(const struct vm *vm);
/* The frame is being left: its context dies. */
void frame_widow(struct vm *vm, oop *fp);

/* Is `fp` the top frame of the running page, or one of its callers there? */
static inline bool frame_runs(const struct vm *vm, const oop *fp)
{
    const oop *w = vm->fp;

    while (w && w != fp)
        w = frame_caller(w);
    return w != NULL;
}

/* --- context.c --- */

/* Makes a live context the running one; registers in use were put away.
 * False: it has no pc. */
bool vm_resume(struct vm *vm, oop ctx);
/* "^ v" from the running frame, block or base or with a context. */
void vm_return(struct vm *vm, oop v);
/* Return of v to the running frame's caller. */
void vm_local_return(struct vm *vm, oop v);

/* An activation, frame or context, on a sender chain. */
struct walk {
    oop *fp; /* NULL: context, or the end if that is nil */
    oop context;
};
struct walk walk_from(struct vm *vm, oop ctx);
struct walk walk_sender(struct vm *vm, struct walk w);
static inline bool walk_at_end(const struct vm *vm, struct walk w)
{
    return !w.fp && w.context == vm->heap.nil;
}
bool walk_is(struct walk w, oop ctx); /* is it that context's activation? */
bool walk_is_marked(struct vm *vm, struct walk w, unsigned primitive);
oop walk_context(struct vm *vm, struct walk w); /* 0: no memory */
