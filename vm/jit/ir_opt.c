/*
 * ir_opt.c - what is computed twice, or again and again, or for nobody.
 *
 * Nodes that do the same with the same inputs are one where the first is
 * always computed before the second: guards too, since what has not failed
 * once does not fail again. (Classes, formats and sizes of objects are
 * constant: when become: or the like change them, no frame stays optimised.)
 * Loads are the same while nothing may have changed what they read. What
 * needs nothing of a loop is computed before it. What nobody uses goes.
 */
#include "vm/jit/ir_private.h"

#include <stdlib.h>
#include <string.h>

/* --- memory ---
 *
 * Objects' slots are read and written by number, elements by a computed
 * index. Each kind of place has a version; what may write it makes a new one.
 * A slot of something that may be an Array is in the same kind as elements.
 */
enum { SLOT_KINDS = 24, ELEMENTS = SLOT_KINDS, BITS, READ_ONLY, NUM_KINDS };

struct memory {
    uint32_t version[NUM_KINDS];
};

static int kind_of_slot(const struct ir_node *object, int32_t index)
{
    if (object->type != TYPE_CLASS || object->class_index == CLS_ARRAY)
        return ELEMENTS;
    return index % SLOT_KINDS;
}

/* What kind of place a node reads; -1: none. */
static int kind_read(const struct ir_node *n)
{
    switch (n->op) {
    case IR_LOAD_SLOT: return kind_of_slot(n->inputs[0], n->index);
    case IR_LOAD_ELEMENT: return n->index == 3 ? ELEMENTS : BITS;
    case IR_LOAD_DOUBLE: return BITS;
    case IR_GUARD_MUTABLE: return READ_ONLY;
    default: return -1;
    }
}

static void new_version(struct memory *m, uint32_t *clock, int kind)
{
    m->version[kind] = ++*clock;
}

static void forget_all(struct memory *m, uint32_t *clock)
{
    int i;

    for (i = 0; i < NUM_KINDS; i++)
        new_version(m, clock, i);
}

/* An object whose class is not known, or variable, may be written as slots
 * and as elements. */
static void write_memory(struct memory *m, uint32_t *clock,
                         const struct ir_node *n)
{
    int kind, i;

    switch (n->op) {
    case IR_SEND: case IR_SAFEPOINT:
        forget_all(m, clock);
        break;
    case IR_STORE_SLOT:
        kind = kind_of_slot(n->inputs[0], n->index);
        new_version(m, clock, ELEMENTS);
        if (kind != ELEMENTS)
            new_version(m, clock, kind);
        else
            for (i = 0; i < SLOT_KINDS; i++)
                new_version(m, clock, i);
        break;
    case IR_STORE_ELEMENT:
        new_version(m, clock, n->index == 3 ? ELEMENTS : BITS);
        if (n->index == 3 &&
            (n->inputs[0]->type != TYPE_CLASS ||
             n->inputs[0]->class_index != CLS_ARRAY))
            forget_all(m, clock);
        break;
    default:
        break;
    }
}

/* --- the table of what is available --- */

struct entry {
    struct entry *next;   /* in its bucket */
    struct ir_node *node; /* what was computed, */
    struct ir_node *value; /* and its value: a store's is what it stored */
    uint32_t version;
};

enum { BUCKETS = 512 };

struct optimiser {
    struct ir_graph *g;
    struct entry *buckets[BUCKETS];
    struct memory *at_end; /* by block */
    uint32_t clock;
    bool changed;
};

static bool can_share(const struct ir_node *n)
{
    switch (n->op) {
    case IR_PHI: case IR_BOX: case IR_NEW: case IR_NEW_ARRAY:
    case IR_NEW_CLOSURE: case IR_OBJECT: case IR_CONTEXT: case IR_CONST:
        return false;
    default:
        return !(ir_infos[n->op].flags & OP_EFFECT);
    }
}

static unsigned hash_of(unsigned op, int32_t index, const struct ir_node *a,
                        const struct ir_node *b)
{
    unsigned n = op * 31 + (unsigned)index * 7 + (a ? a->id * 131u : 0) +
                 (b ? b->id * 1031u : 0);

    return (n ^ n >> 9) & (BUCKETS - 1);
}

static unsigned hash(const struct ir_node *n)
{
    return hash_of(n->op, n->index, n->num_inputs ? n->inputs[0] : NULL,
                   n->num_inputs > 1 ? n->inputs[1] : NULL);
}

static bool does_the_same(const struct ir_node *a, const struct ir_node *b)
{
    return a->op == b->op && a->rep == b->rep && a->index == b->index &&
           a->cond == b->cond && a->value == b->value &&
           a->type == b->type && a->class_index == b->class_index &&
           a->num_inputs == b->num_inputs &&
           (!a->num_inputs ||
            !memcmp(a->inputs, b->inputs, a->num_inputs * sizeof *a->inputs));
}

static bool is_load_of(const struct ir_node *load, const struct ir_node *n)
{
    unsigned inputs;

    if (load->op == IR_LOAD_SLOT && n->op == IR_STORE_SLOT)
        inputs = 1;
    else if (load->op == IR_LOAD_ELEMENT && n->op == IR_STORE_ELEMENT)
        inputs = 2;
    else
        return false;
    return load->index == n->index && load->type == TYPE_ANY &&
           !memcmp(load->inputs, n->inputs, inputs * sizeof *n->inputs);
}

static struct ir_node *find(struct optimiser *o, const struct ir_node *n,
                            uint32_t version)
{
    struct entry *e;

    for (e = o->buckets[hash(n)]; e; e = e->next)
        if (e->version == version &&
            (does_the_same(e->node, n) || is_load_of(n, e->node)) &&
            ir_dominates(e->node->block, n->block))
            return e->value;
    return NULL;
}

static void remember(struct optimiser *o, struct ir_node *n,
                     struct ir_node *value, unsigned bucket, uint32_t version)
{
    struct entry *e = ir_take(o->g, sizeof *e);

    if (!e)
        return;
    *e = (struct entry){ o->buckets[bucket], n, value, version };
    o->buckets[bucket] = e;
}

/* What was stored is what a load would find. Small elements lose bits. */
static void remember_store(struct optimiser *o, struct ir_node *n,
                           const struct memory *m)
{
    bool slot = n->op == IR_STORE_SLOT;
    int kind = slot ? kind_of_slot(n->inputs[0], n->index) : ELEMENTS;

    if (!slot && n->index != 3)
        return;
    remember(o, n, n->inputs[slot ? 1 : 2],
             hash_of(slot ? IR_LOAD_SLOT : IR_LOAD_ELEMENT, n->index,
                     n->inputs[0], slot ? NULL : n->inputs[1]),
             m->version[kind]);
}

static void visit(struct optimiser *o, struct ir_node *n, struct memory *m)
{
    int kind = kind_read(n);
    uint32_t version = kind < 0 ? 0 : m->version[kind];
    struct ir_node *same;

    if (n->op == IR_STORE_SLOT || n->op == IR_STORE_ELEMENT) {
        write_memory(m, &o->clock, n);
        remember_store(o, n, m);
        return;
    }
    write_memory(m, &o->clock, n);
    if (!can_share(n))
        return;
    same = find(o, n, version);
    if (same && same->rep == n->rep) {
        n->same_as = same;
        o->changed = true;
    } else {
        remember(o, n, n, hash(n), version);
    }
}

/* --- block by block --- */

/* What holds on the way from all predecessors; a loop may change anything. */
static void memory_before(struct optimiser *o, const struct ir_block *b,
                          struct memory *m)
{
    unsigned i, k;

    if (!b->num_predecessors || b->is_loop) {
        forget_all(m, &o->clock);
        return;
    }
    *m = o->at_end[b->predecessors[0]->id];
    for (i = 1; i < b->num_predecessors; i++)
        for (k = 0; k < NUM_KINDS; k++)
            if (o->at_end[b->predecessors[i]->id].version[k] !=
                m->version[k])
                new_version(m, &o->clock, (int)k);
}

/* Inputs that are to be replaced are so at once, that what follows from it is
 * found in the same pass. */
static void renew_inputs(struct ir_node *n)
{
    unsigned i;

    for (i = 0; i < n->num_inputs; i++)
        while (n->inputs[i]->same_as)
            n->inputs[i] = n->inputs[i]->same_as;
}

static void share(struct ir_graph *g)
{
    struct optimiser *o = ir_take(g, sizeof *o);
    struct ir_node *n;
    unsigned i;

    if (!o)
        return;
    o->g = g;
    o->at_end = ir_take(g, g->num_blocks * sizeof *o->at_end);
    for (i = 0; i < g->num_blocks && !g->failed; i++) {
        struct memory m;

        memory_before(o, g->blocks[i], &m);
        for (n = g->blocks[i]->first; n && !g->failed; n = n->next) {
            if (n->op != IR_PHI)
                renew_inputs(n);
            visit(o, n, &m);
        }
        o->at_end[i] = m;
    }
    if (o->changed && !g->failed)
        ir_replace_marked(g);
}

/* --- loops --- */

/* May the node be computed though control would not come to it? Its inputs
 * are what makes it safe: a load's object is a guard's answer. */
static bool can_move(const struct ir_node *n)
{
    switch (n->op) {
    case IR_AND: case IR_OR: case IR_XOR:
    case IR_COMPARE: case IR_COMPARE_WORD: case IR_FADD: case IR_FSUB:
    case IR_FMUL: case IR_FDIV: case IR_FSQRT: case IR_FNEG:
    case IR_FCOMPARE: case IR_UNBOX: case IR_IS_CLASS: case IR_IS_INT:
    case IR_UNTAG: case IR_TAG_INT: case IR_TAG_CHARACTER:
    case IR_WORD_ADD: case IR_SLOT_COUNT: case IR_BYTE_COUNT:
    case IR_CLASS_OF:
        return true;
    case IR_INT_TO_DOUBLE:
        return !n->index;
    default:
        return false;
    }
}

static bool is_outside(const struct ir_node *n, const struct ir_block *head)
{
    return n->block && n->block != head && ir_dominates(n->block, head);
}

/* The header of the innermost loop around `b`: the last block before it, in
 * the order, that is one, dominates it and is as deep. */
static struct ir_block *loop_of(const struct ir_graph *g, struct ir_block *b)
{
    struct ir_block *d = b;

    if (!b->loop_depth)
        return NULL;
    while (d && !(d->is_loop && d->loop_depth == b->loop_depth))
        d = d->dominator;
    return d;
}

static bool move_out(struct ir_block *head, struct ir_node *n)
{
    struct ir_block *before = head->predecessors[0];
    unsigned i;

    if (!can_move(n) || before->id >= head->id)
        return false;
    for (i = 0; i < n->num_inputs; i++)
        if (!is_outside(n->inputs[i], head))
            return false;
    ir_remove(n);
    ir_insert_before(before->last, n);
    return true;
}

/* Inner loops first: what leaves one may then leave the next. */
static void move_invariants(struct ir_graph *g)
{
    unsigned depth, deepest = 0, i;

    for (i = 0; i < g->num_blocks; i++)
        if (g->blocks[i]->loop_depth > deepest)
            deepest = g->blocks[i]->loop_depth;
    for (depth = deepest; depth > 0; depth--)
        for (i = 0; i < g->num_blocks; i++) {
            struct ir_block *b = g->blocks[i];
            struct ir_block *head = b->loop_depth == depth ? loop_of(g, b)
                                                           : NULL;
            struct ir_node *n, *next;

            for (n = head && !b->is_cold ? b->first : NULL; n; n = next) {
                next = n->next;
                move_out(head, n);
            }
        }
}

/* --- what nobody uses --- */

/* Arithmetic without a use need not fail, but for a division by 0. */
static bool may_go(const struct ir_node *n)
{
    return !ir_has_effect(n) ||
           (n->op >= IR_ADD && n->op <= IR_MUL) || n->op == IR_SHIFT ||
           n->op == IR_INT_TO_DOUBLE;
}

static void unuse(struct ir_node **use, void *data) { (*use)->uses--; }

static bool remove_unused(struct ir_graph *g)
{
    bool any = false;
    unsigned i, k;

    ir_count_uses(g);
    for (i = g->num_blocks; i-- > 0;) {
        struct ir_node *n, *previous;

        for (n = g->blocks[i]->last; n; n = previous) {
            previous = n->previous;
            if (n->uses || !may_go(n))
                continue;
            for (k = 0; k < n->num_inputs; k++)
                unuse(&n->inputs[k], NULL);
            ir_remove(n);
            any = true;
        }
    }
    return any;
}

/* A node that neither fails nor calls needs no state, which would keep values
 * and hold it where it is. A large array may fail to be made. */
static void drop_states(struct ir_graph *g)
{
    struct ir_node *n;
    unsigned i;

    for (i = 0; i < g->num_blocks; i++)
        for (n = g->blocks[i]->first; n; n = n->next)
            if (!ir_fails(n) && !(ir_infos[n->op].flags & OP_STATE) &&
                n->op != IR_NEW_ARRAY)
                n->state = NULL;
}

/* --- all together --- */

void ir_optimise(struct ir_graph *g)
{
    int rounds;

    if (g->failed)
        return;
    drop_states(g);
    share(g);
    ir_infer_types(g); /* sharing makes more known */
    if (g->failed)
        return;
    share(g);
    move_invariants(g);
    for (rounds = 0; rounds < 8 && remove_unused(g); rounds++)
        ;
}
