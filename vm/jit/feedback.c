/*
 * feedback.c - reading what sends and arithmetic have met (feedback.h).
 */
#include "vm/jit/feedback.h"

/* --- sends --- */

static const struct point *send_point(const struct jit_code *c, uint32_t next)
{
    unsigned i;

    for (i = 0; i < c->num_points; i++) {
        const struct point *p = &c->points[i];

        if (p->bytecode == next && p->kind >= POINT_SEND &&
            p->kind <= POINT_SPECIAL)
            return p;
    }
    return NULL;
}

static void add_case(struct vm *vm, struct send_feedback *f, uint32_t tag,
                     const uint8_t *target)
{
    const struct jit_code *code = zone_at(vm, target);

    if (!code || code->kind != CODE_METHOD || code->forgotten)
        return;
    f->seen = SEEN_CASES;
    f->cases[f->num_cases++] =
        (struct send_case){ .class_index = tag, .method = code->method };
}

static void add_pic(struct vm *vm, struct send_feedback *f,
                    const struct jit_code *pic)
{
    const uint8_t *target;
    unsigned i;
    uint32_t tag;

    for (i = 0; i < pic->cases; i++) {
        target = send_pic_case(pic, i, &tag);
        add_case(vm, f, tag, target);
    }
}

void feedback_of_send(struct vm *vm, oop method, uint32_t start, uint32_t at,
                      struct send_feedback *f)
{
    const struct jit_code *c = zone_find(vm, method, start), *to;
    const struct point *p;
    const uint8_t *site, *target;

    f->seen = SEEN_NOTHING;
    f->num_cases = 0;
    p = c ? send_point(c, jit_decode(method, at).next) : NULL;
    if (!p)
        return;
    site = c->base + p->native;
    target = send_site_target(site);
    to = zone_at(vm, target);
    if (!to) { /* a stub's call: unlinked, or of super_above */
        f->seen = target == vm->jit->stubs.miss ? SEEN_NOTHING : SEEN_MANY;
        return;
    }
    if (to->kind == CODE_PIC)
        add_pic(vm, f, to);
    else if (to->kind == CODE_METHOD)
        add_case(vm, f, send_site_tag(site), target);
    else
        f->seen = SEEN_MANY;
}

bool feedback_exists(struct vm *vm, oop method, uint32_t start)
{
    const struct jit_code *c = zone_find(vm, method, start);

    return c && c->kind == CODE_METHOD;
}

/* --- arithmetic --- */

uint8_t *feedback_byte(struct jit *j, const uint8_t *base, uint32_t at)
{
    uint32_t n = (uint32_t)(base - j->exec) / 16 * 7 + at;

    return &j->arithmetic_seen[n & (ARITHMETIC_SEEN - 1)];
}

unsigned feedback_of_arithmetic(struct vm *vm, oop method, uint32_t start,
                                uint32_t at)
{
    const struct jit_code *c = zone_find(vm, method, start);

    if (!c || c->kind != CODE_METHOD)
        return 0;
    return *feedback_byte(vm->jit, c->base, at);
}

/* --- failures --- */

/* Of the places that share a byte it says which one failed last, not 0. */
static uint8_t *failure_byte(struct vm *vm, uint32_t place)
{
    return &vm->jit->failed[place & (FAILED_PLACES - 1)];
}

static uint8_t failure_tag(uint32_t place)
{
    return (uint8_t)(place / FAILED_PLACES % UINT8_MAX + 1);
}

bool feedback_failed(struct vm *vm, oop method, uint32_t at)
{
    uint32_t place = code_place(method, at);

    return *failure_byte(vm, place) == failure_tag(place);
}

void feedback_fail(struct vm *vm, oop method, uint32_t at)
{
    uint32_t place = code_place(method, at);

    *failure_byte(vm, place) = failure_tag(place);
}
