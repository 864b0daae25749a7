/*
 * ir_inline.c - what a send becomes: the body of the method that it will
 * run, known by the receiver's type or by what the first tier has met; or a
 * send.
 *
 * A method taken for granted stands behind a guard of the receiver's class,
 * and the graph notes the selector. Where a guard has failed before, it is a
 * test with a send on the other side.
 */
#include "vm/interp_slow.h"
#include "vm/jit/builder.h"
#include "vm/primitives/prim.h"

#include <string.h>

enum { MAX_CASES = 4 };

/* A method that a send may run. */
struct callee {
    enum { AS_SEND, AS_QUICK, AS_PRIMITIVE, AS_BODY, AS_BLOCK } how;
    oop method;
    uint64_t key;
};

void add_dependency(struct builder *b, oop selector, oop class, oop method)
{
    struct ir_graph *g = b->g;
    unsigned i, room = g->dependencies_room ? 2 * g->dependencies_room : 16;
    struct dependency *more;

    for (i = 0; i < g->num_dependencies; i++)
        if (g->dependencies[i].selector == selector &&
            g->dependencies[i].class == class)
            return;
    if (g->num_dependencies == g->dependencies_room) {
        more = ir_take(g, room * sizeof *more);
        if (!more)
            return;
        if (g->num_dependencies)
            memcpy(more, g->dependencies, g->num_dependencies * sizeof *more);
        g->dependencies = more;
        g->dependencies_room = room;
    }
    g->dependencies[g->num_dependencies++] =
        (struct dependency){ selector, class, method };
}

/* --- sends that are sends --- */

static void real_send(struct builder *b, oop selector, unsigned argc,
                      oop super_class)
{
    struct ir_node *inputs[IR_MAX_INPUTS], *n;
    struct ir_state *after = state_at(b, b->op.next, argc + 1);
    unsigned i;

    if (argc + 1 > IR_MAX_INPUTS) {
        b->g->failed = true;
        return;
    }
    for (i = 0; i <= argc; i++) {
        inputs[i] = operand(b, argc - i);
        if (inputs[i]->op == IR_OBJECT)
            escape(b, inputs[i]);
    }
    n = ir_add(b->g, b->block, IR_SEND, argc + 1, inputs);
    n->value = selector;
    n->index = super_class != 0;
    n->method_class = super_class;
    n->state = after;
    b->env.depth -= argc + 1;
    push(b, n);
}

/* --- what can be inlined --- */

static oop find_method(struct builder *b, oop selector, oop class)
{
    const struct cache_entry *e;

    if (!is_pointer(class) || class == b->vm->heap.nil)
        return 0;
    e = vm_lookup(b->vm, selector, class);
    return e && is_code(e->method) ? e->method : 0;
}

static bool is_given_block(const struct builder *b, unsigned argc)
{
    unsigned i;

    for (i = 0; i <= argc; i++)
        if (operand(b, i)->op == IR_OBJECT)
            return true;
    return false;
}

static uint64_t code_bytes(oop method)
{
    return byte_count(method) - code_first_pc(method);
}

static bool runs(const struct scope *s, oop method, uint32_t start)
{
    return s->method == method && s->start == start;
}

/* What calls itself may be inlined in itself. Of what does so by way of
 * others there would be more code, but hardly fewer calls. */
static bool may_recur(const struct builder *b, oop method, uint32_t start)
{
    const struct scope *s;
    unsigned times = 0;

    for (s = b->scope; s; s = s->caller)
        times += runs(s, method, start);
    return !times || (runs(b->scope, method, start) &&
                      times <= MAX_RECURSION &&
                      code_bytes(method) <= MAX_RECURSIVE_BYTES &&
                      b->g->num_nodes < MAX_RECURSIVE_NODES);
}

static bool is_small(const struct builder *b, oop method, unsigned argc)
{
    return code_bytes(method) <= (is_given_block(b, argc)
                                      ? MAX_INLINE_WITH_BLOCK
                                      : MAX_INLINE_BYTES);
}

static bool has_room(const struct builder *b, oop method, uint32_t start)
{
    return b->scope->level < IR_MAX_DEPTH && !b->block->is_cold &&
           b->g->num_nodes < MAX_INLINE_NODES &&
           may_recur(b, method, start);
}

/* An unmade closure that the primitive runs, or NULL. */
static const struct ir_object *runs_block(const struct builder *b,
                                          cached_primitive p,
                                          const struct ir_node *n)
{
    uint32_t class_index = p == prim_block_value        ? CLS_BLOCK_CLOSURE
                           : p == prim_full_block_value
                               ? CLS_FULL_BLOCK_CLOSURE : 0;

    return n->op == IR_OBJECT && n->class_index == class_index
               ? find_object(&b->env, n) : NULL;
}

static struct callee choose(struct builder *b, oop method, unsigned argc,
                            uint32_t class_index, unsigned index)
{
    struct callee c = { AS_SEND, method, key_of(b->scope, b->at, 2 + index) };
    const struct ir_object *closure;
    cached_primitive p;

    if (!method || code_num_args(method) != argc || is_noted(b, c.key) ||
        class_index == CLS_CONTEXT) /* slots may be those of a frame */
        return c;
    p = vm_primitive_of(method);
    closure = runs_block(b, p, operand(b, argc));
    if (closure) {
        struct piece piece = closure_piece(b, closure);

        if (piece.num_args == argc &&
            has_room(b, piece.method, piece.start))
            c.how = AS_BLOCK;
    } else if (p && (uintptr_t)p < QUICK_MAX) {
        c.how = AS_QUICK;
    } else if (p) {
        c.how = is_known_primitive(p, argc) ? AS_PRIMITIVE : AS_SEND;
    } else if (is_small(b, method, argc) && has_room(b, method, 0)) {
        c.how = AS_BODY;
    }
    return c;
}

/* --- bodies --- */

static void fill_values(struct builder *b, const struct scope *s,
                        const struct ir_object *closure, unsigned argc)
{
    struct env *e = &b->env;
    unsigned first = s->start ? CLOSURE_COPIED : FULL_CLOSURE_COPIED, i;
    unsigned copied = closure ? closure->num_fields - first : 0;
    struct ir_node **values =
        ir_take(b->g, scope_room(s) * sizeof *values);

    if (!values)
        return;
    for (i = 0; i < s->num_temps; i++)
        values[i] = i < argc ? operand(b, argc - 1 - i)
                    : i < argc + copied
                        ? closure->fields[first + i - argc]
                        : ir_constant(b->g, b->vm->heap.nil);
    e->values = values;
    e->depth = 0;
}

static bool describe_body(struct builder *b, struct scope *s,
                          const struct callee *c, unsigned argc)
{
    struct ir_node *receiver = operand(b, argc);
    struct piece piece = { .method = c->method, .num_args = argc };
    const struct scope *maker;
    const struct ir_object *o;

    s->caller = b->scope;
    s->level = b->scope->level + 1;
    s->key = c->key;
    s->receiver = receiver;
    s->home = s;
    if (c->how != AS_BLOCK)
        return scope_prepare(b, s, &piece);
    o = find_object(&b->env, receiver);
    maker = unmade_of(b, receiver)->scope;
    piece = closure_piece(b, o);
    s->closure = receiver;
    s->receiver = piece.start ? maker->receiver
                             : o->fields[FULL_CLOSURE_RECEIVER];
    s->home = maker->home;
    return scope_prepare(b, s, &piece);
}

/* Builds a body in place of the send. */
static bool inline_body(struct builder *b, const struct callee *c,
                        unsigned argc)
{
    struct scope *caller = b->scope;
    struct scope *s = ir_take(b->g, sizeof *s);
    struct env env = b->env;
    struct op op = b->op;
    uint32_t at = b->at;
    struct ir_node *answer;

    if (!s || !describe_body(b, s, c, argc))
        return false;
    s->caller_state = state_at(b, op.next, argc + 1);
    fill_values(b, s, s->closure ? find_object(&env, s->closure) : NULL,
                argc);
    b->scope = s;
    if (!b->g->failed)
        scope_run(b, s->body->from, s->body->limit);
    b->scope = caller;
    b->env = env;
    b->env.depth -= argc + 1;
    b->op = op;
    b->at = at;
    b->before = NULL;
    answer = join(b, s->exits);
    if (b->block && !b->g->failed) {
        check_survivors(b);
        push(b, answer);
    }
    b->vm->jit->stats.inlined++;
    return true;
}

static struct ir_node *quick_answer(struct builder *b, unsigned n,
                                    struct ir_node *receiver)
{
    const struct heap *h = &b->vm->heap;
    struct ir_node *load;

    if (n == 256)
        return receiver;
    if (n < 260)
        return ir_constant(b->g, n == 257   ? h->true_
                                 : n == 258 ? h->false_ : h->nil);
    if (n < QUICK_SLOTS)
        return ir_constant(b->g, int_oop((int)n - 261));
    if (receiver->op == IR_OBJECT)
        return field_of(b, receiver, n - QUICK_SLOTS);
    if (!class_has_slots(b, known_class(receiver)))
        return NULL;
    load = add(b, IR_LOAD_SLOT, receiver, NULL, NULL);
    load->index = (int32_t)(n - QUICK_SLOTS);
    return load;
}

/* The send's receiver is what the callee expects. False: nothing was done. */
static bool inline_callee(struct builder *b, const struct callee *c,
                          unsigned argc)
{
    struct ir_node *answer;

    if (c->how == AS_SEND)
        return false;
    if (c->how >= AS_BODY)
        return inline_body(b, c, argc);
    answer = c->how == AS_QUICK
                 ? quick_answer(b, code_primitive(c->method),
                                operand(b, argc))
                 : build_primitive(b, vm_primitive_of(c->method), argc);
    if (!answer)
        return false;
    b->env.depth -= argc + 1;
    push(b, answer);
    return true;
}

/* --- by feedback --- */

/* One of several: what its way answers goes to where they join. */
static void end_case(struct builder *b, struct edge **exits)
{
    if (b->block && !b->g->failed)
        add_exit(b, exits, pop(b));
    b->block = NULL;
}

/* Splits off the case of a class; the other side's block is answered, its
 * environment is what it was. */
static struct ir_block *test_class(struct builder *b, unsigned argc,
                                   uint32_t class_index)
{
    struct ir_node *r = operand(b, argc), *n;
    bool is_int = class_index == CLS_SMALL_INTEGER;
    struct ir_block *other;

    n = add(b, is_int ? IR_IS_INT : IR_IS_CLASS, r, NULL, NULL);
    n->index = (int32_t)class_index;
    other = split(b, n, true);
    n = add(b, IR_REFINE, r, NULL, NULL);
    set_class(n, class_index);
    refine(b, r, n);
    return other;
}

static void inline_or_send(struct builder *b, const struct callee *c,
                           oop selector, unsigned argc)
{
    if (!inline_callee(b, c, argc) && !b->g->failed)
        real_send(b, selector, argc, 0);
}

/* A chain of tests; behind the last a guard, or a send if `open`. */
static void inline_cases(struct builder *b, const struct send_feedback *f,
                         const struct callee *callees, oop selector,
                         unsigned argc, bool open)
{
    struct env start = b->env;
    struct ir_state *before = state_before(b);
    struct edge *exits = NULL;
    struct ir_node *answer;
    unsigned i;

    for (i = 0; i < f->num_cases && !b->g->failed; i++) {
        struct ir_block *other = NULL;

        copy_env(b, &b->env, &start);
        b->before = before;
        if (i + 1 < f->num_cases || open)
            other = test_class(b, argc, f->cases[i].class_index);
        else
            guard_class(b, operand(b, argc), f->cases[i].class_index);
        inline_or_send(b, &callees[i], selector, argc);
        end_case(b, &exits);
        b->block = other;
    }
    if (b->block && !b->g->failed) {
        copy_env(b, &b->env, &start);
        b->block->is_cold = f->seen == SEEN_CASES;
        real_send(b, selector, argc, 0);
        end_case(b, &exits);
    }
    copy_env(b, &b->env, &start);
    b->env.depth -= argc + 1;
    b->before = NULL;
    answer = join(b, exits);
    if (b->block && !b->g->failed)
        push(b, answer);
}

/* Chooses for each case; how many can be inlined? */
static unsigned choose_cases(struct builder *b, const struct send_feedback *f,
                             struct callee *callees, oop selector,
                             unsigned argc)
{
    unsigned i, good = 0;

    for (i = 0; i < f->num_cases; i++) {
        oop class = heap_class_at(&b->vm->heap, f->cases[i].class_index);

        callees[i] = choose(b, f->cases[i].method, argc,
                            f->cases[i].class_index, i);
        if (find_method(b, selector, class) != f->cases[i].method)
            callees[i].how = AS_SEND;
        if (callees[i].how == AS_SEND)
            continue;
        add_dependency(b, selector, class, f->cases[i].method);
        good++;
    }
    return good;
}

/* Would the first tier know of sends in this scope? What a loop is entered in
 * may have run only once yet, interpreted. */
static bool is_well_known(const struct builder *b)
{
    return feedback_exists(b->vm, b->scope->method, b->scope->start) &&
           (b->scope->level || !b->g->entered_at);
}

static void send_by_feedback(struct builder *b, oop selector, unsigned argc)
{
    oop method = b->scope->method;
    struct send_feedback f;
    struct callee callees[PIC_CASES];
    bool failed = feedback_failed(b->vm, method, b->at);

    feedback_of_send(b->vm, method, b->scope->start, b->at, &f);
    if (f.seen == SEEN_NOTHING && !failed && is_well_known(b)) {
        fail(b);
        return;
    }
    if (f.seen != SEEN_CASES || f.num_cases > MAX_CASES ||
        !choose_cases(b, &f, callees, selector, argc)) {
        real_send(b, selector, argc, 0);
        return;
    }
    inline_cases(b, &f, callees, selector, argc, failed);
}

/* A send of `selector` that may be inlined. */
static void build_ordinary_send(struct builder *b, oop selector, unsigned argc)
{
    uint32_t class_index = known_class(operand(b, argc));
    struct callee c;
    oop class;

    if (!class_index) {
        send_by_feedback(b, selector, argc);
        return;
    }
    class = heap_class_at(&b->vm->heap, class_index);
    c = choose(b, find_method(b, selector, class), argc, class_index, 0);
    if (c.how != AS_SEND)
        add_dependency(b, selector, class, c.method);
    inline_or_send(b, &c, selector, argc);
}

/* --- super sends --- */

static oop class_of_method(const struct builder *b, oop method)
{
    oop binding = heap_follow(code_literal(method,
                                           code_num_literals(method) - 1));

    if (!is_pointer(binding) || !format_is_pointers(format_of(binding)) ||
        slot_count(binding) <= ASSOC_VALUE)
        return b->vm->heap.nil;
    return heap_follow(slot(binding, ASSOC_VALUE));
}

/* The class on the stack, which is then popped; 0: not known. */
static oop class_on_stack(struct builder *b)
{
    struct ir_node *n = operand(b, 0);
    oop class = 0;

    if (n->op == IR_CONST) {
        class = n->value;
    } else if (n->op == IR_LOAD_SLOT && n->inputs[0]->op == IR_CONST) {
        class = heap_follow(slot(n->inputs[0]->value, (uint64_t)n->index));
        add_failing(b, IR_GUARD_VALUE, n, NULL)->value = class;
    }
    b->env.depth--;
    return class;
}

static void build_super(struct builder *b, oop selector)
{
    const struct heap *h = &b->vm->heap;
    struct callee c;
    oop class, above;

    state_before(b); /* with the class */
    class = b->op.kind == OP_SUPER_ABOVE
                ? class_on_stack(b) : class_of_method(b, b->scope->method);
    if (!class || !is_pointer(class) || class == h->nil ||
        slot_count(class) <= CLASS_FORMAT) {
        b->g->failed = true;
        return;
    }
    above = heap_follow(slot(class, CLASS_SUPERCLASS));
    c = choose(b, find_method(b, selector, above), b->op.n,
               known_class(operand(b, b->op.n)), 0);
    if (c.how == AS_PRIMITIVE || (c.how == AS_QUICK &&
                                  !known_class(operand(b, b->op.n))))
        c.how = AS_SEND;
    if (c.how != AS_SEND)
        add_dependency(b, selector, above, c.method);
    if (!inline_callee(b, &c, b->op.n) && !b->g->failed)
        real_send(b, selector, b->op.n, class);
}

void build_send(struct builder *b)
{
    oop table = heap_special(&b->vm->heap, SPL_SPECIAL_SELECTORS);
    oop selector = b->op.kind == OP_SPECIAL
                       ? slot(table, 2u * b->op.index)
                       : code_literal(b->scope->method, b->op.index);

    selector = heap_follow(selector);
    if (b->op.kind == OP_SUPER || b->op.kind == OP_SUPER_ABOVE)
        build_super(b, selector);
    else
        build_ordinary_send(b, selector, b->op.n);
}
