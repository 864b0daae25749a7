/*
 * store.h - where images live on disk; the door between the platform and
 * the image store. Streams, one open at a time, like plat_image_*.
 *
 * On disk, in blocks of 4096 bytes:
 *
 *   0          superblock: written once, by store_format
 *   1 .. 64    slot headers: name, generation, extent, checksums
 *   65 ..      extents, one whole image each, up to the device's end: a
 *              store grows with its partition, and nothing here is rewritten
 *
 * An image owns up to two slots. A save writes its bytes outside the newest
 * slot's extent, flushes, then writes the header of the slot it replaces and
 * flushes again. Whatever instant the power goes, the newest slot is whole:
 * a header counts only with its own checksum right, and store_open checks
 * the image's bytes before it answers, falling back to the older slot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct block_device;
struct store_image; /* the store's own */

enum { STORE_NAME_MAX = 63 };

/* Looks for a store on the block devices. 0; -ENOENT: none anywhere. */
int store_init(void);
/* Uses this device's store. 0, -ENOENT (none there), -EIO. */
int store_mount(struct block_device *d);
/* Makes an empty store; everything on `d` is lost. 0 or a negative errno. */
int store_format(struct block_device *d);
/* No store is in use any more. */
void store_unmount(void);
/* The device in use, or NULL. */
struct block_device *store_device(void);

/* Newest complete state of image `name`; *why is NULL, or says in a line why
 * it is not the last save. NULL: *why says why there is none. */
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
/* Forgets every state of image `name`, the newest last: until then it is what
 * it was. 0, or -1: *why. No stream is open. */
int store_remove(const char *name, const char **why);
/* Name of image `index`, newest first; NULL past the end. */
const char *store_name(unsigned index);
