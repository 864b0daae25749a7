/*
 * log_file.c - AEROSTAT.LOG beside the image store: this run's log, a few
 * seconds old. AEROSTAT.OLD is the last run's, with its panic if memory kept
 * that.
 *
 * Written by the machine's thread like any other file, never while stopping:
 * a panic trusts no disk. Disks without our store are left alone.
 */
#include "kernel/log_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/fs.h"
#include "kernel/klog.h"
#include "kernel/log_text.h"
#include "kernel/storage.h"
#include "kernel/work.h"

enum { REST_USECS = 5 * 1000 * 1000 };
#define THIS_RUN "/AEROSTAT.LOG"
#define LAST_RUN "/AEROSTAT.OLD"

static char buffer[LOG_TEXT_BYTES];
static uint64_t written; /* klog_count */
static bool begun, failed;

/* Bytes that were read into the buffer; 0: there is no such file. */
static size_t read_file(const struct fs_ops *fs, const char *path)
{
    int f = fs->open(path, FS_READ);
    int64_t n;

    if (f < 0)
        return 0;
    n = fs->read(f, 0, buffer, sizeof buffer);
    fs->close(f);
    return n > 0 ? (size_t)n : 0;
}

static int write_file(const struct fs_ops *fs, const char *path, size_t n)
{
    int f = fs->open(path, FS_WRITE), closed;
    int64_t result = f;

    if (f < 0)
        return f;
    result = fs->write(f, 0, buffer, n);
    if (result >= 0)
        result = fs->truncate(f, n);
    if (result >= 0)
        result = fs->sync(f);
    closed = fs->close(f);
    return result < 0 ? (int)result : closed;
}

static int write_both(const struct fs_ops *fs)
{
    size_t n = begun ? 0 : klog_copy_last(buffer, sizeof buffer);
    int error = n ? write_file(fs, LAST_RUN, n) : 0;

    if (error)
        return error;
    begun = true;
    return write_file(fs, THIS_RUN, klog_copy(buffer, sizeof buffer));
}

/* A disk that is unplugged may come back; one that cannot be written to is
 * not asked again. */
void log_file_write(void)
{
    uint64_t count = klog_count();
    int error;

    if (failed || count == written || !storage_files_beside_store())
        return;
    error = write_both(fs_mounted());
    if (!error)
        written = count;
    if (!error || error == -ENODEV)
        return;
    failed = true;
    klog("log: not kept on the disk (error %d)\n", error);
}

static void write_now_and_then(struct work *w)
{
    log_file_write();
    work_post(w, REST_USECS);
}

static struct work work = { .run = write_now_and_then };

void log_file_start(void)
{
    if (storage_files_beside_store() &&
        !klog_copy_last(buffer, sizeof buffer))
        klog_last_was(buffer, read_file(fs_mounted(), THIS_RUN));
    work_post(&work, REST_USECS);
}
