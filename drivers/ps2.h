/*
 * ps2.h - the PS/2 mouse as another pointer's bell.
 */
#pragma once

#include <stdbool.h>

struct input_event;

/* From now on `bell` sees every packet of the mouse first, in the interrupt
 * handler: true: the packet was meant for it alone. False: there is no
 * mouse. */
bool ps2_on_packet(bool (*bell)(const struct input_event *e));
