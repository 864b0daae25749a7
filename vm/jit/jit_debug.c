/*
 * jit_debug.c - the compiler's eyes: counters for --stats.
 */
#include "vm/jit/jit_private.h"
#include "vm/platform.h"

#include <stdio.h>
#include <string.h>

static unsigned long long ull(uint64_t n) { return n; }

static void count_sends(const struct jit *j, uint64_t count[4])
{
    unsigned i, k;

    for (i = 0; i < j->num_codes; i++)
        for (k = 0; k < j->codes[i]->num_points; k++) {
            const struct point *p = &j->codes[i]->points[k];

            if (p->kind >= POINT_SEND && p->kind <= POINT_SPECIAL)
                count[p->hash ? 1 : 0]++;
        }
}

void jit_print_stats(struct vm *vm)
{
    const struct jit *j = vm->jit;
    uint64_t sends[4] = { 0 };
    char line[600];

    if (!j)
        return;
    count_sends(j, sends);
    snprintf(line, sizeof line,
             "machine code: %llu methods, %llu refused, %llu bytes, "
             "%llu us; flushes %llu, forgotten %llu\n"
             "frames taken over %llu, in loops %llu\n"
             "sends linked %llu, not %llu; misses %llu, links %llu, "
             "polymorphic %llu, megamorphic %llu, unlinked %llu times\n",
             ull(j->stats.compiled), ull(j->stats.refused),
             ull(j->stats.code_bytes), ull(j->stats.compile_usecs),
             ull(j->stats.flushes), ull(j->stats.forgotten),
             ull(j->stats.taken_over), ull(j->stats.loops), ull(sends[1]),
             ull(sends[0]), ull(j->stats.misses), ull(j->stats.links),
             ull(j->stats.pics), ull(j->stats.megamorphic),
             ull(j->stats.unlinks));
    plat_write(2, line, strlen(line));
}
