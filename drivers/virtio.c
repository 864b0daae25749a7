/*
 * virtio.c - what virtio devices over PCI have in common (virtio.h).
 *
 * Source: OASIS Virtual I/O Device 1.1, sections 2.6 (queues), 3.1
 * (starting), 4.1 (PCI). Transitional devices are driven through their
 * modern half.
 */
#include "drivers/virtio.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };
enum {
    STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8, STATUS_FAILED = 128,
};
enum { F_VERSION_1_HIGH = 1 << 0 }; /* section 6 */
enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum {
    QUEUE = 8, /* descriptors; a power of two, VIRTIO_PARTS are used */
    NO_VECTOR = 0xffff,
    RESET_USECS = 5 * 1000 * 1000,
};

struct virtio_common { /* 4.1.4.3 */
    uint32_t device_feature_select, device_feature;
    uint32_t driver_feature_select, driver_feature;
    uint16_t msix_config, num_queues;
    uint8_t status, generation;
    uint16_t queue_select, queue_size, queue_msix, queue_enable;
    uint16_t queue_notify_off;
    uint64_t queue_desc, queue_driver, queue_device;
};
_Static_assert(offsetof(struct virtio_common, queue_desc) == 32, "4.1.4.3");

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtio_rings { /* the queue, as the device sees it */
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

static int find_registers(struct virtio_device *v, struct pci_device *dev)
{
    unsigned cap = 0;

    while ((cap = pci_find_capability(dev, PCI_CAP_VENDOR, cap)) != 0)
        switch (pci_read8(dev, cap + 3)) {
        case CFG_COMMON:
            if (!v->common)
                v->common = (volatile void *)map_config(
                    dev, cap, sizeof(struct virtio_common));
            break;
        case CFG_NOTIFY:
            v->notify_multiplier = pci_read32(dev, cap + 16);
            v->notify_base = map_config(dev, cap, 2);
            break;
        case CFG_ISR:
            v->isr = map_config(dev, cap, 1);
            break;
        case CFG_DEVICE:
            v->config = map_config(dev, cap, 8);
            break;
        }
    return v->common && v->notify_base && v->isr && v->config ? 0 : -ENODEV;
}

/* --- starting the device: 3.1.1 --- */

static bool is_reset(void *arg)
{
    const struct virtio_device *v = arg;

    return v->common->status == 0;
}

static int negotiate(struct virtio_device *v, uint32_t wanted)
{
    volatile struct virtio_common *c = v->common;

    c->device_feature_select = 0;
    v->features = c->device_feature & wanted;
    c->device_feature_select = 1;
    if (!(c->device_feature & F_VERSION_1_HIGH))
        return -ENODEV;
    c->driver_feature_select = 0;
    c->driver_feature = v->features;
    c->driver_feature_select = 1;
    c->driver_feature = F_VERSION_1_HIGH;
    c->status |= STATUS_FEATURES_OK;
    return c->status & STATUS_FEATURES_OK ? 0 : -ENODEV;
}

static int start_queue(struct virtio_device *v)
{
    volatile struct virtio_common *c = v->common;
    uint64_t phys = v->rings_phys;

    memset(v->rings, 0, sizeof *v->rings);
    v->seen = 0;
    c->msix_config = NO_VECTOR;
    c->queue_select = v->queue;
    if (c->queue_size < QUEUE)
        return -ENODEV;
    c->queue_size = QUEUE;
    c->queue_msix = v->msix ? 0 : NO_VECTOR;
    c->queue_desc = phys + offsetof(struct virtio_rings, desc);
    c->queue_driver = phys + offsetof(struct virtio_rings, available);
    c->queue_device = phys + offsetof(struct virtio_rings, used);
    v->notify = (volatile void *)(v->notify_base +
                                  c->queue_notify_off * v->notify_multiplier);
    c->queue_enable = 1;
    return 0;
}

/* After the reset the device leaves alone what it was given before. */
static int start(struct virtio_device *v, uint32_t wanted)
{
    volatile struct virtio_common *c = v->common;
    int error;

    c->status = 0;
    error = irq_wait(is_reset, v, RESET_USECS);
    if (error)
        return error;
    c->status = STATUS_ACKNOWLEDGE;
    c->status |= STATUS_DRIVER;
    error = negotiate(v, wanted);
    if (!error)
        error = start_queue(v);
    c->status |= error ? STATUS_FAILED : STATUS_DRIVER_OK;
    return error;
}

/* Reading the ISR byte acknowledges a legacy interrupt (4.1.4.5). */
static void interrupt(void *arg)
{
    const struct virtio_device *v = arg;

    (void)*v->isr;
}

int virtio_open(struct virtio_device *v, struct pci_device *dev,
                uint32_t wanted, unsigned queue)
{
    int error;

    pci_enable(dev);
    error = find_registers(v, dev);
    if (error)
        return error;
    v->rings = dma_alloc(sizeof *v->rings, &v->rings_phys);
    if (!v->rings)
        return -ENOMEM;
    v->queue = queue;
    pci_route_irq(dev, interrupt, v, &v->msix);
    return start(v, wanted);
}

/* --- a request --- */

static void fill_descriptors(struct virtio_rings *r,
                             const struct virtio_part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        r->desc[i] = (struct descriptor){
            parts[i].phys, parts[i].bytes,
            (uint16_t)((parts[i].in ? DESC_WRITE : 0) |
                       (i + 1 < count ? DESC_NEXT : 0)),
            (uint16_t)(i + 1),
        };
}

static bool is_done(void *arg)
{
    const struct virtio_device *v = arg;

    return v->rings->used.index != v->seen;
}

int virtio_run(struct virtio_device *v, const struct virtio_part *parts,
               unsigned count, uint64_t usecs)
{
    struct virtio_rings *r = v->rings;
    int error;

    if (v->broken)
        return -EIO;
    fill_descriptors(r, parts, count);
    r->available.ring[r->available.index % QUEUE] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r->available.index++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *v->notify = (uint16_t)v->queue;
    error = irq_wait(is_done, v, usecs);
    if (!error) {
        v->seen = r->used.index;
        return 0;
    }
    v->broken = start(v, v->features) != 0;
    klog("virtio: no answer, %s\n", v->broken ? "given up" : "started again");
    return error;
}
