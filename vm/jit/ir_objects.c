/*
 * ir_objects.c - objects that need not be made: blocks that only inlined
 * code runs, and the arrays of variables that they share.
 *
 * Such an object is an IR_OBJECT, its fields are in the environment. When it
 * is used in a way that needs an object, its key is noted and the graph built
 * anew, with the object made where it was to be made.
 */
#include "vm/jit/builder.h"

#include <string.h>

/* --- notes --- */

/* A place in the graph, the same in each attempt. */
uint64_t key_of(const struct scope *s, uint32_t at, uint64_t what)
{
    uint64_t key = (s ? s->key : 1) * 0x9e3779b97f4a7c15ull;

    key ^= at + (what << 32);
    key *= 0xbf58476d1ce4e5b9ull;
    return key ^ key >> 29;
}

bool is_noted(const struct builder *b, uint64_t key)
{
    unsigned i;

    for (i = 0; i < b->num_notes; i++)
        if (b->notes[i] == key)
            return true;
    return false;
}

/* The graph is of no use, but may show what else has to be noted. */
void note(struct builder *b, uint64_t key)
{
    b->useless = true;
    if (is_noted(b, key))
        return;
    if (b->num_notes == MAX_NOTES) {
        b->g->failed = true;
        return;
    }
    b->notes[b->num_notes++] = key;
    b->again = true;
}

/* --- objects --- */

const struct unmade *unmade_of(const struct builder *b,
                               const struct ir_node *object)
{
    unsigned i;

    for (i = 0; i < b->num_unmade; i++)
        if (b->unmade[i].node == object)
            return &b->unmade[i];
    return NULL;
}

struct ir_object *find_object(const struct env *e, const struct ir_node *id)
{
    unsigned i;

    for (i = 0; i < e->num_objects; i++)
        if (e->objects[i].id == id)
            return &e->objects[i];
    return NULL;
}

static bool needs_outer(const struct builder *b, const struct unmade *u)
{
    const struct ir_object *o = find_object(&b->env, u->node);

    return !u->is_mutable && o &&
           o->fields[CLOSURE_OUTER]->op == IR_CONTEXT;
}

/* A block that needs its outer context means that this one's activation must
 * be a real one. */
void escape(struct builder *b, struct ir_node *object)
{
    const struct unmade *u = unmade_of(b, object);

    b->useless = true;
    if (u)
        note(b, needs_outer(b, u) ? u->scope->key : u->key);
}

/* States and edges share what was there before. */
static void enter_object(struct builder *b, struct ir_node *id,
                         struct ir_node **fields, unsigned n)
{
    const struct ir_object *old = find_object(&b->env, id);
    unsigned count = b->env.num_objects;
    struct ir_object *all = ir_take(b->g, (count + 1) * sizeof *all);

    if (!all)
        return;
    if (count)
        memcpy(all, b->env.objects, count * sizeof *all);
    all[old ? (unsigned)(old - b->env.objects) : count] =
        (struct ir_object){ id, fields, n };
    b->env.num_objects += !old;
    b->env.objects = all;
}

/* An object that is not made, entered in the environment; NULL: it was
 * needed when that was tried, or there are too many. */
static struct ir_node *unmade_object(struct builder *b, uint32_t class_index,
                                     unsigned format,
                                     struct ir_node *const *fields, unsigned n,
                                     bool is_mutable)
{
    uint64_t key = key_of(b->scope, b->at, 1);
    struct ir_node **own, *object;

    if (b->num_unmade == MAX_OBJECTS || is_noted(b, key))
        return NULL;
    own = ir_take(b->g, (n + 1) * sizeof *own);
    object = ir_add(b->g, NULL, IR_OBJECT, 0, NULL);
    if (b->g->failed)
        return object;
    if (n)
        memcpy(own, fields, n * sizeof *own);
    object->class_index = class_index;
    object->format = (uint8_t)format;
    b->unmade[b->num_unmade++] =
        (struct unmade){ object, b->scope, key, is_mutable };
    enter_object(b, object, own, n);
    return object;
}

struct ir_node *field_of(struct builder *b, const struct ir_node *object,
                         unsigned i)
{
    const struct ir_object *o = find_object(&b->env, object);

    if (o && i < o->num_fields && o->fields[i]->op != IR_CONTEXT)
        return o->fields[i];
    b->g->failed = true;
    return ir_constant(b->g, b->vm->heap.nil);
}

void set_field(struct builder *b, struct ir_node *object, unsigned i,
               struct ir_node *value)
{
    const struct ir_object *o = find_object(&b->env, object);
    const struct unmade *u = unmade_of(b, object);
    struct ir_node **fields;

    if (!o || i >= o->num_fields || !u->is_mutable) {
        escape(b, object);
        return;
    }
    fields = ir_take(b->g, o->num_fields * sizeof *fields);
    if (!fields)
        return;
    memcpy(fields, o->fields, o->num_fields * sizeof *fields);
    fields[i] = value;
    enter_object(b, object, fields, o->num_fields);
}

/* --- arrays --- */

static void set_new(struct ir_node *n, uint32_t class_index, unsigned format)
{
    n->class_index = class_index;
    n->index = (int32_t)class_index;
    n->format = (uint8_t)format;
}

void build_new_array(struct builder *b)
{
    struct ir_node *fields[IR_MAX_INPUTS] = { NULL }, *array;
    unsigned n = b->op.index, i;

    if (n > IR_MAX_INPUTS) {
        b->g->failed = true;
        return;
    }
    for (i = 0; i < n; i++)
        fields[i] = b->op.n ? operand(b, n - 1 - i)
                            : ir_constant(b->g, b->vm->heap.nil);
    array = unmade_object(b, CLS_ARRAY, FMT_ARRAY, fields, n, true);
    if (!array) {
        for (i = 0; i < n; i++)
            if (fields[i]->op == IR_OBJECT)
                escape(b, fields[i]);
        array = ir_add(b->g, b->block, IR_NEW, n, fields);
        set_new(array, CLS_ARRAY, FMT_ARRAY);
    }
    b->env.depth -= b->op.n ? n : 0;
    push(b, array);
}

/* --- blocks --- */

/* It needs its outer context, or else is made here. */
static struct ir_node *made_block(struct builder *b, oop block,
                                  struct ir_node **fields, unsigned n,
                                  bool has_outer)
{
    struct ir_node *closure;
    unsigned i;

    if (has_outer) {
        note(b, b->scope->key);
        return ir_constant(b->g, b->vm->heap.nil);
    }
    fields[2] = fields[CLOSURE_OUTER];
    for (i = 2; i < n; i++)
        if (fields[i]->op == IR_OBJECT)
            escape(b, fields[i]);
    closure = ir_add(b->g, b->block, IR_NEW_CLOSURE, n - 2, fields + 2);
    set_new(closure, CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED);
    closure->value = block;
    return closure;
}

static struct ir_node *outer_of(struct builder *b, bool has_outer)
{
    struct ir_node *outer;

    if (!has_outer)
        return ir_constant(b->g, b->vm->heap.nil);
    outer = ir_add(b->g, NULL, IR_CONTEXT, 0, NULL);
    outer->index = (int32_t)b->scope->level;
    return outer;
}

void build_full_block(struct builder *b)
{
    struct ir_node *fields[FULL_CLOSURE_COPIED + 64], *closure;
    oop block = heap_follow(code_literal(b->scope->method, b->op.index));
    unsigned copied = b->op.n & 63, n = FULL_CLOSURE_COPIED + copied, i;
    bool has_outer = !(b->op.n & 64), has_receiver = b->op.n >> 7;

    if (!is_code(block) || copied > IR_MAX_INPUTS - 2) {
        b->g->failed = true;
        return;
    }
    fields[CLOSURE_OUTER] = outer_of(b, has_outer);
    fields[CLOSURE_PC_OR_METHOD] = ir_constant(b->g, block);
    fields[CLOSURE_NUM_ARGS] =
        ir_constant(b->g, int_oop(code_num_args(block)));
    fields[FULL_CLOSURE_RECEIVER] = has_receiver ? operand(b, copied)
                                                 : b->scope->receiver;
    for (i = 0; i < copied; i++)
        fields[FULL_CLOSURE_COPIED + i] = operand(b, copied - 1 - i);
    closure = unmade_object(b, CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                            fields, n, false);
    if (!closure)
        closure = made_block(b, block, fields, n, has_outer);
    b->env.depth -= copied + has_receiver;
    push(b, closure);
}

void build_block(struct builder *b)
{
    struct ir_node *fields[CLOSURE_COPIED + 16], *closure;
    unsigned copied = b->op.n, i;

    fields[CLOSURE_OUTER] = outer_of(b, true);
    fields[CLOSURE_PC_OR_METHOD] =
        ir_constant(b->g, int_oop((int64_t)b->op.index + 1));
    fields[CLOSURE_NUM_ARGS] = ir_constant(b->g, int_oop(b->op.args));
    for (i = 0; i < copied; i++)
        fields[CLOSURE_COPIED + i] = operand(b, copied - 1 - i);
    closure = unmade_object(b, CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                            fields, CLOSURE_COPIED + copied, false);
    if (!closure) {
        note(b, b->scope->key); /* it needs its outer context */
        closure = ir_constant(b->g, b->vm->heap.nil);
    }
    b->env.depth -= copied;
    push(b, closure);
}

struct piece closure_piece(const struct builder *b,
                           const struct ir_object *closure)
{
    struct ir_node *const *f = closure->fields;
    oop what = f[CLOSURE_PC_OR_METHOD]->value;
    struct piece piece = {
        .method = what,
        .num_args = (unsigned)int_value(f[CLOSURE_NUM_ARGS]->value),
        .num_copied = closure->num_fields - FULL_CLOSURE_COPIED,
    };

    if (closure->id->class_index == CLS_BLOCK_CLOSURE) {
        piece.method = unmade_of(b, closure->id)->scope->method;
        piece.start = (uint32_t)int_value(what) - 1;
        piece.num_copied = closure->num_fields - CLOSURE_COPIED;
    }
    return piece;
}

/* --- what outlives its scope --- */

static bool is_active(const struct scope *s, const struct scope *maker)
{
    while (s && s != maker)
        s = s->caller;
    return s != NULL;
}

/* Is there a closure in the environment whose scope was left? */
void check_survivors(struct builder *b)
{
    unsigned i;

    for (i = 0; i < b->env.num_objects && !b->g->failed; i++) {
        const struct ir_object *o = &b->env.objects[i];
        const struct unmade *u = unmade_of(b, o->id);

        if (!u->is_mutable && o->fields[CLOSURE_OUTER]->op == IR_CONTEXT &&
            !is_active(b->scope, u->scope))
            note(b, u->scope->key);
    }
}
