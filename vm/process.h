/*
 * process.h - what the process primitives and vm.c use of process.c.
 *
 * Whatever may switch processes needs the running frame's context to exist:
 * ask process_can_switch first, and fail for lack of memory if it does not.
 */
#pragma once

#include "vm/frame.h"

void process_init(struct vm *vm);
void process_own_heap(struct vm *vm); /* the collector asks us for roots */

bool process_can_switch(struct vm *vm);
bool list_is_empty(struct vm *vm, oop list);
bool list_remove(struct vm *vm, oop list, oop process);
/* Runs a process now if its priority is above the running one's. */
void process_resume(struct vm *vm, oop process);
/* The running process waits in `list`; the next one runs. */
void process_wait_on(struct vm *vm, oop list);
void process_switch_to_highest(struct vm *vm);
/* Lets others of the same priority run; false: there are none. */
bool process_yield(struct vm *vm);
oop process_take_first(struct vm *vm, oop list);
