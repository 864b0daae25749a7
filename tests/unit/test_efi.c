/*
 * test_efi.c - firmware made of software, in a memory of our own: one that
 * serves, and ones that lie or fault. Includes the code, with that memory
 * where the kernel has the machine's.
 */
#define phys_to_virt kernel_phys_to_virt
#include "tests/unit/kernel_fake.h"
#undef phys_to_virt

#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void *phys_to_virt(uint64_t phys);

#include "kernel/efi.c"

enum {
    MEMORY = 0x4000, SYSTEM = 0x1000, RUNTIME = 0x2000, GET = 0x3000,
    SET = 0x3100,
};

static uint8_t memory[MEMORY];
static struct boot_info boot;

static struct {
    uint64_t status, size; /* what it answers */
    unsigned calls, entered, left;
    uint64_t entry, attributes;
    uint16_t name[EFI_NAME];
    uint8_t value[VALUE_BYTES];
} fake;

char efi_escape[1];
uint64_t efi_stack;

static void *phys_to_virt(uint64_t phys)
{
    return memory + phys % MEMORY;
}

void trap_set_rescue(bool (*r)(struct trap_frame *frame)) {}
int vmm_space_map(uint64_t phys, uint64_t pages) { return 0; }
void vmm_space_enter(void) { fake.entered++; }
void vmm_space_leave(void) { fake.left++; }

static void *at(uint64_t address) { return (void *)(uintptr_t)address; }

uint64_t efi_call(uint64_t entry, const uint64_t args[EFI_ARGS])
{
    assert_true(calling && fake.entered == fake.left + 1);
    fake.calls++;
    fake.entry = entry;
    memcpy(fake.name, at(args[0]), sizeof fake.name);
    assert_memory_equal(at(args[1]), global_guid, 16);
    if (entry == GET) {
        uint64_t room;

        memcpy(&room, at(args[3]), sizeof room);
        memcpy(at(args[3]), &fake.size, sizeof fake.size);
        memcpy(at(args[4]), fake.value, fake.size < room ? fake.size : room);
    } else {
        fake.attributes = args[2];
        fake.size = args[3];
        memcpy(fake.value, at(args[4]), args[3]);
    }
    return fake.status;
}

static int fresh(void **state)
{
    memset(memory, 0, sizeof memory);
    memset(&fake, 0, sizeof fake);
    boot = (struct boot_info){ .efi = { .system_table = SYSTEM, .bits = 64,
                                        .region_count = 2 } };
    boot.efi.regions[0].start = 0x1000;
    boot.efi.regions[0].pages = 2;
    boot.efi.regions[1].start = 0x3000;
    boot.efi.regions[1].pages = 1;
    memcpy(memory + SYSTEM, "IBI SYST", 8);
    put64(memory + SYSTEM + SYSTEM_RUNTIME, RUNTIME);
    memcpy(memory + RUNTIME, "RUNTSERV", 8);
    put64(memory + RUNTIME + RUNTIME_GET, GET);
    put64(memory + RUNTIME + RUNTIME_SET, SET);
    return 0;
}

static int get(uint64_t *n, const char **why)
{
    static uint8_t bytes[VALUE_BYTES];

    return efi_get("BootOrder", bytes, n, why);
}

/* Nothing is called, and it is said why. */
static void assert_refused(const char *text)
{
    const char *why;
    uint64_t n = 100;

    efi_init(&boot);
    assert_int_equal(get(&n, &why), -ENOTSUP);
    assert_string_equal(why, text);
    assert_int_equal(efi_set("BootOrder", "x", 1, &why), -ENOTSUP);
    assert_int_equal(fake.calls, 0);
}

static void a_bios_has_no_variables(void **state)
{
    boot.efi.bits = 0;
    assert_refused("this machine was not started by UEFI");
}

static void firmware_of_32_bits_is_not_called(void **state)
{
    boot.efi.bits = 32;
    assert_refused("firmware of 32 bits cannot be asked");
}

#define LOST "the firmware's services are not to be found"

static void tables_that_lie_are_not_believed(void **state)
{
    boot.efi.system_table = 0x5000;
    assert_refused(LOST);
    fresh(state);
    memory[SYSTEM] = 'x';
    assert_refused(LOST);
    fresh(state);
    memory[RUNTIME] = 'x';
    assert_refused(LOST);
    fresh(state);
    put64(memory + SYSTEM + SYSTEM_RUNTIME, 0x2ff0);
    assert_refused(LOST);
    fresh(state);
    put64(memory + RUNTIME + RUNTIME_SET, 0x4000);
    assert_refused(LOST);
    fresh(state);
    put64(memory + RUNTIME + RUNTIME_GET, ~0ull);
    assert_refused(LOST);
}

static void maps_that_lie_are_not_believed(void **state)
{
    boot.efi.region_count = 0;
    assert_refused(LOST);
    fresh(state);
    boot.efi.cut = true;
    assert_refused(LOST);
    fresh(state);
    boot.efi.regions[0].start++;
    assert_refused(LOST);
    fresh(state);
    boot.efi.regions[1].pages = UINT64_MAX;
    assert_refused(LOST);
    fresh(state);
    boot.efi.regions[1].start = DIRECT_END;
    assert_refused(LOST);
}

static void values_are_read_and_written(void **state)
{
    static const uint16_t name[] = { 'B', 'o', 'o', 't', '0', '0', 'A',
                                     'F', 0 };
    const char *why;
    uint8_t bytes[16];
    uint64_t n = sizeof bytes;

    efi_init(&boot);
    assert_int_equal(efi_set("Boot00AF", "hello", 5, &why), 0);
    assert_int_equal(fake.entry, SET);
    assert_int_equal(fake.attributes, 7);
    assert_memory_equal(fake.name, name, sizeof name);
    assert_int_equal(efi_get("Boot00AF", bytes, &n, &why), 0);
    assert_int_equal(fake.entry, GET);
    assert_int_equal(n, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(fake.entered, 2);
    assert_int_equal(fake.left, 2);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const uint8_t many[VALUE_BYTES + 1];
    const char *why;
    uint64_t n = 4;

    efi_init(&boot);
    fake.size = 5;
    assert_int_equal(get(&n, &why), -E2BIG);
    fake.size = ~0ull; /* more than there was room for */
    assert_int_equal(get(&n, &why), -E2BIG);
    assert_int_equal(n, 4);
    assert_int_equal(efi_set("x", many, sizeof many, &why), -E2BIG);
    assert_int_equal(efi_set("", "x", 1, &why), -EINVAL);
    assert_int_equal(efi_set("a name that is far too long for us", "x", 1,
                             &why), -EINVAL);
}

static void its_errors_are_told(void **state)
{
    static const struct {
        uint64_t status;
        int error;
    } rows[] = { { ERROR(14), -ENOENT }, { ERROR(9), -ENOSPC },
                 { ERROR(8), -EACCES }, { ERROR(7), -EIO },
                 { 12345, -EIO } };
    const char *why;
    uint64_t n = 16;

    efi_init(&boot);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        fake.status = rows[i].status;
        why = NULL;
        assert_int_equal(get(&n, &why), rows[i].error);
        assert_non_null(why);
    }
}

static void one_that_faults_is_not_called_again(void **state)
{
    const char *why;
    uint64_t n = 16;

    efi_init(&boot);
    fake.status = EFI_FAULTED;
    assert_int_equal(get(&n, &why), -EFAULT);
    assert_int_equal(fake.left, 1);
    assert_int_equal(get(&n, &why), -ENOTSUP);
    assert_string_equal(why, "the firmware made a mistake and was stopped");
    assert_int_equal(fake.calls, 1);
}

static void only_its_own_exceptions_are_caught(void **state)
{
    struct trap_frame frame = { .vector = TRAP_PAGE_FAULT, .rip = 1 };

    calling = false;
    assert_false(escape(&frame));
    calling = true;
    efi_stack = 77;
    frame.vector = TRAP_NMI;
    assert_false(escape(&frame));
    assert_int_equal(frame.rip, 1);
    frame.vector = TRAP_PAGE_FAULT;
    assert_true(escape(&frame));
    assert_int_equal(frame.rip, (uintptr_t)efi_escape);
    assert_int_equal(frame.rsp, 77);
    calling = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_bios_has_no_variables, fresh),
        cmocka_unit_test_setup(firmware_of_32_bits_is_not_called, fresh),
        cmocka_unit_test_setup(tables_that_lie_are_not_believed, fresh),
        cmocka_unit_test_setup(maps_that_lie_are_not_believed, fresh),
        cmocka_unit_test_setup(values_are_read_and_written, fresh),
        cmocka_unit_test_setup(what_does_not_fit_is_refused, fresh),
        cmocka_unit_test_setup(its_errors_are_told, fresh),
        cmocka_unit_test_setup(one_that_faults_is_not_called_again, fresh),
        cmocka_unit_test_setup(only_its_own_exceptions_are_caught, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
