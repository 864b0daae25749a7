/*
 * storage.c - looks at every disk once and mounts what Aerostat uses.
 */
#include "kernel/storage.h"

#include "drivers/block.h"
#include "kernel/fat.h"
#include "kernel/klog.h"
#include "kernel/partition.h"
#include "kernel/store.h"

enum { CANDIDATE_MIN_MB = 16 };

static unsigned long long megabytes(const struct block_device *d)
{
    return (unsigned long long)d->sectors * d->sector_size >> 20;
}

static bool may_hold_files(const struct block_device *d)
{
    return d != store_device() &&
           (!d->parent || partition_kind(d) == PARTITION_FAT);
}

static bool mount_files_on(struct block_device *d)
{
    const struct fs_ops *ops = may_hold_files(d) ? fat_mount(d) : NULL;

    if (ops) {
        fs_mount(ops);
        klog("files: FAT32 on %s, %llu MB\n", d->name, megabytes(d));
    }
    return ops != NULL;
}

static void mount_files(void)
{
    const struct block_device *store = store_device();
    struct block_device *d;

    for (unsigned i = 0; store && (d = block_device(i)) != NULL; i++)
        if (d->parent == store->parent && mount_files_on(d))
            return;
    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        if (mount_files_on(d))
            return;
    klog("files: no FAT32 volume\n");
}

void storage_init(void)
{
    partition_init();
    if (store_init() == 0)
        klog("store: on %s, %llu MB\n", store_device()->name,
             megabytes(store_device()));
    else
        klog("store: none on any disk\n");
    mount_files();
}

static bool is_candidate(struct block_device *d)
{
    struct partition part;
    bool has_table;

    return !d->parent && !d->read_only && d != store_device() &&
           megabytes(d) >= CANDIDATE_MIN_MB &&
           partition_scan(d, &part, 1, &has_table) == 0 && !has_table;
}

struct block_device *storage_candidate(unsigned index)
{
    struct block_device *d;

    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        if (is_candidate(d) && index-- == 0)
            return d;
    return NULL;
}
