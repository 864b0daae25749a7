/*
 * storage.h - what is on the disks: partitions, the store, a FAT32 volume.
 */
#pragma once

#include <stddef.h>

struct block_device;

/* Scans the disks, mounts the first store and the first FAT32 data volume
 * (preferring the store's disk), and logs what it found. */
void storage_init(void);
/* Disk `index` on which a store could be made: writable, without partitions
 * and volumes, big enough. NULL past the end. */
struct block_device *storage_candidate(unsigned index);
