/*
 * vmm.h - virtual memory: the page tables and who lives where.
 *
 *   0 .. 2^47           the VM: image, new space, code (plat_reserve)
 *   ffff8000'00000000   all RAM, page for page (phys_to_virt)
 *   ffffc000'00000000   device registers, frame buffer
 *   ffffc800'00000000   pictures of virtio-gpu (two)
 *   ffffd000'00000000   newlib's heap (sbrk)
 *   ffffe000'00000000   stacks, an unmapped page under each
 *   ffffffff'80000000   the kernel, at its physical address plus this
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ull
#define DIRECT_BASE 0xffff800000000000ull
#define DEVICE_BASE 0xffffc00000000000ull
#define GPU_BASE 0xffffc80000000000ull
#define GPU_SPAN 0x40000000ull
#define SBRK_BASE 0xffffd00000000000ull
#define STACK_BASE 0xffffe00000000000ull
#define KERNEL_BASE 0xffffffff80000000ull
#define USER_END 0x0000800000000000ull

enum page_flags {
    PAGE_WRITE = 1, PAGE_EXEC = 2, PAGE_UNCACHED = 4, PAGE_COMBINE = 8,
    PAGE_STALE = 16, /* for vmm_commit: need not be zero */
};

static inline void *phys_to_virt(uint64_t phys)
{
    return (void *)(uintptr_t)(phys + DIRECT_BASE);
}

/* Builds the kernel's own tables and switches to them. */
void vmm_init(void);
/* Maps one page. 0, or -ENOMEM when no page table can be had. */
int vmm_map(uint64_t virt, uint64_t phys, unsigned flags);
/* Unmaps one page; answers what was there, or 0. */
uint64_t vmm_unmap(uint64_t virt);
/* Physical address behind `virt`; false: not mapped. */
bool vmm_translate(uint64_t virt, uint64_t *phys);
/* The same of as much from `virt` on, up to `bytes`, as is seen to lie in a
 * row, which may end with any page; 0: nothing. */
uint64_t vmm_run(uint64_t virt, uint64_t bytes, uint64_t *phys);

/* Another address space for code of others: the kernel's half as it is, below
 * it nothing but what is mapped here, under its physical address, to be read,
 * written and run. 0 or -ENOMEM. */
int vmm_space_map(uint64_t phys, uint64_t pages);
/* Goes there, and back. Interrupts are off and stay off. */
void vmm_space_enter(void);
void vmm_space_leave(void);

/* Fresh zeroed pages wherever [virt, virt+bytes) has none yet; all or none.
 * 0 or -ENOMEM. */
int vmm_commit(uint64_t virt, uint64_t bytes, unsigned flags);
/* Gives back whatever is mapped in the range. */
void vmm_release(uint64_t virt, uint64_t bytes);

/* Device memory, mapped for ever; NULL: no memory for page tables. */
volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags);
/* A stack over an unmapped page; answers its top, NULL: no memory. */
void *vmm_new_stack(uint64_t bytes);

/* Zeroed, physically contiguous memory below 4 GiB that devices may be told
 * about, rounded up to pages; never freed. NULL: none. */
void *dma_alloc(uint64_t bytes, uint64_t *phys);
