/*
 * interp.c - the bytecode loop.
 *
 * Owns the meaning of bytecodes (bytecodes.def says which byte is which) and
 * nothing else: whatever is rare is a function elsewhere, called with the
 * registers in the vm (SAVE) and fetched again afterwards (LOAD), since
 * objects or frames may have moved. Between SAVEs the registers live in C
 * locals. Every bytecode ends in a jump of its own to the next one, which
 * processors predict far better than one shared dispatch.
 *
 * The top of the stack is in memory or in the local `tos`, and each bytecode
 * has an entry for either case. One that pushes is written for memory: its
 * entry for the other case (PUSHER) first puts tos there. One that takes an
 * operand finds it in tos: its entry for memory (TAKER) first fetches it.
 * NEXT goes on with everything in memory, NEXT_TOS with the top in tos.
 */
#include "vm/interp_loop.h"

/* gcc would fold all the NEXTs into one jump again, and copy registers
 * through vectors to get there; what is needed in rare cases only it would
 * compute in all of them (no-tree-pre). Where a jump through the table goes
 * should begin a block of what is fetched at once. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-gcse", "no-crossjumping", "no-tree-vectorize",
                        "no-tree-slp-vectorize", "align-labels=32",
                        "no-tree-pre")))
#endif
_Noreturn void interpret(struct vm *vm)
{
    /* 256 entries for the top in memory, then 256 for tos */
#define SISTA(first, last, label, length)                                  \
    [first ... last] = &&label, [256 + first ... 256 + last] = &&label##_tos,
#define V3(first, last, label, length)
    static const void *const sista[512] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
#define SISTA(first, last, label, length)
#define V3(first, last, label, length)                                     \
    [first ... last] = &&label, [256 + first ... 256 + last] = &&label##_tos,
    static const void *const v3[512] = {
#include "vm/bytecodes.def"
    };
#undef SISTA
#undef V3
    struct heap *const h = &vm->heap;
    const void *const *table;
    uint8_t *pc;
    oop *sp, *fp, tos = 0;
    uint64_t byte;
    uint64_t ext_a = 0;
    int64_t ext_b = 0;
    unsigned ext_b_bytes = 0;
    /* between a bytecode and the common code it goes to */
    oop selector, callee, answer, store_object, store_value;
    cached_primitive primitive;
    uint64_t class_index, store_index;
    unsigned special;
    int argc;
    const struct cache_entry *e;

    LOAD();
    NEXT();

    /* --- pushes --- */
    PUSHES(push_rcvr_var_4, slot(RECEIVER, byte))
    PUSHES(push_lit_var_4, *literal_variable(METHOD, byte - 16))
    PUSHES(push_lit_var_5, *literal_variable(METHOD, byte - 64))
    PUSHES(push_lit_5, LITERAL(byte - 32))
    PUSHES(push_temp_0, TEMP(0))
    PUSHES(push_temp_1, TEMP(1))
    PUSHES(push_temp_2, TEMP(2))
    PUSHES(push_temp_3, TEMP(3))
    PUSHES(push_temp_4, TEMP(4))
    PUSHES(push_temp_5, TEMP(5))
    PUSHES(push_temp_6_up, TEMP(byte - 64))
    PUSHES(push_temp_v3, TEMP(byte - 16))
    PUSHES(push_self, RECEIVER)
    PUSHES(push_true, h->true_)
    PUSHES(push_false, h->false_)
    PUSHES(push_nil, h->nil)
    PUSHES(push_minus_one, int_oop(-1))
    PUSHES(push_zero, int_oop(0))
PUSHER(push_one):
    tos = int_oop(1);
    NEXT_TOS();
    PUSHES(push_two, int_oop(2))
    PUSHES(push_temp_x, TEMP(*pc++))
PUSHER(push_pseudo):
    if (ext_b == 1) {
        END_EXTENSIONS();
        tos = vm_active_process(vm);
        NEXT_TOS();
    }
    if (ext_b != 0)
        goto unknown;
    goto push_context;
PUSHER(push_context):
    ALLOCATE(answer, frame_context(vm, vm->fp));
    tos = answer;
    NEXT_TOS();
PUSHER(dup):
    tos = *sp;
    NEXT_TOS();
PUSHER(push_rcvr_var_x):
    store_index = *pc++ + (ext_a << 8);
    END_EXTENSIONS();
push_rcvr_var_mediated:
    SAVE();
    tos = vm_slot(vm, RECEIVER, store_index);
    sp = vm->sp;
    fp = vm->fp;
    pc = vm->pc;
    NEXT_TOS();
PUSHER(push_lit_var_x):
    tos = *literal_variable(METHOD, *pc++ + (ext_a << 8));
    END_EXTENSIONS();
    NEXT_TOS();
PUSHER(push_lit_x):
    tos = LITERAL(*pc++ + (ext_a << 8));
    END_EXTENSIONS();
    NEXT_TOS();
PUSHER(push_int_x):
    tos = int_oop(*pc++ + ext_b * 256);
    END_EXTENSIONS();
    NEXT_TOS();
PUSHER(push_char_x):
    tos = char_oop((uint32_t)(*pc++ + ext_b * 256));
    END_EXTENSIONS();
    NEXT_TOS();
PUSHER(push_remote_temp):
    store_object = remote_vector(TEMP(pc[1]), pc[0]);
    if (UNLIKELY(!store_object))
        goto unknown;
    tos = slot(store_object, pc[0]);
    pc += 2;
    NEXT_TOS();
PUSHER(push_extended):
    byte = *pc++;
    store_index = byte & 63;
    switch (byte >> 6) {
    case 0:
        tos = slot(RECEIVER, store_index);
        break;
    case 1:
        tos = TEMP(store_index);
        break;
    case 2:
        tos = LITERAL(store_index);
        break;
    default:
        tos = *literal_variable(METHOD, store_index);
    }
    NEXT_TOS();
PUSHER(new_array):
    byte = *pc++;
    ALLOCATE(answer, slow_new_array(vm, byte & 127, byte >> 7));
    if (byte >> 7)
        sp += byte & 127;
    tos = answer;
    NEXT_TOS();
PUSHER(push_closure): /* ccccaaaa, size high, size low */
    argc = pc[0] & 15;
    special = pc[0] >> 4;
    store_index = (uint64_t)pc[1] << 8 | pc[2];
    pc += 3;
    goto make_closure;
PUSHER(push_closure_x): /* eeiiikkk, size */
    argc = (int)((pc[0] & 7) + (ext_a % 16) * 8);
    special = (unsigned)((pc[0] >> 3 & 7) + (ext_a / 16) * 8);
    store_index = (uint64_t)(pc[1] + ext_b * 256);
    pc += 2;
    END_EXTENSIONS();
make_closure:
    ALLOCATE(answer, slow_new_block(vm, (unsigned)argc, special, vm->pc));
    sp += special;
    pc += store_index;
    tos = answer;
    NEXT_TOS();
PUSHER(push_full_closure): /* literal, siyyyyyy */
    store_index = pc[0] + (ext_a << 8);
    byte = pc[1];
    pc += 2;
    END_EXTENSIONS();
    ALLOCATE(answer,
             slow_new_full_block(vm, store_index, (unsigned)byte));
    sp += (byte & 63) + (byte >> 7);
    tos = answer;
    NEXT_TOS();

    /* --- stores --- */
TAKER(pop_rcvr_var_3):
    STORE_SLOT(RECEIVER, byte & 7, tos);
    NEXT();
TAKER(pop_temp_sista):
    TEMP(byte - 208) = tos;
    if (pc[0] == EXT_B) { /* most likely it ends a loop */
        pc++;
        goto ext_b;
    }
    NEXT();
TAKER(pop_temp_v3):
    TEMP(byte - 104) = tos;
    NEXT();
pop:
    sp++;
pop_tos:
    NEXT();
TAKER(pop_rcvr_var_x):
    store_index = *pc++ + (ext_a << 8);
    store_value = tos;
    END_EXTENSIONS();
    goto store_rcvr_var_mediated;
PUSHER(store_rcvr_var_x):
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp;
    END_EXTENSIONS();
store_rcvr_var_mediated:
    if (UNLIKELY(class_index_of(RECEIVER) == CLS_CONTEXT)) {
        SAVE();
        vm_set_slot(vm, RECEIVER, store_index, store_value);
        LOAD();
        NEXT();
    }
    STORE_SLOT(RECEIVER, store_index, store_value);
    NEXT();
TAKER(pop_lit_var_x):
    store_index = *pc++ + (ext_a << 8);
    store_value = tos;
    goto store_literal_variable;
PUSHER(store_lit_var_x):
    store_index = *pc++ + (ext_a << 8);
    store_value = *sp;
store_literal_variable:
    END_EXTENSIONS();
    store_object = followed(LITERAL(store_index));
    STORE_SLOT(store_object, ASSOC_VALUE, store_value);
    NEXT();
TAKER(pop_temp_x):
    TEMP(*pc++) = tos;
    NEXT();
store_temp_x: /* no operand: a primitive's error, which it had none of */
    if (UNLIKELY(sp == fp + FRAME_RECEIVER)) {
        pc++;
        NEXT();
    }
    tos = *sp++;
store_temp_x_tos:
    TEMP(*pc++) = tos;
    NEXT_TOS();
PUSHER(store_remote_temp):
    store_object = remote_vector(TEMP(pc[1]), pc[0]);
    if (UNLIKELY(!store_object))
        goto unknown;
    heap_store(h, store_object, pc[0], *sp);
    pc += 2;
    NEXT();
TAKER(pop_remote_temp):
    store_object = remote_vector(TEMP(pc[1]), pc[0]);
    if (UNLIKELY(!store_object)) {
        PUSH(tos);
        goto unknown;
    }
    heap_store(h, store_object, pc[0], tos);
    pc += 2;
    NEXT();
TAKER(pop_extended):
    store_value = tos;
    goto store_any;
PUSHER(store_extended):
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
        STORE_SLOT(RECEIVER, store_index, store_value);
        break;
    case 1:
        TEMP(store_index) = store_value;
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
    slow_attempt_to_assign(vm, store_object, store_value, store_index);
    LOAD();
    NEXT();

    /* --- jumps --- */
jump_3:
    pc += (byte & 7) + 1;
    NEXT();
jump_3_tos:
    pc += (byte & 7) + 1;
    NEXT_TOS();
TAKER(jump_true_3):
    if (tos == h->true_) {
        pc += (byte & 7) + 1;
        NEXT();
    }
    if (LIKELY(tos == h->false_))
        NEXT();
    goto must_be_boolean;
TAKER(jump_false_3):
    if (tos == h->false_) {
        pc += (byte & 7) + 1;
        NEXT();
    }
    if (LIKELY(tos == h->true_))
        NEXT();
    goto must_be_boolean;
PUSHER(jump_x):
    ext_b = *pc++ + ext_b * 256;
    pc += ext_b;
    if (ext_b < 0) {
        END_EXTENSIONS();
        goto backward;
    }
    END_EXTENSIONS();
    NEXT();
TAKER(jump_true_x):
    store_index = (uint64_t)(*pc++ + ext_b * 256);
    END_EXTENSIONS();
    goto jump_if_true;
TAKER(jump_false_x):
    store_index = (uint64_t)(*pc++ + ext_b * 256);
    END_EXTENSIONS();
    goto jump_if_false;
PUSHER(jump_long):
    pc += ((int)(byte & 7) - 4) * 256 + *pc + 1;
    if ((byte & 7) < 4)
        goto backward;
    NEXT();
TAKER(jump_true_long):
    store_index = (byte & 3) * 256 + *pc++;
jump_if_true:
    if (tos == h->true_)
        pc += store_index;
    else if (UNLIKELY(tos != h->false_))
        goto must_be_boolean;
    NEXT();
TAKER(jump_false_long):
    store_index = (byte & 3) * 256 + *pc++;
jump_if_false:
    if (tos == h->false_)
        pc += store_index;
    else if (UNLIKELY(tos != h->true_))
        goto must_be_boolean;
    NEXT();
must_be_boolean:
    PUSH(tos);
    selector = heap_special(h, SPL_SEL_MUST_BE_BOOLEAN);
    argc = 0;
    goto send;
backward:
    if (UNLIKELY(sp < vm->stack_limit))
        goto safepoint;
    if (LIKELY(--vm->loops_left > 0))
        NEXT();
    SAVE();
    jit_count_loops(vm);
    LOAD();
    NEXT();
safepoint:
    SAVE();
    vm_safepoint(vm, true);
    jit_take_over_loop(vm);
    LOAD();
    NEXT();

    /* --- extensions and oddities --- */
PUSHER(ext_a):
    ext_a = (ext_a << 8) + *pc++;
    NEXT();
PUSHER(ext_b):
    byte = *pc++;
    if (LIKELY(ext_b_bytes == 0 && pc[0] == JUMP_X)) { /* a loop's end */
        pc += (int64_t)(int8_t)byte * 256 + pc[1] + 2;
        ext_a = 0;
        if ((int8_t)byte < 0)
            goto backward;
        NEXT();
    }
    ext_b = ext_b_bytes == 0 && byte > 127 ? (int64_t)byte - 256
                                           : ext_b * 256 + (int64_t)byte;
    ext_b_bytes++;
    NEXT();
PUSHER(nop):
    END_EXTENSIONS();
    NEXT();
PUSHER(call_primitive): /* met only by a context whose pc was set by hand */
    pc += 2;
    NEXT();
PUSHER(unknown):
    pc--;
    END_EXTENSIONS();
    ALLOCATE(answer, frame_context(vm, vm->fp));
    PUSH(answer);
    selector = heap_special(h, SPL_SEL_UNUSED_BYTECODE);
    argc = 0;
    goto send;

    /* --- arithmetic: SmallIntegers here, the rest in a function --- */
TAKER(add):
    if (LIKELY(BOTH_INTS(*sp, tos))) {
        int64_t sum;

        if (LIKELY(!__builtin_add_overflow(
                (int64_t)*sp, (int64_t)(tos - TAG_INTEGER), &sum)))
            ANSWER((oop)sum);
        SEND_SPECIAL(0);
    }
    ANSWER_IF_SMALL(+);
    ANSWER_OR_SEND(slow_float_add(h, *sp, tos), 0);
TAKER(subtract):
    if (LIKELY(BOTH_INTS(*sp, tos))) {
        int64_t difference;

        if (LIKELY(!__builtin_sub_overflow(
                (int64_t)*sp, (int64_t)(tos - TAG_INTEGER), &difference)))
            ANSWER((oop)difference);
        SEND_SPECIAL(1);
    }
    ANSWER_IF_SMALL(-);
    ANSWER_OR_SEND(slow_float_subtract(h, *sp, tos), 1);
TAKER(multiply):
    if (LIKELY(BOTH_INTS(*sp, tos))) {
        int64_t product;

        if (LIKELY(!__builtin_mul_overflow((int64_t)(*sp - TAG_INTEGER),
                                           int_value(tos), &product)))
            ANSWER((oop)product | TAG_INTEGER);
        SEND_SPECIAL(8);
    }
    ANSWER_IF_SMALL(*);
    ANSWER_OR_SEND(slow_float_multiply(h, *sp, tos), 8);
TAKER(divide):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? slow_quotient(*sp, tos)
                                       : slow_float_divide(h, *sp, tos), 9);
TAKER(modulo):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? slow_floored_modulo(*sp, tos) : 0,
                   10);
TAKER(int_divide):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? slow_floored_quotient(*sp, tos) : 0,
                   13);
TAKER(bit_shift):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? slow_shift(*sp, tos) : 0, 12);
TAKER(bit_and):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? *sp & tos : 0, 14);
TAKER(bit_or):
    ANSWER_OR_SEND(BOTH_INTS(*sp, tos) ? *sp | tos : 0, 15);
PUSHER(make_point):
    if (!slow_is_number(sp[1]) || !slow_is_number(sp[0])) {
        selector = special_selector(h, 11);
        SEND(1);
    }
    ALLOCATE(answer, heap_point(h, vm->sp[1], vm->sp[0]));
    sp++;
    *sp = answer;
    NEXT();

    COMPARE(less, <, 2)
    COMPARE(greater, >, 3)
    COMPARE(less_equal, <=, 4)
    COMPARE(greater_equal, >=, 5)
    COMPARE(equal, ==, 6)
    COMPARE(not_equal, !=, 7)

    /* --- other special sends --- */
TAKER(identical_sista):
    ANSWER_BOOL_SISTA(vm_same(vm, *sp, tos));
TAKER(identical_v3):
    ANSWER_BOOL_V3(vm_same(vm, *sp, tos));
TAKER(not_identical):
    ANSWER(BOOL(!vm_same(vm, *sp, tos)));
TAKER(class_of):
    tos = heap_class_of(h, followed(tos));
    NEXT_TOS();
TAKER(at):
    store_object = *sp;
    if (LIKELY(is_pointer(store_object) && is_int(tos))) {
        uint32_t shape = shape_of(store_object);
        const struct at_entry *at = &vm->at_cache[at_hash(shape)];
        uint64_t i = (uint64_t)int_value(tos) - 1;

        if (UNLIKELY(at->shape != shape))
            at = slow_learn_at(vm, store_object);
        if (LIKELY(at->at == AT_SLOTS)) {
            if (LIKELY(i < slot_count(store_object)))
                ANSWER(slot(store_object, i));
        } else if (at->at != AT_SEND && i < byte_count(store_object)) {
            tos = bytes(store_object)[i];
            ANSWER(at->at == AT_BYTES ? int_oop((int64_t)tos)
                                     : char_oop((uint32_t)tos));
        }
    }
    SEND_SPECIAL(16);
TAKER(at_put):
    store_object = sp[1];
    if (LIKELY(is_pointer(store_object) && is_int(*sp))) {
        uint32_t shape = shape_of(store_object);
        const struct at_entry *at = &vm->at_cache[at_hash(shape)];
        uint64_t i = (uint64_t)int_value(*sp) - 1;

        if (UNLIKELY(at->shape != shape))
            at = slow_learn_at(vm, store_object);
        if (LIKELY(at->at_put == AT_SLOTS)) {
            if (LIKELY(i < slot_count(store_object))) {
                heap_store(h, store_object, i, tos);
                sp += 2;
                NEXT_TOS();
            }
        } else if (at->at_put != AT_SEND && i < byte_count(store_object) &&
                   tos >> 11 == 0 &&
                   (at->at_put == AT_BYTES ? is_int(tos) : is_char(tos))) {
            bytes(store_object)[i] = (uint8_t)(tos >> 3);
            sp += 2;
            NEXT_TOS();
        }
    }
    PUSH(tos);
    selector = special_selector(h, 17);
    SEND(2);
PUSHER(block_value): /* value and value: of closures need no lookup */
    argc = (int)(byte & 15) - 9;
    store_object = sp[argc];
    if (LIKELY(full_block_can_run(vm, store_object, argc)))
        goto run_full_block;
    special = (byte & 15) + 16;
    tos = *sp++;
    if (argc)
        goto send_special_1;
    selector = special_selector(h, special);
    goto send_unary;
run_full_block:
    {
        oop *const top = sp + argc;
        int64_t i, n = (int64_t)slot_count(store_object);

        callee = slot(store_object, CLOSURE_PC_OR_METHOD);
        for (i = FULL_CLOSURE_COPIED; i < n; i++)
            PUSH(slot(store_object, (uint64_t)i));
        n = (int64_t)code_num_temps(callee) - (top - sp);
        for (; n > 0; n--)
            PUSH(h->nil);
        sp -= FRAME_WORDS;
        sp[6] = (oop)(uintptr_t)pc;
        sp[5] = (oop)(uintptr_t)fp;
        sp[4] = (oop)(uintptr_t)(top - 1);
        sp[3] = callee;
        sp[2] = store_object;
        sp[1] = 0;
        sp[0] = slot(store_object, FULL_CLOSURE_RECEIVER);
        fp = sp + 5;
    }
    pc = bytes(callee) + code_first_pc(callee);
    CHOOSE_TABLE(code_is_sista(callee));
    if (UNLIKELY(sp < vm->stack_limit))
        goto safepoint;
    NEXT();

    /* --- sends --- */
TAKER(special_send_0): /* both sets count them from a multiple of 16 */
    selector = special_selector(h, (byte & 15) + 16);
    goto send_unary;
TAKER(send_0):
    selector = LITERAL(byte & 15);
send_unary: /* to tos */
    class_index = heap_class_index(tos);
    e = &vm->method_cache[cache_hash(selector, class_index)];
    if (UNLIKELY(e->selector != selector || e->class_index != class_index)) {
        e = &vm->method_cache[cache_second(selector, class_index)];
        if (UNLIKELY(e->selector != selector ||
                     e->class_index != class_index)) {
            PUSH(tos);
            argc = 0;
            goto find_in_class;
        }
    }
    callee = e->method;
    primitive = e->primitive;
    if ((uintptr_t)primitive - QUICK_SLOTS < QUICK_MAX) {
        tos = slot(tos, (uintptr_t)primitive - QUICK_SLOTS);
        NEXT_TOS();
    }
    PUSH(tos);
    argc = 0;
    if (primitive)
        goto call_primitive_function;
    ACTIVATE(0, e->pc, e->num_temps, e->is_sista);
TAKER(special_send_1):
    special = (byte & 15) + 16;
send_special_1:
    PUSH(tos);
    selector = special_selector(h, special);
    SEND(1);
PUSHER(send_1):
    selector = LITERAL(byte & 15);
    SEND(1);
PUSHER(send_2):
    selector = LITERAL(byte & 15);
    SEND(2);
PUSHER(send_x): /* iiiiijjj */
    byte = *pc++;
    selector = LITERAL((byte >> 3) + ext_a * 32);
    argc = (int)((int64_t)(byte & 7) + ext_b * 8);
    END_EXTENSIONS();
    goto send;
PUSHER(send_extended): /* jjjkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 31);
    argc = (int)(byte >> 5);
    goto send;
PUSHER(send_extended_2): /* jjkkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 63);
    argc = (int)(byte >> 6);
    goto send;
PUSHER(double_extended): /* iiijjjjj kkkkkkkk */
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
        PUSH(*literal_variable(METHOD, store_index));
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
PUSHER(super_extended): /* jjjkkkkk */
    byte = *pc++;
    selector = LITERAL(byte & 31);
    argc = (int)(byte >> 5);
    goto send_super;
PUSHER(super_x): /* iiiiijjj */
    byte = *pc++;
    selector = LITERAL((byte >> 3) + ext_a * 32);
    if (ext_b >= 64) { /* directed: the class is on the stack */
        argc = (int)((int64_t)(byte & 7) + (ext_b - 64) * 8);
        answer = followed(*sp++);
        END_EXTENSIONS();
        answer = is_pointer(answer) && answer != h->nil
                     ? followed(slot(answer, CLASS_SUPERCLASS))
                     : h->nil;
        goto send_above;
    }
    argc = (int)((int64_t)(byte & 7) + ext_b * 8);
    END_EXTENSIONS();
send_super:
    answer = slow_super_class(vm, METHOD);
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
    e = &vm->method_cache[cache_hash(selector, class_index)];
    if (LIKELY(e->selector == selector && e->class_index == class_index))
        goto run_entry;
send_second: /* not at its first place in the cache */
    e = &vm->method_cache[cache_second(selector, class_index)];
    if (LIKELY(e->selector == selector && e->class_index == class_index))
        goto run_entry;
find_in_class:
    answer = heap_class_at(h, (uint32_t)class_index);
find_method: /* answer: class to look in, or nil */
    SAVE();
    e = vm_find_method(vm, selector, answer, &argc);
    LOAD();
run_entry:
    callee = e->method;
    primitive = e->primitive;
    if (primitive)
        goto call_primitive_function;
    ACTIVATE(argc, e->pc, e->num_temps, e->is_sista);

call_primitive_function:
    if ((uintptr_t)primitive < QUICK_MAX) {
        unsigned n = (unsigned)(uintptr_t)primitive;

        if (primitive == JIT_METHOD)
            goto activate_counted;
        if (LIKELY(n >= QUICK_SLOTS)) {
            *sp = slot(*sp, n - QUICK_SLOTS);
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
    if (primitive == prim_full_block_value) {
        store_object = sp[argc];
        if (LIKELY(full_block_can_run(vm, store_object, argc)))
            goto run_full_block;
    }
    SAVE();
    if (primitive == prim_marker) { /* 198: not even a switch before it */
        frame_push_method(vm, callee, argc);
        jit_take_over(vm);
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
            ACTIVATE(argc, frame_first_bytecode(callee),
                     (int)code_num_temps(callee), code_is_sista(callee));
        }
        if (r == PRIM_ACTIVATED || r == PRIM_NO_SWITCH) {
            jit_take_over(vm);
            if (UNLIKELY(vm->sp < vm->stack_limit))
                vm_safepoint(vm, r == PRIM_ACTIVATED);
        } else {
            vm_finish_primitive(vm, primitive, argc, r);
        }
    }
    LOAD();
    NEXT();

activate_counted: /* it has machine code, or may get some */
    SAVE();
    frame_push_method(vm, callee, argc);
    jit_take_over(vm);
    if (UNLIKELY(vm->sp < vm->stack_limit))
        vm_safepoint(vm, true);
    LOAD();
    NEXT();

    /* --- returns --- */
PUSHER(return_self):
    tos = RECEIVER;
    RETURN();
PUSHER(return_true):
    tos = h->true_;
    RETURN();
PUSHER(return_false):
    tos = h->false_;
    RETURN();
PUSHER(return_nil):
    tos = h->nil;
    RETURN();
TAKER(return_top):
    RETURN();
return_slowly: /* from a block, or with a context */
    SAVE();
    vm_return(vm, tos);
    LOAD();
    NEXT();
return_to_machine_code:
    PUSH(tos);
    SAVE();
    LOAD();
    NEXT();
PUSHER(block_return_nil):
    tos = h->nil;
    goto block_return;
TAKER(block_return_top):
block_return:
    if (UNLIKELY(fp[FRAME_CONTEXT])) {
        SAVE();
        vm_local_return(vm, tos);
        LOAD();
        NEXT();
    }
    sp = frame_result(fp) + 1;
    LEAVE_FRAME();
}
