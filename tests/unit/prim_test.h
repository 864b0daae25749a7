/*
 * prim_test.h - a machine that can call primitives: a heap from the tiny
 * image, a stack, and nothing that interprets.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/primitives/prim.h"

static struct vm machine, *const vm = &machine;
static struct heap *const h = &machine.heap;
static oop stack[64];

static int set_up(void **state)
{
    memset(vm, 0, sizeof *vm);
    return tiny_load(h, 64 << 20, 4 << 20);
}

static int tear_down(void **state)
{
    heap_destroy(h);
    return 0;
}

/* Calls with a receiver and arguments. What it failed with, or 0 and the
 * answer in *result. The stack must be left as the contract says. */
static inline int call(prim_fn *f, oop *result, int argc, const oop *operands)
{
    oop *top = stack + 40;
    int error, i;

    vm->sp = top - argc;
    for (i = 0; i <= argc; i++)
        vm->sp[argc - i] = operands[i];
    error = f(vm, argc);
    if (error) {
        assert_ptr_equal(vm->sp, top - argc);
        for (i = 0; i <= argc; i++)
            assert_int_equal(vm->sp[argc - i], operands[i]);
    } else {
        assert_ptr_equal(vm->sp, top);
        *result = *top;
    }
    return error;
}

static inline int call1(prim_fn *f, oop *result, oop a)
{
    return call(f, result, 0, &a);
}
static inline int call2(prim_fn *f, oop *result, oop a, oop b)
{
    const oop o[] = { a, b };

    return call(f, result, 1, o);
}
static inline int call3(prim_fn *f, oop *result, oop a, oop b, oop c)
{
    const oop o[] = { a, b, c };

    return call(f, result, 2, o);
}

/* Random numbers, the same ones in each run. */
static uint64_t random_state = 88172645463325252ull;

static inline uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 2685821657736338717ull;
}
static inline unsigned below(unsigned n)
{
    return (unsigned)(random64() >> 33) % n;
}
