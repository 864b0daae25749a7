/*
 * disks_linux.c - files that the image sees as whole disks: what tools that
 * write to disks are tried on. Without --disk there are none.
 */
#include "vm/hosted/hosted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISKS_MAX = 8 };

static struct disk {
    int fd;
    uint32_t sector_size;
    uint64_t size;
    bool read_only;
} disks[DISKS_MAX];
static unsigned disk_count;

bool disks_add(const char *path, uint32_t sector_size)
{
    struct disk *d = &disks[disk_count];
    struct stat st;

    if (disk_count == DISKS_MAX)
        return false;
    *d = (struct disk){ .sector_size = sector_size };
    d->fd = open(path, O_RDWR | O_CLOEXEC);
    if (d->fd < 0) {
        d->read_only = true;
        d->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (d->fd < 0 || fstat(d->fd, &st))
        return false;
    d->size = (uint64_t)st.st_size / sector_size * sector_size;
    disk_count++;
    return true;
}

/* What is on them, the image finds out by itself. */
bool plat_disk(unsigned index, struct plat_disk *disk)
{
    if (index >= disk_count)
        return false;
    *disk = (struct plat_disk){ .size = disks[index].size,
                                .sector_size = disks[index].sector_size,
                                .read_only = disks[index].read_only };
    snprintf(disk->name, sizeof disk->name, "file%u", index);
    return true;
}

int plat_disk_format(const char *name, const char **why)
{
    *why = "disks are the host system's affair";
    return -1;
}

int plat_disk_use(const char *name, uint64_t first, uint64_t sectors,
                  const char **why)
{
    *why = "images are files here";
    return -1;
}

static int move(int fd, bool write, uint64_t at, void *bytes, uint64_t n)
{
    ssize_t done = write ? pwrite(fd, bytes, n, (off_t)at)
                         : pread(fd, bytes, n, (off_t)at);

    return done == (ssize_t)n ? 0 : -EIO;
}

int plat_disk_move(const char *name, bool write, uint64_t sector, void *bytes,
                   uint64_t n)
{
    const struct disk *d;
    unsigned index;

    if (sscanf(name, "file%u", &index) != 1 || index >= disk_count)
        return -ENODEV;
    d = &disks[index];
    if (write && d->read_only)
        return -EROFS;
    if (write && !n)
        return fsync(d->fd) ? -EIO : 0;
    if (n % d->sector_size || sector > d->size / d->sector_size ||
        n > d->size - sector * d->sector_size)
        return -EINVAL;
    return move(d->fd, write, sector * d->sector_size, bytes, n);
}

int plat_firmware_get(const char *name, void *bytes, uint64_t *n,
                      const char **why)
{
    *why = "the firmware is the host system's affair";
    return -1;
}

int plat_firmware_set(const char *name, const void *bytes, uint64_t n,
                      const char **why)
{
    return plat_firmware_get(name, NULL, NULL, why);
}
