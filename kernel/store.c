/*
 * store.c - a machine without an image store: nothing to open, nowhere to
 * save.
 */
#include "kernel/store.h"

#include <errno.h>
#include <stddef.h>

static const char none[] = "no disk with an image store";

int store_init(void) { return -ENOENT; }

struct store_image *store_open(const char *name, uint64_t *size,
                               const char **why)
{
    *why = none;
    return NULL;
}

struct store_image *store_create(const char *name, uint64_t size,
                                 const char **why)
{
    *why = none;
    return NULL;
}

int store_read(struct store_image *im, void *bytes, uint64_t n)
{
    return -EIO;
}

int store_write(struct store_image *im, const void *bytes, uint64_t n)
{
    return -EIO;
}

int store_close(struct store_image *im, bool commit) { return -EIO; }

const char *store_name(unsigned index) { return NULL; }
