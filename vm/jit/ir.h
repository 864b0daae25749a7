/*
 * ir.h - a method as the second tier sees it: a control flow graph in SSA
 * form, with the methods and blocks that it inlines.
 *
 *   ir_ops.def  what the nodes do
 *   ir.c        nodes, blocks, states
 *   ir_order.c  the order of blocks, dominators, loops
 *   ir_check.c  printing and verifying a graph
 *   ir_build.c  bytecodes to graph, by abstract interpretation (builder.h)
 *   ir_flow.c   ... where ways meet
 *   ir_objects.c ... objects that need not be made
 *   ir_inline.c what a send or value call becomes; feedback of tier 1
 *   ir_prims.c  primitives as nodes
 *   ir_types.c  what values are known to be; guards not needed
 *   ir_jumps.c  ways that meet only to part again
 *   ir_opt.c    common subexpressions, loop invariants, dead nodes
 *   ir_floats.c floats that need no object
 *   emitter.h   from here on: ir_alloc.c (living values, slots), ir_regs.c
 *               (registers), ir_emit*.c (machine code), ir_exits.c (exits,
 *               deoptimisation tables)
 *   deopt.[ch]  from optimised frames back to contexts
 *   tier2.c     when it is done; what it depends on; forgetting it
 *
 * An optimised frame stands for one or more activations: its own method's and
 * those inlined at the place where it is. It never has a Context. Whoever
 * needs one of its activations as a Context (a debugger, an exception, a
 * failed guard, a full stack) first turns the frame's page into contexts
 * (deopt.h); they go on in the interpreter. So there is one way back, and it
 * needs values in the frame's memory only.
 *
 * A node that can fail, call or be interrupted has a state: which
 * activations there are and what their temps and operands hold. Of a node
 * that deoptimises (a guard, an overflow) it is the state before the
 * bytecode, which is then executed again: no node between that state and
 * the guard may have an effect. Of a send and a safepoint it is the state
 * after: operands popped, the answer not yet pushed.
 *
 * Nodes, blocks and states live in the graph's arena and go with it. Oops in
 * a graph are literals of methods or constants: no collection happens while
 * there is a graph.
 */
#pragma once

#include "vm/jit/deopt.h"
#include "vm/jit/jit_private.h"

/* What a value is in machine terms. A REP_OOP may be in any slot that the
 * collector looks at; a REP_WORD or REP_DOUBLE must not. */
enum ir_rep { REP_NONE, REP_OOP, REP_WORD, REP_DOUBLE };

/* What is known about an oop. TYPE_CLASS: `class_index` tells the class,
 * and it is no forwarder. TYPE_FLOAT: a SmallFloat64 or a BoxedFloat64. */
enum ir_type { TYPE_ANY, TYPE_INT, TYPE_FLOAT, TYPE_CHARACTER, TYPE_BOOLEAN,
               TYPE_CLASS };

enum ir_op {
#define IR_OP(op, rep, type, flags) IR_##op,
#include "vm/jit/ir_ops.def"
#undef IR_OP
    NUM_IR_OPS
};

/* An object that deoptimising makes, and its fields as a state has them. */
struct ir_object {
    struct ir_node *id;     /* the IR_OBJECT */
    struct ir_node **fields;
    unsigned num_fields;
};

/* Where execution is and what it holds, one activation a link. Nodes share
 * states: a pass that changes what a node's state holds changes theirs. */
struct ir_state {
    struct ir_state *caller;  /* NULL: the frame's own activation */
    oop method;               /* method or full block */
    uint32_t bytecode;        /* offset of what is executed next */
    uint16_t num_temps;       /* first in `values`, then num_values operands */
    uint16_t num_values, num_objects;
    uint32_t mark;            /* visit_uses */
    struct ir_node *receiver;
    struct ir_node *closure;  /* NULL in a method */
    struct ir_node **values;  /* temps, then operands from the lowest */
    struct ir_object *objects; /* of the innermost state: those of all */
    /* ir_alloc.c: values that are computed, each once: those of this link,
     * then those that are in objects only. */
    struct ir_node **kept;
    uint16_t num_kept, num_in_objects;
};

struct ir_node {
    uint16_t id;              /* index in graph->nodes */
    uint8_t op, rep, type;
    uint8_t cond, format;
    uint8_t num_inputs, room;
    uint32_t class_index;     /* of TYPE_CLASS */
    int32_t index;
    uint64_t value;           /* oop, word, bits of a double */
    oop method_class;
    struct ir_node **inputs;
    struct ir_state *state;
    struct ir_block *block;
    struct ir_node *next, *previous; /* in the block, phis first */
    uint32_t uses;            /* by inputs and states: ir_count_uses */
    /* ir_alloc.c: where the value is. */
    int8_t reg;               /* reg or xmm number, -1: none */
    int16_t slot;             /* home in the frame, -1: none */
    uint32_t number;          /* in sets of what lives between blocks, from 1;
                                 0: lives in its block only */
    struct ir_node *same_as;  /* a guard's value lives where its input does */
};

/* The successors of a block that has two have no other predecessor, so moves
 * for phis can stand at the end of a block. A loop has one predecessor that
 * is no back edge, and it comes first. */
struct ir_block {
    uint16_t id;              /* in reverse post-order once sorted */
    uint8_t num_successors;
    bool is_loop;             /* a back edge comes here */
    bool is_cold;             /* thought to be rare: emitted last */
    uint16_t loop_depth;
    uint16_t num_predecessors, room;
    struct ir_block *successors[2];
    struct ir_block **predecessors;
    struct ir_block *dominator;
    struct ir_node *first, *last;
};

struct ir_graph {
    struct vm *vm;
    oop method;
    uint32_t entered_at;      /* bytecode of the loop it is entered in; 0:
                                 called */
    uint32_t start;           /* of an embedded block's body; else 0 */
    unsigned num_temps, num_args;
    int copied;               /* of a block; -1 */
    struct ir_node **nodes;
    unsigned num_nodes, nodes_room;
    struct ir_block **blocks;
    unsigned num_blocks, blocks_room;
    struct ir_block *entry;
    struct dependency *dependencies;
    unsigned num_dependencies, dependencies_room;
    struct ir_chunk *chunks;  /* the arena */
    bool failed;              /* no memory, or too large: give up */
    uint32_t mark;            /* of the last visit_uses */
    struct ir_node *spare;    /* what is answered when there is no other */
    struct ir_block *spare_block;
};

/* The slot of the first copied value in a closure. */
static inline unsigned ir_first_copied(const struct ir_graph *g)
{
    return g->start ? CLOSURE_COPIED : FULL_CLOSURE_COPIED;
}

enum { IR_MAX_NODES = 6000, IR_MAX_INPUTS = 20, IR_MAX_DEPTH = 8 };

/* --- ir.c --- */

struct ir_graph *ir_new_graph(struct vm *vm, oop method);
void ir_free_graph(struct ir_graph *g);
/* Memory that is kept for the next graph: some to begin with, and all of it
 * goes. */
void ir_make_spare(struct jit *j);
void ir_free_spare(struct jit *j);
/* Zeroed, freed with the graph; NULL and g->failed: no memory. */
void *ir_take(struct ir_graph *g, size_t bytes);
struct ir_block *ir_new_block(struct ir_graph *g); /* never NULL */
void ir_add_edge(struct ir_graph *g, struct ir_block *from,
                 struct ir_block *to);
/* A node at the end of `b` (NULL: in no block yet), its rep and type those
 * of the operation. Never NULL: when it fails, a spare one. */
struct ir_node *ir_add(struct ir_graph *g, struct ir_block *b, enum ir_op op,
                       unsigned num_inputs, struct ir_node *const *inputs);
void ir_add_input(struct ir_graph *g, struct ir_node *n, struct ir_node *in);
void ir_insert_before(struct ir_node *place, struct ir_node *n);
/* Takes it out of its block. */
void ir_remove(struct ir_node *n);
/* Every node whose same_as is set goes, and that stands for it, in states
 * too. */
void ir_replace_marked(struct ir_graph *g);
/* The constant's only node, in the entry block. */
struct ir_node *ir_constant(struct ir_graph *g, oop o);
void ir_count_uses(struct ir_graph *g);
/* Reverse post-order, in which a loop's blocks follow each other, dominators
 * and loop depths, made anew; unreachable blocks go, with their edges and the
 * phis' inputs. A loop with two entries makes the graph fail. */
void ir_sort_blocks(struct ir_graph *g);
/* Its ith predecessor goes elsewhere: the phis lose that input. */
void ir_drop_predecessor(struct ir_block *b, unsigned i);
bool ir_dominates(const struct ir_block *a, const struct ir_block *b);
bool ir_has_effect(const struct ir_node *n); /* must stay though unused */
bool ir_fails(const struct ir_node *n);      /* may deoptimise */
const char *ir_name(enum ir_op op);
void ir_print(const struct ir_graph *g);     /* on the console */
/* NULL, or what is wrong with it: definitions dominate uses, phis fit
 * predecessors, blocks end in one end, states are there, reps fit. */
const char *ir_verify(const struct ir_graph *g);

/* --- the passes, in their order --- */

/* NULL: refused. `closure` is an example of a block's closure, or 0. */
struct ir_graph *ir_build(struct vm *vm, oop method, oop closure,
                          uint32_t entered_at);
void ir_infer_types(struct ir_graph *g);
void ir_thread_jumps(struct ir_graph *g);
void ir_optimise(struct ir_graph *g);
void ir_unbox_floats(struct ir_graph *g);
/* Machine code in the zone, with its points and deoptimisation tables; NULL:
 * no room, or too much lives at once. The zone does not own it yet. Blocks
 * are sorted; guards get same_as, so this comes last. */
struct jit_code *ir_emit(struct vm *vm, struct ir_graph *g);
