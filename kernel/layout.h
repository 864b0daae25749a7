/*
 * layout.h - where linker.ld put the kernel.
 */
#pragma once

#include <stdint.h>

extern char __kernel_start[], __kernel_end[]; /* physical */
extern char __kept_log[]; /* 32 KiB that nobody clears */
extern char __text_start[], __text_end[], __rodata_end[], __data_end[];

static inline uint64_t layout_kernel_start(void)
{
    return (uint64_t)(uintptr_t)__kernel_start;
}
static inline uint64_t layout_kernel_end(void)
{
    return (uint64_t)(uintptr_t)__kernel_end;
}
