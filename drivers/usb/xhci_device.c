/*
 * xhci_device.c - slots, endpoints, transfers.
 *
 * Source: xHCI 1.2, sections 4.3 (devices), 4.6 (commands), 4.10 to 4.14
 * (transfers, intervals), 6.2 (contexts).
 * QEMU: -device qemu-xhci, -device nec-usb-xhci
 *
 * Knows the contexts' layout. One transfer at a time on an endpoint; all but
 * interrupt endpoints are waited for by the machine's thread.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/usb/xhci.h"
#include "kernel/irq.h"
#include "kernel/vmm.h"

enum {
    PIPES = 160, TRB_BYTES_MAX = 65536, TD_SIZE_SHIFT = 17, TD_SIZE_MAX = 31,
    SETUP_HAS_DATA = 2 << 16, SETUP_IN = 1 << 16,
    EP_STATE = 7, EP_RUNNING = 1, EP_HALTED = 2,
    EP_CONTROL = 4, EP_INTERRUPT_IN = 7,
    SLOT_HUB = 1 << 26,
};

static struct xhci_pipe pipe_pool[PIPES];

static struct xhci *xhci_of(const struct usb_device *d)
{
    return (struct xhci *)d->parent->controller;
}

static unsigned slot_id(const struct usb_device *d)
{
    return d->slot ? (unsigned)((struct xhci_slot *)d->slot - xhci_of(d)->slots)
                   : 0;
}

/* Context `index` of an input (0 control, 1 slot, 2 endpoint 0, ...) or a
 * device context (0 slot, 1 endpoint 0, ...). */
static volatile uint32_t *context(const struct xhci *x, struct usb_memory m,
                                  unsigned index)
{
    return (volatile uint32_t *)((char *)m.bytes + index * x->context_bytes);
}

/* --- pipes --- */

static struct xhci_pipe *new_pipe(struct xhci_slot *s, unsigned slot,
                                  unsigned id)
{
    struct xhci_pipe *p = pipe_pool;

    while (p < pipe_pool + PIPES && p->used)
        p++;
    if (p == pipe_pool + PIPES)
        return NULL;
    *p = (struct xhci_pipe){ .slot = (uint8_t)slot, .id = (uint8_t)id };
    if (xhci_ring_init(&p->ring))
        return NULL;
    p->used = true;
    p->control = id == 1;
    s->pipes[id] = p;
    return p;
}

static void free_pipe(struct xhci_slot *s, unsigned id)
{
    struct xhci_pipe *p = s->pipes[id];
    bool on = irq_save();

    s->pipes[id] = NULL;
    irq_restore(on);
    if (p) {
        usb_page_free(p->ring.memory);
        p->used = false;
    }
}

static uint64_t ring_position(const struct xhci_pipe *p)
{
    return (p->ring.memory.phys + p->ring.at * sizeof(struct xhci_trb)) |
           p->ring.cycle;
}

/* --- the end of transfers: in the interrupt handler --- */

static int error_of(unsigned code)
{
    switch (code) {
    case CC_SUCCESS: case CC_SHORT:
        return 0;
    case CC_STALL:
        return -EPIPE;
    case CC_BABBLE:
        return -EOVERFLOW;
    default:
        return -EIO;
    }
}

static void queue_listening(struct xhci *x, struct xhci_pipe *p)
{
    p->busy = true;
    p->first = p->last = xhci_ring_add(
        &p->ring, p->buffer, p->length,
        TRB_NORMAL << TRB_TYPE_SHIFT | TRB_INTERRUPT | TRB_SHORT);
    x->doorbells[p->slot] = p->id;
}

static void finish(struct xhci *x, struct xhci_pipe *p, unsigned code)
{
    int error = error_of(code);

    p->code = (uint8_t)code;
    p->busy = false;
    if (!p->hear)
        return;
    p->hear(p->arg, error ? error : (int)p->done);
    if (!error)
        queue_listening(x, p);
}

/* Bytes in the TRBs of the transfer before number `index`. */
static uint32_t bytes_before(const struct xhci_pipe *p, unsigned index)
{
    const struct xhci_trb *trbs = p->ring.memory.bytes;
    uint32_t bytes = 0;

    for (unsigned i = p->first; i != index; i = (i + 1) % RING_TRBS)
        if (i != RING_TRBS - 1) /* the link */
            bytes += trbs[i].status & 0x1ffff;
    return bytes;
}

/* Events of transfers that were given up, or second ones for the same short
 * packet (4.10.1.1), name TRBs that are not under way, and are ignored. */
void xhci_transfer_event(struct xhci *x, const struct xhci_trb *e)
{
    unsigned slot = e->control >> TRB_SLOT_SHIFT, code = e->status >> 24;
    unsigned id = e->control >> TRB_ENDPOINT_SHIFT & 31;
    uint32_t left = e->status & 0xffffff;
    struct xhci_pipe *p = slot <= x->slot_count ? x->slots[slot].pipes[id]
                                                : NULL;
    const struct xhci_trb *trbs;
    uint64_t index, length;

    if (!p || !p->busy || (code >= CC_STOPPED && code <= CC_STOPPED_SHORT))
        return;
    trbs = p->ring.memory.bytes;
    index = (e->parameter - p->ring.memory.phys) / sizeof *trbs;
    if (index >= RING_TRBS || (index - p->first) % RING_TRBS >
                                  (p->last - p->first) % RING_TRBS)
        return;
    length = trbs[index].status & 0x1ffff;
    if (p->control) {
        if (index != p->last && !error_of(code)) {
            p->done = left <= p->length ? p->length - left : 0;
            return; /* the status stage is still to come */
        }
    } else {
        p->done = bytes_before(p, (unsigned)index) +
                  (uint32_t)(left <= length ? length - left : 0);
    }
    finish(x, p, code);
}

/* --- endpoint commands --- */

static int endpoint_command(struct xhci *x, const struct xhci_pipe *p,
                            unsigned type, uint64_t parameter)
{
    return xhci_command(x, parameter,
                        type << TRB_TYPE_SHIFT |
                            (uint32_t)p->id << TRB_ENDPOINT_SHIFT |
                            (uint32_t)p->slot << TRB_SLOT_SHIFT);
}

/* Neither running nor halted, nothing queued, whatever it was before. */
static int quiet(struct xhci *x, struct xhci_pipe *p)
{
    unsigned state = context(x, x->slots[p->slot].context, p->id)[0] &
                     EP_STATE;
    bool on;
    int error = 0;

    if (state == EP_HALTED)
        error = endpoint_command(x, p, TRB_RESET_ENDPOINT, 0);
    else if (state == EP_RUNNING)
        error = endpoint_command(x, p, TRB_STOP_ENDPOINT, 0);
    on = irq_save();
    p->busy = false;
    p->hear = NULL;
    irq_restore(on);
    /* It may have halted just before it was stopped. */
    state = context(x, x->slots[p->slot].context, p->id)[0] & EP_STATE;
    if (error && state == EP_HALTED)
        error = endpoint_command(x, p, TRB_RESET_ENDPOINT, 0);
    if (!error)
        error = endpoint_command(x, p, TRB_SET_DEQUEUE, ring_position(p));
    return error;
}

/* --- waiting for a transfer --- */

struct transfer {
    struct xhci *x;
    struct xhci_pipe *pipe;
    const struct usb_device *device;
};

static bool transfer_over(void *arg)
{
    const struct transfer *t = arg;

    xhci_poll(t->x);
    return !t->pipe->busy || t->x->dead || usb_gone(t->device);
}

/* From the doorbell to the result. */
static int run_transfer(struct usb_device *d, struct xhci_pipe *p,
                        uint64_t usecs)
{
    struct xhci *x = xhci_of(d);
    struct transfer t = { x, p, d };
    int error;

    x->doorbells[p->slot] = p->id;
    error = irq_wait(transfer_over, &t, usecs);
    if (x->dead || (error && !xhci_alive(x)))
        return -ENODEV;
    if (p->busy) {
        quiet(x, p);
        return usb_gone(d) ? -ENODEV : -ETIMEDOUT;
    }
    error = error_of(p->code);
    if (error && p->control)
        quiet(x, p);
    return error ? error : (int)p->done;
}

static void begin(struct xhci_pipe *p, uint32_t length)
{
    p->length = length;
    p->done = p->control ? length : 0;
    p->first = p->ring.at;
}

/* Three stages, each a TD of its own: 4.11.2.2. */
static int control(struct usb_device *d, const struct usb_setup *s, void *data)
{
    struct xhci *x = xhci_of(d);
    struct xhci_pipe *p = ((struct xhci_slot *)d->slot)->pipes[1];
    bool in = s->request_type & USB_IN;
    uint64_t packet;
    uint32_t stage = 0;
    int result;

    memcpy(&packet, s, sizeof packet);
    if (s->length)
        stage = SETUP_HAS_DATA | (in ? SETUP_IN : 0);
    if (s->length && !in)
        memcpy(x->bounce.bytes, data, s->length);
    begin(p, s->length);
    xhci_ring_add(&p->ring, packet, sizeof packet,
                  TRB_SETUP << TRB_TYPE_SHIFT | TRB_IMMEDIATE | stage);
    if (s->length)
        xhci_ring_add(&p->ring, x->bounce.phys, s->length,
                      TRB_DATA << TRB_TYPE_SHIFT | TRB_SHORT |
                          (in ? TRB_IN : 0));
    p->last = p->ring.at;
    p->busy = true;
    xhci_ring_add(&p->ring, 0, 0,
                  TRB_STATUS << TRB_TYPE_SHIFT | TRB_INTERRUPT |
                      (in && s->length ? 0 : TRB_IN));
    result = run_transfer(d, p, USB_CONTROL_USECS);
    if (result > 0 && in)
        memcpy(data, x->bounce.bytes, (size_t)result);
    return result;
}

/* Packets still to come after this TRB: 4.11.2.4; before 1.0, KiB. */
static uint32_t td_size(const struct xhci *x, uint32_t left,
                        unsigned max_packet)
{
    uint32_t size = x->version < 0x100 ? left >> 10
                                       : (left + max_packet - 1) / max_packet;

    return (size < TD_SIZE_MAX ? size : TD_SIZE_MAX) << TD_SIZE_SHIFT;
}

/* A TRB's bytes do not cross 64 KiB: 6.4.1. */
static uint32_t trb_bytes(uint64_t at, uint32_t left)
{
    uint32_t room = TRB_BYTES_MAX - (uint32_t)(at % TRB_BYTES_MAX);

    return room < left ? room : left;
}

static unsigned trb_count(const struct block_piece *pieces, unsigned n)
{
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++)
        count += 1 + (unsigned)(pieces[i].phys % TRB_BYTES_MAX +
                                pieces[i].bytes) / TRB_BYTES_MAX;
    return count;
}

/* Answers what is left of the transfer behind the piece. */
static uint32_t add_piece(const struct xhci *x, const struct usb_endpoint *e,
                          const struct block_piece *piece, uint32_t left)
{
    struct xhci_pipe *p = e->pipe;
    uint32_t done = 0;

    do {
        uint64_t at = piece->phys + done;
        uint32_t n = trb_bytes(at, piece->bytes - done);

        left -= n;
        p->last = xhci_ring_add(
            &p->ring, at, n | td_size(x, left, e->max_packet),
            TRB_NORMAL << TRB_TYPE_SHIFT | TRB_SHORT |
                (left ? TRB_CHAIN : TRB_INTERRUPT));
        done += n;
    } while (done < piece->bytes);
    return left;
}

/* The ring's link must not follow a TRB that ends inside a packet
 * (4.11.7.1), as those of the caller's memory do. */
static int bulk(struct usb_device *d, struct usb_endpoint *e,
                const struct block_piece *pieces, unsigned n, uint64_t usecs)
{
    struct xhci_pipe *p = e->pipe;
    unsigned trbs = trb_count(pieces, n);
    uint32_t left = block_bytes(pieces, n);

    if (trbs >= RING_TRBS - 1)
        return -EINVAL;
    xhci_ring_make_room(&p->ring, trbs);
    begin(p, left);
    p->busy = true;
    for (unsigned i = 0; i < n; i++)
        left = add_piece(xhci_of(d), e, &pieces[i], left);
    return run_transfer(d, p, usecs);
}

static int listen(struct usb_device *d, struct usb_endpoint *e,
                  const struct usb_memory *m, uint32_t bytes, usb_hear hear,
                  void *arg)
{
    struct xhci_pipe *p = e->pipe;
    bool on = irq_save();

    p->hear = hear;
    p->arg = arg;
    p->buffer = m->phys;
    p->length = bytes;
    queue_listening(xhci_of(d), p);
    irq_restore(on);
    return 0;
}

/* --- contexts --- */

/* Time between services as a power of two of 125 us: 6.2.3.6. */
static unsigned interval(const struct usb_device *d,
                         const struct usb_endpoint *e)
{
    unsigned exponent = 3;

    if (d->speed >= USB_HIGH)
        return !e->interval ? 0 : e->interval > 16 ? 15 : e->interval - 1u;
    while (exponent < 10 && (2u << exponent) <= e->interval * 8u)
        exponent++;
    return exponent;
}

static void fill_endpoint(volatile uint32_t *c, const struct xhci_pipe *p,
                          unsigned type, unsigned max_packet, unsigned burst,
                          unsigned service)
{
    uint32_t payload = type == EP_INTERRUPT_IN ? max_packet * (burst + 1) : 0;

    c[0] = service << 16;
    c[1] = 3 << 1 | type << 3 | burst << 8 | max_packet << 16;
    c[2] = (uint32_t)ring_position(p);
    c[3] = (uint32_t)(ring_position(p) >> 32);
    c[4] = (type == EP_CONTROL ? 8 : max_packet) | payload << 16;
}

static void fill_slot(volatile uint32_t *c, const struct usb_device *d)
{
    const struct usb_device *root = d;
    uint32_t route = 0;

    for (; root->depth; root = root->parent->device)
        route |= (root->port < 15 ? root->port : 15)
                 << 4 * (root->depth - 1);
    c[0] = route | (uint32_t)d->speed << 20 | 1u << 27;
    c[1] = root->port << 16;
    c[2] = d->tt ? slot_id(d->tt) | d->tt_port << 8 : 0;
}

/* A fresh input context that changes what `add` and `drop` say; the slot's
 * part is what the controller has. */
static void start_input(struct xhci *x, const struct xhci_slot *s,
                        uint32_t drop, uint32_t add)
{
    volatile uint32_t *c = context(x, x->input, 0);
    volatile uint32_t *slot = context(x, x->input, 1);
    volatile uint32_t *is = context(x, s->context, 0);

    memset(x->input.bytes, 0, PAGE_SIZE);
    c[0] = drop;
    c[1] = add;
    for (unsigned i = 0; i < 3; i++)
        slot[i] = is[i];
}

static int slot_command(struct xhci *x, unsigned type, unsigned slot)
{
    return xhci_command(x, x->input.phys,
                        type << TRB_TYPE_SHIFT | slot << TRB_SLOT_SHIFT);
}

static unsigned endpoint_id(const struct usb_endpoint *e)
{
    return (e->address & 15u) * 2 + (e->address & USB_IN ? 1 : 0);
}

static void fill_interface_endpoint(struct xhci *x, const struct usb_device *d,
                                    const struct usb_endpoint *e)
{
    const struct xhci_pipe *p = e->pipe;
    unsigned type = e->type + (e->address & USB_IN ? 4 : 0);

    fill_endpoint(context(x, x->input, p->id + 1u), p, type, e->max_packet,
                  e->burst, e->type == USB_INTERRUPT ? interval(d, e) : 0);
}

/* --- the interface to the core --- */

static void close(struct usb_device *d)
{
    struct xhci *x = xhci_of(d);
    struct xhci_slot *s = d->slot;
    unsigned id = slot_id(d);

    if (!s)
        return;
    d->slot = NULL;
    if (!x->dead)
        slot_command(x, TRB_DISABLE_SLOT, id);
    for (unsigned i = 0; i < XHCI_ENDPOINTS; i++)
        free_pipe(s, i);
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < USB_ENDPOINTS; k++)
            d->interfaces[i].endpoints[k].pipe = NULL;
    x->contexts[id] = 0;
    usb_page_free(s->context);
    s->device = NULL;
}

static int new_slot(struct xhci *x, struct usb_device *d)
{
    int error = xhci_command(x, 0, TRB_ENABLE_SLOT << TRB_TYPE_SHIFT);
    struct xhci_slot *s;
    unsigned id = x->command_slot;

    if (error || !id || id > x->slot_count)
        return error ? error : -EIO;
    s = &x->slots[id];
    *s = (struct xhci_slot){ .device = d, .context = usb_page() };
    if (!s->context.bytes || !new_pipe(s, id, 1)) {
        usb_page_free(s->context);
        slot_command(x, TRB_DISABLE_SLOT, id);
        return -ENOMEM;
    }
    d->slot = s;
    x->contexts[id] = s->context.phys;
    return 0;
}

static int open(struct usb_device *d)
{
    struct xhci *x = xhci_of(d);
    struct xhci_slot *s;
    int error = new_slot(x, d);

    if (error)
        return error;
    s = d->slot;
    start_input(x, s, 0, 3);
    fill_slot(context(x, x->input, 1), d);
    fill_endpoint(context(x, x->input, 2), s->pipes[1], EP_CONTROL,
                  d->max_packet, 0, 0);
    error = slot_command(x, TRB_ADDRESS_DEVICE, slot_id(d));
    if (error)
        close(d);
    return error;
}

static int set_max_packet(struct usb_device *d)
{
    struct xhci *x = xhci_of(d);
    struct xhci_slot *s = d->slot;

    start_input(x, s, 0, 2);
    fill_endpoint(context(x, x->input, 2), s->pipes[1], EP_CONTROL,
                  d->max_packet, 0, 0);
    return slot_command(x, TRB_EVALUATE_CONTEXT, slot_id(d));
}

static int open_endpoint(struct xhci_slot *s, unsigned slot,
                         struct usb_endpoint *e)
{
    struct xhci_pipe *p = new_pipe(s, slot, endpoint_id(e));

    if (!p)
        return -ENOMEM;
    e->pipe = p;
    return 0;
}

static int configure(struct usb_device *d)
{
    struct xhci *x = xhci_of(d);
    struct xhci_slot *s = d->slot;
    uint32_t add = 1;
    unsigned last = 1;

    start_input(x, s, 0, 0);
    for (unsigned i = 0; i < d->interface_count; i++) {
        struct usb_interface *in = &d->interfaces[i];

        for (unsigned k = 0; in->driver && k < in->endpoint_count; k++) {
            unsigned id = endpoint_id(&in->endpoints[k]);
            int error = open_endpoint(s, slot_id(d), &in->endpoints[k]);

            if (error)
                return error;
            fill_interface_endpoint(x, d, &in->endpoints[k]);
            add |= 1u << id;
            last = id > last ? id : last;
        }
    }
    context(x, x->input, 0)[1] = add;
    context(x, x->input, 1)[0] =
        (context(x, x->input, 1)[0] & 0x07ffffff) | (uint32_t)last << 27;
    return slot_command(x, TRB_CONFIGURE_ENDPOINT, slot_id(d));
}

static int set_hub(struct usb_device *d, unsigned ports, unsigned think_time)
{
    struct xhci *x = xhci_of(d);
    volatile uint32_t *slot = context(x, x->input, 1);

    start_input(x, d->slot, 0, 1);
    slot[0] |= SLOT_HUB;
    slot[1] |= ports << 24;
    if (d->speed == USB_HIGH)
        slot[2] |= think_time << 16;
    return slot_command(x, TRB_CONFIGURE_ENDPOINT, slot_id(d));
}

/* Dropped and added again, an endpoint starts anew, its toggle too: 4.6.6. */
static int reset_pipe(struct usb_device *d, struct usb_endpoint *e)
{
    struct xhci *x = xhci_of(d);
    struct xhci_pipe *p = e->pipe;
    int error = quiet(x, p);

    if (error)
        return error;
    start_input(x, d->slot, 1u << p->id, 1 | 1u << p->id);
    fill_interface_endpoint(x, d, e);
    return slot_command(x, TRB_CONFIGURE_ENDPOINT, slot_id(d));
}

const struct usb_controller_ops xhci_ops = {
    .open = open, .close = close, .set_max_packet = set_max_packet,
    .configure = configure, .set_hub = set_hub, .control = control,
    .bulk = bulk, .listen = listen, .reset_pipe = reset_pipe,
};
