/*
 * irq.h - interrupt lines, message-signalled interrupts, waiting for them.
 *
 * A handler runs with interrupts off, on a stack of its own, with the
 * interrupted code's SSE registers live: it acknowledges its device,
 * enqueues, perhaps signals, and returns. It never allocates, and never logs:
 * the log's formatting uses those registers. What it has to say waits for the
 * machine's thread (work.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef void (*irq_handler)(void *arg);

/* Sets up the APICs (or the 8259 pair where there are none). */
void irq_init(void);
/* Hangs a handler on ISA line 0-15 or a PCI legacy line; lines may be
 * shared. 0, -ENOSPC, -EINVAL. */
int irq_attach(unsigned line, bool level, irq_handler handler, void *arg);
/* A vector of its own for a message-signalled interrupt: fills in what the
 * device must write and where. 0, -ENOSPC, -ENODEV (no local APIC). */
int irq_attach_message(irq_handler handler, void *arg, uint64_t *address,
                       uint32_t *data);

/* Somebody hangs on that line, or there is no such line. */
bool irq_line_taken(unsigned line);
/* Keeps a line's interrupts away; on an IO-APIC an edge that comes meanwhile
 * is lost. Any context. */
void irq_mask(unsigned line, bool masked);

/* Who attaches from now on, for those who look; lives for ever. */
void irq_set_owner(const char *name);
struct irq_info {
    const char *owner;
    uint64_t count; /* of the vector: sharers count together */
    int line;       /* -1: messages, or the timer */
};
/* Handler `index` of vector 0-255; false: there is none. */
bool irq_info(unsigned vector, unsigned index, struct irq_info *info);

/* The local APIC timer's vector; its handler. -ENODEV: there is none. */
enum { IRQ_TIMER_VECTOR = 240 };
int irq_attach_timer(irq_handler handler);

/* Interrupts off; answers whether they were on, for irq_restore. */
bool irq_save(void);
void irq_restore(bool on);

/* Waits, after a moment sleeping between interrupts, until `done(arg)` or
 * until `usecs` have passed. 0 or -ETIMEDOUT. Works with interrupts off too
 * (polls). */
int irq_wait(bool (*done)(void *arg), void *arg, uint64_t usecs);
/* Before irq_wait, where `done` reads memory alone, which costs little:
 * whether it is so within a moment. */
bool irq_watch(bool (*done)(void *arg), void *arg);
