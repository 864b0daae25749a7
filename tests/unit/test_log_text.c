/*
 * test_log_text.c - the log's memory: what survives is known from what does
 * not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "kernel/log_text.h"

static struct log_text text;

static void say(const char *s) { log_text_add(&text, s, strlen(s)); }

static void valid_after_every_word(void **state)
{
    memset(&text, 0xa5, sizeof text);
    assert_false(log_text_valid(&text));
    log_text_clear(&text);
    assert_true(log_text_valid(&text));
    say("memory: 256 MiB\n");
    assert_true(log_text_valid(&text));
    assert_int_equal(text.used, 16);
    assert_memory_equal(text.bytes, "memory: 256 MiB\n", 16);
}

static void every_bit_counts(void **state)
{
    log_text_clear(&text);
    say("a line\n");
    for (unsigned byte = 0; byte < offsetof(struct log_text, bytes) + 7;
         byte++) {
        uint8_t *p = (uint8_t *)&text + byte;

        if (byte >= offsetof(struct log_text, unused) &&
            byte < offsetof(struct log_text, bytes))
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            *p ^= (uint8_t)(1 << bit);
            assert_false(log_text_valid(&text));
            *p ^= (uint8_t)(1 << bit);
        }
    }
    assert_true(log_text_valid(&text));
}

static void a_full_one_forgets_whole_lines(void **state)
{
    log_text_clear(&text);
    for (int i = 0; i < 5000; i++)
        say("twelve bytes\n");
    say("the end\n");
    assert_true(log_text_valid(&text));
    assert_true(text.used > LOG_TEXT_BYTES / 3);
    assert_memory_equal(text.bytes, "twelve bytes\n", 13);
    assert_memory_equal(text.bytes + text.used - 8, "the end\n", 8);
}

static void a_line_without_end_is_halved(void **state)
{
    log_text_clear(&text);
    for (int i = 0; i < LOG_TEXT_BYTES + 1; i++)
        say("x");
    assert_true(log_text_valid(&text));
    assert_int_equal(text.used, LOG_TEXT_BYTES / 2 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_after_every_word),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(a_full_one_forgets_whole_lines),
        cmocka_unit_test(a_line_without_end_is_halved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
