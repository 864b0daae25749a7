/*
 * fuzz_acpi.c - damaged firmware tables. The input is physical memory from 0
 * on, root pointer first; each table is mapped as a block of its own, so
 * that the sanitizer sees a step beyond. Includes the reader, to forget what
 * it knows between two runs.
 */
#include "kernel/acpi.c"

#include "tests/fuzz/fuzz.h"

enum {
    HEADER = 36, RSDP = 0, XSDT = 64, MADT = 256, FADT = 512, HPET = 1024,
    DSDT = 1152, SSDT = 1408, MCFG = 1536, MEMORY = 1664, ROOTS = 5,
    MAPS = 4096,
};

static const uint8_t *memory;
static size_t memory_size;
static void *maps[MAPS];
static unsigned map_count;

bool vmm_translate(uint64_t virt, uint64_t *phys) { return false; }

volatile void *vmm_map_device(uint64_t phys, uint64_t bytes, unsigned flags)
{
    void *copy;

    if (phys > memory_size || bytes > memory_size - phys ||
        map_count == MAPS)
        return NULL;
    copy = malloc(bytes + !bytes);
    memcpy(copy, memory + phys, bytes);
    return maps[map_count++] = copy;
}

void klog(const char *format, ...) {}

static bool run(uint8_t *data, size_t size)
{
    struct boot_info boot = { .rsdp_bytes = BOOT_RSDP };

    memset(&facts, 0, sizeof facts);
    memory = data;
    memory_size = size;
    memcpy(boot.rsdp, data, size < BOOT_RSDP ? size : BOOT_RSDP);
    acpi_init(&boot);
    while (map_count)
        free(maps[--map_count]);
    if (acpi()->io_apic_count > ACPI_IO_APICS ||
        acpi()->override_count > ACPI_OVERRIDES ||
        acpi()->core_count > ACPI_CORES || acpi()->mcfg_count > ACPI_MCFG)
        abort();
    return acpi()->present;
}

/* A table's length and checksum. */
static void mend_table(uint8_t *data, size_t size, uint64_t at)
{
    struct table *t = (void *)(data + at);

    if (!at || at > size || size - at < sizeof *t ||
        t->length < sizeof *t || t->length > size - at)
        return;
    t->checksum = 0;
    t->checksum = (uint8_t)-sum(t, t->length);
}

static void mend(uint8_t *data, size_t size)
{
    static const unsigned tables[] = { XSDT, MADT, FADT, HPET, DSDT, SSDT,
                                       MCFG };

    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
        mend_table(data, size, tables[i]);
}

static struct table *make_table(uint8_t *to, unsigned at, const char *name,
                                uint32_t length)
{
    struct table *t = (void *)(to + at);

    memcpy(t->signature, name, 4);
    t->length = length;
    return t;
}

static void make_madt(uint8_t *to)
{
    static const uint8_t entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,                  /* a processor */
        9, 16, 0, 0, 44, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, /* another */
        1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0, /* an I/O APIC */
        2, 10, 0, 0, 2, 0, 0, 0, 0, 0,           /* the timer's line */
        2, 10, 0, 9, 9, 0, 0, 0, 13, 0,          /* the SCI's */
        5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0,
    };

    make_table(to, MADT, "APIC", sizeof(struct madt) + sizeof entries);
    memcpy(to + MADT + sizeof(struct madt), entries, sizeof entries);
}

static size_t seed(unsigned i, uint8_t *to)
{
    static const uint64_t roots[ROOTS] = { MADT, FADT, HPET, SSDT, MCFG };
    static const uint8_t aml[] = { 0x10, 0x08, '_', 'S', '5', '_', 0x12,
                                   0x08, 0x04, 0x0a, 5, 0x0a, 7, 0, 0 };
    struct rsdp *r = (void *)to;
    struct fadt *f = (void *)(to + FADT);
    struct mcfg_entry *m = (void *)(to + MCFG + MCFG_ENTRIES);

    if (i > 2)
        return 0;
    r->revision = i ? 0 : 2;
    r->rsdt = XSDT;
    r->xsdt = XSDT;
    make_table(to, XSDT, i ? "RSDT" : "XSDT",
               HEADER + ROOTS * (i ? 4 : 8));
    for (unsigned k = 0; k < ROOTS; k++)
        memcpy(to + XSDT + HEADER + k * (i ? 4 : 8), &roots[k], i ? 4 : 8);
    make_madt(to);
    make_table(to, MCFG, "MCFG", MCFG_ENTRIES + 2 * sizeof *m);
    m->address = 0xe0000000;
    m->last_bus = 255;
    make_table(to, FADT, "FACP", sizeof *f);
    f->dsdt = DSDT;
    f->flags = FADT_RESET_SUPPORTED;
    f->reset.space = 1;
    make_table(to, HPET, "HPET", sizeof(struct hpet));
    make_table(to, i ? DSDT : SSDT, i ? "DSDT" : "SSDT",
               HEADER + sizeof aml);
    memcpy(to + (i ? DSDT : SSDT) + HEADER, aml, sizeof aml);
    make_table(to, i ? SSDT : DSDT, i ? "SSDT" : "DSDT", HEADER);
    if (i == 2) /* shorter than what every MADT has */
        make_table(to, MADT, "APIC", HEADER + 2);
    mend(to, MEMORY);
    return MEMORY;
}

static const struct fuzz_target target = { seed, mend, run, MADT };
