/*
 * plat_stub.c - the platform of the unit tests: memory by mmap, images by
 * stdio, and nothing else. No window, no files, no clock but the real one.
 *
 * plat_stub.h tells what tests can turn.
 */
#define _GNU_SOURCE
#include "tests/unit/plat_stub.h"
#include "vm/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

uint64_t plat_stub_memory = UINT64_MAX;
uint64_t plat_stub_committed;

/* --- console, end, time --- */

void plat_write(int fd, const char *bytes, size_t n)
{
    if (write(fd, bytes, n) < 0)
        abort();
}
int plat_read_byte(void) { return -1; }
void plat_panic(const char *message)
{
    fprintf(stderr, "panic: %s\n", message);
    abort();
}
void plat_exit(int code) { exit(code); }
void plat_restart(void) {}
uint64_t plat_stub_clock, plat_stub_tick;

uint64_t plat_usecs(void)
{
    struct timespec t;

    if (plat_stub_clock)
        return plat_stub_clock += plat_stub_tick;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
int64_t plat_utc_usecs(void) { return (int64_t)time(NULL) * 1000000; }
int plat_utc_offset(void) { return 0; }
void plat_idle(uint64_t until) {}
void plat_poll(void) {}

/* --- memory --- */

void *plat_reserve(uint64_t want, uint64_t bytes)
{
    void *p = mmap((void *)(uintptr_t)want, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                       (want ? MAP_FIXED_NOREPLACE : 0), -1, 0);

    if (p == MAP_FAILED && want)
        return plat_reserve(0, bytes);
    return p == MAP_FAILED ? NULL : p;
}

int plat_commit(void *p, uint64_t bytes)
{
    if (plat_stub_committed + bytes > plat_stub_memory)
        return -1;
    plat_stub_committed += bytes;
    if (mprotect(p, bytes, PROT_READ | PROT_WRITE))
        return -1;
    /* nobody may count on what is in there */
    memset(p, 0xa5, bytes < 65536 ? bytes : 65536);
    return 0;
}

void plat_prepare(void *p, uint64_t bytes) {}

void plat_decommit(void *p, uint64_t bytes)
{
    plat_stub_committed -= bytes;
    madvise(p, bytes, MADV_DONTNEED);
    mprotect(p, bytes, PROT_NONE);
}

void plat_release(void *p, uint64_t bytes) { munmap(p, bytes); }
int plat_code_zone(uint64_t bytes, void **write_to, void **exec)
{
    int f = memfd_create("code", 0);

    if (f < 0 || ftruncate(f, (off_t)bytes) < 0)
        return -1;
    *write_to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    *exec = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, f, 0);
    close(f);
    return *write_to == MAP_FAILED || *exec == MAP_FAILED ? -1 : 0;
}
uint64_t plat_memory_limit(void) { return 256ull << 20; }

/* --- images --- */

struct plat_image {
    FILE *file;
    bool saving;
    char name[512], temporary[520];
};

static struct plat_image *image_open(const char *name, bool saving,
                                     const char **why)
{
    struct plat_image *im = calloc(1, sizeof *im);

    snprintf(im->name, sizeof im->name, "%s", name);
    snprintf(im->temporary, sizeof im->temporary, "%s.new", name);
    im->saving = saving;
    im->file = saving ? fopen(im->temporary, "wb") : fopen(name, "rb");
    if (im->file)
        return im;
    *why = "no such image";
    free(im);
    return NULL;
}

struct plat_image *plat_image_open(const char *name, uint64_t *size,
                                   const char **why)
{
    struct plat_image *im = image_open(name, false, why);

    if (!im)
        return NULL;
    fseek(im->file, 0, SEEK_END);
    *size = (uint64_t)ftell(im->file);
    rewind(im->file);
    return im;
}

struct plat_image *plat_image_create(const char *name, uint64_t size,
                                     const char **why)
{
    return image_open(name, true, why);
}

int plat_image_read(struct plat_image *im, void *bytes, uint64_t n)
{
    return fread(bytes, 1, n, im->file) == n ? 0 : -1;
}

int plat_image_write(struct plat_image *im, const void *bytes, uint64_t n)
{
    return fwrite(bytes, 1, n, im->file) == n ? 0 : -1;
}

int plat_image_close(struct plat_image *im, bool ok)
{
    int result = fclose(im->file);

    if (im->saving)
        result |= ok ? rename(im->temporary, im->name)
                     : remove(im->temporary);
    free(im);
    return result ? -1 : 0;
}

/* --- what no unit test needs --- */

const char *plat_image_warning(void) { return NULL; }
const char *plat_image_place(void) { return NULL; }
bool plat_image_plugged(void) { return true; }
const char *plat_image_saved(unsigned index) { return NULL; }
int plat_image_remove(const char *name, const char **why) { return -1; }
bool plat_disk(unsigned index, struct plat_disk *disk) { return false; }
int plat_disk_format(const char *name, const char **why) { return -1; }
int plat_disk_move(const char *name, bool write, uint64_t sector, void *bytes,
                   uint64_t n)
{
    return -19;
}
int plat_disk_use(const char *name, uint64_t first, uint64_t sectors,
                  const char **why)
{
    return -1;
}

void plat_display_info(struct plat_display *d)
{
    d->width = 640;
    d->height = 480;
}
uint32_t plat_display_scale(void) { return 100; }
void plat_display_want(uint32_t width, uint32_t height) {}
bool plat_display_mode(unsigned index, uint32_t *width, uint32_t *height)
{
    return false;
}
int plat_display_set(uint32_t width, uint32_t height) { return -1; }
void plat_display_show(const uint32_t *pixels, uint32_t pitch, int32_t left,
                       int32_t top, int32_t right, int32_t bottom) {}
void plat_cursor(const uint32_t *argb, int w, int h, int hot_x, int hot_y) {}
const char *plat_clipboard_get(size_t *n)
{
    *n = 0;
    return "";
}
void plat_clipboard_set(const char *utf8, size_t n) {}
int plat_file_open(const char *path, enum plat_open_mode mode) { return -2; }
int64_t plat_file_read(int f, uint64_t at, void *bytes, uint64_t n)
{
    return -5;
}
int64_t plat_file_write(int f, uint64_t at, const void *bytes, uint64_t n)
{
    return -5;
}
int64_t plat_file_size(int f) { return -5; }
int plat_file_truncate(int f, uint64_t size) { return -5; }
int plat_file_sync(int f) { return -5; }
int plat_file_close(int f) { return -5; }
int plat_file_delete(const char *path) { return -2; }
int plat_file_rename(const char *from, const char *to) { return -2; }
int plat_file_info(const char *path, struct plat_file_info *info)
{
    return -2;
}
int plat_dir_create(const char *path) { return -5; }
int plat_dir_delete(const char *path) { return -5; }
int plat_dir_entry(const char *path, unsigned index,
                   struct plat_file_info *info)
{
    return 0;
}
const char *plat_cwd(void) { return "/"; }
const char *plat_getenv(const char *name) { return NULL; }
const void *plat_asset(const char *name, size_t *n) { return NULL; }

/* --- devices --- */

const struct plat_hardware *plat_stub_hardware;

const struct plat_hardware *plat_hardware(void) { return plat_stub_hardware; }
size_t plat_describe(const char *topic, char *text, size_t n) { return 0; }

int plat_firmware_get(const char *name, void *bytes, uint64_t *n,
                      const char **why)
{
    *why = "no firmware";
    return -1;
}

int plat_firmware_set(const char *name, const void *bytes, uint64_t n,
                      const char **why)
{
    *why = "no firmware";
    return -1;
}
