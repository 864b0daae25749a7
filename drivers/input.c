/*
 * input.c - the queue between input drivers and the platform.
 *
 * Pointer movements that nobody fetched yet are added up, so a slow reader
 * sees a jump and not a backlog.
 */
#include "drivers/input.h"

#include <stddef.h>

#include "drivers/keymap.h"
#include "kernel/irq.h"

enum {
    QUEUE = 256, LED_WORKS = 4,
    REPEAT_DELAY_USECS = 500 * 1000, REPEAT_USECS = 33 * 1000,
};

static struct input_event queue[QUEUE];
static volatile unsigned head, tail;

/* Only plain movement with unchanged buttons may be folded. */
static bool fold(const struct input_event *e)
{
    struct input_event *last = &queue[(head + QUEUE - 1) % QUEUE];

    if (head == tail || e->type != INPUT_POINTER ||
        last->type != INPUT_POINTER ||
        last->pointer.buttons != e->pointer.buttons ||
        last->pointer.absolute != e->pointer.absolute)
        return false;
    if (e->pointer.absolute) {
        last->pointer.x = e->pointer.x;
        last->pointer.y = e->pointer.y;
    } else {
        last->pointer.x += e->pointer.x;
        last->pointer.y += e->pointer.y;
    }
    last->pointer.wheel += e->pointer.wheel;
    last->pointer.wheel_x += e->pointer.wheel_x;
    return true;
}

void input_report(const struct input_event *e)
{
    bool on = irq_save();
    unsigned next = (head + 1) % QUEUE;

    if (!fold(e) && next != tail) {
        queue[head] = *e;
        head = next;
    }
    irq_restore(on);
}

bool input_next(struct input_event *e)
{
    bool on = irq_save(), found = head != tail;

    if (found) {
        *e = queue[tail];
        tail = (tail + 1) % QUEUE;
    }
    irq_restore(on);
    return found;
}

bool input_waiting(void) { return head != tail; }

/* --- keys that repeat --- */

static void report_key(uint8_t usage, bool down)
{
    struct input_event e = { .type = INPUT_KEY };

    e.key.usage = usage;
    e.key.down = down;
    input_report(&e);
}

static void repeat(struct work *w)
{
    struct input_repeat *r =
        (void *)((char *)w - offsetof(struct input_repeat, work));
    bool on = irq_save();

    if (r->usage) {
        report_key(r->usage, true);
        work_post(w, REPEAT_USECS);
    }
    irq_restore(on);
}

void input_key(struct input_repeat *r, uint8_t usage, bool down)
{
    report_key(usage, down);
    if (down && !keymap_modifier(usage)) {
        r->work.run = repeat;
        r->usage = usage;
        work_cancel(&r->work);
        work_post(&r->work, REPEAT_DELAY_USECS);
    } else if (!down && usage == r->usage) {
        r->usage = 0;
        work_cancel(&r->work);
    }
}

/* --- lamps --- */

static unsigned leds = INPUT_LED_NUM;
static struct work *led_works[LED_WORKS];

void input_set_leds(unsigned wanted)
{
    if (wanted == leds)
        return;
    leds = wanted;
    for (unsigned i = 0; i < LED_WORKS && led_works[i]; i++)
        work_post(led_works[i], 0);
}

unsigned input_leds(void) { return leds; }

void input_on_leds(struct work *w)
{
    unsigned i = 0;

    while (i < LED_WORKS && led_works[i] && led_works[i] != w)
        i++;
    if (i < LED_WORKS)
        led_works[i] = w;
}
