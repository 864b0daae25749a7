/*
 * The primitives for devices against a machine made of variables: what
 * reaches it, and what must not.
 */
#include "tests/unit/prim_test.h"

#include <string.h>

#include "tests/unit/plat_stub.h"
#include "vm/platform.h"

enum { BUFFER = 64, RAM_ADDRESS = 0x100000 };

static struct {
    char said[128]; /* what was asked last, in words */
    uint8_t registers[BUFFER] __attribute__((aligned(8)));
    int result;
    unsigned freed;
} world;

static int port_read(uint16_t port, unsigned bytes, uint32_t *value)
{
    snprintf(world.said, sizeof world.said, "in %x %u", port, bytes);
    *value = 0xcafe0000 + port;
    return world.result;
}
static int port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    snprintf(world.said, sizeof world.said, "out %x %u %x", port, bytes,
             value);
    return world.result;
}
static int pci_read(unsigned function, unsigned reg, unsigned bytes,
                    uint32_t *value)
{
    snprintf(world.said, sizeof world.said, "pci %x %x %u", function, reg,
             bytes);
    *value = UINT32_MAX;
    return world.result;
}
static int pci_write(unsigned function, unsigned reg, unsigned bytes,
                     uint32_t value)
{
    snprintf(world.said, sizeof world.said, "pci %x %x %u %x", function, reg,
             bytes, value);
    return world.result;
}
static int map(uint64_t address, uint64_t bytes, void **at)
{
    *at = world.registers;
    return address == RAM_ADDRESS ? -1 : 0;
}
static int dma_alloc(uint64_t bytes, uint64_t *address, void **at)
{
    if (bytes > BUFFER)
        return -12;
    memset(world.registers, 0, BUFFER);
    *address = UINT64_MAX - 4095;
    *at = world.registers;
    return 0;
}
static void dma_free(uint64_t address, uint64_t bytes) { world.freed++; }
static int interrupt_open(int line, unsigned function, int semaphore)
{
    snprintf(world.said, sizeof world.said, "irq %d %x %d", line, function,
             semaphore);
    return line == 4 ? -16 : 7;
}
static int interrupt_number(int number) { return number == 7 ? 0 : -2; }
static void pointer(bool absolute, int x, int y, int wheel, unsigned buttons)
{
    snprintf(world.said, sizeof world.said, "pointer %d %d %d %d %u",
             absolute, x, y, wheel, buttons);
}
static void key(unsigned usage, bool down)
{
    snprintf(world.said, sizeof world.said, "key %u %d", usage, down);
}

static const struct plat_hardware doors = {
    port_read, port_write, pci_read, pci_write, map, dma_alloc, dma_free,
    interrupt_open, interrupt_number, interrupt_number, pointer, key,
};

static int begin(void **state)
{
    memset(&world, 0, sizeof world);
    plat_stub_hardware = &doors;
    return set_up(state);
}

/* Calls with integers as arguments. */
static int run(prim_fn *f, oop *result, int argc, const int64_t *v)
{
    oop operands[8] = { int_oop(0) };

    for (int i = 0; i < argc; i++)
        operands[1 + i] = int_oop(v[i]);
    return call(f, result, argc, operands);
}
#define RUN(f, ...)                                                          \
    run(f, &r, (int)(sizeof(int64_t[]){ __VA_ARGS__ } / sizeof(int64_t)),    \
        (int64_t[]){ __VA_ARGS__ })

static void without_devices_everything_fails(void **state)
{
    oop r;

    plat_stub_hardware = NULL;
    assert_int_equal(RUN(prim_hw_port_read, 0x60, 1), PRIM_ERR_UNSUPPORTED);
    assert_int_equal(RUN(prim_hw_dma_alloc, 16), PRIM_ERR_UNSUPPORTED);
    assert_int_equal(RUN(prim_hw_memory_write, 1, 0, 1, 0),
                     PRIM_ERR_UNSUPPORTED);
    assert_int_equal(RUN(prim_hw_interrupt_open, 3, 0, 1),
                     PRIM_ERR_UNSUPPORTED);
}

static void ports_of_every_width(void **state)
{
    oop r;

    assert_int_equal(RUN(prim_hw_port_read, 0x3f8, 2), 0);
    assert_int_equal(int_value(r), 0xcafe03f8);
    assert_string_equal(world.said, "in 3f8 2");
    assert_int_equal(RUN(prim_hw_port_write, 0xcfc, 4, 0xffffffff), 0);
    assert_string_equal(world.said, "out cfc 4 ffffffff");
    assert_int_equal(RUN(prim_hw_port_write, 0x60, 1, 255), 0);
    world.said[0] = 0;
    assert_int_equal(RUN(prim_hw_port_write, 0x60, 1, 256),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_port_write, 0x60, 1, -1),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_port_read, 0x60, 3), PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_port_read, 0x60, 8), PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_port_read, 65536, 1),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_string_equal(world.said, "");
    world.result = -1;
    assert_int_equal(RUN(prim_hw_port_read, 0x20, 1),
                     PRIM_ERR_INAPPROPRIATE);
}

static void configuration_space_is_aligned(void **state)
{
    oop r;

    assert_int_equal(RUN(prim_hw_pci_read, 0xfa, 0x10, 4), 0);
    assert_int_equal(int_value(r), UINT32_MAX);
    assert_string_equal(world.said, "pci fa 10 4");
    assert_int_equal(RUN(prim_hw_pci_write, 0xfa, 0x3c, 1, 9), 0);
    assert_string_equal(world.said, "pci fa 3c 1 9");
    assert_int_equal(RUN(prim_hw_pci_read, 0xfa, 0x11, 4),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_pci_read, 0xfa, 4096, 1),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_pci_read, 65536, 0, 1),
                     PRIM_ERR_BAD_ARGUMENT);
}

static void registers_within_their_range_only(void **state)
{
    int64_t handle;
    oop r;

    assert_int_equal(RUN(prim_hw_map, RAM_ADDRESS, 16),
                     PRIM_ERR_INAPPROPRIATE);
    assert_int_equal(RUN(prim_hw_map, 0xfd000000, 16), 0);
    handle = int_value(r);
    for (int bytes = 1; bytes <= 8; bytes *= 2) {
        assert_int_equal(RUN(prim_hw_memory_write, handle, 8, bytes, 0x5a),
                         0);
        assert_int_equal(RUN(prim_hw_memory_read, handle, 8, bytes), 0);
        assert_int_equal(int_value(r), 0x5a);
        assert_int_equal(RUN(prim_hw_memory_read, handle, 16, bytes),
                         PRIM_ERR_BAD_INDEX);
        assert_int_equal(RUN(prim_hw_memory_write, handle, -bytes, bytes, 0),
                         PRIM_ERR_BAD_INDEX);
    }
    assert_int_equal(RUN(prim_hw_memory_read, handle, 9, 2),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_memory_read, handle + 1, 0, 1),
                     PRIM_ERR_NOT_FOUND);
    assert_int_equal(RUN(prim_hw_memory_write, handle, 0, 2, 65536),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_memory_free, handle), 0);
    assert_int_equal(world.freed, 0);
    assert_int_equal(RUN(prim_hw_memory_read, handle, 0, 1),
                     PRIM_ERR_NOT_FOUND);
}

static void sixty_four_bits_come_through(void **state)
{
    uint64_t big = 0xfedcba9876543210u, v = 0;
    oop r, handle;

    assert_int_equal(RUN(prim_hw_map, 0xfd000000, 16), 0);
    handle = r;
    assert_int_equal(call(prim_hw_memory_write, &r, 4, (oop[]){
        int_oop(0), handle, int_oop(8), int_oop(8), heap_uint64(h, big) }),
        0);
    assert_memory_equal(world.registers + 8, &big, 8);
    assert_int_equal(RUN(prim_hw_memory_read, int_value(handle), 8, 8), 0);
    assert_true(heap_uint64_value(r, &v) && v == big);
    big = 1ull << 59; /* the last that is small and the first that is not */
    memcpy(world.registers, &big, 8);
    assert_int_equal(RUN(prim_hw_memory_read, int_value(handle), 0, 8), 0);
    assert_true(heap_uint64_value(r, &v) && v == big);
    big = 1ull << 60;
    memcpy(world.registers, &big, 8);
    assert_int_equal(RUN(prim_hw_memory_read, int_value(handle), 0, 8), 0);
    assert_true(is_pointer(r) && heap_uint64_value(r, &v) && v == big);
}

static void buffers_are_freed_once(void **state)
{
    int64_t handle;
    uint64_t address = 0;
    oop r;

    assert_int_equal(RUN(prim_hw_dma_alloc, BUFFER + 1),
                     PRIM_ERR_NO_C_MEMORY);
    assert_int_equal(RUN(prim_hw_dma_alloc, 32), 0);
    handle = int_value(r);
    assert_int_equal(RUN(prim_hw_memory_address, handle), 0);
    assert_true(heap_uint64_value(r, &address) &&
                address == UINT64_MAX - 4095);
    assert_int_equal(RUN(prim_hw_memory_free, handle), 0);
    assert_int_equal(RUN(prim_hw_memory_free, handle), PRIM_ERR_NOT_FOUND);
    assert_int_equal(world.freed, 1);
}

static int copy(oop *r, int64_t handle, int64_t offset, oop array,
                int64_t start, int64_t count, bool out)
{
    return call(prim_hw_memory_copy, r, 6, (oop[]){
        int_oop(0), int_oop(handle), int_oop(offset), array, int_oop(start),
        int_oop(count), out ? h->true_ : h->false_ });
}

static void stretches_are_copied_both_ways(void **state)
{
    oop array = heap_new_string(h, "abcdefgh"), r;
    int64_t handle;

    assert_int_equal(RUN(prim_hw_dma_alloc, 8), 0);
    handle = int_value(r);
    assert_int_equal(copy(&r, handle, 2, array, 3, 4, false), 0);
    assert_memory_equal(world.registers, "\0\0cdef\0\0", 8);
    assert_int_equal(copy(&r, handle, 2, array, 1, 2, true), 0);
    assert_memory_equal(bytes(array), "cdcdefgh", 8);
    assert_int_equal(copy(&r, handle, 8, array, 9, 0, true), 0);
    assert_int_equal(copy(&r, handle, 5, array, 1, 4, true),
                     PRIM_ERR_BAD_INDEX);
    assert_int_equal(copy(&r, handle, 0, array, 6, 4, false),
                     PRIM_ERR_BAD_INDEX);
    assert_int_equal(copy(&r, handle, 0, array, 0, 4, false),
                     PRIM_ERR_BAD_INDEX);
    assert_int_equal(copy(&r, handle, -1, array, 1, 1, false),
                     PRIM_ERR_BAD_INDEX);
    assert_int_equal(copy(&r, handle, 0, int_oop(3), 1, 1, false),
                     PRIM_ERR_BAD_ARGUMENT);
}

static void interrupts_have_numbers(void **state)
{
    oop r;

    assert_int_equal(RUN(prim_hw_interrupt_open, 3, 0, 5), 0);
    assert_int_equal(int_value(r), 7);
    assert_string_equal(world.said, "irq 3 0 5");
    assert_int_equal(RUN(prim_hw_interrupt_open, 4, 0, 5),
                     PRIM_ERR_OPERATION_FAILED);
    assert_int_equal(RUN(prim_hw_interrupt_open, 3, 0, 0),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_interrupt_open, -2, 0, 5),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_interrupt_done, 7), 0);
    assert_int_equal(RUN(prim_hw_interrupt_done, 8), PRIM_ERR_NOT_FOUND);
    assert_int_equal(RUN(prim_hw_interrupt_close, -1),
                     PRIM_ERR_BAD_ARGUMENT);
}

static void input_goes_to_the_kernel(void **state)
{
    oop r;

    assert_int_equal(RUN(prim_hw_pointer, 0, -3, 4, 1, 2), 0);
    assert_string_equal(world.said, "pointer 0 -3 4 1 2");
    assert_int_equal(RUN(prim_hw_pointer, 2, 0, 0, 0, 0),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_pointer, 0, 1 << 20, 0, 0, 0),
                     PRIM_ERR_BAD_ARGUMENT);
    assert_int_equal(RUN(prim_hw_key, 4, 1), 0);
    assert_string_equal(world.said, "key 4 1");
    assert_int_equal(RUN(prim_hw_key, 256, 1), PRIM_ERR_BAD_ARGUMENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_devices_everything_fails),
        TEST(ports_of_every_width),
        TEST(configuration_space_is_aligned),
        TEST(registers_within_their_range_only),
        TEST(sixty_four_bits_come_through),
        TEST(buffers_are_freed_once),
        TEST(stretches_are_copied_both_ways),
        TEST(interrupts_have_numbers),
        TEST(input_goes_to_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
