/*
 * heap.h - object memory: spaces, allocation, stores, the class table,
 * collection, become, images in and out.
 *
 * The rule that everything else leans on: **allocation never moves or frees
 * an object**. When eden is full, objects are born old; when that is full
 * too, allocation answers 0. Objects move only in heap_scavenge,
 * heap_full_gc and heap_become, which the interpreter calls at safepoints
 * with every root in memory (visit_roots, below).
 */
#pragma once

#include "vm/object.h"

enum special_object {
#define SPECIAL(index, name) SPL_##name = index,
#include "vm/special_objects.def"
#undef SPECIAL
    SPL_SIZE = 60,
};

/* Kinds of pauses; PAUSE_ALL: whole visits to the collector. pauses.c */
enum pause {
    PAUSE_SCAVENGE, PAUSE_MARK, PAUSE_FINISH, PAUSE_SWEEP, PAUSE_FULL,
    PAUSE_ALL, PAUSE_KINDS,
};
enum { PAUSE_BUCKETS = 128 };

struct pauses {
    uint64_t count, usecs, longest;
    uint32_t bucket[PAUSE_BUCKETS]; /* by length, 4 an octave */
};

struct heap_stats {
    uint64_t scavenges, full_gcs, cycles, compact_usecs;
    uint64_t tenures, grows, shrinks, remembered;
    uint64_t allocated_bytes;
    struct pauses pauses[PAUSE_KINDS];
};

struct heap {
    /* new space: eden and two survivor halves in one range */
    uint64_t new_start, new_size;
    /* Stores of oops from new_start on, below so many bytes, need the write
     * barrier: new space; while a cycle marks, all of it (cycle.c). */
    uint64_t barrier_size;
    uint64_t eden_start, eden_free, eden_limit; /* bump allocation */
    uint64_t eden_threshold;  /* past it, a scavenge is wanted */
    bool scavenge_wanted, full_gc_wanted, cycle_wanted;
    /* old space: one range, [old_start, old_end) in use or free-listed */
    uint64_t old_start, old_end, old_limit;
    uint64_t old_free_bytes;
    /* well-known objects, updated by whoever moves them */
    oop nil, false_, true_, free_lists, hidden_roots, special;
    oop *class_table[4096];   /* slots of page i, NULL past the end */
    uint32_t class_pages;
    uint64_t hash_seed;
    uint64_t low_space_threshold; /* bytes; 0: no signal wanted */
    bool low_space_signalled;     /* for the interpreter to take */
    bool finalization_pending;    /* likewise: mourners or dead weak slots */
    struct heap_stats stats;
    /* image header fields that travel through a save */
    uint32_t image_format;
    uint64_t image_flags, image_screen_size;
    uint32_t want_eden, want_extra;
    uint16_t want_stack_pages, want_code_kb, want_ext_sems, image_version;
    /* Told while heap_save writes: how much of `total` bytes is done. */
    void (*saving)(struct heap *h, uint64_t done, uint64_t total);
    struct heap_private *private_; /* collector's own state */
};

/* --- life --- */

/* Images without a usable base of their own are put here, and saved so. */
#define HEAP_BASE 0x200000000000ull

/* Reads an image (any base; 68021 and 68533). 0, or -1 with *why one line
 * (valid until the next call); nothing needs destroying then. Limits of 0
 * mean the platform's and the image's own wish. */
int heap_load(struct heap *h, const char *name, uint64_t memory_limit,
              uint64_t eden_bytes, const char **why);
/* Does a full collection (objects move), then writes the heap as an image
 * under `name`. Every context must already be unmarried. 0, or -1 with *why;
 * the heap is usable either way. */
int heap_save(struct heap *h, const char *name, const char **why);
void heap_destroy(struct heap *h);

/* --- allocation: never collects; 0 when there is no memory ---
 *
 * A fresh object may be born old: storing oops into it takes heap_store like
 * any other store. Past eden_threshold scavenge_wanted is set and
 * vm_force_check called. */

/* The fast path for interpreter and JIT: a young object of n < 255 slots with
 * its header written and its slots NOT filled, or 0: call heap_new then. */
static inline oop heap_new_young(struct heap *h, uint32_t class_index,
                                 unsigned format, uint64_t n)
{
    oop o = h->eden_free;
    uint64_t end = o + 8 + 8 * (n ? n : 1);

    if (end > h->eden_threshold)
        return 0;
    h->eden_free = end;
    *header_ptr(o) = new_header(class_index, format, n);
    return o;
}
/* Fields are nil (pointer formats) or zero. `format` has the final odd bits;
 * n is the slot count. */
oop heap_new(struct heap *h, uint32_t class_index, unsigned format,
             uint64_t n);
oop heap_new_old(struct heap *h, uint32_t class_index, unsigned format,
                 uint64_t n);
/* Instance of `class` with `indexed` elements. 0: no memory; `*error` gets a
 * primitive error code (prim.h) in every failing case. */
oop heap_instantiate(struct heap *h, oop class, uint64_t indexed, int *error);
/* The same, pinned, in old space. */
oop heap_instantiate_pinned(struct heap *h, oop class, uint64_t indexed,
                            int *error);
/* Shallow, without hash, read-only and pinned state; not for contexts that
 * have frames. */
oop heap_clone(struct heap *h, oop o);
oop heap_new_bytes(struct heap *h, uint32_t class_index, const void *bytes,
                   uint64_t n);
oop heap_new_string(struct heap *h, const char *s); /* ByteString */
oop heap_new_byte_array(struct heap *h, const void *bytes, uint64_t n);
oop heap_float(struct heap *h, double d);  /* immediate if it fits */
oop heap_int64(struct heap *h, int64_t v); /* SmallInteger or Large */
oop heap_uint64(struct heap *h, uint64_t v);
oop heap_point(struct heap *h, oop x, oop y);

/* --- access --- */

static inline bool heap_is_young(const struct heap *h, oop o)
{
    return is_pointer(o) && o - h->new_start < h->new_size;
}
/* The slow path of heap_store: `value` was stored into slot i of o, which is
 * old. */
void heap_barrier(struct heap *h, oop o, uint64_t i, oop value);
/* Stores an oop, with the write barrier. Does not check read-only. */
static inline void heap_store(struct heap *h, oop o, uint64_t i, oop value)
{
    slots(o)[i] = value;
    if (is_pointer(value) && value - h->new_start < h->barrier_size &&
        !heap_is_young(h, o) &&
        !(header(o) & HDR_REMEMBERED && heap_is_young(h, value)))
        heap_barrier(h, o, i, value);
}
static inline oop heap_special(const struct heap *h, enum special_object s)
{
    return slot(h->special, s);
}
/* The class at an index (nil or a class). */
static inline oop heap_class_at(const struct heap *h, uint32_t index)
{
    return h->class_table[index >> 10][index & 1023];
}
static inline uint32_t heap_class_index(oop o) /* immediates too */
{
    static const uint8_t tag_class[8] = { 0, 1, 2, 1, 4, 1, 1, 1 };

    return is_pointer(o) ? class_index_of(o) : tag_class[oop_tag(o)];
}
static inline oop heap_class_of(const struct heap *h, oop o)
{
    return heap_class_at(h, heap_class_index(o));
}
/* Follows forwarders to the real object; immediates answer themselves. */
oop heap_follow(oop o);
/* Index of a class in the table, entering it if needed; 0: table full. */
uint32_t heap_class_hash(struct heap *h, oop class);
/* Identity hash, assigned on first request; not for immediates. */
uint32_t heap_identity_hash(struct heap *h, oop o);
/* Named fields of o's class; slots beyond them are the indexed ones. */
uint64_t heap_fixed_fields(const struct heap *h, oop o);
/* Elements that at: sees, for any format but contexts. */
uint64_t heap_indexed_size(const struct heap *h, oop o);
/* Value of a Float of either kind; false if o is none. */
bool heap_float_value(oop o, double *d);
/* Integer of any class within 64 bits; false otherwise. */
bool heap_int64_value(oop o, int64_t *v);
bool heap_uint64_value(oop o, uint64_t *v);
bool heap_is_float(oop o);

/* --- collection: the interpreter calls these at safepoints only --- */

void heap_scavenge(struct heap *h);
/* Mark and compact everything; answers bytes free. */
uint64_t heap_full_gc(struct heap *h);
/* The collection of old space by marking and sweeping in steps. Begins one,
 * unless one runs. */
void heap_cycle_start(struct heap *h);
bool heap_cycle_runs(const struct heap *h);
/* A step of about so many microseconds; young objects may move. */
void heap_cycle_step(struct heap *h, uint64_t usecs);
/* Larger steps, or more of them, are needed. */
bool heap_cycle_is_late(const struct heap *h);
/* Something refers to o that no store by heap_store could show. */
void heap_keep(struct heap *h, oop o);
/* Makes room for `bytes` in old space if at all possible. 0 or -1. */
int heap_grow(struct heap *h, uint64_t bytes);
uint64_t heap_bytes_free(const struct heap *h);

/* What the collector asks of its owner (the interpreter).
 *
 * visit_roots: visit every root outside the heap, stack pages included, and
 * replace each oop by visit's answer. It is called once in a scavenge, where
 * roots known to be old may be skipped, a few times while a cycle marks, and
 * twice in a full collection, to mark and to move.
 *
 * visit_weak (may be NULL): the same, once, for references that keep nothing
 * alive (a frame's context): visit answers 0 when the object is dead.
 *
 * after_mark (may be NULL): a cycle has marked, old objects are going to die.
 * heap_is_alive tells which, until it returns: forget them. If `classes` died,
 * caches keyed on their index must be emptied. `forwarders`: some are left.
 *
 * after_move (may be NULL): the collection is over.
 *
 * A context is traced up to 6 + stackp slots, married or not: what lies below
 * must be oops, what lies above is never looked at. */
typedef oop (*heap_visitor)(struct heap *h, oop o);
enum roots { ROOTS_YOUNG, ROOTS_MARK, ROOTS_MOVE };
struct heap_owner {
    void (*visit_roots)(void *owner, heap_visitor visit, enum roots why);
    void (*after_move)(void *owner, bool full);
    void *owner;
    void (*visit_weak)(void *owner, heap_visitor visit);
    void (*after_mark)(void *owner, bool classes, bool forwarders);
};
bool heap_is_alive(const struct heap *h, oop o);
void heap_set_owner(struct heap *h, const struct heap_owner *owner);

/* --- become, enumeration, pinning, mourners --- */

/* `from` and `to` are Arrays of equal size. Answers 0 or a primitive error.
 * Nothing has changed when it fails. Leaves forwarders (lazy). */
int heap_become(struct heap *h, oop from, oop to, bool two_way,
                bool copy_hash);
/* Walks objects in address order, hidden ones, free chunks and forwarders
 * left out; old space, then new. 0 ends. */
oop heap_first_object(struct heap *h);
oop heap_next_object(struct heap *h, oop o);
oop heap_all_instances(struct heap *h, oop class); /* Array or 0 */
oop heap_all_objects(struct heap *h);
/* Pins or unpins. A young object is first copied to old space, leaving a
 * forwarder; *moved is where it is now. 0 or a primitive error. */
int heap_pin(struct heap *h, oop o, bool pin, oop *moved);
oop heap_fetch_mourner(struct heap *h); /* 0: none */

/* --- figures: pauses.c --- */

/* The length that `percent` of the pauses of a kind do not exceed, in
 * microseconds, to a fifth. */
uint64_t heap_pause_percentile(const struct heap *h, enum pause kind,
                               unsigned percent);
/* Of the whole visit to the collector that began at `start`. */
void heap_note_visit(struct heap *h, uint64_t start);

/* Verifies every invariant; 0, or -1 after printing what is wrong. */
int heap_check(struct heap *h);
