/*
 * ids.h - what vendors call their devices: pci.ids and usb.ids, packed by
 * ids.awk and embedded (assets.def). Pure; tests/unit/test_ids.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct id_table {
    const char *text;
    size_t bytes;
};

/* Each writes a name of at most n - 1 bytes and answers `to`; "" where the
 * list has none. */
char *id_vendor(struct id_table t, unsigned vendor, char *to, size_t n);
char *id_device(struct id_table t, unsigned vendor, unsigned device, char *to,
                size_t n);
/* The subclass's, or the class's where the list knows no such subclass. */
char *id_class(struct id_table t, unsigned class_code, unsigned subclass,
               char *to, size_t n);
