/*
 * ui.h - the VM's side of screen, pointer, keys: display form, event queue.
 */
#pragma once

#include "vm/interp.h"

struct vm_event;

int ui_init(struct vm *vm); /* 0, or -1: no memory */
void ui_destroy(struct vm *vm);

/* Shows a rectangle of the Display form (special object 14), if `form` is it
 * and updates are not deferred. Converts depths 1 to 16 to XRGB. */
void ui_show(struct vm *vm, oop form, int left, int top, int right,
             int bottom);
/* The same of the Display, deferred or not. */
void ui_show_now(struct vm *vm, int left, int top, int right, int bottom);
/* Answers what was set before. */
bool ui_defer(struct vm *vm, bool deferred);

/* Where on the screen a save shows how far it is: a bar that fills from left
 * to right. The image draws it empty; an empty rectangle: nowhere. */
struct ui_bar {
    int32_t left, top, right, bottom;
    uint32_t colour; /* XRGB */
};
void ui_set_bar(struct vm *vm, struct ui_bar bar);
void ui_fill_bar(struct vm *vm, uint64_t done, uint64_t total);

struct ui_event {
    int32_t type, arg[5];
    uint32_t milliseconds; /* on the clock of primitive 135 */
};

/* Takes the oldest event; false: there is none. */
bool ui_next_event(struct vm *vm, struct ui_event *e);

/* For images that poll: the pointer as last reported, keys that were typed
 * (code | modifiers << 8), -1: none. */
struct ui_pointer {
    int x, y, buttons, modifiers;
};
struct ui_pointer ui_pointer(struct vm *vm);
int ui_key(struct vm *vm, bool take);
