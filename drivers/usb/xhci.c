/*
 * xhci.c - USB host controllers that speak xHCI: starting them, their ports.
 *
 * Source: xHCI 1.2, sections 4.2 (start), 4.15 and 4.19 (ports), 4.22.1
 * (hand-off), 5 (registers), 7 (extended capabilities).
 * QEMU: -device qemu-xhci, -device nec-usb-xhci
 *
 * Interrupts only hasten things: whoever waits looks at the event ring too,
 * and a controller that cannot interrupt is looked at by the clock.
 */
#include "drivers/usb/xhci.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/driver.h"
#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { CONTROLLERS = 4, RETURN_USECS = 1000 * 1000 };
enum { /* capability registers: 5.3 */
    HCSPARAMS1 = 0x04 / 4, HCSPARAMS2 = 0x08 / 4, HCCPARAMS1 = 0x10 / 4,
    DBOFF = 0x14 / 4, RTSOFF = 0x18 / 4,
    PARAMS_64_BYTES = 1 << 2,
};
enum { /* operational registers: 5.4 */
    USBCMD = 0x00 / 4, USBSTS = 0x04 / 4, PAGESIZE = 0x08 / 4,
    CRCR = 0x18 / 4, DCBAAP = 0x30 / 4, CONFIG = 0x38 / 4, PORTSC = 0x400 / 4,
    CMD_RUN = 1, CMD_RESET = 2, CMD_INTERRUPTS = 4,
    STS_HALTED = 1, STS_HOST_ERROR = 4, STS_EVENT = 8, STS_NOT_READY = 1 << 11,
    STS_CONTROLLER_ERROR = 1 << 12,
    PORT_WORDS = 4, CRCR_CYCLE = 1,
};
enum { /* interrupter 0: 5.5.2 */
    IMAN = 0x20 / 4, IMOD = 0x24 / 4, ERSTSZ = 0x28 / 4, ERSTBA = 0x30 / 4,
    ERDP = 0x38 / 4, IMAN_PENDING = 1, IMAN_ENABLE = 2,
    MODERATION = 160, /* times 250 ns between interrupts */
};
enum { /* PORTSC: 5.4.8 */
    PORT_CONNECTED = 1 << 0, PORT_ENABLED = 1 << 1, PORT_OVER_CURRENT = 1 << 3,
    PORT_RESET = 1 << 4, PORT_LINK = 15 << 5, PORT_POWER = 1 << 9,
    PORT_INDICATOR = 3 << 14, PORT_LINK_WRITE = 1 << 16,
    PORT_CONNECT_CHANGE = 1 << 17, PORT_CHANGES = 0x7f << 17,
    PORT_RESET_CHANGE = 1 << 21, PORT_WAKE = 7 << 25,
    PORT_KEPT = PORT_POWER | PORT_INDICATOR | PORT_WAKE,
};
#define PORT_WARM_RESET (1u << 31)
enum { LINK_U0 = 0, LINK_U3 = 3, LINK_INACTIVE = 6, LINK_COMPLIANCE = 10,
       LINK_RESUME = 15 };
enum { /* extended capabilities: 7 */
    EXT_LEGACY = 1, EXT_PROTOCOL = 2,
    LEGACY_BIOS = 1 << 16, LEGACY_OS = 1 << 24,
    LEGACY_KEEP = 0x000e1fee, LEGACY_EVENTS = (int)0xe0000000,
};

static struct xhci controllers[CONTROLLERS];
static unsigned controller_count;

/* --- a controller that fails --- */

void xhci_died(struct xhci *x, const char *why)
{
    if (x->dead)
        return;
    x->dead = true;
    usb_hub_died(&x->controller.root, why);
}

bool xhci_alive(struct xhci *x)
{
    uint32_t status = x->operational[USBSTS];

    if (status == UINT32_MAX)
        xhci_died(x, "has gone");
    else if (status & (STS_HOST_ERROR | STS_CONTROLLER_ERROR))
        xhci_died(x, "reports an error of its own");
    else if (status & STS_HALTED)
        xhci_died(x, "has stopped");
    return !x->dead;
}

/* --- root ports --- */

static volatile uint32_t *port_register(struct xhci *x, unsigned port)
{
    return x->ports + (port - 1) * PORT_WORDS;
}

/* Changes are acknowledged here, enabled is cleared by writing 1: keep to
 * the bits that may be written back. */
static void write_port(volatile uint32_t *reg, uint32_t bits)
{
    *reg = (*reg & PORT_KEPT) | bits;
}

void xhci_port_event(struct xhci *x, unsigned port)
{
    volatile uint32_t *reg;
    uint32_t v;

    if (!port || port > x->controller.root.ports)
        return;
    reg = port_register(x, port);
    v = *reg;
    write_port(reg, v & PORT_CHANGES);
    if (v & PORT_CHANGES & ~(uint32_t)PORT_RESET_CHANGE)
        usb_port_changed(&x->controller.root, port, v & PORT_CONNECT_CHANGE,
                         !(v & PORT_CONNECTED));
}

static int port_status(struct usb_hub *h, unsigned port, struct usb_port *p)
{
    struct xhci *x = h->data;
    uint32_t v = *port_register(x, port);

    if (x->dead || v == UINT32_MAX)
        return -ENODEV;
    p->connected = v & PORT_CONNECTED;
    p->enabled = v & PORT_ENABLED;
    p->over_current = v & PORT_OVER_CURRENT;
    p->speed = v >> 10 & 15; /* the default speed ids: table 7-13 */
    return 0;
}

/* A port that somebody put to sleep is woken first: 4.15.2. */
static void resume_port(volatile uint32_t *reg, bool is_super)
{
    if (!is_super) {
        write_port(reg, LINK_RESUME << 5 | PORT_LINK_WRITE);
        clock_delay(20000);
    }
    write_port(reg, LINK_U0 << 5 | PORT_LINK_WRITE);
    usb_wait_bits(reg, PORT_LINK, LINK_U0 << 5, 100000);
}

static int port_reset(struct usb_hub *h, unsigned port)
{
    struct xhci *x = h->data;
    volatile uint32_t *reg = port_register(x, port);
    bool is_super = x->super_ports >> port & 1;
    unsigned link = (*reg & PORT_LINK) >> 5;
    int error;

    if (x->dead)
        return -ENODEV;
    if (link == LINK_U3 || link == LINK_RESUME)
        resume_port(reg, is_super);
    if (is_super && (link == LINK_INACTIVE || link == LINK_COMPLIANCE))
        write_port(reg, PORT_WARM_RESET);
    else
        write_port(reg, PORT_RESET);
    error = usb_wait_bits(reg, PORT_RESET | PORT_ENABLED, PORT_ENABLED,
                          800000);
    write_port(reg, *reg & PORT_CHANGES);
    clock_delay(10000);
    return *reg & PORT_CONNECTED ? error : -ENODEV;
}

static const struct usb_hub_ops root_ops = { port_status, port_reset };

static void power_ports(struct xhci *x)
{
    bool switched = false;

    for (unsigned port = 1; port <= x->controller.root.ports; port++) {
        volatile uint32_t *reg = port_register(x, port);

        if (*reg & PORT_POWER)
            continue;
        write_port(reg, PORT_POWER);
        switched = true;
    }
    if (switched)
        clock_delay(20000);
}

static unsigned connected_ports(struct xhci *x)
{
    unsigned count = 0;

    for (unsigned port = 1; port <= x->controller.root.ports; port++)
        count += *port_register(x, port) & PORT_CONNECTED;
    return count;
}

static bool all_back(void *arg)
{
    struct xhci *x = arg;

    return connected_ports(x) >= x->expected;
}

/* --- extended capabilities --- */

/* The firmware drove the controller until now: 4.22.1. */
static void take_from_firmware(struct xhci *x, volatile uint32_t *cap)
{
    if (*cap & LEGACY_BIOS) {
        *cap |= LEGACY_OS;
        if (usb_wait_bits(cap, LEGACY_BIOS, 0, 1000000)) {
            klog("%s: the firmware does not let go; taken anyway\n", x->name);
            *cap &= ~(uint32_t)LEGACY_BIOS;
        }
    }
    cap[1] = (cap[1] & LEGACY_KEEP) | (uint32_t)LEGACY_EVENTS;
}

static void note_protocol(struct xhci *x, volatile uint32_t *cap)
{
    unsigned major = cap[0] >> 24, first = cap[2] & 0xff;
    unsigned count = cap[2] >> 8 & 0xff;

    for (unsigned i = 0; major >= 3 && i < count && first + i <= XHCI_PORTS;
         i++)
        x->super_ports |= 1u << (first + i);
}

static void read_extended(struct xhci *x, volatile uint32_t *base,
                          uint64_t bytes)
{
    uint64_t at = (base[HCCPARAMS1] >> 16) * 4ull;

    while (at && at + 16 <= bytes) {
        volatile uint32_t *cap = base + at / 4;
        unsigned next = *cap >> 8 & 0xff;

        if ((*cap & 0xff) == EXT_LEGACY)
            take_from_firmware(x, cap);
        else if ((*cap & 0xff) == EXT_PROTOCOL)
            note_protocol(x, cap);
        at = next ? at + next * 4 : 0;
    }
}

/* --- starting --- */

static void write64(volatile uint32_t *reg, uint64_t v)
{
    reg[0] = (uint32_t)v;
    reg[1] = (uint32_t)(v >> 32);
}

static int reset(struct xhci *x)
{
    volatile uint32_t *op = x->operational;

    x->expected = connected_ports(x);
    op[USBCMD] &= ~(uint32_t)(CMD_RUN | CMD_INTERRUPTS);
    if (usb_wait_bits(op + USBSTS, STS_HALTED, STS_HALTED, 100000))
        return -ETIMEDOUT;
    op[USBCMD] |= CMD_RESET;
    clock_delay(1000); /* some answer nothing for a while */
    if (usb_wait_bits(op + USBCMD, CMD_RESET, 0, 1000000) ||
        usb_wait_bits(op + USBSTS, STS_NOT_READY, 0, 1000000))
        return -ETIMEDOUT;
    return op[PAGESIZE] & 1 ? 0 : -ENODEV; /* pages of 4 KiB */
}

/* Memory that the controller keeps for itself: 4.20. */
static int give_scratchpads(struct xhci *x, uint32_t params2)
{
    unsigned count = (params2 >> 21 & 31) << 5 | (params2 >> 27 & 31);
    struct usb_memory m;
    uint64_t *array;

    if (!count)
        return 0;
    array = dma_alloc(count * 8ull, &m.phys);
    if (!array)
        return -ENOMEM;
    x->contexts[0] = m.phys;
    for (unsigned i = 0; i < count; i++)
        if (!dma_alloc(PAGE_SIZE, &array[i]))
            return -ENOMEM;
    return 0;
}

static int set_up_memory(struct xhci *x, uint32_t params2)
{
    struct usb_memory contexts = usb_page(), table = usb_page();
    volatile uint32_t *op = x->operational, *rt = x->runtime;
    uint64_t *segment = table.bytes;

    x->input = usb_page();
    x->bounce = usb_page();
    x->events.memory = usb_page();
    x->events.cycle = 1;
    if (!contexts.bytes || !segment || !x->input.bytes || !x->bounce.bytes ||
        !x->events.memory.bytes || xhci_ring_init(&x->commands))
        return -ENOMEM;
    x->contexts = contexts.bytes;
    if (give_scratchpads(x, params2))
        return -ENOMEM;
    segment[0] = x->events.memory.phys;
    segment[1] = RING_TRBS;
    op[CONFIG] = x->slot_count;
    write64(op + DCBAAP, contexts.phys);
    write64(op + CRCR, x->commands.memory.phys | CRCR_CYCLE);
    rt[ERSTSZ] = 1;
    write64(rt + ERDP, x->events.memory.phys);
    write64(rt + ERSTBA, table.phys);
    return 0;
}

static void interrupt(void *arg)
{
    struct xhci *x = arg;

    x->operational[USBSTS] = STS_EVENT;
    x->runtime[IMAN] = IMAN_PENDING | IMAN_ENABLE;
    if (!x->dead)
        xhci_poll(x);
}

static int run(struct xhci *x, struct pci_device *dev)
{
    volatile uint32_t *op = x->operational;

    usb_serve(&x->controller, interrupt,
              pci_route_irq(dev, interrupt, x, NULL) == 0);
    x->runtime[IMOD] = MODERATION;
    x->runtime[IMAN] = IMAN_PENDING | IMAN_ENABLE;
    op[USBCMD] |= CMD_RUN | CMD_INTERRUPTS;
    return usb_wait_bits(op + USBSTS, STS_HALTED, 0, 100000);
}

/* Older Intel chips leave the ports to EHCI until told (7 series data
 * sheet, 17.1.36 and 17.1.38): masks at d4h and dch, switches before them. */
static void take_intel_ports(struct pci_device *dev)
{
    static const uint16_t ids[] = { 0x1e31, 0x8c31, 0x9c31, 0x9cb1, 0x8cb1 };

    for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++)
        if (dev->vendor == 0x8086 && dev->device == ids[i]) {
            pci_write32(dev, 0xd8, pci_read32(dev, 0xdc));
            pci_write32(dev, 0xd0, pci_read32(dev, 0xd4));
        }
}

static int find_registers(struct xhci *x, struct pci_device *dev)
{
    uint64_t bytes;
    volatile uint32_t *base;
    uint32_t params1, ports;

    pci_enable(dev);
    base = pci_map_bar(dev, 0, &bytes);
    if (!base || bytes < 0x1000)
        return -ENODEV;
    params1 = base[HCSPARAMS1];
    ports = params1 >> 24;
    x->version = base[0] >> 16;
    x->operational = base + (base[0] & 0xff) / 4;
    x->ports = x->operational + PORTSC;
    if ((base[DBOFF] & ~3u) + 4 * (XHCI_SLOTS + 1) > bytes ||
        (base[RTSOFF] & ~31u) + 0x40 > bytes ||
        (base[0] & 0xff) + 0x400 + ports * 16ull > bytes)
        return -ENODEV;
    x->doorbells = base + (base[DBOFF] & ~3u) / 4;
    x->runtime = base + (base[RTSOFF] & ~31u) / 4;
    x->context_bytes = base[HCCPARAMS1] & PARAMS_64_BYTES ? 64 : 32;
    x->slot_count = params1 & 0xff;
    if (x->slot_count > XHCI_SLOTS)
        x->slot_count = XHCI_SLOTS;
    x->controller.root.ports = ports < XHCI_PORTS ? ports : XHCI_PORTS;
    read_extended(x, base, bytes);
    return reset(x) ? -EIO : set_up_memory(x, base[HCSPARAMS2]);
}

static int probe(struct pci_device *dev)
{
    struct xhci *x = &controllers[controller_count];
    struct usb_hub *root = &x->controller.root;
    int error;

    if (controller_count == CONTROLLERS)
        return -ENOSPC;
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "xhci%u", controller_count);
    usb_controller_init(&x->controller, x->name, &xhci_ops, &root_ops, x);
    x->controller.most_pieces = XHCI_PIECES;
    x->controller.reach = UINT64_MAX;
    take_intel_ports(dev);
    error = find_registers(x, dev);
    if (!error)
        error = run(x, dev);
    if (error)
        return error;
    controller_count++;
    klog("%s: xHCI %x.%02x, %u ports\n", x->name, x->version >> 8,
         x->version & 0xff, root->ports);
    power_ports(x);
    /* SuperSpeed links take their time, and one of them may be the stick
     * that we came from. */
    irq_wait(all_back, x, RETURN_USECS);
    usb_hub_start(root);
    return 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_SERIAL_BUS, 0x03, 0x30 },
    { 0, 0, 0, 0, 0 },
};

const struct driver xhci_driver = {
    .name = "xhci", .ids = ids, .probe = probe,
};
