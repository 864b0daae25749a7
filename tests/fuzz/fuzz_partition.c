/*
 * fuzz_partition.c - damaged GPT and MBR tables. The input is the disk; what
 * is found must lie on it.
 */
#include "kernel/partition.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/ram_disk.h"

enum { SECTORS = 64, GPT_ENTRY = 128, GPT_ENTRIES = 4 };

static uint32_t get(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

static void put(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

static uint32_t crc(const uint8_t *p, uint64_t n)
{
    return ~partition_crc(~0u, p, (uint32_t)n);
}

static void mend_gpt(uint8_t *data, size_t size, size_t lba)
{
    uint8_t *h = data + lba * RAM_SECTOR;
    uint64_t table = get(h + 72) * (uint64_t)RAM_SECTOR;
    uint64_t bytes = get(h + 80) * (uint64_t)get(h + 84);

    if (memcmp(h, "EFI PART", 8) != 0 || get(h + 12) > RAM_SECTOR)
        return;
    if (table <= size && bytes <= size - table)
        put(h + 88, crc(data + table, bytes));
    put(h + 16, 0);
    put(h + 16, crc(h, get(h + 12)));
}

static void mend(uint8_t *data, size_t size)
{
    size_t sectors = size / RAM_SECTOR;

    if (sectors < 2)
        return;
    mend_gpt(data, size, 1);
    mend_gpt(data, size, sectors - 1);
}

static bool run(uint8_t *data, size_t size)
{
    struct partition parts[8];
    struct ram_disk disk;
    enum partition_table table;
    unsigned n;

    ram_init(&disk, size / RAM_SECTOR + 1);
    memcpy(disk.bytes, data, size);
    disk.device.sectors = size / RAM_SECTOR;
    if (size % RAM_SECTOR == 1) { /* a disk of the other kind */
        disk.device.sector_size = 8 * RAM_SECTOR;
        disk.device.sectors /= 8;
    }
    n = partition_scan(&disk.device, parts, 8, &table);
    if (n > 8 || (n && table == TABLE_NONE))
        abort();
    while (n--)
        if (!parts[n].sectors || parts[n].first >= disk.device.sectors ||
            parts[n].sectors > disk.device.sectors - parts[n].first)
            abort();
    ram_free(&disk);
    return table != TABLE_NONE;
}

static void make_gpt(uint8_t *to, uint32_t lba, uint32_t table)
{
    static const uint8_t store[16] = STORE_TYPE_GUID;
    uint8_t *h = to + lba * RAM_SECTOR, *e = to + table * RAM_SECTOR;

    memcpy(h, "EFI PART\0\0\1", 12);
    put(h + 12, 92);
    put(h + 24, lba);
    put(h + 72, table);
    put(h + 80, GPT_ENTRIES);
    put(h + 84, GPT_ENTRY);
    for (uint32_t i = 0; i < GPT_ENTRIES - 1; i++, e += GPT_ENTRY) {
        memcpy(e, store, sizeof store);
        put(e + 32, 4 + 16 * i);
        put(e + 40, 19 + 16 * i);
    }
}

static void make_mbr_entry(uint8_t *sector, unsigned i, uint8_t type,
                           uint32_t first, uint32_t n)
{
    uint8_t *e = sector + 446 + 16 * i;

    e[4] = type;
    put(e + 8, first);
    put(e + 12, n);
    sector[510] = 0x55;
    sector[511] = 0xaa;
}

/* GPT twice, its backup only, an MBR, an MBR with logical partitions. */
static size_t seed(unsigned i, uint8_t *to)
{
    if (i > 3)
        return 0;
    if (i == 0)
        make_gpt(to, 1, 2);
    if (i <= 1)
        make_gpt(to, SECTORS - 1, SECTORS - 2);
    if (i >= 2)
        make_mbr_entry(to, 0, 0x0c, 4, 20);
    if (i == 3) {
        make_mbr_entry(to, 1, 0x05, 24, 40);
        make_mbr_entry(to + 24 * RAM_SECTOR, 0, STORE_TYPE_MBR, 1, 10);
        make_mbr_entry(to + 24 * RAM_SECTOR, 1, 0x05, 12, 20);
        make_mbr_entry(to + 36 * RAM_SECTOR, 0, 0x0c, 1, 10);
    }
    mend(to, SECTORS * RAM_SECTOR);
    return SECTORS * RAM_SECTOR;
}

static const struct fuzz_target target = { seed, mend, run, 4 * RAM_SECTOR };
