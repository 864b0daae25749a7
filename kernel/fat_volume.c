/*
 * fat_volume.c - clusters of a FAT32 volume: the table and the data area.
 *
 * One sector of the table is cached, written through to every copy. Nothing
 * read from the disk is believed: cluster numbers are checked before use.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"
#include "kernel/fat_private.h"

enum { SECTOR_MAX = 4096 };

static _Alignas(64) uint8_t table[SECTOR_MAX]; /* the cached table sector */
static uint64_t table_sector = UINT64_MAX;
static _Alignas(64) uint8_t bounce[SECTOR_MAX]; /* last sector read in part */
static uint64_t bounce_sector = UINT64_MAX;

static bool power_of_two(uint32_t n)
{
    return n && (n & (n - 1)) == 0;
}

static bool is_valid(const struct fat_volume *v, uint32_t cluster)
{
    return cluster >= 2 && cluster - 2 < v->clusters;
}

/* The BIOS parameter block, section 3 of the specification. */
int fat_volume_open(struct fat_volume *v, struct block_device *d)
{
    uint64_t total, meta;
    const uint8_t *b = bounce;

    table_sector = bounce_sector = UINT64_MAX;
    memset(v, 0, sizeof *v);
    if (d->sector_size < 512 || d->sector_size > SECTOR_MAX)
        return -EINVAL;
    if (block_read(d, 0, 1, bounce))
        return -EIO;
    v->device = d;
    v->bytes_per_sector = get16(b + 11);
    v->sectors_per_cluster = b[13];
    v->fat_start = get16(b + 14);
    v->fat_count = b[16];
    v->fat_sectors = get32(b + 36);
    total = get32(b + 32);
    v->root = get32(b + 44);
    if (b[510] != 0x55 || b[511] != 0xaa || get16(b + 22) != 0 ||
        v->bytes_per_sector != d->sector_size ||
        !power_of_two(v->sectors_per_cluster) || v->fat_start == 0 ||
        v->fat_count == 0 || v->fat_count > 2 || v->fat_sectors == 0)
        return -EINVAL;
    meta = v->fat_start + (uint64_t)v->fat_count * v->fat_sectors;
    if (total > d->sectors || meta >= total)
        return -EINVAL;
    v->data_start = meta;
    v->clusters = (total - meta) / v->sectors_per_cluster;
    if (v->clusters > (uint64_t)v->fat_sectors * v->bytes_per_sector / 4 - 2)
        return -EINVAL;
    v->cluster_bytes = v->bytes_per_sector * v->sectors_per_cluster;
    v->next_free = 2;
    return is_valid(v, v->root) ? 0 : -EINVAL;
}

/* --- the table --- */

static int table_load(struct fat_volume *v, uint32_t cluster, uint8_t **entry)
{
    uint64_t at = (uint64_t)cluster * 4;
    uint64_t sector = v->fat_start + at / v->bytes_per_sector;

    if (sector != table_sector) {
        table_sector = UINT64_MAX;
        if (block_read(v->device, sector, 1, table))
            return -EIO;
        table_sector = sector;
    }
    *entry = table + at % v->bytes_per_sector;
    return 0;
}

static int table_get(struct fat_volume *v, uint32_t cluster, uint32_t *value)
{
    uint8_t *entry;
    int error = table_load(v, cluster, &entry);

    if (!error)
        *value = get32(entry) & FAT_MASK;
    return error;
}

static int table_set(struct fat_volume *v, uint32_t cluster, uint32_t value)
{
    uint8_t *entry;
    int error = table_load(v, cluster, &entry);

    if (error)
        return error;
    value |= get32(entry) & ~(uint32_t)FAT_MASK; /* reserved bits stay */
    memcpy(entry, &value, 4);
    for (uint32_t copy = 0; copy < v->fat_count; copy++)
        if (block_write(v->device, table_sector + copy * v->fat_sectors, 1,
                        table))
            error = -EIO;
    if (error)
        table_sector = UINT64_MAX;
    return error;
}

int fat_next(struct fat_volume *v, uint32_t cluster, uint32_t *next)
{
    int error = is_valid(v, cluster) ? table_get(v, cluster, next) : -EIO;

    if (error)
        return error;
    if (*next >= FAT_END)
        *next = 0;
    else if (!is_valid(v, *next))
        return -EIO;
    return 0;
}

/* First free cluster from next_free on, around the end once. */
static int find_free(struct fat_volume *v, uint32_t *cluster)
{
    uint32_t c = v->next_free;

    for (uint32_t i = 0; i < v->clusters; i++, c++) {
        uint32_t value;
        int error;

        if (!is_valid(v, c))
            c = 2;
        error = table_get(v, c, &value);
        if (error)
            return error;
        if (value == 0) {
            *cluster = c;
            v->next_free = c + 1;
            return 0;
        }
    }
    return -ENOSPC;
}

/* ORDER: the new end is marked before it is linked, so that a power cut
 * leaves a lost cluster at worst, never a chain into free space. */
int fat_allocate(struct fat_volume *v, uint32_t previous, uint32_t *cluster)
{
    int error = find_free(v, cluster);

    if (!error)
        error = table_set(v, *cluster, FAT_MASK);
    if (!error && previous)
        error = table_set(v, previous, *cluster);
    return error;
}

int fat_link(struct fat_volume *v, uint32_t previous, uint32_t cluster)
{
    return is_valid(v, previous) ? table_set(v, previous, cluster) : -EIO;
}

int fat_free_chain(struct fat_volume *v, uint32_t cluster)
{
    /* Bounded: a damaged chain may be a circle. */
    for (uint32_t i = 0; i < v->clusters && cluster; i++) {
        uint32_t next;
        int error = fat_next(v, cluster, &next);

        if (!error)
            error = table_set(v, cluster, 0);
        if (error)
            return error;
        if (cluster < v->next_free)
            v->next_free = cluster;
        cluster = next;
    }
    return 0;
}

int fat_cut(struct fat_volume *v, uint32_t cluster)
{
    uint32_t next;
    int error = fat_next(v, cluster, &next);

    if (!error && next) {
        error = table_set(v, cluster, FAT_MASK);
        if (!error)
            error = fat_free_chain(v, next);
    }
    return error;
}

/* --- the data area --- */

static uint64_t sector_of(const struct fat_volume *v, uint32_t cluster,
                          uint32_t offset)
{
    return v->data_start +
           (uint64_t)(cluster - 2) * v->sectors_per_cluster +
           offset / v->bytes_per_sector;
}

/* One sector or less through the bounce buffer. */
static int load_bounce(struct fat_volume *v, uint64_t sector)
{
    if (sector == bounce_sector)
        return 0;
    bounce_sector = UINT64_MAX;
    if (block_read(v->device, sector, 1, bounce))
        return -EIO;
    bounce_sector = sector;
    return 0;
}

/* Bytes on their way: `to` or `from` is NULL. */
struct transfer {
    uint8_t *to;
    const uint8_t *from;
};

static int move_part(struct fat_volume *v, uint64_t sector, uint32_t skip,
                     struct transfer t, uint32_t n)
{
    if (load_bounce(v, sector))
        return -EIO;
    if (t.to) {
        memcpy(t.to, bounce + skip, n);
        return 0;
    }
    memcpy(bounce + skip, t.from, n);
    if (block_write(v->device, sector, 1, bounce) == 0)
        return 0;
    bounce_sector = UINT64_MAX;
    return -EIO;
}

static int move_sectors(struct fat_volume *v, uint64_t sector,
                        struct transfer t, uint32_t count)
{
    if (t.to)
        return block_read(v->device, sector, count, t.to) ? -EIO : 0;
    bounce_sector = UINT64_MAX;
    return block_write(v->device, sector, count, t.from) ? -EIO : 0;
}

static bool within_cluster(const struct fat_volume *v, uint32_t cluster,
                           uint32_t offset, uint32_t n)
{
    return is_valid(v, cluster) && offset <= v->cluster_bytes &&
           n <= v->cluster_bytes - offset;
}

/* Whole sectors go straight to or from the caller's memory. */
static int move(struct fat_volume *v, uint32_t cluster, uint32_t offset,
                struct transfer t, uint32_t n)
{
    uint32_t size = v->bytes_per_sector;
    int error = within_cluster(v, cluster, offset, n) ? 0 : -EIO;

    while (n && !error) {
        uint64_t sector = sector_of(v, cluster, offset);
        uint32_t skip = offset % size, part = size - skip;

        if (skip == 0 && n >= size) {
            part = n - n % size;
            error = move_sectors(v, sector, t, part / size);
        } else {
            part = part < n ? part : n;
            error = move_part(v, sector, skip, t, part);
        }
        if (t.to)
            t.to += part;
        else
            t.from += part;
        offset += part;
        n -= part;
    }
    return error;
}

int fat_read(struct fat_volume *v, uint32_t cluster, uint32_t offset,
             void *bytes, uint32_t n)
{
    return move(v, cluster, offset, (struct transfer){ .to = bytes }, n);
}

int fat_read_run(struct fat_volume *v, uint32_t cluster, uint32_t count,
                 void *bytes)
{
    if (!count || !is_valid(v, cluster) ||
        !is_valid(v, cluster + count - 1))
        return -EIO;
    return move_sectors(v, sector_of(v, cluster, 0),
                        (struct transfer){ .to = bytes },
                        count * v->sectors_per_cluster);
}

int fat_write(struct fat_volume *v, uint32_t cluster, uint32_t offset,
              const void *bytes, uint32_t n)
{
    return move(v, cluster, offset, (struct transfer){ .from = bytes }, n);
}

int fat_zero_cluster(struct fat_volume *v, uint32_t cluster)
{
    bounce_sector = UINT64_MAX;
    memset(bounce, 0, v->bytes_per_sector);
    for (uint32_t i = 0; i < v->sectors_per_cluster; i++)
        if (block_write(v->device, sector_of(v, cluster, 0) + i, 1, bounce))
            return -EIO;
    return 0;
}
