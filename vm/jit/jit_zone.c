/*
 * jit_zone.c - where machine code lives, and when it goes.
 *
 * Owns the zone: the shared stubs, then pieces of code one after another.
 * When it is full everything but the stubs is thrown away; the frames that
 * ran it go on interpreted, and what is hot comes back soon.
 *
 * In scavenges, pieces whose pools have young oops are roots. A marking takes
 * no notice of machine code: if it refers to something dead, it goes.
 */
#include "vm/jit/deopt.h"
#include "vm/jit/ir.h"
#include "vm/jit/jit_private.h"
#include "vm/jit/tier2.h"
#include "vm/platform.h"

#include <stdlib.h>
#include <string.h>

/* --- life --- */

static int make_zone(struct vm *vm, struct jit *j)
{
    struct assembler a;
    void *write, *exec;

    if (plat_code_zone(JIT_ZONE_BYTES, &write, &exec) < 0)
        return -1;
    j->write = write;
    j->exec = exec;
    asm_init(&a, write, exec, JIT_ZONE_BYTES);
    stubs_make(vm, &a);
    j->used = j->stubs_end = (a.used + 63) & ~63u;
    vm->code_start = (uint64_t)(uintptr_t)exec;
    vm->code_bytes = JIT_ZONE_BYTES;
    vm->return_to_interpreter = j->stubs.return_to_interpreter;
    return 0;
}

int jit_init(struct vm *vm)
{
    struct jit *j;

    if (!vm->options.jit)
        return 0;
    j = calloc(1, sizeof *j);
    if (!j)
        return -1;
    vm->jit = j;
    j->second_tier = vm->options.jit_second;
    j->threshold = vm->options.jit_threshold < 0
                       ? THRESHOLD_DEFAULT
                       : (unsigned)vm->options.jit_threshold;
    if (j->threshold > UINT8_MAX - 1)
        j->threshold = UINT8_MAX - 1;
    if (make_zone(vm, j) == 0) {
        if (j->second_tier)
            ir_make_spare(j);
        return 0;
    }
    free(j);
    vm->jit = NULL;
    return -1;
}

static void free_code(struct jit_code *c)
{
    optimised_free(c->optimised);
    free(c->points);
    free(c);
}

void jit_destroy(struct vm *vm)
{
    struct jit *j = vm->jit;
    unsigned i;

    if (!j)
        return;
    for (i = 0; i < j->num_codes; i++)
        free_code(j->codes[i]);
    ir_free_spare(j);
    free(j->codes);
    free(j->links);
    free(j);
    vm->jit = NULL;
}

/* --- room --- */

uint8_t *zone_take(struct vm *vm, uint32_t bytes)
{
    struct jit *j = vm->jit;

    if (bytes > JIT_ZONE_BYTES - j->used)
        return NULL;
    return j->exec + j->used;
}

void zone_end(struct vm *vm, const uint8_t *end)
{
    vm->jit->used = (uint32_t)(end - vm->jit->exec + 15) & ~15u;
}

/* --- finding --- */

static struct jit_code **bucket(struct jit *j, oop method)
{
    return &j->buckets[(method >> 4 ^ method >> 16) & (CODE_BUCKETS - 1)];
}

static void enter_bucket(struct jit *j, struct jit_code *c)
{
    struct jit_code **b = bucket(j, c->method);

    if (c->kind == CODE_PIC)
        return;
    c->next = *b;
    *b = c;
}

static bool is_young_code(struct vm *vm, const struct jit_code *c)
{
    const struct optimised *o = c->optimised;
    const struct heap *h = &vm->heap;
    unsigned i;

    for (i = 0; o && i < o->num_dependencies; i++)
        if (heap_is_young(h, o->dependencies[i].selector) ||
            heap_is_young(h, o->dependencies[i].class) ||
            heap_is_young(h, o->dependencies[i].method))
            return true;
    for (i = 0; i < c->pool_count; i++)
        if (heap_is_young(h, c->pool[i]))
            return true;
    return heap_is_young(h, c->method);
}

bool zone_add(struct vm *vm, struct jit_code *c)
{
    struct jit *j = vm->jit;

    if (j->num_codes == j->codes_room) {
        unsigned room = j->codes_room ? 2 * j->codes_room : 256;
        struct jit_code **codes = realloc(j->codes, room * sizeof *codes);

        if (!codes)
            return false;
        j->codes = codes;
        j->codes_room = room;
    }
    c->young = is_young_code(vm, c);
    j->codes[j->num_codes++] = c;
    enter_bucket(j, c);
    return true;
}

struct jit_code *zone_at(const struct vm *vm, const uint8_t *address)
{
    struct jit_code *const *codes = vm->jit->codes;
    unsigned low = 0, high = vm->jit->num_codes;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (codes[middle]->base > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0 || address >= codes[low - 1]->base + codes[low - 1]->bytes)
        return NULL;
    return codes[low - 1];
}

struct jit_code *zone_find(struct vm *vm, oop method, uint32_t start)
{
    struct jit_code *c;

    for (c = *bucket(vm->jit, method); c; c = c->next)
        if (c->method == method && c->start == start &&
            c->kind != CODE_MEGAMORPHIC && !c->optimised)
            return c;
    return NULL;
}

struct jit_code *zone_find_loop(struct vm *vm, oop method, uint32_t at)
{
    struct jit_code *c;

    for (c = *bucket(vm->jit, method); c; c = c->next)
        if (c->optimised && c->method == method &&
            c->optimised->entered_at == at)
            return c;
    return NULL;
}

/* --- forgetting --- */

static void forget_tables(struct vm *vm)
{
    struct jit *j = vm->jit;

    memset(j->buckets, 0, sizeof j->buckets);
    memset(j->block_cache, 0, sizeof j->block_cache);
    memset(j->arithmetic_seen, 0, sizeof j->arithmetic_seen);
    memset(j->in_pools, 0, sizeof j->in_pools);
    links_forget(j);
}

void jit_flush(struct vm *vm)
{
    struct jit *j = vm->jit;
    unsigned i;

    if (!j || !j->num_codes)
        return;
    if (!deopt_all(vm))
        plat_panic("no memory to leave optimised code");
    frames_to_bytecode(vm);
    vm->reload = true;
    for (i = 0; i < j->num_codes; i++)
        free_code(j->codes[i]);
    j->num_codes = 0;
    j->optimised = NULL;
    j->used = j->stubs_end;
    j->epoch++;
    j->stats.flushes++;
    forget_tables(vm);
    vm_flush_caches(vm);
}

static void leave_bucket(struct jit *j, struct jit_code *c)
{
    struct jit_code **p = bucket(j, c->method);

    for (; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            return;
        }
}

void zone_hide(struct vm *vm, struct jit_code *c)
{
    leave_bucket(vm->jit, c);
    c->forgotten = true;
}

/* Code that nothing can run any more: it keeps its place until the next
 * flush. */
void zone_empty(struct vm *vm, struct jit_code *c)
{
    if (!c->forgotten)
        zone_hide(vm, c);
    c->method = vm->heap.nil;
    c->pool_count = c->num_points = 0;
    if (c->optimised)
        c->optimised->num_dependencies = 0;
}

/* Frames that run the code finish in it: it stays until the next flush, found
 * by nobody. */
void jit_forget(struct vm *vm, oop method)
{
    struct jit *j = vm->jit;
    struct jit_code *c, *next;
    bool found = false;

    if (!j)
        return;
    tier2_forget_method(vm, method);
    for (c = *bucket(j, method); c; c = next) {
        next = c->next;
        if (c->method != method || c->kind == CODE_MEGAMORPHIC)
            continue;
        zone_hide(vm, c);
        links_drop_code(vm, c);
        j->stats.forgotten++;
        found = true;
    }
    if (!found)
        return;
    j->replaced_at = plat_usecs();
    memset(j->block_cache, 0, sizeof j->block_cache);
    send_check_arrays(vm);
}

void jit_changed(struct vm *vm, oop method)
{
    struct jit_code *c;

    if (!vm->jit)
        return;
    for (c = *bucket(vm->jit, method); c; c = c->next)
        if (c->method == method && c->kind != CODE_MEGAMORPHIC) {
            jit_flush(vm);
            return;
        }
}

/* --- the collector --- */

static void visit_code(struct vm *vm, struct jit_code *c, heap_visitor visit)
{
    const struct optimised *o = c->optimised;
    oop old = c->method;
    unsigned i;

    for (i = 0; o && i < o->num_dependencies; i++) {
        struct dependency *d = &o->dependencies[i];

        d->selector = visit(&vm->heap, d->selector);
        d->class = visit(&vm->heap, d->class);
        d->method = visit(&vm->heap, d->method);
    }
    for (i = 0; i < c->pool_count; i++)
        c->pool[i] = visit(&vm->heap, c->pool[i]);
    if (c->kind == CODE_PIC)
        return;
    leave_bucket(vm->jit, c);
    c->method = c->pool_count ? c->pool[0] : visit(&vm->heap, old);
    if (!c->forgotten)
        enter_bucket(vm->jit, c);
}

void jit_visit_roots(struct vm *vm, heap_visitor visit)
{
    struct jit *j = vm->jit;
    unsigned i;

    if (!j)
        return;
    for (i = 0; i < j->num_codes; i++) {
        struct jit_code *c = j->codes[i];

        if (!c->young)
            continue;
        visit_code(vm, c, visit);
        if (c->optimised)
            tier2_note_pool(vm, c);
        c->young = is_young_code(vm, c);
    }
    for (i = 0; i < BLOCK_CACHE; i++)
        if (heap_is_young(&vm->heap, j->block_cache[i].block & ~TAG_MASK))
            j->block_cache[i].block = 0;
}

static bool code_is_alive(struct vm *vm, const struct jit_code *c)
{
    const struct optimised *o = c->optimised;
    unsigned i;

    for (i = 0; o && i < o->num_dependencies; i++)
        if (!heap_is_alive(&vm->heap, o->dependencies[i].selector) ||
            !heap_is_alive(&vm->heap, o->dependencies[i].class) ||
            !heap_is_alive(&vm->heap, o->dependencies[i].method))
            return false;
    for (i = 0; i < c->pool_count; i++)
        if (!heap_is_alive(&vm->heap, c->pool[i]))
            return false;
    return c->kind == CODE_PIC || heap_is_alive(&vm->heap, c->method);
}

bool jit_is_alive(struct vm *vm)
{
    struct jit *j = vm->jit;
    unsigned i;

    for (i = 0; j && i < j->num_codes; i++) {
        struct jit_code *c = j->codes[i];

        if (code_is_alive(vm, c))
            continue;
        if (!heap_is_alive(&vm->heap, c->method) &&
            !c->optimised && (c->forgotten || c->kind == CODE_REFUSED))
            zone_empty(vm, c);
        else
            return false;
    }
    if (j)
        memset(j->block_cache, 0, sizeof j->block_cache);
    return true;
}

void jit_follow_forwarders(struct vm *vm)
{
    struct jit *j = vm->jit;
    unsigned i, k;

    if (!j)
        return;
    for (i = 0; i < j->num_codes; i++) {
        struct jit_code *c = j->codes[i];

        if (c->kind != CODE_PIC && is_forwarder(c->method)) {
            jit_flush(vm);
            return;
        }
        for (k = 0; k < c->pool_count; k++) {
            c->pool[k] = heap_follow(c->pool[k]);
            c->young |= heap_is_young(&vm->heap, c->pool[k]);
        }
        if (c->optimised)
            tier2_note_pool(vm, c);
    }
    memset(j->block_cache, 0, sizeof j->block_cache);
}
