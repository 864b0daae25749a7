/*
 * ehci_pipe.c - queue heads and transfers.
 *
 * Source: EHCI 1.0, sections 3.5 and 3.6 (structures), 4.8 (asynchronous
 * list), 4.10 (queues), 4.12 (split transactions).
 * QEMU: -device usb-ehci, -device ich9-usb-ehci1
 *
 * The asynchronous list is a ring of queue heads behind heads[0]. The
 * periodic one is a chain: every eighth frame begins at heads[1], behind
 * which are the endpoints that want service every 8 ms or less often; the
 * others begin at heads[2], where it goes on with those in a hurry.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/usb/ehci.h"
#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/vmm.h"

enum { ASYNC_HEAD = 0, SLOW_HEAD = 1, FAST_HEAD = 2, HEAD_BYTES = 128 };
enum { FRAMES = 1024, SLOW_FRAMES = 8 };
enum { PACKET_MOST = 512 };
enum { LINK_END = 1, LINK_QH = 2 };
enum { /* token of a TD */
    TOKEN_ACTIVE = 1 << 7, TOKEN_HALTED = 1 << 6, TOKEN_BUFFER = 1 << 5,
    TOKEN_BABBLE = 1 << 4, TOKEN_TRANSACTION = 1 << 3, TOKEN_OUT = 0,
    TOKEN_IN = 1 << 8, TOKEN_SETUP = 2 << 8, TOKEN_ERRORS = 3 << 10,
    TOKEN_INTERRUPT = 1 << 15, TOKEN_BYTES = 16,
};
#define TOKEN_TOGGLE (1u << 31)
enum { /* a queue head's endpoint and capabilities */
    QH_TOGGLE_IN_TD = 1 << 14, QH_HEAD = 1 << 15, QH_CONTROL = 1 << 27,
    QH_START = 1, QH_COMPLETE = 0x1c00, QH_MULT = 30,
};

struct ehci_device {
    uint8_t address; /* 0: not in use */
    struct ehci_pipe *control;
};

static struct ehci_device devices[USB_DEVICES];

static struct ehci *ehci_of(const struct usb_device *d)
{
    return (struct ehci *)d->parent->controller;
}

static unsigned address_of(const struct usb_device *d)
{
    return d->slot ? ((const struct ehci_device *)d->slot)->address : 0;
}

static void barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* --- the two lists --- */

static volatile struct ehci_qh *head(const struct ehci *x, unsigned n)
{
    return (volatile struct ehci_qh *)((char *)x->heads.bytes +
                                       n * HEAD_BYTES);
}

static uint32_t head_link(const struct ehci *x, unsigned n)
{
    return (uint32_t)(x->heads.phys + n * HEAD_BYTES) | LINK_QH;
}

static uint32_t pipe_link(const struct ehci_pipe *p)
{
    return (uint32_t)p->page.phys | LINK_QH;
}

int ehci_lists(struct ehci *x)
{
    uint32_t *frames;

    x->frames = usb_page();
    x->heads = usb_page();
    x->bounce = usb_page();
    if (!x->frames.bytes || !x->heads.bytes || !x->bounce.bytes)
        return -ENOMEM;
    for (unsigned n = 0; n <= FAST_HEAD; n++) {
        head(x, n)->overlay.next = head(x, n)->overlay.alternate = LINK_END;
        head(x, n)->overlay.token = TOKEN_HALTED;
    }
    head(x, ASYNC_HEAD)->next = head_link(x, ASYNC_HEAD);
    head(x, ASYNC_HEAD)->endpoint = QH_HEAD;
    head(x, SLOW_HEAD)->next = head_link(x, FAST_HEAD);
    head(x, FAST_HEAD)->next = LINK_END;
    frames = x->frames.bytes;
    for (unsigned f = 0; f < FRAMES; f++)
        frames[f] = head_link(x, f % SLOW_FRAMES ? FAST_HEAD : SLOW_HEAD);
    return 0;
}

static void link_pipe(struct ehci *x, struct ehci_pipe *p, unsigned behind)
{
    volatile struct ehci_qh *h = head(x, behind);

    p->memory->qh.next = h->next;
    barrier();
    h->next = pipe_link(p);
}

/* The queue head that links to `p`; NULL: none does. */
static volatile struct ehci_qh *before(struct ehci *x,
                                       const struct ehci_pipe *p)
{
    for (unsigned n = 0; n <= FAST_HEAD; n++)
        if (head(x, n)->next == pipe_link(p))
            return head(x, n);
    for (unsigned i = 0; i < EHCI_PIPES; i++)
        if (x->pipes[i].used && &x->pipes[i] != p &&
            x->pipes[i].memory->qh.next == pipe_link(p))
            return &x->pipes[i].memory->qh;
    return NULL;
}

/* After this the controller looks at the pipe no more: by a doorbell in one
 * list (4.8.2), by waiting two frames in the other. */
static void unlink_pipe(struct ehci *x, struct ehci_pipe *p)
{
    volatile struct ehci_qh *b = before(x, p);
    volatile uint32_t *op = x->operational;

    if (!b)
        return;
    b->next = p->memory->qh.next;
    barrier();
    if (x->dead)
        return;
    if (p->periodic) {
        clock_delay(2000);
        return;
    }
    op[EHCI_STS] = STS_ADVANCED;
    op[EHCI_CMD] |= CMD_DOORBELL;
    if (usb_wait_bits(op + EHCI_STS, STS_ADVANCED, STS_ADVANCED, 100000))
        ehci_alive(x);
    op[EHCI_STS] = STS_ADVANCED;
}

/* --- pipes --- */

static void fill_qh(struct ehci_pipe *p, const struct usb_device *d,
                    unsigned number, unsigned max_packet, unsigned burst)
{
    volatile struct ehci_qh *q = &p->memory->qh;
    unsigned speed = d->speed == USB_HIGH ? 2 : d->speed == USB_LOW ? 1 : 0;

    q->endpoint = address_of(d) | number << 8 | speed << 12 |
                  max_packet << 16;
    q->capabilities = (burst + 1u) << QH_MULT;
    if (!number)
        q->endpoint |= QH_TOGGLE_IN_TD;
    if (d->speed != USB_HIGH) {
        if (!number)
            q->endpoint |= QH_CONTROL;
        if (d->tt)
            q->capabilities |= address_of(d->tt) << 16 | d->tt_port << 23;
    }
    if (p->periodic)
        q->capabilities |= QH_START | (speed == 2 ? 0 : QH_COMPLETE);
}

static void empty_queue(struct ehci_pipe *p)
{
    volatile struct ehci_qh *q = &p->memory->qh;

    q->current = 0;
    q->overlay.next = q->overlay.alternate = LINK_END;
    q->overlay.token = 0;
    p->count = 0;
}

static struct ehci_pipe *new_pipe(struct ehci *x, bool periodic)
{
    for (unsigned i = 0; i < EHCI_PIPES; i++) {
        struct ehci_pipe *p = &x->pipes[i];

        if (p->used)
            continue;
        *p = (struct ehci_pipe){ .periodic = periodic, .page = usb_page() };
        if (!p->page.bytes)
            return NULL;
        p->memory = p->page.bytes;
        p->used = true;
        empty_queue(p);
        return p;
    }
    return NULL;
}

static void free_pipe(struct ehci *x, struct ehci_pipe *p)
{
    bool on;

    if (!p)
        return;
    unlink_pipe(x, p);
    on = irq_save();
    p->hear = NULL;
    p->used = false;
    irq_restore(on);
    usb_page_free(p->page);
}

/* --- transfers --- */

static uint32_t td_link(const struct ehci_pipe *p, unsigned n)
{
    return (uint32_t)(p->page.phys + offsetof(struct ehci_pipe_memory, tds) +
                      n * sizeof(struct ehci_td));
}

/* TD `n` of a transfer, followed by n + 1; a short packet goes on at `alt`.
 * The buffer ends in the page where it begins. */
static void fill_td(struct ehci_pipe *p, unsigned n, unsigned alt,
                    uint64_t buffer, uint32_t bytes, uint32_t token)
{
    volatile struct ehci_td *t = &p->memory->tds[n];

    t->next = td_link(p, n + 1);
    t->alternate = td_link(p, alt);
    for (unsigned i = 0; i < TD_PAGES; i++)
        t->buffer[i] = t->high[i] = 0; /* everything is below 4 GiB */
    t->buffer[0] = (uint32_t)buffer;
    t->token = token | bytes << TOKEN_BYTES | TOKEN_ERRORS | TOKEN_ACTIVE;
}

/* The queue is idle, but may still point at TDs of the last transfer that
 * were passed over: it forgets these before they are filled anew. */
static void begin(struct ehci_pipe *p)
{
    volatile struct ehci_qh *q = &p->memory->qh;

    q->overlay.next = q->overlay.alternate = LINK_END;
    barrier();
    q->overlay.token &= TOKEN_TOGGLE;
    barrier();
}

/* Hands over TDs 0 to count - 1. */
static void start(struct ehci_pipe *p, unsigned count)
{
    p->memory->tds[count - 1].next = LINK_END;
    p->memory->tds[count - 1].token |= TOKEN_INTERRUPT;
    p->count = count;
    barrier();
    p->memory->qh.overlay.next = td_link(p, 0);
    barrier();
}

static int token_error(uint32_t token)
{
    if (token & TOKEN_BABBLE)
        return -EOVERFLOW;
    return token & (TOKEN_BUFFER | TOKEN_TRANSACTION) ? -EIO : -EPIPE;
}

/* Bytes that TD n was to move and has not. */
static uint32_t bytes_left(const struct ehci_pipe *p, unsigned n)
{
    const volatile struct ehci_td *t = &p->memory->tds[n];

    return t->token >> TOKEN_BYTES & 0x7fff;
}

/* 1: under way; 0: over; else a negative errno. A TD that stays active
 * behind one that came up short was passed over: `alternate` led elsewhere,
 * for a control transfer to its last TD. */
static int progress(const struct ehci_pipe *p)
{
    for (unsigned n = 0; n < p->count; n++) {
        const volatile struct ehci_td *t = &p->memory->tds[n];
        uint32_t token = t->token;

        if (token & TOKEN_HALTED)
            return token_error(token);
        if (token & TOKEN_ACTIVE)
            return 1;
        if ((token & TOKEN_IN) && bytes_left(p, n)) {
            if (t->alternate == td_link(p, EHCI_TDS))
                return 0;
            n = p->count - 2; /* the loop goes on with the last one */
        }
    }
    return 0;
}

struct transfer {
    struct ehci *x;
    struct ehci_pipe *pipe;
    const struct usb_device *device;
};

static bool transfer_over(void *arg)
{
    const struct transfer *t = arg;

    return progress(t->pipe) != 1 || t->x->dead || usb_gone(t->device);
}

/* QEMU looks at the lists once a millisecond, and whenever it is told to
 * interrupt for frames (hw/usb/hcd-ehci.c, ehci_opreg_write); controllers of
 * metal look all the time. */
static void wake(struct ehci *x)
{
    x->operational[EHCI_INTR] = STS_INTERRUPTS;
}

/* Waits for the end. After an error the queue is empty, its toggle kept for
 * whoever clears the halt. */
static int finish(struct usb_device *d, struct ehci_pipe *p, uint64_t usecs)
{
    struct ehci *x = ehci_of(d);
    struct transfer t = { x, p, d };
    int result;

    wake(x);
    /* The interrupt waits for the next microframe or two, the TDs tell it
     * before that. No pauses meanwhile: where the processor is emulated,
     * each takes the lock that the controller works under. */
    if (!irq_watch(transfer_over, &t))
        irq_wait(transfer_over, &t, usecs);
    if (x->dead)
        return -ENODEV;
    result = progress(p);
    if (result == 1) {
        if (!ehci_alive(x))
            return -ENODEV;
        result = usb_gone(d) ? -ENODEV : -ETIMEDOUT;
    }
    if (result) {
        unlink_pipe(x, p);
        empty_queue(p);
        link_pipe(x, p, ASYNC_HEAD);
    }
    return result;
}

/* Setup has toggle 0, data and status begin with 1 (USB 2.0, 8.5.3). */
static int control(struct usb_device *d, const struct usb_setup *s, void *data)
{
    struct ehci *x = ehci_of(d);
    struct ehci_pipe *p = ((struct ehci_device *)d->slot)->control;
    uint64_t setup = p->page.phys + offsetof(struct ehci_pipe_memory, setup);
    bool in = s->request_type & USB_IN;
    unsigned n = 0, last = s->length ? 2 : 1;
    uint32_t moved;
    int error;

    begin(p);
    p->memory->setup = *s;
    if (s->length && !in)
        memcpy(x->bounce.bytes, data, s->length);
    fill_td(p, n++, EHCI_TDS, setup, sizeof *s, TOKEN_SETUP);
    if (s->length)
        fill_td(p, n++, last, x->bounce.phys, s->length,
                (in ? TOKEN_IN : TOKEN_OUT) | TOKEN_TOGGLE);
    fill_td(p, n++, EHCI_TDS, 0, 0,
            (in && s->length ? TOKEN_OUT : TOKEN_IN) | TOKEN_TOGGLE);
    start(p, n);
    error = finish(d, p, USB_CONTROL_USECS);
    if (error)
        return error;
    moved = s->length ? s->length - bytes_left(p, 1) : 0;
    if (in && moved)
        memcpy(data, x->bounce.bytes, moved);
    return (int)moved;
}

/* The pages of a transfer; what the first begins with is in its address.
 * Their number, or 0: too many. */
static unsigned list_pages(uint32_t *pages, const struct block_piece *pieces,
                           unsigned count)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t at = pieces[i].phys, end = at + pieces[i].bytes;

        do {
            if (n == EHCI_PAGES)
                return 0;
            pages[n++] = (uint32_t)at;
            at = (at / PAGE_SIZE + 1) * PAGE_SIZE;
        } while (at < end);
    }
    return n;
}

/* TD `n` begins `at` bytes behind the beginning of the first page. Those that
 * others follow end with a packet: powers of two (USB 2.0, 5.8.3). */
static uint32_t fill_bulk_td(struct ehci_pipe *p, unsigned n, uint32_t at,
                             uint32_t left, const uint32_t *pages,
                             uint32_t token)
{
    unsigned page = at / PAGE_SIZE, offset = at % PAGE_SIZE;
    uint32_t bytes = (TD_PAGES * PAGE_SIZE - offset) / PACKET_MOST *
                     PACKET_MOST;
    volatile struct ehci_td *t = &p->memory->tds[n];

    bytes = left < bytes ? left : bytes;
    fill_td(p, n, EHCI_TDS, (pages[page] & -(uint32_t)PAGE_SIZE) + offset,
            bytes, token);
    for (unsigned i = 1; i * PAGE_SIZE < offset + bytes; i++)
        t->buffer[i] = pages[page + i];
    return bytes;
}

static int bulk(struct usb_device *d, struct usb_endpoint *e,
                const struct block_piece *pieces, unsigned count,
                uint64_t usecs)
{
    struct ehci_pipe *p = e->pipe;
    uint32_t token = e->address & USB_IN ? TOKEN_IN : TOKEN_OUT, left = 0;
    uint32_t pages[EHCI_PAGES], bytes = block_bytes(pieces, count), done = 0;
    unsigned n = 0;
    int error;

    if (!list_pages(pages, pieces, count))
        return -EINVAL;
    begin(p);
    do {
        done += fill_bulk_td(p, n++, pages[0] % PAGE_SIZE + done,
                             bytes - done, pages, token);
    } while (done < bytes);
    start(p, n);
    error = finish(d, p, usecs);
    if (error)
        return error;
    while (n--)
        left += bytes_left(p, n);
    return (int)(bytes - left);
}

/* --- interrupt endpoints --- */

static void queue_listening(struct ehci_pipe *p)
{
    begin(p);
    fill_td(p, 0, EHCI_TDS, p->buffer, p->length, TOKEN_IN);
    start(p, 1);
}

static int listen(struct usb_device *d, struct usb_endpoint *e,
                  const struct usb_memory *m, uint32_t bytes, usb_hear hear,
                  void *arg)
{
    struct ehci_pipe *p = e->pipe;
    bool on = irq_save();

    p->arg = arg;
    p->buffer = m->phys;
    p->length = bytes;
    p->hear = hear;
    queue_listening(p);
    irq_restore(on);
    return 0;
}

void ehci_poll(struct ehci *x)
{
    for (unsigned i = 0; i < EHCI_PIPES; i++) {
        struct ehci_pipe *p = &x->pipes[i];
        usb_hear hear = p->hear;
        int result;

        if (!p->used || !hear || (result = progress(p)) == 1)
            continue;
        if (result)
            p->hear = NULL;
        else
            result = (int)(p->length - bytes_left(p, 0));
        hear(p->arg, result);
        if (result >= 0)
            queue_listening(p);
    }
}

/* --- the interface to the core --- */

static int take_address(struct ehci *x)
{
    for (int a = 1; a < EHCI_ADDRESSES; a++)
        if (!x->addresses[a]) {
            x->addresses[a] = true;
            return a;
        }
    return -ENOSPC;
}

static void close(struct usb_device *d)
{
    struct ehci *x = ehci_of(d);
    struct ehci_device *s = d->slot;

    if (!s)
        return;
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < USB_ENDPOINTS; k++) {
            free_pipe(x, d->interfaces[i].endpoints[k].pipe);
            d->interfaces[i].endpoints[k].pipe = NULL;
        }
    free_pipe(x, s->control);
    x->addresses[s->address] = false;
    s->control = NULL;
    d->slot = NULL;
}

/* SET_ADDRESS goes to address 0; the device then has 2 ms (USB 2.0,
 * 9.2.6.3), which the core leaves it. */
static int set_address(struct usb_device *d, struct ehci_device *s)
{
    struct usb_setup setup = { 0, USB_SET_ADDRESS, s->address, 0, 0 };
    unsigned address = s->address;
    int error;

    s->address = 0;
    fill_qh(s->control, d, 0, d->max_packet, 0);
    link_pipe(ehci_of(d), s->control, ASYNC_HEAD);
    error = control(d, &setup, NULL);
    s->address = (uint8_t)address;
    fill_qh(s->control, d, 0, d->max_packet, 0);
    return error;
}

static int open(struct usb_device *d)
{
    struct ehci *x = ehci_of(d);
    int address = take_address(x), error;
    struct ehci_device *s = devices;

    if (address < 0)
        return address;
    while (s < devices + USB_DEVICES && s->control)
        s++;
    if (s < devices + USB_DEVICES)
        s->control = new_pipe(x, false);
    if (s == devices + USB_DEVICES || !s->control) {
        x->addresses[address] = false;
        return -ENOMEM;
    }
    s->address = (uint8_t)address;
    d->slot = s;
    error = set_address(d, s);
    if (error)
        close(d);
    return error;
}

/* The controller reads a queue head anew at every visit. */
static int set_max_packet(struct usb_device *d)
{
    fill_qh(((struct ehci_device *)d->slot)->control, d, 0, d->max_packet, 0);
    return 0;
}

static bool in_a_hurry(const struct usb_device *d,
                       const struct usb_endpoint *e)
{
    return d->speed == USB_HIGH ? e->interval < 7 : e->interval < 8;
}

static int open_endpoint(struct usb_device *d, struct usb_endpoint *e)
{
    struct ehci *x = ehci_of(d);
    bool periodic = e->type == USB_INTERRUPT;
    struct ehci_pipe *p = new_pipe(x, periodic);

    if (!p)
        return -ENOMEM;
    e->pipe = p;
    fill_qh(p, d, e->address & 15, e->max_packet, e->burst);
    link_pipe(x, p, !periodic ? ASYNC_HEAD
                    : in_a_hurry(d, e) ? FAST_HEAD : SLOW_HEAD);
    return 0;
}

static int configure(struct usb_device *d)
{
    for (unsigned i = 0; i < d->interface_count; i++) {
        struct usb_interface *in = &d->interfaces[i];

        for (unsigned k = 0; in->driver && k < in->endpoint_count; k++) {
            int error = open_endpoint(d, &in->endpoints[k]);

            if (error)
                return error;
        }
    }
    return 0;
}

/* All that is needed of a hub is in its devices' queue heads. */
static int set_hub(struct usb_device *d, unsigned ports, unsigned think_time)
{
    return 0;
}

static int reset_pipe(struct usb_device *d, struct usb_endpoint *e)
{
    struct ehci *x = ehci_of(d);
    struct ehci_pipe *p = e->pipe;
    bool on;

    unlink_pipe(x, p);
    on = irq_save();
    p->hear = NULL;
    irq_restore(on);
    empty_queue(p);
    link_pipe(x, p, !p->periodic ? ASYNC_HEAD
                    : in_a_hurry(d, e) ? FAST_HEAD : SLOW_HEAD);
    return 0;
}

const struct usb_controller_ops ehci_ops = {
    .open = open, .close = close, .set_max_packet = set_max_packet,
    .configure = configure, .set_hub = set_hub, .control = control,
    .bulk = bulk, .listen = listen, .reset_pipe = reset_pipe,
};
