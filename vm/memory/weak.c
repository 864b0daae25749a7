/*
 * weak.c - the queue of mourners: ephemerons whose keys died (and weak
 * objects that lost referents, if the image's flags want them), waiting for
 * primitive 172.
 */
#include "vm/memory/heap_private.h"

#define FLAG_QUEUE_WEAK (1ull << 6)

bool heap_queue_mourner(struct heap *h, oop o)
{
    if (!list_push(&h->private_->mourners, o))
        return false;
    h->finalization_pending = true;
    return true;
}

/* A large one may lose many, piece by piece: it is queued once for those. */
void heap_note_death(struct heap *h, oop o)
{
    struct oop_list *l = &h->private_->mourners;

    h->finalization_pending = true;
    if (h->image_flags & FLAG_QUEUE_WEAK &&
        !(l->count && list_items(l)[l->count - 1] == o))
        list_push(l, o);
}

oop heap_fetch_mourner(struct heap *h)
{
    struct oop_list *l = &h->private_->mourners;

    return l->count ? heap_follow(list_items(l)[--l->count]) : 0;
}
