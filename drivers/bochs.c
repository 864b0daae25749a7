/*
 * bochs.c - the Bochs VBE interface (QEMU docs/specs/standard-vga): the
 * first mode where the boot loader left no frame buffer, as under PVH; every
 * later one.
 * QEMU: -vga std, -device VGA,vgamem_mb=64, -device bochs-display
 */
#include <errno.h>
#include <stddef.h>

#include "drivers/display.h"
#include "drivers/driver.h"
#include "drivers/framebuffer.h"
#include "kernel/klog.h"
#include "kernel/pci.h"

/* BAR 2: the monitor's EDID, then registers of 16 bits each. */
enum { REGISTERS = 0x500, ID_FIRST = 0xb0c0, ID_LAST = 0xb0cf };
enum bochs_register {
    BOCHS_ID, BOCHS_WIDTH, BOCHS_HEIGHT, BOCHS_BPP, BOCHS_ENABLE, BOCHS_BANK,
    BOCHS_VIRTUAL_WIDTH, BOCHS_VIRTUAL_HEIGHT, BOCHS_X, BOCHS_Y,
};
enum { ENABLED = 0x01, LINEAR = 0x40 };
enum { MAX_WIDTH = 16000, MAX_HEIGHT = 12000, WIDTH_STEP = 8 };

static struct {
    volatile uint16_t *registers;
    uint64_t memory, bytes; /* physical */
} bochs;

static struct framebuffer picture(struct mode m)
{
    return (struct framebuffer){
        bochs.memory, m.width, m.height, m.width * 4, pixels_native,
    };
}

static void program(struct mode m)
{
    volatile uint16_t *r = bochs.registers;

    r[BOCHS_ENABLE] = 0;
    r[BOCHS_WIDTH] = (uint16_t)m.width;
    r[BOCHS_HEIGHT] = (uint16_t)m.height;
    r[BOCHS_BPP] = 32;
    r[BOCHS_VIRTUAL_WIDTH] = (uint16_t)m.width;
    r[BOCHS_X] = 0;
    r[BOCHS_Y] = 0;
    r[BOCHS_ENABLE] = ENABLED | LINEAR;
}

static int set_mode(struct display *d, struct mode m)
{
    struct framebuffer f = picture(m);
    int error = framebuffer_change(&f);

    if (!error)
        program(m);
    return error;
}

static void read_monitor(struct display *d, volatile const uint8_t *from)
{
    uint8_t bytes[EDID_BLOCKS * EDID_BYTES];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = from[i];
    edid_parse(&d->edid, bytes, sizeof bytes);
}

static struct mode own_mode(const struct display *d)
{
    return (struct mode){ d->edid.width, d->edid.height };
}

/* Without a boot loader's mode. */
static int start(const struct display *like)
{
    struct mode m = modes_choose(&like->limits, display_named_mode(),
                                 own_mode(like));
    struct framebuffer f = picture(m);

    if (!m.width)
        return -EINVAL;
    program(m);
    return framebuffer_register("Bochs VBE", &f);
}

/* A mode that was named and that the boot loader did not set. */
static void set_named_mode(struct display *d)
{
    struct mode m = display_named_mode();

    if (m.width && display_set_mode(d, m))
        klog("screen: no mode %u x %u\n", m.width, m.height);
}

static int probe(struct pci_device *dev)
{
    struct display like = { .set_mode = set_mode }, *d;
    volatile uint8_t *bar;
    uint64_t bytes;
    int error = 0;

    pci_enable(dev);
    bar = pci_map_bar(dev, 2, &bytes);
    bochs.memory = pci_bar_address(dev, 0, &bochs.bytes);
    if (!bar || !bochs.memory)
        return -ENODEV;
    if (display_primary() && !framebuffer_within(bochs.memory, bochs.bytes))
        return 0; /* there is a screen, and it is not this one */
    bochs.registers = (volatile uint16_t *)(volatile void *)(bar + REGISTERS);
    if (bochs.registers[BOCHS_ID] < ID_FIRST ||
        bochs.registers[BOCHS_ID] > ID_LAST)
        return -ENODEV;
    like.limits = (struct mode_limits){ MAX_WIDTH, MAX_HEIGHT,
                                        bochs.bytes / 4, WIDTH_STEP };
    read_monitor(&like, bar);
    if (!display_primary())
        error = start(&like);
    d = framebuffer_within(bochs.memory, bochs.bytes);
    if (error || !d)
        return error;
    d->edid = like.edid;
    d->limits = like.limits;
    d->set_mode = like.set_mode;
    set_named_mode(d);
    return 0;
}

static const struct pci_match ids[] = {
    { 0x1234, 0x1111, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0 },
};

const struct driver bochs_driver = {
    .name = "bochs", .ids = ids, .probe = probe, .early = true,
};
