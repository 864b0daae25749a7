/*
 * prim_system.c - the image's view of its surroundings: names, arguments,
 * clipboard, console, environment, clocks of the named sort.
 */
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <stdio.h>

#define VERSION "Aerostat 0.1"

/* A byte object as a C string of less than `size`; false: it is none. */
static bool c_string(oop o, char *to, size_t size)
{
    if (!is_bytes(o) || byte_count(o) >= size)
        return false;
    memcpy(to, bytes(o), byte_count(o));
    to[byte_count(o)] = 0;
    return strlen(to) == byte_count(o);
}

static int answer_string(struct vm *vm, int argc, const char *s)
{
    return prim_answer_new(vm, argc, heap_new_string(&vm->heap, s));
}

/* --- names and arguments --- */

int prim_image_name(struct vm *vm, int argc)
{
    char name[sizeof vm->image_name];

    if (argc == 0)
        return answer_string(vm, argc, vm->image_name);
    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!c_string(vm->sp[0], name, sizeof name) || !*name)
        return PRIM_ERR_BAD_ARGUMENT;
    strcpy(vm->image_name, name);
    return prim_answer(vm, argc, vm->sp[0]);
}

/* The directory that the VM's program lies in, with its slash. */
int prim_vm_path(struct vm *vm, int argc)
{
    const char *path = vm->options.vm_path ? vm->options.vm_path : "";
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash + 1 - path) : 0;

    if (!slash)
        return answer_string(vm, argc, "./");
    return prim_answer_new(vm, argc,
                           heap_new_bytes(&vm->heap, CLS_BYTE_STRING, path,
                                          n));
}

static const char *attribute(struct vm *vm, int64_t id)
{
    if (id == 0)
        return vm->options.vm_path ? vm->options.vm_path : "aerostat";
    if (id == 1)
        return vm->image_name;
    if (id >= 2 && id < 2 + (int64_t)vm->options.argc)
        return vm->options.argv[id - 2];
    if (id == -1 && vm->options.headless)
        return "-headless"; /* what images look for before they open a UI */
    switch (id) {
    case 1001: return "unix"; /* how buttons and paths are understood */
    case 1002: return "1.0";
    case 1003: return "x64";
    case 1004: return VERSION " [Spur 64]";
    case 1005: return "Aerostat";
    case 1006: return vm->options.machine ? vm->options.machine : "hosted";
    case 1007: return VERSION " interpreter";
    case 1009: return VERSION;
    default: return NULL;
    }
}

int prim_system_attribute(struct vm *vm, int argc)
{
    const char *s;

    if (!is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    s = attribute(vm, int_value(vm->sp[0]));
    return s ? answer_string(vm, argc, s) : PRIM_ERR_BAD_INDEX;
}

int prim_vm_version(struct vm *vm, int argc)
{
    return answer_string(vm, argc, VERSION);
}

int prim_image_format_version(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(68021));
}

int prim_bytecode_sets(struct vm *vm, int argc)
{
    static const char *const names[] = { "V3PlusClosures", "SistaV1" };
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 2);

    for (unsigned i = 0; array && i < 2; i++) {
        oop name = heap_new_string(&vm->heap, names[i]);

        if (!name)
            return PRIM_ERR_NO_MEMORY;
        heap_store(&vm->heap, array, i, name);
    }
    return prim_answer_new(vm, argc, array);
}

int prim_getenv(struct vm *vm, int argc)
{
    char name[256];
    const char *value;

    if (!c_string(vm->sp[0], name, sizeof name))
        return PRIM_ERR_BAD_ARGUMENT;
    value = plat_getenv(name);
    return value ? answer_string(vm, argc, value)
                 : prim_answer(vm, argc, vm->heap.nil);
}

int prim_working_directory(struct vm *vm, int argc)
{
    return answer_string(vm, argc, plat_cwd());
}

/* --- clipboard, bell --- */

int prim_clipboard(struct vm *vm, int argc)
{
    const char *text;
    size_t n;

    if (argc == 0) {
        text = plat_clipboard_get(&n);
        return prim_answer_new(vm, argc,
                               heap_new_bytes(&vm->heap, CLS_BYTE_STRING,
                                              text, n));
    }
    if (argc != 1 || !is_bytes(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    plat_clipboard_set((const char *)bytes(vm->sp[0]),
                       byte_count(vm->sp[0]));
    return prim_answer_self(vm, argc);
}

/* There is nothing that could sound. */
int prim_beep(struct vm *vm, int argc)
{
    return prim_answer_self(vm, argc);
}

/* --- console --- */

int prim_console_write(struct vm *vm, int argc)
{
    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (vm->sp[1] != int_oop(1) && vm->sp[1] != int_oop(2))
        return PRIM_ERR_BAD_INDEX;
    if (!is_bytes(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    plat_write((int)int_value(vm->sp[1]), (const char *)bytes(vm->sp[0]),
               byte_count(vm->sp[0]));
    return prim_answer_self(vm, argc);
}

int prim_console_read_byte(struct vm *vm, int argc)
{
    int c = plat_read_byte();

    return prim_answer(vm, argc, c < 0 ? vm->heap.nil : int_oop(c));
}

/* The external semaphore to signal when a byte has come that the image
 * looked for in vain. */
int prim_console_semaphore(struct vm *vm, int argc)
{
    oop index = vm->sp[0];

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(index) || int_value(index) < 0 || int_value(index) > INT32_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    vm->console_semaphore = (int)int_value(index);
    return prim_answer_self(vm, argc);
}

/* --- clocks --- */

int prim_high_res_clock(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc,
                           heap_uint64(&vm->heap, plat_usecs() * 1000));
}
