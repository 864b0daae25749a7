/*
 * heap.c - object memory: regions and lists, the class table, identity
 * hashes, what an object's header says, numbers in and out of objects.
 *
 * Owns no policy: spaces are heap_alloc.c, collection scavenge.c, fullgc.c.
 */
#include "vm/memory/heap_private.h"
#include "vm/vm.h"

#include <stdlib.h>

enum { COMMIT_STEP = 1 << 16, SPARE = 1 << 19 };

/* --- regions and lists --- */

bool region_init(struct region *r, uint64_t bytes)
{
    bytes = (bytes + COMMIT_STEP - 1) & ~(uint64_t)(COMMIT_STEP - 1);
    r->base = plat_reserve(0, bytes);
    r->committed = 0;
    r->reserved = r->base ? bytes : 0;
    return r->base != NULL;
}

bool region_grow(struct region *r, uint64_t bytes)
{
    bytes = (bytes + COMMIT_STEP - 1) & ~(uint64_t)(COMMIT_STEP - 1);
    if (bytes > r->reserved)
        return false;
    if (plat_commit(r->base + r->committed, bytes - r->committed))
        return false;
    r->committed = bytes;
    return true;
}

uint64_t region_trim(struct region *r, uint64_t used, uint64_t most)
{
    uint64_t keep = (used + 2 * SPARE - 1) & ~(uint64_t)(SPARE - 1), n;

    if (r->committed <= keep)
        return 0;
    n = r->committed - keep < most ? r->committed - keep : most;
    r->committed -= n;
    plat_decommit(r->base + r->committed, n);
    return n;
}

static void region_release(struct region *r)
{
    if (r->base)
        plat_release(r->base, r->reserved);
    memset(r, 0, sizeof *r);
}

bool list_push_slow(struct oop_list *l, oop o)
{
    if (!region_grow(&l->mem, (l->count + 1) * sizeof(oop)))
        return false;
    list_items(l)[l->count++] = o;
    return true;
}

void heap_destroy(struct heap *h)
{
    struct heap_private *p = h->private_;

    if (!p)
        return;
    region_release(&p->remembered.mem);
    region_release(&p->pieces.mem);
    region_release(&p->pieced);
    region_release(&p->weak.mem);
    region_release(&p->ephemerons.mem);
    region_release(&p->mourners.mem);
    region_release(&p->marker.stack.mem);
    region_release(&p->marker.weak.mem);
    region_release(&p->marker.ephemerons.mem);
    region_release(&p->marker.undecided.mem);
    region_release(&p->tenured.mem);
    region_release(&p->pins.mem);
    region_release(&p->pin_bias.mem);
    region_release(&p->live);
    region_release(&p->rank);
    region_release(&p->class_flags);
    region_release(&p->reservation);
    free(p);
    memset(h, 0, sizeof *h);
}

void heap_set_owner(struct heap *h, const struct heap_owner *owner)
{
    h->private_->owner = *owner;
}

void heap_remember(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;

    *header_ptr(o) |= HDR_REMEMBERED;
    if (!list_push(&p->remembered, o))
        p->remembered_overflow = true;
    h->stats.remembered++;
}

/* A full list takes the whole object into the remembered set. */
static void remember_piece(struct heap *h, oop o, uint64_t piece)
{
    struct heap_private *p = h->private_;
    uint8_t *noted = piece_noted(h, o, piece);

    if (*noted)
        return;
    if (!region_ensure(&p->pieces.mem, (p->pieces.count + 2) * sizeof(oop))) {
        heap_remember(h, o);
        return;
    }
    list_push(&p->pieces, o);
    list_push(&p->pieces, int_oop((int64_t)piece));
    *noted = 1;
    h->stats.remembered++;
}

/* A scavenge comes before it has too much to look at. */
static void remember(struct heap *h, oop o, uint64_t i)
{
    if (is_large(o))
        remember_piece(h, o, i / PIECE_SLOTS);
    else
        heap_remember(h, o);
    if (h->stats.remembered >= h->private_->remembered_most &&
        !h->scavenge_wanted) {
        h->scavenge_wanted = true;
        vm_force_check();
    }
}

void heap_barrier(struct heap *h, oop o, uint64_t i, oop value)
{
    if (!heap_is_young(h, value))
        heap_keep(h, value);
    else if (!(header(o) & HDR_REMEMBERED))
        remember(h, o, i);
}

/* They lie anywhere: all memory they take is on its way before they are. */
static void fetch_piece(oop o, uint64_t piece)
{
    const oop *at = slots(o) + piece * PIECE_SLOTS;
    unsigned i;

    __builtin_prefetch(header_ptr(o));
    for (i = 0; i < PIECE_SLOTS; i += 8)
        __builtin_prefetch(at + i);
    __builtin_prefetch(at + PIECE_SLOTS - 1);
}

void heap_filter_pieces(struct heap *h, piece_filter keeps)
{
    enum { AHEAD = 2 * 8 };
    struct oop_list *l = &h->private_->pieces;
    oop *items = list_items(l);
    uint64_t i, kept = 0;

    for (i = 0; i < l->count; i += 2) {
        oop o = items[i];
        uint64_t piece = (uint64_t)int_value(items[i + 1]);

        if (keeps && i + AHEAD < l->count)
            fetch_piece(items[i + AHEAD],
                        (uint64_t)int_value(items[i + AHEAD + 1]));
        if (keeps && keeps(h, o, piece)) {
            items[kept++] = o;
            items[kept++] = int_oop((int64_t)piece);
        } else {
            *piece_noted(h, o, piece) = 0;
        }
    }
    l->count = kept;
}

oop heap_follow(oop o)
{
    while (is_forwarder(o))
        o = slot(o, 0);
    return o;
}

/* --- class table --- */

void heap_cache_class_table(struct heap *h)
{
    uint32_t i;

    for (i = 0; i < TABLE_PAGES; i++) {
        oop page = slot(h->hidden_roots, i);

        if (page == h->nil)
            break;
        h->class_table[i] = slots(page);
    }
    h->class_pages = i;
    memset(h->class_table + i, 0,
           (TABLE_PAGES - i) * sizeof h->class_table[0]);
}

static void class_put(struct heap *h, uint32_t index, oop class)
{
    oop page = (oop)(uintptr_t)h->class_table[index >> 10] - 8;

    heap_store(h, page, index & (PAGE_SLOTS - 1), class);
}

static bool add_class_page(struct heap *h)
{
    struct heap_private *p = h->private_;
    oop page;

    if (h->class_pages == TABLE_PAGES ||
        !region_ensure(&p->class_flags,
                       (h->class_pages + 1ull) * PAGE_SLOTS))
        return false;
    page = heap_new_old(h, CLS_HIDDEN_ARRAY, FMT_ARRAY, PAGE_SLOTS);
    if (!page)
        return false;
    memset(p->class_flags.base + h->class_pages * PAGE_SLOTS, 0, PAGE_SLOTS);
    heap_store(h, h->hidden_roots, h->class_pages, page);
    h->class_table[h->class_pages++] = slots(page);
    return true;
}

/* The first empty entry from the last one given out, past page 0. */
static uint32_t free_class_index(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint32_t end = h->class_pages * PAGE_SLOTS, i;

    if (p->last_class_index < PAGE_SLOTS)
        p->last_class_index = PAGE_SLOTS;
    for (i = p->last_class_index; i < end; i++)
        if (heap_class_at(h, i) == h->nil)
            return p->last_class_index = i;
    if (add_class_page(h))
        return p->last_class_index = end;
    for (i = PAGE_SLOTS; i < end; i++)
        if (heap_class_at(h, i) == h->nil)
            return p->last_class_index = i;
    return 0;
}

static uint32_t find_class(struct heap *h, oop class)
{
    uint32_t i, end = h->class_pages * PAGE_SLOTS;

    for (i = 1; i < end; i++)
        if (heap_class_at(h, i) == class)
            return i;
    return 0;
}

uint32_t heap_class_hash(struct heap *h, oop class)
{
    uint32_t hash = raw_hash(class);
    uint32_t end = h->class_pages * PAGE_SLOTS, index;

    if (hash && hash < end && heap_class_at(h, hash) == class)
        return hash;
    /* A hash given out before the object was known to be a class is kept if
     * its entry happens to be free; else the class takes a new one. */
    if (hash) {
        index = find_class(h, class);
        if (index)
            return index;
        if (hash >= PAGE_SLOTS && hash < end &&
            heap_class_at(h, hash) == h->nil) {
            class_put(h, hash, class);
            return hash;
        }
    }
    index = free_class_index(h);
    if (index) {
        set_raw_hash(class, index);
        class_put(h, index, class);
    }
    return index;
}

uint32_t heap_identity_hash(struct heap *h, oop o)
{
    uint32_t hash = raw_hash(o);

    while (!hash) {
        h->hash_seed *= 16807;
        hash = (h->hash_seed + (h->hash_seed >> 4)) & HASH_MAX;
        set_raw_hash(o, hash);
    }
    return hash;
}

/* --- what a header says --- */

uint64_t heap_fixed_fields(const struct heap *h, oop o)
{
    uint64_t n = slot_count(o), fixed;

    switch (format_of(o)) {
    case FMT_EMPTY:
    case FMT_FIXED:
    case FMT_EPHEMERON:
        return n;
    case FMT_FIXED_AND_INDEXED:
    case FMT_WEAK:
        fixed = fixed_fields(h, class_index_of(o));
        return fixed < n ? fixed : n;
    default:
        return 0;
    }
}

uint64_t heap_indexed_size(const struct heap *h, oop o)
{
    unsigned f = format_of(o);
    uint64_t n = slot_count(o);

    if (f <= FMT_EPHEMERON)
        return n - heap_fixed_fields(h, o);
    if (f < FMT_64)
        return 0;
    return n * (8 / format_width(f)) - format_unused(f);
}

/* --- numbers --- */

oop heap_float(struct heap *h, double d)
{
    oop o;

    if (float_is_small(d))
        return small_float_oop(d);
    o = heap_new(h, CLS_BOXED_FLOAT, FMT_32, 1);
    if (o)
        memcpy(bytes(o), &d, sizeof d);
    return o;
}

bool heap_is_float(oop o)
{
    return heap_class_index(o) == CLS_SMALL_FLOAT ||
           heap_class_index(o) == CLS_BOXED_FLOAT;
}

bool heap_float_value(oop o, double *d)
{
    if (is_small_float(o)) {
        *d = small_float_value(o);
        return true;
    }
    if (!is_pointer(o) || class_index_of(o) != CLS_BOXED_FLOAT)
        return false;
    memcpy(d, bytes(o), sizeof *d);
    return true;
}

static oop new_large(struct heap *h, uint32_t class_index, uint64_t magnitude)
{
    unsigned unused = (unsigned)__builtin_clzll(magnitude) / 8;
    oop o = heap_new(h, class_index, FMT_BYTES + unused, 1);

    if (o)
        slots(o)[0] = magnitude;
    return o;
}

oop heap_uint64(struct heap *h, uint64_t v)
{
    if (v <= (uint64_t)SMALLINT_MAX)
        return int_oop((int64_t)v);
    return new_large(h, CLS_LARGE_POSITIVE, v);
}

oop heap_int64(struct heap *h, int64_t v)
{
    if (int_fits(v))
        return int_oop(v);
    if (v > 0)
        return new_large(h, CLS_LARGE_POSITIVE, (uint64_t)v);
    return new_large(h, CLS_LARGE_NEGATIVE, -(uint64_t)v);
}

/* Magnitude of a LargeInteger of at most 64 bits; its sign in *negative. */
static bool large_magnitude(oop o, uint64_t *magnitude, bool *negative)
{
    uint64_t n, i;

    if (!is_bytes(o) || (class_index_of(o) != CLS_LARGE_POSITIVE &&
                         class_index_of(o) != CLS_LARGE_NEGATIVE))
        return false;
    *negative = class_index_of(o) == CLS_LARGE_NEGATIVE;
    *magnitude = 0;
    n = byte_count(o);
    while (n && !bytes(o)[n - 1])
        n--;
    for (i = 0; i < n && i < 8; i++)
        *magnitude |= (uint64_t)bytes(o)[i] << (8 * i);
    return n <= 8;
}

bool heap_int64_value(oop o, int64_t *v)
{
    uint64_t m;
    bool negative;

    if (is_int(o)) {
        *v = int_value(o);
        return true;
    }
    if (!large_magnitude(o, &m, &negative) ||
        m > (uint64_t)INT64_MAX + negative)
        return false;
    *v = (int64_t)(negative ? -m : m);
    return true;
}

bool heap_uint64_value(oop o, uint64_t *v)
{
    bool negative;

    if (is_int(o)) {
        *v = (uint64_t)int_value(o);
        return int_value(o) >= 0;
    }
    return large_magnitude(o, v, &negative) && (!negative || !*v);
}
