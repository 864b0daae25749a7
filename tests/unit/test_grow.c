/*
 * test_grow.c - a small stick's image on a bigger stick: the store grows, or
 * not; cut off at every write, with failing writes, with tables that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/choose.h"
#include "kernel/gpt.h"
#include "kernel/grow.h"
#include "kernel/klog.h"
#include "kernel/partition.h"
#include "kernel/store.h"
#include "tests/unit/ram_disk.h"
#include "tests/unit/shell.h"

enum {
    MB = 2048, /* sectors */
    SMALL = 8 * MB, SECTORS = 26 * MB,
    STORE = 7168, OLD_LAST = 8 * MB - 35, NEW_LAST = 25 * MB - 1,
    IMAGE_BYTES = 2000000,
};

static struct ram_disk disk;
static struct block_device view;
static struct growth growth;
static uint32_t seed = 99;
static enum answer answer;

void klog(const char *format, ...) {}
void klog_screen_flush(void) {}
enum answer choose_yes(unsigned seconds) { return answer; }

static uint32_t random32(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

static const char *path(void)
{
    static char name[64];

    snprintf(name, sizeof name, "/tmp/aerostat-grow-%d.img", (int)getpid());
    return name;
}

/* --- the stick --- */

static uint8_t stick[SMALL * RAM_SECTOR];

/* As iso/mkdisk.sh lays it out, but smaller. */
static void make_stick(void)
{
    FILE *f;

    run("rm -f %s; truncate -s 8M %s && sgdisk -o -a 1 -n1:2048:3071 "
        "-t1:ef02 -n2:3072:5119 -t2:ef00 -n3:5120:7167 -t3:0700 "
        "-n4:7168:%d -t4:7A05E7A0-4D70-4E4F-B00B-5A11BA110001 %s > /dev/null",
        path(), path(), OLD_LAST, path());
    f = fopen(path(), "rb");
    assert_int_equal(fread(stick, RAM_SECTOR, SMALL, f), SMALL);
    fclose(f);
    unlink(path());
}

/* The registered device of the store, as a boot finds it; its sectors. */
static uint64_t mount(void)
{
    struct partition parts[8];
    enum partition_table table;
    unsigned n = partition_scan(&disk.device, parts, 8, &table);

    assert_int_equal(table, TABLE_GPT);
    assert_int_equal(n, 4);
    assert_int_equal(parts[0].first, 2048);
    assert_int_equal(parts[1].first, 3072);
    assert_int_equal(parts[2].first, 5120);
    assert_int_equal(parts[3].first, STORE);
    partition_view(&view, &disk.device, 4, &parts[3]);
    assert_int_equal(store_mount(&view), 0);
    return parts[3].sectors;
}

static void save(uint64_t bytes)
{
    static uint8_t piece[100000];
    const char *why;
    struct store_image *im = store_create("kept", bytes, &why);

    assert_non_null(im);
    for (uint64_t at = 0; at < bytes; at += sizeof piece)
        assert_int_equal(store_write(im, piece, sizeof piece), 0);
    assert_int_equal(store_close(im, true), 0);
}

static void expect_image(void)
{
    const char *why;
    uint64_t size;

    assert_non_null(store_open("kept", &size, &why));
    assert_null(why);
    assert_int_equal(size, IMAGE_BYTES);
}

static int setup(void **state)
{
    struct partition p = { STORE, OLD_LAST - STORE + 1, PARTITION_STORE };

    ram_init(&disk, SECTORS);
    memset(disk.bytes, 0xa5, (uint64_t)SECTORS * RAM_SECTOR);
    memcpy(disk.bytes, stick, sizeof stick);
    partition_view(&view, &disk.device, 4, &p);
    assert_int_equal(store_format(&view), 0);
    save(IMAGE_BYTES);
    return 0;
}

static int teardown(void **state)
{
    ram_free(&disk);
    return 0;
}

static int group_setup(void **state)
{
    make_stick();
    return 0;
}

/* --- what happens --- */

static void expect_sound(void)
{
    FILE *f = fopen(path(), "wb");

    assert_int_equal(fwrite(disk.bytes, RAM_SECTOR, SECTORS, f), SECTORS);
    fclose(f);
    run("sgdisk -v %s | grep -q 'No problems found'", path());
    unlink(path());
}

static void yes_lets_it_grow_once(void **state)
{
    uint8_t code[440];

    memset(disk.bytes, 0x90, sizeof code);
    memset(code, 0x90, sizeof code);
    answer = ANSWER_YES;
    assert_true(grow_find(&growth));
    assert_int_equal(growth.before, (OLD_LAST - STORE + 1) * 512);
    assert_int_equal(growth.after, (NEW_LAST - STORE + 1) * 512);
    grow_offer();
    assert_int_equal(mount(), NEW_LAST - STORE + 1);
    assert_memory_equal(disk.bytes, code, sizeof code);
    expect_image();
    expect_sound();
    assert_false(grow_find(&growth));
    save(12000000); /* more than there was room for */
}

static void no_is_remembered(void **state)
{
    answer = ANSWER_NO;
    assert_true(grow_find(&growth));
    grow_offer();
    assert_int_equal(mount(), OLD_LAST - STORE + 1);
    expect_image();
    expect_sound();
    assert_false(grow_find(&growth));
}

static void no_answer_changes_nothing(void **state)
{
    uint8_t *before = malloc((size_t)SECTORS * RAM_SECTOR);

    memcpy(before, disk.bytes, (size_t)SECTORS * RAM_SECTOR);
    answer = ANSWER_NONE;
    grow_offer();
    assert_memory_equal(before, disk.bytes, (size_t)SECTORS * RAM_SECTOR);
    assert_true(grow_find(&growth));
    free(before);
}

/* GRUB under BIOS looks at the primary table and believes it. */
static void expect_grub_finds_its_volume(void)
{
    const uint8_t *e = disk.bytes + 2 * RAM_SECTOR + GPT_ENTRY;
    uint64_t first;

    assert_memory_equal(disk.bytes + RAM_SECTOR, "EFI PART", 8);
    memcpy(&first, e + 32, sizeof first);
    assert_int_equal(first, 3072);
}

static void a_power_cut_leaves_a_stick_that_starts(void **state)
{
    uint8_t *before = malloc((size_t)SECTORS * RAM_SECTOR);

    memcpy(before, disk.bytes, (size_t)SECTORS * RAM_SECTOR);
    assert_true(grow_find(&growth));
    disk.recording = true;
    assert_int_equal(grow_settle(&growth, true), 0);
    disk.recording = false;
    assert_true(disk.event_count >= 8);
    for (unsigned cut = 0; cut <= disk.event_count; cut++)
        for (unsigned variant = 0; variant < 12; variant++) {
            ram_replay(&disk, before, cut, random32);
            uint64_t sectors = mount();

            expect_grub_finds_its_volume();
            expect_image();
            if (sectors != NEW_LAST - STORE + 1)
                assert_int_equal(sectors, OLD_LAST - STORE + 1);
            if (cut == disk.event_count)
                assert_int_equal(sectors, NEW_LAST - STORE + 1);
        }
    free(before);
}

static void a_failing_write_loses_nothing(void **state)
{
    int error = -EIO;

    for (int n = 0; error; n++) {
        teardown(NULL);
        setup(NULL);
        assert_true(grow_find(&growth));
        disk.writes_left = n;
        error = grow_settle(&growth, true);
        disk.writes_left = -1;
        if (error)
            assert_int_equal(view.sectors, OLD_LAST - STORE + 1);
        mount();
        expect_image();
        assert_true(n < 20);
    }
}

/* --- not ours, or not true --- */

static void rewrite(struct gpt *g)
{
    uint8_t mbr[512];
    uint64_t sectors = disk.device.sectors;

    disk.device.sectors = SMALL; /* the backup stays where it was */
    memcpy(mbr, disk.bytes, sizeof mbr);
    assert_int_equal(gpt_write(g, mbr), 0);
    disk.device.sectors = sectors;
}

static void other_disks_are_left_alone(void **state)
{
    static const uint8_t linux_type[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83 };
    static struct gpt g;

    disk.device.sectors = SMALL;
    assert_false(grow_find(&growth)); /* no room */
    disk.device.sectors = SMALL + 1 * MB;
    assert_false(grow_find(&growth)); /* not worth a question */
    disk.device.sectors = SECTORS;
    assert_true(grow_find(&growth));
    disk.device.read_only = true;
    assert_false(grow_find(&growth));
    disk.device.read_only = false;
    disk.bytes[446 + 16 + 4] = 7; /* a hybrid MBR */
    assert_false(grow_find(&growth));
    disk.bytes[446 + 16 + 4] = 0;
    assert_int_equal(gpt_read(&g, &disk.device), 0);
    gpt_set_last(&g, 3, OLD_LAST - 100);
    gpt_add(&g, linux_type, "root",
            (struct gpt_range){ OLD_LAST - 99, OLD_LAST });
    rewrite(&g);
    assert_false(grow_find(&growth));
}

static void tables_that_lie_are_left_alone(void **state)
{
    static struct gpt g;

    disk.bytes[2 * 512 + 5 * 128] ^= 1; /* the checksum of the entries */
    assert_false(grow_find(&growth));
    disk.bytes[2 * 512 + 5 * 128] ^= 1;
    assert_true(grow_find(&growth));
    assert_int_equal(gpt_read(&g, &disk.device), 0);
    gpt_set_last(&g, 2, STORE + 5); /* into the store */
    rewrite(&g);
    assert_false(grow_find(&growth));
    gpt_set_last(&g, 2, UINT64_MAX);
    rewrite(&g);
    assert_false(grow_find(&growth));
    gpt_set_last(&g, 2, 100); /* ends before it begins */
    rewrite(&g);
    assert_false(grow_find(&growth));
    disk.device.sectors = 200;
    assert_false(grow_find(&growth));
}

/* With right checksums, so that it is believed as far as can be. */
static void random_tables_are_survived(void **state)
{
    static uint8_t whole[SMALL * RAM_SECTOR];

    memcpy(whole, disk.bytes, sizeof whole);
    for (int round = 0; round < 2000; round++) {
        uint8_t *h = disk.bytes + RAM_SECTOR, *e = h + RAM_SECTOR;
        uint32_t crc, zero = 0;

        memcpy(disk.bytes, whole, 34 * RAM_SECTOR);
        for (uint32_t n = random32() % 4; n; n--)
            e[random32() % 1024] = random32();
        h[40 + random32() % 16] = random32();
        crc = ~partition_crc(~0u, e, GPT_ENTRIES * GPT_ENTRY);
        memcpy(h + 88, &crc, 4);
        memcpy(h + 16, &zero, 4);
        crc = ~partition_crc(~0u, h, 92);
        memcpy(h + 16, &crc, 4);
        if (!grow_find(&growth))
            continue;
        assert_ptr_equal(growth.store, &view);
        assert_int_equal(growth.last, NEW_LAST);
        assert_int_equal(growth.before, (OLD_LAST - STORE + 1) * 512);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(yes_lets_it_grow_once),
        TEST(no_is_remembered),
        TEST(no_answer_changes_nothing),
        TEST(a_power_cut_leaves_a_stick_that_starts),
        TEST(a_failing_write_loses_nothing),
        TEST(other_disks_are_left_alone),
        TEST(tables_that_lie_are_left_alone),
        TEST(random_tables_are_survived),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
