/*
 * usb_legacy.c - UHCI and OHCI controllers, which nobody drives: the log
 * says what that means, and the firmware keeps them, so that the keyboards
 * there go on as PS/2 ones where it offers that.
 *
 * Source: UHCI 1.1 and OHCI 1.0a, for the class codes alone.
 * QEMU: -device piix3-usb-uhci, -device pci-ohci
 */
#include "drivers/driver.h"
#include "kernel/klog.h"
#include "kernel/pci.h"

enum { SUBCLASS_USB = 0x03, UHCI = 0x00, OHCI = 0x10 };

static int probe(struct pci_device *dev)
{
    klog("usb: %s controller at %02x:%02x.%u: no driver; a keyboard there "
         "works if the firmware shows it as PS/2\n",
         dev->prog_if == UHCI ? "UHCI" : "OHCI", dev->bus, dev->slot,
         dev->function);
    return 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_SERIAL_BUS, SUBCLASS_USB, UHCI },
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_SERIAL_BUS, SUBCLASS_USB, OHCI },
    { 0, 0, 0, 0, 0 },
};

const struct driver usb_legacy_driver = {
    .name = "usb_legacy", .ids = ids, .probe = probe,
};
