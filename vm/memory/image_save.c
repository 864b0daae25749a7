/*
 * image_save.c - writes the heap as a 64-bit Spur image of one segment.
 *
 * After the full collection old space is the file's content as it lies:
 * no forwarders, no flags, dead slots of contexts nil, fillers 0. So the
 * file depends on nothing but the objects and their order.
 */
#include "vm/memory/heap_private.h"
#include "vm/memory/image_file.h"

enum {
    STACK_CAPACITY = STACK_SLOTS - STACK_FIRST,
    PIECE = 1 << 18, /* bytes between two tellings of progress */
};

static void fill_header(const struct heap *h, struct image_header *f)
{
    memset(f, 0, sizeof *f);
    f->version = h->image_format;
    f->header_size = sizeof *f;
    f->data_size = h->old_end - h->old_start + IMAGE_BRIDGE;
    f->base = h->old_start;
    f->special = h->special;
    f->hash_seed = h->hash_seed;
    f->screen_size = h->image_screen_size;
    f->flags = h->image_flags | IMAGE_FLAG_FLOATS_LITTLE;
    f->extra_bytes = h->want_extra;
    f->stack_pages = h->want_stack_pages;
    f->code_kb = h->want_code_kb;
    f->eden_bytes = h->want_eden;
    f->ext_sems = h->want_ext_sems;
    f->image_version = h->image_version;
    f->first_segment = f->data_size;
    f->free_bytes = h->old_free_bytes;
}

static bool write_objects(struct heap *h, struct plat_image *image)
{
    uint64_t total = h->old_end - h->old_start, done, n;

    for (done = 0; done < total; done += n) {
        n = total - done < PIECE ? total - done : PIECE;
        if (plat_image_write(image, header_ptr(h->old_start + done), n))
            return false;
        if (h->saving)
            h->saving(h, done + n, total);
    }
    return true;
}

static int write_image(struct heap *h, const char *name, const char **why)
{
    const uint64_t bridge[2] = { IMAGE_LAST_BRIDGE, 0 };
    struct image_header f;
    struct plat_image *image;
    bool ok;

    fill_header(h, &f);
    image = plat_image_create(name, sizeof f + f.data_size, why);
    if (!image)
        return -1;
    ok = !plat_image_write(image, &f, sizeof f) &&
         write_objects(h, image) &&
         !plat_image_write(image, bridge, sizeof bridge);
    if (plat_image_close(image, ok) || !ok) {
        *why = "the image could not be written; what was saved before is "
               "kept";
        return -1;
    }
    return 0;
}

/* The mourners travel in an object stack below the hidden roots. */
static bool store_mourners(struct heap *h)
{
    const struct oop_list *l = &h->private_->mourners;
    oop next = 0, page;
    uint64_t done = 0, n;

    while (done < l->count) {
        n = l->count - done < STACK_CAPACITY ? l->count - done
                                             : STACK_CAPACITY;
        page = heap_new_old(h, CLS_HIDDEN_WORDS64, FMT_64, STACK_SLOTS);
        if (!page)
            return false;
        slots(page)[STACK_COUNT] = n;
        slots(page)[STACK_ROOT] = ROOT_MOURN_QUEUE;
        slots(page)[STACK_NEXT] = next;
        memcpy(slots(page) + STACK_FIRST, list_items(l) + done, 8 * n);
        slots(h->hidden_roots)[ROOT_MOURN_QUEUE] = next = page;
        done += n;
    }
    return true;
}

/* Chunks before pinned objects hold what lay there: nobody's business. */
static void wipe_free_chunks(struct heap *h)
{
    uint64_t at = h->old_start;

    heap_forget_free_chunks(h);
    while (at < h->old_end) {
        oop o = object_at(at);
        uint64_t start = at;

        at = chunk_end(o);
        if (class_index_of(o) == CLS_FREE) {
            memset(header_ptr(start), 0, at - start);
            heap_free_chunk(h, start, at);
        }
    }
}

int heap_save(struct heap *h, const char *name, const char **why)
{
    int result = -1;

    heap_full_gc(h);
    wipe_free_chunks(h);
    if (store_mourners(h))
        result = write_image(h, name, why);
    else
        *why = "there is no memory to save the queue of mourners";
    slots(h->hidden_roots)[ROOT_MOURN_QUEUE] = h->nil;
    return result;
}
