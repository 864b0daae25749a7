/*
 * test_vmmouse.c - VMware's backdoor as a queue of our own, and the PS/2
 * mouse that rings. Includes the driver, with that queue where the port is.
 */
#define vmware_backdoor kernel_vmware_backdoor
#include "tests/unit/kernel_fake.h"
#include "kernel/cpu.h"
#undef vmware_backdoor

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

static void vmware_backdoor(uint32_t r[4]);

#include "drivers/vmmouse.c"

/* --- the machine --- */

static struct {
    bool is_virtual, has_port, has_mouse, has_pointer, error, endless;
    bool told_id; /* the version is in the queue */
    uint32_t queue[64][4];
    unsigned waiting, taken, calls, enabled;
} host;

static bool (*rings)(const struct input_event *e);

bool cpu_is_virtual(void) { return host.is_virtual; }

bool ps2_on_packet(bool (*bell_of)(const struct input_event *e))
{
    rings = bell_of;
    return host.has_mouse;
}

static void vmware_backdoor(uint32_t r[4])
{
    host.calls++;
    if (!host.has_port) {
        r[0] = UINT32_MAX; /* nothing decodes the port */
        return;
    }
    assert_int_equal(r[0], MAGIC);
    assert_int_equal(r[3], PORT);
    switch (r[2]) {
    case GET_VERSION:
        r[0] = 6;
        r[1] = MAGIC;
        break;
    case COMMAND:
        host.enabled += r[1] == ABSOLUTE;
        if (r[1] == ENABLE) {
            host.error = false;
            host.told_id = host.has_pointer;
        }
        break;
    case GET_STATUS:
        r[0] = host.error ? 0xffff0000
               : host.told_id  ? 1
               : host.endless  ? EVENT_WORDS
               : (host.waiting - host.taken) * EVENT_WORDS;
        break;
    case GET_DATA:
        if (r[1] == 1 && host.told_id) {
            r[0] = VERSION_ID;
            host.told_id = false;
        }
        if (r[1] == EVENT_WORDS && host.taken < host.waiting)
            memcpy(r, host.queue[host.taken++], 4 * sizeof *r);
        break;
    }
}

/* --- what is done and what came of it --- */

static void move(uint32_t flags, uint32_t x, uint32_t y, uint32_t wheel)
{
    uint32_t event[4] = { flags, x, y, wheel };

    memcpy(host.queue[host.waiting++], event, sizeof event);
}

static bool packet(int x, int y)
{
    struct input_event e = { .type = INPUT_POINTER };

    e.pointer.x = x;
    e.pointer.y = y;
    return rings(&e);
}

static void expect_nothing(void) { assert_false(input_waiting()); }

static void expect(bool absolute, int x, int y, int wheel, int buttons)
{
    struct input_event e;

    assert_true(input_next(&e));
    assert_int_equal(e.pointer.absolute, absolute);
    assert_int_equal(e.pointer.x, x);
    assert_int_equal(e.pointer.y, y);
    assert_int_equal(e.pointer.wheel, wheel);
    assert_int_equal(e.pointer.buttons, buttons);
}

static int fresh(void **state)
{
    struct input_event e;

    while (input_next(&e))
        ;
    memset(&host, 0, sizeof host);
    memset(&mouse, 0, sizeof mouse);
    host.is_virtual = host.has_port = host.has_mouse = true;
    host.has_pointer = true;
    rings = NULL;
    return 0;
}

/* --- tests --- */

static void a_real_processor_is_not_asked(void **state)
{
    host.is_virtual = false;
    assert_int_equal(probe(NULL), 0);
    assert_int_equal(host.calls, 0);
    assert_null(rings);
}

static void a_machine_without_the_port(void **state)
{
    host.has_port = false;
    assert_int_equal(probe(NULL), 0);
    assert_null(rings);
}

static void a_port_without_a_pointer(void **state)
{
    host.has_pointer = false;
    assert_int_equal(probe(NULL), -EIO);
    assert_int_equal(host.enabled, 0);
}

static void without_a_mouse_nothing_would_ring(void **state)
{
    host.has_mouse = false;
    assert_int_equal(probe(NULL), -ENODEV);
}

static void places_buttons_and_the_wheel(void **state)
{
    assert_int_equal(probe(NULL), 0);
    move(0, 100, 65534, 0);
    assert_true(packet(1, 0));
    expect(true, 100, 65534, 0, 0);
    move(BUTTON_LEFT | BUTTON_MIDDLE, 101, 70000, 0);
    assert_true(packet(1, 0));
    expect(true, 101, 65535, 0, INPUT_LEFT | INPUT_MIDDLE);
    move(BUTTON_RIGHT, 101, 70000, (uint32_t)-1);
    assert_true(packet(1, 0));
    expect(false, 0, 0, 1, INPUT_RIGHT); /* it has not moved */
    expect_nothing();
}

/* The first packet finds all events, the others only ring. */
static void bells_are_counted(void **state)
{
    assert_int_equal(probe(NULL), 0);
    for (uint32_t i = 1; i <= 5; i++)
        move(0, i, i, 0);
    assert_true(packet(1, 0));
    assert_true(packet(1, 0));
    assert_true(packet(3, 0)); /* added up: there was no room */
    expect(true, 5, 5, 0, 0);
    expect_nothing();
    assert_false(packet(1, 0)); /* now it is the mouse */
}

static void the_mouse_itself_is_heard(void **state)
{
    assert_int_equal(probe(NULL), 0);
    assert_false(packet(-1, 0));
    assert_false(packet(0, 1));
    move(0, 7, 7, 0);
    assert_false(packet(20, -3)); /* its own, and an event as well */
    expect(true, 7, 7, 0, 0);
    assert_true(packet(1, 0));
}

static void steps_in_games(void **state)
{
    assert_int_equal(probe(NULL), 0);
    move(FLAG_RELATIVE | BUTTON_LEFT, (uint32_t)-4, 3, 0);
    assert_true(packet(1, 0));
    expect(false, -4, -3, 0, INPUT_LEFT);
}

static void an_error_starts_it_again(void **state)
{
    assert_int_equal(probe(NULL), 0);
    host.error = true;
    packet(1, 0);
    assert_int_equal(host.enabled, 2);
}

/* It says for ever that there is more: one packet does not hang us. */
static void a_queue_without_an_end(void **state)
{
    unsigned before;

    assert_int_equal(probe(NULL), 0);
    host.endless = true;
    before = host.calls;
    packet(1, 0);
    assert_in_range(host.calls - before, 2, 2 * EVENTS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_real_processor_is_not_asked, fresh),
        cmocka_unit_test_setup(a_machine_without_the_port, fresh),
        cmocka_unit_test_setup(a_port_without_a_pointer, fresh),
        cmocka_unit_test_setup(without_a_mouse_nothing_would_ring, fresh),
        cmocka_unit_test_setup(places_buttons_and_the_wheel, fresh),
        cmocka_unit_test_setup(bells_are_counted, fresh),
        cmocka_unit_test_setup(the_mouse_itself_is_heard, fresh),
        cmocka_unit_test_setup(steps_in_games, fresh),
        cmocka_unit_test_setup(an_error_starts_it_again, fresh),
        cmocka_unit_test_setup(a_queue_without_an_end, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
