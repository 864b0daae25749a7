/*
 * interp.h - the machine: one struct vm, its registers, frames and processes.
 *
 * Stack pages grow down. A frame lives on a page until something needs it as
 * an object; then a Context is married to it (frame.h). The JIT will share
 * frames, method cache and primitives.
 */
#pragma once

#include "vm/heap.h"
#include "vm/vm.h"

struct ui;         /* display, cursor, event queue: ui.h */
struct stack_page; /* frame.h */

enum { METHOD_CACHE_SIZE = 2048 };

struct cache_entry {
    oop selector;
    uint64_t class_index;
    oop method;
    int (*primitive)(struct vm *vm, int argc); /* NULL: activate */
};

struct interp_stats {
    uint64_t sends, cache_misses, process_switches, checks, frames_married;
};

struct vm {
    struct heap heap; /* first: a struct heap * of a vm is the vm */

    /* Registers, in memory whenever a primitive or the collector runs. */
    oop *sp;            /* top of stack; the stack grows down */
    oop *fp;            /* current frame */
    uint8_t *pc;        /* next bytecode */
    oop method;         /* code being run */
    oop receiver;
    oop *stack_limit;   /* sp below it: safepoint (vm_force_check sets it) */
    int prim_error;     /* of the last failed primitive */
    int64_t os_error;   /* with PRIM_ERR_OS_ERROR */

    struct stack_page *pages; /* all of them */
    struct stack_page *page;  /* of fp */
    unsigned num_pages;

    struct cache_entry method_cache[METHOD_CACHE_SIZE];

    /* asynchronous signals, drained at safepoints */
    volatile int check_wanted;
    uint64_t timer_at;       /* plat_usecs of the next timer signal, 0 none */
    uint64_t next_poll;      /* plat_usecs of the next plat_poll */
    bool interrupt_pending;  /* the interrupt key was pressed */
    int input_semaphore;     /* external index, 0 none */
    uint32_t interrupt_key;

    struct ui *ui;
    struct vm_options options;
    struct interp_stats stats;
    uint64_t started_usecs;
    uint32_t session; /* handles of an earlier one are refused */
    char image_name[1024];
};

/* --- used by primitives (interp room) --- */

void vm_flush_caches(struct vm *vm);
void vm_flush_selector(struct vm *vm, oop selector);
void vm_flush_method(struct vm *vm, oop method);
/* Signals a Semaphore object now; may switch processes: at safepoints and
 * from control primitives only. */
void vm_signal(struct vm *vm, oop semaphore);
/* Every frame becomes a heap context (snapshot, become of contexts). */
void vm_unmarry_all(struct vm *vm);
/* Collections with the machine's registers saved and restored. */
void vm_scavenge(struct vm *vm);
uint64_t vm_full_gc(struct vm *vm);
/* heap_become with frames, registers and caches put right. */
int vm_become(struct vm *vm, oop from, oop to, bool two_way, bool copy_hash);
/* Slot i of any object as if frames were contexts; stackp of a context. */
oop vm_slot(struct vm *vm, oop o, uint64_t i);
void vm_set_slot(struct vm *vm, oop o, uint64_t i, oop value);
uint64_t vm_context_stackp(struct vm *vm, oop context);
oop vm_active_process(struct vm *vm);
bool vm_is_context(struct vm *vm, oop o);
