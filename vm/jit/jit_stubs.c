/*
 * jit_stubs.c - machine code that all methods share: in from C, out to C and
 * to the interpreter, and arithmetic on floats.
 *
 * C runs on its own stack. Three ways to call it from machine code:
 *   a transition  the registers go into the vm, C may collect, build frames,
 *                 switch processes; `resume` goes on with what the vm says
 *   a leaf        C moves nothing; arguments are pushed, the result replaces
 *                 the first one, and all registers are kept but xmm0, xmm1
 *   a primitive   as prim.h says
 * r10 and r11 are nobody's: stubs of arithmetic use no others.
 */
#include "vm/jit/deopt.h"
#include "vm/jit/jit_private.h"
#include "vm/jit/tier2.h"
#include "vm/primitives/prim.h"

static const enum reg saved_by_c[] = { RBX, RBP, R12, R13, R14, R15 };
enum { NUM_SAVED = 6, ALIGNMENT = 8 };

static uint8_t *here(struct assembler *a)
{
    asm_align(a, 16);
    return (uint8_t *)(uintptr_t)(a->exec + a->used);
}

static void call_c(struct assembler *a, const void *function)
{
    asm_imm(a, RAX, (uint64_t)(uintptr_t)function);
    asm_call_reg(a, RAX);
}

#define FUNCTION(f) ((const void *)(uintptr_t)(f))

/* The registers go into the vm, the return address as its pc. */
static void to_c(struct assembler *a)
{
    asm_pop_mem(a, VM(pc));
    asm_store(a, VM(sp), RSP);
    asm_store(a, VM(fp), RBP);
    asm_load(a, RSP, VM(c_sp));
    asm_mov(a, RDI, RBX);
}

/* --- in and out --- */

/* Goes on with what the vm says; what comes after it if that is a bytecode.
 * The processor foresees where a `ret` goes to from the calls before: it is
 * one if the call that brought us out of machine code is answered, a jump if
 * another frame runs and the answer is still to come. */
static uint8_t *go_on(struct assembler *a, const uint8_t *zone,
                      struct label *leave, bool answers)
{
    uint8_t *start = (uint8_t *)(uintptr_t)(a->exec + a->used);

    asm_load(a, RSP, VM(sp));
    asm_load(a, RBP, VM(fp));
    asm_load(a, RCX, VM(pc));
    asm_imm(a, RDX, (uint64_t)(uintptr_t)zone);
    asm_mov(a, RAX, RCX);
    asm_alu(a, SUB, RAX, RDX);
    asm_alu_imm(a, CMP, RAX, JIT_ZONE_BYTES);
    asm_jcc(a, IF_NOT_BELOW, leave);
    asm_pop(a, RAX);
    if (answers) {
        asm_push(a, RCX);
        asm_ret(a, 0);
    } else {
        asm_jmp_reg(a, RCX);
    }
    return start;
}

static void make_enter(struct jit_stubs *s, struct assembler *a,
                       const uint8_t *zone)
{
    struct label leave = LABEL_INIT;
    int i;

    s->enter = here(a);
    for (i = 0; i < NUM_SAVED; i++)
        asm_push(a, saved_by_c[i]);
    asm_alu_imm(a, SUB, RSP, ALIGNMENT);
    asm_mov(a, RBX, RDI);
    asm_store(a, VM(c_sp), RSP);

    s->activate = go_on(a, zone, &leave, false);
    s->resume = go_on(a, zone, &leave, true);

    s->return_to_interpreter = here(a);
    asm_pop(a, RCX);
    asm_push(a, RAX);
    asm_shift(a, SAR, RCX, 3);
    asm_load(a, RDX, FRAME(METHOD));
    asm_lea(a, RCX, AT_INDEX(RDX, RCX, 1, 8));
    asm_store(a, VM(pc), RCX);
    asm_store(a, VM(sp), RSP);
    asm_store(a, VM(fp), RBP);
    asm_bind(a, &leave);
    asm_load(a, RSP, VM(c_sp));
    asm_alu_imm(a, ADD, RSP, ALIGNMENT);
    for (i = NUM_SAVED; i-- > 0;)
        asm_pop(a, saved_by_c[i]);
    asm_ret(a, 0);
}

/* --- calls of C --- */

static uint8_t *transition(struct jit_stubs *s, struct assembler *a,
                           const void *function)
{
    uint8_t *start = here(a);

    to_c(a);
    call_c(a, function);
    asm_jmp_to(a, s->resume);
    return start;
}

/* C answers an entry to run with its receiver in rdx, or NULL: resume. */
static uint8_t *find_and_run(struct jit_stubs *s, struct assembler *a,
                             const void *function)
{
    uint8_t *start = here(a);

    to_c(a);
    call_c(a, function);
    asm_test(a, RAX, RAX);
    asm_jcc_to(a, IF_EQUAL, s->activate);
    asm_load(a, RSP, VM(sp));
    asm_load(a, RBP, VM(fp));
    asm_load32(a, RCX, VM(argc));
    asm_load(a, RDX, AT_INDEX(RSP, RCX, 8, 0));
    asm_push_mem(a, VM(pc));
    asm_jmp_reg(a, RAX);
    return start;
}

/* A primitive failed for good, in eax: the body's code goes on, if it does not
 * want to know why, with the receiver in rdx. */
static void run_body(struct assembler *a, struct label *no)
{
    asm_alu_imm32(a, CMP, RAX, 0);
    asm_jcc(a, IF_LESS, no);
    asm_alu_imm32(a, CMP, RAX, PRIM_ERR_NO_MEMORY);
    asm_jcc(a, IF_EQUAL, no);
    asm_alu_mem8_imm(a, CMP, VM(forwarders), 0);
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_alu_mem8_imm(a, CMP, VM(reload), 0); /* the caller is another frame */
    asm_jcc(a, IF_NOT_EQUAL, no);
    asm_load(a, RCX, VM(code_body));
    asm_test(a, RCX, RCX);
    asm_jcc(a, IF_EQUAL, no);
    asm_load(a, RSP, VM(sp));
    asm_load32(a, RSI, VM(argc));
    asm_load(a, RDX, AT_INDEX(RSP, RSI, 8, 0));
    asm_push_mem(a, VM(pc));
    asm_jmp_reg(a, RCX);
}

static void make_primitive(struct jit_stubs *s, struct assembler *a)
{
    struct label failed = LABEL_INIT, reload = LABEL_INIT;
    struct label otherwise = LABEL_INIT;

    s->primitive = here(a);
    to_c(a);
    asm_store(a, VM(method), RCX);
    asm_store(a, VM(code_primitive), RAX);
    asm_store(a, VM(code_body), RDX);
    asm_store32(a, VM(argc), RSI);
    asm_call_reg(a, RAX);
    asm_alu32(a, OR, RAX, RAX);
    asm_jcc(a, IF_NOT_EQUAL, &failed);
    asm_alu_mem8_imm(a, CMP, VM(reload), 0);
    asm_jcc(a, IF_NOT_EQUAL, &reload);
    asm_load(a, RSP, VM(sp));
    asm_pop(a, RAX);
    asm_push_mem(a, VM(pc));
    asm_ret(a, 0);
    asm_bind(a, &failed);
    run_body(a, &otherwise);
    asm_bind(a, &otherwise);
    asm_mov(a, RDI, RBX);
    asm_mov32(a, RSI, RAX);
    call_c(a, FUNCTION(runtime_primitive));
    asm_store8_imm(a, VM(reload), 0);
    asm_jmp_to(a, s->activate);
    asm_bind(a, &reload);
    asm_store8_imm(a, VM(reload), 0);
    asm_jmp_to(a, s->resume);
}

static const enum reg volatile_regs[] = { RAX, RCX, RDX, RSI, RDI,
                                          R8,  R9,  R10, R11 };
enum { NUM_VOLATILE = 9, XMM_KEPT = 2, NUM_XMM_KEPT = 14 };

static uint8_t *leaf(struct assembler *a, const void *function, int args,
                     bool answers)
{
    uint8_t *start = here(a);
    int i, first = 8 * (NUM_XMM_KEPT + NUM_VOLATILE + args);

    for (i = 0; i < NUM_VOLATILE; i++)
        asm_push(a, volatile_regs[i]);
    asm_alu_imm(a, SUB, RSP, 8 * NUM_XMM_KEPT);
    for (i = 0; i < NUM_XMM_KEPT; i++)
        asm_store_double(a, AT(RSP, 8 * i), (unsigned)(XMM_KEPT + i));
    asm_load(a, RSI, AT(RSP, first));
    if (args > 1)
        asm_load(a, RDX, AT(RSP, first - 8));
    if (args > 2)
        asm_load(a, RCX, AT(RSP, first - 16));
    asm_mov(a, RDI, RBX);
    asm_store(a, VM(sp), RSP);
    asm_load(a, RSP, VM(c_sp));
    call_c(a, function);
    asm_load(a, RSP, VM(sp));
    if (answers)
        asm_store(a, AT(RSP, first), RAX);
    for (i = 0; i < NUM_XMM_KEPT; i++)
        asm_load_double(a, (unsigned)(XMM_KEPT + i), AT(RSP, 8 * i));
    asm_alu_imm(a, ADD, RSP, 8 * NUM_XMM_KEPT);
    for (i = NUM_VOLATILE; i-- > 0;)
        asm_pop(a, volatile_regs[i]);
    asm_ret(a, (unsigned)(8 * (args - (answers ? 1 : 0))));
    return start;
}

/* Jumps to `in` if the word `at` is a forwarder's oop. Spoils rax. */
static void test_forwarder(struct assembler *a, struct mem at,
                           struct label *in)
{
    uint32_t immediate;

    asm_load(a, RAX, at);
    asm_test8_imm(a, RAX, TAG_MASK);
    immediate = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_load32(a, RAX, AT(RAX, 0));
    asm_alu_imm32(a, AND, RAX, HDR_CLASS_MASK);
    asm_alu_imm32(a, CMP, RAX, CLS_FORWARDER);
    asm_jcc(a, IF_EQUAL, in);
    asm_here_short(a, immediate);
}

/* Leaves that C need not see: there may be forwarders somewhere, but most
 * often not here. */
static void make_forwarder_leaves(struct jit_stubs *s, struct assembler *a)
{
    const uint8_t *follow = leaf(a, FUNCTION(runtime_follow), 1, true);
    const uint8_t *identical = leaf(a, FUNCTION(runtime_identical), 2, true);
    struct label in_follow = LABEL_INIT, in_identical = LABEL_INIT;

    s->follow = here(a);
    asm_push(a, RAX);
    test_forwarder(a, AT(RSP, 16), &in_follow);
    asm_pop(a, RAX);
    asm_ret(a, 0);
    asm_bind(a, &in_follow);
    asm_pop(a, RAX);
    asm_jmp_to(a, follow);

    s->identical = here(a);
    asm_push(a, RAX);
    test_forwarder(a, AT(RSP, 16), &in_identical);
    test_forwarder(a, AT(RSP, 24), &in_identical);
    asm_store_imm(a, AT(RSP, 24), 0);
    asm_pop(a, RAX);
    asm_ret(a, 8);
    asm_bind(a, &in_identical);
    asm_pop(a, RAX);
    asm_jmp_to(a, identical);
}

/* --- floats: r10 op r11, both integers or SmallFloats --- */

/* Value of the oop in `r`, spoiling it, into `xmm`; `other` is kept. */
static void number_to_xmm(struct assembler *a, unsigned xmm, enum reg r,
                          enum reg other, struct label *rebase,
                          struct label *refuse)
{
    struct label is_int = LABEL_INIT, zero = LABEL_INIT, done = LABEL_INIT;

    asm_test8_imm(a, r, TAG_FLOAT);
    asm_jcc(a, IF_EQUAL, &is_int);
    asm_shift(a, SHR, r, 3);
    asm_alu_imm(a, CMP, r, 1);
    asm_jcc(a, IF_NOT_ABOVE, &zero);
    asm_to_xmm(a, 2, other);
    asm_load_label(a, other, rebase);
    asm_alu(a, ADD, r, other);
    asm_from_xmm(a, other, 2);
    asm_bind(a, &zero);
    asm_shift(a, ROR, r, 1);
    asm_to_xmm(a, xmm, r);
    asm_jmp(a, &done);
    asm_bind(a, &is_int);
    asm_test8_imm(a, r, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, refuse);
    asm_to_xmm(a, 2, other);
    asm_shift(a, SAR, r, 3);
    asm_int_to_double(a, xmm, r);
    asm_double_to_int(a, other, xmm);
    asm_alu(a, CMP, r, other); /* only what a double holds exactly */
    asm_from_xmm(a, other, 2);
    asm_jcc(a, IF_NOT_EQUAL, refuse);
    asm_bind(a, &done);
}

/* The oop of xmm0 in r10 if it is a SmallFloat. */
static void xmm_to_float(struct assembler *a, struct label *rebase,
                         struct label *refuse)
{
    struct label zero = LABEL_INIT;

    asm_from_xmm(a, R10, 0);
    asm_shift(a, ROL, R10, 1);
    asm_alu_imm(a, CMP, R10, 1);
    asm_jcc(a, IF_NOT_ABOVE, &zero);
    asm_load_label(a, R11, rebase);
    asm_alu(a, SUB, R10, R11);
    asm_jcc(a, IF_BELOW, refuse);
    asm_alu_imm(a, CMP, R10, 1);
    asm_jcc(a, IF_NOT_ABOVE, refuse);
    asm_mov(a, R11, R10);
    asm_shift(a, SHR, R11, 61);
    asm_jcc(a, IF_NOT_EQUAL, refuse);
    asm_bind(a, &zero);
    asm_shift(a, SHL, R10, 3);
    asm_alu_imm(a, OR, R10, TAG_FLOAT);
    asm_ret(a, 0);
}

static void refuse_zero_divisor(struct assembler *a, struct label *refuse)
{
    asm_from_xmm(a, R10, 1);
    asm_alu(a, ADD, R10, R10); /* both zeros */
    asm_jcc(a, IF_EQUAL, refuse);
}

static void answer_comparison(struct assembler *a, enum special special)
{
    struct label no = LABEL_INIT, yes = LABEL_INIT;
    bool swapped = special == LESS || special == LESS_EQUAL; /* y > x */

    asm_compare_doubles(a, swapped ? 1 : 0, swapped ? 0 : 1);
    if (special == LESS || special == GREATER) {
        asm_jcc(a, IF_NOT_ABOVE, &no);
    } else if (special == LESS_EQUAL || special == GREATER_EQUAL) {
        asm_jcc(a, IF_BELOW, &no);
    } else { /* of a NaN: parity */
        asm_jcc(a, IF_PARITY, special == EQUAL ? &no : &yes);
        asm_jcc(a, special == EQUAL ? IF_NOT_EQUAL : IF_EQUAL, &no);
    }
    asm_bind(a, &yes);
    asm_load(a, R10, HEAP(true_));
    asm_ret(a, 0);
    asm_bind(a, &no);
    asm_load(a, R10, HEAP(false_));
    asm_ret(a, 0);
}

static uint8_t *float_operation(struct assembler *a, enum special special)
{
    static const enum sse operation[DIVIDE + 1] = {
        [PLUS] = ADDSD, [MINUS] = SUBSD, [TIMES] = MULSD, [DIVIDE] = DIVSD,
    };
    struct label refuse = LABEL_INIT, rebase = LABEL_INIT, go = LABEL_INIT;
    uint8_t *start = here(a);

    asm_test8_imm(a, R10, TAG_FLOAT); /* one of them must be a float */
    asm_jcc(a, IF_NOT_EQUAL, &go);
    asm_test8_imm(a, R11, TAG_FLOAT);
    asm_jcc(a, IF_EQUAL, &refuse);
    asm_bind(a, &go);
    number_to_xmm(a, 0, R10, R11, &rebase, &refuse);
    number_to_xmm(a, 1, R11, R10, &rebase, &refuse);
    if (special == DIVIDE)
        refuse_zero_divisor(a, &refuse);
    if (operation[special]) {
        asm_sse(a, operation[special], 0, 1);
        xmm_to_float(a, &rebase, &refuse);
    } else {
        answer_comparison(a, special);
    }
    asm_bind(a, &refuse);
    asm_imm32(a, R10, 0);
    asm_ret(a, 0);
    asm_align(a, 8);
    asm_bind(a, &rebase);
    asm_word(a, FLOAT_REBASE);
    return start;
}

/* --- SmallIntegers: r10 op r11 --- */

static void refuse_unless_ints(struct assembler *a, struct label *refuse)
{
    asm_test8_imm(a, R10, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, refuse);
    asm_test8_imm(a, R11, TAG_INTEGER);
    asm_jcc(a, IF_EQUAL, refuse);
}

/* Floored division: the quotient, or the modulo. The one quotient that does
 * not fit is of the smallest integer and -1: negative divisors are refused
 * but for the modulo. */
static uint8_t *division(struct assembler *a, bool modulo)
{
    struct label refuse = LABEL_INIT, exact = LABEL_INIT;
    uint8_t *start = here(a);

    refuse_unless_ints(a, &refuse);
    asm_alu_imm(a, CMP, R11, TAG_INTEGER);
    asm_jcc(a, IF_NOT_GREATER, &refuse);
    asm_push(a, RAX);
    asm_push(a, RDX);
    asm_mov(a, RAX, R10);
    asm_shift(a, SAR, RAX, 3);
    asm_shift(a, SAR, R11, 3);
    asm_cqo(a);
    asm_idiv(a, R11);
    asm_test(a, RDX, RDX);
    asm_jcc(a, IF_NOT_NEGATIVE, &exact);
    asm_alu_imm(a, SUB, RAX, 1);
    asm_alu(a, ADD, RDX, R11);
    asm_bind(a, &exact);
    asm_lea(a, R10, AT_INDEX(modulo ? RDX : RAX, NO_REG, 1, 0));
    asm_shift(a, SHL, R10, 3);
    asm_alu_imm(a, OR, R10, TAG_INTEGER);
    asm_pop(a, RDX);
    asm_pop(a, RAX);
    asm_ret(a, 0);
    asm_bind(a, &refuse);
    asm_imm32(a, R10, 0);
    asm_ret(a, 0);
    return start;
}

/* Left as long as no bit is lost, right by up to 63. */
static uint8_t *bit_shift(struct assembler *a)
{
    struct label refuse = LABEL_INIT, right = LABEL_INIT, lost = LABEL_INIT;
    uint8_t *start = here(a);

    refuse_unless_ints(a, &refuse);
    asm_shift(a, SAR, R11, 3);
    asm_test(a, R11, R11);
    asm_jcc(a, IF_NEGATIVE, &right);
    asm_alu_imm(a, CMP, R11, 60);
    asm_jcc(a, IF_GREATER, &refuse);
    asm_alu_imm(a, SUB, R10, TAG_INTEGER);
    asm_push(a, RCX);
    asm_push(a, RDX);
    asm_mov(a, RCX, R11);
    asm_mov(a, R11, R10);
    asm_shift_cl(a, SHL, R10);
    asm_mov(a, RDX, R10);
    asm_shift_cl(a, SAR, RDX);
    asm_alu(a, CMP, RDX, R11);
    asm_pop(a, RDX);
    asm_pop(a, RCX);
    asm_jcc(a, IF_NOT_EQUAL, &lost);
    asm_alu_imm(a, OR, R10, TAG_INTEGER);
    asm_ret(a, 0);
    asm_bind(a, &right);
    asm_alu_imm(a, CMP, R11, -60);
    asm_jcc(a, IF_LESS, &refuse);
    asm_push(a, RCX);
    asm_imm32(a, RCX, 0);
    asm_alu(a, SUB, RCX, R11);
    asm_shift_cl(a, SAR, R10);
    asm_pop(a, RCX);
    asm_alu_imm(a, AND, R10, ~TAG_MASK);
    asm_alu_imm(a, OR, R10, TAG_INTEGER);
    asm_ret(a, 0);
    asm_bind(a, &lost);
    asm_bind(a, &refuse);
    asm_imm32(a, R10, 0);
    asm_ret(a, 0);
    return start;
}

/* --- pieces for code elsewhere --- */

void emit_class_index(struct assembler *a, enum reg to, enum reg x)
{
    uint32_t immediate;

    asm_mov32(a, to, x);
    asm_alu_imm32(a, AND, to, TAG_MASK);
    immediate = asm_jcc_short(a, IF_NOT_EQUAL);
    asm_load32(a, to, AT(x, 0));
    asm_alu_imm32(a, AND, to, HDR_CLASS_MASK);
    asm_here_short(a, immediate);
}

void emit_class_check(struct assembler *a, enum reg x, uint32_t class_index,
                      enum reg scratch, struct label *no)
{
    asm_load32(a, scratch, AT(x, 0));
    asm_alu_imm32(a, AND, scratch, HDR_CLASS_MASK);
    asm_alu_imm32(a, CMP, scratch, (int32_t)class_index);
    asm_jcc(a, IF_NOT_EQUAL, no);
}

void emit_class_at(struct assembler *a, enum reg index, enum reg scratch)
{
    asm_mov32(a, scratch, index);
    asm_shift32(a, SHR, scratch, 10);
    asm_load(a, scratch,
             AT_INDEX(RBX, scratch, 8, offsetof(struct heap, class_table)));
    asm_alu_imm32(a, AND, index, 1023);
    asm_load(a, index, AT_INDEX(scratch, index, 8, 0));
}

void emit_follow(struct vm *vm, struct assembler *a, enum reg r)
{
    uint32_t none;

    asm_alu_mem8_imm(a, CMP, VM(forwarders), 0);
    none = asm_jcc_short(a, IF_EQUAL);
    asm_push(a, r);
    asm_call_to(a, vm->jit->stubs.follow);
    asm_pop(a, r);
    asm_here_short(a, none);
}

static void emit_young_test(struct assembler *a, enum reg x)
{
    asm_mov(a, R10, x);
    asm_alu_load(a, SUB, R10, HEAP(new_start));
    asm_alu_load(a, CMP, R10, HEAP(new_size));
}

/* The collector's write barrier, second part: is the object in y old, and not
 * remembered if the value in x is young? */
void emit_barrier_rest(struct vm *vm, struct assembler *a, enum reg x,
                       enum reg y, struct mem at, struct label *out)
{
    struct label call = LABEL_INIT;

    assert(x != R11 && y != R11);
    asm_lea(a, R11, at);
    emit_young_test(a, y);
    asm_jcc(a, IF_BELOW, out);
    emit_young_test(a, x);
    asm_jcc(a, IF_NOT_BELOW, &call);
    asm_test_mem8_imm(a, AT(y, 3), HDR_REMEMBERED >> 24);
    asm_jcc(a, IF_NOT_EQUAL, out);
    asm_bind(a, &call);
    asm_push(a, y);
    asm_push(a, R11);
    asm_push(a, x);
    asm_call_to(a, vm->jit->stubs.barrier);
    asm_jmp(a, out);
}

/* First part: is the value in x an oop that the barrier is for (heap.h)? */
void emit_barrier_test(struct assembler *a, enum reg x, enum reg y,
                       struct label *in, struct label *out)
{
    asm_test8_imm(a, x, TAG_MASK);
    asm_jcc(a, IF_NOT_EQUAL, out);
    asm_mov(a, R11, x);
    asm_alu_load(a, SUB, R11, HEAP(new_start));
    asm_alu_load(a, CMP, R11, HEAP(barrier_size));
    asm_jcc(a, IF_BELOW, in);
}

#define TRANSITION(f) transition(s, a, FUNCTION(f))
#define LEAF(f, args, answers) leaf(a, FUNCTION(f), (args), (answers))

void stubs_make(struct vm *vm, struct assembler *a)
{
    struct jit_stubs *s = &vm->jit->stubs;
    int i;

    make_enter(s, a, a->exec);
    make_primitive(s, a);
    s->miss = find_and_run(s, a, FUNCTION(jit_miss));
    s->super_above = find_and_run(s, a, FUNCTION(jit_super_above));
    s->safepoint = TRANSITION(runtime_safepoint);
    s->safepoint_no_switch = TRANSITION(runtime_safepoint_no_switch);
    s->return_slow = TRANSITION(runtime_return);
    s->block_return_slow = TRANSITION(runtime_block_return);
    s->must_be_boolean = TRANSITION(runtime_must_be_boolean);
    s->interpret = TRANSITION(runtime_interpret);
    s->read_only = TRANSITION(runtime_read_only);
    s->hot_call = TRANSITION(runtime_hot_call);
    s->hot_loop = TRANSITION(runtime_hot_loop);
    s->deopt = TRANSITION(runtime_deopt);
    s->context = TRANSITION(runtime_context);
    s->process = TRANSITION(runtime_process);
    s->full_block = TRANSITION(runtime_full_block);
    s->block = TRANSITION(runtime_block);
    s->new_array = TRANSITION(runtime_new_array);
    s->slot_mediated = TRANSITION(runtime_slot);
    s->store_mediated = TRANSITION(runtime_store_slot);
    s->run_block = TRANSITION(runtime_run_block);
    s->barrier = LEAF(runtime_barrier, 3, false);
    s->class_of = LEAF(runtime_class_of, 1, true);
    make_forwarder_leaves(s, a);
    s->box = LEAF(runtime_box, 1, true);
    s->new_filled = LEAF(runtime_new_filled, 2, true);
    s->new_nils = LEAF(runtime_new_nils, 1, true);
    s->widow = LEAF(runtime_widow, 1, false);
    for (i = PLUS; i <= DIVIDE; i++)
        s->arithmetic[i] = float_operation(a, (enum special)i);
    s->arithmetic[MODULO] = division(a, true);
    s->arithmetic[BIT_SHIFT] = bit_shift(a);
    s->arithmetic[QUOTIENT] = division(a, false);
    here(a);
}

void jit_run(struct vm *vm)
{
    void (*enter)(struct vm *) =
        (void (*)(struct vm *))(uintptr_t)vm->jit->stubs.enter;

    vm->reload = false;
    enter(vm);
}
