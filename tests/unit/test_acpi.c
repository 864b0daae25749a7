/*
 * test_acpi.c - finding the soft-off values in AML, whole and damaged; the
 * calendar of the battery clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/acpi.h"
#include "kernel/rtc.h"

static uint8_t a, b;

static void plain_package(void **state)
{
    /* Name (_S5_, Package (4) { 5, 7, 0, 0 }) */
    static const uint8_t aml[] = {
        0x10, 0x20, 0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04,
        0x0a, 0x05, 0x0a, 0x07, 0x00, 0x00, 0x99,
    };

    assert_true(acpi_find_s5(aml, sizeof aml, &a, &b));
    assert_int_equal(a, 5);
    assert_int_equal(b, 7);
}

static void rooted_name_words_and_long_length(void **state)
{
    static const uint8_t aml[] = {
        0x08, '\\', '_', 'S', '5', '_', 0x12, 0x4b, 0x00, 0x02,
        0x0b, 0x06, 0x00, 0x01, 0x00,
    };

    assert_true(acpi_find_s5(aml, sizeof aml, &a, &b));
    assert_int_equal(a, 6);
    assert_int_equal(b, 1);
}

static void one_element_serves_both(void **state)
{
    static const uint8_t aml[] = {
        0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 0x03,
    };

    assert_true(acpi_find_s5(aml, sizeof aml, &a, &b));
    assert_int_equal(a, 3);
    assert_int_equal(b, 3);
}

/* A mention that is no definition, then the definition. */
static void mentions_are_passed_over(void **state)
{
    static const uint8_t aml[] = {
        0x5c, '_', 'S', '5', '_', 0x70, 0x08, '_', 'S', '5', '_', 0x60,
        0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x01, 0x00, 0x00,
    };

    assert_true(acpi_find_s5(aml, sizeof aml, &a, &b));
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
}

/* Every prefix, in a block of exactly its size: the sanitizer watches. */
static void cut_anywhere(void **state)
{
    static const uint8_t aml[] = {
        0x08, '_', 'S', '5', '_', 0x12, 0xc8, 0x00, 0x00, 0x00, 0x04,
        0x0c, 0x05, 0x00, 0x00, 0x00, 0x0b, 0x07, 0x00,
    };

    for (size_t n = 0; n <= sizeof aml; n++) {
        uint8_t *copy = malloc(n + !n);

        memcpy(copy, aml, n);
        assert_int_equal(acpi_find_s5(copy, n, &a, &b), n == sizeof aml);
        free(copy);
    }
}

static void days_since_1970(void **state)
{
    assert_int_equal(rtc_days(1970, 1, 1), 0);
    assert_int_equal(rtc_days(1969, 12, 31), -1);
    assert_int_equal(rtc_days(2000, 2, 29), 11016);
    assert_int_equal(rtc_days(2000, 3, 1), 11017);
    assert_int_equal(rtc_days(2026, 11, 22), 20779);
    assert_int_equal(rtc_days(2100, 3, 1) - rtc_days(2100, 2, 28), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_package),
        cmocka_unit_test(rooted_name_words_and_long_length),
        cmocka_unit_test(one_element_serves_both),
        cmocka_unit_test(mentions_are_passed_over),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(days_since_1970),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
