/*
 * disk_format.c - partitions an empty disk (disk_format.h).
 */
#include "kernel/disk_format.h"

#include <errno.h>

#include "drivers/block.h"
#include "kernel/fat.h"
#include "kernel/gpt.h"
#include "kernel/partition.h"
#include "kernel/store.h"

#define MIB (1ull << 20)

enum {
    SECTOR_MAX = 4096,
    FILES_MAX_MB = 2048,
    FILES_DISK_MIN_MB = 256, /* smaller disks hold images only */
    PARTS = 2,
};

struct part {
    struct partition range;
    const char *name;
    uint8_t type[16];
};

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

/* A BIOS that tries this disk first is sent on to the next one (int 18h). */
static int write_table(struct block_device *d, const struct part *parts,
                       unsigned n, uint64_t seed)
{
    static uint8_t mbr[SECTOR_MAX] = { 0xcd, 0x18, 0xf4, 0xeb, 0xfd };
    static struct gpt table;

    gpt_make(&table, d, seed);
    for (unsigned i = 0; i < n; i++) {
        const struct partition *p = &parts[i].range;

        gpt_add(&table, parts[i].type, parts[i].name,
                (struct gpt_range){ p->first, p->first + p->sectors - 1 });
    }
    return gpt_write(&table, mbr);
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
