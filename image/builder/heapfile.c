/*
 * heapfile.c - Spur objects in one segment, and the file they make.
 *
 * Owns addresses, headers and hashes; knows no class by name.
 * Source: OpenSmalltalk Spur 64-bit, image format 68533.
 */
#include "builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Free on Linux (with and without ASan) and in the kernel's lower half. */
#define IMAGE_BASE 0x200000000000ull
#define IMAGE_FORMAT 68533u
#define HEADER_SIZE 128
#define HEAP_LIMIT (512ull << 20)
#define FLAG_FLOATS_LITTLE_ENDIAN 2

static uint8_t *heap;
static size_t heap_used;
static uint32_t hash_seed = 0x2545f491; /* odd: it never becomes 0 */

oop_t oop_nil, oop_false, oop_true;

static uint64_t *word_at(size_t offset)
{
    return (uint64_t *)(heap + offset);
}

static uint64_t *header_of(oop_t o) { return word_at(o - IMAGE_BASE); }

uint64_t *obj_slots(oop_t o) { return header_of(o) + 1; }

/* The heap never moves, so that slots may be set from expressions that
 * allocate; untouched pages cost nothing. */
static void reserve(size_t more)
{
    if (!heap)
        heap = calloc(1, HEAP_LIMIT);
    if (!heap || heap_used + more > HEAP_LIMIT) {
        fputs("imagebuilder: out of memory\n", stderr);
        exit(2);
    }
}

oop_t obj_new(unsigned class_index, unsigned format, size_t slots)
{
    size_t body = slots ? slots : 1;
    oop_t o;

    reserve(8 * body + 16);
    if (slots >= 255) {
        *word_at(heap_used) = 255ull << 56 | slots;
        heap_used += 8;
    }
    o = IMAGE_BASE + heap_used;
    *header_of(o) = (uint64_t)(slots < 255 ? slots : 255) << 56 |
                    (uint64_t)format << 24 | class_index;
    for (size_t i = 0; format <= 5 && i < slots; i++)
        obj_slots(o)[i] = oop_nil;
    heap_used += 8 + 8 * body;
    return o;
}

oop_t obj_bytes(unsigned class_index, unsigned format, const void *data,
                size_t size)
{
    size_t slots = (size + 7) / 8;
    oop_t o = obj_new(class_index, format + (unsigned)(slots * 8 - size),
                      slots);

    if (size)
        memcpy(obj_slots(o), data, size);
    return o;
}

void obj_set_hash(oop_t o, uint32_t hash)
{
    *header_of(o) |= (uint64_t)hash << 32;
}

uint32_t obj_hash(oop_t o)
{
    return (uint32_t)(*header_of(o) >> 32 & 0x3fffff);
}

void obj_give_hash(oop_t o)
{
    uint32_t hash;

    do {
        hash_seed *= 16807;
        hash = (hash_seed + (hash_seed >> 4)) & 0x3fffff;
    } while (!hash);
    obj_set_hash(o, hash);
}

int heap_write(const char *path, oop_t specials)
{
    uint8_t h[HEADER_SIZE] = { 0 };
    uint32_t *h32 = (uint32_t *)h;
    uint64_t *h64 = (uint64_t *)h;
    FILE *f = fopen(path, "wb");
    size_t size;
    bool ok;

    if (!f)
        return -1;
    reserve(16);
    heap_used += 16; /* the last bridge: no gap, nothing follows */
    size = heap_used;
    h32[0] = IMAGE_FORMAT;
    h32[1] = HEADER_SIZE;
    h64[1] = size;
    h64[2] = IMAGE_BASE;
    h64[3] = specials;
    h64[4] = hash_seed;
    h64[5] = 1024u << 16 | 768;
    h64[6] = FLAG_FLOATS_LITTLE_ENDIAN;
    h64[9] = size;
    ok = fwrite(h, 1, sizeof h, f) == sizeof h &&
         fwrite(heap, 1, size, f) == size;
    return fclose(f) == 0 && ok ? 0 : -1;
}
