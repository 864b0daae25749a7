/*
 * grow.c - the store grows to the stick's size (grow.h).
 */
#include "kernel/grow.h"

#include <string.h>

#include "drivers/block.h"
#include "kernel/choose.h"
#include "kernel/gpt.h"
#include "kernel/klog.h"
#include "kernel/partition.h"
#include "kernel/store.h"

enum { SECTOR_MAX = 4096, ASK_SECONDS = 30 };
#define MIB (1ull << 20)
#define WORTHWHILE (16 * MIB)

static struct gpt table; /* of the disk that was looked at last */
static unsigned store_index;
static uint8_t mbr[SECTOR_MAX];

/* What we and GRUB put on disks, and nothing else. */
static bool is_ours(const uint8_t *type)
{
    return partition_guid_kind(type) != PARTITION_OTHER ||
           memcmp(type, "Hah!IdontNeedEFI", 16) == 0;
}

/* All entries ours, the one of `store` behind all others. */
static bool table_is_ours(const struct block_device *store)
{
    uint64_t end = 0;
    bool found = false;

    for (unsigned i = 0; i < GPT_ENTRIES; i++) {
        const uint8_t *type = gpt_type(&table, i);
        struct gpt_range r = gpt_range(&table, i);

        if (!type)
            continue;
        if (!is_ours(type))
            return false;
        if (r.last > end)
            end = r.last;
        if (r.first == store->first_sector &&
            partition_guid_kind(type) == PARTITION_STORE) {
            store_index = i;
            found = true;
        }
    }
    return found && end == gpt_range(&table, store_index).last &&
           end == store->first_sector + store->sectors - 1;
}

/* A protective entry alone: no hybrid that other systems read. */
static bool mbr_is_protective(void)
{
    for (unsigned i = 0; i < 4; i++)
        if (mbr[446 + 16 * i + 4] != (i == 0 ? 0xee : 0))
            return false;
    return mbr[510] == 0x55 && mbr[511] == 0xaa;
}

bool grow_find(struct growth *g)
{
    struct block_device *store = store_device();
    struct block_device *disk = store ? store->parent : NULL;
    uint64_t per_mib, sectors;

    if (!disk || disk->read_only || gpt_read(&table, disk) ||
        table.backup >= disk->sectors - 1 || !table_is_ours(store) ||
        block_read(disk, 0, 1, mbr) || !mbr_is_protective())
        return false;
    per_mib = MIB / disk->sector_size;
    g->disk = disk;
    g->store = store;
    g->last = (gpt_usable(&table).last + 1) / per_mib * per_mib - 1;
    if (g->last <= store->first_sector + store->sectors - 1)
        return false;
    sectors = g->last - store->first_sector + 1;
    g->before = store->sectors * disk->sector_size;
    g->after = sectors * disk->sector_size;
    return g->after - g->before >= WORTHWHILE;
}

int grow_settle(const struct growth *g, bool yes)
{
    int error;

    if (yes)
        gpt_set_last(&table, store_index, g->last);
    error = gpt_write(&table, mbr);
    if (error || !yes)
        return error;
    g->store->sectors = g->last - g->store->first_sector + 1;
    return store_mount(g->store);
}

/* --- asking --- */

static unsigned long long megabytes(uint64_t bytes)
{
    return (unsigned long long)(bytes / MIB);
}

static void ask(const struct growth *g)
{
    uint64_t all = g->disk->sectors * g->disk->sector_size;

    klog("\n\nThis disk, %s (%s), has %llu MB, and not all of it is in use "
         "yet.\n\n",
         g->disk->name, g->disk->model, megabytes(all));
    klog("Shall the room for saved images grow from %llu MB to %llu MB, to "
         "the disk's end?\nWhat is on the disk stays as it is.\n\n",
         megabytes(g->before), megabytes(g->after));
    klog("    Enter   yes, use it\n"
         "    Esc     no, and do not ask again\n\n"
         "Without an answer nothing changes, and the start goes on in %d "
         "seconds. ", ASK_SECONDS);
    klog_screen_flush();
}

void grow_offer(void)
{
    struct growth g;
    enum answer answer;
    int error;

    if (!grow_find(&g))
        return;
    ask(&g);
    answer = choose_yes(ASK_SECONDS);
    if (answer == ANSWER_NONE) {
        klog("\n\nNo answer: left as it is.\n");
        return;
    }
    error = grow_settle(&g, answer == ANSWER_YES);
    if (error)
        klog("\n\nThe disk refuses what is written to it (%d). What was saved "
             "is untouched.\n", error);
    else if (answer == ANSWER_YES)
        klog("\n\nstore: grown to %llu MB\n", megabytes(g.after));
    else
        klog("\n\nLeft as it is.\n");
    klog_screen_flush();
}
