/*
 * fuzz_store.c - damaged image stores. The input is the superblock, the
 * first slots, and what is saved then. Whatever the headers claim: a save
 * that succeeds is read back, one that does not leaves the state before, and
 * no other image loses its bytes.
 *
 * Includes the store itself, for its layout and its checksum.
 */
#include "kernel/store.c"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/ram_disk.h"

enum { BLOCKS = 160, USED_SLOTS = 6, IMAGES = 8, PER_BLOCK = BLOCK / 512 };

/* What the input is made of. */
struct input {
    struct superblock super;
    struct slot slots[USED_SLOTS];
    uint8_t name, size, byte, mode; /* the save */
};
enum { MODE_COMMIT = 1, MODE_FAIL = 2 };

struct content {
    char name[STORE_NAME_MAX + 1];
    uint64_t size, sum; /* size 0: not readable */
};

static struct ram_disk disk;
static uint8_t blank[BLOCKS * BLOCK];

/* Every block tells its number. */
static void fill_disk(void)
{
    if (!blank[BLOCK])
        for (unsigned i = 0; i < BLOCKS; i++)
            memset(blank + i * BLOCK, (int)i, BLOCK);
    memcpy(disk.bytes, blank, sizeof blank);
}

static void lay_out(const struct input *in)
{
    fill_disk();
    memset(disk.bytes, 0, (FIRST_SLOT + SLOTS) * BLOCK);
    memcpy(disk.bytes, &in->super, sizeof in->super);
    for (unsigned i = 0; i < USED_SLOTS; i++)
        memcpy(disk.bytes + (FIRST_SLOT + i) * BLOCK, &in->slots[i],
               sizeof in->slots[i]);
}

static struct content content_of(const char *name)
{
    static uint8_t bytes[BLOCKS * BLOCK];
    struct content c = { .size = 0 };
    const char *why;
    struct store_image *im = store_open(name, &c.size, &why);

    strcpy(c.name, name);
    if (!im)
        return (struct content){ .size = 0 };
    if (c.size > sizeof bytes || store_read(im, bytes, c.size))
        abort();
    c.sum = sum_bytes(0, bytes, c.size);
    store_close(im, false);
    return c;
}

/* All that can be read. Opening may take a damaged slot out of the list. */
static unsigned take_stock(struct content *contents)
{
    char found[IMAGES][STORE_NAME_MAX + 1];
    const char *name;
    unsigned n = 0, good = 0;

    for (; n < IMAGES && (name = store_name(n)) != NULL; n++)
        strcpy(found[n], name);
    for (unsigned i = 0; i < n; i++) {
        contents[good] = content_of(found[i]);
        good += contents[good].size != 0;
    }
    return good;
}

static bool same(const struct content *a, const struct content *b)
{
    return a->size == b->size && a->sum == b->sum;
}

/* Saves as the input says; true if the store says that it is done. */
static bool save(const struct input *in, const char *name,
                 struct content *saved)
{
    static uint8_t bytes[256 * 1000];
    struct store_image *im;
    const char *why;
    bool good;

    saved->size = in->size * 1000ull + 1;
    memset(bytes, in->byte, saved->size);
    saved->sum = sum_bytes(0, bytes, saved->size);
    im = store_create(name, saved->size, &why);
    if (!im)
        return false;
    disk.writes_left = in->mode & MODE_FAIL ? in->mode >> 4 : -1;
    good = !store_write(im, bytes, saved->size);
    good = !store_close(im, good && (in->mode & MODE_COMMIT)) && good;
    disk.writes_left = -1;
    return good && (in->mode & MODE_COMMIT);
}

static void save_and_compare(const struct input *in)
{
    struct content before[IMAGES], saved, now;
    unsigned n = take_stock(before), which = in->name % (n + 1);
    char name[STORE_NAME_MAX + 1] = "fresh";
    bool done;

    if (which < n)
        strcpy(name, before[which].name);
    done = *name && save(in, name, &saved);
    if (store_mount(&disk.device))
        abort();
    for (unsigned i = 0; i < n; i++) {
        now = content_of(before[i].name);
        if (!same(&now, done && i == which ? &saved : &before[i]))
            abort();
    }
    now = content_of(name);
    if (done && !same(&now, &saved))
        abort();
}

static bool run(uint8_t *data, size_t size)
{
    struct input in = { .size = 0 };
    bool taken;

    memcpy(&in, data, size < sizeof in ? size : sizeof in);
    if (!disk.bytes)
        ram_init(&disk, BLOCKS * PER_BLOCK);
    lay_out(&in);
    taken = store_mount(&disk.device) == 0;
    if (taken)
        save_and_compare(&in);
    return taken;
}

static void mend(uint8_t *data, size_t size)
{
    struct input in;

    if (size < sizeof in)
        return;
    memcpy(&in, data, sizeof in);
    in.super.sum = sum_bytes(0, &in.super, offsetof(struct superblock, sum));
    if (!disk.bytes)
        ram_init(&disk, BLOCKS * PER_BLOCK);
    lay_out(&in);
    for (unsigned i = 0; i < USED_SLOTS; i++) {
        struct slot *s = &in.slots[i];

        if (s->first < BLOCKS && s->size <= (BLOCKS - s->first) * BLOCK)
            s->data_sum = sum_bytes(0, disk.bytes + s->first * BLOCK,
                                    s->size);
        s->sum = sum_bytes(0, s, offsetof(struct slot, sum));
    }
    memcpy(data, &in, sizeof in);
}

/* Two images with two states each; then one of them, or a fresh one, is
 * saved: whole, cut off, on a disk that fails, with counts at their end. */
static size_t seed(unsigned i, uint8_t *to)
{
    struct input in = {
        .super = { SUPER_MAGIC, VERSION, BLOCK, BLOCKS, 0 },
        .name = (uint8_t)i, .size = 40, .byte = 0xaa,
        .mode = i == 3   ? 0
                : i == 4 ? 0x20 | MODE_FAIL | MODE_COMMIT
                         : MODE_COMMIT,
    };

    if (i > 6)
        return 0;
    for (unsigned k = 0; k < 4; k++) {
        in.slots[k] = (struct slot){
            .magic = SLOT_MAGIC, .generation = k + 1,
            .first = FIRST_DATA + 12 * k, .blocks = 12, .size = 45000,
        };
        strcpy(in.slots[k].name, k & 1 ? "one" : "two");
    }
    if (i > 4)
        in.slots[0].generation = i == 5 ? UINT64_MAX : GENERATION_MAX;
    memcpy(to, &in, sizeof in);
    mend(to, sizeof in);
    return sizeof in;
}

static const struct fuzz_target target = { seed, mend, run, 0 };
