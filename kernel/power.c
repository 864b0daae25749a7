/*
 * power.c - ACPI soft off, reset, the power button. ACPI 6.4, sections
 * 4.8.3.1, 4.8.3.2, 4.8.3.6.
 */
#include "kernel/power.h"

#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "drivers/input.h"
#include "kernel/acpi.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

enum { EXIT_PORT = 0xf4, EXIT_PASS = 0x10, EXIT_BASE = 64 };
enum { SCI_ENABLED = 1, SLEEP_ENABLE = 1 << 13, SLEEP_TYPE_SHIFT = 10 };
enum { POWER_BUTTON = 1 << 8, UNKNOWN_LIMIT = 100 };
enum { KEYBOARD_DATA = 0x60, KEYBOARD_STATUS = 0x64, KEYBOARD_COMMAND = 0x64,
       PULSE_RESET = 0xfe, RESET_PORT = 0xcf9 };
enum { DATA_WAITS = 0x01, FROM_MOUSE = 0x20, KEY_RELEASED = 0x80 };

static bool exit_device;

void power_use_exit_device(void) { exit_device = true; }

void power_exit(int code)
{
    if (exit_device)
        outl(EXIT_PORT, code ? EXIT_BASE + (code & 0x3f) : EXIT_PASS);
}

/* Machines that start in legacy mode want to be asked for ACPI first. */
static void enable_acpi(const struct acpi *a)
{
    if (!a->smi_port || !a->acpi_enable ||
        (inw((uint16_t)a->pm1a_control) & SCI_ENABLED))
        return;
    outb((uint16_t)a->smi_port, a->acpi_enable);
    for (int i = 0; i < 300; i++) {
        if (inw((uint16_t)a->pm1a_control) & SCI_ENABLED)
            return;
        clock_delay(1000);
    }
}

/* --- the power button: status registers, then as many of what is enabled ---
 */

static void system_control(void *unused)
{
    static unsigned unknown;
    const struct acpi *a = acpi();
    struct input_event e = { .type = INPUT_POWER };
    uint16_t status = inw((uint16_t)a->pm1a_event);

    if (a->pm1b_event)
        status |= inw((uint16_t)a->pm1b_event);
    outw((uint16_t)a->pm1a_event, status); /* ones clear */
    if (a->pm1b_event)
        outw((uint16_t)a->pm1b_event, status);
    if (status & POWER_BUTTON) {
        input_report(&e);
        unknown = 0;
    } else if (++unknown == UNKNOWN_LIMIT) {
        /* somebody whose registers only AML knows: better no button */
        irq_mask(a->sci_line, true);
    }
}

static void enable_button(uint32_t block, unsigned bytes)
{
    if (!block)
        return;
    outw((uint16_t)block, 0xffff);
    outw((uint16_t)(block + bytes / 2), POWER_BUTTON);
}

/* General-purpose events all have methods in AML, which we do not run. */
static void silence(uint32_t block, unsigned bytes)
{
    for (unsigned i = bytes / 2; block && i < bytes; i++)
        outb((uint16_t)(block + i), 0);
}

void power_watch_button(void)
{
    const struct acpi *a = acpi();

    if (!a->power_button || !a->pm1a_event || a->pm1_event_bytes < 4 ||
        !a->pm1a_control)
        return;
    enable_acpi(a);
    if (!(inw((uint16_t)a->pm1a_control) & SCI_ENABLED))
        return;
    silence(a->gpe0, a->gpe0_bytes);
    silence(a->gpe1, a->gpe1_bytes);
    enable_button(a->pm1a_event, a->pm1_event_bytes);
    enable_button(a->pm1b_event, a->pm1_event_bytes);
    irq_set_owner("power button");
    if (irq_attach(a->sci_line, true, system_control, NULL))
        klog("power: the button has no interrupt\n");
    irq_set_owner("kernel");
}

void power_off(void)
{
    const struct acpi *a = acpi();

    cpu_interrupts_off();
    if (a->has_s5 && a->pm1a_control) {
        enable_acpi(a);
        outw((uint16_t)a->pm1a_control,
             (uint16_t)(a->s5_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
        if (a->pm1b_control)
            outw((uint16_t)a->pm1b_control,
                 (uint16_t)(a->s5_b << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
        clock_delay(1000000);
    }
    klog_screen_alarm();
    klog("Everything is done. You can switch the machine off now.\n");
    klog_screen_flush();
    cpu_halt();
}

void power_reboot(void)
{
    const struct acpi *a = acpi();

    cpu_interrupts_off();
    if (a->reset_by_port)
        outb((uint16_t)a->reset_address, a->reset_value);
    if (a->reset_by_memory) {
        volatile uint8_t *p = vmm_map_device(a->reset_address, 1,
                                             PAGE_UNCACHED);

        if (p)
            *p = a->reset_value;
    }
    clock_delay(50000);
    outb(RESET_PORT, 0x02);
    outb(RESET_PORT, 0x06);
    clock_delay(50000);
    outb(KEYBOARD_COMMAND, PULSE_RESET);
    clock_delay(50000);
    cpu_triple_fault();
}

static bool ps2_key_pressed(void)
{
    uint8_t status = inb(KEYBOARD_STATUS), b;

    if (status == 0xff || !(status & DATA_WAITS))
        return false;
    b = inb(KEYBOARD_DATA);
    return !(status & FROM_MOUSE) && !(b & KEY_RELEASED);
}

static bool key_reported(void)
{
    struct input_event e;

    while (input_next(&e))
        if (e.type == INPUT_KEY && e.key.down)
            return true;
    return false;
}

void power_reboot_on_key(bool drivers)
{
    while (key_reported())
        ; /* typed before anybody was asked to */
    for (;;) {
        if (drivers)
            drivers_poll();
        if (ps2_key_pressed() || (drivers && key_reported()))
            power_reboot();
        cpu_pause();
    }
}
