/*
 * jit_decode.c - bytecodes of both sets as one kind of operation, and the
 * proof that a method's are sound.
 *
 * Owns all that the compiler knows of bytecode encodings. A method may come
 * from a hostile image, so nothing is compiled before jit_verify has seen
 * that every operand exists: jumps go to instructions, temps and literals to
 * what is there, and the operand stack has one depth at each place. What does
 * not pass is left to the interpreter.
 */
#include "vm/jit/jit_private.h"

#include <string.h>

/* --- decoding --- */

static struct op op1(enum op_kind kind, uint32_t index)
{
    return (struct op){ .kind = (uint8_t)kind, .index = index };
}

static struct op op_value(oop value)
{
    return (struct op){ .kind = OP_PUSH_VALUE, .value = value };
}

static struct op op_store(enum op_kind kind, uint32_t index, bool pops)
{
    return (struct op){ .kind = (uint8_t)kind, .index = index, .pops = pops };
}

static struct op op2(enum op_kind kind, uint32_t index, uint32_t n)
{
    return (struct op){ .kind = (uint8_t)kind, .index = index, .n = n };
}

static struct op op_remote(enum op_kind kind, const uint8_t *b, bool pops)
{
    return (struct op){ .kind = (uint8_t)kind, .index = b[0], .n = b[1],
                        .pops = pops };
}

/* A jump over `by` bytes from the instruction's end. */
static struct op op_jump(enum op_kind kind, int64_t by)
{
    return (struct op){ .kind = (uint8_t)kind, .target = (uint32_t)by };
}

static struct op op_block(uint32_t args, uint32_t copied, uint32_t size)
{
    return (struct op){ .kind = OP_BLOCK, .args = args, .n = copied,
                        .target = size };
}

uint32_t special_args(uint32_t i)
{
    static const uint8_t args[16] = { 1, 2, 0, 0, 1, 0, 1, 0,
                                      1, 0, 1, 1, 0, 1, 0, 0 };

    return i < 16 ? 1 : args[i - 16];
}

/* Bytecodes of one byte: the operation, which of their bits are its index,
 * and the arguments of a send. A special selector's number is the index and
 * n, a small integer the index less n. What is not here is refused. */
struct short_op {
    uint8_t kind, mask, n;
};

static const struct short_op sista_short[256] = {
    [0 ... 15] = { OP_PUSH_SLOT, 15, 0 },
    [16 ... 31] = { OP_PUSH_VARIABLE, 15, 0 },
    [32 ... 63] = { OP_PUSH_LITERAL, 31, 0 },
    [64 ... 75] = { OP_PUSH_TEMP, 15, 0 },
    [76] = { OP_PUSH_SELF, 0, 0 },
    [77] = { OP_PUSH_TRUE, 0, 0 },
    [78] = { OP_PUSH_FALSE, 0, 0 },
    [79] = { OP_PUSH_NIL, 0, 0 },
    [80 ... 81] = { OP_PUSH_VALUE, 1, 0 },
    [83] = { OP_DUP, 0, 0 },
    [88] = { OP_RETURN_SELF, 0, 0 },
    [89] = { OP_RETURN_TRUE, 0, 0 },
    [90] = { OP_RETURN_FALSE, 0, 0 },
    [91] = { OP_RETURN_NIL, 0, 0 },
    [92] = { OP_RETURN, 0, 0 },
    [93] = { OP_BLOCK_RETURN_NIL, 0, 0 },
    [94] = { OP_BLOCK_RETURN, 0, 0 },
    [95] = { OP_NOP, 0, 0 },
    [96 ... 127] = { OP_SPECIAL, 31, 0 },
    [128 ... 143] = { OP_SEND, 15, 0 },
    [144 ... 159] = { OP_SEND, 15, 1 },
    [160 ... 175] = { OP_SEND, 15, 2 },
    [176 ... 183] = { OP_JUMP, 7, 0 },
    [184 ... 191] = { OP_JUMP_TRUE, 7, 0 },
    [192 ... 199] = { OP_JUMP_FALSE, 7, 0 },
    [200 ... 207] = { OP_STORE_SLOT, 7, 0 },
    [208 ... 215] = { OP_STORE_TEMP, 7, 0 },
    [216] = { OP_POP, 0, 0 },
};

static const struct short_op v3_short[256] = {
    [0 ... 15] = { OP_PUSH_SLOT, 15, 0 },
    [16 ... 31] = { OP_PUSH_TEMP, 15, 0 },
    [32 ... 63] = { OP_PUSH_LITERAL, 31, 0 },
    [64 ... 95] = { OP_PUSH_VARIABLE, 31, 0 },
    [96 ... 103] = { OP_STORE_SLOT, 7, 0 },
    [104 ... 111] = { OP_STORE_TEMP, 7, 0 },
    [112] = { OP_PUSH_SELF, 0, 0 },
    [113] = { OP_PUSH_TRUE, 0, 0 },
    [114] = { OP_PUSH_FALSE, 0, 0 },
    [115] = { OP_PUSH_NIL, 0, 0 },
    [116 ... 119] = { OP_PUSH_VALUE, 3, 1 },
    [120] = { OP_RETURN_SELF, 0, 0 },
    [121] = { OP_RETURN_TRUE, 0, 0 },
    [122] = { OP_RETURN_FALSE, 0, 0 },
    [123] = { OP_RETURN_NIL, 0, 0 },
    [124] = { OP_RETURN, 0, 0 },
    [125] = { OP_BLOCK_RETURN, 0, 0 },
    [135] = { OP_POP, 0, 0 },
    [136] = { OP_DUP, 0, 0 },
    [137] = { OP_PUSH_CONTEXT, 0, 0 },
    [144 ... 151] = { OP_JUMP, 7, 0 },
    [152 ... 159] = { OP_JUMP_FALSE, 7, 0 },
    [176 ... 191] = { OP_SPECIAL, 15, 0 },
    [192 ... 207] = { OP_SPECIAL, 15, 16 },
    [208 ... 223] = { OP_SEND, 15, 0 },
    [224 ... 239] = { OP_SEND, 15, 1 },
    [240 ... 255] = { OP_SEND, 15, 2 },
};

static struct op decode_short(const struct short_op *table, unsigned b)
{
    const struct short_op *row = &table[b];
    struct op op = op2(row->kind, b & row->mask, row->n);

    switch (row->kind) {
    case OP_PUSH_VALUE:
        return op_value(int_oop((int)op.index - (int)op.n));
    case OP_SPECIAL:
        op.index += op.n;
        op.n = special_args(op.index);
        break;
    case OP_STORE_SLOT: case OP_STORE_TEMP:
        op.pops = true;
        break;
    case OP_JUMP: case OP_JUMP_TRUE: case OP_JUMP_FALSE:
        return op_jump(row->kind, op.index + 1);
    }
    return op;
}

static struct op pseudo_variable(int64_t b)
{
    return op1(b == 0 ? OP_PUSH_CONTEXT : b == 1 ? OP_PUSH_PROCESS
                                                 : OP_REFUSED, 0);
}

/* Sista bytecodes with operands p[1], p[2] and extensions a and b. */
static struct op decode_sista_long(const uint8_t *p, uint64_t a, int64_t b)
{
    uint32_t x = (uint32_t)(p[1] + (a << 8));
    uint32_t selector = (uint32_t)((p[1] >> 3) + a * 32);
    uint32_t argc = (uint32_t)((p[1] & 7) + b * 8);

    switch (p[0]) {
    case 226: return op1(OP_PUSH_SLOT_MEDIATED, x);
    case 227: return op1(OP_PUSH_VARIABLE, x);
    case 228: return op1(OP_PUSH_LITERAL, x);
    case 229: return op1(OP_PUSH_TEMP, p[1]);
    case 231: return op2(OP_NEW_ARRAY, p[1] & 127, p[1] >> 7);
    case 232: return op_value(int_oop(p[1] + b * 256));
    case 233: return op_value(char_oop((uint32_t)(p[1] + b * 256)));
    case 234: return op2(OP_SEND, selector, argc);
    case 235:
        return b >= 64 ? op2(OP_SUPER_ABOVE, selector, argc - 64 * 8)
                       : op2(OP_SUPER, selector, argc);
    case 237: return op_jump(OP_JUMP, p[1] + b * 256);
    case 238: return op_jump(OP_JUMP_TRUE, p[1] + b * 256);
    case 239: return op_jump(OP_JUMP_FALSE, p[1] + b * 256);
    case 240: return op_store(OP_STORE_SLOT_MEDIATED, x, true);
    case 241: return op_store(OP_STORE_VARIABLE, x, true);
    case 242: return op_store(OP_STORE_TEMP, p[1], true);
    case 243: return op_store(OP_STORE_SLOT_MEDIATED, x, false);
    case 244: return op_store(OP_STORE_VARIABLE, x, false);
    case 245: return op_store(OP_STORE_TEMP, p[1], false);
    case 249: return op2(OP_FULL_BLOCK, x, p[2]);
    case 250:
        return op_block((uint32_t)((p[1] & 7) + (a % 16) * 8),
                        (uint32_t)((p[1] >> 3 & 7) + (a / 16) * 8),
                        (uint32_t)(p[2] + b * 256));
    case 251: return op_remote(OP_PUSH_REMOTE, p + 1, false);
    case 252: return op_remote(OP_STORE_REMOTE, p + 1, false);
    case 253: return op_remote(OP_STORE_REMOTE, p + 1, true);
    default: return op1(OP_REFUSED, 0);
    }
}

static bool is_extension(unsigned b) { return b == 224 || b == 225; }

static struct op decode_sista(const uint8_t *p)
{
    const uint8_t *start = p;
    uint64_t a = 0;
    int64_t b = 0;
    struct op op;
    unsigned length;

    for (; is_extension(*p) && p - start < 8; p += 2) {
        if (*p == 224)
            a = (a << 8) + p[1];
        else
            b = p == start || p[-2] != 225 ? (int8_t)p[1] : b * 256 + p[1];
    }
    length = *p < 224 ? 1 : *p < 248 ? 2 : 3;
    if (*p == 82)
        op = pseudo_variable(b);
    else if (length == 1) /* an extension would leak to what follows */
        op = p == start || *p == 95 ? decode_short(sista_short, *p)
                                    : op1(OP_REFUSED, 0);
    else
        op = decode_sista_long(p, a, b);
    op.next = (uint32_t)(p - start) + length;
    return op;
}

static struct op double_extended(const uint8_t *p)
{
    switch (p[1] >> 5) {
    case 0: return op2(OP_SEND, p[2], p[1] & 31);
    case 1: return op2(OP_SUPER, p[2], p[1] & 31);
    case 2: return op1(OP_PUSH_SLOT_MEDIATED, p[2]);
    case 3: return op1(OP_PUSH_LITERAL, p[2]);
    case 4: return op1(OP_PUSH_VARIABLE, p[2]);
    case 5: return op_store(OP_STORE_SLOT_MEDIATED, p[2], false);
    case 6: return op_store(OP_STORE_SLOT_MEDIATED, p[2], true);
    default: return op_store(OP_STORE_VARIABLE, p[2], false);
    }
}

static struct op decode_v3_long(const uint8_t *p)
{
    static const uint8_t push[] = { OP_PUSH_SLOT, OP_PUSH_TEMP,
                                    OP_PUSH_LITERAL, OP_PUSH_VARIABLE };
    static const uint8_t store[] = { OP_STORE_SLOT, OP_STORE_TEMP,
                                     OP_REFUSED, OP_STORE_VARIABLE };

    switch (p[0]) {
    case 128: return op1(push[p[1] >> 6], p[1] & 63);
    case 129: return op_store(store[p[1] >> 6], p[1] & 63, false);
    case 130: return op_store(store[p[1] >> 6], p[1] & 63, true);
    case 131: return op2(OP_SEND, p[1] & 31, p[1] >> 5);
    case 132: return double_extended(p);
    case 133: return op2(OP_SUPER, p[1] & 31, p[1] >> 5);
    case 134: return op2(OP_SEND, p[1] & 63, p[1] >> 6);
    case 138: return op2(OP_NEW_ARRAY, p[1] & 127, p[1] >> 7);
    case 140: return op_remote(OP_PUSH_REMOTE, p + 1, false);
    case 141: return op_remote(OP_STORE_REMOTE, p + 1, false);
    case 142: return op_remote(OP_STORE_REMOTE, p + 1, true);
    case 143:
        return op_block(p[1] & 15, p[1] >> 4,
                        (uint32_t)p[2] << 8 | p[3]);
    default:
        if (p[0] < 168)
            return op_jump(OP_JUMP, ((p[0] & 7) - 4) * 256 + p[1]);
        if (p[0] < 176)
            return op_jump(p[0] < 172 ? OP_JUMP_TRUE : OP_JUMP_FALSE,
                           (p[0] & 3) * 256 + p[1]);
        return op1(OP_REFUSED, 0);
    }
}

static unsigned v3_length(unsigned b)
{
    if (b < 128 || (b >= 135 && b <= 137) || (b >= 144 && b < 160) ||
        b >= 176)
        return 1;
    if (b == 143)
        return 4;
    return b == 132 || (b >= 139 && b < 143) ? 3 : 2;
}

static struct op decode_v3(const uint8_t *p)
{
    unsigned length = v3_length(*p);
    struct op op = length == 1 ? decode_short(v3_short, *p)
                              : decode_v3_long(p);

    op.next = length;
    return op;
}

struct op jit_decode(oop method, uint32_t at)
{
    enum { LONGEST = 12 };
    uint8_t last[LONGEST] = { 0 };
    const uint8_t *b = bytes(method) + at;
    uint64_t left = byte_count(method) - at;
    struct op op;

    if (left < LONGEST)
        b = memcpy(last, b, left);
    op = code_is_sista(method) ? decode_sista(b) : decode_v3(b);
    if (op.next > left)
        op.kind = OP_REFUSED;
    op.next += at;
    op.target += op.next;
    return op;
}

/* --- what operations do to the stack --- */

int op_pops(const struct op *op)
{
    switch (op->kind) {
    case OP_POP: case OP_DUP: case OP_JUMP_TRUE: case OP_JUMP_FALSE:
    case OP_RETURN: case OP_BLOCK_RETURN: case OP_STORE_SLOT:
    case OP_STORE_SLOT_MEDIATED: case OP_STORE_TEMP: case OP_STORE_VARIABLE:
    case OP_STORE_REMOTE:
        return 1;
    case OP_SEND: case OP_SUPER: case OP_SPECIAL:
        return (int)op->n + 1;
    case OP_SUPER_ABOVE:
        return (int)op->n + 2;
    case OP_NEW_ARRAY:
        return op->n ? (int)op->index : 0;
    case OP_BLOCK:
        return (int)op->n;
    case OP_FULL_BLOCK:
        return (int)(op->n & 63) + (int)(op->n >> 7);
    default:
        return 0;
    }
}

static int op_pushes(const struct op *op)
{
    switch (op->kind) {
    case OP_NOP: case OP_POP: case OP_JUMP: case OP_JUMP_TRUE:
    case OP_JUMP_FALSE: case OP_RETURN: case OP_BLOCK_RETURN:
    case OP_RETURN_SELF: case OP_RETURN_TRUE: case OP_RETURN_FALSE:
    case OP_RETURN_NIL: case OP_BLOCK_RETURN_NIL:
        return 0;
    case OP_STORE_SLOT: case OP_STORE_SLOT_MEDIATED: case OP_STORE_TEMP:
    case OP_STORE_VARIABLE: case OP_STORE_REMOTE:
        return op->pops ? 0 : 1;
    case OP_DUP:
        return 2;
    default:
        return 1;
    }
}

/* --- verifying --- */

static bool is_end(const struct op *op)
{
    return op->kind == OP_JUMP || op->kind >= OP_RETURN;
}

static bool uses_literal(const struct op *op)
{
    switch (op->kind) {
    case OP_PUSH_LITERAL: case OP_PUSH_VARIABLE: case OP_STORE_VARIABLE:
    case OP_SEND: case OP_SUPER: case OP_SUPER_ABOVE: case OP_FULL_BLOCK:
        return true;
    default:
        return false;
    }
}

/* A literal variable is something with a value slot. */
static bool is_variable(oop literal)
{
    literal = heap_follow(literal);
    return is_pointer(literal) && format_is_pointers(format_of(literal)) &&
           slot_count(literal) > ASSOC_VALUE;
}

static bool operands_exist(oop method, const struct op *op, bool embedded,
                           int depth)
{
    uint32_t temps = embedded ? (uint32_t)depth : code_num_temps(method);

    if (uses_literal(op) && op->index >= code_num_literals(method))
        return false;
    switch (op->kind) {
    case OP_PUSH_VARIABLE: case OP_STORE_VARIABLE:
        return is_variable(code_literal(method, op->index));
    case OP_PUSH_TEMP: case OP_STORE_TEMP:
        return op->index < temps;
    case OP_PUSH_REMOTE: case OP_STORE_REMOTE:
        return op->n < temps;
    case OP_SEND: case OP_SUPER: case OP_SUPER_ABOVE:
        return op->n < 32;
    case OP_BLOCK:
        return op->target <= byte_count(method);
    default:
        return op->kind != OP_REFUSED;
    }
}

/* The marker of a primitive's error has no operand: it does nothing here. */
static bool is_error_marker(const struct op *op, int depth)
{
    return op->kind == OP_STORE_TEMP && !op->pops && depth == 0;
}

/* One pass over a body; `latest` is the furthest jump's target so far. */
struct verifier {
    oop method;
    struct place *places;
    uint32_t from, end, latest;
    int depth;
    bool live, embedded;
};

/* A backward jump goes to what was met already, with the same depth, and is
 * unconditional: only those let others run. */
static bool note_target(struct verifier *v, uint32_t at, const struct op *op)
{
    uint32_t to = op->target;
    struct place *p;

    if (to < v->from || to >= v->end || (to > at && to < op->next))
        return false;
    p = &v->places[to];
    if ((to <= at && (p->depth < 0 || op->kind != OP_JUMP)) ||
        (p->depth >= 0 && p->depth != v->depth))
        return false;
    p->depth = (int16_t)v->depth;
    p->is_target = true;
    p->is_loop |= to <= at;
    p->is_branched |= op->kind != OP_JUMP;
    if (to > v->latest)
        v->latest = to;
    return true;
}

static bool take_operands(struct verifier *v, const struct op *op)
{
    if (!operands_exist(v->method, op, v->embedded, v->depth))
        return false;
    if (is_error_marker(op, v->depth))
        return true;
    v->depth -= op_pops(op);
    if (v->depth < 0)
        return false;
    v->depth += op_pushes(op);
    return v->depth <= MAX_DEPTH;
}

/* Nothing may jump into the middle of an instruction. */
static bool is_whole(const struct verifier *v, uint32_t at, uint32_t next)
{
    for (at++; at < next && at < v->end; at++)
        if (v->places[at].is_target)
            return false;
    return true;
}

static bool visit(struct verifier *v, uint32_t at, const struct op *op)
{
    struct place *p = &v->places[at];

    if (p->depth >= 0) {
        if (v->live && p->depth != v->depth)
            return false;
        v->depth = p->depth;
        v->live = true;
    }
    if (!v->live)
        return true;
    p->depth = (int16_t)v->depth;
    if (!take_operands(v, op))
        return false;
    if (op->kind >= OP_JUMP && op->kind <= OP_JUMP_FALSE &&
        !note_target(v, at, op))
        return false;
    v->live = !is_end(op);
    return true;
}

bool jit_verify(oop method, uint32_t from, uint32_t end, bool embedded,
                int depth, struct place *places)
{
    struct verifier v = { method, places, from, end, from, depth, true,
                          embedded };
    uint32_t at = from, next;

    while (v.live || at <= v.latest) {
        struct op op;

        if (at >= end)
            return false;
        op = jit_decode(method, at);
        next = op.kind == OP_BLOCK ? op.target : op.next;
        if (next <= at || !is_whole(&v, at, next) || !visit(&v, at, &op))
            return false;
        at = next;
    }
    return true;
}
