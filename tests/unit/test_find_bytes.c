/*
 * test_find_bytes.c - what is found sixteen places at a time is what a plain
 * search finds, at every place, length and end; nothing behind it is read
 * (the sanitizer sees that: the bytes are as long as they say).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vm/primitives/find_bytes.h"

enum { LONGEST = 400, TRIES = 20000 };

static uint8_t order[256];

static int64_t plainly(const uint8_t *key, uint64_t n, const uint8_t *body,
                       uint64_t size, uint64_t i)
{
    for (; i < size && n <= size - i; i++) {
        uint64_t k = 0;

        while (k < n && order[body[i + k]] == order[key[k]])
            k++;
        if (k == n)
            return (int64_t)i;
    }
    return -1;
}

static uint8_t *some_bytes(unsigned n, unsigned kinds)
{
    uint8_t *p = malloc(n);

    assert_true(p || !n);
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)("aAbBzZ\xe4\x00"[(unsigned)rand() % kinds]);
    return p;
}

static void make_order(unsigned kind)
{
    for (unsigned i = 0; i < 256; i++)
        order[i] = kind == 0 ? (uint8_t)i
                   : kind == 1 && i >= 'a' && i <= 'z' ? (uint8_t)(i - 32)
                   : kind == 2 ? (uint8_t)(i & 0x9f) : (uint8_t)i;
}

static void keys_are_found_where_a_plain_search_finds_them(void **state)
{
    int found = 0;

    srand(1);
    for (int t = 0; t < TRIES; t++) {
        unsigned size = (unsigned)rand() % LONGEST;
        unsigned n = 1 + (unsigned)rand() % (t % 2 ? 4 : 40);
        uint64_t from = (unsigned)rand() % (t % 3 ? 10 : LONGEST);
        unsigned kinds = 2 + (unsigned)rand() % 7;
        uint8_t *body = some_bytes(size, kinds);
        uint8_t *key = some_bytes(n, kinds);
        int64_t place;

        make_order((unsigned)t % 3);
        if (size > n && t % 5)
            memcpy(key, body + (unsigned)rand() % (size - n + 1), n);
        place = plainly(key, n, body, size, from);
        found += place >= 0;
        assert_int_equal(find_bytes(key, n, body, size, from, order), place);
        free(body);
        free(key);
    }
    assert_in_range(found, TRIES / 4, TRIES - TRIES / 10);
}

static void starts_far_behind_the_end_are_harmless(void **state)
{
    const uint8_t body[3] = "abc";

    make_order(0);
    assert_int_equal(find_bytes(body, 3, body, 3, UINT64_MAX, order), -1);
    assert_int_equal(find_bytes(body, 3, body, 2, 0, order), -1);
    assert_int_equal(find_byte('a', body, 3, UINT64_MAX), -1);
}

static void a_byte_is_found_in_every_place(void **state)
{
    for (unsigned size = 0; size < 70; size++)
        for (unsigned at = 0; at <= size; at++)
            for (unsigned from = 0; from <= size; from++) {
                uint8_t *body = some_bytes(size, 8);
                int64_t place = at < size && at >= from ? (int64_t)at : -1;

                for (unsigned i = 0; i < size; i++)
                    body[i] = i == at ? 0xff : body[i];
                assert_int_equal(find_byte(0xff, body, size, from), place);
                free(body);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_where_a_plain_search_finds_them),
        cmocka_unit_test(starts_far_behind_the_end_are_harmless),
        cmocka_unit_test(a_byte_is_found_in_every_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
