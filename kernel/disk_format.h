/*
 * disk_format.h - an empty disk becomes one of ours: a GPT with a FAT32
 * volume for files and an image store behind it, like iso/mkdisk.sh makes.
 */
#pragma once

#include <stdint.h>

struct block_device;

enum { DISK_FORMAT_MIN_MB = 64 };

/* Everything on `d` is lost. `seed` makes the disk's numbers its own. The
 * table is written last: cut off before, the disk looks as empty as it was.
 * 0, -EINVAL (too small), -EROFS or -EIO. */
int disk_format(struct block_device *d, uint64_t seed);
