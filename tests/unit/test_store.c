/*
 * test_store.c - the image store: round trips, power cuts at every write of
 * a save (with any subset of unflushed sectors lost), damage, a full disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kernel/store.h"
#include "tests/unit/ram_disk.h"

enum { SECTORS = 16384 }; /* 8 MiB */

static struct ram_disk disk;
static uint32_t seed = 12345;

static uint32_t random32(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

static int setup(void **state)
{
    ram_init(&disk, SECTORS);
    return store_format(&disk.device);
}

static int teardown(void **state)
{
    ram_free(&disk);
    return 0;
}

static uint8_t content_byte(unsigned version, uint64_t i)
{
    return (uint8_t)(version * 131 + i * 7 + i / 251);
}

static int save_in(const char *name, unsigned version, uint64_t size,
                   uint64_t piece)
{
    const char *why;
    uint8_t *bytes = malloc(size + 1);
    struct store_image *im = store_create(name, size, &why);
    int error = im ? 0 : -ENOSPC;

    for (uint64_t i = 0; i < size; i++)
        bytes[i] = content_byte(version, i);
    for (uint64_t at = 0; im && at < size && !error; at += piece)
        error = store_write(im, bytes + at,
                            size - at < piece ? size - at : piece);
    if (im) {
        int closed = store_close(im, !error);

        error = error ? error : closed;
    }
    free(bytes);
    return error;
}

static int save(const char *name, unsigned version, uint64_t size)
{
    return save_in(name, version, size, 5000);
}

/* Which version the store answers; -1: none. The bytes must be all its. */
static int version_of(const char *name, const unsigned *versions, int n)
{
    const char *why;
    uint64_t size;
    struct store_image *im = store_open(name, &size, &why);
    uint8_t *bytes;
    int found = -1;

    if (!im)
        return -1;
    bytes = malloc(size + 1);
    for (uint64_t at = 0; at < size; at += 3001)
        assert_int_equal(
            store_read(im, bytes + at, size - at < 3001 ? size - at : 3001),
            0);
    assert_int_equal(store_close(im, false), 0);
    for (int v = 0; v < n && found < 0; v++) {
        found = versions[v];
        for (uint64_t i = 0; i < size && found >= 0; i++)
            if (bytes[i] != content_byte(versions[v], i))
                found = -1;
    }
    free(bytes);
    assert_true(found >= 0);
    return found;
}

static void saves_come_back(void **state)
{
    static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 262143, 262144,
                                      262145, 1000000 };
    const unsigned one[] = { 1 }, two[] = { 2 };

    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(save("a", 1, sizes[i]), 0);
        assert_int_equal(save_in("b", 2, sizes[i], 262144), 0);
        assert_int_equal(store_mount(&disk.device), 0);
        assert_int_equal(version_of("a", one, 1), 1);
        assert_int_equal(version_of("b", two, 1), 2);
        assert_string_equal(store_name(0), "b");
        assert_string_equal(store_name(1), "a");
        assert_null(store_name(2));
    }
}

static void a_dropped_save_changes_nothing(void **state)
{
    const unsigned one[] = { 1 };
    const char *why;
    struct store_image *im;

    assert_int_equal(save("a", 1, 50000), 0);
    im = store_create("a", 50000, &why);
    assert_int_equal(store_write(im, disk.bytes, 20000), 0);
    assert_int_equal(store_close(im, false), 0);
    assert_int_equal(version_of("a", one, 1), 1);
}

static void a_short_save_is_refused(void **state)
{
    const char *why;
    struct store_image *im = store_create("a", 50000, &why);

    assert_int_equal(store_write(im, disk.bytes, 20000), 0);
    assert_int_not_equal(store_close(im, true), 0);
    assert_null(store_name(0));
    im = store_create("a", 10, &why);
    assert_int_equal(store_write(im, disk.bytes, 11), -EINVAL);
    store_close(im, false);
}

static void replay(const uint8_t *before, unsigned cut)
{
    ram_replay(&disk, before, cut, random32);
}

static void power_cut_at_every_write(void **state)
{
    uint8_t *before = malloc(SECTORS * RAM_SECTOR);
    unsigned version = 1;

    assert_int_equal(save("other", 77, 100000), 0);
    assert_int_equal(save("a", version, 1200000), 0);
    for (unsigned round = 0; round < 4; round++, version++) {
        const unsigned both[] = { version, version + 1 }, other[] = { 77 };

        memcpy(before, disk.bytes, SECTORS * RAM_SECTOR);
        disk.recording = true;
        assert_int_equal(save("a", version + 1, 1200000 + round * 99999), 0);
        disk.recording = false;
        assert_true(disk.event_count >= 4);
        for (unsigned cut = 0; cut <= disk.event_count; cut++)
            for (unsigned variant = 0; variant < 4; variant++) {
                replay(before, cut);
                assert_int_equal(store_mount(&disk.device), 0);
                int found = version_of("a", both, 2);

                assert_int_not_equal(found, -1);
                if (cut == disk.event_count)
                    assert_int_equal(found, version + 1);
                assert_int_equal(version_of("other", other, 1), 77);
            }
        ram_forget(&disk);
    }
    free(before);
}

/* A fresh disk: no store, an empty one, or the image; then a second name
 * beside it, of which the first never hears. */
static void power_cut_in_the_first_saves(void **state)
{
    const unsigned one[] = { 1 }, two[] = { 2 };
    uint8_t *before = malloc(SECTORS * RAM_SECTOR);
    unsigned formatted, saved;

    for (uint64_t i = 0; i < SECTORS * RAM_SECTOR; i++)
        disk.bytes[i] = (uint8_t)random32();
    memcpy(before, disk.bytes, SECTORS * RAM_SECTOR);
    disk.recording = true;
    assert_int_equal(store_format(&disk.device), 0);
    formatted = disk.event_count;
    assert_int_equal(save("a", 1, 700000), 0);
    saved = disk.event_count;
    assert_int_equal(save("b", 2, 600000), 0);
    disk.recording = false;
    for (unsigned cut = 0; cut <= disk.event_count; cut++)
        for (unsigned variant = 0; variant < 4; variant++) {
            replay(before, cut);
            if (store_mount(&disk.device)) {
                assert_true(cut < formatted);
                continue;
            }
            int a = version_of("a", one, 1), b = version_of("b", two, 1);

            assert_true(a == 1 || cut < saved);
            assert_true(a == -1 || cut >= formatted);
            assert_true(b == 2 || cut < disk.event_count);
            assert_true(b == -1 || cut >= saved);
        }
    free(before);
}

/* After a cut, life goes on: the next save must not lose what was found. */
static void saving_after_a_power_cut(void **state)
{
    const unsigned both[] = { 1, 2 }, three[] = { 3 };
    uint8_t *before = malloc(SECTORS * RAM_SECTOR);

    assert_int_equal(save("a", 0, 300000), 0);
    assert_int_equal(save("a", 1, 300000), 0);
    memcpy(before, disk.bytes, SECTORS * RAM_SECTOR);
    disk.recording = true;
    assert_int_equal(save("a", 2, 300000), 0);
    disk.recording = false;
    for (unsigned cut = 0; cut <= disk.event_count; cut++) {
        replay(before, cut);
        assert_int_equal(store_mount(&disk.device), 0);
        assert_int_not_equal(version_of("a", both, 2), -1);
        assert_int_equal(save("a", 3, 280000), 0);
        assert_int_equal(version_of("a", three, 1), 3);
    }
    free(before);
}

/* Never an older state than the last, and nobody else's loss. */
static void power_cut_at_every_write_of_a_removal(void **state)
{
    const unsigned last[] = { 2 }, other[] = { 77 };
    uint8_t *before = malloc(SECTORS * RAM_SECTOR);
    const char *why;

    assert_int_equal(save("a", 1, 300000), 0);
    assert_int_equal(save("other", 77, 100000), 0);
    assert_int_equal(save("a", 2, 300000), 0);
    memcpy(before, disk.bytes, SECTORS * RAM_SECTOR);
    disk.recording = true;
    assert_int_equal(store_remove("a", &why), 0);
    disk.recording = false;
    assert_int_equal(disk.event_count, 4); /* two headers, each flushed */
    for (unsigned cut = 0; cut <= disk.event_count; cut++)
        for (unsigned variant = 0; variant < 8; variant++) {
            replay(before, cut);
            assert_int_equal(store_mount(&disk.device), 0);
            int found = version_of("a", last, 1);

            assert_true(found == 2 || cut >= 2);
            assert_true(found == -1 || cut < 4);
            assert_int_equal(version_of("other", other, 1), 77);
        }
    free(before);
}

static void a_removed_image_is_gone_and_its_room_free(void **state)
{
    const unsigned other[] = { 3 };
    const char *why;

    assert_int_equal(save("a", 1, 3000000), 0);
    assert_int_equal(save("a", 2, 3000000), 0);
    assert_int_not_equal(save("b", 3, 3000000), 0);
    assert_int_equal(store_remove("a", &why), 0);
    assert_null(why);
    assert_null(store_name(0));
    assert_int_equal(store_remove("a", &why), -1);
    assert_string_equal(why, "no such image in the store");
    assert_int_equal(save("b", 3, 3000000), 0);
    assert_int_equal(store_mount(&disk.device), 0);
    assert_string_equal(store_name(0), "b");
    assert_null(store_name(1));
    assert_int_equal(version_of("b", other, 1), 3);
}

static void nothing_is_removed_where_nothing_can_be(void **state)
{
    const unsigned one[] = { 1 };
    const char *why;

    assert_int_equal(save("a", 1, 30000), 0);
    disk.device.read_only = true;
    assert_int_equal(store_remove("a", &why), -1);
    assert_string_equal(why, "the disk is read-only");
    disk.device.read_only = false;
    disk.device.gone = true;
    assert_int_equal(store_remove("a", &why), -1);
    assert_string_equal(why, "the disk with the store is not plugged in");
    disk.device.gone = false;
    disk.writes_left = 0;
    assert_int_equal(store_remove("a", &why), -1);
    assert_string_equal(why, "the disk refuses what is written to it");
    disk.writes_left = -1;
    assert_int_equal(version_of("a", one, 1), 1);
}

static void a_disk_that_forgets_what_is_written_is_no_hang(void **state)
{
    const unsigned two[] = { 2 };
    const char *why;

    assert_int_equal(save("a", 1, 30000), 0);
    assert_int_equal(save("a", 2, 30000), 0);
    disk.forgets = true;
    assert_int_equal(store_remove("a", &why), -1);
    assert_string_equal(why, "the disk refuses what is written to it");
    assert_int_equal(version_of("a", two, 1), 2);
}

/* Flips one byte of the newest extent that holds `version`. */
static void damage(unsigned version)
{
    uint8_t *bytes = disk.bytes;

    for (uint64_t at = 65 * 4096; at < (uint64_t)SECTORS * RAM_SECTOR;
         at += 4096)
        if (bytes[at] == content_byte(version, 0) &&
            bytes[at + 1] == content_byte(version, 1) &&
            bytes[at + 2] == content_byte(version, 2)) {
            bytes[at + 5] ^= 1;
            return;
        }
    fail();
}

/* The state that was passed over does not come back with the next boot. */
static void damaged_states_are_removed_too(void **state)
{
    const unsigned both[] = { 1, 2 };
    const char *why;

    assert_int_equal(save("a", 1, 100000), 0);
    assert_int_equal(save("a", 2, 100000), 0);
    damage(2);
    assert_int_equal(store_mount(&disk.device), 0);
    assert_int_equal(version_of("a", both, 2), 1);
    assert_int_equal(store_remove("a", &why), 0);
    assert_int_equal(store_mount(&disk.device), 0);
    assert_null(store_name(0));
}

static void damage_falls_back_to_the_older_slot(void **state)
{
    const unsigned both[] = { 1, 2 };

    assert_int_equal(save("a", 1, 100000), 0);
    assert_int_equal(save("a", 2, 100000), 0);
    assert_int_equal(version_of("a", both, 2), 2);
    damage(2);
    assert_int_equal(store_mount(&disk.device), 0);
    assert_int_equal(version_of("a", both, 2), 1);
    /* The good one survives the next save that fails half way. */
    disk.writes_left = 0;
    assert_int_not_equal(save("a", 2, 100000), 0);
    disk.writes_left = -1;
    assert_int_equal(store_mount(&disk.device), 0);
    assert_int_equal(version_of("a", both, 2), 1);
}

static void an_unreadable_sector_falls_back_too(void **state)
{
    const unsigned both[] = { 1, 2 };

    assert_int_equal(save("a", 1, 100000), 0);
    assert_int_equal(save("a", 2, 100000), 0);
    disk.bad_sector = 65 * 8 + 30 * 8; /* in the second extent */
    assert_int_equal(version_of("a", both, 2), 1);
    disk.bad_sector = -1;
    assert_int_equal(version_of("a", both, 2), 2);
}

/* The state that could be read must not be the one that is written over. */
static void a_save_after_a_fall_back_spares_what_is_good(void **state)
{
    const unsigned old[] = { 1 }, either[] = { 1, 3 };
    uint8_t *before = malloc(SECTORS * RAM_SECTOR);

    assert_int_equal(save("a", 1, 100000), 0);
    assert_int_equal(save("a", 2, 100000), 0);
    memcpy(before, disk.bytes, SECTORS * RAM_SECTOR);
    disk.bad_sector = 65 * 8 + 30 * 8; /* in the second extent */
    assert_int_equal(version_of("a", old, 1), 1);
    disk.recording = true;
    assert_int_equal(save("a", 3, 100000), 0);
    disk.recording = false;
    for (unsigned cut = 0; cut < disk.event_count; cut++) {
        replay(before, cut);
        assert_int_equal(store_mount(&disk.device), 0);
        disk.bad_sector = 65 * 8 + 30 * 8;
        assert_int_not_equal(version_of("a", either, 2), -1);
    }
    free(before);
}

/* What is known of an image is not forgotten, nor its room given away,
 * because its header cannot be read when another one is saved. */
static void an_unreadable_header_is_not_forgotten(void **state)
{
    const unsigned one[] = { 1 };

    assert_int_equal(save("a", 1, 100000), 0);
    disk.bad_sector = 8; /* of the first slot's header */
    assert_int_equal(save("b", 2, 100000), 0);
    assert_int_equal(version_of("a", one, 1), 1);
    disk.bad_sector = -1;
    assert_int_equal(save("c", 3, 100000), 0);
    assert_int_equal(store_mount(&disk.device), 0);
    assert_int_equal(version_of("a", one, 1), 1);
}

static void a_full_disk_keeps_the_old_state(void **state)
{
    const unsigned one[] = { 1 };
    const char *why;

    assert_int_equal(save("a", 1, 5000000), 0);
    assert_null(store_create("a", 5000000, &why));
    assert_non_null(strstr(why, "the store is full"));
    assert_int_equal(version_of("a", one, 1), 1);
}

static void every_slot_taken_is_said(void **state)
{
    char name[16];
    const char *why;

    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "i%d", i);
        assert_int_equal(save(name, i, 100), 0);
    }
    assert_null(store_create("more", 100, &why));
    assert_string_equal(why, "the store has no slot left");
}

static void failing_writes_are_reported(void **state)
{
    const unsigned one[] = { 1 };

    assert_int_equal(save("a", 1, 600000), 0);
    for (int n = 0; n < 4; n++) {
        disk.writes_left = n;
        assert_int_not_equal(save("a", 2, 600000), 0);
        disk.writes_left = -1;
        assert_int_equal(store_mount(&disk.device), 0);
        assert_int_equal(version_of("a", one, 1), 1);
    }
}

static void garbage_is_no_store(void **state)
{
    uint64_t size;
    const char *why;

    assert_int_equal(save("a", 1, 60000), 0);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 40; i++)
            disk.bytes[4096 + random32() % (65 * 4096)] = random32();
        assert_int_equal(store_mount(&disk.device), 0);
        if (store_name(0)) {
            struct store_image *im = store_open(store_name(0), &size, &why);

            if (im)
                store_close(im, false);
        }
    }
    memset(disk.bytes, 0, 4096);
    assert_int_equal(store_mount(&disk.device), -ENOENT);
    assert_null(store_open("a", &size, &why));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(saves_come_back),
        TEST(power_cut_at_every_write_of_a_removal),
        TEST(a_removed_image_is_gone_and_its_room_free),
        TEST(nothing_is_removed_where_nothing_can_be),
        TEST(a_disk_that_forgets_what_is_written_is_no_hang),
        TEST(damaged_states_are_removed_too),
        TEST(a_dropped_save_changes_nothing),
        TEST(a_short_save_is_refused),
        TEST(power_cut_at_every_write),
        TEST(power_cut_in_the_first_saves),
        TEST(saving_after_a_power_cut),
        TEST(damage_falls_back_to_the_older_slot),
        TEST(an_unreadable_sector_falls_back_too),
        TEST(a_save_after_a_fall_back_spares_what_is_good),
        TEST(an_unreadable_header_is_not_forgotten),
        TEST(a_full_disk_keeps_the_old_state),
        TEST(every_slot_taken_is_said),
        TEST(failing_writes_are_reported),
        TEST(garbage_is_no_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
