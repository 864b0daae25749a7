/*
 * fullgc.c - the full collection: marks both spaces, then slides everything
 * alive down to the start of old space, keeping its order; young objects
 * follow the old ones. Afterwards new space is empty.
 *
 * Marks are bits beside the heap (mark.c), one for every word of a live
 * object. Live words before an object, counted, tell where it slides to, so
 * objects need no room for a forwarding address and one pass both updates
 * and moves them. Before the first gap nothing moves.
 *
 * Pinned objects cut old space into stretches; each is compacted towards its
 * own start and leaves a free chunk at its end. Dead objects are at least 16
 * bytes, so is every chunk.
 */
#include "vm/memory/heap_private.h"

enum { MIN_TRIGGER = 8 << 20 };
#define DROPPED_BITS                                                         \
    (HDR_MARKED | HDR_GREY | HDR_REMEMBERED | 1ull << 22 | 1ull << 54)

static void mark_all(struct heap *h)
{
    struct heap_private *p = h->private_;

    heap_cycle_abandon(h);
    mark_begin(h, h->new_start);
    mark_heap_roots(h);
    if (p->owner.visit_roots)
        p->owner.visit_roots(p->owner.owner, mark_visit, ROOTS_MARK);
    mark_trace(h, UINT64_MAX);
    mark_settle(h);
}

/* --- the class table after marking --- */

/* Entry i names a class that lives at its own hash elsewhere. */
static bool is_duplicate(const struct heap *h, uint32_t i, oop class)
{
    uint32_t hash = raw_hash(class);

    return hash != i && hash && hash < h->class_pages * PAGE_SLOTS &&
           heap_class_at(h, hash) == class;
}

static void renumber_range(struct heap *h, uint64_t at, uint64_t end)
{
    const uint8_t *flags = h->private_->class_flags.base;
    oop o;

    while ((o = next_live_object(h, &at, end))) {
        uint32_t i = class_index_of(o);

        if (flags[i] & CLASS_DUPLICATE)
            set_class_index(o, raw_hash(heap_class_at(h, i)));
    }
}

/* Instances get their class's own index; dead and duplicate entries above
 * the fixed page become nil. */
static void clean_class_table(struct heap *h)
{
    uint8_t *flags = h->private_->class_flags.base;
    uint32_t i, end = h->class_pages * PAGE_SLOTS;
    bool duplicates = false;

    for (i = PAGE_SLOTS; i < end; i++) {
        oop *entry = &h->class_table[i >> 10][i & (PAGE_SLOTS - 1)];
        oop class = heap_follow(*entry);

        *entry = live_bit(h, class) ? class : h->nil;
    }
    for (i = PAGE_SLOTS; i < end; i++)
        if (heap_class_at(h, i) != h->nil &&
            is_duplicate(h, i, heap_class_at(h, i))) {
            flags[i] |= CLASS_DUPLICATE;
            duplicates = true;
        }
    if (!duplicates)
        return;
    renumber_range(h, h->new_start, h->old_start);
    renumber_range(h, h->old_start, h->old_end);
    for (i = PAGE_SLOTS; i < end; i++)
        if (flags[i] & CLASS_DUPLICATE)
            h->class_table[i >> 10][i & (PAGE_SLOTS - 1)] = h->nil;
}

/* --- where objects go --- */

/* Plain x86-64 has no instruction for it, and libgcc's call is slow. */
static inline unsigned count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (unsigned)(x * 0x0101010101010101ull >> 56);
}

/* Live words before `word`. */
static inline uint64_t rank_of(const struct heap *h, uint64_t word)
{
    uint64_t below = (1ull << (word & 63)) - 1;

    return *rank_block(h, word) + count_bits(*live_block(h, word) & below);
}

static uint64_t rank_range(struct heap *h, uint64_t from, uint64_t to,
                           uint64_t rank)
{
    uint64_t word, end = word_of(h, to);

    for (word = word_of(h, from) & ~63ull; word < end; word += 64) {
        *rank_block(h, word) = rank;
        rank += count_bits(*live_block(h, word));
    }
    return rank;
}

/* Where the first gap in old space begins: nothing before it moves. */
static uint64_t first_gap(const struct heap *h)
{
    uint64_t word = word_of(h, h->old_start), end = word_of(h, h->old_end);

    while (word < end && !~*live_block(h, word))
        word += 64;
    if (word < end)
        word += (unsigned)__builtin_ctzll(~*live_block(h, word));
    return h->new_start + 8 * (word < end ? word : end);
}

/* Notes the pinned objects in order, with the bias of what follows each:
 * new address = bias + 8 * rank. */
static void note_pins(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t at = h->old_start + p->settled;
    oop o;

    p->pins.count = p->pin_bias.count = 0;
    while (p->marker.pins_seen &&
           (o = next_live_object(h, &at, h->old_end))) {
        uint64_t start = chunk_start(o);

        if (!(header(o) & HDR_PINNED))
            continue;
        if (!list_push(&p->pins, start) ||
            !list_push(&p->pin_bias,
                       start - 8 * rank_of(h, word_of(h, start))))
            plat_panic("out of memory: too many pinned objects");
    }
}

static void plan(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t gap = first_gap(h), block = gap - (gap - h->new_start) % 512;
    uint64_t rank = 0, k;

    p->settled = gap - h->old_start;
    if (block > h->old_start)
        rank = (block - h->old_start) / 8;
    rank = rank_range(h, block, h->old_end, rank);
    rank_range(h, h->new_start, h->old_start, rank);
    note_pins(h);
    k = p->pins.count;
    p->young_bias = k ? list_items(&p->pin_bias)[k - 1] : h->old_start;
}

static uint64_t bias_after_pins(const struct heap *h, oop o)
{
    const struct heap_private *p = h->private_;
    const oop *pins = list_items(&p->pins);
    uint64_t low = 0, high = p->pins.count;

    while (low < high) {
        uint64_t middle = (low + high) / 2;

        if (pins[middle] <= o)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? list_items(&p->pin_bias)[low - 1] : h->old_start;
}

/* The new address of a live object. */
static inline oop forward(const struct heap *h, oop o)
{
    const struct heap_private *p = h->private_;
    uint64_t bias = p->young_bias;

    if (o - h->old_start < p->settled)
        return o;
    if (p->pins.count && o >= h->old_start)
        bias = bias_after_pins(h, o);
    return bias + 8 * rank_of(h, word_of(h, o));
}

static oop forward_visit(struct heap *h, oop o)
{
    return is_pointer(o) ? forward(h, o) : o;
}

static oop forward_weak(struct heap *h, oop o)
{
    o = heap_follow(o);
    if (is_immediate(o))
        return o;
    return live_bit(h, o) ? forward(h, o) : 0;
}

/* --- moving --- */

/* Moves o to the chunk at `to`, its oops updated. Never upwards, but for
 * young objects, whose old place nothing is moved to. */
static inline void move(struct heap *h, oop o, uint64_t to)
{
    uint64_t all = slot_count(o), n = has_oops(o) ? oop_slots(o) : 0, i;
    uint64_t head = header(o) & ~DROPPED_BITS;
    bool context = class_index_of(o) == CLS_CONTEXT &&
                   format_of(o) == FMT_FIXED_AND_INDEXED;
    oop *source = slots(o), *target;

    if (has_overflow(o)) {
        *header_ptr(to) = header_ptr(o)[-1];
        to += 8;
    }
    *header_ptr(to) = head;
    target = slots(to);
    for (i = 0; i < n; i++)
        target[i] = forward_visit(h, source[i]);
    if (!all)
        target[0] = 0;
    else if (context)
        for (i = n; i < all; i++) /* stale; a saved image must be clean */
            target[i] = h->nil;
    else if (n < all && target != source)
        memmove(target + n, source + n, 8 * (all - n));
}

/* The objects before the first gap. */
static uint64_t update_settled(struct heap *h)
{
    uint64_t at = h->old_start, end = at + h->private_->settled;

    while (at < end) {
        oop o = object_at(at);
        uint64_t start = at;

        at = chunk_end(o);
        move(h, o, start);
    }
    return end;
}

/* Slides the old objects; answers the end of the last one. */
static uint64_t slide_old(struct heap *h)
{
    uint64_t at = update_settled(h), to = at;
    oop o;

    heap_forget_free_chunks(h);
    while ((o = next_live_object(h, &at, h->old_end))) {
        uint64_t start = chunk_start(o);

        if (header(o) & HDR_PINNED) {
            heap_free_chunk(h, to, start);
            to = start;
        }
        move(h, o, to);
        to += at - start;
    }
    return to;
}

static uint64_t append_young(struct heap *h, uint64_t to)
{
    uint64_t at = h->new_start;
    oop o;

    while ((o = next_live_object(h, &at, h->old_start))) {
        uint64_t start = chunk_start(o);

        move(h, o, to);
        to += at - start;
    }
    assert(to <= h->old_limit);
    return to;
}

/* Before anything moves: headers of dead objects can still be read. */
static void forward_roots(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t i;

    h->special = forward(h, h->special);
    h->hidden_roots = forward(h, h->hidden_roots);
    for (i = 0; i < p->mourners.count; i++)
        list_items(&p->mourners)[i] =
            forward_visit(h, list_items(&p->mourners)[i]);
    if (p->owner.visit_roots)
        p->owner.visit_roots(p->owner.owner, forward_visit, ROOTS_MOVE);
    if (p->owner.visit_weak)
        p->owner.visit_weak(p->owner.owner, forward_weak);
}

static void empty_new_space(struct heap *h)
{
    struct heap_private *p = h->private_;

    h->eden_free = h->eden_start;
    p->past_free = p->past_start;
    p->tenure_bytes = 0;
    p->remembered.count = 0;
    heap_filter_pieces(h, NULL);
    p->remembered_overflow = false;
}

/* The next collection: when old space has grown by half, or half of what is
 * left is used. */
void heap_set_trigger(struct heap *h)
{
    uint64_t used = heap_old_used(h), growth = used / 2;
    uint64_t left = heap_bytes_free(h) / 2;

    if (growth < MIN_TRIGGER)
        growth = MIN_TRIGGER;
    h->private_->gc_trigger = used + (growth < left ? growth : left);
}

uint64_t heap_full_gc(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t start = plat_usecs(), marked, end = h->old_end;

    h->stats.allocated_bytes += h->eden_free - h->eden_start;
    mark_all(h);
    marked = plat_usecs();
    clean_class_table(h);
    plan(h);
    forward_roots(h);
    h->old_end = append_young(h, slide_old(h));
    heap_clear_live(h, h->new_start, end);
    heap_cache_class_table(h);
    empty_new_space(h);
    heap_trim_lists(h, UINT64_MAX);
    heap_set_trigger(h);
    heap_shrink(h, UINT64_MAX);
    p->free_after_full = h->old_free_bytes;
    h->cycle_wanted = h->full_gc_wanted = false;
    heap_settle(h);
    h->stats.full_gcs++;
    h->stats.compact_usecs += plat_usecs() - marked;
    heap_note_pause(h, PAUSE_FULL, start);
    if (p->owner.after_move)
        p->owner.after_move(p->owner.owner, true);
    return heap_bytes_free(h);
}
