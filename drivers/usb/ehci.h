/*
 * ehci.h - between the rooms of the EHCI driver: ehci.c (the controller and
 * its ports), ehci_pipe.c (queues and transfers). Section numbers are those
 * of EHCI 1.0.
 */
#pragma once

#include "drivers/usb/usb.h"

enum {
    EHCI_PIPES = 64, EHCI_TDS = 16, EHCI_ADDRESSES = 128,
    TD_PAGES = 5, /* of a TD's buffer: 3.5.4 */
    EHCI_PAGES = (TD_PAGES - 1) * EHCI_TDS, /* in any place */
};

/* Appendix B's extended structures: controllers that know only 32-bit
 * addresses stop reading before `high`. */
struct ehci_td { /* 3.5 */
    uint32_t next, alternate, token, buffer[5], high[5], unused[3];
};
_Static_assert(sizeof(struct ehci_td) == 64, "aligned to 32");

struct ehci_qh { /* 3.6 */
    uint32_t next, endpoint, capabilities, current;
    struct {
        uint32_t next, alternate, token, buffer[5], high[5];
    } overlay;
    uint32_t unused[7];
};
_Static_assert(sizeof(struct ehci_qh) == 96, "aligned to 32");

/* A pipe's page: what the controller sees of it. */
struct ehci_pipe_memory {
    struct ehci_qh qh;
    uint32_t unused[8];
    struct ehci_td tds[EHCI_TDS + 1]; /* the last one is never active */
    struct usb_setup setup;
};

struct ehci_pipe {
    bool used, periodic;
    struct ehci_pipe_memory *memory; /* also the QH's */
    struct usb_memory page;
    unsigned count; /* TDs of the transfer under way */
    /* of those that are listened to */
    usb_hear hear;
    void *arg;
    uint64_t buffer;
    uint32_t length;
};

struct ehci {
    struct usb_controller controller;
    char name[8];
    bool dead;
    volatile uint32_t *operational;
    unsigned companions;
    struct usb_memory frames;     /* periodic list, 1024 entries */
    struct usb_memory heads;      /* three QHs: see ehci_pipe.c */
    struct usb_memory bounce;     /* data of control transfers */
    bool addresses[EHCI_ADDRESSES];
    struct ehci_pipe pipes[EHCI_PIPES];
};

enum { /* operational registers: 2.3 */
    EHCI_CMD = 0x00 / 4, EHCI_STS = 0x04 / 4, EHCI_INTR = 0x08 / 4,
    EHCI_SEGMENT = 0x10 / 4, EHCI_PERIODIC = 0x14 / 4, EHCI_ASYNC = 0x18 / 4,
    EHCI_CONFIG = 0x40 / 4, EHCI_PORTS = 0x44 / 4,
    CMD_RUN = 1, CMD_RESET = 2, CMD_PERIODIC = 1 << 4, CMD_ASYNC = 1 << 5,
    CMD_DOORBELL = 1 << 6, CMD_EVERY_MICROFRAME = 1 << 16,
    STS_TRANSFER = 1, STS_ERROR = 2, STS_PORT = 4, STS_ROLLOVER = 1 << 3,
    STS_HOST_ERROR = 1 << 4,
    STS_INTERRUPTS = STS_TRANSFER | STS_ERROR | STS_PORT | STS_ROLLOVER |
                     STS_HOST_ERROR,
    STS_ADVANCED = 1 << 5, STS_HALTED = 1 << 12,
};

/* --- ehci.c --- */

/* False, and said so, if the controller is no longer there. */
bool ehci_alive(struct ehci *x);

/* --- ehci_pipe.c --- */

extern const struct usb_controller_ops ehci_ops;
/* The two lists, empty; 0 or -ENOMEM. */
int ehci_lists(struct ehci *x);
/* Serves what interrupt endpoints said; with interrupts off. */
void ehci_poll(struct ehci *x);
