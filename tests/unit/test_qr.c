/*
 * test_qr.c - QR codes of every length, read by zbarimg (Debian package
 * zbar-tools); without it that part is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/qr.h"

static struct qr qr;

static void the_smallest_version_that_does(void **state)
{
    /* table 7, level L, byte mode */
    static const unsigned room[] = { 0, 17, 32, 53, 78, 106, 134, 154, 192,
        230, 271, 321, 367, 425, 458, 520, 586, 644, 718, 792, 858, 929,
        1003, 1091, 1171, 1273 };
    static char text[QR_BYTES + 1];

    for (unsigned v = 1; v <= QR_VERSION; v++) {
        assert_int_equal(qr_encode(&qr, text, room[v]), 0);
        assert_int_equal(qr.side, 17 + 4 * v);
        assert_int_equal(qr_encode(&qr, text, room[v - 1] + 1), 0);
        assert_int_equal(qr.side, 17 + 4 * v);
    }
    assert_int_equal(qr_encode(&qr, text, QR_BYTES + 1), -1);
    assert_int_equal(qr_encode(&qr, text, 0), 0);
}

static void write_picture(const char *name)
{
    enum { SCALE = 4, QUIET = 4 };
    unsigned side = (qr.side + 2 * QUIET) * SCALE;
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    fprintf(f, "P5 %u %u 255\n", side, side);
    for (unsigned y = 0; y < side; y++)
        for (unsigned x = 0; x < side; x++) {
            unsigned mx = x / SCALE - QUIET, my = y / SCALE - QUIET;
            int dark = mx < qr.side && my < qr.side && qr.dark[my][mx] & 1;

            fputc(dark ? 0 : 255, f);
        }
    fclose(f);
}

static void check_reading(const char *text, size_t n)
{
    char name[64], command[160], got[QR_BYTES + 16];
    FILE *f;
    size_t read;

    snprintf(name, sizeof name, "/tmp/test_qr.%d.pgm", getpid());
    snprintf(command, sizeof command,
             "zbarimg -q --raw -Sdisable -Sqrcode.enable %s 2>/dev/null",
             name);
    assert_int_equal(qr_encode(&qr, text, n), 0);
    write_picture(name);
    f = popen(command, "r");
    assert_non_null(f);
    read = fread(got, 1, sizeof got, f);
    pclose(f);
    unlink(name);
    if (read != n + 1 || memcmp(got, text, n) != 0)
        print_error("%u bytes, version %u\n", (unsigned)n,
                    (qr.side - 17) / 4);
    assert_int_equal(read, n + 1);
    assert_memory_equal(got, text, n);
}

static void a_reader_reads_every_version(void **state)
{
    static char text[QR_BYTES];

    if (system("command -v zbarimg >/dev/null")) {
        print_message("zbarimg (zbar-tools) is missing: not tested\n");
        skip();
    }
    for (unsigned i = 0; i < QR_BYTES; i++)
        text[i] = (char)(' ' + (i * 37 + i / 7) % 95);
    for (size_t n = 1; n <= QR_BYTES; n += 1 + n / 12)
        check_reading(text, n);
    check_reading(text, QR_BYTES);
    check_reading("page fault reading 0000000000000000\nplat_poll+12\n", 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_version_that_does),
        cmocka_unit_test(a_reader_reads_every_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
