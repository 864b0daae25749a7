/*
 * test_bitblt_loops.c - every version of the inner loops gives the pixels of
 * the plain one, and touches nothing but its rows: they begin behind a page
 * that is not there, or end before one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm/graphics/bitblt_loops.h"

enum { PAGE = 4096, PAGE_WORDS = PAGE / 4, LONGEST = 70, ROUNDS = 60 };
enum { ONE = 1 << 14 };

/* Each a page between two that are not there. */
static uint32_t *to, *from, *other, *sums;
static uint32_t table[256];

static uint32_t *new_page(void)
{
    uint8_t *p = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);

    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    return (uint32_t *)(p + PAGE);
}

static void free_page(uint32_t *p)
{
    munmap((uint8_t *)p - PAGE, 3 * PAGE);
}

/* The first n words of the page, or the last. */
static uint32_t *row_of(uint32_t *page, size_t n, bool at_end)
{
    return page + (at_end ? PAGE_WORDS - n : 0);
}

static uint32_t some_pixel(void)
{
    switch (rand() % 4) {
    case 0: return 0;
    case 1: return 0xff000000u | (uint32_t)rand();
    default: return (uint32_t)rand() << 1 ^ (uint32_t)rand();
    }
}

static void fill_pages(void)
{
    for (int i = 0; i < PAGE_WORDS; i++) {
        from[i] = some_pixel();
        other[i] = some_pixel();
        to[i] = some_pixel();
    }
    for (int i = 0; i < 256; i++)
        table[i] = some_pixel();
}

/* --- the loops, each on rows of n pixels --- */

struct rows {
    size_t n;
    bool at_end;
    uint32_t word; /* a pixel or a mask, as the loop has it */
    int64_t step;
};

static struct blt_area area(const struct rows *r, size_t from_words)
{
    return (struct blt_area){
        .to = row_of(to, r->n, r->at_end),
        .from = row_of(from, from_words, r->at_end),
        .to_pitch = (ptrdiff_t)r->n, .from_pitch = (ptrdiff_t)from_words,
        .w = r->n, .h = 1,
    };
}

static void run_fill(const struct rows *r)
{
    const struct blt_area a = area(r, r->n);

    blt_loops->fill(&a, r->word);
}

static void run_move(const struct rows *r)
{
    const struct blt_area a = area(r, r->n);

    blt_loops->move(&a);
}

static void run_tint(const struct rows *r)
{
    const struct blt_area a = area(r, r->n);

    blt_loops->tint(&a, r->word | 1);
}

static void run_scaled(const struct rows *r)
{
    const struct blt_area a = area(r, r->n);

    blt_loops->scaled(&a);
}

static void run_rules(const struct rows *r)
{
    const uint32_t c[4] = { r->word, ~r->word, 0xff00ff, r->word << 3 };
    const struct blt_area a = area(r, r->n);

    blt_loops->scaled_run(a.to, a.from, r->n, 0xffffffff);
    blt_loops->blend_run(a.to, a.from, r->n, 0xffffffff);
    blt_loops->paint_run(a.to, a.from, r->n, r->word);
    blt_loops->bits_run(a.to, a.from, r->n, r->word, c);
    blt_loops->bits_fill(a.to, r->n, r->word, c[2]);
}

/* Text that ends with its row's last word, from any byte of the first on. */
static void run_glyphs(const struct rows *r)
{
    struct blt_text t = { .x = r->word % 4, .msb_first = r->word & 4,
                          .table = table };
    const struct blt_area a = area(r, (t.x + r->n + 3) / 4);

    table[0] = r->word & 8 ? 0 : table[0];
    table[255] |= r->word & 16 ? 0xff000000 : 0;
    blt_loops->glyphs(&a, &t);
}

/* Pixels that the source's first and last are among. */
static void run_pick(const struct rows *r)
{
    int64_t way = r->step * (int64_t)(r->n - 1);
    size_t room = (size_t)(llabs(way) / ONE) + 1;
    const struct blt_area a = area(r, room);

    blt_loops->pick(a.to, r->n, a.from, room, way < 0 ? -way : 0, r->step);
}

static void run_sums(const struct rows *r)
{
    size_t n = r->n < 2 ? 2 : r->n;
    uint64_t *s = (uint64_t *)row_of(sums, 2 * n, r->at_end);
    const struct blt_area a = area(r, n);

    blt_loops->sum_rows(s, a.from, row_of(other, n, r->at_end), n);
    blt_loops->quarter_sums(a.to, n - 1, s, 0, ONE, ONE);
}

/* --- all versions of them --- */

static void (*const loops[])(const struct rows *) = {
    run_fill, run_move, run_tint, run_scaled, run_rules, run_glyphs,
    run_pick, run_sums,
};

static void check_rows(const struct rows *r, const char *level)
{
    static uint32_t before[PAGE_WORDS], expected[PAGE_WORDS];

    fill_pages();
    memcpy(before, to, PAGE);
    for (unsigned i = 0; i < sizeof loops / sizeof *loops; i++) {
        memcpy(to, before, PAGE);
        assert_true(blt_choose_loops("plain"));
        loops[i](r);
        memcpy(expected, to, PAGE);
        memcpy(to, before, PAGE);
        assert_true(blt_choose_loops(level));
        loops[i](r);
        assert_memory_equal(to, expected, PAGE);
    }
}

static void loops_keep_to_their_rows(void **state)
{
    if (!blt_choose_loops(*state)) {
        print_message("skipped: this processor has no %s\n",
                      (const char *)*state);
        skip();
    }
    srand(1);
    for (int i = 0; i < ROUNDS; i++)
        for (size_t n = 1; n <= LONGEST; n += 1 + (size_t)rand() % 3)
            check_rows(&(struct rows){ .n = n, .at_end = i & 1,
                                       .word = some_pixel(),
                                       .step = rand() % (3 * ONE) - ONE },
                       *state);
}

static int set_up(void **state)
{
    (void)state;
    to = new_page();
    from = new_page();
    other = new_page();
    sums = new_page();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free_page(to);
    free_page(from);
    free_page(other);
    free_page(sums);
    return 0;
}

int main(void)
{
#define LEVEL(level) \
    { .name = "loops_keep_to_their_rows, " level, \
      .test_func = loops_keep_to_their_rows, .setup_func = set_up, \
      .teardown_func = tear_down, .initial_state = (void *)(level) }
    const struct CMUnitTest tests[] = { LEVEL("sse2"), LEVEL("avx2") };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
