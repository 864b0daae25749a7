/*
 * ids.c - looks up names in what ids.awk wrote: lines "VVVV name" in order,
 * under each its devices as "\tDDDD name", then classes as "~CC name" and
 * "\tSS name". Bytes from 0x81 on stand for the words in the first lines.
 */
#include "kernel/ids.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_WORD = 0x81 };

static const char *end_of(struct id_table t) { return t.text + t.bytes; }

/* What follows the line at `p`, or the end. */
static const char *next_line(struct id_table t, const char *p)
{
    const char *nl = memchr(p, '\n', (size_t)(end_of(t) - p));

    return nl ? nl + 1 : end_of(t);
}

/* The first line behind the words. */
static const char *first_entry(struct id_table t)
{
    const char *p = t.text;

    while (p < end_of(t) && *p != '\n')
        p = next_line(t, p);
    return next_line(t, p);
}

static int compare(struct id_table t, const char *line, const char *key)
{
    size_t n = strlen(key), left = (size_t)(end_of(t) - line);
    int order = memcmp(line, key, n < left ? n : left);

    return order || left > n ? order : -1;
}

/* The line of a vendor or class, by halving; NULL: there is none. */
static const char *find_top(struct id_table t, const char *key)
{
    const char *low = first_entry(t), *high = end_of(t);

    while (low < high) {
        const char *middle = low + (high - low) / 2, *line = middle;
        int order;

        while (line > low && (line[-1] != '\n' || *line == '\t'))
            line--;
        order = compare(t, line, key);
        if (order == 0)
            return line;
        if (order > 0) {
            high = line;
            continue;
        }
        low = next_line(t, line);
        while (low < high && *low == '\t')
            low = next_line(t, low);
    }
    return NULL;
}

/* The line "\tKEY ..." under `top`. */
static const char *find_below(struct id_table t, const char *top,
                              const char *key)
{
    const char *p = next_line(t, top);

    for (; p < end_of(t) && *p == '\t'; p = next_line(t, p))
        if (compare(t, p + 1, key) == 0)
            return p + 1;
    return NULL;
}

/* Word `index` of the first lines. */
static const char *word(struct id_table t, unsigned index, size_t *n)
{
    const char *p = t.text;

    while (index-- && p < end_of(t))
        p = next_line(t, p);
    *n = 0;
    while (p + *n < end_of(t) && p[*n] != '\n')
        ++*n;
    return p;
}

static char *unpack(struct id_table t, const char *line, size_t key_bytes,
                    char *to, size_t n)
{
    size_t used = 0;
    const char *p = line ? line + key_bytes + 1 : end_of(t);

    for (; p < end_of(t) && *p != '\n'; p++) {
        const char *from = p;
        size_t count = 1;

        if ((unsigned char)*p >= FIRST_WORD)
            from = word(t, (unsigned char)*p - FIRST_WORD, &count);
        if (count > n - 1 - used)
            break;
        memcpy(to + used, from, count);
        used += count;
    }
    to[used] = 0;
    return to;
}

char *id_vendor(struct id_table t, unsigned vendor, char *to, size_t n)
{
    char key[12];

    snprintf(key, sizeof key, "%04x ", vendor & 0xffff);
    return unpack(t, find_top(t, key), 4, to, n);
}

char *id_device(struct id_table t, unsigned vendor, unsigned device, char *to,
                size_t n)
{
    char key[12];
    const char *top;

    snprintf(key, sizeof key, "%04x ", vendor & 0xffff);
    top = find_top(t, key);
    snprintf(key, sizeof key, "%04x ", device & 0xffff);
    return unpack(t, top ? find_below(t, top, key) : NULL, 4, to, n);
}

char *id_class(struct id_table t, unsigned class_code, unsigned subclass,
               char *to, size_t n)
{
    char key[12];
    const char *top, *below;

    snprintf(key, sizeof key, "~%02x ", class_code & 0xff);
    top = find_top(t, key);
    snprintf(key, sizeof key, "%02x ", subclass & 0xff);
    below = top ? find_below(t, top, key) : NULL;
    return below ? unpack(t, below, 2, to, n) : unpack(t, top, 3, to, n);
}
