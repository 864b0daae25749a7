/*
 * cmdline.h - the kernel's command line: words `name=value` or `name`,
 * separated by spaces, "quotes" keep spaces in a word. `image.args=` ends
 * it: what follows are the image's own words. Pure;
 * tests/unit/test_cmdline.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CMDLINE_BYTES = 2048, CMDLINE_WORDS = 64 };

struct cmdline {
    char text[CMDLINE_BYTES]; /* the words, each ended by a 0 */
    char *words[CMDLINE_WORDS];
    unsigned count;
    char *image_args[CMDLINE_WORDS + 1]; /* ends with NULL */
    unsigned image_arg_count;
};

void cmdline_parse(struct cmdline *c, const char *line);
/* Value of `name=value`, "" of a plain `name`; NULL: not given. The last
 * one wins. */
const char *cmdline_get(const struct cmdline *c, const char *name);
/* A size like 64M, 1G, 512k, 4096; false: none, or not a size. */
bool cmdline_size(const char *value, uint64_t *bytes);
