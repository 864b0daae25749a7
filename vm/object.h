/*
 * object.h - what a 64-bit Spur object looks like.
 *
 * Owns: oops, tags, the header word, formats, slot access. Knows nothing of
 * spaces, allocation or collection (heap.h) and needs no struct vm.
 * Source: OpenSmalltalk Spur 64-bit, image format 68021.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An oop is a tagged word: the address of an object's header, or an
 * immediate (low three bits not 0). */
typedef uint64_t oop;

enum tag {
    TAG_POINTER = 0,
    TAG_INTEGER = 1,
    TAG_CHARACTER = 2,
    TAG_FLOAT = 4,
    TAG_MASK = 7,
};

enum format {
    FMT_EMPTY = 0,
    FMT_FIXED = 1,
    FMT_ARRAY = 2,
    FMT_FIXED_AND_INDEXED = 3,
    FMT_WEAK = 4,
    FMT_EPHEMERON = 5,
    FMT_FORWARDER = 7,
    FMT_64 = 9,
    FMT_32 = 10,
    FMT_16 = 12,
    FMT_BYTES = 16,
    FMT_CODE = 24,
};

/* Class indices that the VM knows by number: those of every Spur image. */
enum class_index {
    CLS_FREE = 0,
    CLS_SMALL_INTEGER = 1,
    CLS_CHARACTER = 2,
    CLS_BRIDGE = 3,
    CLS_SMALL_FLOAT = 4,
    CLS_FORWARDER = 8,
    CLS_HIDDEN_ARRAY = 16,
    CLS_HIDDEN_WEAK_ARRAY = 17,
    CLS_HIDDEN_WORDS32 = 18,
    CLS_HIDDEN_WORDS64 = 19,
    CLS_LARGE_NEGATIVE = 32,
    CLS_LARGE_POSITIVE = 33,
    CLS_BOXED_FLOAT = 34,
    CLS_MESSAGE = 35,
    CLS_CONTEXT = 36,
    CLS_BLOCK_CLOSURE = 37,
    CLS_FULL_BLOCK_CLOSURE = 38,
    CLS_ARRAY = 51,
    CLS_BYTE_STRING = 52,
};

/* Header fields: the word that an oop points at. */
#define HDR_CLASS_MASK 0x3fffffull
#define HDR_IMMUTABLE (1ull << 23)
#define HDR_FORMAT_SHIFT 24
#define HDR_FORMAT_MASK (31ull << HDR_FORMAT_SHIFT)
#define HDR_REMEMBERED (1ull << 29)
#define HDR_PINNED (1ull << 30)
#define HDR_GREY (1ull << 31)
#define HDR_HASH_SHIFT 32
#define HDR_HASH_MASK (0x3fffffull << HDR_HASH_SHIFT)
#define HDR_MARKED (1ull << 55)
#define HDR_SLOTS_SHIFT 56
#define HDR_OVERFLOW 255u /* slot count lives in the word before the header */
#define OVERFLOW_SLOTS_MASK ((1ull << 56) - 1)

#define HASH_MAX 0x3fffffu
#define SMALLINT_MIN (-(1ll << 60))
#define SMALLINT_MAX ((1ll << 60) - 1)

/* Of an object of n slots, fewer than HDR_OVERFLOW; hash 0, no flags. */
static inline uint64_t new_header(uint32_t class_index, unsigned format,
                                  uint64_t n)
{
    return n << HDR_SLOTS_SHIFT | (uint64_t)format << HDR_FORMAT_SHIFT |
           class_index;
}

/* --- immediates --- */

static inline enum tag oop_tag(oop o) { return (enum tag)(o & TAG_MASK); }
static inline bool is_pointer(oop o) { return (o & TAG_MASK) == 0; }
static inline bool is_immediate(oop o) { return (o & TAG_MASK) != 0; }
static inline bool is_int(oop o) { return (o & TAG_MASK) == TAG_INTEGER; }
static inline bool is_char(oop o) { return (o & TAG_MASK) == TAG_CHARACTER; }
static inline bool is_small_float(oop o)
{
    return (o & TAG_MASK) == TAG_FLOAT;
}
static inline int64_t int_value(oop o) { return (int64_t)o >> 3; }
static inline oop int_oop(int64_t v)
{
    return ((uint64_t)v << 3) | TAG_INTEGER;
}
static inline bool int_fits(int64_t v)
{
    return v >= SMALLINT_MIN && v <= SMALLINT_MAX;
}
static inline uint32_t char_value(oop o) { return (uint32_t)(o >> 3); }
static inline oop char_oop(uint32_t c)
{
    return ((uint64_t)c << 3) | TAG_CHARACTER;
}

/* SmallFloat64: the IEEE bits rotated left by one, exponent rebased. */
#define FLOAT_REBASE (896ull << 53)

static inline double small_float_value(oop o)
{
    uint64_t r = o >> 3;
    double d;

    if (r > 1)
        r += FLOAT_REBASE;
    r = (r >> 1) | (r << 63);
    memcpy(&d, &r, sizeof d);
    return d;
}

static inline bool float_is_small(double d)
{
    uint64_t b, r;

    memcpy(&b, &d, sizeof b);
    r = (b << 1) | (b >> 63);
    return r <= 1 || r - FLOAT_REBASE - 2 < (1ull << 61) - 2;
}

static inline oop small_float_oop(double d) /* float_is_small(d) holds */
{
    uint64_t b, r;

    memcpy(&b, &d, sizeof b);
    r = (b << 1) | (b >> 63);
    if (r > 1)
        r -= FLOAT_REBASE;
    return (r << 3) | TAG_FLOAT;
}

/* --- headers (o must be a pointer) --- */

static inline uint64_t *header_ptr(oop o) { return (uint64_t *)(uintptr_t)o; }
static inline uint64_t header(oop o) { return *header_ptr(o); }
static inline uint32_t class_index_of(oop o)
{
    return (uint32_t)(header(o) & HDR_CLASS_MASK);
}
static inline unsigned format_of(oop o)
{
    return (unsigned)((header(o) >> HDR_FORMAT_SHIFT) & 31);
}
static inline uint64_t slot_count(oop o)
{
    uint64_t n = header(o) >> HDR_SLOTS_SHIFT;

    return n < HDR_OVERFLOW ? n : header_ptr(o)[-1] & OVERFLOW_SLOTS_MASK;
}
static inline uint32_t raw_hash(oop o) /* 0: none assigned yet */
{
    return (uint32_t)((header(o) & HDR_HASH_MASK) >> HDR_HASH_SHIFT);
}
static inline void set_raw_hash(oop o, uint32_t h)
{
    *header_ptr(o) = (header(o) & ~HDR_HASH_MASK) |
                     ((uint64_t)h << HDR_HASH_SHIFT);
}
static inline void set_format(oop o, unsigned f)
{
    *header_ptr(o) = (header(o) & ~HDR_FORMAT_MASK) |
                     ((uint64_t)f << HDR_FORMAT_SHIFT);
}
static inline void set_class_index(oop o, uint32_t i)
{
    *header_ptr(o) = (header(o) & ~HDR_CLASS_MASK) | i;
}
static inline bool is_forwarder(oop o)
{
    return is_pointer(o) && class_index_of(o) == CLS_FORWARDER;
}
static inline bool is_immutable(oop o)
{
    return is_immediate(o) || (header(o) & HDR_IMMUTABLE);
}
static inline bool format_is_pointers(unsigned f) { return f <= 5; }
static inline bool format_is_bytes(unsigned f) { return f >= 16 && f < 24; }
static inline bool format_is_code(unsigned f) { return f >= 24; }
/* Bytes of an element (formats of bits, and code). */
static inline unsigned format_width(unsigned f)
{
    return f >= FMT_BYTES ? 1 : f >= FMT_16 ? 2 : f >= FMT_32 ? 4 : 8;
}
/* Elements of the last slot that are not in use. */
static inline unsigned format_unused(unsigned f)
{
    return f & (8 / format_width(f) - 1);
}
static inline bool is_bytes(oop o)
{
    return is_pointer(o) && format_is_bytes(format_of(o));
}
static inline bool is_code(oop o)
{
    return is_pointer(o) && format_is_code(format_of(o));
}

/* Raw slot access. Storing an oop into an old object goes through heap_store
 * (heap.h), which keeps the remembered set. */
static inline oop *slots(oop o) { return (oop *)(uintptr_t)(o + 8); }
static inline oop slot(oop o, uint64_t i) { return slots(o)[i]; }
static inline uint8_t *bytes(oop o) { return (uint8_t *)(uintptr_t)(o + 8); }

/* Bytes in the body that are in use (bytes and code formats). */
static inline uint64_t byte_count(oop o)
{
    return slot_count(o) * 8 - (format_of(o) & 7);
}
/* Objects of 32-bit words, and how many there are. */
static inline bool is_words(oop o)
{
    return is_pointer(o) && (format_of(o) & ~1u) == FMT_32;
}
static inline uint32_t *words(oop o) { return (uint32_t *)bytes(o); }
static inline uint64_t word_count(oop o)
{
    return slot_count(o) * 2 - (format_of(o) & 1);
}

/* Bytes that an object of n slots takes, overflow word included. */
static inline uint64_t bytes_for_slots(uint64_t n)
{
    return (n >= HDR_OVERFLOW ? 16 : 8) + 8 * (n ? n : 1);
}

/* --- slot numbers of the objects that the VM knows (all 0-based) --- */

enum {
    CLASS_SUPERCLASS = 0, CLASS_METHOD_DICT = 1, CLASS_FORMAT = 2,
    MDICT_TALLY = 0, MDICT_METHODS = 1, MDICT_SELECTORS = 2,
    ASSOC_KEY = 0, ASSOC_VALUE = 1,
    CTX_SENDER = 0, CTX_PC = 1, CTX_STACKP = 2, CTX_METHOD = 3,
    CTX_CLOSURE = 4, CTX_RECEIVER = 5, CTX_TEMPS = 6,
    CTX_SMALL_SLOTS = 22, CTX_LARGE_SLOTS = 62,
    CLOSURE_OUTER = 0, CLOSURE_PC_OR_METHOD = 1, CLOSURE_NUM_ARGS = 2,
    CLOSURE_COPIED = 3, FULL_CLOSURE_RECEIVER = 3, FULL_CLOSURE_COPIED = 4,
    MESSAGE_SELECTOR = 0, MESSAGE_ARGS = 1, MESSAGE_LOOKUP_CLASS = 2,
    SCHED_LISTS = 0, SCHED_ACTIVE = 1,
    LIST_FIRST = 0, LIST_LAST = 1, SEM_EXCESS = 2, MUTEX_OWNER = 2,
    PROC_NEXT = 0, PROC_CONTEXT = 1, PROC_PRIORITY = 2, PROC_LIST = 3,
    POINT_X = 0, POINT_Y = 1,
    FORM_BITS = 0, FORM_WIDTH = 1, FORM_HEIGHT = 2, FORM_DEPTH = 3,
    FORM_OFFSET = 4,
};

/* --- compiled code --- */

static inline uint64_t code_header(oop m) /* the SmallInteger's value, raw */
{
    return (uint64_t)int_value(slot(m, 0));
}
static inline unsigned code_num_literals(oop m)
{
    return code_header(m) & 0x7fff;
}
static inline bool code_has_primitive(oop m)
{
    return (code_header(m) >> 16) & 1;
}
static inline bool code_large_frame(oop m)
{
    return (code_header(m) >> 17) & 1;
}
static inline unsigned code_num_temps(oop m)
{
    return (code_header(m) >> 18) & 63;
}
static inline unsigned code_num_args(oop m)
{
    return (code_header(m) >> 24) & 15;
}
static inline bool code_is_sista(oop m) { return (int64_t)slot(m, 0) < 0; }
static inline oop code_literal(oop m, unsigned i) { return slot(m, i + 1); }
/* Offset of the first bytecode from the start of the body, in bytes. */
static inline unsigned code_first_pc(oop m)
{
    return 8 * (code_num_literals(m) + 1);
}
static inline unsigned code_primitive(oop m) /* 0: none */
{
    const uint8_t *b;

    if (!code_has_primitive(m))
        return 0;
    b = bytes(m) + code_first_pc(m);
    return b[1] | b[2] << 8;
}
