/*
 * usb_storage.c - sticks and disks: SCSI commands in Bulk-Only wrappers.
 *
 * Source: USB Mass Storage Class, Bulk-Only Transport 1.0 (sections 5 and 6;
 * 5.3.4 reset recovery).
 * QEMU: -device usb-storage,drive=d
 *
 * A stick that comes back after it was pulled is the same disk again:
 * whoever holds its block device goes on. Meanwhile requests fail.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/scsi.h"
#include "drivers/usb/usb.h"
#include "kernel/klog.h"
#include "kernel/storage.h"
#include "kernel/vmm.h"

enum {
    STICKS = 8, LUNS = 4, SUBCLASS_SCSI = 6, PROTOCOL_BULK_ONLY = 0x50,
    BULK_ONLY_RESET = 0xff, GET_MAX_LUN = 0xfe,
    CSW_PASSED = 0, CSW_FAILED = 1, WRAPPER_USECS = 5 * 1000 * 1000,
    SUPER_BYTES = 1 << 20,
};
#define CBW_SIGNATURE 0x43425355u
#define CSW_SIGNATURE 0x53425355u

struct cbw { /* 5.1 */
    uint32_t signature, tag, length;
    uint8_t flags, lun, cdb_bytes, cdb[16];
} __attribute__((packed));
_Static_assert(sizeof(struct cbw) == 31, "Bulk-Only 5.1");

struct csw { /* 5.2 */
    uint32_t signature, tag, residue;
    uint8_t status;
} __attribute__((packed));
_Static_assert(sizeof(struct csw) == 13, "Bulk-Only 5.2");

struct stick {
    struct scsi_disk disk;
    struct usb_interface *interface; /* NULL: not plugged in */
    struct usb_endpoint *in, *out;
    struct usb_memory wrapper, bounce;
    uint32_t tag;
    bool known; /* registered: this is its place for ever */
    uint16_t vendor, product;
    char serial[64];
};

static struct stick sticks[STICKS];

/* --- the transport --- */

/* After it the device waits for a command, whatever went before. */
static int reset_recovery(struct stick *k)
{
    int error = usb_control(k->interface->device,
                            USB_CLASS | USB_TO_INTERFACE, BULK_ONLY_RESET, 0,
                            k->interface->number, NULL, 0);

    if (error >= 0)
        error = usb_clear_halt(k->interface, k->in);
    if (error >= 0)
        error = usb_clear_halt(k->interface, k->out);
    return error < 0 ? error : 0;
}

static int send_command(struct stick *k, const struct scsi_command *c)
{
    const struct block_piece piece = { k->wrapper.phys, sizeof(struct cbw) };
    struct cbw *w = k->wrapper.bytes;
    int n;

    *w = (struct cbw){
        .signature = CBW_SIGNATURE, .tag = ++k->tag, .length = c->bytes,
        .flags = c->in ? 0x80 : 0, .lun = (uint8_t)k->disk.lun,
        .cdb_bytes = c->cdb_bytes,
    };
    memcpy(w->cdb, c->cdb, c->cdb_bytes);
    n = usb_bulk(k->interface, k->out, &piece, 1, WRAPPER_USECS);
    return n < 0 ? n : n == sizeof *w ? 0 : -EIO;
}

/* Bytes that crossed the bus. A stall ends the data early, after how many is
 * for the status to tell, which comes all the same (6.7): -EPIPE. */
static int move_data(struct stick *k, const struct scsi_command *c)
{
    struct usb_endpoint *e = c->in ? k->in : k->out;
    const struct block_piece bounced = { k->bounce.phys + c->at, c->bytes };
    int n = 0;

    if (c->pieces)
        n = usb_bulk(k->interface, e, c->pieces, c->piece_count, c->usecs);
    else if (c->bytes)
        n = usb_bulk(k->interface, e, &bounced, 1, c->usecs);
    if (n == -EPIPE) {
        int error = usb_clear_halt(k->interface, e);

        return error ? error : n;
    }
    return n;
}

static int read_status(struct stick *k, const struct scsi_command *c,
                       uint32_t *residue)
{
    const struct block_piece piece = { k->wrapper.phys, sizeof(struct csw) };
    const struct csw *w = k->wrapper.bytes;
    int n = usb_bulk(k->interface, k->in, &piece, 1, c->usecs);

    if (n == -EPIPE && !usb_clear_halt(k->interface, k->in))
        n = usb_bulk(k->interface, k->in, &piece, 1, c->usecs);
    if (n < 0)
        return n;
    if (n != sizeof *w || w->signature != CSW_SIGNATURE || w->tag != k->tag ||
        w->status > CSW_FAILED)
        return -EIO;
    *residue = w->residue < c->bytes ? w->residue : c->bytes;
    return w->status == CSW_PASSED ? 0 : SCSI_CHECK;
}

static int run(struct scsi_disk *d, const struct scsi_command *c,
               uint32_t *moved)
{
    struct stick *k = d->link;
    uint32_t residue = 0;
    int error, n = 0;

    if (!k->interface)
        return -ENODEV;
    error = send_command(k, c);
    if (!error)
        n = move_data(k, c);
    if (n < 0 && n != -EPIPE)
        error = n;
    if (!error)
        error = read_status(k, c, &residue);
    /* Not every device counts right what it has sent; we do. */
    *moved = c->in && n >= 0 ? (uint32_t)n : c->bytes - residue;
    if (error < 0 && error != -ENODEV && reset_recovery(k) == -ENODEV)
        error = -ENODEV;
    return error;
}

/* --- plugging in --- */

static bool same_stick(const struct stick *k, const struct usb_interface *i,
                       unsigned lun)
{
    const struct usb_device *d = i->device;

    return k->known && !k->interface && k->disk.lun == lun &&
           k->vendor == d->vendor && k->product == d->product &&
           strcmp(k->serial, d->serial) == 0;
}

static struct stick *place_for(const struct usb_interface *i, unsigned lun)
{
    for (unsigned n = 0; n < STICKS; n++)
        if (same_stick(&sticks[n], i, lun))
            return &sticks[n];
    for (unsigned n = 0; n < STICKS; n++)
        if (!sticks[n].known && !sticks[n].interface)
            return &sticks[n];
    return NULL;
}

static int prepare(struct stick *k, struct usb_interface *i, unsigned lun)
{
    k->interface = i;
    k->in = usb_find_endpoint(i, USB_BULK, USB_IN);
    k->out = usb_find_endpoint(i, USB_BULK, 0);
    if (!k->wrapper.bytes)
        k->wrapper = usb_page();
    if (!k->bounce.bytes)
        k->bounce.bytes = dma_alloc(SCSI_BOUNCE, &k->bounce.phys);
    if (!k->in || !k->out || !k->wrapper.bytes || !k->bounce.bytes)
        return -ENOMEM;
    k->disk.run = run;
    k->disk.link = k;
    k->disk.lun = lun;
    k->disk.bounce = k->bounce.bytes;
    k->disk.bounce_phys = k->bounce.phys;
    return 0;
}

/* What a command may move. Bridges of USB 2 are known to fail beyond 240
 * sectors, whatever they say. */
static void set_limits(struct stick *k)
{
    const struct usb_device *d = k->interface->device;
    struct block_device *b = &k->disk.device;

    b->most_sectors = (d->speed >= USB_SUPER ? SUPER_BYTES : SCSI_BYTES) /
                      b->sector_size;
    b->most_pieces = d->parent->controller->most_pieces;
    b->reach = d->parent->controller->reach;
}

static void log_disk(const struct block_device *b, const char *how)
{
    klog("%s: %s, %llu MB, sectors of %u%s%s\n", b->name, b->model,
         (unsigned long long)(b->sectors * b->sector_size >> 20),
         b->sector_size, b->read_only ? ", write-protected" : "", how);
}

static void announce_new(struct stick *k, const struct scsi_geometry *g)
{
    struct block_device *b = &k->disk.device;
    const struct usb_device *d = k->interface->device;

    scsi_set_geometry(&k->disk, g);
    set_limits(k);
    snprintf(b->name, sizeof b->name, "usb%u", (unsigned)(k - sticks));
    k->vendor = d->vendor;
    k->product = d->product;
    memcpy(k->serial, d->serial, sizeof k->serial);
    if (block_register(b))
        return;
    k->known = true;
    log_disk(b, "");
    storage_disk_came(b, false);
}

/* The same stick as before, by its numbers and its size. */
static int announce_back(struct stick *k, const struct scsi_geometry *g)
{
    struct block_device *b = &k->disk.device;

    if (b->sectors != g->sectors || b->sector_size != g->sector_size)
        return -EINVAL;
    b->read_only = g->read_only;
    set_limits(k);
    b->gone = false;
    log_disk(b, ", is back");
    storage_disk_came(b, true);
    return 0;
}

static int attach_unit(struct usb_interface *i, unsigned lun)
{
    struct stick *k = place_for(i, lun);
    struct scsi_geometry g;
    int error;

    if (!k)
        return -ENOSPC;
    error = prepare(k, i, lun);
    if (!error)
        error = scsi_identify(&k->disk, &g);
    if (!error) {
        if (k->known)
            error = announce_back(k, &g);
        else
            announce_new(k, &g);
    }
    if (error || !k->known)
        k->interface = NULL;
    return error;
}

static unsigned unit_count(struct usb_interface *i)
{
    uint8_t last = 0;
    int n = usb_control(i->device, USB_IN | USB_CLASS | USB_TO_INTERFACE,
                        GET_MAX_LUN, 0, i->number, &last, 1);

    return n == 1 && last < LUNS ? last + 1u : 1; /* a stall: just one */
}

/* A card reader has a unit for each slot; those that are empty are left. */
static int attach(struct usb_interface *i)
{
    unsigned units = unit_count(i), found = 0;
    int error = 0;

    for (unsigned lun = 0; lun < units; lun++) {
        int e = attach_unit(i, lun);

        if (e)
            error = e;
        else
            found++;
    }
    return found ? 0 : error;
}

static void detach(struct usb_interface *i)
{
    for (unsigned n = 0; n < STICKS; n++) {
        struct stick *k = &sticks[n];

        if (k->interface != i)
            continue;
        k->interface = NULL;
        k->disk.device.gone = true;
        klog("%s: unplugged\n", k->disk.device.name);
    }
}

const struct usb_class usb_storage_class = {
    .name = "disk", .class_code = USB_CLASS_STORAGE,
    .subclass = SUBCLASS_SCSI, .protocol = PROTOCOL_BULK_ONLY,
    .attach = attach, .detach = detach,
};
