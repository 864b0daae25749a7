/*
 * block.c - the list of disks, the checks that every request passes.
 */
#include "drivers/block.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static struct block_device *devices[BLOCK_MAX];
static unsigned device_count;

int block_register(struct block_device *d)
{
    if (device_count == BLOCK_MAX)
        return -ENOSPC;
    devices[device_count++] = d;
    return 0;
}

struct block_device *block_device(unsigned index)
{
    return index < device_count ? devices[index] : NULL;
}

struct block_device *block_find(const char *name)
{
    for (unsigned i = 0; i < device_count; i++)
        if (strcmp(devices[i]->name, name) == 0)
            return devices[i];
    return NULL;
}

bool block_gone(const struct block_device *d)
{
    while (d->parent)
        d = d->parent;
    return d->gone;
}

static bool in_range(const struct block_device *d, uint64_t sector,
                     uint32_t count)
{
    return sector <= d->sectors && count <= d->sectors - sector;
}

int block_read(struct block_device *d, uint64_t sector, uint32_t count,
               void *bytes)
{
    if (!in_range(d, sector, count))
        return -EINVAL;
    return count ? d->ops->read(d, sector, count, bytes) : 0;
}

int block_write(struct block_device *d, uint64_t sector, uint32_t count,
                const void *bytes)
{
    if (d->read_only)
        return -EROFS;
    if (!in_range(d, sector, count))
        return -EINVAL;
    return count ? d->ops->write(d, sector, count, bytes) : 0;
}

int block_flush(struct block_device *d)
{
    return d->read_only ? 0 : d->ops->flush(d);
}
