/*
 * test_virtio.c - virtio's registers and queues in memory of our own, with a
 * device that counts, lies and falls silent. Includes the code to see the
 * rings as the device does.
 */
#include "tests/unit/pci_fake.h"

#include <cmocka.h>

#include "drivers/virtio.c"

enum { BAR_BYTES = 0x1000, COMMON = 0, NOTIFY = 0x100, ISR = 0x200,
       CONFIG = 0x300, CAP_LENGTH = 20, FIRST_CAP = 0x40 };

static _Alignas(4096) uint8_t bar[BAR_BYTES];
static struct { uint8_t type; uint32_t offset, length, multiplier; } caps[8];
static unsigned cap_count, rings;
static struct virtio_device v;
static struct virtio_common *const common = (void *)bar;

uint8_t pci_read8(const struct pci_device *d, unsigned reg)
{
    unsigned field = (reg - FIRST_CAP) % CAP_LENGTH;

    return field == 3 ? caps[(reg - FIRST_CAP) / CAP_LENGTH].type : 0;
}
uint32_t pci_read32(const struct pci_device *d, unsigned reg)
{
    unsigned i = (reg - FIRST_CAP) / CAP_LENGTH;

    switch ((reg - FIRST_CAP) % CAP_LENGTH) {
    case 8: return caps[i].offset;
    case 12: return caps[i].length;
    }
    return caps[i].multiplier;
}
unsigned pci_find_capability(const struct pci_device *d, uint8_t id,
                             unsigned after)
{
    unsigned i = after ? (after - FIRST_CAP) / CAP_LENGTH + 1 : 0;

    return i < cap_count ? FIRST_CAP + i * CAP_LENGTH : 0;
}

static void add_cap(uint8_t type, uint32_t offset, uint32_t length,
                    uint32_t multiplier)
{
    caps[cap_count].type = type;
    caps[cap_count].offset = offset;
    caps[cap_count].length = length;
    caps[cap_count++].multiplier = multiplier;
}

static int fresh(void **state)
{
    memset(bar, 0, sizeof bar);
    fake_pci_reset(bar, sizeof bar);
    memset(&v, 0, sizeof v);
    cap_count = rings = pci_silenced = 0;
    fake_dma_used = 0;
    fake_hardware = NULL;
    fake_log[0] = 0;
    add_cap(1, COMMON, 56, 0);
    add_cap(2, NOTIFY, 8, 4);
    add_cap(3, ISR, 1, 0);
    add_cap(4, CONFIG, 16, 0);
    common->device_feature = 0x25; /* version 1 among them */
    common->queue_size = 256;
    common->queue_notify_off = 1;
    return 0;
}

static int open_queues(unsigned count)
{
    return virtio_open(&v, NULL, 0x24, 0, count);
}

static void use(struct virtio_queue *q, uint32_t id, uint32_t bytes)
{
    unsigned at = q->rings->used.index % q->size;

    q->rings->used.ring[at].id = id;
    q->rings->used.ring[at].length = bytes;
    q->rings->used.index++;
}

/* --- starting --- */

static void starts_with_what_both_want(void **state)
{
    assert_int_equal(open_queues(2), 0);
    assert_int_equal(v.features, 0x24);
    assert_int_equal(common->status, 15);
    assert_int_equal(v.queues[0].size, VIRTIO_SLOTS);
    assert_int_equal(v.queues[1].number, 1);
    assert_int_equal(common->queue_size, VIRTIO_SLOTS);
    assert_int_equal(common->msix_config, 0xffff);
    assert_true(common->queue_desc == v.queues[1].phys);
    assert_ptr_equal(v.queues[1].notify, bar + NOTIFY + 4);
}

static void small_queues_will_do(void **state)
{
    common->queue_size = 63;
    assert_int_equal(open_queues(1), 0);
    assert_int_equal(v.queues[0].size, 32);
}

static void tiny_queues_will_not(void **state)
{
    common->queue_size = 3;
    assert_int_equal(open_queues(1), -ENODEV);
    assert_true(common->status & 128);
}

static void an_old_device_is_refused(void **state)
{
    common->device_feature = 0x24;
    assert_int_equal(open_queues(1), -ENODEV);
}

static void registers_beyond_the_bar_are_none(void **state)
{
    caps[0].offset = BAR_BYTES - 55;
    assert_int_equal(open_queues(1), -ENODEV);
    fresh(state);
    caps[3].length = 7;
    assert_int_equal(open_queues(1), -ENODEV);
    fresh(state);
    caps[1].offset = 0xffffffff;
    assert_int_equal(open_queues(1), -ENODEV);
    fresh(state);
    caps[1].multiplier = 0xffffffff; /* a bell beyond its registers */
    assert_int_equal(open_queues(1), -ENODEV);
}

static void configuration_ends_where_it_says(void **state)
{
    assert_int_equal(open_queues(1), 0);
    memset(bar + CONFIG, 0x11, 17);
    assert_int_equal(virtio_config8(&v, 15), 0x11);
    assert_int_equal(virtio_config8(&v, 16), 0);
    assert_int_equal(virtio_config32(&v, 12), 0x11111111);
    assert_int_equal(virtio_config32(&v, 13), 0);
    assert_int_equal(virtio_config32(&v, 0xffffffff), 0);
    virtio_set_config8(&v, 16, 5);
    virtio_set_config32(&v, 14, 5);
    assert_int_equal(bar[CONFIG + 16], 0x11);
}

/* --- requests --- */

static void serve(void)
{
    struct virtio_queue *q = &v.queues[0];

    while ((uint16_t)(q->rings->used.index) != q->rings->available.index) {
        rings++;
        use(q, 0, 0);
    }
}

static void requests_go_round_the_ring(void **state)
{
    const struct virtio_part parts[] = { { 1, 2, false }, { 3, 4, true } };

    assert_int_equal(open_queues(1), 0);
    fake_hardware = serve;
    for (unsigned i = 0; i < 70000; i++)
        assert_int_equal(virtio_run(&v, parts, 2, 1000), 0);
    assert_int_equal(rings, 70000);
    assert_int_equal(v.queues[0].rings->desc[0].flags, 1);
    assert_int_equal(v.queues[0].rings->desc[0].next, 1);
    assert_int_equal(v.queues[0].rings->desc[1].flags, 2);
}

static unsigned looks;

/* Answers only who wants to be woken. */
static void serve_late(void)
{
    looks++;
    if (v.queues[0].rings->available.flags == 0)
        serve();
}

static void only_who_sleeps_wants_an_interrupt(void **state)
{
    const struct virtio_part part = { 1, 2, false };

    assert_int_equal(open_queues(1), 0);
    fake_hardware = serve_late;
    for (unsigned i = 1; i < 4; i++) {
        virtio_hand_over(&v, &part, 1);
        assert_int_equal(v.queues[0].rings->available.flags, 1);
        looks = 0;
        assert_int_equal(virtio_wait(&v, 1000), 0);
        assert_true(looks > 1);
        assert_int_equal(rings, i);
    }
}

static void a_silent_device_is_started_again(void **state)
{
    const struct virtio_part part = { 1, 2, false };

    assert_int_equal(open_queues(1), 0);
    assert_int_equal(virtio_run(&v, &part, 1, 1000), -ETIMEDOUT);
    assert_non_null(strstr(fake_log, "started again"));
    assert_int_equal(pci_silenced, 0);
    fake_hardware = serve;
    assert_int_equal(virtio_run(&v, &part, 1, 1000), 0);
    fake_hardware = NULL;
    common->device_feature = 0; /* it comes back as something else */
    assert_int_equal(virtio_run(&v, &part, 1, 1000), -ETIMEDOUT);
    assert_int_equal(virtio_run(&v, &part, 1, 1000), -EIO);
    assert_int_equal(pci_silenced, 1); /* it reaches no memory any more */
}

/* --- buffers --- */

static void buffers_come_back_by_their_number(void **state)
{
    struct virtio_queue *q = &v.queues[1];
    const struct virtio_part part = { 0x1234, 8, true };
    uint32_t bytes;

    assert_int_equal(open_queues(2), 0);
    assert_int_equal(virtio_taken(q, &bytes), -1);
    virtio_offer(&v, q, 5, &part);
    virtio_offer(&v, q, q->size, &part); /* there is no such slot */
    assert_int_equal(q->rings->available.index, 1);
    assert_int_equal(q->rings->available.ring[0], 5);
    assert_true(q->rings->desc[5].address == 0x1234);
    assert_int_equal(q->rings->desc[5].flags, 2);
    use(q, 5, 7);
    assert_int_equal(virtio_taken(q, &bytes), 5);
    assert_int_equal(bytes, 7);
    assert_int_equal(virtio_taken(q, &bytes), -1);
}

static void numbers_that_cannot_be_are_passed_over(void **state)
{
    struct virtio_queue *q = &v.queues[0];
    uint32_t bytes;

    assert_int_equal(open_queues(1), 0);
    use(q, VIRTIO_SLOTS, 1);
    use(q, 0xffffffff, 1);
    use(q, 3, 9);
    assert_int_equal(virtio_taken(q, &bytes), 3);
    assert_int_equal(virtio_taken(q, &bytes), -1);
}

static unsigned heard;
static void hear(struct virtio_device *d) { heard++; }

static void the_driver_hears_the_interrupt(void **state)
{
    v.interrupt = hear;
    assert_int_equal(open_queues(1), 0);
    assert_int_equal(common->msix_config, 0);
    heard = 0;
    fake_pci_interrupt();
    assert_int_equal(heard, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_with_what_both_want, fresh),
        cmocka_unit_test_setup(small_queues_will_do, fresh),
        cmocka_unit_test_setup(tiny_queues_will_not, fresh),
        cmocka_unit_test_setup(an_old_device_is_refused, fresh),
        cmocka_unit_test_setup(registers_beyond_the_bar_are_none, fresh),
        cmocka_unit_test_setup(configuration_ends_where_it_says, fresh),
        cmocka_unit_test_setup(requests_go_round_the_ring, fresh),
        cmocka_unit_test_setup(only_who_sleeps_wants_an_interrupt, fresh),
        cmocka_unit_test_setup(a_silent_device_is_started_again, fresh),
        cmocka_unit_test_setup(buffers_come_back_by_their_number, fresh),
        cmocka_unit_test_setup(numbers_that_cannot_be_are_passed_over, fresh),
        cmocka_unit_test_setup(the_driver_hears_the_interrupt, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
