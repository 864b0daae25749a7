/*
 * prim.h - how a primitive is written.
 *
 * A primitive finds its receiver and arguments on the stack (sp[0] is the
 * last argument, sp[argc] the receiver). It either succeeds: pops them,
 * pushes the answer (prim_answer) and returns PRIM_OK; or fails: leaves the
 * stack and every object untouched and returns a PRIM_ERR_ code. Nothing
 * that it calls moves objects (heap.h), so plain C locals may hold oops.
 * PRIM_ERR_NO_MEMORY makes the interpreter collect and try once more; any
 * failure with a forwarder among the operands is retried after following.
 */
#pragma once

#include "vm/interp.h"

enum prim_result {
    PRIM_OK = 0,
    PRIM_ACTIVATED = -1, /* control primitives: frames changed, stack done */
    PRIM_NO_SWITCH = -3, /* activated, and no process switch before its code */
    PRIM_EXECUTE = -2,   /* run vm->method with vm->argc arguments, on stack */
#define PRIM_ERROR(code, name, symbol) PRIM_ERR_##name = code,
#include "vm/errors.def"
#undef PRIM_ERROR
    PRIM_TRY_FAILED = 1000, /* plus the code of a primitive that was tried */
};

typedef int prim_fn(struct vm *vm, int argc);

/* Declares every primitive of primitives.def and named_primitives.def. */
#define PRIM(number, fn) prim_fn fn;
#define NAMED(module, name, fn) prim_fn fn;
#include "vm/primitives/primitives.def"
#include "vm/primitives/named_primitives.def"
#undef PRIM
#undef NAMED

/* The function for a number, or NULL: prim_table.c. */
prim_fn *prim_numbered(unsigned number);
/* The function of a module ("" is the VM itself), or NULL. Names need not
 * end in NUL. */
prim_fn *prim_named(const char *module, size_t module_len, const char *name,
                    size_t name_len);

/* Name of the index-th module there is, or NULL. */
const char *prim_module(unsigned index);

/* Operand i counted from the receiver: 0 is the receiver, 1 the first arg. */
static inline oop prim_operand(const struct vm *vm, int argc, int i)
{
    return vm->sp[argc - i];
}
static inline int prim_answer(struct vm *vm, int argc, oop result)
{
    vm->sp += argc;
    *vm->sp = result;
    return PRIM_OK;
}
static inline int prim_answer_bool(struct vm *vm, int argc, bool b)
{
    return prim_answer(vm, argc, b ? vm->heap.true_ : vm->heap.false_);
}
/* Answers the receiver: pops the arguments. */
static inline int prim_answer_self(struct vm *vm, int argc)
{
    vm->sp += argc;
    return PRIM_OK;
}
/* For results that allocate: 0 becomes a retry after collection. */
static inline int prim_answer_new(struct vm *vm, int argc, oop result)
{
    return result ? prim_answer(vm, argc, result) : PRIM_ERR_NO_MEMORY;
}
