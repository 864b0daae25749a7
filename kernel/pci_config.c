/*
 * pci_config.c - PCI configuration space: through memory where the firmware
 * says so (PCI Firmware Specification 3.0, chapter 4: MCFG), else through
 * ports 0xcf8 and 0xcfc, which reach the first 256 bytes only.
 *
 * Interrupt handlers may come here: the two ports belong together.
 */
#include <stddef.h>

#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, PORT_SPACE = 256 };
enum { BUSES = 256, BUS_BYTES = 1 << 20, FUNCTION_BYTES = 4096 };

static volatile char *bus_memory[BUSES];
static bool through_memory;

/* --- through memory --- */

/* Address of a bus's megabyte; 0: MCFG does not have it. */
static uint64_t bus_address(uint8_t bus)
{
    const struct acpi *a = acpi();

    for (unsigned i = 0; i < a->mcfg_count; i++)
        if (bus >= a->mcfg[i].first_bus && bus <= a->mcfg[i].last_bus)
            return a->mcfg[i].address + (uint64_t)bus * BUS_BYTES;
    return 0;
}

static volatile char *function_memory(const struct pci_device *d)
{
    uint64_t address;

    if (!through_memory)
        return NULL;
    if (!bus_memory[d->bus]) {
        address = bus_address(d->bus);
        if (address)
            bus_memory[d->bus] =
                vmm_map_device(address, BUS_BYTES, PAGE_UNCACHED);
    }
    if (!bus_memory[d->bus])
        return NULL;
    return bus_memory[d->bus] +
           (d->slot * 8u + d->function) * (size_t)FUNCTION_BYTES;
}

/* --- through ports --- */

static void select(const struct pci_device *d, unsigned reg)
{
    outl(CONFIG_ADDRESS, 0x80000000u | (uint32_t)d->bus << 16 |
                             (uint32_t)d->slot << 11 |
                             (uint32_t)d->function << 8 | (reg & 0xfc));
}

static uint32_t port_read(const struct pci_device *d, unsigned reg,
                          unsigned bytes)
{
    uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));
    bool on;
    uint32_t v;

    if (reg >= PORT_SPACE)
        return UINT32_MAX;
    on = irq_save();
    select(d, reg);
    v = bytes == 4 ? inl(port) : bytes == 2 ? inw(port) : inb(port);
    irq_restore(on);
    return v;
}

static void port_write(const struct pci_device *d, unsigned reg,
                       unsigned bytes, uint32_t v)
{
    uint16_t port = (uint16_t)(CONFIG_DATA + (reg & 3));
    bool on;

    if (reg >= PORT_SPACE)
        return;
    on = irq_save();
    select(d, reg);
    if (bytes == 4)
        outl(port, v);
    else if (bytes == 2)
        outw(port, (uint16_t)v);
    else
        outb(port, (uint8_t)v);
    irq_restore(on);
}

/* --- either --- */

uint32_t pci_read32(const struct pci_device *d, unsigned reg)
{
    volatile char *m = function_memory(d);

    return m ? *(volatile uint32_t *)(m + reg) : port_read(d, reg, 4);
}

uint16_t pci_read16(const struct pci_device *d, unsigned reg)
{
    volatile char *m = function_memory(d);

    return m ? *(volatile uint16_t *)(m + reg)
             : (uint16_t)port_read(d, reg, 2);
}

uint8_t pci_read8(const struct pci_device *d, unsigned reg)
{
    volatile char *m = function_memory(d);

    return m ? *(volatile uint8_t *)(m + reg)
             : (uint8_t)port_read(d, reg, 1);
}

void pci_write32(const struct pci_device *d, unsigned reg, uint32_t v)
{
    volatile char *m = function_memory(d);

    if (m)
        *(volatile uint32_t *)(m + reg) = v;
    else
        port_write(d, reg, 4, v);
}

void pci_write16(const struct pci_device *d, unsigned reg, uint16_t v)
{
    volatile char *m = function_memory(d);

    if (m)
        *(volatile uint16_t *)(m + reg) = v;
    else
        port_write(d, reg, 2, v);
}

void pci_write8(const struct pci_device *d, unsigned reg, uint8_t v)
{
    volatile char *m = function_memory(d);

    if (m)
        *(volatile uint8_t *)(m + reg) = v;
    else
        port_write(d, reg, 1, v);
}

bool pci_config_through_memory(void) { return through_memory; }

/* Firmware has been seen to name a place where nothing is: the host bridge
 * must look the same both ways, if the ports work at all. */
void pci_config_init(void)
{
    struct pci_device host = { .bus = 0 };
    uint32_t by_port = port_read(&host, 0, 4), by_memory;

    if (!acpi()->mcfg_count)
        return;
    through_memory = true;
    by_memory = pci_read32(&host, 0);
    if (by_memory == UINT32_MAX ||
        (by_port != UINT32_MAX && by_port != by_memory)) {
        through_memory = false;
        klog("pci: nothing where MCFG says configuration space is\n");
    }
}
