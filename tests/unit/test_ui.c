/*
 * The event queue: order, overflow, what keys and wheel become.
 */
#include "tests/unit/prim_test.h"
#include "vm/ui.h"

static int set_up_ui(void **state)
{
    return set_up(state) || ui_init(vm);
}

static int tear_down_ui(void **state)
{
    ui_destroy(vm);
    return tear_down(state);
}

static void post(int type, int a, int b, int c, int d, int e)
{
    struct vm_event event = { type, { a, b, c, d, e } };

    vm_post_event(&event);
}

static void events_come_in_order_and_the_oldest_give_way(void **state)
{
    struct ui_event e;

    assert_false(ui_next_event(vm, &e));
    for (int i = 0; i < 600; i++)
        post(VM_EVENT_MOUSE, i, 0, 0, 0, 0);
    for (int i = 600 - 512; i < 600; i++) {
        assert_true(ui_next_event(vm, &e));
        assert_int_equal(e.type, VM_EVENT_MOUSE);
        assert_int_equal(e.arg[0], i);
    }
    assert_false(ui_next_event(vm, &e));
    assert_int_equal(ui_pointer(vm).x, 599);
}

static void alt_counts_as_command_too(void **state)
{
    struct ui_event e;

    post(VM_EVENT_KEY, 'd', VM_KEY_CHAR, VM_MOD_ALT, 'd', 0);
    assert_true(ui_next_event(vm, &e));
    assert_int_equal(e.arg[2], VM_MOD_ALT | VM_MOD_CMD);
    assert_int_equal(ui_key(vm, true), 'd' | (VM_MOD_ALT | VM_MOD_CMD) << 8);
    assert_int_equal(ui_key(vm, true), -1);
}

static void the_interrupt_key_is_no_event_where_a_semaphore_waits(void **state)
{
    struct ui_event e;
    oop semaphore;

    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, VM_MOD_CTRL, '.', 0);
    assert_true(ui_next_event(vm, &e)); /* the image listens to nothing */
    assert_false(vm->interrupt_pending);
    semaphore = heap_new(h, TINY_SEMAPHORE, FMT_FIXED, 3);
    heap_store(h, h->special, SPL_INTERRUPT_SEMAPHORE, semaphore);
    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, VM_MOD_CTRL, '.', 0);
    assert_true(ui_next_event(vm, &e)); /* nobody waits for it */
    assert_false(vm->interrupt_pending);
    heap_store(h, semaphore, LIST_FIRST, h->true_);
    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, VM_MOD_CTRL, '.', 0);
    assert_false(ui_next_event(vm, &e));
    assert_true(vm->interrupt_pending);
    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, 0, '.', 0);
    assert_true(ui_next_event(vm, &e));
}

static void without_a_semaphore_it_has_the_modifiers_asked_for(void **state)
{
    struct ui_event e;

    vm->interrupt_key = VM_MOD_CMD << 8 | '.';
    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, VM_MOD_ALT, '.', 0);
    assert_true(ui_next_event(vm, &e));
    assert_int_equal(e.arg[2], VM_MOD_CMD);
    post(VM_EVENT_KEY, '.', VM_KEY_CHAR, 0, '.', 0);
    assert_true(ui_next_event(vm, &e));
    assert_int_equal(e.arg[2], 0);
}

static void a_wheel_turns_into_keys_for_images_without_it(void **state)
{
    struct ui_event e;

    h->image_flags = 0;
    post(VM_EVENT_WHEEL, 0, 60, 0, 0, 0);
    assert_false(ui_next_event(vm, &e));
    post(VM_EVENT_WHEEL, 0, 60, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ui_next_event(vm, &e));
        assert_int_equal(e.type, VM_EVENT_KEY);
        assert_int_equal(e.arg[0], 30);
    }
    assert_false(ui_next_event(vm, &e));
    h->image_flags = 128;
    post(VM_EVENT_WHEEL, 0, -120, 0, 0, 0);
    assert_true(ui_next_event(vm, &e));
    assert_int_equal(e.type, VM_EVENT_WHEEL);
    assert_int_equal(e.arg[1], -120);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_ui, tear_down_ui)
    const struct CMUnitTest tests[] = {
        TEST(events_come_in_order_and_the_oldest_give_way),
        TEST(alt_counts_as_command_too),
        TEST(the_interrupt_key_is_no_event_where_a_semaphore_waits),
        TEST(without_a_semaphore_it_has_the_modifiers_asked_for),
        TEST(a_wheel_turns_into_keys_for_images_without_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
