/*
 * block.h - what a disk looks like to everybody above it.
 *
 * A driver fills a struct block_device and registers it; partitions are
 * block devices too, made by kernel/partition code over a parent. Requests
 * are synchronous: the machine has one thread, and a driver waits for its
 * interrupt with irq_wait (kernel/irq.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;

/* Neighbouring memory, as a device sees it. */
struct block_piece {
    uint64_t phys;
    uint32_t bytes;
};

struct block_ops {
    /* Whole sectors, any count, any buffer in kernel or VM memory. 0, or a
     * negative errno: -EIO, -EROFS, -EINVAL (past the end), -ETIMEDOUT,
     * -ENODEV (gone). */
    int (*read)(struct block_device *d, uint64_t sector, uint32_t count,
                void *bytes);
    int (*write)(struct block_device *d, uint64_t sector, uint32_t count,
                 const void *bytes);
    /* Everything written before is on the medium when it returns 0. */
    int (*flush)(struct block_device *d);
    /* Of drivers whose `read` and `write` are block_read_dma and
     * block_write_dma: moves sectors between the disk and the pieces, which
     * are as many bytes. Either the bounce buffer's beginning, or memory
     * within the limits below; all pieces but the last end at the end of a
     * page, all but the first begin with one. */
    int (*move)(struct block_device *d, bool write, uint64_t sector,
                uint32_t count, const struct block_piece *pieces,
                unsigned n);
    /* In place of `move` if the device takes `depth` commands at once: the
     * same, begun as number `slot` below that, which none is that has not
     * been ended. */
    void (*begin)(struct block_device *d, unsigned slot, bool write,
                  uint64_t sector, uint32_t count,
                  const struct block_piece *pieces, unsigned n);
    /* Waits for it, whatever becomes of the others. */
    int (*end)(struct block_device *d, unsigned slot);
};

struct block_device {
    char name[16];          /* "sata0", "virtio0", "sata0p2" */
    char model[48];         /* as the device says, for messages */
    const struct block_ops *ops;
    void *driver;           /* the driver's own */
    uint32_t sector_size;   /* bytes: 512, 2048 (CD) or 4096 */
    uint64_t sectors;
    bool read_only, removable;
    bool gone; /* unplugged for now; the driver clears it (whole disks) */
    struct block_device *parent; /* of a partition; else NULL */
    uint64_t first_sector;       /* of a partition, on its parent */
    /* For ops->move: memory that the device reaches, and what one command
     * takes of other memory (most_pieces 0: none), below `reach`. */
    uint8_t *bounce;
    uint64_t bounce_phys, reach;
    uint32_t bounce_sectors, most_sectors;
    unsigned most_pieces;
    unsigned depth; /* for ops->begin */
};

enum { BLOCK_MAX = 96 };

/* Takes note of `d`, which lives for ever. 0 or -ENOSPC. */
int block_register(struct block_device *d);
/* Device `index` in order of registration; NULL past the end. */
struct block_device *block_device(unsigned index);
struct block_device *block_find(const char *name);
/* The disk, or the one that the partition lies on, is not plugged in. */
bool block_gone(const struct block_device *d);

/* Checked against the device's end; forwards to the driver. */
int block_read(struct block_device *d, uint64_t sector, uint32_t count,
               void *bytes);
int block_write(struct block_device *d, uint64_t sector, uint32_t count,
                const void *bytes);
int block_flush(struct block_device *d);

static inline uint32_t block_bytes(const struct block_piece *pieces,
                                   unsigned n)
{
    uint32_t bytes = 0;

    while (n--)
        bytes += pieces[n].bytes;
    return bytes;
}

/* For block_ops: callers may hand in memory that no device could be told
 * about. */
int block_read_dma(struct block_device *d, uint64_t sector, uint32_t count,
                   void *bytes);
int block_write_dma(struct block_device *d, uint64_t sector, uint32_t count,
                    const void *bytes);
