/*
 * hid_report.h - HID report descriptors, and values out of reports. Pure:
 * bytes of any kind give a sound answer; tests/unit/test_usb.c,
 * tests/fuzz/fuzz_usb.c.
 *
 * Usages are written as the standard's pages and numbers: page << 16 | id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HID_FIELDS = 64, HID_REPORTS = 16, HID_REPORT_BYTES = 1024 };
enum hid_kind { HID_INPUT, HID_OUTPUT, HID_KINDS };
enum hid_usage {
    HID_POINTER = 0x10001, HID_MOUSE = 0x10002,
    HID_X = 0x10030, HID_Y = 0x10031, HID_WHEEL = 0x10038,
    HID_KEYS = 0x70000, HID_KEYS_END = 0x700ff, HID_ROLL_OVER = 0x70001,
    HID_ROLL_OVER_END = 0x70003,
    HID_NUM_LOCK = 0x80001, HID_CAPS_LOCK = 0x80002, HID_SCROLL_LOCK = 0x80003,
    HID_BUTTON = 0x90001, HID_PAN = 0xc0238, HID_DIGITIZER = 0xd0001,
    HID_PEN = 0xd0002, HID_TOUCH_SCREEN = 0xd0004, HID_TIP = 0xd0042,
};

/* `count` values of `size` bits from bit `at` of the report on, its number
 * not counted. Value k of a variable field has usage `usage + k` (up to
 * `usage_end`); a value of an array field is itself a usage, `usage` standing
 * for logical_min. */
struct hid_field {
    enum hid_kind kind;
    uint8_t report;
    bool array, relative;
    uint8_t size;
    uint16_t at, count;
    uint32_t application, usage, usage_end;
    int32_t logical_min, logical_max;
};

struct hid_map {
    unsigned count;
    bool numbered; /* reports begin with their number */
    struct hid_field fields[HID_FIELDS];
    struct {
        uint8_t report;
        uint16_t bits[HID_KINDS];
    } reports[HID_REPORTS];
    unsigned report_count;
};

/* 0, or -EINVAL: not to be understood. */
int hid_parse(struct hid_map *m, const uint8_t *bytes, size_t n);
/* Bytes of a report, its number included; 0: there is none. */
unsigned hid_report_bytes(const struct hid_map *m, enum hid_kind kind,
                          uint8_t report);
/* The longest one of a kind. */
unsigned hid_longest(const struct hid_map *m, enum hid_kind kind);
/* Value k of field f in the n bytes after the report's number; false: the
 * report is too short for it. */
bool hid_value(const struct hid_field *f, unsigned k, const uint8_t *bytes,
               size_t n, int32_t *value);
/* Sets a bit of an output report likewise. */
void hid_set_bit(const struct hid_field *f, unsigned k, uint8_t *bytes,
                 size_t n);
