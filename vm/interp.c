/*
 * interp.c - the bytecode loop.
 *
 * Owns the meaning of bytecodes (bytecodes.def says which byte is which) and
 * nothing else: whatever is rare is a function elsewhere, called with the
 * registers in the vm (SAVE) and fetched again afterwards (LOAD), since
 * objects or frames may have moved. Between SAVEs the registers live in C
 * locals. Every bytecode ends in NEXT, a jump of its own, which processors
 * predict far better than one shared dispatch.
 */
#include "vm/frame.h"
#include "vm/platform.h"
#include "vm/prim.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* --- slow halves of bytecodes --- */

static bool both_floats(oop a, oop b, double *x, double *y)
{
    const int64_t exact = 1ll << 53; /* integers that a double holds */

    if (is_small_float(a))
        *x = small_float_value(a);
    else if (is_int(a) && int_value(a) <= exact && int_value(a) >= -exact)
        *x = (double)int_value(a);
    else if (!heap_float_value(a, x))
        return false;
    if (is_small_float(b))
        *y = small_float_value(b);
    else if (is_int(b) && int_value(b) <= exact && int_value(b) >= -exact)
        *y = (double)int_value(b);
    else if (!heap_float_value(b, y))
        return false;
    return !(is_int(a) && is_int(b));
}

static oop float_result(struct heap *h, double x)
{
    return float_is_small(x) ? small_float_oop(x) : heap_float(h, x);
}

/* Results of float operations, or 0: send. */
#define FLOAT_OPERATION(name, refused, value)                              \
    static __attribute__((noinline)) oop name(struct heap *h, oop a, oop b) \
    {                                                                      \
        double x, y;                                                       \
                                                                           \
        if (!both_floats(a, b, &x, &y) || (refused))                       \
            return 0;                                                      \
        return (value);                                                    \
    }
FLOAT_OPERATION(float_add, false, float_result(h, x + y))
FLOAT_OPERATION(float_subtract, false, float_result(h, x - y))
FLOAT_OPERATION(float_multiply, false, float_result(h, x * y))
FLOAT_OPERATION(float_divide, y == 0.0, float_result(h, x / y))
FLOAT_OPERATION(float_less, false, x < y ? h->true_ : h->false_)
FLOAT_OPERATION(float_greater, false, x > y ? h->true_ : h->false_)
FLOAT_OPERATION(float_less_equal, false, x <= y ? h->true_ : h->false_)
FLOAT_OPERATION(float_greater_equal, false, x >= y ? h->true_ : h->false_)
FLOAT_OPERATION(float_equal, false, x == y ? h->true_ : h->false_)
FLOAT_OPERATION(float_not_equal, false, x != y ? h->true_ : h->false_)

static oop integer_quotient(oop a, oop b) /* exact, or 0 */
{
    int64_t x = int_value(a), y = int_value(b);

    if (y == 0 || x % y != 0 || !int_fits(x / y))
        return 0;
    return int_oop(x / y);
}

static oop floored_quotient(oop a, oop b)
{
    int64_t x = int_value(a), y = int_value(b), q;

    if (y == 0)
        return 0;
    q = x / y;
    if (x % y != 0 && (x < 0) != (y < 0))
        q--;
    return int_fits(q) ? int_oop(q) : 0;
}

static oop floored_modulo(oop a, oop b)
{
    int64_t x = int_value(a), y = int_value(b), r;

    if (y == 0)
        return 0;
    r = x % y;
    if (r != 0 && (r < 0) != (y < 0))
        r += y;
    return int_oop(r);
}

static oop shifted(oop a, oop b) /* a SmallInteger, or 0 */
{
    int64_t x = int_value(a), n = int_value(b);

    if (n <= 0)
        return int_oop(n < -60 ? x >> 63 : x >> -n);
    if (n > 60 || !int_fits((int64_t)((uint64_t)x << n)) ||
        (int64_t)((uint64_t)x << n) >> n != x)
        return 0;
    return int_oop((int64_t)((uint64_t)x << n));
}

/* The class whose method runs: a super send looks above it. */
static oop super_class(struct vm *vm, oop method)
{
    oop binding = followed(
        code_literal(method, code_num_literals(method) - 1));
    oop class, nil = vm->heap.nil;

    if (!is_pointer(binding) || slot_count(binding) <= ASSOC_VALUE ||
        !format_is_pointers(format_of(binding)))
        return nil;
    class = followed(slot(binding, ASSOC_VALUE));
    if (!is_pointer(class) || class == nil)
        return nil;
    return followed(slot(class, CLASS_SUPERCLASS));
}

/* The value slot of a literal variable. */
static oop *literal_variable(oop method, uint64_t i)
{
    return &slots(followed(code_literal(method, (unsigned)i)))[ASSOC_VALUE];
}

/* A block whose body follows; the copied values are still on the stack. */
static oop new_block(struct vm *vm, unsigned args, unsigned copied,
                     uint8_t *body)
{
    struct heap *h = &vm->heap;
    oop outer = frame_context(vm, vm->fp), o = 0;
    unsigned i;

    if (outer)
        o = heap_new(h, CLS_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                     CLOSURE_COPIED + copied);
    if (!o)
        return 0;
    heap_store(h, o, CLOSURE_OUTER, outer);
    slots(o)[CLOSURE_PC_OR_METHOD] =
        int_oop(body - bytes(vm->fp[FRAME_METHOD]) + 1);
    slots(o)[CLOSURE_NUM_ARGS] = int_oop(args);
    for (i = 0; i < copied; i++)
        heap_store(h, o, CLOSURE_COPIED + i, vm->sp[copied - 1 - i]);
    return o;
}

static oop new_full_block(struct vm *vm, uint64_t literal, unsigned flags)
{
    struct heap *h = &vm->heap;
    oop *fp = vm->fp;
    oop block = followed(code_literal(fp[FRAME_METHOD], (unsigned)literal));
    unsigned i, copied = flags & 63;
    oop outer = h->nil, o = 0;

    if (!(flags & 64))
        outer = frame_context(vm, fp);
    if (outer)
        o = heap_new(h, CLS_FULL_BLOCK_CLOSURE, FMT_FIXED_AND_INDEXED,
                     FULL_CLOSURE_COPIED + copied);
    if (!o)
        return 0;
    heap_store(h, o, CLOSURE_OUTER, outer);
    heap_store(h, o, CLOSURE_PC_OR_METHOD, block);
    slots(o)[CLOSURE_NUM_ARGS] =
        int_oop(is_code(block) ? code_num_args(block) : 0);
    heap_store(h, o, FULL_CLOSURE_RECEIVER,
               flags & 128 ? vm->sp[copied] : fp[FRAME_RECEIVER]);
    for (i = 0; i < copied; i++)
        heap_store(h, o, FULL_CLOSURE_COPIED + i, vm->sp[copied - 1 - i]);
    return o;
}

/* Pushes a new array of n nils, or of the n values on the stack. */
static oop new_array_of(struct vm *vm, unsigned n, bool filled)
{
    oop o = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, n);
    unsigned i;

    for (i = 0; o && filled && i < n; i++)
        heap_store(&vm->heap, o, i, vm->sp[n - 1 - i]);
    return o;
}

static oop new_point(struct vm *vm, oop x, oop y)
{
    return heap_point(&vm->heap, x, y);
}

static bool is_number(oop o)
{
    return is_int(o) || is_small_float(o) ||
           (is_pointer(o) && class_index_of(o) == CLS_BOXED_FLOAT);
}

/* A store that found a read-only object: tells it. The answer stays on the
 * stack, so image code never lets it answer. */
static void attempt_to_assign(struct vm *vm, oop o, oop value, uint64_t index)
{
    *--vm->sp = o;
    *--vm->sp = value;
    *--vm->sp = int_oop((int64_t)index + 1);
    vm_send(vm, heap_special(&vm->heap, SPL_SEL_ATTEMPT_TO_ASSIGN), 2);
}

static void no_memory(struct vm *vm)
{
    if (!vm_collect(vm))
        plat_panic("out of memory");
}

/* at: and at:put: for the methods with primitives 60, 61, 63 and 64, of
 * objects with nothing but indexed slots. 0: send. */
static inline oop fast_at(oop o, oop index, bool string)
{
    uint64_t i = (uint64_t)int_value(index) - 1;
    unsigned f;

    if (!is_pointer(o) || !is_int(index))
        return 0;
    f = format_of(o);
    if (f == FMT_ARRAY && !string)
        return i < slot_count(o) ? slot(o, i) : 0;
    if (!format_is_bytes(f) || i >= byte_count(o))
        return 0;
    return string ? char_oop(bytes(o)[i]) : int_oop(bytes(o)[i]);
}

static inline bool fast_at_put(struct heap *h, oop o, oop index, oop value,
                               bool string)
{
    uint64_t i = (uint64_t)int_value(index) - 1;
    unsigned f;

    if (!is_pointer(o) || !is_int(index) || (header(o) & HDR_IMMUTABLE))
        return false;
    f = format_of(o);
    if (f == FMT_ARRAY && !string && i < slot_count(o)) {
        heap_store(h, o, i, value);
        return true;
    }
    if (!format_is_bytes(f) || i >= byte_count(o) || value >> 11 ||
        (string ? !is_char(value) : !is_int(value)))
        return false;
    bytes(o)[i] = (uint8_t)(value >> 3);
    return true;
}

/* Can the loop activate the block by itself? No forwarders are about. */
static inline bool full_block_can_run(oop closure, int argc)
{
    uint64_t n = slot_count(closure);

    return slot(closure, CLOSURE_NUM_ARGS) == int_oop(argc) &&
           n >= FULL_CLOSURE_COPIED && n < 64 &&
           is_code(slot(closure, CLOSURE_PC_OR_METHOD)) &&
           !code_has_primitive(slot(closure, CLOSURE_PC_OR_METHOD));
}

static inline bool block_can_run(oop closure, int argc)
{
    oop outer = slot(closure, CLOSURE_OUTER);

    return slot(closure, CLOSURE_NUM_ARGS) == int_oop(argc) &&
           slot_count(closure) < 64 && is_context(outer) &&
           is_code(slot(outer, CTX_METHOD)) &&
           is_int(slot(closure, CLOSURE_PC_OR_METHOD));
}

/* --- the loop --- */

/* The four registers that the vm keeps; LOAD fetches what hangs on them. */
#define SAVE() (vm->sp = sp, vm->fp = fp, vm->pc = pc)
#define RESTORE()                                                          \
    do {                                                                   \
        tp = frame_temps(fp);                                              \
        method = fp[FRAME_METHOD];                                         \
        receiver = fp[FRAME_RECEIVER];                                     \
        table = code_is_sista(method) ? sista : v3;                        \
    } while (0)
#define LOAD()                                                             \
    do {                                                                   \
        sp = vm->sp;                                                       \
        fp = vm->fp;                                                       \
        pc = vm->pc;                                                       \
        RESTORE();                                                         \
    } while (0)
#define NEXT()                                                             \
    do {                                                                   \
        byte = *pc++;                                                      \
        goto *table[byte];                                                 \
    } while (0)
#define PUSH(v) (*--sp = (v))
#define LITERAL(i) (slots(method)[(i) + 1])
#define BOOL(b) ((b) ? h->true_ : h->false_)
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
#define SEND_SPECIAL(i)                                                    \
    do {                                                                   \
        special = (i);                                                     \
        goto send_special;                                                 \
    } while (0)
#define STORE_SLOT(o, i, v, pops)                                          \
    do {                                                                   \
        if (UNLIKELY(header(o) & HDR_IMMUTABLE)) {                         \
            store_object = (o);                                            \
            store_value = (v);                                             \
            store_index = (i);                                             \
            sp += (pops);                                                  \
            goto read_only_store;                                          \
        }                                                                  \
        heap_store(h, (o), (i), (v));                                      \
        sp += (pops);                                                      \
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
        table = (is_sista) ? sista : v3;                                   \
        sp[5] = (oop)(uintptr_t)fp;                                        \
        sp[4] = (oop)(uintptr_t)(tp = top - 1);                            \
        sp[3] = method = callee;                                           \
        sp[2] = 0;                                                         \
        sp[1] = 0;                                                         \
        sp[0] = receiver = *top;                                           \
        fp = sp + 5;                                                       \
        if (UNLIKELY(sp < vm->stack_limit))                                \
            goto safepoint;                                                \
        NEXT();                                                            \
    } while (0)
/* A send whose number of arguments is a constant. */
#define SEND(num_args)                                                     \
    do {                                                                   \
        const struct cache_entry *e;                                       \
                                                                           \
        class_index = heap_class_index(sp[num_args]);                      \
        e = &vm->method_cache[cache_hash(selector, class_index)];          \
        if (LIKELY(e->selector == selector &&                              \
                   e->class_index == class_index && !e->primitive)) {      \
            callee = e->method;                                            \
            ACTIVATE(num_args, e->pc, e->num_temps, e->is_sista);          \
        }                                                                  \
        argc = (num_args);                                                 \
        goto send_to_class;                                                \
    } while (0)

/* A comparison of SmallIntegers, joined with the conditional jump that most
 * often follows it: the set's short one or, where LONG_FALSE holds, the long
 * one. */
#define COMPARE(label, name, op, special_index, SHORT_FALSE, LONG_FALSE)   \
    label:                                                                 \
    {                                                                      \
        oop a = sp[1], b = sp[0];                                          \
        if (LIKELY(are_ints(a, b))) {                                      \
            bool yes = (int64_t)a op (int64_t)b;                           \
            unsigned next = pc[0];                                         \
            sp++;                                                          \
            if (LIKELY(next - SHORT_FALSE < 8)) {                          \
                sp++;                                                      \
                pc += yes ? 1 : next - SHORT_FALSE + 2;                    \
                NEXT();                                                    \
            }                                                              \
            if (LONG_FALSE) {                                              \
                sp++;                                                      \
                pc += yes ? 2 : 2 + JUMP_LONG_FALSE(next);                 \
                NEXT();                                                    \
            }                                                              \
            *sp = BOOL(yes);                                               \
            NEXT();                                                        \
        }                                                                  \
        answer = float_##name(h, a, b);                                    \
        special = special_index;                                           \
        goto answer_or_send;                                               \
    }
#define COMPARE_BOTH(name, op, index)                                      \
    COMPARE(name##_sista, name, op, index, 192u, next == 239)              \
    COMPARE(name##_v3, name, op, index, 152u, next - 172u < 4)
#define JUMP_LONG_FALSE(next) (pc[1] + (next < 239 ? (next & 3) * 256 : 0))

/* gcc would fold all the NEXTs into one jump again, and copy registers
 * through vectors to get there. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-gcse", "no-crossjumping", "no-tree-vectorize",
                        "no-tree-slp-vectorize")))
#endif
_Noreturn void interpret(struct vm *vm)
{
#define SISTA(first, last, label, length) [first ... last] = &&label,
#define V3(first, last, label, length)
    static const void *const sista[256] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
#define SISTA(first, last, label, length)
#define V3(first, last, label, length) [first ... last] = &&label,
    static const void *const v3[256] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
    struct heap *const h = &vm->heap;
    const void *const *table;
    uint8_t *pc;
    oop *sp, *fp, *tp;
    oop receiver, method;
    unsigned byte;
    uint64_t ext_a = 0;
    int64_t ext_b = 0;
    unsigned ext_b_bytes = 0;
    /* between a bytecode and the common code it goes to */
    oop selector, callee, answer, store_object, store_value;
    cached_primitive primitive;
    uint64_t class_index, store_index;
    unsigned special;
    int argc;

    LOAD();
    NEXT();

    /* --- pushes --- */
push_rcvr_var_4:
    PUSH(slot(receiver, byte & 15));
    NEXT();
push_lit_var_4:
    PUSH(*literal_variable(method, byte & 15));
    NEXT();
push_lit_var_5:
    PUSH(*literal_variable(method, byte & 31));
    NEXT();
push_lit_5:
    PUSH(LITERAL(byte & 31));
    NEXT();
push_temp_4:
    PUSH(tp[-(int)(byte & 15)]);
    NEXT();
push_temp_sista:
    PUSH(tp[-(int)(byte - 64)]);
    NEXT();
push_self:
    PUSH(receiver);
    NEXT();
push_true:
    PUSH(h->true_);
    NEXT();
push_false:
    PUSH(h->false_);
    NEXT();
push_nil:
    PUSH(h->nil);
    NEXT();
push_minus_one:
    PUSH(int_oop(-1));
    NEXT();
push_zero:
    PUSH(int_oop(0));
    NEXT();
push_one:
    PUSH(int_oop(1));
    NEXT();
push_two:
    PUSH(int_oop(2));
    NEXT();
push_pseudo:
    if (ext_b == 1) {
        END_EXTENSIONS();
        PUSH(vm_active_process(vm));
        NEXT();
    }
    if (ext_b != 0)
        goto unknown;
push_context:
    ALLOCATE(answer, frame_context(vm, vm->fp));
    PUSH(answer);
    NEXT();
dup:
    answer = *sp;
    PUSH(answer);
    NEXT();
push_rcvr_var_x:
    store_index = *pc++ + (ext_a << 8);
    END_EXTENSIONS();
push_rcvr_var_mediated:
    SAVE();
    PUSH(vm_slot(vm, receiver, store_index));
    NEXT();
push_lit_var_x:
    PUSH(*literal_variable(method, *pc++ + (ext_a << 8)));
    END_EXTENSIONS();
    NEXT();
push_lit_x:
    PUSH(LITERAL(*pc++ + (ext_a << 8)));
    END_EXTENSIONS();
    NEXT();
push_temp_x:
    PUSH(tp[-(int)*pc++]);
    NEXT();
push_int_x:
    PUSH(int_oop(*pc++ + ext_b * 256));
    END_EXTENSIONS();
    NEXT();
push_char_x:
    PUSH(char_oop((uint32_t)(*pc++ + ext_b * 256)));
    END_EXTENSIONS();
    NEXT();
push_remote_temp:
    answer = followed(tp[-(int)pc[1]]);
    PUSH(slot(answer, pc[0]));
    pc += 2;
    NEXT();
push_extended:
    byte = *pc++;
    switch (byte >> 6) {
    case 0:
        PUSH(slot(receiver, byte & 63));
        break;
    case 1:
        PUSH(tp[-(int)(byte & 63)]);
        break;
    case 2:
        PUSH(LITERAL(byte & 63));
        break;
    default:
        PUSH(*literal_variable(method, byte & 63));
    }
    NEXT();
new_array:
    byte = *pc++;
    ALLOCATE(answer, new_array_of(vm, byte & 127, byte >> 7));
    if (byte >> 7)
        sp += byte & 127;
    PUSH(answer);
    NEXT();
push_closure: /* ccccaaaa, size high, size low */
    argc = pc[0] & 15;
    special = pc[0] >> 4;
    store_index = (uint64_t)pc[1] << 8 | pc[2];
    pc += 3;
    goto make_closure;
push_closure_x: /* eeiiikkk, size */
    argc = (int)((pc[0] & 7) + (ext_a % 16) * 8);
    special = (unsigned)((pc[0] >> 3 & 7) + (ext_a / 16) * 8);
    store_index = (uint64_t)(pc[1] + ext_b * 256);
    pc += 2;
    END_EXTENSIONS();
make_closure:
    ALLOCATE(answer, new_block(vm, (unsigned)argc, special, vm->pc));
    sp += special;
    PUSH(answer);
    pc += store_index;
    NEXT();
push_full_closure: /* literal, siyyyyyy */
    store_index = pc[0] + (ext_a << 8);
    byte = pc[1];
    pc += 2;
    END_EXTENSIONS();
    ALLOCATE(answer, new_full_block(vm, store_index, byte));
    sp += (byte & 63) + (byte >> 7);
    PUSH(answer);
    NEXT();

    /* --- stores --- */
pop_rcvr_var_3:
    store_value = *sp;
    STORE_SLOT(receiver, byte & 7, store_value, 1);
    NEXT();
pop_temp_3:
    tp[-(int)(byte & 7)] = *sp;
    sp++;
    NEXT();
pop:
    sp++;
    NEXT();
pop_rcvr_var_x:
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp++;
    END_EXTENSIONS();
    goto store_rcvr_var_mediated;
store_rcvr_var_x:
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp;
    END_EXTENSIONS();
store_rcvr_var_mediated:
    if (UNLIKELY(class_index_of(receiver) == CLS_CONTEXT)) {
        SAVE();
        vm_set_slot(vm, receiver, store_index, store_value);
        LOAD();
        NEXT();
    }
    STORE_SLOT(receiver, store_index, store_value, 0);
    NEXT();
pop_lit_var_x:
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp++;
    goto store_literal_variable;
store_lit_var_x:
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp;
store_literal_variable:
    END_EXTENSIONS();
    store_object = followed(LITERAL(store_index));
    STORE_SLOT(store_object, ASSOC_VALUE, store_value, 0);
    NEXT();
pop_temp_x:
    tp[-(int)*pc++] = *sp;
    sp++;
    NEXT();
store_temp_x: /* no operand: a primitive's error, which it had none of */
    byte = *pc++;
    if (LIKELY(sp != fp + FRAME_RECEIVER))
        tp[-(int)byte] = *sp;
    NEXT();
store_remote_temp:
    store_value = *sp;
    goto store_remote;
pop_remote_temp:
    store_value = *sp++;
store_remote:
    store_object = followed(tp[-(int)pc[1]]);
    heap_store(h, store_object, pc[0], store_value);
    pc += 2;
    NEXT();
pop_extended:
    store_value = *sp++;
    goto store_any;
store_extended:
    if (UNLIKELY(sp == fp + FRAME_RECEIVER)) { /* as in store_temp_x */
        pc++;
        NEXT();
    }
    store_value = *sp;
store_any:
    byte = *pc++;
    store_index = byte & 63;
    switch (byte >> 6) {
    case 0:
        STORE_SLOT(receiver, store_index, store_value, 0);
        break;
    case 1:
        tp[-(int)store_index] = store_value;
        break;
    case 2:
        pc--;
        goto unknown;
    default:
        goto store_literal_variable;
    }
    NEXT();
read_only_store:
    SAVE();
    attempt_to_assign(vm, store_object, store_value, store_index);
    LOAD();
    NEXT();

    /* --- jumps --- */
jump_3:
    pc += (byte & 7) + 1;
    NEXT();
jump_true_3:
    store_index = (byte & 7) + 1;
    goto jump_if_true;
jump_false_3:
    store_index = (byte & 7) + 1;
    goto jump_if_false;
jump_x:
    ext_b = *pc++ + ext_b * 256;
    pc += ext_b;
    if (ext_b < 0) {
        END_EXTENSIONS();
        goto backward;
    }
    END_EXTENSIONS();
    NEXT();
jump_true_x:
    store_index = (uint64_t)(*pc++ + ext_b * 256);
    END_EXTENSIONS();
    goto jump_if_true;
jump_false_x:
    store_index = (uint64_t)(*pc++ + ext_b * 256);
    END_EXTENSIONS();
    goto jump_if_false;
jump_long:
    pc += ((int)(byte & 7) - 4) * 256 + *pc + 1;
    if ((byte & 7) < 4)
        goto backward;
    NEXT();
jump_true_long:
    store_index = (byte & 3) * 256 + *pc++;
    goto jump_if_true;
jump_false_long:
    store_index = (byte & 3) * 256 + *pc++;
jump_if_false:
    if (*sp == h->false_)
        pc += store_index;
    else if (UNLIKELY(*sp != h->true_))
        goto must_be_boolean;
    sp++;
    NEXT();
jump_if_true:
    if (*sp == h->true_)
        pc += store_index;
    else if (UNLIKELY(*sp != h->false_))
        goto must_be_boolean;
    sp++;
    NEXT();
must_be_boolean:
    selector = heap_special(h, SPL_SEL_MUST_BE_BOOLEAN);
    argc = 0;
    goto send;
backward:
    if (UNLIKELY(sp < vm->stack_limit))
        goto safepoint;
    NEXT();
safepoint:
    SAVE();
    vm_safepoint(vm, true);
    LOAD();
    NEXT();

    /* --- extensions and oddities --- */
ext_a:
    ext_a = (ext_a << 8) + *pc++;
    NEXT();
ext_b:
    byte = *pc++;
    ext_b = ext_b_bytes == 0 && byte > 127 ? (int64_t)byte - 256
                                           : ext_b * 256 + byte;
    ext_b_bytes++;
    NEXT();
nop:
    END_EXTENSIONS();
    NEXT();
call_primitive: /* met only by a context whose pc was set by hand */
    pc += 2;
    NEXT();
unknown:
    pc--;
    END_EXTENSIONS();
    ALLOCATE(answer, frame_context(vm, vm->fp));
    PUSH(answer);
    selector = heap_special(h, SPL_SEL_UNUSED_BYTECODE);
    argc = 0;
    goto send;

    /* --- arithmetic: SmallIntegers here, floats in a function --- */
add:
    if (LIKELY(are_ints(sp[1], sp[0]))) {
        int64_t sum;

        if (LIKELY(!__builtin_add_overflow((int64_t)sp[1],
                                           (int64_t)(sp[0] - TAG_INTEGER),
                                           &sum))) {
            *++sp = (oop)sum;
            NEXT();
        }
        SEND_SPECIAL(0);
    }
    answer = float_add(h, sp[1], sp[0]);
    special = 0;
    goto answer_or_send;
subtract:
    if (LIKELY(are_ints(sp[1], sp[0]))) {
        int64_t difference;

        if (LIKELY(!__builtin_sub_overflow((int64_t)sp[1],
                                           (int64_t)(sp[0] - TAG_INTEGER),
                                           &difference))) {
            *++sp = (oop)difference;
            NEXT();
        }
        SEND_SPECIAL(1);
    }
    answer = float_subtract(h, sp[1], sp[0]);
    special = 1;
    goto answer_or_send;
multiply:
    if (LIKELY(are_ints(sp[1], sp[0]))) {
        int64_t product;

        if (LIKELY(!__builtin_mul_overflow((int64_t)(sp[1] - TAG_INTEGER),
                                           int_value(sp[0]), &product))) {
            *++sp = (oop)product | TAG_INTEGER;
            NEXT();
        }
        SEND_SPECIAL(8);
    }
    answer = float_multiply(h, sp[1], sp[0]);
    special = 8;
    goto answer_or_send;
divide:
    answer = are_ints(sp[1], sp[0]) ? integer_quotient(sp[1], sp[0])
                                    : float_divide(h, sp[1], sp[0]);
    special = 9;
answer_or_send:
    if (UNLIKELY(!answer))
        goto send_special;
    *++sp = answer;
    NEXT();
modulo:
    answer = are_ints(sp[1], sp[0]) ? floored_modulo(sp[1], sp[0]) : 0;
    special = 10;
    goto answer_or_send;
int_divide:
    answer = are_ints(sp[1], sp[0]) ? floored_quotient(sp[1], sp[0]) : 0;
    special = 13;
    goto answer_or_send;
bit_shift:
    answer = are_ints(sp[1], sp[0]) ? shifted(sp[1], sp[0]) : 0;
    special = 12;
    goto answer_or_send;
bit_and:
    answer = are_ints(sp[1], sp[0]) ? sp[1] & sp[0] : 0;
    special = 14;
    goto answer_or_send;
bit_or:
    answer = are_ints(sp[1], sp[0]) ? sp[1] | sp[0] : 0;
    special = 15;
    goto answer_or_send;
make_point:
    special = 11;
    if (!is_number(sp[1]) || !is_number(sp[0]))
        goto send_special;
    ALLOCATE(answer, new_point(vm, vm->sp[1], vm->sp[0]));
    *++sp = answer;
    NEXT();

    COMPARE_BOTH(less, <, 2)
    COMPARE_BOTH(greater, >, 3)
    COMPARE_BOTH(less_equal, <=, 4)
    COMPARE_BOTH(greater_equal, >=, 5)
    COMPARE_BOTH(equal, ==, 6)
    COMPARE_BOTH(not_equal, !=, 7)

    /* --- other special sends --- */
identical:
    answer = BOOL(vm_same(vm, sp[1], sp[0]));
    *++sp = answer;
    NEXT();
not_identical:
    answer = BOOL(!vm_same(vm, sp[1], sp[0]));
    *++sp = answer;
    NEXT();
class_of:
    *sp = heap_class_of(h, followed(*sp));
    NEXT();
at:
    special = 16;
    selector = slot(heap_special(h, SPL_SPECIAL_SELECTORS), 32);
    argc = 1;
    class_index = heap_class_index(sp[1]);
    {
        const struct cache_entry *e =
            &vm->method_cache[cache_hash(selector, class_index)];

        if (LIKELY(e->selector == selector &&
                   e->class_index == class_index &&
                   (e->primitive == prim_at ||
                    e->primitive == prim_string_at)) &&
            (answer = fast_at(sp[1], sp[0],
                              e->primitive == prim_string_at))) {
            *++sp = answer;
            NEXT();
        }
    }
    goto send_to_class;
at_put:
    special = 17;
    selector = slot(heap_special(h, SPL_SPECIAL_SELECTORS), 34);
    argc = 2;
    class_index = heap_class_index(sp[2]);
    {
        const struct cache_entry *e =
            &vm->method_cache[cache_hash(selector, class_index)];

        if (LIKELY(e->selector == selector &&
                   e->class_index == class_index &&
                   (e->primitive == prim_at_put ||
                    e->primitive == prim_string_at_put)) &&
            fast_at_put(h, sp[2], sp[1], sp[0],
                        e->primitive == prim_string_at_put)) {
            answer = *sp;
            sp += 2;
            *sp = answer;
            NEXT();
        }
    }
    goto send_to_class;
block_value: /* value and value: of closures need no lookup */
    argc = (int)(byte & 15) - 9;
    store_object = sp[argc];
    if (!is_pointer(store_object) || vm->forwarders)
        goto special_send;
    if (class_index_of(store_object) == CLS_FULL_BLOCK_CLOSURE &&
        full_block_can_run(store_object, argc)) {
        oop *const top = sp + argc;
        int64_t i, n = (int64_t)slot_count(store_object);

        callee = slot(store_object, CLOSURE_PC_OR_METHOD);
        for (i = FULL_CLOSURE_COPIED; i < n; i++)
            PUSH(slot(store_object, (uint64_t)i));
        n = (int64_t)code_num_temps(callee) - (top - sp);
        for (; n > 0; n--)
            PUSH(h->nil);
        receiver = slot(store_object, FULL_CLOSURE_RECEIVER);
        tp = top - 1;
        sp -= FRAME_WORDS;
        store_index = code_first_pc(callee);
        answer = 0; /* no argument to move */
        goto enter_block;
    }
    if (class_index_of(store_object) == CLS_BLOCK_CLOSURE &&
        block_can_run(store_object, argc)) {
        callee = slot(slot(store_object, CLOSURE_OUTER), CTX_METHOD);
        receiver = slot(slot(store_object, CLOSURE_OUTER), CTX_RECEIVER);
        answer = argc ? *sp : 0;
        sp += argc - FRAME_WORDS;
        tp = sp - 1;
        store_index = (uint64_t)int_value(
                          slot(store_object, CLOSURE_PC_OR_METHOD)) - 1;
        goto enter_block;
    }
    goto special_send;
enter_block:
    sp[6] = (oop)(uintptr_t)pc;
    sp[5] = (oop)(uintptr_t)fp;
    sp[4] = (oop)(uintptr_t)tp;
    sp[3] = method = callee;
    sp[2] = store_object;
    sp[1] = 0;
    sp[0] = receiver;
    fp = sp + 5;
    if (tp < fp) { /* embedded: argument and copied values follow */
        uint64_t i, n = slot_count(store_object);

        if (answer)
            PUSH(answer);
        for (i = CLOSURE_COPIED; i < n; i++)
            PUSH(slot(store_object, i));
    }
    pc = bytes(method) + store_index;
    table = code_is_sista(method) ? sista : v3;
    if (UNLIKELY(sp < vm->stack_limit))
        goto safepoint;
    NEXT();
special_send: /* both sets count them from a multiple of 16 */
    special = (byte & 15) + 16;
send_special:
    selector = slot(heap_special(h, SPL_SPECIAL_SELECTORS), special * 2);
    argc = (int)int_value(
        slot(heap_special(h, SPL_SPECIAL_SELECTORS), special * 2 + 1));
    goto send;

    /* --- sends --- */
send_0:
    selector = LITERAL(byte & 15);
    SEND(0);
send_1:
    selector = LITERAL(byte & 15);
    SEND(1);
send_2:
    selector = LITERAL(byte & 15);
    SEND(2);
send_x: /* iiiiijjj */
    byte = *pc++;
    selector = LITERAL((byte >> 3) + ext_a * 32);
    argc = (int)((byte & 7) + ext_b * 8);
    END_EXTENSIONS();
    goto send;
send_extended: /* jjjkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 31);
    argc = (int)(byte >> 5);
    goto send;
send_extended_2: /* jjkkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 63);
    argc = (int)(byte >> 6);
    goto send;
double_extended: /* iiijjjjj kkkkkkkk */
    byte = pc[0];
    store_index = pc[1];
    pc += 2;
    argc = (int)(byte & 31);
    switch (byte >> 5) {
    case 0:
        selector = LITERAL(store_index);
        goto send;
    case 1:
        selector = LITERAL(store_index);
        goto send_super;
    case 2:
        goto push_rcvr_var_mediated;
    case 3:
        PUSH(LITERAL(store_index));
        NEXT();
    case 4:
        PUSH(*literal_variable(method, store_index));
        NEXT();
    case 5:
        store_value = *sp;
        goto store_rcvr_var_mediated;
    case 6:
        store_value = *sp++;
        goto store_rcvr_var_mediated;
    default:
        store_value = *sp;
        goto store_literal_variable;
    }
super_extended: /* jjjkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 31);
    argc = (int)(byte >> 5);
    goto send_super;
super_x: /* iiiiijjj */
    byte = *pc++;
    selector = LITERAL((byte >> 3) + ext_a * 32);
    if (ext_b >= 64) { /* directed: the class is on the stack */
        argc = (int)((byte & 7) + (ext_b - 64) * 8);
        answer = followed(*sp++);
        END_EXTENSIONS();
        answer = is_pointer(answer) && answer != h->nil
                     ? followed(slot(answer, CLASS_SUPERCLASS))
                     : h->nil;
        goto send_above;
    }
    argc = (int)((byte & 7) + ext_b * 8);
    END_EXTENSIONS();
send_super:
    answer = super_class(vm, method);
send_above:
    if (is_pointer(answer) && answer != h->nil)
        class_index = heap_class_hash(h, answer);
    else
        class_index = 0;
    if (LIKELY(class_index))
        goto send_to_class;
    goto find_method;

send:
    class_index = heap_class_index(sp[argc]);
send_to_class:
    {
        const struct cache_entry *e =
            &vm->method_cache[cache_hash(selector, class_index)];

        if (UNLIKELY(e->selector != selector ||
                     e->class_index != class_index)) {
            answer = heap_class_at(h, (uint32_t)class_index);
            goto find_method;
        }
        callee = e->method;
        primitive = e->primitive;
    }
    if (primitive)
        goto call_primitive_function;

activate:
    ACTIVATE(argc, frame_first_bytecode(callee), (int)code_num_temps(callee),
             code_is_sista(callee));

call_primitive_function:
    if ((uintptr_t)primitive < QUICK_MAX) {
        unsigned n = (unsigned)(uintptr_t)primitive;

        if (LIKELY(n >= 264)) {
            *sp = slot(*sp, n - 264);
            NEXT();
        }
        switch (n) {
        case 256: break;
        case 257: *sp = h->true_; break;
        case 258: *sp = h->false_; break;
        case 259: *sp = h->nil; break;
        default: *sp = int_oop((int)n - 261);
        }
        NEXT();
    }
    SAVE();
    if (primitive == prim_marker) { /* 198: not even a switch before it */
        frame_push_method(vm, callee, argc);
        if (UNLIKELY(vm->sp < vm->stack_limit))
            vm_safepoint(vm, code_primitive(callee) != 198);
        LOAD();
        NEXT();
    }
    vm->method = callee;
    {
        int r = primitive(vm, argc);

        if (LIKELY(r == PRIM_OK)) {
            sp = vm->sp;
            if (UNLIKELY(vm->reload)) {
                vm->reload = false;
                LOAD();
            }
            NEXT();
        }
        if (r == PRIM_EXECUTE) {
            sp = vm->sp;
            if (UNLIKELY(vm->reload))
                LOAD();
            callee = vm->method;
            primitive = vm->next_primitive;
            argc = vm->argc;
            if (primitive)
                goto call_primitive_function;
            goto activate;
        }
        if (r == PRIM_ACTIVATED || r == PRIM_NO_SWITCH) {
            if (UNLIKELY(vm->sp < vm->stack_limit))
                vm_safepoint(vm, r == PRIM_ACTIVATED);
        } else {
            vm_finish_primitive(vm, primitive, argc, r);
        }
    }
    LOAD();
    NEXT();

find_method: /* answer: class to look in, or nil */
    SAVE();
    {
        const struct cache_entry *e =
            vm_find_method(vm, selector, answer, &argc);

        callee = e->method;
        primitive = e->primitive;
    }
    LOAD();
    if (primitive)
        goto call_primitive_function;
    goto activate;

    /* --- returns --- */
return_self:
    answer = receiver;
    goto return_answer;
return_true:
    answer = h->true_;
    goto return_answer;
return_false:
    answer = h->false_;
    goto return_answer;
return_nil:
    answer = h->nil;
    goto return_answer;
return_top:
    answer = *sp;
return_answer:
    if (UNLIKELY(fp[FRAME_CLOSURE] | fp[FRAME_CONTEXT])) {
        SAVE();
        vm_return(vm, answer);
        LOAD();
        NEXT();
    }
    sp = tp + 1;
leave_frame:
    pc = (uint8_t *)(uintptr_t)fp[FRAME_PC];
    fp = frame_caller(fp);
    *sp = answer;
    RESTORE();
    NEXT();
block_return_nil:
    answer = h->nil;
    goto block_return;
block_return_top:
    answer = *sp;
block_return:
    if (UNLIKELY(fp[FRAME_CONTEXT])) {
        SAVE();
        vm_local_return(vm, answer);
        LOAD();
        NEXT();
    }
    sp = frame_result(fp);
    goto leave_frame;
}
