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

/* The lowest n bytes of v: in one store, of eight, where there is room for
 * it. What it writes behind them is written over by what comes next. */
static void put(struct assembler *a, uint64_t v, unsigned n)
{
    if (a->room - a->used >= sizeof v) {
        memcpy(a->out + a->used, &v, sizeof v);
        a->used += n;
        return;
    }
    for (; n; n--, v >>= 8)
        asm_byte(a, v & 255);
}

static void put32(struct assembler *a, uint32_t v) { put(a, v, 4); }
void asm_word(struct assembler *a, uint64_t word) { put(a, word, 8); }

/* An instruction's first bytes. */
struct bytes {
    uint64_t all;
    unsigned n;
};

static void add(struct bytes *b, unsigned byte)
{
    b->all |= (uint64_t)byte << 8 * b->n++;
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

static void rex(struct bytes *b, unsigned w, unsigned reg, unsigned index,
                unsigned base, bool always)
{
    unsigned r = (w ? REX_W : 0) | (reg >= 8 ? REX_R : 0) |
                 (index >= 8 && index != NO_REG ? REX_X : 0) |
                 (base >= 8 && base != NO_REG ? REX_B : 0);

    if (r || always)
        add(b, REX | r);
}

static void mod_rr(struct bytes *b, unsigned reg, unsigned rm)
{
    add(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static unsigned scale_bits(unsigned scale)
{
    return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

/* ... and ModRM, SIB and displacement of a memory operand. */
static void put_mod_rm(struct assembler *a, struct bytes b, unsigned reg,
                       struct mem m)
{
    bool sib = m.index != NO_REG || (m.base & 7) == RSP;
    bool short_disp = m.disp >= -128 && m.disp <= 127;
    unsigned mode = m.disp == 0 && (m.base & 7) != RBP ? 0
                    : short_disp                       ? 1
                                                       : 2;

    add(&b, mode << 6 | (reg & 7) << 3 | (sib ? 4 : (m.base & 7)));
    if (sib)
        add(&b, scale_bits(m.scale) << 6 |
                    (m.index == NO_REG ? 4 : m.index & 7) << 3 |
                    (m.base & 7));
    if (mode == 1)
        add(&b, (uint8_t)m.disp);
    put(a, b.all, b.n);
    if (mode == 2)
        put32(a, (uint32_t)m.disp);
}

/* Of an opcode, beside its bytes (asm_x64.def). */
enum { W = 1 << 24, BYTE = 1 << 25 };

/* ... with its prefixes, and the registers' fourth bits. */
static struct bytes opcode(unsigned op, unsigned reg, unsigned index,
                           unsigned base)
{
    struct bytes b = { 0 };

    if (op >> 16 & 255)
        add(&b, op >> 16 & 255);
    rex(&b, op & W, reg, index, base, op & BYTE && reg >= 4); /* sil, not dh */
    if (op >> 8 & 255)
        add(&b, op >> 8 & 255);
    add(&b, op & 255);
    return b;
}

static void op_rr(struct assembler *a, unsigned op, unsigned reg, unsigned rm)
{
    struct bytes b = opcode(op, reg, NO_REG, rm);

    mod_rr(&b, reg, rm);
    put(a, b.all, b.n);
}

static void op_rm(struct assembler *a, unsigned op, unsigned reg,
                  struct mem m)
{
    put_mod_rm(a, opcode(op, reg, m.index, m.base), reg, m);
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
    put(a, 0x800f | (unsigned)c << 8, 2);
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
    put(a, 0x800f | (unsigned)c << 8, 2);
    target_field(a, target);
}

void asm_call_to(struct assembler *a, const uint8_t *target)
{
    asm_byte(a, 0xe8);
    target_field(a, target);
}

void asm_ret(struct assembler *a, unsigned bytes)
{
    asm_byte(a, bytes ? 0xc2 : 0xc3);
    if (bytes) {
        asm_byte(a, bytes & 255);
        asm_byte(a, bytes >> 8);
    }
}

/* --- opcodes with operands only --- */

/* [rip + ?]: what the label stands before. */
static void op_label(struct assembler *a, unsigned op, unsigned reg,
                     struct label *l)
{
    struct bytes b = opcode(op, reg, NO_REG, NO_REG);

    add(&b, (reg & 7) << 3 | 5);
    put(a, b.all, b.n);
    label_field(a, l);
}

#define REG_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, unsigned from) \
    { op_rr(a, op, to, from); }
#define REG_MR(name, op) \
    void asm_##name(struct assembler *a, unsigned to, unsigned from) \
    { op_rr(a, op, from, to); }
#define REG_M(name, op, digit) \
    void asm_##name(struct assembler *a, unsigned r) \
    { op_rr(a, op, digit, r); }
#define MEM_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, struct mem m) \
    { op_rm(a, op, to, m); }
#define MEM_MR(name, op) \
    void asm_##name(struct assembler *a, struct mem m, unsigned from) \
    { op_rm(a, op, from, m); }
#define MEM_M(name, op, digit) \
    void asm_##name(struct assembler *a, struct mem m) \
    { op_rm(a, op, digit, m); }
#define LABEL_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, struct label *l) \
    { op_label(a, op, to, l); }
#include "vm/jit/asm_x64.def"

uint32_t asm_lea_label(struct assembler *a, enum reg to, struct label *l)
{
    op_label(a, W | 0x8d, to, l);
    return a->used - 4;
}

void asm_push_label(struct assembler *a, struct label *l)
{
    op_label(a, 0xff, 6, l);
}

void asm_cmov_load(struct assembler *a, enum cond c, enum reg to,
                   struct mem m)
{
    op_rm(a, W | 0x0f40 | c, to, m);
}

void asm_sse(struct assembler *a, enum sse op, unsigned to, unsigned from)
{
    op_rr(a, 0xf20f00 | op, to, from);
}

void asm_sse_label(struct assembler *a, enum sse op, unsigned to,
                   struct label *l)
{
    op_label(a, 0xf20f00 | op, to, l);
}

void asm_mov_double(struct assembler *a, unsigned to, unsigned from)
{
    if (to != from)
        op_rr(a, 0x0f28, to, from); /* movaps: the whole register */
}

void asm_mov(struct assembler *a, enum reg to, enum reg from)
{
    if (to != from)
        op_rr(a, W | 0x89, from, to);
}

void asm_leave(struct assembler *a) { asm_byte(a, 0xc9); }
void asm_trap(struct assembler *a) { asm_byte(a, 0xcc); }

void asm_cqo(struct assembler *a)
{
    asm_byte(a, REX | REX_W);
    asm_byte(a, 0x99);
}

/* --- with a register in the opcode --- */

static void op_r(struct assembler *a, unsigned w, unsigned op, enum reg r)
{
    struct bytes b = { 0 };

    rex(&b, w, 0, NO_REG, r, false);
    add(&b, op | (r & 7));
    put(a, b.all, b.n);
}

void asm_push(struct assembler *a, enum reg r) { op_r(a, 0, 0x50, r); }
void asm_pop(struct assembler *a, enum reg r) { op_r(a, 0, 0x58, r); }

/* --- with constants --- */

static bool fits_byte(int32_t v) { return v >= -128 && v <= 127; }

static void byte_or_32(struct assembler *a, int32_t v)
{
    if (fits_byte(v))
        asm_byte(a, (uint8_t)v);
    else
        put32(a, (uint32_t)v);
}

void asm_imm32(struct assembler *a, enum reg to, uint32_t value)
{
    op_r(a, 0, 0xb8, to);
    put32(a, value);
}

void asm_imm(struct assembler *a, enum reg to, uint64_t value)
{
    if (value <= UINT32_MAX) {
        asm_imm32(a, to, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        op_rr(a, W | 0xc7, 0, to);
        put32(a, (uint32_t)value);
    } else {
        op_r(a, W, 0xb8, to);
        asm_word(a, value);
    }
}

void asm_store_imm(struct assembler *a, struct mem m, int32_t value)
{
    op_rm(a, W | 0xc7, 0, m);
    put32(a, (uint32_t)value);
}

void asm_store8_imm(struct assembler *a, struct mem m, unsigned value)
{
    op_rm(a, 0xc6, 0, m);
    asm_byte(a, value);
}

void asm_push_imm(struct assembler *a, int32_t value)
{
    asm_byte(a, fits_byte(value) ? 0x6a : 0x68);
    byte_or_32(a, value);
}

void asm_test8_imm(struct assembler *a, enum reg r, unsigned v)
{
    struct bytes b = { 0 };

    rex(&b, 0, 0, NO_REG, r, r >= 4);
    add(&b, 0xf6);
    mod_rr(&b, 0, r);
    add(&b, v);
    put(a, b.all, b.n);
}

void asm_test_mem8_imm(struct assembler *a, struct mem m, unsigned v)
{
    op_rm(a, 0xf6, 0, m);
    asm_byte(a, v);
}

void asm_imul_imm(struct assembler *a, enum reg to, enum reg from, int32_t v)
{
    op_rr(a, W | 0x69, to, from);
    put32(a, (uint32_t)v);
}

void asm_shift(struct assembler *a, enum shift op, enum reg r, unsigned n)
{
    op_rr(a, W | 0xc1, op, r);
    asm_byte(a, n);
}

void asm_shift32(struct assembler *a, enum shift op, enum reg r, unsigned n)
{
    op_rr(a, 0xc1, op, r);
    asm_byte(a, n);
}

void asm_shift_cl(struct assembler *a, enum shift op, enum reg r)
{
    op_rr(a, W | 0xd3, op, r);
}

/* --- two-operand arithmetic --- */

void asm_alu(struct assembler *a, enum alu op, enum reg to, enum reg from)
{
    op_rr(a, W | op << 3 | 1, from, to);
}

void asm_alu32(struct assembler *a, enum alu op, enum reg to, enum reg from)
{
    op_rr(a, op << 3 | 1, from, to);
}

void asm_alu_imm(struct assembler *a, enum alu op, enum reg to, int32_t v)
{
    op_rr(a, W | (fits_byte(v) ? 0x83 : 0x81), op, to);
    byte_or_32(a, v);
}

void asm_alu_imm32(struct assembler *a, enum alu op, enum reg to, int32_t v)
{
    op_rr(a, fits_byte(v) ? 0x83 : 0x81, op, to);
    byte_or_32(a, v);
}

void asm_alu_load(struct assembler *a, enum alu op, enum reg to, struct mem m)
{
    op_rm(a, W | op << 3 | 3, to, m);
}

void asm_alu_label(struct assembler *a, enum alu op, enum reg to,
                   struct label *l)
{
    op_label(a, W | op << 3 | 3, to, l);
}

void asm_alu_mem_imm(struct assembler *a, enum alu op, struct mem m,
                     int32_t v)
{
    op_rm(a, W | (fits_byte(v) ? 0x83 : 0x81), op, m);
    byte_or_32(a, v);
}

void asm_alu_mem8_imm(struct assembler *a, enum alu op, struct mem m,
                      unsigned v)
{
    op_rm(a, 0x80, op, m);
    asm_byte(a, v);
}
