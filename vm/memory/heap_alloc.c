/*
 * heap_alloc.c - the spaces and allocation in them: eden by bumping, old
 * space by free lists and bumping, growth and shrinking, new instances.
 *
 * Never collects. Keeps the invariant of room (heap_private.h).
 */
#include "vm/memory/heap_private.h"
#include "vm/primitives/prim.h"

enum {
    PAGE = 4096,
    MIN_EDEN = 1 << 18,
    LEAST_EDEN = 1 << 16,    /* where stores are scattered over large objects */
    MAX_EDEN = 1 << 28,
    FIRST_EDEN = 2 << 20,    /* surely filled: an idle image needs no more */
    MIN_GROWTH = 1 << 20,
    MAX_GROWTH = 32 << 20,   /* at once: it takes time */
    MUCH_COPIED = 1 << 20,   /* by a scavenge: the next one shall come sooner */
    LITTLE_COPIED = 1 << 18,
    MIN_TRIGGER = 8 << 20,   /* old growth that makes a collection worth it */
    MAX_YOUNG_SLOTS = 65535, /* larger objects are born old */
    FIRST_FIT_TRIES = 64,
    SMALL_CHUNK = 8 * FREE_LISTS,
};
static const uint64_t max_slots = 1ull << 40;

static uint64_t page_up(uint64_t n) { return (n + PAGE - 1) & -(uint64_t)PAGE; }

/* --- spaces --- */

/* The collector's tables, for a heap up to `limit`. */
static bool grow_tables(struct heap *h, uint64_t limit)
{
    struct heap_private *p = h->private_;
    uint64_t blocks = (limit - h->new_start) / 512 + 1;
    uint64_t noted = p->pieced.committed;

    if (!region_ensure(&p->live, 8 * blocks) ||
        !region_ensure(&p->rank, 8 * blocks) ||
        !region_ensure(&p->pieced, (limit - h->new_start) / NOTED_BYTES + 1))
        return false;
    memset(p->pieced.base + noted, 0, p->pieced.committed - noted);
    return true;
}

bool heap_lay_out(struct heap *h, uint64_t eden_bytes)
{
    struct heap_private *p = h->private_;

    p->survivor_size = page_up(eden_bytes / 4);
    h->eden_start = h->eden_free = h->new_start;
    p->eden_end = h->eden_start + page_up(eden_bytes);
    p->past_start = p->past_free = p->eden_end;
    p->future_start = p->past_start + p->survivor_size;
    p->eden_wish = p->eden_end - h->eden_start;
    h->eden_limit = h->eden_threshold = h->eden_start;
    if (plat_commit((void *)(uintptr_t)h->new_start, h->new_size) ||
        !grow_tables(h, h->new_start + h->new_size))
        return false;
    heap_clear_live(h, h->new_start, h->new_start + h->new_size);
    plat_prepare((void *)(uintptr_t)h->eden_start,
                 eden_bytes < FIRST_EDEN ? eden_bytes : FIRST_EDEN);
    return true;
}

/* Moves old_limit to `limit`. The marking table grows first: a collection
 * must not need memory. */
static bool commit_to(struct heap *h, uint64_t limit)
{
    if (!grow_tables(h, limit) ||
        plat_commit((void *)(uintptr_t)h->old_limit, limit - h->old_limit))
        return false;
    heap_clear_live(h, h->old_limit, limit);
    h->old_limit = limit;
    h->stats.grows++;
    return true;
}

/* A platform that has no memory left is believed: the heap's limit is where
 * it ends now, so that low space is noticed. */
bool heap_make_room(struct heap *h, uint64_t n)
{
    struct heap_private *p = h->private_;
    uint64_t step = (h->old_end - h->old_start) / 16, least, most;

    if (h->old_limit - h->old_end >= n)
        return true;
    if (n > p->old_max - h->old_end)
        return false;
    if (step < MIN_GROWTH)
        step = MIN_GROWTH;
    if (step > MAX_GROWTH)
        step = MAX_GROWTH;
    least = page_up(h->old_end + n);
    most = page_up(h->old_end + n + step);
    if (most > p->old_max)
        most = p->old_max;
    if (commit_to(h, most) || (least < most && commit_to(h, least)))
        return true;
    p->old_max = h->old_limit;
    return false;
}

/* What is to be committed beyond old_end: new space may go old, and what low
 * space is told at must be there by then, whatever the platform said. */
static uint64_t ahead(const struct heap *h)
{
    return heap_reserve(h) + h->low_space_threshold;
}

int heap_grow(struct heap *h, uint64_t n)
{
    if (n > h->private_->old_max)
        return -1;
    return heap_make_room(h, n + heap_reserve(h)) ? 0 : -1;
}

bool heap_shrink(struct heap *h, uint64_t most)
{
    uint64_t used = h->old_end - h->old_start;
    uint64_t spare = used / 4 > 4 * MIN_GROWTH ? used / 4 : 4 * MIN_GROWTH;
    uint64_t keep = page_up(h->old_end + ahead(h) + spare / 2);

    if (h->old_limit < keep + spare)
        return false;
    if (h->old_limit - keep > most)
        keep = h->old_limit - most;
    plat_decommit((void *)(uintptr_t)keep, h->old_limit - keep);
    h->old_limit = keep;
    h->stats.shrinks++;
    return true;
}

/* The platform that was out of memory has it again. */
bool heap_trim_lists(struct heap *h, uint64_t most)
{
    struct heap_private *p = h->private_;
    uint64_t end = h->new_start + p->reservation.reserved, given = 0;
    struct oop_list *lists[] = {
        &p->marker.stack, &p->marker.weak, &p->marker.ephemerons,
        &p->marker.undecided, &p->remembered, &p->pieces, &p->tenured,
        &p->weak, &p->ephemerons, &p->pins, &p->pin_bias,
    };
    unsigned i;

    for (i = 0; i < sizeof lists / sizeof lists[0]; i++)
        given += region_trim(&lists[i]->mem, lists[i]->count * sizeof(oop),
                             most - given);
    p->old_max = given < end - p->old_max ? p->old_max + given : end;
    return given;
}

/* What would be left if everything young survived. */
static uint64_t bytes_free_if_full(const struct heap *h)
{
    uint64_t room = h->private_->old_max - h->old_end + h->old_free_bytes +
                    h->private_->cycle.credit;
    uint64_t reserve = heap_reserve(h);

    return room > reserve ? room - reserve : 0;
}

uint64_t heap_bytes_free(const struct heap *h)
{
    return bytes_free_if_full(h) + h->eden_limit - h->eden_free;
}

static void want_full_gc(struct heap *h)
{
    if (!h->full_gc_wanted) {
        h->full_gc_wanted = true;
        vm_force_check();
    }
}

/* What the running cycle would free may be enough: that is known after a full
 * collection, which comes here again. */
static void check_low_space(struct heap *h)
{
    if (!h->low_space_threshold || h->low_space_signalled)
        return;
    (void)heap_make_room(h, ahead(h));
    if (heap_bytes_free(h) >= h->low_space_threshold)
        return;
    if (h->cycle_wanted || heap_cycle_runs(h))
        want_full_gc(h);
    if (h->full_gc_wanted)
        return;
    h->low_space_signalled = true;
    vm_force_check();
}

/* Old space has grown: a cycle begins; if that proves too slow, or old space
 * cannot grow although enough of it is free, all is compacted. */
static void check_growth(struct heap *h)
{
    struct heap_private *p = h->private_;

    if (p->phase == PHASE_MARKING && heap_bytes_free(h) < p->cycle.least_free)
        want_full_gc(h);
    if (p->phase == PHASE_IDLE && !h->cycle_wanted &&
        heap_old_used(h) > p->gc_trigger) {
        h->cycle_wanted = true;
        vm_force_check();
    }
}

/* With a smaller one, what is copied and scanned as a whole is so more often;
 * scattered stores just get fewer. */
void heap_wish_eden(struct heap *h, uint64_t work, uint64_t scattered)
{
    struct heap_private *p = h->private_;
    uint64_t most = p->eden_end - h->eden_start, wish = p->eden_wish;
    uint64_t least = scattered > MUCH_COPIED ? LEAST_EDEN : MIN_EDEN;

    work += scattered;
    if (work > MUCH_COPIED)
        wish /= 2;
    else if (work < LITTLE_COPIED)
        wish *= 2;
    if (wish < least)
        wish = least;
    p->eden_wish = (wish < most ? wish : most) & ~7ull;
}

/* All in eden may go old at once: so near low space it is small. */
static uint64_t eden_size(const struct heap *h)
{
    uint64_t free = bytes_free_if_full(h), low = h->low_space_threshold;
    uint64_t most = free > low ? free - low : 0, wish = h->private_->eden_wish;

    if (most < MIN_EDEN)
        most = MIN_EDEN;
    return wish < most ? wish : most & ~7ull;
}

void heap_settle(struct heap *h)
{
    struct heap_private *p = h->private_;
    uint64_t past = p->past_free - p->past_start, eden, room;

    if (!heap_make_room(h, heap_reserve(h)) && heap_sweep_all(h))
        heap_make_room(h, heap_reserve(h));
    room = h->old_limit - h->old_end;
    room = room > past ? room - past : 0;
    eden = eden_size(h);
    if (eden > room) {
        eden = room & ~7ull;
        if (h->old_free_bytes > p->free_after_full + p->eden_wish)
            want_full_gc(h);
    }
    h->eden_limit = h->eden_start + eden;
    h->eden_threshold = h->eden_start + eden - eden / 16;
    h->scavenge_wanted = false;
    check_growth(h);
    check_low_space(h);
}

/* --- free lists: between collections only --- */

void heap_free_chunk(struct heap *h, uint64_t at, uint64_t end)
{
    struct heap_private *p = h->private_;
    uint64_t n = end - at;
    uint64_t list = n < SMALL_CHUNK ? n / 8 : 0;
    oop o = at;

    if (!n)
        return;
    if (n / 8 - 1 < HDR_OVERFLOW) {
        *header_ptr(o) = (n / 8 - 1) << HDR_SLOTS_SHIFT;
    } else {
        o = at + 8;
        header_ptr(o)[-1] = (uint64_t)HDR_OVERFLOW << HDR_SLOTS_SHIFT |
                            (n / 8 - 2);
        *header_ptr(o) = (uint64_t)HDR_OVERFLOW << HDR_SLOTS_SHIFT;
    }
    slots(o)[0] = p->free_list[list];
    p->free_list[list] = o;
    p->free_mask |= 1ull << list;
    h->old_free_bytes += n;
}

void heap_forget_free_chunks(struct heap *h)
{
    memset(h->private_->free_list, 0, sizeof h->private_->free_list);
    h->private_->free_mask = 0;
    h->old_free_bytes = 0;
}

/* Takes `n` bytes out of the list at *link, if its head serves. */
static uint64_t take_chunk(struct heap *h, oop *link, uint64_t n)
{
    oop o = *link;
    uint64_t at = chunk_start(o), end = chunk_end(o);

    if (end - at != n && end - at < n + MIN_CHUNK)
        return 0;
    *link = slot(o, 0);
    h->old_free_bytes -= end - at;
    heap_free_chunk(h, at + n, end);
    return at;
}

/* From the list of that size, or one that leaves a chunk of it. */
static uint64_t take_small(struct heap *h, uint64_t n)
{
    struct heap_private *p = h->private_;
    uint64_t mask = n < SMALL_CHUNK ? p->free_mask >> n / 8 & ~2ull : 0, at;
    unsigned list;

    if (!mask)
        return 0;
    list = (unsigned)(n / 8) + (unsigned)__builtin_ctzll(mask);
    at = take_chunk(h, &p->free_list[list], n);
    if (!p->free_list[list])
        p->free_mask &= ~(1ull << list);
    return at;
}

uint64_t heap_take_free(struct heap *h, uint64_t n)
{
    struct heap_private *p = h->private_;
    oop *link = &p->free_list[0];
    unsigned tries;
    uint64_t at = take_small(h, n);

    if (at)
        return at;
    for (tries = 0; *link && tries < FIRST_FIT_TRIES; tries++) {
        at = take_chunk(h, link, n);
        if (at)
            return at;
        link = &slots(*link)[0];
    }
    return 0;
}

static uint64_t allocate_old(struct heap *h, uint64_t n)
{
    uint64_t at = h->old_free_bytes >= n ? heap_take_free(h, n) : 0;

    if (at)
        return at;
    if (!heap_make_room(h, n + heap_reserve(h))) {
        if (heap_sweep_all(h))
            return allocate_old(h, n);
        want_full_gc(h);
        check_low_space(h);
        return 0;
    }
    at = h->old_end;
    h->old_end += n;
    check_growth(h);
    check_low_space(h);
    return at;
}

/* --- objects --- */

static oop write_header(uint64_t at, uint32_t class_index, unsigned format,
                        uint64_t n)
{
    uint64_t head = (uint64_t)format << HDR_FORMAT_SHIFT | class_index;

    if (n < HDR_OVERFLOW) {
        *header_ptr(at) = n << HDR_SLOTS_SHIFT | head;
        return at;
    }
    *header_ptr(at) = (uint64_t)HDR_OVERFLOW << HDR_SLOTS_SHIFT | n;
    *header_ptr(at + 8) = (uint64_t)HDR_OVERFLOW << HDR_SLOTS_SHIFT | head;
    return at + 8;
}

static oop fill(const struct heap *h, oop o, unsigned format, uint64_t n)
{
    oop value = format_is_pointers(format) ? h->nil : 0;
    uint64_t i;

    if (!n)
        slots(o)[0] = 0;
    for (i = 0; i < n; i++)
        slots(o)[i] = value;
    if (format_is_code(format) && n) /* no literals until it says so */
        slots(o)[0] = int_oop(0);
    return o;
}

static oop make(struct heap *h, uint64_t at, uint32_t class_index,
                unsigned format, uint64_t n)
{
    oop o = write_header(at, class_index, format, n);

    if (h->private_->phase == PHASE_MARKING && !heap_is_young(h, o))
        mark_born(h, o);
    return fill(h, o, format, n);
}

static uint64_t allocate(struct heap *h, uint64_t n, uint64_t size)
{
    uint64_t at = h->eden_free;

    if (n <= MAX_YOUNG_SLOTS && size <= h->eden_limit - at) {
        h->eden_free = at + size;
        if (h->eden_free > h->eden_threshold && !h->scavenge_wanted) {
            h->scavenge_wanted = true;
            vm_force_check();
        }
        return at;
    }
    if (n <= MAX_YOUNG_SLOTS && !h->scavenge_wanted) {
        h->scavenge_wanted = true;
        vm_force_check();
    }
    return allocate_old(h, size);
}

oop heap_new(struct heap *h, uint32_t class_index, unsigned format, uint64_t n)
{
    oop o = n < HDR_OVERFLOW ? heap_new_young(h, class_index, format, n) : 0;
    uint64_t at;

    if (o)
        return fill(h, o, format, n);
    at = n <= max_slots ? allocate(h, n, bytes_for_slots(n)) : 0;
    return at ? make(h, at, class_index, format, n) : 0;
}

oop heap_new_old(struct heap *h, uint32_t class_index, unsigned format,
                 uint64_t n)
{
    uint64_t at = n <= max_slots ? allocate_old(h, bytes_for_slots(n)) : 0;

    return at ? make(h, at, class_index, format, n) : 0;
}

/* Slots and final format of an instance; false if the class forbids it. */
static bool instance_shape(unsigned spec, uint64_t fixed, uint64_t indexed,
                           unsigned *format, uint64_t *n)
{
    unsigned unused = 0;

    *n = fixed + indexed;
    switch (spec) {
    case FMT_EMPTY:
    case FMT_FIXED:
    case FMT_EPHEMERON:
        if (indexed || (spec == FMT_EPHEMERON && !fixed))
            return false;
        /* a class may gain fields and keep the empty spec */
        if (spec == FMT_EMPTY && fixed)
            spec = FMT_FIXED;
        break;
    case FMT_ARRAY:
        if (fixed)
            spec = FMT_FIXED_AND_INDEXED;
        break;
    case FMT_FIXED_AND_INDEXED:
    case FMT_WEAK:
        break;
    case FMT_64:
        *n = indexed;
        break;
    case FMT_32:
        *n = (indexed + 1) / 2;
        unused = indexed & 1;
        break;
    case FMT_16:
        *n = (indexed + 3) / 4;
        unused = -indexed & 3;
        break;
    case FMT_BYTES:
        *n = (indexed + 7) / 8;
        unused = -indexed & 7;
        break;
    default:
        return false;
    }
    *format = spec + unused;
    return true;
}

typedef oop allocator(struct heap *h, uint32_t class_index, unsigned format,
                      uint64_t n);

static oop instantiate(struct heap *h, oop class, uint64_t indexed,
                       allocator *new, int *error)
{
    unsigned spec, format;
    uint64_t word, n;
    uint32_t index;
    oop o;

    *error = PRIM_ERR_BAD_RECEIVER;
    if (!looks_like_class(class))
        return 0;
    word = (uint64_t)int_value(slot(class, CLASS_FORMAT));
    spec = word >> 16 & 31;
    *error = PRIM_ERR_NO_MEMORY;
    if (indexed > max_slots * 8)
        return 0;
    if (!instance_shape(spec, word & 0xffff, indexed, &format, &n)) {
        *error = indexed && spec <= FMT_EPHEMERON ? PRIM_ERR_BAD_ARGUMENT
                                                  : PRIM_ERR_BAD_RECEIVER;
        return 0;
    }
    index = heap_class_hash(h, class);
    o = index ? new(h, index, format, n) : 0;
    if (o)
        *error = PRIM_OK;
    return o;
}

oop heap_instantiate(struct heap *h, oop class, uint64_t indexed, int *error)
{
    return instantiate(h, class, indexed, heap_new, error);
}

oop heap_instantiate_pinned(struct heap *h, oop class, uint64_t indexed,
                            int *error)
{
    oop o = instantiate(h, class, indexed, heap_new_old, error);

    if (o)
        *header_ptr(o) |= HDR_PINNED;
    return o;
}

oop heap_clone(struct heap *h, oop o)
{
    uint64_t n = slot_count(o), i, oops = oop_slots(o);
    unsigned format = format_of(o);
    oop copy = heap_new(h, class_index_of(o), format, n);

    if (!copy)
        return 0;
    memcpy(bytes(copy), bytes(o), 8 * n);
    if (heap_is_young(h, copy))
        return copy;
    for (i = 0; i < oops; i++)
        heap_store(h, copy, i, slot(o, i));
    return copy;
}

oop heap_new_bytes(struct heap *h, uint32_t class_index, const void *from,
                   uint64_t n)
{
    oop o = heap_new(h, class_index, FMT_BYTES + (-n & 7), (n + 7) / 8);

    if (o && n)
        memcpy(bytes(o), from, n);
    return o;
}

oop heap_new_string(struct heap *h, const char *s)
{
    return heap_new_bytes(h, CLS_BYTE_STRING, s, strlen(s));
}

oop heap_new_byte_array(struct heap *h, const void *from, uint64_t n)
{
    oop class = heap_special(h, SPL_CLASS_BYTE_ARRAY);
    uint32_t index = heap_class_hash(h, class);

    return index ? heap_new_bytes(h, index, from, n) : 0;
}

oop heap_point(struct heap *h, oop x, oop y)
{
    uint32_t index = heap_class_hash(h, heap_special(h, SPL_CLASS_POINT));
    oop o = index ? heap_new(h, index, FMT_FIXED, 2) : 0;

    if (o) {
        heap_store(h, o, POINT_X, x);
        heap_store(h, o, POINT_Y, y);
    }
    return o;
}
