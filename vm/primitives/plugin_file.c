/*
 * plugin_file.c - module FilePlugin: files and directories.
 *
 * A handle is a ByteArray of the image's; its bytes name a slot of the table
 * here and the session that opened it. Handles that a saved image brings
 * back, copies of closed ones and plain inventions are all refused.
 */
#include "vm/primitives/plugin_file.h"

enum { MAX_FILES = 256, ENTRY_SLOTS = 7 };
enum { STDIN = -1, STDOUT = -2, STDERR = -3 }; /* platform files below 0 */

struct open_file {
    bool used, writable;
    uint32_t serial; /* tells apart those that used this slot */
    int file;        /* the platform's, or one of the standard streams */
    uint64_t at;
    int peeked; /* a byte of standard input, or -1 */
};

struct handle {
    uint32_t session, slot, serial, magic;
};

enum { HANDLE_MAGIC = 0x46696c65 };

static struct open_file files[MAX_FILES];
static uint32_t next_serial = 1;

/* --- shared with FileAttributesPlugin --- */

bool file_path(oop o, char *to)
{
    uint64_t n;

    if (!is_bytes(o))
        return false;
    n = byte_count(o);
    if (n >= PATH_MAX_BYTES)
        return false;
    memcpy(to, bytes(o), n);
    to[n] = 0;
    return strlen(to) == n;
}

static int64_t last_error;

/* A primitive error for one of the platform's. */
static int file_error(int64_t error)
{
    last_error = error;
    switch (error) {
    case -2: return PRIM_ERR_NOT_FOUND;
    case -17: return PRIM_ERR_INAPPROPRIATE; /* exists */
    default: return PRIM_ERR_OPERATION_FAILED;
    }
}

/* Why the last operation that failed did so, where its code does not say it;
 * nil: nothing to add. */
int prim_file_problem(struct vm *vm, int argc)
{
    const char *why = NULL;
    oop answer;

    switch (last_error) {
    case -13: why = "it is not permitted"; break;
    case -16: why = "it is open"; break;
    case -19: why = "this machine has no volume for files"; break;
    case -28: why = "the disk is full"; break;
    case -30: why = "it is read-only"; break;
    }
    answer = why ? heap_new_string(&vm->heap, why) : vm->heap.nil;
    if (answer)
        last_error = 0;
    return prim_answer_new(vm, argc, answer);
}

/* --- handles --- */

static struct open_file *file_of(struct vm *vm, oop o)
{
    struct handle h;

    if (!is_bytes(o) || byte_count(o) < sizeof h)
        return NULL;
    memcpy(&h, bytes(o), sizeof h);
    if (h.magic != HANDLE_MAGIC || h.session != vm->session ||
        h.slot >= MAX_FILES || !files[h.slot].used ||
        files[h.slot].serial != h.serial)
        return NULL;
    return &files[h.slot];
}

/* An unused slot, or MAX_FILES. */
static uint32_t free_slot(void)
{
    uint32_t i = 0;

    while (i < MAX_FILES && files[i].used)
        i++;
    return i;
}

/* The slot of a standard stream, which has one until it is closed. */
static uint32_t stream_slot(int file)
{
    for (uint32_t i = 0; i < MAX_FILES; i++)
        if (files[i].used && files[i].file == file)
            return i;
    return free_slot();
}

/* The object that names a slot; 0: no memory, in the heap or in the table. */
static oop new_handle(struct vm *vm, uint32_t slot)
{
    struct handle h = { vm->session, slot, next_serial, HANDLE_MAGIC };

    if (slot == MAX_FILES)
        return 0;
    if (files[slot].used)
        h.serial = files[slot].serial;
    return heap_new_byte_array(&vm->heap, &h, sizeof h);
}

static void take_slot(uint32_t slot, int file, bool writable)
{
    if (!files[slot].used)
        files[slot] = (struct open_file){ true, writable, next_serial++,
                                          file, 0, -1 };
}

static bool is_stream(const struct open_file *f)
{
    return f->file < 0;
}

static int answer_uint(struct vm *vm, int argc, uint64_t v)
{
    return prim_answer_new(vm, argc, heap_uint64(&vm->heap, v));
}

/* --- open and close --- */

/* The handle comes first: whoever gets none and tries again must not find a
 * new file that is there already. */
static int open_path(struct vm *vm, int argc, oop name,
                     enum plat_open_mode mode)
{
    char path[PATH_MAX_BYTES];
    uint32_t slot = free_slot();
    oop handle;
    int file;

    if (!file_path(name, path))
        return PRIM_ERR_BAD_ARGUMENT;
    handle = new_handle(vm, slot);
    if (!handle)
        return PRIM_ERR_NO_MEMORY;
    file = plat_file_open(path, mode);
    if (file < 0)
        return file_error(file);
    take_slot(slot, file, mode != PLAT_READ);
    return prim_answer(vm, argc, handle);
}

int prim_file_open(struct vm *vm, int argc)
{
    oop writable = vm->sp[0];

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (writable != vm->heap.true_ && writable != vm->heap.false_)
        return PRIM_ERR_BAD_ARGUMENT;
    return open_path(vm, argc, vm->sp[1],
                     writable == vm->heap.true_ ? PLAT_WRITE : PLAT_READ);
}

int prim_file_open_new(struct vm *vm, int argc)
{
    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    return open_path(vm, argc, vm->sp[0], PLAT_CREATE_NEW);
}

int prim_file_close(struct vm *vm, int argc)
{
    struct open_file *f = file_of(vm, vm->sp[0]);
    int r;

    if (!f)
        return PRIM_ERR_BAD_ARGUMENT;
    r = is_stream(f) ? 0 : plat_file_close(f->file);
    f->used = false;
    return r ? file_error(r) : prim_answer_self(vm, argc);
}

int prim_file_stdio_handles(struct vm *vm, int argc)
{
    oop array = heap_new(&vm->heap, CLS_ARRAY, FMT_ARRAY, 3);

    for (int i = 0; array && i < 3; i++) {
        uint32_t slot = stream_slot(-1 - i);
        oop o = new_handle(vm, slot);

        if (!o)
            return PRIM_ERR_NO_MEMORY;
        take_slot(slot, -1 - i, i > 0);
        heap_store(&vm->heap, array, (uint64_t)i, o);
    }
    return prim_answer_new(vm, argc, array);
}

/* --- reading and writing --- */

/* The part of a buffer that an operation is about. */
struct span {
    uint8_t *p;
    uint64_t n;     /* bytes */
    unsigned width; /* of an element */
};

/* Operands: handle, buffer, start (from 1), count. */
static int load_span(struct vm *vm, int argc, struct open_file **file,
                     struct span *s)
{
    oop buffer = vm->sp[2];
    int64_t start, count;
    uint64_t size;
    unsigned f;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    *file = file_of(vm, vm->sp[3]);
    if (!*file || !is_pointer(buffer) || !is_int(vm->sp[1]) ||
        !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    f = format_of(buffer);
    if (f < FMT_64 || is_code(buffer))
        return PRIM_ERR_BAD_ARGUMENT;
    s->width = format_width(f);
    size = heap_indexed_size(&vm->heap, buffer);
    start = int_value(vm->sp[1]);
    count = int_value(vm->sp[0]);
    if (start < 1 || count < 0 || (uint64_t)start - 1 > size ||
        (uint64_t)count > size - ((uint64_t)start - 1))
        return PRIM_ERR_BAD_INDEX;
    s->p = bytes(buffer) + ((uint64_t)start - 1) * s->width;
    s->n = (uint64_t)count * s->width;
    return PRIM_OK;
}

static int stdin_byte(struct open_file *f)
{
    int c = f->peeked;

    f->peeked = -1;
    return c >= 0 ? c : plat_read_byte();
}

/* What has been typed, up to the end of the line; nothing: end of file. */
static int64_t read_stdin(struct open_file *f, uint8_t *p, uint64_t n)
{
    uint64_t i = 0;

    while (i < n) {
        int c = stdin_byte(f);

        if (c < 0) {
            if (i)
                break;
            plat_idle(plat_usecs() + 20000);
            continue;
        }
        if (c == 4) {
            f->peeked = i ? c : -1;
            break;
        }
        p[i++] = (uint8_t)c;
        if (c == '\n')
            break;
    }
    return (int64_t)i;
}

int prim_file_read(struct vm *vm, int argc)
{
    struct open_file *f;
    struct span s;
    int64_t n;
    int error = load_span(vm, argc, &f, &s);

    if (error)
        return error;
    if (is_stream(f) && f->file != STDIN)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_immutable(vm->sp[2]))
        return PRIM_ERR_NO_MODIFICATION;
    n = is_stream(f) ? read_stdin(f, s.p, s.n)
                     : plat_file_read(f->file, f->at, s.p, s.n);
    if (n < 0)
        return file_error(n);
    f->at += (uint64_t)n;
    return answer_uint(vm, argc, (uint64_t)n / s.width);
}

int prim_file_write(struct vm *vm, int argc)
{
    struct open_file *f;
    struct span s;
    int64_t n;
    int error = load_span(vm, argc, &f, &s);

    if (error)
        return error;
    if (!f->writable)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_stream(f)) {
        plat_write(f->file == STDOUT ? 1 : 2, (const char *)s.p, s.n);
        n = (int64_t)s.n;
    } else {
        n = plat_file_write(f->file, f->at, s.p, s.n);
    }
    if (n < 0)
        return file_error(n);
    f->at += (uint64_t)n;
    return answer_uint(vm, argc, (uint64_t)n / s.width);
}

/* --- size and position --- */

/* The file of a handle operand that can seek, or NULL. */
static struct open_file *seekable(struct vm *vm, oop handle)
{
    struct open_file *f = file_of(vm, handle);

    return f && !is_stream(f) ? f : NULL;
}

int prim_file_size(struct vm *vm, int argc)
{
    struct open_file *f = seekable(vm, vm->sp[0]);
    int64_t n;

    if (!f)
        return PRIM_ERR_BAD_ARGUMENT;
    n = plat_file_size(f->file);
    return n < 0 ? file_error(n) : answer_uint(vm, argc, (uint64_t)n);
}

int prim_file_position(struct vm *vm, int argc)
{
    struct open_file *f = seekable(vm, vm->sp[0]);

    return f ? answer_uint(vm, argc, f->at) : PRIM_ERR_BAD_ARGUMENT;
}

int prim_file_set_position(struct vm *vm, int argc)
{
    struct open_file *f;
    uint64_t at;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    f = seekable(vm, vm->sp[1]);
    if (!f || !heap_uint64_value(vm->sp[0], &at) || at > INT64_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    f->at = at;
    return prim_answer_self(vm, argc);
}

/* At the end of standard input: nothing waits and nothing more can come. */
static bool stdin_ended(struct open_file *f)
{
    if (f->peeked < 0)
        f->peeked = plat_read_byte();
    return f->peeked == 4;
}

int prim_file_at_end(struct vm *vm, int argc)
{
    struct open_file *f = file_of(vm, vm->sp[0]);
    int64_t n;

    if (!f)
        return PRIM_ERR_BAD_ARGUMENT;
    if (is_stream(f))
        return prim_answer_bool(vm, argc,
                                f->file == STDIN && stdin_ended(f));
    n = plat_file_size(f->file);
    return n < 0 ? file_error(n)
                 : prim_answer_bool(vm, argc, f->at >= (uint64_t)n);
}

int prim_file_truncate(struct vm *vm, int argc)
{
    struct open_file *f;
    uint64_t size;
    int r;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    f = seekable(vm, vm->sp[1]);
    if (!f || !f->writable || !heap_uint64_value(vm->sp[0], &size) ||
        size > INT64_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    r = plat_file_truncate(f->file, size);
    if (r)
        return file_error(r);
    if (f->at > size)
        f->at = size;
    return prim_answer_self(vm, argc);
}

/* Nothing is kept back in the VM, so there is nothing to flush. */
int prim_file_flush(struct vm *vm, int argc)
{
    return file_of(vm, vm->sp[0]) ? prim_answer_self(vm, argc)
                                  : PRIM_ERR_BAD_ARGUMENT;
}

int prim_file_sync(struct vm *vm, int argc)
{
    struct open_file *f = file_of(vm, vm->sp[0]);
    int r;

    if (!f)
        return PRIM_ERR_BAD_ARGUMENT;
    r = is_stream(f) ? 0 : plat_file_sync(f->file);
    return r ? file_error(r) : prim_answer_self(vm, argc);
}

/* Of a descriptor 0 to 2: a terminal, to Smalltalk. */
int prim_file_descriptor_type(struct vm *vm, int argc)
{
    oop d = vm->sp[0];

    if (!is_int(d))
        return PRIM_ERR_BAD_ARGUMENT;
    return prim_answer(vm, argc,
                       int_oop(int_value(d) >= 0 && int_value(d) <= 2 ? 1
                                                                      : -1));
}

/* --- names --- */

/* What takes a path and answers the receiver. */
static int with_path(struct vm *vm, int argc, int (*operation)(const char *))
{
    char path[PATH_MAX_BYTES];
    int r;

    if (!file_path(vm->sp[0], path))
        return PRIM_ERR_BAD_ARGUMENT;
    r = operation(path);
    return r ? file_error(r) : prim_answer_self(vm, argc);
}

int prim_file_delete(struct vm *vm, int argc)
{
    return with_path(vm, argc, plat_file_delete);
}

int prim_file_rename(struct vm *vm, int argc)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    int r;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!file_path(vm->sp[1], from) || !file_path(vm->sp[0], to))
        return PRIM_ERR_BAD_ARGUMENT;
    r = plat_file_rename(from, to);
    return r ? file_error(r) : prim_answer_self(vm, argc);
}

/* --- directories --- */

int prim_dir_create(struct vm *vm, int argc)
{
    return with_path(vm, argc, plat_dir_create);
}

int prim_dir_delete(struct vm *vm, int argc)
{
    return with_path(vm, argc, plat_dir_delete);
}

int prim_dir_delimiter(struct vm *vm, int argc)
{
    return prim_answer(vm, argc, char_oop('/'));
}

/* Times count from 1901, in UTC if the image's flag says so. */
static int64_t image_time(struct vm *vm, int64_t unix_seconds)
{
    enum { FLAG_UTC_FILE_TIMES = 1 << 9 };
    bool utc = vm->heap.image_flags & FLAG_UTC_FILE_TIMES;

    return unix_seconds + EPOCH_1901 + (utc ? 0 : plat_utc_offset());
}

/* {name. created. modified. isDirectory. size. mode. isSymlink}; 0: no
 * memory. */
static oop new_entry(struct vm *vm, const struct plat_file_info *info)
{
    struct heap *h = &vm->heap;
    oop entry = heap_new(h, CLS_ARRAY, FMT_ARRAY, ENTRY_SLOTS);
    oop value[ENTRY_SLOTS] = {
        heap_new_string(h, info->name),
        heap_int64(h, image_time(vm, info->created)),
        heap_int64(h, image_time(vm, info->modified)),
        info->is_directory ? h->true_ : h->false_,
        heap_uint64(h, info->is_directory ? 0 : info->size),
        int_oop(info->mode),
        info->is_symlink ? h->true_ : h->false_,
    };

    for (unsigned i = 0; entry && i < ENTRY_SLOTS; i++) {
        if (!value[i])
            return 0;
        heap_store(h, entry, i, value[i]);
    }
    return entry;
}

int prim_dir_lookup(struct vm *vm, int argc)
{
    char path[PATH_MAX_BYTES];
    struct plat_file_info info;
    int r;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!file_path(vm->sp[1], path) || !is_int(vm->sp[0]))
        return PRIM_ERR_BAD_ARGUMENT;
    if (int_value(vm->sp[0]) < 1 || int_value(vm->sp[0]) > INT32_MAX)
        return PRIM_ERR_BAD_INDEX;
    r = plat_dir_entry(*path ? path : "/",
                       (unsigned)int_value(vm->sp[0]) - 1, &info);
    if (r < 0)
        return file_error(r);
    return r ? prim_answer_new(vm, argc, new_entry(vm, &info))
             : prim_answer(vm, argc, vm->heap.nil);
}

int prim_dir_entry(struct vm *vm, int argc)
{
    char path[PATH_MAX_BYTES], name[PATH_MAX_BYTES];
    struct plat_file_info info;
    size_t n;

    if (argc != 2)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!file_path(vm->sp[1], path) || !file_path(vm->sp[0], name))
        return PRIM_ERR_BAD_ARGUMENT;
    n = strlen(path);
    if (n + strlen(name) + 2 > sizeof path)
        return PRIM_ERR_BAD_ARGUMENT;
    if (!n || path[n - 1] != '/')
        path[n++] = '/';
    strcpy(path + n, name);
    if (plat_file_info(path, &info))
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc, new_entry(vm, &info));
}
