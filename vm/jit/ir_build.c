/*
 * ir_build.c - bytecodes to a graph: what each operation means, and the
 * method's own scope.
 *
 * An operation takes its operands from the environment only when nothing of
 * it can fail any more, because a guard's state is that before the bytecode.
 */
#include "vm/jit/builder.h"

#include <stdlib.h>

/* --- operands and nodes --- */

struct ir_node *operand(const struct builder *b, unsigned down)
{
    return b->env.values[b->scope->num_temps + b->env.depth - 1 - down];
}

static void set_operand(struct builder *b, unsigned down, struct ir_node *n)
{
    b->env.values[b->scope->num_temps + b->env.depth - 1 - down] = n;
}

void push(struct builder *b, struct ir_node *n)
{
    b->env.depth++;
    set_operand(b, 0, n);
}

struct ir_node *pop(struct builder *b)
{
    struct ir_node *n = operand(b, 0);

    b->env.depth--;
    return n;
}

static void push_oop(struct builder *b, oop o)
{
    push(b, ir_constant(b->g, o));
}

struct ir_node *add(struct builder *b, enum ir_op op, struct ir_node *x,
                    struct ir_node *y, struct ir_node *z)
{
    struct ir_node *inputs[3] = { x, y, z };
    unsigned n = z ? 3 : y ? 2 : x ? 1 : 0, i;

    for (i = 0; i < n; i++)
        if (inputs[i]->op == IR_OBJECT)
            escape(b, inputs[i]);
    return ir_add(b->g, b->block, op, n, inputs);
}

struct ir_node *add_failing(struct builder *b, enum ir_op op,
                            struct ir_node *x, struct ir_node *y)
{
    struct ir_state *before = state_before(b);
    struct ir_node *n = add(b, op, x, y, NULL);

    n->state = before;
    return n;
}

void fail(struct builder *b)
{
    struct ir_state *before = state_before(b);
    struct ir_node *n = ir_add(b->g, b->block, IR_FAIL, 0, NULL);

    n->state = before;
    b->block->is_cold = true;
    b->block = NULL;
}

struct ir_block *split(struct builder *b, struct ir_node *boolean, bool sense)
{
    struct ir_block *yes = new_block(b, b->block->is_cold);
    struct ir_block *no = new_block(b, b->block->is_cold);

    add(b, IR_BRANCH, boolean, NULL, NULL);
    ir_add_edge(b->g, b->block, yes);
    ir_add_edge(b->g, b->block, no);
    b->block = sense ? yes : no;
    return sense ? no : yes;
}

/* --- what is known --- */

uint32_t known_class(const struct ir_node *n)
{
    switch (n->type) {
    case TYPE_INT: return CLS_SMALL_INTEGER;
    case TYPE_CHARACTER: return CLS_CHARACTER;
    case TYPE_CLASS: return n->class_index;
    default: break;
    }
    return n->op == IR_CONST ? heap_class_index(n->value) : 0;
}

void set_class(struct ir_node *n, uint32_t class_index)
{
    n->type = class_index == CLS_SMALL_INTEGER ? TYPE_INT
              : class_index == CLS_CHARACTER   ? TYPE_CHARACTER
                                               : TYPE_CLASS;
    n->class_index = n->type == TYPE_CLASS ? class_index : 0;
}

void refine(struct builder *b, struct ir_node *old, struct ir_node *new)
{
    unsigned n = b->scope->num_temps + b->env.depth, i;

    for (i = 0; i < n; i++)
        if (b->env.values[i] == old)
            b->env.values[i] = new;
}

struct ir_node *guard_int(struct builder *b, struct ir_node *x)
{
    struct ir_node *n;

    if (x->type == TYPE_INT)
        return x;
    n = add_failing(b, IR_GUARD_INT, x, NULL);
    refine(b, x, n);
    return n;
}

struct ir_node *guard_class(struct builder *b, struct ir_node *x,
                            uint32_t class_index)
{
    struct ir_node *n;

    if (known_class(x) == class_index)
        return x;
    if (class_index == CLS_SMALL_INTEGER)
        return guard_int(b, x);
    n = add_failing(b, class_index == CLS_CHARACTER ? IR_GUARD_CHARACTER
                                                    : IR_GUARD_CLASS,
                    x, NULL);
    n->index = (int32_t)class_index;
    set_class(n, class_index);
    refine(b, x, n);
    return n;
}

/* --- instance variables --- */

static bool is_immediate_type(const struct ir_node *n)
{
    uint32_t class = known_class(n);

    return n->type == TYPE_FLOAT || class == CLS_SMALL_INTEGER ||
           class == CLS_CHARACTER || class == CLS_SMALL_FLOAT;
}

/* Slots of contexts are not what they seem. */
static void leave_contexts(struct builder *b, struct ir_node *receiver)
{
    struct ir_node *test;
    struct ir_block *on;

    if (known_class(receiver) && known_class(receiver) != CLS_CONTEXT)
        return;
    if (feedback_failed(b->vm, b->scope->method, b->at)) {
        b->g->failed = true; /* a method of contexts */
        return;
    }
    test = add(b, IR_IS_CLASS, receiver, NULL, NULL);
    test->index = CLS_CONTEXT;
    on = split(b, test, true);
    fail(b);
    b->block = on;
}

static struct ir_node *load_slot(struct builder *b, struct ir_node *o,
                                 uint32_t index)
{
    struct ir_node *n;

    if (o->op == IR_OBJECT)
        return field_of(b, o, index);
    if (is_immediate_type(o))
        b->g->failed = true;
    n = add(b, IR_LOAD_SLOT, o, NULL, NULL);
    n->index = (int32_t)index;
    return n;
}

static void store_slot(struct builder *b, struct ir_node *o, uint32_t index,
                       struct ir_node *value)
{
    struct ir_node *n = add(b, IR_STORE_SLOT, o, value, NULL);

    n->index = (int32_t)index;
}

static void push_slot(struct builder *b, bool mediated)
{
    struct ir_node *receiver = b->scope->receiver;

    if (mediated && receiver->op != IR_OBJECT)
        leave_contexts(b, receiver);
    push(b, load_slot(b, receiver, b->op.index));
}

/* A store that may meet a read-only object. */
static void store_checked(struct builder *b, struct ir_node *o,
                          uint32_t index)
{
    struct ir_node *value = operand(b, 0);

    if (o->op == IR_OBJECT) {
        set_field(b, o, index, value);
    } else {
        if (is_immediate_type(o))
            b->g->failed = true;
        add_failing(b, IR_GUARD_MUTABLE, o, NULL);
        store_slot(b, o, index, value);
    }
    b->env.depth -= b->op.pops;
}

static void store_own_slot(struct builder *b, bool mediated)
{
    struct ir_node *receiver = b->scope->receiver;

    if (mediated && receiver->op != IR_OBJECT)
        leave_contexts(b, receiver);
    store_checked(b, receiver, b->op.index);
}

/* --- variables --- */

static struct ir_node *variable(struct builder *b)
{
    return ir_constant(b->g, code_literal(b->scope->method, b->op.index));
}

/* Whatever is no such vector is the interpreter's business. */
static struct ir_node *remote_vector(struct builder *b)
{
    struct ir_node *vector = b->env.values[b->op.n], *slot;

    if (vector->op == IR_OBJECT) {
        b->g->failed |= known_class(vector) != CLS_ARRAY;
        return vector;
    }
    vector = guard_class(b, vector, CLS_ARRAY);
    slot = add(b, IR_CONST_WORD, NULL, NULL, NULL);
    slot->value = b->op.index;
    add_failing(b, IR_GUARD_BELOW, slot,
                add(b, IR_SLOT_COUNT, vector, NULL, NULL));
    return vector;
}

static void store_remote(struct builder *b)
{
    struct ir_node *vector = remote_vector(b);

    if (vector->op == IR_OBJECT)
        set_field(b, vector, b->op.index, operand(b, 0));
    else
        store_slot(b, vector, b->op.index, operand(b, 0));
    b->env.depth -= b->op.pops;
}

static void store_temp(struct builder *b)
{
    if (b->env.depth == 0)
        return; /* the marker of a primitive's error */
    b->env.values[b->op.index] = operand(b, 0);
    b->env.depth -= b->op.pops;
}

/* --- jumps --- */

static void jump(struct builder *b)
{
    if (b->op.target <= b->at) {
        struct ir_state *after = state_at(b, b->op.target, 0);
        struct ir_node *n = add(b, IR_SAFEPOINT, NULL, NULL, NULL);

        n->state = after;
    }
    go_to(b, b->op.target);
    b->block = NULL;
}

static void branch(struct builder *b, bool if_true)
{
    struct ir_node *n = operand(b, 0);
    const struct heap *h = &b->vm->heap;
    struct ir_block *on;

    if (n->op == IR_CONST && (n->value == h->true_ ||
                              n->value == h->false_)) {
        pop(b);
        if ((n->value == h->true_) == if_true)
            jump(b);
        return;
    }
    if (n->type != TYPE_BOOLEAN)
        n = add_failing(b, IR_GUARD_BOOLEAN, n, NULL);
    pop(b);
    on = split(b, n, if_true);
    go_to(b, b->op.target);
    b->block = on;
}

/* --- returns --- */

static void leave(struct builder *b, struct scope *s, struct ir_node *answer)
{
    if (s->level) {
        add_exit(b, &s->exits, answer);
    } else {
        add(b, IR_RETURN, answer, NULL, NULL);
        b->block = NULL;
    }
}

/* "^" in the frame's own block may be far: it is done in the interpreter, and
 * a block that does it often is none for this compiler. */
static void build_return(struct builder *b, struct ir_node *answer, bool local)
{
    struct scope *to = local ? b->scope : b->scope->home;

    if (to)
        leave(b, to, answer);
    else if (feedback_failed(b->vm, b->scope->method, b->at))
        b->g->failed = true;
    else
        fail(b);
}

static void build_end(struct builder *b)
{
    const struct heap *h = &b->vm->heap;

    switch (b->op.kind) {
    case OP_RETURN: build_return(b, operand(b, 0), false); break;
    case OP_BLOCK_RETURN: build_return(b, operand(b, 0), true); break;
    case OP_RETURN_SELF: build_return(b, b->scope->receiver, false); break;
    case OP_RETURN_TRUE:
        build_return(b, ir_constant(b->g, h->true_), false);
        break;
    case OP_RETURN_FALSE:
        build_return(b, ir_constant(b->g, h->false_), false);
        break;
    case OP_RETURN_NIL:
        build_return(b, ir_constant(b->g, h->nil), false);
        break;
    default:
        build_return(b, ir_constant(b->g, h->nil), true);
    }
    b->block = NULL;
}

/* --- one operation --- */

static void build_push(struct builder *b)
{
    const struct heap *h = &b->vm->heap;
    struct ir_node *vector;

    switch (b->op.kind) {
    case OP_PUSH_SLOT: push_slot(b, false); break;
    case OP_PUSH_SLOT_MEDIATED: push_slot(b, true); break;
    case OP_PUSH_TEMP: push(b, b->env.values[b->op.index]); break;
    case OP_PUSH_LITERAL: push(b, variable(b)); break;
    case OP_PUSH_VARIABLE:
        push(b, load_slot(b, variable(b), ASSOC_VALUE));
        break;
    case OP_PUSH_SELF: push(b, b->scope->receiver); break;
    case OP_PUSH_NIL: push_oop(b, h->nil); break;
    case OP_PUSH_TRUE: push_oop(b, h->true_); break;
    case OP_PUSH_FALSE: push_oop(b, h->false_); break;
    case OP_PUSH_VALUE: push_oop(b, b->op.value); break;
    case OP_DUP: push(b, operand(b, 0)); break;
    case OP_PUSH_REMOTE:
        vector = remote_vector(b);
        push(b, load_slot(b, vector, b->op.index));
        break;
    case OP_NEW_ARRAY: build_new_array(b); break;
    case OP_FULL_BLOCK: build_full_block(b); break;
    case OP_BLOCK: build_block(b); break;
    default: b->g->failed = true;
    }
}

static void build_op(struct builder *b)
{
    switch (b->op.kind) {
    case OP_NOP: break;
    case OP_POP: pop(b); break;
    case OP_STORE_REMOTE: store_remote(b); break;
    case OP_STORE_SLOT: store_own_slot(b, false); break;
    case OP_STORE_SLOT_MEDIATED: store_own_slot(b, true); break;
    case OP_STORE_TEMP: store_temp(b); break;
    case OP_STORE_VARIABLE:
        store_checked(b, variable(b), ASSOC_VALUE);
        break;
    case OP_JUMP: jump(b); break;
    case OP_JUMP_TRUE: branch(b, true); break;
    case OP_JUMP_FALSE: branch(b, false); break;
    case OP_SEND: case OP_SUPER: case OP_SUPER_ABOVE:
        build_send(b);
        break;
    case OP_SPECIAL:
        if (!build_special(b))
            build_send(b);
        break;
    default:
        if (b->op.kind >= OP_RETURN)
            build_end(b);
        else
            build_push(b);
    }
}

/* --- scopes --- */

void scope_run(struct builder *b, uint32_t from, uint32_t to)
{
    struct scope *s = b->scope;

    for (b->at = from; b->at < to && !b->g->failed; b->at = b->op.next) {
        b->before = NULL;
        b->op = is_reached(s, b->at) ? *op_at(s, b->at)
                                     : jit_decode(s->method, b->at);
        if (!is_reached(s, b->at))
            continue;
        if (s->body->places[b->at].is_target)
            meet(b, b->at);
        if (b->block)
            build_op(b);
    }
}

/* Contexts are left to the first tier, and embedded blocks that pop what they
 * were given. Depths are then those above the temps. A block made is where
 * the next bytecode is, its own body at `index`. */
static bool decode(struct body *body)
{
    int temps = body->start ? (int)body->num_temps : 0;
    uint32_t at;

    for (at = body->from; at < body->limit; at++) {
        struct op *op = &body->ops[at - body->from];

        if (body->places[at].depth < 0)
            continue;
        *op = jit_decode(body->method, at);
        body->places[at].depth -= (int16_t)temps;
        if (body->places[at].depth > (int)body->depth)
            body->depth = (unsigned)body->places[at].depth;
        if (op->kind == OP_PUSH_CONTEXT || op->kind == OP_PUSH_PROCESS ||
            (temps && body->places[at].depth < op_pops(op)))
            return false;
        if (op->kind == OP_BLOCK) {
            op->index = op->next;
            op->next = op->target;
        }
    }
    return true;
}

static bool prepare_body(struct builder *b, struct body *body)
{
    oop method = body->method;
    uint32_t size = (uint32_t)byte_count(method), i;

    body->from = code_first_pc(method) + (code_has_primitive(method) ? 3 : 0);
    if (body->start)
        body->from = body->start;
    if (body->from >= size || size > MAX_CODE_BYTES ||
        body->num_temps > MAX_DEPTH)
        return false;
    body->places = ir_take(b->g, (size + 1) * sizeof *body->places);
    body->ops = ir_take(b->g, (size - body->from) * sizeof *body->ops);
    if (b->g->failed)
        return false;
    for (i = 0; i <= size; i++)
        body->places[i].depth = -1;
    if (!jit_verify(method, body->from, size, body->start != 0,
                    body->start ? (int)body->num_temps : 0, body->places))
        return false;
    for (body->limit = size; body->places[body->limit - 1].depth < 0;)
        body->limit--;
    return decode(body);
}

static struct body *body_of(struct builder *b, const struct scope *s)
{
    struct body *body;

    for (body = b->bodies; body; body = body->next)
        if (body->method == s->method && body->start == s->start &&
            body->num_temps == s->num_temps)
            return body;
    body = ir_take(b->g, sizeof *body);
    if (!body)
        return NULL;
    body->method = s->method;
    body->start = s->start;
    body->num_temps = s->num_temps;
    body->next = b->bodies;
    b->bodies = body;
    body->is_buildable = prepare_body(b, body);
    return body;
}

bool scope_prepare(struct builder *b, struct scope *s,
                   const struct piece *piece)
{
    unsigned given = piece->num_args + piece->num_copied;

    s->method = piece->method;
    s->start = piece->start;
    s->num_temps = piece->start ? given : code_num_temps(piece->method);
    if (s->num_temps < given)
        return false;
    s->body = body_of(b, s);
    return s->body && s->body->is_buildable;
}

/* --- the method's own scope --- */

static struct ir_node *argument(struct builder *b, unsigned i)
{
    struct ir_node *n = ir_add(b->g, b->g->entry, IR_ARGUMENT, 0, NULL);

    n->index = (int32_t)i;
    return n;
}

static struct ir_node *first_value(struct builder *b, unsigned i)
{
    const struct ir_graph *g = b->g;

    if (g->entered_at || i < g->num_args)
        return argument(b, i);
    if (g->copied > 0 && i < g->num_args + (unsigned)g->copied)
        return load_slot(b, b->scope->closure,
                         ir_first_copied(g) + i - g->num_args);
    return ir_constant(b->g, b->vm->heap.nil);
}

static void fill_environment(struct builder *b)
{
    struct scope *s = b->scope;
    uint32_t at = b->g->entered_at;
    unsigned depth = at ? (unsigned)s->body->places[at].depth : 0, i;

    b->block = b->g->entry;
    b->env.depth = depth;
    b->env.values = ir_take(b->g, scope_room(s) * sizeof *b->env.values);
    for (i = 0; i < s->num_temps + depth && !b->g->failed; i++)
        b->env.values[i] = first_value(b, i);
}

/* Does control come to what lies before the loop it is entered in? */
static bool comes_before(const struct scope *s, uint32_t entered_at)
{
    uint32_t at;

    for (at = entered_at; at < s->body->limit; at++)
        if (is_reached(s, at) && op_at(s, at)->kind == OP_JUMP &&
            op_at(s, at)->target < entered_at)
            return true;
    return false;
}

static bool has_unmet(const struct builder *b)
{
    const struct meeting *m;

    for (m = b->scope->meetings; m && !b->g->failed; m = m->next)
        if (m->edges && !m->block)
            return b->all_meet;
    return false;
}

static bool enter_in_loop(struct builder *b)
{
    struct scope *s = b->scope;
    const struct body *body = s->body;
    uint32_t at = b->g->entered_at;

    if (at < body->from || at >= body->limit || !is_reached(s, at) ||
        !body->places[at].is_loop)
        return false;
    b->all_meet = comes_before(s, at);
    fill_environment(b);
    scope_run(b, at, body->limit);
    while (has_unmet(b))
        scope_run(b, body->from, body->limit);
    return true;
}

/* The graph is one of a block that such closures run. */
static struct piece piece_of_example(struct ir_graph *g, oop closure)
{
    struct piece piece = { .method = g->method };
    bool embedded = class_index_of(closure) == CLS_BLOCK_CLOSURE;

    if (embedded) {
        g->num_args = (unsigned)int_value(slot(closure, CLOSURE_NUM_ARGS));
        piece.start = g->start =
            (uint32_t)int_value(slot(closure, CLOSURE_PC_OR_METHOD)) - 1;
    }
    g->copied = (int)slot_count(closure) - (int)ir_first_copied(g);
    piece.num_args = g->num_args;
    piece.num_copied = (unsigned)g->copied;
    if (embedded)
        g->num_temps = piece.num_args + piece.num_copied;
    return piece;
}

static bool start(struct builder *b, oop method, oop closure)
{
    struct ir_graph *g = b->g;
    struct scope *s = b->scope;
    struct piece piece = { .method = method, .num_args = g->num_args };

    if (closure)
        piece = piece_of_example(g, closure);
    if ((code_has_primitive(method) && !g->start) ||
        !scope_prepare(b, s, &piece))
        return false;
    s->key = key_of(NULL, 0, 0);
    if (closure) {
        s->closure = ir_add(g, g->entry, IR_CLOSURE, 0, NULL);
        set_class(s->closure, class_index_of(closure));
    } else {
        s->home = s;
    }
    s->receiver = ir_add(g, g->entry, IR_RECEIVER, 0, NULL);
    if (g->entered_at)
        return enter_in_loop(b);
    fill_environment(b);
    scope_run(b, s->body->from, s->body->limit);
    return true;
}

/* One attempt; NULL: refused, or b->again. */
static struct ir_graph *attempt(struct builder *b, oop method, oop closure,
                                uint32_t entered_at)
{
    struct ir_graph *g = b->g = ir_new_graph(b->vm, method);
    bool done;

    b->again = b->useless = false;
    b->num_unmade = 0;
    b->bodies = NULL;
    if (!g)
        return NULL;
    g->entered_at = entered_at;
    b->scope = ir_take(g, sizeof *b->scope);
    b->env = (struct env){ 0 };
    done = b->scope && start(b, method, closure) && !b->useless;
    if (done && !g->failed)
        ir_sort_blocks(g);
    if (done && !g->failed) {
        remove_trivial_phis(g);
        return g;
    }
    ir_free_graph(g);
    return NULL;
}

struct ir_graph *ir_build(struct vm *vm, oop method, oop closure,
                          uint32_t entered_at)
{
    struct builder *b = calloc(1, sizeof *b);
    struct ir_graph *g = NULL;
    unsigned tries = 0;

    if (!b)
        return NULL;
    b->vm = vm;
    b->notes = calloc(MAX_NOTES, sizeof *b->notes);
    if (closure == vm->heap.nil)
        closure = 0;
    do {
        if (b->notes)
            g = attempt(b, method, closure, entered_at);
    } while (!g && b->again && tries++ < MAX_REBUILDS &&
             !is_noted(b, key_of(NULL, 0, 0)));
    free(b->notes);
    free(b);
    return g;
}
