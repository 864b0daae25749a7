/*
 * fwcfg.c - QEMU's firmware configuration device (docs/specs/fw_cfg): how
 * tests reach a kernel that GRUB started.
 */
#include "kernel/fwcfg.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/cpu.h"

enum { SELECTOR = 0x510, DATA = 0x511 };
enum { KEY_SIGNATURE = 0x0000, KEY_DIRECTORY = 0x0019, MAX_FILES = 256 };

static const char file_name[] = "opt/aerostat/args";

static void read(void *to, size_t n)
{
    for (uint8_t *p = to; n; n--)
        *p++ = inb(DATA);
}

static uint32_t read_big_endian(unsigned bytes)
{
    uint32_t v = 0;

    while (bytes--)
        v = v << 8 | inb(DATA);
    return v;
}

static bool present(void)
{
    char signature[4];

    outw(SELECTOR, KEY_SIGNATURE);
    read(signature, sizeof signature);
    return memcmp(signature, "QEMU", 4) == 0;
}

/* Directory entries: size, key, two unused bytes, a name of 56. */
static bool find(uint16_t *key, uint32_t *bytes)
{
    char name[56];
    uint32_t count;

    outw(SELECTOR, KEY_DIRECTORY);
    count = read_big_endian(4);
    for (uint32_t i = 0; i < count && i < MAX_FILES; i++) {
        *bytes = read_big_endian(4);
        *key = (uint16_t)read_big_endian(2);
        read_big_endian(2);
        read(name, sizeof name);
        if (strncmp(name, file_name, sizeof name) == 0)
            return true;
    }
    return false;
}

void fwcfg_arguments(char *to, size_t size)
{
    uint16_t key;
    uint32_t bytes;

    to[0] = 0;
    if (!present() || !find(&key, &bytes))
        return;
    if (bytes > size - 1)
        bytes = (uint32_t)(size - 1);
    outw(SELECTOR, key);
    read(to, bytes);
    to[bytes] = 0;
}
