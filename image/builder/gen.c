/*
 * gen.c - a tree with its names resolved to Sista V1 bytecodes.
 *
 * Code is first a list of instructions with symbolic jumps; jumps start
 * short and grow until they all fit. The stack depth is followed so that the
 * frame size in the method's header is right. The image's own compiler makes
 * the same bytes.
 */
#include "builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

enum {
    B_PUSH_INST = 0x00, B_PUSH_LITVAR = 0x10, B_PUSH_LIT = 0x20,
    B_PUSH_TEMP = 0x40, B_PUSH_SELF = 0x4c, B_PUSH_TRUE = 0x4d,
    B_PUSH_FALSE = 0x4e, B_PUSH_NIL = 0x4f, B_PUSH_0 = 0x50, B_PUSH_1 = 0x51,
    B_PUSH_CONTEXT = 0x52, B_DUP = 0x53, B_RETURN_SELF = 0x58,
    B_RETURN_TRUE = 0x59, B_RETURN_FALSE = 0x5a, B_RETURN_NIL = 0x5b,
    B_RETURN_TOP = 0x5c, B_BLOCK_NIL = 0x5d, B_BLOCK_TOP = 0x5e,
    B_SPECIAL = 0x60, B_SEND = 0x80, B_JUMP = 0xb0, B_JUMP_TRUE = 0xb8,
    B_JUMP_FALSE = 0xc0, B_POP_INST = 0xc8, B_POP_TEMP = 0xd0, B_POP = 0xd8,
    B_EXT_A = 0xe0, B_EXT_B = 0xe1, B_PUSH_INST_X = 0xe2,
    B_PUSH_LITVAR_X = 0xe3, B_PUSH_LIT_X = 0xe4, B_PUSH_TEMP_X = 0xe5,
    B_NEW_ARRAY = 0xe7, B_PUSH_INT = 0xe8, B_PUSH_CHAR = 0xe9,
    B_SEND_X = 0xea, B_SUPER = 0xeb, B_JUMP_X = 0xed, B_POP_INST_X = 0xf0,
    B_POP_LITVAR = 0xf1, B_POP_TEMP_X = 0xf2, B_STORE_INST = 0xf3,
    B_STORE_LITVAR = 0xf4, B_STORE_TEMP = 0xf5, B_PRIMITIVE = 0xf8,
    B_CLOSURE = 0xf9, B_PUSH_REMOTE = 0xfb, B_STORE_REMOTE = 0xfc,
    B_POP_REMOTE = 0xfd,
};

enum jump { J_NONE, J_ALWAYS, J_TRUE, J_FALSE };

struct ins {
    enum jump jump;
    unsigned label;
    unsigned size; /* of bytes, or of the jump as sized so far */
    uint8_t byte[8];
    long at;
};

struct gen {
    struct gen *outer;
    struct func *func;
    struct code *code;
    struct tree *tree;
    VEC(struct ins) list;
    VEC(long) labels; /* instruction that each label stands before */
    int depth;
};

static void value(struct gen *g, struct node *n);
static void effect(struct gen *g, struct node *n);
static void statements(struct gen *g, struct node *block, bool want);

/* --- emitting --- */

static void moved(struct gen *g, int change)
{
    g->depth += change;
    if (g->depth > (int)g->code->max_depth)
        g->code->max_depth = (unsigned)g->depth;
}

static void emit(struct gen *g, int change, unsigned n, ...)
{
    struct ins i = { .size = n };
    va_list args;

    va_start(args, n);
    for (unsigned k = 0; k < n; k++)
        i.byte[k] = (uint8_t)va_arg(args, int);
    va_end(args);
    vec_push(&g->list, i);
    moved(g, change);
}

/* An instruction with a one-byte operand whose rest goes to extension A. */
static void emit_a(struct gen *g, int change, int op, unsigned operand)
{
    if (operand > 255)
        emit(g, 0, 2, B_EXT_A, operand >> 8);
    emit(g, change, 2, op, operand & 255);
}

static unsigned new_label(struct gen *g)
{
    vec_push(&g->labels, -1);
    return (unsigned)g->labels.n - 1;
}

static void place(struct gen *g, unsigned label)
{
    g->labels.at[label] = (long)g->list.n;
}

static void jump(struct gen *g, enum jump kind, unsigned label)
{
    struct ins i = { .jump = kind, .label = label, .size = 1 };

    if (g->labels.at[label] >= 0) /* backward: always the four-byte form */
        i.size = 4;
    vec_push(&g->list, i);
    moved(g, kind == J_ALWAYS ? 0 : -1);
}

/* --- literals --- */

static unsigned literal(struct gen *g, struct lit *l)
{
    struct code *c = g->code;

    for (size_t i = 0; i < c->lits.n; i++)
        if (lit_equal(c->lits.at[i], l))
            return (unsigned)i;
    if (c->lits.n >= 32000)
        fail_at(g->tree->method, 0, "too many literals");
    vec_push(&c->lits, l);
    return (unsigned)c->lits.n - 1;
}

static unsigned binding_literal(struct gen *g, struct binding *b)
{
    struct lit *l = lit_new(L_BINDING);

    l->binding = b;
    return literal(g, l);
}

static void push_index(struct gen *g, unsigned index, unsigned limit,
                       int short_op, int long_op)
{
    if (index < limit)
        emit(g, 1, 1, short_op + (int)index);
    else
        emit_a(g, 1, long_op, index);
}

static void push_int(struct gen *g, int64_t v)
{
    if (v == 0 || v == 1) {
        emit(g, 1, 1, v ? B_PUSH_1 : B_PUSH_0);
        return;
    }
    if (v < 0 || v > 255)
        emit(g, 0, 2, B_EXT_B, (int)(v >> 8 & 255));
    emit(g, 1, 2, B_PUSH_INT, (int)(v & 255));
}

static void push_literal(struct gen *g, struct lit *l)
{
    int64_t v;

    if (l->kind == L_NIL || l->kind == L_TRUE || l->kind == L_FALSE)
        emit(g, 1, 1, l->kind == L_NIL ? B_PUSH_NIL
                      : l->kind == L_TRUE ? B_PUSH_TRUE : B_PUSH_FALSE);
    else if (lit_small(l, &v) && v >= -32768 && v <= 32767)
        push_int(g, v);
    else if (l->kind == L_CHAR && l->code_point < 256)
        emit(g, 1, 2, B_PUSH_CHAR, (int)l->code_point);
    else
        push_index(g, literal(g, l), 32, B_PUSH_LIT, B_PUSH_LIT_X);
}

/* --- variables --- */

static void push_frame_slot(struct gen *g, unsigned slot)
{
    if (slot < 12)
        emit(g, 1, 1, B_PUSH_TEMP + (int)slot);
    else
        emit(g, 1, 2, B_PUSH_TEMP_X, slot);
}

static void pop_frame_slot(struct gen *g, unsigned slot)
{
    if (slot < 8)
        emit(g, -1, 1, B_POP_TEMP + (int)slot);
    else
        emit(g, -1, 2, B_POP_TEMP_X, slot);
}

static void push_var(struct gen *g, struct var *v)
{
    if (v->remote)
        emit(g, 1, 3, B_PUSH_REMOTE, v->slot,
             var_slot(g->func, v->scope->vector));
    else
        push_frame_slot(g, var_slot(g->func, v));
}

static void store_var(struct gen *g, struct var *v, bool keep)
{
    if (v->remote)
        emit(g, keep ? 0 : -1, 3, keep ? B_STORE_REMOTE : B_POP_REMOTE,
             v->slot, var_slot(g->func, v->scope->vector));
    else if (keep)
        emit(g, 0, 2, B_STORE_TEMP, var_slot(g->func, v));
    else
        pop_frame_slot(g, var_slot(g->func, v));
}

static bool has_mediated_slots(const struct klass *c)
{
    struct klass *context = find_class(intern("Context"));

    return inherits_from(c, "Context") ||
           (context && c->inst_vars.n && inherits_from(context, c->name));
}

static bool is_mediated(const struct gen *g)
{
    const struct method *m = g->tree->method;

    return !m->meta && has_mediated_slots(m->cls);
}

static void push_name(struct gen *g, struct node *n)
{
    static const struct { const char *name; int op; } words[] = {
        { "self", B_PUSH_SELF }, { "super", B_PUSH_SELF },
        { "true", B_PUSH_TRUE }, { "false", B_PUSH_FALSE },
        { "nil", B_PUSH_NIL }, { "thisContext", B_PUSH_CONTEXT },
    };

    if (n->var) {
        push_var(g, n->var);
    } else if (n->inst_var >= 0) {
        push_index(g, (unsigned)n->inst_var, is_mediated(g) ? 0 : 16,
                   B_PUSH_INST, B_PUSH_INST_X);
    } else if (n->binding) {
        push_index(g, binding_literal(g, n->binding), 16, B_PUSH_LITVAR,
                   B_PUSH_LITVAR_X);
    } else {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (!strcmp(words[i].name, n->name))
                emit(g, 1, 1, words[i].op);
    }
}

static void store_name(struct gen *g, struct node *n, bool keep)
{
    if (n->var) {
        store_var(g, n->var, keep);
    } else if (n->inst_var >= 0) {
        if (keep)
            emit_a(g, 0, B_STORE_INST, (unsigned)n->inst_var);
        else if (n->inst_var < 8 && !is_mediated(g))
            emit(g, -1, 1, B_POP_INST + n->inst_var);
        else
            emit_a(g, -1, B_POP_INST_X, (unsigned)n->inst_var);
    } else {
        emit_a(g, keep ? 0 : -1, keep ? B_STORE_LITVAR : B_POP_LITVAR,
               binding_literal(g, n->binding));
    }
}

/* Entering a scope: its vector is made, and its temps are nil again if the
 * frame was here before. */
static void enter_scope(struct gen *g, struct scope *s)
{
    for (size_t i = 0; s->in_loop && i < s->vars.n; i++) {
        struct var *v = s->vars.at[i];

        if (v->kind == V_TEMP && !v->remote) {
            emit(g, 1, 1, B_PUSH_NIL);
            store_var(g, v, false);
        }
    }
    if (s->vector) {
        unsigned n = 0;

        for (size_t i = 0; i < s->vars.n; i++)
            n += s->vars.at[i]->remote;
        emit(g, 1, 2, B_NEW_ARRAY, n);
        pop_frame_slot(g, s->vector->slot);
    }
}

/* --- sends --- */

static int special_index(const char *selector)
{
    static const char *const specials[] = {
        "+", "-", "<", ">", "<=", ">=", "=", "~=", "*", "/", "\\\\", "@",
        "bitShift:", "//", "bitAnd:", "bitOr:", "at:", "at:put:", "size",
        "next", "nextPut:", "atEnd", "==", "class", "~~", "value", "value:",
        "do:", "new", "new:", "x", "y",
    };

    for (int i = 0; i < 32; i++)
        if (!strcmp(specials[i], selector))
            return i;
    return -1;
}

static void send(struct gen *g, const char *selector, unsigned args)
{
    int special = special_index(selector);
    unsigned index;

    if (special >= 0) {
        emit(g, -(int)args, 1, B_SPECIAL + special);
        return;
    }
    index = literal(g, lit_symbol(selector));
    if (args <= 2 && index < 16) {
        emit(g, -(int)args, 1, B_SEND + 16 * (int)args + (int)index);
        return;
    }
    if (index > 31)
        emit_a(g, 0, B_EXT_A, index >> 5);
    if (args > 7)
        emit(g, 0, 2, B_EXT_B, args >> 3);
    emit(g, -(int)args, 2, B_SEND_X, (index & 31) << 3 | (args & 7));
}

/* In a block the lookup class cannot come from the last literal: it is
 * pushed, and the directed form of the send takes it from the stack. */
static void send_super(struct gen *g, const char *selector, unsigned args)
{
    struct method *m = g->tree->method;
    struct klass *c = m->cls;
    unsigned index = literal(g, lit_symbol(selector));
    unsigned b = args >> 3;

    if (g->outer) {
        push_index(g, binding_literal(g, m->meta ? c->meta_binding
                                                 : c->binding),
                   16, B_PUSH_LITVAR, B_PUSH_LITVAR_X);
        b += 64;
        moved(g, -1);
    }
    if (index > 31)
        emit_a(g, 0, B_EXT_A, index >> 5);
    if (b)
        emit(g, 0, 2, B_EXT_B, b);
    emit(g, -(int)args, 2, B_SUPER, (index & 31) << 3 | (args & 7));
}

static bool is_super(const struct node *n)
{
    return n && n->kind == N_VAR && !strcmp(n->name, "super");
}

static void arguments_and_send(struct gen *g, struct node *n, bool super)
{
    for (size_t i = 0; i < n->kids.n; i++)
        value(g, n->kids.at[i]);
    if (super)
        send_super(g, n->name, (unsigned)n->kids.n);
    else
        send(g, n->name, (unsigned)n->kids.n);
}

static void cascade(struct gen *g, struct node *n)
{
    bool super = is_super(n->value);

    value(g, n->value);
    for (size_t i = 0; i < n->kids.n; i++) {
        bool last = i + 1 == n->kids.n;

        if (!last)
            emit(g, 1, 1, B_DUP);
        arguments_and_send(g, n->kids.at[i], super);
        if (!last)
            emit(g, -1, 1, B_POP);
    }
}

/* --- inlined sends; want: leave the value on the stack --- */

static bool leaves(const struct node *n); /* never reaches its end? */

static bool block_leaves(const struct node *block)
{
    return block->kids.n && leaves(block->kids.at[block->kids.n - 1]);
}

static bool leaves(const struct node *n)
{
    if (n->kind == N_RETURN)
        return true;
    return n->kind == N_SEND &&
           (n->inlining == IN_IF || n->inlining == IN_IF_NIL) &&
           n->kids.n == 2 && block_leaves(n->kids.at[0]) &&
           block_leaves(n->kids.at[1]);
}

static void inline_block(struct gen *g, struct node *block, bool want)
{
    enter_scope(g, block->scope);
    statements(g, block, want);
}

/* The two ways behind a test; no far block stands for nil. */
static void branch(struct gen *g, enum jump skip, struct node *near,
                   struct node *far, bool want)
{
    unsigned other = new_label(g), end = new_label(g);
    int depth;

    jump(g, skip, other);
    depth = g->depth;
    inline_block(g, near, want);
    if (!far && !want) {
        place(g, other);
        g->depth = depth;
        return;
    }
    if (!block_leaves(near))
        jump(g, J_ALWAYS, end);
    place(g, other);
    g->depth = depth;
    if (far)
        inline_block(g, far, want);
    else
        emit(g, 1, 1, B_PUSH_NIL);
    place(g, end);
    g->depth = depth + want;
}

static void inline_if(struct gen *g, struct node *n, bool want)
{
    bool is_true = !strncmp(n->name, "ifTrue:", 7);

    value(g, n->value);
    branch(g, is_true ? J_FALSE : J_TRUE, n->kids.at[0],
           n->kids.n > 1 ? n->kids.at[1] : NULL, want);
}

static void inline_and_or(struct gen *g, struct node *n, bool want)
{
    bool is_and = !strcmp(n->name, "and:");
    unsigned short_way = new_label(g), end = new_label(g);
    int depth;

    value(g, n->value);
    jump(g, is_and ? J_FALSE : J_TRUE, short_way);
    depth = g->depth;
    inline_block(g, n->kids.at[0], want);
    if (want) {
        if (!block_leaves(n->kids.at[0]))
            jump(g, J_ALWAYS, end);
        place(g, short_way);
        g->depth = depth;
        emit(g, 1, 1, is_and ? B_PUSH_FALSE : B_PUSH_TRUE);
        place(g, end);
    } else {
        place(g, short_way);
        g->depth = depth;
    }
}

static void inline_while(struct gen *g, struct node *n, bool want)
{
    bool is_true = !strncmp(n->name, "whileTrue", 9);
    unsigned start = new_label(g), end = new_label(g);

    place(g, start);
    inline_block(g, n->value, true);
    jump(g, is_true ? J_FALSE : J_TRUE, end);
    if (n->kids.n)
        inline_block(g, n->kids.at[0], false);
    jump(g, J_ALWAYS, start);
    place(g, end);
    if (want)
        emit(g, 1, 1, B_PUSH_NIL);
}

static void inline_repeat(struct gen *g, struct node *n, bool want)
{
    unsigned start = new_label(g);

    place(g, start);
    inline_block(g, n->value, false);
    jump(g, J_ALWAYS, start);
    moved(g, want); /* never reached; the code around counts a value */
}

static void push_limit(struct gen *g, struct node *n)
{
    if (n->limit)
        push_var(g, n->limit);
    else
        value(g, n->kids.at[0]);
}

static void inline_to_do(struct gen *g, struct node *n, bool want)
{
    struct node *block = n->kids.at[n->kids.n - 1];
    struct var *counter = block->scope->vars.at[0];
    struct lit *step = n->kids.n > 2 ? n->kids.at[1]->lit : lit_int(1);
    bool down = step->kind == L_FLOAT ? step->real < 0 : step->num.negative;
    unsigned start = new_label(g), end = new_label(g);

    value(g, n->value);
    store_var(g, counter, want);
    if (n->limit) {
        value(g, n->kids.at[0]);
        store_var(g, n->limit, false);
    }
    place(g, start);
    push_var(g, counter);
    push_limit(g, n);
    send(g, down ? ">=" : "<=", 1);
    jump(g, J_FALSE, end);
    inline_block(g, block, false);
    push_var(g, counter);
    push_literal(g, step);
    send(g, "+", 1);
    store_var(g, counter, false);
    jump(g, J_ALWAYS, start);
    place(g, end);
}

/* The argument of an ifNotNil: block is a variable set from the receiver. */
static void set_not_nil_arg(struct gen *g, struct node *n)
{
    for (size_t i = 0; i < n->kids.n; i++)
        if (n->kids.at[i]->params.n)
            store_var(g, n->kids.at[i]->scope->vars.at[0], true);
}

static void inline_if_nil(struct gen *g, struct node *n, bool want)
{
    bool nil_first = !strncmp(n->name, "ifNil:", 6), both = n->kids.n > 1;
    unsigned end = new_label(g);
    int depth;

    value(g, n->value);
    set_not_nil_arg(g, n);
    if (!both && want)
        emit(g, 1, 1, B_DUP);
    emit(g, 1, 1, B_PUSH_NIL);
    send(g, "==", 1);
    if (both || !want) {
        branch(g, nil_first ? J_FALSE : J_TRUE, n->kids.at[0],
               both ? n->kids.at[1] : NULL, want);
        return;
    }
    jump(g, nil_first ? J_FALSE : J_TRUE, end);
    depth = g->depth;
    emit(g, -1, 1, B_POP);
    inline_block(g, n->kids.at[0], true);
    place(g, end);
    g->depth = depth;
}

static void inlined(struct gen *g, struct node *n, bool want)
{
    static void (*const how[])(struct gen *, struct node *, bool) = {
        [IN_IF] = inline_if, [IN_AND_OR] = inline_and_or,
        [IN_WHILE] = inline_while, [IN_REPEAT] = inline_repeat,
        [IN_TO_DO] = inline_to_do, [IN_IF_NIL] = inline_if_nil,
    };

    how[n->inlining](g, n, want);
}

/* --- blocks --- */

static void finish(struct gen *g);

static void block_end(struct gen *g, struct node *block)
{
    if (!block->kids.n) {
        emit(g, 0, 1, B_BLOCK_NIL);
        return;
    }
    statements(g, block, true);
    if (!block_leaves(block))
        emit(g, -1, 1, B_BLOCK_TOP);
}

static void closure(struct gen *g, struct node *n)
{
    struct func *f = n->scope->func;
    struct gen inner = { .outer = g, .func = f, .tree = g->tree };
    struct lit *l = lit_new(L_CODE);
    unsigned index;

    inner.code = xalloc(sizeof *inner.code);
    inner.code->outer = g->code;
    inner.code->method = g->tree->method;
    inner.code->num_args = f->num_args;
    inner.code->num_temps = f->num_temps;
    enter_scope(&inner, f->scope);
    block_end(&inner, n);
    finish(&inner);
    l->code = inner.code;
    for (size_t i = 0; i < f->copied.n; i++)
        push_frame_slot(g, var_slot(g->func, f->copied.at[i]));
    index = literal(g, l);
    if (index > 255)
        emit_a(g, 0, B_EXT_A, index >> 8);
    emit(g, 1 - (int)f->copied.n, 3, B_CLOSURE, index & 255, f->copied.n);
}

/* --- nodes --- */

static void brace(struct gen *g, struct node *n)
{
    size_t count = n->kids.n;

    if (count <= 127 &&
        count + g->func->num_temps + (unsigned)g->depth < 40) {
        for (size_t i = 0; i < count; i++)
            value(g, n->kids.at[i]);
        emit(g, 1 - (int)count, 2, B_NEW_ARRAY, (count ? 128 : 0) | count);
        return;
    }
    push_index(g, binding_literal(g, find_global(intern("Array"), true)), 16,
               B_PUSH_LITVAR, B_PUSH_LITVAR_X);
    push_literal(g, lit_int((int64_t)count));
    send(g, "new:", 1);
    for (size_t i = 0; i < count; i++) {
        emit(g, 1, 1, B_DUP);
        push_literal(g, lit_int((int64_t)i + 1));
        value(g, n->kids.at[i]);
        send(g, "at:put:", 2);
        emit(g, -1, 1, B_POP);
    }
}

static void return_value(struct gen *g, struct node *v)
{
    static const struct { const char *name; int op; } words[] = {
        { "self", B_RETURN_SELF }, { "true", B_RETURN_TRUE },
        { "false", B_RETURN_FALSE }, { "nil", B_RETURN_NIL },
    };

    for (size_t i = 0; v->kind == N_VAR && i < 4; i++)
        if (!strcmp(words[i].name, v->name)) {
            emit(g, 0, 1, words[i].op);
            return;
        }
    value(g, v);
    emit(g, -1, 1, B_RETURN_TOP);
}

static void value(struct gen *g, struct node *n)
{
    switch (n->kind) {
    case N_LIT:
        push_literal(g, n->lit);
        break;
    case N_VAR:
        push_name(g, n);
        break;
    case N_ASSIGN:
        value(g, n->value);
        store_name(g, n, true);
        break;
    case N_SEND:
        if (n->inlining) {
            inlined(g, n, true);
        } else {
            value(g, n->value);
            arguments_and_send(g, n, is_super(n->value));
        }
        break;
    case N_CASCADE:
        cascade(g, n);
        break;
    case N_BLOCK:
        closure(g, n);
        break;
    case N_BRACE:
        brace(g, n);
        break;
    case N_RETURN: /* unreachable behind; counted as a value */
        return_value(g, n->value);
        moved(g, 1);
        break;
    }
}

static void effect(struct gen *g, struct node *n)
{
    if (n->kind == N_ASSIGN) {
        value(g, n->value);
        store_name(g, n, false);
    } else if (n->kind == N_RETURN) {
        return_value(g, n->value);
    } else if (n->kind == N_SEND && n->inlining) {
        inlined(g, n, false);
    } else if (n->kind != N_LIT && n->kind != N_VAR && n->kind != N_BLOCK) {
        value(g, n);
        emit(g, -1, 1, B_POP);
    }
}

static void statements(struct gen *g, struct node *block, bool want)
{
    for (size_t i = 0; i < block->kids.n; i++) {
        if (want && i + 1 == block->kids.n)
            value(g, block->kids.at[i]);
        else
            effect(g, block->kids.at[i]);
    }
    if (want && !block->kids.n)
        emit(g, 1, 1, B_PUSH_NIL);
}

/* --- assembling --- */

static long set_offsets(struct gen *g)
{
    long at = 0;

    for (size_t i = 0; i < g->list.n; i++) {
        g->list.at[i].at = at;
        at += g->list.at[i].size;
    }
    return at;
}

static long jump_distance(const struct gen *g, const struct ins *i, long end)
{
    size_t target = (size_t)g->labels.at[i->label];

    return (target < g->list.n ? g->list.at[target].at : end) -
           (i->at + i->size);
}

static bool grow_jumps(struct gen *g)
{
    long end = set_offsets(g);
    bool grown = false;

    for (size_t i = 0; i < g->list.n; i++) {
        struct ins *j = &g->list.at[i];
        long d;
        unsigned size;

        if (!j->jump || j->size == 4)
            continue;
        d = jump_distance(g, j, end);
        size = j->size == 1 && d >= 1 && d <= 8 ? 1
               : d >= 0 && d <= 255 ? 2 : 4;
        if (size > j->size) {
            j->size = size;
            grown = true;
        }
    }
    return grown;
}

static void put_jump(struct gen *g, const struct ins *j, long end)
{
    static const int short_op[] = { 0, B_JUMP, B_JUMP_TRUE, B_JUMP_FALSE };
    long d = jump_distance(g, j, end);

    if (d > 32767 || d < -32768)
        fail_at(g->tree->method, 0, "a jump is too long");
    if (j->size == 1) {
        vec_push(&g->code->bytes, (uint8_t)(short_op[j->jump] + d - 1));
        return;
    }
    if (j->size == 4) {
        vec_push(&g->code->bytes, B_EXT_B);
        vec_push(&g->code->bytes, (uint8_t)(d >> 8));
    }
    vec_push(&g->code->bytes, (uint8_t)(B_JUMP_X + j->jump - J_ALWAYS));
    vec_push(&g->code->bytes, (uint8_t)d);
}

static void finish(struct gen *g)
{
    long end;

    while (grow_jumps(g))
        ;
    end = set_offsets(g);
    for (size_t i = 0; i < g->list.n; i++) {
        struct ins *j = &g->list.at[i];

        if (j->jump)
            put_jump(g, j, end);
        else
            for (unsigned k = 0; k < j->size; k++)
                vec_push(&g->code->bytes, j->byte[k]);
    }
    if (g->code->num_temps + g->code->max_depth > 56)
        fail_at(g->tree->method, g->func->start, "expression too deep");
}

/* --- methods --- */

/* Methods that only answer something known need no activation. */
static unsigned quick_primitive(const struct gen *g)
{
    const struct node *body = g->tree->body, *v;
    int64_t n;

    if (g->tree->primitive || body->params.n || body->kids.n > 1 ||
        body->temps.n)
        return 0;
    if (!body->kids.n)
        return 256;
    if (body->kids.at[0]->kind != N_RETURN)
        return 0;
    v = body->kids.at[0]->value;
    if (v->kind == N_LIT && lit_small(v->lit, &n))
        return n >= -1 && n <= 2 ? (unsigned)(261 + n) : 0;
    if (v->kind != N_VAR)
        return 0;
    if (v->inst_var >= 0)
        return is_mediated(g) || v->inst_var > 255
                   ? 0 : 264 + (unsigned)v->inst_var;
    return !strcmp(v->name, "self") ? 256 : !strcmp(v->name, "true") ? 257
           : !strcmp(v->name, "false") ? 258
           : !strcmp(v->name, "nil") ? 259 : 0;
}

static struct code *generate(struct tree *t)
{
    struct gen g = { .func = t->func, .tree = t };

    g.code = xalloc(sizeof *g.code);
    g.code->method = t->method;
    g.code->tree = t;
    g.code->num_args = t->func->num_args;
    g.code->num_temps = t->func->num_temps;
    g.code->primitive = t->primitive ? t->primitive : quick_primitive(&g);
    if (t->prim_spec)
        vec_push(&g.code->lits, t->prim_spec);
    if (g.code->primitive)
        emit(&g, 0, 3, B_PRIMITIVE, g.code->primitive & 255,
             g.code->primitive >> 8);
    if (t->func->error)
        emit(&g, 0, 2, B_STORE_TEMP, t->func->error->slot);
    enter_scope(&g, t->func->scope);
    statements(&g, t->body, false);
    if (!block_leaves(t->body))
        emit(&g, 0, 1, B_RETURN_SELF);
    finish(&g);
    return g.code;
}

static jmp_buf failed;

void fail_at(const struct method *m, size_t offset, const char *fmt, ...)
{
    unsigned line = m->line;
    va_list args;
    char text[512];

    for (size_t i = 0; i < offset && i < m->source_size; i++)
        line += m->source[i] == '\n';
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    report(m->file, line, "%s%s>>%s: %s", m->cls->name,
           m->meta ? " class" : "", m->selector ? m->selector : "?", text);
    longjmp(failed, 1);
}

struct code *compile(struct method *m)
{
    struct tree *t;

    if (setjmp(failed))
        return NULL;
    t = parse_method(m);
    resolve_names(t);
    return m->code = generate(t);
}
