/*
 * asm_x64.c - instruction encoding. Intel SDM volume 2.
 */
#include "vm/jit/asm_x64.h"

#include <string.h>

enum { REX = 0x40, REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1 };

void asm_init(struct assembler *a, uint8_t *out, const uint8_t *exec,
              uint32_t room)
{
    *a = (struct assembler){ .out = out, .exec = exec, .room = room };
}

/* --- bytes --- */

void asm_byte(struct assembler *a, unsigned byte)
{
    if (a->used >= a->room) {
        a->full = true;
        return;
    }
    a->out[a->used++] = (uint8_t)byte;
}

static void put32(struct assembler *a, uint32_t v)
{
    int i;

    for (i = 0; i < 4; i++)
        asm_byte(a, v >> 8 * i & 255);
}

void asm_word(struct assembler *a, uint64_t word)
{
    put32(a, (uint32_t)word);
    put32(a, (uint32_t)(word >> 32));
}

/* The recommended long nops would only ever be jumped over. */
void asm_align(struct assembler *a, uint32_t to)
{
    while (a->used % to && !a->full)
        asm_byte(a, 0xcc);
}

void asm_align_nops(struct assembler *a, uint32_t to)
{
    static const uint8_t nops[][8] = {
        { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0 }, { 0x0f, 0x1f, 0x40, 0 },
        { 0x0f, 0x1f, 0x44, 0, 0 }, { 0x66, 0x0f, 0x1f, 0x44, 0, 0 },
        { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 },
        { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
    };
    uint32_t n, i;

    while (a->used % to && !a->full) {
        n = to - a->used % to;
        n = n > 8 ? 8 : n;
        for (i = 0; i < n; i++)
            asm_byte(a, nops[n - 1][i]);
    }
}

/* --- operands --- */

static void rex(struct assembler *a, unsigned w, unsigned reg, unsigned index,
                unsigned base, bool always)
{
    unsigned r = (w ? REX_W : 0) | (reg >= 8 ? REX_R : 0) |
                 (index >= 8 && index != NO_REG ? REX_X : 0) |
                 (base >= 8 && base != NO_REG ? REX_B : 0);

    if (r || always)
        asm_byte(a, REX | r);
}

static void mod_rr(struct assembler *a, unsigned reg, unsigned rm)
{
    asm_byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static unsigned scale_bits(unsigned scale)
{
    return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

/* ModRM, SIB and displacement of a memory operand. */
static void mod_rm(struct assembler *a, unsigned reg, struct mem m)
{
    bool sib = m.index != NO_REG || (m.base & 7) == RSP;
    bool short_disp = m.disp >= -128 && m.disp <= 127;
    unsigned mode = m.disp == 0 && (m.base & 7) != RBP ? 0
                    : short_disp                       ? 1
                                                       : 2;

    asm_byte(a, mode << 6 | (reg & 7) << 3 | (sib ? 4 : (m.base & 7)));
    if (sib)
        asm_byte(a, scale_bits(m.scale) << 6 |
                        (m.index == NO_REG ? 4 : m.index & 7) << 3 |
                        (m.base & 7));
    if (mode == 1)
        asm_byte(a, (uint8_t)m.disp);
    else if (mode == 2)
        put32(a, (uint32_t)m.disp);
}

static void op_rr(struct assembler *a, bool w, unsigned op, unsigned reg,
                  unsigned rm)
{
    rex(a, w, reg, NO_REG, rm, false);
    asm_byte(a, op);
    mod_rr(a, reg, rm);
}

static void op_rm(struct assembler *a, bool w, unsigned op, unsigned reg,
                  struct mem m)
{
    rex(a, w, reg, m.index, m.base, false);
    asm_byte(a, op);
    mod_rm(a, reg, m);
}

/* --- labels and jumps --- */

static int32_t read32(const struct assembler *a, uint32_t at)
{
    int32_t v;

    memcpy(&v, a->out + at, 4);
    return v;
}

static void write32(struct assembler *a, uint32_t at, int32_t v)
{
    memcpy(a->out + at, &v, 4);
}

/* The four bytes that say how far it is to `l` from their end. */
static void label_field(struct assembler *a, struct label *l)
{
    uint32_t at = a->used;

    if (l->at >= 0) {
        put32(a, (uint32_t)(l->at - (int32_t)at - 4));
        return;
    }
    put32(a, (uint32_t)l->chain);
    if (!a->full)
        l->chain = (int32_t)at;
}

void asm_bind(struct assembler *a, struct label *l)
{
    int32_t use, next;

    l->at = (int32_t)a->used;
    for (use = l->chain; use >= 0; use = next) {
        next = read32(a, (uint32_t)use);
        write32(a, (uint32_t)use, l->at - use - 4);
    }
    l->chain = -1;
}

void asm_jmp(struct assembler *a, struct label *l)
{
    asm_byte(a, 0xe9);
    label_field(a, l);
}

void asm_jcc(struct assembler *a, enum cond c, struct label *l)
{
    asm_byte(a, 0x0f);
    asm_byte(a, 0x80 | c);
    label_field(a, l);
}

uint32_t asm_jcc_short(struct assembler *a, enum cond c)
{
    asm_byte(a, 0x70 | c);
    asm_byte(a, 0);
    return a->used;
}

void asm_here_short(struct assembler *a, uint32_t jump)
{
    if (!a->full)
        a->out[jump - 1] = (uint8_t)(a->used - jump);
}

static void target_field(struct assembler *a, const uint8_t *target)
{
    put32(a, (uint32_t)(target - (a->exec + a->used + 4)));
}

void asm_jmp_to(struct assembler *a, const uint8_t *target)
{
    asm_byte(a, 0xe9);
    target_field(a, target);
}

void asm_jcc_to(struct assembler *a, enum cond c, const uint8_t *target)
{
    asm_byte(a, 0x0f);
    asm_byte(a, 0x80 | c);
    target_field(a, target);
}

void asm_call_to(struct assembler *a, const uint8_t *target)
{
    asm_byte(a, 0xe8);
    target_field(a, target);
}

void asm_jmp_reg(struct assembler *a, enum reg r)
{
    op_rr(a, false, 0xff, 4, r);
}

void asm_jmp_mem(struct assembler *a, struct mem m)
{
    op_rm(a, false, 0xff, 4, m);
}

void asm_call_reg(struct assembler *a, enum reg r)
{
    op_rr(a, false, 0xff, 2, r);
}

void asm_ret(struct assembler *a, unsigned bytes)
{
    asm_byte(a, bytes ? 0xc2 : 0xc3);
    if (bytes) {
        asm_byte(a, bytes & 255);
        asm_byte(a, bytes >> 8);
    }
}

void asm_leave(struct assembler *a) { asm_byte(a, 0xc9); }
void asm_trap(struct assembler *a) { asm_byte(a, 0xcc); }

/* --- moves --- */

void asm_mov(struct assembler *a, enum reg to, enum reg from)
{
    if (to != from)
        op_rr(a, true, 0x89, from, to);
}

void asm_mov32(struct assembler *a, enum reg to, enum reg from)
{
    op_rr(a, false, 0x89, from, to);
}

void asm_imm32(struct assembler *a, enum reg to, uint32_t value)
{
    rex(a, 0, 0, NO_REG, to, false);
    asm_byte(a, 0xb8 | (to & 7));
    put32(a, value);
}

void asm_imm(struct assembler *a, enum reg to, uint64_t value)
{
    if (value <= UINT32_MAX) {
        asm_imm32(a, to, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        op_rr(a, true, 0xc7, 0, to);
        put32(a, (uint32_t)value);
    } else {
        rex(a, 1, 0, NO_REG, to, false);
        asm_byte(a, 0xb8 | (to & 7));
        asm_word(a, value);
    }
}

void asm_load(struct assembler *a, enum reg to, struct mem m)
{
    op_rm(a, true, 0x8b, to, m);
}

void asm_load32(struct assembler *a, enum reg to, struct mem m)
{
    op_rm(a, false, 0x8b, to, m);
}

void asm_load8(struct assembler *a, enum reg to, struct mem m)
{
    rex(a, 0, to, m.index, m.base, false);
    asm_byte(a, 0x0f);
    asm_byte(a, 0xb6);
    mod_rm(a, to, m);
}

void asm_load16(struct assembler *a, enum reg to, struct mem m)
{
    rex(a, 0, to, m.index, m.base, false);
    asm_byte(a, 0x0f);
    asm_byte(a, 0xb7);
    mod_rm(a, to, m);
}

void asm_store(struct assembler *a, struct mem m, enum reg from)
{
    op_rm(a, true, 0x89, from, m);
}

void asm_store32(struct assembler *a, struct mem m, enum reg from)
{
    op_rm(a, false, 0x89, from, m);
}

void asm_store8(struct assembler *a, struct mem m, enum reg from)
{
    rex(a, 0, from, m.index, m.base, from >= 4); /* sil, not dh */
    asm_byte(a, 0x88);
    mod_rm(a, from, m);
}

void asm_store16(struct assembler *a, struct mem m, enum reg from)
{
    asm_byte(a, 0x66);
    op_rm(a, false, 0x89, from, m);
}

void asm_store_imm(struct assembler *a, struct mem m, int32_t value)
{
    op_rm(a, true, 0xc7, 0, m);
    put32(a, (uint32_t)value);
}

void asm_store8_imm(struct assembler *a, struct mem m, unsigned value)
{
    op_rm(a, false, 0xc6, 0, m);
    asm_byte(a, value);
}

void asm_lea(struct assembler *a, enum reg to, struct mem m)
{
    op_rm(a, true, 0x8d, to, m);
}

static void rip_operand(struct assembler *a, unsigned op, unsigned reg,
                        struct label *l)
{
    asm_byte(a, op);
    asm_byte(a, (reg & 7) << 3 | 5);
    label_field(a, l);
}

uint32_t asm_lea_label(struct assembler *a, enum reg to, struct label *l)
{
    rex(a, 1, to, NO_REG, NO_REG, false);
    rip_operand(a, 0x8d, to, l);
    return a->used - 4;
}

void asm_load_label(struct assembler *a, enum reg to, struct label *l)
{
    rex(a, 1, to, NO_REG, NO_REG, false);
    rip_operand(a, 0x8b, to, l);
}

void asm_push_label(struct assembler *a, struct label *l)
{
    rip_operand(a, 0xff, 6, l);
}

void asm_push(struct assembler *a, enum reg r)
{
    rex(a, 0, 0, NO_REG, r, false);
    asm_byte(a, 0x50 | (r & 7));
}

void asm_push_imm(struct assembler *a, int32_t value)
{
    bool is_short = value >= -128 && value <= 127;

    asm_byte(a, is_short ? 0x6a : 0x68);
    if (is_short)
        asm_byte(a, (uint8_t)value);
    else
        put32(a, (uint32_t)value);
}

void asm_push_mem(struct assembler *a, struct mem m)
{
    op_rm(a, false, 0xff, 6, m);
}

void asm_pop(struct assembler *a, enum reg r)
{
    rex(a, 0, 0, NO_REG, r, false);
    asm_byte(a, 0x58 | (r & 7));
}

void asm_pop_mem(struct assembler *a, struct mem m)
{
    op_rm(a, false, 0x8f, 0, m);
}

/* --- arithmetic --- */

void asm_alu(struct assembler *a, enum alu op, enum reg to, enum reg from)
{
    op_rr(a, true, op << 3 | 1, from, to);
}

void asm_alu32(struct assembler *a, enum alu op, enum reg to, enum reg from)
{
    op_rr(a, false, op << 3 | 1, from, to);
}

static void alu_imm(struct assembler *a, bool w, enum alu op, enum reg to,
                    int32_t v)
{
    bool is_short = v >= -128 && v <= 127;

    op_rr(a, w, is_short ? 0x83 : 0x81, op, to);
    if (is_short)
        asm_byte(a, (uint8_t)v);
    else
        put32(a, (uint32_t)v);
}

void asm_alu_imm(struct assembler *a, enum alu op, enum reg to, int32_t v)
{
    alu_imm(a, true, op, to, v);
}

void asm_alu_imm32(struct assembler *a, enum alu op, enum reg to, int32_t v)
{
    alu_imm(a, false, op, to, v);
}

void asm_alu_load(struct assembler *a, enum alu op, enum reg to, struct mem m)
{
    op_rm(a, true, op << 3 | 3, to, m);
}

void asm_alu_label(struct assembler *a, enum alu op, enum reg to,
                   struct label *l)
{
    rex(a, 1, to, NO_REG, NO_REG, false);
    rip_operand(a, op << 3 | 3, to, l);
}

void asm_alu_mem_imm(struct assembler *a, enum alu op, struct mem m,
                     int32_t v)
{
    bool is_short = v >= -128 && v <= 127;

    op_rm(a, true, is_short ? 0x83 : 0x81, op, m);
    if (is_short)
        asm_byte(a, (uint8_t)v);
    else
        put32(a, (uint32_t)v);
}

void asm_alu_mem8_imm(struct assembler *a, enum alu op, struct mem m,
                      unsigned v)
{
    op_rm(a, false, 0x80, op, m);
    asm_byte(a, v);
}

void asm_test(struct assembler *a, enum reg x, enum reg y)
{
    op_rr(a, true, 0x85, y, x);
}

void asm_test8_imm(struct assembler *a, enum reg r, unsigned v)
{
    rex(a, 0, 0, NO_REG, r, r >= 4);
    asm_byte(a, 0xf6);
    mod_rr(a, 0, r);
    asm_byte(a, v);
}

void asm_test_mem8_imm(struct assembler *a, struct mem m, unsigned v)
{
    op_rm(a, false, 0xf6, 0, m);
    asm_byte(a, v);
}

void asm_shift(struct assembler *a, enum shift op, enum reg r, unsigned n)
{
    op_rr(a, true, 0xc1, op, r);
    asm_byte(a, n);
}

void asm_shift32(struct assembler *a, enum shift op, enum reg r, unsigned n)
{
    op_rr(a, false, 0xc1, op, r);
    asm_byte(a, n);
}

void asm_shift_cl(struct assembler *a, enum shift op, enum reg r)
{
    op_rr(a, true, 0xd3, op, r);
}

void asm_imul(struct assembler *a, enum reg to, enum reg from)
{
    rex(a, 1, to, NO_REG, from, false);
    asm_byte(a, 0x0f);
    asm_byte(a, 0xaf);
    mod_rr(a, to, from);
}

void asm_imul_imm(struct assembler *a, enum reg to, enum reg from, int32_t v)
{
    op_rr(a, true, 0x69, to, from);
    put32(a, (uint32_t)v);
}

void asm_cqo(struct assembler *a)
{
    asm_byte(a, REX | REX_W);
    asm_byte(a, 0x99);
}

void asm_idiv(struct assembler *a, enum reg r) { op_rr(a, true, 0xf7, 7, r); }

void asm_inc_mem(struct assembler *a, struct mem m)
{
    op_rm(a, true, 0xff, 0, m);
}

void asm_cmov_load(struct assembler *a, enum cond c, enum reg to,
                   struct mem m)
{
    rex(a, 1, to, m.index, m.base, false);
    asm_byte(a, 0x0f);
    asm_byte(a, 0x40 | c);
    mod_rm(a, to, m);
}

/* --- doubles --- */

static void sse_rr(struct assembler *a, unsigned prefix, bool w, unsigned op,
                   unsigned reg, unsigned rm)
{
    asm_byte(a, prefix);
    rex(a, w, reg, NO_REG, rm, false);
    asm_byte(a, 0x0f);
    asm_byte(a, op);
    mod_rr(a, reg, rm);
}

void asm_to_xmm(struct assembler *a, unsigned xmm, enum reg from)
{
    sse_rr(a, 0x66, true, 0x6e, xmm, from);
}

void asm_from_xmm(struct assembler *a, enum reg to, unsigned xmm)
{
    sse_rr(a, 0x66, true, 0x7e, xmm, to);
}

void asm_sse(struct assembler *a, enum sse op, unsigned to, unsigned from)
{
    sse_rr(a, 0xf2, false, op, to, from);
}

void asm_int_to_double(struct assembler *a, unsigned xmm, enum reg from)
{
    sse_rr(a, 0xf2, true, 0x2a, xmm, from);
}

void asm_double_to_int(struct assembler *a, enum reg to, unsigned xmm)
{
    sse_rr(a, 0xf2, true, 0x2c, to, xmm);
}

void asm_compare_doubles(struct assembler *a, unsigned x, unsigned y)
{
    sse_rr(a, 0x66, false, 0x2e, x, y);
}

/* --- doubles in memory --- */

static void sse_rm(struct assembler *a, unsigned prefix, unsigned op,
                   unsigned reg, struct mem m)
{
    asm_byte(a, prefix);
    rex(a, 0, reg, m.index, m.base, false);
    asm_byte(a, 0x0f);
    asm_byte(a, op);
    mod_rm(a, reg, m);
}

static void sse_label(struct assembler *a, unsigned op, unsigned reg,
                      struct label *l)
{
    asm_byte(a, 0xf2);
    rex(a, 0, reg, NO_REG, NO_REG, false);
    asm_byte(a, 0x0f);
    rip_operand(a, op, reg, l);
}

void asm_sse_label(struct assembler *a, enum sse op, unsigned to,
                   struct label *l)
{
    sse_label(a, op, to, l);
}

void asm_mov_double(struct assembler *a, unsigned to, unsigned from)
{
    if (to == from)
        return;
    rex(a, 0, to, NO_REG, from, false); /* movaps: the whole register */
    asm_byte(a, 0x0f);
    asm_byte(a, 0x28);
    mod_rr(a, to, from);
}

void asm_load_double(struct assembler *a, unsigned to, struct mem m)
{
    sse_rm(a, 0xf2, 0x10, to, m);
}

void asm_load_double_label(struct assembler *a, unsigned to, struct label *l)
{
    sse_label(a, 0x10, to, l);
}

void asm_store_double(struct assembler *a, struct mem m, unsigned from)
{
    sse_rm(a, 0xf2, 0x11, from, m);
}

void asm_xor_doubles(struct assembler *a, unsigned to, unsigned from)
{
    sse_rr(a, 0x66, false, 0x57, to, from);
}
