/*
 * xhci_ring.c - rings: work for the controller in, events out.
 *
 * Source: xHCI 1.2, sections 4.9 (rings), 4.6 (commands), 6.4 (TRBs).
 * QEMU: -device qemu-xhci, -device nec-usb-xhci
 */
#include <errno.h>
#include <stddef.h>

#include "drivers/usb/xhci.h"
#include "kernel/irq.h"
#include "kernel/klog.h"

enum {
    COMMAND_USECS = 2 * 1000 * 1000, ABORT_USECS = 500 * 1000,
    CRCR = 0x18 / 4, CRCR_ABORT = 4, CRCR_RUNNING = 8,
    ERDP = 0x38 / 4, ERDP_BUSY = 8,
};

int xhci_ring_init(struct xhci_ring *r)
{
    r->memory = usb_page();
    r->at = 0;
    r->cycle = 1;
    return r->memory.bytes ? 0 : -ENOMEM;
}

/* The cycle bit hands a TRB over, so it is written last (4.9.2). */
static void hand_over(volatile struct xhci_trb *t, uint32_t control)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    t->control = control;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The place where the ring starts over, for now. */
static void link_back(struct xhci_ring *r, uint32_t chain)
{
    volatile struct xhci_trb *trbs = r->memory.bytes;

    trbs[r->at].parameter = r->memory.phys;
    trbs[r->at].status = 0;
    hand_over(&trbs[r->at], TRB_LINK << TRB_TYPE_SHIFT | TRB_TOGGLE | chain |
                                r->cycle);
    r->at = 0;
    r->cycle ^= 1;
}

/* Those passed over must not look like new ones the next time round. */
void xhci_ring_make_room(struct xhci_ring *r, unsigned n)
{
    volatile struct xhci_trb *trbs = r->memory.bytes;

    if (r->at + n < RING_TRBS)
        return;
    for (unsigned i = r->at + 1; i < RING_TRBS; i++)
        trbs[i].control = r->cycle;
    link_back(r, 0);
}

unsigned xhci_ring_add(struct xhci_ring *r, uint64_t parameter,
                       uint32_t status, uint32_t control)
{
    volatile struct xhci_trb *trbs = r->memory.bytes;
    unsigned at = r->at++;

    trbs[at].parameter = parameter;
    trbs[at].status = status;
    hand_over(&trbs[at], control | r->cycle);
    if (r->at == RING_TRBS - 1)
        link_back(r, control & TRB_CHAIN);
    return at;
}

/* --- commands --- */

static bool command_done(void *arg)
{
    struct xhci *x = arg;

    xhci_poll(x);
    return x->command_done || x->dead;
}

static bool commands_stopped(void *arg)
{
    struct xhci *x = arg;

    xhci_poll(x);
    return !(x->operational[CRCR] & CRCR_RUNNING);
}

/* A command that never ends is taken back (4.6.1.2). */
static int abort_command(struct xhci *x)
{
    if (!xhci_alive(x))
        return -ENODEV;
    x->operational[CRCR] = CRCR_ABORT;
    x->operational[CRCR + 1] = 0;
    if (irq_wait(commands_stopped, x, ABORT_USECS)) {
        xhci_died(x, "takes no commands any more");
        return -ENODEV;
    }
    return -ETIMEDOUT;
}

static int command_error(unsigned code)
{
    return code == CC_SUCCESS ? 0 : code == CC_STALL ? -EPIPE : -EIO;
}

int xhci_command(struct xhci *x, uint64_t parameter, uint32_t control)
{
    if (x->dead)
        return -ENODEV;
    x->command_done = false;
    x->command = x->commands.memory.phys +
                 x->commands.at * sizeof(struct xhci_trb);
    xhci_ring_add(&x->commands, parameter, 0, control);
    x->doorbells[0] = 0;
    if (irq_wait(command_done, x, COMMAND_USECS))
        return abort_command(x);
    return x->dead ? -ENODEV : command_error(x->command_code);
}

/* --- events --- */

static void command_event(struct xhci *x, const struct xhci_trb *e)
{
    unsigned code = e->status >> 24;

    if (e->parameter != x->command || code == CC_RING_STOPPED)
        return;
    x->command_code = (uint8_t)code;
    x->command_slot = (uint8_t)(e->control >> TRB_SLOT_SHIFT);
    x->command_done = true;
}

static void serve(struct xhci *x, const struct xhci_trb *e)
{
    switch (e->control >> TRB_TYPE_SHIFT & 63) {
    case TRB_TRANSFER_EVENT:
        xhci_transfer_event(x, e);
        break;
    case TRB_COMMAND_EVENT:
        command_event(x, e);
        break;
    case TRB_PORT_EVENT:
        xhci_port_event(x, e->parameter >> 24 & 0xff);
        break;
    }
}

/* The event ring is one segment without a link; it just starts over. */
void xhci_poll(struct xhci *x)
{
    volatile struct xhci_trb *trbs = x->events.memory.bytes;
    bool any = false;

    while ((trbs[x->events.at].control & TRB_CYCLE) == x->events.cycle) {
        volatile struct xhci_trb *t = &trbs[x->events.at];
        struct xhci_trb e;

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        e = (struct xhci_trb){ t->parameter, t->status, t->control };
        if (++x->events.at == RING_TRBS) {
            x->events.at = 0;
            x->events.cycle ^= 1;
        }
        any = true;
        serve(x, &e);
    }
    if (any) {
        uint64_t at = x->events.memory.phys +
                      x->events.at * sizeof(struct xhci_trb);

        x->runtime[ERDP] = (uint32_t)at | ERDP_BUSY;
        x->runtime[ERDP + 1] = (uint32_t)(at >> 32);
    }
}
