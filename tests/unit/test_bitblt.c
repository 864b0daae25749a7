/*
 * BitBlt against a model that knows pixels only: every rule, all depths and
 * both pixel orders, colour maps, halftones, clipping, overlap. The model
 * takes the whole source before it stores anything. All of it with the loops
 * in plain C, with SSE2, and with AVX2 where there is such a processor; and
 * warps, which have no model, with all of them on the same operands.
 */
#include "tests/unit/prim_test.h"
#include "vm/graphics/bitblt.h"
#include "vm/graphics/bitblt_loops.h"

enum { MAX_SIDE = 70, BITS_WORDS = 8192, ROUNDS = 10000 };

/* A Form as the model sees it, beside its objects. */
struct picture {
    oop form, bits;
    int width, height, depth; /* depth negative: least pixel first */
    uint32_t pixel[MAX_SIDE * MAX_SIDE];
    uint32_t after[16]; /* words behind its last row */
};

static struct picture dest, source;
static oop bitblt, halftone, table;

static oop new_words(uint64_t n)
{
    oop o = heap_new_old(h, TINY_WORDS, FMT_32 + (n & 1), (n + 1) / 2);

    assert_true(o);
    return o;
}

static oop array(uint64_t n)
{
    oop o = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, n);

    assert_true(o);
    return o;
}

static uint32_t *word_at(oop o, uint64_t i)
{
    return (uint32_t *)bytes(o) + i;
}

/* --- the model's own idea of where pixels are --- */

static int bits_of(const struct picture *p)
{
    return abs(p->depth);
}

static uint32_t max_of(int depth)
{
    return depth == 32 ? 0xffffffffu : (1u << depth) - 1;
}

static uint32_t *where(const struct picture *p, int x, int y, int *shift)
{
    int d = bits_of(p), per_row = (p->width * d + 31) / 32;

    *shift = x * d % 32;
    if (p->depth > 0)
        *shift = 32 - d - *shift;
    return word_at(p->bits, (uint64_t)(y * per_row + x * d / 32));
}

static uint32_t get(const struct picture *p, int x, int y)
{
    int shift;
    uint32_t *w = where(p, x, y, &shift);

    return *w >> shift & max_of(bits_of(p));
}

static uint32_t *word_behind(const struct picture *p, int i)
{
    int per_row = (p->width * bits_of(p) + 31) / 32;

    return word_at(p->bits, (uint64_t)(p->height * per_row + i));
}

static void read_pixels(struct picture *p)
{
    for (int i = 0; i < 16; i++)
        p->after[i] = *word_behind(p, i);
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            p->pixel[y * MAX_SIDE + x] = get(p, x, y);
}

static void random_picture(struct picture *p, int depth)
{
    p->depth = depth;
    p->width = 1 + (int)below(MAX_SIDE - 1);
    p->height = 1 + (int)below(MAX_SIDE / 4);
    for (int i = 0; i < BITS_WORDS; i++)
        *word_at(p->bits, (uint64_t)i) =
            below(4) ? (uint32_t)random64() : below(2) ? 0 : 0xffffffff;
    slots(p->form)[FORM_BITS] = p->bits;
    slots(p->form)[FORM_WIDTH] = int_oop(p->width);
    slots(p->form)[FORM_HEIGHT] = int_oop(p->height);
    slots(p->form)[FORM_DEPTH] = int_oop(depth);
    read_pixels(p);
}

/* --- the rules, a pixel at a time --- */

static uint32_t channel(int rule, uint32_t s, uint32_t d, uint32_t max)
{
    switch (rule) {
    case 20: return s + d > max ? max : s + d;
    case 21: return s > d ? s - d : d - s;
    case 27: return s > d ? s : d;
    case 28: return s < d ? s : d;
    case 29: return max - s < d ? max - s : d;
    default: return ((s + 1) * (d + 1) - 1) / (max + 1);
    }
}

static uint32_t by_channel(int rule, int depth, uint32_t s, uint32_t d)
{
    int bits = depth == 32 ? 8 : depth == 16 ? 5 : depth;
    int count = depth == 32 ? 4 : depth == 16 ? 3 : 1;
    uint32_t max = (1u << bits) - 1, r = 0;

    for (int i = 0; i < count * bits; i += bits)
        r |= channel(rule, s >> i & max, d >> i & max, max) << i;
    return r;
}

/* (s * a + d * (255 - a)) / 255, rounded up, for each channel. */
static uint32_t blend(int depth, uint32_t s, uint32_t d, uint32_t a)
{
    int bits = depth == 32 ? 8 : 5;
    uint32_t max = (1u << bits) - 1, r = 0;

    for (int i = 0; i < (depth == 32 ? 32 : 15); i += bits)
        r |= ((s >> i & max) * a + (d >> i & max) * (255 - a) + 254) / 255
             << i;
    return r;
}

/* Rule 34 from Form to Form skips what is transparent, whatever its colour. */
static bool skips_transparent(int rule)
{
    return rule == 34 && bits_of(&source) == 32 &&
           slot(bitblt, 1) != h->nil && source.form != dest.form &&
           slot(bitblt, 2) == h->nil && slot(bitblt, 14) == h->nil;
}

static uint32_t scaled(int rule, uint32_t s, uint32_t d)
{
    uint32_t r = 0;

    if (!s || (!(s >> 24) && skips_transparent(rule)))
        return d;
    for (int i = 0; i < 32; i += 8) {
        uint32_t c = (s >> i & 255) + ((d >> i & 255) * (255 - (s >> 24)) >> 8);

        r |= (c > 255 ? 255 : c) << i;
    }
    return r;
}

static uint32_t component(uint32_t s, uint32_t d, uint32_t colour, uint32_t a)
{
    uint32_t r = 0;

    if (!s)
        return d;
    for (int i = 0; i < 32; i += 8) {
        uint32_t cover = s >> i & 255, c = i == 24 ? 256 : colour >> i & 255;
        uint32_t v;

        if (a != 255)
            cover = cover * a >> 8;
        v = ((d >> i & 255) * (255 - cover) >> 8) + (c * cover >> 8);
        r |= (v > 255 ? 255 : v) << i;
    }
    return r;
}

static uint32_t model_rule(int rule, int depth, uint32_t s, uint32_t d,
                           uint32_t alpha, uint32_t colour)
{
    uint32_t max = max_of(depth);

    switch (rule) {
    case 0: return 0;
    case 1: return s & d;
    case 2: return s & ~d;
    case 3: return s;
    case 4: return ~s & d & max;
    case 5: case 15: return d;
    case 6: return s ^ d;
    case 7: return s | d;
    case 8: return ~(s | d) & max;
    case 9: return ~(s ^ d) & max;
    case 10: return ~d & max;
    case 11: return (s | ~d) & max;
    case 12: return ~s & max;
    case 13: return (~s | d) & max;
    case 14: return ~(s & d) & max;
    case 18: return s + d;
    case 19: return s - d;
    case 24:
        return s >> 24 == 0     ? d
               : s >> 24 == 255 ? s
                                : blend(32, s | 0xff000000, d, s >> 24);
    case 25: return s ? s : d;
    case 26: return s ? 0 : d;
    case 30: return depth < 16 ? d : blend(depth, s, d, alpha);
    case 31: return depth < 16 || !s ? d : blend(depth, s, d, alpha);
    case 34: case 35: case 36: return scaled(rule, s, d);
    case 39: return s == d ? 0 : d;
    case 40: return d && !(d >> 24) ? d | (s & 0xff000000) : d;
    case 41: return component(s, d, colour, alpha);
    default: return by_channel(rule, depth, s, d);
    }
}

static bool needs_32_bits(int rule)
{
    return rule == 18 || rule == 19 || rule == 24 || rule == 40 ||
           rule == 41 || (rule >= 34 && rule <= 36);
}

/* --- colour maps --- */

static int map_bits; /* per channel of an indexed map, 0: by pixel */

static uint32_t to_index(uint32_t p, int from, int to)
{
    uint32_t r = 0;

    for (int i = 2; i >= 0; i--) {
        uint32_t c = p >> (i * from) & ((1u << from) - 1);

        c = to < from ? c >> (from - to) : c << (to - from);
        r = r << to | c;
    }
    return r || !p ? r : 1;
}

static uint32_t model_map(uint32_t p)
{
    int depth = bits_of(&source);

    if (slot(bitblt, 14) == h->nil)
        return p;
    if (depth >= 16 && (depth == 16 ? 5 : 8) != map_bits)
        p = to_index(p, depth == 16 ? 5 : 8, map_bits);
    return *word_at(table, p & ((1u << (map_bits ? 3 * map_bits : depth)) -
                                1));
}

static void random_map(void)
{
    int depth = bits_of(&source);
    uint64_t n;

    slots(bitblt)[14] = h->nil;
    map_bits = 0;
    if (bits_of(&dest) == depth ? below(2) : below(4))
        return;
    if (depth >= 16)
        map_bits = 3 + (int)below(3);
    n = 1ull << (map_bits ? 3 * map_bits : depth);
    table = new_words(n);
    for (uint64_t i = 0; i < n; i++)
        *word_at(table, i) = below(3) ? (uint32_t)random64() : 0;
    heap_store(h, bitblt, 14, table);
}

/* --- one transfer, twice --- */

struct transfer {
    int rule, dx, dy, w, h, sx, sy, cx, cy, cw, ch;
    uint32_t alpha, colour;
    bool has_source;
};

static int around(int size)
{
    return (int)below((unsigned)size + 20) - 10;
}

static void random_transfer(struct transfer *t)
{
    t->dx = around(dest.width);
    t->dy = around(dest.height);
    t->w = around(dest.width) + 5;
    t->h = around(dest.height) + 5;
    t->sx = around(source.width);
    t->sy = around(source.height);
    t->cx = below(3) ? 0 : around(dest.width);
    t->cy = below(3) ? 0 : around(dest.height);
    t->cw = below(3) ? dest.width : around(dest.width);
    t->ch = below(3) ? dest.height : around(dest.height);
    t->alpha = below(256);
    t->colour = (uint32_t)random64();
}

static void store_transfer(const struct transfer *t)
{
    const int numbers[] = { t->dx, t->dy, t->w,  t->h,  t->sx,
                            t->sy, t->cx, t->cy, t->cw, t->ch };

    heap_store(h, bitblt, 0, dest.form);
    heap_store(h, bitblt, 1, t->has_source ? source.form : h->nil);
    slots(bitblt)[3] = int_oop(t->rule);
    for (unsigned i = 0; i < 10; i++)
        slots(bitblt)[4 + i] = int_oop(numbers[i]);
}

/* The pixel that the model puts at x, y of the destination, if any. */
static bool model_pixel(const struct transfer *t, int x, int y, uint32_t *r)
{
    uint32_t d = dest.pixel[y * MAX_SIDE + x], s = 0xffffffff;
    int sx = x - t->dx + t->sx, sy = y - t->dy + t->sy, shift;
    bool reads = t->has_source && t->rule != 0 && t->rule != 5 &&
                 t->rule != 10 && t->rule != 15;

    if (x < t->cx || x >= t->cx + t->cw || y < t->cy || y >= t->cy + t->ch ||
        x < t->dx || x >= t->dx + t->w || y < t->dy || y >= t->dy + t->h)
        return false;
    if (reads) {
        if (sx < 0 || sy < 0 || sx >= source.width || sy >= source.height)
            return false;
        s = model_map(source.pixel[sy * MAX_SIDE + sx]);
    }
    s &= max_of(bits_of(&dest));
    where(&dest, x, y, &shift);
    if (slot(bitblt, 2) != h->nil)
        s &= *word_at(halftone, (uint64_t)y % 4) >> shift;
    s &= max_of(bits_of(&dest));
    *r = model_rule(t->rule, bits_of(&dest), s, d, t->alpha, t->colour) &
         max_of(bits_of(&dest));
    return true;
}

static void check_transfer(const struct transfer *t)
{
    for (int i = 0; i < 16; i++)
        assert_int_equal(dest.after[i], *word_behind(&dest, i));
    for (int y = 0; y < dest.height; y++)
        for (int x = 0; x < dest.width; x++) {
            uint32_t want = dest.pixel[y * MAX_SIDE + x];

            model_pixel(t, x, y, &want);
            if (get(&dest, x, y) != want)
                fail_msg("rule %d depth %d from %d at %d,%d: %x, not %x",
                         t->rule, dest.depth, source.depth, x, y,
                         get(&dest, x, y), want);
        }
}

static void run_transfer(const struct transfer *t)
{
    oop result, operands[] = { bitblt, int_oop(t->alpha), 0 };
    int argc = 0;

    if (t->rule == 30 || t->rule == 31)
        argc = 1;
    if (t->rule == 41) {
        argc = 2;
        operands[1] = int_oop(t->colour);
        operands[2] = int_oop(t->alpha);
    }
    assert_int_equal(call(prim_copy_bits, &result, argc, operands), 0);
    assert_int_equal(result, bitblt);
}

/* A test is run for each level; which one is its state. */
static int set_up_level(void **state)
{
    return set_up(NULL);
}

static void take_level(void **state)
{
    if (!blt_choose_loops(*state)) {
        print_message("skipped: this processor has no %s\n",
                      (const char *)*state);
        skip();
    }
}

static const int depths[] = { 1, 2, 4, 8, 16, 32, -1, -2, -4, -8, -16, -32 };

static int any_depth(void)
{
    return depths[below(12)];
}

static void prepare(void)
{
    bitblt = array(15);
    dest.form = array(5);
    source.form = array(5);
    dest.bits = new_words(BITS_WORDS);
    source.bits = new_words(BITS_WORDS);
    halftone = new_words(4);
}

static void random_halftone(void)
{
    for (uint64_t i = 0; i < 4; i++)
        *word_at(halftone, i) = (uint32_t)random64();
    heap_store(h, bitblt, 2, below(3) ? h->nil : halftone);
}

static int any_rule(void)
{
    static const int rules[] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                 10, 11, 12, 13, 14, 15, 18, 19, 20, 21,
                                 24, 25, 26, 27, 28, 29, 30, 31, 34, 35,
                                 37, 39, 40, 41, 3,  34, 25 };

    return rules[below(sizeof rules / sizeof *rules)];
}

static void every_rule_agrees_with_the_model(void **state)
{
    struct transfer t;

    take_level(state);
    prepare();
    for (int i = 0; i < ROUNDS; i++) {
        t.rule = any_rule();
        t.has_source = below(8) != 0;
        random_picture(&dest, needs_32_bits(t.rule) ? 32 : any_depth());
        random_picture(&source, t.rule == 34 && below(2) ? below(2) ? 8 : -8
                                : below(2)              ? dest.depth
                                                        : any_depth());
        random_halftone();
        random_map();
        random_transfer(&t);
        store_transfer(&t);
        run_transfer(&t);
        check_transfer(&t);
        if (i % 1000 == 0) { /* maps are made anew and again */
            tear_down(NULL);
            assert_int_equal(set_up(NULL), 0);
            prepare();
        }
    }
}

static void a_form_may_be_its_own_source(void **state)
{
    struct transfer t;

    take_level(state);
    prepare();
    source.bits = dest.bits;
    source.form = dest.form;
    for (int i = 0; i < ROUNDS / 4; i++) {
        t.rule = below(2) ? 3 : any_rule();
        t.has_source = true;
        random_picture(&dest, needs_32_bits(t.rule) ? 32 : any_depth());
        source = dest;
        random_halftone();
        slots(bitblt)[14] = h->nil;
        random_transfer(&t);
        store_transfer(&t);
        run_transfer(&t);
        check_transfer(&t);
    }
}

static void swapping_turns_the_pixels_of_a_word_round(void **state)
{
    struct transfer t = { .rule = 38, .w = 32, .h = 1, .cw = 32, .ch = 1 };

    prepare();
    random_picture(&dest, 8);
    dest.width = 4;
    dest.height = 1;
    slots(dest.form)[FORM_WIDTH] = int_oop(4);
    slots(dest.form)[FORM_HEIGHT] = int_oop(1);
    *word_at(dest.bits, 0) = 0x12345678;
    store_transfer(&t);
    run_transfer(&t);
    assert_int_equal(*word_at(dest.bits, 0), 0x78563412);
}

static void differences_and_tallies_are_counted(void **state)
{
    struct transfer t = { .rule = 32, .w = 9, .h = 5, .cw = 9, .ch = 5,
                          .has_source = true };
    oop result, operand;
    unsigned different = 0;

    prepare();
    random_picture(&dest, 4);
    dest.width = source.width = 9;
    dest.height = source.height = 5;
    random_picture(&source, 4);
    source.width = dest.width = 9;
    source.height = dest.height = 5;
    for (int i = 0; i < 2; i++) {
        oop f = i ? source.form : dest.form;

        slots(f)[FORM_WIDTH] = int_oop(9);
        slots(f)[FORM_HEIGHT] = int_oop(5);
    }
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 9; x++)
            different += get(&dest, x, y) != get(&source, x, y);
    store_transfer(&t);
    operand = bitblt;
    assert_int_equal(call(prim_copy_bits, &result, 0, &operand), 0);
    assert_int_equal(result, int_oop(different));
    t.rule = 33;
    table = new_words(16);
    heap_store(h, bitblt, 14, table);
    store_transfer(&t);
    run_transfer(&t);
    different = 0;
    for (uint64_t i = 0; i < 16; i++)
        different += *word_at(table, i);
    assert_int_equal(different, 45);
}

static void a_wrong_bitblt_fails_and_touches_nothing(void **state)
{
    oop result, operand;

    take_level(state);
    prepare();
    for (int i = 0; i < 20000; i++) {
        struct transfer t = { .has_source = true, .rule = (int)below(45) };
        unsigned slot_number = below(15);
        const oop wrong[] = { int_oop(-1), h->true_, char_oop(3), bitblt,
                              int_oop(1 << 29), halftone,
                              int_oop(SMALLINT_MAX), int_oop(SMALLINT_MIN) };

        random_picture(&dest, any_depth());
        random_picture(&source, any_depth());
        slots(bitblt)[14] = h->nil;
        random_transfer(&t);
        store_transfer(&t);
        if (below(2))
            heap_store(h, bitblt, slot_number, wrong[below(8)]);
        else
            slots(below(2) ? dest.form : source.form)[below(4)] =
                wrong[below(8)];
        operand = bitblt;
        call(prim_copy_bits, &result, 0, &operand);
    }
}

/* A warp of a rectangle onto one of the same size is a copy. */
static void a_straight_warp_is_a_copy(void **state)
{
    enum { SIDE = 32 };
    oop result, operand;
    static const int corner[4][2] = { { 0, 0 }, { 0, SIDE - 1 },
                                      { SIDE - 1, SIDE - 1 },
                                      { SIDE - 1, 0 } };

    take_level(state);
    prepare();
    bitblt = array(27);
    for (int i = 0; i < 200; i++) {
        struct transfer t = { .rule = 3, .w = SIDE, .h = SIDE, .cw = SIDE,
                              .ch = SIDE, .has_source = true };
        int depth = any_depth();

        random_picture(&dest, depth);
        random_picture(&source, below(2) ? depth : -depth);
        dest.width = dest.height = source.width = source.height = SIDE;
        for (int k = 1; k <= 2; k++) {
            slots(dest.form)[k] = int_oop(SIDE);
            slots(source.form)[k] = int_oop(SIDE);
        }
        for (unsigned c = 0; c < 4; c++) {
            slots(bitblt)[15 + 3 * c] = int_oop(corner[c][0] << 14);
            slots(bitblt)[16 + 3 * c] = int_oop(corner[c][1] << 14);
        }
        read_pixels(&dest);
        read_pixels(&source);
        store_transfer(&t);
        operand = bitblt;
        assert_int_equal(call(prim_warp_bits, &result, 0, &operand), 0);
        check_transfer(&t);
    }
}

/* --- every level on the same operands --- */

static const char *const levels[] = { "plain", "sse2", "avx2" };

static void random_corners(void)
{
    for (unsigned i = 0; i < 4; i++) {
        slots(bitblt)[15 + 3 * i] =
            int_oop(((int64_t)below(MAX_SIDE << 14)) - (6 << 14));
        slots(bitblt)[16 + 3 * i] =
            int_oop(((int64_t)below((MAX_SIDE / 4) << 14)) - (1 << 14));
    }
}

/* A rectangle, as when a picture is scaled: rows stay rows. */
static void level_corners(void)
{
    int64_t x = below((unsigned)source.width << 14);
    int64_t y = below((unsigned)source.height << 14);
    int64_t right = below((unsigned)source.width << 14);
    int64_t bottom = below((unsigned)source.height << 14);
    const int64_t corner[4][2] = { { x, y }, { x, bottom },
                                   { right, bottom }, { right, y } };

    for (unsigned i = 0; i < 4; i++) {
        slots(bitblt)[15 + 3 * i] = int_oop(corner[i][0]);
        slots(bitblt)[16 + 3 * i] = int_oop(corner[i][1]);
    }
}

static void warp_with(const char *level, int smoothing, oop source_map,
                      uint32_t *to)
{
    const oop operands[] = { bitblt, int_oop(smoothing), source_map };
    oop result;

    assert_true(blt_choose_loops(level));
    assert_int_equal(call(prim_warp_bits, &result, 2, operands), 0);
    memcpy(to, bytes(dest.bits), BITS_WORDS * 4);
}

/* A map that changes nothing, said in a way that keeps the loops which map
 * nothing from being used. */
static void store_roundabout_map(void)
{
    static const uint32_t masks[4] = { 0xff, 0xff00, 0xff0000, 0xff000000 };
    oop map = array(4);

    slots(map)[0] = new_words(4);
    slots(map)[1] = new_words(4);
    slots(map)[2] = slots(map)[3] = h->nil;
    for (uint64_t i = 0; i < 4; i++)
        *word_at(slot(map, 1), i) = masks[i];
    heap_store(h, bitblt, 14, map);
}

static void random_warp(void)
{
    struct transfer t = { .rule = below(2) ? 3 : any_rule(),
                          .has_source = true };

    if (t.rule == 30 || t.rule == 31 || t.rule == 41)
        t.rule = 34;
    random_picture(&dest, below(4) ? 32 : any_depth());
    if (needs_32_bits(t.rule) && bits_of(&dest) != 32)
        t.rule = 3;
    random_picture(&source, below(4) ? 32 : any_depth());
    random_halftone();
    random_map();
    random_transfer(&t);
    store_transfer(&t);
    if (below(3))
        level_corners();
    else
        random_corners();
}

/* Draws for each level, and a last time the long way round. */
static void warp_with_all(oop source_map, bool has_avx2)
{
    static uint32_t before[BITS_WORDS], first[BITS_WORDS], drawn[BITS_WORDS];
    int smoothing = 1 + (int)below(3);
    bool is_mapped = slot(bitblt, 14) != h->nil || bits_of(&source) != 32 ||
                     bits_of(&dest) != 32;

    memcpy(before, bytes(dest.bits), sizeof before);
    warp_with("plain", smoothing, source_map, first);
    for (int k = 1; k < 3 + !is_mapped; k++) {
        if (k == 2 && !has_avx2)
            continue;
        if (k == 3)
            store_roundabout_map();
        memcpy(bytes(dest.bits), before, sizeof before);
        warp_with(levels[k % 3], smoothing, source_map, drawn);
        if (memcmp(first, drawn, sizeof first))
            fail_msg("a warp with %s differs",
                     k < 3 ? levels[k] : "a map of no effect");
    }
}

static void every_level_warps_alike(void **state)
{
    bool has_avx2 = blt_choose_loops("avx2");
    oop source_map = 0;

    for (int i = 0; i < ROUNDS / 2; i++) {
        if (i % 500 == 0) { /* so much is made */
            if (i) {
                tear_down(NULL);
                assert_int_equal(set_up(NULL), 0);
            }
            prepare();
            bitblt = array(27);
            source_map = new_words(256);
        }
        random_warp();
        warp_with_all(source_map, has_avx2);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define LEVELS(f) LEVEL(f, "plain"), LEVEL(f, "sse2"), LEVEL(f, "avx2")
#define LEVEL(f, level) \
    { .name = #f ", " level, .test_func = f, .setup_func = set_up_level, \
      .teardown_func = tear_down, .initial_state = (void *)(level) }
    const struct CMUnitTest tests[] = {
        LEVELS(every_rule_agrees_with_the_model),
        LEVELS(a_form_may_be_its_own_source),
        TEST(swapping_turns_the_pixels_of_a_word_round),
        TEST(differences_and_tallies_are_counted),
        LEVELS(a_wrong_bitblt_fails_and_touches_nothing),
        LEVELS(a_straight_warp_is_a_copy),
        TEST(every_level_warps_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
