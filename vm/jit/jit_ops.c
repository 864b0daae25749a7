/*
 * jit_ops.c - the code of each operation, but for arithmetic.
 */
#include "vm/jit/compiler.h"

/* --- pushes --- */

static void push_simple(struct compiler *c, enum value_kind kind, uint32_t at)
{
    push_value(c, (struct value){ .kind = (uint8_t)kind, .at = at });
}

static void push_oop(struct compiler *c, oop o)
{
    const struct heap *h = &c->vm->heap;

    if (o == h->nil)
        push_simple(c, VALUE_HEAP, offsetof(struct heap, nil));
    else if (o == h->true_)
        push_simple(c, VALUE_HEAP, offsetof(struct heap, true_));
    else if (o == h->false_)
        push_simple(c, VALUE_HEAP, offsetof(struct heap, false_));
    else
        push_value(c, (struct value){
            .kind = is_pointer(o) ? VALUE_POOL : VALUE_OOP, .oop = o });
}

static void push_slot(struct compiler *c)
{
    enum reg self = load_self(c), r = take_reg(c);

    asm_load(&c->a, r, slot_of(self, c->op.index));
    push_reg(c, r);
}

static void push_variable(struct compiler *c)
{
    oop variable = heap_follow(code_literal(c->method, c->op.index));
    enum reg r = take_reg(c);

    asm_load_label(&c->a, r, pool_label(c, variable));
    asm_load(&c->a, r, slot_of(r, ASSOC_VALUE));
    push_reg(c, r);
}

/* An embedded block's temps are operands, which must have got to memory. */
static void need_temp(struct compiler *c, uint32_t temp)
{
    int keep = c->depth - 1 - (int)temp;

    if (c->embedded)
        spill(c, keep > 0 ? keep : 0);
}

/* ... and may be popped: read now. */
static void push_temp(struct compiler *c)
{
    enum reg r;

    if (!c->embedded) {
        push_simple(c, VALUE_TEMP, c->op.index);
        return;
    }
    need_temp(c, c->op.index);
    r = take_reg(c);
    asm_load(&c->a, r, temp_place(c, c->op.index));
    push_reg(c, r);
}

static void push_dup(struct compiler *c)
{
    struct value v = *value_at(c, 0);

    if (v.kind == VALUE_STACK) {
        enum reg r = take_reg(c);

        asm_load(&c->a, r, AT(RSP, 0));
        push_reg(c, r);
    } else {
        push_value(c, v);
    }
}

/* --- calls of the runtime that answer a value --- */

static void call_runtime(struct compiler *c, const uint8_t *stub,
                         uint32_t bytecode)
{
    asm_call_to(&c->a, stub);
    add_point(c, POINT_CALL, bytecode, 0, 0);
}

static void push_from_runtime(struct compiler *c, const uint8_t *stub,
                              int pops)
{
    spill(c, 0);
    call_runtime(c, stub, c->op.next);
    c->depth -= pops;
    c->spilled -= pops;
    forget_registers(c);
    push_reg(c, RAX);
}

/* What eden had no room for: C does it, and may collect. */
static void slow_new(struct compiler *c, struct slow *s)
{
    const struct jit_stubs *stubs = &c->j->stubs;

    asm_imm32(&c->a, RSI, s->index);
    asm_imm32(&c->a, RDX, s->target);
    if (s->jump == OP_BLOCK)
        asm_imm32(&c->a, RCX, s->at);
    call_runtime(c, s->jump == OP_NEW_ARRAY    ? stubs->new_array
                    : s->jump == OP_FULL_BLOCK ? stubs->full_block
                                               : stubs->block, s->next);
    asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    asm_jmp(&c->a, &s->out);
}

/* Is it made by the machine code? */
static bool new_in_line(struct compiler *c,
                        bool (*compile)(struct compiler *, struct slow *))
{
    struct slow *s = new_slow(c, slow_new);

    s->index = c->op.kind == OP_BLOCK ? c->op.args : c->op.index;
    s->target = c->op.n;
    s->jump = c->op.kind;
    s->at = c->op.next;
    s->next = c->op.kind == OP_BLOCK ? c->op.target : c->op.next;
    if (!compile(c, s)) {
        c->num_slows--;
        return false;
    }
    load_self(c);
    asm_bind(&c->a, &s->out);
    push_reg(c, RAX);
    return true;
}

static void new_array(struct compiler *c)
{
    if (new_in_line(c, compile_new_array))
        return;
    spill(c, 0);
    asm_imm32(&c->a, RSI, c->op.index);
    asm_imm32(&c->a, RDX, c->op.n);
    push_from_runtime(c, c->j->stubs.new_array, op_pops(&c->op));
}

static void new_full_block(struct compiler *c)
{
    if (new_in_line(c, compile_full_block))
        return;
    spill(c, 0);
    asm_imm32(&c->a, RSI, c->op.index);
    asm_imm32(&c->a, RDX, c->op.n);
    push_from_runtime(c, c->j->stubs.full_block, op_pops(&c->op));
}

static void new_block(struct compiler *c)
{
    new_in_line(c, compile_block);
    c->op.next = c->op.target;
}

/* Slots of a Context may be those of a frame. */
static void slow_push_mediated(struct compiler *c, struct slow *s)
{
    asm_imm32(&c->a, RSI, s->index);
    call_runtime(c, c->j->stubs.slot_mediated, s->next);
    asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    asm_mov(&c->a, s->result, RAX);
    asm_jmp(&c->a, &s->out);
}

static void jump_if_context(struct compiler *c, enum reg r, struct label *to)
{
    asm_load32(&c->a, R10, AT(r, 0));
    asm_alu_imm32(&c->a, AND, R10, HDR_CLASS_MASK);
    asm_alu_imm32(&c->a, CMP, R10, CLS_CONTEXT);
    asm_jcc(&c->a, IF_EQUAL, to);
}

static void push_mediated(struct compiler *c)
{
    struct slow *s = new_slow(c, slow_push_mediated);
    enum reg self;

    spill(c, 0);
    self = load_self(c);
    s->index = c->op.index;
    s->result = take_reg(c);
    jump_if_context(c, self, &s->in);
    asm_load(&c->a, s->result, slot_of(self, c->op.index));
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* --- remote temps --- */

static void emit_array_check(struct compiler *c, enum reg x, struct label *no)
{
    asm_test8_imm(&c->a, x, TAG_MASK);
    asm_jcc(&c->a, IF_NOT_EQUAL, no);
    emit_class_check(&c->a, x, CLS_ARRAY, R10, no);
}

/* A forwarder; else the interpreter knows what to do with such a vector. */
static void slow_remote(struct compiler *c, struct slow *s)
{
    struct label none = LABEL_INIT;

    asm_push(&c->a, s->x);
    asm_call_to(&c->a, c->j->stubs.follow);
    asm_pop(&c->a, s->x);
    emit_array_check(c, s->x, &none);
    load_slot_count(&c->a, R10, s->x);
    asm_alu_imm32(&c->a, CMP, R10, (int32_t)s->index);
    asm_jcc(&c->a, IF_ABOVE, &s->out);
    asm_bind(&c->a, &none);
    if (s->pushes)
        asm_push(&c->a, s->y);
    asm_call_to(&c->a, c->j->stubs.interpret);
    add_point(c, POINT_EXIT, s->at, 0, 0);
    asm_trap(&c->a);
}

/* The array of remote temps that a temp holds. All is in memory but what a
 * store has in `y`. */
static enum reg load_remote(struct compiler *c, bool stores, enum reg y)
{
    struct slow *s = new_slow(c, slow_remote);

    s->at = c->at;
    s->index = c->op.index;
    s->pushes = stores;
    s->y = y;
    s->x = take_reg(c);
    asm_load(&c->a, s->x, temp_place(c, c->op.n));
    emit_array_check(c, s->x, &s->in);
    asm_alu_mem8_imm(&c->a, CMP, AT(s->x, 7), c->op.index);
    asm_jcc(&c->a, IF_NOT_ABOVE, &s->in);
    asm_bind(&c->a, &s->out);
    return s->x;
}

static void push_remote(struct compiler *c)
{
    enum reg vector, r;

    spill(c, 0);
    vector = load_remote(c, false, NO_REG);
    r = take_reg(c);
    asm_load(&c->a, r, slot_of(vector, c->op.index));
    push_reg(c, r);
}

/* --- stores --- */

static void slow_barrier(struct compiler *c, struct slow *s)
{
    emit_barrier_rest(c->vm, &c->a, s->x, s->y, s->place, &s->out);
}

void emit_barrier(struct compiler *c, enum reg x, enum reg y, struct mem at)
{
    struct slow *s = new_slow(c, slow_barrier);

    s->x = x;
    s->y = y;
    s->place = at;
    emit_barrier_test(&c->a, x, y, &s->in, &s->out);
    asm_bind(&c->a, &s->out);
}

/* Stores x into slot `index` of y. */
static void store(struct compiler *c, enum reg x, enum reg y, uint32_t index,
                  bool may_be_pointer)
{
    asm_store(&c->a, slot_of(y, index), x);
    if (may_be_pointer)
        emit_barrier(c, x, y, slot_of(y, index));
}

/* The object in y is read-only. All but the value is on the stack. */
static void slow_read_only(struct compiler *c, struct slow *s)
{
    if (s->pushes)
        asm_push(&c->a, s->x);
    asm_mov(&c->a, R10, s->x);
    asm_mov(&c->a, RSI, s->y);
    asm_mov(&c->a, RDX, R10);
    asm_imm32(&c->a, RCX, s->index);
    asm_call_to(&c->a, c->j->stubs.read_only);
    add_point(c, POINT_EXIT, s->next, 0, 0);
    asm_trap(&c->a);
}

static void store_checked(struct compiler *c, enum reg x, enum reg y,
                          uint32_t index, bool may_be_pointer)
{
    struct slow *s = new_slow(c, slow_read_only);

    s->x = x;
    s->y = y;
    s->index = index;
    s->pushes = !c->op.pops;
    asm_test_mem8_imm(&c->a, AT(y, 2), HDR_IMMUTABLE >> 16);
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
    store(c, x, y, index, may_be_pointer);
}

static bool may_be_young(const struct value *v)
{
    return v->kind != VALUE_OOP && v->kind != VALUE_HEAP;
}

/* Ends a store whose value is in r. */
static void leave_value(struct compiler *c, enum reg r)
{
    if (!c->op.pops)
        push_reg(c, r);
}

/* VALUE_SELF may be popped into RECEIVER_REG, which is not an operand that
 * may stay. */
enum reg pop_stored(struct compiler *c, bool *young)
{
    enum reg r;

    *young = may_be_young(value_at(c, 0));
    r = pop_reg(c);
    if (r == RECEIVER_REG) {
        r = take_reg(c);
        asm_mov(&c->a, r, RECEIVER_REG);
    }
    return r;
}

static void store_slot(struct compiler *c)
{
    bool young;
    enum reg x;

    spill(c, 1);
    x = pop_stored(c, &young);
    store_checked(c, x, load_self(c), c->op.index, young);
    leave_value(c, x);
}

static void slow_store_mediated(struct compiler *c, struct slow *s)
{
    if (s->pushes)
        asm_push(&c->a, s->x);
    asm_mov(&c->a, RDX, s->x);
    asm_imm32(&c->a, RSI, s->index);
    asm_call_to(&c->a, c->j->stubs.store_mediated);
    add_point(c, POINT_RESUME, s->next, 0, 0);
    if (s->pushes)
        asm_mov(&c->a, s->x, RAX);
    else
        asm_push(&c->a, RAX);
    asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    asm_jmp(&c->a, &s->out);
}

static void store_mediated(struct compiler *c)
{
    struct slow *s = new_slow(c, slow_store_mediated);
    bool young;
    enum reg x, self;

    spill(c, 1);
    x = pop_stored(c, &young);
    self = load_self(c);
    s->x = x;
    s->index = c->op.index;
    s->pushes = !c->op.pops;
    jump_if_context(c, self, &s->in);
    store_checked(c, x, self, c->op.index, young);
    asm_bind(&c->a, &s->out);
    leave_value(c, x);
}

static void store_variable(struct compiler *c)
{
    oop variable = heap_follow(code_literal(c->method, c->op.index));
    bool young;
    enum reg x, y;

    spill(c, 1);
    x = pop_stored(c, &young);
    y = take_reg(c);
    asm_load_label(&c->a, y, pool_label(c, variable));
    store_checked(c, x, y, ASSOC_VALUE, young);
    leave_value(c, x);
}

static void store_remote(struct compiler *c)
{
    bool young;
    enum reg x, y;

    spill(c, 1);
    x = pop_stored(c, &young);
    y = load_remote(c, true, x);
    store(c, x, y, c->op.index, young);
    leave_value(c, x);
}

static bool is_awaited_temp(const struct compiler *c, uint32_t temp)
{
    int i;

    for (i = c->spilled; i < c->depth; i++)
        if (c->stack[i].kind == VALUE_TEMP && c->stack[i].at == temp)
            return true;
    return false;
}

static void store_temp(struct compiler *c)
{
    enum reg x;

    if (c->depth == 0 && !c->op.pops)
        return; /* the marker of a primitive's error */
    need_temp(c, c->op.index);
    x = pop_reg(c);
    if (is_awaited_temp(c, c->op.index))
        spill(c, 0);
    asm_store(&c->a, temp_place(c, c->op.index), x);
    if (!c->op.pops && x == RECEIVER_REG)
        push_simple(c, VALUE_SELF, 0);
    else
        leave_value(c, x);
}

/* --- jumps --- */

static void slow_hot_loop(struct compiler *c, struct slow *s)
{
    asm_call_to(&c->a, c->j->stubs.hot_loop);
    add_point(c, POINT_RESUME, s->target, 0, 0);
    asm_push(&c->a, RAX);
    asm_jmp(&c->a, &c->labels[s->target]);
}

static void count_loop(struct compiler *c)
{
    struct slow *s;

    if (!c->j->second_tier)
        return;
    s = new_slow(c, slow_hot_loop);
    s->target = c->op.target;
    emit_count(c, &c->code->loops_left, &s->in);
}

static void jump(struct compiler *c)
{
    uint32_t on;

    settle(c, &c->places[c->op.target]);
    c->live = false;
    if (c->op.target > c->at) {
        asm_jmp(&c->a, &c->labels[c->op.target]);
        return;
    }
    count_loop(c);
    asm_alu_load(&c->a, CMP, RSP, VM(stack_limit));
    on = asm_jcc_short(&c->a, IF_BELOW);
    asm_jmp(&c->a, &c->labels[c->op.target]);
    asm_here_short(&c->a, on);
    asm_call_to(&c->a, c->j->stubs.safepoint);
    add_point(c, POINT_RESUME, c->op.target, 0, 0);
    asm_push(&c->a, RAX);
    asm_jmp(&c->a, &c->labels[c->op.target]);
}

static void branch(struct compiler *c)
{
    enum reg r;

    spill(c, 1);
    r = pop_reg(c);
    emit_branch(c, r, c->op.kind, c->op.target, c->op.next);
}

/* --- sends --- */

static void send(struct compiler *c, enum point_kind kind)
{
    uint32_t argc = c->op.n;
    struct value receiver = *value_at(c, (int)argc);

    spill(c, 0);
    if (receiver.kind == VALUE_STACK || receiver.kind == VALUE_POOL)
        asm_load(&c->a, RDX, AT(RSP, 8 * argc));
    else
        load_value(c, RDX, &receiver);
    emit_send(c, kind, c->op.index, argc, c->op.next);
    c->depth -= (int)argc + 1;
    c->spilled = c->depth;
    forget_registers(c);
    push_reg(c, RAX);
}

static void super_above(struct compiler *c)
{
    spill(c, 1);
    pop_into(c, RSI);
    asm_call_to(&c->a, c->j->stubs.super_above);
    add_point(c, POINT_SUPER, c->op.next, c->op.index, c->op.n);
    c->depth -= (int)c->op.n + 1;
    c->spilled = c->depth;
    forget_registers(c);
    push_reg(c, RAX);
}

/* --- returns: the answer is in rax --- */

static void return_through(struct compiler *c, const uint8_t *stub,
                           uint32_t next)
{
    asm_mov(&c->a, RSI, RAX);
    asm_call_to(&c->a, stub);
    add_point(c, POINT_EXIT, next, 0, 0);
    asm_trap(&c->a);
}

static void leave_frame(struct compiler *c)
{
    asm_leave(&c->a);
    asm_ret(&c->a, c->embedded ? 8 : 8 * (c->num_temps + 1));
}

/* The frame has a context, which dies; a page's first frame needs more. */
static void slow_return(struct compiler *c, struct slow *s)
{
    struct label base = LABEL_INIT, old = LABEL_INIT;
    bool is_block = c->is_block || c->embedded;

    asm_alu_mem_imm(&c->a, CMP, FRAME(CALLER), 0);
    asm_jcc(&c->a, IF_EQUAL, &base);
    if (compile_widow(c, &old))
        leave_frame(c);
    asm_bind(&c->a, &old);
    asm_push(&c->a, RBP);
    asm_call_to(&c->a, c->j->stubs.widow);
    leave_frame(c);
    asm_bind(&c->a, &base);
    return_through(c, is_block ? c->j->stubs.block_return_slow
                               : c->j->stubs.return_slow, s->next);
}

static void local_return(struct compiler *c)
{
    struct slow *s = new_slow(c, slow_return);

    asm_alu_mem_imm(&c->a, CMP, FRAME(CONTEXT), 0);
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
    leave_frame(c);
    c->live = false;
}

/* "^ x": out of a block it may be far. */
static void compile_return(struct compiler *c)
{
    if (!c->is_block && !c->embedded) {
        local_return(c);
        return;
    }
    return_through(c, c->j->stubs.return_slow, c->op.next);
    c->live = false;
}

static void return_top(struct compiler *c, bool local)
{
    /* what else is on the stack may be looked at if the return fails */
    if (!local && (c->is_block || c->embedded))
        spill(c, 1);
    pop_into(c, RAX);
    if (local)
        local_return(c);
    else
        compile_return(c);
}

static void return_constant(struct compiler *c, size_t at, bool local)
{
    if (!local && (c->is_block || c->embedded))
        spill(c, 0);
    asm_load(&c->a, RAX, AT(RBX, at));
    if (local)
        local_return(c);
    else
        compile_return(c);
}

static void return_self(struct compiler *c)
{
    if (c->is_block || c->embedded)
        spill(c, 0);
    asm_mov(&c->a, RAX, load_self(c));
    compile_return(c);
}

/* --- one operation --- */

static void compile_push(struct compiler *c)
{
    switch (c->op.kind) {
    case OP_PUSH_SLOT: push_slot(c); break;
    case OP_PUSH_SLOT_MEDIATED: push_mediated(c); break;
    case OP_PUSH_TEMP: push_temp(c); break;
    case OP_PUSH_LITERAL:
        push_oop(c, heap_follow(code_literal(c->method, c->op.index)));
        break;
    case OP_PUSH_VARIABLE: push_variable(c); break;
    case OP_PUSH_SELF: push_simple(c, VALUE_SELF, 0); break;
    case OP_PUSH_NIL: push_oop(c, c->vm->heap.nil); break;
    case OP_PUSH_TRUE: push_oop(c, c->vm->heap.true_); break;
    case OP_PUSH_FALSE: push_oop(c, c->vm->heap.false_); break;
    case OP_PUSH_VALUE: push_oop(c, c->op.value); break;
    case OP_PUSH_CONTEXT:
        push_from_runtime(c, c->j->stubs.context, 0);
        break;
    case OP_PUSH_PROCESS:
        push_from_runtime(c, c->j->stubs.process, 0);
        break;
    case OP_DUP: push_dup(c); break;
    case OP_PUSH_REMOTE: push_remote(c); break;
    case OP_NEW_ARRAY: new_array(c); break;
    case OP_BLOCK: new_block(c); break;
    default: new_full_block(c);
    }
}

static void compile_end(struct compiler *c)
{
    switch (c->op.kind) {
    case OP_RETURN: return_top(c, false); break;
    case OP_BLOCK_RETURN: return_top(c, true); break;
    case OP_RETURN_SELF: return_self(c); break;
    case OP_RETURN_TRUE:
        return_constant(c, offsetof(struct heap, true_), false);
        break;
    case OP_RETURN_FALSE:
        return_constant(c, offsetof(struct heap, false_), false);
        break;
    case OP_RETURN_NIL:
        return_constant(c, offsetof(struct heap, nil), false);
        break;
    default:
        return_constant(c, offsetof(struct heap, nil), true);
    }
}

void compile_op(struct compiler *c)
{
    switch (c->op.kind) {
    case OP_NOP: break;
    case OP_POP: drop(c); break;
    case OP_STORE_REMOTE: store_remote(c); break;
    case OP_STORE_SLOT: store_slot(c); break;
    case OP_STORE_SLOT_MEDIATED: store_mediated(c); break;
    case OP_STORE_TEMP: store_temp(c); break;
    case OP_STORE_VARIABLE: store_variable(c); break;
    case OP_JUMP: jump(c); break;
    case OP_JUMP_TRUE: case OP_JUMP_FALSE: branch(c); break;
    case OP_SEND: send(c, POINT_SEND); break;
    case OP_SUPER: send(c, POINT_SUPER); break;
    case OP_SUPER_ABOVE: super_above(c); break;
    case OP_SPECIAL:
        if (!compile_special(c))
            send(c, POINT_SPECIAL);
        break;
    default:
        if (c->op.kind >= OP_RETURN)
            compile_end(c);
        else
            compile_push(c);
    }
}
