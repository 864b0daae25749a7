/*
 * The end of memory comes with a warning: when low space is told, what was
 * asked for can still be had, whatever eden holds and the platform promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/plat_stub.h"
#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

enum { KB = 1 << 10, MB = 1 << 20 };
static oop list, kept;
static struct heap heap, *const h = &heap;

static void visit_roots(void *owner, heap_visitor visit, enum roots why)
{
    list = visit(h, list);
    kept = visit(h, kept);
}

static int set_up(void **state)
{
    static const struct heap_owner owner = { .visit_roots = visit_roots };
    struct tiny *t = tiny_image();
    const char *why;
    char name[64];
    int result;

    snprintf(name, sizeof name, "/tmp/test_low_space.%d", getpid());
    tiny_write(t, name);
    free(t);
    result = heap_load(h, name, 32 * MB, MB, &why);
    remove(name);
    if (!result)
        heap_set_owner(h, &owner);
    list = kept = h->nil;
    return result;
}

static int tear_down(void **state)
{
    int bad = heap_check(h);

    plat_stub_memory = UINT64_MAX;
    heap_destroy(h);
    return bad;
}

static oop old_bytes(uint64_t n)
{
    return heap_new_old(h, TINY_BYTES_CLASS, FMT_BYTES, n / 8);
}

/* What would be left if everything young survived. */
static uint64_t left(void)
{
    return heap_bytes_free(h) - (h->eden_limit - h->eden_free);
}

static void check_list(int n)
{
    oop o = list;

    for (; n; n--, o = slot(o, 1))
        assert_int_equal(int_value(slot(o, 0)), n);
    assert_true(o == h->nil);
}

/* The list grows; the collector is called as at safepoints. */
static int grow_until_low_space(void)
{
    int n = 0;

    while (!h->low_space_signalled) {
        while (!h->scavenge_wanted && !h->low_space_signalled) {
            oop o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);

            heap_store(h, o, 0, int_oop(++n));
            heap_store(h, o, 1, list);
            list = o;
        }
        heap_scavenge(h);
        if (h->full_gc_wanted)
            heap_full_gc(h);
    }
    return n;
}

/* --- tests --- */

static void the_platform_may_have_less_than_it_said(void **state)
{
    int n;

    h->low_space_threshold = 3 * MB;
    heap_scavenge(h);
    plat_stub_memory = plat_stub_committed + 5 * MB;
    n = grow_until_low_space();
    assert_true(heap_bytes_free(h) > 2 * MB);
    assert_true(old_bytes(2 * MB) != 0);
    check_list(n);
}

/* A whole eden goes old at once just before low space. */
static void eden_may_hold_much_of_what_is_left(void **state)
{
    enum { THRESHOLD = MB, ABOVE = 64 * KB };
    int n;

    heap_full_gc(h);
    kept = old_bytes(left() - THRESHOLD - ABOVE);
    heap_scavenge(h);
    h->low_space_threshold = THRESHOLD;
    assert_in_range(left(), THRESHOLD, THRESHOLD + ABOVE);
    heap_scavenge(h);
    assert_false(h->low_space_signalled);
    n = grow_until_low_space();
    assert_true(heap_bytes_free(h) > THRESHOLD / 2);
    check_list(n);
}

/* Objects can have what marking took while much was new. */
static void the_lists_give_back_what_they_took(void **state)
{
    struct heap_private *p = h->private_;
    uint64_t end;
    int i;

    heap_cycle_start(h);
    for (i = 0; i < 1 << 18; i++)
        heap_new_old(h, TINY_OBJECT, FMT_FIXED, 2);
    assert_true(p->marker.stack.mem.committed >= 2 * MB);
    plat_stub_memory = plat_stub_committed;
    while (old_bytes(64 * KB))
        ;
    end = p->old_max;
    while (heap_cycle_runs(h))
        heap_cycle_step(h, 0);
    assert_true(p->marker.stack.mem.committed < MB);
    assert_true(p->old_max >= end + MB);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_platform_may_have_less_than_it_said),
        TEST(eden_may_hold_much_of_what_is_left),
        TEST(the_lists_give_back_what_they_took),
    };

    return cmocka_run_group_tests_name("low space", tests, NULL, NULL);
}
