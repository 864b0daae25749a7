/*
 * The object memory: tags, allocation, classes, collections, weak objects,
 * ephemerons, become, pinning. Random graphs are compared with a model in
 * test_graph.c.
 */
#include "tests/unit/tiny_heap.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/plat_stub.h"
#include "vm/primitives/prim.h"

static oop weak_root;
static unsigned moves;

static void visit_weak(void *owner, heap_visitor visit)
{
    if (weak_root)
        weak_root = visit(h, weak_root);
}

static void after_move(void *owner, bool full) { moves++; }

static int set_up(void **state)
{
    static const struct heap_owner owner = {
        visit_roots, after_move, &heap, visit_weak, NULL
    };

    weak_root = 0;
    moves = 0;
    return make_heap(1 << 20, &owner);
}

static oop object(oop a, oop b)
{
    return with_fields(heap_new(h, TINY_OBJECT, FMT_FIXED, 2), a, b);
}

static oop tagged(int64_t tag) { return object(int_oop(tag), h->nil); }

static void full_gc(void)
{
    heap_full_gc(h);
    assert_int_equal(heap_check(h), 0);
}

static void scavenge(void)
{
    heap_scavenge(h);
    assert_int_equal(heap_check(h), 0);
}

/* --- immediates and numbers --- */

static void small_integers_keep_their_value(void **state)
{
    static const int64_t values[] = { 0, 1, -1, SMALLINT_MAX, SMALLINT_MIN };
    unsigned i;

    for (i = 0; i < 5; i++) {
        assert_true(is_int(int_oop(values[i])));
        assert_int_equal(int_value(int_oop(values[i])), values[i]);
    }
    assert_true(char_value(char_oop(0x10ffff)) == 0x10ffff);
}

static void small_floats_are_tagged_as_spur_does(void **state)
{
    static const struct { double d; uint64_t tagged; } known[] = {
        { 0.0, 4 }, { -0.0, 12 },
        { 1.0, 0x7F00000000000004 }, { -1.0, 0x7F0000000000000C },
        { 3.14, 0x8091EB851EB851F4 }, { 0x1p-126, 0x0100000000000004 },
        { 5.877471754111439e-39, 0x14 },
        { 6.8056473384187685e38, 0xFFFFFFFFFFFFFFF4 },
    };
    static const double boxed[] = { 0x1p-127, -0x1p-127, 0x1p128, DBL_MAX,
                                    DBL_MIN, 5e-324, INFINITY, -INFINITY };
    unsigned i;
    double d;

    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_true(heap_float(h, known[i].d) == known[i].tagged);
        d = small_float_value(known[i].tagged);
        assert_memory_equal(&d, &known[i].d, 8);
    }
    for (i = 0; i < sizeof boxed / sizeof boxed[0]; i++) {
        oop o = heap_float(h, boxed[i]);

        if (boxed[i] == 0x1p128)
            continue;
        assert_true(is_pointer(o));
        assert_true(heap_is_float(o) && heap_float_value(o, &d));
        assert_true(d == boxed[i]);
    }
    assert_true(is_pointer(heap_float(h, NAN)));
}

static void random_floats_round_trip(void **state)
{
    uint64_t bits = 88172645463325252ull;
    int i;

    for (i = 0; i < 100000; i++) {
        double d, e;
        oop o;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&d, &bits, 8);
        o = heap_float(h, d);
        if (!o) {
            heap_full_gc(h);
            o = heap_float(h, d);
        }
        assert_true(heap_float_value(o, &e));
        assert_memory_equal(&d, &e, 8);
        assert_true(is_immediate(o) == (fabs(d) > 0x1p-127 &&
                                        fabs(d) < 0x1p129));
    }
}

static void integers_choose_their_class(void **state)
{
    static const struct { int64_t v; uint32_t class; } cases[] = {
        { SMALLINT_MAX, 1 }, { SMALLINT_MIN, 1 },
        { SMALLINT_MAX + 1, CLS_LARGE_POSITIVE },
        { SMALLINT_MIN - 1, CLS_LARGE_NEGATIVE },
        { INT64_MAX, CLS_LARGE_POSITIVE }, { INT64_MIN, CLS_LARGE_NEGATIVE },
    };
    unsigned i;
    uint64_t u;
    int64_t v;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oop o = heap_int64(h, cases[i].v);

        assert_int_equal(heap_class_index(o), cases[i].class);
        assert_true(heap_int64_value(o, &v) && v == cases[i].v);
    }
    assert_true(heap_uint64_value(heap_uint64(h, UINT64_MAX), &u));
    assert_true(u == UINT64_MAX);
    assert_false(heap_int64_value(heap_uint64(h, UINT64_MAX), &v));
    assert_false(heap_uint64_value(heap_int64(h, -1), &u));
    assert_false(heap_int64_value(h->nil, &v));
}

/* --- allocation --- */

static void headers_say_what_was_asked(void **state)
{
    static const uint64_t counts[] = { 0, 1, 2, 253, 254, 255, 256, 5000,
                                       65535, 65536 };
    unsigned i;

    for (i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        oop o = heap_new(h, CLS_ARRAY, FMT_ARRAY, counts[i]);

        assert_int_equal(slot_count(o), counts[i]);
        assert_int_equal(chunk_bytes(o), bytes_for_slots(counts[i]));
        assert_int_equal(class_index_of(o), CLS_ARRAY);
        assert_int_equal(format_of(o), FMT_ARRAY);
        assert_int_equal(raw_hash(o), 0);
        assert_int_equal(heap_is_young(h, o), counts[i] <= 65535);
        if (counts[i])
            assert_true(slot(o, counts[i] - 1) == h->nil);
    }
    assert_int_equal(heap_new(h, CLS_ARRAY, FMT_ARRAY, 1ull << 41), 0);
    assert_int_equal(heap_new(h, CLS_ARRAY, FMT_ARRAY, 1 << 24), 0);
}

static oop class_at(uint32_t i) { return heap_class_at(h, i); }

static void instances_have_their_classs_shape(void **state)
{
    static const struct {
        uint32_t class;
        uint64_t indexed, slots, size;
        unsigned format;
    } shapes[] = {
        { TINY_OBJECT, 0, 2, 0, FMT_FIXED },
        { CLS_ARRAY, 3, 3, 3, FMT_ARRAY },
        { TINY_MIXED, 3, 5, 3, FMT_FIXED_AND_INDEXED },
        { TINY_WEAK, 3, 4, 3, FMT_WEAK },
        { TINY_EPHEMERON, 0, 3, 0, FMT_EPHEMERON },
        { TINY_BYTES_CLASS, 0, 0, 0, FMT_BYTES },
        { TINY_BYTES_CLASS, 1, 1, 1, FMT_BYTES + 7 },
        { TINY_BYTES_CLASS, 8, 1, 8, FMT_BYTES },
        { TINY_BYTES_CLASS, 9, 2, 9, FMT_BYTES + 7 },
        { TINY_WORDS, 3, 2, 3, FMT_32 + 1 },
        { TINY_WORDS, 4, 2, 4, FMT_32 },
        { TINY_SHORTS, 5, 2, 5, FMT_16 + 3 },
        { TINY_LONGS, 5, 5, 5, FMT_64 },
    };
    unsigned i;
    int error;

    for (i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        oop o = heap_instantiate(h, class_at(shapes[i].class),
                                 shapes[i].indexed, &error);

        assert_int_equal(error, 0);
        assert_int_equal(format_of(o), shapes[i].format);
        assert_int_equal(slot_count(o), shapes[i].slots);
        assert_int_equal(heap_indexed_size(h, o), shapes[i].size);
        assert_true(heap_class_of(h, o) == class_at(shapes[i].class));
    }
}

static void instantiation_fails_with_the_right_code(void **state)
{
    int error;

    assert_false(heap_instantiate(h, class_at(TINY_OBJECT), 1, &error));
    assert_int_equal(error, PRIM_ERR_BAD_ARGUMENT);
    assert_false(heap_instantiate(h, class_at(1), 0, &error));
    assert_int_equal(error, PRIM_ERR_BAD_RECEIVER);
    assert_false(heap_instantiate(h, class_at(TINY_METHOD), 8, &error));
    assert_int_equal(error, PRIM_ERR_BAD_RECEIVER);
    assert_false(heap_instantiate(h, h->nil, 0, &error));
    assert_int_equal(error, PRIM_ERR_BAD_RECEIVER);
    assert_false(heap_instantiate(h, int_oop(3), 0, &error));
    assert_int_equal(error, PRIM_ERR_BAD_RECEIVER);
    assert_false(heap_instantiate(h, class_at(CLS_ARRAY), 1ull << 59,
                                  &error));
    assert_int_equal(error, PRIM_ERR_NO_MEMORY);
    assert_false(heap_instantiate(h, class_at(CLS_ARRAY), 1 << 26, &error));
    assert_int_equal(error, PRIM_ERR_NO_MEMORY);
}

static void a_new_class_enters_the_table_at_its_hash(void **state)
{
    uint32_t first = 0, i, index;
    int error;

    for (i = 0; i < 3000; i++) { /* needs pages 2 and 3 */
        oop class = heap_new(h, TINY_CLASS, FMT_FIXED, 3), o;

        slots(class)[CLASS_FORMAT] = int_oop(0x10001);
        index = heap_class_hash(h, class);
        if (!i)
            first = index;
        assert_int_equal(index, first + i);
        assert_int_equal(raw_hash(class), index);
        assert_true(class_at(index) == class);
        assert_int_equal(heap_class_hash(h, class), index);
        o = heap_instantiate(h, class, 0, &error);
        if (i == 2999)
            roots[0] = o;
        if (i == 1500)
            scavenge();
    }
    full_gc(); /* classes without instances and users leave the table */
    assert_true(class_at(first) == h->nil);
    assert_true(heap_class_of(h, roots[0]) != h->nil);
    assert_int_equal(raw_hash(heap_class_of(h, roots[0])),
                     class_index_of(roots[0]));
}

static void instances_of_duplicate_indices_are_renumbered(void **state)
{
    h->class_table[1][500] = class_at(TINY_OBJECT);
    roots[0] = heap_new(h, PAGE_SLOTS + 500, FMT_FIXED, 2);
    full_gc();
    assert_int_equal(class_index_of(roots[0]), TINY_OBJECT);
    assert_true(class_at(PAGE_SLOTS + 500) == h->nil);
}

static void identity_hashes_stay(void **state)
{
    uint32_t hash;

    roots[0] = tagged(1);
    hash = heap_identity_hash(h, roots[0]);
    assert_true(hash && hash <= HASH_MAX);
    scavenge();
    full_gc();
    assert_int_equal(heap_identity_hash(h, roots[0]), hash);
    assert_int_not_equal(heap_identity_hash(h, tagged(2)), hash);
}

static void clones_share_fields_only(void **state)
{
    oop o = tagged(5), c;

    heap_identity_hash(h, o);
    *header_ptr(o) |= HDR_IMMUTABLE;
    c = heap_clone(h, o);
    assert_int_equal(tag_of(c), 5);
    assert_int_equal(raw_hash(c), 0);
    assert_false(is_immutable(c));
}

/* --- collections --- */

static oop new_list(int n) /* n objects, tags n to 1 */
{
    oop list = h->nil;
    int i;

    for (i = 1; i <= n; i++)
        list = object(int_oop(i), list);
    return list;
}

static void assert_list(oop list, int n)
{
    for (; n; n--, list = slot(list, 1))
        assert_int_equal(tag_of(list), n);
    assert_true(list == h->nil);
}

static void what_is_reached_survives(void **state)
{
    roots[0] = new_list(1000);
    new_list(1000);
    scavenge();
    assert_list(roots[0], 1000);
    assert_true(heap_is_young(h, roots[0]));
    full_gc();
    assert_list(roots[0], 1000);
    assert_false(heap_is_young(h, roots[0]));
    assert_int_equal(h->private_->past_free, h->private_->past_start);
    assert_int_equal(moves, 2);
}

static void survivors_grow_old(void **state)
{
    int i;

    roots[0] = new_list(9000); /* most of a survivor space */
    for (i = 0; i < 6; i++)
        scavenge();
    assert_list(roots[0], 9000);
    assert_true(h->stats.tenures > 1000);
    roots[1] = new_list(20000); /* more than a survivor space */
    scavenge();
    assert_list(roots[1], 20000);
    assert_list(roots[0], 9000);
}

static void what_does_not_die_is_not_copied_for_ever(void **state)
{
    int i;

    roots[0] = new_list(2000); /* far from filling a survivor space */
    for (i = 0; i < 8; i++)
        scavenge();
    assert_list(roots[0], 2000);
    assert_false(heap_is_young(h, roots[0]));
    assert_int_equal(h->stats.tenures, 2000);
}

static void few_survivors_stay_young(void **state)
{
    int i;

    roots[0] = new_list(100);
    for (i = 0; i < 20; i++)
        scavenge();
    assert_list(roots[0], 100);
    assert_true(heap_is_young(h, roots[0]));
}

static void old_objects_keep_young_ones(void **state)
{
    roots[0] = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 300);
    heap_store(h, roots[0], 299, tagged(7));
    assert_true(header(roots[0]) & HDR_REMEMBERED);
    scavenge();
    assert_int_equal(tag_of(slot(roots[0], 299)), 7);
    heap_store(h, roots[0], 299, h->nil);
    scavenge();
    assert_false(header(roots[0]) & HDR_REMEMBERED);
}

static void a_full_remembered_set_is_no_harm(void **state)
{
    roots[0] = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 10);
    heap_store(h, roots[0], 1, tagged(7));
    h->private_->remembered.count = 0;
    h->private_->remembered_overflow = true;
    scavenge();
    assert_false(h->private_->remembered_overflow);
    assert_int_equal(tag_of(slot(roots[0], 1)), 7);
}

static void a_tiny_mark_stack_is_no_harm(void **state)
{
    oop wide = heap_new(h, CLS_ARRAY, FMT_ARRAY, 500);
    int i;

    roots[0] = wide;
    for (i = 0; i < 500; i++)
        heap_store(h, wide, i, object(int_oop(i), new_list(5)));
    h->private_->marker.stack_limit = 3;
    full_gc();
    for (i = 0; i < 500; i++) {
        assert_int_equal(tag_of(slot(roots[0], i)), i);
        assert_list(slot(slot(roots[0], i), 1), 5);
    }
}

static void compaction_keeps_the_order(void **state)
{
    int i;
    oop o;

    for (i = 0; i < 10; i++) {
        o = heap_new_old(h, TINY_OBJECT, FMT_FIXED, 2);
        slots(o)[0] = int_oop(i);
        roots[i] = i & 1 ? o : 0;
    }
    full_gc();
    for (i = 3; i < 10; i += 2) {
        assert_int_equal(roots[i] - roots[i - 2], 24);
        assert_int_equal(tag_of(roots[i]), i);
    }
}

static void contexts_are_traced_to_their_stack_pointer(void **state)
{
    oop c = heap_new(h, CLS_CONTEXT, FMT_FIXED_AND_INDEXED,
                     CTX_SMALL_SLOTS);

    roots[0] = c;
    slots(c)[CTX_STACKP] = int_oop(2);
    slots(c)[CTX_TEMPS] = tagged(1);
    slots(c)[CTX_TEMPS + 1] = tagged(2);
    slots(c)[CTX_TEMPS + 2] = 0xdeadbeef8; /* stale */
    scavenge();
    full_gc();
    c = roots[0];
    assert_int_equal(tag_of(slot(c, CTX_TEMPS)), 1);
    assert_int_equal(tag_of(slot(c, CTX_TEMPS + 1)), 2);
    assert_true(slot(c, CTX_TEMPS + 2) == h->nil);
}

static void memory_grows_and_shrinks(void **state)
{
    uint64_t before = h->old_limit, i;

    roots[0] = heap_new(h, CLS_ARRAY, FMT_ARRAY, 16);
    for (i = 0; i < 16; i++)
        heap_store(h, roots[0], i,
                   heap_new(h, TINY_BYTES_CLASS, FMT_BYTES, 1 << 17));
    assert_true(h->old_limit > before + (12 << 20));
    assert_true(h->stats.grows > 0);
    roots[0] = 0;
    full_gc();
    full_gc();
    assert_true(h->stats.shrinks > 0);
    assert_true(h->old_limit < before + (12 << 20));
}

static void running_out_of_memory_is_survived(void **state)
{
    int n = 0;
    oop o;

    h->low_space_threshold = 1 << 20;
    roots[0] = h->nil;
    for (;;) {
        o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);
        if (!o) {
            full_gc();
            o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);
        } else if (h->scavenge_wanted) {
            slots(o)[1] = h->nil;
            heap_store(h, o, 1, roots[0]);
            heap_store(h, o, 0, int_oop(++n));
            roots[0] = o;
            heap_scavenge(h);
            continue;
        }
        if (!o)
            break;
        heap_store(h, o, 1, roots[0]);
        heap_store(h, o, 0, int_oop(++n));
        roots[0] = o;
    }
    assert_true(h->low_space_signalled);
    assert_true(n > 800000);
    assert_list(roots[0], n);
    roots[0] = 0;
    full_gc();
    assert_true(heap_bytes_free(h) > 20 << 20);
    assert_true(heap_new(h, CLS_ARRAY, FMT_ARRAY, 100000) != 0);
}

static void a_platform_without_memory_is_survived(void **state)
{
    int i;

    plat_stub_memory = plat_stub_committed + (2 << 20);
    for (i = 0; heap_new(h, TINY_BYTES_CLASS, FMT_BYTES, 1 << 15); i++)
        ;
    assert_in_range(i, 4, 20);
    assert_true(heap_bytes_free(h) < 2 << 20);
    full_gc();
    assert_true(heap_new(h, TINY_BYTES_CLASS, FMT_BYTES, 1 << 15) != 0);
    plat_stub_memory = UINT64_MAX;
}

/* --- weak --- */

static oop weak_array(void)
{
    int error;

    return heap_instantiate(h, class_at(TINY_WEAK), 3, &error);
}

static void weak_slots_lose_the_dead(void **state)
{
    int full;

    for (full = 0; full < 2; full++) {
        h->finalization_pending = false;
        roots[0] = weak_array();
        roots[1] = tagged(1);
        heap_store(h, roots[0], 0, tagged(9)); /* a fixed field: strong */
        heap_store(h, roots[0], 1, roots[1]);
        heap_store(h, roots[0], 2, tagged(2));
        heap_store(h, roots[0], 3, int_oop(3));
        if (full)
            full_gc();
        else
            scavenge();
        assert_int_equal(tag_of(slot(roots[0], 0)), 9);
        assert_true(slot(roots[0], 1) == roots[1]);
        assert_true(slot(roots[0], 2) == h->nil);
        assert_true(slot(roots[0], 3) == int_oop(3));
        assert_true(h->finalization_pending);
        assert_int_equal(heap_fetch_mourner(h), 0);
    }
}

static void old_weak_objects_lose_dead_young_ones(void **state)
{
    roots[0] = weak_array();
    full_gc();
    heap_store(h, roots[0], 1, tagged(1));
    roots[1] = tagged(2);
    heap_store(h, roots[0], 2, roots[1]);
    scavenge();
    assert_true(slot(roots[0], 1) == h->nil);
    assert_int_equal(tag_of(slot(roots[0], 2)), 2);
    assert_true(header(roots[0]) & HDR_REMEMBERED);
}

static void weak_objects_are_queued_if_the_flag_says_so(void **state)
{
    h->image_flags |= 1 << 6;
    roots[0] = weak_array();
    heap_store(h, roots[0], 2, tagged(2));
    scavenge();
    assert_true(heap_fetch_mourner(h) == roots[0]);
    assert_int_equal(heap_fetch_mourner(h), 0);
}

static void weak_roots_die(void **state)
{
    roots[0] = weak_root = tagged(1);
    scavenge();
    assert_true(weak_root == roots[0]);
    full_gc();
    assert_true(weak_root == roots[0]);
    roots[0] = 0;
    full_gc();
    assert_int_equal(weak_root, 0);
    weak_root = tagged(2);
    scavenge();
    assert_int_equal(weak_root, 0);
}

/* --- ephemerons --- */

static oop ephemeron(oop key, oop value)
{
    int error;
    oop e = heap_instantiate(h, class_at(TINY_EPHEMERON), 0, &error);

    heap_store(h, e, 0, key);
    heap_store(h, e, 1, value);
    return e;
}

static void collect(int full)
{
    if (full)
        full_gc();
    else
        scavenge();
}

static void ephemerons_fire_once_when_the_key_dies(void **state)
{
    int full;

    for (full = 0; full < 2; full++) {
        h->finalization_pending = false;
        roots[1] = tagged(1);
        roots[0] = ephemeron(roots[1], tagged(2));
        collect(full);
        assert_int_equal(format_of(roots[0]), FMT_EPHEMERON);
        assert_int_equal(tag_of(slot(roots[0], 1)), 2);
        assert_int_equal(heap_fetch_mourner(h), 0);
        if (!full)
            assert_true(heap_is_young(h, roots[0]));
        roots[1] = 0;
        collect(full);
        assert_true(h->finalization_pending);
        assert_int_equal(format_of(roots[0]), FMT_FIXED);
        assert_int_equal(tag_of(slot(roots[0], 0)), 1); /* resurrected */
        assert_int_equal(tag_of(slot(roots[0], 1)), 2);
        assert_true(heap_fetch_mourner(h) == roots[0]);
        collect(full);
        assert_int_equal(heap_fetch_mourner(h), 0);
    }
}

static void an_ephemerons_value_does_not_hold_its_key(void **state)
{
    int full;

    for (full = 0; full < 2; full++) {
        oop key = tagged(1);

        roots[0] = ephemeron(key, object(int_oop(5), key));
        collect(full);
        assert_true(heap_fetch_mourner(h) == roots[0]);
        assert_true(slot(slot(roots[0], 1), 1) == slot(roots[0], 0));
    }
}

static void ephemerons_chain(void **state)
{
    int full;

    for (full = 0; full < 2; full++) {
        oop a = tagged(1), b = tagged(2), c = tagged(3);

        roots[3] = a;
        roots[0] = ephemeron(b, c); /* b lives through the next one */
        roots[1] = ephemeron(a, b);
        roots[2] = ephemeron(c, h->nil);
        collect(full);
        assert_int_equal(heap_fetch_mourner(h), 0);
        assert_int_equal(tag_of(slot(roots[0], 1)), 3);
        assert_true(slot(roots[0], 1) == slot(roots[2], 0));
        roots[3] = 0;
        collect(full);
        assert_true(heap_fetch_mourner(h) != 0);
        roots[0] = roots[1] = roots[2] = 0;
        while (heap_fetch_mourner(h))
            ;
    }
}

static void mourners_are_kept_until_fetched(void **state)
{
    roots[0] = ephemeron(tagged(1), tagged(2));
    full_gc();
    roots[0] = 0;
    full_gc();
    scavenge();
    roots[0] = heap_fetch_mourner(h);
    assert_int_equal(tag_of(slot(roots[0], 1)), 2);
}

/* --- become --- */

static oop array2(oop a, oop b)
{
    oop o = heap_new(h, CLS_ARRAY, FMT_ARRAY, 2);

    heap_store(h, o, 0, a);
    heap_store(h, o, 1, b);
    return o;
}

static int become(oop a, oop b, bool two_way, bool copy_hash)
{
    oop from = heap_new(h, CLS_ARRAY, FMT_ARRAY, 1);
    oop to = heap_new(h, CLS_ARRAY, FMT_ARRAY, 1);
    int result;

    heap_store(h, from, 0, a);
    heap_store(h, to, 0, b);
    result = heap_become(h, from, to, two_way, copy_hash);
    assert_int_equal(heap_check(h), 0);
    return result;
}

static void two_way_become_swaps(void **state)
{
    int unequal;

    for (unequal = 0; unequal < 2; unequal++) {
        oop a = tagged(1), b = unequal ? heap_new(h, CLS_ARRAY, FMT_ARRAY, 300)
                                       : tagged(2);
        uint32_t hash_a = heap_identity_hash(h, a);
        uint32_t hash_b = heap_identity_hash(h, b);

        heap_store(h, b, 0, int_oop(2));
        roots[0] = array2(a, b);
        if (unequal)
            full_gc();
        assert_int_equal(become(slot(roots[0], 0), slot(roots[0], 1), true,
                                false), 0);
        scavenge();
        full_gc();
        a = slot(roots[0], 0);
        b = slot(roots[0], 1);
        assert_int_equal(tag_of(a), 2);
        assert_int_equal(tag_of(b), 1);
        assert_int_equal(raw_hash(a), hash_a);
        assert_int_equal(raw_hash(b), hash_b);
        assert_int_equal(class_index_of(a),
                         unequal ? CLS_ARRAY : TINY_OBJECT);
    }
}

static void one_way_become_forwards(void **state)
{
    oop a = tagged(1), b = tagged(2);
    uint32_t hash = heap_identity_hash(h, a);

    roots[0] = array2(a, b);
    roots[1] = a;
    assert_int_equal(become(a, b, false, true), 0);
    assert_true(heap_follow(roots[1]) == b);
    assert_true(is_forwarder(a));
    scavenge();
    assert_true(roots[1] == slot(roots[0], 0));
    assert_true(roots[1] == slot(roots[0], 1));
    assert_int_equal(tag_of(roots[1]), 2);
    assert_int_equal(raw_hash(roots[1]), hash);
}

static void chains_of_forwarders_end(void **state)
{
    oop a = tagged(1), b = tagged(2), c = tagged(3);

    roots[0] = array2(a, b);
    full_gc(); /* old ones too */
    a = slot(roots[0], 0);
    b = slot(roots[0], 1);
    roots[1] = c = tagged(3);
    become(a, b, false, false);
    become(b, c, false, false);
    become(a, c, false, false);
    become(c, a, false, false); /* the same object by now */
    assert_true(heap_follow(a) == c);
    scavenge();
    assert_int_equal(tag_of(heap_follow(slot(roots[0], 0))), 3);
    full_gc();
    assert_true(slot(roots[0], 0) == roots[1]);
    assert_true(slot(roots[0], 1) == roots[1]);
}

static void become_refuses_without_changing_anything(void **state)
{
    oop a = tagged(1), b = tagged(2), pinned, from, to;

    assert_int_equal(become(a, int_oop(1), true, false),
                     PRIM_ERR_INAPPROPRIATE);
    assert_int_equal(become(int_oop(1), a, false, false),
                     PRIM_ERR_INAPPROPRIATE);
    assert_int_equal(become(a, h->nil, true, false), PRIM_ERR_INAPPROPRIATE);
    heap_pin(h, tagged(3), true, &pinned);
    from = array2(a, pinned);
    to = array2(b, b);
    assert_int_equal(heap_become(h, from, to, true, false), PRIM_ERR_PINNED);
    assert_int_equal(tag_of(a), 1);
    *header_ptr(b) |= HDR_IMMUTABLE;
    assert_int_equal(become(a, b, true, false), PRIM_ERR_NO_MODIFICATION);
    assert_int_equal(heap_become(h, from, a, true, false),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(tag_of(a), 1);
}

static void a_class_may_become_another(void **state)
{
    oop old = heap_new(h, TINY_CLASS, FMT_FIXED, 3);
    oop new = heap_new(h, TINY_CLASS, FMT_FIXED, 3);
    int error;

    slots(old)[CLASS_FORMAT] = int_oop(0x10001);
    slots(new)[CLASS_FORMAT] = int_oop(0x10002);
    roots[0] = heap_instantiate(h, old, 0, &error);
    roots[1] = new;
    heap_class_hash(h, new);
    assert_int_equal(become(old, new, false, false), 0);
    assert_true(heap_class_of(h, roots[0]) == new);
    full_gc();
    assert_true(heap_class_of(h, roots[0]) == roots[1]);
    assert_int_equal(class_index_of(roots[0]), raw_hash(roots[1]));
}

/* --- pinning, enumeration --- */

static void pinned_objects_stay_where_they_are(void **state)
{
    oop pinned[5];
    int i;

    for (i = 0; i < 5; i++) {
        heap_new_old(h, TINY_BYTES_CLASS, FMT_BYTES, i * 100); /* garbage */
        roots[i] = tagged(i);
        assert_int_equal(heap_pin(h, roots[i], true, &pinned[i]), 0);
        assert_false(heap_is_young(h, pinned[i]));
        roots[5 + i] = object(int_oop(10 + i), pinned[i]);
    }
    scavenge();
    full_gc();
    full_gc();
    for (i = 0; i < 5; i++) {
        assert_true(roots[i] == pinned[i]);
        assert_int_equal(tag_of(roots[i]), i);
        assert_int_equal(tag_of(roots[5 + i]), 10 + i);
        assert_true(slot(roots[5 + i], 1) == pinned[i]);
    }
    assert_true(h->old_free_bytes >= 300 * 8);
    i = 0;
    while (h->old_free_bytes >= 24 && i++ < 100) /* gaps are used again */
        heap_new_old(h, TINY_OBJECT, FMT_FIXED, 2);
    assert_int_equal(heap_check(h), 0);
    for (i = 0; i < 5; i++)
        heap_pin(h, roots[i], false, &pinned[i]);
    full_gc();
    assert_int_equal(h->old_free_bytes, 0);
    assert_int_equal(tag_of(slot(roots[9], 1)), 4);
}

static void all_instances_are_found(void **state)
{
    oop all, o;
    int i, n = 0;

    roots[0] = new_list(10);
    full_gc();
    roots[1] = new_list(10);
    scavenge();
    roots[2] = new_list(10);
    all = heap_all_instances(h, class_at(TINY_OBJECT));
    for (i = 0; i < (int)slot_count(all); i++)
        n += format_of(slot(all, i)) == FMT_FIXED;
    assert_int_equal(n, 30 + 2); /* scheduler and its association */
    assert_int_equal(slot_count(heap_all_instances(h, class_at(1))), 0);
    for (n = 0, o = heap_first_object(h); o; o = heap_next_object(h, o))
        n += class_index_of(o) == CLS_HIDDEN_ARRAY;
    assert_int_equal(n, 0);
    all = heap_all_objects(h);
    assert_true(slot(all, 0) == h->nil);
    assert_true(is_pointer(slot(all, slot_count(all) - 1)));
}

static void the_checker_finds_what_is_broken(void **state)
{
    oop o = heap_new_old(h, TINY_OBJECT, FMT_FIXED, 2), young = tagged(1);

    slots(o)[0] = young; /* without heap_store */
    print_message("two complaints follow:\n");
    assert_int_equal(heap_check(h), -1);
    slots(o)[0] = o + 8;
    assert_int_equal(heap_check(h), -1);
    slots(o)[0] = h->nil;
    assert_int_equal(heap_check(h), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_integers_keep_their_value),
        TEST(small_floats_are_tagged_as_spur_does),
        TEST(random_floats_round_trip),
        TEST(integers_choose_their_class),
        TEST(headers_say_what_was_asked),
        TEST(instances_have_their_classs_shape),
        TEST(instantiation_fails_with_the_right_code),
        TEST(a_new_class_enters_the_table_at_its_hash),
        TEST(instances_of_duplicate_indices_are_renumbered),
        TEST(identity_hashes_stay),
        TEST(clones_share_fields_only),
        TEST(what_is_reached_survives),
        TEST(survivors_grow_old),
        TEST(what_does_not_die_is_not_copied_for_ever),
        TEST(few_survivors_stay_young),
        TEST(old_objects_keep_young_ones),
        TEST(a_full_remembered_set_is_no_harm),
        TEST(a_tiny_mark_stack_is_no_harm),
        TEST(compaction_keeps_the_order),
        TEST(contexts_are_traced_to_their_stack_pointer),
        TEST(memory_grows_and_shrinks),
        TEST(running_out_of_memory_is_survived),
        TEST(a_platform_without_memory_is_survived),
        TEST(weak_slots_lose_the_dead),
        TEST(old_weak_objects_lose_dead_young_ones),
        TEST(weak_objects_are_queued_if_the_flag_says_so),
        TEST(weak_roots_die),
        TEST(ephemerons_fire_once_when_the_key_dies),
        TEST(an_ephemerons_value_does_not_hold_its_key),
        TEST(ephemerons_chain),
        TEST(mourners_are_kept_until_fetched),
        TEST(two_way_become_swaps),
        TEST(one_way_become_forwards),
        TEST(chains_of_forwarders_end),
        TEST(become_refuses_without_changing_anything),
        TEST(a_class_may_become_another),
        TEST(pinned_objects_stay_where_they_are),
        TEST(all_instances_are_found),
        TEST(the_checker_finds_what_is_broken),
    };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
