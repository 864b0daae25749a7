/*
 * jit_alloc.c - objects made without C: instances, arrays, closures and the
 * contexts that closures need.
 *
 * All are young, so their slots need no write barrier. What does not fit
 * into eden below its threshold is left to C, which then asks for a scavenge.
 */
#include "vm/jit/compiler.h"

enum { MAX_INLINE_SLOTS = 200 };

/* An object of n slots (not 0) in `to`, with its header; spoils r10. */
static void allocate(struct assembler *a, enum reg to, uint64_t header_word,
                     uint32_t n, struct label *no)
{
    asm_load(a, to, HEAP(eden_free));
    asm_lea(a, R10, slot_of(to, n));
    asm_alu_load(a, CMP, R10, HEAP(eden_threshold));
    asm_jcc(a, IF_ABOVE, no);
    asm_store(a, HEAP(eden_free), R10);
    asm_imm(a, R10, header_word);
    asm_store(a, AT(to, 0), R10);
}

/* Stores [from] into a slot; spoils r10. */
static void copy_slot(struct assembler *a, enum reg o, uint32_t i,
                      struct mem from)
{
    asm_load(a, R10, from);
    asm_store(a, slot_of(o, i), R10);
}

/* --- basicNew and basicNew: --- the class is in rdx */

/* Size of fixed part into ecx, format into esi, class index into edi. */
static void class_shape(struct assembler *a, struct label *no)
{
    asm_test8_imm(a, RDX, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_load(a, RDI, AT(RDX, 0));
    asm_shift(a, SHR, RDI, HDR_HASH_SHIFT);
    asm_alu_imm32(a, AND, RDI, HASH_MAX);
    asm_mov32(a, RAX, RDI);
    asm_shift32(a, SHR, RAX, 10);
    asm_load(a, RAX,
             AT_INDEX(RBX, RAX, 8, offsetof(struct heap, class_table)));
    asm_test(a, RAX, RAX);
    asm_jcc(a, IF_EQUAL, no);
    asm_mov32(a, R8, RDI);
    asm_alu_imm32(a, AND, R8, 1023);
    asm_alu_load(a, CMP, RDX, AT_INDEX(RAX, R8, 8, 0));
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_load(a, RCX, slot_of(RDX, CLASS_FORMAT));
    asm_shift(a, SHR, RCX, 3);
    asm_mov32(a, RSI, RCX);
    asm_shift32(a, SHR, RSI, 16);
    asm_alu_imm32(a, AND, RSI, 31);
    asm_alu_imm32(a, AND, RCX, 0xffff);
}

/* Makes an object of ecx slots, format esi, class index edi, filled with what
 * is in r8, and answers it. */
static void make_object(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;
    struct label loop = LABEL_INIT;
    uint32_t some;

    asm_load(a, RAX, HEAP(eden_free));
    asm_lea(a, R9, AT_INDEX(RAX, RCX, 8, 8));
    asm_test(a, RCX, RCX);
    some = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_lea(a, R9, AT(RAX, 16));
    asm_here_short(a, some);
    asm_alu_load(a, CMP, R9, HEAP(eden_threshold));
    asm_jcc(a, IF_ABOVE, no);
    asm_store(a, HEAP(eden_free), R9);
    asm_shift(a, SHL, RCX, HDR_SLOTS_SHIFT);
    asm_shift(a, SHL, RSI, HDR_FORMAT_SHIFT);
    asm_alu(a, OR, RCX, RSI);
    asm_alu(a, OR, RCX, RDI);
    asm_store(a, AT(RAX, 0), RCX);
    asm_lea(a, R10, AT(RAX, 8));
    asm_bind(a, &loop);
    asm_store(a, AT(R10, 0), R8);
    asm_alu_imm(a, ADD, R10, 8);
    asm_alu(a, CMP, R10, R9);
    asm_jcc(a, IF_BELOW, &loop);
    asm_ret(a, 8 * (c->num_args + 1));
}

void compile_new(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;

    class_shape(a, no);
    asm_alu_imm32(a, CMP, RSI, FMT_FIXED);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_alu_imm32(a, CMP, RCX, MAX_INLINE_SLOTS);
    asm_jcc(a, IF_ABOVE, no);
    asm_load(a, R8, HEAP(nil));
    make_object(c, no);
}

/* Arrays and byte objects. */
void compile_new_with(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;
    struct label bytes = LABEL_INIT;

    class_shape(a, no);
    asm_test(a, RCX, RCX);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_load(a, RCX, AT(RSP, 8));
    asm_test8_imm(a, RCX, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, no);
    asm_shift(a, SAR, RCX, 3);
    asm_alu_imm(a, CMP, RCX, MAX_INLINE_SLOTS);
    asm_jcc(a, IF_ABOVE, no); /* negative ones, too */
    asm_alu_imm32(a, CMP, RSI, FMT_ARRAY);
    asm_jcc(a, IF_NOT_EQUAL, &bytes);
    asm_load(a, R8, HEAP(nil));
    make_object(c, no);
    asm_bind(a, &bytes);
    asm_alu_imm32(a, CMP, RSI, FMT_BYTES);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_imm32(a, RSI, 0); /* the format tells the bytes not in use */
    asm_alu(a, SUB, RSI, RCX);
    asm_alu_imm32(a, AND, RSI, 7);
    asm_alu_imm32(a, OR, RSI, FMT_BYTES);
    asm_alu_imm(a, ADD, RCX, 7);
    asm_shift(a, SHR, RCX, 3);
    asm_imm32(a, R8, 0);
    make_object(c, no);
}

/* --- arrays of bytecode --- */

bool compile_new_array(struct compiler *c, struct slow *s)
{
    struct assembler *a = &c->a;
    uint32_t n = c->op.index, i;

    if (n == 0 || n > 8)
        return false;
    spill(c, 0);
    s->result = RAX;
    allocate(a, RAX, new_header(CLS_ARRAY, FMT_ARRAY, n), n, &s->in);
    if (c->op.n) {
        for (i = n; i-- > 0;)
            asm_pop_mem(a, slot_of(RAX, i));
        c->depth -= (int)n;
        c->spilled -= (int)n;
    } else {
        asm_load(a, R10, HEAP(nil));
        for (i = 0; i < n; i++)
            asm_store(a, slot_of(RAX, i), R10);
    }
    return true;
}

/* --- contexts and closures --- */

/* The running frame's context in rax; makes it if there is none. */
static void load_context(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;
    uint32_t n = code_large_frame(c->method) ? CTX_LARGE_SLOTS
                                             : CTX_SMALL_SLOTS;
    struct label married = LABEL_INIT;

    asm_load(a, RAX, FRAME(CONTEXT));
    asm_test(a, RAX, RAX);
    asm_jcc(a, IF_NOT_EQUAL, &married);
    allocate(a, RAX, new_header(CLS_CONTEXT, FMT_FIXED_AND_INDEXED, n), n,
             no);
    asm_lea(a, R10, AT(RBP, TAG_INTEGER));
    asm_store(a, slot_of(RAX, CTX_SENDER), R10);
    asm_store_imm(a, slot_of(RAX, CTX_STACKP), (int32_t)int_oop(0));
    copy_slot(a, RAX, CTX_PC, HEAP(nil));
    if (c->is_block || c->embedded)
        asm_load(a, R10, FRAME(CLOSURE));
    asm_store(a, slot_of(RAX, CTX_CLOSURE), R10);
    copy_slot(a, RAX, CTX_METHOD, FRAME(METHOD));
    copy_slot(a, RAX, CTX_RECEIVER, FRAME(RECEIVER));
    asm_store(a, FRAME(CONTEXT), RAX);
    asm_inc_mem(a, VM(stats.frames_married));
    asm_bind(a, &married);
}

/* The copied values of the closure in rax, whose first is slot `first`. */
static void pop_copied(struct compiler *c, uint32_t first, uint32_t n)
{
    uint32_t i;

    for (i = n; i-- > 0;)
        asm_pop_mem(&c->a, slot_of(RAX, first + i));
    c->depth -= (int)n;
    c->spilled -= (int)n;
}

/* A full block with its receiver from the frame. False: not so simple. */
bool compile_full_block(struct compiler *c, struct slow *s)
{
    struct assembler *a = &c->a;
    uint32_t copied = c->op.n & 63, n = FULL_CLOSURE_COPIED + copied;
    oop block = heap_follow(code_literal(c->method, c->op.index));
    uint64_t h = new_header(CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED, n);

    if (c->op.n & 128 || copied > 16 || !is_code(block))
        return false;
    spill(c, 0);
    s->result = RAX;
    if (c->op.n & 64)
        asm_load(a, RAX, HEAP(nil));
    else
        load_context(c, &s->in);
    asm_mov(a, RCX, RAX);
    allocate(a, RAX, h, n, &s->in);
    asm_store(a, slot_of(RAX, CLOSURE_OUTER), RCX);
    asm_load_label(a, R10, pool_label(c, block));
    asm_store(a, slot_of(RAX, CLOSURE_PC_OR_METHOD), R10);
    asm_store_imm(a, slot_of(RAX, CLOSURE_NUM_ARGS),
                  (int32_t)int_oop(code_num_args(block)));
    asm_store(a, slot_of(RAX, FULL_CLOSURE_RECEIVER), load_self(c));
    pop_copied(c, FULL_CLOSURE_COPIED, copied);
    return true;
}

/* An embedded block. */
bool compile_block(struct compiler *c, struct slow *s)
{
    struct assembler *a = &c->a;
    uint32_t copied = c->op.n, n = CLOSURE_COPIED + copied;

    spill(c, 0);
    s->result = RAX;
    load_context(c, &s->in);
    asm_mov(a, RCX, RAX);
    allocate(a, RAX, new_header(CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED, n),
             n, &s->in);
    asm_store(a, slot_of(RAX, CLOSURE_OUTER), RCX);
    asm_store_imm(a, slot_of(RAX, CLOSURE_PC_OR_METHOD),
                  (int32_t)int_oop(s->at + 1));
    asm_store_imm(a, slot_of(RAX, CLOSURE_NUM_ARGS),
                  (int32_t)int_oop(c->op.args));
    pop_copied(c, CLOSURE_COPIED, copied);
    return true;
}

/* The context of a frame that returns, not a page's first: it keeps the
 * arguments, and nothing else. False: C does it. */
bool compile_widow(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;
    uint32_t args = c->embedded ? 0 : c->num_args, i;

    if (args > 4)
        return false;
    asm_load(a, RCX, FRAME(CONTEXT));
    asm_mov(a, R10, RCX);
    asm_alu_load(a, SUB, R10, HEAP(new_start));
    asm_alu_load(a, CMP, R10, HEAP(new_size));
    asm_jcc(a, IF_NOT_BELOW, no); /* an old one needs the write barrier */
    asm_load(a, R10, HEAP(nil));
    asm_store(a, slot_of(RCX, CTX_SENDER), R10);
    asm_store(a, slot_of(RCX, CTX_PC), R10);
    asm_store_imm(a, slot_of(RCX, CTX_STACKP), (int32_t)int_oop(args));
    for (i = 0; i < args; i++)
        copy_slot(a, RCX, CTX_TEMPS + i, temp_place(c, i));
    return true;
}
