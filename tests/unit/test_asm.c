/*
 * test_asm.c - what the JIT's assembler writes, as objdump reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vm/jit/asm_x64.h"

enum { ROOM = 4096, MAX_LINES = 256, LINE = 80 };

static uint8_t code[ROOM];
static struct assembler a;
static const char *expected[MAX_LINES];
static char read_back[MAX_LINES][LINE];
static int num_expected;

static void start(void)
{
    asm_init(&a, code, code, ROOM);
    num_expected = 0;
}

/* The instruction just written must read so. */
static void reads(const char *text) { expected[num_expected++] = text; }

/* "  12:\t48 89 c8\tmov    rax,rcx  # 0x..." to "mov rax,rcx". */
static bool instruction_of(const char *line, char *to)
{
    const char *tab = strchr(line, '\t'), *c;
    char *start_of = to;

    tab = tab ? strchr(tab + 1, '\t') : NULL;
    if (!tab)
        return false;
    for (c = tab + 1; *c && *c != '\n' && *c != '#' && to - start_of < LINE - 1;
         c++)
        if (*c != ' ' || (to > start_of && to[-1] != ' '))
            *to++ = *c;
    while (to > start_of && to[-1] == ' ')
        to--;
    *to = '\0';
    return true;
}

static int disassemble(void)
{
    char name[64], command[200], line[256];
    FILE *f;
    int n = 0;

    snprintf(name, sizeof name, "/tmp/test_asm.%d", getpid());
    f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(code, 1, a.used, f), a.used);
    fclose(f);
    snprintf(command, sizeof command,
             "objdump -D -w -b binary -m i386:x86-64 -M intel %s", name);
    f = popen(command, "r");
    assert_non_null(f);
    while (n < MAX_LINES && fgets(line, sizeof line, f))
        if (instruction_of(line, read_back[n]))
            n++;
    assert_int_equal(pclose(f), 0);
    unlink(name);
    return n;
}

static void check(void)
{
    int i, n = disassemble();

    assert_false(a.full);
    for (i = 0; i < num_expected && i < n; i++)
        assert_string_equal(read_back[i], expected[i]);
    assert_int_equal(n, num_expected);
}

static void moves(void **state)
{
    start();
    asm_mov(&a, RAX, RCX), reads("mov rax,rcx");
    asm_mov(&a, R12, RDX), reads("mov r12,rdx");
    asm_mov(&a, RSP, R13), reads("mov rsp,r13");
    asm_mov32(&a, R10, RSI), reads("mov r10d,esi");
    asm_imm(&a, RDX, 7), reads("mov edx,0x7");
    asm_imm(&a, R9, (uint64_t)-8), reads("mov r9,0xfffffffffffffff8");
    asm_imm(&a, RAX, 0x123456789abcdef0),
        reads("movabs rax,0x123456789abcdef0");
    asm_imm32(&a, R8, 0x80000000), reads("mov r8d,0x80000000");
    check();
}

static void memory(void **state)
{
    start();
    asm_load(&a, RAX, AT(RBX, 88)), reads("mov rax,QWORD PTR [rbx+0x58]");
    asm_load(&a, RAX, AT(RBX, 0)), reads("mov rax,QWORD PTR [rbx]");
    asm_load(&a, RCX, AT(RBP, 0)), reads("mov rcx,QWORD PTR [rbp+0x0]");
    asm_load(&a, RCX, AT(R13, 0)), reads("mov rcx,QWORD PTR [r13+0x0]");
    asm_load(&a, RCX, AT(RSP, 8)), reads("mov rcx,QWORD PTR [rsp+0x8]");
    asm_load(&a, RCX, AT(R12, -8)), reads("mov rcx,QWORD PTR [r12-0x8]");
    asm_load(&a, R15, AT(RDI, 4096)),
        reads("mov r15,QWORD PTR [rdi+0x1000]");
    asm_load(&a, RAX, AT_INDEX(RDX, RCX, 8, 8)),
        reads("mov rax,QWORD PTR [rdx+rcx*8+0x8]");
    asm_load(&a, RAX, AT_INDEX(R13, R9, 1, 0)),
        reads("mov rax,QWORD PTR [r13+r9*1+0x0]");
    asm_load(&a, RAX, AT_INDEX(RBX, R12, 4, 0)),
        reads("mov rax,QWORD PTR [rbx+r12*4]");
    asm_load32(&a, R10, AT(RDX, 0)), reads("mov r10d,DWORD PTR [rdx]");
    asm_load8(&a, RAX, AT_INDEX(RDX, RCX, 1, 8)),
        reads("movzx eax,BYTE PTR [rdx+rcx*1+0x8]");
    asm_store(&a, AT(RBP, -24), RSI), reads("mov QWORD PTR [rbp-0x18],rsi");
    asm_load16(&a, R9, AT_INDEX(RDX, RCX, 2, 8)),
        reads("movzx r9d,WORD PTR [rdx+rcx*2+0x8]");
    asm_store16(&a, AT_INDEX(RDX, R9, 2, 8), R8),
        reads("mov WORD PTR [rdx+r9*2+0x8],r8w");
    asm_store32(&a, AT(RBX, 64), RSI), reads("mov DWORD PTR [rbx+0x40],esi");
    asm_store8(&a, AT_INDEX(RDX, RCX, 1, 8), RSI),
        reads("mov BYTE PTR [rdx+rcx*1+0x8],sil");
    asm_store_imm(&a, AT(RBP, 16), -1),
        reads("mov QWORD PTR [rbp+0x10],0xffffffffffffffff");
    asm_store8_imm(&a, AT(RBX, 300), 1),
        reads("mov BYTE PTR [rbx+0x12c],0x1");
    asm_lea(&a, R11, AT(RAX, -1)), reads("lea r11,[rax-0x1]");
    asm_lea(&a, RCX, AT_INDEX(RDX, RCX, 1, 8)),
        reads("lea rcx,[rdx+rcx*1+0x8]");
    asm_lea(&a, R10, AT(RSP, 128)), reads("lea r10,[rsp+0x80]");
    check();
}

static void stack(void **state)
{
    start();
    asm_push(&a, RBP), reads("push rbp");
    asm_push(&a, R10), reads("push r10");
    asm_push_imm(&a, 0), reads("push 0x0");
    asm_push_imm(&a, -9), reads("push 0xfffffffffffffff7");
    asm_push_imm(&a, 1000), reads("push 0x3e8");
    asm_push_mem(&a, AT(RBX, 88)), reads("push QWORD PTR [rbx+0x58]");
    asm_push_mem(&a, AT(R9, 8)), reads("push QWORD PTR [r9+0x8]");
    asm_pop(&a, R11), reads("pop r11");
    asm_pop_mem(&a, AT(RBX, 0x8000)), reads("pop QWORD PTR [rbx+0x8000]");
    asm_leave(&a), reads("leave");
    asm_ret(&a, 0), reads("ret");
    asm_ret(&a, 24), reads("ret 0x18");
    asm_trap(&a), reads("int3");
    check();
}

static void arithmetic(void **state)
{
    start();
    asm_alu(&a, ADD, RAX, R8), reads("add rax,r8");
    asm_alu(&a, CMP, R12, RDI), reads("cmp r12,rdi");
    asm_alu32(&a, AND, R10, RCX), reads("and r10d,ecx");
    asm_alu_imm(&a, SUB, R13, 8), reads("sub r13,0x8");
    asm_alu_imm(&a, OR, RDX, 0x12345), reads("or rdx,0x12345");
    asm_alu_imm(&a, AND, R10, -8), reads("and r10,0xfffffffffffffff8");
    asm_alu_imm32(&a, XOR, RAX, 0x3fffff), reads("xor eax,0x3fffff");
    asm_alu_load(&a, CMP, RSP, AT(RBX, 0x8010)),
        reads("cmp rsp,QWORD PTR [rbx+0x8010]");
    asm_alu_load(&a, SUB, R10, AT(RBX, 0)), reads("sub r10,QWORD PTR [rbx]");
    asm_alu_mem_imm(&a, CMP, AT(RBP, -32), 0),
        reads("cmp QWORD PTR [rbp-0x20],0x0");
    asm_alu_mem8_imm(&a, CMP, AT(RDX, 7), 4),
        reads("cmp BYTE PTR [rdx+0x7],0x4");
    asm_test(&a, RAX, RAX), reads("test rax,rax");
    asm_test8_imm(&a, RCX, 7), reads("test cl,0x7");
    asm_test8_imm(&a, RSI, 1), reads("test sil,0x1");
    asm_test8_imm(&a, R12, 1), reads("test r12b,0x1");
    asm_test_mem8_imm(&a, AT(R12, 2), 0x80),
        reads("test BYTE PTR [r12+0x2],0x80");
    asm_shift(&a, SAR, RCX, 3), reads("sar rcx,0x3");
    asm_shift(&a, ROL, R10, 2), reads("rol r10,0x2");
    asm_shift32(&a, SHL, R9, 2), reads("shl r9d,0x2");
    asm_shift_cl(&a, SHL, R10), reads("shl r10,cl");
    asm_imul(&a, R9, R10), reads("imul r9,r10");
    asm_imul_imm(&a, RCX, R9, 56), reads("imul rcx,r9,0x38");
    asm_cqo(&a), reads("cqo");
    asm_idiv(&a, R11), reads("idiv r11");
    asm_inc_mem(&a, AT(RBX, 8)), reads("inc QWORD PTR [rbx+0x8]");
    asm_cmov_load(&a, IF_LESS, R8, AT(RBX, 104)),
        reads("cmovl r8,QWORD PTR [rbx+0x68]");
    check();
}

static void doubles(void **state)
{
    start();
    asm_to_xmm(&a, 2, R11), reads("movq xmm2,r11");
    asm_from_xmm(&a, R10, 0), reads("movq r10,xmm0");
    asm_sse(&a, ADDSD, 0, 1), reads("addsd xmm0,xmm1");
    asm_sse(&a, DIVSD, 1, 2), reads("divsd xmm1,xmm2");
    asm_int_to_double(&a, 0, R10), reads("cvtsi2sd xmm0,r10");
    asm_double_to_int(&a, R11, 0), reads("cvttsd2si r11,xmm0");
    asm_compare_doubles(&a, 1, 0), reads("ucomisd xmm1,xmm0");
    asm_to_xmm(&a, 12, RAX), reads("movq xmm12,rax");
    asm_from_xmm(&a, R14, 9), reads("movq r14,xmm9");
    asm_sse(&a, SUBSD, 8, 15), reads("subsd xmm8,xmm15");
    asm_sse(&a, SQRTSD, 2, 10), reads("sqrtsd xmm2,xmm10");
    asm_int_to_double(&a, 13, R9), reads("cvtsi2sd xmm13,r9");
    asm_double_to_int(&a, RAX, 14), reads("cvttsd2si rax,xmm14");
    asm_compare_doubles(&a, 2, 11), reads("ucomisd xmm2,xmm11");
    asm_mov_double(&a, 3, 12), reads("movaps xmm3,xmm12");
    asm_xor_doubles(&a, 9, 0), reads("xorpd xmm9,xmm0");
    asm_load_double(&a, 4, AT(RAX, 8)),
        reads("movsd xmm4,QWORD PTR [rax+0x8]");
    asm_load_double(&a, 15, AT_INDEX(R12, R9, 8, 8)),
        reads("movsd xmm15,QWORD PTR [r12+r9*8+0x8]");
    asm_store_double(&a, AT(RBP, -56), 10),
        reads("movsd QWORD PTR [rbp-0x38],xmm10");
    check();
}

static void words_behind_code(void **state)
{
    struct label data = LABEL_INIT;

    start();
    asm_load_double_label(&a, 3, &data),
        reads("movsd xmm3,QWORD PTR [rip+0x18]");
    asm_sse_label(&a, ADDSD, 9, &data),
        reads("addsd xmm9,QWORD PTR [rip+0xf]");
    asm_alu_label(&a, ADD, R10, &data),
        reads("add r10,QWORD PTR [rip+0x8]");
    asm_align_nops(&a, 16), reads("nop DWORD PTR [rax+rax*1+0x0]");
    asm_bind(&a, &data);
    asm_ret(&a, 0), reads("ret");
    check();
}

static void jumps(void **state)
{
    struct label back = LABEL_INIT, on = LABEL_INIT, data = LABEL_INIT;
    uint32_t hop;

    start();
    asm_bind(&a, &back);
    asm_jmp(&a, &on), reads("jmp 0x35");
    asm_jcc(&a, IF_EQUAL, &on), reads("je 0x35");
    asm_jcc(&a, IF_NOT_BELOW, &back), reads("jae 0x0");
    hop = asm_jcc_short(&a, IF_OVERFLOW), reads("jo 0x17");
    asm_jmp_reg(&a, R9), reads("jmp r9");
    asm_byte(&a, 0x90), reads("nop");
    asm_here_short(&a, hop);
    asm_load_label(&a, RAX, &data), reads("mov rax,QWORD PTR [rip+0x27]");
    asm_push_label(&a, &data), reads("push QWORD PTR [rip+0x21]");
    asm_lea_label(&a, R9, &data), reads("lea r9,[rip+0x1a]");
    asm_call_reg(&a, RAX), reads("call rax");
    asm_jmp_mem(&a, AT(RCX, 8)), reads("jmp QWORD PTR [rcx+0x8]");
    asm_jmp(&a, &back), reads("jmp 0x0");
    asm_bind(&a, &on);
    asm_call_to(&a, code), reads("call 0x0");
    asm_jmp_to(&a, code + 5), reads("jmp 0x5");
    asm_jcc_to(&a, IF_ABOVE, code), reads("ja 0x0");
    asm_bind(&a, &data);
    asm_ret(&a, 0), reads("ret");
    assert_int_equal(data.at, on.at + 16);
    check();
}

/* Nothing is written past the room, and that is told. */
static void full_room(void **state)
{
    struct label l = LABEL_INIT;
    int i;

    memset(code, 0xcc, sizeof code);
    asm_init(&a, code, code, 10);
    for (i = 0; i < 10; i++)
        asm_jcc(&a, IF_EQUAL, &l);
    asm_bind(&a, &l);
    assert_true(a.full);
    assert_int_equal(a.used, 10);
    assert_int_equal(code[10], 0xcc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves),
        cmocka_unit_test(memory),
        cmocka_unit_test(stack),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(doubles),
        cmocka_unit_test(words_behind_code),
        cmocka_unit_test(jumps),
        cmocka_unit_test(full_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
