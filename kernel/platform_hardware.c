/*
 * platform_hardware.c - vm/platform.h's doors to devices on the bare machine:
 * ports, PCI, registers, DMA buffers, interrupts, input. `nohardware` on the
 * command line keeps them shut.
 *
 * Owns the interrupts that the image has asked for. One that was opened stays
 * routed for ever; closed, it is kept back.
 */
#include <errno.h>
#include <stddef.h>

#include "boot/boot_info.h"
#include "drivers/input.h"
#include "kernel/acpi.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/describe.h"
#include "kernel/irq.h"
#include "kernel/pci.h"
#include "kernel/platform_metal.h"
#include "kernel/pmm.h"
#include "kernel/reach.h"
#include "kernel/vmm.h"
#include "vm/platform.h"
#include "vm/vm.h"

enum { DENIED = -1, MISSING = -2, NO_MEMORY = -12, BUSY = -16,
       SENSELESS = -22 };
enum { INTERRUPTS = 32, MAPPINGS = 128 };

static const struct boot_info *boot_info;
static bool locked;

/* --- ports and PCI --- */

/* The kernel talks to these all the time, in more than one step: interrupt
 * controllers, PCI configuration. */
static bool is_kernel_port(uint16_t port, unsigned bytes)
{
    static const uint16_t own[][2] = {
        { 0x20, 0x21 }, { 0xa0, 0xa1 }, { 0xcf8, 0xcff },
    };

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (port <= own[i][1] && port + bytes > own[i][0])
            return true;
    return false;
}

static int port_read(uint16_t port, unsigned bytes, uint32_t *value)
{
    if (is_kernel_port(port, bytes))
        return DENIED;
    *value = bytes == 4 ? inl(port) : bytes == 2 ? inw(port) : inb(port);
    return 0;
}

static int port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    if (is_kernel_port(port, bytes))
        return DENIED;
    if (bytes == 4)
        outl(port, value);
    else if (bytes == 2)
        outw(port, (uint16_t)value);
    else
        outb(port, (uint8_t)value);
    return 0;
}

static struct pci_device *pci_at(unsigned function)
{
    struct pci_device *d;

    for (unsigned i = 0; (d = pci_device(i)) != NULL; i++)
        if (((unsigned)d->bus << 8 | d->slot << 3 | d->function) == function)
            return d;
    return NULL;
}

static int config_read(unsigned function, unsigned reg, unsigned bytes,
                       uint32_t *value)
{
    const struct pci_device *d = pci_at(function);

    if (!d)
        return MISSING;
    *value = bytes == 4   ? pci_read32(d, reg)
             : bytes == 2 ? pci_read16(d, reg)
                          : pci_read8(d, reg);
    return 0;
}

/* Functions that a driver of the kernel has taken are not to be touched. */
static int config_write(unsigned function, unsigned reg, unsigned bytes,
                        uint32_t value)
{
    const struct pci_device *d = pci_at(function);

    if (!d)
        return MISSING;
    if (d->driver)
        return BUSY;
    if (bytes == 4)
        pci_write32(d, reg, value);
    else if (bytes == 2)
        pci_write16(d, reg, (uint16_t)value);
    else
        pci_write8(d, reg, (uint8_t)value);
    return 0;
}

/* --- memory --- */

/* What was mapped once is remembered: there is no way back (vmm.h). */
static int map(uint64_t address, uint64_t bytes, void **at)
{
    static struct {
        uint64_t address, bytes;
        void *at;
    } maps[MAPPINGS];
    static unsigned count;

    for (unsigned i = 0; i < count; i++)
        if (address >= maps[i].address &&
            address + bytes <= maps[i].address + maps[i].bytes) {
            *at = (char *)maps[i].at + (address - maps[i].address);
            return 0;
        }
    if (!reach_allowed(boot_info, acpi(), cpu_address_bits(), address, bytes))
        return DENIED;
    if (count == MAPPINGS)
        return NO_MEMORY;
    *at = (void *)(uintptr_t)vmm_map_device(address, bytes, PAGE_UNCACHED);
    if (!*at)
        return NO_MEMORY;
    maps[count].address = address;
    maps[count].bytes = bytes;
    maps[count++].at = *at;
    return 0;
}

static int buffer_alloc(uint64_t bytes, uint64_t *address, void **at)
{
    *at = dma_alloc(bytes, address);
    return *at ? 0 : NO_MEMORY;
}

static void buffer_free(uint64_t address, uint64_t bytes)
{
    pmm_free_range(address, (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
}

/* --- interrupts --- */

static struct interrupt {
    int line;             /* -1: messages */
    struct pci_device *d; /* NULL: just a line */
    int semaphore;        /* 0: closed */
    bool level;
    volatile bool held;   /* signalled, and not dealt with yet */
    volatile bool again;  /* and once more since: kept back */
} interrupts[INTERRUPTS];
static unsigned interrupt_count;

static void keep_back(struct interrupt *i, bool back)
{
    if (i->line >= 0)
        irq_mask((unsigned)i->line, back);
    else
        pci_mask_message(i->d, back);
}

/* A level stays up until the driver has seen to its device: it is kept back
 * at once. Edges and messages would be lost that way; the first lets a
 * second come, which is noted and then holds back the others. */
static void arrived(void *arg)
{
    struct interrupt *i = arg;

    if (i->level || i->held || !i->semaphore)
        keep_back(i, true);
    if (i->held) {
        i->again = true;
    } else if (i->semaphore) {
        i->held = true;
        vm_signal_semaphore(i->semaphore);
    }
}

static struct interrupt *known(int line, const struct pci_device *d)
{
    for (unsigned i = 0; i < interrupt_count; i++)
        if (d ? interrupts[i].d == d : interrupts[i].line == line)
            return &interrupts[i];
    return NULL;
}

static int route(struct interrupt *i, int line, struct pci_device *d)
{
    int unwanted;

    if (d && pci_route_message(d, arrived, i, &unwanted) == 0) {
        i->line = -1;
        i->d = d;
        return 0;
    }
    if (d)
        line = d->irq_line;
    if (line <= 0 || line == 0xff)
        return SENSELESS;
    if (irq_line_taken((unsigned)line))
        return BUSY;
    i->line = line;
    i->d = d;
    i->level = d || line >= 16;
    return irq_attach((unsigned)line, i->level, arrived, i) ? SENSELESS : 0;
}

static int interrupt_open(int line, unsigned function, int semaphore)
{
    struct pci_device *d = line < 0 ? pci_at(function) : NULL;
    struct interrupt *i = known(line, d);
    int error;

    if (line < 0 && !d)
        return MISSING;
    if ((i && i->semaphore) || (d && d->driver))
        return BUSY;
    if (i) {
        i->held = i->again = false;
        i->semaphore = semaphore;
        keep_back(i, false);
        return (int)(i - interrupts);
    }
    if (interrupt_count == INTERRUPTS)
        return NO_MEMORY;
    i = &interrupts[interrupt_count];
    i->semaphore = semaphore;
    irq_set_owner("Smalltalk");
    error = route(i, line, d);
    irq_set_owner("kernel");
    if (error) {
        *i = (struct interrupt){ .line = -1 };
        return error;
    }
    return (int)interrupt_count++;
}

static struct interrupt *numbered(int number)
{
    return number >= 0 && number < (int)interrupt_count &&
                   interrupts[number].semaphore
               ? &interrupts[number] : NULL;
}

static int interrupt_done(int number)
{
    struct interrupt *i = numbered(number);
    bool on;

    if (!i)
        return MISSING;
    on = irq_save();
    if (i->again)
        vm_signal_semaphore(i->semaphore);
    i->held = i->again;
    i->again = false;
    keep_back(i, false);
    irq_restore(on);
    return 0;
}

static int interrupt_close(int number)
{
    struct interrupt *i = numbered(number);
    bool on;

    if (!i)
        return MISSING;
    on = irq_save();
    i->semaphore = 0;
    i->held = i->again = false;
    keep_back(i, true);
    irq_restore(on);
    return 0;
}

/* --- input --- */

static void pointer(bool absolute, int x, int y, int wheel, unsigned buttons)
{
    struct input_event e = { .type = INPUT_POINTER };

    e.pointer.absolute = absolute;
    e.pointer.x = x;
    e.pointer.y = y;
    e.pointer.wheel = wheel;
    e.pointer.buttons = (uint8_t)buttons;
    input_report(&e);
}

static void key(unsigned usage, bool down)
{
    struct input_event e = { .type = INPUT_KEY };

    e.key.usage = (uint8_t)usage;
    e.key.down = down;
    input_report(&e);
}

/* --- the doors --- */

void platform_hardware_init(const struct boot_info *boot,
                            const struct cmdline *c)
{
    boot_info = boot;
    locked = cmdline_get(c, "nohardware") != NULL;
    describe_init(boot);
}

const struct plat_hardware *plat_hardware(void)
{
    static const struct plat_hardware doors = {
        .port_read = port_read,
        .port_write = port_write,
        .pci_read = config_read,
        .pci_write = config_write,
        .map = map,
        .dma_alloc = buffer_alloc,
        .dma_free = buffer_free,
        .interrupt_open = interrupt_open,
        .interrupt_done = interrupt_done,
        .interrupt_close = interrupt_close,
        .pointer = pointer,
        .key = key,
    };

    return locked ? NULL : &doors;
}

size_t plat_describe(const char *topic, char *text, size_t n)
{
    return describe(topic, text, n);
}
