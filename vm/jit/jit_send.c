/*
 * jit_send.c - inline caches.
 *
 * A send is `mov ecx, tag; call target` with the receiver in rdx. It begins
 * as a call of the miss stub; the first class it meets makes it a call of
 * the found method's checked entry, with that class's index as the tag. A
 * second class makes it a call of a PIC, which compares up to PIC_CASES
 * indices in turn; more make it a call of the selector's megamorphic stub,
 * which looks in the method cache. A super send needs no check: it calls the
 * unchecked entry. What a send has met can be read from its target
 * (feedback.c). Which sends are linked to what is jit_links.c's business.
 */
#include "vm/interp_slow.h"
#include "vm/jit/jit_private.h"
#include "vm/jit/tier2.h"
#include "vm/primitives/prim.h"

#include <stdlib.h>

enum { TAG_BACK = 9, TARGET_BACK = 4, PIC_CASE_BYTES = 11, PIC_HEAD = 16 };

/* --- send sites; `site` is the return address --- */

uint8_t *send_site_target(const uint8_t *site)
{
    int32_t by;

    memcpy(&by, site - TARGET_BACK, 4);
    return (uint8_t *)(uintptr_t)(site + by);
}

uint32_t send_site_tag(const uint8_t *site)
{
    uint32_t tag;

    memcpy(&tag, site - TAG_BACK, 4);
    return tag;
}

static void set_site(struct jit *j, const uint8_t *site, const uint8_t *target,
                     uint32_t tag)
{
    int32_t by = (int32_t)(target - site);

    memcpy(writable(j, site) - TARGET_BACK, &by, 4);
    memcpy(writable(j, site) - TAG_BACK, &tag, 4);
}

static uint32_t selector_hash(oop selector)
{
    return (is_pointer(selector) ? raw_hash(selector)
                                 : (uint32_t)(selector >> 3)) | 1u << 31;
}

/* --- unlinking --- */

void send_unlink(struct jit *j, const struct jit_code *c,
                 const struct point *p)
{
    set_site(j, c->base + p->native, j->stubs.miss, 0);
}

static bool is_array_primitive(struct vm *vm, enum special special,
                               prim_fn *p)
{
    oop table = heap_special(&vm->heap, SPL_SPECIAL_SELECTORS);
    const struct cache_entry *e =
        vm_lookup(vm, heap_follow(slot(table, 2u * special)),
                  heap_class_at(&vm->heap, CLS_ARRAY));

    return e && is_code(e->method) && e->primitive == p;
}

bool jit_array_access_is_primitive(struct vm *vm)
{
    oop class = heap_class_at(&vm->heap, CLS_ARRAY);

    if (!is_pointer(class) || class == vm->heap.nil ||
        !is_array_primitive(vm, ELEMENT, prim_at) ||
        !is_array_primitive(vm, PUT_ELEMENT, prim_at_put))
        return false;
    vm->jit->array_access_inlined = true;
    return true;
}

bool send_check_arrays(struct vm *vm)
{
    struct jit *j = vm->jit;

    if (!j->array_access_inlined || jit_array_access_is_primitive(vm))
        return true;
    j->array_access_inlined = false;
    jit_flush(vm);
    return false;
}

void jit_unlink(struct vm *vm)
{
    if (!vm->jit || !vm->jit->num_codes)
        return;
    tier2_forget_all(vm);
    if (send_check_arrays(vm))
        links_drop_all(vm);
}

void jit_unlink_selector(struct vm *vm, oop selector)
{
    if (!vm->jit || !vm->jit->num_codes)
        return;
    tier2_forget_selector(vm, selector);
    if (send_check_arrays(vm))
        links_drop_selector(vm, selector_hash(selector));
}

/* --- polymorphic and megamorphic stubs --- */

static struct jit_code *new_stub(struct vm *vm, enum code_kind kind,
                                 oop method, struct assembler *a,
                                 uint32_t room)
{
    struct jit *j = vm->jit;
    uint8_t *base = zone_take(vm, room);
    struct jit_code *c = base ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return NULL;
    c->kind = kind;
    c->method = method;
    c->copied = -1;
    c->base = c->checked = c->entry = base;
    c->bytes = room;
    if (!zone_add(vm, c)) {
        free(c);
        return NULL;
    }
    zone_end(vm, base + room);
    asm_init(a, writable(j, base), base, room);
    return c;
}

static void pic_add(struct vm *vm, struct jit_code *pic, uint32_t tag,
                    const uint8_t *entry)
{
    struct jit *j = vm->jit;
    struct assembler a;
    uint32_t at = PIC_HEAD + pic->cases * PIC_CASE_BYTES;

    asm_init(&a, writable(j, pic->base), pic->base, pic->bytes);
    a.used = at;
    asm_byte(&a, 0x3d); /* cmp eax, imm32 */
    asm_byte(&a, tag & 255);
    asm_byte(&a, tag >> 8 & 255);
    asm_byte(&a, tag >> 16 & 255);
    asm_byte(&a, tag >> 24);
    asm_jcc_to(&a, IF_EQUAL, entry);
    asm_jmp_to(&a, j->stubs.miss);
    pic->cases++;
}

const uint8_t *send_pic_case(const struct jit_code *pic, unsigned i,
                             uint32_t *tag)
{
    const uint8_t *at = pic->base + PIC_HEAD + i * PIC_CASE_BYTES;

    memcpy(tag, at + 1, 4);
    return send_site_target(at + PIC_CASE_BYTES); /* of jcc's rel32 */
}

static struct jit_code *new_pic(struct vm *vm)
{
    struct assembler a;
    struct jit_code *c =
        new_stub(vm, CODE_PIC, 0, &a,
                 PIC_HEAD + PIC_CASES * PIC_CASE_BYTES + 5);

    if (!c)
        return NULL;
    emit_class_index(&a, RAX, RDX);
    asm_align_nops(&a, PIC_HEAD);
    vm->jit->stats.pics++;
    return c;
}

static struct jit_code *find_megamorphic(struct vm *vm, oop selector)
{
    struct jit *j = vm->jit;
    unsigned i;

    for (i = 0; i < j->num_codes; i++)
        if (j->codes[i]->kind == CODE_MEGAMORPHIC &&
            j->codes[i]->method == selector)
            return j->codes[i];
    return NULL;
}

static struct mem entry_field(size_t offset)
{
    return AT(R9, offsetof(struct vm, method_cache) + offset);
}

/* Runs the method of the cache entry whose number is in r9, if it is one for
 * the selector in r8 and the class index in eax. */
static void probe(struct vm *vm, struct assembler *a)
{
    struct label no = LABEL_INIT;

    asm_alu_imm32(a, AND, R9, METHOD_CACHE_SIZE - 1);
    asm_imul_imm(a, R9, R9, sizeof(struct cache_entry));
    asm_alu(a, ADD, R9, RBX);
    asm_alu_load(a, CMP, R8,
                 entry_field(offsetof(struct cache_entry, selector)));
    asm_jcc(a, IF_NOT_EQUAL, &no);
    asm_alu_load(a, CMP, RAX,
                 entry_field(offsetof(struct cache_entry, class_index)));
    asm_jcc(a, IF_NOT_EQUAL, &no);
    asm_load(a, R9, entry_field(offsetof(struct cache_entry, code)));
    asm_test(a, R9, R9);
    asm_jcc_to(a, IF_EQUAL, vm->jit->stubs.miss);
    asm_jmp_reg(a, R9);
    asm_bind(a, &no);
}

/* Looks in the method cache for the receiver's class: cache_hash and
 * cache_second of interp.h. */
static struct jit_code *new_megamorphic(struct vm *vm, oop selector)
{
    struct assembler a;
    struct label pool = LABEL_INIT;
    struct jit_code *c =
        new_stub(vm, CODE_MEGAMORPHIC, selector, &a, 208);

    if (!c)
        return NULL;
    emit_class_index(&a, RAX, RDX);
    asm_load_label(&a, R8, &pool);
    asm_mov(&a, R9, R8);
    asm_shift(&a, SHR, R9, 3);
    asm_mov32(&a, RCX, RAX);
    asm_shift32(&a, SHL, RCX, 4);
    asm_alu32(&a, XOR, R9, RCX);
    probe(vm, &a);
    asm_mov(&a, R9, R8);
    asm_shift(&a, SHR, R9, 6);
    asm_imul_imm(&a, RCX, RAX, 29);
    asm_alu(&a, ADD, R9, RCX);
    probe(vm, &a);
    asm_jmp_to(&a, vm->jit->stubs.miss);
    asm_align(&a, 8);
    asm_bind(&a, &pool);
    c->pool = (oop *)(void *)(a.out + a.used);
    c->pool_count = 1;
    c->young = heap_is_young(&vm->heap, selector);
    asm_word(&a, selector);
    assert(!a.full);
    vm->jit->stats.megamorphic++;
    return c;
}

/* --- linking --- */

static struct jit_code *widen(struct vm *vm, uint8_t *site,
                              const struct jit_code *first, oop selector)
{
    struct jit_code *c;

    if (first->kind == CODE_PIC) {
        c = find_megamorphic(vm, selector);
        return c ? c : new_megamorphic(vm, selector);
    }
    c = new_pic(vm);
    if (c)
        pic_add(vm, c, send_site_tag(site), first->entry);
    return c;
}

/* The send at `site` met class index `tag`, whose method has `code`. */
static void link_send(struct vm *vm, uint8_t *site, struct jit_code *caller,
                      struct point *p, oop selector, uint32_t tag,
                      struct jit_code *code)
{
    struct jit *j = vm->jit;
    struct jit_code *now = zone_at(vm, send_site_target(site));
    uint32_t hash = selector_hash(selector);

    if (!links_add(j, caller, p, hash))
        return;
    links_note_callee(code, hash);
    if (p->kind == POINT_SUPER) {
        set_site(j, site, code->entry, 0);
    } else if (!now) {
        set_site(j, site, code->checked, tag);
    } else {
        if (now->kind == CODE_MEGAMORPHIC ||
            (now->kind == CODE_METHOD && send_site_tag(site) == tag))
            return;
        if (now->kind != CODE_PIC || now->cases == PIC_CASES) {
            now = widen(vm, site, now, selector);
            if (!now)
                return;
            set_site(j, site, now->base, 0);
        }
        if (now->kind == CODE_PIC)
            pic_add(vm, now, tag, code->entry);
    }
    j->stats.links++;
}

/* --- the miss --- */

/* Machine code for a method that is about to be called, or NULL: interpret.
 * May flush. */
static struct jit_code *jit_code_for(struct vm *vm, oop method)
{
    struct jit_code *c = zone_find(vm, method, 0);

    if (!c && frames_count(vm, method))
        c = jit_compile(vm, method, 0, 0);
    return c && c->kind == CODE_METHOD ? c : NULL;
}

static void interpret_method(struct vm *vm, const struct cache_entry *e,
                             int argc)
{
    vm->method = e->method;
    vm->next_primitive = e->primitive;
    vm->argc = argc;
    vm_finish_primitive(vm, NULL, argc, PRIM_EXECUTE);
}

static oop point_selector(struct vm *vm, const struct point *p,
                          const struct jit_code *caller)
{
    oop special;

    if (caller->optimised)
        return caller->pool[p->selector];
    if (p->kind != POINT_SPECIAL)
        return heap_follow(code_literal(caller->method, p->selector));
    special = heap_special(&vm->heap, SPL_SPECIAL_SELECTORS);
    return heap_follow(slot(special, 2u * p->selector));
}

/* Where the lookup of a send begins. */
static oop point_class(struct vm *vm, const struct point *p,
                       const struct jit_code *caller, oop receiver)
{
    if (p->kind != POINT_SUPER)
        return heap_class_of(&vm->heap, receiver);
    if (caller->optimised)
        return heap_follow(slot(caller->pool[p->bytecode],
                                CLASS_SUPERCLASS));
    return slow_super_class(vm, caller->method);
}

/* A send whose cache did not fit: its native return address is vm->pc.
 * Answers the entry to run, with the receiver vm->argc deep; or NULL: what
 * comes next is in the registers. */
uint8_t *jit_miss(struct vm *vm)
{
    struct jit *j = vm->jit;
    uint64_t epoch = j->epoch;
    uint8_t *site = vm->pc;
    struct jit_code *caller = zone_at(vm, site), *code;
    struct point *p = (struct point *)(uintptr_t)point_at(caller, site);
    int argc = p->argc;
    oop selector = point_selector(vm, p, caller), class;
    uint32_t tag;
    struct cache_entry *found, e;

    j->stats.misses++;
    class = point_class(vm, p, caller, vm->sp[argc]);
    found = vm_find_method(vm, selector, class, &argc);
    e = *found;
    code = jit_code_for(vm, e.method);
    if (!code || j->epoch != epoch) {
        interpret_method(vm, &e, argc);
        return NULL;
    }
    tag = heap_class_index(vm->sp[argc]);
    if (found->selector == e.selector && found->method == e.method &&
        found->class_index == e.class_index) /* compiling looks things up */
        found->code = code->entry;
    if (e.class_index && e.selector == selector && argc == p->argc &&
        (tag == e.class_index || p->kind == POINT_SUPER))
        link_send(vm, site, caller, p, selector, tag, code);
    vm->argc = argc;
    return code->entry;
}

/* A super send in a block: its class was on the stack. */
uint8_t *jit_super_above(struct vm *vm, oop class)
{
    struct jit *j = vm->jit;
    uint64_t epoch = j->epoch;
    const struct jit_code *caller = zone_at(vm, vm->pc);
    const struct point *p = point_at(caller, vm->pc);
    oop selector = heap_follow(code_literal(caller->method, p->selector));
    int argc = p->argc;
    struct cache_entry e;
    struct jit_code *code;

    class = heap_follow(class);
    class = is_pointer(class) && class != vm->heap.nil
                ? heap_follow(slot(class, CLASS_SUPERCLASS))
                : vm->heap.nil;
    e = *vm_find_method(vm, selector, class, &argc);
    code = jit_code_for(vm, e.method);
    if (code && j->epoch == epoch) {
        vm->argc = argc;
        return code->entry;
    }
    interpret_method(vm, &e, argc);
    return NULL;
}
