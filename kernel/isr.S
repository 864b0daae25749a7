/*
 * isr.S - 256 ways in, one way on: trap_entry(struct trap_frame *).
 * Only general registers are saved; all C code reached from here is compiled
 * with -mgeneral-regs-only. The interrupted code's red zone does not matter:
 * every gate switches to a stack of its own.
 */
        .text
        .altmacro
        .macro stub vector
        .balign 16
        .if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
        .else
        pushq $0                        /* no error code: keep the shape */
        .endif
        pushq $\vector
        jmp isr_common
        .endm

        .globl isr_stubs
        .balign 16
isr_stubs:
        .set i, 0
        .rept 256
        stub %i
        .set i, i + 1
        .endr

isr_common:
        push %rax
        push %rbx
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %rbp
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        cld
        mov %rsp, %rdi
        mov %rsp, %rbx
        and $-16, %rsp
        call trap_entry
        mov %rbx, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rbp
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rbx
        pop %rax
        add $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
