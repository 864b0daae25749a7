/*
 * jit_compile.c - from a verified method to machine code: the simulated
 * operand stack, prologues, and putting the parts together.
 *
 * A method's code: checked entry, unchecked entry (primitive or prologue),
 * the operations, their slow paths, the pool of literals. Code is written in
 * place; what does not fit is tried once more after a flush of the zone.
 */
#include "vm/jit/compiler.h"
#include "vm/jit/tier2.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <stdlib.h>
#include <string.h>

/* --- registers --- */

static const enum reg allocatable[] = { RAX, RCX, RDX, RSI, RDI, R8, R9 };
enum { NUM_ALLOCATABLE = 7 };

static uint32_t registers_in_use(const struct compiler *c)
{
    uint32_t used = c->locked;
    int i;

    for (i = c->spilled; i < c->depth; i++)
        if (c->stack[i].kind == VALUE_REG)
            used |= 1u << c->stack[i].reg;
    return used;
}

enum reg take_reg(struct compiler *c)
{
    int i, tries;

    for (tries = 0; tries < 2; tries++) {
        uint32_t used = registers_in_use(c);

        for (i = 0; i < NUM_ALLOCATABLE; i++)
            if (!(used >> allocatable[i] & 1)) {
                c->locked |= 1u << allocatable[i];
                return allocatable[i];
            }
        spill(c, 0);
    }
    c->failed = true;
    return RAX;
}

void forget_registers(struct compiler *c)
{
    c->self_valid = false;
    c->locked = 0;
}

enum reg load_self(struct compiler *c)
{
    if (!c->self_valid)
        asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    c->self_valid = true;
    return RECEIVER_REG;
}

/* --- values --- */

/* Temps of an embedded block are its lowest operands. */
struct mem temp_place(struct compiler *c, uint32_t i)
{
    if (c->embedded)
        return AT(RBP, 8 * (FRAME_OPERANDS - (int32_t)i));
    return AT(RBP, 8 * ((int32_t)c->num_temps + 1 - (int32_t)i));
}

struct label *pool_label(struct compiler *c, oop o)
{
    unsigned i;

    for (i = 0; i < c->pool_count; i++)
        if (c->pool[i].oop == o)
            return &c->pool[i].label;
    if (i == MAX_POOL) {
        c->failed = true;
        return &c->pool[0].label;
    }
    c->pool[i].oop = o;
    c->pool[i].label = (struct label)LABEL_INIT;
    c->pool_count++;
    return &c->pool[i].label;
}

void load_value(struct compiler *c, enum reg r, const struct value *v)
{
    switch (v->kind) {
    case VALUE_REG: asm_mov(&c->a, r, v->reg); break;
    case VALUE_OOP: asm_imm(&c->a, r, v->oop); break;
    case VALUE_HEAP: asm_load(&c->a, r, AT(RBX, v->at)); break;
    case VALUE_POOL: asm_load_label(&c->a, r, pool_label(c, v->oop)); break;
    case VALUE_TEMP: asm_load(&c->a, r, temp_place(c, v->at)); break;
    case VALUE_SELF: asm_mov(&c->a, r, load_self(c)); break;
    default: c->failed = true;
    }
}

static void spill_one(struct compiler *c, struct value *v)
{
    switch (v->kind) {
    case VALUE_REG:
        asm_push(&c->a, v->reg);
        break;
    case VALUE_OOP:
        if ((int64_t)v->oop == (int32_t)v->oop) {
            asm_push_imm(&c->a, (int32_t)v->oop);
        } else {
            asm_imm(&c->a, R10, v->oop);
            asm_push(&c->a, R10);
        }
        break;
    case VALUE_HEAP:
        asm_push_mem(&c->a, AT(RBX, v->at));
        break;
    case VALUE_POOL:
        asm_push_label(&c->a, pool_label(c, v->oop));
        break;
    case VALUE_TEMP:
        asm_push_mem(&c->a, temp_place(c, v->at));
        break;
    case VALUE_SELF:
        asm_push(&c->a, load_self(c));
        break;
    default:
        c->failed = true;
    }
    v->kind = VALUE_STACK;
}

void spill(struct compiler *c, int keep)
{
    while (c->spilled < c->depth - keep)
        spill_one(c, &c->stack[c->spilled++]);
}

void push_value(struct compiler *c, struct value v)
{
    c->stack[c->depth++] = v;
}

void push_reg(struct compiler *c, enum reg r)
{
    push_value(c, (struct value){ .kind = VALUE_REG, .reg = (uint8_t)r });
}

struct value *value_at(struct compiler *c, int down)
{
    return &c->stack[c->depth - 1 - down];
}

enum reg pop_reg(struct compiler *c)
{
    struct value v = c->stack[--c->depth];
    enum reg r;

    if (v.kind == VALUE_REG) {
        c->locked |= 1u << v.reg;
        return v.reg;
    }
    if (v.kind == VALUE_SELF)
        return load_self(c);
    if (v.kind == VALUE_STACK)
        c->spilled--;
    r = take_reg(c);
    if (v.kind == VALUE_STACK)
        asm_pop(&c->a, r);
    else
        load_value(c, r, &v);
    return r;
}

void pop_into(struct compiler *c, enum reg r)
{
    struct value v = c->stack[--c->depth];

    if (v.kind == VALUE_STACK) {
        c->spilled--;
        asm_pop(&c->a, r);
    } else {
        load_value(c, r, &v);
    }
    c->locked |= 1u << r;
}

void drop(struct compiler *c)
{
    if (c->stack[--c->depth].kind == VALUE_STACK) {
        c->spilled--;
        asm_alu_imm(&c->a, ADD, RSP, 8);
    }
}

/* Temps of an embedded block are operands that are always in memory. */
static bool top_is_in_register(const struct compiler *c,
                               const struct place *p)
{
    return p->depth > 0 && !p->is_loop && !p->is_branched && !c->embedded;
}

void settle(struct compiler *c, const struct place *p)
{
    if (!top_is_in_register(c, p)) {
        spill(c, 0);
        return;
    }
    spill(c, 1);
    pop_into(c, RAX);
    push_reg(c, RAX);
}

bool is_small_constant(const struct value *v, int32_t *constant)
{
    *constant = (int32_t)v->oop;
    return v->kind == VALUE_OOP && is_int(v->oop) &&
           (int64_t)v->oop == *constant;
}

/* --- slow paths and points --- */

struct slow *new_slow(struct compiler *c,
                      void (*emit)(struct compiler *c, struct slow *s))
{
    static struct slow spare;
    struct slow *s = &spare;

    if (c->num_slows == c->slows_room)
        c->failed = true;
    else
        s = &c->slows[c->num_slows++];
    *s = (struct slow){
        .emit = emit, .in = LABEL_INIT, .out = LABEL_INIT, .x = NO_REG,
        .y = NO_REG, .result = NO_REG, .next = c->op.next,
    };
    return s;
}

void add_point(struct compiler *c, enum point_kind kind, uint32_t bytecode,
               uint32_t selector, uint32_t argc)
{
    if (c->num_points == c->points_room) {
        unsigned room = c->points_room ? 2 * c->points_room : 16;
        struct point *p = realloc(c->points, room * sizeof *p);

        if (!p) {
            c->failed = true;
            return;
        }
        c->points = p;
        c->points_room = room;
    }
    c->points[c->num_points++] = (struct point){
        .native = c->a.used, .bytecode = bytecode, .kind = (uint8_t)kind,
        .argc = (uint8_t)argc, .selector = (uint16_t)selector,
    };
}

void emit_send(struct compiler *c, enum point_kind kind, uint32_t selector,
               uint32_t argc, uint32_t bytecode)
{
    asm_imm32(&c->a, RCX, 0);
    asm_call_to(&c->a, c->j->stubs.miss);
    add_point(c, kind, bytecode, selector, argc);
}

/* --- conditional jumps --- */

bool join_jump(struct compiler *c, struct op *jump)
{
    uint32_t at = c->op.next;

    if (c->places[at].depth < 0 || c->places[at].is_target)
        return false;
    *jump = jit_decode(c->method, at);
    if (jump->kind != OP_JUMP_TRUE && jump->kind != OP_JUMP_FALSE)
        return false;
    c->op.next = jump->next;
    return true;
}

static void slow_must_be_boolean(struct compiler *c, struct slow *s)
{
    asm_mov(&c->a, RSI, s->x);
    asm_call_to(&c->a, c->j->stubs.must_be_boolean);
    add_point(c, POINT_EXIT, s->next, 0, 0);
    asm_trap(&c->a);
}

void emit_branch(struct compiler *c, enum reg r, uint8_t kind,
                 uint32_t target, uint32_t next)
{
    struct slow *s = new_slow(c, slow_must_be_boolean);
    bool if_true = kind == OP_JUMP_TRUE;

    s->x = r;
    s->next = next;
    asm_alu_load(&c->a, CMP, r, if_true ? HEAP(true_) : HEAP(false_));
    asm_jcc(&c->a, IF_EQUAL, &c->labels[target]);
    asm_alu_load(&c->a, CMP, r, if_true ? HEAP(false_) : HEAP(true_));
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
}

/* --- prologues --- */

/* A frame that the prologue cannot go on with, or that was interpreted
 * before, comes here with its top operand in rax. */
static void emit_resume(struct compiler *c, struct label *to,
                        uint32_t bytecode)
{
    add_point(c, POINT_RESUME, bytecode, 0, 0);
    asm_push(&c->a, RAX);
    asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    asm_jmp(&c->a, to);
}

static void slow_prologue(struct compiler *c, struct slow *s)
{
    struct op first = jit_decode(c->method, c->from);
    bool no_switch = !c->embedded && code_primitive(c->method) == 198;

    asm_bind(&c->a, &s->in);
    asm_call_to(&c->a, no_switch ? c->j->stubs.safepoint_no_switch
                                 : c->j->stubs.safepoint);
    emit_resume(c, &c->body, c->from);
    if (first.kind == OP_STORE_TEMP && !first.pops) /* the error's marker */
        emit_resume(c, &c->body, first.next);
}

/* The receiver or closure is in rdx, the return address on the stack. */
static void push_temps(struct compiler *c)
{
    int nils = (int)(c->num_temps - c->num_args), i;

    if (c->is_block)
        nils -= c->copied;
    if (!nils && (!c->is_block || !c->copied))
        return;
    asm_pop(&c->a, RAX);
    for (i = 0; c->is_block && i < c->copied; i++)
        asm_push_mem(&c->a, slot_of(RDX, FULL_CLOSURE_COPIED + i));
    for (; nils > 0; nils--)
        asm_push_mem(&c->a, HEAP(nil));
    asm_push(&c->a, RAX);
}

static void check_slot(struct compiler *c, int i, uint64_t value)
{
    asm_alu_mem_imm(&c->a, CMP, slot_of(RDX, i), (int32_t)int_oop(value));
    asm_jcc_to(&c->a, IF_NOT_EQUAL, c->j->stubs.run_block);
}

/* It has the block's key and as many arguments as are there. */
static void check_closure(struct compiler *c)
{
    int fixed = c->embedded ? CLOSURE_COPIED : FULL_CLOSURE_COPIED;

    asm_alu_mem8_imm(&c->a, CMP, AT(RDX, 7), (unsigned)(fixed + c->copied));
    asm_jcc_to(&c->a, IF_NOT_EQUAL, c->j->stubs.run_block);
    check_slot(c, CLOSURE_NUM_ARGS, c->num_args);
    if (c->embedded)
        check_slot(c, CLOSURE_PC_OR_METHOD, c->from + 1);
}

/* An embedded block's arguments move below the linkage (frame.h), through
 * registers; those of a block with more are moved by C. */
static const enum reg moved[] = { RCX, RSI, RDI, R8 };
enum { MAX_MOVED = 4 };

static void emit_embedded_frame(struct compiler *c)
{
    struct assembler *a = &c->a;
    unsigned i;

    check_closure(c);
    c->code->frame_entry = c->base + a->used;
    asm_load(a, RECEIVER_REG, slot_of(RDX, CLOSURE_OUTER));
    asm_load(a, RECEIVER_REG, slot_of(RECEIVER_REG, CTX_RECEIVER));
    emit_follow(c->vm, a, RECEIVER_REG);
    if (c->num_args)
        asm_pop(a, RAX);
    for (i = c->num_args; i-- > 0;)
        asm_pop(a, moved[i]);
    if (c->num_args)
        asm_push(a, RAX);
    asm_push(a, RBP);
    asm_mov(a, RBP, RSP);
    asm_lea(a, RAX, AT(RSP, 8 * FRAME_OPERANDS));
    asm_push(a, RAX);
    asm_push_label(a, &c->pool[0].label);
    asm_push(a, RDX);
    asm_push_imm(a, 0);
    asm_push(a, RECEIVER_REG);
    for (i = 0; i < c->num_args; i++)
        asm_push(a, moved[i]);
    for (i = 0; i < (unsigned)c->copied; i++)
        asm_push_mem(a, slot_of(RDX, CLOSURE_COPIED + i));
}

static void emit_frame(struct compiler *c)
{
    struct assembler *a = &c->a;

    if (c->is_block)
        check_closure(c);
    c->code->frame_entry = c->base + a->used;
    push_temps(c);
    asm_push(a, RBP);
    asm_mov(a, RBP, RSP);
    asm_lea(a, RAX, AT(RSP, 8 * (c->num_temps + 1)));
    asm_push(a, RAX);
    asm_push_label(a, &c->pool[0].label);
    if (c->is_block) {
        asm_push(a, RDX);
        asm_load(a, RECEIVER_REG, slot_of(RDX, FULL_CLOSURE_RECEIVER));
        emit_follow(c->vm, a, RECEIVER_REG);
    } else {
        asm_push_imm(a, 0);
        asm_mov(a, RECEIVER_REG, RDX);
    }
    asm_push_imm(a, 0);
    asm_push(a, RECEIVER_REG);
}

void emit_count(struct compiler *c, const int64_t *left, struct label *none)
{
    asm_imm(&c->a, R10, (uint64_t)(uintptr_t)left);
    asm_alu_mem_imm(&c->a, SUB, AT(R10, 0), 1);
    asm_jcc(&c->a, IF_NEGATIVE, none);
}

static void slow_hot_call(struct compiler *c, struct slow *s)
{
    asm_call_to(&c->a, c->j->stubs.hot_call);
    emit_resume(c, &c->body, c->from);
}

static void count_call(struct compiler *c)
{
    struct slow *s;

    if (!c->j->second_tier ||
        (code_has_primitive(c->method) && !c->embedded))
        return;
    s = new_slow(c, slow_hot_call);
    emit_count(c, &c->code->calls_left, &s->in);
}

/* A method that only answers itself, a constant or a field: its primitive
 * says which, and it may have no bytecodes at all. */
static bool is_quick(const struct compiler *c)
{
    uintptr_t p = (uintptr_t)vm_primitive_of(c->method);

    return p && p < QUICK_MAX && !c->embedded && !c->is_block;
}

/* Checks the receiver's class and does what can be done without a frame. */
static void emit_prologue(struct compiler *c, uint32_t *entry)
{
    if (!c->embedded && !c->is_block) {
        emit_class_index(&c->a, RAX, RDX);
        asm_alu32(&c->a, CMP, RAX, RCX);
        asm_jcc_to(&c->a, IF_NOT_EQUAL, c->j->stubs.miss);
    }
    *entry = c->a.used;
    if (!c->embedded && !c->is_block) {
        compile_primitive(c);
        if (!is_quick(c))
            compile_setter(c);
    }
}

static void emit_entry(struct compiler *c)
{
    struct slow *s = new_slow(c, slow_prologue);

    if (!c->embedded)
        emit_frame(c);
    else if (c->num_args <= MAX_MOVED)
        emit_embedded_frame(c);
    if (c->code->frame_entry)
        count_call(c);
    asm_alu_load(&c->a, CMP, RSP, VM(stack_limit));
    asm_jcc(&c->a, IF_BELOW, &s->in);
    asm_bind(&c->a, &c->body);
    c->self_valid = true;
}

/* --- all together --- */

static void meet_target(struct compiler *c, struct place *p)
{
    int i;

    if (c->live)
        settle(c, p);
    c->depth = c->spilled = p->depth;
    for (i = 0; i < c->depth; i++)
        c->stack[i].kind = VALUE_STACK;
    if (top_is_in_register(c, p)) {
        c->depth = --c->spilled;
        push_reg(c, RAX);
    }
    c->self_valid = false;
    c->live = true;
    asm_bind(&c->a, &c->labels[c->at]);
}

static void compile_body(struct compiler *c)
{
    c->live = true;
    for (c->at = c->from; c->at < c->limit && !c->failed;
         c->at = c->op.next) {
        struct place *p = &c->places[c->at];

        c->op = jit_decode(c->method, c->at);
        if (p->depth >= 0 && p->is_target)
            meet_target(c, p);
        if (c->live && p->depth >= 0) {
            c->locked = 0;
            compile_op(c);
        } else if (c->op.kind == OP_BLOCK) {
            c->op.next = c->op.target;
        }
    }
}

static void compile_slow_paths(struct compiler *c)
{
    unsigned i;

    for (i = 0; i < c->num_slows && !c->failed; i++) {
        asm_bind(&c->a, &c->slows[i].in);
        c->self_valid = false;
        c->slows[i].emit(c, &c->slows[i]);
    }
}

static void emit_pool(struct compiler *c)
{
    unsigned i;

    asm_align(&c->a, 8);
    for (i = 0; i < c->pool_count; i++) {
        asm_bind(&c->a, &c->pool[i].label);
        asm_word(&c->a, c->pool[i].oop);
    }
}

/* --- what is compiled --- */

static bool special_selectors_are_known(struct vm *vm)
{
    oop table = heap_special(&vm->heap, SPL_SPECIAL_SELECTORS);
    unsigned i;

    if (!is_pointer(table) || format_of(table) != FMT_ARRAY ||
        slot_count(table) < 64)
        return false;
    for (i = 0; i < 32; i++)
        if (slot(table, 2 * i + 1) != int_oop(special_args(i)))
            return false;
    return true;
}

static uint32_t end_of_code(const struct compiler *c, uint32_t size)
{
    while (size > c->from && c->places[size - 1].depth < 0)
        size--;
    return size;
}

/* Describes the piece and verifies it. */
static bool prepare(struct compiler *c, uint32_t start, oop closure)
{
    oop m = c->method;
    uint32_t size = (uint32_t)byte_count(m), i;
    int depth = 0;
    bool is_closure = closure && closure != c->vm->heap.nil;

    c->copied = -1;
    c->num_temps = code_num_temps(m);
    c->num_args = code_num_args(m);
    c->from = start ? start
                    : code_first_pc(m) + (code_has_primitive(m) ? 3 : 0);
    c->embedded = start != 0;
    c->is_block = is_closure && !c->embedded;
    if (is_quick(c)) {
        c->limit = c->from;
        return true;
    }
    if (c->from >= size || size > 60000 || c->num_temps < c->num_args)
        return false;
    if (is_closure)
        c->copied = (int)slot_count(closure) -
                    (c->embedded ? CLOSURE_COPIED : FULL_CLOSURE_COPIED);
    if (c->embedded) {
        c->num_args = (unsigned)int_value(slot(closure, CLOSURE_NUM_ARGS));
        depth = (int)c->num_args + c->copied;
    } else if (c->is_block &&
               c->num_temps < c->num_args + (unsigned)c->copied) {
        return false;
    }
    c->places = malloc((size + 1) * sizeof *c->places);
    c->labels = malloc((size + 1) * sizeof *c->labels);
    c->slows_room = 4 * (size - c->from) + 8;
    c->slows = malloc(c->slows_room * sizeof *c->slows);
    if (!c->places || !c->labels || !c->slows || depth > MAX_DEPTH)
        return false;
    for (i = c->from; i <= size; i++) {
        c->places[i] = (struct place){ .depth = -1 };
        c->labels[i] = (struct label)LABEL_INIT;
    }
    if (!special_selectors_are_known(c->vm) ||
        !jit_verify(m, c->from, size, c->embedded, depth, c->places))
        return false;
    c->limit = end_of_code(c, size);
    c->depth = c->spilled = depth;
    for (i = 0; i < (uint32_t)depth; i++)
        c->stack[i].kind = VALUE_STACK;
    return true;
}

/* Emits everything; false: no room, or more than the compiler can do. */
static bool emit_code(struct compiler *c, uint8_t *base, uint32_t room,
                      uint32_t *entry)
{
    asm_init(&c->a, writable(c->j, base), base, room);
    c->base = base;
    pool_label(c, c->method);
    c->body = (struct label)LABEL_INIT;
    emit_prologue(c, entry);
    if (!is_quick(c)) {
        emit_entry(c);
        compile_body(c);
        compile_slow_paths(c);
    }
    emit_pool(c);
    return !c->failed && !c->a.full;
}

static void finish(struct compiler *c, struct jit_code *code, uint8_t *base,
                   uint32_t entry)
{
    code->kind = CODE_METHOD;
    code->base = code->checked = base;
    code->entry = base + entry;
    code->bytes = c->a.used;
    code->pool_count = c->pool_count;
    code->pool = (oop *)(void *)(c->a.out + c->a.used) - c->pool_count;
    code->points = c->points;
    code->num_points = c->num_points;
    c->points = NULL;
    code->copied = c->copied;
    tier2_count(c->vm, code);
    zone_end(c->vm, base + c->a.used);
    c->j->stats.compiled++;
    c->j->stats.code_bytes += c->a.used;
    jit_list(c->vm, code, c->limit);
}

static void release(struct compiler *c)
{
    free(c->places);
    free(c->labels);
    free(c->slows);
    free(c->points);
}

/* One try. NULL: refused, or `*no_room`. */
static bool attempt(struct vm *vm, struct jit_code *code, oop closure,
                    bool *no_room)
{
    enum { BYTES_PER_BYTECODE = 160, FIXED_BYTES = 2048 };
    struct compiler *c = calloc(1, sizeof *c);
    uint32_t entry = 0, room = JIT_ZONE_BYTES - vm->jit->used;
    uint8_t *base;
    bool done = false;

    *no_room = false;
    if (!c)
        return false;
    c->vm = vm;
    c->j = vm->jit;
    c->code = code;
    c->method = code->method;
    if (room > FIXED_BYTES +
                   BYTES_PER_BYTECODE * (uint32_t)byte_count(code->method))
        room = FIXED_BYTES +
               BYTES_PER_BYTECODE * (uint32_t)byte_count(code->method);
    base = zone_take(vm, room);
    if (base && prepare(c, code->start, closure)) {
        done = emit_code(c, base, room, &entry);
        *no_room = !done && c->a.full && !c->failed;
    }
    if (done)
        finish(c, code, base, entry);
    release(c);
    free(c);
    return done;
}

struct jit_code *jit_compile(struct vm *vm, oop method, uint32_t start,
                             oop closure)
{
    struct jit *j = vm->jit;
    struct jit_code *code = calloc(1, sizeof *code);
    uint64_t began = plat_usecs();
    bool no_room, done;

    if (!code)
        return NULL;
    code->method = method;
    code->start = start;
    code->copied = -1;
    done = attempt(vm, code, closure, &no_room);
    if (no_room) {
        jit_flush(vm);
        done = attempt(vm, code, closure, &no_room);
    }
    if (!done) {
        code->kind = CODE_REFUSED;
        code->base = j->exec + j->used;
        j->stats.refused++;
    }
    j->stats.compile_usecs += plat_usecs() - began;
    if (zone_add(vm, code))
        return code;
    free(code->points);
    free(code);
    return NULL;
}
