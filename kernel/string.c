/*
 * string.c - memcpy and friends, instead of newlib's: those use streaming
 * stores, which are slow for the sizes that a VM moves, and may touch SSE
 * registers, which interrupt handlers must not. Plain 64-bit moves also beat
 * `rep movsb` by ten under emulation.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;

    for (; n >= 32; n -= 32, d += 32, s += 32) {
        word a = ((const word *)s)[0], b = ((const word *)s)[1];
        word c = ((const word *)s)[2], e = ((const word *)s)[3];

        ((word *)d)[0] = a;
        ((word *)d)[1] = b;
        ((word *)d)[2] = c;
        ((word *)d)[3] = e;
    }
    for (; n >= 8; n -= 8, d += 8, s += 8)
        *(word *)d = *(const word *)s;
    while (n--)
        *d++ = *s++;
    return to;
}

static void copy_backwards(unsigned char *d, const unsigned char *s, size_t n)
{
    d += n;
    s += n;
    for (; n >= 8; n -= 8) {
        d -= 8;
        s -= 8;
        *(word *)d = *(const word *)s;
    }
    while (n--)
        *--d = *--s;
}

/* memcpy reads 32 bytes before it writes any of them, so going forwards is
 * safe for every destination below the source. */
void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to - (uintptr_t)from >= n)
        return memcpy(to, from, n);
    copy_backwards(to, from, n);
    return to;
}

void *memset(void *to, int c, size_t n)
{
    unsigned char *d = to;
    word v = 0x0101010101010101ull * (unsigned char)c;

    for (; n >= 32; n -= 32, d += 32) {
        ((word *)d)[0] = v;
        ((word *)d)[1] = v;
        ((word *)d)[2] = v;
        ((word *)d)[3] = v;
    }
    for (; n >= 8; n -= 8, d += 8)
        *(word *)d = v;
    while (n--)
        *d++ = (unsigned char)c;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = a, *q = b;

    for (; n >= 8 && *(const word *)p == *(const word *)q; n -= 8) {
        p += 8;
        q += 8;
    }
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}
