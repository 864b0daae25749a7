/*
 * tiny_image.h - the smallest valid image, made in memory, for tests of heap
 * and loader: nil to hidden roots, two class pages, a class of each kind
 * that the machine knows by number, one process with one context.
 *
 * Build it, change it to taste (tell a lie), write it with tiny_write.
 */
#pragma once

#include "vm/memory/heap.h"
#include "vm/memory/image_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TINY_BYTES = 1 << 17 };

struct tiny {
    struct image_header header;
    uint64_t words[TINY_BYTES / 8]; /* objects and the bridge */
    uint64_t end;                   /* offset of the next object */
    /* offsets of */
    uint64_t nil, roots, page0, page1, special, classes, context, method;
    uint64_t process, scheduler, lists;
};

/* Class indices of the test classes, in page 1. */
enum {
    TINY_CLASS = 1024, /* the class of classes */
    TINY_OBJECT, TINY_WEAK, TINY_EPHEMERON, TINY_BYTES_CLASS, TINY_SEMAPHORE,
    TINY_METHOD, TINY_POINT, TINY_WORDS, TINY_PROCESS, TINY_LIST, TINY_MIXED,
    TINY_SHORTS, TINY_LONGS, TINY_LAST,
};

#define TINY_BASE HEAP_BASE

static inline oop tiny_oop(const struct tiny *t, uint64_t at)
{
    return t->header.base + at;
}

/* An object with nil (pointers) or 0 in its n slots; answers its offset. */
static inline uint64_t tiny_new(struct tiny *t, uint32_t index,
                                unsigned format, uint64_t n, uint32_t hash)
{
    uint64_t i, o = t->end + (n >= 255 ? 8 : 0), size = n >= 255 ? 255 : n;

    if (n >= 255)
        t->words[t->end / 8] = 255ull << 56 | n;
    t->words[o / 8] = size << 56 | (uint64_t)hash << 32 |
                      (uint64_t)format << 24 | index;
    for (i = 0; i < n; i++)
        t->words[o / 8 + 1 + i] = format <= 5 ? tiny_oop(t, 0) : 0;
    t->end = o + 8 + 8 * (n ? n : 1);
    return o;
}

static inline uint64_t *tiny_slot(struct tiny *t, uint64_t o, uint64_t i)
{
    return &t->words[o / 8 + 1 + i];
}

static inline void tiny_put(struct tiny *t, uint64_t o, uint64_t i,
                            uint64_t value)
{
    *tiny_slot(t, o, i) = tiny_oop(t, value);
}

/* A class with the format word, entered at `index`. */
static inline uint64_t tiny_class(struct tiny *t, uint32_t index,
                                  uint64_t format)
{
    uint64_t c = tiny_new(t, TINY_CLASS, 1, 3, index);
    uint64_t page = index < 1024 ? t->page0 : t->page1;

    *tiny_slot(t, c, CLASS_FORMAT) = int_oop((int64_t)format);
    tiny_put(t, page, index & 1023, c);
    return c;
}

static inline void tiny_classes(struct tiny *t)
{
    static const struct {
        uint32_t index, format;
        int special;
    } kinds[] = {
        { 1, 0x70000, SPL_CLASS_SMALL_INTEGER },
        { 2, 0x70000, SPL_CLASS_CHARACTER },
        { 4, 0x70000, -1 },
        { CLS_LARGE_NEGATIVE, 0x100000, SPL_CLASS_LARGE_NEGATIVE },
        { CLS_LARGE_POSITIVE, 0x100000, SPL_CLASS_LARGE_POSITIVE },
        { CLS_BOXED_FLOAT, 0xa0000, SPL_CLASS_FLOAT },
        { CLS_MESSAGE, 0x10003, SPL_CLASS_MESSAGE },
        { CLS_CONTEXT, 0x30006, SPL_CLASS_CONTEXT },
        { CLS_BLOCK_CLOSURE, 0x30003, SPL_CLASS_BLOCK_CLOSURE },
        { CLS_FULL_BLOCK_CLOSURE, 0x30004, SPL_CLASS_FULL_BLOCK_CLOSURE },
        { CLS_ARRAY, 0x20000, SPL_CLASS_ARRAY },
        { CLS_BYTE_STRING, 0x100000, SPL_CLASS_BYTE_STRING },
        { TINY_CLASS, 0x10003, -1 },
        { TINY_OBJECT, 0x10002, -1 },
        { TINY_WEAK, 0x40001, -1 },
        { TINY_EPHEMERON, 0x50003, -1 },
        { TINY_BYTES_CLASS, 0x100000, SPL_CLASS_BYTE_ARRAY },
        { TINY_SEMAPHORE, 0x10003, SPL_CLASS_SEMAPHORE },
        { TINY_METHOD, 0x180000, SPL_CLASS_COMPILED_METHOD },
        { TINY_POINT, 0x10002, SPL_CLASS_POINT },
        { TINY_WORDS, 0xa0000, SPL_CLASS_BITMAP },
        { TINY_PROCESS, 0x10004, SPL_CLASS_PROCESS },
        { TINY_LIST, 0x10002, -1 },
        { TINY_MIXED, 0x30002, -1 },
        { TINY_SHORTS, 0xc0000, -1 },
        { TINY_LONGS, 0x90000, -1 },
    };
    const unsigned count = sizeof kinds / sizeof kinds[0];
    uint64_t globals = tiny_new(t, CLS_ARRAY, 2, count, 0);
    unsigned i;

    tiny_put(t, t->special, SPL_SMALLTALK, globals);
    t->classes = t->end;
    for (i = 0; i < count; i++) {
        uint64_t c = tiny_class(t, kinds[i].index, kinds[i].format);

        tiny_put(t, globals, i, c);
        if (kinds[i].special >= 0)
            tiny_put(t, t->special, (unsigned)kinds[i].special, c);
    }
    tiny_put(t, t->page0, 3,
             *tiny_slot(t, t->page0, 1) - t->header.base);
    tiny_put(t, t->page0, 16,
             *tiny_slot(t, t->page0, CLS_ARRAY) - t->header.base);
}

static inline void tiny_processes(struct tiny *t)
{
    uint64_t list, association;

    t->method = tiny_new(t, TINY_METHOD, FMT_CODE, 2, 0);
    *tiny_slot(t, t->method, 0) = int_oop(0);
    t->context = tiny_new(t, CLS_CONTEXT, 3, CTX_SMALL_SLOTS, 0);
    *tiny_slot(t, t->context, CTX_PC) = int_oop(9);
    *tiny_slot(t, t->context, CTX_STACKP) = int_oop(0);
    tiny_put(t, t->context, CTX_METHOD, t->method);
    t->process = tiny_new(t, TINY_PROCESS, 1, 4, 0);
    tiny_put(t, t->process, PROC_CONTEXT, t->context);
    *tiny_slot(t, t->process, PROC_PRIORITY) = int_oop(1);
    t->lists = tiny_new(t, CLS_ARRAY, 2, 1, 0);
    list = tiny_new(t, TINY_LIST, 1, 2, 0);
    tiny_put(t, t->lists, 0, list);
    t->scheduler = tiny_new(t, TINY_OBJECT, 1, 2, 0);
    tiny_put(t, t->scheduler, SCHED_LISTS, t->lists);
    tiny_put(t, t->scheduler, SCHED_ACTIVE, t->process);
    association = tiny_new(t, TINY_OBJECT, 1, 2, 0);
    tiny_put(t, association, ASSOC_VALUE, t->scheduler);
    tiny_put(t, t->special, SPL_SCHEDULER_ASSOCIATION, association);
}

/* Sizes in the header and the last bridge after the objects. */
static inline void tiny_finish(struct tiny *t)
{
    t->words[t->end / 8] = IMAGE_LAST_BRIDGE;
    t->words[t->end / 8 + 1] = 0;
    t->header.data_size = t->header.first_segment = t->end + 16;
}

static inline struct tiny *tiny_at(uint64_t base)
{
    struct tiny *t = calloc(1, sizeof *t);
    uint64_t i;

    t->header.version = 68021;
    t->header.header_size = 128;
    t->header.base = base;
    t->header.hash_seed = 12345;
    t->header.flags = 2;
    t->nil = tiny_new(t, TINY_OBJECT, 0, 0, 1);
    for (i = 1; i < 3; i++)
        tiny_new(t, TINY_OBJECT, 0, 0, 1 + (uint32_t)i);
    tiny_new(t, CLS_HIDDEN_WORDS64, 9, 64, 0);
    t->roots = tiny_new(t, CLS_HIDDEN_ARRAY, 2, 4104, 0);
    t->page0 = tiny_new(t, CLS_HIDDEN_ARRAY, 2, 1024, 0);
    t->page1 = tiny_new(t, CLS_HIDDEN_ARRAY, 2, 1024, 0);
    tiny_put(t, t->roots, 0, t->page0);
    tiny_put(t, t->roots, 1, t->page1);
    t->special = tiny_new(t, CLS_ARRAY, 2, 60, 0);
    t->header.special = tiny_oop(t, t->special);
    for (i = 0; i < 3; i++)
        tiny_put(t, t->special, i, i * 16);
    tiny_classes(t);
    tiny_processes(t);
    tiny_finish(t);
    return t;
}

static inline struct tiny *tiny_image(void) { return tiny_at(TINY_BASE); }

/* Writes header and data as they stand; `n` bytes of data. */
static inline void tiny_write_n(const struct tiny *t, const char *name,
                                uint64_t n)
{
    FILE *f = fopen(name, "wb");

    if (!f || fwrite(&t->header, sizeof t->header, 1, f) != 1 ||
        fwrite(t->words, 1, n, f) != n || fclose(f))
        abort();
}

static inline void tiny_write(const struct tiny *t, const char *name)
{
    tiny_write_n(t, name, t->end + 16);
}

/* The tiny image as heap_load makes it: sizes in bytes. 0, or -1
 * when it has said why. */
static inline int tiny_load(struct heap *h, uint64_t limit, uint64_t eden_bytes)
{
    struct tiny *t = tiny_image();
    char name[64];
    const char *why;
    int result;

    snprintf(name, sizeof name, "/tmp/tiny_image.%d", getpid());
    tiny_write(t, name);
    free(t);
    result = heap_load(h, name, limit, eden_bytes, &why);
    unlink(name);
    if (result)
        fprintf(stderr, "%s\n", why);
    return result;
}
