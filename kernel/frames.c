/*
 * frames.c - the page frame bitmap: next-fit, 64 frames a word.
 */
#include "kernel/frames.h"

#include <stdbool.h>

size_t frames_bitmap_bytes(uint64_t count) { return (count + 63) / 64 * 8; }

void frames_init(struct frames *f, uint64_t *bits, uint64_t count)
{
    *f = (struct frames){ .bits = bits, .count = (count + 63) / 64 * 64 };
    for (uint64_t i = 0; i < f->count / 64; i++)
        bits[i] = UINT64_MAX;
}

static bool in_use(const struct frames *f, uint64_t frame)
{
    return f->bits[frame / 64] >> frame % 64 & 1;
}

static uint64_t clipped_end(const struct frames *f, uint64_t first,
                            uint64_t n)
{
    if (first >= f->count)
        return first;
    return n > f->count - first ? f->count : first + n;
}

/* The bits of word `w` that lie in [first, end). */
static uint64_t mask_of(uint64_t w, uint64_t first, uint64_t end)
{
    uint64_t mask = UINT64_MAX;

    if (first > w * 64)
        mask <<= first - w * 64;
    if (end < w * 64 + 64)
        mask &= (1ull << (end - w * 64)) - 1;
    return mask;
}

void frames_release(struct frames *f, uint64_t first, uint64_t n)
{
    uint64_t end = clipped_end(f, first, n);

    for (uint64_t w = first / 64; w * 64 < end && first < end; w++) {
        uint64_t mask = f->bits[w] & mask_of(w, first, end);

        f->bits[w] &= ~mask;
        f->free += (uint64_t)__builtin_popcountll(mask);
    }
}

void frames_reserve(struct frames *f, uint64_t first, uint64_t n)
{
    uint64_t end = clipped_end(f, first, n);

    for (uint64_t w = first / 64; w * 64 < end && first < end; w++) {
        uint64_t mask = ~f->bits[w] & mask_of(w, first, end);

        f->bits[w] |= mask;
        f->free -= (uint64_t)__builtin_popcountll(mask);
    }
}

uint64_t frames_free_from(const struct frames *f, uint64_t from, uint64_t *n)
{
    uint64_t first = from, end;

    while (first < f->count && in_use(f, first))
        first = f->bits[first / 64] == UINT64_MAX ? (first / 64 + 1) * 64
                                                  : first + 1;
    for (end = first; end < f->count && !in_use(f, end);)
        end = !f->bits[end / 64] ? (end / 64 + 1) * 64 : end + 1;
    *n = first < f->count ? end - first : 0;
    return first;
}

uint64_t frames_alloc(struct frames *f)
{
    uint64_t words = f->count / 64, w = f->next;

    if (!f->free)
        return NO_FRAME;
    while (f->bits[w] == UINT64_MAX)
        w = w + 1 == words ? 0 : w + 1;
    f->next = w;
    unsigned bit = (unsigned)__builtin_ctzll(~f->bits[w]);

    f->bits[w] |= 1ull << bit;
    f->free--;
    return w * 64 + bit;
}

/* Frame after the last used one in [first, first+n), or 0: all are free. */
static uint64_t blocked_until(const struct frames *f, uint64_t first,
                              uint64_t n)
{
    for (uint64_t i = first + n; i > first; i--)
        if (in_use(f, i - 1))
            return i;
    return 0;
}

uint64_t frames_alloc_run(struct frames *f, uint64_t n, uint64_t align,
                          uint64_t limit)
{
    uint64_t end = limit < f->count ? limit : f->count;

    if (!n || n > f->free)
        return NO_FRAME;
    for (uint64_t at = 0; at <= end && n <= end - at;) {
        uint64_t blocked = blocked_until(f, at, n);

        if (!blocked) {
            frames_reserve(f, at, n);
            return at;
        }
        at = (blocked + align - 1) / align * align;
    }
    return NO_FRAME;
}
