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

/* What a guard on `value` gives back: the method's start, one temp. */
static inline struct ir_state *state_of(struct ir_node *value)
{
    struct ir_state *s = ir_take(g, sizeof *s);

    s->method = g->method;
    s->bytecode = code_first_pc(g->method);
    s->receiver = integer(0);
    s->values = ir_take(g, sizeof *s->values);
    s->values[0] = value;
    s->num_temps = 1;
    return s;
}

/* Its blocks are in order and all is right, or it is printed. */
static inline void assert_sound(void)
{
    const char *why;

    ir_sort_blocks(g);
    why = ir_verify(g);
    if (why)
        ir_print(g);
    assert_string_equal(why ? why : "sound", "sound");
}

static inline void branch(struct ir_block *from, struct ir_node *n,
                          struct ir_block *yes, struct ir_block *no)
{
    add(from, IR_BRANCH, n, NULL);
    ir_add_edge(g, from, yes);
    ir_add_edge(g, from, no);
}
