/*
 * irq.c - who is told about which interrupt.
 *
 * Vectors: 32-47 the ISA lines (or all lines of the 8259 pair), 48-111
 * IO-APIC lines, 112-239 message-signalled ones, 240 the timer.
 */
#include "kernel/irq.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/pic.h"
#include "kernel/timer.h"
#include "kernel/trap.h"

enum {
    ISA_VECTOR = VECTOR_FIRST_IRQ, LINE_VECTOR = 48, MESSAGE_VECTOR = 112,
    MESSAGE_END = IRQ_TIMER_VECTOR, ISA_LINES = 16, MAX_HANDLERS = 64,
    SPURIOUS_VECTOR = 255,
    AWAKE_USECS = 250, /* most requests for a disk are over */
};
#define MESSAGE_ADDRESS 0xfee00000ull
#define RFLAGS_IF (1ull << 9)

struct handler {
    irq_handler call;
    void *arg;
    const char *owner;
    struct handler *next; /* lines may be shared */
};

static struct handler pool[MAX_HANDLERS];
static unsigned pool_used;
static struct handler *handlers[256];
static uint64_t counts[256];
static volatile unsigned served; /* interrupts of any vector */
static unsigned next_message = MESSAGE_VECTOR;
static bool have_apic;
static const char *owner = "kernel";

void irq_set_owner(const char *name) { owner = name; }

static void entry(unsigned vector)
{
    counts[vector]++;
    served++;
    for (struct handler *h = handlers[vector]; h; h = h->next)
        h->call(h->arg);
    if (vector == SPURIOUS_VECTOR)
        return;
    if (have_apic)
        apic_end_of_interrupt();
    else
        pic_end_of_interrupt(vector - ISA_VECTOR);
}

void irq_init(void)
{
    pic_init(ISA_VECTOR);
    have_apic = apic_init();
    trap_set_irq_entry(entry);
    klog("interrupts: %s\n", !have_apic       ? "8259"
                             : apic_is_x2() ? "x2APIC"
                                            : "APIC");
    if (have_apic && acpi()->core_count > 1)
        klog("processors: %u found, %u parked\n", acpi()->core_count,
             apic_park_others());
}

bool irq_save(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags & RFLAGS_IF;
}

void irq_restore(bool on)
{
    if (on)
        cpu_interrupts_on();
}

static int add_handler(unsigned vector, irq_handler call, void *arg)
{
    bool on;

    if (pool_used == MAX_HANDLERS)
        return -ENOSPC;
    on = irq_save();
    pool[pool_used] = (struct handler){ call, arg, owner, handlers[vector] };
    handlers[vector] = &pool[pool_used++];
    irq_restore(on);
    return 0;
}

/* Where a line arrives and how: ISA lines may sit elsewhere on the IO-APIC,
 * the timer's usually does. */
struct route {
    uint32_t line;
    bool level, active_low;
};

static struct route route_of(unsigned line, bool level)
{
    const struct acpi *a = acpi();

    for (unsigned i = 0; i < a->override_count; i++)
        if (a->override[i].isa_line == line)
            return (struct route){ a->override[i].line,
                                   a->override[i].level,
                                   a->override[i].active_low };
    return (struct route){ line, level, level && line >= ISA_LINES };
}

static unsigned line_vector(unsigned line)
{
    return line < ISA_LINES ? ISA_VECTOR + line : LINE_VECTOR + line;
}

int irq_attach(unsigned line, bool level, irq_handler handler, void *arg)
{
    unsigned vector = line_vector(line);
    struct route r;
    bool shared, routed = true, on;
    int error;

    if (vector >= MESSAGE_VECTOR || (!have_apic && line >= ISA_LINES))
        return -EINVAL;
    shared = handlers[vector] != NULL;
    error = add_handler(vector, handler, arg);
    if (error || shared)
        return error;
    r = route_of(line, level);
    on = irq_save();
    if (!have_apic)
        pic_mask(line, false);
    else
        routed = apic_route(r.line, (uint8_t)vector, r.level, r.active_low);
    irq_restore(on);
    return routed ? 0 : -EINVAL;
}

bool irq_line_taken(unsigned line)
{
    unsigned vector = line_vector(line);

    return vector >= MESSAGE_VECTOR || handlers[vector] != NULL;
}

void irq_mask(unsigned line, bool masked)
{
    bool on = irq_save();

    if (have_apic)
        apic_mask(route_of(line, false).line, masked);
    else
        pic_mask(line, masked);
    irq_restore(on);
}

bool irq_info(unsigned vector, unsigned index, struct irq_info *info)
{
    struct handler *h = vector < 256 ? handlers[vector] : NULL;

    while (h && index--)
        h = h->next;
    if (!h)
        return false;
    *info = (struct irq_info){ .owner = h->owner, .count = counts[vector],
                               .line = -1 };
    if (vector < LINE_VECTOR)
        info->line = (int)vector - ISA_VECTOR;
    else if (vector < MESSAGE_VECTOR)
        info->line = (int)vector - LINE_VECTOR;
    return true;
}

int irq_attach_message(irq_handler handler, void *arg, uint64_t *address,
                       uint32_t *data)
{
    int error;

    if (!have_apic)
        return -ENODEV;
    if (next_message == MESSAGE_END)
        return -ENOSPC;
    error = add_handler(next_message, handler, arg);
    if (error)
        return error;
    *address = MESSAGE_ADDRESS | (uint64_t)apic_id() << 12;
    *data = next_message++;
    return 0;
}

int irq_attach_timer(irq_handler handler)
{
    return have_apic ? add_handler(IRQ_TIMER_VECTOR, handler, NULL) : -ENODEV;
}

/* Waits for an interrupt without sleeping, from which a virtual processor
 * wakes late. Interrupts are off before and after. */
static void stay_awake(uint64_t until)
{
    unsigned before = served;

    cpu_interrupts_on();
    while (served == before && clock_usecs() < until)
        ;
    cpu_interrupts_off();
}

int irq_wait(bool (*done)(void *arg), void *arg, uint64_t usecs)
{
    uint64_t now = clock_usecs(), until = now + usecs;
    uint64_t awake = now + AWAKE_USECS;
    bool on = irq_save();
    int result = 0;

    /* The timer ticks every millisecond, so a lost interrupt costs little
     * and a device without any works too. */
    while (!done(arg)) {
        now = clock_usecs();
        if (now > until) {
            result = -ETIMEDOUT;
            break;
        }
        if (!on) {
            cpu_pause();
        } else if (now < awake) {
            stay_awake(awake);
        } else {
            timer_start(TIMER_TICK_USECS);
            cpu_sleep();
            cpu_interrupts_off();
        }
    }
    irq_restore(on);
    return result;
}

bool irq_watch(bool (*done)(void *arg), void *arg)
{
    uint64_t until = clock_usecs() + AWAKE_USECS;
    bool on = irq_save(), over;

    do
        over = done(arg);
    while (!over && clock_usecs() < until);
    irq_restore(on);
    return over;
}
