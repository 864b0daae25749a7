/*
 * ir_prims.c - what needs no method: special sends of arithmetic,
 * comparison and identity, and the primitives that inlined methods begin
 * with.
 *
 * What a primitive would fail for is behind guards: the interpreter then
 * does the send as it is.
 */
#include "vm/jit/builder.h"
#include "vm/primitives/prim.h"

#include <string.h>

/* What a special send, or a primitive, does with two numbers. */
struct arithmetic {
    cached_primitive ints, floats;
    uint8_t special;   /* NO_SPECIAL: it is none */
    uint8_t int_op, float_op;
    uint8_t cond, float_cond;
};

enum { NO_SPECIAL = 255, NO_OP = IR_CONST };

static const struct arithmetic table[] = {
    { prim_int_add, prim_float_add, PLUS, IR_ADD, IR_FADD, 0, 0 },
    { prim_int_subtract, prim_float_subtract, MINUS, IR_SUB, IR_FSUB, 0, 0 },
    { prim_int_multiply, prim_float_multiply, TIMES, IR_MUL, IR_FMUL, 0, 0 },
    { NULL, prim_float_divide, DIVIDE, NO_OP, IR_FDIV, 0, 0 },
    { prim_int_modulo, NULL, MODULO, IR_MOD, NO_OP, 0, 0 },
    { prim_int_floor_divide, NULL, QUOTIENT, IR_DIV, NO_OP, 0, 0 },
    { prim_int_quotient, NULL, NO_SPECIAL, IR_QUO, NO_OP, 0, 0 },
    { prim_int_remainder, NULL, NO_SPECIAL, IR_REM, NO_OP, 0, 0 },
    { prim_int_bit_and, NULL, BIT_AND, IR_AND, NO_OP, 0, 0 },
    { prim_int_bit_or, NULL, BIT_OR, IR_OR, NO_OP, 0, 0 },
    { prim_int_bit_xor, NULL, NO_SPECIAL, IR_XOR, NO_OP, 0, 0 },
    { prim_int_bit_shift, NULL, BIT_SHIFT, IR_SHIFT, NO_OP, 0, 0 },
    { prim_int_less, prim_float_less, LESS, IR_COMPARE, IR_FCOMPARE,
      IF_LESS, IF_BELOW },
    { prim_int_greater, prim_float_greater, GREATER, IR_COMPARE, IR_FCOMPARE,
      IF_GREATER, IF_ABOVE },
    { prim_int_less_equal, prim_float_less_equal, LESS_EQUAL, IR_COMPARE,
      IR_FCOMPARE, IF_NOT_GREATER, IF_NOT_ABOVE },
    { prim_int_greater_equal, prim_float_greater_equal, GREATER_EQUAL,
      IR_COMPARE, IR_FCOMPARE, IF_NOT_LESS, IF_NOT_BELOW },
    { prim_int_equal, prim_float_equal, EQUAL, IR_COMPARE, IR_FCOMPARE,
      IF_EQUAL, IF_EQUAL },
    { prim_int_not_equal, prim_float_not_equal, NOT_EQUAL, IR_COMPARE,
      IR_FCOMPARE, IF_NOT_EQUAL, IF_NOT_EQUAL },
};

enum { TABLE_SIZE = sizeof table / sizeof table[0] };

/* --- integers --- */

/* Shifts by constants; others are taken to go left. */
static struct ir_node *int_shift(struct builder *b, struct ir_node *x,
                                 struct ir_node *y)
{
    int64_t by = int_value(y->value);
    struct ir_node *n;

    if (y->op != IR_CONST)
        return add_failing(b, IR_SHIFT_LEFT, x, y);
    if (by > 60 || by < -63)
        return NULL;
    n = add_failing(b, IR_SHIFT, x, NULL);
    n->index = (int32_t)by;
    return n;
}

static struct ir_node *int_result(struct builder *b,
                                  const struct arithmetic *t)
{
    struct ir_node *x, *y, *n;

    guard_int(b, operand(b, 1));
    y = guard_int(b, operand(b, 0));
    x = operand(b, 1);
    if (t->int_op == IR_SHIFT)
        return int_shift(b, x, y);
    n = add_failing(b, t->int_op, x, y);
    n->cond = t->cond;
    return n;
}

/* --- floats --- */

static bool is_float(const struct ir_node *n)
{
    uint32_t class = known_class(n);

    return n->type == TYPE_FLOAT || class == CLS_SMALL_FLOAT ||
           class == CLS_BOXED_FLOAT;
}

static struct ir_node *constant_double(struct builder *b, double d)
{
    struct ir_node *n = ir_add(b->g, b->block, IR_CONST_DOUBLE, 0, NULL);

    memcpy(&n->value, &d, sizeof d);
    return n;
}

static struct ir_node *unbox(struct builder *b, struct ir_node *n)
{
    struct ir_node *f;
    double d;

    if (n->op == IR_CONST && heap_float_value(n->value, &d))
        return constant_double(b, d);
    if (n->type != TYPE_FLOAT && is_float(n)) {
        n = add(b, IR_REFINE, n, NULL, NULL);
        n->type = TYPE_FLOAT;
    } else if (n->type != TYPE_FLOAT) {
        f = add_failing(b, IR_GUARD_FLOAT, n, NULL);
        refine(b, n, f);
        n = f;
    }
    return add(b, IR_UNBOX, n, NULL, NULL);
}

static struct ir_node *int_to_double(struct builder *b, struct ir_node *n)
{
    struct ir_node *d;

    if (n->op == IR_CONST &&
        int_value(n->value) == (int64_t)(double)int_value(n->value))
        return constant_double(b, (double)int_value(n->value));
    d = add_failing(b, IR_INT_TO_DOUBLE, n, NULL);
    d->index = 1;
    return d;
}

/* An integer on one way, a float on the other. */
static struct ir_node *either_to_double(struct builder *b, struct ir_node *n)
{
    struct ir_block *other =
        split(b, add(b, IR_IS_INT, n, NULL, NULL), true), *to;
    struct ir_node *x, *in[2];

    x = add(b, IR_REFINE, n, NULL, NULL);
    set_class(x, CLS_SMALL_INTEGER);
    in[0] = int_to_double(b, x);
    to = new_block(b, other->is_cold);
    ir_add(b->g, b->block, IR_GOTO, 0, NULL);
    ir_add_edge(b->g, b->block, to);
    b->block = other;
    x = add_failing(b, IR_GUARD_FLOAT, n, NULL);
    in[1] = add(b, IR_UNBOX, x, NULL, NULL);
    ir_add(b->g, b->block, IR_GOTO, 0, NULL);
    ir_add_edge(b->g, b->block, to);
    b->block = to;
    x = ir_add(b->g, to, IR_PHI, 2, in);
    x->rep = REP_DOUBLE;
    return x;
}

static struct ir_node *to_double(struct builder *b, unsigned down,
                                 bool may_be_int)
{
    struct ir_node *n = operand(b, down);

    if (n->type == TYPE_INT)
        return int_to_double(b, n);
    return may_be_int && !is_float(n) ? either_to_double(b, n) : unbox(b, n);
}

static void refuse_zero(struct builder *b, struct ir_node *y)
{
    double d;
    struct ir_node *test;
    struct ir_block *on;

    memcpy(&d, &y->value, sizeof d);
    if (y->op == IR_CONST_DOUBLE && d != 0)
        return;
    test = add(b, IR_FCOMPARE, y, constant_double(b, 0), NULL);
    test->cond = IF_EQUAL;
    on = split(b, test, true);
    fail(b);
    b->block = on;
}

/* May the operand be an integer where the other is a float? Two integers
 * have no float as their result: one of them must be one. */
static bool takes_int(struct builder *b, unsigned down, unsigned other,
                      bool seen)
{
    return seen && operand(b, other)->type != TYPE_INT &&
           !is_float(operand(b, down));
}

static struct ir_node *float_result(struct builder *b,
                                    const struct arithmetic *t,
                                    unsigned seen)
{
    bool left = takes_int(b, 1, 0, seen & ARITH_LEFT_INT);
    bool right = !left && takes_int(b, 0, 1, seen & ARITH_RIGHT_INT);
    struct ir_node *x = to_double(b, 1, left), *y = to_double(b, 0, right);
    struct ir_node *n;

    if (t->float_op == IR_FDIV)
        refuse_zero(b, y);
    n = add(b, t->float_op, x, y, NULL);
    n->cond = t->float_cond;
    return t->float_op == IR_FCOMPARE ? n : add(b, IR_BOX, n, NULL, NULL);
}

/* --- special sends --- */

static const struct arithmetic *special_arithmetic(unsigned index)
{
    unsigned i;

    for (i = 0; i < TABLE_SIZE; i++)
        if (table[i].special == index)
            return &table[i];
    return NULL;
}

static bool may_be_int(const struct ir_node *n)
{
    return !known_class(n) ? n->type != TYPE_FLOAT && n->type != TYPE_BOOLEAN
                           : known_class(n) == CLS_SMALL_INTEGER;
}

static struct ir_node *arithmetic_result(struct builder *b,
                                         const struct arithmetic *t)
{
    struct ir_node *x = operand(b, 1), *y = operand(b, 0);
    oop method = b->scope->method;
    unsigned seen = feedback_of_arithmetic(b->vm, method, b->scope->start,
                                           b->at);
    bool floats = is_float(x) || is_float(y);

    if (x->type == TYPE_INT && y->type == TYPE_INT && t->int_op == IR_COMPARE)
        return int_result(b, t);
    if (seen & ARITH_SENT || feedback_failed(b->vm, method, b->at))
        return NULL;
    if (floats || (seen & ARITH_FLOATS && !(x->type == TYPE_INT &&
                                            y->type == TYPE_INT)))
        return t->float_op != NO_OP && (is_float(x) || may_be_int(x)) &&
                       (is_float(y) || may_be_int(y))
                   ? float_result(b, t, seen) : NULL;
    if (t->int_op == NO_OP || !may_be_int(x) || !may_be_int(y))
        return NULL;
    return int_result(b, t);
}

static bool build_arithmetic(struct builder *b)
{
    const struct arithmetic *t = special_arithmetic(b->op.index);
    struct ir_node *n = t ? arithmetic_result(b, t) : NULL;

    if (!n)
        return false;
    b->env.depth -= 2;
    push(b, n);
    return true;
}

/* Constants are the same object or not, and known classes differ. */
static bool surely_differ(const struct ir_node *x, const struct ir_node *y)
{
    uint32_t a = known_class(x), c = known_class(y);

    return a && c && a != c;
}

static struct ir_node *boolean(struct builder *b, bool value)
{
    return ir_constant(b->g, value ? b->vm->heap.true_ : b->vm->heap.false_);
}

static struct ir_node *identity(struct builder *b, bool same)
{
    struct ir_node *x = operand(b, 1), *y = operand(b, 0), *n;

    if (x == y)
        return boolean(b, same);
    if (surely_differ(x, y))
        return boolean(b, !same);
    n = add(b, IR_IDENTICAL, x, y, NULL);
    n->cond = same ? IF_EQUAL : IF_NOT_EQUAL;
    return n;
}

static struct ir_node *class_of(struct builder *b, struct ir_node *x)
{
    uint32_t known = known_class(x);
    struct ir_block *on;
    struct ir_node *test;

    if (known)
        return ir_constant(b->g, heap_class_at(&b->vm->heap, known));
    if (x->type == TYPE_ANY) {
        test = add(b, IR_IS_CLASS, x, NULL, NULL);
        test->index = CLS_FORWARDER;
        on = split(b, test, true);
        fail(b);
        b->block = on;
    }
    return add(b, IR_CLASS_OF, x, NULL, NULL);
}

/* The first tier does Arrays' in line, without a link: nothing seen means
 * that there was nothing else. */
static bool build_element(struct builder *b, unsigned argc)
{
    struct ir_node *receiver = operand(b, argc), *n;
    oop special = heap_special(&b->vm->heap, SPL_SPECIAL_SELECTORS);
    oop selector = heap_follow(slot(special, 2u * b->op.index));
    oop array = heap_class_at(&b->vm->heap, CLS_ARRAY);
    struct send_feedback f;

    if (receiver->op == IR_OBJECT || !jit_array_access_is_primitive(b->vm))
        return false;
    if (known_class(receiver) != CLS_ARRAY) {
        feedback_of_send(b->vm, b->scope->method, b->scope->start, b->at,
                         &f);
        if (known_class(receiver) || f.seen != SEEN_NOTHING ||
            feedback_failed(b->vm, b->scope->method, b->at))
            return false;
        guard_class(b, receiver, CLS_ARRAY);
    }
    n = build_primitive(b, argc == 1 ? prim_at : prim_at_put, argc);
    if (!n)
        return false;
    add_dependency(b, selector, array, vm_look_up(b->vm, selector, array));
    b->env.depth -= argc + 1;
    push(b, n);
    return true;
}

bool build_special(struct builder *b)
{
    struct ir_node *n;

    switch (b->op.index) {
    case IDENTICAL: case NOT_IDENTICAL:
        n = identity(b, b->op.index == IDENTICAL);
        b->env.depth -= 2;
        push(b, n);
        return true;
    case CLASS:
        n = class_of(b, operand(b, 0));
        b->env.depth--;
        push(b, n);
        return true;
    case ELEMENT:
        return build_element(b, 1);
    case PUT_ELEMENT:
        return build_element(b, 2);
    default:
        return build_arithmetic(b);
    }
}

/* --- elements --- */

static unsigned class_format(const struct builder *b, uint32_t class_index)
{
    oop class = heap_class_at(&b->vm->heap, class_index);

    if (!class_index || !is_pointer(class) ||
        slot_count(class) <= CLASS_FORMAT || !is_int(slot(class,
                                                          CLASS_FORMAT)))
        return 0;
    return (unsigned)int_value(slot(class, CLASS_FORMAT)) & 0x1fffff;
}

bool class_has_slots(const struct builder *b, uint32_t class_index)
{
    unsigned spec = class_format(b, class_index) >> 16;

    return spec >= FMT_FIXED && spec <= FMT_EPHEMERON &&
           spec != FMT_ARRAY && class_index != CLS_CONTEXT;
}

enum shape { SHAPE_NONE, SHAPE_ARRAY, SHAPE_BYTES };

/* Pointers are those of Arrays only: named fields of others may change. */
static enum shape element_shape(const struct builder *b,
                                const struct ir_node *n)
{
    uint32_t class = known_class(n);

    if (n->op == IR_OBJECT)
        return SHAPE_NONE;
    if (class == CLS_ARRAY)
        return SHAPE_ARRAY;
    return class_format(b, class) >> 16 == FMT_BYTES ? SHAPE_BYTES
                                                     : SHAPE_NONE;
}

static struct ir_node *size_word(struct builder *b, struct ir_node *n)
{
    return add(b, element_shape(b, n) == SHAPE_ARRAY ? IR_SLOT_COUNT
                                                : IR_BYTE_COUNT,
               n, NULL, NULL);
}

/* Operand `down` as a word from 0 that is below the size of operand
 * `object`. */
static struct ir_node *element_index(struct builder *b, unsigned down,
                                     unsigned object)
{
    struct ir_node *i = guard_int(b, operand(b, down)), *n;

    n = add(b, IR_WORD_ADD, add(b, IR_UNTAG, i, NULL, NULL), NULL, NULL);
    n->index = -1;
    return add_failing(b, IR_GUARD_BELOW, n,
                       size_word(b, operand(b, object)));
}

static struct ir_node *load_element(struct builder *b, bool string)
{
    enum shape shape = element_shape(b, operand(b, 1));
    struct ir_node *i, *n;

    if (shape == SHAPE_NONE || (string && shape != SHAPE_BYTES))
        return NULL;
    i = element_index(b, 0, 1);
    n = add(b, IR_LOAD_ELEMENT, operand(b, 1), i, NULL);
    if (shape == SHAPE_ARRAY) {
        n->index = 3;
        return n;
    }
    n->rep = REP_WORD;
    return add(b, string ? IR_TAG_CHARACTER : IR_TAG_INT, n, NULL, NULL);
}

/* The value on top as a byte. */
static struct ir_node *byte_to_store(struct builder *b, bool string)
{
    struct ir_node *limit;
    struct ir_node *n =
        guard_class(b, operand(b, 0), string ? CLS_CHARACTER
                                             : CLS_SMALL_INTEGER);

    limit = ir_add(b->g, b->block, IR_CONST_WORD, 0, NULL);
    limit->value = 256;
    return add_failing(b, IR_GUARD_BELOW, add(b, IR_UNTAG, n, NULL, NULL),
                       limit);
}

static struct ir_node *store_element(struct builder *b, bool string)
{
    enum shape shape = element_shape(b, operand(b, 2));
    struct ir_node *i, *value, *n;

    if (shape == SHAPE_NONE || (string && shape != SHAPE_BYTES))
        return NULL;
    i = element_index(b, 1, 2);
    value = shape == SHAPE_ARRAY ? operand(b, 0) : byte_to_store(b, string);
    add_failing(b, IR_GUARD_MUTABLE, operand(b, 2), NULL);
    n = add(b, IR_STORE_ELEMENT, operand(b, 2), i, value);
    n->index = shape == SHAPE_ARRAY ? 3 : 0;
    return operand(b, 0);
}

/* --- new --- */

/* The object that a node certainly is, or 0. */
static oop certain_object(const struct ir_node *n)
{
    while (n->op == IR_REFINE)
        n = n->inputs[0];
    return n->op == IR_CONST || n->op == IR_GUARD_VALUE ? n->value : 0;
}

/* A class that is the value of a variable is taken to stay that. */
static oop certain_class(struct builder *b, unsigned down)
{
    struct ir_node *n = operand(b, down), *load = n, *guard;
    oop class = certain_object(n);

    while (load->op == IR_GUARD_CLASS || load->op == IR_REFINE)
        load = load->inputs[0];
    if (class || load->op != IR_LOAD_SLOT || load->inputs[0]->op != IR_CONST)
        return class;
    class = heap_follow(slot(load->inputs[0]->value, (uint64_t)load->index));
    if (!is_pointer(class) || class_index_of(class) != known_class(n))
        return 0;
    guard = add_failing(b, IR_GUARD_VALUE, n, NULL);
    guard->value = class;
    set_class(guard, class_index_of(class));
    refine(b, n, guard);
    return class;
}

/* Its format may change with its definition. */
static void guard_format(struct builder *b, oop class)
{
    struct ir_node *load = add(b, IR_LOAD_SLOT, ir_constant(b->g, class),
                               NULL, NULL);

    load->index = CLASS_FORMAT;
    add_failing(b, IR_GUARD_VALUE, load, NULL)->value =
        slot(class, CLASS_FORMAT);
}

static struct ir_node *new_instance(struct builder *b)
{
    struct ir_node *nils[IR_MAX_INPUTS], *n;
    oop class = certain_class(b, 0);
    uint32_t index = class && is_pointer(class) ? raw_hash(class) : 0;
    unsigned format, size, i;

    if (!index || index >= b->vm->heap.class_pages * 1024u ||
        heap_class_at(&b->vm->heap, index) != class)
        return NULL;
    format = class_format(b, index);
    size = format & 0xffff;
    if (format >> 16 > FMT_FIXED || size > IR_MAX_INPUTS ||
        index < CLS_HIDDEN_ARRAY)
        return NULL;
    guard_format(b, class);
    for (i = 0; i < size; i++)
        nils[i] = ir_constant(b->g, b->vm->heap.nil);
    n = ir_add(b->g, b->block, IR_NEW, size, nils);
    n->index = (int32_t)index;
    n->format = (uint8_t)(format >> 16);
    set_class(n, index);
    return n;
}

/* --- primitives --- */

static const struct arithmetic *primitive_arithmetic(cached_primitive p)
{
    unsigned i;

    for (i = 0; i < TABLE_SIZE; i++)
        if ((table[i].ints == p && p) || (table[i].floats == p && p))
            return &table[i];
    return NULL;
}

static struct ir_node *number_primitive(struct builder *b,
                                        const struct arithmetic *t,
                                        cached_primitive p)
{
    struct ir_node *x = operand(b, 1), *y = operand(b, 0);

    if (feedback_failed(b->vm, b->scope->method, b->at))
        return NULL;
    if (p == t->ints)
        return x->type == TYPE_INT && may_be_int(y) ? int_result(b, t) : NULL;
    return is_float(x) && (is_float(y) || may_be_int(y))
               ? float_result(b, t, y->type == TYPE_INT ? ARITH_RIGHT_INT : 0)
               : NULL;
}

static struct ir_node *float_function(struct builder *b, cached_primitive p)
{
    struct ir_node *x = operand(b, 0), *test;
    struct ir_block *on;

    if (p == prim_int_as_float)
        return x->type == TYPE_INT
                   ? add(b, IR_BOX, int_to_double(b, x), NULL, NULL) : NULL;
    if (!is_float(x))
        return NULL;
    x = unbox(b, x);
    if (p == prim_float_truncated)
        return add_failing(b, IR_TRUNCATE, x, NULL);
    test = add(b, IR_FCOMPARE, x, constant_double(b, 0), NULL);
    test->cond = IF_BELOW;
    on = split(b, test, true);
    fail(b);
    b->block = on;
    return add(b, IR_BOX, add(b, IR_FSQRT, x, NULL, NULL), NULL, NULL);
}

static struct ir_node *to_character(struct builder *b)
{
    struct ir_node *n = operand(b, 0), *limit;

    if (n->type != TYPE_INT)
        return NULL;
    limit = ir_add(b->g, b->block, IR_CONST_WORD, 0, NULL);
    limit->value = 0x110000;
    n = add_failing(b, IR_GUARD_BELOW, add(b, IR_UNTAG, n, NULL, NULL),
                    limit);
    return add(b, IR_TAG_CHARACTER, n, NULL, NULL);
}

static struct ir_node *to_integer(struct builder *b)
{
    struct ir_node *n = operand(b, 0);

    if (n->type == TYPE_INT)
        return n;
    if (n->type != TYPE_CHARACTER)
        return NULL;
    return add(b, IR_TAG_INT, add(b, IR_UNTAG, n, NULL, NULL), NULL, NULL);
}

static struct ir_node *size_of(struct builder *b)
{
    if (element_shape(b, operand(b, 0)) == SHAPE_NONE)
        return NULL;
    return add(b, IR_TAG_INT, size_word(b, operand(b, 0)), NULL, NULL);
}

bool is_known_primitive(cached_primitive p, unsigned argc)
{
    if (primitive_arithmetic(p))
        return argc == 1;
    if (p == prim_at || p == prim_string_at || p == prim_identical)
        return argc == 1;
    if (p == prim_at_put || p == prim_string_at_put)
        return argc == 2;
    return argc == 0 && (p == prim_size || p == prim_class || p == prim_new ||
                         p == prim_as_character ||
                         p == prim_immediate_as_integer ||
                         p == prim_int_as_float || p == prim_float_sqrt ||
                         p == prim_float_truncated);
}

struct ir_node *build_primitive(struct builder *b, cached_primitive p,
                                unsigned argc)
{
    const struct arithmetic *t = primitive_arithmetic(p);

    if (!is_known_primitive(p, argc))
        return NULL;
    if (t)
        return number_primitive(b, t, p);
    if (p == prim_at || p == prim_string_at)
        return load_element(b, p == prim_string_at);
    if (p == prim_at_put || p == prim_string_at_put)
        return store_element(b, p == prim_string_at_put);
    if (p == prim_identical)
        return identity(b, true);
    if (p == prim_class)
        return class_of(b, operand(b, 0));
    if (p == prim_size)
        return size_of(b);
    if (p == prim_new)
        return new_instance(b);
    if (p == prim_as_character)
        return to_character(b);
    if (p == prim_immediate_as_integer)
        return to_integer(b);
    return float_function(b, p);
}
