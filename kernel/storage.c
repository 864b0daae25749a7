/*
 * storage.c - looks at every disk and mounts what Aerostat uses.
 */
#include "kernel/storage.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/clock.h"
#include "kernel/disk_format.h"
#include "kernel/fat.h"
#include "kernel/klog.h"
#include "kernel/partition.h"
#include "kernel/store.h"

enum { CD_SECTOR = 2048, PARTS_MAX = 16, SCAN_BYTES = 65536 };
#define MIB (1ull << 20)

static unsigned long long megabytes(const struct block_device *d)
{
    return (unsigned long long)d->sectors * d->sector_size >> 20;
}

/* --- mounting --- */

static bool may_hold_files(const struct block_device *d)
{
    return d != store_device() &&
           (!d->parent || partition_kind(d) == PARTITION_FAT);
}

static const struct block_device *files_device; /* mounted last */

static bool mount_files_on(struct block_device *d)
{
    const struct fs_ops *ops = may_hold_files(d) ? fat_mount(d) : NULL;

    if (ops) {
        fs_mount(ops);
        files_device = d;
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

bool storage_files_beside_store(void)
{
    const struct block_device *store = store_device();

    return store && store->parent && !block_gone(store) && fs_mounted() &&
           files_device && files_device->parent == store->parent;
}

/* Two sticks of ours look alike: which one counts is said. */
static void tell_other_stores(void)
{
    struct block_device *d;

    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        if (d != store_device() && partition_kind(d) == PARTITION_STORE)
            klog("store: another on %s, not in use\n", d->name);
}

static void mount_all(void)
{
    if (store_init() == 0) {
        klog("store: on %s, %llu MB\n", store_device()->name,
             megabytes(store_device()));
        tell_other_stores();
    } else {
        klog("store: none on any disk\n");
    }
    if (!fs_mounted())
        mount_files();
}

static bool started;

void storage_init(void)
{
    partition_init();
    mount_all();
    started = true;
}

/* --- disks that come later --- */

static bool lies_on(const struct block_device *d,
                    const struct block_device *disk)
{
    return d && (d == disk || d->parent == disk);
}

/* Store and files are read again: the disk may have been elsewhere. */
static void come_back(const struct block_device *disk)
{
    struct block_device *d = store_device();

    if (!fat_came_back(disk)) {
        klog("files: no longer on %s\n", disk->name);
        fs_mount(NULL);
    }
    if (!lies_on(d, disk))
        return;
    if (store_mount(d))
        klog("store: no longer on %s\n", d->name);
    else
        klog("store: on %s again\n", d->name);
}

void storage_disk_came(struct block_device *disk, bool back)
{
    if (!started)
        return;
    if (back)
        come_back(disk);
    else
        partition_register(disk);
    if (!store_device())
        mount_all();
    else if (!fs_mounted())
        mount_files();
}

/* --- what is on a disk --- */

/* What marks the kinds of volume that people have, by where it lies. All of
 * them are within the first SCAN_BYTES + 4096 bytes. */
static const struct {
    uint32_t at;
    const char *mark, *name;
} marks[] = {
    { 3, "NTFS    ", "an NTFS volume" },
    { 3, "EXFAT   ", "an exFAT volume" },
    { 54, "FAT1", "a FAT volume" },
    { 82, "FAT32", "a FAT32 volume" },
    { 0, "XFSB", "an XFS volume" },
    { 0, "LUKS", "an encrypted volume" },
    { 512, "LABELONE", "an LVM volume" },
    { 1080, "\x53\xef", "an ext2, ext3 or ext4 volume" },
    { 4086, "SWAPSPACE2", "Linux swap space" },
    { 32769, "CD001", "a CD image" },
    { 65600, "_BHRfS_M", "a btrfs volume" },
};

static uint8_t scanned[SCAN_BYTES + 4096];

static int scan(struct block_device *d, uint64_t at, uint32_t bytes)
{
    return block_read(d, at / d->sector_size, bytes / d->sector_size,
                      scanned);
}

static const char *volume_name(struct block_device *d)
{
    if (scan(d, 0, sizeof scanned))
        return NULL;
    for (unsigned i = 0; i < sizeof marks / sizeof *marks; i++)
        if (memcmp(scanned + marks[i].at, marks[i].mark,
                   strlen(marks[i].mark)) == 0)
            return marks[i].name;
    return NULL;
}

static bool is_zero(struct block_device *d, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += SCAN_BYTES) {
        if (scan(d, at, SCAN_BYTES))
            return false;
        for (uint32_t i = 0; i < SCAN_BYTES; i++)
            if (scanned[i])
                return false;
    }
    return true;
}

/* Every table, volume, RAID set and pool that is in use leaves a trace in
 * the first or the last MiB. */
static bool is_blank(struct block_device *d)
{
    uint64_t end = d->sectors * d->sector_size / SCAN_BYTES * SCAN_BYTES;

    return end >= 2 * MIB && is_zero(d, 0, MIB) &&
           is_zero(d, end - MIB, end) &&
           is_zero(d, d->sectors * d->sector_size - SCAN_BYTES,
                   d->sectors * d->sector_size);
}

static void describe_table(struct storage_disk *s, enum partition_table kind,
                           const struct partition *parts, unsigned n)
{
    const char *table = kind == TABLE_GPT ? "GPT" : "MBR";

    for (unsigned i = 0; i < n; i++)
        if (parts[i].kind == PARTITION_STORE) {
            snprintf(s->contents, sizeof s->contents, "an image store");
            return;
        }
    if (n)
        snprintf(s->contents, sizeof s->contents, "%s, %u partition%s",
                 table, n, n == 1 ? "" : "s");
    else
        snprintf(s->contents, sizeof s->contents, "%s without partitions",
                 table);
}

static void describe(struct storage_disk *s, struct block_device *d)
{
    struct partition parts[PARTS_MAX];
    enum partition_table kind;
    unsigned n = partition_scan(d, parts, PARTS_MAX, &kind);
    const char *what;

    s->empty = false;
    /* Some tools give a volume's boot sector a table like an MBR's. */
    what = kind == TABLE_GPT ? NULL : volume_name(d);
    if (!what && kind != TABLE_NONE) {
        describe_table(s, kind, parts, n);
        return;
    }
    if (d == store_device())
        what = "an image store";
    else if (what)
        ;
    else if (!is_blank(d))
        what = scan(d, 0, 4096) ? "cannot be read" : "data of unknown kind";
    else if (megabytes(d) < DISK_FORMAT_MIN_MB)
        what = "empty, but too small";
    else if (d->read_only)
        what = "empty, but read-only";
    else {
        what = "empty";
        s->empty = true;
    }
    snprintf(s->contents, sizeof s->contents, "%s", what);
}

static bool in_use(const struct block_device *d)
{
    return lies_on(store_device(), d) ||
           (fs_mounted() && lies_on(files_device, d));
}

static struct block_device *whole_disk(unsigned index)
{
    struct block_device *d;

    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        if (!d->parent && !d->gone && d->sector_size != CD_SECTOR &&
            index-- == 0)
            return d;
    return NULL;
}

bool storage_disk(unsigned index, struct storage_disk *disk)
{
    struct block_device *d = whole_disk(index);

    if (!d)
        return false;
    disk->device = d;
    describe(disk, d);
    disk->in_use = in_use(d);
    return true;
}

/* --- raw --- */

int storage_move(const char *name, bool write, uint64_t sector, void *bytes,
                 uint64_t n)
{
    struct block_device *d = block_find(name);
    uint64_t count;

    if (!d || d->parent || d->gone)
        return -ENODEV;
    count = n / d->sector_size;
    if (n % d->sector_size || count > UINT32_MAX)
        return -EINVAL;
    if (!write)
        return block_read(d, sector, (uint32_t)count, bytes);
    if (in_use(d))
        return -EBUSY;
    return count ? block_write(d, sector, (uint32_t)count, bytes)
                 : block_flush(d);
}

/* --- formatting --- */

int storage_format(const char *name, const char **why)
{
    struct block_device *d = block_find(name);
    struct storage_disk s;
    int error;

    *why = "there is no such disk any more";
    if (!d || d->parent || d->gone)
        return -ENODEV;
    describe(&s, d);
    *why = "the disk is not empty";
    if (!s.empty)
        return -EEXIST;
    klog("%s: making a store of it\n", d->name);
    error = disk_format(d, (uint64_t)clock_utc_usecs());
    *why = "the disk refuses what is written to it";
    if (error)
        return error;
    partition_register(d);
    mount_all();
    *why = "the disk does not keep what is written to it";
    return store_device() ? 0 : -EIO;
}

/* --- another place for the store --- */

static int mount_or_make(struct block_device *d)
{
    int error = store_mount(d);

    if (error == -ENOENT && is_zero(d, 0, SCAN_BYTES))
        error = store_format(d);
    return error;
}

static bool newest_is_whole(const char **why)
{
    const char *name = store_name(0);
    struct store_image *im;
    uint64_t size;

    *why = NULL;
    im = name ? store_open(name, &size, why) : NULL;
    if (im)
        (void)store_close(im, false); /* was only read */
    return !name || (im && !*why);
}

int storage_use(const char *name, uint64_t first, uint64_t sectors,
                const char **why)
{
    struct block_device *before = store_device(), *d = block_find(name);

    if (!*name) {
        store_unmount();
        return 0;
    }
    if (d && sectors)
        d = d->parent ? NULL : partition_device(d, first, sectors);
    *why = "there is no such disk, or it is too short";
    if (!d)
        return -ENODEV;
    *why = "there is no store, and no room that was cleared for one";
    if (mount_or_make(d) == 0 && newest_is_whole(why))
        return 0;
    if (before)
        (void)store_mount(before); /* or saves say that there is none */
    return -EIO;
}
