/*
 * platform_input.c - from keys and pointer steps to the VM's events.
 *
 * Owns what devices do not know: which modifiers are held, the locks, where
 * the pointer is.
 */
#include "drivers/input.h"

#include "drivers/keymap.h"
#include "kernel/log_view.h"
#include "kernel/platform_metal.h"
#include "vm/platform.h"
#include "vm/vm.h"

enum { WHEEL_NOTCH = 120, ABSOLUTE_RANGE = 65536 };

static unsigned held = KEY_NUM_LOCK; /* enum key_modifier, locks included */
static uint8_t keys_down[32];        /* a bit for each usage */
static int pointer_x, pointer_y;
static bool placed; /* before, the pointer is in the middle */
static uint8_t buttons;

static int vm_modifiers(void)
{
    return (held & KEY_SHIFT ? VM_MOD_SHIFT : 0) |
           (held & KEY_CTRL ? VM_MOD_CTRL : 0) |
           (held & (KEY_ALT | KEY_ALT_GR) ? VM_MOD_ALT : 0) |
           (held & KEY_GUI ? VM_MOD_CMD : 0);
}

/* --- keys --- */

/* True if the key was up before. */
static bool note_key(uint8_t usage, bool down)
{
    uint8_t *byte = &keys_down[usage / 8], bit = (uint8_t)(1u << usage % 8);
    bool was_down = *byte & bit;

    if (down)
        *byte |= bit;
    else
        *byte &= (uint8_t)~bit;
    return !was_down;
}

/* A modifier stays held while either of its two keys is down. */
static void update_modifiers(void)
{
    held &= KEY_CAPS_LOCK | KEY_NUM_LOCK;
    for (unsigned usage = KEY_LEFT_CTRL; usage <= KEY_RIGHT_GUI; usage++)
        if (keys_down[usage / 8] >> usage % 8 & 1)
            held |= keymap_modifier((uint8_t)usage);
}

static void post_key(uint32_t code, int press)
{
    struct vm_event e = {
        VM_EVENT_KEY, { (int32_t)(code < 256 ? code : '?'), press,
                        vm_modifiers(), (int32_t)code, 0 },
    };

    vm_post_event(&e);
}

/* What the key is called in down and up events: letters follow Shift, other
 * keys keep the code that they type without it. */
static uint32_t key_name(uint8_t usage)
{
    uint32_t plain = keymap_character(usage, held & KEY_NUM_LOCK);

    if ((held & KEY_SHIFT) && plain >= 'a' && plain <= 'z')
        return plain - 32;
    return plain;
}

static void key(uint8_t usage, bool down)
{
    bool first = note_key(usage, down);
    uint32_t name, character;

    if (keymap_modifier(usage)) {
        update_modifiers();
        return;
    }
    if (usage == KEY_CAPS || usage == KEY_NUM) {
        if (down && first) {
            held ^= usage == KEY_CAPS ? KEY_CAPS_LOCK : KEY_NUM_LOCK;
            input_set_leds((held & KEY_NUM_LOCK ? INPUT_LED_NUM : 0) |
                           (held & KEY_CAPS_LOCK ? INPUT_LED_CAPS : 0));
        }
        return;
    }
    if (down && log_view_key(usage))
        return;
    name = key_name(usage);
    character = keymap_character(usage, held);
    if (!name)
        return;
    post_key(name, down ? VM_KEY_DOWN : VM_KEY_UP);
    if (down && character)
        post_key(character, VM_KEY_CHAR);
}

/* --- pointer --- */

static int clamp(int v, int limit)
{
    return v < 0 ? 0 : v >= limit ? limit - 1 : v;
}

static int vm_buttons(uint8_t b)
{
    return (b & INPUT_LEFT ? VM_BUTTON_RED : 0) |
           (b & INPUT_MIDDLE ? VM_BUTTON_YELLOW : 0) |
           (b & INPUT_RIGHT ? VM_BUTTON_BLUE : 0);
}

void platform_keep_pointer(void)
{
    struct plat_display d;

    if (!placed)
        return;
    plat_display_info(&d);
    pointer_x = clamp(pointer_x, (int)d.width);
    pointer_y = clamp(pointer_y, (int)d.height);
    platform_move_pointer(pointer_x, pointer_y);
}

static void move_pointer(const struct input_event *e)
{
    struct plat_display d;

    plat_display_info(&d);
    if (!placed) {
        placed = true;
        pointer_x = (int)d.width / 2;
        pointer_y = (int)d.height / 2;
    }
    if (e->pointer.absolute) {
        pointer_x = (int)((int64_t)e->pointer.x * d.width / ABSOLUTE_RANGE);
        pointer_y = (int)((int64_t)e->pointer.y * d.height / ABSOLUTE_RANGE);
    } else {
        pointer_x += e->pointer.x;
        pointer_y += e->pointer.y;
    }
    platform_keep_pointer();
}

static void pointer(const struct input_event *e)
{
    int old_x = pointer_x, old_y = pointer_y;

    move_pointer(e);
    if (pointer_x != old_x || pointer_y != old_y ||
        buttons != e->pointer.buttons) {
        struct vm_event m = {
            VM_EVENT_MOUSE, { pointer_x, pointer_y,
                              vm_buttons(e->pointer.buttons),
                              vm_modifiers(), 0 },
        };

        buttons = e->pointer.buttons;
        vm_post_event(&m);
    }
    if (e->pointer.wheel || e->pointer.wheel_x) {
        struct vm_event w = {
            VM_EVENT_WHEEL, { e->pointer.wheel_x * WHEEL_NOTCH,
                              e->pointer.wheel * WHEEL_NOTCH,
                              vm_modifiers(), 0, 0 },
        };

        vm_post_event(&w);
    }
}

/* The desktop is asked to end, as a window is by its button. */
static void power_button(void)
{
    struct plat_display d;
    struct vm_event e = { VM_EVENT_WINDOW, { 2 } };

    plat_display_info(&d);
    e.arg[3] = (int32_t)d.width;
    e.arg[4] = (int32_t)d.height;
    vm_post_event(&e);
}

bool platform_pump_input(void)
{
    struct input_event e;
    bool any = false;

    while (input_next(&e)) {
        any = true;
        if (e.type == INPUT_KEY)
            key(e.key.usage, e.key.down);
        else if (e.type == INPUT_POWER)
            power_button();
        else if (!log_view_shown())
            pointer(&e);
    }
    return any;
}
