/*
 * storage.h - what is on the disks: partitions, the store, a FAT32 volume.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_device;

/* Scans the disks, mounts the first store and the first FAT32 data volume
 * (preferring the store's disk), and logs what it found. */
void storage_init(void);

/* The volume that is mounted lies on the store's disk, which is ours and
 * plugged in. */
bool storage_files_beside_store(void);

struct storage_disk {
    const struct block_device *device;
    bool empty;        /* nothing on it, and a store would fit */
    bool in_use;       /* the store or the files are on it */
    char contents[64]; /* in words, for a list */
};

/* Looks at whole disk `index` (CDs are none); false past the end. Reads the
 * disk: what it says is true now. */
bool storage_disk(unsigned index, struct storage_disk *disk);
/* Makes an empty disk the place for images and files, and mounts both. 0;
 * else *why says in a line why not. */
int storage_format(const char *name, const char **why);
/* Whole sectors between a whole disk and `bytes`, or a flush (a write of no
 * bytes). 0, -ENODEV, -EINVAL, -EROFS, -EBUSY (writing to a disk that is in
 * use) or -EIO. */
int storage_move(const char *name, bool write, uint64_t sector, void *bytes,
                 uint64_t n);
/* The store in these sectors of disk `name`, or in partition `name` if there
 * are none, is the one in use from now on; for no name, none is. Sectors that
 * begin with zeros get an empty store first. 0; else *why says why not, and
 * the store that was in use still is. */
int storage_use(const char *name, uint64_t first, uint64_t sectors,
                const char **why);
/* A disk was plugged in: a new one, or one that is back. At the boot this
 * does nothing; later, what is on it is used as at the boot. */
void storage_disk_came(struct block_device *d, bool back);
