/*
 * xhci.h - between the rooms of the xHCI driver: xhci.c (the controller and
 * its ports), xhci_ring.c (commands and events), xhci_device.c (slots,
 * endpoints, transfers). Section numbers are those of xHCI 1.2.
 */
#pragma once

#include "drivers/usb/usb.h"

enum {
    XHCI_SLOTS = 64, XHCI_ENDPOINTS = 32, XHCI_PORTS = USB_PORTS,
    RING_TRBS = 256, /* a page */
    XHCI_PIECES = 200, /* of a bulk transfer; a MiB in them fits the ring */
};

struct xhci_trb { /* 4.11 */
    uint64_t parameter;
    uint32_t status, control;
};
_Static_assert(sizeof(struct xhci_trb) == 16, "xHCI 4.11.1");

enum trb_type { /* table 6-91 */
    TRB_NORMAL = 1, TRB_SETUP = 2, TRB_DATA = 3, TRB_STATUS = 4, TRB_LINK = 6,
    TRB_ENABLE_SLOT = 9, TRB_DISABLE_SLOT = 10, TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE_ENDPOINT = 12, TRB_EVALUATE_CONTEXT = 13,
    TRB_RESET_ENDPOINT = 14, TRB_STOP_ENDPOINT = 15, TRB_SET_DEQUEUE = 16,
    TRB_TRANSFER_EVENT = 32, TRB_COMMAND_EVENT = 33, TRB_PORT_EVENT = 34,
};
enum trb_bit {
    TRB_CYCLE = 1, TRB_TOGGLE = 1 << 1, TRB_SHORT = 1 << 2, TRB_CHAIN = 1 << 4,
    TRB_INTERRUPT = 1 << 5, TRB_IMMEDIATE = 1 << 6, TRB_IN = 1 << 16,
    TRB_TYPE_SHIFT = 10, TRB_ENDPOINT_SHIFT = 16, TRB_SLOT_SHIFT = 24,
};
enum completion { /* table 6-90 */
    CC_SUCCESS = 1, CC_BABBLE = 3, CC_STALL = 6,
    CC_SHORT = 13, CC_RING_STOPPED = 24, CC_STOPPED = 26,
    CC_STOPPED_SHORT = 28,
};

struct xhci_ring {
    struct usb_memory memory;
    unsigned at;    /* where the next one goes */
    uint32_t cycle; /* 1 or 0 */
};

/* An open endpoint. One transfer at a time. */
struct xhci_pipe {
    struct xhci_ring ring;
    bool used;
    uint8_t slot, id; /* id: device context index, 4.5.1 */
    /* the transfer under way */
    unsigned first, last; /* its TRBs */
    volatile bool busy;
    bool control;
    uint8_t code;         /* how it ended */
    uint32_t length, done; /* bytes */
    /* of those that are listened to */
    usb_hear hear;
    void *arg;
    uint64_t buffer;
};

struct xhci_slot {
    struct usb_device *device; /* NULL: not in use */
    struct usb_memory context; /* what the controller says, 6.2.1 */
    struct xhci_pipe *pipes[XHCI_ENDPOINTS];
};

struct xhci {
    struct usb_controller controller;
    char name[8];
    bool present, dead;
    volatile uint32_t *operational, *runtime, *doorbells;
    volatile uint32_t *ports; /* PORTSC of port 1 */
    unsigned context_bytes;   /* 32 or 64 */
    unsigned version;
    unsigned slot_count;
    unsigned expected; /* ports in use before the controller was reset */
    uint32_t super_ports; /* bit n: port n speaks USB 3 */
    uint64_t *contexts;   /* device context base addresses, 6.1 */
    struct xhci_ring commands, events;
    volatile bool command_done;
    uint64_t command; /* the one under way */
    uint8_t command_code, command_slot;
    struct usb_memory input;  /* input context, 6.2.5; one command a time */
    struct usb_memory bounce; /* data of control transfers */
    struct xhci_slot slots[XHCI_SLOTS + 1];
};

/* --- xhci.c --- */

/* Says so once; from then on everything fails with -ENODEV. */
void xhci_died(struct xhci *x, const char *why);
/* False, and said so, if the controller is no longer there. */
bool xhci_alive(struct xhci *x);
/* From an event: the port has news. */
void xhci_port_event(struct xhci *x, unsigned port);

/* --- xhci_ring.c --- */

/* A ring that ends with a link to its beginning. 0 or -ENOMEM. */
int xhci_ring_init(struct xhci_ring *r);
/* Adds one; answers its place. The control word comes without cycle bit. */
unsigned xhci_ring_add(struct xhci_ring *r, uint64_t parameter,
                       uint32_t status, uint32_t control);
/* The next `n` lie side by side, n below RING_TRBS - 1. The ring is empty. */
void xhci_ring_make_room(struct xhci_ring *r, unsigned n);
/* Runs a command; 0 or a negative errno. `slot`: see 4.6. */
int xhci_command(struct xhci *x, uint64_t parameter, uint32_t control);
/* Serves all waiting events; with interrupts off. */
void xhci_poll(struct xhci *x);

/* --- xhci_device.c --- */

extern const struct usb_controller_ops xhci_ops;
void xhci_transfer_event(struct xhci *x, const struct xhci_trb *event);
