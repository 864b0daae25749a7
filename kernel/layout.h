/*
 * layout.h - where linker.ld put the kernel, and where the log is kept.
 */
#pragma once

#include <stdint.h>

/* Physical, far from where boot loaders and firmware work: what is written
 * there is still there after a warm start (kernel/klog.c). */
#define KEPT_LOG 0x2800000ull
#define KEPT_LOG_BYTES 0x8000ull

extern char __kernel_start[], __kernel_end[]; /* physical */
extern char __text_start[], __text_end[], __rodata_end[], __data_end[];

static inline uint64_t layout_kernel_start(void)
{
    return (uint64_t)(uintptr_t)__kernel_start;
}
static inline uint64_t layout_kernel_end(void)
{
    return (uint64_t)(uintptr_t)__kernel_end;
}
