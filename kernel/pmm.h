/*
 * pmm.h - physical memory: page frames from the boot loader's map.
 */
#pragma once

#include <stdint.h>

struct boot_info;

#define NO_PAGE 0ull

/* Takes over all RAM of the map, but for the kernel, the modules and the
 * first megabyte; at most `limit` bytes of it (0: no limit). */
void pmm_init(const struct boot_info *boot, uint64_t limit);
/* Physical address of a page, not cleared; NO_PAGE: none left. */
uint64_t pmm_alloc(void);
void pmm_free(uint64_t page);
/* `pages` neighbours below physical `limit`, or NO_PAGE. */
uint64_t pmm_alloc_run(uint64_t pages, uint64_t limit);
/* Gives a range back, a module's for instance (whole pages inside it). */
void pmm_free_range(uint64_t start, uint64_t bytes);
/* The first free range from an address on; *bytes is 0: there is none. */
uint64_t pmm_free_from(uint64_t from, uint64_t *bytes);
/* From now on single pages come from above 4 GiB first, where there is
 * memory: the low ones are for devices. */
void pmm_prefer_high(void);
uint64_t pmm_free_bytes(void);
/* All RAM that was found, and the address after the last of it. */
uint64_t pmm_total_bytes(void);
uint64_t pmm_top(void);
