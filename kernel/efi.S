/*
 * efi.S - calls the firmware as Microsoft's compilers call: four arguments in
 * registers, 32 bytes of stack for them, the fifth behind (efi.c).
 */
        .text
        .globl efi_call, efi_escape
/* uint64_t efi_call(uint64_t entry, const uint64_t args[5]) */
efi_call:
        push %rbp
        push %rbx
        push %r12
        push %r13
        push %r14
        push %r15
        pushfq
        mov %rsp, efi_stack(%rip)       /* a multiple of 16 */
        sub $48, %rsp
        mov %rdi, %rax
        mov %rsi, %r10
        mov 32(%r10), %r11
        mov %r11, 32(%rsp)
        mov (%r10), %rcx
        mov 8(%r10), %rdx
        mov 16(%r10), %r8
        mov 24(%r10), %r9
        call *%rax
out:    mov efi_stack(%rip), %rsp
        popfq
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbx
        pop %rbp
        ret
/* Where an exception goes on (EFI_FAULTED). */
efi_escape:
        movabs $0x7fffffffffffffff, %rax
        jmp out

        .bss
        .balign 8
        .globl efi_stack
efi_stack:
        .skip 8

        .section .note.GNU-stack, "", @progbits
