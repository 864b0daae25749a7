/*
 * ir_check.c - a graph for people to read, and the proof that it is sound.
 */
#include "vm/jit/ir_private.h"
#include "vm/platform.h"

#include <stdarg.h>
#include <stdio.h>

/* --- printing --- */

__attribute__((format(printf, 1, 2)))
static void out(const char *format, ...)
{
    char line[200];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n > 0)
        plat_write(2, line, (size_t)n < sizeof line
                                        ? (size_t)n : sizeof line - 1);
}

static void print_values(const struct ir_state *s)
{
    unsigned i;

    for (i = 0; i < (unsigned)s->num_temps + s->num_values; i++)
        out("%s%u", i == s->num_temps ? " | " : " ", s->values[i]->id);
}

static void print_state(const struct ir_state *s)
{
    unsigned i, k;

    for (i = 0; i < s->num_objects; i++) {
        out("        object %u:", s->objects[i].id->id);
        for (k = 0; k < s->objects[i].num_fields; k++)
            out(" %u", s->objects[i].fields[k]->id);
        out("\n");
    }
    for (; s; s = s->caller) {
        out("        at %u of %llx, self %u:", s->bytecode,
            (unsigned long long)s->method, s->receiver->id);
        print_values(s);
        out("\n");
    }
}

static void print_node(const struct ir_node *n)
{
    static const char *const types[] = { "", " int", " float", " character",
                                         " boolean", " class" };
    unsigned i;

    out("    %u = %s", n->id, ir_name(n->op));
    for (i = 0; i < n->num_inputs; i++)
        out(" %u", n->inputs[i]->id);
    out(" #%d", n->index);
    if (n->value)
        out(" $%llx", (unsigned long long)n->value);
    if (n->op == IR_COMPARE || n->op == IR_COMPARE_WORD ||
        n->op == IR_FCOMPARE)
        out(" cond %u", n->cond);
    out("%s", types[n->type]);
    if (n->type == TYPE_CLASS)
        out(" %u", n->class_index);
    out(", %u uses\n", n->uses);
    if (n->state)
        print_state(n->state);
}

void ir_print(const struct ir_graph *g)
{
    const struct ir_node *n;
    unsigned i, k;

    for (i = 0; i < g->num_blocks; i++) {
        const struct ir_block *b = g->blocks[i];

        out("block %u, depth %u%s%s, from", b->id, b->loop_depth,
            b->is_loop ? ", loop" : "", b->is_cold ? ", cold" : "");
        for (k = 0; k < b->num_predecessors; k++)
            out(" %u", b->predecessors[k]->id);
        out("; to");
        for (k = 0; k < b->num_successors; k++)
            out(" %u", b->successors[k]->id);
        out("\n");
        for (n = b->first; n; n = n->next)
            print_node(n);
    }
}

/* --- verifying --- */


static bool is_word(const struct ir_node *n, unsigned i)
{
    switch (n->op) {
    case IR_TAG_INT: case IR_TAG_CHARACTER: case IR_WORD_ADD:
    case IR_NEW_ARRAY: case IR_GUARD_BELOW: case IR_COMPARE_WORD:
        return true;
    case IR_LOAD_ELEMENT:
        return i == 1;
    case IR_STORE_ELEMENT:
        return i == 1 || (i == 2 && n->index < 3);
    default:
        return false;
    }
}

static enum ir_rep wanted_rep(const struct ir_node *n, unsigned i)
{
    switch (n->op) {
    case IR_FADD: case IR_FSUB: case IR_FMUL: case IR_FDIV: case IR_FSQRT:
    case IR_FNEG: case IR_FCOMPARE: case IR_TRUNCATE: case IR_BOX:
        return REP_DOUBLE;
    case IR_PHI:
        return n->rep;
    default:
        return is_word(n, i) ? REP_WORD : REP_OOP;
    }
}

static unsigned least_inputs(enum ir_op op)
{
    switch (op) {
    case IR_CONST: case IR_CONST_WORD: case IR_CONST_DOUBLE:
    case IR_RECEIVER: case IR_CLOSURE: case IR_ARGUMENT: case IR_PHI:
    case IR_NEW: case IR_OBJECT: case IR_CONTEXT: case IR_SAFEPOINT:
    case IR_GOTO: case IR_FAIL:
        return 0;
    case IR_ADD: case IR_SUB: case IR_MUL: case IR_DIV: case IR_MOD:
    case IR_QUO: case IR_REM: case IR_AND: case IR_OR: case IR_XOR:
    case IR_SHIFT_LEFT: case IR_SHIFT_RIGHT: case IR_COMPARE:
    case IR_COMPARE_WORD: case IR_FADD: case IR_FSUB: case IR_FMUL:
    case IR_FDIV: case IR_FCOMPARE: case IR_IDENTICAL: case IR_GUARD_BELOW:
    case IR_STORE_SLOT: case IR_LOAD_ELEMENT: case IR_NEW_CLOSURE:
        return 2;
    case IR_STORE_ELEMENT:
        return 3;
    default:
        return 1;
    }
}

static bool needs_ints(enum ir_op op)
{
    return (op >= IR_ADD && op <= IR_COMPARE) || op == IR_INT_TO_DOUBLE;
}

static bool is_never_made(const struct ir_node *n)
{
    return n->op == IR_OBJECT || n->op == IR_CONTEXT;
}

/* Is `def` computed whenever `use` is, or the end of `end` if that is given?
 * Objects that are not made have no place. */
static bool is_before(const struct ir_node *def, const struct ir_node *use,
                      const struct ir_block *end)
{
    const struct ir_block *at = end ? end : use->block;

    if (is_never_made(def))
        return true;
    if (!def->block)
        return false;
    if (def->block != at)
        return ir_dominates(def->block, at);
    if (end)
        return true;
    for (use = use->previous; use; use = use->previous)
        if (use == def)
            return true;
    return false;
}

static const char *verify_inputs(const struct ir_node *n)
{
    const struct ir_block *b = n->block;
    unsigned i;

    if (n->num_inputs < least_inputs(n->op))
        return "inputs are missing";
    if (n->op == IR_PHI && n->num_inputs != b->num_predecessors)
        return "a phi does not fit its predecessors";
    for (i = 0; i < n->num_inputs; i++) {
        const struct ir_node *in = n->inputs[i];

        if (in->rep != wanted_rep(n, i))
            return "an input is of the wrong kind";
        if (is_never_made(in))
            return "an object that is not made is used";
        if (needs_ints(n->op) && in->type != TYPE_INT)
            return "an operand is no integer";
        if (!is_before(in, n, n->op == IR_PHI ? b->predecessors[i] : NULL))
            return "an input is not there yet";
    }
    return NULL;
}

static bool has_object(const struct ir_state *s, const struct ir_node *id)
{
    unsigned i;

    for (i = 0; i < s->num_objects; i++)
        if (s->objects[i].id == id)
            return true;
    return false;
}

/* What a state of node `user` refers to. */
static const char *verify_reference(const struct ir_node *v,
                                    const struct ir_node *user)
{
    if (!v)
        return "a state has a hole";
    if (v->op == IR_OBJECT && !has_object(user->state, v))
        return "a state lacks an object";
    return is_before(v, user, NULL) ? NULL
                                    : "what a state holds is not there yet";
}

static const char *verify_objects(const struct ir_node *n)
{
    const struct ir_object *o = n->state->objects;
    const char *why = NULL;
    unsigned i, k;

    for (i = 0; i < n->state->num_objects && !why; i++)
        for (k = 0; k < o[i].num_fields && !why; k++)
            why = verify_reference(o[i].fields[k], n);
    return why;
}

static const char *verify_state(const struct ir_node *n)
{
    const char *why = verify_objects(n);
    const struct ir_state *s;
    unsigned i;

    for (s = n->state; s && !why; s = s->caller) {
        why = verify_reference(s->receiver, n);
        if (!why && s->closure)
            why = verify_reference(s->closure, n);
        for (i = 0; i < (unsigned)s->num_temps + s->num_values && !why; i++)
            why = verify_reference(s->values[i], n);
    }
    return why;
}

static const char *verify_node(const struct ir_node *n,
                               const struct ir_block *b)
{
    bool end = ir_infos[n->op].flags & OP_END;
    const char *why;

    if (n->block != b || (n->next ? n->next->previous != n : b->last != n))
        return "a block's list is broken";
    if (n->op == IR_PHI && n->previous && n->previous->op != IR_PHI)
        return "a phi stands behind something else";
    if (end != (n == b->last))
        return "a block does not end in its end";
    why = verify_inputs(n);
    if (why)
        return why;
    if (!n->state && (ir_fails(n) || ir_infos[n->op].flags & OP_STATE))
        return "a state is missing";
    return n->state ? verify_state(n) : NULL;
}

static const char *verify_edges(const struct ir_block *b)
{
    unsigned wanted, i;

    if (!b->last)
        return "a block is empty";
    wanted = b->last->op == IR_GOTO ? 1 : b->last->op == IR_BRANCH ? 2 : 0;
    if (b->num_successors != wanted)
        return "a block's successors do not fit its end";
    for (i = 0; wanted == 2 && i < 2; i++)
        if (b->successors[i]->num_predecessors != 1)
            return "a branch goes where others come from";
    return NULL;
}

const char *ir_verify(const struct ir_graph *g)
{
    const char *why = g->failed ? "it failed" : NULL;
    const struct ir_node *n;
    unsigned i;

    for (i = 0; i < g->num_blocks && !why; i++) {
        why = verify_edges(g->blocks[i]);
        for (n = g->blocks[i]->first; n && !why; n = n->next)
            why = verify_node(n, g->blocks[i]);
    }
    return why;
}
