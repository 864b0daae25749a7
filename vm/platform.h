/*
 * platform.h - all that the VM asks of the world.
 *
 * Two worlds answer: vm/hosted/platform_linux.c (a Linux process) and
 * kernel/platform_metal.c (the bare machine). Chosen at link time. Every
 * function is called from the VM's one thread unless it says otherwise.
 * Functions that can fail return 0 or a negative number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- console, end --- */

/* Standard output (fd 1) or error (fd 2); the serial port on metal. */
void plat_write(int fd, const char *bytes, size_t n);
/* One byte of standard input or the serial line; 4 (EOT) once standard input
 * has ended; -1 when none is waiting: vm_console_ready tells of the next. */
int plat_read_byte(void);
/* A broken invariant: says `message`, shows what it can (vm_dump_stack),
 * stops. */
_Noreturn void plat_panic(const char *message);
/* Ends the process with `code`, or powers the machine off. */
_Noreturn void plat_exit(int code);
/* Starts the machine anew; comes back where that is nobody's to do. */
void plat_restart(void);

/* --- time --- */

/* Microseconds from an arbitrary start, never going back. */
uint64_t plat_usecs(void);
/* Microseconds since 1970-01-01 UTC. */
int64_t plat_utc_usecs(void);
/* Seconds east of UTC. */
int plat_utc_offset(void);
/* Sleep until plat_usecs() >= `until` or anything arrives (event, signal). */
void plat_idle(uint64_t until);
/* Polled at safepoints about every 1 ms of running: moves waiting input to
 * the event queue (vm_post_event) and does a little pending screen work. */
void plat_poll(void);

/* --- memory --- */

/* Reserves `bytes` of address space at `want` (a page multiple) if it is
 * free, else anywhere. NULL: none. Nothing may be touched before commit. */
void *plat_reserve(uint64_t want, uint64_t bytes);
/* Makes [p, p+bytes) usable (page multiples), whatever is in there. 0 or -1:
 * no memory. */
int plat_commit(void *p, uint64_t bytes);
/* All of [p, p+bytes), which is committed, will be written soon: pages that
 * the first write would wait for may be got meanwhile. */
void plat_prepare(void *p, uint64_t bytes);
/* Gives the pages back; the address range stays reserved. */
void plat_decommit(void *p, uint64_t bytes);
/* Ends a reservation of plat_reserve, whole. */
void plat_release(void *p, uint64_t bytes);
/* Memory for machine code, twice: the same pages are writable at *write and
 * executable at *exec, neither is both. `bytes` is a page multiple; never
 * released. 0 or -1: cannot be had, nothing is compiled then. */
int plat_code_zone(uint64_t bytes, void **write, void **exec);
/* Bytes of memory that the heap may grow to. */
uint64_t plat_memory_limit(void);

/* --- the image, as a stream; one open at a time --- */

struct plat_image; /* the platform's own */

/* Opens image `name` to read; NULL: *why says so in one line. */
struct plat_image *plat_image_open(const char *name, uint64_t *size,
                                   const char **why);
/* Starts a save under `name`: what was saved there stays valid until
 * plat_image_close says 0. `size` is exact. NULL: *why says so. */
struct plat_image *plat_image_create(const char *name, uint64_t size,
                                     const char **why);
/* Exactly n bytes from or to the current position; 0, or -1. */
int plat_image_read(struct plat_image *im, void *bytes, uint64_t n);
int plat_image_write(struct plat_image *im, const void *bytes, uint64_t n);
/* Closes; for a save, commits if `ok`, else drops it. 0, or -1: not saved. */
int plat_image_close(struct plat_image *im, bool ok);

/* What a user should know of the image that was opened, in a line (an older
 * state was taken); NULL: nothing. */
const char *plat_image_warning(void);
/* Name of saved image `index` where there is a store, the newest first; NULL
 * past the end. */
const char *plat_image_saved(unsigned index);
/* Forgets a saved image for good. 0, or -1: *why says in one line why not. */
int plat_image_remove(const char *name, const char **why);
/* Where saves go, in words ("the store on sata0p2"; "" where the image's name
 * says it); NULL: nowhere yet. */
const char *plat_image_place(void);
/* False while the disk that saves go to is unplugged. */
bool plat_image_plugged(void);

/* --- whole disks: the place for images, looking, installing --- */

struct plat_disk {
    char name[16], model[48];
    char contents[64]; /* what is on it, in words */
    uint64_t size;     /* bytes */
    uint32_t sector_size;
    bool empty;  /* nothing is on it, and it could be formatted */
    bool in_use; /* images or files are kept on it now */
    bool read_only;
};

/* Disk `index`; false past the end, and where disks are somebody else's. */
bool plat_disk(unsigned index, struct plat_disk *disk);
/* Makes an empty disk the place for images and files. 0, or -1: *why says in
 * one line why not. */
int plat_disk_format(const char *name, const char **why);
/* Reads or writes n bytes, whole sectors, at a sector of disk `name`; a write
 * of none makes those before lasting. 0, or a negative error as of files: -16
 * for writing to a disk in use, -19 if it is gone. */
int plat_disk_move(const char *name, bool write, uint64_t sector, void *bytes,
                   uint64_t n);
/* Images are kept from now on in these sectors of a disk, in an empty store
 * if they begin with zeros; no sectors: in that of partition `name`; no name:
 * nowhere. The
 * newest image there, if any, must be whole. 0, or -1: *why. */
int plat_disk_use(const char *name, uint64_t first, uint64_t sectors,
                  const char **why);

/* --- the firmware's variables: what it starts --- */

/* The value of a variable that all systems share ("BootOrder") into *n bytes;
 * *n: how many it has, 0 for none of that name. 0, or -1: *why. */
int plat_firmware_get(const char *name, void *bytes, uint64_t *n,
                      const char **why);
/* Gives it another; no bytes: takes it away. 0, or -1: *why. */
int plat_firmware_set(const char *name, const void *bytes, uint64_t n,
                      const char **why);

/* --- display --- */

struct plat_display {
    uint32_t width, height; /* pixels of the screen or window */
};

void plat_display_info(struct plat_display *d);
/* The UI scale that fits the screen, in percent: 100 to 300. */
uint32_t plat_display_scale(void);
/* Asks for a window of that size (hosted), or as much of it as the screen has
 * room for; a no-op where the size is given. */
void plat_display_want(uint32_t width, uint32_t height);
/* Size `index` that the screen can be set to, the smallest first; false past
 * the end, and where the size is a window's. */
bool plat_display_mode(unsigned index, uint32_t *width, uint32_t *height);
/* Sets one of them: 0, and VM_WINDOW_RESIZED follows; or -1, and the old one
 * stays. */
int plat_display_set(uint32_t width, uint32_t height);
/* Shows a rectangle of a 32-bit XRGB picture of `pitch` bytes a row, whose
 * pixel (0,0) is the screen's. The rectangle lies within the picture; the
 * platform clips it to the screen. May be deferred to the next plat_poll. A
 * pitch of 0 shows one row all over. */
void plat_display_show(const uint32_t *pixels, uint32_t pitch, int32_t left,
                       int32_t top, int32_t right, int32_t bottom);
/* Sets the pointer's shape: w*h premultiplied ARGB pixels, hot spot inside. */
void plat_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y);

/* --- clipboard: UTF-8 --- */

/* The platform's buffer, valid until the next call. */
const char *plat_clipboard_get(size_t *n);
void plat_clipboard_set(const char *utf8, size_t n);

/* --- files: paths are UTF-8, '/' between names --- */

enum plat_open_mode { PLAT_READ, PLAT_WRITE, PLAT_CREATE_NEW };

struct plat_file_info {
    char name[256];
    bool is_directory, is_symlink;
    uint64_t size;
    uint32_t mode;                  /* POSIX bits; made up where unknown */
    int64_t created, modified;      /* seconds since 1970 UTC */
};

/* A handle >= 0 or a negative error: -2 missing, -13 not permitted, -16 in
 * use, -17 exists, -19 no volume for files, -28 full, -30 read-only, else -5.
 * PLAT_WRITE creates what is missing and truncates nothing. */
int plat_file_open(const char *path, enum plat_open_mode mode);
int64_t plat_file_read(int f, uint64_t at, void *bytes, uint64_t n);
int64_t plat_file_write(int f, uint64_t at, const void *bytes, uint64_t n);
int64_t plat_file_size(int f);
int plat_file_truncate(int f, uint64_t size);
int plat_file_sync(int f);
int plat_file_close(int f);
int plat_file_delete(const char *path);
int plat_file_rename(const char *from, const char *to);
int plat_file_info(const char *path, struct plat_file_info *info);
int plat_dir_create(const char *path);
int plat_dir_delete(const char *path);
/* Entry `index` (from 0, without . and ..): 1 found, 0 past the end, <0. */
int plat_dir_entry(const char *path, unsigned index,
                   struct plat_file_info *info);
/* Current directory; absolute, no trailing slash unless the root. */
const char *plat_cwd(void);
/* Value of an environment variable, or NULL. */
const char *plat_getenv(const char *name);

/* --- picture and font data that the image may load: NULL if absent.
 * Names: "Inter-Regular.ttf", ... The bytes stay valid for ever. Names with a
 * slash first are files that start a machine, as the boot loader brought them
 * ("/boot/kernel.elf"). --- */
const void *plat_asset(const char *name, size_t *n);

/* --- the machine itself, for the curious and for drivers in Smalltalk --- */

/* What is known of `topic` ("cpu", "memory", "pci", "usb", "interrupts",
 * "disks", "clocks", "log", "lastlog"), in lines of fields with tabs in
 * between (image/src/Tools-Hardware reads them). Bytes written, at most `n`;
 * 0: nothing is known. */
size_t plat_describe(const char *topic, char *text, size_t n);

/* Doors to devices. Results are 0 or negative: -1 not permitted, -2 missing,
 * -12 no memory, -16 somebody else has it, -22 senseless. `function` is
 * bus << 8 | slot << 3 | function. */
struct plat_hardware {
    /* `bytes` is 1, 2 or 4. */
    int (*port_read)(uint16_t port, unsigned bytes, uint32_t *value);
    int (*port_write)(uint16_t port, unsigned bytes, uint32_t value);
    int (*pci_read)(unsigned function, unsigned reg, unsigned bytes,
                    uint32_t *value);
    int (*pci_write)(unsigned function, unsigned reg, unsigned bytes,
                     uint32_t value);
    /* Registers of a device at a physical address; -1: RAM is there, or what
     * the kernel itself drives. They stay mapped. */
    int (*map)(uint64_t address, uint64_t bytes, void **at);
    /* Zeroed neighbouring pages that devices reach. */
    int (*dma_alloc)(uint64_t bytes, uint64_t *address, void **at);
    void (*dma_free)(uint64_t address, uint64_t bytes);
    /* Signals external object `semaphore` at each interrupt of a line (>= 0),
     * or of a PCI function if `line` is -1, and keeps further ones back until
     * told that it was dealt with. A number >= 0, or an error. */
    int (*interrupt_open)(int line, unsigned function, int semaphore);
    int (*interrupt_done)(int number);
    int (*interrupt_close)(int number);
    /* What an input device says: steps, or with `absolute` 0 to 65535 across
     * the screen; buttons held now: 1 left, 2 right, 4 middle; a key as its
     * USB usage. */
    void (*pointer)(bool absolute, int x, int y, int wheel, unsigned buttons);
    void (*key)(unsigned usage, bool down);
};

/* NULL: devices are not for the image (hosted, or locked). */
const struct plat_hardware *plat_hardware(void);
