/*
 * gpt.h - a disk's GPT as a whole: read, made, changed, and written back so
 * that a power cut at any write leaves a table that counts.
 *
 * UEFI 2.10, sections 5.2 and 5.3. Only the shape that everybody makes: 128
 * entries of 128 bytes, right behind the primary header. For merely finding
 * partitions, in tables of any shape, there is partition.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;

enum { GPT_ENTRIES = 128, GPT_ENTRY = 128 };

struct gpt {
    struct block_device *disk;
    uint64_t backup; /* where the backup header is said to be */
    uint64_t seed;   /* of the GUIDs that are made */
    uint8_t guid[16];
    uint8_t entries[GPT_ENTRIES * GPT_ENTRY];
};

struct gpt_range {
    uint64_t first, last; /* sectors, both included */
};

/* The primary table, if it is whole and its partitions lie apart from each
 * other and from the tables. 0, -ENOENT (no such table) or -EIO. */
int gpt_read(struct gpt *g, struct block_device *disk);
/* A table without partitions. */
void gpt_make(struct gpt *g, struct block_device *disk, uint64_t seed);
void gpt_add(struct gpt *g, const uint8_t type[16], const char *name,
             struct gpt_range range);

/* Entry `index`: its type's GUID, or NULL if it is not in use. */
const uint8_t *gpt_type(const struct gpt *g, unsigned index);
struct gpt_range gpt_range(const struct gpt *g, unsigned index);
void gpt_set_last(struct gpt *g, unsigned index, uint64_t last);
/* What partitions may use of the disk as it is. */
struct gpt_range gpt_usable(const struct gpt *g);

/* Writes both tables, the backup at the disk's end, and the size in the
 * protective MBR at `mbr` (a sector's bytes, whatever else is in it). Cut off
 * anywhere, the disk has the old table or this one. 0 or a negative errno. */
int gpt_write(struct gpt *g, uint8_t *mbr);
