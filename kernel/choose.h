/*
 * choose.h - asks at boot, with screen and keyboard or the serial line.
 */
#pragma once

/* Lists them on screen and serial line, the last saved first, and waits for
 * a digit or Enter on keyboard or serial line. NULL: there is none. */
const char *choose_image(void);

enum answer { ANSWER_NONE, ANSWER_YES, ANSWER_NO };

/* Waits for Enter (yes) or Escape (no), not longer than that. */
enum answer choose_yes(unsigned seconds);
