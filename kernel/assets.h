/*
 * assets.h - files that are part of the kernel: the fonts.
 */
#pragma once

#include <stddef.h>

#define ASSET(id, name, file)                                                \
    extern const char asset_##id[], asset_##id##_end[];
#include "kernel/assets.def"
#undef ASSET

/* By name, with or without its ending (.ttf, .otf); NULL: none such. */
const void *asset_find(const char *name, size_t *bytes);
