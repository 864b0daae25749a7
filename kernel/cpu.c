/*
 * cpu.c - which features we need, and the segment tables that long mode
 * still wants. Intel SDM volume 3, chapters 3 and 8.
 */
#include "kernel/cpu.h"

#include <stddef.h>

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "task state segment");

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

static struct tss tss;
static uint64_t gdt[5] = {
    0,
    0x00209a0000000000, /* 8: code */
    0x0000920000000000, /* 16: data */
    0, 0,               /* 24: task state segment */
};

bool cpu_feature(uint32_t leaf, unsigned reg, unsigned bit)
{
    uint32_t r[4];

    cpuid(leaf & 0x80000000, 0, r);
    if (r[0] < leaf)
        return false;
    cpuid(leaf, 0, r);
    return r[reg] >> bit & 1;
}

bool cpu_has_no_execute(void) { return cpu_feature(0x80000001, 3, 20); }

unsigned cpu_address_bits(void)
{
    uint32_t r[4];

    cpuid(0x80000000, 0, r);
    if (r[0] < 0x80000008)
        return 36;
    cpuid(0x80000008, 0, r);
    return r[0] & 255;
}

bool cpu_has_pat(void)
{
    uint32_t r[4];

    cpuid(1, 0, r);
    return r[3] >> 16 & 1;
}

bool cpu_is_virtual(void)
{
    uint32_t r[4];

    cpuid(1, 0, r);
    return r[2] >> 31;
}

const char *cpu_missing_feature(void)
{
    static const struct {
        uint32_t leaf;
        unsigned reg, bit;
        const char *name;
    } needed[] = {
        { 1, 3, 4, "a time stamp counter (tsc)" },
        { 1, 3, 5, "model-specific registers (msr)" },
        { 1, 3, 9, "a local APIC (apic)" },
        { 1, 3, 26, "SSE2 (sse2)" },
    };

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!cpu_feature(needed[i].leaf, needed[i].reg, needed[i].bit))
            return needed[i].name;
    return cpu_has_no_execute() ? NULL : "no-execute pages (nx)";
}

/* CR4.OSXSAVE and XCR0, Intel SDM volume 1, 13.3 and 14.3. Nothing saves these
 * registers: the VM's thread is the only one, and interrupt handlers use
 * general registers only. */
void cpu_allow_avx(void)
{
    enum { XSAVE = 26, AVX = 28, CR4_OSXSAVE = 18, X87_SSE_AVX = 7 };
    uint32_t r[4];

    cpuid(1, 0, r);
    if (!(r[2] >> XSAVE & 1) || !(r[2] >> AVX & 1))
        return;
    write_cr4(read_cr4() | 1u << CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(X87_SSE_AVX), "d"(0));
}

void cpu_load_segments(void *const ist[7])
{
    uint64_t base = (uint64_t)(uintptr_t)&tss, limit = sizeof tss - 1;
    struct table_pointer pointer = {
        sizeof gdt - 1, (uint64_t)(uintptr_t)gdt,
    };

    for (int i = 0; i < 7; i++)
        tss.ist[i] = (uint64_t)(uintptr_t)ist[i];
    tss.io_map = sizeof tss;
    gdt[3] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 |
             (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;
    __asm__ volatile("lgdt %0\n\t"
                     "pushq $8\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl $16, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "movl $24, %%eax\n\t"
                     "ltr %%ax"
                     : : "m"(pointer) : "rax", "memory");
}
