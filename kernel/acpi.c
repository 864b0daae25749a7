/*
 * acpi.c - root pointer, tables, and the few facts that we need of them.
 *
 * Tables are mapped through the direct map where they are RAM below its
 * end, else page by page as device memory.
 */
#include "kernel/acpi.h"

#include <stddef.h>
#include <string.h>

#include "boot/boot_info.h"
#include "kernel/bytes.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { MAX_TABLE = 4 << 20, BIOS_AREA = 0xe0000, BIOS_END = 0x100000 };

struct __attribute__((packed)) rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length; /* revision 2 on */
    uint64_t xsdt;
};
struct __attribute__((packed)) table {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[26];
};
_Static_assert(sizeof(struct table) == 36, "table header");
struct __attribute__((packed)) address {
    uint8_t space, width, offset, access; /* space 0: memory, 1: port */
    uint64_t at;
};
struct __attribute__((packed)) fadt {
    struct table header;
    uint32_t facs, dsdt;
    uint8_t reserved0[2];
    uint16_t sci_line;
    uint32_t smi_port;
    uint8_t acpi_enable, acpi_disable, reserved1[2];
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    uint32_t pm2_control, pm_timer;
    uint32_t gpe0, gpe1;
    uint8_t pm1_event_bytes, reserved2[3], gpe0_bytes, gpe1_bytes;
    uint8_t reserved3[14];
    uint8_t century, reserved4[3];
    uint32_t flags;
    struct address reset;
    uint8_t reset_value, reserved5[3];
    uint64_t x_facs, x_dsdt;
};
_Static_assert(offsetof(struct fadt, pm1a_control) == 64, "FADT");
_Static_assert(offsetof(struct fadt, pm1_event_bytes) == 88, "FADT");
_Static_assert(offsetof(struct fadt, century) == 108, "FADT");
_Static_assert(offsetof(struct fadt, reset) == 116, "FADT");
enum { FADT_NO_FIXED_BUTTON = 1 << 4, FADT_RESET_SUPPORTED = 1 << 10 };
struct __attribute__((packed)) hpet {
    struct table header;
    uint32_t id;
    struct address address;
};
struct __attribute__((packed)) madt {
    struct table header;
    uint32_t local_apic, flags;
};
enum madt_entry {
    MADT_CORE = 0, MADT_IO_APIC = 1, MADT_OVERRIDE = 2,
    MADT_LOCAL_ADDRESS = 5, MADT_CORE_X2 = 9,
};
enum { CORE_ENABLED = 1 };
/* PCI Firmware Specification 3.0, table 4-3; eight bytes of nothing first. */
struct __attribute__((packed)) mcfg_entry {
    uint64_t address; /* of bus 0, even if first_bus is another */
    uint16_t segment;
    uint8_t first_bus, last_bus, reserved[4];
};
enum { MCFG_ENTRIES = 44 };

static struct acpi facts;

const struct acpi *acpi(void) { return &facts; }

static uint8_t sum(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint8_t s = 0;

    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

static const void *map(uint64_t phys, uint64_t bytes)
{
    uint64_t unused, at = DIRECT_BASE + phys;

    if (vmm_translate(at, &unused) &&
        vmm_translate(at + bytes - 1, &unused))
        return phys_to_virt(phys);
    return (const void *)(uintptr_t)vmm_map_device(phys, bytes, 0);
}

/* The whole table, checked; NULL: damaged. */
static const struct table *table_at(uint64_t phys)
{
    const struct table *t = phys ? map(phys, sizeof *t) : NULL;

    if (!t || t->length < sizeof *t || t->length > MAX_TABLE)
        return NULL;
    t = map(phys, t->length);
    return t && sum(t, t->length) == 0 ? t : NULL;
}

/* Some firmware lists a core both ways. */
static void add_core(uint32_t apic_id)
{
    for (unsigned i = 0; i < facts.core_count; i++)
        if (facts.cores[i] == apic_id)
            return;
    if (facts.core_count < ACPI_CORES)
        facts.cores[facts.core_count++] = apic_id;
}

static void add_io_apic(uint32_t address, uint32_t first_line)
{
    unsigned n = facts.io_apic_count;

    if (n == ACPI_IO_APICS)
        return;
    facts.io_apic[n].address = address;
    facts.io_apic[n].first_line = first_line;
    facts.io_apic_count++;
}

/* Flags: MPS INTI, ACPI 5.2.12.5. */
static void add_override(uint8_t isa_line, uint32_t line, unsigned flags)
{
    unsigned n = facts.override_count;

    if (n == ACPI_OVERRIDES)
        return;
    facts.override[n].isa_line = isa_line;
    facts.override[n].line = line;
    facts.override[n].active_low = (flags & 3) == 3;
    facts.override[n].level = (flags >> 2 & 3) == 3;
    facts.override_count++;
}

/* ACPI 5.2.12: type and length come first. */
static void read_madt_entry(const uint8_t *p)
{
    const unsigned n = p[1];

    if (p[0] == MADT_CORE && n >= 8 && (get32(p + 4) & CORE_ENABLED))
        add_core(p[3]);
    else if (p[0] == MADT_CORE_X2 && n >= 16 && (get32(p + 8) & CORE_ENABLED))
        add_core(get32(p + 4));
    else if (p[0] == MADT_IO_APIC && n >= 12)
        add_io_apic(get32(p + 4), get32(p + 8));
    else if (p[0] == MADT_OVERRIDE && n >= 10)
        add_override(p[3], get32(p + 4), get16(p + 8));
    else if (p[0] == MADT_LOCAL_ADDRESS && n >= 12)
        facts.local_apic = get64(p + 4);
}

static void read_madt(const struct table *t)
{
    const struct madt *m = (const void *)t;
    const uint8_t *p = (const uint8_t *)(m + 1);
    const uint8_t *end = (const uint8_t *)t + t->length;

    if (t->length < sizeof *m)
        return;
    facts.local_apic = m->local_apic;
    while (p + 2 <= end && p[1] >= 2 && p + p[1] <= end) {
        read_madt_entry(p);
        p += p[1];
    }
}

static void read_mcfg(const struct table *t)
{
    struct mcfg_entry e;

    for (uint32_t at = MCFG_ENTRIES; at + sizeof e <= t->length;
         at += sizeof e) {
        memcpy(&e, (const char *)t + at, sizeof e);
        if (e.segment || !e.address || e.address & 0xfffff ||
            e.last_bus < e.first_bus || facts.mcfg_count == ACPI_MCFG)
            continue;
        facts.mcfg[facts.mcfg_count].address = e.address;
        facts.mcfg[facts.mcfg_count].first_bus = e.first_bus;
        facts.mcfg[facts.mcfg_count++].last_bus = e.last_bus;
    }
}

static void read_s5(uint64_t phys)
{
    const struct table *t = table_at(phys);

    if (t && acpi_find_s5((const uint8_t *)(t + 1), t->length - sizeof *t,
                          &facts.s5_a, &facts.s5_b))
        facts.has_s5 = true;
}

/* Early tables end before the reset register and the 64-bit addresses. */
static void read_fadt(const struct table *t)
{
    struct fadt f = { .facs = 0 };

    memcpy(&f, t, t->length < sizeof f ? t->length : sizeof f);
    facts.smi_port = f.smi_port;
    facts.acpi_enable = f.acpi_enable;
    facts.pm1a_control = f.pm1a_control;
    facts.pm1b_control = f.pm1b_control;
    facts.pm1a_event = f.pm1a_event;
    facts.pm1b_event = f.pm1b_event;
    facts.pm1_event_bytes = f.pm1_event_bytes;
    facts.pm_timer = f.pm_timer;
    facts.gpe0 = f.gpe0;
    facts.gpe1 = f.gpe1;
    facts.gpe0_bytes = f.gpe0_bytes;
    facts.gpe1_bytes = f.gpe1_bytes;
    facts.sci_line = f.sci_line;
    facts.power_button = !(f.flags & FADT_NO_FIXED_BUTTON);
    facts.century_register = f.century;
    if (f.flags & FADT_RESET_SUPPORTED) {
        facts.reset_by_memory = f.reset.space == 0;
        facts.reset_by_port = f.reset.space == 1;
        facts.reset_address = f.reset.at;
        facts.reset_value = f.reset_value;
    }
    read_s5(f.x_dsdt ? f.x_dsdt : f.dsdt);
}

static void read_table(uint64_t phys)
{
    const struct table *t = table_at(phys);

    if (!t)
        return;
    if (memcmp(t->signature, "APIC", 4) == 0)
        read_madt(t);
    else if (memcmp(t->signature, "FACP", 4) == 0)
        read_fadt(t);
    else if (memcmp(t->signature, "MCFG", 4) == 0)
        read_mcfg(t);
    else if (memcmp(t->signature, "HPET", 4) == 0 &&
             t->length >= sizeof(struct hpet))
        facts.hpet = ((const struct hpet *)(const void *)t)->address.at;
    else if (memcmp(t->signature, "SSDT", 4) == 0 && !facts.has_s5)
        read_s5(phys);
}

static void read_root(uint64_t phys, size_t entry_bytes)
{
    const struct table *t = table_at(phys);
    const char *entries;

    if (!t)
        return;
    entries = (const char *)(t + 1);
    facts.present = true;
    for (size_t i = 0; (i + 1) * entry_bytes <= t->length - sizeof *t; i++) {
        uint64_t at = 0;

        memcpy(&at, entries + i * entry_bytes, entry_bytes);
        read_table(at);
    }
}

/* Without the boot loader's help: on 16-byte boundaries in the BIOS area. */
static const struct rsdp *scan(void)
{
    for (uint64_t at = BIOS_AREA; at < BIOS_END; at += 16) {
        const struct rsdp *r = phys_to_virt(at);

        if (memcmp(r->signature, "RSD PTR ", 8) == 0 && sum(r, 20) == 0)
            return r;
    }
    return NULL;
}

void acpi_init(const struct boot_info *boot)
{
    const struct rsdp *r = boot->rsdp_bytes
                               ? (const void *)boot->rsdp
                               : scan();

    if (r && r->revision >= 2 && r->xsdt)
        read_root(r->xsdt, 8);
    if (r && !facts.present)
        read_root(r->rsdt, 4);
    if (!facts.present)
        klog("acpi: no tables\n");
}
