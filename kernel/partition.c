/*
 * partition.c - GPT and MBR tables. Trusts nothing that it reads: every
 * number is checked against the disk before it is used.
 */
#include "kernel/partition.h"

#include <stdio.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"

enum {
    SECTOR_MAX = 4096,
    MBR_TABLE = 446, MBR_ENTRY = 16, MBR_SIGNATURE = 510,
    MBR_EXTENDED = 0x05, MBR_EXTENDED_LBA = 0x0f, MBR_PROTECTIVE = 0xee,
    LOGICAL_MAX = 16,
    GPT_ENTRIES_MAX = 256,
    PARTITIONS_MAX = 32, /* of a disk */
    DEVICES_MAX = 64,
};

static const uint8_t store_guid[16] = STORE_TYPE_GUID;
static const uint8_t data_guid[16] = DATA_TYPE_GUID;
/* c12a7328-f81f-11d2-ba4b-00a0c93ec93b: EFI system partition. */
static const uint8_t efi_guid[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8,
                                      0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0,
                                      0xc9, 0x3e, 0xc9, 0x3b };

uint32_t partition_crc(uint32_t crc, const uint8_t *p, uint32_t n)
{
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

/* --- what is being filled --- */

struct scan {
    struct block_device *disk;
    struct partition *parts;
    unsigned count, max;
};

static void add(struct scan *s, uint64_t first, uint64_t sectors,
                enum partition_kind kind)
{
    if (s->count == s->max || first == 0 || sectors == 0 ||
        first >= s->disk->sectors || sectors > s->disk->sectors - first)
        return;
    s->parts[s->count++] = (struct partition){ first, sectors, kind };
}

/* --- GPT --- */

enum partition_kind partition_guid_kind(const uint8_t *guid)
{
    if (memcmp(guid, store_guid, 16) == 0)
        return PARTITION_STORE;
    if (memcmp(guid, data_guid, 16) == 0)
        return PARTITION_FAT;
    if (memcmp(guid, efi_guid, 16) == 0)
        return PARTITION_EFI;
    return PARTITION_OTHER;
}

bool partition_gpt_header(uint8_t *h, uint64_t lba, uint32_t sector_size)
{
    uint32_t size = get32(h + 12), crc = get32(h + 16);

    if (memcmp(h, "EFI PART", 8) != 0 || size < 92 || size > sector_size ||
        get64(h + 24) != lba)
        return false;
    memset(h + 16, 0, 4);
    return ~partition_crc(~0u, h, size) == crc;
}

/* One pass over the entries: checks the CRC first, adds what is in use. */
static bool gpt_entries(struct scan *s, uint64_t table, uint32_t n,
                        uint32_t entry_size, uint32_t want_crc)
{
    uint8_t sector[SECTOR_MAX];
    uint32_t size = s->disk->sector_size, per = size / entry_size;
    uint32_t crc = ~0u;

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *e = sector + i % per * entry_size;

            if (i % per == 0 && block_read(s->disk, table + i / per, 1,
                                           sector))
                return false;
            if (pass == 0)
                crc = partition_crc(crc, e, entry_size);
            else if (get64(e) | get64(e + 8))
                if (get64(e + 40) >= get64(e + 32))
                    add(s, get64(e + 32), get64(e + 40) - get64(e + 32) + 1,
                        partition_guid_kind(e));
        }
        if (pass == 0 && ~crc != want_crc)
            return false;
    }
    return true;
}

static bool gpt_scan(struct scan *s, uint64_t lba)
{
    uint8_t h[SECTOR_MAX];
    uint32_t n, entry_size;

    if (block_read(s->disk, lba, 1, h) ||
        !partition_gpt_header(h, lba, s->disk->sector_size))
        return false;
    n = get32(h + 80);
    entry_size = get32(h + 84);
    if (n > GPT_ENTRIES_MAX || entry_size < 128 ||
        entry_size > s->disk->sector_size ||
        (entry_size & (entry_size - 1)) != 0)
        return false;
    return gpt_entries(s, get64(h + 72), n, entry_size, get32(h + 88));
}

/* --- MBR --- */

static enum partition_kind mbr_kind(uint8_t type)
{
    switch (type) {
    case 0x01: case 0x04: case 0x06: case 0x0b: case 0x0c: case 0x0e:
        return PARTITION_FAT;
    case STORE_TYPE_MBR:
        return PARTITION_STORE;
    case 0xef:
        return PARTITION_EFI;
    default:
        return PARTITION_OTHER;
    }
}

static bool is_extended(uint8_t type)
{
    return type == MBR_EXTENDED || type == MBR_EXTENDED_LBA;
}

/* The chain of logical partitions; bounded, since it may be a circle. */
static void mbr_logical(struct scan *s, uint64_t base)
{
    uint64_t at = base;
    uint8_t sector[SECTOR_MAX];

    for (unsigned i = 0; i < LOGICAL_MAX; i++) {
        const uint8_t *e = sector + MBR_TABLE, *next = e + MBR_ENTRY;

        if (block_read(s->disk, at, 1, sector) ||
            sector[MBR_SIGNATURE] != 0x55 ||
            sector[MBR_SIGNATURE + 1] != 0xaa)
            return;
        if (e[4])
            add(s, at + get32(e + 8), get32(e + 12), mbr_kind(e[4]));
        if (!is_extended(next[4]))
            return;
        at = base + get32(next + 8);
    }
}

static void mbr_scan(struct scan *s, const uint8_t *sector)
{
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *e = sector + MBR_TABLE + i * MBR_ENTRY;

        if (is_extended(e[4]))
            mbr_logical(s, get32(e + 8));
        else if (e[4] && e[4] != MBR_PROTECTIVE)
            add(s, get32(e + 8), get32(e + 12), mbr_kind(e[4]));
    }
}

/* A boot sector of a FAT volume has the MBR's signature too: a table whose
 * boot flags are neither 0 nor 0x80 is none. */
static bool mbr_plausible(const uint8_t *sector)
{
    unsigned used = 0;

    if (sector[MBR_SIGNATURE] != 0x55 || sector[MBR_SIGNATURE + 1] != 0xaa)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *e = sector + MBR_TABLE + i * MBR_ENTRY;

        if (e[0] & 0x7f)
            return false;
        used += e[4] != 0;
    }
    return used > 0;
}

unsigned partition_scan(struct block_device *disk, struct partition *parts,
                        unsigned max, enum partition_table *table)
{
    struct scan s = { disk, parts, 0, max };
    uint8_t sector[SECTOR_MAX];

    *table = TABLE_NONE;
    if (disk->sector_size < 512 || disk->sector_size > SECTOR_MAX ||
        disk->sectors < 4)
        return 0;
    *table = TABLE_GPT;
    if (gpt_scan(&s, 1))
        return s.count;
    s.count = 0;
    if (gpt_scan(&s, disk->sectors - 1))
        return s.count;
    s.count = 0;
    *table = TABLE_NONE;
    if (block_read(disk, 0, 1, sector) || !mbr_plausible(sector))
        return 0;
    *table = TABLE_MBR;
    mbr_scan(&s, sector);
    return s.count;
}

/* --- partitions as block devices --- */

struct partition_device {
    struct block_device device;
    enum partition_kind kind;
};

static struct partition_device devices[DEVICES_MAX];
static unsigned device_count;

static int part_read(struct block_device *d, uint64_t sector, uint32_t count,
                     void *bytes)
{
    return block_read(d->parent, d->first_sector + sector, count, bytes);
}

static int part_write(struct block_device *d, uint64_t sector, uint32_t count,
                      const void *bytes)
{
    return block_write(d->parent, d->first_sector + sector, count, bytes);
}

static int part_flush(struct block_device *d)
{
    return block_flush(d->parent);
}

static const struct block_ops part_ops = {
    .read = part_read, .write = part_write, .flush = part_flush,
};

void partition_view(struct block_device *view, struct block_device *disk,
                    unsigned number, const struct partition *p)
{
    *view = *disk;
    view->ops = &part_ops;
    view->parent = disk;
    view->first_sector = p->first;
    view->sectors = p->sectors;
    snprintf(view->name, sizeof view->name, "%.10sp%hhu", disk->name,
             (uint8_t)number);
}

static struct block_device *register_partition(struct block_device *disk,
                                               unsigned number,
                                               const struct partition *p)
{
    struct partition_device *pd;

    if (device_count == DEVICES_MAX)
        return NULL;
    pd = &devices[device_count];
    pd->kind = p->kind;
    partition_view(&pd->device, disk, number, p);
    if (block_register(&pd->device))
        return NULL;
    device_count++;
    return &pd->device;
}

struct block_device *partition_device(struct block_device *disk,
                                      uint64_t first, uint64_t sectors)
{
    struct partition p = { first, sectors, PARTITION_STORE };
    unsigned number = 1;

    if (first >= disk->sectors || sectors > disk->sectors - first)
        return NULL;
    for (unsigned i = 0; i < device_count; i++) {
        struct block_device *d = &devices[i].device;

        if (d->parent != disk)
            continue;
        if (d->first_sector == first && d->sectors == sectors)
            return d;
        number++;
    }
    return register_partition(disk, number, &p);
}

void partition_register(struct block_device *disk)
{
    struct partition parts[PARTITIONS_MAX];
    enum partition_table table;
    unsigned n = partition_scan(disk, parts, PARTITIONS_MAX, &table);

    for (unsigned k = 0; k < n; k++)
        register_partition(disk, k + 1, &parts[k]);
}

void partition_init(void)
{
    unsigned disks = 0;

    while (block_device(disks))
        disks++;
    for (unsigned i = 0; i < disks; i++)
        partition_register(block_device(i));
}

enum partition_kind partition_kind(const struct block_device *d)
{
    for (unsigned i = 0; i < device_count; i++)
        if (&devices[i].device == d)
            return devices[i].kind;
    return PARTITION_OTHER;
}
