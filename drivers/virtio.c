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
enum { DESC_NEXT = 1, DESC_WRITE = 2, AVAILABLE_NO_INTERRUPT = 1 };
enum {
    LEAST_SLOTS = VIRTIO_FEW,
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

/* The three parts of a queue, which the device is told of one by one: in a
 * smaller queue it looks at the first entries of each. */
struct virtio_rings {
    struct descriptor desc[VIRTIO_SLOTS];
    struct {
        uint16_t flags, index, ring[VIRTIO_SLOTS], event;
    } available;
    _Alignas(4) struct {
        uint16_t flags;
        volatile uint16_t index;
        struct {
            uint32_t id, length;
        } ring[VIRTIO_SLOTS];
        uint16_t event;
    } used;
};

/* --- finding the registers: 4.1.4 --- */

static volatile uint8_t *map_config(struct pci_device *dev, unsigned cap,
                                    uint32_t least, uint32_t *length)
{
    uint32_t offset = pci_read32(dev, cap + 8);
    uint64_t bytes;
    volatile uint8_t *base = pci_map_bar(dev, pci_read8(dev, cap + 4), &bytes);

    *length = pci_read32(dev, cap + 12);
    if (!base || *length < least || offset > bytes ||
        *length > bytes - offset)
        return NULL;
    return base + offset;
}

static int find_registers(struct virtio_device *v, struct pci_device *dev)
{
    unsigned cap = 0;
    uint32_t length;

    while ((cap = pci_find_capability(dev, PCI_CAP_VENDOR, cap)) != 0)
        switch (pci_read8(dev, cap + 3)) {
        case CFG_COMMON:
            if (!v->common)
                v->common = (volatile void *)map_config(
                    dev, cap, sizeof(struct virtio_common), &length);
            break;
        case CFG_NOTIFY:
            v->notify_multiplier = pci_read32(dev, cap + 16);
            v->notify_base = map_config(dev, cap, 2,
                                        &v->notify_bytes);
            break;
        case CFG_ISR:
            v->isr = map_config(dev, cap, 1, &length);
            break;
        case CFG_DEVICE:
            v->config = map_config(dev, cap, 8, &v->config_bytes);
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

/* The largest power of two that both sides can. */
static unsigned slots_of(uint16_t offered)
{
    unsigned n = VIRTIO_SLOTS;

    while (n > offered)
        n /= 2;
    return n;
}

static int start_queue(struct virtio_device *v, struct virtio_queue *q)
{
    volatile struct virtio_common *c = v->common;
    uint64_t notify;

    memset(q->rings, 0, sizeof *q->rings);
    q->seen = 0;
    c->queue_select = (uint16_t)q->number;
    q->size = slots_of(c->queue_size);
    notify = (uint64_t)c->queue_notify_off * v->notify_multiplier;
    if (q->size < LEAST_SLOTS || notify > v->notify_bytes - 2)
        return -ENODEV;
    c->queue_size = (uint16_t)q->size;
    c->queue_msix = v->msix ? 0 : NO_VECTOR;
    c->queue_desc = q->phys + offsetof(struct virtio_rings, desc);
    c->queue_driver = q->phys + offsetof(struct virtio_rings, available);
    c->queue_device = q->phys + offsetof(struct virtio_rings, used);
    q->notify = (volatile void *)(v->notify_base + notify);
    c->queue_enable = 1;
    return 0;
}

static int start_queues(struct virtio_device *v)
{
    int error = 0;

    v->common->msix_config = v->msix && v->interrupt ? 0 : NO_VECTOR;
    for (unsigned i = 0; i < v->queue_count && !error; i++)
        error = start_queue(v, &v->queues[i]);
    return error;
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
        error = start_queues(v);
    c->status |= error ? STATUS_FAILED : STATUS_DRIVER_OK;
    return error;
}

/* Reading the ISR byte acknowledges a legacy interrupt (4.1.4.5); it costs an
 * exit from the virtual machine. */
static void interrupt(void *arg)
{
    struct virtio_device *v = arg;

    if (!v->msix)
        (void)*v->isr;
    if (v->interrupt)
        v->interrupt(v);
}

int virtio_open(struct virtio_device *v, struct pci_device *dev,
                uint32_t wanted, unsigned first, unsigned count)
{
    int error;

    v->pci = dev;
    pci_enable(dev);
    error = find_registers(v, dev);
    if (error)
        return error;
    for (unsigned i = 0; i < count; i++) {
        struct virtio_queue *q = &v->queues[i];

        q->number = first + i;
        q->rings = dma_alloc(sizeof *q->rings, &q->phys);
        if (!q->rings)
            return -ENOMEM;
    }
    v->queue_count = count;
    pci_route_irq(dev, interrupt, v, &v->msix);
    return start(v, wanted);
}

/* --- requests --- */

/* Makes the chain that begins with descriptor `head` available. The device is
 * told even if it says that it is looking (2.6.10): QEMU before 8.1 leaves out
 * the fence before that question when it emulates a single processor. */
static void publish(struct virtio_queue *q, unsigned head)
{
    struct virtio_rings *r = q->rings;

    r->available.ring[r->available.index % q->size] = (uint16_t)head;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r->available.index++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *q->notify = (uint16_t)q->number;
}

static struct descriptor describe(const struct virtio_part *p)
{
    return (struct descriptor){ p->phys, p->bytes,
                                p->in ? DESC_WRITE : 0, 0 };
}

void virtio_hand_over(struct virtio_device *v,
                      const struct virtio_part *parts, unsigned count)
{
    struct descriptor *d = v->queues[0].rings->desc;

    if (v->broken)
        return;
    for (unsigned i = 0; i < count; i++) {
        d[i] = describe(&parts[i]);
        d[i].next = (uint16_t)(i + 1);
        if (i + 1 < count)
            d[i].flags |= DESC_NEXT;
    }
    v->queues[0].rings->available.flags = AVAILABLE_NO_INTERRUPT;
    publish(&v->queues[0], 0);
}

static bool is_done(void *arg)
{
    const struct virtio_queue *q = arg;

    return q->rings->used.index != q->seen;
}

/* What is over in a moment needs no interrupt. One that was wanted too late
 * is not missed: irq_wait looks every millisecond. */
static int wait_for_answer(struct virtio_queue *q, uint64_t usecs)
{
    if (irq_watch(is_done, q))
        return 0;
    q->rings->available.flags = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return irq_wait(is_done, q, usecs);
}

int virtio_wait(struct virtio_device *v, uint64_t usecs)
{
    struct virtio_queue *q = &v->queues[0];
    int error;

    if (v->broken)
        return -EIO;
    error = wait_for_answer(q, usecs);
    if (!error) {
        q->seen = q->rings->used.index;
        return 0;
    }
    v->broken = start(v, v->features) != 0;
    if (v->broken)
        pci_silence(v->pci);
    klog("virtio: no answer, %s\n", v->broken ? "given up" : "started again");
    return error;
}

int virtio_run(struct virtio_device *v, const struct virtio_part *parts,
               unsigned count, uint64_t usecs)
{
    virtio_hand_over(v, parts, count);
    return virtio_wait(v, usecs);
}

/* --- buffers that the device keeps --- */

void virtio_offer(struct virtio_device *v, struct virtio_queue *q,
                  unsigned slot, const struct virtio_part *part)
{
    if (v->broken || slot >= q->size)
        return;
    q->rings->desc[slot] = describe(part);
    publish(q, slot);
}

int virtio_taken(struct virtio_queue *q, uint32_t *bytes)
{
    while (is_done(q)) {
        unsigned at = q->seen++ % q->size;
        uint32_t id;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        id = q->rings->used.ring[at].id;
        *bytes = q->rings->used.ring[at].length;
        if (id < q->size)
            return (int)id;
    }
    return -1;
}

/* --- configuration --- */

static bool has_config(const struct virtio_device *v, unsigned at,
                       unsigned bytes)
{
    return at <= v->config_bytes && bytes <= v->config_bytes - at;
}

uint8_t virtio_config8(const struct virtio_device *v, unsigned at)
{
    return has_config(v, at, 1) ? v->config[at] : 0;
}

uint32_t virtio_config32(const struct virtio_device *v, unsigned at)
{
    return has_config(v, at, 4)
               ? *(const volatile uint32_t *)(v->config + at) : 0;
}

void virtio_set_config8(struct virtio_device *v, unsigned at, uint8_t value)
{
    if (has_config(v, at, 1))
        v->config[at] = value;
}

void virtio_set_config32(struct virtio_device *v, unsigned at,
                         uint32_t value)
{
    if (has_config(v, at, 4))
        *(volatile uint32_t *)(v->config + at) = value;
}
