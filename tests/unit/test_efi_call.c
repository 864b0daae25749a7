/*
 * test_efi_call.c - efi.S as it is, in a process: what the firmware is handed,
 * what it may change, and the way out when it faults in the middle.
 */
#define _GNU_SOURCE /* REG_RIP */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "kernel/efi_call.h"

#define FIRMWARE __attribute__((ms_abi, noinline))

static const uint64_t arguments[EFI_ARGS] = {
    0x1111111111111111, 0x2222222222222222, 0x3333333333333333,
    0x4444444444444444, 0x5555555555555555,
};
static uint64_t seen[EFI_ARGS];

/* Changes what Microsoft's convention lets it change, the four words above
 * its return address among them. */
FIRMWARE static uint64_t serves(uint64_t a, uint64_t b, uint64_t c,
                                uint64_t d, uint64_t e)
{
    const uint64_t all[EFI_ARGS] = { a, b, c, d, e };

    memcpy(seen, all, sizeof seen);
    __asm__ volatile("movl $-1, %%ecx\n\tmovl $-1, %%edx\n\t"
                     "movl $-1, %%r8d\n\tmovl $-1, %%r9d\n\t"
                     "movl $-1, %%r10d\n\tmovl $-1, %%r11d"
                     : : : "rcx", "rdx", "r8", "r9", "r10", "r11");
    return a + e;
}

/* Spoils every register, then reads what nobody may. */
__attribute__((naked)) static void faults(void)
{
    __asm__("push $1\n\tpush $2\n\tpush $3\n\t"
            "xor %ebx, %ebx\n\txor %ebp, %ebp\n\txor %r12d, %r12d\n\t"
            "xor %r13d, %r13d\n\txor %r14d, %r14d\n\t"
            "xor %r15d, %r15d\n\tstd\n\t"
            "movabs $0x1234567812345678, %rax\n\tmov (%rax), %rax\n\tud2");
}

/* What the kernel's handler does to the frame (efi.c). */
static void go_on_elsewhere(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    registers[REG_RIP] = (greg_t)(uintptr_t)efi_escape;
    registers[REG_RSP] = (greg_t)efi_stack;
}

/* What it answers; the registers that are the caller's must be as before. */
static uint64_t call(uint64_t entry)
{
    static uint64_t result, kept[5], flags;

    __asm__ volatile(
        "movl $71, %%ebx\n\tmovl $72, %%r12d\n\tmovl $73, %%r13d\n\t"
        "movl $74, %%r14d\n\tmovl $75, %%r15d\n\t"
        "mov %%rsp, %%rax\n\tand $-16, %%rsp\n\tpush %%rax\n\tpush %%rax\n\t"
        "call efi_call\n\t"
        "pop %%rcx\n\tmov %%rcx, %%rsp\n\t"
        "mov %%rax, %0\n\tmov %%rbx, %1\n\tmov %%r12, %2\n\t"
        "mov %%r13, %3\n\tmov %%r14, %4\n\tmov %%r15, %5\n\t"
        "pushfq\n\tpop %%rax\n\tmov %%rax, %6"
        : "=m"(result), "=m"(kept[0]), "=m"(kept[1]), "=m"(kept[2]),
          "=m"(kept[3]), "=m"(kept[4]), "=m"(flags), "+D"(entry)
        : "S"(arguments)
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12",
          "r13", "r14", "r15", "cc", "memory");
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(kept[i], 71 + i);
    assert_int_equal(flags & 0x400, 0); /* the direction */
    return result;
}

static void it_is_handed_five_arguments(void **state)
{
    assert_int_equal(call((uint64_t)(uintptr_t)serves), 0x6666666666666666);
    assert_memory_equal(seen, arguments, sizeof seen);
}

static void a_fault_ends_the_call(void **state)
{
    struct sigaction action = { .sa_sigaction = go_on_elsewhere,
                                .sa_flags = SA_SIGINFO | SA_NODEFER }, old;

    assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call((uint64_t)(uintptr_t)faults), EFI_FAULTED);
    sigaction(SIGSEGV, &old, NULL);
    it_is_handed_five_arguments(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_handed_five_arguments),
        cmocka_unit_test(a_fault_ends_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
