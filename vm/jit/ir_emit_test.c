/*
 * ir_emit_test.c - comparisons, tests, guards and branches.
 *
 * A test is a jump to one of two labels. Where its only user is the branch
 * that ends the block these are the successors'; else it makes a Boolean.
 */
#include "vm/jit/emitter.h"

/* --- jumps --- */

static void jump_if(struct emitter *e, enum cond c, struct label *yes,
                    struct label *no, const struct label *follows)
{
    if (follows == yes) {
        asm_jcc(&e->a, c ^ 1, no);
        return;
    }
    asm_jcc(&e->a, c, yes);
    if (follows != no)
        asm_jmp(&e->a, no);
}

/* The condition that holds of b and a where `c` holds of a and b. */
static enum cond mirrored(enum cond c)
{
    switch (c) {
    case IF_LESS: return IF_GREATER;
    case IF_GREATER: return IF_LESS;
    case IF_NOT_LESS: return IF_NOT_GREATER;
    case IF_NOT_GREATER: return IF_NOT_LESS;
    case IF_BELOW: return IF_ABOVE;
    case IF_ABOVE: return IF_BELOW;
    case IF_NOT_BELOW: return IF_NOT_ABOVE;
    case IF_NOT_ABOVE: return IF_NOT_BELOW;
    default: return c;
    }
}

static bool is_small(const struct ir_node *n)
{
    return (n->op == IR_CONST_WORD ||
            (n->op == IR_CONST && is_immediate(n->value))) &&
           (int64_t)n->value == (int32_t)n->value;
}

/* Compares a register to anything; operands of constants need none. */
static void compare_to(struct emitter *e, enum reg x, struct ir_node *n)
{
    const struct heap *h = &e->vm->heap;
    struct assembler *a = &e->a;

    n = value_of(n);
    if (reg_of(n) >= 0)
        asm_alu(a, CMP, x, use(e, n));
    else if (is_small(n))
        asm_alu_imm(a, CMP, x, (int32_t)n->value);
    else if (!is_constant(n) || is_immediate(n->value) ||
             n->op == IR_CONST_WORD)
        asm_alu(a, CMP, x, use(e, n));
    else if (n->value == h->nil)
        asm_alu_load(a, CMP, x, HEAP(nil));
    else if (n->value == h->true_)
        asm_alu_load(a, CMP, x, HEAP(true_));
    else if (n->value == h->false_)
        asm_alu_load(a, CMP, x, HEAP(false_));
    else
        asm_alu_label(a, CMP, x, pool_oop(e, n->value, NULL));
}

/* Compares the inputs, the first or the second in a register. */
static enum cond compare_inputs(struct emitter *e, struct ir_node *n,
                                enum cond c)
{
    struct ir_node *a = value_of(n->inputs[0]), *b = value_of(n->inputs[1]);

    if (is_constant(a) && !is_constant(b)) {
        compare_to(e, use(e, b), a);
        return mirrored(c);
    }
    compare_to(e, use(e, a), b);
    return c;
}

/* --- tests --- */

static bool is_immediate_class(uint32_t class_index)
{
    return class_index == CLS_SMALL_INTEGER || class_index == CLS_CHARACTER ||
           class_index == CLS_SMALL_FLOAT;
}

/* An immediate's class index is its tag, a single bit. Goes on behind if the
 * class is that, else to `no`. */
static void check_class(struct emitter *e, enum reg x, const struct ir_node *n,
                        uint32_t class_index, struct label *no)
{
    struct assembler *a = &e->a;

    if (is_immediate_class(class_index)) {
        asm_test8_imm(a, x, class_index);
        asm_jcc(a, IF_EQUAL, no);
        return;
    }
    if (n->type != TYPE_CLASS || is_immediate_class(n->class_index)) {
        asm_test8_imm(a, x, TAG_MASK);
        asm_jcc(a, IF_NOT_EQUAL, no);
    }
    emit_class_check(a, x, class_index, R10, no);
}

static void test_class(struct emitter *e, struct ir_node *n,
                       struct label *yes, struct label *no,
                       const struct label *follows)
{
    check_class(e, use(e, n->inputs[0]), n->inputs[0], (uint32_t)n->index,
                no);
    if (follows != yes)
        asm_jmp(&e->a, yes);
}

static void later_identical(struct emitter *e, struct later *l)
{
    asm_push(&e->a, l->x);
    asm_push(&e->a, l->y);
    asm_call_to(&e->a, e->j->stubs.identical);
    asm_pop(&e->a, R10);
    asm_test(&e->a, R10, R10);
    asm_jcc(&e->a, IF_NOT_EQUAL, l->yes);
    asm_jmp(&e->a, l->no);
}

/* Different oops are the same object if one forwards to the other. */
static void test_identical(struct emitter *e, struct ir_node *n,
                           struct label *yes, struct label *no,
                           const struct label *follows)
{
    enum reg x = use(e, n->inputs[0]), y = use(e, n->inputs[1]);
    struct later *l = new_later(e, later_identical);

    l->x = x;
    l->y = y;
    l->yes = yes;
    l->no = no;
    asm_alu(&e->a, CMP, x, y);
    asm_jcc(&e->a, IF_EQUAL, yes);
    asm_alu_mem8_imm(&e->a, CMP, VM(forwarders), 0);
    asm_jcc(&e->a, IF_NOT_EQUAL, &l->in);
    if (follows != no)
        asm_jmp(&e->a, no);
}

/* Unordered operands compare unequal, and not in any other way. */
static void test_doubles(struct emitter *e, struct ir_node *n,
                         struct label *yes, struct label *no,
                         const struct label *follows)
{
    unsigned x = use(e, n->inputs[0]), y = use(e, n->inputs[1]);
    bool swapped = n->cond == IF_BELOW || n->cond == IF_NOT_ABOVE;

    asm_compare_doubles(&e->a, swapped ? y : x, swapped ? x : y);
    if (n->cond == IF_EQUAL || n->cond == IF_NOT_EQUAL) {
        asm_jcc(&e->a, IF_PARITY, n->cond == IF_EQUAL ? no : yes);
        jump_if(e, n->cond, yes, no, follows);
    } else {
        jump_if(e, swapped ? mirrored(n->cond) : n->cond, yes, no, follows);
    }
}

static void test(struct emitter *e, struct ir_node *n, struct label *yes,
                 struct label *no, const struct label *follows)
{
    switch (n->op) {
    case IR_COMPARE: case IR_COMPARE_WORD:
        jump_if(e, compare_inputs(e, n, n->cond), yes, no, follows);
        break;
    case IR_FCOMPARE:
        test_doubles(e, n, yes, no, follows);
        break;
    case IR_IS_CLASS:
        test_class(e, n, yes, no, follows);
        break;
    case IR_IS_INT:
        asm_test8_imm(&e->a, use(e, n->inputs[0]), TAG_INTEGER);
        jump_if(e, IF_NOT_EQUAL, yes, no, follows);
        break;
    default:
        if (n->cond == IF_NOT_EQUAL)
            test_identical(e, n, no, yes, follows);
        else
            test_identical(e, n, yes, no, follows);
    }
}

/* Neither true nor false, which its guard left to the branch, is its exit. */
static void branch_guarded(struct emitter *e, enum reg x, struct label *yes,
                           struct label *no, const struct label *follows)
{
    bool no_first = follows == yes;

    asm_alu_load(&e->a, CMP, x, no_first ? HEAP(false_) : HEAP(true_));
    asm_jcc(&e->a, IF_EQUAL, no_first ? no : yes);
    asm_alu_load(&e->a, CMP, x, no_first ? HEAP(true_) : HEAP(false_));
    asm_jcc(&e->a, IF_NOT_EQUAL, e->not_boolean);
    if (!no_first && follows != no)
        asm_jmp(&e->a, no);
    e->not_boolean = NULL;
}

void emit_jump_if(struct emitter *e, struct ir_node *branch,
                  struct label *yes, struct label *no, struct label *follows)
{
    struct ir_node *n = value_of(branch->inputs[0]);

    if (info_of(e, n)->fused) {
        test(e, n, yes, no, follows);
    } else if (e->not_boolean) {
        branch_guarded(e, (enum reg)reg_of(n), yes, no, follows);
    } else {
        asm_alu_load(&e->a, CMP, use(e, n), HEAP(true_));
        jump_if(e, IF_EQUAL, yes, no, follows);
    }
}

/* --- Booleans --- */

/* Nothing may leave its register while there are two paths: the result gets
 * one first. */
static void make_boolean(struct emitter *e, struct ir_node *n)
{
    struct label *l = ir_take(e->g, 3 * sizeof *l);
    enum reg to;
    int i;

    if (!l)
        return;
    for (i = 0; i < 3; i++)
        l[i] = (struct label)LABEL_INIT;
    to = define(e, n, -1);
    test(e, n, &l[0], &l[1], &l[0]);
    asm_bind(&e->a, &l[0]);
    asm_load(&e->a, to, HEAP(true_));
    asm_jmp(&e->a, &l[2]);
    asm_bind(&e->a, &l[1]);
    asm_load(&e->a, to, HEAP(false_));
    asm_bind(&e->a, &l[2]);
    release(e, n);
}

static void make_compared(struct emitter *e, struct ir_node *n)
{
    enum cond c = compare_inputs(e, n, n->cond);
    enum reg to;

    release(e, n);
    to = define(e, n, -1);
    asm_load(&e->a, to, HEAP(false_));
    asm_cmov_load(&e->a, c, to, HEAP(true_));
}

/* --- guards --- */

static void guard_float(struct emitter *e, enum reg x, struct label *no)
{
    struct assembler *a = &e->a;
    uint32_t small;

    asm_test8_imm(a, x, TAG_FLOAT);
    small = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_test8_imm(a, x, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    emit_class_check(a, x, CLS_BOXED_FLOAT, R10, no);
    asm_here_short(a, small);
}

static void guard_boolean(struct emitter *e, struct ir_node *n, enum reg x,
                          struct label *no)
{
    uint32_t fine;

    if (n->next->op == IR_BRANCH && n->next->inputs[0] == n &&
        reg_of(value_of(n->inputs[0])) == (int)x) {
        e->not_boolean = no; /* nothing leaves its register till then */
        return;
    }
    asm_alu_load(&e->a, CMP, x, HEAP(true_));
    fine = asm_jcc_short(&e->a, IF_EQUAL);
    asm_alu_load(&e->a, CMP, x, HEAP(false_));
    asm_jcc(&e->a, IF_NOT_EQUAL, no);
    asm_here_short(&e->a, fine);
}

static void guard_value(struct emitter *e, enum reg x, oop value,
                        struct label *no)
{
    if (is_immediate(value)) {
        asm_imm(&e->a, R10, value);
        asm_alu(&e->a, CMP, x, R10);
    } else {
        asm_alu_label(&e->a, CMP, x, pool_oop(e, value, NULL));
    }
    asm_jcc(&e->a, IF_NOT_EQUAL, no);
}

static void guard(struct emitter *e, struct ir_node *n)
{
    struct ir_node *in = n->inputs[0];
    enum reg x = use(e, in);
    struct label *no;

    if (n->op == IR_GUARD_BELOW) {
        struct ir_node *b = value_of(n->inputs[1]);

        if (!is_small(b))
            use(e, b);
        no = exit_of(e, n);
        compare_to(e, x, b);
        asm_jcc(&e->a, IF_NOT_BELOW, no);
        release(e, n);
        return;
    }
    no = exit_of(e, n);
    switch (n->op) {
    case IR_GUARD_INT: check_class(e, x, in, CLS_SMALL_INTEGER, no); break;
    case IR_GUARD_CHARACTER: check_class(e, x, in, CLS_CHARACTER, no); break;
    case IR_GUARD_CLASS: check_class(e, x, in, (uint32_t)n->index, no); break;
    case IR_GUARD_FLOAT: guard_float(e, x, no); break;
    case IR_GUARD_VALUE: guard_value(e, x, n->value, no); break;
    case IR_GUARD_BOOLEAN: guard_boolean(e, n, x, no); break;
    default:
        asm_test_mem8_imm(&e->a, AT(x, 2), HDR_IMMUTABLE >> 16);
        asm_jcc(&e->a, IF_NOT_EQUAL, no);
    }
    release(e, n);
}

bool emit_test_node(struct emitter *e, struct ir_node *n)
{
    switch (n->op) {
    case IR_COMPARE: case IR_COMPARE_WORD:
        make_compared(e, n);
        break;
    case IR_FCOMPARE: case IR_IS_CLASS: case IR_IS_INT: case IR_IDENTICAL:
        make_boolean(e, n);
        break;
    case IR_REFINE:
        release(e, n);
        break;
    default:
        if (n->op < IR_GUARD_INT || n->op > IR_GUARD_BELOW)
            return false;
        guard(e, n);
    }
    return true;
}
