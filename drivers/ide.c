/*
 * ide.c - ATA disks behind the older controllers, by bus-master DMA.
 *
 * Source: ATA/ATAPI-7 volume 1 (commands, IDENTIFY DEVICE 6.17) and volume 2
 * (registers); Programming Interface for Bus Master IDE Controller 1.0; PCI
 * IDE Controller Specification 1.0 (compatibility and native mode).
 * QEMU: -M pc -drive if=ide   (PIIX3)
 *
 * Two channels, two disks on each, one command at a time. A command that
 * fails resets the channel. CD drives are left alone. The firmware has set
 * the timings.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/ata.h"
#include "drivers/block.h"
#include "drivers/driver.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { /* from the command block's first port */
    DATA = 0, FEATURES = 1, COUNT = 2, LBA_LOW = 3, LBA_MID = 4,
    LBA_HIGH = 5, DEVICE = 6, COMMAND = 7, STATUS = 7,
};
enum {
    STATUS_ERROR = 1 << 0, STATUS_DRQ = 1 << 3, STATUS_FAULT = 1 << 5,
    STATUS_BUSY = 1 << 7, STATUS_FLOATING = 0xff,
    DEVICE_SECOND = 1 << 4, DEVICE_LBA = 1 << 6,
    CONTROL_NO_IRQ = 1 << 1, CONTROL_RESET = 1 << 2,
};
enum { /* bus master registers of a channel */
    BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4, BM_CHANNEL = 8,
    BM_START = 1 << 0, BM_TO_MEMORY = 1 << 3,
    BM_ERROR = 1 << 1, BM_INTERRUPT = 1 << 2,
    BM_KEPT = 0x60, /* set by the firmware: what the disks can */
};
enum {
    CHANNELS = 8, DISKS = 8,
    BOUNCE_BYTES = 64 * 1024, REGION = 64 * 1024,
    REGIONS = 512,          /* a page of them */
    MOST_BYTES = 1 << 20, MOST_PIECES = 264,
    LBA28_COUNT = 256,
    LBA28_SECTORS = 1 << 28,
    TIMEOUT_USECS = 10 * 1000 * 1000, PROBE_USECS = 1000 * 1000,
    FLUSH_USECS = 30 * 1000 * 1000, RESET_USECS = 5 * 1000 * 1000,
};

struct prd { /* physical region descriptor: Bus Master IDE 1.2 */
    uint32_t address;
    uint16_t bytes, flags; /* 0 bytes: 64 KiB */
};
enum { PRD_LAST = 0x8000 };

struct channel {
    uint16_t command, master; /* first ports */
    uint16_t control;         /* the one with the alternate status */
    struct prd *table;
    uint8_t *bounce;
    uint64_t table_phys, bounce_phys;
};

struct disk {
    struct block_device device;
    struct channel *channel;
    bool second, lba48;
};

static struct channel channels[CHANNELS];
static struct disk disks[DISKS];
static unsigned channel_count, disk_count;

/* --- the channel --- */

/* Reading the other register, so as not to acknowledge an interrupt; four
 * readings are the 400 ns after which it is true. */
static uint8_t status_of(const struct channel *c)
{
    for (int i = 0; i < 3; i++)
        (void)inb(c->control);
    return inb(c->control);
}

static bool idle(void *arg)
{
    return !(status_of(arg) & STATUS_BUSY);
}

static int wait_idle(struct channel *c, uint64_t usecs)
{
    return irq_wait(idle, c, usecs);
}

/* Ends whatever is under way, in both disks. */
static int reset(struct channel *c)
{
    outb(c->master + BM_COMMAND, 0);
    outb(c->control, CONTROL_RESET);
    clock_delay(10);
    outb(c->control, 0);
    clock_delay(2000);
    return wait_idle(c, RESET_USECS);
}

/* Chooses the disk and writes its registers; those of LBA48 are two deep,
 * the high half first. */
static void set_address(const struct disk *d, uint64_t sector,
                        uint32_t count)
{
    uint16_t p = d->channel->command;
    uint8_t device = DEVICE_LBA | (d->second ? DEVICE_SECOND : 0);

    if (d->lba48) {
        outb(p + COUNT, (uint8_t)(count >> 8));
        outb(p + LBA_LOW, (uint8_t)(sector >> 24));
        outb(p + LBA_MID, (uint8_t)(sector >> 32));
        outb(p + LBA_HIGH, (uint8_t)(sector >> 40));
    } else {
        device |= (sector >> 24) & 15;
    }
    outb(p + DEVICE, device);
    outb(p + COUNT, (uint8_t)count);
    outb(p + LBA_LOW, (uint8_t)sector);
    outb(p + LBA_MID, (uint8_t)(sector >> 8));
    outb(p + LBA_HIGH, (uint8_t)(sector >> 16));
}

/* The disk is ready for a command after it. */
static int choose(const struct disk *d, uint64_t usecs)
{
    struct channel *c = d->channel;
    int error = wait_idle(c, usecs);

    if (error)
        return error;
    outb(c->command + DEVICE,
         DEVICE_LBA | (d->second ? DEVICE_SECOND : 0));
    return wait_idle(c, usecs);
}

/* Errors leave the channel reset, the bounce buffer to us. */
static int finish(const struct disk *d, const char *what, int error)
{
    uint8_t status = status_of(d->channel);

    if (!error && (status & (STATUS_ERROR | STATUS_FAULT)))
        error = -EIO;
    if (error) {
        klog("%s: %s failed, status %x%s\n", d->device.name, what, status,
             error == -ETIMEDOUT ? ", no answer" : "");
        if (reset(d->channel))
            klog("%s: the channel does not come out of reset\n",
                 d->device.name);
    }
    return error;
}

/* --- commands --- */

static bool transfer_over(void *arg)
{
    const struct channel *c = arg;
    uint8_t status = inb(c->master + BM_STATUS);

    return (status & (BM_INTERRUPT | BM_ERROR)) && idle(arg);
}

static void acknowledge(const struct channel *c)
{
    uint8_t kept = inb(c->master + BM_STATUS) & BM_KEPT;

    outb(c->master + BM_STATUS, kept | BM_INTERRUPT | BM_ERROR);
}

/* No entry crosses a multiple of 64 KiB: at most MOST_PIECES of pages, and
 * one for each multiple in MOST_BYTES. */
static void fill_table(struct prd *table, const struct block_piece *pieces,
                       unsigned n)
{
    struct prd *p = table;

    for (unsigned i = 0; i < n; i++) {
        uint32_t at = (uint32_t)pieces[i].phys, left = pieces[i].bytes;

        while (left) {
            uint32_t room = REGION - at % REGION;
            uint32_t bytes = left < room ? left : room;

            *p++ = (struct prd){ at, (uint16_t)bytes, 0 };
            at += bytes;
            left -= bytes;
        }
    }
    p[-1].flags = PRD_LAST;
}
_Static_assert(MOST_PIECES + MOST_BYTES / REGION + 1 <= REGIONS, "a page");

static int run_dma(const struct disk *d, bool write, uint8_t command)
{
    struct channel *c = d->channel;
    uint8_t direction = write ? 0 : BM_TO_MEMORY;
    int error;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    outl(c->master + BM_TABLE, (uint32_t)c->table_phys);
    outb(c->master + BM_COMMAND, direction);
    acknowledge(c);
    outb(c->command + COMMAND, command);
    outb(c->master + BM_COMMAND, direction | BM_START);
    error = irq_wait(transfer_over, c, TIMEOUT_USECS);
    outb(c->master + BM_COMMAND, direction);
    if (!error && (inb(c->master + BM_STATUS) & BM_ERROR))
        error = -EIO;
    acknowledge(c);
    (void)inb(c->command + STATUS); /* lets go of the line */
    return error;
}

static int ide_move(struct block_device *b, bool write, uint64_t sector,
                    uint32_t count, const struct block_piece *pieces,
                    unsigned n)
{
    struct disk *d = b->driver;
    uint8_t command = d->lba48 ? (write ? ATA_WRITE_DMA_EXT
                                        : ATA_READ_DMA_EXT)
                               : (write ? ATA_WRITE_DMA : ATA_READ_DMA);
    int error = choose(d, TIMEOUT_USECS);

    if (!error) {
        set_address(d, sector, count);
        fill_table(d->channel->table, pieces, n);
        error = run_dma(d, write, command);
    }
    return finish(d, write ? "writing" : "reading", error);
}

static int ide_flush(struct block_device *b)
{
    struct disk *d = b->driver;
    struct channel *c = d->channel;
    int error = choose(d, TIMEOUT_USECS);

    if (!error) {
        outb(c->command + COMMAND, d->lba48 ? ATA_FLUSH_EXT : ATA_FLUSH);
        error = wait_idle(c, FLUSH_USECS);
        (void)inb(c->command + STATUS);
    }
    return finish(d, "flushing", error);
}

static const struct block_ops ide_ops = {
    .read = block_read_dma, .write = block_write_dma,
    .flush = ide_flush, .move = ide_move,
};

/* --- looking for disks --- */

/* 256 words through the data port. -ENODEV: no disk, or a CD drive, which
 * shows its signature instead. */
static int identify(const struct disk *d, uint16_t *id)
{
    struct channel *c = d->channel;
    uint8_t status;

    if (status_of(c) == STATUS_FLOATING || choose(d, PROBE_USECS))
        return -ENODEV;
    outb(c->command + COUNT, 0);
    outb(c->command + LBA_LOW, 0);
    outb(c->command + LBA_MID, 0);
    outb(c->command + LBA_HIGH, 0);
    outb(c->command + COMMAND, ATA_IDENTIFY);
    status = status_of(c);
    if (status == 0 || status == STATUS_FLOATING ||
        wait_idle(c, PROBE_USECS))
        return -ENODEV;
    status = inb(c->command + STATUS);
    if (inb(c->command + LBA_MID) || inb(c->command + LBA_HIGH) ||
        (status & STATUS_ERROR) || !(status & STATUS_DRQ))
        return -ENODEV;
    for (unsigned i = 0; i < ATA_IDENTIFY_WORDS; i++)
        id[i] = inw(c->command + DATA);
    return 0;
}

static void add_disk(struct channel *c, bool second)
{
    struct disk *d = &disks[disk_count];
    struct block_device *b = &d->device;
    uint16_t id[ATA_IDENTIFY_WORDS];

    if (disk_count == DISKS)
        return;
    memset(d, 0, sizeof *d);
    d->channel = c;
    d->second = second;
    if (identify(d, id) || ata_read_identity(b, id))
        return;
    d->lba48 = ata_has_lba48(id);
    if (!d->lba48 && b->sectors > LBA28_SECTORS)
        b->sectors = LBA28_SECTORS;
    snprintf(b->name, sizeof b->name, "ide%u", disk_count);
    if (!ata_has_dma(id)) {
        klog("%s: %s has no DMA, not driven\n", b->name, b->model);
        return;
    }
    b->ops = &ide_ops;
    b->driver = d;
    b->bounce = c->bounce;
    b->bounce_phys = c->bounce_phys;
    b->bounce_sectors = BOUNCE_BYTES / b->sector_size;
    b->most_sectors = d->lba48 ? MOST_BYTES / b->sector_size : LBA28_COUNT;
    b->most_pieces = MOST_PIECES;
    b->reach = UINT32_MAX;
    disk_count++;
    klog("%s: %s, %llu MB%s\n", b->name, b->model,
         (unsigned long long)(b->sectors * b->sector_size >> 20),
         d->lba48 ? "" : ", LBA28");
    if (block_register(b))
        klog("%s: too many disks\n", b->name);
}

/* --- probing --- */

/* Waiting reads the status; the interrupt only ends the processor's sleep.
 * Reading the disk's status takes a line down again. */
static void ide_interrupt(void *arg)
{
    const struct channel *c = arg;

    (void)inb(c->command + STATUS);
}

static int make_memory(struct channel *c)
{
    c->table = dma_alloc(REGIONS * sizeof *c->table, &c->table_phys);
    c->bounce = dma_alloc(BOUNCE_BYTES, &c->bounce_phys);
    return c->table && c->bounce ? 0 : -ENOMEM;
}

/* Native mode has its ports in BARs and the PCI line, compatibility mode the
 * old ports and lines 14 and 15. */
static int add_channel(struct pci_device *dev, unsigned n, uint16_t master)
{
    static const uint16_t command[2] = { 0x1f0, 0x170 };
    static const uint16_t control[2] = { 0x3f4, 0x374 };
    struct channel *c = &channels[channel_count];
    bool native = dev->prog_if & (1 << 2 * n);

    if (channel_count == CHANNELS)
        return -ENOSPC;
    memset(c, 0, sizeof *c);
    c->command = native ? pci_bar_port(dev, 2 * n) : command[n];
    c->control = native ? pci_bar_port(dev, 2 * n + 1) : control[n];
    c->master = (uint16_t)(master + n * BM_CHANNEL);
    if (!c->command || !c->control)
        return -ENODEV;
    c->control += 2; /* the only register of the four */
    if (inb(c->control) == STATUS_FLOATING)
        return -ENODEV;
    if (make_memory(c))
        return -ENOMEM;
    channel_count++;
    outb(c->control, 0); /* interrupts on */
    if (native)
        pci_route_irq(dev, ide_interrupt, c, NULL);
    else
        irq_attach(14 + n, false, ide_interrupt, c);
    add_disk(c, false);
    add_disk(c, true);
    return 0;
}

static int ide_probe(struct pci_device *dev)
{
    uint16_t master;
    int first, second;

    pci_enable(dev);
    master = pci_bar_port(dev, 4);
    if (!master)
        return -ENODEV; /* no bus master: none was built after 1996 */
    first = add_channel(dev, 0, master);
    second = add_channel(dev, 1, master);
    return first && second ? first : 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_STORAGE, 0x01, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver ide_driver = {
    .name = "ide", .ids = ids, .probe = ide_probe,
};
