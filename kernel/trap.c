/*
 * trap.c - the interrupt descriptor table. Intel SDM volume 3, chapter 6.
 */
#include "kernel/trap.h"

#include <stddef.h>

#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/vmm.h"

enum { STUB_BYTES = 16, CODE_SELECTOR = 8, GATE_INTERRUPT = 0x8e };
/* Interrupt stack table slots, 1-based as the gates count them. */
enum { IST_IRQ = 1, IST_EXCEPTION = 2, IST_DOUBLE_FAULT = 3, IST_NMI = 4 };
enum { TRAP_STACK_BYTES = 32768 };

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "interrupt gate");

static struct gate idt[256] __attribute__((aligned(16)));
static void (*irq_entry)(unsigned vector);
static bool (*rescue)(struct trap_frame *frame);

static const char *const exception_names[] = {
    "division by zero", "debug trap", "non-maskable interrupt", "breakpoint",
    "overflow", "bound range", "invalid instruction", "no FPU",
    "double fault (stack overflow?)", "FPU overrun", "invalid TSS",
    "segment not present", "stack segment", "general protection",
    "page fault", "trap 15", "FPU error", "alignment", "machine check",
    "SIMD exception",
};

static void set_gate(unsigned vector, uint8_t ist)
{
    uint64_t at = (uint64_t)(uintptr_t)(isr_stubs + vector * STUB_BYTES);

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)at,
        .offset_middle = (uint16_t)(at >> 16),
        .offset_high = (uint32_t)(at >> 32),
        .selector = CODE_SELECTOR,
        .ist = ist,
        .type = GATE_INTERRUPT,
    };
}

void trap_init(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = { sizeof idt - 1, (uint64_t)(uintptr_t)idt };

    for (unsigned v = 0; v < 256; v++)
        set_gate(v, 0);
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static uint8_t ist_for(unsigned vector)
{
    if (vector >= VECTOR_FIRST_IRQ)
        return IST_IRQ;
    if (vector == TRAP_DOUBLE_FAULT)
        return IST_DOUBLE_FAULT;
    return vector == TRAP_NMI ? IST_NMI : IST_EXCEPTION;
}

void trap_init_stacks(void)
{
    void *ist[7] = { NULL };

    for (int i = 0; i < IST_NMI; i++) {
        ist[i] = vmm_new_stack(TRAP_STACK_BYTES);
        if (!ist[i])
            refuse("There is not enough memory to start.");
    }
    cpu_load_segments(ist);
    for (unsigned v = 0; v < 256; v++)
        set_gate(v, ist_for(v));
}

void trap_set_irq_entry(void (*entry)(unsigned vector)) { irq_entry = entry; }

void trap_set_rescue(bool (*r)(struct trap_frame *frame)) { rescue = r; }

void trap_entry(struct trap_frame *frame)
{
    size_t known = sizeof exception_names / sizeof *exception_names;

    if (frame->vector >= VECTOR_FIRST_IRQ && irq_entry)
        irq_entry((unsigned)frame->vector);
    else if (!rescue || !rescue(frame))
        panic_trap(frame, frame->vector < known
                              ? exception_names[frame->vector]
                              : "unexpected exception");
}
