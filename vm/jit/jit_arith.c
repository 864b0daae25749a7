/*
 * jit_arith.c - the special sends that need no send: arithmetic and
 * comparison of SmallIntegers in line, of floats in shared stubs, identity
 * and class; at: and at:put: of Arrays, as long as their methods are those
 * primitives. What is not so simple is an ordinary send.
 */
#include "vm/jit/compiler.h"
#include "vm/jit/feedback.h"

/* --- operands --- */

/* x and y of a binary operation; a constant y stays out of registers. */
struct operands {
    enum reg x, y;
    int32_t constant;
    bool is_constant;
    struct value y_value;
};

static struct operands pop_operands(struct compiler *c)
{
    struct operands o = { .y = NO_REG, .y_value = *value_at(c, 0) };

    o.is_constant = is_small_constant(&o.y_value, &o.constant);
    if (o.is_constant)
        c->depth--;
    else
        o.y = pop_reg(c);
    o.x = pop_reg(c);
    return o;
}

static struct slow *slow_for(struct compiler *c, const struct operands *o,
                             void (*emit)(struct compiler *, struct slow *))
{
    struct slow *s = new_slow(c, emit);

    s->x = o->x;
    s->y = o->y;
    s->constant = o->y_value;
    s->index = c->op.index;
    s->at = c->at;
    s->self_valid = c->self_valid;
    return s;
}

/* Takes the operands of an operation with an answer, and a register for that;
 * `emit` is what becomes of operands that are not as hoped. */
static struct slow *begin_operation(struct compiler *c, struct operands *o,
                                    void (*emit)(struct compiler *,
                                                 struct slow *))
{
    struct slow *s;

    spill(c, 2);
    *o = pop_operands(c);
    s = slow_for(c, o, emit);
    s->result = take_reg(c);
    return s;
}

static void branch_unless_ints(struct compiler *c, const struct operands *o,
                               struct label *no)
{
    if (o->is_constant) {
        asm_test8_imm(&c->a, o->x, TAG_INTEGER);
    } else {
        asm_mov32(&c->a, R10, o->x);
        asm_alu32(&c->a, AND, R10, o->y);
        asm_test8_imm(&c->a, R10, TAG_INTEGER);
    }
    asm_jcc(&c->a, IF_EQUAL, no);
}

/* --- slow paths --- */

static void load_y(struct compiler *c, enum reg r, const struct slow *s)
{
    if (s->y == NO_REG)
        asm_imm(&c->a, r, s->constant.oop);
    else
        asm_mov(&c->a, r, s->y);
}

/* Remembers for the second tier what was met; spoils r11. */
static void note(struct compiler *c, const struct slow *s, bool sent)
{
    struct assembler *a = &c->a;
    uint32_t no;

    if (!c->j->second_tier)
        return;
    asm_imm(a, R11, (uint64_t)(uintptr_t)feedback_byte(c->j, c->base, s->at));
    if (sent) {
        asm_alu_mem8_imm(a, OR, AT(R11, 0), ARITH_SENT);
        return;
    }
    asm_alu_mem8_imm(a, OR, AT(R11, 0), ARITH_FLOATS |
                     (s->y == NO_REG ? ARITH_RIGHT_INT : 0));
    asm_test8_imm(a, s->x, TAG_INTEGER);
    no = asm_jcc_short(a, IF_EQUAL);
    asm_alu_mem8_imm(a, OR, AT(R11, 0), ARITH_LEFT_INT);
    asm_here_short(a, no);
    if (s->y == NO_REG)
        return;
    asm_test8_imm(a, s->y, TAG_INTEGER);
    no = asm_jcc_short(a, IF_EQUAL);
    asm_alu_mem8_imm(a, OR, AT(R11, 0), ARITH_RIGHT_INT);
    asm_here_short(a, no);
}

/* The real send; its answer is in rax. */
static void send_operands(struct compiler *c, const struct slow *s,
                          uint32_t bytecode)
{
    note(c, s, true);
    asm_push(&c->a, s->x);
    load_y(c, R10, s);
    asm_push(&c->a, R10);
    asm_mov(&c->a, RDX, s->x);
    emit_send(c, POINT_SPECIAL, s->index, 1, bytecode);
    if (s->self_valid)
        asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
}

/* Tries the shared stub; behind it, r10 is the result or 0. */
static bool try_stub(struct compiler *c, const struct slow *s,
                     struct label *no)
{
    const uint8_t *stub = c->j->stubs.arithmetic[s->index];

    if (!stub)
        return false;
    load_y(c, R11, s);
    asm_mov(&c->a, R10, s->x);
    asm_call_to(&c->a, stub);
    asm_test(&c->a, R10, R10);
    asm_jcc(&c->a, IF_EQUAL, no);
    if (s->index <= DIVIDE)
        note(c, s, false);
    return true;
}

static void slow_operation(struct compiler *c, struct slow *s)
{
    struct label send = LABEL_INIT;

    if (try_stub(c, s, &send)) {
        asm_mov(&c->a, s->result, R10);
        asm_jmp(&c->a, &s->out);
    }
    asm_bind(&c->a, &send);
    send_operands(c, s, s->next);
    asm_mov(&c->a, s->result, RAX);
    asm_jmp(&c->a, &s->out);
}

/* A comparison joined with a jump. */
static void slow_compare_jump(struct compiler *c, struct slow *s)
{
    struct label send = LABEL_INIT;
    bool if_true = s->jump == OP_JUMP_TRUE;

    if (try_stub(c, s, &send)) {
        asm_alu_load(&c->a, CMP, R10, if_true ? HEAP(true_) : HEAP(false_));
        asm_jcc(&c->a, IF_EQUAL, &c->labels[s->target]);
        asm_jmp(&c->a, &s->out);
    }
    asm_bind(&c->a, &send);
    send_operands(c, s, s->before);
    emit_branch(c, RAX, s->jump, s->target, s->next);
    asm_jmp(&c->a, &s->out);
}

/* --- arithmetic --- */

static void add(struct compiler *c, const struct operands *o, struct slow *s)
{
    if (o->is_constant) {
        asm_mov(&c->a, s->result, o->x);
        asm_alu_imm(&c->a, ADD, s->result, o->constant - TAG_INTEGER);
    } else {
        asm_lea(&c->a, s->result, AT(o->x, -TAG_INTEGER));
        asm_alu(&c->a, ADD, s->result, o->y);
    }
    asm_jcc(&c->a, IF_OVERFLOW, &s->in);
}

static void subtract(struct compiler *c, const struct operands *o,
                     struct slow *s)
{
    asm_mov(&c->a, s->result, o->x);
    if (o->is_constant) {
        asm_alu_imm(&c->a, SUB, s->result, o->constant - TAG_INTEGER);
        asm_jcc(&c->a, IF_OVERFLOW, &s->in);
    } else {
        asm_alu(&c->a, SUB, s->result, o->y);
        asm_jcc(&c->a, IF_OVERFLOW, &s->in);
        asm_alu_imm(&c->a, ADD, s->result, TAG_INTEGER);
    }
}

static void multiply(struct compiler *c, const struct operands *o,
                     struct slow *s)
{
    asm_lea(&c->a, s->result, AT(o->x, -TAG_INTEGER));
    if (o->is_constant) {
        asm_imm(&c->a, R10, (uint64_t)(int64_t)(o->constant >> 3));
    } else {
        asm_mov(&c->a, R10, o->y);
        asm_shift(&c->a, SAR, R10, 3);
    }
    asm_imul(&c->a, s->result, R10);
    asm_jcc(&c->a, IF_OVERFLOW, &s->in);
    asm_alu_imm(&c->a, ADD, s->result, TAG_INTEGER);
}

static void bit_operation(struct compiler *c, const struct operands *o,
                          struct slow *s, enum alu op)
{
    asm_mov(&c->a, s->result, o->x);
    if (o->is_constant)
        asm_alu_imm(&c->a, op, s->result, o->constant);
    else
        asm_alu(&c->a, op, s->result, o->y);
}

static void arithmetic(struct compiler *c)
{
    struct operands o;
    struct slow *s;

    s = begin_operation(c, &o, slow_operation);
    branch_unless_ints(c, &o, &s->in);
    switch (c->op.index) {
    case PLUS: add(c, &o, s); break;
    case MINUS: subtract(c, &o, s); break;
    case TIMES: multiply(c, &o, s); break;
    case BIT_AND: bit_operation(c, &o, s, AND); break;
    default: bit_operation(c, &o, s, OR);
    }
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* Done by a shared stub throughout: floats' quotient, integers' division and
 * shifts. */
static void by_stub(struct compiler *c)
{
    struct operands o;
    struct slow *s;

    s = begin_operation(c, &o, slow_operation);
    asm_jmp(&c->a, &s->in);
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* --- comparison --- */

static enum cond condition(uint32_t special)
{
    static const enum cond conditions[] = {
        IF_LESS, IF_GREATER, IF_NOT_GREATER, IF_NOT_LESS, IF_EQUAL,
        IF_NOT_EQUAL,
    };

    return conditions[special - LESS];
}

static void compare_operands(struct compiler *c, const struct operands *o)
{
    if (o->is_constant)
        asm_alu_imm(&c->a, CMP, o->x, o->constant);
    else
        asm_alu(&c->a, CMP, o->x, o->y);
}

static void compare_and_jump(struct compiler *c, const struct operands *o,
                             uint32_t before, const struct op *jump)
{
    enum cond yes = condition(c->op.index);
    struct slow *s = slow_for(c, o, slow_compare_jump);

    s->before = before;
    s->jump = jump->kind;
    s->target = jump->target;
    branch_unless_ints(c, o, &s->in);
    compare_operands(c, o);
    asm_jcc(&c->a, jump->kind == OP_JUMP_TRUE ? yes : yes ^ 1,
            &c->labels[jump->target]);
    asm_bind(&c->a, &s->out);
}

static void compare(struct compiler *c)
{
    uint32_t before = c->op.next;
    struct operands o;
    struct op jump;
    struct slow *s;

    spill(c, 2);
    o = pop_operands(c);
    if (join_jump(c, &jump)) {
        compare_and_jump(c, &o, before, &jump);
        return;
    }
    s = slow_for(c, &o, slow_operation);
    s->result = take_reg(c);
    branch_unless_ints(c, &o, &s->in);
    compare_operands(c, &o);
    asm_load(&c->a, s->result, HEAP(false_));
    asm_cmov_load(&c->a, condition(c->op.index), s->result, HEAP(true_));
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* --- identity: x == y if the bits are, or forwarders make them so --- */

static void compare_identity(struct compiler *c, enum reg x, enum reg y,
                             const struct value *v)
{
    if (y != NO_REG)
        asm_alu(&c->a, CMP, x, y);
    else if (v->kind == VALUE_HEAP)
        asm_alu_load(&c->a, CMP, x, AT(RBX, v->at));
    else
        asm_alu_imm(&c->a, CMP, x, (int32_t)v->oop);
}

/* Asks C: result is 1 or 0 in r10. */
static void ask_identity(struct compiler *c, const struct slow *s)
{
    asm_push(&c->a, s->x);
    if (s->y != NO_REG)
        asm_push(&c->a, s->y);
    else if (s->constant.kind == VALUE_HEAP)
        asm_push_mem(&c->a, AT(RBX, s->constant.at));
    else
        asm_push_imm(&c->a, (int32_t)s->constant.oop);
    asm_call_to(&c->a, c->j->stubs.identical);
    asm_pop(&c->a, R10);
    asm_test(&c->a, R10, R10);
}

static void slow_identity_jump(struct compiler *c, struct slow *s)
{
    bool jump_if_same = (s->jump == OP_JUMP_TRUE) == (s->index == IDENTICAL);

    ask_identity(c, s);
    asm_jcc(&c->a, jump_if_same ? IF_NOT_EQUAL : IF_EQUAL,
            &c->labels[s->target]);
    asm_jmp(&c->a, &s->out);
}

static void slow_identity(struct compiler *c, struct slow *s)
{
    ask_identity(c, s);
    asm_load(&c->a, s->result, HEAP(false_));
    asm_cmov_load(&c->a, s->index == IDENTICAL ? IF_NOT_EQUAL : IF_EQUAL,
                  s->result, HEAP(true_));
    asm_jmp(&c->a, &s->out);
}

static void identity_and_jump(struct compiler *c, struct slow *s)
{
    struct label same = LABEL_INIT;
    bool jump_if_same = (s->jump == OP_JUMP_TRUE) == (s->index == IDENTICAL);

    asm_jcc(&c->a, IF_EQUAL,
            jump_if_same ? &c->labels[s->target] : &same);
    asm_alu_mem8_imm(&c->a, CMP, VM(forwarders), 0);
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
    if (!jump_if_same)
        asm_jmp(&c->a, &c->labels[s->target]);
    asm_bind(&c->a, &same);
    asm_bind(&c->a, &s->out);
}

static void identity(struct compiler *c)
{
    struct value v = *value_at(c, 0);
    bool in_line = v.kind == VALUE_HEAP ||
                   (v.kind == VALUE_OOP && (int64_t)v.oop == (int32_t)v.oop);
    enum reg y = NO_REG, x;
    uint32_t index = c->op.index;
    struct op jump;
    struct slow *s;

    spill(c, 2);
    if (in_line)
        c->depth--;
    else
        y = pop_reg(c);
    x = pop_reg(c);
    if (join_jump(c, &jump)) {
        s = new_slow(c, slow_identity_jump);
        s->jump = jump.kind;
        s->target = jump.target;
    } else {
        s = new_slow(c, slow_identity);
        s->result = take_reg(c);
        asm_load(&c->a, s->result,
                 index == IDENTICAL ? HEAP(true_) : HEAP(false_));
    }
    s->x = x;
    s->y = y;
    s->constant = v;
    s->index = index;
    compare_identity(c, x, y, &v);
    if (s->target) {
        identity_and_jump(c, s);
        return;
    }
    asm_jcc(&c->a, IF_EQUAL, &s->out);
    asm_alu_mem8_imm(&c->a, CMP, VM(forwarders), 0);
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
    asm_load(&c->a, s->result,
             index == IDENTICAL ? HEAP(false_) : HEAP(true_));
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* --- class --- */

static void slow_class(struct compiler *c, struct slow *s)
{
    asm_push(&c->a, s->x);
    asm_call_to(&c->a, c->j->stubs.class_of);
    asm_pop(&c->a, s->result);
    asm_jmp(&c->a, &s->out);
}

static void class_of(struct compiler *c)
{
    struct slow *s = new_slow(c, slow_class);
    uint32_t immediate;

    s->x = pop_reg(c);
    s->result = take_reg(c);
    asm_mov32(&c->a, s->result, s->x);
    asm_alu_imm32(&c->a, AND, s->result, TAG_MASK);
    immediate = asm_jcc_short(&c->a, IF_NOT_EQUAL);
    asm_load32(&c->a, s->result, AT(s->x, 0));
    asm_alu_imm32(&c->a, AND, s->result, HDR_CLASS_MASK);
    asm_alu_imm32(&c->a, CMP, s->result, CLS_FORWARDER);
    asm_jcc(&c->a, IF_EQUAL, &s->in);
    asm_here_short(&c->a, immediate);
    emit_class_at(&c->a, s->result, R10);
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

/* --- at: and at:put: of Arrays --- */

static void slow_at(struct compiler *c, struct slow *s)
{
    send_operands(c, s, s->next);
    asm_mov(&c->a, s->result, RAX);
    asm_jmp(&c->a, &s->out);
}

static void slow_at_put(struct compiler *c, struct slow *s)
{
    asm_push(&c->a, s->x);
    load_y(c, R10, s);
    asm_push(&c->a, R10);
    asm_push(&c->a, s->result);
    asm_mov(&c->a, RDX, s->x);
    emit_send(c, POINT_SPECIAL, s->index, 2, s->next);
    if (s->self_valid)
        asm_load(&c->a, RECEIVER_REG, FRAME(RECEIVER));
    asm_mov(&c->a, s->result, RAX);
    asm_jmp(&c->a, &s->out);
}

/* Index from 0 into r10, if it is one of the Array in x; spoils r11. */
static void array_index(struct compiler *c, const struct operands *o,
                        struct label *no)
{
    struct assembler *a = &c->a;

    asm_test8_imm(a, o->x, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    emit_class_check(a, o->x, CLS_ARRAY, R10, no);
    if (o->is_constant) {
        asm_imm(a, R10, (uint64_t)((int64_t)(o->constant >> 3) - 1));
    } else {
        asm_test8_imm(a, o->y, TAG_INTEGER);
        asm_jcc(a, IF_EQUAL, no);
        asm_mov(a, R10, o->y);
        asm_shift(a, SAR, R10, 3);
        asm_alu_imm(a, SUB, R10, 1);
    }
    load_slot_count(a, R11, o->x);
    asm_alu(a, CMP, R10, R11);
    asm_jcc(a, IF_NOT_BELOW, no);
}

static void array_at(struct compiler *c)
{
    struct operands o;
    struct slow *s;

    s = begin_operation(c, &o, slow_at);
    array_index(c, &o, &s->in);
    asm_load(&c->a, s->result, AT_INDEX(o.x, R10, 8, 8));
    asm_bind(&c->a, &s->out);
    push_reg(c, s->result);
}

static void array_at_put(struct compiler *c)
{
    struct operands o;
    struct slow *s;
    bool young;
    enum reg value;

    spill(c, 3);
    value = pop_stored(c, &young);
    o = pop_operands(c);
    s = slow_for(c, &o, slow_at_put);
    s->result = value;
    array_index(c, &o, &s->in);
    asm_test_mem8_imm(&c->a, AT(o.x, 2), HDR_IMMUTABLE >> 16);
    asm_jcc(&c->a, IF_NOT_EQUAL, &s->in);
    asm_store(&c->a, AT_INDEX(o.x, R10, 8, 8), value);
    if (young)
        emit_barrier(c, value, o.x, AT_INDEX(o.x, R10, 8, 8));
    asm_bind(&c->a, &s->out);
    push_reg(c, value);
}

bool compile_special(struct compiler *c)
{
    switch (c->op.index) {
    case PLUS: case MINUS: case TIMES: case BIT_AND: case BIT_OR:
        arithmetic(c);
        return true;
    case DIVIDE: case MODULO: case BIT_SHIFT: case QUOTIENT:
        by_stub(c);
        return true;
    case LESS: case GREATER: case LESS_EQUAL: case GREATER_EQUAL:
    case EQUAL: case NOT_EQUAL:
        compare(c);
        return true;
    case ELEMENT:
        if (!jit_array_access_is_primitive(c->vm))
            return false;
        array_at(c);
        return true;
    case PUT_ELEMENT:
        if (!jit_array_access_is_primitive(c->vm))
            return false;
        array_at_put(c);
        return true;
    case IDENTICAL: case NOT_IDENTICAL:
        identity(c);
        return true;
    case CLASS:
        class_of(c);
        return true;
    default:
        return false;
    }
}
