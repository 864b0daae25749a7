/*
 * jit.h - what the machine code compiler offers to the rest of the VM.
 *
 * A frame of machine code looks like the interpreter's (frame.h); only the pc
 * that it will go on at is the address of a machine instruction. Wherever the
 * VM keeps a pc (vm->pc, a resting page's, FRAME_PC) it may be such a native
 * pc: jit_owns tells, jit_bytecode_pc translates.
 *
 * A native pc expects the frame's top operand in a register, popped. So
 * machine code is entered by popping a value and jumping, whatever the pc is
 * of: the answer of a send is on top then, and where nothing is awaited the
 * code pushes the value again.
 *
 * Machine code returns by `ret`, so a frame that it may return to needs a
 * native FRAME_PC in the callee. When an interpreted frame calls machine
 * code, that is vm->return_to_interpreter, and the frame's real pc lies on
 * its operand stack, above the callee's result slot, as a SmallInteger: its
 * offset in the method. frame_leave and the frame walker know.
 */
#pragma once

#include "vm/interp.h"

/* What the method cache has as the primitive of a method without one: it may
 * have machine code, or get some. */
#define JIT_METHOD ((cached_primitive)(uintptr_t)1)

static inline bool jit_owns(const struct vm *vm, const void *pc)
{
    return (uint64_t)(uintptr_t)pc - vm->code_start < vm->code_bytes;
}

#ifdef NO_JIT

enum { JIT_ZONE_BYTES = 0 };
static inline int jit_init(struct vm *vm) { return 0; }
static inline void jit_destroy(struct vm *vm) {}
static inline void jit_run(struct vm *vm) {}
static inline void jit_take_over(struct vm *vm) {}
static inline void jit_take_over_loop(struct vm *vm) {}
static inline void jit_count_loops(struct vm *vm) { vm->loops_left = 1 << 30; }
static inline bool jit_wants(struct vm *vm, oop method) { return false; }
static inline uint8_t *jit_bytecode_pc(const struct vm *vm, const oop *fp,
                                       const uint8_t *pc)
{
    return (uint8_t *)(uintptr_t)pc;
}
static inline void jit_flush(struct vm *vm) {}
static inline void jit_unlink(struct vm *vm) {}
static inline void jit_unlink_selector(struct vm *vm, oop selector) {}
static inline void jit_forget(struct vm *vm, oop method) {}
static inline void jit_changed(struct vm *vm, oop method) {}
static inline void jit_visit_roots(struct vm *vm, heap_visitor visit) {}
static inline bool jit_is_alive(struct vm *vm) { return true; }
static inline void jit_follow_forwarders(struct vm *vm) {}
static inline void jit_print_stats(struct vm *vm) {}

#else

enum { JIT_ZONE_BYTES = 8 << 20 }; /* of machine code, beside the heap */

/* 0, or -1: no memory; then, and if options.jit is not set, vm->jit is NULL
 * and nothing here does anything. */
int jit_init(struct vm *vm);
void jit_destroy(struct vm *vm);
/* Runs machine code from the registers until the interpreter is to go on. */
void jit_run(struct vm *vm);
/* The running frame is an interpreted one: goes on as machine code if there
 * is some for it, or it is called often enough to be compiled now. */
void jit_take_over(struct vm *vm);
/* The same in a loop that has run for long. */
void jit_take_over_loop(struct vm *vm);
/* vm->loops_left are done, which counts as a call of the running method. */
void jit_count_loops(struct vm *vm);
/* Is it worth counting the calls of `method`? */
bool jit_wants(struct vm *vm, oop method);
/* The bytecode that a pc of frame fp stands for. */
uint8_t *jit_bytecode_pc(const struct vm *vm, const oop *fp,
                         const uint8_t *pc);
/* All machine code goes; frames go on interpreted. */
void jit_flush(struct vm *vm);
/* Sends look their methods up again: all, or those of a selector. */
void jit_unlink(struct vm *vm);
void jit_unlink_selector(struct vm *vm, oop selector);
/* `method` is replaced: what runs it may go on. */
void jit_forget(struct vm *vm, oop method);
/* `method`, or a literal of it, has changed. */
void jit_changed(struct vm *vm, oop method);
/* For a scavenge; before a full collection moves anything comes jit_flush. */
void jit_visit_roots(struct vm *vm, heap_visitor visit);
/* After marking: false if what machine code refers to has died, so that all
 * of it must go. */
bool jit_is_alive(struct vm *vm);
void jit_follow_forwarders(struct vm *vm);
void jit_print_stats(struct vm *vm);

#endif
