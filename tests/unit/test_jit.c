/*
 * test_jit.c - what the compiler refuses, and that what it compiles does what
 * the interpreter would.
 *
 * Methods are assembled by hand. A method that lies about its stack, its
 * jumps, its literals or its temps must not be compiled; the interpreter may
 * have it.
 */
#include "vm/jit/jit_private.h"
#include "vm/platform.h"

#include "tests/unit/plat_stub.h"
#include "tests/unit/tiny_code.h"

static int set_up(void **state)
{
    if (make_vm(true) || !vm->jit)
        return -1;
    make_special_selectors(0);
    return 0;
}

/* --- lies --- */

static bool compiles(oop method)
{
    struct jit_code *c = jit_compile(vm, method, 0, 0);

    assert_non_null(c);
    return c->kind == CODE_METHOD;
}

#define REFUSED(set, temps, ...) \
    assert_false(compiles(code(set, temps, 0, CODE(__VA_ARGS__))))
#define COMPILED(set, temps, ...) \
    assert_true(compiles(code(set, temps, 0, CODE(__VA_ARGS__))))

static void sound_methods_are_compiled(void **state)
{
    COMPILED(SISTA, 0, 81, 92);           /* ^ 1 */
    COMPILED(V3, 1, 16, 117, 178, 153, 118, 124, 117, 124);
    COMPILED(SISTA, 0, 225, 255, 237, 252); /* for ever */
}

static void what_pops_too_much_is_refused(void **state)
{
    REFUSED(SISTA, 0, 216, 88);           /* pop */
    REFUSED(SISTA, 0, 92);                /* ^ top */
    REFUSED(SISTA, 0, 81, 96, 92);        /* 1 + */
    REFUSED(SISTA, 0, 83, 92);            /* dup */
    REFUSED(V3, 0, 138, 128 + 3, 124);    /* an array of three */
}

static void what_pushes_too_much_is_refused(void **state)
{
    uint8_t b[130];

    memset(b, 81, sizeof b);
    b[sizeof b - 1] = 92;
    assert_false(compiles(code(SISTA, 0, 0, b, sizeof b)));
}

static void jumps_must_meet_instructions(void **state)
{
    REFUSED(SISTA, 0, 176 + 4, 88);               /* past the end */
    REFUSED(SISTA, 0, 176, 232, 7, 216, 88);      /* into an operand */
    REFUSED(SISTA, 0, 225, 255, 237, 200, 88);    /* before the start */
    REFUSED(SISTA, 0, 225, 255, 237, 253, 88);    /* into itself */
}

static void joined_paths_have_one_depth(void **state)
{
    /* true ifTrue: [push 1]; then a push more, or not */
    REFUSED(SISTA, 0, 77, 192, 81, 80, 92);
    /* a loop that grows the stack */
    REFUSED(SISTA, 0, 81, 225, 255, 237, 251);
}

static void conditional_jumps_go_forward(void **state)
{
    REFUSED(SISTA, 0, 77, 225, 255, 239, 251, 88);
}

static void operands_must_exist(void **state)
{
    REFUSED(SISTA, 2, 66, 92);                /* temp 2 of 2 */
    REFUSED(SISTA, 2, 80, 242, 9, 88);        /* store there */
    REFUSED(SISTA, 1, 251, 0, 1, 92);         /* remote, in temp 1 of 1 */
    REFUSED(SISTA, 0, 32 + LITERALS, 92);     /* literal */
    REFUSED(SISTA, 0, 76, 128 + LITERALS, 92); /* selector */
    REFUSED(SISTA, 0, 16, 92);                /* a variable that is none */
}

static void the_end_is_a_return(void **state)
{
    REFUSED(SISTA, 0, 81);
    REFUSED(SISTA, 0, 77, 192, 88, 81);
    REFUSED(SISTA, 0, 225);
    REFUSED(V3, 0, 143, 1, 9, 9); /* a block that is not there */
}

static void unknown_bytecodes_are_refused(void **state)
{
    REFUSED(SISTA, 0, 84, 88);
    REFUSED(SISTA, 0, 236, 0, 88);
    REFUSED(V3, 0, 126, 120);
    COMPILED(SISTA, 0, 88, 84, 236); /* dead code may be anything */
}

/* Other compilers give a method that answers a constant or a field the number
 * of its primitive and nothing else. */
static void quick_methods_need_no_bytecodes(void **state)
{
    oop m = code(V3, 0, 0, CODE(139, 261 & 255, 261 >> 8)); /* ^ 0 */

    assert_false(compiles(m)); /* without the header's flag: it pops nothing */
    m = code(V3, 0, 0, CODE(139, 261 & 255, 261 >> 8));
    slots(m)[0] = int_oop(int_value(slots(m)[0]) | 1 << 16);
    assert_true(compiles(m));
}

/* --- running --- */

/* An interpreted method sends `call` with nil, and `stop` with the answer. */
static oop call(oop method)
{
    oop caller = code(SISTA, 0, 0, CODE(79, 129, 76, 128));

    enter(call_selector, heap_class_index(vm->heap.nil), method, JIT_METHOD);
    vm->jit->stats.taken_over = 0;
    run_to_stop(caller);
    assert_true(vm->jit->stats.taken_over > 0);
    return result;
}

#define ANSWERS(expected, set, temps, ...) \
    assert_int_equal(expected, call(code(set, temps, 0, CODE(__VA_ARGS__))))

static void arithmetic_in_machine_code(void **state)
{
    ANSWERS(int_oop(3), V3, 0, 119, 118, 176, 124);
    ANSWERS(int_oop(1), V3, 0, 119, 118, 177, 124);
    ANSWERS(int_oop(-2), V3, 0, 119, 116, 184, 124);
    ANSWERS(int_oop(-3), SISTA, 0, 225, 255, 232, 251, 232, 2, 109, 92);
    ANSWERS(int_oop(1), SISTA, 0, 225, 255, 232, 251, 232, 2, 106, 92);
    ANSWERS(int_oop(-1), SISTA, 0, 225, 255, 232, 255, 225, 255, 232, 253,
            108, 92);
    ANSWERS(int_oop(40), SISTA, 0, 232, 5, 232, 3, 108, 92);
    ANSWERS(int_oop(2), SISTA, 0, 232, 6, 232, 3, 110, 92);
    ANSWERS(int_oop(7), SISTA, 0, 232, 6, 232, 3, 111, 92);
}

static void comparisons_in_machine_code(void **state)
{
    ANSWERS(vm->heap.true_, V3, 0, 118, 119, 178, 124);
    ANSWERS(vm->heap.false_, V3, 0, 118, 119, 179, 124);
    ANSWERS(vm->heap.true_, SISTA, 0, 79, 79, 118, 92);
    ANSWERS(vm->heap.false_, SISTA, 0, 79, 77, 118, 92);
    ANSWERS(int_oop(1), SISTA, 0, 80, 81, 98, 193, 81, 92, 80, 92);
    ANSWERS(int_oop(0), SISTA, 0, 80, 81, 99, 193, 81, 92, 80, 92);
}

static void loops_in_machine_code(void **state)
{
    vm->options.stress_gc = true;
    ANSWERS(int_oop(100), SISTA, 1, 80, 208, 64, 232, 100, 98, 239, 8, 64,
            81, 96, 208, 225, 255, 237, 242, 64, 92);
}

static void arrays_in_machine_code(void **state)
{
    oop a = call(code(V3, 0, 0, CODE(118, 119, 138, 128 + 2, 124)));

    assert_int_equal(slot_count(a), 2);
    assert_int_equal(slot(a, 0), int_oop(1));
    assert_int_equal(slot(a, 1), int_oop(2));
    ANSWERS(int_oop(1), SISTA, 1, 231, 3, 208, 81, 253, 2, 0, 251, 2, 0, 92);
}

/* --- embedded blocks --- */

/* `call` is value: of embedded blocks. */
static void enter_value(void)
{
    oop m = code(V3, 1, 1, CODE(139, 202, 0, 120));

    slots(m)[0] = int_oop(int_value(slots(m)[0]) | 1 << 16);
    enter(call_selector, CLS_BLOCK_CLOSURE, m, prim_block_value);
}

/* | c b | c := 2. b := [:x | | t | t := x + c. t] */
#define MAKES_BLOCK 119, 104, 16, 143, 0x11, 0, 7, 115, 16, 17, 176, 106, 18, \
                    125, 105

static void embedded_blocks_are_called_by_machine_code(void **state)
{
    enter_value();
    /* (b value: 1) + (b value: 2) + (b value: -1) */
    ANSWERS(int_oop(8), V3, 2, MAKES_BLOCK, 17, 118, 225, 17, 119, 225, 176,
            17, 116, 225, 176, 124);
    /* the method, and the block's first activation */
    assert_int_equal(vm->jit->stats.taken_over, 2);
    vm->options.stress_gc = true;
    ANSWERS(int_oop(3), V3, 2, MAKES_BLOCK, 17, 118, 225, 124);
}

static void embedded_blocks_return_from_their_method(void **state)
{
    enter_value();
    /* [:x | ^ x] value: 1; value: 2; then 0 */
    ANSWERS(int_oop(1), V3, 1, 143, 1, 0, 2, 16, 124, 104, 16, 118, 225, 135,
            16, 119, 225, 135, 117, 124);
    /* [:x | [:y | ^ x + 1] value: 1] */
    ANSWERS(int_oop(2), V3, 1, 143, 1, 0, 12, 16, 143, 0x11, 0, 4, 17, 118,
            176, 124, 118, 225, 125, 104, 16, 118, 225, 124);
}

#define AND_AGAIN 115, 210, 176

/* The block is neither made nor called once its method is optimised. */
static void embedded_blocks_are_inlined(void **state)
{
    oop inner_selector = int_oop(103), outer;
    oop inner = code(V3, 2, 0, CODE(MAKES_BLOCK, 17, 118, 225, 17, 119, 225,
                                    176, 124));

    vm->jit->second_tier = true;
    vm->options.jit_threshold2 = 2;
    enter_value();
    enter(inner_selector, heap_class_index(vm->heap.nil), inner, JIT_METHOD);
    outer = code(V3, 0, 0, CODE(115, 210, AND_AGAIN, AND_AGAIN, AND_AGAIN,
                                AND_AGAIN, AND_AGAIN, AND_AGAIN, AND_AGAIN,
                                124));
    slots(outer)[3] = inner_selector;
    assert_int_equal(call(outer), int_oop(8 * 7));
    assert_true(vm->jit->stats.optimised > 0);
    assert_true(vm->jit->stats.inlined >= 2);
    vm->options.stress_deopt = true;
    assert_int_equal(call(outer), int_oop(8 * 7));
    assert_true(vm->jit->stats.deoptimised > 0);
}

static void closures_that_do_not_fit_are_interpreted(void **state)
{
    oop m, b, more;

    enter_value();
    b = call(code(V3, 2, 0, CODE(MAKES_BLOCK, 17, 118, 225, 135, 17, 118,
                                 225, 135, 17, 124)));
    assert_int_equal(class_index_of(b), CLS_BLOCK_CLOSURE);
    more = heap_new(&vm->heap, CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED, 5);
    memcpy(slots(more), slots(b), 4 * sizeof(oop));
    slots(more)[4] = vm->heap.nil;
    m = code(V3, 0, 0, CODE(34, 119, 225, 124));
    heap_store(&vm->heap, m, 3, more);
    assert_int_equal(call(m), int_oop(4));
    assert_int_equal(call(m), int_oop(4));
}

/* Frames go on interpreted where their machine code was. */
static void a_flush_leaves_frames_behind(void **state)
{
    jit_flush(vm);
    ANSWERS(int_oop(3), V3, 0, 119, 118, 176, 124);
    jit_flush(vm);
    assert_int_equal(vm->jit->num_codes, 0);
    ANSWERS(int_oop(3), V3, 0, 119, 118, 176, 124);
}

/* --- linked sends --- */

static oop one_selector, two_selector, relay_selector;

/* Sends in machine code that are linked and have that selector. */
static unsigned linked(oop selector)
{
    uint32_t hash = (uint32_t)int_value(selector) | 1u << 31;
    unsigned i, k, n = 0;

    for (i = 0; i < vm->jit->num_codes; i++)
        for (k = 0; k < vm->jit->codes[i]->num_points; k++)
            n += vm->jit->codes[i]->points[k].hash == hash;
    return n;
}

/* `one` is sent to nil at a place of its own, and in `relay` to nil and to an
 * array, which have different methods. `two` is sent to nil only. */
static oop link_sends(oop *one, oop *one_of_array, oop *two)
{
    uint32_t nil = heap_class_index(vm->heap.nil);
    oop relay, all;

    one_selector = int_oop(103);
    two_selector = int_oop(104);
    relay_selector = int_oop(105);
    *one = code(SISTA, 0, 0, CODE(81, 92));
    *one_of_array = code(SISTA, 0, 0, CODE(81, 92));
    *two = code(SISTA, 0, 0, CODE(81, 92));
    relay = code(SISTA, 1, 1, CODE(64, 130, 92));
    slots(relay)[3] = one_selector;
    all = code(SISTA, 0, 0, CODE(79, 79, 148, 79, 231, 1, 148, 96, 79, 130,
                                 96, 79, 131, 96, 92));
    slots(all)[3] = one_selector;
    slots(all)[4] = two_selector;
    slots(all)[5] = relay_selector;
    enter(one_selector, nil, *one, JIT_METHOD);
    enter(one_selector, CLS_ARRAY, *one_of_array, JIT_METHOD);
    enter(two_selector, nil, *two, JIT_METHOD);
    enter(relay_selector, nil, relay, JIT_METHOD);
    return all;
}

/* Each send is linked when its code runs the second time. */
static void link_all(oop all)
{
    assert_int_equal(call(all), int_oop(4));
    assert_int_equal(call(all), int_oop(4));
    assert_int_equal(linked(one_selector), 2);
    assert_int_equal(linked(two_selector), 1);
    assert_int_equal(linked(relay_selector), 2);
}

static void a_forgotten_method_is_unlinked_where_it_is_called(void **state)
{
    oop one, one_of_array, two, all = link_sends(&one, &one_of_array, &two);

    link_all(all);
    jit_forget(vm, one_of_array); /* `relay` calls it through a PIC */
    assert_int_equal(linked(one_selector), 1);
    assert_int_equal(linked(two_selector), 1);
    link_all(all);
    jit_forget(vm, one);
    assert_int_equal(linked(one_selector), 0);
    assert_int_equal(linked(two_selector), 1);
    assert_int_equal(linked(relay_selector), 2);
    link_all(all);
}

static void a_method_with_two_names_is_unlinked_for_both(void **state)
{
    oop one, one_of_array, two, all = link_sends(&one, &one_of_array, &two);

    enter(two_selector, heap_class_index(vm->heap.nil), one, JIT_METHOD);
    link_all(all);
    jit_forget(vm, one);
    assert_int_equal(linked(one_selector), 0);
    assert_int_equal(linked(two_selector), 0);
    assert_int_equal(linked(relay_selector), 2);
}

static void a_selector_is_unlinked_alone(void **state)
{
    oop one, one_of_array, two, all = link_sends(&one, &one_of_array, &two);

    link_all(all);
    jit_unlink_selector(vm, one_selector);
    assert_int_equal(linked(one_selector), 0);
    assert_int_equal(linked(two_selector), 1);
    assert_int_equal(linked(relay_selector), 2);
    link_all(all);
    jit_unlink(vm);
    assert_int_equal(linked(one_selector), 0);
    assert_int_equal(linked(two_selector), 0);
    assert_int_equal(linked(relay_selector), 0);
    link_all(all);
}

/* --- when the second tier may compile --- */

/* Calls `one` two thousand times, which is often enough for it to be asked;
 * answers how many pieces there are. */
static uint64_t optimised_after_calls(oop selector)
{
    oop loop = code(SISTA, 1, 0,
                    CODE(80, 208, 64, 225, 7, 232, 208, 98, 239, 11,
                         79, 130, 216, 64, 81, 96, 208, 225, 255, 237, 237,
                         64, 92));

    slots(loop)[3] = selector;
    call(loop);
    return vm->jit->stats.optimised;
}

static int set_up_clock(void **state)
{
    oop one;

    if (set_up(state))
        return -1;
    plat_stub_clock = vm->jit->credited_at = 1000000;
    plat_stub_tick = 0;
    vm->jit->second_tier = true;
    vm->options.jit_threshold2 = -1;
    for (int i = 0; i < 2; i++) {
        one = code(SISTA, 0, 0, CODE(81, 92));
        enter(int_oop(103 + i), heap_class_index(vm->heap.nil), one,
              JIT_METHOD);
    }
    return 0;
}

static int tear_down_clock(void **state)
{
    plat_stub_clock = plat_stub_tick = 0;
    return tear_down(state);
}

static void nothing_is_optimised_before_time_has_gone_by(void **state)
{
    assert_int_equal(optimised_after_calls(int_oop(103)), 0);
    plat_stub_clock += 10;
    assert_int_equal(optimised_after_calls(int_oop(103)), 1);
}

static void what_a_piece_took_is_waited_for(void **state)
{
    plat_stub_tick = 200;
    assert_int_equal(optimised_after_calls(int_oop(103)), 1);
    assert_int_equal(vm->jit->stats.optimise_usecs, 200);
    assert_true(vm->jit->credit < 0);
    plat_stub_tick = 0;
    assert_int_equal(optimised_after_calls(int_oop(104)), 1);
    plat_stub_clock += 4000;
    assert_int_equal(optimised_after_calls(int_oop(104)), 2);
}

static void nothing_is_optimised_while_methods_are_replaced(void **state)
{
    oop replaced = code(SISTA, 0, 0, CODE(81, 92));

    plat_stub_clock += 1000;
    assert_int_equal(call(replaced), int_oop(1));
    jit_forget(vm, replaced);
    plat_stub_clock += 10000;
    assert_int_equal(optimised_after_calls(int_oop(103)), 0);
    plat_stub_clock += 10000;
    assert_int_equal(optimised_after_calls(int_oop(103)), 1);
}

static void what_asks_often_need_not_wait(void **state)
{
    uint64_t rounds = 0;

    while (rounds < 20 && !optimised_after_calls(int_oop(103)))
        rounds++;
    assert_in_range(rounds, 3, 15);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_TIMED(f) \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sound_methods_are_compiled),
        TEST(what_pops_too_much_is_refused),
        TEST(what_pushes_too_much_is_refused),
        TEST(jumps_must_meet_instructions),
        TEST(joined_paths_have_one_depth),
        TEST(conditional_jumps_go_forward),
        TEST(operands_must_exist),
        TEST(the_end_is_a_return),
        TEST(unknown_bytecodes_are_refused),
        TEST(quick_methods_need_no_bytecodes),
        TEST(arithmetic_in_machine_code),
        TEST(comparisons_in_machine_code),
        TEST(loops_in_machine_code),
        TEST(arrays_in_machine_code),
        TEST(embedded_blocks_are_called_by_machine_code),
        TEST(embedded_blocks_return_from_their_method),
        TEST(embedded_blocks_are_inlined),
        TEST(closures_that_do_not_fit_are_interpreted),
        TEST(a_flush_leaves_frames_behind),
        TEST(a_forgotten_method_is_unlinked_where_it_is_called),
        TEST(a_method_with_two_names_is_unlinked_for_both),
        TEST(a_selector_is_unlinked_alone),
        TEST_TIMED(nothing_is_optimised_before_time_has_gone_by),
        TEST_TIMED(what_a_piece_took_is_waited_for),
        TEST_TIMED(nothing_is_optimised_while_methods_are_replaced),
        TEST_TIMED(what_asks_often_need_not_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
