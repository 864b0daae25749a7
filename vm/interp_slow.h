/*
 * interp_slow.h - the halves of bytecodes that are too long, or too rare, to
 * stand in the bytecode loop. Nothing here collects.
 */
#pragma once

#include "vm/interp.h"

/* Float operations, of an Integer and a Float too. 0: send. */
oop slow_float_add(struct heap *h, oop a, oop b);
oop slow_float_subtract(struct heap *h, oop a, oop b);
oop slow_float_multiply(struct heap *h, oop a, oop b);
oop slow_float_divide(struct heap *h, oop a, oop b);
oop slow_float_less(struct heap *h, oop a, oop b);
oop slow_float_greater(struct heap *h, oop a, oop b);
oop slow_float_less_equal(struct heap *h, oop a, oop b);
oop slow_float_greater_equal(struct heap *h, oop a, oop b);
oop slow_float_equal(struct heap *h, oop a, oop b);
oop slow_float_not_equal(struct heap *h, oop a, oop b);

/* Operations on SmallIntegers whose result is one; 0: send. */
oop slow_quotient(oop a, oop b); /* exact */
oop slow_floored_quotient(oop a, oop b);
oop slow_floored_modulo(oop a, oop b);
oop slow_shift(oop a, oop b);

bool slow_is_number(oop o);

/* The class above the one that `method` belongs to, or nil. */
oop slow_super_class(struct vm *vm, oop method);

/* New objects from what lies on the stack; the registers are in the vm.
 * 0: no memory. */
oop slow_new_block(struct vm *vm, unsigned args, unsigned copied,
                   uint8_t *body);
oop slow_new_full_block(struct vm *vm, uint64_t literal, unsigned flags);
oop slow_new_array(struct vm *vm, unsigned n, bool filled);

/* Fills and answers the entry for objects like o; see struct at_entry. */
const struct at_entry *slow_learn_at(struct vm *vm, oop o);

/* A store that found a read-only object: tells it. The answer stays on the
 * stack, so image code never lets it answer. */
void slow_attempt_to_assign(struct vm *vm, oop o, oop value, uint64_t index);
