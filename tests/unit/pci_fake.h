/*
 * pci_fake.h - a PCI function around a driver under test: one BAR, which is
 * memory of the test's, and an interrupt that the test raises.
 */
#pragma once

#include <stdint.h>
#include <stddef.h>

#include "kernel/pci.h"
#include "tests/unit/kernel_fake.h"

static struct {
    volatile void *bar;
    uint64_t bytes;
    irq_handler handler; /* the driver's; NULL: not routed yet */
    void *arg;
    bool no_interrupt;   /* it cannot be routed */
} fake_pci;

/* As it is before its driver comes. */
static void fake_pci_reset(volatile void *bar, uint64_t bytes)
{
    memset(&fake_pci, 0, sizeof fake_pci);
    fake_pci.bar = bar;
    fake_pci.bytes = bytes;
}

static void fake_pci_interrupt(void)
{
    if (fake_pci.handler)
        fake_pci.handler(fake_pci.arg);
}

static unsigned __attribute__((unused)) pci_silenced;
void pci_enable(const struct pci_device *d) {}
void pci_silence(const struct pci_device *d) { pci_silenced++; }

volatile void *pci_map_bar(const struct pci_device *d, unsigned bar,
                           uint64_t *bytes)
{
    *bytes = fake_pci.bytes;
    return fake_pci.bar;
}

/* By messages, if the driver can tell several apart. */
int pci_route_irq(struct pci_device *d, irq_handler handler, void *arg,
                  int *msix)
{
    if (fake_pci.no_interrupt)
        return -ENODEV;
    fake_pci.handler = handler;
    fake_pci.arg = arg;
    if (msix)
        *msix = 1;
    return 0;
}
