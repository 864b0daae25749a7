/*
 * platform_metal.c - vm/platform.h on the bare machine: console, end, time,
 * memory, image, assets. Screen, input and files have files of their own.
 */
#include "kernel/platform_metal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot_info.h"
#include "drivers/block.h"
#include "drivers/input.h"
#include "kernel/assets.h"
#include "kernel/choose.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/efi.h"
#include "kernel/klog.h"
#include "kernel/log_file.h"
#include "kernel/panic.h"
#include "kernel/pmm.h"
#include "kernel/power.h"
#include "kernel/serial.h"
#include "kernel/storage.h"
#include "kernel/store.h"
#include "kernel/timer.h"
#include "kernel/vmm.h"
#include "kernel/work.h"
#include "vm/platform.h"
#include "vm/vm.h"

enum { MAX_RESERVATIONS = 64, FIRST_ADDRESS = 0x10000 };
#define ANYWHERE 0x0000400000000000ull
/* Kept from the heap: DMA buffers, newlib's heap; page tables come on top. */
#define KERNEL_RESERVE (6ull << 20)

/* --- life --- */

static char image_path[STORE_NAME_MAX + 16];
static struct boot_module ram_image; /* bytes 0: none, or used up */
static bool keep_ram_image;          /* for the installer, if it is small */
static bool prefer_ram; /* command line `fresh` */
static const struct boot_info *boot_info;
static uint64_t memory_limit;
static int utc_offset; /* seconds */

static void dump_smalltalk_stack(void) { vm_dump_stack(2); }

void platform_init(const struct boot_info *boot, const struct cmdline *c)
{
    const char *name = cmdline_get(c, "image");
    const char *zone = cmdline_get(c, "tz"); /* minutes east of UTC */
    uint64_t free_bytes;

    /* The image that was saved last, unless somebody names one. */
    if ((!name || !*name) && cmdline_get(c, "choose"))
        name = choose_image();
    if (!name || !*name)
        name = store_name(0) ? store_name(0) : "aerostat";
    snprintf(image_path, sizeof image_path, "/%.*s.image", STORE_NAME_MAX,
             name);
    boot_info = boot;
    for (unsigned i = 0; i < boot->module_count && !ram_image.bytes; i++)
        if (boot->modules[i].name[0] != '/')
            ram_image = boot->modules[i];
    prefer_ram = cmdline_get(c, "fresh") != NULL;
    if (zone)
        utc_offset = (int)strtol(zone, NULL, 10) * 60;
    free_bytes = pmm_free_bytes();
    keep_ram_image = ram_image.bytes < free_bytes / 16;
    if (!keep_ram_image)
        free_bytes += ram_image.bytes;
    free_bytes -= free_bytes / 256;
    memory_limit = free_bytes > 2 * KERNEL_RESERVE
                       ? free_bytes - KERNEL_RESERVE
                       : free_bytes / 2;
    panic_set_hook(dump_smalltalk_stack);
}

void platform_start_heartbeat(void) { timer_set_hook(vm_force_check); }

const char *platform_image_path(void) { return image_path; }

void plat_panic(const char *message) { panic("%s", message); }

void plat_exit(int code)
{
    platform_flush_screen(true);
    log_file_write();
    power_exit(code);
    power_off();
}

void plat_restart(void)
{
    platform_flush_screen(true);
    log_file_write();
    power_reboot();
}

/* --- console --- */

static bool byte_wanted; /* the image looked for input and found none */

void plat_write(int fd, const char *bytes, size_t n) { klog_bytes(bytes, n); }

int plat_read_byte(void)
{
    int c = serial_read();

    byte_wanted = c < 0;
    return c;
}

/* --- time --- */

uint64_t plat_usecs(void) { return clock_usecs(); }
int64_t plat_utc_usecs(void) { return clock_utc_usecs(); }
int plat_utc_offset(void) { return utc_offset; }

static void poll_console(void)
{
    if (!byte_wanted || !serial_waiting())
        return;
    byte_wanted = false;
    vm_console_ready();
}

void plat_poll(void)
{
    work_run();
    poll_console();
    platform_pump_input();
    platform_flush_screen(false);
}

static bool anything_waits(void)
{
    return input_waiting() || (byte_wanted && serial_waiting());
}

/* Interrupts are off between the look and the sleep, so nothing arrives in
 * between unseen. */
void plat_idle(uint64_t until)
{
    uint64_t now, due;

    if (platform_pump_input())
        return;
    platform_flush_screen(true);
    cpu_interrupts_off();
    while (!anything_waits() && (now = clock_usecs()) < until &&
           (due = work_due()) > now) {
        timer_start((due < until ? due : until) - now);
        cpu_sleep();
        cpu_interrupts_off();
    }
    timer_start(TIMER_TICK_USECS);
    cpu_interrupts_on();
    work_run();
    poll_console();
    platform_pump_input();
}

/* --- memory --- */

static struct {
    uint64_t start, end;
} reservations[MAX_RESERVATIONS];
static unsigned reservation_count;

static bool is_reserved(uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < reservation_count; i++)
        if (start < reservations[i].end && end > reservations[i].start)
            return true;
    return false;
}

static bool is_usable(uint64_t start, uint64_t bytes)
{
    return start >= FIRST_ADDRESS && start % PAGE_SIZE == 0 &&
           bytes <= USER_END && start <= USER_END - bytes &&
           !is_reserved(start, start + bytes);
}

void *plat_reserve(uint64_t want, uint64_t bytes)
{
    static uint64_t next = ANYWHERE;

    bytes = (bytes + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    if (!bytes || reservation_count == MAX_RESERVATIONS)
        return NULL;
    if (!is_usable(want, bytes)) {
        want = next;
        if (!is_usable(want, bytes))
            return NULL;
    }
    if (want == next)
        next += bytes + PAGE_SIZE; /* a hole after each */
    reservations[reservation_count].start = want;
    reservations[reservation_count++].end = want + bytes;
    return (void *)(uintptr_t)want;
}

int plat_commit(void *p, uint64_t bytes)
{
    return vmm_commit((uint64_t)(uintptr_t)p, bytes,
                      PAGE_WRITE | PAGE_STALE) ? -1 : 0;
}

void plat_prepare(void *p, uint64_t bytes) {} /* committed pages are there */

void plat_decommit(void *p, uint64_t bytes)
{
    vmm_release((uint64_t)(uintptr_t)p, bytes);
}

void plat_release(void *p, uint64_t bytes)
{
    uint64_t start = (uint64_t)(uintptr_t)p;

    for (unsigned i = 0; i < reservation_count; i++) {
        if (reservations[i].start != start)
            continue;
        vmm_release(start, reservations[i].end - start);
        reservations[i] = reservations[--reservation_count];
        return;
    }
}

/* The kernel owns the page tables: fresh pages at one address, and the same
 * ones again at another. */
int plat_code_zone(uint64_t bytes, void **write, void **exec)
{
    uint64_t phys, to, from;

    *write = plat_reserve(0, bytes);
    *exec = *write ? plat_reserve(0, bytes) : NULL;
    if (!*exec || plat_commit(*write, bytes) < 0)
        return -1;
    from = (uint64_t)(uintptr_t)*write;
    to = (uint64_t)(uintptr_t)*exec;
    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
        if (!vmm_translate(from + at, &phys) ||
            vmm_map(to + at, phys, PAGE_EXEC))
            return -1;
    return 0;
}

uint64_t plat_memory_limit(void) { return memory_limit; }

/* --- the image: from the store, else as the boot loader left it in RAM ---
 */

struct plat_image {
    struct store_image *store; /* NULL: in RAM */
    uint64_t at;               /* position in RAM */
};

static struct plat_image open_image;

/* Images believe in paths: "/name.image" is what the store calls "name". */
static const char *store_key(const char *path)
{
    static char key[STORE_NAME_MAX + 1];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n = strlen(name), suffix = sizeof ".image" - 1;

    if (n > suffix && strcmp(name + n - suffix, ".image") == 0)
        n -= suffix;
    snprintf(key, sizeof key, "%.*s", (int)n, name);
    return key;
}

static char image_warning[200];

const char *plat_image_warning(void)
{
    return image_warning[0] ? image_warning : NULL;
}

static struct plat_image *open_stored(const char *name, uint64_t *size,
                                      const char **why)
{
    open_image.store = store_open(store_key(name), size, why);
    if (!open_image.store)
        return NULL;
    if (*why) {
        snprintf(image_warning, sizeof image_warning,
                 "%s; this is the state before it", *why);
        klog("image: %s\n", image_warning);
    }
    return &open_image;
}

/* What somebody saved is never passed over in silence: with images in the
 * store the delivered one runs only when asked for. */
struct plat_image *plat_image_open(const char *name, uint64_t *size,
                                   const char **why)
{
    bool anything_saved = store_name(0) != NULL;
    static char line[200];

    memset(&open_image, 0, sizeof open_image);
    if ((!prefer_ram || !ram_image.bytes) && open_stored(name, size, why))
        return &open_image;
    if (ram_image.bytes && (prefer_ram || !anything_saved)) {
        *size = ram_image.bytes;
        return &open_image;
    }
    if (ram_image.bytes) {
        snprintf(line, sizeof line, "%s; the boot menu's \"as it was "
                 "delivered\" starts without it", *why);
        *why = line;
    } else if (!store_device()) {
        *why = "no image: no disk has one, and the boot loader brought none";
    }
    return NULL;
}

struct plat_image *plat_image_create(const char *name, uint64_t size,
                                     const char **why)
{
    memset(&open_image, 0, sizeof open_image);
    open_image.store = store_create(store_key(name), size, why);
    return open_image.store ? &open_image : NULL;
}

int plat_image_read(struct plat_image *im, void *bytes, uint64_t n)
{
    if (im->store)
        return store_read(im->store, bytes, n) ? -1 : 0;
    if (n > ram_image.bytes - im->at)
        return -1;
    memcpy(bytes, phys_to_virt(ram_image.start + im->at), n);
    im->at += n;
    return 0;
}

int plat_image_write(struct plat_image *im, const void *bytes, uint64_t n)
{
    return im->store && store_write(im->store, bytes, n) == 0 ? 0 : -1;
}

/* Once an image has been read, only the installer has a use for the boot
 * loader's copy. */
static void drop_ram_image(void)
{
    if (keep_ram_image)
        return;
    pmm_free_range(ram_image.start, ram_image.bytes);
    ram_image.bytes = 0;
}

int plat_image_close(struct plat_image *im, bool ok)
{
    drop_ram_image();
    return im->store && store_close(im->store, ok) ? -1 : 0;
}

const char *plat_image_saved(unsigned index) { return store_name(index); }

int plat_image_remove(const char *name, const char **why)
{
    return store_remove(name, why);
}

const char *plat_image_place(void)
{
    static char place[40];

    if (!store_device())
        return NULL;
    snprintf(place, sizeof place, "the store on %s", store_device()->name);
    return place;
}

bool plat_image_plugged(void)
{
    return !store_device() || !block_gone(store_device());
}

/* --- disks --- */

bool plat_disk(unsigned index, struct plat_disk *disk)
{
    struct storage_disk s;

    if (!storage_disk(index, &s))
        return false;
    memset(disk, 0, sizeof *disk);
    memcpy(disk->name, s.device->name, sizeof disk->name);
    memcpy(disk->model, s.device->model, sizeof disk->model);
    memcpy(disk->contents, s.contents, sizeof disk->contents);
    disk->size = s.device->sectors * s.device->sector_size;
    disk->sector_size = s.device->sector_size;
    disk->empty = s.empty;
    disk->in_use = s.in_use;
    disk->read_only = s.device->read_only;
    return true;
}

int plat_disk_move(const char *name, bool write, uint64_t sector, void *bytes,
                   uint64_t n)
{
    return storage_move(name, write, sector, bytes, n);
}

int plat_disk_use(const char *name, uint64_t first, uint64_t sectors,
                  const char **why)
{
    return storage_use(name, first, sectors, why) ? -1 : 0;
}

int plat_disk_format(const char *name, const char **why)
{
    return storage_format(name, why) ? -1 : 0;
}

/* --- the firmware --- */

int plat_firmware_get(const char *name, void *bytes, uint64_t *n,
                      const char **why)
{
    int error = efi_get(name, bytes, n, why);

    if (error != -ENOENT)
        return error ? -1 : 0;
    *n = 0;
    return 0;
}

int plat_firmware_set(const char *name, const void *bytes, uint64_t n,
                      const char **why)
{
    return efi_set(name, bytes, n, why) ? -1 : 0;
}

/* --- the rest --- */

const char *plat_getenv(const char *name) { return NULL; }

/* Modules that are named by a path stay in memory, the image perhaps. */
static const void *boot_file(const char *path, size_t *n)
{
    if (strcmp(path, "/boot/aerostat.img") == 0 && ram_image.bytes) {
        *n = ram_image.bytes;
        return phys_to_virt(ram_image.start);
    }
    for (unsigned i = 0; i < boot_info->module_count; i++) {
        const struct boot_module *m = &boot_info->modules[i];

        if (strcmp(m->name, path) == 0) {
            *n = m->bytes;
            return phys_to_virt(m->start);
        }
    }
    return NULL;
}

const void *plat_asset(const char *name, size_t *n)
{
    return name[0] == '/' ? boot_file(name, n) : asset_find(name, n);
}
