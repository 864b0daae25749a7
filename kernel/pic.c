/*
 * pic.c - the 8259 pair.
 */
#include "kernel/pic.h"

#include "kernel/cpu.h"

enum { MASTER = 0x20, SLAVE = 0xa0, END = 0x20, CASCADE = 2 };
enum { INIT_WITH_ICW4 = 0x11, MODE_8086 = 0x01 };

static uint16_t mask = 0xffff;

static void write_mask(void)
{
    outb(MASTER + 1, (uint8_t)mask);
    outb(SLAVE + 1, (uint8_t)(mask >> 8));
}

void pic_init(uint8_t vector)
{
    outb(MASTER, INIT_WITH_ICW4);
    outb(SLAVE, INIT_WITH_ICW4);
    outb(MASTER + 1, vector);
    outb(SLAVE + 1, (uint8_t)(vector + 8));
    outb(MASTER + 1, 1 << CASCADE);
    outb(SLAVE + 1, CASCADE);
    outb(MASTER + 1, MODE_8086);
    outb(SLAVE + 1, MODE_8086);
    write_mask();
}

void pic_mask(unsigned line, bool masked)
{
    if (masked)
        mask |= (uint16_t)(1u << line);
    else
        mask &= (uint16_t)~(1u << line);
    if (!masked && line >= 8)
        mask &= (uint16_t)~(1u << CASCADE);
    write_mask();
}

void pic_end_of_interrupt(unsigned line)
{
    if (line >= 8)
        outb(SLAVE, END);
    outb(MASTER, END);
}
