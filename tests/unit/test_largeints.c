/*
 * LargeIntegers and the 64-bit integer primitives against arithmetic on
 * decimal-free, byte-by-byte numbers, as a schoolbook does it.
 */
#include "tests/unit/prim_test.h"

enum { MAX_BYTES = 96, ROUNDS = 6000 };

/* A magnitude of up to MAX_BYTES bytes, least first, and a sign. */
struct big {
    uint8_t byte[2 * MAX_BYTES + 2];
    bool negative;
};

static int length(const struct big *a)
{
    int n = sizeof a->byte;

    while (n && !a->byte[n - 1])
        n--;
    return n;
}

static struct big zero(void)
{
    struct big b;

    memset(&b, 0, sizeof b);
    return b;
}

static int compare(const struct big *a, const struct big *b)
{
    for (int i = sizeof a->byte; i--;)
        if (a->byte[i] != b->byte[i])
            return a->byte[i] < b->byte[i] ? -1 : 1;
    return 0;
}

static struct big add(const struct big *a, const struct big *b)
{
    struct big r = zero();
    unsigned carry = 0;

    for (size_t i = 0; i < sizeof r.byte; i++) {
        carry += a->byte[i] + (unsigned)b->byte[i];
        r.byte[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return r;
}

static struct big subtract(const struct big *a, const struct big *b)
{
    struct big r = zero();
    int borrow = 0;

    for (size_t i = 0; i < sizeof r.byte; i++) {
        int d = a->byte[i] - b->byte[i] - borrow;

        borrow = d < 0;
        r.byte[i] = (uint8_t)d;
    }
    return r;
}

static struct big multiply(const struct big *a, const struct big *b)
{
    struct big r = zero();

    for (int i = 0; i < length(a); i++) {
        unsigned carry = 0;

        for (int j = 0; j < length(b) || carry; j++) {
            carry += r.byte[i + j] + (unsigned)a->byte[i] * b->byte[j];
            r.byte[i + j] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    return r;
}

static struct big random_big(void)
{
    struct big r = zero();
    unsigned n = below(3) ? below(20) : below(MAX_BYTES);

    for (unsigned i = 0; i < n; i++)
        r.byte[i] = below(3) ? (uint8_t)random64() : below(2) ? 0 : 255;
    r.negative = below(2) && length(&r);
    return r;
}

/* --- objects --- */

static oop small_oop(const struct big *a)
{
    uint64_t v = 0;

    memcpy(&v, a->byte, 8);
    return int_oop(a->negative ? -(int64_t)v : (int64_t)v);
}

static bool is_small(const struct big *a)
{
    uint64_t v;

    memcpy(&v, a->byte, 8);
    return length(a) <= 8 && v <= (1ull << 60) - !a->negative;
}

static oop large_oop(const struct big *a, int n)
{
    return heap_new_bytes(h, a->negative ? CLS_LARGE_NEGATIVE
                                         : CLS_LARGE_POSITIVE,
                          a->byte, (uint64_t)n);
}

static oop to_oop(const struct big *a)
{
    return is_small(a) ? small_oop(a) : large_oop(a, length(a));
}

static void assert_is(oop o, const struct big *want)
{
    if (is_small(want)) {
        assert_int_equal(o, small_oop(want));
        return;
    }
    assert_int_equal(heap_class_index(o), want->negative
                                              ? CLS_LARGE_NEGATIVE
                                              : CLS_LARGE_POSITIVE);
    assert_int_equal(byte_count(o), length(want));
    assert_memory_equal(bytes(o), want->byte, byte_count(o));
}

static oop boolean(bool b)
{
    return b ? h->true_ : h->false_;
}

/* The heap only grows here: starts anew from time to time. */
static void refresh(int i)
{
    if (i % 2000 == 1999) {
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
    }
}

/* --- tests --- */

static void sums_and_differences(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct big a = random_big(), b = random_big(), want;
        oop r;

        assert_int_equal(call2(prim_digit_add, &r, to_oop(&a), to_oop(&b)),
                         0);
        want = add(&a, &b);
        want.negative = a.negative;
        assert_is(r, &want);
        assert_int_equal(
            call2(prim_digit_subtract, &r, to_oop(&a), to_oop(&b)), 0);
        want = compare(&a, &b) < 0 ? subtract(&b, &a) : subtract(&a, &b);
        want.negative = a.negative != (compare(&a, &b) < 0) && length(&want);
        assert_is(r, &want);
        assert_int_equal(
            call2(prim_digit_compare, &r, to_oop(&a), to_oop(&b)), 0);
        assert_int_equal(r, int_oop(compare(&a, &b)));
        refresh(i);
    }
}

static void products(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct big a = random_big(), b = random_big(), want = multiply(&a, &b);
        oop r;

        want.negative = below(2) && length(&want);
        assert_int_equal(call3(prim_digit_multiply, &r, to_oop(&a),
                               to_oop(&b), boolean(want.negative)), 0);
        assert_is(r, &want);
        refresh(i);
    }
}

/* a = q * b + r and r < b say all that there is to say. */
static void quotients(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct big a = random_big(), b = random_big(), q = random_big();
        oop r;

        if (!length(&b))
            b.byte[0] = 1;
        if (compare(&a, &b) >= 0)
            for (int n = length(&a); compare(&a, &b) >= 0;)
                a.byte[--n] = 0;
        q.negative = false;
        struct big product = multiply(&q, &b), dividend = add(&product, &a);

        dividend.negative = a.negative && length(&dividend);
        a.negative = dividend.negative && length(&a);
        assert_int_equal(call3(prim_digit_divide, &r, to_oop(&dividend),
                               to_oop(&b), boolean(false)), 0);
        assert_is(slot(r, 0), &q);
        assert_is(slot(r, 1), &a);
        refresh(i);
    }
}

static void dividing_by_zero_fails(void **state)
{
    struct big a = random_big();
    oop r;

    assert_int_not_equal(call3(prim_digit_divide, &r, to_oop(&a), int_oop(0),
                               boolean(false)), 0);
}

static void bits_and_shifts(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct big a = random_big(), b = random_big(), want = zero();
        int by = (int)below(200) - 100;
        oop r;

        a.negative = b.negative = false;
        for (size_t k = 0; k < sizeof want.byte; k++)
            want.byte[k] = a.byte[k] ^ b.byte[k];
        assert_int_equal(
            call2(prim_digit_bit_xor, &r, to_oop(&a), to_oop(&b)), 0);
        assert_is(r, &want);
        want = zero();
        for (int k = 0; k < MAX_BYTES * 8; k++)
            if (a.byte[k / 8] >> k % 8 & 1 && k + by >= 0)
                want.byte[(k + by) / 8] |= (uint8_t)(1 << (k + by) % 8);
        assert_int_equal(
            call2(prim_digit_bit_shift, &r, to_oop(&a), int_oop(by)), 0);
        assert_is(r, &want);
        refresh(i);
    }
}

static void leading_zeroes_go(void **state)
{
    for (int i = 0; i < ROUNDS / 4; i++) {
        struct big a = random_big();
        oop r, o = large_oop(&a, length(&a) + (int)below(12));

        assert_int_equal(call1(a.negative ? prim_normalize_negative
                                          : prim_normalize_positive, &r, o),
                         0);
        assert_is(r, &a);
        refresh(i);
    }
}

/* --- SmallInteger's primitives --- */

static int64_t any_int64(void)
{
    static const int64_t edges[] = { 0, 1, -1, 2, -2, SMALLINT_MAX,
                                     SMALLINT_MIN, INT64_MAX, INT64_MIN,
                                     1ll << 32, -(1ll << 32) };

    if (below(3) == 0)
        return edges[below(11)];
    return (int64_t)random64() >> below(64);
}

static void assert_wide(int error, oop r, __int128 want)
{
    int64_t v;

    if (want > INT64_MAX || want < INT64_MIN) {
        assert_int_not_equal(error, 0);
        return;
    }
    assert_int_equal(error, 0);
    assert_true(heap_int64_value(r, &v));
    assert_true(v == (int64_t)want);
    assert_int_equal(is_int(r), int_fits(v));
}

static __int128 floored(__int128 a, __int128 b)
{
    __int128 q = a / b;

    return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

static void small_integers(void **state)
{
    for (int i = 0; i < ROUNDS * 4; i++) {
        int64_t a = any_int64(), b = any_int64();
        __int128 x = a, y = b;
        oop p = heap_int64(h, a), q = heap_int64(h, b), r = 0;
        int e = call2(prim_int_add, &r, p, q);

        assert_wide(e, r, x + y);
        e = call2(prim_int_subtract, &r, p, q);
        assert_wide(e, r, x - y);
        e = call2(prim_int_multiply, &r, p, q);
        assert_wide(e, r, x * y);
        assert_int_equal(call2(prim_int_less, &r, p, q), 0);
        assert_int_equal(r, boolean(a < b));
        e = call2(prim_int_floor_divide, &r, p, q);
        if (b == 0) {
            assert_int_not_equal(e, 0);
        } else {
            assert_wide(e, r, floored(x, y));
            e = call2(prim_int_quotient, &r, p, q);
            assert_wide(e, r, x / y);
            if (!(a == INT64_MIN && b == -1)) {
                e = call2(prim_int_modulo, &r, p, q);
                assert_wide(e, r, x - floored(x, y) * y);
            }
        }
        refresh(i);
    }
}

static void shifts_lose_no_bits(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        int64_t a = any_int64();
        int by = (int)below(150) - 75;
        oop r;
        int e = call2(prim_int_bit_shift, &r, heap_int64(h, a), int_oop(by));

        if (by <= 0) {
            assert_wide(e, r, by < -63 ? a >> 63 : a >> -by);
        } else if (!e) {
            int64_t v;

            assert_true(heap_int64_value(r, &v));
            assert_true(a ? by < 63 && v >> by == a : v == 0);
        } else {
            assert_true(a);
        }
        refresh(i);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(sums_and_differences), TEST(products),
        TEST(quotients),            TEST(dividing_by_zero_fails),
        TEST(bits_and_shifts),      TEST(leading_zeroes_go),
        TEST(small_integers),       TEST(shifts_lose_no_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
