/*
 * kernel_fake.h - the kernel around a driver, for its unit test: a clock
 * that only waiting moves on, the log, memory for devices.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/irq.h"
#include "kernel/klog.h"
#include "kernel/vmm.h"

static uint64_t fake_now;
static char fake_log[65536];

static void (*fake_hardware)(void); /* gets time to work; NULL: none */

static void fake_let_work(void)
{
    if (fake_hardware)
        fake_hardware();
}

uint64_t clock_usecs(void)
{
    fake_let_work();
    return fake_now++;
}

void clock_delay(uint32_t usecs)
{
    fake_let_work();
    fake_now += usecs;
}

bool irq_save(void) { return true; }
void irq_restore(bool on) {}

int irq_wait(bool (*done)(void *arg), void *arg, uint64_t usecs)
{
    uint64_t until = fake_now + usecs;

    while (fake_let_work(), !done(arg)) {
        if (fake_now > until)
            return -ETIMEDOUT;
        fake_now += 1000;
    }
    return 0;
}

bool irq_watch(bool (*done)(void *arg), void *arg)
{
    fake_let_work();
    return done(arg);
}

void klog(const char *format, ...)
{
    size_t used = strlen(fake_log);
    va_list list;

    if (used > sizeof fake_log / 2)
        used = 0;
    va_start(list, format);
    vsnprintf(fake_log + used, sizeof fake_log - used, format, list);
    va_end(list);
}

/* Never freed, as in the kernel. Devices see it from 0x1000000 on, so that
 * the addresses fit into 32 bits, as they must. */
enum { FAKE_DMA = 0x1000000, FAKE_DMA_BYTES = 4 << 20 };
static _Alignas(4096) uint8_t fake_dma[FAKE_DMA_BYTES];
static uint64_t fake_dma_used;

void *dma_alloc(uint64_t bytes, uint64_t *phys)
{
    uint8_t *p = fake_dma + fake_dma_used;

    bytes = (bytes + 4095) / 4096 * 4096;
    if (bytes > FAKE_DMA_BYTES - fake_dma_used)
        abort();
    fake_dma_used += bytes;
    *phys = FAKE_DMA + (uint64_t)(p - fake_dma);
    return p;
}

/* What a device finds at an address that it was told. */
static inline void *fake_memory(uint64_t phys)
{
    if (phys < FAKE_DMA || phys - FAKE_DMA >= fake_dma_used)
        abort();
    return fake_dma + (phys - FAKE_DMA);
}
