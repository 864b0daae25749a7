/*
 * ir_private.h - what an operation is, for those who make graphs.
 */
#pragma once

#include "vm/jit/ir.h"

enum ir_flag {
    OP_EFFECT = 1,    /* stays though nobody uses it */
    OP_FAILS = 2,     /* deoptimises in its state */
    OP_MAY_FAIL = 4,  /* ... when `index` is not 0 */
    OP_STATE = 8,     /* has a state after it */
    OP_END = 16,      /* ends a block */
};

struct ir_info {
    const char *name;
    uint8_t rep, type, flags;
};

extern const struct ir_info ir_infos[NUM_IR_OPS];
