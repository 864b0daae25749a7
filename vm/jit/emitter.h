/*
 * emitter.h - the second tier's back end: what ir_alloc.c, ir_regs.c,
 * ir_emit*.c and ir_exits.c share.
 *
 * Registers are chosen while code is written, block after block. A value is
 * in a register, or in its place in the frame, or in both (the register is
 * `clean` then); no register survives a send. What lives across a send of its
 * own loop level is stored when it is computed; other values only when
 * their register is wanted. Which values need a slot is known when all is
 * emitted, so it is emitted again with the slots that the first pass asked
 * for.
 *
 * The register rsp is the top of the stack, rbp the frame, rbx the vm; r10,
 * r11, xmm0 and xmm1 are for use within an operation.
 */
#pragma once

#include "vm/jit/deopt.h"
#include "vm/jit/ir_private.h"

enum { XMM = 16, NUM_REGS = 32 }; /* xmm0 is register 16 */

/* What registers hold. */
struct held {
    struct ir_node *node[NUM_REGS];
    uint32_t clean; /* the place in memory has it, too */
};

struct emitter;

struct value_info { /* of a node, by its id */
    uint8_t own_states; /* links of its state that nobody behind it in the
                           block has: it is their last user */
    bool fused;     /* a test that the branch after it makes */
    bool stored;    /* to its slot when it is computed */
    bool needs_slot;
    int8_t hint;    /* a register it will be wanted in, -1 */
    uint16_t pushed; /* while a place is described: 1 + the slot it is in */
    uint32_t uses, remaining; /* in all; in what is left of the block */
    uint32_t code;  /* offset of its instructions, for the listing */
    uint32_t from, to; /* positions between which it lives */
};

struct block_info {
    uint64_t *live_in, *live_out; /* sets by node->number */
    uint64_t *want;  /* of live_in: used before any send */
    struct label label;
    bool entered;    /* `held` is known */
    struct held held;
    uint32_t from, to;
};

/* Code that stands behind everything else. */
struct later {
    void (*emit)(struct emitter *e, struct later *l);
    struct label in, out;
    struct ir_node *node;
    struct held held;
    uint32_t needed;   /* registers with what is nowhere else */
    enum reg x, y;
    struct mem place;  /* of a store */
    int32_t constant;
    uint64_t header;   /* of a new object */
    bool undo;         /* an addition in place that overflowed */
    struct label *yes, *no;
    struct later *next;
};

struct constant { /* a word behind the code */
    uint64_t word;
    struct label label;
    struct constant *next;
};

struct emitter {
    struct vm *vm;
    struct jit *j;
    struct assembler a;
    struct ir_graph *g;
    struct value_info *info;
    struct block_info *blocks;
    struct ir_block **order;  /* in which they are emitted */
    struct ir_node **numbered; /* nodes by their numbers */
    uint64_t *wanted_uses;     /* of each block, before any send */
    uint64_t *scratch_set;
    unsigned set_words, num_numbers;
    unsigned frame_temps, num_oop_slots, num_raw_slots, num_operands;
    struct held now;
    uint32_t locked;          /* registers of the operation */
    struct ir_block *block, *next_block;
    struct ir_node *at;       /* the operation */
    struct later *laters, **last_later, *spare_laters;
    struct later *last_exit;  /* which others of its state may share */
    struct label *not_boolean; /* of a guard that the branch after it makes */
    struct constant *pool, **last_pool;   /* oops */
    struct constant *words, **last_word;  /* not oops */
    unsigned pool_count;
    struct point *points;
    struct deopt_place *places;
    struct deopt_frame *frames;
    struct deopt_object *objects;
    struct where *wheres;
    unsigned num_points, num_frames, num_objects, num_wheres;
    unsigned points_room, places_room, frames_room, objects_room, wheres_room;
    uint32_t end_of_blocks;
    bool failed;
    bool again;               /* another pass is needed */
};

/* --- ir_alloc.c: what lives where --- */

/* Lists blocks in their order, joins tests with branches, finds out what
 * lives. False: no memory. */
bool alloc_prepare(struct emitter *e);
/* Gives slots to all values that need one. */
void alloc_slots(struct emitter *e);

/* The node whose value it is: guards answer what they are given. */
static inline struct ir_node *value_of(struct ir_node *n)
{
    return n->same_as ? n->same_as : n;
}
static inline struct value_info *info_of(const struct emitter *e,
                                         const struct ir_node *n)
{
    return &e->info[n->id];
}
static inline bool is_constant(const struct ir_node *n)
{
    return n->op == IR_CONST || n->op == IR_CONST_WORD ||
           n->op == IR_CONST_DOUBLE;
}
/* Is it neither a constant nor an object that is not made? */
static inline bool is_value(const struct ir_node *n)
{
    return !is_constant(n) && n->op != IR_OBJECT && n->op != IR_CONTEXT;
}
static inline bool in_set(const uint64_t *set, const struct ir_node *n)
{
    return n->number && set[n->number / 64] >> (n->number % 64) & 1;
}
/* The value of a set with the next higher number, or NULL. */
struct ir_node *next_in(const struct emitter *e, const uint64_t *set,
                        unsigned number);
/* Values that the loop of a header wants in registers, in scratch_set. False:
 * it sends, so that nothing stays in registers. */
bool find_loop_uses(struct emitter *e, const struct ir_block *header);
/* Shows each value that a node needs: its inputs; what a state holds. */
typedef void (*value_visitor)(struct emitter *e, struct ir_node *v,
                              void *data);
void visit_state_values(struct emitter *e, const struct ir_state *s,
                        value_visitor visit, void *data);
/* Inputs, and of the state, which nodes share, what is its own to use up. */
void visit_uses(struct emitter *e, struct ir_node *n, value_visitor visit,
                void *data);
/* Is it in the frame from the beginning: receiver, closure, argument? */
bool has_place(const struct emitter *e, const struct ir_node *n);

/* --- ir_regs.c: registers --- */

/* Starts with what the block's predecessor left. */
void regs_enter(struct emitter *e, struct ir_block *b);
/* Where a value is in memory; asks for a slot. */
struct mem place_of(struct emitter *e, struct ir_node *n);
/* The value in a register that must not be changed, xmm ones numbered from
 * 0. It stays there until the operation is complete. */
unsigned use(struct emitter *e, struct ir_node *n);
/* The register that has it now, or -1. */
int reg_of(const struct ir_node *n);
/* A register for the operation's result: `prefer` if nothing is there. Both
 * are numbers as in `held`, -1: none. */
unsigned define(struct emitter *e, struct ir_node *n, int prefer);
/* The node's inputs are used for the last time, if they are. */
void release(struct emitter *e, struct ir_node *n);
/* The result is computed. */
void finish(struct emitter *e, struct ir_node *n);
/* Empties a register for the operation, moving what must live. */
void claim(struct emitter *e, enum reg r);
/* Is nothing left of it when node n is done? */
bool dies_at(struct emitter *e, const struct ir_node *v, struct ir_node *n);
/* Loads into a register that is nobody's or one that `held` gives it. */
void load(struct emitter *e, unsigned r, struct ir_node *n);
void load_oop(struct emitter *e, enum reg r, oop o);
/* Pushes an oop as registers are now, or were. */
void push_oop(struct emitter *e, oop o);
void push_held(struct emitter *e, const struct held *held,
               struct ir_node *n);
/* All that lives behind the call goes to memory, no register holds anything.
 * Releases the call's inputs. */
void regs_to_memory(struct emitter *e, struct ir_node *call);
/* Passes the registers on to successors of a branch. */
void regs_branch(struct emitter *e, struct ir_block *to);
/* Moves everything to where the successor expects it, phis too. */
void regs_goto(struct emitter *e, struct ir_block *to);

/* --- ir_exits.c: code behind the code; deoptimisation tables --- */

struct later *new_later(struct emitter *e,
                        void (*emit)(struct emitter *, struct later *));
/* Deoptimises in n's state, as registers are now. */
struct label *exit_of(struct emitter *e, struct ir_node *n);
/* The same, shared with nobody. */
struct later *new_exit(struct emitter *e, struct ir_node *n);
void emit_safepoint(struct emitter *e, struct ir_node *n);
void emit_laters(struct emitter *e);
/* The code just emitted ended in a call; `s` is what can be seen there. */
void add_place(struct emitter *e, enum point_kind kind,
               const struct ir_state *s, unsigned selector, unsigned argc,
               unsigned class);
/* The call of a prologue, where nothing is but arguments. */
void add_entry_place(struct emitter *e, unsigned copied);
struct label *pool_oop(struct emitter *e, oop o, unsigned *index);
struct label *pool_word(struct emitter *e, uint64_t word);

/* --- operations --- */

/* Each file's operations; false: not one of them. */
bool emit_integer(struct emitter *e, struct ir_node *n);
bool emit_double(struct emitter *e, struct ir_node *n);
bool emit_memory(struct emitter *e, struct ir_node *n);
bool emit_test_node(struct emitter *e, struct ir_node *n);
/* Jumps to one of two labels; `follows` is the one that comes next. */
void emit_jump_if(struct emitter *e, struct ir_node *n, struct label *yes,
                  struct label *no, struct label *follows);
