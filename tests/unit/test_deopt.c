/*
 * test_deopt.c - frames of optimised code, their tables made by hand: what
 * becomes of them when guards fail, when their page goes, when somebody asks
 * for a sender; and that the collector finds what is in them.
 *
 * The frame stands for two activations. `outer` has an argument, a temp that
 * is an unboxed float and an operand that is a word; it waits for `inner`,
 * whose temp is an array that was never made. What the two would answer says
 * whether all was put where it belongs: {42. {array. context}. 1.5. arg}.
 */
#include "vm/jit/deopt.h"
#include "vm/jit/feedback.h"
#include "vm/jit/tier2.h"

#include "vm/process.h"

#include "tests/unit/tiny_code.h"

enum { RAW = 2, OOPS = 2, GUARD_AT = 16, SEND_AT = 32 };

static oop outer, inner, seen; /* seen: in an oop slot, found by its hash */
static struct jit_code *optimised;
static void (*happens)(void);  /* while the frame is the top one */
static int told;

#define WHERE(k, a) { .kind = WHERE_##k, .at = (a) }

static const struct where wheres[] = {
    /* outer: temps, operand */
    WHERE(TEMP, 0), WHERE(DOUBLE, 0), WHERE(WORD, 1),
    /* inner: its temp */
    WHERE(OBJECT, 0),
    /* the object's fields */
    WHERE(SLOT, 2), WHERE(FRAME_CONTEXT, 0),
};

static void *copy(const void *from, size_t bytes)
{
    return memcpy(malloc(bytes), from, bytes);
}

static struct optimised *tables(void)
{
    struct optimised *o = calloc(1, sizeof *o);
    uint32_t after_send = code_first_pc(outer) + 1;
    const struct deopt_frame frames[] = {
        { .method = 0, .bytecode = after_send, .receiver = WHERE(RECEIVER, 0),
          .closure = WHERE(NOTHING, 0), .num_values = 3, .values = 0 },
        { .method = 1, .bytecode = code_first_pc(inner),
          .receiver = WHERE(HEAP, offsetof(struct heap, nil)),
          .closure = WHERE(NOTHING, 0), .num_values = 1, .values = 3 },
    };
    const struct deopt_object objects[] = {
        { .class_index = CLS_ARRAY, .format = FMT_ARRAY, .num_fields = 2,
          .fields = 4 },
    };
    const struct deopt_place places[] = { { 0, 0, 2, 1 }, { 0, 0, 2, 1 } };
    const struct dependency dependency = { call_selector, vm->heap.nil,
                                           inner };

    o->frames = copy(frames, sizeof frames);
    o->objects = copy(objects, sizeof objects);
    o->places = copy(places, sizeof places);
    o->wheres = copy(wheres, sizeof wheres);
    o->dependencies = copy(&dependency, sizeof dependency);
    o->num_dependencies = 1;
    o->raw_slots = RAW;
    o->oop_slots = OOPS;
    return o;
}

static void make_code(void)
{
    const struct point points[] = { { .native = GUARD_AT, .kind = POINT_EXIT },
                                    { .native = SEND_AT, .kind = POINT_SEND } };
    struct jit_code *c = calloc(1, sizeof *c);
    oop *pool;

    c->kind = CODE_METHOD;
    c->method = outer;
    c->copied = -1;
    c->bytes = 64;
    c->base = c->checked = c->entry = zone_take(vm, c->bytes);
    zone_end(vm, c->base + c->bytes);
    pool = (oop *)(void *)writable(vm->jit, c->base + 40);
    pool[0] = outer;
    pool[1] = inner;
    c->pool = pool;
    c->pool_count = 2;
    c->points = copy(points, sizeof points);
    c->num_points = 2;
    c->optimised = tables();
    assert_true(tier2_add(vm, c));
    optimised = c;
}

/* {operand. answer of inner. temp 1. temp 0} */
static int set_up(void **state)
{
    if (make_vm(true) || !vm->jit)
        return -1;
    vm->jit->second_tier = true;
    outer = code(SISTA, 2, 1, CODE(129, 65, 64, 231, 128 + 4, 92));
    inner = code(SISTA, 1, 0, CODE(64, 92));
    seen = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 3);
    slots(seen)[0] = int_oop(77);
    make_code();
    told = 0;
    return 0;
}

/* --- the frame --- */

static void push(oop o) { *--vm->sp = o; }

static oop bits(double d)
{
    oop o;

    memcpy(&o, &d, sizeof o);
    return o;
}

/* As if machine code had been called with the stack's receiver, and 5. */
static void push_optimised_frame(void)
{
    oop receiver = *vm->sp++, *temps;

    push(int_oop(vm->pc - bytes(vm->fp[FRAME_METHOD])));
    push(receiver);
    push(int_oop(5));
    temps = vm->sp;
    push((oop)(uintptr_t)vm->return_to_interpreter);
    push((oop)(uintptr_t)vm->fp);
    vm->fp = vm->page->fp = vm->sp;
    push((oop)(uintptr_t)temps);
    push(outer);
    push(0);
    push(OPTIMISED_MARK(RAW));
    push(receiver);
    push(bits(1.5));
    push(42);
    push(seen);
    push(vm->heap.nil);
    vm->pc = optimised->base + GUARD_AT;
}

static int call_optimised(struct vm *m, int argc)
{
    push_optimised_frame();
    assert_true(frame_check(vm));
    happens();
    assert_true(frame_check(vm));
    enter(stop_selector, heap_class_index(vm->heap.nil), vm->heap.nil, stop);
    return PRIM_ACTIVATED;
}

/* --- what comes out --- */

static void run(void (*what)(void))
{
    oop caller = code(SISTA, 0, 0, CODE(79, 129, 76, 128));

    happens = what;
    enter(call_selector, heap_class_index(vm->heap.nil), vm->heap.nil,
          call_optimised);
    run_to_stop(caller);
}

static void assert_all_there(void)
{
    double d = 0;
    oop object;

    assert_int_equal(class_index_of(result), CLS_ARRAY);
    assert_int_equal(slot(result, 0), int_oop(42));
    assert_true(heap_float_value(slot(result, 2), &d) && d == 1.5);
    assert_int_equal(slot(result, 3), int_oop(5));
    object = slot(result, 1);
    assert_int_equal(class_index_of(object), CLS_ARRAY);
    assert_int_equal(slot(slot(object, 0), 0), int_oop(77));
    assert_true(is_context(heap_follow(slot(object, 1))));
    assert_int_equal(slot(heap_follow(slot(object, 1)), CTX_METHOD), outer);
}

/* --- the ways back --- */

static void fail_guard(void)
{
    runtime_deopt(vm);
    assert_int_equal(vm->fp[FRAME_METHOD], inner);
    assert_int_equal(frame_caller(vm->fp)[FRAME_METHOD], outer);
}

static void a_guard_fails_in_place(void **state)
{
    run(fail_guard);
    assert_all_there();
    assert_true(feedback_failed(vm, inner, code_first_pc(inner)));
    /* Not for another place that shares its byte. */
    assert_false(feedback_failed(vm, inner,
                                 code_first_pc(inner) + FAILED_PLACES));
}

static void lose_page(void)
{
    assert_true(deopt_all(vm));
    assert_int_equal(vm->fp[FRAME_METHOD], inner);
    assert_null(frame_caller(vm->fp)); /* the callers are contexts */
}

static void a_page_becomes_contexts(void **state)
{
    run(lose_page);
    assert_all_there();
}

static void fill_page(void)
{
    while (vm->sp > vm->page->limit) /* no room to lay frames out */
        push(vm->heap.nil);
    vm->page->limit = vm->fp;
    runtime_deopt(vm);
    assert_null(frame_caller(vm->fp));
}

static void a_full_page_becomes_contexts(void **state)
{
    run(fill_page);
    assert_all_there();
}

static void collect(void)
{
    oop old = seen;

    vm_scavenge(vm);
    seen = vm->fp[FRAME_OPERANDS - 2];
    assert_int_not_equal(seen, old);
    assert_int_equal(vm->fp[FRAME_OPERANDS], bits(1.5));
    runtime_deopt(vm);
}

static void collections_move_oops_only(void **state)
{
    run(collect);
    assert_all_there();
}

static void collect_everything(void)
{
    vm_full_gc(vm);
    assert_int_equal(vm->jit->num_codes, 0);
}

static void a_full_collection_leaves_none(void **state)
{
    run(collect_everything);
    outer = slot(slot(slot(result, 1), 1), CTX_METHOD);
    assert_all_there();
}

/* An activation above it asks for its sender's sender. */
static void ask_sender(void)
{
    oop ctx, sender;

    push(vm->heap.nil);
    vm->pc = optimised->base + SEND_AT;
    frame_push_method(vm, inner, 0);
    *frame_value(vm->fp, 0) = int_oop(9);
    ctx = frame_context(vm, vm->fp);
    sender = vm_slot(vm, ctx, CTX_SENDER);
    assert_true(is_context(sender));
    assert_int_equal(vm_slot(vm, sender, CTX_METHOD), inner);
    sender = vm_slot(vm, sender, CTX_SENDER);
    assert_int_equal(vm_slot(vm, sender, CTX_METHOD), outer);
    told++;
}

static void senders_are_activations(void **state)
{
    run(ask_sender);
    assert_int_equal(told, 1);
    assert_int_equal(slot(slot(result, 1), 0), seen);
}

/* A primitive that switches processes: its receiver is an operand. */
static void switch_in_primitive(void)
{
    push(int_oop(88));
    vm->pc = optimised->base + SEND_AT;
    assert_true(process_can_switch(vm));
    assert_int_equal(vm->fp[FRAME_METHOD], inner);
    assert_int_equal(*vm->sp, int_oop(88));
    assert_int_not_equal(vm->fp[FRAME_CONTEXT], 0);
    vm->sp++;
}

static void operands_of_a_primitive_stay(void **state)
{
    run(switch_in_primitive);
    assert_all_there();
}

static void overflow(void)
{
    oop *fp = vm->fp;

    vm->page->limit = vm->fp;
    vm_safepoint(vm, true);
    assert_ptr_not_equal(fp, vm->fp);
    assert_false(frame_is_optimised(vm->fp));
}

static void a_deep_stack_moves_on(void **state)
{
    run(overflow);
    assert_all_there();
}

/* --- forgetting --- */

static void change_selector(void)
{
    tier2_forget_selector(vm, stop_selector);
    assert_true(frame_is_optimised(vm->fp));
    tier2_forget_selector(vm, call_selector);
    assert_false(frame_is_optimised(vm->fp));
}

static void what_is_not_true_any_more_is_left(void **state)
{
    run(change_selector);
    assert_all_there();
    assert_true(optimised->forgotten);
}

static void change_method(void) { jit_forget(vm, inner); }

static void a_changed_method_is_left(void **state)
{
    run(change_method);
    assert_all_there();
    assert_true(optimised->forgotten);
}

static void what_fails_often_is_forgotten(void **state)
{
    int i;

    for (i = 0; i < 20 && !optimised->forgotten; i++)
        run(fail_guard);
    assert_in_range(i, 2, 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(a_guard_fails_in_place),
        TEST(a_page_becomes_contexts),
        TEST(a_full_page_becomes_contexts),
        TEST(collections_move_oops_only),
        TEST(a_full_collection_leaves_none),
        TEST(senders_are_activations),
        TEST(operands_of_a_primitive_stay),
        TEST(a_deep_stack_moves_on),
        TEST(what_is_not_true_any_more_is_left),
        TEST(a_changed_method_is_left),
        TEST(what_fails_often_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
