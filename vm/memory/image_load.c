/*
 * image_load.c - reads a 64-bit Spur image file into a fresh heap.
 *
 * The file may lie about anything. Reading is done in passes, each trusting
 * only what the earlier ones have checked: header, segments, the chain of
 * objects, every pointer (relocated on the way); then image_check.c looks at
 * what the objects mean. A lie gives one line and no heap.
 */
#include "vm/memory/heap_private.h"
#include "vm/memory/image_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_SEGMENTS = 65536,
    MIN_EDEN = 1 << 18, MAX_EDEN = 1 << 26, DEFAULT_EDEN = 6 << 20,
    SPARE = 1 << 20, /* bytes of old space that a start needs at least */
    PAGE = 4096,
};
static const uint64_t max_address = 1ull << 47;

struct segment {
    uint64_t address; /* in the file's terms */
    uint64_t start;   /* where it lies now */
    uint64_t size;    /* without its bridge */
};

struct loader {
    struct heap *h;
    struct plat_image *image;
    uint64_t file_size;
    struct image_header header;
    struct segment *segments;
    unsigned num_segments;
    char why[160];
};

__attribute__((format(printf, 2, 3)))
static int refuse(struct loader *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(l->why, sizeof l->why, format, args);
    va_end(args);
    return -1;
}

/* --- header --- */

static int read_bytes(struct loader *l, void *to, uint64_t n)
{
    if (plat_image_read(l->image, to, n))
        return refuse(l, "the image cannot be read: the disk or file fails");
    return 0;
}

static int skip_bytes(struct loader *l, uint64_t n)
{
    char buffer[512];

    while (n) {
        uint64_t part = n < sizeof buffer ? n : sizeof buffer;

        if (read_bytes(l, buffer, part))
            return -1;
        n -= part;
    }
    return 0;
}

static int check_version(struct loader *l)
{
    uint32_t v = l->header.version;

    if (v == 68021 || v == 68533)
        return 0;
    if (v == 6521 || v == 7033 || v == 6505 || v == 6504 || v == 6502)
        return refuse(l, "this is a 32-bit image (format %u); only 64-bit "
                         "Spur images (68021, 68533) can be run", v);
    if (__builtin_bswap32(v) == 68021 || __builtin_bswap32(v) == 68533)
        return refuse(l, "this is a big-endian image, which cannot be run");
    if (v == 68019)
        return refuse(l, "image format 68019 is an early 64-bit Spur that "
                         "cannot be run");
    return refuse(l, "this is no image: unknown format number %u", v);
}

static int check_header(struct loader *l)
{
    const struct image_header *f = &l->header;

    if (check_version(l))
        return -1;
    if (f->header_size < IMAGE_HEADER_MIN || f->header_size > l->file_size)
        return refuse(l, "the image header's size (%u) is wrong",
                      f->header_size);
    if (f->data_size > l->file_size - f->header_size)
        return refuse(l, "the image is truncated: it should have %llu bytes "
                         "of objects, the file has %llu",
                      (unsigned long long)f->data_size,
                      (unsigned long long)(l->file_size - f->header_size));
    if ((f->data_size | f->base | f->first_segment | f->special) & 7)
        return refuse(l, "the image header holds an unaligned size or "
                         "address");
    if (f->first_segment < 32 || f->first_segment > f->data_size)
        return refuse(l, "the image header's first segment size is wrong");
    if (f->base > max_address || f->data_size > max_address)
        return refuse(l, "the image header's base or size is out of range");
    if (!(f->flags & IMAGE_FLAG_FLOATS_LITTLE))
        return refuse(l, "the image's floats are not little-endian");
    if (!f->hash_seed)
        return refuse(l, "the image header's hash seed is 0");
    return 0;
}

static int read_header(struct loader *l)
{
    if (l->file_size < IMAGE_HEADER_MIN)
        return refuse(l, "this is no image: it has only %llu bytes",
                      (unsigned long long)l->file_size);
    if (read_bytes(l, &l->header, IMAGE_HEADER_MIN) || check_header(l))
        return -1;
    return skip_bytes(l, l->header.header_size - IMAGE_HEADER_MIN);
}

/* --- memory --- */

static uint64_t eden_size(const struct loader *l, uint64_t wanted,
                          uint64_t limit)
{
    uint64_t n = wanted ? wanted : l->header.eden_bytes;

    if (!n)
        n = DEFAULT_EDEN;
    if (n > MAX_EDEN)
        n = MAX_EDEN;
    if (n > limit / 12)
        n = limit / 12;
    if (n < MIN_EDEN)
        n = MIN_EDEN;
    return (n + PAGE - 1) & -(uint64_t)PAGE;
}

/* Where old space should start: the image's own base if it can be. */
static uint64_t wanted_base(const struct loader *l, uint64_t new_size)
{
    uint64_t base = l->header.base;

    if (base % PAGE || base < new_size + (1 << 20) ||
        base >= max_address - (max_address >> 2))
        return HEAP_BASE;
    return base;
}

static bool init_lists(struct heap_private *p, uint64_t limit)
{
    uint64_t span = p->reservation.reserved;

    p->marker.stack_limit = UINT64_MAX;
    p->cycle.quantum = 4096;
    return region_init(&p->remembered.mem, limit / 8) &&
           region_init(&p->pieces.mem, limit / 8) &&
           region_init(&p->pieced, span / NOTED_BYTES + 8) &&
           region_init(&p->weak.mem, limit / 16) &&
           region_init(&p->ephemerons.mem, limit / 16) &&
           region_init(&p->mourners.mem, limit / 16) &&
           region_init(&p->marker.stack.mem, limit / 8) &&
           region_init(&p->marker.weak.mem, limit / 16) &&
           region_init(&p->marker.ephemerons.mem, limit / 16) &&
           region_init(&p->marker.undecided.mem, limit / 16) &&
           region_init(&p->tenured.mem, limit / 8) &&
           region_init(&p->pins.mem, limit / 16) &&
           region_init(&p->pin_bias.mem, limit / 16) &&
           region_init(&p->class_flags, TABLE_PAGES * PAGE_SLOTS) &&
           region_init(&p->live, span / 64 + 8) &&
           region_init(&p->rank, span / 64 + 8);
}

static int reserve(struct loader *l, uint64_t limit, uint64_t eden)
{
    struct heap *h = l->h;
    struct heap_private *p = h->private_;
    uint64_t new_size = eden + 2 * ((eden / 4 + PAGE - 1) & -(uint64_t)PAGE);
    uint64_t base = wanted_base(l, new_size), span = limit & -(uint64_t)PAGE;
    void *at = plat_reserve(base - new_size, span);

    if (!at)
        return refuse(l, "no address space for %llu MiB of memory",
                      (unsigned long long)(limit >> 20));
    p->reservation.base = at;
    p->reservation.reserved = span;
    h->new_start = (uint64_t)(uintptr_t)at;
    h->new_size = h->barrier_size = new_size;
    h->old_start = h->old_end = h->old_limit = h->new_start + new_size;
    p->old_max = h->new_start + span;
    p->gc_trigger = UINT64_MAX;
    if (!init_lists(p, limit) || !heap_lay_out(h, eden))
        return refuse(l, "not enough memory for the collector's tables");
    return 0;
}

static int make_memory(struct loader *l, uint64_t limit, uint64_t eden_bytes)
{
    struct heap *h = l->h;
    uint64_t eden, need;

    if (!limit)
        limit = plat_memory_limit();
    if (limit > max_address / 4)
        limit = max_address / 4;
    eden = eden_size(l, eden_bytes, limit);
    /* eden, survivors, as much again to tenure them into */
    need = l->header.data_size + 3 * eden + SPARE;
    if (need > limit)
        return refuse(l, "the image needs %llu MiB of memory; there are only "
                         "%llu MiB",
                      (unsigned long long)((need >> 20) + 1),
                      (unsigned long long)(limit >> 20));
    h->private_ = calloc(1, sizeof *h->private_);
    if (!h->private_)
        return refuse(l, "not enough memory to start");
    if (reserve(l, limit, eden))
        return -1;
    if (!heap_make_room(h, l->header.data_size + heap_reserve(h)))
        return refuse(l, "not enough memory for an image of %llu MiB",
                      (unsigned long long)(l->header.data_size >> 20));
    return 0;
}

/* --- segments --- */

static int add_segment(struct loader *l, uint64_t address, uint64_t size)
{
    struct segment *s;
    unsigned n = l->num_segments;

    if (n == MAX_SEGMENTS)
        return refuse(l, "the image has too many segments");
    if ((n & (n - 1)) == 0) { /* double at powers of two */
        s = realloc(l->segments, (n ? 2 * n : 1) * sizeof *s);
        if (!s)
            return refuse(l, "not enough memory for the segment table");
        l->segments = s;
    }
    s = &l->segments[l->num_segments++];
    s->address = address;
    s->start = l->h->old_end;
    s->size = size;
    return 0;
}

/* Reads the segments back to back, each one's bridge overwritten by the
 * next. */
static int read_segments(struct loader *l)
{
    struct heap *h = l->h;
    uint64_t address = l->header.base, size = l->header.first_segment;
    uint64_t left = l->header.data_size, *bridge, gap;

    for (;;) {
        if (size < IMAGE_BRIDGE || size % 8 || size > left)
            return refuse(l, "a segment's size in the image is wrong");
        if (read_bytes(l, header_ptr(h->old_end), size) ||
            add_segment(l, address, size - IMAGE_BRIDGE))
            return -1;
        left -= size;
        h->old_end += size - IMAGE_BRIDGE;
        bridge = header_ptr(h->old_end);
        if (!bridge[1])
            break;
        gap = bridge[0] >> 56 ? bridge[0] & OVERFLOW_SLOTS_MASK : 0;
        if ((bridge[0] >> 56) % 255 || gap > max_address / 8 ||
            address + size + 8 * gap > max_address)
            return refuse(l, "a bridge between the image's segments is "
                             "wrong");
        address += size + 8 * gap;
        size = bridge[1];
    }
    if (left)
        return refuse(l, "the image's segments end %llu bytes too early",
                      (unsigned long long)left);
    return 0;
}

/* --- the chain of objects --- */

static bool header_is_sane(uint64_t head)
{
    uint32_t index = head & HDR_CLASS_MASK;
    unsigned f = head >> HDR_FORMAT_SHIFT & 31;

    if (f == 6 || f == 8 || (f == FMT_FORWARDER) != (index == CLS_FORWARDER))
        return false;
    return index == CLS_FREE || index == CLS_FORWARDER ||
           (index >= CLS_HIDDEN_ARRAY && index <= CLS_HIDDEN_WORDS64) ||
           index >= CLS_LARGE_NEGATIVE;
}

static int bad_object(struct loader *l, uint64_t at, const char *what)
{
    return refuse(l, "the image is damaged: %s at offset %llu of its "
                     "objects", what,
                  (unsigned long long)(at - l->h->old_start));
}

/* Checks the headers of a segment and marks where objects start. */
static int check_chain(struct loader *l, const struct segment *s)
{
    uint64_t at = s->start, end = at + s->size, n;

    while (at < end) {
        oop o = at;

        if (end - at < MIN_CHUNK)
            return bad_object(l, at, "no whole object");
        n = header(at) >> HDR_SLOTS_SHIFT;
        if (n == HDR_OVERFLOW) {
            n = header(at) & OVERFLOW_SLOTS_MASK;
            o = at + 8;
            if (!has_overflow(o))
                return bad_object(l, at, "a broken header");
        }
        if (n > (end - at) / 8 || chunk_end(o) > end)
            return bad_object(l, at, "an object that is too large");
        if (!header_is_sane(header(o)))
            return bad_object(l, at, "a broken header");
        if (!n && format_of(o) >= FMT_64 && format_unused(format_of(o)))
            return bad_object(l, at, "a broken header");
        if (class_index_of(o) != CLS_FREE)
            set_live_bit(l->h, o);
        at = chunk_end(o);
    }
    return 0;
}

/* The five objects that old space starts with. */
static int find_first_objects(struct loader *l)
{
    struct heap *h = l->h;
    uint64_t base = h->old_start;

    h->nil = base;
    h->false_ = base + 0x10;
    h->true_ = base + 0x20;
    h->free_lists = base + 0x30;
    h->hidden_roots = base + 0x240;
    if (l->segments[0].size < 0x248 + 8 * HIDDEN_SLOTS ||
        slot_count(h->nil) || slot_count(h->false_) ||
        slot_count(h->true_) || has_overflow(h->free_lists) ||
        slot_count(h->free_lists) != FREE_LISTS ||
        format_of(h->free_lists) < FMT_64 || !live_bit(h, h->hidden_roots) ||
        slot_count(h->hidden_roots) != HIDDEN_SLOTS ||
        format_of(h->hidden_roots) != FMT_ARRAY ||
        class_index_of(h->hidden_roots) != CLS_HIDDEN_ARRAY)
        return refuse(l, "the image is damaged: it does not start with nil, "
                         "false, true, free lists and class table");
    return 0;
}

/* --- pointers --- */

static const struct segment *segment_of(const struct loader *l, oop o)
{
    unsigned low = 0, high = l->num_segments;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (l->segments[middle].address <= o)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &l->segments[low - 1] : NULL;
}

/* Where the file's pointer points now; 0 if at no object. */
static oop relocate(const struct loader *l, oop o)
{
    const struct segment *s = l->segments;

    if (l->num_segments > 1)
        s = segment_of(l, o);
    if (!s || o - s->address >= s->size)
        return 0;
    o = o - s->address + s->start;
    return live_bit(l->h, o) ? o : 0;
}

/* A file's oop made ours, forwarders followed; 0 if it is none. */
static oop resolve(const struct loader *l, oop o)
{
    unsigned hops;

    for (hops = 0; hops < 64; hops++) {
        switch (o & TAG_MASK) {
        case TAG_POINTER:
            o = relocate(l, o);
            if (!o || class_index_of(o) != CLS_FORWARDER)
                return o;
            o = slot(o, 0);
            break;
        case TAG_CHARACTER:
            return o >> 3 < 1u << 30 ? o : 0;
        case TAG_INTEGER:
        case TAG_FLOAT:
            return o;
        default:
            return 0;
        }
    }
    return 0;
}

static int resolve_slots(struct loader *l, oop o, uint64_t n)
{
    uint64_t i;

    for (i = 0; i < n; i++) {
        oop v = resolve(l, slot(o, i));

        if (!v)
            return bad_object(l, (uint64_t)&slots(o)[i],
                              "a pointer to no object");
        slots(o)[i] = v;
    }
    return 0;
}

static int check_code(struct loader *l, oop o)
{
    uint64_t n = slot_count(o), first;
    const uint8_t *b;

    if (!n || !is_int(slot(o, 0)) || code_num_literals(o) + 1ull > n)
        return bad_object(l, o, "a compiled method with a wrong header");
    first = code_first_pc(o);
    b = bytes(o) + first;
    if (first > byte_count(o) ||
        (code_has_primitive(o) &&
         (first + 3 > byte_count(o) ||
          b[0] != (code_is_sista(o) ? 248 : 139))))
        return bad_object(l, o, "a compiled method with a wrong header");
    if (code_num_temps(o) < code_num_args(o))
        return bad_object(l, o, "a compiled method with too few temps");
    return 0;
}

/* Stale slots above a context's stack pointer are not trusted at all. */
static int resolve_context(struct loader *l, oop o)
{
    uint64_t n = slot_count(o), live = context_traced(o, n), i;

    for (i = live; i < n; i++)
        slots(o)[i] = l->h->nil;
    return resolve_slots(l, o, live);
}

static int resolve_object(struct loader *l, oop o)
{
    unsigned f = format_of(o);

    if (f == FMT_FIXED_AND_INDEXED && class_index_of(o) == CLS_CONTEXT)
        return resolve_context(l, o);
    if (f <= FMT_EPHEMERON)
        return resolve_slots(l, o, slot_count(o));
    if (f < FMT_CODE)
        return 0;
    return check_code(l, o) ? -1
                            : resolve_slots(l, o, code_num_literals(o) + 1u);
}

static int resolve_all(struct loader *l)
{
    struct heap *h = l->h;
    uint64_t at = h->old_start;

    while (at < h->old_end) {
        oop o = object_at(at);

        at = chunk_end(o);
        if (class_index_of(o) != CLS_FREE && resolve_object(l, o))
            return -1;
    }
    h->special = resolve(l, l->header.special);
    if (!h->special || is_immediate(h->special))
        return refuse(l, "the image header's special objects are no object");
    return 0;
}

/* --- what the file brought beside the objects --- */

/* An object stack: raw words, some of them oops. */
static int read_mourners(struct loader *l)
{
    struct heap *h = l->h;
    oop page = slot(h->hidden_roots, ROOT_MOURN_QUEUE);
    unsigned pages;
    uint64_t i, n;

    for (pages = 0; page && page != h->nil; pages++) {
        if (pages > 1000 || is_immediate(page) || format_of(page) != FMT_64 ||
            slot_count(page) <= STACK_FIRST)
            return refuse(l, "the image's queue of mourners is damaged");
        n = slot(page, STACK_COUNT);
        if (n > slot_count(page) - STACK_FIRST)
            return refuse(l, "the image's queue of mourners is damaged");
        for (i = 0; i < n; i++) {
            oop o = resolve(l, slot(page, STACK_FIRST + i));

            if (!o || is_immediate(o) || !heap_queue_mourner(h, o))
                return refuse(l, "the image's queue of mourners is damaged");
        }
        page = slot(page, STACK_NEXT);
        page = page ? resolve(l, page) : 0;
    }
    return 0;
}

/* Flags of the collector that saved the image go; so do the forwarders,
 * which nothing refers to any more. */
static void clean_objects(struct heap *h)
{
    const uint64_t dropped = HDR_MARKED | HDR_GREY | HDR_REMEMBERED |
                             1ull << 22 | 1ull << 54;
    uint64_t at = h->old_start, i;

    while (at < h->old_end) {
        oop o = object_at(at);
        uint64_t start = at;

        at = chunk_end(o);
        if (class_index_of(o) == CLS_FREE ||
            class_index_of(o) == CLS_FORWARDER) {
            heap_free_chunk(h, start, at);
            continue;
        }
        *header_ptr(o) &= ~dropped;
        if (!slot_count(o))
            slots(o)[0] = 0;
    }
    /* other collectors' stacks and sets: ours live outside the heap */
    for (i = TABLE_PAGES; i < HIDDEN_SLOTS; i++)
        slots(h->hidden_roots)[i] = h->nil;
    for (i = 0; i < FREE_LISTS; i++)
        slots(h->free_lists)[i] = 0;
}

static void take_header(struct loader *l)
{
    struct heap *h = l->h;
    const struct image_header *f = &l->header;

    h->hash_seed = f->hash_seed | 1;
    h->image_format = f->version;
    h->image_flags = f->flags;
    h->image_screen_size = f->screen_size;
    h->want_eden = f->eden_bytes;
    h->want_extra = f->extra_bytes;
    h->want_stack_pages = f->stack_pages;
    h->want_code_kb = f->code_kb;
    h->want_ext_sems = f->ext_sems;
    h->image_version = f->image_version;
}

static int load(struct loader *l, uint64_t limit, uint64_t eden_bytes)
{
    struct heap *h = l->h;
    const char *why;
    unsigned i;

    if (read_header(l) || make_memory(l, limit, eden_bytes) ||
        read_segments(l))
        return -1;
    for (i = 0; i < l->num_segments; i++)
        if (check_chain(l, &l->segments[i]))
            return -1;
    take_header(l);
    if (find_first_objects(l) || resolve_all(l) || read_mourners(l))
        return -1;
    clean_objects(h);
    if (image_check(h, &why))
        return refuse(l, "the image is damaged: %s", why);
    heap_clear_live(h, h->new_start, h->old_end);
    heap_set_trigger(h);
    heap_settle(h);
    return 0;
}

int heap_load(struct heap *h, const char *name, uint64_t memory_limit,
              uint64_t eden_bytes, const char **why)
{
    static char message[sizeof(((struct loader *)0)->why)];
    struct loader l = { .h = h };
    int result;

    memset(h, 0, sizeof *h);
    l.image = plat_image_open(name, &l.file_size, why);
    if (!l.image)
        return -1;
    result = load(&l, memory_limit, eden_bytes);
    plat_image_close(l.image, false);
    free(l.segments);
    if (!result)
        return 0;
    heap_destroy(h);
    memcpy(message, l.why, sizeof message);
    *why = message;
    return -1;
}
