/*
 * vbe.c - the monitor and the modes that a video BIOS knows: at the start
 * the screen gets the monitor's own size, or the one that was named, where
 * the boot loader could not do that. Afterwards the mode stays.
 *
 * Source: VESA BIOS Extensions 3.0, chapter 4; VBE/DDC 1.1.
 * QEMU: any display under SeaBIOS and GRUB, -device VGA,xres=1600,yres=900
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/display.h"
#include "drivers/driver.h"
#include "drivers/framebuffer.h"
#include "kernel/bios.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum vbe_function {
    GET_CONTROLLER = 0x4f00, GET_MODE = 0x4f01, SET_MODE = 0x4f02,
    READ_DDC = 0x4f15, DONE = 0x004f,
};
enum {
    READ_EDID = 1, LINEAR = 0x4000, MODE_NUMBERS = 256, END = 0xffff,
    SUPPORTED = 0x01, GRAPHICS = 0x10, HAS_LINEAR = 0x80, DIRECT_COLOUR = 6,
    LOW_MEMORY = 0x100000, LEAST_WIDTH = 800,
};

struct __attribute__((packed)) controller {
    char signature[4];
    uint16_t version;
    uint32_t maker;
    uint32_t capabilities;
    uint16_t modes_offset, modes_segment;
};
struct __attribute__((packed)) mode_info {
    uint16_t attributes;
    uint8_t windows[14];
    uint16_t pitch, width, height;
    uint8_t character[3], bits, banks, model, bank_size, pages, reserved;
    struct {
        uint8_t bits, at;
    } red, green, blue;
    uint8_t unused[3];
    uint32_t address;
};
_Static_assert(offsetof(struct controller, modes_offset) == 14 &&
               offsetof(struct mode_info, address) == 40, "VBE 4.3, 4.4");

struct vbe_mode {
    struct framebuffer picture;
    uint16_t number;
};

static struct vbe_mode modes[MODE_NUMBERS];
static unsigned mode_count;
static const struct vbe_mode *chosen;

/* Calls with the buffer at es:di; true if the function knows itself. */
static bool run(struct bios_regs r)
{
    r.es = bios_buffer_segment();
    return bios_video(&r) == 0 && (r.eax & 0xffff) == DONE;
}

static bool call(enum vbe_function f, uint32_t bx, uint32_t cx)
{
    return run((struct bios_regs){ .eax = f, .ebx = bx, .ecx = cx });
}

/* Some BIOSes answer the first block whatever is asked for: no extension
 * begins as it does, so that edid.c passes it over. */
static bool read_block(unsigned block, uint8_t *bytes)
{
    memset(bios_buffer(), 0, EDID_BYTES);
    if (!run((struct bios_regs){ .eax = READ_DDC, .ebx = READ_EDID,
                                 .edx = block }))
        return false;
    memcpy(bytes, bios_buffer(), EDID_BYTES);
    return true;
}

static bool read_monitor(struct edid *e)
{
    uint8_t bytes[EDID_BLOCKS * EDID_BYTES];
    unsigned n = 0;

    do
        if (!read_block(n, bytes + n * EDID_BYTES))
            break;
    while (++n < EDID_BLOCKS && n <= bytes[EDID_EXTENSIONS]);
    return edid_parse(e, bytes, n * EDID_BYTES);
}

/* The numbers of all modes; answers how many. Their list is anywhere in low
 * memory, behind the information itself among others. */
static unsigned read_numbers(uint16_t *numbers)
{
    const struct controller *c = bios_buffer();
    uint32_t at;
    unsigned n = 0;

    memset(bios_buffer(), 0, 512);
    memcpy(bios_buffer(), "VBE2", 4);
    if (!call(GET_CONTROLLER, 0, 0) ||
        memcmp(c->signature, "VESA", 4) != 0 || c->version < 0x200)
        return 0;
    at = c->modes_segment * 16u + c->modes_offset;
    for (; n < MODE_NUMBERS && at + 2 <= LOW_MEMORY; at += 2, n++) {
        memcpy(&numbers[n], phys_to_virt(at), 2);
        if (numbers[n] == END)
            return n;
    }
    return n;
}

static bool read_mode(uint16_t number, struct framebuffer *f)
{
    enum { NEEDED = SUPPORTED | GRAPHICS | HAS_LINEAR };
    const struct mode_info *m = bios_buffer();

    memset(bios_buffer(), 0, 256);
    if (!call(GET_MODE, 0, number) ||
        (m->attributes & NEEDED) != NEEDED || m->model != DIRECT_COLOUR ||
        !m->address)
        return false;
    *f = (struct framebuffer){
        m->address, m->width, m->height, m->pitch,
        { m->bits, { m->red.at, m->red.bits },
          { m->green.at, m->green.bits }, { m->blue.at, m->blue.bits } },
    };
    return pixels_valid(&f->format);
}

static void read_modes(void)
{
    static uint16_t numbers[MODE_NUMBERS];
    unsigned n = read_numbers(numbers);

    mode_count = 0;
    for (unsigned i = 0; i < n; i++)
        if (read_mode(numbers[i], &modes[mode_count].picture))
            modes[mode_count++].number = numbers[i];
}

/* The mode of that size with the most bits a pixel; NULL: there is none. */
static const struct vbe_mode *find(struct mode wanted)
{
    const struct vbe_mode *best = NULL;

    for (unsigned i = 0; i < mode_count; i++) {
        const struct framebuffer *f = &modes[i].picture;

        if (f->width == wanted.width && f->height == wanted.height &&
            (!best || f->format.bits > best->picture.format.bits))
            best = &modes[i];
    }
    return best;
}

/* What to show instead of `d`: the size that was named, the monitor's own, a
 * usual one if there is nothing or almost nothing yet. NULL: `d` is right. */
static const struct vbe_mode *choose(const struct display *d,
                                     const struct edid *monitor)
{
    const struct mode wishes[] = {
        display_named_mode(), { monitor->width, monitor->height },
        { 1280, 800 }, { 1024, 768 }, { 800, 600 }, { 640, 480 },
    };
    unsigned n = d && d->width >= LEAST_WIDTH ? 2
                 : sizeof wishes / sizeof *wishes;

    for (unsigned i = 0; i < n; i++) {
        const struct vbe_mode *m;

        if (d && mode_same(wishes[i], (struct mode){ d->width, d->height }))
            return NULL;
        if (!wishes[i].width)
            continue;
        if (!mode_count)
            read_modes();
        m = find(wishes[i]);
        if (m)
            return m;
    }
    return NULL;
}

static int set_mode(struct display *d, struct mode m)
{
    if (!call(SET_MODE, chosen->number | LINEAR, 0))
        return -EIO;
    return framebuffer_change(&chosen->picture);
}

/* The driver lends itself for this one change. */
static int change(struct display *d)
{
    struct mode m = { chosen->picture.width, chosen->picture.height };
    int error;

    d->set_mode = set_mode;
    d->limits = (struct mode_limits){ m.width, m.height,
                                      (uint64_t)m.width * m.height, 1 };
    error = display_set_mode(d, m);
    d->set_mode = NULL;
    if (!error)
        klog("screen: VBE, %u x %u, %u bits\n", m.width, m.height,
             chosen->picture.format.bits);
    return error;
}

static int start_screen(void)
{
    if (!call(SET_MODE, chosen->number | LINEAR, 0))
        return -EIO;
    return framebuffer_register("VBE", &chosen->picture);
}

static int probe(struct pci_device *unused)
{
    struct display *d = framebuffer_within(0, UINT64_MAX);
    struct edid monitor = { 0 };
    int error = 0;

    if (!bios_allowed() || d != display_primary())
        return 0;
    if (read_monitor(&monitor))
        klog("screen: monitor %s, %u x %u pixels, %u x %u mm\n",
             monitor.name, monitor.width, monitor.height, monitor.width_mm,
             monitor.height_mm);
    chosen = choose(d, &monitor);
    if (chosen)
        error = d ? change(d) : start_screen();
    d = framebuffer_within(0, UINT64_MAX);
    if (d)
        d->edid = monitor;
    return error;
}

const struct driver vbe_driver = {
    .name = "vbe", .probe = probe, .early = true,
};
