/*
 * ir_alloc.c - what lives where and for how long: the order of blocks, sets
 * of living values, and slots of the frame, which values share whose lives
 * do not meet.
 */
#include "vm/jit/emitter.h"

#include <stdlib.h>
#include <string.h>

/* --- nodes --- */

static bool is_alias(const struct ir_node *n)
{
    return n->op >= IR_GUARD_INT && n->op <= IR_REFINE;
}

static bool needs_state(const struct ir_node *n)
{
    return n->state && (ir_fails(n) || ir_infos[n->op].flags & OP_STATE ||
                        n->op == IR_NEW_ARRAY);
}

bool has_place(const struct emitter *e, const struct ir_node *n)
{
    return n->op == IR_RECEIVER || n->op == IR_CLOSURE ||
           (n->op == IR_ARGUMENT && (unsigned)n->index < e->frame_temps);
}

static void visit_inputs(struct emitter *e, struct ir_node *n,
                         value_visitor visit, void *data)
{
    unsigned i;

    if (n->op == IR_BRANCH && info_of(e, value_of(n->inputs[0]))->fused)
        n = value_of(n->inputs[0]);
    else if (info_of(e, n)->fused)
        return;
    for (i = 0; i < n->num_inputs; i++)
        if (is_value(value_of(n->inputs[i])))
            visit(e, value_of(n->inputs[i]), data);
}

/* --- what a state keeps --- */

static void keep(struct ir_state *s, struct ir_node *n)
{
    unsigned i;

    n = value_of(n);
    if (!is_value(n))
        return;
    for (i = 0; i < s->num_kept; i++)
        if (s->kept[i] == n)
            return;
    s->kept[s->num_kept++] = n;
}

/* States are looked at over and over, and mostly hold constants. */
static void find_kept(struct ir_graph *g, struct ir_state *s)
{
    unsigned n = (unsigned)s->num_temps + s->num_values, room = n + 2, i, k;

    for (i = 0; i < s->num_objects; i++)
        room += s->objects[i].num_fields;
    s->kept = ir_take(g, room * sizeof *s->kept);
    if (!s->kept)
        return;
    s->num_kept = 0;
    keep(s, s->receiver);
    if (s->closure)
        keep(s, s->closure);
    for (i = 0; i < n; i++)
        keep(s, s->values[i]);
    k = s->num_kept;
    for (i = 0; i < s->num_objects; i++)
        for (n = 0; n < s->objects[i].num_fields; n++)
            keep(s, s->objects[i].fields[n]);
    s->num_in_objects = (uint16_t)(s->num_kept - k);
    s->num_kept = (uint16_t)k;
}

static void visit_objects(struct emitter *e, const struct ir_state *s,
                          value_visitor visit, void *data)
{
    unsigned i;

    for (i = 0; i < s->num_in_objects; i++)
        visit(e, s->kept[s->num_kept + i], data);
}

static void visit_link(struct emitter *e, const struct ir_state *s,
                       value_visitor visit, void *data)
{
    unsigned i;

    for (i = 0; i < s->num_kept; i++)
        visit(e, s->kept[i], data);
}

void visit_state_values(struct emitter *e, const struct ir_state *s,
                        value_visitor visit, void *data)
{
    visit_objects(e, s, visit, data);
    for (; s; s = s->caller)
        visit_link(e, s, visit, data);
}

void visit_uses(struct emitter *e, struct ir_node *n, value_visitor visit,
                void *data)
{
    const struct ir_state *s = n->state;
    unsigned own = info_of(e, n)->own_states;

    visit_inputs(e, n, visit, data);
    if (!needs_state(n))
        return;
    visit_objects(e, s, visit, data);
    for (; own; own--, s = s->caller)
        visit_link(e, s, visit, data);
}

static void find_all_kept(struct ir_graph *g)
{
    uint32_t mark = ++g->mark;
    unsigned i;

    for (i = 0; i < g->num_nodes && !g->failed; i++) {
        struct ir_node *n = g->nodes[i];
        struct ir_state *s = n->block && needs_state(n) ? n->state : NULL;

        for (; s && s->mark != mark; s = s->caller) {
            s->mark = mark;
            find_kept(g, s);
        }
    }
}

/* Nodes share states, and states the states of their callers. */
static void find_own_states(struct emitter *e, const struct ir_block *b)
{
    uint32_t mark = ++e->g->mark;
    struct ir_node *n;

    for (n = b->last; n; n = n->previous) {
        struct ir_state *s = needs_state(n) ? n->state : NULL;

        for (; s && s->mark != mark; s = s->caller) {
            s->mark = mark;
            info_of(e, n)->own_states++;
        }
    }
}

static void find_aliases(struct ir_graph *g)
{
    unsigned i;

    for (i = 0; i < g->num_nodes; i++) {
        struct ir_node *n = g->nodes[i], *v = n;

        while (is_alias(v))
            v = v->inputs[0];
        n->same_as = v == n ? NULL : v;
        n->reg = -1;
        n->slot = -1;
    }
}

/* A value used in another block, or by a phi, has a number. */
static void give_number(struct emitter *e, struct ir_node *v)
{
    if (v->number)
        return;
    v->number = ++e->num_numbers;
    e->numbered[v->number] = v;
}

static void count_use(struct emitter *e, struct ir_node *v, void *block)
{
    info_of(e, v)->uses++;
    if (v->block != block)
        give_number(e, v);
}

static void count_uses(struct emitter *e)
{
    struct ir_graph *g = e->g;
    struct ir_node *n;
    unsigned i, k;

    for (i = 0; i < g->num_blocks; i++)
        for (n = g->blocks[i]->first; n; n = n->next) {
            visit_uses(e, n, count_use, g->blocks[i]);
            if (n->op != IR_PHI)
                continue;
            give_number(e, n);
            for (k = 0; k < n->num_inputs; k++)
                if (is_value(value_of(n->inputs[k])))
                    give_number(e, value_of(n->inputs[k]));
        }
    e->set_words = e->num_numbers / 64 + 1;
}

/* --- tests joined with branches --- */

static bool is_test(const struct ir_node *n)
{
    return n->op == IR_COMPARE || n->op == IR_COMPARE_WORD ||
           n->op == IR_FCOMPARE || n->op == IR_IS_CLASS ||
           n->op == IR_IS_INT || n->op == IR_IDENTICAL;
}

static void fuse_tests(struct emitter *e)
{
    unsigned i;

    for (i = 0; i < e->g->num_blocks; i++) {
        struct ir_block *b = e->g->blocks[i];
        struct ir_node *test;

        if (b->last->op != IR_BRANCH)
            continue;
        test = value_of(b->last->inputs[0]);
        if (is_test(test) && test->block == b &&
            info_of(e, test)->uses == 1)
            info_of(e, test)->fused = true;
    }
}

/* --- the order of blocks: rare ones last --- */

static void find_cold_blocks(struct ir_graph *g)
{
    unsigned i, k;

    for (i = g->num_blocks; i-- > 0;) {
        struct ir_block *b = g->blocks[i];
        bool cold = b->num_successors > 0;

        for (k = 0; k < b->num_successors; k++)
            cold &= b->successors[k]->is_cold &&
                    b->successors[k]->id > b->id;
        b->is_cold |= cold || b->last->op == IR_FAIL;
    }
    g->entry->is_cold = false;
    for (i = 0; i < g->num_blocks; i++) {
        struct ir_block *b = g->blocks[i];
        bool cold = b->num_predecessors > 0;

        for (k = 0; k < b->num_predecessors; k++)
            cold &= b->predecessors[k]->is_cold ||
                    b->predecessors[k]->id >= b->id;
        b->is_cold |= cold && b != g->entry;
    }
}

/* Every block but the first has a predecessor before it. */
static void order_blocks(struct emitter *e)
{
    struct ir_graph *g = e->g;
    unsigned i, n = 0, cold;

    find_cold_blocks(g);
    for (cold = 0; cold < 2; cold++)
        for (i = 0; i < g->num_blocks; i++)
            if (g->blocks[i]->is_cold == cold)
                e->order[n++] = g->blocks[i];
}

static void number_positions(struct emitter *e)
{
    uint32_t at = 1;
    unsigned i;

    for (i = 0; i < e->g->num_blocks; i++) {
        struct block_info *b = &e->blocks[e->order[i]->id];
        struct ir_node *n;

        b->from = at++;
        for (n = e->order[i]->first; n; n = n->next)
            info_of(e, n)->from = info_of(e, n)->to = at++;
        b->to = at++;
    }
}

/* --- living values --- */

static void put(uint64_t *set, const struct ir_node *n)
{
    if (n->number)
        set[n->number / 64] |= 1ull << (n->number % 64);
}
static void drop(uint64_t *set, const struct ir_node *n)
{
    if (n->number)
        set[n->number / 64] &= ~(1ull << (n->number % 64));
}
static void put_value(struct emitter *e, struct ir_node *v, void *set)
{
    put(set, v);
}

struct ir_node *next_in(const struct emitter *e, const uint64_t *set,
                        unsigned i)
{
    unsigned w = ++i / 64;
    uint64_t bits = w < e->set_words ? set[w] >> i % 64 << i % 64 : 0;

    while (!bits && ++w < e->set_words)
        bits = set[w];
    return bits ? e->numbered[64 * w + (unsigned)__builtin_ctzll(bits)]
                : NULL;
}

/* What successors need, and the inputs of their phis. */
static void live_at_end(struct emitter *e, const struct ir_block *b,
                        uint64_t *live, bool wanted)
{
    unsigned i, k, w;

    memset(live, 0, 8 * e->set_words);
    for (i = 0; i < b->num_successors; i++) {
        const struct ir_block *s = b->successors[i];
        struct block_info *to = &e->blocks[s->id];
        struct ir_node *phi;

        for (w = 0; w < e->set_words; w++)
            live[w] |= wanted ? to->want[w] : to->live_in[w];
        for (k = 0; s->predecessors[k] != b; k++)
            ;
        for (phi = s->first; phi && phi->op == IR_PHI; phi = phi->next)
            if (is_value(value_of(phi->inputs[k])))
                put(live, value_of(phi->inputs[k]));
    }
}

/* What a block uses before defining it, and what it defines; of `wanted`
 * uses only those before any send. */
static void use_and_define(struct emitter *e, const struct ir_block *b,
                           uint64_t *uses, uint64_t *defines, bool wanted)
{
    struct ir_node *n;

    memset(uses, 0, 8 * e->set_words);
    memset(defines, 0, 8 * e->set_words);
    for (n = b->last; n; n = n->previous) {
        if (wanted && n->op == IR_SEND)
            memset(uses, 0, 8 * e->set_words);
        drop(uses, n);
        put(defines, n);
        if (n->op == IR_PHI)
            continue;
        if (wanted)
            visit_inputs(e, n, put_value, uses);
        else
            visit_uses(e, n, put_value, uses);
    }
}

static bool has_send(const struct ir_block *b)
{
    const struct ir_node *n;

    for (n = b->first; n && n->op != IR_SEND; n = n->next)
        ;
    return n != NULL;
}

/* A loop's blocks have ids that follow each other. */
bool find_loop_uses(struct emitter *e, const struct ir_block *header)
{
    unsigned i, w, last = header->id;

    for (i = 0; i < header->num_predecessors; i++)
        if (header->predecessors[i]->id > last)
            last = header->predecessors[i]->id;
    memset(e->scratch_set, 0, 8 * e->set_words);
    for (i = header->id; i <= last; i++) {
        if (e->g->blocks[i]->is_cold)
            continue;
        if (has_send(e->g->blocks[i]))
            return false;
        for (w = 0; w < e->set_words; w++)
            e->scratch_set[w] |= e->wanted_uses[2 * i * e->set_words + w];
    }
    return true;
}

/* From a block's end to its beginning; true: it was not known before. */
static bool flow(struct emitter *e, const struct ir_block *b,
                 const uint64_t *uses, const uint64_t *defines,
                 uint64_t *live, bool wanted)
{
    struct block_info *to = &e->blocks[b->id];
    uint64_t *result = wanted ? to->want : to->live_in, old;
    bool changed = false, through = !wanted || !has_send(b);
    unsigned w;

    live_at_end(e, b, live, wanted);
    if (!wanted)
        memcpy(to->live_out, live, 8 * e->set_words);
    for (w = 0; w < e->set_words; w++) {
        old = result[w];
        result[w] = uses[w] | (through ? live[w] & ~defines[w] : 0);
        changed |= result[w] != old;
    }
    return changed;
}

/* `sets` has room for two of each block. */
static void find_living(struct emitter *e, uint64_t *sets, uint64_t *live,
                        bool wanted)
{
    unsigned i, two = 2 * e->set_words;
    bool changed;

    for (i = 0; i < e->g->num_blocks; i++)
        use_and_define(e, e->g->blocks[i], sets + i * two,
                       sets + i * two + e->set_words, wanted);
    do {
        changed = false;
        for (i = e->g->num_blocks; i-- > 0;)
            changed |= flow(e, e->g->blocks[i], sets + i * two,
                            sets + i * two + e->set_words, live, wanted);
    } while (changed);
}

/* Phis drop out of `want` at their own block: those wanted are put back. */
static void want_phis(struct emitter *e, const struct ir_block *b,
                      uint64_t *live)
{
    struct ir_node *n;

    if (!b->first || b->first->op != IR_PHI)
        return;
    live_at_end(e, b, live, true);
    for (n = b->last; n && n->op != IR_PHI; n = n->previous) {
        if (n->op == IR_SEND)
            memset(live, 0, 8 * e->set_words);
        visit_inputs(e, n, put_value, live);
    }
    for (n = b->first; n && n->op == IR_PHI; n = n->next)
        if (in_set(live, n))
            put(e->blocks[b->id].want, n);
}

/* --- values that live across sends --- */

struct crossing {
    const struct ir_node *send;
    uint32_t at;
};

/* A value of an inner loop is stored at the send. */
static void cross(struct emitter *e, struct ir_node *v, void *data)
{
    const struct crossing *c = data;

    if (v != c->send && !has_place(e, v) &&
        v->block->loop_depth <= c->send->block->loop_depth)
        info_of(e, v)->stored = info_of(e, v)->needs_slot = true;
}

/* One that lives in the block only, and is used behind the send. */
static void cross_local(struct emitter *e, struct ir_node *v, void *data)
{
    const struct crossing *c = data;

    if (!v->number && info_of(e, v)->from < c->at)
        cross(e, v, data);
}

static void cross_send(struct emitter *e, const uint64_t *live,
                       const struct ir_node *send)
{
    struct crossing c = { send, info_of(e, send)->from };
    struct ir_node *v, *n;

    for (v = next_in(e, live, 0); v; v = next_in(e, live, v->number))
        cross(e, v, &c);
    visit_state_values(e, send->state, cross, &c);
    for (n = send->next; n; n = n->next)
        visit_uses(e, n, cross_local, &c);
}

static void find_crossing(struct emitter *e, uint64_t *live)
{
    unsigned i;

    for (i = 0; i < e->g->num_blocks; i++) {
        struct ir_block *b = e->g->blocks[i];
        struct ir_node *n;

        if (b->is_cold || !has_send(b))
            continue;
        memcpy(live, e->blocks[b->id].live_out, 8 * e->set_words);
        for (n = b->last; n && n->op != IR_PHI; n = n->previous) {
            if (n->op == IR_SEND)
                cross_send(e, live, n);
            drop(live, n);
            visit_uses(e, n, put_value, live);
        }
    }
}

/* --- slots --- */

static void extend(struct value_info *v, uint32_t at)
{
    if (at < v->from)
        v->from = at;
    if (at > v->to)
        v->to = at;
}

static void extend_to(struct emitter *e, struct ir_node *v, void *at)
{
    extend(info_of(e, v), *(uint32_t *)at);
}

static void extend_set(struct emitter *e, const uint64_t *set, uint32_t at)
{
    const struct ir_node *n;

    for (n = next_in(e, set, 0); n; n = next_in(e, set, n->number))
        extend(info_of(e, n), at);
}

/* A phi's slot is written at the ends of the blocks before. */
static void extend_phi(struct emitter *e, const struct ir_node *phi)
{
    const struct ir_block *b = phi->block;
    unsigned i;

    extend(info_of(e, phi), e->blocks[b->id].from);
    for (i = 0; i < b->num_predecessors; i++)
        extend(info_of(e, phi), e->blocks[b->predecessors[i]->id].to);
}

static void find_lives(struct emitter *e)
{
    unsigned i;

    for (i = 0; i < e->g->num_blocks; i++) {
        struct ir_block *b = e->order[i];
        uint32_t at = e->blocks[b->id].from;
        struct ir_node *n;

        extend_set(e, e->blocks[b->id].live_in, e->blocks[b->id].from);
        extend_set(e, e->blocks[b->id].live_out, e->blocks[b->id].to);
        for (n = b->first; n; n = n->next) {
            at++;
            if (n->op == IR_PHI) {
                extend_phi(e, n);
                continue;
            }
            visit_uses(e, n, extend_to, &at);
        }
    }
}

static int by_start(const void *a, const void *b)
{
    const struct value_info *const *x = a, *const *y = b;

    return (*x)->from < (*y)->from ? -1 : (*x)->from > (*y)->from;
}

/* With arguments and the callee's frame they must fit what a page has below
 * its limit. */
enum { MAX_SLOTS = 80 };

/* One that a loop is entered with. */
static bool is_operand(const struct emitter *e, const struct ir_node *n)
{
    return n->op == IR_ARGUMENT && e->g->entered_at && n->block &&
           (unsigned)n->index >= e->frame_temps;
}

/* Slots of one kind, `first` of them in use already. Answers how many. */
static unsigned share_slots(struct emitter *e, struct value_info **sorted,
                            bool raw, unsigned first)
{
    uint32_t busy_until[MAX_SLOTS] = { 0 };
    unsigned i, n = 0, s, used = first;

    for (i = 0; i < e->g->num_nodes; i++)
        if (e->info[i].needs_slot &&
            (e->g->nodes[i]->rep != REP_OOP) == raw &&
            !is_operand(e, e->g->nodes[i]))
            sorted[n++] = &e->info[i];
    qsort(sorted, n, sizeof *sorted, by_start);
    for (i = 0; i < n; i++) {
        for (s = first; s < used && busy_until[s] >= sorted[i]->from; s++)
            ;
        if (s >= MAX_SLOTS) {
            e->failed = true;
            return used;
        }
        if (s == used)
            used++;
        busy_until[s] = sorted[i]->to;
        e->g->nodes[sorted[i] - e->info]->slot = (int16_t)s;
    }
    return used;
}

/* The operands that a loop is entered with come first and keep their slots. */
static void place_arguments(struct emitter *e)
{
    unsigned i;

    for (i = 0; i < e->g->num_nodes; i++) {
        struct ir_node *n = e->g->nodes[i];

        if (is_operand(e, n))
            n->slot = (int16_t)((unsigned)n->index - e->frame_temps);
    }
}

void alloc_slots(struct emitter *e)
{
    struct value_info **sorted =
        malloc((e->g->num_nodes + 1) * sizeof *sorted);

    if (!sorted) {
        e->failed = true;
        return;
    }
    place_arguments(e);
    e->num_raw_slots = share_slots(e, sorted, true, 0);
    e->num_oop_slots = share_slots(e, sorted, false, e->num_operands);
    e->failed |= e->num_raw_slots + e->num_oop_slots > MAX_SLOTS;
    free(sorted);
}

/* --- all of it --- */

static void count_operands(struct emitter *e)
{
    unsigned i;

    for (i = 0; i < e->g->num_nodes; i++) {
        const struct ir_node *n = e->g->nodes[i];

        if (is_operand(e, n) &&
            (unsigned)n->index >= e->frame_temps + e->num_operands)
            e->num_operands = (unsigned)n->index - e->frame_temps + 1;
    }
}

static bool make_tables(struct emitter *e)
{
    struct ir_graph *g = e->g;
    unsigned i;

    e->info = ir_take(g, (g->num_nodes + 1) * sizeof *e->info);
    e->blocks = ir_take(g, (g->num_blocks + 1) * sizeof *e->blocks);
    e->order = ir_take(g, (g->num_blocks + 1) * sizeof(struct ir_block *));
    e->numbered = ir_take(g, (g->num_nodes + 2) * sizeof(struct ir_node *));
    for (i = 0; !g->failed && i < g->num_nodes; i++)
        e->info[i].hint = -1;
    return !g->failed;
}

/* Five sets of each block, two of them for this file, and another. */
static uint64_t *make_sets(struct emitter *e)
{
    struct ir_graph *g = e->g;
    uint64_t *sets =
        ir_take(g, (5 * (size_t)g->num_blocks + 1) * e->set_words * 8);
    unsigned i;

    for (i = 0; sets && i < g->num_blocks; i++) {
        e->blocks[i].live_in = sets + 3 * i * (size_t)e->set_words;
        e->blocks[i].live_out = e->blocks[i].live_in + e->set_words;
        e->blocks[i].want = e->blocks[i].live_out + e->set_words;
    }
    return sets ? sets + 3 * (size_t)g->num_blocks * e->set_words : NULL;
}

/* Only nodes that are of the graph keep an id. */
static void renumber_nodes(struct ir_graph *g)
{
    unsigned i, n = 0;

    for (i = 0; i < g->num_nodes; i++)
        if (g->nodes[i]->block || !is_value(g->nodes[i])) {
            g->nodes[n] = g->nodes[i];
            g->nodes[n]->id = (uint16_t)n;
            g->nodes[n]->number = 0;
            n++;
        }
    g->num_nodes = n;
}

bool alloc_prepare(struct emitter *e)
{
    struct ir_graph *g = e->g;
    uint64_t *sets, *live;
    unsigned i;

    renumber_nodes(g);
    if (!make_tables(e))
        return false;
    find_aliases(g);
    find_all_kept(g);
    if (g->failed)
        return false;
    count_operands(e);
    for (i = 0; i < g->num_blocks; i++)
        find_own_states(e, g->blocks[i]);
    count_uses(e);
    sets = make_sets(e);
    if (!sets)
        return false;
    live = sets + 2 * (size_t)g->num_blocks * e->set_words;
    fuse_tests(e);
    order_blocks(e);
    number_positions(e);
    find_living(e, sets, live, false);
    find_living(e, sets, live, true);
    e->wanted_uses = sets;
    e->scratch_set = live;
    for (i = 0; i < g->num_blocks; i++)
        want_phis(e, g->blocks[i], live);
    find_crossing(e, live);
    find_lives(e);
    return true;
}
