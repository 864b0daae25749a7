/*
 * prim_arith.c - integers within 64 bits, numbers 1 to 37 and a few more.
 *
 * SmallInteger and LargeInteger methods share these functions: an operand is
 * any integer whose value fits int64_t, a result is normalized. Whatever does
 * not fit fails, and the image computes it with digits (plugin_largeints.c).
 */
#include "vm/primitives/prim.h"

/* Both integers, or a failure code. */
static int two_ints(struct vm *vm, int argc, int64_t *a, int64_t *b)
{
    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!heap_int64_value(vm->sp[1], a))
        return PRIM_ERR_BAD_RECEIVER;
    if (!heap_int64_value(vm->sp[0], b))
        return PRIM_ERR_BAD_ARGUMENT;
    return PRIM_OK;
}

static int answer_int(struct vm *vm, int argc, int64_t v)
{
    return prim_answer_new(vm, argc, heap_int64(&vm->heap, v));
}

/* A primitive whose `body` uses a and b and sets r. */
#define INTEGER_PRIM(name, body)                                              \
    int name(struct vm *vm, int argc)                                         \
    {                                                                         \
        int64_t a, b, r;                                                      \
        int error = two_ints(vm, argc, &a, &b);                               \
                                                                              \
        if (error)                                                            \
            return error;                                                     \
        body;                                                                 \
        return answer_int(vm, argc, r);                                       \
    }

#define COMPARE_PRIM(name, operator)                                          \
    int name(struct vm *vm, int argc)                                         \
    {                                                                         \
        int64_t a, b;                                                         \
        int error = two_ints(vm, argc, &a, &b);                               \
                                                                              \
        if (error)                                                            \
            return error;                                                     \
        return prim_answer_bool(vm, argc, a operator b);                      \
    }

#define FAIL_IF(condition)                                                    \
    if (condition)                                                            \
        return PRIM_ERR_OPERATION_FAILED

INTEGER_PRIM(prim_int_add, FAIL_IF(__builtin_add_overflow(a, b, &r)))
INTEGER_PRIM(prim_int_subtract, FAIL_IF(__builtin_sub_overflow(a, b, &r)))
INTEGER_PRIM(prim_int_multiply, FAIL_IF(__builtin_mul_overflow(a, b, &r)))
COMPARE_PRIM(prim_int_less, <)
COMPARE_PRIM(prim_int_greater, >)
COMPARE_PRIM(prim_int_less_equal, <=)
COMPARE_PRIM(prim_int_greater_equal, >=)
COMPARE_PRIM(prim_int_equal, ==)
COMPARE_PRIM(prim_int_not_equal, !=)

/* The processor traps on these; the first has no quotient at all. */
static bool cannot_divide(int64_t a, int64_t b)
{
    return b == 0 || (a == INT64_MIN && b == -1);
}

static int64_t floor_quotient(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Has the sign of b. */
static int64_t floor_remainder(int64_t a, int64_t b)
{
    int64_t r = a % b;

    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

INTEGER_PRIM(prim_int_divide,
             FAIL_IF(cannot_divide(a, b) || a % b != 0);
             r = a / b)
INTEGER_PRIM(prim_int_modulo,
             FAIL_IF(cannot_divide(a, b));
             r = floor_remainder(a, b))
INTEGER_PRIM(prim_int_floor_divide,
             FAIL_IF(cannot_divide(a, b));
             r = floor_quotient(a, b))
INTEGER_PRIM(prim_int_quotient, FAIL_IF(cannot_divide(a, b)); r = a / b)
INTEGER_PRIM(prim_int_remainder, FAIL_IF(cannot_divide(a, b)); r = a % b)

INTEGER_PRIM(prim_int_bit_and, r = a & b)
INTEGER_PRIM(prim_int_bit_or, r = a | b)
INTEGER_PRIM(prim_int_bit_xor, r = a ^ b)

/* Positive shifts go left and must not lose bits. */
static bool shift(int64_t a, int64_t by, int64_t *r)
{
    if (by <= 0) {
        *r = by > -64 ? a >> -by : a < 0 ? -1 : 0;
        return true;
    }
    if (a == 0) {
        *r = 0;
        return true;
    }
    if (by > 62)
        return false;
    *r = (int64_t)((uint64_t)a << by);
    return *r >> by == a;
}

INTEGER_PRIM(prim_int_bit_shift, FAIL_IF(!shift(a, b, &r)))

static bool is_number_oop(oop o)
{
    return is_int(o) || heap_is_float(o);
}

int prim_make_point(struct vm *vm, int argc)
{
    if (!is_number_oop(vm->sp[1]))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_number_oop(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer_new(vm, argc,
                           heap_point(&vm->heap, vm->sp[1], vm->sp[0]));
}

int prim_int_as_float(struct vm *vm, int argc)
{
    int64_t v;

    if (!heap_int64_value(vm->sp[0], &v))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer_new(vm, argc, heap_float(&vm->heap, (double)v));
}

/* The low 32 bits of any integer, in two's complement. */
static bool low_word(oop o, uint32_t *w)
{
    uint32_t class_index = heap_class_index(o);

    if (is_int(o)) {
        *w = (uint32_t)int_value(o);
        return true;
    }
    if (!is_bytes(o) || (class_index != CLS_LARGE_POSITIVE &&
                         class_index != CLS_LARGE_NEGATIVE))
        return false;
    *w = 0;
    for (unsigned i = 0; i < 4 && i < byte_count(o); i++)
        *w |= (uint32_t)bytes(o)[i] << (8 * i);
    if (class_index == CLS_LARGE_NEGATIVE)
        *w = -*w;
    return true;
}

int prim_hash_multiply(struct vm *vm, int argc)
{
    uint32_t w;

    if (!low_word(vm->sp[0], &w))
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc, int_oop(w * 1664525u & 0xfffffff));
}

int prim_high_bit(struct vm *vm, int argc)
{
    oop o = vm->sp[0];

    if (!is_int(o) || int_value(o) < 0)
        return PRIM_ERR_BAD_RECEIVER;
    return prim_answer(vm, argc,
                       int_oop(int_value(o)
                                   ? 64 - __builtin_clzll(
                                              (uint64_t)int_value(o))
                                   : 0));
}
