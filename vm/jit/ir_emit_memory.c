/*
 * ir_emit_memory.c - reading, writing and making objects.
 *
 * What fits into eden below its threshold is made in line, young, with slots
 * that need no write barrier. C makes the rest, and that may be born old.
 */
#include "vm/jit/emitter.h"
#include "vm/platform.h"

/* --- reading --- */

static void load_slot(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]);

    release(e, n);
    asm_load(&e->a, define(e, n, (int)x), slot_of(x, (uint32_t)n->index));
}

static void load_double(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]);

    release(e, n);
    asm_load_double(&e->a, define(e, n, -1),
                    slot_of(x, (uint32_t)n->index));
}

/* An element, whose index may be a constant. */
static struct mem element(struct emitter *e, struct ir_node *n)
{
    struct ir_node *index = value_of(n->inputs[1]);
    enum reg x = use(e, n->inputs[0]);
    unsigned scale = 1u << n->index;

    if (index->op == IR_CONST_WORD && index->value < 1 << 20)
        return AT(x, 8 + index->value * scale);
    return AT_INDEX(x, use(e, index), scale, 8);
}

static void load_element(struct emitter *e, struct ir_node *n)
{
    struct mem m = element(e, n);
    enum reg to;

    release(e, n);
    to = define(e, n, (int)m.base);
    switch (n->index) {
    case 0: asm_load8(&e->a, to, m); break;
    case 1: asm_load16(&e->a, to, m); break;
    case 2: asm_load32(&e->a, to, m); break;
    default: asm_load(&e->a, to, m);
    }
}

static void slot_count_of(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]), to = define(e, n, -1);

    load_slot_count(&e->a, to, x);
    if (n->op == IR_BYTE_COUNT) {
        asm_load8(&e->a, R10, AT(x, HDR_FORMAT_SHIFT / 8));
        asm_alu_imm32(&e->a, AND, R10, 7);
        asm_shift(&e->a, SHL, to, 3);
        asm_alu(&e->a, SUB, to, R10);
    }
    release(e, n);
}

static void class_of(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]), to = define(e, n, -1);

    emit_class_index(&e->a, to, x);
    emit_class_at(&e->a, to, R10);
    release(e, n);
}

/* --- writing --- */

static void later_barrier(struct emitter *e, struct later *l)
{
    emit_barrier_rest(e->vm, &e->a, l->x, l->y, l->place, &l->out);
}

/* Can it be a young object? */
static bool may_be_young(const struct emitter *e, const struct ir_node *n)
{
    const struct heap *h = &e->vm->heap;

    if (n->op == IR_CONST)
        return is_pointer(n->value) && n->value != h->nil &&
               n->value != h->true_ && n->value != h->false_;
    return n->type != TYPE_INT && n->type != TYPE_CHARACTER &&
           n->type != TYPE_BOOLEAN;
}

static void store_oop(struct emitter *e, struct mem m, struct ir_node *n)
{
    struct ir_node *v = value_of(n);
    struct later *l;
    enum reg x;

    if (reg_of(v) < 0 && v->op == IR_CONST && is_immediate(v->value) &&
        (int64_t)v->value == (int32_t)v->value) {
        asm_store_imm(&e->a, m, (int32_t)v->value);
        return;
    }
    x = use(e, v);
    asm_store(&e->a, m, x);
    if (!may_be_young(e, v) || !may_be_young(e, n))
        return;
    l = new_later(e, later_barrier);
    l->x = x;
    l->y = m.base;
    l->place = m;
    emit_barrier_test(&e->a, x, m.base, &l->in, &l->out);
    asm_bind(&e->a, &l->out);
}

static void store_slot(struct emitter *e, struct ir_node *n)
{
    enum reg x = use(e, n->inputs[0]);

    store_oop(e, slot_of(x, (uint32_t)n->index), n->inputs[1]);
    release(e, n);
}

static void store_element(struct emitter *e, struct ir_node *n)
{
    struct mem m = element(e, n);
    enum reg x;

    if (n->index == 3) {
        store_oop(e, m, n->inputs[2]);
    } else {
        x = use(e, n->inputs[2]);
        if (n->index == 0)
            asm_store8(&e->a, m, x);
        else if (n->index == 1)
            asm_store16(&e->a, m, x);
        else
            asm_store32(&e->a, m, x);
    }
    release(e, n);
}

/* --- making --- */

/* What a slot of a new object gets: a value, or else an oop. */
struct source {
    struct ir_node *node;
    oop oop;
};
enum { MAX_SOURCES = 64 };

static unsigned sources_of(struct emitter *e, const struct ir_node *n,
                           struct source *s)
{
    unsigned i, used = 0;

    if (n->num_inputs + 2 > MAX_SOURCES) {
        e->failed = true;
        return 0;
    }
    for (i = 0; i < n->num_inputs; i++) {
        s[used++] = (struct source){ .node = value_of(n->inputs[i]) };
        if (n->op == IR_NEW_CLOSURE && i == 0) {
            s[used++] = (struct source){ .oop = n->value };
            s[used++] = (struct source){
                .oop = int_oop(code_num_args(n->value)) };
        }
    }
    return used;
}

static void fill_slot(struct emitter *e, struct mem m, const struct source *s)
{
    struct ir_node *v = s->node;
    oop o = v && v->op == IR_CONST ? v->value : s->oop;

    if (v && reg_of(v) >= 0) {
        asm_store(&e->a, m, (enum reg)reg_of(v));
    } else if (v && !is_constant(v)) {
        asm_load(&e->a, R10, place_of(e, v));
        asm_store(&e->a, m, R10);
    } else if (is_immediate(o) && (int64_t)o == (int32_t)o) {
        asm_store_imm(&e->a, m, (int32_t)o);
    } else {
        load_oop(e, R10, o);
        asm_store(&e->a, m, R10);
    }
}

/* runtime_new_filled takes what the object is and where its slots' values
 * lie, the last one first. */
static void later_new(struct emitter *e, struct later *l)
{
    struct source s[MAX_SOURCES];
    unsigned n = sources_of(e, l->node, s), i;
    struct assembler *a = &e->a;

    for (i = 0; i < n; i++) {
        if (s[i].node)
            push_held(e, &l->held, s[i].node);
        else
            push_oop(e, s[i].oop);
    }
    asm_mov(a, R11, RSP);
    asm_imm(a, R10, l->header);
    asm_push(a, R10);
    asm_push(a, R11);
    asm_call_to(a, e->j->stubs.new_filled);
    asm_pop(a, l->x);
    asm_alu_imm(a, ADD, RSP, (int32_t)(8 * n));
    asm_jmp(a, &l->out);
}

static void make(struct emitter *e, struct ir_node *n, uint32_t class_index,
                 unsigned format)
{
    struct source s[MAX_SOURCES];
    unsigned count = sources_of(e, n, s), i;
    enum reg to = define(e, n, -1);
    struct later *l = new_later(e, later_new);
    struct assembler *a = &e->a;

    l->x = to;
    l->header = new_header(class_index, format, count);
    asm_load(a, to, HEAP(eden_free));
    asm_lea(a, R10, AT(to, bytes_for_slots(count)));
    asm_alu_load(a, CMP, R10, HEAP(eden_threshold));
    asm_jcc(a, IF_ABOVE, &l->in);
    asm_store(a, HEAP(eden_free), R10);
    asm_imm(a, R10, l->header);
    asm_store(a, AT(to, 0), R10);
    for (i = 0; i < count; i++)
        fill_slot(e, slot_of(to, i), &s[i]);
    asm_bind(a, &l->out);
    release(e, n);
}

/* --- arrays of nils --- */

static void later_new_array(struct emitter *e, struct later *l)
{
    asm_push(&e->a, l->y);
    asm_call_to(&e->a, e->j->stubs.new_nils);
    asm_pop(&e->a, l->x);
    if (l->no) {
        asm_test(&e->a, l->x, l->x);
        asm_jcc(&e->a, IF_EQUAL, l->no);
    }
    asm_jmp(&e->a, &l->out);
}

static void new_array(struct emitter *e, struct ir_node *n)
{
    enum { MAX_IN_LINE = 200 };
    enum reg size = use(e, n->inputs[0]), to = define(e, n, -1);
    struct later *l = new_later(e, later_new_array);
    struct label loop = LABEL_INIT;
    struct assembler *a = &e->a;

    l->x = to;
    l->y = size;
    if (n->state)
        l->no = exit_of(e, n);
    asm_lea(a, R10, AT(size, -1)); /* none, too, is for C */
    asm_alu_imm(a, CMP, R10, MAX_IN_LINE);
    asm_jcc(a, IF_NOT_BELOW, &l->in);
    asm_load(a, to, HEAP(eden_free));
    asm_lea(a, R11, AT_INDEX(to, size, 8, 8));
    asm_alu_load(a, CMP, R11, HEAP(eden_threshold));
    asm_jcc(a, IF_ABOVE, &l->in);
    asm_store(a, HEAP(eden_free), R11);
    asm_load(a, R10, HEAP(nil));
    asm_bind(a, &loop); /* down to where the header will be */
    asm_alu_imm(a, SUB, R11, 8);
    asm_store(a, AT(R11, 0), R10);
    asm_alu(a, CMP, R11, to);
    asm_jcc(a, IF_ABOVE, &loop);
    asm_mov(a, R10, size);
    asm_shift(a, SHL, R10, HDR_SLOTS_SHIFT);
    asm_alu_imm(a, OR, R10, (int32_t)new_header(CLS_ARRAY, FMT_ARRAY, 0));
    asm_store(a, AT(to, 0), R10);
    asm_bind(a, &l->out);
    release(e, n);
}

bool emit_memory(struct emitter *e, struct ir_node *n)
{
    switch (n->op) {
    case IR_LOAD_SLOT: load_slot(e, n); break;
    case IR_STORE_SLOT: store_slot(e, n); break;
    case IR_SLOT_COUNT: case IR_BYTE_COUNT: slot_count_of(e, n); break;
    case IR_LOAD_ELEMENT: load_element(e, n); break;
    case IR_STORE_ELEMENT: store_element(e, n); break;
    case IR_LOAD_DOUBLE: load_double(e, n); break;
    case IR_CLASS_OF: class_of(e, n); break;
    case IR_NEW: make(e, n, (uint32_t)n->index, n->format); break;
    case IR_NEW_CLOSURE:
        make(e, n, CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED);
        break;
    case IR_NEW_ARRAY: new_array(e, n); break;
    default: return false;
    }
    return true;
}

/* --- what C does: leaves --- */

static oop no_memory(void)
{
    plat_panic("out of memory");
}

oop runtime_new_filled(struct vm *vm, uint64_t header_word, const oop *values)
{
    uint64_t n = header_word >> HDR_SLOTS_SHIFT, i;
    oop o = heap_new(&vm->heap, (uint32_t)(header_word & HDR_CLASS_MASK),
                     (unsigned)(header_word >> HDR_FORMAT_SHIFT & 31), n);

    if (!o)
        return no_memory();
    for (i = 0; i < n; i++)
        heap_store(&vm->heap, o, i, values[n - 1 - i]);
    return o;
}

oop runtime_new_nils(struct vm *vm, uint64_t n)
{
    return heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, n);
}

oop runtime_box(struct vm *vm, uint64_t bits)
{
    double d;
    oop o;

    memcpy(&d, &bits, sizeof d);
    o = heap_float(&vm->heap, d);
    return o ? o : no_memory();
}
