/*
 * prim_float.c - Floats: numbers 38 to 59 on boxed, 541 to 559 on immediate
 * ones. Each function serves both; the argument may be a SmallInteger.
 */
#include "vm/primitives/prim.h"

#include <math.h>

static int one_float(struct vm *vm, int argc, double *a)
{
    if (argc != 0)
        return PRIM_ERR_BAD_NUM_ARGS;
    return heap_float_value(vm->sp[0], a) ? PRIM_OK : PRIM_ERR_BAD_RECEIVER;
}

static int answer_float(struct vm *vm, int argc, double d)
{
    return prim_answer_new(vm, argc, heap_float(&vm->heap, d));
}

/* --- halves of the IEEE word: 1 is the high one --- */

static int half_index(oop o, unsigned *shift)
{
    if (!is_int(o))
        return PRIM_ERR_BAD_ARGUMENT;
    if (int_value(o) != 1 && int_value(o) != 2)
        return PRIM_ERR_BAD_INDEX;
    *shift = int_value(o) == 1 ? 32 : 0;
    return PRIM_OK;
}

int prim_float_at(struct vm *vm, int argc)
{
    uint64_t bits;
    unsigned shift;
    double d;
    int error;

    if (!heap_float_value(vm->sp[1], &d))
        return PRIM_ERR_BAD_RECEIVER;
    error = half_index(vm->sp[0], &shift);
    if (error)
        return error;
    memcpy(&bits, &d, sizeof bits);
    return prim_answer(vm, argc, int_oop((uint32_t)(bits >> shift)));
}

int prim_float_at_put(struct vm *vm, int argc)
{
    oop f = vm->sp[2];
    uint64_t value;
    unsigned shift;
    int error;

    if (!is_pointer(f) || !heap_is_float(f))
        return PRIM_ERR_BAD_RECEIVER;
    error = half_index(vm->sp[1], &shift);
    if (error)
        return error;
    if (!heap_uint64_value(vm->sp[0], &value) || value >> 32)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(f))
        return PRIM_ERR_NO_MODIFICATION;
    slots(f)[0] = (slot(f, 0) & ~(0xffffffffull << shift)) | value << shift;
    return prim_answer(vm, argc, vm->sp[0]);
}

/* --- arithmetic --- */

static int two_floats(struct vm *vm, int argc, double *a, double *b)
{
    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!heap_float_value(vm->sp[1], a))
        return PRIM_ERR_BAD_RECEIVER;
    if (is_int(vm->sp[0]))
        *b = (double)int_value(vm->sp[0]);
    else if (!heap_float_value(vm->sp[0], b))
        return PRIM_ERR_BAD_ARGUMENT;
    return PRIM_OK;
}

#define FLOAT_PRIM(name, operator, check)                                     \
    int name(struct vm *vm, int argc)                                         \
    {                                                                         \
        double a, b;                                                          \
        int error = two_floats(vm, argc, &a, &b);                             \
                                                                              \
        if (error)                                                            \
            return error;                                                     \
        if (check)                                                            \
            return PRIM_ERR_BAD_ARGUMENT;                                     \
        return answer_float(vm, argc, a operator b);                          \
    }

FLOAT_PRIM(prim_float_add, +, false)
FLOAT_PRIM(prim_float_subtract, -, false)
FLOAT_PRIM(prim_float_multiply, *, false)
FLOAT_PRIM(prim_float_divide, /, b == 0)

/* --- comparison: exact, also with integers that no double equals --- */

enum order { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

static enum order order_of(double a, double b)
{
    return a < b ? LESS : a > b ? GREATER : a == b ? EQUAL : UNORDERED;
}

static enum order order_with_int(double a, int64_t b)
{
    enum order o = order_of(a, (double)b);
    int64_t whole;

    /* The double nearest to b equals a: compare as integers. SmallIntegers
     * stay far from the ends of int64_t. */
    if (o != EQUAL)
        return o;
    whole = (int64_t)a;
    return whole < b ? LESS : whole > b ? GREATER : EQUAL;
}

static int compare(struct vm *vm, int argc, unsigned accept)
{
    double a, b;
    enum order o;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!heap_float_value(vm->sp[1], &a))
        return PRIM_ERR_BAD_RECEIVER;
    if (is_int(vm->sp[0]))
        o = order_with_int(a, int_value(vm->sp[0]));
    else if (heap_float_value(vm->sp[0], &b))
        o = order_of(a, b);
    else
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer_bool(vm, argc, (o & accept) != 0);
}

#define FLOAT_COMPARE(name, accept)                                           \
    int name(struct vm *vm, int argc)                                         \
    {                                                                         \
        return compare(vm, argc, accept);                                     \
    }

FLOAT_COMPARE(prim_float_less, LESS)
FLOAT_COMPARE(prim_float_greater, GREATER)
FLOAT_COMPARE(prim_float_less_equal, LESS | EQUAL)
FLOAT_COMPARE(prim_float_greater_equal, GREATER | EQUAL)
FLOAT_COMPARE(prim_float_equal, EQUAL)
FLOAT_COMPARE(prim_float_not_equal, LESS | GREATER | UNORDERED)

/* --- parts --- */

int prim_float_truncated(struct vm *vm, int argc)
{
    double a;
    int error = one_float(vm, argc, &a);

    if (error)
        return error;
    if (!(a >= (double)SMALLINT_MIN && a < -(double)SMALLINT_MIN))
        return PRIM_ERR_OPERATION_FAILED;
    return prim_answer(vm, argc, int_oop((int64_t)a));
}

int prim_float_fraction_part(struct vm *vm, int argc)
{
    double a, whole;
    int error = one_float(vm, argc, &a);

    return error ? error : answer_float(vm, argc, modf(a, &whole));
}

int prim_float_exponent(struct vm *vm, int argc)
{
    double a;
    int e = 0, error = one_float(vm, argc, &a);

    if (error)
        return error;
    if (isfinite(a))
        (void)frexp(a, &e);
    return prim_answer(vm, argc, int_oop(e - 1));
}

int prim_float_times_two_power(struct vm *vm, int argc)
{
    enum { ENOUGH = 2200 }; /* from the least denormal to infinity */
    int64_t n;
    double a;

    if (!heap_float_value(vm->sp[1], &a))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    n = int_value(vm->sp[0]);
    n = n > ENOUGH ? ENOUGH : n < -ENOUGH ? -ENOUGH : n;
    return answer_float(vm, argc, ldexp(a, (int)n));
}

/* --- functions --- */

int prim_float_sqrt(struct vm *vm, int argc)
{
    double a;
    int error = one_float(vm, argc, &a);

    if (error)
        return error;
    return a < 0 ? PRIM_ERR_BAD_RECEIVER : answer_float(vm, argc, sqrt(a));
}

#define FLOAT_FUNCTION(name, function)                                        \
    int name(struct vm *vm, int argc)                                         \
    {                                                                         \
        double a;                                                             \
        int error = one_float(vm, argc, &a);                                  \
                                                                              \
        return error ? error : answer_float(vm, argc, function(a));           \
    }

FLOAT_FUNCTION(prim_float_sin, sin)
FLOAT_FUNCTION(prim_float_cos, cos)
FLOAT_FUNCTION(prim_float_arctan, atan)
FLOAT_FUNCTION(prim_float_ln, log)
FLOAT_FUNCTION(prim_float_exp, exp)
