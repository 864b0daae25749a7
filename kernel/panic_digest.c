/*
 * panic_digest.c - which lines of a panic matter to somebody far away.
 *
 * Knows how panic.c prints: registers as "rax 0123456789abcdef  rbx ...",
 * four a line, functions as "  0123456789abcdef name+12".
 */
#include "kernel/panic_digest.h"

#include <stdbool.h>
#include <string.h>

enum { HEX = 16, NAME = 3, REGISTER = NAME + 1 + HEX };

struct digest {
    char *to;
    size_t size, used;
};

static void put(struct digest *d, const char *bytes, size_t n)
{
    if (n > d->size - d->used)
        n = d->size - d->used;
    memcpy(d->to + d->used, bytes, n);
    d->used += n;
}

static bool is_hex(const char *p, size_t n)
{
    if (n < HEX)
        return false;
    for (size_t i = 0; i < HEX; i++)
        if (!strchr("0123456789abcdef", p[i]))
            return false;
    return true;
}

/* "rip", "cr2" and "err" say most. */
static void put_registers(struct digest *d, const char *line, size_t n)
{
    while (n >= REGISTER && is_hex(line + NAME + 1, n - NAME - 1)) {
        if (strncmp(line, "rip", NAME) == 0 ||
            strncmp(line, "cr2", NAME) == 0 ||
            strncmp(line, "err", NAME) == 0) {
            size_t zeros = 0;

            while (zeros < HEX - 1 && line[NAME + 1 + zeros] == '0')
                zeros++;
            put(d, line, NAME + 1);
            put(d, line + NAME + 1 + zeros, HEX - zeros);
            put(d, "\n", 1);
        }
        line += REGISTER;
        n -= REGISTER;
        while (n && *line == ' ') {
            line++;
            n--;
        }
    }
}

static void put_line(struct digest *d, const char *line, size_t n)
{
    while (n && *line == ' ') {
        line++;
        n--;
    }
    if (n > HEX + 1 && is_hex(line, n) && line[HEX + 1] != '?') {
        line += HEX + 1;
        n -= HEX + 1;
    }
    if (!n)
        return;
    put(d, line, n);
    put(d, "\n", 1);
}

/* The two lines for people at the screen begin so. */
static bool is_advice(const char *line, size_t n)
{
    static const char *const advice[] = { "What was saved", "The code on" };

    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
        if (n > strlen(advice[i]) &&
            memcmp(line, advice[i], strlen(advice[i])) == 0)
            return true;
    return false;
}

size_t panic_digest(const char *said, size_t n, char *to, size_t size)
{
    struct digest d = { to, size, 0 };
    const char *end = said + n;

    while (said < end) {
        const char *nl = memchr(said, '\n', (size_t)(end - said));
        size_t length = (size_t)((nl ? nl : end) - said);

        if (length > REGISTER && is_hex(said + NAME + 1,
                                        length - NAME - 1))
            put_registers(&d, said, length);
        else if (!is_advice(said, length))
            put_line(&d, said, length);
        said += length + 1;
    }
    if (d.used == size)
        while (d.used && to[d.used - 1] != '\n')
            d.used--;
    return d.used;
}
