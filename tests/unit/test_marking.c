/*
 * The collection of old space in steps: what the program does between them
 * must neither lose an object nor keep one for ever. Random graphs run
 * through cycles in test_graph.c.
 */
#include "tests/unit/tiny_heap.h"

#include <stdio.h>
#include <unistd.h>

static oop seen_dead;
static bool classes_died;

static void after_mark(void *owner, bool classes, bool forwarders)
{
    if (seen_dead)
        assert_false(heap_is_alive(h, seen_dead));
    classes_died = classes;
}

static int set_up(void **state)
{
    static const struct heap_owner owner = {
        .visit_roots = visit_roots, .after_mark = after_mark, .owner = &heap
    };

    seen_dead = 0;
    return make_heap(1 << 18, &owner);
}

/* --- helpers --- */

static oop old(oop a, oop b)
{
    return with_fields(heap_new_old(h, TINY_OBJECT, FMT_FIXED, 2), a, b);
}

static oop young(oop a, oop b)
{
    oop o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);

    assert_true(heap_is_young(h, o));
    return with_fields(o, a, b);
}

static oop tagged(int64_t tag) { return old(int_oop(tag), h->nil); }

static oop array_of(oop o) /* in new space */
{
    oop a = heap_new(h, CLS_ARRAY, FMT_ARRAY, 1);

    heap_store(h, a, 0, o);
    return a;
}

static void step(void)
{
    h->private_->cycle.quantum = 1;
    heap_cycle_step(h, 0);
    assert_int_equal(heap_check(h), 0);
}

static void start(void)
{
    heap_cycle_start(h);
    assert_int_equal(h->private_->phase, PHASE_MARKING);
}

/* All that the heap's own roots lead to is traced; only the end is left. */
static void trace_all(void)
{
    while (!h->private_->cycle.all_traced)
        step();
}

static void to_sweep(void)
{
    while (h->private_->phase == PHASE_MARKING)
        step();
    assert_int_equal(h->private_->phase, PHASE_SWEEPING);
}

static void finish(void)
{
    while (heap_cycle_runs(h))
        step();
    assert_false(h->full_gc_wanted);
}

/* An old object with two slots that is known to be reached first. */
static oop reached_first(void)
{
    oop o = old(h->nil, h->nil);

    heap_store(h, h->special, SPL_TIMER_SEMAPHORE, o);
    return o;
}

/* Something takes the room of what was freed. */
static bool is_freed(oop o)
{
    uint64_t at = h->old_start;
    oop other;

    while ((other = heap_next_old(h, &at, h->old_end)))
        if (other == o && class_index_of(o) != CLS_FREE)
            return false;
    return true;
}

/* --- what is reached, and what is not --- */

static void what_nothing_refers_to_is_freed(void **state)
{
    oop dead, kept;

    roots[0] = kept = tagged(1);
    dead = tagged(2);
    roots[1] = tagged(3);
    seen_dead = dead;
    start();
    finish();
    assert_true(is_freed(dead));
    assert_true(roots[0] == kept && tag_of(kept) == 1);
    assert_true(h->old_free_bytes >= 24);
    assert_int_equal(h->stats.cycles, 1);
}

static void a_store_behind_the_marker_is_noticed(void **state)
{
    oop black, white = tagged(7), holder = old(white, h->nil);

    roots[0] = holder;
    black = reached_first();
    start();
    trace_all();
    assert_true(live_bit(h, black));
    assert_false(live_bit(h, white));
    heap_store(h, black, 1, white);
    heap_store(h, holder, 0, h->nil);
    finish();
    assert_true(slot(black, 1) == white && tag_of(white) == 7);
    assert_false(is_freed(white));
}

static void what_only_the_stack_knows_lives(void **state)
{
    oop holder = reached_first(), o = old(int_oop(5), tagged(6));

    heap_store(h, holder, 0, o);
    start();
    heap_store(h, holder, 0, h->nil);
    roots[0] = o;
    finish();
    assert_int_equal(tag_of(o), 5);
    assert_int_equal(tag_of(slot(o, 1)), 6);
    assert_false(is_freed(slot(o, 1)));
}

static void what_only_a_young_object_knows_lives(void **state)
{
    oop o = old(int_oop(5), tagged(6));

    start();
    trace_all();
    roots[0] = young(o, h->nil);
    finish();
    o = slot(roots[0], 0);
    assert_int_equal(tag_of(slot(o, 1)), 6);
    assert_false(is_freed(slot(o, 1)));
}

static void what_only_a_tenured_object_knows_lives(void **state)
{
    oop o = old(int_oop(5), tagged(6));
    int i;

    start();
    roots[0] = young(o, h->nil);
    for (i = 0; i < 3; i++) {
        h->private_->tenure_bytes = UINT64_MAX;
        heap_scavenge(h);
    }
    assert_false(heap_is_young(h, roots[0]));
    finish();
    assert_int_equal(tag_of(slot(slot(roots[0], 0), 1)), 6);
    assert_false(is_freed(slot(o, 1)));
}

static void a_long_array_is_traced_in_pieces(void **state)
{
    enum { N = 5000 };
    oop a = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, N), late;
    int i;

    heap_store(h, h->special, SPL_TIMER_SEMAPHORE, a);
    for (i = 0; i < N; i++)
        heap_store(h, a, (uint64_t)i, tagged(i));
    roots[0] = late = tagged(-1);
    start();
    for (i = 0; i < 8; i++)
        step();
    heap_store(h, a, 0, late);
    roots[0] = 0;
    finish();
    assert_int_equal(tag_of(slot(a, 0)), -1);
    for (i = 1; i < N; i++)
        assert_int_equal(tag_of(slot(a, (uint64_t)i)), i);
}

/* --- births --- */

static void what_is_born_meanwhile_lives_and_so_does_what_it_holds(
    void **state)
{
    oop white = tagged(1);

    start();
    trace_all();
    roots[0] = old(white, h->nil);
    assert_true(live_bit(h, roots[0]));
    to_sweep();
    roots[1] = tagged(2);
    step();
    roots[2] = tagged(3);
    finish();
    assert_int_equal(tag_of(slot(roots[0], 0)), 1);
    assert_int_equal(tag_of(roots[1]), 2);
    assert_int_equal(tag_of(roots[2]), 3);
    assert_false(is_freed(white));
}

static void the_room_of_the_dead_is_used_again(void **state)
{
    uint64_t end = 0;
    int i, k;

    roots[0] = tagged(0);
    for (i = 0; i < 40; i++) {
        for (k = 0; k < 3000; k++)
            tagged(k);
        roots[1] = tagged(1); /* behind them */
        start();
        finish();
        if (i == 10)
            end = h->old_end;
    }
    assert_true(h->old_end <= end + 65536);
    assert_int_equal(h->stats.full_gcs, 0);
}

static void a_sweep_hides_the_dead_at_once(void **state)
{
    oop dead, o;

    roots[0] = tagged(1);
    dead = tagged(2);
    roots[1] = tagged(3);
    start();
    to_sweep();
    for (o = heap_first_object(h); o; o = heap_next_object(h, o))
        assert_true(o != dead);
    finish();
}

/* --- weak objects, ephemerons --- */

static oop weak_of(oop o, bool born_old)
{
    int error;
    oop w = born_old ? heap_new_old(h, TINY_WEAK, FMT_WEAK, 2)
                     : heap_instantiate(h, heap_class_at(h, TINY_WEAK), 1,
                                        &error);

    heap_store(h, w, slot_count(w) - 1, o);
    return w;
}

static oop last_slot(oop o) { return slot(o, slot_count(o) - 1); }

static void weak_slots_lose_the_dead_at_the_end(void **state)
{
    roots[0] = weak_of(tagged(1), true);
    roots[1] = weak_of(tagged(2), false);
    roots[2] = tagged(3);
    roots[3] = weak_of(roots[2], true);
    start();
    trace_all();
    assert_true(last_slot(roots[0]) != h->nil);
    finish();
    assert_true(last_slot(roots[0]) == h->nil);
    assert_true(last_slot(roots[1]) == h->nil);
    assert_int_equal(tag_of(last_slot(roots[3])), 3);
    assert_true(h->finalization_pending);
}

static void what_was_read_out_of_a_weak_slot_stays(void **state)
{
    roots[0] = weak_of(tagged(1), true);
    start();
    trace_all();
    roots[1] = last_slot(roots[0]);
    finish();
    assert_true(last_slot(roots[0]) == roots[1] && tag_of(roots[1]) == 1);
}

/* A long weak object that is reached first, with `o` in most slots. */
static oop long_weak(oop o, uint64_t n)
{
    oop w = heap_new_old(h, TINY_WEAK, FMT_WEAK, n), holder = reached_first();
    uint64_t i;

    for (i = 0; i < n; i++)
        heap_store(h, w, i, o);
    heap_store(h, holder, 0, w);
    heap_store(h, holder, 1, o);
    return w;
}

static void of_a_long_weak_object_the_end_sees_what_may_be_dead(void **state)
{
    struct marker *m = &h->private_->marker;
    oop w = long_weak(tagged(1), 2000);

    heap_store(h, w, 700, tagged(2));
    start();
    trace_all();
    assert_int_equal(m->weak_at, m->weak.count);
    assert_int_equal(m->undecided.count, 2);
    assert_int_equal(tag_of(slot(w, 700)), 2);
    heap_store(h, w, 5, tagged(3));
    heap_store(h, w, 6, young(int_oop(4), h->nil));
    finish();
    assert_true(slot(w, 700) == h->nil);
    assert_int_equal(tag_of(slot(w, 5)), 3);
    assert_int_equal(tag_of(slot(w, 699)), 1);
    assert_int_equal(tag_of(slot(w, 1999)), 1);
    assert_true(heap_fetch_mourner(h) == 0 && h->finalization_pending);
    start();
    finish();
    assert_true(slot(w, 5) == h->nil && slot(w, 6) == h->nil);
    assert_int_equal(tag_of(slot(w, 1999)), 1);
}

static void a_weak_slot_follows_what_became_another_when_seen(void **state)
{
    oop a = tagged(1), b = tagged(2), w = long_weak(a, 1000);

    start();
    trace_all();
    assert_int_equal(h->private_->marker.undecided.count, 0);
    assert_int_equal(heap_become(h, array_of(a), array_of(b), false, false),
                     0);
    finish();
    assert_int_equal(tag_of(heap_follow(slot(w, 999))), 2);
    start();
    finish();
    assert_true(slot(w, 999) == b && is_freed(a));
}

static void a_weak_object_that_became_another_is_not_cleared(void **state)
{
    oop dead = tagged(1), w = long_weak(dead, 1000), o = old(dead, dead);
    oop holder = heap_special(h, SPL_TIMER_SEMAPHORE);

    heap_store(h, holder, 1, h->nil);
    heap_store(h, w, 0, h->nil); /* this one is strong */
    start();
    trace_all();
    assert_int_equal(h->private_->marker.undecided.count, 4);
    assert_int_equal(heap_become(h, array_of(w), array_of(o), false, false),
                     0);
    finish();
    assert_int_equal(tag_of(slot(o, 1)), 1);
}

static oop ephemeron(oop key, oop value)
{
    oop e = heap_new_old(h, TINY_EPHEMERON, FMT_EPHEMERON, 3);

    heap_store(h, e, 0, key);
    heap_store(h, e, 1, value);
    return e;
}

static void an_ephemeron_fires_at_the_end(void **state)
{
    oop value = tagged(9);

    roots[0] = ephemeron(tagged(1), value);
    start();
    trace_all();
    assert_int_equal(format_of(roots[0]), FMT_EPHEMERON);
    finish();
    assert_int_equal(format_of(roots[0]), FMT_FIXED);
    assert_true(heap_fetch_mourner(h) == roots[0]);
    assert_int_equal(tag_of(slot(roots[0], 0)), 1);
    assert_true(slot(roots[0], 1) == value && tag_of(value) == 9);
}

static void an_ephemeron_whose_key_is_reached_late_waits(void **state)
{
    oop key = tagged(1), value = tagged(9), holder = reached_first();

    roots[0] = ephemeron(key, value);
    start();
    trace_all();
    heap_store(h, holder, 0, key);
    finish();
    assert_int_equal(format_of(roots[0]), FMT_EPHEMERON);
    assert_int_equal(heap_fetch_mourner(h), 0);
    assert_int_equal(tag_of(value), 9);
    assert_false(is_freed(value));
}

static void ephemerons_whose_keys_are_reached_do_not_wait(void **state)
{
    oop holder = reached_first(), list = heap_new_old(h, CLS_ARRAY,
                                                      FMT_ARRAY, 9);
    oop keys = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 9), e;
    int i;

    for (i = 0; i < 9; i++) {
        heap_store(h, keys, 8 - i, tagged(i));
        heap_store(h, list, i, ephemeron(slot(keys, 8 - i), tagged(10 + i)));
    }
    heap_store(h, keys, 4, h->nil);
    heap_store(h, holder, 1, list);
    heap_store(h, holder, 0, keys);
    start();
    trace_all();
    assert_int_equal(h->private_->marker.ephemerons.count, 1);
    finish();
    assert_true((e = heap_fetch_mourner(h)) == slot(list, 4));
    assert_int_equal(tag_of(slot(e, 0)), 4);
    for (i = 0; i < 9; i++)
        assert_int_equal(tag_of(slot(slot(list, i), 1)), 10 + i);
}

/* --- become, pinning, classes --- */

static void bodies_swapped_behind_the_marker_are_traced(void **state)
{
    oop black = reached_first(), white = old(tagged(4), h->nil);

    roots[0] = white;
    start();
    trace_all();
    assert_true(live_bit(h, black) && !live_bit(h, white));
    assert_int_equal(heap_become(h, array_of(black), array_of(white), true,
                                 false), 0);
    roots[0] = 0;
    finish();
    assert_int_equal(tag_of(slot(black, 0)), 4);
    assert_false(is_freed(slot(black, 0)));
}

static void a_black_object_that_forwards_keeps_its_target(void **state)
{
    oop black = reached_first(), target = tagged(4);
    oop holder = heap_special(h, SPL_TIMER_SEMAPHORE);

    assert_true(holder == black);
    start();
    trace_all();
    assert_int_equal(heap_become(h, array_of(black), array_of(target), false,
                                 false), 0);
    finish();
    assert_int_equal(
        tag_of(heap_follow(heap_special(h, SPL_TIMER_SEMAPHORE))), 4);
    start();
    finish();
    assert_true(heap_special(h, SPL_TIMER_SEMAPHORE) == target);
    assert_true(is_freed(black));
}

static void a_young_forwarder_leads_a_black_object_to_a_white_one(void **state)
{
    oop black = reached_first(), white = tagged(4), o = young(h->nil, h->nil);

    roots[0] = white;
    start();
    trace_all();
    heap_store(h, black, 0, o);
    assert_int_equal(heap_become(h, array_of(o), array_of(white), false,
                                 false), 0);
    roots[0] = 0;
    finish();
    assert_true(slot(black, 0) == white);
    assert_false(is_freed(white));
}

static void the_pinned_stay_and_die_like_others(void **state)
{
    oop moved, dead = tagged(1), kept = tagged(2);

    assert_int_equal(heap_pin(h, dead, true, &moved), 0);
    roots[0] = kept;
    start();
    assert_int_equal(heap_pin(h, kept, true, &moved), 0);
    finish();
    assert_true(roots[0] == kept && header(kept) & HDR_PINNED);
    assert_true(is_freed(dead));
}

static oop new_class(void)
{
    oop class = heap_new_old(h, TINY_OBJECT, FMT_FIXED, 3);

    heap_store(h, class, CLASS_SUPERCLASS, h->nil);
    heap_store(h, class, CLASS_METHOD_DICT, h->nil);
    heap_store(h, class, CLASS_FORMAT, int_oop(FMT_FIXED << 16 | 1));
    return class;
}

static void a_class_lives_by_its_instances_and_dies_with_them(void **state)
{
    oop class = new_class();
    uint32_t index = heap_class_hash(h, class);
    int error;

    start();
    trace_all();
    roots[0] = heap_instantiate(h, class, 0, &error);
    finish();
    assert_true(heap_class_of(h, roots[0]) == class);
    assert_false(is_freed(class));
    roots[0] = 0;
    heap_scavenge(h);
    start();
    finish();
    assert_true(classes_died);
    assert_true(heap_class_at(h, index) == h->nil);
    assert_true(is_freed(class));
}

static void a_class_taken_on_behind_the_marker_lives(void **state)
{
    oop black = reached_first(), class = new_class();
    uint32_t index = heap_class_hash(h, class);

    roots[0] = class;
    start();
    trace_all();
    assert_false(live_bit(h, class));
    set_class_index(black, index); /* as changeClassTo: does */
    heap_keep(h, class);
    roots[0] = 0;
    finish();
    assert_true(heap_class_at(h, index) == class);
    assert_false(is_freed(class));
    set_class_index(black, TINY_OBJECT);
}

/* --- other collections in the middle --- */

static void a_full_collection_ends_the_cycle(void **state)
{
    int sweeping;

    for (sweeping = 0; sweeping < 2; sweeping++) {
        roots[0] = old(tagged(1), tagged(2));
        tagged(3);
        start();
        step();
        if (sweeping)
            to_sweep();
        heap_full_gc(h);
        assert_false(heap_cycle_runs(h));
        assert_int_equal(heap_check(h), 0);
        assert_int_equal(tag_of(slot(roots[0], 1)), 2);
    }
}

static void a_save_in_the_middle_is_whole(void **state)
{
    const char *why;
    char name[64];

    snprintf(name, sizeof name, "/tmp/test_marking.%d", getpid());
    heap_store(h, h->special, SPL_TIMER_SEMAPHORE, old(tagged(1), h->nil));
    start();
    step();
    heap_store(h, heap_special(h, SPL_TIMER_SEMAPHORE), 1, tagged(2));
    assert_int_equal(heap_save(h, name, &why), 0);
    heap_destroy(h);
    assert_int_equal(heap_load(h, name, 32 << 20, 1 << 18, &why), 0);
    remove(name);
    assert_int_equal(heap_check(h), 0);
    assert_int_equal(
        tag_of(slot(heap_special(h, SPL_TIMER_SEMAPHORE), 1)), 2);
}

static void a_full_mark_stack_ends_in_a_full_collection(void **state)
{
    enum { N = 3000 };
    oop a = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, N);
    int i;

    roots[0] = a;
    for (i = 0; i < N; i++)
        heap_store(h, a, (uint64_t)i, tagged(i));
    h->private_->marker.stack_limit = 3;
    start();
    while (heap_cycle_runs(h) && !h->full_gc_wanted)
        step();
    assert_true(h->full_gc_wanted && !heap_cycle_runs(h));
    heap_full_gc(h);
    for (i = 0; i < N; i++)
        assert_int_equal(tag_of(slot(roots[0], (uint64_t)i)), i);
}

/* --- figures --- */

static void percentiles_are_within_a_fifth(void **state)
{
    struct pauses *p = &h->stats.pauses[PAUSE_SWEEP];
    uint64_t now, us;
    int i;

    assert_int_equal(heap_pause_percentile(h, PAUSE_SWEEP, 99), 0);
    for (i = 0; i < 99; i++)
        heap_note_pause(h, PAUSE_SWEEP, plat_usecs() - 100);
    now = plat_usecs();
    heap_note_pause(h, PAUSE_SWEEP, now - 5000);
    us = heap_pause_percentile(h, PAUSE_SWEEP, 50);
    assert_true(us >= 100 && p->longest >= 5000);
    assert_int_equal(p->count, 100);
    assert_true(heap_pause_percentile(h, PAUSE_SWEEP, 100) == p->longest);
    assert_true(heap_pause_percentile(h, PAUSE_SWEEP, 99) <= p->longest);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_nothing_refers_to_is_freed),
        TEST(a_store_behind_the_marker_is_noticed),
        TEST(what_only_the_stack_knows_lives),
        TEST(what_only_a_young_object_knows_lives),
        TEST(what_only_a_tenured_object_knows_lives),
        TEST(a_long_array_is_traced_in_pieces),
        TEST(what_is_born_meanwhile_lives_and_so_does_what_it_holds),
        TEST(the_room_of_the_dead_is_used_again),
        TEST(a_sweep_hides_the_dead_at_once),
        TEST(weak_slots_lose_the_dead_at_the_end),
        TEST(what_was_read_out_of_a_weak_slot_stays),
        TEST(of_a_long_weak_object_the_end_sees_what_may_be_dead),
        TEST(a_weak_slot_follows_what_became_another_when_seen),
        TEST(a_weak_object_that_became_another_is_not_cleared),
        TEST(ephemerons_whose_keys_are_reached_do_not_wait),
        TEST(an_ephemeron_fires_at_the_end),
        TEST(an_ephemeron_whose_key_is_reached_late_waits),
        TEST(bodies_swapped_behind_the_marker_are_traced),
        TEST(a_black_object_that_forwards_keeps_its_target),
        TEST(a_young_forwarder_leads_a_black_object_to_a_white_one),
        TEST(the_pinned_stay_and_die_like_others),
        TEST(a_class_lives_by_its_instances_and_dies_with_them),
        TEST(a_class_taken_on_behind_the_marker_lives),
        TEST(a_full_collection_ends_the_cycle),
        TEST(a_save_in_the_middle_is_whole),
        TEST(a_full_mark_stack_ends_in_a_full_collection),
        TEST(percentiles_are_within_a_fifth),
    };

    return cmocka_run_group_tests_name("marking in steps", tests, NULL, NULL);
}
