/*
 * scavenge.c - the young collection: copies what lives in eden and the past
 * survivor space to the future one, or to old space (tenuring).
 *
 * Cheney's algorithm with three scan pointers: through the future space;
 * through what was tenured to chunks off the free lists, which are noted in
 * a list; through what was tenured to the old end. A copied object leaves a
 * corpse: class index 8, slot 0 the copy's address, just like a forwarder of
 * become, so following one handles both. The size of a corpse is never asked
 * again.
 *
 * Tenuring: when the survivors are many or fill most of their space, those
 * copied first last time go old in the next scavenge; when hardly any of the
 * earlier survivors died a few times in a row, all of them do, and from then
 * on each time until many die: copying them on and on gains nothing, and to
 * tenure what has piled up at once takes long. So does what finds no room.
 */
#include "vm/memory/heap_private.h"

enum {
    MANY_REMEMBERED = 1 << 13, /* places all over the heap: milliseconds */
    AHEAD = 6, /* remembered objects that are being fetched */
    PIECE_WORK = 128, /* slots that take as long as what is cold in a piece */
    MANY_SURVIVORS = 1 << 19, /* bytes: copying them takes a millisecond */
    FEW_SURVIVORS = 1 << 15,  /* and these are not worth a thought */
    IDLE_COPIES = 3,          /* after so many they go old */
};

static uint64_t in_future(const struct heap_private *p, oop o)
{
    return o - p->future_start < p->survivor_size;
}

/* Where the copy of `n` bytes starting at `from` goes. */
static inline uint64_t place(struct heap *h, uint64_t from, uint64_t n)
{
    struct heap_private *p = h->private_;
    uint64_t to = p->future_free;

    if (from - p->past_start < p->survivor_size)
        p->copied_again += n;
    if (from - p->past_start >= p->tenure_bytes &&
        n <= p->future_start + p->survivor_size - to) {
        p->future_free = to + n;
        return to;
    }
    h->stats.tenures++;
    if (h->old_free_bytes >= n &&
        region_ensure(&p->tenured.mem, (p->tenured.count + 1) * sizeof to)) {
        to = heap_take_free(h, n);
        if (to) {
            list_push(&p->tenured, to);
            return to;
        }
    }
    to = h->old_end;
    assert(n <= h->old_limit - to);
    h->old_end = to + n;
    return to;
}

static inline void leave_corpse(oop o, oop copy)
{
    *header_ptr(o) = (header(o) & ~HDR_CLASS_MASK) | CLS_FORWARDER;
    slots(o)[0] = copy;
}

static oop copy_large(struct heap *h, oop o)
{
    uint64_t from = chunk_start(o), n = chunk_bytes(o);
    uint64_t to = place(h, from, n);

    memcpy(header_ptr(to), header_ptr(from), n);
    leave_corpse(o, to + 8);
    return to + 8;
}

static inline oop copy(struct heap *h, oop o)
{
    uint64_t n = header(o) >> HDR_SLOTS_SHIFT, i;
    oop to;

    if (n == HDR_OVERFLOW)
        return copy_large(h, o);
    to = place(h, o, 8 + 8 * (n ? n : 1));
    *header_ptr(to) = header(o);
    slots(to)[0] = slot(o, 0);
    for (i = 1; i < n; i++)
        slots(to)[i] = slot(o, i);
    leave_corpse(o, to);
    return to;
}

/* The surviving address of a young object, copying it if need be. A young
 * forwarder may have led to something old that the marking has not seen. */
static oop survive(struct heap *h, oop o)
{
    while (class_index_of(o) == CLS_FORWARDER) {
        o = slot(o, 0);
        if (!heap_is_young(h, o)) {
            heap_keep(h, o);
            return o;
        }
    }
    return in_future(h->private_, o) ? o : copy(h, o);
}

static oop visit(struct heap *h, oop o)
{
    return heap_is_young(h, o) ? survive(h, o) : o;
}

/* Like visit, but copies nothing: 0 when the object has not survived. */
static oop survivor(struct heap *h, oop o)
{
    while (heap_is_young(h, o)) {
        if (class_index_of(o) != CLS_FORWARDER)
            return in_future(h->private_, o) ? o : 0;
        o = slot(o, 0);
    }
    return o;
}

/* Visits slots [from, to); true if any of them stays young. */
static inline bool scan_slots(struct heap *h, oop o, uint64_t from,
                              uint64_t to)
{
    bool young = false;
    uint64_t i;

    for (i = from; i < to; i++) {
        oop v = slot(o, i);

        if (heap_is_young(h, v)) {
            v = survive(h, v);
            slots(o)[i] = v;
            young |= heap_is_young(h, v);
        }
    }
    return young;
}

/* Weak objects and ephemerons wait in lists; if a list is full they are
 * strong this time. An old one that waits is remembered anew when settled. */
static bool scan_weak(struct heap *h, oop o)
{
    uint64_t n = slot_count(o), fixed = fixed_fields(h, class_index_of(o));

    if (!list_push(&h->private_->weak, o))
        fixed = n;
    return scan_slots(h, o, 0, fixed < n ? fixed : n);
}

static bool scan_ephemeron(struct heap *h, oop o)
{
    if (!survivor(h, slot(o, 0)) &&
        list_push(&h->private_->ephemerons, o))
        return false;
    return scan_slots(h, o, 0, slot_count(o));
}

/* Visits what o refers to; true if something of it stays young. */
static inline bool scan(struct heap *h, oop o)
{
    unsigned f = format_of(o);

    if (f <= FMT_ARRAY)
        return scan_slots(h, o, 0, slot_count(o));
    if (f == FMT_WEAK)
        return scan_weak(h, o);
    if (f == FMT_EPHEMERON)
        return scan_ephemeron(h, o);
    return scan_slots(h, o, 0, oop_slots(o));
}

static inline void rescan_old(struct heap *h, oop o)
{
    if (scan(h, o) && !(header(o) & HDR_REMEMBERED))
        heap_remember(h, o);
}

static void scan_remembered(struct heap *h)
{
    struct heap_private *p = h->private_;
    struct oop_list *l = &p->remembered;
    uint64_t i, kept = 0;
    oop *items = list_items(l);

    for (i = 0; i < l->count; i++) {
        if (i + AHEAD < l->count) {
            __builtin_prefetch(header_ptr(items[i + AHEAD]));
            __builtin_prefetch(slots(items[i + AHEAD]) + 7);
        }
        p->scanned += slot_count(items[i]);
        if (scan(h, items[i]))
            items[kept++] = items[i];
        else
            *header_ptr(items[i]) &= ~HDR_REMEMBERED;
    }
    l->count = kept;
}

/* First weak slot of a weak object in [from, to). */
static uint64_t first_weak(const struct heap *h, oop o, uint64_t from,
                           uint64_t to)
{
    uint64_t fixed = fixed_fields(h, class_index_of(o));

    return fixed < from ? from : fixed < to ? fixed : to;
}

/* Stays in the list if there is something to settle, too. */
static bool scan_weak_piece(struct heap *h, oop o, uint64_t from, uint64_t to)
{
    uint64_t i = first_weak(h, o, from, to);
    bool young = scan_slots(h, o, from, i);

    for (; i < to; i++)
        young |= heap_is_young(h, slot(o, i));
    h->private_->weak_pieces |= young;
    return young;
}

/* What is large no more, or remembered as a whole, is so for good reason. */
static bool scan_piece(struct heap *h, oop o, uint64_t piece)
{
    uint64_t from = piece * PIECE_SLOTS, to;

    if (!is_large(o) || header(o) & HDR_REMEMBERED)
        return false;
    to = piece_end(o, piece);
    h->private_->scattered += PIECE_WORK;
    return format_of(o) == FMT_WEAK ? scan_weak_piece(h, o, from, to)
                                    : scan_slots(h, o, from, to);
}

/* The remembered set was too small: all of old space takes its place. */
static void scan_old_space(struct heap *h, uint64_t end)
{
    uint64_t at = h->old_start;
    oop o;

    heap_filter_pieces(h, NULL);
    h->private_->remembered.count = 0;
    h->private_->remembered_overflow = false;
    while ((o = heap_next_old(h, &at, end))) {
        *header_ptr(o) &= ~HDR_REMEMBERED;
        if (class_index_of(o) != CLS_FREE)
            rescan_old(h, o);
    }
}

/* How far the copies are scanned. */
struct progress {
    uint64_t young, old; /* addresses */
    uint64_t listed;     /* of p->tenured */
};

static void scan_copies(struct heap *h, struct progress *at)
{
    struct heap_private *p = h->private_;

    while (at->young < p->future_free || at->old < h->old_end ||
           at->listed < p->tenured.count) {
        while (at->young < p->future_free) {
            oop o = object_at(at->young);

            at->young = chunk_end(o);
            scan(h, o);
        }
        while (at->listed < p->tenured.count)
            rescan_old(h, object_at(list_items(&p->tenured)[at->listed++]));
        while (at->old < h->old_end) {
            oop o = object_at(at->old);

            at->old = chunk_end(o);
            rescan_old(h, o);
        }
    }
}

/* What was tenured while a cycle marks: bumped from `at` on, and listed. */
static void mark_tenured(struct heap *h, uint64_t at)
{
    struct heap_private *p = h->private_;
    uint64_t i;

    for (i = 0; i < p->tenured.count; i++)
        mark_born(h, object_at(list_items(&p->tenured)[i]));
    while (at < h->old_end) {
        oop o = object_at(at);

        at = chunk_end(o);
        mark_born(h, o);
    }
}

static void scan_strongly(struct heap *h, oop o)
{
    if (scan_slots(h, o, 0, slot_count(o)) && !heap_is_young(h, o) &&
        !(header(o) & HDR_REMEMBERED))
        heap_remember(h, o);
}

/* Traces ephemerons whose keys survived; true if there were any. */
static bool trace_ephemerons(struct heap *h)
{
    struct oop_list *l = &h->private_->ephemerons;
    oop *items = list_items(l);
    uint64_t i, kept = 0, count = l->count;

    for (i = 0; i < count; i++) {
        if (survivor(h, slot(items[i], 0)))
            scan_strongly(h, items[i]);
        else
            items[kept++] = items[i];
    }
    l->count = kept;
    return kept < count;
}

/* The keys of all that are left are reached by nothing else: they fire. */
static void fire_ephemerons(struct heap *h)
{
    struct oop_list *l = &h->private_->ephemerons;
    uint64_t i;

    for (i = 0; i < l->count; i++) {
        oop o = list_items(l)[i];

        if (heap_queue_mourner(h, o))
            set_format(o, FMT_FIXED);
        scan_strongly(h, o);
    }
    l->count = 0;
}

/* Weak slots [from, to) know what survived; true if any of it is young. */
static bool settle_slots(struct heap *h, oop o, uint64_t from, uint64_t to)
{
    bool young = false, died = false;
    uint64_t i;

    for (i = from; i < to; i++) {
        oop v = survivor(h, slot(o, i));

        died |= !v;
        slots(o)[i] = v ? v : h->nil;
        young |= heap_is_young(h, slot(o, i));
    }
    if (died)
        heap_note_death(h, o);
    return young;
}

static void settle_weak(struct heap *h, oop o)
{
    uint64_t n = slot_count(o), fixed = fixed_fields(h, class_index_of(o));

    if (settle_slots(h, o, fixed, n) && !heap_is_young(h, o) &&
        !(header(o) & HDR_REMEMBERED))
        heap_remember(h, o);
}

static bool settle_piece(struct heap *h, oop o, uint64_t piece)
{
    uint64_t from = piece * PIECE_SLOTS, to = piece_end(o, piece), i, weak;
    bool young;

    if (format_of(o) != FMT_WEAK)
        return true;
    weak = first_weak(h, o, from, to);
    young = settle_slots(h, o, weak, to);
    for (i = from; i < weak; i++)
        young |= heap_is_young(h, slot(o, i));
    return young;
}

static void visit_heap_roots(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t i;

    h->special = visit(h, h->special);
    for (i = 0; i < p->mourners.count; i++)
        list_items(&p->mourners)[i] =
            visit(h, list_items(&p->mourners)[i]);
    if (p->owner.visit_roots)
        p->owner.visit_roots(p->owner.owner, visit, ROOTS_YOUNG);
}

static void settle_weak_references(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t i;

    for (i = 0; i < p->weak.count; i++)
        settle_weak(h, list_items(&p->weak)[i]);
    p->weak.count = 0;
    if (p->weak_pieces)
        heap_filter_pieces(h, settle_piece);
    p->weak_pieces = false;
    if (p->owner.visit_weak)
        p->owner.visit_weak(p->owner.owner, survivor);
}

/* Did next to nothing of the `past` bytes die, a few times by now? */
static bool copies_in_vain(struct heap_private *p, uint64_t past)
{
    if (past <= FEW_SURVIVORS || p->copied_again < past / 8 * 7)
        p->idle_copies = 0;
    else
        p->idle_copies++;
    return p->idle_copies >= IDLE_COPIES;
}

static void swap_survivors(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t start = p->past_start, used, many = p->survivor_size / 4 * 3;
    bool in_vain = copies_in_vain(p, p->past_free - start);

    p->past_start = p->future_start;
    p->past_free = p->future_free;
    p->future_start = start;
    h->eden_free = h->eden_start;
    used = p->past_free - p->past_start;
    if (many > MANY_SURVIVORS)
        many = MANY_SURVIVORS;
    p->tenure_bytes = in_vain ? used : used > many ? used / 2 : 0;
    if (in_vain) /* and so again next time, unless many die till then */
        p->idle_copies = IDLE_COPIES - 1;
}

void heap_scavenge(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t start = plat_usecs(), end = h->old_end;
    struct progress at = { .young = p->future_start, .old = end };
    uint64_t free_before = h->old_free_bytes;

    h->stats.allocated_bytes += h->eden_free - h->eden_start;
    p->future_free = p->future_start;
    p->tenured.count = p->copied_again = 0;
    p->scanned = p->scattered = 0;
    if (p->remembered_overflow)
        scan_old_space(h, end);
    else
        scan_remembered(h);
    heap_filter_pieces(h, scan_piece);
    visit_heap_roots(h);
    scan_copies(h, &at);
    while (p->ephemerons.count) {
        if (!trace_ephemerons(h))
            fire_ephemerons(h);
        scan_copies(h, &at);
    }
    settle_weak_references(h);
    swap_survivors(h);
    if (p->phase == PHASE_MARKING)
        mark_tenured(h, end);
    heap_wish_eden(h, p->past_free - p->past_start + h->old_end - end +
                          free_before - h->old_free_bytes + 4 * p->scanned,
                  4 * p->scattered);
    p->remembered_most = h->stats.remembered + MANY_REMEMBERED;
    heap_settle(h);
    h->stats.scavenges++;
    heap_note_pause(h, PAUSE_SCAVENGE, start);
    if (p->owner.after_move)
        p->owner.after_move(p->owner.owner, false);
}
