/*
 * ata.c - IDENTIFY DEVICE data: ATA8-ACS section 7.16.
 */
#include "drivers/ata.h"

#include <errno.h>
#include <string.h>

#include "drivers/block.h"

enum { MODEL_WORDS = 20, SECTOR_MAX = 4096 };

/* ATA strings hold two characters a word, high byte first. */
static void copy_model(char *to, const uint16_t *words)
{
    unsigned n = 2 * MODEL_WORDS;

    for (unsigned i = 0; i < MODEL_WORDS; i++) {
        to[2 * i] = (char)(words[i] >> 8);
        to[2 * i + 1] = (char)words[i];
    }
    while (n && to[n - 1] == ' ')
        n--;
    to[n] = 0;
}

bool ata_has_lba48(const uint16_t *id)
{
    return id[83] & (1 << 10);
}

bool ata_has_dma(const uint16_t *id)
{
    return id[49] & (1 << 8);
}

int ata_read_identity(struct block_device *b, const uint16_t *id)
{
    b->sector_size = 512;
    if ((id[106] & 0xd000) == 0x5000) /* valid, sectors over 512 bytes */
        b->sector_size = 2 * (id[117] | (uint32_t)id[118] << 16);
    memcpy(&b->sectors, &id[100], 8);
    if (!ata_has_lba48(id) || b->sectors == 0)
        b->sectors = id[60] | (uint32_t)id[61] << 16;
    copy_model(b->model, &id[27]);
    return b->sector_size >= 512 && b->sector_size <= SECTOR_MAX && b->sectors
               ? 0
               : -ENODEV;
}
