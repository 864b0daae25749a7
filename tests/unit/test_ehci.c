/*
 * test_ehci.c - the EHCI driver against a controller made of software that
 * minds data toggles, addresses and split transactions; with devices that
 * stall, hang and vanish.
 */
#include "tests/unit/pci_fake.h"
#include "tests/unit/usb_fake.h"

#include <cmocka.h>

#include "drivers/scsi.h"
#include "drivers/usb/ehci.h"

/* --- the controller: EHCI 1.0, section numbers as there --- */

enum {
    OP = 0x20, PORTS = OP + 0x44, SPACE = 0x100, PORT_COUNT = 2, EXT = 0x60,
    SHOWN = 1 << 30, /* reserved bit: what the driver wrote lacks it */
    P_CONNECTED = 1, P_CONNECT_CHANGE = 2, P_ENABLED = 4, P_RESET = 1 << 8,
    P_OWNER = 1 << 13,
    T_ACTIVE = 1 << 7, T_HALTED = 1 << 6, T_BABBLE = 1 << 4, T_XACT = 1 << 3,
};
#define T_TOGGLE (1u << 31)

static struct {
    uint32_t regs[SPACE / 4];
    uint32_t status, ports[PORT_COUNT];
    uint32_t legacy; /* in configuration space */
    bool working;
    unsigned address;  /* of the device */
    uint32_t toggles[32]; /* what it expects: number, and 16 for in */
    struct usb_setup setup;
    int result; /* of the control transfer under way */
    bool said;
    uint8_t speech[64];
    unsigned speech_bytes, doorbells;
} hc;

static uint32_t *reg(unsigned at) { return &hc.regs[at / 4]; }
static void *memory(uint32_t phys) { return fake_memory(phys); }

static void raise_interrupt(uint32_t bits)
{
    hc.status |= bits;
    *reg(OP + 4) = hc.status | SHOWN;
    fake_pci_interrupt();
    hc.status &= ~bits; /* the handler has acknowledged */
    *reg(OP + 4) = hc.status | SHOWN;
}

/* --- its port --- */

static void serve_port(void)
{
    uint32_t was = hc.ports[0], written = *reg(PORTS);

    if (written == was)
        return;
    if ((written & P_RESET) && !(was & P_RESET))
        was = (was | P_RESET) & ~(uint32_t)P_ENABLED;
    else if (!(written & P_RESET) && (was & P_RESET)) {
        was &= ~(uint32_t)P_RESET;
        hc.address = 0;
        memset(hc.toggles, 0, sizeof hc.toggles);
        if (plugged && plugged->speed == USB_HIGH)
            was |= P_ENABLED;
    }
    if (written & P_OWNER)
        was = P_OWNER;
    hc.ports[0] = *reg(PORTS) = was;
}

static void plug(struct fake_device *f)
{
    fake_log[0] = 0;
    plugged = f;
    hc.ports[0] = (f ? P_CONNECTED : 0) | P_CONNECT_CHANGE;
    *reg(PORTS) = hc.ports[0];
    raise_interrupt(STS_PORT);
    hc.ports[0] &= ~(uint32_t)P_CONNECT_CHANGE;
    *reg(PORTS) = hc.ports[0];
    fake_settle();
}

/* --- its queues: 4.10 --- */

static unsigned number_of(const struct ehci_qh *q)
{
    return q->endpoint >> 8 & 15;
}

/* The next TD of a queue that is neither halted nor at its end. */
static struct ehci_td *advance(struct ehci_qh *q)
{
    uint32_t left = q->overlay.token >> 16 & 0x7fff, next = q->overlay.next;
    struct ehci_td *t;

    if (q->overlay.token & (T_HALTED | T_ACTIVE))
        return NULL;
    if (left && !(q->overlay.alternate & 1))
        next = q->overlay.alternate;
    if (next & 1)
        return NULL;
    t = memory(next & ~31u);
    return t->token & T_ACTIVE ? t : NULL;
}

/* Ends a TD that moved so many bytes, or failed. */
static void retire(struct ehci_qh *q, struct ehci_td *t, int result)
{
    uint32_t toggle = (q->endpoint >> 14 & 1) ? t->token & T_TOGGLE
                                              : q->overlay.token & T_TOGGLE;
    unsigned size = q->endpoint >> 16 & 0x7ff, n;
    unsigned pid = t->token >> 8 & 3;
    uint32_t *expected = &hc.toggles[number_of(q) + (pid == 1 ? 16 : 0)];

    t->token &= ~(uint32_t)T_ACTIVE;
    if (result < 0) {
        t->token |= T_HALTED | (result == -EIO ? T_XACT : 0) |
                    (result == -EOVERFLOW ? T_BABBLE : 0);
    } else {
        if (number_of(q)) {
            assert_int_equal(toggle, *expected);
            n = ((unsigned)result + size - 1) / size;
            toggle ^= (n ? n & 1 : 1) << 31;
            *expected = toggle;
        }
        t->token -= (uint32_t)result << 16;
    }
    t->token = (t->token & ~T_TOGGLE) | toggle;
    q->overlay.next = t->next;
    q->overlay.alternate = t->alternate;
    q->overlay.token = t->token;
    if ((t->token & 1 << 15) || result < 0)
        hc.status |= STS_TRANSFER;
}

static bool answers_to(const struct ehci_qh *q)
{
    return plugged && (hc.ports[0] & P_ENABLED) &&
           (q->endpoint & 127) == hc.address;
}

static uint32_t td_bytes(const struct ehci_td *t)
{
    return t->token >> 16 & 0x7fff;
}

/* A TD's buffer lies in pages of its own list: 3.5.4. */
static void copy(struct ehci_td *t, uint8_t *bytes, uint32_t n, bool in)
{
    uint32_t offset = t->buffer[0] & 4095, done = 0;

    while (done < n) {
        unsigned page = (offset + done) / 4096;
        uint32_t at = (offset + done) % 4096, part = 4096 - at;
        uint8_t *p;

        assert_true(page < 5);
        part = part < n - done ? part : n - done;
        p = fake_memory_of((t->buffer[page] & ~4095u) + at, part);
        memcpy(in ? p : bytes + done, in ? bytes + done : p, part);
        done += part;
    }
}

static void serve_control(struct ehci_qh *q, struct ehci_td *t)
{
    static uint8_t data[4096];
    unsigned pid = t->token >> 8 & 3;
    uint32_t n = td_bytes(t);

    if (pid == 2) {
        assert_int_equal(n, sizeof hc.setup);
        copy(t, (uint8_t *)&hc.setup, n, false);
        hc.result = 0;
        if ((hc.setup.request_type & USB_IN) || !hc.setup.length)
            hc.result = fake_answer(plugged, &hc.setup, data);
        if (hc.result == -ETIMEDOUT)
            return;
        retire(q, t, (int)n);
        return;
    }
    assert_true(t->token & T_TOGGLE); /* data and status begin with 1 */
    if (hc.result >= 0 && n && pid == 1) {
        copy(t, data, (uint32_t)hc.result, true);
        retire(q, t, hc.result);
        return;
    }
    if (hc.result >= 0 && n) {
        copy(t, data, n, false);
        hc.result = fake_answer(plugged, &hc.setup, data);
    }
    retire(q, t, hc.result < 0 ? hc.result : (int)n);
    if (!n && hc.setup.request == USB_SET_ADDRESS &&
        !hc.setup.request_type)
        hc.address = hc.setup.value;
    if (hc.setup.request == USB_CLEAR_FEATURE &&
        hc.setup.request_type == USB_TO_ENDPOINT)
        hc.toggles[(hc.setup.index & 15) +
                   (hc.setup.index & 128 ? 16 : 0)] = 0;
}

/* All TDs of a transfer make one call of the device. */
static void serve_bulk(struct ehci_qh *q, struct ehci_td *t)
{
    static uint8_t bytes[SCSI_BOUNCE];
    bool in = (t->token >> 8 & 3) == 1;
    uint32_t total = 0, done = 0;
    struct ehci_td *e = t;
    int result;

    for (;; e = memory(e->next & ~31u)) {
        if (!in)
            copy(e, bytes + total, td_bytes(e), false);
        total += td_bytes(e);
        if (e->next & 1)
            break;
    }
    result = plugged->bulk(plugged,
                           (uint8_t)(number_of(q) | (in ? 128 : 0)), bytes,
                           total);
    if (result == -ETIMEDOUT)
        return;
    if (result < 0) {
        retire(q, t, result);
        return;
    }
    while (t) {
        uint32_t n = td_bytes(t), part = (uint32_t)result - done;

        part = part < n ? part : n;
        if (in)
            copy(t, bytes + done, part, true);
        done += part;
        retire(q, t, (int)part);
        t = part < n ? NULL : advance(q);
    }
}

static void serve_queue(struct ehci_qh *q, bool periodic)
{
    struct ehci_td *t;

    while (answers_to(q) && (t = advance(q)) != NULL) {
        uint32_t before = t->token;

        if (periodic && !hc.said)
            return;
        if (periodic) {
            hc.said = false;
            copy(t, hc.speech, hc.speech_bytes, true);
            retire(q, t, (int)hc.speech_bytes);
        } else if (number_of(q) == 0) {
            serve_control(q, t);
        } else {
            serve_bulk(q, t);
        }
        if (t->token == before)
            return; /* it says nothing, for ever */
    }
}

static void serve_lists(void)
{
    uint32_t first = *reg(OP + 0x18), at = first;
    const uint32_t *frames = memory(*reg(OP + 0x14));

    do {
        struct ehci_qh *q = memory(at & ~31u);

        serve_queue(q, false);
        at = q->next & ~31u;
    } while (at != first);
    for (at = frames[0]; !(at & 1);) {
        struct ehci_qh *q = memory(at & ~31u);

        serve_queue(q, true);
        at = q->next;
    }
}

/* --- it works when the driver looks away --- */

static void work(void)
{
    if (hc.working || *reg(OP + 4) == UINT32_MAX)
        return;
    hc.working = true;
    if (!(*reg(OP + 4) & SHOWN))
        hc.status &= ~*reg(OP + 4);
    *reg(OP) &= ~2u;
    hc.status = *reg(OP) & 1 ? hc.status & ~(uint32_t)STS_HALTED
                             : hc.status | STS_HALTED;
    serve_port();
    if (*reg(OP) & CMD_DOORBELL) {
        *reg(OP) &= ~(uint32_t)CMD_DOORBELL;
        hc.status |= STS_ADVANCED;
        hc.doorbells++;
    }
    if (*reg(OP) & 1)
        serve_lists();
    *reg(OP + 4) = hc.status | SHOWN;
    if (hc.status & STS_TRANSFER)
        raise_interrupt(STS_TRANSFER);
    hc.working = false;
}

static void build(void)
{
    memset(&hc, 0, sizeof hc);
    fake_pci_reset(hc.regs, sizeof hc.regs);
    *reg(0) = 0x01000000 | OP;
    *reg(4) = 1 << 12 | PORT_COUNT; /* a companion */
    *reg(8) = EXT << 8;
    hc.legacy = 1 | 1 << 16;
    hc.status = STS_HALTED;
    *reg(OP + 4) = hc.status | SHOWN;
    fake_hardware = work;
}

/* --- the bus that it sits on --- */

static struct pci_device function = { .vendor = 1, .device = 1 };

uint32_t pci_read32(const struct pci_device *d, unsigned at)
{
    return at == EXT ? hc.legacy : 0;
}

void pci_write32(const struct pci_device *d, unsigned at, uint32_t v)
{
    if (at == EXT && (v & 1 << 24))
        hc.legacy = 1 | 1 << 24; /* the firmware lets go */
}

/* --- tests --- */

static struct fake_device mouse;
static struct fake_stick stick;
static uint8_t out[400 * 512], in[400 * 512];

static void it_starts(void **state)
{
    build();
    fake_log[0] = 0;
    assert_int_equal(ehci_driver.probe(&function), 0);
    assert_non_null(strstr(fake_log, "EHCI, 2 ports, 1 companion"));
    assert_int_equal(hc.legacy >> 16 & 1, 0);
    fake_settle();
    assert_false(usb_busy());
}

static void a_mouse_is_heard(void **state)
{
    struct input_event e;

    fake_mouse(&mouse);
    mouse.speed = USB_HIGH;
    mouse.device[7] = 64;
    plug(&mouse);
    assert_non_null(strstr(fake_log, "ehci0 port 1: Test"));
    assert_true(hc.address != 0);
    for (unsigned i = 0; i < 50; i++) { /* the toggle goes to and fro */
        memcpy(hc.speech, "\x00\x05\xfb", 3);
        hc.speech_bytes = 3;
        hc.said = true;
        work();
        assert_true(input_next(&e));
        assert_int_equal(e.pointer.y, -5);
    }
    plug(NULL);
    assert_non_null(strstr(fake_log, "unplugged"));
}

static void a_slow_device_goes_to_the_companion(void **state)
{
    mouse.speed = USB_FULL;
    plug(&mouse);
    assert_non_null(strstr(fake_log, "left to the companion"));
    work();
    assert_int_equal(hc.ports[0] & P_OWNER, P_OWNER);
    plug(NULL);
}

static void a_stick_moves_long_transfers(void **state)
{
    struct block_device *b;

    fake_stick_init(&stick, 2048, 512, "S1");
    plug(&stick.device);
    b = block_find("usb0");
    assert_non_null(b);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 7 >> 4);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(block_write(b, i, 399 - i, out), 0);
        memset(in, 0, sizeof in);
        assert_int_equal(block_read(b, i, 399 - i, in), 0);
        assert_memory_equal(in, out, (399 - i) * 512);
    }
}

/* Straight from and to memory whose pages lie anywhere, in commands of all
 * lengths; other memory in between. */
static void memory_of_callers_is_moved_itself(void **state)
{
    struct block_device *b = block_find("usb0");
    uint8_t *from = fake_arena + 40, *to = from + (32 << 12);

    for (unsigned i = 0; i < 240 * 512; i++)
        from[i] = (uint8_t)(i * 11 >> 5);
    for (unsigned i = 0; i < 60; i++) {
        unsigned n = 240 - 3 * i, writes = stick.writes;

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

    stick.stall_data = 1;
    assert_int_equal(block_read(b, 0, 1, in), 0);
    assert_int_equal(block_read(b, 0, 400, in), 0);
    assert_memory_equal(in, stick.bytes, sizeof in);
}

static void a_transfer_that_hangs_is_taken_back(void **state)
{
    struct block_device *b = block_find("usb0");
    unsigned doorbells = hc.doorbells;

    stick.dead = 3; /* as often as the driver looks at the clock */
    assert_int_equal(block_read(b, 5, 1, in), 0); /* at the second try */
    assert_true(hc.doorbells > doorbells);
    assert_memory_equal(in, stick.bytes + 5 * 512, 512);
}

static void a_pulled_stick_comes_back(void **state)
{
    struct block_device *b = block_find("usb0");

    plug(NULL);
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    plug(&stick.device);
    assert_int_equal(block_read(b, 5, 1, in), 0);
}

static void a_controller_that_is_pulled_is_given_up(void **state)
{
    struct block_device *b = block_find("usb0");

    fake_log[0] = 0;
    memset(hc.regs, 0xff, sizeof hc.regs);
    assert_int_equal(block_read(b, 5, 1, in), -ENODEV);
    fake_settle();
    assert_non_null(strstr(fake_log, "has gone"));
    assert_false(usb_busy());
    free(stick.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts),
        cmocka_unit_test(a_mouse_is_heard),
        cmocka_unit_test(a_slow_device_goes_to_the_companion),
        cmocka_unit_test(a_stick_moves_long_transfers),
        cmocka_unit_test(memory_of_callers_is_moved_itself),
        cmocka_unit_test(a_stall_is_recovered_from),
        cmocka_unit_test(a_transfer_that_hangs_is_taken_back),
        cmocka_unit_test(a_pulled_stick_comes_back),
        cmocka_unit_test(a_controller_that_is_pulled_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
