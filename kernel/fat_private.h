/*
 * fat_private.h - between the rooms of the FAT32 driver: fat_volume.c
 * (clusters), fat_dir.c (names), fat.c (files and the fs_ops door).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/fs.h"

struct block_device;

struct fat_volume {
    struct block_device *device;
    uint32_t bytes_per_sector, sectors_per_cluster, cluster_bytes;
    uint32_t fat_start, fat_sectors, fat_count; /* in sectors */
    uint64_t data_start;                        /* sector of cluster 2 */
    uint32_t clusters;   /* valid numbers: 2 .. clusters + 1 */
    uint32_t root;       /* first cluster of the root directory */
    uint32_t next_free;  /* where to look first */
};

enum {
    FAT_END = 0x0ffffff8, /* this and above end a chain */
    FAT_MASK = 0x0fffffff,
    DIR_ENTRY = 32,
    ATTR_READ_ONLY = 1, ATTR_HIDDEN = 2, ATTR_SYSTEM = 4, ATTR_VOLUME = 8,
    ATTR_DIRECTORY = 16, ATTR_ARCHIVE = 32, ATTR_LONG_NAME = 15,
};

/* --- fat_volume.c: all sizes in bytes, all errors negative errnos --- */

int fat_volume_open(struct fat_volume *v, struct block_device *d);
/* Cluster after this one; 0: the chain ends here (or lies: -EIO). */
int fat_next(struct fat_volume *v, uint32_t cluster, uint32_t *next);
/* A free cluster, marked as end and linked after `previous` (0: none). */
int fat_allocate(struct fat_volume *v, uint32_t previous, uint32_t *cluster);
/* Links `cluster` (an end already) after `previous`. */
int fat_link(struct fat_volume *v, uint32_t previous, uint32_t cluster);
/* Frees the chain from `cluster` on. */
int fat_free_chain(struct fat_volume *v, uint32_t cluster);
/* Ends the chain at `cluster` and frees what followed. */
int fat_cut(struct fat_volume *v, uint32_t cluster);
/* Bytes within one cluster. */
int fat_read(struct fat_volume *v, uint32_t cluster, uint32_t offset,
             void *bytes, uint32_t n);
/* `count` whole clusters that follow each other on the disk. */
int fat_read_run(struct fat_volume *v, uint32_t cluster, uint32_t count,
                 void *bytes);
int fat_write(struct fat_volume *v, uint32_t cluster, uint32_t offset,
              const void *bytes, uint32_t n);
int fat_zero_cluster(struct fat_volume *v, uint32_t cluster);

/* --- fat_dir.c --- */

/* Where a short entry lies: its identity as long as the file exists. */
struct fat_place {
    uint32_t cluster, offset;
};

struct fat_entry {
    struct fs_info info;
    uint32_t first;          /* cluster, 0: empty file */
    uint8_t attributes;
    struct fat_place place;  /* of the short entry */
    uint32_t dir;            /* first cluster of its directory */
    unsigned index, long_entries; /* of the short entry; before it */
};

/* Entry that a path names; the root has place.cluster 0. */
int fat_lookup(struct fat_volume *v, const char *path, struct fat_entry *e);
/* Entry number `n` of the directory, dot entries and label left out:
 * 1, 0 past the end, or an error. */
int fat_dir_entry(struct fat_volume *v, uint32_t dir, unsigned n,
                  struct fat_entry *e);
/* Splits a path: looks its directory up and points at the last name. */
int fat_parent(struct fat_volume *v, const char *path, uint32_t *dir,
               const char **name);
/* Makes an entry (which must not exist) and fills in `e`. */
int fat_dir_add(struct fat_volume *v, uint32_t dir, const char *name,
                uint8_t attributes, uint32_t first, uint32_t size,
                struct fat_entry *e);
int fat_dir_remove(struct fat_volume *v, const struct fat_entry *e);
/* Writes first cluster, size and the time of now into a short entry. */
int fat_dir_update(struct fat_volume *v, struct fat_place place,
                   uint32_t first, uint32_t size);
/* First cluster of a directory for its own dot entry and its parent's. */
int fat_dir_init(struct fat_volume *v, uint32_t dir, uint32_t parent);
bool fat_dir_empty(struct fat_volume *v, uint32_t dir, int *error);
