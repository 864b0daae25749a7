/*
 * ir_order.c - the order of a graph's blocks, and what follows from it:
 * dominators and loops.
 *
 * Blocks are numbered in reverse post-order twice: the first order is for
 * finding loops, the second visits what leaves a loop first, so that the
 * blocks of a loop are neighbours.
 */
#include "vm/jit/ir_private.h"

#include <string.h>

struct sorter {
    struct ir_graph *g;
    struct ir_block **order; /* filled from its end */
    unsigned left;
    bool *seen;              /* by old id */
};

struct visit {
    struct ir_block *block;
    unsigned next;           /* successors to go */
};

/* Does `b` come later in the order than `a`, if there is a choice? */
static bool is_later(const struct ir_block *a, const struct ir_block *b)
{
    if (a->loop_depth != b->loop_depth)
        return b->loop_depth < a->loop_depth;
    return b->is_cold || !a->is_cold;
}

/* Successor to visit when `left` are to go: the later one first. */
static struct ir_block *successor(const struct ir_block *b, unsigned left)
{
    bool second_later;

    if (b->num_successors < 2)
        return b->successors[0];
    second_later = is_later(b->successors[0], b->successors[1]);
    return b->successors[(left == 2) == second_later];
}

static void enter(struct sorter *s, struct visit *stack, unsigned *depth,
                  struct ir_block *b)
{
    s->seen[b->id] = true;
    stack[(*depth)++] = (struct visit){ b, b->num_successors };
}

static bool post_order(struct sorter *s)
{
    struct ir_graph *g = s->g;
    struct visit *stack = ir_take(g, g->num_blocks * sizeof *stack);
    unsigned depth = 0;

    s->order = ir_take(g, g->num_blocks * sizeof *s->order);
    s->seen = ir_take(g, g->num_blocks * sizeof *s->seen);
    s->left = g->num_blocks;
    if (g->failed)
        return false;
    enter(s, stack, &depth, g->entry);
    while (depth) {
        struct visit *v = &stack[depth - 1];
        struct ir_block *to;

        if (!v->next) {
            s->order[--s->left] = v->block;
            depth--;
            continue;
        }
        to = successor(v->block, v->next--);
        if (!s->seen[to->id])
            enter(s, stack, &depth, to);
    }
    return true;
}

/* --- unreachable blocks --- */

static void drop_input(struct ir_node *n, unsigned i)
{
    memmove(&n->inputs[i], &n->inputs[i + 1],
            (n->num_inputs - i - 1u) * sizeof *n->inputs);
    n->num_inputs--;
}

void ir_drop_predecessor(struct ir_block *b, unsigned i)
{
    struct ir_node *n;

    for (n = b->first; n && n->op == IR_PHI; n = n->next)
        drop_input(n, i);
    memmove(&b->predecessors[i], &b->predecessors[i + 1],
            (b->num_predecessors - i - 1u) * sizeof *b->predecessors);
    b->num_predecessors--;
}

static void drop_unreachable(struct sorter *s)
{
    struct ir_graph *g = s->g;
    unsigned i, k;

    for (i = s->left; i < g->num_blocks; i++) {
        struct ir_block *b = s->order[i];

        for (k = b->num_predecessors; k-- > 0;)
            if (!s->seen[b->predecessors[k]->id])
                ir_drop_predecessor(b, k);
    }
    for (i = 0; i < g->num_blocks; i++)
        if (!s->seen[i])
            while (g->blocks[i]->first)
                ir_remove(g->blocks[i]->first);
}

static bool number_blocks(struct ir_graph *g)
{
    struct sorter s = { .g = g };
    unsigned i;

    if (!post_order(&s))
        return false;
    drop_unreachable(&s);
    g->num_blocks -= s.left;
    g->blocks = s.order + s.left;
    g->blocks_room = g->num_blocks;
    for (i = 0; i < g->num_blocks; i++)
        g->blocks[i]->id = (uint16_t)i;
    return true;
}

/* --- dominators: Cooper, Harvey and Kennedy's way --- */

static struct ir_block *common_dominator(struct ir_block *a,
                                         struct ir_block *b)
{
    while (a != b) {
        while (a->id > b->id)
            a = a->dominator;
        while (b->id > a->id)
            b = b->dominator;
    }
    return a;
}

static bool find_dominator(struct ir_block *b)
{
    struct ir_block *d = NULL;
    unsigned i;

    for (i = 0; i < b->num_predecessors; i++) {
        struct ir_block *p = b->predecessors[i];

        if (p->dominator)
            d = d ? common_dominator(d, p) : p;
    }
    if (d == b->dominator)
        return false;
    b->dominator = d;
    return true;
}

static void find_dominators(struct ir_graph *g)
{
    bool changed = true;
    unsigned i;

    for (i = 0; i < g->num_blocks; i++)
        g->blocks[i]->dominator = NULL;
    g->entry->dominator = g->entry;
    while (changed) {
        changed = false;
        for (i = 1; i < g->num_blocks; i++)
            changed |= find_dominator(g->blocks[i]);
    }
    g->entry->dominator = NULL;
}

bool ir_dominates(const struct ir_block *a, const struct ir_block *b)
{
    while (b && b != a)
        b = b->dominator;
    return b != NULL;
}

/* --- loops --- */

/* All blocks from which `from` is reached without passing `head`. */
static void deepen_loop(struct ir_graph *g, struct ir_block *head, bool *in,
                        struct ir_block **work)
{
    unsigned left = 0, i;

    memset(in, 0, g->num_blocks);
    in[head->id] = true;
    head->loop_depth++;
    for (i = 0; i < head->num_predecessors; i++)
        if (head->predecessors[i]->id >= head->id)
            work[left++] = head->predecessors[i];
    while (left) {
        struct ir_block *b = work[--left];

        if (in[b->id])
            continue;
        in[b->id] = true;
        b->loop_depth++;
        for (i = 0; i < b->num_predecessors; i++)
            work[left++] = b->predecessors[i];
    }
}

static void find_loops(struct ir_graph *g)
{
    struct ir_block **work =
        ir_take(g, 2 * (g->num_blocks + 1) * sizeof *work);
    bool *in = ir_take(g, g->num_blocks);
    unsigned i, k;

    for (i = 0; i < g->num_blocks; i++) {
        g->blocks[i]->loop_depth = 0;
        g->blocks[i]->is_loop = false;
    }
    for (i = 0; i < g->num_blocks && !g->failed; i++) {
        struct ir_block *b = g->blocks[i];

        for (k = 0; k < b->num_predecessors; k++) {
            struct ir_block *p = b->predecessors[k];

            if (p->id < b->id)
                continue;
            b->is_loop = true;
            g->failed |= !ir_dominates(b, p);
        }
        if (b->is_loop && !g->failed)
            deepen_loop(g, b, in, work);
    }
}

void ir_sort_blocks(struct ir_graph *g)
{
    int tries;

    for (tries = 0; tries < 2 && !g->failed; tries++) {
        if (!number_blocks(g))
            return;
        find_dominators(g);
        find_loops(g);
    }
}
