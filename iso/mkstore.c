/*
 * mkstore.c - host tool: makes an image store in a file, or in a partition
 * of a disk image, and puts images into it. Uses the kernel's own store.c.
 *
 * mkstore FILE OFFSET SECTORS [NAME IMAGE]...   (in sectors of 512 bytes)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/block.h"
#include "kernel/store.h"

enum { SECTOR = 512 };

static FILE *file;
static uint64_t file_offset;

static int file_read(struct block_device *d, uint64_t sector, uint32_t count,
                     void *bytes)
{
    return fseek(file, (file_offset + sector) * SECTOR, SEEK_SET) ||
                   fread(bytes, SECTOR, count, file) != count
               ? -EIO
               : 0;
}

static int file_write(struct block_device *d, uint64_t sector,
                      uint32_t count, const void *bytes)
{
    return fseek(file, (file_offset + sector) * SECTOR, SEEK_SET) ||
                   fwrite(bytes, SECTOR, count, file) != count
               ? -EIO
               : 0;
}

static int file_flush(struct block_device *d)
{
    return fflush(file) ? -EIO : 0;
}

static const struct block_ops ops = {
    .read = file_read, .write = file_write, .flush = file_flush,
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "mkstore: %s: %s\n", what, why);
    exit(1);
}

static void add_image(const char *name, const char *path)
{
    static char buffer[1 << 16];
    struct store_image *im;
    const char *why;
    FILE *f = fopen(path, "rb");
    size_t n;
    long size;

    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0)
        die(path, strerror(errno));
    rewind(f);
    im = store_create(name, size, &why);
    if (!im)
        die(name, why);
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
        if (store_write(im, buffer, n))
            die(name, "cannot be written");
    if (store_close(im, true))
        die(name, "cannot be saved");
    fclose(f);
}

int main(int argc, char **argv)
{
    struct block_device d = { .ops = &ops, .sector_size = SECTOR };

    if (argc < 4 || argc % 2)
        die("usage", "mkstore FILE OFFSET SECTORS [NAME IMAGE]...");
    file = fopen(argv[1], "r+b");
    if (!file)
        die(argv[1], strerror(errno));
    file_offset = strtoull(argv[2], NULL, 10);
    d.sectors = strtoull(argv[3], NULL, 10);
    if (store_format(&d))
        die(argv[1], "cannot be formatted");
    for (int i = 4; i < argc; i += 2)
        add_image(argv[i], argv[i + 1]);
    return fclose(file) ? 1 : 0;
}
