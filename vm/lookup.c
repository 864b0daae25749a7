/*
 * lookup.c - from a selector and a class to a method; what happens when
 * there is none, or when the method's primitive fails.
 *
 * Owns the global method cache. A cache entry's primitive is resolved once,
 * named primitives included, so that sends never look at primitive numbers.
 */
#include "vm/frame.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <string.h>

/* --- the cache --- */

static bool entry_is_for(const struct cache_entry *e, oop selector,
                         uint64_t class_index)
{
    return e->selector == selector && e->class_index == class_index;
}

/* The entry there is, or NULL. */
static struct cache_entry *cached(struct vm *vm, oop selector,
                                  uint64_t class_index)
{
    struct cache_entry *e =
        &vm->method_cache[cache_hash(selector, class_index)];

    if (entry_is_for(e, selector, class_index))
        return e;
    e = &vm->method_cache[cache_second(selector, class_index)];
    return entry_is_for(e, selector, class_index) ? e : NULL;
}

/* The one of its two places where an entry is not. */
static struct cache_entry *other_place(struct vm *vm,
                                       const struct cache_entry *e)
{
    struct cache_entry *first =
        &vm->method_cache[cache_hash(e->selector, e->class_index)];

    return first != e
               ? first
               : &vm->method_cache[cache_second(e->selector,
                                                e->class_index)];
}

/* Where a new entry goes: to its first place, which is found faster, if that
 * is free or what is there can go elsewhere; else to a free place; else to
 * either of its two by chance, so that no three chase each other for ever.
 * What was there moves to the other one of its own two. */
static struct cache_entry *cache_slot(struct vm *vm, oop selector,
                                      uint64_t class_index)
{
    struct cache_entry *e =
        &vm->method_cache[cache_hash(selector, class_index)];
    struct cache_entry *second =
        &vm->method_cache[cache_second(selector, class_index)];

    if (e->selector && other_place(vm, e)->selector &&
        (!second->selector ||
         vm->stats.cache_misses * 0x9E3779B97F4A7C15ull >> 63))
        e = second;
    if (e->selector)
        *other_place(vm, e) = *e;
    return e;
}

static void flush_at_cache(struct vm *vm)
{
    memset(vm->at_cache, 0, sizeof vm->at_cache);
}

/* --- what is in it ---
 *
 * Whole packages of methods are replaced at a time, and most of them and their
 * selectors are not in the cache: a bit by address tells. The bits of what has
 * left it are cleared whenever it is looked through.
 */
static uint64_t *key_word(struct vm *vm, oop key)
{
    return &vm->cache_keys[(key >> 9 ^ key >> 21) % (CACHE_KEYS / 64)];
}

static uint64_t key_bit(oop key) { return 1ull << (key >> 3 & 63); }

static bool may_have(struct vm *vm, oop key)
{
    return *key_word(vm, key) & key_bit(key);
}

static void add_keys(struct vm *vm, const struct cache_entry *e)
{
    *key_word(vm, e->selector) |= key_bit(e->selector);
    *key_word(vm, e->method) |= key_bit(e->method);
}

/* Entries of that selector or method go. */
static void drop_key(struct vm *vm, oop key)
{
    int i;

    if (!may_have(vm, key))
        return;
    memset(vm->cache_keys, 0, sizeof vm->cache_keys);
    for (i = 0; i < METHOD_CACHE_SIZE; i++) {
        struct cache_entry *e = &vm->method_cache[i];

        if (e->selector == key || e->method == key)
            e->selector = 0;
        else if (e->selector)
            add_keys(vm, e);
    }
}

void vm_flush_caches(struct vm *vm)
{
    memset(vm->method_cache, 0, sizeof vm->method_cache);
    memset(vm->cache_keys, 0, sizeof vm->cache_keys);
    flush_at_cache(vm);
    jit_unlink(vm);
}

void vm_flush_selector(struct vm *vm, oop selector)
{
    drop_key(vm, selector);
    flush_at_cache(vm);
    jit_unlink_selector(vm, selector);
}

void vm_flush_method(struct vm *vm, oop method)
{
    drop_key(vm, method);
    flush_at_cache(vm);
    jit_forget(vm, method);
}

/* Entries that a scavenge would make stale. */
void lookup_flush_young(struct vm *vm)
{
    struct heap *h = &vm->heap;
    int i;

    for (i = 0; i < METHOD_CACHE_SIZE; i++) {
        struct cache_entry *e = &vm->method_cache[i];

        if (e->selector && (heap_is_young(h, e->selector) ||
                            heap_is_young(h, e->method)))
            e->selector = 0;
    }
}

void lookup_flush_dead(struct vm *vm)
{
    struct heap *h = &vm->heap;
    int i;

    for (i = 0; i < METHOD_CACHE_SIZE; i++) {
        struct cache_entry *e = &vm->method_cache[i];

        if (e->selector && !(heap_is_alive(h, e->selector) &&
                             heap_is_alive(h, e->method)))
            e->selector = 0;
    }
}

/* --- primitives of methods --- */

/* Literal 0 of a method with primitive 117: module, function, ... */
static cached_primitive named_primitive(oop method)
{
    oop spec, module, name;

    if (code_num_literals(method) < 1)
        return NULL;
    spec = heap_follow(code_literal(method, 0));
    if (!is_pointer(spec) || format_of(spec) != FMT_ARRAY ||
        slot_count(spec) < 2)
        return NULL;
    module = heap_follow(slot(spec, 0));
    name = heap_follow(slot(spec, 1));
    if (!is_bytes(name))
        return NULL;
    if (!is_bytes(module))
        return prim_named("", 0, (char *)bytes(name), byte_count(name));
    return prim_named((char *)bytes(module), byte_count(module),
                      (char *)bytes(name), byte_count(name));
}

static int prim_missing_module(struct vm *vm, int argc)
{
    return PRIM_ERR_NOT_FOUND;
}

static int prim_missing(struct vm *vm, int argc)
{
    return PRIM_ERR_UNSUPPORTED;
}

cached_primitive vm_primitive_of(oop method)
{
    unsigned n = code_primitive(method);
    cached_primitive p;

    if (n == 0)
        return NULL;
    if (n >= 256 && n < 520)
        return code_num_args(method) == 0 ? (cached_primitive)(uintptr_t)n
                                          : NULL;
    p = n == 117 ? named_primitive(method) : prim_numbered(n);
    if (p)
        return p;
    return n == 117 ? prim_missing_module : prim_missing;
}

/* --- lookup --- */

static oop dictionary_at(oop dict, oop selector)
{
    uint64_t n = slot_count(dict) - MDICT_SELECTORS, i, left;
    oop methods = heap_follow(slot(dict, MDICT_METHODS)), s;

    i = is_pointer(selector) ? raw_hash(selector)
                             : (uint64_t)int_value(selector);
    for (left = n; left > 0; left--, i++) {
        i &= n - 1;
        s = slot(dict, MDICT_SELECTORS + i);
        if (is_forwarder(s))
            s = heap_follow(s);
        if (s == selector)
            return heap_follow(slot(methods, i));
    }
    return 0;
}

static bool is_method_dictionary(oop dict)
{
    uint64_t n;

    if (!is_pointer(dict) || !format_is_pointers(format_of(dict)))
        return false;
    n = slot_count(dict);
    return n > MDICT_SELECTORS &&
           ((n - MDICT_SELECTORS) & (n - MDICT_SELECTORS - 1)) == 0;
}

/* Walks up from `class`. 0: not found; *no_dict is then the class whose
 * dictionary is missing, or nil. */
static oop find_in_chain(struct vm *vm, oop selector, oop class, oop *no_dict)
{
    oop nil = vm->heap.nil, dict, m;
    int depth;

    *no_dict = nil;
    if (selector == nil) /* perform: nil; it marks what is empty */
        return 0;
    for (depth = 0; class != nil && depth < 10000; depth++) {
        dict = heap_follow(slot(class, CLASS_METHOD_DICT));
        if (!is_method_dictionary(dict)) {
            *no_dict = class;
            return 0;
        }
        m = dictionary_at(dict, selector);
        if (m)
            return m;
        class = heap_follow(slot(class, CLASS_SUPERCLASS));
    }
    return 0;
}

oop vm_look_up(struct vm *vm, oop selector, oop class)
{
    oop no_dict;

    return find_in_chain(vm, selector, class, &no_dict);
}

static struct cache_entry *cache_fill(struct vm *vm, oop selector,
                                      uint64_t index, oop method)
{
    struct cache_entry *e = &vm->uncached;

    if (index)
        e = cache_slot(vm, selector, index);
    e->selector = selector;
    e->class_index = index;
    e->method = method;
    e->primitive = vm_primitive_of(method);
    if (!e->primitive && jit_wants(vm, method))
        e->primitive = JIT_METHOD;
    e->code = NULL;
    e->pc = frame_first_bytecode(method);
    e->num_temps = (int)code_num_temps(method);
    e->is_sista = code_is_sista(method);
    if (index)
        add_keys(vm, e);
    return e;
}

/* May be a value that is no method: then method is it, primitive NULL. `index`
 * is one of the class's (it may have several), 0 if it has none. */
static struct cache_entry *lookup_any(struct vm *vm, oop selector, oop class,
                                      uint64_t index, oop *no_dict)
{
    struct cache_entry *e = index ? cached(vm, selector, index) : NULL;
    oop m;

    *no_dict = vm->heap.nil;
    if (e)
        return e;
    vm->stats.cache_misses++;
    m = find_in_chain(vm, selector, class, no_dict);
    if (!m)
        return NULL;
    if (is_code(m))
        return cache_fill(vm, selector, index, m);
    vm->uncached = (struct cache_entry){ .selector = selector, .method = m };
    return &vm->uncached;
}

/* The index under which sends to the receiver at sp[argc] are cached. */
static uint64_t index_for(struct vm *vm, oop class, int argc)
{
    if (class == vm->heap.nil)
        return 0;
    if (heap_class_of(&vm->heap, vm->sp[argc]) == class)
        return heap_class_index(vm->sp[argc]);
    return heap_class_hash(&vm->heap, class);
}

struct cache_entry *vm_lookup(struct vm *vm, oop selector, oop class)
{
    oop no_dict;

    class = heap_follow(class);
    return lookup_any(vm, selector, class, heap_class_hash(&vm->heap, class),
                      &no_dict);
}

struct cache_entry *vm_lookup_for(struct vm *vm, oop selector, oop receiver)
{
    oop no_dict;

    return lookup_any(vm, selector, heap_class_of(&vm->heap, receiver),
                      heap_class_index(receiver), &no_dict);
}

/* --- what is not understood --- */

/* Receiver and arguments on the stack become receiver and Message. The
 * collector may run: `roots` is kept in scratch. */
static void reify_message(struct vm *vm, oop *selector, oop *class, int argc)
{
    struct heap *h = &vm->heap;
    oop args, message;
    int i;

    while (!(args = heap_new(h, CLS_ARRAY, FMT_ARRAY, (uint64_t)argc)) ||
           !(message = heap_new(h, CLS_MESSAGE, FMT_FIXED, 3))) {
        vm->scratch[0] = *selector;
        vm->scratch[1] = *class;
        if (!vm_collect(vm))
            plat_panic("no memory for a message that is not understood");
        *selector = vm->scratch[0];
        *class = vm->scratch[1];
        vm->scratch[0] = vm->scratch[1] = 0;
    }
    for (i = 0; i < argc; i++)
        heap_store(h, args, (uint64_t)i, vm->sp[argc - 1 - i]);
    heap_store(h, message, MESSAGE_SELECTOR, *selector);
    heap_store(h, message, MESSAGE_ARGS, args);
    heap_store(h, message, MESSAGE_LOOKUP_CLASS, *class);
    vm->sp += argc;
    *--vm->sp = message;
}

static struct cache_entry *not_understood(struct vm *vm, oop selector,
                                          oop class, int *argc)
{
    struct heap *h = &vm->heap;
    oop dnu = heap_special(h, SPL_SEL_DOES_NOT_UNDERSTAND);

    if (selector == dnu)
        plat_panic("doesNotUnderstand: is not understood");
    reify_message(vm, &selector, &class, *argc);
    *argc = 1;
    if (class == h->nil)
        class = heap_class_of(h, vm->sp[1]);
    return vm_find_method(vm, heap_special(h, SPL_SEL_DOES_NOT_UNDERSTAND),
                          class, argc);
}

/* A dictionary held something that is no method: it runs the message, if it
 * can. */
static struct cache_entry *run_object(struct vm *vm, oop selector, oop object,
                                      int *argc)
{
    struct heap *h = &vm->heap;
    oop args, no_dict, class;
    struct cache_entry *e;
    int i;

    while (!(args = heap_new(h, CLS_ARRAY, FMT_ARRAY, (uint64_t)*argc))) {
        vm->scratch[0] = selector;
        vm->scratch[1] = object;
        if (!vm_collect(vm))
            plat_panic("no memory for the arguments of run:with:in:");
        selector = vm->scratch[0];
        object = vm->scratch[1];
    }
    for (i = 0; i < *argc; i++)
        heap_store(h, args, (uint64_t)i, vm->sp[*argc - 1 - i]);
    vm->sp += *argc;
    {
        oop receiver = *vm->sp;

        *vm->sp = object;
        *--vm->sp = selector;
        *--vm->sp = args;
        *--vm->sp = receiver;
    }
    *argc = 3;
    class = heap_class_of(h, object);
    e = lookup_any(vm, heap_special(h, SPL_SEL_RUN_WITH_IN), class,
                   heap_class_index(object), &no_dict);
    if (!e || !is_code(e->method))
        return not_understood(vm, heap_special(h, SPL_SEL_RUN_WITH_IN), class,
                              argc);
    return e;
}

struct cache_entry *vm_find_method(struct vm *vm, oop selector, oop class,
                                   int *argc)
{
    struct heap *h = &vm->heap;
    oop no_dict;
    struct cache_entry *e;

    if (is_forwarder(vm->sp[*argc])) {
        vm->sp[*argc] = heap_follow(vm->sp[*argc]);
        class = heap_class_of(h, vm->sp[*argc]);
    }
    selector = heap_follow(selector);
    class = heap_follow(class);
    e = lookup_any(vm, selector, class, index_for(vm, class, *argc),
                   &no_dict);
    if (e)
        return is_code(e->method) ? e
                                  : run_object(vm, selector, e->method, argc);
    if (no_dict != h->nil) {
        vm->scratch[2] = no_dict;
        reify_message(vm, &selector, &class, *argc);
        *argc = 1;
        class = heap_follow(slot(vm->scratch[2], CLASS_SUPERCLASS));
        vm->scratch[2] = 0;
        return vm_find_method(vm, heap_special(h, SPL_SEL_CANNOT_INTERPRET),
                              class, argc);
    }
    return not_understood(vm, selector, class, argc);
}

/* --- running primitives the slow way --- */

/* Follows forwarders in what a primitive may look at: operands, their slots,
 * and one level more. Answers whether anything changed. */
static bool follow_slots(struct vm *vm, oop o, int depth)
{
    uint64_t i, n;
    bool changed = false;

    if (depth == 0 || !is_pointer(o) || vm_is_context(vm, o) ||
        !format_is_pointers(format_of(o)))
        return false;
    n = slot_count(o);
    for (i = 0; i < n && i < 256; i++) {
        oop v = slot(o, i);

        if (is_forwarder(v)) {
            v = heap_follow(v);
            heap_store(&vm->heap, o, i, v);
            changed = true;
        }
        changed |= follow_slots(vm, v, depth - 1);
    }
    return changed;
}

static bool follow_operands(struct vm *vm, int argc)
{
    bool changed = false;
    int i;

    if (!vm->forwarders)
        return false;
    for (i = 0; i <= argc; i++) {
        if (is_forwarder(vm->sp[i])) {
            vm->sp[i] = heap_follow(vm->sp[i]);
            changed = true;
        }
        changed |= follow_slots(vm, vm->sp[i], 2);
    }
    return changed;
}

/* After failure `r`: the same again once its reason may be gone. */
static int retry_primitive(struct vm *vm, cached_primitive p, int argc, int r)
{
    if (r > 0 && follow_operands(vm, argc))
        r = p(vm, argc);
    if (r == PRIM_ERR_NO_MEMORY) {
        vm_scavenge(vm);
        r = p(vm, argc);
    }
    if (r == PRIM_ERR_NO_MEMORY) {
        vm_full_gc(vm);
        r = p(vm, argc);
    }
    return r;
}

/* What a method sees of the failure: an element of the image's table. */
static oop error_object(struct vm *vm)
{
    struct heap *h = &vm->heap;
    oop table = heap_special(h, SPL_PRIMITIVE_ERRORS), e;

    if (!is_pointer(table) || format_of(table) != FMT_ARRAY ||
        vm->prim_error < 1 ||
        (uint64_t)vm->prim_error > slot_count(table))
        return int_oop(vm->prim_error);
    e = heap_follow(slot(table, (uint64_t)vm->prim_error - 1));
    if (vm->prim_error == PRIM_ERR_OS_ERROR && is_pointer(e) &&
        format_of(e) == FMT_FIXED && slot_count(e) >= 2) {
        oop clone = heap_clone(h, e), code = heap_int64(h, vm->os_error);

        if (clone && code) {
            heap_store(h, clone, 1, code);
            return clone;
        }
    }
    return e;
}

/* Activates the body of a method whose primitive failed. Its first bytecode
 * may ask for the error: "store into temp", which is then done here. */
static void activate_failed(struct vm *vm, oop method, int argc)
{
    frame_push_method(vm, method, argc);
    if (code_is_sista(method) ? vm->pc[0] == 245
                              : vm->pc[0] == 129 && vm->pc[1] >> 6 == 1) {
        unsigned temp = code_is_sista(method) ? vm->pc[1] : vm->pc[1] & 63;

        if (temp < frame_num_temps(vm->fp))
            *frame_value(vm->fp, temp) = error_object(vm);
        vm->pc += 2;
    }
}

static void quick_method(struct vm *vm, unsigned n)
{
    struct heap *h = &vm->heap;
    oop constants[8] = { *vm->sp, h->true_, h->false_, h->nil, int_oop(-1),
                         int_oop(0), int_oop(1), int_oop(2) };
    oop answer =
        n < 264 ? constants[n - 256] : vm_slot(vm, *vm->sp, n - 264);

    *vm->sp = answer; /* where sp is now: see frame_sender */
}

void vm_finish_primitive(struct vm *vm, cached_primitive p, int argc, int r)
{
    bool may_switch = true;

    for (;;) {
        if (r > 0)
            r = retry_primitive(vm, p, argc, r);
        if (r == PRIM_EXECUTE) {
            argc = vm->argc;
            p = vm->next_primitive;
            if ((uintptr_t)p < QUICK_MAX) {
                if (p && p != JIT_METHOD) {
                    quick_method(vm, (unsigned)(uintptr_t)p);
                } else {
                    frame_push_method(vm, vm->method, argc);
                    jit_take_over(vm);
                }
                break;
            }
            r = p(vm, argc);
            continue;
        }
        if (r == PRIM_NO_SWITCH)
            may_switch = false;
        if (r > 0) {
            vm->prim_error = r > PRIM_TRY_FAILED ? PRIM_TRY_FAILED - r : r;
            may_switch = code_primitive(vm->method) != 198;
            activate_failed(vm, vm->method, argc);
            jit_take_over(vm);
        }
        break;
    }
    if (r != PRIM_OK && vm->sp < vm->stack_limit)
        vm_safepoint(vm, may_switch);
    vm->method = 0;
}

void vm_send(struct vm *vm, oop selector, int argc)
{
    oop class = heap_class_of(&vm->heap, vm->sp[argc]);
    struct cache_entry *e = vm_find_method(vm, selector, class, &argc);

    vm->method = e->method;
    vm->next_primitive = e->primitive;
    vm->argc = argc;
    vm_finish_primitive(vm, NULL, argc, PRIM_EXECUTE);
}
