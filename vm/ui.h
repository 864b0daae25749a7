/*
 * ui.h - the VM's side of screen, pointer, keys: display form, event queue.
 */
#pragma once

#include "vm/interp.h"

/* Shows a rectangle of the Display form (special object 14), if `form` is it
 * and updates are not deferred. Converts depths 1 to 16 to XRGB. */
void ui_show(struct vm *vm, oop form, int left, int top, int right,
             int bottom);
int ui_init(struct vm *vm);
void ui_destroy(struct vm *vm);
