/*
 * ps2.c - keyboard and wheel mouse behind the 8042 controller. IBM PS/2
 * Technical Reference; scan code set 1 (the controller translates);
 * IntelliMouse protocol (3 and 5 buttons with wheel).
 * QEMU: built in; keys and pointer through QMP input-send-event
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "drivers/driver.h"
#include "drivers/input.h"
#include "drivers/keymap.h"
#include "drivers/ps2.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/klog.h"

enum { PORT_DATA = 0x60, PORT_STATUS = 0x64, PORT_COMMAND = 0x64 };
enum { STATUS_OUT = 0x01, STATUS_IN = 0x02, STATUS_AUX = 0x20 };
enum controller_command {
    READ_CONFIG = 0x20, WRITE_CONFIG = 0x60, DISABLE_AUX = 0xa7,
    ENABLE_AUX = 0xa8, DISABLE_KEYBOARD = 0xad, ENABLE_KEYBOARD = 0xae,
    WRITE_AUX = 0xd4,
};
enum config_bit {
    CONFIG_KEYBOARD_IRQ = 0x01, CONFIG_AUX_IRQ = 0x02,
    CONFIG_KEYBOARD_OFF = 0x10, CONFIG_AUX_OFF = 0x20, CONFIG_TRANSLATE = 0x40,
};
enum device_command {
    SET_LEDS = 0xed, GET_ID = 0xf2, SET_RATE = 0xf3, ENABLE = 0xf4,
    SET_DEFAULTS = 0xf6, ACK = 0xfa,
};
enum { KEYBOARD_IRQ = 1, MOUSE_IRQ = 12, ANSWER_USECS = 25000 };
enum { MOUSE_PLAIN = 0, MOUSE_WHEEL = 3, MOUSE_FIVE_BUTTONS = 4 };

/* HID usages of scan codes after 0xe0. */
static const struct {
    uint8_t code, usage;
} extended_usages[] = {
    { 0x1c, KEY_PAD_ENTER }, { 0x1d, KEY_RIGHT_CTRL },
    { 0x35, KEY_PAD_SLASH }, { 0x37, 0x46 /* print screen */ },
    { 0x38, KEY_RIGHT_ALT }, { 0x46, 0x48 /* ctrl-pause */ },
    { 0x47, KEY_HOME }, { 0x48, KEY_UP }, { 0x49, KEY_PAGE_UP },
    { 0x4b, KEY_LEFT }, { 0x4d, KEY_RIGHT }, { 0x4f, KEY_END },
    { 0x50, KEY_DOWN }, { 0x51, KEY_PAGE_DOWN }, { 0x52, KEY_INSERT },
    { 0x53, KEY_DELETE }, { 0x5b, KEY_LEFT_GUI }, { 0x5c, KEY_RIGHT_GUI },
    { 0x5d, 0x65 /* menu */ },
};

static struct {
    bool extended;
    unsigned skip; /* rest of the pause key's sequence */
} keyboard;

static struct {
    int kind;
    uint8_t packet[4];
    unsigned have;
    bool present;
    bool (*bell)(const struct input_event *e); /* ps2.h; NULL: none */
} mouse;

/* --- the controller --- */

static bool wait_status(uint8_t mask, uint8_t value)
{
    uint64_t until = clock_usecs() + ANSWER_USECS;

    while ((inb(PORT_STATUS) & mask) != value) {
        if (clock_usecs() > until)
            return false;
        cpu_pause();
    }
    return true;
}

static void command(uint8_t c)
{
    if (wait_status(STATUS_IN, 0))
        outb(PORT_COMMAND, c);
}

static void write_data(uint8_t v)
{
    if (wait_status(STATUS_IN, 0))
        outb(PORT_DATA, v);
}

static int read_data(void)
{
    return wait_status(STATUS_OUT, STATUS_OUT) ? inb(PORT_DATA) : -ETIMEDOUT;
}

static void drain(void)
{
    for (int i = 0; i < 64 && (inb(PORT_STATUS) & STATUS_OUT); i++)
        (void)inb(PORT_DATA);
}

/* Sends a byte to keyboard or mouse; 0 when it was acknowledged. */
static int send(bool to_mouse, uint8_t v)
{
    if (to_mouse)
        command(WRITE_AUX);
    write_data(v);
    for (int i = 0; i < 4; i++) {
        int answer = read_data();

        if (answer == ACK)
            return 0;
        if (answer < 0)
            break;
    }
    return -EIO;
}

/* --- keyboard --- */

static uint8_t extended_usage(uint8_t code)
{
    for (size_t i = 0; i < sizeof extended_usages / sizeof *extended_usages;
         i++)
        if (extended_usages[i].code == code)
            return extended_usages[i].usage;
    return 0; /* among others the fake shifts around the grey keys */
}

static void report_key(uint8_t usage, bool down)
{
    struct input_event e = { .type = INPUT_KEY };

    if (!usage)
        return;
    e.key.usage = usage;
    e.key.down = down;
    input_report(&e);
}

static void keyboard_byte(uint8_t b)
{
    uint8_t code = b & 0x7f;

    if (keyboard.skip) {
        keyboard.skip--;
        return;
    }
    if (b == 0xe0) {
        keyboard.extended = true;
        return;
    }
    if (b == 0xe1) { /* pause: e1 1d 45 e1 9d c5, no release */
        keyboard.skip = 5;
        report_key(0x48, true);
        report_key(0x48, false);
        return;
    }
    if (keyboard.extended)
        report_key(extended_usage(code), !(b & 0x80));
    else
        report_key(keymap_usage(code), !(b & 0x80));
    keyboard.extended = false;
}

/* --- mouse --- */

/* First byte: buttons, a bit that is always set, signs, overflows. */
static void report_packet(void)
{
    const uint8_t *p = mouse.packet;
    struct input_event e = { .type = INPUT_POINTER };

    if (p[0] & 0xc0)
        return; /* overflow: the distances mean nothing */
    e.pointer.buttons = p[0] & 7;
    e.pointer.x = p[1] - (p[0] & 0x10 ? 256 : 0);
    e.pointer.y = -(p[2] - (p[0] & 0x20 ? 256 : 0));
    if (mouse.kind == MOUSE_WHEEL)
        e.pointer.wheel = -(int8_t)p[3];
    if (mouse.kind == MOUSE_FIVE_BUTTONS) {
        e.pointer.wheel = -((int8_t)(uint8_t)(p[3] << 4) >> 4);
        e.pointer.buttons |= p[3] >> 1 & (INPUT_BACK | INPUT_FORWARD);
    }
    if (!mouse.bell || !mouse.bell(&e))
        input_report(&e);
}

bool ps2_on_packet(bool (*bell)(const struct input_event *e))
{
    mouse.bell = bell;
    return mouse.present;
}

static void mouse_byte(uint8_t b)
{
    if (mouse.have == 0 && !(b & 0x08))
        return; /* out of step: wait for a first byte */
    mouse.packet[mouse.have++] = b;
    if (mouse.have < (mouse.kind == MOUSE_PLAIN ? 3u : 4u))
        return;
    mouse.have = 0;
    report_packet();
}

/* Serves both lines: a byte says itself whose it is. */
static void handler(void *unused)
{
    uint8_t status;

    while ((status = inb(PORT_STATUS)) & STATUS_OUT) {
        uint8_t b = inb(PORT_DATA);

        if (status & STATUS_AUX)
            mouse_byte(b);
        else
            keyboard_byte(b);
    }
}

/* --- setting up --- */

/* The magic knock of rates turns a wheel mouse into one. */
static int knock(uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t rates[] = { a, b, c };

    for (int i = 0; i < 3; i++)
        if (send(true, SET_RATE) || send(true, rates[i]))
            return -EIO;
    if (send(true, GET_ID))
        return -EIO;
    return read_data();
}

static bool start_mouse(void)
{
    command(ENABLE_AUX);
    if (send(true, SET_DEFAULTS))
        return false;
    mouse.kind = MOUSE_PLAIN;
    if (knock(200, 100, 80) == MOUSE_WHEEL) {
        mouse.kind = MOUSE_WHEEL;
        if (knock(200, 200, 80) == MOUSE_FIVE_BUTTONS)
            mouse.kind = MOUSE_FIVE_BUTTONS;
    }
    return send(true, SET_RATE) == 0 && send(true, 100) == 0 &&
           send(true, ENABLE) == 0;
}

static bool start_keyboard(void)
{
    command(ENABLE_KEYBOARD);
    return send(false, SET_DEFAULTS) == 0 && send(false, ENABLE) == 0;
}

static int start(void)
{
    bool have_keyboard, have_mouse;
    int config;

    if (inb(PORT_STATUS) == 0xff)
        return -ENODEV; /* nothing decodes the port */
    command(DISABLE_KEYBOARD);
    command(DISABLE_AUX);
    drain();
    command(READ_CONFIG);
    config = read_data();
    if (config < 0)
        return -ENODEV;
    config &= ~(CONFIG_KEYBOARD_IRQ | CONFIG_AUX_IRQ);
    command(WRITE_CONFIG);
    write_data((uint8_t)config | CONFIG_TRANSLATE);
    have_keyboard = start_keyboard();
    have_mouse = mouse.present = start_mouse();
    if (have_keyboard)
        config |= CONFIG_KEYBOARD_IRQ;
    if (have_mouse)
        config |= CONFIG_AUX_IRQ;
    config &= ~(CONFIG_KEYBOARD_OFF | CONFIG_AUX_OFF);
    command(WRITE_CONFIG);
    write_data((uint8_t)config | CONFIG_TRANSLATE);
    klog("ps2: %s, %s\n", have_keyboard ? "keyboard" : "no keyboard",
         have_mouse ? "mouse" : "no mouse");
    return have_keyboard || have_mouse ? 0 : -ENODEV;
}

static int probe(struct pci_device *unused)
{
    bool on = irq_save();
    int error = start();

    irq_restore(on);
    if (error)
        return error;
    error = irq_attach(KEYBOARD_IRQ, false, handler, NULL);
    return error ? error : irq_attach(MOUSE_IRQ, false, handler, NULL);
}

const struct driver ps2_driver = { .name = "ps2", .probe = probe };
