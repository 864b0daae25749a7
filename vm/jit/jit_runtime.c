/*
 * jit_runtime.c - what machine code calls in C.
 *
 * Functions named in transitions (jit_stubs.c) find the registers in the vm:
 * vm->pc is the native return address, and the machine goes on with whatever
 * the registers are afterwards; an answer is pushed. The others are leaves.
 */
#include "vm/interp_slow.h"
#include "vm/jit/jit_private.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

/* --- transitions --- */

/* The primitive of vm->method did not simply succeed. */
void runtime_primitive(struct vm *vm, int result)
{
    if (result != PRIM_ACTIVATED && result != PRIM_NO_SWITCH) {
        vm_finish_primitive(vm, vm->code_primitive, vm->argc, result);
        return;
    }
    jit_take_over(vm);
    if (vm->sp < vm->stack_limit)
        vm_safepoint(vm, result == PRIM_ACTIVATED);
}

/* Not in the frame of a block that is just being entered by a primitive which
 * forbids it; what may be asked for then waits for the next safepoint. */
void runtime_safepoint(struct vm *vm)
{
    bool may_switch = vm->entered != frame_result(vm->fp);

    vm->entered = NULL;
    vm_safepoint(vm, may_switch);
}

void runtime_safepoint_no_switch(struct vm *vm) { vm_safepoint(vm, false); }

/* The running frame goes on interpreted after this call. */
static void go_on_interpreted(struct vm *vm)
{
    vm->pc = jit_bytecode_pc(vm, vm->fp, vm->pc);
}

void runtime_interpret(struct vm *vm) { go_on_interpreted(vm); }

void runtime_return(struct vm *vm, oop answer)
{
    go_on_interpreted(vm);
    vm_return(vm, answer);
}

void runtime_block_return(struct vm *vm, oop answer)
{
    go_on_interpreted(vm);
    vm_local_return(vm, answer);
}

void runtime_must_be_boolean(struct vm *vm, oop value)
{
    go_on_interpreted(vm);
    *--vm->sp = value;
    vm_send(vm, heap_special(&vm->heap, SPL_SEL_MUST_BE_BOOLEAN), 0);
}

void runtime_read_only(struct vm *vm, oop o, oop value, uint64_t index)
{
    go_on_interpreted(vm);
    slow_attempt_to_assign(vm, o, value, index);
}

static void no_memory(struct vm *vm)
{
    if (!vm_collect(vm))
        plat_panic("out of memory");
}

oop runtime_context(struct vm *vm)
{
    oop context;

    while (!(context = frame_context(vm, vm->fp)))
        no_memory(vm);
    *--vm->sp = context;
    return context;
}

oop runtime_process(struct vm *vm)
{
    *--vm->sp = vm_active_process(vm);
    return *vm->sp;
}

oop runtime_full_block(struct vm *vm, uint64_t literal, uint64_t flags)
{
    oop closure;

    while (!(closure = slow_new_full_block(vm, literal, (unsigned)flags)))
        no_memory(vm);
    vm->sp += (flags & 63) + (flags >> 7);
    *--vm->sp = closure;
    return closure;
}

oop runtime_block(struct vm *vm, uint64_t args, uint64_t copied,
                  uint64_t body)
{
    oop closure;

    while (!(closure = slow_new_block(vm, (unsigned)args, (unsigned)copied,
                                    bytes(vm->fp[FRAME_METHOD]) + body)))
        no_memory(vm);
    vm->sp += copied;
    *--vm->sp = closure;
    return closure;
}

oop runtime_new_array(struct vm *vm, uint64_t n, uint64_t filled)
{
    oop array;

    while (!(array = slow_new_array(vm, (unsigned)n, filled)))
        no_memory(vm);
    if (filled)
        vm->sp += n;
    *--vm->sp = array;
    return array;
}

oop runtime_slot(struct vm *vm, uint64_t index)
{
    oop value = vm_slot(vm, vm->fp[FRAME_RECEIVER], index);

    *--vm->sp = value;
    return value;
}

void runtime_store_slot(struct vm *vm, uint64_t index, oop value)
{
    vm_set_slot(vm, vm->fp[FRAME_RECEIVER], index, value);
}

/* A closure that its block's code does not fit. */
void runtime_run_block(struct vm *vm, uint64_t unused, oop closure)
{
    int argc = (int)int_value(slot(closure, CLOSURE_NUM_ARGS));

    if (class_index_of(closure) == CLS_BLOCK_CLOSURE)
        frame_push_block(vm, closure, argc);
    else
        frame_push_full_block(vm, closure, argc);
    if (vm->sp < vm->stack_limit)
        vm_safepoint(vm, true);
}

/* --- leaves --- */

void runtime_barrier(struct vm *vm, oop o, oop *at, oop value)
{
    heap_barrier(&vm->heap, o, (uint64_t)(at - slots(o)), value);
}

uint64_t runtime_identical(struct vm *vm, oop a, oop b)
{
    return vm_same(vm, a, b);
}

oop runtime_class_of(struct vm *vm, oop o)
{
    return heap_class_of(&vm->heap, followed(o));
}

oop runtime_follow(struct vm *vm, oop o) { return followed(o); }

void runtime_widow(struct vm *vm, oop *fp) { frame_widow(vm, fp); }
