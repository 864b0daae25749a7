/*
 * mark.c - marking: what is alive gets its live bits, one for every word.
 *
 * Serves the full collection, which marks both spaces at once, and the
 * cycle (cycle.c), which marks old space in steps: then everything young
 * counts as alive, being below the marker's floor.
 *
 * The stack holds marked objects that are to be traced. A long one is traced
 * in pieces: an integer on the stack is the slot where the object below it
 * goes on. Slots that are met wait in a small ring while the memory they
 * point to is being fetched.
 */
#include "vm/memory/heap_private.h"

enum { PIECE = 512, RING_MASK = 15 };

/* --- live bits --- */

void heap_clear_live(struct heap *h, uint64_t from, uint64_t to)
{
    uint64_t *b = live_block(h, word_of(h, from));
    uint64_t *end = live_block(h, word_of(h, to + 511));

    memset(b, 0, (size_t)((char *)end - (char *)b));
}

static inline void set_live_words(struct heap *h, uint64_t word, uint64_t n)
{
    uint64_t *b = live_block(h, word);
    unsigned bit = word & 63;

    for (; n > 64 - bit; bit = 0) {
        n -= 64 - bit;
        *b++ |= ~0ull << bit;
    }
    *b |= ~0ull >> (64 - n) << bit;
}

uint64_t next_live_word(const struct heap *h, uint64_t word, uint64_t end)
{
    const uint64_t *b;
    uint64_t bits;

    if (word >= end)
        return end;
    b = live_block(h, word);
    bits = *b >> (word & 63);
    if (bits)
        return word + (unsigned)__builtin_ctzll(bits);
    for (word = (word | 63) + 1; word < end; word += 64)
        if (*++b) {
            word += (unsigned)__builtin_ctzll(*b);
            return word < end ? word : end;
        }
    return end;
}

oop next_live_object(const struct heap *h, uint64_t *at, uint64_t end)
{
    uint64_t word = next_live_word(h, word_of(h, *at), word_of(h, end));
    oop o;

    *at = h->new_start + 8 * word;
    if (*at >= end)
        return 0;
    o = object_at(*at);
    *at = chunk_end(o);
    return o;
}

/* --- marking --- */

static inline void push(struct heap *h, oop o)
{
    struct marker *m = &h->private_->marker;

    if (m->stack.count >= m->stack_limit || !list_push(&m->stack, o))
        m->overflow = true;
}

static inline void set_live(struct heap *h, oop o)
{
    uint64_t at = chunk_start(o);

    set_live_words(h, word_of(h, at), (chunk_end(o) - at) / 8);
    if (header(o) & HDR_PINNED)
        h->private_->marker.pins_seen = true;
}

/* Marks o and the classes it drags along; what has oops is pushed. */
static inline void mark(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;

    while (!live_bit(h, o)) {
        uint8_t *flags = &p->class_flags.base[class_index_of(o)];

        set_live(h, o);
        if (has_oops(o))
            push(h, o);
        if (*flags & CLASS_SEEN)
            return;
        o = heap_follow(heap_class_at(h, class_index_of(o)));
        if (o < p->marker.floor)
            return;
        *flags |= CLASS_SEEN;
    }
}

/* The class that the header names. */
static void mark_class(struct heap *h, uint32_t index)
{
    uint8_t *flags = &h->private_->class_flags.base[index];
    oop class = heap_follow(heap_class_at(h, index));

    if (*flags & CLASS_SEEN || class < h->private_->marker.floor)
        return;
    *flags |= CLASS_SEEN;
    mark(h, class);
}

oop mark_visit(struct heap *h, oop o)
{
    o = heap_follow(o);
    if (is_pointer(o) && o >= h->private_->marker.floor)
        mark(h, o);
    return o;
}

void mark_kept(struct heap *h, oop o)
{
    struct heap_private *p = h->private_;

    for (; is_forwarder(o); o = slot(o, 0)) {
        if (o >= p->marker.floor)
            set_live(h, o);
        p->forwarders_kept = true;
    }
    if (is_pointer(o) && o >= p->marker.floor)
        mark(h, o);
}

/* A slot that leads to forwarders. Where it would come to hold something
 * young, unknown to the remembered set, the forwarders stay. */
static void mark_forwarded(struct heap *h, oop *at)
{
    oop o = heap_follow(*at);

    if (is_immediate(o) || o >= h->private_->marker.floor)
        *at = mark_visit(h, o);
    else
        mark_kept(h, *at);
}

static inline void mark_slot(struct heap *h, oop *at)
{
    if (live_bit(h, *at))
        return;
    if (class_index_of(*at) == CLS_FORWARDER)
        mark_forwarded(h, at);
    else
        mark(h, *at);
}

/* Another slot comes in, the one that waited longest is marked. */
static inline void ring_put(struct heap *h, oop *at)
{
    struct marker *m = &h->private_->marker;
    oop *first = m->ring[m->ring_at];

    __builtin_prefetch(header_ptr(*at));
    __builtin_prefetch(live_block(h, word_of(h, *at)));
    m->ring[m->ring_at] = at;
    m->ring_at = (m->ring_at + 1) & RING_MASK;
    if (first)
        mark_slot(h, first);
}

static void empty_ring(struct heap *h)
{
    struct marker *m = &h->private_->marker;
    unsigned i;

    for (i = 0; i <= RING_MASK; i++)
        if (m->ring[i]) {
            mark_slot(h, m->ring[i]);
            m->ring[i] = NULL;
        }
}

static inline void mark_slots(struct heap *h, oop o, uint64_t from,
                              uint64_t to)
{
    uint64_t floor = h->private_->marker.floor;
    oop *at = slots(o) + from, *end = slots(o) + to, nil = h->nil;

    for (; at < end; at++)
        if (is_pointer(*at) && *at >= floor && *at != nil)
            ring_put(h, at);
}

static bool reached(const struct heap *h, oop o)
{
    o = heap_follow(o);
    return is_immediate(o) || o < h->private_->marker.floor ||
           live_bit(h, o);
}

/* Hidden roots and class table pages above the first are alive, but keep no
 * class alive. */
static bool is_table_part(const struct heap *h, oop o)
{
    uint32_t i;

    for (i = 1; i < h->class_pages; i++)
        if (slots(o) == h->class_table[i])
            return true;
    return o == h->hidden_roots;
}

/* Slots to trace; weak and ephemeral ones are put off. If a list is full
 * they are strong this time. */
static uint64_t strong_slots(struct heap *h, oop o)
{
    struct marker *m = &h->private_->marker;
    uint64_t n = oop_slots(o), fixed;

    switch (format_of(o)) {
    case FMT_WEAK:
        fixed = fixed_fields(h, class_index_of(o));
        return fixed < n && list_push(&m->weak, o) ? fixed : n;
    case FMT_EPHEMERON:
        return !reached(h, slot(o, 0)) && list_push(&m->ephemerons, o) ? 0
                                                                       : n;
    case FMT_ARRAY:
        return class_index_of(o) == CLS_HIDDEN_ARRAY && is_table_part(h, o)
                   ? 0 : n;
    default:
        return n;
    }
}

/* Traces o from slot `from`, a piece of it if it is long; answers how many
 * slots that were. */
static inline uint64_t trace(struct heap *h, oop o, uint64_t from)
{
    uint64_t n, to;

    if (from > 0) /* it may have become something else since */
        n = format_of(o) <= FMT_FIXED_AND_INDEXED ? oop_slots(o) : 0;
    else if (format_of(o) == FMT_FIXED)
        n = slot_count(o);
    else
        n = strong_slots(h, o);
    to = n;
    if (n > from + PIECE && format_of(o) <= FMT_FIXED_AND_INDEXED) {
        to = from + PIECE;
        push(h, o);
        push(h, int_oop((int64_t)to));
    }
    mark_slots(h, o, from, to);
    return to > from ? to - from + 1 : 1;
}

static uint64_t trace_next(struct heap *h)
{
    struct oop_list *l = &h->private_->marker.stack;
    oop o = list_items(l)[--l->count];

    if (is_pointer(o))
        return trace(h, o, 0);
    return trace(h, list_items(l)[--l->count], (uint64_t)int_value(o));
}

void mark_born(struct heap *h, oop o)
{
    set_live(h, o);
    mark_again(h, o);
}

void mark_again(struct heap *h, oop o)
{
    mark_class(h, class_index_of(o));
    if (has_oops(o))
        push(h, o);
}

void mark_through(struct heap *h, oop o)
{
    mark_class(h, class_index_of(o));
    if (has_oops(o))
        mark_slots(h, o, 0, strong_slots(h, o));
}

static void trace_range(struct heap *h, uint64_t at, uint64_t end)
{
    oop o;

    while ((o = next_live_object(h, &at, end)))
        if (has_oops(o))
            mark_slots(h, o, 0, strong_slots(h, o));
}

bool mark_trace(struct heap *h, uint64_t work)
{
    struct marker *m = &h->private_->marker;
    uint64_t done = 0;

    for (;;) {
        while (m->stack.count && done < work)
            done += trace_next(h);
        empty_ring(h);
        if (done >= work)
            return false;
        if (m->stack.count)
            continue;
        if (!m->overflow)
            return true;
        if (m->floor > h->new_start) /* the cycle gives up instead */
            return false;
        /* Some marked objects were not traced: trace all that are marked,
         * again if the stack proves too small again. Each round marks. */
        m->overflow = false;
        trace_range(h, h->new_start, h->old_start);
        trace_range(h, h->old_start, h->old_end);
    }
}

bool heap_is_alive(const struct heap *h, oop o)
{
    return is_immediate(o) || o < h->private_->marker.floor || live_bit(h, o);
}

/* --- beginning and end --- */

void mark_begin(struct heap *h, uint64_t floor)
{
    struct heap_private *p = h->private_;
    struct marker *m = &p->marker;

    memset(p->class_flags.base, 0, h->class_pages * (size_t)PAGE_SLOTS);
    memset(m->ring, 0, sizeof m->ring);
    m->stack.count = m->weak.count = m->ephemerons.count = 0;
    m->weak_at = m->weak_slot = m->ephemeron_at = m->undecided.count = 0;
    m->overflow = m->pins_seen = false;
    m->floor = floor;
    p->forwarders_kept = false;
}

void mark_heap_roots(struct heap *h)
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
}

/* A scavenge may have fired one that waited here: it is an ordinary object
 * since. */
static void mark_ephemerons(struct heap *h)
{
    struct oop_list *l = &h->private_->marker.ephemerons;
    uint64_t i, kept = 0, count = l->count;

    for (i = 0; i < count; i++) {
        oop o = list_items(l)[i];

        if (format_of(o) != FMT_EPHEMERON || reached(h, slot(o, 0)))
            mark_slots(h, o, 0, oop_slots(o));
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
        mark_slots(h, o, 0, oop_slots(o));
    }
}

static inline void fetch_live(const struct heap *h, oop v)
{
    if (is_pointer(v) && v >= h->private_->marker.floor) {
        __builtin_prefetch(header_ptr(v));
        __builtin_prefetch(live_block(h, word_of(h, v)));
    }
}

/* The first slot from `at` on whose oop is not marked, or `end`. */
static uint64_t next_unmarked(const struct heap *h, oop o, uint64_t at,
                              uint64_t end)
{
    enum { AHEAD = 8 };

    for (; at < end; at++) {
        if (at + AHEAD < end)
            fetch_live(h, slot(o, at + AHEAD));
        if (!heap_is_alive(h, slot(o, at)))
            break;
    }
    return at;
}

/* It may have become something else. */
static uint64_t weak_slots(oop o)
{
    return format_of(o) == FMT_WEAK ? slot_count(o) : 0;
}

static void clear_weak(struct heap *h, oop o, uint64_t at, uint64_t end)
{
    bool died = false;
    oop v;

    if (end > weak_slots(o))
        end = weak_slots(o);
    for (; (at = next_unmarked(h, o, at, end)) < end; at++) {
        v = heap_follow(slot(o, at));
        if (!heap_is_alive(h, v)) {
            v = h->nil;
            died = true;
        }
        heap_store(h, o, at, v);
    }
    if (died)
        heap_note_death(h, o);
}

static void clear_weak_slots(struct heap *h)
{
    struct marker *m = &h->private_->marker;
    oop *undecided = list_items(&m->undecided);
    uint64_t i;

    for (i = 0; i < m->undecided.count; i += 2) {
        uint64_t at = (uint64_t)int_value(undecided[i + 1]);

        clear_weak(h, undecided[i], at, at + PIECE);
    }
    for (i = m->weak_at; i < m->weak.count; i++) {
        clear_weak(h, list_items(&m->weak)[i], m->weak_slot, UINT64_MAX);
        m->weak_slot = 0;
    }
    m->undecided.count = m->weak.count = m->weak_at = 0;
}

void mark_settle(struct heap *h)
{
    while (h->private_->marker.ephemerons.count) {
        mark_ephemerons(h);
        mark_trace(h, UINT64_MAX);
    }
    clear_weak_slots(h);
}

/* --- before the end: what is marked stays so --- */

/* The next one is done with if its key is marked. Answers the work, 0: there
 * is no next one. */
static uint64_t look_at_ephemeron(struct heap *h)
{
    struct marker *m = &h->private_->marker;
    oop *items = list_items(&m->ephemerons), o;

    if (m->ephemeron_at == m->ephemerons.count)
        return 0;
    o = items[m->ephemeron_at];
    if (format_of(o) == FMT_EPHEMERON && !reached(h, slot(o, 0))) {
        m->ephemeron_at++;
        return 1;
    }
    items[m->ephemeron_at] = items[--m->ephemerons.count];
    mark_slots(h, o, 0, oop_slots(o));
    return 1 + oop_slots(o);
}

/* The next piece is done with if all in it are marked: so is what is stored
 * there later. Answers the work, 0: there is none, or no room to note it. */
static uint64_t look_at_weak(struct heap *h)
{
    struct marker *m = &h->private_->marker;
    uint64_t from = m->weak_slot, end = from + PIECE, n;
    oop o;

    if (m->weak_at == m->weak.count)
        return 0;
    o = list_items(&m->weak)[m->weak_at];
    n = weak_slots(o);
    if (end > n)
        end = n;
    if (next_unmarked(h, o, from, end) < end) {
        if (!region_ensure(&m->undecided.mem,
                           (m->undecided.count + 2) * sizeof(oop)))
            return 0;
        list_push(&m->undecided, o);
        list_push(&m->undecided, int_oop((int64_t)from));
    }
    m->weak_slot = end;
    if (end == n) {
        m->weak_at++;
        m->weak_slot = 0;
    }
    return PIECE;
}

bool mark_look_ahead(struct heap *h, uint64_t work)
{
    uint64_t done = 0, n;

    while (done < work &&
           ((n = look_at_ephemeron(h)) || (n = look_at_weak(h))))
        done += n;
    empty_ring(h);
    return done < work && !h->private_->marker.stack.count;
}
