/*
 * ahci.c - SATA disks behind an AHCI controller.
 *
 * Source: Serial ATA AHCI 1.3.1; ATA8-ACS for the commands.
 * QEMU: -device ahci,id=a -device ide-hd,bus=a.0,drive=d   (q35 has one)
 *
 * One command at a time per port, slot 0, through a bounce buffer, so that
 * callers may hand in any memory. Optical drives are left alone.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/ata.h"
#include "drivers/block.h"
#include "drivers/driver.h"
#include "kernel/clock.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { /* generic host control, AHCI section 3.1, in 32-bit words */
    HBA_GHC = 0x04 / 4, HBA_IS = 0x08 / 4,
    HBA_PI = 0x0c / 4, HBA_PORTS = 0x100 / 4, HBA_PORT_WORDS = 0x80 / 4,
};
enum { /* a port, section 3.3 */
    PX_CLB = 0x00 / 4, PX_CLBU = 0x04 / 4, PX_FB = 0x08 / 4,
    PX_FBU = 0x0c / 4, PX_IS = 0x10 / 4, PX_IE = 0x14 / 4,
    PX_CMD = 0x18 / 4, PX_TFD = 0x20 / 4, PX_SIG = 0x24 / 4,
    PX_SSTS = 0x28 / 4, PX_SCTL = 0x2c / 4, PX_SERR = 0x30 / 4,
    PX_CI = 0x38 / 4,
};
#define SCTL_RESET 1u
#define SCTL_DETECTION 0xfu
#define GHC_ENABLE (1u << 31)
#define GHC_INTERRUPTS (1u << 1)
enum {
    CMD_START = 1 << 0, CMD_SPIN_UP = 1 << 1, CMD_POWER_ON = 1 << 2,
    CMD_FIS_RECEIVE = 1 << 4, CMD_FIS_RUNNING = 1 << 14,
    CMD_LIST_RUNNING = 1 << 15,
    TFD_ERROR = 1 << 0, TFD_DRQ = 1 << 3, TFD_BUSY = 1 << 7,
    IS_TASK_FILE_ERROR = 1 << 30,
    SIG_ATA = 0x00000101, SIG_NOT_YET = 0xffffffff,
    FIS_HOST_TO_DEVICE = 0x27,
};
enum {
    PORTS = 32,
    BOUNCE_BYTES = 128 * 1024,
    TIMEOUT_USECS = 10 * 1000 * 1000,
    LINK_USECS = 10 * 1000,         /* section 10.4.2 */
    READY_USECS = 10 * 1000 * 1000, /* a disk may have to spin up */
};

struct command_header { /* section 4.2.2 */
    uint16_t flags;     /* length of the FIS in words; bit 6: write */
    uint16_t prdt_entries;
    uint32_t bytes_done;
    uint32_t table_low, table_high;
    uint32_t reserved[4];
};
_Static_assert(sizeof(struct command_header) == 32, "AHCI 4.2.2");

struct command_table { /* section 4.2.3, one region */
    uint8_t fis[64];
    uint8_t atapi[16];
    uint8_t reserved[48];
    uint32_t data_low, data_high, reserved2, count; /* bytes - 1 */
};
_Static_assert(offsetof(struct command_table, data_low) == 128, "AHCI 4.2.3");

struct port_memory { /* what the port is told about; 1 KiB aligned */
    struct command_header list[32];
    uint8_t received[256];
    struct command_table table;
};

struct ahci_disk {
    struct block_device device;
    volatile uint32_t *port;
    struct port_memory *memory;
    uint64_t memory_phys, bounce_phys;
};

static struct ahci_disk disks[PORTS];
static unsigned disk_count;

/* --- a port at rest and at work --- */

struct wait_bits {
    volatile uint32_t *reg;
    uint32_t mask;
};

static bool bits_clear(void *arg)
{
    const struct wait_bits *w = arg;

    return (*w->reg & w->mask) == 0;
}

static int wait_clear(volatile uint32_t *reg, uint32_t mask, uint64_t usecs)
{
    struct wait_bits w = { reg, mask };

    return irq_wait(bits_clear, &w, usecs);
}

static int port_stop(volatile uint32_t *port)
{
    port[PX_CMD] &= ~(uint32_t)CMD_START;
    if (wait_clear(port + PX_CMD, CMD_LIST_RUNNING, 500 * 1000))
        return -ETIMEDOUT;
    port[PX_CMD] &= ~(uint32_t)CMD_FIS_RECEIVE;
    return wait_clear(port + PX_CMD, CMD_FIS_RUNNING, 500 * 1000);
}

static void port_start(volatile uint32_t *port)
{
    port[PX_SERR] = port[PX_SERR];
    port[PX_IS] = port[PX_IS];
    port[PX_IE] = ~0u;
    port[PX_CMD] |= CMD_FIS_RECEIVE;
    port[PX_CMD] |= CMD_START;
}

/* Command issued and not yet finished; an error ends it too. */
static bool command_done(void *arg)
{
    volatile uint32_t *port = arg;

    return !(port[PX_CI] & 1) || (port[PX_IS] & IS_TASK_FILE_ERROR);
}

static void fill_command(struct ahci_disk *d, uint8_t command, uint64_t lba,
                         uint32_t count, uint32_t bytes, bool write)
{
    struct command_table *t = &d->memory->table;
    struct command_header *h = &d->memory->list[0];
    uint64_t table = d->memory_phys + offsetof(struct port_memory, table);

    memset(t->fis, 0, sizeof t->fis);
    t->fis[0] = FIS_HOST_TO_DEVICE;
    t->fis[1] = 0x80; /* a command, not control */
    t->fis[2] = command;
    t->fis[4] = lba;
    t->fis[5] = lba >> 8;
    t->fis[6] = lba >> 16;
    t->fis[7] = 0x40; /* LBA mode */
    t->fis[8] = lba >> 24;
    t->fis[9] = lba >> 32;
    t->fis[10] = lba >> 40;
    t->fis[12] = count;
    t->fis[13] = count >> 8;
    t->data_low = d->bounce_phys;
    t->data_high = d->bounce_phys >> 32;
    t->count = bytes ? bytes - 1 : 0;
    h->flags = 5 | (write ? 1 << 6 : 0);
    h->prdt_entries = bytes != 0;
    h->bytes_done = 0;
    h->table_low = table;
    h->table_high = table >> 32;
}

/* Runs the command in slot 0. After an error the port is started anew. */
static int run_command(struct ahci_disk *d)
{
    volatile uint32_t *port = d->port;
    int error = wait_clear(port + PX_TFD, TFD_BUSY | TFD_DRQ, TIMEOUT_USECS);

    if (!error) {
        port[PX_IS] = port[PX_IS];
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        port[PX_CI] = 1;
        error = irq_wait(command_done, (void *)(uintptr_t)port,
                         TIMEOUT_USECS);
    }
    if (!error && ((port[PX_IS] & IS_TASK_FILE_ERROR) ||
                   (port[PX_TFD] & TFD_ERROR)))
        error = -EIO;
    if (error) {
        port_stop(port);
        port_start(port);
    }
    return error;
}

/* --- block_ops --- */

static int ahci_move(struct block_device *b, bool write, uint64_t sector,
                     uint32_t count)
{
    struct ahci_disk *d = b->driver;

    fill_command(d, write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT, sector,
                 count, count * b->sector_size, write);
    return run_command(d);
}

static int ahci_flush(struct block_device *b)
{
    struct ahci_disk *d = b->driver;

    fill_command(d, ATA_FLUSH_EXT, 0, 0, 0, false);
    return run_command(d);
}

static const struct block_ops ahci_ops = {
    .read = block_read_bounced, .write = block_write_bounced,
    .flush = ahci_flush, .move = ahci_move,
};

static int identify(struct ahci_disk *d)
{
    const uint16_t *id = (const uint16_t *)d->device.bounce;
    struct block_device *b = &d->device;
    int error;

    fill_command(d, ATA_IDENTIFY, 0, 0, 512, false);
    error = run_command(d);
    if (error)
        return error;
    error = ata_read_identity(b, id);
    if (!error)
        b->bounce_sectors = BOUNCE_BYTES / b->sector_size;
    return error;
}

/* --- probing --- */

/* SStatus: device present and talking; interface active. */
static bool link_up(volatile uint32_t *port)
{
    return (port[PX_SSTS] & 0xf) == 3 && (port[PX_SSTS] >> 8 & 0xf) == 1;
}

/* A firmware that started from elsewhere leaves ports asleep: those without
 * a link are reset, all at once. */
static void wake_links(volatile uint32_t *hba)
{
    uint32_t asleep = 0;

    for (unsigned i = 0; i < PORTS; i++) {
        volatile uint32_t *port = hba + HBA_PORTS + i * HBA_PORT_WORDS;

        if (!(hba[HBA_PI] & (1u << i)))
            continue;
        port[PX_CMD] |= CMD_SPIN_UP | CMD_POWER_ON;
        if (link_up(port))
            continue;
        port[PX_SCTL] = (port[PX_SCTL] & ~SCTL_DETECTION) | SCTL_RESET;
        asleep |= 1u << i;
    }
    if (!asleep)
        return;
    clock_delay(1000);
    for (unsigned i = 0; i < PORTS; i++)
        if (asleep & (1u << i))
            hba[HBA_PORTS + i * HBA_PORT_WORDS + PX_SCTL] &= ~SCTL_DETECTION;
    clock_delay(LINK_USECS);
}

/* The device's first message, which says what it is, comes only once it may
 * be received. */
static bool has_said_what_it_is(void *arg)
{
    volatile uint32_t *port = arg;

    return port[PX_SIG] != SIG_NOT_YET &&
           !(port[PX_TFD] & (TFD_BUSY | TFD_DRQ));
}

/* 0 once the port may receive; memory that a port without a disk left is
 * taken over. */
static int port_set_up(struct ahci_disk *d, volatile uint32_t *port)
{
    uint64_t received;
    int error;

    d->port = port;
    if (!d->memory) {
        d->memory = dma_alloc(sizeof *d->memory, &d->memory_phys);
        d->device.bounce = dma_alloc(BOUNCE_BYTES, &d->bounce_phys);
    }
    if (!d->memory || !d->device.bounce)
        return -ENOMEM;
    error = port_stop(port);
    if (error)
        return error;
    received = d->memory_phys + offsetof(struct port_memory, received);
    port[PX_CLB] = d->memory_phys;
    port[PX_CLBU] = d->memory_phys >> 32;
    port[PX_FB] = received;
    port[PX_FBU] = received >> 32;
    port[PX_CMD] |= CMD_FIS_RECEIVE;
    return 0;
}

static int port_init(volatile uint32_t *port)
{
    struct ahci_disk *d = &disks[disk_count];
    int error = port_set_up(d, port);

    if (error)
        return error;
    if (irq_wait(has_said_what_it_is, (void *)(uintptr_t)port, READY_USECS) ||
        port[PX_SIG] != SIG_ATA)
        return port_stop(port); /* a CD drive, or nothing of use */
    port_start(port);
    d->device.ops = &ahci_ops;
    d->device.driver = d;
    snprintf(d->device.name, sizeof d->device.name, "sata%u", disk_count);
    error = identify(d);
    if (error)
        return error;
    disk_count++;
    klog("%s: %s, %llu MB\n", d->device.name, d->device.model,
         (unsigned long long)(d->device.sectors * d->device.sector_size >>
                              20));
    return block_register(&d->device);
}

/* Waiting polls the registers; the interrupt only ends the processor's
 * sleep, so acknowledging is all there is to do. */
static void ahci_interrupt(void *arg)
{
    volatile uint32_t *hba = arg;
    uint32_t pending = hba[HBA_IS];

    for (unsigned i = 0; i < PORTS; i++)
        if (pending & (1u << i)) {
            volatile uint32_t *port =
                hba + HBA_PORTS + i * HBA_PORT_WORDS;
            uint32_t keep = port[PX_IS] & IS_TASK_FILE_ERROR;

            port[PX_IS] = port[PX_IS] & ~keep;
            if (keep) /* run_command reads and clears it */
                port[PX_IE] = 0;
        }
    hba[HBA_IS] = pending;
}

static int ahci_probe(struct pci_device *dev)
{
    volatile uint32_t *hba;
    uint64_t bytes;

    pci_enable(dev);
    hba = pci_map_bar(dev, 5, &bytes);
    if (!hba || bytes < 0x100)
        return -ENODEV;
    hba[HBA_GHC] |= GHC_ENABLE;
    hba[HBA_IS] = hba[HBA_IS];
    pci_route_irq(dev, ahci_interrupt, (void *)(uintptr_t)hba, NULL);
    wake_links(hba);
    for (unsigned i = 0; i < PORTS && disk_count < PORTS; i++) {
        volatile uint32_t *port = hba + HBA_PORTS + i * HBA_PORT_WORDS;

        if ((hba[HBA_PI] & (1u << i)) && (0x180 + i * 0x80) <= bytes &&
            link_up(port)) {
            int error = port_init(port);

            if (error)
                klog("ahci: port %u not usable (error %d)\n", i, error);
        }
    }
    hba[HBA_GHC] |= GHC_INTERRUPTS;
    return 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_STORAGE, 0x06, 0x01 },
    { 0, 0, 0, 0, 0 },
};

const struct driver ahci_driver = {
    .name = "ahci", .ids = ids, .probe = ahci_probe,
};
