/*
 * test_cmdline.c - the kernel's command line: words, quotes, sizes, and what
 * belongs to the image.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/cmdline.h"

static struct cmdline c;

static void words_and_values(void **state)
{
    cmdline_parse(&c, "  exit=isa fresh  video=1x2 video=3x4 ");
    assert_int_equal(c.count, 4);
    assert_string_equal(cmdline_get(&c, "exit"), "isa");
    assert_string_equal(cmdline_get(&c, "fresh"), "");
    assert_string_equal(cmdline_get(&c, "video"), "3x4");
    assert_null(cmdline_get(&c, "fres"));
    assert_null(cmdline_get(&c, "mem"));
    assert_int_equal(c.image_arg_count, 0);
}

static void image_takes_all_that_follows(void **state)
{
    cmdline_parse(&c, "a image.args=eval \"3 + 4\" exit=isa 'x'");
    assert_int_equal(c.count, 1);
    assert_int_equal(c.image_arg_count, 4);
    assert_string_equal(c.image_args[0], "eval");
    assert_string_equal(c.image_args[1], "3 + 4");
    assert_string_equal(c.image_args[2], "exit=isa");
    assert_string_equal(c.image_args[3], "'x'");
    assert_null(c.image_args[4]);
}

static void quotes_inside_words(void **state)
{
    cmdline_parse(&c, "image.args= \"\" a\" b \"c \"open to the end");
    assert_int_equal(c.image_arg_count, 3);
    assert_string_equal(c.image_args[0], "");
    assert_string_equal(c.image_args[1], "a b c");
    assert_string_equal(c.image_args[2], "open to the end");
}

static void too_much_is_cut(void **state)
{
    static char line[3 * CMDLINE_BYTES];

    memset(line, 'x', sizeof line - 1);
    cmdline_parse(&c, line);
    assert_int_equal(c.count, 1);
    for (size_t i = 1; i < sizeof line - 1; i += 2)
        line[i] = ' ';
    cmdline_parse(&c, line);
    assert_int_equal(c.count, CMDLINE_WORDS);
}

static void sizes(void **state)
{
    uint64_t v = 0;

    assert_true(cmdline_size("4096", &v));
    assert_int_equal(v, 4096);
    assert_true(cmdline_size("512k", &v));
    assert_int_equal(v, 512 << 10);
    assert_true(cmdline_size("64M", &v));
    assert_int_equal(v, 64 << 20);
    assert_true(cmdline_size("2g", &v));
    assert_int_equal(v, 2ull << 30);
    assert_false(cmdline_size(NULL, &v));
    assert_false(cmdline_size("", &v));
    assert_false(cmdline_size("M", &v));
    assert_false(cmdline_size("64MB", &v));
    assert_false(cmdline_size("99999999999999999999", &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_values),
        cmocka_unit_test(image_takes_all_that_follows),
        cmocka_unit_test(quotes_inside_words),
        cmocka_unit_test(too_much_is_cut),
        cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
