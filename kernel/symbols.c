/*
 * symbols.c - looks addresses up in the embedded symbol table.
 */
#include "kernel/symbols.h"

#include <stddef.h>

#include "kernel/layout.h"

/* build/metal/symbols.S defines these; in the first pass of the link they
 * are missing, and the table is empty. */
struct symbol {
    uint32_t offset; /* from __text_start */
    uint32_t name;   /* in symbol_names */
};
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

const char *symbol_at(uint64_t address, uint64_t *offset)
{
    uint64_t start = (uint64_t)(uintptr_t)__text_start;
    uint64_t end = (uint64_t)(uintptr_t)__text_end;
    uint32_t low = 0, high = &symbol_count ? symbol_count : 0;

    if (address < start || address >= end || !high)
        return NULL;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;

        if (symbol_table[middle].offset <= address - start)
            low = middle;
        else
            high = middle;
    }
    *offset = address - start - symbol_table[low].offset;
    return symbol_names + symbol_table[low].name;
}
