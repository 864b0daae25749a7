/*
 * Images in and out: the loader refuses every lie with one line, takes what
 * is legal, and what is saved loads again with the same objects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

static char file_name[64], saved_name[80];
static const uint64_t limit = 64 << 20;

static int set_names(void **state)
{
    snprintf(file_name, sizeof file_name, "/tmp/test_image.%d", getpid());
    snprintf(saved_name, sizeof saved_name, "%s.saved", file_name);
    return 0;
}

static int remove_files(void **state)
{
    remove(file_name);
    remove(saved_name);
    return 0;
}

static void load_file(struct heap *h, const char *name)
{
    const char *why = "?";

    if (heap_load(h, name, limit, 0, &why))
        fail_msg("%s: %s", name, why);
    assert_int_equal(heap_check(h), 0);
}

static void load_tiny(struct heap *h, struct tiny *t)
{
    tiny_write(t, file_name);
    free(t);
    load_file(h, file_name);
}

/* --- what is legal --- */

static void loads_the_smallest_image(void **state)
{
    struct heap h;

    load_tiny(&h, tiny_image());
    assert_int_equal(h.old_start, TINY_BASE);
    assert_int_equal(class_index_of(h.special), CLS_ARRAY);
    heap_destroy(&h);
}

static void loads_at_any_base(void **state)
{
    static const uint64_t bases[] = { 0, 8, 0x804008, 1ull << 40,
                                      0x123456780, 1ull << 46 };
    unsigned i;

    for (i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        struct heap h;

        load_tiny(&h, tiny_at(bases[i]));
        assert_int_equal(slot(h.special, 0), h.nil);
        heap_destroy(&h);
    }
}

static void loads_both_versions_and_keeps_them(void **state)
{
    static const uint32_t versions[] = { 68021, 68533 };
    unsigned i;

    for (i = 0; i < 2; i++) {
        struct tiny *t = tiny_image();
        const char *why;
        struct heap h;

        t->header.version = versions[i];
        load_tiny(&h, t);
        assert_int_equal(heap_save(&h, saved_name, &why), 0);
        heap_destroy(&h);
        load_file(&h, saved_name);
        assert_int_equal(h.image_format, versions[i]);
        heap_destroy(&h);
    }
}

/* Cuts the tiny image in two segments with a gap in the address space. */
static void loads_two_segments(void **state)
{
    static const uint64_t gaps[] = { 0, 1 << 20 };
    struct tiny *t;
    unsigned g;

    for (g = 0; g < 2; g++) {
        uint64_t cut, n, i, gap = gaps[g];
        struct heap h;

        t = tiny_image();
        cut = t->special;
        n = t->end - cut;
        for (i = 0; i < t->end / 8; i++) { /* the tail moves up */
            uint64_t v = t->words[i], at = t->header.base + cut;

            if (!(v & 7) && v >= at && v < at + n)
                t->words[i] = v + 16 + gap;
        }
        memmove(&t->words[cut / 8 + 2], &t->words[cut / 8], n);
        t->words[cut / 8] = gap ? 255ull << 56 | gap / 8 : 0;
        t->words[cut / 8 + 1] = n + 16;
        t->end += 16;
        tiny_finish(t);
        t->header.first_segment = cut + 16;
        t->header.special += 16 + gap;
        load_tiny(&h, t);
        assert_int_equal(slot_count(h.special), 60);
        heap_full_gc(&h);
        assert_int_equal(heap_check(&h), 0);
        heap_destroy(&h);
    }
}

static void follows_forwarders_while_loading(void **state)
{
    struct tiny *t = tiny_image();
    uint64_t o = tiny_new(t, TINY_OBJECT, 1, 2, 0);
    uint64_t f1 = tiny_new(t, CLS_FORWARDER, FMT_FORWARDER, 1, 0);
    uint64_t f2 = tiny_new(t, CLS_FORWARDER, FMT_FORWARDER, 3, 0);
    struct heap h;

    tiny_put(t, f1, 0, o);
    tiny_put(t, f2, 0, f1);
    tiny_put(t, t->special, 55, f2);
    tiny_put(t, t->special, 56, f1);
    tiny_finish(t);
    load_tiny(&h, t);
    assert_int_equal(slot(h.special, 55), h.nil + o);
    assert_int_equal(slot(h.special, 56), h.nil + o);
    heap_destroy(&h);
}

static void takes_over_mourners(void **state)
{
    struct tiny *t = tiny_image();
    uint64_t q = tiny_new(t, CLS_HIDDEN_WORDS64, FMT_64, STACK_SLOTS, 0);
    uint64_t o = tiny_new(t, TINY_OBJECT, 1, 2, 0);
    const char *why;
    struct heap h;

    *tiny_slot(t, q, STACK_COUNT) = 1;
    *tiny_slot(t, q, STACK_FIRST) = tiny_oop(t, o);
    tiny_put(t, t->roots, ROOT_MOURN_QUEUE, q);
    *tiny_slot(t, o, 0) = int_oop(42);
    tiny_finish(t);
    load_tiny(&h, t);
    assert_int_equal(heap_save(&h, saved_name, &why), 0);
    heap_destroy(&h);
    load_file(&h, saved_name);
    assert_int_equal(slot(heap_fetch_mourner(&h), 0), int_oop(42));
    assert_int_equal(heap_fetch_mourner(&h), 0);
    heap_destroy(&h);
}

static void forgets_flags_of_other_collectors(void **state)
{
    struct tiny *t = tiny_image();
    struct heap h;

    t->words[t->special / 8] |= HDR_MARKED | HDR_REMEMBERED | HDR_GREY;
    load_tiny(&h, t);
    assert_int_equal(header(h.special) &
                         (HDR_MARKED | HDR_REMEMBERED | HDR_GREY), 0);
    heap_destroy(&h);
}

/* --- lies --- */

static void assert_refused(const char *name, const char *expected)
{
    const char *why = NULL;
    struct heap h;

    assert_int_equal(heap_load(&h, name, limit, 0, &why), -1);
    assert_non_null(why);
    if (!strstr(why, expected))
        fail_msg("says \"%s\", not \"%s\"", why, expected);
    assert_null(strchr(why, '\n'));
}

static void refuse_tiny(struct tiny *t, const char *expected)
{
    tiny_write(t, file_name);
    free(t);
    assert_refused(file_name, expected);
}

static void refuses_headers_that_lie(void **state)
{
    static const struct {
        size_t at;
        unsigned size;
        uint64_t value;
        const char *expected;
    } lies[] = {
        { 0, 4, 6521, "32-bit" },
        { 0, 4, 68019, "68019" },
        { 0, 4, 0xb5090100, "big-endian" },
        { 0, 4, 0x464c457f, "no image" },
        { 4, 4, 64, "header's size" },
        { 4, 4, 0x7fffffff, "header's size" },
        { 8, 8, 1ull << 40, "truncated" },
        { 8, 8, ~7ull, "truncated" },
        { 8, 8, 1001, "unaligned" },
        { 8, 8, 45000, "segment" },
        { 16, 8, 0x1001, "unaligned" },
        { 16, 8, 1ull << 63, "out of range" },
        { 16, 8, 1ull << 40, "" },
        { 24, 8, 3, "unaligned" },
        { 24, 8, 0, "special objects" },
        { 24, 8, TINY_BASE + 8, "special objects" },
        { 32, 8, 0, "hash" },
        { 48, 8, 0, "little-endian" },
        { 72, 8, 16, "first segment" },
        { 72, 8, 1ull << 62, "first segment" },
        { 72, 8, 40000, "" },
    };
    unsigned i;

    for (i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct tiny *t = tiny_image();

        memcpy((char *)&t->header + lies[i].at, &lies[i].value,
               lies[i].size);
        refuse_tiny(t, lies[i].expected);
    }
}

static void refuses_truncated_files(void **state)
{
    struct tiny *t = tiny_image();
    uint64_t n;

    for (n = 0; n < t->end; n += 8 + n / 3) {
        tiny_write_n(t, file_name, n);
        assert_refused(file_name, "truncated");
    }
    assert_int_equal(truncate(file_name, 50), 0);
    assert_refused(file_name, "no image");
    assert_int_equal(truncate(file_name, 0), 0);
    assert_refused(file_name, "no image");
    assert_refused("/nonexistent/x.image", "no such image");
    free(t);
}

/* A word of the data, relative to an object, that becomes a lie. */
static void refuses_objects_that_lie(void **state)
{
    struct tiny *shape = tiny_image();
    const struct tiny m = *shape;
    const struct {
        uint64_t at, value;
        const char *expected;
    } lies[] = {
        { m.special, 200ull << 56 | 2 << 24 | 51, "damaged" },
        { m.special, 60ull << 56 | 6 << 24 | 51, "broken header" },
        { m.special, 60ull << 56 | 2 << 24 | 5, "broken header" },
        { m.special, 60ull << 56 | 7 << 24 | 51, "broken header" },
        { m.special, 255ull << 56 | 2 << 24 | 51, "damaged" },
        { m.special, 60ull << 56 | 2 << 24 | 3000, "no class" },
        { m.special, 60ull << 56 | 2 << 24 | 4000000, "no class" },
        { m.special + 8, TINY_BASE + 16, "nil, false or true" },
        { m.special + 8, TINY_BASE + 24, "no object" },
        { m.special + 8, 0, "no object" },
        { m.special + 8, 3, "no object" },
        { m.special + 8 + 8 * 55, 1ull << 63, "no object" },
        { m.special + 8 + 8 * 55, 1ull << 40 | 2, "no object" },
        { m.special + 8 + 8 * SPL_CLASS_ARRAY, TINY_BASE, "by number" },
        { m.special + 8 + 8 * 3, TINY_BASE, "scheduler" },
        { m.nil, 1ull << 56, "" },
        { m.roots - 8, 255ull << 56 | 1ull << 50, "too large" },
        { m.roots + 8, TINY_BASE, "class table" },
        { m.roots + 16, TINY_BASE, "class table" },
        { m.roots + 8 + 8 * 5, TINY_BASE + m.page1, "hole" },
        { m.page1 + 8, TINY_BASE + 16, "no class" },
        { m.page1 + 8, int_oop(7), "no class" },
        { m.classes + 24, TINY_BASE, "no class" },
        { m.classes + 8, TINY_BASE + m.classes, "superclasses" },
        { m.method + 8, int_oop(2), "compiled method" },
        { m.method + 8, int_oop(1 << 16), "compiled method" },
        { m.method + 8, int_oop(1 << 24), "too few temps" },
        { m.method + 8, TINY_BASE, "compiled method" },
        { m.context + 8, int_oop(1), "stack frame" },
        { m.context + 16, int_oop(8), "program counter" },
        { m.context + 16, int_oop(1000), "program counter" },
        { m.context + 16, TINY_BASE, "cannot be resumed" },
        { m.context + 24, int_oop(17), "stack pointer" },
        { m.context + 24, int_oop(-1), "stack pointer" },
        { m.context + 32, TINY_BASE, "no method" },
        { m.process + 16, TINY_BASE, "resumed" },
        { m.process + 24, int_oop(2), "priority" },
        { m.lists, 1ull << 56 | FMT_64 << 24 | CLS_ARRAY, "an array is none" },
        { m.lists + 8, TINY_BASE, "scheduler" },
        { m.lists + 24, TINY_BASE + m.process, "queue" },
        { m.scheduler + 8, int_oop(1), "scheduler" },
        { m.end, 255ull << 56 | 5, "" },
        { m.end + 8, 32, "segment" },
    };
    unsigned i;

    free(shape);
    for (i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct tiny *t = tiny_image();

        t->words[lies[i].at / 8] = lies[i].value;
        if (lies[i].at == m.end) { /* a legal last bridge */
            struct heap h;

            load_tiny(&h, t);
            heap_destroy(&h);
            continue;
        }
        refuse_tiny(t, lies[i].expected);
    }
}

static void refuses_circular_forwarders(void **state)
{
    struct tiny *t = tiny_image();
    uint64_t f = tiny_new(t, CLS_FORWARDER, FMT_FORWARDER, 1, 0);

    tiny_put(t, f, 0, f);
    tiny_put(t, t->special, 55, f);
    tiny_finish(t);
    refuse_tiny(t, "no object");
}

static void refuses_images_larger_than_memory(void **state)
{
    struct tiny *t = tiny_image();
    const char *why;
    struct heap h;

    tiny_write(t, file_name);
    free(t);
    assert_int_equal(heap_load(&h, file_name, 1 << 20, 0, &why), -1);
    assert_non_null(strstr(why, "MiB"));
}

/* --- real images --- */

static const char *images_folder(void)
{
    const char *name = getenv("AEROSTAT_IMAGES");

    return name ? name : "../shared/images";
}

/* Sum over all objects, with pointers counted from the base: equal heaps
 * have equal sums wherever they lie. */
static uint64_t digest(struct heap *h)
{
    uint64_t sum = 1, i;
    oop o;

    for (o = heap_first_object(h); o; o = heap_next_object(h, o)) {
        uint64_t oops = oop_slots(o);

        sum = sum * 31 + header(o);
        for (i = 0; i < slot_count(o); i++) {
            oop v = slot(o, i);

            if (i < oops && is_pointer(v))
                v -= h->old_start;
            sum = sum * 31 + v;
        }
    }
    return sum;
}

static bool same_files(const char *a, const char *b)
{
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    int x, y;

    do {
        x = getc(f);
        y = getc(g);
    } while (x == y && x != EOF);
    fclose(f);
    fclose(g);
    return x == y;
}

static void round_trip(const char *name)
{
    char path[512];
    const char *why = "?";
    uint64_t sum;
    struct heap h;

    snprintf(path, sizeof path, "%s/%s", images_folder(), name);
    if (access(path, R_OK)) {
        print_message("SKIPPED: no image %s (set AEROSTAT_IMAGES)\n", path);
        skip();
    }
    load_file(&h, path);
    assert_int_equal(heap_save(&h, saved_name, &why), 0);
    assert_int_equal(heap_check(&h), 0);
    sum = digest(&h);
    heap_destroy(&h);
    load_file(&h, saved_name);
    assert_true(digest(&h) == sum);
    assert_int_equal(heap_save(&h, file_name, &why), 0);
    assert_true(same_files(file_name, saved_name));
    heap_scavenge(&h);
    heap_full_gc(&h);
    assert_int_equal(heap_check(&h), 0);
    assert_true(digest(&h) == sum);
    heap_destroy(&h);
}

static void saves_pharo_as_it_was(void **state)
{
    round_trip("empharo-Pharo8-spur64.image");
}

static void saves_cuis_as_it_was(void **state)
{
    round_trip("cuis5-64/Cuis5.0-3121-64.image");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_the_smallest_image),
        cmocka_unit_test(loads_at_any_base),
        cmocka_unit_test(loads_both_versions_and_keeps_them),
        cmocka_unit_test(loads_two_segments),
        cmocka_unit_test(follows_forwarders_while_loading),
        cmocka_unit_test(takes_over_mourners),
        cmocka_unit_test(forgets_flags_of_other_collectors),
        cmocka_unit_test(refuses_headers_that_lie),
        cmocka_unit_test(refuses_truncated_files),
        cmocka_unit_test(refuses_objects_that_lie),
        cmocka_unit_test(refuses_circular_forwarders),
        cmocka_unit_test(refuses_images_larger_than_memory),
        cmocka_unit_test(saves_pharo_as_it_was),
        cmocka_unit_test(saves_cuis_as_it_was),
    };

    return cmocka_run_group_tests_name("image", tests, set_names,
                                       remove_files);
}
