/*
 * test_processes.c - which process runs next: what is remembered of empty run
 * lists (vm->lists_in_use) must not hide one, a block that just begins under a
 * primitive which forbids switching (vm->entered) is not left, and of signals
 * that are due at once low space comes first.
 */
#include "vm/jit/jit_private.h"
#include "vm/process.h"

#include "tests/unit/tiny_code.h"

enum { LISTS = 5 };

static oop lists;

static oop new_process(int priority)
{
    struct heap *h = &vm->heap;
    oop method = code(SISTA, 0, 0, CODE(88));
    oop p = heap_new_old(h, TINY_PROCESS, FMT_FIXED, 4);
    oop ctx = heap_new_old(h, CLS_CONTEXT, FMT_FIXED_AND_INDEXED,
                           CTX_LARGE_SLOTS);

    slots(ctx)[CTX_PC] = int_oop(code_first_pc(method) + 1);
    slots(ctx)[CTX_STACKP] = int_oop(0);
    slots(ctx)[CTX_METHOD] = method;
    slots(p)[PROC_CONTEXT] = ctx;
    slots(p)[PROC_PRIORITY] = int_oop(priority);
    return p;
}

static oop new_list(uint32_t class_index, uint64_t n)
{
    oop list = heap_new_old(&vm->heap, class_index, FMT_FIXED, n);

    slots(list)[LIST_FIRST] = slots(list)[LIST_LAST] = vm->heap.nil;
    return list;
}

static oop active(void) { return vm_active_process(vm); }

/* The process in the image has priority 1, and runs. */
static int set_up(void **state)
{
    oop scheduler, association;
    int i;

    if (make_vm(true))
        return -1;
    lists = heap_new_old(&vm->heap, CLS_ARRAY, FMT_ARRAY, LISTS);
    for (i = 0; i < LISTS; i++)
        slots(lists)[i] = new_list(TINY_LIST, 2);
    association = heap_special(&vm->heap, SPL_SCHEDULER_ASSOCIATION);
    scheduler = slot(association, ASSOC_VALUE);
    heap_store(&vm->heap, scheduler, SCHED_LISTS, lists);
    return vm_resume(vm, process_start(vm)) ? 0 : -1;
}

/* The running process gives way to the highest that is ready, or ends. */
static void give_way(void)
{
    assert_true(process_can_switch(vm));
    process_yield(vm);
}

static void end(void)
{
    assert_true(process_can_switch(vm));
    process_switch_to_highest(vm);
}

/* Two of priority 1 are left, and the lists above are known to be empty. */
static void leave_the_lowest(void)
{
    process_put_to_sleep(vm, new_process(1), false);
    process_put_to_sleep(vm, new_process(3), false);
    give_way();
    end();
    assert_int_equal(vm->lists_in_use, 1);
}

/* As Smalltalk code does it, unseen by the VM. */
static void put_on_list(oop process, int number)
{
    oop list = slot(lists, number - 1);

    heap_store(&vm->heap, list, LIST_FIRST, process);
    heap_store(&vm->heap, list, LIST_LAST, process);
}

static void what_was_put_above_the_remembered_lists_runs(void **state)
{
    oop first = active(), third = new_process(3), fifth = new_process(5);

    process_put_to_sleep(vm, third, false);
    give_way();
    assert_int_equal(active(), third);
    assert_int_equal(vm->lists_in_use, 3);
    process_put_to_sleep(vm, fifth, false);
    give_way();
    assert_int_equal(active(), fifth);
    end();
    assert_int_equal(active(), third);
    end();
    assert_int_equal(active(), first);
    assert_int_equal(vm->lists_in_use, 1);
}

static void what_the_image_puts_on_a_list_runs_after_a_safepoint(void **state)
{
    oop fourth = new_process(4);

    leave_the_lowest();
    put_on_list(fourth, 4);
    vm_safepoint(vm, true);
    give_way();
    assert_int_equal(active(), fourth);
}

static void all_lists_are_searched_when_the_others_are_empty(void **state)
{
    oop fourth = new_process(4);

    leave_the_lowest();
    end();
    put_on_list(fourth, 4);
    end();
    assert_int_equal(active(), fourth);
}

/* A process of that priority waits for such a signal; the next check sends
 * it if it is due. */
static oop waiter(enum special_object signal, int priority)
{
    oop waiting = new_process(priority);
    oop semaphore = new_list(TINY_SEMAPHORE, 3);

    slots(semaphore)[SEM_EXCESS] = int_oop(0);
    heap_store(&vm->heap, semaphore, LIST_FIRST, waiting);
    heap_store(&vm->heap, semaphore, LIST_LAST, waiting);
    heap_store(&vm->heap, waiting, PROC_LIST, semaphore);
    heap_store(&vm->heap, vm->heap.special, signal, semaphore);
    vm->check_wanted = 1;
    return waiting;
}

/* Somebody waits for the interrupt key, which was pressed. */
static oop interrupt(void)
{
    vm->interrupt_pending = true;
    return waiter(SPL_INTERRUPT_SEMAPHORE, 4);
}

static void a_block_being_entered_is_not_left(void **state)
{
    oop first = active(), waiting = interrupt();

    vm->entered = frame_result(vm->fp);
    runtime_safepoint(vm);
    assert_int_equal(active(), first);
    assert_null(vm->entered);
    runtime_safepoint(vm);
    assert_int_equal(active(), waiting);
}

/* The block had no frame to make, or none here. */
static void another_frame_is_left(void **state)
{
    oop waiting = interrupt();

    vm->entered = frame_result(vm->fp) + 1;
    runtime_safepoint(vm);
    assert_int_equal(active(), waiting);
    assert_null(vm->entered);
}

/* He is to see whom he preempted, not whom a timer woke since. */
static void who_is_told_of_low_space_runs_before_other_signals(void **state)
{
    oop watcher = waiter(SPL_LOW_SPACE_SEMAPHORE, 3);
    oop timed = waiter(SPL_TIMER_SEMAPHORE, 4);

    vm->heap.low_space_signalled = true;
    vm->timer_at = 1;
    runtime_safepoint(vm);
    assert_int_equal(active(), watcher);
    runtime_safepoint(vm);
    assert_int_equal(active(), watcher);
    vm->quiet_until = 1;
    runtime_safepoint(vm);
    assert_int_equal(active(), timed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(what_was_put_above_the_remembered_lists_runs),
        TEST(what_the_image_puts_on_a_list_runs_after_a_safepoint),
        TEST(all_lists_are_searched_when_the_others_are_empty),
        TEST(a_block_being_entered_is_not_left),
        TEST(another_frame_is_left),
        TEST(who_is_told_of_low_space_runs_before_other_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
