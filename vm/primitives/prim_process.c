/*
 * prim_process.c - primitives on processes, semaphores and mutexes, the
 * clocks and the timer.
 *
 * Each leaves the answer on the stack before it switches, since the process
 * goes on from there; and fails for lack of memory before it changes anything.
 */
#include "vm/platform.h"
#include "vm/primitives/prim.h"
#include "vm/process.h"

static bool is_list(oop o)
{
    return is_pointer(o) && format_is_pointers(format_of(o)) &&
           slot_count(o) > SEM_EXCESS;
}

static bool is_process(oop o)
{
    return is_pointer(o) && format_is_pointers(format_of(o)) &&
           slot_count(o) > PROC_LIST;
}

/* --- semaphores --- */

/* Lets go of the first of those who wait; it owns the list if that is a
 * mutex. */
static int resume_first(struct vm *vm, oop list, bool owns)
{
    oop process = process_first(vm, list);
    bool preempts = process_preempts(vm, process);

    if (preempts && !process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    process_take_first(vm, list);
    if (owns)
        heap_store(&vm->heap, list, MUTEX_OWNER, process);
    if (!preempts) {
        process_put_to_sleep(vm, process, false);
        return PRIM_OK;
    }
    process_run(vm, process);
    return PRIM_ACTIVATED;
}

int prim_signal(struct vm *vm, int argc)
{
    oop sem = vm->sp[0];

    if (argc != 0 || !is_list(sem))
        return PRIM_ERR_BAD_RECEIVER;
    if (!list_is_empty(vm, sem))
        return resume_first(vm, sem, false);
    vm_signal(vm, sem);
    return PRIM_OK;
}

int prim_wait(struct vm *vm, int argc)
{
    oop sem = vm->sp[0], excess;

    if (argc != 0 || !is_list(sem))
        return PRIM_ERR_BAD_RECEIVER;
    excess = slot(sem, SEM_EXCESS);
    if (is_int(excess) && int_value(excess) > 0) {
        slots(sem)[SEM_EXCESS] = int_oop(int_value(excess) - 1);
        return PRIM_OK;
    }
    if (!process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    process_wait_on(vm, sem);
    return PRIM_ACTIVATED;
}

/* --- processes --- */

int prim_resume(struct vm *vm, int argc)
{
    oop process = vm->sp[0];

    if (argc != 0 || !is_process(process) ||
        !is_context(heap_follow(slot(process, PROC_CONTEXT))))
        return PRIM_ERR_BAD_RECEIVER;
    if (!process_preempts(vm, process)) {
        process_put_to_sleep(vm, process, false);
        return PRIM_OK;
    }
    if (!process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    process_run(vm, process);
    return PRIM_ACTIVATED;
}

static int suspend_active(struct vm *vm)
{
    if (!process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    vm->sp[0] = vm->heap.nil;
    process_switch_to_highest(vm);
    return PRIM_ACTIVATED;
}

/* Off its list, which is the answer. */
int prim_suspend(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop process = vm->sp[0], list;

    if (argc != 0 || !is_process(process))
        return PRIM_ERR_BAD_RECEIVER;
    if (process == vm_active_process(vm))
        return suspend_active(vm);
    list = heap_follow(slot(process, PROC_LIST));
    if (list == h->nil || !list_remove(vm, list, process))
        return PRIM_ERR_BAD_RECEIVER;
    heap_store(h, process, PROC_LIST, h->nil);
    return prim_answer(vm, argc, list);
}

/* Bytes of an instruction with its prefixes. */
static unsigned instruction_length(const uint8_t *pc, bool is_sista)
{
#define SISTA(first, last, label, length) [first ... last] = length,
#define V3(first, last, label, length)
    static const uint8_t sista[256] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
#define SISTA(first, last, label, length)
#define V3(first, last, label, length) [first ... last] = length,
    static const uint8_t v3[256] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
    unsigned n = 0;

    if (!is_sista)
        return v3[*pc];
    while (pc[n] == 224 || pc[n] == 225)
        n += 2;
    return n + sista[pc[n]];
}

/* 1-based pc of the instruction before `pc`; 0: there is none. */
static int64_t previous_pc(oop method, int64_t pc)
{
    int64_t at = code_first_pc(method) + 1, next;

    while (at < pc) {
        next = at + instruction_length(bytes(method) + at - 1,
                                       code_is_sista(method));
        if (next >= pc)
            return at;
        at = next;
    }
    return 0;
}

/* Suspends so that resuming waits again: the context goes back to the send
 * that waits, its receiver on top of the stack. */
int prim_suspend_back_up(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop process = vm->sp[0], list, ctx;
    oop lists = heap_special(h, SPL_SCHEDULER_ASSOCIATION);
    int64_t pc;
    uint64_t stackp;

    if (argc != 0 || !is_process(process))
        return PRIM_ERR_BAD_RECEIVER;
    if (process == vm_active_process(vm))
        return suspend_active(vm);
    list = heap_follow(slot(process, PROC_LIST));
    ctx = heap_follow(slot(process, PROC_CONTEXT));
    if (list == h->nil || !is_context(ctx))
        return PRIM_ERR_OPERATION_FAILED;
    lists = slot(heap_follow(slot(heap_follow(lists), ASSOC_VALUE)),
                 SCHED_LISTS);
    lists = heap_follow(lists);
    for (uint64_t i = 0; i < slot_count(lists); i++)
        if (heap_follow(slot(lists, i)) == list)
            return prim_suspend(vm, argc);
    pc = previous_pc(vm_slot(vm, ctx, CTX_METHOD),
                     int_value(vm_slot(vm, ctx, CTX_PC)));
    stackp = vm_context_stackp(vm, ctx);
    if (!pc || !stackp || !list_remove(vm, list, process))
        return PRIM_ERR_OPERATION_FAILED;
    heap_store(h, process, PROC_LIST, h->nil);
    vm_set_slot(vm, ctx, CTX_TEMPS + stackp - 1, list);
    vm_set_slot(vm, ctx, CTX_PC, int_oop(pc));
    return prim_answer(vm, argc, h->nil);
}

int prim_yield(struct vm *vm, int argc)
{
    bool alone = !process_has_peers(vm);

    if (!alone && !process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    vm->sp += argc;
    if (alone)
        return PRIM_OK;
    process_yield(vm);
    return PRIM_ACTIVATED;
}

/* --- mutexes: a list with an owner --- */

int prim_exit_critical(struct vm *vm, int argc)
{
    oop mutex = vm->sp[0];

    if (argc != 0 || !is_list(mutex))
        return PRIM_ERR_BAD_RECEIVER;
    if (list_is_empty(vm, mutex)) {
        heap_store(&vm->heap, mutex, MUTEX_OWNER, vm->heap.nil);
        return PRIM_OK;
    }
    return resume_first(vm, mutex, true);
}

/* Takes a mutex if it is free: *answer is false; true if it was had before.
 * False: it is somebody else's. */
static bool take_or_have(struct vm *vm, int argc, oop *answer)
{
    struct heap *h = &vm->heap;
    oop mutex = vm->sp[argc], owner = heap_follow(slot(mutex, MUTEX_OWNER));
    oop me = argc ? vm->sp[0] : vm_active_process(vm);

    *answer = owner == h->nil ? h->false_ : h->true_;
    if (owner == h->nil)
        heap_store(h, mutex, MUTEX_OWNER, me);
    return owner == h->nil || owner == me;
}

int prim_enter_critical(struct vm *vm, int argc)
{
    oop mutex = vm->sp[argc], answer;

    if (argc > 1 || !is_list(mutex))
        return PRIM_ERR_BAD_RECEIVER;
    if (take_or_have(vm, argc, &answer))
        return prim_answer(vm, argc, answer);
    if (!process_can_switch(vm))
        return PRIM_ERR_NO_MEMORY;
    vm->sp += argc;
    *vm->sp = vm->heap.false_;
    process_wait_on(vm, mutex);
    return PRIM_ACTIVATED;
}

int prim_test_and_set_owner(struct vm *vm, int argc)
{
    oop answer;

    if (argc > 1 || !is_list(vm->sp[argc]))
        return PRIM_ERR_BAD_RECEIVER;
    if (!take_or_have(vm, argc, &answer))
        answer = vm->heap.nil;
    return prim_answer(vm, argc, answer);
}

/* --- clocks --- */

enum { MS_MASK = 0x1fffffff };
#define SECONDS_1901_TO_1970 2177452800ll

static int64_t usecs_since_1901(void)
{
    return plat_utc_usecs() + SECONDS_1901_TO_1970 * 1000000;
}

static int64_t millisecond_clock(struct vm *vm)
{
    return (int64_t)((plat_usecs() - vm->started_usecs) / 1000) & MS_MASK;
}

int prim_millisecond_clock(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(millisecond_clock(vm)));
}

int prim_seconds_clock(struct vm *vm, int argc)
{
    return prim_answer(vm, argc,
                       int_oop(usecs_since_1901() / 1000000 +
                               plat_utc_offset()));
}

int prim_utc_microseconds(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(usecs_since_1901()));
}

int prim_local_microseconds(struct vm *vm, int argc)
{
    return prim_answer(vm, argc,
                       int_oop(usecs_since_1901() +
                               plat_utc_offset() * 1000000ll));
}

/* {microseconds UTC. seconds east of it}, in a given object if any. */
static int answer_time(struct vm *vm, int argc, int64_t utc)
{
    oop pair, usecs = heap_int64(&vm->heap, utc);

    if (argc > 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    pair = argc ? vm->sp[0] : heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 2);
    if (!pair || !usecs)
        return PRIM_ERR_NO_MEMORY;
    if (!is_pointer(pair) || !format_is_pointers(format_of(pair)) ||
        slot_count(pair) < 2 || vm_is_context(vm, pair))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(pair))
        return PRIM_ERR_NO_MODIFICATION;
    heap_store(&vm->heap, pair, 0, usecs);
    slots(pair)[1] = int_oop(plat_utc_offset());
    return prim_answer(vm, argc, pair);
}

int prim_utc_with_offset(struct vm *vm, int argc)
{
    return answer_time(vm, argc, plat_utc_usecs());
}

int prim_utc_with_offset_1901(struct vm *vm, int argc)
{
    return answer_time(vm, argc, usecs_since_1901());
}

/* The platform looks for the time zone whenever it is asked. */
int prim_update_time_zone(struct vm *vm, int argc)
{
    return prim_answer_self(vm, argc);
}

/* --- the timer --- */

/* `wait` microseconds from now; a nil semaphore disarms. */
static int set_timer(struct vm *vm, int argc, oop semaphore, int64_t wait)
{
    struct heap *h = &vm->heap;

    if (semaphore != h->nil && !is_list(semaphore))
        return PRIM_ERR_BAD_ARGUMENT;
    heap_store(h, h->special, SPL_TIMER_SEMAPHORE, semaphore);
    vm->timer_at = 0;
    if (semaphore != h->nil) {
        vm->timer_at = plat_usecs() + (wait > 0 ? (uint64_t)wait : 0);
        vm_force_check();
    }
    return prim_answer_self(vm, argc);
}

int prim_signal_at_milliseconds(struct vm *vm, int argc)
{
    int64_t wait;

    if (argc != 2 || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    wait = (int_value(vm->sp[0]) - millisecond_clock(vm)) & MS_MASK;
    if (wait > MS_MASK / 2)
        wait = 0; /* it is past */
    return set_timer(vm, argc, vm->sp[1], wait * 1000);
}

int prim_signal_at_utc(struct vm *vm, int argc)
{
    int64_t at = 0;

    if (argc != 2 || (vm->sp[1] != vm->heap.nil &&
                      !heap_int64_value(vm->sp[0], &at)))
        return PRIM_ERR_BAD_ARGUMENT;
    return set_timer(vm, argc, vm->sp[1], at - usecs_since_1901());
}

/* Nothing to run: sleeps until the time is over or something comes up. A
 * collection that runs is brought on instead. */
int prim_relinquish(struct vm *vm, int argc)
{
    uint64_t until;

    if (argc != 1 || !is_int(vm->sp[0]) || int_value(vm->sp[0]) < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    until = plat_usecs() + (uint64_t)int_value(vm->sp[0]);
    if (vm->timer_at && vm->timer_at < until)
        until = vm->timer_at;
    if (heap_cycle_runs(&vm->heap))
        vm_collect_step(vm);
    else if (!vm->external_pending && !vm->interrupt_pending)
        plat_idle(until);
    vm_force_check();
    return prim_answer_self(vm, argc);
}
