/*
 * jit_links.c - which sends are linked, by selector: when a method is
 * replaced, those that called it are found without looking at all others.
 *
 * A link is a point of a piece of code, and holds from when its send is linked
 * until it calls the miss stub again. Links go with the code at a flush.
 */
#include "vm/jit/jit_private.h"

#include <stdlib.h>

/* Links are known by number, since the table may move; 0 is none. */
struct link {
    struct jit_code *code;
    struct point *point;
    uint32_t next;
};

static uint32_t *list_of(struct jit *j, uint32_t hash)
{
    return &j->link_lists[hash % LINK_LISTS];
}

static bool has_room(struct jit *j)
{
    unsigned room = j->links_room ? 2 * j->links_room : 512;
    struct link *links;

    if (j->free_links || j->num_links + 1 < j->links_room)
        return true;
    links = realloc(j->links, room * sizeof *links);
    if (!links)
        return false;
    j->links = links;
    j->links_room = room;
    return true;
}

static uint32_t take_link(struct jit *j)
{
    uint32_t n = j->free_links;

    if (n)
        j->free_links = j->links[n].next;
    else
        n = ++j->num_links;
    return n;
}

bool links_add(struct jit *j, struct jit_code *code, struct point *p,
               uint32_t hash)
{
    uint32_t *list = list_of(j, hash), n;

    if (p->hash)
        return true;
    if (!has_room(j))
        return false;
    n = take_link(j);
    j->links[n] = (struct link){ code, p, *list };
    *list = n;
    p->hash = hash;
    return true;
}

/* Those of a list for which `is_wanted` are unlinked. */
static void unlink_in(struct vm *vm, uint32_t *list,
                      bool (*is_wanted)(struct vm *vm, const struct link *l,
                                        const void *data),
                      const void *data)
{
    struct jit *j = vm->jit;
    uint32_t n;

    while ((n = *list) != 0) {
        struct link *l = &j->links[n];

        if (!is_wanted(vm, l, data)) {
            list = &l->next;
            continue;
        }
        send_unlink(j, l->code, l->point);
        l->point->hash = 0;
        *list = l->next;
        l->next = j->free_links;
        j->free_links = n;
        j->stats.unlinks++;
    }
}

static bool has_hash(struct vm *vm, const struct link *l, const void *data)
{
    return l->point->hash == *(const uint32_t *)data;
}

void links_drop_selector(struct vm *vm, uint32_t hash)
{
    unlink_in(vm, list_of(vm->jit, hash), has_hash, &hash);
}

static bool any(struct vm *vm, const struct link *l, const void *data)
{
    return true;
}

void links_drop_all(struct vm *vm)
{
    unsigned i;

    for (i = 0; i < LINK_LISTS; i++)
        unlink_in(vm, &vm->jit->link_lists[i], any, NULL);
}

static bool lies_in(const uint8_t *target, const struct jit_code *c)
{
    return target >= c->base && target < c->base + c->bytes;
}

static bool has_case(const struct jit_code *pic, const struct jit_code *target)
{
    unsigned i;
    uint32_t tag;

    for (i = 0; i < pic->cases; i++)
        if (lies_in(send_pic_case(pic, i, &tag), target))
            return true;
    return false;
}

static bool calls(struct vm *vm, const struct link *l, const void *data)
{
    const uint8_t *target =
        send_site_target(l->code->base + l->point->native);
    const struct jit_code *code = data, *pic;

    if (lies_in(target, code))
        return true;
    pic = zone_at(vm, target);
    return pic && pic->kind == CODE_PIC && has_case(pic, code);
}

void links_note_callee(struct jit_code *code, uint32_t hash)
{
    if (code->called_as && code->called_as != hash)
        code->called_variously = true;
    code->called_as = hash;
}

void links_drop_code(struct vm *vm, const struct jit_code *code)
{
    struct jit *j = vm->jit;
    unsigned i;

    if (!code->called_as)
        return;
    if (!code->called_variously) {
        unlink_in(vm, list_of(j, code->called_as), calls, code);
        return;
    }
    for (i = 0; i < LINK_LISTS; i++)
        unlink_in(vm, &j->link_lists[i], calls, code);
}

void links_forget(struct jit *j)
{
    j->num_links = j->free_links = 0;
    memset(j->link_lists, 0, sizeof j->link_lists);
}
