/*
 * files_linux.c - files, directories, the image and the fonts, on Linux.
 *
 * A save goes to a file of its own beside the image, is synced, and takes
 * the image's name only then: whatever happens, one of the two is whole.
 */
#define _GNU_SOURCE
#include "vm/hosted/hosted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, IMAGE_BUFFER = 1 << 20 };

/* --- what the image may change --- */

static char fence[PATH_SIZE]; /* no more than what is below; "": anything */

void files_write_below(const char *directory)
{
    if (!realpath(directory, fence)) {
        fprintf(stderr, "aerostat: %s: %s\n", directory, strerror(errno));
        exit(2);
    }
}

/* A link counts as what it leads to; what is missing, as its directory. */
static bool may_change(const char *path)
{
    char copy[PATH_SIZE], real[PATH_SIZE];
    size_t n = strlen(fence);

    if (!n)
        return true;
    if (strlen(path) >= PATH_SIZE)
        return false;
    strcpy(copy, path);
    if (!realpath(path, real) && !realpath(dirname(copy), real))
        return false;
    return !strncmp(real, fence, n) && (real[n] == '/' || !real[n]);
}

/* --- the image --- */

struct plat_image {
    FILE *file;
    bool saving;
    char name[PATH_SIZE]; /* what a save becomes */
    char temp[PATH_SIZE];
    char buffer[IMAGE_BUFFER];
};

static struct plat_image *image_new(const char *name, bool saving,
                                    const char **why)
{
    struct plat_image *im;
    int n;

    *why = "the name is too long";
    if (strlen(name) >= PATH_SIZE)
        return NULL;
    im = malloc(sizeof *im);
    *why = "no memory";
    if (!im)
        return NULL;
    im->saving = saving;
    strcpy(im->name, name);
    n = snprintf(im->temp, PATH_SIZE, "%s.saving", name);
    *why = "the name is too long";
    if (n >= PATH_SIZE)
        goto fail;
    im->file = fopen(saving ? im->temp : im->name, saving ? "wb" : "rb");
    *why = strerror(errno);
    if (!im->file)
        goto fail;
    setvbuf(im->file, im->buffer, _IOFBF, IMAGE_BUFFER);
    return im;
fail:
    free(im);
    return NULL;
}

struct plat_image *plat_image_open(const char *name, uint64_t *size,
                                   const char **why)
{
    struct plat_image *im = image_new(name, false, why);
    struct stat st;

    if (!im)
        return NULL;
    if (fstat(fileno(im->file), &st) || !S_ISREG(st.st_mode)) {
        *why = "not a file";
        plat_image_close(im, false);
        return NULL;
    }
    *size = (uint64_t)st.st_size;
    return im;
}

struct plat_image *plat_image_create(const char *name, uint64_t size,
                                     const char **why)
{
    struct plat_image *im;

    *why = "it may not be written";
    if (!may_change(name))
        return NULL;
    im = image_new(name, true, why);
    /* A full disk shows now, not half way; some file systems cannot. */
    if (im && posix_fallocate(fileno(im->file), 0, (off_t)size) == ENOSPC) {
        *why = "the disk is full";
        plat_image_close(im, false);
        return NULL;
    }
    return im;
}

int plat_image_read(struct plat_image *im, void *bytes, uint64_t n)
{
    return fread(bytes, 1, n, im->file) == n ? 0 : -1;
}

int plat_image_write(struct plat_image *im, const void *bytes, uint64_t n)
{
    return fwrite(bytes, 1, n, im->file) == n ? 0 : -1;
}

/* The directory's entry is data too. */
static int sync_directory_of(const char *name)
{
    char path[PATH_SIZE];
    int fd, r;

    strcpy(path, name);
    fd = open(dirname(path), O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return -1;
    r = fsync(fd);
    close(fd);
    return r;
}

static int commit(struct plat_image *im)
{
    if (fflush(im->file) || fsync(fileno(im->file)))
        return -1;
    if (rename(im->temp, im->name))
        return -1;
    return sync_directory_of(im->name);
}

int plat_image_close(struct plat_image *im, bool ok)
{
    int r = 0;

    if (im->saving) {
        r = ok ? commit(im) : -1;
        if (r)
            unlink(im->temp);
    }
    fclose(im->file);
    free(im);
    return r;
}

const char *plat_image_warning(void) { return NULL; }
const char *plat_image_place(void) { return ""; }
bool plat_image_plugged(void) { return true; }
const char *plat_image_saved(unsigned index) { return NULL; }

int plat_image_remove(const char *name, const char **why)
{
    *why = "images are files here";
    return -1;
}

/* --- files --- */

static int error_code(void)
{
    switch (errno) {
    case ENOENT: case ENOTDIR: return -2;
    case EEXIST: return -17;
    case ENOSPC: case EDQUOT: return -28;
    case EACCES: case EPERM: return -13;
    case EBUSY: return -16;
    case EROFS: return -30;
    default: return -5;
    }
}

static int result(int r)
{
    return r ? error_code() : 0;
}

/* Not blocking: a named pipe nobody writes to must not stop the VM. */
int plat_file_open(const char *path, enum plat_open_mode mode)
{
    static const int flags[] = {
        [PLAT_READ] = O_RDONLY,
        [PLAT_WRITE] = O_RDWR | O_CREAT,
        [PLAT_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    };
    struct stat st;
    int fd;

    if (mode != PLAT_READ && !may_change(path))
        return -5;
    fd = open(path, flags[mode] | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_code();
    if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
        close(fd);
        return -5;
    }
    return fd;
}

int64_t plat_file_read(int f, uint64_t at, void *bytes, uint64_t n)
{
    uint64_t done = 0;

    while (done < n) {
        ssize_t k = pread(f, (char *)bytes + done, n - done,
                          (off_t)(at + done));

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return done ? (int64_t)done : error_code();
        if (!k)
            break;
        done += (uint64_t)k;
    }
    return (int64_t)done;
}

int64_t plat_file_write(int f, uint64_t at, const void *bytes, uint64_t n)
{
    uint64_t done = 0;

    while (done < n) {
        ssize_t k = pwrite(f, (const char *)bytes + done, n - done,
                           (off_t)(at + done));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return done ? (int64_t)done : error_code();
        done += (uint64_t)k;
    }
    return (int64_t)done;
}

int64_t plat_file_size(int f)
{
    struct stat st;

    return fstat(f, &st) ? error_code() : (int64_t)st.st_size;
}

int plat_file_truncate(int f, uint64_t size)
{
    return result(ftruncate(f, (off_t)size));
}

int plat_file_sync(int f)
{
    return result(fsync(f));
}

int plat_file_close(int f)
{
    return result(close(f));
}

int plat_file_delete(const char *path)
{
    return may_change(path) ? result(unlink(path)) : -5;
}

int plat_file_rename(const char *from, const char *to)
{
    if (!may_change(from) || !may_change(to))
        return -5;
    return result(rename(from, to));
}

static void fill_info(struct plat_file_info *info, const char *name,
                      const struct stat *st, bool link)
{
    snprintf(info->name, sizeof info->name, "%s", name);
    info->is_directory = S_ISDIR(st->st_mode);
    info->is_symlink = link;
    info->size = (uint64_t)st->st_size;
    info->mode = st->st_mode & 07777;
    info->created = st->st_ctime;
    info->modified = st->st_mtime;
}

/* A link counts as what it leads to, or as itself when that is missing. */
static int path_info(const char *path, const char *name,
                     struct plat_file_info *info)
{
    struct stat st, target;
    bool link;

    if (lstat(path, &st))
        return error_code();
    link = S_ISLNK(st.st_mode);
    fill_info(info, name, link && !stat(path, &target) ? &target : &st,
              link);
    return 0;
}

int plat_file_info(const char *path, struct plat_file_info *info)
{
    const char *slash = strrchr(path, '/');

    return path_info(path, slash && slash[1] ? slash + 1 : path, info);
}

/* --- directories --- */

int plat_dir_create(const char *path)
{
    return may_change(path) ? result(mkdir(path, 0777)) : -5;
}

int plat_dir_delete(const char *path)
{
    return may_change(path) ? result(rmdir(path)) : -5;
}

/* The directory being listed: entries are asked for in order, and opening it
 * anew for each would take time quadratic in their number. */
static struct {
    DIR *dir;
    char path[PATH_SIZE];
    unsigned next; /* index of the entry that readdir comes to */
} listing;

static int open_listing(const char *path)
{
    if (listing.dir)
        closedir(listing.dir);
    listing.next = 0;
    listing.dir = NULL;
    if (strlen(path) >= PATH_SIZE)
        return -2;
    listing.dir = opendir(path);
    if (!listing.dir)
        return error_code();
    strcpy(listing.path, path);
    return 0;
}

static const char *next_name(void)
{
    struct dirent *e;

    do
        e = readdir(listing.dir);
    while (e && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")));
    listing.next++;
    return e ? e->d_name : NULL;
}

int plat_dir_entry(const char *path, unsigned index,
                   struct plat_file_info *info)
{
    char full[PATH_SIZE + 256];
    const char *name;
    int r;

    if (!listing.dir || strcmp(listing.path, path) || !index ||
        index < listing.next) {
        r = open_listing(path);
        if (r)
            return r;
    }
    do {
        name = next_name();
        if (!name) {
            closedir(listing.dir);
            listing.dir = NULL;
            return 0;
        }
    } while (listing.next <= index);
    snprintf(full, sizeof full, "%s/%s", path, name);
    if (path_info(full, name, info))
        memset(info, 0, sizeof *info); /* gone meanwhile: the name is left */
    snprintf(info->name, sizeof info->name, "%s", name);
    return 1;
}

const char *plat_cwd(void)
{
    static char path[PATH_SIZE];

    return getcwd(path, sizeof path) ? path : "/";
}

/* --- fonts, where Debian's packages put them --- */

static const char *const font_places[] = {
    "/usr/share/fonts/opentype/inter/%.*s.otf",
    "/usr/share/fonts/truetype/jetbrains-mono/%.*s.ttf",
    "/usr/share/fonts/truetype/noto/%.*s.ttf",
};

static struct asset {
    char name[64];
    const void *bytes;
    size_t size;
    struct asset *next;
} *assets;

static const void *map_file(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *p = MAP_FAILED;

    if (fd < 0)
        return NULL;
    if (!fstat(fd, &st) && st.st_size > 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return NULL;
    *n = (size_t)st.st_size;
    return p;
}

static const void *find_font(const char *name, size_t *n)
{
    const char *dot = strrchr(name, '.');
    int len = dot ? (int)(dot - name) : (int)strlen(name);
    char path[512];
    const void *p = NULL;

    for (size_t i = 0; !p && i < sizeof font_places / sizeof *font_places;
         i++) {
        snprintf(path, sizeof path, font_places[i], len, name);
        p = map_file(path, n);
    }
    return p;
}

const void *plat_asset(const char *name, size_t *n)
{
    struct asset *a;

    if (strchr(name, '/') || strlen(name) >= sizeof a->name)
        return NULL;
    for (a = assets; a; a = a->next)
        if (!strcmp(a->name, name)) {
            *n = a->size;
            return a->bytes;
        }
    a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    strcpy(a->name, name);
    a->bytes = find_font(name, &a->size);
    if (!a->bytes) {
        free(a);
        return NULL;
    }
    a->next = assets;
    assets = a;
    *n = a->size;
    return a->bytes;
}
