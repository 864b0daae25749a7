/*
 * test_ir_passes.c - what the passes over graphs find out, remove and move,
 * and what they must leave.
 */
#include "vm/jit/ir.h"

#include "tests/unit/tiny_code.h"
#include "tests/unit/tiny_graph.h"

static int set_up(void **state)
{
    if (make_vm(true) || !vm->jit)
        return -1;
    g = ir_new_graph(vm, code(SISTA, 2, 2, CODE(81, 92)));
    return g ? 0 : -1;
}

static int end(void **state)
{
    ir_free_graph(g);
    return tear_down(state);
}

static struct ir_node *argument(int i)
{
    struct ir_node *n = add(g->entry, IR_ARGUMENT, NULL, NULL);

    n->index = i;
    return n;
}

static struct ir_node *guard(struct ir_block *b, enum ir_op op,
                             struct ir_node *n)
{
    struct ir_node *x = add(b, op, n, NULL);

    x->state = state_of(n);
    return x;
}

static struct ir_node *arith(struct ir_block *b, enum ir_op op,
                             struct ir_node *x, struct ir_node *y)
{
    struct ir_node *n = add(b, op, x, y);

    n->state = state_of(x);
    return n;
}

static struct ir_node *array(struct ir_block *b, struct ir_node *n)
{
    struct ir_node *x = guard(b, IR_GUARD_CLASS, n);

    x->index = CLS_ARRAY;
    x->class_index = CLS_ARRAY;
    return x;
}

static struct ir_node *load(struct ir_block *b, struct ir_node *object, int i)
{
    struct ir_node *n = add(b, IR_LOAD_SLOT, object, NULL);

    n->index = i;
    return n;
}

static struct ir_node *store(struct ir_block *b, struct ir_node *object, int i,
                             struct ir_node *value)
{
    struct ir_node *n = add(b, IR_STORE_SLOT, object, value);

    n->index = i;
    return n;
}

static struct ir_node *returned;

static void answer(struct ir_block *b, struct ir_node *n)
{
    returned = add(b, IR_RETURN, n, NULL);
}

/* A pass, between two proofs. */
static void run(void (*pass)(struct ir_graph *))
{
    assert_sound();
    pass(g);
    assert_sound();
}

static unsigned count(enum ir_op op)
{
    unsigned i, found = 0;
    struct ir_node *n;

    for (i = 0; i < g->num_blocks; i++)
        for (n = g->blocks[i]->first; n; n = n->next)
            found += n->op == op;
    return found;
}

/* i := first. [i < 10] whileTrue: [i := i guarded + 1]. ^ i */
struct loop {
    struct ir_block *head, *body, *exit;
    struct ir_node *i;
};

static struct loop begin_loop(struct ir_node *first)
{
    struct loop l = { .head = ir_new_block(g), .body = ir_new_block(g),
                      .exit = ir_new_block(g) };

    go(g->entry, l.head);
    l.i = add(l.head, IR_PHI, first, NULL);
    return l;
}

static void end_loop(struct loop *l, struct ir_node *test,
                     struct ir_node *next)
{
    branch(l->head, test, l->body, l->exit);
    ir_add_input(g, l->i, next);
    go(l->body, l->head);
}

/* --- types --- */

static void a_counter_is_an_integer(void **state)
{
    struct loop l = begin_loop(integer(0));
    struct ir_node *test = add(l.head, IR_IS_INT, l.i, NULL);
    struct ir_node *i = guard(l.body, IR_GUARD_INT, l.i);

    end_loop(&l, test, arith(l.body, IR_ADD, i, integer(1)));
    answer(l.exit, l.i);
    run(ir_infer_types);
    assert_int_equal(count(IR_GUARD_INT), 0);
    assert_int_equal(count(IR_BRANCH), 0); /* for ever, then */
    assert_int_equal(l.i->type, TYPE_INT);
}

static void one_input_may_spoil_it(void **state)
{
    struct loop l = begin_loop(argument(0));
    struct ir_node *test = add(l.head, IR_IS_INT, l.i, NULL);
    struct ir_node *i = guard(l.body, IR_GUARD_INT, l.i);

    end_loop(&l, test, arith(l.body, IR_ADD, i, integer(1)));
    answer(l.exit, l.i);
    run(ir_infer_types);
    assert_int_equal(count(IR_GUARD_INT), 1);
    assert_int_equal(l.i->type, TYPE_ANY);
}

static void tests_of_known_classes_are_constants(void **state)
{
    struct ir_node *a = array(g->entry, argument(0));
    struct ir_node *is = add(g->entry, IR_IS_CLASS, a, NULL);
    struct ir_block *yes = ir_new_block(g), *no = ir_new_block(g);

    is->index = CLS_BYTE_STRING;
    branch(g->entry, is, yes, no);
    answer(yes, integer(1));
    answer(no, integer(2));
    run(ir_infer_types);
    assert_int_equal(g->num_blocks, 2);
    assert_int_equal(count(IR_IS_CLASS), 0);
    assert_int_equal(returned->inputs[0]->value, int_oop(2));
}

/* What is of class True is known as well as the constant is. */
static void true_is_a_true(void **state)
{
    oop yes = vm->heap.true_, no = vm->heap.false_;
    struct ir_node *a = guard(g->entry, IR_GUARD_CLASS, argument(0)), *x, *y;

    a->index = (int32_t)class_index_of(yes);
    a->class_index = class_index_of(yes);
    x = add(g->entry, IR_IDENTICAL, a, ir_constant(g, yes));
    y = add(g->entry, IR_IDENTICAL, a, ir_constant(g, no));
    answer(g->entry, add(g->entry, IR_IDENTICAL, x, y));
    run(ir_infer_types);
    assert_int_equal(returned->inputs[0]->value,
                     class_index_of(yes) == class_index_of(no) ? yes : no);
}

static void constants_are_calculated(void **state)
{
    struct ir_node *most = ir_constant(g, int_oop(SMALLINT_MAX));

    answer(g->entry, arith(g->entry, IR_MUL,
                           arith(g->entry, IR_ADD, integer(3), integer(4)),
                           integer(6)));
    run(ir_infer_types);
    assert_int_equal(returned->inputs[0]->value, int_oop(42));
    returned->inputs[0] = most; /* still there, though nobody used it */
}

static void an_overflow_is_not_calculated(void **state)
{
    struct ir_node *most = ir_constant(g, int_oop(SMALLINT_MAX));

    answer(g->entry, arith(g->entry, IR_ADD, most, integer(1)));
    run(ir_infer_types);
    assert_int_equal(returned->inputs[0]->op, IR_ADD);
}

/* --- sharing --- */

static void a_guard_is_made_once(void **state)
{
    struct ir_node *a = argument(0);
    struct ir_node *x = guard(g->entry, IR_GUARD_INT, a);
    struct ir_node *y = guard(g->entry, IR_GUARD_INT, a);

    answer(g->entry, arith(g->entry, IR_ADD, x, y));
    run(ir_optimise);
    assert_int_equal(count(IR_GUARD_INT), 1);
}

/* Either branch's does not stand for the other's. */
static void only_what_dominates_is_shared(void **state)
{
    struct ir_node *a = argument(0);
    struct ir_block *yes = ir_new_block(g), *no = ir_new_block(g);

    branch(g->entry, add(g->entry, IR_IS_INT, argument(1), NULL), yes, no);
    answer(yes, guard(yes, IR_GUARD_INT, a));
    answer(no, guard(no, IR_GUARD_INT, a));
    run(ir_optimise);
    assert_int_equal(count(IR_GUARD_INT), 2);
}

static void loads_are_shared_until_a_store(void **state)
{
    struct ir_node *a = array(g->entry, argument(0));
    struct ir_node *b = array(g->entry, argument(1));
    struct ir_node *x = load(g->entry, a, 0), *y = load(g->entry, a, 0), *z;

    store(g->entry, b, 0, y); /* may be the same */
    z = load(g->entry, a, 0);
    x = add(g->entry, IR_IDENTICAL, x, z);
    answer(g->entry, add(g->entry, IR_IDENTICAL, x, y));
    run(ir_optimise);
    assert_int_equal(count(IR_LOAD_SLOT), 2);
}

static void what_was_stored_is_loaded(void **state)
{
    struct ir_node *a = array(g->entry, argument(0)), *v = argument(1);

    store(g->entry, a, 2, v);
    answer(g->entry, load(g->entry, a, 2));
    run(ir_optimise);
    assert_int_equal(count(IR_LOAD_SLOT), 0);
    assert_ptr_equal(returned->inputs[0], v);
    assert_int_equal(count(IR_STORE_SLOT), 1);
}

static void a_send_changes_everything(void **state)
{
    struct ir_node *a = array(g->entry, argument(0));
    struct ir_node *x = load(g->entry, a, 0), *y;
    struct ir_node *send = add(g->entry, IR_SEND, a, NULL);

    send->state = state_of(a);
    y = load(g->entry, a, 0);
    answer(g->entry, add(g->entry, IR_IDENTICAL, x, y));
    run(ir_optimise);
    assert_int_equal(count(IR_LOAD_SLOT), 2);
}

static void a_loops_store_reaches_its_head(void **state)
{
    struct ir_node *a = array(g->entry, argument(0));
    struct ir_node *x = load(g->entry, a, 0), *y, *next = argument(1);
    struct loop l = begin_loop(x);
    struct ir_node *test;

    y = load(l.head, a, 0);
    test = add(l.head, IR_IDENTICAL, l.i, y);
    store(l.body, a, 0, integer(1));
    end_loop(&l, test, next);
    answer(l.exit, l.i);
    run(ir_optimise);
    assert_int_equal(count(IR_LOAD_SLOT), 2);
}

/* --- loops --- */

static void invariants_leave_their_loop(void **state)
{
    struct ir_node *a = array(g->entry, argument(0));
    struct loop l = begin_loop(integer(0));
    struct ir_node *size = add(l.body, IR_SLOT_COUNT, a, NULL);
    struct ir_node *tagged = add(l.body, IR_TAG_INT, size, NULL);
    struct ir_node *test = add(l.head, IR_COMPARE, integer(3), integer(4));

    test->cond = IF_LESS;
    l.i->type = TYPE_INT;
    test->inputs[0] = l.i;
    end_loop(&l, test, arith(l.body, IR_ADD, l.i, tagged));
    answer(l.exit, l.i);
    run(ir_optimise);
    assert_ptr_equal(size->block, g->entry);
    assert_ptr_equal(tagged->block, g->entry);
    assert_ptr_equal(test->block, l.head);
}

static void guards_and_loads_stay(void **state)
{
    struct ir_node *a = argument(0);
    struct loop l = begin_loop(a);
    struct ir_node *test = add(l.head, IR_IS_INT, l.i, NULL);
    struct ir_node *known = array(l.body, a), *x = load(l.body, known, 0);

    end_loop(&l, test, x);
    answer(l.exit, l.i);
    run(ir_optimise);
    assert_ptr_equal(known->block, l.body);
    assert_ptr_equal(x->block, l.body);
}

/* --- jumps --- */

static struct ir_node *truth(bool yes)
{
    return ir_constant(g, yes ? vm->heap.true_ : vm->heap.false_);
}

static struct ir_node *asked(struct ir_block *b, struct ir_node *n)
{
    return guard(b, IR_GUARD_BOOLEAN, n);
}

/* The phi of what two ways bring to where they meet. */
static struct ir_node *meeting(struct ir_block *from, struct ir_node *boolean,
                               struct ir_block *at, struct ir_node *left,
                               struct ir_node *right)
{
    struct ir_block *yes = ir_new_block(g), *no = ir_new_block(g);

    branch(from, boolean, yes, no);
    go(yes, at);
    go(no, at);
    return add(at, IR_PHI, left, right);
}

static void answer_one_of_two(struct ir_block *from, struct ir_node *boolean,
                              struct ir_node *one)
{
    struct ir_block *yes = ir_new_block(g), *no = ir_new_block(g);

    branch(from, boolean, yes, no);
    answer(yes, one);
    answer(no, integer(2));
}

static void who_brings_true_goes_where_true_goes(void **state)
{
    struct ir_block *one = ir_new_block(g), *other = ir_new_block(g);
    struct ir_block *first = ir_new_block(g), *second = ir_new_block(g);
    struct ir_node *a = asked(g->entry, argument(0));
    struct ir_node *b = asked(g->entry, argument(1)), *p;

    branch(g->entry, b, one, other);
    p = meeting(one, a, first, truth(true), truth(false));
    go(first, second);
    go(other, second);
    answer_one_of_two(second, add(second, IR_PHI, p, truth(false)),
                      integer(1));
    run(ir_thread_jumps);
    assert_int_equal(count(IR_PHI), 0);
    assert_int_equal(count(IR_BRANCH), 2);
    assert_int_equal(count(IR_RETURN), 2);
}

static void who_brings_something_else_is_asked(void **state)
{
    struct ir_block *at = ir_new_block(g);
    struct ir_node *value = argument(1);
    struct ir_node *test = asked(g->entry, argument(0));
    struct ir_node *p = meeting(g->entry, test, at, value, truth(false));

    answer_one_of_two(at, asked(at, p), integer(1));
    run(ir_thread_jumps);
    assert_int_equal(at->num_predecessors, 1);
    assert_int_equal(count(IR_BRANCH), 2);
    run(ir_infer_types);
    assert_int_equal(count(IR_PHI), 0);
    assert_ptr_equal(at->last->inputs[0]->inputs[0], value);
}

static void what_is_needed_later_is_merged(void **state)
{
    struct ir_block *at = ir_new_block(g);
    struct ir_node *test = asked(g->entry, argument(0));
    struct ir_node *p = meeting(g->entry, test, at, truth(true),
                                truth(false));

    answer_one_of_two(at, p, p);
    run(ir_thread_jumps);
    assert_int_equal(at->num_predecessors, 2);
    assert_int_equal(count(IR_PHI), 1);
}

static void a_loop_is_entered_at_its_head(void **state)
{
    struct loop l = begin_loop(truth(true));

    end_loop(&l, l.i, truth(false));
    answer(l.exit, integer(1));
    run(ir_thread_jumps);
    assert_int_equal(l.head->num_predecessors, 2);
    assert_int_equal(count(IR_PHI), 1);
}

/* --- dead code --- */

static void what_is_not_used_goes(void **state)
{
    struct ir_node *a = array(g->entry, argument(0)), *b = argument(1);

    load(g->entry, a, 3);
    b = guard(g->entry, IR_GUARD_INT, b);
    arith(g->entry, IR_ADD, b, integer(1));
    arith(g->entry, IR_DIV, b, b); /* by 0 is an error */
    answer(g->entry, integer(1));
    run(ir_optimise);
    assert_int_equal(count(IR_LOAD_SLOT), 0);
    assert_int_equal(count(IR_ADD), 0);
    assert_int_equal(count(IR_DIV), 1);
    assert_int_equal(count(IR_GUARD_CLASS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, end)
        TEST(a_counter_is_an_integer),
        TEST(one_input_may_spoil_it),
        TEST(tests_of_known_classes_are_constants),
        TEST(true_is_a_true),
        TEST(constants_are_calculated),
        TEST(an_overflow_is_not_calculated),
        TEST(a_guard_is_made_once),
        TEST(only_what_dominates_is_shared),
        TEST(loads_are_shared_until_a_store),
        TEST(what_was_stored_is_loaded),
        TEST(a_send_changes_everything),
        TEST(a_loops_store_reaches_its_head),
        TEST(invariants_leave_their_loop),
        TEST(guards_and_loads_stay),
        TEST(who_brings_true_goes_where_true_goes),
        TEST(who_brings_something_else_is_asked),
        TEST(what_is_needed_later_is_merged),
        TEST(a_loop_is_entered_at_its_head),
        TEST(what_is_not_used_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
