/*
 * prim_save.c - what a user is told of saving: where saves go, how far one
 * is, why one failed, and the disks that could become the place for it.
 */
#include "vm/platform.h"
#include "vm/prim.h"
#include "vm/ui.h"

#include <string.h>

/* nil for NULL; 0: no memory. */
static oop string_or_nil(struct vm *vm, const char *s)
{
    return s ? heap_new_string(&vm->heap, s) : vm->heap.nil;
}

int prim_save_place(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc, string_or_nil(vm, plat_image_place()));
}

int prim_image_warning(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc,
                           string_or_nil(vm, plat_image_warning()));
}

int prim_save_plugged(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, plat_image_plugged() ? vm->heap.true_
                                                      : vm->heap.false_);
}

/* Name of the saved image `index` from 1, or nil. */
int prim_saved_image(struct vm *vm, int argc)
{
    oop index = vm->sp[0];

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(index) || int_value(index) < 1 || int_value(index) > 1000)
        return PRIM_ERR_BAD_INDEX;
    return prim_answer_new(vm, argc, string_or_nil(vm,
        plat_image_saved((unsigned)int_value(index) - 1)));
}

int prim_save_error(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc, string_or_nil(vm, vm->save_error));
}

/* left, top, right, bottom, XRGB colour. */
int prim_save_bar(struct vm *vm, int argc)
{
    enum { ARGS = 5 };
    int64_t v[ARGS];

    if (argc != ARGS)
        return PRIM_ERR_BAD_NUM_ARGS;
    for (int i = 0; i < ARGS; i++) {
        oop o = prim_operand(vm, argc, 1 + i);

        if (!is_int(o) || int_value(o) < 0 || int_value(o) > UINT32_MAX)
            return PRIM_ERR_BAD_ARGUMENT;
        v[i] = int_value(o);
        if (i < 4 && v[i] > UINT16_MAX)
            return PRIM_ERR_BAD_ARGUMENT;
    }
    ui_set_bar(vm, (struct ui_bar){ (int32_t)v[0], (int32_t)v[1],
                                    (int32_t)v[2], (int32_t)v[3],
                                    (uint32_t)v[4] });
    return prim_answer_self(vm, argc);
}

/* {name. model. bytes. contents. isEmpty} of disk `index` from 1, or nil. */
int prim_disk(struct vm *vm, int argc)
{
    enum { SLOTS = 5 };
    struct heap *h = &vm->heap;
    struct plat_disk disk;
    oop index = vm->sp[0], all, fields[SLOTS];

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(index) || int_value(index) < 1 || int_value(index) > 1000)
        return PRIM_ERR_BAD_INDEX;
    if (!plat_disk((unsigned)int_value(index) - 1, &disk))
        return prim_answer(vm, argc, h->nil);
    all = heap_new(h, CLS_ARRAY, FMT_ARRAY, SLOTS);
    fields[0] = heap_new_string(h, disk.name);
    fields[1] = heap_new_string(h, disk.model);
    fields[2] = heap_uint64(h, disk.size);
    fields[3] = heap_new_string(h, disk.contents);
    fields[4] = disk.empty ? h->true_ : h->false_;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!all || !fields[i])
            return PRIM_ERR_NO_MEMORY;
        heap_store(h, all, i, fields[i]);
    }
    return prim_answer(vm, argc, all);
}

/* nil, or in a line why not. */
int prim_disk_format(struct vm *vm, int argc)
{
    char name[sizeof(((struct plat_disk *)0)->name)];
    oop o = vm->sp[0];
    const char *why = NULL;
    uint64_t n;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    n = is_bytes(o) ? byte_count(o) : sizeof name;
    if (n >= sizeof name)
        return PRIM_ERR_BAD_ARGUMENT;
    memcpy(name, bytes(o), n);
    name[n] = 0;
    if (plat_disk_format(name, &why) == 0)
        why = NULL;
    return prim_answer_new(vm, argc, string_or_nil(vm, why));
}
