/*
 * FloatArrayPlugin: what images do in Smalltalk, bit for bit, and what is
 * left to them. Number 103: where scanning text stops.
 */
#include "tests/unit/prim_test.h"

#include <math.h>

static oop floats(unsigned n, const float *f)
{
    oop a = heap_new(h, TINY_WORDS, FMT_32 + (n & 1), (n + 1) / 2);

    memcpy(bytes(a), f, n * sizeof *f);
    return a;
}

static oop real(double d)
{
    return heap_float(h, d);
}

static double value(oop o)
{
    double d = 0;

    assert_true(heap_float_value(o, &d));
    return d;
}

static float element(oop a, unsigned i)
{
    float f;

    memcpy(&f, bytes(a) + i * sizeof f, sizeof f);
    return f;
}

static const float some[3] = { 1.5f, -2.25f, 1e10f };

static void elements_are_read_and_written(void **state)
{
    oop a = floats(3, some), r;

    assert_int_equal(call2(prim_floats_at, &r, a, int_oop(2)), 0);
    assert_true(value(r) == -2.25);
    assert_int_equal(call3(prim_floats_at_put, &r, a, int_oop(3), real(0.1)),
                     0);
    assert_true(value(r) == 0.1);
    assert_true(element(a, 2) == 0.1f);
    assert_int_equal(call3(prim_floats_at_put, &r, a, int_oop(1), int_oop(7)),
                     0);
    assert_int_equal(r, int_oop(7));
    assert_true(element(a, 0) == 7);
}

static void what_is_outside_fails(void **state)
{
    const int64_t wrong[] = { 0, -1, 4, INT32_MAX };
    oop a = floats(3, some), r;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(call2(prim_floats_at, &r, a, int_oop(wrong[i])),
                         PRIM_ERR_BAD_INDEX);
        assert_int_equal(call3(prim_floats_at_put, &r, a, int_oop(wrong[i]),
                               real(1)), PRIM_ERR_BAD_INDEX);
    }
    assert_int_equal(call2(prim_floats_at, &r, heap_new_string(h, "abcdefgh"),
                           int_oop(1)), PRIM_ERR_BAD_RECEIVER);
    assert_int_equal(call2(prim_floats_at, &r, int_oop(3), int_oop(1)),
                     PRIM_ERR_BAD_RECEIVER);
    assert_int_equal(call3(prim_floats_at_put, &r, a, int_oop(1), h->nil),
                     PRIM_ERR_BAD_ARGUMENT);
}

static void arrays_and_numbers_are_added_in_place(void **state)
{
    static const struct {
        prim_fn *with_array, *with_scalar;
        float array[3], scalar[3]; /* some with some, some with 4 */
    } cases[] = {
        { prim_floats_add, prim_floats_add_scalar,
          { 3, -4.5f, 2e10f }, { 5.5f, 1.75f, (float)(1e10 + 4) } },
        { prim_floats_subtract, prim_floats_subtract_scalar,
          { 0, 0, 0 }, { -2.5f, -6.25f, (float)(1e10 - 4) } },
        { prim_floats_multiply, prim_floats_multiply_scalar,
          { 2.25f, 5.0625f, (float)1e20 }, { 6, -9, 4e10f } },
        { prim_floats_divide, prim_floats_divide_scalar,
          { 1, 1, 1 }, { 0.375f, -0.5625f, 2.5e9f } },
    };
    oop r;

    for (unsigned i = 0; i < 4; i++) {
        oop a = floats(3, some), b = floats(3, some);

        assert_int_equal(call2(cases[i].with_array, &r, a, b), 0);
        assert_int_equal(r, a);
        for (unsigned k = 0; k < 3; k++) {
            assert_true(element(a, k) == cases[i].array[k]);
            assert_true(element(b, k) == some[k]);
        }
        assert_int_equal(call2(cases[i].with_scalar, &r, b,
                               i & 1 ? real(4) : int_oop(4)), 0);
        for (unsigned k = 0; k < 3; k++)
            assert_true(element(b, k) == cases[i].scalar[k]);
        assert_int_equal(call2(cases[i].with_array, &r, a, floats(2, some)),
                         PRIM_ERR_BAD_ARGUMENT);
    }
}

static void dividing_by_zero_is_the_images_affair(void **state)
{
    const float zeros[3] = { 1, -0.0f, 1 };
    oop a = floats(3, some), r;

    assert_int_equal(call2(prim_floats_divide, &r, a, floats(3, zeros)),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(call2(prim_floats_divide_scalar, &r, a, real(-0.0)),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(call2(prim_floats_divide_scalar, &r, a, int_oop(0)),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_memory_equal(bytes(a), some, sizeof some);
}

static void equality_is_that_of_floats(void **state)
{
    const float zero[2] = { 0.0f, 1 }, minus[2] = { -0.0f, 1 };
    const float nan[2] = { NAN, 1 };
    oop r;

    assert_int_equal(call2(prim_floats_equal, &r, floats(2, zero),
                           floats(2, minus)), 0);
    assert_int_equal(r, h->true_);
    assert_int_equal(call2(prim_floats_equal, &r, floats(2, nan),
                           floats(2, nan)), 0);
    assert_int_equal(r, h->false_);
    assert_int_equal(call2(prim_floats_equal, &r, floats(2, zero),
                           floats(1, zero)), 0);
    assert_int_equal(r, h->false_);
    assert_int_equal(call2(prim_floats_equal, &r, floats(2, zero), h->nil),
                     PRIM_ERR_BAD_ARGUMENT);
}

static void the_hash_is_the_sum_of_the_words(void **state)
{
    uint32_t words[3] = { 0xffffffff, 0x12345678, 0x80000001 };
    float f[3];
    oop r;

    memcpy(f, words, sizeof f);
    assert_int_equal(call1(prim_floats_hash, &r, floats(3, f)), 0);
    assert_int_equal(r, int_oop((0xffffffffull + 0x12345678 + 0x80000001) &
                                0x1fffffff));
    assert_int_equal(call1(prim_floats_hash, &r, floats(0, f)), 0);
    assert_int_equal(r, int_oop(0));
}

static void vectors_are_measured(void **state)
{
    const float v[2] = { 3, 4 }, none[2] = { 0, 0 };
    oop a = floats(2, v), r;

    assert_int_equal(call2(prim_floats_dot, &r, a, floats(2, v)), 0);
    assert_true(value(r) == 25);
    assert_int_equal(call1(prim_floats_sum, &r, a), 0);
    assert_true(value(r) == 7);
    assert_int_equal(call1(prim_floats_length, &r, a), 0);
    assert_true(value(r) == 5);
    assert_int_equal(call1(prim_floats_normalize, &r, a), 0);
    assert_true(element(a, 0) == 0.6f && element(a, 1) == 0.8f);
    assert_int_equal(call1(prim_floats_length, &r, floats(2, none)),
                     PRIM_ERR_BAD_RECEIVER);
    assert_int_equal(call1(prim_floats_normalize, &r, floats(2, none)),
                     PRIM_ERR_BAD_RECEIVER);
}

/* --- scanning: each character is as wide as its code modulo 8 --- */

struct scanner {
    oop self, stops;
};

static oop array(uint64_t n)
{
    oop a = heap_new(h, CLS_ARRAY, FMT_ARRAY, n);

    for (uint64_t i = 0; i < n; i++)
        heap_store(h, a, i, h->nil);
    return a;
}

static struct scanner scanner(int64_t x)
{
    struct scanner s = { array(5), array(258) };
    oop x_table = array(257), map = array(256);

    for (unsigned i = 0, at = 0; i < 257; at += i++ & 7)
        heap_store(h, x_table, i, int_oop(at));
    for (unsigned i = 0; i < 256; i++)
        heap_store(h, map, i, int_oop(i));
    heap_store(h, s.self, 0, int_oop(x));
    heap_store(h, s.self, 2, x_table);
    heap_store(h, s.self, 3, map);
    heap_store(h, s.stops, ' ', int_oop(' '));
    heap_store(h, s.stops, 256, int_oop(1256));
    heap_store(h, s.stops, 257, int_oop(1257));
    return s;
}

/* What scanning `text` answers; x and last index are the scanner's then. */
static oop scan(const struct scanner *s, const char *text, int64_t start,
                int64_t stop, int64_t right, int64_t kern)
{
    const oop o[] = { s->self, int_oop(start), int_oop(stop),
                      heap_new_string(h, text), int_oop(right), s->stops,
                      int_oop(kern) };
    oop r;

    assert_int_equal(call(prim_scan_characters, &r, 6, o), 0);
    return r;
}

static void scanning_stops_where_it_must(void **state)
{
    struct scanner s = scanner(100);

    /* a b c: 1 2 3 pixels */
    assert_int_equal(scan(&s, "abc", 1, 3, 200, 0), int_oop(1256));
    assert_int_equal(slot(s.self, 0), int_oop(106));
    assert_int_equal(slot(s.self, 1), int_oop(3));
    assert_int_equal(scan(&s, "ab c", 1, 4, 200, 1), int_oop(' '));
    assert_int_equal(slot(s.self, 0), int_oop(111));
    assert_int_equal(slot(s.self, 1), int_oop(3));
    assert_int_equal(scan(&s, "abc", 2, 3, 115, 0), int_oop(1257));
    assert_int_equal(slot(s.self, 0), int_oop(113));
    assert_int_equal(slot(s.self, 1), int_oop(3));
    assert_int_equal(scan(&s, "abc", 3, 2, 115, 0), int_oop(1256));
    assert_int_equal(slot(s.self, 1), int_oop(2));
}

static void scanning_fails_on_what_it_cannot_measure(void **state)
{
    struct scanner s = scanner(0);
    oop text = heap_new_string(h, "abc"), r;
    oop o[] = { s.self, int_oop(1), int_oop(4), text, int_oop(50), s.stops,
                int_oop(0) };

    assert_int_equal(call(prim_scan_characters, &r, 6, o),
                     PRIM_ERR_BAD_INDEX);
    o[2] = int_oop(3);
    o[5] = array(257);
    assert_int_equal(call(prim_scan_characters, &r, 6, o),
                     PRIM_ERR_BAD_ARGUMENT);
    o[5] = s.stops;
    heap_store(h, slot(s.self, 3), 'b', int_oop(256));
    assert_int_equal(call(prim_scan_characters, &r, 6, o),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(slot(s.self, 0), int_oop(0));
    heap_store(h, s.self, 0, h->nil);
    assert_int_equal(call(prim_scan_characters, &r, 6, o),
                     PRIM_ERR_BAD_RECEIVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_read_and_written),
        cmocka_unit_test(what_is_outside_fails),
        cmocka_unit_test(arrays_and_numbers_are_added_in_place),
        cmocka_unit_test(dividing_by_zero_is_the_images_affair),
        cmocka_unit_test(equality_is_that_of_floats),
        cmocka_unit_test(the_hash_is_the_sum_of_the_words),
        cmocka_unit_test(vectors_are_measured),
        cmocka_unit_test(scanning_stops_where_it_must),
        cmocka_unit_test(scanning_fails_on_what_it_cannot_measure),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
