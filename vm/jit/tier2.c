/*
 * tier2.c - when a method is compiled a second time, how the better code is
 * entered, and when it goes.
 *
 * The first tier counts calls and back edges. The entry of its code, behind
 * the class check, becomes a jump to the better code, so that everybody who
 * calls the one calls the other; a loop that is hot has code of its own,
 * which takes over the running frame. What makes its guards fail often is
 * compiled again, knowing where (feedback.h), but not for ever.
 */
#include "vm/jit/tier2.h"
#include "vm/jit/deopt.h"
#include "vm/jit/feedback.h"
#include "vm/jit/ir.h"
#include "vm/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALLS_DEFAULT = 1500,
    LOOPS_PER_CALL = 10,  /* a back edge is a tenth of a call */
    MIN_FAILURES = 4,     /* of a piece of code, before it is made anew: */
    MAX_FAILURES = 100,   /* the more, the longer making it took */
    FAILURE_USECS = 50,   /* what one costs, with what runs plainly then */
    MAX_TRIES = 8,        /* to compile the same thing */
    MAX_LEFT = 20,        /* frames of a piece, in a tenth of a second */
    JUMP_BYTES = 5,
};

/* --- counting --- */

static int64_t calls_wanted(const struct vm *vm)
{
    int n = vm->options.jit_threshold2;

    return n < 0 ? CALLS_DEFAULT : n;
}

void tier2_count(struct vm *vm, struct jit_code *code)
{
    code->calls_left = calls_wanted(vm);
    code->loops_left = LOOPS_PER_CALL * calls_wanted(vm);
}

/*
 * Compiling may take a share of the time that goes by: what runs briefly is
 * not to wait for code that it has no use for. The credit is in microseconds
 * of running, each spent on compiling takes as many as SHARE. It is not saved
 * up for long, but a piece may be had on debt, of which a large one's is not
 * paid in full: the small ones after it cost little. Whoever says how many
 * calls are wanted gets the code then.
 *
 * The figures weigh the first run of a program, tens of milliseconds, against
 * the runs after it: a greater share makes the first one slower, a smaller one
 * finds the third still without the code. Without PATIENCE, what is hot waits
 * behind all that is warm.
 *
 * While methods are replaced that run, code which has them inside is made in
 * vain: nothing is compiled until QUIET microseconds after the last one.
 */
enum {
    SHARE = 10,
    CREDIT_LIMIT = 3000,
    DEBT_LIMIT = 6000,
    PATIENCE = 30,
    QUIET = 20000,
};

static void earn_credit(struct jit *j, uint64_t now)
{
    uint64_t ran = now - j->credited_at;

    j->credited_at = now;
    j->credit += ran < CREDIT_LIMIT ? (int64_t)ran : CREDIT_LIMIT;
    if (j->credit > CREDIT_LIMIT)
        j->credit = CREDIT_LIMIT;
}

static bool can_afford(struct vm *vm, struct jit_code *code)
{
    struct jit *j = vm->jit;
    uint64_t now = plat_usecs();

    if (vm->options.jit_threshold2 >= 0)
        return true;
    earn_credit(j, now);
    if (now - j->replaced_at < QUIET)
        return false;
    return ++code->asked >= PATIENCE || j->credit > 0;
}

/* By the loop's bytecode, or an embedded block's first. Of those that share
 * an entry the one that was asked for last has it. */
static uint8_t *tries_of(struct vm *vm, oop method, uint32_t at)
{
    uint32_t place = code_place(method, at);
    struct tries *t = &vm->jit->tries[place & (TRIES - 1)];
    uint8_t tag = (uint8_t)(place / TRIES);

    if (t->tag != tag)
        *t = (struct tries){ .tag = tag };
    return &t->count;
}

static uint32_t start_of(const struct vm *vm, oop closure)
{
    if (!closure || closure == vm->heap.nil ||
        class_index_of(closure) != CLS_BLOCK_CLOSURE)
        return 0;
    return (uint32_t)int_value(slot(closure, CLOSURE_PC_OR_METHOD)) - 1;
}

/* --- compiling --- */

/* A pass has left the graph unsound: that is a bug here, not in the image. */
static void check(struct vm *vm, struct ir_graph *g, const char *pass)
{
    const char *what = vm->options.check_heap ? ir_verify(g) : NULL;
    char line[120];

    if (!what || g->failed)
        return;
    ir_print(g);
    snprintf(line, sizeof line, "the graph is unsound after %s: %s", pass,
             what);
    plat_panic(line);
}

static struct jit_code *compile(struct vm *vm, oop method, oop closure,
                                uint32_t entered_at, bool *refused)
{
    struct ir_graph *g = ir_build(vm, method, closure, entered_at);
    struct jit_code *code = NULL;

    *refused = true;
    if (!g)
        return NULL;
    check(vm, g, "building");
    ir_infer_types(g);
    check(vm, g, "types");
    ir_thread_jumps(g);
    check(vm, g, "jumps");
    ir_optimise(g);
    check(vm, g, "optimising");
    ir_unbox_floats(g);
    check(vm, g, "floats");
    if (!g->failed) {
        code = ir_emit(vm, g);
        *refused = !code && g->failed;
    }
    ir_free_graph(g);
    return code;
}

static void free_unowned(struct jit_code *code)
{
    optimised_free(code->optimised);
    free(code->points);
    free(code);
}

/* Every new method and its selector are told of, so most have to be known as
 * harmless at once: those that code depends on have a byte. */
static uint8_t *in_pool_byte(const struct vm *vm, oop o)
{
    return &vm->jit->in_pools[(o >> 4 ^ o >> 18) & (IN_POOLS - 1)];
}

void tier2_note_pool(struct vm *vm, const struct jit_code *code)
{
    const struct optimised *o = code->optimised;
    unsigned i;

    for (i = 0; i < code->pool_count; i++)
        if (is_code(code->pool[i]))
            *in_pool_byte(vm, code->pool[i]) = 1;
    for (i = 0; i < o->num_dependencies; i++) {
        *in_pool_byte(vm, o->dependencies[i].selector) = 1;
        *in_pool_byte(vm, o->dependencies[i].method) = 1;
    }
}

bool tier2_add(struct vm *vm, struct jit_code *code)
{
    if (!zone_add(vm, code))
        return false;
    tier2_note_pool(vm, code);
    code->next_optimised = vm->jit->optimised;
    vm->jit->optimised = code;
    return true;
}

/* Code for a method, or for its loop at `entered_at`; NULL: not worth it, or
 * refused. Never flushes the zone. */
static struct jit_code *compile_again(struct vm *vm, oop method, oop closure,
                                      uint32_t entered_at)
{
    struct jit *j = vm->jit;
    uint8_t *tries = tries_of(vm, method, entered_at ? entered_at
                                              : start_of(vm, closure));
    uint64_t began = plat_usecs(), took;
    struct jit_code *code;
    bool refused;

    if (*tries >= MAX_TRIES)
        return NULL;
    ++*tries;
    code = compile(vm, method, closure, entered_at, &refused);
    if (code && !tier2_add(vm, code)) {
        free_unowned(code);
        code = NULL;
    }
    took = plat_usecs() - began;
    j->stats.optimise_usecs += took;
    j->credit -= SHARE * (int64_t)took;
    if (j->credit < -DEBT_LIMIT)
        j->credit = -DEBT_LIMIT;
    if (code) {
        code->optimised->usecs = took;
        j->stats.optimised++;
    } else if (refused) {
        *tries = MAX_TRIES;
        j->stats.not_optimised++;
    }
    return code;
}

/* --- entering --- */

/* The code's frame entry becomes a jump. */
static void install(struct vm *vm, struct jit_code *code,
                    struct jit_code *better)
{
    uint8_t *at = writable(vm->jit, code->frame_entry);
    int32_t by =
        (int32_t)(better->entry - (code->frame_entry + JUMP_BYTES));

    memcpy(code->saved, at, JUMP_BYTES);
    at[0] = 0xe9;
    memcpy(at + 1, &by, sizeof by);
    code->other = better;
    better->other = code;
}

static void uninstall(struct vm *vm, struct jit_code *better)
{
    struct jit_code *code = better->other;

    if (!code)
        return;
    memcpy(writable(vm->jit, code->frame_entry), code->saved, JUMP_BYTES);
    code->other = better->other = NULL;
    code->calls_left = calls_wanted(vm) / 4;
    code->asked = 0;
}

static void hot_call(struct vm *vm)
{
    struct jit_code *code = zone_at(vm, vm->pc), *better;

    code->calls_left = INT64_MAX;
    if (code->other || code->forgotten)
        return;
    if (!can_afford(vm, code)) {
        code->calls_left = calls_wanted(vm) / 4;
        return;
    }
    better = compile_again(vm, code->method, vm->fp[FRAME_CLOSURE], 0);
    if (better)
        install(vm, code, better);
}

static struct jit_code *code_of_loop(struct vm *vm, struct jit_code *code,
                                     uint32_t entered_at)
{
    struct jit_code *c = zone_find_loop(vm, code->method, entered_at);

    if (!c && !code->forgotten && can_afford(vm, code))
        c = compile_again(vm, code->method, vm->fp[FRAME_CLOSURE],
                          entered_at);
    return c;
}

/* Does the frame go on as an optimised one? One with a context cannot. */
static bool enter_loop(struct vm *vm)
{
    struct jit_code *code = zone_at(vm, vm->pc), *loop;

    code->loops_left = LOOPS_PER_CALL * calls_wanted(vm);
    if (vm->fp[FRAME_CONTEXT])
        return false;
    loop = code_of_loop(vm, code, point_at(code, vm->pc)->bytecode);
    if (!loop) {
        code->loops_left = code->loops_left * 8 + 1000;
        return false;
    }
    vm->pc = loop->optimised->loop_entry;
    vm->jit->stats.loops_entered++;
    return true;
}

/* Both come before the check of the stack's limit, and in its place. */
void runtime_hot_call(struct vm *vm)
{
    hot_call(vm);
    if (vm->sp < vm->stack_limit)
        runtime_safepoint(vm);
}

void runtime_hot_loop(struct vm *vm)
{
    if (!enter_loop(vm) && vm->sp < vm->stack_limit)
        vm_safepoint(vm, true);
}

/* --- forgetting --- */

static void forget(struct vm *vm, struct jit_code *c)
{
    if (c->forgotten)
        return;
    uninstall(vm, c);
    zone_hide(vm, c);
    vm->jit->stats.optimised_forgotten++;
}

/* A large piece with a guard that fails now and then costs less than another
 * one, until it has cost as much. */
static bool is_worn_out(struct optimised *o)
{
    uint64_t n = MIN_FAILURES + o->usecs / FAILURE_USECS;

    return ++o->failures >= (n < MAX_FAILURES ? n : MAX_FAILURES);
}

void tier2_failed(struct vm *vm, struct jit_code *code,
                  const struct deopt_place *place)
{
    const struct optimised *o = code->optimised;
    const struct deopt_frame *f =
        &o->frames[place->frames + place->num_frames - 1];

    feedback_fail(vm, code->pool[f->method], f->bytecode);
    vm->jit->stats.guards_failed++;
    if (is_worn_out(code->optimised))
        forget(vm, code);
}

/* The frame becomes interpreted ones, each time. Code that does little but
 * wait, or look at its senders, is better off in the first tier. */
void tier2_left(struct vm *vm, struct jit_code *code)
{
    struct optimised *o = code->optimised;
    uint64_t tenth = plat_usecs() / 100000;

    if (o->tenth != tenth) {
        o->tenth = tenth;
        o->left = 0;
    }
    if (++o->left < MAX_LEFT || vm->options.stress_deopt)
        return;
    *tries_of(vm, code->method,
              o->entered_at ? o->entered_at : code->start) = MAX_TRIES;
    forget(vm, code);
}

/* Does a lookup of the selector find another method now? */
static bool is_misled(struct vm *vm, const struct jit_code *c, oop selector)
{
    const struct dependency *d = c->optimised->dependencies;
    unsigned i;

    for (i = 0; i < c->optimised->num_dependencies; i++, d++)
        if (d->selector == selector &&
            vm_look_up(vm, selector, d->class) != d->method)
            return true;
    return false;
}

static bool has_inlined(struct vm *vm, const struct jit_code *c, oop method)
{
    const struct optimised *o = c->optimised;
    unsigned i;

    for (i = 0; i < c->pool_count; i++)
        if (c->pool[i] == method)
            return true;
    for (i = 0; i < o->num_dependencies; i++)
        if (o->dependencies[i].method == method)
            return true;
    return false;
}

static bool always(struct vm *vm, const struct jit_code *c, oop o)
{
    return true;
}

/* No frame runs it any more. */
static void empty_forgotten(struct vm *vm)
{
    struct jit_code **p = &vm->jit->optimised, *c;

    while ((c = *p) != NULL) {
        if (!c->forgotten) {
            p = &c->next_optimised;
            continue;
        }
        *p = c->next_optimised;
        zone_empty(vm, c);
    }
}

/* Forgotten code too may still run somewhere. */
static void forget_where(struct vm *vm,
                         bool (*is_wrong)(struct vm *vm,
                                          const struct jit_code *c, oop o),
                         oop o)
{
    struct jit_code *c;
    bool found = false;

    for (c = vm->jit->optimised; c; c = c->next_optimised) {
        if (!is_wrong(vm, c, o))
            continue;
        forget(vm, c);
        found = true;
    }
    if (!found)
        return;
    if (!deopt_all(vm))
        plat_panic("no memory to leave optimised code");
    empty_forgotten(vm);
}

void tier2_forget_selector(struct vm *vm, oop selector)
{
    if (vm->jit && *in_pool_byte(vm, selector))
        forget_where(vm, is_misled, selector);
}

void tier2_forget_method(struct vm *vm, oop method)
{
    if (vm->jit && *in_pool_byte(vm, method))
        forget_where(vm, has_inlined, method);
}

void tier2_forget_all(struct vm *vm)
{
    if (vm->jit)
        forget_where(vm, always, 0);
}
