/*
 * trap.h - interrupts and exceptions: the descriptor table, one way in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What isr.S leaves on the stack. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

enum trap_vector {
    TRAP_NMI = 2, TRAP_DOUBLE_FAULT = 8, TRAP_PAGE_FAULT = 14,
    VECTOR_FIRST_IRQ = 32,
};

/* 256 stubs of isr.S; they call trap_entry. */
extern char isr_stubs[];
void trap_entry(struct trap_frame *frame);

/* Loads the table; exceptions panic from here on. */
void trap_init(void);
/* Gives interrupts, exceptions, double fault and NMI a stack each. */
void trap_init_stacks(void);
/* Who is asked about exceptions before they are fatal: true, and the machine
 * goes on as the frame then says. NULL: nobody. */
void trap_set_rescue(bool (*rescue)(struct trap_frame *frame));
/* Who gets vectors 32 to 255; runs with interrupts off. */
void trap_set_irq_entry(void (*entry)(unsigned vector));
