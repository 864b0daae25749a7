/*
 * ahci.c - SATA disks behind an AHCI controller.
 *
 * Source: Serial ATA AHCI 1.3.1; ATA8-ACS for the commands.
 * QEMU: -device ahci,id=a -device ide-hd,bus=a.0,drive=d   (q35 has one)
 *
 * One command at a time per port, slot 0. Optical drives are left alone.
 *
 * Ports come and go. A disk that comes back, at whichever port, is the same
 * block device again; meanwhile requests fail.
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
#include "kernel/storage.h"
#include "kernel/vmm.h"
#include "kernel/work.h"

enum { /* generic host control, AHCI section 3.1, in 32-bit words */
    HBA_CAP = 0x00 / 4, HBA_GHC = 0x04 / 4, HBA_IS = 0x08 / 4,
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
#define SCTL_NO_SLEEP 0x300u /* a sleeping link looks like a pulled one */
#define IS_DEFINED 0xfdc000ffu
#define SERR_DEFINED 0x07ff0f03u
#define CAP_64_BITS (1u << 31)
#define GHC_ENABLE (1u << 31)
#define GHC_INTERRUPTS (1u << 1)
enum {
    CMD_START = 1 << 0, CMD_SPIN_UP = 1 << 1, CMD_POWER_ON = 1 << 2,
    CMD_FIS_RECEIVE = 1 << 4, CMD_FIS_RUNNING = 1 << 14,
    CMD_LIST_RUNNING = 1 << 15,
    TFD_ERROR = 1 << 0, TFD_DRQ = 1 << 3, TFD_FAULT = 1 << 5,
    TFD_BUSY = 1 << 7, TFD_TROUBLE = TFD_ERROR | TFD_DRQ | TFD_FAULT,
    IS_ANSWER = 1 << 0, RECEIVED_STATUS = 0x42, /* section 4.2.1 */
    IS_CONNECT = 1 << 6, IS_PHY = 1 << 22, IS_TASK_FILE_ERROR = 1 << 30,
    IS_PLUG = IS_CONNECT | IS_PHY, /* acknowledged in PxSERR */
    SERR_PHY = 1 << 16, SERR_CONNECT = 1 << 26,
    SERR_PLUG = SERR_PHY | SERR_CONNECT,
    SIG_ATA = 0x00000101, SIG_NOT_YET = 0xffffffff,
    FIS_HOST_TO_DEVICE = 0x27,
};
enum {
    PORTS = 32, DISKS = 32, CONTROLLERS = 4,
    BOUNCE_BYTES = 128 * 1024,
    MOST_BYTES = 1 << 20, REGIONS = 264, /* of a command: 1 MiB of pages */
    TIMEOUT_USECS = 10 * 1000 * 1000,
    LINK_USECS = 10 * 1000,         /* section 10.4.2 */
    READY_USECS = 10 * 1000 * 1000, /* a disk may have to spin up */
    SETTLE_USECS = 200 * 1000,      /* a plug bounces */
    AGAIN_USECS = 100 * 1000,
    IDENTITY_BYTES = 60,
};

struct command_header { /* section 4.2.2 */
    uint16_t flags;     /* length of the FIS in words; bit 6: write */
    uint16_t prdt_entries;
    uint32_t bytes_done;
    uint32_t table_low, table_high;
    uint32_t reserved[4];
};
_Static_assert(sizeof(struct command_header) == 32, "AHCI 4.2.2");

struct region {
    uint32_t low, high, reserved, count; /* bytes - 1, at most 4 MiB */
};

struct command_table { /* section 4.2.3 */
    uint8_t fis[64];
    uint8_t atapi[16];
    uint8_t reserved[48];
    struct region data[REGIONS];
};
_Static_assert(offsetof(struct command_table, data) == 128, "AHCI 4.2.3");

struct port_memory { /* what the port is told about; 1 KiB aligned */
    struct command_header list[32];
    uint8_t received[256];
    struct command_table table;
};

struct ahci_disk;

struct ahci_port {
    struct work look; /* first, so that work is a port */
    volatile uint32_t *regs;
    struct port_memory *memory;
    uint8_t *bounce;
    uint64_t memory_phys, bounce_phys;
    uint64_t reach; /* the highest address that it can be told */
    struct ahci_disk *disk; /* that hangs on it; NULL: none that is driven */
    uint64_t speaks_by;     /* when to give up a disk that spins up */
    bool changed;           /* the link was down since we looked */
    unsigned number;
};

struct ahci_disk {
    struct block_device device;
    struct ahci_port *port; /* NULL: not plugged in */
    bool known;             /* registered: this is its place for ever */
    char identity[IDENTITY_BYTES];
};

struct controller {
    volatile uint32_t *hba;
    struct ahci_port ports[PORTS];
};

static struct controller controllers[CONTROLLERS];
static struct ahci_disk disks[DISKS];
static unsigned controller_count;

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

/* That the link changed is left for the interrupt to tell. */
static void port_start(volatile uint32_t *port)
{
    port[PX_SERR] = port[PX_SERR] & SERR_DEFINED & ~(uint32_t)SERR_PLUG;
    port[PX_IS] = port[PX_IS] & IS_DEFINED & ~(uint32_t)IS_PLUG;
    port[PX_IE] = IS_DEFINED & ~(uint32_t)IS_ANSWER;
    port[PX_CMD] |= CMD_FIS_RECEIVE;
    port[PX_CMD] |= CMD_START;
}

/* Of a device: it is there and talks. */
static bool present(volatile uint32_t *port)
{
    return (port[PX_SSTS] & 0xf) == 3;
}

/* The disk that was asked may be gone, or reset: it would never answer. */
static bool lost(struct ahci_port *p)
{
    return __atomic_load_n(&p->changed, __ATOMIC_RELAXED) ||
           !present(p->regs);
}

/* From here on the interrupt tells what happens to the link. */
static void watch(struct ahci_port *p)
{
    p->regs[PX_IE] |= IS_PLUG;
}

static void set_detection(volatile uint32_t *port, uint32_t reset)
{
    port[PX_SCTL] = (port[PX_SCTL] & ~SCTL_DETECTION) | SCTL_NO_SLEEP | reset;
}

/* All at once, since each takes its time: 10.4.2. */
static void reset_links(struct ahci_port *ports, uint32_t which)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (which & (1u << i))
            set_detection(ports[i].regs, SCTL_RESET);
    clock_delay(1000);
    for (unsigned i = 0; i < PORTS; i++)
        if (which & (1u << i))
            set_detection(ports[i].regs, 0);
    clock_delay(LINK_USECS);
}

/* After it the port leaves alone the memory that it was told of: where it
 * does not stop, it is reset, and the disk looked at anew. A port without a
 * device must not be started: 10.3.1. */
static void port_restart(struct ahci_port *p)
{
    if (port_stop(p->regs))
        reset_links(p - p->number, 1u << p->number);
    if (lost(p))
        watch(p);
    else
        port_start(p->regs);
}

/* Command issued and not yet finished; an error ends it too. */
static bool command_done(void *arg)
{
    struct ahci_port *p = arg;

    return !(p->regs[PX_CI] & 1) || lost(p) ||
           (p->regs[PX_IS] & IS_TASK_FILE_ERROR);
}

/* The disk's status, as the port puts its answer into memory. */
static volatile uint8_t *answer(struct ahci_port *p)
{
    return &p->memory->received[RECEIVED_STATUS];
}

static bool has_answered(void *arg)
{
    return !(*answer(arg) & TFD_BUSY);
}

/* What is over in a moment needs no interrupt; if all is well, no register
 * either, which a virtual machine could read only once its disk is done with
 * the rest. */
static int wait_for_answer(struct ahci_port *p)
{
    volatile uint32_t *port = p->regs;
    int error;

    if (irq_watch(has_answered, p) && !(*answer(p) & TFD_TROUBLE) &&
        !__atomic_load_n(&p->changed, __ATOMIC_RELAXED))
        return 0;
    port[PX_IE] |= IS_ANSWER;
    error = irq_wait(command_done, p, TIMEOUT_USECS);
    port[PX_IE] &= ~(uint32_t)IS_ANSWER;
    if (!error && ((port[PX_IS] & IS_TASK_FILE_ERROR) ||
                   (port[PX_TFD] & TFD_ERROR)))
        error = -EIO;
    return lost(p) ? -ENODEV : error;
}

static void fill_regions(struct command_table *t,
                         const struct block_piece *pieces, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        t->data[i] = (struct region){
            .low = (uint32_t)pieces[i].phys,
            .high = (uint32_t)(pieces[i].phys >> 32),
            .count = pieces[i].bytes - 1,
        };
}

static void fill_command(struct ahci_port *p, uint8_t command, uint64_t lba,
                         uint32_t count, bool write, unsigned regions)
{
    struct command_table *t = &p->memory->table;
    struct command_header *h = &p->memory->list[0];
    uint64_t table = p->memory_phys + offsetof(struct port_memory, table);

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
    h->flags = 5 | (write ? 1 << 6 : 0);
    h->prdt_entries = (uint16_t)regions;
    h->bytes_done = 0;
    h->table_low = table;
    h->table_high = table >> 32;
}

/* Runs the command in slot 0, once the one before has left it. After an error
 * the port is started anew. */
static int run_command(struct ahci_port *p)
{
    volatile uint32_t *port = p->regs;
    int error = wait_clear(port + PX_CI, 1, TIMEOUT_USECS);

    if (!error)
        error = wait_clear(port + PX_TFD, TFD_BUSY | TFD_DRQ, TIMEOUT_USECS);
    if (!error) {
        port[PX_IS] = port[PX_IS] & IS_DEFINED & ~(uint32_t)IS_PLUG;
        *answer(p) = TFD_BUSY;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        port[PX_CI] = 1;
        error = wait_for_answer(p);
    }
    if (error)
        port_restart(p);
    return error;
}

/* --- block_ops --- */

static int ahci_move(struct block_device *b, bool write, uint64_t sector,
                     uint32_t count, const struct block_piece *pieces,
                     unsigned n)
{
    struct ahci_disk *d = b->driver;

    if (!d->port || lost(d->port))
        return -ENODEV;
    fill_command(d->port, write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT,
                 sector, count, write, n);
    fill_regions(&d->port->memory->table, pieces, n);
    return run_command(d->port);
}

static int ahci_flush(struct block_device *b)
{
    struct ahci_disk *d = b->driver;

    if (!d->port || lost(d->port))
        return -ENODEV;
    fill_command(d->port, ATA_FLUSH_EXT, 0, 0, false, 0);
    return run_command(d->port);
}

static const struct block_ops ahci_ops = {
    .read = block_read_dma, .write = block_write_dma,
    .flush = ahci_flush, .move = ahci_move,
};

/* --- disks that come and go --- */

static void log_disk(const struct block_device *b, const char *how)
{
    klog("%s: %s, %llu MB%s\n", b->name, b->model,
         (unsigned long long)(b->sectors * b->sector_size >> 20), how);
}

/* The disk that was seen before and is what this one says to be, or a new
 * place; NULL: there is none left. */
static struct ahci_disk *place_for(const struct block_device *b,
                                   const char *identity)
{
    struct ahci_disk *d;

    for (d = disks; d < disks + DISKS && d->known; d++)
        if (!d->port && d->device.sectors == b->sectors &&
            d->device.sector_size == b->sector_size &&
            memcmp(d->identity, identity, IDENTITY_BYTES) == 0)
            return d;
    return d < disks + DISKS ? d : NULL;
}

static int make_known(struct ahci_disk *d, const struct block_device *b)
{
    d->device = *b;
    d->device.ops = &ahci_ops;
    d->device.driver = d;
    snprintf(d->device.name, sizeof d->device.name, "sata%u",
             (unsigned)(d - disks));
    d->known = block_register(&d->device) == 0;
    return d->known ? 0 : -ENOSPC;
}

/* A disk has told at this port what it is. */
static int attach(struct ahci_port *p, const struct block_device *b,
                  const char *identity)
{
    struct ahci_disk *d = place_for(b, identity);
    bool back = d && d->known;

    if (!d || (!back && make_known(d, b)))
        return -ENOSPC;
    memcpy(d->identity, identity, IDENTITY_BYTES);
    d->device.bounce = p->bounce;
    d->device.bounce_phys = p->bounce_phys;
    d->device.bounce_sectors = BOUNCE_BYTES / b->sector_size;
    d->device.most_sectors = MOST_BYTES / b->sector_size;
    d->device.most_pieces = REGIONS;
    d->device.reach = p->reach;
    d->device.gone = false;
    d->port = p;
    p->disk = d;
    log_disk(&d->device, back ? ", is back" : "");
    storage_disk_came(&d->device, back);
    return 0;
}

static void detach(struct ahci_port *p)
{
    struct ahci_disk *d = p->disk;

    if (!d)
        return;
    d->port = NULL;
    d->device.gone = true;
    p->disk = NULL;
    klog("%s: unplugged\n", d->device.name);
}

static int identify(struct ahci_port *p)
{
    const uint16_t *id = (const uint16_t *)p->bounce;
    const struct block_piece answer = { p->bounce_phys, 512 };
    char identity[IDENTITY_BYTES];
    struct block_device b = { 0 };
    int error;

    fill_command(p, ATA_IDENTIFY, 0, 0, false, 1);
    fill_regions(&p->memory->table, &answer, 1);
    error = run_command(p);
    if (error)
        return error;
    error = ata_read_identity(&b, id);
    if (error)
        return error;
    memcpy(identity, &id[10], 20);      /* serial number */
    memcpy(identity + 20, &id[27], 40); /* model */
    return attach(p, &b, identity);
}

/* --- links --- */

/* SStatus: device present and talking; interface active. */
static bool link_up(volatile uint32_t *port)
{
    return present(port) && (port[PX_SSTS] >> 8 & 0xf) == 1;
}

/* A firmware that started from elsewhere leaves ports asleep: those without
 * a link are reset. */
static void wake_links(struct ahci_port *ports)
{
    uint32_t asleep = 0;

    for (unsigned i = 0; i < PORTS; i++) {
        volatile uint32_t *port = ports[i].regs;

        if (!port)
            continue;
        port[PX_CMD] |= CMD_SPIN_UP | CMD_POWER_ON;
        set_detection(port, 0);
        if (!link_up(port))
            asleep |= 1u << i;
    }
    if (asleep)
        reset_links(ports, asleep);
}

/* The device's first message, which says what it is, comes only once it may
 * be received. */
static bool has_said_what_it_is(void *arg)
{
    volatile uint32_t *port = arg;

    return port[PX_SIG] != SIG_NOT_YET &&
           !(port[PX_TFD] & (TFD_BUSY | TFD_DRQ));
}

/* What was heard of the link is forgotten. */
static void port_forget(volatile uint32_t *port)
{
    port[PX_IE] = 0;
    port[PX_SERR] = SERR_DEFINED;
    port[PX_IS] = IS_DEFINED;
}

/* 0 once the port may receive. */
static int port_set_up(struct ahci_port *p)
{
    volatile uint32_t *port = p->regs;
    uint64_t received;
    int error;

    if (!p->memory) {
        p->memory = dma_alloc(sizeof *p->memory, &p->memory_phys);
        p->bounce = dma_alloc(BOUNCE_BYTES, &p->bounce_phys);
    }
    if (!p->memory || !p->bounce)
        return -ENOMEM;
    error = port_stop(port);
    if (error)
        return error;
    received = p->memory_phys + offsetof(struct port_memory, received);
    port[PX_CLB] = p->memory_phys;
    port[PX_CLBU] = p->memory_phys >> 32;
    port[PX_FB] = received;
    port[PX_FBU] = received >> 32;
    port_forget(port);
    port[PX_CMD] |= CMD_FIS_RECEIVE;
    return 0;
}

/* Takes the disk that has spoken into use; a CD drive is left alone. */
static int port_take(struct ahci_port *p)
{
    int error = has_said_what_it_is((void *)(uintptr_t)p->regs) ? 0
                                                                : -ETIMEDOUT;

    if (error || p->regs[PX_SIG] != SIG_ATA) {
        port_stop(p->regs);
        return error;
    }
    port_start(p->regs);
    return identify(p);
}

static void log_unusable(const struct ahci_port *p, int error)
{
    if (error)
        klog("ahci: port %u not usable (error %d)\n", p->number, error);
}

static bool is_spinning_up(struct ahci_port *p)
{
    return !has_said_what_it_is((void *)(uintptr_t)p->regs) && !lost(p) &&
           clock_usecs() < p->speaks_by;
}

/* The link was lost, or a new one was found: whatever it was before, what
 * hangs there now is asked from the beginning. */
static int port_begin(struct ahci_port *p)
{
    int error;

    p->regs[PX_IE] = 0; /* of the reset we know */
    __atomic_store_n(&p->changed, false, __ATOMIC_RELAXED);
    detach(p);
    port_stop(p->regs);
    reset_links(p - p->number, 1u << p->number);
    port_forget(p->regs);
    error = present(p->regs) ? port_set_up(p) : 0;
    p->speaks_by = clock_usecs() + READY_USECS;
    return error;
}

/* The work after a change. A disk that spins up does not stop the machine
 * meanwhile. */
static void port_look(struct work *w)
{
    struct ahci_port *p = (struct ahci_port *)w;
    int error = p->changed ? port_begin(p) : 0;

    if (!error && present(p->regs)) {
        if (is_spinning_up(p))
            work_post(w, AGAIN_USECS);
        else
            error = port_take(p);
    }
    log_unusable(p, error);
    watch(p);
}

/* --- probing --- */

static void acknowledge(struct ahci_port *p)
{
    uint32_t pending = p->regs[PX_IS] & IS_DEFINED;

    if (pending & IS_PLUG) {
        p->regs[PX_SERR] = SERR_PLUG;
        __atomic_store_n(&p->changed, true, __ATOMIC_RELAXED);
        work_post(&p->look, SETTLE_USECS);
    }
    if (pending & IS_TASK_FILE_ERROR) /* run_command reads and clears it */
        p->regs[PX_IE] = 0;
    p->regs[PX_IS] = pending & ~(uint32_t)IS_TASK_FILE_ERROR;
}

/* Waiting polls the registers; the interrupt ends the processor's sleep, and
 * tells of links. */
static void ahci_interrupt(void *arg)
{
    struct controller *c = arg;
    uint32_t pending = c->hba[HBA_IS];

    for (unsigned i = 0; i < PORTS; i++)
        if ((pending & (1u << i)) && c->ports[i].regs)
            acknowledge(&c->ports[i]);
    c->hba[HBA_IS] = pending;
}

static void find_ports(struct controller *c, uint64_t bytes)
{
    for (unsigned i = 0; i < PORTS; i++) {
        struct ahci_port *p = &c->ports[i];

        if (!(c->hba[HBA_PI] & (1u << i)) || (0x180 + i * 0x80) > bytes)
            continue;
        p->number = i;
        p->reach = c->hba[HBA_CAP] & CAP_64_BITS ? UINT64_MAX : UINT32_MAX;
        p->look.run = port_look;
        p->regs = c->hba + HBA_PORTS + i * HBA_PORT_WORDS;
        p->regs[PX_IE] = 0;
    }
}

/* At the boot, which waits for the disk. */
static void port_probe(struct ahci_port *p)
{
    int error = 0;

    port_forget(p->regs);
    if (link_up(p->regs))
        error = port_set_up(p);
    if (!error && link_up(p->regs)) {
        (void)irq_wait(has_said_what_it_is, (void *)(uintptr_t)p->regs,
                       READY_USECS); /* port_take looks again */
        error = port_take(p);
    }
    log_unusable(p, error);
    watch(p);
}

static int ahci_probe(struct pci_device *dev)
{
    struct controller *c = &controllers[controller_count];
    uint64_t bytes;

    if (controller_count == CONTROLLERS)
        return -ENOSPC;
    memset(c, 0, sizeof *c);
    pci_enable(dev);
    c->hba = pci_map_bar(dev, 5, &bytes);
    if (!c->hba || bytes < 0x100)
        return -ENODEV;
    controller_count++; /* the interrupt's from here on */
    c->hba[HBA_GHC] |= GHC_ENABLE;
    find_ports(c, bytes);
    c->hba[HBA_IS] = c->hba[HBA_IS];
    pci_route_irq(dev, ahci_interrupt, c, NULL);
    wake_links(c->ports);
    for (unsigned i = 0; i < PORTS; i++)
        if (c->ports[i].regs)
            port_probe(&c->ports[i]);
    c->hba[HBA_GHC] |= GHC_INTERRUPTS;
    return 0;
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_STORAGE, 0x06, 0x01 },
    { 0, 0, 0, 0, 0 },
};

const struct driver ahci_driver = {
    .name = "ahci", .ids = ids, .probe = ahci_probe,
};
