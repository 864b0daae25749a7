/*
 * driver.h - a driver as the kernel sees it; drivers.def is the list.
 *
 * A list instead of a linker section: the section silently loses every
 * driver under --gc-sections without KEEP, the list cannot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pci_device;

/* A PCI function that a driver may want. ANY matches every value. */
struct pci_match {
    uint16_t vendor, device;
    int16_t class_code, subclass, prog_if;
};
enum { PCI_ANY_ID = 0xffff, PCI_ANY_CLASS = -1 };

struct driver {
    const char *name;
    /* Ends with an all-zero row. NULL: not a PCI device, probe is called
     * once with NULL. */
    const struct pci_match *ids;
    /* Takes the device and registers what it offers (block.h, input.h,
     * display.h). 0, or a negative errno when the device is not usable. */
    int (*probe)(struct pci_device *dev);
    /* A screen, probed before interrupts and clock run, so that whatever
     * goes wrong from there on can be seen. */
    bool early;
    /* Serves the driver's devices as their interrupts would, with interrupts
     * off. NULL: it cannot, or need not. */
    void (*poll)(void);
};

#define DRIVER(name) extern const struct driver name##_driver;
#include "drivers/drivers.def"
#undef DRIVER

/* These drivers are not asked: names separated by commas, for a machine that
 * one of them hangs. The text lives for ever. */
void drivers_leave_out(const char *names);
/* Offers every PCI function to the drivers that are `early` or not, in the
 * order of drivers.def; each function goes to the first that takes it. */
void drivers_probe(bool early);
/* Looks at all devices that can be looked at without interrupts, which are
 * off: for the end of a panic. */
void drivers_poll(void);
