/*
 * prim_vm.c - primitives on the machine itself: snapshot, quitting, its
 * parameters, its modules.
 */
#include "vm/frame.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"
#include "vm/ui.h"

#include <stdio.h>
#include <string.h>

/* --- snapshot --- */

static void show_progress(struct heap *h, uint64_t done, uint64_t total)
{
    ui_fill_bar((struct vm *)h, done, total); /* its first member */
}

/* The file says true where this machine goes on with false: a start from it
 * resumes behind the same send. */
int prim_snapshot(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    const char *why = "";
    oop ctx, process;
    bool saved;

    if (argc != 0)
        return PRIM_ERR_BAD_NUM_ARGS;
    vm->scratch[0] = *vm->sp;
    *vm->sp = h->true_;
    ctx = vm_unmarry_all(vm);
    if (!ctx) {
        *vm->sp = vm->scratch[0];
        vm->scratch[0] = 0;
        return PRIM_ERR_NO_MEMORY;
    }
    heap_store(h, vm_active_process(vm), PROC_CONTEXT, ctx);
    h->saving = show_progress;
    saved = heap_save(h, vm->image_name, &why) == 0;
    vm->forwarders = false;
    process = vm_active_process(vm);
    ctx = heap_follow(slot(process, PROC_CONTEXT));
    heap_store(h, process, PROC_CONTEXT, h->nil);
    vm_resume(vm, ctx);
    *vm->sp = saved ? h->false_ : vm->scratch[0];
    vm->scratch[0] = 0;
    vm->save_error = saved ? NULL : why;
    if (saved)
        return PRIM_OK;
    plat_write(2, why, strlen(why));
    plat_write(2, "\n", 1);
    return PRIM_ERR_OPERATION_FAILED;
}

/* --- the end --- */

static void print_pauses(const struct heap *h)
{
    static const char *const kinds[] = {
        "scavenge", "mark", "end of marking", "sweep", "full", "all"
    };
    char line[120];
    int i;

    for (i = 0; i < PAUSE_KINDS; i++) {
        const struct pauses *p = &h->stats.pauses[i];

        snprintf(line, sizeof line, "pauses, %s: %llu, %llu us, "
                 "p50 %llu, p99 %llu, longest %llu\n", kinds[i],
                 (unsigned long long)p->count, (unsigned long long)p->usecs,
                 (unsigned long long)heap_pause_percentile(h, i, 50),
                 (unsigned long long)heap_pause_percentile(h, i, 99),
                 (unsigned long long)p->longest);
        plat_write(2, line, strlen(line));
    }
}

static void print_stats(struct vm *vm)
{
    const struct interp_stats *s = &vm->stats;
    const struct heap_stats *g = &vm->heap.stats;
    char line[400];

    print_pauses(&vm->heap);
    snprintf(line, sizeof line,
             "scavenges %llu, collections of old space %llu, full %llu\n"
             "cache misses %llu, process switches %llu, checks %llu\n"
             "contexts married %llu, pages evicted %llu, overflows %llu\n"
             "ran %llu us\n",
             (unsigned long long)g->scavenges,
             (unsigned long long)g->cycles,
             (unsigned long long)g->full_gcs,
             (unsigned long long)s->cache_misses,
             (unsigned long long)s->process_switches,
             (unsigned long long)s->checks,
             (unsigned long long)s->frames_married,
             (unsigned long long)s->pages_evicted,
             (unsigned long long)s->overflows,
             (unsigned long long)(plat_usecs() - vm->started_usecs));
    plat_write(2, line, strlen(line));
    jit_print_stats(vm);
}

int prim_quit(struct vm *vm, int argc)
{
    oop code = vm->sp[0];

    if (vm->options.stats)
        print_stats(vm);
    plat_exit(argc == 1 && is_int(code) ? (int)int_value(code) : 0);
}

int prim_restart(struct vm *vm, int argc)
{
    plat_restart();
    return PRIM_ERR_UNSUPPORTED;
}

/* exitToDebugger: there is none; the image goes on. */
int prim_no_debugger(struct vm *vm, int argc)
{
    return prim_answer_self(vm, argc);
}

/* --- parameters --- */

enum { NUM_PARAMETERS = 76, FEATURES = 1 | 2 | 32 };

/* A read-only figure or a stored wish. False: no such parameter (nil). */
static bool parameter(struct vm *vm, int64_t i, uint64_t *v)
{
    const struct heap *h = &vm->heap;
    const struct heap_stats *g = &h->stats;

    switch (i) {
    case 1: *v = h->old_end - h->old_start; return true;
    case 2: *v = h->eden_free - h->eden_start; return true;
    case 3: *v = h->old_end - h->old_start + h->new_size; return true;
    case 7: *v = g->full_gcs; return true;
    case 8: *v = g->pauses[PAUSE_FULL].usecs / 1000; return true;
    case 9: *v = g->scavenges; return true;
    case 10: *v = g->pauses[PAUSE_SCAVENGE].usecs / 1000; return true;
    case 11: *v = g->tenures; return true;
    case 18: *v = g->compact_usecs / 1000; return true;
    case 20: *v = vm->started_usecs; return true;
    case 21: *v = g->remembered; return true;
    case 23: *v = h->want_extra; return true;
    case 28: *v = g->grows; return true;
    case 29: *v = g->shrinks; return true;
    case 34: *v = g->allocated_bytes; return true;
    case 40: *v = 8; return true;
    case 41: *v = h->image_format; return true;
    case 42: *v = vm->num_pages; return true;
    case 43: *v = h->want_stack_pages; return true;
    case 44: *v = h->eden_limit - h->eden_start; return true;
    case 45: *v = h->want_eden; return true;
    case 46: *v = 0; return true;
    case 47: *v = h->want_code_kb; return true;
    case 48: *v = h->image_flags >> 2; return true;
    case 49: *v = h->want_ext_sems; return true;
    case 54: *v = h->old_free_bytes; return true;
    case 56: *v = vm->stats.process_switches; return true;
    case 59: *v = vm->stats.checks; return true;
    case 60: *v = vm->stats.overflows; return true;
    case 61: *v = vm->stats.pages_evicted; return true;
    case 65: *v = FEATURES; return true;
    case 66: *v = PAGE_WORDS * 8; return true;
    case 70: *v = 1; return true;
    case 71: *v = 17; return true;
    case 72:
        *v = (g->pauses[PAUSE_MARK].usecs + g->pauses[PAUSE_FINISH].usecs) /
             1000;
        return true;
    case 73: *v = g->pauses[PAUSE_SWEEP].usecs / 1000; return true;
    case 6: case 12: case 24: case 25: case 26: case 67: case 68: case 69:
    case 74:
        *v = vm->parameters[i];
        return true;
    default:
        return false;
    }
}

static oop parameter_value(struct vm *vm, int64_t i)
{
    uint64_t v;

    if (i == 55)
        return heap_float(&vm->heap, 0.333);
    if (i == 19)
        return heap_float(&vm->heap, 0.9);
    if (i == 75)
        return vm->heap.true_;
    return parameter(vm, i, &v) ? heap_uint64(&vm->heap, v) : vm->heap.nil;
}

static bool set_parameter(struct vm *vm, int64_t i, uint64_t v)
{
    struct heap *h = &vm->heap;

    switch (i) {
    case 23: h->want_extra = (uint32_t)v; return true;
    case 43: h->want_stack_pages = (uint16_t)v; return true;
    case 45: h->want_eden = (uint32_t)v; return true;
    case 47: h->want_code_kb = (uint16_t)v; return true;
    case 48: h->image_flags = (h->image_flags & 3) | v << 2; return true;
    case 49: h->want_ext_sems = (uint16_t)v; return true;
    case 6: case 12: case 24: case 25: case 26: case 34: case 67: case 68:
    case 69: case 74:
        vm->parameters[i] = v;
        return true;
    default:
        return false;
    }
}

static int all_parameters(struct vm *vm, int argc)
{
    struct heap *h = &vm->heap;
    oop all = heap_new(h, CLS_ARRAY, FMT_ARRAY, NUM_PARAMETERS), v;
    uint64_t i;

    if (!all)
        return PRIM_ERR_NO_MEMORY;
    for (i = 0; i < NUM_PARAMETERS; i++) {
        v = parameter_value(vm, (int64_t)i + 1);
        if (!v)
            return PRIM_ERR_NO_MEMORY;
        heap_store(h, all, i, v);
    }
    return prim_answer(vm, argc, all);
}

int prim_vm_parameter(struct vm *vm, int argc)
{
    oop index, old;
    uint64_t v = 0;
    int64_t i;

    if (argc == 0)
        return all_parameters(vm, argc);
    if (argc > 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    index = vm->sp[argc - 1];
    if (!is_int(index))
        return PRIM_ERR_BAD_ARGUMENT;
    i = int_value(index);
    if (i < 1 || i > NUM_PARAMETERS)
        return PRIM_ERR_BAD_INDEX;
    old = parameter_value(vm, i);
    if (argc == 1 || !old)
        return prim_answer_new(vm, argc, old);
    if (i == 55 || i == 75) /* our heap grows by its own rule; mixed
                               arithmetic is always on */
        return prim_answer(vm, argc, old);
    if (!heap_uint64_value(vm->sp[0], &v))
        return PRIM_ERR_BAD_ARGUMENT;
    if (!set_parameter(vm, i, v))
        return PRIM_ERR_INAPPROPRIATE;
    return prim_answer(vm, argc, old);
}

/* --- modules --- */

/* All modules are part of the VM: nothing is unloaded or flushed but caches. */
int prim_unload_modules(struct vm *vm, int argc)
{
    vm_flush_caches(vm);
    return prim_answer_self(vm, argc);
}

int prim_builtin_module(struct vm *vm, int argc)
{
    oop i = vm->sp[0];
    const char *name;

    if (argc != 1 || !is_int(i) || int_value(i) < 1)
        return PRIM_ERR_BAD_ARGUMENT;
    name = int_value(i) < 1000 ? prim_module((unsigned)int_value(i) - 1) : NULL;
    if (!name)
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc, heap_new_string(&vm->heap, name));
}

int prim_loaded_module(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, vm->heap.nil);
}
