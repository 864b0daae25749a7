/*
 * qr.c - QR codes. ISO/IEC 18004:2015; section and table numbers are its.
 *
 * The order of work: bytes to codewords (7.4), error correction (7.5), both
 * interleaved (7.6), onto the matrix in a zigzag (7.7), the mask that looks
 * least like a pattern (7.8).
 */
#include "kernel/qr.h"

#include <stdbool.h>
#include <string.h>

enum { DARK = 1, FIXED = 2 };       /* bits of a module */
enum { CODEWORDS = 1588 };          /* of version 25 */
enum { BLOCK_CORRECTION_MAX = 30, MASKS = 8 };

/* Level L, versions 1 to 25 (table 9): correction codewords of each block,
 * and blocks. */
static const uint8_t block_correction[QR_VERSION + 1] = {
    0, 7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30,
    28, 28, 28, 28, 30, 30, 26,
};
static const uint8_t block_count[QR_VERSION + 1] = {
    0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9,
    10, 12,
};

/* --- how much fits --- */

static unsigned side_of(unsigned version) { return 17 + 4 * version; }

/* Alignment patterns along one edge (annex E). */
static unsigned alignments(unsigned version)
{
    return version == 1 ? 0 : version / 7 + 2;
}

/* Modules that are left for data, in whole codewords (table 1). */
static unsigned all_codewords(unsigned version)
{
    unsigned side = side_of(version), n = alignments(version);
    unsigned taken = 3 * 64 + 31 + 2 * (side - 16); /* corners, format, lines */

    if (n) /* those on the timing lines share five modules with them */
        taken += (n * n - 3) * 25 - 2 * (n - 2) * 5;
    if (version >= 7)
        taken += 36;
    return (side * side - taken) / 8;
}

static unsigned data_codewords(unsigned version)
{
    return all_codewords(version) -
           block_correction[version] * block_count[version];
}

static unsigned count_bits(unsigned version) { return version < 10 ? 8 : 16; }

static unsigned version_for(size_t n)
{
    for (unsigned v = 1; v <= QR_VERSION; v++)
        if (4 + count_bits(v) + 8 * n <= 8 * data_codewords(v))
            return v;
    return 0;
}

/* --- codewords --- */

struct bits {
    uint8_t *bytes;
    unsigned used;
};

static void put_bits(struct bits *b, unsigned value, unsigned count)
{
    while (count--) {
        if (value >> count & 1)
            b->bytes[b->used / 8] |= (uint8_t)(0x80 >> b->used % 8);
        b->used++;
    }
}

static void put_data(uint8_t *to, unsigned version, const uint8_t *text,
                     size_t n)
{
    static const uint8_t padding[] = { 0xec, 0x11 };
    struct bits b = { to, 0 };
    unsigned size = data_codewords(version), used;

    memset(to, 0, size);
    put_bits(&b, 4, 4); /* byte mode */
    put_bits(&b, (unsigned)n, count_bits(version));
    for (size_t i = 0; i < n; i++)
        put_bits(&b, text[i], 8);
    /* four zero bits end it, fewer where it is full */
    used = (b.used + 4 + 7) / 8;
    for (unsigned i = 0; used + i < size; i++)
        to[used + i] = padding[i % 2];
}

/* In the field of 256 elements over x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;

    for (int i = 7; i >= 0; i--) {
        product = product << 1 ^ (product >> 7 & 1) * 0x11d;
        product ^= (b >> i & 1) * a;
    }
    return (uint8_t)product;
}

/* Coefficients of (x - 1)(x - 2)(x - 4)..., the leading one left out. */
static void make_generator(uint8_t *g, unsigned degree)
{
    uint8_t root = 1;

    memset(g, 0, degree);
    g[degree - 1] = 1;
    for (unsigned i = 0; i < degree; i++) {
        for (unsigned k = 0; k < degree; k++)
            g[k] = multiply(g[k], root) ^ (k + 1 < degree ? g[k + 1] : 0);
        root = multiply(root, 2);
    }
}

/* The remainder of the division by the generator. */
static void correct(const uint8_t *data, unsigned n, const uint8_t *g,
                    unsigned degree, uint8_t *remainder)
{
    memset(remainder, 0, degree);
    for (unsigned i = 0; i < n; i++) {
        uint8_t factor = data[i] ^ remainder[0];

        memmove(remainder, remainder + 1, degree - 1);
        remainder[degree - 1] = 0;
        for (unsigned k = 0; k < degree; k++)
            remainder[k] ^= multiply(g[k], factor);
    }
}

/* Blocks of nearly the same length, the longer ones last, one codeword of
 * each in turn; then their corrections the same way. */
static void interleave(uint8_t *to, const uint8_t *data, unsigned version)
{
    unsigned blocks = block_count[version], size = data_codewords(version);
    unsigned degree = block_correction[version];
    unsigned shorter = size / blocks, long_from = blocks - size % blocks;
    uint8_t g[BLOCK_CORRECTION_MAX], rest[BLOCK_CORRECTION_MAX];

    make_generator(g, degree);
    for (unsigned b = 0; b < blocks; b++) {
        unsigned longer = b >= long_from;

        for (unsigned i = 0; i < shorter; i++)
            to[i * blocks + b] = data[i];
        if (longer)
            to[shorter * blocks + b - long_from] = data[shorter];
        correct(data, shorter + longer, g, degree, rest);
        for (unsigned i = 0; i < degree; i++)
            to[size + i * blocks + b] = rest[i];
        data += shorter + longer;
    }
}

/* --- the matrix --- */

static void fix(struct qr *q, int x, int y, bool dark)
{
    if (x >= 0 && y >= 0 && x < (int)q->side && y < (int)q->side)
        q->dark[y][x] = (uint8_t)(FIXED | (dark ? DARK : 0));
}

static int larger(int a, int b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    return a > b ? a : b;
}

/* Rings around a centre: with `radius` 4 a finder and its light edge. */
static void draw_rings(struct qr *q, int x, int y, int radius)
{
    for (int dy = -radius; dy <= radius; dy++)
        for (int dx = -radius; dx <= radius; dx++) {
            int ring = larger(dx, dy);

            fix(q, x + dx, y + dy,
                radius == 4 ? ring != 2 && ring != 4 : ring != 1);
        }
}

static void draw_alignments(struct qr *q, unsigned version)
{
    unsigned n = alignments(version), last = q->side - 7, at[8] = { 6 };
    unsigned step = n < 2 ? 0
                          : (version * 4 + n * 2 + 1) / (n * 2 - 2) * 2;

    for (unsigned i = 1; i < n; i++)
        at[i] = last - (n - 1 - i) * step;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < n; k++)
            if (!((i == 0 && (k == 0 || k == n - 1)) ||
                  (i == n - 1 && k == 0)))
                draw_rings(q, (int)at[i], (int)at[k], 2);
}

/* What is left of `value` after the division of binary polynomials. */
static unsigned remainder_of(unsigned value, unsigned divisor, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++)
        value = value << 1 ^ (value >> (bits - 1) & 1) * divisor;
    return value & ((1u << bits) - 1);
}

/* Level and mask, twice (7.9): level L is 1. */
static void draw_format(struct qr *q, unsigned mask)
{
    unsigned data = 1 << 3 | mask, side = q->side;
    unsigned bits = (data << 10 | remainder_of(data, 0x537, 10)) ^ 0x5412;

    for (unsigned i = 0; i < 15; i++) {
        bool dark = bits >> i & 1;

        if (i < 8) { /* down the left finder's side, past the timing line */
            fix(q, 8, (int)(i < 6 ? i : i + 1), dark);
            fix(q, (int)(side - 1 - i), 8, dark);
        } else {
            fix(q, (int)(i == 8 ? 7 : 14 - i), 8, dark);
            fix(q, 8, (int)(side - 15 + i), dark);
        }
    }
    fix(q, 8, (int)side - 8, true);
}

static void draw_version(struct qr *q, unsigned version) /* 7.10 */
{
    unsigned bits = version << 12 | remainder_of(version, 0x1f25, 12);

    if (version < 7)
        return;
    for (unsigned i = 0; i < 18; i++) {
        int a = (int)(q->side - 11 + i % 3), b = (int)(i / 3);

        fix(q, a, b, bits >> i & 1);
        fix(q, b, a, bits >> i & 1);
    }
}

static void draw_fixed(struct qr *q, unsigned version)
{
    int far = (int)q->side - 4;

    for (int i = 0; i < (int)q->side; i++) {
        fix(q, 6, i, i % 2 == 0);
        fix(q, i, 6, i % 2 == 0);
    }
    draw_rings(q, 3, 3, 4);
    draw_rings(q, far, 3, 4);
    draw_rings(q, 3, far, 4);
    draw_alignments(q, version);
    draw_format(q, 0);
    draw_version(q, version);
}

/* Up and down in columns of two, from the right, over what is not fixed. */
static void draw_codewords(struct qr *q, const uint8_t *bytes, unsigned n)
{
    unsigned bit = 0, side = q->side;

    for (int right = (int)side - 1; right >= 1; right -= 2) {
        if (right == 6)
            right = 5; /* the timing line */
        bool up = ((right + 1) & 2) == 0;

        for (unsigned i = 0; i < side; i++)
            for (int k = 0; k < 2; k++) {
                uint8_t *m = &q->dark[up ? side - 1 - i : i][right - k];

                if (*m & FIXED || bit >= 8 * n)
                    continue;
                *m = bytes[bit / 8] >> (7 - bit % 8) & 1;
                bit++;
            }
    }
}

/* --- masks --- */

static bool mask_at(unsigned mask, unsigned x, unsigned y) /* table 10 */
{
    switch (mask) {
    case 0: return (x + y) % 2 == 0;
    case 1: return y % 2 == 0;
    case 2: return x % 3 == 0;
    case 3: return (x + y) % 3 == 0;
    case 4: return (x / 3 + y / 2) % 2 == 0;
    case 5: return x * y % 2 + x * y % 3 == 0;
    case 6: return (x * y % 2 + x * y % 3) % 2 == 0;
    default: return ((x + y) % 2 + x * y % 3) % 2 == 0;
    }
}

/* Doing it twice undoes it. */
static void apply_mask(struct qr *q, unsigned mask)
{
    for (unsigned y = 0; y < q->side; y++)
        for (unsigned x = 0; x < q->side; x++)
            if (!(q->dark[y][x] & FIXED) && mask_at(mask, x, y))
                q->dark[y][x] ^= DARK;
    draw_format(q, mask);
}

static bool is_dark(const struct qr *q, unsigned x, unsigned y, bool across)
{
    return (across ? q->dark[y][x] : q->dark[x][y]) & DARK;
}

/* Of one line: runs of five and more, and what looks like a finder (table
 * 11). */
static unsigned line_penalty(const struct qr *q, unsigned y, bool across)
{
    unsigned run = 0, penalty = 0, seen = 0;
    bool last = false;

    for (unsigned x = 0; x < q->side; x++) {
        bool dark = is_dark(q, x, y, across);

        run = x && dark == last ? run + 1 : 1;
        last = dark;
        penalty += run == 5 ? 3 : run > 5;
        seen = (seen << 1 | dark) & 0x7ff;
        if (x >= 10 && (seen == 0x05d || seen == 0x5d0))
            penalty += 40;
    }
    return penalty;
}

static unsigned penalty_of(const struct qr *q)
{
    unsigned penalty = 0, dark = 0, all = q->side * q->side, off;

    for (unsigned y = 0; y < q->side; y++) {
        penalty += line_penalty(q, y, true) + line_penalty(q, y, false);
        for (unsigned x = 0; x < q->side; x++) {
            unsigned sum = q->dark[y][x] & DARK;

            dark += sum;
            if (x + 1 == q->side || y + 1 == q->side)
                continue;
            sum += (q->dark[y][x + 1] & DARK) + (q->dark[y + 1][x] & DARK) +
                   (q->dark[y + 1][x + 1] & DARK);
            penalty += sum % 4 ? 0 : 3;
        }
    }
    off = dark * 20 > all * 10 ? dark * 20 - all * 10 : all * 10 - dark * 20;
    return penalty + off / all * 10;
}

int qr_encode(struct qr *q, const void *text, size_t n)
{
    static uint8_t data[CODEWORDS], all[CODEWORDS];
    unsigned version = version_for(n), best = 0, least = ~0u;

    if (!version)
        return -1;
    memset(q, 0, sizeof *q);
    q->side = side_of(version);
    put_data(data, version, text, n);
    interleave(all, data, version);
    draw_fixed(q, version);
    draw_codewords(q, all, all_codewords(version));
    for (unsigned mask = 0; mask < MASKS; mask++) {
        unsigned penalty;

        apply_mask(q, mask);
        penalty = penalty_of(q);
        apply_mask(q, mask);
        if (penalty < least) {
            least = penalty;
            best = mask;
        }
    }
    apply_mask(q, best);
    return 0;
}
