/*
 * plugin_hardware.c - devices for drivers written in Smalltalk: module
 * AerostatHardware. It owns the pieces of memory that the image has asked
 * for, and lets nothing be touched outside of them; what else may be done is
 * for the platform to say (plat_hardware).
 */
#include "vm/platform.h"
#include "vm/primitives/prim.h"

#include <string.h>

enum { MAX_PIECES = 128, TOPIC = 16, DESCRIPTION = 48 << 10 };
#define MAX_PIECE_BYTES (1ull << 32)

/* Device registers or a DMA buffer. Handles count up from a number that an
 * image saved in another run does not have. */
static struct piece {
    int64_t handle; /* 0: free */
    uint64_t address, bytes;
    volatile uint8_t *at;
    bool dma;
} pieces[MAX_PIECES];

/* --- arguments and errors --- */

enum { MAX_ARGS = 5 };

static int primitive_error(int error)
{
    switch (error) {
    case -1: return PRIM_ERR_INAPPROPRIATE;
    case -2: return PRIM_ERR_NOT_FOUND;
    case -12: return PRIM_ERR_NO_C_MEMORY;
    case -16: return PRIM_ERR_OPERATION_FAILED;
    default: return PRIM_ERR_BAD_ARGUMENT;
    }
}

/* `count` integers, and the doors; 0 or a PRIM_ERR_. */
static int take(struct vm *vm, int argc, int count, int64_t *v,
                const struct plat_hardware **hw)
{
    *hw = plat_hardware();
    if (argc != count)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!*hw)
        return PRIM_ERR_UNSUPPORTED;
    for (int i = 0; i < count; i++)
        if (!heap_int64_value(prim_operand(vm, argc, 1 + i), &v[i]))
            return PRIM_ERR_BAD_ARGUMENT;
    return 0;
}

static bool within(int64_t v, int64_t limit) { return v >= 0 && v < limit; }

static bool is_width(int64_t bytes, int64_t widest)
{
    return bytes > 0 && bytes <= widest && (bytes & (bytes - 1)) == 0;
}

static int answer(struct vm *vm, int argc, int result)
{
    return result < 0 ? primitive_error(result) : prim_answer_self(vm, argc);
}

static int answer_number(struct vm *vm, int argc, int result, uint32_t v)
{
    return result < 0 ? primitive_error(result)
                      : prim_answer(vm, argc, int_oop(v));
}

/* --- ports and PCI --- */

/* port, bytes */
int prim_hw_port_read(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    uint32_t value = 0;
    int error = take(vm, argc, 2, v, &hw);

    if (error)
        return error;
    if (!within(v[0], 65536) || !is_width(v[1], 4))
        return PRIM_ERR_BAD_ARGUMENT;
    error = hw->port_read((uint16_t)v[0], (unsigned)v[1], &value);
    return answer_number(vm, argc, error, value);
}

/* port, bytes, value */
int prim_hw_port_write(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 3, v, &hw);

    if (error)
        return error;
    if (!within(v[0], 65536) || !is_width(v[1], 4) ||
        !within(v[2], 1ll << 8 * v[1]))
        return PRIM_ERR_BAD_ARGUMENT;
    return answer(vm, argc, hw->port_write((uint16_t)v[0], (unsigned)v[1],
                                           (uint32_t)v[2]));
}

static bool is_register(const int64_t *v)
{
    return within(v[0], 65536) && is_width(v[2], 4) && within(v[1], 4096) &&
           v[1] % v[2] == 0;
}

/* function, register, bytes */
int prim_hw_pci_read(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    uint32_t value = 0;
    int error = take(vm, argc, 3, v, &hw);

    if (error)
        return error;
    if (!is_register(v))
        return PRIM_ERR_BAD_ARGUMENT;
    error = hw->pci_read((unsigned)v[0], (unsigned)v[1], (unsigned)v[2],
                         &value);
    return answer_number(vm, argc, error, value);
}

/* function, register, bytes, value */
int prim_hw_pci_write(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 4, v, &hw);

    if (error)
        return error;
    if (!is_register(v) || !within(v[3], 1ll << 8 * v[2]))
        return PRIM_ERR_BAD_ARGUMENT;
    return answer(vm, argc, hw->pci_write((unsigned)v[0], (unsigned)v[1],
                                          (unsigned)v[2], (uint32_t)v[3]));
}

/* --- memory --- */

static struct piece *find_piece(int64_t handle)
{
    for (unsigned i = 0; handle && i < MAX_PIECES; i++)
        if (pieces[i].handle == handle)
            return &pieces[i];
    return NULL;
}

static struct piece *free_piece(void)
{
    for (unsigned i = 0; i < MAX_PIECES; i++)
        if (!pieces[i].handle)
            return &pieces[i];
    return NULL;
}

static int answer_piece(struct vm *vm, int argc, struct piece *p,
                        struct piece filled)
{
    static int64_t last;

    if (!last)
        last = plat_utc_usecs();
    *p = filled;
    p->handle = ++last;
    return prim_answer(vm, argc, int_oop(p->handle));
}

/* address, bytes: a handle */
int prim_hw_map(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    struct piece *p = free_piece();
    int64_t v[MAX_ARGS];
    void *at;
    int error = take(vm, argc, 2, v, &hw);

    if (error)
        return error;
    if (v[0] < 0 || v[1] <= 0 || v[1] > (int64_t)MAX_PIECE_BYTES)
        return PRIM_ERR_BAD_ARGUMENT;
    if (!p)
        return PRIM_ERR_LIMIT_EXCEEDED;
    error = hw->map((uint64_t)v[0], (uint64_t)v[1], &at);
    if (error)
        return primitive_error(error);
    return answer_piece(vm, argc, p, (struct piece){
        .address = (uint64_t)v[0], .bytes = (uint64_t)v[1], .at = at });
}

/* bytes: a handle */
int prim_hw_dma_alloc(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    struct piece *p = free_piece();
    int64_t v[MAX_ARGS];
    uint64_t address;
    void *at;
    int error = take(vm, argc, 1, v, &hw);

    if (error)
        return error;
    if (v[0] <= 0 || v[0] > (int64_t)MAX_PIECE_BYTES)
        return PRIM_ERR_BAD_ARGUMENT;
    if (!p)
        return PRIM_ERR_LIMIT_EXCEEDED;
    error = hw->dma_alloc((uint64_t)v[0], &address, &at);
    if (error)
        return primitive_error(error);
    return answer_piece(vm, argc, p, (struct piece){
        .address = address, .bytes = (uint64_t)v[0], .at = at,
        .dma = true });
}

/* The only argument: a handle. */
static int take_piece(struct vm *vm, int argc, struct piece **p,
                      const struct plat_hardware **hw)
{
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 1, v, hw);

    if (error)
        return error;
    *p = find_piece(v[0]);
    return *p ? PRIM_OK : PRIM_ERR_NOT_FOUND;
}

/* handle */
int prim_hw_memory_free(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    struct piece *p;
    int error = take_piece(vm, argc, &p, &hw);

    if (error)
        return error;
    if (p->dma)
        hw->dma_free(p->address, p->bytes);
    p->handle = 0;
    return prim_answer_self(vm, argc);
}

/* handle */
int prim_hw_memory_address(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    struct piece *p;
    int error = take_piece(vm, argc, &p, &hw);

    if (error)
        return error;
    return prim_answer_new(vm, argc, heap_uint64(&vm->heap, p->address));
}

/* v: handle, offset, bytes. Aligned: many devices take nothing else. */
static int find_place(const int64_t *v, volatile void **at)
{
    struct piece *p = find_piece(v[0]);

    if (!p)
        return PRIM_ERR_NOT_FOUND;
    if (!is_width(v[2], 8) || v[1] % v[2])
        return PRIM_ERR_BAD_ARGUMENT;
    if (v[1] < 0 || (uint64_t)v[1] >= p->bytes ||
        (uint64_t)v[2] > p->bytes - (uint64_t)v[1])
        return PRIM_ERR_BAD_INDEX;
    *at = p->at + v[1];
    return 0;
}

/* Reading a register may change the device, so the number's object is there
 * before: a primitive that runs out of memory is run again. */
static int read_quad(struct vm *vm, int argc, volatile uint64_t *at)
{
    oop large = heap_uint64(&vm->heap, UINT64_MAX);
    uint64_t v;

    if (!large)
        return PRIM_ERR_NO_MEMORY;
    v = *at;
    if (v <= INT64_MAX && int_fits((int64_t)v))
        return prim_answer(vm, argc, int_oop((int64_t)v));
    memcpy(bytes(large), &v, sizeof v);
    return prim_answer(vm, argc, large);
}

/* handle, offset, bytes */
int prim_hw_memory_read(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    volatile void *at = NULL;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 3, v, &hw);

    if (!error)
        error = find_place(v, &at);
    if (error)
        return error;
    switch (v[2]) {
    case 1: return prim_answer(vm, argc, int_oop(*(volatile uint8_t *)at));
    case 2: return prim_answer(vm, argc, int_oop(*(volatile uint16_t *)at));
    case 4: return prim_answer(vm, argc, int_oop(*(volatile uint32_t *)at));
    default: return read_quad(vm, argc, at);
    }
}

/* handle, offset, bytes, value */
int prim_hw_memory_write(struct vm *vm, int argc)
{
    const struct plat_hardware *hw = plat_hardware();
    volatile void *at = NULL;
    int64_t v[MAX_ARGS];
    uint64_t value;
    int error;

    if (argc != 4)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!hw)
        return PRIM_ERR_UNSUPPORTED;
    for (int i = 0; i < 3; i++)
        if (!heap_int64_value(prim_operand(vm, argc, 1 + i), &v[i]))
            return PRIM_ERR_BAD_ARGUMENT;
    if (!heap_uint64_value(vm->sp[0], &value))
        return PRIM_ERR_BAD_ARGUMENT;
    error = find_place(v, &at);
    if (error)
        return error;
    if (v[2] < 8 && value >> 8 * v[2])
        return PRIM_ERR_BAD_ARGUMENT;
    switch (v[2]) {
    case 1: *(volatile uint8_t *)at = (uint8_t)value; break;
    case 2: *(volatile uint16_t *)at = (uint16_t)value; break;
    case 4: *(volatile uint32_t *)at = (uint32_t)value; break;
    default: *(volatile uint64_t *)at = value;
    }
    return prim_answer_self(vm, argc);
}

/* handle, offset, byte array, start from 1, count, into the array?: a stretch
 * at once, in an order and in steps that are nobody's business; for buffers,
 * not for registers. */
int prim_hw_memory_copy(struct vm *vm, int argc)
{
    enum { ARGS = 6 };
    oop array, out;
    int64_t v[4];
    struct piece *p;

    if (argc != ARGS)
        return PRIM_ERR_BAD_NUM_ARGS;
    if (!plat_hardware())
        return PRIM_ERR_UNSUPPORTED;
    for (int i = 0; i < 4; i++)
        if (!heap_int64_value(prim_operand(vm, argc, i < 2 ? 1 + i : 2 + i),
                              &v[i]))
            return PRIM_ERR_BAD_ARGUMENT;
    array = prim_operand(vm, argc, 3);
    out = vm->sp[0];
    p = find_piece(v[0]);
    if (!p)
        return PRIM_ERR_NOT_FOUND;
    if (!is_pointer(array) || !is_bytes(array) ||
        (out != vm->heap.true_ && out != vm->heap.false_))
        return PRIM_ERR_BAD_ARGUMENT;
    if (v[1] < 0 || v[2] < 1 || v[3] < 0 || (uint64_t)v[1] > p->bytes ||
        (uint64_t)v[3] > p->bytes - (uint64_t)v[1] ||
        (uint64_t)v[2] - 1 > byte_count(array) ||
        (uint64_t)v[3] > byte_count(array) - ((uint64_t)v[2] - 1))
        return PRIM_ERR_BAD_INDEX;
    if (out == vm->heap.true_ && is_immutable(array))
        return PRIM_ERR_NO_MODIFICATION;
    for (int64_t i = 0; i < v[3]; i++)
        if (out == vm->heap.true_)
            bytes(array)[v[2] - 1 + i] = p->at[v[1] + i];
        else
            p->at[v[1] + i] = bytes(array)[v[2] - 1 + i];
    return prim_answer_self(vm, argc);
}

/* --- interrupts --- */

/* line or -1, function, semaphore's number: a number */
int prim_hw_interrupt_open(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int number, error = take(vm, argc, 3, v, &hw);

    if (error)
        return error;
    if (v[0] < -1 || v[0] > 255 || !within(v[1], 65536) ||
        v[2] < 1 || v[2] > EXTERNAL_MAX)
        return PRIM_ERR_BAD_ARGUMENT;
    number = hw->interrupt_open((int)v[0], (unsigned)v[1], (int)v[2]);
    return answer_number(vm, argc, number, (uint32_t)number);
}

static int with_interrupt(struct vm *vm, int argc, bool close)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 1, v, &hw);

    if (error)
        return error;
    if (!within(v[0], INT32_MAX))
        return PRIM_ERR_BAD_ARGUMENT;
    return answer(vm, argc, close ? hw->interrupt_close((int)v[0])
                                  : hw->interrupt_done((int)v[0]));
}

/* number */
int prim_hw_interrupt_done(struct vm *vm, int argc)
{
    return with_interrupt(vm, argc, false);
}

/* number */
int prim_hw_interrupt_close(struct vm *vm, int argc)
{
    return with_interrupt(vm, argc, true);
}

/* --- input --- */

/* 1 for places on the screen, x, y, wheel, buttons */
int prim_hw_pointer(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 5, v, &hw);

    if (error)
        return error;
    for (int i = 1; i < 4; i++)
        if (v[i] < -65536 || v[i] > 65536)
            return PRIM_ERR_BAD_ARGUMENT;
    if (!within(v[0], 2) || !within(v[4], 32))
        return PRIM_ERR_BAD_ARGUMENT;
    hw->pointer(v[0] != 0, (int)v[1], (int)v[2], (int)v[3], (unsigned)v[4]);
    return prim_answer_self(vm, argc);
}

/* usage, 1 for down */
int prim_hw_key(struct vm *vm, int argc)
{
    const struct plat_hardware *hw;
    int64_t v[MAX_ARGS];
    int error = take(vm, argc, 2, v, &hw);

    if (error)
        return error;
    if (!within(v[0], 256) || !within(v[1], 2))
        return PRIM_ERR_BAD_ARGUMENT;
    hw->key((unsigned)v[0], v[1] != 0);
    return prim_answer_self(vm, argc);
}

/* --- looking --- */

/* topic: a String, or nil */
int prim_hw_describe(struct vm *vm, int argc)
{
    static char text[DESCRIPTION];
    char topic[TOPIC];
    oop o = vm->sp[0];
    uint64_t n;

    if (argc != 1)
        return PRIM_ERR_BAD_NUM_ARGS;
    n = is_bytes(o) ? byte_count(o) : TOPIC;
    if (n >= TOPIC)
        return PRIM_ERR_BAD_ARGUMENT;
    memcpy(topic, bytes(o), n);
    topic[n] = 0;
    n = plat_describe(topic, text, sizeof text);
    if (!n)
        return prim_answer(vm, argc, vm->heap.nil);
    return prim_answer_new(vm, argc, heap_new_bytes(&vm->heap,
                                                    CLS_BYTE_STRING, text,
                                                    n));
}
