/*
 * tonel.c - reads packages of Tonel text into classes and methods.
 *
 * Owns the world's tables of classes and globals. Knows where a method's
 * source begins and ends, not what it says.
 */
#include "builder.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct world world;

/* --- tables --- */

typedef VEC(struct klass *) klass_list;
static klass_list known; /* cold, warm, and only extended */

struct klass *find_class(const char *name)
{
    for (size_t i = 0; i < known.n; i++)
        if (known.at[i]->name == name)
            return known.at[i];
    return NULL;
}

struct binding *find_global(const char *name, bool create)
{
    struct binding *b;

    for (size_t i = 0; i < world.globals.n; i++)
        if (world.globals.at[i]->key == name)
            return world.globals.at[i];
    if (!create)
        return NULL;
    b = xalloc(sizeof *b);
    b->key = name;
    vec_push(&world.globals, b);
    return b;
}

static struct klass *class_named(const char *name)
{
    struct klass *c = find_class(name);

    if (!c) {
        c = xalloc(sizeof *c);
        c->name = name;
        vec_push(&known, c);
    }
    return c;
}

/* --- reading --- */

struct reader {
    const char *file, *text, *p, *end;
    struct package *package;
};

static unsigned line_at(const struct reader *r, const char *p)
{
    unsigned line = 1;

    for (const char *q = r->text; q < p; q++)
        line += *q == '\n';
    return line;
}

static void complain(const struct reader *r, const char *what)
{
    report(r->file, line_at(r, r->p), "%s", what);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && is_space(*r->p))
        r->p++;
}

/* Text between two quote characters, doubled ones inside halved. */
static const char *read_quoted(struct reader *r)
{
    char quote = *r->p++, *text = xalloc((size_t)(r->end - r->p) + 1);
    size_t n = 0;

    while (r->p < r->end && (*r->p != quote || r->p[1] == quote)) {
        r->p += *r->p == quote;
        text[n++] = *r->p++;
    }
    r->p++;
    return intern_n(text, n);
}

static bool ends_word(char c)
{
    return is_space(c) || strchr(",{}[]", c);
}

/* A symbol, string or bare word. */
static const char *read_word(struct reader *r)
{
    const char *start;

    skip_space(r);
    if (*r->p == '#')
        r->p++;
    if (*r->p == '\'')
        return read_quoted(r);
    start = r->p;
    while (r->p < r->end && !ends_word(*r->p))
        r->p++;
    return intern_n(start, (size_t)(r->p - start));
}

static bool skip_char(struct reader *r, char c)
{
    skip_space(r);
    if (r->p >= r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* A value: one word, or the words of a bracketed list. */
static void read_value(struct reader *r, name_list *out)
{
    if (!skip_char(r, '[')) {
        vec_push(out, read_word(r));
        return;
    }
    while (r->p < r->end && !skip_char(r, ']')) {
        vec_push(out, read_word(r));
        skip_char(r, ',');
    }
}

/* The properties a form may have; unknown ones are read over. */
struct form {
    name_list name, superclass, inst_vars, class_inst_vars, class_vars, pools,
        type, category, globals;
};

static name_list *form_slot(struct form *f, const char *key)
{
    static name_list ignored;
    struct { const char *key; name_list *list; } slot[] = {
        { "name", &f->name }, { "superclass", &f->superclass },
        { "instVars", &f->inst_vars }, { "classVars", &f->class_vars },
        { "classInstVars", &f->class_inst_vars }, { "pools", &f->pools },
        { "type", &f->type }, { "category", &f->category },
        { "globals", &f->globals },
    };

    for (size_t i = 0; i < sizeof slot / sizeof *slot; i++)
        if (!strcmp(slot[i].key, key))
            return slot[i].list;
    return &ignored;
}

static void read_form(struct reader *r, struct form *f)
{
    if (!skip_char(r, '{'))
        complain(r, "Tonel: { expected");
    while (r->p < r->end && !skip_char(r, '}')) {
        const char *key = read_word(r);

        if (!skip_char(r, ':')) {
            complain(r, "Tonel: : expected after a key");
            r->p = r->end;
            return;
        }
        read_value(r, form_slot(f, key));
        skip_char(r, ',');
    }
}

static const char *first(const name_list *l)
{
    return l->n ? l->at[0] : NULL;
}

static void define_class(struct reader *r, struct form *f, const char *comment)
{
    struct klass *c = class_named(first(&f->name));

    if (c->defined && c->package == r->package->name)
        complain(r, "class defined twice");
    c->defined = true;
    c->cold = r->package->cold;
    c->file = r->file;
    c->line = line_at(r, r->p);
    c->comment = comment;
    c->package = r->package->name;
    c->super_name = first(&f->superclass);
    c->type = first(&f->type);
    c->inst_vars = f->inst_vars;
    c->class_inst_vars = f->class_inst_vars;
    c->class_vars = f->class_vars;
    c->pools = f->pools;
    c->binding = find_global(c->name, true);
    c->binding->cls = c;
    vec_push(&r->package->classes, c);
    if (c->cold)
        vec_push(&world.classes, c);
}

/* r->p is behind the body's [; answers where the matching ] is. */
static const char *body_end(struct reader *r)
{
    const char *p = r->p;

    for (int depth = 1; p < r->end; p++) {
        if (*p == '$') {
            p++;
        } else if (*p == '\'' || *p == '"') {
            p = memchr(p + 1, *p, (size_t)(r->end - p - 1));
            if (!p)
                return NULL;
        } else if (*p == '[') {
            depth++;
        } else if (*p == ']' && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

static size_t trimmed(const char *p, size_t n)
{
    while (n && is_space(p[n - 1]))
        n--;
    return n;
}

/* The pattern of a method, up to its body's bracket. A binary selector has
 * no bracket, so the first one starts the body. */
static void read_method(struct reader *r, const char *protocol)
{
    struct method *m = xalloc(sizeof *m);
    const char *start, *bracket, *end;
    size_t pattern;
    char *source;

    m->cls = class_named(read_word(r));
    skip_space(r);
    if (!strncmp(r->p, "class", 5) && is_space(r->p[5])) {
        m->meta = true;
        r->p += 5;
    }
    if (!skip_char(r, '>') || !skip_char(r, '>')) {
        complain(r, "Tonel: >> expected");
        r->p = r->end;
        return;
    }
    skip_space(r);
    start = r->p;
    bracket = memchr(start, '[', (size_t)(r->end - start));
    r->p = bracket ? bracket + 1 : r->end;
    end = bracket ? body_end(r) : NULL;
    if (!end) {
        r->p = start;
        complain(r, "Tonel: method without a closing ]");
        r->p = r->end;
        return;
    }
    pattern = trimmed(start, (size_t)(bracket - start));
    source = xalloc((size_t)(end - start) + 1);
    memcpy(source, start, pattern);
    memcpy(source + pattern, bracket + 1, (size_t)(end - bracket - 1));
    m->source_size = trimmed(source, pattern + (size_t)(end - bracket - 1));
    source[m->source_size] = 0;
    m->source = source;
    m->file = r->file;
    m->line = line_at(r, start);
    m->protocol = protocol ? protocol : intern("as yet unclassified");
    m->package = r->package->name;
    if (r->package->cold) {
        vec_push(&world.methods, m);
        vec_push(&m->cls->methods, m);
    }
    r->p = end + 1;
}

/* A form's word, which may also be the name of a class. */
static bool at_form(const struct reader *r, const char *word)
{
    size_t n = strlen(word);
    const char *p = r->p + n;

    if ((size_t)(r->end - r->p) <= n || strncmp(r->p, word, n))
        return false;
    while (p < r->end && is_space(*p))
        p++;
    return *p == '{';
}

static void read_globals(const struct form *f)
{
    for (size_t i = 0; i < f->globals.n; i++)
        find_global(f->globals.at[i], true);
}

static void read_tonel(struct reader *r)
{
    const char *comment = "", *protocol = NULL;

    for (skip_space(r); r->p < r->end; skip_space(r)) {
        struct form f = { 0 };

        if (*r->p == '"') {
            comment = read_quoted(r);
        } else if (at_form(r, "Class")) {
            r->p += 5;
            read_form(r, &f);
            if (first(&f.name))
                define_class(r, &f, comment);
            else
                complain(r, "Tonel: class without a name");
        } else if (at_form(r, "Extension")) {
            r->p += 9;
            read_form(r, &f);
        } else if (at_form(r, "Package")) {
            r->p += 7;
            read_form(r, &f);
            read_globals(&f);
        } else if (*r->p == '{') {
            read_form(r, &f);
            protocol = first(&f.category);
        } else {
            read_method(r, protocol);
            protocol = NULL;
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_one(struct package *package, const char *path)
{
    struct reader r = { .file = path, .package = package };
    size_t size;

    r.text = read_file(path, &size);
    if (!r.text) {
        report(path, 1, "cannot be read");
        return;
    }
    r.p = r.text;
    r.end = r.text + size;
    read_tonel(&r);
}

void read_package(const char *root, const char *name, bool cold)
{
    struct package *p = xalloc(sizeof *p);
    const char *dir = format_text("%s/%s", root, name);
    DIR *d = opendir(dir);
    name_list files = { 0 };

    if (!d) {
        report(dir, 1, "no such package");
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);

        if (n > 3 && !strcmp(e->d_name + n - 3, ".st"))
            vec_push(&files, intern(e->d_name));
    }
    closedir(d);
    if (files.n) /* the directory's order is not the same everywhere */
        qsort(files.at, files.n, sizeof *files.at, by_name);
    p->name = intern(name);
    p->cold = cold;
    vec_push(&world.packages, p);
    for (size_t i = 0; i < files.n; i++)
        read_one(p, format_text("%s/%s", dir, files.at[i]));
}

/* --- linking --- */

size_t inst_var_count(const struct klass *c, bool meta)
{
    if (!c) /* above the root's metaclass there is Class */
        return meta && find_class(intern("Class"))
                   ? inst_var_count(find_class(intern("Class")), false) : 0;
    return inst_var_count(c->super, meta) +
           (meta ? c->class_inst_vars.n : c->inst_vars.n);
}

int inst_var_index(const struct klass *c, bool meta, const char *name)
{
    const name_list *own;

    if (!c)
        return meta && find_class(intern("Class"))
                   ? inst_var_index(find_class(intern("Class")), false, name)
                   : -1;
    own = meta ? &c->class_inst_vars : &c->inst_vars;
    for (size_t i = 0; i < own->n; i++)
        if (own->at[i] == name)
            return (int)(inst_var_count(c->super, meta) + i);
    return inst_var_index(c->super, meta, name);
}

static struct binding *own_class_var(const struct klass *c, const char *name)
{
    for (size_t i = 0; i < c->class_bindings.n; i++)
        if (c->class_bindings.at[i]->key == name)
            return c->class_bindings.at[i];
    return NULL;
}

struct binding *find_class_var(const struct klass *c, const char *name)
{
    for (; c; c = c->super) {
        struct binding *b = own_class_var(c, name);

        for (size_t i = 0; !b && i < c->pools.n; i++) {
            struct klass *pool = find_class(c->pools.at[i]);

            b = pool ? own_class_var(pool, name) : NULL;
        }
        if (b)
            return b;
    }
    return NULL;
}

bool inherits_from(const struct klass *c, const char *name)
{
    for (; c; c = c->super)
        if (!strcmp(c->name, name))
            return true;
    return false;
}

/* The instSpec that #type names; 0: none given, as the superclass says. */
static unsigned type_format(struct klass *c)
{
    static const struct { const char *type; unsigned format; } types[] = {
        { "normal", 0 }, { "variable", 3 }, { "weak", 4 }, { "ephemeron", 5 },
        { "immediate", 7 }, { "words64", 9 }, { "doubleWords", 9 },
        { "words", 10 }, { "shorts", 12 }, { "doubleBytes", 12 },
        { "bytes", 16 }, { "compiledMethod", 24 },
    };

    for (size_t i = 0; c->type && i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].type, c->type))
            return types[i].format;
    if (c->type)
        report(c->file, c->line, "%s: unknown class type %s", c->name,
               c->type);
    return 0;
}

static void compute_format(struct klass *c)
{
    unsigned fields = (unsigned)inst_var_count(c, false);
    unsigned spec = type_format(c), inherited;

    if (c->super && !c->super->format)
        compute_format(c->super);
    inherited = c->super ? c->super->format >> 16 & 31 : 0;
    if (!spec && inherited >= 2)
        spec = inherited == 2 ? 3 : inherited;
    if (spec == 3 || spec == 2)
        spec = fields ? 3 : 2;
    if (!spec)
        spec = fields ? 1 : 0;
    if (spec >= 7 && fields)
        report(c->file, c->line, "%s: raw classes have no named variables",
               c->name);
    c->format = spec << 16 | fields;
}

static void add_class_vars(struct klass *c)
{
    for (size_t i = 0; i < c->class_vars.n; i++) {
        struct binding *b = xalloc(sizeof *b);

        b->key = c->class_vars.at[i];
        vec_push(&c->class_bindings, b);
    }
}

static void link_class(struct klass *c)
{
    bool root = !c->super_name || !strcmp(c->super_name, "nil");

    add_class_vars(c);
    c->meta_binding = xalloc(sizeof *c->meta_binding);
    c->meta_binding->cls = c;
    c->meta_binding->meta = true;
    c->super = root ? NULL : find_class(c->super_name);
    if (!root && (!c->super || !c->super->defined)) {
        if (!world.lenient)
            report(c->file, c->line, "%s: no superclass %s", c->name,
                   c->super_name);
        c->super = NULL;
    }
    if (c->super)
        vec_push(&c->super->subclasses, c);
}

void link_classes(void)
{
    for (size_t i = 0; i < known.n; i++)
        if (known.at[i]->defined)
            link_class(known.at[i]);
    for (size_t i = 0; i < known.n; i++) {
        struct klass *c = known.at[i];

        if (c->defined)
            compute_format(c);
        else if (!world.lenient && c->methods.n)
            report(c->methods.at[0]->file, c->methods.at[0]->line,
                   "extends a class that does not exist: %s", c->name);
    }
    for (size_t i = 0; i < known.n; i++)
        if (!known.at[i]->defined)
            known.at[i]->meta_binding = xalloc(sizeof(struct binding));
}
