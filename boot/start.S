/*
 * start.S - the first instructions: headers for two boot protocols, a check
 * that the processor can do 64 bits, a first set of page tables, long mode.
 *
 * Multiboot2 (GRUB): 32-bit, eax = magic, ebx = information block.
 * PVH (QEMU -kernel): 32-bit, ebx = start info block.
 * Both end in boot_main(protocol, block) on boot_stack.
 */

#define MB2_HEADER_MAGIC 0xe85250d6
#define PVH_PROTOCOL     0x336ec578     /* as in its own info block */
#define KERNEL_BASE      0xffffffff80000000

#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_PG 0x80000000
#define CR4_PAE_OSFXSR_OSXMMEXCPT 0x620
#define EFER 0xc0000080
#define EFER_LME 0x100

#define PTE_PRESENT_WRITE 0x3
#define PTE_LARGE 0x80

        .section .multiboot, "a"
        .balign 8
mb2_header:
        .long MB2_HEADER_MAGIC, 0, mb2_end - mb2_header
        .long -(MB2_HEADER_MAGIC + (mb2_end - mb2_header))
        /* framebuffer tag, optional: any size, 32 bits a pixel */
        .balign 8
        .word 5, 1
        .long 20, 0, 0, 32
        /* modules page-aligned */
        .balign 8
        .word 6, 0
        .long 8
        .balign 8
        .word 0, 0
        .long 8
mb2_end:

        .section .note.pvh, "a", @note
        .balign 4
        .long 4, 4, 18                  /* name, descriptor, type: entry */
        .asciz "Xen"
        .long start_pvh

        .section .boot.text, "ax", @progbits
        .code32
start_pvh:
        mov $PVH_PROTOCOL, %eax
        .globl start
start:
        cli
        cld
        mov $boot_stack32, %esp
        mov %eax, %ebp                  /* protocol */
        mov %ebx, %esi                  /* block */

        mov $0x80000000, %eax
        cpuid
        cmp $0x80000001, %eax
        jb no_long_mode
        mov $0x80000001, %eax
        cpuid
        test $0x20000000, %edx
        jz no_long_mode

        /* The first 4 GiB in 2 MiB pages, seen at 0 and at ffff8000'...;
         * the first 2 GiB of them at ffffffff'80000000. */
        mov $boot_pd, %edi
        mov $(PTE_PRESENT_WRITE | PTE_LARGE), %eax
        mov $2048, %ecx
1:      mov %eax, (%edi)
        movl $0, 4(%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 1b

        mov $(boot_pd + PTE_PRESENT_WRITE), %eax
        mov %eax, boot_pdpt_low
        mov %eax, boot_pdpt_high + 510 * 8
        add $4096, %eax
        mov %eax, boot_pdpt_low + 8
        mov %eax, boot_pdpt_high + 511 * 8
        add $4096, %eax
        mov %eax, boot_pdpt_low + 16
        add $4096, %eax
        mov %eax, boot_pdpt_low + 24
        movl $(boot_pdpt_low + PTE_PRESENT_WRITE), boot_pml4
        movl $(boot_pdpt_low + PTE_PRESENT_WRITE), boot_pml4 + 256 * 8
        movl $(boot_pdpt_high + PTE_PRESENT_WRITE), boot_pml4 + 511 * 8

        mov $boot_pml4, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $CR4_PAE_OSFXSR_OSXMMEXCPT, %eax
        mov %eax, %cr4
        mov $EFER, %ecx
        rdmsr
        or $EFER_LME, %eax
        wrmsr
        mov %cr0, %eax
        and $~CR0_EM, %eax
        or $(CR0_PG | CR0_MP | 1), %eax
        mov %eax, %cr0
        lgdt boot_gdt_pointer
        ljmp $8, $long_mode

/* One line on COM1 and on a text screen, then silence. */
no_long_mode:
        mov $no_long_mode_text, %esi
        mov $0xb8000, %edi
        mov $0x4f, %ah
2:      lodsb
        test %al, %al
        jz 4f
        mov %ax, (%edi)
        add $2, %edi
        mov %al, %bl
        mov $0x3fd, %dx
        mov $100000, %ecx
3:      inb %dx, %al                    /* wait for room, but not for ever */
        test $0x20, %al
        loopz 3b
        mov $0x3f8, %dx
        mov %bl, %al
        outb %al, %dx
        jmp 2b
4:      hlt
        jmp 4b

        .code64
long_mode:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        fninit
        ldmxcsr boot_mxcsr
        mov %ebp, %edi                  /* upper halves are zeroed */
        mov %esi, %esi
        movabs $boot_stack_top, %rsp
        xor %ebp, %ebp
        movabs $boot_main, %rax
        call *%rax
5:      hlt
        jmp 5b

        .section .boot.data, "aw", @progbits
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00209a0000000000        /* 8: 64-bit code */
        .quad 0x0000920000000000        /* 16: data */
boot_gdt_pointer:
        .word . - boot_gdt - 1
        .long boot_gdt
boot_mxcsr:
        .long 0x1f80                    /* as after reset: all masked */
no_long_mode_text:
        .asciz "Aerostat: this processor has no 64-bit mode; cannot run.\r\n"

        .section .boot.bss, "aw", @nobits
        .balign 4096
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pdpt_high: .skip 4096
boot_pd:        .skip 4 * 4096
        .skip 256
boot_stack32:

        .bss
        .balign 16
boot_stack:
        .skip 65536
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
