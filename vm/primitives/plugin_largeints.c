/*
 * plugin_largeints.c - module LargeIntegers: arithmetic on digits.
 *
 * A number is its magnitude, bytes with the least first, in an object of
 * class LargePositiveInteger or LargeNegativeInteger; a SmallInteger stands
 * for its digits. The body of such an object is whole 8-byte words with
 * zeroes after the last byte, so everything here works on 64-bit words.
 */
#include "vm/primitives/prim.h"

#include <stdlib.h>

struct number {
    const uint64_t *words;
    uint64_t count;    /* words */
    uint64_t bytes;    /* significant or stored bytes */
    bool negative;
    bool immediate;
    uint64_t own;      /* the word of a SmallInteger */
};

static uint64_t words_for(uint64_t n)
{
    return (n + 7) / 8;
}

/* Bytes up to the highest that is not 0. */
static uint64_t significant(const uint64_t *w, uint64_t words)
{
    while (words && !w[words - 1])
        words--;
    return words ? words * 8 - (unsigned)__builtin_clzll(w[words - 1]) / 8
                 : 0;
}

/* `n` must stay where it is while it is used: it may point into itself. */
static bool load(struct number *n, oop o)
{
    uint32_t class_index = heap_class_index(o);

    n->immediate = is_int(o);
    if (n->immediate) {
        n->negative = int_value(o) < 0;
        n->own = (uint64_t)(n->negative ? -int_value(o) : int_value(o));
        n->words = &n->own;
        n->count = 1;
        n->bytes = significant(&n->own, 1);
        return true;
    }
    if (!is_bytes(o) || (class_index != CLS_LARGE_POSITIVE &&
                         class_index != CLS_LARGE_NEGATIVE))
        return false;
    n->negative = class_index == CLS_LARGE_NEGATIVE;
    n->bytes = byte_count(o);
    n->count = words_for(n->bytes);
    n->words = slots(o);
    return true;
}

static int load_two(struct vm *vm, int argc, struct number *a,
                    struct number *b)
{
    if (argc < 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(a, vm->sp[argc]))
        return PRIM_ERR_BAD_RECEIVER;
    return load(b, vm->sp[argc - 1]) ? PRIM_OK : PRIM_ERR_BAD_ARGUMENT;
}

static uint64_t word(const struct number *n, uint64_t i)
{
    return i < n->count ? n->words[i] : 0;
}

/* --- results --- */

/* A number of `n` bytes, zero; 0: no memory. */
static oop new_number(struct vm *vm, bool negative, uint64_t n)
{
    return heap_new(&vm->heap,
                    negative ? CLS_LARGE_NEGATIVE : CLS_LARGE_POSITIVE,
                    FMT_BYTES | ((8 - n % 8) & 7), words_for(n));
}

/* The SmallInteger of a magnitude, if there is one. */
static bool small_value(const uint64_t *w, uint64_t bytes_, bool negative,
                        oop *result)
{
    uint64_t v = bytes_ ? w[0] : 0;

    if (bytes_ > 8 || v > (uint64_t)SMALLINT_MAX + negative)
        return false;
    *result = int_oop(negative ? -(int64_t)v : (int64_t)v);
    return true;
}

/* The integer with these words as magnitude, as small as can be. */
static oop normalized(struct vm *vm, const uint64_t *w, uint64_t words,
                      bool negative)
{
    uint64_t n = significant(w, words);
    oop o;

    if (small_value(w, n, negative, &o))
        return o;
    o = new_number(vm, negative, n);
    if (o)
        memcpy(slots(o), w, words_for(n) * 8);
    return o;
}

/* Words to compute in: on the stack if few. NULL: none. */
struct scratch {
    uint64_t few[64];
    uint64_t *words;
};

static uint64_t *scratch(struct scratch *s, uint64_t n)
{
    s->words = s->few;
    if (n > sizeof s->few / sizeof *s->few)
        s->words = malloc(n * sizeof *s->words);
    if (s->words)
        memset(s->words, 0, n * sizeof *s->words);
    return s->words;
}

static void release(struct scratch *s)
{
    if (s->words != s->few)
        free(s->words);
}

/* Answers the number in a scratch and gives that back. */
static int answer_scratch(struct vm *vm, int argc, struct scratch *s,
                          uint64_t words, bool negative)
{
    oop o = normalized(vm, s->words, words, negative);

    release(s);
    return prim_answer_new(vm, argc, o);
}

/* --- compare, add, subtract --- */

static int compare(const struct number *a, const struct number *b)
{
    uint64_t i = a->count > b->count ? a->count : b->count;

    while (i--) {
        uint64_t x = word(a, i), y = word(b, i);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int prim_digit_compare(struct vm *vm, int argc)
{
    struct number a, b;
    int error = load_two(vm, argc, &a, &b);

    if (error)
        return error;
    return prim_answer(vm, argc, int_oop(compare(&a, &b)));
}

int prim_digit_add(struct vm *vm, int argc)
{
    struct number a, b;
    struct scratch s;
    uint64_t n;
    unsigned __int128 sum = 0;
    int error = load_two(vm, argc, &a, &b);

    if (error)
        return error;
    n = (a.count > b.count ? a.count : b.count) + 1;
    if (!scratch(&s, n))
        return PRIM_ERR_NO_C_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        sum += (unsigned __int128)word(&a, i) + word(&b, i);
        s.words[i] = (uint64_t)sum;
        sum >>= 64;
    }
    return answer_scratch(vm, argc, &s, n, a.negative);
}

int prim_digit_subtract(struct vm *vm, int argc)
{
    struct number a, b, *big = &a, *small = &b;
    struct scratch s;
    uint64_t n, borrow = 0;
    bool negative;
    int error = load_two(vm, argc, &a, &b);

    if (error)
        return error;
    negative = a.negative;
    if (compare(&a, &b) < 0) {
        big = &b;
        small = &a;
        negative = !negative;
    }
    n = big->count;
    if (!scratch(&s, n))
        return PRIM_ERR_NO_C_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        unsigned __int128 d =
            (unsigned __int128)big->words[i] - word(small, i) - borrow;

        s.words[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return answer_scratch(vm, argc, &s, n, negative);
}

/* --- multiply --- */

/* Two numbers, and as the last argument whether the result is negative. */
static int load_signed(struct vm *vm, int argc, struct number *a,
                       struct number *b, bool *negative)
{
    int error = load_two(vm, argc, a, b);
    oop flag = vm->sp[0];

    if (error)
        return error;
    *negative = flag == vm->heap.true_;
    return argc == 2 && (*negative || flag == vm->heap.false_)
               ? PRIM_OK
               : PRIM_ERR_BAD_ARGUMENT;
}

static void multiply(const struct number *a, const struct number *b,
                     uint64_t *r)
{
    for (uint64_t i = 0; i < a->count; i++) {
        uint64_t carry = 0, x = a->words[i];

        for (uint64_t j = 0; x && j < b->count; j++) {
            unsigned __int128 p = (unsigned __int128)x * b->words[j] +
                                  r[i + j] + carry;

            r[i + j] = (uint64_t)p;
            carry = (uint64_t)(p >> 64);
        }
        r[i + b->count] = x ? carry : r[i + b->count];
    }
}

int prim_digit_multiply(struct vm *vm, int argc)
{
    struct number a, b;
    struct scratch s;
    bool negative;
    int error = load_signed(vm, argc, &a, &b, &negative);

    if (error)
        return error;
    if (!scratch(&s, a.count + b.count))
        return PRIM_ERR_NO_C_MEMORY;
    multiply(&a, &b, s.words);
    return answer_scratch(vm, argc, &s, a.count + b.count, negative);
}

/* --- divide: Knuth's algorithm D with 32-bit digits --- */

struct division {
    uint32_t *u, *v, *q; /* dividend then remainder, divisor, quotient */
    uint64_t m, n;       /* digits of the dividend, of the divisor */
};

static void shift_left(uint32_t *d, uint64_t n, unsigned by)
{
    for (uint64_t i = n; by && i--;)
        d[i] = d[i] << by | (i ? d[i - 1] >> (32 - by) : 0);
}

static void shift_right(uint32_t *d, uint64_t n, unsigned by)
{
    for (uint64_t i = 0; by && i < n; i++)
        d[i] = d[i] >> by | (i + 1 < n ? d[i + 1] << (32 - by) : 0);
}

/* u[j..j+n] -= q * v; answers whether it went below zero. */
static bool subtract_product(struct division *d, uint64_t j, uint32_t q)
{
    uint64_t carry = 0;
    int64_t t = 0;

    for (uint64_t i = 0; i < d->n; i++) {
        uint64_t p = (uint64_t)q * d->v[i] + carry;

        carry = p >> 32;
        t += (int64_t)d->u[i + j] - (int64_t)(p & 0xffffffff);
        d->u[i + j] = (uint32_t)t;
        t >>= 32;
    }
    t += (int64_t)d->u[j + d->n] - (int64_t)carry;
    d->u[j + d->n] = (uint32_t)t;
    return t < 0;
}

static void add_back(struct division *d, uint64_t j)
{
    uint64_t carry = 0;

    for (uint64_t i = 0; i < d->n; i++) {
        carry += (uint64_t)d->u[i + j] + d->v[i];
        d->u[i + j] = (uint32_t)carry;
        carry >>= 32;
    }
    d->u[j + d->n] += (uint32_t)carry;
}

/* A guess at the digit that is right or one too large, seldom two. */
static uint32_t guess(const struct division *d, uint64_t j)
{
    uint64_t top = (uint64_t)d->u[j + d->n] << 32 | d->u[j + d->n - 1];
    uint64_t high = d->v[d->n - 1], q = top / high, r = top % high;

    while (q >> 32 ||
           (d->n > 1 && q * d->v[d->n - 2] > (r << 32 | d->u[j + d->n - 2]))) {
        q--;
        r += high;
        if (r >> 32)
            break;
    }
    return (uint32_t)q;
}

/* u has a digit more than m, 0; v's highest digit is not 0; m >= n. */
static void divide(struct division *d)
{
    unsigned shift = (unsigned)__builtin_clz(d->v[d->n - 1]);

    shift_left(d->u, d->m + 1, shift);
    shift_left(d->v, d->n, shift);
    for (uint64_t j = d->m - d->n + 1; j--;) {
        d->q[j] = guess(d, j);
        if (subtract_product(d, j, d->q[j])) {
            d->q[j]--;
            add_back(d, j);
        }
    }
    shift_right(d->u, d->n, shift);
}

/* Array {quotient. remainder}; 0: no memory. */
static oop pair(struct vm *vm, oop a, oop b)
{
    oop array;

    if (!a || !b)
        return 0;
    array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 2);
    if (array) {
        heap_store(&vm->heap, array, 0, a);
        heap_store(&vm->heap, array, 1, b);
    }
    return array;
}

static uint64_t digits32(const struct number *n)
{
    return (significant(n->words, n->count) + 3) / 4;
}

/* Scratch: dividend and remainder, divisor, quotient, each whole words. */
static int divide_numbers(struct vm *vm, int argc, const struct number *a,
                          const struct number *b, bool negative)
{
    uint64_t an = a->count + 1, bn = b->count;
    struct scratch s;
    struct division d = { .m = digits32(a), .n = digits32(b) };
    oop result;

    if (!scratch(&s, an + bn + an))
        return PRIM_ERR_NO_C_MEMORY;
    memcpy(s.words, a->words, a->count * 8);
    memcpy(s.words + an, b->words, b->count * 8);
    d.u = (uint32_t *)s.words;
    d.v = (uint32_t *)(s.words + an);
    d.q = (uint32_t *)(s.words + an + bn);
    if (d.m >= d.n) {
        divide(&d);
        memset(d.u + d.n, 0, an * 8 - d.n * 4);
    }
    result = pair(vm, normalized(vm, s.words + an + bn, an, negative),
                  normalized(vm, s.words, an, a->negative));
    release(&s);
    return prim_answer_new(vm, argc, result);
}

int prim_digit_divide(struct vm *vm, int argc)
{
    struct number a, b;
    bool negative;
    int error = load_signed(vm, argc, &a, &b, &negative);

    if (error)
        return error;
    if (!significant(b.words, b.count))
        return PRIM_ERR_BAD_ARGUMENT;
    return divide_numbers(vm, argc, &a, &b, negative);
}

/* --- bits: of magnitudes that are not negative --- */

enum bit_operation { AND, OR, XOR };

static int bit_operation(struct vm *vm, int argc, enum bit_operation op)
{
    struct number a, b;
    struct scratch s;
    uint64_t n;
    int error = load_two(vm, argc, &a, &b);

    if (error)
        return error;
    if (a.negative || b.negative)
        return PRIM_ERR_INAPPROPRIATE;
    n = a.count > b.count ? a.count : b.count;
    if (!scratch(&s, n))
        return PRIM_ERR_NO_C_MEMORY;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t x = word(&a, i), y = word(&b, i);

        s.words[i] = op == AND ? x & y : op == OR ? x | y : x ^ y;
    }
    return answer_scratch(vm, argc, &s, n, false);
}

int prim_digit_bit_and(struct vm *vm, int argc)
{
    return bit_operation(vm, argc, AND);
}

int prim_digit_bit_or(struct vm *vm, int argc)
{
    return bit_operation(vm, argc, OR);
}

int prim_digit_bit_xor(struct vm *vm, int argc)
{
    return bit_operation(vm, argc, XOR);
}

/* Word i of a magnitude shifted left by `by` bits, right if negative. */
static uint64_t shifted_word(const struct number *a, uint64_t i, int64_t by)
{
    int64_t first = (int64_t)i - (by >> 6); /* source word, floored */
    unsigned bits = (unsigned)(by & 63);
    uint64_t low, high;

    high = first >= 0 ? word(a, (uint64_t)first) : 0;
    if (!bits)
        return high;
    low = first >= 1 ? word(a, (uint64_t)first - 1) : 0;
    return high << bits | low >> (64 - bits);
}

int prim_digit_bit_shift(struct vm *vm, int argc)
{
    struct number a;
    struct scratch s;
    int64_t by, n;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(&a, vm->sp[1]))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    by = int_value(vm->sp[0]);
    if (by > 1ll << 36)
        return PRIM_ERR_NO_C_MEMORY;
    n = (int64_t)a.count + (by >> 6) + 1;
    if (n <= 0)
        return prim_answer(vm, argc, int_oop(0));
    if (!scratch(&s, (uint64_t)n))
        return PRIM_ERR_NO_C_MEMORY;
    for (int64_t i = 0; i < n; i++)
        s.words[i] = shifted_word(&a, (uint64_t)i, by);
    return answer_scratch(vm, argc, &s, (uint64_t)n, a.negative);
}

/* Whether any of the bits start..stop (from 1) of the magnitude is set. */
int prim_any_bit(struct vm *vm, int argc)
{
    struct number a;
    int64_t start, stop;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!load(&a, vm->sp[2]))
        return PRIM_ERR_BAD_RECEIVER;
    if (!is_int(vm->sp[1]) || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    start = int_value(vm->sp[1]);
    stop = int_value(vm->sp[0]);
    if (start < 1 || stop < 1)
        return PRIM_ERR_BAD_INDEX;
    if (stop > (int64_t)a.count * 64)
        stop = (int64_t)a.count * 64;
    for (int64_t i = start - 1; i < stop;) {
        uint64_t w = a.words[i / 64];

        if (i % 64 == 0 && !w)
            i += 64;
        else if (w >> (i % 64) & 1)
            return prim_answer_bool(vm, argc, true);
        else
            i++;
    }
    return prim_answer_bool(vm, argc, false);
}

/* --- normalize --- */

static int normalize(struct vm *vm, int argc, bool negative)
{
    oop o = vm->sp[0], result;
    struct number a;
    uint64_t n;

    if (is_int(o) || !load(&a, o) || a.negative != negative)
        return PRIM_ERR_BAD_RECEIVER;
    n = significant(a.words, a.count);
    if (n == a.bytes && !small_value(a.words, n, negative, &result))
        return prim_answer_self(vm, argc);
    return prim_answer_new(vm, argc,
                           normalized(vm, a.words, a.count, negative));
}

int prim_normalize_positive(struct vm *vm, int argc)
{
    return normalize(vm, argc, false);
}

int prim_normalize_negative(struct vm *vm, int argc)
{
    return normalize(vm, argc, true);
}
