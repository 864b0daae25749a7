/*
 * virtio_fake.h - virtio.h as a test would have it: queues that the test
 * fills and empties, a configuration that answers what it is asked.
 */
#pragma once

#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "kernel/pci.h"
#include "tests/unit/kernel_fake.h"

struct fake_queue {
    struct virtio_part held[VIRTIO_SLOTS]; /* offered and not yet used */
    bool is_held[VIRTIO_SLOTS];
    struct { unsigned slot, bytes; } used[4 * VIRTIO_SLOTS];
    unsigned used_count, used_taken;
};

static struct {
    struct virtio_device *opened;
    int open_error, run_error;
    uint32_t offered_features;
    unsigned queue_size; /* 0: VIRTIO_SLOTS */
    uint8_t config[256];
    uint32_t config_bytes;
    void (*written)(unsigned at); /* a byte or word of config was */
    /* Answers a request; a number like virtio_run's. */
    int (*request)(const struct virtio_part *parts, unsigned count);
    int request_result;
    struct fake_queue queues[VIRTIO_QUEUES];
} fake;

static void fake_virtio_reset(void)
{
    memset(&fake, 0, sizeof fake);
    fake.config_bytes = sizeof fake.config;
}

int virtio_open(struct virtio_device *v, struct pci_device *dev,
                uint32_t wanted, unsigned first, unsigned count)
{
    if (fake.open_error)
        return fake.open_error;
    fake.opened = v;
    v->features = wanted & fake.offered_features;
    v->config = fake.config;
    v->config_bytes = fake.config_bytes;
    v->queue_count = count;
    for (unsigned i = 0; i < count; i++) {
        v->queues[i].number = first + i;
        v->queues[i].size = fake.queue_size ? fake.queue_size
                                            : VIRTIO_SLOTS;
    }
    return 0;
}

static struct fake_queue *fake_queue(const struct virtio_queue *q)
{
    return &fake.queues[q - fake.opened->queues];
}

void virtio_offer(struct virtio_device *v, struct virtio_queue *q,
                  unsigned slot, const struct virtio_part *part)
{
    if (slot >= q->size)
        abort();
    fake_memory(part->phys + part->bytes - 1);
    fake_queue(q)->held[slot] = *part;
    fake_queue(q)->is_held[slot] = true;
}

int virtio_taken(struct virtio_queue *q, uint32_t *bytes)
{
    struct fake_queue *f = fake_queue(q);

    if (f->used_taken == f->used_count)
        return -1;
    *bytes = f->used[f->used_taken].bytes;
    return (int)f->used[f->used_taken++].slot;
}

/* The device writes `bytes` into a buffer that it has; false: it has none. */
static inline bool fake_use(unsigned queue, const void *bytes, unsigned n)
{
    struct fake_queue *f = &fake.queues[queue];

    if (f->used_taken == f->used_count)
        f->used_taken = f->used_count = 0;
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++) {
        if (!f->is_held[i] || f->used_count == 4 * VIRTIO_SLOTS)
            continue;
        if (f->held[i].in)
            memcpy(fake_memory(f->held[i].phys), bytes,
                   n < f->held[i].bytes ? n : f->held[i].bytes);
        f->is_held[i] = false;
        f->used[f->used_count].slot = i;
        f->used[f->used_count++].bytes = n;
        return true;
    }
    return false;
}

void virtio_hand_over(struct virtio_device *v,
                      const struct virtio_part *parts, unsigned count)
{
    fake.request_result = fake.request(parts, count);
}

int virtio_wait(struct virtio_device *v, uint64_t usecs)
{
    return fake.request_result;
}

int virtio_run(struct virtio_device *v, const struct virtio_part *parts,
               unsigned count, uint64_t usecs)
{
    virtio_hand_over(v, parts, count);
    return virtio_wait(v, usecs);
}

uint8_t virtio_config8(const struct virtio_device *v, unsigned at)
{
    return at < v->config_bytes ? v->config[at] : 0;
}

uint32_t virtio_config32(const struct virtio_device *v, unsigned at)
{
    uint32_t word = 0;

    if (at + 4 <= v->config_bytes)
        memcpy(&word, fake.config + at, 4);
    return word;
}

static void fake_write(unsigned at, const void *bytes, unsigned n)
{
    if (at + n > fake.config_bytes)
        return;
    memcpy(fake.config + at, bytes, n);
    if (fake.written)
        fake.written(at);
}

void virtio_set_config8(struct virtio_device *v, unsigned at, uint8_t value)
{
    fake_write(at, &value, 1);
}

void virtio_set_config32(struct virtio_device *v, unsigned at, uint32_t value)
{
    fake_write(at, &value, 4);
}
