/*
 * test_pattern.c - every word's value follows from its address, so that a
 * line that leads to the wrong place is found like a bit that does not hold.
 */
#include "kernel/test_pattern.h"

/* Bits that depend on every bit of the address (splitmix64). */
static uint64_t noise(uint64_t v)
{
    v += 0x9e3779b97f4a7c15ull;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ v >> 27) * 0x94d049bb133111ebull;
    return v ^ v >> 31;
}

static uint64_t word(uint64_t address, unsigned kind, uint64_t seed)
{
    uint64_t v = kind < 2   ? address
                 : kind < 4 ? 0x5555555555555555ull
                            : noise(address ^ seed);

    return kind % 2 ? ~v : v;
}

void test_pattern_write(volatile uint64_t *at, uint64_t words,
                        uint64_t address, unsigned kind, uint64_t seed)
{
    for (uint64_t i = 0; i < words; i++)
        at[i] = word(address + 8 * i, kind, seed);
}

uint64_t test_pattern_check(const volatile uint64_t *at, uint64_t words,
                            uint64_t address, unsigned kind, uint64_t seed,
                            uint64_t *where, uint64_t *bits)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < words; i++) {
        uint64_t found = at[i], wanted = word(address + 8 * i, kind, seed);

        if (found == wanted)
            continue;
        if (!wrong++) {
            *where = address + 8 * i;
            *bits = found ^ wanted;
        }
    }
    return wrong;
}
