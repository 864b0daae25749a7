/*
 * vm.c - making a machine from an image, running it, ending it; become, which
 * touches every part; the stack dump.
 */
#include "vm/vm.h"
#include "vm/graphics/bitblt_loops.h"
#include "vm/jit/deopt.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"
#include "vm/process.h"
#include "vm/ui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vm *running; /* for dumps, which know no vm */

static unsigned wanted_pages(const struct vm *vm)
{
    unsigned n = vm->heap.want_stack_pages;

    if (n < PAGES_DEFAULT)
        return PAGES_DEFAULT;
    return n > 1024 ? 1024 : n;
}

/* What objects may take of the platform's memory: machine code has a zone of
 * its own, and the marking table is a 32nd of what it describes. */
static uint64_t memory_for_objects(const struct vm_options *options)
{
    uint64_t all = options->memory_limit;

    if (all)
        return all;
    all = plat_memory_limit();
    if (options->jit && all > JIT_ZONE_BYTES)
        all -= JIT_ZONE_BYTES;
    return all - all / 33;
}

struct vm *vm_create(const struct vm_options *options, const char **why)
{
    struct vm *vm;

    *why = "no such loops to draw with on this processor";
    if (!blt_choose_loops(options->blit))
        return NULL;
    vm = calloc(1, sizeof *vm);
    *why = "no memory for the machine";
    if (!vm)
        return NULL;
    vm->options = *options;
    vm->started_usecs = plat_usecs();
    vm->session = (uint32_t)plat_utc_usecs() | 1;
    snprintf(vm->image_name, sizeof vm->image_name, "%s", options->image_name);
    if (heap_load(&vm->heap, options->image_name, memory_for_objects(options),
                  options->eden_bytes, why) < 0) {
        free(vm);
        return NULL;
    }
    process_own_heap(vm);
    if (frame_init(vm, wanted_pages(vm)) < 0 || ui_init(vm) < 0) {
        vm_destroy(vm);
        *why = "no memory for the stack";
        return NULL;
    }
    (void)jit_init(vm); /* without, everything is interpreted */
    return vm;
}

const char *vm_blit_loops(void)
{
    return blt_loops->name;
}

void vm_destroy(struct vm *vm)
{
    running = NULL;
    process_init(NULL);
    ui_destroy(vm);
    jit_destroy(vm);
    frame_destroy(vm);
    heap_destroy(&vm->heap);
    free(vm);
}

void vm_run(struct vm *vm)
{
    running = vm;
    process_init(vm);
    if (!vm_resume(vm, process_start(vm)))
        plat_panic("the image's active process cannot run");
    interpret(vm);
}

/* --- become --- */

static oop follow(struct heap *h, oop o)
{
    return heap_follow(o);
}

void vm_follow_forwarders(struct vm *vm)
{
    struct heap *h = &vm->heap;
    uint64_t i;

    vm->forwarders = vm->new_forwarders = true;
    jit_follow_forwarders(vm);
    vm_flush_caches(vm);
    frame_visit_roots(vm, follow);
    if (vm->method)
        vm->method = heap_follow(vm->method);
    for (i = 0; i < slot_count(h->special); i++)
        heap_store(h, h->special, i, heap_follow(slot(h->special, i)));
    vm->reload = true;
}

static bool has_married_context(oop array)
{
    uint64_t i;

    for (i = 0; i < slot_count(array); i++) {
        oop o = heap_follow(slot(array, i));

        if (is_context(o) && context_is_married(o))
            return true;
    }
    return false;
}

static bool is_array(oop o)
{
    return is_pointer(o) && format_of(o) == FMT_ARRAY;
}

int vm_become(struct vm *vm, oop from, oop to, bool two_way, bool copy_hash)
{
    oop top = 0;
    int error;

    if (!is_array(from))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_array(to) || slot_count(from) != slot_count(to))
        return PRIM_ERR_BAD_ARGUMENT;
    if (has_married_context(from) || has_married_context(to)) {
        top = vm_unmarry_all(vm);
        if (!top)
            return PRIM_ERR_NO_MEMORY;
    }
    if (vm->page && !deopt_all(vm)) /* it trusts classes */
        return PRIM_ERR_NO_MEMORY;
    error = heap_become(&vm->heap, from, to, two_way, copy_hash);
    if (top && !vm_resume(vm, top))
        plat_panic("the running context became something else");
    if (!error)
        vm_follow_forwarders(vm);
    return error;
}

/* --- the dump: trusts nothing but that memory can be read --- */

static void put(int fd, const char *s)
{
    plat_write(fd, s, strlen(s));
}

static void put_name(int fd, oop o)
{
    if (is_bytes(o) && byte_count(o) < 200)
        plat_write(fd, (const char *)bytes(o), byte_count(o));
    else
        put(fd, "?");
}

/* The name of a class is at slot 6, of a metaclass's instance likewise. */
static void put_class(struct vm *vm, int fd, oop class)
{
    oop o = class;

    if (!is_pointer(o) || !format_is_pointers(format_of(o))) {
        put(fd, "?");
        return;
    }
    if (slot_count(o) == 6) {
        o = heap_follow(slot(o, 5));
        if (is_pointer(o) && slot_count(o) > 6)
            put_name(fd, heap_follow(slot(o, 6)));
        put(fd, " class");
    } else if (slot_count(o) > 6) {
        put_name(fd, heap_follow(slot(o, 6)));
    }
}

/* Selector of a method: its last literal but one, or slot 1 of that. */
static oop selector_of(oop method)
{
    unsigned n = code_num_literals(method);
    oop o;

    if (n < 2)
        return 1;
    o = heap_follow(code_literal(method, n - 2));
    if (is_pointer(o) && format_is_pointers(format_of(o)) &&
        slot_count(o) > 1)
        o = heap_follow(slot(o, 1));
    return o;
}

static oop method_class(oop method)
{
    unsigned n = code_num_literals(method);
    oop o;

    if (n < 1)
        return 1;
    o = heap_follow(code_literal(method, n - 1));
    return is_pointer(o) && format_is_pointers(format_of(o)) &&
                   slot_count(o) > 1
               ? heap_follow(slot(o, 1))
               : 1;
}

static void put_activation(struct vm *vm, int fd, oop method, oop receiver,
                           bool is_block)
{
    oop class = heap_class_of(&vm->heap, receiver), home;
    int depth;

    for (depth = 0; depth < 20 && is_code(method); depth++) {
        unsigned n = code_num_literals(method);

        home = n ? heap_follow(code_literal(method, n - 1)) : 1;
        if (!is_code(home))
            break;
        method = home;
    }
    if (is_block)
        put(fd, "[] in ");
    put_class(vm, fd, class);
    if (is_code(method)) {
        home = method_class(method);
        if (home != class) {
            put(fd, "(");
            put_class(vm, fd, home);
            put(fd, ")");
        }
        put(fd, ">>");
        put_name(fd, selector_of(method));
    }
    put(fd, "\n");
}

void vm_dump_stack(int fd)
{
    struct vm *vm = running;
    struct walk w;
    int n;

    if (!vm || !vm->page)
        return;
    w = (struct walk){ vm->fp, vm->fp[FRAME_CONTEXT] };
    for (n = 0; n < 200 && !walk_at_end(vm, w); n++) {
        if (w.fp)
            put_activation(vm, fd, w.fp[FRAME_METHOD], w.fp[FRAME_RECEIVER],
                           w.fp[FRAME_CLOSURE] != 0);
        else
            put_activation(vm, fd, heap_follow(slot(w.context, CTX_METHOD)),
                           heap_follow(slot(w.context, CTX_RECEIVER)),
                           slot(w.context, CTX_CLOSURE) != vm->heap.nil);
        w = walk_sender(vm, w);
    }
}
