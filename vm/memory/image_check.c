/*
 * image_check.c - do the objects of a fresh image mean what the machine will
 * take for granted? Class table, special objects, contexts, processes.
 *
 * Runs once after image_load.c has checked headers and pointers, so every
 * oop can be followed here. What the machine checks anyway when it meets an
 * object (receivers, primitive arguments) is not checked here.
 */
#include "vm/memory/heap_private.h"

enum { MAX_SUPERCLASSES = 10000, MAX_PROCESSES = 1000000 };

static int say(const char **why, const char *what)
{
    *why = what;
    return -1;
}

/* --- class table --- */

static int check_pages(struct heap *h, const char **why)
{
    uint32_t i;

    for (i = 0; i < TABLE_PAGES; i++) {
        oop page = slot(h->hidden_roots, i);

        if (page == h->nil && i >= 2)
            break;
        if (is_immediate(page) || class_index_of(page) != CLS_HIDDEN_ARRAY ||
            format_of(page) != FMT_ARRAY || slot_count(page) != PAGE_SLOTS)
            return say(why, "a page of the class table is wrong");
    }
    for (; i < TABLE_PAGES; i++)
        if (slot(h->hidden_roots, i) != h->nil)
            return say(why, "the class table has a hole");
    heap_cache_class_table(h);
    if (!region_ensure(&h->private_->class_flags,
                       h->class_pages * (uint64_t)PAGE_SLOTS))
        return say(why, "there is no memory for its classes");
    return 0;
}

static int check_class(struct heap *h, oop class, const char **why)
{
    unsigned depth;
    oop c = class;

    for (depth = 0; c != h->nil; depth++) {
        if (!looks_like_class(c))
            return say(why, "something in the class table is no class");
        if (depth == MAX_SUPERCLASSES)
            return say(why, "a chain of superclasses does not end");
        c = slot(c, CLASS_SUPERCLASS);
    }
    return 0;
}

static int check_fixed_classes(struct heap *h, const char **why)
{
    static const struct {
        uint32_t index;
        enum special_object special;
    } fixed[] = {
        { CLS_ARRAY, SPL_CLASS_ARRAY },
        { CLS_LARGE_NEGATIVE, SPL_CLASS_LARGE_NEGATIVE },
        { CLS_LARGE_POSITIVE, SPL_CLASS_LARGE_POSITIVE },
        { CLS_BOXED_FLOAT, SPL_CLASS_FLOAT },
        { CLS_CONTEXT, SPL_CLASS_CONTEXT },
        { CLS_SMALL_INTEGER, SPL_CLASS_SMALL_INTEGER },
        { CLS_CHARACTER, SPL_CLASS_CHARACTER },
        { CLS_BYTE_STRING, SPL_CLASS_BYTE_STRING },
    };
    unsigned i;

    for (i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        oop class = heap_class_at(h, fixed[i].index);

        if (class == h->nil || class != heap_special(h, fixed[i].special))
            return say(why, "a class that the machine knows by number is "
                            "another one");
    }
    /* images older than SmallFloat64 know one class of floats */
    if (heap_class_at(h, CLS_SMALL_FLOAT) == h->nil)
        h->class_table[0][CLS_SMALL_FLOAT] =
            heap_class_at(h, CLS_BOXED_FLOAT);
    return 0;
}

static int check_class_table(struct heap *h, const char **why)
{
    uint32_t i, end = h->class_pages * PAGE_SLOTS;

    for (i = 0; i < end; i++)
        if (check_class(h, heap_class_at(h, i), why))
            return -1;
    return check_fixed_classes(h, why);
}

/* --- special objects --- */

static int check_special(struct heap *h, const char **why)
{
    oop s = h->special;

    if (format_of(s) != FMT_ARRAY || slot_count(s) < SPL_PRIMITIVE_ERRORS + 1)
        return say(why, "its special objects array is wrong");
    if (slot(s, SPL_NIL) != h->nil || slot(s, SPL_FALSE) != h->false_ ||
        slot(s, SPL_TRUE) != h->true_)
        return say(why, "nil, false or true is another object");
    return 0;
}

/* The machine reads 60 special objects; older arrays are shorter. */
static int extend_special(struct heap *h, const char **why)
{
    uint64_t i, n = slot_count(h->special);
    oop s;

    if (n >= SPL_SIZE)
        return 0;
    s = heap_new_old(h, CLS_ARRAY, FMT_ARRAY, SPL_SIZE);
    if (!s)
        return say(why, "there is no memory for its special objects");
    for (i = 0; i < n; i++)
        slots(s)[i] = slot(h->special, i);
    h->special = s;
    return 0;
}

/* --- objects of known layout --- */

static bool is_pointers(oop o, uint64_t least)
{
    return is_pointer(o) && format_of(o) <= FMT_ARRAY + 1 &&
           slot_count(o) >= least;
}

static const char *check_context(const struct heap *h, oop o)
{
    uint64_t n = slot_count(o);
    oop pc, method, sp;

    if (n <= CTX_TEMPS)
        return "a context is too small";
    pc = slot(o, CTX_PC);
    sp = slot(o, CTX_STACKP);
    method = slot(o, CTX_METHOD);
    if (is_int(slot(o, CTX_SENDER)))
        return "a context is bound to a stack frame";
    if (is_int(sp) && (uint64_t)int_value(sp) > n - CTX_TEMPS)
        return "a context's stack pointer is wrong";
    if (pc == h->nil)
        return NULL;
    if (!is_code(method) || !is_int(sp) ||
        n < (code_large_frame(method) ? CTX_LARGE_SLOTS : CTX_SMALL_SLOTS))
        return "a context has no method or too few slots";
    if (!is_int(pc) || int_value(pc) <= code_first_pc(method) ||
        int_value(pc) > (int64_t)byte_count(method) + 1)
        return "a context's program counter lies outside its method";
    return NULL;
}

static const char *check_object(const struct heap *h, oop o)
{
    uint32_t index = class_index_of(o);
    uint64_t n = slot_count(o);
    unsigned f = format_of(o);

    if (index >= h->class_pages * PAGE_SLOTS ||
        (index >= CLS_LARGE_NEGATIVE && heap_class_at(h, index) == h->nil))
        return "an object has no class";
    if (index > CLS_ARRAY)
        return NULL;
    switch (index) {
    case CLS_CONTEXT:
        return f == FMT_FIXED_AND_INDEXED ? check_context(h, o)
                                          : "a context is none";
    case CLS_ARRAY:
        return f == FMT_ARRAY ? NULL : "an array is none";
    case CLS_LARGE_NEGATIVE:
    case CLS_LARGE_POSITIVE:
        return format_is_bytes(f) ? NULL : "a large integer is none";
    case CLS_BOXED_FLOAT:
        return n == 1 && f >= FMT_64 && f <= FMT_32 ? NULL
                                                    : "a float is none";
    case CLS_BLOCK_CLOSURE:
    case CLS_FULL_BLOCK_CLOSURE:
        return is_pointers(o, CLOSURE_COPIED +
                                  (index == CLS_FULL_BLOCK_CLOSURE))
                   ? NULL : "a block closure is too small";
    }
    return NULL;
}

static int check_objects(struct heap *h, const char **why)
{
    uint64_t at = h->old_start;

    while (at < h->old_end) {
        oop o = object_at(at);

        at = chunk_end(o);
        if (class_index_of(o) == CLS_FREE)
            continue;
        *why = check_object(h, o);
        if (*why)
            return -1;
    }
    return 0;
}

/* --- processes --- */

static bool is_context(const struct heap *h, oop o)
{
    return is_pointer(o) && class_index_of(o) == CLS_CONTEXT;
}

/* A queue is a chain of Processes from first to last. */
static const char *check_queue(const struct heap *h, oop list)
{
    oop p = slot(list, LIST_FIRST);
    unsigned n;

    for (n = 0; p != h->nil; n++) {
        if (!is_pointers(p, PROC_LIST + 1) || slot(p, PROC_LIST) != list ||
            n == MAX_PROCESSES)
            return "a queue of processes is wrong";
        if (slot(p, PROC_NEXT) == h->nil && slot(list, LIST_LAST) != p)
            return "a queue of processes is wrong";
        p = slot(p, PROC_NEXT);
    }
    return NULL;
}

static const char *check_scheduler(const struct heap *h)
{
    oop scheduler, lists, active, context;
    uint64_t i, n;

    scheduler = heap_special(h, SPL_SCHEDULER_ASSOCIATION);
    if (!is_pointers(scheduler, 2))
        return "it has no scheduler";
    scheduler = slot(scheduler, ASSOC_VALUE);
    if (!is_pointers(scheduler, 2))
        return "it has no scheduler";
    lists = slot(scheduler, SCHED_LISTS);
    active = slot(scheduler, SCHED_ACTIVE);
    if (!is_pointers(lists, 1) || !is_pointers(active, PROC_LIST + 1))
        return "its scheduler is wrong";
    n = slot_count(lists);
    for (i = 0; i < n; i++) {
        const char *wrong = is_pointers(slot(lists, i), 2)
                                ? check_queue(h, slot(lists, i))
                                : "its scheduler is wrong";

        if (wrong)
            return wrong;
    }
    if (!is_int(slot(active, PROC_PRIORITY)) ||
        int_value(slot(active, PROC_PRIORITY)) < 1 ||
        int_value(slot(active, PROC_PRIORITY)) > (int64_t)n)
        return "its active process has no valid priority";
    context = slot(active, PROC_CONTEXT);
    if (!is_context(h, context) || slot(context, CTX_PC) == h->nil)
        return "its active process cannot be resumed";
    return NULL;
}

int image_check(struct heap *h, const char **why)
{
    if (check_pages(h, why) || check_special(h, why) ||
        check_class_table(h, why) || check_objects(h, why))
        return -1;
    *why = check_scheduler(h);
    return *why ? -1 : extend_special(h, why);
}
