/*
 * ir_jumps.c - ways that only meet to part again. What `and:` or an inlined
 * method answers is a phi of true and false, and the branch on it comes next:
 * who brings true goes where true goes.
 *
 * Blocks that are passed over hold phis and their end, at most a guard of the
 * phi, and nobody else uses these; so no value has to be merged anew. A
 * loop's first block is never one: its loop would get a second entry.
 */
#include "vm/jit/ir_private.h"

enum { MAX_PREDECESSORS = 60 };

/* How often a state's own link, not its callers, refers to `n`. */
static unsigned times_in(const struct ir_state *s, const struct ir_node *n)
{
    unsigned times = 0, i;

    for (i = 0; s && i < (unsigned)s->num_temps + s->num_values; i++)
        times += s->values[i] == n;
    return times;
}

static bool is_shared(const struct ir_graph *g, const struct ir_node *user)
{
    const struct ir_node *n;
    unsigned i;

    for (i = 0; i < g->num_blocks; i++)
        for (n = g->blocks[i]->first; n; n = n->next)
            if (n != user && n->state == user->state)
                return true;
    return false;
}

static unsigned index_of(const struct ir_block *b, const struct ir_block *from)
{
    unsigned i = 0;

    while (b->predecessors[i] != from)
        i++;
    return i;
}

/* `from`, which goes nowhere else, goes to `to` instead. */
static void redirect(struct ir_graph *g, struct ir_block *from,
                     struct ir_block *to)
{
    from->num_successors = 0;
    ir_add_edge(g, from, to);
}

/* --- a join of joins --- */

/* Are the block's phis, and there is nothing else in it, for those of the
 * next one only? */
static bool only_joins(const struct ir_block *b, const struct ir_block *to)
{
    unsigned at = index_of(to, b);
    const struct ir_node *p, *q;

    for (p = b->first; p->op == IR_PHI; p = p->next) {
        unsigned uses = 0;

        for (q = to->first; q->op == IR_PHI; q = q->next)
            uses += q->inputs[at] == p;
        if (uses != p->uses)
            return false;
    }
    return p->op == IR_GOTO;
}

/* What a phi of the next block gets from the `i`th predecessor of `b`. */
static struct ir_node *value_from(const struct ir_block *b, unsigned i,
                                  struct ir_node *value)
{
    return value->op == IR_PHI && value->block == b ? value->inputs[i] : value;
}

/* The predecessors go where the block would. */
static bool pass_join(struct ir_graph *g, struct ir_block *b)
{
    struct ir_block *to = b->successors[0];
    unsigned at, i;
    struct ir_node *q;

    if (b == g->entry || b->is_loop || b->num_successors != 1 ||
        b->num_predecessors < 2 || to->is_loop ||
        b->num_predecessors + to->num_predecessors > MAX_PREDECESSORS ||
        !only_joins(b, to))
        return false;
    at = index_of(to, b);
    for (i = 0; i < b->num_predecessors; i++) {
        for (q = to->first; q->op == IR_PHI; q = q->next)
            ir_add_input(g, q, value_from(b, i, q->inputs[at]));
        redirect(g, b->predecessors[i], to);
    }
    b->num_predecessors = 0;
    return true;
}

/* --- a branch on a join --- */

/* The block's only phi if it branches on that and does nothing else. */
static struct ir_node *branches_on(const struct ir_graph *g,
                                   const struct ir_block *b)
{
    struct ir_node *p = b->first, *n = p->next, *guard = NULL;

    if (p->op != IR_PHI || p->rep != REP_OOP)
        return NULL;
    if (n->op == IR_GUARD_BOOLEAN && n->inputs[0] == p) {
        guard = n;
        n = n->next;
    }
    if (n->op != IR_BRANCH || n->inputs[0] != (guard ? guard : p))
        return NULL;
    if (p->uses != 1 + (guard ? times_in(guard->state, p) : 0))
        return NULL;
    if (guard && (guard->uses != 1 || is_shared(g, guard)))
        return NULL;
    return p;
}

/* A block on the way to a successor, which then may have predecessors beside
 * it: what a block that has two goes to has no other. */
static struct ir_block *make_between(struct ir_graph *g, struct ir_block *b,
                                     unsigned k)
{
    struct ir_block *to = b->successors[k], *between = ir_new_block(g);
    struct ir_block *other = b->successors[!k];

    if (g->failed)
        return to;
    between->is_cold = to->is_cold;
    ir_add(g, between, IR_GOTO, 0, NULL);
    b->num_successors = 0;
    ir_add_edge(g, b, between);
    b->num_successors = 2;
    b->successors[k] = between;
    b->successors[!k] = other;
    to->num_predecessors = 0;
    ir_add_edge(g, between, to);
    return to;
}

/* Who brings a constant goes where it leads. */
static bool pass_branch(struct ir_graph *g, struct ir_block *b)
{
    struct ir_block *to[2] = { NULL, NULL };
    const struct heap *h = &g->vm->heap;
    struct ir_node *p;
    unsigned i;

    if (b == g->entry || b->is_loop || b->num_successors != 2 ||
        b->num_predecessors > MAX_PREDECESSORS || !(p = branches_on(g, b)) ||
        b->successors[0]->first->op == IR_PHI ||
        b->successors[1]->first->op == IR_PHI)
        return false;
    for (i = b->num_predecessors; i-- > 0 && !g->failed;) {
        const struct ir_node *in = p->inputs[i];
        unsigned k = in->value != h->true_;

        if (in->op != IR_CONST || (k && in->value != h->false_))
            continue;
        if (!to[k])
            to[k] = make_between(g, b, k);
        redirect(g, b->predecessors[i], to[k]);
        ir_drop_predecessor(b, i);
    }
    return to[0] || to[1];
}

void ir_thread_jumps(struct ir_graph *g)
{
    unsigned n = g->num_blocks, i;
    bool changed = false;

    if (g->failed)
        return;
    ir_count_uses(g);
    for (i = 0; i < n && !g->failed; i++)
        if (pass_join(g, g->blocks[i]) || pass_branch(g, g->blocks[i]))
            changed = true;
    if (changed)
        ir_sort_blocks(g);
}
