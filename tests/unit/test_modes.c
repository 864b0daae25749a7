/*
 * test_modes.c - which size a screen gets, and how large things are on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/edid.h"
#include "drivers/modes.h"

static const struct mode none;
static const struct mode_limits big = { 16000, 12000, 64 << 20, 1 };

static struct mode m(uint32_t width, uint32_t height)
{
    return (struct mode){ width, height };
}

static void assert_mode(struct mode got, uint32_t width, uint32_t height)
{
    assert_int_equal(got.width, width);
    assert_int_equal(got.height, height);
}

static void words(void **state)
{
    static const char *const bad[] = {
        "", "x", "1280", "1280x", "x800", "1280x800y", "1280*800", "0x0",
        "1280x199", "99999999999x800", "4294968576x800", "-1x800",
        "1280x-800", " 1280x800", "16385x800",
    };
    struct mode got;

    assert_true(mode_parse("1280x800", &got));
    assert_mode(got, 1280, 800);
    assert_true(mode_parse("1920x1080x32", &got));
    assert_mode(got, 1920, 1080);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(mode_parse(bad[i], &got));
}

static void the_named_one_comes_first(void **state)
{
    assert_mode(modes_choose(&big, m(1024, 768), m(1920, 1080)), 1024, 768);
}

static void else_the_monitors_own(void **state)
{
    assert_mode(modes_choose(&big, none, m(1920, 1080)), 1920, 1080);
    assert_mode(modes_choose(&big, m(20000, 768), m(1920, 1080)), 1920, 1080);
}

static void else_a_usual_one(void **state)
{
    struct mode_limits l = { 16000, 12000, 4 << 20, 8 };

    assert_mode(modes_choose(&l, none, none), 1280, 800);
    assert_mode(modes_choose(&l, none, m(3840, 2160)), 1280, 800);
    assert_mode(modes_choose(&l, m(1366, 768), none), 1280, 800); /* step */
    l.pixels = 1000 * 1000;
    assert_mode(modes_choose(&l, none, none), 1024, 768);
    l.pixels = 1000;
    assert_mode(modes_choose(&l, none, none), 0, 0);
}

static void wild_limits_do_not_overflow(void **state)
{
    struct mode_limits l = { UINT32_MAX, UINT32_MAX, UINT64_MAX, 0 };

    assert_true(mode_fits(&l, m(UINT32_MAX, UINT32_MAX)));
    l.pixels = 5; /* 2^32 - 1 squared is more, in 64 bits */
    assert_false(mode_fits(&l, m(UINT32_MAX, UINT32_MAX)));
    assert_false(mode_fits(&l, m(0, 0)));
}

static void offers_in_order_and_once(void **state)
{
    struct mode list[MODES_MAX];
    unsigned n = modes_offer(&big, m(1920, 1080), m(1000, 700), list);
    unsigned own = 0, now = 0;

    assert_in_range(n, 10, MODES_MAX);
    for (unsigned i = 0; i < n; i++) {
        own += mode_same(list[i], m(1920, 1080));
        now += mode_same(list[i], m(1000, 700));
        if (i)
            assert_true((uint64_t)list[i - 1].width * list[i - 1].height <=
                        (uint64_t)list[i].width * list[i].height);
    }
    assert_int_equal(own, 1);
    assert_int_equal(now, 1);
}

static void offers_only_what_fits(void **state)
{
    struct mode_limits l = { 1280, 1000, 1280 * 800, 8 };
    struct mode list[MODES_MAX];
    unsigned n = modes_offer(&l, m(3840, 2160), m(1366, 768), list);

    assert_mode(list[n - 1], 1280, 800);
    for (unsigned i = 0; i < n; i++)
        assert_true(mode_fits(&l, list[i]));
}

static uint32_t scale(uint32_t w, uint32_t h, uint32_t w_mm, uint32_t h_mm)
{
    struct edid e = { w, h, w_mm, h_mm, "" };

    return modes_scale(&e, m(w, h));
}

static void scales_suit_the_panel(void **state)
{
    assert_int_equal(scale(1920, 1080, 531, 299), 100); /* 24 inches */
    assert_int_equal(scale(1920, 1080, 344, 194), 125); /* 15.6 */
    assert_int_equal(scale(1920, 1080, 294, 165), 150); /* 13.3 */
    assert_int_equal(scale(3840, 2160, 597, 336), 150); /* 27 */
    assert_int_equal(scale(3840, 2160, 344, 194), 250); /* 15.6 */
    assert_int_equal(scale(5120, 2880, 597, 336), 200);
    assert_int_equal(scale(3840, 2160, 1210, 680), 100); /* a television */
    assert_int_equal(scale(3840, 2160, 100, 56), 300);
    assert_int_equal(scale(640, 480, 531, 299), 100);
    assert_int_equal(scale(UINT32_MAX, 2160, 1, 1), 300);
}

static void unknown_panels_are_judged_by_their_pixels(void **state)
{
    struct edid e = { 1920, 1080, 294, 165, "" };

    assert_int_equal(modes_scale(NULL, m(1024, 768)), 100);
    assert_int_equal(modes_scale(NULL, m(2560, 1440)), 150);
    assert_int_equal(modes_scale(NULL, m(3840, 2160)), 200);
    assert_int_equal(modes_scale(NULL, m(5120, 2880)), 300);
    assert_int_equal(scale(3840, 2160, 0, 0), 200);
    assert_int_equal(modes_scale(&e, m(800, 600)), 100); /* not its own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(the_named_one_comes_first),
        cmocka_unit_test(else_the_monitors_own),
        cmocka_unit_test(else_a_usual_one),
        cmocka_unit_test(wild_limits_do_not_overflow),
        cmocka_unit_test(offers_in_order_and_once),
        cmocka_unit_test(offers_only_what_fits),
        cmocka_unit_test(scales_suit_the_panel),
        cmocka_unit_test(unknown_panels_are_judged_by_their_pixels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
