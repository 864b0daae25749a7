/*
 * test_frames.c - the page frame bitmap under the physical memory allocator,
 * and the patterns of the memory test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/frames.h"
#include "kernel/test_pattern.h"

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

/* Whole words and their edges, against one frame at a time. */
static void ranges_of_every_length(void **state)
{
    for (uint64_t first = 60; first < 70; first++)
        for (uint64_t n = 0; n < 200; n++) {
            uint64_t found, length;

            frames_release(&f, first, n);
            assert_int_equal(f.free, n);
            found = frames_free_from(&f, 0, &length);
            assert_int_equal(length, n);
            assert_true(!n || found == first);
            frames_reserve(&f, first, n);
            assert_int_equal(f.free, 0);
        }
    frames_release(&f, COUNT - 1, 1);
    frames_release(&f, COUNT, 1);
    frames_release(&f, UINT64_MAX, 1);
    frames_release(&f, UINT64_MAX - 1, UINT64_MAX);
    assert_int_equal(f.free, 1);
}

static void free_ranges_in_order(void **state)
{
    static const uint64_t wanted[][2] = { { 3, 1 }, { 63, 2 }, { 128, 192 },
                                          { 1000, 24 } };
    uint64_t at = 0, n;

    for (int i = 0; i < 4; i++)
        frames_release(&f, wanted[i][0], wanted[i][1]);
    for (int i = 0; i < 4; i++) {
        at = frames_free_from(&f, at, &n);
        assert_int_equal(at, wanted[i][0]);
        assert_int_equal(n, wanted[i][1]);
        at += n;
    }
    frames_free_from(&f, at, &n);
    assert_int_equal(n, 0);
}

/* Maps as servers have them: a terabyte with holes below 4 GiB and between
 * the memory of several sockets. */
static void a_terabyte_with_holes(void **state)
{
    enum { GIB = 1 << 18 }; /* in frames */
    static const uint64_t map[][2] = {
        { 256, 2 * GIB - 256 },  /* 1 MiB to 2 GiB */
        { 4 * GIB, 60 * GIB },   /* the first socket's rest */
        { 256 * GIB, 64 * GIB }, /* holes up to the others' */
        { 1012ull * GIB, 12 * GIB - 7 },
    };
    uint64_t all = 0, count = 1024ull * GIB, at = 0, n;
    uint64_t *big = malloc(frames_bitmap_bytes(count));
    struct frames t;

    assert_int_equal(frames_bitmap_bytes(count), 32 << 20);
    frames_init(&t, big, count);
    for (int i = 0; i < 4; i++) {
        frames_release(&t, map[i][0], map[i][1]);
        all += map[i][1];
    }
    assert_int_equal(t.free, all);
    for (int i = 0; i < 4; i++) {
        at = frames_free_from(&t, at, &n);
        assert_int_equal(at, map[i][0]);
        assert_int_equal(n, map[i][1]);
        at += n;
    }
    /* runs below 4 GiB for devices; single frames across the holes */
    assert_int_equal(frames_alloc_run(&t, 1024, 1, 4 * GIB), 256);
    assert_int_equal(frames_alloc_run(&t, 3 * GIB, 1, 4 * GIB), NO_FRAME);
    assert_int_equal(frames_alloc_run(&t, 61ull * GIB, 1, count),
                     256ull * GIB);
    t.next = (320ull * GIB) / 64;
    assert_int_equal(frames_alloc(&t), 1012ull * GIB);
    t.next = count / 64 - 1;
    frames_reserve(&t, count - 64, 64);
    assert_int_equal(frames_alloc(&t), 1024 + 256); /* around */
    free(big);
}

static void patterns_find_what_is_wrong(void **state)
{
    static uint64_t memory[512];
    uint64_t where = 0, wrong_bits = 0;

    for (unsigned kind = 0; kind < TEST_PATTERNS; kind++) {
        test_pattern_write(memory, 512, 0x123456000, kind, 9);
        assert_int_equal(test_pattern_check(memory, 512, 0x123456000, kind,
                                            9, &where, &wrong_bits), 0);
        memory[100] ^= 1ull << 40;
        memory[511] = 0;
        assert_int_equal(test_pattern_check(memory, 512, 0x123456000, kind,
                                            9, &where, &wrong_bits), 2);
        assert_int_equal(where, 0x123456000 + 800);
        assert_int_equal(wrong_bits, 1ull << 40);
    }
}

/* Memory that appears twice: what is written last is found at both places. */
static void patterns_find_lines_that_lead_elsewhere(void **state)
{
    static uint64_t memory[64];
    uint64_t where, wrong_bits;

    for (unsigned kind = 0; kind < TEST_PATTERNS; kind++) {
        if (kind / 2 == 1)
            continue; /* the same everywhere */
        test_pattern_write(memory, 64, 0, kind, 1);
        test_pattern_write(memory, 64, 0x80000000, kind, 1);
        assert_int_equal(test_pattern_check(memory, 64, 0, kind, 1, &where,
                                            &wrong_bits), 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_with_nothing, fresh),
        cmocka_unit_test_setup(each_frame_once, fresh),
        cmocka_unit_test_setup(runs_step_over_holes, fresh),
        cmocka_unit_test_setup(random_traffic_keeps_count, fresh),
        cmocka_unit_test_setup(ranges_of_every_length, fresh),
        cmocka_unit_test_setup(free_ranges_in_order, fresh),
        cmocka_unit_test(a_terabyte_with_holes),
        cmocka_unit_test(patterns_find_what_is_wrong),
        cmocka_unit_test(patterns_find_lines_that_lead_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
