/*
 * gpt.c - GPTs read and written as a whole (gpt.h).
 */
#include "kernel/gpt.h"

#include <errno.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"
#include "kernel/partition.h"

enum { SECTOR_MAX = 4096, HEADER = 92, MBR_ENTRY = 446, MBR_PROTECTIVE = 0xee };

static uint8_t sector[SECTOR_MAX];

static uint32_t entry_sectors(const struct gpt *g)
{
    return sizeof g->entries / g->disk->sector_size;
}

static uint32_t entries_crc(const struct gpt *g)
{
    return ~partition_crc(~0u, g->entries, sizeof g->entries);
}

static uint8_t *entry(struct gpt *g, unsigned index)
{
    return g->entries + index * GPT_ENTRY;
}

/* --- entries --- */

const uint8_t *gpt_type(const struct gpt *g, unsigned index)
{
    const uint8_t *e = g->entries + index * GPT_ENTRY;

    return get64(e) | get64(e + 8) ? e : NULL;
}

struct gpt_range gpt_range(const struct gpt *g, unsigned index)
{
    const uint8_t *e = g->entries + index * GPT_ENTRY;

    return (struct gpt_range){ get64(e + 32), get64(e + 40) };
}

void gpt_set_last(struct gpt *g, unsigned index, uint64_t last)
{
    put64(entry(g, index) + 40, last);
}

struct gpt_range gpt_usable(const struct gpt *g)
{
    return (struct gpt_range){ 2 + entry_sectors(g),
                               g->disk->sectors - 2 - entry_sectors(g) };
}

/* Version 4 of RFC 4122, from a counter run through splitmix64. */
static void make_guid(uint64_t *seed, uint8_t guid[16])
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        put64(guid + 8 * i, z ^ z >> 31);
    }
    guid[7] = (guid[7] & 0x0f) | 0x40;
    guid[8] = (guid[8] & 0x3f) | 0x80;
}

void gpt_make(struct gpt *g, struct block_device *disk, uint64_t seed)
{
    *g = (struct gpt){ .disk = disk, .seed = seed };
    make_guid(&g->seed, g->guid);
}

void gpt_add(struct gpt *g, const uint8_t type[16], const char *name,
             struct gpt_range range)
{
    unsigned i = 0;
    uint8_t *e;

    while (gpt_type(g, i))
        i++;
    e = entry(g, i);
    memset(e, 0, GPT_ENTRY);
    memcpy(e, type, 16);
    make_guid(&g->seed, e + 16);
    put64(e + 32, range.first);
    put64(e + 40, range.last);
    for (i = 0; name[i]; i++)
        put16(e + 56 + 2 * i, (uint8_t)name[i]);
}

/* --- reading --- */

static bool usable_disk(const struct block_device *d)
{
    return d->sector_size >= 512 && d->sector_size <= SECTOR_MAX &&
           sizeof(((struct gpt *)0)->entries) % d->sector_size == 0 &&
           d->sectors > 8 * sizeof(((struct gpt *)0)->entries) /
                            d->sector_size;
}

static bool overlap(struct gpt_range a, struct gpt_range b)
{
    return a.first <= b.last && b.first <= a.last;
}

static bool ranges_are_sound(const struct gpt *g)
{
    struct gpt_range all = gpt_usable(g);

    for (unsigned i = 0; i < GPT_ENTRIES; i++) {
        struct gpt_range r = gpt_range(g, i);

        if (!gpt_type(g, i))
            continue;
        if (r.first < all.first || r.last > all.last || r.first > r.last)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (gpt_type(g, k) && overlap(r, gpt_range(g, k)))
                return false;
    }
    return true;
}

int gpt_read(struct gpt *g, struct block_device *disk)
{
    int error;

    if (!usable_disk(disk))
        return -ENOENT;
    *g = (struct gpt){ .disk = disk };
    error = block_read(disk, 1, 1, sector);
    if (error)
        return error;
    if (!partition_gpt_header(sector, 1, disk->sector_size) ||
        get64(sector + 72) != 2 || get32(sector + 80) != GPT_ENTRIES ||
        get32(sector + 84) != GPT_ENTRY)
        return -ENOENT;
    g->backup = get64(sector + 32);
    memcpy(g->guid, sector + 56, sizeof g->guid);
    error = block_read(disk, 2, entry_sectors(g), g->entries);
    if (error)
        return error;
    return entries_crc(g) == get32(sector + 88) && ranges_are_sound(g)
               ? 0
               : -ENOENT;
}

/* --- writing --- */

static int write_header(const struct gpt *g, uint64_t at, uint64_t other,
                        uint64_t first_entry)
{
    struct gpt_range usable = gpt_usable(g);

    memset(sector, 0, sizeof sector);
    memcpy(sector, "EFI PART", 8);
    put32(sector + 8, 0x00010000);
    put32(sector + 12, HEADER);
    put64(sector + 24, at);
    put64(sector + 32, other);
    put64(sector + 40, usable.first);
    put64(sector + 48, usable.last);
    memcpy(sector + 56, g->guid, 16);
    put64(sector + 72, first_entry);
    put32(sector + 80, GPT_ENTRIES);
    put32(sector + 84, GPT_ENTRY);
    put32(sector + 88, entries_crc(g));
    put32(sector + 16, ~partition_crc(~0u, sector, HEADER));
    return block_write(g->disk, at, 1, sector);
}

/* The protective entry is the MBR's first: nobody puts it elsewhere. */
static int write_mbr(struct block_device *d, uint8_t *mbr)
{
    uint8_t *e = mbr + MBR_ENTRY;

    e[2] = 2; /* from head 0, cylinder 0, sector 2 ... */
    e[4] = MBR_PROTECTIVE;
    e[5] = e[6] = e[7] = 0xff;
    put32(e + 8, 1);
    put32(e + 12, d->sectors > UINT32_MAX ? UINT32_MAX
                                          : (uint32_t)d->sectors - 1);
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
    return block_write(d, 0, 1, mbr);
}

/* ORDER: the backup is whole on the medium before the primary is touched.
 * While the primary is neither old nor new it has a wrong checksum, and the
 * backup at the disk's end is what readers turn to. */
int gpt_write(struct gpt *g, uint8_t *mbr)
{
    struct block_device *d = g->disk;
    uint64_t last = d->sectors - 1, copy = last - entry_sectors(g);
    int error = block_write(d, copy, entry_sectors(g), g->entries);

    if (!error)
        error = write_header(g, last, 1, copy);
    if (!error)
        error = block_flush(d);
    if (!error)
        error = write_mbr(d, mbr);
    if (!error)
        error = block_write(d, 2, entry_sectors(g), g->entries);
    if (!error)
        error = block_flush(d);
    if (!error)
        error = write_header(g, 1, last, 2);
    if (!error)
        error = block_flush(d);
    if (!error)
        g->backup = last;
    return error;
}
