/*
 * plugin_file.h - what FilePlugin and FileAttributesPlugin share: path
 * operands and the errors of the platform.
 */
#pragma once

#include "vm/platform.h"
#include "vm/primitives/prim.h"

enum { PATH_MAX_BYTES = 4096 };

/* Seconds from Smalltalk's epoch, 1901, to 1970. */
#define EPOCH_1901 2177452800ll

/* A byte object as a path; false: it is none, or too long, or has a NUL. */
bool file_path(oop o, char *to);
