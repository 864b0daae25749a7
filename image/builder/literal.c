/*
 * literal.c - literal values: integers of any size, exactly read floats,
 * fractions and scaled decimals. Knows number syntax, nothing else of the
 * language.
 */
#include "builder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- unsigned big integers --- */

static void big_mul_add(struct big *b, uint32_t factor, uint32_t add)
{
    uint32_t *w = xalloc((b->n + 1) * sizeof *w);
    uint64_t carry = add;

    for (size_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->w[i] * factor;
        w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    w[b->n] = (uint32_t)carry;
    b->w = w;
    b->n += carry != 0;
}

/* Divides in place, answers the remainder. */
static uint32_t big_div(struct big *b, uint32_t by)
{
    uint32_t *w = xalloc((b->n + 1) * sizeof *w);
    uint64_t rest = 0;

    for (size_t i = b->n; i-- > 0;) {
        rest = rest << 32 | b->w[i];
        w[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    b->w = w;
    while (b->n && !w[b->n - 1])
        b->n--;
    return (uint32_t)rest;
}

static bool big_equal(const struct big *a, const struct big *b)
{
    return a->n == b->n && a->negative == b->negative &&
           !memcmp(a->w ? (void *)a->w : "", b->w ? (void *)b->w : "",
                   a->n * sizeof *a->w);
}

static bool big_is_one(const struct big *b)
{
    return b->n == 1 && b->w[0] == 1;
}

/* Both are multiples of powers of the radix only where it matters: dividing
 * by its prime factors is a full reduction. */
static void reduce(struct big *num, struct big *den, unsigned radix)
{
    for (unsigned p = 2; p <= radix; p++) {
        if (radix % p)
            continue;
        for (;;) {
            struct big n = *num, d = *den;

            if (big_div(&n, p) || big_div(&d, p) || !num->n)
                break;
            *num = n;
            *den = d;
        }
    }
    if (!num->n) {
        *den = (struct big){ 0 };
        big_mul_add(den, 0, 1);
    }
}

/* --- literals --- */

struct lit *lit_new(enum lit_kind kind)
{
    struct lit *l = xalloc(sizeof *l);

    l->kind = kind;
    return l;
}

struct lit *lit_int(int64_t value)
{
    struct lit *l = lit_new(L_INT);
    uint64_t m = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    l->num.w = xalloc(2 * sizeof *l->num.w);
    l->num.w[0] = (uint32_t)m;
    l->num.w[1] = (uint32_t)(m >> 32);
    l->num.n = l->num.w[1] ? 2 : l->num.w[0] ? 1 : 0;
    l->num.negative = value < 0;
    return l;
}

struct lit *lit_symbol(const char *name)
{
    struct lit *l = lit_new(L_SYMBOL);

    l->text = name;
    l->size = strlen(name);
    return l;
}

bool lit_small(const struct lit *l, int64_t *value)
{
    uint64_t m = 0;

    if (l->kind != L_INT || l->num.n > 2)
        return false;
    for (size_t i = l->num.n; i-- > 0;)
        m = m << 32 | l->num.w[i];
    if (m > (1ull << 60) || (m == 1ull << 60 && !l->num.negative))
        return false;
    *value = l->num.negative ? -(int64_t)m : (int64_t)m;
    return true;
}

bool lit_equal(const struct lit *a, const struct lit *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case L_NIL: case L_TRUE: case L_FALSE:
        return true;
    case L_INT:
        return big_equal(&a->num, &b->num);
    case L_FLOAT:
        return !memcmp(&a->real, &b->real, sizeof a->real);
    case L_CHAR:
        return a->code_point == b->code_point;
    case L_STRING: case L_SYMBOL:
        return a->size == b->size && !memcmp(a->text, b->text, a->size);
    case L_BINDING:
        return a->binding == b->binding;
    default:
        return a == b;
    }
}

/* --- numbers --- */

static int digit_value(char c, unsigned radix)
{
    int d = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                                                  : 99;

    return d < (int)radix ? d : -1;
}

struct number { /* the parts of a number as written */
    unsigned radix, fraction_digits;
    struct big mantissa;
    long exponent;
    bool has_point, has_exponent, has_scale;
    unsigned scale;
    const char *start, *end; /* the decimal text, for strtod */
};

static void read_digits(struct number *n, const char **p, unsigned *count)
{
    for (int d; (d = digit_value(**p, n->radix)) >= 0; ++*p, ++*count)
        big_mul_add(&n->mantissa, n->radix, (uint32_t)d);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name_part(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '_';
}

static void read_exponent(struct number *n, const char **p)
{
    const char *q = *p + 1;
    bool negative = *q == '-';

    if (**p != 'e' && **p != 'd' && **p != 'q')
        return;
    q += negative;
    if (!is_digit(*q))
        return;
    for (n->exponent = 0; is_digit(*q) && n->exponent < 100000; q++)
        n->exponent = n->exponent * 10 + (*q - '0');
    if (negative)
        n->exponent = -n->exponent;
    n->has_exponent = true;
    *p = q;
}

static void read_scale(struct number *n, const char **p)
{
    const char *q = *p + 1;

    if (**p != 's' || (is_name_part(*q) && !is_digit(*q)))
        return;
    n->has_scale = true;
    n->scale = n->fraction_digits;
    if (is_digit(*q))
        for (n->scale = 0; is_digit(*q) && n->scale < 10000; q++)
            n->scale = n->scale * 10 + (unsigned)(*q - '0');
    *p = q;
}

static double radix_float(const struct number *n)
{
    long shift = n->exponent - (long)n->fraction_digits;
    unsigned bits = 0;
    double d = 0;

    while (1u << bits < n->radix)
        bits++;
    if (1u << bits == n->radix) { /* a binary radix: let strtod round once */
        char *hex = xalloc(n->mantissa.n * 8 + 40), *h = hex;

        h += sprintf(h, "0x0");
        for (size_t i = n->mantissa.n; i-- > 0;)
            h += sprintf(h, "%08x", n->mantissa.w[i]);
        sprintf(h, "p%ld", shift * (long)bits);
        return strtod(hex, NULL);
    }
    for (size_t i = n->mantissa.n; i-- > 0;)
        d = d * 4294967296.0 + n->mantissa.w[i];
    return d * pow(n->radix, (double)shift);
}

static double number_float(const struct number *n)
{
    char *text;
    size_t size = (size_t)(n->end - n->start);

    if (n->radix != 10)
        return radix_float(n);
    text = xalloc(size + 1);
    memcpy(text, n->start, size);
    for (char *c = text; *c; c++) /* Smalltalk's d and q are C's e */
        if (*c == 'd' || *c == 'q')
            *c = 'e';
    return strtod(text, NULL);
}

/* The value as num / den with the exponent worked in. */
static void number_ratio(struct number *n, struct lit *l)
{
    long shift = n->exponent - (long)n->fraction_digits;

    l->num = n->mantissa;
    big_mul_add(&l->den, 0, 1);
    for (; shift > 0; shift--)
        big_mul_add(&l->num, n->radix, 0);
    for (; shift < 0; shift++)
        big_mul_add(&l->den, n->radix, 0);
    reduce(&l->num, &l->den, n->radix);
}

struct lit *number_read(const char **p, bool negative, const char **why)
{
    struct number n = { .radix = 10, .start = *p };
    struct lit *l = lit_new(L_INT);
    unsigned digits = 0;

    read_digits(&n, p, &digits);
    if (**p == 'r' && n.mantissa.n == 1 && n.mantissa.w[0] >= 2 &&
        n.mantissa.w[0] <= 36) {
        n.radix = n.mantissa.w[0];
        n.mantissa = (struct big){ 0 };
        digits = 0;
        ++*p;
        if (**p == '-') {
            negative = !negative;
            ++*p;
        }
        read_digits(&n, p, &digits);
    }
    if (!digits) {
        *why = "digits expected in a number";
        return NULL;
    }
    if (**p == '.' && digit_value((*p)[1], n.radix) >= 0) {
        n.has_point = true;
        ++*p;
        read_digits(&n, p, &n.fraction_digits);
    }
    read_exponent(&n, p);
    n.end = *p;
    read_scale(&n, p);
    if (is_name_part(**p)) {
        *why = "a number is followed by a letter";
        return NULL;
    }
    if (n.has_scale) {
        l->kind = L_SCALED;
        l->scale = n.scale;
        number_ratio(&n, l);
    } else if (n.has_point) {
        l->kind = L_FLOAT;
        l->real = number_float(&n) * (negative ? -1.0 : 1.0);
    } else {
        number_ratio(&n, l);
        if (!big_is_one(&l->den))
            l->kind = L_FRACTION;
    }
    l->num.negative = negative && l->num.n;
    return l;
}
