/*
 * usb_hid.c - keyboards, mice and tablets.
 *
 * Source: HID 1.11 (section 7 requests, appendix B boot protocol), HID Usage
 * Tables 1.12 (pages 1, 7, 8, 9, 12, 13).
 * QEMU: -device usb-kbd, -device usb-mouse, -device usb-tablet
 *
 * Each interface is one of these; a keyboard with a pointer on board is
 * several, or one with both kinds of report. Reports are taken apart in the
 * interrupt handler, which only queues events; all else in the machine's
 * thread.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/input.h"
#include "drivers/usb/hid_report.h"
#include "drivers/usb/usb.h"
#include "kernel/klog.h"

enum {
    HIDS = 24, KEY_BYTES = 32, KEY_REPORTS = 4,
    SET_REPORT = 9, SET_IDLE = 10, SET_PROTOCOL = 11, OUTPUT_REPORT = 2,
    BOOT = 1, BOOT_KEYBOARD = 1, BOOT_MOUSE = 2,
    PROTOCOL_BOOT = 0, PROTOCOL_REPORT = 1,
    RETRY_USECS = 20 * 1000, RETRIES = 50, AXIS_MAX = 65535,
    LEDS_MAX_BYTES = 64, BUTTONS = 5,
};

struct hid {
    struct usb_interface *interface; /* NULL: free */
    struct usb_endpoint *endpoint;
    struct usb_memory buffer;
    unsigned bytes, failures;
    struct hid_map map;
    bool has_keys, has_pointer;
    /* keys held, by number of the report that told so */
    uint8_t reports[KEY_REPORTS], report_count;
    uint8_t held[KEY_REPORTS][KEY_BYTES], keys[KEY_BYTES];
    uint8_t buttons;
    int32_t x, y; /* absolute, as last told */
    struct input_repeat repeat;
    struct work restart;
};

static struct hid hids[HIDS];

/* Report descriptors of the boot protocol: appendix B. */
static const uint8_t boot_keyboard[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7,
    0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01,
    0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01,
    0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06,
    0x75, 0x08, 0x15, 0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19, 0x00, 0x29,
    0xff, 0x81, 0x00, 0xc0,
};
static const uint8_t boot_mouse[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03,
    0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01,
    0x75, 0x05, 0x81, 0x01, 0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81,
    0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06, 0xc0,
};

/* --- keys: in the interrupt handler --- */

/* Modifiers last among those let go and first among those pressed. */
static void tell_keys(struct hid *h, const uint8_t *keys, bool down)
{
    for (unsigned n = 0; n < 256; n++) {
        unsigned usage = down ? 255 - n : n;
        bool was = h->keys[usage / 8] >> usage % 8 & 1;
        bool is = keys[usage / 8] >> usage % 8 & 1;

        if (was != is && is == down)
            input_key(&h->repeat, (uint8_t)usage, down);
    }
}

static void update_keys(struct hid *h)
{
    uint8_t now[KEY_BYTES] = { 0 };

    for (unsigned r = 0; r < h->report_count; r++)
        for (unsigned i = 0; i < KEY_BYTES; i++)
            now[i] |= h->held[r][i];
    tell_keys(h, now, false);
    tell_keys(h, now, true);
    memcpy(h->keys, now, KEY_BYTES);
}

/* The usage that value k stands for; 0: none. */
static uint32_t usage_of(const struct hid_field *f, unsigned k, int32_t v)
{
    if (!f->array)
        return v && k <= f->usage_end - f->usage ? f->usage + k : 0;
    if (v < f->logical_min || v > f->logical_max ||
        (uint32_t)(v - f->logical_min) > f->usage_end - f->usage)
        return 0;
    return f->usage + (uint32_t)(v - f->logical_min);
}

/* Adds a field's keys; false: the keyboard has lost count of them. */
static bool add_keys(const struct hid_field *f, const uint8_t *bytes,
                     size_t n, uint8_t *keys)
{
    int32_t v;

    for (unsigned k = 0; k < f->count && hid_value(f, k, bytes, n, &v); k++) {
        uint32_t usage = usage_of(f, k, v), id = usage - HID_KEYS;

        if (usage >= HID_ROLL_OVER && usage <= HID_ROLL_OVER_END && f->array)
            return false;
        if (usage > HID_ROLL_OVER_END && usage <= HID_KEYS_END)
            keys[id / 8] |= (uint8_t)(1u << id % 8);
    }
    return true;
}

static bool is_keys(const struct hid_field *f)
{
    return f->kind == HID_INPUT && f->usage >= HID_KEYS &&
           f->usage <= HID_KEYS_END;
}

static void hear_keys(struct hid *h, unsigned r, const uint8_t *bytes,
                      size_t n)
{
    uint8_t keys[KEY_BYTES] = { 0 };

    for (unsigned i = 0; i < h->map.count; i++) {
        const struct hid_field *f = &h->map.fields[i];

        if (is_keys(f) && f->report == h->reports[r] &&
            !add_keys(f, bytes, n, keys))
            return;
    }
    memcpy(h->held[r], keys, KEY_BYTES);
    update_keys(h);
}

/* --- pointers: in the interrupt handler --- */

static bool is_pointer(const struct hid_field *f)
{
    switch (f->application) {
    case HID_POINTER: case HID_MOUSE: case HID_DIGITIZER: case HID_PEN:
    case HID_TOUCH_SCREEN:
        return f->kind == HID_INPUT && !f->array;
    }
    return false;
}

static int32_t scale(const struct hid_field *f, int32_t v)
{
    int64_t range = (int64_t)f->logical_max - f->logical_min;
    int64_t at = (int64_t)v - f->logical_min;

    if (range <= 0 || at < 0)
        return 0;
    return (int32_t)((at > range ? range : at) * AXIS_MAX / range);
}

/* What one report has told so far: of several fingers the first counts. */
struct pointer_report {
    struct input_event e;
    bool any, has_x, has_y;
};

static void pointer_value(struct hid *h, const struct hid_field *f,
                          unsigned k, int32_t v, struct pointer_report *p)
{
    uint32_t usage = f->usage + k;
    uint8_t bit = 0;

    if (usage > f->usage_end)
        return; /* more values than usages: padding */
    if ((usage == HID_X && !p->has_x) || (usage == HID_Y && !p->has_y)) {
        int32_t *to = usage == HID_X ? &p->e.pointer.x : &p->e.pointer.y;

        *(usage == HID_X ? &p->has_x : &p->has_y) = true;
        p->e.pointer.absolute = !f->relative;
        *to = f->relative ? v : scale(f, v);
    } else if (usage == HID_WHEEL) {
        p->e.pointer.wheel = v;
    } else if (usage == HID_PAN) {
        p->e.pointer.wheel_x = v;
    } else if (usage >= HID_BUTTON && usage < HID_BUTTON + BUTTONS) {
        bit = (uint8_t)(1u << (usage - HID_BUTTON));
    } else if (usage == HID_TIP) {
        bit = INPUT_LEFT;
    } else {
        return;
    }
    h->buttons = (uint8_t)(v ? h->buttons | bit : h->buttons & ~bit);
    p->any = true;
}

static void hear_pointer(struct hid *h, unsigned report, const uint8_t *bytes,
                         size_t n)
{
    struct pointer_report p = { .e = { .type = INPUT_POINTER } };

    for (unsigned i = 0; i < h->map.count; i++) {
        const struct hid_field *f = &h->map.fields[i];
        int32_t v;

        if (f->report != report || !is_pointer(f))
            continue;
        for (unsigned k = 0; k < f->count; k++)
            if (hid_value(f, k, bytes, n, &v))
                pointer_value(h, f, k, v, &p);
    }
    if (!p.any)
        return;
    if (p.e.pointer.absolute) {
        h->x = p.has_x ? p.e.pointer.x : h->x;
        h->y = p.has_y ? p.e.pointer.y : h->y;
        p.e.pointer.x = h->x;
        p.e.pointer.y = h->y;
    }
    p.e.pointer.buttons = h->buttons;
    input_report(&p.e);
}

static void hear(void *arg, int result)
{
    struct hid *h = arg;
    const uint8_t *bytes = h->buffer.bytes;
    unsigned report = 0;
    size_t n = (size_t)result;

    if (result < 0) {
        if (!usb_gone(h->interface->device) && h->failures++ < RETRIES)
            work_post(&h->restart, RETRY_USECS);
        return;
    }
    h->failures = 0;
    if (h->map.numbered) {
        if (!n--)
            return;
        report = *bytes++;
    }
    for (unsigned r = 0; r < h->report_count; r++)
        if (h->reports[r] == report)
            hear_keys(h, r, bytes, n);
    if (h->has_pointer)
        hear_pointer(h, report, bytes, n);
}

/* --- in the machine's thread --- */

static void restart(struct work *w)
{
    struct hid *h = (struct hid *)((char *)w - offsetof(struct hid, restart));

    if (!h->interface)
        return;
    if (usb_clear_halt(h->interface, h->endpoint) == 0)
        usb_listen(h->interface, h->endpoint, &h->buffer, h->bytes, hear, h);
    else if (!usb_gone(h->interface->device) && h->failures++ < RETRIES)
        work_post(w, RETRY_USECS);
}

static unsigned lamp(uint32_t usage)
{
    return usage == HID_NUM_LOCK ? INPUT_LED_NUM
           : usage == HID_CAPS_LOCK ? INPUT_LED_CAPS
           : usage == HID_SCROLL_LOCK ? INPUT_LED_SCROLL : 0;
}

/* All lamps of one report; others of that report stay off. */
static void set_lamps(struct hid *h)
{
    uint8_t bytes[LEDS_MAX_BYTES] = { 0 };
    unsigned report = 0, n = 0;

    for (unsigned i = 0; i < h->map.count; i++) {
        const struct hid_field *f = &h->map.fields[i];

        if (f->kind != HID_OUTPUT || f->array || (n && f->report != report))
            continue;
        for (unsigned k = 0; k < f->count; k++) {
            unsigned bit = lamp(f->usage + k);

            if (!bit)
                continue;
            report = f->report;
            n = hid_report_bytes(&h->map, HID_OUTPUT, f->report);
            if (n > sizeof bytes)
                return;
            if (bit & input_leds())
                hid_set_bit(f, k, bytes + h->map.numbered,
                            n - h->map.numbered);
        }
    }
    bytes[0] |= h->map.numbered ? report : 0;
    if (n)
        usb_control(h->interface->device, USB_CLASS | USB_TO_INTERFACE,
                    SET_REPORT, OUTPUT_REPORT << 8 | report,
                    h->interface->number, bytes, n);
}

static void set_all_lamps(struct work *unused)
{
    for (unsigned i = 0; i < HIDS; i++)
        if (hids[i].interface && hids[i].has_keys)
            set_lamps(&hids[i]);
}

static struct work lamp_work = { .run = set_all_lamps };

/* --- plugging in --- */

static int request(struct usb_interface *i, unsigned request_number,
                   unsigned value)
{
    return usb_control(i->device, USB_CLASS | USB_TO_INTERFACE,
                       request_number, value, i->number, NULL, 0);
}

/* Notes what the map is good for; false: nothing that we know. */
static bool look_at_map(struct hid *h)
{
    h->report_count = 0;
    h->has_keys = h->has_pointer = false;
    for (unsigned i = 0; i < h->map.count; i++) {
        const struct hid_field *f = &h->map.fields[i];
        unsigned r = 0;

        if (is_pointer(f))
            h->has_pointer = true;
        if (!is_keys(f))
            continue;
        while (r < h->report_count && h->reports[r] != f->report)
            r++;
        if (r == h->report_count && r < KEY_REPORTS)
            h->reports[h->report_count++] = f->report;
        h->has_keys = true;
    }
    return h->has_keys || h->has_pointer;
}

/* The device's own description of its reports. */
static int read_map(struct hid *h)
{
    static uint8_t bytes[4096];
    struct usb_interface *i = h->interface;
    unsigned n = i->report_bytes < sizeof bytes ? i->report_bytes
                                                : sizeof bytes;
    int got = usb_control(i->device, USB_IN | USB_TO_INTERFACE,
                          USB_GET_DESCRIPTOR, USB_HID_REPORT << 8, i->number,
                          bytes, n);
    int error = got < 0 ? got : hid_parse(&h->map, bytes, (size_t)got);

    return error ? error : look_at_map(h) ? 0 : -ENODEV;
}

/* A keyboard or mouse that cannot be understood still speaks as it does to
 * the firmware. */
static int use_boot_protocol(struct hid *h)
{
    struct usb_interface *i = h->interface;
    int error;

    if (i->subclass != BOOT ||
        (i->protocol != BOOT_KEYBOARD && i->protocol != BOOT_MOUSE))
        return -ENODEV;
    error = request(i, SET_PROTOCOL, PROTOCOL_BOOT);
    if (error < 0)
        return error;
    klog("usb: %s: report descriptor not usable, boot protocol\n",
         usb_path(i->device));
    if (i->protocol == BOOT_KEYBOARD)
        hid_parse(&h->map, boot_keyboard, sizeof boot_keyboard);
    else
        hid_parse(&h->map, boot_mouse, sizeof boot_mouse);
    look_at_map(h);
    return 0;
}

static int start(struct hid *h)
{
    struct usb_interface *i = h->interface;
    int error;

    h->buffer = usb_page();
    if (!h->buffer.bytes)
        return -ENOMEM;
    if (i->subclass == BOOT)
        request(i, SET_PROTOCOL, PROTOCOL_REPORT);
    error = read_map(h);
    if (error && error != -ENODEV)
        error = use_boot_protocol(h);
    if (error)
        return error;
    /* Reports only when something changes; not every device knows this. */
    request(i, SET_IDLE, 0);
    h->bytes = hid_longest(&h->map, HID_INPUT);
    if (h->bytes < h->endpoint->max_packet)
        h->bytes = h->endpoint->max_packet;
    if (h->has_keys)
        set_lamps(h);
    return usb_listen(i, h->endpoint, &h->buffer, h->bytes, hear, h);
}

static struct hid *new_hid(void)
{
    for (unsigned k = 0; k < HIDS; k++)
        if (!hids[k].interface)
            return &hids[k];
    return NULL;
}

static int attach(struct usb_interface *i)
{
    struct usb_endpoint *e = usb_find_endpoint(i, USB_INTERRUPT, USB_IN);
    struct hid *h = new_hid();
    int error;

    if (!e || !h)
        return e ? -ENOSPC : -EINVAL;
    memset(h, 0, sizeof *h);
    h->interface = i;
    h->endpoint = e;
    h->restart.run = restart;
    i->data = h;
    input_on_leds(&lamp_work);
    error = start(h);
    if (error) {
        usb_page_free(h->buffer);
        h->interface = NULL;
    }
    return error;
}

/* Whatever was held is let go. */
static void detach(struct usb_interface *i)
{
    struct hid *h = i->data;
    struct input_event e = { .type = INPUT_POINTER };

    memset(h->held, 0, sizeof h->held);
    update_keys(h);
    if (h->buttons)
        input_report(&e);
    work_cancel(&h->repeat.work);
    work_cancel(&h->restart);
    usb_page_free(h->buffer);
    h->interface = NULL;
}

const struct usb_class usb_hid_class = {
    .name = "keyboard or pointer", .class_code = USB_CLASS_HID, .subclass = -1,
    .protocol = -1, .attach = attach, .detach = detach,
};
