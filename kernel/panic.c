/*
 * panic.c - stopping, with as much to go on as can be had.
 *
 * Runs with interrupts off and trusts nothing: every address is looked up
 * in the page tables before it is read.
 */
#include "kernel/panic.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "kernel/cpu.h"
#include "kernel/klog.h"
#include "kernel/layout.h"
#include "kernel/log_text.h"
#include "kernel/panic_digest.h"
#include "kernel/power.h"
#include "kernel/qr.h"
#include "kernel/symbols.h"
#include "kernel/trap.h"
#include "kernel/vmm.h"

enum { MAX_FRAMES = 40, LINE = 512 };
enum { QR_TEXT = 700 };
enum { EXIT_PANIC = 0x7f }; /* for QEMU's exit device */

static int depth;
static uint64_t said_before; /* bytes of the log */
static void (*hook)(void);

void panic_set_hook(void (*h)(void)) { hook = h; }

static bool readable(uint64_t address)
{
    uint64_t phys;

    return address % 8 == 0 && vmm_translate(address, &phys);
}

static void print_code_address(uint64_t address)
{
    uint64_t offset = 0;
    const char *name = symbol_at(address, &offset);

    if (name)
        klog("  %016llx %s+%llu\n", (unsigned long long)address, name,
             (unsigned long long)offset);
    else
        klog("  %016llx ?\n", (unsigned long long)address);
}

/* Follows saved frame pointers; those of code that keeps something else in
 * rbp end the walk. */
static void print_backtrace(uint64_t rip, uint64_t rbp)
{
    klog("C stack:\n");
    print_code_address(rip);
    for (int i = 0; i < MAX_FRAMES && readable(rbp) && readable(rbp + 8);
         i++) {
        const uint64_t *frame = (const uint64_t *)(uintptr_t)rbp;

        if (!frame[1])
            return;
        print_code_address(frame[1]);
        if (frame[0] <= rbp)
            return;
        rbp = frame[0];
    }
}

static void print_registers(const struct trap_frame *f)
{
    struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "rax", f->rax }, { "rbx", f->rbx }, { "rcx", f->rcx },
        { "rdx", f->rdx }, { "rsi", f->rsi }, { "rdi", f->rdi },
        { "rbp", f->rbp }, { "rsp", f->rsp }, { "r8 ", f->r8 },
        { "r9 ", f->r9 },  { "r10", f->r10 }, { "r11", f->r11 },
        { "r12", f->r12 }, { "r13", f->r13 }, { "r14", f->r14 },
        { "r15", f->r15 }, { "rip", f->rip }, { "flg", f->rflags },
        { "cr2", read_cr2() }, { "err", f->error },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        klog("%s %016llx%s", rows[i].name,
             (unsigned long long)rows[i].value, i % 4 == 3 ? "\n" : "  ");
}

static void begin(const char *message)
{
    cpu_interrupts_off();
    if (depth++) {
        if (depth == 2)
            klog("\nand while stopping: %s\n", message);
        power_exit(EXIT_PANIC);
        power_reboot_on_key(false);
    }
    klog_screen_alarm();
    said_before = klog_count();
    klog_large(true);
    klog("\nAerostat has stopped: %s\n", message);
    klog_large(false);
    klog("What was saved is safe. A key on the keyboard starts again.\n"
         "The code on the right has this text, for a telephone's camera; the "
         "next start keeps it (Hardware, Log of the last run).\n\n");
}

/* What was said since the panic began, without the leading zeros of addresses
 * and what is only for people at the screen, as far as a camera can read it. */
static void show_code(void)
{
    static struct qr code;
    static char said[LOG_TEXT_BYTES], text[QR_TEXT];
    uint64_t count = klog_count() - said_before;
    size_t n = klog_copy(said, count < sizeof said ? count : sizeof said);

    n = panic_digest(said, n, text, sizeof text);
    if (qr_encode(&code, text, n) == 0)
        klog_screen_qr(&code);
}

_Noreturn static void end(void)
{
    if (hook)
        hook();
    klog_screen_flush(); /* should the rest fail, this can be read */
    show_code();
    klog_screen_flush();
    power_exit(EXIT_PANIC);
    power_reboot_on_key(true);
}

static bool within(uint64_t address, const char *start, const char *end)
{
    return address >= (uint64_t)(uintptr_t)start &&
           address < (uint64_t)(uintptr_t)end;
}

/* Who lives at an address (vmm.h), in words that point at the mistake. */
static const char *place_of(uint64_t address)
{
    if (address < PAGE_SIZE)
        return "a null pointer";
    if (address < USER_END)
        return "the image's range";
    if (address < DIRECT_BASE)
        return "no address";
    if (address < DEVICE_BASE)
        return "plain memory";
    if (address < SBRK_BASE)
        return "a device";
    if (address < STACK_BASE)
        return "the C heap";
    if (address < KERNEL_BASE)
        return "a stack, or the guard page where one has overflowed";
    if (within(address, __text_start, __text_end))
        return "the kernel's code";
    if (within(address, __text_end, __rodata_end))
        return "the kernel's constants";
    return "the kernel's data";
}

static void describe_page_fault(const struct trap_frame *frame, char *line)
{
    uint64_t at = read_cr2();

    snprintf(line, LINE, "page fault %s %016llx, %s",
             frame->error & 16 ? "running"
             : frame->error & 2 ? "writing" : "reading",
             (unsigned long long)at, place_of(at));
}

void panic_trap(const struct trap_frame *frame, const char *message)
{
    char line[LINE];

    if (frame->vector == TRAP_PAGE_FAULT) {
        describe_page_fault(frame, line);
        message = line;
    }
    begin(message);
    print_registers(frame);
    print_backtrace(frame->rip, frame->rbp);
    end();
}

void panic(const char *format, ...)
{
    char line[LINE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    begin(line);
    print_backtrace((uint64_t)(uintptr_t)__builtin_return_address(0),
                    *(uint64_t *)__builtin_frame_address(0));
    end();
}

void refuse(const char *format, ...)
{
    char line[LINE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    cpu_interrupts_off();
    klog_screen_alarm();
    klog_large(true);
    klog("Aerostat: %s\n", line);
    klog_large(false);
    klog("A key on the keyboard starts again.\n");
    klog_screen_flush();
    power_reboot_on_key(true);
}
