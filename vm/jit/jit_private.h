/*
 * jit_private.h - what the files of vm/jit share.
 *
 * From bytecodes to running code:
 *   jit_decode.c   both bytecode sets as one list of operations, verified
 *   jit_compile.c  the simulated operand stack, prologues, the whole piece
 *   jit_ops.c      the code of each operation
 *   jit_arith.c    ... of arithmetic and comparison
 *   jit_alloc.c    ... that makes an object
 *   jit_prims.c    ... of methods that begin with a primitive
 *   asm_x64.c      instructions as bytes
 *   jit_stubs.c    code that all methods share; going in and out of C
 *   jit_send.c     inline caches
 *   jit_links.c    ... which are linked, and to what
 *   jit_runtime.c  what machine code calls in C
 *   jit_frames.c   native and bytecode pcs; interpreted frames taken over
 *   jit_zone.c     memory of code, finding and forgetting it, the collector
 *   jit_debug.c    listing and counters
 *   tier2.c        when the second tier (ir.h) has a method, and till when
 *   feedback.c     what code has met, for the second tier
 *   deopt.c        from optimised frames back to the interpreter's
 *
 * Registers in machine code: rsp is the Smalltalk stack pointer, rbp the
 * frame, rbx the vm; r12 may hold the receiver; all others are scratch. A
 * call has its receiver in rdx and its cache tag in ecx and answers in rax,
 * receiver and arguments popped. C runs on its own stack (vm->c_sp).
 */
#pragma once

#include "vm/frame.h"
#include "vm/jit/asm_x64.h"
#include "vm/jit/jit.h"

enum {
    CODE_BUCKETS = 4096,
    COUNTERS = 8192,
    BLOCK_CACHE = 1024,
    PIC_CASES = 6,
    ARITHMETIC_SEEN = 1 << 18, /* bytes of feedback.h */
    FAILED_PLACES = 1 << 14,
    TRIES = 1 << 12,
    IN_POOLS = 1 << 14,
    LINK_LISTS = 1 << 11,
    THRESHOLD_DEFAULT = 24, /* activations before a method is compiled */
    MAX_DEPTH = 100,        /* operands of a compiled frame */
};

/* Where in a method's machine code C or another frame can be active. */
enum point_kind {
    POINT_RESUME,  /* nothing awaited: the value popped on entry is pushed */
    POINT_CALL,    /* after a call of the runtime */
    POINT_SEND,    /* sends: `selector` is a literal's number */
    POINT_SUPER,
    POINT_SPECIAL, /* a send whose selector is a special one */
    POINT_EXIT,    /* a call that goes on in the interpreter */
};

struct compiler;
struct optimised; /* deopt.h */

/* In optimised code, which knows no bytecodes of its own, `selector` is a
 * place in the pool, and `bytecode` of a super send that of the class whose
 * superclass it starts in. */
struct point {
    uint32_t native;   /* offset of the return address in the code */
    uint32_t bytecode; /* offset in the body of what is executed next */
    uint8_t kind;
    uint8_t argc;
    uint16_t selector;
    uint32_t hash;     /* of the selector while linked, else 0 */
};

enum code_kind { CODE_METHOD, CODE_PIC, CODE_MEGAMORPHIC, CODE_REFUSED };

/* A piece of machine code. */
struct jit_code {
    enum code_kind kind;
    oop method;         /* or block; of a megamorphic stub: the selector */
    uint32_t start;     /* offset of an embedded block's body; 0: none */
    int copied;         /* values that a block's closure must have; -1 */
    uint8_t *base;      /* executable address */
    uint32_t bytes;
    uint8_t *checked;   /* entry that compares the receiver's class to ecx */
    uint8_t *entry;
    oop *pool;          /* writable; pool[0] is method */
    unsigned pool_count, num_points, cases; /* cases: of a PIC */
    struct point *points;
    bool young;         /* the pool may have young oops */
    bool forgotten;     /* nothing new may run it */
    struct optimised *optimised; /* of the second tier's code, else NULL */
    struct jit_code *other; /* the other tier's, installed in its place */
    uint8_t *frame_entry;   /* where the first tier's code makes its frame */
    uint8_t saved[5];       /* what was there before a jump to the other */
    int64_t calls_left, loops_left; /* before the second tier is asked */
    unsigned asked;        /* how often it was */
    struct jit_code *next; /* in its bucket */
    struct jit_code *next_optimised; /* in jit->optimised */
    uint32_t called_as;     /* hash of the selector that linked sends have */
    bool called_variously;  /* the last of several */
};

struct jit_stubs {
    uint8_t *enter;          /* void (struct vm *): called from C */
    uint8_t *resume;         /* after C: on with the vm's registers */
    uint8_t *activate;       /* the same, in another frame */
    uint8_t *miss;           /* a send's cache does not fit */
    uint8_t *return_to_interpreter;
    uint8_t *primitive;      /* rax: function, rcx: method, esi: argc,
                                rdx: code of the body, or 0 */
    uint8_t *safepoint, *safepoint_no_switch;
    uint8_t *return_slow, *block_return_slow; /* rsi: the answer */
    uint8_t *must_be_boolean; /* rsi: the value */
    uint8_t *interpret;      /* the bytecode of this point */
    uint8_t *read_only;      /* rsi object, rdx value, rcx index */
    uint8_t *barrier, *widow, *identical, *class_of, *follow; /* leaves */
    uint8_t *hot_call, *hot_loop; /* asks the second tier */
    uint8_t *box, *new_filled, *new_nils; /* leaves of optimised code */
    uint8_t *deopt;          /* leaves optimised code for the interpreter */
    uint8_t *context;        /* thisContext */
    uint8_t *process;
    uint8_t *full_block;     /* rsi: literal, rdx: flags; pops */
    uint8_t *block;          /* rsi: args, rdx: copied, rcx: body; pops */
    uint8_t *new_array;      /* rsi: size, rdx: filled; pops */
    uint8_t *slot_mediated;  /* rsi: index */
    uint8_t *store_mediated; /* rsi: index, rdx: value */
    uint8_t *super_above;    /* rsi: the class below */
    uint8_t *run_block;      /* rdx: closure that fits no code */
    /* r10 op r11, by special selector: r10 is the result or 0 */
    uint8_t *arithmetic[16];
};

struct jit {
    uint8_t *exec, *write;   /* the zone's two addresses */
    uint32_t used, stubs_end;
    struct jit_code **codes; /* in the order of their addresses */
    unsigned num_codes, codes_room;
    struct jit_code *buckets[CODE_BUCKETS];
    uint8_t counters[COUNTERS];
    /* Blocks that have code, by block_cache_index: machine code looks here. */
    struct block_entry {
        oop block;
        uint8_t *entry;
    } block_cache[BLOCK_CACHE];
    struct jit_stubs stubs;
    unsigned threshold;
    bool second_tier;        /* count for it, and have it */
    uint8_t arithmetic_seen[ARITHMETIC_SEEN]; /* feedback.h */
    uint8_t failed[FAILED_PLACES];
    struct tries {
        uint8_t tag, count;
    } tries[TRIES];          /* to optimise; tier2.c */
    uint8_t in_pools[IN_POOLS]; /* by address: methods in optimised code */
    struct link *links;      /* jit_links.c */
    unsigned num_links, links_room;
    uint32_t free_links, link_lists[LINK_LISTS]; /* by selector */
    struct jit_code *optimised; /* pieces of the second tier that may run */
    struct ir_chunk *spare_chunks; /* ir.c */
    unsigned num_spare_chunks;
    bool array_access_inlined; /* code counts on Array's at: and at:put: */
    uint64_t epoch;          /* counts flushes */
    int64_t credit;          /* tier2.c: for compiling */
    uint64_t credited_at;
    uint64_t replaced_at;    /* when a method with code was, last */
    struct jit_stats {
        uint64_t compiled, refused, flushes, forgotten, loops, taken_over;
        uint64_t misses, links, pics, megamorphic, unlinks, code_bytes;
        uint64_t compile_usecs;
        uint64_t optimised, not_optimised, optimise_usecs, loops_entered;
        uint64_t guards_failed, deoptimised, optimised_forgotten;
        uint64_t inlined;     /* sends that optimised code does not make */
    } stats;
};

/* What a block is known by: a full one is an object, an embedded one an
 * address inside its method. */
static inline oop block_key(oop method, uint32_t start)
{
    return start ? method + start + 1 : method;
}
static inline uint32_t block_cache_index(oop key)
{
    return (uint32_t)(key >> 3 ^ key) & (BLOCK_CACHE - 1);
}
static inline uint8_t *writable(const struct jit *j, const uint8_t *exec)
{
    return j->write + (exec - j->exec);
}

/* --- jit_zone.c --- */

/* Room for `bytes` of code, or NULL: full. */
uint8_t *zone_take(struct vm *vm, uint32_t bytes);
/* Gives back what a piece did not use. */
void zone_end(struct vm *vm, const uint8_t *end);
/* Enters a new piece, which the zone then owns. False: no memory. */
bool zone_add(struct vm *vm, struct jit_code *code);
/* The piece that an address lies in; NULL: none (a stub). */
struct jit_code *zone_at(const struct vm *vm, const uint8_t *address);
/* The first tier's code of a method, or an embedded block in it; NULL:
 * none. */
struct jit_code *zone_find(struct vm *vm, oop method, uint32_t start);
/* The second tier's for the loop at a bytecode. */
struct jit_code *zone_find_loop(struct vm *vm, oop method, uint32_t at);
/* Nobody finds it any more; frames that run it finish in it. */
void zone_hide(struct vm *vm, struct jit_code *code);
/* ... there are none: it refers to nothing any more. */
void zone_empty(struct vm *vm, struct jit_code *code);

/* --- jit_decode.c --- */

enum op_kind {
    OP_REFUSED, OP_NOP,
    OP_PUSH_SLOT, OP_PUSH_SLOT_MEDIATED, OP_PUSH_TEMP, OP_PUSH_LITERAL,
    OP_PUSH_VARIABLE, OP_PUSH_SELF, OP_PUSH_NIL, OP_PUSH_TRUE, OP_PUSH_FALSE,
    OP_PUSH_VALUE, OP_PUSH_CONTEXT, OP_PUSH_PROCESS, OP_DUP, OP_POP,
    OP_PUSH_REMOTE, OP_STORE_REMOTE,
    OP_STORE_SLOT, OP_STORE_SLOT_MEDIATED, OP_STORE_TEMP, OP_STORE_VARIABLE,
    OP_NEW_ARRAY, OP_BLOCK, OP_FULL_BLOCK,
    OP_JUMP, OP_JUMP_TRUE, OP_JUMP_FALSE,
    OP_SEND, OP_SUPER, OP_SUPER_ABOVE, OP_SPECIAL,
    OP_RETURN, OP_BLOCK_RETURN, /* of the top */
    OP_RETURN_SELF, OP_RETURN_TRUE, OP_RETURN_FALSE, OP_RETURN_NIL,
    OP_BLOCK_RETURN_NIL,
};

/* Special selectors by number, as in SPL_SPECIAL_SELECTORS. */
enum special {
    PLUS = 0, MINUS, LESS, GREATER, LESS_EQUAL, GREATER_EQUAL, EQUAL,
    NOT_EQUAL, TIMES, DIVIDE, MODULO, MAKE_POINT, BIT_SHIFT, QUOTIENT,
    BIT_AND, BIT_OR, ELEMENT, PUT_ELEMENT, IDENTICAL = 22, CLASS = 23,
    NOT_IDENTICAL = 24,
};

/* One bytecode with its extensions, whichever set it is of. */
struct op {
    uint8_t kind;
    bool pops;       /* a store that pops */
    uint32_t index;  /* slot, temp, literal, special number, array size */
    uint32_t n;      /* arguments of a send, the temp of a remote one,
                        copied values of a block; filled: of an array */
    uint32_t args;   /* of a block */
    uint32_t next;   /* offset of the bytecode after it */
    uint32_t target; /* of a jump; end of an embedded block's body */
    oop value;       /* OP_PUSH_VALUE */
};

struct op jit_decode(oop method, uint32_t at);
/* Arguments of a special selector. */
uint32_t special_args(uint32_t i);
/* Operands that an operation takes and leaves. */
int op_pops(const struct op *op);

/* What verification learns of the bytecode at an offset. */
struct place {
    int16_t depth;   /* operands before it; -1: never reached */
    bool is_target, is_loop;
    bool is_branched; /* a conditional jump comes here */
};

/* Verifies a method's body from offset `from` (an embedded block's body ends
 * at `end`). places[] has an element for each byte of the method. False: it
 * cannot be compiled. */
bool jit_verify(oop method, uint32_t from, uint32_t end, bool embedded,
                int depth, struct place *places);

/* --- jit_compile.c --- */

/* Machine code for a method, full block, or embedded block; NULL: refused
 * (and remembered), or no room even after a flush. Flushing changes epoch. */
struct jit_code *jit_compile(struct vm *vm, oop method, uint32_t start,
                             oop closure);

/* --- jit_debug.c --- */

/* For --jit-list: prints the code of a method of that name, whose bytecodes
 * end at offset `limit`. */
void jit_list(struct vm *vm, const struct jit_code *c, uint32_t limit);
/* Is the method of the name that is listed? */
bool jit_lists(struct vm *vm, oop method);
/* A line: the title, and bytes in hexadecimal. */
void jit_list_bytes(const char *title, const uint8_t *from, uint32_t n);

/* --- jit_stubs.c --- */

/* A field of the vm, or of the heap that it begins with; a word of the frame;
 * a slot of an object. */
#define VM(field) AT(RBX, offsetof(struct vm, field))
#define HEAP(field) AT(RBX, offsetof(struct heap, field))
#define FRAME(word) AT(RBP, 8 * FRAME_##word)
static inline struct mem slot_of(enum reg o, uint32_t i)
{
    return AT(o, 8 + 8 * (int32_t)i);
}

void stubs_make(struct vm *vm, struct assembler *a);
/* The class index of x into `to`, another register; an immediate's is its
 * tag. */
void emit_class_index(struct assembler *a, enum reg to, enum reg x);
/* Goes on if the object in x, no immediate, is of that class; forwarders are
 * not. */
void emit_class_check(struct assembler *a, enum reg x, uint32_t class_index,
                      enum reg scratch, struct label *no);
/* The class whose index is in a register, into the same. */
void emit_class_at(struct assembler *a, enum reg index, enum reg scratch);
/* What the oop in r forwards to, if it does. */
void emit_follow(struct vm *vm, struct assembler *a, enum reg r);
/* The oop in x was stored into the object in y: jumps to `in` if that may
 * need the write barrier. Spoils r11. */
void emit_barrier_test(struct assembler *a, enum reg x, enum reg y,
                       struct label *in, struct label *out);
/* ... which is done there, and ends with a jump to `out`. */
void emit_barrier_rest(struct vm *vm, struct assembler *a, enum reg x,
                       enum reg y, struct mem at, struct label *out);

/* --- jit_prims.c --- */

/* How many slots the object in a register has. */
void load_slot_count(struct assembler *a, enum reg to, enum reg object);

/* --- jit_frames.c --- */

const struct point *point_at(const struct jit_code *code,
                             const uint8_t *native);
/* All frames go on interpreted. */
void frames_to_bytecode(struct vm *vm);
/* Counts a call; is that one often enough to compile the method? */
bool frames_count(struct vm *vm, oop method);

/* --- jit_send.c --- */

/* Are at: and at:put: of Array the methods that machine code takes them for?
 * It is thrown away when that changes. */
bool jit_array_access_is_primitive(struct vm *vm);
/* False: it has been thrown away for that. */
bool send_check_arrays(struct vm *vm);
/* The send at a point calls the miss stub again. */
void send_unlink(struct jit *j, const struct jit_code *c,
                 const struct point *p);

uint8_t *jit_miss(struct vm *vm);
uint8_t *jit_super_above(struct vm *vm, oop class);
/* What the send that returns to `site` calls, and its class index. */
uint8_t *send_site_target(const uint8_t *site);
uint32_t send_site_tag(const uint8_t *site);
/* The same of a PIC's case. */
const uint8_t *send_pic_case(const struct jit_code *pic, unsigned i,
                             uint32_t *tag);

/* --- jit_links.c --- */

/* The send at p, of a selector with that hash, is linked from now on. False:
 * no memory. */
bool links_add(struct jit *j, struct jit_code *code, struct point *p,
               uint32_t hash);
/* Linked sends of that selector call the code, perhaps through a PIC. */
void links_note_callee(struct jit_code *code, uint32_t hash);
/* Unlinks sends: those of a selector, all, or those that call a method's
 * code; the method cache is the caller's business. */
void links_drop_selector(struct vm *vm, uint32_t hash);
void links_drop_all(struct vm *vm);
void links_drop_code(struct vm *vm, const struct jit_code *code);
/* There is no code any more. */
void links_forget(struct jit *j);

/* --- jit_runtime.c --- */

void runtime_primitive(struct vm *vm, int result);
void runtime_safepoint(struct vm *vm);
void runtime_safepoint_no_switch(struct vm *vm);
void runtime_return(struct vm *vm, oop answer);
void runtime_block_return(struct vm *vm, oop answer);
void runtime_must_be_boolean(struct vm *vm, oop value);
void runtime_interpret(struct vm *vm);
void runtime_read_only(struct vm *vm, oop o, oop value, uint64_t index);
void runtime_barrier(struct vm *vm, oop o, oop *at, oop value);
uint64_t runtime_identical(struct vm *vm, oop a, oop b);
oop runtime_class_of(struct vm *vm, oop o);
oop runtime_context(struct vm *vm);
oop runtime_process(struct vm *vm);
oop runtime_full_block(struct vm *vm, uint64_t literal, uint64_t flags);
oop runtime_block(struct vm *vm, uint64_t args, uint64_t copied,
                  uint64_t body);
oop runtime_new_array(struct vm *vm, uint64_t n, uint64_t filled);
oop runtime_slot(struct vm *vm, uint64_t index);
void runtime_store_slot(struct vm *vm, uint64_t index, oop value);
oop runtime_follow(struct vm *vm, oop o);
void runtime_run_block(struct vm *vm, uint64_t unused, oop closure);
/* Objects of optimised code that were not made in line; ir_emit_memory.c. */
oop runtime_new_filled(struct vm *vm, uint64_t header_word,
                       const oop *values);
oop runtime_new_nils(struct vm *vm, uint64_t n); /* 0: no memory */
oop runtime_box(struct vm *vm, uint64_t bits);
void runtime_widow(struct vm *vm, oop *fp);
