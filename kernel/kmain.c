/*
 * kmain.c - the machine from the boot loader's last instruction to the
 * image's first. Reads top to bottom; no step looks back.
 *
 * Words of the command line (cmdline.h):
 *   image=NAME       the image to run, of those in the store
 *   choose           ask which of the saved images to run
 *   fresh            the image that the boot loader brought, even so
 *   image.args=...   the rest of the line, for the image
 *   headless         tell the image that nobody watches (image.args does too)
 *   mem=SIZE         use no more memory than that
 *   mode=WxH         size of the screen, where it can be chosen
 *   keymap=NAME      keyboard layout
 *   tz=MINUTES       east of UTC; the battery clock runs in UTC
 *   without=NAME,... drivers to leave out (drivers/drivers.def)
 *   nomsi            interrupts by lines only, none by messages
 *   x2apic           the local APIC through registers, where it can be
 *   nohardware       no primitives for drivers in Smalltalk
 *   jit=on|1|off     compile, without the second tier, or interpret all
 *   blit=LOOPS       draw with plain, sse2 or avx2 loops
 *   memtest          test the memory and nothing else
 *   stats            the VM prints its counters at the end
 *   exit=isa         leave through QEMU's isa-debug-exit
 */
#include <stdio.h>
#include <string.h>

#include "boot/boot_info.h"
#include "drivers/display.h"
#include "drivers/driver.h"
#include "drivers/framebuffer.h"
#include "drivers/keymap.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/bios.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/efi.h"
#include "kernel/fwcfg.h"
#include "kernel/grow.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/layout.h"
#include "kernel/log_file.h"
#include "kernel/memory_test.h"
#include "kernel/panic.h"
#include "kernel/pci.h"
#include "kernel/platform_metal.h"
#include "kernel/pmm.h"
#include "kernel/power.h"
#include "kernel/serial.h"
#include "kernel/storage.h"
#include "kernel/timer.h"
#include "kernel/trap.h"
#include "kernel/vmm.h"
#include "vm/vm.h"

#define MIB (1ull << 20)
#define MINIMUM_MEMORY (24 * MIB)
#define MAIN_STACK (1 * MIB)

static struct cmdline options;

static void read_options(const struct boot_info *boot)
{
    static char line[CMDLINE_BYTES];
    size_t n = strlen(boot->command_line);
    const char *value;

    memcpy(line, boot->command_line, n);
    line[n++] = ' ';
    fwcfg_arguments(line + n, sizeof line - n);
    cmdline_parse(&options, line);
    value = cmdline_get(&options, "without");
    if (value)
        drivers_leave_out(value);
    value = cmdline_get(&options, "exit");
    if (value && value[0] == 'i')
        power_use_exit_device();
}

static void check_processor(void)
{
    const char *missing = cpu_missing_feature();

    if (missing)
        refuse("this processor lacks %s, which is needed.", missing);
    cpu_allow_avx();
}

/* If there is memory, and the boot loader put nothing there. */
static void keep_log(const struct boot_info *boot)
{
    uint64_t end = KEPT_LOG + KEPT_LOG_BYTES;
    bool is_ram = false;

    for (unsigned i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];

        if (r->start <= KEPT_LOG && end - r->start <= r->bytes)
            is_ram = r->type == BOOT_RAM;
    }
    for (unsigned i = 0; i < boot->module_count; i++) {
        const struct boot_module *m = &boot->modules[i];

        if (m->start < end && KEPT_LOG < m->start + m->bytes)
            is_ram = false;
    }
    if (is_ram)
        klog_keep_in(phys_to_virt(KEPT_LOG));
}

static void start_memory(const struct boot_info *boot)
{
    uint64_t limit = 0;

    cmdline_size(cmdline_get(&options, "mem"), &limit);
    pmm_init(boot, limit);
    vmm_init();
    trap_init_stacks();
    klog("memory: %llu MiB, %llu MiB free\n",
         (unsigned long long)(pmm_total_bytes() / MIB),
         (unsigned long long)(pmm_free_bytes() / MIB));
}

static void take_boot_screen(const struct boot_framebuffer *f)
{
    struct framebuffer screen = {
        f->address, f->width, f->height, f->pitch, pixels_usual(f->bits),
    };

    if (f->red.bits)
        screen.format = (struct pixel_format){
            f->bits, { f->red.at, f->red.bits },
            { f->green.at, f->green.bits }, { f->blue.at, f->blue.bits },
        };
    if (f->address && framebuffer_register("boot loader's", &screen))
        klog("screen: the boot loader's cannot be used\n");
}

/* The boot loader's screen, or one that we can program ourselves; another
 * may take its place later. */
static void start_screen(const struct boot_info *boot)
{
    const char *text = cmdline_get(&options, "mode");
    struct mode mode;

    if (text && mode_parse(text, &mode))
        display_name_mode(mode);
    else if (text)
        klog("screen: mode=%s is no size\n", text);
    display_on_change(klog_screen_on);
    take_boot_screen(&boot->framebuffer);
    acpi_init(boot);
    pci_init();
    bios_allow(boot->bios);
    drivers_probe(true);
    bios_allow(false);
}

static void start_interrupts(void)
{
    if (cmdline_get(&options, "x2apic"))
        apic_want_x2();
    irq_init();
    timer_init();
    cpu_interrupts_on();
    clock_watch();
    power_watch_button();
    irq_set_owner("serial line");
    serial_enable_irq();
    irq_set_owner("kernel");
}

static bool nobody_watches(void)
{
    return options.image_arg_count > 0 ||
           cmdline_get(&options, "headless") != NULL;
}

static void start_devices(void)
{
    const char *layout = cmdline_get(&options, "keymap");

    if (cmdline_get(&options, "nomsi"))
        pci_no_messages();
    if (layout && !keymap_select(layout))
        klog("keyboard: no layout called %s\n", layout);
    drivers_probe(false);
}

static void start_storage(void)
{
    storage_init();
    log_file_start();
    if (!nobody_watches())
        grow_offer();
}

static void check_memory(void)
{
    if (pmm_free_bytes() < MINIMUM_MEMORY)
        refuse("%llu MiB of memory are free, at least %llu MiB are needed.",
               (unsigned long long)(pmm_free_bytes() / MIB),
               (unsigned long long)(MINIMUM_MEMORY / MIB));
}

/* Activations before a method is compiled. With fewer, an emulated machine
 * takes longer to its desktop: what runs a dozen times while it starts is not
 * worth translating twice. */
enum { JIT_THRESHOLD = 32 };

_Noreturn static void start_image(void)
{
    static char path[] = "/aerostat";
    const char *jit = cmdline_get(&options, "jit");
    struct vm_options vm_options = {
        .vm_path = path,
        .machine = "metal",
        .image_name = platform_image_path(),
        .argc = (int)options.image_arg_count,
        .argv = options.image_args,
        .headless = nobody_watches(),
        .stats = cmdline_get(&options, "stats") != NULL,
        .jit = !jit || strcmp(jit, "off") != 0,
        .jit_second = !jit || strcmp(jit, "1") != 0,
        .jit_threshold = JIT_THRESHOLD,
        .jit_threshold2 = -1,
        .blit = cmdline_get(&options, "blit"),
    };
    const char *why = NULL;
    struct vm *vm = vm_create(&vm_options, &why);

    if (!vm)
        refuse("cannot run %s: %s", platform_image_path(),
               why ? why : "it cannot be read");
    klog("image: %s, %llu ms after the kernel's entry\n",
         platform_image_path(), (unsigned long long)(clock_usecs() / 1000));
    klog("pixels: drawn with the loops for %s\n", vm_blit_loops());
    platform_start_heartbeat();
    vm_run(vm);
}

_Noreturn static void run(const struct boot_info *boot)
{
    start_screen(boot);
    check_processor();
    check_memory();
    clock_init();
    start_interrupts();
    efi_init(boot);
    start_devices();
    if (cmdline_get(&options, "memtest"))
        memory_test();
    start_storage();
    platform_init(boot, &options);
    platform_hardware_init(boot, &options);
    start_image();
}

/* Goes on with `boot` on the stack whose end is `top`. */
_Noreturn static void run_on_stack(void *top, const struct boot_info *boot)
{
    if (!top)
        refuse("There is not enough memory to start.");
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pushq $0\n\t"
                     "jmp *%2"
                     : : "r"(top), "D"(boot), "r"(run) : "memory");
    __builtin_unreachable();
}

void kmain(const struct boot_info *boot)
{
    clock_start();
    serial_init();
    trap_init();
    read_options(boot);
    keep_log(boot);
    klog("\nAerostat, started through %s; F12 shows this log at any time\n",
         boot->protocol);
    start_memory(boot);
    run_on_stack(vmm_new_stack(MAIN_STACK), boot);
}
