/*
 * fs.h - the file system that plat_file_* sees; FAT32 fills it in.
 *
 * Paths are absolute, UTF-8, normalised ('/' between names, no '.', no
 * '..', no slash at the end but the root's). Errors are negative errnos:
 * -ENOENT, -EEXIST, -ENOSPC, -EIO, -EROFS, -ENOTDIR, -EISDIR, -ENOTEMPTY.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fs_info {
    char name[256];
    bool is_directory, read_only;
    uint64_t size;
    int64_t created, modified; /* seconds since 1970 UTC */
};

enum fs_mode { FS_READ, FS_WRITE, FS_CREATE_NEW };

struct fs_ops {
    /* A handle >= 0. FS_WRITE creates what is missing. */
    int (*open)(const char *path, enum fs_mode mode);
    int64_t (*read)(int f, uint64_t at, void *bytes, uint64_t n);
    int64_t (*write)(int f, uint64_t at, const void *bytes, uint64_t n);
    int64_t (*size)(int f);
    int (*truncate)(int f, uint64_t size);
    int (*sync)(int f);
    int (*close)(int f);
    int (*remove)(const char *path);
    int (*rename)(const char *from, const char *to);
    int (*info)(const char *path, struct fs_info *info);
    int (*make_directory)(const char *path);
    int (*remove_directory)(const char *path);
    /* Entry `index`: 1 found, 0 past the end. */
    int (*entry)(const char *path, unsigned index, struct fs_info *info);
};

/* The mounted volume's operations; NULL while there is none. */
void fs_mount(const struct fs_ops *ops);
const struct fs_ops *fs_mounted(void);
