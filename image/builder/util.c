/*
 * util.c - memory, interned names, text and messages for the builder.
 */
#include "builder.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

unsigned error_count;

void *xalloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p) {
        fputs("imagebuilder: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

void vec_grow(void **at, size_t *cap, size_t n, size_t size)
{
    void *bigger;

    if (n < *cap)
        return;
    *cap = *cap ? *cap * 2 : 8;
    bigger = xalloc(*cap * size);
    if (n)
        memcpy(bigger, *at, n * size);
    *at = bigger;
}

char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *text;
    long n;

    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    text = xalloc(n < 0 ? 1 : (size_t)n + 1);
    if (n < 0 || fread(text, 1, (size_t)n, f) != (size_t)n) {
        fclose(f);
        return NULL;
    }
    fclose(f);
    *size = (size_t)n;
    return text;
}

/* --- names: an open hash table that doubles --- */

static const char **names;
static size_t name_count, name_cap;

static size_t text_hash(const char *p, size_t n)
{
    size_t h = 14695981039346656037ull;

    while (n--)
        h = (h ^ (unsigned char)*p++) * 1099511628211ull;
    return h;
}

static const char **name_place(const char *p, size_t n)
{
    size_t i = text_hash(p, n) & (name_cap - 1);

    while (names[i] && (strncmp(names[i], p, n) || names[i][n]))
        i = (i + 1) & (name_cap - 1);
    return &names[i];
}

static void names_grow(void)
{
    const char **old = names;
    size_t old_cap = name_cap;

    name_cap = old_cap ? old_cap * 2 : 4096;
    names = xalloc(name_cap * sizeof *names);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i])
            *name_place(old[i], strlen(old[i])) = old[i];
}

const char *intern_n(const char *p, size_t n)
{
    const char **place;
    char *copy;

    if (name_count * 2 >= name_cap)
        names_grow();
    place = name_place(p, n);
    if (!*place) {
        copy = xalloc(n + 1);
        memcpy(copy, p, n);
        *place = copy;
        name_count++;
    }
    return *place;
}

const char *intern(const char *s) { return intern_n(s, strlen(s)); }

char *format_text(const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        exit(2);
    va_end(args);
    return text;
}

void report(const char *file, unsigned line, const char *fmt, ...)
{
    va_list args;

    error_count++;
    fprintf(stderr, "%s:%u: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

uint32_t utf8_next(const char **p, const char *end)
{
    const unsigned char *s = (const unsigned char *)*p;
    unsigned more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc2 ? 1 : 0;
    uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];

    if (more >= (size_t)(end - *p) + (more == 0) || s[0] > 0xf4)
        more = 0, c = s[0];
    for (unsigned i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            more = 0, c = s[0];
            break;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    *p += more + 1;
    return c;
}
