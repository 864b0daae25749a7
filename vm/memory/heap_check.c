/*
 * heap_check.c - verifies every invariant of the heap: the chains of objects,
 * every oop, the remembered set, class table, roots. For tests and --check.
 *
 * Borrows the table of ranks for a map of object starts: a full collection
 * fills that anew, and nobody else reads it.
 */
#include "vm/memory/heap_private.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 1, 2)))
static int complain(const char *format, ...)
{
    char line[200];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0 || n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n] = '\n';
    plat_write(2, "heap check: ", 12);
    plat_write(2, line, (size_t)n + 1);
    return -1;
}

#define HEX(x) ((unsigned long long)(x))

/* --- the map --- */

static bool is_start(const struct heap *h, oop o)
{
    uint64_t w = word_of(h, o);

    return *rank_block(h, w) >> (w & 63) & 1;
}

static void note_start(struct heap *h, oop o)
{
    uint64_t w = word_of(h, o);

    *rank_block(h, w) |= 1ull << (w & 63);
}

static void clear_map(struct heap *h)
{
    uint64_t *end = rank_block(h, word_of(h, h->old_end + 511));

    memset(h->private_->rank.base, 0,
           (size_t)((uint8_t *)end - h->private_->rank.base));
}

/* --- the chains --- */

static int check_header(const struct heap *h, oop o, bool young)
{
    uint32_t index = class_index_of(o);
    unsigned f = format_of(o);

    if (header(o) & (HDR_MARKED | HDR_GREY))
        return complain("%llx: marked or grey", HEX(o));
    if (young && header(o) & (HDR_REMEMBERED | HDR_PINNED))
        return complain("%llx: young, but pinned or remembered", HEX(o));
    if (f == 6 || f == 8)
        return complain("%llx: format %u", HEX(o), f);
    if ((f == FMT_FORWARDER) != (index == CLS_FORWARDER))
        return complain("%llx: half a forwarder", HEX(o));
    if (index == CLS_FREE)
        return young ? complain("%llx: free chunk in new space", HEX(o)) : 0;
    if (index != CLS_FORWARDER && index < CLS_HIDDEN_ARRAY)
        return complain("%llx: class index %u", HEX(o), index);
    if (index >= CLS_LARGE_NEGATIVE &&
        (index >= h->class_pages * PAGE_SLOTS ||
         heap_class_at(h, index) == h->nil))
        return complain("%llx: no class at index %u", HEX(o), index);
    return 0;
}

/* The object or chunk at *at, or the next one that is there while old space
 * is being swept. 0: end. */
static oop next_in(const struct heap *h, uint64_t *at, uint64_t end,
                   bool young)
{
    oop o;

    if (!young)
        return heap_next_old(h, at, end);
    if (*at >= end)
        return 0;
    o = object_at(*at);
    *at = chunk_end(o);
    return o;
}

static int map_space(struct heap *h, uint64_t at, uint64_t end, bool young)
{
    uint64_t before = at, next;
    oop o;

    for (; (o = next_in(h, &at, end, young)); before = at) {
        if (chunk_start(o) != o && !has_overflow(o - 8))
            return complain("%llx: header without overflow word", HEX(o));
        if (o < before + 8 && has_overflow(before) && !has_overflow(o))
            return complain("%llx: overflow word without header", HEX(o));
        next = chunk_end(o);
        if (next > end || next <= o)
            return complain("%llx: object beyond its space", HEX(o));
        if (check_header(h, o, young))
            return -1;
        if (class_index_of(o) != CLS_FREE)
            note_start(h, o);
    }
    return 0;
}

/* --- oops --- */

static int check_oop(const struct heap *h, oop holder, oop v)
{
    if (is_immediate(v)) {
        if (is_int(v) || is_char(v) || is_small_float(v))
            return 0;
        return complain("%llx: bad tag %llx", HEX(holder), HEX(v));
    }
    if (v < h->new_start || v >= h->old_end || !is_start(h, v))
        return complain("%llx: %llx is no object", HEX(holder), HEX(v));
    return 0;
}

static int check_slots(struct heap *h, oop o, bool young)
{
    uint64_t i, n = oop_slots(o);
    bool refers = false, large = is_large(o);

    if (format_of(o) >= FMT_CODE && !is_int(slot(o, 0)))
        return complain("%llx: code without header", HEX(o));
    if (n > slot_count(o) && format_of(o) != FMT_FORWARDER)
        return complain("%llx: more literals than slots", HEX(o));
    for (i = 0; i < n; i++) {
        if (check_oop(h, o, slot(o, i)))
            return -1;
        refers |= heap_is_young(h, slot(o, i)) &&
                  !(large && *piece_noted(h, o, i / PIECE_SLOTS));
    }
    if (refers && !young && !(header(o) & HDR_REMEMBERED))
        return complain("%llx: refers to young objects, not remembered",
                        HEX(o));
    return 0;
}

static int check_space(struct heap *h, uint64_t at, uint64_t end, bool young,
                       uint64_t *remembered)
{
    oop o;

    while ((o = next_in(h, &at, end, young))) {
        if (class_index_of(o) == CLS_FREE)
            continue;
        if (check_slots(h, o, young))
            return -1;
        *remembered += !!(header(o) & HDR_REMEMBERED);
    }
    return 0;
}

/* --- while a cycle marks --- */

/* Sets or clears the mark of what is going to be traced or settled yet. */
static void note_pending(const struct oop_list *l, bool on)
{
    uint64_t i;

    for (i = 0; i < l->count; i++) {
        oop o = list_items(l)[i];

        if (is_pointer(o) && on)
            *header_ptr(o) |= HDR_MARKED;
        else if (is_pointer(o))
            *header_ptr(o) &= ~HDR_MARKED;
    }
}

/* A weak object's strong slots, an ephemeron's none, were traced. */
static uint64_t traced_slots(const struct heap *h, oop o)
{
    unsigned f = format_of(o);

    if (class_index_of(o) == CLS_HIDDEN_ARRAY || f == FMT_EPHEMERON)
        return 0; /* class table pages are traced in part */
    return f == FMT_WEAK ? heap_fixed_fields(h, o) : oop_slots(o);
}

/* Nothing that is done with refers to an old object that is not marked. */
static int check_black(struct heap *h, oop o)
{
    uint64_t i, n = traced_slots(h, o);

    if (header(o) & HDR_MARKED)
        return 0;
    for (i = 0; i < n; i++) {
        oop v = slot(o, i);

        if (is_pointer(v) && !heap_is_young(h, v) && !live_bit(h, v))
            return complain("%llx is traced, %llx in it unknown", HEX(o),
                            HEX(v));
    }
    return 0;
}

static int check_marking(struct heap *h)
{
    const struct marker *m = &h->private_->marker;
    uint64_t at = h->old_start;
    int result = 0;
    oop o;

    if (h->private_->phase != PHASE_MARKING || m->overflow)
        return 0;
    note_pending(&m->stack, true);
    while (!result && (o = next_live_object(h, &at, h->old_end)))
        result = check_black(h, o);
    note_pending(&m->stack, false);
    return result;
}

/* --- the rest --- */

static int check_remembered(const struct heap *h, uint64_t bits)
{
    const struct oop_list *l = &h->private_->remembered;
    uint64_t i;

    for (i = 0; i < l->count; i++) {
        oop o = list_items(l)[i];

        if (heap_is_young(h, o) || !is_start(h, o) ||
            !(header(o) & HDR_REMEMBERED))
            return complain("%llx: wrongly in the remembered set", HEX(o));
    }
    if (bits != l->count && !h->private_->remembered_overflow)
        return complain("%llu remembered objects, %llu in the set",
                        HEX(bits), HEX(l->count));
    return 0;
}

static int check_class_table(const struct heap *h)
{
    uint32_t i;

    for (i = 0; i < h->class_pages * PAGE_SLOTS; i++) {
        oop class = heap_class_at(h, i);

        if (check_oop(h, h->hidden_roots, class))
            return -1;
        if (class != h->nil && !looks_like_class(class))
            return complain("no class at index %u of the table", i);
    }
    for (i = 0; i < h->class_pages; i++)
        if (slots(slot(h->hidden_roots, i)) != h->class_table[i])
            return complain("page %u of the class table has moved", i);
    return 0;
}

static int check_roots(const struct heap *h)
{
    const struct oop_list *l = &h->private_->mourners;
    uint64_t i;

    if (h->nil != h->old_start || h->false_ != h->nil + 0x10 ||
        h->true_ != h->nil + 0x20 || h->free_lists != h->nil + 0x30 ||
        h->hidden_roots != h->nil + 0x240)
        return complain("the first five objects have moved");
    if (check_oop(h, 0, h->special) || slot(h->special, 0) != h->nil ||
        slot(h->special, 1) != h->false_ || slot(h->special, 2) != h->true_)
        return complain("special objects array");
    for (i = 0; i < l->count; i++)
        if (check_oop(h, 1, list_items(l)[i]))
            return -1;
    return 0;
}

static int check_spaces(const struct heap *h)
{
    const struct heap_private *p = h->private_;

    if (h->eden_free < h->eden_start || h->eden_free > h->eden_limit ||
        h->eden_limit > p->eden_end || p->past_free < p->past_start ||
        p->past_free - p->past_start > p->survivor_size ||
        h->old_end > h->old_limit || h->old_limit > p->old_max)
        return complain("the spaces' bounds");
    if (h->old_limit - h->old_end < (h->eden_limit - h->eden_start) +
                                        (p->past_free - p->past_start))
        return complain("no room to tenure new space into");
    return 0;
}

static bool root_is_bad; /* a visitor has no other way to say so */

static oop check_root(struct heap *h, oop o)
{
    if (check_oop(h, 2, o))
        root_is_bad = true;
    return o;
}

/* The owner's roots: frames and registers of the interpreter. */
static int check_owner(struct heap *h)
{
    const struct heap_owner *owner = &h->private_->owner;

    root_is_bad = false;
    if (owner->visit_roots)
        owner->visit_roots(owner->owner, check_root, ROOTS_YOUNG);
    return root_is_bad ? complain("a root of the machine") : 0;
}

int heap_check(struct heap *h)
{
    const struct heap_private *p = h->private_;
    uint64_t remembered = 0;

    if (check_spaces(h))
        return -1;
    clear_map(h);
    if (map_space(h, h->eden_start, h->eden_free, true) ||
        map_space(h, p->past_start, p->past_free, true) ||
        map_space(h, h->old_start, h->old_end, false) ||
        check_space(h, h->eden_start, h->eden_free, true, &remembered) ||
        check_space(h, p->past_start, p->past_free, true, &remembered) ||
        check_space(h, h->old_start, h->old_end, false, &remembered))
        return -1;
    return check_remembered(h, remembered) || check_class_table(h) ||
           check_roots(h) || check_marking(h) || check_owner(h) ? -1 : 0;
}
