/*
 * process.h - what the process primitives and vm.c use of process.c.
 *
 * Whatever switches processes needs the running frame's context to exist: ask
 * process_can_switch first, and fail for lack of memory if it does not. Most
 * signals let nobody run who preempts: these need no context.
 */
#pragma once

#include "vm/frame.h"

void process_init(struct vm *vm);
void process_own_heap(struct vm *vm); /* the collector asks us for roots */

bool process_can_switch(struct vm *vm);
bool list_is_empty(struct vm *vm, oop list);
bool list_remove(struct vm *vm, oop list, oop process);
/* Puts a process on its priority's run queue. */
void process_put_to_sleep(struct vm *vm, oop process, bool preempted);
/* Is its priority above the running one's? */
bool process_preempts(struct vm *vm, oop process);
/* Runs one that preempts now. */
void process_run(struct vm *vm, oop process);
/* The running process waits in `list`; the next one runs. */
void process_wait_on(struct vm *vm, oop list);
void process_switch_to_highest(struct vm *vm);
/* Do others of the same priority want to run? Lets them. */
bool process_has_peers(struct vm *vm);
void process_yield(struct vm *vm);
oop process_first(struct vm *vm, oop list); /* nil: it is empty */
oop process_take_first(struct vm *vm, oop list);
