/*
 * efi.c - calls the firmware's runtime services. UEFI 2.10, sections 4.3, 4.5
 * and 8.2.
 *
 * GRUB ended the boot services and left the firmware where it was: it runs
 * under physical addresses, in an address space where nothing else is but the
 * memory it asked to keep. It is not trusted to be there: what it says is
 * checked, and an exception ends the call.
 *
 * QEMU: -drive if=pflash with OVMF's CODE and a copy of its VARS
 */
#include "kernel/efi.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "boot/boot_info.h"
#include "kernel/bytes.h"
#include "kernel/efi_call.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/trap.h"
#include "kernel/vmm.h"

enum { /* offsets */
    SYSTEM_REVISION = 8, SYSTEM_RUNTIME = 88, SYSTEM_BYTES = 120,
    RUNTIME_GET = 72, RUNTIME_SET = 88, RUNTIME_BYTES = 136,
};
enum { NON_VOLATILE = 1, AT_BOOT = 2, AT_RUN_TIME = 4 };
enum { VALUE_BYTES = 4096 };
#define ERROR(n) (1ull << 63 | (n)) /* appendix D */
#define DIRECT_END (DEVICE_BASE - DIRECT_BASE)

static const struct boot_efi *efi;
static const char *missing; /* why it cannot be asked; NULL: it can */
static uint64_t get_entry, set_entry;
static volatile bool calling;
/* The firmware sees these where the kernel does. */
static uint8_t value[VALUE_BYTES];
static uint16_t wide_name[EFI_NAME];
/* 8be4df61-93ca-11d2-aa0d-00e098032b8c */
static const uint8_t global_guid[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93,
                                         0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0,
                                         0x98, 0x03, 0x2b, 0x8c };

/* --- is it there? --- */

static bool in_regions(uint64_t start, uint64_t bytes)
{
    for (unsigned i = 0; i < efi->region_count; i++) {
        uint64_t first = efi->regions[i].start;
        uint64_t size = efi->regions[i].pages * PAGE_SIZE;

        if (start >= first && start - first < size &&
            bytes <= size - (start - first))
            return true;
    }
    return false;
}

/* A table that the firmware keeps; NULL: it lies elsewhere, or is another. */
static const uint8_t *table_at(uint64_t phys, const char *signature,
                               uint64_t bytes)
{
    const uint8_t *t = phys_to_virt(phys);

    if (phys >= DIRECT_END || !in_regions(phys, bytes) ||
        memcmp(t, signature, 8) != 0)
        return NULL;
    return t;
}

/* Where the two services begin. */
static bool find_services(void)
{
    const uint8_t *system = table_at(efi->system_table, "IBI SYST",
                                     SYSTEM_BYTES);
    const uint8_t *runtime =
        system ? table_at(get64(system + SYSTEM_RUNTIME), "RUNTSERV",
                          RUNTIME_BYTES)
               : NULL;

    if (!runtime)
        return false;
    get_entry = get64(runtime + RUNTIME_GET);
    set_entry = get64(runtime + RUNTIME_SET);
    return in_regions(get_entry, 1) && in_regions(set_entry, 1);
}

static bool regions_are_sound(void)
{
    for (unsigned i = 0; i < efi->region_count; i++) {
        uint64_t start = efi->regions[i].start;
        uint64_t pages = efi->regions[i].pages;

        if (start % PAGE_SIZE || start >= DIRECT_END ||
            pages > (DIRECT_END - start) / PAGE_SIZE)
            return false;
    }
    return efi->region_count > 0 && !efi->cut;
}

static int map_regions(void)
{
    int error = 0;

    for (unsigned i = 0; i < efi->region_count && !error; i++)
        error = vmm_space_map(efi->regions[i].start, efi->regions[i].pages);
    return error;
}

static const char *find_out(void)
{
    if (!efi->bits)
        return "this machine was not started by UEFI";
    if (efi->bits != 64)
        return "firmware of 32 bits cannot be asked";
    if (!regions_are_sound() || !find_services())
        return "the firmware's services are not to be found";
    if (map_regions())
        return "there is not enough memory";
    return NULL;
}

void efi_init(const struct boot_info *boot)
{
    efi = &boot->efi;
    missing = find_out();
    if (efi->bits)
        klog("firmware: UEFI%s%s\n",
             missing ? ", boot entries cannot be made: " : "",
             missing ? missing : "");
}

const char *efi_missing(void) { return missing; }

/* --- calls --- */

/* The exception's own stack is in the kernel's half, which is the same in
 * both spaces. */
static bool escape(struct trap_frame *frame)
{
    if (!calling || frame->vector == TRAP_NMI ||
        frame->vector == TRAP_DOUBLE_FAULT)
        return false;
    frame->rip = (uint64_t)(uintptr_t)efi_escape;
    frame->rsp = efi_stack;
    return true;
}

static uint64_t call(uint64_t entry, const uint64_t args[EFI_ARGS])
{
    bool on = irq_save();
    uint64_t status;

    trap_set_rescue(escape);
    vmm_space_enter();
    calling = true;
    status = efi_call(entry, args);
    calling = false;
    vmm_space_leave();
    trap_set_rescue(NULL);
    irq_restore(on);
    return status;
}

static int result(uint64_t status, const char **why)
{
    static const struct {
        uint64_t status;
        int error;
        const char *why;
    } known[] = {
        { 0, 0, NULL },
        { ERROR(3), -ENOTSUP, "the firmware has no such service" },
        { ERROR(5), -E2BIG, "the firmware's variable is too long" },
        { ERROR(8), -EACCES, "the firmware's variables are read-only" },
        { ERROR(9), -ENOSPC, "the firmware has no room for more variables" },
        { ERROR(14), -ENOENT, "the firmware has no such variable" },
        { ERROR(26), -EACCES, "the firmware does not allow it" },
    };

    if (status == EFI_FAULTED) {
        missing = *why = "the firmware made a mistake and was stopped";
        klog("firmware: %s\n", missing);
        return -EFAULT;
    }
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status) {
            *why = known[i].why;
            return known[i].error;
        }
    *why = "the firmware reports an error";
    return -EIO;
}

/* 0 if there is something to call; then the name is where it sees it. */
static int prepare(const char *name, const char **why)
{
    size_t n = strlen(name);

    *why = missing;
    if (missing)
        return -ENOTSUP;
    *why = "that is no name of a variable";
    if (!n || n >= EFI_NAME)
        return -EINVAL;
    for (size_t i = 0; i <= n; i++)
        wide_name[i] = (uint8_t)name[i];
    return 0;
}

static uint64_t address(const volatile void *p)
{
    return (uint64_t)(uintptr_t)p;
}

int efi_get(const char *name, void *bytes, uint64_t *n, const char **why)
{
    uint32_t attributes = 0;
    uint64_t size = sizeof value;
    const uint64_t args[EFI_ARGS] = { address(wide_name), address(global_guid),
                                  address(&attributes), address(&size),
                                  address(value) };
    int error = prepare(name, why);

    if (!error)
        error = result(call(get_entry, args), why);
    if (!error && (size > sizeof value || size > *n))
        error = result(ERROR(5), why);
    if (error)
        return error;
    memcpy(bytes, value, size);
    *n = size;
    return 0;
}

int efi_set(const char *name, const void *bytes, uint64_t n, const char **why)
{
    const uint64_t args[EFI_ARGS] = { address(wide_name), address(global_guid),
                                  NON_VOLATILE | AT_BOOT | AT_RUN_TIME, n,
                                  address(value) };
    int error = prepare(name, why);

    if (!error && n > sizeof value)
        error = result(ERROR(5), why);
    if (error)
        return error;
    memcpy(value, bytes, n);
    return result(call(set_entry, args), why);
}
