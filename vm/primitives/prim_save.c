/*
 * prim_save.c - what a user is told of saving: where saves go, how far one
 * is, why one failed, the disks that could become the place for it, and
 * what an installer needs to make one the place.
 */
#include "vm/platform.h"
#include "vm/primitives/prim.h"
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

/* {name. model. bytes. contents. isEmpty. bytes a sector. isInUse.
 * isReadOnly} of disk `index` from 1, or nil. */
int prim_disk(struct vm *vm, int argc)
{
    enum { SLOTS = 8 };
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
    fields[5] = int_oop(disk.sector_size);
    fields[6] = disk.in_use ? h->true_ : h->false_;
    fields[7] = disk.read_only ? h->true_ : h->false_;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!all || !fields[i])
            return PRIM_ERR_NO_MEMORY;
        heap_store(h, all, i, fields[i]);
    }
    return prim_answer(vm, argc, all);
}

/* Operand `i` as a C string; false if it is none or does not fit. */
static bool text_operand(struct vm *vm, int argc, int i, char *to, size_t size)
{
    oop o = prim_operand(vm, argc, i);
    uint64_t n = is_bytes(o) ? byte_count(o) : size;

    if (n >= size)
        return false;
    memcpy(to, bytes(o), n);
    to[n] = 0;
    return true;
}

/* `act` is done to what has the name: nil, or in a line why not. */
static int act_on(struct vm *vm, int argc,
                  int (*act)(const char *name, const char **why))
{
    char name[256];
    const char *why = NULL;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!text_operand(vm, argc, 1, name, sizeof name))
        return PRIM_ERR_BAD_ARGUMENT;
    if (act(name, &why) == 0)
        why = NULL;
    return prim_answer_new(vm, argc, string_or_nil(vm, why));
}

int prim_image_remove(struct vm *vm, int argc)
{
    return act_on(vm, argc, plat_image_remove);
}

int prim_disk_format(struct vm *vm, int argc)
{
    return act_on(vm, argc, plat_disk_format);
}

enum { DISK_NAME = sizeof(((struct plat_disk *)0)->name) };

/* Disk, first sector, bytes, whether to write: 0 or a negative number. */
int prim_disk_move(struct vm *vm, int argc)
{
    char name[DISK_NAME];
    oop sector, buffer, write;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    sector = prim_operand(vm, argc, 2);
    buffer = prim_operand(vm, argc, 3);
    write = prim_operand(vm, argc, 4);
    if (!text_operand(vm, argc, 1, name, sizeof name) || !is_int(sector) ||
        int_value(sector) < 0 || !is_bytes(buffer) ||
        (write != vm->heap.true_ && write != vm->heap.false_))
        return PRIM_ERR_BAD_ARGUMENT;
    if (write == vm->heap.false_ && is_immutable(buffer))
        return PRIM_ERR_NO_MODIFICATION;
    return prim_answer(vm, argc, int_oop(plat_disk_move(
        name, write == vm->heap.true_, (uint64_t)int_value(sector),
        bytes(buffer), byte_count(buffer))));
}

/* Disk or partition, first sector, sectors: nil, or in a line why not. */
int prim_disk_use(struct vm *vm, int argc)
{
    char name[DISK_NAME];
    oop first, sectors;
    const char *why = NULL;

    if (argc != 3)
        return PRIM_ERR_BAD_NUM_ARGS;
    first = prim_operand(vm, argc, 2);
    sectors = prim_operand(vm, argc, 3);
    if (!text_operand(vm, argc, 1, name, sizeof name) || !is_int(first) ||
        int_value(first) < 0 || !is_int(sectors) || int_value(sectors) < 0)
        return PRIM_ERR_BAD_ARGUMENT;
    if (plat_disk_use(name, (uint64_t)int_value(first),
                      (uint64_t)int_value(sectors), &why) == 0)
        why = NULL;
    return prim_answer_new(vm, argc, string_or_nil(vm, why));
}

/* The bytes of a file that the boot loader brought, or nil. */
int prim_boot_file(struct vm *vm, int argc)
{
    char name[64];
    const void *found;
    size_t n;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!text_operand(vm, argc, 1, name, sizeof name) || name[0] != '/')
        return PRIM_ERR_BAD_ARGUMENT;
    found = plat_asset(name, &n);
    if (!found)
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc,
                           heap_new_byte_array(&vm->heap, found, n));
}

enum { FIRMWARE_NAME = 32, FIRMWARE_BYTES = 4096 };

/* A variable of the firmware: bytes, nil for none, or a String: why not. */
int prim_firmware_read(struct vm *vm, int argc)
{
    char name[FIRMWARE_NAME];
    uint8_t value[FIRMWARE_BYTES];
    uint64_t n = sizeof value;
    const char *why = NULL;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!text_operand(vm, argc, 1, name, sizeof name))
        return PRIM_ERR_BAD_ARGUMENT;
    if (plat_firmware_get(name, value, &n, &why))
        return prim_answer_new(vm, argc, string_or_nil(vm, why));
    if (!n)
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc,
                           heap_new_byte_array(&vm->heap, value, n));
}

/* Name and bytes: nil, or in a line why not. */
int prim_firmware_write(struct vm *vm, int argc)
{
    char name[FIRMWARE_NAME];
    const char *why = NULL;
    oop value;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    value = prim_operand(vm, argc, 2);
    if (!text_operand(vm, argc, 1, name, sizeof name) || !is_bytes(value) ||
        byte_count(value) > FIRMWARE_BYTES)
        return PRIM_ERR_BAD_ARGUMENT;
    if (plat_firmware_set(name, bytes(value), byte_count(value), &why) == 0)
        why = NULL;
    return prim_answer_new(vm, argc, string_or_nil(vm, why));
}
