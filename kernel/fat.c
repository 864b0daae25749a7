/*
 * fat.c - files of a FAT32 volume behind the fs_ops door (fs.h).
 *
 * A node is a file that somebody has open; handles that name one file share
 * its node, so that all of them see one size. Metadata goes to the disk with
 * the write that changes it; `sync` (fs.h) adds the device's own flush.
 */
#include "kernel/fat.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/block.h"
#include "kernel/bytes.h"
#include "kernel/fat_private.h"

enum { NODES = 256, HANDLES = 256, SHORT_NAME = 11 };

struct node {
    unsigned users;
    struct fat_place place; /* its short entry */
    uint8_t name[SHORT_NAME];
    uint32_t first;         /* cluster, 0: empty */
    uint32_t size;
    /* where the last access ended: cluster number `at_index` of the chain */
    uint32_t at_index, at_cluster;
};

struct handle {
    struct node *node; /* NULL: free */
    bool writable;
};

static struct fat_volume volume;
static struct node nodes[NODES];
static struct handle handles[HANDLES];

/* --- nodes --- */

static struct node *node_of(struct fat_place place)
{
    for (unsigned i = 0; i < NODES; i++)
        if (nodes[i].users && nodes[i].place.cluster == place.cluster &&
            nodes[i].place.offset == place.offset)
            return &nodes[i];
    return NULL;
}

static struct node *node_open(const struct fat_entry *e)
{
    struct node *n = node_of(e->place);

    for (unsigned i = 0; i < NODES && !n; i++)
        if (nodes[i].users == 0) {
            n = &nodes[i];
            *n = (struct node){ .place = e->place, .first = e->first,
                                .size = e->info.size };
            fat_read(&volume, e->place.cluster, e->place.offset, n->name,
                     SHORT_NAME);
        }
    if (n)
        n->users++;
    return n;
}

static struct handle *handle_of(int f)
{
    return f >= 0 && f < HANDLES && handles[f].node ? &handles[f] : NULL;
}

/* --- clusters of a file --- */

/* Cluster `index` of the node's chain; 0 in *cluster: the chain is shorter. */
static int seek(struct node *n, uint32_t index, uint32_t *cluster)
{
    uint32_t i = 0, c = n->first;
    int error = 0;

    if (n->at_cluster && n->at_index <= index) {
        i = n->at_index;
        c = n->at_cluster;
    }
    while (c && i < index && !error) {
        uint32_t next;

        error = fat_next(&volume, c, &next);
        if (!error && next) {
            n->at_index = i + 1;
            n->at_cluster = next;
        }
        c = next;
        i++;
    }
    *cluster = c;
    if (!error && c) {
        n->at_index = index;
        n->at_cluster = c;
    }
    return error;
}

/* Clusters from `index` on that lie side by side on the disk, at most
 * `most`; the first of them, or 0, in *cluster. */
static int seek_run(struct node *n, uint32_t index, uint32_t most,
                    uint32_t *cluster, uint32_t *count)
{
    int error = seek(n, index, cluster);
    uint32_t next;

    for (*count = 1; !error && *cluster && *count < most; ++*count) {
        error = seek(n, index + *count, &next);
        if (next != *cluster + *count)
            break;
    }
    return error;
}

/* Like seek, but makes the chain long enough. */
static int seek_or_grow(struct node *n, uint32_t index, uint32_t *cluster)
{
    int error = seek(n, index, cluster);

    while (!error && !*cluster) {
        uint32_t last = n->first ? n->at_cluster : 0, fresh;

        if (n->first && !last)
            last = n->first;
        error = fat_allocate(&volume, last, &fresh);
        if (error)
            return error;
        if (!n->first) {
            n->first = n->at_cluster = fresh;
            n->at_index = 0;
        }
        error = seek(n, index, cluster);
    }
    return error;
}

/* --- reading, writing --- */

/* As much of n bytes as one request can: part of a cluster, or a run. */
static int64_t read_some(struct node *node, uint64_t at, uint8_t *to,
                         uint64_t n)
{
    uint32_t size = volume.cluster_bytes, offset = at % size;
    uint32_t cluster, count, most = offset ? 1 : n / size;
    uint64_t part = size - offset;
    int error = seek_run(node, at / size, most, &cluster, &count);

    if (error || !cluster)
        return error ? error : -EIO;
    if (count > 1) {
        part = (uint64_t)count * size;
        error = fat_read_run(&volume, cluster, count, to);
    } else {
        part = part < n ? part : n;
        error = fat_read(&volume, cluster, offset, to, part);
    }
    return error ? error : (int64_t)part;
}

static int64_t file_read(int f, uint64_t at, void *bytes, uint64_t n)
{
    struct handle *h = handle_of(f);
    uint8_t *to = bytes;
    uint64_t done = 0;

    if (!h)
        return -EBADF;
    if (at >= h->node->size)
        return 0;
    if (n > h->node->size - at)
        n = h->node->size - at;
    while (done < n) {
        int64_t part = read_some(h->node, at + done, to + done, n - done);

        if (part < 0)
            return part;
        done += part;
    }
    return done;
}

static int write_range(struct node *node, uint64_t at, const uint8_t *from,
                       uint64_t n, uint64_t *done)
{
    for (*done = 0; *done < n;) {
        uint64_t where = at + *done;
        uint32_t offset = where % volume.cluster_bytes, cluster;
        uint64_t part = volume.cluster_bytes - offset;
        int error = seek_or_grow(node, where / volume.cluster_bytes,
                                 &cluster);

        part = part < n - *done ? part : n - *done;
        if (!error)
            error = fat_write(&volume, cluster, offset,
                              from + *done, part);
        if (error)
            return error;
        *done += part;
    }
    return 0;
}

static int64_t file_size(int f)
{
    struct handle *h = handle_of(f);

    return h ? (int64_t)h->node->size : -EBADF;
}

static int shorten(struct node *n, uint32_t size)
{
    uint32_t keep, first = n->first;
    int error = 0;

    n->at_cluster = 0;
    if (size == 0) {
        n->first = 0;
        n->size = 0;
        error = fat_dir_update(&volume, n->place, 0, 0);
        return error || !first ? error : fat_free_chain(&volume, first);
    }
    error = seek(n, (size - 1) / volume.cluster_bytes, &keep);
    if (!error && !keep)
        error = -EIO;
    if (!error)
        error = fat_dir_update(&volume, n->place, n->first, size);
    if (!error) {
        n->size = size;
        error = fat_cut(&volume, keep);
    }
    return error;
}

/* Zeros between the old end and `at`, in pieces: all of them or none. */
static int fill_gap(struct node *node, uint64_t at)
{
    static const uint8_t zeros[512];
    uint32_t before = node->size;
    int error = 0;

    while (node->size < at && !error) {
        uint64_t n = at - node->size, done;

        n = n < sizeof zeros ? n : sizeof zeros;
        error = write_range(node, node->size, zeros, n, &done);
        node->size += done;
    }
    if (error)
        shorten(node, before); /* what was wrong first is what is told */
    return error;
}

/* A full disk answers -ENOSPC; what the file had stays, and all that fitted
 * is there, unless it would lie behind a gap. */
static int64_t file_write(int f, uint64_t at, const void *bytes, uint64_t n)
{
    struct handle *h = handle_of(f);
    uint64_t done = 0;
    int error;

    if (!h)
        return -EBADF;
    if (!h->writable)
        return -EROFS;
    if (at > UINT32_MAX || n > UINT32_MAX - at)
        return -EFBIG;
    error = fill_gap(h->node, at);
    if (error)
        return error;
    error = write_range(h->node, at, bytes, n, &done);
    if (at + done > h->node->size)
        h->node->size = at + done;
    int update = fat_dir_update(&volume, h->node->place, h->node->first,
                                h->node->size);
    if (!error)
        error = update;
    return error ? error : (int64_t)done;
}

static int file_truncate(int f, uint64_t size)
{
    struct handle *h = handle_of(f);
    int error;

    if (!h)
        return -EBADF;
    if (!h->writable)
        return -EROFS;
    if (size > UINT32_MAX)
        return -EFBIG;
    if (size <= h->node->size)
        return shorten(h->node, size);
    error = fill_gap(h->node, size);
    int update = fat_dir_update(&volume, h->node->place, h->node->first,
                                h->node->size);
    return error ? error : update;
}

static int file_sync(int f)
{
    return handle_of(f) ? block_flush(volume.device) : -EBADF;
}

static int file_close(int f)
{
    struct handle *h = handle_of(f);

    if (!h)
        return -EBADF;
    h->node->users--;
    h->node = NULL;
    return 0;
}

/* --- opening --- */

static int create_file(const char *path, struct fat_entry *e)
{
    const char *name;
    uint32_t dir;
    int error = fat_parent(&volume, path, &dir, &name);

    return error ? error
                 : fat_dir_add(&volume, dir, name, ATTR_ARCHIVE, 0, 0, e);
}

static int file_open(const char *path, enum fs_mode mode)
{
    struct fat_entry e;
    int error = fat_lookup(&volume, path, &e), f = 0;

    while (f < HANDLES && handles[f].node)
        f++;
    if (f == HANDLES)
        return -EMFILE;
    if (mode != FS_READ && volume.device->read_only)
        return -EROFS;
    if (!error && mode == FS_CREATE_NEW)
        return -EEXIST;
    if (error == -ENOENT && mode != FS_READ)
        error = create_file(path, &e);
    if (error)
        return error;
    if (e.info.is_directory)
        return -EISDIR;
    if (mode != FS_READ && e.info.read_only)
        return -EROFS;
    handles[f].node = node_open(&e);
    handles[f].writable = mode != FS_READ;
    return handles[f].node ? f : -EMFILE;
}

/* --- names --- */

static int path_remove(const char *path)
{
    struct fat_entry e;
    int error = fat_lookup(&volume, path, &e);

    if (error)
        return error;
    if (e.info.is_directory)
        return -EISDIR;
    if (node_of(e.place))
        return -EBUSY;
    error = fat_dir_remove(&volume, &e);
    return error || !e.first ? error : fat_free_chain(&volume, e.first);
}

/* Whether directory `dir` is `e` or lies below it: such a rename would cut
 * a circle off the tree. Paths are normalised, so a prefix tells. */
static bool is_within(const char *inner, const char *outer)
{
    size_t n = strlen(outer);

    return strncmp(inner, outer, n) == 0 && (inner[n] == '/' || !inner[n]);
}

/* ORDER: the new entry first; a cut between leaves two names, not none. */
static int path_rename(const char *from, const char *to)
{
    struct fat_entry e, fresh;
    const char *name;
    uint32_t dir;
    int error = fat_lookup(&volume, from, &e);

    if (error)
        return error;
    if (!e.place.cluster || (e.info.is_directory && is_within(to, from)))
        return -EINVAL;
    if (node_of(e.place))
        return -EBUSY;
    if (fat_lookup(&volume, to, &fresh) == 0)
        return -EEXIST;
    error = fat_parent(&volume, to, &dir, &name);
    if (!error)
        error = fat_dir_add(&volume, dir, name, e.attributes, e.first,
                            e.info.size, &fresh);
    if (!error && e.info.is_directory) {
        uint8_t start[4] = { dir >> 16, dir >> 24, dir, dir >> 8 };

        if (dir == volume.root)
            memset(start, 0, sizeof start);
        error = fat_write(&volume, e.first, DIR_ENTRY + 20, start, 2);
        if (!error)
            error = fat_write(&volume, e.first, DIR_ENTRY + 26, start + 2, 2);
    }
    return error ? error : fat_dir_remove(&volume, &e);
}

static int path_info(const char *path, struct fs_info *info)
{
    struct fat_entry e;
    int error = fat_lookup(&volume, path, &e);
    struct node *n = error ? NULL : node_of(e.place);

    if (error)
        return error;
    *info = e.info;
    if (n && e.place.cluster)
        info->size = n->size;
    return 0;
}

static int directory_make(const char *path)
{
    struct fat_entry e;
    const char *name;
    uint32_t dir, cluster;
    int error = fat_lookup(&volume, path, &e);

    if (error != -ENOENT)
        return error ? error : -EEXIST;
    error = fat_parent(&volume, path, &dir, &name);
    if (!error)
        error = fat_allocate(&volume, 0, &cluster);
    if (error)
        return error;
    error = fat_dir_init(&volume, cluster, dir);
    if (!error)
        error = fat_dir_add(&volume, dir, name, ATTR_DIRECTORY, cluster, 0,
                            &e);
    if (error)
        fat_free_chain(&volume, cluster);
    return error;
}

static int directory_remove(const char *path)
{
    struct fat_entry e;
    int error = fat_lookup(&volume, path, &e);

    if (error)
        return error;
    if (!e.info.is_directory)
        return -ENOTDIR;
    if (!e.place.cluster)
        return -EBUSY;
    if (!fat_dir_empty(&volume, e.first, &error))
        return error ? error : -ENOTEMPTY;
    error = fat_dir_remove(&volume, &e);
    return error ? error : fat_free_chain(&volume, e.first);
}

static int directory_entry(const char *path, unsigned index,
                           struct fs_info *info)
{
    struct fat_entry e;
    int found = fat_lookup(&volume, path, &e);

    if (found)
        return found;
    if (!e.info.is_directory)
        return -ENOTDIR;
    found = fat_dir_entry(&volume, e.first, index, &e);
    if (found > 0)
        *info = e.info;
    return found;
}

static const struct fs_ops operations = {
    .open = file_open, .read = file_read, .write = file_write,
    .size = file_size, .truncate = file_truncate, .sync = file_sync,
    .close = file_close, .remove = path_remove, .rename = path_rename,
    .info = path_info, .make_directory = directory_make,
    .remove_directory = directory_remove, .entry = directory_entry,
};

const struct fs_ops *fat_mount(struct block_device *d)
{
    memset(nodes, 0, sizeof nodes);
    memset(handles, 0, sizeof handles);
    return fat_volume_open(&volume, d) ? NULL : &operations;
}

/* --- a disk that was out of the machine --- */

static void forget_node(struct node *n)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (handles[i].node == n)
            handles[i].node = NULL;
    n->users = 0;
}

/* The file as its entry tells now; false: it is not that file's any more. */
static bool refresh_node(struct node *n)
{
    uint8_t raw[DIR_ENTRY];

    if (fat_read(&volume, n->place.cluster, n->place.offset, raw,
                 DIR_ENTRY) ||
        memcmp(raw, n->name, SHORT_NAME) != 0 ||
        (raw[11] & (ATTR_DIRECTORY | ATTR_VOLUME)))
        return false;
    n->first = get16(raw + 26) | get16(raw + 20) << 16;
    n->size = get32(raw + 28);
    n->at_index = n->at_cluster = 0;
    return true;
}

/* Reads the volume's own description anew, and with it drops what is
 * cached of the old one. */
static bool same_volume(void)
{
    struct fat_volume now;

    if (fat_volume_open(&now, volume.device))
        return false;
    now.next_free = volume.next_free;
    return memcmp(&now, &volume, sizeof now) == 0;
}

bool fat_came_back(const struct block_device *disk)
{
    const struct block_device *d = volume.device;
    bool same;

    if (!d || (d != disk && d->parent != disk))
        return true;
    same = same_volume();
    for (unsigned i = 0; i < NODES; i++)
        if (nodes[i].users && !(same && refresh_node(&nodes[i])))
            forget_node(&nodes[i]);
    if (!same)
        volume.device = NULL;
    return same;
}
