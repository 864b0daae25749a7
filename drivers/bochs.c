/*
 * bochs.c - the Bochs VBE interface (QEMU docs/specs/standard-vga), used
 * when the boot loader left no frame buffer, as under PVH.
 * QEMU: -vga std, -device bochs-display, -device virtio-vga
 */
#include "drivers/bochs.h"

#include <errno.h>

#include "drivers/display.h"
#include "drivers/driver.h"
#include "drivers/framebuffer.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

/* Registers: 16 bits each in BAR 2 from 0x500 on. */
enum { REGISTERS = 0x500, ID_FIRST = 0xb0c0, ID_LAST = 0xb0cf };
enum bochs_register {
    BOCHS_ID, BOCHS_WIDTH, BOCHS_HEIGHT, BOCHS_BPP, BOCHS_ENABLE, BOCHS_BANK,
    BOCHS_VIRTUAL_WIDTH, BOCHS_VIRTUAL_HEIGHT, BOCHS_X, BOCHS_Y,
};
enum { ENABLED = 0x01, LINEAR = 0x40 };

static uint32_t want_width = 1280, want_height = 800;

void bochs_want_mode(uint32_t width, uint32_t height)
{
    want_width = width;
    want_height = height;
}

static void set_mode(volatile uint16_t *r)
{
    r[BOCHS_ENABLE] = 0;
    r[BOCHS_WIDTH] = (uint16_t)want_width;
    r[BOCHS_HEIGHT] = (uint16_t)want_height;
    r[BOCHS_BPP] = 32;
    r[BOCHS_VIRTUAL_WIDTH] = (uint16_t)want_width;
    r[BOCHS_X] = 0;
    r[BOCHS_Y] = 0;
    r[BOCHS_ENABLE] = ENABLED | LINEAR;
}

static int probe(struct pci_device *dev)
{
    uint64_t bytes, memory;
    volatile char *bar;
    volatile uint16_t *r;

    if (display_primary())
        return 0; /* the boot loader's mode stays */
    pci_enable(dev);
    bar = pci_map_bar(dev, 2, &bytes);
    memory = pci_bar_address(dev, 0, &bytes);
    if (!bar || !memory)
        return -ENODEV;
    r = (volatile uint16_t *)(bar + REGISTERS);
    if (r[BOCHS_ID] < ID_FIRST || r[BOCHS_ID] > ID_LAST)
        return -ENODEV;
    if ((uint64_t)want_width * want_height * 4 > bytes)
        return -EINVAL;
    set_mode(r);
    return framebuffer_register("Bochs VBE", memory, want_width, want_height,
                                want_width * 4);
}

static const struct pci_match ids[] = {
    { 0x1234, 0x1111, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0 },
};

const struct driver bochs_driver = {
    .name = "bochs", .ids = ids, .probe = probe, .early = true,
};
