/*
 * test_ahci.c - the AHCI driver against a controller made of software, whose
 * disks are plugged in and out, spin up slowly, fail and fall silent: QEMU's
 * do not ("Bus 'ide.0' does not support hotplugging").
 */
#include "tests/unit/pci_fake.h"

#include <cmocka.h>

#include "drivers/ahci.c"

/* --- the controller: AHCI 1.3.1, section numbers as there --- */

enum {
    PORT_COUNT = 2, SECTORS = 4096, SECTOR = 512,
    LOOKS = 20, ARENA_PAGES = 300, SCATTERED = 0x40000000,
    /* Reserved bits: what the driver wrote lacks them. */
    IS_SHOWN = 1 << 8, SERR_SHOWN = 1 << 31,
    LINK = 0x123, STATUS_READY = 0x50, STATUS_FAILED = 0x51,
    SIG_OPTICAL = 0xeb140101u,
};

struct fake_disk {
    const char *serial;
    uint32_t signature;
    uint64_t speaks_after; /* microseconds */
    bool fails, silent, pulled_at_command;
    bool leaves_late; /* its commands' slots, after the answer */
    bool late; /* answers nobody but who wants an interrupt */
    unsigned commands, flushes;
    unsigned wanted; /* interrupts, of the answers to them */
    uint8_t data[SECTORS * SECTOR];
};

static struct fake_port {
    struct fake_disk *disk; /* plugged in */
    uint32_t is, serr, sctl;
    uint64_t speaks_at; /* 0: it has */
    unsigned leaving; /* looks for which an answered command keeps its slot */
} fake_ports[PORT_COUNT];

static uint32_t hba_regs[(0x100 + PORT_COUNT * 0x80) / 4];
static bool working;
static unsigned came, came_back;

void storage_disk_came(struct block_device *d, bool back)
{
    came++;
    came_back += back;
}

/* Memory of callers: every page lies elsewhere, one nowhere. */
static _Alignas(4096) uint8_t arena[ARENA_PAGES * PAGE_SIZE];
static unsigned missing_page;

bool vmm_translate(uint64_t virt, uint64_t *phys)
{
    uint64_t at = virt - (uintptr_t)arena;

    if (at >= sizeof arena || at / PAGE_SIZE == missing_page)
        return false;
    *phys = SCATTERED + at / PAGE_SIZE * 2 * PAGE_SIZE + at % PAGE_SIZE;
    return true;
}

uint64_t vmm_run(uint64_t virt, uint64_t bytes, uint64_t *phys)
{
    uint64_t room = PAGE_SIZE - virt % PAGE_SIZE;

    if (!vmm_translate(virt, phys))
        return 0;
    return bytes < room ? bytes : room;
}

static uint8_t *memory_at(uint64_t phys, uint32_t bytes)
{
    if (phys < SCATTERED) {
        fake_memory(phys + bytes - 1);
        return fake_memory(phys);
    }
    phys -= SCATTERED;
    assert_true(phys % (2 * PAGE_SIZE) + bytes <= PAGE_SIZE);
    return arena + phys / (2 * PAGE_SIZE) * PAGE_SIZE + phys % PAGE_SIZE;
}

static uint32_t *regs_of(unsigned n)
{
    return hba_regs + HBA_PORTS + n * HBA_PORT_WORDS;
}

static void show(unsigned n)
{
    regs_of(n)[PX_IS] = fake_ports[n].is | IS_SHOWN;
    regs_of(n)[PX_SERR] = fake_ports[n].serr | SERR_SHOWN;
}

/* Ones that were written clear; two bits follow SError: 3.3.5. */
static void take_acknowledgements(unsigned n)
{
    struct fake_port *p = &fake_ports[n];
    uint32_t *regs = regs_of(n);

    if (!(regs[PX_IS] & IS_SHOWN))
        p->is &= ~regs[PX_IS];
    if (!(regs[PX_SERR] & SERR_SHOWN))
        p->serr &= ~regs[PX_SERR];
    p->is &= ~(uint32_t)IS_PLUG;
    p->is |= (p->serr & SERR_CONNECT ? IS_CONNECT : 0) |
             (p->serr & SERR_PHY ? IS_PHY : 0);
    show(n);
}

static void raise_interrupts(void)
{
    for (unsigned n = 0; n < PORT_COUNT; n++)
        if (fake_ports[n].is & regs_of(n)[PX_IE])
            hba_regs[HBA_IS] |= 1u << n;
    if (hba_regs[HBA_IS] && (hba_regs[HBA_GHC] & GHC_INTERRUPTS)) {
        fake_pci_interrupt();
        hba_regs[HBA_IS] = 0;
    }
    for (unsigned n = 0; n < PORT_COUNT; n++)
        take_acknowledgements(n);
}

static void link_changes(unsigned n)
{
    struct fake_port *p = &fake_ports[n];
    uint32_t *regs = regs_of(n);

    take_acknowledgements(n); /* of what was before */
    p->serr |= SERR_PHY | (p->disk ? SERR_CONNECT : 0);
    regs[PX_SSTS] = p->disk ? LINK : 0;
    regs[PX_TFD] = p->disk ? 0x80 : 0x7f; /* 3.3.8, 10.4.2 */
    regs[PX_SIG] = SIG_NOT_YET;
    if (!(regs[PX_CMD] & CMD_START))
        regs[PX_CI] = 0;
    p->speaks_at = p->disk ? fake_now + p->disk->speaks_after + 1 : 0;
    take_acknowledgements(n);
}

/* Pulls what is there, or plugs something in. */
static void plug(unsigned n, struct fake_disk *disk)
{
    fake_ports[n].disk = disk;
    link_changes(n);
    raise_interrupts();
}

static void serve_link(unsigned n)
{
    struct fake_port *p = &fake_ports[n];
    uint32_t *regs = regs_of(n), was = p->sctl;

    p->sctl = regs[PX_SCTL];
    if ((was & SCTL_DETECTION) == SCTL_RESET &&
        !(p->sctl & SCTL_DETECTION))
        link_changes(n);
    if (p->speaks_at && fake_now >= p->speaks_at &&
        (regs[PX_CMD] & CMD_FIS_RECEIVE)) {
        p->speaks_at = 0;
        regs[PX_SIG] = p->disk->signature;
        regs[PX_TFD] = STATUS_READY;
    }
}

static void serve_state(unsigned n)
{
    uint32_t *cmd = &regs_of(n)[PX_CMD];

    *cmd &= ~(uint32_t)(CMD_FIS_RUNNING | CMD_LIST_RUNNING);
    if (*cmd & CMD_FIS_RECEIVE)
        *cmd |= CMD_FIS_RUNNING;
    if (*cmd & CMD_START) {
        assert_true(*cmd & CMD_FIS_RECEIVE); /* 10.3.1 */
        *cmd |= CMD_LIST_RUNNING;
    } else {
        regs_of(n)[PX_CI] = 0;
    }
}

static void tell_identity(const struct fake_disk *disk, uint16_t *id)
{
    memset(id, 0, 512);
    for (unsigned i = 0; i < 20 && disk->serial[i]; i++)
        ((uint8_t *)&id[10])[i ^ 1] = (uint8_t)disk->serial[i];
    memcpy(&id[27], "AfekD si k", 10); /* "fAke Disk " by swapped bytes */
    id[83] = 1 << 10;
    id[100] = SECTORS;
}

/* Scatters or gathers the command's data: 4.2.3.3. */
static void move_data(const struct command_header *h, uint8_t *data,
                      uint32_t room, bool write)
{
    const struct command_table *t = fake_memory(h->table_low);

    for (unsigned i = 0; i < h->prdt_entries; i++) {
        uint32_t bytes = t->data[i].count + 1;
        uint8_t *memory = memory_at(t->data[i].low, bytes);

        assert_true(bytes <= room);
        if (write)
            memcpy(data, memory, bytes);
        else
            memcpy(memory, data, bytes);
        data += bytes;
        room -= bytes;
    }
}

static bool execute(struct fake_disk *disk, const struct command_header *h)
{
    const struct command_table *t = fake_memory(h->table_low);
    uint32_t count = t->fis[12] | t->fis[13] << 8;
    uint32_t lba = t->fis[4] | t->fis[5] << 8 | t->fis[6] << 16;
    uint16_t id[256];

    assert_int_equal(t->fis[0], FIS_HOST_TO_DEVICE);
    disk->commands++;
    switch (t->fis[2]) {
    case ATA_IDENTIFY:
        tell_identity(disk, id);
        move_data(h, (uint8_t *)id, sizeof id, false);
        return true;
    case ATA_READ_DMA_EXT:
    case ATA_WRITE_DMA_EXT:
        assert_true(lba + count <= SECTORS);
        if (!disk->fails)
            move_data(h, disk->data + lba * SECTOR, count * SECTOR,
                      h->flags & 1 << 6);
        return !disk->fails;
    case ATA_FLUSH_EXT:
        disk->flushes++;
        return true;
    }
    return false;
}

/* Into the memory for what is received: 4.2.1. */
static void tell_answer(unsigned n, uint32_t status)
{
    uint8_t *fis = (uint8_t *)fake_memory(regs_of(n)[PX_FB]) + 0x40;

    fis[0] = 0x34;
    fis[2] = (uint8_t)status;
}

static void serve_command(unsigned n)
{
    struct fake_port *p = &fake_ports[n];
    uint32_t *regs = regs_of(n);
    bool good;

    if (!(regs[PX_CI] & 1) || !(regs[PX_CMD] & CMD_START) || !p->disk ||
        p->speaks_at || p->disk->silent)
        return;
    if (p->leaving) {
        if (--p->leaving == 0)
            regs[PX_CI] = 0;
        return;
    }
    if (p->disk->pulled_at_command) {
        plug(n, NULL);
        return;
    }
    if (p->disk->late && !(regs[PX_IE] & IS_ANSWER))
        return;
    p->disk->wanted += regs[PX_IE] & IS_ANSWER;
    good = execute(p->disk, fake_memory(regs[PX_CLB]));
    regs[PX_TFD] = good ? STATUS_READY : STATUS_FAILED;
    p->leaving = good && p->disk->leaves_late ? LOOKS : 0;
    if (good && !p->leaving)
        regs[PX_CI] = 0;
    tell_answer(n, regs[PX_TFD]);
    p->is |= good ? 1 : IS_TASK_FILE_ERROR;
    show(n);
}

static void serve(void)
{
    if (working)
        return;
    working = true;
    for (unsigned n = 0; n < PORT_COUNT; n++) {
        take_acknowledgements(n);
        serve_link(n);
        serve_state(n);
        serve_command(n);
    }
    raise_interrupts();
    working = false;
}

/* --- the machine around it --- */

static struct fake_disk one, other, optical;

static struct block_device *sata(unsigned n) { return &disks[n].device; }

static void settle(void)
{
    uint64_t due;

    while ((due = work_due()) != UINT64_MAX) {
        if (due > fake_now)
            fake_now = due;
        work_run();
    }
}

static int fresh(void **state)
{
    memset(fake_ports, 0, sizeof fake_ports);
    memset(hba_regs, 0, sizeof hba_regs);
    fake_pci_reset(hba_regs, sizeof hba_regs);
    memset(controllers, 0, sizeof controllers);
    memset(disks, 0, sizeof disks);
    one = (struct fake_disk){ .serial = "S1", .signature = SIG_ATA };
    other = (struct fake_disk){ .serial = "S2", .signature = SIG_ATA };
    optical = (struct fake_disk){ .serial = "", .signature = SIG_OPTICAL };
    controller_count = 0;
    came = came_back = 0;
    missing_page = ARENA_PAGES;
    fake_dma_used = 0;
    fake_log[0] = 0;
    hba_regs[HBA_PI] = (1 << PORT_COUNT) - 1;
    for (unsigned n = 0; n < PORT_COUNT; n++)
        show(n);
    fake_hardware = serve;
    return 0;
}

static void boot(struct fake_disk *first)
{
    fake_ports[0].disk = first;
    link_changes(0);
    assert_int_equal(ahci_driver.probe(NULL), 0);
    settle();
}

static int move(unsigned n, bool write, uint8_t with)
{
    uint8_t sector[SECTOR];
    int error;

    memset(sector, with, sizeof sector);
    error = write ? block_write(sata(n), 7, 1, sector)
                  : block_read(sata(n), 7, 1, sector);
    if (!error && !write)
        assert_int_equal(sector[SECTOR - 1], with);
    return error;
}

static void found_at_the_boot(void **state)
{
    boot(&one);
    assert_non_null(strstr(fake_log, "sata0: "));
    assert_int_equal(came, 1);
    assert_int_equal(move(0, true, 'a'), 0);
    assert_int_equal(one.data[7 * SECTOR], 'a');
    assert_int_equal(block_flush(sata(0)), 0);
    assert_int_equal(one.flushes, 1);
}

static void plugged_in_while_running(void **state)
{
    boot(NULL);
    assert_int_equal(came, 0);
    plug(1, &one);
    settle();
    assert_int_equal(came, 1);
    assert_int_equal(came_back, 0);
    assert_false(sata(0)->gone);
    one.data[7 * SECTOR + SECTOR - 1] = 'r';
    assert_int_equal(move(0, false, 'r'), 0);
}

static void pulled_and_plugged_in_again(void **state)
{
    boot(&one);
    plug(0, NULL);
    assert_int_equal(move(0, true, 'x'), -ENODEV); /* before it is told */
    settle();
    assert_true(sata(0)->gone);
    assert_non_null(strstr(fake_log, "sata0: unplugged"));
    assert_int_equal(move(0, true, 'x'), -ENODEV);
    assert_int_equal(block_flush(sata(0)), -ENODEV);
    plug(0, &one);
    settle();
    assert_false(sata(0)->gone);
    assert_int_equal(came_back, 1);
    assert_non_null(strstr(fake_log, "is back"));
    assert_int_equal(move(0, true, 'b'), 0);
    assert_int_equal(one.data[7 * SECTOR], 'b');
}

static void back_at_another_port(void **state)
{
    boot(&one);
    plug(0, NULL);
    settle();
    plug(1, &one);
    settle();
    assert_int_equal(came_back, 1);
    assert_int_equal(move(0, true, 'c'), 0);
    assert_int_equal(one.data[7 * SECTOR], 'c');
}

static void another_disk_is_not_taken_for_the_first(void **state)
{
    boot(&one);
    plug(0, NULL);
    settle();
    plug(0, &other);
    settle();
    assert_int_equal(came_back, 0);
    assert_true(sata(0)->gone);
    assert_int_equal(move(0, true, 'x'), -ENODEV);
    assert_int_equal(move(1, true, 'd'), 0);
    assert_int_equal(other.data[7 * SECTOR], 'd');
    assert_int_equal(one.data[7 * SECTOR], 0);
}

/* So fast that the link is up again when we look. */
static void exchanged_in_a_moment(void **state)
{
    boot(&one);
    plug(0, NULL);
    plug(0, &other);
    assert_int_equal(move(0, true, 'x'), -ENODEV);
    settle();
    assert_int_equal(other.data[7 * SECTOR], 0);
    assert_true(sata(0)->gone);
    assert_false(sata(1)->gone);
}

static void pulled_during_a_command(void **state)
{
    uint64_t before;

    boot(&one);
    one.pulled_at_command = true;
    before = fake_now;
    assert_int_equal(move(0, true, 'x'), -ENODEV);
    assert_true(fake_now - before < 2 * 1000 * 1000); /* no time-out */
    settle();
    one.pulled_at_command = false;
    plug(0, &one);
    settle();
    assert_int_equal(move(0, true, 'e'), 0);
}

/* Nobody waits for a motor. */
static void a_disk_that_spins_up(void **state)
{
    uint64_t before;

    boot(NULL);
    one.speaks_after = 6 * 1000 * 1000;
    plug(0, &one);
    fake_now = work_due();
    before = fake_now;
    work_run();
    assert_true(fake_now - before < 1000 * 1000);
    assert_int_equal(came, 0);
    settle();
    assert_int_equal(came, 1);
}

static void one_that_never_speaks_is_given_up(void **state)
{
    boot(NULL);
    one.speaks_after = UINT64_MAX / 2;
    plug(0, &one);
    settle();
    assert_int_equal(came, 0);
    assert_non_null(strstr(fake_log, "port 0 not usable"));
    plug(0, NULL);
    settle();
    plug(0, &other);
    settle();
    assert_int_equal(came, 1);
}

static void a_cd_drive_is_left_alone(void **state)
{
    boot(&optical);
    assert_int_equal(came, 0);
    assert_int_equal(optical.commands, 0);
    plug(0, NULL);
    settle();
    plug(0, &one);
    settle();
    assert_int_equal(came, 1);
}

static void errors_are_told_and_the_next_command_works(void **state)
{
    boot(&one);
    one.fails = true;
    assert_int_equal(move(0, true, 'x'), -EIO);
    one.fails = false;
    assert_int_equal(move(0, true, 'f'), 0);
    one.silent = true;
    assert_int_equal(move(0, true, 'x'), -ETIMEDOUT);
    one.silent = false;
    assert_int_equal(move(0, true, 'g'), 0);
    plug(0, NULL); /* the interrupt is still watched */
    settle();
    assert_true(sata(0)->gone);
}

static void only_who_sleeps_wants_an_interrupt(void **state)
{
    boot(&one);
    one.wanted = 0;
    assert_int_equal(move(0, true, 'h'), 0);
    assert_int_equal(one.wanted, 0);
    one.late = true;
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(move(0, true, 'i'), 0);
        assert_int_equal(one.wanted, i);
        assert_int_equal(regs_of(0)[PX_IE] & IS_ANSWER, 0);
    }
    one.late = false;
    assert_int_equal(move(0, true, 'j'), 0);
    assert_int_equal(one.wanted, 3);
}

/* What is handed over before that is lost. */
static void a_command_waits_for_its_slot(void **state)
{
    uint64_t before;

    boot(&one);
    one.leaves_late = true;
    before = fake_now;
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(move(0, true, (uint8_t)('k' + i)), 0);
        assert_int_equal(one.data[7 * SECTOR], 'k' + i);
        assert_int_equal(block_flush(sata(0)), 0);
    }
    assert_int_equal(one.flushes, 9);
    assert_true(fake_now - before < 1000 * 1000);
    one.fails = true;
    assert_int_equal(move(0, true, 'x'), -EIO);
}

static void plugged_often(void **state)
{
    boot(NULL);
    for (int i = 0; i < 100; i++) {
        plug(i % PORT_COUNT, &one);
        settle();
        assert_int_equal(move(0, true, (uint8_t)i), 0);
        plug(i % PORT_COUNT, NULL);
        settle();
    }
    assert_int_equal(came, 100);
    assert_int_equal(came_back, 99);
}

/* `most` commands for 2050 sectors there and back, at any place. */
static void moves_much(unsigned offset, unsigned most)
{
    enum { COUNT = 2050 };
    uint8_t *at = arena + offset;
    unsigned before = one.commands;

    for (unsigned i = 0; i < COUNT * SECTOR; i++)
        at[i] = (uint8_t)(i * 7 + i / 251);
    assert_int_equal(block_write(sata(0), 3, COUNT, at), 0);
    assert_int_equal(memcmp(one.data + 3 * SECTOR, at, COUNT * SECTOR), 0);
    memset(arena, 0xee, sizeof arena);
    assert_int_equal(block_read(sata(0), 3, COUNT, at), 0);
    assert_int_equal(memcmp(one.data + 3 * SECTOR, at, COUNT * SECTOR), 0);
    assert_true(one.commands - before <= 2 * most);
    for (unsigned i = 0; i < offset; i++)
        assert_int_equal(arena[i], 0xee);
    for (unsigned i = offset + COUNT * SECTOR; i < sizeof arena; i++)
        assert_int_equal(arena[i], 0xee);
}

static void much_is_moved_by_few_commands(void **state)
{
    boot(&one);
    moves_much(0, 2); /* 1 MiB and the rest */
    moves_much(8, 2);
    moves_much(PAGE_SIZE - 8, 2);
    moves_much(2 * PAGE_SIZE + 512, 2);
    moves_much(4, 9); /* no device must take that: copied */
}

static void memory_out_of_reach_is_copied(void **state)
{
    boot(&one);
    missing_page = 0;
    moves_much(0, 4);
    missing_page = 3;
    moves_much(24, 5);
    controllers[0].ports[0].disk->device.reach = SCATTERED + 65 * PAGE_SIZE;
    missing_page = ARENA_PAGES;
    moves_much(0, 12);
    moves_much(2048 + 64, 12);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(found_at_the_boot), TEST(plugged_in_while_running),
        TEST(pulled_and_plugged_in_again), TEST(back_at_another_port),
        TEST(another_disk_is_not_taken_for_the_first),
        TEST(exchanged_in_a_moment), TEST(pulled_during_a_command),
        TEST(a_disk_that_spins_up), TEST(one_that_never_speaks_is_given_up),
        TEST(a_cd_drive_is_left_alone),
        TEST(errors_are_told_and_the_next_command_works),
        TEST(only_who_sleeps_wants_an_interrupt),
        TEST(a_command_waits_for_its_slot), TEST(plugged_often),
        TEST(much_is_moved_by_few_commands),
        TEST(memory_out_of_reach_is_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
