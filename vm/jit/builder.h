/*
 * builder.h - from bytecodes to a graph: what ir_build.c, ir_flow.c,
 * ir_objects.c, ir_inline.c and ir_prims.c share.
 *
 * The builder runs a method's bytecodes with nodes instead of values. A scope
 * is an activation: the method's own, and one for each method or block that
 * is inlined, built while its caller's send is. The environment is what the
 * running scope's temps and operands hold, and the fields of the objects that
 * are not made; those of its callers stand still meanwhile, in states.
 *
 * An object that turns out to be needed, or a scope that cannot be inlined
 * after all, is noted by its key, and the graph is built from the start.
 */
#pragma once

#include "vm/jit/feedback.h"
#include "vm/jit/ir_private.h"

enum {
    MAX_OBJECTS = 64,      /* that a state has, not made */
    MAX_NOTES = 256,
    MAX_REBUILDS = 12,
    MAX_CODE_BYTES = 4000, /* of a method */
    MAX_INLINE_BYTES = 60, /* of one that is inlined */
    MAX_INLINE_WITH_BLOCK = 160, /* ... and is given a block */
    MAX_INLINE_NODES = 1000,     /* in the graph, to go on inlining */
    MAX_RECURSION = 2,           /* what runs is inlined so often once more */
    MAX_RECURSIVE_NODES = 300,   /* ... while there are so few, */
    MAX_RECURSIVE_BYTES = 50,    /* and if it is as short as that: a first run
                                    waits for more than it gains */
};

struct env {
    struct ir_node **values;   /* temps, then operands; of a fixed size */
    unsigned depth;            /* operands */
    struct ir_object *objects; /* never changed in place, nor their fields */
    unsigned num_objects;
};

/* Control on its way to where it meets others. */
struct edge {
    struct edge *next;
    struct ir_block *from;
    struct env env;
    struct ir_node *value;     /* an answer, or NULL */
};

/* A place in a scope where control meets. */
struct meeting {
    struct meeting *next;
    uint32_t at;
    struct edge *edges;
    struct ir_block *block;    /* made already: a loop, or the like */
    struct env env;            /* as it was then */
};

/* What is run: a method, or a block with so many values. An embedded block's
 * own temps are operands like others. */
struct piece {
    oop method;
    uint32_t start;            /* of an embedded block; else 0 */
    unsigned num_args, num_copied;
};

/* Bytecodes, decoded once for all scopes that run them. */
struct body {
    struct body *next;
    oop method;
    uint32_t start;            /* of an embedded block; else 0 */
    unsigned num_temps, depth; /* at most, before any bytecode */
    uint32_t from, limit;
    struct place *places;      /* by offset */
    struct op *ops;            /* by offset behind `from`, where reached */
    uint64_t *live;            /* temps that will be read; made when asked */
    bool is_buildable;
};

struct scope {
    struct scope *caller;
    struct scope *home;        /* where "^" returns from; NULL: not here */
    oop method;
    uint32_t start;            /* of an embedded block; else 0 */
    struct ir_node *receiver, *closure;
    struct ir_state *caller_state;
    uint64_t key;              /* of the send that it stands for */
    unsigned level;            /* 0: the frame's own */
    unsigned num_temps;
    struct body *body;
    struct meeting *meetings;  /* found so far */
    struct edge *exits;        /* what is returned */
};

/* What an environment of the scope may hold: a bytecode pushes one. */
static inline unsigned scope_room(const struct scope *s)
{
    return s->num_temps + s->body->depth + 2;
}
static inline bool is_reached(const struct scope *s, uint32_t at)
{
    return s->body->places[at].depth >= 0;
}
static inline const struct op *op_at(const struct scope *s, uint32_t at)
{
    return &s->body->ops[at - s->body->from];
}

/* What an IR_OBJECT is. */
struct unmade {
    struct ir_node *node;
    struct scope *scope;       /* that makes it */
    uint64_t key;
    bool is_mutable;
};

struct builder {
    struct vm *vm;
    struct ir_graph *g;
    struct body *bodies;
    struct scope *scope;
    struct ir_block *block;    /* where nodes go; NULL: not reached */
    struct env env;
    struct op op;
    uint32_t at;
    struct ir_state *before;   /* the state before op, once made */
    bool all_meet;             /* every target of the root may be met late */
    bool useless;              /* something was made that must not be */
    bool again;                /* something was noted: build once more */
    struct unmade unmade[MAX_OBJECTS];
    unsigned num_unmade;
    uint64_t *notes;
    unsigned num_notes;
};

/* --- ir_build.c --- */

/* Describes a scope's body and verifies it; false: not for this compiler. */
bool scope_prepare(struct builder *b, struct scope *s,
                   const struct piece *piece);
void scope_run(struct builder *b, uint32_t from, uint32_t to);
/* Operands: from the top, 0. */
struct ir_node *operand(const struct builder *b, unsigned down);
void push(struct builder *b, struct ir_node *n);
struct ir_node *pop(struct builder *b);
/* Nodes in the current block. */
struct ir_node *add(struct builder *b, enum ir_op op, struct ir_node *x,
                    struct ir_node *y, struct ir_node *z);
/* ... that deoptimise in the state before the bytecode. */
struct ir_node *add_failing(struct builder *b, enum ir_op op,
                            struct ir_node *x, struct ir_node *y);
/* Like x, but known better; whoever holds x holds that from now on. */
struct ir_node *guard_class(struct builder *b, struct ir_node *x,
                            uint32_t class_index);
struct ir_node *guard_int(struct builder *b, struct ir_node *x);
/* Everybody in the environment who holds `old` holds `new`. */
void refine(struct builder *b, struct ir_node *old, struct ir_node *new);
/* `n` is of that class: its type says so. */
void set_class(struct ir_node *n, uint32_t class_index);
/* The class index that is known of a value, or 0. */
uint32_t known_class(const struct ir_node *n);
void fail(struct builder *b);   /* control does not come here */
/* Splits control by a Boolean: goes on where it is `sense`; the other side's
 * block is answered. */
struct ir_block *split(struct builder *b, struct ir_node *boolean,
                       bool sense);

/* --- ir_flow.c --- */

struct ir_state *state_at(struct builder *b, uint32_t bytecode,
                          unsigned dropped);
struct ir_state *state_before(struct builder *b);
struct ir_block *new_block(struct builder *b, bool is_cold);
void copy_env(struct builder *b, struct env *to, const struct env *from);
/* Control goes from the current block to a place of the scope. */
void go_to(struct builder *b, uint32_t target);
/* Control arrives at a place that is a target. */
void meet(struct builder *b, uint32_t at);
void add_exit(struct builder *b, struct edge **exits, struct ir_node *value);
/* Control goes on where these come together; answers the value; the rest of
 * the environment is the current one, but for objects. */
struct ir_node *join(struct builder *b, struct edge *exits);
void remove_trivial_phis(struct ir_graph *g);

/* --- ir_objects.c --- */

uint64_t key_of(const struct scope *s, uint32_t at, uint64_t what);
bool is_noted(const struct builder *b, uint64_t key);
void note(struct builder *b, uint64_t key);
/* The object is needed after all. */
void escape(struct builder *b, struct ir_node *object);
const struct unmade *unmade_of(const struct builder *b,
                               const struct ir_node *object);
struct ir_object *find_object(const struct env *e, const struct ir_node *id);
struct ir_node *field_of(struct builder *b, const struct ir_node *object,
                         unsigned i);
void set_field(struct builder *b, struct ir_node *object, unsigned i,
               struct ir_node *value);
void build_new_array(struct builder *b);
void build_full_block(struct builder *b);
void build_block(struct builder *b);
/* What a closure runs, made or not yet. */
struct piece closure_piece(const struct builder *b,
                           const struct ir_object *closure);
/* A closure whose scope was left, but which is there still, means that the
 * scope must not be inlined. */
void check_survivors(struct builder *b);

/* --- ir_inline.c --- */

void build_send(struct builder *b);  /* of any kind, but special ones */
/* The graph takes it for granted that the lookup finds the method. */
void add_dependency(struct builder *b, oop selector, oop class, oop method);

/* --- ir_prims.c --- */

/* A special send that is not an ordinary one; false: it is. */
bool build_special(struct builder *b);
/* Can build_primitive do something about it? */
bool is_known_primitive(cached_primitive p, unsigned argc);
/* The operands are a receiver, whose class is known, and arguments of a
 * method with that primitive: answers what it would, nothing popped; NULL:
 * not for this receiver, and nothing was made. */
struct ir_node *build_primitive(struct builder *b, cached_primitive p,
                                unsigned argc);
/* Do the instances of a class have named slots, in memory? */
bool class_has_slots(const struct builder *b, uint32_t class_index);
