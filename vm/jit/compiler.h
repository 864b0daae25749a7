/*
 * compiler.h - one compilation: what jit_compile.c, jit_ops.c, jit_arith.c
 * and jit_prims.c share.
 *
 * Operands are not pushed when a bytecode says so but remembered: a constant,
 * a temp, a register. The lowest `spilled` ones are in memory, on the real
 * stack. At places where control meets, all are; but the top is in rax if it
 * is the value of an expression with two branches. Before anything that may
 * call, collect or be looked at, `spill` puts there what is not an operand
 * of it. An operation does not change the registers of its operands, so its
 * slow path finds them as they were.
 */
#pragma once

#include "vm/jit/jit_private.h"

enum { MAX_POOL = 400 };
#define RECEIVER_REG R12

enum value_kind {
    VALUE_STACK,   /* in memory, where the interpreter would have it */
    VALUE_REG,
    VALUE_OOP,     /* a constant that is no pointer */
    VALUE_HEAP,    /* nil, true or false: `at` is its place in the heap */
    VALUE_POOL,    /* literal `at` of the pool */
    VALUE_TEMP,    /* temp `at` */
    VALUE_SELF,
};

struct value {
    uint8_t kind, reg;
    uint32_t at;
    oop oop;
};

/* The rare part of an operation; it stands behind the method's code. */
struct slow {
    void (*emit)(struct compiler *c, struct slow *s);
    struct label in, out;
    enum reg x, y, result;  /* operands and result */
    struct mem place;       /* of a store */
    struct value constant;  /* an operand that is in no register */
    uint32_t at;            /* the operation's bytecode */
    uint32_t index, next;   /* next: bytecode after the operation */
    uint32_t before;        /* ... before the jump that is joined to it */
    uint32_t target;        /* of the conditional jump joined to it, 0: none */
    uint8_t jump;           /* OP_JUMP_TRUE or OP_JUMP_FALSE then */
    bool pushes;            /* a store that leaves its value */
    bool self_valid;        /* RECEIVER_REG is counted on behind it */
};

struct compiler {
    struct vm *vm;
    struct jit *j;
    struct jit_code *code;    /* what is being made */
    uint8_t *base;            /* where it will be */
    struct assembler a;
    oop method;
    uint32_t from, limit;     /* bytecode offsets */
    bool embedded, is_block;
    int copied;
    unsigned num_temps, num_args;
    struct place *places;     /* by bytecode offset */
    struct label *labels;
    struct op op;             /* the one being compiled */
    uint32_t at;
    bool live;                /* control can come here */
    struct value stack[MAX_DEPTH + 2];
    int depth, spilled;
    uint32_t locked;          /* registers in use by this operation */
    bool self_valid;          /* RECEIVER_REG holds the receiver */
    struct slow *slows;
    unsigned num_slows, slows_room;
    struct point *points;
    unsigned num_points, points_room;
    struct { oop oop; struct label label; } pool[MAX_POOL];
    unsigned pool_count;
    struct label body;        /* behind the prologue */
    bool failed;
};

/* --- jit_compile.c: operands --- */

enum reg take_reg(struct compiler *c);
void push_value(struct compiler *c, struct value v);
void push_reg(struct compiler *c, enum reg r);
/* The value `down` below the top. */
struct value *value_at(struct compiler *c, int down);
/* All but the topmost `keep` operands go to memory. */
void spill(struct compiler *c, int keep);
/* Pops the top into some register, which must not be changed. */
enum reg pop_reg(struct compiler *c);
void pop_into(struct compiler *c, enum reg r);
void load_value(struct compiler *c, enum reg r, const struct value *v);
void drop(struct compiler *c);
/* The receiver in RECEIVER_REG. */
enum reg load_self(struct compiler *c);
/* Operands are where they are expected at a place that control comes to. */
void settle(struct compiler *c, const struct place *p);
/* Does the top hold a SmallInteger that fits an instruction? */
bool is_small_constant(const struct value *v, int32_t *constant);
struct label *pool_label(struct compiler *c, oop o);
struct mem temp_place(struct compiler *c, uint32_t i);

/* --- jit_compile.c: the rest --- */

struct slow *new_slow(struct compiler *c,
                      void (*emit)(struct compiler *c, struct slow *s));
/* The code just emitted ended in a call. */
void add_point(struct compiler *c, enum point_kind kind, uint32_t bytecode,
               uint32_t selector, uint32_t argc);
/* A send whose receiver is in rdx; everything else is on the stack. */
void emit_send(struct compiler *c, enum point_kind kind, uint32_t selector,
               uint32_t argc, uint32_t bytecode);
/* Forgets what registers hold: after a call. */
void forget_registers(struct compiler *c);
/* The next bytecode, if it is a conditional jump that can be joined to the
 * current one; then it is taken to be compiled. */
bool join_jump(struct compiler *c, struct op *jump);
/* Jumps according to the Boolean in `r`; behind it control goes on. */
void emit_branch(struct compiler *c, enum reg r, uint8_t kind,
                 uint32_t target, uint32_t next);

/* Counts down, and jumps when there is nothing left. Spoils r10. */
void emit_count(struct compiler *c, const int64_t *left, struct label *none);

/* --- jit_ops.c --- */

void compile_op(struct compiler *c);

/* The oop in x was stored into the object in y. */
void emit_barrier(struct compiler *c, enum reg x, enum reg y, struct mem at);
/* Pops a value to be stored into a register that may stay an operand. May it
 * be young? */
enum reg pop_stored(struct compiler *c, bool *young);

/* --- jit_arith.c --- */

/* False: it is an ordinary send. */
bool compile_special(struct compiler *c);

/* --- jit_alloc.c: objects in eden; `no`, or slow->in, is where C does it.
 * Results are in rax. --- */

/* Of methods: answers the new instance. */
void compile_new(struct compiler *c, struct label *no);
void compile_new_with(struct compiler *c, struct label *no);
/* Of operations, operands popped. False: not so simple, nothing is done. */
bool compile_new_array(struct compiler *c, struct slow *s);
bool compile_full_block(struct compiler *c, struct slow *s);
/* ... whose body begins at s->at. */
bool compile_block(struct compiler *c, struct slow *s);
/* The context of a frame that returns. */
bool compile_widow(struct compiler *c, struct label *no);

/* --- jit_prims.c --- */

/* The primitive that a method begins with, if any; what follows is run when
 * it has failed, entered like the method. */
void compile_primitive(struct compiler *c);
/* The same for a method that does nothing but set an instance variable. */
void compile_setter(struct compiler *c);
