/*
 * deopt.c - the way back from optimised frames.
 *
 * Owns the making of contexts from an optimised frame and the tables of its
 * place (deopt.h). Knows nothing of how the code was made. The activations
 * go on in the interpreter: their contexts are resumed like any others.
 */
#include "vm/jit/deopt.h"
#include "vm/jit/jit_private.h"
#include "vm/jit/tier2.h"
#include "vm/platform.h"

#include <stdlib.h>
#include <string.h>

void optimised_free(struct optimised *o)
{
    if (!o)
        return;
    free(o->places);
    free(o->frames);
    free(o->objects);
    free(o->wheres);
    free(o->dependencies);
    free(o);
}

/* A frame being turned into contexts. */
struct rebuilt {
    struct vm *vm;
    const oop *fp;
    struct jit_code *code;
    const struct deopt_place *place;
    const oop *operands; /* the lowest one below the slots is the first */
    uint64_t num_operands;
    oop contexts[DEOPT_MAX_FRAMES], objects[DEOPT_MAX_OBJECTS];
};

static bool awaits_answer(const struct point *p)
{
    return p->kind == POINT_SEND || p->kind == POINT_SUPER ||
           p->kind == POINT_SPECIAL;
}

static void find_place(struct rebuilt *r, const uint8_t *pc, const oop *end)
{
    struct jit_code *code = zone_at(r->vm, pc);
    const struct point *p = point_at(code, pc);
    const struct optimised *o = code->optimised;

    r->code = code;
    r->place = &o->places[p - code->points];
    r->operands = r->fp + FRAME_OPERANDS - (o->raw_slots + o->oop_slots);
    if (awaits_answer(p))
        r->num_operands = (uint64_t)(r->operands + 1 - end);
}

static const struct deopt_frame *frame_at(const struct rebuilt *r, unsigned i)
{
    return &r->code->optimised->frames[r->place->frames + i];
}

static const struct deopt_object *object_at(const struct rebuilt *r,
                                            unsigned i)
{
    return &r->code->optimised->objects[r->place->objects + i];
}

static oop boxed(const struct rebuilt *r, oop word)
{
    double d;

    memcpy(&d, &word, sizeof d);
    return heap_float(&r->vm->heap, d);
}

/* 0: no memory for a float. */
static oop value_of(const struct rebuilt *r, struct where w)
{
    const oop *slot0 = r->fp + FRAME_OPERANDS;
    oop o;

    switch ((enum where_kind)w.kind) {
    case WHERE_SLOT: return slot0[-w.at];
    case WHERE_DOUBLE: return boxed(r, slot0[-w.at]);
    case WHERE_WORD: return int_oop((int64_t)slot0[-w.at]);
    case WHERE_POOL: return r->code->pool[w.at];
    case WHERE_HEAP:
        memcpy(&o, (const char *)&r->vm->heap + w.at, sizeof o);
        return o;
    case WHERE_OBJECT: return r->objects[w.at];
    case WHERE_FRAME_CONTEXT: return r->contexts[w.at];
    case WHERE_RECEIVER: return r->fp[FRAME_RECEIVER];
    case WHERE_CLOSURE: return r->fp[FRAME_CLOSURE];
    case WHERE_TEMP: return frame_temps(r->fp)[-w.at];
    case WHERE_NOTHING: break;
    }
    return r->vm->heap.nil;
}

static uint64_t num_values(const struct rebuilt *r, unsigned i)
{
    bool innermost = i == r->place->num_frames - 1u;

    return frame_at(r, i)->num_values + (innermost ? r->num_operands : 0);
}

/* --- making --- */

static bool make_contexts(struct rebuilt *r)
{
    unsigned i;

    for (i = 0; i < r->place->num_frames; i++) {
        oop method = r->code->pool[frame_at(r, i)->method];
        uint64_t n = CTX_TEMPS + num_values(r, i);

        if (n > CTX_LARGE_SLOTS)
            plat_panic("an activation is deeper than any context");
        r->contexts[i] = frame_new_context(
            r->vm, code_large_frame(method) || n > CTX_SMALL_SLOTS);
        if (!r->contexts[i])
            return false;
    }
    return true;
}

static bool make_objects(struct rebuilt *r)
{
    unsigned i;

    for (i = 0; i < r->place->num_objects; i++) {
        const struct deopt_object *o = object_at(r, i);

        r->objects[i] = heap_new(&r->vm->heap, o->class_index, o->format,
                                 o->num_fields);
        if (!r->objects[i])
            return false;
    }
    return true;
}

/* --- filling; false: no memory for a float --- */

static bool fill(const struct rebuilt *r, oop o, uint64_t at,
                 uint32_t first, uint64_t n)
{
    const struct where *w = &r->code->optimised->wheres[first];
    uint64_t i;

    for (i = 0; i < n; i++) {
        oop v = value_of(r, w[i]);

        if (!v)
            return false;
        heap_store(&r->vm->heap, o, at + i, v);
    }
    return true;
}

static bool fill_objects(const struct rebuilt *r)
{
    unsigned i;

    for (i = 0; i < r->place->num_objects; i++) {
        const struct deopt_object *o = object_at(r, i);

        if (!fill(r, r->objects[i], 0, o->fields, o->num_fields))
            return false;
    }
    return true;
}

static bool fill_context(const struct rebuilt *r, unsigned i)
{
    struct heap *h = &r->vm->heap;
    const struct deopt_frame *f = frame_at(r, i);
    oop ctx = r->contexts[i], receiver = value_of(r, f->receiver);
    uint64_t k, n = num_values(r, i);

    if (!receiver)
        return false;
    if (i > 0)
        heap_store(h, ctx, CTX_SENDER, r->contexts[i - 1]);
    slots(ctx)[CTX_PC] = int_oop(f->bytecode + 1);
    slots(ctx)[CTX_STACKP] = int_oop((int64_t)n);
    heap_store(h, ctx, CTX_METHOD, r->code->pool[f->method]);
    heap_store(h, ctx, CTX_CLOSURE, value_of(r, f->closure));
    heap_store(h, ctx, CTX_RECEIVER, receiver);
    for (k = f->num_values; k < n; k++)
        heap_store(h, ctx, CTX_TEMPS + k,
                   r->operands[-(int64_t)(k - f->num_values)]);
    return fill(r, ctx, CTX_TEMPS, f->values, f->num_values);
}

oop deopt_contexts(struct vm *vm, oop *fp, const uint8_t *pc, const oop *end,
                   oop *innermost)
{
    struct rebuilt r = { .vm = vm, .fp = fp };
    unsigned i;

    find_place(&r, pc, end);
    if (!make_contexts(&r) || !make_objects(&r) || !fill_objects(&r))
        return 0;
    for (i = 0; i < r.place->num_frames; i++)
        if (!fill_context(&r, i))
            return 0;
    vm->jit->stats.deoptimised++;
    tier2_left(vm, r.code);
    *innermost = r.contexts[r.place->num_frames - 1];
    return r.contexts[0];
}

/* --- in place: the top frame becomes interpreted ones --- */

/* Contexts that objects or values refer to, or none. */
static bool make_wanted_contexts(struct rebuilt *r, uint32_t first, uint64_t n)
{
    const struct where *w = &r->code->optimised->wheres[first];

    for (; n > 0; n--, w++) {
        if (w->kind != WHERE_FRAME_CONTEXT || r->contexts[w->at])
            continue;
        r->contexts[w->at] = frame_new_context(r->vm, true);
        if (!r->contexts[w->at])
            return false;
    }
    return true;
}

static bool make_what_is_referred_to(struct rebuilt *r)
{
    unsigned i;

    for (i = 0; i < r->place->num_frames; i++)
        if (!make_wanted_contexts(r, frame_at(r, i)->values,
                                  frame_at(r, i)->num_values))
            return false;
    for (i = 0; i < r->place->num_objects; i++)
        if (!make_wanted_contexts(r, object_at(r, i)->fields,
                                  object_at(r, i)->num_fields))
            return false;
    return make_objects(r) && fill_objects(r);
}

/* Frames being laid out: words[] has what will be at `low` and above. */
enum { LAYOUT_WORDS = 1024 };
struct layout {
    struct rebuilt *r;
    oop words[LAYOUT_WORDS];
    oop *low, *sp, *fp;
    oop *frames[DEOPT_MAX_FRAMES];
    const uint8_t *pc; /* where the last one goes on */
    bool failed;
};

static void put(struct layout *l, oop word)
{
    if (l->sp > l->low)
        l->words[--l->sp - l->low] = word;
    else
        l->failed = true;
}

/* 0: no memory for a float. */
static void put_value(struct layout *l, struct where w)
{
    oop v = value_of(l->r, w);

    l->failed |= !v;
    put(l, v);
}

static void put_linkage(struct layout *l, oop *temps, oop method, oop closure,
                        oop receiver, oop pc)
{
    oop *caller = l->fp;

    put(l, pc);
    put(l, (oop)(uintptr_t)caller);
    l->fp = l->sp;
    put(l, (oop)(uintptr_t)temps);
    put(l, method);
    put(l, closure);
    put(l, 0);
    put(l, receiver);
}

static void put_frame(struct layout *l, unsigned i)
{
    const struct rebuilt *r = l->r;
    const struct deopt_frame *f = frame_at(r, i);
    const struct where *w = &r->code->optimised->wheres[f->values];
    oop method = r->code->pool[f->method];
    oop receiver = value_of(r, f->receiver);
    oop closure = f->closure.kind == WHERE_NOTHING ? 0
                                                   : value_of(r, f->closure);
    bool embedded = closure && class_index_of(closure) == CLS_BLOCK_CLOSURE;
    uint32_t temps = embedded ? 0 : code_num_temps(method), k;
    oop *result, pc = (oop)(uintptr_t)l->pc;

    l->failed |= !receiver;
    put(l, closure ? closure : receiver);
    result = l->sp;
    for (k = 0; k < temps; k++)
        put_value(l, w[k]);
    put_linkage(l, embedded ? result - 2 + FRAME_OPERANDS : result - 1,
                method, closure, receiver, pc);
    for (; k < f->num_values; k++)
        put_value(l, w[k]);
    l->frames[i] = l->fp;
    l->pc = bytes(method) + f->bytecode;
}

static void put_operands(struct layout *l)
{
    uint64_t i;

    for (i = 0; i < l->r->num_operands; i++)
        put(l, l->r->operands[-(int64_t)i]);
}

/* The frames are complete: they replace the optimised one. */
static void take_layout(struct vm *vm, struct layout *l, const oop *end)
{
    unsigned i;

    memcpy(l->sp, l->words + (l->sp - l->low),
           (size_t)((const char *)end - (const char *)l->sp));
    vm->sp = l->sp;
    vm->fp = vm->page->fp = l->fp;
    vm->pc = (uint8_t *)(uintptr_t)l->pc;
    vm->reload = true;
    for (i = 0; i < l->r->place->num_frames; i++)
        if (l->r->contexts[i])
            frame_marry(vm, l->frames[i], l->r->contexts[i]);
}

static bool lay_out_top(struct vm *vm, oop *low)
{
    struct rebuilt r = { .vm = vm, .fp = vm->fp };
    oop *end = frame_result(vm->fp) + 1;
    struct layout l;
    unsigned i;

    find_place(&r, vm->pc, vm->sp);
    if (!make_what_is_referred_to(&r))
        return false;
    l.r = &r;
    l.failed = false;
    l.low = end - low > LAYOUT_WORDS ? end - LAYOUT_WORDS : low;
    l.sp = end;
    l.fp = frame_caller(vm->fp);
    l.pc = (const uint8_t *)(uintptr_t)vm->fp[FRAME_PC];
    for (i = 0; i < r.place->num_frames && !l.failed; i++)
        put_frame(&l, i);
    put_operands(&l);
    if (l.failed)
        return false;
    vm->jit->stats.deoptimised++;
    take_layout(vm, &l, end);
    return true;
}

static bool deopt_top(struct vm *vm)
{
    return lay_out_top(vm, vm->page->limit);
}

bool deopt_for_switch(struct vm *vm)
{
    tier2_left(vm, zone_at(vm, vm->pc));
    return deopt_top(vm);
}

/* The words of the top frame, which was put aside, are its callee's again;
 * `fp` is where it was, `sp` its lowest word. */
static void push_back(struct vm *vm, const oop *words, uint64_t n, oop *fp,
                      const oop *sp, uint8_t *pc)
{
    oop return_pc = (oop)(uintptr_t)vm->pc, *caller = vm->fp;

    if (jit_owns(vm, pc)) { /* machine code returns to machine code only */
        *--vm->sp = int_oop(vm->pc - bytes(caller[FRAME_METHOD]));
        return_pc = (oop)(uintptr_t)vm->return_to_interpreter;
    }
    vm->sp -= n;
    memcpy(vm->sp, words, n * sizeof *words);
    vm->fp = vm->page->fp = vm->sp + (fp - sp);
    vm->pc = pc;
    vm->fp[FRAME_TEMPS] += (oop)((char *)vm->fp - (char *)fp);
    vm->fp[FRAME_CALLER] = (oop)(uintptr_t)caller;
    vm->fp[FRAME_PC] = return_pc;
    if (vm->fp[FRAME_CONTEXT])
        slots(vm->fp[FRAME_CONTEXT])[CTX_SENDER] =
            (oop)(uintptr_t)vm->fp | TAG_INTEGER;
}

/* The same of the top frame's caller. */
static bool lay_out_caller(struct vm *vm, oop *low)
{
    oop words[256], *fp = vm->fp, *sp = vm->sp;
    uint64_t n = (uint64_t)(frame_result(fp) + 1 - sp);
    uint8_t *pc = vm->pc;

    if (n > sizeof words / sizeof *words)
        return false;
    memcpy(words, sp, n * sizeof *words);
    vm->fp = frame_caller(fp);
    vm->sp = sp + n;
    vm->pc = (uint8_t *)(uintptr_t)fp[FRAME_PC];
    if (!lay_out_top(vm, low + n + 1)) {
        vm->fp = fp;
        vm->sp = sp;
        vm->pc = pc;
        return false;
    }
    push_back(vm, words, n, fp, sp, pc);
    return true;
}

bool deopt_for_move(struct vm *vm)
{
    oop *low = vm->page->high - PAGE_WORDS;

    if (frame_is_optimised(vm->fp) && !lay_out_top(vm, low))
        return false;
    return !frame_is_optimised(frame_caller(vm->fp)) ||
           lay_out_caller(vm, low);
}

/* --- all of them --- */

bool deopt_all(struct vm *vm)
{
    unsigned i;

    for (i = 0; i < vm->num_pages; i++)
        if (vm->pages[i].fp && !page_deoptimise(vm, &vm->pages[i]))
            return false;
    return true;
}

void runtime_deopt(struct vm *vm)
{
    struct jit_code *code = zone_at(vm, vm->pc);
    const struct point *p = point_at(code, vm->pc);

    tier2_failed(vm, code, &code->optimised->places[p - code->points]);
    while (!deopt_top(vm) && !page_deoptimise(vm, vm->page))
        if (!vm_collect(vm))
            plat_panic("no memory to leave optimised code");
}

bool deopt_is_sound(const struct vm *vm, const oop *fp, const uint8_t *pc)
{
    const struct jit_code *code = jit_owns(vm, pc) ? zone_at(vm, pc) : NULL;

    return code && code->optimised && frame_caller(fp) &&
           code->pool[0] == fp[FRAME_METHOD] &&
           code->optimised->raw_slots == frame_raw_slots(fp) &&
           point_at(code, pc);
}
