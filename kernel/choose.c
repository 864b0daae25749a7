/*
 * choose.c - questions before the image runs (choose.h).
 */
#include "kernel/choose.h"

#include <stddef.h>

#include "drivers/input.h"
#include "drivers/keymap.h"
#include "kernel/clock.h"
#include "kernel/klog.h"
#include "kernel/serial.h"
#include "kernel/store.h"
#include "kernel/work.h"

enum { CHOICES = 9, KEY_1 = 0x1e, ESCAPE = 27, POLL_USECS = 10000 };

/* --- one key --- */

struct key {
    uint8_t usage; /* of a key that was pressed, or 0 */
    int byte;      /* of the serial line, or -1 */
};

/* What came next; neither, after a while, if nothing did. */
static struct key next_key(void)
{
    struct key k = { 0, -1 };
    struct input_event e;

    work_run(); /* USB keyboards come and report */
    if (input_next(&e)) {
        if (e.type == INPUT_KEY && e.key.down)
            k.usage = e.key.usage;
    } else if (serial_waiting()) {
        k.byte = serial_read();
    } else {
        clock_delay(POLL_USECS);
    }
    return k;
}

static bool is_enter(struct key k)
{
    return k.usage == KEY_ENTER || k.usage == KEY_PAD_ENTER ||
           k.byte == '\r' || k.byte == '\n';
}

enum answer choose_yes(unsigned seconds)
{
    uint64_t until = clock_usecs() + seconds * 1000000ull;

    while (clock_usecs() < until) {
        struct key k = next_key();

        if (is_enter(k))
            return ANSWER_YES;
        if (k.usage == KEY_ESCAPE || k.byte == ESCAPE)
            return ANSWER_NO;
    }
    return ANSWER_NONE;
}

/* --- which image --- */

static unsigned list_images(void)
{
    const char *name;
    unsigned n = 0;

    klog("\nSaved images, the last one first:\n\n");
    for (; n < CHOICES && (name = store_name(n)) != NULL; n++)
        klog("    %u  %s\n", n + 1, name);
    klog("\nWhich shall start? A digit, or Enter for the first. ");
    klog_screen_flush();
    return n;
}

/* 1 to CHOICES, or 0: no choice. */
static unsigned choice(struct key k)
{
    if (is_enter(k))
        return 1;
    if (k.usage >= KEY_1 && k.usage < KEY_1 + CHOICES)
        return k.usage - KEY_1 + 1;
    if (k.usage >= KEY_PAD_1 && k.usage < KEY_PAD_1 + CHOICES)
        return k.usage - KEY_PAD_1 + 1;
    return k.byte >= '1' && k.byte <= '9' ? (unsigned)(k.byte - '0') : 0;
}

const char *choose_image(void)
{
    unsigned n = list_images(), chosen = 0;

    if (!n)
        return NULL;
    while (chosen < 1 || chosen > n)
        chosen = choice(next_key());
    klog("%s\n", store_name(chosen - 1));
    return store_name(chosen - 1);
}
