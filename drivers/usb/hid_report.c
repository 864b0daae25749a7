/*
 * hid_report.c - the language in which HID devices describe their reports.
 *
 * Source: Device Class Definition for HID 1.11, sections 5.3 to 5.8, 6.2.2.
 * QEMU: -device usb-kbd, usb-mouse, usb-tablet
 */
#include "drivers/usb/hid_report.h"

#include <errno.h>
#include <string.h>

enum { MAIN = 0, GLOBAL = 1, LOCAL = 2, LONG_ITEM = 0xfe };
enum main_tag { INPUT = 8, OUTPUT = 9, COLLECTION = 10, END_COLLECTION = 12 };
enum global_tag {
    USAGE_PAGE = 0, LOGICAL_MIN = 1, LOGICAL_MAX = 2, REPORT_SIZE = 7,
    REPORT_ID = 8, REPORT_COUNT = 9, PUSH = 10, POP = 11,
};
enum local_tag { USAGE = 0, USAGE_MIN = 1, USAGE_MAX = 2 };
enum main_bit { CONSTANT = 1, VARIABLE = 2, RELATIVE = 4 };
enum { STACK = 4, USAGES = 16, APPLICATION = 1 };

struct globals {
    uint32_t page;
    int32_t logical_min, logical_max;
    uint32_t logical_max_raw;
    uint32_t size, count;
    uint8_t report;
};

struct parser {
    struct hid_map *map;
    struct globals g, stack[STACK];
    unsigned depth;
    uint32_t usages[USAGES];
    unsigned usage_count;
    uint32_t usage_min, usage_max;
    bool has_range;
    uint32_t application;
    unsigned collections, application_depth;
};

struct item {
    unsigned type, tag, size;
    uint32_t raw;   /* as unsigned */
    int32_t number; /* as signed */
};

static int report_index(struct hid_map *m, uint8_t report)
{
    for (unsigned i = 0; i < m->report_count; i++)
        if (m->reports[i].report == report)
            return (int)i;
    if (m->report_count == HID_REPORTS)
        return -EINVAL;
    m->reports[m->report_count].report = report;
    return (int)m->report_count++;
}

/* A short usage gets its page when the main item comes (6.2.2.8). */
static uint32_t with_page(const struct parser *p, uint32_t usage)
{
    return usage >> 16 ? usage : p->g.page << 16 | usage;
}

static void add_field(struct parser *p, enum hid_kind kind, unsigned flags,
                      uint32_t usage, uint32_t usage_end, unsigned at,
                      unsigned count)
{
    struct hid_field *f = &p->map->fields[p->map->count];

    if (p->map->count == HID_FIELDS || !count || !p->g.size ||
        p->g.size > 32)
        return;
    *f = (struct hid_field){
        .kind = kind, .report = p->g.report, .array = !(flags & VARIABLE),
        .relative = flags & RELATIVE, .size = (uint8_t)p->g.size,
        .at = (uint16_t)at, .count = (uint16_t)count,
        .application = p->application, .usage = with_page(p, usage),
        .usage_end = with_page(p, usage_end),
        .logical_min = p->g.logical_min, .logical_max = p->g.logical_max,
    };
    /* 255 in one byte is -1 to those who forgot the sign. */
    if (f->logical_max < f->logical_min &&
        p->g.logical_max_raw <= INT32_MAX)
        f->logical_max = (int32_t)p->g.logical_max_raw;
    if (f->usage_end < f->usage)
        return;
    p->map->count++;
}

/* Usages one by one: each names one value, the last one all that remain. */
static void add_listed(struct parser *p, enum hid_kind kind, unsigned flags,
                       unsigned at)
{
    for (unsigned i = 0; i < p->usage_count && i < p->g.count; i++) {
        unsigned count = i + 1 == p->usage_count ? p->g.count - i : 1;

        add_field(p, kind, flags, p->usages[i], p->usages[i],
                  at + i * p->g.size, count);
    }
}

static int data_item(struct parser *p, enum hid_kind kind, unsigned flags)
{
    int report = report_index(p->map, p->g.report);
    uint16_t *bits;
    unsigned at;

    if (report < 0)
        return report;
    bits = &p->map->reports[report].bits[kind];
    at = *bits;
    if (p->g.size > 8 * HID_REPORT_BYTES ||
        p->g.count > 8 * HID_REPORT_BYTES ||
        at + p->g.size * p->g.count > 8 * HID_REPORT_BYTES)
        return -EINVAL;
    *bits += (uint16_t)(p->g.size * p->g.count);
    if (flags & CONSTANT)
        return 0;
    if (p->has_range)
        add_field(p, kind, flags, p->usage_min, p->usage_max, at,
                  p->g.count);
    else if (flags & VARIABLE)
        add_listed(p, kind, flags, at);
    return 0;
}

static int main_item(struct parser *p, const struct item *i)
{
    int error = 0;

    switch (i->tag) {
    case INPUT:
        error = data_item(p, HID_INPUT, i->raw);
        break;
    case OUTPUT:
        error = data_item(p, HID_OUTPUT, i->raw);
        break;
    case COLLECTION:
        p->collections++;
        if (i->raw == APPLICATION) {
            p->application_depth = p->collections;
            p->application = with_page(p, p->usage_count ? p->usages[0] : 0);
        }
        break;
    case END_COLLECTION:
        if (!p->collections)
            return -EINVAL;
        if (p->collections-- == p->application_depth)
            p->application = 0;
        break;
    }
    p->usage_count = 0;
    p->usage_min = p->usage_max = 0;
    p->has_range = false;
    return error;
}

static int global_item(struct parser *p, const struct item *i)
{
    struct globals *g = &p->g;

    switch (i->tag) {
    case USAGE_PAGE:
        g->page = i->raw & 0xffff;
        break;
    case LOGICAL_MIN:
        g->logical_min = i->number;
        break;
    case LOGICAL_MAX:
        g->logical_max = i->number;
        g->logical_max_raw = i->raw;
        break;
    case REPORT_SIZE:
        g->size = i->raw;
        break;
    case REPORT_ID:
        if (!i->raw || i->raw > 255)
            return -EINVAL;
        g->report = (uint8_t)i->raw;
        p->map->numbered = true;
        break;
    case REPORT_COUNT:
        g->count = i->raw;
        break;
    case PUSH:
        if (p->depth == STACK)
            return -EINVAL;
        p->stack[p->depth++] = *g;
        break;
    case POP:
        if (!p->depth)
            return -EINVAL;
        *g = p->stack[--p->depth];
        break;
    }
    return 0;
}

static void local_item(struct parser *p, const struct item *i)
{
    if (i->tag == USAGE && p->usage_count < USAGES) {
        p->usages[p->usage_count++] = i->raw;
    } else if (i->tag == USAGE_MIN) {
        p->usage_min = i->raw;
    } else if (i->tag == USAGE_MAX) {
        p->usage_max = i->raw;
        p->has_range = true;
    }
}

/* Reads one item; answers the bytes it takes, 0: cut off. */
static size_t read_item(struct item *i, const uint8_t *b, size_t n)
{
    unsigned size = b[0] & 3;
    uint32_t v = 0;

    size = size == 3 ? 4 : size;
    if (n < 1 + size)
        return 0;
    for (unsigned k = 0; k < size; k++)
        v |= (uint32_t)b[1 + k] << 8 * k;
    *i = (struct item){ b[0] >> 2 & 3, b[0] >> 4, size, v, (int32_t)v };
    if (size == 1)
        i->number = (int8_t)v;
    else if (size == 2)
        i->number = (int16_t)v;
    return 1 + size;
}

int hid_parse(struct hid_map *m, const uint8_t *bytes, size_t n)
{
    struct parser p = { .map = m };
    int error = 0;

    memset(m, 0, sizeof *m);
    for (size_t at = 0; at < n && !error;) {
        struct item i;
        size_t size;

        if (bytes[at] == LONG_ITEM) {
            size = at + 1 < n ? bytes[at + 1] + 3u : 0;
            if (!size || size > n - at)
                return -EINVAL;
            at += size;
            continue;
        }
        size = read_item(&i, bytes + at, n - at);
        if (!size)
            return -EINVAL;
        at += size;
        if (i.type == MAIN)
            error = main_item(&p, &i);
        else if (i.type == GLOBAL)
            error = global_item(&p, &i);
        else if (i.type == LOCAL)
            local_item(&p, &i);
    }
    return error ? error : m->count ? 0 : -EINVAL;
}

/* --- reports --- */

unsigned hid_report_bytes(const struct hid_map *m, enum hid_kind kind,
                          uint8_t report)
{
    for (unsigned i = 0; i < m->report_count; i++)
        if (m->reports[i].report == report && m->reports[i].bits[kind])
            return (m->reports[i].bits[kind] + 7u) / 8 + m->numbered;
    return 0;
}

unsigned hid_longest(const struct hid_map *m, enum hid_kind kind)
{
    unsigned longest = 0;

    for (unsigned i = 0; i < m->report_count; i++) {
        unsigned n = hid_report_bytes(m, kind, m->reports[i].report);

        longest = n > longest ? n : longest;
    }
    return longest;
}

bool hid_value(const struct hid_field *f, unsigned k, const uint8_t *bytes,
               size_t n, int32_t *value)
{
    unsigned at = f->at + k * f->size;
    uint64_t v = 0;

    if (at + f->size > n * 8)
        return false;
    for (unsigned i = 0; i < f->size; i++, at++)
        v |= (uint64_t)(bytes[at / 8] >> at % 8 & 1) << i;
    if (f->logical_min < 0 && (v >> (f->size - 1)))
        v |= ~0ull << f->size;
    *value = (int32_t)(uint32_t)v;
    return true;
}

void hid_set_bit(const struct hid_field *f, unsigned k, uint8_t *bytes,
                 size_t n)
{
    unsigned at = f->at + k * f->size;

    if (at < n * 8)
        bytes[at / 8] |= (uint8_t)(1u << at % 8);
}
