/*
 * test_xhci.c - the xHCI driver against a controller made of software: with
 * 64-byte contexts, scratchpads and a firmware to take it from, which QEMU's
 * has not; with devices that stall, hang and vanish; and one that dies.
 */
#include "tests/unit/pci_fake.h"
#include "tests/unit/usb_fake.h"

#include <cmocka.h>

#include "drivers/scsi.h"
#include "drivers/usb/xhci.h"

/* --- the controller: xHCI 1.2, section numbers as there --- */

enum {
    CAPS = 0, OP = 0x40, PORTS = OP + 0x400, EXT = 0x800, DOORBELLS = 0x1000,
    RUNTIME = 0x2000, SPACE = 0x4000, PORT_COUNT = 4, SLOT_COUNT = 8,
    SCRATCHPADS = 5, NOT_RUNG = 0x7fffffff, CONTEXT = 64,
};
enum { /* PORTSC */
    P_CONNECTED = 1, P_ENABLED = 2, P_RESET = 16, P_POWER = 1 << 9,
    P_CONNECT_CHANGE = 1 << 17, P_RESET_CHANGE = 1 << 21,
    P_CHANGES = 0x7f << 17, P_LINK = 15 << 5, P_LINK_WRITE = 1 << 16,
};

static struct {
    _Alignas(64) uint32_t regs[SPACE / 4];
    uint32_t ports[PORT_COUNT]; /* what they are really like */
    bool working, stubborn, deaf;
    uint64_t command_at;
    uint32_t command_cycle;
    uint64_t event_at;
    uint32_t event_cycle;
    bool slots[SLOT_COUNT + 1];
    struct fake_device *devices[SLOT_COUNT + 1];
    struct { uint64_t at; uint32_t cycle; } rings[SLOT_COUNT + 1][32];
    unsigned stops, endpoint_resets, resumes, configures;
    bool said; /* the interrupt endpoint has something */
    uint8_t speech[64];
    unsigned speech_bytes;
} hc;

static uint32_t *reg(unsigned at) { return &hc.regs[at / 4]; }

static uint64_t reg64(unsigned at)
{
    return *reg(at) | (uint64_t)*reg(at + 4) << 32;
}

static void *memory(uint64_t phys) { return fake_memory(phys); }

static uint64_t address_of(const void *p)
{
    return FAKE_DMA + (uint64_t)((const uint8_t *)p - fake_dma);
}

/* Device context of a slot: 6.2.1; entry 0 is the slot's own. */
static uint32_t *device_context(unsigned slot, unsigned entry)
{
    const uint64_t *array = memory(reg64(OP + 0x30));

    return memory(array[slot] + entry * CONTEXT);
}

static void post_event(uint64_t parameter, uint32_t status, uint32_t control)
{
    const uint64_t *segment = memory(reg64(RUNTIME + 0x30));
    struct xhci_trb *ring = memory(segment[0]);
    struct xhci_trb *t = &ring[hc.event_at++];

    *t = (struct xhci_trb){ parameter, status, control | hc.event_cycle };
    if (hc.event_at == segment[1]) {
        hc.event_at = 0;
        hc.event_cycle ^= 1;
    }
}

static void interrupt_driver(void)
{
    if (*reg(OP) & 4)
        fake_pci_interrupt();
}

/* --- its ports --- */

static void show_port(unsigned n) { *reg(PORTS + n * 16) = hc.ports[n]; }

static void serve_port(unsigned n)
{
    uint32_t was = hc.ports[n], written = *reg(PORTS + n * 16);

    if (written == was)
        return;
    was &= ~(written & P_CHANGES);
    if (written & P_ENABLED)
        was &= ~(uint32_t)P_ENABLED; /* writing 1 disables */
    if ((written & P_LINK_WRITE) && (written & P_LINK) == 0) {
        was &= ~(uint32_t)P_LINK;
        hc.resumes++;
    }
    if ((written & P_RESET) && (was & P_CONNECTED))
        was |= P_ENABLED | P_RESET_CHANGE;
    hc.ports[n] = was;
    show_port(n);
}

static void plug_at(unsigned n, struct fake_device *f)
{
    fake_log[0] = 0;
    plugged = f;
    hc.ports[n] = P_POWER | P_CONNECT_CHANGE |
                  (f ? P_CONNECTED | (uint32_t)f->speed << 10 : 0);
    show_port(n);
    post_event((uint64_t)(n + 1) << 24, 1u << 24, TRB_PORT_EVENT << 10);
    interrupt_driver();
}

static void plug(struct fake_device *f)
{
    plug_at(0, f);
    fake_settle();
}

/* --- its commands --- */

static unsigned set_endpoint_state(unsigned slot, unsigned id, unsigned state)
{
    uint32_t *c = device_context(slot, id);
    unsigned was = c[0] & 7;

    c[0] = (c[0] & ~7u) | state;
    return was;
}

static void take_endpoint(unsigned slot, unsigned id, const uint32_t *input)
{
    memcpy(device_context(slot, id), input, CONTEXT);
    set_endpoint_state(slot, id, 1);
    hc.rings[slot][id].at = (input[2] & ~15u) | (uint64_t)input[3] << 32;
    hc.rings[slot][id].cycle = input[2] & 1;
}

/* --- a hub, and what hangs on it --- */

enum { HUB_PORTS = 4 };

static struct fake_hub {
    struct fake_device device; /* first */
    struct fake_device *children[HUB_PORTS + 1];
    uint16_t status[HUB_PORTS + 1], change[HUB_PORTS + 1];
    int depth;
} hub;

static void hub_feature(struct fake_hub *h, unsigned port, unsigned feature)
{
    struct fake_device *child = h->children[port];

    if (feature == 8 && child) { /* power: now it shows */
        h->status[port] |= 1 | (child->speed == USB_LOW ? 1 << 9 : 0);
        h->change[port] |= 1;
    } else if (feature == 4 && child) { /* reset */
        h->status[port] |= 2;
        h->change[port] |= 16;
    }
}

static int hub_control(struct fake_device *f, const struct usb_setup *s,
                       void *data)
{
    struct fake_hub *h = (struct fake_hub *)f;
    uint8_t *b = data;
    unsigned port = s->index;

    if (s->request_type == 0xa0 && s->request == 6) { /* descriptor */
        memcpy(b, (uint8_t[12]){ 9, s->value >> 8, HUB_PORTS, 0x40, 0, 1 },
               s->length < 12 ? s->length : 12);
        return s->length < 12 ? s->length : 12;
    }
    if (s->request_type == 0x20 && s->request == 12) {
        h->depth = s->value;
        return 0;
    }
    if (!port || port > HUB_PORTS)
        return -EPIPE;
    if (s->request_type == 0xa3) {
        memcpy(b, &h->status[port], 2);
        memcpy(b + 2, &h->change[port], 2);
        return 4;
    }
    if (s->request == 3)
        hub_feature(h, port, s->value);
    else
        h->change[port] &= ~(1u << (s->value - 16));
    return 0;
}

/* Who answers behind the root port and the ports of a route string. */
static struct fake_device *device_at(uint32_t route)
{
    return route ? hub.children[route & 15] : plugged;
}

static unsigned context_command(unsigned type, unsigned slot,
                                const uint32_t *input)
{
    const uint32_t *slot_context = input + CONTEXT / 4;

    if (type == TRB_ADDRESS_DEVICE) {
        unsigned port = slot_context[1] >> 16 & 0xff;

        if (input[1] != 3 || !port || !(hc.ports[port - 1] & P_ENABLED))
            return 4;
        hc.devices[slot] = device_at(slot_context[0] & 0xfffff);
        memcpy(device_context(slot, 0), slot_context, CONTEXT);
        take_endpoint(slot, 1, input + 2 * CONTEXT / 4);
        return 1;
    }
    if (type == TRB_CONFIGURE_ENDPOINT) {
        hc.configures++;
        memcpy(device_context(slot, 0), slot_context, 12);
    }
    for (unsigned id = 1; id < 32; id++) {
        if (type == TRB_CONFIGURE_ENDPOINT && (input[0] >> id & 1))
            set_endpoint_state(slot, id, 0);
        if (type == TRB_CONFIGURE_ENDPOINT && (input[1] >> id & 1))
            take_endpoint(slot, id, input + (id + 1) * CONTEXT / 4);
    }
    return 1;
}

static unsigned endpoint_command(unsigned type, unsigned slot, unsigned id,
                                 uint64_t parameter)
{
    unsigned state = device_context(slot, id)[0] & 7;

    switch (type) {
    case TRB_RESET_ENDPOINT:
        hc.endpoint_resets++;
        return state == 2 ? set_endpoint_state(slot, id, 3), 1 : 19;
    case TRB_STOP_ENDPOINT:
        hc.stops++;
        return state == 1 ? set_endpoint_state(slot, id, 3), 1 : 19;
    default:
        if (state != 3)
            return 19;
        hc.rings[slot][id].at = parameter & ~15ull;
        hc.rings[slot][id].cycle = parameter & 1;
        return 1;
    }
}

static unsigned enable_slot(void)
{
    unsigned slot = 1;

    while (slot <= SLOT_COUNT && hc.slots[slot])
        slot++;
    if (slot <= SLOT_COUNT)
        hc.slots[slot] = true;
    return slot;
}

static void run_command(const struct xhci_trb *t, uint64_t at)
{
    unsigned type = t->control >> 10 & 63, slot = t->control >> 24, code = 1;

    if (type == TRB_ENABLE_SLOT)
        slot = enable_slot();
    else if (type == TRB_DISABLE_SLOT)
        hc.slots[slot] = false;
    else if (type >= TRB_RESET_ENDPOINT && type <= TRB_SET_DEQUEUE)
        code = endpoint_command(type, slot, t->control >> 16 & 31,
                                t->parameter);
    else
        code = context_command(type, slot, memory(t->parameter));
    post_event(at, code << 24, TRB_COMMAND_EVENT << 10 | slot << 24);
}

/* The TRB at *at if it is handed over, links followed; NULL: none. */
static struct xhci_trb *next_trb(uint64_t *at, uint32_t *cycle)
{
    struct xhci_trb *t = memory(*at);

    if ((t->control & 1) != *cycle)
        return NULL;
    if ((t->control >> 10 & 63) == TRB_LINK) {
        if (t->control & TRB_TOGGLE)
            *cycle ^= 1;
        *at = t->parameter;
        return next_trb(at, cycle);
    }
    *at += sizeof *t;
    return t;
}

static void serve_commands(void)
{
    struct xhci_trb *t;

    while ((t = next_trb(&hc.command_at, &hc.command_cycle)) != NULL)
        run_command(t, address_of(t));
}

/* --- its transfers --- */

static unsigned code_of(int result)
{
    return result == -EPIPE ? 6 : result == -EOVERFLOW ? 3 : 4;
}

static void transfer_event(const struct xhci_trb *t, unsigned slot,
                           unsigned id, unsigned code, uint32_t left)
{
    post_event(address_of(t), code << 24 | left,
               TRB_TRANSFER_EVENT << 10 | id << 16 | slot << 24);
}

static void fail_transfer(const struct xhci_trb *t, unsigned slot,
                          unsigned id, int error)
{
    set_endpoint_state(slot, id, 2);
    transfer_event(t, slot, id, code_of(error), 0);
}

static void serve_control(unsigned slot)
{
    uint64_t *at = &hc.rings[slot][1].at;
    uint32_t *cycle = &hc.rings[slot][1].cycle;
    struct xhci_trb *setup = next_trb(at, cycle), *data = NULL, *status;
    struct usb_setup s;
    int result;

    if (!setup)
        return;
    memcpy(&s, &setup->parameter, sizeof s);
    status = next_trb(at, cycle);
    if (s.length) {
        data = status;
        status = next_trb(at, cycle);
    }
    result = fake_answer(hc.devices[slot], &s,
                         data ? memory(data->parameter) : NULL);
    if (result == -ETIMEDOUT)
        return;
    if (result < 0) {
        fail_transfer(data ? data : status, slot, 1, result);
        return;
    }
    if (data && result < s.length)
        transfer_event(data, slot, 1, 13, s.length - (uint32_t)result);
    transfer_event(status, slot, 1, 1, 0);
}

/* One transfer of chained TRBs, gathered, moved, scattered again. */
static void serve_bulk(unsigned slot, unsigned id)
{
    static uint8_t bytes[1 << 20];
    uint64_t *at = &hc.rings[slot][id].at;
    uint32_t *cycle = &hc.rings[slot][id].cycle;
    struct xhci_trb *trbs[RING_TRBS];
    unsigned n = 0;
    uint32_t total = 0, done = 0;
    int result;

    do {
        trbs[n] = next_trb(at, cycle);
        if (!trbs[n])
            return;
        uint32_t size = trbs[n]->status & 0x1ffff;

        /* 6.4.1: a buffer does not cross 64 KiB. */
        assert_true(trbs[n]->parameter % 65536 + size <= 65536);
        if (!(id & 1))
            memcpy(bytes + total,
                   fake_memory_of(trbs[n]->parameter, size), size);
        total += size;
    } while (trbs[n++]->control & TRB_CHAIN);
    result = hc.devices[slot]->bulk(
        hc.devices[slot], (uint8_t)(id / 2 | (id & 1) << 7), bytes, total);
    if (result == -ETIMEDOUT)
        return;
    if (result < 0) {
        fail_transfer(trbs[0], slot, id, result);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t size = trbs[i]->status & 0x1ffff;
        uint32_t part = (uint32_t)result - done < size
                            ? (uint32_t)result - done : size;

        if (id & 1)
            memcpy(fake_memory_of(trbs[i]->parameter, size), bytes + done,
                   part);
        done += part;
        if (part < size || i + 1 == n)
            transfer_event(trbs[i], slot, id, part < size ? 13 : 1,
                           size - part);
        if (part < size)
            break;
    }
}

static void serve_interrupt(unsigned slot, unsigned id)
{
    struct xhci_trb *t;

    if (!hc.said)
        return;
    t = next_trb(&hc.rings[slot][id].at, &hc.rings[slot][id].cycle);
    if (!t)
        return;
    hc.said = false;
    memcpy(memory(t->parameter), hc.speech, hc.speech_bytes);
    transfer_event(t, slot, id, 13, (t->status & 0x1ffff) - hc.speech_bytes);
}

static void serve_endpoint(unsigned slot, unsigned id)
{
    unsigned type = device_context(slot, id)[1] >> 3 & 7;

    if (!plugged || !hc.slots[slot])
        return;
    set_endpoint_state(slot, id, 1);
    if (type == 4)
        serve_control(slot);
    else if (type == 2 || type == 6)
        serve_bulk(slot, id);
    else
        serve_interrupt(slot, id);
}

/* --- it works when the driver looks away --- */

static void serve_operational(void)
{
    static uint32_t crcr;

    if (*reg(OP) & 2) {
        *reg(OP) = 0;
        *reg(OP + 4) = 1;
        hc.event_at = 0;
        hc.event_cycle = 1;
    }
    if (*reg(OP) & 1)
        *reg(OP + 4) &= ~1u;
    else
        *reg(OP + 4) |= 1;
    if (*reg(OP + 0x18) != crcr && !(*reg(OP + 0x18) & 4)) {
        crcr = *reg(OP + 0x18);
        hc.command_at = reg64(OP + 0x18) & ~63ull;
        hc.command_cycle = crcr & 1;
    }
    if (hc.deaf)
        *reg(OP + 0x18) = 8; /* the ring runs on, whatever is written */
    if ((*reg(EXT) & 1 << 24) && !hc.stubborn)
        *reg(EXT) &= ~(1u << 16);
    *reg(RUNTIME + 0x20) &= 2;
}

static void work(void)
{
    if (hc.working || *reg(OP + 4) == UINT32_MAX)
        return;
    hc.working = true;
    serve_operational();
    for (unsigned n = 0; n < PORT_COUNT; n++)
        serve_port(n);
    for (unsigned slot = 0; slot <= SLOT_COUNT && !hc.deaf; slot++) {
        uint32_t rung = *reg(DOORBELLS + slot * 4);

        *reg(DOORBELLS + slot * 4) = NOT_RUNG;
        if (rung != NOT_RUNG && slot == 0)
            serve_commands();
        else if (rung != NOT_RUNG)
            serve_endpoint(slot, rung & 31);
    }
    interrupt_driver();
    hc.working = false;
}

static void build(void)
{
    memset(&hc, 0, sizeof hc);
    fake_pci_reset(hc.regs, sizeof hc.regs);
    *reg(CAPS) = 0x0110u << 16 | OP;
    *reg(CAPS + 4) = (uint32_t)PORT_COUNT << 24 | SLOT_COUNT;
    *reg(CAPS + 8) = (uint32_t)SCRATCHPADS << 27;
    *reg(CAPS + 0x10) = EXT / 4 << 16 | 1 << 2; /* 64-byte contexts */
    *reg(CAPS + 0x14) = DOORBELLS;
    *reg(CAPS + 0x18) = RUNTIME;
    *reg(OP + 4) = 1;
    *reg(OP + 8) = 1;
    *reg(EXT) = 1 | 4 << 8 | 1 << 16; /* the firmware's; next 16 bytes on */
    *reg(EXT + 4) = 0x0000e011;       /* with its interrupts on */
    *reg(EXT + 16) = 2 | 3u << 24;    /* USB 3: ports 3 and 4 */
    *reg(EXT + 24) = 3 | 2 << 8;
    for (unsigned slot = 0; slot <= SLOT_COUNT; slot++)
        *reg(DOORBELLS + slot * 4) = NOT_RUNG;
    for (unsigned n = 0; n < PORT_COUNT; n++) {
        hc.ports[n] = P_POWER;
        show_port(n);
    }
    fake_hardware = work;
}

/* --- the bus that it sits on --- */

static struct pci_device function = { .vendor = 1, .device = 1 };

uint32_t pci_read32(const struct pci_device *d, unsigned at) { return 0; }
void pci_write32(const struct pci_device *d, unsigned at, uint32_t v) {}

/* --- tests --- */

static struct fake_device mouse;
static struct fake_stick stick;

static int probe(void)
{
    fake_log[0] = 0;
    return xhci_driver.probe(&function);
}

static unsigned slot_of(const struct fake_device *f)
{
    for (unsigned slot = 1; slot <= SLOT_COUNT; slot++)
        if (hc.slots[slot] && hc.devices[slot] == f)
            return slot;
    return 0;
}

static void say(struct fake_device *f, const void *bytes, unsigned n)
{
    memcpy(hc.speech, bytes, n);
    hc.speech_bytes = n;
    hc.said = true;
    serve_endpoint(slot_of(f), 3);
    interrupt_driver();
}

static void it_starts_and_gets_what_it_needs(void **state)
{
    const uint64_t *contexts, *scratchpads;

    build();
    assert_int_equal(probe(), 0);
    assert_non_null(strstr(fake_log, "xHCI 1.10, 4 ports"));
    assert_int_equal(*reg(EXT) >> 16 & 1, 0); /* the firmware let go */
    assert_int_equal(*reg(EXT + 4) & 0xe011, 0); /* and gets no SMI */
    contexts = memory(reg64(OP + 0x30));
    scratchpads = memory(contexts[0]);
    assert_non_null(scratchpads);
    for (unsigned i = 0; i < SCRATCHPADS; i++)
        assert_true(scratchpads[i] && scratchpads[i] % 4096 == 0);
    fake_settle();
    assert_false(usb_busy());
}

static void a_mouse_is_heard(void **state)
{
    struct input_event e;

    fake_mouse(&mouse);
    plug(&mouse);
    assert_non_null(strstr(fake_log, "port 1: Test"));
    for (unsigned i = 0; i < 600; i++) { /* more than a ring holds */
        say(&mouse, "\x01\x05\xfb", 3);
        assert_true(input_next(&e));
        assert_int_equal(e.pointer.x, 5);
        assert_int_equal(e.pointer.y, -5);
    }
    plug(NULL);
    assert_true(input_next(&e)); /* the button is let go */
    assert_int_equal(e.pointer.buttons, 0);
}

static void slots_are_given_back(void **state)
{
    for (unsigned i = 0; i < 3 * SLOT_COUNT; i++) {
        plug(&mouse);
        assert_null(strstr(fake_log, "no answer"));
        plug(NULL);
    }
    for (unsigned slot = 1; slot <= SLOT_COUNT; slot++)
        assert_false(hc.slots[slot]);
}

static void a_suspended_port_is_resumed(void **state)
{
    unsigned resumes = hc.resumes;

    fake_log[0] = 0;
    plugged = &mouse;
    hc.ports[0] = P_POWER | P_CONNECT_CHANGE | P_CONNECTED | 3 << 5 |
                  (uint32_t)mouse.speed << 10;
    show_port(0);
    post_event(1u << 24, 1u << 24, TRB_PORT_EVENT << 10);
    interrupt_driver();
    fake_settle();
    assert_int_equal(hc.resumes, resumes + 1);
    assert_non_null(strstr(fake_log, "keyboard or pointer"));
    plug(NULL);
}

static void build_hub(enum usb_speed speed, enum usb_speed child)
{
    memset(&hub, 0, sizeof hub);
    hub.depth = -1;
    fake_set_device(&hub.device, speed);
    FAKE_ADD(&hub.device, 9, 4, 0, 0, 1, 9, 0, 0, 0);
    FAKE_ADD(&hub.device, 7, 5, 0x81, 3, 1, 0, 12);
    hub.device.control = hub_control;
    fake_mouse(&mouse);
    mouse.speed = child;
    if (child >= USB_SUPER)
        mouse.device[7] = 9;
    mouse.on_hub = true;
    hub.children[3] = &mouse;
}

static void a_slow_mouse_behind_a_fast_hub(void **state)
{
    struct input_event e;
    const uint32_t *c;

    build_hub(USB_HIGH, USB_LOW);
    plug(&hub.device);
    assert_non_null(strstr(fake_log, "port 1.3: Test"));
    assert_non_null(strstr(fake_log, "low speed"));
    c = device_context(slot_of(&hub.device), 0);
    assert_int_equal(c[0] >> 26 & 1, 1);          /* a hub */
    assert_int_equal(c[1] >> 24, HUB_PORTS);
    assert_int_equal(c[2] >> 16 & 3, 2);          /* think time */
    c = device_context(slot_of(&mouse), 0);
    assert_int_equal(c[0] & 0xfffff, 3);          /* the route */
    assert_int_equal(c[0] >> 20 & 15, USB_LOW);
    assert_int_equal(c[1] >> 16 & 0xff, 1);       /* root port */
    assert_int_equal(c[2] & 0xffff, slot_of(&hub.device) | 3 << 8);
    say(&mouse, "\x00\x07\x08", 3);
    assert_true(input_next(&e));
    assert_int_equal(e.pointer.x, 7);
    hub.status[3] = 0; /* pulled, and the hub says so */
    hub.change[3] = 1;
    say(&hub.device, "\x08", 1);
    fake_settle();
    assert_int_equal(slot_of(&mouse), 0);
    assert_true(slot_of(&hub.device));
    hub_feature(&hub, 3, 8); /* put back */
    say(&hub.device, "\x08", 1);
    fake_settle();
    assert_true(slot_of(&mouse));
    plug(NULL);
    assert_int_equal(slot_of(&hub.device) + slot_of(&mouse), 0);
}

static void a_superspeed_hub_learns_its_depth(void **state)
{
    const uint32_t *c;

    build_hub(USB_SUPER, USB_SUPER);
    plug_at(2, &hub.device);
    fake_settle();
    assert_int_equal(hub.depth, 0);
    assert_non_null(strstr(fake_log, "port 3.3: Test"));
    c = device_context(slot_of(&mouse), 0);
    assert_int_equal(c[0] & 0xfffff, 3);
    assert_int_equal(c[2] & 0xffff, 0); /* nothing to translate */
    plug_at(2, NULL);
    fake_settle();
    assert_int_equal(slot_of(&hub.device) + slot_of(&mouse), 0);
    fake_mouse(&mouse);
}

static uint8_t out[400 * 512], in[400 * 512];

static void a_stick_moves_long_transfers(void **state)
{
    struct block_device *b;

    fake_stick_init(&stick, 2048, 512, "S1");
    plug(&stick.device);
    b = block_find("usb0");
    assert_non_null(b);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7 >> 4);
    for (unsigned i = 0; i < 100; i++) { /* round the rings */
        assert_int_equal(block_write(b, i, 400, out), 0);
        memset(in, 0, sizeof in);
        assert_int_equal(block_read(b, i, 400, in), 0);
        assert_memory_equal(in, out, sizeof in);
    }
}

/* Straight from and to memory whose pages lie anywhere, in commands of all
 * lengths; other memory in between. */
static void memory_of_callers_is_moved_itself(void **state)
{
    struct block_device *b = block_find("usb0");
    uint8_t *from = fake_arena + 40, *to = from + (128 << 12);

    b->most_sectors = 2048; /* as over USB 3 */
    for (unsigned i = 0; i < 1000 * 512; i++)
        from[i] = (uint8_t)(i * 11 >> 5);
    for (unsigned i = 0; i < 60; i++) {
        unsigned n = 1000 - 16 * i, writes = stick.writes;

        assert_int_equal(block_write(b, i, n, from), 0);
        assert_int_equal(stick.writes - writes, 1);
        memset(to, 0, n * 512);
        assert_int_equal(block_read(b, i, n, to), 0);
        assert_memory_equal(to, from, n * 512);
        assert_int_equal(block_read(b, i, 1, in), 0);
        assert_memory_equal(in, from, 512);
    }
}

static void a_stall_is_recovered_from(void **state)
{
    struct block_device *b = block_find("usb0");
    unsigned resets = hc.endpoint_resets, configures = hc.configures;

    stick.stall_data = 1;
    assert_int_equal(block_read(b, 0, 1, in), 0);
    assert_int_equal(hc.endpoint_resets, resets + 1);
    assert_int_equal(hc.configures, configures + 1); /* toggles at 0 */
    assert_int_equal(block_read(b, 0, 400, in), 0);
    assert_memory_equal(in, stick.bytes, sizeof in);
}

static void a_transfer_that_hangs_is_stopped(void **state)
{
    struct block_device *b = block_find("usb0");
    unsigned stops = hc.stops;

    stick.dead = 1;
    assert_int_equal(block_read(b, 5, 1, in), 0); /* at the second try */
    assert_true(hc.stops > stops);
    assert_memory_equal(in, stick.bytes + 5 * 512, 512);
}

static int vanish(struct fake_device *f, uint8_t address, uint8_t *bytes,
                  uint32_t n)
{
    plug_at(0, NULL);
    return -ETIMEDOUT;
}

static void a_stick_pulled_in_a_transfer_ends_it_at_once(void **state)
{
    struct block_device *b = block_find("usb0");
    uint64_t began = fake_now;

    stick.device.bulk = vanish;
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    assert_true(fake_now - began < 1000000);
    fake_settle();
    stick.device.bulk = fake_stick_bulk;
    stick.have_command = false;
    plug(&stick.device);
    assert_int_equal(block_read(b, 5, 1, in), 0);
}

/* The last ones, for there are no further controllers to make. */

static void a_controller_that_takes_no_commands_is_given_up(void **state)
{
    struct block_device *b = block_find("usb0");
    uint64_t began = fake_now;

    hc.deaf = true;
    fake_log[0] = 0;
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    fake_settle();
    assert_non_null(strstr(fake_log, "takes no commands any more"));
    assert_non_null(strstr(fake_log, "unplugged"));
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    assert_false(usb_busy());
    assert_true(fake_now - began < 60000000);
}

static void a_controller_that_is_pulled_is_given_up(void **state)
{
    struct block_device *b;

    build();
    hc.stubborn = true;
    assert_int_equal(probe(), 0);
    assert_non_null(strstr(fake_log, "firmware does not let go"));
    fake_settle();
    plug(&stick.device);
    b = block_find("usb0");
    assert_int_equal(block_read(b, 5, 1, in), 0);
    memset(hc.regs, 0xff, sizeof hc.regs);
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    fake_settle();
    assert_non_null(strstr(fake_log, "has gone"));
    assert_false(usb_busy());
}

static void without_an_interrupt_the_clock_does(void **state)
{
    struct input_event e;

    build();
    fake_pci.no_interrupt = true;
    assert_int_equal(probe(), 0);
    assert_non_null(strstr(fake_log, "no interrupt"));
    fake_settle();
    plug(&mouse);
    fake_settle();
    say(&mouse, "\x00\x01\x01", 3);
    assert_false(input_next(&e));
    fake_settle();
    assert_true(input_next(&e));
    memset(hc.regs, 0xff, sizeof hc.regs);
    free(stick.bytes);
}

static void a_controller_that_does_not_start_is_left(void **state)
{
    build();
    fake_hardware = NULL; /* it never comes out of its reset */
    assert_true(probe() < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_and_gets_what_it_needs),
        cmocka_unit_test(a_mouse_is_heard),
        cmocka_unit_test(slots_are_given_back),
        cmocka_unit_test(a_suspended_port_is_resumed),
        cmocka_unit_test(a_slow_mouse_behind_a_fast_hub),
        cmocka_unit_test(a_superspeed_hub_learns_its_depth),
        cmocka_unit_test(a_stick_moves_long_transfers),
        cmocka_unit_test(memory_of_callers_is_moved_itself),
        cmocka_unit_test(a_stall_is_recovered_from),
        cmocka_unit_test(a_transfer_that_hangs_is_stopped),
        cmocka_unit_test(a_stick_pulled_in_a_transfer_ends_it_at_once),
        cmocka_unit_test(a_controller_that_takes_no_commands_is_given_up),
        cmocka_unit_test(a_controller_that_is_pulled_is_given_up),
        cmocka_unit_test(without_an_interrupt_the_clock_does),
        cmocka_unit_test(a_controller_that_does_not_start_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
