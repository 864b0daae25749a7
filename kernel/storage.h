/*
 * storage.h - what is on the disks: partitions, the store, a FAT32 volume.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct block_device;

/* Scans the disks, mounts the first store and the first FAT32 data volume
 * (preferring the store's disk), and logs what it found. */
void storage_init(void);

struct storage_disk {
    const struct block_device *device;
    bool empty;        /* nothing on it, and a store would fit */
    char contents[64]; /* in words, for a list */
};

/* Looks at whole disk `index` (CDs are none); false past the end. Reads the
 * disk: what it says is true now. */
bool storage_disk(unsigned index, struct storage_disk *disk);
/* Makes an empty disk the place for images and files, and mounts both. 0;
 * else *why says in a line why not. */
int storage_format(const char *name, const char **why);
/* A disk was plugged in: a new one, or one that is back. At the boot this
 * does nothing; later, what is on it is used as at the boot. */
void storage_disk_came(struct block_device *d, bool back);
