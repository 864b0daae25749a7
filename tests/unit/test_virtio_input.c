/*
 * test_virtio_input.c - keyboards and pointers that tell the truth, and one
 * that does not. Includes the driver, to forget its devices.
 */
#include "tests/unit/virtio_fake.h"

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/virtio_input.c"

enum { SYN = EV_SYN, KEY = EV_KEY, REL = EV_REL, ABS = EV_ABS, LED = EV_LED };

/* --- the device --- */

static struct {
    const char *name;
    bool lamps;
    int32_t x[2], y[2]; /* ranges; the same number: no such axis */
    uint8_t size;       /* of every answer, if it lies; 0: it does not */
} device;

static unsigned answer(uint8_t what, uint8_t of_what, uint8_t *to)
{
    switch (what) {
    case 1:
        memcpy(to, device.name, strlen(device.name));
        return (unsigned)strlen(device.name);
    case 0x11:
        to[0] = 7;
        return of_what == LED ? device.lamps : of_what == REL ? 2 : 0;
    case 0x12:
        if (of_what > 1 || device.x[0] == device.x[1])
            return 0;
        memcpy(to, of_what ? device.y : device.x, 8);
        return 20;
    }
    return 0;
}

static void asked(unsigned at)
{
    memset(fake.config + 8, 0, 128);
    fake.config[2] = (uint8_t)answer(fake.config[0], fake.config[1],
                                     fake.config + 8);
    if (device.size)
        fake.config[2] = device.size;
}

static void plug(void)
{
    struct pci_device dev = { 0 };

    fake.written = asked;
    assert_int_equal(virtio_input_driver.probe(&dev), 0);
}

static void tell(uint16_t type, uint16_t code, int32_t value)
{
    struct { uint16_t type, code; int32_t value; } e = { type, code, value };

    assert_true(fake_use(0, &e, sizeof e));
}

static void ring(void) { fake.opened->interrupt(fake.opened); }

static void say(uint16_t type, uint16_t code, int32_t value)
{
    tell(type, code, value);
    ring();
}

static int fresh(void **state)
{
    struct input_event e;

    fake_virtio_reset();
    input_count = 0;
    memset(&device, 0, sizeof device);
    device.name = "Fake";
    fake_log[0] = 0;
    while (input_next(&e))
        ;
    return 0;
}

/* --- what came of it --- */

static void expect_nothing(void)
{
    assert_false(input_waiting());
}

static void expect_key(uint8_t usage, bool down)
{
    struct input_event e;

    assert_true(input_next(&e));
    assert_int_equal(e.type, INPUT_KEY);
    assert_int_equal(e.key.usage, usage);
    assert_int_equal(e.key.down, down);
}

static void expect_pointer(bool absolute, int x, int y, int wheel,
                           int buttons)
{
    struct input_event e;

    assert_true(input_next(&e));
    assert_int_equal(e.type, INPUT_POINTER);
    assert_int_equal(e.pointer.absolute, absolute);
    assert_int_equal(e.pointer.x, x);
    assert_int_equal(e.pointer.y, y);
    assert_int_equal(e.pointer.wheel, wheel);
    assert_int_equal(e.pointer.buttons, buttons);
    expect_nothing();
}

/* --- tests --- */

static void keys_near_and_far(void **state)
{
    plug();
    say(KEY, 30, 1);
    say(KEY, 30, 0);
    say(KEY, 96, 1);
    say(KEY, 96, 0);
    say(KEY, 125, 1);
    say(KEY, 125, 0);
    expect_key(0x04, true);
    expect_key(0x04, false);
    expect_key(KEY_PAD_ENTER, true);
    expect_key(KEY_PAD_ENTER, false);
    expect_key(KEY_LEFT_GUI, true);
    expect_key(KEY_LEFT_GUI, false);
    expect_nothing();
}

/* The device's own repeats are not heard beside ours. */
static void a_key_is_pressed_once(void **state)
{
    plug();
    say(KEY, 30, 1);
    say(KEY, 30, 2);
    say(KEY, 30, 1);
    expect_key(0x04, true);
    expect_nothing();
    fake_now += 600000;
    work_run();
    expect_key(0x04, true);
    say(KEY, 30, 0);
    expect_key(0x04, false);
    fake_now += 600000;
    work_run();
    expect_nothing();
}

static void keys_that_there_are_not(void **state)
{
    plug();
    for (unsigned code = 0; code < 0x10000; code += code < 0x400 ? 1 : 97)
        if (!(code >= 0x110 && code < 0x152))
            say(KEY, (uint16_t)code, 0);
    say(KEY, 0x7f + 1, 1);
    say(0x7777, 3, 1);
    say(SYN, 0, 0);
    expect_nothing();
}

static void steps_add_up_until_the_end(void **state)
{
    plug();
    tell(REL, 0, 5);
    tell(REL, 1, -3);
    tell(REL, 0, 2);
    tell(REL, 8, 1);
    tell(KEY, 0x110, 1);
    ring();
    expect_nothing();
    say(SYN, 0, 0);
    expect_pointer(false, 7, -3, 1, INPUT_LEFT);
    say(SYN, 0, 0);
    expect_nothing();
    say(KEY, 0x112, 1);
    say(SYN, 0, 0);
    expect_pointer(false, 0, 0, 0, INPUT_LEFT | INPUT_MIDDLE);
}

static void wild_steps_do_not_overflow(void **state)
{
    struct input_event e;

    plug();
    for (int i = 0; i < 10; i++)
        say(REL, 0, INT32_MAX);
    for (int i = 0; i < 10; i++)
        say(REL, 1, INT32_MIN);
    say(SYN, 0, 0);
    assert_true(input_next(&e));
    assert_true(e.pointer.x > 0 && e.pointer.y < 0);
}

static void a_tablet_tells_places(void **state)
{
    device.x[1] = device.y[1] = 0x7fff;
    plug();
    say(ABS, 0, 0x7fff);
    say(ABS, 1, 0x4000);
    say(SYN, 0, 0);
    expect_pointer(true, 65535, 32768, 0, 0);
    say(ABS, 1, 0); /* the other axis stays */
    say(SYN, 0, 0);
    expect_pointer(true, 65535, 0, 0, 0);
    say(KEY, 0x110, 1);
    say(SYN, 0, 0);
    expect_pointer(false, 0, 0, 0, INPUT_LEFT);
}

static void a_range_may_be_odd(void **state)
{
    device.x[0] = INT32_MIN;
    device.x[1] = INT32_MAX;
    device.y[0] = -10;
    device.y[1] = 10;
    plug();
    say(ABS, 0, 0);
    say(ABS, 1, 0);
    say(SYN, 0, 0);
    expect_pointer(true, 32767, 32767, 0, 0);
    say(ABS, 0, INT32_MAX);
    say(ABS, 1, 4711);
    say(ABS, 2, 1);
    say(SYN, 0, 0);
    expect_pointer(true, 65535, 65535, 0, 0);
}

static void a_range_upside_down_is_none(void **state)
{
    device.x[0] = device.y[0] = 100;
    device.x[1] = device.y[1] = -100;
    plug();
    say(ABS, 0, 3);
    say(SYN, 0, 0);
    expect_nothing();
}

static void lamps_follow(void **state)
{
    static const uint8_t none;
    struct { uint16_t type, code; int32_t value; } *e;

    device.lamps = true;
    input_set_leds(0);
    plug();
    input_set_leds(INPUT_LED_CAPS);
    work_run(); /* the device still has the first ones */
    for (int i = 0; i < 4; i++)
        assert_true(fake_use(1, &none, 0));
    ring();
    work_run();
    e = fake_memory(fake.queues[1].held[1].phys);
    assert_int_equal(e->type, LED);
    assert_int_equal(e->code, 1);
    assert_int_equal(e->value, 1);
    e = fake_memory(fake.queues[1].held[0].phys);
    assert_int_equal(e->value, 0);
    e = fake_memory(fake.queues[1].held[3].phys);
    assert_int_equal(e->type, SYN);
}

/* Answers of other lengths than the question allows. */
static void lies_about_lengths(void **state)
{
    device.x[1] = device.y[1] = 10;
    device.size = 255;
    plug();
    say(ABS, 0, 3);
    say(SYN, 0, 0);
    expect_nothing();
    device.size = 3; /* half an axis */
    plug();
    say(ABS, 0, 3);
    say(SYN, 0, 0);
    expect_nothing();
}

static void a_small_configuration_answers_nothing(void **state)
{
    fake.config_bytes = 8;
    device.x[1] = device.y[1] = 10;
    plug();
    assert_non_null(strstr(fake_log, "without a name"));
}

static void a_name_prints_as_it_can(void **state)
{
    device.name = "a\x1b[2Jb\xff";
    plug();
    assert_non_null(strstr(fake_log, "input: a?[2Jb?, "));
}

static void short_and_many_events(void **state)
{
    fake.queue_size = 4;
    plug();
    assert_true(fake_use(0, "\1\0\x1e\0\1", 5));
    ring();
    expect_nothing(); /* half an event */
    for (int i = 0; i < 1000; i++) {
        tell(KEY, 30, 1);
        tell(KEY, 30, 0);
        ring();
        expect_key(4, true);
        expect_key(4, false);
    }
    expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keys_near_and_far, fresh),
        cmocka_unit_test_setup(a_key_is_pressed_once, fresh),
        cmocka_unit_test_setup(keys_that_there_are_not, fresh),
        cmocka_unit_test_setup(steps_add_up_until_the_end, fresh),
        cmocka_unit_test_setup(wild_steps_do_not_overflow, fresh),
        cmocka_unit_test_setup(a_tablet_tells_places, fresh),
        cmocka_unit_test_setup(a_range_may_be_odd, fresh),
        cmocka_unit_test_setup(a_range_upside_down_is_none, fresh),
        cmocka_unit_test_setup(lies_about_lengths, fresh),
        cmocka_unit_test_setup(a_small_configuration_answers_nothing, fresh),
        cmocka_unit_test_setup(a_name_prints_as_it_can, fresh),
        cmocka_unit_test_setup(short_and_many_events, fresh),
        cmocka_unit_test_setup(lamps_follow, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
