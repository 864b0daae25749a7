/*
 * heap_private.h - what the files of the object memory share and nobody else
 * sees: the collector's state, regions, lists, walking and tracing.
 *
 * Layout: one reservation, new space below, old space above.
 *
 *   new_start                       old_start      old_end   old_limit  old_max
 *   | eden | survivor | survivor |  | objects ... | free ... | reserved |
 *
 * Invariant of room: old_limit - old_end is never less than what new space
 * may hold, so tenuring everything always succeeds and no collection can run
 * out of memory half-way.
 */
#pragma once

#include "vm/memory/heap.h"
#include "vm/platform.h"

/* Address space of which a growing prefix is committed. */
struct region {
    uint8_t *base;
    uint64_t committed, reserved;
};

struct oop_list {
    struct region mem;
    uint64_t count;
};

/* The collection of old space: nothing, or a cycle of cycle.c in progress. */
enum phase { PHASE_IDLE, PHASE_MARKING, PHASE_SWEEPING };

/* Marking, of either kind: mark.c. */
struct marker {
    uint64_t floor;             /* what lies below is alive anyway */
    struct oop_list stack;      /* marked, not traced; see mark.c */
    uint64_t stack_limit;       /* entries; tests make it tiny */
    bool overflow;              /* some that are marked were not pushed */
    struct oop_list weak, ephemerons; /* those met, settled at the end */
    /* How far those lists were looked through while there was time; pieces
     * of weak objects that had unmarked referents: object, slot, object ... */
    uint64_t weak_at, weak_slot, ephemeron_at;
    struct oop_list undecided;
    oop *ring[16];              /* slots whose oops are on their way here */
    unsigned ring_at;
    bool pins_seen;
};

/* The cycle: cycle.c. */
struct cycle {
    bool all_traced;        /* but for what changed meanwhile */
    unsigned attempts;      /* at finishing */
    uint64_t quantum;       /* slots traced between two looks at the clock,
                               and about 8 times the blocks swept */
    uint64_t traced;        /* slots, about */
    uint64_t used, room;    /* by old space at the start; for its growth */
    uint64_t least_free;    /* a full collection comes before less is */
    uint64_t sweep_at;      /* a chunk; what lies before it is in order */
    uint64_t sweep_scan;    /* all live between sweep_at and here */
    uint64_t sweep_end;
    uint64_t credit;        /* bytes that were free, not yet again */
};

enum { CLASS_SEEN = 1, CLASS_DUPLICATE = 2 }; /* class_flags */
enum { FREE_LISTS = 64, MIN_CHUNK = 16 };
enum { TABLE_PAGES = 4096, PAGE_SLOTS = 1024, HIDDEN_SLOTS = 4104 };
enum { ROOT_MOURN_QUEUE = 4098 };
/* An object stack as it lies in files: slot 3 next page, 4 up the oops. */
enum {
    STACK_SLOTS = 4092, STACK_COUNT = 0, STACK_ROOT = 1, STACK_NEXT = 3,
    STACK_FIRST = 4,
};

struct heap_private {
    struct region reservation;  /* all of it, new space first */
    uint64_t old_max;           /* end of the reservation */
    uint64_t eden_end;          /* eden_limit may be less when memory is low */
    uint64_t survivor_size;
    uint64_t past_start, past_free;     /* survivors of earlier scavenges */
    uint64_t future_start, future_free; /* filled by the running scavenge */
    uint64_t tenure_bytes;      /* this much at past_start goes old next */
    uint64_t copied_again;      /* bytes that survived earlier scavenges too */
    unsigned idle_copies;       /* scavenges in a row that little died in */
    uint64_t eden_wish;         /* so much of eden is to be filled */
    struct oop_list tenured;    /* chunks filled by the running scavenge */
    uint64_t gc_trigger;        /* old bytes used: a cycle is wanted */
    uint64_t free_after_full;   /* what compacting could not use */
    oop free_list[FREE_LISTS];  /* by size / 8; 0: all larger ones */
    uint64_t free_mask;         /* of lists that are not empty */
    struct oop_list remembered;
    /* Of large objects only pieces are remembered: object, piece, object ...
     * Of each NOTED_BYTES of heap a byte: is that piece, counted from where
     * the object begins, in the list? */
    struct oop_list pieces;
    struct region pieced;
    uint64_t remembered_most;   /* then (stats.remembered) one is wanted */
    bool weak_pieces;           /* the running scavenge has some to settle */
    uint64_t scanned;           /* remembered slots, by the running scavenge */
    uint64_t scattered;         /* likewise in pieces; work of so many */
    bool remembered_overflow;   /* the list is incomplete: scan old space */
    struct oop_list weak, ephemerons; /* seen by the running collection */
    struct oop_list mourners;
    enum phase phase;
    struct marker marker;
    struct cycle cycle;
    /* Tables by 512 bytes of heap, 64 words: which of them are live, and how
     * many live words lie before. Both answer where an object slides to. */
    struct region live, rank;
    struct region class_flags;  /* a byte per class index */
    struct oop_list pins, pin_bias; /* of the running full collection */
    uint64_t young_bias;        /* likewise: see forward() in fullgc.c */
    uint64_t settled;           /* bytes at old_start that do not move */
    bool forwarders_kept;       /* the marking left some in use */
    uint32_t last_class_index;
    struct heap_owner owner;
};

/* --- region, lists: heap.c --- */

bool region_init(struct region *r, uint64_t bytes);
bool region_grow(struct region *r, uint64_t bytes);
/* Gives back what lies well beyond `used`, at most so many bytes, a multiple
 * of pages; answers how many. */
uint64_t region_trim(struct region *r, uint64_t used, uint64_t most);
bool list_push_slow(struct oop_list *l, oop o);

static inline bool region_ensure(struct region *r, uint64_t bytes)
{
    return bytes <= r->committed || region_grow(r, bytes);
}
static inline oop *list_items(const struct oop_list *l)
{
    return (oop *)(void *)l->mem.base;
}
static inline bool list_push(struct oop_list *l, oop o) /* false: no room */
{
    if ((l->count + 1) * sizeof(oop) > l->mem.committed)
        return list_push_slow(l, o);
    list_items(l)[l->count++] = o;
    return true;
}

/* --- spaces: heap_alloc.c --- */

/* Lays out new space in an empty reservation and commits it. */
bool heap_lay_out(struct heap *h, uint64_t eden_bytes);
/* After a collection: makes room, sets eden's limits, looks at low space. */
void heap_settle(struct heap *h);
/* The work of a scavenge, in bytes, or as long as copying those takes: eden's
 * next size. */
void heap_wish_eden(struct heap *h, uint64_t work, uint64_t scattered);
/* Commits so that old_limit - old_end >= bytes. */
bool heap_make_room(struct heap *h, uint64_t bytes);
/* Makes [at, end) a free chunk on the free lists; nothing if empty. */
void heap_free_chunk(struct heap *h, uint64_t at, uint64_t end);
void heap_forget_free_chunks(struct heap *h);
/* After a full collection: when the next one is due. fullgc.c */
void heap_set_trigger(struct heap *h);
/* Gives back committed memory that is not needed soon, at most so many
 * bytes. False: nothing. */
bool heap_shrink(struct heap *h, uint64_t most);
/* Likewise what the collector's lists have needed. */
bool heap_trim_lists(struct heap *h, uint64_t most);
/* Takes `n` bytes from the free lists: the chunk's start, or 0. */
uint64_t heap_take_free(struct heap *h, uint64_t n);
/* A pause of some kind that began at `start` ends. pauses.c */
void heap_note_pause(struct heap *h, enum pause kind, uint64_t start);
/* What new space may come to hold. */
static inline uint64_t heap_reserve(const struct heap *h)
{
    const struct heap_private *p = h->private_;

    return p->eden_end - h->eden_start + p->survivor_size;
}

/* Bytes of old space that are not on the free lists. */
static inline uint64_t heap_old_used(const struct heap *h)
{
    return h->old_end - h->old_start - h->old_free_bytes;
}

/* --- the cycle: cycle.c --- */

/* Ends it as if it had never begun; a full collection must follow if it was
 * sweeping. */
void heap_cycle_abandon(struct heap *h);
/* Sweeps to the end at once. False: there was nothing to sweep. */
bool heap_sweep_all(struct heap *h);
/* The object or free chunk of old space that lies at *at, or behind dead ones
 * there; *at moves past it. 0 at `end`. */
oop heap_next_old(const struct heap *h, uint64_t *at, uint64_t end);

/* --- others --- */

/* Puts an old object, which is not yet there, into the remembered set. */
void heap_remember(struct heap *h, oop o);
/* Forgets the remembered pieces that are not to be kept; NULL: all. */
typedef bool (*piece_filter)(struct heap *h, oop o, uint64_t piece);
void heap_filter_pieces(struct heap *h, piece_filter keeps);

/* Fires a mourner: false if the queue has no room for it. weak.c */
bool heap_queue_mourner(struct heap *h, oop o);
/* A weak object has lost a referent. */
void heap_note_death(struct heap *h, oop o);
/* Reads the class table's pages off the hidden roots. heap.c */
void heap_cache_class_table(struct heap *h);
/* Checks a freshly read heap, beyond its pointers. image_check.c */
int image_check(struct heap *h, const char **why);

/* --- walking --- */

static inline bool has_overflow(oop o)
{
    return header(o) >> HDR_SLOTS_SHIFT == HDR_OVERFLOW;
}
/* The lowest address that belongs to o. */
static inline uint64_t chunk_start(oop o) { return o - 8 * has_overflow(o); }
static inline uint64_t chunk_end(oop o)
{
    uint64_t n = slot_count(o);

    return o + 8 + 8 * (n ? n : 1);
}
static inline uint64_t chunk_bytes(oop o)
{
    return chunk_end(o) - chunk_start(o);
}
/* The object whose chunk starts at `at`. */
static inline oop object_at(uint64_t at) { return at + 8 * has_overflow(at); }

/* --- tracing --- */

/* Slots of a context that hold oops worth keeping; see struct heap_owner. */
static inline uint64_t context_traced(oop o, uint64_t n)
{
    oop sp = slot(o, CTX_STACKP);

    if (n < CTX_TEMPS)
        return n;
    if (!is_int(sp) || (uint64_t)int_value(sp) > n - CTX_TEMPS)
        return CTX_TEMPS;
    return CTX_TEMPS + (uint64_t)int_value(sp);
}
static inline bool has_oops(oop o)
{
    unsigned f = format_of(o);

    return f <= FMT_EPHEMERON || f >= FMT_CODE;
}
/* Leading slots that hold oops, weak ones included. */
static inline uint64_t oop_slots(oop o)
{
    unsigned f = format_of(o);

    if (f <= FMT_EPHEMERON) {
        uint64_t n = slot_count(o);

        return f == FMT_FIXED_AND_INDEXED &&
                       class_index_of(o) == CLS_CONTEXT
                   ? context_traced(o, n) : n;
    }
    if (f >= FMT_CODE)
        return code_num_literals(o) + 1u;
    return f == FMT_FORWARDER;
}
/* Has what the machine needs of a class, where it expects it. */
static inline bool looks_like_class(oop o)
{
    return is_pointer(o) && format_is_pointers(format_of(o)) &&
           slot_count(o) > CLASS_FORMAT && is_int(slot(o, CLASS_FORMAT));
}
/* Named fields by the class's format word; the class may be a corpse of the
 * running scavenge: slot 2 is still good. */
static inline uint64_t fixed_fields(const struct heap *h, uint32_t index)
{
    return int_value(slot(heap_class_at(h, index), CLASS_FORMAT)) & 0xffff;
}

/* --- pieces: heap.c --- */

/* Larger objects are born old (heap_alloc.c). A piece takes as much as two of
 * the bytes in `pieced` stand for, so no two objects share one. */
enum {
    LARGE_SLOTS = 1 << 16,
    PIECE_SLOTS = 32,
    NOTED_BYTES = PIECE_SLOTS * 8 / 2,
};

/* One of which pieces are remembered, not all of it. What became something
 * else, or did not find room in the list, may be remembered as a whole. */
static inline bool is_large(oop o)
{
    return has_overflow(o) && slot_count(o) >= LARGE_SLOTS &&
           format_of(o) <= FMT_WEAK;
}
static inline uint64_t piece_end(oop o, uint64_t piece)
{
    uint64_t end = (piece + 1) * PIECE_SLOTS, n = slot_count(o);

    return end < n ? end : n;
}
static inline uint8_t *piece_noted(const struct heap *h, oop o,
                                   uint64_t piece)
{
    return h->private_->pieced.base + (o - h->new_start) / NOTED_BYTES + piece;
}

/* --- live bits: 1 bit a word, from new_start on; 0 between collections --- */

static inline uint64_t word_of(const struct heap *h, uint64_t address)
{
    return (address - h->new_start) >> 3;
}
static inline uint64_t *live_block(const struct heap *h, uint64_t word)
{
    return (uint64_t *)(void *)h->private_->live.base + (word >> 6);
}
static inline uint64_t *rank_block(const struct heap *h, uint64_t word)
{
    return (uint64_t *)(void *)h->private_->rank.base + (word >> 6);
}
static inline bool live_bit(const struct heap *h, uint64_t address)
{
    uint64_t w = word_of(h, address);

    return *live_block(h, w) >> (w & 63) & 1;
}
static inline void set_live_bit(struct heap *h, uint64_t address)
{
    uint64_t w = word_of(h, address);

    *live_block(h, w) |= 1ull << (w & 63);
}
/* Zeroes the bits of [from, to); `from` is a multiple of 512 off new_start.
 * mark.c, as the rest */
void heap_clear_live(struct heap *h, uint64_t from, uint64_t to);
/* First live word at or after `word`, or `end`. */
uint64_t next_live_word(const struct heap *h, uint64_t word, uint64_t end);
/* The next live object whose chunk starts in [*at, end), or 0; *at moves
 * past it. */
oop next_live_object(const struct heap *h, uint64_t *at, uint64_t end);

/* --- marking: mark.c --- */

/* Forgets what an earlier marking saw. What lies below `floor` is taken to
 * be alive. */
void mark_begin(struct heap *h, uint64_t floor);
/* Marks the roots that are not the owner's. */
void mark_heap_roots(struct heap *h);
/* Marks what o refers to in the end, and answers that. */
oop mark_visit(struct heap *h, oop o);
/* Marks o itself, forwarder or not, and what it leads to. */
void mark_kept(struct heap *h, oop o);
/* Marks a new object; one that changed; traces one that is not marked. */
void mark_born(struct heap *h, oop o);
void mark_again(struct heap *h, oop o);
void mark_through(struct heap *h, oop o);
/* Traces what is marked until nothing is left to trace: true; or until about
 * `work` slots were looked at. */
bool mark_trace(struct heap *h, uint64_t work);
/* Then, as far: leaves less of ephemerons and weak slots to the end. False if
 * there is more to trace, or to look at. */
bool mark_look_ahead(struct heap *h, uint64_t work);
/* Once all is traced: ephemerons and weak slots get their due. */
void mark_settle(struct heap *h);
