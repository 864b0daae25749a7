/*
 * usb_hub.c - ports: plugging and unplugging, at root ports and at hubs; the
 * class driver of hubs.
 *
 * Source: USB 2.0 chapter 11 (7.1.7.3 for the times), USB 3.2 chapter 10.
 * QEMU: -device usb-hub
 *
 * Owns who is plugged in where. A port's change is noted in any context and
 * looked at, once the contacts have settled, in the machine's thread.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/usb/usb.h"
#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/klog.h"

enum { DEBOUNCE_USECS = 100 * 1000, TRIES = 3, RESET_USECS = 500 * 1000 };

static unsigned pending; /* hubs with work to do */

bool usb_busy(void) { return pending != 0; }

/* --- noting --- */

static void post(struct usb_hub *h, uint64_t usecs)
{
    if (!h->work.queued)
        pending++;
    work_post(&h->work, usecs);
}

void usb_port_changed(struct usb_hub *h, unsigned port, bool replugged,
                      bool away)
{
    bool on = irq_save();
    struct usb_device *child;

    if (port >= 1 && port <= h->ports) {
        child = h->children[port];
        h->changed |= 1u << port;
        if (replugged) {
            h->replugged |= 1u << port;
            h->attempts[port] = 0;
        }
        if (child && (away || replugged))
            child->gone = true; /* ends whoever waits for it */
        post(h, DEBOUNCE_USECS);
    }
    irq_restore(on);
}

void usb_hub_died(struct usb_hub *h, const char *why)
{
    bool on = irq_save();

    h->death = why;
    post(h, 0);
    irq_restore(on);
}

/* --- looking --- */

static void detach_child(struct usb_hub *h, unsigned port)
{
    struct usb_device *d = h->children[port];

    h->children[port] = NULL;
    if (d)
        usb_detach(d);
}

static bool take_bit(uint32_t *bits, unsigned port)
{
    bool on = irq_save(), was = *bits >> port & 1;

    *bits &= ~(1u << port);
    irq_restore(on);
    return was;
}

static int attach_child(struct usb_hub *h, unsigned port)
{
    struct usb_port p;
    int error = h->ops->reset(h, port);

    /* What the reset itself stirred up is no news. */
    take_bit(&h->changed, port);
    take_bit(&h->replugged, port);
    if (!error)
        error = h->ops->status(h, port, &p);
    if (error || !p.connected)
        return error;
    if (!p.enabled)
        return -EIO;
    h->children[port] = usb_attach(h, port, p.speed);
    return h->children[port] ? 0 : -EIO;
}

static void look_at_port(struct usb_hub *h, unsigned port)
{
    struct usb_port p = { 0 };
    bool replugged = take_bit(&h->replugged, port);
    int error = h->ops->status(h, port, &p);

    if (p.replugged)
        h->attempts[port] = 0;
    if (p.over_current)
        klog("usb: %s: port %u draws too much current\n",
             h->controller->name, port);
    if (error || replugged || p.replugged || !p.connected || !p.enabled)
        detach_child(h, port);
    if (error || !p.connected || h->children[port] ||
        h->attempts[port] == TRIES)
        return;
    h->attempts[port]++;
    error = attach_child(h, port);
    if (!error)
        h->attempts[port] = 0;
    else if (h->attempts[port] < TRIES)
        usb_port_changed(h, port, false, false);
    else
        klog("usb: %s: port %u%s%s given up (error %d)\n",
             h->controller->name, port, h->device ? " of hub at " : "",
             h->device ? usb_path(h->device) : "", error);
}

/* Once: a hub without ports has no more news. */
static void bury(struct usb_hub *h)
{
    if (h->ports)
        klog("%s: the controller %s; what is plugged in there is lost\n",
             h->controller->name, h->death);
    for (unsigned port = 1; port <= h->ports; port++)
        detach_child(h, port);
    h->ports = 0;
}

static void hub_work(struct work *w)
{
    struct usb_hub *h = (struct usb_hub *)w;
    bool on;

    if (h->death)
        bury(h);
    for (unsigned port = 1; port <= h->ports; port++)
        if (take_bit(&h->changed, port))
            look_at_port(h, port);
    on = irq_save(); /* a handler may count up meanwhile */
    pending--;
    irq_restore(on);
}

/* --- beginning and end --- */

void usb_controller_init(struct usb_controller *c, const char *name,
                         const struct usb_controller_ops *ops,
                         const struct usb_hub_ops *root_ops, void *data)
{
    c->name = name;
    c->ops = ops;
    c->root.ops = root_ops;
    c->root.controller = c;
    c->root.data = data;
}

void usb_hub_start(struct usb_hub *h)
{
    if (h->ports > USB_PORTS)
        h->ports = USB_PORTS;
    h->work.run = hub_work;
    for (unsigned port = 1; port <= h->ports; port++)
        usb_port_changed(h, port, true, false);
}

static void stop(struct usb_hub *h)
{
    bool on = irq_save();

    if (h->work.queued) {
        work_cancel(&h->work);
        pending--;
    }
    irq_restore(on);
    for (unsigned port = 1; port <= h->ports; port++)
        detach_child(h, port);
}

/* --- hubs that are plugged in --- */

enum { /* tables 11-17 and 10-17 */
    PORT_RESET = 4, PORT_POWER = 8, C_PORT_FIRST = 16,
    C_PORT_LINK_STATE = 25, C_PORT_CONFIG_ERROR = 26, C_BH_PORT_RESET = 29,
    SET_HUB_DEPTH = 12,
};
enum { /* wPortStatus, wPortChange: 11.24.2.7, 10.16.2.6 */
    STATUS_CONNECTED = 1, STATUS_ENABLED = 2, STATUS_OVER_CURRENT = 8,
    STATUS_RESET = 0x10, STATUS_LOW_SPEED = 0x200, STATUS_HIGH_SPEED = 0x400,
    CHANGE_CONNECTION = 1, CHANGE_RESET = 0x10,
};

struct hub {
    struct usb_hub hub;
    struct usb_interface *interface; /* NULL: free */
    struct usb_memory buffer;
    struct work restart;
};

static struct hub hubs[USB_HUBS];

static bool is_super(const struct usb_hub *h)
{
    return h->device->speed >= USB_SUPER;
}

static int port_feature(struct usb_hub *h, unsigned request, unsigned feature,
                        unsigned port)
{
    return usb_control(h->device, USB_CLASS | USB_TO_OTHER, request, feature,
                       port, NULL, 0);
}

/* Reads a port's status and changes, and acknowledges the changes. */
static int read_status(struct usb_hub *h, unsigned port, uint16_t *status,
                       uint16_t *change)
{
    static const uint8_t super_features[] = {
        16, 0, 0, 19, 20, C_BH_PORT_RESET, C_PORT_LINK_STATE,
        C_PORT_CONFIG_ERROR,
    };
    uint8_t b[4];
    int n = usb_control(h->device, USB_IN | USB_CLASS | USB_TO_OTHER,
                        USB_GET_STATUS, 0, port, b, sizeof b);

    if (n < (int)sizeof b)
        return n < 0 ? n : -EIO;
    *status = b[0] | b[1] << 8;
    *change = b[2] | b[3] << 8;
    for (unsigned bit = 0; bit < 8; bit++) {
        unsigned feature = is_super(h) ? super_features[bit]
                                       : bit < 5 ? C_PORT_FIRST + bit : 0;

        if ((*change >> bit & 1) && feature)
            port_feature(h, USB_CLEAR_FEATURE, feature, port);
    }
    return 0;
}

static int hub_status(struct usb_hub *h, unsigned port, struct usb_port *p)
{
    uint16_t status = 0, change = 0;
    int error = read_status(h, port, &status, &change);

    p->connected = status & STATUS_CONNECTED;
    p->replugged = change & CHANGE_CONNECTION;
    p->enabled = status & STATUS_ENABLED;
    p->over_current = status & STATUS_OVER_CURRENT;
    p->speed = is_super(h) ? h->device->speed
               : status & STATUS_LOW_SPEED ? USB_LOW
               : status & STATUS_HIGH_SPEED ? USB_HIGH : USB_FULL;
    return error;
}

static int hub_reset(struct usb_hub *h, unsigned port)
{
    uint64_t until = clock_usecs() + RESET_USECS;
    uint16_t status, change;
    int error = port_feature(h, USB_SET_FEATURE, PORT_RESET, port);

    while (error >= 0 && clock_usecs() < until) {
        clock_delay(10000);
        error = read_status(h, port, &status, &change);
        if (!error && !(status & STATUS_RESET) && (change & CHANGE_RESET))
            return 0;
        if (!error && !(status & STATUS_CONNECTED))
            return -ENODEV;
    }
    return error < 0 ? error : -ETIMEDOUT;
}

static const struct usb_hub_ops hub_ops = { hub_status, hub_reset };

/* The endpoint sends a bit for each port, 0 being the hub itself. Whether it
 * was the connection that changed is asked when there is time for it. */
static void hear(void *arg, int result)
{
    struct hub *h = arg;
    const uint8_t *bits = h->buffer.bytes;

    if (result < 0) {
        if (!usb_gone(h->hub.device))
            work_post(&h->restart, DEBOUNCE_USECS);
        return;
    }
    for (unsigned port = 1; port <= h->hub.ports; port++)
        if (port / 8 < (unsigned)result && (bits[port / 8] >> port % 8 & 1))
            usb_port_changed(&h->hub, port, false, false);
}

static int start_hearing(struct hub *h)
{
    struct usb_endpoint *e = usb_find_endpoint(h->interface, USB_INTERRUPT,
                                               USB_IN);

    return usb_listen(h->interface, e, &h->buffer,
                      e->max_packet < 8 ? e->max_packet : 8, hear, h);
}

static void restart(struct work *w)
{
    struct hub *h = (struct hub *)((char *)w - offsetof(struct hub, restart));

    if (h->interface &&
        !usb_clear_halt(h->interface, usb_find_endpoint(
                            h->interface, USB_INTERRUPT, USB_IN)))
        start_hearing(h);
}

/* Section 11.23.2.1: ports, characteristics, time from power to good. */
static int read_hub(struct usb_hub *h)
{
    uint8_t b[16] = { 0 };
    unsigned type = is_super(h) ? USB_SUPER_HUB : USB_HUB;
    int n = usb_control(h->device, USB_IN | USB_CLASS, USB_GET_DESCRIPTOR,
                        type << 8, 0, b, is_super(h) ? 12 : 9);

    if (n < 7 || b[1] != type || !b[2])
        return n < 0 ? n : -EINVAL;
    h->ports = b[2] < USB_PORTS ? b[2] : USB_PORTS;
    if (is_super(h)) {
        n = usb_control(h->device, USB_CLASS, SET_HUB_DEPTH,
                        h->device->depth, 0, NULL, 0);
        if (n < 0)
            return n;
    }
    n = h->controller->ops->set_hub(h->device, h->ports, b[3] >> 5 & 3);
    if (n)
        return n;
    for (unsigned port = 1; port <= h->ports; port++)
        port_feature(h, USB_SET_FEATURE, PORT_POWER, port);
    clock_delay(b[5] * 2000u);
    return 0;
}

static struct hub *new_hub(struct usb_interface *i)
{
    for (unsigned k = 0; k < USB_HUBS; k++)
        if (!hubs[k].interface) {
            hubs[k] = (struct hub){
                .interface = i,
                .hub = { .ops = &hub_ops, .device = i->device,
                         .controller = i->device->parent->controller },
                .restart = { .run = restart },
            };
            return &hubs[k];
        }
    return NULL;
}

static int attach(struct usb_interface *i)
{
    struct usb_endpoint *e = usb_find_endpoint(i, USB_INTERRUPT, USB_IN);
    struct hub *h = e ? new_hub(i) : NULL;
    int error;

    if (!h)
        return e ? -ENOSPC : -EINVAL;
    h->buffer = usb_page();
    error = h->buffer.bytes ? read_hub(&h->hub) : -ENOMEM;
    if (!error) {
        i->data = h;
        error = start_hearing(h);
    }
    if (error) {
        usb_page_free(h->buffer);
        h->interface = NULL;
        return error;
    }
    usb_hub_start(&h->hub);
    return 0;
}

static void detach(struct usb_interface *i)
{
    struct hub *h = i->data;

    work_cancel(&h->restart);
    stop(&h->hub);
    usb_page_free(h->buffer);
    h->interface = NULL;
}

const struct usb_class usb_hub_class = {
    .name = "hub", .class_code = USB_CLASS_HUB, .subclass = -1,
    .protocol = -1, .attach = attach, .detach = detach,
};
