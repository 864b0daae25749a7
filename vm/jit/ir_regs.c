/*
 * ir_regs.c - which register holds what, while code is emitted.
 *
 * A value that lives is in a register or in memory at every moment. Where
 * several blocks lead to one, the first to be emitted decides which values
 * come in which registers, and the others move theirs there.
 */
#include "vm/jit/emitter.h"

#define SPARE ((1u << RBX) | (1u << RSP) | (1u << RBP) | (1u << R10) | \
               (1u << R11) | (3u << XMM))

static const uint8_t order[] = { RSI, RDI, R8, R9, RCX, RDX, RAX, R14, R15,
                                 R12, R13 };
enum { NUM_ORDER = 11 };

static bool is_double(const struct ir_node *n)
{
    return n->rep == REP_DOUBLE;
}

static uint32_t class_of(bool doubles)
{
    return (doubles ? 0xffff0000u : 0xffffu) & ~SPARE;
}

int reg_of(const struct ir_node *n) { return n->reg; }

static void put(struct emitter *e, unsigned r, struct ir_node *n, bool clean)
{
    e->now.node[r] = n;
    e->now.clean = (e->now.clean & ~(1u << r)) | (uint32_t)clean << r;
    n->reg = (int8_t)r;
}

static void clear(struct emitter *e, unsigned r)
{
    if (e->now.node[r])
        e->now.node[r]->reg = -1;
    e->now.node[r] = NULL;
    e->now.clean &= ~(1u << r);
}

static bool is_clean(const struct emitter *e, unsigned r)
{
    const struct ir_node *n = e->now.node[r];

    return e->now.clean >> r & 1 || !is_value(n) || has_place(e, n);
}

static bool lives(const struct emitter *e, const struct ir_node *n)
{
    return info_of(e, n)->remaining ||
           in_set(e->blocks[e->block->id].live_out, n);
}

/* --- memory --- */

struct mem place_of(struct emitter *e, struct ir_node *n)
{
    int32_t slot = n->slot;

    if (n->op == IR_RECEIVER)
        return AT(RBP, 8 * FRAME_RECEIVER);
    if (n->op == IR_CLOSURE)
        return AT(RBP, 8 * FRAME_CLOSURE);
    if (has_place(e, n))
        return AT(RBP, 8 * ((int32_t)e->frame_temps + 1 - n->index));
    if (slot < 0) {
        info_of(e, n)->needs_slot = e->again = true;
        slot = 0;
    }
    if (n->rep == REP_OOP)
        slot += (int32_t)e->num_raw_slots;
    return AT(RBP, 8 * (FRAME_OPERANDS - slot));
}

static void store_at(struct emitter *e, struct mem m, unsigned r)
{
    if (r >= XMM)
        asm_store_double(&e->a, m, r - XMM);
    else
        asm_store(&e->a, m, r);
}

void load_oop(struct emitter *e, enum reg r, oop o)
{
    const struct heap *h = &e->vm->heap;

    if (is_immediate(o))
        asm_imm(&e->a, r, o);
    else if (o == h->nil)
        asm_load(&e->a, r, HEAP(nil));
    else if (o == h->true_)
        asm_load(&e->a, r, HEAP(true_));
    else if (o == h->false_)
        asm_load(&e->a, r, HEAP(false_));
    else
        asm_load_label(&e->a, r, pool_oop(e, o, NULL));
}

static void load_constant(struct emitter *e, unsigned r,
                          const struct ir_node *n)
{
    struct assembler *a = &e->a;

    if (n->op == IR_CONST_DOUBLE && n->value == 0)
        asm_xor_doubles(a, r - XMM, r - XMM);
    else if (n->op == IR_CONST_DOUBLE)
        asm_load_double_label(a, r - XMM, pool_word(e, n->value));
    else if (n->op == IR_CONST_WORD)
        asm_imm(a, r, n->value);
    else
        load_oop(e, r, n->value);
}

void load(struct emitter *e, unsigned r, struct ir_node *n)
{
    if (is_constant(n))
        load_constant(e, r, n);
    else if (r >= XMM)
        asm_load_double(&e->a, r - XMM, place_of(e, n));
    else
        asm_load(&e->a, r, place_of(e, n));
}

void push_oop(struct emitter *e, oop o)
{
    const struct heap *h = &e->vm->heap;
    struct assembler *a = &e->a;

    if (is_immediate(o) && (int64_t)o == (int32_t)o) {
        asm_push_imm(a, (int32_t)o);
    } else if (is_immediate(o)) {
        asm_imm(a, R10, o);
        asm_push(a, R10);
    } else if (o == h->nil) {
        asm_push_mem(a, HEAP(nil));
    } else if (o == h->true_) {
        asm_push_mem(a, HEAP(true_));
    } else if (o == h->false_) {
        asm_push_mem(a, HEAP(false_));
    } else {
        asm_push_label(a, pool_oop(e, o, NULL));
    }
}

void push_held(struct emitter *e, const struct held *held, struct ir_node *n)
{
    unsigned r;

    n = value_of(n);
    for (r = 0; r < XMM && held->node[r] != n; r++)
        ;
    if (r < XMM)
        asm_push(&e->a, r);
    else if (is_constant(n))
        push_oop(e, n->value);
    else
        asm_push_mem(&e->a, place_of(e, n));
}

/* --- eviction --- */

/* It leaves its register though it lives: the next pass stores it at once,
 * unless that is in an inner loop or this is rare. */
static void evict(struct emitter *e, unsigned r)
{
    struct ir_node *n = e->now.node[r];

    if (n && is_value(n) && lives(e, n) && !is_clean(e, r)) {
        struct value_info *v = info_of(e, n);

        store_at(e, place_of(e, n), r);
        if (!v->stored && !e->block->is_cold && n->block &&
            n->block->loop_depth <= e->block->loop_depth)
            v->stored = e->again = true;
    }
    clear(e, r);
}

/* How far it is to the next use in the block. */
static unsigned next_use(struct emitter *e, const struct ir_node *v)
{
    enum { HORIZON = 40 };
    struct ir_node *n = e->at;
    unsigned i, k;

    for (i = 1; n && i < HORIZON; n = n->next, i++)
        for (k = 0; k < n->num_inputs; k++)
            if (value_of(n->inputs[k]) == v)
                return i;
    if (!is_value(v))
        return 3 * HORIZON;
    return lives(e, v) ? 2 * HORIZON : 4 * HORIZON;
}

static unsigned take(struct emitter *e, bool doubles)
{
    uint32_t mask = class_of(doubles) & ~e->locked;
    unsigned i, r, best = doubles ? XMM + 2 : RAX, farthest = 0;

    for (i = 0; i < (doubles ? 14u : NUM_ORDER); i++) {
        unsigned distance;

        r = doubles ? XMM + 2 + i : order[i];
        if (!(mask >> r & 1))
            continue;
        if (!e->now.node[r])
            return r;
        distance = next_use(e, e->now.node[r]);
        if (distance > farthest) {
            farthest = distance;
            best = r;
        }
    }
    if (!farthest)
        e->failed = true;
    evict(e, best);
    return best;
}

/* --- operations --- */

unsigned use(struct emitter *e, struct ir_node *n)
{
    n = value_of(n);
    if (n->reg < 0) {
        unsigned r = take(e, is_double(n));

        load(e, r, n);
        put(e, r, n, true);
    }
    e->locked |= 1u << n->reg;
    return n->reg >= XMM ? (unsigned)n->reg - XMM : (unsigned)n->reg;
}

unsigned define(struct emitter *e, struct ir_node *n, int prefer)
{
    int hint = info_of(e, n)->hint;
    unsigned r;

    if (prefer >= 0 && !e->now.node[prefer])
        r = (unsigned)prefer;
    else if (hint >= 0 && !e->now.node[hint] && !(e->locked >> hint & 1))
        r = (unsigned)hint;
    else
        r = take(e, is_double(n));
    put(e, r, n, false);
    e->locked |= 1u << r;
    return r >= XMM ? r - XMM : r;
}

static void use_up(struct emitter *e, struct ir_node *v, void *data)
{
    struct value_info *i = info_of(e, v);

    if (i->remaining)
        i->remaining--;
    if (v->reg >= 0 && !lives(e, v))
        clear(e, (unsigned)v->reg);
}

void release(struct emitter *e, struct ir_node *n)
{
    visit_uses(e, n, use_up, NULL);
}

struct uses_of {
    const struct ir_node *value;
    uint32_t count;
};

static void count_own(struct emitter *e, struct ir_node *v, void *data)
{
    struct uses_of *u = data;

    u->count += v == u->value;
}

bool dies_at(struct emitter *e, const struct ir_node *v, struct ir_node *n)
{
    struct uses_of u = { v, 0 };

    if (!is_value(v))
        return false;
    visit_uses(e, n, count_own, &u);
    return info_of(e, v)->remaining == u.count &&
           !in_set(e->blocks[e->block->id].live_out, v);
}

void finish(struct emitter *e, struct ir_node *n)
{
    if (n->reg < 0)
        return;
    if (info_of(e, n)->stored) {
        store_at(e, place_of(e, n), (unsigned)n->reg);
        e->now.clean |= 1u << n->reg;
    }
    if (!lives(e, n))
        clear(e, (unsigned)n->reg);
}

void claim(struct emitter *e, enum reg r)
{
    struct ir_node *n = e->now.node[r];
    uint32_t free_regs = class_of(false) & ~e->locked & ~(1u << r);
    unsigned i;
    bool clean;

    e->locked |= 1u << r;
    if (!n)
        return;
    for (i = 0; i < NUM_ORDER; i++)
        if (free_regs >> order[i] & 1 && !e->now.node[order[i]])
            break;
    if (i == NUM_ORDER || !is_value(n) || !lives(e, n)) {
        evict(e, r);
        return;
    }
    clean = e->now.clean >> r & 1;
    asm_mov(&e->a, order[i], r);
    clear(e, r);
    put(e, order[i], n, clean);
}

/* --- calls --- */

static void store_held(struct emitter *e, struct ir_node *n, void *data)
{
    if (n->reg >= 0 && !is_clean(e, (unsigned)n->reg)) {
        store_at(e, place_of(e, n), (unsigned)n->reg);
        e->now.clean |= 1u << n->reg;
    }
}

static void regs_forget(struct emitter *e)
{
    unsigned r;

    for (r = 0; r < NUM_REGS; r++)
        clear(e, r);
}

void regs_to_memory(struct emitter *e, struct ir_node *call)
{
    unsigned r;

    visit_state_values(e, call->state, store_held, NULL);
    release(e, call);
    for (r = 0; r < NUM_REGS; r++)
        if (e->now.node[r] && is_value(e->now.node[r]))
            store_held(e, e->now.node[r], NULL);
    regs_forget(e);
}

/* --- from block to block --- */

static void reset_remaining(struct emitter *e, struct ir_node *v, void *data)
{
    info_of(e, v)->remaining = 0;
}

static void count_remaining(struct emitter *e, struct ir_node *v, void *data)
{
    info_of(e, v)->remaining++;
}

static void count_block(struct emitter *e, const struct ir_block *b,
                        value_visitor count)
{
    struct ir_node *n;

    for (n = b->first; n; n = n->next)
        if (n->op != IR_PHI)
            visit_uses(e, n, count, NULL);
}

void regs_enter(struct emitter *e, struct ir_block *b)
{
    struct block_info *info = &e->blocks[b->id];
    struct ir_node *n;
    unsigned r;

    regs_forget(e);
    e->block = b;
    for (n = b->first; n; n = n->next)
        info_of(e, n)->remaining = 0;
    for (r = 0; r < NUM_REGS; r++) {
        n = info->held.node[r];
        if (!n)
            continue;
        put(e, r, n, info->held.clean >> r & 1);
        info_of(e, n)->remaining = 0;
    }
    count_block(e, b, reset_remaining);
    count_block(e, b, count_remaining);
    for (r = 0; r < NUM_REGS; r++)
        if (e->now.node[r] && is_value(e->now.node[r]) &&
            !lives(e, e->now.node[r]))
            clear(e, r);
}

void regs_branch(struct emitter *e, struct ir_block *to)
{
    struct block_info *info = &e->blocks[to->id];

    info->held = e->now;
    info->entered = true;
}

static unsigned predecessor_number(const struct ir_block *b,
                                   const struct ir_block *to)
{
    unsigned k = 0;

    while (to->predecessors[k] != b)
        k++;
    return k;
}

/* A register for a phi whose input is `in`, or NUM_REGS. */
static unsigned phi_register(struct emitter *e, const struct held *held,
                             const struct ir_node *phi,
                             const struct ir_node *in)
{
    unsigned i, r;

    if (in->reg >= 0 && !held->node[in->reg] && is_value(in))
        return (unsigned)in->reg;
    for (i = 0; i < (is_double(phi) ? 14u : NUM_ORDER); i++) {
        r = is_double(phi) ? XMM + 2 + i : order[i];
        if (!held->node[r] && !e->now.node[r])
            return r;
    }
    for (i = 0; i < (is_double(phi) ? 14u : NUM_ORDER); i++) {
        r = is_double(phi) ? XMM + 2 + i : order[i];
        if (!held->node[r])
            return r;
    }
    return NUM_REGS;
}

/* --- loops --- */

static bool in_memory_already(const struct emitter *e,
                              const struct ir_node *n)
{
    return info_of(e, n)->stored || has_place(e, n);
}

static unsigned num_free(const struct held *held, bool doubles)
{
    unsigned i, n = 0;

    for (i = 0; i < (doubles ? 14u : NUM_ORDER); i++)
        n += !held->node[doubles ? XMM + 2 + i : order[i]];
    return n;
}

/* What a loop without sends uses (scratch_set) is loaded before it, while
 * registers remain for what it computes. */
static void fill_loop(struct emitter *e, struct block_info *info)
{
    enum { RESERVED = 4 };
    struct ir_node *v;
    unsigned r;

    for (v = next_in(e, e->scratch_set, 0); v;
         v = next_in(e, e->scratch_set, v->number)) {
        if (v->reg >= 0 || !in_set(info->live_in, v) ||
            num_free(&info->held, is_double(v)) <= RESERVED)
            continue;
        r = phi_register(e, &info->held, v, v);
        if (r == NUM_REGS)
            continue;
        info->held.node[r] = v;
        info->held.clean |= (uint32_t)info_of(e, v)->stored << r;
    }
}

static void place_phi(struct emitter *e, struct block_info *info,
                      struct ir_node *phi, unsigned k)
{
    struct value_info *v = info_of(e, phi);
    unsigned i, r = NUM_REGS;

    if (!v->uses)
        return;
    if (in_set(info->want, phi) || !v->stored)
        r = phi_register(e, &info->held, phi, value_of(phi->inputs[k]));
    if (r == NUM_REGS) {
        if (!v->stored)
            v->stored = v->needs_slot = e->again = true;
        return;
    }
    info->held.node[r] = phi;
    info->held.clean |= (uint32_t)v->stored << r;
    for (i = 0; i < phi->num_inputs; i++)
        if (is_value(value_of(phi->inputs[i])))
            info_of(e, value_of(phi->inputs[i]))->hint = (int8_t)r;
}

/* The first to come decides in which registers things are. */
static void decide(struct emitter *e, struct ir_block *to, unsigned k)
{
    struct block_info *info = &e->blocks[to->id];
    bool tight = to->is_loop && find_loop_uses(e, to);
    struct ir_node *n;
    unsigned r;

    info->entered = true;
    info->held = (struct held){ .clean = 0 };
    for (r = 0; r < NUM_REGS; r++) {
        n = e->now.node[r];
        if (!n || !is_value(n) || !in_set(info->live_in, n))
            continue;
        if (!in_set(tight ? e->scratch_set : info->want, n) &&
            in_memory_already(e, n))
            continue;
        info->held.node[r] = n;
        if (info_of(e, n)->stored)
            info->held.clean |= 1u << r;
    }
    for (n = to->first; n && n->op == IR_PHI; n = n->next)
        place_phi(e, info, n, k);
    if (tight)
        fill_loop(e, info);
}

/* --- moves at the same time --- */

struct location {
    struct ir_node *constant; /* or: */
    int reg;                  /* or -1: */
    int32_t at;               /* from rbp */
};
struct move {
    struct location to, from;
    bool done;
};
enum { MAX_MOVES = 160 };
struct moves {
    unsigned n;
    struct move move[MAX_MOVES];
};

static bool same(const struct location *x, const struct location *y)
{
    return !x->constant && !y->constant && x->reg == y->reg &&
           (x->reg >= 0 || x->at == y->at);
}

static struct location in_memory(struct emitter *e, struct ir_node *n)
{
    return (struct location){ .reg = -1, .at = place_of(e, n).disp };
}

static struct location in_register(unsigned r)
{
    return (struct location){ .reg = (int)r };
}

static struct location where_is(struct emitter *e, struct ir_node *n)
{
    if (n->reg >= 0)
        return in_register((unsigned)n->reg);
    if (is_constant(n))
        return (struct location){ .constant = n, .reg = -1 };
    return in_memory(e, n);
}

static void add_move(struct emitter *e, struct moves *m, struct location to,
                     struct location from)
{
    if (same(&to, &from))
        return;
    if (m->n == MAX_MOVES)
        e->failed = true;
    else
        m->move[m->n++] = (struct move){ .to = to, .from = from };
}

static void emit_move(struct emitter *e, const struct move *m)
{
    int to = m->to.reg, from = m->from.reg;
    struct assembler *a = &e->a;

    if (to < 0 && from < 0) { /* also a double's bits */
        if (m->from.constant && m->from.constant->op == IR_CONST_DOUBLE)
            asm_imm(a, R10, m->from.constant->value);
        else if (m->from.constant)
            load(e, R10, m->from.constant);
        else
            asm_load(a, R10, AT(RBP, m->from.at));
        asm_store(a, AT(RBP, m->to.at), R10);
    } else if (to < 0) {
        store_at(e, AT(RBP, m->to.at), (unsigned)from);
    } else if (m->from.constant) {
        load(e, (unsigned)to, m->from.constant);
    } else if (from < 0) {
        if (to >= XMM)
            asm_load_double(a, (unsigned)to - XMM, AT(RBP, m->from.at));
        else
            asm_load(a, to, AT(RBP, m->from.at));
    } else if (to >= XMM && from < XMM) { /* set aside */
        asm_to_xmm(a, (unsigned)to - XMM, from);
    } else if (to >= XMM) {
        asm_mov_double(a, (unsigned)to - XMM, (unsigned)from - XMM);
    } else {
        asm_mov(a, to, from);
    }
}

static bool is_read(const struct moves *m, const struct location *l,
                    const struct move *but)
{
    unsigned i;

    for (i = 0; i < m->n; i++)
        if (!m->move[i].done && &m->move[i] != but &&
            same(&m->move[i].from, l))
            return true;
    return false;
}

/* What `m` overwrites is kept in a spare register for its reader: when every
 * move is blocked, they are circles. (Not so while slots are not known.) */
static void break_cycle(struct emitter *e, struct moves *all,
                        const struct move *m)
{
    struct move aside = { .from = m->to, .to = in_register(
                              m->to.reg >= XMM ? XMM + 1 : R11) };
    unsigned i;

    if (is_read(all, &aside.to, NULL) && !e->again)
        e->failed = true;
    emit_move(e, &aside);
    for (i = 0; i < all->n; i++)
        if (!all->move[i].done && same(&all->move[i].from, &m->to))
            all->move[i].from = aside.to;
}

static void emit_moves(struct emitter *e, struct moves *m)
{
    unsigned left = m->n, i;
    bool moved;

    while (left && !e->failed) {
        moved = false;
        for (i = 0; i < m->n; i++) {
            struct move *x = &m->move[i];

            if (x->done || is_read(m, &x->to, x))
                continue;
            emit_move(e, x);
            x->done = moved = true;
            left--;
        }
        for (i = 0; i < m->n && !moved; i++)
            if (!m->move[i].done) {
                break_cycle(e, m, &m->move[i]);
                moved = true;
            }
    }
}

/* --- a jump --- */

static void move_phis(struct emitter *e, struct ir_block *to, unsigned k,
                      struct moves *m)
{
    const struct held *held = &e->blocks[to->id].held;
    struct ir_node *phi;
    unsigned r;

    for (phi = to->first; phi && phi->op == IR_PHI; phi = phi->next) {
        struct location from = where_is(e, value_of(phi->inputs[k]));

        if (!info_of(e, phi)->uses)
            continue;
        for (r = 0; r < NUM_REGS; r++)
            if (held->node[r] == phi)
                add_move(e, m, in_register(r), from);
        if (info_of(e, phi)->stored)
            add_move(e, m, in_memory(e, phi), from);
    }
}

static bool is_own_phi(const struct ir_node *n, const struct ir_block *b)
{
    return n->op == IR_PHI && n->block == b;
}

/* Values that the successor has in registers, and those it has not. */
static void move_others(struct emitter *e, struct ir_block *to,
                        struct moves *m)
{
    struct block_info *info = &e->blocks[to->id];
    unsigned r;

    for (r = 0; r < NUM_REGS; r++) {
        struct ir_node *n = info->held.node[r];

        if (!n || is_own_phi(n, to))
            continue;
        add_move(e, m, in_register(r), where_is(e, n));
        if (info->held.clean >> r & 1 && n->reg >= 0 &&
            !is_clean(e, (unsigned)n->reg))
            add_move(e, m, in_memory(e, n), where_is(e, n));
    }
    for (r = 0; r < NUM_REGS; r++) {
        struct ir_node *n = e->now.node[r];
        unsigned i;

        if (!n || !is_value(n) || !in_set(info->live_in, n) ||
            is_clean(e, r))
            continue;
        for (i = 0; i < NUM_REGS && info->held.node[i] != n; i++)
            ;
        if (i == NUM_REGS)
            add_move(e, m, in_memory(e, n), in_register(r));
    }
}

void regs_goto(struct emitter *e, struct ir_block *to)
{
    struct block_info *info = &e->blocks[to->id];
    unsigned k = predecessor_number(e->block, to);
    struct moves m; /* large: the rest is filled as it is used */

    m.n = 0;
    if (to->num_predecessors == 1) {
        regs_branch(e, to);
        return;
    }
    if (!info->entered)
        decide(e, to, k);
    move_phis(e, to, k, &m);
    move_others(e, to, &m);
    emit_moves(e, &m);
}
