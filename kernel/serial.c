/*
 * serial.c - 16550 UART, COM1. National Semiconductor PC16550D data sheet.
 * QEMU: -serial stdio
 *
 * Output waits for the transmitter; input is gathered by the interrupt
 * handler. A full queue drops what comes in.
 */
#include "kernel/serial.h"

#include <stdbool.h>
#include <stdint.h>

#include "kernel/cpu.h"
#include "kernel/irq.h"

enum { COM1 = 0x3f8, COM1_IRQ = 4 };
enum uart_register {
    UART_DATA = 0, UART_INTERRUPTS = 1, UART_FIFO = 2, UART_LINE = 3,
    UART_MODEM = 4, UART_LINE_STATUS = 5, UART_SCRATCH = 7,
};
enum {
    LINE_8N1 = 0x03, LINE_DIVISOR = 0x80, FIFO_ON_CLEAR = 0x07,
    MODEM_DTR_RTS_OUT2 = 0x0b, STATUS_RECEIVED = 0x01, STATUS_ROOM = 0x20,
    INTERRUPT_RECEIVED = 0x01,
};
enum { QUEUE = 4096, SPINS = 2000000 };

static bool present;
static unsigned char queue[QUEUE];
static volatile unsigned head, tail; /* written by handler, by reader */

void serial_init(void)
{
    outb(COM1 + UART_SCRATCH, 0x5a);
    present = inb(COM1 + UART_SCRATCH) == 0x5a;
    if (!present)
        return;
    outb(COM1 + UART_INTERRUPTS, 0);
    outb(COM1 + UART_LINE, LINE_DIVISOR);
    outb(COM1 + UART_DATA, 1); /* 115200 */
    outb(COM1 + UART_INTERRUPTS, 0);
    outb(COM1 + UART_LINE, LINE_8N1);
    outb(COM1 + UART_FIFO, FIFO_ON_CLEAR);
    outb(COM1 + UART_MODEM, MODEM_DTR_RTS_OUT2);
}

static void receive(void *unused)
{
    while (inb(COM1 + UART_LINE_STATUS) & STATUS_RECEIVED) {
        unsigned char c = inb(COM1 + UART_DATA);
        unsigned next = (head + 1) % QUEUE;

        if (next != tail) {
            queue[head] = c;
            head = next;
        }
    }
}

void serial_enable_irq(void)
{
    if (!present || irq_attach(COM1_IRQ, false, receive, NULL))
        return;
    outb(COM1 + UART_INTERRUPTS, INTERRUPT_RECEIVED);
    receive(NULL); /* an edge may have passed already */
}

/* Waits for room, but a line that takes nothing (a host that does not read)
 * is waited for only once: until it moves again, bytes are dropped. */
static void put(unsigned char c)
{
    static bool stalled;

    for (int i = stalled ? 1 : SPINS; i > 0; i--) {
        if (inb(COM1 + UART_LINE_STATUS) & STATUS_ROOM) {
            outb(COM1 + UART_DATA, c);
            stalled = false;
            return;
        }
    }
    stalled = true;
}

void serial_write(const char *bytes, size_t n)
{
    if (!present)
        return;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            put('\r');
        put((unsigned char)bytes[i]);
    }
}

bool serial_waiting(void) { return tail != head; }

int serial_read(void)
{
    int c;

    if (tail == head)
        return -1;
    c = queue[tail];
    tail = (tail + 1) % QUEUE;
    return c;
}
