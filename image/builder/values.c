/*
 * values.c - literals, symbols, bindings and compiled code as objects.
 */
#include "builder.h"

#include <stdlib.h>
#include <string.h>

struct klass *need_class(const char *name)
{
    struct klass *c = find_class(intern(name));

    if (!c || !c->defined || !c->cold) {
        fprintf(stderr, "imagebuilder: the image needs a cold class %s\n",
                name);
        exit(1);
    }
    return c;
}

oop_t new_instance(struct klass *c, size_t indexed)
{
    return obj_new(c->index, c->format >> 16,
                   (c->format & 0xffff) + indexed);
}

void set_field(oop_t o, struct klass *c, const char *name, oop_t value)
{
    int index = inst_var_index(c, false, intern(name));

    if (index >= 0)
        obj_slots(o)[index] = value;
}

oop_t oop_array(const oop_t *items, size_t n)
{
    oop_t o = obj_new(51, 2, n);

    for (size_t i = 0; i < n; i++)
        obj_slots(o)[i] = items[i];
    return o;
}

static oop_t oop_association(oop_t key, oop_t value)
{
    oop_t o = new_instance(need_class("Association"), 0);

    obj_slots(o)[0] = key;
    obj_slots(o)[1] = value;
    return o;
}

/* --- text --- */

/* Decodes UTF-8; answers the number of characters and whether all are
 * Latin-1. */
static size_t decode(const char *text, size_t size, uint32_t *out,
                     bool *narrow)
{
    const char *p = text, *end = text + size;
    size_t n = 0;

    *narrow = true;
    while (p < end) {
        out[n] = utf8_next(&p, end);
        *narrow &= out[n++] < 256;
    }
    return n;
}

static oop_t text_object(const char *text, size_t size, const char *narrow,
                         const char *wide)
{
    uint32_t *chars = xalloc((size + 2) * sizeof *chars);
    bool fits;
    size_t n = decode(text, size, chars, &fits);
    uint8_t *latin;
    oop_t o;

    if (!fits) {
        o = obj_new(need_class(wide)->index, 10 + (n & 1), (n + 1) / 2);
        memcpy(obj_slots(o), chars, n * sizeof *chars);
        return o;
    }
    latin = xalloc(n);
    for (size_t i = 0; i < n; i++)
        latin[i] = (uint8_t)chars[i];
    return obj_bytes(need_class(narrow)->index, 16, latin, n);
}

oop_t oop_of_string(const char *text, size_t size)
{
    return text_object(text, size, "ByteString", "WideString");
}

struct symbol {
    const char *name;
    oop_t oop;
};

static struct symbol *symbols; /* by the name's address: order is below */
static size_t symbol_count, symbol_cap;
static VEC(oop_t) symbol_list; /* in order of creation */

static struct symbol *symbol_place(const char *name)
{
    size_t i = ((uintptr_t)name >> 4) * 2654435761u & (symbol_cap - 1);

    while (symbols[i].name && symbols[i].name != name)
        i = (i + 1) & (symbol_cap - 1);
    return &symbols[i];
}

static void symbols_grow(void)
{
    struct symbol *old = symbols;
    size_t old_cap = symbol_cap;

    symbol_cap = old_cap ? old_cap * 2 : 4096;
    symbols = xalloc(symbol_cap * sizeof *symbols);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].name)
            *symbol_place(old[i].name) = old[i];
}

oop_t oop_of_symbol(const char *name)
{
    struct symbol *s;

    if (symbol_count * 2 >= symbol_cap)
        symbols_grow();
    name = intern(name);
    s = symbol_place(name);
    if (!s->name) {
        s->name = name;
        s->oop = text_object(name, strlen(name), "ByteSymbol", "WideSymbol");
        obj_give_hash(s->oop);
        symbol_count++;
        vec_push(&symbol_list, s->oop);
    }
    return s->oop;
}

oop_t all_symbols(void) { return oop_array(symbol_list.at, symbol_list.n); }

/* --- numbers --- */

static oop_t oop_of_big(const struct big *b)
{
    struct lit l = { .kind = L_INT, .num = *b };
    size_t size = b->n * 4;
    int64_t small;

    if (lit_small(&l, &small))
        return int_oop(small);
    while (size && !((const uint8_t *)b->w)[size - 1])
        size--;
    return obj_bytes(b->negative ? 32 : 33, 16, b->w, size);
}

static oop_t oop_of_float(double d)
{
    uint64_t b, r;
    oop_t o;

    memcpy(&b, &d, sizeof b);
    r = b << 1 | b >> 63;
    if (r <= 1)
        return r << 3 | 4;
    r -= 896ull << 53;
    if (r > 1 && r < 1ull << 61)
        return r << 3 | 4;
    o = obj_new(34, 10, 1);
    obj_slots(o)[0] = b;
    return o;
}

static oop_t oop_of_ratio(const struct lit *l)
{
    struct klass *c;
    oop_t num = oop_of_big(&l->num), den = oop_of_big(&l->den), o;

    if (l->den.n == 1 && l->den.w[0] == 1)
        return num;
    c = need_class("Fraction");
    o = new_instance(c, 0);
    set_field(o, c, "numerator", num);
    set_field(o, c, "denominator", den);
    return o;
}

static oop_t oop_of_scaled(const struct lit *l)
{
    struct klass *c = need_class("ScaledDecimal");
    oop_t ratio = oop_of_ratio(l), o = new_instance(c, 0);

    set_field(o, c, "fraction", ratio);
    set_field(o, c, "scale", int_oop(l->scale));
    return o;
}

/* --- literals --- */

static oop_t oop_of_lit(struct lit *l);

static oop_t oop_of_items(struct lit *l)
{
    oop_t *items = xalloc(l->items.n * sizeof *items);

    for (size_t i = 0; i < l->items.n; i++)
        items[i] = oop_of_lit(l->items.at[i]);
    return oop_array(items, l->items.n);
}

static oop_t oop_of_byte_items(struct lit *l)
{
    uint8_t *data = xalloc(l->items.n);
    int64_t v = 0;

    for (size_t i = 0; i < l->items.n; i++)
        if (lit_small(l->items.at[i], &v))
            data[i] = (uint8_t)v;
    return obj_bytes(need_class("ByteArray")->index, 16, data, l->items.n);
}

static oop_t oop_of_lit(struct lit *l)
{
    switch (l->kind) {
    case L_NIL: return oop_nil;
    case L_TRUE: return oop_true;
    case L_FALSE: return oop_false;
    case L_INT: return oop_of_big(&l->num);
    case L_FLOAT: return oop_of_float(l->real);
    case L_CHAR: return char_oop(l->code_point);
    case L_STRING: return oop_of_string(l->text, l->size);
    case L_SYMBOL: return oop_of_symbol(l->text);
    case L_ARRAY: return oop_of_items(l);
    case L_BYTES: return oop_of_byte_items(l);
    case L_SCALED: return oop_of_scaled(l);
    case L_FRACTION: return oop_of_ratio(l);
    case L_BINDING: return oop_of_binding(l->binding);
    case L_CODE: return oop_of_code(l->code);
    }
    return oop_nil;
}

oop_t oop_of_binding(struct binding *b)
{
    oop_t value = b->value ? b->value : oop_nil;

    if (b->oop)
        return b->oop;
    if (b->cls && (b->meta || b->cls->cold))
        value = b->meta ? b->cls->meta_oop : b->cls->oop;
    b->oop = oop_association(b->key ? oop_of_symbol(b->key) : oop_nil, value);
    return b->oop;
}

/* --- code --- */

#define SMALL_FRAME 16
#define PERFORM_WITH_ARGS 84

static oop_t code_header(const struct code *c, size_t literals)
{
    bool large = c->num_temps + c->max_depth >= SMALL_FRAME ||
                 c->primitive == PERFORM_WITH_ARGS;
    int64_t h = (int64_t)literals | (int64_t)(c->primitive != 0) << 16 |
                (int64_t)large << 17 | (int64_t)c->num_temps << 18 |
                (int64_t)c->num_args << 24;

    return int_oop(h - (1ll << 60)); /* negative: Sista V1 */
}

static oop_t oop_of_pragma(const struct pragma *g, oop_t method)
{
    struct klass *c = need_class("Pragma");
    oop_t *args = xalloc(g->args.n * sizeof *args), o = new_instance(c, 0);

    for (size_t i = 0; i < g->args.n; i++)
        args[i] = oop_of_lit(g->args.at[i]);
    set_field(o, c, "method", method);
    set_field(o, c, "keyword", oop_of_symbol(g->selector));
    set_field(o, c, "selector", oop_of_symbol(g->selector));
    set_field(o, c, "arguments", oop_array(args, g->args.n));
    return o;
}

static oop_t property(const char *key, oop_t value)
{
    return oop_association(oop_of_symbol(key), value);
}

/* A method of another package than its class's says so by its protocol. */
static const char *protocol_of(const struct method *m)
{
    if (m->package == m->cls->package || *m->protocol == '*')
        return m->protocol;
    return format_text("*%s", m->package);
}

static oop_t method_state(const struct code *c, oop_t method)
{
    const struct method *m = c->method;
    struct klass *k = need_class("AdditionalMethodState");
    size_t i = k->format & 0xffff;
    oop_t o = new_instance(k, 2 + c->tree->pragmas.n);

    set_field(o, k, "method", method);
    set_field(o, k, "selector", oop_of_symbol(m->selector));
    obj_slots(o)[i++] =
        property("source", oop_of_string(m->source, m->source_size));
    obj_slots(o)[i++] = property("protocol", oop_of_symbol(protocol_of(m)));
    for (size_t j = 0; j < c->tree->pragmas.n; j++)
        obj_slots(o)[i++] = oop_of_pragma(c->tree->pragmas.at[j], method);
    return o;
}

oop_t oop_of_code(struct code *c)
{
    const struct method *m = c->method;
    size_t n = c->lits.n + (c->outer ? 1 : 2), i;
    size_t size = 8 * (n + 1) + c->bytes.n;
    struct klass *k = need_class(c->outer ? "CompiledBlock"
                                          : "CompiledMethod");
    oop_t o, lit;

    if (c->oop)
        return c->oop;
    o = c->oop = obj_bytes(k->index, 24, xalloc(size), size);
    obj_slots(o)[0] = code_header(c, n);
    for (i = 1; i <= n; i++)
        obj_slots(o)[i] = oop_nil;
    memcpy(obj_slots(o) + n + 1, c->bytes.at, c->bytes.n);
    for (i = 0; i < c->lits.n; i++) {
        lit = oop_of_lit(c->lits.at[i]);
        obj_slots(o)[i + 1] = lit;
    }
    if (c->outer) {
        obj_slots(o)[n] = c->outer->oop;
        return o;
    }
    lit = method_state(c, o);
    obj_slots(o)[n - 1] = lit;
    lit = oop_of_binding(m->meta ? m->cls->meta_binding : m->cls->binding);
    obj_slots(o)[n] = lit;
    return o;
}
