/*
 * test_interp.c - bytecodes, frames and contexts, by the hand-assembled
 * methods of tiny_code.h.
 */
#include "tests/unit/tiny_code.h"
#include "vm/platform.h"

#define STOP_SISTA 76, 128 /* pushSelf, send literal 0 */
#define STOP_V3 112, 208

static int set_up(void **state) { return make_vm(false); }

#define ASSERT_RUNS(expected, set, temps, ...) \
    assert_int_equal(expected, run_to_stop(code(set, temps, 0, \
                                                CODE(__VA_ARGS__))))

/* --- bytecodes --- */

static void arithmetic_answers_small_integers(void **state)
{
    ASSERT_RUNS(int_oop(3), V3, 0, 119, 118, 176, STOP_V3);
    ASSERT_RUNS(int_oop(1), V3, 0, 119, 118, 177, STOP_V3);
    ASSERT_RUNS(int_oop(-2), V3, 0, 119, 116, 184, STOP_V3);
    ASSERT_RUNS(int_oop(2), SISTA, 0, 81, 81, 96, STOP_SISTA);
    ASSERT_RUNS(int_oop(-3), SISTA, 0, 225, 255, 232, 251, 232, 2, 109,
                STOP_SISTA); /* -5 // 2 */
    ASSERT_RUNS(int_oop(1), SISTA, 0, 225, 255, 232, 251, 232, 2, 106,
                STOP_SISTA); /* -5 \\ 2 */
    ASSERT_RUNS(int_oop(-1), SISTA, 0, 225, 255, 232, 255, 225, 255, 232, 253,
                108, STOP_SISTA); /* -1 bitShift: -3 */
}

static void extensions_carry_the_sign_of_the_first_byte(void **state)
{
    ASSERT_RUNS(int_oop(51201), SISTA, 0, 225, 0, 225, 200, 232, 1,
                STOP_SISTA);
    ASSERT_RUNS(int_oop(-65535), SISTA, 0, 225, 255, 225, 0, 232, 1,
                STOP_SISTA);
    ASSERT_RUNS(int_oop(-1), SISTA, 0, 225, 255, 232, 255, STOP_SISTA);
    ASSERT_RUNS(char_oop(0x141), SISTA, 0, 225, 1, 233, 0x41, STOP_SISTA);
}

static void comparisons_join_the_jump_behind_them(void **state)
{
    /* 1 < 2: short jump, long jump, no jump */
    ASSERT_RUNS(int_oop(2), V3, 0, 118, 119, 178, 152, 119, STOP_V3);
    ASSERT_RUNS(int_oop(2), V3, 0, 118, 119, 178, 172, 1, 119, STOP_V3);
    ASSERT_RUNS(vm->heap.true_, V3, 0, 118, 119, 178, STOP_V3);
    ASSERT_RUNS(int_oop(0), SISTA, 0, 80, 81, 80, 98, 193, 83, 83,
                STOP_SISTA); /* 1 < 0 jumps over two bytes */
    ASSERT_RUNS(int_oop(0), SISTA, 0, 80, 81, 80, 98, 239, 2, 81, 81,
                STOP_SISTA);
}

static void loops_run_through_safepoints(void **state)
{
    vm->options.stress_gc = true;
    /* t := 0. [t < 100] whileTrue: [t := t + 1]. t */
    ASSERT_RUNS(int_oop(100), SISTA, 1, 80, 208, /* top: */ 64, 232, 100, 98,
                239, 8, 64, 81, 96, 208, 225, 255, 237, 242, /* end */ 64,
                STOP_SISTA);
}

static void arrays_take_the_deepest_value_first(void **state)
{
    oop a = run_to_stop(code(V3, 0, 0, CODE(118, 119, 138, 128 + 2, STOP_V3)));

    assert_int_equal(slot_count(a), 2);
    assert_int_equal(slot(a, 0), int_oop(1));
    assert_int_equal(slot(a, 1), int_oop(2));
    a = run_to_stop(code(SISTA, 0, 0, CODE(231, 5, STOP_SISTA)));
    assert_int_equal(slot_count(a), 5);
    assert_int_equal(slot(a, 4), vm->heap.nil);
}

static void remote_temps_live_in_the_vector(void **state)
{
    ASSERT_RUNS(int_oop(1), SISTA, 1, 231, 3, 208, 81, 253, 2, 0, 251, 2, 0,
                STOP_SISTA);
    ASSERT_RUNS(int_oop(2), V3, 1, 138, 3, 104, 119, 142, 1, 0, 140, 1, 0,
                STOP_V3);
}

/* --- closures --- */

static void embedded_blocks_address_what_they_push(void **state)
{
    oop m;

    enter(call_selector, CLS_BLOCK_CLOSURE, vm->heap.nil, prim_block_value);
    /* [:x | | t | t := x + 2. t] value: 1, with a pushed nil for t */
    m = code(V3, 0, 0, CODE(143, 1, 0, 7, 115, 16, 119, 176, 105, 17, 125,
                            118, 225, STOP_V3));
    assert_int_equal(run_to_stop(m), int_oop(3));
}

static void full_blocks_have_copied_values_and_temps(void **state)
{
    oop block = code(SISTA, 3, 1, CODE(64, 65, 96, 210, 66, 94)), m;

    enter(call_selector, CLS_FULL_BLOCK_CLOSURE, vm->heap.nil,
          prim_full_block_value);
    /* copied 1; [:x | x + copied] value: 5 */
    m = code(SISTA, 0, 0, CODE(81, 249, 2, 1, 232, 5, 145, STOP_SISTA));
    slots(m)[3] = block;
    assert_int_equal(run_to_stop(m), int_oop(6));
}

static void a_return_in_a_block_leaves_its_method(void **state)
{
    oop block = code(SISTA, 0, 0, CODE(232, 7, 92)), callee, m;

    enter(call_selector, CLS_FULL_BLOCK_CLOSURE, vm->heap.nil,
          prim_full_block_value);
    /* callee: [^ 7] value. ^ 0 */
    callee = code(SISTA, 0, 0, CODE(249, 2, 0, 129, 216, 80, 92));
    slots(callee)[3] = block;
    enter(call_selector, heap_class_index(vm->heap.nil), callee, NULL);
    m = code(SISTA, 0, 0, CODE(76, 129, STOP_SISTA));
    assert_int_equal(run_to_stop(m), int_oop(7));
}

/* --- frames and contexts --- */

static void deep_recursion_moves_on_to_the_heap(void **state)
{
    oop callee, m;

    /* call: n  ^ n = 0 ifTrue: [0] ifFalse: [(self call: n - 1) + 1] */
    callee = code(SISTA, 1, 1, CODE(64, 80, 102, 193, 80, 92, 76, 64, 81, 97,
                                    145, 81, 96, 92));
    enter(call_selector, heap_class_index(vm->heap.nil), callee, NULL);
    m = code(SISTA, 0, 0, CODE(76, 225, 78, 232, 32, 145, STOP_SISTA));
    assert_int_equal(run_to_stop(m), int_oop(20000));
    assert_true(vm->stats.pages_evicted > 0);
}

static int check_contexts(struct vm *m, int argc)
{
    oop ctx = m->sp[0];

    assert_int_equal(vm_context_stackp(m, ctx), 2); /* temp, receiver */
    assert_int_equal(vm_slot(m, ctx, CTX_TEMPS), int_oop(1));
    vm_set_slot(m, ctx, CTX_TEMPS, int_oop(44));
    m->scratch[0] = ctx;
    ctx = vm_unmarry_all(m);
    assert_int_equal(ctx, m->scratch[0]);
    assert_int_equal(slot(ctx, CTX_STACKP), int_oop(2));
    assert_true(vm_resume(m, ctx));
    assert_true(context_is_married(ctx));
    return PRIM_OK; /* the context stays as the answer */
}

static void contexts_show_and_change_live_frames(void **state)
{
    enter(call_selector, CLS_CONTEXT, vm->heap.nil, check_contexts);
    /* t := 1. thisContext call. t */
    ASSERT_RUNS(int_oop(44), SISTA, 1, 81, 208, 82, 129, 216, 64,
                STOP_SISTA);
}

static int collect(struct vm *m, int argc)
{
    vm_full_gc(m);
    assert_int_equal(heap_check(&m->heap), 0);
    assert_true(frame_check(m));
    enter(stop_selector, heap_class_index(m->heap.nil), m->heap.nil, stop);
    return PRIM_OK;
}

static void frames_survive_a_collection_that_moves_their_code(void **state)
{
    oop a;

    heap_new_old(&vm->heap, CLS_ARRAY, FMT_ARRAY, 1000); /* leaves a gap */
    enter(call_selector, heap_class_index(vm->heap.nil), vm->heap.nil,
          collect);
    a = run_to_stop(code(SISTA, 1, 0, CODE(231, 3, 208, 76, 129, 216, 64,
                                   STOP_SISTA)));
    assert_int_equal(slot_count(a), 3);
}

/* --- the method cache --- */

/* A dictionary of the selector alone, under `class`. */
static void define(oop class, oop selector, oop method)
{
    struct heap *h = &vm->heap;
    oop dict = heap_new_old(h, TINY_MIXED, FMT_FIXED_AND_INDEXED,
                            MDICT_SELECTORS + 1);
    oop methods = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, 1);

    heap_store(h, methods, 0, method);
    heap_store(h, dict, MDICT_METHODS, methods);
    heap_store(h, dict, MDICT_SELECTORS, selector);
    heap_store(h, class, CLASS_METHOD_DICT, dict);
}

/* The selector in the one dictionary is defined anew for each. */
static oop look_up(int64_t selector, oop method)
{
    oop class = heap_class_at(&vm->heap, TINY_OBJECT);
    struct cache_entry *e;

    define(class, int_oop(selector), method);
    e = vm_lookup(vm, int_oop(selector), class);
    assert_non_null(e);
    assert_int_equal(e->selector, int_oop(selector));
    return e->method;
}

/* Selectors so far apart share their first place, but not the second. */
enum { APART = METHOD_CACHE_SIZE, HERE = 5 };

static void both_places_of_the_cache_are_used(void **state)
{
    oop a = code(SISTA, 0, 0, CODE(88)), b = code(SISTA, 0, 0, CODE(88));
    uint64_t misses;

    assert_int_equal(cache_hash(int_oop(HERE), TINY_OBJECT),
                     cache_hash(int_oop(HERE + APART), TINY_OBJECT));
    assert_int_not_equal(cache_second(int_oop(HERE), TINY_OBJECT),
                         cache_second(int_oop(HERE + APART), TINY_OBJECT));
    assert_int_equal(look_up(HERE, a), a);
    assert_int_equal(look_up(HERE + APART, b), b);
    misses = vm->stats.cache_misses;
    assert_int_equal(look_up(HERE, b), a); /* what the cache says */
    assert_int_equal(look_up(HERE + APART, a), b);
    assert_int_equal(vm->stats.cache_misses, misses);
}

/* Forgetting means both places. */
static void a_flush_reaches_both_places(void **state)
{
    oop a = code(SISTA, 0, 0, CODE(88)), b = code(SISTA, 0, 0, CODE(88));

    for (int i = 0; i < 2; i++)
        look_up(HERE + i * APART, a);
    for (int i = 0; i < 2; i++) {
        vm_flush_selector(vm, int_oop(HERE + i * APART));
        assert_int_equal(look_up(HERE + i * APART, b), b);
    }
    vm_flush_method(vm, b);
    for (int i = 0; i < 2; i++)
        assert_int_equal(look_up(HERE + i * APART, a), a);
}

/* Many more than there are places for: what is found is right, and those
 * which share their first place do not drive each other out each time. */
static void a_full_cache_answers_what_is_true(void **state)
{
    oop a = code(SISTA, 0, 0, CODE(88)), b = code(SISTA, 0, 0, CODE(88));
    uint64_t misses;

    for (int i = 0; i < 3 * METHOD_CACHE_SIZE; i++)
        assert_int_equal(look_up(i, i % 2 ? a : b), i % 2 ? a : b);
    misses = vm->stats.cache_misses;
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < 3; i++)
            assert_int_equal(look_up(HERE + i * APART, a), a);
    assert_true(vm->stats.cache_misses - misses < 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(arithmetic_answers_small_integers),
        TEST(extensions_carry_the_sign_of_the_first_byte),
        TEST(comparisons_join_the_jump_behind_them),
        TEST(loops_run_through_safepoints),
        TEST(arrays_take_the_deepest_value_first),
        TEST(remote_temps_live_in_the_vector),
        TEST(embedded_blocks_address_what_they_push),
        TEST(full_blocks_have_copied_values_and_temps),
        TEST(a_return_in_a_block_leaves_its_method),
        TEST(deep_recursion_moves_on_to_the_heap),
        TEST(contexts_show_and_change_live_frames),
        TEST(frames_survive_a_collection_that_moves_their_code),
        TEST(both_places_of_the_cache_are_used),
        TEST(a_flush_reaches_both_places),
        TEST(a_full_cache_answers_what_is_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
