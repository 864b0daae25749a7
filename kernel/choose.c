/*
 * choose.c - the question before the image: which one (choose.h).
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

enum { CHOICES = 9, KEY_1 = 0x1e, POLL_USECS = 10000 };

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
static unsigned choice_of_key(uint8_t usage)
{
    if (usage == KEY_ENTER || usage == KEY_PAD_ENTER)
        return 1;
    if (usage >= KEY_1 && usage < KEY_1 + CHOICES)
        return usage - KEY_1 + 1;
    if (usage >= KEY_PAD_1 && usage < KEY_PAD_1 + CHOICES)
        return usage - KEY_PAD_1 + 1;
    return 0;
}

static unsigned choice_of_byte(int c)
{
    if (c == '\r' || c == '\n')
        return 1;
    return c >= '1' && c <= '9' ? (unsigned)(c - '0') : 0;
}

static unsigned next_choice(void)
{
    struct input_event e;

    work_run(); /* USB keyboards come and report */
    if (input_next(&e))
        return e.type == INPUT_KEY && e.key.down
                   ? choice_of_key(e.key.usage)
                   : 0;
    if (serial_waiting())
        return choice_of_byte(serial_read());
    clock_delay(POLL_USECS);
    return 0;
}

const char *choose_image(void)
{
    unsigned n = list_images(), choice = 0;

    if (!n)
        return NULL;
    while (choice < 1 || choice > n)
        choice = next_choice();
    klog("%s\n", store_name(choice - 1));
    return store_name(choice - 1);
}
