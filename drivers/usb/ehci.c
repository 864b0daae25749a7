/*
 * ehci.c - USB 2 host controllers that speak EHCI: starting them, their
 * ports.
 *
 * Source: EHCI 1.0, sections 2 (registers), 4.1 (start), 4.2 (ports and
 * companions), 5 (hand-off).
 * QEMU: -device usb-ehci, -device ich9-usb-ehci1
 *
 * It drives high-speed devices, and slower ones behind high-speed hubs. A
 * slow device at a root port is handed to the companion controller, for
 * which there is no driver.
 */
#include "drivers/usb/ehci.h"

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

enum { CONTROLLERS = 4 };
enum { /* capability registers: 2.2 */
    HCSPARAMS = 0x04 / 4, HCCPARAMS = 0x08 / 4, PARAMS_PORTS = 15,
    PARAMS_PORT_POWER = 1 << 4,
};
enum { /* PORTSC: 2.3.9 */
    PORT_CONNECTED = 1 << 0, PORT_CONNECT_CHANGE = 1 << 1,
    PORT_ENABLED = 1 << 2, PORT_OVER_CURRENT = 1 << 4,
    PORT_RESUME = 1 << 6, PORT_SUSPENDED = 1 << 7, PORT_RESET = 1 << 8,
    PORT_LINES = 3 << 10, PORT_LOW_SPEED = 1 << 10, PORT_POWER = 1 << 12,
    PORT_OWNER = 1 << 13, PORT_CHANGES = 0x2a,
};
enum { /* extended capability 1, in configuration space: 2.1.7, 2.1.8 */
    EXT_LEGACY = 1, LEGACY_BIOS = 1 << 16, LEGACY_OS = 1 << 24,
    HANDOFF_USECS = 1000000,
};

static struct ehci controllers[CONTROLLERS];
static unsigned controller_count;

/* --- a controller that fails --- */

static void died(struct ehci *x, const char *why)
{
    if (x->dead)
        return;
    x->dead = true;
    usb_hub_died(&x->controller.root, why);
}

bool ehci_alive(struct ehci *x)
{
    uint32_t status = x->operational[EHCI_STS];

    if (status == UINT32_MAX)
        died(x, "has gone");
    else if (status & STS_HOST_ERROR)
        died(x, "reports an error of its own");
    else if (status & STS_HALTED)
        died(x, "has stopped");
    return !x->dead;
}

/* --- root ports --- */

static volatile uint32_t *port_register(struct ehci *x, unsigned port)
{
    return x->operational + EHCI_PORTS + port - 1;
}

/* Sets and clears bits without acknowledging changes by accident. */
static void change_port(volatile uint32_t *reg, uint32_t set, uint32_t clear)
{
    *reg = (*reg & ~(PORT_CHANGES | clear)) | set;
}

static void serve_ports(struct ehci *x)
{
    struct usb_hub *root = &x->controller.root;

    for (unsigned port = 1; port <= root->ports; port++) {
        volatile uint32_t *reg = port_register(x, port);
        uint32_t v = *reg;

        if (!(v & PORT_CHANGES))
            continue;
        *reg = v;
        usb_port_changed(root, port, v & PORT_CONNECT_CHANGE,
                         !(v & PORT_CONNECTED));
    }
}

static int port_status(struct usb_hub *h, unsigned port, struct usb_port *p)
{
    struct ehci *x = h->data;
    uint32_t v = *port_register(x, port);

    if (x->dead || v == UINT32_MAX)
        return -ENODEV;
    p->connected = (v & PORT_CONNECTED) && !(v & PORT_OWNER);
    p->enabled = v & PORT_ENABLED;
    p->over_current = v & PORT_OVER_CURRENT;
    p->speed = USB_HIGH;
    return 0;
}

/* Whatever is slower than high speed is the companion's: 4.2.2. */
static void hand_over(struct ehci *x, unsigned port)
{
    if (x->companions)
        klog("%s: port %u: a slow device, left to the companion controller, "
             "which has no driver\n", x->name, port);
    else
        klog("%s: port %u: a slow device, and there is no companion "
             "controller\n", x->name, port);
    change_port(port_register(x, port), PORT_OWNER, 0);
}

static int port_reset(struct usb_hub *h, unsigned port)
{
    struct ehci *x = h->data;
    volatile uint32_t *reg = port_register(x, port);

    if (x->dead)
        return -ENODEV;
    if (!(*reg & PORT_ENABLED) && (*reg & PORT_LINES) == PORT_LOW_SPEED) {
        hand_over(x, port);
        return 0;
    }
    change_port(reg, PORT_RESET, PORT_ENABLED | PORT_SUSPENDED | PORT_RESUME);
    clock_delay(50000);
    change_port(reg, 0, PORT_RESET);
    if (usb_wait_bits(reg, PORT_RESET, 0, 10000))
        return -ETIMEDOUT;
    clock_delay(10000);
    if ((*reg & PORT_CONNECTED) && !(*reg & PORT_ENABLED))
        hand_over(x, port);
    *reg = *reg; /* the changes of the reset are no news */
    return 0;
}

static const struct usb_hub_ops root_ops = { port_status, port_reset };

/* --- interrupts --- */

static void interrupt(void *arg)
{
    struct ehci *x = arg;
    uint32_t status = x->operational[EHCI_STS];

    if (x->dead || status == UINT32_MAX)
        return;
    x->operational[EHCI_STS] = status & STS_INTERRUPTS;
    ehci_poll(x);
    if (status & STS_PORT)
        serve_ports(x);
}

/* --- starting --- */

/* The firmware drove the controller until now: 5.1. */
static void take_from_firmware(struct ehci *x, struct pci_device *dev,
                               uint32_t params)
{
    unsigned at = params >> 8 & 0xff;
    uint64_t until = clock_usecs() + HANDOFF_USECS;

    for (int guard = 0; at >= 0x40 && guard < 16; guard++) {
        uint32_t v = pci_read32(dev, at);

        if ((v & 0xff) == EXT_LEGACY) {
            pci_write32(dev, at, v | LEGACY_OS);
            while ((pci_read32(dev, at) & LEGACY_BIOS) &&
                   clock_usecs() < until)
                clock_delay(1000);
            if (pci_read32(dev, at) & LEGACY_BIOS)
                klog("%s: the firmware does not let go; taken anyway\n",
                     x->name);
            pci_write32(dev, at + 4, 0); /* no SMIs for it any more */
        }
        at = v >> 8 & 0xff;
    }
}

static int reset(struct ehci *x)
{
    volatile uint32_t *op = x->operational;

    op[EHCI_CMD] &= ~(uint32_t)CMD_RUN;
    if (usb_wait_bits(op + EHCI_STS, STS_HALTED, STS_HALTED, 100000))
        return -ETIMEDOUT;
    op[EHCI_CMD] = CMD_RESET;
    return usb_wait_bits(op + EHCI_CMD, CMD_RESET, 0, 500000);
}

static int run(struct ehci *x, struct pci_device *dev, bool switched_power)
{
    volatile uint32_t *op = x->operational;

    usb_serve(&x->controller, interrupt,
              pci_route_irq(dev, interrupt, x, NULL) == 0);
    op[EHCI_SEGMENT] = 0; /* everything is below 4 GiB */
    op[EHCI_PERIODIC] = (uint32_t)x->frames.phys;
    op[EHCI_ASYNC] = (uint32_t)x->heads.phys;
    op[EHCI_INTR] = STS_INTERRUPTS;
    op[EHCI_CMD] = CMD_RUN | CMD_PERIODIC | CMD_ASYNC |
                  CMD_EVERY_MICROFRAME;
    if (usb_wait_bits(op + EHCI_STS, STS_HALTED, 0, 100000))
        return -ETIMEDOUT;
    op[EHCI_CONFIG] = 1; /* all ports are ours: 2.3.8 */
    clock_delay(5000);
    for (unsigned port = 1; switched_power &&
                            port <= x->controller.root.ports; port++)
        change_port(port_register(x, port), PORT_POWER, 0);
    if (switched_power)
        clock_delay(20000);
    return 0;
}

static int set_up(struct ehci *x, struct pci_device *dev)
{
    uint64_t bytes;
    volatile uint32_t *base;
    unsigned ports, length;
    int error;

    pci_enable(dev);
    base = pci_map_bar(dev, 0, &bytes);
    if (!base || bytes < 0x80)
        return -ENODEV;
    length = base[0] & 0xff;
    ports = base[HCSPARAMS] & PARAMS_PORTS;
    if (length + 0x44 + 4 * ports > bytes)
        return -ENODEV;
    x->operational = base + length / 4;
    x->companions = base[HCSPARAMS] >> 12 & 15;
    x->controller.root.ports = ports;
    take_from_firmware(x, dev, base[HCCPARAMS]);
    error = reset(x);
    if (!error)
        error = ehci_lists(x);
    return error ? error
                 : run(x, dev, base[HCSPARAMS] & PARAMS_PORT_POWER);
}

static int probe(struct pci_device *dev)
{
    struct ehci *x = &controllers[controller_count];
    struct usb_hub *root = &x->controller.root;
    int error;

    if (controller_count == CONTROLLERS)
        return -ENOSPC;
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "ehci%u", controller_count);
    usb_controller_init(&x->controller, x->name, &ehci_ops, &root_ops, x);
    x->controller.most_pieces = EHCI_PAGES;
    x->controller.reach = UINT32_MAX;
    error = set_up(x, dev);
    if (error)
        return error;
    controller_count++;
    klog("%s: EHCI, %u ports, %u companion controllers\n", x->name,
         root->ports, x->companions);
    usb_hub_start(root);
    return 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_SERIAL_BUS, 0x03, 0x20 },
    { 0, 0, 0, 0, 0 },
};

const struct driver ehci_driver = {
    .name = "ehci", .ids = ids, .probe = probe,
};
