/*
 * store.h - where images live on disk; the door between the platform and
 * the image store. Streams, one open at a time, like plat_image_*.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct store_image; /* the store's own */

/* Looks for a store on the block devices. 0; -ENOENT: none anywhere. */
int store_init(void);
/* Newest complete state of image `name`; NULL: *why says so in a line. */
struct store_image *store_open(const char *name, uint64_t *size,
                               const char **why);
/* A new state under `name`; the one before stays valid until store_close
 * commits. `size` is exact. NULL: *why. */
struct store_image *store_create(const char *name, uint64_t size,
                                 const char **why);
/* Exactly n bytes at the current position: 0, or a negative errno. */
int store_read(struct store_image *im, void *bytes, uint64_t n);
int store_write(struct store_image *im, const void *bytes, uint64_t n);
/* Ends it; for store_create, makes it the newest state if `commit`, else
 * leaves everything as it was. 0, or a negative errno: not saved. */
int store_close(struct store_image *im, bool commit);
/* Name of image `index`, newest first; NULL past the end. */
const char *store_name(unsigned index);
