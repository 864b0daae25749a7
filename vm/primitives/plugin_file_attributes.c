/*
 * plugin_file_attributes.c - module FileAttributesPlugin: what a file is,
 * and directories as streams of {name. attributes}.
 *
 * Times are Unix seconds in UTC. What the platform does not know is 0.
 */
#include "vm/primitives/plugin_file.h"

enum { MAX_DIRS = 32, DIR_MAGIC = 0x44697273 };
enum { S_DIRECTORY = 0040000, S_REGULAR = 0100000, S_LINK = 0120000 };
enum { STAT_SLOTS = 13 };
enum { WANT_STAT = 1, WANT_ACCESS = 2 };

/* Attribute numbers. */
enum {
    ATTR_NAME = 1, ATTR_MODE, ATTR_INODE, ATTR_DEVICE, ATTR_LINKS, ATTR_UID,
    ATTR_GID, ATTR_SIZE, ATTR_ACCESS_TIME, ATTR_MODIFIED, ATTR_CHANGED,
    ATTR_CREATED, ATTR_READABLE, ATTR_WRITABLE, ATTR_EXECUTABLE,
    ATTR_IS_LINK,
};

static oop boolean(struct vm *vm, bool b)
{
    return b ? vm->heap.true_ : vm->heap.false_;
}

static uint32_t full_mode(const struct plat_file_info *i)
{
    return i->mode | (i->is_directory ? S_DIRECTORY : S_REGULAR);
}

/* Attribute n of a file; 0: no memory. */
static oop attribute(struct vm *vm, const struct plat_file_info *i, int n)
{
    struct heap *h = &vm->heap;

    switch (n) {
    case ATTR_NAME: return h->nil; /* the target of a link: not known */
    case ATTR_MODE: return int_oop(full_mode(i));
    case ATTR_LINKS: return int_oop(1);
    case ATTR_SIZE: return heap_uint64(h, i->size);
    case ATTR_ACCESS_TIME:
    case ATTR_MODIFIED: return heap_int64(h, i->modified);
    case ATTR_CHANGED:
    case ATTR_CREATED: return heap_int64(h, i->created);
    case ATTR_READABLE: return boolean(vm, i->mode & 0444);
    case ATTR_WRITABLE: return boolean(vm, i->mode & 0222);
    case ATTR_EXECUTABLE: return boolean(vm, i->mode & 0111);
    case ATTR_IS_LINK: return boolean(vm, i->is_symlink);
    default: return int_oop(0);
    }
}

/* Array of attributes first to last, `extra` nils after them. */
static oop attributes(struct vm *vm, const struct plat_file_info *i,
                      int first, int last, int extra)
{
    int n = last - first + 1;
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY,
                         (uint64_t)(n + extra));

    for (int k = 0; array && k < n; k++) {
        oop value = attribute(vm, i, first + k);

        if (!value)
            return 0;
        heap_store(&vm->heap, array, (uint64_t)k, value);
    }
    return array;
}

/* The 13 fields that images expect: 1 to 12, then whether it is a link. */
static oop stat_array(struct vm *vm, const struct plat_file_info *i)
{
    oop array = attributes(vm, i, ATTR_NAME, ATTR_CREATED, 1);

    if (array)
        heap_store(&vm->heap, array, STAT_SLOTS - 1,
                   boolean(vm, i->is_symlink));
    return array;
}

static oop access_array(struct vm *vm, const struct plat_file_info *i)
{
    return attributes(vm, i, ATTR_READABLE, ATTR_EXECUTABLE, 0);
}

static oop pair(struct vm *vm, oop a, oop b)
{
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 2);

    if (!array || !a || !b)
        return 0;
    heap_store(&vm->heap, array, 0, a);
    heap_store(&vm->heap, array, 1, b);
    return array;
}

/* --- one file --- */

static int info_of(oop name, struct plat_file_info *info)
{
    char path[PATH_MAX_BYTES];

    if (!file_path(name, path))
        return PRIM_ERR_BAD_ARGUMENT;
    return plat_file_info(path, info) ? PRIM_ERR_OPERATION_FAILED : PRIM_OK;
}

int prim_fa_exists(struct vm *vm, int argc)
{
    struct plat_file_info info;
    int error = info_of(vm->sp[0], &info);

    if (error == PRIM_ERR_BAD_ARGUMENT)
        return error;
    return prim_answer_bool(vm, argc, !error);
}

int prim_fa_attribute(struct vm *vm, int argc)
{
    struct plat_file_info info;
    oop n = vm->sp[0];
    int error;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(n) || int_value(n) < 1 || int_value(n) > ATTR_IS_LINK)
        return PRIM_ERR_BAD_ARGUMENT;
    error = info_of(vm->sp[1], &info);
    if (error)
        return error;
    return prim_answer_new(vm, argc,
                           attribute(vm, &info, (int)int_value(n)));
}

int prim_fa_attributes(struct vm *vm, int argc)
{
    struct plat_file_info info;
    int64_t want;
    int error;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    want = int_value(vm->sp[0]) & (WANT_STAT | WANT_ACCESS);
    error = info_of(vm->sp[1], &info);
    if (error)
        return error;
    if (want == WANT_STAT)
        return prim_answer_new(vm, argc, stat_array(vm, &info));
    if (want == WANT_ACCESS)
        return prim_answer_new(vm, argc, access_array(vm, &info));
    if (!want)
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer_new(vm, argc, pair(vm, stat_array(vm, &info),
                                          access_array(vm, &info)));
}

/* Type bits of a mode: all, socket, link, file, block, directory, character
 * device, pipe. */
int prim_fa_masks(struct vm *vm, int argc)
{
    static const int masks[] = { 0170000, 0140000, S_LINK,  S_REGULAR,
                                 0060000, S_DIRECTORY, 0020000, 0010000 };
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 8);

    for (unsigned i = 0; array && i < 8; i++)
        slots(array)[i] = int_oop(masks[i]);
    return prim_answer_new(vm, argc, array);
}

int prim_fa_path_max(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(PATH_MAX_BYTES - 1));
}

/* Paths are UTF-8 on both sides. */
int prim_fa_same_path(struct vm *vm, int argc)
{
    oop path = vm->sp[0];

    if (!is_bytes(path))
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer_new(vm, argc,
                           heap_new_byte_array(&vm->heap, bytes(path),
                                               byte_count(path)));
}

int prim_fa_version(struct vm *vm, int argc)
{
    return prim_answer_new(vm, argc, heap_new_string(&vm->heap, "2.0.9"));
}

int prim_fa_drives(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, int_oop(0));
}

/* --- directories --- */

struct open_dir {
    bool used;
    uint32_t serial;
    unsigned next;
    char path[PATH_MAX_BYTES];
};

struct dir_handle { /* 8 bytes, as the image expects */
    uint32_t session_and_slot, serial;
};

static struct open_dir dirs[MAX_DIRS];
static uint32_t next_serial = DIR_MAGIC;

static uint32_t session_and_slot(struct vm *vm, unsigned i)
{
    return vm->session * MAX_DIRS + i;
}

static struct open_dir *dir_of(struct vm *vm, oop o)
{
    struct dir_handle h;

    if (!is_bytes(o) || byte_count(o) != sizeof h)
        return NULL;
    memcpy(&h, bytes(o), sizeof h);
    for (unsigned i = 0; i < MAX_DIRS; i++)
        if (dirs[i].used && dirs[i].serial == h.serial &&
            h.session_and_slot == session_and_slot(vm, i))
            return &dirs[i];
    return NULL;
}

static oop new_dir(struct vm *vm, const char *path)
{
    struct dir_handle h;
    unsigned i = 0;
    oop o;

    while (i < MAX_DIRS && dirs[i].used)
        i++;
    if (i == MAX_DIRS)
        return 0;
    h.session_and_slot = session_and_slot(vm, i);
    h.serial = next_serial;
    o = heap_new_byte_array(&vm->heap, &h, sizeof h);
    if (!o)
        return 0;
    dirs[i].used = true;
    dirs[i].serial = next_serial++;
    dirs[i].next = 0;
    strcpy(dirs[i].path, path);
    return o;
}

/* {name. attributes} of the next entry, nil at the end. */
static int answer_next(struct vm *vm, int argc, struct open_dir *d)
{
    struct plat_file_info info;
    int r = plat_dir_entry(d->path, d->next, &info);
    oop entry;

    if (r < 0)
        return PRIM_ERR_OPERATION_FAILED;
    if (!r)
        return prim_answer(vm, argc, vm->heap.nil);
    entry = pair(vm,
                 heap_new_byte_array(&vm->heap, info.name,
                                     strlen(info.name)),
                 stat_array(vm, &info));
    if (!entry)
        return PRIM_ERR_NO_MEMORY;
    d->next++;
    return prim_answer(vm, argc, entry);
}

int prim_fa_opendir(struct vm *vm, int argc)
{
    char path[PATH_MAX_BYTES];
    struct plat_file_info info;

    if (!file_path(vm->sp[0], path))
        return PRIM_ERR_BAD_ARGUMENT;
    if (plat_dir_entry(path, 0, &info) < 0)
        return PRIM_ERR_OPERATION_FAILED;
    return prim_answer_new(vm, argc, new_dir(vm, path));
}

int prim_fa_readdir(struct vm *vm, int argc)
{
    struct open_dir *d = dir_of(vm, vm->sp[0]);

    return d ? answer_next(vm, argc, d) : PRIM_ERR_BAD_ARGUMENT;
}

int prim_fa_rewinddir(struct vm *vm, int argc)
{
    struct open_dir *d = dir_of(vm, vm->sp[0]);

    if (!d)
        return PRIM_ERR_BAD_ARGUMENT;
    d->next = 0;
    return prim_answer(vm, argc, vm->sp[0]);
}

int prim_fa_closedir(struct vm *vm, int argc)
{
    struct open_dir *d = dir_of(vm, vm->sp[0]);

    if (!d)
        return PRIM_ERR_BAD_ARGUMENT;
    d->used = false;
    return prim_answer_self(vm, argc);
}
