/*
 * usb.h - the door between host controllers, the core and class drivers.
 *
 * Source: Universal Serial Bus 2.0, chapters 9 and 11; USB 3.2, chapters 9
 * and 10.
 *
 * Plugging, unplugging, control and bulk transfers happen in the machine's
 * thread; they wait with a time limit. Only what an interrupt endpoint says
 * is heard in interrupt handlers. Lengths and results: bytes, or a negative
 * errno: -EPIPE (the device refused: stall), -EIO (the bus failed it),
 * -EOVERFLOW (more came than asked for), -ETIMEDOUT, -ENODEV (unplugged, or
 * the controller is dead), -ENOMEM.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/block.h"
#include "kernel/work.h"

enum {
    USB_DEVICES = 48, USB_HUBS = 16, USB_PORTS = 31, USB_DEPTH = 5,
    USB_INTERFACES = 8, USB_ENDPOINTS = 4, USB_CONFIG_BYTES = 1024,
    USB_CONTROL_USECS = 1000 * 1000,
};
enum usb_speed { USB_FULL = 1, USB_LOW, USB_HIGH, USB_SUPER, USB_SUPER_PLUS };
enum usb_endpoint_type {
    USB_CONTROL, USB_ISOCHRONOUS, USB_BULK, USB_INTERRUPT,
};
enum usb_request_type { /* bmRequestType: section 9.3 */
    USB_IN = 0x80, USB_CLASS = 0x20,
    USB_TO_INTERFACE = 0x01, USB_TO_ENDPOINT = 0x02, USB_TO_OTHER = 0x03,
};
enum usb_request { /* table 9-4 */
    USB_GET_STATUS = 0, USB_CLEAR_FEATURE = 1, USB_SET_FEATURE = 3,
    USB_SET_ADDRESS = 5, USB_GET_DESCRIPTOR = 6, USB_SET_CONFIGURATION = 9,
};
enum usb_descriptor_type { /* table 9-5 */
    USB_DEVICE = 1, USB_CONFIGURATION = 2, USB_STRING = 3, USB_INTERFACE = 4,
    USB_ENDPOINT = 5, USB_HID = 0x21, USB_HID_REPORT = 0x22,
    USB_HUB = 0x29, USB_SUPER_HUB = 0x2a, USB_COMPANION = 0x30,
};
enum usb_class_code { /* bDeviceClass, bInterfaceClass */
    USB_CLASS_HID = 3, USB_CLASS_STORAGE = 8, USB_CLASS_HUB = 9,
};

struct usb_setup { /* section 9.3 */
    uint8_t request_type, request;
    uint16_t value, index, length;
};

/* Memory that both sides see. */
struct usb_memory {
    void *bytes;
    uint64_t phys;
};

struct usb_device;
struct usb_hub;

struct usb_endpoint {
    uint8_t address;  /* bit 7: in */
    uint8_t type;     /* enum usb_endpoint_type */
    uint8_t interval; /* bInterval */
    uint8_t burst;    /* further packets in a row */
    uint16_t max_packet;
    void *pipe;       /* the controller's own; NULL: not open */
};

struct usb_interface {
    struct usb_device *device;
    uint8_t number, class_code, subclass, protocol;
    uint16_t report_bytes; /* of a HID report descriptor */
    unsigned endpoint_count;
    struct usb_endpoint endpoints[USB_ENDPOINTS];
    const struct usb_class *driver; /* who took it; NULL: nobody */
    void *data;                     /* the driver's own */
};

struct usb_device {
    struct usb_hub *parent;
    unsigned port; /* of the parent, from 1 */
    unsigned depth; /* 0: at a root port */
    enum usb_speed speed;
    /* The high-speed hub that talks to this slower device; NULL: none. */
    struct usb_device *tt;
    unsigned tt_port;
    volatile bool gone; /* unplugged, though perhaps not yet cleared away */
    uint16_t max_packet; /* of endpoint 0 */
    uint16_t vendor, product, release;
    uint8_t class_code, protocol, configuration, string_index[3];
    char maker[32], name[48], serial[64];
    unsigned interface_count;
    struct usb_interface interfaces[USB_INTERFACES];
    void *slot; /* the controller's own */
};

struct usb_class {
    const char *name;
    int16_t class_code, subclass, protocol; /* -1: any */
    /* Takes an interface whose endpoints are open. 0 or a negative errno. */
    int (*attach)(struct usb_interface *i);
    /* The device is gone; its pipes are dead already. */
    void (*detach)(struct usb_interface *i);
};

/* --- what a hub tells, be it inside a controller or plugged in --- */

struct usb_port {
    bool connected, enabled, over_current;
    bool replugged; /* since the last look */
    enum usb_speed speed; /* once enabled */
};

struct usb_hub_ops {
    int (*status)(struct usb_hub *h, unsigned port, struct usb_port *p);
    /* Resets, so that the device answers to address 0. */
    int (*reset)(struct usb_hub *h, unsigned port);
};

struct usb_hub {
    struct work work; /* first: see usb_hub.c */
    const struct usb_hub_ops *ops;
    struct usb_controller *controller;
    struct usb_device *device; /* NULL: root ports */
    unsigned ports;
    const char *death; /* of its controller: why; NULL: it lives */
    uint32_t changed;   /* bit n: something happened at port n */
    uint32_t replugged; /* bit n: the connection itself changed */
    struct usb_device *children[USB_PORTS + 1];
    uint8_t attempts[USB_PORTS + 1];
    void *data; /* the owner's own */
};

/* --- what a host controller can do --- */

/* Hears an interrupt endpoint, in an interrupt handler: bytes in the buffer,
 * or a negative errno, after which nothing more comes. */
typedef void (*usb_hear)(void *arg, int result);

struct usb_controller_ops {
    /* Makes the device at a freshly reset port answer to an address. */
    int (*open)(struct usb_device *d);
    /* Forgets it and its pipes; transfers under way have ended. */
    void (*close)(struct usb_device *d);
    int (*set_max_packet)(struct usb_device *d); /* d->max_packet is new */
    /* Opens the endpoints of all interfaces that have a driver. */
    int (*configure)(struct usb_device *d);
    int (*set_hub)(struct usb_device *d, unsigned ports, unsigned think_time);
    int (*control)(struct usb_device *d, const struct usb_setup *s,
                   void *data);
    /* Pieces as block_ops' `move` has them, within the limits below. */
    int (*bulk)(struct usb_device *d, struct usb_endpoint *e,
                const struct block_piece *pieces, unsigned n,
                uint64_t usecs);
    int (*listen)(struct usb_device *d, struct usb_endpoint *e,
                  const struct usb_memory *m, uint32_t bytes, usb_hear hear,
                  void *arg);
    /* After a halt: forgets what was queued, toggles start at 0. */
    int (*reset_pipe)(struct usb_device *d, struct usb_endpoint *e);
};

struct usb_controller {
    const char *name; /* "xhci0" */
    const struct usb_controller_ops *ops;
    uint64_t reach; /* of a bulk transfer: where its memory may lie ... */
    unsigned most_pieces; /* ... and in how many pieces */
    struct usb_hub root;
    void (*serve)(void *data); /* usb_serve */
};

/* --- for controllers and hubs --- */

/* A hub with `ports`, controller, ops, device set begins to work. */
void usb_hub_start(struct usb_hub *h);
/* Before that, of a controller that is all zeros: its name, what it does, and
 * what its root ports do, with `data` as theirs. Keeps the pointers. */
void usb_controller_init(struct usb_controller *c, const char *name,
                         const struct usb_controller_ops *ops,
                         const struct usb_hub_ops *root_ops, void *data);
/* `serve` is what its interrupt does, with interrupts off and `data` of its
 * root ports. If the interrupt goes nowhere, the clock does it. */
void usb_serve(struct usb_controller *c, void (*serve)(void *data),
               bool interrupts);
/* Something happened at a port; `replugged`: the connection changed. If
 * `away`, nothing is connected now. Any context. */
void usb_port_changed(struct usb_hub *h, unsigned port, bool replugged,
                      bool away);
/* A hub has news that the machine's thread has not looked at. */
bool usb_busy(void);
/* All devices below are gone for good: the controller is dead, "has stopped"
 * perhaps, which the log is told later. Any context. */
void usb_hub_died(struct usb_hub *h, const char *why);
/* Waits until the masked bits of a register are so. 0 or -ETIMEDOUT. */
int usb_wait_bits(volatile uint32_t *reg, uint32_t mask, uint32_t value,
                  uint64_t usecs);
/* A page that devices may be told about, cleared; bytes NULL: none left. */
struct usb_memory usb_page(void);
void usb_page_free(struct usb_memory m);

/* --- for hubs: a device at a port that was just reset --- */

/* Addresses, reads, configures and offers it to the drivers. NULL: the
 * device does not work. */
struct usb_device *usb_attach(struct usb_hub *h, unsigned port,
                              enum usb_speed speed);
void usb_detach(struct usb_device *d);
/* A device that is unplugged, or hangs on one that is. */
bool usb_gone(const struct usb_device *d);

/* --- for class drivers --- */

/* Control transfer on endpoint 0; `data` any memory, `length` up to 4096. */
int usb_control(struct usb_device *d, unsigned type, unsigned request,
                unsigned value, unsigned index, void *data, unsigned length);
int usb_bulk(struct usb_interface *i, struct usb_endpoint *e,
             const struct block_piece *pieces, unsigned n, uint64_t usecs);
/* Hears everything that the interrupt endpoint says, until an error. */
int usb_listen(struct usb_interface *i, struct usb_endpoint *e,
               const struct usb_memory *m, uint32_t bytes, usb_hear hear,
               void *arg);
/* Ends a halt on both sides. */
int usb_clear_halt(struct usb_interface *i, struct usb_endpoint *e);
/* The first endpoint of that type and direction (USB_IN or 0), or NULL. */
struct usb_endpoint *usb_find_endpoint(struct usb_interface *i, unsigned type,
                                       unsigned direction);
/* Where it is plugged in, for messages: "xhci0 port 1.4". */
const char *usb_path(const struct usb_device *d);

const char *usb_speed_name(enum usb_speed s);
/* Device `index` below USB_DEVICES, or NULL. */
const struct usb_device *usb_device(unsigned index);

extern const struct usb_class usb_hub_class, usb_hid_class,
    usb_storage_class;
