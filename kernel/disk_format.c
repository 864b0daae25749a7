/*
 * disk_format.c - partitions an empty disk (disk_format.h). The GPT is that
 * of UEFI 2.10, sections 5.2 and 5.3.
 */
#include "kernel/disk_format.h"

#include <errno.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"
#include "kernel/fat.h"
#include "kernel/partition.h"
#include "kernel/store.h"

#define MIB (1ull << 20)

enum {
    SECTOR_MAX = 4096,
    ENTRIES = 128, ENTRY = 128, HEADER = 92,
    FILES_MIN_MB = 64, FILES_MAX_MB = 2048,
    FILES_DISK_MIN_MB = 256, /* smaller disks hold images only */
    PARTS = 2,
};

struct table {
    struct block_device *disk;
    uint32_t entry_sectors;
    uint32_t crc;
    uint8_t guid[16]; /* of the disk */
};

struct part {
    struct partition range;
    const char *name;
    uint8_t type[16];
};

static uint8_t entries[ENTRIES * ENTRY];
static uint8_t sector[SECTOR_MAX];

/* Version 4 of RFC 4122, from a counter run through splitmix64. */
static void make_guid(uint64_t *seed, uint8_t guid[16])
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        put64(guid + 8 * i, z ^ z >> 31);
    }
    guid[7] = (guid[7] & 0x0f) | 0x40;
    guid[8] = (guid[8] & 0x3f) | 0x80;
}

/* --- layout --- */

static uint64_t sectors_of(const struct block_device *d, uint64_t bytes)
{
    return bytes / d->sector_size;
}

/* From 1 MiB to 1 MiB before the end: files first, images in the rest. */
static unsigned lay_out(const struct block_device *d, struct part *parts)
{
    uint64_t mb = d->sectors * d->sector_size / MIB, files = 0;
    unsigned n = 0;

    if (mb >= FILES_DISK_MIN_MB) {
        files = mb / 4;
        files = files > FILES_MAX_MB ? FILES_MAX_MB : files;
        files = files * MIB / d->sector_size < 80000 ? 0 : files;
    }
    if (files)
        parts[n++] = (struct part){
            { sectors_of(d, MIB), sectors_of(d, files * MIB), PARTITION_FAT },
            "Files", DATA_TYPE_GUID };
    parts[n++] = (struct part){
        { sectors_of(d, (1 + files) * MIB),
          sectors_of(d, (mb - 2 - files) * MIB), PARTITION_STORE },
        "Images", STORE_TYPE_GUID };
    return n;
}

/* --- the table --- */

static void fill_entry(uint8_t *e, const struct part *p, uint64_t *seed)
{
    memcpy(e, p->type, 16);
    make_guid(seed, e + 16);
    put64(e + 32, p->range.first);
    put64(e + 40, p->range.first + p->range.sectors - 1);
    for (unsigned i = 0; p->name[i]; i++)
        put16(e + 56 + 2 * i, (uint8_t)p->name[i]);
}

static int write_header(const struct table *t, uint64_t at, uint64_t other,
                        uint64_t first_entry)
{
    uint64_t last = t->disk->sectors - 1;

    memset(sector, 0, sizeof sector);
    memcpy(sector, "EFI PART", 8);
    put32(sector + 8, 0x00010000);
    put32(sector + 12, HEADER);
    put64(sector + 24, at);
    put64(sector + 32, other);
    put64(sector + 40, 2 + t->entry_sectors);
    put64(sector + 48, last - 1 - t->entry_sectors);
    memcpy(sector + 56, t->guid, 16);
    put64(sector + 72, first_entry);
    put32(sector + 80, ENTRIES);
    put32(sector + 84, ENTRY);
    put32(sector + 88, t->crc);
    put32(sector + 16, ~partition_crc(~0u, sector, HEADER));
    return block_write(t->disk, at, 1, sector);
}

/* The protective MBR. A BIOS that tries this disk first is sent on to the
 * next one (int 18h). */
static int write_mbr(struct block_device *d)
{
    static const uint8_t pass_on[] = { 0xcd, 0x18, 0xf4, 0xeb, 0xfd };
    uint8_t *e = sector + 446;

    memset(sector, 0, sizeof sector);
    memcpy(sector, pass_on, sizeof pass_on);
    e[2] = 2; /* from head 0, cylinder 0, sector 2 ... */
    e[4] = 0xee;
    e[5] = e[6] = e[7] = 0xff;
    put32(e + 8, 1);
    put32(e + 12, d->sectors > UINT32_MAX ? UINT32_MAX
                                          : (uint32_t)d->sectors - 1);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    return block_write(d, 0, 1, sector);
}

static int write_table(struct block_device *d, const struct part *parts,
                       unsigned n, uint64_t seed)
{
    struct table t = { .disk = d,
                       .entry_sectors = sizeof entries / d->sector_size };
    uint64_t last = d->sectors - 1, backup = last - t.entry_sectors;
    int error;

    memset(entries, 0, sizeof entries);
    make_guid(&seed, t.guid);
    for (unsigned i = 0; i < n; i++)
        fill_entry(entries + i * ENTRY, &parts[i], &seed);
    t.crc = ~partition_crc(~0u, entries, sizeof entries);
    error = block_write(d, backup, t.entry_sectors, entries);
    if (!error)
        error = block_write(d, 2, t.entry_sectors, entries);
    if (!error)
        error = write_mbr(d);
    if (!error)
        error = write_header(&t, last, 1, backup);
    if (!error)
        error = write_header(&t, 1, last, 2);
    return error ? error : block_flush(d);
}

/* --- what lies in the partitions --- */

static int fill_part(struct block_device *disk, unsigned number,
                     const struct part *p, uint64_t seed)
{
    static struct block_device view; /* the store holds on to it */

    partition_view(&view, disk, number, &p->range);
    return p->range.kind == PARTITION_STORE
               ? store_format(&view)
               : fat_format(&view, "AEROSTAT", (uint32_t)(seed ^ seed >> 32));
}

int disk_format(struct block_device *d, uint64_t seed)
{
    struct part parts[PARTS];
    unsigned n;
    int error = 0;

    if (d->sector_size < 512 || d->sector_size > SECTOR_MAX ||
        d->sectors * d->sector_size / MIB < DISK_FORMAT_MIN_MB)
        return -EINVAL;
    n = lay_out(d, parts);
    for (unsigned i = 0; i < n && !error; i++)
        error = fill_part(d, i + 1, &parts[i], seed);
    return error ? error : write_table(d, parts, n, seed);
}
