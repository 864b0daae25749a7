/*
 * virtio.h - devices of virtual machines: finding their registers, agreeing
 * on features, queues.
 *
 * A driver embeds struct virtio_device, calls virtio_open and reads `config`
 * if it wants to. Its first queue then carries requests, one at a time
 * (virtio_run); or a queue is given buffers that the device keeps until it
 * has something to tell (virtio_offer, virtio_taken). Never both.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pci_device;
struct virtio_common;
struct virtio_rings;

enum {
    VIRTIO_VENDOR = 0x1af4, VIRTIO_QUEUES = 2,
    VIRTIO_SLOTS = 64, /* of a queue at most */
};

struct virtio_queue { /* virtio.c's, but for `size` */
    struct virtio_rings *rings;
    uint64_t phys;
    volatile uint16_t *notify;
    unsigned number, size; /* size: slots that there are */
    uint16_t seen;         /* used index up to which all is taken */
};

struct virtio_device {
    uint32_t features;        /* below 32, of those that were wanted */
    volatile uint8_t *config; /* the device's own */
    uint32_t config_bytes;    /* 8 at least */
    /* May be set before virtio_open: the device has used something of a
     * queue or changed `config`. In the interrupt handler. */
    void (*interrupt)(struct virtio_device *v);
    struct virtio_queue queues[VIRTIO_QUEUES];
    /* The rest is virtio.c's. */
    const struct pci_device *pci;
    volatile struct virtio_common *common;
    volatile uint8_t *isr, *notify_base;
    uint32_t notify_multiplier, notify_bytes;
    unsigned queue_count;
    int msix;
    bool broken; /* it did not answer and could not be started again */
};

/* A piece of a request. Those that the device reads come first. */
struct virtio_part {
    uint64_t phys;
    uint32_t bytes;
    bool in; /* the device writes it */
};
enum {
    VIRTIO_PARTS = VIRTIO_SLOTS,
    VIRTIO_FEW = 4, /* that every queue takes */
};

/* Starts the device with what it has of the features `wanted`; its queues
 * `first` to first + count - 1 become queues[0] and so on. `v`, zeroed by the
 * caller, lives for ever if this succeeds. 0, -ENODEV, -ENOMEM or
 * -ETIMEDOUT. */
int virtio_open(struct virtio_device *v, struct pci_device *dev,
                uint32_t wanted, unsigned first, unsigned count);

/* Hands over pieces, 1 up to the first queue's size, and waits until the
 * device is done with them: 0. -ETIMEDOUT: it was reset, so that it leaves
 * them alone, and started again. -EIO: it cannot be used any more. */
int virtio_run(struct virtio_device *v, const struct virtio_part *parts,
               unsigned count, uint64_t usecs);
/* The two halves of virtio_run: what was handed over must be waited for
 * before the next. */
void virtio_hand_over(struct virtio_device *v,
                      const struct virtio_part *parts, unsigned count);
int virtio_wait(struct virtio_device *v, uint64_t usecs);

/* Gives a piece to the device as slot `slot`, below the queue's size. */
void virtio_offer(struct virtio_device *v, struct virtio_queue *q,
                  unsigned slot, const struct virtio_part *part);
/* The next slot that the device is done with, of which it wrote *bytes; -1:
 * none. Slots that cannot be are passed over. */
int virtio_taken(struct virtio_queue *q, uint32_t *bytes);

/* A byte or word of the device's own configuration; 0 beyond its end. */
uint8_t virtio_config8(const struct virtio_device *v, unsigned at);
uint32_t virtio_config32(const struct virtio_device *v, unsigned at);
/* Nothing happens beyond the end. */
void virtio_set_config8(struct virtio_device *v, unsigned at, uint8_t value);
void virtio_set_config32(struct virtio_device *v, unsigned at,
                         uint32_t value);
