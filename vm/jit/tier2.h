/*
 * tier2.h - what the first tier knows of the second: counting for it, and
 * telling it what changes. Nothing happens while jit->second_tier is off.
 */
#pragma once

#include "vm/jit/jit_private.h"

struct deopt_place;

/* Optimised code becomes the zone's. False: no memory. */
bool tier2_add(struct vm *vm, struct jit_code *code);
/* The methods in the pool of optimised code are where they were not. */
void tier2_note_pool(struct vm *vm, const struct jit_code *code);
/* New code of the first tier counts from here. */
void tier2_count(struct vm *vm, struct jit_code *code);
/* Transitions: code of the first tier was called often, or looped. */
void runtime_hot_call(struct vm *vm);
void runtime_hot_loop(struct vm *vm);
/* A guard of optimised code failed at a place. */
void tier2_failed(struct vm *vm, struct jit_code *code,
                  const struct deopt_place *place);
/* A frame of optimised code is left by a process switch, or looked at. */
void tier2_left(struct vm *vm, struct jit_code *code);
/* What optimised code took for granted is so no more: no frame runs it
 * afterwards, and nobody finds it. */
void tier2_forget_selector(struct vm *vm, oop selector);
void tier2_forget_method(struct vm *vm, oop method);
void tier2_forget_all(struct vm *vm);
