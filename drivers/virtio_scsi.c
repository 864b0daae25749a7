/*
 * virtio_scsi.c - SCSI disks behind a virtio host adapter.
 *
 * Source: OASIS Virtual I/O Device 1.1, section 5.6.
 * QEMU: -device virtio-scsi-pci -device scsi-hd,drive=d
 *
 * Carries commands and sense data; what they mean is scsi.c's. Disks are
 * looked for once, at the boot.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/scsi.h"
#include "drivers/virtio.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { TRANSITIONAL = 0x1004, MODERN = 0x1048 };
enum {
    MOST_BYTES = 1 << 20,
    ADAPTERS = 4, DISKS = 16, UNITS = 8, /* looked at of a target */
    QUEUE_REQUESTS = 2,
    CONFIG_MAX_TARGET = 30, /* 5.6.4 */
};
enum { /* 5.6.6.1.1 and SAM-5 5.3.1 */
    RESPONSE_OK = 0, RESPONSE_BAD_TARGET = 3,
    STATUS_GOOD = 0, STATUS_CHECK = 2,
};

struct request { /* 5.6.6.1, with the sizes that a device starts with */
    uint8_t lun[8];
    uint64_t id;
    uint8_t attribute, priority, reference, cdb[32];
} __attribute__((packed));
_Static_assert(sizeof(struct request) == 51, "virtio 5.6.6.1");

struct response {
    uint32_t sense_bytes, residue;
    uint16_t qualifier;
    uint8_t status, response, sense[96];
};
_Static_assert(sizeof(struct response) == 108, "virtio 5.6.6.1");

struct exchange { /* what device and driver share but the data */
    struct response response;
    struct request request;
};

struct adapter {
    struct virtio_device virtio;
    struct exchange *exchange;
    uint8_t *bounce; /* one for all its disks */
    uint64_t exchange_phys, bounce_phys;
};

struct unit {
    struct scsi_disk disk;
    struct adapter *adapter;
    unsigned target;
};

static struct adapter adapters[ADAPTERS];
static struct unit units[DISKS];
static unsigned adapter_count, unit_count;

/* --- the transport --- */

static void fill_request(const struct unit *u, const struct scsi_command *c)
{
    struct exchange *x = u->adapter->exchange;

    memset(x, 0, sizeof *x);
    x->request.lun[0] = 1;
    x->request.lun[1] = (uint8_t)u->target;
    x->request.lun[2] = (uint8_t)(0x40 | u->disk.lun >> 8);
    x->request.lun[3] = (uint8_t)u->disk.lun;
    memcpy(x->request.cdb, c->cdb, c->cdb_bytes);
}

static unsigned add_data(const struct adapter *a,
                         const struct scsi_command *c,
                         struct virtio_part *parts, unsigned n)
{
    const struct block_piece bounced = { a->bounce_phys + c->at, c->bytes };
    const struct block_piece *pieces = c->pieces ? c->pieces : &bounced;
    unsigned count = c->pieces ? c->piece_count : c->bytes != 0;

    for (unsigned i = 0; i < count; i++)
        parts[n++] = (struct virtio_part){ pieces[i].phys, pieces[i].bytes,
                                           c->in };
    return n;
}

/* Request, data, answer; or request, answer, data. */
static int hand_over(const struct unit *u, const struct scsi_command *c)
{
    struct adapter *a = u->adapter;
    struct virtio_part parts[VIRTIO_PARTS] = {
        { a->exchange_phys + offsetof(struct exchange, request),
          sizeof(struct request), false },
    };
    const struct virtio_part answer = {
        a->exchange_phys + offsetof(struct exchange, response),
        sizeof(struct response), true };
    unsigned n = 1;

    if (!c->in)
        n = add_data(a, c, parts, n);
    parts[n++] = answer;
    if (c->in)
        n = add_data(a, c, parts, n);
    return virtio_run(&a->virtio, parts, n, c->usecs);
}

static void keep_sense(struct scsi_disk *d, const struct response *r)
{
    d->sense_bytes = r->sense_bytes < sizeof d->sense
                         ? (uint8_t)r->sense_bytes
                         : (uint8_t)sizeof d->sense;
    memcpy(d->sense, r->sense, d->sense_bytes);
}

static int run(struct scsi_disk *d, const struct scsi_command *c,
               uint32_t *moved)
{
    struct unit *u = d->link;
    const struct response *r = &u->adapter->exchange->response;
    int error;

    fill_request(u, c);
    error = hand_over(u, c);
    if (error)
        return error;
    if (r->response == RESPONSE_BAD_TARGET)
        return -ENODEV;
    if (r->response != RESPONSE_OK || r->residue > c->bytes)
        return -EIO;
    *moved = c->bytes - r->residue;
    if (r->status == STATUS_CHECK) {
        keep_sense(d, r);
        return SCSI_CHECK;
    }
    return r->status == STATUS_GOOD ? 0 : -EIO;
}

/* --- looking for disks --- */

static void prepare(struct unit *u, struct adapter *a, unsigned target,
                    unsigned lun)
{
    memset(u, 0, sizeof *u);
    u->adapter = a;
    u->target = target;
    u->disk.run = run;
    u->disk.link = u;
    u->disk.lun = lun;
    u->disk.bounce = a->bounce;
    u->disk.bounce_phys = a->bounce_phys;
}

static void add_disk(struct adapter *a, unsigned target, unsigned lun)
{
    struct unit *u = &units[unit_count];
    struct block_device *b = &u->disk.device;
    struct scsi_geometry g;

    if (unit_count == DISKS)
        return;
    prepare(u, a, target, lun);
    if (scsi_identify(&u->disk, &g))
        return;
    scsi_set_geometry(&u->disk, &g);
    b->most_sectors = MOST_BYTES / b->sector_size;
    b->most_pieces = a->virtio.queues[0].size - 2; /* request and answer */
    b->reach = UINT64_MAX;
    snprintf(b->name, sizeof b->name, "scsi%u", unit_count);
    if (block_register(b))
        return;
    unit_count++;
    klog("%s: %s, %llu MB, sectors of %u%s, target %u unit %u\n", b->name,
         b->model, (unsigned long long)(b->sectors * b->sector_size >> 20),
         b->sector_size, b->read_only ? ", write-protected" : "", target,
         lun);
}

static void look_at_target(struct adapter *a, unsigned target)
{
    unsigned luns[UNITS];
    struct unit any; /* unit 0 tells of all, even if it is no disk */
    int n;

    prepare(&any, a, target, 0);
    n = scsi_report_luns(&any.disk, luns, UNITS);
    for (int i = 0; i < n; i++)
        add_disk(a, target, luns[i]);
}

static int virtio_scsi_probe(struct pci_device *dev)
{
    struct adapter *a = &adapters[adapter_count];
    unsigned last;
    int error;

    if (adapter_count == ADAPTERS)
        return -ENOSPC;
    memset(a, 0, sizeof *a);
    a->exchange = dma_alloc(sizeof *a->exchange, &a->exchange_phys);
    a->bounce = dma_alloc(SCSI_BOUNCE, &a->bounce_phys);
    if (!a->exchange || !a->bounce)
        return -ENOMEM;
    adapter_count++;
    error = virtio_open(&a->virtio, dev, 0, QUEUE_REQUESTS, 1);
    if (error)
        return error;
    last = *(volatile uint16_t *)(a->virtio.config + CONFIG_MAX_TARGET);
    for (unsigned target = 0; target <= last && target < 256; target++)
        look_at_target(a, target);
    return 0;
}

static const struct pci_match ids[] = {
    { VIRTIO_VENDOR, TRANSITIONAL, PCI_ANY_CLASS, PCI_ANY_CLASS,
      PCI_ANY_CLASS },
    { VIRTIO_VENDOR, MODERN, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver virtio_scsi_driver = {
    .name = "virtio_scsi", .ids = ids, .probe = virtio_scsi_probe,
};
