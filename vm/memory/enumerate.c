/*
 * enumerate.c - walking all objects: old space, then eden, then the past
 * survivors, each in the order of addresses.
 */
#include "vm/memory/heap_private.h"

enum space { OLD, EDEN, PAST, END };

static bool is_visible(oop o)
{
    return class_index_of(o) >= CLS_LARGE_NEGATIVE;
}

static uint64_t space_start(const struct heap *h, enum space s)
{
    return s == OLD    ? h->old_start
           : s == EDEN ? h->eden_start
                       : h->private_->past_start;
}

static uint64_t space_end(const struct heap *h, enum space s)
{
    return s == OLD    ? h->old_end
           : s == EDEN ? h->eden_free
                       : h->private_->past_free;
}

/* The first visible object from `at` in space `s`, or in a later space. */
static oop visible_from(const struct heap *h, enum space s, uint64_t at)
{
    oop o;

    for (;;) {
        while (s == OLD && (o = heap_next_old(h, &at, h->old_end)))
            if (is_visible(o))
                return o;
        while (s != OLD && at < space_end(h, s)) {
            o = object_at(at);
            if (is_visible(o))
                return o;
            at = chunk_end(o);
        }
        if (++s == END)
            return 0;
        at = space_start(h, s);
    }
}

oop heap_first_object(struct heap *h)
{
    return visible_from(h, OLD, h->old_start);
}

oop heap_next_object(struct heap *h, oop o)
{
    enum space s = !heap_is_young(h, o)              ? OLD
                   : o < h->private_->eden_end ? EDEN : PAST;

    return visible_from(h, s, chunk_end(o));
}

/* All objects, or those of a class (0: any), in an Array; 0: no memory. */
static oop collect(struct heap *h, oop class)
{
    uint64_t n = 0, i = 0;
    oop o, all;

    for (o = heap_first_object(h); o; o = heap_next_object(h, o))
        n += !class || heap_class_of(h, o) == class;
    all = heap_new(h, CLS_ARRAY, FMT_ARRAY, n);
    if (!all)
        return 0;
    for (o = heap_first_object(h); o; o = heap_next_object(h, o))
        if (o != all && (!class || heap_class_of(h, o) == class))
            heap_store(h, all, i++, o);
    return all;
}

oop heap_all_instances(struct heap *h, oop class)
{
    return collect(h, class);
}

oop heap_all_objects(struct heap *h) { return collect(h, 0); }
