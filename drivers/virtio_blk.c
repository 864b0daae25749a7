/*
 * virtio_blk.c - virtio block devices.
 *
 * Source: OASIS Virtual I/O Device 1.1, section 5.2.
 * QEMU: -device virtio-blk-pci,drive=d
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/block.h"
#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { TRANSITIONAL = 0x1001, MODERN = 0x1042 };
enum { F_READ_ONLY = 1 << 5, F_FLUSH = 1 << 9 }; /* 5.2.3 */
enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4 };
enum {
    DEVICES = 8, QUEUE_REQUESTS = 0,
    SECTOR = 512,
    BOUNCE_BYTES = 128 * 1024, MOST_BYTES = 1 << 20,
    TIMEOUT_USECS = 10 * 1000 * 1000,
};

struct request { /* 5.2.6, without the data */
    uint32_t type, reserved;
    uint64_t sector;
    volatile uint8_t status;
};

struct virtio_disk {
    struct block_device device;
    struct virtio_device virtio;
    struct request *request;
    uint64_t request_phys;
};

static struct virtio_disk disks[DEVICES];
static unsigned disk_count;

static int run_request(struct virtio_disk *d, uint32_t type, uint64_t sector,
                       const struct block_piece *pieces, unsigned count)
{
    struct virtio_part parts[VIRTIO_PARTS];
    unsigned n = 0;
    int error;

    *d->request = (struct request){ type, 0, sector, 0xff };
    parts[n++] = (struct virtio_part){
        d->request_phys, offsetof(struct request, status), false };
    for (unsigned i = 0; i < count; i++)
        parts[n++] = (struct virtio_part){ pieces[i].phys, pieces[i].bytes,
                                           type == REQUEST_IN };
    parts[n++] = (struct virtio_part){
        d->request_phys + offsetof(struct request, status), 1, true };
    error = virtio_run(&d->virtio, parts, n, TIMEOUT_USECS);
    return error ? error : d->request->status == 0 ? 0 : -EIO;
}

/* --- block_ops --- */

static int virtio_move(struct block_device *b, bool write, uint64_t sector,
                       uint32_t count, const struct block_piece *pieces,
                       unsigned n)
{
    return run_request(b->driver, write ? REQUEST_OUT : REQUEST_IN, sector,
                       pieces, n);
}

/* Without the feature the device writes through. */
static int virtio_flush(struct block_device *b)
{
    struct virtio_disk *d = b->driver;

    return d->virtio.features & F_FLUSH
               ? run_request(d, REQUEST_FLUSH, 0, NULL, 0)
               : 0;
}

static const struct block_ops virtio_ops = {
    .read = block_read_dma, .write = block_write_dma,
    .flush = virtio_flush, .move = virtio_move,
};

/* --- probing --- */

static int virtio_probe(struct pci_device *dev)
{
    struct virtio_disk *d = &disks[disk_count];
    struct block_device *b = &d->device;
    volatile uint32_t *capacity;
    int error;

    if (disk_count == DEVICES)
        return -ENOSPC;
    memset(d, 0, sizeof *d);
    d->request = dma_alloc(sizeof *d->request, &d->request_phys);
    b->bounce = dma_alloc(BOUNCE_BYTES, &b->bounce_phys);
    if (!d->request || !b->bounce)
        return -ENOMEM;
    snprintf(b->name, sizeof b->name, "virtio%u", disk_count++);
    error = virtio_open(&d->virtio, dev, F_FLUSH | F_READ_ONLY,
                        QUEUE_REQUESTS, 1);
    if (error)
        return error;
    capacity = (volatile uint32_t *)d->virtio.config;
    b->sectors = capacity[0] | (uint64_t)capacity[1] << 32;
    b->sector_size = SECTOR;
    b->bounce_sectors = BOUNCE_BYTES / SECTOR;
    b->most_sectors = MOST_BYTES / SECTOR;
    b->most_pieces = d->virtio.queues[0].size - 2; /* request and status */
    b->reach = UINT64_MAX;
    b->read_only = d->virtio.features & F_READ_ONLY;
    b->ops = &virtio_ops;
    b->driver = d;
    strcpy(b->model, "virtio disk");
    klog("%s: %llu MB\n", b->name, (unsigned long long)(b->sectors >> 11));
    return block_register(b);
}

static const struct pci_match ids[] = {
    { VIRTIO_VENDOR, TRANSITIONAL, PCI_ANY_CLASS, PCI_ANY_CLASS,
      PCI_ANY_CLASS },
    { VIRTIO_VENDOR, MODERN, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver virtio_blk_driver = {
    .name = "virtio_blk", .ids = ids, .probe = virtio_probe,
};
