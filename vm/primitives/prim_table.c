/*
 * prim_table.c - which function a primitive number or name stands for.
 */
#include "vm/primitives/prim.h"

enum { NUM_PRIMITIVES = 660 };

#define PRIM(number, fn) [number] = fn,
#define NAMED(module, name, fn)
static prim_fn *const numbered[NUM_PRIMITIVES] = {
#include "vm/primitives/primitives.def"
};
#undef PRIM
#undef NAMED

static const struct named {
    const char *module, *name;
    prim_fn *fn;
} named[] = {
#define PRIM(number, fn)
#define NAMED(module, name, fn) { module, name, fn },
#include "vm/primitives/named_primitives.def"
#undef PRIM
#undef NAMED
    { NULL, NULL, NULL },
};

prim_fn *prim_numbered(unsigned number)
{
    return number < NUM_PRIMITIVES ? numbered[number] : NULL;
}

static bool is_name(const char *name, const char *s, size_t n)
{
    return strlen(name) == n && !memcmp(name, s, n);
}

prim_fn *prim_named(const char *module, size_t module_len, const char *name,
                    size_t name_len)
{
    const struct named *p;

    for (p = named; p->fn; p++)
        if (is_name(p->name, name, name_len) &&
            is_name(p->module, module, module_len))
            return p->fn;
    return NULL;
}

/* Modules in the order of the table; grouped, so a change is a new one. */
const char *prim_module(unsigned index)
{
    const struct named *p;
    const char *last = "";

    for (p = named; p->fn; p++) {
        if (!strcmp(p->module, last))
            continue;
        last = p->module;
        if (index-- == 0)
            return last;
    }
    return NULL;
}
