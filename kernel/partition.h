/*
 * partition.h - finds the partitions of a disk and makes each a block device.
 *
 * GPT (UEFI 2.10, section 5.3) first, with its backup header as a second
 * chance; else the MBR's four primary entries and one chain of logical ones.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;

enum partition_kind {
    PARTITION_OTHER, PARTITION_FAT, PARTITION_STORE, PARTITION_EFI,
};

/* The store's own GPT type, as its bytes lie on disk, and its MBR type. */
#define STORE_TYPE_GUID                                                     \
    { 0xa0, 0xe7, 0x05, 0x7a, 0x70, 0x4d, 0x4f, 0x4e, 0xb0, 0x0b, 0x5a,     \
      0x11, 0xba, 0x11, 0x00, 0x01 }
enum { STORE_TYPE_MBR = 0xae };

struct partition {
    uint64_t first, sectors;
    enum partition_kind kind;
};

/* Fills `parts` from the disk's tables; answers how many (0: none, or not
 * readable), at most `max`. `*has_table` tells a disk with a table that is
 * empty from one without. Entries that lie are left out. */
unsigned partition_scan(struct block_device *disk, struct partition *parts,
                        unsigned max, bool *has_table);
/* Scans every registered disk and registers its partitions. */
void partition_init(void);
/* What the table said of a partition's device. */
enum partition_kind partition_kind(const struct block_device *d);
