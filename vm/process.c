/*
 * process.c - processes, semaphores, signals, and the safepoint.
 *
 * Owns the run queues' protocol and everything asynchronous: nothing signals
 * a semaphore or collects but at vm_safepoint or in a primitive that says so.
 */
#include "vm/process.h"
#include "vm/jit/deopt.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"

enum { QUIET_USECS = 5000 }; /* ample for finding out who was preempted */

static struct vm *the_vm; /* for interrupts, which know no vm */

void process_init(struct vm *vm)
{
    the_vm = vm;
}

/* --- lists --- */

/* Slot i of one of the scheduler's objects: mostly nothing is a forwarder. */
static inline oop field(const struct vm *vm, oop o, uint64_t i)
{
    oop value = slot(o, i);

    return vm->forwarders ? followed(value) : value;
}

static inline oop scheduler(const struct vm *vm)
{
    return field(vm, field(vm, vm->heap.special, SPL_SCHEDULER_ASSOCIATION),
                 ASSOC_VALUE);
}

static inline oop active(const struct vm *vm)
{
    return field(vm, scheduler(vm), SCHED_ACTIVE);
}

oop vm_active_process(struct vm *vm) { return active(vm); }

static void add_last(struct vm *vm, oop list, oop process)
{
    struct heap *h = &vm->heap;

    if (field(vm, list, LIST_FIRST) == h->nil)
        heap_store(h, list, LIST_FIRST, process);
    else
        heap_store(h, field(vm, list, LIST_LAST), PROC_NEXT, process);
    heap_store(h, list, LIST_LAST, process);
    heap_store(h, process, PROC_LIST, list);
}

static void add_first(struct vm *vm, oop list, oop process)
{
    struct heap *h = &vm->heap;
    oop first = field(vm, list, LIST_FIRST);

    if (first == h->nil)
        heap_store(h, list, LIST_LAST, process);
    else
        heap_store(h, process, PROC_NEXT, first);
    heap_store(h, list, LIST_FIRST, process);
    heap_store(h, process, PROC_LIST, list);
}

bool list_is_empty(struct vm *vm, oop list)
{
    return field(vm, list, LIST_FIRST) == vm->heap.nil;
}

static oop remove_first(struct vm *vm, oop list)
{
    struct heap *h = &vm->heap;
    oop first = field(vm, list, LIST_FIRST);
    oop next = field(vm, first, PROC_NEXT);

    if (next == h->nil || first == field(vm, list, LIST_LAST)) {
        heap_store(h, list, LIST_LAST, h->nil);
        next = h->nil;
    }
    heap_store(h, list, LIST_FIRST, next);
    heap_store(h, first, PROC_NEXT, h->nil);
    return first;
}

bool list_remove(struct vm *vm, oop list, oop process)
{
    struct heap *h = &vm->heap;
    oop p = field(vm, list, LIST_FIRST), next;

    if (p == process) {
        remove_first(vm, list);
        return true;
    }
    for (; p != h->nil; p = next) {
        next = field(vm, p, PROC_NEXT);
        if (next != process)
            continue;
        heap_store(h, p, PROC_NEXT, field(vm, process, PROC_NEXT));
        if (field(vm, list, LIST_LAST) == process)
            heap_store(h, list, LIST_LAST, p);
        heap_store(h, process, PROC_NEXT, h->nil);
        return true;
    }
    return false;
}

static int64_t priority_of(oop process)
{
    oop p = slot(process, PROC_PRIORITY);

    return is_int(p) ? int_value(p) : 1;
}

/* The number of a process's run list, from 0. */
static uint64_t run_index(oop lists, oop process)
{
    int64_t n = (int64_t)slot_count(lists), i = priority_of(process) - 1;

    if (i < 0)
        return 0;
    return (uint64_t)(i < n ? i : n - 1);
}

/* --- switching --- */

/* Puts the running process away and `process` in its place. The running
 * frame has a context already. */
static bool switch_to(struct vm *vm, oop sched, oop process)
{
    struct heap *h = &vm->heap;
    oop ctx = field(vm, process, PROC_CONTEXT);

    if (!is_context(ctx))
        return false;
    if (vm->page) {
        frame_rest(vm);
        heap_store(h, field(vm, sched, SCHED_ACTIVE), PROC_CONTEXT,
                   vm->fp[FRAME_CONTEXT]);
        vm->page = NULL;
    }
    if (!vm_resume(vm, ctx))
        return false;
    vm->stats.process_switches++;
    heap_store(h, sched, SCHED_ACTIVE, process);
    heap_store(h, process, PROC_CONTEXT, h->nil);
    heap_store(h, process, PROC_LIST, h->nil);
    return true;
}

/* Number of the highest list below number `n` that has any; n: none has. */
static uint64_t highest_below(struct vm *vm, oop lists, uint64_t n)
{
    uint64_t i = n;

    while (i-- > 0)
        if (slot(slot(lists, i), LIST_FIRST) != vm->heap.nil &&
            !list_is_empty(vm, followed(slot(lists, i))))
            return i; /* a forwarder's first slot says where to */
    return n;
}

/* The first of the highest list that has any is taken off it. Most lists are
 * empty and stay so: the search begins where the last one ended, or higher if
 * something was put there since. */
static oop next_process(struct vm *vm, oop sched)
{
    oop lists = field(vm, sched, SCHED_LISTS);
    uint64_t n = slot_count(lists), top = vm->lists_in_use, i;

    if (!top || top > n)
        top = n;
    i = highest_below(vm, lists, top);
    if (i == top)
        i = highest_below(vm, lists, top = n);
    if (i == top)
        plat_panic("no process can run");
    vm->lists_in_use = i + 1;
    return remove_first(vm, field(vm, lists, i));
}

void process_switch_to_highest(struct vm *vm)
{
    oop sched = scheduler(vm);

    while (!switch_to(vm, sched, next_process(vm, sched)))
        ; /* one whose context is dead is dropped */
}

void process_put_to_sleep(struct vm *vm, oop process, bool preempted)
{
    oop lists = field(vm, scheduler(vm), SCHED_LISTS), list;
    uint64_t i = run_index(lists, process);

    if (i >= vm->lists_in_use && vm->lists_in_use)
        vm->lists_in_use = i + 1;
    list = field(vm, lists, i);
    if (preempted && (vm->heap.image_flags & 16))
        add_first(vm, list, process);
    else
        add_last(vm, list, process);
}

bool process_preempts(struct vm *vm, oop process)
{
    return priority_of(process) > priority_of(active(vm));
}

void process_run(struct vm *vm, oop process)
{
    process_put_to_sleep(vm, active(vm), true);
    if (!switch_to(vm, scheduler(vm), process))
        process_switch_to_highest(vm);
}

void process_wait_on(struct vm *vm, oop list)
{
    add_last(vm, list, active(vm));
    process_switch_to_highest(vm);
}

bool process_has_peers(struct vm *vm)
{
    oop sched = scheduler(vm), lists = field(vm, sched, SCHED_LISTS);
    uint64_t i = run_index(lists, field(vm, sched, SCHED_ACTIVE));

    return !list_is_empty(vm, field(vm, lists, i));
}

void process_yield(struct vm *vm)
{
    process_put_to_sleep(vm, active(vm), false);
    process_switch_to_highest(vm);
}

oop process_first(struct vm *vm, oop list)
{
    return field(vm, list, LIST_FIRST);
}

oop process_take_first(struct vm *vm, oop list)
{
    return remove_first(vm, list);
}

bool process_can_switch(struct vm *vm)
{
    if (frame_is_optimised(vm->fp) && !deopt_for_switch(vm) &&
        !page_deoptimise(vm, vm->page))
        return false;
    return frame_context(vm, vm->fp) != 0;
}

void vm_signal(struct vm *vm, oop semaphore)
{
    oop excess;

    semaphore = followed(semaphore);
    if (!list_is_empty(vm, semaphore)) {
        oop process = remove_first(vm, semaphore);

        if (process_preempts(vm, process))
            process_run(vm, process);
        else
            process_put_to_sleep(vm, process, false);
        return;
    }
    excess = slot(semaphore, SEM_EXCESS);
    slots(semaphore)[SEM_EXCESS] =
        is_int(excess) ? int_oop(int_value(excess) + 1) : int_oop(1);
}

/* --- asynchronous signals --- */

void vm_force_check(void)
{
    struct vm *vm = the_vm;

    if (!vm)
        return;
    vm->check_wanted = 1;
    vm->stack_limit = (oop *)UINTPTR_MAX;
}

void vm_signal_semaphore(int index)
{
    struct vm *vm = the_vm;

    if (!vm || index < 1 || index > EXTERNAL_MAX)
        return;
    __atomic_fetch_add(&vm->external[index - 1], 1, __ATOMIC_SEQ_CST);
    vm->external_pending = true;
    vm_force_check();
}

void vm_console_ready(void)
{
    if (the_vm)
        vm_signal_semaphore(the_vm->console_semaphore);
}

/* Signals a special object if it is a Semaphore. Marries the running frame
 * first, since the signal may switch; at a safepoint that may collect. */
static void signal_object(struct vm *vm, oop o)
{
    vm->scratch[3] = o;
    while (!process_can_switch(vm))
        if (!vm_collect(vm))
            plat_panic("no memory to switch processes");
    o = followed(vm->scratch[3]);
    vm->scratch[3] = 0;
    if (is_pointer(o) && format_is_pointers(format_of(o)) &&
        slot_count(o) > SEM_EXCESS)
        vm_signal(vm, o);
}

static void signal_special(struct vm *vm, enum special_object s)
{
    if (heap_special(&vm->heap, s) != vm->heap.nil)
        signal_object(vm, heap_special(&vm->heap, s));
}

static void signal_externals(struct vm *vm)
{
    uint64_t i;
    uint32_t n;

    vm->external_pending = false;
    for (i = 0; i < EXTERNAL_MAX; i++) {
        if (!vm->external[i])
            continue;
        n = __atomic_exchange_n(&vm->external[i], 0, __ATOMIC_SEQ_CST);
        for (; n > 0; n--) {
            oop table = heap_special(&vm->heap, SPL_EXTERNAL_OBJECTS);

            table = followed(table);
            if (is_pointer(table) && format_of(table) == FMT_ARRAY &&
                i < slot_count(table) && slot(table, i) != vm->heap.nil)
                signal_object(vm, slot(table, i));
        }
    }
}

static void signal_low_space(struct vm *vm)
{
    struct heap *h = &vm->heap;

    h->low_space_signalled = false;
    h->low_space_threshold = 0;
    if (heap_special(h, SPL_LOW_SPACE_PROCESS) == h->nil)
        heap_store(h, h->special, SPL_LOW_SPACE_PROCESS,
                   active(vm));
    signal_special(vm, SPL_LOW_SPACE_SEMAPHORE);
}

/* Whom the image takes for the culprit when space is low is whoever the
 * watcher preempted. The collection before took its time, and whom a timer or
 * an event woke now would come between: these have to wait a little. */
static void take_signals(struct vm *vm, uint64_t now)
{
    vm->lists_in_use = 0; /* should the image put a process on one itself */
    if (vm->heap.low_space_signalled) {
        signal_low_space(vm);
        vm->quiet_until = plat_usecs() + QUIET_USECS;
    }
    if (now < vm->quiet_until)
        return;
    if (vm->interrupt_pending) {
        vm->interrupt_pending = false;
        signal_special(vm, SPL_INTERRUPT_SEMAPHORE);
    }
    if (vm->timer_at && plat_usecs() >= vm->timer_at) {
        vm->timer_at = 0;
        signal_special(vm, SPL_TIMER_SEMAPHORE);
    }
    if (vm->heap.finalization_pending) {
        vm->heap.finalization_pending = false;
        signal_special(vm, SPL_FINALIZATION_SEMAPHORE);
    }
    if (vm->external_pending)
        signal_externals(vm);
}

/* --- collecting --- */

static void visit_roots(void *owner, heap_visitor visit, enum roots why)
{
    struct vm *vm = owner;
    int i;

    if (why == ROOTS_YOUNG)
        lookup_flush_young(vm);
    /* machine code keeps nothing old alive */
    if (why == ROOTS_YOUNG)
        jit_visit_roots(vm, visit);
    if (why == ROOTS_MOVE) {
        jit_flush(vm);
        vm_flush_caches(vm);
    }
    frame_visit_roots(vm, visit);
    if (vm->method)
        vm->method = visit(&vm->heap, vm->method);
    for (i = 0; i < 4; i++)
        if (vm->scratch[i])
            vm->scratch[i] = visit(&vm->heap, vm->scratch[i]);
}

static void after_mark(void *owner, bool classes, bool forwarders)
{
    struct vm *vm = owner;

    if (!jit_is_alive(vm))
        jit_flush(vm);
    if (classes)
        vm_flush_caches(vm);
    else
        lookup_flush_dead(vm);
    if (!forwarders && !vm->new_forwarders)
        vm->forwarders = false;
}

void process_own_heap(struct vm *vm)
{
    const struct heap_owner owner = {
        .visit_roots = visit_roots, .owner = vm, .after_mark = after_mark
    };

    heap_set_owner(&vm->heap, &owner);
}

/* Under stress there are far too many collections to check after each. */
static void check_heap(struct vm *vm)
{
    if (!vm->options.check_heap)
        return;
    if (!frame_check(vm))
        plat_panic("a frame is damaged");
    if (vm->options.stress_gc && vm->stats.checks % 1024)
        return;
    if (heap_check(&vm->heap))
        plat_panic("the heap is damaged");
}

void vm_scavenge(struct vm *vm)
{
    heap_scavenge(&vm->heap);
    vm->reload = true;
    check_heap(vm);
}

/* Frames of processes that are garbage must not keep things alive: only the
 * running page stays a root. */
static void start_cycle(struct vm *vm)
{
    if (vm->page)
        frame_divorce_others(vm);
    vm->new_forwarders = false;
    heap_cycle_start(&vm->heap);
}

/* Steps of a millisecond, with as much between them; less as long as the
 * program fills old space faster than the cycle proceeds. Under stress, small
 * steps all the time. */
void vm_collect_step(struct vm *vm)
{
    enum { STEP = 1000, LONG_STEP = 3000, GAP = 2000 };
    struct heap *h = &vm->heap;
    bool late = heap_cycle_is_late(h);

    if (!heap_cycle_runs(h))
        return;
    heap_cycle_step(h, vm->options.stress_gc ? 0 : late ? LONG_STEP : STEP);
    vm->next_step = plat_usecs() + (late ? 0 : GAP);
    vm->reload = true;
    check_heap(vm);
}

/* Likewise. Machine code goes, so no frame can be an optimised one: without
 * memory for its contexts there is no collection. */
uint64_t vm_full_gc(struct vm *vm)
{
    uint64_t free_bytes;

    if (vm->page) {
        frame_divorce_others(vm);
        if (!deopt_all(vm))
            return heap_bytes_free(&vm->heap);
    }
    free_bytes = heap_full_gc(&vm->heap);
    vm->forwarders = false;
    vm->reload = true;
    check_heap(vm);
    return free_bytes;
}

bool vm_collect(struct vm *vm)
{
    enum { ENOUGH = 64 << 10 };

    vm_scavenge(vm);
    if (heap_bytes_free(&vm->heap) > ENOUGH)
        return true;
    return vm_full_gc(vm) > ENOUGH;
}

static void collect_if_wanted(struct vm *vm, uint64_t now)
{
    struct heap *h = &vm->heap;
    bool stress = vm->options.stress_gc;

    if (h->scavenge_wanted || (stress && vm->stats.checks % 16 == 0)) {
        vm_scavenge(vm);
        if (heap_cycle_is_late(h))
            vm_collect_step(vm);
    } else if (heap_cycle_runs(h) && (stress || now >= vm->next_step)) {
        vm_collect_step(vm);
    } else if (!h->full_gc_wanted && !h->cycle_wanted) {
        return;
    }
    if (h->full_gc_wanted)
        vm_full_gc(vm);
    if (h->cycle_wanted || (stress && !heap_cycle_runs(h)))
        start_cycle(vm);
    heap_note_visit(h, now);
}

/* --- the safepoint --- */

/* Often, but not always, or optimised code would do nothing. */
static void stress_deopt(struct vm *vm)
{
    if (vm->stats.checks % 5 == vm->stats.checks / 35 % 3 && vm->page)
        deopt_all(vm);
}

void vm_safepoint(struct vm *vm, bool may_switch)
{
    uint64_t now;

    if (vm->sp < vm->page->limit)
        frame_move_to_new_page(vm);
    if (!may_switch) {
        vm_set_limit(vm);
        return;
    }
    vm->stats.checks++;
    if (vm->options.stress_deopt)
        stress_deopt(vm);
    vm->check_wanted = 0;
    vm_set_limit(vm);
    now = plat_usecs();
    if (now >= vm->next_poll) {
        plat_poll();
        vm->next_poll = now + 1000;
    }
    collect_if_wanted(vm, now);
    while (!frame_reserve_pages(vm))
        if (!vm_collect(vm))
            plat_panic("no memory for the contexts of a deep stack");
    take_signals(vm, now);
}

oop process_start(struct vm *vm)
{
    struct heap *h = &vm->heap;
    oop process = active(vm);
    oop ctx = followed(slot(process, PROC_CONTEXT));

    heap_store(h, process, PROC_CONTEXT, h->nil);
    heap_store(h, process, PROC_LIST, h->nil);
    return ctx;
}
