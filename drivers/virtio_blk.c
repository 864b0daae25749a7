/*
 * virtio_blk.c - virtio block devices over PCI.
 *
 * Source: OASIS Virtual I/O Device 1.1, sections 2.6 (queues), 4.1 (PCI),
 * 5.2 (block). Transitional devices are driven through their modern half.
 * QEMU: -device virtio-blk-pci,drive=d
 *
 * One request at a time, three descriptors, through a bounce buffer.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/block.h"
#include "drivers/driver.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { VENDOR = 0x1af4, TRANSITIONAL = 0x1001, MODERN = 0x1042 };
enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };
enum {
    STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8, STATUS_FAILED = 128,
};
enum { /* feature bits: 5.2.3, 6 */
    F_READ_ONLY = 1 << 5, F_FLUSH = 1 << 9, F_VERSION_1_HIGH = 1 << 0,
};
enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4 };
enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum {
    DEVICES = 8,
    QUEUE = 8, /* descriptors; a power of two, three are used */
    SECTOR = 512,
    BOUNCE_BYTES = 128 * 1024,
    TIMEOUT_USECS = 10 * 1000 * 1000,
    NO_VECTOR = 0xffff,
};

struct common_config { /* 4.1.4.3 */
    uint32_t device_feature_select, device_feature;
    uint32_t driver_feature_select, driver_feature;
    uint16_t msix_config, num_queues;
    uint8_t status, generation;
    uint16_t queue_select, queue_size, queue_msix, queue_enable;
    uint16_t queue_notify_off;
    uint64_t queue_desc, queue_driver, queue_device;
};
_Static_assert(offsetof(struct common_config, queue_desc) == 32, "4.1.4.3");

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct request_memory { /* all that the device sees but the data */
    struct descriptor desc[QUEUE];
    struct {
        uint16_t flags, index, ring[QUEUE], event;
    } available;
    _Alignas(4) struct {
        uint16_t flags;
        volatile uint16_t index;
        struct {
            uint32_t id, length;
        } ring[QUEUE];
        uint16_t event;
    } used;
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    volatile uint8_t status;
};

struct virtio_disk {
    struct block_device device;
    volatile struct common_config *common;
    volatile uint8_t *isr, *config;
    volatile uint16_t *notify;
    uint32_t notify_multiplier;
    volatile uint8_t *notify_base;
    struct request_memory *memory;
    uint64_t memory_phys, bounce_phys;
    uint16_t seen; /* used index up to which requests are done */
    bool has_flush;
};

static struct virtio_disk disks[DEVICES];
static unsigned disk_count;

/* --- a request --- */

static void set_desc(struct virtio_disk *d, unsigned i, uint64_t address,
                     uint32_t length, uint16_t flags)
{
    d->memory->desc[i] = (struct descriptor){ address, length, flags,
                                              i + 1 };
}

static bool request_done(void *arg)
{
    const struct virtio_disk *d = arg;

    return d->memory->used.index != d->seen;
}

static int run_request(struct virtio_disk *d, uint32_t type, uint64_t sector,
                       uint32_t bytes)
{
    struct request_memory *m = d->memory;
    unsigned n = 0;
    int error;

    m->header.type = type;
    m->header.sector = sector;
    m->status = 0xff;
    set_desc(d, n++, d->memory_phys + offsetof(struct request_memory, header),
             sizeof m->header, DESC_NEXT);
    if (bytes)
        set_desc(d, n++, d->bounce_phys, bytes,
                 DESC_NEXT | (type == REQUEST_IN ? DESC_WRITE : 0));
    set_desc(d, n, d->memory_phys + offsetof(struct request_memory, status),
             1, DESC_WRITE);
    m->available.ring[m->available.index % QUEUE] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    m->available.index++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *d->notify = 0;
    error = irq_wait(request_done, d, TIMEOUT_USECS);
    if (error)
        return error;
    d->seen = m->used.index;
    return m->status == 0 ? 0 : -EIO;
}

/* --- block_ops --- */

static int virtio_move(struct block_device *b, bool write, uint64_t sector,
                       uint32_t count)
{
    return run_request(b->driver, write ? REQUEST_OUT : REQUEST_IN, sector,
                       count * SECTOR);
}

/* Without the feature the device writes through. */
static int virtio_flush(struct block_device *b)
{
    struct virtio_disk *d = b->driver;

    return d->has_flush ? run_request(d, REQUEST_FLUSH, 0, 0) : 0;
}

static const struct block_ops virtio_ops = {
    .read = block_read_bounced, .write = block_write_bounced,
    .flush = virtio_flush, .move = virtio_move,
};

/* --- finding the registers: 4.1.4 --- */

static volatile uint8_t *map_config(struct pci_device *dev, unsigned cap,
                                    uint32_t least)
{
    uint32_t offset = pci_read32(dev, cap + 8);
    uint32_t length = pci_read32(dev, cap + 12);
    uint64_t bytes;
    volatile uint8_t *base = pci_map_bar(dev, pci_read8(dev, cap + 4), &bytes);

    if (!base || length < least || offset > bytes || length > bytes - offset)
        return NULL;
    return base + offset;
}

static int find_registers(struct virtio_disk *d, struct pci_device *dev)
{
    unsigned cap = 0;

    while ((cap = pci_find_capability(dev, PCI_CAP_VENDOR, cap)) != 0)
        switch (pci_read8(dev, cap + 3)) {
        case CFG_COMMON:
            if (!d->common)
                d->common = (volatile void *)map_config(
                    dev, cap, sizeof(struct common_config));
            break;
        case CFG_NOTIFY:
            d->notify_multiplier = pci_read32(dev, cap + 16);
            d->notify_base = map_config(dev, cap, 2);
            break;
        case CFG_ISR:
            d->isr = map_config(dev, cap, 1);
            break;
        case CFG_DEVICE:
            d->config = map_config(dev, cap, 8);
            break;
        }
    return d->common && d->notify_base && d->isr && d->config ? 0 : -ENODEV;
}

/* --- starting the device: 3.1.1 --- */

static int negotiate(struct virtio_disk *d)
{
    volatile struct common_config *c = d->common;
    uint32_t features;

    c->device_feature_select = 0;
    features = c->device_feature;
    d->has_flush = features & F_FLUSH;
    d->device.read_only = features & F_READ_ONLY;
    c->device_feature_select = 1;
    if (!(c->device_feature & F_VERSION_1_HIGH))
        return -ENODEV;
    c->driver_feature_select = 0;
    c->driver_feature = features & (F_FLUSH | F_READ_ONLY);
    c->driver_feature_select = 1;
    c->driver_feature = F_VERSION_1_HIGH;
    c->status |= STATUS_FEATURES_OK;
    return c->status & STATUS_FEATURES_OK ? 0 : -ENODEV;
}

static int start_queue(struct virtio_disk *d, int msix)
{
    volatile struct common_config *c = d->common;
    uint64_t phys = d->memory_phys;

    c->msix_config = NO_VECTOR;
    c->queue_select = 0;
    if (c->queue_size < QUEUE)
        return -ENODEV;
    c->queue_size = QUEUE;
    c->queue_msix = msix ? 0 : NO_VECTOR;
    c->queue_desc = phys + offsetof(struct request_memory, desc);
    c->queue_driver = phys + offsetof(struct request_memory, available);
    c->queue_device = phys + offsetof(struct request_memory, used);
    d->notify = (volatile void *)(d->notify_base +
                                  c->queue_notify_off * d->notify_multiplier);
    c->queue_enable = 1;
    return 0;
}

/* Reading the ISR byte acknowledges a legacy interrupt (4.1.4.5). */
static void virtio_interrupt(void *arg)
{
    const struct virtio_disk *d = arg;

    (void)*d->isr;
}

static int start_device(struct virtio_disk *d, struct pci_device *dev)
{
    int msix = 0, error = find_registers(d, dev);

    if (error)
        return error;
    d->memory = dma_alloc(sizeof *d->memory, &d->memory_phys);
    d->device.bounce = dma_alloc(BOUNCE_BYTES, &d->bounce_phys);
    if (!d->memory || !d->device.bounce)
        return -ENOMEM;
    d->common->status = 0; /* reset */
    d->common->status = STATUS_ACKNOWLEDGE;
    d->common->status |= STATUS_DRIVER;
    error = negotiate(d);
    if (!error) {
        pci_route_irq(dev, virtio_interrupt, d, &msix);
        error = start_queue(d, msix);
    }
    d->common->status |= error ? STATUS_FAILED : STATUS_DRIVER_OK;
    return error;
}

static int virtio_probe(struct pci_device *dev)
{
    struct virtio_disk *d = &disks[disk_count];
    struct block_device *b = &d->device;
    uint32_t low, high;
    int error;

    if (disk_count == DEVICES)
        return -ENOSPC;
    memset(d, 0, sizeof *d);
    pci_enable(dev);
    error = start_device(d, dev);
    if (error)
        return error;
    low = *(volatile uint32_t *)(d->config);
    high = *(volatile uint32_t *)(d->config + 4);
    b->sectors = low | (uint64_t)high << 32;
    b->sector_size = SECTOR;
    b->bounce_sectors = BOUNCE_BYTES / SECTOR;
    b->ops = &virtio_ops;
    b->driver = d;
    strcpy(b->model, "virtio disk");
    snprintf(b->name, sizeof b->name, "virtio%u", disk_count++);
    klog("%s: %llu MB\n", b->name, (unsigned long long)(b->sectors >> 11));
    return block_register(b);
}

static const struct pci_match ids[] = {
    { VENDOR, TRANSITIONAL, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { VENDOR, MODERN, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver virtio_blk_driver = {
    .name = "virtio_blk", .ids = ids, .probe = virtio_probe,
};
