/*
 * deopt.h - optimised frames, and the way back from them.
 *
 * An optimised frame (jit code with `optimised` set):
 *
 *     as frame.h has it, with the arguments as its only temps; but
 *     fp[FRAME_CONTEXT]    OPTIMISED_MARK(raw slots): a SmallInteger
 *     fp[FRAME_OPERANDS]   raw slots: words and doubles, then
 *     ...                  oop slots, always filled with valid oops
 *     ...                  arguments being pushed for a call
 *
 * Slot s of a node is the word fp[FRAME_OPERANDS - s]; raw ones come first.
 * Entered in a loop, a frame keeps the temps that it had.
 *
 * At every point of the code (a call's return address, also that of a guard's
 * exit) everything its state needs is in these slots or constant, and a
 * deopt_place tells where.
 */
#pragma once

#include "vm/frame.h"

#define OPTIMISED_MARK(raw_slots) int_oop((int64_t)(raw_slots))

static inline bool frame_is_optimised(const oop *fp)
{
#ifdef NO_JIT
    return false;
#else
    return (fp[FRAME_CONTEXT] & TAG_MASK) == TAG_INTEGER;
#endif
}
static inline uint64_t frame_raw_slots(const oop *fp)
{
    return (uint64_t)int_value(fp[FRAME_CONTEXT]);
}

enum where_kind {
    WHERE_SLOT,      /* the oop in slot `at` */
    WHERE_DOUBLE,    /* the double in slot `at`, to be boxed */
    WHERE_WORD,      /* the word in slot `at`, a SmallInteger untagged */
    WHERE_POOL,      /* pool[at] of the code */
    WHERE_HEAP,      /* nil, true or false: `at` is its offset in the heap */
    WHERE_OBJECT,    /* object `at` of the place, made when first met */
    WHERE_FRAME_CONTEXT, /* the context of activation `at`, 0 outermost */
    WHERE_RECEIVER,  /* fp[FRAME_RECEIVER] */
    WHERE_CLOSURE,   /* fp[FRAME_CLOSURE] */
    WHERE_TEMP,      /* temp `at` of the frame */
    WHERE_NOTHING,   /* no closure */
};

struct where {
    uint32_t kind : 8;
    int32_t at : 24;
};

struct deopt_frame {        /* an activation */
    uint32_t method;        /* its place in the pool */
    uint32_t bytecode;      /* offset of what is executed next */
    struct where receiver, closure;
    uint32_t num_values;    /* temps and operands */
    uint32_t values;        /* index of the first in `wheres` */
};

struct deopt_object {
    uint32_t class_index;
    uint16_t format;
    uint16_t num_fields;
    uint32_t fields;        /* index of the first in `wheres` */
};

struct deopt_place {        /* one for each point, in the same order */
    uint32_t frames;        /* index of the outermost */
    uint32_t objects;
    uint16_t num_frames, num_objects;
};

/* A lookup whose answer was taken for granted: where it begins. */
struct dependency {
    oop selector, class, method;
};

/* What a piece of optimised code has beside its points; its own memory. */
struct optimised {
    struct deopt_place *places;
    struct deopt_frame *frames;
    struct deopt_object *objects;
    struct where *wheres;
    struct dependency *dependencies;
    unsigned num_dependencies;
    uint32_t entered_at;    /* bytecode of the loop it is entered in; 0 */
    uint8_t *loop_entry;    /* where a plain frame is taken over */
    unsigned raw_slots, oop_slots;
    uint64_t usecs;         /* that it took to make */
    unsigned failures;      /* of guards, so far */
    unsigned left;          /* frames made plain in the tenth of a second */
    uint64_t tenth;         /* that has this number */
};

enum { DEOPT_MAX_FRAMES = 32, DEOPT_MAX_OBJECTS = 64 }; /* of a place */

void optimised_free(struct optimised *o); /* may be NULL */

/* --- frame.c --- */

/* Room for a context; what is above its fixed slots is not filled. */
oop frame_new_context(struct vm *vm, bool large);
/* A new context becomes the frame's. */
void frame_marry(struct vm *vm, oop *fp, oop ctx);

/* --- deopt.c --- */

#ifdef NO_JIT

static inline oop deopt_contexts(struct vm *vm, oop *fp, const uint8_t *pc,
                                 const oop *end, oop *innermost)
{
    return 0;
}
static inline bool deopt_for_switch(struct vm *vm) { return false; }
static inline bool deopt_for_move(struct vm *vm) { return true; }
static inline bool deopt_all(struct vm *vm) { return true; }
static inline bool deopt_is_sound(const struct vm *vm, const oop *fp,
                                  const uint8_t *pc)
{
    return false;
}

#else

/* Contexts of the activations that an optimised frame stands for. `end` is
 * the lowest word of the frame; behind the call of a send, those below the
 * frame's slots are operands of the innermost activation: the arguments of a
 * primitive that runs, or its answer. Answers the context of the outermost,
 * whose sender is not set; 0: no memory, nothing changed. */
oop deopt_contexts(struct vm *vm, oop *fp, const uint8_t *pc,
                   const oop *end, oop *innermost);
/* A process switch leaves the top frame, which is optimised: it becomes
 * interpreted ones in its place. False: no memory, or no room on the page;
 * nothing changed. */
bool deopt_for_switch(struct vm *vm);
/* The same of the top frame and its caller, if they are optimised: the top
 * one leaves the page. */
bool deopt_for_move(struct vm *vm);
/* No frame of any page is optimised afterwards. The running activation goes
 * on with its operands, where vm->sp then points. False: no memory. */
bool deopt_all(struct vm *vm);
/* Are the frame's mark and the tables of its place as they should be? */
bool deopt_is_sound(const struct vm *vm, const oop *fp, const uint8_t *pc);
/* Called by the code of a guard that fails. */
void runtime_deopt(struct vm *vm);

#endif

/* The page of fp, which is the running one's or not, loses its optimised
 * frames if it has any; the running activation goes on. False: no memory. */
bool page_deoptimise(struct vm *vm, struct stack_page *page);
