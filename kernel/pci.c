/*
 * pci.c - PCI Local Bus 3.0: enumeration, BARs, capabilities, MSI, MSI-X.
 */
#include "kernel/pci.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { MAX_DEVICES = 256, BUSES = 256, SLOTS = 32, FUNCTIONS = 8, BARS = 6 };
enum {
    REG_VENDOR = 0, REG_CLASS = 8, REG_HEADER = 14, REG_SECONDARY_BUS = 0x19,
};
enum {
    HEADER_MULTI = 0x80, STATUS_CAPABILITIES = 0x10,
    BAR_IO = 1, BAR_64 = 4, SUBCLASS_PCI_BRIDGE = 4,
};
enum { MSI_CONTROL = 2, MSI_ENABLE = 1, MSI_64 = 0x80, MSI_COUNT_MASK = 0x70 };
enum {
    MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_ENABLE = 0x8000,
    MSIX_MASK_ALL = 0x4000,
};

static struct pci_device devices[MAX_DEVICES];
static unsigned device_count;
static bool bus_seen[BUSES];

/* --- enumeration --- */

static void scan_bus(uint8_t bus);

static void add_function(const struct pci_device *at)
{
    struct pci_device *d;
    uint32_t class;

    if (device_count == MAX_DEVICES)
        return;
    d = &devices[device_count++];
    *d = *at;
    class = pci_read32(d, REG_CLASS);
    d->vendor = pci_read16(d, REG_VENDOR);
    d->device = pci_read16(d, REG_VENDOR + 2);
    d->class_code = (uint8_t)(class >> 24);
    d->subclass = (uint8_t)(class >> 16);
    d->prog_if = (uint8_t)(class >> 8);
    d->revision = (uint8_t)class;
    d->irq_line = pci_read8(d, PCI_INTERRUPT_LINE);
    if (d->class_code == PCI_CLASS_BRIDGE &&
        d->subclass == SUBCLASS_PCI_BRIDGE)
        scan_bus(pci_read8(d, REG_SECONDARY_BUS));
}

static void scan_slot(uint8_t bus, uint8_t slot)
{
    struct pci_device at = { .bus = bus, .slot = slot };

    if (pci_read16(&at, REG_VENDOR) == 0xffff)
        return;
    unsigned functions = pci_read8(&at, REG_HEADER) & HEADER_MULTI
                             ? FUNCTIONS : 1;

    for (unsigned f = 0; f < functions; f++) {
        at.function = (uint8_t)f;
        if (pci_read16(&at, REG_VENDOR) != 0xffff)
            add_function(&at);
    }
}

static void scan_bus(uint8_t bus)
{
    if (bus_seen[bus])
        return; /* a bridge that the firmware left without a number */
    bus_seen[bus] = true;
    for (uint8_t slot = 0; slot < SLOTS; slot++)
        scan_slot(bus, slot);
}

/* Bus 0 and what hangs below it; further root buses appear as further
 * functions of the host bridge. */
void pci_init(void)
{
    struct pci_device host = { .bus = 0 };

    pci_config_init();
    scan_bus(0);
    if (pci_read8(&host, REG_HEADER) & HEADER_MULTI)
        for (uint8_t f = 1; f < FUNCTIONS; f++) {
            host.function = f;
            if (pci_read16(&host, REG_VENDOR) != 0xffff)
                scan_bus(f);
        }
    klog("pci: %u functions%s\n", device_count,
         pci_config_through_memory() ? ", by memory (MCFG)" : "");
}

struct pci_device *pci_device(unsigned index)
{
    return index < device_count ? &devices[index] : NULL;
}

unsigned pci_find_capability(const struct pci_device *d, uint8_t id,
                             unsigned after)
{
    unsigned at;

    if (!(pci_read16(d, PCI_STATUS) & STATUS_CAPABILITIES))
        return 0;
    at = pci_read8(d, after ? after + 1 : (unsigned)PCI_CAPABILITIES) & 0xfcu;
    for (int guard = 0; at && guard < 64; guard++) {
        if (pci_read8(d, at) == id)
            return at;
        at = pci_read8(d, at + 1) & 0xfcu;
    }
    return 0;
}

void pci_enable(const struct pci_device *d)
{
    pci_write16(d, PCI_COMMAND,
                pci_read16(d, PCI_COMMAND) | PCI_COMMAND_IO |
                    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_silence(const struct pci_device *d)
{
    pci_write16(d, PCI_COMMAND,
                (uint16_t)(pci_read16(d, PCI_COMMAND) & ~PCI_COMMAND_MASTER));
}

/* --- BARs --- */

/* Writing ones and reading back gives the size; decoding is off meanwhile. */
static uint32_t probe_size(const struct pci_device *d, unsigned reg)
{
    uint16_t command = pci_read16(d, PCI_COMMAND);
    uint32_t was = pci_read32(d, reg), size;

    pci_write16(d, PCI_COMMAND,
                command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    pci_write32(d, reg, 0xffffffff);
    size = pci_read32(d, reg);
    pci_write32(d, reg, was);
    pci_write16(d, PCI_COMMAND, command);
    return size;
}

uint64_t pci_bar_address(const struct pci_device *d, unsigned bar,
                         uint64_t *bytes)
{
    unsigned reg = PCI_BAR0 + 4 * bar;
    uint64_t address, mask;
    uint32_t low;

    if (bar >= BARS)
        return 0;
    low = pci_read32(d, reg);
    if (low & BAR_IO)
        return 0;
    address = low & ~15ull;
    mask = (probe_size(d, reg) & ~15ull) | 0xffffffff00000000ull;
    if ((low & 6) == BAR_64 && bar + 1 < BARS) {
        address |= (uint64_t)pci_read32(d, reg + 4) << 32;
        mask = (mask & 0xffffffff) | (uint64_t)probe_size(d, reg + 4) << 32;
    }
    *bytes = address ? ~mask + 1 : 0;
    return address;
}

volatile void *pci_map_bar(const struct pci_device *d, unsigned bar,
                           uint64_t *bytes)
{
    uint64_t address = pci_bar_address(d, bar, bytes);

    return address ? vmm_map_device(address, *bytes, PAGE_UNCACHED) : NULL;
}

uint16_t pci_bar_port(const struct pci_device *d, unsigned bar)
{
    uint32_t v = pci_read32(d, PCI_BAR0 + 4 * bar);

    return v & BAR_IO ? (uint16_t)(v & 0xfffc) : 0;
}

/* --- interrupts --- */

/* Every entry of the table but the first stays masked. */
static int route_msix(struct pci_device *d, unsigned cap, irq_handler handler,
                      void *arg)
{
    uint32_t where = pci_read32(d, cap + MSIX_TABLE), data;
    uint64_t bytes, address, bar = pci_bar_address(d, where & 7, &bytes);
    volatile uint32_t *entry;
    int error;

    if (!bar)
        return -ENODEV;
    entry = vmm_map_device(bar + (where & ~7u), 16, PAGE_UNCACHED);
    if (!entry)
        return -ENOMEM;
    error = irq_attach_message(handler, arg, &address, &data);
    if (error)
        return error;
    entry[0] = (uint32_t)address;
    entry[1] = (uint32_t)(address >> 32);
    entry[2] = data;
    entry[3] = 0;
    pci_write16(d, cap + MSIX_CONTROL,
                (pci_read16(d, cap + MSIX_CONTROL) & ~MSIX_MASK_ALL) |
                    MSIX_ENABLE);
    return 0;
}

static int route_msi(struct pci_device *d, unsigned cap, irq_handler handler,
                     void *arg)
{
    uint16_t control = pci_read16(d, cap + MSI_CONTROL);
    uint64_t address;
    uint32_t data;
    int error = irq_attach_message(handler, arg, &address, &data);

    if (error)
        return error;
    pci_write32(d, cap + 4, (uint32_t)address);
    if (control & MSI_64) {
        pci_write32(d, cap + 8, (uint32_t)(address >> 32));
        pci_write16(d, cap + 12, (uint16_t)data);
    } else {
        pci_write16(d, cap + 8, (uint16_t)data);
    }
    pci_write16(d, cap + MSI_CONTROL,
                (control & ~MSI_COUNT_MASK) | MSI_ENABLE);
    return 0;
}

static bool no_messages;

void pci_no_messages(void) { no_messages = true; }

int pci_route_message(struct pci_device *d, irq_handler handler, void *arg,
                      int *msix)
{
    unsigned cap = no_messages ? 0 : pci_find_capability(d, PCI_CAP_MSIX, 0);
    int error = -ENODEV;

    *msix = 0;
    pci_enable(d);
    if (cap)
        error = route_msix(d, cap, handler, arg);
    *msix = !error;
    if (error && !no_messages) {
        cap = pci_find_capability(d, PCI_CAP_MSI, 0);
        if (cap)
            error = route_msi(d, cap, handler, arg);
    }
    if (!error)
        pci_write16(d, PCI_COMMAND,
                    pci_read16(d, PCI_COMMAND) | PCI_COMMAND_NO_INTX);
    return error;
}

void pci_mask_message(struct pci_device *d, bool masked)
{
    unsigned cap = pci_find_capability(d, PCI_CAP_MSIX, 0);
    unsigned control, bit = MSIX_MASK_ALL;

    if (!cap || !(pci_read16(d, cap + MSIX_CONTROL) & MSIX_ENABLE)) {
        cap = pci_find_capability(d, PCI_CAP_MSI, 0);
        bit = MSI_ENABLE;
        masked = !masked;
    }
    if (!cap)
        return;
    control = pci_read16(d, cap + MSI_CONTROL);
    pci_write16(d, cap + MSI_CONTROL,
                (uint16_t)(masked ? control | bit : control & ~bit));
}

int pci_route_irq(struct pci_device *d, irq_handler handler, void *arg,
                  int *msix)
{
    int unwanted;
    int error = pci_route_message(d, handler, arg, msix ? msix : &unwanted);

    if (!error)
        return 0;
    if (d->irq_line == 0 || d->irq_line == 0xff)
        return -ENODEV;
    return irq_attach(d->irq_line, true, handler, arg);
}
