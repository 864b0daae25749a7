/*
 * plat_stub.h - what tests may turn on the stub platform.
 */
#pragma once

#include <stdint.h>

extern uint64_t plat_stub_memory;    /* plat_commit fails beyond it */
extern uint64_t plat_stub_committed; /* bytes in use */
extern uint64_t plat_stub_clock;     /* not 0: the time plat_usecs answers */
extern uint64_t plat_stub_tick;      /* ... and how far each question puts it */

/* What plat_hardware answers; NULL: there are no devices. */
struct plat_hardware;
extern const struct plat_hardware *plat_stub_hardware;
