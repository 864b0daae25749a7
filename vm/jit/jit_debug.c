/*
 * jit_debug.c - the compiler's eyes: counters for --stats, and the listing of
 * a method's bytecodes and machine code for --jit-list. (The second tier's
 * code is listed with the graph that it was made of: ir_emit.c.)
 *
 * The listing has the machine code in hexadecimal, split where C or another
 * frame can look at it, with the bytecode that is next there. For people:
 * put the bytes into a file and give it to
 * objdump -D -b binary -m i386:x86-64 -M intel.
 */
#include "vm/jit/jit_private.h"
#include "vm/platform.h"

#include <stdio.h>
#include <string.h>

static unsigned long long ull(uint64_t n) { return n; }

static void count_sends(const struct jit *j, uint64_t count[2])
{
    unsigned i, k;

    for (i = 0; i < j->num_codes; i++)
        for (k = 0; k < j->codes[i]->num_points; k++) {
            const struct point *p = &j->codes[i]->points[k];

            if (p->kind >= POINT_SEND && p->kind <= POINT_SPECIAL)
                count[p->hash ? 1 : 0]++;
        }
}

void jit_print_stats(struct vm *vm)
{
    const struct jit *j = vm->jit;
    uint64_t sends[2] = { 0 }; /* not linked, linked */
    char line[600];

    if (!j)
        return;
    count_sends(j, sends);
    snprintf(line, sizeof line,
             "machine code: %llu methods, %llu refused, %llu bytes, "
             "%llu us; flushes %llu, forgotten %llu\n"
             "frames taken over %llu, in loops %llu\n"
             "sends linked %llu, not %llu; misses %llu, links %llu, "
             "polymorphic %llu, megamorphic %llu, unlinked %llu\n",
             ull(j->stats.compiled), ull(j->stats.refused),
             ull(j->stats.code_bytes), ull(j->stats.compile_usecs),
             ull(j->stats.flushes), ull(j->stats.forgotten),
             ull(j->stats.taken_over), ull(j->stats.loops), ull(sends[1]),
             ull(sends[0]), ull(j->stats.misses), ull(j->stats.links),
             ull(j->stats.pics), ull(j->stats.megamorphic),
             ull(j->stats.unlinks));
    plat_write(2, line, strlen(line));
    if (!j->second_tier)
        return;
    snprintf(line, sizeof line,
             "second tier: %llu pieces, %llu refused, %llu us, sends inlined "
             "%llu; loops entered %llu\n"
             "frames deoptimised %llu, guards failed %llu, pieces forgotten "
             "%llu\n",
             ull(j->stats.optimised), ull(j->stats.not_optimised),
             ull(j->stats.optimise_usecs), ull(j->stats.inlined),
             ull(j->stats.loops_entered), ull(j->stats.deoptimised),
             ull(j->stats.guards_failed), ull(j->stats.optimised_forgotten));
    plat_write(2, line, strlen(line));
}

/* --- listing --- */

static void put(const char *s) { plat_write(2, s, strlen(s)); }

static void put_bytes(const uint8_t *b, uint32_t n)
{
    static const char digits[] = "0123456789abcdef";
    char hex[3] = " 00";

    for (; n > 0; n--, b++) {
        hex[1] = digits[*b >> 4];
        hex[2] = digits[*b & 15];
        plat_write(2, hex, sizeof hex);
    }
    put("\n");
}

/* The selector is the last literal but one, or slot 1 of that. */
static bool is_named(oop method, const char *name)
{
    unsigned n = code_num_literals(method);
    oop o = n < 2 ? TAG_INTEGER : heap_follow(code_literal(method, n - 2));

    if (is_pointer(o) && format_is_pointers(format_of(o)) &&
        slot_count(o) > 1)
        o = heap_follow(slot(o, 1));
    return is_bytes(o) && byte_count(o) == strlen(name) &&
           !memcmp(bytes(o), name, byte_count(o));
}

bool jit_lists(struct vm *vm, oop method)
{
    const char *name = vm->options.jit_list;

    return name && is_named(method, name);
}

void jit_list_bytes(const char *title, const uint8_t *from, uint32_t n)
{
    put(title);
    put_bytes(from, n);
}

static void list_bytecodes(oop method, uint32_t limit)
{
    char line[40];
    uint32_t at = code_first_pc(method), next;

    for (; at < limit; at = next) {
        next = jit_decode(method, at).next;
        if (next <= at || next > limit)
            return;
        snprintf(line, sizeof line, "bytecode %u:", at);
        put(line);
        put_bytes(bytes(method) + at, next - at);
    }
}

void jit_list(struct vm *vm, const struct jit_code *c, uint32_t limit)
{
    uint32_t at = 0;
    unsigned i;
    char line[60];

    if (!jit_lists(vm, c->method))
        return;
    snprintf(line, sizeof line, ": %u bytes of machine code\n", c->bytes);
    put(vm->options.jit_list);
    put(line);
    list_bytecodes(c->method, limit);
    for (i = 0; i < c->num_points; i++) {
        put("code:");
        put_bytes(c->base + at, c->points[i].native - at);
        snprintf(line, sizeof line, "here bytecode %u is next\n",
                 c->points[i].bytecode);
        put(line);
        at = c->points[i].native;
    }
    put("code and literals:");
    put_bytes(c->base + at, c->bytes - at);
}
