/*
 * store.c - the image store: whole images in checksummed slots (store.h).
 *
 * Owns the layout on disk. Knows nothing of images but their bytes. The only
 * order that matters is in store_close: bytes, flush, header, flush.
 */
#include "kernel/store.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/block.h"

enum {
    BLOCK = 4096,
    SLOTS = 64,
    FIRST_SLOT = 1,
    FIRST_DATA = FIRST_SLOT + SLOTS,
    MIN_BLOCKS = FIRST_DATA + 16,
    BUFFER_BLOCKS = 64, /* what a sum is made of at a time: on the disk */
};

#define SUPER_MAGIC 0x45524f545341ull /* "ASTORE" */
#define SLOT_MAGIC 0x544f4c535341ull  /* "ASSLOT" */
enum { VERSION = 1 };
/* No number of saves reaches it; a slot beyond it lies. */
#define GENERATION_MAX (UINT64_MAX / 2)

struct superblock {
    uint64_t magic;
    uint32_t version, block_size;
    uint64_t blocks; /* of the store when it was made, this one included */
    uint64_t sum;    /* of everything before it */
};

struct slot {
    uint64_t magic;
    uint64_t generation; /* grows with every save to this store */
    uint64_t first, blocks; /* the extent */
    uint64_t size, data_sum; /* the image: bytes, checksum */
    char name[STORE_NAME_MAX + 1];
    uint64_t sum; /* of everything before it */
};

struct store_image {
    bool writing;
    int error;          /* the first one; sticks */
    unsigned slot_index;
    struct slot slot;
    uint64_t position;  /* bytes read or written */
    uint64_t sum;
    uint64_t buffered_block; /* of the extent: what the buffer holds */
    uint32_t buffered;       /* blocks in it; 0: nothing */
};

static struct block_device *device;
static uint64_t total_blocks;
static struct slot slots[SLOTS]; /* magic 0: free, or not to be trusted */
static bool damaged[SLOTS];      /* header right, bytes wrong: free to reuse */
static bool unreadable[SLOTS];   /* perhaps only now: given up by a save */
static uint64_t last_generation; /* the highest ever seen here */
static struct store_image image;
static _Alignas(64) uint8_t buffer[BUFFER_BLOCKS * BLOCK];
static _Alignas(64) uint8_t block[BLOCK];

/* --- checksums: 64 bits, a word at a time; catches what disks do, not what
 * enemies do --- */

static uint64_t sum_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
    return sum ^ sum >> 29;
}

static uint64_t sum_bytes(uint64_t sum, const void *bytes, uint64_t n)
{
    const uint8_t *p = bytes;
    uint64_t word;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        sum = sum_word(sum, word);
    }
    if (n) {
        word = 0;
        memcpy(&word, p, n);
        sum = sum_word(sum, word);
    }
    return sum_word(sum, n);
}

/* --- blocks on the device --- */

static uint32_t sectors_per_block(void)
{
    return BLOCK / device->sector_size;
}

static int read_blocks(uint64_t first, uint32_t n, void *bytes)
{
    return block_read(device, first * sectors_per_block(),
                      n * sectors_per_block(), bytes);
}

static int write_blocks(uint64_t first, uint32_t n, const void *bytes)
{
    return block_write(device, first * sectors_per_block(),
                       n * sectors_per_block(), bytes);
}

static bool usable_sectors(const struct block_device *d)
{
    return d->sector_size >= 512 && d->sector_size <= BLOCK &&
           BLOCK % d->sector_size == 0;
}

static uint64_t blocks_for(uint64_t size)
{
    return size / BLOCK + (size % BLOCK != 0);
}

/* --- slots --- */

static bool slot_plausible(const struct slot *s)
{
    return s->magic == SLOT_MAGIC && s->generation <= GENERATION_MAX &&
           s->sum == sum_bytes(0, s, offsetof(struct slot, sum)) &&
           memchr(s->name, 0, sizeof s->name) && s->first >= FIRST_DATA &&
           s->blocks > 0 && s->first < total_blocks &&
           s->blocks <= total_blocks - s->first &&
           blocks_for(s->size) <= s->blocks;
}

/* What the headers say; of one that cannot be read, what it said before. */
static void load_slots(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (read_blocks(FIRST_SLOT + i, 1, block))
            continue;
        memcpy(&slots[i], block, sizeof slots[i]);
        if (slot_plausible(&slots[i]) &&
            slots[i].generation > last_generation)
            last_generation = slots[i].generation;
        if (!slot_plausible(&slots[i]) || damaged[i])
            memset(&slots[i], 0, sizeof slots[i]);
    }
}

/* Newest slot of `name` older than `below`; -1: none. */
static int newest_slot(const char *name, uint64_t below)
{
    int best = -1;

    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i].magic && slots[i].generation < below &&
            strcmp(slots[i].name, name) == 0 &&
            (best < 0 || slots[i].generation > slots[best].generation))
            best = i;
    return best;
}

/* --- finding and making stores --- */

int store_mount(struct block_device *d)
{
    struct superblock super;
    int error;

    device = d;
    error = usable_sectors(d) ? read_blocks(0, 1, block) : -ENOENT;
    if (!error) {
        memcpy(&super, block, sizeof super);
        if (super.magic != SUPER_MAGIC || super.version != VERSION ||
            super.block_size != BLOCK || super.blocks < MIN_BLOCKS ||
            super.blocks > d->sectors / sectors_per_block() ||
            super.sum != sum_bytes(0, &super,
                                   offsetof(struct superblock, sum)))
            error = -ENOENT;
    }
    if (error) {
        device = NULL;
        return error;
    }
    total_blocks = d->sectors / sectors_per_block();
    last_generation = 0;
    memset(slots, 0, sizeof slots);
    memset(damaged, 0, sizeof damaged);
    memset(unreadable, 0, sizeof unreadable);
    load_slots();
    return 0;
}

void store_unmount(void)
{
    device = NULL;
    memset(slots, 0, sizeof slots);
}

int store_init(void)
{
    struct block_device *d;

    for (unsigned i = 0; (d = block_device(i)) != NULL; i++)
        if (store_mount(d) == 0)
            return 0;
    return -ENOENT;
}

int store_format(struct block_device *d)
{
    struct superblock super = { SUPER_MAGIC, VERSION, BLOCK, 0, 0 };
    int error = 0;

    if (!usable_sectors(d))
        return -EINVAL;
    device = d;
    total_blocks = super.blocks = d->sectors / sectors_per_block();
    if (super.blocks < MIN_BLOCKS) {
        device = NULL;
        return -ENOSPC;
    }
    super.sum = sum_bytes(0, &super, offsetof(struct superblock, sum));
    memset(block, 0, BLOCK);
    for (unsigned i = 0; i < SLOTS && !error; i++)
        error = write_blocks(FIRST_SLOT + i, 1, block);
    if (!error)
        error = block_flush(d);
    memcpy(block, &super, sizeof super);
    if (!error)
        error = write_blocks(0, 1, block);
    if (!error)
        error = block_flush(d);
    if (error)
        device = NULL;
    return error ? error : store_mount(d);
}

struct block_device *store_device(void)
{
    return device;
}

/* --- reading --- */

static uint64_t extent_sum(const struct slot *s, int *error)
{
    uint64_t sum = 0, left = s->size, at = s->first;

    while (left && !*error) {
        uint64_t n = left < sizeof buffer ? left : sizeof buffer;

        *error = read_blocks(at, blocks_for(n), buffer);
        sum = sum_bytes(sum, buffer, n);
        left -= n;
        at += BUFFER_BLOCKS;
    }
    return sum;
}

static void give_up(unsigned i)
{
    damaged[i] = true;
    slots[i].magic = 0;
}

/* Why nothing was opened, or an older state than the newest. */
static char message[160];

static const char *say_unusable(const char *name, int error, bool all)
{
    snprintf(message, sizeof message, "%s save of \"%.40s\" %s be used (%s)",
             all ? "no" : "the last", name, all ? "can" : "cannot",
             error ? "its sectors cannot be read" : "its checksum is wrong");
    return message;
}

struct store_image *store_open(const char *name, uint64_t *size,
                               const char **why)
{
    uint64_t below = UINT64_MAX;
    const char *skipped = NULL;
    int i;

    *why = device ? "no such image in the store" : "no store on any disk";
    if (!device)
        return NULL;
    while ((i = newest_slot(name, below)) >= 0) {
        int error = 0;

        if (extent_sum(&slots[i], &error) == slots[i].data_sum && !error) {
            image = (struct store_image){ .slot = slots[i],
                                          .slot_index = i };
            *size = slots[i].size;
            *why = skipped;
            return &image;
        }
        below = slots[i].generation;
        *why = skipped = say_unusable(name, error,
                                      newest_slot(name, below) < 0);
        if (error)
            unreadable[i] = true;
        else
            give_up(i);
    }
    return NULL;
}

static int fill_buffer(struct store_image *im, uint64_t wanted)
{
    uint64_t left = blocks_for(im->slot.size) - wanted;
    uint32_t n = left < BUFFER_BLOCKS ? left : BUFFER_BLOCKS;

    im->buffered = 0;
    im->error = read_blocks(im->slot.first + wanted, n, buffer);
    if (im->error)
        return im->error;
    im->buffered_block = wanted;
    im->buffered = n;
    return 0;
}

int store_read(struct store_image *im, void *bytes, uint64_t n)
{
    uint8_t *to = bytes;

    if (im->writing || n > im->slot.size - im->position)
        return -EINVAL;
    while (n && !im->error) {
        uint64_t at = im->position / BLOCK;

        if (at < im->buffered_block ||
            at >= im->buffered_block + im->buffered) {
            if (fill_buffer(im, at))
                break;
        }
        uint64_t offset = im->position - im->buffered_block * BLOCK;
        uint64_t part = (uint64_t)im->buffered * BLOCK - offset;

        part = part < n ? part : n;
        memcpy(to, buffer + offset, part);
        to += part;
        im->position += part;
        n -= part;
    }
    return im->error;
}

/* --- writing --- */

/* The state that could be read is not the one to be written over. */
static void give_up_unreadable(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (unreadable[i] && slots[i].magic)
            give_up(i);
}

/* Whether `a` still needs its extent while `writing` replaces it. */
static bool in_the_way(const struct slot *s, unsigned replaced, uint64_t first,
                       uint64_t blocks)
{
    return s->magic && s != &slots[replaced] && first < s->first + s->blocks &&
           s->first < first + blocks;
}

/* First fit: tries the start of the data area and the end of every extent. */
static uint64_t find_extent(unsigned replaced, uint64_t blocks)
{
    for (int i = -1; i < SLOTS; i++) {
        uint64_t first = FIRST_DATA;
        bool fits;

        if (i >= 0) {
            if (!slots[i].magic)
                continue;
            first = slots[i].first + slots[i].blocks;
        }
        fits = first < total_blocks && blocks <= total_blocks - first;
        for (unsigned k = 0; k < SLOTS && fits; k++)
            fits = !in_the_way(&slots[k], replaced, first, blocks);
        if (fits)
            return first;
    }
    return 0;
}

/* The slot that a save of `name` replaces: a free one while the image has
 * fewer than two, else its older one. -1: none free. */
static int slot_to_replace(const char *name)
{
    int newest = newest_slot(name, UINT64_MAX), older = -1;

    if (newest >= 0)
        older = newest_slot(name, slots[newest].generation);
    if (older >= 0)
        return older;
    for (unsigned i = 0; i < SLOTS; i++)
        if (!slots[i].magic)
            return i;
    return -1;
}

/* NULL: it is. */
static const char *not_writable(void)
{
    if (!device)
        return "no store on any disk";
    if (block_gone(device))
        return "the disk with the store is not plugged in";
    return device->read_only ? "the disk is read-only" : NULL;
}

struct store_image *store_create(const char *name, uint64_t size,
                                 const char **why)
{
    struct slot s = { .magic = SLOT_MAGIC, .size = size };
    int i = -1;

    *why = not_writable();
    if (*why)
        return NULL;
    if (!*name || strlen(name) > STORE_NAME_MAX)
        *why = "an image's name has 1 to 63 bytes";
    else if (last_generation == GENERATION_MAX)
        *why = "the store cannot count this save";
    if (*why)
        return NULL;
    give_up_unreadable();
    i = slot_to_replace(name);
    if (i < 0) {
        *why = "the store has no slot left";
        return NULL;
    }
    s.blocks = blocks_for(size ? size : 1);
    s.first = find_extent(i, s.blocks);
    if (!s.first) {
        snprintf(message, sizeof message,
                 "the store is full: it has %llu MB, and there is no room "
                 "for another %llu MB in one piece",
                 (unsigned long long)(total_blocks * BLOCK >> 20),
                 (unsigned long long)(size >> 20) + 1);
        *why = message;
        return NULL;
    }
    s.generation = last_generation + 1;
    strcpy(s.name, name);
    image = (struct store_image){ .writing = true, .slot = s,
                                  .slot_index = i };
    return &image;
}

/* Writes the buffer's first n bytes, the last block filled up with zeros. */
static void drain_buffer(struct store_image *im, uint64_t n)
{
    uint64_t blocks = blocks_for(n);

    memset(buffer + n, 0, blocks * BLOCK - n);
    im->sum = sum_bytes(im->sum, buffer, n);
    if (!im->error)
        im->error = write_blocks(im->slot.first + im->buffered_block, blocks,
                                 buffer);
    im->buffered_block += blocks;
}

int store_write(struct store_image *im, const void *bytes, uint64_t n)
{
    const uint8_t *from = bytes;

    if (!im->writing || n > im->slot.size - im->position)
        return -EINVAL;
    while (n && !im->error) {
        uint64_t offset = im->position % sizeof buffer;
        uint64_t part = sizeof buffer - offset;

        part = part < n ? part : n;
        memcpy(buffer + offset, from, part);
        from += part;
        im->position += part;
        n -= part;
        if (offset + part == sizeof buffer)
            drain_buffer(im, sizeof buffer);
    }
    return im->error;
}

static int write_header(unsigned index, const struct slot *s)
{
    memset(block, 0, BLOCK);
    memcpy(block, s, sizeof *s);
    return write_blocks(FIRST_SLOT + index, 1, block);
}

/* ORDER: the bytes are on the medium before the header that names them. */
static int commit_image(struct store_image *im)
{
    uint64_t rest = im->position % sizeof buffer;
    int error;

    if (rest)
        drain_buffer(im, rest);
    error = im->error;
    if (!error && im->position != im->slot.size)
        error = -EINVAL;
    if (!error)
        error = block_flush(device);
    if (error)
        return error;
    im->slot.data_sum = im->sum;
    im->slot.sum = sum_bytes(0, &im->slot, offsetof(struct slot, sum));
    damaged[im->slot_index] = false;
    error = write_header(im->slot_index, &im->slot);
    if (!error)
        error = block_flush(device);
    return error;
}

int store_close(struct store_image *im, bool commit)
{
    int error = im->error;

    if (im->writing) {
        if (commit) {
            error = commit_image(im);
            load_slots();
        } else {
            /* The replaced slot's bytes may be overwritten by now. */
            error = 0;
        }
    }
    *im = (struct store_image){ 0 };
    return error;
}

/* --- removing --- */

/* The slot whose header on the disk names the oldest state of `name`, even
 * one whose bytes are wrong; -1: none. */
static int oldest_header(const char *name)
{
    uint64_t generation = 0;
    struct slot s;
    int oldest = -1;

    for (unsigned i = 0; i < SLOTS; i++) {
        if (read_blocks(FIRST_SLOT + i, 1, block))
            continue;
        memcpy(&s, block, sizeof s);
        if (slot_plausible(&s) && strcmp(s.name, name) == 0 &&
            (oldest < 0 || s.generation < generation)) {
            oldest = (int)i;
            generation = s.generation;
        }
    }
    return oldest;
}

/* -EIO: a disk that only says it wrote. */
static int wipe_header(unsigned index)
{
    const struct slot none = { 0 };
    int error = write_header(index, &none);

    if (!error)
        error = block_flush(device);
    if (!error)
        error = read_blocks(FIRST_SLOT + index, 1, block);
    return error ? error : memcmp(block, &none, sizeof none) ? -EIO : 0;
}

/* ORDER: each header is gone for good before the next newer one goes, or a
 * power cut could bring back an old state instead of the last. */
int store_remove(const char *name, const char **why)
{
    int error = 0, i;

    *why = not_writable();
    if (*why)
        return -1;
    i = oldest_header(name);
    if (i < 0)
        *why = "no such image in the store";
    for (; i >= 0 && !error; i = oldest_header(name)) {
        error = wipe_header((unsigned)i);
        damaged[i] = unreadable[i] = false;
    }
    load_slots();
    if (error)
        *why = "the disk refuses what is written to it";
    return *why ? -1 : 0;
}

/* --- listing --- */

const char *store_name(unsigned index)
{
    uint64_t below = UINT64_MAX;

    for (;;) {
        int best = -1;

        for (unsigned i = 0; i < SLOTS; i++)
            if (slots[i].magic && slots[i].generation < below &&
                newest_slot(slots[i].name, UINT64_MAX) == (int)i &&
                (best < 0 || slots[i].generation > slots[best].generation))
                best = i;
        if (best < 0)
            return NULL;
        if (index-- == 0)
            return slots[best].name;
        below = slots[best].generation;
    }
}
