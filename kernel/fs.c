/*
 * fs.c - the mounted volume.
 */
#include "kernel/fs.h"

#include <stddef.h>

static const struct fs_ops *mounted;

void fs_mount(const struct fs_ops *ops) { mounted = ops; }
const struct fs_ops *fs_mounted(void) { return mounted; }
