/*
 * describe.c - pages about the machine: lines of fields, tabs in between.
 * Who shows them (image/src/Tools-Hardware) knows the columns.
 */
#include "kernel/describe.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "boot/boot_info.h"
#include "drivers/block.h"
#include "drivers/driver.h"
#include "drivers/usb/usb.h"
#include "kernel/acpi.h"
#include "kernel/assets.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/efi.h"
#include "kernel/ids.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/pmm.h"
#include "kernel/timer.h"

enum { NAME = 96, VECTORS = 256 };

struct text {
    char *at;
    size_t size, used;
};

static const struct boot_info *boot_info;

void describe_init(const struct boot_info *boot) { boot_info = boot; }

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...)
{
    size_t left = t->size - t->used;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at + t->used, left, format, args);
    va_end(args);
    if (n > 0)
        t->used += (size_t)n < left ? (size_t)n : left - 1;
}

static struct id_table names(const char *asset)
{
    struct id_table t = { NULL, 0 };

    t.text = asset_find(asset, &t.bytes);
    return t;
}

/* --- processor and memory --- */

static void add_brand(struct text *t)
{
    uint32_t r[13] = { 0 };

    cpuid(0x80000000, 0, r);
    if (r[0] < 0x80000004)
        return;
    for (uint32_t i = 0; i < 3; i++)
        cpuid(0x80000002 + i, 0, r + 4 * i);
    r[12] = 0;
    add(t, "model\t%s\n", (const char *)r + strspn((const char *)r, " "));
}

static void add_features(struct text *t)
{
    static const struct {
        uint32_t leaf;
        uint8_t reg, bit;
        const char *name;
    } features[] = {
        { 1, 3, 4, "tsc" }, { 1, 3, 9, "apic" }, { 1, 3, 26, "sse2" },
        { 1, 2, 0, "sse3" }, { 1, 2, 9, "ssse3" }, { 1, 2, 19, "sse4.1" },
        { 1, 2, 20, "sse4.2" }, { 1, 2, 21, "x2apic" },
        { 1, 2, 23, "popcnt" }, { 1, 2, 24, "tsc-deadline" },
        { 1, 2, 25, "aes" }, { 1, 2, 28, "avx" }, { 1, 2, 30, "rdrand" },
        { 1, 2, 31, "hypervisor" }, { 7, 1, 3, "bmi1" },
        { 7, 1, 5, "avx2" }, { 7, 1, 8, "bmi2" }, { 7, 1, 9, "erms" },
        { 7, 1, 16, "avx512f" }, { 7, 1, 7, "smep" }, { 7, 1, 20, "smap" },
        { 0x80000001, 3, 20, "nx" }, { 0x80000001, 3, 26, "1gb-pages" },
        { 0x80000007, 3, 8, "invariant-tsc" },
    };
    uint32_t r[4];

    add(t, "features\t");
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (cpu_feature(features[i].leaf, features[i].reg, features[i].bit))
            add(t, "%s ", features[i].name);
    cpuid(1, 0, r);
    add(t, "\nsignature\tfamily %u, model %u, stepping %u\n",
        (r[0] >> 8 & 15) + (r[0] >> 20 & 255),
        (r[0] >> 4 & 15) | (r[0] >> 12 & 0xf0), r[0] & 15);
}

static void describe_cpu(struct text *t)
{
    uint32_t r[4], vendor[4] = { 0 };
    unsigned cores = acpi()->core_count;

    cpuid(0, 0, r);
    vendor[0] = r[1];
    vendor[1] = r[3];
    vendor[2] = r[2];
    add_brand(t);
    add(t, "maker\t%s\n", (const char *)vendor);
    add(t, "frequency\t%llu MHz (time stamp counter)\n",
        (unsigned long long)(clock_tsc_hz() / 1000000));
    add(t, "cores\t%u found, 1 in use\n", cores ? cores : 1);
    add_features(t);
    add(t, "addresses\t%u bits\n", cpu_address_bits());
}

static void describe_memory(struct text *t)
{
    static const char *const kinds[] = {
        "?", "memory", "reserved", "ACPI tables", "ACPI, kept in sleep",
        "defective",
    };

    for (unsigned i = 0; boot_info && i < boot_info->range_count; i++) {
        const struct boot_range *r = &boot_info->ranges[i];

        add(t, "%012llx\t%012llx\t%llu\t%s\n", (unsigned long long)r->start,
            (unsigned long long)(r->start + r->bytes - 1),
            (unsigned long long)r->bytes,
            kinds[r->type < sizeof kinds / sizeof *kinds ? r->type : 0]);
    }
    add(t, "\t\t%llu\tin all\n", (unsigned long long)pmm_total_bytes());
    add(t, "\t\t%llu\tfree in the kernel\n",
        (unsigned long long)pmm_free_bytes());
}

static void describe_firmware(struct text *t)
{
    if (!boot_info)
        return;
    if (boot_info->efi.bits)
        add(t, "firmware\tUEFI of %u bits\n", boot_info->efi.bits);
    else
        add(t, "firmware\t%s\n", boot_info->bios ? "BIOS" : "neither BIOS "
            "nor UEFI");
    add(t, "kernel\tstarted through %s\n", boot_info->protocol);
    add(t, "boot entries\t%s\n",
        efi_missing() ? efi_missing() : "in the order in which they are tried");
}

/* --- buses --- */

static void describe_pci(struct text *t)
{
    struct id_table ids = names("PciNames");
    char class[NAME], vendor[NAME], device[NAME];
    struct pci_device *d;

    for (unsigned i = 0; (d = pci_device(i)) != NULL; i++)
        add(t, "%02x:%02x.%x\t%04x:%04x\t%02x%02x%02x\t%s\t%s\t%s\t%s\t%u\n",
            d->bus, d->slot, d->function, d->vendor, d->device,
            d->class_code, d->subclass, d->prog_if,
            id_class(ids, d->class_code, d->subclass, class, NAME),
            id_vendor(ids, d->vendor, vendor, NAME),
            id_device(ids, d->vendor, d->device, device, NAME),
            d->driver ? d->driver->name : "", d->irq_line);
}

static void describe_usb(struct text *t)
{
    struct id_table ids = names("UsbNames");
    char vendor[NAME], product[NAME];
    const struct usb_device *d;

    for (unsigned i = 0; i < USB_DEVICES; i++) {
        d = usb_device(i);
        if (!d)
            continue;
        add(t, "%s\t%04x:%04x\t%s\t%s\t%s\t%s\t%s\t", usb_path(d), d->vendor,
            d->product, usb_speed_name(d->speed), d->maker, d->name,
            id_vendor(ids, d->vendor, vendor, NAME),
            id_device(ids, d->vendor, d->product, product, NAME));
        for (unsigned n = 0; n < d->interface_count; n++)
            if (d->interfaces[n].driver)
                add(t, "%s ", d->interfaces[n].driver->name);
        add(t, "\n");
    }
}

static void describe_interrupts(struct text *t)
{
    struct irq_info info;

    for (unsigned v = 0; v < VECTORS; v++)
        for (unsigned i = 0; irq_info(v, i, &info); i++) {
            if (info.line >= 0)
                add(t, "line %d", info.line);
            else
                add(t, v == IRQ_TIMER_VECTOR ? "timer" : "message");
            add(t, "\t%u\t%llu\t%s\n", v, (unsigned long long)info.count,
                info.owner);
        }
}

static void describe_disks(struct text *t)
{
    struct block_device *d;

    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        add(t, "%s\t%s\t%llu\t%u\t%s%s%s\t%s\n", d->name,
            d->parent ? d->parent->name : "",
            (unsigned long long)(d->sectors * d->sector_size),
            d->sector_size, d->gone ? "unplugged " : "",
            d->read_only ? "read-only " : "",
            d->removable ? "removable" : "", d->model);
}

static void describe_clocks(struct text *t)
{
    uint64_t now = clock_usecs();

    add(t, "time\t%s\n", clock_description());
    add(t, "ticks\t%s\n", timer_description());
    add(t, "since the start\t%llu.%03llu s\n",
        (unsigned long long)(now / 1000000),
        (unsigned long long)(now / 1000 % 1000));
    if (acpi()->hpet)
        add(t, "HPET\tat %llx\n", (unsigned long long)acpi()->hpet);
    add(t, "battery clock\tread at the start, taken for UTC\n");
}

static void describe_log(struct text *t)
{
    t->used = klog_copy(t->at, t->size);
}

static void describe_last_log(struct text *t)
{
    t->used = klog_copy_last(t->at, t->size);
}

size_t describe(const char *topic, char *text, size_t n)
{
    static const struct {
        const char *topic;
        void (*write)(struct text *t);
    } pages[] = {
        { "cpu", describe_cpu }, { "memory", describe_memory },
        { "pci", describe_pci }, { "usb", describe_usb },
        { "interrupts", describe_interrupts }, { "disks", describe_disks },
        { "clocks", describe_clocks }, { "firmware", describe_firmware },
        { "log", describe_log },
        { "lastlog", describe_last_log },
    };
    struct text t = { text, n, 0 };

    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(pages[i].topic, topic) == 0)
            pages[i].write(&t);
    return t.used;
}
