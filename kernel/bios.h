/*
 * bios.h - calls of the video BIOS. Only where the machine was started by a
 * BIOS, and only before its interrupt controller becomes ours (irq_init).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bios_regs {
    uint32_t eax, ebx, ecx, edx, edi;
    uint16_t es, zero;
};

/* A BIOS is there to be called, until `false` is said. */
void bios_allow(bool there);
bool bios_allowed(void);
/* Interrupt 0x10 with those registers, which are then what it left in them
 * (but edi and es). 0, -ENOTSUP: not allowed, or -ENOMEM. */
int bios_video(struct bios_regs *r);
/* A page for answers, at bios_buffer_segment():0 in real mode. */
void *bios_buffer(void);
uint16_t bios_buffer_segment(void);
