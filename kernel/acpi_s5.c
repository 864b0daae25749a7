/*
 * acpi_s5.c - the sleep types that switch the machine off, out of AML.
 */
#include "kernel/acpi.h"

#include <string.h>

enum aml_op {
    AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_BYTE = 0x0a,
    AML_WORD = 0x0b, AML_DWORD = 0x0c, AML_PACKAGE = 0x12, AML_ROOT = '\\',
};

/* Reads an integer constant at *p; false: something else is there. */
static bool read_integer(const uint8_t **p, const uint8_t *end, uint8_t *v)
{
    const uint8_t *at = *p;
    unsigned bytes;

    if (at >= end)
        return false;
    switch (*at) {
    case AML_ZERO:
    case AML_ONE:
        *v = *at;
        *p = at + 1;
        return true;
    case AML_BYTE:
        bytes = 1;
        break;
    case AML_WORD:
        bytes = 2;
        break;
    case AML_DWORD:
        bytes = 4;
        break;
    default:
        return false;
    }
    if ((uint64_t)(end - at) < 1 + bytes)
        return false;
    *v = at[1];
    *p = at + 1 + bytes;
    return true;
}

/* PackageOp PkgLength NumElements Element...; PkgLength takes one byte plus
 * what its top two bits say. */
static bool read_package(const uint8_t *p, const uint8_t *end, uint8_t *a,
                         uint8_t *b)
{
    if (end - p < 4 || *p != AML_PACKAGE)
        return false;
    p++;
    p += 1 + (*p >> 6);
    if (p >= end || *p < 1)
        return false;
    unsigned elements = *p++;

    if (!read_integer(&p, end, a))
        return false;
    *b = *a;
    return elements < 2 || read_integer(&p, end, b);
}

bool acpi_find_s5(const uint8_t *aml, uint64_t bytes, uint8_t *a, uint8_t *b)
{
    const uint8_t *end = aml + bytes;

    for (uint64_t i = 1; i + 4 < bytes; i++) {
        const uint8_t *p = aml + i;

        if (memcmp(p, "_S5_", 4) != 0)
            continue;
        if (p[-1] != AML_NAME &&
            !(i >= 2 && p[-1] == AML_ROOT && p[-2] == AML_NAME))
            continue;
        if (read_package(p + 4, end, a, b))
            return true;
    }
    return false;
}
