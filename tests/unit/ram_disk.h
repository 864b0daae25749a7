/*
 * ram_disk.h - a block device in memory for tests: records writes and
 * flushes, can fail, can be put back to any instant of its past.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/block.h"

enum { RAM_SECTOR = 512 };

struct ram_event {
    uint64_t sector;
    uint32_t count; /* 0: a flush */
    uint8_t *bytes;
};

struct ram_disk {
    struct block_device device;
    uint8_t *bytes;
    struct ram_event *events;
    unsigned event_count, event_max;
    bool recording;
    int64_t bad_sector; /* reads of it fail; -1: none */
    int writes_left;    /* then writes fail; -1: never */
    bool forgets;       /* says yes to writes, as worn sticks do */
};

static int ram_read(struct block_device *d, uint64_t sector, uint32_t count,
                    void *bytes)
{
    struct ram_disk *r = d->driver;

    if (r->bad_sector >= (int64_t)sector &&
        r->bad_sector < (int64_t)(sector + count))
        return -EIO;
    memcpy(bytes, r->bytes + sector * RAM_SECTOR,
           (uint64_t)count * RAM_SECTOR);
    return 0;
}

static void ram_record(struct ram_disk *r, uint64_t sector, uint32_t count,
                       const void *bytes)
{
    struct ram_event *e;

    if (!r->recording)
        return;
    if (r->event_count == r->event_max) {
        r->event_max = r->event_max ? r->event_max * 2 : 64;
        r->events = realloc(r->events, r->event_max * sizeof *r->events);
    }
    e = &r->events[r->event_count++];
    *e = (struct ram_event){ sector, count, NULL };
    if (count) {
        e->bytes = malloc((size_t)count * RAM_SECTOR);
        memcpy(e->bytes, bytes, (size_t)count * RAM_SECTOR);
    }
}

static int ram_write(struct block_device *d, uint64_t sector, uint32_t count,
                     const void *bytes)
{
    struct ram_disk *r = d->driver;

    if (r->writes_left == 0)
        return -EIO;
    if (r->writes_left > 0)
        r->writes_left--;
    if (r->forgets)
        return 0;
    ram_record(r, sector, count, bytes);
    memcpy(r->bytes + sector * RAM_SECTOR, bytes,
           (uint64_t)count * RAM_SECTOR);
    return 0;
}

static int ram_flush(struct block_device *d)
{
    ram_record(d->driver, 0, 0, NULL);
    return 0;
}

static const struct block_ops ram_ops = {
    .read = ram_read, .write = ram_write, .flush = ram_flush,
};

static inline void ram_init(struct ram_disk *r, uint64_t sectors)
{
    memset(r, 0, sizeof *r);
    r->bytes = calloc(sectors, RAM_SECTOR);
    r->bad_sector = -1;
    r->writes_left = -1;
    strcpy(r->device.name, "ram0");
    r->device.ops = &ram_ops;
    r->device.driver = r;
    r->device.sector_size = RAM_SECTOR;
    r->device.sectors = sectors;
}

static inline void ram_forget(struct ram_disk *r)
{
    for (unsigned i = 0; i < r->event_count; i++)
        free(r->events[i].bytes);
    r->event_count = 0;
}

static inline void ram_free(struct ram_disk *r)
{
    ram_forget(r);
    free(r->events);
    free(r->bytes);
}

/* The disk after a power cut: `before`, and what was recorded up to event
 * `cut`, of which a random part of the sectors arrived; of the writes since
 * the last flush, any may be lost. */
static inline void ram_replay(struct ram_disk *r, const uint8_t *before,
                              unsigned cut, uint32_t (*random)(void))
{
    unsigned flushed = 0;

    memcpy(r->bytes, before, r->device.sectors * RAM_SECTOR);
    for (unsigned i = 0; i < cut; i++)
        if (r->events[i].count == 0)
            flushed = i;
    for (unsigned i = 0; i <= cut && i < r->event_count; i++) {
        const struct ram_event *e = &r->events[i];

        for (uint32_t s = 0; s < e->count; s++)
            if (i < flushed || (i < cut && random() % 4) ||
                (i == cut && random() % 2))
                memcpy(r->bytes + (e->sector + s) * RAM_SECTOR,
                       e->bytes + s * RAM_SECTOR, RAM_SECTOR);
    }
}
