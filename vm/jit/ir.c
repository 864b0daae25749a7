/*
 * ir.c - nodes, blocks and states of a graph: making and changing them.
 *
 * Owns the arena that all of a graph lives in and the table of what each
 * operation is. Printing and verifying are in ir_check.c, the order of
 * blocks in ir_order.c.
 */
#include "vm/jit/ir_private.h"

#include <stdlib.h>
#include <string.h>

/* --- operations --- */

const struct ir_info ir_infos[NUM_IR_OPS] = {
#define IR_OP(op, rep, type, flags) \
    [IR_##op] = { #op, REP_##rep, TYPE_##type, flags },
#include "vm/jit/ir_ops.def"
#undef IR_OP
};

const char *ir_name(enum ir_op op) { return ir_infos[op].name; }

bool ir_has_effect(const struct ir_node *n)
{
    return ir_infos[n->op].flags & OP_EFFECT || ir_fails(n);
}

bool ir_fails(const struct ir_node *n)
{
    if (ir_infos[n->op].flags & OP_MAY_FAIL)
        return n->index != 0;
    return ir_infos[n->op].flags & OP_FAILS;
}

/* --- the arena --- */

struct ir_chunk {
    struct ir_chunk *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
};

/* Fresh memory costs more than what is done in it: some is kept for the next
 * graph. All of a chunk that is not in use is zero. */
enum { CHUNK = 64 << 10, SPARE_CHUNKS = 8 };

static struct ir_chunk *take_spare(struct jit *j)
{
    struct ir_chunk *c = j->spare_chunks;

    if (c) {
        j->spare_chunks = c->next;
        j->num_spare_chunks--;
    }
    return c;
}

static void give_back(struct jit *j, struct ir_chunk *c)
{
    if (!j || c->size != CHUNK || j->num_spare_chunks == SPARE_CHUNKS) {
        free(c);
        return;
    }
    memset(c->bytes, 0, c->used);
    c->used = 0;
    c->next = j->spare_chunks;
    j->spare_chunks = c;
    j->num_spare_chunks++;
}

void ir_free_spare(struct jit *j)
{
    struct ir_chunk *c;

    while ((c = take_spare(j)) != NULL)
        free(c);
}

/* The first graphs are made while a program is waited for most. */
void ir_make_spare(struct jit *j)
{
    while (j->num_spare_chunks < SPARE_CHUNKS) {
        struct ir_chunk *c = calloc(1, sizeof *c + CHUNK);

        if (!c)
            return;
        c->size = CHUNK;
        give_back(j, c);
    }
}

static struct ir_chunk *new_chunk(struct ir_graph *g, size_t bytes)
{
    size_t size = bytes > CHUNK ? bytes : CHUNK;
    struct ir_chunk *c = NULL;

    if (size == CHUNK && g->vm->jit)
        c = take_spare(g->vm->jit);
    if (!c)
        c = calloc(1, sizeof *c + size);
    if (!c)
        return NULL;
    c->size = size;
    c->next = g->chunks;
    g->chunks = c;
    return c;
}

void *ir_take(struct ir_graph *g, size_t bytes)
{
    struct ir_chunk *c = g->chunks;
    void *p;

    bytes = (bytes + 15) & ~(size_t)15;
    if (!c || c->size - c->used < bytes)
        c = new_chunk(g, bytes);
    if (!c) {
        g->failed = true;
        return NULL;
    }
    p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

/* Room for one more element of an array in the arena, doubled as needed. */
static bool make_room(struct ir_graph *g, void *array, unsigned used,
                      unsigned *room, size_t element)
{
    unsigned more = *room ? 2 * *room : 4;
    void *p, *old;

    if (used < *room)
        return true;
    p = ir_take(g, more * element);
    if (!p)
        return false;
    memcpy(&old, array, sizeof old);
    if (used)
        memcpy(p, old, used * element);
    memcpy(array, &p, sizeof p);
    *room = more;
    return true;
}

/* --- graphs --- */

struct ir_graph *ir_new_graph(struct vm *vm, oop method)
{
    struct ir_graph *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->vm = vm;
    g->method = method;
    g->copied = -1;
    g->num_temps = code_num_temps(method);
    g->num_args = code_num_args(method);
    g->spare = ir_take(g, sizeof *g->spare);
    g->spare_block = ir_take(g, sizeof *g->spare_block);
    if (!g->failed) {
        g->spare->inputs = ir_take(g, IR_MAX_INPUTS * sizeof *g->spare->inputs);
        g->spare_block->predecessors =
            ir_take(g, 2 * sizeof *g->spare_block->predecessors);
        g->entry = ir_new_block(g);
    }
    if (g->failed) {
        ir_free_graph(g);
        return NULL;
    }
    return g;
}

void ir_free_graph(struct ir_graph *g)
{
    struct ir_chunk *c, *next;

    for (c = g->chunks; c; c = next) {
        next = c->next;
        give_back(g->vm->jit, c);
    }
    free(g);
}

struct ir_block *ir_new_block(struct ir_graph *g)
{
    struct ir_block *b = ir_take(g, sizeof *b);

    if (!b || g->num_blocks == IR_MAX_NODES ||
        !make_room(g, &g->blocks, g->num_blocks, &g->blocks_room,
                   sizeof *g->blocks)) {
        g->failed = true;
        return g->spare_block;
    }
    b->id = (uint16_t)g->num_blocks;
    g->blocks[g->num_blocks++] = b;
    return b;
}

void ir_add_edge(struct ir_graph *g, struct ir_block *from,
                 struct ir_block *to)
{
    unsigned room = to->room;

    if (g->failed || from->num_successors == 2 || to == g->spare_block ||
        !make_room(g, &to->predecessors, to->num_predecessors, &room,
                   sizeof *to->predecessors)) {
        g->failed = true;
        return;
    }
    to->room = (uint16_t)room;
    to->predecessors[to->num_predecessors++] = from;
    from->successors[from->num_successors++] = to;
}

/* --- nodes --- */

static struct ir_node *spare(struct ir_graph *g)
{
    struct ir_node **inputs = g->spare->inputs;

    g->failed = true;
    *g->spare = (struct ir_node){ .inputs = inputs, .reg = -1, .slot = -1,
                                  .room = IR_MAX_INPUTS };
    return g->spare;
}

static void append(struct ir_block *b, struct ir_node *n)
{
    n->block = b;
    n->previous = b->last;
    n->next = NULL;
    if (b->last)
        b->last->next = n;
    else
        b->first = n;
    b->last = n;
}

/* Phis stand before everything else. */
static void place(struct ir_block *b, struct ir_node *n)
{
    struct ir_node *at = b->first;

    while (n->op == IR_PHI && at && at->op == IR_PHI)
        at = at->next;
    if (n->op == IR_PHI && at)
        ir_insert_before(at, n);
    else
        append(b, n);
}

struct ir_node *ir_add(struct ir_graph *g, struct ir_block *b, enum ir_op op,
                       unsigned num_inputs, struct ir_node *const *inputs)
{
    struct ir_node *n = g->failed || num_inputs > 255
                            ? NULL : ir_take(g, sizeof *n);
    unsigned i;

    if (!n || g->num_nodes == IR_MAX_NODES ||
        !make_room(g, &g->nodes, g->num_nodes, &g->nodes_room,
                   sizeof *g->nodes))
        return spare(g);
    n->op = (uint8_t)op;
    n->rep = ir_infos[op].rep;
    n->type = ir_infos[op].type;
    n->reg = -1;
    n->slot = -1;
    n->inputs = num_inputs ? ir_take(g, num_inputs * sizeof *inputs) : NULL;
    if (g->failed)
        return spare(g);
    for (i = 0; i < num_inputs; i++)
        n->inputs[i] = inputs[i];
    n->num_inputs = n->room = (uint8_t)num_inputs;
    n->id = (uint16_t)g->num_nodes;
    g->nodes[g->num_nodes++] = n;
    if (b)
        place(b, n);
    return n;
}

void ir_add_input(struct ir_graph *g, struct ir_node *n, struct ir_node *in)
{
    unsigned room = n->room;

    if (n->num_inputs == 255 ||
        (n->num_inputs == room &&
         !make_room(g, &n->inputs, n->num_inputs, &room, sizeof in))) {
        g->failed = true;
        return;
    }
    n->room = (uint8_t)(room > 255 ? 255 : room);
    n->inputs[n->num_inputs++] = in;
}

void ir_insert_before(struct ir_node *place, struct ir_node *n)
{
    n->block = place->block;
    n->next = place;
    n->previous = place->previous;
    if (place->previous)
        place->previous->next = n;
    else
        place->block->first = n;
    place->previous = n;
}

void ir_remove(struct ir_node *n)
{
    struct ir_block *b = n->block;

    if (!b)
        return;
    if (n->previous)
        n->previous->next = n->next;
    else
        b->first = n->next;
    if (n->next)
        n->next->previous = n->previous;
    else
        b->last = n->previous;
    n->block = NULL;
    n->next = n->previous = NULL;
}

static void set_constant_type(struct ir_graph *g, struct ir_node *n, oop o)
{
    const struct heap *h = &g->vm->heap;

    if (is_int(o))
        n->type = TYPE_INT;
    else if (is_char(o))
        n->type = TYPE_CHARACTER;
    else if (heap_is_float(o))
        n->type = TYPE_FLOAT;
    else if (o == h->true_ || o == h->false_)
        n->type = TYPE_BOOLEAN;
    else if (is_pointer(o))
        n->type = TYPE_CLASS;
    n->class_index = n->type == TYPE_CLASS ? class_index_of(o) : 0;
}

struct ir_node *ir_constant(struct ir_graph *g, oop o)
{
    struct ir_node *n;

    o = heap_follow(o);
    for (n = g->entry->first; n; n = n->next)
        if (n->op == IR_CONST && n->value == o)
            return n;
    n = ir_add(g, NULL, IR_CONST, 0, NULL);
    n->value = o;
    if (g->failed)
        return n;
    set_constant_type(g, n, o);
    if (g->entry->first)
        ir_insert_before(g->entry->first, n);
    else
        place(g->entry, n);
    return n;
}

/* --- uses --- */

typedef void use_visitor(struct ir_node **use);

/* Shows all that a state refers to, its callers too, unless they were shown
 * under this mark already. */
static void visit_state(struct ir_state *s, uint32_t mark, use_visitor *visit)
{
    unsigned i, k;

    for (; s && s->mark != mark; s = s->caller) {
        s->mark = mark;
        visit(&s->receiver);
        if (s->closure)
            visit(&s->closure);
        for (i = 0; i < (unsigned)s->num_temps + s->num_values; i++)
            visit(&s->values[i]);
        for (i = 0; i < s->num_objects; i++) {
            visit(&s->objects[i].id);
            for (k = 0; k < s->objects[i].num_fields; k++)
                visit(&s->objects[i].fields[k]);
        }
    }
}

/* Shows every reference to a node, each state's once. */
static void visit_uses(struct ir_graph *g, use_visitor *visit)
{
    uint32_t mark = ++g->mark;
    unsigned i, k;

    for (i = 0; i < g->num_blocks; i++) {
        struct ir_node *n;

        for (n = g->blocks[i]->first; n; n = n->next) {
            for (k = 0; k < n->num_inputs; k++)
                visit(&n->inputs[k]);
            visit_state(n->state, mark, visit);
        }
    }
}

static void count_use(struct ir_node **use) { (*use)->uses++; }

void ir_count_uses(struct ir_graph *g)
{
    unsigned i;

    for (i = 0; i < g->num_nodes; i++)
        g->nodes[i]->uses = 0;
    visit_uses(g, count_use);
}

static void replace_marked(struct ir_node **use)
{
    while ((*use)->same_as)
        *use = (*use)->same_as;
}

void ir_replace_marked(struct ir_graph *g)
{
    unsigned i;

    visit_uses(g, replace_marked);
    for (i = 0; i < g->num_nodes; i++)
        if (g->nodes[i]->same_as) {
            ir_remove(g->nodes[i]);
            g->nodes[i]->same_as = NULL;
        }
}
