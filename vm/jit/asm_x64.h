/*
 * asm_x64.h - an assembler for the machine code that the JIT writes.
 *
 * Owns instruction encoding, labels and their fix-ups. Knows nothing of
 * Smalltalk. Code is written at `out`, where memory is writable, and will run
 * at `exec`, where the same memory is executable. When the room is used up,
 * `full` is set and nothing more is written: ask once, at the end. What is in
 * the room behind the code is spoilt.
 *
 * Operands are in Intel's order: destination first. Operations are on 64
 * bits unless the name ends in 32 or 8.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reg {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
    R8, R9, R10, R11, R12, R13, R14, R15, NO_REG,
};

/* Conditions as the processor numbers them; cond ^ 1 is the opposite. */
enum cond {
    IF_OVERFLOW = 0, IF_NOT_OVERFLOW = 1, IF_BELOW = 2, IF_NOT_BELOW = 3,
    IF_EQUAL = 4, IF_NOT_EQUAL = 5, IF_NOT_ABOVE = 6, IF_ABOVE = 7,
    IF_NEGATIVE = 8, IF_NOT_NEGATIVE = 9, IF_PARITY = 10,
    IF_NOT_PARITY = 11, IF_LESS = 12, IF_NOT_LESS = 13,
    IF_NOT_GREATER = 14, IF_GREATER = 15,
};

/* The two-operand integer operations, by their opcode extension. */
enum alu { ADD = 0, OR = 1, AND = 4, SUB = 5, XOR = 6, CMP = 7 };
enum shift { ROL = 0, ROR = 1, SHL = 4, SHR = 5, SAR = 7 };
/* Scalar double operations, by their opcode behind F2 0F. */
enum sse { ADDSD = 0x58, MULSD = 0x59, SUBSD = 0x5c, DIVSD = 0x5e,
           SQRTSD = 0x51 };

struct mem { /* [base + index * scale + disp], or [rip + disp] */
    enum reg base, index;
    unsigned scale; /* 1, 2, 4, 8 */
    int32_t disp;
};
#define AT(b, d) ((struct mem){ (b), NO_REG, 1, (int32_t)(d) })
#define AT_INDEX(b, i, s, d) ((struct mem){ (b), (i), (s), (int32_t)(d) })

/* Where to jump. Unbound uses are chained through the fields to fix. */
struct label {
    int32_t at;    /* offset in the code, -1: not yet known */
    int32_t chain; /* last unbound use, -1: none */
};
#define LABEL_INIT { -1, -1 }

struct assembler {
    uint8_t *out;       /* writable */
    const uint8_t *exec; /* the same bytes, executable */
    uint32_t used, room;
    bool full;
};

void asm_init(struct assembler *a, uint8_t *out, const uint8_t *exec,
              uint32_t room);
void asm_align(struct assembler *a, uint32_t to);
/* The same where control comes through. */
void asm_align_nops(struct assembler *a, uint32_t to);
void asm_byte(struct assembler *a, unsigned byte);
void asm_word(struct assembler *a, uint64_t word);

void asm_bind(struct assembler *a, struct label *l);
void asm_jmp(struct assembler *a, struct label *l);
void asm_jcc(struct assembler *a, enum cond c, struct label *l);
/* A jump of two bytes forward: answers what asm_here_short then needs. */
uint32_t asm_jcc_short(struct assembler *a, enum cond c);
void asm_here_short(struct assembler *a, uint32_t jump);
void asm_jmp_to(struct assembler *a, const uint8_t *target);
void asm_jcc_to(struct assembler *a, enum cond c, const uint8_t *target);
void asm_call_to(struct assembler *a, const uint8_t *target);
void asm_ret(struct assembler *a, unsigned bytes);
void asm_leave(struct assembler *a);
void asm_trap(struct assembler *a);

/* asm_load(a, RAX, AT(RBX, 8)) and many more, which are rows of a table. */
#define REG_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, unsigned from);
#define REG_MR REG_RM
#define REG_M(name, op, digit) \
    void asm_##name(struct assembler *a, unsigned r);
#define MEM_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, struct mem m);
#define MEM_MR(name, op) \
    void asm_##name(struct assembler *a, struct mem m, unsigned from);
#define MEM_M(name, op, digit) \
    void asm_##name(struct assembler *a, struct mem m);
#define LABEL_RM(name, op) \
    void asm_##name(struct assembler *a, unsigned to, struct label *l);
#include "vm/jit/asm_x64.def"

void asm_mov(struct assembler *a, enum reg to, enum reg from);
void asm_imm(struct assembler *a, enum reg to, uint64_t value);
void asm_imm32(struct assembler *a, enum reg to, uint32_t value);
void asm_store_imm(struct assembler *a, struct mem m, int32_t value);
void asm_store8_imm(struct assembler *a, struct mem m, unsigned value);
/* lea to, [rip + ?]: answers the place of the displacement. */
uint32_t asm_lea_label(struct assembler *a, enum reg to, struct label *l);
void asm_push_label(struct assembler *a, struct label *l);
void asm_push(struct assembler *a, enum reg r);
void asm_push_imm(struct assembler *a, int32_t value);
void asm_pop(struct assembler *a, enum reg r);

void asm_alu(struct assembler *a, enum alu op, enum reg to, enum reg from);
void asm_alu32(struct assembler *a, enum alu op, enum reg to, enum reg from);
void asm_alu_imm(struct assembler *a, enum alu op, enum reg to, int32_t v);
void asm_alu_imm32(struct assembler *a, enum alu op, enum reg to, int32_t v);
void asm_alu_load(struct assembler *a, enum alu op, enum reg to,
                  struct mem m);
void asm_alu_label(struct assembler *a, enum alu op, enum reg to,
                   struct label *l);
void asm_alu_mem_imm(struct assembler *a, enum alu op, struct mem m,
                     int32_t v);
void asm_alu_mem8_imm(struct assembler *a, enum alu op, struct mem m,
                      unsigned v);
void asm_test8_imm(struct assembler *a, enum reg r, unsigned v);
void asm_test_mem8_imm(struct assembler *a, struct mem m, unsigned v);
void asm_shift(struct assembler *a, enum shift op, enum reg r, unsigned n);
void asm_shift32(struct assembler *a, enum shift op, enum reg r, unsigned n);
void asm_shift_cl(struct assembler *a, enum shift op, enum reg r);
void asm_imul_imm(struct assembler *a, enum reg to, enum reg from,
                  int32_t v);
void asm_cqo(struct assembler *a);
void asm_cmov_load(struct assembler *a, enum cond c, enum reg to,
                   struct mem m);

/* Doubles, in xmm0 to xmm15; the table has more. */
void asm_sse(struct assembler *a, enum sse op, unsigned to, unsigned from);
void asm_sse_label(struct assembler *a, enum sse op, unsigned to,
                   struct label *l);
void asm_mov_double(struct assembler *a, unsigned to, unsigned from);
