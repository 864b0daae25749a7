/*
 * assets.c - the table of embedded files. assets.S embeds them;
 * assets.def lists them.
 */
#include "kernel/assets.h"

#include <string.h>

static const struct {
    const char *name, *start, *end;
} assets[] = {
#define ASSET(id, name, file) { name, asset_##id, asset_##id##_end },
#include "kernel/assets.def"
#undef ASSET
};

const void *asset_find(const char *name, size_t *bytes)
{
    const char *dot = strrchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : strlen(name);

    for (size_t i = 0; i < sizeof assets / sizeof *assets; i++) {
        if (strlen(assets[i].name) == n &&
            memcmp(assets[i].name, name, n) == 0) {
            *bytes = (size_t)(assets[i].end - assets[i].start);
            return assets[i].start;
        }
    }
    return NULL;
}
