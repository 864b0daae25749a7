/*
 * usb_descriptor.c - device, configuration and string descriptors.
 *
 * Source: USB 2.0 section 9.6, USB 3.2 section 9.6, HID 1.11 section 6.2.1.
 * QEMU: every USB device
 */
#include "drivers/usb/usb_descriptor.h"

#include <errno.h>
#include <string.h>

#include "drivers/usb/usb.h"
#include "kernel/bytes.h"

int usb_parse_device(struct usb_device *d, const uint8_t *b, size_t n)
{
    if (n < USB_DEVICE_BYTES || b[0] < USB_DEVICE_BYTES || b[1] != USB_DEVICE)
        return -EINVAL;
    d->class_code = b[4];
    d->protocol = b[6];
    d->vendor = get16(b + 8);
    d->product = get16(b + 10);
    d->release = get16(b + 12);
    memcpy(d->string_index, b + 14, 3); /* maker, product, serial number */
    return b[17] ? 0 : -EINVAL; /* no configuration at all */
}

int usb_parse_config_length(const uint8_t *b, size_t n)
{
    if (n < USB_CONFIG_HEADER || b[0] < USB_CONFIG_HEADER ||
        b[1] != USB_CONFIGURATION || get16(b + 2) < USB_CONFIG_HEADER)
        return -EINVAL;
    return (int)get16(b + 2);
}

/* The interface that follows, unless it is another setting of the one
 * before, or one too many. */
static struct usb_interface *add_interface(struct usb_device *d,
                                           const uint8_t *b)
{
    struct usb_interface *i;

    if (b[0] < 9 || b[3] != 0 || d->interface_count == USB_INTERFACES)
        return NULL;
    i = &d->interfaces[d->interface_count++];
    memset(i, 0, sizeof *i);
    i->device = d;
    i->number = b[2];
    i->class_code = b[5];
    i->subclass = b[6];
    i->protocol = b[7];
    return i;
}

static bool address_in_use(const struct usb_device *d, uint8_t address)
{
    for (unsigned i = 0; i < d->interface_count; i++)
        for (unsigned k = 0; k < d->interfaces[i].endpoint_count; k++)
            if (d->interfaces[i].endpoints[k].address == address)
                return true;
    return false;
}

/* Largest packet by speed and type: sections 5.5.3 to 5.8.3; USB 3.2, 9.6.6.
 * A high-speed interrupt endpoint's further packets are bits 12 and 11. */
static struct usb_endpoint *add_endpoint(struct usb_interface *i,
                                         const uint8_t *b)
{
    struct usb_endpoint *e;
    unsigned packet, type, number;

    if (b[0] < 7 || i->endpoint_count == USB_ENDPOINTS)
        return NULL;
    packet = get16(b + 4) & 0x7ff;
    type = b[3] & 3;
    number = b[2] & 15;
    if (!number || !packet || packet > 1024 || (b[2] & 0x70) ||
        address_in_use(i->device, b[2]) ||
        (type != USB_BULK && type != USB_INTERRUPT))
        return NULL;
    e = &i->endpoints[i->endpoint_count++];
    memset(e, 0, sizeof *e);
    e->address = b[2];
    e->type = type;
    e->interval = b[6];
    e->max_packet = packet;
    if (i->device->speed == USB_HIGH && type == USB_INTERRUPT)
        e->burst = b[5] >> 3 & 3;
    return e;
}

int usb_parse_config(struct usb_device *d, const uint8_t *b, size_t n)
{
    struct usb_interface *i = NULL;
    struct usb_endpoint *e = NULL;
    int total = usb_parse_config_length(b, n);

    d->interface_count = 0;
    if (total < 0)
        return total;
    if ((size_t)total < n)
        n = total;
    d->configuration = b[5];
    for (size_t at = b[0]; at + 2 <= n; at += b[at]) {
        const uint8_t *p = b + at;

        if (p[0] < 2 || p[0] > n - at)
            break; /* what follows cannot be found */
        if (p[1] == USB_INTERFACE) {
            i = add_interface(d, p);
            e = NULL;
        } else if (p[1] == USB_ENDPOINT && i) {
            e = add_endpoint(i, p);
        } else if (p[1] == USB_COMPANION && e && p[0] >= 6) {
            e->burst = p[2] < 16 ? p[2] : 15;
        } else if (p[1] == USB_HID && i && p[0] >= 9 &&
                   i->class_code == USB_CLASS_HID) {
            if (p[6] == USB_HID_REPORT)
                i->report_bytes = get16(p + 7);
        }
    }
    return d->interface_count ? 0 : -EINVAL;
}

void usb_parse_string(char *to, size_t size, const uint8_t *b, size_t n)
{
    size_t used = 0;

    if (n >= 2 && b[1] == USB_STRING) {
        if (b[0] < n)
            n = b[0];
        for (size_t at = 2; at + 2 <= n && used + 1 < size; at += 2) {
            unsigned c = get16(b + at);

            if (c == 0)
                break;
            to[used++] = c >= 32 && c < 127 ? (char)c : '?';
        }
    }
    while (used && to[used - 1] == ' ')
        used--;
    to[used] = 0;
}
