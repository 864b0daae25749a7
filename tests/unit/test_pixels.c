/*
 * test_pixels.c - pixel by pixel, and not one byte beyond the last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/pixels.h"

static const uint32_t colours[] = {
    0x000000, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0x808080,
    0x7f7f7f, 0x010203, 0xfefdfc,
};
enum { COLOURS = sizeof colours / sizeof *colours };

/* What the packed bytes mean, by the definition of the fields. */
static uint32_t read_back(const struct pixel_format *f, const uint8_t *from)
{
    const struct pixel_field fields[] = { f->red, f->green, f->blue };
    uint64_t v = 0;
    uint32_t colour = 0;

    for (unsigned i = pixels_bytes(f); i-- > 0;)
        v = v << 8 | from[i];
    for (unsigned i = 0; i < 3; i++) {
        uint64_t max = (1ull << fields[i].bits) - 1;
        uint64_t c = v >> fields[i].at & max;

        colour = colour << 8 | (uint32_t)((c * 255 + max / 2) / max);
    }
    return colour;
}

static unsigned apart(uint32_t a, uint32_t b)
{
    unsigned most = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        int d = (int)(a >> shift & 255) - (int)(b >> shift & 255);

        d = d < 0 ? -d : d;
        most = (unsigned)d > most ? (unsigned)d : most;
    }
    return most;
}

/* Every colour comes back within `error`; every count stays in its bytes. */
static void try_format(const struct pixel_format *f, unsigned error)
{
    unsigned bytes = pixels_bytes(f);

    assert_true(pixels_valid(f));
    for (int n = 0; n <= COLOURS; n++) {
        uint8_t *to = malloc((size_t)n * bytes + 1);

        to[(size_t)n * bytes] = 0xa5;
        pixels_pack(f, to, colours, n);
        assert_int_equal(to[(size_t)n * bytes], 0xa5);
        for (int i = 0; i < n; i++)
            assert_in_range(apart(read_back(f, to + (size_t)i * bytes),
                                  colours[i]), 0, error);
        free(to);
    }
}

static void the_usual_ones(void **state)
{
    static const struct { unsigned bits, error; } usual[] = {
        { 15, 8 }, { 16, 8 }, { 24, 0 }, { 32, 0 },
    };

    for (unsigned i = 0; i < 4; i++) {
        struct pixel_format f = pixels_usual(usual[i].bits);

        assert_int_equal(f.bits, usual[i].bits);
        try_format(&f, usual[i].error);
    }
    assert_int_equal(pixels_usual(8).bits, 0);
    assert_int_equal(pixels_usual(4).bits, 0);
}

static void other_orders(void **state)
{
    const struct pixel_format formats[] = {
        { 32, { 0, 8 }, { 8, 8 }, { 16, 8 } },   /* GOP's other one */
        { 32, { 24, 8 }, { 16, 8 }, { 8, 8 } },
        { 24, { 0, 8 }, { 8, 8 }, { 16, 8 } },
        { 32, { 20, 10 }, { 10, 10 }, { 0, 10 } }, /* deep colour */
        { 16, { 0, 5 }, { 5, 6 }, { 11, 5 } },
        { 16, { 8, 4 }, { 4, 4 }, { 0, 4 } },
    };
    static const unsigned errors[] = { 0, 0, 0, 0, 8, 16 };

    for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++)
        try_format(&formats[i], errors[i]);
}

static void exact_words(void **state)
{
    struct pixel_format f = pixels_usual(16);
    uint16_t words[3];
    uint8_t bytes[6];

    pixels_pack(&f, words, (uint32_t[]){ 0xff0000, 0x00ff00, 0x0000ff }, 3);
    assert_int_equal(words[0], 0xf800);
    assert_int_equal(words[1], 0x07e0);
    assert_int_equal(words[2], 0x001f);
    f = pixels_usual(24);
    pixels_pack(&f, bytes, (uint32_t[]){ 0x112233, 0x445566 }, 2);
    assert_memory_equal(bytes, "\x33\x22\x11\x66\x55\x44", 6);
}

/* The eight bits above the colours are nobody's. */
static void what_is_above_the_colours_is_left_out(void **state)
{
    struct pixel_format f = { 32, { 0, 8 }, { 8, 8 }, { 16, 8 } };
    uint32_t pixel = 0xff123456, to;

    pixels_pack(&f, &to, &pixel, 1);
    assert_int_equal(to, 0x563412);
}

static void fields_that_cannot_be(void **state)
{
    const struct pixel_format formats[] = {
        { 32, { 16, 8 }, { 8, 8 }, { 0, 0 } },
        { 32, { 25, 8 }, { 8, 8 }, { 0, 8 } },
        { 24, { 17, 8 }, { 8, 8 }, { 0, 8 } },
        { 32, { 255, 255 }, { 8, 8 }, { 0, 8 } },
        { 32, { 0, 17 }, { 8, 8 }, { 0, 8 } },
        { 8, { 5, 3 }, { 2, 3 }, { 0, 2 } },
        { 64, { 16, 8 }, { 8, 8 }, { 0, 8 } },
        { 0, { 0, 0 }, { 0, 0 }, { 0, 0 } },
    };

    for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++)
        assert_false(pixels_valid(&formats[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_ones),
        cmocka_unit_test(other_orders),
        cmocka_unit_test(exact_words),
        cmocka_unit_test(what_is_above_the_colours_is_left_out),
        cmocka_unit_test(fields_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
