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
    return (fp[FRAME_CONTEXT] & TAG_MASK) == TAG_INTEGER;
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

/* What a piece of optimised code has beside its points; its own memory. */
struct optimised {
    struct deopt_place *places;
    struct deopt_frame *frames;
    struct deopt_object *objects;
    struct where *wheres;
    oop *dependencies;      /* selectors */
    unsigned num_dependencies;
    uint32_t entered_at;    /* bytecode of the loop it is entered in; 0 */
    uint8_t *loop_entry;    /* where a plain frame is taken over */
    unsigned raw_slots, oop_slots;
    unsigned failures;      /* deoptimisations so far */
};

/* --- deopt.c --- */

/* How many activations an optimised frame stands for, and the context of
 * each, the innermost first; fp's page is about to go. Answers the context of
 * the outermost whose sender is not yet set; 0: no memory, nothing made. */
oop deopt_contexts(struct vm *vm, oop *fp, const uint8_t *pc,
                   const oop *end, oop *innermost);
/* No frame of any page is optimised afterwards. The running activation goes
 * on with its operands, arguments of a running primitive too, where vm->sp
 * then points. False: no memory. */
bool deopt_all(struct vm *vm);
/* Called by the code of a guard that fails. */
void runtime_deopt(struct vm *vm);
