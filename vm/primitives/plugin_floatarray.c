/*
 * plugin_floatarray.c - module FloatArrayPlugin: 32-bit floats in word
 * objects, which images also know how to do without.
 *
 * Sums are taken in double and stored rounded once, as the image's own code
 * does. Whatever that code treats in its own way (a zero divisor, arrays of
 * different classes) fails.
 */
#include "vm/primitives/prim.h"

#include <math.h>

enum { HASH_MASK = 0x1fffffff };

struct floats {
    float *at;
    uint64_t count;
};

static bool load(oop o, struct floats *f)
{
    if (!is_words(o))
        return false;
    f->at = (float *)words(o);
    f->count = word_count(o);
    return true;
}

/* --- elements --- */

static bool load_index(oop index, const struct floats *f, uint64_t *i)
{
    if (!is_int(index) || int_value(index) < 1 ||
        (uint64_t)int_value(index) > f->count)
        return false;
    *i = (uint64_t)int_value(index) - 1;
    return true;
}

int prim_floats_at(struct vm *vm, int argc)
{
    struct floats f;
    uint64_t i;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[1], &f))
        return PRIM_ERR_BAD_RECEIVER;
    if (!load_index(vm->sp[0], &f, &i))
        return PRIM_ERR_BAD_INDEX;
    return prim_answer_new(vm, argc, heap_float(&vm->heap, (double)f.at[i]));
}

static bool number(oop o, double *d)
{
    if (!is_int(o))
        return heap_float_value(o, d);
    *d = (double)int_value(o);
    return true;
}

int prim_floats_at_put(struct vm *vm, int argc)
{
    oop value = vm->sp[0];
    struct floats f;
    uint64_t i;
    double d;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[2], &f))
        return PRIM_ERR_BAD_RECEIVER;
    if (!load_index(vm->sp[1], &f, &i))
        return PRIM_ERR_BAD_INDEX;
    if (!number(value, &d))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[2]))
        return PRIM_ERR_NO_MODIFICATION;
    f.at[i] = (float)d;
    return prim_answer(vm, argc, value);
}

/* --- whole arrays, changed in place --- */

typedef double operation(double a, double b);

static double sum(double a, double b) { return a + b; }
static double difference(double a, double b) { return a - b; }
static double product(double a, double b) { return a * b; }
static double quotient(double a, double b) { return a / b; }

static int each_with_scalar(struct vm *vm, int argc, operation *op)
{
    struct floats f;
    double d;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[1], &f))
        return PRIM_ERR_BAD_RECEIVER;
    if (!number(vm->sp[0], &d) || (op == quotient && d == 0))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[1]))
        return PRIM_ERR_NO_MODIFICATION;
    for (uint64_t i = 0; i < f.count; i++)
        f.at[i] = (float)op((double)f.at[i], d);
    return prim_answer_self(vm, argc);
}

static bool has_zero(const struct floats *f)
{
    for (uint64_t i = 0; i < f->count; i++)
        if (f->at[i] == 0)
            return true;
    return false;
}

/* Receiver and argument, of one size. */
static int load_pair(struct vm *vm, int argc, struct floats *f,
                     struct floats *g)
{
    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[1], f))
        return PRIM_ERR_BAD_RECEIVER;
    if (!load(vm->sp[0], g) || f->count != g->count)
        return PRIM_ERR_BAD_ARGUMENT;
    return PRIM_OK;
}

static int each_with_array(struct vm *vm, int argc, operation *op)
{
    struct floats f, g;
    int error = load_pair(vm, argc, &f, &g);

    if (error)
        return error;
    if (op == quotient && has_zero(&g))
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[1]))
        return PRIM_ERR_NO_MODIFICATION;
    for (uint64_t i = 0; i < f.count; i++)
        f.at[i] = (float)op((double)f.at[i], (double)g.at[i]);
    return prim_answer_self(vm, argc);
}

#define OPERATION(name, operation)                                          \
    int prim_floats_##name(struct vm *vm, int argc)                          \
    {                                                                        \
        return each_with_array(vm, argc, operation);                         \
    }                                                                        \
    int prim_floats_##name##_scalar(struct vm *vm, int argc)                 \
    {                                                                        \
        return each_with_scalar(vm, argc, operation);                        \
    }

OPERATION(add, sum)
OPERATION(subtract, difference)
OPERATION(multiply, product)
OPERATION(divide, quotient)

/* --- compare, measure --- */

int prim_floats_equal(struct vm *vm, int argc)
{
    oop a = vm->sp[1], b = vm->sp[0];
    struct floats f, g;
    uint64_t i = 0;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(a, &f))
        return PRIM_ERR_BAD_RECEIVER;
    if (!load(b, &g) ||
        heap_class_of(&vm->heap, a) != heap_class_of(&vm->heap, b))
        return PRIM_ERR_BAD_ARGUMENT;
    if (f.count != g.count)
        return prim_answer_bool(vm, argc, false);
    while (i < f.count && f.at[i] == g.at[i])
        i++;
    return prim_answer_bool(vm, argc, i == f.count);
}

/* Images keep sets by this value: the sum of the words. */
int prim_floats_hash(struct vm *vm, int argc)
{
    struct floats f;
    uint32_t hash = 0, word;

    if (argc != 0)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[0], &f))
        return PRIM_ERR_BAD_RECEIVER;
    for (uint64_t i = 0; i < f.count; i++) {
        memcpy(&word, f.at + i, sizeof word);
        hash += word;
    }
    return prim_answer(vm, argc, int_oop(hash & HASH_MASK));
}

static double dot(const struct floats *f, const struct floats *g)
{
    double d = 0;

    for (uint64_t i = 0; i < f->count; i++)
        d += (double)f->at[i] * (double)g->at[i];
    return d;
}

int prim_floats_dot(struct vm *vm, int argc)
{
    struct floats f, g;
    int error = load_pair(vm, argc, &f, &g);

    if (error)
        return error;
    return prim_answer_new(vm, argc, heap_float(&vm->heap, dot(&f, &g)));
}

int prim_floats_sum(struct vm *vm, int argc)
{
    struct floats f;
    double d = 0;

    if (argc != 0)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[0], &f))
        return PRIM_ERR_BAD_RECEIVER;
    for (uint64_t i = 0; i < f.count; i++)
        d += (double)f.at[i];
    return prim_answer_new(vm, argc, heap_float(&vm->heap, d));
}

/* A vector without length has no direction: that fails. */
static int load_vector(struct vm *vm, int argc, struct floats *f,
                       double *length)
{
    if (argc != 0)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(vm->sp[0], f))
        return PRIM_ERR_BAD_RECEIVER;
    *length = sqrt(dot(f, f));
    return *length > 0 ? PRIM_OK : PRIM_ERR_BAD_RECEIVER;
}

int prim_floats_length(struct vm *vm, int argc)
{
    struct floats f;
    double length;
    int error = load_vector(vm, argc, &f, &length);

    if (error)
        return error;
    return prim_answer_new(vm, argc, heap_float(&vm->heap, length));
}

int prim_floats_normalize(struct vm *vm, int argc)
{
    struct floats f;
    double length;
    int error = load_vector(vm, argc, &f, &length);

    if (error)
        return error;
    if (is_immutable(vm->sp[0]))
        return PRIM_ERR_NO_MODIFICATION;
    for (uint64_t i = 0; i < f.count; i++)
        f.at[i] = (float)((double)f.at[i] / length);
    return prim_answer_self(vm, argc);
}
