/*
 * become.c - become: and pinning, by forwarders.
 *
 * All pairs are checked, and all memory taken, before anything changes.
 * Two-way: bodies of equal size change places; else each object is copied
 * and its old place forwards to the other's copy. One-way: the object turns
 * into a forwarder. Whoever meets a forwarder follows it (heap_follow);
 * collections remove them. The class table never holds one.
 */
#include "vm/memory/heap_private.h"
#include "vm/primitives/prim.h"

/* Things the machine itself holds by address or by place. */
static bool is_fixed_object(const struct heap *h, oop o)
{
    return o == h->nil || o == h->true_ || o == h->false_ ||
           class_index_of(o) < CLS_LARGE_NEGATIVE;
}

/* An Array that may take the place of the special objects. */
static bool can_be_special(const struct heap *h, oop o)
{
    return is_pointer(o) && class_index_of(o) == CLS_ARRAY &&
           slot_count(o) > SPL_SEL_CANNOT_INTERPRET &&
           slot(o, SPL_NIL) == h->nil && slot(o, SPL_FALSE) == h->false_ &&
           slot(o, SPL_TRUE) == h->true_;
}

static int check_one(const struct heap *h, oop o)
{
    if (is_immediate(o) || is_fixed_object(h, o))
        return PRIM_ERR_INAPPROPRIATE;
    if (header(o) & HDR_PINNED)
        return PRIM_ERR_PINNED;
    return header(o) & HDR_IMMUTABLE ? PRIM_ERR_NO_MODIFICATION : PRIM_OK;
}

static int check_pair(const struct heap *h, oop from, oop to, bool two_way,
                      bool copy_hash)
{
    int error;

    if (from == h->special && !two_way)
        return can_be_special(h, to) ? PRIM_OK : PRIM_ERR_INAPPROPRIATE;
    error = check_one(h, from);
    if (error)
        return error;
    if (two_way)
        return check_one(h, to);
    return copy_hash && is_immediate(to) ? PRIM_ERR_INAPPROPRIATE : PRIM_OK;
}

static int check_pairs(const struct heap *h, oop from, oop to, bool two_way,
                       bool copy_hash)
{
    uint64_t i, n = slot_count(from);
    int error;

    for (i = 0; i < n; i++) {
        error = check_pair(h, heap_follow(slot(from, i)),
                           heap_follow(slot(to, i)), two_way, copy_hash);
        if (error)
            return error;
    }
    return PRIM_OK;
}

/* Stores made without heap_store, and a class that may be another one: does
 * what the write barrier would. */
static void check_barrier(struct heap *h, oop o)
{
    uint64_t i, n;

    if (heap_is_young(h, o))
        return;
    if (h->private_->phase == PHASE_MARKING && live_bit(h, o))
        mark_again(h, o);
    if (header(o) & HDR_REMEMBERED)
        return;
    for (i = 0, n = oop_slots(o); i < n; i++)
        if (heap_is_young(h, slot(o, i))) {
            heap_remember(h, o);
            return;
        }
}

static bool can_swap(oop a, oop b)
{
    return slot_count(a) == slot_count(b) && has_overflow(a) == has_overflow(b);
}

/* Class, format and body of a and b change places; hash, place in the
 * remembered set and slot count (equal) stay. */
static void swap_bodies(struct heap *h, oop a, oop b)
{
    const uint64_t moved = HDR_CLASS_MASK | HDR_FORMAT_MASK;
    uint64_t difference = (header(a) ^ header(b)) & moved;
    uint64_t i, n = slot_count(a);

    *header_ptr(a) ^= difference;
    *header_ptr(b) ^= difference;
    for (i = 0; i < n; i++) {
        oop v = slot(a, i);

        slots(a)[i] = slot(b, i);
        slots(b)[i] = v;
    }
    check_barrier(h, a);
    check_barrier(h, b);
}

static void make_forwarder(struct heap *h, oop o, oop target)
{
    *header_ptr(o) &= ~(HDR_CLASS_MASK | HDR_FORMAT_MASK | HDR_IMMUTABLE);
    *header_ptr(o) |= (uint64_t)FMT_FORWARDER << HDR_FORMAT_SHIFT |
                      CLS_FORWARDER;
    heap_store(h, o, 0, target);
}

/* Bytes of copies that the two-way become of unequal pairs may need. */
static uint64_t copies_needed(oop from, oop to)
{
    uint64_t i, n = slot_count(from), total = 0;

    for (i = 0; i < n; i++) {
        oop a = heap_follow(slot(from, i)), b = heap_follow(slot(to, i));

        if (!can_swap(a, b))
            total += chunk_bytes(a) + chunk_bytes(b) + 2 * MIN_CHUNK;
    }
    return total;
}

/* A copy in old space. heap_grow has promised room for all, but for arrays
 * that name an object twice: there the sizes may turn out otherwise. */
static oop copy_old(struct heap *h, oop o, uint32_t hash)
{
    oop copy = heap_new_old(h, class_index_of(o), format_of(o),
                            slot_count(o));

    if (!copy)
        return 0;
    memcpy(bytes(copy), bytes(o), 8 * slot_count(o));
    set_raw_hash(copy, hash);
    check_barrier(h, copy);
    return copy;
}

static int exchange(struct heap *h, oop a, oop b)
{
    oop copy_of_a, copy_of_b;

    if (can_swap(a, b)) {
        swap_bodies(h, a, b);
        return PRIM_OK;
    }
    copy_of_a = copy_old(h, a, raw_hash(b));
    copy_of_b = copy_old(h, b, raw_hash(a));
    if (!copy_of_a || !copy_of_b)
        return PRIM_ERR_NO_MEMORY;
    make_forwarder(h, a, copy_of_b);
    make_forwarder(h, b, copy_of_a);
    return PRIM_OK;
}

static void replace(struct heap *h, oop from, oop to, bool copy_hash)
{
    if (copy_hash)
        set_raw_hash(to, raw_hash(from));
    make_forwarder(h, from, to);
}

/* Images replace the special objects by longer ones. The machine reads
 * SPL_SIZE of them, so the new array is a copy with at least that many. */
static int replace_special(struct heap *h, oop to)
{
    uint64_t n = slot_count(to);
    oop copy = heap_new_old(h, CLS_ARRAY, FMT_ARRAY,
                            n < SPL_SIZE ? SPL_SIZE : n);

    if (!copy)
        return PRIM_ERR_NO_MEMORY;
    memcpy(slots(copy), slots(to), 8 * n);
    set_raw_hash(copy, raw_hash(h->special));
    check_barrier(h, copy);
    make_forwarder(h, h->special, copy);
    make_forwarder(h, to, copy);
    h->special = copy;
    return PRIM_OK;
}

static void follow_class_table(struct heap *h)
{
    uint32_t page, i;

    for (page = 0; page < h->class_pages; page++) {
        oop o = (oop)(uintptr_t)h->class_table[page] - 8;

        for (i = 0; i < PAGE_SLOTS; i++)
            if (is_forwarder(slot(o, i))) {
                heap_store(h, o, i, heap_follow(slot(o, i)));
                heap_keep(h, slot(o, i)); /* instances count as marked */
            }
    }
}

static int become_all(struct heap *h, oop from, oop to, bool two_way,
                      bool copy_hash)
{
    uint64_t i, n = slot_count(from);
    int error = PRIM_OK;

    for (i = 0; i < n && !error; i++) {
        oop a = heap_follow(slot(from, i)), b = heap_follow(slot(to, i));

        if (a == b)
            continue;
        if (two_way)
            error = exchange(h, a, b);
        else if (a == h->special)
            error = replace_special(h, b);
        else if (is_pointer(a) && !is_fixed_object(h, a))
            replace(h, a, b, copy_hash);
    }
    return error;
}

static bool names_class(oop array)
{
    uint64_t i, n = slot_count(array);

    for (i = 0; i < n; i++)
        if (looks_like_class(heap_follow(slot(array, i))))
            return true;
    return false;
}

int heap_become(struct heap *h, oop from, oop to, bool two_way,
                bool copy_hash)
{
    uint64_t need;
    bool classes;
    int error;

    if (!is_pointer(from) || !is_pointer(to) ||
        format_of(from) != FMT_ARRAY || format_of(to) != FMT_ARRAY ||
        slot_count(from) != slot_count(to))
        return PRIM_ERR_BAD_ARGUMENT;
    error = check_pairs(h, from, to, two_way, copy_hash);
    if (error)
        return error;
    need = two_way ? copies_needed(from, to) : 0;
    if (need && heap_grow(h, need))
        return PRIM_ERR_NO_MEMORY;
    classes = names_class(from) || names_class(to);
    error = become_all(h, from, to, two_way, copy_hash);
    h->special = heap_follow(h->special);
    if (classes)
        follow_class_table(h);
    return error;
}

int heap_pin(struct heap *h, oop o, bool pin, oop *moved)
{
    oop copy;

    *moved = o;
    if (is_immediate(o))
        return PRIM_ERR_BAD_RECEIVER;
    if (!pin) {
        *header_ptr(o) &= ~HDR_PINNED;
        return PRIM_OK;
    }
    if (heap_is_young(h, o)) {
        copy = heap_new_old(h, class_index_of(o), format_of(o),
                            slot_count(o));
        if (!copy)
            return PRIM_ERR_NO_MEMORY;
        memcpy(bytes(copy), bytes(o), 8 * slot_count(o));
        set_raw_hash(copy, raw_hash(o));
        *header_ptr(copy) |= header(o) & HDR_IMMUTABLE;
        check_barrier(h, copy);
        make_forwarder(h, o, copy);
        if (looks_like_class(copy))
            follow_class_table(h);
        *moved = o = copy;
    }
    *header_ptr(o) |= HDR_PINNED;
    return PRIM_OK;
}
