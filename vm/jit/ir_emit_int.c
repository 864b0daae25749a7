/*
 * ir_emit_int.c - integers and words.
 *
 * A failing operation leaves its operands as they are until it is known not
 * to fail: its exit may need them. Sums are made in place all the same, where
 * the operand is not needed any more; their exits undo them.
 */
#include "vm/jit/emitter.h"

/* Is it a constant that fits an instruction? */
static bool is_small(const struct ir_node *n, int32_t *k)
{
    *k = (int32_t)n->value;
    return (n->op == IR_CONST_WORD ||
            (n->op == IR_CONST && is_immediate(n->value))) &&
           (int64_t)n->value == *k;
}

struct pair { /* operands: a in a register, b too or a small constant */
    struct ir_node *a, *b;
    enum reg x, y;
    int32_t k;
    bool constant;
};

static struct pair use_pair(struct emitter *e, struct ir_node *n,
                            bool commutes)
{
    struct pair p = { value_of(n->inputs[0]), value_of(n->inputs[1]),
                      NO_REG, NO_REG, 0, false };

    if (commutes && is_small(p.a, &p.k)) {
        struct ir_node *swap = p.a;

        p.a = p.b;
        p.b = swap;
    }
    p.constant = is_small(p.b, &p.k);
    p.x = use(e, p.a);
    if (!p.constant)
        p.y = use(e, p.b);
    return p;
}

static void apply(struct emitter *e, enum alu op, enum reg to,
                  const struct pair *p, int32_t less)
{
    if (p->constant)
        asm_alu_imm(&e->a, op, to, p->k - less);
    else
        asm_alu(&e->a, op, to, p->y);
}

/* The result in r10 or another register becomes the node's value. */
static void answer(struct emitter *e, struct ir_node *n, enum reg r)
{
    enum reg to;

    release(e, n);
    to = define(e, n, -1);
    asm_mov(&e->a, to, r);
}

/* The same of an integer less its tag. */
static void answer_untagged(struct emitter *e, struct ir_node *n, enum reg r)
{
    release(e, n);
    asm_lea(&e->a, define(e, n, -1), AT(r, TAG_INTEGER));
}

static void tag(struct emitter *e, enum reg r)
{
    asm_shift(&e->a, SHL, r, 3);
    asm_alu_imm(&e->a, OR, r, TAG_INTEGER);
}

/* --- sums --- */

static void sum(struct emitter *e, struct ir_node *n)
{
    enum alu op = n->op == IR_ADD ? ADD : SUB;
    struct pair p = use_pair(e, n, n->op == IR_ADD);
    bool in_place = dies_at(e, p.a, n) && p.a != p.b;
    struct label *no;
    struct later *l;
    enum reg to;

    if (in_place) {
        l = new_exit(e, n);
        l->undo = true;
        l->x = p.x;
        l->y = p.y;
        l->constant = p.k - TAG_INTEGER;
        no = &l->in;
        release(e, n);
        to = define(e, n, (int)p.x);
    } else {
        to = define(e, n, -1);
        no = exit_of(e, n);
    }
    assert(!in_place || to == p.x);
    asm_mov(&e->a, to, p.x);
    apply(e, op, to, &p, TAG_INTEGER);
    asm_jcc(&e->a, IF_OVERFLOW, no);
    if (!p.constant)
        asm_alu_imm(&e->a, op == ADD ? SUB : ADD, to, TAG_INTEGER);
    if (!in_place)
        release(e, n);
}

static void multiply(struct emitter *e, struct ir_node *n)
{
    struct pair p = use_pair(e, n, true);
    struct label *no = exit_of(e, n);
    struct assembler *a = &e->a;

    if (p.constant) {
        asm_lea(a, R10, AT(p.x, -TAG_INTEGER));
        asm_imul_imm(a, R10, R10, p.k >> 3);
    } else {
        asm_mov(a, R11, p.y);
        asm_shift(a, SAR, R11, 3);
        asm_lea(a, R10, AT(p.x, -TAG_INTEGER));
        asm_imul(a, R10, R11);
    }
    asm_jcc(a, IF_OVERFLOW, no);
    answer_untagged(e, n, R10);
}

/* --- division --- */

/* The exponent of a positive constant that is a power of two, or -1. */
static int power_of_two(const struct pair *p)
{
    int32_t v = p->k >> 3, i;

    if (!p->constant || v <= 0 || v & (v - 1))
        return -1;
    for (i = 0; v >> i != 1; i++)
        ;
    return i;
}

static void divide_by_power(struct emitter *e, struct ir_node *n,
                            const struct pair *p, int power)
{
    enum reg to;

    release(e, n);
    to = define(e, n, (int)p->x);
    asm_mov(&e->a, to, p->x);
    if (n->op == IR_MOD) {
        asm_alu_imm(&e->a, AND, to,
                    (int32_t)int_oop(((int64_t)1 << power) - 1));
        return;
    }
    asm_shift(&e->a, SAR, to, (unsigned)power);
    asm_alu_imm(&e->a, AND, to, ~TAG_MASK);
    asm_alu_imm(&e->a, OR, to, TAG_INTEGER);
}

/* The quotient is rounded to 0 by the machine, down by // and \\. */
static void round_down(struct emitter *e)
{
    struct label done = LABEL_INIT;
    struct assembler *a = &e->a;

    asm_test(a, RDX, RDX);
    asm_jcc(a, IF_EQUAL, &done);
    asm_mov(a, R10, RDX);
    asm_alu(a, XOR, R10, R11);
    asm_jcc(a, IF_NOT_NEGATIVE, &done);
    asm_alu_imm(a, SUB, RAX, 1);
    asm_alu(a, ADD, RDX, R11);
    asm_bind(a, &done);
}

/* Nothing fits: a divisor of 0, and the one quotient that is too large. */
static void refuse_divisors(struct emitter *e, struct ir_node *n,
                            const struct pair *p)
{
    struct label *no = exit_of(e, n);
    struct assembler *a = &e->a;
    uint32_t fine;

    asm_alu_imm(a, CMP, p->y, (int32_t)int_oop(0));
    asm_jcc(a, IF_EQUAL, no);
    asm_alu_imm(a, CMP, p->y, (int32_t)int_oop(-1));
    fine = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_imm(a, R10, int_oop(SMALLINT_MIN));
    asm_alu(a, CMP, p->x, R10);
    asm_jcc(a, IF_EQUAL, no);
    asm_here_short(a, fine);
}

static void divide(struct emitter *e, struct ir_node *n)
{
    struct pair p = use_pair(e, n, false);
    bool quotient = n->op == IR_DIV || n->op == IR_QUO;
    bool down = n->op == IR_DIV || n->op == IR_MOD;
    struct assembler *a = &e->a;
    enum reg result = quotient ? RAX : RDX;

    if (down && power_of_two(&p) >= 0 && power_of_two(&p) < 28) {
        divide_by_power(e, n, &p, power_of_two(&p));
        return;
    }
    if (p.constant && p.k >> 3 != 0 && p.k >> 3 != -1) {
        asm_imm(a, R11, (uint64_t)(int64_t)(p.k >> 3));
    } else {
        if (p.constant)
            p.y = use(e, p.b);
        refuse_divisors(e, n, &p);
        asm_mov(a, R11, p.y);
        asm_shift(a, SAR, R11, 3);
    }
    asm_mov(a, R10, p.x);
    asm_shift(a, SAR, R10, 3);
    release(e, n);
    claim(e, RAX);
    claim(e, RDX);
    asm_mov(a, RAX, R10);
    asm_cqo(a);
    asm_idiv(a, R11);
    if (down)
        round_down(e);
    tag(e, result);
    define(e, n, (int)result);
}

/* --- bits --- */

static void bit_operation(struct emitter *e, struct ir_node *n, enum alu op)
{
    struct pair p = use_pair(e, n, true);
    enum reg to;

    release(e, n);
    to = define(e, n, (int)p.x);
    asm_mov(&e->a, to, p.x);
    apply(e, op, to, &p, op == XOR ? TAG_INTEGER : 0);
    if (op == XOR && !p.constant)
        asm_alu_imm(&e->a, OR, to, TAG_INTEGER);
}

static void shift_right(struct emitter *e, struct ir_node *n, unsigned by)
{
    enum reg x = use(e, n->inputs[0]), to;

    release(e, n);
    to = define(e, n, (int)x);
    asm_mov(&e->a, to, x);
    asm_shift(&e->a, SAR, to, by > 60 ? 60 : by);
    asm_alu_imm(&e->a, AND, to, ~TAG_MASK);
    asm_alu_imm(&e->a, OR, to, TAG_INTEGER);
}

static void shift_left(struct emitter *e, struct ir_node *n, unsigned by)
{
    enum reg x = use(e, n->inputs[0]);
    struct label *no = exit_of(e, n);
    struct assembler *a = &e->a;

    if (by > 60) {
        asm_alu_imm(a, CMP, x, (int32_t)int_oop(0));
        asm_jcc(a, IF_NOT_EQUAL, no);
        answer(e, n, x);
        return;
    }
    asm_lea(a, R10, AT(x, -TAG_INTEGER));
    asm_shift(a, SHL, R10, by);
    asm_mov(a, R11, R10);
    asm_shift(a, SAR, R11, by);
    asm_alu_imm(a, ADD, R11, TAG_INTEGER);
    asm_alu(a, CMP, R11, x);
    asm_jcc(a, IF_NOT_EQUAL, no);
    answer_untagged(e, n, R10);
}

static void shift_by(struct emitter *e, struct ir_node *n)
{
    struct assembler *a = &e->a;
    struct label *no;
    enum reg x, y;

    claim(e, RCX);
    x = use(e, n->inputs[0]);
    y = use(e, n->inputs[1]);
    no = exit_of(e, n);
    asm_alu_imm(a, CMP, y, (int32_t)int_oop(60));
    asm_jcc(a, IF_ABOVE, no);
    asm_mov(a, RCX, y);
    asm_shift(a, SAR, RCX, 3);
    if (n->op == IR_SHIFT_RIGHT) {
        asm_mov(a, R10, x);
        asm_shift_cl(a, SAR, R10);
        asm_alu_imm(a, AND, R10, ~TAG_MASK);
    } else {
        asm_lea(a, R10, AT(x, -TAG_INTEGER));
        asm_shift_cl(a, SHL, R10);
        asm_mov(a, R11, R10);
        asm_shift_cl(a, SAR, R11);
        asm_alu_imm(a, ADD, R11, TAG_INTEGER);
        asm_alu(a, CMP, R11, x);
        asm_jcc(a, IF_NOT_EQUAL, no);
    }
    answer_untagged(e, n, R10);
}

/* --- words --- */

static void word(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]), to;

    release(e, n);
    to = define(e, n, (int)x);
    if (n->op == IR_WORD_ADD && to != x) {
        asm_lea(&e->a, to, AT(x, n->index));
        return;
    }
    asm_mov(&e->a, to, x);
    if (n->op == IR_WORD_ADD)
        asm_alu_imm(&e->a, ADD, to, n->index);
    else if (n->op == IR_UNTAG)
        asm_shift(&e->a, SAR, to, 3);
    else
        asm_shift(&e->a, SHL, to, 3);
    if (n->op == IR_TAG_INT || n->op == IR_TAG_CHARACTER)
        asm_alu_imm(&e->a, OR, to,
                    n->op == IR_TAG_INT ? TAG_INTEGER : TAG_CHARACTER);
}

bool emit_integer(struct emitter *e, struct ir_node *n)
{
    switch (n->op) {
    case IR_ADD: case IR_SUB: sum(e, n); break;
    case IR_MUL: multiply(e, n); break;
    case IR_DIV: case IR_MOD: case IR_QUO: case IR_REM: divide(e, n); break;
    case IR_AND: bit_operation(e, n, AND); break;
    case IR_OR: bit_operation(e, n, OR); break;
    case IR_XOR: bit_operation(e, n, XOR); break;
    case IR_SHIFT:
        if (n->index < 0)
            shift_right(e, n, (unsigned)-n->index);
        else
            shift_left(e, n, (unsigned)n->index);
        break;
    case IR_SHIFT_LEFT: case IR_SHIFT_RIGHT: shift_by(e, n); break;
    case IR_UNTAG: case IR_TAG_INT: case IR_TAG_CHARACTER: case IR_WORD_ADD:
        word(e, n);
        break;
    default:
        return false;
    }
    return true;
}
