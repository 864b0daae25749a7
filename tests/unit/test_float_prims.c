/*
 * Float primitives at the edges: comparison with integers that no double
 * equals, denormals, what must fail.
 */
#include "tests/unit/prim_test.h"

#include <float.h>
#include <math.h>

static oop of(double d)
{
    return heap_float(h, d);
}

static double value(oop o)
{
    double d = 0;

    assert_true(heap_float_value(o, &d));
    return d;
}

static void comparison_with_integers_is_exact(void **state)
{
    const int64_t n = (1ll << 53) + 1; /* the double is 2^53 */
    oop r;

    assert_int_equal(call2(prim_float_equal, &r, of(9007199254740992.0),
                           int_oop(n)), 0);
    assert_int_equal(r, h->false_);
    assert_int_equal(call2(prim_float_less, &r, of(9007199254740992.0),
                           int_oop(n)), 0);
    assert_int_equal(r, h->true_);
    assert_int_equal(call2(prim_float_equal, &r, of(9007199254740992.0),
                           int_oop(n - 1)), 0);
    assert_int_equal(r, h->true_);
    assert_int_equal(call2(prim_float_greater, &r, of(INFINITY),
                           int_oop(SMALLINT_MAX)), 0);
    assert_int_equal(r, h->true_);
}

static void nan_differs_from_everything(void **state)
{
    prim_fn *const no[] = { prim_float_less, prim_float_greater,
                            prim_float_less_equal, prim_float_greater_equal,
                            prim_float_equal };
    oop r;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(call2(no[i], &r, of(NAN), of(NAN)), 0);
        assert_int_equal(r, h->false_);
        assert_int_equal(call2(no[i], &r, of(NAN), int_oop(3)), 0);
        assert_int_equal(r, h->false_);
    }
    assert_int_equal(call2(prim_float_not_equal, &r, of(NAN), of(NAN)), 0);
    assert_int_equal(r, h->true_);
}

static void truncation_fails_beyond_small_integers(void **state)
{
    oop r;

    assert_int_equal(call1(prim_float_truncated, &r, of(-3.99)), 0);
    assert_int_equal(r, int_oop(-3));
    assert_int_equal(call1(prim_float_truncated, &r, of(-0x1p60)), 0);
    assert_int_equal(r, int_oop(SMALLINT_MIN));
    assert_int_not_equal(call1(prim_float_truncated, &r, of(0x1p60)), 0);
    assert_int_not_equal(call1(prim_float_truncated, &r, of(NAN)), 0);
    assert_int_not_equal(call1(prim_float_truncated, &r, of(INFINITY)), 0);
}

static void scaling_rounds_once(void **state)
{
    oop r;

    assert_int_equal(call2(prim_float_times_two_power, &r, of(1.5),
                           int_oop(-1074)), 0);
    assert_true(value(r) == 0x1p-1073);
    assert_int_equal(call2(prim_float_times_two_power, &r, of(0x1p-1074),
                           int_oop(2097)), 0);
    assert_true(value(r) == 0x1p1023);
    assert_int_equal(call2(prim_float_times_two_power, &r, of(1),
                           int_oop(SMALLINT_MAX)), 0);
    assert_true(isinf(value(r)));
    assert_int_equal(call2(prim_float_times_two_power, &r, of(1),
                           int_oop(SMALLINT_MIN)), 0);
    assert_true(value(r) == 0);
}

static void parts_of_floats(void **state)
{
    oop r;

    assert_int_equal(call1(prim_float_exponent, &r, of(1)), 0);
    assert_int_equal(r, int_oop(0));
    assert_int_equal(call1(prim_float_exponent, &r, of(0)), 0);
    assert_int_equal(r, int_oop(-1));
    assert_int_equal(call1(prim_float_exponent, &r, of(0x1p-1074)), 0);
    assert_int_equal(r, int_oop(-1074));
    assert_int_equal(call1(prim_float_fraction_part, &r, of(-2.25)), 0);
    assert_true(value(r) == -0.25);
    assert_int_equal(call2(prim_float_at, &r, of(1), int_oop(1)), 0);
    assert_int_equal(r, int_oop(0x3ff00000));
    assert_int_equal(call2(prim_float_at, &r, of(1), int_oop(2)), 0);
    assert_int_equal(r, int_oop(0));
    assert_int_equal(call2(prim_float_at, &r, of(1), int_oop(3)),
                     PRIM_ERR_BAD_INDEX);
}

static void division_by_zero_and_roots_of_negatives_fail(void **state)
{
    oop r;

    assert_int_not_equal(call2(prim_float_divide, &r, of(1), of(0)), 0);
    assert_int_not_equal(call2(prim_float_divide, &r, of(1), of(-0.0)), 0);
    assert_int_not_equal(call2(prim_float_divide, &r, of(1), int_oop(0)), 0);
    assert_int_not_equal(call1(prim_float_sqrt, &r, of(-1)), 0);
    assert_int_not_equal(call2(prim_float_add, &r, of(1), h->nil), 0);
    assert_int_not_equal(call2(prim_float_add, &r, h->nil, of(1)), 0);
}

/* The string hash that images keep in their sets, by its definition. */
static void string_hash_is_the_known_one(void **state)
{
    oop r;

    assert_int_equal(call3(prim_string_hash, &r, h->nil,
                           heap_new_string(h, ""), int_oop(7)), 0);
    assert_int_equal(r, int_oop(7));
    assert_int_equal(call3(prim_string_hash, &r, h->nil,
                           heap_new_string(h, "a"), int_oop(0)), 0);
    assert_int_equal(r, int_oop(97ull * 1664525 & 0xfffffff));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(comparison_with_integers_is_exact),
        TEST(nan_differs_from_everything),
        TEST(truncation_fails_beyond_small_integers),
        TEST(scaling_rounds_once),
        TEST(parts_of_floats),
        TEST(division_by_zero_and_roots_of_negatives_fail),
        TEST(string_hash_is_the_known_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
