/*
 * fuzz_image.c - feeds damaged images to the loader; one that is taken must
 * pass the heap checker, survive both collections and be writable.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DLIBFUZZER ...
 * Without: fuzz_image RUNS [SEED [IMAGE]] mutates a seed image (the tiny one
 * of the unit tests by default) the same way every time.
 */
#define _GNU_SOURCE
#include "tests/unit/tiny_image.h"
#include "vm/heap_private.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_of(int fd, char *name, size_t n)
{
    snprintf(name, n, "/proc/self/fd/%d", fd);
}

/* Loads the file; true if it was taken. */
static bool try_image(const char *name)
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

static bool try_bytes(const void *data, size_t size)
{
    char name[64];
    int fd = memfd_create("image", 0);
    bool taken;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    name_of(fd, name, sizeof name);
    taken = try_image(name);
    close(fd);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_bytes(data, size);
    return 0;
}

#ifndef LIBFUZZER

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* One lie: a flipped bit, a changed byte, a word copied from elsewhere, a
 * small change of a word, a cut. */
static size_t mutate(uint8_t *data, size_t size)
{
    size_t at = next() % size, word = at & ~(size_t)7;
    uint64_t v;

    if (next() % 4 == 0) /* the header is small, but deserves it */
        word = (at = next() % 128) & ~(size_t)7;
    switch (next() % 16) {
    case 0:
        return size - next() % size;
    case 1: case 2: case 3: case 4:
        data[at] ^= (uint8_t)(1 << next() % 8);
        break;
    case 5: case 6:
        data[at] = (uint8_t)next();
        break;
    case 7: case 8: case 9: case 10:
        if (word + 8 <= size)
            memcpy(data + word, data + (next() % (size / 8)) * 8, 8);
        break;
    default:
        if (word + 8 > size)
            break;
        memcpy(&v, data + word, 8);
        v += (next() % 65 - 32) * 8;
        memcpy(data + word, &v, 8);
    }
    return size;
}

static uint8_t *tiny_seed(size_t *size)
{
    struct tiny *t = tiny_image();

    *size = sizeof t->header + t->end + 16;
    return (uint8_t *)t;
}

static uint8_t *file_seed(const char *name, size_t *size)
{
    FILE *f = fopen(name, "rb");
    uint8_t *data;

    if (!f)
        abort();
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size);
    if (fread(data, 1, *size, f) != *size)
        abort();
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000, i;
    unsigned long taken = 0, lies;
    size_t size, n;
    uint8_t *seed, *data;

    state = 0x9e3779b97f4a7c15 + (argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
    seed = argc > 3 ? file_seed(argv[3], &size) : tiny_seed(&size);
    data = malloc(size);
    for (i = 0; i < runs; i++) {
        memcpy(data, seed, size);
        n = size;
        for (lies = 1 + next() % 3; lies; lies--)
            n = mutate(data, n);
        taken += try_bytes(data, n);
    }
    printf("%lu damaged images: %lu refused, %lu taken and sound\n"
           "1 passed, 0 failed\n", runs, runs - taken, taken);
    free(data);
    free(seed);
    return 0;
}

#endif
