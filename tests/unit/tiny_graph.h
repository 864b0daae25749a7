/*
 * tiny_graph.h - graphs of the second tier made by hand, for tests. `g` is
 * the one being made; the test's set_up makes it.
 */
#pragma once

#include "vm/jit/ir.h"

static struct ir_graph *g;

/* A node of none, one or two inputs. */
static inline struct ir_node *add(struct ir_block *b, enum ir_op op,
                                  struct ir_node *x, struct ir_node *y)
{
    struct ir_node *inputs[2] = { x, y };

    return ir_add(g, b, op, x ? y ? 2 : 1 : 0, inputs);
}

static inline struct ir_node *integer(int64_t i)
{
    return ir_constant(g, int_oop(i));
}

static inline void go(struct ir_block *from, struct ir_block *to)
{
    add(from, IR_GOTO, NULL, NULL);
    ir_add_edge(g, from, to);
}

static inline void branch(struct ir_block *from, struct ir_node *n,
                          struct ir_block *yes, struct ir_block *no)
{
    add(from, IR_BRANCH, n, NULL);
    ir_add_edge(g, from, yes);
    ir_add_edge(g, from, no);
}
