/*
 * fuzz_image.c - feeds damaged images to the loader; one that is taken must
 * pass the heap checker and survive both collections.
 */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"
#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

#include <sys/mman.h>

static bool run_file(const char *name)
{
    const char *why = NULL;
    struct heap h;

    if (heap_load(&h, name, 32 << 20, 1 << 18, &why)) {
        if (!why || !*why)
            abort();
        return false;
    }
    if (heap_check(&h))
        abort();
    heap_scavenge(&h);
    heap_full_gc(&h);
    if (heap_check(&h))
        abort();
    heap_destroy(&h);
    return true;
}

static bool run(uint8_t *data, size_t size)
{
    char name[64];
    int fd = memfd_create("image", 0);
    bool taken;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    taken = run_file(name);
    close(fd);
    return taken;
}

static size_t seed(unsigned i, uint8_t *to)
{
    struct tiny *t;
    size_t size;

    if (i)
        return 0;
    t = tiny_image();
    size = sizeof t->header + t->end + 16;
    memcpy(to, t, size);
    free(t);
    return size;
}

static const struct fuzz_target target = { seed, NULL, run, 128 };
