/*
 * fat_format.c - makes an empty FAT32 volume. Source: Microsoft FAT32 File
 * System Specification 1.03, sections 3.1 to 3.5.
 */
#include <errno.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"
#include "kernel/fat.h"
#include "kernel/fat_private.h"

enum {
    SECTOR_MAX = 4096,
    RESERVED = 32, FATS = 2, INFO = 1, BACKUP = 6, /* sectors */
    ROOT_CLUSTER = 2, FIRST_FREE = 3,
    FAT32_MIN = 65525, /* clusters: fewer would be taken for FAT16 */
    MEDIA_DISK = 0xf8, EXTENDED_SIGNATURE = 0x29, DRIVE = 0x80,
};

static _Alignas(64) uint8_t sector[SECTOR_MAX];

struct layout {
    uint32_t sectors, per_cluster, fat_sectors, clusters;
};

/* The clusters that Microsoft's table gives a volume of this size. */
static uint32_t cluster_bytes_for(uint64_t volume_bytes)
{
    return volume_bytes <= 260ull << 20  ? 512
           : volume_bytes <= 8ull << 30  ? 4096
           : volume_bytes <= 16ull << 30 ? 8192
                                         : 16384;
}

static int plan(const struct block_device *d, struct layout *l)
{
    uint32_t wanted = cluster_bytes_for(d->sectors * d->sector_size);
    uint32_t per_fat = d->sector_size / 4;
    uint64_t data;

    if (d->sector_size < 512 || d->sector_size > SECTOR_MAX ||
        d->sectors > UINT32_MAX || d->sectors < RESERVED + FAT32_MIN)
        return -EINVAL;
    l->sectors = (uint32_t)d->sectors;
    l->per_cluster = wanted > d->sector_size ? wanted / d->sector_size : 1;
    /* A little more table than the clusters behind it need. */
    l->fat_sectors = (l->sectors / l->per_cluster + 2 + per_fat) / per_fat;
    data = RESERVED + (uint64_t)FATS * l->fat_sectors;
    if (data >= l->sectors)
        return -EINVAL;
    l->clusters = (uint32_t)((l->sectors - data) / l->per_cluster);
    return l->clusters < FAT32_MIN ? -EINVAL : 0;
}

static int put_sector(struct block_device *d, uint32_t at)
{
    return block_write(d, at, 1, sector);
}

static void sign(void)
{
    sector[510] = 0x55;
    sector[511] = 0xaa;
}

static void fill_boot(const struct block_device *d, const struct layout *l,
                      const char *label, uint32_t serial)
{
    static const uint8_t jump[3] = { 0xeb, 0x58, 0x90 };

    memset(sector, 0, sizeof sector);
    memcpy(sector, jump, 3);
    memcpy(sector + 3, "AEROSTAT", 8);
    put16(sector + 11, d->sector_size);
    sector[13] = (uint8_t)l->per_cluster;
    put16(sector + 14, RESERVED);
    sector[16] = FATS;
    sector[21] = MEDIA_DISK;
    put16(sector + 24, 32); /* sectors a track, heads: for BIOSes */
    put16(sector + 26, 64);
    put32(sector + 28, (uint32_t)d->first_sector);
    put32(sector + 32, l->sectors);
    put32(sector + 36, l->fat_sectors);
    put32(sector + 44, ROOT_CLUSTER);
    put16(sector + 48, INFO);
    put16(sector + 50, BACKUP);
    sector[64] = DRIVE;
    sector[66] = EXTENDED_SIGNATURE;
    put32(sector + 67, serial);
    memset(sector + 71, ' ', 11);
    memcpy(sector + 71, label, strnlen(label, 11));
    memcpy(sector + 82, "FAT32   ", 8);
    sign();
}

static void fill_info(const struct layout *l)
{
    memset(sector, 0, sizeof sector);
    put32(sector, 0x41615252);
    put32(sector + 484, 0x61417272);
    put32(sector + 488, l->clusters - 1);
    put32(sector + 492, FIRST_FREE);
    sign();
}

/* Both tables and the root directory, which follows them. */
static int write_tables(struct block_device *d, const struct layout *l)
{
    uint32_t last = RESERVED + FATS * l->fat_sectors + l->per_cluster;
    int error = 0;

    memset(sector, 0, sizeof sector);
    for (uint32_t at = RESERVED; at < last && !error; at++)
        error = put_sector(d, at);
    put32(sector, 0x0fffff00 | MEDIA_DISK);
    put32(sector + 4, FAT_MASK);
    put32(sector + 8, FAT_MASK); /* the root's one cluster */
    for (uint32_t i = 0; i < FATS && !error; i++)
        error = put_sector(d, RESERVED + i * l->fat_sectors);
    return error;
}

static int write_label(struct block_device *d, const struct layout *l,
                       const char *label)
{
    memset(sector, 0, sizeof sector);
    memset(sector, ' ', 11);
    memcpy(sector, label, strnlen(label, 11));
    sector[11] = ATTR_VOLUME;
    return put_sector(d, RESERVED + FATS * l->fat_sectors);
}

/* The boot sector comes last: before it there is no volume to be seen. */
int fat_format(struct block_device *d, const char *label, uint32_t serial)
{
    struct layout l;
    int error = plan(d, &l);

    if (error)
        return error;
    error = write_tables(d, &l);
    if (!error)
        error = write_label(d, &l, label);
    fill_info(&l);
    if (!error)
        error = put_sector(d, INFO);
    if (!error)
        error = put_sector(d, BACKUP + INFO);
    fill_boot(d, &l, label, serial);
    if (!error)
        error = put_sector(d, BACKUP);
    if (!error)
        error = put_sector(d, 0);
    return error ? error : block_flush(d);
}
