/*
 * interp.h - the machine: one struct vm, its registers, frames and processes.
 *
 * Stack pages grow down. A frame lives on a page until something needs it as
 * an object; then a Context is married to it (frame.h). The JIT will share
 * frames, method cache and primitives.
 */
#pragma once

#include "vm/memory/heap.h"
#include "vm/vm.h"

struct jit;        /* vm/jit */
struct ui;         /* display, cursor, event queue: ui.h */
struct stack_page; /* frame.h */

enum { METHOD_CACHE_SIZE = 2048, AT_CACHE_SIZE = 64, EXTERNAL_MAX = 1024 };
enum { CACHE_KEYS = 1 << 16 }; /* bits: lookup.c */

/* A primitive, or a small number: a quick method's (256 to 519). */
typedef int (*cached_primitive)(struct vm *vm, int argc);
enum { QUICK_SLOTS = 264, QUICK_MAX = 1024 }; /* from 264 on: "^ field" */

struct cache_entry {
    oop selector;         /* 0: free */
    uint64_t class_index;
    oop method;
    cached_primitive primitive; /* NULL: activate */
    uint8_t *pc;          /* of the method's first bytecode */
    int num_temps;
    bool is_sista;
    uint8_t *code;    /* unchecked entry of its machine code, or NULL */
    uint64_t padding; /* to 64 bytes: found by a shift */
};

/* What at: and at:put: of an object do, by its class, format and whether it
 * is read-only: known once lookup has found primitives there. */
enum at_kind { AT_SEND, AT_SLOTS, AT_BYTES, AT_CHARACTERS };
struct at_entry {
    uint32_t shape; /* 0: free */
    uint8_t at, at_put;
};

struct interp_stats {
    uint64_t cache_misses, process_switches, checks, frames_married;
    uint64_t pages_evicted, overflows;
};

struct vm {
    struct heap heap; /* first: a struct heap * of a vm is the vm */

    /* Registers, in memory whenever a primitive or the collector runs.
     * Everything else of the running code is in its frame (frame.h). */
    oop *sp;            /* top of stack; the stack grows down */
    oop *fp;            /* current frame */
    uint8_t *pc;        /* next bytecode */
    oop *volatile stack_limit; /* sp below it: safepoint; vm_force_check
                                  raises it above every page */
    oop method;         /* whose primitive runs */
    int argc;           /* with PRIM_EXECUTE, and the method's primitive */
    cached_primitive next_primitive;
    int32_t loops_left; /* interpreted jumps back before machine code is
                           asked for */
    bool reload;        /* frames moved under a primitive that says PRIM_OK */
    bool forwarders;    /* some may be about: set by become, pin */
    bool new_forwarders; /* some were made since the marking began */
    int prim_error;     /* of the last failed primitive */
    int64_t os_error;   /* with PRIM_ERR_OS_ERROR */
    oop scratch[4];     /* roots for C code that may collect */

    oop *stack;               /* memory of all pages */
    struct stack_page *pages; /* all of them */
    struct stack_page *page;  /* of fp */
    struct stack_page *free_page;
    unsigned num_pages, num_free_pages;
    uint64_t page_clock;      /* for the least recently used one */

    /* machine code (vm/jit/jit.h): all 0 without */
    struct jit *jit;
    uint64_t code_start, code_bytes; /* the zone */
    uint8_t *return_to_interpreter;  /* FRAME_PC under interpreted frames */
    void *c_sp;                      /* C's stack while machine code runs */
    cached_primitive code_primitive; /* which runs, called from there, */
    uint8_t *code_body;              /* and what to run when it fails */
    const oop *entered; /* result slot of a block that must run first */

    struct cache_entry method_cache[METHOD_CACHE_SIZE];
    struct at_entry at_cache[AT_CACHE_SIZE];
    struct cache_entry uncached; /* what lookup answers for odd cases */
    uint64_t cache_keys[CACHE_KEYS / 64]; /* what method_cache may have */

    uint64_t lists_in_use; /* run lists above are empty; 0: not known */

    /* asynchronous signals, drained at safepoints */
    volatile int check_wanted;
    uint64_t quiet_until;    /* plat_usecs: no other signals before */
    uint64_t timer_at;       /* plat_usecs of the next timer signal, 0 none */
    uint64_t next_poll;      /* plat_usecs of the next plat_poll */
    uint64_t next_step;      /* of the next step of collecting old space */
    bool interrupt_pending;  /* the interrupt key was pressed */
    int input_semaphore;     /* external index, 0 none */
    int console_semaphore;   /* likewise: signalled by vm_console_ready */
    uint32_t interrupt_key;
    volatile uint32_t external[EXTERNAL_MAX]; /* pending signals by index-1 */
    volatile bool external_pending;

    struct ui *ui;
    struct vm_options options;
    struct interp_stats stats;
    uint64_t started_usecs;
    uint64_t parameters[80]; /* of primitive 254: kept for the image only */
    uint32_t session; /* handles of an earlier one are refused */
    char image_name[1024];
    const char *save_error; /* why the last save failed; NULL: it did not */
};

/* --- used by primitives (interp room) --- */

void vm_flush_caches(struct vm *vm);
void vm_flush_selector(struct vm *vm, oop selector);
void vm_flush_method(struct vm *vm, oop method);
/* Signals a Semaphore object now; may switch processes: at safepoints and
 * from control primitives only. */
void vm_signal(struct vm *vm, oop semaphore);
/* Every frame becomes a heap context (snapshot). Answers the active context,
 * which the caller resumes with vm_resume; 0: no memory, nothing changed. */
oop vm_unmarry_all(struct vm *vm);
/* Collections with the machine's registers saved and restored. */
void vm_scavenge(struct vm *vm);
/* A step of the collection of old space, if one runs. */
void vm_collect_step(struct vm *vm);
uint64_t vm_full_gc(struct vm *vm);
/* heap_become with frames, registers and caches put right. */
int vm_become(struct vm *vm, oop from, oop to, bool two_way, bool copy_hash);
/* After forwarders were made: frees frames, registers and caches of them. */
void vm_follow_forwarders(struct vm *vm);
/* Slot i of any object as if frames were contexts; stackp of a context. */
oop vm_slot(struct vm *vm, oop o, uint64_t i);
void vm_set_slot(struct vm *vm, oop o, uint64_t i, oop value);
uint64_t vm_context_stackp(struct vm *vm, oop context);
/* Has it n values at least? (Cheaper, for temporaries.) */
bool vm_context_has(struct vm *vm, oop context, uint64_t n);
oop vm_active_process(struct vm *vm);
bool vm_is_context(struct vm *vm, oop o);

/* --- inside the interp room --- */

/* Runs bytecodes for ever; the registers are loaded. */
_Noreturn void interpret(struct vm *vm);
/* Sends with receiver and arguments on the stack; leaves the registers ready
 * to run on. */
void vm_send(struct vm *vm, oop selector, int argc);
/* Completes what a primitive that did not say PRIM_OK began: retries,
 * activates the method body on failure, executes on PRIM_EXECUTE. */
void vm_finish_primitive(struct vm *vm, cached_primitive p, int argc, int r);
/* Method for a send, as a cache entry; reifies what is not understood, so
 * *argc and the stack may change, and objects may move. */
struct cache_entry *vm_find_method(struct vm *vm, oop selector, oop class,
                                   int *argc);
/* What the dictionaries say now, past the cache; 0: not found. */
oop vm_look_up(struct vm *vm, oop selector, oop class);
/* Plain lookup, no side effects but the cache; NULL: not found. */
struct cache_entry *vm_lookup(struct vm *vm, oop selector, oop class);
/* The same in the class of `receiver`. */
struct cache_entry *vm_lookup_for(struct vm *vm, oop selector, oop receiver);
cached_primitive vm_primitive_of(oop method);
/* The safepoint: grows the stack, collects, takes signals. */
void vm_safepoint(struct vm *vm, bool may_switch);
/* Collects until `bytes` can be had; false: out of memory. */
bool vm_collect(struct vm *vm);
void vm_set_limit(struct vm *vm);

/* lookup.c: an entry is at one of two places. */
static inline uint64_t cache_hash(oop selector, uint64_t class_index)
{
    return ((selector >> 3) ^ (class_index << 4)) & (METHOD_CACHE_SIZE - 1);
}
static inline uint64_t cache_second(oop selector, uint64_t class_index)
{
    return ((selector >> 6) + class_index * 29) & (METHOD_CACHE_SIZE - 1);
}
void lookup_flush_young(struct vm *vm);
void lookup_flush_dead(struct vm *vm); /* heap_is_alive tells */
static inline uint32_t shape_of(oop o)
{
    return (uint32_t)(header(o) &
                      (HDR_CLASS_MASK | HDR_FORMAT_MASK | HDR_IMMUTABLE));
}
static inline uint32_t at_hash(uint32_t shape)
{
    return (shape ^ shape >> HDR_FORMAT_SHIFT) & (AT_CACHE_SIZE - 1);
}

/* process.c */
oop process_start(struct vm *vm); /* context of the image's active process */

/* heap_follow, cheap where a forwarder is rare. */
static inline oop followed(oop o)
{
    return __builtin_expect(is_forwarder(o), 0) ? heap_follow(o) : o;
}

static inline bool vm_same(const struct vm *vm, oop a, oop b)
{
    return a == b || (vm->forwarders && heap_follow(a) == heap_follow(b));
}
