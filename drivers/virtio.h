/*
 * virtio.h - devices of virtual machines: finding their registers, agreeing
 * on features, one queue, one request at a time.
 *
 * A driver embeds struct virtio_device, calls virtio_open, reads `config`
 * if it wants to, and then virtio_run for each request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pci_device;
struct virtio_common;
struct virtio_rings;

enum { VIRTIO_VENDOR = 0x1af4 };

struct virtio_device {
    uint32_t features;        /* below 32, of those that were wanted */
    volatile uint8_t *config; /* the device's own; 8 bytes at least */
    /* The rest is virtio.c's. */
    volatile struct virtio_common *common;
    volatile uint8_t *isr, *notify_base;
    volatile uint16_t *notify;
    uint32_t notify_multiplier;
    struct virtio_rings *rings;
    uint64_t rings_phys;
    unsigned queue;
    int msix;
    uint16_t seen; /* used index up to which requests are done */
    bool broken;   /* it did not answer and could not be started again */
};

/* A piece of a request. Those that the device reads come first. */
struct virtio_part {
    uint64_t phys;
    uint32_t bytes;
    bool in; /* the device writes it */
};
enum { VIRTIO_PARTS = 4 };

/* Starts the device with what it has of the features `wanted` and with queue
 * `queue`. `v`, zeroed by the caller, lives for ever if this succeeds.
 * 0, -ENODEV, -ENOMEM or -ETIMEDOUT. */
int virtio_open(struct virtio_device *v, struct pci_device *dev,
                uint32_t wanted, unsigned queue);
/* Hands over 1 to VIRTIO_PARTS pieces and waits until the device is done
 * with them: 0. -ETIMEDOUT: it was reset, so that it leaves them alone, and
 * started again. -EIO: it cannot be used any more. */
int virtio_run(struct virtio_device *v, const struct virtio_part *parts,
               unsigned count, uint64_t usecs);
