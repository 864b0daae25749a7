/*
 * test_frames.c - the page frame bitmap under the physical memory allocator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/frames.h"

enum { COUNT = 1024 };

static uint64_t bits[COUNT / 64];
static struct frames f;

static int fresh(void **state)
{
    frames_init(&f, bits, COUNT);
    return 0;
}

static void starts_with_nothing(void **state)
{
    assert_int_equal(frames_alloc(&f), NO_FRAME);
    assert_int_equal(frames_alloc_run(&f, 1, 1, COUNT), NO_FRAME);
}

static void each_frame_once(void **state)
{
    static uint8_t seen[COUNT];

    memset(seen, 0, sizeof seen);
    frames_release(&f, 100, 50);
    frames_release(&f, 100, 50); /* twice: no difference */
    frames_release(&f, 900, 1000000); /* cut at the end */
    assert_int_equal(f.free, 50 + COUNT - 900);
    for (int i = 0; i < 50 + COUNT - 900; i++) {
        uint64_t frame = frames_alloc(&f);

        assert_true(frame < COUNT);
        assert_true((frame >= 100 && frame < 150) || frame >= 900);
        assert_int_equal(seen[frame]++, 0);
    }
    assert_int_equal(frames_alloc(&f), NO_FRAME);
    frames_release(&f, 120, 1);
    assert_int_equal(frames_alloc(&f), 120);
}

static void runs_step_over_holes(void **state)
{
    frames_release(&f, 10, 500);
    frames_reserve(&f, 40, 1);
    assert_int_equal(frames_alloc_run(&f, 31, 1, COUNT), 41);
    assert_int_equal(frames_alloc_run(&f, 30, 1, COUNT), 10);
    assert_int_equal(frames_alloc_run(&f, 8, 64, COUNT), 128);
    assert_int_equal(frames_alloc_run(&f, 8, 1, 60), NO_FRAME);
    assert_int_equal(frames_alloc_run(&f, 600, 1, COUNT), NO_FRAME);
    assert_int_equal(frames_alloc_run(&f, 0, 1, COUNT), NO_FRAME);
}

static void random_traffic_keeps_count(void **state)
{
    static uint8_t used[COUNT];
    uint64_t free_frames = COUNT;

    memset(used, 0, sizeof used);
    frames_release(&f, 0, COUNT);
    srand(7);
    for (int i = 0; i < 20000; i++) {
        uint64_t at = (uint64_t)rand() % COUNT;

        if (rand() % 2 && used[at]) {
            frames_release(&f, at, 1);
            used[at] = 0;
            free_frames++;
        } else if ((at = frames_alloc(&f)) != NO_FRAME) {
            assert_int_equal(used[at], 0);
            used[at] = 1;
            free_frames--;
        }
        assert_int_equal(f.free, free_frames);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_with_nothing, fresh),
        cmocka_unit_test_setup(each_frame_once, fresh),
        cmocka_unit_test_setup(runs_step_over_holes, fresh),
        cmocka_unit_test_setup(random_traffic_keeps_count, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
