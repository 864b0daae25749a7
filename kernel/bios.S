/*
 * bios.S - the way down to the BIOS in real mode and back (bios.c).
 *
 * Between `bios_code` and `bios_code_end` lies what runs at BIOS_AT, where
 * code is seen under its physical address; AT(x) is a label's place there.
 * Down: long mode, 32 bits with and without paging, 16 bits, real mode; and
 * the same way up. Intel SDM volume 3, 9.8.5 and 9.9.
 */
#include "kernel/bios_layout.h"

#define AT(x) (BIOS_AT + (x) - bios_code)
#define CODE32 0x08
#define DATA32 0x10
#define CODE16 0x18
#define DATA16 0x20
#define CODE64 0x28
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define CR0_PE 0x1
#define CR0_PG 0x80000000

        .section .rodata
        .globl bios_code, bios_code_end
        .balign 16
        .code64
/* void (void): registers in and out are at AT(bios_regs). */
bios_code:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        pushfq
        cli
        mov %rsp, AT(saved_rsp)
        sgdt AT(saved_gdt)
        sidt AT(saved_idt)
        mov %cr0, %rax
        mov %eax, AT(saved_cr0)
        mov %cr3, %rax
        mov %eax, AT(saved_cr3)
        mov %cr4, %rax
        mov %eax, AT(saved_cr4)
        mov $MSR_EFER, %ecx
        rdmsr
        mov %eax, AT(saved_efer)
        lgdt AT(gdt_pointer)
        mov $BIOS_STACK, %esp
        pushq $CODE32
        pushq $AT(down32)
        lretq

        .code32
down32: mov $DATA32, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov %cr0, %eax
        and $~CR0_PG, %eax
        mov %eax, %cr0
        mov $MSR_EFER, %ecx
        rdmsr
        and $~EFER_LME, %eax
        wrmsr
        xor %eax, %eax
        mov %eax, %cr4
        ljmp $CODE16, $AT(down16)

        .code16
down16: mov $DATA16, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %fs
        mov %ax, %gs
        mov %ax, %ss
        mov %cr0, %eax
        and $~CR0_PE, %eax
        mov %eax, %cr0
        ljmp $0, $AT(real)

real:   xor %ax, %ax
        mov %ax, %ds
        mov %ax, %fs
        mov %ax, %gs
        mov %ax, %ss
        mov $BIOS_STACK, %sp
        lidtl AT(real_idt)
        mov AT(bios_regs) + 20, %ax
        mov %ax, %es
        mov AT(bios_regs), %eax
        mov AT(bios_regs) + 4, %ebx
        mov AT(bios_regs) + 8, %ecx
        mov AT(bios_regs) + 12, %edx
        mov AT(bios_regs) + 16, %edi
        int $0x10
        cli
        cld
        push %ax
        xor %ax, %ax
        mov %ax, %ds
        pop %ax
        mov %eax, AT(bios_regs)
        mov %ebx, AT(bios_regs) + 4
        mov %ecx, AT(bios_regs) + 8
        mov %edx, AT(bios_regs) + 12
        lgdtl AT(gdt_pointer)
        mov %cr0, %eax
        or $CR0_PE, %eax
        mov %eax, %cr0
        ljmpl $CODE32, $AT(up32)

        .code32
up32:   mov $DATA32, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov AT(saved_cr4), %eax
        mov %eax, %cr4
        mov AT(saved_cr3), %eax
        mov %eax, %cr3
        mov $MSR_EFER, %ecx
        rdmsr
        mov AT(saved_efer), %eax
        and $~EFER_LMA, %eax            /* read-only; some trap over it */
        wrmsr
        mov AT(saved_cr0), %eax
        mov %eax, %cr0
        ljmp $CODE64, $AT(up64)

        .code64
up64:   mov AT(saved_rsp), %rsp
        lgdt AT(saved_gdt)
        lidt AT(saved_idt)
        mov $KERNEL_DATA, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        pushq $KERNEL_CODE
        pushq $AT(back)
        lretq
back:   popfq
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

        .balign 8
gdt:    .quad 0
        .quad 0x00cf9a000000ffff
        .quad 0x00cf92000000ffff
        .quad 0x00009a000000ffff
        .quad 0x000092000000ffff
        .quad 0x00209a0000000000
gdt_pointer:
        .word 6 * 8 - 1
        .quad AT(gdt)
real_idt:
        .word 0x3ff
        .long 0
        .balign 8
saved_rsp: .quad 0
saved_gdt: .word 0
        .quad 0
saved_idt: .word 0
        .quad 0
        .balign 4
saved_cr0: .long 0
saved_cr3: .long 0
saved_cr4: .long 0
saved_efer: .long 0
        .globl bios_regs
bios_regs: .space 24
bios_code_end:

        .section .note.GNU-stack, "", @progbits
