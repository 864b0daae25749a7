/*
 * log_view.h - the log on the screen while the desktop runs on behind it:
 * F12 brings it and takes it away.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A key went down (a USB usage). True: it was for the log. */
bool log_view_key(uint8_t usage);
bool log_view_shown(void);
/* The screen has another size. */
void log_view_resized(void);
