/*
 * symbols.c - looks addresses up in the embedded symbol table.
 */
#include "kernel/symbols.h"

#include <stddef.h>

#include "kernel/layout.h"

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
