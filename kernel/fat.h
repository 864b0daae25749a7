/*
 * fat.h - a FAT32 volume: files and directories with long names.
 * Source: Microsoft FAT32 File System Specification 1.03.
 */
#pragma once

#include "kernel/fs.h"

struct block_device;

/* Mounts the volume on `d` (one at a time) and answers its operations for
 * fs_mount; NULL if there is no sound FAT32 volume on it. */
const struct fs_ops *fat_mount(struct block_device *d);
/* The disk was out of the machine, and may have been written to elsewhere:
 * open files are looked up again, those that are no more are closed. Answers
 * false if the mounted volume lay there and is there no more. */
bool fat_came_back(const struct block_device *disk);
/* Makes an empty volume of all of `d`; what was there is lost. `label` has up
 * to 11 capitals. 0, -EINVAL (too small for FAT32, or too large), -EIO. */
int fat_format(struct block_device *d, const char *label, uint32_t serial);
