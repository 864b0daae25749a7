/*
 * plugin_misc.c - module MiscPrimitivePlugin: loops over bytes that the
 * image also has in Smalltalk. Indices are 1-based; 0 means not found.
 */
#include "vm/primitives/find_bytes.h"
#include "vm/primitives/prim.h"

enum { HASH_FACTOR = 1664525, HASH_MASK = 0xfffffff };

/* A table of 256 bytes, or NULL. */
static const uint8_t *byte_table(oop o)
{
    return is_bytes(o) && byte_count(o) >= 256 ? bytes(o) : NULL;
}

/* A start index of at least 1, made to count from 0. */
static bool start_index(oop o, uint64_t *i)
{
    if (!is_int(o) || int_value(o) < 1)
        return false;
    *i = (uint64_t)int_value(o) - 1;
    return true;
}

/* --- compare: 1 less, 2 equal, 3 greater --- */

int prim_compare_string(struct vm *vm, int argc)
{
    oop a = vm->sp[2], b = vm->sp[1];
    const uint8_t *order = byte_table(vm->sp[0]);
    uint64_t na, nb;

    if (argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!order || !is_bytes(a) || !is_bytes(b))
        return PRIM_ERR_BAD_ARGUMENT;
    na = byte_count(a);
    nb = byte_count(b);
    for (uint64_t i = 0; i < na && i < nb; i++) {
        int x = order[bytes(a)[i]], y = order[bytes(b)[i]];

        if (x != y)
            return prim_answer(vm, argc, int_oop(x < y ? 1 : 3));
    }
    return prim_answer(vm, argc, int_oop(na == nb ? 2 : na < nb ? 1 : 3));
}

/* --- search --- */

int prim_find_first_in_string(struct vm *vm, int argc)
{
    oop s = vm->sp[2];
    const uint8_t *set = byte_table(vm->sp[1]);
    uint64_t i;

    if (argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_bytes(s) || !set || !start_index(vm->sp[0], &i))
        return PRIM_ERR_BAD_ARGUMENT;
    for (; i < byte_count(s); i++)
        if (set[bytes(s)[i]])
            return prim_answer(vm, argc, int_oop((int64_t)i + 1));
    return prim_answer(vm, argc, int_oop(0));
}

int prim_index_of_ascii(struct vm *vm, int argc)
{
    oop s = vm->sp[1];
    uint64_t i;
    int64_t c, at;

    if (argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[2]) || !is_bytes(s) || !start_index(vm->sp[0], &i))
        return PRIM_ERR_BAD_ARGUMENT;
    c = int_value(vm->sp[2]);
    at = c == (uint8_t)c
             ? find_byte((uint8_t)c, bytes(s), byte_count(s), i) : -1;
    return prim_answer(vm, argc, int_oop(at + 1));
}

/* key, body, start, match table; an empty key is found nowhere. */
int prim_find_substring(struct vm *vm, int argc)
{
    oop key = vm->sp[3], body = vm->sp[2];
    const uint8_t *order = byte_table(vm->sp[0]);
    int64_t i;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_bytes(key) || !is_bytes(body) || !is_int(vm->sp[1]) || !order)
        return PRIM_ERR_BAD_ARGUMENT;
    i = int_value(vm->sp[1]) < 1 ? 0 : int_value(vm->sp[1]) - 1;
    i = byte_count(key) ? find_bytes(bytes(key), byte_count(key), bytes(body),
                                     byte_count(body), (uint64_t)i, order)
                        : -1;
    return prim_answer(vm, argc, int_oop(i + 1));
}

/* --- hash, translate --- */

/* Images keep sets of strings by this value: it may never change. */
int prim_string_hash(struct vm *vm, int argc)
{
    oop s = vm->sp[1], initial = vm->sp[0];
    uint32_t h;

    if (argc < 1 || !is_bytes(s) || !is_int(initial))
        return PRIM_ERR_BAD_ARGUMENT;
    h = (uint32_t)int_value(initial) & HASH_MASK;
    for (uint64_t i = 0; i < byte_count(s); i++)
        h = (h + bytes(s)[i]) * HASH_FACTOR;
    return prim_answer(vm, argc, int_oop(h & HASH_MASK));
}

int prim_translate_string(struct vm *vm, int argc)
{
    oop s = vm->sp[3];
    const uint8_t *table = byte_table(vm->sp[0]);
    uint64_t i;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_bytes(s) || !table || !start_index(vm->sp[2], &i) ||
        !is_int(vm->sp[1]))
        return PRIM_ERR_BAD_ARGUMENT;
    if (int_value(vm->sp[1]) > (int64_t)byte_count(s))
        return PRIM_ERR_BAD_INDEX;
    if (is_immutable(s))
        return PRIM_ERR_NO_MODIFICATION;
    for (; (int64_t)i < int_value(vm->sp[1]); i++)
        bytes(s)[i] = table[bytes(s)[i]];
    return prim_answer_self(vm, argc);
}

/* --- bitmaps, run-length coded: words of 32 bits, see Bitmap --- */

struct bytes_in {
    const uint8_t *p, *end;
};

/* A count: one byte below 224, two below 255, else four after it. */
static bool read_count(struct bytes_in *in, uint64_t *n)
{
    unsigned first;

    if (in->p == in->end)
        return false;
    first = *in->p++;
    if (first < 224) {
        *n = first;
        return true;
    }
    if (first < 255) {
        if (in->p == in->end)
            return false;
        *n = (first - 224) * 256u + *in->p++;
        return true;
    }
    if (in->end - in->p < 4)
        return false;
    *n = (uint64_t)in->p[0] << 24 | in->p[1] << 16 | in->p[2] << 8 | in->p[3];
    in->p += 4;
    return true;
}

static bool read_word(struct bytes_in *in, uint32_t *w)
{
    if (in->end - in->p < 4)
        return false;
    *w = (uint32_t)in->p[0] << 24 | (uint32_t)in->p[1] << 16 |
         (uint32_t)in->p[2] << 8 | in->p[3];
    in->p += 4;
    return true;
}

/* Low two bits of a count: 0 skip, 1 one byte for all, 2 one word for all,
 * 3 that many words. */
static bool decompress(struct bytes_in *in, uint32_t *out, uint64_t room)
{
    uint64_t n;
    uint32_t w = 0;

    while (in->p < in->end) {
        unsigned kind;

        if (!read_count(in, &n))
            return false;
        kind = n & 3;
        n >>= 2;
        if (n > room)
            return false;
        room -= n;
        if (kind == 1) {
            if (in->p == in->end)
                return false;
            w = *in->p++ * 0x01010101u;
        } else if (kind == 2 && !read_word(in, &w)) {
            return false;
        }
        for (; n; n--, out++) {
            if (kind == 3 && !read_word(in, &w))
                return false;
            if (kind)
                *out = w;
        }
    }
    return true;
}

/* decompress: bitmap fromByteArray: bytes at: index */
int prim_decompress_bitmap(struct vm *vm, int argc)
{
    oop bitmap = vm->sp[2], from = vm->sp[1];
    struct bytes_in in;
    uint64_t at;

    if (argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_words(bitmap) || !is_bytes(from) || !start_index(vm->sp[0], &at))
        return PRIM_ERR_BAD_ARGUMENT;
    if (at > byte_count(from))
        return PRIM_ERR_BAD_INDEX;
    if (is_immutable(bitmap))
        return PRIM_ERR_NO_MODIFICATION;
    in.p = bytes(from) + at;
    in.end = bytes(from) + byte_count(from);
    if (!decompress(&in, words(bitmap), word_count(bitmap)))
        return PRIM_ERR_BAD_INDEX;
    return prim_answer_self(vm, argc);
}
