/*
 * log_text.c - text with a checksum that is true after every byte: a machine
 * may stop anywhere.
 */
#include "kernel/log_text.h"

#include <string.h>

#define MAGIC 0x31676f6c74737265ull
/* FNV-1a, 64 bits. */
#define HASH_START 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull

static uint64_t hash_on(uint64_t hash, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * HASH_PRIME;
    return hash;
}

void log_text_clear(struct log_text *t)
{
    t->used = t->unused = 0;
    t->hash = HASH_START;
    t->magic = MAGIC;
}

static void forget_half(struct log_text *t)
{
    const char *half = t->bytes + t->used / 2;
    const char *line = memchr(half, '\n', (size_t)(t->bytes + t->used - half));
    const char *from = line ? line + 1 : half;
    size_t left = (size_t)(t->bytes + t->used - from);

    memmove(t->bytes, from, left);
    t->used = (uint32_t)left;
    t->hash = hash_on(HASH_START, t->bytes, left);
}

void log_text_add(struct log_text *t, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (t->used == LOG_TEXT_BYTES)
            forget_half(t);
        t->bytes[t->used++] = bytes[i];
        t->hash = hash_on(t->hash, bytes + i, 1);
    }
}

bool log_text_valid(const struct log_text *t)
{
    return t->magic == MAGIC && t->used <= LOG_TEXT_BYTES &&
           t->hash == hash_on(HASH_START, t->bytes, t->used);
}
