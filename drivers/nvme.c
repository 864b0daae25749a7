/*
 * nvme.c - solid-state disks on PCI Express.
 *
 * Source: NVM Express 1.4, sections 3.1 (registers), 4 (queues), 5 and 6
 * (admin and NVM commands), 7.6 (starting a controller).
 * QEMU: -device nvme,serial=x,drive=d
 *
 * One pair of queues for the controller, one command at a time, and one for
 * its disks, which takes several; its namespaces share a bounce buffer. A
 * controller that fails or does not answer is started anew; the commands that
 * met with it are errors. If that fails too, every later one is.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/block.h"
#include "drivers/driver.h"
#include "kernel/bytes.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"

enum { /* 3.1, in 32-bit words */
    REG_CAP = 0x00 / 4, REG_VERSION = 0x08 / 4, REG_MASK_SET = 0x0c / 4,
    REG_MASK_CLEAR = 0x10 / 4, REG_CC = 0x14 / 4, REG_CSTS = 0x1c / 4,
    REG_AQA = 0x24 / 4, REG_ASQ = 0x28 / 4, REG_ACQ = 0x30 / 4,
    REG_BELLS = 0x1000 / 4,
};
#define VERSION_1_1 0x00010100u
enum {
    CC_ENABLE = 1 << 0,
    CC_SIZES = 6 << 16 | 4 << 20, /* entries of 64 and of 16 bytes */
    CSTS_READY = 1 << 0, CSTS_FATAL = 1 << 1,
};
#define ALL_ONES 0xffffffffu /* what is read where nothing answers */
enum {
    ADMIN_CREATE_SUBMISSION = 0x01, ADMIN_CREATE_COMPLETION = 0x05,
    ADMIN_IDENTIFY = 0x06, ADMIN_SET_FEATURES = 0x09,
    FEATURE_QUEUES = 0x07,
    IDENTIFY_NAMESPACE = 0, IDENTIFY_CONTROLLER = 1, IDENTIFY_ACTIVE = 2,
    NVM_FLUSH = 0x00, NVM_WRITE = 0x01, NVM_READ = 0x02,
};
enum { /* status, the phase bit shifted out: 4.6.1 */
    STATUS_CODE = 0x7ff, STATUS_FINAL = 0x4000, /* repeating is in vain */
    STATUS_PROTECTED = 0x020, STATUS_READ_ONLY_RANGE = 0x182,
    STATUS_MEDIUM = 0x200, /* and above: the medium */
};
enum {
    CONTROLLERS = 4, DISKS = 16, DISKS_EACH = 8,
    QUEUE = 16, /* entries of each queue */
    DEPTH = 8,  /* commands at once */
    IO = 1, /* the number of the disks' pair of queues */
    PAGE = 4096,
    BOUNCE_BYTES = 128 * 1024, MOST_BYTES = 512 * 1024,
    LONG_PIECE = 32 * 1024, /* from here on an SGL is less work than PRPs */
    RETRIES = 3,
    TIMEOUT_USECS = 10 * 1000 * 1000, LOOK_USECS = 10 * 1000,
};

struct command { /* 4.2; or a first SGL descriptor in place of the PRPs */
    uint8_t opcode, flags;
    uint16_t id;
    uint32_t namespace, reserved[2];
    uint64_t metadata, prp1, prp2;
    uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct command) == 64, "NVMe 4.2");

struct completion { /* 4.6 */
    uint32_t result, reserved;
    uint16_t submission_head, submission_queue, id, status;
};
_Static_assert(sizeof(struct completion) == 16, "NVMe 4.6");

struct sgl { /* 4.4 */
    uint64_t address, length_and_type;
};
_Static_assert(sizeof(struct sgl) == 16, "NVMe 4.4");
enum { FLAG_SGL = 1 << 6 };
#define SGL_LAST_SEGMENT (3ull << 60) /* 0: data */

struct slot { /* a command under way or done */
    struct command command;
    void *list; /* a page: PRPs of its pages but the first, or an SGL */
    uint64_t list_phys;
    bool busy;
    int status; /* once not busy; -EIO: lost with the controller */
};

struct queue { /* a pair, a page each */
    struct slot slots[DEPTH];
    struct command *submission;
    volatile struct completion *completion;
    uint64_t submission_phys, completion_phys;
    volatile uint32_t *tail_bell, *head_bell;
    unsigned tail, head;
    unsigned phase; /* of the completions that are new */
};

struct controller {
    const struct pci_device *pci;
    volatile uint32_t *regs;
    struct queue admin, io;
    uint8_t *bounce;
    uint64_t bounce_phys;
    uint64_t ready_usecs; /* how long starting and stopping may take */
    uint32_t most_bytes;  /* of one command */
    unsigned number;
    uint16_t last_id;
    bool has_cache; /* a volatile one */
    bool takes_sgl;
    bool masks;     /* its interrupt is masked until the next command */
    bool broken;    /* nothing but starting it anew helps */
    char model[48];
};

struct disk {
    struct block_device device;
    struct controller *controller;
    uint32_t namespace;
};

static struct controller controllers[CONTROLLERS];
static struct disk disks[DISKS];
static unsigned controller_count, disk_count;

/* --- a command --- */

static bool has_failed(const struct controller *c)
{
    uint32_t status = c->regs[REG_CSTS];

    return (status & CSTS_FATAL) || !(status & CSTS_READY);
}

static bool has_answer(const struct queue *q)
{
    return (q->completion[q->head].status & 1) == q->phase;
}

static void submit(struct controller *c, struct queue *q, struct slot *s)
{
    s->command.id = (uint16_t)(++c->last_id * DEPTH + (s - q->slots));
    s->busy = true;
    q->submission[q->tail] = s->command;
    q->tail = (q->tail + 1) % QUEUE;
    if (c->masks)
        c->regs[REG_MASK_CLEAR] = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *q->tail_bell = q->tail;
}

static void take_answer(struct controller *c, struct queue *q)
{
    unsigned id = q->completion[q->head].id;
    struct slot *s = &q->slots[id % DEPTH];

    s->status = q->completion[q->head].status >> 1;
    if (!s->busy || s->command.id != id)
        c->broken = true; /* nobody asked */
    s->busy = false;
    q->head = (q->head + 1) % QUEUE;
    if (q->head == 0)
        q->phase ^= 1;
}

static void take_answers(struct controller *c, struct queue *q)
{
    unsigned before = q->head;

    for (int i = 0; i < QUEUE && has_answer(q) && !c->broken; i++) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        take_answer(c, q);
    }
    if (q->head != before)
        *q->head_bell = q->head;
}

struct waiting {
    struct controller *controller;
    struct queue *queue;
    const struct slot *slot;
};

static bool over(void *arg)
{
    const struct waiting *w = arg;

    take_answers(w->controller, w->queue);
    return !w->slot->busy || w->controller->broken;
}

/* The command's status, or a negative errno: the controller is broken. Its
 * register is slow, and asked only when the answer is. */
static int await(struct controller *c, struct queue *q, struct slot *s)
{
    struct waiting w = { c, q, s };
    int error = -ETIMEDOUT;

    for (int i = 0; i < TIMEOUT_USECS / LOOK_USECS && error; i++) {
        error = irq_wait(over, &w, LOOK_USECS);
        if (error && has_failed(c))
            break;
    }
    if (!s->busy && !c->broken)
        return s->status;
    c->broken = true;
    if (!error || has_failed(c))
        error = -EIO;
    klog("nvme%u: %s (status %x)\n", c->number,
         error == -ETIMEDOUT ? "no answer" : "the controller has failed",
         c->regs[REG_CSTS]);
    return error;
}

static int status_error(unsigned status)
{
    unsigned code = status & STATUS_CODE;

    return code == STATUS_PROTECTED || code == STATUS_READ_ONLY_RANGE
               ? -EROFS
               : -EIO;
}

/* Waits for what was submitted; again where the controller does not say that
 * it would be in vain. */
static int finish(struct controller *c, struct queue *q, struct slot *s)
{
    int status = await(c, q, s);

    for (int i = 1; i < RETRIES && status > 0; i++) {
        if ((status & STATUS_FINAL) ||
            (status & STATUS_CODE) >= STATUS_MEDIUM)
            break;
        submit(c, q, s);
        status = await(c, q, s);
    }
    if (status <= 0)
        return status;
    klog("nvme%u: command %x of %s failed, status %x\n", c->number,
         s->command.opcode, q == &c->io ? "a disk" : "the controller",
         status);
    return status_error((unsigned)status);
}

static int run_admin(struct controller *c, uint8_t opcode,
                     uint32_t namespace, uint64_t prp1, uint32_t cdw10,
                     uint32_t cdw11)
{
    struct slot *s = &c->admin.slots[0];

    s->command = (struct command){
        .opcode = opcode, .namespace = namespace, .prp1 = prp1,
        .cdw10 = cdw10, .cdw11 = cdw11,
    };
    submit(c, &c->admin, s);
    return finish(c, &c->admin, s);
}

/* --- starting the controller: 7.6.1 --- */

static bool stopped(void *arg)
{
    const struct controller *c = arg;

    return !(c->regs[REG_CSTS] & CSTS_READY);
}

static bool started(void *arg)
{
    const struct controller *c = arg;

    return c->regs[REG_CSTS] & (CSTS_READY | CSTS_FATAL);
}

/* After it no command is under way and the bounce buffer is ours. */
static int stop(struct controller *c)
{
    if (c->regs[REG_CSTS] == ALL_ONES)
        return -ENODEV;
    c->regs[REG_CC] &= ~(uint32_t)CC_ENABLE;
    return irq_wait(stopped, c, c->ready_usecs);
}

static void set_address(volatile uint32_t *reg, uint64_t address)
{
    reg[0] = (uint32_t)address;
    reg[1] = (uint32_t)(address >> 32);
}

static void empty_queue(struct queue *q)
{
    memset((void *)(uintptr_t)q->completion, 0, PAGE);
    q->tail = q->head = 0;
    q->phase = 1;
    for (unsigned i = 0; i < DEPTH; i++) {
        q->slots[i].busy = false;
        q->slots[i].status = -EIO;
    }
}

static int enable(struct controller *c)
{
    int error;

    c->regs[REG_AQA] = (QUEUE - 1) << 16 | (QUEUE - 1);
    set_address(c->regs + REG_ASQ, c->admin.submission_phys);
    set_address(c->regs + REG_ACQ, c->admin.completion_phys);
    c->regs[REG_CC] = CC_SIZES;
    c->regs[REG_CC] = CC_SIZES | CC_ENABLE;
    error = irq_wait(started, c, c->ready_usecs);
    return error ? error : has_failed(c) ? -EIO : 0;
}

static int create_queues(struct controller *c)
{
    const uint32_t which = (QUEUE - 1) << 16 | IO;
    int error = run_admin(c, ADMIN_SET_FEATURES, 0, 0, FEATURE_QUEUES, 0);

    if (!error) /* contiguous, with interrupts */
        error = run_admin(c, ADMIN_CREATE_COMPLETION, 0,
                          c->io.completion_phys, which, 3);
    if (!error) /* contiguous, answered in that queue */
        error = run_admin(c, ADMIN_CREATE_SUBMISSION, 0,
                          c->io.submission_phys, which, IO << 16 | 1);
    return error;
}

static int start(struct controller *c)
{
    int error = stop(c);

    if (error)
        return error;
    empty_queue(&c->admin);
    empty_queue(&c->io);
    c->broken = false;
    error = enable(c);
    if (!error)
        error = create_queues(c);
    if (error)
        c->broken = true;
    return error;
}

/* --- block_ops --- */

/* Page by page; a second one alone needs no list: 4.3. */
static void set_prps(struct slot *s, const struct block_piece *pieces,
                     unsigned n)
{
    struct command *m = &s->command;
    uint64_t *list = s->list;
    unsigned pages = 0;

    m->prp1 = pieces->phys;
    for (unsigned i = 0; i < n; i++) {
        uint64_t end = pieces[i].phys + pieces[i].bytes;
        uint64_t at = i ? pieces[i].phys : (m->prp1 / PAGE + 1) * PAGE;

        for (; at < end; at += PAGE)
            list[pages++] = at;
    }
    if (pages)
        m->prp2 = pages == 1 ? list[0] : s->list_phys;
}
_Static_assert(MOST_BYTES / PAGE + 1 <= PAGE / 8, "one page lists them all");

/* Piece by piece; one alone needs no list: 4.4. */
static void set_sgl(struct slot *s, const struct block_piece *pieces,
                    unsigned n)
{
    struct sgl first = { pieces->phys, pieces->bytes }, *list = s->list;

    for (unsigned i = 0; i < n; i++)
        list[i] = (struct sgl){ pieces[i].phys, pieces[i].bytes };
    if (n > 1)
        first = (struct sgl){ s->list_phys,
                              n * sizeof *list | SGL_LAST_SEGMENT };
    s->command.flags = FLAG_SGL;
    s->command.prp1 = first.address;
    s->command.prp2 = first.length_and_type;
}

/* Nothing is under way with a controller that is broken. */
static void begin(struct disk *d, struct slot *s)
{
    struct controller *c = d->controller;

    s->command.namespace = d->namespace;
    s->status = -EIO;
    if (!c->broken)
        submit(c, &c->io, s);
}

static void start_again(struct controller *c)
{
    int error = start(c);

    if (error)
        pci_silence(c->pci);
    klog(error ? "nvme%u: given up\n" : "nvme%u: started again\n",
         c->number);
}

static int end(struct disk *d, struct slot *s)
{
    struct controller *c = d->controller;
    int error;

    if (c->broken || (!s->busy && s->status < 0))
        return -EIO;
    error = finish(c, &c->io, s);
    if (c->broken)
        start_again(c);
    return error;
}

static void nvme_begin(struct block_device *b, unsigned slot, bool write,
                       uint64_t sector, uint32_t count,
                       const struct block_piece *pieces, unsigned n)
{
    struct disk *d = b->driver;
    struct slot *s = &d->controller->io.slots[slot];

    s->command = (struct command){
        .opcode = write ? NVM_WRITE : NVM_READ, .cdw10 = (uint32_t)sector,
        .cdw11 = (uint32_t)(sector >> 32), .cdw12 = count - 1,
    };
    if (d->controller->takes_sgl &&
        count * b->sector_size / LONG_PIECE >= n)
        set_sgl(s, pieces, n);
    else
        set_prps(s, pieces, n);
    begin(d, s);
}

static int nvme_end(struct block_device *b, unsigned slot)
{
    struct disk *d = b->driver;

    return end(d, &d->controller->io.slots[slot]);
}

static int nvme_flush(struct block_device *b)
{
    struct disk *d = b->driver;
    struct slot *s = &d->controller->io.slots[0];

    if (!d->controller->has_cache)
        return 0;
    s->command = (struct command){ .opcode = NVM_FLUSH };
    begin(d, s);
    return end(d, s);
}

static const struct block_ops nvme_ops = {
    .read = block_read_dma, .write = block_write_dma,
    .flush = nvme_flush, .begin = nvme_begin, .end = nvme_end,
};

/* --- what it is: 5.15.2 --- */

static int identify(struct controller *c, uint32_t namespace, uint32_t what)
{
    memset(c->bounce, 0, PAGE);
    return run_admin(c, ADMIN_IDENTIFY, namespace, c->bounce_phys, what, 0);
}

static int identify_controller(struct controller *c)
{
    const uint8_t *id = c->bounce;
    unsigned n = 40;
    int error = identify(c, 0, IDENTIFY_CONTROLLER);

    if (error)
        return error;
    while (n && id[24 + n - 1] == ' ')
        n--;
    memcpy(c->model, id + 24, n);
    c->most_bytes = MOST_BYTES;
    if (id[77] && id[77] < 7) /* a power of two of pages; 0: no limit */
        c->most_bytes = (uint32_t)PAGE << id[77];
    c->has_cache = id[525] & 1;
    c->takes_sgl = id[536] & 3;
    return 0;
}

/* Data whose size is not a power of two, or with metadata, are left. */
static int read_geometry(struct block_device *b, const uint8_t *id)
{
    const uint8_t *format = id + 128 + 4 * (id[26] & 15);
    unsigned shift = format[2];

    b->sectors = get64(id);
    b->read_only = id[99] & 1;
    if (b->sectors == 0)
        return -ENODEV;
    if (get16(format) || shift < 9 || shift > 12) {
        klog("%s: sectors of %u + %u bytes are not driven\n", b->name,
             shift < 31 ? 1u << shift : 0, get16(format));
        return -ENODEV;
    }
    b->sector_size = 1u << shift;
    return 0;
}

static void add_disk(struct controller *c, uint32_t namespace)
{
    struct disk *d = &disks[disk_count];
    struct block_device *b = &d->device;

    if (disk_count == DISKS || identify(c, namespace, IDENTIFY_NAMESPACE))
        return;
    memset(d, 0, sizeof *d);
    snprintf(b->name, sizeof b->name, "nvme%un%u", c->number, namespace);
    if (read_geometry(b, c->bounce))
        return;
    d->controller = c;
    d->namespace = namespace;
    b->ops = &nvme_ops;
    b->driver = d;
    b->bounce = c->bounce;
    b->bounce_phys = c->bounce_phys;
    b->most_sectors = c->most_bytes / b->sector_size;
    b->bounce_sectors = BOUNCE_BYTES / b->sector_size;
    if (b->bounce_sectors > b->most_sectors)
        b->bounce_sectors = b->most_sectors;
    b->most_pieces = MOST_BYTES / PAGE + 1;
    b->depth = DEPTH;
    b->reach = UINT64_MAX;
    memcpy(b->model, c->model, sizeof b->model);
    if (block_register(b))
        return;
    disk_count++;
    klog("%s: %s, %llu MB, sectors of %u%s%s\n", b->name, b->model,
         (unsigned long long)(b->sectors * b->sector_size >> 20),
         b->sector_size, c->has_cache ? ", write cache" : "",
         b->read_only ? ", write-protected" : "");
}

/* The list came with version 1.1; before it a disk was number 1. */
static int find_disks(struct controller *c)
{
    uint32_t namespaces[DISKS_EACH] = { 1 };

    if (c->regs[REG_VERSION] >= VERSION_1_1 &&
        identify(c, 0, IDENTIFY_ACTIVE) == 0)
        memcpy(namespaces, c->bounce, sizeof namespaces);
    for (unsigned i = 0; i < DISKS_EACH && namespaces[i]; i++)
        if (!c->broken)
            add_disk(c, namespaces[i]);
    return c->broken ? -EIO : 0;
}

/* --- probing --- */

/* Waiting looks at the queue; the interrupt only ends the processor's
 * sleep. A line stays up until the queue is emptied, so it is masked, which
 * is forbidden with MSI-X (3.1.3). */
static void nvme_interrupt(void *arg)
{
    const struct controller *c = arg;

    if (c->masks)
        c->regs[REG_MASK_SET] = 1;
}

static int make_queue(struct controller *c, struct queue *q, unsigned number,
                      unsigned stride)
{
    volatile uint32_t *bells = c->regs + REG_BELLS;

    for (unsigned i = 0; number == IO && i < DEPTH; i++) {
        q->slots[i].list = dma_alloc(PAGE, &q->slots[i].list_phys);
        if (!q->slots[i].list)
            return -ENOMEM;
    }
    q->submission = dma_alloc(PAGE, &q->submission_phys);
    q->completion = dma_alloc(PAGE, &q->completion_phys);
    q->tail_bell = bells + 2 * number * stride;
    q->head_bell = bells + (2 * number + 1) * stride;
    return q->submission && q->completion ? 0 : -ENOMEM;
}

static int make_memory(struct controller *c, unsigned stride)
{
    if (make_queue(c, &c->admin, 0, stride) ||
        make_queue(c, &c->io, IO, stride))
        return -ENOMEM;
    c->bounce = dma_alloc(BOUNCE_BYTES, &c->bounce_phys);
    return c->bounce ? 0 : -ENOMEM;
}

/* What the controller can, as far as it matters here: 3.1.1. */
static int read_capabilities(struct controller *c, uint64_t bytes,
                             unsigned *stride)
{
    uint32_t low = c->regs[REG_CAP], high = c->regs[REG_CAP + 1];

    *stride = 1u << (high & 15); /* 32-bit words between two doorbells */
    c->ready_usecs = ((low >> 24) + 1) * 500 * 1000ull;
    if (low == ALL_ONES || (high >> 16 & 15) /* no pages of 4 KiB */ ||
        (low & 0xffff) < QUEUE - 1 || bytes < 0x1000 + 4 * 4ull * *stride)
        return -ENODEV;
    return 0;
}

static int nvme_probe(struct pci_device *dev)
{
    struct controller *c = &controllers[controller_count];
    uint64_t bytes;
    unsigned stride;
    int msix = 0, error;

    if (controller_count == CONTROLLERS)
        return -ENOSPC;
    memset(c, 0, sizeof *c);
    c->number = controller_count;
    c->pci = dev;
    pci_enable(dev);
    c->regs = pci_map_bar(dev, 0, &bytes);
    if (!c->regs || bytes < 0x1000)
        return -ENODEV;
    error = read_capabilities(c, bytes, &stride);
    if (!error)
        error = make_memory(c, stride);
    if (error)
        return error;
    controller_count++; /* the interrupt's from here on */
    error = stop(c); /* the firmware may have used it */
    if (error)
        return error;
    pci_route_irq(dev, nvme_interrupt, c, &msix);
    c->masks = !msix;
    error = start(c);
    if (!error)
        error = identify_controller(c);
    return error ? error : find_disks(c);
}

static const struct pci_match ids[] = {
    { PCI_ANY_ID, PCI_ANY_ID, PCI_CLASS_STORAGE, 0x08, 0x02 },
    { 0, 0, 0, 0, 0 },
};

const struct driver nvme_driver = {
    .name = "nvme", .ids = ids, .probe = nvme_probe,
};
