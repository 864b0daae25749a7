/*
 * Random object graphs against a model. The model knows for every object its
 * kind, its fields and its identity hash; after each collection the heap's
 * graph, walked from the roots, must be the model's, object for object.
 *
 * Seeds are fixed, so a failure repeats; the seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

enum { NODES = 3000, ROOTS = 24, MAX_FIELDS = 320 };
enum kind { FREE, FIXED, ARRAY, WEAK, BYTES, MIXED };

/* A field: -1 nil, >= 0 the node, else an integer. Field 0 is the tag. */
enum { NIL = -1 };

struct node {
    enum kind kind;
    int tag;
    unsigned n;      /* fields beyond the tag, or bytes */
    int field[MAX_FIELDS];
    uint32_t hash;
    bool pinned, seen;
    oop at;          /* where it is, until the next collection */
};

static struct node nodes[NODES];
static int root_node[ROOTS];
static oop root_oop[ROOTS];
static struct heap heap, *const h = &heap;
static uint64_t random_state;
static int next_tag;
static bool with_cycles;
static unsigned cycles;

static unsigned pick(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 20) % n;
}

static void visit_roots(void *owner, heap_visitor visit, enum roots why)
{
    int i;

    for (i = 0; i < ROOTS; i++)
        root_oop[i] = visit(h, root_oop[i]);
}

/* --- the model's reachability: weak fields do not count --- */

static int stack[NODES];

static void reach_from_roots(void)
{
    int depth = 0, i, k;

    for (i = 0; i < NODES; i++)
        nodes[i].seen = false;
    for (i = 0; i < ROOTS; i++) {
        k = root_node[i];
        if (k != NIL && !nodes[k].seen) {
            nodes[k].seen = true;
            stack[depth++] = k;
        }
    }
    while (depth) {
        struct node *n = &nodes[stack[--depth]];
        unsigned f;

        if (n->kind == BYTES || n->kind == WEAK)
            continue;
        for (f = 0; f < n->n; f++) {
            k = n->field[f];
            if (k == NIL || nodes[k].seen)
                continue;
            nodes[k].seen = true;
            stack[depth++] = k;
        }
    }
}

/* --- comparing --- */

static uint8_t byte_of(const struct node *n, unsigned i)
{
    return (uint8_t)(n->tag * 7 + i);
}

static void check_bytes(const struct node *n)
{
    unsigned i;

    assert_int_equal(byte_count(n->at), n->n);
    for (i = 0; i < n->n; i++)
        assert_int_equal(bytes(n->at)[i], byte_of(n, i));
}

/* Node k is seen at o: the first time note it, later it must be the same. */
static bool meet(int k, oop o, bool *first)
{
    o = heap_follow(o);
    if (k == NIL)
        return o == h->nil;
    *first = !nodes[k].at;
    if (*first)
        nodes[k].at = o;
    return nodes[k].at == o && o != h->nil;
}

/* A weak field whose node is unreached may be nil or not yet: make it nil. */
static void check_weak_field(struct node *n, unsigned f, bool full)
{
    oop v = heap_follow(slot(n->at, f + 1));

    if (n->field[f] == NIL || nodes[n->field[f]].seen)
        return;
    if (full)
        assert_true(v == h->nil);
    heap_store(h, n->at, f + 1, h->nil);
    n->field[f] = NIL;
}

static void check_node(struct node *n, bool full, int *depth)
{
    static const uint32_t class_of[] = {
        0, TINY_OBJECT, CLS_ARRAY, TINY_WEAK, TINY_BYTES_CLASS, TINY_MIXED
    };
    unsigned f;
    bool first;

    assert_int_equal(class_index_of(n->at), class_of[n->kind]);
    if (n->hash)
        assert_int_equal(raw_hash(n->at), n->hash);
    if (n->kind == BYTES) {
        check_bytes(n);
        return;
    }
    assert_int_equal(slot_count(n->at), n->n + 1);
    assert_true(slot(n->at, 0) == int_oop(n->tag));
    for (f = 0; f < n->n; f++) {
        int k;

        if (n->kind == WEAK)
            check_weak_field(n, f, full);
        k = n->field[f];
        first = false;
        assert_true(meet(k, slot(n->at, f + 1), &first));
        if (first)
            stack[(*depth)++] = k;
    }
}

static void compare(bool full)
{
    int depth = 0, i;
    bool first;

    assert_int_equal(heap_check(h), 0);
    reach_from_roots();
    for (i = 0; i < NODES; i++)
        nodes[i].at = 0;
    for (i = 0; i < ROOTS; i++) {
        first = false;
        assert_true(meet(root_node[i], root_oop[i], &first));
        if (first)
            stack[depth++] = root_node[i];
    }
    while (depth)
        check_node(&nodes[stack[--depth]], full, &depth);
    for (i = 0; i < NODES; i++) {
        if (!nodes[i].seen)
            nodes[i].kind = FREE;
        assert_int_equal(nodes[i].kind != FREE, nodes[i].at != 0);
    }
}

/* --- changing both --- */

static int random_node(void) /* reached by a random walk, or NIL */
{
    int k = root_node[pick(ROOTS)], steps = (int)pick(12);

    while (k != NIL && steps--) {
        struct node *n = &nodes[k];
        int next = n->kind != BYTES && n->n ? n->field[pick(n->n)] : NIL;

        if (next == NIL)
            break;
        k = next;
    }
    return k;
}

static oop oop_of(int k)
{
    return k == NIL ? h->nil : heap_follow(nodes[k].at);
}

static oop make(struct node *n)
{
    unsigned i;
    oop o;
    int error;

    switch (n->kind) {
    case FIXED:
        n->n = 1;
        o = heap_new(h, TINY_OBJECT, FMT_FIXED, 2);
        break;
    case ARRAY:
        n->n = pick(40) ? pick(10) : pick(MAX_FIELDS);
        o = heap_new(h, CLS_ARRAY, FMT_ARRAY, n->n + 1);
        break;
    case WEAK:
        n->n = pick(5);
        o = heap_instantiate(h, heap_class_at(h, TINY_WEAK), n->n, &error);
        break;
    case MIXED:
        n->n = 1 + pick(5);
        o = heap_new(h, TINY_MIXED, FMT_FIXED_AND_INDEXED, n->n + 1);
        break;
    default:
        n->n = pick(60);
        o = heap_instantiate(h, heap_class_at(h, TINY_BYTES_CLASS), n->n,
                             &error);
        for (i = 0; o && i < n->n; i++)
            bytes(o)[i] = byte_of(n, i);
        return o;
    }
    if (o)
        slots(o)[0] = int_oop(n->tag);
    for (i = 0; i < n->n; i++)
        n->field[i] = NIL;
    return o;
}

static void new_node(void)
{
    int k, tries = 0, root = (int)pick(ROOTS);
    struct node *n;

    do
        k = (int)pick(NODES);
    while (nodes[k].kind != FREE && ++tries < 50);
    n = &nodes[k];
    if (n->kind != FREE)
        return;
    n->kind = FIXED + pick(5);
    n->tag = ++next_tag;
    n->hash = 0;
    n->pinned = false;
    n->at = make(n);
    assert_true(n->at != 0);
    root_node[root] = k;
    root_oop[root] = n->at;
}

static void set_field(void)
{
    int k = random_node(), to = pick(8) ? random_node() : NIL;
    struct node *n;
    unsigned f;

    if (k == NIL || nodes[k].kind == BYTES || !nodes[k].n)
        return;
    n = &nodes[k];
    f = pick(n->n);
    n->field[f] = to;
    heap_store(h, oop_of(k), f + 1, oop_of(to));
}

static void set_root(void)
{
    int root = (int)pick(ROOTS);

    root_node[root] = pick(4) ? random_node() : NIL;
    root_oop[root] = oop_of(root_node[root]);
}

static void ask_hash(void)
{
    int k = random_node();

    if (k != NIL)
        nodes[k].hash = heap_identity_hash(h, oop_of(k));
}

static void toggle_pin(void)
{
    int k = random_node();
    oop moved;

    if (k == NIL)
        return;
    nodes[k].pinned = !nodes[k].pinned;
    assert_int_equal(heap_pin(h, oop_of(k), nodes[k].pinned, &moved), 0);
    assert_true(oop_of(k) == moved);
}

static void swap_nodes(int a, int b)
{
    struct node t = nodes[a];
    uint32_t hash_a = nodes[a].hash, hash_b = nodes[b].hash;
    oop at_a = nodes[a].at, at_b = nodes[b].at;

    nodes[a] = nodes[b];
    nodes[b] = t;
    nodes[a].hash = hash_a;
    nodes[b].hash = hash_b;
    nodes[a].at = at_a;
    nodes[b].at = at_b;
}

static void replace_node(int from, int to)
{
    unsigned f;
    int i;

    for (i = 0; i < NODES; i++)
        if (nodes[i].kind != FREE && nodes[i].kind != BYTES)
            for (f = 0; f < nodes[i].n; f++)
                if (nodes[i].field[f] == from)
                    nodes[i].field[f] = to;
    for (i = 0; i < ROOTS; i++)
        if (root_node[i] == from)
            root_node[i] = to;
    nodes[from].kind = FREE;
}

static void become(void)
{
    int a = random_node(), b = random_node();
    bool two_way = pick(2);
    oop from, to;

    if (a == NIL || b == NIL || a == b || nodes[a].pinned || nodes[b].pinned)
        return;
    from = heap_new(h, CLS_ARRAY, FMT_ARRAY, 1);
    to = heap_new(h, CLS_ARRAY, FMT_ARRAY, 1);
    heap_store(h, from, 0, oop_of(a));
    heap_store(h, to, 0, oop_of(b));
    assert_int_equal(heap_become(h, from, to, two_way, false), 0);
    if (two_way)
        swap_nodes(a, b);
    else
        replace_node(a, b);
}

/* Steps of a cycle in between, as small as can be. */
static void cycle_step(void)
{
    uint64_t scavenges = h->stats.scavenges;

    if (!heap_cycle_runs(h)) {
        heap_cycle_start(h);
        cycles++;
    }
    h->private_->cycle.quantum = 1 + pick(pick(10) ? 30 : 3000);
    heap_cycle_step(h, 0);
    if (h->full_gc_wanted) { /* it gave up */
        heap_full_gc(h);
        compare(true);
    }
    if (scavenges != h->stats.scavenges || pick(20) == 0)
        compare(false);
}

static void step(void)
{
    unsigned what = pick(1000);

    if (with_cycles && pick(3) == 0)
        cycle_step();

    if (what < 420)
        new_node();
    else if (what < 900)
        set_field();
    else if (what < 940)
        set_root();
    else if (what < 960)
        ask_hash();
    else if (what < 970)
        toggle_pin();
    else if (what < 985)
        become();
    else if (what < 997 || !h->scavenge_wanted) {
        if (what < 996)
            return;
        heap_scavenge(h);
        compare(false);
    } else {
        heap_full_gc(h);
        compare(true);
    }
    if (h->scavenge_wanted) {
        heap_scavenge(h);
        compare(false);
    }
    if (pick(1500) == 0) {
        heap_full_gc(h);
        compare(true);
    }
}

static void start(uint64_t seed)
{
    static const struct heap_owner owner = { .visit_roots = visit_roots };
    int i;

    random_state = seed * 0x9e3779b97f4a7c15ull + 1;
    memset(nodes, 0, sizeof nodes);
    assert_int_equal(tiny_load(h, 24 << 20, 1 << 18), 0);
    heap_set_owner(h, &owner);
    for (i = 0; i < ROOTS; i++) {
        root_node[i] = NIL;
        root_oop[i] = h->nil;
    }
}

static void run(uint64_t seed, int steps)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    start(seed);
    while (steps--)
        step();
    heap_full_gc(h);
    compare(true);
    heap_destroy(h);
}

static void graphs_survive_collections(void **state)
{
    uint64_t seed;

    for (seed = 1; seed <= 6; seed++)
        run(seed, 25000);
}

static void graphs_survive_cycles(void **state)
{
    uint64_t seed;

    with_cycles = true;
    cycles = 0;
    for (seed = 11; seed <= 16; seed++)
        run(seed, 12000);
    with_cycles = false;
    print_message("%u cycles\n", cycles);
    assert_true(cycles > 20);
}

static void graphs_survive_with_a_tiny_mark_stack(void **state)
{
    int steps;

    start(99);
    h->private_->marker.stack_limit = 2;
    for (steps = 0; steps < 10000; steps++)
        step();
    heap_full_gc(h);
    compare(true);
    heap_destroy(h);
}

static void graphs_survive_without_a_remembered_set(void **state)
{
    int steps;

    start(77);
    h->private_->remembered.mem.reserved = 0; /* it can never grow */
    for (steps = 0; steps < 20000; steps++)
        step();
    heap_full_gc(h);
    compare(true);
    heap_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_survive_collections),
        cmocka_unit_test(graphs_survive_cycles),
        cmocka_unit_test(graphs_survive_with_a_tiny_mark_stack),
        cmocka_unit_test(graphs_survive_without_a_remembered_set),
    };

    return cmocka_run_group_tests_name("object graphs", tests, NULL, NULL);
}
