/*
 * ir_emit_double.c - doubles, and floats as objects.
 *
 * A SmallFloat64 is the double's bits rotated left by one, its exponent less
 * FLOAT_REBASE's, above the tag; both zeros are as they are.
 */
#include "vm/jit/emitter.h"

/* --- arithmetic --- */

static void arithmetic(struct emitter *e, struct ir_node *n, enum sse op)
{
    struct ir_node *a = value_of(n->inputs[0]), *b = value_of(n->inputs[1]);
    bool commutes = op == ADDSD || op == MULSD;
    unsigned x, y = 0, to;

    if (commutes && (is_constant(a) ||
                     (!dies_at(e, a, n) && dies_at(e, b, n)))) {
        struct ir_node *swap = a;

        a = b;
        b = swap;
    }
    x = use(e, a);
    if (!is_constant(b))
        y = use(e, b);
    release(e, n);
    to = define(e, n, (int)(x + XMM));
    asm_mov_double(&e->a, to, x);
    if (is_constant(b))
        asm_sse_label(&e->a, op, to, pool_word(e, b->value));
    else
        asm_sse(&e->a, op, to, y);
}

static void square_root(struct emitter *e, struct ir_node *n)
{
    unsigned x = use(e, n->inputs[0]);

    release(e, n);
    asm_sse(&e->a, SQRTSD, define(e, n, (int)(x + XMM)), x);
}

static void negate(struct emitter *e, struct ir_node *n)
{
    unsigned x = use(e, n->inputs[0]), to;

    release(e, n);
    to = define(e, n, (int)(x + XMM));
    asm_load_double_label(&e->a, 0, pool_word(e, 1ull << 63));
    asm_mov_double(&e->a, to, x);
    asm_xor_doubles(&e->a, to, 0);
}

/* --- integers --- */

static void from_integer(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]);
    struct label *no = n->index ? exit_of(e, n) : NULL;
    struct assembler *a = &e->a;
    unsigned to;

    asm_mov(a, R10, x);
    asm_shift(a, SAR, R10, 3);
    asm_xor_doubles(a, 0, 0); /* what was in it does not matter */
    asm_int_to_double(a, 0, R10);
    if (no) {
        asm_double_to_int(a, R11, 0);
        asm_alu(a, CMP, R11, R10);
        asm_jcc(a, IF_NOT_EQUAL, no);
    }
    release(e, n);
    to = define(e, n, -1);
    asm_mov_double(a, to, 0);
}

/* What is no integer of 61 bits loses some when it is tagged; the machine
 * has one number for all that does not fit 64. */
static void truncate(struct emitter *e, struct ir_node *n)
{
    unsigned x = use(e, n->inputs[0]);
    struct label *no = exit_of(e, n);
    struct assembler *a = &e->a;

    asm_double_to_int(a, R10, x);
    asm_mov(a, R11, R10);
    asm_shift(a, SHL, R10, 3);
    asm_shift(a, SAR, R10, 3);
    asm_alu(a, CMP, R10, R11);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_shift(a, SHL, R10, 3);
    release(e, n);
    asm_lea(a, define(e, n, -1), AT(R10, TAG_INTEGER));
}

/* --- objects --- */

static void later_unbox(struct emitter *e, struct later *l)
{
    asm_load_double(&e->a, l->y, AT(l->x, 8));
    asm_jmp(&e->a, &l->out);
}

static void unbox(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]);
    unsigned to = define(e, n, -1);
    struct later *l = new_later(e, later_unbox);
    struct assembler *a = &e->a;
    uint32_t zero;

    l->x = x;
    l->y = to;
    asm_test8_imm(a, x, TAG_FLOAT);
    asm_jcc(a, IF_EQUAL, &l->in);
    asm_mov(a, R10, x);
    asm_shift(a, SHR, R10, 3);
    asm_alu_imm(a, CMP, R10, 1);
    zero = asm_jcc_short(a, IF_NOT_ABOVE);
    asm_alu_label(a, ADD, R10, pool_word(e, FLOAT_REBASE));
    asm_here_short(a, zero);
    asm_shift(a, ROR, R10, 1);
    asm_to_xmm(a, to, R10);
    asm_bind(a, &l->out);
    release(e, n);
}

static void later_box(struct emitter *e, struct later *l)
{
    asm_from_xmm(&e->a, R10, l->x);
    asm_push(&e->a, R10);
    asm_call_to(&e->a, e->j->stubs.box);
    asm_pop(&e->a, l->y);
    asm_jmp(&e->a, &l->out);
}

static void box(struct emitter *e, struct ir_node *n)
{
    unsigned x = use(e, n->inputs[0]);
    enum reg to = define(e, n, -1);
    struct later *l = new_later(e, later_box);
    struct assembler *a = &e->a;
    uint32_t zero;

    l->x = x;
    l->y = to;
    asm_from_xmm(a, to, x);
    asm_shift(a, ROL, to, 1);
    asm_alu_imm(a, CMP, to, 1);
    zero = asm_jcc_short(a, IF_NOT_ABOVE);
    asm_alu_label(a, SUB, to, pool_word(e, FLOAT_REBASE));
    asm_lea(a, R10, AT(to, -2));
    asm_shift(a, SHR, R10, 61);
    asm_jcc(a, IF_NOT_EQUAL, &l->in);
    asm_here_short(a, zero);
    asm_shift(a, SHL, to, 3);
    asm_alu_imm(a, OR, to, TAG_FLOAT);
    asm_bind(a, &l->out);
    release(e, n);
}

bool emit_double(struct emitter *e, struct ir_node *n)
{
    switch (n->op) {
    case IR_FADD: arithmetic(e, n, ADDSD); break;
    case IR_FSUB: arithmetic(e, n, SUBSD); break;
    case IR_FMUL: arithmetic(e, n, MULSD); break;
    case IR_FDIV: arithmetic(e, n, DIVSD); break;
    case IR_FSQRT: square_root(e, n); break;
    case IR_FNEG: negate(e, n); break;
    case IR_INT_TO_DOUBLE: from_integer(e, n); break;
    case IR_TRUNCATE: truncate(e, n); break;
    case IR_UNBOX: unbox(e, n); break;
    case IR_BOX: box(e, n); break;
    default: return false;
    }
    return true;
}
