/*
 * test_edid.c - monitors: a real-looking one, odd ones, and damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/edid.h"

static uint8_t block[EDID_BYTES];

static void mend(void)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i + 1 < sizeof block; i++)
        sum = (uint8_t)(sum + block[i]);
    block[sizeof block - 1] = (uint8_t)-sum;
}

static void set_timing(unsigned i, unsigned w, unsigned h, unsigned w_mm,
                       unsigned h_mm)
{
    uint8_t *d = block + 54 + 18 * i;

    memset(d, 0, 18);
    d[0] = 1; /* a pixel clock: not a descriptor */
    d[2] = (uint8_t)w;
    d[4] = (uint8_t)(w >> 4 & 0xf0);
    d[5] = (uint8_t)h;
    d[7] = (uint8_t)(h >> 4 & 0xf0);
    d[12] = (uint8_t)w_mm;
    d[13] = (uint8_t)h_mm;
    d[14] = (uint8_t)((w_mm >> 4 & 0xf0) | h_mm >> 8);
}

static void set_text(unsigned i, uint8_t kind, const char *text)
{
    uint8_t *d = block + 54 + 18 * i;

    memset(d, 0, 18);
    d[3] = kind;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, strlen(text));
}

static int fresh(void **state)
{
    memset(block, 0, sizeof block);
    memset(block + 1, 255, 6);
    block[18] = 1;
    block[19] = 4;
    block[21] = 60;
    block[22] = 34;
    set_timing(0, 2560, 1440, 597, 336);
    set_text(1, 0xfc, "Panel 27\n");
    return 0;
}

static struct edid parsed(void)
{
    struct edid e;

    mend();
    assert_true(edid_parse(&e, block, sizeof block));
    return e;
}

static void a_monitor(void **state)
{
    struct edid e = parsed();

    assert_int_equal(e.width, 2560);
    assert_int_equal(e.height, 1440);
    assert_int_equal(e.width_mm, 597);
    assert_int_equal(e.height_mm, 336);
    assert_string_equal(e.name, "Panel 27");
}

static void the_first_timing_counts(void **state)
{
    struct edid e;

    set_timing(2, 800, 600, 597, 336);
    e = parsed();
    assert_int_equal(e.width, 2560);
}

static void a_timing_may_come_last(void **state)
{
    struct edid e;

    set_text(0, 0xff, "SERIAL");
    set_timing(3, 1920, 1080, 0, 0);
    e = parsed();
    assert_int_equal(e.width, 1920);
    assert_int_equal(e.width_mm, 600); /* the header's centimetres */
    assert_int_equal(e.height_mm, 340);
}

static void half_pictures_are_counted_whole(void **state)
{
    set_timing(0, 1920, 540, 597, 336);
    block[54 + 17] = 0x80;
    assert_int_equal(parsed().height, 1080);
}

static void a_shape_is_not_a_size(void **state)
{
    set_timing(0, 1920, 1080, 16, 9);
    block[21] = block[22] = 0; /* a projector */
    assert_int_equal(parsed().width_mm, 0);
    set_timing(0, 1920, 1080, 160, 90);
    assert_int_equal(parsed().width_mm, 160); /* a small one may be */
    set_timing(0, 1920, 1080, 300, 600);
    assert_int_equal(parsed().width_mm, 0); /* a tall one not */
    assert_int_equal(parsed().height_mm, 0);
}

static void no_timing_no_size(void **state)
{
    struct edid e;

    set_text(0, 0x10, "");
    e = parsed();
    assert_int_equal(e.width, 0);
    assert_int_equal(e.width_mm, 0);
}

static void tiny_timings_are_none(void **state)
{
    set_timing(0, 0, 0, 597, 336);
    assert_int_equal(parsed().width, 0);
    set_timing(0, 319, 4000, 597, 336);
    assert_int_equal(parsed().width, 0);
}

static void a_name_stays_in_its_place(void **state)
{
    struct edid e;

    memset(block + 54 + 18 + 5, 'x', 13); /* not ended */
    e = parsed();
    assert_string_equal(e.name, "xxxxxxxxxxxxx");
    block[54 + 18 + 7] = 0x1b;
    assert_string_equal(parsed().name, "xx");
}

static void damage_is_refused(void **state)
{
    struct edid e;

    mend();
    for (unsigned i = 0; i < sizeof block; i++) {
        block[i] ^= 0x10;
        assert_false(edid_parse(&e, block, sizeof block));
        assert_int_equal(e.width, 0);
        block[i] ^= 0x10;
    }
    assert_false(edid_parse(&e, block, sizeof block - 1));
    assert_false(edid_parse(&e, block, 0));
    memset(block, 0, sizeof block); /* its sum is right */
    assert_false(edid_parse(&e, block, sizeof block));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_monitor, fresh),
        cmocka_unit_test_setup(the_first_timing_counts, fresh),
        cmocka_unit_test_setup(a_timing_may_come_last, fresh),
        cmocka_unit_test_setup(half_pictures_are_counted_whole, fresh),
        cmocka_unit_test_setup(a_shape_is_not_a_size, fresh),
        cmocka_unit_test_setup(no_timing_no_size, fresh),
        cmocka_unit_test_setup(tiny_timings_are_none, fresh),
        cmocka_unit_test_setup(a_name_stays_in_its_place, fresh),
        cmocka_unit_test_setup(damage_is_refused, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
