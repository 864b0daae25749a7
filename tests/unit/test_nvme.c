/*
 * test_nvme.c - the NVMe driver against a controller made of software, which
 * answers several commands in any order, fails one among others, falls silent
 * and answers what nobody asked. Includes the code to see its queues.
 */
#include "tests/unit/kernel_fake.h"

#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wformat-truncation" /* of disks' names */
#include "drivers/nvme.c"

/* --- memory of callers: every page lies elsewhere, or all in a row --- */

enum { PAGES = 600, SCATTERED = 0x40000000 };

static _Alignas(4096) uint8_t arena[PAGES * PAGE];
static unsigned distance = 2; /* of its pages, in pages */

bool vmm_translate(uint64_t virt, uint64_t *phys)
{
    uint64_t at = virt - (uintptr_t)arena;

    *phys = SCATTERED + at / PAGE * distance * PAGE + at % PAGE;
    return at < sizeof arena;
}

uint64_t vmm_run(uint64_t virt, uint64_t bytes, uint64_t *phys)
{
    uint64_t room = PAGE_SIZE - virt % PAGE_SIZE;

    if (!vmm_translate(virt, phys))
        return 0;
    return bytes < room ? bytes : room;
}

static uint8_t *memory_at(uint64_t phys, uint64_t bytes)
{
    uint64_t at = phys - SCATTERED;

    if (phys < SCATTERED) {
        fake_memory(phys + bytes - 1);
        return fake_memory(phys);
    }
    assert_true(distance == 1 ||
                (at / PAGE % distance == 0 && at % PAGE + bytes <= PAGE));
    at = at / PAGE / distance * PAGE + at % PAGE;
    assert_true(at + bytes <= sizeof arena);
    return arena + at;
}

/* --- the controller: NVMe 1.4, section numbers as there --- */

enum { SECTORS = 8192, SECTOR = 512, NOTHING = -1 };

struct fake_queue {
    struct command *submission;
    struct completion *completion;
    unsigned head, tail, phase; /* tail, phase: of the completions */
};

static struct {
    uint32_t regs[0x2000 / 4];
    bool on, working;
    uint32_t sgl; /* what it says of SGLs */
    struct fake_queue queues[2];
    int failing, silent, stray; /* numbers of commands of the disk */
    unsigned status;            /* of the failing one */
    bool always, backwards, cannot_start;
    int commands;
    unsigned together, with_sgl, starts, flushes;
} hc;
static uint8_t medium[SECTORS * SECTOR];
static irq_handler handler;
static void *handler_arg;

static unsigned silenced;
void pci_enable(const struct pci_device *d) {}
void pci_silence(const struct pci_device *d) { silenced++; }
volatile void *pci_map_bar(const struct pci_device *d, unsigned bar,
                           uint64_t *bytes)
{
    *bytes = sizeof hc.regs;
    return hc.regs;
}
int pci_route_irq(struct pci_device *d, irq_handler h, void *arg, int *msix)
{
    handler = h;
    handler_arg = arg;
    return 0;
}

static void answer(unsigned n, uint16_t id, unsigned status)
{
    struct fake_queue *q = &hc.queues[n];

    q->completion[q->tail] = (struct completion){
        .id = id, .status = (uint16_t)(status << 1 | q->phase) };
    if (++q->tail == QUEUE) {
        q->tail = 0;
        q->phase ^= 1;
    }
}

static void put_words(uint8_t *to, uint64_t v, unsigned n)
{
    memcpy(to, &v, n);
}

static unsigned identify_for(const struct command *m)
{
    uint8_t *to = memory_at(m->prp1, PAGE);

    memset(to, 0, PAGE);
    if (m->cdw10 == IDENTIFY_CONTROLLER) {
        memset(to + 24, ' ', 40);
        memcpy(to + 24, "FAKE", 4);
        to[77] = 6;
        to[525] = 1;
        put_words(to + 536, hc.sgl, 4);
    } else if (m->cdw10 == IDENTIFY_ACTIVE) {
        put_words(to, 1, 4);
    } else {
        put_words(to, SECTORS, 8);
        to[128 + 2] = 9;
    }
    return 0;
}

static unsigned serve_admin(const struct command *m)
{
    struct fake_queue *q = &hc.queues[IO];

    if (m->opcode == ADMIN_IDENTIFY)
        return identify_for(m);
    if (m->opcode == ADMIN_CREATE_COMPLETION)
        q->completion = (void *)memory_at(m->prp1, PAGE);
    if (m->opcode == ADMIN_CREATE_SUBMISSION)
        q->submission = (void *)memory_at(m->prp1, PAGE);
    return 0;
}

static uint8_t *move_part(bool write, uint8_t *at, uint64_t phys,
                          uint64_t bytes)
{
    uint8_t *p = memory_at(phys, bytes);

    memcpy(write ? at : p, write ? p : at, bytes);
    return at + bytes;
}

static void move_sgl(const struct command *m, uint8_t *at, uint64_t bytes)
{
    struct sgl one = { m->prp1, m->prp2 }, *list = &one;
    unsigned n = 1;

    hc.with_sgl++;
    if (one.length_and_type >> 60) {
        assert_int_equal(one.length_and_type >> 60, 3);
        n = (uint32_t)one.length_and_type / sizeof *list;
        list = (void *)memory_at(one.address, n * sizeof *list);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_true(list[i].length_and_type <= bytes);
        at = move_part(m->opcode == NVM_WRITE, at, list[i].address,
                       list[i].length_and_type);
        bytes -= list[i].length_and_type;
    }
    assert_int_equal(bytes, 0);
}

static void move_prps(const struct command *m, uint8_t *at, uint64_t bytes)
{
    uint64_t here = PAGE - m->prp1 % PAGE;
    const uint64_t *next = &m->prp2;

    here = here < bytes ? here : bytes;
    at = move_part(m->opcode == NVM_WRITE, at, m->prp1, here);
    bytes -= here;
    if (bytes > PAGE)
        next = (void *)memory_at(m->prp2, (bytes + PAGE - 1) / PAGE * 8);
    for (; bytes; bytes -= here) {
        here = bytes < PAGE ? bytes : PAGE;
        assert_int_equal(*next % PAGE, 0);
        at = move_part(m->opcode == NVM_WRITE, at, *next++, here);
    }
}

static unsigned serve_disk(const struct command *m)
{
    uint64_t at = (m->cdw10 | (uint64_t)m->cdw11 << 32) * SECTOR;
    uint64_t bytes = (m->cdw12 + 1ull) * SECTOR;

    if (m->opcode == NVM_FLUSH) {
        hc.flushes++;
        return 0;
    }
    assert_true(at + bytes <= sizeof medium);
    if (m->flags & FLAG_SGL)
        move_sgl(m, medium + at, bytes);
    else
        move_prps(m, medium + at, bytes);
    return 0;
}

static void run_command(const struct command *m)
{
    int number = hc.commands++;

    if (number == hc.silent)
        return;
    if (number == hc.stray)
        answer(IO, (uint16_t)(m->id + DEPTH), 0);
    if (number == hc.failing || (hc.always && hc.failing >= 0 &&
                                 number > hc.failing)) {
        answer(IO, m->id, hc.status);
        return;
    }
    answer(IO, m->id, serve_disk(m));
}

static void serve(unsigned n)
{
    struct fake_queue *q = &hc.queues[n];
    unsigned tail = hc.regs[REG_BELLS + 2 * n];
    unsigned count = (tail + QUEUE - q->head) % QUEUE;

    for (unsigned i = 0; i < count; i++) {
        unsigned k = hc.backwards && n ? count - 1 - i : i;
        struct command m = q->submission[(q->head + k) % QUEUE];

        if (n)
            run_command(&m);
        else
            answer(n, m.id, serve_admin(&m));
    }
    q->head = tail;
    if (n && count > hc.together)
        hc.together = count;
}

static void turn_on(void)
{
    hc.on = true;
    hc.starts++;
    memset(hc.queues, 0, sizeof hc.queues);
    memset(hc.regs + REG_BELLS, 0, 16);
    hc.queues[0].submission = (void *)memory_at(hc.regs[REG_ASQ], PAGE);
    hc.queues[0].completion = (void *)memory_at(hc.regs[REG_ACQ], PAGE);
    hc.queues[0].phase = hc.queues[1].phase = 1;
}

static void work(void)
{
    if (hc.working)
        return;
    hc.working = true;
    if (!(hc.regs[REG_CC] & CC_ENABLE))
        hc.on = false;
    else if (!hc.on && !hc.cannot_start)
        turn_on();
    hc.regs[REG_CSTS] = hc.on ? CSTS_READY : 0;
    for (unsigned n = 0; hc.on && n < 2; n++)
        serve(n);
    hc.working = false;
}

/* --- the tests --- */

static struct block_device *disk;

static int begin_test(void **state)
{
    memset(&hc, 0, sizeof hc);
    hc.failing = hc.silent = hc.stray = NOTHING;
    hc.regs[REG_CAP] = QUEUE - 1;
    hc.regs[REG_VERSION] = VERSION_1_1;
    distance = 2;
    fake_hardware = work;
    return 0;
}

static void boot(uint32_t sgl)
{
    char name[16];

    hc.sgl = sgl;
    controller_count %= CONTROLLERS;
    snprintf(name, sizeof name, "nvme%un1", controller_count);
    assert_int_equal(nvme_driver.probe(NULL), 0);
    disk = &disks[disk_count - 1].device;
    assert_string_equal(disk->name, name);
    hc.commands = 0;
    fake_log[0] = 0;
}

static void fill(uint8_t *at, unsigned bytes, unsigned seed)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* There and back, from any place. */
static void move_much(unsigned offset, unsigned sectors)
{
    uint8_t *at = arena + offset;

    fill(at, sectors * SECTOR, offset);
    assert_int_equal(block_write(disk, 3, sectors, at), 0);
    assert_memory_equal(medium + 3 * SECTOR, at, sectors * SECTOR);
    memset(arena, 0xee, sizeof arena);
    assert_int_equal(block_read(disk, 3, sectors, at), 0);
    assert_memory_equal(medium + 3 * SECTOR, at, sectors * SECTOR);
    for (unsigned i = 0; i < offset; i++)
        assert_int_equal(arena[i], 0xee);
    for (unsigned i = offset + sectors * SECTOR; i < sizeof arena; i++)
        assert_int_equal(arena[i], 0xee);
}

static void several_are_under_way(void **state)
{
    boot(0);
    move_much(0, 4096);
    assert_int_equal(hc.together, DEPTH);
    move_much(1024 + 8, 4000);
    move_much(4096 - 8, 9);
    move_much(3, 700); /* by way of the bounce buffer */
    assert_int_equal(hc.with_sgl, 0);
    assert_int_equal(block_flush(disk), 0);
    assert_int_equal(hc.flushes, 1);
}

static void memory_in_a_row_is_one_piece(void **state)
{
    boot(1);
    move_much(0, 4096); /* pages here and there: a list of pages */
    assert_int_equal(hc.with_sgl, 0);
    distance = 1;
    move_much(520, 4000);
    assert_int_equal(hc.with_sgl, 2 * 8);
}

static void answers_come_in_any_order(void **state)
{
    boot(0);
    hc.backwards = true;
    for (int i = 0; i < 5; i++)
        move_much(0, 4096);
    assert_int_equal(hc.starts, 1);
}

static void one_among_others_fails_once(void **state)
{
    boot(0);
    hc.failing = 3;
    hc.status = 0x06; /* internal error */
    move_much(0, 4096);
    assert_int_equal(hc.starts, 1);
}

static void one_among_others_fails_for_good(void **state)
{
    boot(0);
    hc.failing = 3;
    hc.status = 0x281; /* unrecovered read error */
    assert_int_equal(block_read(disk, 0, 4096, arena), -EIO);
    assert_int_equal(hc.commands, DEPTH);
    assert_non_null(strstr(fake_log, "failed, status 281"));
    hc.failing = hc.commands + 7;
    hc.status = STATUS_PROTECTED;
    hc.always = true;
    assert_int_equal(block_write(disk, 0, 4096, arena), -EROFS);
    hc.failing = NOTHING;
    move_much(0, 4096);
    assert_int_equal(hc.starts, 1);
}

/* All that was under way then is lost, and told as one error. */
static void one_among_others_is_never_answered(void **state)
{
    uint64_t began;

    boot(0);
    hc.silent = 2;
    began = fake_now;
    assert_int_equal(block_read(disk, 0, 4096, arena), -ETIMEDOUT);
    assert_true(fake_now - began >= TIMEOUT_USECS);
    assert_true(fake_now - began < 2 * TIMEOUT_USECS);
    assert_non_null(strstr(fake_log, "no answer"));
    assert_non_null(strstr(fake_log, "started again"));
    assert_int_equal(hc.starts, 2);
    move_much(0, 4096);
    assert_int_equal(hc.starts, 2);
}

static void an_answer_that_nobody_asked_for_is_a_failure(void **state)
{
    boot(0);
    hc.stray = 4;
    assert_int_equal(block_read(disk, 0, 4096, arena), -EIO);
    assert_non_null(strstr(fake_log, "the controller has failed"));
    assert_int_equal(hc.starts, 2);
    move_much(0, 4096);
}

static void one_that_does_not_come_back_is_given_up(void **state)
{
    boot(0);
    hc.silent = 5;
    hc.cannot_start = true;
    assert_int_equal(block_write(disk, 0, 4096, arena), -ETIMEDOUT);
    assert_non_null(strstr(fake_log, "given up"));
    assert_int_equal(silenced, 1);
    assert_int_equal(block_write(disk, 0, 4096, arena), -EIO);
    assert_int_equal(block_read(disk, 0, 1, arena), -EIO);
    assert_int_equal(block_flush(disk), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(several_are_under_way, begin_test),
        cmocka_unit_test_setup(memory_in_a_row_is_one_piece, begin_test),
        cmocka_unit_test_setup(answers_come_in_any_order, begin_test),
        cmocka_unit_test_setup(one_among_others_fails_once, begin_test),
        cmocka_unit_test_setup(one_among_others_fails_for_good, begin_test),
        cmocka_unit_test_setup(one_among_others_is_never_answered,
                               begin_test),
        cmocka_unit_test_setup(an_answer_that_nobody_asked_for_is_a_failure,
                               begin_test),
        cmocka_unit_test_setup(one_that_does_not_come_back_is_given_up,
                               begin_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
