/*
 * usb.c - devices: from a port that was just reset to drivers at work.
 *
 * Source: USB 2.0 chapter 9; USB 3.2 chapter 9.
 * QEMU: every USB device
 *
 * Owns the table of devices and the pages that they share with controllers.
 * Runs in the machine's thread only.
 */
#include "drivers/usb/usb.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/usb/usb_descriptor.h"
#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum {
    PAGES = 256, ENDPOINT_HALT = 0, RECOVERY_USECS = 10000,
    SETTLE_USECS = 15 * 1000 * 1000, CONTROLLERS = 8, POLL_USECS = 4000,
};

static const struct usb_class *const classes[] = {
    &usb_hub_class, &usb_hid_class, &usb_storage_class,
};

static struct usb_device devices[USB_DEVICES];
static bool in_use[USB_DEVICES];
static struct usb_memory free_pages[PAGES];
static unsigned free_count;
static struct usb_controller *controllers[CONTROLLERS];

/* --- pages --- */

struct usb_memory usb_page(void)
{
    struct usb_memory m;

    if (!free_count) {
        m.bytes = dma_alloc(PAGE_SIZE, &m.phys);
        return m;
    }
    m = free_pages[--free_count];
    memset(m.bytes, 0, PAGE_SIZE);
    return m;
}

void usb_page_free(struct usb_memory m)
{
    if (m.bytes && free_count < PAGES)
        free_pages[free_count++] = m;
}

/* --- registers --- */

struct bits {
    volatile uint32_t *reg;
    uint32_t mask, value;
};

static bool bits_are(void *arg)
{
    const struct bits *b = arg;

    return (*b->reg & b->mask) == b->value;
}

int usb_wait_bits(volatile uint32_t *reg, uint32_t mask, uint32_t value,
                  uint64_t usecs)
{
    struct bits b = { reg, mask, value };

    return irq_wait(bits_are, &b, usecs);
}

/* --- transfers --- */

bool usb_gone(const struct usb_device *d)
{
    while (d && !d->gone)
        d = d->parent->device;
    return d != NULL;
}

int usb_control(struct usb_device *d, unsigned type, unsigned request,
                unsigned value, unsigned index, void *data, unsigned length)
{
    struct usb_setup s = {
        (uint8_t)type, (uint8_t)request, (uint16_t)value, (uint16_t)index,
        (uint16_t)length,
    };

    if (usb_gone(d))
        return -ENODEV;
    if (length > PAGE_SIZE)
        return -EINVAL;
    return d->parent->controller->ops->control(d, &s, data);
}

int usb_bulk(struct usb_interface *i, struct usb_endpoint *e,
             const struct block_piece *pieces, unsigned n, uint64_t usecs)
{
    struct usb_device *d = i->device;

    if (usb_gone(d) || !e->pipe)
        return -ENODEV;
    return d->parent->controller->ops->bulk(d, e, pieces, n, usecs);
}

int usb_listen(struct usb_interface *i, struct usb_endpoint *e,
               const struct usb_memory *m, uint32_t bytes, usb_hear hear,
               void *arg)
{
    struct usb_device *d = i->device;

    if (usb_gone(d) || !e->pipe)
        return -ENODEV;
    return d->parent->controller->ops->listen(d, e, m, bytes, hear, arg);
}

int usb_clear_halt(struct usb_interface *i, struct usb_endpoint *e)
{
    struct usb_device *d = i->device;
    int error, on_bus;

    if (usb_gone(d) || !e->pipe)
        return -ENODEV;
    error = d->parent->controller->ops->reset_pipe(d, e);
    on_bus = usb_control(d, USB_TO_ENDPOINT, USB_CLEAR_FEATURE, ENDPOINT_HALT,
                         e->address, NULL, 0);
    return error ? error : on_bus < 0 ? on_bus : 0;
}

struct usb_endpoint *usb_find_endpoint(struct usb_interface *i, unsigned type,
                                       unsigned direction)
{
    for (unsigned k = 0; k < i->endpoint_count; k++)
        if (i->endpoints[k].type == type &&
            (i->endpoints[k].address & USB_IN) == direction)
            return &i->endpoints[k];
    return NULL;
}

/* --- controllers without interrupts --- */

static void serve_all(void)
{
    for (unsigned i = 0; i < CONTROLLERS && controllers[i]; i++)
        if (controllers[i]->serve)
            controllers[i]->serve(controllers[i]->root.data);
}

static void serve_by_clock(struct work *w)
{
    bool on = irq_save();

    serve_all();
    irq_restore(on);
    work_post(w, POLL_USECS);
}

static struct work clock_work = { .run = serve_by_clock };

void usb_serve(struct usb_controller *c, void (*serve)(void *data),
               bool interrupts)
{
    unsigned i = 0;

    while (i < CONTROLLERS && controllers[i] && controllers[i] != c)
        i++;
    if (i < CONTROLLERS)
        controllers[i] = c;
    c->serve = serve;
    if (interrupts)
        return;
    klog("%s: no interrupt, the clock does\n", c->name);
    work_post(&clock_work, POLL_USECS);
}

/* --- names --- */

const struct usb_device *usb_device(unsigned index)
{
    return index < USB_DEVICES && in_use[index] ? &devices[index] : NULL;
}

const char *usb_path(const struct usb_device *d)
{
    static char text[48];
    unsigned ports[USB_DEPTH + 1], n = 0;
    size_t used;

    used = (size_t)snprintf(text, sizeof text, "%s port ",
                            d->parent->controller->name);
    for (; d && n <= USB_DEPTH; d = d->parent->device)
        ports[n++] = d->port;
    while (n-- && used < sizeof text)
        used += (size_t)snprintf(text + used, sizeof text - used, "%u%s",
                                 ports[n], n ? "." : "");
    return text;
}

const char *usb_speed_name(enum usb_speed s)
{
    static const char *const names[] = {
        "?", "full speed", "low speed", "high speed", "SuperSpeed",
        "SuperSpeed+",
    };

    return names[s <= USB_SUPER_PLUS ? s : 0];
}

static void read_string(struct usb_device *d, unsigned index, unsigned lang,
                        char *to, size_t size)
{
    uint8_t bytes[255];
    int n;

    to[0] = 0;
    if (!index)
        return;
    n = usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_STRING << 8 | index,
                    lang, bytes, sizeof bytes);
    if (n > 0)
        usb_parse_string(to, size, bytes, (size_t)n);
}

static void read_strings(struct usb_device *d)
{
    uint8_t lang[4] = { 0 };

    /* String 0 lists the languages; the first one will do. */
    if (usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_STRING << 8, 0, lang,
                    sizeof lang) < (int)sizeof lang)
        return;
    read_string(d, d->string_index[0], lang[2] | lang[3] << 8, d->maker,
                sizeof d->maker);
    read_string(d, d->string_index[1], lang[2] | lang[3] << 8, d->name,
                sizeof d->name);
    read_string(d, d->string_index[2], lang[2] | lang[3] << 8, d->serial,
                sizeof d->serial);
}

static void log_device(const struct usb_device *d)
{
    char drivers[64] = "";
    size_t used = 0;

    for (unsigned i = 0; i < d->interface_count; i++)
        if (d->interfaces[i].driver && used < sizeof drivers)
            used += (size_t)snprintf(drivers + used, sizeof drivers - used,
                                     "%s%s", used ? ", " : "",
                                     d->interfaces[i].driver->name);
    klog("usb: %s: %s%s%s, %04x:%04x, %s: %s\n", usb_path(d), d->maker,
         *d->maker ? " " : "", *d->name ? d->name : "unnamed device",
         d->vendor, d->product, usb_speed_name(d->speed),
         *drivers ? drivers : "no driver");
}

/* --- a new device --- */

static uint16_t first_max_packet(enum usb_speed speed)
{
    return speed >= USB_SUPER ? 512 : speed == USB_HIGH ? 64 : 8;
}

/* The first eight bytes tell how long packets on endpoint 0 may be. */
static int read_device(struct usb_device *d)
{
    uint8_t b[USB_DEVICE_BYTES] = { 0 };
    int n = usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_DEVICE << 8, 0, b,
                        8);
    unsigned packet = b[7];

    if (n < 8)
        return n < 0 ? n : -EINVAL;
    if (d->speed < USB_SUPER && packet != d->max_packet) {
        if (packet != 8 && packet != 16 && packet != 32 && packet != 64)
            return -EINVAL;
        d->max_packet = packet;
        n = d->parent->controller->ops->set_max_packet(d);
        if (n)
            return n;
    }
    n = usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_DEVICE << 8, 0, b,
                    sizeof b);
    return n < 0 ? n : usb_parse_device(d, b, (size_t)n);
}

static int read_config(struct usb_device *d)
{
    static uint8_t bytes[USB_CONFIG_BYTES];
    int n, total;

    n = usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_CONFIGURATION << 8, 0,
                    bytes, USB_CONFIG_HEADER);
    total = n < 0 ? n : usb_parse_config_length(bytes, (size_t)n);
    if (total < 0)
        return total;
    if (total > (int)sizeof bytes)
        total = sizeof bytes;
    n = usb_control(d, USB_IN, USB_GET_DESCRIPTOR, USB_CONFIGURATION << 8, 0,
                    bytes, (unsigned)total);
    return n < 0 ? n : usb_parse_config(d, bytes, (size_t)n);
}

static bool class_matches(const struct usb_class *c,
                          const struct usb_interface *i)
{
    return c->class_code == i->class_code &&
           (c->subclass < 0 || c->subclass == i->subclass) &&
           (c->protocol < 0 || c->protocol == i->protocol);
}

static void choose_drivers(struct usb_device *d)
{
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < sizeof classes / sizeof *classes; k++)
            if (class_matches(classes[k], &d->interfaces[i]))
                d->interfaces[i].driver = classes[k];
}

static int configure(struct usb_device *d)
{
    int error = d->parent->controller->ops->configure(d);

    if (!error)
        error = usb_control(d, 0, USB_SET_CONFIGURATION, d->configuration, 0,
                            NULL, 0);
    return error < 0 ? error : 0;
}

static void attach_drivers(struct usb_device *d)
{
    for (unsigned i = 0; i < d->interface_count; i++) {
        struct usb_interface *in = &d->interfaces[i];
        int error = in->driver ? in->driver->attach(in) : 0;

        if (error) {
            klog("usb: %s: %s not usable (error %d)\n", usb_path(d),
                 in->driver->name, error);
            in->driver = NULL;
        }
    }
}

static struct usb_device *new_device(struct usb_hub *h, unsigned port,
                                     enum usb_speed speed)
{
    struct usb_device *d = NULL;

    for (unsigned i = 0; i < USB_DEVICES && !d; i++)
        if (!in_use[i]) {
            in_use[i] = true;
            d = &devices[i];
        }
    if (!d)
        return NULL;
    *d = (struct usb_device){ .parent = h, .port = port, .speed = speed };
    d->max_packet = first_max_packet(speed);
    if (h->device) {
        d->depth = h->device->depth + 1;
        d->tt = h->device->tt;
        d->tt_port = h->device->tt_port;
        if (h->device->speed == USB_HIGH && speed < USB_HIGH) {
            d->tt = h->device;
            d->tt_port = port;
        }
    }
    return d;
}

static void free_device(struct usb_device *d) { in_use[d - devices] = false; }

struct usb_device *usb_attach(struct usb_hub *h, unsigned port,
                              enum usb_speed speed)
{
    struct usb_device *d = new_device(h, port, speed);
    int error;

    if (!d || d->depth > USB_DEPTH) {
        klog("usb: %s: too many devices or hubs in a row\n",
             h->controller->name);
        if (d)
            free_device(d);
        return NULL;
    }
    error = h->controller->ops->open(d);
    if (error) {
        klog("usb: %s: no answer (error %d)\n", usb_path(d), error);
        free_device(d);
        return NULL;
    }
    clock_delay(RECOVERY_USECS);
    error = read_device(d);
    if (!error) {
        read_strings(d);
        error = read_config(d);
    }
    if (!error) {
        choose_drivers(d);
        error = configure(d);
    }
    if (error) {
        klog("usb: %s: %04x:%04x does not work (error %d)\n", usb_path(d),
             d->vendor, d->product, error);
        h->controller->ops->close(d);
        free_device(d);
        return NULL;
    }
    attach_drivers(d);
    log_device(d);
    return d;
}

void usb_detach(struct usb_device *d)
{
    d->gone = true;
    klog("usb: %s: %s unplugged\n", usb_path(d),
         *d->name ? d->name : "unnamed device");
    d->parent->controller->ops->close(d);
    for (unsigned i = 0; i < d->interface_count; i++)
        if (d->interfaces[i].driver)
            d->interfaces[i].driver->detach(&d->interfaces[i]);
    free_device(d);
}

/* --- the end of the boot's probing: what is plugged in gets its driver --- */

static bool work_waits(void *unused) { return work_due() <= clock_usecs(); }

static int settle(struct pci_device *unused)
{
    uint64_t until = clock_usecs() + SETTLE_USECS;

    while (usb_busy() && clock_usecs() < until) {
        irq_wait(work_waits, NULL, SETTLE_USECS);
        work_run();
    }
    return 0;
}

const struct driver usb_driver = {
    .name = "usb", .probe = settle, .poll = serve_all,
};
