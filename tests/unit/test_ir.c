/*
 * test_ir.c - graphs: made by hand, ordered, changed, and found broken when
 * they are; then what the builder makes of methods.
 */
#include "vm/jit/ir.h"

#include "tests/unit/tiny_code.h"
#include "tests/unit/tiny_graph.h"

static int set_up(void **state)
{
    if (make_vm(true) || !vm->jit)
        return -1;
    make_special_selectors(0);
    g = ir_new_graph(vm, code(SISTA, 2, 1, CODE(81, 92)));
    return g ? 0 : -1;
}

static int end(void **state)
{
    ir_free_graph(g);
    return tear_down(state);
}

/* i := 0. [i < 10] whileTrue: [i := i + 1]. ^ i */
struct loop {
    struct ir_block *head, *body, *exit;
    struct ir_node *i, *sum;
};

static struct loop make_loop(void)
{
    struct loop l = { .head = ir_new_block(g), .body = ir_new_block(g),
                      .exit = ir_new_block(g) };
    struct ir_node *zero = integer(0), *one = integer(1), *ten = integer(10);

    go(g->entry, l.head);
    l.i = add(l.head, IR_PHI, zero, NULL);
    l.i->type = TYPE_INT;
    branch(l.head, add(l.head, IR_COMPARE, l.i, ten), l.exit, l.body);
    l.sum = add(l.body, IR_ADD, l.i, one);
    l.sum->state = state_of(l.i);
    ir_add_input(g, l.i, l.sum);
    go(l.body, l.head);
    add(l.exit, IR_RETURN, l.i, NULL);
    return l;
}

/* --- making and changing --- */

static void a_constant_has_one_node(void **state)
{
    assert_ptr_equal(integer(7), integer(7));
    assert_ptr_not_equal(integer(7), integer(8));
    assert_int_equal(integer(7)->type, TYPE_INT);
    assert_int_equal(ir_constant(g, vm->heap.true_)->type, TYPE_BOOLEAN);
}

static void a_loop_is_found(void **state)
{
    struct loop l = make_loop();

    assert_sound();
    assert_true(l.head->is_loop);
    assert_int_equal(l.head->loop_depth, 1);
    assert_int_equal(l.body->loop_depth, 1);
    assert_int_equal(l.exit->loop_depth, 0);
    assert_ptr_equal(l.exit->dominator, l.head);
    /* the loop's blocks are neighbours */
    assert_int_equal(l.body->id, l.head->id + 1);
}

static void loops_in_loops_are_deeper(void **state)
{
    struct ir_block *b[6];
    struct ir_node *t = ir_constant(g, vm->heap.true_);
    int i;

    for (i = 0; i < 6; i++)
        b[i] = ir_new_block(g);
    go(g->entry, b[0]);
    go(b[0], b[1]);
    branch(b[1], t, b[2], b[3]);
    go(b[2], b[1]);
    branch(b[3], t, b[4], b[5]);
    go(b[5], b[0]);
    add(b[4], IR_RETURN, t, NULL);
    assert_sound();
    assert_int_equal(b[0]->loop_depth, 1);
    assert_int_equal(b[1]->loop_depth, 2);
    assert_int_equal(b[2]->loop_depth, 2);
    assert_int_equal(b[3]->loop_depth, 1);
    assert_int_equal(b[4]->loop_depth, 0);
}

static void a_loop_with_two_entries_is_refused(void **state)
{
    struct ir_block *a = ir_new_block(g), *b = ir_new_block(g);
    struct ir_block *ea = ir_new_block(g), *eb = ir_new_block(g);

    branch(g->entry, ir_constant(g, vm->heap.true_), ea, eb);
    go(ea, a);
    go(eb, b);
    go(a, b);
    go(b, a);
    ir_sort_blocks(g);
    assert_true(g->failed);
}

static void unreachable_blocks_go_with_their_edges(void **state)
{
    struct ir_block *dead = ir_new_block(g), *end = ir_new_block(g);
    struct ir_node *phi;

    go(dead, end);
    go(g->entry, end);
    phi = add(end, IR_PHI, integer(1), integer(2));
    add(end, IR_RETURN, phi, NULL);
    assert_sound();
    assert_int_equal(g->num_blocks, 2);
    assert_int_equal(end->num_predecessors, 1);
    assert_int_equal(phi->num_inputs, 1);
    assert_ptr_equal(phi->inputs[0], integer(2));
}

static void marked_nodes_are_replaced_in_inputs_and_states(void **state)
{
    struct loop l = make_loop();
    struct ir_node *other = add(l.body, IR_PHI, NULL, NULL);

    ir_sort_blocks(g);
    other->same_as = integer(3);
    l.i->same_as = other;
    ir_replace_marked(g);
    assert_ptr_equal(l.exit->last->inputs[0], integer(3));
    assert_ptr_equal(l.sum->inputs[0], integer(3));
    assert_ptr_equal(l.sum->state->values[0], integer(3));
    assert_null(l.i->block);
}

static void uses_are_those_of_inputs_and_states(void **state)
{
    struct loop l = make_loop();

    ir_sort_blocks(g);
    ir_count_uses(g);
    assert_int_equal(l.i->uses, 4); /* <, +, its state, ^ */
    assert_int_equal(l.sum->uses, 1);
}

static void too_large_a_graph_fails(void **state)
{
    unsigned i;

    for (i = 0; i <= IR_MAX_NODES; i++)
        assert_non_null(add(g->entry, IR_RECEIVER, NULL, NULL));
    assert_true(g->failed);
    assert_non_null(ir_verify(g));
}

/* --- what is broken is found --- */

static void broken(void)
{
    ir_sort_blocks(g);
    assert_non_null(ir_verify(g));
}

static void a_use_before_its_definition_is_found(void **state)
{
    struct loop l = make_loop();

    l.exit->last->inputs[0] = l.sum;
    broken();
}

static void a_missing_state_is_found(void **state)
{
    make_loop().sum->state = NULL;
    broken();
}

static void a_state_from_the_future_is_found(void **state)
{
    struct loop l = make_loop();

    l.sum->state->values[0] = add(l.exit, IR_RECEIVER, NULL, NULL);
    broken();
}

static void a_phi_too_short_is_found(void **state)
{
    make_loop().i->num_inputs = 1;
    broken();
}

static void a_block_without_end_is_found(void **state)
{
    ir_remove(make_loop().exit->last);
    broken();
}

static void an_operand_that_is_no_integer_is_found(void **state)
{
    struct loop l = make_loop();

    l.sum->inputs[1] = ir_constant(g, vm->heap.nil);
    broken();
}

static void an_object_without_fields_is_found(void **state)
{
    struct loop l = make_loop();

    l.sum->state->values[0] = add(NULL, IR_OBJECT, NULL, NULL);
    broken();
}

/* --- what the builder makes --- */

/* n := argument. i := 0. [i < n] whileTrue: [i := i + 1]. ^ i */
#define LOOP 80, 209, 65, 64, 98, 239, 8, 65, 81, 96, 209, 225, 255, 237, \
             243, 65, 92
enum { LOOP_HEAD = 2 };

static void build(oop method, uint32_t entered_at)
{
    const char *why;

    ir_free_graph(g);
    g = ir_build(vm, method, 0,
                 entered_at ? entered_at + code_first_pc(method) : 0);
    assert_non_null(g);
    why = ir_verify(g);
    if (why)
        ir_print(g);
    assert_string_equal(why ? why : "sound", "sound");
}

/* Nodes of an operation that somebody would run; *n is the first. */
static unsigned count(enum ir_op op, struct ir_node **n)
{
    unsigned i, found = 0;
    struct ir_node *p;

    for (i = 0; i < g->num_blocks; i++)
        for (p = g->blocks[i]->first; p; p = p->next)
            if (p->op == op && found++ == 0 && n)
                *n = p;
    return found;
}

#define BUILD(temps, args, ...) \
    build(code(SISTA, temps, args, CODE(__VA_ARGS__)), 0)

static void a_guard_has_the_state_before_the_bytecode(void **state)
{
    struct ir_node *sum = NULL, *guard = NULL;

    BUILD(1, 1, 81, 64, 96, 92); /* ^ 1 + argument */
    assert_int_equal(count(IR_ADD, &sum), 1);
    assert_int_equal(count(IR_GUARD_INT, &guard), 1);
    assert_ptr_equal(sum->state, guard->state);
    assert_int_equal(sum->state->bytecode, code_first_pc(g->method) + 2);
    assert_int_equal(sum->state->num_temps, 1);
    assert_int_equal(sum->state->num_values, 2);
    assert_ptr_equal(sum->state->values[1], integer(1));
    assert_int_equal(sum->state->values[2]->op, IR_ARGUMENT);
}

static void a_send_has_the_state_after_it(void **state)
{
    struct ir_node *send = NULL;

    BUILD(1, 1, 81, 64, 129, 92); /* ^ 1 call */
    assert_int_equal(count(IR_SEND, &send), 1);
    assert_int_equal(send->state->bytecode, code_first_pc(g->method) + 3);
    assert_int_equal(send->state->num_values, 1); /* the other operand */
    assert_true(send->value == call_selector);
    assert_int_equal(send->num_inputs, 1);
}

static void a_loop_has_phis_for_what_it_stores(void **state)
{
    struct ir_node *safepoint = NULL, *phi = NULL;

    build(code(SISTA, 2, 1, CODE(LOOP)), 0);
    assert_int_equal(count(IR_PHI, &phi), 1);
    assert_int_equal(count(IR_SAFEPOINT, &safepoint), 1);
    assert_true(phi->block->is_loop);
    assert_int_equal(safepoint->state->bytecode,
                     code_first_pc(g->method) + LOOP_HEAD);
    assert_int_equal(safepoint->state->values[1]->op, IR_ADD);
}

static void a_loop_is_entered_with_the_temps_of_its_frame(void **state)
{
    struct ir_node *phi = NULL;

    build(code(SISTA, 2, 1, CODE(LOOP)), LOOP_HEAD);
    assert_int_equal(count(IR_ARGUMENT, NULL), 2);
    assert_int_equal(count(IR_PHI, &phi), 1);
    assert_int_equal(phi->inputs[0]->op, IR_ARGUMENT);
    assert_int_equal(phi->inputs[0]->index, 1);
}

static void only_loops_are_entered(void **state)
{
    oop method = code(SISTA, 2, 1, CODE(LOOP));

    assert_null(ir_build(vm, method, 0, code_first_pc(method) + 3));
    assert_null(ir_build(vm, method, 0, 5000));
}

static void what_is_no_boolean_is_guarded(void **state)
{
    BUILD(1, 1, 64, 192, 88, 90); /* argument ifFalse: [^ self]. ^ false */
    assert_int_equal(count(IR_GUARD_BOOLEAN, NULL), 1);
    assert_int_equal(count(IR_BRANCH, NULL), 1);
}

static void constant_conditions_are_no_branches(void **state)
{
    BUILD(0, 0, 77, 192, 88, 90);
    assert_int_equal(count(IR_BRANCH, NULL), 0);
    assert_int_equal(count(IR_RETURN, NULL), 1);
}

static void shared_variables_need_no_array(void **state)
{
    struct ir_node *send = NULL;

    /* vector := Array new: 1. vector[0] := 1. 0 call. ^ vector[0] */
    BUILD(1, 0, 231, 1, 208, 81, 253, 0, 0, 80, 129, 216, 251, 0, 0, 92);
    assert_int_equal(count(IR_NEW, NULL), 0);
    assert_int_equal(count(IR_SEND, &send), 1);
    assert_int_equal(send->state->num_objects, 1);
    assert_ptr_equal(send->state->objects[0].fields[0], integer(1));
    assert_ptr_equal(send->state->values[0], send->state->objects[0].id);
}

static void an_array_that_is_needed_is_made(void **state)
{
    struct ir_node *array = NULL;

    BUILD(1, 0, 81, 231, 129, 92); /* ^ {1} */
    assert_int_equal(count(IR_NEW, &array), 1);
    assert_int_equal(array->class_index, CLS_ARRAY);
    assert_ptr_equal(array->inputs[0], integer(1));
}

static void objects_that_differ_where_ways_meet_are_made(void **state)
{
    /* ^ argument ifTrue: [{}] ifFalse: [{}] */
    BUILD(1, 1, 64, 194, 231, 0, 177, 231, 0, 92);
    assert_int_equal(count(IR_NEW, NULL), 2);
    assert_int_equal(count(IR_PHI, NULL), 1);
}

static void contexts_and_primitives_are_refused(void **state)
{
    oop primitive = code(SISTA, 0, 0, CODE(248, 70, 0, 88));
    int64_t header = int_value(slot(primitive, 0)) | 1 << 16;

    slots(primitive)[0] = int_oop(header);
    assert_null(ir_build(vm, primitive, 0, 0));
    assert_null(ir_build(vm, code(SISTA, 0, 0, CODE(82, 92)), 0, 0));
    assert_null(ir_build(vm, code(SISTA, 0, 0, CODE(216, 88)), 0, 0));
}

/* Whatever passes the verifier is built soundly, or refused. */
static void any_verified_method_is_built_or_refused(void **state)
{
    static const uint8_t usual[] = {
        64, 65, 66, 76, 77, 79, 80, 81, 83, 96, 97, 98, 102, 104, 118, 192,
        194, 185, 177, 208, 209, 210, 216, 231, 251, 252, 253, 0, 1, 2, 129,
        237, 225, 255, 92, 88, 245, 249,
    };
    enum { LONGEST = 24, RUNS = 60000 };
    uint8_t b[LONGEST];
    unsigned run, i, built = 0;
    uint32_t seed = 1;

    for (run = 0; run < RUNS; run++) {
        unsigned n = 4 + run % (LONGEST - 4);
        struct ir_graph *other;
        oop method;

        for (i = 0; i < n; i++) {
            seed = seed * 1103515245 + 12345;
            b[i] = seed >> 30 ? usual[(seed >> 16) % sizeof usual]
                              : (uint8_t)(seed >> 16);
        }
        b[n - 1] = 92;
        if (run % 1000 == 0)
            vm_full_gc(vm);
        method = code(SISTA, 3, 1, b, n);
        other = ir_build(vm, method, 0,
                         run & 1 ? code_first_pc(method) + run % n : 0);
        if (!other)
            continue;
        built++;
        if (ir_verify(other)) {
            for (i = 0; i < n; i++)
                print_message("%u, ", b[i]);
            ir_print(other);
            fail_msg("%s", ir_verify(other));
        }
        ir_free_graph(other);
    }
    assert_true(built > 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_constant_has_one_node),
        TEST(a_loop_is_found),
        TEST(loops_in_loops_are_deeper),
        TEST(a_loop_with_two_entries_is_refused),
        TEST(unreachable_blocks_go_with_their_edges),
        TEST(marked_nodes_are_replaced_in_inputs_and_states),
        TEST(uses_are_those_of_inputs_and_states),
        TEST(too_large_a_graph_fails),
        TEST(a_use_before_its_definition_is_found),
        TEST(a_missing_state_is_found),
        TEST(a_state_from_the_future_is_found),
        TEST(a_phi_too_short_is_found),
        TEST(a_block_without_end_is_found),
        TEST(an_operand_that_is_no_integer_is_found),
        TEST(an_object_without_fields_is_found),
        TEST(a_guard_has_the_state_before_the_bytecode),
        TEST(a_send_has_the_state_after_it),
        TEST(a_loop_has_phis_for_what_it_stores),
        TEST(a_loop_is_entered_with_the_temps_of_its_frame),
        TEST(only_loops_are_entered),
        TEST(what_is_no_boolean_is_guarded),
        TEST(constant_conditions_are_no_branches),
        TEST(shared_variables_need_no_array),
        TEST(an_array_that_is_needed_is_made),
        TEST(objects_that_differ_where_ways_meet_are_made),
        TEST(contexts_and_primitives_are_refused),
        TEST(any_verified_method_is_built_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
