/*
 * usb_fake.h - a host controller with one root port and the devices of a
 * test behind it; the kernel around them, with a clock that only waiting
 * moves on.
 */
#pragma once

#include "drivers/block.h"
#include "drivers/driver.h"
#include "drivers/input.h"
#include "drivers/usb/usb.h"
#include "kernel/storage.h"
#include "tests/unit/kernel_fake.h"

/* --- the kernel --- */

/* Memory of callers: every page lies elsewhere. */
enum { FAKE_PAGES = 257, FAKE_PAGE = 4096, FAKE_SCATTERED = 0x40000000 };
static _Alignas(FAKE_PAGE) uint8_t fake_arena[FAKE_PAGES * FAKE_PAGE];

bool vmm_translate(uint64_t virt, uint64_t *phys)
{
    uint64_t at = virt - (uintptr_t)fake_arena;

    *phys = FAKE_SCATTERED + at / FAKE_PAGE * 2 * FAKE_PAGE + at % FAKE_PAGE;
    return at < sizeof fake_arena;
}

uint64_t vmm_run(uint64_t virt, uint64_t bytes, uint64_t *phys)
{
    uint64_t room = PAGE_SIZE - virt % PAGE_SIZE;

    if (!vmm_translate(virt, phys))
        return 0;
    return bytes < room ? bytes : room;
}

/* What a device finds there, which is `bytes` long. */
static inline void *fake_memory_of(uint64_t phys, uint32_t bytes)
{
    uint64_t at = phys - FAKE_SCATTERED;

    if (phys < FAKE_SCATTERED)
        return fake_memory(phys);
    if (at % (2 * FAKE_PAGE) + bytes > FAKE_PAGE ||
        at / 2 >= sizeof fake_arena)
        abort();
    return fake_arena + at / (2 * FAKE_PAGE) * FAKE_PAGE + at % FAKE_PAGE;
}

static unsigned fake_disks, fake_disks_back;

void storage_disk_came(struct block_device *d, bool back)
{
    fake_disks++;
    fake_disks_back += back;
}

/* --- a device --- */

struct fake_device {
    enum usb_speed speed;
    uint8_t device[18];
    uint8_t config[1024];
    size_t config_bytes;
    uint8_t report[1024]; /* HID report descriptor */
    size_t report_bytes;
    const char *serial;
    bool on_hub; /* not at the root port */
    /* Answers class requests; NULL: stalls. */
    int (*control)(struct fake_device *f, const struct usb_setup *s,
                   void *data);
    /* Bulk endpoints. */
    int (*bulk)(struct fake_device *f, uint8_t address, uint8_t *bytes,
                uint32_t n);
    /* Changes an answer; answers its new length or an errno. */
    int (*spoil)(struct fake_device *f, uint8_t *bytes, int n, int room);
    /* what was heard of it */
    uint8_t lamps[8], configured;
    unsigned clear_halts, boot_protocol;
    usb_hear hear;
    void *hear_arg;
    uint8_t *hear_bytes;
    uint32_t hear_room;
};

static struct fake_device *plugged; /* at the root port; NULL: nothing */
static unsigned fake_open;          /* devices that have an address */

static int give(struct fake_device *f, void *to, const void *from, size_t n,
                size_t room)
{
    n = n < room ? n : room;
    memcpy(to, from, n);
    return f->spoil ? f->spoil(f, to, (int)n, (int)room) : (int)n;
}

static int give_string(struct fake_device *f, unsigned index, void *data,
                       unsigned room)
{
    uint8_t b[255] = { 4, 3, 9, 4 };

    if (index == 3 && f->serial) {
        size_t n = strlen(f->serial);

        b[0] = (uint8_t)(2 + 2 * n);
        for (size_t i = 0; i < n; i++) {
            b[2 + 2 * i] = (uint8_t)f->serial[i];
            b[3 + 2 * i] = 0;
        }
        memcpy(data, b, b[0] < room ? b[0] : room);
        return b[0] < room ? b[0] : (int)room; /* never spoiled */
    } else if (index) {
        memcpy(b, "\x0a\x03T\0e\0s\0t", 10);
    }
    return give(f, data, b, b[0], room);
}

static int give_descriptor(struct fake_device *f, const struct usb_setup *s,
                           void *data)
{
    switch (s->value >> 8) {
    case USB_DEVICE:
        return give(f, data, f->device, sizeof f->device, s->length);
    case USB_CONFIGURATION:
        return give(f, data, f->config, f->config_bytes, s->length);
    case USB_STRING:
        return give_string(f, s->value & 0xff, data, s->length);
    case USB_HID_REPORT:
        return give(f, data, f->report, f->report_bytes, s->length);
    }
    return -EPIPE;
}

static int fake_answer(struct fake_device *f, const struct usb_setup *s,
                       void *data)
{
    if (f != plugged && !f->on_hub)
        return -EIO;
    if ((s->request_type & 0x60) == USB_CLASS)
        return f->control ? f->control(f, s, data) : -EPIPE;
    if (s->request == USB_GET_DESCRIPTOR)
        return give_descriptor(f, s, data);
    if (s->request == USB_SET_CONFIGURATION)
        f->configured = (uint8_t)s->value;
    if (s->request == USB_CLEAR_FEATURE)
        f->clear_halts++;
    return 0;
}

static int fake_control(struct usb_device *d, const struct usb_setup *s,
                        void *data)
{
    return fake_answer(d->slot, s, data);
}

static int fake_open_device(struct usb_device *d)
{
    if (!plugged)
        return -EIO;
    d->slot = plugged;
    fake_open++;
    return 0;
}

static void fake_close(struct usb_device *d)
{
    if (d->slot)
        fake_open--;
    d->slot = NULL;
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < USB_ENDPOINTS; k++)
            d->interfaces[i].endpoints[k].pipe = NULL;
}

static int fake_configure(struct usb_device *d)
{
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < d->interfaces[i].endpoint_count; k++)
            d->interfaces[i].endpoints[k].pipe = d->slot;
    return 0;
}

static int fake_set_max_packet(struct usb_device *d) { return 0; }
static int fake_set_hub(struct usb_device *d, unsigned ports, unsigned think)
{
    return 0;
}

/* It takes memory in one piece only. */
static int fake_bulk(struct usb_device *d, struct usb_endpoint *e,
                     const struct block_piece *pieces, unsigned count,
                     uint64_t usecs)
{
    struct fake_device *f = e->pipe;
    uint8_t *bytes = fake_memory(pieces->phys);
    int n;

    if (count != 1)
        abort();
    if (f != plugged || !f->bulk)
        return -EIO;
    n = f->bulk(f, e->address, bytes, pieces->bytes);
    return n >= 0 && f->spoil && (e->address & USB_IN)
               ? f->spoil(f, bytes, n, (int)pieces->bytes) : n;
}

static int fake_listen(struct usb_device *d, struct usb_endpoint *e,
                       const struct usb_memory *m, uint32_t bytes,
                       usb_hear hear, void *arg)
{
    struct fake_device *f = e->pipe;

    f->hear = hear;
    f->hear_arg = arg;
    f->hear_bytes = m->bytes;
    f->hear_room = bytes;
    return 0;
}

static int fake_reset_pipe(struct usb_device *d, struct usb_endpoint *e)
{
    return 0;
}

static const struct usb_controller_ops fake_ops = {
    .open = fake_open_device, .close = fake_close,
    .set_max_packet = fake_set_max_packet, .configure = fake_configure,
    .set_hub = fake_set_hub, .control = fake_control, .bulk = fake_bulk,
    .listen = fake_listen, .reset_pipe = fake_reset_pipe,
};

/* --- the root port --- */

static int fake_status(struct usb_hub *h, unsigned port, struct usb_port *p)
{
    p->connected = p->enabled = plugged != NULL;
    p->speed = plugged ? plugged->speed : 0;
    return 0;
}

static int fake_reset(struct usb_hub *h, unsigned port)
{
    return plugged ? 0 : -ENODEV;
}

static const struct usb_hub_ops fake_hub_ops = { fake_status, fake_reset };

static struct usb_controller __attribute__((unused)) controller = {
    .name = "fake0", .ops = &fake_ops,
    .root = { .ops = &fake_hub_ops, .controller = &controller, .ports = 1 },
};

static inline void fake_settle(void)
{
    for (int i = 0; i < 20; i++) {
        fake_now += 200000;
        work_run();
    }
}

static inline void fake_plug(struct fake_device *f)
{
    if (!controller.root.work.run)
        usb_hub_start(&controller.root);
    fake_log[0] = 0;
    plugged = f;
    usb_port_changed(&controller.root, 1, true, !f);
    fake_settle();
}

/* An interrupt endpoint speaks. */
static inline void fake_say(struct fake_device *f, const void *bytes,
                            unsigned n)
{
    if (n > f->hear_room)
        abort();
    memcpy(f->hear_bytes, bytes, n);
    f->hear(f->hear_arg, (int)n);
}

/* --- descriptors --- */

static inline void fake_set_device(struct fake_device *f,
                                   enum usb_speed speed)
{
    static const uint8_t device[18] = {
        18, 1, 0, 2, 0, 0, 0, 8, 0x34, 0x12, 0x78, 0x56, 0, 1, 1, 2, 3, 1,
    };

    memset(f, 0, sizeof *f);
    f->speed = speed;
    memcpy(f->device, device, sizeof device);
    f->device[7] = speed >= USB_SUPER ? 9 : speed == USB_HIGH ? 64 : 8;
    memcpy(f->config, "\x09\x02\0\0\0\x01\0\x80\x32", 9);
    f->config_bytes = 9;
}

static inline void fake_add(struct fake_device *f, const void *bytes,
                            size_t n)
{
    memcpy(f->config + f->config_bytes, bytes, n);
    f->config_bytes += n;
    f->config[2] = (uint8_t)f->config_bytes;
    f->config[3] = (uint8_t)(f->config_bytes >> 8);
    f->config[4] += ((const uint8_t *)bytes)[1] == USB_INTERFACE;
}

#define FAKE_ADD(f, ...)                                                      \
    fake_add(f, (const uint8_t[]){ __VA_ARGS__ },                             \
             sizeof(const uint8_t[]){ __VA_ARGS__ })

/* A HID interface with one interrupt endpoint and its report descriptor. */
static inline void fake_hid(struct fake_device *f, uint8_t boot,
                            uint8_t protocol, const void *report, size_t n)
{
    fake_set_device(f, USB_FULL);
    FAKE_ADD(f, 9, 4, 0, 0, 1, 3, boot, protocol, 0);
    FAKE_ADD(f, 9, 0x21, 0x11, 1, 0, 1, 0x22, (uint8_t)n, (uint8_t)(n >> 8));
    FAKE_ADD(f, 7, 5, 0x81, 3, 64, 0, 10);
    memcpy(f->report, report, n);
    f->report_bytes = n;
}

/* A mouse with three buttons and two axes. */
static inline void fake_mouse(struct fake_device *f)
{
    static const uint8_t report[] = {
        0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29,
        0x03, 0x15, 0x00, 0x25, 0x01, 0x95, 0x08, 0x75, 0x01, 0x81, 0x02,
        0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f, 0x75,
        0x08, 0x95, 0x02, 0x81, 0x06, 0xc0,
    };

    fake_hid(f, 1, 2, report, sizeof report);
}

static inline void fake_storage(struct fake_device *f)
{
    fake_set_device(f, USB_HIGH);
    FAKE_ADD(f, 9, 4, 0, 0, 2, 8, 6, 0x50, 0);
    FAKE_ADD(f, 7, 5, 0x81, 2, 0, 2, 0);
    FAKE_ADD(f, 7, 5, 0x02, 2, 0, 2, 0);
}

/* --- a stick: the other end of Bulk-Only --- */

struct fake_stick {
    struct fake_device device; /* first */
    uint8_t *bytes;
    uint32_t sectors, sector_size;
    uint8_t cbw[31];
    bool have_command, protected_, no_flush;
    uint8_t sense[3];      /* key, code, qualifier; then cleared */
    int stall_data;        /* so many data stages stall */
    int bad_status;        /* so many statuses are wrong */
    bool bad_residue;      /* what it says of the bytes it sent */
    int dead;              /* so many transfers time out */
    unsigned resets, writes, flushes;
    uint32_t tag, moved;
    uint8_t failed;
};

static inline uint32_t fake_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static inline void fake_put32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static int fake_stick_control(struct fake_device *f,
                              const struct usb_setup *s, void *data)
{
    struct fake_stick *k = (struct fake_stick *)f;

    if (s->request == 0xfe) {
        *(uint8_t *)data = 0;
        return 1;
    }
    if (s->request == 0xff) {
        k->resets++;
        k->have_command = false;
        return 0;
    }
    return -EPIPE;
}

/* Data to the host; answers bytes, or -1: CHECK CONDITION. */
static int fake_scsi_in(struct fake_stick *k, uint8_t *b, uint32_t n)
{
    const uint8_t *cdb = k->cbw + 15;
    uint64_t at = (uint64_t)fake_get32(cdb + 2) * k->sector_size;

    memset(b, 0, n);
    switch (cdb[0]) {
    case 0x03:
        memcpy(b, (uint8_t[18]){ 0x70, 0, k->sense[0], 0, 0, 0, 0, 10, 0, 0,
                                 0, 0, k->sense[1], k->sense[2] },
               n < 18 ? n : 18);
        memset(k->sense, 0, 3);
        return n < 18 ? (int)n : 18;
    case 0x12:
        memcpy(b, "\0\x80\x04\x02\x1f\0\0\0FAKE    STICK           1.0 ", 36);
        return 36;
    case 0x1a:
        b[2] = k->protected_ ? 0x80 : 0;
        return 4;
    case 0x25:
        fake_put32(b, k->sectors - 1);
        fake_put32(b + 4, k->sector_size);
        return 8;
    case 0x28:
        if (k->sense[0] || at + n > (uint64_t)k->sectors * k->sector_size)
            return -1;
        memcpy(b, k->bytes + at, n);
        return (int)n;
    }
    k->sense[0] = 5;
    k->sense[1] = 0x20;
    return -1;
}

static int fake_scsi_out(struct fake_stick *k, const uint8_t *b, uint32_t n)
{
    const uint8_t *cdb = k->cbw + 15;
    uint64_t at = (uint64_t)fake_get32(cdb + 2) * k->sector_size;

    if (cdb[0] != 0x2a || k->sense[0] ||
        at + n > (uint64_t)k->sectors * k->sector_size)
        return -1;
    k->writes++;
    memcpy(k->bytes + at, b, n);
    return (int)n;
}

static int fake_stick_command(struct fake_stick *k, const uint8_t *b,
                              uint32_t n)
{
    const uint8_t *cdb = k->cbw + 15;

    if (n != 31)
        return -EPIPE;
    memcpy(k->cbw, b, 31);
    memcpy(&k->tag, b + 4, 4);
    k->have_command = true;
    k->moved = 0;
    k->failed = 0;
    if (cdb[0] == 0x00 || cdb[0] == 0x35)
        k->failed = k->sense[0] != 0;
    if (cdb[0] == 0x35) {
        k->flushes++;
        if (k->no_flush) {
            k->failed = 1;
            memcpy(k->sense, "\x05\x20", 3);
        }
    }
    return 31;
}

static int fake_stick_status(struct fake_stick *k, uint8_t *b)
{
    uint32_t length, residue, signature = 0x53425355;

    memcpy(&length, k->cbw + 8, 4);
    residue = length - k->moved;
    if (k->bad_residue && (k->cbw[12] & 0x80))
        residue = length + 5;
    k->have_command = false;
    if (k->bad_status) {
        k->bad_status--;
        signature++;
    }
    memcpy(b, &signature, 4);
    memcpy(b + 4, &k->tag, 4);
    memcpy(b + 8, &residue, 4);
    b[12] = k->failed;
    return 13;
}

static int fake_stick_bulk(struct fake_device *f, uint8_t address,
                           uint8_t *bytes, uint32_t n)
{
    struct fake_stick *k = (struct fake_stick *)f;
    uint32_t length;
    int moved;

    if (k->dead) {
        k->dead--;
        fake_now += 20000000;
        return -ETIMEDOUT;
    }
    if (!k->have_command)
        return address & 0x80 ? -EPIPE : fake_stick_command(k, bytes, n);
    memcpy(&length, k->cbw + 8, 4);
    if (n == 13 && (length == 0 || k->moved || k->failed))
        return fake_stick_status(k, bytes);
    if (k->stall_data) {
        k->stall_data--;
        k->failed = 1;
        return -EPIPE;
    }
    moved = address & 0x80 ? fake_scsi_in(k, bytes, n)
                           : fake_scsi_out(k, bytes, n);
    if (moved < 0) {
        k->failed = 1;
        return -EPIPE;
    }
    k->moved = (uint32_t)moved;
    return moved;
}

static inline void fake_stick_init(struct fake_stick *k, uint32_t sectors,
                                   uint32_t sector_size, const char *serial)
{
    memset(k, 0, sizeof *k);
    fake_storage(&k->device);
    k->device.serial = serial;
    k->device.control = fake_stick_control;
    k->device.bulk = fake_stick_bulk;
    k->sectors = sectors;
    k->sector_size = sector_size;
    k->bytes = calloc(sectors, sector_size);
}
