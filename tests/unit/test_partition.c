/*
 * test_partition.c - GPT and MBR tables, made by sgdisk and by hand, whole
 * and damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/partition.h"
#include "tests/unit/ram_disk.h"

enum { SECTORS = 65536 };

static struct ram_disk disk;
static struct partition parts[16];
static enum partition_table table;

static int setup(void **state)
{
    ram_init(&disk, SECTORS);
    return 0;
}

static int teardown(void **state)
{
    ram_free(&disk);
    return 0;
}

static unsigned scan(void)
{
    return partition_scan(&disk.device, parts, 16, &table);
}

static uint8_t whole_gpt[SECTORS * RAM_SECTOR];

static void make_gpt(void)
{
    static bool made;
    char path[64], command[512];
    FILE *f;

    if (made) {
        memcpy(disk.bytes, whole_gpt, sizeof whole_gpt);
        return;
    }
    snprintf(path, sizeof path, "/tmp/aerostat-gpt-%d.img", (int)getpid());
    snprintf(command, sizeof command,
             "rm -f %s; truncate -s %u %s && sgdisk -o -n1:2048:+1M -t1:ef02 "
             "-n2:8192:+4M -t2:ef00 -n3:20480:+8M -t3:0700 "
             "-n4:40960:0 -t4:7A05E7A0-4D70-4E4F-B00B-5A11BA110001 %s "
             "> /dev/null",
             path, SECTORS * RAM_SECTOR, path, path);
    assert_int_equal(system(command), 0);
    f = fopen(path, "rb");
    assert_int_equal(fread(disk.bytes, RAM_SECTOR, SECTORS, f), SECTORS);
    fclose(f);
    unlink(path);
    memcpy(whole_gpt, disk.bytes, sizeof whole_gpt);
    made = true;
}

static void expect_gpt(void)
{
    assert_int_equal(scan(), 4);
    assert_int_equal(table, TABLE_GPT);
    assert_int_equal(parts[0].kind, PARTITION_OTHER);
    assert_int_equal(parts[1].kind, PARTITION_EFI);
    assert_int_equal(parts[2].kind, PARTITION_FAT);
    assert_int_equal(parts[2].first, 20480);
    assert_int_equal(parts[2].sectors, 16384);
    assert_int_equal(parts[3].kind, PARTITION_STORE);
}

static void gpt_is_read(void **state)
{
    make_gpt();
    expect_gpt();
}

static void a_damaged_gpt_has_its_backup(void **state)
{
    make_gpt();
    disk.bytes[512 + 80] ^= 1;
    expect_gpt();
    make_gpt();
    disk.bytes[1024 + 200] ^= 1;
    expect_gpt();
    disk.bytes[(SECTORS - 1) * 512ull + 20] ^= 1;
    assert_int_equal(scan(), 0);
}

static void mbr_entry(unsigned i, uint8_t type, uint32_t first, uint32_t n)
{
    uint8_t *e = disk.bytes + 446 + 16 * i;

    e[4] = type;
    memcpy(e + 8, &first, 4);
    memcpy(e + 12, &n, 4);
    disk.bytes[510] = 0x55;
    disk.bytes[511] = 0xaa;
}

static void mbr_is_read(void **state)
{
    mbr_entry(0, 0x0c, 2048, 10000);
    mbr_entry(1, STORE_TYPE_MBR, 20000, 10000);
    mbr_entry(2, 0x83, 60000, 10000); /* beyond the end */
    assert_int_equal(scan(), 2);
    assert_int_equal(parts[0].kind, PARTITION_FAT);
    assert_int_equal(parts[1].kind, PARTITION_STORE);
}

static void a_circle_of_logical_partitions_ends(void **state)
{
    uint8_t *sector = disk.bytes + 4096 * 512;
    uint32_t one = 1, size = 100, back = 0;

    mbr_entry(0, 0x05, 4096, 20000);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    sector[446 + 4] = 0x0c;
    memcpy(sector + 446 + 8, &one, 4);
    memcpy(sector + 446 + 12, &size, 4);
    sector[462 + 4] = 0x05;
    memcpy(sector + 462 + 8, &back, 4); /* itself */
    assert_true(scan() >= 1);
    assert_int_equal(parts[0].first, 4097);
}

static void blank_and_tiny_disks_have_none(void **state)
{
    assert_int_equal(scan(), 0);
    assert_int_equal(table, TABLE_NONE);
    disk.device.sectors = 1;
    assert_int_equal(scan(), 0);
    disk.device.sectors = SECTORS;
    disk.bad_sector = 1;
    assert_int_equal(scan(), 0);
}

static void random_damage_is_survived(void **state)
{
    uint32_t seed = 7;

    for (int round = 0; round < 3000; round++) {
        if (round % 50 == 0)
            make_gpt();
        seed = seed * 1664525u + 1013904223u;
        disk.bytes[(seed >> 8) % (34 * 512)] = seed;
        if (seed & 0x10000)
            memset(disk.bytes + (SECTORS - 33) * 512ull, seed, 33 * 512);
        unsigned n = scan();

        for (unsigned i = 0; i < n; i++)
            assert_true(parts[i].first + parts[i].sectors <= SECTORS);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gpt_is_read),
        TEST(a_damaged_gpt_has_its_backup),
        TEST(mbr_is_read),
        TEST(a_circle_of_logical_partitions_ends),
        TEST(blank_and_tiny_disks_have_none),
        TEST(random_damage_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
