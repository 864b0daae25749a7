/*
 * fuzz_usb.c - plugs in devices that lie: whatever a keyboard, a composite
 * device or a stick answers is spoiled somewhere. They must be refused or
 * taken, without a wrong access, an endless loop or a device that is still
 * there after it was unplugged.
 *
 * The first byte of an input is what is plugged in, or that the rest goes to
 * the readers as it is; the rest says, answer by answer, how it is spoiled.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/usb_fake.h"

#include "drivers/scsi.h"
#include "drivers/usb/hid_report.h"
#include "drivers/usb/usb_descriptor.h"

enum kind { KEYBOARD, STICK, BYTES, KINDS };

/* --- where lies come from: bytes of the input, then honesty --- */

static const uint8_t *lies, *lies_end;

static unsigned lie(void) { return lies < lies_end ? *lies++ : 0; }

/* One answer in four is spoiled: refused, cut, lengthened, a byte changed. */
static int spoil_any(uint8_t *b, int n, int room)
{
    static const int errors[] = { -EPIPE, -EIO, -ETIMEDOUT, -EOVERFLOW };
    unsigned how = lie();

    if (how & 3 || !n)
        return n;
    switch (how >> 2 & 7) {
    case 0:
        return errors[lie() & 3];
    case 1:
        return (int)(lie() % (unsigned)n);
    case 2:
        while (n < room && n < 4096)
            b[n++] = (uint8_t)lie();
        return n;
    case 3:
        b[lie() % 8 % (unsigned)n] = (uint8_t)lie();
        break;
    default:
        for (unsigned k = 1 + lie() % 3; k; k--)
            b[(lie() | lie() << 8) % (unsigned)n] = (uint8_t)lie();
    }
    return n;
}

/* But for what tells a stick from others: each new one is remembered, and
 * there is room for few. */
static int spoil(struct fake_device *f, uint8_t *b, int n, int room)
{
    uint8_t numbers[4];
    bool device = n == 18 && b[1] == USB_DEVICE;

    memcpy(numbers, b + (device ? 8 : 0), device ? 4 : 0);
    n = spoil_any(b, n, room);
    if (device && n >= 12)
        memcpy(b + 8, numbers, 4);
    return n;
}

/* --- devices --- */

static const uint8_t composite[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x85, 0x01, 0x05, 0x07, 0x19, 0xe0,
    0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
    0x95, 0x06, 0x75, 0x08, 0x25, 0xff, 0x19, 0x00, 0x29, 0xff, 0x81, 0x00,
    0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x95, 0x05, 0x75, 0x01, 0x91, 0x02,
    0xa4, 0xb4, 0xc0,
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x85, 0x02, 0x09, 0x01, 0xa1, 0x00,
    0x05, 0x09, 0x19, 0x01, 0x29, 0x08, 0x15, 0x00, 0x25, 0x01, 0x95, 0x08,
    0x75, 0x01, 0x81, 0x02, 0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x16, 0x01,
    0x80, 0x26, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x06, 0x09, 0x38,
    0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06, 0xc0, 0xc0,
};

static struct fake_device keyboard;
static struct fake_stick stick;

static void say_things(struct fake_device *f)
{
    uint8_t bytes[1024];
    struct input_event e;

    for (unsigned i = 0; i < 8 && f->hear; i++) {
        unsigned n = lie() % 65;

        n = n < f->hear_room ? n : f->hear_room;
        for (unsigned k = 0; k < n; k++)
            bytes[k] = (uint8_t)lie();
        if (n)
            bytes[0] &= 3;
        fake_say(f, bytes, n);
        input_set_leds(lie() & 7);
        fake_settle();
    }
    while (input_next(&e))
        if (e.type == INPUT_POINTER && e.pointer.absolute &&
            (e.pointer.x < 0 || e.pointer.x > 65535 || e.pointer.y < 0 ||
             e.pointer.y > 65535))
            abort();
}

static bool try_keyboard(void)
{
    fake_hid(&keyboard, 1, 1, composite, sizeof composite);
    keyboard.spoil = spoil;
    keyboard.hear = NULL;
    fake_plug(&keyboard);
    if (keyboard.hear)
        say_things(&keyboard);
    return keyboard.hear != NULL;
}

/* What the disk claims may be wrong; what is read lies in our buffer. */
static bool try_stick(void)
{
    static uint8_t bytes[64 * 4096];
    struct block_device *b;
    bool taken = false;

    fake_storage(&stick.device);
    stick.device.serial = "F";
    stick.device.control = fake_stick_control;
    stick.device.bulk = fake_stick_bulk;
    stick.device.spoil = spoil;
    fake_plug(&stick.device);
    for (unsigned i = 0; (b = block_device(i)) != NULL; i++) {
        if (block_gone(b))
            continue;
        taken = true;
        if (b->sector_size > 4096 || b->sector_size < 512)
            abort();
        block_read(b, 0, 3, bytes);
        block_write(b, 1, 2, bytes);
        block_flush(b);
    }
    return taken;
}

static bool try_device(bool is_stick)
{
    bool taken = is_stick ? try_stick() : try_keyboard();

    fake_plug(NULL);
    if (fake_open || usb_busy())
        abort(); /* something of it is left */
    return taken;
}

/* The pure readers on bytes without any form; did the last one take them? */
static bool try_bytes(const uint8_t *data, size_t size)
{
    struct usb_device d = { .speed = USB_HIGH };
    struct scsi_geometry g;
    struct scsi_sense s;
    struct hid_map m;
    char text[16];
    int32_t v;

    usb_parse_device(&d, data, size);
    if (!usb_parse_config(&d, data, size) &&
        d.interface_count > USB_INTERFACES)
        abort();
    usb_parse_string(text, sizeof text, data, size);
    scsi_parse_inquiry(&g, data, size);
    scsi_parse_capacity10(&g, data, size);
    scsi_parse_capacity16(&g, data, size);
    scsi_parse_sense(&s, data, size);
    if (hid_parse(&m, data, size))
        return false;
    for (unsigned i = 0; i < m.count; i++)
        for (unsigned k = 0; k < m.fields[i].count; k++)
            hid_value(&m.fields[i], k, data, size, &v);
    return true;
}

static bool run(uint8_t *data, size_t size)
{
    if (!size)
        return false;
    if (data[0] % KINDS == BYTES)
        return try_bytes(data + 1, size - 1);
    if (!stick.bytes)
        fake_stick_init(&stick, 64, 512, "F");
    lies = data + 1;
    lies_end = data + size;
    return try_device(data[0] % KINDS == STICK);
}

/* Honest until the device is taken, or there would be nothing to damage; the
 * longer seeds lie after that. */
static const size_t honest = 128, lying = 4096;

static size_t seed(unsigned i, uint8_t *to)
{
    uint32_t any = i;
    size_t n = 1;

    if (i > 24)
        return 0;
    to[0] = i == 24 ? BYTES : i % 2 ? STICK : KEYBOARD;
    if (i == 24) {
        memcpy(to + 1, composite, sizeof composite);
        return 1 + sizeof composite;
    }
    for (; n <= honest >> i / 6; n++)
        to[n] = 1;
    for (; i > 1 && n < lying; n++)
        to[n] = (uint8_t)((any = any * 1664525 + 1013904223) >> 24);
    return n;
}

static const struct fuzz_target target = { seed, NULL, run, 24 };
