/*
 * ir_emit.c - machine code of a graph: prologues, sends, blocks one after
 * the other, and all that becomes a piece of code.
 */
#include "vm/jit/emitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- prologues --- */

static struct ir_node *find(const struct emitter *e, enum ir_op op)
{
    struct ir_node *n;

    for (n = e->g->entry->first; n && n->op != op; n = n->next)
        ;
    return n;
}

/* The entry block finds the receiver, or closure, where the prologue has it. */
static void hold(struct emitter *e, enum reg r, struct ir_node *n)
{
    if (n)
        e->blocks[e->g->entry->id].held.node[r] = n;
}

static unsigned num_copied(const struct emitter *e)
{
    return e->g->copied > 0 ? (unsigned)e->g->copied : 0;
}

/* Something awaits a safepoint, or the page is full. */
static void later_prologue(struct emitter *e, struct later *l)
{
    struct assembler *a = &e->a;
    unsigned copied = num_copied(e), first = ir_first_copied(e->g), i;
    bool is_block = e->g->copied >= 0;

    if (copied)
        asm_load(a, R10, AT(RBP, 8 * FRAME_CLOSURE));
    for (i = 0; i < copied; i++)
        asm_push_mem(a, AT(R10, 8 + 8 * (first + i)));
    asm_call_to(a, e->j->stubs.safepoint);
    add_entry_place(e, copied);
    asm_push(a, RAX);
    if (copied)
        asm_alu_imm(a, ADD, RSP, (int32_t)(8 * copied));
    asm_load(a, is_block ? R12 : RDX, AT(RBP, 8 * FRAME_RECEIVER));
    if (is_block)
        asm_load(a, RDX, AT(RBP, 8 * FRAME_CLOSURE));
    asm_jmp(a, &l->out);
}

/* The receiver of the closure in rdx, into r12. */
static void load_receiver(struct emitter *e)
{
    struct assembler *a = &e->a;

    if (e->g->start) {
        asm_load(a, R12, AT(RDX, 8 + 8 * CLOSURE_OUTER));
        asm_load(a, R12, AT(R12, 8 + 8 * CTX_RECEIVER));
    } else {
        asm_load(a, R12, AT(RDX, 8 + 8 * FULL_CLOSURE_RECEIVER));
    }
    emit_follow(e->vm, a, R12);
}

/* The receiver or closure is in rdx. */
static void emit_entry(struct emitter *e)
{
    struct later *l = new_later(e, later_prologue);
    struct assembler *a = &e->a;
    bool is_block = e->g->copied >= 0;
    unsigned i;

    asm_push(a, RBP);
    asm_mov(a, RBP, RSP);
    asm_lea(a, RAX, AT(RSP, 8 * (e->frame_temps + 1)));
    asm_push(a, RAX);
    asm_push_label(a, pool_oop(e, e->g->method, NULL));
    if (is_block) {
        asm_push(a, RDX);
        load_receiver(e);
    } else {
        asm_push_imm(a, 0);
    }
    asm_push_imm(a, (int32_t)OPTIMISED_MARK(e->num_raw_slots));
    asm_push(a, is_block ? R12 : RDX);
    if (e->num_raw_slots)
        asm_alu_imm(a, SUB, RSP, (int32_t)(8 * e->num_raw_slots));
    for (i = 0; i < e->num_oop_slots; i++)
        asm_push_imm(a, (int32_t)int_oop(0));
    asm_alu_load(a, CMP, RSP, VM(stack_limit));
    asm_jcc(a, IF_BELOW, &l->in);
    asm_bind(a, &l->out);
    hold(e, is_block ? R12 : RDX, find(e, IR_RECEIVER));
    if (is_block)
        hold(e, RDX, find(e, IR_CLOSURE));
}

static struct mem slot_place(unsigned slot)
{
    return AT(RBP, 8 * (FRAME_OPERANDS - (int32_t)slot));
}

/* A plain frame is taken over, its top operand in rax: the operands move
 * below the raw slots. */
static void emit_loop_entry(struct emitter *e)
{
    struct assembler *a = &e->a;
    unsigned raw = e->num_raw_slots, i;

    asm_push(a, RAX);
    asm_lea(a, RSP, slot_place(raw + e->num_oop_slots - 1));
    for (i = e->num_operands; raw && i-- > 0;) {
        asm_load(a, R10, slot_place(i));
        asm_store(a, slot_place(raw + i), R10);
    }
    for (i = e->num_operands; i < e->num_oop_slots; i++)
        asm_store_imm(a, slot_place(raw + i), (int32_t)int_oop(0));
    asm_store_imm(a, AT(RBP, 8 * FRAME_CONTEXT),
                  (int32_t)OPTIMISED_MARK(raw));
}

/* Behind the arguments a block has its copied values. */
static void load_argument(struct emitter *e, struct ir_node *n)
{
    enum reg to;

    if (has_place(e, n) || e->g->entered_at)
        return;
    to = define(e, n, -1);
    asm_load(&e->a, to, AT(RBP, 8 * FRAME_CLOSURE));
    asm_load(&e->a, to,
             AT(to, 8 + 8 * (ir_first_copied(e->g) + (unsigned)n->index -
                             e->frame_temps)));
}

/* --- sends --- */

static void emit_send(struct emitter *e, struct ir_node *n)
{
    struct ir_node *receiver = value_of(n->inputs[0]);
    unsigned argc = n->num_inputs - 1u, selector, class = 0, i;
    int r = reg_of(receiver);

    for (i = 0; i <= argc; i++)
        push_held(e, &e->now, n->inputs[i]);
    regs_to_memory(e, n);
    if (r >= 0)
        asm_mov(&e->a, RDX, (enum reg)r);
    else if (is_constant(receiver))
        load(e, RDX, receiver);
    else
        asm_load(&e->a, RDX, AT(RSP, 8 * argc));
    pool_oop(e, n->value, &selector);
    if (n->index)
        pool_oop(e, n->method_class, &class);
    asm_imm32(&e->a, RCX, 0);
    asm_call_to(&e->a, e->j->stubs.miss);
    add_place(e, n->index ? POINT_SUPER : POINT_SEND, n->state, selector,
              argc, class);
    define(e, n, RAX);
}

/* --- ends of blocks --- */

static void emit_goto(struct emitter *e, struct ir_block *to)
{
    regs_goto(e, to);
    if (to != e->next_block)
        asm_jmp(&e->a, &e->blocks[to->id].label);
}

static void emit_branch(struct emitter *e, struct ir_node *n)
{
    struct ir_block *const *to = e->block->successors;
    struct label *follows =
        e->next_block ? &e->blocks[e->next_block->id].label : NULL;

    emit_jump_if(e, n, &e->blocks[to[0]->id].label,
                 &e->blocks[to[1]->id].label, follows);
    release(e, n);
    regs_branch(e, to[0]);
    regs_branch(e, to[1]);
}

static void emit_return(struct emitter *e, struct ir_node *n)
{
    struct ir_node *v = value_of(n->inputs[0]);

    if (reg_of(v) >= 0)
        asm_mov(&e->a, RAX, (enum reg)reg_of(v));
    else
        load(e, RAX, v);
    asm_leave(&e->a);
    asm_ret(&e->a, 8 * (e->frame_temps + 1));
}

static void emit_end(struct emitter *e, struct ir_node *n)
{
    switch (n->op) {
    case IR_GOTO: emit_goto(e, e->block->successors[0]); break;
    case IR_BRANCH: emit_branch(e, n); break;
    case IR_RETURN: emit_return(e, n); break;
    default: asm_jmp(&e->a, exit_of(e, n));
    }
}

/* --- nodes and blocks --- */

static void emit_node(struct emitter *e, struct ir_node *n)
{
    e->at = n;
    e->locked = 0;
    info_of(e, n)->code = e->a.used;
    if (info_of(e, n)->fused || is_constant(n) || n->op == IR_PHI ||
        n->op == IR_RECEIVER || n->op == IR_CLOSURE)
        return;
    if (!info_of(e, n)->uses && n->rep != REP_NONE && !ir_has_effect(n))
        release(e, n);
    else if (n->op == IR_ARGUMENT)
        load_argument(e, n);
    else if (n->op == IR_SEND)
        emit_send(e, n);
    else if (n->op == IR_SAFEPOINT)
        emit_safepoint(e, n);
    else if (ir_infos[n->op].flags & OP_END)
        emit_end(e, n);
    else if (!emit_test_node(e, n) && !emit_integer(e, n) &&
             !emit_double(e, n) && !emit_memory(e, n))
        e->failed = true;
    finish(e, n);
}

static void emit_block(struct emitter *e, struct ir_block *b)
{
    struct block_info *info = &e->blocks[b->id];
    struct ir_node *n;

    if (!info->entered) {
        e->failed = true;
        return;
    }
    if (b->is_loop && !b->is_cold)
        asm_align_nops(&e->a, 16);
    asm_bind(&e->a, &info->label);
    regs_enter(e, b);
    for (n = b->first; n && !e->failed; n = n->next)
        emit_node(e, n);
}

static void emit_constants(struct emitter *e)
{
    struct constant *c;

    asm_align(&e->a, 8);
    for (c = e->words; c; c = c->next) {
        asm_bind(&e->a, &c->label);
        asm_word(&e->a, c->word);
    }
    for (c = e->pool; c; c = c->next) {
        asm_bind(&e->a, &c->label);
        asm_word(&e->a, c->word);
    }
}

/* --- a pass --- */

static void begin_pass(struct emitter *e)
{
    unsigned i;

    alloc_slots(e);
    e->again = false;
    e->num_points = e->num_frames = e->num_objects = e->num_wheres = 0;
    *e->last_later = e->spare_laters; /* of the pass before */
    e->spare_laters = e->laters;
    e->laters = e->last_exit = NULL;
    e->last_later = &e->laters;
    e->pool = e->words = NULL;
    e->last_pool = &e->pool;
    e->last_word = &e->words;
    e->pool_count = 0;
    e->now = (struct held){ .clean = 0 };
    e->at = e->g->entry->first;
    e->not_boolean = NULL;
    for (i = 0; i < e->g->num_nodes; i++) {
        e->info[i].hint = -1;
        e->info[i].pushed = 0;
        e->g->nodes[i]->reg = -1;
    }
    for (i = 0; i < e->g->num_blocks; i++) {
        e->blocks[i].label = (struct label)LABEL_INIT;
        e->blocks[i].entered = false;
        e->blocks[i].held = (struct held){ .clean = 0 };
    }
    e->blocks[e->g->entry->id].entered = true;
    pool_oop(e, e->g->method, NULL); /* pool[0] */
}

static void emit_pass(struct emitter *e, uint8_t *base, uint32_t room)
{
    unsigned i;

    begin_pass(e);
    asm_init(&e->a, writable(e->j, base), base, room);
    if (e->g->entered_at)
        emit_loop_entry(e);
    else
        emit_entry(e);
    for (i = 0; i < e->g->num_blocks && !e->failed; i++) {
        e->next_block = i + 1 < e->g->num_blocks ? e->order[i + 1] : NULL;
        emit_block(e, e->order[i]);
    }
    e->end_of_blocks = e->a.used;
    emit_laters(e);
    emit_constants(e);
}

/* Passes until none asks for another. */
static bool emit_all(struct emitter *e, uint8_t *base, uint32_t room)
{
    enum { MAX_PASSES = 8 };
    int i;

    for (i = 0; i < MAX_PASSES && !e->failed; i++) {
        emit_pass(e, base, room);
        if (!e->again)
            return !e->failed && !e->a.full && !e->g->failed;
    }
    return false;
}

/* --- the listing --- */

static void list_node(const struct emitter *e, const struct ir_node *n,
                      uint32_t end)
{
    uint32_t from = info_of(e, n)->code;
    char line[120];
    int at = snprintf(line, sizeof line, "  %u = %s", n->id, ir_name(n->op));
    unsigned i;

    for (i = 0; i < n->num_inputs && at < (int)sizeof line - 24; i++)
        at += snprintf(line + at, sizeof line - (size_t)at, " %u",
                       n->inputs[i]->id);
    snprintf(line + at, sizeof line - (size_t)at, " #%d:", n->index);
    if (end > from || n->op == IR_PHI)
        jit_list_bytes(line, e->a.out + from, end - from);
}

/* Each operation that has instructions, then what stands behind them. */
static void list(const struct emitter *e)
{
    uint32_t end = e->end_of_blocks;
    unsigned i;
    char line[80];

    for (i = 0; i < e->g->num_blocks; i++) {
        const struct ir_node *n = e->order[i]->first, *next;

        snprintf(line, sizeof line, "block %u%s of optimised code, depth %u",
                 e->order[i]->id, e->order[i]->is_loop ? ", a loop," : "",
                 e->order[i]->loop_depth);
        jit_list_bytes(line, NULL, 0);
        for (; n; n = next) {
            next = n->next ? n->next
                           : i + 1 < e->g->num_blocks
                                 ? e->order[i + 1]->first : NULL;
            list_node(e, n, next ? info_of(e, next)->code : end);
            if (!n->next)
                break;
        }
    }
    jit_list_bytes("exits and literals:", e->a.out + end, e->a.used - end);
}

/* --- a piece of code --- */

static bool copy_dependencies(const struct ir_graph *g, struct optimised *o)
{
    size_t bytes = g->num_dependencies * sizeof *o->dependencies;

    if (!bytes)
        return true;
    o->dependencies = malloc(bytes);
    if (!o->dependencies)
        return false;
    o->num_dependencies = g->num_dependencies;
    memcpy(o->dependencies, g->dependencies, bytes);
    return true;
}

/* The code's tables are the emitter's. */
static struct jit_code *finish_code(struct emitter *e, uint8_t *base)
{
    struct jit_code *c = calloc(1, sizeof *c);
    struct optimised *o = calloc(1, sizeof *o);

    if (!c || !o || !copy_dependencies(e->g, o)) {
        free(c);
        free(o);
        return NULL;
    }
    c->kind = CODE_METHOD;
    c->method = e->g->method;
    c->start = e->g->start;
    c->copied = e->g->copied;
    c->base = c->checked = c->entry = base;
    c->bytes = e->a.used;
    c->pool_count = e->pool_count;
    c->pool = (oop *)(void *)(e->a.out + e->a.used) - e->pool_count;
    c->num_points = e->num_points;
    c->points = e->points;
    c->optimised = o;
    o->places = e->places;
    o->frames = e->frames;
    o->objects = e->objects;
    o->wheres = e->wheres;
    o->entered_at = e->g->entered_at;
    o->loop_entry = e->g->entered_at ? base : NULL;
    o->raw_slots = e->num_raw_slots;
    o->oop_slots = e->num_oop_slots;
    zone_end(e->vm, base + e->a.used);
    e->points = NULL;
    e->places = NULL;
    e->frames = NULL;
    e->objects = NULL;
    e->wheres = NULL;
    return c;
}

static void free_emitter(struct emitter *e)
{
    free(e->points);
    free(e->places);
    free(e->frames);
    free(e->objects);
    free(e->wheres);
    free(e);
}

struct jit_code *ir_emit(struct vm *vm, struct ir_graph *g)
{
    enum { LEAST_ROOM = 4096 };
    struct emitter *e = calloc(1, sizeof *e);
    uint32_t room = JIT_ZONE_BYTES - vm->jit->used;
    uint8_t *base = zone_take(vm, room);
    struct jit_code *c = NULL;

    if (!e)
        return NULL;
    e->vm = vm;
    e->j = vm->jit;
    e->g = g;
    e->last_later = &e->laters;
    /* a plain frame of an embedded block has all its values below */
    e->frame_temps = !g->entered_at ? g->num_args
                     : g->start     ? 0 : g->num_temps;
    if (base && room >= LEAST_ROOM && alloc_prepare(e) &&
        emit_all(e, base, room)) {
        if (jit_lists(vm, g->method))
            list(e);
        c = finish_code(e, base);
    }
    free_emitter(e);
    return c;
}
