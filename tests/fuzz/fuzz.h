/*
 * fuzz.h - what every fuzz target shares: damage that is the same on every
 * run, and the two ways to run it. A target includes this file and defines
 * `target`.
 *
 *   fuzz_x RUNS [SEED [FILE]]  damages its seeds (or FILE) RUNS times
 *   fuzz_x --seeds DIR         writes the seeds, as a corpus for libFuzzer
 *   fuzz_x FILE...             runs files that a fuzzer found
 *
 * `make fuzz` runs a target under libFuzzer (-fsanitize=fuzzer -DLIBFUZZER).
 * Its inputs may be damaged without being mended, so that checksums are tried.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FUZZ_MAX = 1 << 18, FUZZ_SECONDS = 60 };

struct fuzz_target {
    /* Makes seed `i` at `to`, which has FUZZ_MAX zeros. Its size; 0: there
     * are no more. Every seed must be taken. */
    size_t (*seed)(unsigned i, uint8_t *to);
    /* Puts checksums right, so that damage gets past them; or NULL. */
    void (*mend)(uint8_t *data, size_t size);
    /* Runs the code: true if it took the input, false if it refused. It may
     * write to the data, which is a block of exactly that size. */
    bool (*run)(uint8_t *data, size_t size);
    size_t hot; /* the first bytes, that get a quarter of the damage */
};

static const struct fuzz_target target;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
                               unsigned seed);

static bool fuzz_run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + !size);
    bool taken;

    memcpy(copy, data, size);
    taken = target.run(copy, size);
    free(copy);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= FUZZ_MAX)
        fuzz_run(data, size);
    return 0;
}

#ifdef LIBFUZZER

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
                               unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max);
    if (target.mend && seed % 8)
        target.mend(data, size);
    return size;
}

#else

static uint64_t fuzz_state = 0x9e3779b97f4a7c15;

static uint64_t fuzz_next(void)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return fuzz_state;
}

/* One lie: a flipped bit, a changed byte, a word copied from elsewhere, a
 * small change of a word, an extreme number, a cut. */
static size_t fuzz_damage(uint8_t *data, size_t size)
{
    size_t at = fuzz_next() % size, word;
    uint64_t v;

    if (target.hot && fuzz_next() % 4 == 0)
        at = fuzz_next() % (target.hot < size ? target.hot : size);
    word = at & ~(size_t)7;
    switch (fuzz_next() % 20) {
    case 0:
        return size - fuzz_next() % size;
    case 1: case 2: case 3: case 4: case 5:
        data[at] ^= (uint8_t)(1 << fuzz_next() % 8);
        return size;
    case 6: case 7: case 8:
        data[at] = (uint8_t)fuzz_next();
        return size;
    }
    if (word + 8 > size)
        return size;
    memcpy(&v, data + word, 8);
    switch (fuzz_next() % 3) {
    case 0:
        memcpy(&v, data + (fuzz_next() % (size / 8)) * 8, 8);
        break;
    case 1:
        v += (fuzz_next() % 65 - 32) * 8;
        break;
    default:
        v = (at & 4 ? v >> 32 << 32 : 0) | (uint32_t)-(fuzz_next() % 3);
    }
    memcpy(data + word, &v, 8);
    return size;
}

static size_t fuzz_file(const char *name, uint8_t *to)
{
    FILE *f = fopen(name, "rb");
    size_t size;

    if (!f) {
        perror(name);
        exit(1);
    }
    size = fread(to, 1, FUZZ_MAX, f);
    fclose(f);
    return size;
}

static int fuzz_write_seeds(const char *directory, uint8_t *data)
{
    char name[4096];
    size_t size;

    for (unsigned i = 0; (size = target.seed(i, data)) != 0; i++) {
        snprintf(name, sizeof name, "%s/%u", directory, i);
        FILE *f = fopen(name, "wb");

        if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
            perror(name);
            return 1;
        }
        memset(data, 0, FUZZ_MAX);
    }
    return 0;
}

static int fuzz_replay(int n, char **names, uint8_t *data)
{
    for (int i = 0; i < n; i++)
        printf("%s: %s\n", names[i],
               fuzz_run(data, fuzz_file(names[i], data)) ? "taken"
                                                         : "refused");
    return 0;
}

/* A random seed, into `data`. */
static size_t fuzz_pick(unsigned seeds, const char *file, uint8_t *data)
{
    if (file)
        return fuzz_file(file, data);
    memset(data, 0, FUZZ_MAX);
    return target.seed(fuzz_next() % seeds, data);
}

/* A run that takes nothing, or refuses nothing, tests nothing. */
static int fuzz_report(unsigned long runs, unsigned long taken)
{
    bool good = taken > 0 && taken < runs;

    printf("%lu damaged inputs: %lu refused, %lu taken\n"
           "%d passed, %d failed\n", runs, runs - taken, taken, good, !good);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    static uint8_t data[FUZZ_MAX];
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    unsigned long taken = 0;
    unsigned seeds = 0;
    size_t size;

    if (argc > 2 && strcmp(argv[1], "--seeds") == 0)
        return fuzz_write_seeds(argv[2], data);
    if (argc > 1 && !runs)
        return fuzz_replay(argc - 1, argv + 1, data);
    fuzz_state += argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    for (; (size = target.seed(seeds, data)) != 0; seeds++) {
        if (!fuzz_run(data, size)) {
            printf("seed %u is refused\n", seeds);
            return 1;
        }
        memset(data, 0, FUZZ_MAX);
    }
    for (unsigned long i = 0; i < runs; i++) {
        size = fuzz_pick(seeds, argc > 3 ? argv[3] : NULL, data);
        for (unsigned n = 1 + fuzz_next() % 4; n; n--)
            size = fuzz_damage(data, size);
        if (target.mend && fuzz_next() % 8)
            target.mend(data, size);
        alarm(FUZZ_SECONDS); /* hanging is a failure too */
        taken += fuzz_run(data, size);
    }
    return fuzz_report(runs, taken);
}

#endif
