/*
 * test_storage.c - what the disks hold, and an empty one made ours: judged
 * by our own readers and by sgdisk and mtools; cut off at every write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/clock.h"
#include "kernel/disk_format.h"
#include "kernel/fs.h"
#include "kernel/klog.h"
#include "kernel/partition.h"
#include "kernel/storage.h"
#include "kernel/store.h"
#include "tests/unit/ram_disk.h"
#include "tests/unit/shell.h"

enum { MB = 2048, SECTORS = 320 * MB }; /* sectors */

static struct ram_disk disk;

int64_t clock_utc_usecs(void) { return 1700000000ll * 1000000; }
void klog(const char *format, ...) {}

static int group_setup(void **state)
{
    ram_init(&disk, SECTORS);
    return block_register(&disk.device);
}

static int setup(void **state)
{
    free(disk.bytes);
    disk.bytes = calloc(SECTORS, RAM_SECTOR);
    disk.device.sectors = SECTORS;
    disk.device.read_only = false;
    disk.writes_left = -1;
    disk.bad_sector = -1;
    return 0;
}

static struct storage_disk look(void)
{
    struct storage_disk s;

    assert_true(storage_disk(0, &s));
    assert_ptr_equal(s.device, &disk.device);
    return s;
}

static void expect(bool empty, const char *contents)
{
    struct storage_disk s = look();

    assert_string_equal(s.contents, contents);
    assert_int_equal(s.empty, empty);
}

static void only_blank_disks_count_as_empty(void **state)
{
    struct storage_disk s;

    expect(true, "empty");
    assert_false(storage_disk(1, &s));
    disk.device.read_only = true;
    expect(false, "empty, but read-only");
    disk.device.read_only = false;
    disk.device.sectors = 40 * MB;
    expect(false, "empty, but too small");
    disk.device.sectors = SECTORS;
    disk.bytes[(SECTORS - 1ull) * RAM_SECTOR] = 1; /* a RAID's superblock */
    expect(false, "data of unknown kind");
    disk.bytes[(SECTORS - 1ull) * RAM_SECTOR] = 0;
    disk.bytes[1000000] = 1;
    expect(false, "data of unknown kind");
    disk.bytes[1000000] = 0;
    disk.bad_sector = 0;
    expect(false, "cannot be read");
}

static void volumes_without_a_table_are_named(void **state)
{
    memcpy(disk.bytes + 1080, "\x53\xef", 2);
    expect(false, "an ext2, ext3 or ext4 volume");
    memcpy(disk.bytes + 3, "NTFS    ", 8);
    expect(false, "an NTFS volume");
}

static const char *path(void)
{
    static char name[64];

    snprintf(name, sizeof name, "/tmp/aerostat-storage-%d.img",
             (int)getpid());
    return name;
}

static void to_file(void)
{
    FILE *f = fopen(path(), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(disk.bytes, RAM_SECTOR, disk.device.sectors, f),
                     disk.device.sectors);
    assert_int_equal(fclose(f), 0);
}

static void partitioned_disks_are_left_alone(void **state)
{
    const char *why;
    FILE *f;

    to_file();
    run("sgdisk -o -n1:2048:+8M -n2:0:+8M %s > /dev/null", path());
    f = fopen(path(), "rb");
    assert_int_equal(fread(disk.bytes, RAM_SECTOR, SECTORS, f), SECTORS);
    fclose(f);
    unlink(path());
    expect(false, "GPT, 2 partitions");
    assert_int_not_equal(storage_format("ram0", &why), 0);
    assert_string_equal(why, "the disk is not empty");
    expect(false, "GPT, 2 partitions");
}

static void save(const char *name, const char *text)
{
    const char *why;
    struct store_image *im = store_create(name, strlen(text), &why);

    assert_non_null(im);
    assert_int_equal(store_write(im, text, strlen(text)), 0);
    assert_int_equal(store_close(im, true), 0);
}

static void an_empty_disk_becomes_ours(void **state)
{
    const struct fs_ops *fs;
    const char *why;
    int f;

    assert_int_equal(storage_format("ram0", &why), 0);
    expect(false, "an image store");
    assert_string_equal(store_device()->name, "ram0p2");
    save("a", "kept");
    assert_string_equal(store_name(0), "a");
    fs = fs_mounted();
    assert_non_null(fs);
    f = fs->open("/hello.txt", FS_CREATE_NEW);
    assert_true(f >= 0);
    assert_int_equal(fs->write(f, 0, "hello", 5), 5);
    assert_int_equal(fs->close(f), 0);
    to_file();
    run("sgdisk -v %s | grep -q 'No problems found'", path());
    run("sgdisk -p %s | grep -q Images", path());
    run("mtype -i %s@@1M ::/hello.txt | grep -q hello", path());
    run("minfo -i %s@@1M :: > /dev/null", path());
    unlink(path());
    assert_int_equal(store_mount(
        (struct block_device *)store_device()), 0);
    assert_string_equal(store_name(0), "a");
}

/* Small disks hold images only, so that there are few writes to cut. */
static void cut_off_it_is_empty_or_ours(void **state)
{
    bool whole = false;

    for (int cut = 0; !whole; cut++) {
        setup(state);
        disk.device.sectors = 64 * MB;
        disk.writes_left = cut;
        whole = disk_format(&disk.device, 1) == 0;
        disk.writes_left = -1;
        struct storage_disk s = look();

        if (whole)
            assert_string_equal(s.contents, "an image store");
        else if (strcmp(s.contents, "empty") != 0 &&
                 strcmp(s.contents, "an image store") != 0)
            assert_true(cut >= 64); /* between the table's own writes */
        assert_true(cut < 200);
    }
}

/* --- what an installer does --- */

/* The disk is the one that an_empty_disk_becomes_ours has left. */
static void a_disk_in_use_is_not_written_to(void **state)
{
    uint8_t sectors[1024] = { 1 };

    assert_int_equal(storage_move("ram0", true, 5, sectors, 1024), -EBUSY);
    assert_int_equal(storage_move("ram0", true, 0, sectors, 0), -EBUSY);
    assert_int_equal(storage_move("ram0", false, 0, sectors, 1024), 0);
    assert_int_equal(sectors[510], 0x55);
    assert_true(look().in_use);
    fs_mount(NULL);
    store_unmount();
    assert_false(look().in_use);
    assert_int_equal(storage_move("ram0", true, 5, sectors, 1024), 0);
    assert_memory_equal(disk.bytes + 5 * RAM_SECTOR, sectors, 1024);
    assert_int_equal(storage_move("ram0", true, SECTORS - 1, sectors, 1024),
                     -EINVAL);
    assert_int_equal(storage_move("ram0", true, 0, sectors, 100), -EINVAL);
    assert_int_equal(storage_move("ram0p2", false, 0, sectors, 512), -ENODEV);
    assert_int_equal(storage_move("ram9", false, 0, sectors, 512), -ENODEV);
}

static void the_store_moves_and_comes_back(void **state)
{
    const char *why;

    assert_int_equal(storage_use("ram0", 100 * MB, 30 * MB, &why), 0);
    save("there", "first");
    assert_int_equal(storage_use("ram0", 200 * MB, 30 * MB, &why), 0);
    assert_null(store_name(0));
    save("elsewhere", "second");
    assert_int_equal(storage_use("ram0", 100 * MB, 30 * MB, &why), 0);
    assert_string_equal(store_name(0), "there");
    assert_int_equal(storage_use("", 0, 0, &why), 0);
    assert_null(store_device());
    assert_null(store_name(0));
}

static void a_store_is_made_only_where_it_was_cleared(void **state)
{
    const char *why;

    assert_int_equal(storage_use("ram0", 100 * MB, 30 * MB, &why), 0);
    save("kept", "first");
    disk.bytes[150ull * MB * RAM_SECTOR + 70] = 1;
    assert_int_not_equal(storage_use("ram0", 150 * MB, 30 * MB, &why), 0);
    assert_string_equal(
        why, "there is no store, and no room that was cleared for one");
    assert_string_equal(store_name(0), "kept"); /* the one before is back */
    assert_int_not_equal(storage_use("ram0", 300 * MB, 30 * MB, &why), 0);
    assert_int_not_equal(storage_use("ram0", UINT64_MAX, 2, &why), 0);
    assert_int_not_equal(storage_use("ram7", 0, 0, &why), 0);
    assert_string_equal(why, "there is no such disk, or it is too short");
    assert_string_equal(store_name(0), "kept");
}

static void a_damaged_save_is_found_when_the_store_is_used(void **state)
{
    const char *why;

    assert_int_equal(storage_use("ram0", 100 * MB, 30 * MB, &why), 0);
    save("kept", "first");
    disk.bytes[100ull * MB * RAM_SECTOR + 65 * 4096] ^= 1;
    assert_int_not_equal(storage_use("ram0", 100 * MB, 30 * MB, &why), 0);
    assert_non_null(strstr(why, "its checksum is wrong"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_blank_disks_count_as_empty, setup),
        cmocka_unit_test_setup(volumes_without_a_table_are_named, setup),
        cmocka_unit_test_setup(partitioned_disks_are_left_alone, setup),
        cmocka_unit_test_setup(cut_off_it_is_empty_or_ours, setup),
        cmocka_unit_test_setup(an_empty_disk_becomes_ours, setup),
        cmocka_unit_test(a_disk_in_use_is_not_written_to),
        cmocka_unit_test_setup(the_store_moves_and_comes_back, setup),
        cmocka_unit_test_setup(a_store_is_made_only_where_it_was_cleared,
                               setup),
        cmocka_unit_test_setup(a_damaged_save_is_found_when_the_store_is_used,
                               setup),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
