/*
 * tiny_heap.h - a heap of the tiny image and some roots of it, for tests of
 * the object memory.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tiny_image.h"
#include "vm/memory/heap_private.h"

enum { ROOTS = 16 };
static oop roots[ROOTS]; /* 0: none */
static struct heap heap, *const h = &heap;

static void visit_roots(void *owner, heap_visitor visit, enum roots why)
{
    int i;

    assert_ptr_equal(owner, h);
    for (i = 0; i < ROOTS; i++)
        if (roots[i])
            roots[i] = visit(h, roots[i]);
}

/* 0 or -1, for cmocka. */
static int make_heap(uint64_t eden_bytes, const struct heap_owner *owner)
{
    memset(roots, 0, sizeof roots);
    if (tiny_load(h, 32 << 20, eden_bytes))
        return -1;
    heap_set_owner(h, owner);
    return 0;
}

static int tear_down(void **state)
{
    int bad = heap_check(h);

    heap_destroy(h);
    return bad;
}

/* Fills in an object of two fields. */
static inline oop with_fields(oop o, oop a, oop b)
{
    heap_store(h, o, 0, a);
    heap_store(h, o, 1, b);
    return o;
}

static inline int64_t tag_of(oop o) { return int_value(slot(o, 0)); }
