/*
 * fullgc.c - the full collection: marks both spaces, then slides everything
 * alive down to the start of old space, keeping its order; young objects
 * follow the old ones. Afterwards new space is empty.
 *
 * Marks are bits beside the heap (struct mark_block), one for every word of a
 * live object. Live words before an object, counted, tell where it
 * slides to, so objects need no room for a forwarding address and one
 * pass both updates and moves them.
 *
 * Pinned objects cut old space into stretches; each is compacted towards its
 * own start and leaves a free chunk at its end. Dead objects are at least 16
 * bytes, so is every chunk.
 */
#include "vm/heap_private.h"

enum { MIN_TRIGGER = 8 << 20 };
#define DROPPED_BITS                                                         \
    (HDR_MARKED | HDR_GREY | HDR_REMEMBERED | 1ull << 22 | 1ull << 54)

/* --- live bits --- */

void heap_clear_live(struct heap *h, uint64_t from, uint64_t to)
{
    const struct heap_private *p = h->private_;
    struct mark_block *b = block_of(p, word_of(h, from));
    struct mark_block *end = block_of(p, word_of(h, to + 511));

    memset(b, 0, (size_t)((char *)end - (char *)b));
}

static void set_live_words(struct heap *h, uint64_t word, uint64_t n)
{
    struct mark_block *b = block_of(h->private_, word);
    unsigned bit = word & 63;

    for (; n; b++, bit = 0) {
        uint64_t here = n < 64 - bit ? n : 64 - bit;

        b->live |= (here == 64 ? ~0ull : (1ull << here) - 1) << bit;
        n -= here;
    }
}

/* Plain x86-64 has no instruction for it, and libgcc's call is slow. */
static inline unsigned count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (unsigned)(x * 0x0101010101010101ull >> 56);
}

/* First live word at or after `word`, or `end`. */
static uint64_t next_live(const struct heap *h, uint64_t word, uint64_t end)
{
    const struct mark_block *b;
    uint64_t bits;

    if (word >= end)
        return end;
    b = block_of(h->private_, word);
    bits = b->live >> (word & 63);
    if (bits)
        return word + (unsigned)__builtin_ctzll(bits);
    for (word = (word | 63) + 1; word < end; word += 64)
        if ((++b)->live) {
            word += (unsigned)__builtin_ctzll(b->live);
            return word < end ? word : end;
        }
    return end;
}

/* The next live object whose chunk starts in [*at, end), or 0; *at moves
 * past it. */
static oop next_live_object(const struct heap *h, uint64_t *at, uint64_t end)
{
    uint64_t word = next_live(h, word_of(h, *at), word_of(h, end));
    oop o;

    *at = h->new_start + 8 * word;
    if (*at >= end)
        return 0;
    o = object_at(*at);
    *at = chunk_end(o);
    return o;
}

/* --- marking --- */

static void push(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;

    if (p->mark_stack.count >= p->mark_stack_limit ||
        !list_push(&p->mark_stack, o))
        p->mark_overflow = true;
}

static inline bool has_oops(oop o)
{
    unsigned f = format_of(o);

    return f <= FMT_EPHEMERON || f >= FMT_CODE;
}

static void set_live(struct heap *h, oop o)
{
    uint64_t at = chunk_start(o);

    set_live_words(h, word_of(h, at), (chunk_end(o) - at) / 8);
    if (header(o) & HDR_PINNED)
        h->private_->pins_seen = true;
}

/* Marks o and the classes it drags along; what has oops is pushed. */
static void mark(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;

    while (!live_bit(h, o)) {
        uint32_t index = class_index_of(o);

        set_live(h, o);
        if (has_oops(o))
            push(h, o);
        if (p->class_flags.base[index] & CLASS_SEEN)
            return;
        p->class_flags.base[index] |= CLASS_SEEN;
        o = heap_follow(heap_class_at(h, index));
    }
}

static oop mark_visit(struct heap *h, oop o)
{
    o = heap_follow(o);
    if (is_pointer(o))
        mark(h, o);
    return o;
}

static inline void mark_slots(struct heap *h, oop o, uint64_t n)
{
    uint64_t i;

    for (i = 0; i < n; i++) {
        oop v = slot(o, i);

        if (is_immediate(v) || live_bit(h, v))
            continue;
        slots(o)[i] = mark_visit(h, v);
    }
}

static bool reached(const struct heap *h, oop o)
{
    o = heap_follow(o);
    return is_immediate(o) || live_bit(h, o);
}

static void mark_from(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;
    uint64_t n = oop_slots(o), fixed;

    switch (format_of(o)) {
    case FMT_WEAK:
        fixed = fixed_fields(h, class_index_of(o));
        if (fixed < n && list_push(&p->weak, o))
            n = fixed;
        break;
    case FMT_EPHEMERON:
        if (!reached(h, slot(o, 0)) && list_push(&p->ephemerons, o))
            return;
        break;
    }
    mark_slots(h, o, n);
}

/* Hidden roots and class table pages above the first are alive, but keep no
 * class alive. */
static bool is_table_part(const struct heap *h, oop o)
{
    uint32_t i;

    if (class_index_of(o) != CLS_HIDDEN_ARRAY)
        return false;
    for (i = 1; i < h->class_pages; i++)
        if (slots(o) == h->class_table[i])
            return true;
    return o == h->hidden_roots;
}

static void remark_range(struct heap *h, uint64_t at, uint64_t end)
{
    oop o;

    while ((o = next_live_object(h, &at, end)))
        if (has_oops(o) && !is_table_part(h, o))
            mark_from(h, o);
}

static void empty_mark_stack(struct heap *h)
{
    struct heap_private *p = h->private_;

    for (;;) {
        while (p->mark_stack.count)
            mark_from(h, list_items(&p->mark_stack)[--p->mark_stack.count]);
        if (!p->mark_overflow)
            return;
        /* Some marked objects were not traced: trace all that are marked,
         * again if the stack proves too small again. Each round marks. */
        p->mark_overflow = false;
        remark_range(h, h->new_start, h->old_start);
        remark_range(h, h->old_start, h->old_end);
    }
}

static void mark_ephemerons(struct heap *h)
{
    struct oop_list *l = &h->private_->ephemerons;
    uint64_t i, kept = 0, count = l->count;

    for (i = 0; i < count; i++) {
        oop o = list_items(l)[i];

        if (reached(h, slot(o, 0)))
            mark_slots(h, o, slot_count(o));
        else
            list_items(l)[kept++] = o;
    }
    l->count = kept;
    if (kept < count)
        return;
    l->count = 0;
    for (i = 0; i < count; i++) {
        oop o = list_items(l)[i];

        if (format_of(o) == FMT_EPHEMERON && heap_queue_mourner(h, o))
            set_format(o, FMT_FIXED);
        mark_slots(h, o, slot_count(o));
    }
}

static void mark_roots(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint32_t page;
    uint64_t i;

    mark(h, h->nil);
    mark(h, h->false_);
    mark(h, h->true_);
    mark(h, h->free_lists);
    set_live(h, h->hidden_roots);
    mark(h, slot(h->hidden_roots, 0));
    for (page = 1; page < h->class_pages; page++)
        set_live(h, slot(h->hidden_roots, page));
    h->special = mark_visit(h, h->special);
    for (i = 0; i < p->mourners.count; i++)
        list_items(&p->mourners)[i] =
            mark_visit(h, list_items(&p->mourners)[i]);
    if (p->owner.visit_roots)
        p->owner.visit_roots(p->owner.owner, mark_visit, false);
}

static void clear_weak_slots(struct heap *h)
{
    struct oop_list *l = &h->private_->weak;
    uint64_t k, i, n;

    for (k = 0; k < l->count; k++) {
        oop o = list_items(l)[k];
        bool died = false;

        n = slot_count(o);
        for (i = fixed_fields(h, class_index_of(o)); i < n; i++) {
            oop v = heap_follow(slot(o, i));

            if (is_pointer(v) && !live_bit(h, v)) {
                v = h->nil;
                died = true;
            }
            slots(o)[i] = v;
        }
        if (!died)
            continue;
        h->finalization_pending = true;
        if (heap_queues_weak(h))
            heap_queue_mourner(h, o);
    }
    l->count = 0;
}

static void mark_all(struct heap *h)
{
    struct heap_private *p = h->private_;

    heap_clear_live(h, h->new_start, h->old_end);
    memset(p->class_flags.base, 0, h->class_pages * (size_t)PAGE_SLOTS);
    p->mark_overflow = false;
    p->pins_seen = false;
    mark_roots(h);
    empty_mark_stack(h);
    while (p->ephemerons.count) {
        mark_ephemerons(h);
        empty_mark_stack(h);
    }
    clear_weak_slots(h);
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

/* Live words before `word`. */
static inline uint64_t rank_of(const struct heap *h, uint64_t word)
{
    const struct mark_block *b = block_of(h->private_, word);
    uint64_t below = (1ull << (word & 63)) - 1;

    return b->rank + count_bits(b->live & below);
}

static uint64_t rank_range(struct heap *h, uint64_t from, uint64_t to,
                           uint64_t rank)
{
    struct mark_block *b = block_of(h->private_, word_of(h, from));
    struct mark_block *end = block_of(h->private_, word_of(h, to + 511));

    for (; b < end; b++) {
        b->rank = rank;
        rank += count_bits(b->live);
    }
    return rank;
}

/* Notes the pinned objects in order, with the bias of what follows each:
 * new address = bias + 8 * rank. */
static void note_pins(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t at = h->old_start;
    oop o;

    p->pins.count = p->pin_bias.count = 0;
    while (p->pins_seen && (o = next_live_object(h, &at, h->old_end))) {
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
    uint64_t rank = rank_range(h, h->old_start, h->old_end, 0);
    uint64_t k;

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
    uint64_t bias = h->private_->young_bias;

    if (h->private_->pins.count && o >= h->old_start)
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
static void move(struct heap *h, oop o, uint64_t to)
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

/* Slides the old objects; answers the end of the last one. */
static uint64_t slide_old(struct heap *h)
{
    uint64_t at = h->old_start, to = at;
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
        p->owner.visit_roots(p->owner.owner, forward_visit, false);
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
    p->remembered_overflow = false;
}

/* The next full collection: when old space has grown by half, or half of
 * what is left is used. */
void heap_set_trigger(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t growth = (h->old_end - h->old_start) / 2;
    uint64_t left = (p->old_max - h->old_end) / 2;

    if (growth < MIN_TRIGGER)
        growth = MIN_TRIGGER;
    p->gc_trigger = h->old_end + (growth < left ? growth : left);
}

uint64_t heap_full_gc(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t start = plat_usecs();

    h->stats.allocated_bytes += h->eden_free - h->eden_start;
    mark_all(h);
    clean_class_table(h);
    plan(h);
    forward_roots(h);
    h->old_end = append_young(h, slide_old(h));
    heap_cache_class_table(h);
    empty_new_space(h);
    heap_set_trigger(h);
    heap_shrink(h);
    heap_settle(h);
    h->full_gc_wanted = false;
    h->stats.full_gcs++;
    h->stats.full_gc_usecs += plat_usecs() - start;
    if (p->owner.after_move)
        p->owner.after_move(p->owner.owner, true);
    return heap_bytes_free(h);
}
