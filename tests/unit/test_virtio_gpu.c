/*
 * test_virtio_gpu.c - the driver against an adapter made of software that
 * keeps resources, checks every rectangle, and can be told to lie. Includes
 * the driver, to forget what it knows.
 */
#include "tests/unit/virtio_fake.h"

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/virtio_gpu.c"

/* --- pages: what vmm_commit gives, in a RAM that is full of holes --- */

enum { PAGES = 4096 };

static struct {
    uint64_t virt[PAGES]; /* 0: free */
    uint64_t phys[PAGES];
    unsigned used, scattered;
} pages;

int vmm_commit(uint64_t virt, uint64_t bytes, unsigned flags)
{
    if (bytes / PAGE_SIZE > PAGES - pages.used)
        return -ENOMEM;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE, pages.used++) {
        unsigned i = 0;

        while (pages.virt[i])
            i++;
        pages.virt[i] = virt + at;
        pages.phys[i] = (0x100000 + i * (pages.scattered ? 2 : 1)) *
                        PAGE_SIZE;
    }
    return 0;
}

void vmm_release(uint64_t virt, uint64_t bytes)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages.virt[i] >= virt && pages.virt[i] < virt + bytes) {
            pages.virt[i] = 0;
            pages.used--;
        }
}

bool vmm_translate(uint64_t virt, uint64_t *phys)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages.virt[i] == virt) {
            *phys = pages.phys[i];
            return true;
        }
    return false;
}

/* --- the rest of the kernel --- */

static struct display *boot_screen; /* as GRUB left it; NULL: none */

uint64_t pci_bar_address(const struct pci_device *d, unsigned bar,
                         uint64_t *bytes)
{
    *bytes = 0x1000;
    return bar == 0 ? 0x80000000 : 0;
}

struct display *framebuffer_within(uint64_t first, uint64_t bytes)
{
    return first == 0x80000000 ? boot_screen : NULL;
}

/* --- the adapter --- */

static struct {
    struct mode window;
    bool enabled;
    uint32_t resource, shown, unrefs, transfers, flushes;
    struct mode size; /* of `resource` */
    uint64_t backed;
    unsigned runs;
    enum command refuse; /* this one; 0: none */
    int silent;          /* for so many commands */
    uint32_t edid_bytes;
    uint8_t edid[EDID_BYTES];
} host;

static bool inside(struct box b)
{
    return (uint64_t)b.x + b.width <= host.size.width &&
           (uint64_t)b.y + b.height <= host.size.height && b.width &&
           b.height;
}

static uint32_t obey(const union request *r, uint32_t bytes, union answer *a)
{
    if (r->header.type == host.refuse)
        return 0x1200;
    switch (r->header.type) {
    case GET_DISPLAY_INFO:
        a->info.scanouts[0].box = (struct box){ 0, 0, host.window.width,
                                                host.window.height };
        a->info.scanouts[0].enabled = host.enabled;
        return OK_DISPLAY_INFO;
    case GET_EDID:
        a->edid.bytes = host.edid_bytes;
        memcpy(a->edid.edid, host.edid, sizeof host.edid);
        return OK_EDID;
    case CREATE_2D:
        assert_int_equal(r->create.format, FORMAT_XRGB);
        host.resource = r->create.resource;
        host.size = (struct mode){ r->create.width, r->create.height };
        host.backed = 0;
        return OK_NO_DATA;
    case ATTACH_BACKING:
        assert_int_equal(bytes, 32 + 16 * r->attach.count);
        host.runs = r->attach.count;
        for (unsigned i = 0; i < r->attach.count; i++) {
            assert_true(r->attach.runs[i].phys >= 0x100000 * PAGE_SIZE);
            host.backed += r->attach.runs[i].bytes;
        }
        assert_true(host.backed >=
                    4ull * host.size.width * host.size.height);
        return OK_NO_DATA;
    case SET_SCANOUT:
        assert_true(inside(r->set_scanout.box));
        assert_int_equal(r->set_scanout.scanout, 0);
        host.shown = r->set_scanout.resource;
        return OK_NO_DATA;
    case UNREF:
        host.unrefs++;
        return OK_NO_DATA;
    case TRANSFER_TO_HOST:
        assert_int_equal(r->transfer.resource, host.resource);
        assert_true(inside(r->transfer.box));
        assert_int_equal(r->transfer.offset,
                         4 * (r->transfer.box.y * host.size.width +
                              r->transfer.box.x));
        host.transfers++;
        return OK_NO_DATA;
    case FLUSH:
        assert_int_equal(r->flush.resource, host.resource);
        assert_true(inside(r->flush.box));
        host.flushes++;
        return OK_NO_DATA;
    }
    return 0x1200;
}

static int request(const struct virtio_part *parts, unsigned count)
{
    const union request *r = fake_memory(parts[0].phys);
    union answer *a = fake_memory(parts[1].phys);

    assert_int_equal(count, 2);
    assert_true(!parts[0].in && parts[1].in);
    if (host.silent) {
        host.silent--;
        host.resource = 0; /* it is reset */
        return -ETIMEDOUT;
    }
    a->header.type = obey(r, parts[0].bytes, a);
    return 0;
}

/* --- tests --- */

static struct pci_device dev;

static int fresh(void **state)
{
    fake_virtio_reset();
    fake.request = request;
    fake.offered_features = F_EDID;
    fake_dma_used = 0;
    fake_log[0] = 0;
    memset(&pages, 0, sizeof pages);
    memset(&host, 0, sizeof host);
    memset(&gpu, 0, sizeof gpu);
    display_name_mode((struct mode){ 0, 0 });
    host.window = (struct mode){ 800, 600 };
    host.enabled = true;
    boot_screen = NULL;
    return 0;
}

/* Registers for ever: the tests below go on with it. The shadow copy is
 * drawn; the pages are only addresses here, so rows are not looked at. */
static int start_only(void)
{
    int error = open_device(&dev);

    return error ? error : start();
}

static void starts_in_the_hosts_window(void **state)
{
    assert_int_equal(start_only(), 0);
    assert_int_equal(gpu.display.width, 800);
    assert_int_equal(host.size.height, 600);
    assert_int_equal(host.shown, host.resource);
    assert_int_equal(host.backed, 800 * 600 * 4 / PAGE_SIZE * PAGE_SIZE +
                                      PAGE_SIZE);
    assert_int_equal(host.runs, 1);
}

static void starts_in_the_mode_that_was_named(void **state)
{
    display_name_mode((struct mode){ 1024, 768 });
    assert_int_equal(start_only(), 0);
    assert_int_equal(host.size.width, 1024);
}

static void starts_without_a_window(void **state)
{
    host.enabled = false;
    assert_int_equal(start_only(), 0);
    assert_int_equal(host.size.width, 1280);
}

static void wild_windows_are_not_believed(void **state)
{
    host.window = (struct mode){ 0xffffffff, 0xffffffff };
    assert_int_equal(start_only(), 0);
    assert_int_equal(host.size.width, 1280);
    host.window = (struct mode){ 1, 1 };
    follow(&gpu.changed);
    assert_int_equal(host.size.width, 1280);
    assert_non_null(strstr(fake_log, "1 x 1, as the host's window is"));
}

static void scattered_pages_are_named_one_by_one(void **state)
{
    pages.scattered = 1;
    assert_int_equal(start_only(), 0);
    assert_int_equal(host.runs, (800 * 600 * 4 + PAGE_SIZE - 1) / PAGE_SIZE);
}

static void a_monitor_that_lies_about_its_length(void **state)
{
    host.edid_bytes = 0xffffffff;
    assert_int_equal(start_only(), 0);
    host.edid_bytes = 5;
    read_monitor(&gpu.display.edid);
    assert_int_equal(gpu.display.edid.width, 0);
}

static void each_refusal_is_an_error_and_leaves_nothing(void **state)
{
    static const enum command needed[] = { CREATE_2D, ATTACH_BACKING,
                                           SET_SCANOUT };

    for (unsigned i = 0; i < 3; i++) {
        fresh(state);
        host.refuse = needed[i];
        assert_int_equal(start_only(), -EIO);
        assert_int_equal(pages.used, 0);
    }
    fresh(state);
    host.refuse = GET_DISPLAY_INFO; /* it can do without */
    assert_int_equal(start_only(), 0);
}

static void the_mode_changes_and_the_old_pages_go(void **state)
{
    assert_int_equal(start_only(), 0);
    for (unsigned i = 0; i < 50; i++) {
        struct mode m = { 640 + i, 480 + i };

        assert_int_equal(set_mode(&gpu.display, m), 0);
        assert_int_equal(host.size.width, m.width);
        assert_int_equal(host.shown, host.resource);
        assert_int_equal(host.unrefs, i + 1);
        assert_int_equal(pages.used, host.backed / PAGE_SIZE);
    }
}

static void a_change_that_fails_leaves_the_old_mode(void **state)
{
    struct picture before;

    assert_int_equal(start_only(), 0);
    before = gpu.picture;
    assert_int_equal(set_mode(&gpu.display, (struct mode){ 8000, 2000 }),
                     -ENOMEM);
    host.refuse = SET_SCANOUT;
    assert_int_equal(set_mode(&gpu.display, (struct mode){ 640, 480 }),
                     -EIO);
    assert_memory_equal(&before, &gpu.picture, sizeof before);
    assert_int_equal(pages.used, before.bytes / PAGE_SIZE);
    assert_int_equal(host.unrefs, 1); /* the new one's */
}

static void rectangles_go_out_one_by_one(void **state)
{
    assert_int_equal(start_only(), 0);
    done(&gpu.display, (struct rect){ 10, 20, 30, 40 });
    done(&gpu.display, (struct rect){ 0, 0, 800, 600 });
    done(&gpu.display, (struct rect){ 799, 599, 800, 600 });
    assert_int_equal(host.transfers, 3);
    assert_int_equal(host.flushes, 3);
}

static void a_device_that_was_reset_is_set_up_again(void **state)
{
    assert_int_equal(start_only(), 0);
    host.silent = 1;
    done(&gpu.display, (struct rect){ 0, 0, 8, 8 });
    done(&gpu.display, (struct rect){ 0, 0, 8, 8 });
    assert_int_equal(host.shown, host.resource);
    assert_true(host.transfers > 0 && host.flushes > 0);
    host.silent = 1000; /* but not for ever */
    for (unsigned i = 0; i < 100; i++)
        done(&gpu.display, (struct rect){ 0, 0, 8, 8 });
    assert_true(host.silent > 900);
}

static void only_a_change_of_the_window_counts(void **state)
{
    uint32_t event = EVENT_DISPLAY;

    assert_int_equal(start_only(), 0);
    assert_int_equal(set_mode(&gpu.display, (struct mode){ 640, 480 }), 0);
    memcpy(fake.config, &event, 4);
    fake.opened->interrupt(fake.opened);
    assert_int_equal(fake.config[CONFIG_CLEAR], EVENT_DISPLAY);
    work_run();
    assert_int_equal(host.size.width, 640);
}

/* Last: what registers stays. */
static void takes_over_from_its_own_vga_half_only(void **state)
{
    static const struct display_ops ops = { .row = row, .done = done };
    static struct display other = { .name = "other", .ops = &ops,
                                    .width = 64, .height = 64 };

    assert_int_equal(display_register(&other), 0);
    assert_int_equal(virtio_gpu_driver.probe(&dev), 0);
    assert_ptr_equal(display_primary(), &other);
    assert_null(fake.opened);
    boot_screen = &other;
    assert_int_equal(virtio_gpu_driver.probe(&dev), 0);
    assert_ptr_equal(display_primary(), &gpu.display);
    host.window = (struct mode){ 1000, 700 };
    follow(&gpu.changed);
    assert_int_equal(gpu.display.width, 1000);
    assert_int_equal(host.size.height, 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_in_the_hosts_window, fresh),
        cmocka_unit_test_setup(starts_in_the_mode_that_was_named, fresh),
        cmocka_unit_test_setup(starts_without_a_window, fresh),
        cmocka_unit_test_setup(wild_windows_are_not_believed, fresh),
        cmocka_unit_test_setup(scattered_pages_are_named_one_by_one, fresh),
        cmocka_unit_test_setup(a_monitor_that_lies_about_its_length, fresh),
        cmocka_unit_test_setup(each_refusal_is_an_error_and_leaves_nothing,
                               fresh),
        cmocka_unit_test_setup(the_mode_changes_and_the_old_pages_go, fresh),
        cmocka_unit_test_setup(a_change_that_fails_leaves_the_old_mode,
                               fresh),
        cmocka_unit_test_setup(rectangles_go_out_one_by_one, fresh),
        cmocka_unit_test_setup(a_device_that_was_reset_is_set_up_again,
                               fresh),
        cmocka_unit_test_setup(only_a_change_of_the_window_counts, fresh),
        cmocka_unit_test_setup(takes_over_from_its_own_vga_half_only, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
