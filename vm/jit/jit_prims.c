/*
 * jit_prims.c - methods that begin with a primitive.
 *
 * The receiver is in rdx, the return address on top of the stack, the last
 * argument below it. The commonest primitives are done here; a case that
 * they leave, and all others, calls the C function, and C builds the body's
 * frame when that fails.
 */
#include "vm/jit/compiler.h"
#include "vm/primitives/prim.h"

static struct mem argument(const struct compiler *c, unsigned i)
{
    return AT(RSP, 8 * (c->num_args - i)); /* from 0 */
}

static void answer(struct compiler *c)
{
    asm_ret(&c->a, 8 * (c->num_args + 1));
}

/* --- quick methods --- */

static void quick_method(struct compiler *c, unsigned n)
{
    static const size_t constants[] = {
        offsetof(struct heap, true_), offsetof(struct heap, false_),
        offsetof(struct heap, nil),
    };

    if (n >= QUICK_SLOTS)
        asm_load(&c->a, RAX, slot_of(RDX, n - QUICK_SLOTS));
    else if (n == 256)
        asm_mov(&c->a, RAX, RDX);
    else if (n < 260)
        asm_load(&c->a, RAX, AT(RBX, constants[n - 257]));
    else
        asm_imm(&c->a, RAX, int_oop((int)n - 261));
    answer(c);
}

/* --- at: and at:put: --- */

void load_slot_count(struct assembler *a, enum reg to, enum reg object)
{
    uint32_t small;

    asm_load8(a, to, AT(object, 7)); /* the header's top byte */
    asm_alu_imm32(a, CMP, to, HDR_OVERFLOW);
    small = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_load(a, to, AT(object, -8));
    asm_shift(a, SHL, to, 8);
    asm_shift(a, SHR, to, 8);
    asm_here_short(a, small);
}

/* Of the object in rdx, into esi. */
static void load_format(struct assembler *a)
{
    asm_load(a, RSI, AT(RDX, 0));
    asm_shift32(a, SHR, RSI, HDR_FORMAT_SHIFT);
    asm_alu_imm32(a, AND, RSI, 31);
}

/* Index from 0 into rcx, format into esi, slots into rdi. */
static void index_and_shape(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;

    asm_load(a, RCX, argument(c, 0));
    asm_test8_imm(a, RCX, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, no);
    asm_test8_imm(a, RDX, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_shift(a, SAR, RCX, 3);
    asm_alu_imm(a, SUB, RCX, 1);
    load_slot_count(a, RDI, RDX);
    load_format(a);
}

/* Slots in `n` become bytes in use; the format in esi, which is spoiled, must
 * be one of bytes. */
static void count_bytes(struct assembler *a, enum reg n, struct label *no)
{
    asm_alu_imm32(a, CMP, RSI, FMT_BYTES);
    asm_jcc(a, IF_BELOW, no);
    asm_alu_imm32(a, CMP, RSI, FMT_CODE);
    asm_jcc(a, IF_NOT_BELOW, no);
    asm_alu_imm32(a, AND, RSI, 7);
    asm_shift(a, SHL, n, 3);
    asm_alu(a, SUB, n, RSI);
}

static void check_byte_index(struct compiler *c, struct label *no)
{
    count_bytes(&c->a, RDI, no);
    asm_alu(&c->a, CMP, RCX, RDI);
    asm_jcc(&c->a, IF_NOT_BELOW, no);
}

static void refuse_read_only(struct compiler *c, struct label *no)
{
    asm_test_mem8_imm(&c->a, AT(RDX, 2), HDR_IMMUTABLE >> 16);
    asm_jcc(&c->a, IF_NOT_EQUAL, no);
}

static void check_array_index(struct compiler *c, struct label *bytes,
                              struct label *no)
{
    asm_alu_imm32(&c->a, CMP, RSI, FMT_ARRAY);
    asm_jcc(&c->a, IF_NOT_EQUAL, bytes);
    asm_alu(&c->a, CMP, RCX, RDI);
    asm_jcc(&c->a, IF_NOT_BELOW, no);
}

static void prim_code_at(struct compiler *c, struct label *no, bool string)
{
    struct assembler *a = &c->a;
    struct label bytes = LABEL_INIT;

    index_and_shape(c, no);
    if (!string) {
        check_array_index(c, &bytes, no);
        asm_load(a, RAX, AT_INDEX(RDX, RCX, 8, 8));
        answer(c);
    }
    asm_bind(a, &bytes);
    check_byte_index(c, no);
    asm_load8(a, RAX, AT_INDEX(RDX, RCX, 1, 8));
    asm_shift32(a, SHL, RAX, 3);
    asm_alu_imm32(a, OR, RAX, string ? TAG_CHARACTER : TAG_INTEGER);
    answer(c);
}

/* rax was stored into the object in rdx. */
static void barrier(struct compiler *c, struct mem at)
{
    struct label in = LABEL_INIT, done = LABEL_INIT;

    emit_barrier_test(&c->a, RAX, RDX, &in, &done);
    asm_jmp(&c->a, &done);
    asm_bind(&c->a, &in);
    emit_barrier_rest(c->vm, &c->a, RAX, RDX, at, &done);
    asm_bind(&c->a, &done);
}

static void prim_code_at_put(struct compiler *c, struct label *no,
                             bool string)
{
    struct assembler *a = &c->a;
    struct label bytes = LABEL_INIT;

    index_and_shape(c, no);
    refuse_read_only(c, no);
    asm_load(a, RAX, argument(c, 1));
    if (!string) {
        check_array_index(c, &bytes, no);
        asm_store(a, AT_INDEX(RDX, RCX, 8, 8), RAX);
        barrier(c, AT_INDEX(RDX, RCX, 8, 8));
        answer(c);
    }
    asm_bind(a, &bytes);
    check_byte_index(c, no);
    asm_mov(a, RDI, RAX);
    asm_shift(a, SHR, RDI, 11);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_test8_imm(a, RAX, string ? TAG_CHARACTER : TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, no);
    asm_mov(a, RSI, RAX);
    asm_shift32(a, SHR, RSI, 3);
    asm_store8(a, AT_INDEX(RDX, RCX, 1, 8), RSI);
    answer(c);
}

/* --- setters: "name := argument", or := true, with no frame --- */

/* Is the whole method that store? *push and *at tell of what and where. */
static bool is_setter(struct compiler *c, struct op *push, uint32_t *at)
{
    struct op set;

    *push = jit_decode(c->method, c->from);
    if (push->kind == OP_PUSH_TEMP ? push->index >= c->num_args
                                   : push->kind < OP_PUSH_NIL ||
                                     push->kind > OP_PUSH_FALSE)
        return false;
    set = jit_decode(c->method, push->next);
    *at = set.index;
    return set.kind == OP_STORE_SLOT && set.pops &&
           jit_decode(c->method, set.next).kind == OP_RETURN_SELF;
}

/* The value to be stored, into rax. */
static void load_pushed(struct compiler *c, const struct op *push)
{
    if (push->kind == OP_PUSH_TEMP)
        asm_load(&c->a, RAX, argument(c, push->index));
    else
        asm_load(&c->a, RAX, push->kind == OP_PUSH_NIL    ? HEAP(nil)
                             : push->kind == OP_PUSH_TRUE ? HEAP(true_)
                                                          : HEAP(false_));
}

/* What is read-only needs the frame that follows. */
void compile_setter(struct compiler *c)
{
    struct label no = LABEL_INIT;
    struct op push;
    uint32_t at;

    if (!is_setter(c, &push, &at))
        return;
    refuse_read_only(c, &no);
    load_pushed(c, &push);
    asm_store(&c->a, slot_of(RDX, at), RAX);
    if (push.kind == OP_PUSH_TEMP)
        barrier(c, slot_of(RDX, at));
    asm_mov(&c->a, RAX, RDX);
    answer(c);
    asm_bind(&c->a, &no);
}

/* --- size --- */

static void prim_code_size(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;
    struct label tag = LABEL_INIT;

    asm_test8_imm(a, RDX, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    load_slot_count(a, RAX, RDX);
    load_format(a);
    asm_alu_imm32(a, CMP, RSI, FMT_ARRAY);
    asm_jcc(a, IF_EQUAL, &tag);
    count_bytes(a, RAX, no);
    asm_bind(a, &tag);
    asm_shift(a, SHL, RAX, 3);
    asm_alu_imm(a, OR, RAX, TAG_INTEGER);
    answer(c);
}

/* --- blocks --- */

/* The key of the closure's block (jit_private.h) into rax. */
static void block_key_of(struct compiler *c, struct label *no, bool embedded)
{
    struct assembler *a = &c->a;

    asm_load(a, RAX, slot_of(RDX, CLOSURE_PC_OR_METHOD));
    if (!embedded)
        return;
    asm_load(a, RCX, slot_of(RDX, CLOSURE_OUTER));
    asm_test8_imm(a, RCX, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    emit_class_check(a, RCX, CLS_CONTEXT, RAX, no);
    asm_load(a, RAX, slot_of(RDX, CLOSURE_PC_OR_METHOD));
    asm_shift(a, SAR, RAX, 3);
    asm_alu_load(a, ADD, RAX, slot_of(RCX, CTX_METHOD));
}

/* Runs the code of a block that takes so many arguments. */
static void prim_code_value(struct compiler *c, struct label *no,
                            bool embedded)
{
    struct assembler *a = &c->a;

    emit_class_check(a, RDX, embedded ? CLS_BLOCK_CLOSURE
                                      : CLS_FULL_BLOCK_CLOSURE, RAX, no);
    asm_alu_mem_imm(a, CMP, slot_of(RDX, CLOSURE_NUM_ARGS),
                    (int32_t)int_oop(c->num_args));
    asm_jcc(a, IF_NOT_EQUAL, no);
    block_key_of(c, no, embedded);
    asm_mov32(a, RCX, RAX);
    asm_shift32(a, SHR, RCX, 3);
    asm_alu32(a, XOR, RCX, RAX);
    asm_alu_imm32(a, AND, RCX, BLOCK_CACHE - 1);
    asm_shift32(a, SHL, RCX, 4);
    asm_imm(a, RSI, (uint64_t)(uintptr_t)c->j->block_cache);
    asm_alu(a, ADD, RCX, RSI);
    asm_alu_load(a, CMP, RAX, AT(RCX, 0));
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_jmp_mem(a, AT(RCX, 8));
}

/* The block must not be left before it runs: runtime_safepoint is told where
 * its frame will be. */
static void prim_code_value_no_switch(struct compiler *c, struct label *no)
{
    asm_lea(&c->a, RAX, AT(RSP, 8 * (c->num_args + 1)));
    asm_store(&c->a, VM(entered), RAX);
    prim_code_value(c, no, false);
}

/* --- semaphores: a signal that nobody waits for, and taking one --- */

/* The excess signals in rax; *no unless that is what they can be. */
static void load_excess_signals(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;

    asm_test8_imm(a, RDX, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, no);
    load_format(a);
    asm_alu_imm32(a, CMP, RSI, FMT_FIXED);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_alu_mem8_imm(a, CMP, AT(RDX, 7), SEM_EXCESS + 1);
    asm_jcc(a, IF_BELOW, no);
    asm_load(a, RAX, slot_of(RDX, SEM_EXCESS));
    asm_test8_imm(a, RAX, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, no);
}

static void answer_with_excess(struct compiler *c)
{
    asm_store(&c->a, slot_of(RDX, SEM_EXCESS), RAX);
    asm_mov(&c->a, RAX, RDX);
    answer(c);
}

static void prim_code_signal(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;

    load_excess_signals(c, no);
    asm_load(a, RCX, slot_of(RDX, LIST_FIRST));
    asm_alu_load(a, CMP, RCX, HEAP(nil));
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_alu_imm(a, ADD, RAX, 8);
    asm_jcc(a, IF_OVERFLOW, no);
    answer_with_excess(c);
}

static void prim_code_wait(struct compiler *c, struct label *no)
{
    load_excess_signals(c, no);
    asm_alu_imm(&c->a, SUB, RAX, 8);
    asm_jcc(&c->a, IF_LESS, no);
    asm_alu_imm(&c->a, CMP, RAX, (int32_t)int_oop(0));
    asm_jcc(&c->a, IF_LESS, no);
    answer_with_excess(c);
}

/* --- identity --- */

static void prim_code_class(struct compiler *c, struct label *no)
{
    struct assembler *a = &c->a;

    emit_class_index(a, RAX, RDX);
    emit_class_at(a, RAX, RCX);
    answer(c);
}

static void prim_code_identical(struct compiler *c, struct label *no)
{
    asm_alu_load(&c->a, CMP, RDX, argument(c, 0));
    asm_jcc(&c->a, IF_NOT_EQUAL, no);
    asm_load(&c->a, RAX, HEAP(true_));
    answer(c);
}

/* --- all --- */

static void fast_cases(struct compiler *c, cached_primitive p,
                       struct label *no)
{
    if (p == prim_at && c->num_args == 1)
        prim_code_at(c, no, false);
    else if (p == prim_string_at && c->num_args == 1)
        prim_code_at(c, no, true);
    else if (p == prim_at_put && c->num_args == 2)
        prim_code_at_put(c, no, false);
    else if (p == prim_string_at_put && c->num_args == 2)
        prim_code_at_put(c, no, true);
    else if (p == prim_size && c->num_args == 0)
        prim_code_size(c, no);
    else if (p == prim_new && c->num_args == 0)
        compile_new(c, no);
    else if (p == prim_new_with && c->num_args == 1)
        compile_new_with(c, no);
    else if (p == prim_full_block_value)
        prim_code_value(c, no, false);
    else if (p == prim_block_value)
        prim_code_value(c, no, true);
    else if (p == prim_full_block_value_no_switch)
        prim_code_value_no_switch(c, no);
    else if (p == prim_signal && c->num_args == 0)
        prim_code_signal(c, no);
    else if (p == prim_wait && c->num_args == 0)
        prim_code_wait(c, no);
    else if (p == prim_class && c->num_args == 0)
        prim_code_class(c, no);
    else if (p == prim_identical && c->num_args == 1)
        prim_code_identical(c, no);
}

/* Does the body begin with the marker for the error code? Such a frame is
 * built in C. */
static bool wants_error(struct compiler *c)
{
    struct op first = jit_decode(c->method, c->from);

    return first.kind == OP_STORE_TEMP && !first.pops;
}

static void call_primitive(struct compiler *c, cached_primitive p)
{
    struct label label = LABEL_INIT, *body = &label;

    asm_imm(&c->a, RAX, (uint64_t)(uintptr_t)p);
    asm_load_label(&c->a, RCX, &c->pool[0].label);
    asm_imm32(&c->a, RSI, c->num_args);
    if (wants_error(c))
        asm_imm32(&c->a, RDX, 0);
    else
        asm_lea_label(&c->a, RDX, body);
    asm_jmp_to(&c->a, c->j->stubs.primitive);
    asm_align(&c->a, 16);
    asm_bind(&c->a, body);
}

void compile_primitive(struct compiler *c)
{
    cached_primitive p = vm_primitive_of(c->method);
    struct label no = LABEL_INIT;

    if (!p || p == prim_marker)
        return;
    if ((uintptr_t)p < QUICK_MAX) {
        quick_method(c, (unsigned)(uintptr_t)p);
        return;
    }
    fast_cases(c, p, &no);
    asm_bind(&c->a, &no);
    call_primitive(c, p);
}
