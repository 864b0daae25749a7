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

/* A FAT32 volume's GPT type, basic data, as its bytes lie on disk. */
#define DATA_TYPE_GUID                                                      \
    { 0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68,     \
      0xb6, 0xb7, 0x26, 0x99, 0xc7 }
/* The store's own GPT type, as its bytes lie on disk, and its MBR type. */
#define STORE_TYPE_GUID                                                     \
    { 0xa0, 0xe7, 0x05, 0x7a, 0x70, 0x4d, 0x4f, 0x4e, 0xb0, 0x0b, 0x5a,     \
      0x11, 0xba, 0x11, 0x00, 0x01 }
enum { STORE_TYPE_MBR = 0xae };

struct partition {
    uint64_t first, sectors;
    enum partition_kind kind;
};

enum partition_table { TABLE_NONE, TABLE_MBR, TABLE_GPT };

/* Fills `parts` from the disk's tables; answers how many (0: none, or not
 * readable), at most `max`. `*table` tells a disk with a table that is empty
 * from one without. Entries that lie are left out. */
unsigned partition_scan(struct block_device *disk, struct partition *parts,
                        unsigned max, enum partition_table *table);
/* Registers the partitions of every disk, or of one that has new ones. */
void partition_init(void);
void partition_register(struct block_device *disk);
/* Makes `view` the device of a range of `disk`, in the table or not yet. */
void partition_view(struct block_device *view, struct block_device *disk,
                    unsigned number, const struct partition *p);
/* The registered device of a range that images are kept in; NULL if it does
 * not lie on the disk, or there are too many already. */
struct block_device *partition_device(struct block_device *disk,
                                      uint64_t first, uint64_t sectors);
/* What the table said of a partition's device. */
enum partition_kind partition_kind(const struct block_device *d);
/* What a GPT entry's type GUID, as its bytes lie on disk, stands for. */
enum partition_kind partition_guid_kind(const uint8_t *guid);
/* Whether `sector`, read from `lba`, is a GPT header; clears its checksum. */
bool partition_gpt_header(uint8_t *sector, uint64_t lba,
                          uint32_t sector_size);
/* The CRC-32 of GPT headers: start with ~0, complement the result. */
uint32_t partition_crc(uint32_t crc, const uint8_t *bytes, uint32_t n);
