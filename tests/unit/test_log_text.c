/*
 * test_log_text.c - the log's memory: what survives is known from what does
 * not. A panic's text for the QR code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/log_text.h"
#include "kernel/panic_digest.h"

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

static const char panic_text[] =
    "\nAerostat has stopped: page fault\n"
    "What was saved is safe. A key\nThe code on the right\n\n"
    "rax 0000000000000001  rbx 0000000000000002  rcx 0000000000000003\n"
    "rip ffffffff801247b4  flg 0000000000000246  cr2 0000000000000000  "
    "err 0000000000000010\n"
    "C stack:\n"
    "  ffffffff801247b4 plat_idle+100\n"
    "  ffffffff80000000 ?\n"
    "Object>>foo\n";

static void a_panic_is_shortened(void **state)
{
    static const char wanted[] =
        "Aerostat has stopped: page fault\n"
        "rip ffffffff801247b4\ncr2 0\nerr 10\n"
        "C stack:\nplat_idle+100\nffffffff80000000 ?\nObject>>foo\n";
    char out[300];
    size_t n = panic_digest(panic_text, strlen(panic_text), out, sizeof out);

    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(out, wanted, n);
    n = panic_digest(panic_text, strlen(panic_text), out, 40);
    assert_int_equal(n, 33);
    assert_memory_equal(out, wanted, n);
}

/* Cut anywhere, into any room (ASan looks). */
static void a_panic_cut_short_is_survived(void **state)
{
    for (size_t n = 0; n < sizeof panic_text; n++) {
        char *copy = malloc(n ? n : 1), *out = malloc(60);

        memcpy(copy, panic_text, n);
        assert_true(panic_digest(copy, n, out, 60) <= 60);
        assert_int_equal(panic_digest(copy, n, out, 0), 0);
        free(copy);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_after_every_word),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(a_full_one_forgets_whole_lines),
        cmocka_unit_test(a_line_without_end_is_halved),
        cmocka_unit_test(a_panic_is_shortened),
        cmocka_unit_test(a_panic_cut_short_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
