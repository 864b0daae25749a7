/*
 * platform_files.c - vm/platform.h's files on the mounted volume (fs.h).
 *
 * Makes every path absolute and plain before it reaches the file system.
 */
#include <errno.h>
#include <string.h>

#include "kernel/fs.h"
#include "vm/platform.h"

enum { PATH_BYTES = 1024 };

/* Drops the last name of an absolute path. */
static size_t parent_length(const char *path, size_t n)
{
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n > 0 ? n - 1 : 0;
}

/* Absolute, without '.', '..' and doubled slashes. False: too long. */
static bool normalise(const char *path, char *to)
{
    size_t n = 0;

    while (*path) {
        size_t length = strcspn(path, "/");

        if (length == 2 && path[0] == '.' && path[1] == '.') {
            n = parent_length(to, n);
        } else if (length && !(length == 1 && path[0] == '.')) {
            if (n + length + 2 > PATH_BYTES)
                return false;
            to[n++] = '/';
            memcpy(to + n, path, length);
            n += length;
        }
        path += length;
        if (*path)
            path++;
    }
    if (!n)
        to[n++] = '/';
    to[n] = 0;
    return true;
}

/* The errors that the VM knows by number pass, the rest become -EIO. */
static int error(int64_t e)
{
    switch (e) {
    case -ENOENT: case -EBUSY: case -EEXIST: case -ENODEV: case -ENOSPC:
    case -EROFS:
        return (int)e;
    default:
        return e >= 0 ? (int)e : -EIO;
    }
}

/* Declares `fs`; leaves with -ENODEV where there is no volume. */
#define WITH_VOLUME()                                                        \
    const struct fs_ops *fs = fs_mounted();                                  \
    if (!fs)                                                                 \
        return -ENODEV

/* And `full`, what `path` comes to. */
#define WITH_PATH(path)                                                      \
    char full[PATH_BYTES];                                                   \
    WITH_VOLUME();                                                           \
    if (!normalise(path, full))                                              \
        return -ENOENT

int plat_file_open(const char *path, enum plat_open_mode mode)
{
    WITH_PATH(path);
    return error(fs->open(full, mode == PLAT_READ    ? FS_READ
                                : mode == PLAT_WRITE ? FS_WRITE
                                                     : FS_CREATE_NEW));
}

int64_t plat_file_read(int f, uint64_t at, void *bytes, uint64_t n)
{
    WITH_VOLUME();
    int64_t got = fs->read(f, at, bytes, n);

    return got < 0 ? error(got) : got;
}

int64_t plat_file_write(int f, uint64_t at, const void *bytes, uint64_t n)
{
    WITH_VOLUME();
    int64_t put = fs->write(f, at, bytes, n);

    return put < 0 ? error(put) : put;
}

int64_t plat_file_size(int f)
{
    WITH_VOLUME();
    int64_t size = fs->size(f);

    return size < 0 ? error(size) : size;
}

int plat_file_truncate(int f, uint64_t size)
{
    WITH_VOLUME();
    return error(fs->truncate(f, size));
}

int plat_file_sync(int f)
{
    WITH_VOLUME();
    return error(fs->sync(f));
}

int plat_file_close(int f)
{
    WITH_VOLUME();
    return error(fs->close(f));
}

int plat_file_delete(const char *path)
{
    WITH_PATH(path);
    return error(fs->remove(full));
}

int plat_file_rename(const char *from, const char *to)
{
    char full_to[PATH_BYTES];
    WITH_PATH(from);

    if (!normalise(to, full_to))
        return -ENOENT;
    return error(fs->rename(full, full_to));
}

static void convert(const struct fs_info *from, struct plat_file_info *to)
{
    memset(to, 0, sizeof *to);
    memcpy(to->name, from->name, sizeof to->name);
    to->is_directory = from->is_directory;
    to->size = from->size;
    to->mode = from->is_directory ? 0755 : 0644;
    if (from->read_only)
        to->mode &= ~0222u;
    to->created = from->created;
    to->modified = from->modified;
}

int plat_file_info(const char *path, struct plat_file_info *info)
{
    struct fs_info found;
    int result;
    WITH_PATH(path);

    result = fs->info(full, &found);
    if (result < 0)
        return error(result);
    convert(&found, info);
    return 0;
}

int plat_dir_create(const char *path)
{
    WITH_PATH(path);
    return error(fs->make_directory(full));
}

int plat_dir_delete(const char *path)
{
    WITH_PATH(path);
    return error(fs->remove_directory(full));
}

int plat_dir_entry(const char *path, unsigned index,
                   struct plat_file_info *info)
{
    struct fs_info found;
    int result;
    WITH_PATH(path);

    result = fs->entry(full, index, &found);
    if (result == 1)
        convert(&found, info);
    return error(result);
}

const char *plat_cwd(void) { return "/"; }
