/*
 * test_display.c - a frame buffer in memory of our own, behind the display:
 * every pixel format, pitches wider than the picture, the pointer, modes
 * that change.
 */
#include "tests/unit/kernel_fake.h"

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/display.c"
#include "drivers/framebuffer.c"

static uint8_t *memory; /* exactly as large as was asked for */
static uint64_t memory_bytes;

volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags)
{
    assert_int_equal(flags, PAGE_COMBINE);
    free(memory);
    memory_bytes = bytes;
    memory = malloc(bytes);
    memset(memory, 0xa5, bytes);
    return memory;
}

static unsigned changes;
static void changed(void) { changes++; }

static void forget(struct display *d)
{
    free(d->shadow);
    free(d->line);
    free(d->cursor.pixels);
    memset(d, 0, sizeof *d);
}

static int fresh(void **state)
{
    forget(&fb.display);
    free(fb.packed);
    memset(&fb, 0, sizeof fb);
    primary = NULL;
    changes = 0;
    display_on_change(changed);
    return 0;
}

static struct framebuffer picture(uint32_t w, uint32_t h, uint32_t pitch,
                                  unsigned bits)
{
    return (struct framebuffer){ 0x1000, w, h, pitch, pixels_usual(bits) };
}

static void assert_bytes(unsigned x, unsigned y, uint32_t colour)
{
    unsigned n = pixels_bytes(&fb.shown.format);
    uint8_t want[4];

    pixels_pack(&fb.shown.format, want, &colour, 1);
    assert_memory_equal(memory + y * fb.shown.pitch + x * n, want, n);
}

static void every_format_and_pitch(void **state)
{
    static const unsigned all_bits[] = { 15, 16, 24, 32 };

    for (unsigned b = 0; b < 4; b++)
        for (unsigned gap = 0; gap < 9; gap += 4) {
            unsigned n = (all_bits[b] + 7) / 8;
            struct framebuffer f;

            fresh(state);
            f = picture(301, 203, 301 * n + gap, all_bits[b]);
            assert_int_equal(framebuffer_register("test", &f), 0);
            assert_int_equal(memory_bytes, f.pitch * 203);
            display_fill(display_primary(), 0, 0, 301, 203, 0x336699);
            display_fill(display_primary(), 300, 202, 9, 9, 0xffffff);
            display_fill(display_primary(), -5, -5, 6, 6, 0xff0000);
            display_flush(display_primary());
            assert_bytes(0, 0, 0xff0000);
            assert_bytes(1, 0, 0x336699);
            assert_bytes(0, 1, 0x336699);
            assert_bytes(299, 202, 0x336699);
            assert_bytes(300, 202, 0xffffff);
            for (unsigned i = 0; i < gap; i++) /* it is nobody's picture */
                assert_int_equal(memory[301 * n + i], 0xa5);
        }
}

static void what_cannot_be_is_refused(void **state)
{
    struct framebuffer f = picture(300, 200, 1199, 32);

    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(300, 200, 1200, 8);
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(0, 200, 1200, 32);
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(300, 0x80000000, 1200, 32);
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(0x40000001, 200, 4, 32); /* times 4 it is 4 */
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(300, 200, 0xffffffff, 32);
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    f = picture(300, 200, 1200, 32);
    f.address = 0;
    assert_int_equal(framebuffer_register("test", &f), -EINVAL);
    assert_null(display_primary());
    f = picture(300, 200, 1200, 32);
    assert_int_equal(framebuffer_register("test", &f), 0);
    assert_int_equal(framebuffer_register("test", &f), -EBUSY);
}

static void only_what_changed_goes_out(void **state)
{
    struct framebuffer f = picture(300, 200, 1200, 32);

    assert_int_equal(framebuffer_register("test", &f), 0);
    display_fill(display_primary(), 10, 10, 5, 5, 0x123456);
    display_flush(display_primary());
    assert_bytes(10, 10, 0x123456);
    assert_bytes(14, 14, 0x123456);
    assert_int_equal(memory[9 * 1200 + 40], 0xa5);
    assert_int_equal(memory[10 * 1200 + 60], 0xa5);
}

static void the_pointer_is_drawn_in_every_format(void **state)
{
    static const uint32_t shape[4] = { 0xffffffff, 0, 0xff0000ff,
                                       0x80800000 };
    struct framebuffer f = picture(300, 200, 900, 24);
    struct display *d;

    assert_int_equal(framebuffer_register("test", &f), 0);
    d = display_primary();
    display_fill(d, 0, 0, 300, 200, 0x00ff00);
    display_set_cursor(d, shape, 2, 2, 0, 0);
    display_move_cursor(d, 298, 198);
    display_flush(d);
    assert_bytes(298, 198, 0xffffff);
    assert_bytes(299, 198, 0x00ff00);
    assert_bytes(298, 199, 0x0000ff);
    assert_bytes(299, 199, 0x807f00);
    display_move_cursor(d, 299, 199); /* three quarters are outside */
    display_flush(d);
    assert_bytes(298, 198, 0x00ff00);
    assert_bytes(299, 199, 0xffffff);
}

/* --- modes --- */

static int mode_error;

static int set_it(struct display *d, struct mode m)
{
    struct framebuffer f = picture(m.width, m.height, m.width * 4, 32);

    return mode_error ? mode_error : framebuffer_change(&f);
}

static struct display *changeable(void)
{
    struct framebuffer f = picture(300, 200, 600, 16);
    struct display *d;

    mode_error = 0;
    assert_int_equal(framebuffer_register("test", &f), 0);
    d = framebuffer_within(0x1000, 1);
    d->set_mode = set_it;
    d->limits = (struct mode_limits){ 2000, 2000, 2000 * 1000, 1 };
    return d;
}

static void a_mode_keeps_the_picture(void **state)
{
    struct display *d = changeable();

    display_fill(d, 0, 0, 300, 200, 0x204060);
    display_flush(d);
    changes = 0;
    assert_int_equal(display_set_mode(d, (struct mode){ 1000, 700 }), 0);
    assert_int_equal(changes, 1);
    display_flush(d);
    assert_bytes(299, 199, 0x204060);
    assert_bytes(300, 199, 0);
    assert_bytes(999, 699, 0);
    assert_int_equal(display_set_mode(d, (struct mode){ 250, 220 }), 0);
    display_flush(d);
    assert_bytes(249, 199, 0x204060);
    assert_bytes(249, 219, 0);
    display_fill(d, 0, 0, 5000, 5000, 0xffffff);
    display_flush(d);
    assert_bytes(249, 219, 0xffffff);
}

static void a_mode_that_fails_changes_nothing(void **state)
{
    struct display *d = changeable();

    mode_error = -EIO;
    changes = 0;
    assert_int_equal(display_set_mode(d, (struct mode){ 640, 480 }), -EIO);
    assert_int_equal(display_set_mode(d, (struct mode){ 2001, 480 }),
                     -EINVAL);
    assert_int_equal(display_set_mode(d, (struct mode){ 0, 0 }), -EINVAL);
    assert_int_equal(changes, 0);
    assert_int_equal(d->width, 300);
    d->set_mode = NULL;
    assert_int_equal(display_set_mode(d, (struct mode){ 640, 480 }),
                     -ENOTSUP);
    display_fill(d, 0, 0, 300, 200, 0xffffff);
    display_flush(d);
    assert_bytes(299, 199, 0xffffff);
}

static void the_pointer_beyond_the_edge_is_not_drawn(void **state)
{
    static const uint32_t shape[1] = { 0xffff0000 };
    struct display *d = changeable();

    display_set_cursor(d, shape, 1, 1, 0, 0);
    display_move_cursor(d, 299, 199);
    assert_int_equal(display_set_mode(d, (struct mode){ 200, 200 }), 0);
    display_flush(d);
    display_move_cursor(d, 199, 10);
    display_flush(d);
    assert_bytes(199, 10, 0xff0000);
}

static void modes_are_offered_where_they_can_be_set(void **state)
{
    struct mode list[MODES_MAX];
    struct display *d = changeable();

    assert_in_range(display_modes(d, list), 5, MODES_MAX);
    d->set_mode = NULL;
    assert_int_equal(display_modes(d, list), 0);
}

static void another_adapters_frame_buffer_is_not_ours(void **state)
{
    changeable();
    assert_null(framebuffer_within(0x1001, 100));
    assert_null(framebuffer_within(0, 0x1000));
    assert_non_null(framebuffer_within(0, 0x1001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_format_and_pitch, fresh),
        cmocka_unit_test_setup(what_cannot_be_is_refused, fresh),
        cmocka_unit_test_setup(only_what_changed_goes_out, fresh),
        cmocka_unit_test_setup(the_pointer_is_drawn_in_every_format, fresh),
        cmocka_unit_test_setup(a_mode_keeps_the_picture, fresh),
        cmocka_unit_test_setup(a_mode_that_fails_changes_nothing, fresh),
        cmocka_unit_test_setup(the_pointer_beyond_the_edge_is_not_drawn,
                               fresh),
        cmocka_unit_test_setup(modes_are_offered_where_they_can_be_set,
                               fresh),
        cmocka_unit_test_setup(another_adapters_frame_buffer_is_not_ours,
                               fresh),
    };

    return cmocka_run_group_tests(tests, fresh, fresh);
}
