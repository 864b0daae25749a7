/*
 * apic.c - Intel SDM volume 3, chapter 10; 82093AA IO-APIC data sheet.
 *
 * The local APIC is reached through memory, or through MSRs where the
 * firmware left it in x2APIC mode (which cannot be left without a reset) or
 * somebody wants it: behind a hypervisor that is cheaper.
 */
#include "kernel/apic.h"

#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/vmm.h"

enum { MSR_APIC_BASE = 0x1b, MSR_X2APIC = 0x800 };
enum { BASE_ENABLED = 1 << 11, BASE_X2APIC = 1 << 10 };
enum lapic_register {
    LAPIC_ID = 0x020, LAPIC_TPR = 0x080, LAPIC_EOI = 0x0b0,
    LAPIC_SPURIOUS = 0x0f0, LAPIC_TIMER = 0x320, LAPIC_LINT0 = 0x350,
    LAPIC_LINT1 = 0x360, LAPIC_ERROR = 0x370, LAPIC_INITIAL = 0x380,
    LAPIC_CURRENT = 0x390, LAPIC_DIVIDE = 0x3e0, LAPIC_REQUESTS = 0x200,
    LAPIC_COMMAND = 0x300, LAPIC_COMMAND_HIGH = 0x310,
};
enum { MSR_TSC_DEADLINE = 0x6e0, LVT_TSC_DEADLINE = 2 << 17 };
enum { COMMAND_INIT = 5 << 8, COMMAND_ASSERT = 1 << 14,
       COMMAND_PENDING = 1 << 12, COMMAND_SPINS = 100000 };
enum {
    LVT_MASKED = 1 << 16, LVT_NMI = 4 << 8, SPURIOUS_ENABLE = 1 << 8,
    SPURIOUS_VECTOR = 0xff, DIVIDE_BY_16 = 3,
};
enum { IOAPIC_VERSION = 1, IOAPIC_TABLE = 0x10 };
enum {
    ROUTE_ACTIVE_LOW = 1 << 13, ROUTE_LEVEL = 1 << 15, ROUTE_MASKED = 1 << 16,
};

static volatile char *lapic;
static bool x2apic, x2apic_wanted;
static struct {
    volatile uint32_t *registers; /* index at 0, data at 0x10 */
    uint32_t first, lines;
} io_apics[ACPI_IO_APICS];
static unsigned io_apic_count;

static uint32_t read_local(enum lapic_register r)
{
    if (x2apic)
        return (uint32_t)rdmsr((uint32_t)(MSR_X2APIC + r / 16));
    return *(volatile uint32_t *)(lapic + r);
}

static void write_local(enum lapic_register r, uint32_t v)
{
    if (x2apic)
        wrmsr((uint32_t)(MSR_X2APIC + r / 16), v);
    else
        *(volatile uint32_t *)(lapic + r) = v;
}

static uint32_t read_io(unsigned i, uint32_t r)
{
    io_apics[i].registers[0] = r;
    return io_apics[i].registers[4];
}

static void write_io(unsigned i, uint32_t r, uint32_t v)
{
    io_apics[i].registers[0] = r;
    io_apics[i].registers[4] = v;
}

static void add_io_apic(uint64_t address, uint32_t first)
{
    unsigned i = io_apic_count;

    io_apics[i].registers = vmm_map_device(address, 32, PAGE_UNCACHED);
    if (!io_apics[i].registers)
        return;
    io_apics[i].first = first;
    io_apics[i].lines = (read_io(i, IOAPIC_VERSION) >> 16 & 255) + 1;
    for (uint32_t l = 0; l < io_apics[i].lines; l++)
        write_io(i, IOAPIC_TABLE + 2 * l, ROUTE_MASKED);
    io_apic_count++;
}

void apic_want_x2(void) { x2apic_wanted = true; }

bool apic_init(void)
{
    const struct acpi *a = acpi();
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!a->local_apic || !a->io_apic_count)
        return false;
    x2apic = base & BASE_X2APIC;
    if (!x2apic)
        wrmsr(MSR_APIC_BASE, base | BASE_ENABLED);
    if (!x2apic && x2apic_wanted && cpu_feature(1, 2, 21)) {
        wrmsr(MSR_APIC_BASE, base | BASE_ENABLED | BASE_X2APIC);
        x2apic = true;
    }
    if (!x2apic) {
        lapic = vmm_map_device(a->local_apic, PAGE_SIZE, PAGE_UNCACHED);
        if (!lapic)
            return false;
    }
    write_local(LAPIC_TPR, 0);
    write_local(LAPIC_TIMER, LVT_MASKED);
    write_local(LAPIC_LINT0, LVT_MASKED);
    write_local(LAPIC_LINT1, LVT_NMI);
    write_local(LAPIC_ERROR, LVT_MASKED);
    write_local(LAPIC_DIVIDE, DIVIDE_BY_16);
    write_local(LAPIC_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS_VECTOR);
    for (unsigned i = 0; i < a->io_apic_count; i++)
        add_io_apic(a->io_apic[i].address, a->io_apic[i].first_line);
    return io_apic_count > 0;
}

void apic_end_of_interrupt(void) { write_local(LAPIC_EOI, 0); }

uint32_t apic_id(void)
{
    return x2apic ? read_local(LAPIC_ID) : read_local(LAPIC_ID) >> 24;
}

void apic_timer_start(uint8_t vector, uint32_t ticks)
{
    write_local(LAPIC_TIMER, vector);
    write_local(LAPIC_INITIAL, ticks);
}

void apic_deadline_start(uint8_t vector, uint64_t tsc)
{
    write_local(LAPIC_TIMER, LVT_TSC_DEADLINE | vector);
    /* through memory the mode may arrive after the deadline (10.5.4.1) */
    __asm__ volatile("mfence" : : : "memory");
    wrmsr(MSR_TSC_DEADLINE, tsc);
}

bool apic_requested(uint8_t vector)
{
    unsigned r = LAPIC_REQUESTS + vector / 32 * 16u;

    return read_local((enum lapic_register)r) >> vector % 32 & 1;
}

/* Section 10.4.7: INIT leaves a processor waiting for a start message. */
static void send_init(uint32_t id)
{
    if (x2apic) {
        wrmsr(MSR_X2APIC + LAPIC_COMMAND / 16,
              (uint64_t)id << 32 | COMMAND_INIT | COMMAND_ASSERT);
        return;
    }
    write_local(LAPIC_COMMAND_HIGH, id << 24);
    write_local(LAPIC_COMMAND, COMMAND_INIT | COMMAND_ASSERT);
    for (int i = 0; i < COMMAND_SPINS; i++)
        if (!(read_local(LAPIC_COMMAND) & COMMAND_PENDING))
            return;
}

unsigned apic_park_others(void)
{
    const struct acpi *a = acpi();
    uint32_t self = apic_id();
    unsigned parked = 0;

    for (unsigned i = 0; i < a->core_count; i++) {
        if (a->cores[i] == self || (!x2apic && a->cores[i] > 255))
            continue;
        send_init(a->cores[i]);
        parked++;
    }
    return parked;
}

bool apic_is_x2(void) { return x2apic; }

uint32_t apic_timer_left(void) { return read_local(LAPIC_CURRENT); }

/* The IO-APIC that `line` arrives at, and which of its lines it is there. */
static bool find_line(uint32_t line, unsigned *i, uint32_t *l)
{
    for (*i = 0; *i < io_apic_count; ++*i) {
        *l = line - io_apics[*i].first;
        if (line >= io_apics[*i].first && *l < io_apics[*i].lines)
            return true;
    }
    return false;
}

bool apic_route(uint32_t line, uint8_t vector, bool level, bool active_low)
{
    unsigned i;
    uint32_t l;

    if (!find_line(line, &i, &l))
        return false;
    write_io(i, IOAPIC_TABLE + 2 * l + 1, apic_id() << 24);
    write_io(i, IOAPIC_TABLE + 2 * l,
             vector | (level ? ROUTE_LEVEL : 0) |
                 (active_low ? ROUTE_ACTIVE_LOW : 0));
    return true;
}

void apic_mask(uint32_t line, bool masked)
{
    unsigned i;
    uint32_t l, was;

    if (!find_line(line, &i, &l))
        return;
    was = read_io(i, IOAPIC_TABLE + 2 * l) & ~(uint32_t)ROUTE_MASKED;
    write_io(i, IOAPIC_TABLE + 2 * l, was | (masked ? ROUTE_MASKED : 0));
}
