/*
 * ir_exits.c - the way out of optimised code: code that stands behind the
 * code, and the tables that tell where an activation's values are.
 *
 * A guard's exit, and a safepoint that something awaits, push the values that
 * are in registers only, so that these need no slots: the pushed ones lie
 * behind the frame's slots. Words are pushed as SmallIntegers, for the
 * collector looks at what is pushed; doubles have slots.
 */
#include "vm/jit/emitter.h"

#include <stdlib.h>
#include <string.h>

/* --- code for later --- */

struct later *new_later(struct emitter *e,
                        void (*emit)(struct emitter *, struct later *))
{
    static struct later spare;
    struct later *l = e->spare_laters;

    if (l) {
        e->spare_laters = l->next;
        *l = (struct later){ .next = NULL };
    } else {
        l = ir_take(e->g, sizeof *l);
    }
    if (!l) {
        e->failed = true;
        l = &spare;
        *l = (struct later){ .emit = emit };
        return l;
    }
    l->emit = emit;
    l->in = l->out = (struct label)LABEL_INIT;
    l->node = e->at;
    l->held = e->now;
    *e->last_later = l;
    e->last_later = &l->next;
    return l;
}

void emit_laters(struct emitter *e)
{
    struct later *l;

    for (l = e->laters; l && !e->failed; l = l->next) {
        asm_bind(&e->a, &l->in);
        l->emit(e, l);
    }
}

/* --- words behind the code --- */

static struct constant *find_constant(struct emitter *e, struct constant **list,
                                      struct constant ***last, uint64_t word,
                                      unsigned *index)
{
    static struct constant spare;
    struct constant *c;
    unsigned i = 0;

    for (c = *list; c && c->word != word; c = c->next)
        i++;
    if (index)
        *index = i;
    if (c)
        return c;
    c = ir_take(e->g, sizeof *c);
    if (!c) {
        e->failed = true;
        return &spare;
    }
    c->word = word;
    c->label = (struct label)LABEL_INIT;
    **last = c;
    *last = &c->next;
    return c;
}

struct label *pool_oop(struct emitter *e, oop o, unsigned *index)
{
    unsigned i;
    struct constant *c = find_constant(e, &e->pool, &e->last_pool, o, &i);

    if (i >= e->pool_count)
        e->pool_count = i + 1;
    if (index)
        *index = i;
    return &c->label;
}

struct label *pool_word(struct emitter *e, uint64_t word)
{
    return &find_constant(e, &e->words, &e->last_word, word, NULL)->label;
}

/* --- tables --- */

/* Room for `more` elements of a table; false: no memory. */
static bool grow(struct emitter *e, void *table, unsigned used, unsigned more,
                 unsigned *room, size_t element)
{
    void *p;
    unsigned wanted = *room ? *room : 32;

    if (used + more <= *room)
        return true;
    while (wanted < used + more)
        wanted *= 2;
    memcpy(&p, table, sizeof p);
    p = realloc(p, wanted * element);
    if (!p) {
        e->failed = true;
        return false;
    }
    memcpy(table, &p, sizeof p);
    *room = wanted;
    return true;
}

static struct where here(enum where_kind kind, int32_t at)
{
    return (struct where){ .kind = kind, .at = at };
}

static struct where where_constant(struct emitter *e, const struct ir_node *n)
{
    const struct heap *h = &e->vm->heap;
    oop o = n->value;
    unsigned i;

    if (n->op == IR_CONST && o == h->nil)
        return here(WHERE_HEAP, offsetof(struct heap, nil));
    if (n->op == IR_CONST && o == h->true_)
        return here(WHERE_HEAP, offsetof(struct heap, true_));
    if (n->op == IR_CONST && o == h->false_)
        return here(WHERE_HEAP, offsetof(struct heap, false_));
    if (n->op == IR_CONST_WORD)
        o = int_oop((int64_t)n->value);
    if (n->op == IR_CONST_DOUBLE) {
        double d;

        memcpy(&d, &n->value, sizeof d);
        o = heap_float(&e->vm->heap, d);
        e->failed |= !o;
    }
    pool_oop(e, o, &i);
    return here(WHERE_POOL, (int32_t)i);
}

static struct where where_object(struct emitter *e, const struct ir_state *s,
                                 const struct ir_node *n)
{
    int32_t i;

    for (i = 0; i < s->num_objects; i++)
        if (s->objects[i].id == n)
            return here(WHERE_OBJECT, i);
    e->failed = true;
    return here(WHERE_NOTHING, 0);
}

/* `s` is the innermost state, which lists the objects. */
static struct where where_of(struct emitter *e, const struct ir_state *s,
                             struct ir_node *n)
{
    const struct value_info *v;
    int32_t slot;

    if (!n)
        return here(WHERE_NOTHING, 0);
    n = value_of(n);
    v = info_of(e, n);
    if (is_constant(n))
        return where_constant(e, n);
    if (n->op == IR_OBJECT)
        return where_object(e, s, n);
    if (n->op == IR_CONTEXT)
        return here(WHERE_FRAME_CONTEXT, n->index);
    if (n->op == IR_RECEIVER)
        return here(WHERE_RECEIVER, 0);
    if (n->op == IR_CLOSURE)
        return here(WHERE_CLOSURE, 0);
    if (has_place(e, n))
        return here(WHERE_TEMP, n->index);
    if (v->pushed)
        return here(WHERE_SLOT, v->pushed - 1);
    place_of(e, n); /* asks for a slot */
    slot = n->slot;
    if (n->rep == REP_OOP)
        return here(WHERE_SLOT, slot + (int32_t)e->num_raw_slots);
    return here(n->rep == REP_DOUBLE ? WHERE_DOUBLE : WHERE_WORD, slot);
}

static void add_where(struct emitter *e, struct where w)
{
    if (grow(e, &e->wheres, e->num_wheres, 1, &e->wheres_room, sizeof w))
        e->wheres[e->num_wheres++] = w;
}

static void add_frame(struct emitter *e, const struct ir_state *innermost,
                      const struct ir_state *s)
{
    unsigned i, method, n = (unsigned)s->num_temps + s->num_values;
    struct deopt_frame f = { .bytecode = s->bytecode, .num_values = n };

    pool_oop(e, s->method, &method);
    f.method = method;
    f.receiver = where_of(e, innermost, s->receiver);
    f.closure = where_of(e, innermost, s->closure);
    f.values = e->num_wheres;
    for (i = 0; i < n; i++)
        add_where(e, where_of(e, innermost, s->values[i]));
    if (grow(e, &e->frames, e->num_frames, 1, &e->frames_room, sizeof f))
        e->frames[e->num_frames++] = f;
}

static void add_object(struct emitter *e, const struct ir_state *s,
                       const struct ir_object *o)
{
    struct deopt_object d = { .class_index = o->id->class_index,
                              .format = o->id->format,
                              .num_fields = (uint16_t)o->num_fields,
                              .fields = e->num_wheres };
    unsigned i;

    for (i = 0; i < o->num_fields; i++)
        add_where(e, where_of(e, s, o->fields[i]));
    if (grow(e, &e->objects, e->num_objects, 1, &e->objects_room, sizeof d))
        e->objects[e->num_objects++] = d;
}

static void add_point(struct emitter *e, enum point_kind kind,
                      unsigned selector, unsigned argc, unsigned class,
                      struct deopt_place place)
{
    if (!grow(e, &e->points, e->num_points, 1, &e->points_room,
              sizeof *e->points) ||
        !grow(e, &e->places, e->num_points, 1, &e->places_room,
              sizeof *e->places))
        return;
    e->points[e->num_points] = (struct point){
        .native = e->a.used, .bytecode = class, .kind = (uint8_t)kind,
        .argc = (uint8_t)argc, .selector = (uint16_t)selector,
    };
    e->places[e->num_points++] = place;
}

void add_place(struct emitter *e, enum point_kind kind,
               const struct ir_state *s, unsigned selector, unsigned argc,
               unsigned class)
{
    struct deopt_place place = { .frames = e->num_frames,
                                 .objects = e->num_objects };
    const struct ir_state *frames[DEOPT_MAX_FRAMES], *f;
    unsigned n = 0, i;

    for (f = s; f && n < DEOPT_MAX_FRAMES; f = f->caller)
        frames[n++] = f;
    if (f || s->num_objects > DEOPT_MAX_OBJECTS) {
        e->failed = true;
        return;
    }
    for (i = 0; i < s->num_objects; i++)
        add_object(e, s, &s->objects[i]);
    place.num_objects = s->num_objects;
    place.num_frames = (uint16_t)n;
    while (n-- > 0)
        add_frame(e, s, frames[n]);
    add_point(e, kind, selector, argc, class, place);
}

void add_entry_place(struct emitter *e, unsigned copied)
{
    struct deopt_place place = { .frames = e->num_frames,
                                 .objects = e->num_objects, .num_frames = 1 };
    oop method = e->g->method;
    struct deopt_frame f = { .num_values = e->g->num_temps,
                             .receiver = here(WHERE_RECEIVER, 0),
                             .closure = here(WHERE_NOTHING, 0) };
    unsigned i, fixed = e->num_raw_slots + e->num_oop_slots;

    if (e->g->copied >= 0)
        f.closure = here(WHERE_CLOSURE, 0);
    f.bytecode = e->g->start ? e->g->start
                 : code_first_pc(method) +
                       (code_has_primitive(method) ? 3u : 0u);
    f.values = e->num_wheres;
    for (i = 0; i < e->g->num_temps; i++)
        add_where(e, i < e->frame_temps ? here(WHERE_TEMP, (int32_t)i)
                     : i < e->frame_temps + copied
                         ? here(WHERE_SLOT,
                                (int32_t)(fixed + i - e->frame_temps))
                         : here(WHERE_HEAP, offsetof(struct heap, nil)));
    if (grow(e, &e->frames, e->num_frames, 1, &e->frames_room, sizeof f))
        e->frames[e->num_frames++] = f; /* method 0: pool[0] */
    add_point(e, POINT_RESUME, 0, 0, 0, place);
}

/* --- registers that are pushed --- */

/* Puts what is in needed registers only where the tables can name it. */
static void save_held(struct emitter *e, const struct later *l)
{
    unsigned r, slot = e->num_raw_slots + e->num_oop_slots;

    for (r = 0; r < NUM_REGS; r++) {
        struct ir_node *n = l->held.node[r];

        if (!(l->needed >> r & 1))
            continue;
        if (r >= XMM) {
            asm_store_double(&e->a, place_of(e, n), r - XMM);
            continue;
        }
        if (n->rep == REP_WORD) {
            asm_shift(&e->a, SHL, r, 3);
            asm_alu_imm(&e->a, OR, r, TAG_INTEGER);
        }
        asm_push(&e->a, r);
        info_of(e, n)->pushed = (uint16_t)++slot;
    }
}

static void forget_pushes(struct emitter *e, const struct later *l)
{
    unsigned r;

    for (r = 0; r < XMM; r++)
        if (l->needed >> r & 1)
            info_of(e, l->held.node[r])->pushed = 0;
}

static void need_held(struct emitter *e, struct ir_node *n, void *data)
{
    struct later *l = data;

    if (n->reg >= 0 && !(e->now.clean >> n->reg & 1) && !has_place(e, n))
        l->needed |= 1u << n->reg;
}

/* --- guards --- */

/* The sum that overflowed is in x, where one of the operands was. */
static void undo_addition(struct emitter *e, struct later *l)
{
    bool add = l->node->op == IR_ADD;

    if (l->y == NO_REG)
        asm_alu_imm(&e->a, add ? SUB : ADD, l->x, l->constant);
    else if (add)
        asm_alu(&e->a, SUB, l->x, l->y);
    else
        asm_alu(&e->a, ADD, l->x, l->y);
}

static void emit_exit(struct emitter *e, struct later *l)
{
    if (l->undo)
        undo_addition(e, l);
    save_held(e, l);
    asm_call_to(&e->a, e->j->stubs.deopt);
    add_place(e, POINT_EXIT, l->node->state, 0, 0, 0);
    forget_pushes(e, l);
}

struct later *new_exit(struct emitter *e, struct ir_node *n)
{
    struct later *l = new_later(e, emit_exit);

    l->node = n;
    if (n->state)
        visit_state_values(e, n->state, need_held, l);
    else
        e->failed = true;
    return l;
}

/* Does everything that an exit needs lie where it lay? */
static bool is_same(const struct emitter *e, const struct later *l,
                    uint32_t needed)
{
    unsigned r;

    if (l->needed != needed)
        return false;
    for (r = 0; r < NUM_REGS; r++)
        if (needed >> r & 1 && l->held.node[r] != e->now.node[r])
            return false;
    return true;
}

struct label *exit_of(struct emitter *e, struct ir_node *n)
{
    struct later probe = { .needed = 0 }, *last = e->last_exit;

    if (last && n->state && last->node->state == n->state) {
        visit_state_values(e, n->state, need_held, &probe);
        if (is_same(e, last, probe.needed))
            return &last->in;
    }
    e->last_exit = new_exit(e, n);
    return &e->last_exit->in;
}

/* --- safepoints of loops --- */

static void restore_held(struct emitter *e, const struct later *l)
{
    unsigned r;

    for (r = NUM_REGS; r-- > 0;) {
        struct ir_node *n = l->held.node[r];

        if (n && r < XMM && l->needed >> r & 1) {
            asm_pop(&e->a, r);
            if (n->rep == REP_WORD)
                asm_shift(&e->a, SAR, r, 3);
        } else if (n) {
            load(e, r, n);
        }
    }
}

static void later_safepoint(struct emitter *e, struct later *l)
{
    save_held(e, l);
    asm_call_to(&e->a, e->j->stubs.safepoint);
    add_place(e, POINT_RESUME, l->node->state, 0, 0, 0);
    asm_push(&e->a, RAX);
    restore_held(e, l);
    forget_pushes(e, l);
    asm_jmp(&e->a, &l->out);
}

void emit_safepoint(struct emitter *e, struct ir_node *n)
{
    struct later *l = new_later(e, later_safepoint);
    unsigned r;

    for (r = 0; r < NUM_REGS; r++)
        if (e->now.node[r] && is_value(e->now.node[r]))
            need_held(e, e->now.node[r], l);
    asm_alu_load(&e->a, CMP, RSP, VM(stack_limit));
    asm_jcc(&e->a, IF_BELOW, &l->in);
    asm_bind(&e->a, &l->out);
    release(e, n);
}
