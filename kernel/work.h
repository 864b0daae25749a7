/*
 * work.h - what interrupt handlers leave for the machine's one thread, and
 * what that thread wants to do later. Pure but for clock and irq_save.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Part of what it is about; lives for ever. All fields are work.c's but
 * `run`. */
struct work {
    void (*run)(struct work *w);
    uint64_t due; /* clock_usecs */
    bool queued;
    struct work *next;
};

/* Lets `w` run in `usecs` (0: at the next occasion), once. If it waits
 * already, the earlier of the two times counts. Any context. */
void work_post(struct work *w, uint64_t usecs);
/* It will not run unless posted again. Any context. */
void work_cancel(struct work *w);
/* Runs what is due, from the machine's thread. Work that waits for a device
 * does not let other work run meanwhile. */
void work_run(void);
/* When the next work is due; UINT64_MAX: there is none. */
uint64_t work_due(void);
