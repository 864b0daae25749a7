/*
 * jit_frames.c - one stack, two kinds of pc.
 *
 * Owns the way from a native pc to a bytecode and back, and the moment when a
 * frame of the interpreter becomes one of machine code, which differs in its
 * pc only - and in what its caller must be (jit.h).
 */
#include "vm/jit/jit_private.h"

/* --- native to bytecode --- */

const struct point *point_at(const struct jit_code *code,
                             const uint8_t *native)
{
    uint32_t offset = (uint32_t)(native - code->base);
    unsigned low = 0, high = code->num_points;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (code->points[middle].native < offset)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < code->num_points && code->points[low].native == offset);
    return &code->points[low];
}

uint8_t *jit_bytecode_pc(const struct vm *vm, const oop *fp,
                         const uint8_t *pc)
{
    if (!jit_owns(vm, pc))
        return (uint8_t *)(uintptr_t)pc;
    return bytes(fp[FRAME_METHOD]) + point_at(zone_at(vm, pc), pc)->bytecode;
}

static void to_bytecode(struct vm *vm, oop *fp, uint8_t **pc)
{
    if (*pc != vm->return_to_interpreter)
        *pc = jit_bytecode_pc(vm, fp, *pc);
}

void frames_to_bytecode(struct vm *vm)
{
    frame_visit_pcs(vm, to_bytecode);
}

/* --- bytecode to native --- */

/* Where code goes on at a bytecode, or NULL. */
static uint8_t *native_pc(const struct jit_code *c, uint32_t bytecode)
{
    unsigned i;

    for (i = 0; i < c->num_points; i++)
        if (c->points[i].bytecode == bytecode &&
            c->points[i].kind != POINT_EXIT)
            return c->base + c->points[i].native;
    return NULL;
}

/* Its caller is interpreted: the frame moves down by a word, for the caller's
 * pc, and returns through the stub that finds it there. */
static void insert_pc_of_caller(struct vm *vm)
{
    oop *fp = vm->fp, *caller = frame_caller(fp), *end = frame_result(fp) + 1;
    int64_t offset = (int64_t)(fp[FRAME_PC] - caller[FRAME_METHOD]) - 8;

    memmove(vm->sp - 1, vm->sp, (size_t)((char *)end - (char *)vm->sp));
    end[-1] = int_oop(offset);
    vm->sp--;
    vm->fp = --fp;
    fp[FRAME_TEMPS] -= sizeof *fp;
    fp[FRAME_PC] = (oop)(uintptr_t)vm->return_to_interpreter;
    if (fp[FRAME_CONTEXT])
        slots(fp[FRAME_CONTEXT])[CTX_SENDER] =
            (oop)(uintptr_t)fp | TAG_INTEGER;
    vm->page->fp = fp;
}

static bool has_code_for(const struct jit_code *c, oop closure)
{
    if (c->kind != CODE_METHOD)
        return false;
    return c->copied < 0 ||
           slot_count(closure) == (uint64_t)c->copied + (c->start
               ? CLOSURE_COPIED : FULL_CLOSURE_COPIED);
}

static void cache_block(struct vm *vm, const struct jit_code *c)
{
    oop key = block_key(c->method, c->start);
    struct block_entry *e = &vm->jit->block_cache[block_cache_index(key)];

    if (!c->frame_entry)
        return;
    e->block = key;
    e->entry = c->entry;
}

static void enter(struct vm *vm, const struct jit_code *c)
{
    oop *fp = vm->fp;
    uint8_t *native =
        native_pc(c, (uint32_t)(vm->pc - bytes(fp[FRAME_METHOD])));

    if (!native)
        return;
    if (fp[FRAME_CLOSURE])
        cache_block(vm, c);
    if (frame_caller(fp) && !jit_owns(vm, (void *)(uintptr_t)fp[FRAME_PC]))
        insert_pc_of_caller(vm);
    vm->pc = native;
    vm->jit->stats.taken_over++;
}

bool frames_count(struct vm *vm, oop method)
{
    struct jit *j = vm->jit;
    uint8_t *n = &j->counters[(method >> 4 ^ method >> 17) & (COUNTERS - 1)];

    if (*n < j->threshold) {
        ++*n;
        return false;
    }
    return true;
}

static void take_over(struct vm *vm, bool hot)
{
    oop *fp = vm->fp, method = fp[FRAME_METHOD], closure = fp[FRAME_CLOSURE];
    uint32_t start = 0;
    struct jit_code *c;

    if (frame_is_embedded(fp))
        start = (uint32_t)int_value(slot(closure, CLOSURE_PC_OR_METHOD)) - 1;
    c = zone_find(vm, method, start);
    if (!c && (hot || frames_count(vm, method + start)))
        c = jit_compile(vm, method, start, closure);
    if (c && has_code_for(c, closure))
        enter(vm, c);
}

void jit_take_over(struct vm *vm)
{
    if (vm->jit && !jit_owns(vm, vm->pc))
        take_over(vm, false);
}

/* What a guard that failed left to the interpreter is not to stay there until
 * the next tick. */
void jit_count_loops(struct vm *vm)
{
    enum { AT_ONCE = 16 };

    vm->loops_left = vm->jit ? AT_ONCE : INT32_MAX;
    jit_take_over(vm);
}

void jit_take_over_loop(struct vm *vm)
{
    if (vm->jit && !jit_owns(vm, vm->pc)) {
        vm->jit->stats.loops++;
        take_over(vm, true);
    }
}

bool jit_wants(struct vm *vm, oop method)
{
    struct jit_code *c;

    if (!vm->jit)
        return false;
    c = zone_find(vm, method, 0);
    return !c || c->kind == CODE_METHOD;
}
