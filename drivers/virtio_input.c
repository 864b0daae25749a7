/*
 * virtio_input.c - keyboards, mice and tablets of virtual machines.
 *
 * Source: OASIS Virtual I/O Device 1.1, section 5.8. Events are those of
 * Linux (linux/input-event-codes.h).
 * QEMU: -device virtio-keyboard-pci, virtio-mouse-pci, virtio-tablet-pci
 *
 * Events are taken apart in the interrupt handler, which only queues them;
 * the lamps are the machine's thread's.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/input.h"
#include "drivers/keymap.h"
#include "drivers/virtio.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { MODERN = 0x1052, EVENTS = 0, STATUS = 1, DEVICES = 8 };
enum { /* 5.8.5: the configuration is asked, answer by answer */
    CONFIG_SELECT = 0, CONFIG_SUBSELECT = 1, CONFIG_SIZE = 2, CONFIG_DATA = 8,
    ID_NAME = 0x01, EV_BITS = 0x11, ABS_INFO = 0x12, ANSWER_MAX = 128,
};
enum {
    EV_SYN = 0x00, EV_KEY = 0x01, EV_REL = 0x02, EV_ABS = 0x03, EV_LED = 0x11,
    REL_X = 0, REL_Y = 1, REL_HWHEEL = 6, REL_WHEEL = 8, ABS_X = 0, ABS_Y = 1,
    LED_NUM = 0, LED_CAPS = 1, LED_SCROLL = 2, LED_COUNT = 3,
    BTN_LEFT = 0x110, BTN_TOUCH = 0x14a, BTN_GEAR_DOWN = 0x150,
    BTN_GEAR_UP = 0x151, KEYS_MAX = 0x80,
};
enum { AXIS_MAX = 65535, KEY_BYTES = 32, LAMP_EVENTS = LED_COUNT + 1 };

struct event { /* 5.8.6 */
    uint16_t type, code;
    int32_t value;
};

struct shared {
    struct event heard[VIRTIO_SLOTS], lamps[LAMP_EVENTS];
};

struct axis {
    int32_t min, max; /* the same: there is none */
    int32_t at;       /* 0 to AXIS_MAX */
};

struct virtio_input {
    struct virtio_device virtio;
    struct shared *shared;
    uint64_t shared_phys;
    struct axis axes[2];
    bool has_lamps, lamps_stale; /* stale: could not be told yet */
    unsigned lamps_out;          /* events that the device has */
    uint8_t held[KEY_BYTES];     /* a bit for each usage */
    struct input_repeat repeat;
    /* what was heard since the last EV_SYN */
    struct input_event pointer;
    bool any, placed;
};

static struct virtio_input inputs[DEVICES];
static unsigned input_count;

/* --- events, in the interrupt handler --- */

/* HID usages of Linux's key codes from 96 on; those below are scan codes. */
static const uint8_t far_keys[] = {
    KEY_PAD_ENTER, KEY_RIGHT_CTRL, KEY_PAD_SLASH, 0x46 /* print screen */,
    KEY_RIGHT_ALT, 0, KEY_HOME, KEY_UP, KEY_PAGE_UP, KEY_LEFT, KEY_RIGHT,
    KEY_END, KEY_DOWN, KEY_PAGE_DOWN, KEY_INSERT, KEY_DELETE, 0, 0, 0, 0, 0,
    0x67 /* pad = */, 0, 0x48 /* pause */, 0, 0, 0, 0, 0, KEY_LEFT_GUI,
    KEY_RIGHT_GUI, 0x65 /* menu */,
};
enum { FAR_KEYS = 96 };
_Static_assert(FAR_KEYS + sizeof far_keys == KEYS_MAX, "a row for each");

static uint8_t usage_of(unsigned code)
{
    return code < FAR_KEYS ? keymap_usage(code) : far_keys[code - FAR_KEYS];
}

/* Repeated keys are our own affair: the device may do it as well. */
static void hear_key(struct virtio_input *in, unsigned code, bool down)
{
    uint8_t usage = usage_of(code), bit = (uint8_t)(1u << usage % 8);
    uint8_t *byte = &in->held[usage / 8];

    if (!usage || !(*byte & bit) == !down)
        return;
    *byte ^= bit;
    input_key(&in->repeat, usage, down);
}

static void hear_button(struct virtio_input *in, unsigned code, bool down)
{
    static const uint8_t buttons[] = {
        INPUT_LEFT, INPUT_RIGHT, INPUT_MIDDLE, INPUT_BACK, INPUT_FORWARD,
    };
    uint8_t bit = 0, *held = &in->pointer.pointer.buttons;

    if (code == BTN_GEAR_UP || code == BTN_GEAR_DOWN)
        in->pointer.pointer.wheel += !down ? 0 : code == BTN_GEAR_UP ? 1 : -1;
    else if (code == BTN_TOUCH)
        bit = INPUT_LEFT;
    else if (code >= BTN_LEFT && code - BTN_LEFT < sizeof buttons)
        bit = buttons[code - BTN_LEFT];
    else
        return;
    *held = (uint8_t)(down ? *held | bit : *held & ~bit);
    in->any = true;
}

static bool has_place(const struct virtio_input *in)
{
    return in->axes[0].min < in->axes[0].max &&
           in->axes[1].min < in->axes[1].max;
}

/* A tablet's steps, if it told any, would contradict its place. Wild sums
 * are cut to what a screen has. */
static void hear_step(struct virtio_input *in, unsigned code, int32_t v)
{
    struct input_event *e = &in->pointer;
    int32_t *to = code == REL_WHEEL    ? &e->pointer.wheel
                  : code == REL_HWHEEL ? &e->pointer.wheel_x
                  : has_place(in)      ? NULL
                  : code == REL_X      ? &e->pointer.x
                  : code == REL_Y      ? &e->pointer.y : NULL;

    if (!to)
        return;
    v = v > AXIS_MAX ? AXIS_MAX : v < -AXIS_MAX ? -AXIS_MAX : v;
    if (*to <= AXIS_MAX && *to >= -AXIS_MAX)
        *to += v;
    in->any = true;
}

static void hear_place(struct virtio_input *in, unsigned code, int32_t v)
{
    struct axis *a = &in->axes[code];
    int64_t range = (int64_t)a->max - a->min, at = (int64_t)v - a->min;

    at = at < 0 ? 0 : at > range ? range : at;
    a->at = (int32_t)(at * AXIS_MAX / range);
    in->any = in->placed = true;
}

/* A tablet that only tells of a button leaves the pointer where it is: it
 * may have been somebody else who put it there. */
static void hear_end(struct virtio_input *in)
{
    struct input_event *e = &in->pointer;
    uint8_t buttons = e->pointer.buttons;

    if (in->placed) {
        e->pointer.absolute = true;
        e->pointer.x = in->axes[0].at;
        e->pointer.y = in->axes[1].at;
    }
    e->type = INPUT_POINTER;
    if (in->any)
        input_report(e);
    memset(e, 0, sizeof *e);
    e->pointer.buttons = buttons;
    in->any = in->placed = false;
}

static void hear(struct virtio_input *in, const struct event *e)
{
    switch (e->type) {
    case EV_KEY:
        if (e->code < KEYS_MAX)
            hear_key(in, e->code, e->value != 0);
        else
            hear_button(in, e->code, e->value != 0);
        break;
    case EV_REL:
        hear_step(in, e->code, e->value);
        break;
    case EV_ABS:
        if (e->code <= ABS_Y && has_place(in))
            hear_place(in, e->code, e->value);
        break;
    case EV_SYN:
        hear_end(in);
        break;
    }
}

static void offer(struct virtio_input *in, unsigned slot)
{
    const struct virtio_part part = {
        in->shared_phys + offsetof(struct shared, heard) +
            slot * sizeof(struct event),
        sizeof(struct event), true,
    };

    virtio_offer(&in->virtio, &in->virtio.queues[EVENTS], slot, &part);
}

/* As many at a time as the device has: of more it tells again. */
static void hear_all(struct virtio_input *in)
{
    struct virtio_queue *q = &in->virtio.queues[EVENTS];
    uint32_t bytes;
    int slot;

    for (unsigned n = q->size; n; n--) {
        struct event e;

        slot = virtio_taken(q, &bytes);
        if (slot < 0)
            return;
        e = in->shared->heard[slot];
        if (bytes >= sizeof e)
            hear(in, &e);
        offer(in, (unsigned)slot);
    }
}

/* --- lamps --- */

static void tell_lamp(struct virtio_input *in, unsigned slot, uint16_t type,
                      uint16_t code, bool on)
{
    const struct virtio_part part = {
        in->shared_phys + offsetof(struct shared, lamps) +
            slot * sizeof(struct event),
        sizeof(struct event), false,
    };

    in->shared->lamps[slot] = (struct event){ type, code, on };
    virtio_offer(&in->virtio, &in->virtio.queues[STATUS], slot, &part);
    in->lamps_out++;
}

static void set_lamps(struct virtio_input *in)
{
    static const uint8_t leds[LED_COUNT] = {
        [LED_NUM] = INPUT_LED_NUM, [LED_CAPS] = INPUT_LED_CAPS,
        [LED_SCROLL] = INPUT_LED_SCROLL,
    };
    uint32_t bytes;

    while (in->lamps_out &&
           virtio_taken(&in->virtio.queues[STATUS], &bytes) >= 0)
        in->lamps_out--;
    in->lamps_stale = in->lamps_out > 0;
    if (in->lamps_stale)
        return;
    for (unsigned i = 0; i < LED_COUNT; i++)
        tell_lamp(in, i, EV_LED, (uint16_t)i, input_leds() & leds[i]);
    tell_lamp(in, LED_COUNT, EV_SYN, 0, false);
}

static void set_all_lamps(struct work *unused)
{
    for (unsigned i = 0; i < input_count; i++)
        if (inputs[i].has_lamps)
            set_lamps(&inputs[i]);
}

static struct work lamp_work = { .run = set_all_lamps };

static void interrupt(struct virtio_device *v)
{
    struct virtio_input *in =
        (void *)((char *)v - offsetof(struct virtio_input, virtio));

    hear_all(in);
    if (in->lamps_stale)
        work_post(&lamp_work, 0);
}

static void poll_all(void)
{
    for (unsigned i = 0; i < input_count; i++)
        hear_all(&inputs[i]);
}

/* --- probing: what it says it is --- */

/* Bytes of the answer, at most `room` of them in `to`. */
static unsigned ask(struct virtio_input *in, uint8_t what,
                    uint8_t of_what, void *to, unsigned room)
{
    struct virtio_device *v = &in->virtio;
    uint8_t *bytes = to;
    unsigned n;

    virtio_set_config8(v, CONFIG_SELECT, what);
    virtio_set_config8(v, CONFIG_SUBSELECT, of_what);
    n = virtio_config8(v, CONFIG_SIZE);
    if (n > ANSWER_MAX)
        return 0;
    n = n < room ? n : room;
    for (unsigned i = 0; i < n; i++)
        bytes[i] = virtio_config8(v, CONFIG_DATA + i);
    return n;
}

static bool has_events(struct virtio_input *in, uint8_t type)
{
    uint8_t bits;

    return ask(in, EV_BITS, type, &bits, sizeof bits) > 0;
}

static void read_axis(struct virtio_input *in, uint8_t number)
{
    int32_t range[2];

    if (ask(in, ABS_INFO, number, range, sizeof range) < sizeof range)
        return;
    in->axes[number].min = range[0];
    in->axes[number].max = range[1];
}

static void log_name(struct virtio_input *in)
{
    char name[64];
    unsigned n = ask(in, ID_NAME, 0, name, sizeof name - 1);

    name[n] = 0;
    for (unsigned i = 0; name[i]; i++)
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
    klog("input: %s, %s\n", name[0] ? name : "virtio device without a name",
         has_place(in)            ? "absolute pointer"
         : has_events(in, EV_REL) ? "relative pointer" : "keys");
}

static int virtio_input_probe(struct pci_device *dev)
{
    struct virtio_input *in = &inputs[input_count];
    int error;

    if (input_count == DEVICES)
        return -ENOSPC;
    memset(in, 0, sizeof *in);
    in->shared = dma_alloc(sizeof *in->shared, &in->shared_phys);
    if (!in->shared)
        return -ENOMEM;
    in->virtio.interrupt = interrupt;
    input_count++; /* whatever follows: the device may know our memory */
    error = virtio_open(&in->virtio, dev, 0, EVENTS, 2);
    if (error)
        return error;
    read_axis(in, ABS_X);
    read_axis(in, ABS_Y);
    in->has_lamps = has_events(in, EV_LED);
    if (in->has_lamps) {
        input_on_leds(&lamp_work);
        set_lamps(in);
    }
    log_name(in);
    for (unsigned i = 0; i < in->virtio.queues[EVENTS].size; i++)
        offer(in, i);
    return 0;
}

static const struct pci_match ids[] = {
    { VIRTIO_VENDOR, MODERN, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver virtio_input_driver = {
    .name = "virtio_input", .ids = ids, .probe = virtio_input_probe,
    .poll = poll_all,
};
