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
static uint8_t whole[3 * EDID_BYTES]; /* `block` and two extensions */
static uint8_t *const first = whole + EDID_BYTES;
static uint8_t *const second = whole + 2 * EDID_BYTES;

static void mend_block(uint8_t *b)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i + 1 < EDID_BYTES; i++)
        sum = (uint8_t)(sum + b[i]);
    b[EDID_BYTES - 1] = (uint8_t)-sum;
}

static void mend(void) { mend_block(block); }

static void put_timing(uint8_t *d, unsigned w, unsigned h, unsigned w_mm,
                       unsigned h_mm)
{
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

static void set_timing(unsigned i, unsigned w, unsigned h, unsigned w_mm,
                       unsigned h_mm)
{
    put_timing(block + 54 + 18 * i, w, h, w_mm, h_mm);
}

/* A CTA extension with that timing at its beginning. */
static void put_cta(uint8_t *b, unsigned w, unsigned h, unsigned w_mm,
                    unsigned h_mm)
{
    b[0] = 0x02;
    b[2] = 4;
    put_timing(b + 4, w, h, w_mm, h_mm);
}

static void put_long_timing(uint8_t *t, unsigned w, unsigned h, uint8_t how)
{
    memset(t, 0, 20);
    t[3] = how;
    t[4] = (uint8_t)(w - 1);
    t[5] = (uint8_t)((w - 1) >> 8);
    t[12] = (uint8_t)(h - 1);
    t[13] = (uint8_t)((h - 1) >> 8);
}

/* A DisplayID with one data block of so many timings. */
static void put_display_id(uint8_t *b, uint8_t tag, unsigned timings)
{
    b[0] = 0x70;
    b[1] = 0x13;
    b[2] = (uint8_t)(3 + 20 * timings);
    b[5] = tag;
    b[7] = (uint8_t)(20 * timings);
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
    memset(whole, 0, sizeof whole);
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

/* With extensions; the block has no timing of its own. */
static struct edid parsed_whole(unsigned announced)
{
    struct edid e;

    set_text(0, 0xff, "SERIAL");
    block[126] = (uint8_t)announced;
    mend();
    memcpy(whole, block, sizeof block);
    mend_block(first);
    mend_block(second);
    assert_true(edid_parse(&e, whole, sizeof whole));
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

static void a_cta_timing_helps_out(void **state)
{
    struct edid e;

    first[0] = 0x02;
    first[2] = 10;
    put_timing(first + 10, 3440, 1440, 800, 335);
    put_timing(first + 28, 1920, 1080, 800, 335);
    e = parsed_whole(1);
    assert_int_equal(e.width, 3440);
    assert_int_equal(e.height, 1440);
    assert_int_equal(e.width_mm, 800);
    assert_string_equal(e.name, "Panel 27");
    assert_int_equal(parsed_whole(0).width, 0); /* not announced */
    first[2] = 0; /* no timings; what is there is something else */
    assert_int_equal(parsed_whole(1).width, 0);
    first[2] = 110; /* one would reach past the end */
    first[110] = 1;
    assert_int_equal(parsed_whole(1).width, 0);
}

static void the_first_block_comes_first(void **state)
{
    struct edid e;

    put_cta(first, 1920, 1080, 597, 336);
    mend_block(first);
    block[126] = 1;
    mend();
    memcpy(whole, block, sizeof block);
    assert_true(edid_parse(&e, whole, sizeof whole));
    assert_int_equal(e.width, 2560);
}

static void a_display_id_prefers(void **state)
{
    struct edid e;

    first[0] = 0x02; /* empty, before it */
    first[2] = 4;
    put_display_id(second, 0x03, 2);
    put_long_timing(second + 8, 1920, 1080, 0);
    put_long_timing(second + 28, 7680, 4320, 0x80);
    e = parsed_whole(2);
    assert_int_equal(e.width, 7680);
    assert_int_equal(e.height, 4320);
    second[31] = 0; /* none is preferred: the first */
    assert_int_equal(parsed_whole(2).width, 1920);
    second[5] = 0x22; /* type VII */
    second[11] = 0x10; /* interlaced */
    assert_int_equal(parsed_whole(2).height, 2160);
    second[5] = 0x04; /* of another kind */
    assert_int_equal(parsed_whole(2).width, 0);
}

static void a_display_id_stays_in_its_place(void **state)
{
    put_display_id(first, 0x03, 2);
    put_long_timing(first + 8, 5120, 2160, 0x80);
    first[2] = 22; /* less than the timings take */
    assert_int_equal(parsed_whole(1).width, 0);
    first[2] = 255;
    first[7] = 255;
    assert_int_equal(parsed_whole(1).width, 0);
    first[7] = 40;
    assert_int_equal(parsed_whole(1).width, 5120);
}

static void a_damaged_extension_is_passed_over(void **state)
{
    struct edid e;

    put_cta(first, 1920, 1080, 597, 336);
    put_cta(second, 1280, 1024, 376, 301);
    assert_int_equal(parsed_whole(2).width, 1920);
    first[20] ^= 1;
    assert_true(edid_parse(&e, whole, sizeof whole));
    assert_int_equal(e.width, 1280);
    assert_true(edid_parse(&e, whole, 2 * EDID_BYTES));
    assert_int_equal(e.width, 0);
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
        cmocka_unit_test_setup(a_cta_timing_helps_out, fresh),
        cmocka_unit_test_setup(the_first_block_comes_first, fresh),
        cmocka_unit_test_setup(a_display_id_prefers, fresh),
        cmocka_unit_test_setup(a_display_id_stays_in_its_place, fresh),
        cmocka_unit_test_setup(a_damaged_extension_is_passed_over, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
