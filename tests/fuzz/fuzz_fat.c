/*
 * fuzz_fat.c - damaged FAT32 volumes. The input is the volume, and after its
 * whole sectors what is done to it: a byte for the deed, one for the file.
 */
#include "kernel/clock.h"
#include "kernel/fat.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/ram_disk.h"

enum { SECTORS = 64, FAT_SECTORS = 1, ENTRY = 32, LOOKS = 60, DEPTH = 3 };

static const char *const names[] = {
    "/plain.txt", "/A long name with spaces.changes", "/folder",
    "/folder/inner file", "/folder/deeper", "/folder/deeper/last.st",
    "/new \xc3\xbcml\xc3\xa4ut", "/folder/moved",
};
static const uint8_t deeds[] = { 0, 3, 1, 1, 2, 0, 3, 6, 4, 7, 5, 4, 6, 3 };

static struct ram_disk disk;
static const struct fs_ops *fs;
static unsigned looks; /* a damaged directory may be a circle */

int64_t clock_utc_usecs(void)
{
    return 1700000000ll * 1000000;
}

static void read_some(const char *path)
{
    uint8_t bytes[700];
    int f = fs->open(path, FS_READ);

    if (f < 0)
        return;
    if (fs->read(f, 0, bytes, sizeof bytes) > (int64_t)sizeof bytes)
        abort();
    fs->read(f, (uint64_t)fs->size(f) / 2, bytes, sizeof bytes);
    fs->close(f);
}

static void walk(const char *path, unsigned depth)
{
    struct fs_info info;
    char inner[2048];

    for (unsigned i = 0; looks < LOOKS && fs->entry(path, i, &info) > 0;
         i++) {
        looks++;
        if (!memchr(info.name, 0, sizeof info.name))
            abort();
        snprintf(inner, sizeof inner, "%s/%s", path[1] ? path : "",
                 info.name);
        if (!info.is_directory)
            read_some(inner);
        else if (depth < DEPTH)
            walk(inner, depth + 1);
    }
}

static void write_some(const char *path, unsigned how)
{
    static const uint8_t bytes[1500] = "some text";
    int f = fs->open(path, how & 1 ? FS_WRITE : FS_CREATE_NEW);

    if (f < 0)
        return;
    fs->write(f, how * 16, bytes, how * 5);
    if (how & 2)
        fs->truncate(f, how * 4);
    fs->sync(f);
    fs->close(f);
}

static void act(uint8_t deed, uint8_t which)
{
    const char *path = names[which % 8];
    struct fs_info info;

    switch (deed % 8) {
    case 0: case 1: write_some(path, which); break;
    case 2: fs->remove(path); break;
    case 3: fs->make_directory(path); break;
    case 4: fs->remove_directory(path); break;
    case 5: fs->rename(path, names[which / 8 % 8]); break;
    case 6: read_some(path); break;
    case 7: fs->info(path, &info); break;
    }
}

static bool run(uint8_t *data, size_t size)
{
    size_t whole = size / RAM_SECTOR * RAM_SECTOR;

    ram_init(&disk, whole / RAM_SECTOR + 1);
    memcpy(disk.bytes, data, whole);
    disk.device.sectors = whole / RAM_SECTOR;
    fs = fat_mount(&disk.device);
    for (int pass = 0; pass < 2 && fs; pass++) {
        looks = 0;
        walk("/", 0);
        for (size_t i = whole; i + 1 < size && pass == 0; i += 2)
            act(data[i], data[i + 1]);
        fs = fat_mount(&disk.device);
    }
    ram_free(&disk);
    return fs != NULL;
}

/* The checksum that binds a long name to the short entry after it. */
static void mend(uint8_t *data, size_t size)
{
    size_t run_start = 0;

    if (size < 2 * RAM_SECTOR)
        return;
    data[510] = 0x55;
    data[511] = 0xaa;
    for (size_t at = 3 * RAM_SECTOR; at + ENTRY <= size; at += ENTRY) {
        uint8_t sum = 0;

        if (data[at + 11] == 15) {
            run_start = run_start ? run_start : at;
            continue;
        }
        for (int i = 0; i < 11; i++)
            sum = (uint8_t)((sum & 1) << 7 | sum >> 1) + data[at + i];
        for (; run_start && run_start < at; run_start += ENTRY)
            data[run_start + 13] = sum;
        run_start = 0;
    }
}

static void format(uint8_t *to)
{
    static const uint8_t table[] = { 0xf8, 0xff, 0xff, 0x0f, 0xff, 0xff,
                                     0xff, 0x0f, 0xff, 0xff, 0xff, 0x0f };

    to[12] = RAM_SECTOR >> 8;
    to[13] = 1;  /* sectors per cluster */
    to[14] = 1;  /* reserved */
    to[16] = 2;  /* tables */
    to[32] = SECTORS;
    to[36] = FAT_SECTORS;
    to[44] = 2;  /* the root's cluster */
    to[510] = 0x55;
    to[511] = 0xaa;
    memcpy(to + RAM_SECTOR, table, sizeof table);
    memcpy(to + 2 * RAM_SECTOR, table, sizeof table);
}

/* An empty volume, and one with files and folders, made by the code that is
 * tried. Both with some deeds. */
static size_t seed(unsigned i, uint8_t *to)
{
    size_t size = SECTORS * RAM_SECTOR;

    if (i > 1)
        return 0;
    format(to);
    if (i == 1) {
        ram_init(&disk, SECTORS);
        memcpy(disk.bytes, to, size);
        fs = fat_mount(&disk.device);
        for (unsigned n = 0; fs && n < 6; n++)
            act(n == 2 || n == 4 ? 3 : 0, (uint8_t)(0x40 + n));
        memcpy(to, disk.bytes, size);
        ram_free(&disk);
    }
    for (unsigned n = 0; n < sizeof deeds; n++) {
        to[size++] = deeds[n];
        to[size++] = (uint8_t)(n * 37 + i);
    }
    return size;
}

static const struct fuzz_target target = { seed, mend, run, RAM_SECTOR };
