/*
 * block_dma.c - requests cut into what one command of a driver can move:
 * straight between the disk and the caller's memory where the device reaches
 * that, else through a bounce buffer. The block_ops of drivers with `move`.
 */
#include <stddef.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/vmm.h"

enum {
    PIECES_MAX = 320,
    DIRECT_LEAST = 4096, /* below it copying costs less than page tables */
    ALIGNMENT = 8,       /* the strictest device, NVMe, asks for 4 */
};

static struct block_piece pieces[PIECES_MAX]; /* one thread: block.h */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* More memory behind the pieces; false: there are too many. */
static bool add_piece(const struct block_device *d, unsigned *n,
                      uint64_t phys, uint32_t bytes)
{
    struct block_piece *last = *n ? &pieces[*n - 1] : NULL;

    if (last && last->phys + last->bytes == phys) {
        last->bytes += bytes;
        return true;
    }
    if (*n == least(d->most_pieces, PIECES_MAX))
        return false;
    pieces[(*n)++] = (struct block_piece){ phys, bytes };
    return true;
}

/* As vmm_run, as far as the device reaches. */
static uint32_t reachable(const struct block_device *d, uintptr_t at,
                          uint64_t bytes, uint64_t *phys)
{
    uint64_t run = vmm_run(at, bytes, phys);

    if (run && *phys + run - 1 > d->reach)
        run = least(run, PAGE_SIZE - at % PAGE_SIZE);
    return !run || *phys + run - 1 > d->reach ? 0 : (uint32_t)run;
}

static unsigned drop_bytes(unsigned n, uint32_t bytes)
{
    while (bytes) {
        uint32_t here = (uint32_t)least(bytes, pieces[n - 1].bytes);

        pieces[n - 1].bytes -= here;
        bytes -= here;
        if (!pieces[n - 1].bytes)
            n--;
    }
    return n;
}

/* How many of the sectors can be moved at once, straight: the first *n
 * pieces are theirs. */
static uint32_t gather(const struct block_device *d, uintptr_t at,
                       uint32_t count, unsigned *n)
{
    uint64_t bytes = least(count, d->most_sectors) * d->sector_size;
    uint64_t got = 0, phys;

    *n = 0;
    if (bytes < DIRECT_LEAST || at % ALIGNMENT)
        return 0;
    while (got < bytes) {
        uint32_t part = reachable(d, at + got, bytes - got, &phys);

        if (!part || !add_piece(d, n, phys, part))
            break;
        got += part;
    }
    *n = drop_bytes(*n, (uint32_t)(got % d->sector_size));
    return (uint32_t)(got / d->sector_size);
}

/* --- commands under way --- */

/* Those of a request, which is cut so that the device has the next one when
 * it is done with one. */
struct flight {
    struct block_device *device;
    bool write;
    unsigned oldest, count; /* slots, one behind the other */
    int error;              /* the first one */
};

static void end_oldest(struct flight *f)
{
    int error = f->device->ops->end(f->device, f->oldest);

    if (!f->error)
        f->error = error;
    f->oldest = (f->oldest + 1) % f->device->depth;
    f->count--;
}

static void end_all(struct flight *f)
{
    while (f->count)
        end_oldest(f);
}

static void begin(struct flight *f, uint64_t sector, uint32_t count,
                  const struct block_piece *p, unsigned n)
{
    struct block_device *d = f->device;

    if (!d->depth) {
        f->error = d->ops->move(d, f->write, sector, count, p, n);
        return;
    }
    if (f->count == d->depth)
        end_oldest(f);
    if (!f->error)
        d->ops->begin(d, (f->oldest + f->count++) % d->depth, f->write,
                      sector, count, p, n);
}

/* There is one bounce buffer. */
static void move_bounced(struct flight *f, uint64_t sector, uint32_t count,
                         uint8_t *at)
{
    struct block_device *d = f->device;
    uint32_t bytes = count * d->sector_size;
    const struct block_piece piece = { d->bounce_phys, bytes };

    if (f->write)
        memcpy(d->bounce, at, bytes);
    begin(f, sector, count, &piece, 1);
    end_all(f);
    if (!f->error && !f->write)
        memcpy(at, d->bounce, bytes);
}

static int move_all(struct block_device *d, bool write, uint64_t sector,
                    uint32_t count, uint8_t *at)
{
    struct flight f = { .device = d, .write = write };

    while (count && !f.error) {
        unsigned n;
        uint32_t sectors = gather(d, (uintptr_t)at, count, &n);

        if (sectors) {
            begin(&f, sector, sectors, pieces, n);
        } else {
            sectors = (uint32_t)least(count, d->bounce_sectors);
            move_bounced(&f, sector, sectors, at);
        }
        at += (uint64_t)sectors * d->sector_size;
        sector += sectors;
        count -= sectors;
    }
    end_all(&f);
    return f.error;
}

int block_read_dma(struct block_device *d, uint64_t sector, uint32_t count,
                   void *bytes)
{
    return move_all(d, false, sector, count, bytes);
}

int block_write_dma(struct block_device *d, uint64_t sector, uint32_t count,
                    const void *bytes)
{
    return move_all(d, true, sector, count, (uint8_t *)(uintptr_t)bytes);
}
