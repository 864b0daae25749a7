/*
 * ata.h - what ATA disks understand and say of themselves, whichever
 * controller they hang on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;

enum { /* ATA8-ACS section 7 */
    ATA_READ_DMA = 0xc8, ATA_WRITE_DMA = 0xca, ATA_READ_DMA_EXT = 0x25,
    ATA_WRITE_DMA_EXT = 0x35, ATA_FLUSH = 0xe7, ATA_FLUSH_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
};
enum { ATA_IDENTIFY_WORDS = 256 };

/* Fills in model, size and sector size. 0, or -ENODEV: not to be driven. */
int ata_read_identity(struct block_device *b, const uint16_t *id);
/* 48-bit addresses; without them 28 bits. */
bool ata_has_lba48(const uint16_t *id);
bool ata_has_dma(const uint16_t *id);
