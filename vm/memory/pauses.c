/*
 * pauses.c - how long the collector kept the program waiting: counts by
 * length, for --stats and the VM parameters.
 */
#include "vm/memory/heap_private.h"

/* Four buckets an octave: up to 4 us one each, then by the three leading
 * bits. */
static unsigned bucket_of(uint64_t usecs)
{
    unsigned octave, i;

    if (usecs < 4)
        return (unsigned)usecs;
    octave = 61 - (unsigned)__builtin_clzll(usecs);
    i = 4 * octave + 4 + (usecs >> octave & 3);
    return i < PAUSE_BUCKETS ? i : PAUSE_BUCKETS - 1;
}

/* The greatest length that goes into a bucket. */
static uint64_t bucket_end(unsigned i)
{
    return i < 4 ? i : ((4 + i % 4 + 1ull) << (i / 4 - 1)) - 1;
}

void heap_note_pause(struct heap *h, enum pause kind, uint64_t start)
{
    struct pauses *p = &h->stats.pauses[kind];
    uint64_t usecs = plat_usecs() - start;

    p->count++;
    p->usecs += usecs;
    if (usecs > p->longest)
        p->longest = usecs;
    p->bucket[bucket_of(usecs)]++;
}

void heap_note_visit(struct heap *h, uint64_t start)
{
    heap_note_pause(h, PAUSE_ALL, start);
}

uint64_t heap_pause_percentile(const struct heap *h, enum pause kind,
                               unsigned percent)
{
    const struct pauses *p = &h->stats.pauses[kind];
    uint64_t rank = (p->count * percent + 99) / 100, seen = 0;
    unsigned i;

    if (!p->count)
        return 0;
    for (i = 0; i < PAUSE_BUCKETS - 1; i++) {
        seen += p->bucket[i];
        if (seen >= rank)
            break;
    }
    return bucket_end(i) < p->longest ? bucket_end(i) : p->longest;
}
