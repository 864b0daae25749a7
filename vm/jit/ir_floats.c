/*
 * ir_floats.c - floats that need no object.
 *
 * What is boxed and unboxed again never was in a box. A phi of floats becomes
 * a phi of doubles where that saves more boxes than it makes: where the float
 * itself is wanted it is boxed then. States hold doubles, so nothing is boxed
 * only because it could be looked at.
 */
#include "vm/jit/ir_private.h"

#include <stdlib.h>
#include <string.h>

struct floats {
    struct ir_graph *g;
    struct ir_node **doubles; /* by id of a phi that becomes one of doubles */
    bool *candidate;
    int64_t *gain;            /* boxes saved, weighed */
};

/* What a value is, whatever is known better of it. */
static struct ir_node *root(struct ir_node *n)
{
    while (n->op == IR_REFINE || n->op == IR_GUARD_FLOAT)
        n = n->inputs[0];
    return n;
}

static bool is_float(struct ir_node *n)
{
    return n->op == IR_CONST && n->type == TYPE_FLOAT;
}

static int64_t weight(const struct ir_block *b)
{
    static const int64_t by_depth[] = { 1, 10, 100, 1000, 10000 };

    if (b->is_cold)
        return 0;
    return by_depth[b->loop_depth < 4 ? b->loop_depth : 4];
}

/* --- which phis --- */

/* Can it be had as a double? */
static bool fits(const struct floats *f, struct ir_node *n)
{
    struct ir_node *r = root(n);

    return r->op == IR_BOX || is_float(r) || n->type == TYPE_FLOAT ||
           f->candidate[r->id];
}

static bool all_fit(const struct floats *f, const struct ir_node *phi)
{
    unsigned i;

    for (i = 0; i < phi->num_inputs; i++)
        if (!fits(f, phi->inputs[i]))
            return false;
    return true;
}

static void begin_candidates(struct floats *f)
{
    unsigned i;

    for (i = 0; i < f->g->num_nodes; i++) {
        struct ir_node *n = f->g->nodes[i];

        f->candidate[i] = n->op == IR_PHI && n->block && n->rep == REP_OOP;
    }
}

static bool drop_unfit(struct floats *f)
{
    bool dropped = false;
    unsigned i;

    for (i = 0; i < f->g->num_nodes; i++)
        if (f->candidate[i] && !all_fit(f, f->g->nodes[i])) {
            f->candidate[i] = false;
            dropped = true;
        }
    return dropped;
}

/* A use of a candidate as an operand is worth unboxing, or costs a box. */
static void weigh_use(struct floats *f, const struct ir_node *user, unsigned i)
{
    struct ir_node *r = root(user->inputs[i]);
    const struct ir_block *at = user->block;

    if (!f->candidate[r->id] || user->op == IR_REFINE ||
        user->op == IR_GUARD_FLOAT)
        return;
    if (user->op == IR_PHI) {
        if (!f->candidate[user->id])
            f->gain[r->id] -= weight(at->predecessors[i]);
    } else if (user->op == IR_UNBOX) {
        f->gain[r->id] += weight(at) + 1;
    } else {
        f->gain[r->id] -= weight(at);
    }
}

static void weigh_inputs(struct floats *f, const struct ir_node *phi)
{
    unsigned i;

    for (i = 0; i < phi->num_inputs; i++)
        if (root(phi->inputs[i])->op == IR_BOX)
            f->gain[phi->id] += weight(phi->block->predecessors[i]);
}

static bool drop_worthless(struct floats *f)
{
    struct ir_graph *g = f->g;
    bool dropped = false;
    unsigned i, k;

    memset(f->gain, 0, g->num_nodes * sizeof *f->gain);
    for (i = 0; i < g->num_nodes; i++) {
        struct ir_node *n = g->nodes[i];

        for (k = 0; n->block && k < n->num_inputs; k++)
            weigh_use(f, n, k);
        if (f->candidate[i])
            weigh_inputs(f, n);
    }
    for (i = 0; i < g->num_nodes; i++)
        if (f->candidate[i] && f->gain[i] <= 0) {
            f->candidate[i] = false;
            dropped = true;
        }
    return dropped;
}

/* --- doubles --- */

static struct ir_node *constant_double(struct ir_graph *g, oop o)
{
    struct ir_node *n;
    uint64_t bits;
    double d = 0;

    heap_float_value(o, &d);
    memcpy(&bits, &d, sizeof bits);
    for (n = g->entry->first; n; n = n->next)
        if (n->op == IR_CONST_DOUBLE && n->value == bits)
            return n;
    n = ir_add(g, NULL, IR_CONST_DOUBLE, 0, NULL);
    n->value = bits;
    if (!g->failed)
        ir_insert_before(g->entry->first, n);
    return n;
}

/* The double that a float is the box of, or NULL. */
static struct ir_node *double_of(const struct floats *f, struct ir_node *n)
{
    n = root(n);
    if (n->op == IR_BOX)
        return n->inputs[0];
    if (is_float(n))
        return constant_double(f->g, n->value);
    return f->candidate[n->id] ? f->doubles[n->id] : NULL;
}

static struct ir_node *insert(struct ir_graph *g, struct ir_node *place,
                              enum ir_op op, struct ir_node *in)
{
    struct ir_node *n = ir_add(g, NULL, op, 1, &in);

    if (!g->failed)
        ir_insert_before(place, n);
    return n;
}

static void make_phis(struct floats *f, unsigned num_nodes)
{
    struct ir_graph *g = f->g;
    unsigned i, k;

    for (i = 0; i < num_nodes; i++)
        if (f->candidate[i]) {
            f->doubles[i] = ir_add(g, g->nodes[i]->block, IR_PHI, 0, NULL);
            f->doubles[i]->rep = REP_DOUBLE;
        }
    for (i = 0; i < num_nodes && !g->failed; i++) {
        struct ir_node *phi = g->nodes[i];

        if (!f->candidate[i])
            continue;
        for (k = 0; k < phi->num_inputs; k++) {
            struct ir_node *d = double_of(f, phi->inputs[k]);

            if (!d)
                d = insert(g, phi->block->predecessors[k]->last, IR_UNBOX,
                           phi->inputs[k]);
            ir_add_input(g, f->doubles[i], d);
        }
    }
}

/* --- users --- */

static void box_operand(struct floats *f, struct ir_node *user, unsigned i)
{
    struct ir_node *r = root(user->inputs[i]), *place = user;

    if (!f->candidate[r->id])
        return;
    if (user->op == IR_PHI)
        place = user->block->predecessors[i]->last;
    user->inputs[i] = insert(f->g, place, IR_BOX, f->doubles[r->id]);
}

/* Unboxing what has a double is that; other operands are boxed. */
static void change_users(struct floats *f, unsigned num_nodes)
{
    struct ir_graph *g = f->g;
    unsigned i, k;

    for (i = 0; i < num_nodes && !g->failed; i++) {
        struct ir_node *n = g->nodes[i];

        if (!n->block || f->candidate[i] || n->op == IR_REFINE ||
            n->op == IR_GUARD_FLOAT)
            continue;
        if (n->op == IR_UNBOX) {
            n->same_as = double_of(f, n->inputs[0]);
            continue;
        }
        for (k = 0; k < n->num_inputs; k++)
            box_operand(f, n, k);
    }
}

static void change_reference(struct floats *f, struct ir_node **use)
{
    struct ir_node *r = root(*use);

    if (r->op == IR_BOX || f->candidate[r->id])
        *use = double_of(f, r);
}

static void change_states(struct floats *f)
{
    struct ir_graph *g = f->g;
    uint32_t mark = ++g->mark;
    unsigned i, k, m;

    for (i = 0; i < g->num_nodes; i++) {
        struct ir_state *s = g->nodes[i]->block ? g->nodes[i]->state : NULL;

        for (; s && s->mark != mark; s = s->caller) {
            s->mark = mark;
            change_reference(f, &s->receiver);
            for (k = 0; k < (unsigned)s->num_temps + s->num_values; k++)
                change_reference(f, &s->values[k]);
            for (k = 0; k < s->num_objects; k++)
                for (m = 0; m < s->objects[k].num_fields; m++)
                    change_reference(f, &s->objects[k].fields[m]);
        }
    }
}

/* The phis that were, and what only told more of them: nobody uses it. */
static void remove_phis(struct floats *f, unsigned num_nodes)
{
    unsigned i, pass;

    for (pass = 0; pass < 2; pass++) /* phis last: root asks for them */
        for (i = 0; i < num_nodes; i++) {
            struct ir_node *n = f->g->nodes[i];
            bool tells = n->op == IR_REFINE || n->op == IR_GUARD_FLOAT;

            if (pass ? f->candidate[i]
                     : tells && f->candidate[root(n)->id])
                ir_remove(n);
        }
}

static void change(struct floats *f)
{
    unsigned num_nodes = f->g->num_nodes;

    make_phis(f, num_nodes);
    if (f->g->failed)
        return;
    change_users(f, num_nodes);
    if (f->g->failed)
        return;
    change_states(f);
    ir_replace_marked(f->g);
    remove_phis(f, num_nodes);
}

static bool has_floats(const struct ir_graph *g)
{
    unsigned i;

    for (i = 0; i < g->num_nodes; i++)
        if (g->nodes[i]->op == IR_BOX || g->nodes[i]->op == IR_UNBOX)
            return true;
    return false;
}

void ir_unbox_floats(struct ir_graph *g)
{
    size_t n = IR_MAX_NODES + 1;
    struct floats f = { .g = g };

    if (!has_floats(g))
        return;
    f.doubles = calloc(n, sizeof *f.doubles);
    f.candidate = calloc(n, sizeof *f.candidate);
    f.gain = calloc(n, sizeof *f.gain);
    if (f.doubles && f.candidate && f.gain) {
        begin_candidates(&f);
        do
            while (drop_unfit(&f))
                ;
        while (drop_worthless(&f));
        change(&f);
    } else {
        g->failed = true;
    }
    free(f.doubles);
    free(f.candidate);
    free(f.gain);
}
