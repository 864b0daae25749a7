/*
 * Of a large object only the pieces are remembered that may refer to young
 * objects: what a scavenge looks at does not grow with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

enum { SIZE = 200000, ARRAYS = 2, PIECE = 128 /* work */ };
static oop arrays[ARRAYS];
static struct heap heap, *const h = &heap;

static void visit_roots(void *owner, heap_visitor visit, enum roots why)
{
    int i;

    for (i = 0; i < ARRAYS; i++)
        arrays[i] = visit(h, arrays[i]);
}

static int set_up(void **state)
{
    static const struct heap_owner owner = { .visit_roots = visit_roots };
    struct tiny *t = tiny_image();
    const char *why;
    char name[64];
    int i, result;

    snprintf(name, sizeof name, "/tmp/test_pieces.%d", getpid());
    tiny_write(t, name);
    free(t);
    result = heap_load(h, name, 64 << 20, 1 << 20, &why);
    remove(name);
    if (result)
        return result;
    heap_set_owner(h, &owner);
    for (i = 0; i < ARRAYS; i++)
        arrays[i] = heap_new(h, CLS_ARRAY, FMT_ARRAY, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    int bad = heap_check(h);

    heap_destroy(h);
    return bad;
}

static oop tagged(int64_t tag)
{
    oop o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);

    heap_store(h, o, 0, int_oop(tag));
    return o;
}

static void scavenge(void)
{
    heap_scavenge(h);
    assert_int_equal(heap_check(h), 0);
}

static void check_element(oop array, uint64_t i, int64_t tag)
{
    assert_int_equal(int_value(slot(slot(array, i), 0)), tag);
}

/* --- tests --- */

static void only_pieces_are_scanned(void **state)
{
    static const uint64_t at[] = { 0, PIECE_SLOTS - 1, PIECE_SLOTS,
                                   70000, SIZE - 1 };
    struct heap_private *p = h->private_;
    unsigned i;

    scavenge();
    for (i = 0; i < 5; i++)
        heap_store(h, arrays[0], at[i], tagged(i));
    assert_int_equal(p->pieces.count, 2 * 4);
    scavenge();
    assert_int_equal(p->scattered, 4 * PIECE);
    for (i = 0; i < 5; i++)
        check_element(arrays[0], at[i], i);
    heap_full_gc(h);
    assert_int_equal(p->pieces.count, 0);
    for (i = 0; i < 5; i++)
        check_element(arrays[0], at[i], i);
    scavenge();
    assert_int_equal(p->scattered, 0);
}

/* Its named slot is strong. */
static void of_weak_objects_too(void **state)
{
    oop weak = arrays[1] = heap_new(h, TINY_WEAK, FMT_WEAK, SIZE);
    int i;

    heap_store(h, arrays[0], 0, tagged(1));
    heap_store(h, weak, 0, tagged(2));
    heap_store(h, weak, 1, slot(arrays[0], 0));
    heap_store(h, weak, 2, tagged(3));
    heap_store(h, weak, 70000, slot(arrays[0], 0));
    heap_store(h, weak, SIZE - 1, tagged(4));
    h->finalization_pending = false;
    scavenge();
    assert_int_equal(h->private_->scattered, 4 * PIECE);
    assert_true(h->finalization_pending);
    assert_false(header(weak) & HDR_REMEMBERED);
    for (i = 0; i < 20; i++) {
        check_element(weak, 0, 2);
        check_element(weak, 1, 1);
        assert_int_equal(slot(weak, 2), h->nil);
        check_element(weak, 70000, 1);
        assert_int_equal(slot(weak, SIZE - 1), h->nil);
        scavenge();
    }
    heap_store(h, arrays[0], 0, h->nil);
    heap_full_gc(h);
    assert_int_equal(slot(arrays[1], 1), h->nil);
    assert_int_equal(slot(arrays[1], 70000), h->nil);
}

static void a_scavenge_comes_before_they_are_too_many(void **state)
{
    unsigned i;

    scavenge();
    heap_store(h, arrays[0], 0, tagged(1));
    for (i = 2; i < 8000; i++)
        heap_store(h, arrays[i & 1], i / 2 * PIECE_SLOTS, slot(arrays[0], 0));
    assert_false(h->scavenge_wanted);
    for (; i < 8200; i++)
        heap_store(h, arrays[i & 1], i / 2 * PIECE_SLOTS, slot(arrays[0], 0));
    assert_true(h->scavenge_wanted);
    scavenge();
    assert_false(h->scavenge_wanted);
    check_element(arrays[1], 4099 * PIECE_SLOTS, 1);
}

static void neighbours_keep_apart(void **state)
{
    heap_store(h, arrays[0], SIZE - 1, tagged(1));
    heap_store(h, arrays[1], 0, tagged(2));
    assert_int_equal(heap_check(h), 0);
    scavenge();
    check_element(arrays[0], SIZE - 1, 1);
    check_element(arrays[1], 0, 2);
}

static void a_full_list_remembers_the_whole(void **state)
{
    h->private_->pieces.mem.reserved = 0;
    heap_store(h, arrays[0], 5, tagged(5));
    heap_store(h, arrays[0], 70000, tagged(7));
    assert_true(header(arrays[0]) & HDR_REMEMBERED);
    assert_int_equal(heap_check(h), 0);
    scavenge();
    check_element(arrays[0], 5, 5);
    check_element(arrays[0], 70000, 7);
}

static void what_becomes_another_is_remembered_still(void **state)
{
    oop from = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 1);
    oop to = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 1);

    heap_store(h, arrays[0], 99999, tagged(3));
    heap_store(h, from, 0, arrays[0]);
    heap_store(h, to, 0, arrays[1]);
    assert_int_equal(heap_become(h, from, to, true, false), 0);
    heap_store(h, arrays[0], 4, tagged(4));
    assert_int_equal(heap_check(h), 0);
    scavenge();
    check_element(arrays[1], 99999, 3);
    check_element(arrays[0], 4, 4);
}

static void dead_ones_are_forgotten(void **state)
{
    heap_store(h, arrays[0], 1, tagged(1));
    heap_store(h, arrays[1], 2, tagged(2));
    arrays[1] = h->nil;
    heap_cycle_start(h);
    while (heap_cycle_runs(h)) {
        heap_cycle_step(h, 0);
        assert_int_equal(heap_check(h), 0);
    }
    assert_true(h->private_->pieces.count <= 2);
    arrays[1] = heap_new(h, CLS_ARRAY, FMT_ARRAY, SIZE);
    heap_store(h, arrays[1], 2, tagged(3));
    scavenge();
    check_element(arrays[0], 1, 1);
    check_element(arrays[1], 2, 3);
}

/* Stores, scavenges, steps of cycles and full collections in any order. */
static void random_stores_are_found(void **state)
{
    static int64_t tags[SIZE];
    unsigned seed = 1, i, n;

    memset(tags, 0, sizeof tags);
    for (n = 1; n < 60; n++) {
        for (i = 0; i < 300; i++) {
            uint64_t at = (seed = seed * 1103515245 + 12345) >> 7;

            at %= n & 1 ? SIZE : 1000;
            tags[at] = n * 1000 + i;
            heap_store(h, arrays[0], at, tagged(tags[at]));
        }
        if (n % 20 == 0)
            heap_full_gc(h);
        else if (n % 3 == 0)
            scavenge();
        else if (!heap_cycle_runs(h))
            heap_cycle_start(h);
        else
            heap_cycle_step(h, 0);
    }
    assert_int_equal(heap_check(h), 0);
    for (i = 0; i < SIZE; i++)
        if (tags[i])
            check_element(arrays[0], i, tags[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_pieces_are_scanned),
        TEST(of_weak_objects_too),
        TEST(a_scavenge_comes_before_they_are_too_many),
        TEST(neighbours_keep_apart),
        TEST(a_full_list_remembers_the_whole),
        TEST(what_becomes_another_is_remembered_still),
        TEST(dead_ones_are_forgotten),
        TEST(random_stores_are_found),
    };

    return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
