/*
 * ir_flow.c - the builder's environments: as states, and where ways meet.
 *
 * Ways that meet forward are all known when their place is reached, since
 * bytecodes are built in order; phis stand for what differs. A loop's are
 * not: what it stores gets a phi at once, which each way back adds to. A
 * method entered in an inner loop comes to some places late in that way.
 */
#include "vm/jit/builder.h"

#include <string.h>

/* --- what can be reached --- */

/* Objects that matter at some place: those which values refer to. */
struct reach {
    struct builder *b;
    struct ir_object *items; /* room for MAX_OBJECTS */
    unsigned count;
    /* the fields of an object that is met first; NULL: nothing knows it */
    void (*fields)(struct reach *r, struct ir_object *o);
    struct edge *edges;
    struct ir_block *to;
    bool is_loop;
};

static void reach(struct reach *r, struct ir_node *n)
{
    struct ir_object o = { .id = n };
    unsigned i;

    if (!n || n->op != IR_OBJECT || r->b->g->failed)
        return;
    for (i = 0; i < r->count; i++)
        if (r->items[i].id == n)
            return;
    if (r->count == MAX_OBJECTS) {
        r->b->g->failed = true;
        return;
    }
    r->items[r->count].id = n;
    i = r->count++;
    r->fields(r, &o);
    r->items[i] = o;
    for (i = 0; i < o.num_fields; i++)
        reach(r, o.fields[i]);
}

static void reach_state(struct reach *r, const struct ir_state *s)
{
    unsigned i;

    for (; s && r->b->num_unmade; s = s->caller) {
        reach(r, s->receiver);
        reach(r, s->closure);
        for (i = 0; i < (unsigned)s->num_temps + s->num_values; i++)
            reach(r, s->values[i]);
    }
}

static void reach_scope(struct reach *r)
{
    const struct scope *s = r->b->scope;
    unsigned i;

    if (!r->b->num_unmade)
        return;
    reach(r, s->receiver);
    reach(r, s->closure);
    for (i = 0; i < s->num_temps + r->b->env.depth; i++)
        reach(r, r->b->env.values[i]);
    reach_state(r, s->caller_state);
}

static struct ir_object *reached(struct reach *r)
{
    struct ir_object *o =
        r->count ? ir_take(r->b->g, r->count * sizeof *o) : NULL;

    if (o)
        memcpy(o, r->items, r->count * sizeof *o);
    return o;
}

static void current_fields(struct reach *r, struct ir_object *o)
{
    const struct ir_object *now = find_object(&r->b->env, o->id);

    if (now)
        *o = *now;
    else
        r->b->g->failed = true;
}

/* --- states --- */

struct ir_state *state_at(struct builder *b, uint32_t bytecode,
                          unsigned dropped)
{
    struct ir_object items[MAX_OBJECTS];
    struct reach r = { .b = b, .items = items, .fields = current_fields };
    struct scope *s = b->scope;
    struct ir_state *state = ir_take(b->g, sizeof *state);
    unsigned n = s->num_temps + b->env.depth - dropped;
    struct ir_node **values = ir_take(b->g, (n + 1) * sizeof *values);

    if (b->g->failed)
        return state;
    memcpy(values, b->env.values, n * sizeof *values);
    *state = (struct ir_state){
        .caller = s->caller_state, .method = s->method, .bytecode = bytecode,
        .num_temps = (uint16_t)s->num_temps,
        .num_values = (uint16_t)(b->env.depth - dropped),
        .receiver = s->receiver, .closure = s->closure, .values = values,
    };
    reach_state(&r, state);
    state->num_objects = (uint16_t)r.count;
    state->objects = reached(&r);
    return state;
}

struct ir_state *state_before(struct builder *b)
{
    if (!b->before)
        b->before = state_at(b, b->at, 0);
    return b->before;
}

/* --- edges --- */

struct ir_block *new_block(struct builder *b, bool is_cold)
{
    struct ir_block *block = ir_new_block(b->g);

    block->is_cold = is_cold;
    return block;
}

void copy_env(struct builder *b, struct env *to, const struct env *from)
{
    unsigned room = scope_room(b->scope);

    *to = *from;
    to->values = ir_take(b->g, room * sizeof *to->values);
    if (to->values)
        memcpy(to->values, from->values,
               (b->scope->num_temps + from->depth) * sizeof *to->values);
}

void add_exit(struct builder *b, struct edge **exits, struct ir_node *value)
{
    struct edge *e = ir_take(b->g, sizeof *e);

    if (!e || !b->block)
        return;
    *e = (struct edge){ *exits, b->block, b->env, value };
    *exits = e;
    b->block = NULL;
}

static void connect(struct builder *b, struct ir_block *from,
                    struct ir_block *to)
{
    ir_add(b->g, from, IR_GOTO, 0, NULL);
    ir_add_edge(b->g, from, to);
}

/* All these go to a new block, which becomes the current one. */
static struct ir_block *meet_edges(struct builder *b, struct edge *edges)
{
    struct ir_block *to = new_block(b, true);
    struct edge *e;

    for (e = edges; e; e = e->next) {
        to->is_cold &= e->from->is_cold;
        connect(b, e->from, to);
    }
    b->block = to;
    return to;
}

/* --- values that meet --- */

static struct ir_node *unguarded(struct ir_node *n)
{
    while (n->op == IR_REFINE ||
           (n->op >= IR_GUARD_INT && n->op <= IR_GUARD_MUTABLE))
        n = n->inputs[0];
    return n;
}

static void join_type(struct ir_node *phi, const struct ir_node *in)
{
    if (phi->num_inputs == 1) {
        phi->type = in->type;
        phi->class_index = in->class_index;
        phi->rep = in->rep;
    } else if (phi->type != in->type ||
               phi->class_index != in->class_index) {
        phi->type = TYPE_ANY;
        phi->class_index = 0;
    }
}

/* Which value an edge brings: number i, a field, or the answer. */
struct selection {
    int value;
    const struct ir_node *object;
    unsigned field;
};

static struct ir_node *select_node(const struct edge *e,
                                   const struct selection *s)
{
    const struct ir_object *o;

    if (s->object) {
        o = find_object(&e->env, s->object);
        return o ? o->fields[s->field] : NULL;
    }
    return s->value < 0 ? e->value : e->env.values[s->value];
}

/* Objects cannot differ: they are needed then, unless nobody will look. */
static struct ir_node *give_up_objects(struct builder *b, struct edge *edges,
                                       const struct selection *s, bool dead)
{
    struct edge *e;

    for (e = edges; e && !dead; e = e->next) {
        struct ir_node *n = select_node(e, s);

        if (n && n->op == IR_OBJECT)
            escape(b, n);
    }
    return ir_constant(b->g, b->vm->heap.nil);
}

static struct ir_node *merge_nodes(struct builder *b, struct ir_block *to,
                                   struct edge *edges,
                                   const struct selection *s, bool dead)
{
    struct ir_node *first = select_node(edges, s), *n, *phi;
    bool same = true, object = false, guarded = true;
    struct edge *e;

    for (e = edges; e; e = e->next) {
        n = select_node(e, s);
        if (!n) {
            b->g->failed = true;
            return first;
        }
        same &= n == first;
        object |= n->op == IR_OBJECT;
        guarded &= unguarded(n) == unguarded(first);
    }
    if (same)
        return first;
    if (object)
        return give_up_objects(b, edges, s, dead);
    if (guarded)
        return unguarded(first);
    phi = ir_add(b->g, to, IR_PHI, 0, NULL);
    for (e = edges; e && !b->g->failed; e = e->next) {
        n = select_node(e, s);
        ir_add_input(b->g, phi, n);
        join_type(phi, n);
    }
    return phi;
}

/* A phi that ways back will add to. */
static struct ir_node *open_phi(struct builder *b, struct ir_block *loop,
                                struct ir_node *n)
{
    if (n->op == IR_OBJECT)
        return n;
    return ir_add(b->g, loop, IR_PHI, 1, &n);
}

static void merged_fields(struct reach *r, struct ir_object *o)
{
    struct builder *b = r->b;
    const struct ir_object *first = find_object(&r->edges->env, o->id);
    const struct unmade *u = unmade_of(b, o->id);
    struct selection s = { .object = o->id };

    if (!first || !u) {
        escape(b, o->id);
        b->g->failed = true;
        return;
    }
    o->num_fields = first->num_fields;
    o->fields = ir_take(b->g, (o->num_fields + 1) * sizeof *o->fields);
    for (s.field = 0; s.field < o->num_fields && !b->g->failed; s.field++)
        o->fields[s.field] =
            r->is_loop && u->is_mutable
                ? open_phi(b, r->to, first->fields[s.field])
                : merge_nodes(b, r->to, r->edges, &s, false);
}

static void merge_objects(struct builder *b, struct ir_block *to,
                          struct edge *edges, bool is_loop,
                          struct ir_node *value)
{
    struct ir_object items[MAX_OBJECTS];
    struct reach r = { .b = b, .items = items, .fields = merged_fields,
                       .edges = edges, .to = to, .is_loop = is_loop };

    reach(&r, value);
    reach_scope(&r);
    b->env.objects = reached(&r);
    b->env.num_objects = r.count;
}

struct ir_node *join(struct builder *b, struct edge *exits)
{
    struct selection answer = { .value = -1 };
    struct ir_node *value;
    struct ir_block *to;

    b->block = NULL;
    if (!exits || b->g->failed)
        return NULL;
    if (!exits->next) {
        b->block = exits->from;
        merge_objects(b, b->block, exits, false, exits->value);
        return exits->value;
    }
    to = meet_edges(b, exits);
    value = merge_nodes(b, to, exits, &answer, false);
    merge_objects(b, to, exits, false, value);
    return value;
}

/* --- which temps matter --- */

static uint64_t bit(uint32_t temp) { return temp < 64 ? 1ull << temp : 0; }

static uint64_t live_before(const uint64_t *live, const struct op *op,
                            uint64_t after)
{
    switch (op->kind) {
    case OP_PUSH_TEMP:
        return after | bit(op->index);
    case OP_PUSH_REMOTE: case OP_STORE_REMOTE:
        return after | bit(op->n);
    case OP_STORE_TEMP:
        return after & ~bit(op->index);
    case OP_JUMP:
        return live[op->target];
    case OP_JUMP_TRUE: case OP_JUMP_FALSE:
        return after | live[op->target];
    default:
        return op->kind >= OP_RETURN ? 0 : after;
    }
}

static bool find_live(const struct scope *s)
{
    uint64_t *live = s->body->live;
    bool changed = false;
    uint32_t at;

    for (at = s->body->limit; at-- > s->body->from;) {
        const struct op *op = op_at(s, at);
        uint64_t before;

        if (!is_reached(s, at))
            continue;
        before = live_before(live, op, op->kind >= OP_RETURN ||
                                       op->kind == OP_JUMP ? 0
                                                           : live[op->next]);
        changed |= before != live[at];
        live[at] = before;
    }
    return changed;
}

static bool is_dead(struct builder *b, unsigned value, uint32_t at)
{
    struct body *body = b->scope->body;

    if (value >= b->scope->num_temps)
        return false;
    if (!body->live) {
        body->live = ir_take(b->g, (body->limit + 1) * sizeof *body->live);
        while (body->live && find_live(b->scope))
            ;
    }
    return body->live && !(body->live[at] >> value & 1);
}

/* Where the loop at `at` ends: the last jump back into it. */
static uint32_t loop_end(const struct scope *s, uint32_t at)
{
    uint32_t end = at, i;
    bool changed = true;

    while (changed) {
        changed = false;
        for (i = end + 1; i < s->body->limit; i++) {
            const struct op *op = op_at(s, i);

            if (is_reached(s, i) && op->kind == OP_JUMP &&
                op->target >= at && op->target <= end) {
                end = i;
                changed = true;
            }
        }
    }
    return end;
}

static uint64_t stored_in_loop(const struct scope *s, uint32_t at)
{
    uint32_t end = loop_end(s, at), i;
    uint64_t stored = 0;

    for (i = at; i <= end; i++)
        if (is_reached(s, i) && op_at(s, i)->kind == OP_STORE_TEMP)
            stored |= bit(op_at(s, i)->index);
    return stored;
}

/* --- places where ways meet --- */

static void merge_env(struct builder *b, struct ir_block *to,
                      struct edge *edges, uint32_t at)
{
    struct selection s = { .value = 0 };
    unsigned n = b->scope->num_temps + edges->env.depth;

    copy_env(b, &b->env, &edges->env);
    for (; (unsigned)s.value < n && !b->g->failed; s.value++)
        b->env.values[s.value] =
            merge_nodes(b, to, edges, &s, is_dead(b, (unsigned)s.value, at));
    merge_objects(b, to, edges, false, NULL);
}

static void open_loop(struct builder *b, struct meeting *m, uint32_t at)
{
    struct scope *s = b->scope;
    bool all = b->all_meet && s->level == 0;
    uint64_t stored = all ? ~0ull : stored_in_loop(s, at);
    struct edge in = { .from = b->block, .env = b->env };
    struct ir_block *loop = new_block(b, b->block->is_cold);
    unsigned i;

    connect(b, b->block, loop);
    b->block = loop;
    for (i = 0; i < s->num_temps + b->env.depth; i++) {
        struct ir_node **v = &b->env.values[i];

        if (i < s->num_temps && !(stored >> i & 1))
            continue;
        if ((*v)->op == IR_OBJECT && is_dead(b, i, at))
            *v = ir_constant(b->g, b->vm->heap.nil);
        *v = open_phi(b, loop, *v);
    }
    merge_objects(b, loop, &in, true, NULL);
    m->block = loop;
    copy_env(b, &m->env, &b->env);
}

/* The edge keeps the environment as it is now. */
static void add_edge(struct builder *b, struct meeting *m)
{
    struct env now = b->env;

    copy_env(b, &b->env, &now);
    add_exit(b, &m->edges, NULL);
    b->env = now;
}

/* A way back brings `n` for what was `was`. */
static void close_phi(struct builder *b, const struct meeting *m,
                      struct ir_node *was, struct ir_node *n, bool dead)
{
    if (was->op == IR_PHI && was->block == m->block) {
        if (n->op == IR_OBJECT && dead)
            n = ir_constant(b->g, b->vm->heap.nil);
        else if (n->op == IR_OBJECT)
            escape(b, n);
        ir_add_input(b->g, was, n);
    } else if (unguarded(was) != unguarded(n)) {
        if (was->op == IR_OBJECT)
            escape(b, was);
        if (n->op == IR_OBJECT)
            escape(b, n);
        b->g->failed |= was->op != IR_OBJECT && n->op != IR_OBJECT;
    }
}

static void close_objects(struct builder *b, const struct meeting *m)
{
    unsigned i, k;

    for (i = 0; i < m->env.num_objects && !b->g->failed; i++) {
        const struct ir_object *was = &m->env.objects[i];
        const struct ir_object *now = find_object(&b->env, was->id);

        if (!now) {
            escape(b, was->id);
            return;
        }
        for (k = 0; k < was->num_fields; k++)
            close_phi(b, m, was->fields[k], now->fields[k], false);
    }
}

static void go_back(struct builder *b, struct meeting *m, uint32_t at)
{
    unsigned n = b->scope->num_temps + b->env.depth, i;

    for (i = 0; i < n && !b->g->failed; i++)
        close_phi(b, m, m->env.values[i], b->env.values[i],
                  is_dead(b, i, at));
    close_objects(b, m);
    if (!b->g->failed)
        connect(b, b->block, m->block);
    b->block = NULL;
}

static struct meeting *meeting_at(struct builder *b, uint32_t at)
{
    struct meeting *m;

    for (m = b->scope->meetings; m; m = m->next)
        if (m->at == at)
            return m;
    m = ir_take(b->g, sizeof *m);
    if (m) {
        m->at = at;
        m->next = b->scope->meetings;
        b->scope->meetings = m;
    }
    return m;
}

void go_to(struct builder *b, uint32_t target)
{
    struct meeting *m = b->block ? meeting_at(b, target) : NULL;

    if (!m)
        return;
    if (m->block)
        go_back(b, m, target);
    else
        add_edge(b, m);
}

/* The marker of an error has no operands, so depths agree: jit_verify. */
void meet(struct builder *b, uint32_t at)
{
    struct meeting *m = meeting_at(b, at);

    go_to(b, at);
    b->block = NULL;
    if (!m || m->block || !m->edges || b->g->failed)
        return;
    if (m->edges->next) {
        merge_env(b, meet_edges(b, m->edges), m->edges, at);
    } else {
        b->block = m->edges->from;
        copy_env(b, &b->env, &m->edges->env);
    }
    if (b->scope->body->places[at].is_loop ||
        (b->all_meet && b->scope->level == 0))
        open_loop(b, m, at);
}

/* --- phis that stand for one value --- */

static struct ir_node *resolved(struct ir_node *n)
{
    while (n->same_as)
        n = n->same_as;
    return n;
}

/* What all inputs of a phi are but itself; NULL: they differ. */
static struct ir_node *only_input(const struct ir_node *phi)
{
    struct ir_node *only = NULL;
    unsigned i;

    for (i = 0; i < phi->num_inputs; i++) {
        struct ir_node *in = resolved(phi->inputs[i]);

        if (phi->type == TYPE_ANY)
            in = resolved(unguarded(in));
        if (in == phi || in == only)
            continue;
        if (only)
            return NULL;
        only = in;
    }
    return only;
}

static bool remove_some_phis(struct ir_graph *g)
{
    bool changed = false;
    unsigned i;

    for (i = 0; i < g->num_blocks; i++) {
        struct ir_node *n = g->blocks[i]->first, *only;

        for (; n && n->op == IR_PHI; n = n->next) {
            if (n->same_as)
                continue;
            only = only_input(n);
            n->same_as = only;
            changed |= only != NULL;
        }
    }
    return changed;
}

void remove_trivial_phis(struct ir_graph *g)
{
    while (remove_some_phis(g))
        ;
    ir_replace_marked(g);
}
