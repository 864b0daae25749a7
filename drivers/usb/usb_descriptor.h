/*
 * usb_descriptor.h - reading what devices say of themselves. Pure: bytes of
 * any kind give a sound answer; tests/unit/test_usb.c, tests/fuzz/fuzz_usb.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct usb_device;

enum { USB_DEVICE_BYTES = 18, USB_CONFIG_HEADER = 9 };

/* Fills in ids, class, string numbers, endpoint 0's packet size. 0, or
 * -EINVAL: not a device descriptor. */
int usb_parse_device(struct usb_device *d, const uint8_t *bytes, size_t n);
/* wTotalLength of a configuration descriptor, or -EINVAL. */
int usb_parse_config_length(const uint8_t *bytes, size_t n);
/* Fills in configuration, interfaces (their first setting) and endpoints;
 * what does not fit in or lies about itself is left out. 0 or -EINVAL. */
int usb_parse_config(struct usb_device *d, const uint8_t *bytes, size_t n);
/* A string descriptor as ASCII, '?' for what is not. Always ended by 0. */
void usb_parse_string(char *to, size_t size, const uint8_t *bytes, size_t n);
