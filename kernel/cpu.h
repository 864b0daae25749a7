/*
 * cpu.h - the processor: ports, control registers, features, its tables.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v),
                     "d"((uint32_t)(v >> 32)) : "memory");
}
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub));
}
/* VMware's way to be called: r is eax, ebx, ecx, edx, before and after. */
static inline void vmware_backdoor(uint32_t r[4])
{
    __asm__ volatile("inl %%dx, %%eax"
                     : "+a"(r[0]), "+b"(r[1]), "+c"(r[2]), "+d"(r[3])
                     : : "rsi", "rdi", "memory");
}
#define READ_CONTROL(reg)                                                    \
    static inline uint64_t read_##reg(void)                                  \
    {                                                                        \
        uint64_t v;                                                          \
                                                                             \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(v));                    \
        return v;                                                            \
    }
#define WRITE_CONTROL(reg)                                                   \
    static inline void write_##reg(uint64_t v)                               \
    {                                                                        \
        __asm__ volatile("mov %0, %%" #reg : : "r"(v) : "memory");           \
    }
READ_CONTROL(cr0)
WRITE_CONTROL(cr0)
READ_CONTROL(cr2)
READ_CONTROL(cr3)
WRITE_CONTROL(cr3)
READ_CONTROL(cr4)
WRITE_CONTROL(cr4)
#undef READ_CONTROL
#undef WRITE_CONTROL
static inline void invlpg(uint64_t virt)
{
    __asm__ volatile("invlpg (%0)" : : "r"(virt) : "memory");
}
static inline void cpu_pause(void) { __asm__ volatile("pause"); }
static inline void cpu_interrupts_on(void) { __asm__ volatile("sti"); }
static inline void cpu_interrupts_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}
/* Sleeps with interrupts on until one has been served. The instruction after
 * sti still runs with them off, so none can slip in between. */
static inline void cpu_sleep(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}
/* Never comes back. */
_Noreturn static inline void cpu_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}
/* A trap without a way to serve it: the processor gives up, upon which the
 * chip set starts it anew. */
_Noreturn static inline void cpu_triple_fault(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = { 0, 0 };

    __asm__ volatile("lidt %0; ud2" : : "m"(none));
    __builtin_unreachable();
}

/* A bit of what CPUID says: register 0 to 3 is eax, ebx, ecx, edx. False
 * where there is no such leaf. */
bool cpu_feature(uint32_t leaf, unsigned reg, unsigned bit);
/* How wide physical addresses are. */
unsigned cpu_address_bits(void);
/* The processor can keep data pages from being run. */
bool cpu_has_no_execute(void);
/* Page attributes can be chosen (MSR_PAT). */
bool cpu_has_pat(void);
/* A hypervisor says that it is one. */
bool cpu_is_virtual(void);
/* Name of the first needed feature that is missing; NULL: all there. */
const char *cpu_missing_feature(void);
/* Lets AVX be used, if there is any. */
void cpu_allow_avx(void);
/* Segments and the task state segment; `ist` are the tops of the stacks
 * for interrupts and traps (trap.h). */
void cpu_load_segments(void *const ist[7]);
