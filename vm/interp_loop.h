/*
 * interp_loop.h - the words that interp.c's loop is written in: where its
 * registers are, how a bytecode ends, how frames are made and left. They use
 * the loop's locals and labels by name and are of no use elsewhere.
 */
#pragma once

#include "vm/frame.h"
#include "vm/interp_slow.h"
#include "vm/jit/jit.h"
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The value slot of a literal variable. */
static inline oop *literal_variable(oop method, uint64_t i)
{
    return &slots(followed(code_literal(method, (unsigned)i)))[ASSOC_VALUE];
}

/* The Array of remote temps that a temp holds; 0: what is there, by the hand
 * of a debugger perhaps, has no such slot. */
static inline oop remote_vector(oop vector, uint64_t i)
{
    vector = followed(vector);
    return is_pointer(vector) && class_index_of(vector) == CLS_ARRAY &&
                   i < slot_count(vector) ? vector : 0;
}

static inline oop special_selector(const struct heap *h, uint64_t i)
{
    return slot(heap_special(h, SPL_SPECIAL_SELECTORS), i * 2);
}

static inline void no_memory(struct vm *vm)
{
    if (!vm_collect(vm))
        plat_panic("out of memory");
}

/* Can the loop activate the block by itself? */
static inline __attribute__((always_inline)) bool
full_block_can_run(const struct vm *vm, oop closure, int argc)
{
    uint64_t n;

    if (!is_pointer(closure) || vm->forwarders || vm->jit ||
        class_index_of(closure) != CLS_FULL_BLOCK_CLOSURE)
        return false;
    n = slot_count(closure);
    return slot(closure, CLOSURE_NUM_ARGS) == int_oop(argc) &&
           n >= FULL_CLOSURE_COPIED && n < 64 &&
           is_code(slot(closure, CLOSURE_PC_OR_METHOD)) &&
           !code_has_primitive(slot(closure, CLOSURE_PC_OR_METHOD));
}

/* What the frame keeps is read there, not copied at every send. */
#define RECEIVER (fp[FRAME_RECEIVER])
#define METHOD (fp[FRAME_METHOD])
#define TEMP(i) (frame_temps(fp)[-(int64_t)(i)])
#define LITERAL(i) (slots(METHOD)[(i) + 1])
/* The registers that the vm keeps; the table hangs on them. */
#define SAVE() (vm->sp = sp, vm->fp = fp, vm->pc = pc)
/* What the registers say may be for machine code to go on with first. */
#define LOAD()                                                             \
    do {                                                                   \
        if (UNLIKELY(jit_owns(vm, vm->pc)))                                \
            jit_run(vm);                                                   \
        sp = vm->sp;                                                       \
        fp = vm->fp;                                                       \
        pc = vm->pc;                                                       \
        CHOOSE_TABLE(code_is_sista(METHOD));                               \
    } while (0)
/* A branch, which is foreseen; a conditional move would be waited for. */
#define CHOOSE_TABLE(is_sista)                                             \
    do {                                                                   \
        table = sista;                                                     \
        if (UNLIKELY(!(is_sista))) {                                       \
            table = v3;                                                    \
            __asm__ volatile("");                                          \
        }                                                                  \
    } while (0)
#define NEXT()                                                             \
    do {                                                                   \
        pc++;                                                              \
        byte = pc[-1];                                                     \
        goto *table[byte];                                                 \
    } while (0)
#define NEXT_TOS()                                                         \
    do {                                                                   \
        pc++;                                                              \
        byte = pc[-1];                                                     \
        goto *table[256 + byte];                                           \
    } while (0)
enum { EXT_B = 225, JUMP_X = 237 }; /* of Sista alone */
#define PUSH(v) (*--sp = (v))
#define PUSHER(label)                                                      \
    label##_tos:                                                           \
        PUSH(tos);                                                         \
    label
#define TAKER(label)                                                       \
    label:                                                                 \
        tos = *sp++;                                                       \
    label##_tos
/* A bytecode that does nothing but push. */
#define PUSHES(label, value)                                               \
    PUSHER(label):                                                         \
        tos = (value);                                                     \
        NEXT_TOS();
#define BOOL(b) ((b) ? h->true_ : h->false_)
#define BOTH_INTS(a, b) ((a) & (b) & TAG_INTEGER) /* no other tag is odd */
#define END_EXTENSIONS() (ext_a = 0, ext_b = 0, ext_b_bytes = 0)
/* Allocates; `expr` reads the vm's registers. Collects and tries again. */
#define ALLOCATE(to, expr)                                                 \
    do {                                                                   \
        SAVE();                                                            \
        while (UNLIKELY(!((to) = (expr)))) {                               \
            no_memory(vm);                                                 \
            LOAD();                                                        \
        }                                                                  \
    } while (0)
/* The special selector's method decides; the argument is in tos. */
#define SEND_SPECIAL(i)                                                    \
    do {                                                                   \
        special = (i);                                                     \
        goto send_special_1;                                               \
    } while (0)
/* Ends a bytecode with two operands, the second one in tos. */
#define ANSWER(v)                                                          \
    do {                                                                   \
        tos = (v);                                                         \
        sp++;                                                              \
        NEXT_TOS();                                                        \
    } while (0)
#define ANSWER_OR_SEND(v, i)                                               \
    do {                                                                   \
        answer = (v);                                                      \
        if (LIKELY(answer))                                                \
            ANSWER(answer);                                                \
        SEND_SPECIAL(i);                                                   \
    } while (0)
/* The common case of slow_float_...: both operands and the result small. */
#define SMALL_FLOATS(a, b) (is_small_float(a) && is_small_float(b))
#define ANSWER_IF_SMALL(op)                                                \
    do {                                                                   \
        if (SMALL_FLOATS(*sp, tos)) {                                      \
            double r_ = small_float_value(*sp) op small_float_value(tos);  \
                                                                           \
            if (LIKELY(float_is_small(r_)))                                \
                ANSWER(small_float_oop(r_));                               \
        }                                                                  \
    } while (0)
#define STORE_SLOT(o, i, v)                                                \
    do {                                                                   \
        if (UNLIKELY(header(o) & HDR_IMMUTABLE)) {                         \
            store_object = (o);                                            \
            store_value = (v);                                             \
            store_index = (i);                                             \
            goto read_only_store;                                          \
        }                                                                  \
        heap_store(h, (o), (i), (v));                                      \
    } while (0)

/* Builds the frame of `callee` and runs it. */
#define ACTIVATE(num_args, first_pc, num_temps, is_sista)                  \
    do {                                                                   \
        oop *const top = sp + (num_args);                                  \
        int nils = (num_temps) - (num_args);                               \
                                                                           \
        for (; nils > 0; nils--)                                           \
            PUSH(h->nil);                                                  \
        sp -= FRAME_WORDS;                                                 \
        sp[6] = (oop)(uintptr_t)pc;                                        \
        pc = (first_pc);                                                   \
        CHOOSE_TABLE(is_sista);                                            \
        sp[5] = (oop)(uintptr_t)fp;                                        \
        sp[4] = (oop)(uintptr_t)(top - 1);                                 \
        sp[3] = callee;                                                    \
        sp[2] = 0;                                                         \
        sp[1] = 0;                                                         \
        sp[0] = *top;                                                      \
        fp = sp + 5;                                                       \
        if (UNLIKELY(sp < vm->stack_limit))                                \
            goto safepoint;                                                \
        NEXT();                                                            \
    } while (0)
/* A send with a constant number of arguments, all in memory. */
#define SEND(num_args)                                                     \
    do {                                                                   \
        argc = (num_args);                                                 \
        class_index = heap_class_index(sp[num_args]);                      \
        e = &vm->method_cache[cache_hash(selector, class_index)];          \
        if (UNLIKELY(e->selector != selector ||                            \
                     e->class_index != class_index))                       \
            goto send_second;                                              \
        callee = e->method;                                                \
        primitive = e->primitive;                                          \
        if (primitive)                                                     \
            goto call_primitive_function;                                  \
        ACTIVATE(num_args, e->pc, e->num_temps, e->is_sista);              \
    } while (0)
/* "^ tos" of a method. */
#define RETURN()                                                           \
    do {                                                                   \
        if (UNLIKELY(fp[FRAME_CLOSURE] | fp[FRAME_CONTEXT]))               \
            goto return_slowly;                                            \
        sp = frame_temps(fp) + 2;                                      \
        LEAVE_FRAME();                                                     \
    } while (0)
#define LEAVE_FRAME()                                                      \
    do {                                                                   \
        pc = (uint8_t *)(uintptr_t)fp[FRAME_PC];                           \
        fp = frame_caller(fp);                                             \
        if (UNLIKELY(jit_owns(vm, pc)))                                    \
            goto return_to_machine_code;                                   \
        CHOOSE_TABLE(code_is_sista(METHOD));                               \
        NEXT_TOS();                                                        \
    } while (0)

/* Ends a bytecode with two operands, the second in tos, that answers a
 * Boolean. It is joined with the conditional jump that most often follows:
 * one of eight short ones, or a longer one, `more` being the distance's
 * other bits. */
#define ANSWER_BOOL(yes, short_false, is_long, more)                       \
    do {                                                                   \
        const bool answer_ = (yes);                                        \
        const unsigned next = pc[0];                                       \
                                                                           \
        sp++;                                                              \
        if (LIKELY(next - (short_false) < 8)) {                            \
            if (answer_) {                                                 \
                pc++;                                                      \
                NEXT();                                                    \
            }                                                              \
            pc += next - (short_false) + 2;                                \
            NEXT();                                                        \
        }                                                                  \
        if (is_long) {                                                     \
            if (answer_)                                                   \
                pc += 2;                                                   \
            else                                                           \
                pc += 2 + (more) + pc[1];                                  \
            NEXT();                                                        \
        }                                                                  \
        tos = BOOL(answer_);                                                   \
        NEXT_TOS();                                                        \
    } while (0)
#define ANSWER_BOOL_SISTA(yes) ANSWER_BOOL(yes, 192u, next == 239, 0)
#define ANSWER_BOOL_V3(yes)                                                \
    ANSWER_BOOL(yes, 152u, next - 172u < 4, (next - 172u) * 256)
#define COMPARE(name, op, special_index)                                   \
    TAKER(name##_sista):                                                   \
        if (LIKELY(BOTH_INTS(*sp, tos)))                                   \
            ANSWER_BOOL_SISTA((int64_t)*sp op (int64_t)tos);               \
        if (SMALL_FLOATS(*sp, tos))                                        \
            ANSWER_BOOL_SISTA(small_float_value(*sp)                       \
                              op small_float_value(tos));                  \
        ANSWER_OR_SEND(slow_float_##name(h, *sp, tos), special_index);     \
    TAKER(name##_v3):                                                      \
        if (LIKELY(BOTH_INTS(*sp, tos)))                                   \
            ANSWER_BOOL_V3((int64_t)*sp op (int64_t)tos);                  \
        ANSWER_OR_SEND(slow_float_##name(h, *sp, tos), special_index);
