/*
 * work.c - a list of work, the earliest first.
 */
#include "kernel/work.h"

#include <stddef.h>

#include "kernel/clock.h"
#include "kernel/irq.h"

static struct work *first;
static bool running;

static void unlink_work(struct work *w)
{
    struct work **p = &first;

    while (*p && *p != w)
        p = &(*p)->next;
    if (*p)
        *p = w->next;
    w->queued = false;
}

void work_post(struct work *w, uint64_t usecs)
{
    bool on = irq_save();
    uint64_t due = clock_usecs() + usecs;
    struct work **p = &first;

    if (w->queued && w->due <= due) {
        irq_restore(on);
        return;
    }
    unlink_work(w);
    while (*p && (*p)->due <= due)
        p = &(*p)->next;
    w->due = due;
    w->queued = true;
    w->next = *p;
    *p = w;
    irq_restore(on);
}

void work_cancel(struct work *w)
{
    bool on = irq_save();

    unlink_work(w);
    irq_restore(on);
}

static struct work *take_due(void)
{
    bool on = irq_save();
    struct work *w = first;

    if (w && w->due <= clock_usecs())
        unlink_work(w);
    else
        w = NULL;
    irq_restore(on);
    return w;
}

void work_run(void)
{
    struct work *w;

    if (running)
        return;
    running = true;
    while ((w = take_due()) != NULL)
        w->run(w);
    running = false;
}

uint64_t work_due(void)
{
    bool on = irq_save();
    uint64_t due = first ? first->due : UINT64_MAX;

    irq_restore(on);
    return due;
}
