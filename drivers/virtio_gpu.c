/*
 * virtio_gpu.c - the screen of a virtual machine: one picture in our memory,
 * of which the host is told what changed; its size follows the host's
 * window.
 *
 * Source: OASIS Virtual I/O Device 1.1, section 5.7 (two dimensions only).
 * QEMU: -vga none -device virtio-gpu-pci, -vga virtio
 *
 * Commands go one at a time. The last one of a flush is not waited for until
 * the next is due, so that the picture costs the VM little.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/display.h"
#include "drivers/driver.h"
#include "drivers/framebuffer.h"
#include "drivers/virtio.h"
#include "kernel/klog.h"
#include "kernel/pci.h"
#include "kernel/vmm.h"
#include "kernel/work.h"

enum { MODERN = 0x1050, QUEUE_CONTROL = 0, BARS = 6 };
enum { F_EDID = 1 << 1 }; /* 5.7.3 */
enum { CONFIG_EVENTS = 0, CONFIG_CLEAR = 4, EVENT_DISPLAY = 1 }; /* 5.7.4 */
enum command { /* 5.7.6.7 */
    GET_DISPLAY_INFO = 0x100, CREATE_2D, UNREF, SET_SCANOUT, FLUSH,
    TRANSFER_TO_HOST, ATTACH_BACKING, GET_EDID = 0x10a,
    OK_NO_DATA = 0x1100, OK_DISPLAY_INFO = 0x1101, OK_EDID = 0x1104,
};
enum {
    FORMAT_XRGB = 2, /* B8G8R8X8 in the order of bytes */
    SCANOUTS = 16, EDID_ROOM = 1024,
    SIDE_MAX = 8192, PIXELS_MAX = 16 << 20, RUNS = 4096, RESTARTS = 3,
    TIMEOUT_USECS = 5 * 1000 * 1000,
};

struct header {
    uint32_t type, flags;
    uint64_t fence;
    uint32_t context, padding;
};
struct box {
    uint32_t x, y, width, height;
};
struct create {
    struct header header;
    uint32_t resource, format, width, height;
};
struct unref {
    struct header header;
    uint32_t resource, padding;
};
struct set_scanout {
    struct header header;
    struct box box;
    uint32_t scanout, resource;
};
struct flush {
    struct header header;
    struct box box;
    uint32_t resource, padding;
};
struct transfer {
    struct header header;
    struct box box;
    uint64_t offset;
    uint32_t resource, padding;
};
struct run { /* neighbouring pages of the picture */
    uint64_t phys;
    uint32_t bytes, padding;
};
struct attach {
    struct header header;
    uint32_t resource, count;
    struct run runs[RUNS];
};
struct get_edid {
    struct header header;
    uint32_t scanout, padding;
};
_Static_assert(sizeof(struct header) == 24 && sizeof(struct transfer) == 56,
               "5.7.6.7");

struct display_info {
    struct header header;
    struct {
        struct box box;
        uint32_t enabled, flags;
    } scanouts[SCANOUTS];
};
struct edid_info {
    struct header header;
    uint32_t bytes, padding;
    uint8_t edid[EDID_ROOM];
};

union request {
    struct header header;
    struct create create;
    struct unref unref;
    struct set_scanout set_scanout;
    struct flush flush;
    struct transfer transfer;
    struct attach attach;
    struct get_edid get_edid;
};
union answer {
    struct header header;
    struct display_info info;
    struct edid_info edid;
};

/* The picture's pages, at one of two places: while the mode changes there is
 * the old one, too. */
struct picture {
    uint32_t resource; /* 0: none */
    struct mode mode;
    uint64_t virt, bytes;
};

static struct {
    struct display display;
    struct virtio_device virtio;
    union request *request;
    union answer *answer;
    uint64_t request_phys, answer_phys;
    bool busy; /* the last command was not waited for */
    struct picture picture;
    uint32_t last_resource;
    unsigned restarts;
    struct mode window; /* the host's, as last told */
    struct work changed;
} gpu;

/* --- commands --- */

static int finish(void)
{
    int error;

    if (!gpu.busy)
        return 0;
    gpu.busy = false;
    error = virtio_wait(&gpu.virtio, TIMEOUT_USECS);
    if (error)
        gpu.picture.resource = 0; /* the device has forgotten all */
    return error;
}

/* Hands over what `request` holds; `n` are its bytes. */
static void begin(enum command type, size_t n)
{
    const struct virtio_part parts[] = {
        { gpu.request_phys, (uint32_t)n, false },
        { gpu.answer_phys, sizeof *gpu.answer, true },
    };

    gpu.request->header = (struct header){ .type = type };
    gpu.answer->header.type = 0;
    virtio_hand_over(&gpu.virtio, parts, 2);
    gpu.busy = true;
}

static int run(enum command type, size_t n, enum command wanted)
{
    int error;

    begin(type, n);
    error = finish();
    return error ? error : gpu.answer->header.type == wanted ? 0 : -EIO;
}

/* A clean request, once the device is done with the one before. */
static union request *prepare(void)
{
    if (finish())
        klog("screen: virtio-gpu did not answer\n");
    memset(gpu.request, 0, sizeof(struct transfer));
    return gpu.request;
}

/* --- the picture --- */

static int create_resource(const struct picture *p)
{
    union request *r = prepare();

    r->create.resource = p->resource;
    r->create.format = FORMAT_XRGB;
    r->create.width = p->mode.width;
    r->create.height = p->mode.height;
    return run(CREATE_2D, sizeof r->create, OK_NO_DATA);
}

static void drop_resource(uint32_t resource)
{
    union request *r = prepare();

    r->unref.resource = resource;
    run(UNREF, sizeof r->unref, OK_NO_DATA);
}

/* Describes the pages in as few runs as they have; 0: too many. */
static unsigned find_runs(const struct picture *p, struct run *runs)
{
    unsigned n = 0;

    for (uint64_t at = 0; at < p->bytes; at += PAGE_SIZE) {
        uint64_t phys = 0;

        vmm_translate(p->virt + at, &phys);
        if (n && runs[n - 1].phys + runs[n - 1].bytes == phys) {
            runs[n - 1].bytes += PAGE_SIZE;
            continue;
        }
        if (n == RUNS)
            return 0;
        runs[n++] = (struct run){ phys, PAGE_SIZE, 0 };
    }
    return n;
}

static int attach_pages(const struct picture *p)
{
    union request *r = prepare();

    r->attach.resource = p->resource;
    r->attach.count = find_runs(p, r->attach.runs);
    if (!r->attach.count)
        return -ENOMEM;
    return run(ATTACH_BACKING, offsetof(struct attach, runs) +
                                   r->attach.count * sizeof(struct run),
               OK_NO_DATA);
}

static int show_picture(const struct picture *p)
{
    union request *r = prepare();

    r->set_scanout.box = (struct box){ 0, 0, p->mode.width, p->mode.height };
    r->set_scanout.resource = p->resource;
    return run(SET_SCANOUT, sizeof r->set_scanout, OK_NO_DATA);
}

/* Tells the device of a picture whose pages are there, and shows it. */
static int set_up(const struct picture *p)
{
    int error = create_resource(p);

    if (error)
        return error;
    error = attach_pages(p);
    if (!error)
        error = show_picture(p);
    if (error)
        drop_resource(p->resource);
    return error;
}

static int set_mode(struct display *d, struct mode m)
{
    struct picture old = gpu.picture, new = {
        ++gpu.last_resource, m,
        old.virt == GPU_BASE ? GPU_BASE + GPU_SPAN : GPU_BASE,
        ((uint64_t)m.width * m.height * 4 + PAGE_SIZE - 1) / PAGE_SIZE *
            PAGE_SIZE,
    };
    int error = vmm_commit(new.virt, new.bytes, PAGE_WRITE);

    if (!error)
        error = set_up(&new);
    if (error) {
        vmm_release(new.virt, new.bytes);
        return error;
    }
    gpu.picture = new;
    if (old.resource)
        drop_resource(old.resource);
    vmm_release(old.virt, old.bytes);
    return 0;
}
_Static_assert(PIXELS_MAX * 4ull <= GPU_SPAN, "a picture has its place");

/* --- display_ops --- */

static void row(struct display *d, int x, int y, const uint32_t *pixels,
                int count)
{
    uint32_t *to = (void *)(uintptr_t)gpu.picture.virt;

    memcpy(to + (size_t)y * gpu.picture.mode.width + x, pixels,
           (size_t)count * sizeof *to);
}

static struct box box_of(struct rect r)
{
    return (struct box){ (uint32_t)r.left, (uint32_t)r.top,
                         (uint32_t)(r.right - r.left),
                         (uint32_t)(r.bottom - r.top) };
}

/* A device that was reset in between knows nothing any more. */
static bool is_set_up(void)
{
    if (!gpu.picture.resource && gpu.restarts < RESTARTS) {
        gpu.restarts++;
        gpu.picture.resource = ++gpu.last_resource;
        if (set_up(&gpu.picture))
            gpu.picture.resource = 0;
    }
    return gpu.picture.resource != 0;
}

static void done(struct display *d, struct rect rect)
{
    union request *r = prepare();

    if (!is_set_up())
        return;
    memset(r, 0, sizeof r->transfer);
    r->transfer.box = box_of(rect);
    r->transfer.offset =
        ((uint64_t)rect.top * gpu.picture.mode.width + (unsigned)rect.left) *
        4;
    r->transfer.resource = gpu.picture.resource;
    begin(TRANSFER_TO_HOST, sizeof r->transfer);
    r = prepare();
    r->flush.box = box_of(rect);
    r->flush.resource = gpu.picture.resource;
    begin(FLUSH, sizeof r->flush);
}

/* --- the host's window --- */

/* The size that the host shows us in; none if it does not say. */
static struct mode ask_window(void)
{
    struct box b;

    prepare();
    if (run(GET_DISPLAY_INFO, sizeof(struct header), OK_DISPLAY_INFO) ||
        !gpu.answer->info.scanouts[0].enabled)
        return (struct mode){ 0, 0 };
    b = gpu.answer->info.scanouts[0].box;
    return (struct mode){ b.width, b.height };
}

static void read_monitor(struct edid *e)
{
    union request *r = prepare();
    uint32_t n;

    memset(e, 0, sizeof *e);
    r->get_edid.scanout = 0;
    if (!(gpu.virtio.features & F_EDID) ||
        run(GET_EDID, sizeof r->get_edid, OK_EDID))
        return;
    n = gpu.answer->edid.bytes;
    edid_parse(e, gpu.answer->edid.edid, n < EDID_ROOM ? n : EDID_ROOM);
}

/* Only what the host changes counts: a size that the user chose stays when
 * it tells the same again. */
static void follow(struct work *w)
{
    struct mode m = ask_window();

    if (!m.width || mode_same(m, gpu.window))
        return;
    gpu.window = m;
    read_monitor(&gpu.display.edid);
    if (display_set_mode(&gpu.display, m))
        klog("screen: %u x %u, as the host's window is, cannot be set\n",
             m.width, m.height);
}

static void interrupt(struct virtio_device *v)
{
    if (!(virtio_config32(v, CONFIG_EVENTS) & EVENT_DISPLAY))
        return;
    virtio_set_config32(v, CONFIG_CLEAR, EVENT_DISPLAY);
    work_post(&gpu.changed, 0);
}

/* --- probing --- */

/* The screen that there is already is this adapter's VGA half. */
static bool is_our_other_half(const struct pci_device *dev)
{
    for (unsigned bar = 0; bar < BARS; bar++) {
        uint64_t bytes, first = pci_bar_address(dev, bar, &bytes);

        if (first && framebuffer_within(first, bytes) &&
            framebuffer_within(first, bytes) == display_primary())
            return true;
    }
    return false;
}

static int open_device(struct pci_device *dev)
{
    gpu.request = dma_alloc(sizeof *gpu.request, &gpu.request_phys);
    gpu.answer = dma_alloc(sizeof *gpu.answer, &gpu.answer_phys);
    if (!gpu.request || !gpu.answer)
        return -ENOMEM;
    gpu.virtio.interrupt = interrupt;
    gpu.changed.run = follow;
    return virtio_open(&gpu.virtio, dev, F_EDID, QUEUE_CONTROL, 1);
}

static int start(void)
{
    static const struct display_ops ops = { .row = row, .done = done };
    struct display *d = &gpu.display;
    struct mode m, own;
    int error;

    d->name = "virtio-gpu";
    d->ops = &ops;
    d->set_mode = set_mode;
    d->limits = (struct mode_limits){ SIDE_MAX, SIDE_MAX, PIXELS_MAX, 1 };
    gpu.window = ask_window();
    read_monitor(&d->edid);
    own = gpu.window.width ? gpu.window
                           : (struct mode){ d->edid.width, d->edid.height };
    m = modes_choose(&d->limits, display_named_mode(), own);
    error = set_mode(d, m);
    if (error)
        return error;
    d->width = m.width;
    d->height = m.height;
    return 0;
}

static int virtio_gpu_probe(struct pci_device *dev)
{
    int error;

    if (gpu.request || (display_primary() && !is_our_other_half(dev)))
        return 0; /* one screen is enough, and it is another one */
    error = open_device(dev);
    if (!error)
        error = start();
    if (error)
        return error;
    klog("screen: virtio-gpu, %u x %u\n", gpu.display.width,
         gpu.display.height);
    return display_take_over(&gpu.display);
}

static const struct pci_match ids[] = {
    { VIRTIO_VENDOR, MODERN, PCI_ANY_CLASS, PCI_ANY_CLASS, PCI_ANY_CLASS },
    { 0, 0, 0, 0, 0 },
};

const struct driver virtio_gpu_driver = {
    .name = "virtio_gpu", .ids = ids, .probe = virtio_gpu_probe,
};
