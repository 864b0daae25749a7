/*
 * tiny_code.h - methods assembled by hand, in a VM with the tiny image.
 *
 * Such a method runs until it sends `stop` (literal 0): the method cache then
 * has a C function for it, which keeps the value below the receiver in
 * `result` and leaves the loop through `out`. Literal 1 is the selector
 * `call`, for what a test enters in the cache itself.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/frame.h"
#include "vm/primitives/prim.h"

enum { LITERALS = 6, SISTA = 1, V3 = 0 };
#define CODE(...) (const uint8_t[]){ __VA_ARGS__ }, \
                  sizeof((const uint8_t[]){ __VA_ARGS__ })

static struct vm *vm;
static jmp_buf out;
static oop result, stop_selector, call_selector;

static int stop(struct vm *m, int argc)
{
    result = m->sp[1];
    longjmp(out, 1);
}

/* Makes `vm`. 0 or -1, for cmocka. */
static int make_vm(bool jit)
{
    struct tiny *t = tiny_image();
    struct vm_options options = { .vm_path = "test", .jit = jit };
    char name[64];
    const char *why = "";

    snprintf(name, sizeof name, "/tmp/aerostat-unit.%d", getpid());
    tiny_write(t, name);
    free(t);
    options.image_name = name;
    options.memory_limit = 64 << 20;
    vm = vm_create(&options, &why);
    unlink(name);
    stop_selector = int_oop(101); /* any oops that are no selectors */
    call_selector = int_oop(102);
    result = 0;
    return vm ? 0 : -1;
}

/* The tiny image has no special selectors; the Array of them that it gets has
 * `more` slots behind them, nil. */
static inline void make_special_selectors(unsigned more)
{
    static const uint8_t args[32] = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 2, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0,
    };
    oop table = heap_new_old(&vm->heap, CLS_ARRAY, FMT_ARRAY, 64 + more);
    unsigned i;

    for (i = 0; i < 32; i++) {
        slots(table)[2 * i] = int_oop(1000 + i);
        slots(table)[2 * i + 1] = int_oop(args[i]);
    }
    for (i = 0; i < more; i++)
        slots(table)[64 + i] = vm->heap.nil;
    heap_store(&vm->heap, vm->heap.special, SPL_SPECIAL_SELECTORS, table);
}

static int tear_down(void **state)
{
    vm_destroy(vm);
    return 0;
}

static oop code(int set, unsigned temps, unsigned args, const uint8_t *b,
                size_t n)
{
    oop m = heap_new_old(&vm->heap, TINY_METHOD, FMT_CODE + (-n & 7),
                         1 + LITERALS + (n + 7) / 8);
    int64_t header = LITERALS | temps << 18 | args << 24;
    unsigned i;

    slots(m)[0] = int_oop(set == SISTA ? SMALLINT_MIN + header : header);
    for (i = 1; i <= LITERALS; i++)
        slots(m)[i] = vm->heap.nil;
    slots(m)[1] = stop_selector;
    slots(m)[2] = call_selector;
    memcpy(bytes(m) + code_first_pc(m), b, n);
    return m;
}

static void enter(oop selector, uint32_t class_index, oop method,
                  cached_primitive p)
{
    struct cache_entry *e =
        &vm->method_cache[cache_hash(selector, class_index)];

    memset(e, 0, sizeof *e);
    e->selector = selector;
    e->class_index = class_index;
    e->method = method;
    e->primitive = p;
    if (!is_code(method))
        return;
    e->pc = frame_first_bytecode(method);
    e->num_temps = (int)code_num_temps(method);
    e->is_sista = code_is_sista(method);
}

/* Runs a method from its beginning until `stop`, nil being the receiver;
 * answers what that found. */
static inline oop run_to_stop(oop method)
{
    struct heap *h = &vm->heap;
    oop ctx = heap_new_old(h, CLS_CONTEXT, FMT_FIXED_AND_INDEXED,
                           CTX_LARGE_SLOTS);

    slots(ctx)[CTX_PC] = int_oop(code_first_pc(method) + 1);
    slots(ctx)[CTX_STACKP] = int_oop(code_num_temps(method));
    slots(ctx)[CTX_METHOD] = method;
    enter(stop_selector, heap_class_index(h->nil), method, stop);
    assert_true(vm_resume(vm, ctx));
    if (!setjmp(out))
        interpret(vm);
    page_free(vm, vm->page);
    return result;
}
