/*
 * test_fat.c - FAT32 against volumes that mtools made: names, growth, a
 * random walk beside a shadow model, what mtools reads back, damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/clock.h"
#include "kernel/fat.h"
#include "tests/unit/ram_disk.h"
#include "tests/unit/shell.h"

enum { SECTORS = 80000 }; /* 39 MiB: the least that FAT32 takes */

static struct ram_disk disk;
static const struct fs_ops *fs;
static char image_path[64];
static uint32_t seed = 99;

int64_t clock_utc_usecs(void)
{
    return 1700000000ll * 1000000; /* 2023-11-14 22:13:20 */
}

static uint32_t random32(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

static void read_image(void)
{
    FILE *f = fopen(image_path, "rb");

    assert_non_null(f);
    assert_int_equal(fread(disk.bytes, RAM_SECTOR, SECTORS, f), SECTORS);
    fclose(f);
}

static void write_image(void)
{
    FILE *f = fopen(image_path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(disk.bytes, RAM_SECTOR, SECTORS, f), SECTORS);
    fclose(f);
}

static int setup(void **state)
{
    snprintf(image_path, sizeof image_path, "/tmp/aerostat-fat-%d.img",
             (int)getpid());
    ram_init(&disk, SECTORS);
    if (shell("rm -f %s; truncate -s %u %s && "
              "mformat -i %s -F -c 1 -v AEROSTAT ::",
              image_path, SECTORS * RAM_SECTOR, image_path, image_path))
        return -1;
    read_image();
    fs = fat_mount(&disk.device);
    return fs ? 0 : -1;
}

static int teardown(void **state)
{
    unlink(image_path);
    ram_free(&disk);
    return 0;
}

static void put(const char *path, const char *text)
{
    int f = fs->open(path, FS_WRITE);

    assert_true(f >= 0);
    assert_int_equal(fs->truncate(f, 0), 0);
    assert_int_equal(fs->write(f, 0, text, strlen(text)), strlen(text));
    assert_int_equal(fs->sync(f), 0);
    assert_int_equal(fs->close(f), 0);
}

static void expect_text(const char *path, const char *text)
{
    char got[256] = { 0 };
    int f = fs->open(path, FS_READ);

    assert_true(f >= 0);
    assert_int_equal(fs->read(f, 0, got, sizeof got - 1), strlen(text));
    assert_string_equal(got, text);
    fs->close(f);
}

static void names_of_every_kind(void **state)
{
    static const char *const names[] = {
        "/A.TXT", "/lower.txt", "/Mixed Case Name.changes", "/noextension",
        "/exactly13char", "/twenty-six characters long",
        "/\xc3\xbcml\xc3\xa4ut \xe2\x82\xac.st", "/\xf0\x9f\x8e\x88.txt",
        "/a.b.c.d", "/mixedcasename2.changes", "/mixedcasename3.changes",
    };
    struct fs_info info;
    unsigned n = sizeof names / sizeof *names;

    for (unsigned i = 0; i < n; i++)
        put(names[i], names[i]);
    fs = fat_mount(&disk.device);
    for (unsigned i = 0; i < n; i++) {
        expect_text(names[i], names[i]);
        assert_int_equal(fs->entry("/", i, &info), 1);
        assert_string_equal(info.name, names[i] + 1);
        assert_int_equal(info.modified, 1700000000);
    }
    assert_int_equal(fs->entry("/", n, &info), 0);
    expect_text("/MIXED case NAME.Changes", names[2]);
    write_image();
    assert_int_equal(shell("mtype -i %s '::/Mixed Case Name.changes' | "
                           "grep -q 'Mixed Case'", image_path), 0);
    assert_int_equal(shell("mtype -i %s '::/exactly13char' >/dev/null",
                           image_path), 0);
}

static void illegal_names_are_refused(void **state)
{
    static const char *const names[] = { "/a*b", "/a:b", "/trailing.",
                                         "/trailing ", "/\xff\xfe", "/a\nb" };
    char long_name[300];

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(fs->open(names[i], FS_WRITE) < 0);
    memset(long_name, 'x', sizeof long_name);
    long_name[0] = '/';
    long_name[299] = 0;
    assert_true(fs->open(long_name, FS_WRITE) < 0);
}

static void what_mtools_wrote_is_read(void **state)
{
    struct fs_info info;

    assert_int_equal(
        shell("mmd -i %s '::/some folder' && seq 1 20000 | mcopy -i %s - "
              "'::/some folder/numbers to 20000.txt'",
              image_path, image_path), 0);
    read_image();
    fs = fat_mount(&disk.device);
    assert_int_equal(fs->info("/some folder/numbers to 20000.txt", &info), 0);
    assert_int_equal(info.size, 108894);
    int f = fs->open("/some folder/numbers to 20000.txt", FS_READ);
    char got[7] = { 0 };

    assert_int_equal(fs->read(f, 108888, got, 100), 6);
    assert_string_equal(got, "20000\n");
    assert_int_equal(fs->read(f, 200000, got, 6), 0);
    fs->close(f);
}

static void what_we_wrote_mtools_reads(void **state)
{
    char line[16];
    uint64_t at = 0;
    int f;

    assert_int_equal(fs->make_directory("/deep"), 0);
    assert_int_equal(fs->make_directory("/deep/deeper still"), 0);
    f = fs->open("/deep/deeper still/numbers.txt", FS_CREATE_NEW);
    for (int i = 1; i <= 20000; i++) {
        int n = snprintf(line, sizeof line, "%d\n", i);

        assert_int_equal(fs->write(f, at, line, n), n);
        at += n;
    }
    fs->close(f);
    assert_int_equal(fs->rename("/deep/deeper still", "/elsewhere"), 0);
    write_image();
    assert_int_equal(
        shell("mtype -i %s ::/elsewhere/numbers.txt > %s.out && "
              "seq 1 20000 | cmp - %s.out", image_path, image_path,
              image_path), 0);
    shell("rm -f %s.out", image_path);
}

static void errors_have_their_codes(void **state)
{
    struct fs_info info;

    put("/file", "x");
    assert_int_equal(fs->make_directory("/dir"), 0);
    put("/dir/inner", "y");
    assert_int_equal(fs->open("/none", FS_READ), -ENOENT);
    assert_int_equal(fs->open("/none/none", FS_WRITE), -ENOENT);
    assert_int_equal(fs->open("/file/none", FS_WRITE), -ENOTDIR);
    assert_int_equal(fs->open("/file", FS_CREATE_NEW), -EEXIST);
    assert_int_equal(fs->open("/dir", FS_READ), -EISDIR);
    assert_int_equal(fs->make_directory("/dir"), -EEXIST);
    assert_int_equal(fs->remove_directory("/dir"), -ENOTEMPTY);
    assert_int_equal(fs->remove_directory("/file"), -ENOTDIR);
    assert_int_equal(fs->remove("/dir"), -EISDIR);
    assert_int_equal(fs->rename("/file", "/dir"), -EEXIST);
    assert_int_equal(fs->rename("/dir", "/dir/inside"), -EINVAL);
    assert_int_equal(fs->info("/gone", &info), -ENOENT);
    assert_int_equal(fs->read(77, 0, &info, 1), -EBADF);
    int f = fs->open("/file", FS_READ);

    assert_int_equal(fs->write(f, 0, "z", 1), -EROFS);
    assert_int_equal(fs->remove("/file"), -EBUSY);
    fs->close(f);
    assert_int_equal(fs->remove("/dir/inner"), 0);
    assert_int_equal(fs->remove_directory("/dir"), 0);
    assert_int_equal(fs->remove("/file"), 0);
    assert_int_equal(fs->entry("/", 0, &info), 0);
}

static void a_full_volume_says_so_and_recovers(void **state)
{
    static uint8_t block[65536];
    uint64_t at = 0;
    int64_t n;
    int f;

    put("/kept", "still here");
    f = fs->open("/big", FS_WRITE);
    while ((n = fs->write(f, at, block, sizeof block)) > 0)
        at += n;
    assert_int_equal(n, -ENOSPC);
    assert_true(at > 30u * 1024 * 1024);
    expect_text("/kept", "still here");
    assert_int_equal(fs->truncate(f, 10), 0);
    fs->close(f);
    put("/more", "room again");
    expect_text("/more", "room again");
}

static void what_a_full_volume_cannot_take_leaves_no_trace(void **state)
{
    int f = fs->open("/file", FS_WRITE);
    struct fs_info info;

    assert_int_equal(fs->write(f, 0, "abc", 3), 3);
    assert_int_equal(fs->write(f, 60u << 20, "x", 1), -ENOSPC);
    assert_int_equal(fs->size(f), 3);
    assert_int_equal(fs->truncate(f, 60u << 20), -ENOSPC);
    assert_int_equal(fs->size(f), 3);
    fs->close(f);
    assert_int_equal(fs->info("/file", &info), 0);
    assert_int_equal(info.size, 3);
    put("/more", "there is room");
    expect_text("/more", "there is room");
}

static void a_file_that_cannot_be_open_is_not_made(void **state)
{
    int files[1000], n = 0;
    struct fs_info info;

    put("/file", "x");
    while ((files[n] = fs->open("/file", FS_READ)) >= 0)
        n++;
    assert_int_equal(files[n], -EMFILE);
    assert_int_equal(fs->open("/new", FS_CREATE_NEW), -EMFILE);
    assert_int_equal(fs->info("/new", &info), -ENOENT);
    fs->close(files[0]);
    assert_true(fs->open("/new", FS_CREATE_NEW) >= 0);
}

static void many_files_grow_a_directory(void **state)
{
    char path[64];
    struct fs_info info;

    assert_int_equal(fs->make_directory("/many"), 0);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "/many/a rather long file name %d", i);
        put(path, path);
    }
    for (int i = 0; i < 300; i += 2) {
        snprintf(path, sizeof path, "/many/a rather long file name %d", i);
        assert_int_equal(fs->remove(path), 0);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "/many/a rather long file name %d", i);
        assert_int_equal(fs->info(path, &info), i % 2 ? 0 : -ENOENT);
    }
    write_image();
    assert_int_equal(shell("test $(mdir -b -i %s ::/many | wc -l) = 150",
                           image_path), 0);
}

static void a_random_walk_beside_a_shadow(void **state)
{
    enum { FILES = 5, MAX = 200000 };
    static uint8_t shadow[FILES][MAX], got[MAX], piece[30000];
    uint64_t size[FILES] = { 0 };
    char path[16];

    for (int step = 0; step < 600; step++) {
        int k = random32() % FILES;
        uint64_t at = random32() % (MAX / 2), n = random32() % sizeof piece;
        int f;

        snprintf(path, sizeof path, "/walk%d.bin", k);
        f = fs->open(path, FS_WRITE);
        assert_true(f >= 0);
        if (random32() % 4 == 0) {
            assert_int_equal(fs->truncate(f, at), 0);
            if (at < size[k])
                memset(shadow[k] + at, 0, size[k] - at);
            size[k] = at;
        } else {
            for (uint64_t i = 0; i < n; i++)
                piece[i] = random32();
            assert_int_equal(fs->write(f, at, piece, n), n);
            memcpy(shadow[k] + at, piece, n);
            if (at + n > size[k])
                size[k] = at + n;
        }
        assert_int_equal(fs->size(f), size[k]);
        assert_int_equal(fs->read(f, 0, got, MAX), size[k]);
        assert_memory_equal(got, shadow[k], size[k]);
        fs->close(f);
    }
}

/* Whatever is on the disk: an answer or an error, never a crash or a hang. */
static void damage_is_survived(void **state)
{
    uint8_t *good = malloc(SECTORS * RAM_SECTOR);
    struct fs_info info;
    char buffer[64];

    put("/a file to find", "text");
    assert_int_equal(fs->make_directory("/folder"), 0);
    put("/folder/inner file", "text");
    memcpy(good, disk.bytes, SECTORS * RAM_SECTOR);
    for (int round = 0; round < 300; round++) {
        memcpy(disk.bytes, good, 2000 * RAM_SECTOR);
        for (int i = 0; i < 1 + round % 20; i++) {
            uint32_t where = random32() % 3 == 0 ? random32() % 512
                             : random32() % 2
                                 ? 32 * 512 + random32() % 64
                                 : random32() % (2000 * 512);

            disk.bytes[where] = random32();
        }
        fs = fat_mount(&disk.device);
        if (!fs)
            continue;
        for (unsigned i = 0; i < 50 && fs->entry("/", i, &info) > 0; i++)
            ;
        int f = fs->open("/folder/inner file", FS_READ);

        if (f >= 0) {
            fs->read(f, 0, buffer, sizeof buffer);
            fs->close(f);
        }
        f = fs->open("/new file in damage", FS_WRITE);
        if (f >= 0) {
            fs->write(f, 1000, "x", 1);
            fs->close(f);
        }
        fs->remove("/a file to find");
    }
    free(good);
}

/* The disk leaves, another machine writes to it, it comes back. */
static void files_that_others_changed_meanwhile(void **state)
{
    static const char longer[] = "grown elsewhere";
    char text[64] = "";
    int kept, grown, gone;

    put("/KEPT.TXT", "kept");
    put("/GROWN.TXT", "grown");
    put("/GONE.TXT", "gone");
    kept = fs->open("/KEPT.TXT", FS_WRITE);
    grown = fs->open("/GROWN.TXT", FS_WRITE);
    gone = fs->open("/GONE.TXT", FS_WRITE);
    write_image();
    assert_int_equal(shell("mdel -i %s ::/GONE.TXT", image_path), 0);
    assert_int_equal(shell("printf '%s' | mcopy -o -i %s - ::/GROWN.TXT",
                           longer, image_path), 0);
    assert_int_equal(shell("printf new | mcopy -i %s - ::/NEW.TXT",
                           image_path), 0);
    read_image();
    assert_true(fat_came_back(&disk.device));
    assert_int_equal(fs->size(kept), 4);
    assert_int_equal(fs->size(grown), sizeof longer - 1);
    assert_int_equal(fs->read(grown, 0, text, sizeof text),
                     sizeof longer - 1);
    assert_string_equal(text, longer);
    assert_true(fs->write(gone, 0, "x", 1) < 0);
    assert_int_equal(fs->write(kept, 4, " and more", 9), 9);
    assert_int_equal(fs->close(kept), 0);
    assert_int_equal(fs->close(grown), 0);
    expect_text("/KEPT.TXT", "kept and more");
    expect_text("/NEW.TXT", "new");
    write_image();
    assert_int_equal(shell("mtype -i %s ::/KEPT.TXT | grep -qx 'kept and more'",
                           image_path), 0);
    assert_int_equal(shell("mtype -i %s ::/GROWN.TXT | grep -qx '%s'",
                           image_path, longer), 0);
}

static void a_volume_that_is_another_is_let_go(void **state)
{
    int f;

    put("/FILE.TXT", "text");
    f = fs->open("/FILE.TXT", FS_WRITE);
    disk.bytes[13] *= 2; /* clusters of another size */
    assert_false(fat_came_back(&disk.device));
    assert_true(fs->write(f, 0, "x", 1) < 0);
    disk.bytes[13] /= 2;
    assert_true(fat_came_back(&disk.device)); /* no longer ours to lose */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_of_every_kind),
        TEST(illegal_names_are_refused),
        TEST(what_mtools_wrote_is_read),
        TEST(what_we_wrote_mtools_reads),
        TEST(errors_have_their_codes),
        TEST(a_full_volume_says_so_and_recovers),
        TEST(what_a_full_volume_cannot_take_leaves_no_trace),
        TEST(a_file_that_cannot_be_open_is_not_made),
        TEST(many_files_grow_a_directory),
        TEST(a_random_walk_beside_a_shadow),
        TEST(damage_is_survived),
        TEST(files_that_others_changed_meanwhile),
        TEST(a_volume_that_is_another_is_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
