/*
 * feedback.h - what running code has met, for whoever compiles it better.
 *
 * The first tier's inline caches tell of sends, and counters that it keeps of
 * special arithmetic; failures of the second tier's code are remembered here.
 * A place is a method (or full block) and the offset of a bytecode in it.
 */
#pragma once

#include "vm/jit/jit_private.h"

enum send_seen {
    SEEN_NOTHING, /* never linked: not run, or run by the interpreter only */
    SEEN_CASES,
    SEEN_MANY,    /* megamorphic, or not known */
};

struct send_feedback {
    enum send_seen seen;
    unsigned num_cases;
    struct send_case {
        uint32_t class_index; /* 0: of a super send */
        oop method;
    } cases[PIC_CASES];
};

/* What the send at `at` has met; also a special one that is a real send when
 * its operands are not as hoped. */
void feedback_of_send(struct vm *vm, oop method, uint32_t start, uint32_t at,
                      struct send_feedback *f);

enum arith_seen {
    ARITH_FLOATS = 1,    /* a float on one side or both */
    ARITH_LEFT_INT = 2,  /* ... and an integer on the left, */
    ARITH_RIGHT_INT = 4, /* the right */
    ARITH_SENT = 8,      /* something else, or an overflow */
};
/* What special arithmetic at `at` has met beside integers: bits. */
unsigned feedback_of_arithmetic(struct vm *vm, oop method, uint32_t start,
                                uint32_t at);

/* Has the first tier code for it? Without, nothing is known. */
bool feedback_exists(struct vm *vm, oop method, uint32_t start);

/* A hash of a place, by the method's address: what is kept by it is lost when
 * a young method moves. Not by its identity hash, which is the image's: two
 * runs that compile differently would save different images. */
static inline uint32_t code_place(oop method, uint32_t at)
{
    return (uint32_t)(method >> 3) * 31 + at;
}

/* Did optimised code have to be left there? */
bool feedback_failed(struct vm *vm, oop method, uint32_t at);
void feedback_fail(struct vm *vm, oop method, uint32_t at);

/* Where code at `base` counts what arithmetic at `at` meets. */
uint8_t *feedback_byte(struct jit *j, const uint8_t *base, uint32_t at);
