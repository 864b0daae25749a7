/*
 * scope.c - gives every name in a tree its meaning.
 *
 * Decides which sends are inlined, which blocks share the frame of the method
 * around them, and where each local variable lives: in the frame, copied
 * into blocks, or in a temp vector.
 *
 * A captured variable is copied when its value cannot change afterwards: it
 * is never assigned inside a block, nor behind the first block that captures
 * it. A loop around that block (inside the variable's own scope) counts as
 * one place, its start. The image's own compiler follows the same rules, so
 * that both give the same bytecodes.
 */
#include "builder.h"

#include <string.h>

struct use {
    struct func *func;
    struct var *var;
};

struct resolver {
    struct tree *tree;
    struct scope *scope;
    VEC(struct use) uses;
    VEC(struct func *) funcs;
};

static void resolve(struct resolver *r, struct node *n);

/* --- scopes --- */

static struct scope *scope_new(struct resolver *r, struct func *f)
{
    struct scope *s = xalloc(sizeof *s);

    s->outer = r->scope;
    s->func = f;
    vec_push(&f->scopes, s);
    r->scope = s;
    return s;
}

static struct func *func_new(struct resolver *r, uint32_t start)
{
    struct func *f = xalloc(sizeof *f);

    f->outer = r->scope ? r->scope->func : NULL;
    f->start = start;
    vec_push(&r->funcs, f);
    f->scope = scope_new(r, f);
    return f;
}

static bool is_reserved(const char *name)
{
    static const char *const words[] = {
        "self", "super", "true", "false", "nil", "thisContext",
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i], name))
            return true;
    return false;
}

static struct var *declare(struct resolver *r, const char *name,
                           enum var_kind kind, uint32_t at)
{
    struct var *v = xalloc(sizeof *v);

    if (name && is_reserved(name))
        fail_at(r->tree->method, at, "%s cannot be declared", name);
    for (size_t i = 0; name && i < r->scope->vars.n; i++)
        if (r->scope->vars.at[i]->name == name)
            fail_at(r->tree->method, at, "%s is declared twice", name);
    v->name = name;
    v->kind = kind;
    v->scope = r->scope;
    v->first_capture = UINT32_MAX;
    vec_push(&r->scope->vars, v);
    return v;
}

static void declare_all(struct resolver *r, struct node *block)
{
    for (size_t i = 0; i < block->params.n; i++)
        declare(r, block->params.at[i], V_ARG, block->start);
    for (size_t i = 0; i < block->temps.n; i++)
        declare(r, block->temps.at[i], V_TEMP, block->start);
}

static struct var *find_local(const struct resolver *r, const char *name)
{
    for (struct scope *s = r->scope; s; s = s->outer)
        for (size_t i = 0; i < s->vars.n; i++)
            if (s->vars.at[i]->name == name)
                return s->vars.at[i];
    return NULL;
}

/* --- uses --- */

/* Where in v's own frame the block that holds the current scope begins; a
 * loop between v's scope and that block moves it to the loop's start. */
static uint32_t capture_place(const struct resolver *r, const struct var *v)
{
    const struct scope *s = r->scope;
    uint32_t place = 0;

    for (; s->func != v->scope->func; s = s->outer)
        place = s->func->start;
    for (; s != v->scope; s = s->outer)
        if (s->is_loop && s->loop_start < place)
            place = s->loop_start;
    return place;
}

static void note_use(struct resolver *r, struct var *v)
{
    struct use u = { r->scope->func, v };
    uint32_t place;

    vec_push(&r->uses, u);
    if (v->scope->func == r->scope->func)
        return;
    v->captured = true;
    place = capture_place(r, v);
    if (place < v->first_capture)
        v->first_capture = place;
}

static void bind(struct resolver *r, struct node *n)
{
    struct method *m = r->tree->method;

    n->var = find_local(r, n->name);
    if (n->var) {
        note_use(r, n->var);
        return;
    }
    n->inst_var = inst_var_index(m->cls, m->meta, n->name);
    if (n->inst_var >= 0 || is_reserved(n->name))
        return;
    n->binding = find_class_var(m->cls, n->name);
    if (!n->binding)
        n->binding = find_global(n->name, false);
    if (!n->binding && world.lenient && n->name[0] >= 'A' &&
        n->name[0] <= 'Z') {
        n->binding = find_global(n->name, true);
        n->binding->first_use =
            format_text("%s:%u", m->file, m->line);
    }
    if (!n->binding)
        fail_at(m, n->start, "undeclared variable %s", n->name);
    n->binding->uses++;
}

static void resolve_assignment(struct resolver *r, struct node *n)
{
    struct method *m = r->tree->method;

    resolve(r, n->value);
    if (is_reserved(n->name))
        fail_at(m, n->start, "cannot store into %s", n->name);
    bind(r, n);
    if (n->binding && (n->binding->cls || n->binding->meta))
        fail_at(m, n->start, "cannot store into the class %s", n->name);
    if (!n->var)
        return;
    if (n->var->kind == V_ARG || n->var->kind == V_ERROR)
        fail_at(m, n->start, "cannot store into the argument %s", n->name);
    if (n->var->scope->func != r->scope->func)
        n->var->written_inside = true;
    if (n->end > n->var->last_write)
        n->var->last_write = n->end;
}

/* --- inlining --- */

static bool is_block(const struct node *n, size_t params)
{
    return n->kind == N_BLOCK && n->params.n == params;
}

static bool args_are_blocks(const struct node *n, size_t first)
{
    for (size_t i = first; i < n->kids.n; i++)
        if (!is_block(n->kids.at[i], 0))
            return false;
    return true;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list))
            return true;
    return false;
}

static bool nil_args_fit(const struct node *n)
{
    bool nil_first = !strncmp(n->name, "ifNil:", 6);

    for (size_t i = 0; i < n->kids.n; i++) {
        const struct node *k = n->kids.at[i];

        if (k->kind != N_BLOCK ||
            k->params.n > ((i == 0) == nil_first ? 0 : 1))
            return false;
    }
    return true;
}

static bool step_fits(const struct node *n)
{
    const struct node *step = n->kids.at[1];

    return step->kind == N_LIT &&
           (step->lit->kind == L_INT || step->lit->kind == L_FLOAT ||
            step->lit->kind == L_FRACTION || step->lit->kind == L_SCALED) &&
           !(step->lit->kind == L_INT && !step->lit->num.n) &&
           !(step->lit->kind == L_FLOAT && step->lit->real == 0);
}

static enum inlining inlining_of(const struct node *n)
{
    static const char *const ifs[] = {
        "ifTrue:", "ifFalse:", "ifTrue:ifFalse:", "ifFalse:ifTrue:", NULL };
    static const char *const conns[] = { "and:", "or:", NULL };
    static const char *const whiles[] = {
        "whileTrue:", "whileFalse:", "whileTrue", "whileFalse", NULL };
    static const char *const nils[] = {
        "ifNil:", "ifNotNil:", "ifNil:ifNotNil:", "ifNotNil:ifNil:", NULL };

    if (n->value->kind == N_VAR && !strcmp(n->value->name, "super"))
        return IN_NONE;
    if (is_one_of(n->name, ifs) && args_are_blocks(n, 0))
        return IN_IF;
    if (is_one_of(n->name, conns) && args_are_blocks(n, 0))
        return IN_AND_OR;
    if (is_one_of(n->name, whiles) && is_block(n->value, 0) &&
        args_are_blocks(n, 0))
        return IN_WHILE;
    if (!strcmp(n->name, "repeat") && is_block(n->value, 0))
        return IN_REPEAT;
    if (!strcmp(n->name, "to:do:") && is_block(n->kids.at[1], 1))
        return IN_TO_DO;
    if (!strcmp(n->name, "to:by:do:") && is_block(n->kids.at[2], 1) &&
        step_fits(n))
        return IN_TO_DO;
    if (is_one_of(n->name, nils) && nil_args_fit(n))
        return IN_IF_NIL;
    return IN_NONE;
}

static void resolve_statements(struct resolver *r, struct node *block)
{
    for (size_t i = 0; i < block->kids.n; i++)
        resolve(r, block->kids.at[i]);
}

/* A block whose code is part of the code around it. */
static void resolve_inlined(struct resolver *r, struct node *block,
                            bool loop, uint32_t loop_start)
{
    struct scope *s = scope_new(r, r->scope->func);

    s->is_loop = loop;
    s->loop_start = loop_start;
    s->in_loop = loop || s->outer->in_loop;
    block->scope = s;
    declare_all(r, block);
    resolve_statements(r, block);
    r->scope = s->outer;
}

static bool is_fixed_limit(const struct resolver *r, const struct node *n)
{
    struct var *v;

    if (n->kind == N_LIT)
        return true;
    if (n->kind != N_VAR)
        return false;
    v = find_local(r, n->name);
    return v && v->kind == V_ARG;
}

/* The limit's hidden variable lives in the scope around the loop. */
static void resolve_to_do(struct resolver *r, struct node *n)
{
    size_t last = n->kids.n - 1;

    resolve(r, n->value);
    resolve(r, n->kids.at[0]);
    if (!is_fixed_limit(r, n->kids.at[0]))
        n->limit = declare(r, NULL, V_HIDDEN, n->start);
    resolve_inlined(r, n->kids.at[last], true, n->start);
}

static void resolve_inline_send(struct resolver *r, struct node *n)
{
    bool loop = n->inlining == IN_WHILE || n->inlining == IN_REPEAT;

    if (n->inlining == IN_TO_DO) {
        resolve_to_do(r, n);
        return;
    }
    if (loop)
        resolve_inlined(r, n->value, true, n->start);
    else
        resolve(r, n->value);
    for (size_t i = 0; i < n->kids.n; i++)
        resolve_inlined(r, n->kids.at[i], loop, n->start);
}

static void resolve_block(struct resolver *r, struct node *n)
{
    struct func *f = func_new(r, n->start);

    f->num_args = (unsigned)n->params.n;
    if (f->num_args > 15)
        fail_at(r->tree->method, n->start, "a block has 15 arguments at most");
    n->scope = f->scope;
    declare_all(r, n);
    resolve_statements(r, n);
    r->scope = f->scope->outer;
}

static void resolve(struct resolver *r, struct node *n)
{
    switch (n->kind) {
    case N_LIT:
        break;
    case N_VAR:
        bind(r, n);
        break;
    case N_ASSIGN:
        resolve_assignment(r, n);
        break;
    case N_BLOCK:
        resolve_block(r, n);
        break;
    case N_SEND:
        if (n->value)
            n->inlining = inlining_of(n);
        if (n->inlining) {
            resolve_inline_send(r, n);
            break;
        }
        /* fall through */
    default:
        if (n->value)
            resolve(r, n->value);
        resolve_statements(r, n);
    }
}

/* --- places --- */

static struct var *vector_of(struct scope *s)
{
    if (!s->vector) {
        s->vector = xalloc(sizeof *s->vector);
        s->vector->kind = V_VECTOR;
        s->vector->scope = s;
    }
    return s->vector;
}

static void choose_remote(struct func *f)
{
    for (size_t i = 0; i < f->scopes.n; i++) {
        struct scope *s = f->scopes.at[i];
        unsigned index = 0;

        for (size_t j = 0; j < s->vars.n; j++) {
            struct var *v = s->vars.at[j];

            v->remote = v->captured && (v->written_inside ||
                                        v->last_write > v->first_capture);
            if (v->remote) {
                v->slot = index++;
                vector_of(s);
            }
        }
    }
}

static void copy_into(struct func *f, struct var *v)
{
    if (f == v->scope->func)
        return;
    copy_into(f->outer, v);
    for (size_t i = 0; i < f->copied.n; i++)
        if (f->copied.at[i] == v)
            return;
    vec_push(&f->copied, v);
}

static void number_func(struct func *f)
{
    unsigned slot = f->num_args + (unsigned)f->copied.n, arg = 0;

    for (size_t i = 0; i < f->scopes.n; i++) {
        struct scope *s = f->scopes.at[i];

        if (s->vector)
            s->vector->slot = slot++;
        for (size_t j = 0; j < s->vars.n; j++) {
            struct var *v = s->vars.at[j];

            if (v->remote || v->kind == V_ERROR)
                continue;
            v->slot = v->kind == V_ARG && s == f->scope ? arg++ : slot++;
        }
    }
    if (f->error) /* the VM finds the error code's place as the last temp */
        f->error->slot = slot++;
    f->num_temps = slot;
}

unsigned var_slot(const struct func *f, const struct var *v)
{
    if (f == v->scope->func)
        return v->slot;
    for (size_t i = 0; i < f->copied.n; i++)
        if (f->copied.at[i] == v)
            return f->num_args + (unsigned)i;
    return 0;
}

void resolve_names(struct tree *t)
{
    struct resolver r = { .tree = t };
    struct func *f = func_new(&r, 0);

    t->func = f;
    f->num_args = (unsigned)t->body->params.n;
    if (f->num_args > 15)
        fail_at(t->method, 0, "a method has 15 arguments at most");
    t->body->scope = f->scope;
    declare_all(&r, t->body);
    if (t->error_name)
        f->error = declare(&r, t->error_name, V_ERROR, 0);
    resolve_statements(&r, t->body);
    for (size_t i = 0; i < r.funcs.n; i++)
        choose_remote(r.funcs.at[i]);
    for (size_t i = 0; i < r.uses.n; i++) {
        struct var *v = r.uses.at[i].var;

        copy_into(r.uses.at[i].func, v->remote ? vector_of(v->scope) : v);
    }
    for (size_t i = 0; i < r.funcs.n; i++) {
        number_func(r.funcs.at[i]);
        if (r.funcs.at[i]->num_temps > 56)
            fail_at(t->method, 0, "too many temporaries");
    }
}
