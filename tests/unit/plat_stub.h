/*
 * plat_stub.h - what tests may turn on the stub platform.
 */
#pragma once

#include <stdint.h>

extern uint64_t plat_stub_memory;    /* plat_commit fails beyond it */
extern uint64_t plat_stub_committed; /* bytes in use */
