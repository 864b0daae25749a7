/*
 * vmmouse.c - the absolute pointer behind VMware's backdoor port.
 *
 * Source: open-vm-tools, backdoor_def.h; VMware's vmmouse protocol as QEMU's
 * hw/i386/vmmouse.c answers it.
 * QEMU: -M pc or q35 (vmport=on, vmmouse comes with it)
 *
 * The position is fetched from the port; that there is one is told by a
 * packet of the PS/2 mouse, a step to the right. The port is not touched
 * unless the processor says that it is not a real one.
 */
#include <errno.h>
#include <stddef.h>

#include "drivers/driver.h"
#include "drivers/input.h"
#include "drivers/ps2.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/klog.h"

#define MAGIC 0x564d5868u
#define ENABLE 0x45414552u
#define ABSOLUTE 0x53424152u
#define VERSION_ID 0x3442554au
enum {
    PORT = 0x5658, GET_VERSION = 10, GET_DATA = 39, GET_STATUS = 40,
    COMMAND = 41, STATUS_ERROR = 0xffff, EVENT_WORDS = 4,
};
enum { /* of an event's first word */
    BUTTON_LEFT = 0x20, BUTTON_RIGHT = 0x10, BUTTON_MIDDLE = 0x08,
    FLAG_RELATIVE = 0x10000,
};
enum { BELLS_MAX = 256, AXIS_MAX = 65535, EVENTS_MAX = 256 };

static struct {
    unsigned bells; /* packets that are still to come for events fetched */
    int32_t x, y;   /* as last told */
} mouse;

/* eax, ebx, ecx, edx of the answer. */
static void call(uint32_t command, uint32_t argument, uint32_t r[4])
{
    r[0] = MAGIC;
    r[1] = argument;
    r[2] = command;
    r[3] = PORT;
    vmware_backdoor(r);
}

static uint32_t status(void)
{
    uint32_t r[4];

    call(GET_STATUS, 0, r);
    return r[0];
}

static void order(uint32_t what)
{
    uint32_t r[4];

    call(COMMAND, what, r);
}

static int enable(void)
{
    uint32_t r[4];

    order(ENABLE);
    if (!(status() & 0xffff))
        return -EIO;
    call(GET_DATA, 1, r);
    if (r[0] != VERSION_ID)
        return -EIO;
    order(ABSOLUTE);
    return 0;
}

static uint8_t buttons_of(uint32_t flags)
{
    return (uint8_t)((flags & BUTTON_LEFT ? INPUT_LEFT : 0) |
                     (flags & BUTTON_RIGHT ? INPUT_RIGHT : 0) |
                     (flags & BUTTON_MIDDLE ? INPUT_MIDDLE : 0));
}

static int32_t axis(uint32_t v)
{
    return v > AXIS_MAX ? AXIS_MAX : (int32_t)v;
}

/* An event repeats the position although only a button has changed: then
 * the pointer stays where it is, which another mouse may have chosen. */
static void report(const uint32_t r[4])
{
    struct input_event e = { .type = INPUT_POINTER };

    e.pointer.buttons = buttons_of(r[0]);
    e.pointer.wheel = -(int8_t)r[3];
    if (r[0] & FLAG_RELATIVE) {
        e.pointer.x = (int16_t)r[1];
        e.pointer.y = -(int16_t)r[2];
    } else if (axis(r[1]) != mouse.x || axis(r[2]) != mouse.y) {
        e.pointer.absolute = true;
        e.pointer.x = mouse.x = axis(r[1]);
        e.pointer.y = mouse.y = axis(r[2]);
    }
    input_report(&e);
}

static void fetch(void)
{
    for (unsigned n = 0; n < EVENTS_MAX; n++) {
        uint32_t waiting = status(), r[4];

        if (waiting >> 16 == STATUS_ERROR) {
            enable();
            return;
        }
        if ((waiting & 0xffff) < EVENT_WORDS)
            return;
        call(GET_DATA, EVENT_WORDS, r);
        report(r);
        mouse.bells += mouse.bells < BELLS_MAX;
    }
}

/* Bells that found no room are added up. What is not a move to the right
 * alone is the mouse's own, and what comes without an event, too. */
static bool bell(const struct input_event *e)
{
    int32_t steps = e->pointer.x;

    fetch();
    if (steps < 1 || (unsigned)steps > mouse.bells || e->pointer.y ||
        e->pointer.wheel)
        return false;
    mouse.bells -= (unsigned)steps;
    return true;
}

static int probe(struct pci_device *unused)
{
    uint32_t r[4];
    int error;
    bool on;

    if (!cpu_is_virtual())
        return 0;
    call(GET_VERSION, ~MAGIC, r);
    if (r[1] != MAGIC || r[0] == UINT32_MAX)
        return 0;
    if (!ps2_on_packet(bell))
        return -ENODEV;
    on = irq_save();
    error = enable();
    irq_restore(on);
    if (!error)
        klog("vmmouse: absolute pointer\n");
    return error;
}

const struct driver vmmouse_driver = { .name = "vmmouse", .probe = probe };
