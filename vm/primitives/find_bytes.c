/*
 * find_bytes.c - bytes among bytes, sixteen places at a time: where the key's
 * first byte and its last are both as far apart as they should be, the rest
 * is compared one by one.
 *
 * What counts as equal is a table. Most have a byte equal to itself alone or
 * to its other case; for one that has more the places are looked at singly,
 * as those at the end are.
 */
#include "vm/primitives/find_bytes.h"

#include <emmintrin.h>
#include <stdbool.h>

enum {
    LANES = 16,
    WORTH = 128, /* looking at the whole table: for so many places */
};

static inline __m128i lanes_at(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline unsigned mask_of(__m128i lanes)
{
    return (unsigned)_mm_movemask_epi8(lanes);
}

/* The one or two bytes that are equal to one. */
struct alike {
    __m128i one, other;
};

static bool find_alike(uint8_t byte, const uint8_t *order, struct alike *a)
{
    __m128i wanted = _mm_set1_epi8((char)order[byte]);
    unsigned found = 0, i, mask;

    for (i = 0; i < 256; i += LANES)
        for (mask = mask_of(_mm_cmpeq_epi8(lanes_at(order + i), wanted)); mask;
             mask &= mask - 1) {
            a->other = _mm_set1_epi8((char)(i + __builtin_ctz(mask)));
            if (!found)
                a->one = a->other;
            if (++found > 2)
                return false;
        }
    return true;
}

static inline __m128i where_alike(const uint8_t *p, const struct alike *a)
{
    return _mm_or_si128(_mm_cmpeq_epi8(lanes_at(p), a->one),
                        _mm_cmpeq_epi8(lanes_at(p), a->other));
}

static bool is_equal(const uint8_t *a, const uint8_t *b, uint64_t n,
                     const uint8_t *order)
{
    while (n && order[*a] == order[*b])
        a++, b++, n--;
    return n == 0;
}

int64_t find_bytes(const uint8_t *key, uint64_t n, const uint8_t *body,
                   uint64_t size, uint64_t i, const uint8_t *order)
{
    struct alike first, last;
    uint64_t places = n <= size ? size - n + 1 : 0;
    unsigned mask;

    if (i < places && places - i >= WORTH &&
        find_alike(key[0], order, &first) &&
        find_alike(key[n - 1], order, &last))
        for (; places - i >= LANES; i += LANES)
            for (mask = mask_of(_mm_and_si128(
                     where_alike(body + i, &first),
                     where_alike(body + i + n - 1, &last)));
                 mask; mask &= mask - 1) {
                uint64_t at = i + (unsigned)__builtin_ctz(mask);

                if (is_equal(body + at, key, n, order))
                    return (int64_t)at;
            }
    for (; i < places; i++)
        if (order[body[i]] == order[key[0]] &&
            is_equal(body + i, key, n, order))
            return (int64_t)i;
    return -1;
}

int64_t find_byte(uint8_t byte, const uint8_t *body, uint64_t size,
                  uint64_t i)
{
    __m128i wanted = _mm_set1_epi8((char)byte);
    unsigned mask;

    for (; i < size && size - i >= LANES; i += LANES) {
        mask = mask_of(_mm_cmpeq_epi8(lanes_at(body + i), wanted));
        if (mask)
            return (int64_t)i + __builtin_ctz(mask);
    }
    for (; i < size; i++)
        if (body[i] == byte)
            return (int64_t)i;
    return -1;
}
