/*
 * ir_types.c - what values are known to be, and what follows from it.
 *
 * Types are part of most operations; those of phis are found here, by
 * believing the best of every phi until an input says otherwise. Guards on
 * what is known go, tests of it become constants, branches on constants
 * jumps, and a phi all of whose inputs are one value is that value.
 */
#include "vm/jit/ir_private.h"

#include <string.h>

/* --- facts --- */

struct fact {
    uint8_t type;
    uint32_t class_index;
};

static struct fact fact_of(const struct ir_node *n)
{
    struct fact f = { n->type, n->type == TYPE_CLASS ? n->class_index : 0 };

    if (f.type != TYPE_CLASS)
        return f;
    switch (f.class_index) { /* guards of classes may be of immediates' */
    case CLS_SMALL_INTEGER: return (struct fact){ TYPE_INT, 0 };
    case CLS_CHARACTER: return (struct fact){ TYPE_CHARACTER, 0 };
    case CLS_SMALL_FLOAT:
    case CLS_BOXED_FLOAT: return (struct fact){ TYPE_FLOAT, 0 };
    default: return f;
    }
}

static bool same_fact(struct fact a, struct fact b)
{
    return a.type == b.type && a.class_index == b.class_index;
}

/* Nodes whose type is that of their inputs. */
static bool is_transparent(const struct ir_node *n)
{
    return n->rep == REP_OOP && (n->op == IR_PHI || n->op == IR_GUARD_MUTABLE);
}

/* What all inputs agree on; those that nothing is known of yet agree with
 * everything. False: nothing is known of any. */
static bool meet(const struct ir_node *n, const bool *unknown,
                 struct fact *result)
{
    bool found = false;
    unsigned i;

    for (i = 0; i < n->num_inputs; i++) {
        struct fact f = fact_of(n->inputs[i]);

        if (unknown[n->inputs[i]->id])
            continue;
        if (found && !same_fact(f, *result))
            f = (struct fact){ TYPE_ANY, 0 };
        *result = f;
        found = true;
    }
    return found;
}

static bool update(struct ir_node *n, bool *unknown)
{
    struct fact f;

    if (!meet(n, unknown, &f))
        return false;
    if (!unknown[n->id] && same_fact(f, fact_of(n)))
        return false;
    unknown[n->id] = false;
    n->type = f.type;
    n->class_index = f.class_index;
    return true;
}

static void find_types(struct ir_graph *g)
{
    bool *unknown = ir_take(g, g->num_nodes), changed = true;
    bool *open = ir_take(g, g->num_nodes);
    struct ir_node *n;
    unsigned i;

    if (g->failed)
        return;
    for (i = 0; i < g->num_nodes; i++) /* what is known stays */
        unknown[i] = g->nodes[i]->block && is_transparent(g->nodes[i]) &&
                     g->nodes[i]->type == TYPE_ANY;
    memcpy(open, unknown, g->num_nodes);
    while (changed) {
        changed = false;
        for (i = 0; i < g->num_blocks; i++)
            for (n = g->blocks[i]->first; n; n = n->next)
                if (open[n->id])
                    changed |= update(n, unknown);
    }
    for (i = 0; i < g->num_nodes; i++)
        if (unknown[i])
            g->nodes[i]->type = TYPE_ANY;
}

/* --- tests --- */

enum answer { NO, YES, UNKNOWN };

static enum answer is_of_class(const struct ir_graph *g,
                               const struct ir_node *n, uint32_t index)
{
    const struct heap *h = &g->vm->heap;
    struct fact f = fact_of(n);

    if (n->op == IR_CONST)
        return heap_class_index(n->value) == index;
    switch (f.type) {
    case TYPE_INT: return index == CLS_SMALL_INTEGER;
    case TYPE_CHARACTER: return index == CLS_CHARACTER;
    case TYPE_CLASS: return index == f.class_index;
    case TYPE_FLOAT:
        return index == CLS_SMALL_FLOAT || index == CLS_BOXED_FLOAT ? UNKNOWN
                                                                    : NO;
    case TYPE_BOOLEAN:
        return index == class_index_of(h->true_) ||
               index == class_index_of(h->false_) ? UNKNOWN : NO;
    default: return UNKNOWN;
    }
}

static enum answer is_type(const struct ir_node *n, enum ir_type type)
{
    struct fact f = fact_of(n);

    return f.type == TYPE_ANY ? UNKNOWN : f.type == type;
}

/* A Boolean may also be known as the instance of its class. */
static bool may_be_boolean(const struct ir_graph *g, struct fact f)
{
    const struct heap *h = &g->vm->heap;

    return f.type == TYPE_BOOLEAN ||
           (f.type == TYPE_CLASS &&
            (f.class_index == class_index_of(h->true_) ||
             f.class_index == class_index_of(h->false_)));
}

static enum answer are_identical(const struct ir_graph *g,
                                 const struct ir_node *a,
                                 const struct ir_node *b)
{
    struct fact x = fact_of(a), y = fact_of(b);

    if (a == b)
        return YES;
    if (a->op == IR_CONST && b->op == IR_CONST)
        return a->value == b->value;
    if (x.type == TYPE_ANY || y.type == TYPE_ANY || same_fact(x, y))
        return UNKNOWN;
    if (b->op == IR_CONST && may_be_boolean(g, x))
        return is_of_class(g, a, heap_class_index(b->value));
    return may_be_boolean(g, x) && may_be_boolean(g, y) ? UNKNOWN : NO;
}

static bool holds(enum cond cond, int64_t a, int64_t b)
{
    switch (cond) {
    case IF_LESS: return a < b;
    case IF_GREATER: return a > b;
    case IF_NOT_GREATER: return a <= b;
    case IF_NOT_LESS: return a >= b;
    case IF_EQUAL: return a == b;
    case IF_BELOW: return (uint64_t)a < (uint64_t)b;
    case IF_NOT_BELOW: return (uint64_t)a >= (uint64_t)b;
    case IF_ABOVE: return (uint64_t)a > (uint64_t)b;
    case IF_NOT_ABOVE: return (uint64_t)a <= (uint64_t)b;
    default: return a != b;
    }
}

static enum answer compare(const struct ir_node *n)
{
    const struct ir_node *a = n->inputs[0], *b = n->inputs[1];

    if (a->op != b->op || (a->op != IR_CONST && a->op != IR_CONST_WORD))
        return UNKNOWN;
    return holds((enum cond)n->cond, (int64_t)a->value, (int64_t)b->value);
}

static enum answer test(const struct ir_graph *g, const struct ir_node *n)
{
    enum answer same;

    switch (n->op) {
    case IR_IS_CLASS:
        return is_of_class(g, n->inputs[0], (uint32_t)n->index);
    case IR_IS_INT: return is_type(n->inputs[0], TYPE_INT);
    case IR_IDENTICAL:
        same = are_identical(g, n->inputs[0], n->inputs[1]);
        if (same == UNKNOWN || n->cond != IF_NOT_EQUAL)
            return same;
        return same == YES ? NO : YES;
    case IR_COMPARE: case IR_COMPARE_WORD: return compare(n);
    default: return UNKNOWN;
    }
}

/* --- guards --- */

static bool is_new(const struct ir_node *n)
{
    return n->op == IR_NEW || n->op == IR_NEW_ARRAY ||
           n->op == IR_NEW_CLOSURE;
}

/* Does the guard never fail? */
static bool is_idle(const struct ir_graph *g, const struct ir_node *n)
{
    const struct ir_node *a = n->inputs[0];

    switch (n->op) {
    case IR_GUARD_INT: return is_type(a, TYPE_INT) == YES;
    case IR_GUARD_FLOAT: return is_type(a, TYPE_FLOAT) == YES;
    case IR_GUARD_CHARACTER: return is_type(a, TYPE_CHARACTER) == YES;
    case IR_GUARD_BOOLEAN: return is_type(a, TYPE_BOOLEAN) == YES;
    case IR_GUARD_CLASS:
        return is_of_class(g, a, (uint32_t)n->index) == YES;
    case IR_GUARD_VALUE: return a->op == IR_CONST && a->value == n->value;
    case IR_GUARD_MUTABLE: return is_new(a);
    case IR_GUARD_BELOW:
        return a->op == IR_CONST_WORD &&
               n->inputs[1]->op == IR_CONST_WORD &&
               a->value < n->inputs[1]->value;
    case IR_REFINE: return same_fact(fact_of(a), fact_of(n));
    default: return false;
    }
}

/* --- constants --- */

static struct ir_node *boolean(struct ir_graph *g, bool yes)
{
    return ir_constant(g, yes ? g->vm->heap.true_ : g->vm->heap.false_);
}

/* False: it does not fit. */
static bool calculate(const struct ir_node *n, int64_t a, int64_t b,
                      int64_t *result)
{
    switch (n->op) {
    case IR_ADD: *result = a + b; break;
    case IR_SUB: *result = a - b; break;
    case IR_MUL:
        if (__builtin_mul_overflow(a, b, result))
            return false;
        break;
    case IR_AND: *result = a & b; break;
    case IR_OR: *result = a | b; break;
    case IR_XOR: *result = a ^ b; break;
    default: return false;
    }
    return int_fits(*result);
}

static struct ir_node *fold_integers(struct ir_graph *g,
                                     const struct ir_node *n)
{
    int64_t result;

    if (n->inputs[0]->op != IR_CONST || n->inputs[1]->op != IR_CONST ||
        !calculate(n, int_value(n->inputs[0]->value),
                   int_value(n->inputs[1]->value), &result))
        return NULL;
    return ir_constant(g, int_oop(result));
}

/* --- phis --- */

/* The one value that all inputs are, but for the phi itself. */
static struct ir_node *only_input(const struct ir_node *phi)
{
    struct ir_node *one = NULL;
    unsigned i;

    for (i = 0; i < phi->num_inputs; i++) {
        struct ir_node *in = phi->inputs[i];

        while (in->same_as)
            in = in->same_as;
        if (in == phi || in == one)
            continue;
        if (one)
            return NULL;
        one = in;
    }
    return one;
}

/* --- all of it --- */

static struct ir_node *simpler(struct ir_graph *g, struct ir_node *n)
{
    enum answer yes;

    if (n->op == IR_PHI)
        return only_input(n);
    if (!n->num_inputs)
        return NULL;
    if (is_idle(g, n))
        return n->inputs[0];
    if (n->op >= IR_ADD && n->op <= IR_XOR && n->num_inputs == 2)
        return fold_integers(g, n);
    yes = test(g, n);
    return yes == UNKNOWN ? NULL : boolean(g, yes == YES);
}

/* A branch on a constant goes one way; the other successor, which has no
 * other predecessor, is found unreachable. */
static bool fold_branch(struct ir_graph *g, struct ir_block *b)
{
    struct ir_node *end = b->last;
    bool yes;

    if (end->op != IR_BRANCH || end->inputs[0]->op != IR_CONST)
        return false;
    yes = end->inputs[0]->value == g->vm->heap.true_;
    if (!yes && end->inputs[0]->value != g->vm->heap.false_)
        return false;
    b->successors[0] = b->successors[yes ? 0 : 1];
    b->num_successors = 1;
    end->op = IR_GOTO;
    end->num_inputs = 0;
    return true;
}

static bool simplify(struct ir_graph *g)
{
    bool changed = false, branches = false;
    struct ir_node *n;
    unsigned i;

    for (i = 0; i < g->num_blocks; i++)
        for (n = g->blocks[i]->first; n && !g->failed; n = n->next) {
            struct ir_node *other = simpler(g, n);

            while (other && other->same_as)
                other = other->same_as;
            if (!other || other == n)
                continue;
            n->same_as = other;
            changed = true;
        }
    if (changed)
        ir_replace_marked(g);
    for (i = 0; i < g->num_blocks; i++)
        branches |= fold_branch(g, g->blocks[i]);
    if (branches)
        ir_sort_blocks(g);
    return changed || branches;
}

void ir_infer_types(struct ir_graph *g)
{
    int rounds = 0;

    do {
        if (g->failed)
            return;
        find_types(g);
    } while (!g->failed && simplify(g) && ++rounds < 8);
}
