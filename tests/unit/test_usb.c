/*
 * test_usb.c - enumeration, keyboards and pointers, sticks: the core and the
 * class drivers against devices that behave, err and lie.
 */
#include "tests/unit/usb_fake.h"

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/keymap.h"
#include "drivers/scsi.h"
#include "drivers/usb/hid_report.h"
#include "drivers/usb/usb_descriptor.h"

static struct fake_device hid;
static struct fake_stick stick, stick2;

/* Boot-style keyboard, 8 bytes, lamps as an output report. */
static const uint8_t keyboard_report[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7,
    0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01,
    0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01,
    0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06,
    0x75, 0x08, 0x15, 0x00, 0x25, 0xff, 0x05, 0x07, 0x19, 0x00, 0x29, 0xff,
    0x81, 0x00, 0xc0,
};
/* Report 1: modifiers and a bit for each of 120 keys. Report 2: a mouse with
 * 16-bit axes, 8 buttons, wheel and tilt. */
static const uint8_t composite_report[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x85, 0x01, 0x05, 0x07, 0x19, 0xe0,
    0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
    0x19, 0x00, 0x29, 0x77, 0x95, 0x78, 0x81, 0x02, 0xc0,
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x85, 0x02, 0x09, 0x01, 0xa1, 0x00,
    0x05, 0x09, 0x19, 0x01, 0x29, 0x08, 0x15, 0x00, 0x25, 0x01, 0x95, 0x08,
    0x75, 0x01, 0x81, 0x02, 0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x16, 0x01,
    0x80, 0x26, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x06, 0x09, 0x38,
    0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06, 0x05, 0x0c,
    0x0a, 0x38, 0x02, 0x81, 0x06, 0xc0, 0xc0,
};
static const uint8_t tablet_report[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x05, 0x09,
    0x19, 0x01, 0x29, 0x03, 0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01,
    0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01, 0x05, 0x01, 0x09, 0x30,
    0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f,
    0x75, 0x10, 0x95, 0x02, 0x81, 0x02, 0xc0, 0xc0,
};

static void expect_key(unsigned usage, bool down)
{
    struct input_event e;

    assert_true(input_next(&e));
    assert_int_equal(e.type, INPUT_KEY);
    assert_int_equal(e.key.usage, usage);
    assert_int_equal(e.key.down, down);
}

static struct input_event expect_pointer(void)
{
    struct input_event e;

    assert_true(input_next(&e));
    assert_int_equal(e.type, INPUT_POINTER);
    return e;
}

static void expect_nothing(void **state)
{
    struct input_event e;

    (void)state;
    assert_false(input_next(&e));
}

static int keep_lamps(struct fake_device *f, const struct usb_setup *s,
                      void *data)
{
    if (s->request == 9)
        memcpy(f->lamps, data, s->length);
    if (s->request == 11 && s->value == 0)
        f->boot_protocol++;
    return s->length;
}

static void unplug(void) { fake_plug(NULL); }

/* --- keyboards and pointers --- */

static void a_keyboard_reports_keys(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    hid.control = keep_lamps;
    fake_plug(&hid);
    assert_int_equal(hid.configured, 1);
    fake_say(&hid, "\x02\0\x04\0\0\0\0\0", 8); /* Shift and a, at once */
    expect_key(KEY_LEFT_SHIFT, true);
    expect_key(4, true);
    fake_say(&hid, "\x02\0\x04\x05\0\0\0\0", 8);
    expect_key(5, true);
    fake_say(&hid, "\0\0\0\0\0\0\0\0", 8);
    expect_key(4, false);
    expect_key(5, false);
    expect_key(KEY_LEFT_SHIFT, false);
    expect_nothing(state);
    unplug();
}

static void a_keyboard_that_lost_count_says_nothing(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    fake_plug(&hid);
    fake_say(&hid, "\0\0\x04\0\0\0\0\0", 8);
    expect_key(4, true);
    fake_say(&hid, "\0\0\1\1\1\1\1\1", 8);
    expect_nothing(state);
    unplug();
    expect_key(4, false); /* and pulling it lets go of what was held */
    expect_nothing(state);
}

static void a_held_key_repeats_until_it_is_let_go(void **state)
{
    unsigned n = 0;
    struct input_event e;

    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    fake_plug(&hid);
    fake_say(&hid, "\0\0\x04\0\0\0\0\0", 8);
    expect_key(4, true);
    fake_now += 400000;
    work_run();
    expect_nothing(state);
    for (int i = 0; i < 100; i++) {
        fake_now += 10000;
        work_run();
    }
    while (input_next(&e)) {
        assert_int_equal(e.key.usage, 4);
        assert_true(e.key.down);
        n++;
    }
    assert_in_range(n, 20, 32);
    fake_say(&hid, "\0\0\0\0\0\0\0\0", 8);
    expect_key(4, false);
    fake_settle();
    expect_nothing(state);
    unplug();
}

static void lamps_follow_the_locks(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    hid.control = keep_lamps;
    input_set_leds(INPUT_LED_NUM);
    fake_plug(&hid);
    assert_int_equal(hid.lamps[0], 1);
    input_set_leds(INPUT_LED_NUM | INPUT_LED_CAPS);
    work_run();
    assert_int_equal(hid.lamps[0], 3);
    input_set_leds(INPUT_LED_NUM);
    work_run();
    assert_int_equal(hid.lamps[0], 1);
    unplug();
}

static void long_bitmap_reports_and_a_mouse_in_one(void **state)
{
    uint8_t keys[17] = { 1 }, mouse[8] = { 2 };
    struct input_event e;

    fake_hid(&hid, 0, 0, composite_report, sizeof composite_report);
    fake_plug(&hid);
    for (unsigned k = 4; k < 20; k++) /* sixteen at once */
        keys[2 + k / 8] |= 1u << k % 8;
    fake_say(&hid, keys, sizeof keys);
    for (unsigned k = 20; k-- > 4;)
        expect_key(k, true);
    memcpy(mouse + 1, "\x12\xff\x7f\x01\x80\xff\x01", 7);
    fake_say(&hid, mouse, sizeof mouse);
    e = expect_pointer();
    assert_false(e.pointer.absolute);
    assert_int_equal(e.pointer.x, 32767);
    assert_int_equal(e.pointer.y, -32767);
    assert_int_equal(e.pointer.wheel, -1);
    assert_int_equal(e.pointer.wheel_x, 1);
    assert_int_equal(e.pointer.buttons, INPUT_RIGHT | INPUT_FORWARD);
    expect_nothing(state);
    unplug();
    while (input_next(&e))
        ;
}

static void a_tablet_is_absolute(void **state)
{
    struct input_event e;

    fake_hid(&hid, 0, 0, tablet_report, sizeof tablet_report);
    fake_plug(&hid);
    fake_say(&hid, "\x01\xff\x7f\x00\x00", 5);
    e = expect_pointer();
    assert_true(e.pointer.absolute);
    assert_int_equal(e.pointer.x, 65535);
    assert_int_equal(e.pointer.y, 0);
    assert_int_equal(e.pointer.buttons, INPUT_LEFT);
    fake_say(&hid, "\x00\xff\xff\xff\x3f", 5); /* out of its own range */
    e = expect_pointer();
    assert_int_equal(e.pointer.x, 65535);
    assert_int_equal(e.pointer.y, 0x7ffe); /* half way, rounded down */
    unplug();
    expect_nothing(state);
}

static void a_bad_report_descriptor_means_boot_protocol(void **state)
{
    static const uint8_t bad[] = { 0x05, 0x07, 0x19, 0xe0, 0x2f };

    fake_hid(&hid, 1, 1, bad, sizeof bad);
    hid.control = keep_lamps;
    fake_plug(&hid);
    assert_int_equal(hid.boot_protocol, 1);
    assert_non_null(strstr(fake_log, "boot protocol"));
    fake_say(&hid, "\0\0\x04\0\0\0\0\0", 8);
    expect_key(4, true);
    unplug();
    expect_key(4, false);
}

static void short_and_empty_reports_are_harmless(void **state)
{
    struct input_event e;

    fake_hid(&hid, 0, 0, composite_report, sizeof composite_report);
    fake_plug(&hid);
    fake_say(&hid, "", 0);
    fake_say(&hid, "\x01", 1);
    fake_say(&hid, "\x02", 1);
    fake_say(&hid, "\x07\xff\xff", 3);
    expect_nothing(state);
    fake_say(&hid, "\x02\x01", 2);
    e = expect_pointer();
    assert_int_equal(e.pointer.buttons, INPUT_LEFT);
    unplug();
    expect_pointer();
}

static void a_failing_endpoint_is_started_again(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    fake_plug(&hid);
    hid.hear(hid.hear_arg, -EPIPE);
    hid.hear = NULL;
    fake_settle();
    assert_int_equal(hid.clear_halts, 1);
    assert_non_null(hid.hear);
    unplug();
}

/* --- enumeration --- */

static void lying_lengths_are_refused_or_cut(void **state)
{
    struct usb_device d = { .speed = USB_HIGH };
    uint8_t c[64] = { 9, 2, 255, 255, 1, 1, 0, 0x80, 50 };

    assert_int_equal(usb_parse_config(&d, c, 9), -EINVAL);
    memcpy(c + 9, "\x09\x04\0\0\1\3\1\1\0", 9);
    memcpy(c + 18, "\xff\x05\x81\3\x08\0\x0a", 7); /* longer than all */
    assert_int_equal(usb_parse_config(&d, c, sizeof c), 0);
    assert_int_equal(d.interfaces[0].endpoint_count, 0);
    memcpy(c + 18, "\x00\x05\x81\3\x08\0\x0a", 7); /* no length: no loop */
    assert_int_equal(usb_parse_config(&d, c, sizeof c), 0);
    memcpy(c + 18, "\x07\x05\x80\3\x08\0\x0a", 7); /* endpoint 0 */
    assert_int_equal(usb_parse_config(&d, c, 25), 0);
    assert_int_equal(d.interfaces[0].endpoint_count, 0);
    memcpy(c + 18, "\x07\x05\x81\3\x08\0\x0a\x07\x05\x81\3\x08\0\x0a", 14);
    assert_int_equal(usb_parse_config(&d, c, 32), 0);
    assert_int_equal(d.interfaces[0].endpoint_count, 1); /* not twice */
    assert_int_equal(usb_parse_config_length(c, 8), -EINVAL);
    assert_int_equal(usb_parse_device(&d, c, sizeof c), -EINVAL);
}

static void too_many_of_everything(void **state)
{
    struct usb_device d = { .speed = USB_HIGH };
    struct fake_device f;

    fake_set_device(&f, USB_HIGH);
    for (unsigned i = 0; i < 20; i++) {
        FAKE_ADD(&f, 9, 4, (uint8_t)i, 0, 6, 3, 1, 1, 0);
        for (unsigned e = 0; e < 2; e++)
            FAKE_ADD(&f, 7, 5, (uint8_t)(0x81 + (2 * i + e) % 15), 3, 8, 0,
                     1);
    }
    assert_int_equal(usb_parse_config(&d, f.config, f.config_bytes), 0);
    assert_int_equal(d.interface_count, USB_INTERFACES);
}

static int refuse(struct fake_device *f, uint8_t *b, int n, int room)
{
    return -EPIPE;
}

static void a_device_that_refuses_everything_is_given_up(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    hid.spoil = refuse;
    fake_plug(&hid);
    assert_non_null(strstr(fake_log, "does not work"));
    assert_non_null(strstr(fake_log, "given up"));
    assert_false(usb_busy());
    assert_int_equal(fake_open, 0);
    unplug();
    hid.spoil = NULL;
    fake_plug(&hid); /* plugged in again it gets another chance */
    assert_int_equal(fake_open, 1);
    unplug();
    assert_int_equal(fake_open, 0);
}

/* Interrupt handlers find out, and these never log. */
static void a_controller_that_dies_is_told_of_later(void **state)
{
    fake_hid(&hid, 1, 1, keyboard_report, sizeof keyboard_report);
    fake_plug(&hid);
    assert_int_equal(fake_open, 1);
    usb_hub_died(&controller.root, "has gone");
    assert_null(strstr(fake_log, "has gone"));
    work_run();
    assert_non_null(strstr(fake_log, "fake0: the controller has gone"));
    assert_int_equal(fake_open, 0);
    fake_log[0] = 0;
    usb_hub_died(&controller.root, "has gone");
    work_run();
    assert_null(strstr(fake_log, "has gone"));
    controller.root.death = NULL; /* for the tests that follow */
    controller.root.ports = 1;
}

/* --- sticks --- */

static struct block_device *disk(const char *name)
{
    struct block_device *b = block_find(name);

    assert_non_null(b);
    return b;
}

static void a_stick_is_read_and_written(void **state)
{
    static uint8_t out[300 * 512], in[300 * 512];
    struct block_device *b;

    fake_stick_init(&stick, 2048, 512, "S1");
    fake_plug(&stick.device);
    b = disk("usb0");
    assert_string_equal(b->model, "FAKE STICK");
    assert_int_equal(b->sectors, 2048);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(block_write(b, 100, 300, out), 0);
    assert_int_equal(stick.writes, 2); /* 240 sectors a command */
    assert_int_equal(block_read(b, 100, 300, in), 0);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(block_flush(b), 0);
    assert_int_equal(stick.flushes, 1);
    assert_int_equal(block_read(b, 2040, 9, in), -EINVAL);
}

static void attention_after_a_reset_is_passed_over(void **state)
{
    uint8_t bytes[512] = "attention";

    memcpy(stick.sense, "\x06\x29", 3);
    assert_int_equal(block_write(disk("usb0"), 7, 1, bytes), 0);
    assert_memory_equal(stick.bytes + 7 * 512, bytes, 512);
}

static void a_stall_in_the_data_is_cleared(void **state)
{
    uint8_t bytes[512] = "stalled", back[512];

    stick.stall_data = 1;
    assert_int_equal(block_write(disk("usb0"), 8, 1, bytes), 0);
    stick.stall_data = 1;
    assert_int_equal(block_read(disk("usb0"), 8, 1, back), 0);
    assert_memory_equal(back, bytes, 512);
}

static void a_wrong_status_leads_to_a_reset(void **state)
{
    uint8_t bytes[512] = "phase error", back[512];
    unsigned resets = stick.resets;

    stick.bad_status = 1;
    assert_int_equal(block_write(disk("usb0"), 9, 1, bytes), 0);
    assert_int_equal(stick.resets, resets + 1);
    assert_int_equal(block_read(disk("usb0"), 9, 1, back), 0);
    assert_memory_equal(back, bytes, 512);
}

static void a_wrong_count_of_bytes_sent_does_not_matter(void **state)
{
    uint8_t bytes[512] = "counted", back[512];

    stick.bad_residue = true;
    assert_int_equal(block_write(disk("usb0"), 9, 1, bytes), 0);
    assert_int_equal(block_read(disk("usb0"), 9, 1, back), 0);
    assert_memory_equal(back, bytes, 512);
    stick.bad_residue = false;
}

static void a_stick_that_stops_answering_is_an_error(void **state)
{
    uint8_t bytes[512];

    stick.dead = 100;
    assert_int_equal(block_read(disk("usb0"), 9, 1, bytes), -ETIMEDOUT);
    stick.dead = 0;
    assert_int_equal(block_read(disk("usb0"), 9, 1, bytes), 0);
}

static void a_medium_error_is_an_error_at_once(void **state)
{
    uint8_t bytes[512];

    memcpy(stick.sense, "\x03\x11", 3);
    assert_int_equal(block_read(disk("usb0"), 9, 1, bytes), -EIO);
    assert_int_equal(block_read(disk("usb0"), 9, 1, bytes), 0);
}

static void a_stick_without_a_cache_needs_no_flush(void **state)
{
    stick.no_flush = true;
    assert_int_equal(block_flush(disk("usb0")), 0);
    assert_int_equal(block_flush(disk("usb0")), 0);
}

static void an_exchanged_medium_is_not_written_to(void **state)
{
    uint8_t bytes[512] = "not here", before[512];

    memcpy(before, stick.bytes, 512);
    memcpy(stick.sense, "\x06\x28", 3);
    assert_int_equal(block_write(disk("usb0"), 0, 1, bytes), -ENODEV);
    assert_int_equal(block_write(disk("usb0"), 0, 1, bytes), -ENODEV);
    assert_memory_equal(stick.bytes, before, 512);
}

static void a_pulled_stick_fails_and_comes_back(void **state)
{
    struct block_device *b = disk("usb0");
    uint8_t bytes[512] = "back", in[512];

    unplug();
    assert_true(block_gone(b));
    assert_int_equal(block_write(b, 3, 1, bytes), -ENODEV);
    fake_plug(&stick.device);
    assert_false(block_gone(b));
    assert_int_equal(fake_disks_back, 1);
    assert_int_equal(block_write(b, 3, 1, bytes), 0);
    assert_int_equal(block_read(b, 3, 1, in), 0);
    assert_memory_equal(in, bytes, 512);
    unplug();
}

static void a_stick_of_another_number_or_size_is_another(void **state)
{
    fake_stick_init(&stick2, 2048, 512, "S2");
    fake_plug(&stick2.device);
    assert_true(block_gone(disk("usb0")));
    assert_false(block_gone(disk("usb1")));
    unplug();
    free(stick2.bytes);
    fake_stick_init(&stick2, 4096, 512, "S1");
    fake_plug(&stick2.device);
    assert_true(block_gone(disk("usb0")));
    unplug();
    free(stick2.bytes);
}

static void protected_and_large_sectors(void **state)
{
    uint8_t bytes[4096];

    fake_stick_init(&stick2, 64, 4096, "S3");
    stick2.protected_ = true;
    fake_plug(&stick2.device);
    assert_int_equal(disk("usb2")->sector_size, 4096);
    assert_int_equal(block_write(disk("usb2"), 0, 1, bytes), -EROFS);
    assert_int_equal(block_read(disk("usb2"), 63, 1, bytes), 0);
    unplug();
    free(stick2.bytes);
    free(stick.bytes);
}

/* --- SCSI answers --- */

static void capacities(void **state)
{
    struct scsi_geometry g = { 0 };
    uint8_t b[32] = { 0, 0, 0, 7, 0, 0, 2, 0 };

    assert_int_equal(scsi_parse_capacity10(&g, b, 8), 0);
    assert_int_equal(g.sectors, 8);
    assert_int_equal(scsi_parse_capacity10(&g, b, 7), -EINVAL);
    b[6] = 0; /* sectors of 0 bytes */
    assert_int_equal(scsi_parse_capacity10(&g, b, 8), -EINVAL);
    b[6] = 3; /* of 768 */
    assert_int_equal(scsi_parse_capacity10(&g, b, 8), -EINVAL);
    memset(b, 0xff, 4);
    assert_int_equal(scsi_parse_capacity10(&g, b, 8), 1);
    memset(b, 0xff, 8);
    memcpy(b + 8, "\0\0\2\0", 4);
    assert_int_equal(scsi_parse_capacity16(&g, b, 32), -EINVAL);
    memcpy(b, "\0\0\0\1\0\0\0\0", 8);
    assert_int_equal(scsi_parse_capacity16(&g, b, 32), 0);
    assert_int_equal(g.sectors, 0x100000001);
}

static void inquiries_and_senses(void **state)
{
    struct scsi_geometry g;
    struct scsi_sense s;
    uint8_t b[36];

    memset(b, 0xff, sizeof b);
    assert_int_equal(scsi_parse_inquiry(&g, b, 36), -ENODEV);
    b[0] = 0;
    assert_int_equal(scsi_parse_inquiry(&g, b, 36), 0);
    assert_string_equal(g.model, "");
    assert_int_equal(scsi_parse_inquiry(&g, b, 4), -ENODEV);
    assert_false(scsi_parse_sense(&s, b, 0));
    assert_false(scsi_parse_sense(&s, (uint8_t[]){ 0x70, 0 }, 2));
    assert_true(scsi_parse_sense(&s, (uint8_t[]){ 0x72, 6, 0x29, 1 }, 4));
    assert_int_equal(s.key, SENSE_ATTENTION);
    assert_int_equal(s.code, 0x29);
}

static void units_of_a_target(void **state)
{
    uint8_t b[40] = { 0, 0, 0, 24, [9] = 2, [16] = 0x41, [17] = 3,
                      [24] = 0, [25] = 5, [27] = 1 }; /* has a level below */
    unsigned luns[8];

    assert_int_equal(scsi_parse_luns(luns, 8, b, sizeof b), 2);
    assert_int_equal(luns[0], 2);
    assert_int_equal(luns[1], 0x103);
    assert_int_equal(scsi_parse_luns(luns, 1, b, sizeof b), 1);
    assert_int_equal(scsi_parse_luns(luns, 8, b, 23), 1);
    assert_int_equal(scsi_parse_luns(luns, 8, b, 7), 0);
    memset(b, 0xff, 4);
    assert_int_equal(scsi_parse_luns(luns, 8, b, 16), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keyboard_reports_keys),
        cmocka_unit_test(a_keyboard_that_lost_count_says_nothing),
        cmocka_unit_test(a_held_key_repeats_until_it_is_let_go),
        cmocka_unit_test(lamps_follow_the_locks),
        cmocka_unit_test(long_bitmap_reports_and_a_mouse_in_one),
        cmocka_unit_test(a_tablet_is_absolute),
        cmocka_unit_test(a_bad_report_descriptor_means_boot_protocol),
        cmocka_unit_test(short_and_empty_reports_are_harmless),
        cmocka_unit_test(a_failing_endpoint_is_started_again),
        cmocka_unit_test(lying_lengths_are_refused_or_cut),
        cmocka_unit_test(too_many_of_everything),
        cmocka_unit_test(a_device_that_refuses_everything_is_given_up),
        cmocka_unit_test(a_controller_that_dies_is_told_of_later),
        cmocka_unit_test(a_stick_is_read_and_written),
        cmocka_unit_test(attention_after_a_reset_is_passed_over),
        cmocka_unit_test(a_stall_in_the_data_is_cleared),
        cmocka_unit_test(a_wrong_status_leads_to_a_reset),
        cmocka_unit_test(a_wrong_count_of_bytes_sent_does_not_matter),
        cmocka_unit_test(a_stick_that_stops_answering_is_an_error),
        cmocka_unit_test(a_medium_error_is_an_error_at_once),
        cmocka_unit_test(a_stick_without_a_cache_needs_no_flush),
        cmocka_unit_test(an_exchanged_medium_is_not_written_to),
        cmocka_unit_test(a_pulled_stick_fails_and_comes_back),
        cmocka_unit_test(a_stick_of_another_number_or_size_is_another),
        cmocka_unit_test(protected_and_large_sectors),
        cmocka_unit_test(capacities),
        cmocka_unit_test(inquiries_and_senses),
        cmocka_unit_test(units_of_a_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
