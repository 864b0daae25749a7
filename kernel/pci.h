/*
 * pci.h - PCI functions: configuration space, BARs, capabilities,
 * interrupts. PCI Local Bus 3.0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/irq.h"

struct driver;

struct pci_device {
    uint8_t bus, slot, function;
    uint8_t class_code, subclass, prog_if, revision;
    uint8_t irq_line;
    uint16_t vendor, device;
    const struct driver *driver; /* who took it */
};

enum pci_class {
    PCI_CLASS_STORAGE = 1, PCI_CLASS_NETWORK = 2, PCI_CLASS_DISPLAY = 3,
    PCI_CLASS_BRIDGE = 6, PCI_CLASS_SERIAL_BUS = 12,
};
enum pci_register {
    PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_ID = 0x2e, PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
};
enum pci_capability {
    PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11,
};
enum pci_command {
    PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4,
    PCI_COMMAND_NO_INTX = 0x400,
};

/* Walks the buses; call once. */
void pci_init(void);
/* Function `index` in bus order, NULL past the end. */
struct pci_device *pci_device(unsigned index);

/* Registers 0 to 255, or 4095 through memory; what is not there reads as all
 * ones. */
uint8_t pci_read8(const struct pci_device *d, unsigned reg);
uint16_t pci_read16(const struct pci_device *d, unsigned reg);
uint32_t pci_read32(const struct pci_device *d, unsigned reg);
void pci_write8(const struct pci_device *d, unsigned reg, uint8_t v);
void pci_write16(const struct pci_device *d, unsigned reg, uint16_t v);
void pci_write32(const struct pci_device *d, unsigned reg, uint32_t v);

/* Offset of a capability; 0: none. `after` continues a search (0 starts). */
unsigned pci_find_capability(const struct pci_device *d, uint8_t id,
                             unsigned after);
/* Turns on decoding and bus mastering. */
void pci_enable(const struct pci_device *d);
/* No bus mastering any more: whatever the function still does, it reaches no
 * memory and signals nothing. For those that do not let themselves be reset. */
void pci_silence(const struct pci_device *d);
/* Maps memory BAR `bar` uncached; NULL if it is absent or a port BAR. */
volatile void *pci_map_bar(const struct pci_device *d, unsigned bar,
                           uint64_t *bytes);
/* Physical address and length of memory BAR `bar`; 0: none. */
uint64_t pci_bar_address(const struct pci_device *d, unsigned bar,
                         uint64_t *bytes);
/* First port of I/O BAR `bar`; 0: none. */
uint16_t pci_bar_port(const struct pci_device *d, unsigned bar);
/* From now on only legacy lines are routed, for machines on which messages
 * get lost. */
void pci_no_messages(void);
/* Finds out how configuration space is reached; pci_init does it. */
void pci_config_init(void);
bool pci_config_through_memory(void);
/* Routes the function's interrupt by message: MSI-X (entry 0, *msix is set)
 * or MSI. 0 or a negative errno. */
int pci_route_message(struct pci_device *d, irq_handler handler, void *arg,
                      int *msix);
/* Keeps the function's messages back, or lets them come. Any context. */
void pci_mask_message(struct pci_device *d, bool masked);
/* Routes the function's interrupt to `handler`: MSI-X (entry 0), MSI or
 * the legacy line, whichever is there first. 0 or a negative errno.
 * `*msix`, if wanted, tells that MSI-X is in use (virtio needs to know). */
int pci_route_irq(struct pci_device *d, irq_handler handler, void *arg,
                  int *msix);
