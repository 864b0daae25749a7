/*
 * bios.c - lends the BIOS three pages of low memory and the processor for a
 * while. Nobody else uses the first megabyte (pmm.c), so that the BIOS finds
 * there what it left.
 */
#include "kernel/bios.h"

#include <errno.h>
#include <string.h>

#include "kernel/bios_layout.h"
#include "kernel/cpu.h"
#include "kernel/vmm.h"

enum { VIDEO_VECTOR = 0x10, ROMS = 0xc0000, ROMS_END = 0x100000 };

static bool allowed;

/* The vector points into a ROM, or there is no video BIOS. */
static bool has_video(void)
{
    const uint16_t *vector = phys_to_virt(VIDEO_VECTOR * 4);
    uint32_t at = vector[1] * 16u + vector[0];

    return at >= ROMS && at < ROMS_END;
}

void bios_allow(bool there) { allowed = there && has_video(); }
bool bios_allowed(void) { return allowed; }
void *bios_buffer(void) { return phys_to_virt(BIOS_BUFFER); }
uint16_t bios_buffer_segment(void) { return BIOS_BUFFER >> 4; }

/* Under their own addresses, for the way between the modes. */
static int map(void)
{
    for (uint64_t at = BIOS_AT; at < BIOS_END; at += PAGE_SIZE)
        if (vmm_map(at, at, PAGE_WRITE | PAGE_EXEC))
            return -ENOMEM;
    return 0;
}

static void unmap(void)
{
    for (uint64_t at = BIOS_AT; at < BIOS_END; at += PAGE_SIZE)
        vmm_unmap(at);
}

int bios_video(struct bios_regs *r)
{
    uint8_t *code = phys_to_virt(BIOS_AT);
    void *regs = code + (bios_regs - bios_code);
    int error;

    if (!allowed || read_cr3() >> 32)
        return -ENOTSUP;
    error = map();
    if (!error) {
        memcpy(code, bios_code, (size_t)(bios_code_end - bios_code));
        memcpy(regs, r, sizeof *r);
        ((void (*)(void))(uintptr_t)BIOS_AT)();
        memcpy(r, regs, sizeof *r);
    }
    unmap();
    return error;
}
